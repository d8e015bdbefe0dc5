/* im2col.h - a layer's input as rows of its dot products. SPDX-License-Identifier: Apache-2.0
 *
 * One row per output position, [groups][k] floats in K order: kernel row, kernel column, channel of
 * the group. Padding is real 0. A MatMul's input is its rows already. With one channel per group
 * (a depthwise layer) rows are [ceil(groups / 16)][k][16], channels side by side, the last sixteen
 * filled up with zeros.
 */
#ifndef BRIM_CALIBRATE_IM2COL_H
#define BRIM_CALIBRATE_IM2COL_H

#include "graph/dot.h"

#define BRIM_ROW_LANES ((size_t)16)

struct brim_rows {
    const struct brim_dot *dot;
    size_t per_sample; /* rows */
    size_t columns;    /* groups * k, or lanes * k */
    size_t lanes;      /* groups filled up to a multiple of 16; 0 when rows are not like that */
    size_t sample;     /* elements of one sample's input */
    /* Convolutions: input sizes, output sizes, padding resolved. 1-D ones have height 1. */
    int64_t h, w, out_h, out_w, top, left;
};

/* For an input of this shape that holds `samples` samples. */
BRIM_NODISCARD brim_status brim_rows_plan(brim_ctx *ctx, const struct brim_dot *dot,
                                          const struct brim_shape *x, size_t samples,
                                          struct brim_rows *rows);

/* The rows of one sample. With a grid, elements are code - zero (integers as floats), else as they
 * are. `scratch` holds rows->sample floats. Finite input, or codes are undefined. */
void brim_rows_fill(const struct brim_rows *rows, const float *x, const struct brim_grid *grid,
                    float *scratch, float *out);

#endif
