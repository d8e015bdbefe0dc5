/* move.c - Concat, Split, Slice, Gather. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "run/ops/copy.h"
#include "run/ops/resolve.h"
#include "run/ops/table.h"

/* Elements before and after an axis: the tensor is [outer][axis][inner]. */
struct around {
    int axis;
    size_t outer, size, inner; /* inner in bytes */
};

static struct around around_axis(const struct brim_tensor *t, int64_t axis)
{
    const struct brim_shape *s = &t->type.shape;
    struct around a = {.outer = 1, .inner = brim_dtype_size(t->type.dtype)};

    a.axis = (int)(axis < 0 ? axis + s->rank : axis);
    a.size = (size_t)s->dim[a.axis];
    for (int i = 0; i < s->rank; i++) {
        if (i < a.axis) {
            a.outer *= (size_t)s->dim[i];
        } else if (i > a.axis) {
            a.inner *= (size_t)s->dim[i];
        }
    }
    return a;
}

/* `rows` pieces of `bytes`, from pitch to pitch. */
static void copy_pieces(char *out, size_t out_pitch, const char *in, size_t in_pitch, size_t rows,
                        size_t bytes)
{
    for (size_t i = 0; bytes > 0 && i < rows; i++) {
        memcpy(out + i * out_pitch, in + i * in_pitch, bytes);
    }
}

static brim_status run_concat(struct brim_op_call *c)
{
    const struct around to = around_axis(&c->out[0], brim_node_int(c->node, "axis", 0));
    char *out = c->out[0].data;

    for (size_t i = 0; i < c->n_in; i++) {
        const size_t bytes = (size_t)c->in[i]->type.shape.dim[to.axis] * to.inner;
        copy_pieces(out, to.size * to.inner, c->in[i]->data, bytes, to.outer, bytes);
        out += bytes;
    }
    return BRIM_OK;
}

static brim_status run_split(struct brim_op_call *c)
{
    const struct around from = around_axis(c->in[0], brim_node_int(c->node, "axis", 0));
    const char *in = c->in[0]->data;

    for (size_t i = 0; i < c->n_out; i++) {
        const size_t bytes = (size_t)c->out[i].type.shape.dim[from.axis] * from.inner;
        if (c->out[i].data != NULL) {
            copy_pieces(c->out[i].data, bytes, in, from.size * from.inner, from.outer, bytes);
        }
        in += bytes;
    }
    return BRIM_OK;
}

static brim_status run_slice(struct brim_op_call *c)
{
    const struct brim_shape *in = &c->in[0]->type.shape;
    const size_t size = brim_dtype_size(c->in[0]->type.dtype);
    struct brim_copy copy = {.rank = in->rank};
    ptrdiff_t stride[BRIM_MAX_RANK], at = 0;
    struct brim_infer view;
    struct brim_slice s;

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_resolve_slice(&view, &s));
    if (brim_shape_count(&c->out[0].type.shape) == 0) {
        return BRIM_OK;
    }
    brim_shape_strides(in, stride);
    for (int i = 0; i < in->rank; i++) {
        copy.dim[i] = (size_t)s.count[i];
        copy.stride[i] = s.count[i] > 1 ? stride[i] * (ptrdiff_t)s.step[i] : 0;
        at += stride[i] * (ptrdiff_t)s.start[i];
    }
    brim_copy_strided(&copy, size, c->out[0].data,
                      (const char *)c->in[0]->data + at * (ptrdiff_t)size);
    return BRIM_OK;
}

static brim_status run_gather(struct brim_op_call *c)
{
    const struct around from = around_axis(c->in[0], brim_node_int(c->node, "axis", 0));
    const size_t n = (size_t)brim_shape_count(&c->in[1]->type.shape);
    const bool wide = c->in[1]->type.dtype == BRIM_INT64;

    for (size_t i = 0; i < n; i++) {
        const int64_t given =
            wide ? ((const int64_t *)c->in[1]->data)[i] : ((const int32_t *)c->in[1]->data)[i];
        const int64_t size = (int64_t)from.size;
        if (given < -size || given >= size) {
            return brim_op_fail(c, BRIM_ERR_ARG, "index %lld is outside axis %d of size %lld",
                                (long long)given, from.axis, (long long)size);
        }
        const size_t index = (size_t)(given < 0 ? given + size : given);
        copy_pieces((char *)c->out[0].data + i * from.inner, n * from.inner,
                    (const char *)c->in[0]->data + index * from.inner, from.size * from.inner,
                    from.outer, from.inner);
    }
    return BRIM_OK;
}

const struct brim_op_kernel brim_kernels_move[] = {
    {"", "Concat", run_concat, NULL},
    {"", "Gather", run_gather, NULL},
    {"", "Slice", run_slice, NULL},
    {"", "Split", run_split, NULL},
};

const size_t brim_kernels_move_count = sizeof brim_kernels_move / sizeof brim_kernels_move[0];
