/* fix_repair.c - new codes for the outputs of one layer that are at risk. SPDX-License-Identifier:
 * Apache-2.0 */
#include <math.h>
#include <string.h>

#include "api/fix_flow.h"
#include "base/intops.h"
#include "base/parallel.h"
#include "calibrate/calibrate.h"
#include "quantize/repair.h"

struct repair {
    struct brim_fix_flow *f;
    struct brim_fix_work *work;
    const struct brim_moments *moments;
    struct brim_arena arena;
    size_t slots;
    const int32_t *slot; /* [slots] K index, -1 = padding */
    uint8_t *padding;
    const double **h; /* [groups][slots][slots] or NULL */
    struct brim_repair_layer layer;
    struct brim_repair *out; /* [n] */
    double *plain;           /* [n] error of the codes that were, in units of their scale squared */
};

/* Second moments in the target's order, of one group. */
static const double *order_moments(struct repair *r, size_t group)
{
    const size_t k = r->work->dot->k, n = r->slots;
    const double *h = r->moments->h + group * k * k;
    double *to = brim_arena_zalloc(&r->arena, n * n, sizeof *to);

    for (size_t i = 0; to != NULL && i < n; i++) {
        for (size_t j = 0; r->slot[i] >= 0 && j < n; j++) {
            if (r->slot[j] >= 0) {
                to[i * n + j] = h[(size_t)r->slot[i] * k + (size_t)r->slot[j]];
            }
        }
    }
    return to;
}

/* Codes that any T of one sign may have together: all that is known where the order is not. */
static int64_t cap_of_any_order(const struct brim_layer_walk *walk)
{
    const brim_stage *s = &walk->target->datapath.stage[0];
    const int64_t reach = brim_max_i64(walk->x_max, -walk->x_min);

    return reach > 0 ? brim_register_max(s->width) / reach / (int64_t)walk->tile : INT16_MAX;
}

/* The budget: the target's registers in the target's order. */
static brim_status compile(struct repair *r)
{
    const struct brim_layer_walk *walk = &r->work->walk;
    const int64_t x[2] = {brim_min_i64(walk->x_min, 0), brim_max_i64(walk->x_max, 0)};
    brim_datapath dp = walk->target->datapath;
    int64_t lo, hi;

    brim_dtype_range(r->work->dot->w_dtype, &lo, &hi);
    r->layer.half = (hi + 1) / 2;
    r->layer.least = brim_max_i64(lo, walk->target->weight.min);
    r->layer.qmax = brim_min_i64(hi, walk->target->weight.max);
    if (walk->target->any_order && dp.n_stages > 1) {
        r->layer.qmax = brim_min_i64(r->layer.qmax, cap_of_any_order(walk));
        r->layer.least = -r->layer.qmax;
        dp.n_stages--;
        memmove(dp.stage, dp.stage + 1, dp.n_stages * sizeof *dp.stage);
    }
    return brim_budget_compile(r->f->ctx, &dp, r->slots, -lo, x, &r->layer.plan);
}

static brim_status prepare(struct repair *r)
{
    const struct brim_dot *d = r->work->dot;

    r->slot = r->work->walk.k;
    r->slots = r->work->walk.slots;
    r->padding = brim_arena_alloc(&r->arena, r->slots, 1);
    r->out = brim_arena_zalloc(&r->arena, d->n, sizeof *r->out);
    r->plain = brim_arena_zalloc(&r->arena, d->n, sizeof *r->plain);
    r->h = brim_arena_zalloc(&r->arena, d->groups, sizeof *r->h);
    if (r->padding == NULL || r->out == NULL || r->plain == NULL || r->h == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < r->slots; i++) {
        r->padding[i] = r->slot[i] < 0;
    }
    for (size_t g = 0; r->moments != NULL && g < d->groups; g++) {
        r->h[g] = order_moments(r, g);
        if (r->h[g] == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    r->layer.k = r->slots;
    r->layer.padding = r->padding;
    r->layer.rescale = brim_recode_scales(r->f->g, d);
    return compile(r);
}

/* D H D^T of the codes that were, against the float weights. */
static double plain_error(const struct brim_repair_layer *l, const struct brim_repair *out)
{
    double sum = 0.0;

    for (size_t i = 0; i < l->k; i++) {
        const double d = (double)out->was[i] - out->w[i];
        double row = l->h == NULL ? d : 0.0;
        for (size_t j = 0; l->h != NULL && d != 0.0 && j < l->k; j++) {
            row += l->h[i * l->k + j] * ((double)out->was[j] - out->w[j]);
        }
        sum += l->padding[i] ? 0.0 : d * row;
    }
    return sum > 0.0 ? sum : 0.0;
}

static brim_status repair_output(void *arg, size_t c, int worker)
{
    struct repair *r = arg;
    const struct brim_dot *d = r->work->dot;
    const size_t k = d->k, group = c / (d->n / d->groups);
    struct brim_repair_layer layer = r->layer;
    struct brim_repair *out = &r->out[c];
    struct brim_arena arena;

    (void)worker;
    brim_arena_init(&arena, r->f->ctx);
    layer.h = r->h[group];
    int32_t *was = brim_arena_zalloc(&arena, r->slots, sizeof *was);
    double *w = brim_arena_zalloc(&arena, r->slots, sizeof *w);
    int16_t *q = brim_arena_zalloc(&arena, r->slots, sizeof *q);
    brim_status status = was == NULL || w == NULL || q == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
    for (size_t i = 0; status == BRIM_OK && i < r->slots; i++) {
        if (r->slot[i] >= 0) {
            const size_t at = c * k + (size_t)r->slot[i];
            was[i] = r->work->w[at];
            w[i] = r->work->origin == NULL
                       ? (double)was[i]
                       : (double)r->work->origin[at] / (double)r->work->scale[c];
        }
    }
    out->was = was;
    out->w = w;
    out->q = q;
    if (status == BRIM_OK) {
        r->plain[c] = plain_error(&layer, out);
        status = r->f->params->method == BRIM_FIX_REDUCE_RANGE
                     ? brim_repair_halve(r->f->ctx, &layer, out)
                     : brim_repair_run(r->f->ctx, &layer, out);
    }
    for (size_t i = 0; status == BRIM_OK && i < r->slots; i++) {
        if (r->slot[i] >= 0) {
            r->work->w[c * k + (size_t)r->slot[i]] = q[i]; /* was is kept below */
        }
    }
    out->was = NULL;
    out->w = NULL;
    out->q = NULL;
    brim_arena_free(&arena);
    return status;
}

/* Biases in the new units, and what the outputs' means have lost put back. */
static void correct_bias(struct repair *r, const int32_t *was, const float *old_scale)
{
    struct brim_fix_work *work = r->work;
    const struct brim_dot *d = work->dot;

    for (size_t c = 0; c < d->n; c++) {
        const double *mean =
            r->moments == NULL ? NULL : r->moments->mean_q + c / (d->n / d->groups) * d->k;
        double lost = 0.0;
        for (size_t i = 0; mean != NULL && i < d->k; i++) {
            lost += ((double)was[c * d->k + i] * (double)old_scale[c] -
                     (double)work->w[c * d->k + i] * (double)work->scale[c]) *
                    mean[i];
        }
        if (work->bias_q != NULL) {
            const double unit = (double)d->x_scale * (double)old_scale[c];
            const double q = rint(((double)work->bias_q[c] * unit + lost) /
                                  ((double)d->x_scale * (double)work->scale[c]));
            work->bias_q[c] = q >= INT32_MAX ? INT32_MAX : q <= INT32_MIN ? INT32_MIN : (int32_t)q;
        }
        if (work->bias != NULL) {
            work->bias[c] = (float)((double)work->bias[c] + lost);
        }
    }
}

static double bits(double error, double base)
{
    return base > 0.0 && error > base ? 0.5 * log2(error / base) : 0.0;
}

/* What has changed, and what it costs. */
static void report(struct repair *r, const int32_t *was, const float *old_scale)
{
    struct brim_fix_work *work = r->work;
    const struct brim_dot *d = work->dot;
    const bool known = work->origin != NULL;
    double error = 0.0, halved = 0.0, base = 0.0;

    for (size_t c = 0; c < d->n; c++) {
        const struct brim_repair *out = &r->out[c];
        const double rounding = known ? 0.0 : out->expected;
        error += out->error + rounding;
        halved += out->halved + rounding;
        base += known ? r->plain[c] : out->expected;
        work->report.scales_changed += work->scale[c] != old_scale[c] ? 1 : 0;
    }
    for (size_t i = 0; i < d->n * d->k; i++) {
        work->report.codes_changed += work->w[i] != was[i] ? 1 : 0;
    }
    work->report.bits_lost = bits(error, base);
    work->report.bits_reduce_range = bits(halved, base);
}

static brim_status run(struct repair *r)
{
    struct brim_fix_work *work = r->work;
    const struct brim_dot *d = work->dot;
    const size_t count = d->n * d->k;

    BRIM_TRY(prepare(r));
    int32_t *was = brim_arena_alloc(&r->arena, count, sizeof *was);
    float *old_scale = brim_arena_alloc(&r->arena, d->n, sizeof *old_scale);
    if (was == NULL || old_scale == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(was, work->w, count * sizeof *was);
    memcpy(old_scale, work->scale, d->n * sizeof *old_scale);
    BRIM_TRY(brim_parallel_for(r->f->ctx, d->n, repair_output, r));
    for (size_t c = 0; c < d->n; c++) {
        work->scale[c] = (float)(r->out[c].scale * (double)work->scale[c]);
    }
    report(r, was, old_scale);
    if (work->report.codes_changed + work->report.scales_changed > 0) {
        correct_bias(r, was, old_scale);
        work->touched = true;
    }
    return BRIM_OK;
}

brim_status brim_fix_repair(struct brim_fix_flow *f, struct brim_fix_work *work,
                            const struct brim_moments *moments)
{
    struct repair r = {.f = f, .work = work, .moments = moments};

    brim_arena_init(&r.arena, f->ctx);
    brim_status status = run(&r);
    brim_arena_free(&r.arena);
    return status == BRIM_OK ? status : brim_fail_at(f->ctx, status, "layer '%s'", work->dot->name);
}
