/* dot_total.c - dot layers of which only the totals matter, by the integer kernels.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Where a layer's datapath cannot overflow, any order of addition gives its result. Convolutions
 * work on images that lie channel fastest, as bytes 0..255; a value that does not is converted on
 * the way in or out. With b = 128 for codes of a signed type, else 0, and all that is constant in
 * the offset:
 *
 *     acc = sum w * (x + b) + (bias_q - x_zero * sum w - b * sum w)
 */
#include <string.h>

#include "base/intops.h"
#include "run/step.h"

static bool is_unsigned_byte(enum brim_dtype t)
{
    return t == BRIM_UINT8 || t == BRIM_UINT4;
}

static bool is_signed_byte(enum brim_dtype t)
{
    return t == BRIM_INT8 || t == BRIM_INT4;
}

/* ---- prepare ---- */

struct range {
    int32_t lo, hi, zero; /* of the input's codes */
    int32_t b;
};

/* The bytes of an image hold x + b; a matrix is read as it is. */
static struct range range_of(const struct brim_dot *d, bool is_signed)
{
    const int32_t b = is_signed && d->kind == BRIM_DOT_CONV ? 128 : 0;

    return (struct range){.lo = (int32_t)brim_min_i64(d->x_min, d->x_zero) + b,
                          .hi = (int32_t)brim_max_i64(d->x_max, d->x_zero) + b,
                          .zero = (int32_t)d->x_zero + b,
                          .b = b};
}

/* The offset for the range's codes; false when a weight is wider than a byte or 32 bits do not hold
 * what comes of it. */
static bool fold_offset(const struct brim_dot_step *s, size_t c, const struct range *x,
                        int32_t *offset)
{
    const struct brim_dot *d = s->dot;
    int64_t lo = 0, hi = 0, sum = 0;

    for (size_t k = 0; k < d->k; k++) {
        const int64_t w = d->w[c * d->k + k];
        if (w < -128 || w > 127) {
            return false;
        }
        sum += w;
        lo += brim_min_i64(w * x->lo, w * x->hi);
        hi += brim_max_i64(w * x->lo, w * x->hi);
    }
    const int64_t v = s->offset[c] - x->b * sum;
    *offset = (int32_t)v;
    return v > INT32_MIN && v <= INT32_MAX && lo + v > INT32_MIN && hi + v <= INT32_MAX;
}

static bool geometry_fits(const struct brim_dot *d)
{
    const struct brim_conv_geometry *v = &d->conv;

    if (d->n == 0 || d->k == 0 || d->groups == 0 || d->n % d->groups != 0) {
        return false;
    }
    if (d->kind != BRIM_DOT_CONV) {
        return d->groups == 1;
    }
    return v->c_in > 0 && v->c_in % v->groups == 0 && v->kh > 0 && v->kw > 0 && v->stride_h > 0 &&
           v->stride_w > 0 && v->dilation_h > 0 && v->dilation_w > 0 && v->pad_top >= 0 &&
           v->pad_left >= 0;
}

static brim_status make_kernel(struct brim_plan *plan, struct brim_dot_step *s,
                               const struct range *x, const struct brim_epilogue *e)
{
    const struct brim_dot *d = s->dot;
    const struct brim_conv_geometry *v = &d->conv;

    if (d->kind != BRIM_DOT_CONV) {
        const struct brim_gemm_params p = {.w = d->w,
                                           .n = d->n,
                                           .k = d->k,
                                           .segments = 1,
                                           .x_min = x->lo,
                                           .x_max = x->hi,
                                           .x_signed =
                                               is_signed_byte(plan->g->values[d->x].type.dtype),
                                           .epilogue = *e};
        return brim_total_create(plan->ctx, &p, &s->product);
    }
    const struct brim_conv_kernel_params p = {.w = d->w,
                                              .n = d->n,
                                              .channels = (size_t)v->c_in,
                                              .groups = d->groups,
                                              .kh = (size_t)v->kh,
                                              .kw = (size_t)v->kw,
                                              .stride_h = (size_t)v->stride_h,
                                              .stride_w = (size_t)v->stride_w,
                                              .dilation_h = (size_t)v->dilation_h,
                                              .dilation_w = (size_t)v->dilation_w,
                                              .x_min = x->lo,
                                              .x_max = x->hi,
                                              .x_zero = x->zero,
                                              .epilogue = *e};
    return brim_conv_kernel_create(plan->ctx, &p, &s->conv);
}

brim_status brim_dot_total_prepare(struct brim_plan *plan, struct brim_dot_step *s)
{
    const struct brim_dot *d = s->dot;
    const enum brim_dtype type = plan->g->values[d->x].type.dtype;
    const bool codes = s->emit == BRIM_EMIT_CODES, is_signed = is_signed_byte(type);
    const int64_t least = is_signed ? -128 : 0;

    if (!(is_signed || is_unsigned_byte(type)) || !geometry_fits(d) ||
        brim_min_i64(d->x_min, d->x_zero) < least ||
        brim_max_i64(d->x_max, d->x_zero) > least + 255 ||
        (codes && brim_dtype_size(s->y.dtype) != 1)) {
        return BRIM_OK;
    }
    const struct range x = range_of(d, is_signed);
    int32_t *offset = brim_arena_alloc(&plan->arena, d->n, sizeof *offset);
    if (offset == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < d->n; c++) {
        if (!fold_offset(s, c, &x, &offset[c])) {
            return BRIM_OK;
        }
    }
    const int32_t y_b = s->y_bytes && is_signed_byte(s->y.dtype) ? 128 : 0;
    const struct brim_epilogue e = {.emit = s->emit,
                                    .offset = offset,
                                    .multiplier = s->multiplier,
                                    .bias = s->bias,
                                    .lo = codes ? (float)(s->y.lo - s->y.zero) : 0.0f,
                                    .hi = codes ? (float)(s->y.hi - s->y.zero) : 0.0f,
                                    .zero = codes ? (int32_t)s->y.zero + y_b : 0};
    return make_kernel(plan, s, &x, &e);
}

/* ---- run ---- */

static brim_status run_matmul(const struct brim_dot_step *s, const struct brim_dot_call *call)
{
    const struct brim_dot *d = s->dot;
    const size_t m = (size_t)brim_shape_count(&call->x->type.shape) / d->k;

    if (m == 0) {
        return BRIM_OK;
    }
    void *scratch = brim_work_get(call->work, brim_total_scratch(s->product, m));
    if (scratch == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const struct brim_gemm_rows rows = {.m = m,
                                        .x = call->x->data,
                                        .x_stride = d->k,
                                        .y = call->y->data,
                                        .y_stride = d->n,
                                        .scratch = scratch};
    brim_total_run(s->product, &rows);
    return BRIM_OK;
}

/* [pixels][channels] of 32 bits into [channels][pixels]. */
static void transpose_words(const uint32_t *x, size_t pixels, size_t channels, uint32_t *y)
{
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < channels; c++) {
            y[c * pixels + p] = x[p * channels + c];
        }
    }
}

static size_t align64(size_t v)
{
    return (v + 63) & ~(size_t)63;
}

/* Images as the kernel takes and gives them, where they do not lie so already. */
struct borders {
    uint8_t *x, *y; /* NULL: in place */
    size_t x_image, y_image, element;
};

static brim_status make_borders(const struct brim_dot_step *s, const struct brim_dot_call *call,
                                const struct brim_conv_images *v, struct borders *b,
                                uint8_t **scratch)
{
    size_t bytes;

    b->element = s->emit == BRIM_EMIT_CODES ? 1 : 4;
    b->x_image = v->h * v->w * (size_t)s->dot->conv.c_in;
    b->y_image = v->h_out * v->w_out * s->dot->n;
    if (!brim_conv_kernel_scratch(s->conv, v, &bytes)) {
        return brim_fail(call->work->ctx, BRIM_ERR_NOMEM, "out of memory: too many outputs");
    }
    const bool copy_x = !s->x_bytes, copy_y = !s->y_bytes;
    const size_t x_at = align64(bytes);
    const size_t y_at = x_at + (copy_x ? align64(v->count * b->x_image) : 0);
    const size_t end = y_at + (copy_y ? v->count * b->y_image * b->element : 0);
    *scratch = brim_work_get(call->work, end);
    if (*scratch == NULL) {
        return BRIM_ERR_NOMEM;
    }
    b->x = copy_x ? *scratch + x_at : NULL;
    b->y = copy_y ? *scratch + y_at : NULL;
    return BRIM_OK;
}

static brim_status run_conv(const struct brim_dot_step *s, const struct brim_dot_call *call)
{
    const size_t channels = (size_t)s->dot->conv.c_in;
    const uint8_t flip = is_signed_byte(call->x->type.dtype) ? 0x80 : 0;
    const uint8_t *x = call->x->data;
    uint8_t *y = call->y->data, *scratch = NULL;
    struct brim_conv_images v;
    struct borders b = {0};

    if (brim_shape_count(&call->y->type.shape) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(
        brim_dot_images(call->work->ctx, s->dot, &call->x->type.shape, &call->y->type.shape, &v));
    BRIM_TRY(make_borders(s, call, &v, &b, &scratch));
    for (size_t i = 0; b.x != NULL && i < v.count; i++) {
        brim_transpose_bytes(x + i * b.x_image, channels, v.h * v.w, flip, b.x + i * b.x_image);
    }
    brim_conv_kernel_run(s->conv, &v, b.x != NULL ? b.x : x, b.y != NULL ? b.y : y, scratch);
    for (size_t i = 0; b.y != NULL && i < v.count; i++) {
        const size_t at = i * b.y_image;
        if (b.element == 1) {
            brim_transpose_bytes(b.y + at, v.h_out * v.w_out, s->dot->n, 0, y + at);
        } else {
            transpose_words((const uint32_t *)(const void *)b.y + at, v.h_out * v.w_out, s->dot->n,
                            (uint32_t *)(void *)y + at);
        }
    }
    return BRIM_OK;
}

brim_status brim_dot_total_run(const struct brim_dot_step *s, const struct brim_dot_call *call)
{
    return s->conv != NULL ? run_conv(s, call) : run_matmul(s, call);
}
