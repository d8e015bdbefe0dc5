/* qlinear.h - what the operators of domain com.microsoft share. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_RUN_OPS_QLINEAR_H
#define BRIM_RUN_OPS_QLINEAR_H

#include "run/op.h"

/* real = scale * (code - zero) */
struct brim_code_grid {
    float scale;
    int32_t zero;
};

/* Inputs `scale` and, where given, the zero point behind it. */
struct brim_code_grid brim_code_grid_of(const struct brim_op_call *c, size_t scale);
/* clip(round_half_even(v / scale) + zero, lo, hi); lo for NaN. */
int32_t brim_code_of(float v, const struct brim_code_grid *g, int64_t lo, int64_t hi);

/* qlinear_pool.c */
brim_op_run_fn brim_run_qlinear_averagepool, brim_run_qlinear_globalpool;
/* qgemm.c */
brim_op_run_fn brim_run_qgemm;

#endif
