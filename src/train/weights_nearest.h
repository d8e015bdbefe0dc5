/* weights_nearest.h - the nearest codes that a datapath holds. SPDX-License-Identifier: Apache-2.0
 *
 * Real codes u (weights over scale) are held in fixed point, so that everything that the guarantee
 * rests on, and every choice between two codes, is an integer.
 */
#ifndef BRIM_TRAIN_WEIGHTS_NEAREST_H
#define BRIM_TRAIN_WEIGHTS_NEAREST_H

#include "datapath/budget.h"

#define BRIM_NEAREST_BITS 14 /* behind the point */
#define BRIM_NEAREST_ONE  (1 << BRIM_NEAREST_BITS)
#define BRIM_NEAREST_HALF (BRIM_NEAREST_ONE / 2)
#define BRIM_NEAREST_MAX  (65535 * BRIM_NEAREST_ONE) /* largest |u| */

/* Scratch of one thread. */
struct brim_nearest {
    const struct brim_budget_plan *plan;
    size_t k;
    int32_t *magnitude, *cap; /* [k] of one register and one sign: |u| + 1/2, code */
    int32_t *unit[3];         /* lists of units; NULL where the signs do not couple */
    int64_t *cost;
};

/* qmax: largest code. The plan is borrowed. */
BRIM_NODISCARD brim_status brim_nearest_init(struct brim_nearest *f, struct brim_arena *arena,
                                             const struct brim_budget_plan *plan, size_t k,
                                             int32_t qmax);

/* Reduce codes q[k], each of the sign of u and at most |u| + 1/2 in magnitude, until every register
 * of the plan holds them, keeping sum (u - q)^2 least. price[register][2], may be NULL: what the
 * budget takes from |u| of the register's positive and negative codes before rounding, in units of
 * 1/ONE; 0 where it does not bind. */
void brim_nearest_row(const struct brim_nearest *f, const int32_t *u, int32_t *q, int32_t *price);

#endif
