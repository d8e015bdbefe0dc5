/* fold_codes.c - quantized constants are codes. SPDX-License-Identifier: Apache-2.0
 *
 * Exporters that trace fake quantization (PyTorch's among them) leave the weights in float and the
 * quantizer before their use:
 *   float constant -> QuantizeLinear -> [Clip] -> DequantizeLinear -> Conv
 * The codes are constant too, so they take the place of what computes them, by the formulas of the
 * operators: y = saturate(round_half_even(x / scale) + zero) in float32. Types must be known.
 */
#include <math.h>
#include <string.h>

#include "base/intops.h"
#include "graph/graph.h"

static bool is_onnx(const struct brim_node *n, const char *op_type)
{
    return n->domain[0] == '\0' && strcmp(n->op_type, op_type) == 0;
}

static const struct brim_tensor *constant(const struct brim_graph *g, const struct brim_node *n,
                                          size_t i)
{
    return i < n->n_in && n->in[i] >= 0 ? g->values[n->in[i]].constant : NULL;
}

static size_t count(const struct brim_tensor *t)
{
    return (size_t)brim_shape_count(&t->type.shape);
}

static bool is_code(enum brim_dtype t)
{
    return t == BRIM_INT4 || t == BRIM_UINT4 || t == BRIM_INT8 || t == BRIM_UINT8 ||
           t == BRIM_INT16 || t == BRIM_UINT16;
}

static void put(struct brim_tensor *t, size_t i, int64_t code)
{
    const uint16_t bits = (uint16_t)((uint64_t)code & 0xffffu);

    if (brim_dtype_size(t->type.dtype) == 1) {
        ((uint8_t *)t->data)[i] = (uint8_t)(bits & 0xffu);
    } else {
        ((uint16_t *)t->data)[i] = bits;
    }
}

/* A constant of the type of node n's output; its elements are to be filled in. */
static struct brim_tensor *make(struct brim_graph *g, const struct brim_node *n,
                                const struct brim_shape *shape)
{
    const enum brim_dtype type = g->values[n->out[0]].type.dtype;
    struct brim_tensor *t = brim_arena_alloc(&g->arena, 1, sizeof *t);

    if (t != NULL) {
        *t = (struct brim_tensor){{type, *shape}, NULL};
        t->data = brim_arena_alloc(&g->arena, count(t) + 1, brim_dtype_size(type));
    }
    return t != NULL && t->data != NULL ? t : NULL;
}

/* Elements that follow one another with one scale; false when the scales lie otherwise. */
static bool run_of_scale(const struct brim_node *n, const struct brim_shape *x, size_t scales,
                         size_t *run)
{
    int64_t axis = brim_node_int(n, "axis", 1);

    *run = 1;
    if (scales == 1) {
        return true;
    }
    axis += axis < 0 ? x->rank : 0;
    if (axis < 0 || axis >= x->rank || x->dim[axis] != (int64_t)scales) {
        return false;
    }
    for (int i = (int)axis + 1; i < x->rank; i++) {
        *run *= (size_t)x->dim[i];
    }
    return true;
}

/* *gone: the node's output is a constant now. */
static brim_status fold_quantize(struct brim_graph *g, const struct brim_node *n, bool *gone)
{
    const struct brim_tensor *x = constant(g, n, 0), *s = constant(g, n, 1), *z = constant(g, n, 2);
    const enum brim_dtype type = g->values[n->out[0]].type.dtype;
    const bool has_zero = n->n_in > 2 && n->in[2] >= 0;
    int64_t lo, hi;
    size_t run;

    if (!is_onnx(n, "QuantizeLinear") || x == NULL || s == NULL || (has_zero && z == NULL) ||
        x->type.dtype != BRIM_FLOAT || s->type.dtype != BRIM_FLOAT || !is_code(type) ||
        brim_node_int(n, "block_size", 0) != 0 || brim_node_int(n, "precision", 0) > BRIM_FLOAT ||
        count(s) == 0 || (z != NULL && count(z) != count(s)) ||
        !run_of_scale(n, &x->type.shape, count(s), &run)) {
        return BRIM_OK;
    }
    struct brim_tensor *t = make(g, n, &x->type.shape);
    if (t == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_dtype_range(type, &lo, &hi);
    for (size_t i = 0; i < count(x); i++) {
        const size_t at = i / run % count(s);
        const double zero = z == NULL ? 0.0 : (double)brim_tensor_int(z, at);
        const float v = ((const float *)x->data)[i] / ((const float *)s->data)[at];
        const double code = isnan(v) ? zero : brim_rint((double)v) + zero;
        put(t, i, code < (double)lo ? lo : code > (double)hi ? hi : (int64_t)code);
    }
    g->values[n->out[0]].constant = t;
    *gone = true;
    return BRIM_OK;
}

static brim_status fold_clip(struct brim_graph *g, const struct brim_node *n, bool *gone)
{
    const struct brim_tensor *x = constant(g, n, 0),
                             *bound[2] = {constant(g, n, 1), constant(g, n, 2)};
    int64_t lo = INT64_MIN, hi = INT64_MAX;

    if (!is_onnx(n, "Clip") || x == NULL || !is_code(x->type.dtype)) {
        return BRIM_OK;
    }
    for (size_t i = 0; i < 2; i++) {
        const bool given = i + 1 < n->n_in && n->in[i + 1] >= 0;
        if (given && (bound[i] == NULL || count(bound[i]) != 1)) {
            return BRIM_OK;
        }
        if (given) {
            *(i == 0 ? &lo : &hi) = brim_tensor_int(bound[i], 0);
        }
    }
    struct brim_tensor *t = make(g, n, &x->type.shape);
    if (t == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < count(x); i++) {
        put(t, i, brim_min_i64(brim_max_i64(brim_tensor_int(x, i), lo), hi));
    }
    g->values[n->out[0]].constant = t;
    *gone = true;
    return BRIM_OK;
}

/* Constants that nothing reads any more go. */
static brim_status drop_unread(struct brim_graph *g, const bool *touched,
                               struct brim_arena *scratch)
{
    bool *read = brim_arena_zalloc(scratch, g->n_values + 1, sizeof *read);

    if (read == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t j = 0; j < g->nodes[i].n_in; j++) {
            if (g->nodes[i].in[j] >= 0) {
                read[g->nodes[i].in[j]] = true;
            }
        }
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        read[g->outputs[i]] = true;
    }
    for (size_t v = 0; v < g->n_values; v++) {
        if (touched[v] && !read[v]) {
            g->values[v].constant = NULL;
        }
    }
    return BRIM_OK;
}

static brim_status fold_all(struct brim_graph *g, struct brim_arena *scratch)
{
    bool *touched = brim_arena_zalloc(scratch, g->n_values + 1, sizeof *touched);
    size_t kept = 0;

    if (touched == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct brim_node *n = &g->nodes[i];
        bool gone = n->out[0] < 0, output = false;
        for (size_t o = 0; o < g->n_outputs; o++) {
            output = output || g->outputs[o] == n->out[0];
        }
        if (!gone && !output) {
            BRIM_TRY(fold_quantize(g, n, &gone));
            BRIM_TRY(gone ? BRIM_OK : fold_clip(g, n, &gone));
        } else {
            gone = false;
        }
        for (size_t j = 0; gone && j < n->n_in; j++) {
            touched[n->in[j] < 0 ? n->out[0] : n->in[j]] = true;
        }
        if (gone) {
            brim_names_remove(&g->node_names, n->name);
        } else {
            g->nodes[kept++] = *n;
        }
    }
    const bool any = kept < g->n_nodes;
    g->n_nodes = kept;
    return any ? drop_unread(g, touched, scratch) : BRIM_OK;
}

brim_status brim_graph_fold_codes(struct brim_graph *g)
{
    struct brim_arena scratch;

    brim_arena_init(&scratch, g->ctx);
    const brim_status status = fold_all(g, &scratch);
    brim_arena_free(&scratch);
    return status;
}
