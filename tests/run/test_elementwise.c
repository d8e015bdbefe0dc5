/* test_elementwise.c - elementwise operators against their definition, for every element type.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/rng.h"
#include "run/op_harness.h"
#include "run/ops/cast.h"

static const enum brim_dtype numbers[] = {BRIM_FLOAT, BRIM_DOUBLE, BRIM_FLOAT16, BRIM_BFLOAT16,
                                          BRIM_INT8,  BRIM_INT16,  BRIM_INT32,   BRIM_INT64,
                                          BRIM_UINT8, BRIM_UINT16, BRIM_UINT32,  BRIM_UINT64};

enum { N_NUMBERS = sizeof numbers / sizeof numbers[0] };

static bool is_float(enum brim_dtype t)
{
    return !brim_dtype_is_integer(t) && t != BRIM_BOOL;
}

/* Element i of any tensor. */
static double at(const struct brim_tensor *t, size_t i)
{
    double v;

    brim_cast(t->type.dtype, (const char *)t->data + i * brim_dtype_size(t->type.dtype),
              BRIM_DOUBLE, &v, 1);
    return v;
}

static struct brim_tensor *random_tensor(struct harness *h, struct brim_rng *rng, enum brim_dtype t,
                                         const struct brim_shape *s)
{
    struct brim_tensor *x = harness_tensor(h, t, s->rank, s->dim, NULL);
    const size_t n = (size_t)brim_shape_count(s), size = brim_dtype_size(t);
    int64_t lo = -9, hi = 9;

    if (!is_float(t)) {
        brim_dtype_range(t, &lo, &hi);
        lo = lo < -9 ? -9 : lo;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t v = brim_rng_range(rng, lo, 9);
        v = v == 0 ? 1 : v; /* a divisor */
        brim_cast(BRIM_INT64, &v, t, (char *)x->data + i * size, 1);
    }
    return x;
}

/* Two shapes that broadcast: each axis of a common shape is kept, set to 1, or left out. */
static void random_shapes(struct brim_rng *rng, struct brim_shape s[2])
{
    const int rank = (int)brim_rng_below(rng, 5);
    int64_t dim[5];

    for (int i = 0; i < rank; i++) {
        dim[i] = (int64_t)brim_rng_below(rng, 5);
    }
    for (int k = 0; k < 2; k++) {
        const int skip = rank > 0 ? (int)brim_rng_below(rng, (uint64_t)rank + 1) : 0;
        const int left = k == 0 || skip > rank ? 0 : skip;
        s[k].rank = rank - left;
        for (int i = left; i < rank; i++) {
            s[k].dim[i - left] = brim_rng_below(rng, 3) == 0 ? 1 : dim[i];
        }
    }
}

/* Where element `i` of the output comes from. */
static size_t source(const struct brim_shape *out, const struct brim_shape *in, size_t i)
{
    size_t index = 0, step = 1;

    for (int d = 1; d <= out->rank; d++) {
        const size_t size = (size_t)out->dim[out->rank - d], k = i % size;
        i /= size;
        if (d <= in->rank) {
            index += in->dim[in->rank - d] == 1 ? 0 : k * step;
            step *= (size_t)in->dim[in->rank - d];
        }
    }
    return index;
}

static double expected(const char *op, double a, double b, enum brim_dtype t)
{
    switch (op[0] == 'M' ? op[1] : op[0]) {
    case 'A':
        return a + b;
    case 'S':
        return a - b;
    case 'u':
        return a * b;
    case 'D':
        return is_float(t) ? a / b : trunc(a / b);
    case 'i':
        return a < b ? a : b;
    case 'a':
        return a > b ? a : b;
    case 'E':
        return a == b;
    case 'L':
        return a < b;
    default:
        return a > b;
    }
}

/* As an element of the type: integers wrap, floats round. */
static double as_element(double v, enum brim_dtype t)
{
    uint64_t cell = 0;
    int64_t i;
    double d;

    if (is_float(t)) {
        brim_cast(BRIM_DOUBLE, &v, t, &cell, 1);
    } else {
        i = (int64_t)v;
        brim_cast(BRIM_INT64, &i, t, &cell, 1);
    }
    brim_cast(t, &cell, BRIM_DOUBLE, &d, 1);
    return d;
}

static void check_binary(brim_ctx *ctx, struct brim_rng *rng, const char *op, enum brim_dtype t)
{
    struct brim_shape s[2];
    struct harness h;

    harness_begin(&h, ctx, 21);
    random_shapes(rng, s);
    for (int k = 0; k < 2; k++) {
        harness_in(&h, random_tensor(&h, rng, t, &s[k]));
    }
    ASSERT_OK(ctx, harness_run(&h, op));
    const size_t n = (size_t)brim_shape_count(&h.out[0].type.shape);
    for (size_t i = 0; i < n; i++) {
        const double a = at(h.in[0], source(&h.out[0].type.shape, &s[0], i));
        const double b = at(h.in[1], source(&h.out[0].type.shape, &s[1], i));
        const double want = as_element(expected(op, a, b, t), h.out[0].type.dtype);
        assert_true(at(&h.out[0], i) == want);
    }
    harness_end(&h);
}

static void test_binary_of_every_type(void **state)
{
    static const char *const ops[] = {"Add", "Sub",  "Mul",   "Div",    "Min",
                                      "Max", "Less", "Equal", "Greater"};
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    brim_rng_init(&rng, 1, 0);
    for (size_t o = 0; o < sizeof ops / sizeof ops[0]; o++) {
        for (int t = 0; t < N_NUMBERS; t++) {
            for (int i = 0; i < 20; i++) {
                check_binary(ctx, &rng, ops[o], numbers[t]);
            }
        }
    }
    brim_ctx_free(ctx);
}

static const float *floats_of(struct harness *h, const char *op, size_t n_in,
                              const struct brim_tensor *const *in)
{
    for (size_t i = 0; i < n_in; i++) {
        harness_in(h, in[i]);
    }
    ASSERT_OK(h->ctx, harness_run(h, op));
    return h->out[0].data;
}

static void test_nan_and_extremes(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[3] = {NAN, -1, 2}, z[3] = {1, NAN, 3};
    const int64_t n = 3;
    struct harness h;

    static const char *const keep[] = {"Relu", "Clip",        "LeakyRelu", "Abs",
                                       "Neg",  "HardSigmoid", "HardSwish", "Sigmoid"};
    for (size_t i = 0; i < sizeof keep / sizeof keep[0]; i++) {
        harness_begin(&h, ctx, 21);
        const struct brim_tensor *a = harness_tensor(&h, BRIM_FLOAT, 1, &n, x);
        const float *y = floats_of(&h, keep[i], 1, &a);
        assert_true(isnan(y[0]) && !isnan(y[1]));
        harness_end(&h);
    }
    for (int k = 0; k < 2; k++) {
        harness_begin(&h, ctx, 21);
        const struct brim_tensor *in[2] = {harness_tensor(&h, BRIM_FLOAT, 1, &n, x),
                                           harness_tensor(&h, BRIM_FLOAT, 1, &n, z)};
        const float *y = floats_of(&h, k == 0 ? "Min" : "Max", 2, in);
        assert_true(isnan(y[0]) && isnan(y[1]) && y[2] == (k == 0 ? 2.0F : 3.0F));
        harness_end(&h);
    }
    const int8_t low[2] = {INT8_MIN, INT8_MAX}, minus[2] = {-1, -1};
    const int64_t two = 2;
    harness_begin(&h, ctx, 21);
    harness_in(&h, harness_tensor(&h, BRIM_INT8, 1, &two, low));
    harness_in(&h, harness_tensor(&h, BRIM_INT8, 1, &two, minus));
    ASSERT_OK(ctx, harness_run(&h, "Div"));
    assert_int_equal(((int8_t *)h.out[0].data)[0], INT8_MIN); /* 128 wraps */
    assert_int_equal(((int8_t *)h.out[0].data)[1], -INT8_MAX);
    harness_end(&h);
    brim_ctx_free(ctx);
}

/* Each element type to each other: what C does where the value fits, else what cast.h says. */
static void test_cast_every_pair(void **state)
{
    static const double values[] = {0,   1,   -1,   2.5,   -2.5,   3.5, 7,    8,    -8,    -9,  100,
                                    255, 256, -129, 40000, -40000, 3e9, -3e9, 1e19, -1e19, 1e30};
    (void)state;
    for (int f = 0; f < N_NUMBERS; f++) {
        for (int t = 0; t < N_NUMBERS; t++) {
            for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
                uint64_t cell = 0, out = 0;
                double v, got;
                int64_t lo, hi;
                brim_cast(BRIM_DOUBLE, &values[i], numbers[f], &cell, 1);
                brim_cast(numbers[f], &cell, BRIM_DOUBLE, &v, 1);
                brim_cast(numbers[f], &cell, numbers[t], &out, 1);
                brim_cast(numbers[t], &out, BRIM_DOUBLE, &got, 1);
                brim_dtype_range(numbers[t], &lo, &hi);
                if (is_float(numbers[t])) {
                    const double eps = numbers[t] == BRIM_BFLOAT16 ? 0.004 : 0.0005;
                    assert_true(got == v || fabs(got - v) <= eps * fabs(v) ||
                                (numbers[t] == BRIM_FLOAT16 && fabs(v) > 65504));
                } else if (v >= (double)lo && v <= (double)hi && fabs(v) < 0x1p62) {
                    assert_true(got == trunc(v));
                } else if (is_float(numbers[f]) && numbers[t] != BRIM_UINT64) {
                    assert_true(got == (v < 0 ? (double)lo : (double)hi));
                }
            }
        }
    }
}

static void test_cast_edges(void **state)
{
    (void)state;
    const float x[6] = {-9, -8, 2.5F, 3.5F, 7.6F, NAN};
    const int8_t want4[6] = {-8, -8, 2, 4, 7, 0};
    const uint8_t wantu[6] = {0, 0, 2, 4, 8, 0};
    const int64_t big = 0x1000001000000001; /* just above a tie of float, on it as a double */
    int8_t got[6];
    uint8_t truth[2];
    uint16_t b;

    brim_cast(BRIM_FLOAT, x, BRIM_INT4, got, 6);
    assert_memory_equal(got, want4, 6);
    brim_cast(BRIM_FLOAT, x, BRIM_UINT4, got, 6);
    assert_memory_equal(got, wantu, 6);
    const int8_t wide[4] = {9, -9, 16, -1}, narrow[4] = {-7, 7, 0, -1};
    brim_cast(BRIM_INT8, wide, BRIM_INT4, got, 4);
    assert_memory_equal(got, narrow, 4);
    brim_cast(BRIM_FLOAT, &x[4], BRIM_BOOL, truth, 2);
    assert_true(truth[0] == 1 && truth[1] == 1);
    const int64_t tie = 0x1010000000000001, even = 0x1010000000000000;
    brim_cast(BRIM_INT64, &tie, BRIM_BFLOAT16, &b, 1);
    assert_int_equal(b, 0x5d81);
    brim_cast(BRIM_INT64, &even, BRIM_BFLOAT16, &b, 1);
    assert_int_equal(b, 0x5d80);
    float f;
    brim_cast(BRIM_INT64, &big, BRIM_FLOAT, &f, 1);
    assert_true(f == 0x1.000002p60F);
}

static void test_pow_mixes_types(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t n = 4;
    const int32_t base[4] = {3, -2, -1, 0}, exponent[4] = {4, 3, -5, 0};
    const int32_t want[4] = {81, -8, -1, 1};
    const float fbase[4] = {2, 0.5F, -3, 9}, half[4] = {0.5F, 2, 3, 0.5F};
    struct harness h;

    harness_begin(&h, ctx, 15);
    harness_in(&h, harness_tensor(&h, BRIM_INT32, 1, &n, base));
    harness_in(&h, harness_tensor(&h, BRIM_INT32, 1, &n, exponent));
    ASSERT_OK(ctx, harness_run(&h, "Pow"));
    assert_memory_equal(h.out[0].data, want, sizeof want);
    harness_end(&h);
    harness_begin(&h, ctx, 15);
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 1, &n, fbase));
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 1, &n, half));
    ASSERT_OK(ctx, harness_run(&h, "Pow"));
    for (int i = 0; i < 4; i++) {
        assert_true(((float *)h.out[0].data)[i] == powf(fbase[i], half[i]));
    }
    harness_end(&h);
    harness_begin(&h, ctx, 15);
    const int64_t one = 1;
    harness_in(&h, harness_tensor(&h, BRIM_INT32, 1, &n, base));
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 1, &one, &half[1]));
    ASSERT_OK(ctx, harness_run(&h, "Pow"));
    assert_int_equal(((int32_t *)h.out[0].data)[1], 4);
    assert_int_equal(h.out[0].type.dtype, BRIM_INT32);
    harness_end(&h);
    brim_ctx_free(ctx);
}

/* Before opset 7 the second operand lies along the first from `axis` on. */
static void test_old_broadcast(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t a[3] = {2, 3, 2}, b = 3;
    const float zero[12] = {0}, v[3] = {1, 2, 3};
    struct harness h;

    harness_begin(&h, ctx, 6);
    harness_int(&h, "broadcast", 1);
    harness_int(&h, "axis", 1);
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 3, a, zero));
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 1, &b, v));
    ASSERT_OK(ctx, harness_run(&h, "Add"));
    for (int i = 0; i < 12; i++) {
        assert_true(((float *)h.out[0].data)[i] == v[i / 2 % 3]);
    }
    harness_end(&h);
    brim_ctx_free(ctx);
}

static void test_errors_name_the_node(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t three = 3, four = 4;
    const int32_t ones[3] = {1, 1, 1};
    struct harness h;

    harness_begin(&h, ctx, 21);
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 1, &three, NULL));
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 1, &four, NULL));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n' (Add): sizes 3 and 4 do not broadcast",
                 harness_run(&h, "Add"));
    harness_end(&h);
    harness_begin(&h, ctx, 21);
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 1, &three, NULL));
    harness_in(&h, harness_tensor(&h, BRIM_DOUBLE, 1, &three, NULL));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n' (Mul): input 1 has type double",
                 harness_run(&h, "Mul"));
    harness_end(&h);
    harness_begin(&h, ctx, 21);
    harness_in(&h, harness_tensor(&h, BRIM_INT32, 1, &three, ones));
    harness_in(&h, harness_tensor(&h, BRIM_INT32, 1, &three, NULL));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "node 'n' (Div): an integer is divided by zero",
                 harness_run(&h, "Div"));
    harness_end(&h);
    harness_begin(&h, ctx, 21);
    harness_int(&h, "to", 8);
    harness_in(&h, harness_tensor(&h, BRIM_INT32, 1, &three, ones));
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED, "node 'n' (Cast): a cast to data type 8",
                 harness_run(&h, "Cast"));
    harness_end(&h);
    harness_begin(&h, ctx, 21);
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 1, &three, NULL));
    harness_in(&h, NULL);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n' (Max): input 1 is missing", harness_run(&h, "Max"));
    harness_end(&h);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_of_every_type), cmocka_unit_test(test_nan_and_extremes),
        cmocka_unit_test(test_cast_every_pair),      cmocka_unit_test(test_cast_edges),
        cmocka_unit_test(test_pow_mixes_types),      cmocka_unit_test(test_old_broadcast),
        cmocka_unit_test(test_errors_name_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
