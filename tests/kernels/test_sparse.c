/* test_sparse.c - a product by hand, and what is refused. Random shapes are checkasm's.
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/ctx.h"
#include "kernels/sparse.h"
#include "kernels/sparse_gather.h"

static void a_product_by_hand(void **state)
{
    /* 1:3, the second block of outputs has a pattern of its own */
    enum { n = 17, k = 7 };
    static const int8_t x[2 * k] = {1, 2, 3, 4, 5, 6, 7, /* */ -1, -2, -3, -4, -5, -6, -128};
    brim_ctx *ctx = testing_ctx(1);
    int32_t w[n * k] = {0}, y[2 * n];
    struct brim_sparse *sparse;

    (void)state;
    for (size_t i = 0; i < n - 1; i++) {
        w[i * k + 1] = (int32_t)i;
        w[i * k + 3] = -1;
        w[i * k + 6] = 100;
    }
    w[(n - 1) * k + 2] = 5;
    for (size_t g = 0; g < brim_sparse_gather_count; g++) {
        if ((brim_sparse_gathers[g]->isa & ~ctx->isa) != 0) {
            continue;
        }
        const struct brim_sparse_params p = {.w = w,
                                             .n = n,
                                             .k = k,
                                             .keep = 1,
                                             .group = 3,
                                             .block = 16,
                                             .x_min = -128,
                                             .x_max = 127,
                                             .x_signed = true,
                                             .epilogue = {.emit = BRIM_EMIT_ACC},
                                             .gather = brim_sparse_gathers[g]->name};
        ASSERT_OK(ctx, brim_sparse_create(ctx, &p, &sparse));
        assert_ptr_equal(brim_sparse_gather_chosen(sparse), brim_sparse_gathers[g]);
        void *scratch = brim_alloc(ctx, brim_sparse_scratch(sparse, 2), 1);
        brim_sparse_run(
            sparse, &(struct brim_sparse_rows){
                        .m = 2, .x = x, .x_stride = k, .y = y, .y_stride = n, .scratch = scratch});
        for (int32_t i = 0; i < n - 1; i++) {
            assert_int_equal(y[i], 2 * i - 4 + 700);
            assert_int_equal(y[n + i], -2 * i + 4 - 12800);
        }
        assert_int_equal(y[n - 1], 15);
        assert_int_equal(y[2 * n - 1], -15);
        brim_free(ctx, scratch);
        brim_sparse_free(ctx, sparse);
    }
    brim_ctx_free(ctx);
}

static void refusals(void **state)
{
    static const int32_t w[] = {1, 0, 2, 0, /* */ 0, 3, 4, 0};
    const struct brim_sparse_params good = {.w = w,
                                            .n = 2,
                                            .k = 4,
                                            .keep = 3,
                                            .group = 4,
                                            .block = 32,
                                            .x_max = 255,
                                            .epilogue = {.emit = BRIM_EMIT_ACC}};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_sparse_params p = good;
    struct brim_sparse *sparse;

    (void)state;
    ASSERT_OK(ctx, brim_sparse_create(ctx, &p, &sparse));
    brim_sparse_free(ctx, sparse);
    p.keep = 2; /* each output keeps 2, but not the same */
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "outputs 0..1 share more than 2 of inputs 0..3",
                 brim_sparse_create(ctx, &p, &sparse));
    assert_null(sparse);
    p.keep = 4;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "4 of 4 kept", brim_sparse_create(ctx, &p, &sparse));
    p = good;
    p.group = 65;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "M <= 64", brim_sparse_create(ctx, &p, &sparse));
    p = good;
    p.block = 24;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "blocks of 24", brim_sparse_create(ctx, &p, &sparse));
    p = good;
    p.x_max = 256;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input codes 0..256", brim_sparse_create(ctx, &p, &sparse));
    p = good;
    p.gather = "vgather";
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "'vgather'", brim_sparse_create(ctx, &p, &sparse));
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_by_hand),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
