/* exact.c - the integer clamp: fill the register to the brim. SPDX-License-Identifier: Apache-2.0
 *
 * Symbols     room_hi = H - R_hi, room_lo = R_lo - L     (budget.h), per register and lane
 * Invariant   up = floor(min(room_hi / nu, room_lo / -mu)), dn = floor(min(room_lo / nu,
 *             room_hi / -mu)) over every register that contains the column; the code is the nearest
 *             in [-dn, up]. No slack is needed because the clamp is on the integer, L = -2^(P-1) is
 *             two's complement's own, and the whole error (clip included) is carried on.
 *             Rooms are integers below 2^52 held in doubles, so a quotient that is not an integer
 *             never rounds up to one, and truncation is the floor.
 * Cost        O(k m stages).
 * Example     mu = 0, nu = 3, P = 4 (H = 7, L = -8): H/nu = 2.33, -L/nu = 2.67: two units of either
 *             sign; mu = -1, nu = 1, P = 2 (H = 1, L = -2): one unit in all:
 *             tests/quantize/test_budgets.c: clamp_worked_example. */
#include "base/clones.h"
#include "quantize/sweep.h"

#define LANES 64

struct bounds {
    double up[LANES], dn[LANES];
};

BRIM_CLONES static void bound_lanes(size_t n, double unit, const double *restrict hi,
                                    const double *restrict lo, struct bounds *restrict b)
{
    for (size_t j = 0; j < n; j++) {
        const double up = hi[j] / unit;
        const double dn = lo[j] / unit;
        b->up[j] = up < b->up[j] ? up : b->up[j];
        b->dn[j] = dn < b->dn[j] ? dn : b->dn[j];
    }
}

BRIM_CLONES static void clamp_lanes(size_t n, const struct bounds *restrict b,
                                    const double *restrict v, const double *restrict scale,
                                    double *restrict q)
{
    for (size_t j = 0; j < n; j++) {
        const double up = (double)(int32_t)b->up[j];
        const double dn = (double)(int32_t)b->dn[j];
        double y = v[j] / scale[j];
        y = y < up ? y : up;
        y = y > -dn ? y : -dn;
        q[j] = brim_lane_rint(y);
    }
}

BRIM_CLONES static void error_lanes(size_t n, const double *restrict ref,
                                    const double *restrict scale, const double *restrict q,
                                    double *restrict e)
{
    for (size_t j = 0; j < n; j++) {
        e[j] = (ref != NULL ? ref[j] : 0.0) - scale[j] * q[j];
    }
}

void brim_step_exact(const struct brim_sweep *s, size_t t, const double *v, double *q, double *e)
{
    const struct brim_budget_plan *plan = s->plan;
    const size_t k = s->order[t];
    const size_t m = s->m;

    for (size_t first = 0; first < m; first += LANES) {
        const size_t n = brim_min_size(LANES, m - first);
        struct bounds b;
        for (size_t j = 0; j < n; j++) {
            b.up[j] = b.dn[j] = s->column_cap[first + j];
        }
        for (size_t i = 0; i < plan->n_limits; i++) {
            const size_t at = (plan->limit[i].first + k / plan->limit[i].tile) * m + first;
            const double *hi = s->rooms.hi + at;
            const double *lo = s->rooms.lo + at;
            if (plan->x_max > 0) {
                bound_lanes(n, (double)plan->x_max, hi, lo, &b);
            }
            if (plan->x_min < 0) {
                bound_lanes(n, (double)-plan->x_min, lo, hi, &b);
            }
        }
        clamp_lanes(n, &b, v + first, s->column_round + first, q + first);
    }
    error_lanes(m, s->has_ref ? s->base + t * m : NULL, s->column_scale, q, e);
    brim_lane_rooms_take(plan, s->rooms, k, m, q);
}
