/* binary.c - Add, Sub, Mul, Div, Min, Max, Equal, Less, Greater, with broadcasting.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Min and Max give NaN when an operand is NaN. Integers wrap; integer Div truncates toward zero and
 * refuses a zero divisor.
 */
#include "run/ops/loops.h"
#include "run/ops/table.h"
#include "run/ops/walk.h"
#include "run/ops/widen.h"

typedef void binary_loop(size_t n, void *out, const void *a, const void *b, const size_t step[2]);

/* y = expr(p, q) for each element; the first loop is the one that matters for speed. */
#define DEFINE_LOOP(op, T, R, expr)                                                                \
    static void op##_##T(size_t n, void *out, const void *pa, const void *pb,                      \
                         const size_t step[2])                                                     \
    {                                                                                              \
        const T *a = pa, *b = pb;                                                                  \
        R *y = out;                                                                                \
        if (step[0] == 1 && step[1] == 1) {                                                        \
            for (size_t i = 0; i < n; i++) {                                                       \
                const T p = a[i], q = b[i];                                                        \
                y[i] = (R)(expr);                                                                  \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        if (step[0] == 1 && step[1] == 0) {                                                        \
            const T q = b[0];                                                                      \
            for (size_t i = 0; i < n; i++) {                                                       \
                const T p = a[i];                                                                  \
                y[i] = (R)(expr);                                                                  \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            const T p = a[i * step[0]], q = b[i * step[1]];                                        \
            y[i] = (R)(expr);                                                                      \
        }                                                                                          \
    }

#define ARITHMETIC(op, T, expr) DEFINE_LOOP(op, T, T, expr)
#define COMPARISON(op, T, expr) DEFINE_LOOP(op, T, uint8_t, expr)

#define DEFINE_ALL(kind, op, on_floats, on_integers)                                               \
    BRIM_FOR_FLOATS(kind, op, on_floats)                                                           \
    BRIM_FOR_SIGNED(kind, op, on_integers)                                                         \
    BRIM_FOR_UNSIGNED(kind, op, on_integers)                                                       \
    static binary_loop *const op##_loops[BRIM_LOOPS] = {BRIM_LOOPS_NUMBERS(op)};

DEFINE_ALL(ARITHMETIC, add, p + q, (uint64_t)p + (uint64_t)q)
DEFINE_ALL(ARITHMETIC, sub, p - q, (uint64_t)p - (uint64_t)q)
DEFINE_ALL(ARITHMETIC, mul, (p) * (q), (uint64_t)(p) * (uint64_t)(q))
DEFINE_ALL(ARITHMETIC, min, p < q || p != p ? p : q, p < q ? p : q)
DEFINE_ALL(ARITHMETIC, max, p > q || p != p ? p : q, p > q ? p : q)
DEFINE_ALL(COMPARISON, less, p < q, p < q)
DEFINE_ALL(COMPARISON, greater, p > q, p > q)
DEFINE_ALL(COMPARISON, at_most, p <= q, p <= q)
DEFINE_ALL(COMPARISON, at_least, p >= q, p >= q)

BRIM_FOR_FLOATS(ARITHMETIC, div, p / q)
BRIM_FOR_SIGNED(ARITHMETIC, div, q == -1 ? 0 - (uint64_t)p : (uint64_t)(p / q))
BRIM_FOR_UNSIGNED(ARITHMETIC, div, p / q)
static binary_loop *const div_loops[BRIM_LOOPS] = {BRIM_LOOPS_NUMBERS(div)};

BRIM_FOR_FLOATS(COMPARISON, equal, p == q)
BRIM_FOR_SIGNED(COMPARISON, equal, p == q)
BRIM_FOR_UNSIGNED(COMPARISON, equal, p == q)
static binary_loop *const equal_loops[BRIM_LOOPS] = {
    BRIM_LOOPS_NUMBERS(equal),
    [BRIM_BOOL] = equal_uint8_t,
};

static void apply(binary_loop *loop, struct brim_tensor *out, const struct brim_tensor *a,
                  const struct brim_tensor *b)
{
    const struct brim_shape *const shapes[] = {&a->type.shape, &b->type.shape};
    const size_t in_size = brim_dtype_size(a->type.dtype);
    const size_t out_size = brim_dtype_size(out->type.dtype);
    struct brim_walk w;

    for (bool more = brim_walk_init(&w, &out->type.shape, shapes, 2); more;
         more = brim_walk_next(&w)) {
        loop(w.n, (char *)out->data + w.out * out_size, (const char *)a->data + w.at[0] * in_size,
             (const char *)b->data + w.at[1] * in_size, w.step);
    }
}

static binary_loop *find_loop(const struct brim_op_call *c, binary_loop *const *loops)
{
    const enum brim_dtype t = c->in[0]->type.dtype;

    return (size_t)t < BRIM_LOOPS ? loops[t] : NULL;
}

static brim_status no_loop(const struct brim_op_call *c)
{
    return brim_op_fail(c, BRIM_ERR_UNSUPPORTED, "is not defined for %s",
                        brim_dtype_name(c->in[0]->type.dtype));
}

static brim_status run_binary(struct brim_op_call *c, binary_loop *const *loops)
{
    struct brim_op_call wide;

    BRIM_TRY(brim_widen(c, &wide));
    binary_loop *loop = find_loop(&wide, loops);
    if (loop == NULL) {
        return no_loop(c);
    }
    struct brim_tensor second = *wide.in[1];
    second.type.shape = brim_op_second_shape(c);
    apply(loop, &wide.out[0], wide.in[0], &second);
    brim_narrow(c, &wide);
    return BRIM_OK;
}

static brim_status run_add(struct brim_op_call *c)
{
    return run_binary(c, add_loops);
}

static brim_status run_sub(struct brim_op_call *c)
{
    return run_binary(c, sub_loops);
}

static brim_status run_mul(struct brim_op_call *c)
{
    return run_binary(c, mul_loops);
}

static bool has_zero(const struct brim_tensor *t)
{
    const size_t n = (size_t)brim_shape_count(&t->type.shape);
    const size_t size = brim_dtype_size(t->type.dtype);
    const unsigned char *p = t->data;

    for (size_t i = 0; i < n; i++) {
        unsigned any = 0;
        for (size_t k = 0; k < size; k++) {
            any |= p[i * size + k];
        }
        if (any == 0) {
            return true;
        }
    }
    return false;
}

static brim_status run_div(struct brim_op_call *c)
{
    if (brim_dtype_is_integer(c->in[1]->type.dtype) && has_zero(c->in[1])) {
        return brim_op_fail(c, BRIM_ERR_ARG, "an integer is divided by zero");
    }
    return run_binary(c, div_loops);
}

static brim_status run_less(struct brim_op_call *c)
{
    return run_binary(c, less_loops);
}

static brim_status run_greater(struct brim_op_call *c)
{
    return run_binary(c, greater_loops);
}

static brim_status run_at_most(struct brim_op_call *c)
{
    return run_binary(c, at_most_loops);
}

static brim_status run_at_least(struct brim_op_call *c)
{
    return run_binary(c, at_least_loops);
}

static brim_status run_equal(struct brim_op_call *c)
{
    return run_binary(c, equal_loops);
}

/* The output holds the result so far: of the first two operands at first. */
static brim_status run_variadic(struct brim_op_call *c, binary_loop *const *loops)
{
    struct brim_op_call wide;

    BRIM_TRY(brim_widen(c, &wide));
    binary_loop *loop = find_loop(&wide, loops);
    if (loop == NULL) {
        return no_loop(c);
    }
    apply(loop, &wide.out[0], wide.in[0], wide.in[wide.n_in > 1]);
    for (size_t i = 2; i < wide.n_in; i++) {
        apply(loop, &wide.out[0], &wide.out[0], wide.in[i]);
    }
    brim_narrow(c, &wide);
    return BRIM_OK;
}

static brim_status run_min(struct brim_op_call *c)
{
    return run_variadic(c, min_loops);
}

static brim_status run_max(struct brim_op_call *c)
{
    return run_variadic(c, max_loops);
}

const struct brim_op_kernel brim_kernels_binary[] = {
    {"", "Add", run_add, NULL},
    {"", "Div", run_div, NULL},
    {"", "Equal", run_equal, NULL},
    {"", "Greater", run_greater, NULL},
    {"", "GreaterOrEqual", run_at_least, NULL},
    {"", "LessOrEqual", run_at_most, NULL},
    {"", "Less", run_less, NULL},
    {"", "Max", run_max, NULL},
    {"", "Min", run_min, NULL},
    {"", "Mul", run_mul, NULL},
    {"", "Sub", run_sub, NULL},
};

const size_t brim_kernels_binary_count = sizeof brim_kernels_binary / sizeof brim_kernels_binary[0];
