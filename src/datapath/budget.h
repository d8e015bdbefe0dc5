/* budget.h - the room left in every register, in integers. SPDX-License-Identifier: Apache-2.0
 *
 * Symbols     here       meaning
 *   mu, nu    x_min/max  input code range, mu <= 0 <= nu
 *   R_hi      -          largest value of a register: nu*beta + mu*alpha   (algorithms eq. (0.1))
 *   R_lo      -          smallest:                    mu*beta + nu*alpha
 *   room_hi   hi         H - R_hi >= 0; room_lo = R_lo - L >= 0
 *
 * A register is one tile of one stage. Because 0 is in [mu, nu], R_hi and R_lo bound every subset
 * of the products, so every order of every tree of additions (eq. (0.2)). A code is allowed where
 * it leaves no register that contains it with negative room; that is exact: no slack, and the
 * negative rail is two's complement's. */
#ifndef BRIM_DATAPATH_BUDGET_H
#define BRIM_DATAPATH_BUDGET_H

#include "base/alloc.h"
#include "base/intops.h"
#include "brim/datapath.h"

/* One stage that can overflow. */
struct brim_limit {
    size_t stage;   /* in the datapath */
    size_t tile;    /* products under one register */
    size_t count;   /* registers */
    size_t first;   /* number of its first register among all registers of the plan */
    int64_t hi, lo; /* rails */
};

/* The stages that can overflow at all: one whose largest possible sum fits is left out. */
struct brim_budget_plan {
    size_t n_limits;
    size_t n_registers;
    int64_t x_min, x_max;
    struct brim_limit limit[BRIM_MAX_STAGES];
};

/* Compile a datapath for k products of codes up to qmax. A spilling stage may overflow into the
 * next and is left out. BRIM_ERR_INFEASIBLE when no code but 0 fits some stage. */
BRIM_NODISCARD brim_status brim_budget_compile(brim_ctx *ctx, const brim_datapath *dp, size_t k,
                                               int64_t qmax, const int64_t x_range[2],
                                               struct brim_budget_plan *plan);

/* Room left in one register. */
struct brim_room {
    int64_t hi, lo;
};

/* Fill `room` (n_registers) with empty registers. */
void brim_room_reset(const struct brim_budget_plan *plan, struct brim_room *room);

static inline struct brim_room *brim_room_at(const struct brim_limit *l, struct brim_room *room,
                                             size_t k)
{
    return &room[l->first + k / l->tile];
}

/* Add (sign = 1) or remove (sign = -1) code q at position k. */
static inline void brim_room_take(const struct brim_budget_plan *plan, struct brim_room *room,
                                  size_t k, int64_t q, int64_t sign)
{
    const int64_t up = q > 0 ? q * plan->x_max : q * plan->x_min;
    const int64_t down = q > 0 ? q * plan->x_min : q * plan->x_max;

    for (size_t i = 0; i < plan->n_limits; i++) {
        struct brim_room *r = brim_room_at(&plan->limit[i], room, k);
        r->hi -= sign * up;
        r->lo += sign * down;
    }
}

/* Largest positive code and magnitude of the most negative code that fit at position k, at most
 * qmax. The position's own code must have been removed. */
static inline void brim_room_bounds(const struct brim_budget_plan *plan,
                                    const struct brim_room *room, size_t k, int64_t bound[2])
{
    const int64_t nu = plan->x_max;
    const int64_t mu = -plan->x_min;

    for (size_t i = 0; i < plan->n_limits; i++) {
        const struct brim_limit *l = &plan->limit[i];
        const struct brim_room *r = &room[l->first + k / l->tile];
        if (nu > 0) {
            bound[0] = brim_min_i64(bound[0], r->hi / nu);
            bound[1] = brim_min_i64(bound[1], r->lo / nu);
        }
        if (mu > 0) {
            bound[0] = brim_min_i64(bound[0], r->lo / mu);
            bound[1] = brim_min_i64(bound[1], r->hi / mu);
        }
    }
}

/* True when every register of the codes (stride apart) fits. */
bool brim_budget_holds(const struct brim_budget_plan *plan, const int16_t *codes, size_t k,
                       struct brim_room *room);

/* The budget's real relaxation: the theta with sum max(a - theta, 0) = radius, 0 when a sums to
 * less (Duchi et al., ICML 2008; found by discarding, Michelot 1986: no sort). a: n magnitudes in
 * any order, reordered here. */
double brim_l1_threshold(double *a, size_t n, double radius);

#endif
