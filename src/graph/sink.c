/* sink.c - reshapes and transposes of constants are done now; those of dequantized values are done
 * on the integers. SPDX-License-Identifier: Apache-2.0
 *
 * A DequantizeLinear with one scale commutes with whatever only moves elements, so
 *   q -> DequantizeLinear -> Flatten -> Gemm    becomes    q -> Flatten -> DequantizeLinear -> Gemm
 * and the Gemm sees its integers. With scales along an axis it commutes with a Transpose, which takes
 * the axis along. Types must have been inferred.
 */
#include <string.h>

#include "graph/graph.h"

struct mover {
    struct brim_graph *g;
    int32_t *producer;
    size_t *uses;
    bool *is_output; /* a graph output is never removed */
    size_t n_known;  /* values that these three cover */
};

static bool is_onnx(const struct brim_node *n, const char *op_type)
{
    return n->domain[0] == '\0' && strcmp(n->op_type, op_type) == 0;
}

/* Keeps the elements in their order. */
static bool is_reshape(const struct brim_node *n)
{
    return is_onnx(n, "Reshape") || is_onnx(n, "Flatten") || is_onnx(n, "Squeeze") ||
           is_onnx(n, "Unsqueeze");
}

/* Copy `from` with its axes permuted: axis i of the result is axis perm[i]. */
static void transpose(const struct brim_tensor *from, const int64_t *perm, struct brim_tensor *to)
{
    const int rank = from->type.shape.rank;
    const size_t size = brim_dtype_size(from->type.dtype);
    const size_t total = (size_t)brim_shape_count(&from->type.shape);
    size_t stride[BRIM_MAX_RANK], index[BRIM_MAX_RANK] = {0}, step = 1;

    for (int i = rank - 1; i >= 0; i--) {
        for (int j = 0; j < rank; j++) {
            if (perm[j] == i) {
                stride[j] = step;
            }
        }
        step *= (size_t)from->type.shape.dim[i];
    }
    size_t at = 0;
    for (size_t n = 0; n < total; n++) {
        memcpy((uint8_t *)to->data + n * size, (const uint8_t *)from->data + at * size, size);
        for (int i = rank - 1; i >= 0; i--) {
            at += stride[i];
            if (++index[i] < (size_t)to->type.shape.dim[i]) {
                break;
            }
            at -= stride[i] * index[i];
            index[i] = 0;
        }
    }
}

/* The permutation of a Transpose, checked; reversed axes when it has none. */
static bool permutation(const struct brim_node *n, int rank, int64_t *perm)
{
    const struct brim_attr *a = brim_node_attr(n, "perm");
    unsigned seen = 0;

    for (int i = 0; i < rank; i++) {
        perm[i] = a == NULL ? rank - 1 - i : i < (int)a->count ? a->ints[i] : -1;
        if (perm[i] < 0 || perm[i] >= rank) {
            return false;
        }
        seen |= 1u << perm[i];
    }
    return (a == NULL || a->count == (size_t)rank) && seen == (1u << rank) - 1;
}

/* A moved constant is a constant. */
static brim_status fold_constant_move(struct mover *m, struct brim_node *n, bool *gone)
{
    struct brim_graph *g = m->g;
    const struct brim_tensor *from = n->in[0] < 0 ? NULL : g->values[n->in[0]].constant;
    const struct brim_type *type = &g->values[n->out[0]].type;
    int64_t perm[BRIM_MAX_RANK];
    const bool reshape = is_reshape(n);

    if (from == NULL || brim_shape_count(&type->shape) != brim_shape_count(&from->type.shape) ||
        (!reshape && (!is_onnx(n, "Transpose") || !permutation(n, from->type.shape.rank, perm)))) {
        return BRIM_OK;
    }
    struct brim_tensor *to = brim_arena_alloc(&g->arena, 1, sizeof *to);
    if (to == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *to = (struct brim_tensor){{from->type.dtype, type->shape}, from->data};
    if (!reshape) {
        const size_t n_elements = (size_t)brim_shape_count(&from->type.shape);
        to->data = brim_arena_alloc(&g->arena, n_elements + 1, brim_dtype_size(from->type.dtype));
        if (to->data == NULL) {
            return BRIM_ERR_NOMEM;
        }
        transpose(from, perm, to);
    }
    g->values[n->out[0]].constant = to;
    *gone = true;
    return BRIM_OK;
}

/* Where a DequantizeLinear's scales go when its output is moved by node n: *axis is -1 for a scale
 * for all. False: they cannot follow. */
static bool follow_scales(const struct brim_graph *g, const struct brim_node *dq,
                          const struct brim_node *n, int64_t *axis)
{
    const struct brim_tensor *scale =
        is_onnx(dq, "DequantizeLinear") && dq->in[0] >= 0 ? g->values[dq->in[1]].constant : NULL;
    int64_t perm[BRIM_MAX_RANK];

    *axis = -1;
    if (scale == NULL || brim_node_int(dq, "block_size", 0) != 0) {
        return false;
    }
    if (brim_shape_count(&scale->type.shape) == 1) {
        return true;
    }
    const int rank = g->values[dq->in[0]].type.shape.rank;
    const int64_t stated = brim_node_int(dq, "axis", 1), from = stated + (stated < 0 ? rank : 0);
    if (!is_onnx(n, "Transpose") || rank < 1 || !permutation(n, rank, perm)) {
        return false;
    }
    for (int i = 0; i < rank; i++) {
        *axis = perm[i] == from ? i : *axis;
    }
    return *axis >= 0;
}

/* dq -> move becomes move -> dq, reusing both nodes when nothing else reads dq's output. */
static brim_status sink(struct mover *m, size_t at)
{
    struct brim_graph *g = m->g;
    const int32_t x = g->nodes[at].in[0];
    int64_t axis;

    if (x < 0 || (size_t)x >= m->n_known || m->producer[x] < 0 || m->uses[x] != 1) {
        return BRIM_OK;
    }
    struct brim_node *dq = &g->nodes[m->producer[x]];
    if (!follow_scales(g, dq, &g->nodes[at], &axis)) {
        return BRIM_OK;
    }
    const int32_t out = g->nodes[at].out[0];
    const struct brim_type type = {g->values[dq->in[0]].type.dtype, g->values[out].type.shape};
    const char *name = brim_arena_printf(&g->arena, "%s_quantized", g->values[out].name);
    const int32_t moved = name == NULL ? -1 : brim_graph_add_value(g, name, &type);
    if (moved < 0) {
        return BRIM_ERR_NOMEM;
    }
    g->nodes[at].in[0] = dq->in[0];
    g->nodes[at].out[0] = moved;
    dq->in[0] = moved;
    dq->out[0] = out;
    m->producer[out] = m->producer[x];
    return axis < 0 ? BRIM_OK : brim_node_set_int(g, dq, "axis", axis);
}

static brim_status survey(struct mover *m, struct brim_arena *scratch)
{
    const struct brim_graph *g = m->g;

    m->n_known = g->n_values;
    m->producer = brim_graph_producers(g, scratch);
    m->uses = brim_arena_zalloc(scratch, g->n_values + 1, sizeof *m->uses);
    m->is_output = brim_arena_zalloc(scratch, g->n_values + 1, sizeof *m->is_output);
    if (m->producer == NULL || m->uses == NULL || m->is_output == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t j = 0; j < g->nodes[i].n_in; j++) {
            if (g->nodes[i].in[j] >= 0) {
                m->uses[g->nodes[i].in[j]]++;
            }
        }
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        m->uses[g->outputs[i]]++;
        m->is_output[g->outputs[i]] = true;
    }
    return BRIM_OK;
}

static brim_status move_all(struct mover *m)
{
    struct brim_graph *g = m->g;
    size_t kept = 0;

    for (size_t i = 0; i < g->n_nodes; i++) {
        struct brim_node *n = &g->nodes[i];
        if ((is_reshape(n) || is_onnx(n, "Transpose")) && n->out[0] >= 0) {
            BRIM_TRY(sink(m, i));
        }
    }
    BRIM_TRY(brim_graph_sort(g));
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct brim_node *n = &g->nodes[i];
        bool gone = false;
        const int32_t out = n->out[0];
        if (out >= 0 && ((size_t)out >= m->n_known || !m->is_output[out])) {
            BRIM_TRY(fold_constant_move(m, n, &gone));
        }
        if (gone) {
            brim_names_remove(&g->node_names, n->name);
        } else {
            g->nodes[kept++] = *n;
        }
    }
    g->n_nodes = kept;
    return BRIM_OK;
}

brim_status brim_graph_fold_moves(struct brim_graph *g)
{
    struct brim_arena scratch;
    struct mover m = {.g = g};

    brim_arena_init(&scratch, g->ctx);
    brim_status status = survey(&m, &scratch);
    if (status == BRIM_OK) {
        status = move_all(&m);
    }
    brim_arena_free(&scratch);
    return status;
}
