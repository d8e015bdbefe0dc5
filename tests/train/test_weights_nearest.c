/* test_weights_nearest.c - the nearest codes that a datapath holds. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/rng.h"
#include "testing.h"
#include "train/weights_nearest.h"

#define MOST 64

static int64_t square(int64_t v)
{
    return v * v;
}

static int64_t distance(const int32_t *u, const int32_t *q, size_t k)
{
    int64_t sum = 0;

    for (size_t i = 0; i < k; i++) {
        sum += square((int64_t)u[i] - (int64_t)q[i] * BRIM_NEAREST_ONE);
    }
    return sum;
}

static int32_t nearest(int32_t u, int32_t qmax)
{
    const int32_t code = (abs(u) + BRIM_NEAREST_HALF) >> BRIM_NEAREST_BITS;
    const int32_t most = code < qmax ? code : qmax;

    return u < 0 ? -most : most;
}

struct problem {
    brim_datapath dp;
    struct brim_budget_plan plan;
    size_t k;
    int32_t qmax;
    int64_t range[2];
    int32_t u[MOST];
};

/* q and prices of the problem; false when the datapath holds nothing. */
static bool solve(brim_ctx *ctx, struct problem *p, int32_t *q, int32_t *price)
{
    struct brim_arena arena;
    struct brim_nearest fit;
    const brim_status status = brim_budget_compile(ctx, &p->dp, p->k, p->qmax, p->range, &p->plan);

    if (status != BRIM_OK) {
        assert_int_equal(status, BRIM_ERR_INFEASIBLE);
        brim_clear_error(ctx);
        return false;
    }
    brim_arena_init(&arena, ctx);
    ASSERT_OK(ctx, brim_nearest_init(&fit, &arena, &p->plan, p->k, p->qmax));
    for (size_t i = 0; i < p->k; i++) {
        q[i] = nearest(p->u[i], p->qmax);
    }
    brim_nearest_row(&fit, p->u, q, price);
    brim_arena_free(&arena);
    return true;
}

static bool certified(brim_ctx *ctx, const struct problem *p, const int32_t *q)
{
    unsigned need[BRIM_MAX_STAGES];

    ASSERT_OK(ctx, brim_datapath_need(ctx, &p->dp, q, p->k, p->range[0], p->range[1], need, NULL));
    return brim_datapath_fits(&p->dp, need);
}

/* The example of weights_nearest.c. */
static void worked_example(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct problem p = {.k = 4, .qmax = 7, .range = {0, 1}, .u = {24, 14, 6, -30}};
    int32_t q[4], price[2];

    (void)state;
    ASSERT_OK(ctx, brim_datapath_parse(ctx, "3", &p.dp)); /* 3 at most, -4 at least */
    for (size_t i = 0; i < 4; i++) {
        p.u[i] = p.u[i] * BRIM_NEAREST_ONE / 10;
    }
    assert_true(solve(ctx, &p, q, price)); /* 4 of 3: the third goes */
    assert_true(q[0] == 2 && q[1] == 1 && q[2] == 0 && q[3] == -3);
    assert_int_equal(price[0], p.u[2] + BRIM_NEAREST_HALF - BRIM_NEAREST_ONE + 1);
    assert_int_equal(price[1], 0);
    p.u[0] = p.u[1] + BRIM_NEAREST_ONE; /* equal to the last unit */
    p.range[1] = 127;
    ASSERT_OK(ctx, brim_datapath_parse(ctx, "9", &p.dp)); /* 2 of either sign */
    assert_true(solve(ctx, &p, q, price));
    assert_true(q[0] == 2 && q[1] == 0 && q[2] == 0 && q[3] == -2);
    brim_ctx_free(ctx);
}

/* The least distance of all codes that fit. */
static int64_t exhaustive(brim_ctx *ctx, const struct problem *p)
{
    int32_t q[MOST];
    int64_t best = INT64_MAX;

    for (size_t i = 0; i < p->k; i++) {
        q[i] = -p->qmax;
    }
    for (;;) {
        size_t i = 0;
        const int64_t d = distance(p->u, q, p->k);
        if (d < best && certified(ctx, p, q)) {
            best = d;
        }
        while (i < p->k && q[i] == p->qmax) {
            q[i++] = -p->qmax;
        }
        if (i == p->k) {
            return best;
        }
        q[i]++;
    }
}

static void fill(struct brim_rng *r, struct problem *p, double reach)
{
    for (size_t i = 0; i < p->k; i++) {
        p->u[i] = (int32_t)(brim_rng_normal(r) * reach * BRIM_NEAREST_ONE);
        if (brim_rng_below(r, 3) == 0) { /* ties */
            p->u[i] = p->u[i] / BRIM_NEAREST_HALF * BRIM_NEAREST_HALF;
        }
    }
}

/* No codes that fit are nearer: one stage with any inputs, several with inputs of one sign. */
static void nothing_is_nearer(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    static const char *const path[4] = {"4", "5", "4/2,5", "3/1,4/2,5"};
    struct brim_rng r;
    unsigned bound = 0;

    (void)state;
    brim_rng_init(&r, 9, 0);
    for (int round = 0; round < 300; round++) {
        struct problem p = {.k = (size_t)brim_rng_range(&r, 1, 5), .qmax = 2};
        const size_t which = (size_t)brim_rng_below(&r, 4);
        int32_t q[MOST], price[2 * MOST];
        ASSERT_OK(ctx, brim_datapath_parse(ctx, path[which], &p.dp));
        p.range[0] = -brim_rng_range(&r, 0, 4);
        p.range[1] = brim_rng_range(&r, p.range[0] == 0, 4);
        if (which > 1) {
            p.range[brim_rng_below(&r, 2)] = 0;
        }
        fill(&r, &p, 1.5);
        if ((p.range[0] != 0 || p.range[1] != 0) && solve(ctx, &p, q, price)) {
            assert_true(certified(ctx, &p, q));
            assert_int_equal(distance(p.u, q, p.k), exhaustive(ctx, &p));
            bound += p.plan.n_limits > 0;
        }
    }
    assert_true(bound > 150);
    brim_ctx_free(ctx);
}

/* Every code is |u| less the dearest price of its registers, rounded, but for units of that very
 * price. */
static void check_prices(const struct problem *p, const int32_t *q, const int32_t *price)
{
    for (size_t i = 0; i < p->k; i++) {
        const int sign = p->u[i] < 0;
        const int32_t magnitude = abs(p->u[i]) + BRIM_NEAREST_HALF;
        int32_t dear = 0;
        for (size_t j = 0; j < p->plan.n_limits; j++) {
            const struct brim_limit *l = &p->plan.limit[j];
            const int32_t paid = price[2 * (l->first + i / l->tile) + (size_t)sign];
            dear = paid > dear ? paid : dear;
        }
        const int32_t left = magnitude > dear ? (magnitude - dear) >> BRIM_NEAREST_BITS : 0;
        const int32_t code = left < p->qmax ? left : p->qmax;
        const int32_t more = abs(q[i]) - code;
        assert_true(more == 0 || (more == 1 && (magnitude - dear + 1) % BRIM_NEAREST_ONE == 0));
    }
}

static void random_rows_fit(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    static const char *const path[6] = {"8",      "12", "8/4,10", "9/8p,16", "7/2,9/8,10/16,12s",
                                        "10/3,11"};
    struct brim_rng r;
    unsigned bound = 0;

    (void)state;
    brim_rng_init(&r, 10, 0);
    for (int round = 0; round < 3000; round++) {
        struct problem p = {.k = (size_t)brim_rng_range(&r, 1, MOST),
                            .qmax = (1 << brim_rng_range(&r, 1, 7)) - 1};
        int32_t q[MOST], price[4 * 4 * MOST];
        const size_t which = (size_t)brim_rng_below(&r, 6);
        ASSERT_OK(ctx, brim_datapath_parse(ctx, path[which], &p.dp));
        p.range[0] = brim_rng_below(&r, 2) == 0 ? 0 : -brim_rng_range(&r, 0, 40);
        p.range[1] = brim_rng_range(&r, p.range[0] == 0, 40);
        fill(&r, &p, (double)p.qmax);
        if ((p.range[0] != 0 || p.range[1] != 0) && solve(ctx, &p, q, price)) {
            for (size_t i = 0; i < p.k; i++) {
                const int32_t start = nearest(p.u[i], p.qmax);
                assert_true(abs(q[i]) <= abs(start) && (int64_t)q[i] * start >= 0);
            }
            assert_true(which == 3 || certified(ctx, &p, q)); /* spills may leave the first */
            check_prices(&p, q, price);
            bound += p.plan.n_limits > 0;
        }
    }
    assert_true(bound > 1500);
    brim_ctx_free(ctx);
}

/* The extremes of the fixed point: largest u, largest code, a register of 2^26. */
static void large_numbers_hold(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct problem p = {.k = MOST, .qmax = 32767, .range = {-65536, 65535}};
    int32_t q[MOST], price[2];

    (void)state;
    for (unsigned width = 17; width < 40; width++) {
        char text[8];
        (void)snprintf(text, sizeof text, "%u", width);
        ASSERT_OK(ctx, brim_datapath_parse(ctx, text, &p.dp));
        for (size_t i = 0; i < p.k; i++) {
            p.u[i] = i % 2 == 0 ? BRIM_NEAREST_MAX : -BRIM_NEAREST_MAX;
        }
        if (solve(ctx, &p, q, price)) {
            assert_true(certified(ctx, &p, q));
            assert_true(width != 39 || (q[0] == 32767 && q[1] == -32767));
        }
    }
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),
        cmocka_unit_test(nothing_is_nearer),
        cmocka_unit_test(random_rows_fit),
        cmocka_unit_test(large_numbers_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
