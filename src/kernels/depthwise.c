/* depthwise.c - packs a depthwise convolution's weights and walks its outputs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A block of channels at a time, a row of outputs at a time, BRIM_DEPTHWISE_OUTPUTS of a row at a
 * time: the columns and totals of these stay in the first-level cache whatever the plane's size.
 * Codes that are signed are computed on as bytes, 128 more than they are, and the offsets make up
 * for it: sum w * (x + 128) - 128 * sum w.
 */
#include "kernels/depthwise.h"

#include <assert.h>
#include <string.h>

#include "base/cpu.h"
#include "base/intops.h"
#include "kernels/depthwise_variant.h"

struct brim_depthwise {
    const struct brim_depthwise_variant *variant;
    const struct brim_epilogue_variant *finish;
    struct brim_epilogue epilogue;
    size_t channels, kh, kw, stride_h, stride_w, dilation_h, dilation_w;
    size_t groups;      /* of taps, in a column */
    size_t block_bytes; /* of a block's weights */
    size_t column_bytes;
    uint8_t flip;
    int32_t *offset; /* [channels] */
    void *w;
};

/* ---- what may be computed ---- */

static bool code_range(const struct brim_depthwise_params *p)
{
    const int32_t lo = p->x_signed ? -128 : 0, hi = p->x_signed ? 127 : 255;

    return p->x_min >= lo && p->x_max <= hi && p->x_min <= p->x_max;
}

/* The offset for bytes; false when a code or a sum leaves its range. */
static bool fold_offset(const struct brim_depthwise_params *p, size_t c, int32_t *offset)
{
    const size_t taps = p->kh * p->kw;
    int64_t lo = p->epilogue.offset != NULL ? p->epilogue.offset[c] : 0, hi = lo, sum = lo;

    for (size_t i = 0; i < taps; i++) {
        const int32_t w = p->w[c * taps + i];
        if (w < -128 || w > 127) {
            return false;
        }
        lo += brim_min_i64((int64_t)w * p->x_min, (int64_t)w * p->x_max);
        hi += brim_max_i64((int64_t)w * p->x_min, (int64_t)w * p->x_max);
        sum -= p->x_signed ? 128 * (int64_t)w : 0;
    }
    *offset = (int32_t)(uint32_t)(uint64_t)sum;
    return lo >= INT32_MIN && hi <= INT32_MAX;
}

static brim_status choose(brim_ctx *ctx, const char *name,
                          const struct brim_depthwise_variant **variant)
{
    for (size_t i = brim_depthwise_variant_count; i-- > 0;) {
        const struct brim_depthwise_variant *v = brim_depthwise_variants[i];
        if ((v->isa & ~ctx->isa) == 0 && (name == NULL || strcmp(v->name, name) == 0)) {
            *variant = v;
            return BRIM_OK;
        }
    }
    return brim_fail(ctx, BRIM_ERR_ARG, "depthwise variant '%s' is not on this CPU", name);
}

/* ---- packing ---- */

/* The channel of a block that lies at `position`. */
static size_t channel_at(const struct brim_depthwise_variant *v, size_t position)
{
    return position / 4 % v->lanes * (v->block / v->lanes) + position / (4 * (size_t)v->lanes) * 4 +
           position % 4;
}

static void pack_block(const struct brim_depthwise *d, const int32_t *w, size_t first)
{
    const struct brim_depthwise_variant *v = d->variant;
    void *to = (uint8_t *)d->w + first / v->block * d->block_bytes;
    size_t at = 0;

    for (size_t j = 0; j < d->kw; j++) {
        for (size_t g = 0; g < d->groups; g++) {
            for (size_t i = 0; i < v->block * (size_t)v->taps; i++, at++) {
                const size_t c = first + channel_at(v, i / v->taps);
                const size_t row = g * v->taps + i % v->taps;
                if (c >= d->channels || row >= d->kh) {
                    continue;
                }
                const int32_t code = w[(c * d->kh + row) * d->kw + j];
                if (v->wide) {
                    ((int16_t *)to)[at] = (int16_t)code;
                } else {
                    ((int8_t *)to)[at] = (int8_t)code;
                }
            }
        }
    }
}

static brim_status fill(brim_ctx *ctx, const struct brim_depthwise_params *p,
                        struct brim_depthwise *d)
{
    const struct brim_depthwise_variant *const v = d->variant;

    assert(v != NULL);
    const size_t blocks = (p->channels + v->block - 1) / v->block;

    d->groups = (p->kh + v->taps - 1) / v->taps;
    d->column_bytes = d->groups * v->block * v->taps * (v->wide ? 2 : 1);
    d->block_bytes = p->kw * d->column_bytes;
    d->offset = brim_alloc(ctx, p->channels + 1, sizeof *d->offset);
    d->w = brim_zalloc(ctx, blocks + 1, d->block_bytes + 1);
    if (d->offset == NULL || d->w == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < p->channels; c++) {
        if (!code_range(p) || !fold_offset(p, c, &d->offset[c])) {
            return brim_fail(ctx, BRIM_ERR_ARG, "depthwise channel %zu does not fit 32 bits", c);
        }
    }
    for (size_t c = 0; c < p->channels; c += v->block) {
        pack_block(d, p->w, c);
    }
    d->epilogue.offset = d->offset;
    return BRIM_OK;
}

brim_status brim_depthwise_create(brim_ctx *ctx, const struct brim_depthwise_params *p,
                                  struct brim_depthwise **depthwise)
{
    struct brim_depthwise *d = brim_zalloc(ctx, 1, sizeof *d);

    if (d == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *d = (struct brim_depthwise){.finish = brim_epilogue_choose(ctx->isa),
                                 .epilogue = p->epilogue,
                                 .channels = p->channels,
                                 .kh = p->kh,
                                 .kw = p->kw,
                                 .stride_h = p->stride_h,
                                 .stride_w = p->stride_w,
                                 .dilation_h = p->dilation_h,
                                 .dilation_w = p->dilation_w,
                                 .flip = p->x_signed ? 0x80 : 0};
    brim_status status = choose(ctx, p->variant, &d->variant);
    if (status == BRIM_OK) {
        status = fill(ctx, p, d);
    }
    if (status != BRIM_OK) {
        brim_depthwise_free(ctx, d);
        return status;
    }
    *depthwise = d;
    return BRIM_OK;
}

void brim_depthwise_free(brim_ctx *ctx, struct brim_depthwise *depthwise)
{
    if (depthwise != NULL) {
        brim_free(ctx, depthwise->offset);
        brim_free(ctx, depthwise->w);
        brim_free(ctx, depthwise);
    }
}

const struct brim_depthwise_variant *brim_depthwise_chosen(const struct brim_depthwise *depthwise)
{
    return depthwise->variant;
}

/* ---- running ---- */

static size_t columns_of(const struct brim_depthwise *d, size_t outputs)
{
    return (outputs - 1) * d->stride_w + (d->kw - 1) * d->dilation_w + 1;
}

static size_t totals_bytes(const struct brim_depthwise *d)
{
    return (size_t)BRIM_DEPTHWISE_OUTPUTS * d->variant->block * sizeof(int32_t);
}

size_t brim_depthwise_scratch(const struct brim_depthwise *depthwise)
{
    return totals_bytes(depthwise) +
           columns_of(depthwise, BRIM_DEPTHWISE_OUTPUTS) * depthwise->column_bytes;
}

/* One row of outputs, channels from `first` on. x and y: the row's first pixel, channel 0. */
static void run_row(const struct brim_depthwise *d, const struct brim_depthwise_plane *p,
                    size_t first, const uint8_t *x, uint8_t *y)
{
    const struct brim_depthwise_variant *v = d->variant;
    const size_t size = d->epilogue.emit == BRIM_EMIT_CODES ? 1 : 4;
    struct brim_depthwise_run r = {.row = p->row * d->dilation_h,
                                   .pixel = d->channels,
                                   .channels = brim_min_size(v->block, d->channels - first),
                                   .kh = d->kh,
                                   .kw = d->kw,
                                   .stride = d->stride_w,
                                   .dilation = d->dilation_w,
                                   .flip = d->flip,
                                   .w = (const uint8_t *)d->w + first / v->block * d->block_bytes,
                                   .column = (uint8_t *)p->scratch + totals_bytes(d),
                                   .total = p->scratch};

    for (size_t o = 0; o < p->w_out; o += BRIM_DEPTHWISE_OUTPUTS) {
        r.outputs = brim_min_size(BRIM_DEPTHWISE_OUTPUTS, p->w_out - o);
        r.columns = columns_of(d, r.outputs);
        r.x = x + o * d->stride_w * d->channels + first;
        v->run(&r);
        const struct brim_epilogue_block b = {.total = r.total,
                                              .stride = v->block,
                                              .rows = r.outputs,
                                              .columns = r.channels,
                                              .first = first,
                                              .y = y + (o * d->channels + first) * size,
                                              .y_stride = d->channels};
        d->finish->run(&d->epilogue, &b);
    }
}

void brim_depthwise_run(const struct brim_depthwise *depthwise,
                        const struct brim_depthwise_plane *plane)
{
    const struct brim_depthwise *d = depthwise;
    const size_t size = d->epilogue.emit == BRIM_EMIT_CODES ? 1 : 4;
    const uint8_t *x = plane->x;

    for (size_t first = 0; first < d->channels; first += d->variant->block) {
        for (size_t r = 0; r < plane->h_out; r++) {
            run_row(d, plane, first, x + r * d->stride_h * plane->row,
                    (uint8_t *)plane->y + r * plane->w_out * d->channels * size);
        }
    }
}
