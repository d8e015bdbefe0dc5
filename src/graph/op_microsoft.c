/* op_microsoft.c - shape rules of the integer operators of domain com.microsoft. SPDX-License-Identifier:
 * Apache-2.0
 *
 * What onnxruntime's quantizer writes in its operator-oriented format beside ONNX's own: codes of 8
 * bits in and out, each tensor followed by its scale and its zero point.
 */
#include "graph/infer.h"
#include "graph/op_families.h"
#include "graph/window.h"

enum { CODES_8 = BRIM_T(BRIM_INT8) | BRIM_T(BRIM_UINT8) };

/* Codes at x, their scale and zero point behind them: one number each. */
static brim_status check_codes(const struct brim_infer *c, size_t x)
{
    BRIM_TRY(brim_infer_check(c, x, CODES_8));
    BRIM_TRY(brim_infer_check(c, x + 1, BRIM_T(BRIM_FLOAT)));
    BRIM_TRY(brim_infer_scalar(c, x + 1));
    BRIM_TRY(brim_infer_same(c, x, x + 2));
    return brim_infer_scalar(c, x + 2);
}

/* The output's scale and zero point; its type is the zero point's, or input x's without one. */
static brim_status check_output(struct brim_infer *c, size_t scale, size_t x)
{
    BRIM_TRY(brim_infer_check(c, scale, BRIM_T(BRIM_FLOAT)));
    BRIM_TRY(brim_infer_scalar(c, scale));
    BRIM_TRY(brim_infer_check(c, scale + 1, CODES_8));
    BRIM_TRY(brim_infer_scalar(c, scale + 1));
    BRIM_TRY(brim_infer_same(c, x, scale + 1));
    c->out[0].dtype = c->in[x].dtype;
    return BRIM_OK;
}

static brim_status infer_binary(struct brim_infer *c)
{
    BRIM_TRY(check_codes(c, 0));
    BRIM_TRY(check_codes(c, 3));
    BRIM_TRY(brim_infer_same(c, 0, 3));
    BRIM_TRY(check_output(c, 6, 0));
    c->out[0].shape = c->in[0].shape;
    return brim_infer_broadcast(c, &c->out[0].shape, &c->in[3].shape);
}

static brim_status infer_unary(struct brim_infer *c)
{
    BRIM_TRY(check_codes(c, 0));
    BRIM_TRY(check_output(c, 3, 0));
    c->out[0].shape = c->in[0].shape;
    return BRIM_OK;
}

static brim_status infer_softmax(struct brim_infer *c)
{
    const int64_t opset = brim_node_int(c->node, "opset", -1);
    int axis;

    BRIM_TRY(infer_unary(c));
    if (opset < 1) {
        return brim_infer_fail(c, "opset is %lld, expected that of the Softmax it stands for",
                               (long long)opset);
    }
    if (c->in[0].shape.rank < 0) {
        return BRIM_OK;
    }
    return brim_infer_axis(c, brim_node_int(c->node, "axis", opset < 13 ? 1 : -1),
                           c->in[0].shape.rank, &axis);
}

static brim_status check_channels_first(const struct brim_infer *c)
{
    if (brim_node_int(c->node, "channels_last", 0) != 0) {
        return brim_infer_unsupported(c, "an input with channels last");
    }
    if (c->in[0].shape.rank >= 0 && c->in[0].shape.rank < 3) {
        return brim_infer_fail(c, "input has rank %d, expected 3 or more", c->in[0].shape.rank);
    }
    return BRIM_OK;
}

static brim_status infer_globalpool(struct brim_infer *c)
{
    BRIM_TRY(infer_unary(c));
    BRIM_TRY(check_channels_first(c));
    for (int i = 2; i < c->in[0].shape.rank; i++) {
        c->out[0].shape.dim[i] = 1;
    }
    return BRIM_OK;
}

static brim_status infer_averagepool(struct brim_infer *c)
{
    const struct brim_shape *x = &c->in[0].shape;
    struct brim_window w;

    BRIM_TRY(infer_unary(c));
    BRIM_TRY(check_channels_first(c));
    if (x->rank < 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_window_pool(c, x, &w));
    for (int i = 0; i < w.rank; i++) {
        c->out[0].shape.dim[i + 2] = w.out[i];
    }
    return BRIM_OK;
}

/* Does input x fit what is joined so far? Its size along the axis is added. */
static brim_status join(struct brim_infer *c, size_t x, int *axis)
{
    const struct brim_shape *s = &c->in[x].shape;
    struct brim_shape *y = &c->out[0].shape;

    if (s->rank < 0) {
        y->rank = -1;
        return BRIM_OK;
    }
    BRIM_TRY(brim_infer_axis(c, brim_node_int(c->node, "axis", 0), s->rank, axis));
    if (x == 2) {
        *y = *s;
        return BRIM_OK;
    }
    if (y->rank >= 0 && s->rank != y->rank) {
        return brim_infer_fail(c, "input %zu has rank %d, expected %d", x, s->rank, y->rank);
    }
    for (int i = 0; i < y->rank; i++) {
        int64_t *d = &y->dim[i];
        if (i == *axis) {
            if (*d >= 0 && s->dim[i] >= 0 && __builtin_add_overflow(*d, s->dim[i], d)) {
                return brim_infer_fail(c, "the joined axis is too long");
            }
            *d = s->dim[i] < 0 ? -1 : *d;
        } else if (*d >= 0 && s->dim[i] >= 0 && *d != s->dim[i]) {
            return brim_infer_fail(c, "axis %d of input %zu is %lld, expected %lld", i, x,
                                   (long long)s->dim[i], (long long)*d);
        } else {
            *d = *d < 0 ? s->dim[i] : *d;
        }
    }
    return BRIM_OK;
}

/* y_scale, y_zero, then codes, scale, zero point of each input. */
static brim_status infer_concat(struct brim_infer *c)
{
    int axis = 0;

    if (c->node->n_in % 3 != 2) {
        return brim_infer_fail(c, "has %zu inputs, expected two and three for each that is joined",
                               c->node->n_in);
    }
    if (brim_node_attr(c->node, "axis") == NULL) {
        return brim_infer_fail(c, "axis is missing");
    }
    BRIM_TRY(brim_infer_all_given(c));
    c->out[0].shape.rank = -1;
    for (size_t x = 2; x < c->node->n_in; x += 3) {
        BRIM_TRY(check_codes(c, x));
        BRIM_TRY(brim_infer_same(c, 2, x));
        if (x == 2 || c->out[0].shape.rank >= 0) {
            BRIM_TRY(join(c, x, &axis));
        }
    }
    return check_output(c, 0, 2);
}

static int64_t dim_of(const struct brim_shape *s, bool transposed, int i)
{
    return s->rank == 2 ? s->dim[transposed ? 1 - i : i] : -1;
}

/* a, b and their grids, c, y_scale, y_zero: float without the last two. */
static brim_status infer_gemm(struct brim_infer *c)
{
    const bool a_transposed = brim_node_int(c->node, "transA", 0) != 0;
    const bool b_transposed = brim_node_int(c->node, "transB", 0) != 0;
    const struct brim_shape *a = &c->in[0].shape, *b = &c->in[3].shape;

    BRIM_TRY(check_codes(c, 0));
    BRIM_TRY(brim_infer_check(c, 3, CODES_8));
    BRIM_TRY(brim_infer_check(c, 4, BRIM_T(BRIM_FLOAT)));
    BRIM_TRY(brim_infer_same(c, 3, 5));
    BRIM_TRY(brim_infer_check(c, 6, BRIM_T(BRIM_INT32)));
    if ((a->rank >= 0 && a->rank != 2) || (b->rank >= 0 && b->rank != 2)) {
        return brim_infer_fail(c, "inputs have ranks %d and %d, expected 2", a->rank, b->rank);
    }
    const int64_t k = dim_of(a, a_transposed, 1), l = dim_of(b, b_transposed, 0);
    if (k >= 0 && l >= 0 && k != l) {
        return brim_infer_fail(c, "the inner dimensions are %lld and %lld, expected them equal",
                               (long long)k, (long long)l);
    }
    const int64_t n = dim_of(b, b_transposed, 1);
    for (size_t i = 4; i < 7; i++) { /* one number, or one for each column */
        const int64_t count = brim_infer_has(c, i) ? brim_shape_count(&c->in[i].shape) : 1;
        if (count >= 0 && n >= 0 && count != 1 && count != n) {
            return brim_infer_fail(c, "input %zu has %lld elements, expected 1 or %lld", i,
                                   (long long)count, (long long)n);
        }
    }
    c->out[0].shape = (struct brim_shape){2, {dim_of(a, a_transposed, 0), n}};
    if (!brim_infer_has(c, 7)) {
        c->out[0].dtype = BRIM_FLOAT;
        return BRIM_OK;
    }
    return check_output(c, 7, 0);
}

/* domain, name, inputs min..max, outputs min..max, rule */
const struct brim_op brim_ops_microsoft[] = {
    {BRIM_DOMAIN_MICROSOFT, "QGemm", 6, 9, 1, 1, infer_gemm},
    {BRIM_DOMAIN_MICROSOFT, "QLinearAdd", 7, 8, 1, 1, infer_binary},
    {BRIM_DOMAIN_MICROSOFT, "QLinearAveragePool", 4, 5, 1, 1, infer_averagepool},
    {BRIM_DOMAIN_MICROSOFT, "QLinearConcat", 5, -1, 1, 1, infer_concat},
    {BRIM_DOMAIN_MICROSOFT, "QLinearGlobalAveragePool", 5, 5, 1, 1, infer_globalpool},
    {BRIM_DOMAIN_MICROSOFT, "QLinearLeakyRelu", 4, 5, 1, 1, infer_unary},
    {BRIM_DOMAIN_MICROSOFT, "QLinearMul", 7, 8, 1, 1, infer_binary},
    {BRIM_DOMAIN_MICROSOFT, "QLinearSigmoid", 4, 5, 1, 1, infer_unary},
    {BRIM_DOMAIN_MICROSOFT, "QLinearSoftmax", 5, 5, 1, 1, infer_softmax},
};

const size_t brim_ops_microsoft_count = sizeof brim_ops_microsoft / sizeof brim_ops_microsoft[0];
