/* activation.c - Relu, Clip, LeakyRelu. SPDX-License-Identifier: Apache-2.0
 *
 * A clip behind a BatchNormalization is done there; behind an operator whose gradient does not need
 * what it gave, in place. The gradient passes where y is strictly inside the limits.
 */
#include <math.h>
#include <string.h>

#include "base/clones.h"
#include "train/engine.h"

struct activation {
    struct brim_net_clip clip; /* off: leaky, or done by the producer */
    float leak;
    bool leaky;
};

/* ---- loops ---- */

BRIM_CLONES
static void train_clip(float lo, float hi, const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i++) {
        const float v = x[i] < lo ? lo : x[i]; /* a NaN stays one */
        y[i] = v > hi ? hi : v;
    }
}

BRIM_CLONES
static void train_clip_gradient(float lo, float hi, const float *restrict y,
                                const float *restrict dy, size_t n, float *restrict dx)
{
    for (size_t i = 0; i < n; i++) {
        dx[i] = y[i] > lo && y[i] < hi ? dy[i] : 0.0f;
    }
}

BRIM_CLONES
static void train_clip_gradient_add(float lo, float hi, const float *restrict y,
                                    const float *restrict dy, size_t n, float *restrict dx)
{
    for (size_t i = 0; i < n; i++) {
        dx[i] += y[i] > lo && y[i] < hi ? dy[i] : 0.0f;
    }
}

BRIM_CLONES
static void train_add(const float *restrict from, size_t n, float *restrict to)
{
    for (size_t i = 0; i < n; i++) {
        to[i] += from[i];
    }
}

void brim_net_add(float *to, const float *from, size_t n)
{
    train_add(from, n, to);
}

void brim_net_clip_forward(const struct brim_net_clip *clip, float *y, size_t n)
{
    train_clip(clip->lo, clip->hi, y, n, y);
}

void brim_net_clip_backward(const struct brim_net_clip *clip, const float *y, const float *dy,
                            size_t n, bool add, float *dx)
{
    (add ? train_clip_gradient_add : train_clip_gradient)(clip->lo, clip->hi, y, dy, n, dx);
}

/* ---- the operator ---- */

/* A limit of Clip: a constant operand, or none. */
static brim_status read_limit(struct brim_network *net, const struct brim_net_op *op, size_t i,
                              float *limit)
{
    if (i >= op->node->n_in || op->node->in[i] < 0) {
        return BRIM_OK;
    }
    const struct brim_tensor *t = brim_net_constant(net, op->node, i);
    if (t == NULL || t->type.dtype != BRIM_FLOAT || brim_shape_count(&t->type.shape) != 1) {
        return brim_net_refuse(net, op->node, "a limit is not a constant float");
    }
    *limit = *(const float *)t->data;
    return BRIM_OK;
}

static bool may_be_done_in_place(const struct brim_net_op *op)
{
    const struct brim_net_value *x = op->in[0];
    const struct brim_net_class *cls = x->producer->cls;

    return x->uses == 1 && !x->producer->shares_data &&
           (cls == &brim_net_convolution || cls == &brim_net_dense || cls == &brim_net_sum);
}

static brim_status create(struct brim_network *net, struct brim_net_op *op)
{
    struct activation *s = brim_arena_zalloc(&net->arena, 1, sizeof *s);
    struct brim_net_clip clip = {.on = true, .lo = -INFINITY, .hi = INFINITY};

    op->state = s;
    BRIM_TRY(brim_net_value_of(net, op->node, op->node->out[0], &op->out));
    if (s == NULL) {
        return BRIM_ERR_NOMEM;
    }
    op->out->wanted = op->in[0]->wanted;
    if (strcmp(op->node->op_type, "LeakyRelu") == 0) {
        s->leaky = true;
        s->leak = brim_node_float(op->node, "alpha", 0.01f);
        return BRIM_OK;
    }
    if (strcmp(op->node->op_type, "Relu") == 0) {
        clip.lo = 0;
    } else {
        BRIM_TRY(read_limit(net, op, 1, &clip.lo));
        BRIM_TRY(read_limit(net, op, 2, &clip.hi));
    }
    if (op->in[0]->producer->cls == &brim_net_batchnorm && op->in[0]->uses == 1) {
        brim_net_batchnorm_clip(op->in[0]->producer, &clip);
        op->shares_data = op->shares_grad = true;
        return BRIM_OK;
    }
    s->clip = clip;
    op->shares_data = may_be_done_in_place(op);
    return BRIM_OK;
}

static brim_status forward(struct brim_network *net, struct brim_net_op *op,
                           const struct brim_net_call *call)
{
    const struct activation *s = op->state;
    const float *x = brim_net_at(op->in[0]->data, op->in[0], call);
    float *y = brim_net_at(op->out->data, op->out, call);
    const size_t n = call->count * op->out->size;

    (void)net;
    if (s->clip.on) {
        train_clip(s->clip.lo, s->clip.hi, x, n, y);
    }
    for (size_t i = 0; s->leaky && i < n; i++) {
        y[i] = x[i] < 0 ? s->leak * x[i] : x[i];
    }
    return BRIM_OK;
}

static brim_status backward(struct brim_network *net, struct brim_net_op *op,
                            const struct brim_net_call *call)
{
    const struct activation *s = op->state;
    const float *x = brim_net_at(op->in[0]->data, op->in[0], call);
    const float *y = brim_net_at(op->out->data, op->out, call);
    const float *dy = brim_net_at(op->out->grad, op->out, call);
    float *dx = brim_net_at(op->in[0]->grad, op->in[0], call);
    const size_t n = call->count * op->out->size;

    (void)net;
    if (s->clip.on) {
        brim_net_clip_backward(&s->clip, y, dy, n, op->add[0], dx);
    }
    for (size_t i = 0; s->leaky && i < n; i++) {
        dx[i] = (op->add[0] ? dx[i] : 0) + (x[i] < 0 ? s->leak * dy[i] : dy[i]);
    }
    return BRIM_OK;
}

const struct brim_net_class brim_net_activation = {
    .op_type = "Relu",
    .create = create,
    .forward = forward,
    .backward = backward,
};
