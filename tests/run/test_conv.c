/* test_conv.c - float convolution and pooling: by hand, against index arithmetic, and the same bits
 * for any batch and any number of threads. SPDX-License-Identifier: Apache-2.0 */
#include "geometry.h"

#include <math.h>
#include <omp.h>

#include "base/half.h"
#include "base/parallel.h"

#define MAX_ELEMENTS 60000

static double read_f32(const void *data, int64_t i)
{
    return (double)((const float *)data)[i];
}

static void conv_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, w[] = {1, 0, 0, -1}, b[] = {10};
    const float want[] = {10 + 1 - 5, 10 + 2 - 6, 10 + 4 - 8, 10 + 5 - 9};
    struct call c;

    call_begin(&c, ctx, "Conv", 11);
    call_in(&c, BRIM_FLOAT, x, SHAPE(1, 1, 3, 3));
    call_in(&c, BRIM_FLOAT, w, SHAPE(1, 1, 2, 2));
    call_in(&c, BRIM_FLOAT, b, SHAPE(1));
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SHAPE(1, 1, 2, 2));
    assert_floats(c.out[0].data, want, 4, 0);
    call_end(&c);
    brim_ctx_free(ctx);
}

/* TensorFlow's SAME: the odd element of padding goes to the end, or with LOWER to the front. */
static void same_padding_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {1, 2, 3, 4}, w[] = {1, 10};
    const float want[2][4] = {{21, 32, 43, 4}, {10, 21, 32, 43}};
    struct call c;

    for (int lower = 0; lower < 2; lower++) {
        call_begin(&c, ctx, "Conv", 11);
        call_string(&c, "auto_pad", lower != 0 ? "SAME_LOWER" : "SAME_UPPER");
        call_in(&c, BRIM_FLOAT, x, SHAPE(1, 1, 4));
        call_in(&c, BRIM_FLOAT, w, SHAPE(1, 1, 2));
        ASSERT_OK(ctx, call_run(&c));
        assert_shape(&c, 0, SHAPE(1, 1, 4));
        assert_floats(c.out[0].data, want[lower], 4, 0);
        call_end(&c);
    }
    brim_ctx_free(ctx);
}

/* Random geometries of rank 1 to 3 in float (oneDNN), double and float16 (plain loops). */
static void conv_geometries(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static float x[MAX_ELEMENTS], w[MAX_ELEMENTS], b[MAX_ELEMENTS];
    static double xd[MAX_ELEMENTS], wd[MAX_ELEMENTS], bd[MAX_ELEMENTS];
    struct brim_rng r;

    brim_rng_init(&r, 1, 0);
    fill_normal(&r, x, MAX_ELEMENTS);
    fill_normal(&r, w, MAX_ELEMENTS);
    fill_normal(&r, b, MAX_ELEMENTS);
    for (size_t i = 0; i < MAX_ELEMENTS; i++) {
        xd[i] = (double)x[i];
        wd[i] = (double)w[i];
        bd[i] = (double)b[i];
    }
    for (int trial = 0; trial < 400; trial++) {
        const struct geometry g = random_geometry(&r, false);
        const struct brim_shape xs = geometry_shape(&g, g.n, g.groups * g.ic, g.in);
        const struct brim_shape ws = geometry_shape(&g, g.groups * g.oc, g.ic, g.kernel);
        const bool wide = trial % 4 == 3;
        struct call c;
        call_begin(&c, ctx, "Conv", 11);
        geometry_attrs(&c, &g, false);
        call_in(&c, wide ? BRIM_DOUBLE : BRIM_FLOAT, wide ? (void *)xd : (void *)x, &xs);
        call_in(&c, wide ? BRIM_DOUBLE : BRIM_FLOAT, wide ? (void *)wd : (void *)w, &ws);
        if (trial % 3 != 0) {
            call_in(&c, wide ? BRIM_DOUBLE : BRIM_FLOAT, wide ? (void *)bd : (void *)b,
                    SHAPE(g.groups * g.oc));
        }
        ASSERT_OK(ctx, call_run(&c));
        for (size_t i = 0; i < call_count(&c, 0); i++) {
            const size_t channel = i / (size_t)volume(g.out) % (size_t)(g.groups * g.oc);
            const double want = oracle_conv(&g, x, w, read_f32, (int64_t)i, read_f32) +
                                (trial % 3 != 0 ? bd[channel] : 0);
            const double got =
                wide ? ((double *)c.out[0].data)[i] : (double)((float *)c.out[0].data)[i];
            if (!(fabs(got - want) <= (wide ? 1e-13 : 1e-5) * (1 + fabs(want)))) {
                fail_msg("trial %d element %zu is %.17g, expected %.17g", trial, i, got, want);
            }
        }
        call_end(&c);
    }
    brim_ctx_free(ctx);
}

static void conv_in_float16(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const uint16_t x[] = {brim_half_from_float(1.5f), brim_half_from_float(-2)};
    const uint16_t w[] = {brim_half_from_float(0.25f)};
    struct call c;

    call_begin(&c, ctx, "Conv", 11);
    call_in(&c, BRIM_FLOAT16, x, SHAPE(1, 1, 2));
    call_in(&c, BRIM_FLOAT16, w, SHAPE(1, 1, 1));
    ASSERT_OK(ctx, call_run(&c));
    const uint16_t *y = c.out[0].data;
    assert_int_equal(y[0], brim_half_from_float(0.375f));
    assert_int_equal(y[1], brim_half_from_float(-0.5f));
    call_end(&c);
    brim_ctx_free(ctx);
}

/* ---- the same bits, whatever is around a sample ---- */

enum { SAMPLES = 9, CHANNELS = 16, SIDE = 9, SAMPLE = CHANNELS * SIDE * SIDE };

struct layer {
    brim_ctx *ctx;
    const float *x, *w;
    float *y;
};

/* `n` samples from `first` on, in a batch of their own. */
static brim_status run_samples(const struct layer *l, size_t first, size_t n)
{
    struct call c;

    call_begin(&c, l->ctx, "Conv", 11);
    c.constant = 2;
    CALL_INTS(&c, "pads", 1, 1, 1, 1);
    call_in(&c, BRIM_FLOAT, l->x + first * SAMPLE, SHAPE((int64_t)n, CHANNELS, SIDE, SIDE));
    call_in(&c, BRIM_FLOAT, l->w, SHAPE(CHANNELS, CHANNELS, 3, 3));
    const brim_status s = call_run(&c);
    if (s == BRIM_OK) {
        memcpy(l->y + first * SAMPLE, c.out[0].data, n * SAMPLE * sizeof(float));
    }
    call_end(&c);
    return s;
}

static brim_status run_one(void *arg, size_t i, int worker)
{
    (void)worker;
    return run_samples(arg, i, 1);
}

static void conv_bits_do_not_depend_on_batch_or_threads(void **state)
{
    (void)state;
    static float x[SAMPLES * SAMPLE], w[CHANNELS * CHANNELS * 9];
    static float y[SAMPLES * SAMPLE], want[SAMPLES * SAMPLE];
    const int threads[] = {1, 2, 3, 7};
    struct brim_rng r;

    brim_rng_init(&r, 2, 0);
    fill_normal(&r, x, SAMPLES * SAMPLE);
    fill_normal(&r, w, CHANNELS * CHANNELS * 9);
    brim_ctx *ctx = testing_ctx(1);
    ASSERT_OK(ctx, run_samples(&(struct layer){ctx, x, w, want}, 0, SAMPLES));
    for (size_t batch = 1; batch < SAMPLES; batch++) {
        memset(y, 0, sizeof y);
        for (size_t at = 0; at < SAMPLES; at += batch) {
            const size_t n = at + batch <= SAMPLES ? batch : SAMPLES - at;
            ASSERT_OK(ctx, run_samples(&(struct layer){ctx, x, w, y}, at, n));
        }
        assert_memory_equal(y, want, sizeof y);
    }
    brim_ctx_free(ctx);
    for (size_t t = 0; t < 4; t++) {
        ctx = testing_ctx(threads[t]);
        omp_set_num_threads(threads[3 - t]); /* the application's own setting must not matter */
        memset(y, 0, sizeof y);
        struct layer l = {ctx, x, w, y};
        ASSERT_OK(ctx, brim_parallel_for(ctx, SAMPLES, run_one, &l));
        assert_memory_equal(y, want, sizeof y);
        assert_int_equal(omp_get_max_threads(), threads[3 - t]);
        brim_ctx_free(ctx);
    }
}

/* Weights that are no constant are read anew in every call; constant ones are kept. */
static void conv_state_follows_weights_and_shapes(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {1, 2, 3, 4};
    float w[] = {2};
    struct call c;

    call_begin(&c, ctx, "Conv", 11);
    call_in(&c, BRIM_FLOAT, x, SHAPE(1, 1, 4));
    call_in(&c, BRIM_FLOAT, w, SHAPE(1, 1, 1));
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){2, 4, 6, 8}, 4, 0);
    w[0] = 3;
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){3, 6, 9, 12}, 4, 0);
    c.in[0].type.shape.dim[2] = 2; /* another shape, the same state */
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SHAPE(1, 1, 2));
    assert_floats(c.out[0].data, (const float[]){3, 6}, 2, 0);
    c.in[0].type.shape = *SHAPE(0, 1, 4); /* no sample at all */
    ASSERT_OK(ctx, call_run(&c));
    assert_int_equal(call_count(&c, 0), 0);
    call_end(&c);
    brim_ctx_free(ctx);
}

static void conv_refuses(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static const float zeros[64];
    static const struct {
        struct brim_shape x, w, b;
        int64_t group, stride;
        const char *text;
    } cases[] = {
        {{4, {1, 1, 3, 3}},
         {3, {1, 1, 2}},
         {1, {1}},
         1,
         1,
         "node 'n1' (Conv): weight has rank 3, expected 4"},
        {{2, {1, 1}}, {2, {1, 1}}, {1, {1}}, 1, 1, "input has rank 2, expected 3, 4 or 5"},
        {{3, {1, 2, 3}},
         {3, {1, 1, 2}},
         {1, {1}},
         1,
         1,
         "input has 2 channels, expected 1 (weight) times 1 groups"},
        {{3, {1, 2, 3}},
         {3, {3, 1, 2}},
         {1, {3}},
         2,
         1,
         "weight has 3 outputs, which 2 groups do not divide"},
        {{3, {1, 1, 3}},
         {3, {1, 1, 4}},
         {1, {1}},
         1,
         1,
         "the kernel spans 4 on spatial axis 0, the padded input 3"},
        {{3, {1, 1, 3}}, {3, {1, 1, 2}}, {1, {2}}, 1, 1, "bias has shape [2]"},
        {{3, {1, 1, 3}}, {3, {1, 1, 2}}, {1, {1}}, 0, 1, "group is 0, expected 1 or more"},
        {{3, {1, 1, 3}},
         {3, {1, 1, 2}},
         {1, {1}},
         1,
         0,
         "attribute 'strides' holds 0, expected 1 or more"},
        {{3, {1, 1, 3}}, {3, {1, 1, 0}}, {1, {1}}, 1, 1, "a kernel of 0"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int64_t strides[] = {cases[i].stride, cases[i].stride};
        struct call c;
        call_begin(&c, ctx, "Conv", 11);
        call_int(&c, "group", cases[i].group);
        call_ints(&c, "strides", strides, cases[i].x.rank > 2 ? (size_t)cases[i].x.rank - 2 : 0);
        call_in(&c, BRIM_FLOAT, zeros, &cases[i].x);
        call_in(&c, BRIM_FLOAT, zeros, &cases[i].w);
        call_in(&c, BRIM_FLOAT, zeros, &cases[i].b);
        ASSERT_FAILS(ctx, BRIM_ERR_FILE, cases[i].text, call_run(&c));
        call_end(&c);
    }
    brim_ctx_free(ctx);
}

/* ---- pooling ---- */

static void check_pool(brim_ctx *ctx, const struct geometry *g, const float *x, int kind)
{
    const struct brim_shape xs = geometry_shape(g, g->n, g->ic, g->in);
    const int64_t in = volume(g->in), out = volume(g->out), k = volume(g->kernel);
    const bool max = kind == 0;
    struct call c;

    call_begin(&c, ctx, max ? "MaxPool" : "AveragePool", 19);
    geometry_attrs(&c, g, true);
    c.node.n_out = max ? 2 : 1;
    if (kind == 2) {
        call_int(&c, "count_include_pad", 1);
    }
    call_in(&c, BRIM_FLOAT, x, &xs);
    ASSERT_OK(ctx, call_run(&c));
    for (int64_t i = 0; i < g->n * g->ic * out; i++) {
        double best = -HUGE_VAL, sum = 0;
        int64_t where = -1, seen = 0;
        for (int64_t t = 0; t < k; t++) {
            const int64_t p = tap_offset(g, i % out, t);
            const double v = p < 0 ? 0 : (double)x[i / out * in + p];
            sum += v;
            seen += p >= 0;
            if (p >= 0 && v > best) {
                best = v;
                where = i / out * in + p;
            }
        }
        const double want = max         ? best
                            : kind == 2 ? sum / (double)k
                            : seen > 0  ? sum / (double)seen
                                        : 0;
        assert_floats((const float *)c.out[0].data + i, &(const float){(float)want}, 1, 1e-6);
        if (max) {
            assert_int_equal(((const int64_t *)c.out[1].data)[i], where);
        }
    }
    call_end(&c);
}

static void pool_geometries(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static float x[MAX_ELEMENTS];
    struct brim_rng r;

    brim_rng_init(&r, 3, 0);
    fill_normal(&r, x, MAX_ELEMENTS);
    for (int trial = 0; trial < 300; trial++) {
        const struct geometry g = random_geometry(&r, true);
        check_pool(ctx, &g, x, trial % 3);
    }
    brim_ctx_free(ctx);
}

/* [1 2 3 4 5], kernel 2, stride 2: floor drops the 5, ceil gives it a window of its own; a window
 * that would start in the padding is dropped. */
static void ceil_mode_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {1, 2, 3, 4, 5};
    struct call c;

    call_begin(&c, ctx, "AveragePool", 19);
    CALL_INTS(&c, "kernel_shape", 2);
    CALL_INTS(&c, "strides", 2);
    call_int(&c, "ceil_mode", 1);
    call_in(&c, BRIM_FLOAT, x, SHAPE(1, 1, 5));
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SHAPE(1, 1, 3));
    assert_floats(c.out[0].data, (const float[]){1.5f, 3.5f, 5}, 3, 0);
    call_int(&c, "count_include_pad", 1); /* what lies beyond the padding is not padding */
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){1.5f, 3.5f, 5}, 3, 0);
    CALL_INTS(&c, "pads", 0, 1);
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, (const float[]){1.5f, 3.5f, 2.5f}, 3, 0);
    call_end(&c);

    call_begin(&c, ctx, "MaxPool", 12);
    CALL_INTS(&c, "kernel_shape", 1);
    CALL_INTS(&c, "strides", 2);
    call_int(&c, "ceil_mode", 1);
    call_in(&c, BRIM_FLOAT, x, SHAPE(1, 1, 2));
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SHAPE(1, 1, 1));
    call_end(&c);
    brim_ctx_free(ctx);
}

static void maxpool_of_codes_and_column_major_indices(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int8_t x[] = {-5, -9, -7, -8, -6, -100};
    struct call c;

    call_begin(&c, ctx, "MaxPool", 12);
    c.node.n_out = 2;
    CALL_INTS(&c, "kernel_shape", 2, 2);
    CALL_INTS(&c, "pads", 0, 0, 0, 1);
    call_int(&c, "storage_order", 1);
    call_in(&c, BRIM_INT8, x, SHAPE(1, 1, 2, 3));
    ASSERT_OK(ctx, call_run(&c));
    assert_shape(&c, 0, SHAPE(1, 1, 1, 3));
    assert_memory_equal(c.out[0].data, ((const int8_t[]){-5, -6, -7}), 3);
    assert_memory_equal(c.out[1].data, ((const int64_t[]){0, 3, 4}), 3 * sizeof(int64_t));
    call_end(&c);
    brim_ctx_free(ctx);
}

static void global_pools_by_hand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const float x[] = {1, 2, 3, 6, -1, -2, -3, -4};
    const char *const ops[] = {"GlobalAveragePool", "GlobalMaxPool"};
    const float want[2][2] = {{3, -2.5f}, {6, -1}};
    struct call c;

    for (int i = 0; i < 2; i++) {
        call_begin(&c, ctx, ops[i], 13);
        call_in(&c, BRIM_FLOAT, x, SHAPE(1, 2, 2, 2));
        ASSERT_OK(ctx, call_run(&c));
        assert_shape(&c, 0, SHAPE(1, 2, 1, 1));
        assert_floats(c.out[0].data, want[i], 2, 0);
        call_end(&c);
    }
    brim_ctx_free(ctx);
}

/* No samples, or no channels, but spatial sizes whose product overflows. */
static void empty_tensors_of_huge_planes(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t huge = INT32_MAX;
    const float bias[] = {2.5f};
    struct call c;

    call_begin(&c, ctx, "MaxPool", 12);
    CALL_INTS(&c, "kernel_shape", 1, 1, 1);
    call_in(&c, BRIM_FLOAT, bias, SHAPE(0, 1, huge, huge, huge));
    ASSERT_OK(ctx, call_run(&c));
    call_end(&c);

    call_begin(&c, ctx, "Conv", 11);
    CALL_INTS(&c, "strides", huge, huge, huge);
    call_in(&c, BRIM_FLOAT, bias, SHAPE(1, 0, huge, huge, huge));
    call_in(&c, BRIM_FLOAT, bias, SHAPE(1, 0, 1, 1, 1));
    call_in(&c, BRIM_FLOAT, bias, SHAPE(1));
    ASSERT_OK(ctx, call_run(&c));
    assert_floats(c.out[0].data, bias, 1, 0);
    call_end(&c);
    brim_ctx_free(ctx);
}

static void pool_refuses(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static const float zeros[16];
    struct call c;

    call_begin(&c, ctx, "MaxPool", 12);
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(1, 1, 3));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n1' (MaxPool): attribute 'kernel_shape' is missing",
                 call_run(&c));
    CALL_INTS(&c, "kernel_shape", 2, 2);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "kernel_shape", call_run(&c));
    call_end(&c);

    call_begin(&c, ctx, "AveragePool", 12);
    CALL_INTS(&c, "kernel_shape", 2);
    CALL_INTS(&c, "pads", 0, -1);
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(1, 1, 3));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "attribute 'pads' holds -1, expected 0 or more", call_run(&c));
    call_end(&c);

    call_begin(&c, ctx, "AveragePool", 12);
    CALL_INTS(&c, "kernel_shape", 2);
    call_string(&c, "auto_pad", "SAME");
    call_in(&c, BRIM_FLOAT, zeros, SHAPE(1, 1, 3));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "auto_pad is 'SAME', expected NOTSET", call_run(&c));
    call_end(&c);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_by_hand),
        cmocka_unit_test(same_padding_by_hand),
        cmocka_unit_test(conv_geometries),
        cmocka_unit_test(conv_in_float16),
        cmocka_unit_test(conv_bits_do_not_depend_on_batch_or_threads),
        cmocka_unit_test(conv_state_follows_weights_and_shapes),
        cmocka_unit_test(conv_refuses),
        cmocka_unit_test(pool_geometries),
        cmocka_unit_test(ceil_mode_by_hand),
        cmocka_unit_test(maxpool_of_codes_and_column_major_indices),
        cmocka_unit_test(global_pools_by_hand),
        cmocka_unit_test(empty_tensors_of_huge_planes),
        cmocka_unit_test(pool_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
