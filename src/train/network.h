/* network.h - a float graph that can be run forward and backward. SPDX-License-Identifier: Apache-2.0
 *
 * Activations are float, NHWC, one buffer for each value of the graph and the batch. A batch is cut
 * into shards of a fixed number of samples; an operator runs shard by shard on brim's threads, and
 * what it sums over the batch (gradients of parameters, batch statistics) it sums per shard and then
 * in the order of the shards: the same bits for any number of threads. oneDNN (convolutions) and
 * OpenBLAS (matrix products) work inside a shard on one thread.
 */
#ifndef BRIM_TRAIN_NETWORK_H
#define BRIM_TRAIN_NETWORK_H

#include "graph/dot.h"
#include "train/inputs.h"
#include "train/weights.h"

/* What the loss compares the network's output with. */
struct brim_targets {
    const int64_t *label; /* [batch] cross-entropy of softmax(output); or NULL */
    const float *value;   /* [batch][size of one output] mean squared error; or NULL */
    /* [batch][classes] another network's logits, NULL = none. The loss is then
     * (1-share) * cross-entropy + share * T^2 * KL(teacher || output), both softmaxes at
     * temperature T. */
    const float *teacher;
    double share, temperature;
    double smoothing; /* label smoothing, 0..1 */
};

struct brim_network_spec {
    /* Float, canonical, biases folded (brim_graph_fold_bias), inferred; borrowed for the network's
     * life. A Softmax that is the output is part of the loss: the network gives its input. */
    const struct brim_graph *graph;
    const struct brim_dots *dots; /* its dot layers; borrowed */
    /* Of every dot layer, [dots->count]; an entry with method FLOAT is a float layer. Borrowed. */
    struct brim_weights *const *weights;
    struct brim_inputs *const *inputs; /* [dots->count], NULL entries = inputs stay float */
    struct brim_params *params; /* biases and BatchNormalization's parameters are added here */
    size_t batch;               /* largest */
    uint64_t seed;              /* of Dropout */
};

struct brim_network;

/* BRIM_ERR_UNSUPPORTED: an operator without a gradient, naming node and operator. */
BRIM_NODISCARD brim_status brim_network_create(brim_ctx *ctx, const struct brim_network_spec *spec,
                                               struct brim_network **out);
void brim_network_free(struct brim_network *net);

/* Elements of one sample's output. */
size_t brim_network_output_size(const struct brim_network *net);

/* One training step without the optimizer: forward in training mode, mean loss, gradients of all
 * parameters (zeroed first). x: n samples as brim_data_read() gives them (NCHW), n <= batch. step:
 * number of the step, for Dropout's random numbers. BRIM_ERR_ARG on a label outside the classes
 * (naming the sample). A loss that is not finite is no failure here: *layer is then the first dot
 * layer with an output that is not finite, or NULL. */
BRIM_NODISCARD brim_status brim_network_train(struct brim_network *net, const float *x, size_t n,
                                              const struct brim_targets *targets, uint64_t step,
                                              double *loss, const char **layer);
/* Forward in evaluation mode (running statistics, no Dropout), n <= batch; y [n][output size]. */
BRIM_NODISCARD brim_status brim_network_predict(struct brim_network *net, const float *x, size_t n,
                                                float *y);
/* Write learned float values (weights, biases, BatchNormalization) into `g`, a clone of the
 * network's graph. Of quantized layers they are scale times code. */
BRIM_NODISCARD brim_status brim_network_export(const struct brim_network *net,
                                               struct brim_graph *g);
/* The bias of dot layer i as learned, [n], or NULL. */
const float *brim_network_bias(const struct brim_network *net, size_t i);

#endif
