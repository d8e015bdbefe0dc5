/* dot_plan.h - how one layer's dot products will be computed. SPDX-License-Identifier: Apache-2.0
 */
#ifndef BRIM_KERNELS_DOT_PLAN_H
#define BRIM_KERNELS_DOT_PLAN_H

#include "kernels/lanes.h"
#include "kernels/simulate_variant.h"

enum brim_dot_path {
    BRIM_DOT_GEMM8,    /* exact totals of 8-bit codes by gemm.h */
    BRIM_DOT_GEMM_F32, /* exact totals by sgemm: every partial sum is an integer below 2^24 */
    BRIM_DOT_GEMM_F64, /* by dgemm: below 2^53 */
    BRIM_DOT_VECTORS,  /* totals of vectors by gemm.h, one multiply each */
    BRIM_DOT_SIMULATE, /* the passes of simulate_variant.h: 16-bit operands */
    BRIM_DOT_LANES32,
    BRIM_DOT_LANES64,
    BRIM_DOT_ORDERED, /* dot_ordered.h: sorted rounds, sign-greedy */
    BRIM_DOT_SCALAR   /* brim_datapath_dot() for each output */
};

/* SIMULATE: passes of the first stage. */
struct brim_dot_passes {
    enum brim_simulate_pass value;
    unsigned w_shift, x_shift; /* of the operands of SATURATE and TILES passes */
    bool range16;              /* products fit 16 bits: RANGE16 where prefixes do */
    bool prefixes16;           /* all of them do */
    /* Short tiles and one exact register behind them: tile after tile within a pass. */
    bool tiles_value; /* value is a TILES pass */
    bool tiles_range; /* and that register has no events */
};

struct brim_dot_plan {
    enum brim_dot_path path;
    bool total;                  /* results are the plain totals, and nothing is counted */
    bool fits32;                 /* results fit int32 */
    bool sums32;                 /* partial sums fit int32, in any order */
    bool acc32;                  /* VECTORS: totals times factors stay below 2^30 */
    bool codes8;                 /* codes fit gemm.h and so do the totals */
    struct brim_lane_plan lanes; /* GEMM: one stage, whose value kind finishes the total */
    struct brim_dot_passes passes;
};

#define BRIM_DOT_UNSAFE UINT8_MAX

/* Decide from the weights, the input range and the datapath. bound, unless NULL: [n] for each output
 * the need of the first stage where no stage can overflow, else BRIM_DOT_UNSAFE. */
BRIM_NODISCARD brim_status brim_dot_plan_make(brim_ctx *ctx, const struct brim_dot_kernel_params *p,
                                              const brim_datapath *dp, struct brim_dot_plan *plan,
                                              uint8_t *bound);

#endif
