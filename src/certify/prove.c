/* prove.c - the proof of one dot layer. SPDX-License-Identifier: Apache-2.0
 *
 * Source      A2Q (arXiv 2308.13504) sec. 3, generalised from prefixes to subsets; docs/certify.md
 *             has the proof.
 * Symbols     q[c][k]     here d->w         integer weight code, zero point subtracted
 *             mu, nu      d->x_min, x_max   input code range, contains 0
 *             Rmin, Rmax  sum_min, sum_max  range of the whole sum over all inputs
 *             P_need      need[stage]       narrowest register that no partial sum can leave
 * Invariant   for every channel, every tile of every stage, every subset S of its terms and every
 *             input: the sum over S fits need[stage] bits, and some input needs all of them.
 * Outside     y = sum - x_zero*sum(q) + bias leaves the datapath in a 32-bit register. Its range is
 *             part of the statement; a zero point found at run time is any code of the input.
 * Cost        O(n k stages) time, O(k) memory.
 * Example     q = (8, 8), x in [0, 15]: Rmax = 240 needs 9 bits; 8 bits are refuted by x = (15,
 * 15), although the l1 norm 16 is under the zero-centred bound 254/15 = 16.9 of A2Q+.
 *             tests/certify/test_certify.c: the_a2q_plus_trap_is_refuted
 */
#include "certify/prove.h"

#include <string.h>

#include "base/intops.h"

/* Distance from zero as a register sees it: -2^(P-1) is as wide as 2^(P-1)-1. */
static int64_t extent(int64_t lo, int64_t hi)
{
    return brim_max_i64(hi, -(lo + 1));
}

/* What code i of output c counts for in the whole sum: itself, or times its vector's factor. */
static int64_t counted(const struct brim_dot *d, size_t c, size_t i)
{
    const int64_t w = d->w[c * d->k + i];

    return d->factor == NULL ? w : w * d->factor[c * brim_dot_vectors(d) + i / d->vector];
}

/* Stages whose registers are integers: with a float scale for every vector, those up to them. */
static size_t integer_stages(const struct brim_dot *d, const brim_datapath *dp)
{
    size_t i = 0;

    if (d->vector == 0 || d->factor != NULL) {
        return dp->n_stages;
    }
    while (i < dp->n_stages && dp->stage[i].tile != d->vector) {
        i++;
    }
    return i + 1;
}

/* The zero point that lets total - zero * sum of the weights reach furthest up, or down. */
static int64_t zero_for(const struct brim_dot *d, int64_t weights, bool high)
{
    if (!d->x_zero_any) {
        return d->x_zero;
    }
    return (weights > 0) == high ? d->x_min : d->x_max;
}

brim_status brim_outside_range(brim_ctx *ctx, const struct brim_dot *d, size_t c,
                               const brim_range *sum, brim_range *outside)
{
    int64_t total = 0, shift;

    for (size_t i = 0; i < d->k; i++) {
        if (__builtin_add_overflow(total, counted(d, c, i), &total)) {
            return brim_fail(ctx, BRIM_ERR_ARG, "channel %zu: the weights' sum exceeds 63 bits", c);
        }
    }
    const int64_t bias = d->bias_q != NULL ? d->bias_q[c] : 0;
    for (int high = 0; high < 2; high++) {
        int64_t *end = high ? &outside->hi : &outside->lo;
        if (__builtin_mul_overflow(zero_for(d, total, high != 0), total, &shift) ||
            __builtin_sub_overflow(bias, shift, &shift) ||
            __builtin_add_overflow(high ? sum->hi : sum->lo, shift, end)) {
            return brim_fail(ctx, BRIM_ERR_ARG,
                             "channel %zu: sum, zero-point correction and bias exceed 63 bits", c);
        }
    }
    return BRIM_OK;
}

/* What the channels of a layer have shown so far. */
struct tally {
    size_t bad_channel[BRIM_MAX_STAGES]; /* first that does not fit; n = none */
    size_t outside_channel;
    brim_range outside; /* of outside_channel */
    unsigned outside_bits;
    int64_t worst;
};

static brim_status bound_channel(brim_ctx *ctx, const struct brim_dot *d, size_t c,
                                 brim_certificate_layer *out, struct tally *t)
{
    unsigned need[BRIM_MAX_STAGES];
    brim_range sum, outside = {0, 0};
    brim_factors buffer;
    const int32_t *w = d->w + c * d->k;

    const brim_status s =
        brim_datapath_need_scaled(ctx, &out->datapath, brim_dot_factors(d, c, &buffer), w, d->k,
                                  d->x_min, d->x_max, need, &sum);
    if (s != BRIM_OK) {
        return brim_fail_at(ctx, s, "channel %zu", c);
    }
    BRIM_TRY(brim_outside_range(ctx, d, c, &sum, &outside));
    for (size_t i = 0; i < integer_stages(d, &out->datapath); i++) {
        if (need[i] > out->datapath.stage[i].width && t->bad_channel[i] == d->n) {
            t->bad_channel[i] = c;
        }
        out->need[i] = need[i] > out->need[i] ? need[i] : out->need[i];
    }
    if (c == 0 || extent(sum.lo, sum.hi) > t->worst) {
        t->worst = extent(sum.lo, sum.hi);
        out->worst_channel = c;
        out->sum_min = sum.lo;
        out->sum_max = sum.hi;
    }
    const unsigned bits = brim_width_of(outside.lo, outside.hi);
    if (bits > t->outside_bits) {
        t->outside_bits = bits;
        t->outside_channel = c;
        t->outside = outside;
    }
    return BRIM_OK;
}

/* Does this stage add up what the vectors handed on? */
static bool tile_is_beyond(const brim_datapath *dp, size_t vector, size_t stage)
{
    for (size_t i = 0; i < stage; i++) {
        if (dp->stage[i].tile == vector) {
            return true;
        }
    }
    return false;
}

/* The largest absolute sum of a stage's registers. */
static int64_t widest_tile(const struct brim_dot *d, size_t c, const int32_t *x,
                           const brim_datapath *dp, size_t stage)
{
    const size_t k = d->k;
    const uint64_t tile = dp->stage[stage].tile;
    brim_factors buffer;
    const brim_factors *factors = brim_dot_factors(d, c, &buffer);
    const bool beyond = factors != NULL && tile_is_beyond(dp, d->vector, stage);
    const size_t step = tile == 0 || tile > k ? k : (size_t)tile;
    int64_t widest = 0;

    for (size_t first = 0; first < k; first += step) {
        const size_t last = brim_min_size(first + step, k);
        int64_t sum = 0;
        for (size_t i = first; i < last; i++) {
            sum += (beyond ? counted(d, c, i) : d->w[c * k + i]) * x[i];
        }
        if (extent(brim_min_i64(sum, 0), brim_max_i64(sum, 0)) >
            extent(brim_min_i64(widest, 0), brim_max_i64(widest, 0))) {
            widest = sum;
        }
    }
    return widest;
}

/* An input that overflows `stage` in `channel`, believed only after the simulator has seen it. */
static brim_status find_witness(struct brim_arena *arena, const struct brim_dot *d, size_t stage,
                                size_t channel, brim_certificate_layer *out)
{
    const int32_t *w = d->w + channel * d->k;
    const brim_stage *reg = &out->datapath.stage[stage];
    brim_witness *witness = brim_arena_zalloc(arena, 1, sizeof *witness);
    int32_t *x = brim_arena_zalloc(arena, d->k, sizeof *x);
    int64_t *scratch = brim_arena_alloc(arena, d->k, 2 * sizeof *scratch);
    brim_events seen;

    if (witness == NULL || x == NULL || scratch == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_factors buffer;
    const brim_factors *factors = brim_dot_factors(d, channel, &buffer);
    const int64_t value = brim_datapath_witness_scaled(&out->datapath, factors, stage, w, d->k,
                                                       d->x_min, d->x_max, x);
    const bool leaves =
        value > brim_register_max(reg->width) || value < brim_register_min(reg->width);
    brim_datapath_dot_scaled(&out->datapath, factors, w, x, d->k, scratch, &seen);
    if (!leaves || widest_tile(d, channel, x, &out->datapath, stage) != value ||
        !(seen.persistent || seen.transient || seen.product)) {
        return brim_fail(arena->ctx, BRIM_ERR_INTERNAL,
                         "channel %zu, stage %zu: the witness does not overflow in the simulator",
                         channel, stage);
    }
    *witness = (brim_witness){
        .channel = channel, .stage = stage, .value = value, .k = d->k, .x = x, .x_zero = d->x_zero};
    out->witness = witness;
    return BRIM_OK;
}

int64_t brim_outside_zero(const struct brim_dot *d, size_t c, bool high)
{
    int64_t weights = 0;

    for (size_t i = 0; i < d->k; i++) {
        weights += counted(d, c, i);
    }
    return zero_for(d, weights, high);
}

int64_t brim_outside_input(const struct brim_dot *d, size_t c, bool high, int32_t *x)
{
    const int64_t zero = brim_outside_zero(d, c, high);
    int64_t y = d->bias_q != NULL ? d->bias_q[c] : 0;

    for (size_t i = 0; i < d->k; i++) {
        const int64_t w = counted(d, c, i);
        x[i] = (int32_t)(w == 0 ? 0 : (w > 0) == high ? d->x_max : d->x_min);
        y += w * (x[i] - zero);
    }
    return y;
}

/* The sum fits its registers but not the 32 bits behind them: the input that shows it. */
static brim_status find_outside_witness(struct brim_arena *arena, const struct brim_dot *d,
                                        const struct tally *t, brim_certificate_layer *out)
{
    brim_witness *witness = brim_arena_zalloc(arena, 1, sizeof *witness);
    int32_t *x = brim_arena_zalloc(arena, d->k, sizeof *x);
    const bool high = t->outside.hi > brim_register_max(BRIM_OUTSIDE_BITS);

    if (witness == NULL || x == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const int64_t y = brim_outside_input(d, t->outside_channel, high, x);
    if (y != (high ? t->outside.hi : t->outside.lo)) {
        return brim_fail(arena->ctx, BRIM_ERR_INTERNAL,
                         "channel %zu: the witness does not reach its bound", t->outside_channel);
    }
    *witness = (brim_witness){.channel = t->outside_channel,
                              .stage = out->datapath.n_stages,
                              .value = y,
                              .k = d->k,
                              .x = x,
                              .x_zero = brim_outside_zero(d, t->outside_channel, high)};
    out->witness = witness;
    return BRIM_OK;
}

brim_status brim_certify_layer(struct brim_arena *arena, const struct brim_dot *d,
                               const brim_datapath *dp, brim_certificate_layer *out)
{
    struct tally t = {.outside_bits = 0};

    if (d->vector > 0 && !tile_is_beyond(dp, d->vector, dp->n_stages - 1)) {
        return brim_fail(arena->ctx, BRIM_ERR_ARG,
                         "weights have a scale for every %zu products, expected a stage with such "
                         "tiles before the last",
                         d->vector);
    }
    if (d->x_zero < d->x_min || d->x_zero > d->x_max) { /* padding feeds the code x_zero */
        return brim_fail(arena->ctx, BRIM_ERR_ARG,
                         "the zero point %lld lies outside the input codes %lld..%lld",
                         (long long)d->x_zero, (long long)d->x_min, (long long)d->x_max);
    }
    *out = (brim_certificate_layer){.k = d->k,
                                    .n = d->n,
                                    .groups = d->groups,
                                    .x_min = d->x_min,
                                    .x_max = d->x_max,
                                    .x_zero = d->x_zero,
                                    .x_zero_any = d->x_zero_any,
                                    .product_shift = d->product_shift,
                                    .datapath = *dp};
    out->name = brim_arena_strdup(arena, d->name);
    if (out->name == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_dot_hash(arena->ctx, d, out->hash));
    for (size_t i = 0; i < BRIM_MAX_STAGES; i++) {
        t.bad_channel[i] = d->n;
    }
    for (size_t c = 0; c < d->n; c++) {
        BRIM_TRY(bound_channel(arena->ctx, d, c, out, &t));
    }
    out->outside_bits = t.outside_bits;
    for (size_t i = 0; i < dp->n_stages; i++) {
        if (t.bad_channel[i] < d->n) {
            return find_witness(arena, d, i, t.bad_channel[i], out);
        }
    }
    if (t.outside_bits > BRIM_OUTSIDE_BITS) {
        return find_outside_witness(arena, d, &t, out);
    }
    out->proven = true;
    return BRIM_OK;
}
