/* weighted.c - see weighted.h. SPDX-License-Identifier: Apache-2.0 */
#include "train/ops/weighted.h"

#include <string.h>

#include "base/intops.h"
#include "graph/layout.h"

static brim_status find_dot(struct brim_network *net, struct brim_net_op *op,
                            struct brim_weighted *w)
{
    const size_t node = (size_t)(op->node - net->graph->nodes);

    for (size_t i = 0; i < net->spec.dots->count; i++) {
        const struct brim_dot *d = &net->spec.dots->dot[i];
        if (d->node == node && !d->codes) {
            w->dot = d;
            w->weights = net->spec.weights[i];
            w->inputs = net->spec.inputs != NULL ? net->spec.inputs[i] : NULL;
            net->dot[i] = op;
            return BRIM_OK;
        }
    }
    return brim_net_refuse(net, op->node, "its weights are no float constants");
}

static brim_status make_room(struct brim_network *net, const struct brim_net_op *op,
                             struct brim_weighted *w)
{
    const size_t count = w->dot->n * w->dot->k; /* as many as dot->w_f32: fits */
    const size_t samples = net->shard * net->shards;

    w->w = brim_arena_zalloc(&net->arena, count, sizeof *w->w);
    w->dw = brim_arena_zalloc(&net->arena, count, sizeof *w->dw);
    w->part = brim_arena_zalloc(&net->arena, net->shards, sizeof *w->part);
    if (w->w == NULL || w->dw == NULL || w->part == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (w->inputs != NULL) {
        w->quantized = brim_arena_zalloc(&net->arena, samples * op->in[0]->size, sizeof(float));
        if (w->quantized == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    if (w->dot->bias != NULL) {
        w->bias = brim_params_add(net->spec.params, op->name, "bias", w->dot->n);
        if (w->bias == NULL) {
            return BRIM_ERR_NOMEM;
        }
        w->rounded = brim_arena_zalloc(&net->arena, w->dot->n, sizeof *w->rounded);
        if (w->rounded == NULL) {
            return BRIM_ERR_NOMEM;
        }
        memcpy(w->bias->value, w->dot->bias, w->dot->n * sizeof(float));
    }
    return BRIM_OK;
}

brim_status brim_weighted_create(struct brim_network *net, struct brim_net_op *op,
                                 struct brim_weighted *w)
{
    BRIM_TRY(find_dot(net, op, w));
    BRIM_TRY(brim_net_value_of(net, op->node, op->node->out[0], &op->out));
    op->out->wanted = true;
    w->input_gradient = op->in[0]->wanted || (w->inputs != NULL && w->inputs->scale != NULL);
    const size_t scratch = net->shard * op->in[0]->size;
    if (w->input_gradient && scratch > net->scratch_size) {
        net->scratch_size = scratch;
    }
    return make_room(net, op, w);
}

/* A bias enters the accumulator in units of x_scale * w_scale, and is rounded to those; its gradient
 * goes straight through. */
static void round_bias(struct brim_weighted *w)
{
    const float *scale = w->inputs != NULL ? brim_weights_scales(w->weights) : NULL;

    if (scale == NULL) {
        memcpy(w->rounded, w->bias->value, w->dot->n * sizeof *w->rounded);
        return;
    }
    for (size_t i = 0; i < w->dot->n; i++) {
        const float unit = w->inputs->grid.scale * scale[i];
        const double code = unit > 0.0F ? brim_rint((double)w->bias->value[i] / (double)unit) : 0.0;
        w->rounded[i] = unit * (float)code;
    }
}

brim_status brim_weighted_prepare(struct brim_weighted *w)
{
    if (w->inputs != NULL) {
        brim_inputs_refresh(w->inputs);
    }
    BRIM_TRY(brim_weights_forward(w->weights, w->w));
    if (w->bias != NULL) {
        round_bias(w);
    }
    return BRIM_OK;
}

float *brim_weighted_read(const struct brim_net_op *op, const struct brim_weighted *w,
                          const struct brim_net_call *call)
{
    return brim_net_at(w->inputs != NULL ? w->quantized : op->in[0]->data, op->in[0], call);
}

float *brim_weighted_input(struct brim_net_op *op, struct brim_weighted *w,
                           const struct brim_net_call *call)
{
    float *x = brim_weighted_read(op, w, call);

    if (w->inputs != NULL) {
        brim_inputs_forward(w->inputs, brim_net_at(op->in[0]->data, op->in[0], call),
                            call->count * op->in[0]->size, x);
    }
    return x;
}

float *brim_weighted_target(struct brim_network *net, const struct brim_net_op *op,
                            const struct brim_weighted *w, const struct brim_net_call *call)
{
    return w->inputs != NULL || op->add[0] ? net->scratch[call->worker]
                                           : brim_net_at(op->in[0]->grad, op->in[0], call);
}

void brim_weighted_hand_on(struct brim_net_op *op, struct brim_weighted *w, float *gradient,
                           const struct brim_net_call *call)
{
    const struct brim_net_value *x = op->in[0];
    const size_t n = call->count * x->size;
    float *dx = x->wanted ? brim_net_at(x->grad, x, call) : NULL;

    if (w->inputs != NULL) {
        w->part[call->shard] =
            brim_inputs_backward(w->inputs, brim_net_at(x->data, x, call), gradient, n,
                                 dx == NULL || op->add[0] ? gradient : dx);
    }
    if (dx != NULL && op->add[0]) {
        brim_net_add(dx, gradient, n);
    }
}

brim_status brim_weighted_learn(struct brim_network *net, struct brim_net_op *op,
                                struct brim_weighted *w, size_t n)
{
    double sum = 0;

    for (size_t i = 0; w->inputs != NULL && i * net->shard < n; i++) {
        sum += w->part[i];
    }
    if (w->inputs != NULL) {
        brim_inputs_learn(w->inputs, sum, n * op->in[0]->size);
    }
    return brim_weights_backward(w->weights, w->dw);
}

/* Weights go back to where dot_find took them from; alpha and beta of a Gemm are in them. */
brim_status brim_weighted_save(const struct brim_weighted *w, struct brim_graph *g,
                               struct brim_node *node)
{
    const struct brim_dot *d = w->dot;
    const struct brim_shape shape = g->values[node->in[1]].constant->type.shape;
    const struct brim_shape bias = {.rank = 1, .dim = {(int64_t)d->n}};
    struct brim_layout l;
    float *file = brim_alloc(g->ctx, d->n * d->k, sizeof *file);

    if (file == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_status status = brim_layout_of(node, &shape, &l) ? brim_weights_forward(w->weights, w->w)
                                                          : BRIM_ERR_INTERNAL;
    for (size_t i = 0; status == BRIM_OK && i < d->n; i++) {
        for (size_t k = 0; k < d->k; k++) {
            file[brim_layout_index(&l, i, k)] = w->w[i * d->k + k];
        }
    }
    if (status == BRIM_OK) {
        status = brim_net_put(g, node, 1, &shape, file);
    }
    brim_free(g->ctx, file);
    BRIM_TRY(status);
    if (w->bias != NULL) {
        BRIM_TRY(brim_net_put(g, node, 2, &bias, w->bias->value));
    }
    brim_node_remove_attr(node, "alpha");
    brim_node_remove_attr(node, "beta");
    return BRIM_OK;
}
