/* test_budgets.c - every code fits its registers, in any datapath. SPDX-License-Identifier:
 * Apache-2.0 */
#include <math.h>

#include "problem.h"
#include "quantize/sweep.h"

static brim_datapath random_datapath(struct brim_rng *r, size_t k)
{
    brim_datapath dp = {.n_stages = (size_t)brim_rng_range(r, 1, 3)};
    uint64_t tile = (uint64_t)brim_rng_range(r, 1, 8);

    for (size_t i = 0; i < dp.n_stages; i++) {
        const bool last = i + 1 == dp.n_stages;
        dp.stage[i] = (brim_stage){.width = (uint8_t)brim_rng_range(r, 9, 18),
                                   .mode = !last && brim_rng_below(r, 4) == 0 ? BRIM_MODE_SPILL
                                                                              : BRIM_MODE_SATURATE,
                                   .tile = last ? 0 : tile};
        tile *= (uint64_t)brim_rng_range(r, 1, 4);
        tile = tile > 2 * k ? 2 * k : tile;
        if (!last && tile % dp.stage[i].tile != 0) {
            tile = dp.stage[i].tile;
        }
    }
    return dp;
}

/* Oracle 25 and 11: random layers under random datapaths, all solvers and budgets. */
static void random_layers_fit(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng r;
    unsigned solved = 0;

    (void)state;
    brim_rng_init(&r, 77, 0);
    for (int round = 0; round < 400; round++) {
        struct layer l;
        const size_t shape[3] = {(size_t)brim_rng_range(&r, 1, 5),
                                 (size_t)brim_rng_range(&r, 1, 40),
                                 (size_t)brim_rng_range(&r, 1, 50)};
        const int64_t bits = brim_rng_range(&r, 1, 8);
        const int64_t span = (1 << bits) - 1;
        const int64_t low = brim_rng_below(&r, 2) == 0 ? 0 : -brim_rng_range(&r, 0, span);
        brim_solve_params p =
            layer_params((brim_solver)brim_rng_below(&r, 4), (brim_budget)brim_rng_range(&r, 1, 3),
                         (unsigned)brim_rng_range(&r, 2, 8));
        brim_status st;
        layer_make(&l, shape, 1000 + (uint64_t)round, low, low + span);
        l.dp = random_datapath(&r, l.k);
        l.p.g = brim_rng_below(&r, 2) == 0 ? l.g : NULL;
        p.full_error = brim_rng_below(&r, 2) == 0;
        p.effort = (unsigned)brim_rng_below(&r, 2);
        st = brim_solve_layer(ctx, &l.p, &p, &l.s);
        assert_true(st == BRIM_OK || st == BRIM_ERR_INFEASIBLE);
        if (st == BRIM_OK) {
            bool spills = false;
            for (size_t i = 0; i < l.dp.n_stages; i++) {
                spills |= l.dp.stage[i].mode == BRIM_MODE_SPILL;
            }
            assert_true(layer_certified(&l));
            assert_true(spills || layer_needs_fit(ctx, &l));
            solved++;
        }
        brim_clear_error(ctx);
        layer_free(&l);
    }
    assert_true(solved > 200);
    brim_ctx_free(ctx);
}

/* Oracle 11: a register too wide to matter changes nothing, bit for bit. */
static void wide_register_is_unconstrained(void **state)
{
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    for (int solver = 0; solver < 4; solver++) {
        for (unsigned width = 19; width <= 64; width += 5) {
            struct layer a;
            struct layer b;
            brim_solve_params p = layer_params((brim_solver)solver, BRIM_BUDGET_NONE, 4);
            layer_make(&a, (size_t[]){6, 70, 90}, 8, 0, 255);
            layer_make(&b, (size_t[]){6, 70, 90}, 8, 0, 255);
            ASSERT_OK(ctx, brim_solve_layer(ctx, &a.p, &p, &a.s));
            p.budget = BRIM_BUDGET_AXE;
            b.dp.stage[0].width = (uint8_t)width;
            ASSERT_OK(ctx, brim_solve_layer(ctx, &b.p, &p, &b.s));
            assert_memory_equal(a.codes, b.codes, 420 * sizeof(int16_t));
            assert_memory_equal(a.scale, b.scale, 6 * sizeof(float));
            assert_true(a.s.rel_error == b.s.rel_error);
            layer_free(&a);
            layer_free(&b);
        }
    }
    brim_ctx_free(ctx);
}

static void axe_worked_example(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct layer l;
    brim_solve_params p = layer_params(BRIM_SOLVER_RTN, BRIM_BUDGET_AXE, 4);

    (void)state;
    layer_make(&l, (size_t[]){1, 2, 3}, 1, 0, 1);
    memcpy(l.h, (double[]){2, 0, 0, 1}, 4 * sizeof(double));
    l.w[1] = 4.0F;
    l.dp.stage[0].width = 4;
    l.w[0] = 7.0F; /* the largest code, so that the scale is 1 */
    ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
    /* Z = 14 >= 11, lambda = 0; room 7: clip to 6.5, q[0] = 6 (half to even); room 1: 0.5 -> 0 */
    assert_int_equal(l.codes[0], 6);
    assert_int_equal(l.codes[1], 0);
    p.budget = BRIM_BUDGET_EXACT;
    p.effort = 0;
    ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
    assert_true(layer_certified(&l));
    assert_true(l.codes[0] + l.codes[1] == 7); /* filled to the brim */
    layer_free(&l);
    brim_ctx_free(ctx);
}

static void clamp_worked_example(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const brim_datapath dp = {.n_stages = 1, .stage = {{.width = 4}}};
    const brim_datapath two = {.n_stages = 1, .stage = {{.width = 2}}};
    struct brim_budget_plan plan;
    struct brim_room room[1];
    int64_t bound[2] = {7, 7};

    (void)state;
    ASSERT_OK(ctx, brim_budget_compile(ctx, &dp, 3, 7, (int64_t[]){0, 3}, &plan));
    brim_room_reset(&plan, room);
    brim_room_bounds(&plan, room, 0, bound);
    assert_int_equal(bound[0], 2);
    assert_int_equal(bound[1], 2);
    ASSERT_OK(ctx, brim_budget_compile(ctx, &two, 3, 7, (int64_t[]){-1, 1}, &plan));
    brim_room_reset(&plan, room);
    bound[0] = bound[1] = 7;
    brim_room_bounds(&plan, room, 0, bound);
    assert_int_equal(bound[0], 1);
    assert_int_equal(bound[1], 1);
    brim_room_take(&plan, room, 0, -1, 1);
    bound[0] = bound[1] = 7;
    brim_room_bounds(&plan, room, 1, bound);
    assert_int_equal(bound[0], 0);
    brim_ctx_free(ctx);
}

/* Oracle 23: the negative rail is two's complement's own. */
static void negative_rail(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const brim_datapath dp = {.n_stages = 1, .stage = {{.width = 4}}};
    struct brim_budget_plan plan;
    struct brim_room room[1];
    const int16_t low[2] = {-4, -4};
    const int16_t high[2] = {4, 4};

    (void)state;
    ASSERT_OK(ctx, brim_budget_compile(ctx, &dp, 2, 7, (int64_t[]){0, 1}, &plan));
    assert_true(brim_budget_holds(&plan, low, 2, room));
    assert_false(brim_budget_holds(&plan, high, 2, room));
    brim_ctx_free(ctx);
}

static void projection_example(void **state)
{
    double a[3] = {3.0, 1.0, 0.5};
    double inside[2] = {1.0, 0.5};

    (void)state;
    assert_true(brim_l1_threshold(a, 3, 2.0) == 1.0);
    assert_true(brim_l1_threshold(inside, 2, 1.5) == 0.0);
    assert_true(brim_l1_threshold(a, 0, 1.0) == 0.0);
}

/* Oracle 10: the sum after shrinking is the radius, and shrinking again does nothing; oracle 7: so
 * truncation stays inside. */
static void projection_kkt(void **state)
{
    struct brim_rng r;

    (void)state;
    brim_rng_init(&r, 4, 0);
    for (int round = 0; round < 500; round++) {
        const size_t n = 1 + brim_rng_below(&r, 60);
        const double radius = 0.1 + 20.0 * brim_rng_uniform(&r);
        double a[64];
        double b[64];
        double sum = 0.0;
        double before = 0.0;
        double codes = 0.0;
        double theta;
        for (size_t i = 0; i < n; i++) {
            a[i] = b[i] = fabs(brim_rng_normal(&r)) * (brim_rng_below(&r, 5) == 0 ? 10.0 : 1.0);
            before += a[i];
        }
        theta = brim_l1_threshold(b, n, radius);
        for (size_t i = 0; i < n; i++) {
            a[i] = a[i] > theta ? a[i] - theta : 0.0;
            sum += a[i];
            codes += floor(a[i]);
            b[i] = a[i];
        }
        assert_true(fabs(sum - (before < radius ? before : radius)) < 1e-9);
        assert_true(codes <= radius + 1e-9);
        assert_true(brim_l1_threshold(b, n, radius) < 1e-9);
    }
}

/* Oracle 27: codes are tracked as integers. The float quotient of code and scale truncates to a
 * smaller code for some scales; the registers must hold all the same. */
static void no_division_hazard(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng r;
    unsigned hazards = 0;

    (void)state;
    brim_rng_init(&r, 5, 0);
    for (uint64_t round = 0; round < 60; round++) {
        struct layer l;
        const brim_solve_params p =
            layer_params(round % 2 == 0 ? BRIM_SOLVER_OPTQ : BRIM_SOLVER_GPFQ, BRIM_BUDGET_AXE, 4);
        layer_make(&l, (size_t[]){12, 64, 100}, 300 + round, 0, 255);
        l.dp.stage[0].width = 15;
        ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
        assert_true(layer_certified(&l));
        for (size_t i = 0; i < l.n * l.k; i++) {
            const volatile float real = (float)l.codes[i] * l.scale[i / l.k];
            const volatile float quotient = real / l.scale[i / l.k];
            hazards += (int)quotient != l.codes[i] ? 1 : 0;
        }
        layer_free(&l);
    }
    assert_true(hazards > 0); /* the trap was really there */
    brim_ctx_free(ctx);
}

static void infeasible_names_the_stage(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct layer l;
    const brim_solve_params p = layer_params(BRIM_SOLVER_OPTQ, BRIM_BUDGET_EXACT, 8);

    (void)state;
    layer_make(&l, (size_t[]){2, 8, 9}, 1, 0, 255);
    l.dp.stage[0].width = 3;
    ASSERT_FAILS(ctx, BRIM_ERR_INFEASIBLE, "stage 1 has 3 bits",
                 brim_solve_layer(ctx, &l.p, &p, &l.s));
    ASSERT_FAILS(ctx, BRIM_ERR_INFEASIBLE, "at least 9 bits",
                 brim_solve_layer(ctx, &l.p, &p, &l.s));
    l.dp.stage[0].width = 9;
    ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
    assert_true(layer_certified(&l));
    l.dp = (brim_datapath){.n_stages = 2, .stage = {{.width = 16, .tile = 3}, {.width = 4}}};
    ASSERT_FAILS(ctx, BRIM_ERR_INFEASIBLE, "stage 2", brim_solve_layer(ctx, &l.p, &p, &l.s));
    l.dp.stage[1].tile = 6;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "the last stage sums the whole",
                 brim_solve_layer(ctx, &l.p, &p, &l.s));
    layer_free(&l);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_layers_fit),
        cmocka_unit_test(wide_register_is_unconstrained),
        cmocka_unit_test(axe_worked_example),
        cmocka_unit_test(clamp_worked_example),
        cmocka_unit_test(negative_rail),
        cmocka_unit_test(projection_example),
        cmocka_unit_test(projection_kkt),
        cmocka_unit_test(no_division_hazard),
        cmocka_unit_test(infeasible_names_the_stage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
