/* search.c - the exact budget: search over scale and largest code, then descent.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A narrow register is met best by a coarser scale, not by dropping weights, and, when it is very
 * narrow, by a smaller largest code: large codes eat the budget. So each channel tries a grid of
 * scales s_i = s_0 RATIO^i and of largest codes (shares of |W*|max / s, and the full code), all
 * solved by the layer's solver under the integer clamp, in three steps:
 *   1. a coarse grid of scales with the full code;
 *   2. rounds around the channel's best: neighbouring scales and shares;
 *   3. the best few, and AXE's own solution, polished (polish.c); the best is kept.
 * Then, channel by channel, the better of this and AXE by the layer's own error, computed by the
 * same function for both, so that the sum is never above AXE's.
 *
 * Cost. A lane costs k^2 multiply-adds and a polish about as much; how many there are follows from
 * BUDGET alone, so the result does not depend on the machine's speed or on threads. */
#include <math.h>

#include "base/parallel.h"
#include "quantize/polish.h"
#include "quantize/sweep.h"

#include <cblas.h>

#define RATIO    1.06
#define COARSE   4  /* steps of the coarse grid */
#define SHARES   5  /* largest codes: full, then shares of the largest weight */
#define KEEP     16 /* solutions kept per channel, at most */
#define LANES    256
#define MAX_GRID 128
#define BUDGET   3e10 /* multiply-adds of one layer at effort 1 */

static const double share[SHARES] = {0.0, 0.8, 0.62, 0.48, 0.36}; /* 0 = the full code */

struct kept {
    double err;
    double scale;
    int16_t *q; /* [k] K order */
};

/* One channel's search. */
struct channel {
    size_t index;
    double s0;       /* scale of grid point 0 */
    int low, high;   /* grid */
    int best, shape; /* grid point and share of the best */
    double err;
    uint64_t seen[SHARES][2]; /* grid points tried: bit i */
    size_t n_kept;
    struct kept kept[KEEP];
};

struct plan {
    size_t block;  /* channels of one task */
    size_t coarse; /* lanes of step 1 */
    size_t rounds; /* of step 2 */
    size_t per_round;
    size_t keep;
    unsigned sweeps;
    unsigned first_pairs; /* rounds of pairs for every solution kept */
    unsigned pairs;       /* and for the best of them */
};

struct task {
    const struct brim_layer *layer;
    brim_layer_solution *out;
    const brim_layer_solution *axe;
    struct plan plan;
};

/* A block of channels being searched. */
struct search {
    const struct brim_layer *layer;
    const struct plan *plan;
    struct brim_arena arena;
    struct channel *channel; /* [n] */
    size_t n;
    struct brim_sweep sweep;
    struct brim_lane lane[LANES];
    struct channel *owner[LANES];
    int point[LANES], shape[LANES];
    size_t lanes;
};

static struct plan make_plan(const struct brim_layer *l)
{
    const double k = (double)l->k;
    const double scale = l->par.effort >= 2 ? 8.0 : 1.0;
    double lanes = BUDGET * scale / ((double)l->n * k * (k + 64.0));
    struct plan p = {.block = 1, .sweeps = 8};

    if (l->par.effort == 0) {
        return (struct plan){.block = LANES, .coarse = 1, .keep = 2, .sweeps = 4};
    }
    lanes = lanes < 400.0 ? lanes : 400.0;
    p.coarse = lanes >= 96.0 ? 24 : lanes >= 16.0 ? 10 : 3;
    p.per_round = lanes >= 48.0 ? 8 : lanes >= 16.0 ? 4 : 1;
    p.rounds = lanes >= 48.0 ? 8 : lanes >= 16.0 ? 4 : lanes >= 6.0 ? 3 : 2;
    p.keep = lanes >= 48.0 ? (l->par.effort >= 2 ? KEEP : KEEP / 2) : lanes >= 16.0 ? 2 : 1;
    p.sweeps = lanes >= 16.0 ? 12 : 3;
    p.pairs = lanes >= 96.0 ? 12 : lanes >= 48.0 ? 2 : 0;
    p.first_pairs = lanes >= 96.0 ? (l->par.effort >= 2 ? 12 : 2) : 0;
    p.block = brim_max_size(1, LANES / brim_max_size(p.coarse, p.per_round));
    p.block = brim_min_size(p.block, brim_max_size(1, (l->n + 7) / 8));
    return p;
}

/* The scale at which the real weights just fit every register. */
static double binding_scale(const struct brim_layer *l, size_t c, double *room)
{
    const struct brim_budget_plan *plan = &l->plan;
    double worst = 0.0;

    for (size_t i = 0; i < 2 * plan->n_registers; i++) {
        room[i] = 0.0;
    }
    for (size_t t = 0; t < l->k; t++) {
        const double unit = brim_layer_unit(l, c, l->order[t]);
        const double w = unit > 0.0 ? l->target[t * l->n + c] / unit : 0.0;
        const double nu = (double)plan->x_max;
        const double mu = (double)plan->x_min;
        for (size_t i = 0; i < plan->n_limits; i++) {
            double *r = room + 2 * (plan->limit[i].first + l->order[t] / plan->limit[i].tile);
            r[0] += w > 0.0 ? w * nu : w * mu;
            r[1] += w > 0.0 ? w * mu : w * nu;
        }
    }
    for (size_t i = 0; i < plan->n_limits; i++) {
        const struct brim_limit *m = &plan->limit[i];
        for (size_t g = m->first; g < m->first + m->count; g++) {
            const double up = room[2 * g] / (double)m->hi;
            const double dn = room[2 * g + 1] / (double)m->lo;
            worst = up > worst ? up : worst;
            worst = dn > worst ? dn : worst;
        }
    }
    return worst;
}

/* The channel's grid: from below both the largest-weight and the binding scale to above both. */
static void make_grid(const struct brim_layer *l, struct channel *ch, double binding)
{
    const double full = l->w_max[ch->index] / (double)l->qmax;
    const double low = 0.6 * full > 0.15 * binding ? 0.6 * full : 0.15 * binding;
    double high = 1.4 * full > 1.3 * binding ? 1.4 * full : 1.3 * binding;

    high = high < 2.0 * l->w_max[ch->index] ? high : 2.0 * l->w_max[ch->index];
    ch->s0 = low;
    ch->low = 0;
    ch->high = 0;
    double s = low * RATIO;
    while (s <= high && ch->high + 1 < MAX_GRID) {
        s *= RATIO;
        ch->high++;
    }
}

static double grid_scale(const struct channel *ch, int point)
{
    double s = ch->s0;

    for (int i = 0; i < point; i++) {
        s *= RATIO;
    }
    for (int i = 0; i > point; i--) {
        s /= RATIO;
    }
    return (double)brim_layer_scale(s, 1);
}

/* ---- lanes ---- */

static void keep(struct search *s, struct channel *ch, size_t j)
{
    const double err = s->sweep.cost[j];
    struct kept *slot = NULL;

    if (ch->n_kept < s->plan->keep) {
        slot = &ch->kept[ch->n_kept++];
    } else {
        for (size_t i = 0; i < ch->n_kept; i++) {
            if (err < ch->kept[i].err && (slot == NULL || ch->kept[i].err > slot->err)) {
                slot = &ch->kept[i];
            }
        }
    }
    if (slot != NULL) {
        slot->err = err;
        slot->scale = s->lane[j].scale;
        brim_sweep_codes(&s->sweep, j, slot->q);
    }
}

/* Solve the lanes gathered so far and hand their results to their channels. */
static brim_status flush(struct search *s)
{
    if (s->lanes == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_sweep_load(s->layer, &s->sweep, s->lane, s->lanes));
    brim_sweep_run(&s->sweep);
    brim_sweep_cost(s->layer, &s->sweep, s->lane);
    for (size_t j = 0; j < s->lanes; j++) {
        struct channel *ch = s->owner[j];
        if (s->sweep.cost[j] < ch->err) {
            ch->err = s->sweep.cost[j];
            ch->best = s->point[j];
            ch->shape = s->shape[j];
        }
        keep(s, ch, j);
    }
    s->lanes = 0;
    return BRIM_OK;
}

/* Add a lane unless the point was tried or is off the grid. */
static brim_status probe(struct search *s, struct channel *ch, int point, int shape)
{
    const double w_max = s->layer->w_max[ch->index];
    double scale;
    double cap = (double)s->layer->qmax;

    if (point < ch->low || point > ch->high || shape < 0 || shape >= SHARES ||
        (ch->seen[shape][point / 64] >> (point % 64) & 1U) != 0) {
        return BRIM_OK;
    }
    ch->seen[shape][point / 64] |= UINT64_C(1) << (point % 64);
    scale = grid_scale(ch, point);
    if (shape > 0) {
        const double c = brim_rint(share[shape] * w_max / scale);
        if (c >= cap || c < 1.0) {
            return BRIM_OK;
        }
        cap = c;
    }
    s->lane[s->lanes] = (struct brim_lane){ch->index, scale, cap};
    s->owner[s->lanes] = ch;
    s->point[s->lanes] = point;
    s->shape[s->lanes] = shape;
    if (++s->lanes == LANES) {
        return flush(s);
    }
    return BRIM_OK;
}

static brim_status coarse(struct search *s)
{
    for (size_t c = 0; c < s->n; c++) {
        struct channel *ch = &s->channel[c];
        const int span = ch->high - ch->low;
        const int count = (int)s->plan->coarse;
        int step = count > 1 ? (span + count - 2) / (count - 1) : span + 1;

        step = s->plan->coarse >= 10 ? (step > COARSE ? step : COARSE) : step;
        step = step > 0 ? step : 1;
        for (int i = ch->low; i <= ch->high; i += step) {
            BRIM_TRY(probe(s, ch, i, 0));
        }
    }
    return flush(s);
}

/* Neighbours of the channel's best, nearest first. */
static const struct {
    int point, shape;
} neighbour[] = {{-2, 0}, {2, 0},   {0, 1}, {0, -1}, {-1, 0}, {1, 0}, {-1, 1}, {1, -1},
                 {1, 1},  {-1, -1}, {0, 2}, {3, 0},  {-3, 0}, {3, 1}, {-3, -1}};

static brim_status refine(struct search *s)
{
    for (size_t round = 0; round < s->plan->rounds; round++) {
        for (size_t c = 0; c < s->n; c++) {
            struct channel *ch = &s->channel[c];
            const int point = ch->best;
            const int shape = ch->shape;
            size_t added = 0;
            for (size_t i = 0; i < sizeof neighbour / sizeof neighbour[0]; i++) {
                const size_t before = s->lanes;
                if (added == s->plan->per_round) {
                    break;
                }
                BRIM_TRY(probe(s, ch, point + neighbour[i].point, shape + neighbour[i].shape));
                added += s->lanes != before ? 1 : 0;
            }
        }
        BRIM_TRY(flush(s));
    }
    return BRIM_OK;
}

/* ---- polishing ---- */

struct bench {
    double *w, *hw, *e, *g; /* [n or rows][k] */
    double *one;            /* [k] units of a layer without any */
    double *scratch;        /* [4 k] */
    struct brim_room *room;
    int16_t *q;
};

static brim_status make_bench(struct search *s, struct bench *b, size_t rows)
{
    const size_t k = s->layer->k;

    b->w = brim_arena_alloc(&s->arena, s->n * k, sizeof(double));
    b->hw = brim_arena_alloc(&s->arena, s->n * k, sizeof(double));
    b->e = brim_arena_alloc(&s->arena, rows * k, sizeof(double));
    b->g = brim_arena_alloc(&s->arena, rows * k, sizeof(double));
    b->one = brim_arena_alloc(&s->arena, k, sizeof(double));
    b->scratch = brim_arena_alloc(&s->arena, 4 * k, sizeof(double));
    b->q = brim_arena_alloc(&s->arena, k, sizeof(int16_t));
    b->room = brim_arena_alloc(&s->arena, s->layer->plan.n_registers + 1, sizeof *b->room);
    if (b->w == NULL || b->hw == NULL || b->e == NULL || b->g == NULL || b->one == NULL ||
        b->scratch == NULL || b->q == NULL || b->room == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < k; i++) {
        b->one[i] = 1.0;
    }
    return BRIM_OK;
}

/* y[rows][k] = x[rows][k] H */
static void times_h(const struct brim_layer *l, size_t rows, const double *x, double *y)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)rows, (blasint)l->k,
                (blasint)l->k, 1.0, x, (blasint)l->k, l->p->h, (blasint)l->k, 0.0, y,
                (blasint)l->k);
}

/* Polish one kept solution of a channel; fills kept->err, scale, q. */
static void polish_kept(struct search *s, const struct bench *b, size_t c, size_t row,
                        unsigned pairs, struct kept *kept)
{
    const struct brim_layer *l = s->layer;
    struct brim_polish p = {.plan = &l->plan,
                            .k = l->k,
                            .qmax = l->qmax,
                            .h = l->p->h,
                            .w = b->w + c * l->k,
                            .hw = b->hw + c * l->k,
                            .unit = l->unit != NULL ? l->unit + s->channel[c].index * l->k : b->one,
                            .norm = l->norm[s->channel[c].index],
                            .sweeps = s->plan->sweeps,
                            .pairs = pairs,
                            .g = b->g + row * l->k,
                            .q = kept->q,
                            .scale = (float)kept->scale,
                            .room = b->room,
                            .scratch = b->scratch};

    brim_polish_run(&p);
    kept->err = p.err;
    kept->scale = (double)p.scale;
}

/* AXE's solution takes a free place or the worst one's, unless there is only one. */
static void take_axe(const struct task *task, struct channel *ch)
{
    const size_t k = task->layer->k;
    struct kept *slot = &ch->kept[0];

    if (task->plan.keep < 2) {
        return;
    }
    if (ch->n_kept < task->plan.keep) {
        slot = &ch->kept[ch->n_kept++];
    } else {
        for (size_t i = 1; i < ch->n_kept; i++) {
            slot = ch->kept[i].err > slot->err ? &ch->kept[i] : slot;
        }
    }
    slot->scale = (double)task->axe->scale[ch->index];
    for (size_t i = 0; i < k; i++) {
        slot->q[i] = task->axe->codes[ch->index * k + i];
    }
}

static void load_rows(struct search *s, const struct bench *b)
{
    const struct brim_layer *l = s->layer;
    size_t row = 0;

    for (size_t c = 0; c < s->n; c++) {
        const struct channel *ch = &s->channel[c];
        double *w = b->w + c * l->k;
        for (size_t t = 0; t < l->k; t++) {
            w[l->order[t]] = l->target[t * l->n + ch->index];
        }
        for (size_t i = 0; i < ch->n_kept; i++, row++) {
            for (size_t t = 0; t < l->k; t++) {
                b->e[row * l->k + t] = ch->kept[i].scale * brim_layer_unit(l, ch->index, t) *
                                           (double)ch->kept[i].q[t] -
                                       w[t];
            }
        }
    }
    times_h(l, s->n, b->w, b->hw);
    times_h(l, row, b->e, b->g);
}

static brim_status polish_all(struct task *task, struct search *s)
{
    const struct brim_layer *l = s->layer;
    struct bench b;
    size_t row = 0;

    for (size_t c = 0; c < s->n; c++) {
        take_axe(task, &s->channel[c]);
        row += s->channel[c].n_kept;
    }
    BRIM_TRY(make_bench(s, &b, row));
    load_rows(s, &b);
    row = 0;
    for (size_t c = 0; c < s->n; c++) {
        struct channel *ch = &s->channel[c];
        struct kept *best = &ch->kept[0];
        const size_t base = row;
        for (size_t i = 0; i < ch->n_kept; i++, row++) {
            polish_kept(s, &b, c, row, s->plan->first_pairs, &ch->kept[i]);
            best = ch->kept[i].err < best->err ? &ch->kept[i] : best;
        }
        if (s->plan->pairs > 0) {
            polish_kept(s, &b, c, base + (size_t)(best - ch->kept), s->plan->pairs, best);
        }
        task->out->scale[ch->index] = (float)best->scale;
        for (size_t t = 0; t < l->k; t++) {
            task->out->codes[ch->index * l->k + t] = best->q[t];
        }
    }
    return BRIM_OK;
}

/* ---- a block of channels ---- */

static brim_status start_block(struct task *task, struct search *s, size_t first)
{
    const struct brim_layer *l = task->layer;
    double *room = brim_arena_alloc(&s->arena, 2 * l->plan.n_registers + 1, sizeof(double));

    s->channel = brim_arena_zalloc(&s->arena, s->n, sizeof *s->channel);
    if (room == NULL || s->channel == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < s->n; c++) {
        struct channel *ch = &s->channel[c];
        ch->index = first + c;
        ch->err = HUGE_VAL;
        for (size_t i = 0; i < task->plan.keep; i++) {
            ch->kept[i].q = brim_arena_alloc(&s->arena, l->k, sizeof(int16_t));
            if (ch->kept[i].q == NULL) {
                return BRIM_ERR_NOMEM;
            }
        }
        if (l->w_max[ch->index] > 0.0 && task->plan.rounds == 0) {
            ch->s0 = (double)brim_layer_scale(l->w_max[ch->index], l->qmax);
        } else if (l->w_max[ch->index] > 0.0) {
            make_grid(l, ch, binding_scale(l, ch->index, room));
        } else {
            ch->s0 = 1.0;
        }
    }
    return brim_sweep_create(l, &s->arena, LANES, BRIM_BUDGET_EXACT, &s->sweep);
}

static brim_status search_block(struct task *task, struct search *s, size_t first)
{
    BRIM_TRY(start_block(task, s, first));
    BRIM_TRY(coarse(s));
    BRIM_TRY(refine(s));
    return polish_all(task, s);
}

static brim_status block_body(void *arg, size_t i, int worker)
{
    struct task *task = arg;
    const size_t first = i * task->plan.block;
    struct search *s = brim_alloc(task->layer->ctx, 1, sizeof *s);
    brim_status status;

    (void)worker;
    if (s == NULL) {
        return BRIM_ERR_NOMEM;
    }
    s->layer = task->layer;
    s->plan = &task->plan;
    s->n = brim_min_size(task->plan.block, task->layer->n - first);
    s->lanes = 0;
    brim_arena_init(&s->arena, task->layer->ctx);
    status = search_block(task, s, first);
    brim_arena_free(&s->arena);
    brim_free(task->layer->ctx, s);
    return status;
}

/* Channel by channel the better of the two, by the layer's own error. */
static brim_status keep_better(const struct brim_layer *l, const brim_layer_solution *axe,
                               brim_layer_solution *out)
{
    double *err = brim_alloc(l->ctx, l->n, 2 * sizeof(double));
    brim_status status;

    if (err == NULL) {
        return BRIM_ERR_NOMEM;
    }
    status = brim_solution_errors(l, axe, err);
    if (status == BRIM_OK) {
        status = brim_solution_errors(l, out, err + l->n);
    }
    for (size_t c = 0; status == BRIM_OK && c < l->n; c++) {
        if (err[c] < err[l->n + c]) {
            out->scale[c] = axe->scale[c];
            for (size_t t = 0; t < l->k; t++) {
                out->codes[c * l->k + t] = axe->codes[c * l->k + t];
            }
        }
    }
    brim_free(l->ctx, err);
    return status;
}

brim_status brim_solve_exact(const struct brim_layer *layer, brim_layer_solution *out)
{
    struct brim_arena a;
    brim_layer_solution axe;
    struct task task = {.layer = layer, .out = out, .axe = &axe, .plan = make_plan(layer)};
    brim_status status = BRIM_ERR_NOMEM;

    brim_arena_init(&a, layer->ctx);
    axe.codes = brim_arena_alloc(&a, layer->n * layer->k, sizeof(int16_t));
    axe.scale = brim_arena_alloc(&a, layer->n, sizeof(float));
    if (axe.codes != NULL && axe.scale != NULL) {
        for (size_t c = 0; c < layer->n; c++) {
            axe.scale[c] = out->scale[c];
        }
        status = brim_solve_plain(layer, BRIM_BUDGET_AXE, &axe);
    }
    if (status == BRIM_OK) {
        status = brim_parallel_for(layer->ctx, (layer->n + task.plan.block - 1) / task.plan.block,
                                   block_body, &task);
    }
    if (status == BRIM_OK) {
        status = keep_better(layer, &axe, out);
    }
    brim_arena_free(&a);
    return status;
}
