/* test_quant.c - quantization operators: by hand, and integer operators against 64-bit oracles.
 * SPDX-License-Identifier: Apache-2.0 */
#include "geometry.h"

#include <math.h>

#include "base/half.h"
#include "base/rng.h"
#include "run/vector.h"

/* ---- QuantizeLinear, DequantizeLinear ---- */

/* Ties go to even before the zero point is added; then the range saturates. */
static void quantize_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {0.25f, 0.75f, -0.25f, -0.75f, 1.0f, 1000, -1000, HUGE_VALF, -HUGE_VALF, NAN};
    const float scale = 0.5f;
    const int8_t zero = 3;
    const int8_t want[] = {3, 5, 3, 1, 5, 127, -128, 127, -128, 3};
    struct call c;

    call_begin(&c, ctx, "QuantizeLinear", 13);
    call_in(&c, BRIM_FLOAT, x, SHAPE(10));
    call_in(&c, BRIM_FLOAT, &scale, SCALAR);
    call_in(&c, BRIM_INT8, &zero, SCALAR);
    ASSERT_OK(ctx, call_run(&c));
    assert_int_equal(c.out[0].type.dtype, BRIM_INT8);
    assert_memory_equal(c.out[0].data, want, sizeof want);
    call_end(&c);
    brim_ctx_free(ctx);
}

/* The quotient is rounded to float before it is rounded to an integer. Exactly, x / scale is just
 * below 1.5 and would give 1; the nearest float is 1.5, a tie, which gives 2. */
static void quotient_is_rounded_to_float(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float scale = 0x1.4510bep+0f, x = 0x1.e7991cp+0f;
    struct call c;

    assert_true((double)x < 1.5 * (double)scale);
    call_begin(&c, ctx, "QuantizeLinear", 13);
    call_in(&c, BRIM_FLOAT, &x, SHAPE(1));
    call_in(&c, BRIM_FLOAT, &scale, SCALAR);
    ASSERT_OK(ctx, call_run(&c));
    assert_int_equal(c.out[0].type.dtype, BRIM_UINT8);
    assert_int_equal(*(uint8_t *)c.out[0].data, 2);
    call_end(&c);
    brim_ctx_free(ctx);
}

/* Every type saturates at its own ends. */
static void quantize_to_every_type(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static const struct {
        enum brim_dtype type;
        int32_t lo, hi;
    } types[] = {{BRIM_INT4, -8, 7},   {BRIM_UINT4, 0, 15},         {BRIM_INT8, -128, 127},
                 {BRIM_UINT8, 0, 255}, {BRIM_INT16, -32768, 32767}, {BRIM_UINT16, 0, 65535}};
    const float x[] = {-1e6f, 5, 1e6f}, scale = 1;
    struct call c;

    for (size_t i = 0; i < 6; i++) {
        call_begin(&c, ctx, "QuantizeLinear", 21);
        call_int(&c, "output_dtype", types[i].type);
        call_in(&c, BRIM_FLOAT, x, SHAPE(3));
        call_in(&c, BRIM_FLOAT, &scale, SCALAR);
        ASSERT_OK(ctx, call_run(&c));
        assert_int_equal(c.out[0].type.dtype, types[i].type);
        const int8_t *y8 = c.out[0].data;
        const int16_t *y16 = c.out[0].data;
        const bool wide = brim_dtype_size(types[i].type) == 2;
        for (size_t k = 0; k < 3; k++) {
            const int32_t want = k == 0 ? types[i].lo : k == 1 ? 5 : types[i].hi;
            const uint32_t mask = wide ? 0xffffu : 0xffu;
            const uint32_t got = wide ? (uint32_t)y16[k] : (uint32_t)y8[k];
            assert_int_equal(got & mask, (uint32_t)want & mask);
        }
        call_end(&c);
    }
    brim_ctx_free(ctx);
}

/* Blocks of 2 along an axis of 3: the last block is short. */
static void blocked_scales_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int8_t x[] = {1, 2, 3, 4, 5, 6};    /* [2][3] */
    const float scale[] = {1, 10, 100, 1000}; /* [2][2] */
    const int8_t zero[] = {0, 1, 0, 0};
    const float want[] = {1, 2, 20, 400, 500, 6000};
    struct call c;

    call_begin(&c, ctx, "DequantizeLinear", 21);
    call_int(&c, "block_size", 2);
    call_in(&c, BRIM_INT8, x, SHAPE(2, 3));
    call_in(&c, BRIM_FLOAT, scale, SHAPE(2, 2));
    call_in(&c, BRIM_INT8, zero, SHAPE(2, 2));
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, want, 6, 0);
    call_end(&c);

    call_begin(&c, ctx, "QuantizeLinear", 21);
    call_int(&c, "block_size", 2);
    call_in(&c, BRIM_FLOAT, want, SHAPE(2, 3));
    call_in(&c, BRIM_FLOAT, scale, SHAPE(2, 2));
    call_in(&c, BRIM_INT8, zero, SHAPE(2, 2));
    ASSERT_OK(ctx, call_run(&c));
    assert_memory_equal(c.out[0].data, x, sizeof x);
    call_end(&c);

    /* Along the first axis: one scale for rows 0 and 1 of each column. */
    call_begin(&c, ctx, "DequantizeLinear", 21);
    call_int(&c, "block_size", 2);
    call_int(&c, "axis", 0);
    call_in(&c, BRIM_INT8, x, SHAPE(2, 3));
    call_in(&c, BRIM_FLOAT, scale, SHAPE(1, 3));
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){1, 20, 300, 4, 50, 600}, 6, 0);
    call_end(&c);
    brim_ctx_free(ctx);
}

static void per_axis_scales_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const uint16_t x[] = {10, 20, 30, 40};
    const float scale[] = {1, 0.5f};
    const uint16_t zero[] = {10, 40};
    struct call c;

    call_begin(&c, ctx, "DequantizeLinear", 21);
    call_in(&c, BRIM_UINT16, x, SHAPE(2, 2));
    call_in(&c, BRIM_FLOAT, scale, SHAPE(2));
    call_in(&c, BRIM_UINT16, zero, SHAPE(2));
    ASSERT_OK(ctx, call_run(&c)); /* axis 1 by default */
    assert_floats(c.out[0].data, (const float[]){0, -10, 20, 0}, 4, 0);
    call_int(&c, "axis", -2);
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){0, 10, -5, 0}, 4, 0);
    call_end(&c);
    brim_ctx_free(ctx);
}

/* int32 (a bias) has no zero point; float16 scales give float16. */
static void dequantize_int32_and_float16(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int32_t x[] = {-100000, 3};
    const float scale = 0.25f;
    const uint16_t half = brim_half_from_float(0.25f);
    struct call c;

    call_begin(&c, ctx, "DequantizeLinear", 13);
    call_in(&c, BRIM_INT32, x, SHAPE(2));
    call_in(&c, BRIM_FLOAT, &scale, SCALAR);
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){-25000, 0.75f}, 2, 0);
    c.in[1] = (struct brim_tensor){{BRIM_FLOAT16, *SCALAR}, (void *)(uintptr_t)&half};
    ASSERT_OK(ctx, call_run(&c));
    assert_int_equal(c.out[0].type.dtype, BRIM_FLOAT16);
    assert_int_equal(((uint16_t *)c.out[0].data)[1], brim_half_from_float(0.75f));
    call_end(&c);
    brim_ctx_free(ctx);
}

/* 10 elements against the definition: range [-3, 2] gives scale 5/255 and zero point 153. */
static void dynamic_quantize_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {0, 2, -3, -2.5f, 1.34f, 0.5f}, zeros[] = {0, 0};
    const uint8_t want[] = {153, 255, 0, 26, 221, 179};
    struct call c;

    call_begin(&c, ctx, "DynamicQuantizeLinear", 11);
    c.node.n_out = 3;
    call_in(&c, BRIM_FLOAT, x, SHAPE(6));
    ASSERT_OK(ctx, call_run(&c));
    assert_memory_equal(c.out[0].data, want, sizeof want);
    assert_floats(c.out[1].data, &(const float){5.0f / 255}, 1, 0);
    assert_int_equal(*(uint8_t *)c.out[2].data, 153);
    call_end(&c);

    call_begin(&c, ctx, "DynamicQuantizeLinear", 11); /* no range at all: scale 1 */
    c.node.n_out = 3;
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(2));
    ASSERT_OK(ctx, call_run(&c));
    assert_memory_equal(c.out[0].data, ((const uint8_t[]){0, 0}), 2);
    assert_floats(c.out[1].data, (const float[]){1}, 1, 0);
    call_end(&c);

    const float wild[] = {NAN, -HUGE_VALF, HUGE_VALF}; /* no meaning, but no crash either */
    call_begin(&c, ctx, "DynamicQuantizeLinear", 11);
    c.node.n_out = 3;
    call_in(&c, BRIM_FLOAT, wild, SHAPE(3));
    ASSERT_OK(ctx, call_run(&c));
    assert_int_equal(*(uint8_t *)c.out[2].data, 0);
    call_end(&c);
    brim_ctx_free(ctx);
}

static void quantize_refuses(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static const float zeros[8];
    struct call c;

    call_begin(&c, ctx, "QuantizeLinear", 21);
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(2, 3));
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(2));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE,
                 "node 'n1' (QuantizeLinear): scale has shape [2], which does not fit an input of "
                 "shape [2,3]",
                 call_run(&c));
    call_int(&c, "block_size", 2);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "scale has shape [2]", call_run(&c));
    c.in[1].type.shape = *SHAPE(2, 2);
    call_in(&c, BRIM_INT8, zeros, SHAPE(2));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "zero point has shape [2], expected the scale's, [2,2]",
                 call_run(&c));
    c.attr[0].i = -1;
    c.in[2].type.shape = *SHAPE(2, 2);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "block_size is -1, expected 0 or more", call_run(&c));
    c.attr[0].i = 2;
    call_int(&c, "output_dtype", BRIM_UINT8);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "output_dtype is uint8, expected the zero point's type, int8",
                 call_run(&c));
    c.attr[1].i = BRIM_FLOAT;
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "output_dtype is 1, expected an integer type", call_run(&c));
    call_end(&c);

    call_begin(&c, ctx, "DequantizeLinear", 21);
    call_in(&c, BRIM_INT8, zeros, SHAPE(3));
    call_in(&c, BRIM_FLOAT, zeros, SCALAR);
    call_in(&c, BRIM_UINT8, zeros, SCALAR);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "input 2 has type uint8, expected that of input 0, int8",
                 call_run(&c));
    call_end(&c);
    brim_ctx_free(ctx);
}

/* ---- integer convolution ---- */

enum { MAX_CODES = 4000 };

struct codes {
    uint8_t x[MAX_CODES], w[MAX_CODES]; /* read as int8 where signed */
    int32_t bias[64];
    float w_scale[64];
    uint8_t w_zero[64];
};

static double read_u8_minus_100(const void *data, int64_t i)
{
    return ((const uint8_t *)data)[i] - 100.0;
}

static double read_i8(const void *data, int64_t i)
{
    return ((const int8_t *)data)[i];
}

static void fill_codes(struct codes *v, struct brim_rng *r)
{
    for (size_t i = 0; i < MAX_CODES; i++) {
        v->x[i] = (uint8_t)brim_rng_below(r, 256);
        v->w[i] = (uint8_t)brim_rng_below(r, 256);
    }
    for (size_t i = 0; i < 64; i++) {
        v->bias[i] = (int32_t)brim_rng_range(r, -5000, 5000);
        v->w_scale[i] = 0.001f + 0.01f * (float)brim_rng_uniform(r);
        v->w_zero[i] = 0;
    }
}

/* Padding counts as the zero point: it adds nothing. */
static void convinteger_geometries(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static struct codes v;
    const uint8_t x_zero = 100;
    struct brim_rng r;

    brim_rng_init(&r, 7, 0);
    fill_codes(&v, &r);
    for (int trial = 0; trial < 150; trial++) {
        const struct geometry g = random_geometry(&r, false);
        const struct brim_shape xs = geometry_shape(&g, g.n, g.groups * g.ic, g.in);
        const struct brim_shape ws = geometry_shape(&g, g.groups * g.oc, g.ic, g.kernel);
        if (brim_shape_count(&xs) > MAX_CODES || brim_shape_count(&ws) > MAX_CODES) {
            continue;
        }
        struct call c;
        call_begin(&c, ctx, "ConvInteger", 10);
        geometry_attrs(&c, &g, false);
        call_in(&c, BRIM_UINT8, v.x, &xs);
        call_in(&c, BRIM_INT8, v.w, &ws);
        call_in(&c, BRIM_UINT8, &x_zero, SCALAR);
        ASSERT_OK(ctx, call_run(&c));
        for (size_t i = 0; i < call_count(&c, 0); i++) {
            const double want = oracle_conv(&g, v.x, v.w, read_u8_minus_100, (int64_t)i, read_i8);
            assert_int_equal(((int32_t *)c.out[0].data)[i], (int32_t)want);
        }
        call_end(&c);
    }
    brim_ctx_free(ctx);
}

/* Per-channel scales: M = float(float(x_scale * w_scale) / y_scale), the float product rounded to
 * an integer with ties to even. */
static void qlinearconv_geometries(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static struct codes v;
    const uint8_t x_zero = 100;
    const int8_t y_zero = -7;
    const float x_scale = 0.02f, y_scale = 0.11f;
    struct brim_rng r;

    brim_rng_init(&r, 8, 0);
    fill_codes(&v, &r);
    for (int trial = 0; trial < 150; trial++) {
        const struct geometry g = random_geometry(&r, false);
        const struct brim_shape xs = geometry_shape(&g, g.n, g.groups * g.ic, g.in);
        const struct brim_shape ws = geometry_shape(&g, g.groups * g.oc, g.ic, g.kernel);
        const int64_t outputs = g.groups * g.oc;
        if (brim_shape_count(&xs) > MAX_CODES || brim_shape_count(&ws) > MAX_CODES) {
            continue;
        }
        const bool bias = trial % 2 == 0;
        struct call c;
        call_begin(&c, ctx, "QLinearConv", 10);
        geometry_attrs(&c, &g, false);
        call_in(&c, BRIM_UINT8, v.x, &xs);
        call_in(&c, BRIM_FLOAT, &x_scale, SCALAR);
        call_in(&c, BRIM_UINT8, &x_zero, SCALAR);
        call_in(&c, BRIM_INT8, v.w, &ws);
        call_in(&c, BRIM_FLOAT, v.w_scale, SHAPE(outputs));
        call_in(&c, BRIM_INT8, v.w_zero, SHAPE(outputs));
        call_in(&c, BRIM_FLOAT, &y_scale, SCALAR);
        call_in(&c, BRIM_INT8, &y_zero, SCALAR);
        if (bias) {
            call_in(&c, BRIM_INT32, v.bias, SHAPE(outputs));
        }
        ASSERT_OK(ctx, call_run(&c));
        for (size_t i = 0; i < call_count(&c, 0); i++) {
            const size_t o = i / (size_t)volume(g.out) % (size_t)outputs;
            const double acc = oracle_conv(&g, v.x, v.w, read_u8_minus_100, (int64_t)i, read_i8) +
                               (bias ? v.bias[o] : 0);
            const float product = x_scale * v.w_scale[o], m = product / y_scale;
            const float scaled = (float)acc * m;
            double want = nearbyint((double)scaled) + y_zero;
            want = want < -128 ? -128 : want > 127 ? 127 : want;
            assert_int_equal(((int8_t *)c.out[0].data)[i], (int)want);
        }
        call_end(&c);
    }
    brim_ctx_free(ctx);
}

static void qlinearconv_refuses(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static const float scale[4];
    static const int8_t codes[32];
    struct call c;

    call_begin(&c, ctx, "QLinearConv", 10);
    call_in(&c, BRIM_INT8, codes, SHAPE(1, 1, 3, 3));
    call_in(&c, BRIM_FLOAT, scale, SCALAR);
    call_in(&c, BRIM_INT8, codes, SCALAR);
    call_in(&c, BRIM_INT8, codes, SHAPE(2, 1, 2, 2));
    call_in(&c, BRIM_FLOAT, scale, SHAPE(3));
    call_in(&c, BRIM_INT8, codes, SCALAR);
    call_in(&c, BRIM_FLOAT, scale, SCALAR);
    call_in(&c, BRIM_INT8, codes, SCALAR);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE,
                 "node 'n1' (QLinearConv): input 4 has 3 elements, expected 1 or 2", call_run(&c));
    c.in[4].type.shape = *SCALAR;
    c.in[1].type.shape = *SHAPE(2);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "input 1 has 2 elements, expected 1", call_run(&c));
    call_end(&c);
    brim_ctx_free(ctx);
}

/* ---- integer products ---- */

static void matmulinteger_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const uint8_t a[] = {11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0}; /* [4][3] */
    const uint8_t b[] = {1, 4, 2, 5, 3, 6};                     /* [3][2] */
    const uint8_t a_zero = 12, b_zero = 0;
    const int32_t want[] = {-38, -83, -44, -98, -50, -113, -56, -128};
    struct call c;

    call_begin(&c, ctx, "MatMulInteger", 10);
    call_in(&c, BRIM_UINT8, a, SHAPE(4, 3));
    call_in(&c, BRIM_UINT8, b, SHAPE(3, 2));
    call_in(&c, BRIM_UINT8, &a_zero, SCALAR);
    call_in(&c, BRIM_UINT8, &b_zero, SCALAR);
    ASSERT_OK(ctx, call_run(&c));
    assert_memory_equal(c.out[0].data, want, sizeof want);
    call_end(&c);
    brim_ctx_free(ctx);
}

/* Zero points per row of a and per column of b. */
static void matmulinteger_zero_points(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int8_t a[] = {1, 2, 3, 4}, b[] = {5, 6, 7, 8}, a_zero[] = {1, 3}, b_zero[] = {5, 0};
    /* a - zero = 0 1 / 0 1, b - zero = 0 6 / 2 8 */
    const int32_t want[] = {2, 8, 2, 8};
    struct call c;

    call_begin(&c, ctx, "MatMulInteger", 10);
    call_in(&c, BRIM_INT8, a, SHAPE(2, 2));
    call_in(&c, BRIM_INT8, b, SHAPE(2, 2));
    call_in(&c, BRIM_INT8, a_zero, SHAPE(2));
    call_in(&c, BRIM_INT8, b_zero, SHAPE(2));
    ASSERT_OK(ctx, call_run(&c));
    assert_memory_equal(c.out[0].data, want, sizeof want);
    c.in[2].type.shape = *SHAPE(4);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE,
                 "node 'n1' (MatMulInteger): input 2 has 4 elements, expected 1 or 2",
                 call_run(&c));
    call_end(&c);
    brim_ctx_free(ctx);
}

/* Batches with scales per row of a and per column of b; ties to even; saturation. */
static void qlinearmatmul_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int8_t a[] = {1, 2, 3, 4, 5, 6, 7, 8}; /* [2][2][2] */
    const int8_t b[] = {1, 0, 0, 100};           /* [2][2] */
    const float a_scale[] = {0.5f, 1.5f}, b_scale[] = {1, 2}, y_scale = 1;
    const int8_t zero = 0;
    /* a * b = 1 200 / 3 400 and 5 600 / 7 800; M = .5 1 / 1.5 3 */
    const int8_t want[] = {0, 127, 4, 127, 2, 127, 10, 127};
    struct call c;

    call_begin(&c, ctx, "QLinearMatMul", 10);
    call_in(&c, BRIM_INT8, a, SHAPE(2, 2, 2));
    call_in(&c, BRIM_FLOAT, a_scale, SHAPE(2));
    call_in(&c, BRIM_INT8, &zero, SCALAR);
    call_in(&c, BRIM_INT8, b, SHAPE(2, 2));
    call_in(&c, BRIM_FLOAT, b_scale, SHAPE(2));
    call_in(&c, BRIM_INT8, &zero, SCALAR);
    call_in(&c, BRIM_FLOAT, &y_scale, SCALAR);
    call_in(&c, BRIM_INT8, &zero, SCALAR);
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SHAPE(2, 2, 2));
    assert_memory_equal(c.out[0].data, want, sizeof want);
    const float nan = NAN; /* gives the zero point */
    c.in[6].data = (void *)(uintptr_t)&nan;
    ASSERT_OK(ctx, call_run(&c));
    assert_memory_equal(c.out[0].data, ((const int8_t[8]){0}), 8);
    call_end(&c);
    brim_ctx_free(ctx);
}

/* ---- scales found at run time ---- */

/* docs/semantics.md section 11, one vector at a time; codes channel fastest, as kernels read them. */
static void codes_of_vectors(void **state)
{
    enum { CHANNELS = 40, PLANE = 150, V = 20, VECTORS = CHANNELS / V };
    static float x[CHANNELS * PLANE], scaled[CHANNELS * PLANE];
    static uint8_t code[PLANE * CHANNELS];
    static uint16_t scale[PLANE * VECTORS];
    const struct brim_vector_codes to = {
        .code = code, .position = CHANNELS, .channel = 1, .scale = scale, .vectors = VECTORS};
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 5, 0);
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        const struct brim_grid grid = {.lo = is_signed != 0 ? -7 : 0,
                                       .hi = is_signed != 0 ? 7 : 15,
                                       .scale = 0.037f,
                                       .vector = V,
                                       .scale_bits = 4};
        const float unit = (float)grid.hi * grid.scale;
        for (size_t i = 0; i < CHANNELS * PLANE; i++) {
            const float r = (float)brim_rng_range(&rng, -1000, 1000) / 100.0f;
            x[i] = i % PLANE == 3 ? 0.0f : r; /* position 3: nothing but zeros */
        }
        brim_vector_codes(&grid, CHANNELS, PLANE, x, PLANE, &to);
        brim_vector_quantize(&grid, CHANNELS, PLANE, x, BRIM_VECTOR_SCALED, scaled);
        for (size_t p = 0; p < PLANE; p++) {
            for (size_t g = 0; g < VECTORS; g++) {
                float most = 0.0f;
                for (size_t c = g * V; c < (g + 1) * V; c++) {
                    most = fmaxf(most, fabsf(x[c * PLANE + p]));
                }
                const float t = ceilf(most / unit);
                const float want = most == 0.0f ? 0.0f : fminf(15.0f, fmaxf(1.0f, t));
                assert_true((float)scale[p * VECTORS + g] == want);
            }
            for (size_t c = 0; c < CHANNELS; c++) {
                const uint8_t q = code[p * CHANNELS + c];
                const int value = is_signed != 0 ? (int8_t)q : q;
                assert_in_range(value - grid.lo, 0, grid.hi - grid.lo);
                assert_true((float)(value * scale[p * VECTORS + c / V]) == scaled[c * PLANE + p]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize_by_hand),          cmocka_unit_test(quotient_is_rounded_to_float),
        cmocka_unit_test(quantize_to_every_type),    cmocka_unit_test(blocked_scales_by_hand),
        cmocka_unit_test(per_axis_scales_by_hand),   cmocka_unit_test(dequantize_int32_and_float16),
        cmocka_unit_test(dynamic_quantize_by_hand),  cmocka_unit_test(quantize_refuses),
        cmocka_unit_test(convinteger_geometries),    cmocka_unit_test(qlinearconv_geometries),
        cmocka_unit_test(qlinearconv_refuses),       cmocka_unit_test(matmulinteger_by_hand),
        cmocka_unit_test(matmulinteger_zero_points), cmocka_unit_test(qlinearmatmul_by_hand),
        cmocka_unit_test(codes_of_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
