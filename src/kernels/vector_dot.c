/* vector_dot.c - vectors with scales of their own: totals of one vector by the integer products of
 * gemm.h, one multiply each. SPDX-License-Identifier: Apache-2.0
 *
 *     y[i][c] = sum over g of factor[c][g] * (sum of vector g)         docs/semantics.md section 11
 *
 * A block of rows is gone through vector by vector: a product of `length` codes and the group's
 * outputs, whose totals stay in the first cache, then one multiply and one addition for each. Where
 * inputs bring scales too, the row's is multiplied with the weights' first. Only for registers that
 * hold their vectors' sums; the last register may cut what comes of them.
 */
#include <string.h>

#include "base/intops.h"
#include "kernels/dot_kernel.h"

#define TOTALS ((size_t)16 << 10) /* bytes of a vector's */

/* Scales of one vector and its totals, rows x outputs, `n` a row. */
struct span {
    const int32_t *total;
    size_t rows, n;
    const void *scale;      /* [n] uint32_t or float */
    const uint16_t *x_code; /* row i at i * x_stride, or NULL */
    size_t x_stride;
    unsigned shift;
};

BRIM_CLONES
static void scale_span32(const struct span *s, int32_t *restrict acc)
{
    const uint32_t *factor = s->scale;

    for (size_t i = 0; i < s->rows; i++) {
        for (size_t c = 0; c < s->n; c++) {
            acc[i * s->n + c] += s->total[i * s->n + c] * (int32_t)factor[c];
        }
    }
}

BRIM_CLONES
static void scale_span64(const struct span *s, int64_t *restrict acc)
{
    const uint32_t *factor = s->scale;

    for (size_t i = 0; i < s->rows; i++) {
        for (size_t c = 0; c < s->n; c++) {
            acc[i * s->n + c] += (int64_t)s->total[i * s->n + c] * factor[c];
        }
    }
}

/* The inputs' scales too. */
BRIM_CLONES
static void scale_span_both32(const struct span *s, int32_t *restrict acc)
{
    const uint32_t *w_code = s->scale, half = (uint32_t)1 << s->shift >> 1;

    for (size_t i = 0; i < s->rows; i++) {
        const uint32_t x_code = s->x_code[i * s->x_stride];
        for (size_t c = 0; c < s->n; c++) {
            acc[i * s->n + c] +=
                s->total[i * s->n + c] * (int32_t)((w_code[c] * x_code + half) >> s->shift);
        }
    }
}

BRIM_CLONES
static void scale_span_both64(const struct span *s, int64_t *restrict acc)
{
    const uint32_t *w_code = s->scale, half = (uint32_t)1 << s->shift >> 1;

    for (size_t i = 0; i < s->rows; i++) {
        const uint32_t x_code = s->x_code[i * s->x_stride];
        for (size_t c = 0; c < s->n; c++) {
            acc[i * s->n + c] +=
                (int64_t)s->total[i * s->n + c] * ((w_code[c] * x_code + half) >> s->shift);
        }
    }
}

BRIM_CLONES
static void scale_span_real(const struct span *s, double *restrict acc)
{
    const float *scale = s->scale;

    for (size_t i = 0; i < s->rows; i++) {
        for (size_t c = 0; c < s->n; c++) {
            acc[i * s->n + c] += (double)scale[c] * (double)s->total[i * s->n + c];
        }
    }
}

static void add_span(const struct brim_dot_kernel *d, const struct span *s, void *acc)
{
    if (d->vectors.scale != NULL) {
        scale_span_real(s, acc);
    } else if (s->x_code != NULL && d->plan.acc32) {
        scale_span_both32(s, acc);
    } else if (s->x_code != NULL) {
        scale_span_both64(s, acc);
    } else if (d->plan.acc32) {
        scale_span32(s, acc);
    } else {
        scale_span64(s, acc);
    }
}

/* ---- prepare ---- */

static brim_status add_vector(brim_ctx *ctx, struct brim_dot_kernel *d, size_t at, int32_t *w,
                              const int64_t x_range[2])
{
    const size_t group = at / d->n_vectors, first = at % d->n_vectors * d->vectors.length;
    const size_t k = brim_min_size(d->vectors.length, d->k - first);
    const struct brim_gemm_params p = {.w = w,
                                       .n = d->outputs,
                                       .k = k,
                                       .segments = 1,
                                       .x_min = (int32_t)x_range[0],
                                       .x_max = (int32_t)x_range[1],
                                       .x_signed = x_range[0] < 0,
                                       .epilogue = {.emit = BRIM_EMIT_ACC}};

    for (size_t c = 0; c < d->outputs; c++) {
        for (size_t i = 0; i < k; i++) {
            w[c * k + i] = d->w[(group * d->outputs + c) * d->k + first + i];
        }
    }
    return brim_gemm_create(ctx, &p, &d->gemm[at]);
}

/* [groups][n_vectors][outputs] scales. */
static brim_status pack_scales(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    const struct brim_dot_vectors *v = &d->vectors;
    const size_t outputs = d->outputs;
    uint32_t *to = brim_alloc(ctx, d->n * d->n_vectors + 1, sizeof *to);

    d->scales = to;
    for (size_t i = 0; to != NULL && i < d->n * d->n_vectors; i++) {
        const size_t c = i / d->n_vectors, g = i % d->n_vectors;
        const size_t at = (c / outputs * d->n_vectors + g) * outputs + c % outputs;
        if (v->scale != NULL) {
            ((float *)d->scales)[at] = v->scale[i];
        } else {
            to[at] = v->w_code != NULL ? v->w_code[i] : v->factor[i];
        }
    }
    return to == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

static size_t align64(size_t v)
{
    return (v + 63) & ~(size_t)63;
}

/* Scratch: [block][k] bytes; [block][outputs] totals, and accumulators of 8 bytes; the product's. */
brim_status brim_dot_vectors_pack(brim_ctx *ctx, struct brim_dot_kernel *d, int64_t x_min,
                                  int64_t x_max)
{
    const int64_t x_range[2] = {x_min, x_max};
    size_t most = 0;

    d->n_gemm = d->groups * d->n_vectors;
    d->gemm = brim_zalloc(ctx, d->n_gemm, sizeof(struct brim_gemm *));
    int32_t *w = brim_alloc(ctx, d->outputs * d->vectors.length + 1, sizeof *w);
    brim_status status = d->gemm == NULL || w == NULL ? BRIM_ERR_NOMEM : pack_scales(ctx, d);
    for (size_t i = 0; status == BRIM_OK && i < d->n_gemm; i++) {
        status = add_vector(ctx, d, i, w, x_range);
    }
    brim_free(ctx, w);
    if (status != BRIM_OK) {
        return status;
    }
    const size_t rows = TOTALS / sizeof(int32_t) / brim_max_size(d->outputs, 1);
    d->block8 = brim_min_size(brim_max_size(rows, 16), 256);
    for (size_t m = 1; m <= d->block8; m++) {
        most = brim_max_size(most, brim_gemm_scratch(d->gemm[0], m));
    }
    size_t x, y;
    if (!brim_mul_size(d->block8, d->k, &x) || !brim_mul_size(d->block8, d->outputs * 12, &y) ||
        !brim_add_size(x, y, &x) || !brim_add_size(x, most + 256, &d->scratch)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu weights: too large", d->k);
    }
    return BRIM_OK;
}

/* ---- run ---- */

BRIM_CLONES
static void to_bytes(const int32_t *from, size_t n, uint8_t *to)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t)from[i];
    }
}

/* Row `row` of the results: outputs from element `at` of acc. */
static void write_row(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t row,
                      const void *acc, size_t at)
{
    const struct brim_lane_stage *last = &d->plan.lanes.stage[0];
    const int32_t *narrow = (const int32_t *)acc + at;
    const int64_t *wide = (const int64_t *)acc + at;

    if (d->vectors.scale != NULL) {
        memcpy(r->real + row * r->y_stride, (const double *)acc + at, d->outputs * sizeof *r->real);
    } else if (last->value == BRIM_LANE_EXACT && d->plan.acc32 && r->y32 == NULL) {
        for (size_t c = 0; c < d->outputs; c++) {
            r->y[row * r->y_stride + c] = narrow[c];
        }
    } else {
        for (size_t c = 0; c < d->outputs; c++) {
            brim_dot_write(r, row, c, brim_dot_finish(last, d->plan.acc32 ? narrow[c] : wide[c]));
        }
    }
}

static void run_block(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t first,
                      size_t m)
{
    uint8_t *bytes = r->scratch, *totals = bytes + align64(d->block8 * d->k);
    uint8_t *acc = totals + align64(d->block8 * d->outputs * sizeof(int32_t));
    uint8_t *rest = acc + align64(d->block8 * d->outputs * sizeof(int64_t));
    const uint8_t *x = bytes;
    size_t x_stride = d->k;

    if (r->codes == BRIM_DOT_INT32) {
        for (size_t i = 0; i < m; i++) {
            to_bytes(brim_dot_row(r, first + i), d->k, bytes + i * d->k);
        }
    } else {
        x = (const uint8_t *)r->x + first * r->x_stride;
        x_stride = r->x_stride;
    }
    memset(acc, 0, m * d->outputs * sizeof(int64_t));
    for (size_t g = 0; g < d->n_vectors; g++) {
        const size_t at = r->group * d->n_vectors + g;
        const struct brim_gemm_rows rows = {.m = m,
                                            .x = x + g * d->vectors.length,
                                            .x_stride = x_stride,
                                            .y = totals,
                                            .y_stride = d->outputs,
                                            .scratch = rest};
        const uint16_t *codes = brim_dot_row_codes(r, first);
        const struct span s = {.total = (const int32_t *)(const void *)totals,
                               .rows = m,
                               .n = d->outputs,
                               .scale = (const uint32_t *)d->scales + at * d->outputs,
                               .x_code = codes == NULL ? NULL : codes + g,
                               .x_stride = r->x_code_stride,
                               .shift = d->vectors.shift};
        brim_gemm_run(d->gemm[at], &rows);
        add_span(d, &s, acc);
    }
    for (size_t i = 0; i < m; i++) {
        write_row(d, r, first + i, acc, i * d->outputs);
    }
}

void brim_dot_vectors_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r)
{
    for (size_t first = 0; first < r->m; first += d->block8) {
        run_block(d, r, first, brim_min_size(d->block8, r->m - first));
    }
}
