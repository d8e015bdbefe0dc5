/* test_total.c - every family that may compute a product gives the same integers, and is chosen
 * where its weights are. SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/rng.h"
#include "kernels/total.h"

#define N 48
#define K 128
#define M 40

static int32_t w[N * K];
static uint8_t x[M * K];
static int32_t y[M * N];

/* Weights within lo..hi; keep of every 4 inputs in the order of the block of outputs. */
static void fill(struct brim_rng *rng, int32_t lo, int32_t hi, unsigned keep)
{
    for (size_t c = 0; c < N; c++) {
        for (size_t i = 0; i < K; i++) {
            const bool on = (i + c / 16) % 4 < keep;
            w[c * K + i] = on ? (int32_t)brim_rng_range(rng, lo, hi) : 0;
        }
    }
    for (size_t i = 0; i < M * K; i++) {
        x[i] = (uint8_t)brim_rng_below(rng, 16);
    }
}

static void check(brim_ctx *ctx, size_t m, const char *family)
{
    const struct brim_gemm_params p = {
        .w = w, .n = N, .k = K, .segments = 1, .x_max = 15, .epilogue = {.emit = BRIM_EMIT_ACC}};
    struct brim_total *t;
    struct brim_choice choice;

    ASSERT_OK(ctx, brim_total_create(ctx, &p, &t));
    void *scratch = brim_alloc(ctx, brim_total_scratch(t, m) + 1, 1);
    assert_non_null(scratch);
    const struct brim_gemm_rows rows = {
        .m = m, .x = x, .x_stride = K, .y = y, .y_stride = N, .scratch = scratch};
    brim_total_run(t, &rows);
    for (size_t i = 0; i < m; i++) {
        for (size_t c = 0; c < N; c++) {
            int32_t sum = 0;
            for (size_t k = 0; k < K; k++) {
                sum += w[c * K + k] * x[i * K + k];
            }
            assert_int_equal(y[i * N + c], sum);
        }
    }
    brim_total_choice(t, m, &choice);
    assert_non_null(choice.variant);
    if (family != NULL) {
        assert_string_equal(choice.family, family);
    }
    brim_free(ctx, scratch);
    brim_total_free(ctx, t);
}

static void families_agree(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 5, 0);
    for (size_t m = 1; m <= M; m += m < 6 ? 1 : 17) {
        fill(&rng, -128, 127, 4);
        check(ctx, m, "gemm");
        fill(&rng, -8, 7, 4);
        check(ctx, m, m <= 4 ? "gemv" : "gemm");
        fill(&rng, -128, 127, 2);
        check(ctx, m, m >= 16 ? "sparse" : "gemm");
        fill(&rng, -1, 1, 4); /* lookup, where this processor's pays */
        check(ctx, m, NULL);
        fill(&rng, -2, 1, 1);
        check(ctx, m, NULL);
    }
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(families_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
