/* optimizer.h - one step downhill for every parameter. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TRAIN_OPTIMIZER_H
#define BRIM_TRAIN_OPTIMIZER_H

#include "brim/train.h"
#include "train/param.h"

struct brim_optimizer {
    struct brim_arena arena;
    struct brim_params *params; /* borrowed; none may be added after init */
    brim_train_optimizer kind;
    double weight_decay;
    uint64_t step;   /* taken so far */
    float **first;   /* [params->count][count] momentum; NULL for what is not learned */
    float **second;  /* the same, ADAMW: mean of squares */
    size_t n_chunks; /* of all learned parameters: what a thread takes at a time */
    struct brim_optimizer_chunk *chunk;
};

BRIM_NODISCARD brim_status brim_optimizer_init(struct brim_optimizer *o, brim_ctx *ctx,
                                               struct brim_params *params,
                                               brim_train_optimizer kind, double weight_decay);
void brim_optimizer_free(struct brim_optimizer *o);
/* Values move against their gradients. */
BRIM_NODISCARD brim_status brim_optimizer_step(struct brim_optimizer *o, double rate);
/* Forget the past: a new phase begins. */
void brim_optimizer_reset(struct brim_optimizer *o);

#endif
