/* check_depthwise.c - convolutions of every channel by itself. SPDX-License-Identifier: Apache-2.0 */
#include "checkasm.h"
#include "formulas.h"

#include <string.h>

#include "kernels/depthwise.h"
#include "kernels/depthwise_variant.h"

static size_t count(void)
{
    return brim_depthwise_variant_count;
}

static struct check_variant variant(size_t i)
{
    return (struct check_variant){brim_depthwise_variants[i]->name,
                                  brim_depthwise_variants[i]->isa};
}

static void draw(struct check *c, struct brim_depthwise_params *p,
                 struct brim_depthwise_plane *plane, int32_t **w)
{
    p->channels = check_length(c, 16, check_once_in(c, 4) ? 200 : 70);
    p->kh = (size_t)check_range(c, 1, check_once_in(c, 4) ? 9 : 5);
    p->kw = (size_t)check_range(c, 1, check_once_in(c, 4) ? 9 : 4);
    p->stride_h = (size_t)check_range(c, 1, 3);
    p->stride_w = (size_t)check_range(c, 1, 3);
    p->dilation_h = (size_t)check_range(c, 1, 2);
    p->dilation_w = (size_t)check_range(c, 1, 3);
    p->x_signed = check_once_in(c, 2);
    p->x_min = p->x_signed ? -128 : 0;
    p->x_max = p->x_min + (int32_t)check_range(c, 1, 255);
    plane->h_out = (size_t)check_range(c, 1, 4);
    plane->w_out = check_length(c, BRIM_DEPTHWISE_OUTPUTS, 80);
    const size_t taps = p->kh * p->kw;
    *w = check_buffer(c, "weights", p->channels * taps * sizeof **w, sizeof **w);
    check_fill(c, check_any_pattern(c), *w, p->channels * taps, -128, 127);
    p->w = *w;
    check_make_epilogue(c, &p->epilogue, p->channels, (int64_t)taps * 255 * 128 + 1);
}

static void fill_plane(struct check *c, const struct brim_depthwise_params *p, uint8_t *x, size_t n)
{
    const enum check_pattern pattern = check_any_pattern(c);
    int32_t codes[256];

    for (size_t at = 0; at < n; at++) {
        if (at % 256 == 0) {
            check_fill(c, pattern, codes, 256, p->x_min, p->x_max);
        }
        x[at] = (uint8_t)codes[at % 256];
    }
}

static int64_t total(const struct brim_depthwise_params *p,
                     const struct brim_depthwise_plane *plane, size_t row, size_t column,
                     size_t channel)
{
    int64_t sum = 0;

    for (size_t i = 0; i < p->kh; i++) {
        for (size_t j = 0; j < p->kw; j++) {
            const size_t r = row * p->stride_h + i * p->dilation_h;
            const size_t s = column * p->stride_w + j * p->dilation_w;
            const int32_t x =
                ((const uint8_t *)plane->x)[r * plane->row + s * p->channels + channel];
            sum += (int64_t)p->w[(channel * p->kh + i) * p->kw + j] *
                   (p->x_signed && x > 127 ? x - 256 : x);
        }
    }
    return sum;
}

static void run(struct check *c, size_t i)
{
    const struct brim_depthwise_variant *v = brim_depthwise_variants[i];
    struct brim_depthwise_params p = {.variant = v->name};
    struct brim_depthwise_plane plane = {0};
    struct brim_depthwise *depthwise;
    int32_t *w;

    draw(c, &p, &plane, &w);
    const size_t width = (plane.w_out - 1) * p.stride_w + (p.kw - 1) * p.dilation_w + 1;
    const size_t height = (plane.h_out - 1) * p.stride_h + (p.kh - 1) * p.dilation_h + 1;
    plane.row = width * p.channels + (size_t)check_range(c, 0, 70);
    check_describe(
        c, "%zu channels, %zux%zu, strides %zu %zu, dilations %zu %zu, %zux%zu outputs, x %d..%d",
        p.channels, p.kh, p.kw, p.stride_h, p.stride_w, p.dilation_h, p.dilation_w, plane.h_out,
        plane.w_out, p.x_min, p.x_max);
    const size_t bytes = (height - 1) * plane.row + width * p.channels;
    uint8_t *x = check_buffer(c, "x", bytes, 1);
    fill_plane(c, &p, x, bytes);
    check_seal(c, x);
    plane.x = x;
    const size_t size = check_emit_size(p.epilogue.emit);
    const size_t outputs = plane.h_out * plane.w_out * p.channels;
    uint8_t *got = check_buffer(c, "y", outputs * size, size);
    uint8_t *want = check_buffer(c, "expected y", outputs * size, size);
    for (size_t at = 0; at < outputs; at++) {
        const size_t position = at / p.channels;
        check_emit(
            &p.epilogue,
            total(&p, &plane, position / plane.w_out, position % plane.w_out, at % p.channels),
            at % p.channels, want + at * size);
    }
    if (brim_depthwise_create(c->ctx, &p, &depthwise) != BRIM_OK) {
        check_fail(c, "refused: %s", brim_error(c->ctx));
    }
    memset(w, 0x55, p.channels * p.kh * p.kw * sizeof *w); /* the kernel has its own */
    if (brim_depthwise_chosen(depthwise) != v) {
        check_fail(c, "another variant was chosen: %s", brim_depthwise_chosen(depthwise)->name);
    }
    plane.y = got;
    plane.scratch = check_buffer(c, "scratch", brim_depthwise_scratch(depthwise), 64);
    brim_depthwise_run(depthwise, &plane);
    check_same(c, got, want, size, plane.w_out * p.channels);
    brim_depthwise_free(c->ctx, depthwise);
}

const struct check_family check_depthwise = {"depthwise", count, variant, 200, run};
