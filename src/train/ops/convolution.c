/* convolution.c - Conv with constant weights, through oneDNN. SPDX-License-Identifier: Apache-2.0
 *
 * A shard leaves its gradient of the weights in oneDNN's layout; parts of SPAN weights are added up
 * over the shards in their order, and the sum is brought into K order.
 */
#include <string.h>

#include "train/dnnl_conv.h"
#include "train/ops/weighted.h"

#define SPAN ((size_t)8192)

struct convolution {
    struct brim_weighted weighted; /* first */
    struct brim_dnnl_spec spec;
    struct brim_dnnl_conv *dnnl;
    size_t size; /* floats of a shard's gradient of the weights */
    float *dw;   /* [shards][size] */
    float *db;   /* [shards][n] */
};

static brim_status create(struct brim_network *net, struct brim_net_op *op)
{
    struct convolution *s = brim_arena_zalloc(&net->arena, 1, sizeof *s);
    struct brim_net_view view;

    op->state = s;
    if (s == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (op->in[0]->rank != 2 && op->in[0]->rank != 3) {
        return brim_net_refuse(net, op->node, "it has not one or two space axes");
    }
    BRIM_TRY(brim_weighted_create(net, op, &s->weighted));
    brim_net_view(net, op->node, &view);
    BRIM_TRY(brim_conv_resolve(&view.infer, &view.type[0].shape, &view.type[1].shape, NULL,
                               &s->spec.conv));
    s->spec.conv.samples = (int64_t)net->shard;
    s->spec.bias = s->weighted.bias != NULL;
    s->spec.input_gradient = s->weighted.input_gradient;
    return BRIM_OK;
}

static brim_status ready(struct brim_network *net, struct brim_net_op *op)
{
    struct convolution *s = op->state;
    const brim_status status = brim_dnnl_conv_create(net->dnnl, &s->spec, &s->dnnl);

    if (status != BRIM_OK) {
        return brim_fail_at(net->ctx, status, "node '%s' (%s)", op->name, op->node->op_type);
    }
    s->size = brim_dnnl_conv_gradient_size(s->dnnl);
    s->dw = brim_arena_zalloc(&net->arena, net->shards * s->size, sizeof *s->dw);
    s->db = brim_arena_zalloc(&net->arena, net->shards * s->weighted.dot->n, sizeof *s->db);
    return s->dw != NULL && s->db != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
}

static void free_state(struct brim_network *net, struct brim_net_op *op)
{
    struct convolution *s = op->state;

    (void)net;
    if (s != NULL) {
        brim_dnnl_conv_free(s->dnnl);
    }
}

static brim_status fail(struct brim_network *net, const struct brim_net_op *op)
{
    return brim_fail(net->ctx, BRIM_ERR_INTERNAL, "node '%s' (%s): oneDNN failed", op->name,
                     op->node->op_type);
}

static brim_status prepare(struct brim_network *net, struct brim_net_op *op, bool training)
{
    struct convolution *s = op->state;

    BRIM_TRY(brim_weighted_prepare(&s->weighted));
    return brim_dnnl_conv_weights(s->dnnl, s->weighted.w, training) ? BRIM_OK : fail(net, op);
}

/* Convolutions are of whole shards: samples that are missing are zero. */
static void fill_up(const struct brim_network *net, const struct brim_net_call *call, size_t size,
                    float *shard)
{
    if (call->count < net->shard) {
        memset(shard + call->count * size, 0, (net->shard - call->count) * size * sizeof *shard);
    }
}

static brim_status forward(struct brim_network *net, struct brim_net_op *op,
                           const struct brim_net_call *call)
{
    struct convolution *s = op->state;
    float *x = brim_weighted_input(op, &s->weighted, call);

    fill_up(net, call, op->in[0]->size, x);
    return brim_dnnl_conv_forward(s->dnnl, call->worker, x, s->weighted.rounded,
                                  brim_net_at(op->out->data, op->out, call))
               ? BRIM_OK
               : fail(net, op);
}

static brim_status backward(struct brim_network *net, struct brim_net_op *op,
                            const struct brim_net_call *call)
{
    struct convolution *s = op->state;
    struct brim_weighted *w = &s->weighted;
    float *x = brim_weighted_read(op, w, call), *dy = brim_net_at(op->out->grad, op->out, call);

    fill_up(net, call, op->in[0]->size, x);
    fill_up(net, call, op->out->size, dy);
    if (!brim_dnnl_conv_weight_gradient(s->dnnl, call->worker, x, dy, s->dw + call->shard * s->size,
                                        s->db + call->shard * w->dot->n)) {
        return fail(net, op);
    }
    if (!w->input_gradient) {
        return BRIM_OK;
    }
    float *dx = brim_weighted_target(net, op, w, call);
    if (!brim_dnnl_conv_input_gradient(s->dnnl, call->worker, dy, dx)) {
        return fail(net, op);
    }
    brim_weighted_hand_on(op, w, dx, call);
    return BRIM_OK;
}

static size_t parts(const struct brim_network *net, const struct brim_net_op *op)
{
    const struct convolution *s = op->state;

    (void)net;
    return (s->size + SPAN - 1) / SPAN;
}

/* The sum is left in the first shard's place. */
static void collect(struct brim_network *net, struct brim_net_op *op, size_t n, size_t part)
{
    struct convolution *s = op->state;
    const size_t first = part * SPAN, count = s->size - first < SPAN ? s->size - first : SPAN;

    for (size_t i = 1; i * net->shard < n; i++) {
        brim_net_add(s->dw + first, s->dw + i * s->size + first, count);
    }
}

static brim_status learn(struct brim_network *net, struct brim_net_op *op, size_t n)
{
    struct convolution *s = op->state;
    struct brim_weighted *w = &s->weighted;

    for (size_t i = 0; w->bias != NULL && i * net->shard < n; i++) {
        brim_net_add(w->bias->grad, s->db + i * w->dot->n, w->dot->n);
    }
    if (!brim_dnnl_conv_gradient(s->dnnl, s->dw, w->dw)) {
        return fail(net, op);
    }
    return brim_weighted_learn(net, op, w, n);
}

static brim_status save(const struct brim_network *net, const struct brim_net_op *op,
                        struct brim_graph *g, struct brim_node *node)
{
    const struct convolution *s = op->state;

    (void)net;
    return brim_weighted_save(&s->weighted, g, node);
}

const struct brim_net_class brim_net_convolution = {
    .op_type = "Conv",
    .create = create,
    .ready = ready,
    .free = free_state,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .parts = parts,
    .collect = collect,
    .learn = learn,
    .save = save,
};
