/* repair.h - codes that are there already, brought within a budget. SPDX-License-Identifier: Apache-2.0
 *
 * Idea        A model quantized elsewhere has codes that overflow in some registers only. Each output by
 *             itself: try its scale and somewhat larger ones, round the weights, bring every register
 *             within its range by the least change in codes, then, when the inputs' second moments are
 *             known, descend on all codes (polish.c), so that others make up for what was taken.
 * Symbols     w  weights to keep to, in units of the old scale (the old codes, or float weights)
 *             u_j = w / f_j, f_j = 1 + j STEP    the weights at the j-th scale
 *             D = f q - w      error(q) = D H D^T, H the moments, or the identity
 * Projection  A register beyond its range gives up one code unit at a time, each where error grows
 *             least for the room that it frees; ties go to the lower index. With H diagonal that is
 *             the nearest integer point of the budget (separable and convex).
 * Invariant   What comes out fits: checked by brim_budget_holds(), in integers.
 * Cost        SCALES * (k + units given up * tile) for an output, and two polishes.
 * Example     codes (100, 90), inputs 0..255, pairs in 16 bits: 128 units of either sign fit. At the
 *             old scale 62 must go, 31 from each: (69, 59), error 1922; at f = 2 the codes are
 *             (50, 45) and nothing is lost. tests/quantize/test_repair.c
 */
#ifndef BRIM_QUANTIZE_REPAIR_H
#define BRIM_QUANTIZE_REPAIR_H

#include "base/alloc.h"
#include "datapath/budget.h"

/* The outputs of a layer that share their inputs; all in the target's order. */
struct brim_repair_layer {
    size_t k;
    const uint8_t *padding; /* [k] 1 = a slot without a weight: its code stays 0 */
    const double *h;        /* [k][k], 0 in padding; NULL = the identity */
    struct brim_budget_plan plan;
    int64_t least, qmax; /* codes that were may stay in least..qmax; new ones are -qmax..qmax */
    int64_t half;        /* largest code of one bit less */
    bool rescale;        /* the scale may become another */
};

struct brim_repair {
    const double *w;    /* [k] in units of the old scale */
    const int32_t *was; /* [k] the codes that were */
    int16_t *q;         /* [k] out */
    double scale;       /* out: new scale / old scale; exact in float */
    double error;       /* out: D H D^T in units of the old scale squared */
    double expected;    /* out: what rounding at the old scale costs on average, trace(H) / 12 */
    double halved;      /* out: error of codes of one bit less, what reduce_range makes of them */
};

/* One output. Codes that fit as they are stay as they are when w is them. */
BRIM_NODISCARD brim_status brim_repair_run(brim_ctx *ctx, const struct brim_repair_layer *layer,
                                           struct brim_repair *r);
/* Codes of one bit less at twice the scale, instead: what reduce_range makes. q, scale and error. */
BRIM_NODISCARD brim_status brim_repair_halve(brim_ctx *ctx, const struct brim_repair_layer *layer,
                                             struct brim_repair *r);

#endif
