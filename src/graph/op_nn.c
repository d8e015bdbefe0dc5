/* op_nn.c - shape rules of convolution, products, pooling and normalization.
 * SPDX-License-Identifier: Apache-2.0 */
#include "graph/infer.h"
#include "graph/op_families.h"
#include "graph/window.h"

enum {
    PRODUCT_TYPES = BRIM_T_FLOATS | BRIM_T(BRIM_INT32) | BRIM_T(BRIM_INT64) | BRIM_T(BRIM_UINT32) |
                    BRIM_T(BRIM_UINT64),
    MAXPOOL_TYPES = BRIM_T_FLOATS | BRIM_T(BRIM_INT8) | BRIM_T(BRIM_UINT8)
};

/* ---- convolution and pooling ---- */

static brim_status infer_conv(struct brim_infer *c)
{
    const struct brim_shape *x = &c->in[0].shape, *w = &c->in[1].shape;
    struct brim_conv conv;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_FLOATS));
    BRIM_TRY(brim_infer_same(c, 0, 1));
    BRIM_TRY(brim_infer_same(c, 0, 2));
    c->out[0].dtype = c->in[0].dtype;
    if (x->rank < 0 || w->rank < 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_conv_resolve(c, x, w, brim_infer_has(c, 2) ? &c->in[2].shape : NULL, &conv));
    brim_conv_output(&conv, &c->out[0].shape);
    return BRIM_OK;
}

static brim_status infer_pool(struct brim_infer *c)
{
    const struct brim_shape *x = &c->in[0].shape;
    struct brim_window w;

    c->out[0].dtype = c->in[0].dtype;
    if (x->rank < 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_window_pool(c, x, &w));
    c->out[0].shape.rank = x->rank;
    c->out[0].shape.dim[0] = x->dim[0];
    c->out[0].shape.dim[1] = x->dim[1];
    for (int i = 0; i < w.rank; i++) {
        c->out[0].shape.dim[i + 2] = w.out[i];
    }
    return BRIM_OK;
}

static brim_status infer_averagepool(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_FLOATS));
    return infer_pool(c);
}

static brim_status infer_maxpool(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, MAXPOOL_TYPES));
    BRIM_TRY(infer_pool(c));
    if (c->node->n_out > 1) {
        c->out[1] = c->out[0];
        c->out[1].dtype = BRIM_INT64;
    }
    return BRIM_OK;
}

static brim_status infer_globalpool(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_unary_float(c));
    if (c->in[0].shape.rank >= 0 && c->in[0].shape.rank < 2) {
        return brim_infer_fail(c, "input has rank %d, expected 2 or more", c->in[0].shape.rank);
    }
    for (int i = 2; i < c->in[0].shape.rank; i++) {
        c->out[0].shape.dim[i] = 1;
    }
    return BRIM_OK;
}

/* ---- products ---- */

static brim_status check_inner(const struct brim_infer *c, int64_t a, int64_t b)
{
    if (a >= 0 && b >= 0 && a != b) {
        return brim_infer_fail(c, "the inner dimensions are %lld and %lld, expected them equal",
                               (long long)a, (long long)b);
    }
    return BRIM_OK;
}

static brim_status check_matrix(const struct brim_infer *c, size_t i)
{
    if (c->in[i].shape.rank >= 0 && c->in[i].shape.rank != 2) {
        return brim_infer_fail(c, "input %zu has rank %d, expected 2", i, c->in[i].shape.rank);
    }
    return BRIM_OK;
}

/* C must broadcast to [m, n] without growing it. */
static brim_status check_gemm_c(const struct brim_infer *c, const struct brim_shape *y)
{
    struct brim_shape grown = *y;

    if (!brim_infer_has(c, 2) || c->in[2].shape.rank < 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_infer_broadcast(c, &grown, &c->in[2].shape));
    for (int i = 0; i < grown.rank; i++) {
        if (grown.rank != 2 || (y->dim[i] >= 0 && grown.dim[i] != y->dim[i])) {
            char from[96], to[96];
            return brim_infer_fail(c, "C has shape %s, which does not broadcast to %s",
                                   brim_shape_text(&c->in[2].shape, from, sizeof from),
                                   brim_shape_text(y, to, sizeof to));
        }
    }
    return BRIM_OK;
}

static brim_status infer_gemm(struct brim_infer *c)
{
    const struct brim_shape *a = &c->in[0].shape, *b = &c->in[1].shape;
    const int ta = brim_node_int(c->node, "transA", 0) != 0;
    const int tb = brim_node_int(c->node, "transB", 0) != 0;

    BRIM_TRY(brim_infer_check(c, 0, PRODUCT_TYPES));
    BRIM_TRY(brim_infer_same(c, 0, 1));
    BRIM_TRY(brim_infer_same(c, 0, 2));
    BRIM_TRY(check_matrix(c, 0));
    BRIM_TRY(check_matrix(c, 1));
    c->out[0].dtype = c->in[0].dtype;
    struct brim_shape *y = &c->out[0].shape;
    *y = (struct brim_shape){.rank = 2, .dim = {-1, -1}};
    if (a->rank == 2) {
        y->dim[0] = a->dim[ta];
    }
    if (b->rank == 2) {
        y->dim[1] = b->dim[1 - tb];
    }
    if (a->rank == 2 && b->rank == 2) {
        BRIM_TRY(check_inner(c, a->dim[1 - ta], b->dim[tb]));
    }
    return check_gemm_c(c, y);
}

brim_status brim_infer_matmul_shape(const struct brim_infer *c, const struct brim_shape *a,
                                    const struct brim_shape *b, struct brim_shape *y)
{
    if (a->rank < 0 || b->rank < 0) {
        return BRIM_OK;
    }
    if (a->rank == 0 || b->rank == 0) {
        return brim_infer_fail(c, "an operand is a scalar, expected rank 1 or more");
    }
    struct brim_shape batch = {.rank = a->rank > 2 ? a->rank - 2 : 0};
    struct brim_shape other = {.rank = b->rank > 2 ? b->rank - 2 : 0};
    for (int i = 0; i < batch.rank; i++) {
        batch.dim[i] = a->dim[i];
    }
    for (int i = 0; i < other.rank; i++) {
        other.dim[i] = b->dim[i];
    }
    BRIM_TRY(brim_infer_broadcast(c, &batch, &other));
    BRIM_TRY(check_inner(c, a->dim[a->rank - 1], b->dim[b->rank == 1 ? 0 : b->rank - 2]));
    *y = batch;
    if (a->rank > 1) {
        y->dim[y->rank++] = a->dim[a->rank - 2];
    }
    if (b->rank > 1) {
        y->dim[y->rank++] = b->dim[b->rank - 1];
    }
    return BRIM_OK;
}

static brim_status infer_matmul(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, PRODUCT_TYPES));
    BRIM_TRY(brim_infer_same(c, 0, 1));
    c->out[0].dtype = c->in[0].dtype;
    return brim_infer_matmul_shape(c, &c->in[0].shape, &c->in[1].shape, &c->out[0].shape);
}

/* ---- normalization ---- */

static brim_status infer_softmax(struct brim_infer *c)
{
    int axis;

    BRIM_TRY(brim_infer_unary_float(c));
    if (c->in[0].shape.rank < 0) {
        return BRIM_OK;
    }
    return brim_infer_axis(c, brim_node_int(c->node, "axis", c->opset < 13 ? 1 : -1),
                           c->in[0].shape.rank, &axis);
}

/* Inputs 1..4 hold one element per channel. */
static brim_status check_per_channel(const struct brim_infer *c, int64_t channels)
{
    for (size_t i = 1; i < 5; i++) {
        const struct brim_shape *s = &c->in[i].shape;
        if (s->rank >= 0 &&
            (s->rank != 1 || (s->dim[0] >= 0 && channels >= 0 && s->dim[0] != channels))) {
            char text[96];
            return brim_infer_fail(c, "input %zu has shape %s, expected [%lld]", i,
                                   brim_shape_text(s, text, sizeof text), (long long)channels);
        }
    }
    return BRIM_OK;
}

static brim_status infer_batchnorm(struct brim_infer *c)
{
    const struct brim_shape *x = &c->in[0].shape;

    BRIM_TRY(brim_infer_unary_float(c));
    for (size_t i = 1; i < 5; i++) {
        BRIM_TRY(brim_infer_check(c, i, BRIM_T_FLOATS));
    }
    const int64_t channels = x->rank < 0 ? -1 : x->rank == 1 ? 1 : x->rank == 0 ? 0 : x->dim[1];
    if (x->rank == 0) {
        return brim_infer_fail(c, "input is a scalar, expected rank 1 or more");
    }
    if (c->opset < 9 && brim_node_int(c->node, "spatial", 1) == 0) {
        return brim_infer_fail(c, "attribute 'spatial' is 0, expected 1");
    }
    BRIM_TRY(check_per_channel(c, channels));
    for (size_t i = 1; i < c->node->n_out; i++) {
        c->out[i].dtype = c->in[i <= 2 ? 3 : 1].dtype;
        c->out[i].shape = (struct brim_shape){.rank = 1, .dim = {channels}};
    }
    return BRIM_OK;
}

/* Inputs from 1 on must broadcast to the input's shape without growing it. */
static brim_status check_scales(const struct brim_infer *c)
{
    for (size_t i = 1; i < c->node->n_in; i++) {
        struct brim_shape grown = c->in[0].shape;
        if (!brim_infer_has(c, i) || c->in[i].shape.rank < 0) {
            continue;
        }
        BRIM_TRY(brim_infer_check(c, i, BRIM_T_FLOATS));
        BRIM_TRY(brim_infer_broadcast(c, &grown, &c->in[i].shape));
        for (int k = 0; k < grown.rank; k++) {
            if (grown.rank != c->in[0].shape.rank ||
                (c->in[0].shape.dim[k] >= 0 && grown.dim[k] != c->in[0].shape.dim[k])) {
                char text[96];
                return brim_infer_fail(c, "input %zu has shape %s, which does not broadcast", i,
                                       brim_shape_text(&c->in[i].shape, text, sizeof text));
            }
        }
    }
    return BRIM_OK;
}

static brim_status infer_layernorm(struct brim_infer *c)
{
    const struct brim_shape *x = &c->in[0].shape;
    const int64_t stash = brim_node_int(c->node, "stash_type", BRIM_FLOAT);
    int axis;

    BRIM_TRY(brim_infer_unary_float(c));
    if (stash != BRIM_FLOAT && stash != BRIM_BFLOAT16 && stash != BRIM_DOUBLE &&
        stash != BRIM_FLOAT16) {
        return brim_infer_fail(c, "stash_type is %lld, expected a float type", (long long)stash);
    }
    for (size_t i = 1; i < c->node->n_out; i++) {
        c->out[i].dtype = (enum brim_dtype)stash;
    }
    if (x->rank < 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_infer_axis(c, brim_node_int(c->node, "axis", -1), x->rank, &axis));
    for (size_t i = 1; i < c->node->n_out; i++) {
        c->out[i].shape = *x;
        for (int k = axis; k < x->rank; k++) {
            c->out[i].shape.dim[k] = 1;
        }
    }
    return check_scales(c);
}

/* domain, name, inputs min..max, outputs min..max, rule */
const struct brim_op brim_ops_nn[] = {
    {"", "AveragePool", 1, 1, 1, 1, infer_averagepool},
    {"", "BatchNormalization", 5, 5, 1, 5, infer_batchnorm},
    {"", "Conv", 2, 3, 1, 1, infer_conv},
    {"", "Gemm", 2, 3, 1, 1, infer_gemm},
    {"", "GlobalAveragePool", 1, 1, 1, 1, infer_globalpool},
    {"", "GlobalMaxPool", 1, 1, 1, 1, infer_globalpool},
    {"", "LayerNormalization", 2, 3, 1, 3, infer_layernorm},
    {"", "MatMul", 2, 2, 1, 1, infer_matmul},
    {"", "MaxPool", 1, 1, 1, 2, infer_maxpool},
    {"", "RMSNormalization", 2, 2, 1, 1, infer_layernorm},
    {"", "Softmax", 1, 1, 1, 1, infer_softmax},
};

const size_t brim_ops_nn_count = sizeof brim_ops_nn / sizeof brim_ops_nn[0];
