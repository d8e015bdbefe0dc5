/* qlinear.c - the integer operators of domain com.microsoft: sums, products, tables, concatenation.
 * SPDX-License-Identifier: Apache-2.0
 *
 * ONNX does not define these; what is computed is what onnxruntime's kernels compute on x86 with AVX2
 * or more (read in its sources, onnxruntime/core/mlas/lib and contrib_ops/cpu/quantization; its other
 * kernels may differ in the last unit), in float32 with one rounding per operation unless said
 * otherwise:
 *
 *     add      ra = a_scale / y_scale, rb alike, f = y_zero - (ra * a_zero + rb * b_zero)
 *              y = clip(round(a * ra + (b * rb + f))), each product and sum rounded once together
 *     mul      y = clip(round((a - a_zero) * (b - b_zero) * (a_scale * b_scale / y_scale) + y_zero))
 *     tables   y[code] = clip(round(f(x_scale * (code - x_zero)) / y_scale) + y_zero)
 *     softmax  e[i] = float(exp((i - 255 + shift) * x_scale)) for codes raised so that the largest of
 *              a line is the greatest code; y = clip(round(e * floor(1 / y_scale) / sum e) + y_zero)
 *
 * Rounding is half to even. An operand with one element, or one for a run, is added first.
 */
#include <float.h>
#include <math.h>

#include "base/clones.h"
#include "base/intops.h"
#include "graph/infer.h"
#include "run/ops/elem.h"
#include "run/ops/nn.h"
#include "run/ops/qlinear.h"
#include "run/ops/resolve.h"
#include "run/ops/table.h"
#include "run/ops/walk.h"

#define RUN 256 /* elements converted at a time */

struct brim_code_grid brim_code_grid_of(const struct brim_op_call *c, size_t scale)
{
    struct brim_code_grid g = {.scale = *(const float *)c->in[scale]->data};

    if (brim_op_has(c, scale + 1)) {
        g.zero = (int32_t)brim_tensor_int(c->in[scale + 1], 0);
    }
    return g;
}

/* Whatever v is, NaN included. */
static inline int32_t to_code(float v, float lo, float hi)
{
    v = v > lo ? v : lo;
    v = v < hi ? v : hi;
    return brim_rint_small(v);
}

int32_t brim_code_of(float v, const struct brim_code_grid *g, int64_t lo, int64_t hi)
{
    return to_code(v / g->scale, (float)(lo - g->zero), (float)(hi - g->zero)) + g->zero;
}

/* ---- sums and products ---- */

struct binary {
    float a_ratio, b_ratio, fixed; /* add */
    int32_t a_zero, b_zero;        /* mul */
    float ratio, zero;
    float lo, hi;
};

typedef void binary_loop(const struct binary *p, const int32_t *a, const int32_t *b, size_t n,
                         int32_t *y);

/* A float is what a fused multiply-add gives: the double holds the product exactly. */
BRIM_CLONES
static void sum_pair(const struct binary *p, const int32_t *a, const int32_t *b, size_t n,
                     int32_t *y)
{
    const struct binary q = *p;

    for (size_t i = 0; i < n; i++) {
        const float v = (float)((double)b[i] * (double)q.b_ratio + (double)q.fixed);
        const float sum = (float)((double)a[i] * (double)q.a_ratio + (double)v);
        y[i] = to_code(sum, q.lo, q.hi);
    }
}

BRIM_CLONES
static void multiply_pair(const struct binary *p, const int32_t *a, const int32_t *b, size_t n,
                          int32_t *y)
{
    const struct binary q = *p;

    for (size_t i = 0; i < n; i++) {
        const float product = (float)((a[i] - q.a_zero) * (b[i] - q.b_zero));
        y[i] = to_code(product * q.ratio + q.zero, q.lo, q.hi);
    }
}

static void load(const struct brim_tensor *t, size_t at, size_t step, size_t n, int32_t *v)
{
    brim_elem_load_i32(t, at, step == 0 ? 1 : n, v);
    for (size_t i = 1; step == 0 && i < n; i++) {
        v[i] = v[0];
    }
}

/* The operand that does not advance comes second; p is for in[0] first. */
static void run_pair(struct brim_op_call *c, const struct binary *p, binary_loop *loop)
{
    const struct brim_shape *const shapes[] = {&c->in[0]->type.shape, &c->in[3]->type.shape};
    int32_t a[RUN], b[RUN], y[RUN];
    struct brim_walk w;

    for (bool more = brim_walk_init(&w, &c->out[0].type.shape, shapes, 2); more;
         more = brim_walk_next(&w)) {
        const bool swap = w.step[0] == 0 && w.step[1] != 0;
        struct binary q = *p;
        if (swap) {
            q.a_ratio = p->b_ratio;
            q.b_ratio = p->a_ratio;
            q.a_zero = p->b_zero;
            q.b_zero = p->a_zero;
        }
        for (size_t i = 0; i < w.n; i += RUN) {
            const size_t n = brim_min_size(RUN, w.n - i);
            load(c->in[0], w.at[0] + i * w.step[0], w.step[0], n, a);
            load(c->in[3], w.at[1] + i * w.step[1], w.step[1], n, b);
            loop(&q, swap ? b : a, swap ? a : b, n, y);
            brim_elem_store_i32(&c->out[0], w.out + i, n, y);
        }
    }
}

static struct binary binary_of(const struct brim_op_call *c)
{
    const struct brim_code_grid a = brim_code_grid_of(c, 1), b = brim_code_grid_of(c, 4);
    const struct brim_code_grid y = brim_code_grid_of(c, 6);
    struct binary p = {.a_ratio = a.scale / y.scale,
                       .b_ratio = b.scale / y.scale,
                       .a_zero = a.zero,
                       .b_zero = b.zero,
                       .ratio = a.scale * b.scale / y.scale,
                       .zero = (float)y.zero};
    int64_t lo, hi;

    const float zeros = p.a_ratio * (float)a.zero + p.b_ratio * (float)b.zero;
    p.fixed = (float)y.zero - zeros;
    brim_dtype_range(c->out[0].type.dtype, &lo, &hi);
    p.lo = (float)lo;
    p.hi = (float)hi;
    return p;
}

static brim_status run_add(struct brim_op_call *c)
{
    const struct binary p = binary_of(c);

    run_pair(c, &p, sum_pair);
    return BRIM_OK;
}

static brim_status run_mul(struct brim_op_call *c)
{
    const struct binary p = binary_of(c);

    run_pair(c, &p, multiply_pair);
    return BRIM_OK;
}

/* ---- tables: one output code for each input code ---- */

/* Entries by the byte that stores a code. */
struct table {
    uint8_t code[256];
};

static float leaky(float v, float alpha)
{
    return v >= 0.0f ? v : alpha * v;
}

static float logistic(float v, float alpha)
{
    (void)alpha;
    return (float)(1.0 / (1.0 + exp(-(double)v)));
}

static float same(float v, float alpha)
{
    (void)alpha;
    return v;
}

static void fill_table(struct table *t, const struct brim_code_grid *x,
                       const struct brim_code_grid *y, enum brim_dtype type,
                       float (*f)(float v, float alpha), float alpha)
{
    int64_t lo, hi;

    brim_dtype_range(type, &lo, &hi);
    for (int64_t code = lo; code <= hi; code++) {
        const float v = x->scale * (float)(code - x->zero);
        t->code[(uint8_t)code] = (uint8_t)brim_code_of(f(v, alpha), y, lo, hi);
    }
}

static void look_up(const struct table *t, const uint8_t *x, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n; i++) {
        y[i] = t->code[x[i]];
    }
}

static void run_table(struct brim_op_call *c, float (*f)(float v, float alpha), float alpha)
{
    const struct brim_code_grid x = brim_code_grid_of(c, 1), y = brim_code_grid_of(c, 3);
    struct table t;

    fill_table(&t, &x, &y, c->out[0].type.dtype, f, alpha);
    look_up(&t, c->in[0]->data, brim_tensor_count(c->in[0]), c->out[0].data);
}

static brim_status run_leaky_relu(struct brim_op_call *c)
{
    run_table(c, leaky, brim_node_float(c->node, "alpha", 0.01f));
    return BRIM_OK;
}

static brim_status run_sigmoid(struct brim_op_call *c)
{
    run_table(c, logistic, 0.0f);
    return BRIM_OK;
}

/* ---- concatenation ---- */

static brim_status run_concat(struct brim_op_call *c)
{
    const struct brim_shape *out = &c->out[0].type.shape;
    const struct brim_code_grid y = brim_code_grid_of(c, 0);
    struct brim_infer view;
    size_t outer = 1, inner = 1, at = 0;
    int axis;

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_infer_axis(&view, brim_node_int(c->node, "axis", 0), out->rank, &axis));
    for (int i = 0; i < out->rank; i++) {
        *(i < axis ? &outer : &inner) *= (size_t)out->dim[i];
    }
    for (size_t i = 2; i < c->n_in; i += 3) {
        const struct brim_code_grid x = brim_code_grid_of(c, i + 1);
        const size_t n = outer == 0 ? 0 : brim_tensor_count(c->in[i]) / outer;
        struct table t;
        fill_table(&t, &x, &y, c->out[0].type.dtype, same, 0.0f);
        for (size_t o = 0; o < outer; o++) {
            look_up(&t, (const uint8_t *)c->in[i]->data + o * n, n,
                    (uint8_t *)c->out[0].data + o * inner + at);
        }
        at += n;
    }
    return BRIM_OK;
}

/* ---- softmax ---- */

struct softmax {
    float e[256]; /* by how far a code lies from the least one, once the line is raised */
    float y_factor;
    struct brim_code_grid y;
    int64_t lo, hi;
};

static void fill_softmax(struct softmax *s, double x_scale, size_t n)
{
    const double room = log((double)FLT_MAX / (double)n) - 5.0;
    const double shift = (room > 0.0 ? room : 0.0) / x_scale;

    for (int i = 0; i < 256; i++) {
        s->e[i] = (float)exp(((double)i - 255.0 + shift) * x_scale);
    }
}

/* n codes, `step` bytes apart; a code's byte counts from the least code. */
static void softmax_line(const struct softmax *s, const uint8_t *x, size_t n, size_t step,
                         uint8_t *y)
{
    const unsigned flip = s->lo < 0 ? 0x80 : 0;
    unsigned most = 0;
    float sum = 0.0f;

    for (size_t i = 0; i < n; i++) {
        most = (x[i * step] ^ flip) > most ? x[i * step] ^ flip : most;
    }
    for (size_t i = 0; i < n; i++) {
        sum += s->e[(x[i * step] ^ flip) + 255 - most];
    }
    for (size_t i = 0; i < n; i++) {
        const float e = s->e[(x[i * step] ^ flip) + 255 - most];
        const float v = sum > 0.0f ? e * s->y_factor / sum : 0.0f;
        y[i * step] = (uint8_t)(to_code(v, (float)(s->lo - s->y.zero), (float)(s->hi - s->y.zero)) +
                                s->y.zero);
    }
}

static brim_status run_softmax(struct brim_op_call *c)
{
    const struct brim_shape *x = &c->in[0]->type.shape;
    const bool flatten = brim_node_int(c->node, "opset", 13) < 13; /* axes from `axis` on are one */
    struct softmax s = {.y = brim_code_grid_of(c, 3)};
    size_t outer = 1, n = 1, inner = 1;
    struct brim_infer view;
    int axis;

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(
        brim_infer_axis(&view, brim_node_int(c->node, "axis", flatten ? 1 : -1), x->rank, &axis));
    for (int i = 0; i < x->rank; i++) {
        *(i < axis ? &outer : i == axis || flatten ? &n : &inner) *= (size_t)x->dim[i];
    }
    if (outer == 0 || n == 0 || inner == 0) {
        return BRIM_OK;
    }
    brim_dtype_range(c->out[0].type.dtype, &s.lo, &s.hi);
    s.y_factor = floorf(1.0f / s.y.scale);
    fill_softmax(&s, (double)brim_code_grid_of(c, 1).scale, n);
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < inner; i++) {
            const size_t at = o * n * inner + i;
            softmax_line(&s, (const uint8_t *)c->in[0]->data + at, n, inner,
                         (uint8_t *)c->out[0].data + at);
        }
    }
    return BRIM_OK;
}

const struct brim_op_kernel brim_kernels_qlinear[] = {
    {BRIM_DOMAIN_MICROSOFT, "QGemm", brim_run_qgemm, NULL},
    {BRIM_DOMAIN_MICROSOFT, "QLinearAdd", run_add, NULL},
    {BRIM_DOMAIN_MICROSOFT, "QLinearAveragePool", brim_run_qlinear_averagepool, NULL},
    {BRIM_DOMAIN_MICROSOFT, "QLinearConcat", run_concat, NULL},
    {BRIM_DOMAIN_MICROSOFT, "QLinearGlobalAveragePool", brim_run_qlinear_globalpool, NULL},
    {BRIM_DOMAIN_MICROSOFT, "QLinearLeakyRelu", run_leaky_relu, NULL},
    {BRIM_DOMAIN_MICROSOFT, "QLinearMul", run_mul, NULL},
    {BRIM_DOMAIN_MICROSOFT, "QLinearSigmoid", run_sigmoid, NULL},
    {BRIM_DOMAIN_MICROSOFT, "QLinearSoftmax", run_softmax, NULL},
};

const size_t brim_kernels_qlinear_count =
    sizeof brim_kernels_qlinear / sizeof brim_kernels_qlinear[0];
