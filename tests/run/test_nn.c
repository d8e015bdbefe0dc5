/* test_nn.c - products and normalizations: by hand, against plain loops, and the same bits for any
 * batch. SPDX-License-Identifier: Apache-2.0 */
#include "op_call.h"

#include <math.h>

#include "base/half.h"
#include "base/parallel.h"

/* ---- Gemm ---- */

static void gemm_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float a[] = {1, 2, 3, 4, 5, 6}; /* [3][2], used transposed: [2][3] */
    const float b[] = {1, 0, 2, 0, 1, 3}; /* [2][3], used transposed: [3][2] */
    const float c0[] = {100, 200};
    /* a' = 1 3 5 / 2 4 6, b' = 1 0 / 0 1 / 2 3: a'b' = 11 18 / 14 22 */
    const float want[] = {5.5f + 200, 9 + 400, 7 + 200, 11 + 400};
    struct call c;

    call_begin(&c, ctx, "Gemm", 13);
    call_int(&c, "transA", 1);
    call_int(&c, "transB", 1);
    call_float(&c, "alpha", 0.5f);
    call_float(&c, "beta", 2);
    call_in(&c, BRIM_FLOAT, a, SHAPE(3, 2));
    call_in(&c, BRIM_FLOAT, b, SHAPE(2, 3));
    call_in(&c, BRIM_FLOAT, c0, SHAPE(2));
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SHAPE(2, 2));
    assert_floats(c.out[0].data, want, 4, 0);
    c.in[2].type.shape = *SHAPE(2, 1); /* down the rows instead */
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){205.5f, 209, 407, 411}, 4, 0);
    call_end(&c);
    brim_ctx_free(ctx);
}

static void gemm_of_integers_wraps(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int32_t a[] = {INT32_MAX, 2}, b[] = {3, -5, 1, 1}, c0[] = {7};
    const uint32_t want[] = {(uint32_t)INT32_MAX * 3u + 2u + 7u, (uint32_t)INT32_MAX * -5u + 9u};
    const int64_t a64[] = {-3}, b64[] = {INT64_C(1) << 40}, c64[] = {INT64_MIN + 1};
    struct call c;

    call_begin(&c, ctx, "Gemm", 13);
    call_in(&c, BRIM_INT32, a, SHAPE(1, 2));
    call_in(&c, BRIM_INT32, b, SHAPE(2, 2));
    call_in(&c, BRIM_INT32, c0, SCALAR);
    ASSERT_OK(ctx, call_run(&c));
    assert_memory_equal(c.out[0].data, want, sizeof want);
    call_end(&c);

    call_begin(&c, ctx, "Gemm", 13);
    call_in(&c, BRIM_INT64, a64, SHAPE(1, 1));
    call_in(&c, BRIM_INT64, b64, SHAPE(1, 1));
    ASSERT_OK(ctx, call_run(&c));
    assert_int_equal(*(int64_t *)c.out[0].data, -3 * (INT64_C(1) << 40));
    call_in(&c, BRIM_INT64, c64, SHAPE(1, 1)); /* more than a double holds */
    ASSERT_OK(ctx, call_run(&c));
    assert_true(*(uint64_t *)c.out[0].data == (uint64_t)INT64_MIN + 1u - 3u * (UINT64_C(1) << 40));
    call_float(&c, "alpha", NAN);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n1' (Gemm): alpha or beta is no integer of 63 bits",
                 call_run(&c));
    call_end(&c);
    brim_ctx_free(ctx);
}

enum { ROWS = 64, MOST = 64 * 400 };

/* Row i of [rows][k] * [k][n] alone, in every batch size, at every place: always the same bits. */
static void check_rows(brim_ctx *ctx, const char *op, int64_t k, int64_t n)
{
    static float a[MOST], b[MOST], want[ROWS * 64];
    struct brim_rng r;
    struct call c;

    brim_rng_init(&r, (uint64_t)k, (uint64_t)n);
    fill_normal(&r, a, (size_t)(ROWS * k));
    fill_normal(&r, b, (size_t)(k * n));
    for (int64_t rows = ROWS; rows >= 1; rows -= rows > 20 ? 9 : 1) {
        for (int64_t first = 0; first + rows <= ROWS; first += rows) {
            call_begin(&c, ctx, op, 13);
            call_in(&c, BRIM_FLOAT, a + first * k, SHAPE(rows, k));
            call_in(&c, BRIM_FLOAT, b, SHAPE(k, n));
            ASSERT_OK(ctx, call_run(&c));
            const size_t bytes = (size_t)(rows * n) * sizeof(float);
            if (rows == ROWS) {
                memcpy(want, c.out[0].data, bytes);
            }
            assert_memory_equal(c.out[0].data, want + first * n, bytes);
            call_end(&c);
        }
    }
    for (int64_t i = 0; i < ROWS * n; i++) {
        double sum = 0;
        for (int64_t p = 0; p < k; p++) {
            sum += (double)a[i / n * k + p] * (double)b[p * n + i % n];
        }
        assert_true(want[i] == (float)sum);
    }
}

static void product_bits_do_not_depend_on_batch(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t k[] = {1, 31, 64, 300, 400}, n[] = {1, 3, 16, 17, 64};

    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 5; j++) {
            check_rows(ctx, j % 2 != 0 ? "Gemm" : "MatMul", k[i], n[j]);
        }
    }
    brim_ctx_free(ctx);
}

struct product {
    brim_ctx *ctx;
    const float *a, *b;
    float *y;
};

static brim_status one_product(void *arg, size_t i, int worker)
{
    const struct product *p = arg;
    struct call c;

    (void)worker;
    call_begin(&c, p->ctx, "MatMul", 13);
    call_in(&c, BRIM_FLOAT, p->a + i * 8 * 300, SHAPE(8, 300));
    call_in(&c, BRIM_FLOAT, p->b, SHAPE(300, 33));
    const brim_status s = call_run(&c);
    memcpy(p->y + i * 8 * 33, c.out[0].data, 8 * 33 * sizeof(float));
    call_end(&c);
    return s;
}

static void product_bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    static float a[8 * 8 * 300], b[300 * 33], y[8 * 8 * 33], want[8 * 8 * 33];
    const int threads[] = {1, 2, 3, 7};
    struct brim_rng r;

    brim_rng_init(&r, 5, 0);
    fill_normal(&r, a, 8 * 8 * 300);
    fill_normal(&r, b, 300 * 33);
    for (size_t t = 0; t < 4; t++) {
        brim_ctx *ctx = testing_ctx(threads[t]);
        struct product p = {ctx, a, b, t == 0 ? want : y};
        ASSERT_OK(ctx, brim_parallel_for(ctx, 8, one_product, &p));
        if (t > 0) {
            assert_memory_equal(y, want, sizeof y);
        }
        brim_ctx_free(ctx);
    }
}

/* ---- MatMul ---- */

static void matmul_broadcasts(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    float a[2 * 1 * 2 * 3], b[3 * 3 * 2];
    struct call c;

    for (size_t i = 0; i < 12; i++) {
        a[i] = (float)i;
    }
    for (size_t i = 0; i < 18; i++) {
        b[i] = (float)(i % 5);
    }
    call_begin(&c, ctx, "MatMul", 13);
    call_in(&c, BRIM_FLOAT, a, SHAPE(2, 1, 2, 3));
    call_in(&c, BRIM_FLOAT, b, SHAPE(3, 3, 2));
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SHAPE(2, 3, 2, 2));
    for (size_t i = 0; i < 24; i++) {
        const size_t col = i % 2, row = i / 2 % 2, t = i / 4 % 3, s = i / 12;
        float sum = 0;
        for (size_t p = 0; p < 3; p++) {
            sum += a[(s * 2 + row) * 3 + p] * b[(t * 3 + p) * 2 + col];
        }
        assert_floats((const float *)c.out[0].data + i, &sum, 1, 0);
    }
    call_end(&c);
    brim_ctx_free(ctx);
}

static void matmul_of_vectors(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const double v[] = {1, 2}, m[] = {3, 4, 5, 6};
    struct call c;

    call_begin(&c, ctx, "MatMul", 13);
    call_in(&c, BRIM_DOUBLE, v, SHAPE(2));
    call_in(&c, BRIM_DOUBLE, m, SHAPE(2, 2));
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SHAPE(2));
    assert_memory_equal(c.out[0].data, ((const double[]){13, 16}), 16);
    call_end(&c);

    call_begin(&c, ctx, "MatMul", 13);
    call_in(&c, BRIM_DOUBLE, m, SHAPE(2, 2));
    call_in(&c, BRIM_DOUBLE, v, SHAPE(2));
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SHAPE(2));
    assert_memory_equal(c.out[0].data, ((const double[]){11, 17}), 16);
    call_end(&c);

    call_begin(&c, ctx, "MatMul", 13);
    call_in(&c, BRIM_DOUBLE, v, SHAPE(2));
    call_in(&c, BRIM_DOUBLE, v, SHAPE(2));
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SCALAR);
    assert_memory_equal(c.out[0].data, ((const double[]){5}), 8);
    call_end(&c);
    brim_ctx_free(ctx);
}

static void matmul_of_other_types(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const uint64_t a[] = {UINT64_MAX}, b[] = {3};
    const uint16_t h[] = {brim_half_from_float(0.5f)};
    struct call c;

    call_begin(&c, ctx, "MatMul", 13);
    call_in(&c, BRIM_UINT64, a, SHAPE(1, 1));
    call_in(&c, BRIM_UINT64, b, SHAPE(1, 1));
    ASSERT_OK(ctx, call_run(&c));
    assert_true(*(uint64_t *)c.out[0].data == UINT64_MAX - 2);
    call_end(&c);

    call_begin(&c, ctx, "MatMul", 13);
    call_in(&c, BRIM_FLOAT16, h, SHAPE(1, 1));
    call_in(&c, BRIM_FLOAT16, h, SHAPE(1, 1));
    ASSERT_OK(ctx, call_run(&c));
    assert_int_equal(*(uint16_t *)c.out[0].data, brim_half_from_float(0.25f));
    call_end(&c);

    call_begin(&c, ctx, "MatMul", 13); /* nothing to add up */
    call_in(&c, BRIM_FLOAT, a, SHAPE(2, 0));
    call_in(&c, BRIM_FLOAT, a, SHAPE(0, 1));
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){0, 0}, 2, 0);
    call_end(&c);
    brim_ctx_free(ctx);
}

static void products_refuse(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static const float zeros[16];
    struct call c;

    call_begin(&c, ctx, "MatMul", 13);
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(2, 3));
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(2, 3));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE,
                 "node 'n1' (MatMul): the inner dimensions are 3 and 2, expected them equal",
                 call_run(&c));
    c.in[1].type.shape = *SCALAR;
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "an operand is a scalar", call_run(&c));
    c.in[1].type = (struct brim_type){BRIM_DOUBLE, *SHAPE(3, 2)};
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "input 1 has type double, expected that of input 0, float",
                 call_run(&c));
    call_end(&c);

    call_begin(&c, ctx, "Gemm", 13);
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(2, 3));
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(3, 2));
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(3));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "do not broadcast", call_run(&c));
    c.in[2].type.shape = *SHAPE(1, 2, 2);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "C has shape [1,2,2], which does not broadcast to [2,2]",
                 call_run(&c));
    c.in[1].type.shape = *SHAPE(3);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "input 1 has rank 1, expected 2", call_run(&c));
    call_end(&c);
    brim_ctx_free(ctx);
}

/* ---- normalization ---- */

/* Before opset 13 all axes from `axis` on are one; since, each line along the axis is its own. */
static void softmax_axis_by_opset(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float l2 = 0.69314718f; /* exp gives 2 */
    const float x[] = {0, l2, 0, l2};
    const float flat[] = {1 / 6.0f, 2 / 6.0f, 1 / 6.0f, 2 / 6.0f};
    const float rows[] = {1 / 3.0f, 2 / 3.0f, 1 / 3.0f, 2 / 3.0f};
    const float columns[] = {0.5f, 0.5f, 0.5f, 0.5f};
    struct call c;

    call_begin(&c, ctx, "Softmax", 11);
    call_in(&c, BRIM_FLOAT, x, SHAPE(1, 2, 2));
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, flat, 4, 1e-6);
    c.opset = 13;
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, rows, 4, 1e-6);
    call_int(&c, "axis", 1);
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, columns, 4, 1e-6);
    c.attr[0].i = 3;
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n1' (Softmax): axis 3 is outside a tensor of rank 3",
                 call_run(&c));
    call_end(&c);
    brim_ctx_free(ctx);
}

static void softmax_of_large_numbers(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {1e30f, 1e30f, -1e30f};
    struct call c;

    call_begin(&c, ctx, "Softmax", 13);
    call_in(&c, BRIM_FLOAT, x, SHAPE(3));
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){0.5f, 0.5f, 0}, 3, 0);
    call_end(&c);
    brim_ctx_free(ctx);
}

static void batchnorm_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {1, 3, 5, 7}; /* [1][2][2] */
    const float scale[] = {2, 3}, bias[] = {10, 20}, mean[] = {1, 5}, variance[] = {3, 0};
    /* epsilon 1: deviations 2 and 1 */
    const float want[] = {10, 12, 20, 26};
    const struct brim_shape *two = SHAPE(2);
    struct call c;

    call_begin(&c, ctx, "BatchNormalization", 15);
    call_float(&c, "epsilon", 1);
    call_in(&c, BRIM_FLOAT, x, SHAPE(1, 2, 2));
    call_in(&c, BRIM_FLOAT, scale, two);
    call_in(&c, BRIM_FLOAT, bias, two);
    call_in(&c, BRIM_FLOAT, mean, two);
    call_in(&c, BRIM_FLOAT, variance, two);
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, want, 4, 1e-6);

    /* Training: the batch's own moments (2, 1) and (6, 1); running ones follow at 1 - 0.5. */
    call_int(&c, "training_mode", 1);
    call_float(&c, "momentum", 0.5f);
    c.node.n_out = 3;
    ASSERT_OK(ctx, call_run(&c));
    const float d = 0.70710678f; /* 1 / sqrt(1 + 1) */
    assert_floats(c.out[0].data, (const float[]){10 - 2 * d, 10 + 2 * d, 20 - 3 * d, 20 + 3 * d}, 4,
                  1e-6);
    assert_floats(c.out[1].data, (const float[]){1.5f, 5.5f}, 2, 1e-6);
    assert_floats(c.out[2].data, (const float[]){2, 0.5f}, 2, 1e-6);
    c.in[3].type.shape = *SHAPE(3);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE,
                 "node 'n1' (BatchNormalization): input 3 has shape [3], expected [2]",
                 call_run(&c));
    call_end(&c);
    brim_ctx_free(ctx);
}

static void layernorm_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {1, 3, 0, 0}; /* two rows: mean 2 and 0, variance 1 and 0 */
    const float scale[] = {2, 4}, bias[] = {1, -1};
    const float d = 0.5f; /* epsilon 3: 1 / sqrt(1 + 3) */
    struct call c;

    call_begin(&c, ctx, "LayerNormalization", 17);
    c.node.n_out = 3;
    call_float(&c, "epsilon", 3);
    call_in(&c, BRIM_FLOAT, x, SHAPE(2, 2));
    call_in(&c, BRIM_FLOAT, scale, SHAPE(2));
    call_in(&c, BRIM_FLOAT, bias, SHAPE(2));
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){1 - 2 * d, -1 + 4 * d, 1, -1}, 4, 1e-6);
    assert_shape(&c, 1, SHAPE(2, 1));
    assert_floats(c.out[1].data, (const float[]){2, 0}, 2, 1e-6);
    assert_floats(c.out[2].data, (const float[]){0.5f, 0.57735027f}, 2, 1e-6);
    c.in[1].type.shape = *SHAPE(2, 1); /* one scale per row: [2, 1], not per column */
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){1 - 2 * d, -1 + 2 * d, 1, -1}, 4, 1e-6);
    c.in[1].type.shape = *SHAPE(3);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "do not broadcast", call_run(&c));
    call_end(&c);
    brim_ctx_free(ctx);
}

static void rmsnorm_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {1, 7}, scale[] = {5, 10}; /* mean square 25 */
    struct call c;

    call_begin(&c, ctx, "RMSNormalization", 23);
    call_float(&c, "epsilon", 0);
    call_in(&c, BRIM_FLOAT, x, SHAPE(1, 2));
    call_in(&c, BRIM_FLOAT, scale, SHAPE(2));
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){1, 14}, 2, 1e-6);
    call_end(&c);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_by_hand),
        cmocka_unit_test(gemm_of_integers_wraps),
        cmocka_unit_test(product_bits_do_not_depend_on_batch),
        cmocka_unit_test(product_bits_do_not_depend_on_threads),
        cmocka_unit_test(matmul_broadcasts),
        cmocka_unit_test(matmul_of_vectors),
        cmocka_unit_test(matmul_of_other_types),
        cmocka_unit_test(products_refuse),
        cmocka_unit_test(softmax_axis_by_opset),
        cmocka_unit_test(softmax_of_large_numbers),
        cmocka_unit_test(batchnorm_by_hand),
        cmocka_unit_test(layernorm_by_hand),
        cmocka_unit_test(rmsnorm_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
