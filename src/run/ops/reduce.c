/* reduce.c - ReduceSum, ReduceMean, ReduceMax, ArgMax. SPDX-License-Identifier: Apache-2.0
 *
 * Sums of floats and all means are kept in double and rounded once at the end; sums of integers
 * wrap. Of nothing the sum is 0, the mean NaN (0 for integers), the maximum the type's lowest
 * value. A NaN is larger than everything. Each output is reduced in memory order.
 */
#include <math.h>
#include <string.h>

#include "run/ops/cast.h"
#include "run/ops/copy.h"
#include "run/ops/loops.h"
#include "run/ops/resolve.h"
#include "run/ops/table.h"
#include "run/ops/widen.h"

union value {
    double d;
    uint64_t u;
    unsigned char bytes[8]; /* one element of the type: ReduceMax */
};

/* Take in n elements, `stride` apart. */
typedef void reduce_loop(size_t n, const void *in, ptrdiff_t stride, union value *acc);

#define DEFINE_LOOP(op, T, statement)                                                              \
    static void op##_##T(size_t n, const void *in, ptrdiff_t stride, union value *acc)             \
    {                                                                                              \
        const T *p = in;                                                                           \
        for (size_t i = 0; i < n; i++) {                                                           \
            const T x = p[(ptrdiff_t)i * stride];                                                  \
            statement;                                                                             \
        }                                                                                          \
    }

BRIM_FOR_FLOATS(DEFINE_LOOP, sum, acc->d += (double)x)
BRIM_FOR_SIGNED(DEFINE_LOOP, sum, acc->u += (uint64_t)x)
BRIM_FOR_UNSIGNED(DEFINE_LOOP, sum, acc->u += (uint64_t)x)
static reduce_loop *const sum_loops[BRIM_LOOPS] = {BRIM_LOOPS_NUMBERS(sum)};

BRIM_FOR_SIGNED(DEFINE_LOOP, mean, acc->d += (double)x)
BRIM_FOR_UNSIGNED(DEFINE_LOOP, mean, acc->d += (double)x)
static reduce_loop *const mean_loops[BRIM_LOOPS] = {
    [BRIM_FLOAT] = sum_float,
    [BRIM_DOUBLE] = sum_double,
    BRIM_LOOPS_SIGNED(mean),
    BRIM_LOOPS_UNSIGNED(mean),
};

#define DEFINE_MAX(op, T, is_nan)                                                                  \
    static void op##_##T(size_t n, const void *in, ptrdiff_t stride, union value *acc)             \
    {                                                                                              \
        const T *p = in;                                                                           \
        T best;                                                                                    \
        memcpy(&best, acc->bytes, sizeof best);                                                    \
        for (size_t i = 0; i < n; i++) {                                                           \
            const T x = p[(ptrdiff_t)i * stride];                                                  \
            best = x > best || (is_nan) ? x : best;                                                \
        }                                                                                          \
        memcpy(acc->bytes, &best, sizeof best);                                                    \
    }
BRIM_FOR_FLOATS(DEFINE_MAX, max, x != x)
BRIM_FOR_SIGNED(DEFINE_MAX, max, false)
BRIM_FOR_UNSIGNED(DEFINE_MAX, max, false)
static reduce_loop *const max_loops[BRIM_LOOPS] = {
    BRIM_LOOPS_NUMBERS(max),
    [BRIM_BOOL] = max_uint8_t,
};

/* Some axes of the input, outermost first; neighbours joined. */
struct axes {
    int rank;
    size_t count, dim[BRIM_MAX_RANK], index[BRIM_MAX_RANK];
    ptrdiff_t stride[BRIM_MAX_RANK];
};

static void add_axis(struct axes *a, size_t dim, ptrdiff_t stride)
{
    const int last = a->rank - 1;

    a->count *= dim;
    if (dim == 1) {
        return;
    }
    if (last >= 0 && (size_t)a->stride[last] == (size_t)stride * dim) {
        a->dim[last] *= dim;
        a->stride[last] = stride;
        return;
    }
    a->dim[a->rank] = dim;
    a->stride[a->rank++] = stride;
}

/* Step the first `rank` axes; the change of offset, back to 0 after the last. */
static ptrdiff_t step(struct axes *a, int rank)
{
    ptrdiff_t moved = 0;

    for (int i = rank - 1; i >= 0; i--) {
        moved += a->stride[i];
        if (++a->index[i] < a->dim[i]) {
            return moved;
        }
        moved -= a->stride[i] * (ptrdiff_t)a->dim[i];
        a->index[i] = 0;
    }
    return moved;
}

/* One output: everything along the reduced axes from `in` on. */
static void reduce_one(struct axes *r, size_t size, const char *in, reduce_loop *loop,
                       union value *acc)
{
    const int row = r->rank - 1;
    const size_t n = row < 0 ? r->count : r->dim[row];
    const ptrdiff_t stride = row < 0 ? 0 : r->stride[row];

    if (r->count == 0) {
        return;
    }
    for (size_t i = 0; i < r->count / n; i++) {
        loop(n, in, stride, acc);
        in += step(r, row) * (ptrdiff_t)size;
    }
}

enum kind { SUM, MEAN, MAX };

/* The value before anything is taken in. */
static union value initial(enum kind kind, enum brim_dtype t)
{
    const double low = -(double)INFINITY;
    union value v = {.u = 0};
    int64_t lo, hi;

    if (kind != MAX) {
        return kind == MEAN || t == BRIM_FLOAT || t == BRIM_DOUBLE ? (union value){.d = 0} : v;
    }
    if (t == BRIM_FLOAT || t == BRIM_DOUBLE) {
        brim_cast(BRIM_DOUBLE, &low, t, v.bytes, 1);
    } else if (t != BRIM_BOOL) {
        brim_dtype_range(t, &lo, &hi);
        brim_cast(BRIM_INT64, &lo, t, v.bytes, 1);
    }
    return v;
}

static void finish(enum kind kind, const union value *v, size_t count, enum brim_dtype t, void *out)
{
    const size_t size = brim_dtype_size(t);

    if (kind == MAX) {
        memcpy(out, v->bytes, size);
    } else if (kind == MEAN) {
        const double mean = v->d / (double)count;
        brim_cast(BRIM_DOUBLE, &mean, t, out, 1);
    } else if (t == BRIM_FLOAT || t == BRIM_DOUBLE) {
        brim_cast(BRIM_DOUBLE, &v->d, t, out, 1);
    } else {
        brim_cast(BRIM_UINT64, &v->u, t, out, 1);
    }
}

static brim_status reduce(struct brim_op_call *c, enum kind kind, reduce_loop *const *loops)
{
    const struct brim_shape *in = &c->in[0]->type.shape;
    const enum brim_dtype t = c->in[0]->type.dtype;
    struct axes kept = {.count = 1}, reduced = {.count = 1};
    struct brim_reduction r;
    struct brim_infer view;
    ptrdiff_t stride[BRIM_MAX_RANK];

    reduce_loop *loop = (size_t)t < BRIM_LOOPS ? loops[t] : NULL;
    if (loop == NULL) {
        return brim_op_fail(c, BRIM_ERR_UNSUPPORTED, "is not defined for %s", brim_dtype_name(t));
    }
    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_resolve_reduction(&view, &r));
    brim_shape_strides(in, stride);
    for (int i = 0; i < in->rank; i++) {
        add_axis(r.reduced[i] ? &reduced : &kept, (size_t)in->dim[i], stride[i]);
    }
    const size_t size = brim_dtype_size(t);
    const char *from = c->in[0]->data;
    char *to = c->out[0].data;
    for (size_t i = 0; i < kept.count; i++) {
        union value acc = initial(kind, t);
        reduce_one(&reduced, size, from, loop, &acc);
        finish(kind, &acc, reduced.count, t, to + i * size);
        from += step(&kept, kept.rank) * (ptrdiff_t)size;
    }
    return BRIM_OK;
}

static brim_status run_reduction(struct brim_op_call *c, enum kind kind, reduce_loop *const *loops)
{
    struct brim_op_call wide;

    BRIM_TRY(brim_widen(c, &wide));
    BRIM_TRY(reduce(&wide, kind, loops));
    brim_narrow(c, &wide);
    return BRIM_OK;
}

static brim_status run_reduce_sum(struct brim_op_call *c)
{
    return run_reduction(c, SUM, sum_loops);
}

static brim_status run_reduce_mean(struct brim_op_call *c)
{
    return run_reduction(c, MEAN, mean_loops);
}

static brim_status run_reduce_max(struct brim_op_call *c)
{
    return run_reduction(c, MAX, max_loops);
}

/* Index of the largest of n elements, the first of equals or the last. */
typedef size_t arg_loop(size_t n, const void *in, size_t stride, bool last);

#define DEFINE_ARG(op, T, is_nan)                                                                  \
    static size_t op##_##T(size_t n, const void *in, size_t stride, bool last)                     \
    {                                                                                              \
        const T *p = in;                                                                           \
        size_t at = 0;                                                                             \
        for (size_t i = 1; i < n; i++) {                                                           \
            const T x = p[i * stride], best = p[at * stride];                                      \
            const bool better = x > best || (is_nan(x) && !is_nan(best));                          \
            const bool equal = x == best || (is_nan(x) && is_nan(best));                           \
            at = better || (last && equal) ? i : at;                                               \
        }                                                                                          \
        return at;                                                                                 \
    }
#define NAN_IS_ITSELF(v) ((v) != (v))
#define NEVER_NAN(v)     false
BRIM_FOR_FLOATS(DEFINE_ARG, arg, NAN_IS_ITSELF)
BRIM_FOR_SIGNED(DEFINE_ARG, arg, NEVER_NAN)
BRIM_FOR_UNSIGNED(DEFINE_ARG, arg, NEVER_NAN)
static arg_loop *const arg_loops[BRIM_LOOPS] = {BRIM_LOOPS_NUMBERS(arg)};

static brim_status run_arg_max(struct brim_op_call *c)
{
    const bool last = brim_node_int(c->node, "select_last_index", 0) != 0;
    struct brim_op_call wide;

    BRIM_TRY(brim_widen(c, &wide));
    const struct brim_shape *in = &wide.in[0]->type.shape;
    const enum brim_dtype t = wide.in[0]->type.dtype;
    arg_loop *loop = (size_t)t < BRIM_LOOPS ? arg_loops[t] : NULL;
    if (loop == NULL) {
        return brim_op_fail(c, BRIM_ERR_UNSUPPORTED, "is not defined for %s", brim_dtype_name(t));
    }
    const int64_t given = brim_node_int(c->node, "axis", 0);
    const int axis = (int)(given < 0 ? given + in->rank : given);
    size_t outer = 1, inner = 1;
    for (int i = 0; i < in->rank; i++) {
        outer *= i < axis ? (size_t)in->dim[i] : 1;
        inner *= i > axis ? (size_t)in->dim[i] : 1;
    }
    const size_t n = (size_t)in->dim[axis], size = brim_dtype_size(t);
    const char *x = wide.in[0]->data;
    int64_t *y = c->out[0].data;
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < inner; i++) {
            *y++ = (int64_t)loop(n, x + (o * n * inner + i) * size, inner, last);
        }
    }
    return BRIM_OK;
}

const struct brim_op_kernel brim_kernels_reduce[] = {
    {"", "ArgMax", run_arg_max, NULL},
    {"", "ReduceMax", run_reduce_max, NULL},
    {"", "ReduceMean", run_reduce_mean, NULL},
    {"", "ReduceSum", run_reduce_sum, NULL},
};

const size_t brim_kernels_reduce_count = sizeof brim_kernels_reduce / sizeof brim_kernels_reduce[0];
