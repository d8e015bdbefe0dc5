/* drop.c - Dropout. SPDX-License-Identifier: Apache-2.0
 *
 * While training an element is zero with probability `ratio`, and 1/(1-ratio) times itself
 * otherwise (Srivastava et al., JMLR 15, 2014, the inverted form that ONNX defines). What falls is
 * random numbers of seed, node, step and sample: the same for any shards and threads.
 */
#include <string.h>

#include "base/rng.h"
#include "train/engine.h"

struct drop {
    float ratio;
    uint64_t seed;
    uint8_t *keep; /* [samples][size] of the last forward pass in training */
};

static brim_status create(struct brim_network *net, struct brim_net_op *op)
{
    struct drop *s = brim_arena_zalloc(&net->arena, 1, sizeof *s);
    const struct brim_tensor *ratio = brim_net_constant(net, op->node, 1);

    op->state = s;
    BRIM_TRY(brim_net_value_of(net, op->node, op->node->out[0], &op->out));
    if (s == NULL) {
        return BRIM_ERR_NOMEM;
    }
    s->keep = brim_arena_zalloc(&net->arena, net->shard * net->shards * op->out->size, 1);
    if (s->keep == NULL) {
        return BRIM_ERR_NOMEM;
    }
    s->ratio = brim_node_float(op->node, "ratio", 0.5f);
    if (ratio != NULL && ratio->type.dtype == BRIM_FLOAT &&
        brim_shape_count(&ratio->type.shape) == 1) {
        s->ratio = *(const float *)ratio->data;
    }
    if (!(s->ratio >= 0 && s->ratio < 1)) {
        return brim_net_refuse(net, op->node, "its ratio is not in [0, 1)");
    }
    s->seed = net->spec.seed + 0x9e3779b97f4a7c15u * (net->n_ops + 1);
    op->out->wanted = op->in[0]->wanted;
    return BRIM_OK;
}

static brim_status forward(struct brim_network *net, struct brim_net_op *op,
                           const struct brim_net_call *call)
{
    struct drop *s = op->state;
    const size_t size = op->out->size;
    const float times = 1 / (1 - s->ratio);
    const float *x = brim_net_at(op->in[0]->data, op->in[0], call);
    float *y = brim_net_at(op->out->data, op->out, call);

    if (!call->training) {
        memcpy(y, x, call->count * size * sizeof *y);
        return BRIM_OK;
    }
    for (size_t i = 0; i < call->count; i++) {
        struct brim_rng rng;
        uint8_t *keep = s->keep + (call->first + i) * size;
        brim_rng_init(&rng, s->seed, call->step * net->spec.batch + call->first + i);
        for (size_t j = 0; j < size; j++) {
            keep[j] = brim_rng_uniform(&rng) >= (double)s->ratio;
            y[i * size + j] = keep[j] ? times * x[i * size + j] : 0;
        }
    }
    return BRIM_OK;
}

static brim_status backward(struct brim_network *net, struct brim_net_op *op,
                            const struct brim_net_call *call)
{
    const struct drop *s = op->state;
    const float times = 1 / (1 - s->ratio);
    const uint8_t *keep = s->keep + call->first * op->out->size;
    const float *dy = brim_net_at(op->out->grad, op->out, call);
    float *dx = brim_net_at(op->in[0]->grad, op->in[0], call);

    (void)net;
    for (size_t i = 0; i < call->count * op->out->size; i++) {
        dx[i] = (op->add[0] ? dx[i] : 0) + (keep[i] ? times * dy[i] : 0);
    }
    return BRIM_OK;
}

const struct brim_net_class brim_net_dropout = {
    .op_type = "Dropout",
    .create = create,
    .forward = forward,
    .backward = backward,
};
