/* weights.h - how a dot layer's learned weights become integer codes while it trains.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Forward: parameters -> weights scale[c] * code[c][k], what the network computes with. Backward: the
 * gradient of those weights -> gradients of the parameters, with straight-through estimators where
 * rounding is. The codes that forward used are the codes that brim_weights_codes() gives; under
 * A2Q, A2Q+ and the per-sign budget they fit the datapath by construction (and certify, which does
 * not believe it, looks again).
 */
#ifndef BRIM_TRAIN_WEIGHTS_H
#define BRIM_TRAIN_WEIGHTS_H

#include "brim/datapath.h"
#include "brim/prune.h"
#include "brim/train.h"
#include "train/param.h"

struct brim_weights_spec {
    const char *name;              /* of the layer */
    size_t n, k;                   /* outputs, products of one */
    enum brim_train_method method; /* FLOAT: forward copies */
    enum brim_train_norm norm;     /* A2Q kin: how the budget is kept */
    unsigned bits;                 /* codes are -(2^(bits-1)-1) .. 2^(bits-1)-1 */
    int64_t x_min, x_max;          /* input codes, contain 0 */
    brim_datapath datapath;
    const float *w;     /* [n][k] K order: weights to start from */
    const float *scale; /* [n] start, with `codes` or alone; NULL = chosen here */
    const int16_t
        *codes;   /* [n][k] start from these codes (post-training solution); NULL = from w */
    bool project; /* start from the Euclidean projection of w onto the budget (EP-init) */
};

struct brim_weights;

/* BRIM_ERR_INFEASIBLE: no weights but zero fit the datapath; names layer and stage. */
BRIM_NODISCARD brim_status brim_weights_create(struct brim_params *params,
                                               const struct brim_weights_spec *spec,
                                               struct brim_weights **out);
void brim_weights_free(struct brim_weights *w);

/* keep [n][k]: 0 = pruned, its weight is 0 from now on and its gradient too; NULL = none. Copied. */
BRIM_NODISCARD brim_status brim_weights_prune(struct brim_weights *w, const uint8_t *keep);

/* FLOAT: every forward chooses the pattern anew, by magnitude, of weights that learn all of them
 * (straight through); what is outside is 0 in w_out alone, and fades. group 0: no longer. */
BRIM_NODISCARD brim_status brim_weights_regrow(struct brim_weights *w,
                                               const brim_prune_params *pattern);

/* w_out [n][k] K order. Work is split over outputs. */
BRIM_NODISCARD brim_status brim_weights_forward(struct brim_weights *w, float *w_out);
/* Adds to the parameters' gradients; dw [n][k] is d loss / d w_out of the last forward. */
BRIM_NODISCARD brim_status brim_weights_backward(struct brim_weights *w, const float *dw);
/* The regularizer (A2Q: what learned norms exceed their cap by), its gradient times `strength` added. */
double brim_weights_penalty(struct brim_weights *w, double strength);
/* Hold the parameters to what forward can use of them, after a step of the optimizer. */
void brim_weights_settle(struct brim_weights *w);

/* Codes and scales of the last forward; caller's storage [n][k], [n]. FLOAT has none. */
void brim_weights_codes(const struct brim_weights *w, int16_t *codes, float *scale);
/* [n] scales of the last forward; NULL: FLOAT has none. */
const float *brim_weights_scales(const struct brim_weights *w);
/* The latent weights [n][k] that magnitudes are taken of when pruning. */
const float *brim_weights_latent(const struct brim_weights *w);

#endif
