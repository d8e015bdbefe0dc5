/* op_shape.c - shape rules of the operators that view data differently or make it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "graph/op_families.h"
#include "graph/resolve.h"

/* The rank of a shape given as the 1-D input i, or -1; checked against what a shape can hold. */
static brim_status rank_of_input(const struct brim_infer *c, size_t i, int *rank)
{
    const struct brim_shape *s = &c->in[i].shape;

    *rank = -1;
    if (s->rank == 1 && s->dim[0] >= 0) {
        if (s->dim[0] > BRIM_MAX_RANK) {
            return brim_infer_unsupported(c, "a tensor of rank %lld", (long long)s->dim[0]);
        }
        *rank = (int)s->dim[0];
    }
    return BRIM_OK;
}

static void unknown_dims(struct brim_shape *s, int rank)
{
    s->rank = rank;
    for (int i = 0; i < rank; i++) {
        s->dim[i] = -1;
    }
}

static brim_status infer_dropout(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_FLOATS));
    BRIM_TRY(brim_infer_check(c, 1, BRIM_T_FLOATS));
    BRIM_TRY(brim_infer_check(c, 2, BRIM_T(BRIM_BOOL)));
    BRIM_TRY(brim_infer_scalar(c, 1));
    BRIM_TRY(brim_infer_scalar(c, 2));
    c->out[0] = c->in[0];
    if (c->node->n_out > 1) {
        c->out[1] = c->in[0];
        if (c->opset >= 10) {
            c->out[1].dtype = BRIM_BOOL;
        }
    }
    return BRIM_OK;
}

/* The size that -1 stands for: the input's elements over the other sizes. Unknown sizes that are
 * copied from the input (0 at that place) cancel out. */
static brim_status reshape_rest(const struct brim_infer *c, const struct brim_shape *out, int at,
                                int64_t *size)
{
    const struct brim_shape *in = &c->in[0].shape;
    struct brim_shape a = *in, b = *out;
    int64_t total, rest;

    b.dim[at] = 1;
    for (int i = 0; i < a.rank && i < b.rank; i++) {
        if (i != at && a.dim[i] < 0 && b.dim[i] < 0) {
            a.dim[i] = b.dim[i] = 1;
        }
    }
    BRIM_TRY(brim_infer_product(c, &a, 0, a.rank, &total));
    BRIM_TRY(brim_infer_product(c, &b, 0, b.rank, &rest));
    *size = -1;
    if (in->rank < 0 || total < 0 || rest < 0) {
        return BRIM_OK;
    }
    if (rest == 0 || total % rest != 0) {
        return brim_infer_fail(c, "%lld elements do not divide by the %lld of the other axes",
                               (long long)total, (long long)rest);
    }
    *size = total / rest;
    return BRIM_OK;
}

static brim_status reshape_to(struct brim_infer *c, const int64_t *v, int rank)
{
    const bool zero = brim_node_int(c->node, "allowzero", 0) != 0;
    const struct brim_shape *in = &c->in[0].shape;
    struct brim_shape *out = &c->out[0].shape;
    int at = -1;
    bool has_zero = false;

    unknown_dims(out, rank);
    for (int i = 0; i < rank; i++) {
        if (v[i] < -1 || (v[i] == -1 && at >= 0)) {
            return brim_infer_fail(c, "the shape has %s", v[i] < -1 ? "a negative size" : "two -1");
        }
        if (v[i] == 0 && !zero && in->rank >= 0 && i >= in->rank) {
            return brim_infer_fail(c, "size 0 at axis %d copies from an input of rank %d", i,
                                   in->rank);
        }
        at = v[i] == -1 ? i : at;
        has_zero = has_zero || v[i] == 0;
        out->dim[i] = v[i] != 0 || zero ? v[i] : in->rank < 0 ? -1 : in->dim[i];
    }
    if (at >= 0) {
        if (zero && has_zero) {
            return brim_infer_fail(c, "the shape has both 0 and -1 with allowzero");
        }
        return reshape_rest(c, out, at, &out->dim[at]);
    }
    int64_t a, b;
    BRIM_TRY(brim_infer_product(c, in, 0, in->rank, &a));
    BRIM_TRY(brim_infer_product(c, out, 0, rank, &b));
    if (in->rank >= 0 && a >= 0 && b >= 0 && a != b) {
        char from[128], to[128];
        return brim_infer_fail(c, "a tensor of shape %s cannot be reshaped to %s",
                               brim_shape_text(in, from, sizeof from),
                               brim_shape_text(out, to, sizeof to));
    }
    return BRIM_OK;
}

static brim_status infer_reshape(struct brim_infer *c)
{
    int64_t v[BRIM_MAX_RANK] = {0};
    size_t n = 0;
    bool known;
    int rank;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    c->out[0].dtype = c->in[0].dtype;
    BRIM_TRY(rank_of_input(c, 1, &rank));
    BRIM_TRY(brim_infer_ints(c, 1, v, BRIM_MAX_RANK, &n, &known));
    if (known) {
        return reshape_to(c, v, (int)n);
    }
    unknown_dims(&c->out[0].shape, rank);
    return BRIM_OK;
}

static brim_status infer_flatten(struct brim_infer *c)
{
    const struct brim_shape *in = &c->in[0].shape;
    const int64_t axis = brim_node_int(c->node, "axis", 1);

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    c->out[0].dtype = c->in[0].dtype;
    unknown_dims(&c->out[0].shape, 2);
    if (in->rank < 0) {
        return BRIM_OK;
    }
    if (axis < -in->rank || axis > in->rank) {
        return brim_infer_fail(c, "axis %lld is outside a tensor of rank %d", (long long)axis,
                               in->rank);
    }
    const int at = (int)(axis < 0 ? axis + in->rank : axis);
    BRIM_TRY(brim_infer_product(c, in, 0, at, &c->out[0].shape.dim[0]));
    return brim_infer_product(c, in, at, in->rank, &c->out[0].shape.dim[1]);
}

/* The axes of Squeeze and Unsqueeze: an input from opset 13 on, an attribute before. */
static brim_status read_axes(const struct brim_infer *c, int64_t *v, size_t *n, bool *given,
                             bool *known)
{
    *given = brim_infer_has(c, 1) || brim_node_attr(c->node, "axes") != NULL;
    if (brim_infer_has(c, 1)) {
        return brim_infer_ints(c, 1, v, BRIM_MAX_RANK, n, known);
    }
    return brim_infer_attr_ints(c, "axes", v, BRIM_MAX_RANK, n, known);
}

/* Mark the axes of a tensor of `rank`. */
static brim_status mark_axes(const struct brim_infer *c, const int64_t *v, size_t n, int rank,
                             bool marked[BRIM_MAX_RANK])
{
    for (size_t i = 0; i < n; i++) {
        int axis = 0;
        BRIM_TRY(brim_infer_axis(c, v[i], rank, &axis));
        if (marked[axis]) {
            return brim_infer_fail(c, "axis %d is given twice", axis);
        }
        marked[axis] = true;
    }
    return BRIM_OK;
}

static brim_status squeeze_axes(const struct brim_infer *c, bool squeezed[BRIM_MAX_RANK],
                                bool *known)
{
    const struct brim_shape *in = &c->in[0].shape;
    int64_t v[BRIM_MAX_RANK];
    size_t n = 0;
    bool given;

    BRIM_TRY(read_axes(c, v, &n, &given, known));
    if (given) {
        return *known ? mark_axes(c, v, n, in->rank, squeezed) : BRIM_OK;
    }
    *known = true;
    for (int i = 0; i < in->rank; i++) {
        squeezed[i] = in->dim[i] == 1;
        *known = *known && in->dim[i] >= 0;
    }
    return BRIM_OK;
}

static brim_status infer_squeeze(struct brim_infer *c)
{
    const struct brim_shape *in = &c->in[0].shape;
    struct brim_shape *out = &c->out[0].shape;
    bool squeezed[BRIM_MAX_RANK] = {false}, known;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    c->out[0].dtype = c->in[0].dtype;
    if (in->rank < 0) {
        return BRIM_OK;
    }
    BRIM_TRY(squeeze_axes(c, squeezed, &known));
    if (!known) {
        return BRIM_OK;
    }
    out->rank = 0;
    for (int i = 0; i < in->rank; i++) {
        if (!squeezed[i]) {
            out->dim[out->rank++] = in->dim[i];
        } else if (in->dim[i] > 1 || in->dim[i] == 0) {
            return brim_infer_fail(c, "axis %d has size %lld, expected 1", i,
                                   (long long)in->dim[i]);
        }
    }
    return BRIM_OK;
}

static brim_status infer_unsqueeze(struct brim_infer *c)
{
    const struct brim_shape *in = &c->in[0].shape;
    struct brim_shape *out = &c->out[0].shape;
    bool inserted[BRIM_MAX_RANK] = {false}, given, known;
    int64_t v[BRIM_MAX_RANK];
    size_t n = 0;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    c->out[0].dtype = c->in[0].dtype;
    BRIM_TRY(read_axes(c, v, &n, &given, &known));
    if (!given) {
        return brim_infer_fail(c, "axes are missing");
    }
    if (in->rank < 0 || !known) {
        return BRIM_OK;
    }
    const int rank = in->rank + (int)n;
    if (rank > BRIM_MAX_RANK) {
        return brim_infer_unsupported(c, "a tensor of rank %d", rank);
    }
    BRIM_TRY(mark_axes(c, v, n, rank, inserted));
    out->rank = rank;
    for (int i = 0, k = 0; i < rank; i++) {
        out->dim[i] = inserted[i] ? 1 : in->dim[k++];
    }
    return BRIM_OK;
}

static brim_status infer_transpose(struct brim_infer *c)
{
    const struct brim_shape *in = &c->in[0].shape;
    int perm[BRIM_MAX_RANK];

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    c->out[0].dtype = c->in[0].dtype;
    if (in->rank < 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_resolve_perm(c, in->rank, perm));
    c->out[0].shape.rank = in->rank;
    for (int i = 0; i < in->rank; i++) {
        c->out[0].shape.dim[i] = in->dim[perm[i]];
    }
    return BRIM_OK;
}

/* A shape that is a value: the sizes of Expand and ConstantOfShape. */
static brim_status read_shape(const struct brim_infer *c, size_t i, struct brim_shape *s)
{
    size_t n = 0;
    bool known;
    int rank;

    BRIM_TRY(rank_of_input(c, i, &rank));
    BRIM_TRY(brim_infer_ints(c, i, s->dim, BRIM_MAX_RANK, &n, &known));
    if (!known) {
        unknown_dims(s, rank);
        return BRIM_OK;
    }
    s->rank = (int)n;
    for (int k = 0; k < s->rank; k++) {
        if (s->dim[k] < 0) {
            return brim_infer_fail(c, "the shape has the negative size %lld", (long long)s->dim[k]);
        }
    }
    return BRIM_OK;
}

static brim_status infer_expand(struct brim_infer *c)
{
    struct brim_shape s;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    BRIM_TRY(read_shape(c, 1, &s));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = s;
    return brim_infer_broadcast(c, &c->out[0].shape, &c->in[0].shape);
}

static brim_status infer_shape(struct brim_infer *c)
{
    const int rank = c->in[0].shape.rank;
    int64_t start = brim_node_int(c->node, "start", 0);
    int64_t end = brim_node_int(c->node, "end", INT64_MAX);

    c->out[0].dtype = BRIM_INT64;
    unknown_dims(&c->out[0].shape, 1);
    if (rank >= 0) {
        start = start < 0 ? start + rank : start;
        end = end < 0 ? end + rank : end;
        start = start < 0 ? 0 : start > rank ? rank : start;
        end = end < 0 ? 0 : end > rank ? rank : end;
        c->out[0].shape.dim[0] = end > start ? end - start : 0;
    }
    return BRIM_OK;
}

static brim_status infer_constant(struct brim_infer *c)
{
    struct brim_constant value;

    BRIM_TRY(brim_resolve_constant(c, &value));
    c->out[0] = value.type;
    return BRIM_OK;
}

static brim_status infer_constant_of_shape(struct brim_infer *c)
{
    const struct brim_attr *a = brim_node_attr(c->node, "value");

    c->out[0].dtype = BRIM_FLOAT;
    if (a != NULL) {
        if (a->type != BRIM_ATTR_TENSOR || a->t == NULL ||
            brim_shape_count(&a->t->type.shape) != 1) {
            return brim_infer_fail(c, "the attribute 'value' is not a tensor of one element");
        }
        c->out[0].dtype = a->t->type.dtype;
        if ((BRIM_T_ALL >> c->out[0].dtype & 1u) == 0) {
            return brim_infer_unsupported(c, "the type %s", brim_dtype_name(c->out[0].dtype));
        }
    }
    return read_shape(c, 0, &c->out[0].shape);
}

/* domain, name, inputs min..max, outputs min..max, rule */
const struct brim_op brim_ops_shape[] = {
    {"", "Constant", 0, 0, 1, 1, infer_constant},
    {"", "ConstantOfShape", 1, 1, 1, 1, infer_constant_of_shape},
    {"", "Dropout", 1, 3, 1, 2, infer_dropout},
    {"", "Expand", 2, 2, 1, 1, infer_expand},
    {"", "Flatten", 1, 1, 1, 1, infer_flatten},
    {"", "Identity", 1, 1, 1, 1, brim_infer_unary},
    {"", "Reshape", 2, 2, 1, 1, infer_reshape},
    {"", "Shape", 1, 1, 1, 1, infer_shape},
    {"", "Squeeze", 1, 2, 1, 1, infer_squeeze},
    {"", "Transpose", 1, 1, 1, 1, infer_transpose},
    {"", "Unsqueeze", 1, 2, 1, 1, infer_unsqueeze},
};

const size_t brim_ops_shape_count = sizeof brim_ops_shape / sizeof brim_ops_shape[0];
