/* concat.c - Concat of channels. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "train/engine.h"

static brim_status create(struct brim_network *net, struct brim_net_op *op)
{
    const struct brim_shape *y = &net->graph->values[op->node->out[0]].type.shape;
    const int64_t axis = brim_node_int(op->node, "axis", 1);

    if (op->n_in != op->node->n_in) {
        return brim_net_refuse(net, op->node, "an operand is constant");
    }
    if (axis != 1 && axis != 1 - y->rank) {
        return brim_net_refuse(net, op->node, "its axis is not that of the channels");
    }
    BRIM_TRY(brim_net_value_of(net, op->node, op->node->out[0], &op->out));
    for (size_t i = 0; i < op->n_in; i++) {
        op->out->wanted = op->out->wanted || op->in[i]->wanted;
    }
    return op->out->rank <= 3 ? BRIM_OK
                              : brim_net_refuse(net, op->node, "it has more than two space axes");
}

static brim_status forward(struct brim_network *net, struct brim_net_op *op,
                           const struct brim_net_call *call)
{
    const size_t rows = call->count * op->out->height * op->out->width;
    float *y = brim_net_at(op->out->data, op->out, call);

    (void)net;
    for (size_t i = 0; i < op->n_in; i++) {
        const size_t c = op->in[i]->channels;
        const float *x = brim_net_at(op->in[i]->data, op->in[i], call);
        for (size_t r = 0; r < rows; r++) {
            memcpy(y + r * op->out->channels, x + r * c, c * sizeof *y);
        }
        y += c;
    }
    return BRIM_OK;
}

static brim_status backward(struct brim_network *net, struct brim_net_op *op,
                            const struct brim_net_call *call)
{
    const size_t rows = call->count * op->out->height * op->out->width;
    const float *dy = brim_net_at(op->out->grad, op->out, call);

    (void)net;
    for (size_t i = 0; i < op->n_in; i++) {
        const size_t c = op->in[i]->channels;
        float *dx = op->in[i]->wanted ? brim_net_at(op->in[i]->grad, op->in[i], call) : NULL;
        for (size_t r = 0; dx != NULL && r < rows; r++) {
            if (op->add[i]) {
                brim_net_add(dx + r * c, dy + r * op->out->channels, c);
            } else {
                memcpy(dx + r * c, dy + r * op->out->channels, c * sizeof *dx);
            }
        }
        dy += c;
    }
    return BRIM_OK;
}

const struct brim_net_class brim_net_concat = {
    .op_type = "Concat",
    .create = create,
    .forward = forward,
    .backward = backward,
};
