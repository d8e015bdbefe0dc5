/* dot_conv.c - integer convolutions by a float convolution. SPDX-License-Identifier: Apache-2.0
 *
 * Where a layer's datapath cannot overflow, all that matters of a dot product is its total. With
 * codes less their zero point (so that padding is a real 0) as floats, every partial sum of
 *
 *     sum w * (x - x_zero)        sum |w| * max |x - x_zero| <= 2^24
 *
 * is an integer that float32 holds, in whatever order oneDNN adds. Then, exactly as in dot_step.c,
 *     acc = sum w * (x - x_zero) + bias_q.
 */
#include "run/dot_conv.h"

#include "base/clones.h"
#include "base/intops.h"
#include "run/ops/conv_dnnl.h"

#define EXACT_LIMIT (INT64_C(1) << 24)
#define BIAS_LIMIT  (INT64_C(1) << 30) /* so that acc fits 32 bits */

struct brim_dot_conv {
    struct brim_conv conv;
    struct brim_conv_dnnl *dnnl; /* NULL: not for this geometry */
    size_t nx, ny, positions;    /* of one sample; positions of one output channel */
    float *w, *x, *y;
};

bool brim_dot_conv_is_exact(const struct brim_dot *d)
{
    const int64_t reach = brim_max_i64(d->x_max - d->x_zero, d->x_zero - d->x_min);

    for (size_t c = 0; c < d->n; c++) {
        int64_t sum = 0;
        for (size_t i = 0; i < d->k; i++) {
            const int64_t w = d->w[c * d->k + i];
            sum = brim_min_i64(sum + (w < 0 ? -w : w), EXACT_LIMIT + 1);
        }
        if (sum * reach > EXACT_LIMIT) {
            return false;
        }
        if (d->bias_q != NULL && (d->bias_q[c] <= -BIAS_LIMIT || d->bias_q[c] >= BIAS_LIMIT)) {
            return false;
        }
    }
    return d->kind == BRIM_DOT_CONV && d->k > 0;
}

/* ---- geometry ---- */

static void resolve_axis(struct brim_window *w, int i, int auto_pad)
{
    const int64_t extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
    const int64_t reach = w->out[i] > 0 ? (w->out[i] - 1) * w->stride[i] + extent : 0;

    if (auto_pad != 0) {
        const int64_t total = brim_max_i64(0, reach - w->in[i]);
        w->before[i] = auto_pad == 1 ? total / 2 : total - total / 2;
        w->after[i] = total - w->before[i];
    }
}

static struct brim_conv geometry(const struct brim_dot *d, const struct brim_shape *x,
                                 const struct brim_shape *y)
{
    const struct brim_conv_geometry *v = &d->conv;
    const int64_t kernel[] = {v->kh, v->kw}, stride[] = {v->stride_h, v->stride_w};
    const int64_t dilation[] = {v->dilation_h, v->dilation_w};
    const int64_t before[] = {v->pad_top, v->pad_left}, after[] = {v->pad_bottom, v->pad_right};
    struct brim_conv conv = {.window = {.rank = v->rank},
                             .samples = x->dim[0],
                             .groups = v->groups,
                             .group_in = v->c_in / v->groups,
                             .group_out = v->c_out / v->groups};

    for (int i = 0; i < v->rank; i++) {
        const int from = i + 2 - v->rank;
        conv.window.in[i] = x->dim[i + 2];
        conv.window.out[i] = y->dim[i + 2];
        conv.window.kernel[i] = kernel[from];
        conv.window.stride[i] = stride[from];
        conv.window.dilation[i] = dilation[from];
        conv.window.before[i] = before[from];
        conv.window.after[i] = after[from];
        resolve_axis(&conv.window, i, v->auto_pad);
    }
    return conv;
}

static bool same_sizes(const struct brim_conv *a, const struct brim_conv *b)
{
    bool same = true;

    for (int i = 0; i < a->window.rank; i++) {
        same = same && a->window.in[i] == b->window.in[i] && a->window.out[i] == b->window.out[i];
    }
    return same;
}

/* ---- state ---- */

/* Weights from K order (kernel row, column, channel) to the file's (channel, row, column). */
static void file_order(const struct brim_dot *d, float *out)
{
    const size_t area = (size_t)(d->conv.kh * d->conv.kw), channels = d->k / area;

    for (size_t c = 0; c < d->n; c++) {
        for (size_t p = 0; p < area; p++) {
            for (size_t i = 0; i < channels; i++) {
                out[c * d->k + i * area + p] = (float)d->w[c * d->k + p * channels + i];
            }
        }
    }
}

void brim_dot_conv_free(brim_ctx *ctx, struct brim_dot_conv *c)
{
    if (c != NULL) {
        brim_conv_dnnl_free(ctx, c->dnnl);
        brim_free(ctx, c->w);
        brim_free(ctx, c->x);
        brim_free(ctx, c->y);
        brim_free(ctx, c);
    }
}

static brim_status fill(brim_ctx *ctx, const struct brim_dot *d, struct brim_dot_conv *c)
{
    size_t limit;

    c->nx = (size_t)(c->conv.groups * c->conv.group_in);
    c->positions = 1;
    for (int i = 0; i < c->conv.window.rank; i++) {
        c->nx *= (size_t)c->conv.window.in[i];
        c->positions *= (size_t)c->conv.window.out[i];
    }
    c->ny = c->positions * d->n;
    if (c->nx == 0 || c->ny == 0 || !brim_mul_size(c->nx, sizeof(float), &limit) ||
        limit > ctx->params.max_tensor_bytes) {
        return BRIM_OK;
    }
    c->w = brim_alloc(ctx, d->n * d->k, sizeof *c->w);
    c->x = brim_alloc(ctx, c->nx, sizeof *c->x);
    c->y = brim_alloc(ctx, c->ny, sizeof *c->y);
    if (c->w == NULL || c->x == NULL || c->y == NULL) {
        return BRIM_ERR_NOMEM;
    }
    file_order(d, c->w);
    BRIM_TRY(brim_conv_dnnl_create(ctx, &c->conv, false, &c->dnnl));
    if (c->dnnl != NULL && !brim_conv_dnnl_weights(c->dnnl, c->w, NULL)) {
        brim_conv_dnnl_free(ctx, c->dnnl);
        c->dnnl = NULL;
    }
    return BRIM_OK;
}

brim_status brim_dot_conv_get(brim_ctx *ctx, const struct brim_dot *d, const struct brim_shape *x,
                              const struct brim_shape *y, struct brim_dot_conv **state)
{
    const struct brim_conv conv = geometry(d, x, y);

    if (*state != NULL && same_sizes(&(*state)->conv, &conv)) {
        return BRIM_OK;
    }
    brim_dot_conv_free(ctx, *state);
    *state = brim_zalloc(ctx, 1, sizeof **state);
    if (*state == NULL) {
        return BRIM_ERR_NOMEM;
    }
    (*state)->conv = conv;
    return fill(ctx, d, *state);
}

bool brim_dot_conv_can(const struct brim_dot_conv *c)
{
    return c->dnnl != NULL;
}

/* ---- one sample ---- */

BRIM_CLONES
static void load_u8(const uint8_t *x, size_t n, int32_t zero, float *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)((int32_t)x[i] - zero);
    }
}

BRIM_CLONES
static void load_i8(const int8_t *x, size_t n, int32_t zero, float *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)((int32_t)x[i] - zero);
    }
}

static void load_u16(const uint16_t *x, size_t n, int32_t zero, float *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)((int32_t)x[i] - zero);
    }
}

static void load_i16(const int16_t *x, size_t n, int32_t zero, float *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)((int32_t)x[i] - zero);
    }
}

/* Elements [at, at + n) of x, less the zero point. False for a type that holds no codes. */
static bool load(const struct brim_tensor *x, size_t at, size_t n, int64_t zero, float *out)
{
    const enum brim_dtype t = x->type.dtype;
    const int32_t z = (int32_t)zero;

    if (t == BRIM_UINT8 || t == BRIM_UINT4) {
        load_u8((const uint8_t *)x->data + at, n, z, out);
    } else if (t == BRIM_INT8 || t == BRIM_INT4) {
        load_i8((const int8_t *)x->data + at, n, z, out);
    } else if (t == BRIM_UINT16) {
        load_u16((const uint16_t *)x->data + at, n, z, out);
    } else if (t == BRIM_INT16) {
        load_i16((const int16_t *)x->data + at, n, z, out);
    } else {
        return false;
    }
    return true;
}

/* All totals of one sample, [channels][n], and what becomes of them. */
struct totals {
    const float *total;
    size_t channels, n;
    const int32_t *bias_q;          /* NULL = 0 */
    const float *multiplier, *bias; /* bias NULL = none; FLOAT */
    float lo, hi;                   /* CODES, less the zero point */
    int32_t zero;
};

/* The emitters copy *totals: what is written through y must not be taken to change it. */
BRIM_CLONES
static void emit_float(const struct totals *totals, float *y)
{
    const struct totals t = *totals;

    for (size_t o = 0; o < t.channels; o++) {
        const float *from = t.total + o * t.n, multiplier = t.multiplier[o];
        const float bias = t.bias != NULL ? t.bias[o] : 0.0f;
        const int32_t q = t.bias_q != NULL ? t.bias_q[o] : 0;
        float *to = y + o * t.n;
        for (size_t i = 0; i < t.n; i++) {
            to[i] = (float)((int32_t)from[i] + q) * multiplier;
        }
        for (size_t i = 0; t.bias != NULL && i < t.n; i++) {
            to[i] += bias;
        }
    }
}

static void emit_acc(const struct totals *t, int32_t *y)
{
    for (size_t o = 0; o < t->channels; o++) {
        for (size_t i = 0; i < t->n; i++) {
            const int32_t q = t->bias_q != NULL ? t->bias_q[o] : 0;
            y[o * t->n + i] = (int32_t)t->total[o * t->n + i] + q;
        }
    }
}

/* Bounds are integers: clipping before rounding changes nothing. */
static inline int32_t code(const struct totals *t, float total, int32_t bias_q, float multiplier)
{
    float v = (float)((int32_t)total + bias_q) * multiplier;

    v = v > t->lo ? v : t->lo;
    v = v < t->hi ? v : t->hi;
    return brim_rint_small(v) + t->zero;
}

BRIM_CLONES
static void emit_u8(const struct totals *totals, uint8_t *y)
{
    const struct totals t = *totals;

    for (size_t o = 0; o < t.channels; o++) {
        const float *from = t.total + o * t.n, multiplier = t.multiplier[o];
        const int32_t q = t.bias_q != NULL ? t.bias_q[o] : 0;
        uint8_t *to = y + o * t.n;
        for (size_t i = 0; i < t.n; i++) {
            to[i] = (uint8_t)code(&t, from[i], q, multiplier);
        }
    }
}

static void emit_u16(const struct totals *t, uint16_t *y)
{
    for (size_t o = 0; o < t->channels; o++) {
        const int32_t q = t->bias_q != NULL ? t->bias_q[o] : 0;
        for (size_t i = o * t->n; i < (o + 1) * t->n; i++) {
            y[i] = (uint16_t)code(t, t->total[i], q, t->multiplier[o]);
        }
    }
}

static void emit(const struct brim_dot_step *s, const struct totals *t, void *y, size_t at)
{
    switch (s->emit) {
    case BRIM_EMIT_FLOAT:
        emit_float(t, (float *)y + at);
        break;
    case BRIM_EMIT_CODES:
        if (brim_dtype_size(s->y_type) == 2) {
            emit_u16(t, (uint16_t *)y + at);
        } else {
            emit_u8(t, (uint8_t *)y + at);
        }
        break;
    case BRIM_EMIT_ACC:
        emit_acc(t, (int32_t *)y + at);
        break;
    }
}

bool brim_dot_conv_run(struct brim_dot_conv *c, const struct brim_dot_step *s,
                       const struct brim_tensor *x, struct brim_tensor *y)
{
    const struct brim_dot *d = s->dot;
    const struct totals totals = {.total = c->y,
                                  .channels = d->n,
                                  .n = c->positions,
                                  .bias_q = d->bias_q,
                                  .multiplier = s->multiplier,
                                  .bias = s->bias,
                                  .lo = (float)(s->lo - s->zero),
                                  .hi = (float)(s->hi - s->zero),
                                  .zero = (int32_t)s->zero};

    for (size_t b = 0; b < (size_t)x->type.shape.dim[0]; b++) {
        if (!load(x, b * c->nx, c->nx, d->x_zero, c->x) ||
            !brim_conv_dnnl_run(c->dnnl, c->x, c->y)) {
            return false;
        }
        emit(s, &totals, y->data, b * c->ny);
    }
    return true;
}
