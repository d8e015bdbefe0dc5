/* test_rewrite.c - a rewritten layer is found again with the same codes in the same order, also
 * after saving. SPDX-License-Identifier: Apache-2.0 */
#include "graph/building.h"

#include <jansson.h>

#include "brim/onnx.h"
#include "graph/rewrite.h"

struct plan {
    int16_t codes[4096];
    float w_scale[64];
    int32_t bias_q[64];
    float bias[64];
    brim_datapath datapath;
    struct brim_rewrite_dot r;
};

/* Codes from -largest to largest, scales and biases that differ by output. */
static void make_plan(brim_ctx *ctx, const struct brim_dot *d, int largest, struct plan *p)
{
    struct brim_rng rng;

    brim_rng_init(&rng, 3, 0);
    for (size_t i = 0; i < d->n * d->k; i++) {
        p->codes[i] = (int16_t)brim_rng_range(&rng, -largest, largest);
    }
    for (size_t i = 0; i < d->n; i++) {
        p->w_scale[i] = 0.01f * (float)(i + 1);
        p->bias_q[i] = (int32_t)brim_rng_range(&rng, -100000, 100000);
        p->bias[i] = 0.5f * (float)i;
    }
    ASSERT_OK(ctx, brim_datapath_parse(ctx, "16/64,32", &p->datapath));
    p->r = (struct brim_rewrite_dot){
        .grid = {BRIM_UINT8, 0, 63, 5, 0.125f},
        .codes = p->codes,
        .w_scale = p->w_scale,
        .bias_q = p->bias_q,
        .datapath = &p->datapath,
        .need = {13, 17},
    };
}

static void assert_as_planned(const struct brim_dot *d, const struct brim_dot *was,
                              const struct plan *p)
{
    assert_true(d->codes && d->has_datapath);
    assert_int_equal(d->n, was->n);
    assert_int_equal(d->k, was->k);
    assert_int_equal(d->groups, was->groups);
    assert_string_equal(d->name, was->name);
    assert_memory_equal(&d->conv, &was->conv, sizeof d->conv);
    assert_int_equal(d->x_min, p->r.grid.lo);
    assert_int_equal(d->x_max, p->r.grid.hi);
    assert_int_equal(d->x_zero, p->r.grid.zero);
    assert_true(d->x_scale == p->r.grid.scale);
    assert_int_equal(d->vector, 0);
    for (size_t i = 0; i < d->n * d->k; i++) {
        assert_int_equal(d->w[i], p->codes[i]);
    }
    for (size_t i = 0; i < d->n; i++) {
        assert_true(d->w_scale[i] == p->w_scale[i]);
        assert_true(p->r.bias_q == NULL || d->bias_q[i] == p->bias_q[i]);
    }
    assert_int_equal(d->datapath.n_stages, 2);
    assert_int_equal(d->datapath.stage[0].tile, 64);
}

static void assert_metadata(brim_ctx *ctx, const struct brim_graph *g, const struct brim_dot *d)
{
    char key[128], hash[65];

    snprintf(key, sizeof key, "brim.layer.%s", d->name);
    const char *text = brim_graph_metadata(g, key);
    assert_non_null(text);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    ASSERT_OK(ctx, brim_dot_hash(ctx, d, hash));
    assert_string_equal(json_string_value(json_object_get(json, "codes")), hash);
    assert_string_equal(json_string_value(json_object_get(json, "datapath")), "16/64,32");
    assert_int_equal(json_integer_value(json_object_get(json, "k")), d->k);
    assert_int_equal(json_integer_value(json_object_get(json, "n")), d->n);
    assert_int_equal(json_integer_value(json_object_get(json, "x_min")), d->x_min);
    assert_int_equal(json_integer_value(json_object_get(json, "x_max")), d->x_max);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(json, "need"), 1)), 17);
    json_decref(json);
}

static void assert_found(brim_ctx *ctx, const struct brim_graph *g, const struct brim_dot *was,
                         const struct plan *p)
{
    struct brim_dots dots;

    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    assert_int_equal(dots.count, 1);
    assert_as_planned(&dots.dot[0], was, p);
    assert_metadata(ctx, g, &dots.dot[0]);
    brim_dots_free(&dots);
}

/* Rewrite the only layer of `g`, look for it, save, load, look again. */
static void rewrite_and_compare(brim_ctx *ctx, struct brim_graph *g, int largest)
{
    struct brim_dots dots;
    struct plan p = {0};
    brim_graph *loaded = NULL;
    char path[64];

    ASSERT_OK(ctx, brim_graph_sort(g));
    ASSERT_OK(ctx, brim_graph_infer(g));
    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    assert_int_equal(dots.count, 1);
    const struct brim_dot *d = &dots.dot[0];
    assert_false(d->codes);
    make_plan(ctx, d, largest, &p);
    if (strcmp(g->nodes[d->node].op_type, "MatMul") == 0) {
        p.r.bias_q = NULL;
        p.r.bias = p.bias;
    }
    ASSERT_OK(ctx, brim_rewrite_quantize_dot(g, d, &p.r));
    ASSERT_OK(ctx, brim_rewrite_finish(g));
    assert_true(brim_graph_opset(g, "") >= (largest > 127 ? 21 : 13));
    assert_found(ctx, g, d, &p);
    snprintf(path, sizeof path, "/tmp/brim-rewrite-%ld.onnx", (long)getpid());
    ASSERT_OK(ctx, brim_onnx_save(ctx, g, path));
    ASSERT_OK(ctx, brim_onnx_load(ctx, path, &loaded));
    assert_found(ctx, loaded, d, &p);
    unlink(path);
    brim_graph_free(loaded);
    brim_dots_free(&dots);
}

struct conv_case {
    int64_t out, per_group, groups, kh, kw;
    bool bias;
};

static void convolutions(void **state)
{
    static const struct conv_case cases[] = {
        {8, 3, 1, 3, 3, true}, {8, 3, 1, 1, 1, false}, {6, 2, 3, 3, 2, true},
        {8, 1, 8, 3, 3, true}, {8, 1, 4, 5, 1, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct conv_case *c = &cases[i];
        brim_ctx *ctx = testing_ctx(1);
        struct brim_graph *g = NULL;
        ASSERT_OK(ctx, brim_graph_create(ctx, &g));
        ASSERT_OK(ctx, brim_graph_set_opset(g, "", 11));
        const int32_t x =
            graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, c->per_group * c->groups, 9, 9));
        const int32_t w =
            graph_weights(g, "w", SHAPED(BRIM_FLOAT, c->out, c->per_group, c->kh, c->kw));
        const int32_t b = c->bias ? graph_weights(g, "b", SHAPED(BRIM_FLOAT, c->out)) : -1;
        const int32_t y = NODE(g, "conv", "Conv", x, w, b, -1, -1);
        ASSERT_OK(ctx, brim_node_set_int(g, last_node(g), "group", c->groups));
        ASSERT_OK(ctx,
                  brim_node_set_ints(g, last_node(g), "pads", (const int64_t[]){1, 0, 2, 1}, 4));
        ASSERT_OK(ctx, brim_graph_add_output(g, y));
        rewrite_and_compare(ctx, g, 127);
        brim_graph_free(g);
        brim_ctx_free(ctx);
    }
}

static void one_dimensional_convolution(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 4, 20));
    const int32_t w = graph_weights(g, "w", SHAPED(BRIM_FLOAT, 6, 4, 5));
    ASSERT_OK(ctx, brim_graph_add_output(g, NODE(g, "conv", "Conv", x, w, -1, -1, -1)));
    rewrite_and_compare(ctx, g, 127);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void matrices(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        const bool transposed = i % 2 == 1, matmul = i >= 4;
        brim_ctx *ctx = testing_ctx(1);
        struct brim_graph *g = NULL;
        ASSERT_OK(ctx, brim_graph_create(ctx, &g));
        ASSERT_OK(ctx, brim_graph_set_opset(g, "", 13));
        const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 12));
        const int32_t w = transposed && !matmul ? graph_weights(g, "w", SHAPED(BRIM_FLOAT, 7, 12))
                                                : graph_weights(g, "w", SHAPED(BRIM_FLOAT, 12, 7));
        const int32_t b = i < 2 ? graph_weights(g, "b", SHAPED(BRIM_FLOAT, 7)) : -1;
        const int32_t y = NODE(g, "fc", matmul ? "MatMul" : "Gemm", x, w, b, -1, -1);
        if (!matmul) {
            ASSERT_OK(ctx, brim_node_set_int(g, last_node(g), "transB", transposed));
            ASSERT_OK(ctx, brim_node_set_float(g, last_node(g), "alpha", 0.5f));
            ASSERT_OK(ctx, brim_node_set_float(g, last_node(g), "beta", 2.0f));
        }
        ASSERT_OK(ctx, brim_graph_add_output(g, y));
        rewrite_and_compare(ctx, g, i == 5 ? 2000 : 127);
        brim_graph_free(g);
        brim_ctx_free(ctx);
    }
}

/* Two layers that read one value on one grid share its quantization. */
static void shared_input_is_quantized_once(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    struct brim_dots dots;
    struct plan p[2] = {0};
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 12));
    const int32_t w = graph_weights(g, "w", SHAPED(BRIM_FLOAT, 12, 7));
    const int32_t a = NODE(g, "a", "Gemm", x, w, -1, -1, -1);
    const int32_t b = NODE(g, "b", "Gemm", x, w, -1, -1, -1);
    ASSERT_OK(ctx, brim_graph_add_output(g, NODE(g, "sum", "Add", a, b, -1, -1, -1)));
    ASSERT_OK(ctx, brim_graph_infer(g));
    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    assert_int_equal(dots.count, 2);
    for (size_t i = 0; i < 2; i++) {
        make_plan(ctx, &dots.dot[i], 127, &p[i]);
        ASSERT_OK(ctx, brim_rewrite_quantize_dot(g, &dots.dot[i], &p[i].r));
    }
    ASSERT_OK(ctx, brim_rewrite_finish(g));
    brim_dots_free(&dots);
    size_t quantize = 0, clip = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        quantize += strcmp(g->nodes[i].op_type, "QuantizeLinear") == 0;
        clip += strcmp(g->nodes[i].op_type, "Clip") == 0;
    }
    assert_int_equal(quantize, 1);
    assert_int_equal(clip, 1);
    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    assert_int_equal(dots.count, 2);
    assert_true(dots.dot[0].codes && dots.dot[1].codes && dots.dot[0].x == dots.dot[1].x);
    brim_dots_free(&dots);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    struct brim_dots dots;
    struct plan p = {0};
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 12));
    const int32_t w = graph_weights(g, "w", SHAPED(BRIM_FLOAT, 12, 7));
    ASSERT_OK(ctx, brim_graph_add_output(g, NODE(g, "fc", "MatMul", x, w, -1, -1, -1)));
    ASSERT_OK(ctx, brim_graph_infer(g));
    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    make_plan(ctx, &dots.dot[0], 127, &p);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "node 'fc' (MatMul): cannot have an integer bias",
                 brim_rewrite_quantize_dot(g, &dots.dot[0], &p.r));
    p.r.bias_q = NULL;
    p.r.grid.hi = 256;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "node 'fc': its input grid does not fit its type",
                 brim_rewrite_quantize_dot(g, &dots.dot[0], &p.r));
    brim_dots_free(&dots);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(one_dimensional_convolution),
        cmocka_unit_test(matrices),
        cmocka_unit_test(shared_input_is_quantized_once),
        cmocka_unit_test(wrong_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
