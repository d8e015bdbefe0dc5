/* dot_ordered.c - orders of addition that look at the products, 32 dot products at a time.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Source      arXiv 2504.09064; the network: Batcher's merge exchange, for any length (Knuth, The Art
 *             of Computer Programming 3, 5.2.2, algorithm M).
 * Idea        a network compares the same places whatever they hold, so lanes sort side by side: an
 *             exchange of rows i and j is one minimum and one maximum of vectors.
 * Pairing     of an ascending list a[0..n), place i gets clip(a[i] + a[n-1-i]) while a[i] < 0 <
 *             a[n-1-i], and what found no partner, in its order, behind: a[i] where the negative
 *             ones outnumber the others, else a[n-1-i]. Zeros lie in the middle and add nothing, so
 *             that lanes need no lengths of their own.
 * Fits int16  sums of opposite signs lie between their terms.
 * Ends        rounds past the last that a lane needs only reorder terms of one sign, whose sum leaves
 *             the register in every order or in none. Until done: lanes whose terms all fit need no
 *             further round, their value is clip(sum) (simulate.c, Invariant).
 * Greedy      a lane's positive products lie in K order at the front of its list, the negative ones
 *             backward from its end; every step takes from one of the two.
 * Events      until the first sum that does not fit, a clipping register and an exact one hold the
 *             same; so what the clipping one cut tells of both.
 * Cost        about k (log2 k)^2 / 4 exchanges a round, 32 lanes each; greedy k steps of 32 lanes.
 * Example     8 bits, one round: 100, 60 and five times -10: sorted -10 -10 -10 -10 -10 60 100, paired
 *             90 50 -10 -10 -10, added 90, 140 cut to 127, ... 97
 *             -> tests/kernels/test_dot_kernel.c: orders_equal_the_reference.
 */
#include "kernels/dot_ordered.h"
#include "kernels/dot_kernel.h"

#include <string.h>

#include "base/intops.h"

#define LANES ((size_t)BRIM_ORDERED_LANES)

/* ---- sort ---- */

/* The lesser of each pair to a. */
static inline void exchange(int16_t *restrict a, int16_t *restrict b, size_t rows)
{
    for (size_t i = 0; i < rows * LANES; i++) {
        const int16_t x = a[i], y = b[i];

        a[i] = x < y ? x : y;
        b[i] = x < y ? y : x;
    }
}

/* Every lane ascending. Rows i and i + distance are exchanged where bit p of i is that of `first`:
 * runs of p rows. */
BRIM_CLONES
static void sort_terms(int16_t *term, size_t n)
{
    size_t top = 1;

    while (2 * top < n) {
        top *= 2;
    }
    for (size_t p = top; n > 1 && p > 0; p /= 2) {
        size_t first = 0, distance = p;
        for (size_t q = top;; q /= 2) {
            for (size_t i = first; i + distance < n; i += 2 * p) {
                exchange(term + i * LANES, term + (i + distance) * LANES,
                         brim_min_size(p, n - distance - i));
            }
            if (q <= p) {
                break;
            }
            first = p;
            distance = q - p;
        }
    }
}

/* ---- rounds ---- */

/* Of sorted lists: every lane has one sign, or, where rounds go on until done, nothing that could
 * leave the register before its end. */
static bool is_done(const struct brim_ordered *s, size_t n)
{
    const int16_t *low = s->term, *high = s->term + (n - 1) * LANES;
    int32_t mixed = 0;

    for (size_t l = 0; l < LANES; l++) {
        const bool misfit = s->rounds > 0 || low[l] < s->lo || high[l] > s->hi;
        mixed |= (low[l] < 0) & (high[l] > 0) & misfit;
    }
    return mixed == 0;
}

/* Rows i and n - 1 - i of every lane: `raw` is the sum where signs differ, else the term that comes
 * first, and b gets what is left of the two. */
BRIM_CLONES
static void pair_terms(int16_t *term, size_t n, int16_t lo, int16_t hi, int16_t *restrict cut)
{
    for (size_t i = 0; i < n / 2; i++) {
        int16_t *restrict a = term + i * LANES, *restrict b = term + (n - 1 - i) * LANES;
        for (size_t l = 0; l < LANES; l++) {
            const int16_t x = a[l], y = b[l];
            const int16_t x_down = x < 0 ? x : 0, y_up = y > 0 ? y : 0;
            const int16_t raw = (int16_t)(x_down + y_up);
            const int16_t up = raw > lo ? raw : lo, clip = up < hi ? up : hi;
            const int16_t pair = (int16_t)((x < 0 ? -1 : 0) & (y > 0 ? -1 : 0));
            const int16_t change = (int16_t)((clip ^ raw) & pair);

            a[l] = (int16_t)(raw ^ change);
            b[l] = (int16_t)(x - x_down + y - y_up);
            cut[l] = (int16_t)(cut[l] | change);
        }
    }
}

static bool is_zero(const int16_t *row)
{
    int32_t any = 0;

    for (size_t l = 0; l < LANES; l++) {
        any |= row[l];
    }
    return any == 0;
}

/* Returns the new length. */
static size_t pair_round(const struct brim_ordered *s, size_t n, int16_t *cut)
{
    const int16_t lo = (int16_t)(s->lo > INT16_MIN ? s->lo : INT16_MIN);
    const int16_t hi = (int16_t)(s->hi < INT16_MAX ? s->hi : INT16_MAX);

    pair_terms(s->term, n, lo, hi, cut);
    while (n > 1 && is_zero(s->term + (n - 1) * LANES)) {
        n--;
    }
    return n;
}

/* ---- sums ---- */

BRIM_CLONES
static void add_clipped_terms(struct brim_ordered *s, size_t n)
{
    const int32_t lo = s->lo, hi = s->hi;
    int32_t value[BRIM_ORDERED_LANES] = {0}, left[BRIM_ORDERED_LANES] = {0};

    for (size_t i = 0; i < n; i++) {
        const int16_t *term = s->term + i * LANES;
        for (size_t l = 0; l < LANES; l++) {
            const int32_t sum = value[l] + term[l], up = sum > lo ? sum : lo;
            value[l] = up < hi ? up : hi;
            left[l] |= value[l] ^ sum;
        }
    }
    memcpy(s->value, value, sizeof value);
    for (size_t l = 0; l < LANES; l++) {
        s->left[l] |= left[l];
    }
}

/* Totals of what is left, cut once. */
BRIM_CLONES
static void clip_sum_of_terms(struct brim_ordered *s, size_t n)
{
    const int32_t lo = s->lo, hi = s->hi;
    int32_t value[BRIM_ORDERED_LANES] = {0};

    for (size_t i = 0; i < n; i++) {
        const int16_t *term = s->term + i * LANES;
        for (size_t l = 0; l < LANES; l++) {
            value[l] += term[l];
        }
    }
    for (size_t l = 0; l < LANES; l++) {
        const int32_t up = value[l] > lo ? value[l] : lo;
        s->value[l] = up < hi ? up : hi;
    }
}

BRIM_CLONES
static void watch_terms(struct brim_ordered *s)
{
    const int32_t lo = s->lo, hi = s->hi;
    int32_t sum[BRIM_ORDERED_LANES] = {0}, least[BRIM_ORDERED_LANES] = {0},
            most[BRIM_ORDERED_LANES] = {0}, odd[BRIM_ORDERED_LANES] = {0};

    for (size_t i = 0; i < s->k; i++) {
        const int16_t *term = s->term + i * LANES;
        for (size_t l = 0; l < LANES; l++) {
            const int32_t t = term[l];
            sum[l] += t;
            least[l] = sum[l] < least[l] ? sum[l] : least[l];
            most[l] = sum[l] > most[l] ? sum[l] : most[l];
            odd[l] |= (t < lo) | (t > hi);
        }
    }
    memcpy(s->total, sum, sizeof sum);
    memcpy(s->least, least, sizeof least);
    memcpy(s->most, most, sizeof most);
    memcpy(s->odd, odd, sizeof odd);
}

/* ---- sign-greedy ---- */

/* pos, neg: lengths of a lane's parts. */
static void split_signs(struct brim_ordered *s, int32_t *pos, int32_t *neg)
{
    const size_t k = s->k;

    for (size_t l = 0; l < LANES; l++) {
        int32_t *list = s->list + l * k;
        size_t up = 0, down = 0;

        for (size_t j = 0; j < k; j++) {
            const int32_t t = s->term[j * LANES + l];
            list[up] = t; /* in both free places; it counts in one or none */
            list[k - 1 - down] = t;
            up += t > 0;
            down += t < 0;
        }
        pos[l] = (int32_t)up;
        neg[l] = (int32_t)down;
    }
}

/* first[l]: of the next positive one, last[l]: of the next negative one, as indices of s->list. */
BRIM_CLONES
static void add_greedy_terms(struct brim_ordered *s, int32_t *pos, int32_t *neg, size_t steps)
{
    const int32_t lo = s->lo, hi = s->hi, *list = s->list;
    int32_t first[BRIM_ORDERED_LANES], last[BRIM_ORDERED_LANES];
    int32_t value[BRIM_ORDERED_LANES] = {0}, left[BRIM_ORDERED_LANES] = {0};

    for (size_t l = 0; l < LANES; l++) {
        first[l] = (int32_t)(l * s->k);
        last[l] = (int32_t)((l + 1) * s->k) - 1;
    }
    for (size_t i = 0; i < steps; i++) {
        for (size_t l = 0; l < LANES; l++) {
            const int32_t up = ((value[l] <= 0) & (pos[l] > 0)) | (neg[l] == 0);
            const int32_t none = (pos[l] | neg[l]) == 0;
            const int32_t at = none ? 0 : up ? first[l] : last[l];
            const int32_t term = none ? 0 : list[at];
            const int32_t sum = value[l] + term, high = sum > lo ? sum : lo;

            value[l] = high < hi ? high : hi;
            left[l] |= value[l] ^ sum;
            first[l] += up;
            last[l] -= 1 - up;
            pos[l] -= up & !none;
            neg[l] -= 1 - up;
        }
    }
    memcpy(s->value, value, sizeof value);
    memcpy(s->left, left, sizeof left);
}

static void run_greedy(struct brim_ordered *s)
{
    int32_t pos[BRIM_ORDERED_LANES], neg[BRIM_ORDERED_LANES];
    int32_t steps = 0;

    split_signs(s, pos, neg);
    for (size_t l = 0; l < LANES; l++) {
        steps = pos[l] + neg[l] > steps ? pos[l] + neg[l] : steps;
    }
    add_greedy_terms(s, pos, neg, (size_t)steps);
}

static void run_sorted(struct brim_ordered *s)
{
    int16_t cut[BRIM_ORDERED_LANES] = {0};
    size_t n = s->k;

    for (uint32_t round = 0; s->rounds == 0 || round < s->rounds; round++) {
        sort_terms(s->term, n);
        if (is_done(s, n)) {
            break;
        }
        n = pair_round(s, n, cut);
    }
    for (size_t l = 0; l < LANES; l++) {
        s->left[l] = cut[l];
    }
    if (s->rounds == 0) {
        clip_sum_of_terms(s, n);
    } else {
        add_clipped_terms(s, n);
    }
}

/* All positive terms fit the register, and so do all negative ones: no order leaves it. Then value is
 * the total; else it is left half done. */
BRIM_CLONES
static bool add_safe_terms(struct brim_ordered *s)
{
    int32_t up[BRIM_ORDERED_LANES] = {0}, down[BRIM_ORDERED_LANES] = {0}, any = 0;

    for (size_t i = 0; i < s->k; i++) {
        const int16_t *term = s->term + i * LANES;
        for (size_t l = 0; l < LANES; l++) {
            up[l] += term[l] > 0 ? term[l] : 0;
            down[l] += term[l] < 0 ? term[l] : 0;
        }
    }
    for (size_t l = 0; l < LANES; l++) {
        any |= (up[l] > s->hi) | (down[l] < s->lo);
        s->value[l] = up[l] + down[l];
        s->left[l] = 0;
    }
    return any == 0;
}

void brim_ordered_run(struct brim_ordered *s)
{
    if (s->count) {
        watch_terms(s);
    }
    if (add_safe_terms(s)) {
        return;
    }
    if (s->greedy) {
        run_greedy(s);
    } else {
        run_sorted(s);
    }
}

/* ---- rows ---- */

/* Weights [groups][k][outputs]; scratch: the lists and terms of a batch. */
brim_status brim_dot_ordered_pack(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    d->plain.panel = brim_alloc(ctx, d->n * d->k, sizeof *d->plain.panel);
    if (d->plain.panel == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < d->n; c++) {
        int16_t *to = d->plain.panel + c / d->outputs * d->outputs * d->k + c % d->outputs;
        for (size_t j = 0; j < d->k; j++) {
            to[j * d->outputs] = (int16_t)d->w[c * d->k + j];
        }
    }
    if (d->k > INT32_MAX / LANES ||
        !brim_mul_size(d->k, LANES * (sizeof(int32_t) + sizeof(int16_t)), &d->scratch)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu weights: too large", d->k);
    }
    return BRIM_OK;
}

/* Products of one row with n neighbouring outputs, to n neighbouring lanes. */
#define MULTIPLY(n)                                                                                \
    for (size_t j = 0; j < k; j++) {                                                               \
        for (size_t l = 0; l < (n); l++) {                                                         \
            term[j * LANES + l] = (int16_t)(w[j * stride + l] * x[j]);                             \
        }                                                                                          \
    }

BRIM_CLONES
static void multiply_terms(const int16_t *w, size_t stride, const int32_t *x, size_t k, size_t n,
                           int16_t *term)
{
    if (n == LANES) { /* constant lengths are vectors */
        MULTIPLY(LANES)
    } else if (n == LANES / 2) {
        MULTIPLY(LANES / 2)
    } else {
        MULTIPLY(n)
    }
}

/* Lanes 0..n-1 are outputs first..first+n-1 of the run, rows one after another. */
static void fill_terms(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t first,
                       size_t n, int16_t *term)
{
    const int16_t *w = d->plain.panel + r->group * d->outputs * d->k;

    if (n < LANES) {
        memset(term, 0, d->k * LANES * sizeof *term);
    }
    for (size_t l = 0; l < n;) {
        const size_t row = (first + l) / d->outputs, c = (first + l) % d->outputs;
        const size_t some = brim_min_size(n - l, d->outputs - c);
        multiply_terms(w + c, d->outputs, brim_dot_row(r, row), d->k, some, term + l);
        l += some;
    }
}

void brim_dot_ordered_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                          struct brim_dot_counts *counts)
{
    const struct brim_lane_stage *stage = &d->plan.lanes.stage[0];
    const size_t cells = r->m * d->outputs;
    struct brim_ordered s = {.k = d->k,
                             .greedy = d->datapath.stage[0].mode == BRIM_MODE_GREEDY,
                             .rounds = d->datapath.stage[0].rounds,
                             .lo = (int32_t)stage->lo,
                             .hi = (int32_t)stage->hi,
                             .count = d->plan.lanes.count,
                             .list = r->scratch,
                             .term = (int16_t *)((int32_t *)r->scratch + d->k * LANES)};

    if (d->outputs == 0) {
        return;
    }
    for (size_t first = 0; first < cells; first += LANES) {
        const size_t n = brim_min_size(LANES, cells - first);
        fill_terms(d, r, first, n, s.term);
        brim_ordered_run(&s);
        for (size_t l = 0; l < n; l++) {
            brim_dot_write(r, (first + l) / d->outputs, (first + l) % d->outputs, s.value[l]);
        }
        for (size_t l = 0; s.count && l < n; l++) {
            const bool persistent = s.total[l] < s.lo || s.total[l] > s.hi;
            const struct brim_dot_counts one = {.transient = !persistent && s.left[l] != 0,
                                                .persistent = persistent,
                                                .product = s.odd[l] != 0,
                                                .min_width =
                                                    (uint8_t)brim_width_of(s.least[l], s.most[l])};
            brim_dot_counts_add(counts, &one);
        }
    }
}
