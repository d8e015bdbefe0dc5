/* bounds.c - what any input, added up in any order, can do to the registers of a datapath.
 *
 * Source      A2Q+ (arXiv 2401.10432) sec. 3 for the per-sign form; exact over the given codes
 * here. Symbols     beta = sum of positive codes of a register, alpha = sum of negative codes, x in
 * [mu, nu] with mu <= 0 <= nu. hi = nu*beta + mu*alpha,  lo = mu*beta + nu*alpha (0.1) Invariant
 * every product's range contains 0, so the sum over ANY subset of the products lies in [lo, hi].
 * Each intermediate value of each order, tree or lane split is such a sum, and both ends are
 * attained as totals: x[k] = nu where the code is positive, mu where it is negative gives hi. So a
 * width is safe for every order and input exactly when it holds [lo, hi] (0.2) A later stage adds
 * exact totals of earlier registers, sums of disjoint subsets. Differs     from the paper: two's
 * complement (lo = -2^(P-1) is held) and the real input range. Cost        O(k) time a stage, no
 * memory. Example     codes (8, 8), x in [0, 15]: hi = 15*16 = 240, lo = 0: 9 bits. The l1 norm 16
 * is below A2Q+'s (2^8 - 2)/15 = 16.93 for 8 bits, which holds for zero-sum real weights only
 *             -> tests/datapath/test_bounds.c: refuses_the_a2q_plus_trap.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/ctx.h"
#include "datapath/adder.h"

int64_t brim_register_max(unsigned width)
{
    return INT64_MAX >> (64 - width);
}

int64_t brim_register_min(unsigned width)
{
    return -brim_register_max(width) - 1;
}

unsigned brim_width_of(int64_t lo, int64_t hi)
{
    /* v and -v-1 need the same width, so one magnitude decides; (-v-1) is ~v. */
    const uint64_t below = (uint64_t)(lo < 0 ? -(lo + 1) : 0);
    const uint64_t above = (uint64_t)(hi > 0 ? hi : 0);
    const uint64_t magnitude = below | above;

    return magnitude < 2 ? 2 : 65 - (unsigned)__builtin_clzll(magnitude);
}

/* The codes of one dot product as a stage sees them: beyond the vectors, times their factors. */
struct codes {
    const int32_t *w;
    size_t k;
    const brim_factors *factors; /* NULL: as they are */
};

static struct codes codes_at(const brim_datapath *dp, const brim_factors *factors, size_t stage,
                             const int32_t *w, size_t k)
{
    const bool beyond = factors != NULL && stage > brim_factors_stage(dp, factors);

    return (struct codes){w, k, beyond ? factors : NULL};
}

static int64_t code(const struct codes *c, size_t i)
{
    return c->factors == NULL ? c->w[i]
                              : (int64_t)c->w[i] * c->factors->factor[i / c->factors->vector];
}

/* Widen r by the products that one code can make; false when an end leaves int64. */
static bool add_code(brim_range *r, int64_t w, const brim_range *x)
{
    int64_t a, b;

    if (__builtin_mul_overflow(w, x->lo, &a) || __builtin_mul_overflow(w, x->hi, &b)) {
        return false;
    }
    return !__builtin_add_overflow(r->lo, brim_min_i64(a, b), &r->lo) &&
           !__builtin_add_overflow(r->hi, brim_max_i64(a, b), &r->hi);
}

static brim_range widened(int64_t x_min, int64_t x_max)
{
    return (brim_range){brim_min_i64(x_min, 0), brim_max_i64(x_max, 0)};
}

/* Products under one register of a stage; a tile longer than the reduction is the reduction. */
static size_t tile_length(const brim_stage *s, size_t k)
{
    return s->tile == 0 || s->tile > k ? k : (size_t)s->tile;
}

static brim_status stage_need(brim_ctx *ctx, const brim_stage *s, const struct codes *c,
                              brim_range x, unsigned *need, brim_range *range)
{
    const size_t k = c->k, tile = tile_length(s, k);
    brim_range r = {0, 0};

    *need = brim_width_of(0, 0);
    for (size_t first = 0, n; first < k; first += n) {
        n = brim_min_size(tile, k - first);
        r = (brim_range){0, 0};
        for (size_t i = 0; i < n; i++) {
            if (!add_code(&r, code(c, first + i), &x)) {
                return brim_fail(ctx, BRIM_ERR_ARG,
                                 "partial sums of %zu products exceed 63 bits, expected smaller "
                                 "codes",
                                 k);
            }
        }
        const unsigned width = brim_width_of(r.lo, r.hi); /* the range only grew */
        *need = width > *need ? width : *need;
    }
    *range = r;
    return BRIM_OK;
}

size_t brim_factors_stage(const brim_datapath *dp, const brim_factors *factors)
{
    size_t i = 0;

    while (i + 1 < dp->n_stages && dp->stage[i].tile != factors->vector) {
        i++;
    }
    return i;
}

uint32_t brim_scale_product(uint32_t a, uint32_t b, unsigned bits, unsigned kept)
{
    const uint64_t product = (uint64_t)a * b;

    if (kept == 0 || kept >= bits) {
        return (uint32_t)product;
    }
    const unsigned drop = bits - kept;
    return (uint32_t)((product + (UINT64_C(1) << (drop - 1))) >> drop);
}

static brim_status check_factors(brim_ctx *ctx, const brim_datapath *dp,
                                 const brim_factors *factors, size_t k)
{
    if (factors == NULL) {
        return BRIM_OK;
    }
    if (factors->vector == 0 || brim_factors_stage(dp, factors) + 1 == dp->n_stages) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "no stage but the last has tiles of %llu products, the vectors",
                         (unsigned long long)factors->vector);
    }
    for (size_t g = 0; g * factors->vector < k; g++) {
        if (factors->factor[g] > BRIM_MAX_FACTOR) {
            return brim_fail(ctx, BRIM_ERR_ARG, "factor of vector %zu is %u, expected at most %d",
                             g, factors->factor[g], BRIM_MAX_FACTOR);
        }
    }
    return BRIM_OK;
}

brim_status brim_datapath_need(brim_ctx *ctx, const brim_datapath *dp, const int32_t *w, size_t k,
                               int64_t x_min, int64_t x_max, unsigned *need, brim_range *range)
{
    return brim_datapath_need_scaled(ctx, dp, NULL, w, k, x_min, x_max, need, range);
}

brim_status brim_datapath_need_scaled(brim_ctx *ctx, const brim_datapath *dp,
                                      const brim_factors *factors, const int32_t *w, size_t k,
                                      int64_t x_min, int64_t x_max, unsigned *need,
                                      brim_range *range)
{
    unsigned found[BRIM_MAX_STAGES];
    brim_range r = {0, 0};

    if (x_min > x_max) {
        return brim_fail(ctx, BRIM_ERR_ARG, "input range is empty: minimum above maximum");
    }
    BRIM_TRY(brim_datapath_check(ctx, dp));
    BRIM_TRY(check_factors(ctx, dp, factors, k));
    for (size_t i = 0; i < dp->n_stages; i++) {
        const struct codes c = codes_at(dp, factors, i, w, k);
        BRIM_TRY(stage_need(ctx, &dp->stage[i], &c, widened(x_min, x_max), &found[i], &r));
    }
    for (size_t i = 0; i < dp->n_stages; i++) {
        need[i] = found[i];
    }
    if (range != NULL) {
        *range = r;
    }
    return BRIM_OK;
}

bool brim_datapath_fits(const brim_datapath *dp, const unsigned *need)
{
    for (size_t i = 0; i < dp->n_stages; i++) {
        if (need[i] > dp->stage[i].width) {
            return false;
        }
    }
    return true;
}

/* The register of a stage whose range reaches furthest, and in which direction. */
struct worst {
    size_t first, n;
    bool high;
    int64_t reach, value; /* reach: value or -value-1, so that equal widths compare by magnitude */
};

static struct worst find_worst(const brim_stage *s, const struct codes *c, brim_range x)
{
    const size_t k = c->k, tile = tile_length(s, k);
    struct worst best = {0, 0, true, -1, 0};

    for (size_t first = 0, n; first < k; first += n) {
        brim_range r = {0, 0};

        n = brim_min_size(tile, k - first);
        for (size_t i = 0; i < n; i++) {
            if (!add_code(&r, code(c, first + i), &x)) {
                break; /* brim_datapath_need() has refused these */
            }
        }
        if (r.hi > best.reach) {
            best = (struct worst){first, n, true, r.hi, r.hi};
        }
        if (-(r.lo + 1) > best.reach) {
            best = (struct worst){first, n, false, -(r.lo + 1), r.lo};
        }
    }
    return best;
}

int64_t brim_datapath_witness(const brim_datapath *dp, size_t stage, const int32_t *w, size_t k,
                              int64_t x_min, int64_t x_max, int32_t *x)
{
    return brim_datapath_witness_scaled(dp, NULL, stage, w, k, x_min, x_max, x);
}

int64_t brim_datapath_witness_scaled(const brim_datapath *dp, const brim_factors *factors,
                                     size_t stage, const int32_t *w, size_t k, int64_t x_min,
                                     int64_t x_max, int32_t *x)
{
    const brim_range range = widened(x_min, x_max);
    const struct codes c = codes_at(dp, factors, stage, w, k);
    const struct worst at = find_worst(&dp->stage[stage], &c, range);

    for (size_t i = 0; i < k; i++) {
        x[i] = 0;
    }
    for (size_t i = at.first; i < at.first + at.n; i++) {
        if (code(&c, i) != 0) {
            x[i] = (int32_t)((w[i] > 0) == at.high ? range.hi : range.lo);
        }
    }
    return at.value;
}
