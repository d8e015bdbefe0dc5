/* test_solvers.c - rounding without a budget. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "problem.h"
#include "quantize/sweep.h"

static void solve(struct layer *l, brim_solve_params p)
{
    brim_ctx *ctx = testing_ctx(1);

    ASSERT_OK(ctx, brim_solve_layer(ctx, &l->p, &p, &l->s));
    brim_ctx_free(ctx);
}

/* Two weights, chosen so that the scale is exactly 1: the largest is the largest code. */
static void two(struct layer *l, const double h[4], double a, double b)
{
    layer_make(l, (size_t[]){1, 3, 4}, 1, 0, 255);
    memset(l->h, 0, 9 * sizeof(double));
    l->h[0] = h[0];
    l->h[1] = l->h[3] = h[1];
    l->h[4] = h[3];
    l->h[8] = 1e-9; /* a third input that fixes the scale and speaks to nobody */
    l->w[0] = (float)a;
    l->w[1] = (float)b;
    l->w[2] = 7.0F;
}

static void optq_worked_example(void **state)
{
    struct layer l;
    brim_solve_params p = layer_params(BRIM_SOLVER_OPTQ, BRIM_BUDGET_NONE, 4);

    (void)state;
    two(&l, (double[]){2, 1, 1, 2}, 1.4, 0.6);
    p.damping = 0.0;
    solve(&l, p);
    assert_int_equal(l.codes[0], 1);
    assert_int_equal(l.codes[1], 1);
    assert_int_equal(l.codes[2], 7);
    /* the third decimal: v[1] = 0.6 + 0.4/2 = 0.8; with 0.25 in place of 0.6 it is 0.45 */
    l.w[1] = 0.25F;
    solve(&l, p);
    assert_int_equal(l.codes[1], 0);
    l.w[1] = 0.35F; /* 0.55: rounds up only because the error was carried */
    solve(&l, p);
    assert_int_equal(l.codes[1], 1);
    layer_free(&l);
}

/* Outputs that should be W X + R: with H = G = 4 I and e = (8, -4, 0), R moves the target by e/4. */
static void the_target_includes_the_residual(void **state)
{
    const double e[3] = {8, -4, 0};
    struct layer l;
    brim_solve_params p = layer_params(BRIM_SOLVER_OPTQ, BRIM_BUDGET_NONE, 4);
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    two(&l, (double[]){4, 0, 0, 4}, 1.0, 2.0);
    l.h[8] = 4;
    p.damping = 0.0;
    l.p.g = l.h;
    l.p.e = e;
    solve(&l, p);
    assert_int_equal(l.codes[0], 3);
    assert_int_equal(l.codes[1], 1);
    assert_int_equal(l.codes[2], 7);
    l.p.g = NULL;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "without cross moments", brim_solve_layer(ctx, &l.p, &p, &l.s));
    brim_ctx_free(ctx);
    layer_free(&l);
}

static void gpfq_worked_example(void **state)
{
    struct layer l;
    brim_solve_params p = layer_params(BRIM_SOLVER_GPFQ, BRIM_BUDGET_NONE, 4);

    (void)state;
    two(&l, (double[]){4, 2, 2, 4}, 0.6, 0.6);
    p.damping = 0.0;
    solve(&l, p);
    assert_int_equal(l.codes[0], 1);
    assert_int_equal(l.codes[1], 0);
    layer_free(&l);
}

/* Oracle 13: with a diagonal H nothing is carried: plain rounding, by every solver. */
static void diagonal_is_rounding(void **state)
{
    (void)state;
    for (int solver = 0; solver < 4; solver++) {
        struct layer l;
        layer_make(&l, (size_t[]){9, 17, 3}, 5, 0, 255);
        for (size_t i = 0; i < 17 * 17; i++) {
            l.h[i] = i % 18 == 0 ? 1.0 + (double)i : 0.0;
        }
        solve(&l, layer_params((brim_solver)solver, BRIM_BUDGET_NONE, 5));
        for (size_t i = 0; i < l.n * l.k; i++) {
            const double y = (double)l.w[i] / (double)l.scale[i / l.k];
            assert_int_equal(l.codes[i], (int)nearbyint(y));
        }
        layer_free(&l);
    }
}

/* Oracle 12: the explicit residual form, sample by sample, with mismatched inputs. */
static void gpfq_is_residual_form(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct layer l;
        struct {
            double h;
            size_t i;
        } order[24];
        layer_make(&l, (size_t[]){5, 24, 60}, 100 + seed, 0, 15);
        l.p.g = l.g;
        solve(&l, layer_params(BRIM_SOLVER_GPFQ, BRIM_BUDGET_NONE, 4));
        for (size_t i = 0; i < l.k; i++) {
            size_t at = i;
            for (; at > 0 && order[at - 1].h < l.h[i * l.k + i]; at--) {
                order[at] = order[at - 1];
            }
            order[at].h = l.h[i * l.k + i];
            order[at].i = i;
        }
        for (size_t c = 0; c < l.n; c++) {
            double u[60] = {0};
            for (size_t t = 0; t < l.k; t++) {
                const size_t i = order[t].i;
                const double s = (double)l.scale[c];
                double dot = 0.0;
                double y;
                for (size_t d = 0; d < l.d; d++) {
                    u[d] += (double)l.w[c * l.k + i] * l.x[i * l.d + d];
                    dot += u[d] * l.xq[i * l.d + d];
                }
                y = dot / order[t].h / s;
                y = y > 7.0 ? 7.0 : y < -7.0 ? -7.0 : y;
                assert_true(fabs(y - l.codes[c * l.k + i]) <= 0.5 + 1e-10);
                for (size_t d = 0; d < l.d; d++) {
                    u[d] -= s * l.codes[c * l.k + i] * l.xq[i * l.d + d];
                }
            }
        }
        layer_free(&l);
    }
}

/* Oracle 13: blocks change the order of sums, not the codes; and the loss counted column by column
 * is the loss. */
static void blocked_is_unblocked(void **state)
{
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct layer l;
        struct brim_layer prep = {.ctx = ctx};
        int16_t *codes[3];
        const size_t block[3] = {BRIM_SWEEP_BLOCK, 1, 1000};
        layer_make(&l, (size_t[]){7, 200, 260}, 40 + seed, 0, 255);
        prep.p = &l.p;
        prep.par = layer_params(BRIM_SOLVER_OPTQ, BRIM_BUDGET_NONE, 4);
        prep.n = l.n;
        prep.k = l.k;
        prep.qmax = 7;
        brim_arena_init(&prep.arena, ctx);
        ASSERT_OK(ctx, brim_layer_prepare(&prep));
        for (int i = 0; i < 3; i++) {
            struct brim_sweep s;
            struct brim_lane lane[7];
            ASSERT_OK(ctx, brim_sweep_create(&prep, &prep.arena, 7, BRIM_BUDGET_NONE, &s));
            s.block = block[i];
            s.v = brim_arena_alloc(&prep.arena, (block[i] + 1) * 7, sizeof(double));
            for (size_t c = 0; c < 7; c++) {
                lane[c] = (struct brim_lane){c, prep.w_max[c] / 7.0, 7.0};
            }
            ASSERT_OK(ctx, brim_sweep_load(&prep, &s, lane, 7));
            brim_sweep_run(&s);
            codes[i] = s.q;
            assert_memory_equal(codes[0], codes[i], 7 * 200 * sizeof(int16_t));
            for (size_t c = 0; c < 7; c++) {
                int16_t q[200];
                brim_sweep_codes(&s, c, q);
                assert_true(fabs(s.cost[c] / layer_error(&l, c, q, lane[c].scale) - 1.0) < 1e-9);
            }
        }
        brim_layer_free(&prep);
        layer_free(&l);
    }
    brim_ctx_free(ctx);
}

/* The example in the head of rtn.c. */
static void nearest_chooses_its_scale(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const float w[2] = {1.0F, 0.5F};
    const double h[4] = {1, 1, 1, 1};
    const brim_layer_problem p = {.n = 1, .k = 2, .w = w, .h = h, .x_max = 255};
    const brim_solve_params params = layer_params(BRIM_SOLVER_RTN, BRIM_BUDGET_NONE, 4);
    int16_t codes[2];
    float scale[1];
    brim_layer_solution s = {.codes = codes, .scale = scale};

    (void)state;
    ASSERT_OK(ctx, brim_solve_layer(ctx, &p, &params, &s));
    assert_true(fabs((double)scale[0] - 0.15) < 1e-7);
    assert_memory_equal(codes, ((int16_t[]){7, 3}), sizeof codes);
    assert_true(s.rel_error < 1e-9);
    brim_ctx_free(ctx);
}

/* Oracle 14 and 15: on average the solvers that carry errors beat rounding. */
static void carrying_beats_rounding(void **state)
{
    double sum[4] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        for (int solver = 0; solver < 4; solver++) {
            struct layer l;
            layer_make(&l, (size_t[]){6, 40, 90}, 200 + seed, 0, 255);
            solve(&l, layer_params((brim_solver)solver, BRIM_BUDGET_NONE, 3));
            sum[solver] += l.s.rel_error;
            layer_free(&l);
        }
    }
    assert_true(sum[BRIM_SOLVER_OPTQ] < 0.7 * sum[BRIM_SOLVER_RTN]);
    assert_true(sum[BRIM_SOLVER_GPFQ] < 0.8 * sum[BRIM_SOLVER_RTN]);
    assert_true(sum[BRIM_SOLVER_QRONOS] < 1.05 * sum[BRIM_SOLVER_OPTQ]);
    assert_true(sum[BRIM_SOLVER_OPTQ] < 1.05 * sum[BRIM_SOLVER_QRONOS]);
}

/* With equal inputs Qronos is OPTQ, bit for bit. */
static void qronos_without_mismatch(void **state)
{
    struct layer a;
    struct layer b;

    (void)state;
    layer_make(&a, (size_t[]){8, 50, 80}, 3, -128, 127);
    layer_make(&b, (size_t[]){8, 50, 80}, 3, -128, 127);
    solve(&a, layer_params(BRIM_SOLVER_OPTQ, BRIM_BUDGET_NONE, 4));
    solve(&b, layer_params(BRIM_SOLVER_QRONOS, BRIM_BUDGET_NONE, 4));
    assert_memory_equal(a.codes, b.codes, 400 * sizeof(int16_t));
    layer_free(&a);
    layer_free(&b);
}

static void odd_sizes(void **state)
{
    (void)state;
    for (int solver = 0; solver < 4; solver++) {
        for (size_t k = 1; k <= 3; k++) {
            struct layer l;
            layer_make(&l, (size_t[]){2, k, 5}, 9, 0, 255);
            l.p.g = l.g;
            solve(&l, layer_params((brim_solver)solver, BRIM_BUDGET_EXACT, 8));
            assert_true(l.s.rel_error < 1e-3);
            memset(l.h, 0, k * k * sizeof(double)); /* inputs that never move */
            memset(l.g, 0, k * k * sizeof(double));
            memset(l.w, 0, k * sizeof(float)); /* and a channel of zeros */
            solve(&l, layer_params((brim_solver)solver, BRIM_BUDGET_EXACT, 8));
            for (size_t i = 0; i < 2 * k; i++) {
                assert_int_equal(l.codes[i], 0);
            }
            assert_true(l.scale[0] > 0.0F);
            l.p.n = 0;
            solve(&l, layer_params((brim_solver)solver, BRIM_BUDGET_EXACT, 8));
            layer_free(&l);
        }
    }
}

static void bad_problems(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct layer l;
    brim_solve_params p = layer_params(BRIM_SOLVER_OPTQ, BRIM_BUDGET_EXACT, 8);

    (void)state;
    layer_make(&l, (size_t[]){3, 6, 9}, 2, 0, 255);
    l.w[8] = (float)NAN;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "channel 1", brim_solve_layer(ctx, &l.p, &p, &l.s));
    l.w[8] = 1.0F;
    l.h[7] = HUGE_VAL;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "second moment", brim_solve_layer(ctx, &l.p, &p, &l.s));
    l.h[7] = -1.0;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input 1", brim_solve_layer(ctx, &l.p, &p, &l.s));
    l.h[7] = 1.0;
    l.p.x_min = 1;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "contains 0", brim_solve_layer(ctx, &l.p, &p, &l.s));
    l.p.x_min = 0;
    p.wbits = 9;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "9 bits", brim_solve_layer(ctx, &l.p, &p, &l.s));
    p.wbits = 8;
    p.damping = (double)NAN;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "damping", brim_solve_layer(ctx, &l.p, &p, &l.s));
    p.damping = 0.01;
    l.p.datapath = NULL;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "datapath", brim_solve_layer(ctx, &l.p, &p, &l.s));
    for (size_t i = 0; i < 36; i++) {
        l.h[i] = i % 7 == 0 ? 1.0 : 5.0; /* not positive semidefinite by far */
    }
    p.budget = BRIM_BUDGET_NONE;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "semidefinite", brim_solve_layer(ctx, &l.p, &p, &l.s));
    layer_free(&l);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optq_worked_example),
        cmocka_unit_test(the_target_includes_the_residual),
        cmocka_unit_test(gpfq_worked_example),
        cmocka_unit_test(diagonal_is_rounding),
        cmocka_unit_test(gpfq_is_residual_form),
        cmocka_unit_test(blocked_is_unblocked),
        cmocka_unit_test(nearest_chooses_its_scale),
        cmocka_unit_test(carrying_beats_rounding),
        cmocka_unit_test(qronos_without_mismatch),
        cmocka_unit_test(odd_sizes),
        cmocka_unit_test(bad_problems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
