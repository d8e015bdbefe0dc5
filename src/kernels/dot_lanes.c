/* dot_lanes.c - any datapath without reordering, for codes or sums too wide for the simulator's
 * passes. SPDX-License-Identifier: Apache-2.0
 *
 * Lanes run over outputs, BRIM_LANES weights of one k side by side in panels padded with zero
 * weights, which overflow nothing and are not counted. Where that takes more runs (few outputs, as
 * in a depthwise layer), BRIM_LANES rows are packed side by side and share one output's weights.
 */
#include "base/intops.h"
#include "kernels/dot_kernel.h"

/* Scratch: one packed panel of rows, and the lists of brim_datapath_dot(). */
brim_status brim_dot_lanes_pack(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    size_t panels, rows;

    if (!brim_mul_size(d->k, BRIM_LANES * sizeof(int32_t) + 2 * sizeof(int64_t), &d->scratch)) {
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
    return BRIM_OK;
}

static void run_panel(const struct brim_dot_kernel *d, const int32_t *panel, const int32_t *shared,
                      int64_t *y, struct brim_lane_tally *tally)
{
    if (d->plan.path == BRIM_DOT_LANES32) {
        brim_lanes32_run(&d->plan.lanes, panel, shared, y, tally);
    } else {
        brim_lanes64_run(&d->plan.lanes, panel, shared, y, tally);
    }
}

/* The lists of run_one() lie behind the packed rows. */
static int64_t run_odd(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t i,
                       size_t c, struct brim_dot_counts *counts)
{
    int64_t *lists = (int64_t *)r->scratch + d->k * BRIM_LANES / 2;

    const int32_t *w = d->w + (r->group * d->outputs + c) * d->k;

    return brim_dot_one(d, w, brim_dot_row(r, i), lists, counts);
}

static void lanes_over_outputs(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                               struct brim_lane_tally *tally, struct brim_dot_counts *counts)
{
    const int32_t *panel = d->panel + r->group * d->panels * d->k * BRIM_LANES;

    for (size_t p = 0; p < d->panels; p++, panel += d->k * BRIM_LANES) {
        const size_t first = p * BRIM_LANES, n = brim_min_size(BRIM_LANES, d->outputs - first);

        for (size_t i = 0; i < r->m; i++) {
            int64_t y[BRIM_LANES];

            run_panel(d, panel, brim_dot_row(r, i), y, tally);
            for (size_t l = 0; l < n; l++) {
                const bool odd = d->plan.lanes.recheck && tally->odd[l];

                brim_dot_write(r, i, first + l, odd ? run_odd(d, r, i, first + l, counts) : y[l]);
            }
        }
    }
}

/* Rows first..first+m side by side, padded with zero rows. */
static void pack_rows(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t first,
                      size_t m, int32_t *panel)
{
    for (size_t l = 0; l < BRIM_LANES; l++) {
        const int32_t *x = brim_dot_row(r, l < m ? first + l : first);

        for (size_t j = 0; j < d->k; j++) {
            panel[j * BRIM_LANES + l] = l < m ? x[j] : 0;
        }
    }
}

static void lanes_over_rows(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                            struct brim_lane_tally *tally, struct brim_dot_counts *counts)
{
    for (size_t first = 0; first < r->m; first += BRIM_LANES) {
        const size_t m = brim_min_size(BRIM_LANES, r->m - first);

        pack_rows(d, r, first, m, r->scratch);
        for (size_t c = 0; c < d->outputs; c++) {
            int64_t y[BRIM_LANES];

            run_panel(d, r->scratch, d->w + (r->group * d->outputs + c) * d->k, y, tally);
            for (size_t l = 0; l < m; l++) {
                const bool odd = d->plan.lanes.recheck && tally->odd[l];

                brim_dot_write(r, first + l, c, odd ? run_odd(d, r, first + l, c, counts) : y[l]);
            }
        }
    }
}

void brim_dot_lanes_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                        struct brim_dot_counts *counts)
{
    struct brim_lane_tally tally = {0};

    if (r->m == 0 || d->outputs == 0) {
        return;
    }
    /* Runs of a panel; packing rows costs about two. */
    if ((r->m + BRIM_LANES - 1) / BRIM_LANES * (d->outputs + 2) < r->m * d->panels) {
        lanes_over_rows(d, r, &tally, counts);
    } else {
        lanes_over_outputs(d, r, &tally, counts);
    }
    const struct brim_dot_counts all = {0, tally.transient, tally.persistent, tally.product,
                                        (uint8_t)brim_width_of(tally.lo, tally.hi)};
    brim_dot_counts_add(counts, &all);
}
