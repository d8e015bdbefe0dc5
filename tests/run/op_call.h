/* op_call.h - run one operator on given tensors: shape rule, then computation.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_RUN_OP_CALL_H
#define BRIM_TESTS_RUN_OP_CALL_H

#include "testing.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "run/op.h"

#define CALL_MAX 10

struct call {
    brim_ctx *ctx;
    struct brim_arena arena; /* everything of this call */
    struct brim_node node;
    int64_t opset;
    struct brim_attr attr[CALL_MAX];
    struct brim_tensor in[CALL_MAX], out[CALL_MAX];
    int32_t in_number[CALL_MAX], out_number[CALL_MAX];
    uint64_t constant;
    void *state;
};

static inline void call_begin(struct call *c, brim_ctx *ctx, const char *op, int64_t opset)
{
    memset(c, 0, sizeof *c);
    c->ctx = ctx;
    brim_arena_init(&c->arena, ctx);
    c->opset = opset;
    c->node = (struct brim_node){.name = "n1",
                                 .op = brim_op_find("", op),
                                 .domain = "",
                                 .op_type = op,
                                 .n_out = 1,
                                 .in = c->in_number,
                                 .out = c->out_number,
                                 .attr = c->attr};
    assert_non_null(c->node.op);
}

static inline void call_end(struct call *c)
{
    const struct brim_op_kernel *k = brim_op_kernel_find("", c->node.op_type);

    if (c->state != NULL) {
        k->free_state(c->ctx, c->state);
    }
    brim_arena_free(&c->arena);
}

static inline struct brim_attr *call_attr(struct call *c, const char *name,
                                          enum brim_attr_type type)
{
    struct brim_attr *a = &c->attr[c->node.n_attr++];

    assert_true(c->node.n_attr <= CALL_MAX);
    *a = (struct brim_attr){.name = name, .type = type};
    return a;
}

static inline void call_int(struct call *c, const char *name, int64_t v)
{
    call_attr(c, name, BRIM_ATTR_INT)->i = v;
}

static inline void call_float(struct call *c, const char *name, float v)
{
    call_attr(c, name, BRIM_ATTR_FLOAT)->f = v;
}

static inline void call_string(struct call *c, const char *name, const char *v)
{
    call_attr(c, name, BRIM_ATTR_STRING)->s = v;
}

static inline void call_ints(struct call *c, const char *name, const int64_t *v, size_t n)
{
    struct brim_attr *a = call_attr(c, name, BRIM_ATTR_INTS);
    int64_t *copy = brim_arena_alloc(&c->arena, n + 1, sizeof *copy);

    memcpy(copy, v, n * sizeof *v);
    a->ints = copy;
    a->count = n;
}

#define CALL_INTS(c, name, ...)                                                                    \
    call_ints((c), (name), (const int64_t[]){__VA_ARGS__},                                         \
              sizeof(const int64_t[]){__VA_ARGS__} / sizeof(int64_t))

/* The next input, borrowed. */
static inline void call_in(struct call *c, enum brim_dtype t, const void *data,
                           const struct brim_shape *s)
{
    const size_t i = c->node.n_in++;

    /* Inputs are only read. */
    c->in[i] = (struct brim_tensor){{t, *s}, (void *)(uintptr_t)data};
    c->in_number[i] = (int32_t)i;
}

static inline void call_omit(struct call *c)
{
    c->in_number[c->node.n_in++] = -1;
}

#define SHAPE(...)                                                                                 \
    (&(const struct brim_shape){.rank = sizeof(const int64_t[]){__VA_ARGS__} / sizeof(int64_t),    \
                                .dim = {__VA_ARGS__}})
#define SCALAR (&(const struct brim_shape){.rank = 0})

/* What the rule finds from less (types without values, nothing at all) must not contradict what it
 * found from everything, `all`. */
static inline void call_infer_less(struct call *c, const struct brim_type *all)
{
    struct brim_type types[CALL_MAX], out[CALL_MAX];
    const struct brim_tensor *value[CALL_MAX] = {NULL};

    for (int known = 0; known < 2; known++) {
        for (size_t i = 0; i < CALL_MAX; i++) {
            types[i] = out[i] = (struct brim_type){.shape.rank = -1};
            if (known > 0 && i < c->node.n_in && c->in_number[i] >= 0) {
                types[i] = c->in[i].type;
            }
        }
        struct brim_infer infer = {c->ctx, &c->node, c->opset, types, value, out};
        assert_int_equal(c->node.op->infer(&infer), BRIM_OK);
        for (size_t i = 0; i < c->node.n_out; i++) {
            if (out[i].dtype != BRIM_UNDEFINED) {
                assert_int_equal(out[i].dtype, all[i].dtype);
            }
            if (out[i].shape.rank >= 0) {
                assert_int_equal(out[i].shape.rank, all[i].shape.rank);
            }
            for (int d = 0; d < out[i].shape.rank; d++) {
                assert_true(out[i].shape.dim[d] == -1 ||
                            out[i].shape.dim[d] == all[i].shape.dim[d]);
            }
        }
    }
}

/* Shape rule, allocation, computation. May be called again with other inputs and the same state. */
static inline brim_status call_run(struct call *c)
{
    struct brim_type types[CALL_MAX], out[CALL_MAX];
    const struct brim_tensor *in[CALL_MAX];
    const struct brim_op_kernel *k = brim_op_kernel_find("", c->node.op_type);
    struct brim_arena scratch;

    for (size_t i = 0; i < c->node.n_in; i++) {
        const bool given = c->in_number[i] >= 0;
        in[i] = given ? &c->in[i] : NULL;
        types[i] = given ? c->in[i].type : (struct brim_type){.shape.rank = -1};
    }
    for (size_t i = 0; i < CALL_MAX; i++) {
        out[i] = (struct brim_type){.shape.rank = -1};
    }
    struct brim_infer infer = {c->ctx, &c->node, c->opset, types, in, out};
    BRIM_TRY(c->node.op->infer(&infer));
    call_infer_less(c, out);
    for (size_t i = 0; i < c->node.n_out; i++) {
        const int64_t n = brim_shape_count(&out[i].shape);
        assert_true(n >= 0);
        c->out[i].type = out[i];
        c->out[i].data = brim_arena_alloc(&c->arena, (size_t)n + 1, brim_dtype_size(out[i].dtype));
        assert_non_null(c->out[i].data);
    }
    brim_arena_init(&scratch, c->ctx);
    struct brim_op_call call = {.ctx = c->ctx,
                                .node = &c->node,
                                .opset = c->opset,
                                .n_in = c->node.n_in,
                                .n_out = c->node.n_out,
                                .in = in,
                                .out = c->out,
                                .scratch = &scratch,
                                .constant = c->constant,
                                .state = &c->state};
    const brim_status s = k->run(&call);
    brim_arena_free(&scratch);
    return s;
}

static inline size_t call_count(const struct call *c, size_t i)
{
    return (size_t)brim_shape_count(&c->out[i].type.shape);
}

static inline void assert_shape(const struct call *c, size_t i, const struct brim_shape *want)
{
    char a[96], b[96];

    assert_string_equal(brim_shape_text(&c->out[i].type.shape, a, sizeof a),
                        brim_shape_text(want, b, sizeof b));
}

static inline void assert_floats(const float *got, const float *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++) {
        const double d = (double)got[i] - (double)want[i], w = (double)want[i];
        if (got[i] != want[i] && !((d < 0 ? -d : d) <= tolerance * (1 + (w < 0 ? -w : w)))) {
            fail_msg("element %zu is %.9g, expected %.9g", i, (double)got[i], w);
        }
    }
}

static inline void fill_normal(struct brim_rng *r, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)brim_rng_normal(r);
    }
}

#endif
