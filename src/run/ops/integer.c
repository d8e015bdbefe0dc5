/* integer.c - ConvInteger, QLinearConv, MatMulInteger, QLinearMatMul. SPDX-License-Identifier:
 * Apache-2.0
 *
 * acc = sum (x - x_zero) * (w - w_zero) + bias, modulo 2^32. The integer operators give acc; the
 * QLinear ones requantize it:
 *
 *     y = saturate(round_half_even((float)acc * M) + y_zero),   M = x_scale * w_scale / y_scale
 *
 * every product and the quotient rounded to float32.
 */
#include <math.h>

#include "base/intops.h"
#include "run/ops/conv_loop.h"
#include "run/ops/elem.h"
#include "run/ops/matmul.h"
#include "run/ops/nn.h"
#include "run/ops/resolve.h"

/* Where an operator keeps its operands; an input number of -1 means there is none. */
struct layout {
    int x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
};

static const struct layout INTEGER = {0, -1, 2, 1, -1, 3, -1, -1, -1};
static const struct layout QLINEAR = {0, 1, 2, 3, 4, 5, 6, 7, 8};

static const struct brim_tensor *input(const struct brim_op_call *c, int i)
{
    return i >= 0 && brim_op_has(c, (size_t)i) ? c->in[i] : NULL;
}

/* A scale or zero point that is one for all, one per row (or column), or one per row of each
 * matrix of a batch. Omitted: `fallback`. */
static double param(const struct brim_tensor *t, size_t row, size_t rows, size_t matrix,
                    double fallback)
{
    const size_t count = t == NULL ? 0 : brim_tensor_count(t);

    if (count == 0) {
        return fallback;
    }
    return brim_elem_get(t, count == 1 ? 0 : count == rows ? row : (matrix * rows + row) % count);
}

static brim_status check_param(const struct brim_op_call *c, int i, size_t rows, size_t matrices)
{
    const struct brim_tensor *t = input(c, i);
    const size_t count = t == NULL ? 1 : brim_tensor_count(t);

    if (count != 1 && count != rows && count != rows * matrices) {
        return brim_op_fail(c, BRIM_ERR_FILE, "input %d has %zu elements, expected 1 or %zu", i,
                            count, rows);
    }
    return BRIM_OK;
}

struct requantizer {
    double zero;
    int64_t lo, hi;
};

static int32_t requantize(const struct requantizer *r, int32_t acc, float multiplier)
{
    const double scaled = (double)((float)acc * multiplier);
    const double y = (isnan(scaled) ? 0 : brim_rint(scaled)) + r->zero;

    return (int32_t)(y < (double)r->lo ? (double)r->lo : y > (double)r->hi ? (double)r->hi : y);
}

static float multiplier(double x_scale, double w_scale, double y_scale)
{
    const float product = (float)x_scale * (float)w_scale;

    return product / (float)y_scale;
}

/* ---- convolution ---- */

struct int_conv {
    struct brim_conv conv;
    const struct layout *at;
    size_t channels, in, out, out_plane; /* elements of one sample; of one channel of it */
    int32_t *x, *w, *y;
};

static brim_status conv_begin(struct brim_op_call *c, struct int_conv *v)
{
    struct brim_infer view;
    const struct brim_tensor *x = input(c, v->at->x), *w = input(c, v->at->w);
    const struct brim_tensor *w_zero = input(c, v->at->w_zero);

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_conv_resolve(&view, &x->type.shape, &w->type.shape, NULL, &v->conv));
    v->channels = (size_t)w->type.shape.dim[0];
    v->in = brim_tensor_count(x) / (size_t)v->conv.samples;
    v->out = brim_tensor_count(&c->out[0]) / (size_t)v->conv.samples;
    v->out_plane = v->out / v->channels;
    BRIM_TRY(check_param(c, v->at->w_zero, v->channels, 1));
    BRIM_TRY(check_param(c, v->at->w_scale, v->channels, 1));
    v->w = brim_elem_all_i32(c, w);
    v->x = brim_arena_alloc(c->scratch, v->in + 1, sizeof *v->x);
    v->y = brim_arena_alloc(c->scratch, v->out, sizeof *v->y);
    if (v->w == NULL || v->x == NULL || v->y == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const size_t k = brim_tensor_count(w) / v->channels;
    for (size_t o = 0; o < v->channels; o++) {
        const int32_t zero = (int32_t)param(w_zero, o, v->channels, 0, 0);
        for (size_t i = 0; i < k; i++) {
            v->w[o * k + i] -= zero;
        }
    }
    return BRIM_OK;
}

/* acc of sample n, in v->y. */
static void conv_sample(const struct brim_op_call *c, const struct int_conv *v, size_t n)
{
    const struct brim_tensor *bias = input(c, v->at->bias);
    const int32_t zero = (int32_t)param(input(c, v->at->x_zero), 0, 1, 0, 0);

    brim_elem_load_i32(input(c, v->at->x), n * v->in, v->in, v->x);
    for (size_t i = 0; i < v->in; i++) {
        v->x[i] -= zero;
    }
    for (size_t o = 0; o < v->channels; o++) {
        const int32_t b = bias != NULL ? ((const int32_t *)bias->data)[o] : 0;
        for (size_t i = 0; i < v->out_plane; i++) {
            v->y[o * v->out_plane + i] = b;
        }
    }
    brim_conv_loop_i32(&v->conv, v->x, v->w, v->y);
}

brim_status brim_run_convinteger(struct brim_op_call *c)
{
    struct int_conv v = {.at = &INTEGER};

    if (brim_tensor_count(&c->out[0]) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(conv_begin(c, &v));
    for (size_t n = 0; n < (size_t)v.conv.samples; n++) {
        conv_sample(c, &v, n);
        brim_elem_store_i32(&c->out[0], n * v.out, v.out, v.y);
    }
    return BRIM_OK;
}

brim_status brim_run_qlinearconv(struct brim_op_call *c)
{
    struct int_conv v = {.at = &QLINEAR};
    struct requantizer r;

    if (brim_tensor_count(&c->out[0]) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(conv_begin(c, &v));
    r.zero = param(c->in[QLINEAR.y_zero], 0, 1, 0, 0);
    brim_dtype_range(c->out[0].type.dtype, &r.lo, &r.hi);
    for (size_t n = 0; n < (size_t)v.conv.samples; n++) {
        conv_sample(c, &v, n);
        for (size_t o = 0; o < v.channels; o++) {
            const float m = multiplier(param(c->in[QLINEAR.x_scale], 0, 1, 0, 1),
                                       param(c->in[QLINEAR.w_scale], o, v.channels, 0, 1),
                                       param(c->in[QLINEAR.y_scale], 0, 1, 0, 1));
            int32_t *y = v.y + o * v.out_plane;
            for (size_t i = 0; i < v.out_plane; i++) {
                y[i] = requantize(&r, y[i], m);
            }
        }
        brim_elem_store_i32(&c->out[0], n * v.out, v.out, v.y);
    }
    return BRIM_OK;
}

/* ---- products ---- */

struct int_matmul {
    struct brim_products p;
    const struct layout *at;
    size_t a_matrices, b_matrices; /* in each operand */
    int32_t *a, *b, *y;
};

/* Subtract the zero points: of row r of every matrix of a, of column r of every matrix of b. */
static void subtract_zeros(const struct brim_op_call *c, const struct int_matmul *v)
{
    const struct brim_products *p = &v->p;
    const struct brim_tensor *a_zero = input(c, v->at->x_zero), *b_zero = input(c, v->at->w_zero);

    for (size_t t = 0; t < v->a_matrices; t++) {
        for (size_t i = 0; i < p->m; i++) {
            const int32_t zero = (int32_t)param(a_zero, i, p->m, t, 0);
            for (size_t q = 0; q < p->k; q++) {
                v->a[(t * p->m + i) * p->k + q] -= zero;
            }
        }
    }
    for (size_t t = 0; t < v->b_matrices; t++) {
        for (size_t j = 0; j < p->n; j++) {
            const int32_t zero = (int32_t)param(b_zero, j, p->n, t, 0);
            for (size_t q = 0; q < p->k; q++) {
                v->b[(t * p->k + q) * p->n + j] -= zero;
            }
        }
    }
}

static brim_status matmul_begin(struct brim_op_call *c, struct int_matmul *v)
{
    const struct brim_tensor *a = input(c, v->at->x), *b = input(c, v->at->w);
    struct brim_products *p = &v->p;

    BRIM_TRY(brim_products_resolve(c, &a->type.shape, &b->type.shape, p));
    v->a_matrices = p->m * p->k > 0 ? brim_tensor_count(a) / (p->m * p->k) : 0;
    v->b_matrices = p->n * p->k > 0 ? brim_tensor_count(b) / (p->n * p->k) : 0;
    BRIM_TRY(check_param(c, v->at->x_zero, p->m, v->a_matrices));
    BRIM_TRY(check_param(c, v->at->x_scale, p->m, v->a_matrices));
    BRIM_TRY(check_param(c, v->at->w_zero, p->n, v->b_matrices));
    BRIM_TRY(check_param(c, v->at->w_scale, p->n, v->b_matrices));
    v->a = brim_elem_all_i32(c, a);
    v->b = brim_elem_all_i32(c, b);
    v->y = brim_arena_alloc(c->scratch, p->m * p->n + 1, sizeof *v->y);
    if (v->a == NULL || v->b == NULL || v->y == NULL) {
        return BRIM_ERR_NOMEM;
    }
    subtract_zeros(c, v);
    return BRIM_OK;
}

brim_status brim_run_matmulinteger(struct brim_op_call *c)
{
    struct int_matmul v = {.at = &INTEGER};

    if (brim_tensor_count(&c->out[0]) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(matmul_begin(c, &v));
    for (size_t t = 0; t < v.p.count; t++) {
        brim_matmul_i32(v.a + v.p.a_at[t], v.b + v.p.b_at[t], v.y, &v.p);
        brim_elem_store_i32(&c->out[0], t * v.p.m * v.p.n, v.p.m * v.p.n, v.y);
    }
    return BRIM_OK;
}

/* Requantize product t in place. */
static void requantize_product(const struct brim_op_call *c, const struct int_matmul *v, size_t t)
{
    const struct brim_products *p = &v->p;
    const size_t a_size = p->m * p->k, b_size = p->n * p->k;
    const size_t ta = a_size > 0 ? p->a_at[t] / a_size : 0;
    const size_t tb = b_size > 0 ? p->b_at[t] / b_size : 0;
    struct requantizer r;

    brim_dtype_range(c->out[0].type.dtype, &r.lo, &r.hi);
    for (size_t i = 0; i < p->m; i++) {
        const double x_scale = param(c->in[QLINEAR.x_scale], i, p->m, ta, 1);
        const double y_scale = param(c->in[QLINEAR.y_scale], i, p->m, t, 1);
        r.zero = param(c->in[QLINEAR.y_zero], i, p->m, t, 0);
        for (size_t j = 0; j < p->n; j++) {
            const double w_scale = param(c->in[QLINEAR.w_scale], j, p->n, tb, 1);
            int32_t *y = &v->y[i * p->n + j];
            *y = requantize(&r, *y, multiplier(x_scale, w_scale, y_scale));
        }
    }
}

brim_status brim_run_qlinearmatmul(struct brim_op_call *c)
{
    struct int_matmul v = {.at = &QLINEAR};

    if (brim_tensor_count(&c->out[0]) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(matmul_begin(c, &v));
    BRIM_TRY(check_param(c, QLINEAR.y_scale, v.p.m, v.p.count));
    BRIM_TRY(check_param(c, QLINEAR.y_zero, v.p.m, v.p.count));
    for (size_t t = 0; t < v.p.count; t++) {
        brim_matmul_i32(v.a + v.p.a_at[t], v.b + v.p.b_at[t], v.y, &v.p);
        requantize_product(c, &v, t);
        brim_elem_store_i32(&c->out[0], t * v.p.m * v.p.n, v.p.m * v.p.n, v.y);
    }
    return BRIM_OK;
}
