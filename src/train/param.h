/* param.h - what training learns: named arrays with gradients. SPDX-License-Identifier: Apache-2.0
 *
 * The optimizer, the checkpoint and the gradient checks see a network as this list and nothing else.
 */
#ifndef BRIM_TRAIN_PARAM_H
#define BRIM_TRAIN_PARAM_H

#include "base/alloc.h"

struct brim_param {
    const char *name; /* "conv1.weight": unique, the checkpoint's key */
    size_t count;
    float *value; /* [count] */
    float *grad;  /* [count] d loss / d value, of the mean loss of a batch */
    bool learned; /* false: kept in checkpoints only (running statistics) */
    bool decay;   /* weight decay applies */
    float rate;   /* the size of a natural step: times the learning rate, squared with SGD */
};

struct brim_params {
    struct brim_arena arena;
    size_t count, capacity;
    struct brim_param **param; /* in the order in which they were added; pointers stay good */
};

void brim_params_init(struct brim_params *p, brim_ctx *ctx);
void brim_params_free(struct brim_params *p);
/* A zeroed parameter, learned, without decay, rate 1; `name` and `part` are copied as "name.part".
 * NULL when out of memory. */
struct brim_param *brim_params_add(struct brim_params *p, const char *name, const char *part,
                                   size_t count);
void brim_params_zero_grad(struct brim_params *p);

#endif
