/* dot_plan.h - how one layer's dot products will be computed. SPDX-License-Identifier: Apache-2.0
 */
#ifndef BRIM_KERNELS_DOT_PLAN_H
#define BRIM_KERNELS_DOT_PLAN_H

#include "kernels/lanes.h"

enum brim_dot_path {
    BRIM_DOT_GEMM_F32, /* exact totals by sgemm: every partial sum is an integer below 2^24 */
    BRIM_DOT_GEMM_F64, /* by dgemm: below 2^53 */
    BRIM_DOT_LANES32,
    BRIM_DOT_LANES64,
    BRIM_DOT_SCALAR /* brim_datapath_dot() for each output */
};

struct brim_dot_plan {
    enum brim_dot_path path;
    bool total;                  /* results are the plain totals, and nothing is counted */
    struct brim_lane_plan lanes; /* GEMM: one stage, whose value kind finishes the total */
};

/* Decide from the weights, the input range and the datapath. */
BRIM_NODISCARD brim_status brim_dot_plan_make(brim_ctx *ctx, const struct brim_dot_kernel_params *p,
                                              const brim_datapath *dp, struct brim_dot_plan *plan);

#endif
