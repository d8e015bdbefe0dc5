/* grid.c - scale and zero point from what was seen. SPDX-License-Identifier: Apache-2.0
 *
 *     v ~ scale * (code - zero),  code in [lo, hi]
 *
 * Methods  MAX covers everything seen. PERCENTILE leaves out the largest |v|. MSE tries clip limits
 *          at 1/100 steps of the range, on |v|, then on the upper side, then on the lower, and keeps
 *          what has the least squared error, clipping included, on the histogram (a bin counts as
 *          its middle). The first of equals wins, and the search starts at no clipping.
 * Vectors  whose scales are found at run time need a layer scale: the greatest of their integer
 *          scales times the largest code is all that they reach. MSE takes the one of REACH_STEPS
 *          with the least expected squared error. A value's step depends on the largest of its
 *          vector, of which only the histogram is known: the others are taken for independent draws
 *          from it, so that all are below t with probability F(t)^(V-1). Integer scales above 32 are
 *          taken several at a time.
 * Cost     MSE: 100 to 300 times a division per bin that is not empty; vectors: REACH_STEPS times at
 *          most 200 divisions and powers.
 * Example  values 0..10 evenly, one outlier at 100, 4 bits: MAX takes scale 100/15, MSE clips.
 *          (test_grid.c)
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/intops.h"
#include "calibrate/calibrate.h"

#define CLIP_STEPS  100
#define REACH_STEPS 25

struct range {
    double lo, hi; /* lo <= 0 <= hi */
};

/* Value that stands for a bin of one side (0: not negative, 1: negative). */
static double middle(const struct brim_activation *a, size_t side, size_t i)
{
    const double v = ((double)i + 0.5) * (a->limit / (double)a->n_bins);

    return side == 0 ? v : -v;
}

/* Fill scale and zero so that [r.lo, r.hi] is covered by the grid's codes. */
static void cover(const struct range *r, struct brim_grid *g)
{
    const double codes = (double)(g->hi - g->lo);
    double scale;

    g->zero = 0;
    if (g->lo < 0) { /* symmetric: zero point 0 */
        const double up = r->hi / (double)g->hi, down = r->lo / (double)g->lo;
        scale = up > down ? up : down;
    } else {
        scale = (r->hi - r->lo) / codes;
    }
    if (!(scale >= (double)FLT_MIN)) { /* nothing but zeros, or close to it */
        scale = scale > 0.0 ? (double)FLT_MIN : 1.0;
    }
    g->scale = (float)scale;
    if (g->lo == 0 && r->lo < 0.0) {
        g->zero = brim_clip_i64((int64_t)brim_rint(-r->lo / (double)g->scale), g->lo, g->hi);
    }
}

/* Squared error of the whole histogram under the grid. */
static double squared_error(const struct brim_activation *a, const struct brim_grid *g)
{
    const double scale = (double)g->scale;
    const double lo = (double)(g->lo - g->zero), hi = (double)(g->hi - g->zero);
    double sum = 0.0;

    for (size_t side = 0; side < 2; side++) {
        for (size_t i = 0; i < a->n_bins; i++) {
            const uint64_t count = a->bin[side * a->n_bins + i];
            if (count > 0) {
                const double v = middle(a, side, i);
                const double q = brim_rint(v / scale);
                const double e = scale * (q < lo ? lo : q > hi ? hi : q) - v;
                sum += (double)count * e * e;
            }
        }
    }
    return sum;
}

static struct range seen_range(const struct brim_activation *a)
{
    return (struct range){a->min < 0.0 ? a->min : 0.0, a->max > 0.0 ? a->max : 0.0};
}

/* Least t, a bin's upper edge, with `percentile` % of all |v| below it. */
static struct range percentile_range(const struct brim_activation *a, double percentile)
{
    struct range r = seen_range(a);
    double total = 0.0, below = 0.0, t = a->limit;

    for (size_t i = 0; i < 2 * a->n_bins; i++) {
        total += (double)a->bin[i];
    }
    for (size_t i = 0; i < a->n_bins; i++) {
        below += (double)(a->bin[i] + a->bin[a->n_bins + i]);
        if (below >= total * percentile / 100.0) {
            t = (double)(i + 1) * (a->limit / (double)a->n_bins);
            break;
        }
    }
    r.lo = r.lo < -t ? -t : r.lo;
    r.hi = r.hi > t ? t : r.hi;
    return r;
}

/* Turn 0 clips |v|, turn 1 moves the upper limit alone, turn 2 the lower. */
static struct range clipped(const struct range *all, const struct range *best, int turn,
                            double part)
{
    const double largest = all->hi > -all->lo ? all->hi : -all->lo;
    const double t = largest * part;
    struct range r = *best;

    if (turn == 0) {
        r.lo = all->lo < -t ? -t : all->lo;
        r.hi = all->hi > t ? t : all->hi;
    } else if (turn == 1) {
        r.hi = all->hi * part;
    } else {
        r.lo = all->lo * part;
    }
    return r;
}

static struct range mse_range(const struct brim_activation *a, struct brim_grid *g)
{
    const struct range all = seen_range(a);
    const int turns = g->lo < 0 || all.lo == 0.0 || all.hi == 0.0 ? 1 : 3;
    struct range best = all;

    cover(&best, g);
    double least = squared_error(a, g);
    for (int turn = 0; turn < turns; turn++) {
        const struct range from = best;
        for (int step = CLIP_STEPS - 1; step > 0; step--) {
            const struct range r = clipped(&all, &from, turn, (double)step / CLIP_STEPS);
            cover(&r, g);
            const double error = squared_error(a, g);
            if (error < least) {
                least = error;
                best = r;
            }
        }
    }
    return best;
}

/* The smallest type for so many codes, signed or not. */
static void choose_codes(struct brim_grid *g, int64_t codes, bool is_signed)
{
    if (is_signed) {
        g->dtype = codes <= 256 ? BRIM_INT8 : BRIM_INT16;
        g->lo = -(codes / 2);
        g->hi = g->lo + codes - 1;
    } else {
        g->dtype = codes <= 256 ? BRIM_UINT8 : BRIM_UINT16;
        g->lo = 0;
        g->hi = codes - 1;
    }
}

brim_status brim_calibrate_grid(brim_ctx *ctx, const struct brim_activation *a, unsigned codes,
                                brim_range_method method, double percentile, bool symmetric,
                                struct brim_grid *grid)
{
    struct range r = seen_range(a);

    if (codes < 4 || codes > 65536) {
        return brim_fail(ctx, BRIM_ERR_ARG, "%u activation codes, expected 4 to 65536", codes);
    }
    if (method == BRIM_RANGE_PERCENTILE && !(percentile > 0.0 && percentile <= 100.0)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "percentile is %g, expected above 0 and at most 100",
                         percentile);
    }
    if (a->integer && codes >= 256) { /* codes as they are: no rounding, and never above 255 */
        *grid = (struct brim_grid){.dtype = BRIM_UINT8, .lo = 0, .hi = 255, .scale = 1.0f};
        return BRIM_OK;
    }
    choose_codes(grid, codes, symmetric && a->min < 0.0);
    switch (method) {
    case BRIM_RANGE_MAX:
        break;
    case BRIM_RANGE_PERCENTILE:
        r = percentile_range(a, percentile);
        break;
    case BRIM_RANGE_MSE:
        r = mse_range(a, grid);
        break;
    }
    cover(&r, grid);
    return BRIM_OK;
}

/* ---- vectors with integer scales ---- */

struct run_time {
    const struct brim_activation *a;
    double *below;     /* [n_bins] share of all values in this bin and those before */
    double codes, top; /* largest code and largest integer scale */
    double others;     /* values of a vector beside one */
};

/* Expected squared error of values of bin i when integer scale 1 is `scale`. */
static double bin_error(const struct run_time *r, size_t i, double scale)
{
    const struct brim_activation *a = r->a;
    const double v = middle(a, 0, i);
    double j = ceil(v / (r->codes * scale)), done = 0.0, sum = 0.0;

    while (done < 1.0 - 1e-6) {
        j = j < r->top ? j : r->top;
        const double s = j * scale;
        const double code = brim_rint(v / s);
        const double e = (code < r->codes ? code : r->codes) * s - v;
        const double at = r->codes * s / a->limit * (double)a->n_bins;
        const bool all = j >= r->top || at >= (double)a->n_bins;
        const double until = all ? 1.0 : pow(r->below[(size_t)at], r->others);
        sum += (until - done) * e * e;
        done = until;
        j += 1.0 + floor(j / 32.0);
    }
    return sum;
}

/* Magnitude that the greatest scale covers with the least expected error. */
static double run_time_reach(const struct run_time *r, double most)
{
    const struct brim_activation *a = r->a;
    double total = 0.0, best = most, least = HUGE_VAL;

    for (size_t i = 0; i < a->n_bins; i++) {
        total += (double)(a->bin[i] + a->bin[a->n_bins + i]);
        r->below[i] = total;
    }
    for (size_t i = 0; i < a->n_bins; i++) {
        r->below[i] /= total;
    }
    for (int step = 0; step < REACH_STEPS; step++) {
        const double reach = most * (1.0 - (double)step / REACH_STEPS);
        double sum = 0.0;
        for (size_t i = 0; i < a->n_bins; i++) {
            const uint64_t count = a->bin[i] + a->bin[a->n_bins + i];
            if (count > 0) {
                sum += (double)count * bin_error(r, i, reach / (r->codes * r->top));
            }
        }
        if (sum < least) {
            least = sum;
            best = reach;
        }
    }
    return best;
}

brim_status brim_calibrate_vectors(struct brim_arena *arena, const struct brim_activation *a,
                                   size_t vector, unsigned scale_bits, bool at_run_time,
                                   brim_range_method method, struct brim_grid *grid)
{
    const float top = (float)((1u << scale_bits) - 1u);
    const bool is_signed = a->min < 0.0;
    const int64_t codes = grid->hi - grid->lo + 1;
    uint16_t *code = brim_arena_zalloc(arena, a->channels / vector + 1, sizeof *code);

    if (code == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const double reach = (double)grid->scale * (double)(is_signed ? codes / 2 - 1 : codes - 1);
    grid->dtype = is_signed ? BRIM_INT8 : BRIM_UINT8;
    grid->hi = is_signed ? codes / 2 - 1 : codes - 1;
    grid->lo = is_signed ? -grid->hi : 0;
    grid->zero = 0;
    grid->vector = vector;
    grid->scale_bits = scale_bits;
    float most = 0.0f;
    for (size_t i = 0; i < a->channels; i++) {
        most = a->channel_max[i] > most ? a->channel_max[i] : most;
    }
    double covered = reach < (double)most ? reach : (double)most;
    if (at_run_time && method == BRIM_RANGE_MSE && most > 0.0f) {
        const struct run_time r = {.a = a,
                                   .below = brim_arena_alloc(arena, a->n_bins, sizeof(double)),
                                   .codes = (double)grid->hi,
                                   .top = (double)top,
                                   .others = (double)(vector - 1)};
        if (r.below == NULL) {
            return BRIM_ERR_NOMEM;
        }
        covered = run_time_reach(&r, (double)most);
    }
    const double scale = covered / ((double)grid->hi * (double)top);
    grid->scale = scale > (double)FLT_MIN ? (float)scale : most > 0.0f ? FLT_MIN : 1.0f;
    const double share = most > 0.0f ? covered / (double)most : 1.0; /* each clips alike */
    for (size_t i = 0; i < a->channels && !at_run_time; i++) {
        const double t =
            share * (double)a->channel_max[i] / ((double)grid->hi * (double)grid->scale);
        const double up = brim_rint(t) < t ? brim_rint(t) + 1.0 : brim_rint(t);
        const uint16_t c = (uint16_t)(up < (double)top ? up : (double)top);
        code[i / vector] = c > code[i / vector] ? c : code[i / vector];
    }
    grid->code = at_run_time ? NULL : code;
    return BRIM_OK;
}
