/* engine.h - a network from inside: values, operators, shards. SPDX-License-Identifier: Apache-2.0
 *
 * What operators (ops/) see of network.h's engine. A batch is cut into shards of net->shard samples,
 * a number that depends on the network and the batch alone. Per-shard functions run concurrently and
 * touch nothing but their shard's part of a value; what they sum they leave in the operator's state,
 * one place per shard, and `join`, `collect` and `learn` add it up in the order of the shards.
 */
#ifndef BRIM_TRAIN_ENGINE_H
#define BRIM_TRAIN_ENGINE_H

#include "graph/infer.h"
#include "train/network.h"

struct brim_net_value {
    int rank;                       /* axes of one sample */
    int64_t dim[BRIM_MAX_RANK];     /* of one sample, in the graph's order */
    size_t channels, height, width; /* dim[0] and what is behind it; 1-D: height 1; rank > 3: all
                                       of it are channels */
    size_t size;                    /* floats of one sample */
    size_t uses;                    /* operators that read it */
    struct brim_net_op *producer;
    float *data;  /* [shards * shard][size], channel fastest; some values share it */
    float *grad;  /* the same of d loss / d value; NULL: not wanted */
    bool wanted;  /* some parameter is learned from its gradient */
    bool written; /* while building: an operator nearer to the loss writes the gradient first */
    bool alias;   /* its storage is another value's */
};

struct brim_net_call {
    const float *x; /* the batch, as the caller gave it */
    const struct brim_targets *targets;
    bool training;
    uint64_t step;
    size_t n; /* samples of the batch */
    /* This shard. */
    size_t shard, first, count;
    int worker;
};

struct brim_net_op {
    const struct brim_net_class *cls;
    const struct brim_node *node;
    const char *name;
    size_t n_in;
    struct brim_net_value **in, *out;
    bool *add; /* [n_in] gradient of the input is added to what is there */
    bool backward;
    bool shares_data; /* out is in[0]'s storage: done in place, or nothing to do */
    bool shares_grad; /* inputs that nobody else reads have out's gradient: it is theirs */
    void *state;      /* of the class */
};

/* How an operator is computed; a NULL function does nothing. */
struct brim_net_class {
    const char *op_type;
    /* Check the node, make out and state; storage of values is given afterwards. */
    brim_status (*create)(struct brim_network *net, struct brim_net_op *op);
    /* Once values have storage and op->add and op->backward are known. */
    brim_status (*ready)(struct brim_network *net, struct brim_net_op *op);
    void (*free)(struct brim_network *net, struct brim_net_op *op);
    /* Before a pass, in the calling thread. */
    brim_status (*prepare)(struct brim_network *net, struct brim_net_op *op, bool training);
    brim_status (*forward)(struct brim_network *net, struct brim_net_op *op,
                           const struct brim_net_call *call);
    /* In training, between forward and finish, when all shards have been through forward. */
    void (*join)(struct brim_network *net, struct brim_net_op *op, size_t n);
    brim_status (*finish)(struct brim_network *net, struct brim_net_op *op,
                          const struct brim_net_call *call);
    brim_status (*backward)(struct brim_network *net, struct brim_net_op *op,
                            const struct brim_net_call *call);
    void (*join_backward)(struct brim_network *net, struct brim_net_op *op, size_t n);
    brim_status (*finish_backward)(struct brim_network *net, struct brim_net_op *op,
                                   const struct brim_net_call *call);
    /* Sums over the batch, in `parts` independent parts. */
    size_t (*parts)(const struct brim_network *net, const struct brim_net_op *op);
    void (*collect)(struct brim_network *net, struct brim_net_op *op, size_t n, size_t part);
    /* At last, in the calling thread: gradients of the parameters. */
    brim_status (*learn)(struct brim_network *net, struct brim_net_op *op, size_t n);
    /* Learned values into a graph with the same node. */
    brim_status (*save)(const struct brim_network *net, const struct brim_net_op *op,
                        struct brim_graph *g, struct brim_node *node);
};

/* y = min(max(x, lo), hi); Relu is 0 and infinity. */
struct brim_net_clip {
    bool on;
    float lo, hi;
};

enum brim_net_phase {
    BRIM_NET_FORWARD,
    BRIM_NET_FINISH,
    BRIM_NET_LOSS,
    BRIM_NET_BACKWARD,
    BRIM_NET_FINISH_BACKWARD
};

struct brim_net_step {
    enum brim_net_phase phase;
    struct brim_net_op *op;
};

/* Steps that a shard goes through without waiting for the others, then a join. */
struct brim_net_segment {
    size_t first, count;
    struct brim_net_op *join;
    bool backward;
};

struct brim_net_program {
    size_t n_steps, n_segments;
    struct brim_net_step *step;
    struct brim_net_segment *segment;
};

struct brim_dnnl;

struct brim_network {
    brim_ctx *ctx;
    struct brim_network_spec spec;
    struct brim_arena arena;
    struct brim_graph *graph;      /* the given one for a batch of one sample */
    size_t shard, shards;          /* samples of a shard, shards of the largest batch */
    struct brim_net_value **value; /* of every value of the graph; NULL: not computed */
    size_t *uses;                  /* of every value of the graph, seen through Identity */
    size_t n_ops;
    struct brim_net_op *op;
    struct brim_net_value *output;
    size_t n_dots; /* = spec.dots->count */
    struct brim_net_op **dot;
    struct brim_dnnl *dnnl;
    size_t scratch_size; /* floats of one worker's scratch */
    float **scratch;     /* [ctx->threads] */
    struct brim_net_program train, predict;
    double *loss; /* [shards] */
};

/* ---- for operators ---- */

/* "node 'relu1' (Relu): has no gradient here: ..." */
brim_status brim_net_refuse(struct brim_network *net, const struct brim_node *node,
                            const char *why);

/* A value for the graph's value, whose batch must be the first axis; without storage yet. */
BRIM_NODISCARD brim_status brim_net_value_of(struct brim_network *net, const struct brim_node *node,
                                             int32_t value, struct brim_net_value **out);
/* The node as shape rules see it; `types` and `values` are the caller's, [n_in + n_out], [n_in]. */
#define BRIM_NET_OPERANDS 8
struct brim_net_view {
    struct brim_infer infer;
    struct brim_type type[2 * BRIM_NET_OPERANDS];
    const struct brim_tensor *value[BRIM_NET_OPERANDS];
};
void brim_net_view(const struct brim_network *net, const struct brim_node *node,
                   struct brim_net_view *view);
/* A constant operand of the node, or NULL. */
const struct brim_tensor *brim_net_constant(const struct brim_network *net,
                                            const struct brim_node *node, size_t i);
/* That constant replaced in g, for this node alone. */
BRIM_NODISCARD brim_status brim_net_put(struct brim_graph *g, struct brim_node *node, size_t i,
                                        const struct brim_shape *shape, const float *data);

static inline float *brim_net_at(float *data, const struct brim_net_value *v,
                                 const struct brim_net_call *call)
{
    return data + call->first * v->size;
}

/* to += from */
void brim_net_add(float *to, const float *from, size_t n);
void brim_net_clip_forward(const struct brim_net_clip *clip, float *y, size_t n);
/* dx (= or +=) dy where y is strictly inside. */
void brim_net_clip_backward(const struct brim_net_clip *clip, const float *y, const float *dy,
                            size_t n, bool add, float *dx);

/* Softmax, squared error, teacher: the shard's loss, and its gradient into output->grad. */
BRIM_NODISCARD brim_status brim_net_loss(struct brim_network *net,
                                         const struct brim_net_call *call);
BRIM_NODISCARD brim_status brim_net_check_targets(const struct brim_network *net, size_t n,
                                                  const struct brim_targets *targets);

BRIM_NODISCARD brim_status brim_net_program_build(struct brim_network *net);
BRIM_NODISCARD brim_status brim_net_program_run(struct brim_network *net,
                                                const struct brim_net_program *p,
                                                const struct brim_net_call *call);
BRIM_NODISCARD brim_status brim_net_collect(struct brim_network *net, size_t n);

/* Graph -> values and operators. */
BRIM_NODISCARD brim_status brim_net_build(struct brim_network *net);

extern const struct brim_net_class brim_net_activation, brim_net_batchnorm, brim_net_concat,
    brim_net_convolution, brim_net_dense, brim_net_dropout, brim_net_permute, brim_net_pooling,
    brim_net_sum;

/* The BatchNormalization clips what it gives from now on, and its gradient knows. */
void brim_net_batchnorm_clip(struct brim_net_op *op, const struct brim_net_clip *clip);

#endif
