/* lanes.c - filling a sweep: channels, scales, registers. SPDX-License-Identifier: Apache-2.0 */
#include "quantize/sweep.h"

brim_status brim_sweep_create(const struct brim_layer *layer, struct brim_arena *arena, size_t m,
                              brim_budget budget, struct brim_sweep *s)
{
    const size_t k = layer->k;
    size_t rooms;
    double *d;

    *s = (struct brim_sweep){.m = m, .full_error = layer->par.full_error};
    brim_solver_setup(layer, s);
    s->step = budget == BRIM_BUDGET_AXE     ? brim_step_axe
              : budget == BRIM_BUDGET_EXACT ? brim_step_exact
                                            : brim_step_free;
    if (!brim_mul_size(layer->plan.n_registers, m, &rooms)) {
        return brim_fail(layer->ctx, BRIM_ERR_NOMEM, "layer: too many registers");
    }
    s->base = brim_arena_alloc(arena, k * m, sizeof(double));
    s->e = brim_arena_alloc(arena, k * m, sizeof(double));
    s->q = brim_arena_alloc(arena, k * m, sizeof(int16_t));
    s->v = brim_arena_alloc(arena, (s->block + 1) * m, sizeof(double));
    s->shrink = brim_arena_zalloc(arena, rooms + 1, sizeof(double));
    s->rooms.hi = brim_arena_alloc(arena, rooms + 1, sizeof(double));
    s->rooms.lo = brim_arena_alloc(arena, rooms + 1, sizeof(double));
    d = brim_arena_alloc(arena, 7 * m, sizeof(double));
    s->unit = layer->unit != NULL ? brim_arena_alloc(arena, k * m, sizeof(double)) : NULL;
    s->round = layer->round != NULL ? brim_arena_alloc(arena, k * m, sizeof(double)) : NULL;
    if (s->base == NULL || s->e == NULL || s->q == NULL || s->v == NULL || s->shrink == NULL ||
        s->rooms.hi == NULL || s->rooms.lo == NULL || d == NULL ||
        (layer->unit != NULL && s->unit == NULL) || (layer->round != NULL && s->round == NULL)) {
        return BRIM_ERR_NOMEM;
    }
    s->scale = d;
    s->cap = d + m;
    s->first = d + 2 * m;
    s->cost = d + 3 * m;
    s->column_scale = s->unit != NULL ? d + 4 * m : s->scale;
    s->column_cap = s->unit != NULL ? d + 5 * m : s->cap;
    s->column_round = s->unit != NULL ? d + 6 * m : s->scale;
    return BRIM_OK;
}

static void load_units(const struct brim_layer *layer, const double *from,
                       const struct brim_lane *lane, size_t m, double *to)
{
    for (size_t t = 0; from != NULL && t < layer->k; t++) {
        for (size_t j = 0; j < m; j++) {
            to[t * m + j] = from[lane[j].channel * layer->k + layer->order[t]];
        }
    }
}

brim_status brim_sweep_load(const struct brim_layer *layer, struct brim_sweep *s,
                            const struct brim_lane *lane, size_t m)
{
    const bool follows = layer->par.solver == BRIM_SOLVER_GPFQ && layer->start != NULL;
    const double *from = follows ? layer->start : layer->target;
    const bool axe = s->step == brim_step_axe;

    s->m = m;
    for (size_t j = 0; j < m; j++) {
        s->scale[j] = lane[j].scale;
        s->cap[j] = lane[j].cap;
        s->first[j] = s->has_first && layer->start != NULL ? layer->start[lane[j].channel] : 0.0;
    }
    for (size_t t = 0; t < layer->k; t++) {
        for (size_t j = 0; j < m; j++) {
            s->base[t * m + j] = from[t * layer->n + lane[j].channel];
        }
    }
    load_units(layer, layer->unit, lane, m, s->unit);
    load_units(layer, layer->round, lane, m, s->round);
    brim_lane_rooms_reset(&layer->plan, m, axe, &s->rooms);
    if (axe && layer->plan.n_limits > 0) {
        return brim_axe_thresholds(layer, s, s->shrink);
    }
    return BRIM_OK;
}

void brim_sweep_codes(const struct brim_sweep *s, size_t lane, int16_t *codes)
{
    for (size_t t = 0; t < s->k; t++) {
        codes[s->order[t]] = s->q[t * s->m + lane];
    }
}

void brim_sweep_cost(const struct brim_layer *layer, struct brim_sweep *s,
                     const struct brim_lane *lane)
{
    const size_t m = s->m;

    if (s->r != NULL && s->step != brim_step_axe) {
        return;
    }
    for (size_t t = 0; t < s->k; t++) {
        const double *w = layer->target + t * layer->n;
        for (size_t j = 0; j < m; j++) {
            const double unit = s->unit != NULL ? s->unit[t * m + j] : 1.0;
            s->e[t * m + j] = w[lane[j].channel] - s->scale[j] * unit * (double)s->q[t * m + j];
        }
    }
    brim_layer_errors(layer, s->e, m, s->cost);
}
