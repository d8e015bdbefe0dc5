/* residual.h - the error of what a layer's output is added to. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CALIBRATE_RESIDUAL_H
#define BRIM_CALIBRATE_RESIDUAL_H

#include "calibrate/calibrate.h"
#include "calibrate/im2col.h"

/* Rows of r = float - prefix for one sample, [rows->per_sample][n]; both values have `count`
 * elements a sample: channels first for a convolution, last otherwise. */
void brim_residual_fill(const struct brim_rows *rows, const float *f, const float *q, float *out);

/* e += R^T X~ and mean_e += column sums over `rows` rows; scratch holds brim_residual_scratch(). */
void brim_residual_add(struct brim_moments *m, const float *r, const float *x, size_t rows,
                       float *scratch);
size_t brim_residual_scratch(size_t n, size_t k);

#endif
