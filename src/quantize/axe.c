/* axe.c - accumulator-aware greedy rounding, as published. SPDX-License-Identifier: Apache-2.0
 *
 * [1] Colbert et al., arXiv:2409.17092 (AXE).
 *
 * Symbols     [1]      here
 *             Z        (2^P - 2) / (nu - mu): L1 radius of one register, eq. (4) form
 *             lambda   shrink: Duchi threshold of the register's weights in code units, eq. (16)
 *             Psi      clip to the room left, less 0.5 because round to nearest adds up to that
 *             Pi       soft threshold by lambda, before Psi
 * Invariant   after every column each register's exact range is within [-H_P, H_P]: the room is
 * kept from the integer codes themselves, never from a quotient of scaled weights. Differs     from
 * [1]: the room of both signs together (R_hi, R_lo, as Brevitas has it), equal to the per-sign
 * budget for unsigned inputs; with several stages every register that contains the column has its
 * say; lambda from uncentred weights. With full_error the shrink and clip errors are carried too,
 * otherwise the rounding error alone. Cost        O(k n) beside the solver. Example     mu = 0, nu
 * = 1, P = 4 (H = 7), one register, w = (7, 4), s = 1, rounding to nearest: Z = 14, lambda = 0;
 * room 7, clip to 6.5, q[0] = 6 (half to even); room 1, clip to 0.5, q[1] = 0; the exact clamp
 * fills the register instead (7, 0) or (6, 1): tests/quantize/test_budgets.c: axe_worked_example.
 */
#include "base/clones.h"
#include "quantize/sweep.h"

static double radius_of(const struct brim_budget_plan *plan, const struct brim_limit *l)
{
    return 2.0 * (double)l->hi / (double)(plan->x_max - plan->x_min);
}

brim_status brim_axe_thresholds(const struct brim_layer *layer, const struct brim_sweep *s,
                                double *shrink)
{
    const struct brim_budget_plan *plan = &layer->plan;
    const size_t m = s->m;
    const size_t k = layer->k;
    double *y = brim_alloc(layer->ctx, k, 2 * sizeof(double));

    if (y == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t j = 0; j < m; j++) {
        for (size_t t = 0; t < k; t++) {
            const double unit = s->unit != NULL ? s->unit[t * m + j] : 1.0;
            const double v = unit > 0.0 ? s->base[t * m + j] / (s->scale[j] * unit) : 0.0;
            y[layer->order[t]] = v < 0.0 ? -v : v;
        }
        for (size_t i = 0; i < plan->n_limits; i++) {
            const struct brim_limit *l = &plan->limit[i];
            for (size_t g = 0; g < l->count; g++) {
                const size_t n = brim_min_size(l->tile, k - g * l->tile);
                double *a = y + k;
                for (size_t x = 0; x < n; x++) {
                    a[x] = y[g * l->tile + x];
                }
                shrink[(l->first + g) * m + j] = brim_l1_threshold(a, n, radius_of(plan, l));
            }
        }
    }
    brim_free(layer->ctx, y);
    return BRIM_OK;
}

/* y := Pi(y) with the largest threshold of the registers that contain position k. */
BRIM_CLONES static void shrink_lanes(size_t m, const double *restrict lambda, double *restrict best)
{
    for (size_t j = 0; j < m; j++) {
        best[j] = lambda[j] > best[j] ? lambda[j] : best[j];
    }
}

/* up, dn: real room of the two signs, before the slack. */
BRIM_CLONES static void room_lanes(size_t m, double unit, const double *restrict hi,
                                   const double *restrict lo, double *restrict up,
                                   double *restrict dn)
{
    for (size_t j = 0; j < m; j++) {
        const double a = hi[j] / unit;
        const double b = lo[j] / unit;
        up[j] = a < up[j] ? a : up[j];
        dn[j] = b < dn[j] ? b : dn[j];
    }
}

struct axe_lanes {
    double shrink[64], up[64], dn[64];
};

BRIM_CLONES static void round_lanes(const struct brim_sweep *s, size_t first, size_t n,
                                    const struct axe_lanes *x, size_t t, const double *v, double *q,
                                    double *e)
{
    for (size_t j = 0; j < n; j++) {
        const double scale = s->column_scale[first + j];
        const double round = s->column_round[first + j];
        const double cap = s->column_cap[first + j];
        const double y0 = v[j] / round;
        const double shrunk = (y0 < 0.0 ? -y0 : y0) - x->shrink[j]; /* [1] Pi */
        const double y1 = shrunk <= 0.0 ? 0.0 : y0 < 0.0 ? -shrunk : shrunk;
        const double up = x->up[j] - 0.5 > 0.0 ? x->up[j] - 0.5 : 0.0; /* [1] Psi */
        const double dn = x->dn[j] - 0.5 > 0.0 ? x->dn[j] - 0.5 : 0.0;
        const double y2 = y1 > up ? up : y1 < -dn ? -dn : y1;
        const double y3 = y2 > cap ? cap : y2 < -cap ? -cap : y2;
        const double lost = s->full_error || y2 == y0 ? 0.0 : v[j] - round * y2;
        const double ref = s->has_ref ? s->base[t * s->m + first + j] : 0.0;
        q[j] = brim_lane_rint(y3);
        e[j] = (ref - lost) - scale * q[j];
    }
}

void brim_step_axe(const struct brim_sweep *s, size_t t, const double *v, double *q, double *e)
{
    const struct brim_budget_plan *plan = s->plan;
    const size_t k = s->order[t];
    const size_t m = s->m;

    for (size_t first = 0; first < m; first += 64) {
        const size_t n = brim_min_size(64, m - first);
        struct axe_lanes x;
        for (size_t j = 0; j < 64; j++) {
            x.shrink[j] = 0.0;
            x.up[j] = x.dn[j] = 1e9;
        }
        for (size_t i = 0; i < plan->n_limits; i++) {
            const size_t at = (plan->limit[i].first + k / plan->limit[i].tile) * m + first;
            const double *hi = s->rooms.hi + at;
            const double *lo = s->rooms.lo + at;
            shrink_lanes(n, s->shrink + at, x.shrink);
            if (plan->x_max > 0) {
                room_lanes(n, (double)plan->x_max, hi, lo, x.up, x.dn);
            }
            if (plan->x_min < 0) {
                room_lanes(n, (double)-plan->x_min, lo, hi, x.up, x.dn);
            }
        }
        round_lanes(s, first, n, &x, t, v + first, q + first, e + first);
    }
    brim_lane_rooms_take(plan, s->rooms, k, m, q);
}
