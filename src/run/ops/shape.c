/* shape.c - operators that view data differently or make it: Identity, Reshape and its kin,
 * Transpose, Expand, Where, Shape, Constant, ConstantOfShape. SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "run/ops/copy.h"
#include "run/ops/resolve.h"
#include "run/ops/table.h"
#include "run/ops/walk.h"

brim_status brim_op_view(const struct brim_op_call *c, struct brim_infer *view)
{
    struct brim_type *types = brim_arena_zalloc(c->scratch, c->n_in + 1, sizeof *types);

    if (types == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < c->n_in; i++) {
        if (c->in[i] != NULL) {
            types[i] = c->in[i]->type;
        }
    }
    *view = (struct brim_infer){
        .ctx = c->ctx, .node = c->node, .opset = c->opset, .in = types, .value = c->in};
    return BRIM_OK;
}

static size_t count_of(const struct brim_tensor *t)
{
    return (size_t)brim_shape_count(&t->type.shape);
}

/* The same elements in the same order: Identity, Reshape, Flatten, Squeeze, Unsqueeze. */
static brim_status run_same(struct brim_op_call *c)
{
    const size_t n = count_of(c->in[0]);

    if (n > 0) {
        memcpy(c->out[0].data, c->in[0]->data, n * brim_dtype_size(c->in[0]->type.dtype));
    }
    return BRIM_OK;
}

static brim_status run_transpose(struct brim_op_call *c)
{
    const struct brim_shape *in = &c->in[0]->type.shape;
    struct brim_copy copy = {.rank = in->rank};
    ptrdiff_t stride[BRIM_MAX_RANK];
    int perm[BRIM_MAX_RANK];
    struct brim_infer view;

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_resolve_perm(&view, in->rank, perm));
    brim_shape_strides(in, stride);
    for (int i = 0; i < in->rank; i++) {
        copy.dim[i] = (size_t)in->dim[perm[i]];
        copy.stride[i] = stride[perm[i]];
    }
    brim_copy_strided(&copy, brim_dtype_size(c->in[0]->type.dtype), c->out[0].data, c->in[0]->data);
    return BRIM_OK;
}

static brim_status run_expand(struct brim_op_call *c)
{
    const struct brim_shape *in = &c->in[0]->type.shape, *out = &c->out[0].type.shape;
    struct brim_copy copy = {.rank = out->rank};
    ptrdiff_t stride[BRIM_MAX_RANK];

    brim_shape_strides(in, stride);
    for (int i = 0; i < out->rank; i++) {
        const int k = i - (out->rank - in->rank);
        copy.dim[i] = (size_t)out->dim[i];
        copy.stride[i] = k >= 0 && in->dim[k] != 1 ? stride[k] : 0;
    }
    brim_copy_strided(&copy, brim_dtype_size(c->in[0]->type.dtype), c->out[0].data, c->in[0]->data);
    return BRIM_OK;
}

#define DEFINE_CHOOSE(T)                                                                           \
    static void choose_##T(const struct brim_walk *w, const uint8_t *condition, const void *yes,   \
                           const void *no, void *out)                                              \
    {                                                                                              \
        const uint8_t *q = condition + w->at[0];                                                   \
        const T *a = (const T *)yes + w->at[1], *b = (const T *)no + w->at[2];                     \
        T *y = (T *)out + w->out;                                                                  \
        for (size_t i = 0; i < w->n; i++) {                                                        \
            y[i] = q[i * w->step[0]] != 0 ? a[i * w->step[1]] : b[i * w->step[2]];                 \
        }                                                                                          \
    }
DEFINE_CHOOSE(uint8_t)
DEFINE_CHOOSE(uint16_t)
DEFINE_CHOOSE(uint32_t)
DEFINE_CHOOSE(uint64_t)

static brim_status run_where(struct brim_op_call *c)
{
    const struct brim_shape *const shapes[] = {&c->in[0]->type.shape, &c->in[1]->type.shape,
                                               &c->in[2]->type.shape};
    const size_t size = brim_dtype_size(c->out[0].type.dtype);
    struct brim_walk w;

    for (bool more = brim_walk_init(&w, &c->out[0].type.shape, shapes, 3); more;
         more = brim_walk_next(&w)) {
        if (size == 1) {
            choose_uint8_t(&w, c->in[0]->data, c->in[1]->data, c->in[2]->data, c->out[0].data);
        } else if (size == 2) {
            choose_uint16_t(&w, c->in[0]->data, c->in[1]->data, c->in[2]->data, c->out[0].data);
        } else if (size == 4) {
            choose_uint32_t(&w, c->in[0]->data, c->in[1]->data, c->in[2]->data, c->out[0].data);
        } else {
            choose_uint64_t(&w, c->in[0]->data, c->in[1]->data, c->in[2]->data, c->out[0].data);
        }
    }
    return BRIM_OK;
}

static brim_status run_shape(struct brim_op_call *c)
{
    const struct brim_shape *s = &c->in[0]->type.shape;
    const size_t n = count_of(&c->out[0]);
    int64_t start = brim_node_int(c->node, "start", 0);

    start = start < 0 ? start + s->rank : start;
    start = start < 0 ? 0 : start;
    for (size_t i = 0; i < n; i++) {
        ((int64_t *)c->out[0].data)[i] = s->dim[start + (int64_t)i];
    }
    return BRIM_OK;
}

static brim_status run_constant(struct brim_op_call *c)
{
    const size_t n = count_of(&c->out[0]);
    struct brim_constant value;
    struct brim_infer view;

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_resolve_constant(&view, &value));
    if (n > 0) {
        memcpy(c->out[0].data, value.data, n * brim_dtype_size(c->out[0].type.dtype));
    }
    return BRIM_OK;
}

static brim_status run_constant_of_shape(struct brim_op_call *c)
{
    const struct brim_attr *a = brim_node_attr(c->node, "value");
    const float zero = 0;

    brim_fill(c->out[0].data, a != NULL ? a->t->data : &zero, brim_dtype_size(c->out[0].type.dtype),
              count_of(&c->out[0]));
    return BRIM_OK;
}

const struct brim_op_kernel brim_kernels_shape[] = {
    {"", "Constant", run_constant, NULL},   {"", "ConstantOfShape", run_constant_of_shape, NULL},
    {"", "Expand", run_expand, NULL},       {"", "Flatten", run_same, NULL},
    {"", "Identity", run_same, NULL},       {"", "Reshape", run_same, NULL},
    {"", "Shape", run_shape, NULL},         {"", "Squeeze", run_same, NULL},
    {"", "Transpose", run_transpose, NULL}, {"", "Unsqueeze", run_same, NULL},
    {"", "Where", run_where, NULL},
};

const size_t brim_kernels_shape_count = sizeof brim_kernels_shape / sizeof brim_kernels_shape[0];
