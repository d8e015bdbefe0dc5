/* quantize_linear.c - QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear. SPDX-License-Identifier:
 * Apache-2.0
 *
 *     quantize     y = saturate(round_half_even(x / scale) + zero)
 *     dequantize   y = (x - zero) * scale
 *
 * Both in float32, whatever computes more is rounded to it: the division first, then the rounding
 * to an integer. With 16-bit scales the quotient is further rounded to 16 bits where the opset
 * says so (23 and later, unless `precision` asks for float).
 */
#include <math.h>

#include "base/clones.h"
#include "base/half.h"
#include "base/intops.h"
#include "graph/scales.h"
#include "run/ops/elem.h"
#include "run/ops/nn.h"
#include "run/ops/resolve.h"

#define RUN 256 /* elements converted at a time */

struct quantizer {
    struct brim_scales s;
    const double *scale, *zero; /* one per scale; zero NULL means 0 */
    int64_t lo, hi;
    enum brim_dtype precision; /* of the quotient */
};

static double narrow(double v, enum brim_dtype t)
{
    const float f = (float)v;

    if (t == BRIM_FLOAT16) {
        return (double)brim_half_to_float(brim_half_from_float(f));
    }
    if (t == BRIM_BFLOAT16) {
        return (double)brim_bfloat_to_float(brim_bfloat_from_float(f));
    }
    return (double)f;
}

/* A NaN becomes the zero point. */
static double quantize_one(const struct quantizer *q, double x, size_t scale)
{
    const double quotient = (double)((float)x / (float)q->scale[scale]);
    const double code = brim_rint(narrow(quotient, q->precision));
    const double zero = q->zero != NULL ? q->zero[scale] : 0;
    const double y = isnan(code) ? zero : code + zero;

    return y < (double)q->lo ? (double)q->lo : y > (double)q->hi ? (double)q->hi : y;
}

static double dequantize_one(const struct quantizer *q, double x, size_t scale)
{
    const double zero = q->zero != NULL ? q->zero[scale] : 0;

    return (double)((float)(x - zero) * (float)q->scale[scale]);
}

/* ---- float32 rows with one scale, codes of 8 bits: the same, many at a time ---- */

struct row {
    float scale;
    int32_t zero, lo, hi; /* lo and hi less the zero point */
};

/* The quotient is clipped before it is rounded: the bounds are integers. */
static inline int32_t quantize_float(const struct row *r, float x)
{
    float v = x / r->scale;

    v = v == v ? v : 0.0f; /* NaN */
    v = v > (float)r->lo ? v : (float)r->lo;
    v = v < (float)r->hi ? v : (float)r->hi;
    return brim_rint_small(v) + r->zero;
}

BRIM_CLONES
static void quantize_u8(const struct row *row, const float *x, size_t n, uint8_t *y)
{
    const struct row r = *row;

    for (size_t i = 0; i < n; i++) {
        y[i] = (uint8_t)quantize_float(&r, x[i]);
    }
}

BRIM_CLONES
static void dequantize_u8(const struct row *row, const uint8_t *x, size_t n, float *y)
{
    const struct row r = *row;

    for (size_t i = 0; i < n; i++) {
        y[i] = (float)((int32_t)x[i] - r.zero) * r.scale;
    }
}

BRIM_CLONES
static void dequantize_i8(const struct row *row, const int8_t *x, size_t n, float *y)
{
    const struct row r = *row;

    for (size_t i = 0; i < n; i++) {
        y[i] = (float)((int32_t)x[i] - r.zero) * r.scale;
    }
}

/* n elements from `at` on that share scale number `scale`; false when they are of other types. */
static bool run_fast(const struct brim_op_call *c, const struct quantizer *q, size_t scale,
                     size_t at, size_t n)
{
    const enum brim_dtype from = c->in[0]->type.dtype, to = c->out[0].type.dtype;
    const bool narrows = from == BRIM_FLOAT && (to == BRIM_UINT8 || to == BRIM_INT8);
    const bool widens = to == BRIM_FLOAT && (from == BRIM_UINT8 || from == BRIM_INT8);
    const int64_t zero = q->zero != NULL ? (int64_t)q->zero[scale] : 0;

    if (c->in[1]->type.dtype != BRIM_FLOAT || q->precision != BRIM_FLOAT || !(narrows || widens)) {
        return false;
    }
    const struct row r = {.scale = (float)q->scale[scale],
                          .zero = (int32_t)zero,
                          .lo = (int32_t)(q->lo - zero),
                          .hi = (int32_t)(q->hi - zero)};
    const void *x = c->in[0]->data;
    void *y = c->out[0].data;
    if (narrows) { /* a byte is a byte, signed or not */
        quantize_u8(&r, (const float *)x + at, n, (uint8_t *)y + at);
    } else if (from == BRIM_UINT8) {
        dequantize_u8(&r, (const uint8_t *)x + at, n, (float *)y + at);
    } else {
        dequantize_i8(&r, (const int8_t *)x + at, n, (float *)y + at);
    }
    return true;
}

typedef double element_fn(const struct quantizer *q, double x, size_t scale);

/* Elements [at, at + n) of the plane that begins at `base`, all of row a of outer part o. */
static void run_row(struct brim_op_call *c, const struct quantizer *q, size_t o, size_t a,
                    element_fn *f)
{
    const size_t inner = q->s.inner, base = (o * q->s.length + a) * inner;
    double v[RUN];

    if (!q->s.blocked && run_fast(c, q, brim_scales_index(&q->s, o, a, 0), base, inner)) {
        return;
    }
    for (size_t i = 0; i < inner; i += RUN) {
        const size_t n = brim_min_size(RUN, inner - i);
        brim_elem_load(c->in[0], base + i, n, v);
        for (size_t k = 0; k < n; k++) {
            v[k] = f(q, v[k], brim_scales_index(&q->s, o, a, i + k));
        }
        brim_elem_store(&c->out[0], base + i, n, v);
    }
}

static brim_status run(struct brim_op_call *c, struct quantizer *q, element_fn *f)
{
    struct brim_infer view;
    bool known;

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(
        brim_scales_resolve(&view, &c->in[0]->type.shape, &c->in[1]->type.shape, &q->s, &known));
    q->scale = brim_elem_all(c, c->in[1]);
    if (q->scale == NULL || !known) {
        return BRIM_ERR_NOMEM;
    }
    if (brim_op_has(c, 2)) {
        q->zero = brim_elem_all(c, c->in[2]);
        if (q->zero == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    for (size_t o = 0; o < q->s.outer; o++) {
        for (size_t a = 0; a < q->s.length; a++) {
            run_row(c, q, o, a, f);
        }
    }
    return BRIM_OK;
}

brim_status brim_run_quantize(struct brim_op_call *c)
{
    const int64_t stated = brim_node_int(c->node, "precision", 0);
    struct quantizer q = {.precision = BRIM_FLOAT};

    if (stated != 0) {
        q.precision = (enum brim_dtype)stated;
    } else if (c->opset >= 23) {
        q.precision = c->in[1]->type.dtype;
    }
    brim_dtype_range(c->out[0].type.dtype, &q.lo, &q.hi);
    return run(c, &q, quantize_one);
}

brim_status brim_run_dequantize(struct brim_op_call *c)
{
    struct quantizer q = {.precision = BRIM_FLOAT};

    return run(c, &q, dequantize_one);
}

/* Asymmetric uint8 with the range of x widened to contain zero. */
brim_status brim_run_dynamic_quantize(struct brim_op_call *c)
{
    const float *x = c->in[0]->data;
    uint8_t *y = c->out[0].data;
    const size_t n = brim_tensor_count(c->in[0]);
    float lo = 0, hi = 0;

    for (size_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    const float scale = hi > lo ? (hi - lo) / 255.0f : 1.0f;
    const double zero = brim_rint((double)(float)(0.0f - lo / scale));
    const double offset = isnan(zero) || zero < 0 ? 0 : zero > 255 ? 255 : zero;
    const struct quantizer q = {
        .scale = &(double){(double)scale}, .zero = &offset, .hi = 255, .precision = BRIM_FLOAT};
    for (size_t i = 0; i < n; i++) {
        y[i] = (uint8_t)quantize_one(&q, (double)x[i], 0);
    }
    if (c->out[1].data != NULL) {
        *(float *)c->out[1].data = scale;
    }
    if (c->out[2].data != NULL) {
        *(uint8_t *)c->out[2].data = (uint8_t)offset;
    }
    return BRIM_OK;
}
