/* dense.c - Gemm and MatMul with constant weights, through OpenBLAS. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Forward and the input's gradient are products of a shard's rows. The weights' gradient is a
 * product over the whole batch, in blocks of ROWS outputs: split over outputs, never over the sum.
 */
#include <cblas.h>
#include <string.h>

#include "train/ops/weighted.h"

#define ROWS ((size_t)64)

static brim_status create(struct brim_network *net, struct brim_net_op *op)
{
    struct brim_weighted *w = brim_arena_zalloc(&net->arena, 1, sizeof *w);

    op->state = w;
    if (w == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_weighted_create(net, op, w));
    if (op->in[0]->rank != 1 || w->dot->k != op->in[0]->size || w->dot->n > INT32_MAX ||
        w->dot->k > INT32_MAX) {
        return brim_net_refuse(net, op->node, "its input is no row per sample");
    }
    return BRIM_OK;
}

static brim_status prepare(struct brim_network *net, struct brim_net_op *op, bool training)
{
    (void)net;
    (void)training;
    return brim_weighted_prepare(op->state);
}

static brim_status forward(struct brim_network *net, struct brim_net_op *op,
                           const struct brim_net_call *call)
{
    struct brim_weighted *w = op->state;
    const size_t n = w->dot->n, k = w->dot->k;
    const float *x = brim_weighted_input(op, w, call);
    float *y = brim_net_at(op->out->data, op->out, call);

    (void)net;
    for (size_t i = 0; w->rounded != NULL && i < call->count; i++) {
        memcpy(y + i * n, w->rounded, n * sizeof *y);
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)call->count, (blasint)n,
                (blasint)k, 1, x, (blasint)k, w->w, (blasint)k, w->rounded != NULL ? 1 : 0, y,
                (blasint)n);
    return BRIM_OK;
}

static brim_status backward(struct brim_network *net, struct brim_net_op *op,
                            const struct brim_net_call *call)
{
    struct brim_weighted *w = op->state;
    const size_t n = w->dot->n, k = w->dot->k;
    const float *dy = brim_net_at(op->out->grad, op->out, call);

    if (!w->input_gradient) {
        return BRIM_OK;
    }
    float *dx = brim_weighted_target(net, op, w, call);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)call->count, (blasint)k,
                (blasint)n, 1, dy, (blasint)n, w->w, (blasint)k, 0, dx, (blasint)k);
    brim_weighted_hand_on(op, w, dx, call);
    return BRIM_OK;
}

static size_t parts(const struct brim_network *net, const struct brim_net_op *op)
{
    const struct brim_weighted *w = op->state;

    (void)net;
    return (w->dot->n + ROWS - 1) / ROWS;
}

static void collect(struct brim_network *net, struct brim_net_op *op, size_t n, size_t part)
{
    struct brim_weighted *w = op->state;
    const size_t first = part * ROWS, outputs = w->dot->n, k = w->dot->k;
    const size_t rows = outputs - first < ROWS ? outputs - first : ROWS;
    const float *x = w->inputs != NULL ? w->quantized : op->in[0]->data, *dy = op->out->grad;

    (void)net;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)rows, (blasint)k, (blasint)n, 1,
                dy + first, (blasint)outputs, x, (blasint)k, 0, w->dw + first * k, (blasint)k);
    for (size_t i = 0; w->bias != NULL && i < n; i++) {
        for (size_t j = first; j < first + rows; j++) {
            w->bias->grad[j] += dy[i * outputs + j];
        }
    }
}

static brim_status learn(struct brim_network *net, struct brim_net_op *op, size_t n)
{
    return brim_weighted_learn(net, op, op->state, n);
}

static brim_status save(const struct brim_network *net, const struct brim_net_op *op,
                        struct brim_graph *g, struct brim_node *node)
{
    (void)net;
    return brim_weighted_save(op->state, g, node);
}

const struct brim_net_class brim_net_dense = {
    .op_type = "Gemm",
    .create = create,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .parts = parts,
    .collect = collect,
    .learn = learn,
    .save = save,
};
