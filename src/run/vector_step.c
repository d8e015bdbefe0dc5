/* vector_step.c - dot layers whose vectors have integer scales. SPDX-License-Identifier: Apache-2.0
 *
 * docs/semantics.md section 11: sum over vectors of factor * sum in the vector. Where no input can
 * overflow a register, that is the plain sum of (factor * code) * x, so such a layer runs like any
 * other with these products as its weights, if they are bytes as products of 4-bit codes and 4-bit
 * scales are. What the first registers were near is counted apart, on the codes themselves. Other
 * layers are left to the kernels' vectors: larger factors, floats, scales that inputs bring.
 */
#include "base/intops.h"
#include "run/step.h"

/* The registers that are integers: with float scales those up to the vectors', and a wide one. */
static brim_datapath integers(const struct brim_dot *d, const brim_datapath *dp)
{
    brim_datapath to = *dp;
    size_t last = 0;

    while (last + 1 < dp->n_stages && dp->stage[last].tile != d->vector) {
        last++;
    }
    if (last + 1 < dp->n_stages) {
        to.stage[last + 1] = (brim_stage){.width = 64};
        to.n_stages = last + 2;
    }
    return to;
}

/* No register can leave its range, whatever the inputs and their scales. */
static brim_status is_safe(brim_ctx *ctx, const struct brim_dot_step *s, bool *safe)
{
    const struct brim_dot *d = s->dot;
    const int64_t x_min = brim_min_i64(d->x_min, d->x_zero);
    const int64_t x_max = brim_max_i64(d->x_max, d->x_zero);

    *safe = true;
    if (s->datapath == NULL) {
        return BRIM_OK;
    }
    const brim_datapath dp = d->factor == NULL ? integers(d, s->datapath) : *s->datapath;
    for (size_t c = 0; c < d->n && *safe; c++) {
        brim_factors buffer;
        unsigned need[BRIM_MAX_STAGES];
        BRIM_TRY(brim_datapath_need_scaled(ctx, &dp, brim_dot_factors(d, c, &buffer),
                                           d->w + c * d->k, d->k, x_min, x_max, need, NULL));
        *safe = brim_datapath_fits(&dp, need);
    }
    return BRIM_OK;
}

/* Codes times factors are weights that the fastest kernels take. */
static bool is_bytes(const struct brim_dot *d)
{
    const size_t vectors = brim_dot_vectors(d);
    bool bytes = d->factor != NULL && d->x_scale_bits == 0;

    for (size_t i = 0; bytes && i < d->n * d->k; i++) {
        const int64_t w =
            (int64_t)d->w[i] * (int64_t)d->factor[i / d->k * vectors + i % d->k / d->vector];
        bytes = w >= INT8_MIN && w <= INT8_MAX;
    }
    return bytes;
}

/* The layer with products for weights. */
static const struct brim_dot *multiplied(struct brim_plan *plan, const struct brim_dot *d)
{
    const size_t vectors = brim_dot_vectors(d);
    struct brim_dot *to = brim_arena_alloc(&plan->arena, 1, sizeof *to);
    int32_t *w = brim_arena_alloc(&plan->arena, d->n * d->k, sizeof *w);

    if (to == NULL || w == NULL) {
        return NULL;
    }
    for (size_t c = 0; c < d->n; c++) {
        for (size_t i = 0; i < d->k; i++) {
            w[c * d->k + i] = d->w[c * d->k + i] * (int32_t)d->factor[c * vectors + i / d->vector];
        }
    }
    *to = *d;
    to->w = w;
    to->vector = 0;
    to->factor = NULL;
    return to;
}

/* Counts of the registers up to the vectors; those behind them are wide enough. */
static brim_status make_counter(struct brim_plan *plan, struct brim_dot_step *s,
                                const struct brim_dot *d)
{
    const brim_datapath dp = integers(d, s->datapath);
    const struct brim_dot_kernel_params p = {.w = d->w,
                                             .n = d->n,
                                             .k = d->k,
                                             .groups = d->groups,
                                             .x_min = brim_min_i64(d->x_min, d->x_zero),
                                             .x_max = brim_max_i64(d->x_max, d->x_zero),
                                             .datapath = &dp,
                                             .count = true};
    return brim_dot_kernel_create(plan->ctx, &p, &s->counter);
}

struct brim_dot_vectors brim_dot_step_scales(const struct brim_dot_step *s)
{
    const struct brim_dot *d = s->dot;

    return d->vector == 0 ? (struct brim_dot_vectors){.length = 0}
                          : (struct brim_dot_vectors){
                                .length = d->vector,
                                .factor = d->factor,
                                .w_code = d->x_scale_bits > 0 ? d->w_code : NULL,
                                .shift = d->x_scale_bits > 0 ? d->product_shift : 0,
                                .scale = d->factor == NULL ? d->w_scale : NULL,
                            };
}

brim_status brim_dot_step_vectors(struct brim_plan *plan, struct brim_dot_step *s)
{
    const struct brim_dot *d = s->dot;
    bool safe;

    if (d->vector == 0) {
        return BRIM_OK;
    }
    const brim_status status = is_safe(plan->ctx, s, &safe);
    if (status != BRIM_OK) {
        return brim_fail_at(plan->ctx, status, "layer '%s'", d->name);
    }
    if (!safe) {
        return BRIM_OK;
    }
    s->total = is_bytes(d);
    s->dot = s->total ? multiplied(plan, d) : d;
    if (s->dot == NULL) {
        return BRIM_ERR_NOMEM;
    }
    return plan->count && s->datapath != NULL ? make_counter(plan, s, d) : BRIM_OK;
}

brim_status brim_dot_step_reals(struct brim_plan *plan, struct brim_dot_step *s)
{
    const struct brim_dot *d = s->dot;
    const size_t vectors = brim_dot_vectors(d);
    double *offset = brim_arena_alloc(&plan->arena, d->n, sizeof *offset);

    if (offset == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < d->n; c++) {
        double sum = 0.0;
        for (size_t g = 0; g < vectors; g++) {
            int64_t codes = 0;
            for (size_t k = g * d->vector; k < brim_min_size((g + 1) * d->vector, d->k); k++) {
                codes += d->w[c * d->k + k];
            }
            sum += (double)d->w_scale[c * vectors + g] * (double)(d->x_zero * codes);
        }
        offset[c] = -sum;
    }
    s->real_offset = offset;
    s->bias = d->bias;
    return BRIM_OK;
}
