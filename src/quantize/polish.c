/* polish.c - see polish.h. SPDX-License-Identifier: Apache-2.0
 *
 * Symbols     u[k] the unit of code k, U = diag(u); E(q) = (s U q - w) H (s U q - w),
 *             g = H (s U q - w)
 * Single      changing code k by d changes E by 2 d s u[k] g[k] + d^2 s^2 u[k]^2 H[k][k]; the best d
 *             is -g[k] / (s u[k] H[k][k]) rounded and clamped to the room that the others leave.
 * Pair        changing i by di and j by dj adds 2 di dj s^2 u[i] u[j] H[i][j] to the two single
 *             changes. A pair that frees budget at i and spends it at j keeps a full register full.
 * Scale       given q, E is least at s = (U q H w) / (U q H U q).
 * Invariant     E never rises; every register holds after every move.
 * Cost        a single move O(k), a round of pairs O(k^2). */
#include "quantize/polish.h"

#include "base/clones.h"

#define BARRED 1e300

BRIM_CLONES static void axpy(size_t n, double f, const double *restrict x, double *restrict y)
{
    for (size_t i = 0; i < n; i++) {
        y[i] += f * x[i];
    }
}

static void move(struct brim_polish *p, size_t k, int64_t d)
{
    axpy(p->k, (double)d * (double)p->scale * p->unit[k], p->h + k * p->k, p->g);
    p->q[k] = (int16_t)(p->q[k] + d);
}

static bool register_holds(const struct brim_polish *p, size_t k)
{
    for (size_t i = 0; i < p->plan->n_limits; i++) {
        const struct brim_room *r = brim_room_at(&p->plan->limit[i], p->room, k);
        if (r->hi < 0 || r->lo < 0) {
            return false;
        }
    }
    return true;
}

static void replace(struct brim_polish *p, size_t k, int64_t from, int64_t to)
{
    brim_room_take(p->plan, p->room, k, from, -1);
    brim_room_take(p->plan, p->room, k, to, 1);
}

/* The best single move of code k; its register room is taken out and put back. */
static int64_t best_single(struct brim_polish *p, size_t k)
{
    const double h = p->h[k * p->k + k];
    const double s = (double)p->scale * p->unit[k];
    int64_t bound[2] = {p->qmax, p->qmax};
    double want;
    int64_t to;

    if (!(h > 0.0) || !(s > 0.0)) {
        return 0;
    }
    want = (double)p->q[k] - p->g[k] / (s * h);
    want = want > (double)p->qmax ? (double)p->qmax : want;
    want = want < (double)-p->qmax ? (double)-p->qmax : want;
    to = (int64_t)brim_rint(want);
    if (to == p->q[k]) {
        return 0;
    }
    brim_room_take(p->plan, p->room, k, p->q[k], -1);
    brim_room_bounds(p->plan, p->room, k, bound);
    brim_room_take(p->plan, p->room, k, p->q[k], 1);
    return brim_clip_i64(to, -bound[1], bound[0]) - p->q[k];
}

static size_t single_round(struct brim_polish *p)
{
    size_t moved = 0;

    for (size_t k = 0; k < p->k; k++) {
        const int64_t d = best_single(p, k);
        const double h = p->h[k * p->k + k] * ((double)p->scale * p->unit[k]);
        if (d == 0 || !(2.0 * (double)d * p->g[k] + (double)(d * d) * h < 0.0)) {
            continue;
        }
        replace(p, k, p->q[k], p->q[k] + d);
        move(p, k, d);
        moved++;
    }
    return moved;
}

/* cost[j] = change of E / s by d at j */
BRIM_CLONES static void pair_costs(size_t n, double d, const double *restrict g,
                                   const double *restrict hd, const double *restrict hi,
                                   const double *restrict unit, double *restrict cost)
{
    for (size_t j = 0; j < n; j++) {
        cost[j] = d * (2.0 * (g[j] + hi[j])) * unit[j] + hd[j];
    }
}

struct pair {
    size_t j;
    int64_t d;
    double cost;
};

/* Is there room for one more unit of the sign of d at position k? */
static bool room_for(const struct brim_polish *p, size_t k, int64_t d)
{
    const int64_t up = d > 0 ? p->plan->x_max : -p->plan->x_min;
    const int64_t down = d > 0 ? -p->plan->x_min : p->plan->x_max;

    for (size_t i = 0; i < p->plan->n_limits; i++) {
        const struct brim_room *r = brim_room_at(&p->plan->limit[i], p->room, k);
        if (r->hi < up || r->lo < down) {
            return false;
        }
    }
    return true;
}

/* i has been moved in the registers (`held`: they hold): do they when j moves by d too? */
static bool partner_fits(struct brim_polish *p, size_t i, bool held, size_t j, int64_t d)
{
    const int64_t q = p->q[j];
    const bool grows = d > 0 ? q >= 0 : q <= 0;
    bool fits;

    if (q + d > p->qmax || q + d < -p->qmax) {
        return false;
    }
    if (grows) {
        return held && room_for(p, j, d); /* growth never frees room */
    }
    if (held) {
        return true; /* a step toward zero only frees room */
    }
    replace(p, j, q, q + d);
    fits = register_holds(p, i);
    replace(p, j, q + d, q);
    return fits;
}

static void find_partner(struct brim_polish *p, size_t i, int64_t d, const double *cost,
                         struct pair *best)
{
    const bool held = register_holds(p, i);

    for (size_t j = 0; j < p->k; j++) {
        if (cost[j] < best->cost && j != i && partner_fits(p, i, held, j, d)) {
            *best = (struct pair){j, d, cost[j]};
        }
    }
}

/* Try di at i with its best partner; true when the pair was made. */
static bool try_pair(struct brim_polish *p, size_t i, int64_t di, const double *hd)
{
    const double s = (double)p->scale * p->unit[i];
    const double *row = p->h + i * p->k;
    const double own = (2.0 * (double)di * p->g[i] + row[i] * s) * p->unit[i];
    const int64_t q = p->q[i];
    struct pair best = {i, 0, -own - 1e-12 * (own < 0.0 ? -own : own)};
    double *hi = p->scratch + p->k;
    double *cost = p->scratch + 2 * p->k;

    if (q + di > p->qmax || q + di < -p->qmax) {
        return false;
    }
    for (size_t j = 0; j < p->k; j++) {
        hi[j] = (double)di * s * row[j];
    }
    replace(p, i, q, q + di);
    for (int64_t d = -1; d <= 1; d += 2) {
        pair_costs(p->k, (double)d, p->g, hd, hi, p->unit, cost);
        find_partner(p, i, d, cost, &best);
    }
    if (best.d == 0) {
        replace(p, i, q + di, q);
        return false;
    }
    replace(p, best.j, p->q[best.j], p->q[best.j] + best.d);
    move(p, i, di);
    move(p, best.j, best.d);
    return true;
}

static size_t pair_round(struct brim_polish *p)
{
    double *hd = p->scratch;
    size_t moved = 0;

    for (size_t j = 0; j < p->k; j++) {
        const double h = p->h[j * p->k + j];
        const double u = p->unit[j];
        hd[j] = h > 0.0 && u > 0.0 ? h * (double)p->scale * u * u : BARRED;
    }
    for (size_t i = 0; i < p->k; i++) {
        if (hd[i] < BARRED) {
            moved += try_pair(p, i, -1, hd) || try_pair(p, i, 1, hd) ? 1 : 0;
        }
    }
    return moved;
}

/* Set the scale to its optimum for the codes; true when it changed. */
static bool refit(struct brim_polish *p)
{
    double qhw = 0.0;
    double qhq = 0.0;
    const double s = (double)p->scale;
    float scale;

    for (size_t k = 0; k < p->k; k++) {
        qhw += (double)p->q[k] * p->unit[k] * p->hw[k];
        qhq += (double)p->q[k] * p->unit[k] * ((p->g[k] + p->hw[k]) / s);
    }
    if (!(qhq > 0.0) || !(qhw > 0.0)) {
        return false;
    }
    scale = brim_layer_scale(qhw / qhq, 1);
    if (scale == p->scale) {
        return false;
    }
    for (size_t k = 0; k < p->k; k++) {
        p->g[k] = (p->g[k] + p->hw[k]) * ((double)scale / s) - p->hw[k];
    }
    p->scale = scale;
    return true;
}

static double energy(const struct brim_polish *p)
{
    double e = 0.0;

    for (size_t k = 0; k < p->k; k++) {
        e += p->g[k] * ((double)p->scale * p->unit[k] * (double)p->q[k] - p->w[k]);
    }
    return e > 0.0 ? e : 0.0;
}

static void settle(struct brim_polish *p)
{
    for (unsigned i = 0; i < p->sweeps; i++) {
        const size_t moved = single_round(p);
        if (!refit(p) && moved == 0) {
            break;
        }
    }
}

void brim_polish_run(struct brim_polish *p)
{
    brim_room_reset(p->plan, p->room);
    for (size_t k = 0; k < p->k; k++) {
        brim_room_take(p->plan, p->room, k, p->q[k], 1);
    }
    (void)refit(p);
    settle(p);
    for (unsigned i = 0; i < p->pairs && pair_round(p) > 0; i++) {
        (void)refit(p);
        settle(p);
    }
    p->err = energy(p);
}
