/* project.c - Euclidean projection onto the budget's L1 ball, rounded toward zero.
 * SPDX-License-Identifier: Apache-2.0
 *
 * [1] Colbert et al., arXiv:2401.10432 (A2Q+), eq. (10)-(15) (EP-init); [2] Duchi et al., ICML
 * 2008.
 *
 * Symbols     Z        radius in code units: H_P / max(nu, -mu), per register
 *             theta    threshold: v = sign(w) max(|w| - theta, 0)
 * Invariant   |trunc(y)| <= |y| and keeps the sign, so the L1 norm of the codes is at most that of
 *             the projected reals, at most Z, and every partial sum is at most max(nu,-mu) Z <= H_P.
 * Differs     from [1]: the input's real range instead of 2^N; inner tiles first, then outer (a
 *             later projection only shrinks); a last clamp in integers makes up for rounding of the
 *             real sums.
 * Cost        O(k) expected a register.
 * Example     w = (3, -1, 0.5), Z = 2: theta = 1, v = (2, 0, 0): test_budgets.c:
 *             projection_example. */
#include "quantize/layer.h"
#include "quantize/sweep.h"

/* Shrink y[0..tile) of one register onto its ball. */
static void project_tile(double *y, size_t tile, double radius, double *scratch)
{
    double theta;

    for (size_t i = 0; i < tile; i++) {
        scratch[i] = y[i] < 0.0 ? -y[i] : y[i];
    }
    theta = brim_l1_threshold(scratch, tile, radius);
    for (size_t i = 0; i < tile; i++) {
        const double a = (y[i] < 0.0 ? -y[i] : y[i]) - theta;
        y[i] = a <= 0.0 ? 0.0 : y[i] < 0.0 ? -a : a;
    }
}

static void project_channel(const struct brim_layer *layer, double *y, double *scratch,
                            struct brim_room *room, int16_t *codes)
{
    const struct brim_budget_plan *plan = &layer->plan;
    const int64_t x_abs = brim_max_i64(plan->x_max, -plan->x_min);

    for (size_t i = 0; i < plan->n_limits; i++) {
        const struct brim_limit *l = &plan->limit[i];
        for (size_t k = 0; k < layer->k; k += l->tile) {
            project_tile(y + k, brim_min_size(l->tile, layer->k - k), (double)l->hi / (double)x_abs,
                         scratch);
        }
    }
    brim_room_reset(plan, room);
    for (size_t k = 0; k < layer->k; k++) {
        int64_t bound[2] = {layer->qmax, layer->qmax};
        int64_t q = (int64_t)y[k];

        brim_room_bounds(plan, room, k, bound);
        q = brim_clip_i64(q, -bound[1], bound[0]);
        brim_room_take(plan, room, k, q, 1);
        codes[k] = (int16_t)q;
    }
}

brim_status brim_solve_project(const struct brim_layer *layer, brim_layer_solution *out)
{
    const size_t k = layer->k;
    struct brim_arena scratch;
    brim_status status = BRIM_OK;

    brim_arena_init(&scratch, layer->ctx);
    double *y = brim_arena_alloc(&scratch, k, sizeof(double));
    double *a = brim_arena_alloc(&scratch, k, sizeof(double));
    struct brim_room *room =
        brim_arena_alloc(&scratch, layer->plan.n_registers + 1, sizeof(struct brim_room));
    if (y == NULL || a == NULL || room == NULL) {
        status = BRIM_ERR_NOMEM;
        goto out;
    }
    for (size_t c = 0; c < layer->n; c++) {
        for (size_t t = 0; t < k; t++) {
            const double unit = brim_layer_unit(layer, c, layer->order[t]);
            y[layer->order[t]] =
                unit > 0.0 ? layer->target[t * layer->n + c] / ((double)out->scale[c] * unit) : 0.0;
        }
        project_channel(layer, y, a, room, out->codes + c * k);
    }
out:
    brim_arena_free(&scratch);
    return status;
}
