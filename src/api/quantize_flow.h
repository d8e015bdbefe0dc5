/* quantize_flow.h - the state of one brim_quantize() call. SPDX-License-Identifier: Apache-2.0
 *
 *   float graph --ranges--> grids ---+
 *        |                           v
 *        +--moments (float input x prefix input)--> solve --> rewrite --> the prefix grows
 *
 * Layers go in waves: a wave holds the layers whose inputs depend on the same number of dot layers,
 * so one pass over the data serves all of them, and each sees inputs from the already quantized
 * prefix.
 */
#ifndef BRIM_API_QUANTIZE_FLOW_H
#define BRIM_API_QUANTIZE_FLOW_H

#include "brim/quantize.h"
#include "calibrate/calibrate.h"
#include "graph/dot.h"

#define BRIM_MAX_GRIDS 12 /* candidate activation grids of one layer */

/* The best solution of a layer so far, in the wave's arena. */
struct brim_flow_best {
    size_t grid; /* which candidate */
    double j;    /* its error up to a constant: quantize_solve.c (1) */
    double error, norm;
    int16_t *codes;        /* [n][k] */
    float *scale;          /* [n] */
    float *vector_scale;   /* [n][vectors] single-level, else NULL */
    uint16_t *vector_code; /* [n][vectors] two-level, else NULL */
    float *bias;           /* [n] corrected */
    int32_t *bias_q;       /* [n] the same in units of x_scale*scale */
};

/* What one float dot layer is to become. */
struct brim_flow_layer {
    const struct brim_dot *dot;
    bool keep_float, keep_dense;
    bool input;    /* reads the model's own input */
    bool edge;     /* that, or gives its output */
    size_t vector; /* weights per scale, 0 = one scale per output */
    unsigned wbits;
    unsigned abits; /* 0 = choose */
    brim_datapath datapath;
    size_t level;     /* dot layers on the longest path from an input */
    int32_t residual; /* value that the output is added to and that is settled before; -1 */
    size_t n_grids;
    struct brim_grid grid[BRIM_MAX_GRIDS];
    struct brim_flow_best best;
    double seconds;
};

struct brim_flow {
    brim_ctx *ctx;
    const brim_quantize_params *params;
    const brim_data *calib;
    struct brim_arena arena;
    struct brim_arena wave;    /* emptied after every wave */
    struct brim_graph *source; /* the float graph, canonical */
    struct brim_graph *prefix; /* the same, quantized so far */
    struct brim_dots dots;     /* of source */
    struct brim_flow_layer *layer;
    size_t n_levels;
    brim_quantize_layer *record; /* one per dot layer */
};

/* Of f: ctx, params and, for grids, calib are set; the rest is 0. */
void brim_flow_init(struct brim_flow *f);
void brim_flow_close(struct brim_flow *f);
BRIM_NODISCARD brim_status brim_flow_check(brim_ctx *ctx, const brim_quantize_params *p);

/* The float graph made canonical with BatchNormalization and biases folded, its clone to be
 * quantized, and one flow layer per dot layer. */
BRIM_NODISCARD brim_status brim_flow_prepare(struct brim_flow *f, const brim_graph *graph);
/* Candidate grids of every layer input, in one pass over the float network. */
BRIM_NODISCARD brim_status brim_flow_find_grids(struct brim_flow *f);
/* The prover has the last word: what it does not believe is BRIM_ERR_INFEASIBLE. */
BRIM_NODISCARD brim_status brim_flow_certify(struct brim_flow *f);

/* Solve a layer on one grid's moments and keep the solution if it is the best so far. */
BRIM_NODISCARD brim_status brim_flow_try(struct brim_flow *f, struct brim_flow_layer *l,
                                         size_t grid, const struct brim_moments *moments);

/* The bias of output `row`, as float and in units of x_scale * w_scale; INFEASIBLE beyond 32 bits. */
BRIM_NODISCARD brim_status brim_flow_set_bias(const struct brim_flow *f,
                                              const struct brim_flow_layer *l,
                                              const struct brim_flow_best *c, size_t row, double b);

/* Rewrite the layer in the prefix with its best solution, and fill its record. */
BRIM_NODISCARD brim_status brim_flow_settle(struct brim_flow *f, const struct brim_flow_layer *l,
                                            brim_quantize_layer *record);

#endif
