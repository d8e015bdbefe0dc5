/* repair.c - see repair.h. SPDX-License-Identifier: Apache-2.0 */
#include "quantize/repair.h"

#include <math.h>
#include <string.h>

#include "quantize/polish.h"

#define SCALES 33 /* tried, from the old one up */
#define STEP   (1.0 / 32)
#define SWEEPS 8
#define PAIRS  2

struct work {
    const struct brim_repair_layer *layer;
    const struct brim_repair *r;
    struct brim_arena arena;
    struct brim_room *room; /* [n_registers] */
    int16_t *q;             /* [k] at hand */
    int16_t *best;          /* [k] */
    double *g;              /* [k] scratch */
};

static double moment(const struct brim_repair_layer *l, size_t i)
{
    return l->h == NULL ? 1.0 : l->h[i * l->k + i];
}

/* ---- projection ---- */

/* What a unit of code i takes from the rail that is short of room: hi when `up`. */
static int64_t load(const struct brim_budget_plan *plan, int64_t q, bool up)
{
    const int64_t plus = up ? plan->x_max : -plan->x_min, minus = up ? -plan->x_min : plan->x_max;

    return q > 0 ? plus : q < 0 ? minus : 0;
}

/* The code of register [first, end) that gives up a unit with the least error for its room. */
static size_t cheapest(const struct work *w, size_t first, size_t end, double f, bool up)
{
    const struct brim_repair_layer *l = w->layer;
    double least = HUGE_VAL;
    size_t at = end;

    for (size_t i = first; i < end; i++) {
        const int64_t frees = load(&l->plan, w->q[i], up);
        if (frees <= 0) {
            continue;
        }
        const double sign = w->q[i] > 0 ? 1.0 : -1.0;
        const double d = f * (double)w->q[i] - w->r->w[i];
        const double grows = f * (f - 2.0 * sign * d) * moment(l, i) / (double)frees;
        if (grows < least) {
            least = grows;
            at = i;
        }
    }
    return at;
}

/* Every register within its range, inner ones first: giving up a unit frees room in all others. */
static void project(struct work *w, double f)
{
    const struct brim_repair_layer *l = w->layer;

    brim_room_reset(&l->plan, w->room);
    for (size_t i = 0; i < l->k; i++) {
        brim_room_take(&l->plan, w->room, i, w->q[i], 1);
    }
    for (size_t s = 0; s < l->plan.n_limits; s++) {
        const struct brim_limit *limit = &l->plan.limit[s];
        for (size_t t = 0; t < limit->count; t++) {
            const size_t first = t * limit->tile;
            const size_t end = brim_min_size(first + limit->tile, l->k);
            struct brim_room *room = &w->room[limit->first + t];
            while (room->hi < 0 || room->lo < 0) {
                const size_t i = cheapest(w, first, end, f, room->hi < 0);
                const int64_t q = w->q[i], to = q > 0 ? q - 1 : q + 1;
                brim_room_take(&l->plan, w->room, i, q, -1);
                brim_room_take(&l->plan, w->room, i, to, 1);
                w->q[i] = (int16_t)to;
            }
        }
    }
}

/* ---- error ---- */

/* D H D^T; g, when given, receives f... H D. */
static double error_of(const struct work *w, const int16_t *q, double f)
{
    const struct brim_repair_layer *l = w->layer;
    double sum = 0.0;

    for (size_t i = 0; i < l->k; i++) {
        w->g[i] = f * (double)q[i] - w->r->w[i];
    }
    for (size_t i = 0; i < l->k; i++) {
        double row = 0.0;
        if (l->padding[i]) {
            continue;
        }
        for (size_t j = 0; l->h != NULL && w->g[i] != 0.0 && j < l->k; j++) {
            row += l->h[i * l->k + j] * w->g[j];
        }
        sum += w->g[i] * (l->h == NULL ? w->g[i] : row);
    }
    return sum > 0.0 ? sum : 0.0;
}

static double diagonal_error(const struct work *w, double f)
{
    double sum = 0.0;

    for (size_t i = 0; i < w->layer->k; i++) {
        const double d = f * (double)w->q[i] - w->r->w[i];
        sum += w->layer->padding[i] ? 0.0 : d * d * moment(w->layer, i);
    }
    return sum;
}

/* ---- one output ---- */

static void round_at(struct work *w, double f)
{
    const double top = (double)w->layer->qmax;

    for (size_t i = 0; i < w->layer->k; i++) {
        const double u = w->layer->padding[i] ? 0.0 : rint(w->r->w[i] / f);
        w->q[i] = (int16_t)(u > top ? top : u < -top ? -top : u);
    }
}

/* Descend from the codes at hand under the moments; the better of before and after is kept. */
static brim_status descend(struct work *w, struct brim_repair *r, double f)
{
    const struct brim_repair_layer *l = w->layer;
    struct brim_polish p = {.plan = &l->plan,
                            .k = l->k,
                            .qmax = l->qmax,
                            .h = l->h,
                            .w = r->w,
                            .sweeps = SWEEPS,
                            .pairs = PAIRS,
                            .q = w->q,
                            .scale = (float)f,
                            .room = w->room};
    double *hw = brim_arena_zalloc(&w->arena, l->k, sizeof *hw);
    double *unit = brim_arena_alloc(&w->arena, l->k, sizeof *unit);

    p.g = brim_arena_zalloc(&w->arena, l->k, sizeof *p.g);
    p.scratch = brim_arena_alloc(&w->arena, 4 * l->k, sizeof *p.scratch);
    if (hw == NULL || unit == NULL || p.g == NULL || p.scratch == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < l->k; i++) {
        unit[i] = l->padding[i] ? 0.0 : 1.0;
        for (size_t j = 0; j < l->k; j++) {
            hw[i] += l->h[i * l->k + j] * r->w[j];
            p.g[i] += l->h[i * l->k + j] * (f * (double)w->q[j] - r->w[j]);
        }
        p.norm += hw[i] * r->w[i];
    }
    p.hw = hw;
    p.unit = unit;
    brim_polish_run(&p);
    const double error = error_of(w, w->q, (double)p.scale);
    if (error < r->error && brim_budget_holds(&l->plan, w->q, l->k, w->room)) {
        r->error = error;
        r->scale = (double)p.scale;
        memcpy(w->best, w->q, l->k * sizeof *w->best);
    }
    return BRIM_OK;
}

static void keep(struct work *w, struct brim_repair *r, double f, double error)
{
    r->error = error;
    r->scale = f;
    memcpy(w->best, w->q, w->layer->k * sizeof *w->best);
}

/* The best projection over the scales, then descent from it and from the old scale's. */
static brim_status search(struct work *w, struct brim_repair *r)
{
    const struct brim_repair_layer *l = w->layer;
    const size_t scales = l->rescale ? SCALES : 1;
    double least = HUGE_VAL, best = 1.0;

    r->error = HUGE_VAL;
    for (size_t j = 0; j < scales; j++) {
        const double f = 1.0 + (double)j * STEP;
        round_at(w, f);
        project(w, f);
        const double error = diagonal_error(w, f);
        if (error < least) {
            least = error;
            best = f;
            keep(w, r, f, l->h == NULL ? error : error_of(w, w->q, f));
        }
    }
    for (size_t start = 0; l->h != NULL && l->rescale && start < 2; start++) {
        const double f = start == 0 ? best : 1.0;
        if (start == 1 && best == 1.0) {
            break;
        }
        round_at(w, f);
        project(w, f);
        BRIM_TRY(descend(w, r, f));
    }
    return BRIM_OK;
}

static brim_status open_work(brim_ctx *ctx, const struct brim_repair_layer *l,
                             const struct brim_repair *r, struct work *w)
{
    *w = (struct work){.layer = l, .r = r};
    brim_arena_init(&w->arena, ctx);
    w->room = brim_arena_alloc(&w->arena, l->plan.n_registers + 1, sizeof *w->room);
    w->q = brim_arena_alloc(&w->arena, l->k, sizeof *w->q);
    w->best = brim_arena_alloc(&w->arena, l->k, sizeof *w->best);
    w->g = brim_arena_alloc(&w->arena, l->k, sizeof *w->g);
    return w->room == NULL || w->q == NULL || w->best == NULL || w->g == NULL ? BRIM_ERR_NOMEM
                                                                              : BRIM_OK;
}

/* Codes of one bit less, ties to even, into w->q: fills ->halved, and ->expected. */
static void halve(struct work *w, struct brim_repair *r)
{
    const double top = (double)w->layer->half;

    r->expected = 0.0;
    for (size_t i = 0; i < w->layer->k; i++) {
        r->expected += w->layer->padding[i] ? 0.0 : moment(w->layer, i) / 12.0;
        const double u = w->layer->padding[i] ? 0.0 : rint(w->r->w[i] / 2.0);
        w->q[i] = (int16_t)(u > top ? top : u < -top ? -top : u);
    }
    r->halved = error_of(w, w->q, 2.0);
}

/* The codes that were, into w->best: do they fit as they are? */
static bool unchanged(const struct work *w)
{
    const struct brim_repair_layer *l = w->layer;
    bool within = true;

    for (size_t i = 0; i < l->k; i++) {
        w->best[i] = (int16_t)w->r->was[i];
        within = within && w->best[i] >= l->least && w->best[i] <= l->qmax;
    }
    return within && brim_budget_holds(&l->plan, w->best, l->k, w->room);
}

brim_status brim_repair_run(brim_ctx *ctx, const struct brim_repair_layer *layer,
                            struct brim_repair *r)
{
    struct work w;

    brim_status status = open_work(ctx, layer, r, &w);
    if (status == BRIM_OK) {
        halve(&w, r);
        if (unchanged(&w)) {
            r->scale = 1.0;
            r->error = error_of(&w, w.best, 1.0);
        } else {
            status = search(&w, r);
        }
        memcpy(r->q, w.best, layer->k * sizeof *r->q);
    }
    if (status == BRIM_OK && !brim_budget_holds(&layer->plan, r->q, layer->k, w.room)) {
        status = brim_fail(ctx, BRIM_ERR_INTERNAL, "repaired codes do not fit");
    }
    brim_arena_free(&w.arena);
    return status;
}

brim_status brim_repair_halve(brim_ctx *ctx, const struct brim_repair_layer *layer,
                              struct brim_repair *r)
{
    struct work w;
    const brim_status status = open_work(ctx, layer, r, &w);

    if (status == BRIM_OK) {
        halve(&w, r);
        r->error = r->halved;
        r->scale = 2.0;
        memcpy(r->q, w.q, layer->k * sizeof *r->q);
    }
    brim_arena_free(&w.arena);
    return status;
}
