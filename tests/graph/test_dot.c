/* test_dot.c - the dot-layer view: K order, codes, scales, biases, ranges. SPDX-License-Identifier:
 * Apache-2.0 */
#include "graph/building.h"

#include "base/hash.h"
#include "brim/onnx.h"
#include "graph/dot.h"

struct fixture {
    brim_ctx *ctx;
    struct brim_graph *g;
    struct brim_dots dots;
};

static void begin(struct fixture *f)
{
    f->ctx = testing_ctx(1);
    ASSERT_OK(f->ctx, brim_graph_create(f->ctx, &f->g));
}

/* The output is `y`; find the layers. */
static void find(struct fixture *f, int32_t y, size_t expected)
{
    ASSERT_OK(f->ctx, brim_graph_add_output(f->g, y));
    ASSERT_OK(f->ctx, brim_graph_infer(f->g));
    ASSERT_OK(f->ctx, brim_dots_find(f->ctx, f->g, &f->dots));
    assert_int_equal(f->dots.count, expected);
}

static void end(struct fixture *f)
{
    brim_dots_free(&f->dots);
    brim_graph_free(f->g);
    brim_ctx_free(f->ctx);
}

static int32_t scalar_float(struct brim_graph *g, const char *name, float v)
{
    return graph_constant(g, name, (struct brim_type){BRIM_FLOAT, {.rank = 0}}, &v);
}

static int32_t scalar_byte(struct brim_graph *g, const char *name, enum brim_dtype t, int v)
{
    const uint8_t byte = (uint8_t)v;
    return graph_constant(g, name, (struct brim_type){t, {.rank = 0}}, &byte);
}

/* Kernel row, kernel column, channel; channel fastest. */
static void k_order_is_channel_fastest(void **state)
{
    static const int order[] = {0, 4, 1, 5, 2, 6, 3, 7};
    struct fixture f;
    float w[16];
    (void)state;
    for (int i = 0; i < 16; i++) {
        w[i] = (float)i; /* [2][2][2][2]: output, channel, row, column */
    }
    begin(&f);
    const int32_t x = graph_input(f.g, "x", SHAPED(BRIM_FLOAT, 1, 2, 5, 5));
    const int32_t v = graph_constant(f.g, "w", SHAPED(BRIM_FLOAT, 2, 2, 2, 2), w);
    find(&f, NODE(f.g, "c", "Conv", x, v, -1, -1, -1), 1);
    for (int k = 0; k < 8; k++) {
        assert_true(f.dots.dot[0].w_f32[k] == (float)order[k]);
        assert_true(f.dots.dot[0].w_f32[8 + k] == (float)(8 + order[k]));
    }
    end(&f);
}

/* uint8 weights with a zero point per output; the hash is of the line and the codes. */
static void integer_operator(void **state)
{
    static const uint8_t w[] = {1, 2, 3, 4, 5, 255}, w_zero[] = {1, 128};
    static const float w_scale[] = {0.5f, 0.25f};
    static const int32_t want[] = {0, 2, 4, -126, -124, 127};
    struct fixture f;
    char hash[65], expected[65];
    uint8_t text[64];
    (void)state;
    begin(&f);
    const int32_t x = graph_input(f.g, "x", SHAPED(BRIM_UINT8, -1, 3));
    const int32_t s = scalar_float(f.g, "s", 0.125f), z = scalar_byte(f.g, "z", BRIM_UINT8, 7);
    const int32_t in[] = {x,
                          s,
                          z,
                          graph_constant(f.g, "w", SHAPED(BRIM_UINT8, 3, 2), w),
                          graph_constant(f.g, "ws", SHAPED(BRIM_FLOAT, 2), w_scale),
                          graph_constant(f.g, "wz", SHAPED(BRIM_UINT8, 2), w_zero),
                          s,
                          z};
    const int32_t y = brim_graph_add_value(f.g, "y", NULL);
    assert_non_null(brim_graph_add_node(f.g, "q", "QLinearMatMul", in, 8, &y, 1));
    find(&f, y, 1);
    const struct brim_dot *d = &f.dots.dot[0];
    assert_true(d->codes && d->n == 2 && d->k == 3 && d->x == x && d->y == y);
    assert_true(d->x_min == 0 && d->x_max == 255 && d->x_zero == 7 && d->x_scale == 0.125f);
    assert_true(d->w_scale[0] == 0.5f && d->w_scale[1] == 0.25f);
    assert_memory_equal(d->w, want, sizeof want);
    ASSERT_OK(f.ctx, brim_dot_hash(f.ctx, d, hash));
    const int head = snprintf((char *)text, sizeof text, "brim-dot-1 2 3 1 0 255 7\n");
    for (int i = 0; i < 6; i++) {
        text[head + 2 * i] = (uint8_t)((unsigned)want[i] & 255u);
        text[head + 2 * i + 1] = want[i] < 0 ? 255 : 0;
    }
    brim_hash_hex(text, (size_t)head + 12, expected);
    assert_string_equal(hash, expected);
    end(&f);
}

/* A float bias; an int32 bias whose scale is the product's; one whose scale is not. */
static void biases(void **state)
{
    static const int8_t w[] = {1, -2, 3, 4};
    static const int32_t b[] = {100, -200};
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct fixture f;
        const float scale = i == 1 ? 0.1f * 0.3f : 0.5f;
        begin(&f);
        const int32_t q = graph_input(f.g, "q", SHAPED(BRIM_INT8, -1, 2));
        const int32_t xs = scalar_float(f.g, "xs", 0.1f), ws = scalar_float(f.g, "ws", 0.3f);
        const int32_t x = NODE(f.g, "dq", "DequantizeLinear", q, xs, -1, -1, -1);
        const int32_t v =
            NODE(f.g, "wdq", "DequantizeLinear",
                 graph_constant(f.g, "w", SHAPED(BRIM_INT8, 2, 2), w), ws, -1, -1, -1);
        const int32_t bq = graph_constant(f.g, "b", SHAPED(BRIM_INT32, 2), b);
        const int32_t bias =
            i == 0 ? graph_constant(f.g, "bf", SHAPED(BRIM_FLOAT, 2), (const float[]){1.5f, -2.0f})
                   : NODE(f.g, "bdq", "DequantizeLinear", bq, scalar_float(f.g, "bs", scale), -1,
                          -1, -1);
        find(&f, NODE(f.g, "fc", "Gemm", x, v, bias, -1, -1), 1);
        const struct brim_dot *d = &f.dots.dot[0];
        assert_true(d->codes && d->x_min == -128 && d->x_max == 127 && d->x_zero == 0);
        assert_int_equal(d->bias_q != NULL, i == 1);
        assert_int_equal(d->bias != NULL, i != 1);
        assert_true(i != 0 || (d->bias[0] == 1.5f && d->bias[1] == -2.0f));
        assert_true(i != 1 || (d->bias_q[0] == 100 && d->bias_q[1] == -200));
        assert_true(i != 2 || (d->bias[0] == 50.0f && d->bias[1] == -100.0f));
        end(&f);
    }
}

/* A Clip between the quantizers narrows the range; code 0 and the zero point stay in it. */
static void clips_narrow_the_range(void **state)
{
    static const struct {
        int lo, hi, zero;
        int64_t x_min, x_max;
    } cases[] = {{0, 15, 3, 0, 15}, {4, 9, 6, 0, 9}, {2, 9, 20, 0, 20}};
    static const int8_t w[] = {1, -2, 3, 4};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        begin(&f);
        const int32_t x = graph_input(f.g, "x", SHAPED(BRIM_FLOAT, -1, 2));
        const int32_t s = scalar_float(f.g, "s", 0.1f);
        const int32_t z = scalar_byte(f.g, "z", BRIM_UINT8, cases[i].zero);
        const int32_t q = NODE(f.g, "q", "QuantizeLinear", x, s, z, -1, -1);
        const int32_t c = NODE(f.g, "c", "Clip", q, scalar_byte(f.g, "lo", BRIM_UINT8, cases[i].lo),
                               scalar_byte(f.g, "hi", BRIM_UINT8, cases[i].hi), -1, -1);
        const int32_t d = NODE(f.g, "d", "DequantizeLinear", c, s, z, -1, -1);
        const int32_t v = NODE(f.g, "wdq", "DequantizeLinear",
                               graph_constant(f.g, "w", SHAPED(BRIM_INT8, 2, 2), w), s, -1, -1, -1);
        find(&f, NODE(f.g, "fc", "MatMul", d, v, -1, -1, -1), 1);
        assert_int_equal(f.dots.dot[0].x, c);
        assert_int_equal(f.dots.dot[0].x_min, cases[i].x_min);
        assert_int_equal(f.dots.dot[0].x_max, cases[i].x_max);
        end(&f);
    }
}

/* Scales of blocks along k: [k/2][n] in the file, [n][k/2] in the view. */
static void blocked_scales(void **state)
{
    static const int8_t w[] = {1, 2, 3, 4, 5, 6, 7, -8};
    static const float scales[] = {1, 2, 3, 4};
    struct fixture f;
    (void)state;
    begin(&f);
    const int32_t q = graph_input(f.g, "q", SHAPED(BRIM_INT8, -1, 4));
    const int32_t x =
        NODE(f.g, "dq", "DequantizeLinear", q, scalar_float(f.g, "xs", 1.0f), -1, -1, -1);
    const int32_t v =
        NODE(f.g, "wdq", "DequantizeLinear", graph_constant(f.g, "w", SHAPED(BRIM_INT4, 4, 2), w),
             graph_constant(f.g, "s", SHAPED(BRIM_FLOAT, 2, 2), scales), -1, -1, -1);
    ASSERT_OK(f.ctx, brim_node_set_int(f.g, last_node(f.g), "axis", 0));
    ASSERT_OK(f.ctx, brim_node_set_int(f.g, last_node(f.g), "block_size", 2));
    find(&f, NODE(f.g, "fc", "MatMul", x, v, -1, -1, -1), 1);
    const struct brim_dot *d = &f.dots.dot[0];
    assert_int_equal(d->vector, 2);
    assert_true(d->w_scale[0] == 1 && d->w_scale[1] == 3 && d->w_scale[2] == 2 &&
                d->w_scale[3] == 4);
    assert_true(d->w[0] == 1 && d->w[1] == 3 && d->w[7] == -8);
    end(&f);
}

static void bad_metadata_is_refused(void **state)
{
    static const struct {
        const char *json, *sentence;
    } bad[] = {{"16", "metadata 'brim.layer.fc': is no object with a datapath"},
               {"{\"datapath\":16}", "metadata 'brim.layer.fc': is no object with a datapath"},
               {"{\"datapath\":\"1\"}", "metadata 'brim.layer.fc': "}};
    struct fixture f;
    (void)state;
    begin(&f);
    const int32_t x = graph_input(f.g, "x", SHAPED(BRIM_FLOAT, -1, 2));
    const int32_t w = graph_weights(f.g, "w", SHAPED(BRIM_FLOAT, 2, 3));
    find(&f, NODE(f.g, "fc", "MatMul", x, w, -1, -1, -1), 1);
    assert_false(f.dots.dot[0].has_datapath);
    for (size_t i = 0; i < 3; i++) {
        struct brim_dots dots;
        ASSERT_OK(f.ctx, brim_graph_set_metadata(f.g, "brim.layer.fc", bad[i].json));
        ASSERT_FAILS(f.ctx, BRIM_ERR_FILE, bad[i].sentence, brim_dots_find(f.ctx, f.g, &dots));
    }
    end(&f);
}

/* Computed weights, a transposed input, a bias per row: float operators, not dot layers. */
static void what_does_not_match_is_no_layer(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    const int32_t x = graph_input(f.g, "x", SHAPED(BRIM_FLOAT, 3, 3));
    const int32_t w = graph_weights(f.g, "w", SHAPED(BRIM_FLOAT, 3, 3));
    const int32_t rows = graph_weights(f.g, "rows", SHAPED(BRIM_FLOAT, 3, 1));
    const int32_t a = NODE(f.g, "computed", "MatMul", x, x, -1, -1, -1);
    const int32_t b = NODE(f.g, "left", "MatMul", w, a, -1, -1, -1);
    const int32_t c = NODE(f.g, "turned", "Gemm", b, w, -1, -1, -1);
    ASSERT_OK(f.ctx, brim_node_set_int(f.g, last_node(f.g), "transA", 1));
    find(&f, NODE(f.g, "per_row", "Gemm", c, w, rows, -1, -1), 0);
    end(&f);
}

static void real_models_have_their_layers(void **state)
{
    static const struct {
        const char *path;
        bool codes;
    } models[] = {
        {"resnet8-cifar10-float.onnx", false}, {"resnet8-cifar10-int8-qdq.onnx", true},
        {"dscnn-kws-float.onnx", false},       {"dscnn-kws-int8-qdq.onnx", true},
        {"ad-autoencoder-float.onnx", false},  {"ad-autoencoder-int8-qdq.onnx", true},
    };
    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-float.onnx");
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        brim_ctx *ctx = testing_ctx(1);
        brim_graph *g = NULL;
        struct brim_dots dots;
        char path[512];
        snprintf(path, sizeof path, "%s/mlperf-tiny/models/%s", BRIM_DATA_DIR, models[m].path);
        ASSERT_OK(ctx, brim_onnx_load(ctx, path, &g));
        ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
        assert_int_equal(dots.count, 10);
        for (size_t i = 0; i < dots.count; i++) {
            const struct brim_dot *d = &dots.dot[i];
            assert_int_equal(d->codes, models[m].codes);
            assert_int_equal(d->bias_q != NULL, models[m].codes);
            assert_int_equal(d->bias != NULL, !models[m].codes);
        }
        brim_dots_free(&dots);
        brim_graph_free(g);
        brim_ctx_free(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(k_order_is_channel_fastest),
        cmocka_unit_test(integer_operator),
        cmocka_unit_test(biases),
        cmocka_unit_test(clips_narrow_the_range),
        cmocka_unit_test(blocked_scales),
        cmocka_unit_test(bad_metadata_is_refused),
        cmocka_unit_test(what_does_not_match_is_no_layer),
        cmocka_unit_test(real_models_have_their_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
