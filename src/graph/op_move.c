/* op_move.c - shape rules of the operators that join, cut, pad and reduce.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/intops.h"
#include "graph/op_families.h"
#include "graph/resolve.h"

static void unknown_dims(struct brim_shape *s, int rank)
{
    s->rank = rank;
    for (int i = 0; i < rank; i++) {
        s->dim[i] = -1;
    }
}

/* Add the shape of input i to that of the output along `axis`. */
static brim_status concat_one(struct brim_infer *c, size_t i, int axis)
{
    const struct brim_shape *in = &c->in[i].shape;
    struct brim_shape *out = &c->out[0].shape;

    if (in->rank >= 0 && in->rank != out->rank) {
        return brim_infer_fail(c, "input %zu has rank %d, expected %d", i, in->rank, out->rank);
    }
    for (int d = 0; d < out->rank; d++) {
        const int64_t size = in->rank < 0 ? -1 : in->dim[d];
        if (d == axis) {
            if (size < 0 || out->dim[d] < 0) {
                out->dim[d] = -1;
            } else if (__builtin_add_overflow(out->dim[d], size, &out->dim[d])) {
                return brim_infer_fail(c, "the shape has too many elements");
            }
        } else if (out->dim[d] < 0) {
            out->dim[d] = size;
        } else if (size >= 0 && size != out->dim[d]) {
            return brim_infer_fail(c, "input %zu has size %lld at axis %d, expected %lld", i,
                                   (long long)size, d, (long long)out->dim[d]);
        }
    }
    return BRIM_OK;
}

static brim_status infer_concat(struct brim_infer *c)
{
    int axis = 0;

    BRIM_TRY(brim_infer_all_given(c));
    c->out[0].dtype = c->in[0].dtype;
    for (size_t i = 0; i < c->node->n_in; i++) {
        BRIM_TRY(brim_infer_check(c, i, BRIM_T_ALL));
        BRIM_TRY(brim_infer_same(c, 0, i));
        if (c->in[i].shape.rank >= 0 && c->out[0].shape.rank < 0) {
            unknown_dims(&c->out[0].shape, c->in[i].shape.rank);
        }
    }
    if (c->out[0].shape.rank < 0) {
        return BRIM_OK;
    }
    if (brim_node_attr(c->node, "axis") == NULL) {
        return brim_infer_fail(c, "axis is missing");
    }
    BRIM_TRY(brim_infer_axis(c, brim_node_int(c->node, "axis", 0), c->out[0].shape.rank, &axis));
    c->out[0].shape.dim[axis] = 0;
    for (size_t i = 0; i < c->node->n_in; i++) {
        BRIM_TRY(concat_one(c, i, axis));
    }
    return BRIM_OK;
}

/* Parts of equal size; from opset 18 on the last may be smaller. */
static brim_status split_equally(struct brim_infer *c, int axis)
{
    const int64_t n = (int64_t)c->node->n_out, dim = c->in[0].shape.dim[axis];

    if (brim_node_attr(c->node, "num_outputs") != NULL &&
        brim_node_int(c->node, "num_outputs", 0) != n) {
        return brim_infer_fail(c, "num_outputs is %lld, expected the %lld outputs there are",
                               (long long)brim_node_int(c->node, "num_outputs", 0), (long long)n);
    }
    if (dim < 0 || n == 0) {
        return BRIM_OK;
    }
    if (c->opset < 18 && dim % n != 0) {
        return brim_infer_fail(c, "axis %d of size %lld does not split into %lld equal parts", axis,
                               (long long)dim, (long long)n);
    }
    const int64_t part = dim / n + (dim % n != 0);
    for (int64_t i = 0; i < n; i++) {
        c->out[i].shape.dim[axis] = brim_clip_i64(dim - i * part, 0, part);
    }
    return BRIM_OK;
}

static brim_status split_by(struct brim_infer *c, int axis, const int64_t *sizes, size_t n)
{
    const int64_t dim = c->in[0].shape.dim[axis];
    int64_t total = 0;

    if (n != c->node->n_out) {
        return brim_infer_fail(c, "split has %zu sizes, expected one per output, %zu", n,
                               c->node->n_out);
    }
    for (size_t i = 0; i < n; i++) {
        if (sizes[i] < 0 || __builtin_add_overflow(total, sizes[i], &total)) {
            return brim_infer_fail(c, "split has the size %lld", (long long)sizes[i]);
        }
        c->out[i].shape.dim[axis] = sizes[i];
    }
    if (dim >= 0 && total != dim) {
        return brim_infer_fail(c, "the sizes of split add up to %lld, expected %lld",
                               (long long)total, (long long)dim);
    }
    return BRIM_OK;
}

static brim_status infer_split(struct brim_infer *c)
{
    enum { MAX_PARTS = 1024 };
    int64_t sizes[MAX_PARTS];
    size_t n = 0;
    bool known;
    int axis = 0;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    if (c->in[0].shape.rank >= 0) {
        BRIM_TRY(brim_infer_axis(c, brim_node_int(c->node, "axis", 0), c->in[0].shape.rank, &axis));
    }
    for (size_t i = 0; i < c->node->n_out; i++) {
        c->out[i] = c->in[0];
        if (c->in[0].shape.rank >= 0) {
            c->out[i].shape.dim[axis] = -1;
        }
    }
    if (c->in[0].shape.rank < 0) {
        return BRIM_OK;
    }
    if (brim_infer_has(c, 1)) {
        BRIM_TRY(brim_infer_ints(c, 1, sizes, MAX_PARTS, &n, &known));
        return known ? split_by(c, axis, sizes, n) : BRIM_OK;
    }
    BRIM_TRY(brim_infer_attr_ints(c, "split", sizes, MAX_PARTS, &n, &known));
    return known ? split_by(c, axis, sizes, n) : split_equally(c, axis);
}

static brim_status infer_slice(struct brim_infer *c)
{
    struct brim_slice s;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    BRIM_TRY(brim_resolve_slice(c, &s));
    c->out[0] = c->in[0];
    for (int i = 0; i < c->in[0].shape.rank; i++) {
        c->out[0].shape.dim[i] = s.axis_known[i] ? s.count[i] : -1;
    }
    return BRIM_OK;
}

static brim_status infer_gather(struct brim_infer *c)
{
    const struct brim_shape *data = &c->in[0].shape, *indices = &c->in[1].shape;
    struct brim_shape *out = &c->out[0].shape;
    int axis = 0;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    BRIM_TRY(brim_infer_check(c, 1, BRIM_T_INDEX));
    c->out[0].dtype = c->in[0].dtype;
    if (data->rank < 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_infer_axis(c, brim_node_int(c->node, "axis", 0), data->rank, &axis));
    if (indices->rank < 0) {
        return BRIM_OK;
    }
    const int rank = data->rank - 1 + indices->rank;
    if (rank > BRIM_MAX_RANK) {
        return brim_infer_unsupported(c, "a tensor of rank %d", rank);
    }
    out->rank = 0;
    for (int i = 0; i < axis; i++) {
        out->dim[out->rank++] = data->dim[i];
    }
    for (int i = 0; i < indices->rank; i++) {
        out->dim[out->rank++] = indices->dim[i];
    }
    for (int i = axis + 1; i < data->rank; i++) {
        out->dim[out->rank++] = data->dim[i];
    }
    return BRIM_OK;
}

static brim_status infer_pad(struct brim_infer *c)
{
    struct brim_pads p;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    BRIM_TRY(brim_infer_same(c, 0, 2));
    BRIM_TRY(brim_infer_scalar(c, 2));
    BRIM_TRY(brim_resolve_pads(c, &p));
    c->out[0] = c->in[0];
    for (int i = 0; i < c->in[0].shape.rank; i++) {
        int64_t *dim = &c->out[0].shape.dim[i];
        *dim = p.known && *dim >= 0 ? *dim + p.before[i] + p.after[i] : -1;
    }
    return BRIM_OK;
}

static brim_status infer_reduction(struct brim_infer *c)
{
    const struct brim_shape *in = &c->in[0].shape;
    struct brim_shape *out = &c->out[0].shape;
    struct brim_reduction r;

    c->out[0].dtype = c->in[0].dtype;
    BRIM_TRY(brim_resolve_reduction(c, &r));
    if (!r.known) {
        unknown_dims(out, r.keepdims ? in->rank : -1);
        return BRIM_OK;
    }
    out->rank = 0;
    for (int i = 0; i < in->rank; i++) {
        if (!r.reduced[i]) {
            out->dim[out->rank++] = in->dim[i];
        } else if (r.keepdims) {
            out->dim[out->rank++] = 1;
        }
    }
    return BRIM_OK;
}

static brim_status infer_reduce_sum(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(
        c, 0, BRIM_T_FLOATS | BRIM_T_INDEX | BRIM_T(BRIM_UINT32) | BRIM_T(BRIM_UINT64)));
    return infer_reduction(c);
}

static brim_status infer_reduce_max(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_NUMERIC | BRIM_T(BRIM_BOOL)));
    return infer_reduction(c);
}

static brim_status infer_arg_max(struct brim_infer *c)
{
    const struct brim_shape *in = &c->in[0].shape;
    struct brim_shape *out = &c->out[0].shape;
    int axis = 0;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_NUMERIC));
    c->out[0].dtype = BRIM_INT64;
    if (in->rank < 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_infer_axis(c, brim_node_int(c->node, "axis", 0), in->rank, &axis));
    if (in->dim[axis] == 0) {
        return brim_infer_fail(c, "axis %d is empty, so it has no largest element", axis);
    }
    out->rank = 0;
    for (int i = 0; i < in->rank; i++) {
        if (i != axis) {
            out->dim[out->rank++] = in->dim[i];
        } else if (brim_node_int(c->node, "keepdims", 1) != 0) {
            out->dim[out->rank++] = 1;
        }
    }
    return BRIM_OK;
}

/* domain, name, inputs min..max, outputs min..max, rule */
const struct brim_op brim_ops_move[] = {
    {"", "ArgMax", 1, 1, 1, 1, infer_arg_max},
    {"", "Concat", 1, -1, 1, 1, infer_concat},
    {"", "Gather", 2, 2, 1, 1, infer_gather},
    {"", "Pad", 1, 4, 1, 1, infer_pad},
    {"", "ReduceMax", 1, 2, 1, 1, infer_reduce_max},
    {"", "ReduceMean", 1, 2, 1, 1, infer_reduce_sum},
    {"", "ReduceSum", 1, 2, 1, 1, infer_reduce_sum},
    {"", "Slice", 1, 5, 1, 1, infer_slice},
    {"", "Split", 1, 2, 1, -1, infer_split},
};

const size_t brim_ops_move_count = sizeof brim_ops_move / sizeof brim_ops_move[0];
