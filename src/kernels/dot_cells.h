/* dot_cells.h - cells: the dot products of one panel with up to 8 shared rows, on the plan's
 * datapath. SPDX-License-Identifier: Apache-2.0
 *
 * Two questions are asked apart, because the second is often answered by the first:
 *
 *     prefixes   of every register the exact total and the extremes of its prefixes: all events,
 *                at every width; a dot product without events has its exact total in every mode
 *     values     what the registers hold when they saturate, wrap or clip on the way
 */
#ifndef BRIM_KERNELS_DOT_CELLS_H
#define BRIM_KERNELS_DOT_CELLS_H

#include "kernels/dot_plan.h"

#define BRIM_CELLS (BRIM_SIMULATE_ROWS * BRIM_SIMULATE_LANES)

/* Operands, [k] each. With operands scaled by the plan: only for values. */
struct brim_cell_operands {
    const int16_t *panel;
    const uint32_t *shared[BRIM_SIMULATE_ROWS];
};

/* How often RANGE16 had to be repeated in 32 bits. */
struct brim_cell_luck {
    size_t tried, failed;
};

/* [rows][32] of each. */
struct brim_cells {
    unsigned rows;
    int32_t value[BRIM_CELLS]; /* the last register's */
    int32_t total[BRIM_CELLS]; /* exact */
    int32_t least[BRIM_CELLS]; /* extremes of the first stage's prefixes, 0 included */
    int32_t most[BRIM_CELLS];
    int32_t exit[BRIM_CELLS];          /* 0 or 1: an event of kind PREFIX or SPILLS */
    int32_t persistent[BRIM_CELLS];    /* 0 or 1 */
    int32_t odd[BRIM_CELLS];           /* 0 or 1: some product does not fit; where the plan looks */
    bool eventful[BRIM_SIMULATE_ROWS]; /* some lane of the row has an event or is odd */
};

/* Fills all but value. */
void brim_cells_prefixes(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                         const struct brim_cell_operands *o, struct brim_cells *c,
                         struct brim_cell_luck *luck);

/* Fills value with the totals, for outputs without events. */
void brim_cells_totals(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                       const struct brim_cell_operands *o, struct brim_cells *c);

/* Fills odd alone, for plans that recheck and do not count. */
void brim_cells_products(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                         const struct brim_cell_operands *o, struct brim_cells *c);

/* Values of the first `rows` rows, `stride` apart: for plans that do not count nor recheck. */
void brim_cells_values_to(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                          const struct brim_cell_operands *o, unsigned rows, int32_t *value,
                          size_t stride);

/* Fills value of the rows for which wanted is true. */
void brim_cells_values(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                       const struct brim_cell_operands *o, const bool *wanted,
                       struct brim_cells *c);

/* A row's value = its total on a register that does not saturate. */
void brim_cells_finish(const struct brim_lane_stage *stage, struct brim_cells *c, size_t row);

/* Whole reductions: total, least and most, whatever the plan's datapath. */
void brim_cells_extremes(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                         const struct brim_cell_operands *o, struct brim_cells *c,
                         struct brim_cell_luck *luck);

#endif
