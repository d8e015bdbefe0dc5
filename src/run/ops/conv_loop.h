/* conv_loop.h - convolution by plain loops. SPDX-License-Identifier: Apache-2.0
 *
 * The fallback of the float convolution, its reference in tests, and the integer convolution.
 */
#ifndef BRIM_RUN_OPS_CONV_LOOP_H
#define BRIM_RUN_OPS_CONV_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "graph/window.h"

/* One sample: x [groups * group_in][in...], w as in the file, y [groups * group_out][out...] zeroed
 * or holding what to add to (a bias). Padding contributes nothing. Products are added in the order
 * channel, kernel position, whatever the shape. */
void brim_conv_loop_f64(const struct brim_conv *conv, const double *x, const double *w, double *y);
/* The same modulo 2^32. */
void brim_conv_loop_i32(const struct brim_conv *conv, const int32_t *x, const int32_t *w,
                        int32_t *y);

#endif
