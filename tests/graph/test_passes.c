/* test_passes.c - folding, canonical form, moved reshapes, raised opsets. SPDX-License-Identifier:
 * Apache-2.0 */
#include "graph/building.h"

#include "brim/onnx.h"
#include "graph/dot.h"
#include "graph/rewrite.h"

static const float *floats(const struct brim_graph *g, int32_t v)
{
    assert_true(v >= 0 && g->values[v].constant != NULL);
    return g->values[v].constant->data;
}

/* The worked example of fold.c: W 2, b 1, gamma 3, var+epsilon 4, mean 5, beta 7 -> W 3, b 1. */
static void batchnorm_folds_as_in_the_example(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) { /* Conv, Gemm with beta 0.5, MatMul without a bias */
        brim_ctx *ctx = testing_ctx(1);
        struct brim_graph *g = NULL;
        const struct brim_type one = SHAPED(BRIM_FLOAT, 1);
        ASSERT_OK(ctx, brim_graph_create(ctx, &g));
        const int32_t x = i == 0 ? graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 1, 4, 4))
                                 : graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 1));
        const int32_t w = i == 0
                              ? graph_constant(g, "w", SHAPED(BRIM_FLOAT, 1, 1, 1, 1), &(float){2})
                              : graph_constant(g, "w", SHAPED(BRIM_FLOAT, 1, 1), &(float){2});
        const int32_t b = i == 2 ? -1 : graph_constant(g, "b", one, &(float){i == 0 ? 1 : 2});
        const int32_t h = NODE(g, "layer",
                               i == 0   ? "Conv"
                               : i == 1 ? "Gemm"
                                        : "MatMul",
                               x, w, b, -1, -1);
        if (i == 1) {
            ASSERT_OK(ctx, brim_node_set_float(g, last_node(g), "beta", 0.5f));
        }
        const int32_t y =
            NODE(g, "bn", "BatchNormalization", h, graph_constant(g, "gamma", one, &(float){3}),
                 graph_constant(g, "beta", one, &(float){7}),
                 graph_constant(g, "mean", one, &(float){5}),
                 graph_constant(g, "var", one, &(float){3}));
        ASSERT_OK(ctx, brim_node_set_float(g, last_node(g), "epsilon", 1.0f));
        ASSERT_OK(ctx, brim_graph_add_output(g, y));
        ASSERT_OK(ctx, brim_graph_infer(g));
        ASSERT_OK(ctx, brim_graph_fold_batchnorm(g));
        ASSERT_OK(ctx, brim_graph_infer(g));
        assert_int_equal(g->n_nodes, 1);
        assert_int_equal(g->nodes[0].out[0], y);
        assert_string_equal(g->nodes[0].op_type, i == 0 ? "Conv" : "Gemm");
        assert_true(floats(g, g->nodes[0].in[1])[0] == 3.0f);
        assert_true(floats(g, g->nodes[0].in[2])[0] == (i == 2 ? -0.5f : 1.0f));
        assert_true(brim_node_float(&g->nodes[0], "beta", 1.0f) == 1.0f);
        brim_graph_free(g);
        brim_ctx_free(ctx);
    }
}

static void batchnorm_stays_where_it_must(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    const struct brim_type one = SHAPED(BRIM_FLOAT, 1);
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 1, 4, 4));
    const int32_t w = graph_constant(g, "w", SHAPED(BRIM_FLOAT, 1, 1, 1, 1), &(float){2});
    const int32_t p = graph_constant(g, "p", one, &(float){3});
    const int32_t h = NODE(g, "conv", "Conv", x, w, -1, -1, -1);
    const int32_t y = NODE(g, "bn", "BatchNormalization", h, p, p, p, p);
    ASSERT_OK(ctx, brim_graph_add_output(g, y));
    ASSERT_OK(ctx, brim_graph_add_output(g, h)); /* the layer's own output is wanted too */
    ASSERT_OK(ctx, brim_graph_infer(g));
    ASSERT_OK(ctx, brim_graph_fold_batchnorm(g));
    assert_int_equal(g->n_nodes, 2);
    g->n_outputs = 1;
    *(float *)g->values[p].constant->data = -1.0f;
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'bn' (BatchNormalization): variance of channel 0 is -1",
                 brim_graph_fold_batchnorm(g));
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void added_constants_become_biases(void **state)
{
    static const float three[] = {10, 20, 30};
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, 1, 2, 4, 3));
    const int32_t w = graph_weights(g, "w", SHAPED(BRIM_FLOAT, 3, 2, 1, 1));
    const int32_t b = graph_constant(g, "b", SHAPED(BRIM_FLOAT, 3, 1, 1), three);
    const int32_t c = graph_constant(g, "c", SHAPED(BRIM_FLOAT, 3), three); /* along the width */
    const int32_t a = NODE(g, "conv", "Conv", x, w, -1, -1, -1);
    const int32_t s = NODE(g, "per_channel", "Add", b, a, -1, -1, -1);
    ASSERT_OK(ctx, brim_graph_add_output(g, NODE(g, "per_column", "Add", s, c, -1, -1, -1)));
    ASSERT_OK(ctx, brim_graph_infer(g));
    ASSERT_OK(ctx, brim_graph_fold_bias(g));
    assert_int_equal(g->n_nodes, 2);
    assert_memory_equal(floats(g, g->nodes[0].in[2]), three, sizeof three);
    assert_string_equal(g->nodes[1].name, "per_column");
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void flattened_codes_reach_the_layer(void **state)
{
    static const int8_t codes[] = {1, 2, 3, 4, 5, 6};
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    struct brim_dots dots;
    const struct brim_type scalar = {BRIM_FLOAT, {.rank = 0}};
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t q = graph_input(g, "q", SHAPED(BRIM_INT8, -1, 3, 1, 1));
    const int32_t s = graph_constant(g, "s", scalar, &(float){0.5f});
    const int32_t w = graph_constant(g, "w", SHAPED(BRIM_INT8, 2, 3), codes);
    const int32_t x = NODE(g, "dq", "DequantizeLinear", q, s, -1, -1, -1);
    const int32_t f = NODE(g, "flat", "Flatten", x, -1, -1, -1, -1);
    const int32_t wd = NODE(g, "wdq", "DequantizeLinear", w, s, -1, -1, -1);
    const int32_t wt = NODE(g, "turn", "Transpose", wd, -1, -1, -1, -1);
    ASSERT_OK(ctx, brim_graph_add_output(g, NODE(g, "fc", "MatMul", f, wt, -1, -1, -1)));
    ASSERT_OK(ctx, brim_graph_infer(g));
    ASSERT_OK(ctx, brim_graph_fold_moves(g));
    ASSERT_OK(ctx, brim_graph_infer(g));
    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    assert_int_equal(dots.count, 1);
    assert_true(dots.dot[0].codes);
    assert_int_equal(g->values[dots.dot[0].x].type.dtype, BRIM_INT8);
    assert_int_equal(g->values[dots.dot[0].x].type.shape.rank, 2);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(dots.dot[0].w[i], codes[i]);
    }
    brim_dots_free(&dots);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void old_attributes_become_inputs(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    ASSERT_OK(ctx, brim_graph_set_opset(g, "", 9));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, 2, 3, 1));
    const int32_t a = NODE(g, "squeeze", "Squeeze", x, -1, -1, -1, -1);
    ASSERT_OK(ctx, brim_node_set_ints(g, last_node(g), "axes", (const int64_t[]){2}, 1));
    const int32_t b = NODE(g, "clip", "Clip", a, -1, -1, -1, -1);
    ASSERT_OK(ctx, brim_node_set_float(g, last_node(g), "max", 6.0f));
    const int32_t c = NODE(g, "softmax", "Softmax", b, -1, -1, -1, -1);
    const int32_t d = NODE(g, "mean", "ReduceMean", c, -1, -1, -1, -1);
    ASSERT_OK(ctx, brim_node_set_ints(g, last_node(g), "axes", (const int64_t[]){1}, 1));
    ASSERT_OK(ctx, brim_graph_add_output(g, d));
    ASSERT_OK(ctx, brim_graph_infer(g));
    ASSERT_OK(ctx, brim_graph_upgrade(g, 13));
    ASSERT_OK(ctx, brim_graph_infer(g));
    assert_int_equal(g->nodes[0].n_attr, 0);
    assert_int_equal(brim_tensor_int(g->values[g->nodes[0].in[1]].constant, 0), 2);
    assert_int_equal(g->nodes[1].in[1], -1);
    assert_true(floats(g, g->nodes[1].in[2])[0] == 6.0f);
    assert_int_equal(brim_node_int(&g->nodes[2], "axis", 9), 1);
    assert_int_equal(g->nodes[3].n_in, 1);
    ASSERT_OK(ctx, brim_graph_upgrade(g, 21));
    assert_int_equal(g->nodes[3].n_in, 2);
    assert_int_equal(brim_graph_opset(g, ""), 21);
    ASSERT_OK(ctx, brim_graph_infer(g));
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void what_cannot_be_raised_is_named(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    ASSERT_OK(ctx, brim_graph_set_opset(g, "", 9));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, 2, 3, 4));
    ASSERT_OK(ctx, brim_graph_add_output(g, NODE(g, "sm", "Softmax", x, -1, -1, -1, -1)));
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED,
                 "node 'sm' (Softmax): cannot be raised from opset 9: it runs over several axes",
                 brim_graph_upgrade(g, 13));
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* Real models lose every BatchNormalization, and mnist-8 its separate biases. */
static void real_models_fold(void **state)
{
    static const char *const models[] = {"mlperf-tiny/models/resnet8-cifar10-float-bn.onnx",
                                         "mlperf-tiny/models/dscnn-kws-float-bn.onnx",
                                         "mlperf-tiny/models/ad-autoencoder-float-bn.onnx",
                                         "models-mnist/mnist-8.onnx"};
    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-float-bn.onnx");
    REQUIRE_DATA("models-mnist/mnist-8.onnx");
    for (size_t m = 0; m < 4; m++) {
        brim_ctx *ctx = testing_ctx(1);
        brim_graph *g = NULL;
        struct brim_dots dots;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", BRIM_DATA_DIR, models[m]);
        ASSERT_OK(ctx, brim_onnx_load(ctx, path, &g));
        ASSERT_OK(ctx, brim_graph_fold_batchnorm(g));
        ASSERT_OK(ctx, brim_graph_fold_bias(g));
        ASSERT_OK(ctx, brim_rewrite_finish(g));
        for (size_t i = 0; i < g->n_nodes; i++) {
            assert_string_not_equal(g->nodes[i].op_type, "BatchNormalization");
        }
        ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
        assert_int_equal(dots.count, m == 3 ? 3 : 10);
        for (size_t i = 0; i < dots.count; i++) {
            assert_non_null(dots.dot[i].bias);
        }
        brim_dots_free(&dots);
        brim_graph_free(g);
        brim_ctx_free(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batchnorm_folds_as_in_the_example),
        cmocka_unit_test(batchnorm_stays_where_it_must),
        cmocka_unit_test(added_constants_become_biases),
        cmocka_unit_test(flattened_codes_reach_the_layer),
        cmocka_unit_test(old_attributes_become_inputs),
        cmocka_unit_test(what_cannot_be_raised_is_named),
        cmocka_unit_test(real_models_fold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
