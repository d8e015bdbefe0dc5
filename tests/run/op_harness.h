/* op_harness.h - one operator alone: its shape rule, then its computation. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef BRIM_TESTS_RUN_OP_HARNESS_H
#define BRIM_TESTS_RUN_OP_HARNESS_H

#include "testing.h"

#include "run/op.h"

enum { HARNESS_MAX = 8 };

struct harness {
    brim_ctx *ctx;
    struct brim_arena arena; /* tensors and attributes of one call */
    struct brim_attr attr[HARNESS_MAX];
    size_t n_attr, n_in, n_out;
    const struct brim_tensor *in[HARNESS_MAX];
    struct brim_tensor out[HARNESS_MAX];
    int64_t opset;
};

static inline void harness_begin(struct harness *h, brim_ctx *ctx, int64_t opset)
{
    *h = (struct harness){.ctx = ctx, .n_out = 1, .opset = opset};
    brim_arena_init(&h->arena, ctx);
}

static inline void harness_end(struct harness *h)
{
    brim_arena_free(&h->arena);
}

/* A copy of `data`; zeros when it is NULL. */
static inline struct brim_tensor *harness_tensor(struct harness *h, enum brim_dtype t, int rank,
                                                 const int64_t *dim, const void *data)
{
    struct brim_tensor *x = brim_arena_zalloc(&h->arena, 1, sizeof *x);

    x->type.dtype = t;
    x->type.shape.rank = rank;
    for (int i = 0; i < rank; i++) {
        x->type.shape.dim[i] = dim[i];
    }
    const size_t n = (size_t)brim_shape_count(&x->type.shape);
    x->data = brim_arena_zalloc(&h->arena, n + 1, brim_dtype_size(t));
    if (data != NULL && n > 0) {
        memcpy(x->data, data, n * brim_dtype_size(t));
    }
    return x;
}

static inline void harness_in(struct harness *h, const struct brim_tensor *t)
{
    h->in[h->n_in++] = t;
}

/* A 1-D int64 input. */
static inline void harness_in_ints(struct harness *h, const int64_t *v, int64_t n)
{
    harness_in(h, harness_tensor(h, BRIM_INT64, 1, &n, v));
}

static inline void harness_int(struct harness *h, const char *name, int64_t v)
{
    h->attr[h->n_attr++] = (struct brim_attr){.name = name, .type = BRIM_ATTR_INT, .i = v};
}

static inline void harness_ints(struct harness *h, const char *name, const int64_t *v, size_t n)
{
    h->attr[h->n_attr++] =
        (struct brim_attr){.name = name, .type = BRIM_ATTR_INTS, .ints = v, .count = n};
}

static inline void harness_string(struct harness *h, const char *name, const char *v)
{
    h->attr[h->n_attr++] = (struct brim_attr){.name = name, .type = BRIM_ATTR_STRING, .s = v};
}

/* Infer with what `known` says about the inputs: 2 = types and values, 1 = types only, 0 = nothing.
 */
static inline brim_status harness_infer(struct harness *h, const char *name, int known,
                                        struct brim_type *out)
{
    const struct brim_op *op = brim_op_find("", name);
    struct brim_type type[HARNESS_MAX];
    const struct brim_tensor *value[HARNESS_MAX] = {NULL};
    int32_t in[HARNESS_MAX], outs[HARNESS_MAX] = {0};

    assert_non_null(op);
    for (size_t i = 0; i < h->n_in; i++) {
        type[i] = (struct brim_type){.shape.rank = -1};
        in[i] = h->in[i] != NULL ? (int32_t)i : -1;
        if (h->in[i] != NULL && known > 0) {
            type[i] = h->in[i]->type;
            value[i] = known > 1 ? h->in[i] : NULL;
        }
    }
    for (size_t i = 0; i < h->n_out; i++) {
        out[i] = (struct brim_type){.shape.rank = -1};
    }
    const struct brim_node node = {.name = "n",
                                   .op = op,
                                   .domain = "",
                                   .op_type = name,
                                   .n_in = h->n_in,
                                   .n_out = h->n_out,
                                   .n_attr = h->n_attr,
                                   .in = in,
                                   .out = outs,
                                   .attr = h->attr};
    struct brim_infer c = {
        .ctx = h->ctx, .node = &node, .opset = h->opset, .in = type, .value = value, .out = out};
    return op->infer(&c);
}

/* What is inferred from less must not contradict what is inferred from everything. */
static inline void harness_check_partial(struct harness *h, const char *name,
                                         const struct brim_type *all)
{
    struct brim_type some[HARNESS_MAX];

    for (int known = 0; known < 2; known++) {
        ASSERT_OK(h->ctx, harness_infer(h, name, known, some));
        for (size_t i = 0; i < h->n_out; i++) {
            if (some[i].dtype != BRIM_UNDEFINED) {
                assert_int_equal(some[i].dtype, all[i].dtype);
            }
            if (some[i].shape.rank >= 0) {
                assert_int_equal(some[i].shape.rank, all[i].shape.rank);
            }
            for (int d = 0; d < some[i].shape.rank; d++) {
                assert_true(some[i].shape.dim[d] == -1 ||
                            some[i].shape.dim[d] == all[i].shape.dim[d]);
            }
        }
    }
}

static inline brim_status harness_run(struct harness *h, const char *name)
{
    const struct brim_op_kernel *kernel = brim_op_kernel_find("", name);
    struct brim_type type[HARNESS_MAX];
    int32_t in[HARNESS_MAX], outs[HARNESS_MAX] = {0};
    const struct brim_node node = {.name = "n",
                                   .domain = "",
                                   .op_type = name,
                                   .in = in,
                                   .out = outs,
                                   .n_in = h->n_in,
                                   .n_out = h->n_out,
                                   .n_attr = h->n_attr,
                                   .attr = h->attr};
    void *state = NULL;

    assert_non_null(kernel);
    for (size_t i = 0; i < h->n_in; i++) {
        in[i] = h->in[i] != NULL ? (int32_t)i : -1;
    }
    BRIM_TRY(harness_infer(h, name, 2, type));
    harness_check_partial(h, name, type);
    for (size_t i = 0; i < h->n_out; i++) {
        assert_true(brim_shape_count(&type[i].shape) >= 0);
        h->out[i] = *harness_tensor(h, type[i].dtype, type[i].shape.rank, type[i].shape.dim, NULL);
    }
    struct brim_op_call call = {.ctx = h->ctx,
                                .node = &node,
                                .opset = h->opset,
                                .n_in = h->n_in,
                                .n_out = h->n_out,
                                .in = h->in,
                                .out = h->out,
                                .scratch = &h->arena,
                                .state = &state};
    const brim_status s = kernel->run(&call);
    if (kernel->free_state != NULL && state != NULL) {
        kernel->free_state(h->ctx, state);
    }
    return s;
}

#endif
