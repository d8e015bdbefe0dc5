/* fix_flow.h - a fix under way. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_API_FIX_FLOW_H
#define BRIM_API_FIX_FLOW_H

#include "brim/fix.h"
#include "graph/recode.h"
#include "target/layer_walk.h"

struct brim_moments;

/* One dot layer: its numbers as they come to be, all owned by the flow. */
struct brim_fix_work {
    const struct brim_dot *dot;
    struct brim_layer_walk walk;
    bool can, touched; /* numbers may change; they have */
    int32_t *w, *zero; /* [n][k], [n]; zero NULL = all 0 */
    float *scale;      /* [n] */
    int32_t *bias_q;   /* [n] or NULL */
    float *bias;       /* [n] or NULL */
    float *origin;     /* [n][k] float weights, or NULL */
    brim_fix_layer report;
};

struct brim_fix_flow {
    brim_ctx *ctx;
    const brim_fix_params *params;
    struct brim_graph *g; /* the result in the making */
    struct brim_dots dots;
    struct brim_arena arena;
    struct brim_fix_work *work; /* [dots.count] */
};

/* ---- fix_order.c ---- */
/* Reorder channels; the same function, other registers. */
BRIM_NODISCARD brim_status brim_fix_reorder(struct brim_fix_flow *f);

/* ---- fix_repair.c ---- */
/* New codes for one layer's outputs that are at risk; moments NULL = not known. */
BRIM_NODISCARD brim_status brim_fix_repair(struct brim_fix_flow *f, struct brim_fix_work *work,
                                           const struct brim_moments *moments);

#endif
