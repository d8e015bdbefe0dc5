/* dot_lanes.c - any datapath without reordering, for codes or sums too wide for the simulator's
 * passes. SPDX-License-Identifier: Apache-2.0
 *
 * Lanes run over outputs, BRIM_LANES weights of one k side by side in panels padded with zero
 * weights, which overflow nothing and are not counted. Where that takes more runs (few outputs, as
 * in a depthwise layer), BRIM_LANES rows are packed side by side and share one output's weights.
 */
#include "base/intops.h"
#include "kernels/dot_kernel.h"

/* Scales of panels of outputs: [groups][panels][n_vectors][BRIM_LANES], 0 in lanes beyond. */
static brim_status pack_scales(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    const struct brim_dot_vectors *v = &d->vectors;
    uint32_t *to =
        brim_zalloc(ctx, d->groups * d->panels * d->n_vectors + 1, BRIM_LANES * sizeof *to);

    d->scales = to;
    for (size_t i = 0; to != NULL && i < d->n * d->n_vectors; i++) {
        const size_t c = i / d->n_vectors, o = c % d->outputs;
        const size_t panel = c / d->outputs * d->panels + o / BRIM_LANES;
        const size_t at = (panel * d->n_vectors + i % d->n_vectors) * BRIM_LANES + o % BRIM_LANES;
        if (v->scale != NULL) {
            ((float *)d->scales)[at] = v->scale[i];
        } else {
            to[at] = v->w_code != NULL ? v->w_code[i] : v->factor[i];
        }
    }
    return to == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

/* Scratch: one packed panel of rows, what brim_dot_one() needs, and integer scales of a panel of rows
 * and of what they share. */
brim_status brim_dot_lanes_pack(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    size_t panels, rows, row, scales;

    if (!brim_mul_size(d->k, BRIM_LANES * sizeof(int32_t), &row) ||
        !brim_mul_size(BRIM_DOT_LISTS(d->k), sizeof(int64_t), &d->scratch) ||
        !brim_mul_size(d->n_vectors, (BRIM_LANES + 1) * sizeof(uint32_t), &scales) ||
        !brim_add_size(d->scratch, row, &d->scratch) ||
        !brim_add_size(d->scratch, scales, &d->scratch)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu weights: too large", d->k);
    }
    d->panels = (d->outputs + BRIM_LANES - 1) / BRIM_LANES;
    if (!brim_mul_size(d->groups, d->panels, &panels) || !brim_mul_size(panels, d->k, &rows)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu outputs of %zu weights: too large", d->n, d->k);
    }
    d->panel = brim_zalloc(ctx, rows, BRIM_LANES * sizeof *d->panel);
    if (d->panel == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < d->n; c++) {
        const size_t g = c / d->outputs, o = c % d->outputs;
        int32_t *to = d->panel + (g * d->panels + o / BRIM_LANES) * d->k * BRIM_LANES;

        for (size_t j = 0; j < d->k; j++) {
            to[j * BRIM_LANES + o % BRIM_LANES] = d->w[c * d->k + j];
        }
    }
    return d->n_vectors > 0 ? pack_scales(ctx, d) : BRIM_OK;
}

/* One run of the lanes: its operands, and what comes of it. */
struct run {
    const struct brim_dot_kernel *d;
    const struct brim_dot_rows *r;
    struct brim_lane_tally *tally;
    struct brim_dot_counts *counts;
    int64_t *lists; /* behind the packed rows: brim_dot_one()'s, then scales */
    uint32_t *x_scale;
    struct brim_lane_scales scales;
    int64_t y[BRIM_LANES];
    double sum[BRIM_LANES];
};

static void run_panel(struct run *run, const int32_t *panel, const int32_t *shared)
{
    const struct brim_lane_plan *plan = &run->d->plan.lanes;

    if (run->d->plan.path == BRIM_DOT_LANES32) {
        brim_lanes32_run(plan, panel, shared, &run->scales, run->y, run->tally);
    } else {
        brim_lanes64_run(plan, panel, shared, &run->scales, run->y, run->tally);
    }
}

/* Lane l is output c of row i; what the lanes could not tell is computed anew. */
static void write_lane(struct run *run, size_t l, size_t i, size_t c)
{
    const struct brim_dot_kernel *d = run->d;
    const bool odd = d->plan.lanes.recheck && run->tally->odd[l];
    const int32_t *w = d->w + (run->r->group * d->outputs + c) * d->k;
    const int32_t *x = brim_dot_row(run->r, i);

    if (d->vectors.scale != NULL) {
        brim_dot_write_real(
            run->r, i, c, odd ? brim_dot_one_real(d, w, x, run->lists, run->counts) : run->sum[l]);
    } else {
        brim_dot_write(
            run->r, i, c,
            odd ? brim_dot_one(d, w, x, brim_dot_row_codes(run->r, i), run->lists, run->counts)
                : run->y[l]);
    }
}

static void lanes_over_outputs(struct run *run)
{
    const struct brim_dot_kernel *d = run->d;
    const struct brim_dot_rows *r = run->r;
    const size_t vectors = d->n_vectors, of_group = r->group * d->panels;

    for (size_t p = 0; p < d->panels; p++) {
        const size_t first = p * BRIM_LANES, n = brim_min_size(BRIM_LANES, d->outputs - first);
        const uint32_t *scale =
            vectors == 0 ? NULL : (uint32_t *)d->scales + (of_group + p) * vectors * BRIM_LANES;

        run->scales.panel = d->vectors.scale == NULL ? scale : NULL;
        run->scales.real_panel = d->vectors.scale != NULL ? (const float *)scale : NULL;
        for (size_t i = 0; i < r->m; i++) {
            for (size_t g = 0; run->x_scale != NULL && g < vectors; g++) {
                run->x_scale[g] = brim_dot_row_codes(r, i)[g];
            }
            run->scales.shared = run->x_scale;
            run_panel(run, d->panel + (of_group + p) * d->k * BRIM_LANES, brim_dot_row(r, i));
            for (size_t l = 0; l < n; l++) {
                write_lane(run, l, i, first + l);
            }
        }
    }
}

/* Rows first..first+m side by side, padded with zero rows; their scales with zeros. */
static void pack_rows(const struct run *run, size_t first, size_t m, int32_t *panel)
{
    const struct brim_dot_kernel *d = run->d;

    for (size_t l = 0; l < BRIM_LANES; l++) {
        const int32_t *x = brim_dot_row(run->r, l < m ? first + l : first);

        for (size_t j = 0; j < d->k; j++) {
            panel[j * BRIM_LANES + l] = l < m ? x[j] : 0;
        }
        for (size_t g = 0; run->x_scale != NULL && g < d->n_vectors; g++) {
            run->x_scale[g * BRIM_LANES + l] = l < m ? brim_dot_row_codes(run->r, first + l)[g] : 0;
        }
    }
}

static void lanes_over_rows(struct run *run)
{
    const struct brim_dot_kernel *d = run->d;
    const struct brim_dot_vectors *v = &d->vectors;
    uint32_t *own = (uint32_t *)(void *)(run->lists + BRIM_DOT_LISTS(d->k)); /* n_vectors */

    run->scales.panel = run->x_scale;
    run->scales.shared = v->length > 0 && v->scale == NULL ? own : NULL;
    for (size_t first = 0; first < run->r->m; first += BRIM_LANES) {
        const size_t m = brim_min_size(BRIM_LANES, run->r->m - first);

        pack_rows(run, first, m, run->r->scratch);
        for (size_t c = 0; c < d->outputs; c++) {
            const size_t o = run->r->group * d->outputs + c;

            for (size_t g = 0; run->scales.shared != NULL && g < d->n_vectors; g++) {
                own[g] = v->w_code != NULL ? v->w_code[o * d->n_vectors + g]
                                           : v->factor[o * d->n_vectors + g];
            }
            run->scales.real_shared = v->scale != NULL ? v->scale + o * d->n_vectors : NULL;
            run_panel(run, run->r->scratch, d->w + o * d->k);
            for (size_t l = 0; l < m; l++) {
                write_lane(run, l, first + l, c);
            }
        }
    }
}

void brim_dot_lanes_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                        struct brim_dot_counts *counts)
{
    struct brim_lane_tally tally = {0};
    struct run run = {.d = d,
                      .r = r,
                      .tally = &tally,
                      .counts = counts,
                      .lists = (int64_t *)r->scratch + d->k * BRIM_LANES / 2};

    run.x_scale = d->vectors.w_code == NULL
                      ? NULL
                      : (uint32_t *)(void *)(run.lists + BRIM_DOT_LISTS(d->k)) + d->n_vectors;
    run.scales.sum = d->vectors.scale != NULL ? run.sum : NULL;
    if (r->m == 0 || d->outputs == 0) {
        return;
    }
    /* Runs of a panel; packing rows costs about two. */
    if ((r->m + BRIM_LANES - 1) / BRIM_LANES * (d->outputs + 2) < r->m * d->panels) {
        lanes_over_rows(&run);
    } else {
        lanes_over_outputs(&run);
    }
    const struct brim_dot_counts all = {0, tally.transient, tally.persistent, tally.product,
                                        (uint8_t)brim_width_of(tally.lo, tally.hi)};
    brim_dot_counts_add(counts, &all);
}
