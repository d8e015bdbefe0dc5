/* sweep.h - the column recurrence shared by all solvers. SPDX-License-Identifier: Apache-2.0
 *
 *     v[t] = base[t] + sum_{i<t} pull[t][i] e[i]       what column t should be, given the past
 *     q[t] = round(v[t] / s) under the budget
 *     e[t] = ref[t] - s q[t]                           (ref is base, or absent: -s q[t])
 *
 * for m lanes at once. Which solver it is depends on pull, base and ref only: rtn.c, gpfq.c,
 * optq.c, qronos.c. Which budget it is depends on the step only: axe.c, exact.c. */
#ifndef BRIM_QUANTIZE_SWEEP_H
#define BRIM_QUANTIZE_SWEEP_H

#include "quantize/layer.h"

/* The registers of all lanes, as integers held exactly in doubles (all are below 2^52, so that
 * divisions of them round down exactly): room[register][m]. */
struct brim_lane_rooms {
    double *hi, *lo;
};

struct brim_sweep;

/* Round column t of every lane: v[m] in, q[m] out (integers), e[m] out. */
typedef void brim_step_fn(const struct brim_sweep *s, size_t t, const double *v, double *q,
                          double *e);

struct brim_sweep {
    const struct brim_budget_plan *plan;
    const size_t *order;
    size_t k, m, block;
    const double *pull; /* [k][k], or NULL: columns do not speak to one another */
    const double
        *r; /* [k] layer.h (1): the loss of a column, known as it is rounded (OPTQ); or NULL */
    double damp;
    brim_step_fn *step;
    bool has_ref, has_first;
    bool full_error; /* AXE: carry shrink and clip errors too */
    double *base;    /* [k][m] */
    double *first;   /* [m] v[0] when has_first */
    double *scale;   /* [m] */
    double *cap;     /* [m] largest code */
    double *unit;    /* [k][m] what a code counts for, in scales; 0 = it must be 0; NULL: all 1 */
    double *round;   /* [k][m] what codes are rounded at instead, in scales; NULL: unit */
    /* [m] of the column at hand: scale * unit, scale * round, cap or 0 */
    double *column_scale, *column_round, *column_cap;
    double *shrink; /* AXE: soft threshold [register][m] */
    struct brim_lane_rooms rooms;
    double *e;    /* [k][m] out */
    double *v;    /* [block + 1][m] scratch */
    int16_t *q;   /* [k][m] out */
    double *cost; /* [m] out: (W* - s q) H (W* - s q)^T, by brim_sweep_cost() */
};

/* One lane: a channel at one scale and largest code. */
struct brim_lane {
    size_t channel;
    double scale, cap;
};

/* Scratch for up to m lanes from `arena`, the layer's solver and this budget's step. */
BRIM_NODISCARD brim_status brim_sweep_create(const struct brim_layer *layer,
                                             struct brim_arena *arena, size_t m, brim_budget budget,
                                             struct brim_sweep *s);
/* Fill m lanes and empty their registers. */
BRIM_NODISCARD brim_status brim_sweep_load(const struct brim_layer *layer, struct brim_sweep *s,
                                           const struct brim_lane *lane, size_t m);
/* One lane's codes [k] in K order. */
void brim_sweep_codes(const struct brim_sweep *s, size_t lane, int16_t *codes);
/* After a run: every lane's error into s->cost; e is overwritten where the run did not count it. */
void brim_sweep_cost(const struct brim_layer *layer, struct brim_sweep *s,
                     const struct brim_lane *lane);
void brim_sweep_run(const struct brim_sweep *s);

/* Empty registers for all lanes. symmetric: the negative rail is -H, as AXE has it. */
void brim_lane_rooms_reset(const struct brim_budget_plan *plan, size_t m, bool symmetric,
                           struct brim_lane_rooms *rooms);
/* Enter the codes q[m] of position k. */
void brim_lane_rooms_take(const struct brim_budget_plan *plan, struct brim_lane_rooms rooms,
                          size_t k, size_t m, const double *q);

brim_step_fn brim_step_free;  /* no budget */
brim_step_fn brim_step_exact; /* integer clamp */
brim_step_fn brim_step_axe;   /* soft threshold, strict bound with slack */

/* AXE's soft thresholds for the lanes loaded into s: shrink[register][m]. */
BRIM_NODISCARD brim_status brim_axe_thresholds(const struct brim_layer *layer,
                                               const struct brim_sweep *s, double *shrink);

/* round half to even of |x| < 2^51, without a call so that loops over lanes vectorize */
static inline double brim_lane_rint(double x)
{
    return (x + 0x1.8p52) - 0x1.8p52;
}

#endif
