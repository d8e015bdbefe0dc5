/* weights_nearest.c - Euclidean projection onto the integer points of the budget.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Symbols     mu, nu    range of the input codes, mu <= 0 <= nu
 *             beta, A   sum of the positive codes of a register, of the negative ones' magnitudes
 *             budget    nu beta + |mu| A <= H  and  |mu| beta + nu A <= -L   (datapath/budget.h)
 *             unit      one step of one code: code q has q of them
 * Idea        The least-squares cost is separable and convex in each code, so taking the i-th unit
 *             from a code costs (i-1-|u|)^2 - (i-|u|)^2 = 2 (|u| + 1/2 - i), more for each unit that
 *             follows. Of one sign under one register, the cheapest units go until the sum fits:
 *             that is rounding |u| - lambda for the least lambda that fits, and where several units
 *             cost exactly lambda, the last in K order go. Registers of inner stages come first; the
 *             outer ones then choose among what is left (a laminar family of capacities is a
 *             matroid: greedy in that order is optimal).
 *             With mu < 0 < nu the signs share each register: every split of the budget between
 *             them is tried, with the sorted costs of both signs.
 * Invariant   Codes only shrink and never change sign. At the end every register holds its codes,
 *             by integer arithmetic alone.
 * Exact       for inputs of one sign on any datapath, and for any inputs on one stage; with both,
 *             inner registers choose without looking at outer ones.
 * Cost        O(k log(range of u)) for each stage that is violated, a sum for each that is not.
 * Example     u = (2.4, 1.4, 0.6, -3), codes (2, 1, 1, -3), inputs 0..1, 3 bits: the positive units
 *             cost (1.9, 0.9), 0.9 and 0.1; 4 of 3 are there and the third code goes. Inputs 0..127,
 *             9 bits: 2 of each sign; of the two at 0.9 the later goes: (2, 0, 0, -2): tests/train/
 *             test_weights_nearest.c: worked_example. */
#include "train/weights_nearest.h"

#include <string.h>

#include "base/clones.h"

#define BLOCK 32768 /* codes whose sum fits 32 bits: 2^15 * 2^15 */

/* Budgets of both signs on their own: what fits were the other sign empty. */
static void lone_budgets(const struct brim_budget_plan *plan, const struct brim_limit *l,
                         int64_t most[2])
{
    const int64_t nu = plan->x_max;
    const int64_t mu = -plan->x_min;

    most[0] = most[1] = INT64_MAX;
    if (nu > 0) {
        most[0] = l->hi / nu;
        most[1] = -(l->lo / nu);
    }
    if (mu > 0) {
        most[0] = brim_min_i64(most[0], -(l->lo / mu));
        most[1] = brim_min_i64(most[1], l->hi / mu);
    }
}

brim_status brim_nearest_init(struct brim_nearest *f, struct brim_arena *arena,
                              const struct brim_budget_plan *plan, size_t k, int32_t qmax)
{
    int64_t units = 0;

    *f = (struct brim_nearest){.plan = plan, .k = k};
    f->magnitude = brim_arena_alloc(arena, k, sizeof(int32_t));
    f->cap = brim_arena_alloc(arena, k, sizeof(int32_t));
    for (size_t i = 0; i < plan->n_limits; i++) {
        const struct brim_limit *l = &plan->limit[i];
        int64_t most[2];
        lone_budgets(plan, l, most);
        units = brim_max_i64(units, brim_min_i64(brim_max_i64(most[0], most[1]),
                                                 (int64_t)brim_min_size(l->tile, k) * qmax));
    }
    if (plan->x_min < 0 && plan->x_max > 0) {
        for (size_t i = 0; i < 3; i++) {
            f->unit[i] = brim_arena_alloc(arena, (size_t)units, sizeof(int32_t));
        }
        f->cost = brim_arena_alloc(arena, (size_t)units + 1, sizeof(int64_t));
    }
    const bool lists =
        f->cost == NULL || f->unit[0] == NULL || f->unit[1] == NULL || f->unit[2] == NULL;
    const bool coupled = plan->x_min < 0 && plan->x_max > 0;
    return f->magnitude == NULL || f->cap == NULL || (coupled && lists) ? BRIM_ERR_NOMEM : BRIM_OK;
}

BRIM_CLONES static void sum_signs(const int32_t *restrict q, size_t n, int32_t sum[2])
{
    int32_t plus = 0, minus = 0;

    for (size_t i = 0; i < n; i++) {
        plus += q[i] > 0 ? q[i] : 0;
        minus += q[i] < 0 ? -q[i] : 0;
    }
    sum[0] = plus;
    sum[1] = minus;
}

static void sums_of(const int32_t *q, size_t n, int64_t sum[2])
{
    sum[0] = sum[1] = 0;
    for (size_t i = 0; i < n; i += BLOCK) {
        int32_t part[2];
        sum_signs(q + i, brim_min_size(BLOCK, n - i), part);
        sum[0] += part[0];
        sum[1] += part[1];
    }
}

static bool holds(const struct brim_budget_plan *plan, const struct brim_limit *l,
                  const int64_t sum[2])
{
    const int64_t nu = plan->x_max;
    const int64_t mu = -plan->x_min;

    return nu * sum[0] + mu * sum[1] <= l->hi && mu * sum[0] + nu * sum[1] <= -l->lo;
}

/* Codes of magnitude - price, summed. */
BRIM_CLONES static int32_t sum_priced(const int32_t *restrict magnitude,
                                      const int32_t *restrict cap, size_t n, int32_t price)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        const int32_t left = magnitude[i] > price ? magnitude[i] - price : 0;
        const int32_t code = left >> BRIM_NEAREST_BITS;
        sum += code < cap[i] ? code : cap[i];
    }
    return sum;
}

static int64_t sum_at(const struct brim_nearest *f, size_t n, int32_t price)
{
    int64_t sum = 0;

    for (size_t i = 0; i < n; i += BLOCK) {
        sum += sum_priced(f->magnitude + i, f->cap + i, brim_min_size(BLOCK, n - i), price);
    }
    return sum;
}

/* The codes of one sign (0: positive, 1: negative), in K order. */
static size_t gather(const struct brim_nearest *f, const int32_t *u, const int32_t *q, size_t n,
                     int sign)
{
    size_t m = 0;

    for (size_t i = 0; i < n; i++) {
        const int32_t code = sign == 0 ? q[i] : -q[i];
        f->magnitude[m] = (sign == 0 ? u[i] : -u[i]) + BRIM_NEAREST_HALF;
        f->cap[m] = code;
        m += code > 0;
    }
    return m;
}

static int32_t priced(int32_t magnitude, int32_t price, int32_t cap)
{
    const int32_t code = magnitude > price ? (magnitude - price) >> BRIM_NEAREST_BITS : 0;

    return code < cap ? code : cap;
}

/* Take the cheapest units of one sign until no more than `most` are left; the price of the last. */
static int32_t reduce_sign(const struct brim_nearest *f, const int32_t *u, int32_t *q, size_t n,
                           int sign, int64_t most)
{
    const size_t m = gather(f, u, q, n, sign);
    int32_t low = 0, high = 1; /* more than `most` at low, not so at high */

    if (sum_at(f, m, 0) <= most) {
        return 0;
    }
    for (size_t i = 0; i < m; i++) {
        high = f->magnitude[i] > high ? f->magnitude[i] : high;
    }
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        if (sum_at(f, m, middle) > most) {
            low = middle;
        } else {
            high = middle;
        }
    }
    int64_t back = most - sum_at(f, m, high); /* units of exactly this price that stay */
    for (size_t i = 0, j = 0; j < m; i++) {
        const int32_t code = sign == 0 ? q[i] : -q[i];
        if (code <= 0) {
            continue;
        }
        int32_t now = priced(f->magnitude[j], high, f->cap[j]);
        if (back > 0 && priced(f->magnitude[j], low, f->cap[j]) > now) {
            now++;
            back--;
        }
        q[i] = sign == 0 ? now : -now;
        j++;
    }
    return high;
}

/* Ascending; keys are below 2^31. Result in `key`. */
static void sort_units(int32_t *key, int32_t *spare, size_t n)
{
    for (unsigned shift = 0; shift < 32; shift += 8) {
        size_t at[257] = {0};
        for (size_t i = 0; i < n; i++) {
            at[(((uint32_t)key[i] >> shift) & 255U) + 1]++;
        }
        for (size_t i = 1; i < 257; i++) {
            at[i] += at[i - 1];
        }
        for (size_t i = 0; i < n; i++) {
            spare[at[((uint32_t)key[i] >> shift) & 255U]++] = key[i];
        }
        memcpy(key, spare, n * sizeof *key);
    }
}

/* What each unit of one sign costs, ascending: |u| + 1/2 - i for the i-th, in 1/ONE. */
static size_t list_units(const struct brim_nearest *f, const int32_t *u, const int32_t *q, size_t n,
                         int sign)
{
    const size_t m = gather(f, u, q, n, sign);
    size_t units = 0;

    for (size_t i = 0; i < m; i++) {
        for (int32_t j = 1; j <= f->cap[i]; j++) {
            f->unit[sign][units++] = f->magnitude[i] - j * BRIM_NEAREST_ONE;
        }
    }
    sort_units(f->unit[sign], f->unit[2], units);
    return units;
}

/* The cheapest way to share a register between the signs: how many units each keeps. */
static void share(const struct brim_nearest *f, const struct brim_limit *l, const size_t units[2],
                  int64_t most[2])
{
    const int64_t nu = f->plan->x_max;
    const int64_t mu = -f->plan->x_min;
    int64_t best = INT64_MAX, plus_cost = 0;

    f->cost[0] = 0;
    for (size_t i = 0; i < units[1]; i++) {
        f->cost[i + 1] = f->cost[i] + f->unit[1][i];
    }
    for (size_t gone = 0; gone <= units[0]; gone++) {
        const int64_t plus = (int64_t)(units[0] - gone);
        const int64_t hi = l->hi - nu * plus, lo = -l->lo - mu * plus;
        const int64_t minus =
            brim_min_i64((int64_t)units[1], brim_min_i64(hi < 0 ? -1 : hi / mu, lo / nu));
        if (minus >= 0 && lo >= 0 && plus_cost + f->cost[(int64_t)units[1] - minus] < best) {
            best = plus_cost + f->cost[(int64_t)units[1] - minus];
            most[0] = plus;
            most[1] = minus;
        }
        plus_cost += gone < units[0] ? f->unit[0][gone] : 0;
    }
}

/* Make one register hold its codes. */
static void reduce(const struct brim_nearest *f, const struct brim_limit *l, const int32_t *u,
                   int32_t *q, size_t n, int32_t price[2])
{
    int64_t sum[2], most[2];

    sums_of(q, n, sum);
    if (holds(f->plan, l, sum)) {
        return;
    }
    lone_budgets(f->plan, l, most);
    for (int sign = 0; sign < 2; sign++) {
        price[sign] = sum[sign] > most[sign] ? reduce_sign(f, u, q, n, sign, most[sign]) : 0;
    }
    sums_of(q, n, sum);
    if (holds(f->plan, l, sum)) {
        return;
    }
    const size_t units[2] = {list_units(f, u, q, n, 0), list_units(f, u, q, n, 1)};
    share(f, l, units, most);
    for (int sign = 0; sign < 2; sign++) {
        if (sum[sign] > most[sign]) {
            price[sign] = reduce_sign(f, u, q, n, sign, most[sign]);
        }
    }
}

void brim_nearest_row(const struct brim_nearest *f, const int32_t *u, int32_t *q, int32_t *price)
{
    const struct brim_budget_plan *plan = f->plan;

    for (size_t i = 0; i < plan->n_limits; i++) {
        const struct brim_limit *l = &plan->limit[i];
        for (size_t t = 0; t < l->count; t++) {
            const size_t at = t * l->tile;
            int32_t taken[2] = {0, 0};
            reduce(f, l, u + at, q + at, brim_min_size(l->tile, f->k - at), taken);
            if (price != NULL) {
                price[2 * (l->first + t)] = taken[0];
                price[2 * (l->first + t) + 1] = taken[1];
            }
        }
    }
}
