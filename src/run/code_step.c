/* code_step.c - what lies between dot layers, codes in and codes out. SPDX-License-Identifier:
 * Apache-2.0
 *
 *     QUANTIZE   y = code(x)
 *     ADD        y = code(real(a) + real(b))
 *     MEAN       y = code((float)(sum of (double)real(x) over the pixels / pixels))
 *
 *     real(q) = (float)(q - zero) * scale          code(v) = round(clip(v / scale)) + zero
 *
 * each operation rounded to float32 as the operators by themselves do, whose results these are in
 * every bit. Relu and Clip on the way have become bounds of the codes. In code(), bounds are
 * integers, so clipping before rounding changes nothing.
 */
#include <assert.h>

#include "base/clones.h"
#include "base/intops.h"
#include "run/step.h"

/* A grid as the loops take it. `flip`: what makes a stored byte the code of an unsigned type. */
struct grid {
    float scale, lo, hi; /* lo, hi less the zero point */
    int32_t zero;
    uint8_t flip;
};

/* Codes of a signed type are computed on as bytes, 128 more than they are. */
static struct grid grid_of(const struct brim_grid *g, bool bytes)
{
    const bool is_signed = g->dtype == BRIM_INT8;

    return (struct grid){.scale = g->scale,
                         .lo = (float)(g->lo - g->zero),
                         .hi = (float)(g->hi - g->zero),
                         .zero = (int32_t)g->zero + (is_signed ? 128 : 0),
                         .flip = is_signed && !bytes ? 0x80 : 0};
}

static inline float real(const struct grid *g, uint8_t q)
{
    return (float)((int32_t)(q ^ g->flip) - g->zero) * g->scale;
}

static inline uint8_t code(const struct grid *g, float x)
{
    float v = x / g->scale;

    v = v == v ? v : 0.0f; /* NaN */
    v = v > g->lo ? v : g->lo;
    v = v < g->hi ? v : g->hi;
    return (uint8_t)(brim_rint_small(v) + g->zero) ^ g->flip;
}

/* ---- loops; they copy the grids: what is written through y must not be taken to change them ---- */

BRIM_CLONES
static void quantize_codes(const struct grid *grid, const float *x, size_t n, uint8_t *y)
{
    const struct grid g = *grid;

    for (size_t i = 0; i < n; i++) {
        y[i] = code(&g, x[i]);
    }
}

BRIM_CLONES
static void add_codes(const struct grid grid[3], const uint8_t *a, const uint8_t *b, size_t n,
                      uint8_t *y)
{
    const struct grid ga = grid[0], gb = grid[1], gy = grid[2];

    for (size_t i = 0; i < n; i++) {
        y[i] = code(&gy, real(&ga, a[i]) + real(&gb, b[i]));
    }
}

/* One pixel of every channel. */
BRIM_CLONES
static void sum_pixel(const struct grid *grid, const uint8_t *x, size_t channels, double *sum)
{
    const struct grid g = *grid;

    for (size_t c = 0; c < channels; c++) {
        sum[c] += (double)real(&g, x[c]);
    }
}

/* All pixels of one channel. */
static double sum_plane(const struct grid *g, const uint8_t *x, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        sum += (double)real(g, x[i]);
    }
    return sum;
}

/* ---- steps ---- */

/* The image of `t`: elements of a channel, channels. */
static void measure(const struct brim_tensor *t, size_t *pixels, size_t *channels)
{
    *channels = (size_t)t->type.shape.dim[1];
    *pixels = (size_t)(t->type.shape.dim[2] * t->type.shape.dim[3]);
}

static brim_status run_quantize(const struct brim_code_step *s, const struct brim_tensor *x,
                                struct brim_tensor *y, struct brim_work *work)
{
    const struct grid g = grid_of(&s->y, s->y_bytes);
    const float *from = x->data;
    uint8_t *to = y->data;
    size_t pixels, channels;

    if (!s->y_bytes) {
        quantize_codes(&g, from, (size_t)brim_shape_count(&x->type.shape), to);
        return BRIM_OK;
    }
    measure(x, &pixels, &channels);
    const size_t n = pixels * channels;
    uint8_t *codes = brim_work_get(work, n + 1);
    if (codes == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (int64_t i = 0; i < x->type.shape.dim[0]; i++, from += n, to += n) {
        quantize_codes(&g, from, n, channels == 1 ? to : codes);
        if (channels > 1) {
            brim_transpose_bytes(codes, channels, pixels, 0, to);
        }
    }
    return BRIM_OK;
}

/* A single image on one side is added to each of the other. */
static brim_status run_add(const struct brim_code_step *s, const struct brim_tensor *const *x,
                           struct brim_tensor *y)
{
    const struct grid g[] = {grid_of(&s->x[0], s->x_bytes), grid_of(&s->x[1], s->x_bytes),
                             grid_of(&s->y, s->y_bytes)};
    const size_t images = (size_t)y->type.shape.dim[0];
    const uint8_t *a = x[0]->data, *b = x[1]->data;
    uint8_t *to = y->data;
    size_t pixels, channels;

    measure(y, &pixels, &channels);
    const size_t n = pixels * channels;
    for (size_t i = 0; i < images; i++) {
        add_codes(g, a, b, n, to + i * n);
        a += x[0]->type.shape.dim[0] > 1 ? n : 0;
        b += x[1]->type.shape.dim[0] > 1 ? n : 0;
    }
    return BRIM_OK;
}

static brim_status run_mean(const struct brim_code_step *s, const struct brim_tensor *x,
                            struct brim_tensor *y, struct brim_work *work)
{
    const struct grid g = grid_of(&s->x[0], s->x_bytes), gy = grid_of(&s->y, s->y_bytes);
    const uint8_t *from = x->data;
    uint8_t *to = y->data;
    size_t pixels, channels;

    measure(x, &pixels, &channels);
    double *sum = brim_work_get(work, (channels + 1) * sizeof *sum);
    if (sum == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (int64_t i = 0; i < x->type.shape.dim[0]; i++, from += pixels * channels, to += channels) {
        for (size_t c = 0; c < channels; c++) {
            sum[c] = s->x_bytes ? 0.0 : sum_plane(&g, from + c * pixels, pixels);
        }
        for (size_t p = 0; s->x_bytes && p < pixels; p++) {
            sum_pixel(&g, from + p * channels, channels, sum);
        }
        for (size_t c = 0; c < channels; c++) {
            to[c] = code(&gy, (float)(sum[c] / (double)pixels));
        }
    }
    return BRIM_OK;
}

brim_status brim_code_step_type(brim_ctx *ctx, const struct brim_code_step *s,
                                const struct brim_tensor *const *x, struct brim_type *type)
{
    const struct brim_shape *a = &x[0]->type.shape;
    bool ok = true;

    *type = (struct brim_type){s->y.dtype, *a};
    if (s->kind == BRIM_CODE_QUANTIZE) {
        return BRIM_OK;
    }
    const struct brim_shape *b = &x[s->n_in - 1]->type.shape;
    ok = a->rank == 4 && b->rank == 4 &&
         (a->dim[0] == b->dim[0] || a->dim[0] == 1 || b->dim[0] == 1);
    for (int i = 1; ok && i < 4; i++) {
        ok = a->dim[i] == b->dim[i];
    }
    if (!ok) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED, "images of different shapes are added");
    }
    type->shape.dim[0] = a->dim[0] == 1 ? b->dim[0] : a->dim[0];
    if (s->kind == BRIM_CODE_MEAN) {
        type->shape.dim[2] = type->shape.dim[3] = 1;
    }
    return BRIM_OK;
}

brim_status brim_code_step_run(const struct brim_code_step *s, const struct brim_tensor *const *x,
                               struct brim_tensor *y, struct brim_work *work)
{
    switch (s->kind) {
    case BRIM_CODE_QUANTIZE:
        return run_quantize(s, x[0], y, work);
    case BRIM_CODE_ADD:
        return run_add(s, x, y);
    case BRIM_CODE_MEAN:
        return run_mean(s, x[0], y, work);
    }
    return BRIM_OK;
}
