/* check_conv.c - convolutions over padded images, by whatever products and depthwise kernels the
 * level has. SPDX-License-Identifier: Apache-2.0 */
#include "checkasm.h"
#include "formulas.h"

#include <string.h>

#include "kernels/conv.h"

static size_t count(void)
{
    return 1;
}

static struct check_variant variant(size_t i)
{
    (void)i;
    return (struct check_variant){"plane", 0};
}

/* Groups and channels of a group, of the input and of the output. */
static void draw_channels(struct check *c, struct brim_conv_kernel_params *p)
{
    size_t in = check_length(c, 16, 40), out = check_length(c, 16, 40);

    p->groups = check_once_in(c, 3) ? (size_t)check_range(c, 2, 9) : 1;
    if (p->groups > 1 && check_once_in(c, 2)) {
        in = 1;
        out = check_once_in(c, 2) ? 2 : 1;
    } else if (p->groups > 1) {
        in = in % 5 + 1;
        out = out % 5 + 1;
    }
    p->channels = p->groups * in;
    p->n = p->groups * out;
}

static void draw_geometry(struct check *c, struct brim_conv_kernel_params *p,
                          struct brim_conv_images *v)
{
    const bool plain = check_once_in(c, 2); /* stride 1, no dilation: most layers */
    const size_t most = plain ? 1 : 3;

    p->kh = (size_t)check_range(c, 1, check_once_in(c, 8) ? 70 : 4);
    p->kw = (size_t)check_range(c, 1, 4);
    p->stride_h = (size_t)check_range(c, 1, (int64_t)most);
    p->stride_w = (size_t)check_range(c, 1, (int64_t)most);
    p->dilation_h = (size_t)check_range(c, 1, (int64_t)most);
    p->dilation_w = (size_t)check_range(c, 1, (int64_t)most);
    v->count = check_once_in(c, 40) ? 0 : (size_t)check_range(c, 1, 3);
    v->h = (size_t)check_range(c, 1, 12);
    v->w = check_length(c, 16, 20);
    v->top = check_once_in(c, 3) ? 0 : (size_t)check_range(c, 0, 3);
    v->left = check_once_in(c, 3) ? 0 : (size_t)check_range(c, 0, 3);
    v->h_out = (size_t)check_range(c, 1, 12);
    v->w_out = check_length(c, 16, 20);
}

static int64_t total(const struct brim_conv_kernel_params *p, const struct brim_conv_images *v,
                     const uint8_t *x, size_t row, size_t column, size_t output)
{
    const size_t in = p->channels / p->groups, group = output / (p->n / p->groups);
    int64_t sum = 0;

    for (size_t i = 0; i < p->kh; i++) {
        for (size_t j = 0; j < p->kw; j++) {
            const size_t r = row * p->stride_h + i * p->dilation_h - v->top;
            const size_t s = column * p->stride_w + j * p->dilation_w - v->left;
            const bool inside = r < v->h && s < v->w; /* in front of the image they wrap */
            for (size_t d = 0; d < in; d++) {
                const int32_t code =
                    inside ? x[(r * v->w + s) * p->channels + group * in + d] : p->x_zero;
                sum += (int64_t)p->w[((output * p->kh + i) * p->kw + j) * in + d] * code;
            }
        }
    }
    return sum;
}

static void expect(const struct brim_conv_kernel_params *p, const struct brim_conv_images *v,
                   const uint8_t *x, uint8_t *want)
{
    const size_t size = check_emit_size(p->epilogue.emit), positions = v->h_out * v->w_out;

    for (size_t at = 0; at < v->count * positions; at++, want += p->n * size) {
        const uint8_t *image = x + at / positions * v->h * v->w * p->channels;
        const size_t row = at % positions / v->w_out, column = at % v->w_out;
        for (size_t n = 0; n < p->n; n++) {
            check_emit(&p->epilogue, total(p, v, image, row, column, n), n, want + n * size);
        }
    }
}

static void run(struct check *c, size_t unused)
{
    struct brim_conv_kernel_params p = {0};
    struct brim_conv_images v = {0};
    struct brim_conv_kernel *kernel;
    int32_t codes[64];
    size_t scratch;

    (void)unused;
    draw_channels(c, &p);
    draw_geometry(c, &p, &v);
    p.x_max = check_once_in(c, 2) ? 255 : (int32_t)check_range(c, 1, 255);
    p.x_min = check_once_in(c, 2) ? 0 : (int32_t)check_range(c, 0, p.x_max);
    p.x_zero = (int32_t)check_range(c, p.x_min, p.x_max);
    const size_t k = p.kh * p.kw * (p.channels / p.groups);
    int32_t *w = check_buffer(c, "weights", p.n * k * sizeof *w, sizeof *w);
    const int32_t most = check_once_in(c, 2) ? 127 : (int32_t)check_range(c, 0, 4); /* 16 bits do */
    check_fill(c, check_any_pattern(c), w, p.n * k, most == 127 ? -128 : -most, most);
    p.w = w;
    check_make_epilogue(c, &p.epilogue, p.n, (int64_t)k * 255 * 128 + 1);
    check_describe(
        c,
        "%zu images %zux%zux%zu, %zu outputs in %zu groups, kernel %zux%zu, strides %zu "
        "%zu, dilations %zu %zu, padding %zu %zu, %zux%zu positions, x %d..%d around %d, weights to %d",
        v.count, v.h, v.w, p.channels, p.n, p.groups, p.kh, p.kw, p.stride_h, p.stride_w,
        p.dilation_h, p.dilation_w, v.top, v.left, v.h_out, v.w_out, p.x_min, p.x_max, p.x_zero,
        most);
    const size_t bytes = v.count * v.h * v.w * p.channels;
    const size_t outputs = v.count * v.h_out * v.w_out * p.n;
    uint8_t *x = check_buffer(c, "x", bytes, 1);
    const enum check_pattern pattern = check_any_pattern(c);
    for (size_t at = 0; at < bytes; at++) {
        if (at % 64 == 0) {
            check_fill(c, pattern, codes, 64, p.x_min, p.x_max);
        }
        x[at] = (uint8_t)codes[at % 64];
    }
    check_seal(c, x);
    const size_t size = check_emit_size(p.epilogue.emit);
    uint8_t *got = check_buffer(c, "y", outputs * size, size);
    uint8_t *want = check_buffer(c, "expected y", outputs * size, size);
    expect(&p, &v, x, want);
    if (brim_conv_kernel_create(c->ctx, &p, &kernel) != BRIM_OK) {
        check_fail(c, "refused: %s", brim_error(c->ctx));
    }
    memset(w, 0x55, p.n * k * sizeof *w); /* the kernel has its own */
    if (!brim_conv_kernel_scratch(kernel, &v, &scratch)) {
        check_fail(c, "no size of scratch");
    }
    brim_conv_kernel_run(kernel, &v, x, got, check_buffer(c, "scratch", scratch, 64));
    check_same(c, got, want, size, v.w_out * p.n);
    brim_conv_kernel_free(c->ctx, kernel);
}

const struct check_family check_conv = {"conv", count, variant, 400, run};
