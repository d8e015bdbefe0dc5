/* products.h - rows of codes for families that take struct brim_gemm_rows, and their results by
 * formula. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_KERNELS_PRODUCTS_H
#define BRIM_TESTS_KERNELS_PRODUCTS_H

#include "checkasm.h"
#include "kernels/gemm.h"

#define CHECK_SEGMENTS 8

struct check_product {
    size_t m, n, k, segments; /* segments: divides k, at most CHECK_SEGMENTS */
    int32_t x_min, x_max;
    bool x_signed;
    const int32_t *w; /* [n][k] */
    struct brim_epilogue epilogue;
    size_t segment[CHECK_SEGMENTS]; /* bytes from a row's start */
    size_t row;                     /* bytes of a row */
};

/* The greatest |total|. */
int64_t check_reach(const struct check_product *p);

/* Where segments and rows lie: one after another, apart, or over one another. Sets the strides. */
void check_draw_places(struct check *c, struct check_product *p, struct brim_gemm_rows *rows);

/* Codes within x_min..x_max: patterns, or rows that drive one output's total furthest. Sets x. */
void check_draw_rows(struct check *c, const struct check_product *p, struct brim_gemm_rows *rows);

/* What takes `x` where the weight is w and the total shall go up (direction 1) or down (-1). */
int32_t check_driving_code(struct check *c, int32_t w, int direction, int32_t least,
                           int32_t greatest);

/* Run with y and scratch in guarded memory and compare y with the formula. */
void check_run_product(struct check *c, const struct check_product *p, struct brim_gemm_rows *rows,
                       size_t scratch,
                       void (*run)(const void *product, const struct brim_gemm_rows *rows),
                       const void *product);

#endif
