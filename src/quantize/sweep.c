/* sweep.c - see sweep.h. SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of columns: what earlier blocks add to a block is one matrix product; inside a block the
 * sum is taken lane by lane. Cost k^2 m multiply-adds. */
#include "quantize/sweep.h"

#include <cblas.h>

#include "base/clones.h"

#define LANES 32

/* v[m] += sum_{i<n} a[i] e[i][m] */
BRIM_CLONES static void pull_rows(size_t n, size_t m, const double *restrict a,
                                  const double *restrict e, double *restrict v)
{
    size_t j = 0;

    for (; j + LANES <= m; j += LANES) {
        double acc[LANES];
        for (size_t l = 0; l < LANES; l++) {
            acc[l] = v[j + l];
        }
        for (size_t i = 0; i < n; i++) {
            const double f = a[i];
            const double *row = e + i * m + j;
            for (size_t l = 0; l < LANES; l++) {
                acc[l] += f * row[l];
            }
        }
        for (size_t l = 0; l < LANES; l++) {
            v[j + l] = acc[l];
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t l = j; l < m; l++) {
            v[l] += a[i] * e[i * m + l];
        }
    }
}

/* layer.h (1): what column t loses, less the damping's share. */
BRIM_CLONES static void add_cost(const struct brim_sweep *s, size_t t, const double *restrict v,
                                 const double *restrict q, const double *restrict e)
{
    const double r = s->r[t];
    const double *restrict scale = s->column_scale;
    double *restrict cost = s->cost;

    for (size_t j = 0; j < s->m; j++) {
        const double d = (v[j] - scale[j] * q[j]) * r;
        cost[j] += d * d - s->damp * e[j] * e[j];
    }
}

BRIM_CLONES static void store_codes(size_t m, const double *restrict q, int16_t *restrict out)
{
    for (size_t j = 0; j < m; j++) {
        out[j] = (int16_t)(int32_t)q[j];
    }
}

BRIM_CLONES static void round_free(const struct brim_sweep *s, size_t t, const double *v, double *q,
                                   double *e)
{
    const double *restrict scale = s->column_scale;
    const double *restrict round = s->column_round;
    const double *restrict cap = s->column_cap;

    for (size_t j = 0; j < s->m; j++) {
        double y = v[j] / round[j];
        y = y < cap[j] ? y : cap[j];
        y = y > -cap[j] ? y : -cap[j];
        q[j] = brim_lane_rint(y);
    }
    for (size_t j = 0; j < s->m; j++) {
        e[j] = (s->has_ref ? s->base[t * s->m + j] : 0.0) - scale[j] * q[j];
    }
}

void brim_step_free(const struct brim_sweep *s, size_t t, const double *v, double *q, double *e)
{
    round_free(s, t, v, q, e);
}

void brim_lane_rooms_reset(const struct brim_budget_plan *plan, size_t m, bool symmetric,
                           struct brim_lane_rooms *rooms)
{
    for (size_t i = 0; i < plan->n_limits; i++) {
        const struct brim_limit *l = &plan->limit[i];
        for (size_t j = l->first * m; j < (l->first + l->count) * m; j++) {
            rooms->hi[j] = (double)l->hi;
            rooms->lo[j] = symmetric ? (double)l->hi : (double)-l->lo;
        }
    }
}

BRIM_CLONES static void take_lanes(size_t m, double nu, double mu, const double *restrict q,
                                   double *restrict hi, double *restrict lo)
{
    for (size_t j = 0; j < m; j++) {
        const double a = q[j] > 0.0 ? q[j] : 0.0;
        const double b = a - q[j];
        hi[j] -= nu * a + mu * b;
        lo[j] -= mu * a + nu * b;
    }
}

void brim_lane_rooms_take(const struct brim_budget_plan *plan, struct brim_lane_rooms rooms,
                          size_t k, size_t m, const double *q)
{
    for (size_t i = 0; i < plan->n_limits; i++) {
        const struct brim_limit *l = &plan->limit[i];
        const size_t at = (l->first + k / l->tile) * m;
        take_lanes(m, (double)plan->x_max, (double)-plan->x_min, q, rooms.hi + at, rooms.lo + at);
    }
}

/* A code that must be 0 has a cap of 0; its scale then only has to be something to divide by. */
static void load_column(const struct brim_sweep *s, size_t t)
{
    const double *unit = s->unit + t * s->m;
    const double *round = s->round != NULL ? s->round + t * s->m : unit;

    for (size_t j = 0; j < s->m; j++) {
        s->column_round[j] = round[j] > 0.0 ? s->scale[j] * round[j] : 1.0;
        s->column_scale[j] = unit[j] > 0.0 ? s->scale[j] * unit[j] : 1.0;
        s->column_cap[j] = unit[j] > 0.0 ? s->cap[j] : 0.0;
    }
}

static void run_block(const struct brim_sweep *s, size_t first, size_t end)
{
    const size_t m = s->m;
    double *q = s->v + s->block * m;

    for (size_t t = first; t < end; t++) {
        double *v = s->v + (t - first) * m;
        if (s->pull != NULL) {
            pull_rows(t - first, m, s->pull + t * s->k + first, s->e + first * m, v);
        }
        if (t == 0 && s->has_first) {
            for (size_t j = 0; j < m; j++) {
                v[j] = s->first[j];
            }
        }
        if (s->unit != NULL) {
            load_column(s, t);
        }
        s->step(s, t, v, q, s->e + t * m);
        store_codes(m, q, s->q + t * m);
        if (s->r != NULL) {
            add_cost(s, t, v, q, s->e + t * m);
        }
    }
}

void brim_sweep_run(const struct brim_sweep *s)
{
    const size_t m = s->m;

    for (size_t j = 0; j < m; j++) {
        s->cost[j] = 0.0;
    }
    for (size_t first = 0; first < s->k; first += s->block) {
        const size_t end = brim_min_size(first + s->block, s->k);
        for (size_t j = 0; j < (end - first) * m; j++) {
            s->v[j] = s->base[first * m + j];
        }
        if (s->pull != NULL && first > 0) {
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)(end - first),
                        (blasint)m, (blasint)first, 1.0, s->pull + first * s->k, (blasint)s->k,
                        s->e, (blasint)m, 1.0, s->v, (blasint)m);
        }
        run_block(s, first, end);
    }
}
