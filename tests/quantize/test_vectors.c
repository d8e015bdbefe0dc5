/* test_vectors.c - a scale for every vector, and pruned weights, in every solver and budget.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "quantize/problem.h"

#define MAX_N 8
#define MAX_K 64

struct scales {
    float single[MAX_N * MAX_K];
    uint16_t code[MAX_N * MAX_K];
};

static void attach(struct layer *l, struct scales *s)
{
    l->s.vector_scale = s->single;
    l->s.vector_code = s->code;
}

/* The weight that code i of output c stands for. */
static double weight(const struct layer *l, const brim_vector_params *v, size_t c, size_t i)
{
    const size_t per = v->length == 0 ? 1 : (l->k + v->length - 1) / v->length;
    const double q = l->codes[c * l->k + i];

    if (v->length == 0) {
        return (double)l->scale[c] * q;
    }
    const size_t g = c * per + i / v->length;
    return v->scale_bits == 0 ? (double)l->s.vector_scale[g] * q
                              : (double)l->scale[c] * l->s.vector_code[g] * q;
}

static double squared_error(const struct layer *l, const brim_vector_params *v)
{
    double sum = 0.0;

    for (size_t c = 0; c < l->n; c++) {
        for (size_t i = 0; i < l->k; i++) {
            for (size_t j = 0; j < l->k; j++) {
                sum += (weight(l, v, c, i) - (double)l->w[c * l->k + i]) * l->h[i * l->k + j] *
                       (weight(l, v, c, j) - (double)l->w[c * l->k + j]);
            }
        }
    }
    return sum;
}

/* The example in the head of vector.c. */
static void two_level_worked_example(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const float w[4] = {7, 1, 3, -2};
    const double h[16] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    const brim_layer_problem p = {.n = 1, .k = 4, .w = w, .h = h, .x_max = 255};
    int16_t codes[4];
    float scale[1];
    uint16_t unit[2];
    brim_layer_solution s = {.codes = codes, .scale = scale, .vector_code = unit};
    brim_solve_params params = layer_params(BRIM_SOLVER_RTN, BRIM_BUDGET_NONE, 4);

    (void)state;
    params.vector = (brim_vector_params){.length = 2, .scale_bits = 3, .percentile = 99};
    ASSERT_OK(ctx, brim_solve_layer(ctx, &p, &params, &s));
    assert_int_equal(unit[0], 7);
    assert_int_equal(unit[1], 3); /* 3/7 over 1/7 */
    assert_true(fabs((double)scale[0] - 1.0 / 7.0) < 1e-7);
    assert_memory_equal(codes, ((int16_t[]){7, 1, 7, -5}), sizeof codes);
    params.vector.published_order = true;
    ASSERT_OK(ctx, brim_solve_layer(ctx, &p, &params, &s));
    assert_memory_equal(codes, ((int16_t[]){7, 1, 7, -5}), sizeof codes);
    params.vector.length = 9; /* longer than the reduction: one short vector */
    ASSERT_OK(ctx, brim_solve_layer(ctx, &p, &params, &s));
    assert_int_equal(unit[0], 7);
    assert_memory_equal(codes, ((int16_t[]){7, 1, 3, -2}), sizeof codes);
    brim_ctx_free(ctx);
}

/* Oracle 19: no code clips, so no weight moves by more than half a step; a vector of zeros has scale
 * 0; one large weight does not disturb the other vectors. */
static void nothing_clips(void **state)
{
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct layer l;
        struct scales sc;
        brim_solve_params p = layer_params(BRIM_SOLVER_RTN, BRIM_BUDGET_NONE, 4);

        layer_make(&l, (size_t[]){4, 48, 60}, 700 + seed, 0, 255);
        attach(&l, &sc);
        p.vector.length = 8 + seed % 9;
        p.vector.scale_bits = seed % 4 == 0 ? 0 : 3 + (unsigned)(seed % 8);
        for (size_t i = 0; i < p.vector.length; i++) {
            l.w[l.k + i] = 0.0F;
        }
        l.w[2 * l.k + 3] = 100.0F;
        ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
        const size_t per = (l.k + p.vector.length - 1) / p.vector.length;
        for (size_t c = 0; c < l.n; c++) {
            for (size_t i = 0; i < l.k; i++) {
                const size_t g = c * per + i / p.vector.length;
                const double step = p.vector.scale_bits == 0 ? (double)sc.single[g]
                                                             : (double)l.scale[c] * sc.code[g];
                assert_true(fabs(weight(&l, &p.vector, c, i) - (double)l.w[c * l.k + i]) <=
                            0.5001 * step);
            }
        }
        assert_true(p.vector.scale_bits == 0 ? sc.single[per] == 0.0F : sc.code[per] == 0);
        layer_free(&l);
    }
    brim_ctx_free(ctx);
}

/* All solvers and budgets: registers up to the vectors hold, the reported error is the error, exact
 * is never worse than axe, and vectors beat one scale per output. */
static void every_solver_and_budget(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    double with = 0.0, without = 0.0;
    unsigned grown = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 96; seed++) {
        struct layer l;
        struct scales sc;
        double error[4];
        brim_solve_params p = layer_params((brim_solver)(seed % 4), BRIM_BUDGET_NONE, 4);

        layer_make(&l, (size_t[]){3, 24 + seed % 20, 90}, 9000 + seed, seed % 3 == 0 ? -128 : 0,
                   127);
        attach(&l, &sc);
        ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
        without += l.s.rel_error;
        p.vector.length = 8;
        p.vector.scale_bits = seed % 2 == 0 ? 4 : 0;
        p.vector.range = (brim_range_method)(seed % 3);
        l.dp = (brim_datapath){
            .n_stages = 2,
            .stage = {{.width = (uint8_t)(10 + seed % 4), .tile = 8}, {.width = 32}}};
        for (int budget = 0; budget <= 3; budget++) {
            p.budget = (brim_budget)budget;
            ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
            assert_true(budget == 0 || layer_certified(&l));
            assert_true(fabs(squared_error(&l, &p.vector) / l.s.norm - l.s.rel_error) < 1e-6);
            error[budget] = l.s.rel_error;
        }
        assert_true(error[3] <= error[2]);
        grown += error[3] < 0.9 * error[2] ? 1 : 0;
        with += error[0];
        layer_free(&l);
    }
    assert_true(grown > 60);
    assert_true(with < 0.75 * without);
    brim_ctx_free(ctx);
}

/* Pruned weights stay 0 whatever solves the layer, and what is kept makes up for them. */
static void pruned_codes_are_zero(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    double rounded = 0.0, carried = 0.0;

    (void)state;
    for (uint64_t seed = 0; seed < 64; seed++) {
        struct layer l;
        struct scales sc;
        uint8_t keep[MAX_N * MAX_K];
        brim_solve_params p = layer_params((brim_solver)(seed % 4), (brim_budget)(seed / 4 % 4), 5);

        layer_make(&l, (size_t[]){3, 32, 80}, 400 + seed, 0, 127);
        attach(&l, &sc);
        l.dp.stage[0].width = 13;
        for (size_t i = 0; i < l.n * l.k; i++) {
            keep[i] = (uint8_t)(i * 7 % 4 < 2);
        }
        l.p.keep = keep;
        if (seed % 8 == 7) {
            p.vector = (brim_vector_params){.length = 16, .scale_bits = 4, .percentile = 99};
            l.dp =
                (brim_datapath){.n_stages = 2, .stage = {{.width = 12, .tile = 16}, {.width = 32}}};
        }
        ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
        for (size_t i = 0; i < l.n * l.k; i++) {
            assert_true(keep[i] != 0 || l.codes[i] == 0);
        }
        assert_true(p.budget == BRIM_BUDGET_NONE || layer_certified(&l));
        p.budget = BRIM_BUDGET_NONE;
        p.solver = BRIM_SOLVER_RTN;
        ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
        rounded += l.s.rel_error;
        p.solver = BRIM_SOLVER_OPTQ;
        ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
        carried += l.s.rel_error;
        layer_free(&l);
    }
    assert_true(carried < 0.7 * rounded);
    brim_ctx_free(ctx);
}

static void refuses_with_a_reason(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct layer l;
    struct scales sc;
    brim_solve_params p = layer_params(BRIM_SOLVER_OPTQ, BRIM_BUDGET_EXACT, 4);

    (void)state;
    layer_make(&l, (size_t[]){2, 32, 40}, 1, 0, 255);
    attach(&l, &sc);
    p.vector.length = 16;
    p.vector.scale_bits = 2;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "vector scales of 2 bits, expected 0 or 3 to 10",
                 brim_solve_layer(ctx, &l.p, &p, &l.s));
    p.vector.scale_bits = 4;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "has tiles of 16 products, the vectors",
                 brim_solve_layer(ctx, &l.p, &p, &l.s));
    layer_free(&l);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_level_worked_example), cmocka_unit_test(nothing_clips),
        cmocka_unit_test(every_solver_and_budget),  cmocka_unit_test(pruned_codes_are_zero),
        cmocka_unit_test(refuses_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
