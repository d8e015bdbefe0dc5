/* train_flow.h - the state of one brim_train() call. SPDX-License-Identifier: Apache-2.0
 *
 *   given graph --float stints--> float graph --fold, grids, init--> quantized stints --> rewrite, certify
 *
 * A stint (train/fit.h) is a row of epochs with one schedule and one pattern of pruned weights, which
 * moves only where these regrow (train/weights.h). The float stints train one network,
 * BatchNormalization and all; the quantized ones another, made from what the first has become. FLOAT
 * ends after the first, other methods may do without it.
 */
#ifndef BRIM_API_TRAIN_FLOW_H
#define BRIM_API_TRAIN_FLOW_H

#include "api/quantize_flow.h"
#include "base/hash.h"
#include "train/fit.h"

/* A network with everything that it borrows. */
struct brim_train_net {
    struct brim_graph *graph; /* NULL: the quantized flow's */
    struct brim_dots dots;    /* empty then */
    const struct brim_dots *view;
    struct brim_params params;
    struct brim_weights **weights; /* [view->count] */
    struct brim_inputs **inputs;   /* [view->count], NULL entries: float */
    struct brim_network *net;
    size_t count;
};

struct brim_train_stint {
    const char *phase; /* of brim_phase_names */
    bool quantized;
    size_t epochs;
    unsigned zeros; /* of each group, from its beginning on; 0 = nothing new is pruned */
};

#define BRIM_MAX_STINTS 66 /* float, at most 64 of pruning, the last */

struct brim_train_flow {
    brim_ctx *ctx;
    const brim_train_params *p;
    brim_quantize_params qp; /* what brim_quantize() would be asked for */
    const brim_data *data, *val;
    brim_data *calib; /* the first samples of data */
    struct brim_arena arena;
    struct brim_graph *graph; /* the float graph so far, canonical */
    struct brim_flow q;       /* open once prepared, quantized methods */
    struct brim_train_net net, teacher;
    size_t n_stints;
    struct brim_train_stint stint[BRIM_MAX_STINTS];
    struct brim_batches batches;
    struct brim_history history;
    struct brim_fit fit;

    size_t n_layers;                /* dot layers */
    bool *dense;                    /* [n_layers] is not pruned */
    uint8_t **keep;                 /* [n_layers][n][k], NULL: not pruned */
    char identity[BRIM_HASH_CHARS]; /* of model, data and parameters: whose checkpoint it is */
    struct brim_fit_extra *extra;
    size_t n_extra;
    struct brim_checkpoint resume;
    bool resumed;
    uint64_t resume_stint;

    struct brim_graph *result;
    brim_train_layer *layer; /* quantized ones */
    size_t n_result_layers;
};

/* ---- train_net.c ---- */
/* A float network of a clone of `graph`; `learns` false: for predictions alone. */
BRIM_NODISCARD brim_status brim_train_net_float(struct brim_train_flow *f,
                                                const struct brim_graph *graph, bool learns,
                                                struct brim_train_net *n);
/* The quantized network of f->q, prepared with grids. */
BRIM_NODISCARD brim_status brim_train_net_quantized(struct brim_train_flow *f,
                                                    struct brim_train_net *n);
void brim_train_net_close(struct brim_train_net *n);

/* ---- train_start.c ---- */
/* How a layer begins: --init quantize replaces these. */
struct brim_train_start {
    int16_t *codes; /* NULL: from the float weights */
    float *scale;
    float *bias; /* NULL: the graph's */
};
/* Grids of every layer (one each); starts [n_layers] in f->arena. */
BRIM_NODISCARD brim_status brim_train_start(struct brim_train_flow *f,
                                            struct brim_train_start **starts);

/* ---- train_prune.c ---- */
BRIM_NODISCARD brim_status brim_train_prune_open(struct brim_train_flow *f);
/* A stint begins: choose the patterns anew, with its zeros, from the network's weights. */
BRIM_NODISCARD brim_status brim_train_prune(struct brim_train_flow *f,
                                            const struct brim_train_stint *s);
/* The patterns as they are, for a network just made that is in this stint. */
BRIM_NODISCARD brim_status brim_train_apply_patterns(struct brim_train_flow *f,
                                                     const struct brim_train_stint *s);
/* The float network's patterns, where its weights regrew until now. */
BRIM_NODISCARD brim_status brim_train_take_patterns(struct brim_train_flow *f);

/* ---- train_stints.c ---- */
BRIM_NODISCARD brim_status brim_train_make_stints(struct brim_train_flow *f);
/* All stints of one kind, on f->net; the best of the last is in its parameters then. */
BRIM_NODISCARD brim_status brim_train_run_stints(struct brim_train_flow *f, bool quantized);
/* Whose checkpoint this is, and what it holds of finished stints. */
BRIM_NODISCARD brim_status brim_train_identify(struct brim_train_flow *f,
                                               const struct brim_graph *graph);
BRIM_NODISCARD brim_status brim_train_load(struct brim_train_flow *f);

/* ---- train_finish.c ---- */
/* f->graph becomes what the float network has learned. */
BRIM_NODISCARD brim_status brim_train_take_float(struct brim_train_flow *f);
/* f->result from the quantized network: rewritten and certified. */
BRIM_NODISCARD brim_status brim_train_take_quantized(struct brim_train_flow *f);

#endif
