/* check_gemv.c - few rows, weights of 2, 4 and 8 bits. SPDX-License-Identifier: Apache-2.0 */
#include "checkasm.h"
#include "formulas.h"

#include <string.h>

#include "kernels/gemv.h"
#include "kernels/gemv_variant.h"

static size_t count(void)
{
    return brim_gemv_variant_count;
}

static struct check_variant variant(size_t i)
{
    return (struct check_variant){brim_gemv_variants[i]->name, brim_gemv_variants[i]->isa};
}

static void draw(struct check *c, struct brim_gemv_params *p, int32_t **w)
{
    const bool long_k = check_once_in(c, 20);

    p->bits = 2u << brim_rng_below(&c->rng, 3);
    p->n = check_length(c, 16, check_once_in(c, 8) ? 300 : 70);
    p->k = long_k ? (size_t)check_range(c, 1000, 9000) : check_length(c, BRIM_GEMV_K, 400);
    p->x_signed = check_once_in(c, 2);
    p->x_min = p->x_signed ? -128 : 0;
    p->x_max = p->x_min + (int32_t)check_range(c, 1, 255);
    *w = check_buffer(c, "weights", p->n * p->k * sizeof **w, sizeof **w);
    check_fill(c, check_any_pattern(c), *w, p->n * p->k, -(1 << (p->bits - 1)),
               (1 << (p->bits - 1)) - 1);
    p->w = *w;
    check_make_epilogue(c, &p->epilogue, p->n, (int64_t)p->k * 255 * 128 + 1);
}

static int64_t total(const struct brim_gemv_params *p, const uint8_t *x, size_t output)
{
    int64_t sum = 0;

    for (size_t k = 0; k < p->k; k++) {
        sum += p->w[output * p->k + k] * (p->x_signed && x[k] > 127 ? x[k] - 256 : x[k]);
    }
    return sum;
}

static void run(struct check *c, size_t i)
{
    const struct brim_gemv_variant *v = brim_gemv_variants[i];
    struct brim_gemv_params p = {.variant = v->name};
    struct brim_gemv_rows rows = {.m = (size_t)check_range(c, 1, BRIM_GEMV_ROWS)};
    struct brim_gemv *gemv;
    int32_t *w, codes[BRIM_GEMV_K];

    draw(c, &p, &w);
    rows.x_stride = p.k + (size_t)check_range(c, 0, 70);
    rows.y_stride = p.n + (size_t)check_range(c, 0, 20);
    check_describe(c, "m %zu n %zu k %zu, %u bits, x %d..%d", rows.m, p.n, p.k, p.bits, p.x_min,
                   p.x_max);
    const size_t size = check_emit_size(p.epilogue.emit),
                 bytes = (rows.m - 1) * rows.x_stride + p.k;
    const size_t outputs = (rows.m - 1) * rows.y_stride + p.n;
    uint8_t *x = check_buffer(c, "x", bytes, 1);
    const enum check_pattern pattern = check_any_pattern(c);
    for (size_t at = 0; at < bytes; at++) {
        if (at % BRIM_GEMV_K == 0) {
            check_fill(c, pattern, codes, BRIM_GEMV_K, p.x_min, p.x_max);
        }
        x[at] = (uint8_t)codes[at % BRIM_GEMV_K];
    }
    check_seal(c, x);
    uint8_t *got = check_buffer(c, "y", outputs * size, size);
    uint8_t *want = check_buffer(c, "expected y", outputs * size, size);
    memcpy(want, got, outputs * size);
    for (size_t r = 0; r < rows.m; r++) {
        for (size_t n = 0; n < p.n; n++) {
            check_emit(&p.epilogue, total(&p, x + r * rows.x_stride, n), n,
                       want + (r * rows.y_stride + n) * size);
        }
    }
    if (brim_gemv_create(c->ctx, &p, &gemv) != BRIM_OK) {
        check_fail(c, "refused: %s", brim_error(c->ctx));
    }
    memset(w, 0x55, p.n * p.k * sizeof *w); /* the product has its own */
    if (brim_gemv_chosen(gemv) != v) {
        check_fail(c, "another variant was chosen: %s", brim_gemv_chosen(gemv)->name);
    }
    rows.x = x;
    rows.y = got;
    rows.scratch = check_buffer(c, "scratch", brim_gemv_scratch(gemv), 64);
    brim_gemv_run(gemv, &rows);
    check_same(c, got, want, size, rows.y_stride);
    brim_gemv_free(c->ctx, gemv);
}

const struct check_family check_gemv = {"gemv", count, variant, 400, run};
