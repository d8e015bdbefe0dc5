/* test_gemv.c - a product by hand, every variant at the ends of every range, and what is refused.
 * Random shapes are checkasm's. SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/ctx.h"
#include "kernels/gemv.h"
#include "kernels/gemv_variant.h"

static void run_once(brim_ctx *ctx, const struct brim_gemv_params *p, size_t m, const void *x,
                     void *y)
{
    struct brim_gemv *gemv;

    ASSERT_OK(ctx, brim_gemv_create(ctx, p, &gemv));
    void *scratch = brim_alloc(ctx, brim_gemv_scratch(gemv), 1);
    brim_gemv_run(
        gemv, &(struct brim_gemv_rows){
                  .m = m, .x = x, .x_stride = p->k, .y = y, .y_stride = p->n, .scratch = scratch});
    brim_free(ctx, scratch);
    brim_gemv_free(ctx, gemv);
}

static void a_product_by_hand(void **state)
{
    static const int32_t w[] = {1, -2, 0, /* */ -1, 1, 1};
    static const int8_t x[] = {3, -128, 127, /* */ 5, 6, 7};
    static const int32_t offset[] = {1000, -1000};
    brim_ctx *ctx = testing_ctx(1);
    int32_t y[4];

    (void)state;
    for (unsigned bits = 2; bits <= 8; bits *= 2) {
        run_once(ctx,
                 &(struct brim_gemv_params){
                     .w = w,
                     .n = 2,
                     .k = 3,
                     .bits = bits,
                     .x_min = -128,
                     .x_max = 127,
                     .x_signed = true,
                     .epilogue = {.emit = BRIM_EMIT_ACC, .offset = offset},
                 },
                 2, x, y);
        assert_int_equal(y[0], 1000 + 3 + 256);
        assert_int_equal(y[1], -1000 - 3 - 128 + 127);
        assert_int_equal(y[2], 1000 + 5 - 12);
        assert_int_equal(y[3], -1000 - 5 + 6 + 7);
    }
    brim_ctx_free(ctx);
}

/* All bytes 255, all weights at one end: the narrow sums inside of the kernels are largest. */
static void no_sum_inside_overflows(void **state)
{
    enum { n = 16, k = 4096 };
    brim_ctx *ctx = testing_ctx(1);
    int32_t *w = brim_alloc(ctx, n * k, sizeof *w);
    uint8_t *x = brim_alloc(ctx, BRIM_GEMV_ROWS * k, 1);
    int32_t y[BRIM_GEMV_ROWS * n];

    (void)state;
    memset(x, 255, BRIM_GEMV_ROWS * k);
    for (size_t v = 0; v < brim_gemv_variant_count; v++) {
        if ((brim_gemv_variants[v]->isa & ~ctx->isa) != 0) {
            continue;
        }
        for (unsigned bits = 2; bits <= 8; bits *= 2) {
            const int32_t ends[] = {-(1 << (bits - 1)), (1 << (bits - 1)) - 1};
            for (size_t i = 0; i < n * k; i++) {
                w[i] = ends[i / k % 2];
            }
            run_once(ctx,
                     &(struct brim_gemv_params){.w = w,
                                                .n = n,
                                                .k = k,
                                                .bits = bits,
                                                .x_max = 255,
                                                .epilogue = {.emit = BRIM_EMIT_ACC},
                                                .variant = brim_gemv_variants[v]->name},
                     BRIM_GEMV_ROWS, x, y);
            for (size_t i = 0; i < BRIM_GEMV_ROWS * n; i++) {
                assert_int_equal(y[i], 255 * k * ends[i % 2]);
            }
        }
    }
    brim_free(ctx, w);
    brim_free(ctx, x);
    brim_ctx_free(ctx);
}

static void refusals(void **state)
{
    static const int32_t w[] = {1, 2, -8, 7};
    static const int32_t far = INT32_MAX - 1000;
    const struct brim_gemv_params good = {
        .w = w, .n = 1, .k = 4, .bits = 4, .x_max = 255, .epilogue = {.emit = BRIM_EMIT_ACC}};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_gemv *gemv;
    struct brim_gemv_params p = good;

    (void)state;
    p.bits = 3;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "2, 4 or 8", brim_gemv_create(ctx, &p, &gemv));
    assert_null(gemv);
    p = good;
    p.bits = 2;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "weight 2 of output 0", brim_gemv_create(ctx, &p, &gemv));
    p = good;
    p.x_min = -1;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input codes -1..255", brim_gemv_create(ctx, &p, &gemv));
    p = good;
    p.k = 0;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "0 inputs", brim_gemv_create(ctx, &p, &gemv));
    p = good;
    p.epilogue.offset = &far;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "32 bits", brim_gemv_create(ctx, &p, &gemv));
    p = good;
    p.variant = "avx3";
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "'avx3'", brim_gemv_create(ctx, &p, &gemv));
    ctx->isa = 0;
    p.variant = "avx2";
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "'avx2'", brim_gemv_create(ctx, &p, &gemv));
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_by_hand),
        cmocka_unit_test(no_sum_inside_overflows),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
