/* dot_find.c - the dot-layer view: finds Conv, Gemm and MatMul with constant weights, float or integer.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A node is matched in three steps: where its integers are (match_codes: a DequantizeLinear on both
 * sides, or the inputs of an integer operator), how its weights lie in the file (layout.h), and what
 * is copied out (weights in K order, scales, bias). A node that does not match in full is not a dot
 * layer; it stays a float operator.
 */
#include "graph/dot_find.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/intops.h"
#include "graph/layout.h"

/* ---- matching ---- */

static bool match_plain(const struct brim_node *x, struct candidate *c)
{
    c->x = x->in[0];
    c->x_scale = input(x, 1);
    c->x_zero = input(x, 2);
    return is_onnx(x, "DequantizeLinear");
}

/* x = DequantizeLinear(integer), w = DequantizeLinear(constant integer). */
static bool match_qdq(const struct finder *f, const struct brim_node *n, struct candidate *c)
{
    const struct brim_node *x = producer(f, input(n, 0)), *w = producer(f, input(n, 1));

    struct candidate inputs = {.x_code = -1};
    if (x == NULL || w == NULL || !is_onnx(w, "DequantizeLinear") ||
        constant(f, w->in[0]) == NULL || constant(f, x->in[0]) != NULL ||
        !(brim_dot_match_vectors(f, x, &inputs) || match_plain(x, &inputs))) {
        return false;
    }
    const struct brim_node *b = producer(f, input(n, 2));
    const bool b_integer = b != NULL && is_onnx(b, "DequantizeLinear");
    const struct brim_tensor *b_zero = b_integer ? constant(f, input(b, 2)) : NULL;
    for (size_t i = 0; b_zero != NULL && i < count(b_zero); i++) {
        if (brim_tensor_int(b_zero, i) != 0) {
            return false;
        }
    }
    const struct brim_node *s = producer(f, input(w, 1));
    const bool two_level = s != NULL && is_onnx(s, "DequantizeLinear") && input(s, 2) < 0;
    *c = (struct candidate){
        .node = n,
        .x = inputs.x,
        .x_scale = inputs.x_scale,
        .x_zero = inputs.x_zero,
        .x_code = inputs.x_code,
        .dynamic = inputs.dynamic,
        .grid = inputs.grid,
        .w = w->in[0],
        .w_scale = two_level ? input(s, 1) : input(w, 1),
        .w_zero = input(w, 2),
        .w_code = two_level ? s->in[0] : -1,
        .code_axis =
            two_level ? (int)brim_clip_i64(brim_node_int(s, "axis", 1), -1, BRIM_MAX_RANK) : 0,
        .bias = b_integer ? b->in[0] : input(n, 2),
        .bias_scale = b_integer ? input(b, 1) : -1,
        .axis = (int)brim_clip_i64(brim_node_int(w, "axis", 1), -BRIM_MAX_RANK, BRIM_MAX_RANK),
        .block = brim_node_int(w, "block_size", 0),
    };
    return true;
}

/* One element that something computes. */
static bool computed_scalar(const struct finder *f, int32_t v)
{
    return v >= 0 && constant(f, v) == NULL && brim_shape_count(&f->g->values[v].type.shape) == 1;
}

/* The integer operators name everything themselves. */
static bool match_integer(const struct finder *f, const struct brim_node *n, struct candidate *c)
{
    *c = (struct candidate){
        .node = n, .x_code = -1, .w_code = -1, .bias = -1, .bias_scale = -1, .bias_product = true};
    c->x = input(n, 0);
    if (is_onnx(n, "QLinearConv") || is_onnx(n, "QLinearMatMul") || is_microsoft(n, "QGemm")) {
        const bool conv = is_onnx(n, "QLinearConv"), gemm = is_microsoft(n, "QGemm");
        c->x_scale = input(n, 1);
        c->x_zero = input(n, 2);
        c->w = input(n, 3);
        c->w_scale = input(n, 4);
        c->w_zero = input(n, 5);
        c->bias = conv ? input(n, 8) : gemm ? input(n, 6) : -1;
        c->axis = conv || (gemm && brim_node_int(n, "transB", 0) != 0) ? 0 : 1;
        return true;
    }
    if (is_onnx(n, "ConvInteger") || is_onnx(n, "MatMulInteger")) {
        c->x_scale = c->w_scale = -1;
        c->w = input(n, 1);
        c->x_zero = input(n, 2);
        c->zero_any = computed_scalar(f, c->x_zero);
        c->w_zero = input(n, 3);
        c->axis = is_onnx(n, "ConvInteger") ? 0 : 1;
        return true;
    }
    return false;
}

/* ---- numbers ---- */

static bool code_dtype(enum brim_dtype t)
{
    return t == BRIM_INT4 || t == BRIM_UINT4 || t == BRIM_INT8 || t == BRIM_UINT8 ||
           t == BRIM_INT16 || t == BRIM_UINT16;
}

/* Hands on codes that it was given: only moved, dropped or repeated, so their range stays. */
static bool hands_on(const struct brim_node *n)
{
    static const char *const ops[] = {"Identity",  "Reshape",   "Flatten", "Squeeze",
                                      "Unsqueeze", "Transpose", "MaxPool"};

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (is_onnx(n, ops[i])) {
            return true;
        }
    }
    return false;
}

/* The codes that a Where chooses between, when both are constant: narrows the range to them. */
static void choice_range(const struct finder *f, const struct brim_node *n, struct brim_dot *d)
{
    int64_t lo = INT64_MAX, hi = INT64_MIN;

    for (size_t i = 1; i < 3; i++) {
        const struct brim_tensor *t = constant(f, input(n, i));
        if (t == NULL || !brim_dtype_is_integer(t->type.dtype) || count(t) == 0) {
            return;
        }
        for (size_t k = 0; k < count(t); k++) {
            lo = brim_min_i64(lo, brim_tensor_int(t, k));
            hi = brim_max_i64(hi, brim_tensor_int(t, k));
        }
    }
    d->x_min = brim_max_i64(d->x_min, lo);
    d->x_max = brim_min_i64(d->x_max, hi);
}

/* Range of the codes: the type's, narrowed by constant Clips or to the constants of a Where, widened
 * to the codes 0 and zero (a padded convolution reads the latter). */
static void code_range(const struct finder *f, const struct candidate *c, struct brim_dot *d)
{
    const struct brim_node *n = producer(f, c->x);

    brim_dtype_range(f->g->values[c->x].type.dtype, &d->x_min, &d->x_max);
    for (size_t steps = 0; n != NULL && steps < f->g->n_nodes; steps++) {
        const bool clip = is_onnx(n, "Clip");
        const struct brim_tensor *lo = clip ? constant(f, input(n, 1)) : NULL;
        const struct brim_tensor *hi = clip ? constant(f, input(n, 2)) : NULL;
        if (!clip && !hands_on(n)) {
            break;
        }
        if (lo != NULL && count(lo) == 1 && brim_dtype_is_integer(lo->type.dtype)) {
            d->x_min = brim_max_i64(d->x_min, brim_tensor_int(lo, 0));
        }
        if (hi != NULL && count(hi) == 1 && brim_dtype_is_integer(hi->type.dtype)) {
            d->x_max = brim_min_i64(d->x_max, brim_tensor_int(hi, 0));
        }
        n = producer(f, n->in[0]);
    }
    if (n != NULL && is_onnx(n, "Where")) {
        choice_range(f, n, d);
    }
    d->x_min = brim_min_i64(d->x_min, brim_min_i64(0, d->x_zero));
    d->x_max = brim_max_i64(d->x_max, brim_max_i64(0, d->x_zero));
}

/* ---- copying out ---- */

/* A convolution of a kind brim does not do is not a dot layer. */
static bool read_geometry(const struct brim_node *n, const struct brim_shape *w, struct brim_dot *d)
{
    struct brim_conv_geometry *c = &d->conv;
    const struct brim_attr *strides = brim_node_attr(n, "strides");
    const struct brim_attr *dilations = brim_node_attr(n, "dilations");
    const struct brim_attr *pads = brim_node_attr(n, "pads");
    const char *auto_pad = brim_node_string(n, "auto_pad", "NOTSET");
    const size_t rank = (size_t)w->rank - 2, y = 0, x = rank - 1;

    *c = (struct brim_conv_geometry){.groups = brim_node_int(n, "group", 1), .rank = (int)rank};
    c->c_out = w->dim[0];
    if (c->groups < 1 || c->c_out % c->groups != 0 ||
        __builtin_mul_overflow(w->dim[1], c->groups, &c->c_in) ||
        (strides != NULL && strides->count != rank) ||
        (dilations != NULL && dilations->count != rank) ||
        (pads != NULL && pads->count != 2 * rank)) {
        return false;
    }
    c->kh = rank == 2 ? w->dim[2] : 1;
    c->kw = w->dim[2 + x];
    c->stride_h = rank == 2 && strides != NULL ? strides->ints[y] : 1;
    c->stride_w = strides != NULL ? strides->ints[x] : 1;
    c->dilation_h = rank == 2 && dilations != NULL ? dilations->ints[y] : 1;
    c->dilation_w = dilations != NULL ? dilations->ints[x] : 1;
    c->auto_pad = strcmp(auto_pad, "SAME_UPPER") == 0   ? 1
                  : strcmp(auto_pad, "SAME_LOWER") == 0 ? 2
                                                        : 0;
    if (pads != NULL && strcmp(auto_pad, "NOTSET") == 0) {
        c->pad_top = rank == 2 ? pads->ints[y] : 0;
        c->pad_left = pads->ints[x];
        c->pad_bottom = rank == 2 ? pads->ints[rank + y] : 0;
        c->pad_right = pads->ints[rank + x];
    }
    d->groups = (size_t)c->groups;
    return c->stride_h > 0 && c->stride_w > 0 && c->dilation_h > 0 && c->dilation_w > 0 &&
           c->pad_top >= 0 && c->pad_left >= 0 && c->pad_bottom >= 0 && c->pad_right >= 0;
}

/* Names, sizes and geometry; false when the node is not a dot layer after all. */
static bool start(const struct finder *f, const struct brim_node *n, const struct brim_shape *w,
                  struct brim_dot *d)
{
    struct brim_layout l;

    if (!brim_layout_of(n, w, &l) || brim_node_int(n, "transA", 0) != 0) {
        return false;
    }
    *d = (struct brim_dot){
        .node = (size_t)(n - f->g->nodes), .name = n->name, .op_type = n->op_type};
    d->kind = l.kind == BRIM_LAYOUT_CONV ? BRIM_DOT_CONV : BRIM_DOT_MATMUL;
    d->n = l.n;
    d->k = l.k;
    d->groups = 1;
    d->y = n->out[0];
    d->bias_value = -1;
    return l.kind != BRIM_LAYOUT_CONV || read_geometry(n, w, d);
}

/* ---- metadata ---- */

/* What the model says of the layer: its datapath, and how products of scales are rounded. */
static brim_status read_metadata(const struct finder *f, struct brim_dot *d)
{
    brim_ctx *ctx = f->arena->ctx;
    const char *key = brim_arena_printf(f->arena, "brim.layer.%s", d->name);
    const char *text = key == NULL ? NULL : brim_graph_metadata(f->g, key);
    json_error_t error;

    if (key == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (text == NULL) {
        return BRIM_OK;
    }
    json_t *json = json_loads(text, 0, &error);
    const char *datapath = json_string_value(json_object_get(json, "datapath"));
    const json_t *shift = json_object_get(json, "product_shift");
    const json_int_t drop = json_integer_value(shift); /* 0 when it is none */
    brim_status status = BRIM_OK;
    if (datapath == NULL) {
        status = brim_fail(ctx, BRIM_ERR_FILE, "metadata '%s': is no object with a datapath", key);
    } else if (brim_datapath_parse(ctx, datapath, &d->datapath) != BRIM_OK) {
        status = brim_fail_at(ctx, BRIM_ERR_FILE, "metadata '%s'", key);
    } else if (shift != NULL && (drop < 1 || drop > BRIM_MAX_PRODUCT_SHIFT)) {
        status = brim_fail(ctx, BRIM_ERR_FILE,
                           "metadata '%s': product_shift is no whole number in 1..%d", key,
                           BRIM_MAX_PRODUCT_SHIFT);
    }
    d->product_shift = status == BRIM_OK ? (unsigned)drop : 0;
    d->has_datapath = status == BRIM_OK;
    json_decref(json);
    return status;
}

/* Weight codes in K order, zero point subtracted; *fits is false when one exceeds 16 bits. */
static brim_status copy_codes(const struct finder *f, const struct candidate *c, struct brim_dot *d,
                              bool *fits)
{
    const struct brim_tensor *t = constant(f, c->w), *zero = constant(f, c->w_zero);
    struct brim_layout l;
    int32_t *w = brim_arena_alloc(f->arena, d->n * d->k, sizeof *w);

    if (w == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *fits = brim_layout_of(c->node, &t->type.shape, &l);
    for (size_t n = 0; n < d->n; n++) {
        for (size_t k = 0; k < d->k; k++) {
            const int64_t code = brim_tensor_int(t, brim_layout_index(&l, n, k)) - zero_at(zero, n);
            *fits = *fits && code >= INT16_MIN && code <= INT16_MAX;
            w[n * d->k + k] = (int32_t)code;
        }
    }
    d->w = w;
    return BRIM_OK;
}

/* The zero points that were subtracted, where one is not 0. */
static brim_status copy_zeros(const struct finder *f, const struct candidate *c, struct brim_dot *d)
{
    const struct brim_tensor *zero = constant(f, c->w_zero);
    bool any = false;

    for (size_t n = 0; n < d->n && !any; n++) {
        any = zero_at(zero, n) != 0;
    }
    int32_t *to = any ? brim_arena_alloc(f->arena, d->n, sizeof *to) : NULL;
    if (any && to == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t n = 0; any && n < d->n; n++) {
        to[n] = (int32_t)zero_at(zero, n);
    }
    d->w_zero = to;
    return BRIM_OK;
}

/* alpha of a Gemm multiplies the product, as a scale does. */
static float alpha_of(const struct brim_node *n)
{
    return is_onnx(n, "Gemm") || is_microsoft(n, "QGemm") ? brim_node_float(n, "alpha", 1.0f)
                                                          : 1.0f;
}

static float beta_of(const struct brim_node *n)
{
    return is_onnx(n, "Gemm") ? brim_node_float(n, "beta", 1.0f) : 1.0f;
}

static brim_status copy_scales(const struct finder *f, const struct candidate *c,
                               struct brim_dot *d)
{
    const struct brim_tensor *t = constant(f, c->w_scale);
    const float alpha = alpha_of(c->node);
    const bool each = d->vector > 0 && c->w_code < 0; /* single-level: a float per vector */
    const size_t blocks = each ? (d->k + d->vector - 1) / d->vector : 1;
    float *scale = brim_arena_alloc(f->arena, d->n * blocks, sizeof *scale);
    struct brim_layout l = {0};

    if (scale == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (each && !brim_layout_of(c->node, &t->type.shape, &l)) {
        return brim_fail(f->arena->ctx, BRIM_ERR_INTERNAL, "scales without a layout");
    }
    for (size_t n = 0; n < d->n; n++) {
        for (size_t b = 0; b < blocks; b++) {
            const float s = scale_at(t, each ? brim_layout_index(&l, n, b) : n);
            scale[n * blocks + b] = ldexpf(alpha == 1.0f ? s : s * alpha, (int)d->product_shift);
        }
    }
    d->w_scale = scale;
    if (d->factor != NULL && brim_dot_vectors(d) == 1) {
        for (size_t n = 0; n < d->n; n++) {
            scale[n] *= (float)d->factor[n];
        }
        d->factor = NULL;
        d->w_code = NULL;
    }
    d->vector = brim_dot_vectors(d) == 1 ? 0 : d->vector; /* one vector: a scale per output */
    return BRIM_OK;
}

/* A float bias per output from a constant of 1 or n elements times `by`; NULL when absent. */
static brim_status copy_float_bias(const struct finder *f, struct brim_dot *d, int32_t value,
                                   float by)
{
    const struct brim_tensor *t = constant(f, value);
    float *bias = t == NULL ? NULL : brim_arena_alloc(f->arena, d->n, sizeof *bias);

    if (t != NULL && bias == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t n = 0; t != NULL && n < d->n; n++) {
        bias[n] = by == 1.0f ? scale_at(t, n) : scale_at(t, n) * by;
    }
    d->bias = bias;
    return BRIM_OK;
}

/* An int32 bias is an integer of the accumulator when its scale is that of the product. */
static brim_status copy_integer_bias(const struct finder *f, const struct candidate *c,
                                     struct brim_dot *d)
{
    const struct brim_tensor *t = constant(f, c->bias), *s = constant(f, c->bias_scale);
    const float beta = beta_of(c->node);
    int32_t *q = brim_arena_alloc(f->arena, d->n, sizeof *q);
    float *bias = brim_arena_alloc(f->arena, d->n, sizeof *bias);
    bool exact = beta == 1.0f && (d->vector == 0 || d->factor != NULL);

    if (q == NULL || bias == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t n = 0; n < d->n; n++) {
        const float product = d->x_scale * d->w_scale[exact ? n : 0];
        const float scale = c->bias_product ? product : scale_at(s, n);
        q[n] = (int32_t)zero_at(t, n);
        bias[n] = (float)q[n] * scale * beta;
        exact = exact && scale == product;
    }
    if (exact) {
        d->bias_q = q;
    } else {
        d->bias = bias;
    }
    return BRIM_OK;
}

/* A bias that is neither absent nor one number per output makes the node something else. */
static bool bias_fits(const struct finder *f, const struct candidate *c, const struct brim_dot *d)
{
    const struct brim_tensor *t = constant(f, c->bias);

    if (c->bias < 0) {
        return true;
    }
    const bool integer = c->bias_product || c->bias_scale >= 0;
    const struct brim_shape *s = t == NULL ? NULL : &t->type.shape;
    return s != NULL && usable(f, c->bias, d->n, integer) &&
           (!c->bias_product || t->type.dtype == BRIM_INT32) &&
           usable(f, c->bias_scale, d->n, false) &&
           (s->rank == 0 || (size_t)s->dim[s->rank - 1] == count(t));
}

/* Per-tensor or per-output scales and zero points, or scales of blocks along k. */
static bool scales_fit(const struct finder *f, const struct candidate *c, struct brim_dot *d)
{
    const struct brim_tensor *w = constant(f, c->w), *s = constant(f, c->w_scale);
    const struct brim_tensor *z = constant(f, c->w_zero);
    const int axis = c->axis < 0 ? c->axis + w->type.shape.rank : c->axis;
    struct brim_layout l;

    if (!brim_layout_of(c->node, &w->type.shape, &l) || !usable(f, c->x_scale, 1, false) ||
        (!c->zero_any && !usable(f, c->x_zero, 1, true))) {
        return false;
    }
    const int outputs = brim_layout_output_axis(&l);
    if (c->block > 0 && s != NULL && (count(s) > 1 || c->w_code >= 0)) {
        return brim_dot_blocks_fit(f, c, d);
    }
    const bool several = (s != NULL && count(s) > 1) || (z != NULL && count(z) > 1);
    return usable(f, c->w_scale, d->n, false) && usable(f, c->w_zero, d->n, true) &&
           (!several || axis == outputs);
}

static brim_status find_codes(const struct finder *f, const struct candidate *c, struct brim_dot *d,
                              bool *found)
{
    const struct brim_tensor *w = constant(f, c->w);

    *found = false;
    if (c->x < 0 || (!c->dynamic && !code_dtype(f->g->values[c->x].type.dtype)) || w == NULL ||
        !code_dtype(w->type.dtype) || !start(f, c->node, &w->type.shape, d) ||
        !scales_fit(f, c, d) || !bias_fits(f, c, d)) {
        return BRIM_OK;
    }
    d->codes = true;
    d->x = c->x;
    d->weight = c->w;
    d->w_dtype = w->type.dtype;
    d->x_dtype = f->g->values[c->x].type.dtype;
    d->bias_value = c->bias;
    d->x_scale = scale_at(constant(f, c->x_scale), 0);
    d->x_zero = zero_at(constant(f, c->x_zero), 0);
    d->x_zero_any = c->zero_any;
    d->x_zero_value = c->zero_any ? c->x_zero : -1;
    if (c->zero_any) { /* padding holds the zero point, which may be any code */
        brim_dtype_range(f->g->values[c->x].type.dtype, &d->x_min, &d->x_max);
    } else if (c->dynamic) {
        d->x_min = c->grid.lo;
        d->x_max = c->grid.hi;
    } else {
        code_range(f, c, d);
    }
    bool fits;
    BRIM_TRY(read_metadata(f, d));
    BRIM_TRY(copy_codes(f, c, d, found));
    BRIM_TRY(copy_zeros(f, c, d));
    BRIM_TRY(brim_dot_copy_factors(f, c, d));
    BRIM_TRY(brim_dot_copy_inputs(f, c, d, &fits));
    *found = *found && fits;
    if (!*found) {
        return BRIM_OK;
    }
    if (d->product_shift > 0 && (d->factor == NULL || brim_dot_vectors(d) == 1)) {
        return brim_fail(f->arena->ctx, BRIM_ERR_FILE,
                         "metadata of layer '%s': product_shift, but no integer scales of vectors",
                         d->name);
    }
    BRIM_TRY(copy_scales(f, c, d));
    if (constant(f, c->bias) == NULL) {
        return BRIM_OK;
    }
    return c->bias_product || c->bias_scale >= 0 ? copy_integer_bias(f, c, d)
                                                 : copy_float_bias(f, d, c->bias, beta_of(c->node));
}

static brim_status find_float(const struct finder *f, const struct brim_node *n, struct brim_dot *d,
                              bool *found)
{
    const struct candidate c = {.node = n, .w_code = -1, .bias = input(n, 2), .bias_scale = -1};
    const struct brim_tensor *w = constant(f, input(n, 1));
    struct brim_layout l;

    *found = false;
    if (w == NULL || w->type.dtype != BRIM_FLOAT || constant(f, n->in[0]) != NULL ||
        !start(f, n, &w->type.shape, d) || !bias_fits(f, &c, d) ||
        !brim_layout_of(n, &w->type.shape, &l)) {
        return BRIM_OK;
    }
    float *to = brim_arena_alloc(f->arena, d->n * d->k, sizeof *to);
    if (to == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const float *from = w->data, alpha = alpha_of(n);
    for (size_t i = 0; i < d->n; i++) {
        for (size_t k = 0; k < d->k; k++) {
            const float v = from[brim_layout_index(&l, i, k)];
            to[i * d->k + k] = alpha == 1.0f ? v : v * alpha;
        }
    }
    *found = true;
    BRIM_TRY(read_metadata(f, d));
    d->w_f32 = to;
    d->x = n->in[0];
    d->weight = n->in[1];
    d->bias_value = c.bias;
    return copy_float_bias(f, d, c.bias, beta_of(n));
}

/* ---- all of it ---- */

static brim_status find_at(const struct finder *f, const struct brim_node *n, struct brim_dot *d,
                           bool *found)
{
    struct candidate c;
    const bool float_op = is_onnx(n, "Conv") || is_onnx(n, "Gemm") || is_onnx(n, "MatMul");

    *found = false;
    if (float_op) {
        return match_qdq(f, n, &c) ? find_codes(f, &c, d, found) : find_float(f, n, d, found);
    }
    return match_integer(f, n, &c) ? find_codes(f, &c, d, found) : BRIM_OK;
}

static brim_status find_all(const struct brim_graph *g, struct brim_dots *dots,
                            struct brim_arena *scratch)
{
    const struct finder f = {g, &dots->arena, brim_graph_producers(g, scratch)};

    dots->dot = brim_arena_alloc(&dots->arena, g->n_nodes + 1, sizeof *dots->dot);
    if (f.producer == NULL || dots->dot == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct brim_dot *d = &dots->dot[dots->count];
        bool found = false;
        BRIM_TRY(find_at(&f, &g->nodes[i], d, &found));
        dots->count += found ? 1 : 0;
    }
    return BRIM_OK;
}

brim_status brim_dots_find(brim_ctx *ctx, const struct brim_graph *g, struct brim_dots *dots)
{
    struct brim_arena scratch;

    dots->count = 0;
    dots->dot = NULL;
    brim_arena_init(&dots->arena, ctx);
    brim_arena_init(&scratch, ctx);
    const brim_status status = find_all(g, dots, &scratch);
    brim_arena_free(&scratch);
    if (status != BRIM_OK) {
        brim_dots_free(dots);
    }
    return status;
}

void brim_dots_free(struct brim_dots *dots)
{
    brim_arena_free(&dots->arena);
    dots->count = 0;
    dots->dot = NULL;
}

static uint8_t *put(uint8_t *to, uint32_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        *to++ = (uint8_t)(v >> (8 * i) & 0xffu);
    }
    return to;
}

brim_status brim_dot_hash(brim_ctx *ctx, const struct brim_dot *d, char hex[65])
{
    const size_t factors = d->factor == NULL ? 0 : d->n * brim_dot_vectors(d);
    char line[192], vector[32] = "", zero[24] = "any";
    size_t codes, bytes;

    if (d->vector > 0) {
        (void)snprintf(vector, sizeof vector, " %zu", d->vector);
    }
    if (!d->x_zero_any) {
        (void)snprintf(zero, sizeof zero, "%lld", (long long)d->x_zero);
    }
    const size_t head = (size_t)snprintf(
        line, sizeof line, "brim-dot-%d %zu %zu %zu %lld %lld %s%s\n", d->vector > 0 ? 2 : 1, d->n,
        d->k, d->groups, (long long)d->x_min, (long long)d->x_max, zero, vector);
    if (!brim_mul_size(d->n, d->k, &codes) || !brim_mul_size(codes, 2, &bytes)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "node '%s': is too large to hash", d->name);
    }
    uint8_t *data = brim_alloc(ctx, head + bytes + 4 * factors, 1);
    if (data == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(data, line, head);
    uint8_t *at = data + head;
    for (size_t i = 0; i < codes; i++) {
        at = put(at, (uint32_t)d->w[i], 2);
    }
    for (size_t i = 0; i < factors; i++) {
        at = put(at, d->factor[i], 4);
    }
    brim_hash_hex(data, (size_t)(at - data), hex);
    brim_free(ctx, data);
    return BRIM_OK;
}
