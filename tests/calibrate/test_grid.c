/* test_grid.c - scale and zero point for every kind of value. SPDX-License-Identifier: Apache-2.0 */
#include <float.h>

#include "calibrate/calibrate.h"
#include "testing.h"

#define BINS 8192u

static uint64_t bins[2 * BINS];

/* A histogram made by hand: limit 128, so a bin is 1/64 wide. */
static struct brim_activation seen(const double *v, size_t n, uint64_t times)
{
    struct brim_activation a = {
        .min = DBL_MAX, .max = -DBL_MAX, .n_bins = BINS, .limit = 128.0, .bin = bins};

    memset(bins, 0, sizeof bins);
    for (size_t i = 0; i < n; i++) {
        a.min = v[i] < a.min ? v[i] : a.min;
        a.max = v[i] > a.max ? v[i] : a.max;
        bins[v[i] < 0 ? BINS + (size_t)(-v[i] * 64) : (size_t)(v[i] * 64)] += times;
    }
    return a;
}

static struct brim_grid choose(const struct brim_activation *a, unsigned bits,
                               brim_range_method method, bool symmetric)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_grid g;

    ASSERT_OK(ctx, brim_calibrate_grid(ctx, a, 1U << bits, method, 99.0, symmetric, &g));
    assert_true(g.zero >= g.lo && g.zero <= g.hi && g.lo <= 0 && g.hi > 0 && g.scale > 0.0f);
    brim_ctx_free(ctx);
    return g;
}

static void eight_bit_data_keeps_its_codes(void **state)
{
    const double v[] = {3, 97};
    struct brim_activation a = seen(v, 2, 1);
    (void)state;

    a.integer = true;
    for (unsigned bits = 8; bits <= 16; bits += 8) {
        const struct brim_grid g = choose(&a, bits, BRIM_RANGE_MSE, true);
        assert_int_equal(g.dtype, BRIM_UINT8);
        assert_true(g.scale == 1.0f && g.zero == 0 && g.lo == 0 && g.hi == 255);
    }
    const struct brim_grid g = choose(&a, 7, BRIM_RANGE_MAX, false);
    assert_true(g.scale == (float)(97.0 / 127.0) && g.zero == 0 && g.hi == 127);
}

static void nothing_negative_means_unsigned_without_zero_point(void **state)
{
    const double v[] = {0, 1, 51};
    const struct brim_activation a = seen(v, 3, 1);
    (void)state;

    for (int symmetric = 0; symmetric < 2; symmetric++) {
        struct brim_grid g = choose(&a, 8, BRIM_RANGE_MAX, symmetric);
        assert_int_equal(g.dtype, BRIM_UINT8);
        assert_true(g.scale == 0.2f && g.zero == 0 && g.lo == 0 && g.hi == 255);
        g = choose(&a, 2, BRIM_RANGE_MAX, symmetric);
        assert_int_equal(g.dtype, BRIM_UINT8);
        assert_true(g.scale == 17.0f && g.zero == 0 && g.hi == 3);
        g = choose(&a, 16, BRIM_RANGE_MAX, symmetric);
        assert_int_equal(g.dtype, BRIM_UINT16);
        assert_true(g.scale == (float)(51.0 / 65535.0) && g.hi == 65535);
    }
}

static void both_signs_are_asymmetric_or_symmetric(void **state)
{
    const double v[] = {-1, 0.5, 3};
    const struct brim_activation a = seen(v, 3, 1);
    (void)state;

    struct brim_grid g = choose(&a, 8, BRIM_RANGE_MAX, false);
    assert_int_equal(g.dtype, BRIM_UINT8);
    assert_true(g.scale == (float)(4.0 / 255.0) && g.zero == 64);
    g = choose(&a, 8, BRIM_RANGE_MAX, true);
    assert_int_equal(g.dtype, BRIM_INT8);
    assert_true(g.scale == (float)(3.0 / 127.0) && g.zero == 0 && g.lo == -128 && g.hi == 127);
    g = choose(&a, 4, BRIM_RANGE_MAX, true);
    assert_true(g.dtype == BRIM_INT8 && g.lo == -8 && g.hi == 7 && g.scale == (float)(3.0 / 7.0));
    g = choose(&a, 16, BRIM_RANGE_MAX, true);
    assert_true(g.dtype == BRIM_INT16 && g.lo == -32768 && g.hi == 32767);
}

static void only_negative_values_still_cover_zero(void **state)
{
    const double v[] = {-5, -1};
    const struct brim_activation a = seen(v, 2, 1);
    (void)state;

    const struct brim_grid g = choose(&a, 8, BRIM_RANGE_MAX, false);
    assert_true(g.zero == 255 && g.scale == (float)(5.0 / 255.0));
}

static void all_zeros_and_tiny_values_give_a_usable_scale(void **state)
{
    const double v[] = {0, 0};
    struct brim_activation a = seen(v, 2, 1);
    (void)state;

    assert_true(choose(&a, 8, BRIM_RANGE_MAX, false).scale == 1.0f);
    assert_true(choose(&a, 4, BRIM_RANGE_MSE, false).scale == 1.0f);
    a.max = 1e-40;
    assert_true(choose(&a, 8, BRIM_RANGE_MAX, false).scale == FLT_MIN);
    a.min = -(double)FLT_MAX;
    a.max = (double)FLT_MAX;
    assert_true(choose(&a, 2, BRIM_RANGE_MAX, false).scale <= FLT_MAX);
}

/* The example in grid.c. */
static void mse_and_percentile_leave_a_lone_outlier_out(void **state)
{
    double v[102];
    (void)state;

    for (int i = 0; i < 101; i++) {
        v[i] = i * 0.1;
    }
    v[101] = 100.0;
    struct brim_activation a = seen(v, 101, 1000);
    bins[6400] = 1;
    a.max = 100.0;
    assert_true(choose(&a, 4, BRIM_RANGE_MAX, false).scale == (float)(100.0 / 15.0));
    const float mse = choose(&a, 4, BRIM_RANGE_MSE, false).scale;
    assert_true(mse > 0.5f && mse < 1.5f);
    const float percentile = choose(&a, 4, BRIM_RANGE_PERCENTILE, false).scale;
    assert_true(percentile > 9.8f / 15 && percentile < 10.1f / 15);
}

static void mse_clips_each_side_on_its_own(void **state)
{
    double v[201];
    (void)state;

    for (int i = 0; i < 200; i++) { /* -4..4, and one at -64 */
        v[i] = -4.0 + i * 0.04;
    }
    struct brim_activation a = seen(v, 200, 1000);
    bins[BINS + 64 * 64] = 1;
    a.min = -64.0;
    const struct brim_grid max = choose(&a, 4, BRIM_RANGE_MAX, false);
    const struct brim_grid mse = choose(&a, 4, BRIM_RANGE_MSE, false);
    assert_true(max.zero == 14 && mse.zero > 5 && mse.zero < 11);
    assert_true(mse.scale < max.scale / 4);
    const struct brim_grid symmetric = choose(&a, 4, BRIM_RANGE_MSE, true);
    assert_true(symmetric.zero == 0 && symmetric.scale < 1.0f);
}

static float layer_scale(const struct brim_activation *a, size_t vector, unsigned scale_bits,
                         brim_range_method method)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_arena arena;
    struct brim_grid g;

    brim_arena_init(&arena, ctx);
    ASSERT_OK(ctx, brim_calibrate_grid(ctx, a, 16, method, 99.0, false, &g));
    ASSERT_OK(ctx, brim_calibrate_vectors(&arena, a, vector, scale_bits, true, method, &g));
    assert_true(g.code == NULL && g.lo == 0 && g.hi == 15 && g.zero == 0);
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
    return g.scale;
}

/* 0 to 10 evenly and one at 100. Short vectors seldom hold the outlier, so that with enough integer
 * scales nothing needs to be cut off for the rest; where scales are few, or vectors long, it is. */
static void scales_at_run_time_reach_as_far_as_pays(void **state)
{
    float channel_max[1] = {100.0f};
    double v[101];
    (void)state;

    for (int i = 0; i < 101; i++) {
        v[i] = i * 0.1;
    }
    struct brim_activation a = seen(v, 101, 1000);
    bins[6400] = 1;
    a.max = 100.0;
    a.channels = 1;
    a.channel_max = channel_max;
    const float all = (float)(100.0 / (15.0 * 15.0));
    assert_true(layer_scale(&a, 16, 4, BRIM_RANGE_MAX) == all);
    const float few = layer_scale(&a, 16, 4, BRIM_RANGE_MSE);
    const float many = layer_scale(&a, 16, 10, BRIM_RANGE_MSE) * 1023.0f / 15.0f;
    const float longer = layer_scale(&a, 128, 10, BRIM_RANGE_MSE) * 1023.0f / 15.0f;
    assert_true(many > few && few > 0.099f * all && longer <= many);
}

static void nonsense_is_refused(void **state)
{
    const double v[] = {1};
    const struct brim_activation a = seen(v, 1, 1);
    brim_ctx *ctx = testing_ctx(1);
    struct brim_grid g;
    (void)state;

    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "3 activation codes",
                 brim_calibrate_grid(ctx, &a, 3, BRIM_RANGE_MAX, 0, false, &g));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "65537 activation codes",
                 brim_calibrate_grid(ctx, &a, 65537, BRIM_RANGE_MAX, 0, false, &g));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "percentile is 0",
                 brim_calibrate_grid(ctx, &a, 256, BRIM_RANGE_PERCENTILE, 0, false, &g));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "percentile is 101",
                 brim_calibrate_grid(ctx, &a, 256, BRIM_RANGE_PERCENTILE, 101, false, &g));
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_bit_data_keeps_its_codes),
        cmocka_unit_test(nothing_negative_means_unsigned_without_zero_point),
        cmocka_unit_test(both_signs_are_asymmetric_or_symmetric),
        cmocka_unit_test(only_negative_values_still_cover_zero),
        cmocka_unit_test(all_zeros_and_tiny_values_give_a_usable_scale),
        cmocka_unit_test(mse_and_percentile_leave_a_lone_outlier_out),
        cmocka_unit_test(mse_clips_each_side_on_its_own),
        cmocka_unit_test(scales_at_run_time_reach_as_far_as_pays),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
