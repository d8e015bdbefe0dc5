/* weighted.h - what convolutions and matrix products share: weights, bias, and the quantizers in
 * front of both. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TRAIN_OPS_WEIGHTED_H
#define BRIM_TRAIN_OPS_WEIGHTED_H

#include "train/engine.h"

struct brim_weighted {
    const struct brim_dot *dot;
    struct brim_weights *weights;
    struct brim_inputs *inputs; /* NULL: the input as it is */
    struct brim_param *bias;    /* [n]; NULL: none */
    float *rounded;             /* [n] of this pass: what the product adds; NULL: none */
    float *w, *dw;              /* [n][k] of this pass, K order */
    float *quantized;           /* [shards * shard][size of the input], of the last forward pass */
    double *part;               /* [shards] gradient of the input's scale */
    bool input_gradient;        /* the gradient of what the product reads is wanted */
};

/* The node's dot layer; makes op->out. */
BRIM_NODISCARD brim_status brim_weighted_create(struct brim_network *net, struct brim_net_op *op,
                                                struct brim_weighted *w);
/* Scales and weights of this pass. */
BRIM_NODISCARD brim_status brim_weighted_prepare(struct brim_weighted *w);
/* What the product reads: the shard's input, quantized where it is. */
float *brim_weighted_input(struct brim_net_op *op, struct brim_weighted *w,
                           const struct brim_net_call *call);
/* The same once more, for the backward pass. */
float *brim_weighted_read(const struct brim_net_op *op, const struct brim_weighted *w,
                          const struct brim_net_call *call);
/* Where the gradient of that is to be written, and what then becomes of it. */
float *brim_weighted_target(struct brim_network *net, const struct brim_net_op *op,
                            const struct brim_weighted *w, const struct brim_net_call *call);
void brim_weighted_hand_on(struct brim_net_op *op, struct brim_weighted *w, float *gradient,
                           const struct brim_net_call *call);
/* w->dw and parts to the parameters. */
BRIM_NODISCARD brim_status brim_weighted_learn(struct brim_network *net, struct brim_net_op *op,
                                               struct brim_weighted *w, size_t n);
BRIM_NODISCARD brim_status brim_weighted_save(const struct brim_weighted *w, struct brim_graph *g,
                                              struct brim_node *node);

#endif
