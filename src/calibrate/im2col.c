/* im2col.c - patches in K order. SPDX-License-Identifier: Apache-2.0
 *
 * The sample is first turned to channels-last (and quantized), then every kernel position copies a
 * run of channels:
 *
 *     row (oy, ox):  | group 0                                   | group 1 ...
 *                    | ky,kx = 0,0: c0 c1 .. | 0,1: c0 c1 .. |...|
 *
 *     depthwise:     | ky,kx = 0,0: g0 .. g15 | 0,1: g0 .. g15 |... | 0,0: g16 ..
 */
#include "calibrate/im2col.h"

#include <string.h>

#include "base/clones.h"
#include "base/intops.h"

/* Output size and leading padding of one axis. */
static int64_t resolve_axis(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                            int auto_pad, int64_t *before, int64_t after)
{
    const int64_t span = (kernel - 1) * dilation + 1;

    if (auto_pad != 0) {
        const int64_t out = (in + stride - 1) / stride;
        const int64_t total = brim_max_i64((out - 1) * stride + span - in, 0);
        *before = auto_pad == 1 ? total / 2 : total - total / 2;
        return out;
    }
    return in + *before + after < span ? 0 : (in + *before + after - span) / stride + 1;
}

brim_status brim_rows_plan(brim_ctx *ctx, const struct brim_dot *dot, const struct brim_shape *x,
                           size_t samples, struct brim_rows *rows)
{
    const int64_t count = brim_shape_count(x);
    const struct brim_conv_geometry *c = &dot->conv;

    *rows = (struct brim_rows){.dot = dot};
    if (count <= 0 || (size_t)count % samples != 0 ||
        !brim_mul_size(dot->groups, dot->k, &rows->columns) || rows->columns == 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "node '%s': its input has no batch axis to go through",
                         dot->name);
    }
    rows->sample = (size_t)count / samples;
    if (dot->kind == BRIM_DOT_CONV && dot->groups > 1 && c->c_in == (int64_t)dot->groups) {
        rows->lanes = (dot->groups + BRIM_ROW_LANES - 1) / BRIM_ROW_LANES * BRIM_ROW_LANES;
        rows->columns = rows->lanes * dot->k;
    }
    if (dot->kind == BRIM_DOT_MATMUL) {
        rows->per_sample = rows->sample / dot->k;
        return rows->sample % dot->k == 0
                   ? BRIM_OK
                   : brim_fail(ctx, BRIM_ERR_ARG,
                               "node '%s': samples of %zu elements, expected a "
                               "multiple of %zu",
                               dot->name, rows->sample, dot->k);
    }
    if (x->rank != c->rank + 2 || x->dim[0] != (int64_t)samples || x->dim[1] != c->c_in) {
        return brim_fail(ctx, BRIM_ERR_ARG, "node '%s': its input does not fit its weights",
                         dot->name);
    }
    rows->h = c->rank == 2 ? x->dim[2] : 1;
    rows->w = x->dim[c->rank + 1];
    rows->top = c->pad_top;
    rows->left = c->pad_left;
    rows->out_h = c->rank == 1 ? 1
                               : resolve_axis(rows->h, c->kh, c->stride_h, c->dilation_h,
                                              c->auto_pad, &rows->top, c->pad_bottom);
    rows->top = c->rank == 1 ? 0 : rows->top;
    rows->out_w = resolve_axis(rows->w, c->kw, c->stride_w, c->dilation_w, c->auto_pad, &rows->left,
                               c->pad_right);
    rows->per_sample = (size_t)(rows->out_h * rows->out_w);
    return BRIM_OK;
}

/* code - zero, as QuantizeLinear rounds: half to even of the float quotient, clipped (first: the
 * bounds are integers). */
BRIM_CLONES
static void quantize(const float *x, size_t n, const struct brim_grid *g, float *out)
{
    const float lo = (float)(g->lo - g->zero), hi = (float)(g->hi - g->zero), scale = g->scale;

    for (size_t i = 0; i < n; i++) {
        float v = x[i] / scale;
        v = v > lo ? v : lo;
        v = v < hi ? v : hi;
        out[i] = (float)brim_rint_small(v);
    }
}

static void convert(const float *x, size_t n, const struct brim_grid *g, float *out)
{
    if (g == NULL) {
        memcpy(out, x, n * sizeof *out);
    } else {
        quantize(x, n, g, out);
    }
}

#define TILE 16

/* A tile [c][p] of n_c x n_p values to [p][c] with `stride` floats a row. */
BRIM_CLONES
static void turn(float (*tile)[TILE], size_t n_c, size_t n_p, size_t stride, float *out)
{
    if (n_c == TILE) { /* most are whole: a loop of known length */
        for (size_t p = 0; p < n_p; p++) {
            for (size_t c = 0; c < TILE; c++) {
                out[p * stride + c] = tile[c][p];
            }
        }
        return;
    }
    for (size_t p = 0; p < n_p; p++) {
        for (size_t c = 0; c < n_c; c++) {
            out[p * stride + c] = tile[c][p];
        }
    }
}

/* [c][h*w] to [h*w][c] */
static void channels_last(const float *x, size_t channels, size_t plane, const struct brim_grid *g,
                          float *out)
{
    float tile[TILE][TILE];

    for (size_t c = 0; c < channels; c += TILE) {
        const size_t n_c = brim_min_size(TILE, channels - c);
        for (size_t p = 0; p < plane; p += TILE) {
            const size_t n_p = brim_min_size(TILE, plane - p);
            for (size_t i = 0; i < n_c; i++) {
                convert(x + (c + i) * plane + p, n_p, g, tile[i]);
            }
            turn(tile, n_c, n_p, channels, out + p * channels + c);
        }
    }
}

/* One kernel row of one output position, groups > 1 or partly outside; x is the image row, or NULL. */
static void fill_kernel_row(const struct brim_rows *r, const float *x, int64_t first, float *out)
{
    const struct brim_conv_geometry *c = &r->dot->conv;
    const size_t per_group = (size_t)(c->c_in / c->groups), k = r->dot->k;

    for (int64_t kx = 0; kx < c->kw; kx++) {
        const int64_t at = first + kx * c->dilation_w;
        const bool inside = x != NULL && at >= 0 && at < r->w;
        const float *from = inside ? x + (size_t)(at * c->c_in) : NULL;
        float *to = out + (size_t)kx * per_group;
        for (size_t g = 0; g < (size_t)c->groups; g++, to += k) {
            for (size_t i = 0; i < per_group; i++) {
                to[i] = inside ? from[g * per_group + i] : 0.0f;
            }
        }
    }
}

/* One tap of all channels, or NULL outside; to [chunks][k][BRIM_ROW_LANES]. */
static void fill_tap(const struct brim_rows *r, const float *x, float *out)
{
    const size_t channels = (size_t)r->dot->conv.c_in, step = r->dot->k * BRIM_ROW_LANES;

    for (size_t c = 0; c < channels; c += BRIM_ROW_LANES, out += step) {
        if (x != NULL && channels - c >= BRIM_ROW_LANES) {
            memcpy(out, x + c, BRIM_ROW_LANES * sizeof *out);
            continue;
        }
        memset(out, 0, BRIM_ROW_LANES * sizeof *out);
        if (x != NULL) {
            memcpy(out, x + c, (channels - c) * sizeof *out);
        }
    }
}

/* One output position of a depthwise layer; x is channels-last. */
static void fill_lanes(const struct brim_rows *r, const float *x, int64_t oy, int64_t ox,
                       float *out)
{
    const struct brim_conv_geometry *c = &r->dot->conv;

    for (int64_t ky = 0; ky < c->kh; ky++) {
        const int64_t y = oy * c->stride_h - r->top + ky * c->dilation_h;
        for (int64_t kx = 0; kx < c->kw; kx++, out += BRIM_ROW_LANES) {
            const int64_t at = ox * c->stride_w - r->left + kx * c->dilation_w;
            const bool inside = y >= 0 && y < r->h && at >= 0 && at < r->w;
            fill_tap(r, inside ? x + (size_t)((y * r->w + at) * c->c_in) : NULL, out);
        }
    }
}

/* Rows are the channels of one position each. */
static bool is_pointwise(const struct brim_rows *r)
{
    const struct brim_conv_geometry *c = &r->dot->conv;

    return c->groups == 1 && c->kh == 1 && c->kw == 1 && c->stride_h == 1 && c->stride_w == 1 &&
           r->top == 0 && r->left == 0 && r->out_h == r->h && r->out_w == r->w;
}

/* One output position of all groups; x is channels-last. */
static void fill_row(const struct brim_rows *r, const float *x, int64_t oy, int64_t ox, float *out)
{
    const struct brim_conv_geometry *c = &r->dot->conv;
    const size_t run = (size_t)(c->kw * c->c_in / c->groups);
    const int64_t first = ox * c->stride_w - r->left;
    const bool whole = c->groups == 1 && c->dilation_w == 1 && first >= 0 && first + c->kw <= r->w;

    for (int64_t ky = 0; ky < c->kh; ky++, out += run) {
        const int64_t y = oy * c->stride_h - r->top + ky * c->dilation_h;
        const float *line = y >= 0 && y < r->h ? x + (size_t)(y * r->w * c->c_in) : NULL;
        if (whole && line != NULL) { /* neighbours in memory as in K order */
            memcpy(out, line + (size_t)(first * c->c_in), run * sizeof *out);
        } else {
            fill_kernel_row(r, line, first, out);
        }
    }
}

void brim_rows_fill(const struct brim_rows *rows, const float *x, const struct brim_grid *grid,
                    float *scratch, float *out)
{
    if (rows->dot->kind == BRIM_DOT_MATMUL) {
        convert(x, rows->sample, grid, out);
        return;
    }
    const size_t channels = (size_t)rows->dot->conv.c_in, plane = (size_t)(rows->h * rows->w);
    if (is_pointwise(rows)) {
        channels_last(x, channels, plane, grid, out);
        return;
    }
    channels_last(x, channels, plane, grid, scratch);
    for (int64_t oy = 0; oy < rows->out_h; oy++) {
        for (int64_t ox = 0; ox < rows->out_w; ox++) {
            if (rows->lanes > 0) {
                fill_lanes(rows, scratch, oy, ox, out);
            } else {
                fill_row(rows, scratch, oy, ox, out);
            }
            out += rows->columns;
        }
    }
}
