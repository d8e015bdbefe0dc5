/* dot_step.c - one dot layer in integers: codes in, codes or floats out. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A convolution's input is first copied into a plane [height][width][channel] of 32-bit codes, with
 * its padding written out as the zero-point code, so that a row of the reduction in K order (kernel
 * row, kernel column, channel) is a run of the plane per kernel row:
 *
 *     plane row y*stride     . . [ kw*c ] . .  \
 *     plane row y*stride+1   . . [ kw*c ] . .   > one row of kh*kw*c codes
 *     plane row y*stride+2   . . [ kw*c ] . .  /
 *
 * Rows are gathered in blocks of bounded size. A 1x1 convolution of stride 1, and a matrix product,
 * read their rows where they lie.
 *
 * The register sees only sum(w*x). Outside it, exactly:
 *     acc = sum(w*x) - x_zero * sum(w) + bias_q
 */
#include <assert.h>
#include <string.h>

#include "base/intops.h"
#include "run/dot_conv.h"

#define BLOCK_BYTES ((size_t)256 << 10)

/* ---- prepare ---- */

brim_status brim_dot_step_prepare(struct brim_plan *plan, struct brim_dot_step *s)
{
    const struct brim_dot *d = s->dot;
    int64_t *offset = brim_arena_alloc(&plan->arena, d->n, sizeof *offset);
    float *multiplier = brim_arena_alloc(&plan->arena, d->n, sizeof *multiplier);

    if (offset == NULL || multiplier == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < d->n; c++) {
        int64_t sum = 0;
        for (size_t k = 0; k < d->k; k++) {
            sum += d->w[c * d->k + k];
        }
        offset[c] = (d->bias_q != NULL ? d->bias_q[c] : 0) - d->x_zero * sum;
        multiplier[c] = 1.0f;
        if (s->emit != BRIM_EMIT_ACC) {
            multiplier[c] = d->x_scale * d->w_scale[c];
        }
        if (s->emit == BRIM_EMIT_CODES) {
            multiplier[c] /= s->y_scale;
        }
    }
    s->offset = offset;
    s->multiplier = multiplier;
    s->bias = s->emit == BRIM_EMIT_FLOAT ? d->bias : NULL;
    const struct brim_dot_kernel_params p = {.w = d->w,
                                             .n = d->n,
                                             .k = d->k,
                                             .groups = d->groups,
                                             .x_min = brim_min_i64(d->x_min, d->x_zero),
                                             .x_max = brim_max_i64(d->x_max, d->x_zero),
                                             .datapath = s->datapath,
                                             .count = plan->count};
    BRIM_TRY(brim_dot_kernel_create(plan->ctx, &p, &s->kernel));
    s->as_float = brim_dot_kernel_is_total(s->kernel) && brim_dot_conv_is_exact(d);
    return BRIM_OK;
}

/* ---- emit ---- */

/* m results of one output: values[i * value_stride], written to element first + i * y_stride. */
struct emit {
    const int64_t *value;
    size_t value_stride, m, channel;
    void *y;
    size_t first, y_stride;
};

static void emit_float(const struct brim_dot_step *s, const struct emit *e)
{
    const int64_t offset = s->offset[e->channel];
    const float multiplier = s->multiplier[e->channel];
    const bool add = s->bias != NULL;
    const float bias = add ? s->bias[e->channel] : 0.0f;
    float *y = (float *)e->y + e->first;

    for (size_t i = 0; i < e->m; i++) {
        const float v = (float)(e->value[i * e->value_stride] + offset) * multiplier;
        y[i * e->y_stride] = add ? v + bias : v;
    }
}

static void emit_acc(const struct brim_dot_step *s, const struct emit *e)
{
    const int64_t offset = s->offset[e->channel];
    uint32_t *y = (uint32_t *)e->y + e->first;

    for (size_t i = 0; i < e->m; i++) {
        y[i * e->y_stride] = (uint32_t)((uint64_t)e->value[i * e->value_stride] + (uint64_t)offset);
    }
}

static void emit_codes(const struct brim_dot_step *s, const struct emit *e)
{
    const int64_t offset = s->offset[e->channel];
    const float multiplier = s->multiplier[e->channel];
    const float lo = (float)(s->lo - s->zero), hi = (float)(s->hi - s->zero);
    const bool wide = brim_dtype_size(s->y_type) == 2;

    for (size_t i = 0; i < e->m; i++) {
        float v = (float)(e->value[i * e->value_stride] + offset) * multiplier;
        v = v > lo ? v : lo; /* bounds are integers: clipping before rounding changes nothing */
        v = v < hi ? v : hi;
        const uint64_t q = (uint64_t)((int64_t)brim_rint((double)v) + s->zero);
        if (wide) {
            ((uint16_t *)e->y)[e->first + i * e->y_stride] = (uint16_t)q;
        } else {
            ((uint8_t *)e->y)[e->first + i * e->y_stride] = (uint8_t)q;
        }
    }
}

static void emit(const struct brim_dot_step *s, const struct emit *e)
{
    switch (s->emit) {
    case BRIM_EMIT_FLOAT:
        emit_float(s, e);
        break;
    case BRIM_EMIT_CODES:
        emit_codes(s, e);
        break;
    case BRIM_EMIT_ACC:
        emit_acc(s, e);
        break;
    }
}

/* ---- codes ---- */

/* dst[i * dst_stride] = src[first + i], widened. */
static brim_status widen(brim_ctx *ctx, const struct brim_tensor *src, size_t first, size_t n,
                         int32_t *dst, size_t dst_stride)
{
#define WIDEN(type)                                                                                \
    for (size_t i = 0; i < n; i++) {                                                               \
        dst[i * dst_stride] = ((const type *)src->data)[first + i];                                \
    }
    const enum brim_dtype t = src->type.dtype;

    assert(dst != NULL);
    if (t == BRIM_UINT8 || t == BRIM_UINT4) {
        WIDEN(uint8_t)
    } else if (t == BRIM_INT8 || t == BRIM_INT4) {
        WIDEN(int8_t)
    } else if (t == BRIM_UINT16) {
        WIDEN(uint16_t)
    } else if (t == BRIM_INT16) {
        WIDEN(int16_t)
    } else {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED, "input codes of type %s, expected 4 to 16 bits",
                         brim_dtype_name(t));
    }
#undef WIDEN
    return BRIM_OK;
}

/* What one run works with. */
struct job {
    const struct brim_dot_step *s;
    struct brim_dot_counts *counts;
    struct brim_tensor *y;
    int64_t *value; /* [block][n / groups] */
    void *scratch;  /* the kernel's */
    size_t block, per_group;
};

static brim_status start(struct job *j, struct brim_arena *scratch, size_t rows)
{
    const struct brim_dot *d = j->s->dot;
    const size_t row_bytes = (d->k + 1) * sizeof(int32_t);
    const size_t most = BLOCK_BYTES / row_bytes;

    j->per_group = d->n / d->groups;
    j->block = brim_max_size(1, brim_min_size(rows, most));
    size_t values;
    if (!brim_mul_size(j->block, j->per_group, &values)) {
        return brim_fail(scratch->ctx, BRIM_ERR_NOMEM, "out of memory: too many outputs");
    }
    j->value = brim_arena_alloc(scratch, values, sizeof *j->value);
    j->scratch = brim_arena_alloc(scratch, brim_dot_kernel_scratch(j->s->kernel) + 1, 1);
    return j->value == NULL || j->scratch == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

/* m rows of one group: x as the kernel takes it; results of row i, output c of the group go to
 * element (first + i * row_stride + c * channel_stride) of y. */
struct block {
    size_t group, m;
    const int32_t *x;
    size_t x_stride, first, row_stride, channel_stride;
};

static void run_block(const struct job *j, const struct block *b)
{
    const struct brim_dot_rows rows = {.group = b->group,
                                       .m = b->m,
                                       .x = b->x,
                                       .x_stride = b->x_stride,
                                       .y = j->value,
                                       .y_stride = j->per_group,
                                       .counts = j->counts,
                                       .scratch = j->scratch};

    assert(j->value != NULL);
    brim_dot_kernel_run(j->s->kernel, &rows);
    for (size_t c = 0; c < j->per_group; c++) {
        const struct emit e = {.value = j->value + c,
                               .value_stride = j->per_group,
                               .m = b->m,
                               .channel = b->group * j->per_group + c,
                               .y = j->y->data,
                               .first = b->first + c * b->channel_stride,
                               .y_stride = b->row_stride};
        emit(j->s, &e);
    }
}

/* ---- matrix products ---- */

static brim_status run_matmul(struct job *j, const struct brim_tensor *x,
                              struct brim_arena *scratch)
{
    const struct brim_dot *d = j->s->dot;
    const size_t rows = d->k == 0 ? 0 : (size_t)brim_shape_count(&x->type.shape) / d->k;

    BRIM_TRY(start(j, scratch, rows));
    int32_t *codes = brim_arena_alloc(scratch, j->block * d->k, sizeof *codes);
    if (codes == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t r = 0; r < rows; r += j->block) {
        const size_t m = brim_min_size(j->block, rows - r);
        BRIM_TRY(widen(scratch->ctx, x, r * d->k, m * d->k, codes, 1));
        const struct block b = {.m = m,
                                .x = codes,
                                .x_stride = d->k,
                                .first = r * d->n,
                                .row_stride = d->n,
                                .channel_stride = 1};
        run_block(j, &b);
    }
    return BRIM_OK;
}

/* ---- convolutions ---- */

struct plane {
    size_t h_in, w_in, c_in; /* the image */
    size_t top, left;        /* padding before it */
    size_t h, w;             /* padded */
    size_t h_out, w_out;
    int32_t *code; /* [h][w][c_in] */
};

/* Padding in front of the first element and the padded size, for one axis. */
struct axis {
    int64_t in, out, kernel, stride, dilation, before;
};

static void resolve(const struct axis *a, int auto_pad, size_t *before, size_t *size)
{
    const int64_t extent = (a->kernel - 1) * a->dilation + 1;
    const int64_t reach = a->out > 0 ? (a->out - 1) * a->stride + extent : 0;
    int64_t front = a->before;

    if (auto_pad != 0) {
        const int64_t total = brim_max_i64(0, reach - a->in);
        front = auto_pad == 1 ? total / 2 : total - total / 2;
    }
    *before = (size_t)front;
    *size = (size_t)brim_max_i64(reach, front + a->in);
}

static brim_status plane_create(const struct brim_dot *d, const struct brim_tensor *x,
                                const struct brim_tensor *y, struct brim_arena *scratch,
                                struct plane *p)
{
    const struct brim_conv_geometry *v = &d->conv;
    const bool flat = v->rank == 1;
    const int64_t *xd = x->type.shape.dim, *yd = y->type.shape.dim;
    const struct axis ah = {.in = flat ? 1 : xd[2],
                            .out = flat ? 1 : yd[2],
                            .kernel = v->kh,
                            .stride = v->stride_h,
                            .dilation = v->dilation_h,
                            .before = v->pad_top};
    const struct axis aw = {.in = flat ? xd[2] : xd[3],
                            .out = flat ? yd[2] : yd[3],
                            .kernel = v->kw,
                            .stride = v->stride_w,
                            .dilation = v->dilation_w,
                            .before = v->pad_left};
    size_t n;

    *p = (struct plane){.h_in = (size_t)ah.in,
                        .w_in = (size_t)aw.in,
                        .c_in = (size_t)v->c_in,
                        .h_out = (size_t)ah.out,
                        .w_out = (size_t)aw.out};
    resolve(&ah, flat ? 0 : v->auto_pad, &p->top, &p->h);
    resolve(&aw, v->auto_pad, &p->left, &p->w);
    if (!brim_mul_size(p->h, p->w, &n) || !brim_mul_size(n, p->c_in, &n) ||
        n > scratch->ctx->params.max_tensor_bytes / sizeof *p->code) {
        return brim_fail(scratch->ctx, BRIM_ERR_UNSUPPORTED,
                         "the padded input exceeds the limit of %zu bytes",
                         scratch->ctx->params.max_tensor_bytes);
    }
    p->code = brim_arena_alloc(scratch, n + 1, sizeof *p->code);
    if (p->code == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        p->code[i] = (int32_t)d->x_zero;
    }
    return BRIM_OK;
}

/* Image b of x, [c][h][w], into the plane's inside; its padding stays as it is. */
static brim_status plane_load(const struct plane *p, const struct brim_tensor *x, size_t b,
                              brim_ctx *ctx)
{
    for (size_t c = 0; c < p->c_in; c++) {
        for (size_t y = 0; y < p->h_in; y++) {
            const size_t from = ((b * p->c_in + c) * p->h_in + y) * p->w_in;
            int32_t *to = p->code + ((p->top + y) * p->w + p->left) * p->c_in + c;
            BRIM_TRY(widen(ctx, x, from, p->w_in, to, p->c_in));
        }
    }
    return BRIM_OK;
}

/* Rows first..first+m-1 of one group, in K order. */
static void gather(const struct plane *p, const struct brim_dot *d, const struct block *b,
                   size_t first, int32_t *rows)
{
    const struct brim_conv_geometry *v = &d->conv;
    const size_t c_group = p->c_in / d->groups, kw = (size_t)v->kw, kh = (size_t)v->kh;
    const bool run = d->groups == 1 && v->dilation_w == 1;

    assert(p->code != NULL);
    for (size_t i = 0; i < b->m; i++) {
        const size_t oy = (first + i) / p->w_out, ox = (first + i) % p->w_out;
        const int32_t *corner =
            p->code + (oy * (size_t)v->stride_h * p->w + ox * (size_t)v->stride_w) * p->c_in +
            b->group * c_group;
        int32_t *to = rows + i * d->k;
        for (size_t y = 0; y < kh; y++) {
            const int32_t *from = corner + y * (size_t)v->dilation_h * p->w * p->c_in;
            if (run) {
                memcpy(to, from, kw * p->c_in * sizeof *to);
                to += kw * p->c_in;
                continue;
            }
            for (size_t x = 0; x < kw; x++) {
                const int32_t *pixel = from + x * (size_t)v->dilation_w * p->c_in;
                for (size_t c = 0; c < c_group; c++) {
                    *to++ = pixel[c];
                }
            }
        }
    }
}

static void run_image(const struct job *j, const struct plane *p, size_t image, int32_t *rows)
{
    const struct brim_dot *d = j->s->dot;
    const struct brim_conv_geometry *v = &d->conv;
    const size_t positions = p->h_out * p->w_out;
    const bool direct = d->groups == 1 && v->kh == 1 && v->kw == 1 && v->stride_h == 1 &&
                        v->stride_w == 1 && p->w == p->w_out;

    for (size_t r = 0; r < positions; r += j->block) {
        for (size_t g = 0; g < d->groups; g++) {
            struct block b = {.group = g,
                              .m = brim_min_size(j->block, positions - r),
                              .x = rows,
                              .x_stride = d->k,
                              .first = (image * d->n + g * j->per_group) * positions + r,
                              .row_stride = 1,
                              .channel_stride = positions};
            if (direct) {
                b.x = p->code + r * p->c_in;
            } else {
                gather(p, d, &b, r, rows);
            }
            run_block(j, &b);
        }
    }
}

static brim_status run_conv(struct job *j, const struct brim_tensor *x, struct brim_arena *scratch)
{
    const struct brim_dot *d = j->s->dot;
    const size_t images = (size_t)x->type.shape.dim[0];
    struct plane p;

    if (brim_shape_count(&j->y->type.shape) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(plane_create(d, x, j->y, scratch, &p));
    BRIM_TRY(start(j, scratch, p.h_out * p.w_out));
    int32_t *rows = brim_arena_alloc(scratch, j->block * d->k, sizeof *rows);
    if (rows == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t image = 0; image < images; image++) {
        BRIM_TRY(plane_load(&p, x, image, scratch->ctx));
        run_image(j, &p, image, rows);
    }
    return BRIM_OK;
}

/* What the code above relies on. The shape rules promise it, files do not. */
static brim_status check(const struct brim_dot *d, const struct brim_tensor *x,
                         const struct brim_tensor *y, brim_ctx *ctx)
{
    const struct brim_shape *xs = &x->type.shape, *ys = &y->type.shape;
    const struct brim_conv_geometry *v = &d->conv;
    char xt[128], yt[128];
    bool ok;

    if (d->kind == BRIM_DOT_CONV) {
        ok = (v->rank == 1 || v->rank == 2) && xs->rank == v->rank + 2 && ys->rank == xs->rank &&
             xs->dim[1] == v->c_in && ys->dim[1] == (int64_t)d->n && ys->dim[0] == xs->dim[0] &&
             v->pad_top >= 0 && v->pad_left >= 0;
    } else {
        ok = xs->rank > 0 && xs->dim[xs->rank - 1] == (int64_t)d->k &&
             (d->k == 0 ||
              brim_shape_count(xs) / (int64_t)d->k * (int64_t)d->n == brim_shape_count(ys));
    }
    if (!ok) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                         "input of shape %s and output of shape %s do not fit k = %zu, n = %zu",
                         brim_shape_text(xs, xt, sizeof xt), brim_shape_text(ys, yt, sizeof yt),
                         d->k, d->n);
    }
    return BRIM_OK;
}

/* *done: the float convolution did it. */
static brim_status run_as_float(const struct brim_dot_step *s, const struct brim_dot_call *c,
                                bool *done)
{
    BRIM_TRY(
        brim_dot_conv_get(c->scratch->ctx, s->dot, &c->x->type.shape, &c->y->type.shape, c->state));
    *done = brim_dot_conv_can(*c->state) && brim_dot_conv_run(*c->state, s, c->x, c->y);
    return BRIM_OK;
}

brim_status brim_dot_step_run(const struct brim_dot_step *s, const struct brim_dot_call *call)
{
    struct brim_arena *scratch = call->scratch;
    struct job j = {.s = s, .counts = call->counts, .y = call->y};
    brim_status status = check(s->dot, call->x, call->y, scratch->ctx);
    bool done = false;

    if (status == BRIM_OK && s->as_float) {
        status = run_as_float(s, call, &done);
    }
    if (status == BRIM_OK && !done) {
        status = s->dot->kind == BRIM_DOT_CONV ? run_conv(&j, call->x, scratch)
                                               : run_matmul(&j, call->x, scratch);
    }
    return status == BRIM_OK ? BRIM_OK
                             : brim_fail_at(scratch->ctx, status, "layer '%s'", s->dot->name);
}
