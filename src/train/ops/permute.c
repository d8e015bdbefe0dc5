/* permute.c - Reshape, Flatten, Squeeze, Unsqueeze, Transpose, and the borders of the network.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The graph's order of a sample's elements is row-major; a value's is channel fastest where it has
 * one or two space axes. Such an operator is y[i] = x[from[i]] with a table for one sample; where
 * the table is 0, 1, 2, ..., nothing is to be done and the storage is shared.
 */
#include <string.h>

#include "graph/resolve.h"
#include "train/engine.h"

struct permute {
    uint32_t *from; /* [size]; NULL: nothing moves */
    bool input;     /* x is the caller's batch */
};

/* Where a value keeps what is element `i` in the graph's order. */
static size_t place(const struct brim_net_value *v, size_t i)
{
    const size_t space = v->height * v->width;

    return i % space * v->channels + i / space;
}

/* Element of the operator's input that its output's element i is, both in the graph's order. */
static size_t source(const struct brim_net_op *op, const int *perm, size_t i)
{
    const struct brim_net_value *y = op->out, *x = op->in[0];
    size_t stride[BRIM_MAX_RANK], at = 0;

    if (perm == NULL) {
        return i;
    }
    size_t step = 1;
    for (int a = x->rank; a-- > 0;) {
        stride[a] = step;
        step *= (size_t)x->dim[a];
    }
    for (int a = y->rank; a-- > 0;) {
        at += i % (size_t)y->dim[a] * stride[perm[a + 1] - 1];
        i /= (size_t)y->dim[a];
    }
    return at;
}

static brim_status make_table(struct brim_network *net, struct brim_net_op *op, const int *perm)
{
    struct permute *s = op->state;
    const size_t n = op->out->size;
    const bool output = strcmp(op->node->op_type, "Output") == 0;
    bool moves = false;

    if (n > UINT32_MAX || (!s->input && op->in[0]->size != n)) {
        return brim_net_refuse(net, op->node, "it is not done sample by sample");
    }
    s->from = brim_arena_alloc(&net->arena, n, sizeof *s->from);
    if (s->from == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t to = output ? i : place(op->out, i), at = source(op, perm, i);
        s->from[to] = (uint32_t)(s->input ? at : place(op->in[0], at));
        moves = moves || s->from[to] != to;
    }
    if (!moves) {
        s->from = NULL;
        op->shares_data = op->shares_grad = !s->input;
    }
    return BRIM_OK;
}

static brim_status create(struct brim_network *net, struct brim_net_op *op)
{
    struct permute *s = brim_arena_zalloc(&net->arena, 1, sizeof *s);
    struct brim_net_view view;
    int perm[BRIM_MAX_RANK];
    const int *used = NULL;

    op->state = s;
    if (s == NULL) {
        return BRIM_ERR_NOMEM;
    }
    s->input = op->n_in == 0;
    if (op->out == NULL) {
        BRIM_TRY(brim_net_value_of(net, op->node, op->node->out[0], &op->out));
    }
    if (strcmp(op->node->op_type, "Transpose") == 0) {
        brim_net_view(net, op->node, &view);
        BRIM_TRY(brim_resolve_perm(&view.infer, op->out->rank + 1, perm));
        used = perm;
        if (perm[0] != 0) {
            return brim_net_refuse(net, op->node, "it moves the axis of the batch");
        }
    }
    op->out->wanted = op->n_in > 0 && op->in[0]->wanted;
    return make_table(net, op, used);
}

static brim_status forward(struct brim_network *net, struct brim_net_op *op,
                           const struct brim_net_call *call)
{
    const struct permute *s = op->state;
    const size_t n = op->out->size;
    const float *x =
        s->input ? call->x + call->first * n : brim_net_at(op->in[0]->data, op->out, call);
    float *y = brim_net_at(op->out->data, op->out, call);

    (void)net;
    if (s->from == NULL) {
        if (x != y) {
            memcpy(y, x, call->count * n * sizeof *y);
        }
        return BRIM_OK;
    }
    for (size_t i = 0; i < call->count; i++, x += n, y += n) {
        for (size_t j = 0; j < n; j++) {
            y[j] = x[s->from[j]];
        }
    }
    return BRIM_OK;
}

static brim_status backward(struct brim_network *net, struct brim_net_op *op,
                            const struct brim_net_call *call)
{
    const struct permute *s = op->state;
    const size_t n = op->out->size;

    (void)net;
    if (op->in[0]->grad == op->out->grad) {
        return BRIM_OK;
    }
    const float *dy = brim_net_at(op->out->grad, op->out, call);
    float *dx = brim_net_at(op->in[0]->grad, op->out, call);
    for (size_t i = 0; i < call->count; i++, dx += n, dy += n) {
        for (size_t j = 0; j < n; j++) {
            float *to = &dx[s->from == NULL ? j : s->from[j]];
            *to = (op->add[0] ? *to : 0) + dy[j];
        }
    }
    return BRIM_OK;
}

const struct brim_net_class brim_net_permute = {
    .op_type = "Reshape",
    .create = create,
    .forward = forward,
    .backward = backward,
};
