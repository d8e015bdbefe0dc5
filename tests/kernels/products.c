/* products.c - see products.h. SPDX-License-Identifier: Apache-2.0 */
#include "products.h"
#include "formulas.h"

#include <string.h>

int64_t check_reach(const struct check_product *p)
{
    int64_t reach = 1;

    for (size_t i = 0; i < p->n; i++) {
        int64_t lo = 0, hi = 0;

        for (size_t k = 0; k < p->k; k++) {
            const int64_t w = p->w[i * p->k + k], a = w * p->x_min, b = w * p->x_max;

            lo += a < b ? a : b;
            hi += a < b ? b : a;
        }
        reach = hi > reach ? hi : reach;
        reach = -lo > reach ? -lo : reach;
    }
    return reach;
}

void check_draw_places(struct check *c, struct check_product *p, struct brim_gemm_rows *rows)
{
    const size_t length = p->k / p->segments, gap = (size_t)check_range(c, 0, 40);
    const bool plain = check_once_in(c, 2), overlap = check_once_in(c, 4);

    p->row = 0;
    for (size_t s = 0; s < p->segments; s++) {
        p->segment[s] = plain                 ? s * length
                        : check_once_in(c, 4) ? (size_t)check_range(c, 0, 300)
                                              : s * (length + gap);
        p->row = p->segment[s] + length > p->row ? p->segment[s] + length : p->row;
    }
    rows->segment = plain ? NULL : p->segment;
    rows->slack = check_once_in(c, 2);
    rows->x_stride =
        overlap ? (size_t)check_range(c, 0, 64) : p->row + (size_t)check_range(c, 0, 70);
    rows->y_stride = p->n + (size_t)check_range(c, 0, 20);
    rows->m = p->m;
}

int32_t check_driving_code(struct check *c, int32_t w, int direction, int32_t least,
                           int32_t greatest)
{
    return w == 0                       ? (int32_t)check_range(c, least, greatest)
           : (w > 0) == (direction > 0) ? greatest
                                        : least;
}

/* Overlapping rows spoil one another, which is fine. */
static void drive_rows(struct check *c, const struct check_product *p,
                       const struct brim_gemm_rows *rows, uint8_t *x)
{
    const size_t length = p->k / p->segments;

    for (size_t r = 0; r < p->m; r++) {
        const int32_t *w = p->w + brim_rng_below(&c->rng, p->n) * p->k;
        const int direction = check_once_in(c, 2) ? 1 : -1;

        for (size_t k = 0; k < p->k; k++) {
            x[r * rows->x_stride + p->segment[k / length] + k % length] =
                (uint8_t)check_driving_code(c, w[k], direction, p->x_min, p->x_max);
        }
    }
}

void check_draw_rows(struct check *c, const struct check_product *p, struct brim_gemm_rows *rows)
{
    const size_t bytes = p->m == 0 ? 0 : (p->m - 1) * rows->x_stride + p->row;
    uint8_t *x = check_buffer(c, "x", bytes + (rows->slack ? 3 : 0), 1);
    const enum check_pattern pattern = check_any_pattern(c);
    int32_t codes[64];

    for (size_t i = 0; i < bytes; i++) {
        if (i % 64 == 0) {
            check_fill(c, pattern, codes, 64, p->x_min, p->x_max);
        }
        x[i] = (uint8_t)codes[i % 64];
    }
    if (!check_once_in(c, 3)) {
        drive_rows(c, p, rows, x);
    }
    check_seal(c, x);
    rows->x = x;
}

static int64_t product_total(const struct check_product *p, const struct brim_gemm_rows *rows,
                             size_t row, size_t output)
{
    const uint8_t *x = (const uint8_t *)rows->x + row * rows->x_stride;
    const int32_t *w = p->w + output * p->k;
    const size_t length = p->k / p->segments;
    int64_t total = 0;

    for (size_t s = 0; s < p->segments; s++) {
        const uint8_t *from = x + p->segment[s];

        for (size_t j = 0; j < length; j++) {
            total += *w++ * (p->x_signed && from[j] > 127 ? from[j] - 256 : from[j]);
        }
    }
    return total;
}

void check_run_product(struct check *c, const struct check_product *p, struct brim_gemm_rows *rows,
                       size_t scratch,
                       void (*run)(const void *product, const struct brim_gemm_rows *rows),
                       const void *product)
{
    const size_t size = check_emit_size(p->epilogue.emit);
    const size_t n = p->m == 0 ? 0 : (p->m - 1) * rows->y_stride + p->n;
    uint8_t *got = check_buffer(c, "y", n * size, size);
    uint8_t *want = check_buffer(c, "expected y", n * size, size);

    memcpy(want, got, n * size);
    for (size_t r = 0; r < p->m; r++) {
        for (size_t i = 0; i < p->n; i++) {
            check_emit(&p->epilogue, product_total(p, rows, r, i), i,
                       want + (r * rows->y_stride + i) * size);
        }
    }
    rows->y = got;
    rows->scratch = check_buffer(c, "scratch", scratch, 64);
    run(product, rows);
    check_same(c, got, want, size, rows->y_stride);
}
