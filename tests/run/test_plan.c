/* test_plan.c - steps, buffers, fusion and its limits, bad inputs; a real layer against
 * brim_datapath_dot(). SPDX-License-Identifier: Apache-2.0 */
#include "brim/brim.h"
#include "run/plan.h"
#include "starving.h"

#define MODELS BRIM_DATA_DIR "/mlperf-tiny/models/"

static int32_t add_value(struct brim_graph *g, const char *name)
{
    const struct brim_type unknown = {BRIM_UNDEFINED, {.rank = -1}};
    const int32_t v = brim_graph_add_value(g, name, &unknown);

    assert_true(v >= 0);
    return v;
}

static int32_t add_input(struct brim_graph *g, const char *name, enum brim_dtype t,
                         struct brim_shape s)
{
    const struct brim_type type = {t, s};
    const int32_t v = brim_graph_add_value(g, name, &type);

    assert_true(v >= 0);
    ASSERT_OK(g->ctx, brim_graph_add_input(g, v));
    return v;
}

static int32_t add_constant(struct brim_graph *g, const char *name, enum brim_dtype t,
                            struct brim_shape s, const void *data)
{
    const struct brim_type type = {t, s};
    const int32_t v = brim_graph_add_constant(g, name, &type, data);

    assert_true(v >= 0);
    return v;
}

static int32_t add_node(struct brim_graph *g, const char *op, int32_t a, int32_t b, const char *out)
{
    const int32_t in[] = {a, b}, y = add_value(g, out);

    if (brim_graph_add_node(g, out, op, in, b < 0 ? 1 : 2, &y, 1) == NULL) {
        fail_msg("%s", brim_error(g->ctx));
    }
    return y;
}

static void finish(struct brim_graph *g, int32_t y)
{
    ASSERT_OK(g->ctx, brim_graph_add_output(g, y));
    ASSERT_OK(g->ctx, brim_graph_sort(g));
    ASSERT_OK(g->ctx, brim_graph_infer(g));
}

/* y = relu(x + a) * (a + a), with x of shape [?,2]; the bracket depends on constants only. */
static struct brim_graph *small(brim_ctx *ctx)
{
    static const float a[] = {1.0f, -2.0f};
    struct brim_graph *g;

    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = add_input(g, "x", BRIM_FLOAT, (struct brim_shape){2, {-1, 2}});
    const int32_t c = add_constant(g, "a", BRIM_FLOAT, (struct brim_shape){1, {2}}, a);
    const int32_t sum = add_node(g, "Add", x, c, "sum");
    const int32_t relu = add_node(g, "Relu", sum, -1, "relu");
    const int32_t twice = add_node(g, "Add", c, c, "twice");
    finish(g, add_node(g, "Mul", relu, twice, "y"));
    return g;
}

struct run {
    struct brim_plan *plan;
    struct brim_workspace *ws;
};

static struct run start(brim_ctx *ctx, const struct brim_graph *g, const struct brim_plan_params *p)
{
    struct run r;

    ASSERT_OK(ctx, brim_plan_create(ctx, g, p, &r.plan));
    ASSERT_OK(ctx, brim_workspace_create(ctx, r.plan, &r.ws));
    return r;
}

static void stop(struct run *r)
{
    brim_workspace_free(r->ws);
    brim_plan_free(r->plan);
}

static void test_steps_run_in_order_for_any_batch(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = small(ctx);
    struct run r = start(ctx, g, &(struct brim_plan_params){0});
    float x[] = {1.0f, 5.0f, -3.0f, 0.0f, 2.0f, 3.0f};
    const float want[] = {4.0f, -12.0f, 0.0f, -0.0f, 6.0f, -4.0f};

    (void)state;
    for (int64_t n = 1; n <= 3; n++) { /* buffers grow */
        const struct brim_tensor in = {{BRIM_FLOAT, {2, {n, 2}}}, x};
        ASSERT_OK(ctx, brim_plan_run(r.plan, r.ws, &in, 1));
        const struct brim_tensor *y = brim_workspace_value(r.ws, g->outputs[0]);
        assert_int_equal(brim_shape_count(&y->type.shape), 2 * n);
        for (int64_t i = 0; i < 2 * n; i++) {
            assert_true(((const float *)y->data)[i] == want[i]);
        }
    }
    stop(&r);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void test_any_value_may_be_wanted(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = small(ctx);
    const int32_t wanted[] = {brim_graph_find_value(g, "twice"), brim_graph_find_value(g, "x"),
                              brim_graph_find_value(g, "sum"), brim_graph_find_value(g, "a")};
    struct run r = start(ctx, g, &(struct brim_plan_params){.wanted = wanted, .n_wanted = 4});
    float x[] = {1.0f, 5.0f};
    const float want[4][2] = {{2.0f, -4.0f}, {1.0f, 5.0f}, {2.0f, 3.0f}, {1.0f, -2.0f}};
    const struct brim_tensor in = {{BRIM_FLOAT, {2, {1, 2}}}, x};

    (void)state;
    ASSERT_OK(ctx, brim_plan_run(r.plan, r.ws, &in, 1));
    x[0] = 9.0f; /* the input is borrowed for the call only */
    for (int i = 0; i < 4; i++) {
        assert_memory_equal(brim_workspace_value(r.ws, wanted[i])->data, want[i], sizeof want[i]);
    }
    assert_null(brim_workspace_value(r.ws, g->outputs[0])->data); /* nobody asked */
    stop(&r);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void test_inputs_that_do_not_fit_are_refused(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = small(ctx);
    struct run r = start(ctx, g, &(struct brim_plan_params){0});
    float x[6] = {0};
    struct brim_tensor in = {{BRIM_FLOAT, {2, {2, 3}}}, x};
    struct brim_plan *plan;
    const int32_t nowhere = 999;

    (void)state;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input 'x': got shape [2,3]",
                 brim_plan_run(r.plan, r.ws, &in, 1));
    in.type.shape = (struct brim_shape){1, {2}};
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input 'x': got shape [2]",
                 brim_plan_run(r.plan, r.ws, &in, 1));
    in.type = (struct brim_type){BRIM_INT32, {2, {1, 2}}};
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "got int32, expected float",
                 brim_plan_run(r.plan, r.ws, &in, 1));
    in = (struct brim_tensor){{BRIM_FLOAT, {2, {1, 2}}}, NULL};
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input 'x': no data", brim_plan_run(r.plan, r.ws, &in, 1));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "got 2 inputs", brim_plan_run(r.plan, r.ws, &in, 2));
    in = (struct brim_tensor){{BRIM_FLOAT, {2, {INT64_MAX / 2, 2}}}, x};
    assert_int_equal(brim_plan_run(r.plan, r.ws, &in, 1), BRIM_ERR_UNSUPPORTED);
    brim_clear_error(ctx);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "999",
                 brim_plan_create(
                     ctx, g, &(struct brim_plan_params){.wanted = &nowhere, .n_wanted = 1}, &plan));
    /* and the workspace still works */
    in = (struct brim_tensor){{BRIM_FLOAT, {2, {1, 2}}}, x};
    ASSERT_OK(ctx, brim_plan_run(r.plan, r.ws, &in, 1));
    stop(&r);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* codes x [?,4] -> DQ -> MatMul w [4,1] -> Clip(0, hi) -> QuantizeLinear, every scale a power of two */
static struct brim_graph *clipped(brim_ctx *ctx, float hi)
{
    static const int8_t w[] = {1, 2, -3, 4}, zero = 0;
    static const uint8_t x_zero = 2, y_zero = 10;
    static const float half = 0.5f, one = 1.0f, low = 0.0f;
    const struct brim_shape scalar = {.rank = 0};
    struct brim_graph *g;

    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = add_input(g, "x", BRIM_UINT8, (struct brim_shape){2, {-1, 4}});
    const int32_t h = add_constant(g, "half", BRIM_FLOAT, scalar, &half);
    const int32_t in[] = {x, h, add_constant(g, "xz", BRIM_UINT8, scalar, &x_zero)};
    const int32_t win[] = {add_constant(g, "w", BRIM_INT8, (struct brim_shape){2, {4, 1}}, w), h,
                           add_constant(g, "wz", BRIM_INT8, scalar, &zero)};
    const int32_t xf = add_value(g, "xf"), wf = add_value(g, "wf");
    assert_non_null(brim_graph_add_node(g, "dx", "DequantizeLinear", in, 3, &xf, 1));
    assert_non_null(brim_graph_add_node(g, "dw", "DequantizeLinear", win, 3, &wf, 1));
    const int32_t m = add_node(g, "MatMul", xf, wf, "m"), c = add_value(g, "c");
    const int32_t cin[] = {m, add_constant(g, "lo", BRIM_FLOAT, scalar, &low),
                           add_constant(g, "hi", BRIM_FLOAT, scalar, &hi)};
    assert_non_null(brim_graph_add_node(g, "clip", "Clip", cin, 3, &c, 1));
    const int32_t y = add_value(g, "y");
    const int32_t qin[] = {c, add_constant(g, "one", BRIM_FLOAT, scalar, &one),
                           add_constant(g, "yz", BRIM_UINT8, scalar, &y_zero)};
    assert_non_null(brim_graph_add_node(g, "q", "QuantizeLinear", qin, 3, &y, 1));
    finish(g, y);
    return g;
}

/* By hand: acc = w . (x - 2), real = acc / 4, code = round(clip(real, 0, hi)) + 10.
 *   x = 2 2 2 4: acc 8, 2      -> 12     x = 2 2 2 12: acc 40, 10 -> clipped to 6 -> 16
 *   x = 2 2 2 3: acc 4, 1      -> 11     x = 2 2 4 2:  acc -6     -> 10
 *   x = 4 4 2 2: acc 6, 1.5    -> 2 + 10 (to even)   x = 4 2 2 4: acc 10, 2.5 -> 2 + 10 (to even) */
static void test_clip_becomes_a_bound_of_the_codes(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = clipped(ctx, 6.0f);
    uint8_t x[] = {2, 2, 2, 4, 2, 2, 2, 12, 2, 2, 2, 3, 2, 2, 4, 2, 4, 4, 2, 2, 4, 2, 2, 4};
    const uint8_t want[] = {12, 16, 11, 10, 12, 12};
    const struct brim_tensor in = {{BRIM_UINT8, {2, {6, 4}}}, x};
    const char *const watched[] = {"y", "c", "m"};

    (void)state;
    for (int i = 0; i < 3;
         i++) { /* asking for a value in between splits the step, not the result */
        const int32_t wanted[] = {g->outputs[0], brim_graph_find_value(g, watched[i])};
        struct run r = start(ctx, g, &(struct brim_plan_params){.wanted = wanted, .n_wanted = 2});
        const brim_datapath *dp = NULL;
        assert_int_equal(brim_plan_dots(r.plan)->count, 1);
        assert_true(brim_plan_dot_runs(r.plan, 0, &dp));
        assert_null(dp);
        ASSERT_OK(ctx, brim_plan_run(r.plan, r.ws, &in, 1));
        assert_memory_equal(brim_workspace_value(r.ws, wanted[0])->data, want, sizeof want);
        if (i == 2) {
            assert_true(((const float *)brim_workspace_value(r.ws, wanted[1])->data)[1] == 10.0f);
        }
        stop(&r);
    }
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* One output of a real convolution, from the codes that feed it. */
static int64_t by_hand(const struct brim_dot *d, const brim_datapath *dp, const int8_t *x,
                       const int64_t pos[3])
{
    const struct brim_conv_geometry *v = &d->conv;
    int32_t row[1024];
    int64_t scratch[2048];
    size_t k = 0;

    for (int64_t y = 0; y < v->kh; y++) {
        for (int64_t c = 0; c < v->kw * v->c_in; c++) {
            const int64_t iy = pos[1] - v->pad_top + y, ix = pos[2] - v->pad_left + c / v->c_in;
            row[k++] = iy < 0 || ix < 0 || iy >= 32 || ix >= 32
                           ? (int32_t)d->x_zero
                           : x[(c % v->c_in * 32 + iy) * 32 + ix];
        }
    }
    assert_int_equal(k, d->k);
    const int32_t *w = d->w + (size_t)pos[0] * k;
    int64_t sum = 0;
    for (size_t i = 0; i < k; i++) {
        sum += w[i];
    }
    return brim_datapath_dot(dp, w, row, k, scratch, NULL) - d->x_zero * sum + d->bias_q[pos[0]];
}

static void test_a_real_layer_equals_the_scalar_datapath(void **state)
{
    static const char *const datapaths[] = {"13", "14s", "13g", "12q", "12/16,15s", "40"};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g;
    brim_data *data;
    static float image[3072];

    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-int8-qdq.onnx");
    ASSERT_OK(ctx, brim_onnx_load(ctx, MODELS "resnet8-cifar10-int8-qdq.onnx", &g));
    ASSERT_OK(ctx,
              brim_data_open(ctx, "cifar:" BRIM_DATA_DIR "/cifar10/test_first1000.bin.gz", &data));
    ASSERT_OK(ctx, brim_data_read(ctx, data, 3, 1, image, NULL));
    const struct brim_tensor in = {{BRIM_FLOAT, {4, {1, 3, 32, 32}}}, image};
    for (size_t i = 0; i < sizeof datapaths / sizeof datapaths[0]; i++) {
        const int32_t wanted[] = {brim_graph_find_value(g, "conv1_act_q"),
                                  brim_graph_find_value(g, "conv2_out")};
        brim_datapath dp;
        ASSERT_OK(ctx, brim_datapath_parse(ctx, datapaths[i], &dp));
        struct run r = start(
            ctx, g, &(struct brim_plan_params){.wanted = wanted, .n_wanted = 2, .datapath = &dp});
        const struct brim_dot *d = &brim_plan_dots(r.plan)->dot[1];
        assert_string_equal(d->name, "conv2");
        ASSERT_OK(ctx, brim_plan_run(r.plan, r.ws, &in, 1));
        const int8_t *x = brim_workspace_value(r.ws, wanted[0])->data;
        const float *y = brim_workspace_value(r.ws, wanted[1])->data;
        for (int64_t c = 0; c < 16; c += 5) {
            for (int64_t p = 0; p < 1024; p += 31) {
                const int64_t pos[] = {c, p / 32, p % 32};
                const float scale = d->x_scale * d->w_scale[c];
                assert_true(y[c * 1024 + p] == (float)by_hand(d, &dp, x, pos) * scale);
            }
        }
        stop(&r);
    }
    brim_data_free(data);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

struct planned {
    const struct brim_graph *g;
    struct brim_tensor in;
};

static brim_status plan_and_run(brim_ctx *ctx, void *arg)
{
    const struct planned *p = arg;
    struct brim_plan *plan = NULL;
    struct brim_workspace *ws = NULL;
    brim_status status =
        brim_plan_create(ctx, p->g, &(struct brim_plan_params){.count = true}, &plan);

    if (status == BRIM_OK) {
        status = brim_workspace_create(ctx, plan, &ws);
    }
    if (status == BRIM_OK) {
        status = brim_plan_run(plan, ws, &p->in, 1);
    }
    brim_workspace_free(ws);
    brim_plan_free(plan);
    return status;
}

static void test_every_failing_allocation_is_reported(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = clipped(ctx, 6.0f);
    uint8_t x[] = {2, 2, 2, 4};
    struct planned p = {g, {{BRIM_UINT8, {2, {1, 4}}}, x}};

    (void)state;
    assert_true(starving_try(plan_and_run, &p) > 5);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_run_in_order_for_any_batch),
        cmocka_unit_test(test_any_value_may_be_wanted),
        cmocka_unit_test(test_inputs_that_do_not_fit_are_refused),
        cmocka_unit_test(test_clip_becomes_a_bound_of_the_codes),
        cmocka_unit_test(test_every_failing_allocation_is_reported),
        cmocka_unit_test(test_a_real_layer_equals_the_scalar_datapath),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
