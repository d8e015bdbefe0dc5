/* test_exact.c - the exact budget: optimal where it can be enumerated, never worse than AXE.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "problem.h"

/* The best codes of one channel at this scale by trying all, |q| <= 1. */
static double enumerate(const struct layer *l, size_t c, double s, int64_t top)
{
    double best = HUGE_VAL;
    int64_t count = 1;

    for (size_t i = 0; i < l->k; i++) {
        count *= 3;
    }
    for (int64_t code = 0; code < count; code++) {
        int16_t q[8];
        int64_t pos = 0;
        int64_t neg = 0;
        int64_t rest = code;
        double e;
        for (size_t i = 0; i < l->k; i++, rest /= 3) {
            q[i] = (int16_t)(rest % 3 - 1);
            pos += q[i] > 0 ? q[i] : 0;
            neg -= q[i] < 0 ? q[i] : 0;
        }
        if (pos * l->p.x_max > top || neg * l->p.x_max > top + 1) {
            continue;
        }
        e = layer_error(l, c, q, s);
        best = e < best ? e : best;
    }
    return best;
}

/* Oracle 14: for K <= 6 and 2-bit codes the search is nearly always at the optimum of its scale. */
static void brute_force(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    unsigned optimal = 0;
    unsigned total = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct layer l;
        const brim_solve_params p = layer_params(BRIM_SOLVER_OPTQ, BRIM_BUDGET_EXACT, 2);
        layer_make(&l, (size_t[]){4, 3 + seed % 4, 30}, 900 + seed, 0, 3);
        l.dp.stage[0].width = 4; /* two units of either sign */
        ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
        assert_true(layer_certified(&l));
        for (size_t c = 0; c < l.n; c++) {
            const double best = enumerate(&l, c, (double)l.scale[c], 7);
            const double got = layer_error(&l, c, l.codes + c * l.k, (double)l.scale[c]);
            optimal += got <= best * (1.0 + 1e-9) + 1e-12 ? 1 : 0;
            total++;
        }
        layer_free(&l);
    }
    assert_true(optimal * 100 >= total * 97);
    brim_ctx_free(ctx);
}

/* exact <= axe on every layer, all solvers, all kinds of registers, and scores as reported. */
static void never_worse_than_axe(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    unsigned better = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 240; seed++) {
        struct layer l;
        brim_solve_params p =
            layer_params((brim_solver)(seed % 4), BRIM_BUDGET_AXE, 2 + (unsigned)(seed / 4 % 7));
        double axe;
        layer_make(&l, (size_t[]){3, 5 + seed % 31, 50}, 5000 + seed, seed % 3 == 0 ? -128 : 0,
                   127);
        l.p.g = seed % 5 == 0 ? l.g : NULL;
        l.dp.stage[0].width = (uint8_t)(9 + seed % 8);
        if (seed % 7 == 0) {
            l.dp =
                (brim_datapath){.n_stages = 2, .stage = {{.width = 11, .tile = 4}, {.width = 13}}};
        }
        p.full_error = seed % 2 == 0;
        ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
        axe = l.s.rel_error;
        p.budget = BRIM_BUDGET_EXACT;
        p.effort = (unsigned)(seed % 3);
        ASSERT_OK(ctx, brim_solve_layer(ctx, &l.p, &p, &l.s));
        assert_true(l.s.rel_error <= axe);
        assert_true(layer_certified(&l));
        better += l.s.rel_error < 0.9 * axe ? 1 : 0;
        if (l.p.g == NULL) {
            double err = 0.0;
            double norm = 0.0;
            const int16_t zero[64] = {0};
            for (size_t c = 0; c < l.n; c++) {
                err += layer_error(&l, c, l.codes + c * l.k, (double)l.scale[c]);
                norm += layer_error(&l, c, zero, 1.0);
            }
            assert_true(fabs(err / norm - l.s.rel_error) < 1e-9);
        }
        layer_free(&l);
    }
    assert_true(better > 120);
    brim_ctx_free(ctx);
}

/* The same bits for 1, 2 and 3 threads, and again. */
static void deterministic(void **state)
{
    struct layer one;

    (void)state;
    layer_make(&one, (size_t[]){150, 90, 120}, 12, 0, 255);
    for (int threads = 1; threads <= 3; threads++) {
        for (int budget = 0; budget <= 3; budget++) {
            brim_ctx *a = testing_ctx(1);
            brim_ctx *b = testing_ctx(threads);
            struct layer two;
            const brim_solve_params p = layer_params(BRIM_SOLVER_OPTQ, (brim_budget)budget, 4);
            layer_make(&two, (size_t[]){150, 90, 120}, 12, 0, 255);
            one.dp.stage[0].width = two.dp.stage[0].width = 15;
            ASSERT_OK(a, brim_solve_layer(a, &one.p, &p, &one.s));
            ASSERT_OK(b, brim_solve_layer(b, &two.p, &p, &two.s));
            assert_memory_equal(one.codes, two.codes, 150 * 90 * sizeof(int16_t));
            assert_memory_equal(one.scale, two.scale, 150 * sizeof(float));
            assert_true(one.s.rel_error == two.s.rel_error);
            layer_free(&two);
            brim_ctx_free(a);
            brim_ctx_free(b);
        }
    }
    layer_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brute_force),
        cmocka_unit_test(never_worse_than_axe),
        cmocka_unit_test(deterministic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
