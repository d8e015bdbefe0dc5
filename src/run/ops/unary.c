/* unary.c - elementwise operators of one tensor, and Clip. SPDX-License-Identifier: Apache-2.0
 *
 * NaN stays NaN in all of them. Integers wrap: the absolute value and the negation of the smallest
 * integer are itself.
 */
#include <math.h>
#include <string.h>

#include "run/ops/loops.h"
#include "run/ops/table.h"
#include "run/ops/widen.h"

/* a and b are the operator's two parameters: alpha and beta, or the limits of Clip. */
typedef void unary_loop(size_t n, void *out, const void *in, const void *a, const void *b);

#define DEFINE_LOOP(op, T, expr)                                                                   \
    static void op##_##T(size_t n, void *out, const void *in, const void *pa, const void *pb)      \
    {                                                                                              \
        const T *px = in, a = *(const T *)pa, b = *(const T *)pb;                                  \
        T *y = out;                                                                                \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        for (size_t i = 0; i < n; i++) {                                                           \
            const T x = px[i];                                                                     \
            y[i] = (T)(expr);                                                                      \
        }                                                                                          \
    }

/* The float loop uses the functions of float, the double loop those of double. */
#define DEFINE_REAL(op, on_float, on_double)                                                       \
    DEFINE_LOOP(op, float, on_float)                                                               \
    DEFINE_LOOP(op, double, on_double)                                                             \
    static unary_loop *const op##_loops[BRIM_LOOPS] = {BRIM_LOOPS_FLOATS(op)};

BRIM_FOR_FLOATS(DEFINE_LOOP, abs, x < 0 ? -x : x == 0 ? 0 : x)
BRIM_FOR_SIGNED(DEFINE_LOOP, abs, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
BRIM_FOR_UNSIGNED(DEFINE_LOOP, abs, x)
static unary_loop *const abs_loops[BRIM_LOOPS] = {BRIM_LOOPS_NUMBERS(abs)};

BRIM_FOR_FLOATS(DEFINE_LOOP, neg, -x)
BRIM_FOR_SIGNED(DEFINE_LOOP, neg, 0 - (uint64_t)x)
static unary_loop *const neg_loops[BRIM_LOOPS] = {BRIM_LOOPS_FLOATS(neg), BRIM_LOOPS_SIGNED(neg)};

BRIM_FOR_FLOATS(DEFINE_LOOP, relu, x < 0 ? 0 : x)
BRIM_FOR_SIGNED(DEFINE_LOOP, relu, x < 0 ? 0 : x)
static unary_loop *const relu_loops[BRIM_LOOPS] = {BRIM_LOOPS_FLOATS(relu),
                                                   BRIM_LOOPS_SIGNED(relu)};

/* The upper limit wins when the limits cross. */
#define CLIPPED (x < a ? a : x) > b ? b : (x < a ? a : x)
BRIM_FOR_FLOATS(DEFINE_LOOP, clip, CLIPPED)
BRIM_FOR_SIGNED(DEFINE_LOOP, clip, CLIPPED)
BRIM_FOR_UNSIGNED(DEFINE_LOOP, clip, CLIPPED)
static unary_loop *const clip_loops[BRIM_LOOPS] = {BRIM_LOOPS_NUMBERS(clip)};

BRIM_FOR_FLOATS(DEFINE_LOOP, sign, x > 0 ? 1 : x < 0 ? -1 : x)
BRIM_FOR_SIGNED(DEFINE_LOOP, sign, x > 0 ? 1 : x < 0 ? -1 : 0)
BRIM_FOR_UNSIGNED(DEFINE_LOOP, sign, x > 0)
static unary_loop *const sign_loops[BRIM_LOOPS] = {BRIM_LOOPS_NUMBERS(sign)};

DEFINE_REAL(ceil, ceilf(x), ceil(x))
DEFINE_REAL(floor, floorf(x), floor(x))
DEFINE_REAL(round, rintf(x), rint(x)) /* half to even */
DEFINE_REAL(leaky, x < 0 ? a * x : x, x < 0 ? a * x : x)
DEFINE_REAL(reciprocal, 1 / x, 1 / x)
DEFINE_REAL(exp, expf(x), exp(x))
DEFINE_REAL(sqrt, sqrtf(x), sqrt(x))
DEFINE_REAL(tanh, tanhf(x), tanh(x))
DEFINE_REAL(sigmoid, 1 / (1 + expf(-x)), 1 / (1 + exp(-x)))

/* The smaller and the larger of the two, NaN when the first is. */
#define AT_MOST(u, v)  ((u) > (v) ? (v) : (u))
#define AT_LEAST(u, v) ((u) < (v) ? (v) : (u))
DEFINE_REAL(hard_sigmoid, AT_LEAST(AT_MOST((a * x) + b, 1), 0),
            AT_LEAST(AT_MOST((a * x) + b, 1), 0))
DEFINE_REAL(hard_swish, (x)*AT_LEAST(AT_MOST(x / 6 + 0.5F, 1), 0),
            (x)*AT_LEAST(AT_MOST(x / 6 + 0.5, 1), 0))

#define SQRT_HALF  0.70710678118654752440 /* sqrt(1/2) */
#define SQRT_2_PI  0.79788456080286535588 /* sqrt(2/pi) */
#define GELU_CUBIC 0.044715
DEFINE_REAL(gelu, 0.5F * x * (1 + erff(x * (float)SQRT_HALF)), 0.5 * x * (1 + erf(x * SQRT_HALF)))
DEFINE_REAL(gelu_tanh,
            0.5F * x * (1 + tanhf((float)SQRT_2_PI * (x + (float)GELU_CUBIC * x * x * x))),
            0.5 * x * (1 + tanh(SQRT_2_PI * (x + GELU_CUBIC * x * x * x))))

DEFINE_LOOP(erf, float, erff(x))
BRIM_FOR_SIGNED(DEFINE_LOOP, erf, erf((double)x))
BRIM_FOR_UNSIGNED(DEFINE_LOOP, erf, erf((double)x))
DEFINE_LOOP(erf, double, erf(x))
static unary_loop *const erf_loops[BRIM_LOOPS] = {BRIM_LOOPS_NUMBERS(erf)};

union parameter { /* one element of the operator's type */
    float f;
    double d;
    uint64_t u;
};

static brim_status run_unary(struct brim_op_call *c, unary_loop *const *loops, float alpha,
                             float beta)
{
    struct brim_op_call wide;

    BRIM_TRY(brim_widen(c, &wide));
    const enum brim_dtype t = wide.in[0]->type.dtype;
    unary_loop *loop = (size_t)t < BRIM_LOOPS ? loops[t] : NULL;
    if (loop == NULL) {
        return brim_op_fail(c, BRIM_ERR_UNSUPPORTED, "is not defined for %s", brim_dtype_name(t));
    }
    union parameter a = {.u = 0}, b = {.u = 0};
    if (t == BRIM_FLOAT) {
        a.f = alpha;
        b.f = beta;
    } else if (t == BRIM_DOUBLE) {
        a.d = (double)alpha;
        b.d = (double)beta;
    }
    loop((size_t)brim_shape_count(&c->in[0]->type.shape), wide.out[0].data, wide.in[0]->data, &a,
         &b);
    brim_narrow(c, &wide);
    return BRIM_OK;
}

static brim_status run_abs(struct brim_op_call *c)
{
    return run_unary(c, abs_loops, 0, 0);
}

static brim_status run_ceil(struct brim_op_call *c)
{
    return run_unary(c, ceil_loops, 0, 0);
}

static brim_status run_floor(struct brim_op_call *c)
{
    return run_unary(c, floor_loops, 0, 0);
}

static brim_status run_round(struct brim_op_call *c)
{
    return run_unary(c, round_loops, 0, 0);
}

static brim_status run_sign(struct brim_op_call *c)
{
    return run_unary(c, sign_loops, 0, 0);
}

static brim_status run_neg(struct brim_op_call *c)
{
    return run_unary(c, neg_loops, 0, 0);
}

static brim_status run_relu(struct brim_op_call *c)
{
    return run_unary(c, relu_loops, 0, 0);
}

static brim_status run_leaky_relu(struct brim_op_call *c)
{
    return run_unary(c, leaky_loops, brim_node_float(c->node, "alpha", 0.01F), 0);
}

static brim_status run_reciprocal(struct brim_op_call *c)
{
    return run_unary(c, reciprocal_loops, 0, 0);
}

static brim_status run_exp(struct brim_op_call *c)
{
    return run_unary(c, exp_loops, 0, 0);
}

static brim_status run_sqrt(struct brim_op_call *c)
{
    return run_unary(c, sqrt_loops, 0, 0);
}

static brim_status run_tanh(struct brim_op_call *c)
{
    return run_unary(c, tanh_loops, 0, 0);
}

static brim_status run_sigmoid(struct brim_op_call *c)
{
    return run_unary(c, sigmoid_loops, 0, 0);
}

static brim_status run_hard_sigmoid(struct brim_op_call *c)
{
    return run_unary(c, hard_sigmoid_loops, brim_node_float(c->node, "alpha", 0.2F),
                     brim_node_float(c->node, "beta", 0.5F));
}

static brim_status run_hard_swish(struct brim_op_call *c)
{
    return run_unary(c, hard_swish_loops, 0, 0);
}

static brim_status run_erf(struct brim_op_call *c)
{
    return run_unary(c, erf_loops, 0, 0);
}

static brim_status run_gelu(struct brim_op_call *c)
{
    const bool fast = strcmp(brim_node_string(c->node, "approximate", "none"), "tanh") == 0;

    return run_unary(c, fast ? gelu_tanh_loops : gelu_loops, 0, 0);
}

/* The widest limits of a type, written as one element of it. */
static void widest(enum brim_dtype t, uint64_t limit[2])
{
    const float f[2] = {-INFINITY, INFINITY};
    const double d[2] = {-(double)INFINITY, (double)INFINITY};
    int64_t v[2];

    brim_dtype_range(t, &v[0], &v[1]);
    for (int i = 0; i < 2; i++) {
        if (t == BRIM_FLOAT) {
            memcpy(&limit[i], &f[i], sizeof f[i]);
        } else if (t == BRIM_DOUBLE) {
            memcpy(&limit[i], &d[i], sizeof d[i]);
        } else {
            limit[i] = t == BRIM_UINT64 && i == 1 ? UINT64_MAX : (uint64_t)v[i];
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            limit[i] <<= 64 - 8 * brim_dtype_size(t);
#endif
        }
    }
}

/* The limits are attributes before opset 11, inputs since. */
static void clip_limits(const struct brim_op_call *c, uint64_t limit[2])
{
    static const char *const names[2] = {"min", "max"};
    const enum brim_dtype t = c->in[0]->type.dtype;

    widest(t, limit);
    for (size_t i = 0; i < 2; i++) {
        const float f = brim_node_float(c->node, names[i], 0);
        const double d = (double)f;
        if (1 + i < c->n_in && c->in[1 + i] != NULL) {
            memcpy(&limit[i], c->in[1 + i]->data, brim_dtype_size(t));
        } else if (brim_node_attr(c->node, names[i]) != NULL && t == BRIM_FLOAT) {
            memcpy(&limit[i], &f, sizeof f);
        } else if (brim_node_attr(c->node, names[i]) != NULL && t == BRIM_DOUBLE) {
            memcpy(&limit[i], &d, sizeof d);
        }
    }
}

static brim_status run_clip(struct brim_op_call *c)
{
    struct brim_op_call wide;
    uint64_t limit[2] = {0};

    BRIM_TRY(brim_widen(c, &wide));
    const enum brim_dtype t = wide.in[0]->type.dtype;
    unary_loop *loop = (size_t)t < BRIM_LOOPS ? clip_loops[t] : NULL;
    if (loop == NULL) {
        return brim_op_fail(c, BRIM_ERR_UNSUPPORTED, "is not defined for %s", brim_dtype_name(t));
    }
    clip_limits(&wide, limit);
    loop((size_t)brim_shape_count(&c->in[0]->type.shape), wide.out[0].data, wide.in[0]->data,
         &limit[0], &limit[1]);
    brim_narrow(c, &wide);
    return BRIM_OK;
}

const struct brim_op_kernel brim_kernels_unary[] = {
    {"", "Abs", run_abs, NULL},
    {"", "Ceil", run_ceil, NULL},
    {"", "Clip", run_clip, NULL},
    {"", "Erf", run_erf, NULL},
    {"", "Exp", run_exp, NULL},
    {"", "Floor", run_floor, NULL},
    {"", "Gelu", run_gelu, NULL},
    {"", "HardSigmoid", run_hard_sigmoid, NULL},
    {"", "HardSwish", run_hard_swish, NULL},
    {"", "LeakyRelu", run_leaky_relu, NULL},
    {"", "Neg", run_neg, NULL},
    {"", "Reciprocal", run_reciprocal, NULL},
    {"", "Relu", run_relu, NULL},
    {"", "Round", run_round, NULL},
    {"", "Sigmoid", run_sigmoid, NULL},
    {"", "Sign", run_sign, NULL},
    {"", "Sqrt", run_sqrt, NULL},
    {"", "Tanh", run_tanh, NULL},
};

const size_t brim_kernels_unary_count = sizeof brim_kernels_unary / sizeof brim_kernels_unary[0];
