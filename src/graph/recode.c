/* recode.c - an integer dot layer with other numbers. SPDX-License-Identifier: Apache-2.0 */
#include "graph/recode.h"

#include <string.h>

#include "graph/layout.h"

/* Where a layer's constants are: inputs of these nodes. */
struct places {
    struct brim_node *node, *w,
        *bias;                  /* w, bias: DequantizeLinear nodes, or `node`; bias may be NULL */
    int codes, scale, zero;     /* inputs of w; scale -1: the layer has none */
    int bias_codes, bias_scale; /* inputs of bias; bias_scale -1: none */
};

static bool is_onnx(const struct brim_node *n, const char *op_type)
{
    return n->domain[0] == '\0' && strcmp(n->op_type, op_type) == 0;
}

static struct brim_node *producer(const struct brim_graph *g, const struct brim_node *n, size_t i)
{
    const int32_t p = i < n->n_in && n->in[i] >= 0 ? brim_graph_producer(g, n->in[i]) : -1;

    return p < 0 ? NULL : &g->nodes[p];
}

static bool has(const struct brim_node *n, size_t i)
{
    return i < n->n_in && n->in[i] >= 0;
}

static bool find_places(const struct brim_graph *g, const struct brim_dot *d, struct places *p)
{
    struct brim_node *n = &g->nodes[d->node];

    *p = (struct places){.node = n, .w = n, .bias_codes = -1, .bias_scale = -1};
    const bool gemm = strcmp(n->op_type, "QGemm") == 0; /* com.microsoft's */
    if (gemm || is_onnx(n, "QLinearConv") || is_onnx(n, "QLinearMatMul")) {
        const int bias = gemm ? 6 : is_onnx(n, "QLinearConv") ? 8 : -1;
        p->codes = 3;
        p->scale = 4;
        p->zero = 5;
        if (bias >= 0 && has(n, (size_t)bias)) {
            p->bias = n;
            p->bias_codes = bias;
        }
        return brim_node_float(n, "alpha", 1.0f) == 1.0f;
    }
    if (is_onnx(n, "ConvInteger") || is_onnx(n, "MatMulInteger")) {
        p->codes = 1;
        p->scale = -1;
        p->zero = 3;
        return true;
    }
    p->w = producer(g, n, 1);
    p->scale = 1;
    p->zero = 2;
    if (p->w == NULL || !is_onnx(p->w, "DequantizeLinear") ||
        brim_graph_count_uses(g, p->w->out[0]) != 1) {
        return false;
    }
    struct brim_node *b = producer(g, n, 2);
    if (has(n, 2)) {
        p->bias = b != NULL ? b : n;
        p->bias_codes = b != NULL ? 0 : 2;
        p->bias_scale = b != NULL ? 1 : -1;
    }
    return (b == NULL ||
            (is_onnx(b, "DequantizeLinear") && brim_graph_count_uses(g, b->out[0]) == 1)) &&
           brim_node_float(n, "alpha", 1.0f) == 1.0f && brim_node_float(n, "beta", 1.0f) == 1.0f;
}

bool brim_recode_can(const struct brim_graph *g, const struct brim_dot *d)
{
    struct places p;

    return d->codes && d->vector == 0 && d->x_code == NULL && d->x_scale_bits == 0 &&
           find_places(g, d, &p) && p.w->in[p.codes] == d->weight;
}

bool brim_recode_scales(const struct brim_graph *g, const struct brim_dot *d)
{
    struct places p;

    return find_places(g, d, &p) && p.scale >= 0;
}

/* Input i of a node becomes a new constant, named after what it was. */
static brim_status replace(struct brim_graph *g, struct brim_node *n, int i,
                           const struct brim_type *type, const void *data)
{
    const char *name = has(n, (size_t)i) ? g->values[n->in[i]].name : n->name;
    const int32_t v = data == NULL ? -1 : brim_graph_add_constant(g, name, type, data);

    return v < 0 ? BRIM_ERR_NOMEM : brim_node_set_input(g, n, (size_t)i, v);
}

/* Integers as the type stores them: their low bytes. */
static void *narrowed(struct brim_graph *g, const int32_t *v, size_t n, enum brim_dtype dtype)
{
    const size_t size = brim_dtype_size(dtype);
    uint8_t *to = brim_arena_alloc(&g->arena, n, size);

    for (size_t i = 0; to != NULL && i < n; i++) {
        memcpy(to + i * size, &v[i], size);
    }
    return to;
}

static brim_status replace_codes(struct brim_graph *g, const struct brim_dot *d,
                                 const struct brim_recode *r, const struct places *p)
{
    const struct brim_type type = g->values[d->weight].constant->type;
    int32_t *raw = brim_arena_alloc(&g->arena, d->n * d->k, sizeof *raw);
    struct brim_layout l;
    int64_t lo, hi;

    if (raw == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (!brim_layout_of(p->node, &type.shape, &l)) {
        return brim_fail(g->ctx, BRIM_ERR_INTERNAL, "layer '%s': has no layout", d->name);
    }
    brim_dtype_range(type.dtype, &lo, &hi);
    for (size_t i = 0; i < d->n * d->k; i++) {
        const int64_t code = (int64_t)r->w[i] + (r->zero != NULL ? r->zero[i / d->k] : 0);
        if (code < lo || code > hi) {
            return brim_fail(g->ctx, BRIM_ERR_INTERNAL, "layer '%s': code %lld is not one of %s",
                             d->name, (long long)code, brim_dtype_name(type.dtype));
        }
        raw[brim_layout_index(&l, i / d->k, i % d->k)] = (int32_t)code;
    }
    return replace(g, p->w, p->codes, &type, narrowed(g, raw, d->n * d->k, type.dtype));
}

static bool all_equal(const void *v, size_t n, size_t size)
{
    const uint8_t *p = v;

    for (size_t i = 1; i < n; i++) {
        if (memcmp(p, p + i * size, size) != 0) {
            return false;
        }
    }
    return true;
}

/* One scale for all, when there was one and still is, or one for every output; zero points have the
 * scales' shape. */
static brim_status replace_scales(struct brim_graph *g, const struct brim_dot *d,
                                  const struct brim_recode *r, const struct places *p)
{
    const struct brim_shape *was =
        p->scale < 0 ? NULL : &g->values[p->w->in[p->scale]].constant->type.shape;
    const bool had_zero = has(p->w, (size_t)p->zero);
    const bool several = (was != NULL && brim_shape_count(was) > 1) ||
                         !all_equal(r->w_scale, d->n, sizeof *r->w_scale) ||
                         (r->zero != NULL && !all_equal(r->zero, d->n, sizeof *r->zero));
    const struct brim_shape shape = several ? (struct brim_shape){1, {(int64_t)d->n}}
                                            : (was != NULL ? *was : (struct brim_shape){.rank = 0});
    const struct brim_type scales = {BRIM_FLOAT, shape}, zeros = {d->w_dtype, shape};
    struct brim_layout l;
    int32_t *zero = brim_arena_zalloc(&g->arena, d->n, sizeof *zero);

    if (zero == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (r->zero != NULL) {
        memcpy(zero, r->zero, d->n * sizeof *zero);
    }
    if (p->scale >= 0) {
        BRIM_TRY(replace(g, p->w, p->scale, &scales, r->w_scale));
    }
    if (had_zero || r->zero != NULL) {
        BRIM_TRY(replace(g, p->w, p->zero, &zeros, narrowed(g, zero, d->n, d->w_dtype)));
    }
    if (!several || p->w == p->node ||
        !brim_layout_of(p->node, &g->values[d->weight].constant->type.shape, &l)) {
        return BRIM_OK;
    }
    return brim_node_set_int(g, p->w, "axis", brim_layout_output_axis(&l));
}

static brim_status replace_bias(struct brim_graph *g, const struct brim_dot *d,
                                const struct brim_recode *r, const struct places *p)
{
    const struct brim_shape row = {1, {(int64_t)d->n}};
    const struct brim_type integer = {BRIM_INT32, row}, real = {BRIM_FLOAT, row};
    float *scale = brim_arena_alloc(&g->arena, d->n, sizeof *scale);
    int32_t *rounded = brim_arena_alloc(&g->arena, d->n, sizeof *rounded);

    if (p->bias == NULL || (r->bias_q == NULL && r->bias == NULL)) {
        return BRIM_OK;
    }
    if (scale == NULL || rounded == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (r->bias_q == NULL && p->bias_scale < 0) {
        return replace(g, p->bias, p->bias_codes, &real, r->bias);
    }
    for (size_t c = 0; c < d->n; c++) {
        scale[c] = d->x_scale * r->w_scale[c];
        if (r->bias_q != NULL) {
            rounded[c] = r->bias_q[c];
        } else { /* it was stored in other units than the product's: it is not any more */
            const double q = __builtin_rint((double)r->bias[c] / (double)scale[c]);
            rounded[c] = q >= INT32_MAX ? INT32_MAX : q <= INT32_MIN ? INT32_MIN : (int32_t)q;
        }
    }
    BRIM_TRY(replace(g, p->bias, p->bias_codes, &integer, rounded));
    if (p->bias_scale < 0) {
        return BRIM_OK;
    }
    BRIM_TRY(replace(g, p->bias, p->bias_scale, &real, scale));
    return brim_node_set_int(g, p->bias, "axis", 0);
}

/* A zero point of the bias is 0 and has the scale's shape: without one it is the same. */
static void drop_bias_zero(const struct places *p)
{
    if (p->bias != NULL && p->bias_scale >= 0 && p->bias->n_in > 2) {
        p->bias->n_in = 2;
    }
}

static void drop_metadata(struct brim_graph *g, const char *layer)
{
    static const char prefix[] = "brim.layer.";

    for (size_t i = 0; i < g->n_metadata; i++) {
        const char *key = g->metadata[i].key;
        if (strncmp(key, prefix, sizeof prefix - 1) == 0 &&
            strcmp(key + sizeof prefix - 1, layer) == 0) {
            g->n_metadata--;
            memmove(&g->metadata[i], &g->metadata[i + 1],
                    (g->n_metadata - i) * sizeof *g->metadata);
            return;
        }
    }
}

brim_status brim_recode_dot(struct brim_graph *g, const struct brim_dot *d,
                            const struct brim_recode *r)
{
    struct places p;

    if (!brim_recode_can(g, d) || !find_places(g, d, &p)) {
        return brim_fail(g->ctx, BRIM_ERR_UNSUPPORTED,
                         "layer '%s': its weights cannot be replaced on their own", d->name);
    }
    BRIM_TRY(replace_codes(g, d, r, &p));
    BRIM_TRY(replace_scales(g, d, r, &p));
    BRIM_TRY(replace_bias(g, d, r, &p));
    drop_bias_zero(&p);
    drop_metadata(g, d->name);
    return BRIM_OK;
}
