/* product.h - a float32 matrix product with one defined result. SPDX-License-Identifier: Apache-2.0
 *
 * Every element is sum a[p] * b[p], p ascending, in double from 0: products of floats are exact
 * there, so neither the number of rows, nor the compiler, nor the machine changes a bit.
 */
#ifndef BRIM_RUN_OPS_PRODUCT_H
#define BRIM_RUN_OPS_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

/* The right operand in panels of BRIM_PRODUCT_LANES columns, the last filled up with zeros:
 * [panels][k][BRIM_PRODUCT_LANES] floats. */
#define BRIM_PRODUCT_LANES ((size_t)32)

static inline size_t brim_product_panels(size_t n)
{
    return (n + BRIM_PRODUCT_LANES - 1) / BRIM_PRODUCT_LANES;
}

/* b: [k][n], or [n][k] when `transposed`. */
void brim_product_pack(const float *b, size_t k, size_t n, bool transposed, float *packed);

/* y[i][j], [m][n]; a: [m][k], each a float's value. */
struct brim_product {
    const double *a;
    const float *packed;
    size_t m, n, k;
    double *y;
};
void brim_product_run(const struct brim_product *p);

#endif
