/* test_layers.c - random integer layers in every form, on every kind of datapath, against the naive
 * oracle: each integer and each count. SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "oracle/oracle_net.h"
#include "run/plan.h"
#include "testing.h"

#define MOST_N 24
#define MOST_W (MOST_N * 12 * 5 * 5)
#define MOST_X (2 * 12 * 12 * 12)
#define MOST_Y (2 * MOST_N * 16 * 16)

enum form {
    QDQ_CONV,
    QLINEAR_CONV,
    CONV_INTEGER,
    QDQ_GEMM,
    QDQ_MATMUL,
    QLINEAR_MATMUL,
    MATMUL_INTEGER,
    FORMS
};

static const char *const datapaths[] = {"64",
                                        "16",
                                        "16s",
                                        "14",
                                        "12s",
                                        "14/8,20",
                                        "16/2s,32",
                                        "13/4,16s",
                                        "14q",
                                        "15g",
                                        "12/16,16/32,24",
                                        "10/32p,32",
                                        "32"};

struct layer {
    enum form form;
    struct oracle_conv c;
    int32_t x[MOST_X], w[MOST_W], w_zero[MOST_N], bias[MOST_N];
    float xs, ys, ws[MOST_N];
    int64_t y_zero;
    bool x_signed, w_signed, y_signed, has_bias, relu, per_channel, exact;
    bool flat;   /* a 1-D convolution */
    bool deep;   /* a matrix product of rank 3 */
    bool narrow; /* codes clipped to four bits behind the quantization */
    int same;    /* auto_pad: 0 none, 1 SAME_UPPER, 2 SAME_LOWER */
};

static bool is_matmul(const struct layer *l)
{
    return l->form >= QDQ_GEMM;
}

static int pick(struct brim_rng *r, int lo, int hi)
{
    return (int)brim_rng_range(r, lo, hi);
}

static void random_geometry(struct layer *l, struct brim_rng *r)
{
    struct oracle_conv *c = &l->c;
    const int kind = pick(r, 0, 3); /* plain, pointwise, grouped, depthwise */

    *c = (struct oracle_conv){.batch = pick(r, 1, 2),
                              .groups = 1,
                              .h = 1,
                              .w = 1,
                              .kh = 1,
                              .kw = 1,
                              .stride_h = 1,
                              .stride_w = 1,
                              .dilation_h = 1,
                              .dilation_w = 1};
    c->c_in = pick(r, 1, 12);
    c->c_out = pick(r, 1, 12);
    if (is_matmul(l)) {
        c->c_in = pick(r, 1, 200);
        c->c_out = pick(r, 1, MOST_N);
        return;
    }
    c->h = pick(r, 5, 12);
    c->w = pick(r, 5, 12);
    if (kind == 1) {
        c->stride_h = c->stride_w = pick(r, 1, 2);
        return;
    }
    c->kh = pick(r, 1, 5);
    c->kw = pick(r, 1, 5);
    c->stride_h = pick(r, 1, 2);
    c->stride_w = pick(r, 1, 3);
    c->dilation_h = c->kh <= 3 ? pick(r, 1, 2) : 1;
    c->dilation_w = c->kw <= 3 ? pick(r, 1, 2) : 1;
    c->top = pick(r, 0, 2);
    c->left = pick(r, 0, 2);
    c->bottom = pick(r, 0, 2);
    c->right = pick(r, 0, 2);
    if (kind == 2) {
        c->groups = 2;
        c->c_in = 2 * pick(r, 1, 5);
        c->c_out = 2 * pick(r, 1, 5);
    } else if (kind == 3) {
        c->groups = c->c_in;
        c->c_out = c->c_in * pick(r, 1, 2);
    }
}

/* ONNX: out = ceil(in / stride), padding shared out with the odd one behind (or before). */
static void same_pads(int same, int in, int kernel, int dilation, int stride, int *before,
                      int *after)
{
    const int out = (in + stride - 1) / stride;
    const int total = (out - 1) * stride + dilation * (kernel - 1) + 1 - in;
    const int small = total > 0 ? total / 2 : 0, large = total > 0 ? total - small : 0;

    *before = same == 1 ? small : large;
    *after = same == 1 ? large : small;
}

static void vary_form(struct layer *l, struct brim_rng *r)
{
    struct oracle_conv *c = &l->c;

    l->flat = !is_matmul(l) && pick(r, 0, 4) == 0;
    l->deep = is_matmul(l) && l->form != QDQ_GEMM && pick(r, 0, 2) == 0;
    l->same = is_matmul(l) || pick(r, 0, 3) > 0 ? 0 : pick(r, 1, 2);
    l->narrow = l->form != CONV_INTEGER && l->form != MATMUL_INTEGER && pick(r, 0, 3) == 0;
    if (l->flat) {
        c->h = c->kh = c->stride_h = c->dilation_h = 1;
        c->top = c->bottom = 0;
    }
    if (l->same != 0) {
        same_pads(l->same, c->h, c->kh, c->dilation_h, c->stride_h, &c->top, &c->bottom);
        same_pads(l->same, c->w, c->kw, c->dilation_w, c->stride_w, &c->left, &c->right);
    }
}

static void random_values(struct layer *l, struct brim_rng *r)
{
    struct oracle_conv *c = &l->c;
    const int n_x = c->batch * c->c_in * c->h * c->w;
    const int n_w = c->c_out * (c->c_in / c->groups) * c->kh * c->kw;
    const int x_lo = l->x_signed ? -128 : 0, w_lo = l->w_signed ? -128 : 0;
    const int spread = pick(r, 1, 127);

    for (int i = 0; i < n_x; i++) {
        l->x[i] = pick(r, x_lo, x_lo + 255);
    }
    for (int i = 0; i < n_w; i++) {
        l->w[i] = w_lo + 128 + pick(r, -spread, spread);
    }
    c->x_zero = pick(r, 0, 2) == 0 ? 0 : pick(r, x_lo, x_lo + 255);
    for (int i = 0; i < c->c_out; i++) {
        l->w_zero[i] = l->w_signed ? 0 : 128;
        if (i > 0 && !l->per_channel) {
            l->ws[i] = l->ws[0];
        } else {
            l->ws[i] = (float)(0.001 + 0.02 * brim_rng_uniform(r));
        }
        l->bias[i] = pick(r, -20000, 20000);
    }
    l->xs = (float)(0.005 + 0.05 * brim_rng_uniform(r));
    l->ys = (float)(0.01 + 0.3 * brim_rng_uniform(r));
    l->y_zero = pick(r, 0, 1) == 0 ? 0 : pick(r, l->y_signed ? -128 : 0, l->y_signed ? 127 : 255);
    c->x = l->x;
    c->weights = l->w;
    c->w_zero = l->w_zero;
    c->bias = l->has_bias ? l->bias : NULL;
}

static void random_layer(struct layer *l, struct brim_rng *r)
{
    l->form = (enum form)pick(r, 0, FORMS - 1);
    l->x_signed = pick(r, 0, 1) == 1;
    l->w_signed = pick(r, 0, 3) > 0;
    l->y_signed = pick(r, 0, 1) == 1;
    l->per_channel = pick(r, 0, 1) == 1;
    l->has_bias = (l->form == QDQ_CONV || l->form == QLINEAR_CONV || l->form == QDQ_GEMM) &&
                  pick(r, 0, 2) > 0;
    l->relu =
        (l->form == QDQ_CONV || l->form == QDQ_GEMM || l->form == QDQ_MATMUL) && pick(r, 0, 1) == 1;
    random_geometry(l, r);
    vary_form(l, r);
    random_values(l, r);
    const int d = pick(r, 0, (int)(sizeof datapaths / sizeof datapaths[0]) - 1);
    l->c.datapath = datapaths[d];
    l->exact = d == 0; /* no datapath given */
}

/* ---- the same layer as a graph ---- */

static int32_t constant(struct brim_graph *g, const char *name, enum brim_dtype t,
                        struct brim_shape shape, const void *data)
{
    const struct brim_type type = {t, shape};
    const int32_t v = brim_graph_add_constant(g, name, &type, data);

    assert_true(v >= 0);
    return v;
}

static int32_t scalar_float(struct brim_graph *g, const char *name, float v)
{
    return constant(g, name, BRIM_FLOAT, (struct brim_shape){.rank = 0}, &v);
}

static int32_t scalar_code(struct brim_graph *g, const char *name, bool is_signed, int64_t v)
{
    const uint8_t byte = (uint8_t)v;
    return constant(g, name, is_signed ? BRIM_INT8 : BRIM_UINT8, (struct brim_shape){.rank = 0},
                    &byte);
}

static int32_t value(struct brim_graph *g, const char *name)
{
    const struct brim_type unknown = {BRIM_UNDEFINED, {.rank = -1}};
    const int32_t v = brim_graph_add_value(g, name, &unknown);

    assert_true(v >= 0);
    return v;
}

static struct brim_node *node(struct brim_graph *g, const char *op, const int32_t *in, size_t n_in,
                              int32_t out)
{
    struct brim_node *n = brim_graph_add_node(g, op, op, in, n_in, &out, 1);

    if (n == NULL) {
        fail_msg("%s", brim_error(g->ctx));
    }
    return n;
}

/* Weights as the operator stores them: [n][c][kh][kw], or [k][n] for a matrix product. */
static int32_t weights(struct brim_graph *g, const struct layer *l)
{
    const struct oracle_conv *c = &l->c;
    static uint8_t bytes[MOST_W];
    struct brim_shape s = {4, {c->c_out, c->c_in / c->groups, c->kh, c->kw}};
    const int k = (c->c_in / c->groups) * c->kh * c->kw;

    for (int n = 0; n < c->c_out; n++) {
        for (int i = 0; i < k; i++) {
            bytes[is_matmul(l) ? i * c->c_out + n : n * k + i] = (uint8_t)l->w[n * k + i];
        }
    }
    if (is_matmul(l)) {
        s = (struct brim_shape){2, {k, c->c_out}};
    } else if (l->flat) {
        s = (struct brim_shape){3, {c->c_out, c->c_in / c->groups, c->kw}};
    }
    return constant(g, "w", l->w_signed ? BRIM_INT8 : BRIM_UINT8, s, bytes);
}

static int32_t w_scale(struct brim_graph *g, const struct layer *l)
{
    const struct brim_shape s = {l->per_channel ? 1 : 0, {l->c.c_out}};
    return constant(g, "ws", BRIM_FLOAT, s, l->ws);
}

static int32_t w_zero(struct brim_graph *g, const struct layer *l)
{
    const struct brim_shape s = {l->per_channel ? 1 : 0, {l->c.c_out}};
    uint8_t zero[MOST_N];

    for (int i = 0; i < l->c.c_out; i++) {
        zero[i] = (uint8_t)l->w_zero[i];
    }
    return constant(g, "wz", l->w_signed ? BRIM_INT8 : BRIM_UINT8, s, zero);
}

static void set_window(struct brim_graph *g, struct brim_node *n, const struct layer *l)
{
    const struct oracle_conv *c = &l->c;
    const int64_t pads[] = {c->top, c->left, c->bottom, c->right},
                  flat_pads[] = {c->left, c->right};
    const int64_t strides[] = {c->stride_h, c->stride_w};
    const int64_t dilations[] = {c->dilation_h, c->dilation_w};
    const size_t rank = l->flat ? 1 : 2, skip = 2 - rank;

    if (l->same != 0) {
        ASSERT_OK(g->ctx, brim_node_set_string(g, n, "auto_pad",
                                               l->same == 1 ? "SAME_UPPER" : "SAME_LOWER"));
    } else {
        ASSERT_OK(g->ctx, brim_node_set_ints(g, n, "pads", l->flat ? flat_pads : pads, 2 * rank));
    }
    ASSERT_OK(g->ctx, brim_node_set_ints(g, n, "strides", strides + skip, rank));
    ASSERT_OK(g->ctx, brim_node_set_ints(g, n, "dilations", dilations + skip, rank));
    ASSERT_OK(g->ctx, brim_node_set_int(g, n, "group", c->groups));
}

/* DequantizeLinear -> Conv | Gemm | MatMul -> (Relu) -> QuantizeLinear */
static int32_t build_qdq(struct brim_graph *g, const struct layer *l, int32_t x)
{
    const int axis = l->form == QDQ_CONV ? 0 : 1;
    const int32_t xf = value(g, "xf"), wf = value(g, "wf"), bf = value(g, "bf");
    const int32_t yf = value(g, "yf"), yr = value(g, "yr"), y = value(g, "y");
    const int32_t xs = scalar_float(g, "xs", l->xs);
    const int32_t in[] = {x, xs, scalar_code(g, "xz", l->x_signed, l->c.x_zero)};
    const int32_t win[] = {weights(g, l), w_scale(g, l), w_zero(g, l)};

    node(g, "DequantizeLinear", in, 3, xf);
    ASSERT_OK(g->ctx, brim_node_set_int(g, node(g, "DequantizeLinear", win, 3, wf), "axis", axis));
    if (l->has_bias) {
        float scale[MOST_N];
        for (int i = 0; i < l->c.c_out; i++) {
            scale[i] = l->xs * l->ws[i];
        }
        const struct brim_shape s = {1, {l->c.c_out}};
        const int32_t bin[] = {constant(g, "b", BRIM_INT32, s, l->bias),
                               constant(g, "bs", BRIM_FLOAT, s, scale)};
        ASSERT_OK(g->ctx, brim_node_set_int(g, node(g, "DequantizeLinear", bin, 2, bf), "axis", 0));
    }
    const char *const op = l->form == QDQ_CONV ? "Conv" : l->form == QDQ_GEMM ? "Gemm" : "MatMul";
    const int32_t din[] = {xf, wf, bf};
    struct brim_node *n = node(g, op, din, l->has_bias ? 3 : 2, yf);
    if (l->form == QDQ_CONV) {
        set_window(g, n, l);
    }
    if (l->relu) {
        node(g, "Relu", &yf, 1, yr);
    }
    const int32_t qin[] = {l->relu ? yr : yf, scalar_float(g, "ys", l->ys),
                           scalar_code(g, "yz", l->y_signed, l->y_zero)};
    node(g, "QuantizeLinear", qin, 3, y);
    return y;
}

/* QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger */
static int32_t build_integer(struct brim_graph *g, const struct layer *l, int32_t x)
{
    const int32_t y = value(g, "y"), xz = scalar_code(g, "xz", l->x_signed, l->c.x_zero);
    const int32_t w = weights(g, l), wz = w_zero(g, l);
    struct brim_node *n;

    if (l->form == CONV_INTEGER || l->form == MATMUL_INTEGER) {
        const int32_t in[] = {x, w, xz, wz};
        n = node(g, l->form == CONV_INTEGER ? "ConvInteger" : "MatMulInteger", in, 4, y);
    } else {
        const struct brim_shape s = {1, {l->c.c_out}};
        const int32_t in[] = {x,
                              scalar_float(g, "xs", l->xs),
                              xz,
                              w,
                              w_scale(g, l),
                              wz,
                              scalar_float(g, "ys", l->ys),
                              scalar_code(g, "yz", l->y_signed, l->y_zero),
                              constant(g, "b", BRIM_INT32, s, l->bias)};
        n = node(g, l->form == QLINEAR_CONV ? "QLinearConv" : "QLinearMatMul", in,
                 l->has_bias ? 9 : 8, y);
    }
    if (!is_matmul(l)) {
        set_window(g, n, l);
    }
    return y;
}

static struct brim_graph *build(brim_ctx *ctx, const struct layer *l)
{
    const struct oracle_conv *c = &l->c;
    struct brim_graph *g;

    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    struct brim_type type = {l->x_signed ? BRIM_INT8 : BRIM_UINT8, {4, {-1, c->c_in, c->h, c->w}}};
    if (is_matmul(l)) {
        type.shape = l->deep ? (struct brim_shape){3, {1, -1, c->c_in}}
                             : (struct brim_shape){2, {-1, c->c_in}};
    } else if (l->flat) {
        type.shape = (struct brim_shape){3, {-1, c->c_in, c->w}};
    }
    const int32_t x = brim_graph_add_value(g, "x", &type);
    ASSERT_OK(ctx, brim_graph_add_input(g, x));
    const bool qdq = l->form == QDQ_CONV || l->form == QDQ_GEMM || l->form == QDQ_MATMUL;
    int32_t y = qdq ? build_qdq(g, l, x) : build_integer(g, l, x);
    if (l->narrow) {
        const int32_t in[] = {y, scalar_code(g, "lo", l->y_signed, 3),
                              scalar_code(g, "hi", l->y_signed, 18)};
        y = value(g, "clipped");
        node(g, "Clip", in, 3, y);
    }
    ASSERT_OK(ctx, brim_graph_add_output(g, y));
    ASSERT_OK(ctx, brim_graph_sort(g));
    ASSERT_OK(ctx, brim_graph_infer(g));
    return g;
}

/* ---- both ---- */

static int64_t element(const struct brim_tensor *t, size_t i)
{
    return t->type.dtype == BRIM_INT32   ? ((const int32_t *)t->data)[i]
           : t->type.dtype == BRIM_UINT8 ? ((const uint8_t *)t->data)[i]
                                         : ((const int8_t *)t->data)[i];
}

static int64_t expected(const struct layer *l, size_t i, size_t positions, int64_t acc)
{
    const size_t channel = i / positions % (size_t)l->c.c_out;
    const int64_t lo = l->y_signed ? -128 : 0;

    if (l->form == CONV_INTEGER || l->form == MATMUL_INTEGER) {
        return acc;
    }
    const int64_t q = oracle_requantize(acc, l->xs, l->ws[channel], l->ys, l->y_zero,
                                        l->relu && l->y_zero > lo ? l->y_zero : lo, lo + 255);
    return !l->narrow ? q : q < 3 ? 3 : q > 18 ? 18 : q;
}

static void compare(const struct layer *l, const struct brim_tensor *y,
                    const struct brim_dot_counts *counts, int round)
{
    static int64_t acc[MOST_Y];
    const struct oracle_conv *c = &l->c;
    const int oh = oracle_out(c->h, c->top, c->bottom, c->kh, c->dilation_h, c->stride_h);
    const int ow = oracle_out(c->w, c->left, c->right, c->kw, c->dilation_w, c->stride_w);
    const size_t positions = (size_t)(oh * ow), n = (size_t)c->batch * (size_t)c->c_out * positions;
    struct oracle_counts want = {0};

    oracle_conv_run(c, acc, &want);
    assert_int_equal(brim_shape_count(&y->type.shape), n);
    for (size_t i = 0; i < n; i++) {
        const int64_t e = expected(l, i, positions, acc[i]);
        if (element(y, i) != e) {
            fail_msg("round %d, form %d, datapath %s, output %zu: got %lld, expected %lld", round,
                     (int)l->form, c->datapath, i, (long long)element(y, i), (long long)e);
        }
    }
    if (counts == NULL) {
        return;
    }
    assert_int_equal(counts->outputs, want.outputs);
    assert_int_equal(counts->transient, want.transient);
    assert_int_equal(counts->persistent, want.persistent);
    assert_int_equal(counts->product, want.product);
    assert_int_equal(counts->min_width, want.min_width);
}

/* Without counts twice: what a workspace keeps must not change the second result. */
static void check_plan(const struct layer *l, const struct brim_graph *g,
                       const struct brim_plan_params *p, const struct brim_tensor *in, int round)
{
    brim_ctx *ctx = g->ctx;
    struct brim_plan *plan;
    struct brim_workspace *ws;
    const brim_datapath *used;
    size_t n_dots;

    ASSERT_OK(ctx, brim_plan_create(ctx, g, p, &plan));
    assert_int_equal(brim_plan_dots(plan)->count, 1);
    assert_true(brim_plan_dot_runs(plan, 0, &used));
    ASSERT_OK(ctx, brim_workspace_create(ctx, plan, &ws));
    for (int runs = p->count ? 1 : 2; runs > 0; runs--) { /* counts would add up */
        ASSERT_OK(ctx, brim_plan_run(plan, ws, in, 1));
        compare(l, brim_workspace_value(ws, g->outputs[0]), brim_workspace_counts(ws, &n_dots),
                round);
    }
    brim_workspace_free(ws);
    brim_plan_free(plan);
}

static void check_layer(brim_ctx *ctx, const struct layer *l, int round)
{
    static uint8_t bytes[MOST_X];
    const struct oracle_conv *c = &l->c;
    struct brim_graph *g = build(ctx, l);
    brim_datapath dp;
    struct brim_plan_params p = {.count = true};

    if (!l->exact) {
        ASSERT_OK(ctx, brim_datapath_parse(ctx, c->datapath, &dp));
        p.datapath = &dp;
    }
    const int n_x = c->batch * c->c_in * c->h * c->w;
    for (int i = 0; i < n_x; i++) {
        bytes[i] = (uint8_t)l->x[i];
    }
    struct brim_tensor in = {.type = g->values[g->inputs[0]].type, .data = bytes};
    in.type.shape.dim[l->deep ? 1 : 0] = c->batch;
    check_plan(l, g, &p, &in, round);
    p.count = false; /* other kernels */
    check_plan(l, g, &p, &in, round);
    brim_graph_free(g);
}

static void test_random_layers_equal_the_oracle(void **state)
{
    static struct layer l;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng r;

    (void)state;
    for (int round = 0; round < 600; round++) {
        brim_rng_init(&r, 7, (uint64_t)round);
        random_layer(&l, &r);
        check_layer(ctx, &l, round);
    }
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_layers_equal_the_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
