/* builder.c - records of a .tflite file become a graph. SPDX-License-Identifier: Apache-2.0 */
#include "tflite/builder.h"

#include <math.h>
#include <string.h>

#include "base/half.h"

#define CUSTOM_CODE 32 /* an operator that only its author knows */

/* The operators that are read. */
struct reader {
    int code;
    const char *name;
    brim_tflite_build *build;
};

static const struct reader readers[] = {
    {TFLITE_ADD, "ADD", brim_tflite_binary},
    {TFLITE_AVERAGE_POOL_2D, "AVERAGE_POOL_2D", brim_tflite_pool},
    {TFLITE_CONCATENATION, "CONCATENATION", brim_tflite_concatenation},
    {TFLITE_CONV_2D, "CONV_2D", brim_tflite_conv},
    {TFLITE_DEPTHWISE_CONV_2D, "DEPTHWISE_CONV_2D", brim_tflite_depthwise},
    {TFLITE_DEQUANTIZE, "DEQUANTIZE", brim_tflite_unary},
    {TFLITE_FULLY_CONNECTED, "FULLY_CONNECTED", brim_tflite_fully_connected},
    {TFLITE_LOGISTIC, "LOGISTIC", brim_tflite_unary},
    {TFLITE_MAX_POOL_2D, "MAX_POOL_2D", brim_tflite_pool},
    {TFLITE_MUL, "MUL", brim_tflite_binary},
    {TFLITE_RELU, "RELU", brim_tflite_unary},
    {TFLITE_RELU6, "RELU6", brim_tflite_unary},
    {TFLITE_RESHAPE, "RESHAPE", brim_tflite_reshape},
    {TFLITE_SOFTMAX, "SOFTMAX", brim_tflite_softmax},
    {TFLITE_TANH, "TANH", brim_tflite_unary},
    {TFLITE_PAD, "PAD", brim_tflite_pad},
    {TFLITE_MEAN, "MEAN", brim_tflite_mean},
    {TFLITE_SUB, "SUB", brim_tflite_binary},
    {TFLITE_SQUEEZE, "SQUEEZE", brim_tflite_reshape},
    {TFLITE_LEAKY_RELU, "LEAKY_RELU", brim_tflite_leaky_relu},
    {TFLITE_QUANTIZE, "QUANTIZE", brim_tflite_unary},
};

static const struct reader *find_reader(int code)
{
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (readers[i].code == code) {
            return &readers[i];
        }
    }
    return NULL;
}

const struct brim_tflite_tensor *brim_tflite_input(const struct brim_tflite_builder *b, size_t i)
{
    return i < b->op->n_in && b->op->in[i] >= 0 ? &b->m->tensor[b->op->in[i]] : NULL;
}

const struct brim_tflite_tensor *brim_tflite_output(const struct brim_tflite_builder *b)
{
    return &b->m->tensor[b->op->out[0]];
}

int64_t brim_tflite_axis(int64_t axis, int rank)
{
    static const int64_t nchw[4] = {0, 2, 3, 1};
    const int64_t a = axis < 0 ? axis + rank : axis;

    return rank == 4 && a >= 0 && a < 4 ? nchw[a] : a;
}

brim_status brim_tflite_node(struct brim_tflite_builder *b, const char *op_type, const int32_t *in,
                             size_t n_in, struct brim_node **node, int32_t *out)
{
    const struct brim_type unknown = {.shape.rank = -1};
    const bool layer = strcmp(op_type, "Conv") == 0 || strcmp(op_type, "Gemm") == 0;
    const char *name = brim_arena_printf(b->m->arena, "%s_%s", b->name, op_type);

    *out = name == NULL ? -1 : brim_graph_add_value(b->g, name, &unknown);
    struct brim_node *n =
        *out < 0 ? NULL
                 : brim_graph_add_node(b->g, layer ? b->name : name, op_type, in, n_in, out, 1);
    if (node != NULL) {
        *node = n;
    }
    return n == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

/* Many tensors of a small file can share one buffer: what they unfold to has a limit. */
#define UNFOLD_TIMES 16

brim_status brim_tflite_constant(struct brim_tflite_builder *b, const char *part,
                                 const struct brim_type *type, const void *data, int32_t *value)
{
    const size_t bytes = (size_t)brim_shape_count(&type->shape) * brim_dtype_size(type->dtype);
    const char *name = brim_arena_printf(b->m->arena, "%s_%s", b->name, part);

    b->constants += bytes;
    if (b->constants / UNFOLD_TIMES > b->m->flat.size) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED, "constants unfold to over %d times the file",
                         UNFOLD_TIMES);
    }
    *value = name == NULL ? -1 : brim_graph_add_constant(b->g, name, type, data);
    return *value < 0 ? BRIM_ERR_NOMEM : BRIM_OK;
}

brim_status brim_tflite_longs(struct brim_tflite_builder *b, const char *part, const int64_t *v,
                              size_t n, int32_t *value)
{
    const struct brim_type type = {BRIM_INT64, {1, {(int64_t)n}}};

    return brim_tflite_constant(b, part, &type, v, value);
}

brim_status brim_tflite_ints(struct brim_tflite_builder *b, size_t i, const int64_t **v, size_t *n)
{
    const struct brim_tflite_tensor *t = brim_tflite_input(b, i);

    *v = NULL;
    *n = 0;
    if (t == NULL || t->data == NULL ||
        (t->type.dtype != BRIM_INT32 && t->type.dtype != BRIM_INT64)) {
        return BRIM_OK;
    }
    const size_t count = (size_t)brim_shape_count(&t->type.shape);
    int64_t *to = brim_arena_alloc(b->m->arena, count, sizeof *to);
    if (to == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t j = 0; j < count; j++) {
        int32_t narrow;
        if (t->type.dtype == BRIM_INT64) {
            memcpy(&to[j], t->data + j * sizeof to[j], sizeof to[j]);
        } else {
            memcpy(&narrow, t->data + j * sizeof narrow, sizeof narrow);
            to[j] = narrow;
        }
    }
    *v = to;
    *n = count;
    return BRIM_OK;
}

/* ---- constants ---- */

/* Element of a constant as a float, its scale being number `s`. */
static float real_at(const struct brim_tflite_tensor *t, size_t i, size_t s)
{
    const uint8_t *p = t->data + i * brim_dtype_size(t->type.dtype);
    int32_t wide = 0;
    uint16_t half;
    float f;

    switch (t->type.dtype) {
    case BRIM_FLOAT:
        memcpy(&f, p, sizeof f);
        return f;
    case BRIM_FLOAT16:
        memcpy(&half, p, sizeof half);
        return brim_half_to_float(half);
    case BRIM_INT32:
        memcpy(&wide, p, sizeof wide);
        break;
    case BRIM_INT8:
        wide = (int8_t)*p;
        break;
    default:
        wide = *p;
        break;
    }
    return t->n_scales == 0 ? (float)wide : (float)((int64_t)wide - t->zero[s]) * t->scale[s];
}

/* Walks a constant in permuted order: what element of the file comes next, and which scale it has. */
struct walk {
    int rank;
    int64_t dim[BRIM_MAX_RANK], step[BRIM_MAX_RANK], at[BRIM_MAX_RANK];
    int scale_axis; /* in permuted order, -1 = one scale */
};

static struct walk start_walk(const struct brim_tflite_tensor *t, const int *perm)
{
    struct walk w = {.rank = t->type.shape.rank, .scale_axis = -1};
    int64_t step[BRIM_MAX_RANK] = {0};
    int64_t s = 1;

    for (int i = w.rank - 1; i >= 0; i--) {
        step[i] = s;
        s *= t->type.shape.dim[i];
    }
    for (int i = 0; i < w.rank; i++) {
        const int from = perm == NULL ? i : perm[i];
        w.dim[i] = t->type.shape.dim[from];
        w.step[i] = step[from];
        w.scale_axis = t->n_scales > 1 && from == t->axis ? i : w.scale_axis;
    }
    return w;
}

static size_t walk_element(const struct walk *w)
{
    int64_t e = 0;

    for (int i = 0; i < w->rank; i++) {
        e += w->at[i] * w->step[i];
    }
    return (size_t)e;
}

static void walk_on(struct walk *w)
{
    for (int i = w->rank - 1; i >= 0 && ++w->at[i] == w->dim[i]; i--) {
        w->at[i] = 0;
    }
}

/* A constant as floats. */
static brim_status add_reals(struct brim_tflite_builder *b, const struct brim_tflite_tensor *t,
                             const int *perm, int32_t *value)
{
    const size_t count = (size_t)brim_shape_count(&t->type.shape);
    struct walk w = start_walk(t, perm);
    struct brim_type type = {BRIM_FLOAT, {.rank = w.rank}};
    float *to = brim_arena_alloc(b->m->arena, count, sizeof *to);

    if (to == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (t->type.dtype == BRIM_INT64) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED, "tensor '%s': is int64, expected numbers",
                         t->name);
    }
    memcpy(type.shape.dim, w.dim, sizeof type.shape.dim);
    for (size_t i = 0; i < count; i++) {
        to[i] = real_at(t, walk_element(&w), w.scale_axis < 0 ? 0 : (size_t)w.at[w.scale_axis]);
        if (!isfinite(to[i])) {
            return brim_fail(b->ctx, BRIM_ERR_FILE, "tensor '%s': an element is not finite",
                             t->name);
        }
        walk_on(&w);
    }
    return brim_tflite_constant(b, "constant", &type, to, value);
}

/* Scales, and zero points where one is not 0, of a constant; [n] or a scalar. */
static brim_status add_scales(struct brim_tflite_builder *b, const struct brim_tflite_tensor *t,
                              int32_t in[3], size_t *n_in)
{
    struct brim_type type = {BRIM_FLOAT, {.rank = t->n_scales > 1, .dim = {(int64_t)t->n_scales}}};
    uint8_t *zero = brim_arena_alloc(b->m->arena, t->n_scales, 1);
    bool any = false;

    if (zero == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < t->n_scales; i++) {
        zero[i] = (uint8_t)t->zero[i]; /* int8 or uint8: the same byte */
        any = any || t->zero[i] != 0;
    }
    BRIM_TRY(brim_tflite_constant(b, "scale", &type, t->scale, &in[1]));
    *n_in = any ? 3 : 2;
    type.dtype = t->type.dtype;
    return any ? brim_tflite_constant(b, "zero", &type, zero, &in[2]) : BRIM_OK;
}

static brim_status add_codes(struct brim_tflite_builder *b, const struct brim_tflite_tensor *t,
                             const int *perm, int32_t *value)
{
    const size_t count = (size_t)brim_shape_count(&t->type.shape);
    struct walk w = start_walk(t, perm);
    struct brim_type type = {t->type.dtype, {.rank = w.rank}};
    uint8_t *to = brim_arena_alloc(b->m->arena, count, 1);
    int32_t in[3];
    size_t n_in = 0;
    struct brim_node *node = NULL;

    if (to == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(type.shape.dim, w.dim, sizeof type.shape.dim);
    for (size_t i = 0; i < count; i++) {
        to[i] = t->data[walk_element(&w)];
        walk_on(&w);
    }
    BRIM_TRY(brim_tflite_constant(b, "weight", &type, to, &in[0]));
    BRIM_TRY(add_scales(b, t, in, &n_in));
    BRIM_TRY(brim_tflite_node(b, "DequantizeLinear", in, n_in, &node, value));
    return w.scale_axis < 0 ? BRIM_OK : brim_node_set_int(b->g, node, "axis", w.scale_axis);
}

brim_status brim_tflite_weights(struct brim_tflite_builder *b, size_t i, const int *perm,
                                bool codes, int32_t *value)
{
    const struct brim_tflite_tensor *t = &b->m->tensor[b->op->in[i]];
    const bool bytes = t->type.dtype == BRIM_INT8 || t->type.dtype == BRIM_UINT8;

    return codes && t->n_scales > 0 && bytes ? add_codes(b, t, perm, value)
                                             : add_reals(b, t, perm, value);
}

brim_status brim_tflite_bias(struct brim_tflite_builder *b, int32_t *value)
{
    const struct brim_tflite_tensor *x = brim_tflite_input(b, 0), *w = brim_tflite_input(b, 1),
                                    *t = brim_tflite_input(b, 2);
    struct brim_node *node;
    int32_t in[2];

    *value = -1;
    if (t == NULL) {
        return BRIM_OK;
    }
    if (t->data == NULL || t->type.shape.rank != 1) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED, "the bias is not a constant row");
    }
    if (t->type.dtype != BRIM_INT32 || x->n_scales != 1 || w->n_scales == 0) {
        return add_reals(b, t, NULL, value);
    }
    const struct brim_type scales = {BRIM_FLOAT,
                                     {.rank = w->n_scales > 1, .dim = {(int64_t)w->n_scales}}};
    float *scale = brim_arena_alloc(b->m->arena, w->n_scales, sizeof *scale);
    if (scale == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < w->n_scales; i++) {
        scale[i] = x->scale[0] * w->scale[i];
    }
    BRIM_TRY(brim_tflite_constant(b, "bias", &t->type, t->data, &in[0]));
    BRIM_TRY(brim_tflite_constant(b, "bias_scale", &scales, scale, &in[1]));
    BRIM_TRY(brim_tflite_node(b, "DequantizeLinear", in, 2, &node, value));
    return w->n_scales > 1 ? brim_node_set_int(b->g, node, "axis", 0) : BRIM_OK;
}

/* ---- values ---- */

brim_status brim_tflite_value(struct brim_tflite_builder *b, size_t i, int32_t *value)
{
    static const int nchw[4] = {0, 3, 1, 2};
    const struct brim_tflite_tensor *t = brim_tflite_input(b, i);

    if (t == NULL) {
        return brim_fail(b->ctx, BRIM_ERR_FILE, "input %zu is missing", i);
    }
    if (t->data != NULL) {
        return add_reals(b, t, t->type.shape.rank == 4 ? nchw : NULL, value);
    }
    *value = b->value[b->op->in[i]];
    return *value >= 0
               ? BRIM_OK
               : brim_fail(b->ctx, BRIM_ERR_FILE, "tensor '%s': nothing made it before", t->name);
}

/* Q and DQ of a tensor that the file quantizes. */
static brim_status quantized(struct brim_tflite_builder *b, const struct brim_tflite_tensor *t,
                             int32_t *value)
{
    const struct brim_type real = {BRIM_FLOAT, {.rank = 0}}, code = {t->type.dtype, {.rank = 0}};
    const uint8_t zero = (uint8_t)t->zero[0];
    int32_t in[3] = {*value, -1, -1};

    if (t->n_scales != 1 || (t->type.dtype != BRIM_INT8 && t->type.dtype != BRIM_UINT8)) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED,
                         "tensor '%s': is %s with %zu scales, expected 8 bits and one scale",
                         t->name, brim_dtype_name(t->type.dtype), t->n_scales);
    }
    BRIM_TRY(brim_tflite_constant(b, "scale", &real, t->scale, &in[1]));
    BRIM_TRY(brim_tflite_constant(b, "zero", &code, &zero, &in[2]));
    BRIM_TRY(brim_tflite_node(b, "QuantizeLinear", in, 3, NULL, value));
    in[0] = *value;
    return brim_tflite_node(b, "DequantizeLinear", in, 3, NULL, value);
}

static brim_status clipped(struct brim_tflite_builder *b, float lo, float hi, int32_t *value)
{
    const struct brim_type real = {BRIM_FLOAT, {.rank = 0}};
    int32_t in[3] = {*value, -1, -1};

    BRIM_TRY(brim_tflite_constant(b, "min", &real, &lo, &in[1]));
    BRIM_TRY(brim_tflite_constant(b, "max", &real, &hi, &in[2]));
    return brim_tflite_node(b, "Clip", in, 3, NULL, value);
}

static brim_status activated(struct brim_tflite_builder *b, int activation, int32_t *value)
{
    const int32_t in = *value;

    switch (activation) {
    case TFLITE_NONE:
        return BRIM_OK;
    case TFLITE_FUSED_RELU:
        return brim_tflite_node(b, "Relu", &in, 1, NULL, value);
    case TFLITE_FUSED_RELU_N1_TO_1:
        return clipped(b, -1.0f, 1.0f, value);
    case TFLITE_FUSED_RELU6:
        return clipped(b, 0.0f, 6.0f, value);
    default:
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED, "fused activation %d is not supported",
                         activation);
    }
}

brim_status brim_tflite_made(struct brim_tflite_builder *b, int32_t value, int activation,
                             bool moves)
{
    const struct brim_tflite_tensor *x = brim_tflite_input(b, 0), *y = brim_tflite_output(b);

    BRIM_TRY(activated(b, activation, &value));
    const bool same = moves && activation == TFLITE_NONE && x->n_scales == 1 && y->n_scales == 1 &&
                      x->type.dtype == y->type.dtype && x->scale[0] == y->scale[0] &&
                      x->zero[0] == y->zero[0];
    if (y->n_scales > 0 && !same) {
        BRIM_TRY(quantized(b, y, &value));
    }
    b->value[b->op->out[0]] = value;
    return BRIM_OK;
}

/* ---- the graph ---- */

/* A float input in our order, as many samples as the user has where the file says one. */
static brim_status add_input(struct brim_tflite_builder *b, int32_t number)
{
    const struct brim_tflite_tensor *t = &b->m->tensor[number];
    struct brim_type type = {BRIM_FLOAT, {.rank = t->type.shape.rank}};

    if (t->data != NULL || b->value[number] >= 0 || type.shape.rank == 0) {
        return brim_fail(b->ctx, BRIM_ERR_FILE, "tensor '%s': is no input", t->name);
    }
    if (t->n_scales == 0 && t->type.dtype != BRIM_FLOAT) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED,
                         "graph input '%s': is %s without a scale, expected float or codes",
                         t->name, brim_dtype_name(t->type.dtype));
    }
    for (int i = 0; i < type.shape.rank; i++) {
        type.shape.dim[brim_tflite_axis(i, type.shape.rank)] = t->type.shape.dim[i];
    }
    type.shape.dim[0] = type.shape.dim[0] == 1 ? -1 : type.shape.dim[0];
    b->name = t->name;
    int32_t value = brim_graph_add_value(b->g, t->name, &type);
    if (value < 0) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_graph_add_input(b->g, value));
    if (t->n_scales > 0) {
        BRIM_TRY(quantized(b, t, &value));
    }
    b->value[number] = value;
    return BRIM_OK;
}

static brim_status build_operator(struct brim_tflite_builder *b, const struct reader *reader)
{
    if (reader == NULL) {
        return brim_fail(b->ctx, BRIM_ERR_UNSUPPORTED, "%s %d is not supported",
                         b->op->code == CUSTOM_CODE ? "custom operator" : "operator", b->op->code);
    }
    if (b->op->n_out != 1 || b->op->n_in == 0) {
        return brim_fail(b->ctx, BRIM_ERR_FILE, "has %zu inputs and %zu outputs", b->op->n_in,
                         b->op->n_out);
    }
    b->name = brim_tflite_output(b)->name;
    if (b->value[b->op->out[0]] >= 0 || brim_tflite_output(b)->data != NULL) {
        return brim_fail(b->ctx, BRIM_ERR_FILE, "tensor '%s': is made twice", b->name);
    }
    return reader->build(b);
}

brim_status brim_tflite_build_graph(struct brim_tflite_builder *b)
{
    const struct brim_tflite_model *m = b->m;

    b->value = brim_arena_alloc(m->arena, m->n_tensors + 1, sizeof *b->value);
    if (b->value == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < m->n_tensors; i++) {
        b->value[i] = -1;
    }
    for (size_t i = 0; i < m->n_inputs; i++) {
        BRIM_TRY(add_input(b, m->input[i]));
    }
    for (size_t i = 0; i < m->n_operators; i++) {
        b->op = &m->op[i];
        const struct reader *reader = find_reader(b->op->code);
        const brim_status s = build_operator(b, reader);
        if (s != BRIM_OK) {
            return brim_fail_at(b->ctx, s, "operator %zu (%s)", i,
                                reader == NULL ? "?" : reader->name);
        }
    }
    for (size_t i = 0; i < m->n_outputs; i++) {
        const int32_t v = b->value[m->output[i]];
        if (v < 0) {
            return brim_fail(b->ctx, BRIM_ERR_FILE, "graph output '%s': nothing makes it",
                             m->tensor[m->output[i]].name);
        }
        BRIM_TRY(brim_graph_add_output(b->g, v));
    }
    return m->n_outputs > 0 ? BRIM_OK : brim_fail(b->ctx, BRIM_ERR_FILE, "has no outputs");
}
