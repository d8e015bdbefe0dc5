/* test_bench.c - the bench of second moments reports what it says. SPDX-License-Identifier:
 * Apache-2.0 */
#include "brim/bench.h"
#include "testing.h"

static void moments(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_bench_moments_report r;

    (void)state;
    ASSERT_OK(ctx, brim_bench_moments(ctx, 200, 3000, 3, &r));
    assert_int_equal(r.k, 200);
    assert_true(r.seconds > 0.0 && r.ssyrk > 0.0 && r.sgemm > 0.0);
    /* the share is the time of the two plain products over the measured time */
    const double plain = 3000.0 * 200.0 * (201.0 / r.ssyrk + 400.0 / r.sgemm) * 1e-9;
    assert_true(plain / r.seconds > 0.999 * r.share && plain / r.seconds < 1.001 * r.share);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "0 inputs", brim_bench_moments(ctx, 0, 10, 1, &r));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "100 runs", brim_bench_moments(ctx, 8, 10, 100, &r));
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(moments)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
