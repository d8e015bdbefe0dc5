/* quantize.c - brim_quantize(): calibrate, solve and rewrite wave by wave, then certify.
 * SPDX-License-Identifier: Apache-2.0 */
#include "brim/quantize.h"

#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "api/quantize_flow.h"
#include "base/intops.h"

void brim_quantize_params_init(brim_quantize_params *p)
{
    *p = (brim_quantize_params){
        .datapath = {.n_stages = 1, .stage = {{.width = 32}}},
        .abits = 8,
        .input_bits = 8,
        .range_auto = true,
        .percentile = 99.999,
        .bias_correction = true,
    };
    brim_solve_params_init(&p->solve);
    brim_prune_params_init(&p->prune);
}

/* Second moments that one pass may hold: a wave with more takes several passes over the data. */
#define PASS_BYTES ((size_t)192 << 20)

struct pass {
    struct brim_moments_request request[BRIM_MAX_GRIDS];
    struct brim_moments moments[BRIM_MAX_GRIDS];
    struct brim_flow_layer *layer[BRIM_MAX_GRIDS];
    size_t grid[BRIM_MAX_GRIDS];
    size_t n, bytes;
};

/* One pass over the data for what was gathered, then solve it. */
static brim_status run_pass(struct brim_flow *f, struct pass *p)
{
    brim_status s = BRIM_OK;

    if (p->n == 0) {
        return BRIM_OK;
    }
    memset(p->moments, 0, sizeof p->moments);
    s = brim_calibrate_moments(f->ctx, f->source, f->prefix, f->calib, p->request, p->n,
                               p->moments);
    for (size_t i = 0; s == BRIM_OK && i < p->n; i++) {
        s = brim_flow_try(f, p->layer[i], p->grid[i], &p->moments[i]);
    }
    brim_moments_free(f->ctx, p->moments, p->n);
    p->n = 0;
    p->bytes = 0;
    return s;
}

/* Every candidate of one layer joins a pass; a full pass is run. */
static brim_status gather(struct brim_flow *f, struct brim_flow_layer *l, struct pass *p)
{
    const struct brim_dot *d = l->dot;
    const size_t bytes = 2 * sizeof(double) * d->groups * d->k * d->k;
    const char *x = f->source->values[d->x].name;

    for (size_t i = 0; i < l->n_grids; i++) {
        if (p->n == BRIM_MAX_GRIDS || (p->n > 0 && bytes > PASS_BYTES - p->bytes)) {
            BRIM_TRY(run_pass(f, p));
        }
        p->request[p->n] = (struct brim_moments_request){
            .dot = d,
            .float_x = d->x,
            .prefix_x = brim_graph_find_value(f->prefix, x),
            .has_residual = l->residual >= 0,
            .float_residual = l->residual,
            .prefix_residual = l->residual, /* values keep their numbers until the end */
            .grid = &l->grid[i],
        };
        p->layer[p->n] = l;
        p->grid[p->n++] = i;
        p->bytes += brim_min_size(bytes, PASS_BYTES - p->bytes);
    }
    return BRIM_OK;
}

static bool in_wave(const struct brim_flow_layer *l, size_t level)
{
    return !l->keep_float && l->level == level;
}

/* The layers of one level: moments and solutions of all candidates, then the best go in. */
static brim_status run_wave(struct brim_flow *f, size_t level, size_t *done)
{
    struct pass pass = {.n = 0};

    for (size_t i = 0; i < f->dots.count; i++) {
        if (in_wave(&f->layer[i], level)) {
            BRIM_TRY(gather(f, &f->layer[i], &pass));
        }
    }
    BRIM_TRY(run_pass(f, &pass));
    for (size_t i = 0; i < f->dots.count; i++) {
        if (in_wave(&f->layer[i], level)) {
            BRIM_TRY(brim_flow_settle(f, &f->layer[i], &f->record[i]));
            BRIM_TRY(brim_progress(f->ctx, "quantize", ++*done, f->dots.count));
        }
    }
    brim_arena_free(&f->wave);
    BRIM_TRY(brim_graph_sort(f->prefix)); /* the next wave runs on a well-formed prefix */
    return brim_graph_infer(f->prefix);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The report outlives the call, with an arena of its own behind the public part. */
struct report {
    brim_quantize_report pub; /* first: the caller's pointer is ours */
    struct brim_arena arena;
};

static brim_status make_report(const struct brim_flow *f, double seconds,
                               brim_quantize_report **out)
{
    struct report *r = brim_zalloc(f->ctx, 1, sizeof *r);
    struct rusage usage;
    size_t n = 0;

    if (r == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&r->arena, f->ctx);
    brim_quantize_layer *layers = brim_arena_zalloc(&r->arena, f->dots.count, sizeof *layers);
    bool ok = layers != NULL;
    for (size_t i = 0; ok && i < f->dots.count; i++) {
        if (!f->layer[i].keep_float) {
            layers[n] = f->record[i];
            layers[n].name = brim_arena_strdup(&r->arena, f->record[i].name);
            ok = layers[n++].name != NULL;
        }
    }
    if (!ok) {
        brim_quantize_report_free(&r->pub);
        return BRIM_ERR_NOMEM;
    }
    getrusage(RUSAGE_SELF, &usage);
    r->pub = (brim_quantize_report){.n_layers = n,
                                    .layers = layers,
                                    .seconds = seconds,
                                    .peak_rss_mb = (double)usage.ru_maxrss / 1024.0};
    *out = &r->pub;
    return BRIM_OK;
}

void brim_quantize_report_free(brim_quantize_report *report)
{
    struct report *r = (struct report *)(void *)report;

    if (r != NULL) {
        brim_ctx *ctx = r->arena.ctx;
        brim_arena_free(&r->arena);
        brim_free(ctx, r);
    }
}

static brim_status run_flow(struct brim_flow *f, const brim_graph *graph)
{
    size_t done = 0;

    BRIM_TRY(brim_flow_prepare(f, graph));
    BRIM_TRY(brim_flow_find_grids(f));
    for (size_t level = 0; level < f->n_levels; level++) {
        BRIM_TRY(run_wave(f, level, &done));
    }
    return brim_flow_certify(f);
}

brim_status brim_quantize(brim_ctx *ctx, const brim_graph *graph, const brim_data *calib,
                          const brim_quantize_params *params, brim_graph **out,
                          brim_quantize_report **report)
{
    brim_quantize_params defaults;
    const double start = now();

    brim_clear_error(ctx);
    *out = NULL;
    brim_quantize_params_init(&defaults);
    struct brim_flow f = {
        .ctx = ctx, .params = params != NULL ? params : &defaults, .calib = calib};
    BRIM_TRY(brim_flow_check(ctx, f.params));
    brim_flow_init(&f);
    brim_status s = run_flow(&f, graph);
    if (s == BRIM_OK && report != NULL) {
        s = make_report(&f, now() - start, report);
    }
    if (s == BRIM_OK) {
        *out = f.prefix;
        f.prefix = NULL;
    }
    brim_flow_close(&f);
    return s;
}
