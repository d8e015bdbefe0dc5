/* operators.c - each operator of a .tflite file as ONNX operators. SPDX-License-Identifier:
 * Apache-2.0 */
#include "tflite/builder.h"

/* Field numbers of schema.fbs' option tables. */
enum { WINDOW_PADDING = 0, WINDOW_STRIDE_W = 1, WINDOW_STRIDE_H = 2 };
enum { CONV_ACTIVATION = 3, CONV_DILATION_W = 4, CONV_DILATION_H = 5 };
enum { DEPTHWISE_ACTIVATION = 4, DEPTHWISE_DILATION_W = 5, DEPTHWISE_DILATION_H = 6 };
enum { POOL_WIDTH = 3, POOL_HEIGHT = 4, POOL_ACTIVATION = 5 };
enum { DENSE_ACTIVATION = 0, DENSE_FORMAT = 1 };
enum { CONCAT_AXIS = 0, CONCAT_ACTIVATION = 1 };
enum { BINARY_ACTIVATION = 0, SOFTMAX_BETA = 0, MEAN_KEEP = 0, LEAKY_ALPHA = 0 };
enum { PADDING_SAME = 0 };

static uint8_t option_byte(struct brim_tflite_builder *b, unsigned field)
{
    return brim_flat_byte(&b->m->flat, b->op->options, field, 0);
}

static int32_t option_int(struct brim_tflite_builder *b, unsigned field, int32_t fallback)
{
    return brim_flat_int(&b->m->flat, b->op->options, field, fallback);
}

static brim_status wrong_shape(const struct brim_tflite_builder *b, const char *what)
{
    return brim_fail(b->ctx, BRIM_ERR_FILE, "%s", what);
}

/* ---- windows ---- */

struct window {
    int64_t kernel[2], stride[2], dilation[2]; /* height, width */
};

/* Padding as the file's shapes have it: SAME puts the odd one behind. */
static brim_status set_window(struct brim_tflite_builder *b, struct brim_node *node,
                              const struct window *w)
{
    const struct brim_shape *x = &brim_tflite_input(b, 0)->type.shape;
    int64_t pads[4] = {0, 0, 0, 0};

    for (int i = 0; i < 2; i++) {
        if (w->stride[i] < 1 || w->dilation[i] < 1 || w->kernel[i] < 1 ||
            w->kernel[i] > INT32_MAX / w->dilation[i]) {
            return wrong_shape(b, "a stride, dilation or window is not positive");
        }
        const int64_t in = x->dim[1 + i], reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
        const int64_t out = (in + w->stride[i] - 1) / w->stride[i];
        const int64_t missing = (out - 1) * w->stride[i] + reach - in;
        if (option_byte(b, WINDOW_PADDING) == PADDING_SAME && missing > 0) {
            pads[i] = missing / 2;
            pads[2 + i] = missing - missing / 2;
        }
    }
    BRIM_TRY(brim_node_set_ints(b->g, node, "kernel_shape", w->kernel, 2));
    BRIM_TRY(brim_node_set_ints(b->g, node, "strides", w->stride, 2));
    return brim_node_set_ints(b->g, node, "pads", pads, 4);
}

static brim_status convolve(struct brim_tflite_builder *b, const struct window *w, int64_t groups,
                            const int perm[4], int activation)
{
    const struct brim_tflite_tensor *x = brim_tflite_input(b, 0);
    struct brim_node *node;
    int32_t in[3], out;

    BRIM_TRY(brim_tflite_value(b, 0, &in[0]));
    BRIM_TRY(brim_tflite_weights(b, 1, perm, x->n_scales > 0, &in[1]));
    BRIM_TRY(brim_tflite_bias(b, &in[2]));
    BRIM_TRY(brim_tflite_node(b, "Conv", in, in[2] >= 0 ? 3 : 2, &node, &out));
    BRIM_TRY(set_window(b, node, w));
    BRIM_TRY(brim_node_set_ints(b->g, node, "dilations", w->dilation, 2));
    BRIM_TRY(brim_node_set_int(b->g, node, "group", groups));
    return brim_tflite_made(b, out, activation, false);
}

/* Image and constant weights of rank 4, or a refusal. */
static brim_status check_convolution(const struct brim_tflite_builder *b)
{
    const struct brim_tflite_tensor *x = brim_tflite_input(b, 0), *w = brim_tflite_input(b, 1);

    if (x == NULL || w == NULL || x->type.shape.rank != 4 || w->type.shape.rank != 4) {
        return wrong_shape(b, "image and weights have not four axes each");
    }
    return w->data != NULL
               ? BRIM_OK
               : brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED, "the weights are not constant");
}

brim_status brim_tflite_conv(struct brim_tflite_builder *b)
{
    static const int perm[4] = {0, 3, 1, 2};

    BRIM_TRY(check_convolution(b));
    const int64_t *x = brim_tflite_input(b, 0)->type.shape.dim;
    const int64_t *w = brim_tflite_input(b, 1)->type.shape.dim;
    if (x[3] % w[3] != 0) {
        return wrong_shape(b, "the weights have not the image's channels");
    }
    const struct window window = {
        .kernel = {w[1], w[2]},
        .stride = {option_int(b, WINDOW_STRIDE_H, 0), option_int(b, WINDOW_STRIDE_W, 0)},
        .dilation = {option_int(b, CONV_DILATION_H, 1), option_int(b, CONV_DILATION_W, 1)}};
    return convolve(b, &window, x[3] / w[3], perm, option_byte(b, CONV_ACTIVATION));
}

/* Weights are [1][height][width][channels * multiplier], outputs of a channel side by side. */
brim_status brim_tflite_depthwise(struct brim_tflite_builder *b)
{
    static const int perm[4] = {3, 0, 1, 2};

    BRIM_TRY(check_convolution(b));
    const int64_t *x = brim_tflite_input(b, 0)->type.shape.dim;
    const int64_t *w = brim_tflite_input(b, 1)->type.shape.dim;
    if (w[0] != 1 || w[3] % x[3] != 0) {
        return wrong_shape(b, "the weights have not the image's channels");
    }
    const struct window window = {
        .kernel = {w[1], w[2]},
        .stride = {option_int(b, WINDOW_STRIDE_H, 0), option_int(b, WINDOW_STRIDE_W, 0)},
        .dilation = {option_int(b, DEPTHWISE_DILATION_H, 1),
                     option_int(b, DEPTHWISE_DILATION_W, 1)}};
    return convolve(b, &window, x[3], perm, option_byte(b, DEPTHWISE_ACTIVATION));
}

brim_status brim_tflite_pool(struct brim_tflite_builder *b)
{
    const struct brim_tflite_tensor *x = brim_tflite_input(b, 0);
    const bool largest = b->op->code == TFLITE_MAX_POOL_2D;
    const struct window window = {
        .kernel = {option_int(b, POOL_HEIGHT, 0), option_int(b, POOL_WIDTH, 0)},
        .stride = {option_int(b, WINDOW_STRIDE_H, 0), option_int(b, WINDOW_STRIDE_W, 0)},
        .dilation = {1, 1}};
    struct brim_node *node;
    int32_t in, out;

    if (x == NULL || x->type.shape.rank != 4) {
        return wrong_shape(b, "the image has not four axes");
    }
    BRIM_TRY(brim_tflite_value(b, 0, &in));
    BRIM_TRY(brim_tflite_node(b, largest ? "MaxPool" : "AveragePool", &in, 1, &node, &out));
    BRIM_TRY(set_window(b, node, &window));
    return brim_tflite_made(b, out, option_byte(b, POOL_ACTIVATION), largest);
}

/* ---- shapes ---- */

/* Elements are in the same order in NCHW and in NHWC. */
static bool same_order(const struct brim_shape *s)
{
    return s->rank != 4 || s->dim[3] == 1 || (s->dim[1] == 1 && s->dim[2] == 1);
}

static brim_status transpose(struct brim_tflite_builder *b, const int64_t perm[4], int32_t *value)
{
    const int32_t in = *value;
    struct brim_node *node;

    BRIM_TRY(brim_tflite_node(b, "Transpose", &in, 1, &node, value));
    return brim_node_set_ints(b->g, node, "perm", perm, 4);
}

/* Input 0 with the elements in the file's order and the shape `to` of the file, in our order again.
 * The first axis stays what the input's is, or takes what is left. */
static brim_status reshape(struct brim_tflite_builder *b, const struct brim_shape *to,
                           int32_t *value)
{
    static const int64_t nhwc[4] = {0, 2, 3, 1}, nchw[4] = {0, 3, 1, 2};
    const struct brim_shape *x = &brim_tflite_input(b, 0)->type.shape;
    const bool in_order = same_order(to);
    int64_t dim[BRIM_MAX_RANK] = {0};
    int32_t in[2];

    if (to->rank < 1 || brim_shape_count(to) != brim_shape_count(x)) {
        return wrong_shape(b, "the new shape has another number of elements");
    }
    BRIM_TRY(brim_tflite_value(b, 0, &in[0]));
    if (!same_order(x)) {
        BRIM_TRY(transpose(b, nhwc, &in[0]));
    }
    for (int i = 0; i < to->rank; i++) {
        dim[in_order ? brim_tflite_axis(i, to->rank) : i] = to->dim[i];
    }
    dim[0] = x->rank > 0 && x->dim[0] == to->dim[0] ? 0 : -1;
    BRIM_TRY(brim_tflite_longs(b, "shape", dim, (size_t)to->rank, &in[1]));
    BRIM_TRY(brim_tflite_node(b, "Reshape", in, 2, NULL, value));
    return in_order ? BRIM_OK : transpose(b, nchw, value);
}

brim_status brim_tflite_reshape(struct brim_tflite_builder *b)
{
    int32_t value = -1;

    if (brim_tflite_input(b, 0) == NULL) {
        return wrong_shape(b, "has no input");
    }
    BRIM_TRY(reshape(b, &brim_tflite_output(b)->type.shape, &value));
    return brim_tflite_made(b, value, TFLITE_NONE, true);
}

brim_status brim_tflite_fully_connected(struct brim_tflite_builder *b)
{
    const struct brim_tflite_tensor *x = brim_tflite_input(b, 0), *w = brim_tflite_input(b, 1);
    struct brim_node *node;
    int32_t in[3], out;

    if (x == NULL || w == NULL || w->type.shape.rank != 2 ||
        brim_tflite_output(b)->type.shape.rank != 2 || option_byte(b, DENSE_FORMAT) != 0) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED,
                         "expected weights and outputs with two axes, in plain order");
    }
    if (w->data == NULL) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED, "the weights are not constant");
    }
    const int64_t k = w->type.shape.dim[1], count = brim_shape_count(&x->type.shape);
    const struct brim_shape rows = {2, {count / k, k}};
    if (x->type.shape.rank == 2) {
        BRIM_TRY(brim_tflite_value(b, 0, &in[0]));
    } else {
        BRIM_TRY(reshape(b, &rows, &in[0]));
    }
    BRIM_TRY(brim_tflite_weights(b, 1, NULL, x->n_scales > 0, &in[1]));
    BRIM_TRY(brim_tflite_bias(b, &in[2]));
    BRIM_TRY(brim_tflite_node(b, "Gemm", in, in[2] >= 0 ? 3 : 2, &node, &out));
    BRIM_TRY(brim_node_set_int(b->g, node, "transB", 1));
    return brim_tflite_made(b, out, option_byte(b, DENSE_ACTIVATION), false);
}

brim_status brim_tflite_mean(struct brim_tflite_builder *b)
{
    const struct brim_tflite_tensor *x = brim_tflite_input(b, 0);
    const bool keep = option_byte(b, MEAN_KEEP) != 0;
    const int64_t *axis;
    int64_t axes[BRIM_MAX_RANK];
    struct brim_node *node;
    int32_t in, out;
    size_t n;

    BRIM_TRY(brim_tflite_ints(b, 1, &axis, &n));
    if (x == NULL || axis == NULL || n > (size_t)x->type.shape.rank) {
        return wrong_shape(b, "the axes are not constant, or too many");
    }
    bool image = n == 2; /* both axes of the image: what is left is in the file's order */
    for (size_t i = 0; i < n; i++) {
        axes[i] = brim_tflite_axis(axis[i], x->type.shape.rank);
        image = image && (axes[i] == 2 || axes[i] == 3);
    }
    if (x->type.shape.rank == 4 && !keep && !image) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED, "expected the mean over height and width");
    }
    BRIM_TRY(brim_tflite_value(b, 0, &in));
    BRIM_TRY(brim_tflite_node(b, "ReduceMean", &in, 1, &node, &out));
    BRIM_TRY(brim_node_set_ints(b->g, node, "axes", axes, n));
    BRIM_TRY(brim_node_set_int(b->g, node, "keepdims", keep));
    return brim_tflite_made(b, out, TFLITE_NONE, false);
}

brim_status brim_tflite_concatenation(struct brim_tflite_builder *b)
{
    const int rank = brim_tflite_output(b)->type.shape.rank;
    int32_t *in = brim_arena_alloc(b->m->arena, b->op->n_in, sizeof *in);
    struct brim_node *node;
    int32_t out;

    if (in == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < b->op->n_in; i++) {
        BRIM_TRY(brim_tflite_value(b, i, &in[i]));
        if (brim_tflite_input(b, i)->type.shape.rank != rank) {
            return wrong_shape(b, "the inputs have not as many axes as the output");
        }
    }
    BRIM_TRY(brim_tflite_node(b, "Concat", in, b->op->n_in, &node, &out));
    BRIM_TRY(brim_node_set_int(b->g, node, "axis",
                               brim_tflite_axis(option_int(b, CONCAT_AXIS, 0), rank)));
    return brim_tflite_made(b, out, option_byte(b, CONCAT_ACTIVATION), false);
}

/* Real zeros around; quantized on its own, so that what reads it reads codes. */
brim_status brim_tflite_pad(struct brim_tflite_builder *b)
{
    const struct brim_tflite_tensor *x = brim_tflite_input(b, 0);
    int64_t pads[2 * BRIM_MAX_RANK];
    const int64_t *v;
    int32_t in[2], out;
    size_t n;

    BRIM_TRY(brim_tflite_ints(b, 1, &v, &n));
    if (x == NULL || v == NULL || n != 2 * (size_t)x->type.shape.rank) {
        return wrong_shape(b, "the padding is not a constant pair for every axis");
    }
    const int rank = x->type.shape.rank;
    for (int i = 0; i < rank; i++) {
        const int64_t *pair = v + 2 * (ptrdiff_t)i;
        pads[brim_tflite_axis(i, rank)] = pair[0];
        pads[rank + brim_tflite_axis(i, rank)] = pair[1];
    }
    BRIM_TRY(brim_tflite_value(b, 0, &in[0]));
    BRIM_TRY(brim_tflite_longs(b, "pads", pads, n, &in[1]));
    BRIM_TRY(brim_tflite_node(b, "Pad", in, 2, NULL, &out));
    return brim_tflite_made(b, out, TFLITE_NONE, false);
}

/* ---- elements ---- */

/* Operand i with as many axes as the output: ones in front, in the file's order. */
static brim_status operand(struct brim_tflite_builder *b, size_t i, int32_t *value)
{
    const struct brim_tflite_tensor *t = brim_tflite_input(b, i);
    const int rank = brim_tflite_output(b)->type.shape.rank;
    int64_t dim[BRIM_MAX_RANK] = {0};
    int32_t in[2];

    BRIM_TRY(brim_tflite_value(b, i, value));
    if (rank != 4 || t->type.shape.rank == 4 || t->type.shape.rank == 0) {
        return BRIM_OK;
    }
    if (t->data == NULL || t->type.shape.rank > 1) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED,
                         "an operand with %d axes meets one with four", t->type.shape.rank);
    }
    dim[0] = dim[2] = dim[3] = 1;
    dim[1] = t->type.shape.dim[0];
    in[0] = *value;
    BRIM_TRY(brim_tflite_longs(b, "shape", dim, 4, &in[1]));
    return brim_tflite_node(b, "Reshape", in, 2, NULL, value);
}

brim_status brim_tflite_binary(struct brim_tflite_builder *b)
{
    const char *op_type = b->op->code == TFLITE_ADD   ? "Add"
                          : b->op->code == TFLITE_SUB ? "Sub"
                                                      : "Mul";
    int32_t in[2], out;

    BRIM_TRY(operand(b, 0, &in[0]));
    BRIM_TRY(operand(b, 1, &in[1]));
    BRIM_TRY(brim_tflite_node(b, op_type, in, 2, NULL, &out));
    return brim_tflite_made(b, out, option_byte(b, BINARY_ACTIVATION), false);
}

/* QUANTIZE and DEQUANTIZE are what happens to every quantized tensor anyway. */
brim_status brim_tflite_unary(struct brim_tflite_builder *b)
{
    const int code = b->op->code;
    const char *op_type = code == TFLITE_LOGISTIC ? "Sigmoid" : code == TFLITE_TANH ? "Tanh" : NULL;
    const int activation = code == TFLITE_RELU    ? TFLITE_FUSED_RELU
                           : code == TFLITE_RELU6 ? TFLITE_FUSED_RELU6
                                                  : TFLITE_NONE;
    int32_t in, out;

    BRIM_TRY(brim_tflite_value(b, 0, &in));
    out = in;
    if (op_type != NULL) {
        BRIM_TRY(brim_tflite_node(b, op_type, &in, 1, NULL, &out));
    }
    return brim_tflite_made(b, out, activation, false);
}

brim_status brim_tflite_leaky_relu(struct brim_tflite_builder *b)
{
    struct brim_node *node;
    int32_t in, out;

    BRIM_TRY(brim_tflite_value(b, 0, &in));
    BRIM_TRY(brim_tflite_node(b, "LeakyRelu", &in, 1, &node, &out));
    BRIM_TRY(brim_node_set_float(b->g, node, "alpha",
                                 brim_flat_float(&b->m->flat, b->op->options, LEAKY_ALPHA, 0.0f)));
    return brim_tflite_made(b, out, TFLITE_NONE, false);
}

/* Over the last axis of the file, the channels. */
brim_status brim_tflite_softmax(struct brim_tflite_builder *b)
{
    const float beta = brim_flat_float(&b->m->flat, b->op->options, SOFTMAX_BETA, 1.0f);
    const struct brim_type real = {BRIM_FLOAT, {.rank = 0}};
    const int rank = brim_tflite_output(b)->type.shape.rank;
    struct brim_node *node;
    int32_t in[2], out;

    BRIM_TRY(brim_tflite_value(b, 0, &in[0]));
    if (beta != 1.0f) {
        BRIM_TRY(brim_tflite_constant(b, "beta", &real, &beta, &in[1]));
        BRIM_TRY(brim_tflite_node(b, "Mul", in, 2, NULL, &out));
        in[0] = out;
    }
    BRIM_TRY(brim_tflite_node(b, "Softmax", in, 1, &node, &out));
    BRIM_TRY(brim_node_set_int(b->g, node, "axis", brim_tflite_axis(rank - 1, rank)));
    return brim_tflite_made(b, out, TFLITE_NONE, false);
}
