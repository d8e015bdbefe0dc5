/* dot_step.c - one dot layer in integers: codes in, codes or floats out. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Where only totals matter the integer kernels compute them: dot_total.c. What follows is for
 * datapaths that can overflow, for counting, and for codes of 16 bits.
 *
 * A convolution's input is first copied into a plane [height][width][channel] of codes, with
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
 * where a zero point that is found at run time is taken off last, from the integers written.
 *
 * Inputs whose vectors' scales are found at run time arrive as floats: the plane then holds codes, and
 * a second one the integer scales, [height][width][vector], whose rows are gathered alike.
 */
#include <assert.h>
#include <string.h>

#include "base/intops.h"
#include "run/step.h"
#include "run/vector.h"

#define BLOCK_BYTES ((size_t)256 << 10)

/* ---- prepare ---- */

/* A convolution that pads with a zero point found at run time. */
static bool padding_varies(const struct brim_dot *d)
{
    const struct brim_conv_geometry *v = &d->conv;

    return d->x_zero_any && d->kind == BRIM_DOT_CONV &&
           (v->auto_pad != 0 || v->pad_top + v->pad_left + v->pad_bottom + v->pad_right > 0);
}

static brim_status make_kernel(struct brim_plan *plan, struct brim_dot_step *s)
{
    const struct brim_dot *d = s->dot;
    const bool counts = plan->count && !s->total && s->counter == NULL;
    const bool observed = plan->observe && d->vector == 0 && !s->total;
    struct brim_dot_kernel_params p = {.w = d->w,
                                       .n = d->n,
                                       .k = d->k,
                                       .groups = d->groups,
                                       .x_min = brim_min_i64(d->x_min, d->x_zero),
                                       .x_max = brim_max_i64(d->x_max, d->x_zero),
                                       .datapath = s->total ? NULL : s->datapath,
                                       .vectors = brim_dot_step_scales(s),
                                       .count = counts || observed};
    struct brim_arena slots;
    brim_arena_init(&slots, plan->ctx);
    brim_status status = plan->target != NULL ? brim_dot_step_walk(plan, s, &slots, &p) : BRIM_OK;
    if (status == BRIM_OK) {
        status = brim_dot_kernel_create(plan->ctx, &p, &s->kernel);
    }
    brim_arena_free(&slots);
    BRIM_TRY(status);
    s->observed = observed && brim_dot_kernel_has_extremes(s->kernel);
    return s->counter == NULL && brim_dot_kernel_is_total(s->kernel) && !padding_varies(d)
               ? brim_dot_total_prepare(plan, s)
               : BRIM_OK;
}

brim_status brim_dot_step_prepare(struct brim_plan *plan, struct brim_dot_step *s)
{
    BRIM_TRY(brim_dot_step_vectors(plan, s));
    const struct brim_dot *d = s->dot;
    int64_t *offset = brim_arena_alloc(&plan->arena, d->n, sizeof *offset);
    float *multiplier = brim_arena_alloc(&plan->arena, d->n, sizeof *multiplier);
    uint32_t *w_sum = brim_arena_alloc(&plan->arena, d->n, sizeof *w_sum);

    if (offset == NULL || multiplier == NULL || w_sum == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (d->vector > 0 && d->factor == NULL) {
        BRIM_TRY(brim_dot_step_reals(plan, s));
        return make_kernel(plan, s);
    }
    assert(d->factor == NULL || d->vector > 0);
    for (size_t c = 0; c < d->n; c++) {
        int64_t sum = 0;
        for (size_t k = 0; k < d->k; k++) {
            const uint32_t factor =
                d->factor == NULL ? 1 : d->factor[c * brim_dot_vectors(d) + k / d->vector];
            sum += (int64_t)d->w[c * d->k + k] * factor;
        }
        w_sum[c] = (uint32_t)(uint64_t)sum;
        offset[c] = (d->bias_q != NULL ? d->bias_q[c] : 0) - d->x_zero * sum;
        multiplier[c] = 1.0f;
        if (s->emit != BRIM_EMIT_ACC) {
            multiplier[c] = d->x_scale * d->w_scale[c];
        }
        if (s->emit == BRIM_EMIT_CODES) {
            multiplier[c] /= s->y.scale;
        }
    }
    s->offset = offset;
    s->w_sum = d->x_zero_any ? w_sum : NULL;
    s->multiplier = multiplier;
    s->bias = s->emit == BRIM_EMIT_FLOAT ? d->bias : NULL;
    return make_kernel(plan, s);
}

void brim_dot_step_free(brim_ctx *ctx, struct brim_dot_step *s)
{
    brim_dot_kernel_free(ctx, s->kernel);
    brim_dot_kernel_free(ctx, s->counter);
    brim_conv_kernel_free(ctx, s->conv);
    brim_total_free(ctx, s->product);
}

/* ---- emit ---- */

/* m results of one output: values[i * value_stride], written to element first + i * y_stride. */
struct emit {
    const int64_t *value;
    const double *real; /* instead, where vectors have float scales */
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

static void emit_real(const struct brim_dot_step *s, const struct emit *e)
{
    const double offset = s->real_offset[e->channel], scale = (double)s->dot->x_scale;
    const float bias = s->bias != NULL ? s->bias[e->channel] : 0.0f;
    float *y = (float *)e->y + e->first;

    for (size_t i = 0; i < e->m; i++) {
        const float v = (float)((e->real[i * e->value_stride] + offset) * scale);
        y[i * e->y_stride] = s->bias != NULL ? v + bias : v;
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
    const float lo = (float)(s->y.lo - s->y.zero), hi = (float)(s->y.hi - s->y.zero);
    const bool wide = brim_dtype_size(s->y.dtype) == 2;
    const int64_t zero = s->y.zero + (s->y_bytes && s->y.dtype == BRIM_INT8 ? 128 : 0);

    for (size_t i = 0; i < e->m; i++) {
        float v = (float)(e->value[i * e->value_stride] + offset) * multiplier;
        v = v > lo ? v : lo; /* bounds are integers: clipping before rounding changes nothing */
        v = v < hi ? v : hi;
        const uint64_t q = (uint64_t)((int64_t)brim_rint((double)v) + zero);
        if (wide) {
            ((uint16_t *)e->y)[e->first + i * e->y_stride] = (uint16_t)q;
        } else {
            ((uint8_t *)e->y)[e->first + i * e->y_stride] = (uint8_t)q;
        }
    }
}

static void emit(const struct brim_dot_step *s, const struct emit *e)
{
    if (e->real != NULL) {
        emit_real(s, e);
    } else if (s->emit == BRIM_EMIT_FLOAT) {
        emit_float(s, e);
    } else if (s->emit == BRIM_EMIT_CODES) {
        emit_codes(s, e);
    } else {
        emit_acc(s, e);
    }
}

/* ---- codes ---- */

static enum brim_dot_codes codes_of(enum brim_dtype t)
{
    return t == BRIM_UINT8 || t == BRIM_UINT4 ? BRIM_DOT_UINT8
           : t == BRIM_INT8 || t == BRIM_INT4 ? BRIM_DOT_INT8
                                              : BRIM_DOT_INT32;
}

/* dst[i * dst_stride] = src[first + i]: bytes as they are, 16 bits widened to 32. */
static brim_status widen(brim_ctx *ctx, const struct brim_tensor *src, size_t first, size_t n,
                         void *dst, size_t dst_stride)
{
#define WIDEN(from, to)                                                                            \
    for (size_t i = 0; i < n; i++) {                                                               \
        ((to *)dst)[i * dst_stride] = ((const from *)src->data)[first + i];                        \
    }
    const enum brim_dtype t = src->type.dtype;

    assert(dst != NULL);
    if (codes_of(t) != BRIM_DOT_INT32) {
        WIDEN(uint8_t, uint8_t)
    } else if (t == BRIM_UINT16) {
        WIDEN(uint16_t, int32_t)
    } else if (t == BRIM_INT16) {
        WIDEN(int16_t, int32_t)
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
    brim_dot_observer *observer;
    void *user;
    size_t rows;    /* of the run, for the observer */
    int32_t *range; /* [3][block][n / groups] for the observer, or NULL */
    struct brim_tensor *y;
    int64_t x_zero;
    int64_t *value; /* [block][n / groups] */
    double *real;   /* instead, sums with float scales; or NULL */
    int32_t *slots; /* [block][slots] of a target's walk, or NULL */
    bool dynamic;   /* scales of the inputs' vectors are found here, `vectors` in a row */
    struct brim_grid grid;
    size_t vectors;
    void *scratch; /* the kernel's */
    size_t block, per_group;
    enum brim_dot_codes codes; /* what the kernel is given */
    size_t size;               /* bytes of one */
};

static brim_status start(struct job *j, struct brim_arena *scratch, size_t rows)
{
    const struct brim_dot *d = j->s->dot;
    const size_t row_bytes = (d->k + 1) * j->size;
    const size_t most = BLOCK_BYTES / row_bytes;

    j->per_group = d->n / d->groups;
    j->block = brim_max_size(1, brim_min_size(rows, most));
    size_t values;
    if (!brim_mul_size(j->block, j->per_group, &values)) {
        return brim_fail(scratch->ctx, BRIM_ERR_NOMEM, "out of memory: too many outputs");
    }
    j->value = brim_arena_alloc(scratch, values, sizeof *j->value); /* a counter's, with floats */
    if (j->s->real_offset != NULL) {
        j->real = brim_arena_alloc(scratch, values, sizeof *j->real);
    }
    const size_t kernel = brim_dot_kernel_scratch(j->s->kernel);
    const size_t counter = j->s->counter == NULL ? 0 : brim_dot_kernel_scratch(j->s->counter);
    j->scratch = brim_arena_alloc(scratch, brim_max_size(kernel, counter) + 1, 1);
    if (j->observer != NULL) {
        j->range = brim_arena_alloc(scratch, values, 3 * sizeof *j->range);
        if (j->range == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    if (j->s->walk != NULL) {
        size_t slots;
        if (!brim_mul_size(j->block, j->s->walk->slots, &slots)) {
            return brim_fail(scratch->ctx, BRIM_ERR_NOMEM, "out of memory: too many products");
        }
        j->slots = brim_arena_alloc(scratch, slots, sizeof *j->slots);
        if (j->slots == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    return j->value == NULL || j->scratch == NULL || (j->s->real_offset != NULL && j->real == NULL)
               ? BRIM_ERR_NOMEM
               : BRIM_OK;
}

/* m rows of one group: x as the kernel takes it; results of row i, output c of the group go to
 * element (first + i * row_stride + c * channel_stride) of y. */
struct block {
    size_t group, m, row; /* row: among all of the run's */
    const void *x;
    size_t x_stride, first, row_stride, channel_stride;
    const uint16_t *x_code; /* scales of the rows' vectors, one row after another, or NULL */
};

/* Exact totals for the values, and what went on for the observer. */
static void observe_block(const struct job *j, const struct block *b)
{
    const size_t n = b->m * j->per_group;
    const struct brim_dot_extremes e = {.group = b->group,
                                        .m = b->m,
                                        .x = b->x,
                                        .codes = j->codes,
                                        .x_stride = b->x_stride,
                                        .total = j->range,
                                        .least = j->range + n,
                                        .most = j->range + 2 * n,
                                        .y_stride = j->per_group,
                                        .scratch = j->scratch};
    const struct brim_dot_seen seen = {.layer = j->s->index,
                                       .group = b->group,
                                       .m = b->m,
                                       .row = b->row,
                                       .rows = j->rows,
                                       .x = b->x,
                                       .codes = j->codes,
                                       .x_stride = b->x_stride,
                                       .total = e.total,
                                       .least = e.least,
                                       .most = e.most};

    brim_dot_kernel_extremes(j->s->kernel, &e);
    for (size_t i = 0; i < n; i++) {
        j->value[i] = e.total[i];
    }
    j->observer(j->user, &seen);
}

/* As a target's kernels do it: rows in the order of their walk, and what the operands are moved by
 * taken off. */
static void run_walk(const struct job *j, const struct brim_dot_rows *codes)
{
    struct brim_dot_rows rows = *codes;

    rows.x = j->slots;
    rows.codes = BRIM_DOT_INT32;
    rows.x_stride = j->s->walk->slots;
    brim_walk_rows(j->s, codes, j->slots);
    brim_dot_kernel_run(j->s->kernel, &rows);
    brim_walk_totals(j->s, codes, &rows);
}

static void run_block(const struct job *j, const struct block *b)
{
    const struct brim_dot_rows rows = {.group = b->group,
                                       .m = b->m,
                                       .x = b->x,
                                       .codes = j->codes,
                                       .x_stride = b->x_stride,
                                       .y = j->value,
                                       .real = j->real,
                                       .y_stride = j->per_group,
                                       .x_code = b->x_code,
                                       .x_code_stride = j->vectors,
                                       .counts = j->counts,
                                       .scratch = j->scratch};

    assert(j->value != NULL);
    if (j->s->counter != NULL) {
        brim_dot_kernel_run(j->s->counter, &rows); /* its results are overwritten */
    }
    if (j->observer != NULL) {
        observe_block(j, b);
    } else if (j->s->walk != NULL) {
        run_walk(j, &rows);
    } else {
        brim_dot_kernel_run(j->s->kernel, &rows);
    }
    for (size_t c = 0; c < j->per_group; c++) {
        const struct emit e = {.value = j->value + c,
                               .real = j->real != NULL ? j->real + c : NULL,
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

    const bool in_place = j->codes != BRIM_DOT_INT32;

    j->rows = rows;
    BRIM_TRY(start(j, scratch, rows));
    int32_t *codes = in_place ? NULL : brim_arena_alloc(scratch, j->block * d->k, sizeof *codes);
    uint8_t *found = j->dynamic ? brim_arena_alloc(scratch, j->block * d->k + 1, 1) : NULL;
    uint16_t *scale =
        j->dynamic ? brim_arena_alloc(scratch, j->block * j->vectors + 1, sizeof *scale) : NULL;
    if ((codes == NULL && !in_place) || (j->dynamic && (found == NULL || scale == NULL))) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t r = 0; r < rows; r += j->block) {
        const size_t m = brim_min_size(j->block, rows - r);
        if (!in_place) {
            BRIM_TRY(widen(scratch->ctx, x, r * d->k, m * d->k, codes, 1));
        }
        for (size_t i = 0; j->dynamic && i < m; i++) {
            const struct brim_vector_codes to = {.code = found + i * d->k,
                                                 .position = 1,
                                                 .channel = 1,
                                                 .scale = scale + i * j->vectors,
                                                 .vectors = j->vectors};
            brim_vector_codes(&j->grid, d->k, 1, (const float *)x->data + (r + i) * d->k, 1, &to);
        }
        const struct block b = {.m = m,
                                .row = r,
                                .x = j->dynamic ? found
                                     : in_place ? (const uint8_t *)x->data + r * d->k
                                                : (const void *)codes,
                                .x_code = scale,
                                .x_stride = d->k,
                                .first = r * d->n,
                                .row_stride = d->n,
                                .channel_stride = 1};
        run_block(j, &b);
    }
    return BRIM_OK;
}

/* ---- convolutions ---- */

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

/* The images, and their padded size. */
static void resolve_images(const struct brim_dot *d, const struct brim_shape *x,
                           const struct brim_shape *y, struct brim_conv_images *v, size_t *h,
                           size_t *w)
{
    const struct brim_conv_geometry *g = &d->conv;
    const bool flat = g->rank == 1;
    const struct axis ah = {.in = flat ? 1 : x->dim[2],
                            .out = flat ? 1 : y->dim[2],
                            .kernel = g->kh,
                            .stride = g->stride_h,
                            .dilation = g->dilation_h,
                            .before = g->pad_top};
    const struct axis aw = {.in = flat ? x->dim[2] : x->dim[3],
                            .out = flat ? y->dim[2] : y->dim[3],
                            .kernel = g->kw,
                            .stride = g->stride_w,
                            .dilation = g->dilation_w,
                            .before = g->pad_left};

    *v = (struct brim_conv_images){.count = (size_t)x->dim[0],
                                   .h = (size_t)ah.in,
                                   .w = (size_t)aw.in,
                                   .h_out = (size_t)ah.out,
                                   .w_out = (size_t)aw.out};
    resolve(&ah, flat ? 0 : g->auto_pad, &v->top, h);
    resolve(&aw, g->auto_pad, &v->left, w);
}

static brim_status check_padded(brim_ctx *ctx, size_t h, size_t w, size_t pixel)
{
    size_t n;

    if (!brim_mul_size(h, w, &n) || !brim_mul_size(n, pixel, &n) ||
        n > ctx->params.max_tensor_bytes) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                         "the padded input exceeds the limit of %zu bytes",
                         ctx->params.max_tensor_bytes);
    }
    return BRIM_OK;
}

brim_status brim_dot_images(brim_ctx *ctx, const struct brim_dot *d, const struct brim_shape *x,
                            const struct brim_shape *y, struct brim_conv_images *images)
{
    size_t h, w;

    resolve_images(d, x, y, images, &h, &w);
    return check_padded(ctx, h, w, (size_t)d->conv.c_in);
}

struct plane {
    struct brim_conv_images v;
    size_t h, w, c;  /* padded */
    size_t size;     /* bytes of a code */
    uint8_t flip;    /* of bytes that are stored 128 higher */
    uint8_t *code;   /* [h][w][c] */
    size_t vectors;  /* of a pixel; their scales: */
    uint16_t *scale; /* [h][w][vectors], or NULL */
};

static brim_status plane_create(const struct job *j, const struct brim_tensor *x,
                                struct brim_arena *scratch, struct plane *p)
{
    const struct brim_dot *d = j->s->dot;

    *p = (struct plane){.c = (size_t)d->conv.c_in,
                        .size = j->size,
                        .flip = j->s->x_bytes && x->type.dtype == BRIM_INT8 ? 0x80 : 0};
    resolve_images(d, &x->type.shape, &j->y->type.shape, &p->v, &p->h, &p->w);
    BRIM_TRY(check_padded(scratch->ctx, p->h, p->w, p->c * p->size));
    const size_t n = p->h * p->w * p->c;
    p->code = brim_arena_alloc(scratch, n + 1, p->size);
    if (j->dynamic) {
        p->vectors = p->c / d->vector;
        p->scale = brim_arena_zalloc(scratch, p->h * p->w * p->vectors + 1, sizeof *p->scale);
    }
    if (p->code == NULL || (j->dynamic && p->scale == NULL)) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        if (p->size == 1) {
            p->code[i] = (uint8_t)j->x_zero;
        } else {
            ((int32_t *)(void *)p->code)[i] = (int32_t)j->x_zero;
        }
    }
    return BRIM_OK;
}

/* Image b of floats: codes, and scales. */
static void plane_find(const struct plane *p, const struct job *j, const struct brim_tensor *x,
                       size_t b)
{
    const struct brim_conv_images *v = &p->v;
    const size_t area = v->h * v->w;

    for (size_t y = 0; y < v->h; y++) {
        const size_t at = (v->top + y) * p->w + v->left;
        const struct brim_vector_codes to = {.code = p->code + at * p->c,
                                             .position = p->c,
                                             .channel = 1,
                                             .scale = p->scale + at * p->vectors,
                                             .vectors = p->vectors};
        brim_vector_codes(&j->grid, p->c, v->w, (const float *)x->data + b * p->c * area + y * v->w,
                          area, &to);
    }
}

/* Image b of x into the plane's inside; its padding stays as it is. */
static brim_status plane_load(const struct plane *p, const struct job *j,
                              const struct brim_tensor *x, size_t b, brim_ctx *ctx)
{
    const struct brim_conv_images *v = &p->v;

    if (j->dynamic) {
        plane_find(p, j, x, b);
        return BRIM_OK;
    }
    for (size_t y = 0; j->s->x_bytes && y < v->h; y++) {
        const uint8_t *from = (const uint8_t *)x->data + (b * v->h + y) * v->w * p->c;
        uint8_t *to = p->code + ((v->top + y) * p->w + v->left) * p->c;
        for (size_t i = 0; i < v->w * p->c; i++) {
            to[i] = from[i] ^ p->flip;
        }
    }
    for (size_t c = 0; !j->s->x_bytes && c < p->c; c++) {
        for (size_t y = 0; y < v->h; y++) {
            const size_t from = ((b * p->c + c) * v->h + y) * v->w;
            const size_t to = ((v->top + y) * p->w + v->left) * p->c + c;
            BRIM_TRY(widen(ctx, x, from, v->w, p->code + to * p->size, p->c));
        }
    }
    return BRIM_OK;
}

/* Rows first..first+m-1 of one group, in K order: of a plane with `pixel` bytes a pixel, its codes or
 * its scales. */
static void gather(const struct plane *p, const struct brim_dot *d, const struct block *b,
                   const uint8_t *plane, size_t pixel, size_t first, uint8_t *rows)
{
    const struct brim_conv_geometry *v = &d->conv;
    const size_t group = pixel / d->groups, kw = (size_t)v->kw, kh = (size_t)v->kh;
    const size_t line = p->w * pixel;
    const bool run = d->groups == 1 && v->dilation_w == 1;
    const size_t pieces = run ? 1 : kw, piece = (run ? kw : 1) * group;

    assert(plane != NULL && rows != NULL);
    for (size_t i = 0; i < b->m; i++) {
        const size_t oy = (first + i) / p->v.w_out, ox = (first + i) % p->v.w_out;
        const uint8_t *corner = plane + oy * (size_t)v->stride_h * line +
                                ox * (size_t)v->stride_w * pixel + b->group * group;
        uint8_t *to = rows + i * kh * kw * group;
        for (size_t y = 0; y < kh; y++) {
            for (size_t x = 0; x < pieces; x++, to += piece) {
                memcpy(to,
                       corner + y * (size_t)v->dilation_h * line +
                           x * (size_t)v->dilation_w * pixel,
                       piece);
            }
        }
    }
}

static void run_image(const struct job *j, const struct plane *p, size_t image, uint8_t *rows,
                      uint16_t *scales)
{
    const struct brim_dot *d = j->s->dot;
    const struct brim_conv_geometry *v = &d->conv;
    const size_t positions = p->v.h_out * p->v.w_out, outputs = image * d->n * positions;
    const bool direct = d->groups == 1 && v->kh == 1 && v->kw == 1 && v->stride_h == 1 &&
                        v->stride_w == 1 && p->w == p->v.w_out;
    const bool last = j->s->y_bytes; /* channels are fastest */

    for (size_t r = 0; r < positions; r += j->block) {
        for (size_t g = 0; g < d->groups; g++) {
            const size_t c = g * j->per_group;
            struct block b = {.group = g,
                              .m = brim_min_size(j->block, positions - r),
                              .row = image * positions + r,
                              .x = rows,
                              .x_stride = d->k,
                              .first = outputs + (last ? r * d->n + c : c * positions + r),
                              .row_stride = last ? d->n : 1,
                              .channel_stride = last ? 1 : positions};
            if (direct) {
                b.x = p->code + r * p->c * p->size;
                b.x_code = p->scale == NULL ? NULL : p->scale + r * p->vectors;
            } else {
                gather(p, d, &b, p->code, p->c * p->size, r, rows);
            }
            if (!direct && p->scale != NULL) {
                gather(p, d, &b, (const uint8_t *)p->scale, p->vectors * sizeof *p->scale, r,
                       (uint8_t *)scales);
                b.x_code = scales;
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
    BRIM_TRY(plane_create(j, x, scratch, &p));
    j->rows = images * p.v.h_out * p.v.w_out;
    BRIM_TRY(start(j, scratch, p.v.h_out * p.v.w_out));
    uint8_t *rows = brim_arena_alloc(scratch, j->block * d->k + 1, j->size);
    uint16_t *scales =
        j->dynamic ? brim_arena_alloc(scratch, j->block * j->vectors + 1, sizeof *scales) : NULL;
    if (rows == NULL || (j->dynamic && scales == NULL)) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t image = 0; image < images; image++) {
        BRIM_TRY(plane_load(&p, j, x, image, scratch->ctx));
        run_image(j, &p, image, rows, scales);
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

/* acc = total - x_zero * sum(w) for a zero point that is only known now; modulo 2^32. */
static void subtract_zero(const struct brim_dot_step *s, const struct brim_dot_call *call)
{
    const size_t n = s->dot->n, count = (size_t)brim_shape_count(&call->y->type.shape);
    const struct brim_shape *shape = &call->y->type.shape;
    const uint32_t zero = (uint32_t)(uint64_t)call->x_zero;
    size_t inner = 1; /* elements of one channel that lie together */
    uint32_t *y = call->y->data;

    for (int i = 2; s->dot->kind == BRIM_DOT_CONV && i < shape->rank; i++) {
        inner *= (size_t)shape->dim[i];
    }
    for (size_t at = 0; at < count; at += inner) {
        const uint32_t shift = zero * s->w_sum[at / inner % n];
        for (size_t i = 0; i < inner; i++) {
            y[at + i] -= shift;
        }
    }
}

brim_status brim_dot_step_run(const struct brim_dot_step *s, const struct brim_dot_call *call)
{
    const struct brim_dot *d = s->dot;
    const bool dynamic = d->x_scale_bits > 0;
    const enum brim_dot_codes codes = !dynamic       ? codes_of(call->x->type.dtype)
                                      : d->x_min < 0 ? BRIM_DOT_INT8
                                                     : BRIM_DOT_UINT8;
    struct brim_arena *scratch = call->scratch;
    struct job j = {.s = s,
                    .counts = call->counts,
                    .observer = s->observed ? call->observer : NULL,
                    .user = call->user,
                    .y = call->y,
                    .x_zero = call->x_zero,
                    .dynamic = dynamic,
                    .grid = {.lo = d->x_min,
                             .hi = d->x_max,
                             .scale = d->x_scale,
                             .vector = d->vector,
                             .scale_bits = d->x_scale_bits},
                    .vectors = dynamic ? brim_dot_vectors(d) : 0,
                    .codes = codes,
                    .size = codes == BRIM_DOT_INT32 ? sizeof(int32_t) : 1};
    brim_status status = check(s->dot, call->x, call->y, scratch->ctx);

    if (status == BRIM_OK && (s->conv != NULL || s->product != NULL)) {
        status = brim_dot_total_run(s, call);
    } else if (status == BRIM_OK) {
        status = s->dot->kind == BRIM_DOT_CONV ? run_conv(&j, call->x, scratch)
                                               : run_matmul(&j, call->x, scratch);
    }
    if (status == BRIM_OK && s->w_sum != NULL) {
        subtract_zero(s, call);
    }
    return status == BRIM_OK ? BRIM_OK
                             : brim_fail_at(scratch->ctx, status, "layer '%s'", s->dot->name);
}
