/* lanes.h - many dot products side by side on a datapath whose modes need no reordering.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One call computes BRIM_LANES dot products that share one operand: lane l sums
 * panel[j*BRIM_LANES + l] * shared[j] over j in K order. Either operand may be the weights.
 */
#ifndef BRIM_KERNELS_LANES_H
#define BRIM_KERNELS_LANES_H

#include "base/clones.h"
#include "kernels/dot.h"

#define BRIM_LANES 32

/* Which value a register hands on. */
enum brim_lane_value {
    BRIM_LANE_EXACT,    /* proven to stay in range, or to lose nothing */
    BRIM_LANE_SATURATE, /* clamped after every addition */
    BRIM_LANE_WRAP,     /* exact, then reduced once: the same modulo 2^width */
    BRIM_LANE_CLIP      /* exact, then clamped once: what q and g amount to when terms fit */
};

/* What can happen to a register, against its exact terms. */
enum brim_lane_event {
    BRIM_LANE_SAFE,   /* nothing */
    BRIM_LANE_PREFIX, /* total outside: persistent; else a prefix in K order outside: transient */
    BRIM_LANE_TOTAL,  /* total outside: persistent */
    BRIM_LANE_SPILLS  /* a prefix outside: transient */
};

struct brim_lane_stage {
    enum brim_lane_value value;
    enum brim_lane_event event;
    int64_t lo, hi; /* the register's rails, within the lane type */
    size_t tile;    /* 1..max(k, 1) */
};

struct brim_lane_plan {
    size_t n_stages, k;
    size_t vector, scaled; /* products that share a scale, 0 = none; the stage they end */
    unsigned shift;        /* of products of two scales */
    struct brim_lane_stage stage[BRIM_MAX_STAGES];
    bool count;
    bool products; /* some product may leave the first register, and it matters: */
    bool recheck;  /* lanes where one does are wrong, only marked: the caller computes them anew */
};

struct brim_lane_tally {
    uint64_t transient, persistent, product; /* lanes */
    int64_t lo, hi;                          /* extremes of the first stage's prefixes */
    bool odd[BRIM_LANES];                    /* with recheck, of the last run: neither in y nor in
                                                the lanes counted above */
};

/* Scales of vectors: integers, the product of panel[g * BRIM_LANES + l] and shared[g], rounded; either
 * may be missing, and is 1 then. Or floats, one of the two: `sum` takes the place of y. */
struct brim_lane_scales {
    const uint32_t *panel, *shared;
    const float *real_panel, *real_shared;
    double *sum; /* [BRIM_LANES] */
};

/* y[l] for every lane; *tally is added to when the plan counts. The 32-bit lanes ask that the sum
 * of magnitudes of every dot product's largest products, times their factors, stays below 2^30, so that no operand of an
 * addition reaches 2^30 and rails are within (-2^31, 2^31); the 64-bit ones below 2^62. */
void brim_lanes32_run(const struct brim_lane_plan *plan, const int32_t *panel,
                      const int32_t *shared, const struct brim_lane_scales *scales, int64_t *y,
                      struct brim_lane_tally *tally);
void brim_lanes64_run(const struct brim_lane_plan *plan, const int32_t *panel,
                      const int32_t *shared, const struct brim_lane_scales *scales, int64_t *y,
                      struct brim_lane_tally *tally);

#endif
