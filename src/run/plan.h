/* plan.h - from a graph to something that runs. SPDX-License-Identifier: Apache-2.0
 *
 * A plan holds the steps that the wanted values need: float operators one by one, and dot layers
 * with integer codes as one fused step (integer dot product on its datapath, bias, optional
 * Relu/Clip, requantization). Plans are immutable; each worker runs one with a workspace of its
 * own.
 */
#ifndef BRIM_RUN_PLAN_H
#define BRIM_RUN_PLAN_H

#include "brim/target.h"
#include "graph/dot.h"
#include "graph/graph.h"
#include "kernels/choice.h"
#include "kernels/dot.h" /* struct brim_dot_counts */

struct brim_plan;
struct brim_workspace;

struct brim_plan_params {
    const int32_t *wanted; /* values to compute; NULL = the graph's outputs */
    size_t n_wanted;
    const brim_datapath
        *datapath; /* overrides the declared one of every layer; NULL = declared, else exact */
    const brim_target
        *target; /* overrides that: every layer as this target's kernels walk it; NULL = none */
    bool count;  /* keep brim_dot_counts (runs the simulator in every dot layer) */
    bool
        observe; /* layers without vectors add up exactly, whatever is declared, and may be watched:
                      brim_workspace_observe() */
};

/* Some rows of a dot layer, and what one register for the whole reduction goes through. */
struct brim_dot_seen {
    size_t layer; /* in brim_dots order */
    size_t group, m;
    size_t row, rows; /* the first one's place among all rows of the run: samples, positions */
    const void *x;    /* row i at element i * x_stride: k codes in K order */
    enum brim_dot_codes codes;
    size_t x_stride;
    const int32_t *total, *least, *most; /* [m][n / groups]; extremes of the prefixes, 0 included */
};
typedef void brim_dot_observer(void *user, const struct brim_dot_seen *seen);

BRIM_NODISCARD brim_status brim_plan_create(brim_ctx *ctx, const struct brim_graph *g,
                                            const struct brim_plan_params *p,
                                            struct brim_plan **plan);
void brim_plan_free(struct brim_plan *plan);

/* The dot layers of the graph; owned by the plan. */
const struct brim_dots *brim_plan_dots(const struct brim_plan *plan);
/* Does the plan run dot layer i as an integer dot product? (Otherwise in float, or not at all.)
 * *dp is then its datapath, or NULL for an exact sum. */
bool brim_plan_dot_runs(const struct brim_plan *plan, size_t i, const brim_datapath **dp);

/* Does an observer see dot layer i? */
bool brim_plan_dot_observed(const struct brim_plan *plan, size_t i);

/* Which kernel computes dot layer i, and why. False: it does not run in integers. */
bool brim_plan_dot_choice(const struct brim_plan *plan, size_t i, struct brim_choice *choice);

BRIM_NODISCARD brim_status brim_workspace_create(brim_ctx *ctx, const struct brim_plan *plan,
                                                 struct brim_workspace **ws);
void brim_workspace_free(struct brim_workspace *ws);

/* Show every output of the observed layers in the following runs; NULL = nobody. */
void brim_workspace_observe(struct brim_workspace *ws, brim_dot_observer *observer, void *user);

/* Run once. inputs: one tensor per graph input, in order, borrowed for the call; one whose data is
 * NULL is refused only when it is needed. Afterwards brim_workspace_value() gives each wanted value
 * until the next run. Thread-safe across workspaces. */
BRIM_NODISCARD brim_status brim_plan_run(const struct brim_plan *plan, struct brim_workspace *ws,
                                         const struct brim_tensor *inputs, size_t n_inputs);
const struct brim_tensor *brim_workspace_value(const struct brim_workspace *ws, int32_t value);

/* Counts by dot layer, summed over the runs of this workspace, in brim_dots order of the graph;
 * NULL without params.count. */
const struct brim_dot_counts *brim_workspace_counts(const struct brim_workspace *ws,
                                                    size_t *n_dots);

#endif
