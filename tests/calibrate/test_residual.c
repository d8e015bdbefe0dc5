/* test_residual.c - cross moments with a residual's error, against the definition.
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "calibrate/residual.h"

enum { N = 2, POSITIONS = 3, K = 2 };

/* Worked example: r of channel 0 is (1, 2, 3), of channel 1 (0, -1, 0); x~ rows (1,0) (0,1) (1,1). */
static void worked_example(void **state)
{
    const struct brim_dot conv = {.kind = BRIM_DOT_CONV, .n = N, .k = K, .groups = 1};
    const struct brim_rows rows = {.dot = &conv, .per_sample = POSITIONS, .columns = K};
    const float f[N * POSITIONS] = {2, 4, 6, 5, 5, 5}; /* channels first */
    const float q[N * POSITIONS] = {1, 2, 3, 5, 6, 5};
    const float x[POSITIONS * K] = {1, 0, 0, 1, 1, 1};
    float r[POSITIONS * N], scratch[N * K];
    double e[N * K] = {0}, mean[N] = {0};
    struct brim_moments m = {.k = K, .n = N, .groups = 1, .e = e, .mean_e = mean};
    (void)state;

    brim_residual_fill(&rows, f, q, r);
    assert_int_equal(brim_residual_scratch(N, K), N * K);
    brim_residual_add(&m, r, x, POSITIONS, scratch);
    const double want[N * K] = {1 + 3, 2 + 3, 0, -1};
    for (size_t i = 0; i < N * K; i++) {
        assert_true(e[i] == want[i]);
    }
    assert_true(mean[0] == 6 && mean[1] == -1); /* sums: the caller divides by all rows */
}

static void a_products_rows_are_as_they_lie(void **state)
{
    const struct brim_dot product = {.kind = BRIM_DOT_MATMUL, .n = N, .k = K, .groups = 1};
    const struct brim_rows rows = {.dot = &product, .per_sample = 1, .columns = K};
    const float f[N] = {3, 4}, q[N] = {1, 8};
    float r[N];
    (void)state;

    brim_residual_fill(&rows, f, q, r);
    assert_true(r[0] == 2 && r[1] == -4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),
        cmocka_unit_test(a_products_rows_are_as_they_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
