/* fix.c - brim_fix(): order channels, repair codes, certify. SPDX-License-Identifier: Apache-2.0
 *
 *     certify -> at risk?  -> order channels (api/fix_order.c)   exact: the same integers
 *                          -> moments of every layer's inputs on the data, when there is some
 *                          -> repair codes (api/fix_repair.c)    layer by layer
 *                          -> new constants (graph/recode.h), certify again
 */
#include "brim/fix.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "api/fix_flow.h"
#include "base/intops.h"
#include "brim/certify.h"
#include "calibrate/calibrate.h"

/* Second moments held at once; more layers take several passes over the data. */
#define PASS_BYTES ((size_t)192 << 20)

void brim_fix_params_init(brim_fix_params *p)
{
    *p = (brim_fix_params){.permute = true};
}

/* ---- the layers and their numbers ---- */

static void *copy(struct brim_arena *a, const void *from, size_t n, size_t size)
{
    void *to = from == NULL ? NULL : brim_arena_alloc(a, n, size);

    return to == NULL ? NULL : memcpy(to, from, n * size);
}

static brim_status load_work(struct brim_fix_flow *f, const struct brim_dot *d,
                             struct brim_fix_work *w)
{
    struct brim_arena *a = &f->arena;

    *w = (struct brim_fix_work){.dot = d, .can = brim_recode_can(f->g, d)};
    w->report = (brim_fix_layer){.name = brim_arena_strdup(a, d->name), .k = d->k, .n = d->n};
    if (!d->codes || d->vector > 0) {
        return w->report.name == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
    }
    w->w = copy(a, d->w, d->n * d->k, sizeof *d->w);
    w->zero = copy(a, d->w_zero, d->n, sizeof *d->w_zero);
    w->scale = copy(a, d->w_scale, d->n, sizeof *d->w_scale);
    w->bias_q = copy(a, d->bias_q, d->n, sizeof *d->bias_q);
    w->bias = copy(a, d->bias, d->n, sizeof *d->bias);
    if (w->report.name == NULL || w->w == NULL || (d->w_zero != NULL && w->zero == NULL) ||
        w->scale == NULL || (d->bias_q != NULL && w->bias_q == NULL) ||
        (d->bias != NULL && w->bias == NULL)) {
        return BRIM_ERR_NOMEM;
    }
    return brim_layer_walk(a, f->params->target, d, &w->walk);
}

/* What the prover says of each layer, by name. */
static void load_risks(struct brim_fix_flow *f, const brim_target_report *r)
{
    for (size_t i = 0; i < f->dots.count; i++) {
        brim_fix_layer *to = &f->work[i].report;
        for (size_t j = 0; j < r->n_layers; j++) {
            const brim_target_layer *l = &r->layers[j];
            if (!l->variable && strcmp(l->name, to->name) == 0) {
                to->registers = l->registers;
                to->at_risk = l->proven ? 0 : l->at_risk > 0 ? l->at_risk : 1;
                to->channels_at_risk = l->channels_at_risk;
            }
        }
    }
}

/* ---- the float model that was quantized ---- */

/* Its weights are those that were quantized: none is off by more than some codes. */
static brim_status check_origin(struct brim_fix_flow *f, const struct brim_fix_work *w,
                                const struct brim_dot *d)
{
    double off = 0.0;

    if (d->codes || d->n != w->dot->n || d->k != w->dot->k) {
        return brim_fail(f->ctx, BRIM_ERR_ARG,
                         "origin: its layer '%s' is not the float layer of '%s'", d->name,
                         w->dot->name);
    }
    for (size_t i = 0; i < d->n * d->k; i++) {
        const double s = (double)w->scale[i / d->k];
        off += fabs((double)d->w_f32[i] / s - (double)w->w[i]);
    }
    return off <= 2.0 * (double)(d->n * d->k)
               ? BRIM_OK
               : brim_fail(f->ctx, BRIM_ERR_ARG,
                           "origin: the weights of '%s' are %.1f codes away from those of '%s'",
                           d->name, off / (double)(d->n * d->k), w->dot->name);
}

static brim_status take_origin(struct brim_fix_flow *f, const struct brim_dots *dots)
{
    if (dots->count != f->dots.count) {
        return brim_fail(f->ctx, BRIM_ERR_ARG, "origin: has %zu dot layers, expected %zu",
                         dots->count, f->dots.count);
    }
    for (size_t i = 0; i < dots->count; i++) {
        struct brim_fix_work *w = &f->work[i];
        if (!w->can) {
            continue;
        }
        BRIM_TRY(check_origin(f, w, &dots->dot[i]));
        w->origin = copy(&f->arena, dots->dot[i].w_f32, w->dot->n * w->dot->k, sizeof(float));
        if (w->origin == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    return BRIM_OK;
}

static brim_status load_origin(struct brim_fix_flow *f)
{
    struct brim_graph *g = NULL;
    struct brim_dots dots = {0};

    if (f->params->origin == NULL) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_graph_clone(f->params->origin, &g));
    brim_status s = brim_graph_canonicalise(g);
    s = s == BRIM_OK ? brim_graph_fold_batchnorm(g) : s;
    s = s == BRIM_OK ? brim_graph_fold_bias(g) : s;
    s = s == BRIM_OK ? brim_graph_infer(g) : s;
    s = s == BRIM_OK ? brim_dots_find(f->ctx, g, &dots) : s;
    s = s == BRIM_OK ? take_origin(f, &dots) : s;
    brim_dots_free(&dots);
    brim_graph_free(g);
    return s;
}

/* ---- repairing ---- */

static brim_status recode(struct brim_fix_flow *f)
{
    for (size_t i = 0; i < f->dots.count; i++) {
        struct brim_fix_work *w = &f->work[i];
        const struct brim_recode r = {
            .w = w->w, .zero = w->zero, .w_scale = w->scale, .bias_q = w->bias_q, .bias = w->bias};
        if (w->touched) {
            BRIM_TRY(brim_recode_dot(f->g, w->dot, &r));
        }
    }
    return BRIM_OK;
}

/* A new order of channels is for all layers that read them: what was safe may not be. */
static bool may_be_at_risk(const struct brim_fix_work *w)
{
    return w->report.at_risk > 0 || w->report.permuted;
}

/* Layers that must change, in turn; a layer that cannot is named. */
static brim_status check_repairable(struct brim_fix_flow *f, const struct brim_fix_work *w)
{
    const char *why =
        !w->can         ? "its weights are not its own, or have scales that this cannot change"
        : !w->walk.fits ? "its codes do not fit the target's operands"
                        : "the target moves its weights' zero point, which this cannot repair";

    if (w->can && w->walk.fits && w->walk.w_type_shift == 0 && w->zero == NULL) {
        return BRIM_OK;
    }
    return brim_fail(f->ctx, BRIM_ERR_UNSUPPORTED, "layer '%s': is at risk, but %s", w->dot->name,
                     why);
}

/* A float value for each input of a layer to be repaired, so that the data can be watched there. */
static brim_status add_watch(struct brim_graph *g, const struct brim_dot *d, int32_t *value)
{
    const struct brim_type real = {BRIM_FLOAT, {.rank = 0}}, code = {d->x_dtype, {.rank = 0}};
    const struct brim_type unknown = {.shape.rank = -1};
    const uint32_t zero = (uint32_t)(int32_t)d->x_zero; /* little-endian: its low bytes */
    const int32_t in[3] = {d->x, brim_graph_add_constant(g, "watch_scale", &real, &d->x_scale),
                           brim_graph_add_constant(g, "watch_zero", &code, &zero)};

    *value = brim_graph_add_value(g, "watch", &unknown);
    return in[1] < 0 || in[2] < 0 || *value < 0 ||
                   brim_graph_add_node(g, "watch", "DequantizeLinear", in, 3, value, 1) == NULL
               ? BRIM_ERR_NOMEM
               : BRIM_OK;
}

/* Layers to repair whose moments fit one pass over the data, and the moments. */
struct pass {
    size_t n;
    size_t *layer; /* numbers of layers */
    struct brim_moments_request *request;
    struct brim_moments *moments;
    struct brim_grid *grid;
};

static brim_status run_pass(struct brim_fix_flow *f, struct pass *p)
{
    struct brim_graph *g = NULL;
    brim_status s = p->n == 0 ? BRIM_OK : brim_graph_clone(f->g, &g);

    for (size_t i = 0; s == BRIM_OK && i < p->n; i++) {
        const struct brim_dot *d = f->work[p->layer[i]].dot;
        int32_t v;
        s = add_watch(g, d, &v);
        p->grid[i] = (struct brim_grid){.dtype = d->x_dtype,
                                        .lo = d->x_min,
                                        .hi = d->x_max,
                                        .zero = d->x_zero,
                                        .scale = d->x_scale};
        p->request[i] = (struct brim_moments_request){
            .dot = d, .float_x = v, .prefix_x = v, .grid = &p->grid[i]};
    }
    s = s == BRIM_OK && p->n > 0 ? brim_graph_sort(g) : s;
    s = s == BRIM_OK && p->n > 0 ? brim_graph_infer(g) : s;
    if (s == BRIM_OK && p->n > 0) {
        s = brim_calibrate_moments(f->ctx, g, g, f->params->calib, p->request, p->n, p->moments);
        for (size_t i = 0; s == BRIM_OK && i < p->n; i++) {
            s = brim_fix_repair(f, &f->work[p->layer[i]], &p->moments[i]);
        }
        brim_moments_free(f->ctx, p->moments, p->n);
    }
    brim_graph_free(g);
    p->n = 0;
    return s;
}

static brim_status repair_with_data(struct brim_fix_flow *f)
{
    const size_t n = f->dots.count;
    struct pass p = {.layer = brim_arena_alloc(&f->arena, n, sizeof *p.layer),
                     .request = brim_arena_alloc(&f->arena, n, sizeof *p.request),
                     .moments = brim_arena_zalloc(&f->arena, n, sizeof *p.moments),
                     .grid = brim_arena_alloc(&f->arena, n, sizeof *p.grid)};
    size_t bytes = 0;

    if (p.layer == NULL || p.request == NULL || p.moments == NULL || p.grid == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        const struct brim_dot *d = f->work[i].dot;
        const size_t need = 2 * sizeof(double) * d->groups * d->k * d->k;
        if (!may_be_at_risk(&f->work[i])) {
            continue;
        }
        if (p.n > 0 && need > PASS_BYTES - bytes) {
            BRIM_TRY(run_pass(f, &p));
            bytes = 0;
        }
        p.layer[p.n++] = i;
        bytes += brim_min_size(need, PASS_BYTES - bytes);
    }
    return run_pass(f, &p);
}

static brim_status repair(struct brim_fix_flow *f)
{
    for (size_t i = 0; i < f->dots.count; i++) {
        if (may_be_at_risk(&f->work[i])) {
            BRIM_TRY(check_repairable(f, &f->work[i]));
        }
    }
    if (f->params->calib != NULL) {
        return repair_with_data(f);
    }
    for (size_t i = 0; i < f->dots.count; i++) {
        if (may_be_at_risk(&f->work[i])) {
            BRIM_TRY(brim_fix_repair(f, &f->work[i], NULL));
            BRIM_TRY(brim_progress(f->ctx, "fix", i + 1, f->dots.count));
        }
    }
    return BRIM_OK;
}

/* ---- the flow ---- */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Layers and numbers of the graph as it is. */
static brim_status find_layers(struct brim_fix_flow *f)
{
    BRIM_TRY(brim_graph_infer(f->g));
    BRIM_TRY(brim_dots_find(f->ctx, f->g, &f->dots));
    f->work = brim_arena_zalloc(&f->arena, f->dots.count + 1, sizeof *f->work);
    if (f->work == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < f->dots.count; i++) {
        BRIM_TRY(load_work(f, &f->dots.dot[i], &f->work[i]));
    }
    return BRIM_OK;
}

/* The model after the channels have their order: the numbers are in the graph, and read again. */
static brim_status reorder(struct brim_fix_flow *f)
{
    struct brim_dots dots;

    BRIM_TRY(brim_fix_reorder(f));
    BRIM_TRY(recode(f));
    BRIM_TRY(brim_graph_infer(f->g));
    BRIM_TRY(brim_dots_find(f->ctx, f->g, &dots));
    brim_dots_free(&f->dots);
    f->dots = dots;
    for (size_t i = 0; i < dots.count; i++) {
        struct brim_fix_work *w = &f->work[i];
        w->dot = &f->dots.dot[i];
        w->touched = false;
        if (w->dot->codes && w->dot->vector == 0) {
            BRIM_TRY(brim_layer_walk(&f->arena, f->params->target, w->dot, &w->walk));
        }
    }
    return BRIM_OK;
}

/* The prover has the last word. */
static brim_status certify(struct brim_fix_flow *f)
{
    brim_target_report *report = NULL;
    const brim_status s = brim_certify_target(f->ctx, f->g, f->params->target, &report);

    brim_target_report_free(report);
    return s == BRIM_ERR_REFUTED
               ? brim_fail_at(f->ctx, BRIM_ERR_UNSUPPORTED, "cannot be made safe by its weights")
               : s;
}

static brim_status run_flow(struct brim_fix_flow *f, const brim_target_report *before)
{
    BRIM_TRY(find_layers(f));
    load_risks(f, before);
    BRIM_TRY(load_origin(f));
    if (f->params->permute && f->params->method == BRIM_FIX_SEARCH &&
        !f->params->target->any_order) {
        BRIM_TRY(reorder(f));
    }
    BRIM_TRY(repair(f));
    BRIM_TRY(recode(f));
    BRIM_TRY(brim_graph_prune_dead(f->g));
    BRIM_TRY(brim_graph_infer(f->g));
    return certify(f);
}

/* ---- the report ---- */

struct report {
    brim_fix_report pub; /* first: the caller's pointer is ours */
    struct brim_arena arena;
};

static brim_status make_report(const struct brim_fix_flow *f, double seconds, brim_fix_report **out)
{
    struct report *r = brim_zalloc(f->ctx, 1, sizeof *r);
    size_t n = 0;

    if (r == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&r->arena, f->ctx);
    brim_fix_layer *layers = brim_arena_zalloc(&r->arena, f->dots.count + 1, sizeof *layers);
    bool ok = layers != NULL;
    for (size_t i = 0; ok && i < f->dots.count; i++) {
        if (f->work[i].dot->codes) {
            layers[n] = f->work[i].report;
            layers[n].name = brim_arena_strdup(&r->arena, layers[n].name);
            r->pub.bits_lost += layers[n].bits_lost;
            r->pub.bits_reduce_range += layers[n].bits_reduce_range;
            ok = layers[n++].name != NULL;
        }
    }
    if (!ok) {
        brim_fix_report_free(&r->pub);
        return BRIM_ERR_NOMEM;
    }
    r->pub.n_layers = n;
    r->pub.layers = layers;
    r->pub.bits_lost /= n > 0 ? (double)n : 1.0;
    r->pub.bits_reduce_range /= n > 0 ? (double)n : 1.0;
    r->pub.seconds = seconds;
    *out = &r->pub;
    return BRIM_OK;
}

void brim_fix_report_free(brim_fix_report *report)
{
    struct report *r = (struct report *)(void *)report;

    if (r != NULL) {
        brim_ctx *ctx = r->arena.ctx;
        brim_arena_free(&r->arena);
        brim_free(ctx, r);
    }
}

brim_status brim_fix(brim_ctx *ctx, const brim_graph *graph, const brim_fix_params *params,
                     brim_graph **out, brim_fix_report **report)
{
    const double start = now();
    struct brim_fix_flow f = {.ctx = ctx, .params = params};
    brim_target_report *before = NULL;

    brim_clear_error(ctx);
    *out = NULL;
    brim_status s = brim_certify_target(ctx, graph, params->target, &before);
    if (s != BRIM_OK && s != BRIM_ERR_REFUTED) {
        return s;
    }
    brim_clear_error(ctx);
    brim_arena_init(&f.arena, ctx);
    s = brim_graph_clone(graph, &f.g);
    s = s == BRIM_OK ? run_flow(&f, before) : s;
    if (s == BRIM_OK && report != NULL) {
        s = make_report(&f, now() - start, report);
    }
    if (s == BRIM_OK) {
        *out = f.g;
        f.g = NULL;
    }
    brim_target_report_free(before);
    brim_dots_free(&f.dots);
    brim_graph_free(f.g);
    brim_arena_free(&f.arena);
    return s;
}
