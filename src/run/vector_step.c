/* vector_step.c - dot layers whose vectors have integer scales. SPDX-License-Identifier: Apache-2.0
 *
 * docs/semantics.md section 11: sum over vectors of factor * sum in the vector. Where no input can
 * overflow a register, that is the plain sum of (factor * code) * x, so such a layer runs like any
 * other with these products as its weights: 4-bit codes times 4-bit scales are bytes. What the first
 * registers were near is counted apart, on the codes themselves. A layer that some input may overflow
 * is left to the reference.
 */
#include "base/intops.h"
#include "run/step.h"

/* No register can leave its range, and the products are weights that kernels take. */
static brim_status can_multiply(brim_ctx *ctx, const struct brim_dot_step *s, bool *can)
{
    const struct brim_dot *d = s->dot;
    const size_t vectors = brim_dot_vectors(d);
    const int64_t x_min = brim_min_i64(d->x_min, d->x_zero);
    const int64_t x_max = brim_max_i64(d->x_max, d->x_zero);

    *can = true;
    for (size_t c = 0; c < d->n && *can; c++) {
        brim_factors buffer;
        unsigned need[BRIM_MAX_STAGES];
        if (s->datapath != NULL) { /* first: this also tells that the datapath has the vectors */
            BRIM_TRY(brim_datapath_need_scaled(ctx, s->datapath, brim_dot_factors(d, c, &buffer),
                                               d->w + c * d->k, d->k, x_min, x_max, need, NULL));
            *can = brim_datapath_fits(s->datapath, need);
        }
        for (size_t i = 0; i < d->k; i++) {
            const int64_t w =
                (int64_t)d->w[c * d->k + i] * (int64_t)d->factor[c * vectors + i / d->vector];
            *can = *can && w >= INT16_MIN && w <= INT16_MAX;
        }
    }
    return BRIM_OK;
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
    brim_datapath dp = *s->datapath;
    size_t last = 0;

    while (dp.stage[last].tile != d->vector) {
        last++;
    }
    dp.stage[last + 1] = (brim_stage){.width = 64};
    dp.n_stages = last + 2;
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

brim_status brim_dot_step_vectors(struct brim_plan *plan, struct brim_dot_step *s)
{
    const struct brim_dot *d = s->dot;
    bool can;

    if (d->factor == NULL) {
        return BRIM_OK;
    }
    const brim_status status = can_multiply(plan->ctx, s, &can);
    if (status != BRIM_OK) {
        return brim_fail_at(plan->ctx, status, "layer '%s'", d->name);
    }
    if (!can && s->datapath == NULL) {
        return brim_fail(plan->ctx, BRIM_ERR_UNSUPPORTED,
                         "layer '%s': codes times integer scales exceed 16 bits, expected a "
                         "datapath to run it on",
                         d->name);
    }
    if (!can) {
        return BRIM_OK;
    }
    s->dot = multiplied(plan, d);
    s->total = true;
    if (s->dot == NULL) {
        return BRIM_ERR_NOMEM;
    }
    return plan->count && s->datapath != NULL ? make_counter(plan, s, d) : BRIM_OK;
}
