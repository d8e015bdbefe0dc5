/* rewrite.c - a float dot layer becomes QuantizeLinear/DequantizeLinear around integer weights.
 * SPDX-License-Identifier: Apache-2.0 */
#include "graph/rewrite.h"

#include <math.h>
#include <string.h>

#include "base/intops.h"
#include "graph/layout.h"
#include "graph/op.h"

enum { OPSET_PER_AXIS = 13, OPSET_21 = 21 }; /* 21: 16-bit codes, blocks */

struct rewriter {
    struct brim_graph *g;
    const struct brim_dot *d;
    const struct brim_rewrite_dot *r;
    struct brim_layout layout;
    struct brim_shape blocks; /* of the vectors' scales: the weights' shape with k divided */
    enum brim_dtype w_dtype;
};

static bool is_onnx(const struct brim_node *n, const char *op_type)
{
    return n->domain[0] == '\0' && strcmp(n->op_type, op_type) == 0;
}

/* The axis along which vectors run: channels of a convolution, k of a matrix. */
static int block_axis(const struct rewriter *w)
{
    return w->layout.kind == BRIM_LAYOUT_CONV ? 1 : 1 - brim_layout_output_axis(&w->layout);
}

/* "<layer>_<what>", in the graph's arena. */
static const char *named(const struct rewriter *w, const char *what)
{
    return brim_arena_printf(&w->g->arena, "%s_%s", w->d->name, what);
}

static int32_t add_constant(const struct rewriter *w, const char *what,
                            const struct brim_type *type, const void *data)
{
    const char *name = named(w, what);
    return name == NULL ? -1 : brim_graph_add_constant(w->g, name, type, data);
}

/* A node with one output of the given type, "<layer>_<what>"; its output value or -1. */
static int32_t add_node(const struct rewriter *w, const char *op_type, const char *what,
                        const int32_t in[3], const struct brim_type *type)
{
    const char *name = named(w, what);
    const int32_t out = name == NULL ? -1 : brim_graph_add_value(w->g, name, type);
    const size_t n_in = in[2] >= 0 ? 3 : 2;

    if (out < 0 || brim_graph_add_node(w->g, name, op_type, in, n_in, &out, 1) == NULL) {
        return -1;
    }
    return out;
}

/* The value a node of this kind already makes from `in`: constants are compared by content. */
static bool same_constant(const struct brim_graph *g, int32_t a, int32_t b)
{
    const struct brim_tensor *x = a < 0 ? NULL : g->values[a].constant;
    const struct brim_tensor *y = b < 0 ? NULL : g->values[b].constant;

    if (x == NULL || y == NULL) {
        return a == b;
    }
    return x->type.dtype == y->type.dtype && brim_shape_equal(&x->type.shape, &y->type.shape) &&
           memcmp(x->data, y->data,
                  (size_t)brim_shape_count(&x->type.shape) * brim_dtype_size(x->type.dtype)) == 0;
}

static int32_t find_node(const struct brim_graph *g, const char *op_type, const int32_t in[3])
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        if (is_onnx(n, op_type) && n->n_in == 3 && n->n_attr == 0 && n->in[0] == in[0] &&
            same_constant(g, n->in[1], in[1]) && same_constant(g, n->in[2], in[2])) {
            return n->out[0];
        }
    }
    return -1;
}

static int32_t find_or_add(const struct rewriter *w, const char *op_type, const char *what,
                           const int32_t in[3], const struct brim_type *type)
{
    const int32_t found = find_node(w->g, op_type, in);
    return found >= 0 ? found : add_node(w, op_type, what, in, type);
}

/* A scalar of an integer type. */
static int32_t add_scalar(const struct rewriter *w, const char *what, enum brim_dtype dtype,
                          int64_t value)
{
    const struct brim_type type = {dtype, {.rank = 0}};
    const uint16_t bits = (uint16_t)((uint64_t)value & 0xffffu); /* little-endian: low byte first */

    return add_constant(w, what, &type, &bits);
}

/* ---- inputs with vectors ---- */

static int32_t add_float(const struct rewriter *w, const char *what, float v)
{
    const struct brim_type scalar = {BRIM_FLOAT, {.rank = 0}};

    return add_constant(w, what, &scalar, &v);
}

/* Scales found at run time: brim's own operator. */
static int32_t quantize_at_run_time(const struct rewriter *w)
{
    struct brim_graph *g = w->g;
    const struct brim_grid *grid = &w->r->grid;
    const struct brim_type *type = &g->values[w->d->x].type, four = {BRIM_INT64, {1, {4}}};
    const int64_t split[] = {0, type->shape.dim[1] / (int64_t)grid->vector, (int64_t)grid->vector,
                             -1};
    const int32_t in[] = {w->d->x,
                          add_float(w, "x_scale", grid->scale),
                          add_float(w, "x_low", (float)grid->lo),
                          add_float(w, "x_high", (float)grid->hi),
                          add_float(w, "x_top", (float)((1u << grid->scale_bits) - 1u)),
                          add_constant(w, "x_split", &four, split)};
    const char *name = named(w, "x_vectors");
    const int32_t out = name == NULL ? -1 : brim_graph_add_value(g, name, type);

    for (size_t i = 0; i < 6; i++) {
        if (in[i] < 0) {
            return -1;
        }
    }
    if (out < 0 || brim_graph_set_opset(g, BRIM_DOMAIN, 1) != BRIM_OK ||
        brim_graph_add_node_of(g, name, brim_op_find(BRIM_DOMAIN, "VectorQuantize"), in, 6, &out,
                               1) == NULL) {
        return -1;
    }
    return out;
}

/* A node with an axis of 1. */
static int32_t along_channels(const struct rewriter *w, const char *op, const char *what,
                              const int32_t in[3], const struct brim_type *type)
{
    const int32_t out = in[0] < 0 || in[1] < 0 || in[2] < 0 ? -1 : add_node(w, op, what, in, type);

    return out < 0 || brim_node_set_int(w->g, &w->g->nodes[w->g->n_nodes - 1], "axis", 1) != BRIM_OK
               ? -1
               : out;
}

/* Known scales: one for every channel, integers times the grid's. */
static int32_t quantize_channels(const struct rewriter *w)
{
    const struct brim_grid *grid = &w->r->grid;
    const struct brim_shape shape = w->g->values[w->d->x].type.shape;
    const struct brim_shape channels = {1, {shape.dim[1]}};
    const size_t n = (size_t)shape.dim[1];
    const struct brim_type real = {BRIM_FLOAT, shape}, code = {grid->dtype, shape};
    const struct brim_type scales = {BRIM_FLOAT, channels}, zeros = {grid->dtype, channels};
    const struct brim_type integers = {BRIM_UINT16, channels};
    uint16_t *each = brim_arena_alloc(&w->g->arena, n, sizeof *each);
    const uint8_t *zero = brim_arena_zalloc(&w->g->arena, n, 1);
    int64_t lo, hi;

    if (each == NULL || zero == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        each[i] = grid->code[i / grid->vector];
    }
    const int32_t in[] = {add_constant(w, "x_scale_q", &integers, each),
                          add_float(w, "x_scale_scale", grid->scale), -1};
    const int32_t scale =
        in[0] < 0 || in[1] < 0 ? -1 : add_node(w, "DequantizeLinear", "x_scale", in, &scales);
    const int32_t z = add_constant(w, "x_zero", &zeros, zero);
    int32_t q =
        along_channels(w, "QuantizeLinear", "x_q", (const int32_t[]){w->d->x, scale, z}, &code);
    brim_dtype_range(grid->dtype, &lo, &hi);
    if (q >= 0 && (grid->lo > lo || grid->hi < hi)) {
        const int32_t min = add_scalar(w, "x_min", grid->dtype, grid->lo);
        const int32_t max = add_scalar(w, "x_max", grid->dtype, grid->hi);
        q = min < 0 || max < 0
                ? -1
                : add_node(w, "Clip", "x_clip", (const int32_t[]){q, min, max}, &code);
    }
    return along_channels(w, "DequantizeLinear", "x_dq", (const int32_t[]){q, scale, z}, &real);
}

/* The layer's input, quantized and dequantized; shared where the grid is the same. */
static int32_t quantize_input(const struct rewriter *w)
{
    if (w->r->grid.vector > 0) {
        return w->r->grid.code == NULL ? quantize_at_run_time(w) : quantize_channels(w);
    }
    const struct brim_grid *grid = &w->r->grid;
    const struct brim_shape shape = w->g->values[w->d->x].type.shape;
    const struct brim_type real = {BRIM_FLOAT, shape}, code = {grid->dtype, shape};
    const struct brim_type scalar = {BRIM_FLOAT, {.rank = 0}};
    const int32_t scale = add_constant(w, "x_scale", &scalar, &grid->scale);
    const int32_t zero = add_scalar(w, "x_zero", grid->dtype, grid->zero);
    int64_t lo, hi;

    if (scale < 0 || zero < 0) {
        return -1;
    }
    int32_t q =
        find_or_add(w, "QuantizeLinear", "x_q", (const int32_t[]){w->d->x, scale, zero}, &code);
    brim_dtype_range(grid->dtype, &lo, &hi);
    if (q >= 0 && (grid->lo > lo || grid->hi < hi)) {
        const int32_t min = add_scalar(w, "x_min", grid->dtype, grid->lo);
        const int32_t max = add_scalar(w, "x_max", grid->dtype, grid->hi);
        q = min < 0 || max < 0
                ? -1
                : find_or_add(w, "Clip", "x_clip", (const int32_t[]){q, min, max}, &code);
    }
    return q < 0 ? -1
                 : find_or_add(w, "DequantizeLinear", "x_dq", (const int32_t[]){q, scale, zero},
                               &real);
}

/* [n][k] elements of `size` bytes in K order (little-endian, of which the low `size` are stored), in
 * the file's layout. */
static const void *in_layout(const struct rewriter *w, const struct brim_layout *l,
                             const void *elements, size_t stride, size_t size)
{
    uint8_t *to = brim_arena_zalloc(&w->g->arena, l->n * l->k, size);

    for (size_t n = 0; to != NULL && n < l->n; n++) {
        for (size_t k = 0; k < l->k; k++) {
            memcpy(to + brim_layout_index(l, n, k) * size,
                   (const uint8_t *)elements + (n * l->k + k) * stride, size);
        }
    }
    return to;
}

/* A DequantizeLinear with an axis; its output value or -1. */
static int32_t dequantize(const struct rewriter *w, const char *what, const int32_t in[3],
                          const struct brim_type *type, int64_t axis)
{
    if (in[0] < 0 || in[1] < 0) {
        return -1;
    }
    const int32_t out = add_node(w, "DequantizeLinear", what, in, type);
    return out < 0 ||
                   brim_node_set_int(w->g, &w->g->nodes[w->g->n_nodes - 1], "axis", axis) != BRIM_OK
               ? -1
               : out;
}

/* The scale of every vector: a constant, or integers times the outputs' scales. */
static int32_t vector_scales(const struct rewriter *w)
{
    const struct brim_rewrite_dot *r = w->r;
    const struct brim_type real = {BRIM_FLOAT, w->blocks};
    const struct brim_type per_output = {BRIM_FLOAT, {1, {(int64_t)w->d->n}}};
    struct brim_type code = {BRIM_UINT8, w->blocks};
    struct brim_layout l;

    if (!brim_layout_of(&w->g->nodes[w->d->node], &w->blocks, &l)) {
        return -1;
    }
    if (r->vector_code == NULL) {
        const void *scale = in_layout(w, &l, r->vector_scale, sizeof(float), sizeof(float));
        return scale == NULL ? -1 : add_constant(w, "w_scale", &real, scale);
    }
    for (size_t i = 0; i < l.n * l.k; i++) {
        code.dtype = r->vector_code[i] > UINT8_MAX ? BRIM_UINT16 : code.dtype;
    }
    const void *codes =
        in_layout(w, &l, r->vector_code, sizeof(uint16_t), brim_dtype_size(code.dtype));
    if (codes == NULL) {
        return -1;
    }
    const int32_t in[] = {add_constant(w, "w_scale_q", &code, codes),
                          add_constant(w, "w_scale_scale", &per_output, r->w_scale), -1};
    return dequantize(w, "w_scale", in, &real, brim_layout_output_axis(&l));
}

/* Codes in the file's layout and their DequantizeLinear. */
static int32_t quantize_weights(const struct rewriter *w)
{
    const struct brim_dot *d = w->d;
    const struct brim_tensor *old = w->g->values[d->weight].constant;
    const struct brim_type type = {w->w_dtype, old->type.shape};
    const struct brim_type per_output = {BRIM_FLOAT, {1, {(int64_t)d->n}}};
    const struct brim_type zeros = {w->w_dtype, {1, {(int64_t)d->n}}};
    const size_t size = brim_dtype_size(w->w_dtype);
    const void *codes = in_layout(w, &w->layout, w->r->codes, sizeof(int16_t), size);
    const uint8_t *zero = brim_arena_zalloc(&w->g->arena, d->n, size);
    const int outputs = brim_layout_output_axis(&w->layout);

    if (codes == NULL || zero == NULL) {
        return -1;
    }
    if (w->r->vector == 0) {
        const int32_t in[] = {add_constant(w, "w_q", &type, codes),
                              add_constant(w, "w_scale", &per_output, w->r->w_scale),
                              add_constant(w, "w_zero", &zeros, zero)};
        return in[2] < 0 ? -1 : dequantize(w, "w_dq", in, &old->type, outputs);
    }
    const int32_t in[] = {add_constant(w, "w_q", &type, codes), vector_scales(w), -1};
    const int32_t out = dequantize(w, "w_dq", in, &old->type, block_axis(w));
    return out < 0 || brim_node_set_int(w->g, &w->g->nodes[w->g->n_nodes - 1], "block_size",
                                        (int64_t)w->r->vector) != BRIM_OK
               ? -1
               : out;
}

/* int32 bias in the accumulator's units, dequantized by the products of the scales. */
static int32_t quantize_bias(const struct rewriter *w)
{
    const struct brim_dot *d = w->d;
    const struct brim_type type = {BRIM_INT32, {1, {(int64_t)d->n}}};
    const struct brim_type real = {BRIM_FLOAT, {1, {(int64_t)d->n}}};
    float *scale = brim_arena_alloc(&w->g->arena, d->n, sizeof *scale);

    if (scale == NULL) {
        return -1;
    }
    for (size_t n = 0; n < d->n; n++) {
        scale[n] = w->r->grid.scale * ldexpf(w->r->w_scale[n], (int)w->r->product_shift);
    }
    const int32_t in[] = {add_constant(w, "b_q", &type, w->r->bias_q),
                          add_constant(w, "b_scale", &real, scale), -1};
    return dequantize(w, "b_dq", in, &real, 0);
}

/* A float bias behind a MatMul is an Add that takes over its output. */
static brim_status add_behind(const struct rewriter *w, int32_t bias)
{
    struct brim_graph *g = w->g;
    const int32_t out = g->nodes[w->d->node].out[0];
    const struct brim_type type = g->values[out].type;
    const char *product = named(w, "product"), *name = named(w, "add");
    const int32_t v = product == NULL ? -1 : brim_graph_add_value(g, product, &type);

    if (v < 0 || name == NULL ||
        brim_graph_add_node(g, name, "Add", (const int32_t[]){v, bias}, 2, &out, 1) == NULL) {
        return BRIM_ERR_NOMEM;
    }
    g->nodes[w->d->node].out[0] = v;
    return BRIM_OK;
}

static brim_status rewrite_bias(const struct rewriter *w)
{
    struct brim_graph *g = w->g;
    const struct brim_type real = {BRIM_FLOAT, {1, {(int64_t)w->d->n}}};

    if (w->r->bias_q == NULL && w->r->bias == NULL) {
        return BRIM_OK;
    }
    const int32_t v =
        w->r->bias_q != NULL ? quantize_bias(w) : add_constant(w, "b", &real, w->r->bias);
    if (v < 0) {
        return BRIM_ERR_NOMEM;
    }
    if (is_onnx(&g->nodes[w->d->node], "MatMul")) {
        return add_behind(w, v);
    }
    brim_node_remove_attr(&g->nodes[w->d->node], "beta");
    return brim_node_set_input(g, &g->nodes[w->d->node], 2, v);
}

/* The declared datapath and what was proven of it; keys in fixed order. */
static brim_status write_metadata(const struct rewriter *w)
{
    const struct brim_rewrite_dot *r = w->r;
    struct brim_dot d = *w->d;
    struct brim_arena *a = &w->g->arena;
    int32_t *codes = brim_arena_alloc(a, d.n * d.k, sizeof *codes);
    const char *key = brim_arena_printf(a, "brim.layer.%s", d.name);
    const char *need = "";
    char text[BRIM_DATAPATH_TEXT], hash[65];

    if (codes == NULL || key == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < d.n * d.k; i++) {
        codes[i] = r->codes[i];
    }
    d.w = codes;
    d.vector = r->vector;
    if (r->vector_code != NULL) {
        const size_t factors = d.n * brim_dot_vectors(&d);
        uint32_t *factor = brim_arena_alloc(a, factors, sizeof *factor);
        for (size_t i = 0; factor != NULL && i < factors; i++) {
            factor[i] =
                brim_dot_product(r->vector_code[i],
                                 brim_grid_vector_scale(&r->grid, &d, i / brim_dot_vectors(&d),
                                                        i % brim_dot_vectors(&d)),
                                 r->product_shift);
        }
        if (factor == NULL) {
            return BRIM_ERR_NOMEM;
        }
        d.factor = factor;
    }
    d.x_zero = r->grid.zero;
    d.x_min = brim_min_i64(r->grid.lo, brim_min_i64(0, d.x_zero));
    d.x_max = brim_max_i64(r->grid.hi, brim_max_i64(0, d.x_zero));
    BRIM_TRY(brim_dot_hash(w->g->ctx, &d, hash));
    brim_datapath_print(r->datapath, text);
    for (size_t i = 0; need != NULL && i < r->datapath->n_stages; i++) {
        need = brim_arena_printf(a, "%s%s%u", need, i == 0 ? "" : ",", r->need[i]);
    }
    const char *shift = r->product_shift == 0
                            ? ""
                            : brim_arena_printf(a, "\"product_shift\":%u,", r->product_shift);
    const char *json =
        need == NULL || shift == NULL
            ? NULL
            : brim_arena_printf(a,
                                "{\"datapath\":\"%s\",\"k\":%zu,\"n\":%zu,\"x_min\":%lld,"
                                "\"x_max\":%lld,\"need\":[%s],%s\"codes\":\"%s\"}",
                                text, d.k, d.n, (long long)d.x_min, (long long)d.x_max, need, shift,
                                hash);
    return json == NULL ? BRIM_ERR_NOMEM : brim_graph_set_metadata(w->g, key, json);
}

/* Vectors that K order, the file's layout and a block along one axis can all say. */
static brim_status check_vectors(struct rewriter *w)
{
    const struct brim_rewrite_dot *r = w->r;
    const struct brim_layout *l = &w->layout;
    const bool conv = l->kind == BRIM_LAYOUT_CONV;

    if (r->vector == 0 && r->grid.vector == 0) {
        return BRIM_OK;
    }
    if (r->vector == 0 || r->vector >= w->d->k || (conv && l->channels % r->vector != 0) ||
        (r->vector_scale == NULL) == (r->vector_code == NULL) ||
        (r->vector_code == NULL && (r->bias_q != NULL || r->product_shift > 0)) ||
        r->product_shift > BRIM_MAX_PRODUCT_SHIFT) {
        return brim_fail(w->g->ctx, BRIM_ERR_ARG,
                         "node '%s': cannot have a scale for every %zu products", w->d->name,
                         r->vector);
    }
    const struct brim_shape *x = &w->g->values[w->d->x].type.shape;
    const size_t v = r->grid.vector;
    if (v > 0 && (v != r->vector || r->vector_code == NULL || x->rank < 2 ||
                  x->dim[1] % (int64_t)v != 0 || (!conv && x->rank != 2))) {
        return brim_fail(w->g->ctx, BRIM_ERR_ARG,
                         "node '%s': cannot have an input scale for every %zu products", w->d->name,
                         v);
    }
    w->blocks = w->g->values[w->d->weight].constant->type.shape;
    int64_t *dim = &w->blocks.dim[block_axis(w)];
    *dim = (*dim + (int64_t)r->vector - 1) / (int64_t)r->vector;
    return BRIM_OK;
}

static brim_status check(struct rewriter *w)
{
    const struct brim_dot *d = w->d;
    const struct brim_grid *grid = &w->r->grid;
    brim_ctx *ctx = w->g->ctx;
    int64_t lo, hi;

    brim_dtype_range(grid->dtype, &lo, &hi);
    if (d->codes || d->w_f32 == NULL || d->node >= w->g->n_nodes || d->weight < 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "node '%s': is not a float dot layer", d->name);
    }
    const bool known = grid->dtype == BRIM_UINT8 || grid->dtype == BRIM_INT8 ||
                       grid->dtype == BRIM_UINT16 || grid->dtype == BRIM_INT16;
    if (!known || grid->lo < lo || grid->hi > hi || grid->lo > grid->hi || grid->zero < lo ||
        grid->zero > hi || !(grid->scale > 0.0f)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "node '%s': its input grid does not fit its type",
                         d->name);
    }
    const struct brim_node *n = &w->g->nodes[d->node];
    if (w->r->bias_q != NULL && (w->r->bias != NULL || is_onnx(n, "MatMul"))) {
        return brim_fail(ctx, BRIM_ERR_ARG, "node '%s' (%s): cannot have an integer bias%s",
                         d->name, n->op_type, w->r->bias != NULL ? " and a float one" : "");
    }
    if (!brim_layout_of(n, &w->g->values[d->weight].constant->type.shape, &w->layout)) {
        return brim_fail(ctx, BRIM_ERR_INTERNAL, "node '%s': its weights have no layout", d->name);
    }
    BRIM_TRY(check_vectors(w));
    w->w_dtype = BRIM_INT8;
    for (size_t i = 0; i < d->n * d->k; i++) {
        if (w->r->codes[i] < INT8_MIN || w->r->codes[i] > INT8_MAX) {
            w->w_dtype = BRIM_INT16;
        }
    }
    return BRIM_OK;
}

brim_status brim_rewrite_quantize_dot(struct brim_graph *g, const struct brim_dot *d,
                                      const struct brim_rewrite_dot *r)
{
    struct rewriter w = {.g = g, .d = d, .r = r};

    BRIM_TRY(check(&w));
    const bool wide = w.w_dtype == BRIM_INT16 || brim_dtype_size(r->grid.dtype) > 1;
    BRIM_TRY(brim_graph_upgrade(g, wide || r->vector > 0 ? OPSET_21 : OPSET_PER_AXIS));
    const int32_t x = quantize_input(&w), weights = x < 0 ? -1 : quantize_weights(&w);
    if (weights < 0) {
        return brim_fail(g->ctx, BRIM_ERR_NOMEM, "node '%s': out of memory", d->name);
    }
    BRIM_TRY(rewrite_bias(&w));
    struct brim_node *n = &g->nodes[d->node];
    brim_node_remove_attr(n, "alpha"); /* already in the float weights, so in their scales */
    n->in[0] = x;
    n->in[1] = weights;
    return r->datapath == NULL ? BRIM_OK : write_metadata(&w);
}

brim_status brim_rewrite_finish(struct brim_graph *g)
{
    BRIM_TRY(brim_graph_prune_dead(g));
    return brim_graph_infer(g);
}
