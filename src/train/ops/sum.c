/* sum.c - Add of two values of the same shape. SPDX-License-Identifier: Apache-2.0
 *
 * The gradient is both inputs' as it is: an input that nobody else reads shares its storage.
 */
#include <string.h>

#include "base/clones.h"
#include "train/engine.h"

BRIM_CLONES
static void train_sum(const float *restrict a, const float *restrict b, size_t n, float *restrict y)
{
    for (size_t i = 0; i < n; i++) {
        y[i] = a[i] + b[i];
    }
}

static bool same_shape(const struct brim_net_value *a, const struct brim_net_value *b)
{
    bool same = a->rank == b->rank;

    for (int i = 0; same && i < a->rank; i++) {
        same = a->dim[i] == b->dim[i];
    }
    return same;
}

static brim_status create(struct brim_network *net, struct brim_net_op *op)
{
    if (op->n_in != 2) {
        return brim_net_refuse(net, op->node, "an operand is constant and not a layer's bias");
    }
    if (!same_shape(op->in[0], op->in[1])) {
        return brim_net_refuse(net, op->node, "its operands have different shapes");
    }
    BRIM_TRY(brim_net_value_of(net, op->node, op->node->out[0], &op->out));
    op->out->wanted = op->in[0]->wanted || op->in[1]->wanted;
    op->shares_grad = true;
    return BRIM_OK;
}

static brim_status forward(struct brim_network *net, struct brim_net_op *op,
                           const struct brim_net_call *call)
{
    (void)net;
    train_sum(brim_net_at(op->in[0]->data, op->in[0], call),
              brim_net_at(op->in[1]->data, op->in[1], call), call->count * op->out->size,
              brim_net_at(op->out->data, op->out, call));
    return BRIM_OK;
}

static brim_status backward(struct brim_network *net, struct brim_net_op *op,
                            const struct brim_net_call *call)
{
    const float *dy = brim_net_at(op->out->grad, op->out, call);
    const size_t n = call->count * op->out->size;

    (void)net;
    for (size_t i = 0; i < 2; i++) {
        struct brim_net_value *x = op->in[i];
        if (!x->wanted || x->grad == op->out->grad) {
            continue;
        }
        float *dx = brim_net_at(x->grad, x, call);
        if (op->add[i]) {
            brim_net_add(dx, dy, n);
        } else {
            memcpy(dx, dy, n * sizeof *dx);
        }
    }
    return BRIM_OK;
}

const struct brim_net_class brim_net_sum = {
    .op_type = "Add",
    .create = create,
    .forward = forward,
    .backward = backward,
};
