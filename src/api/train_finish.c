/* train_finish.c - from a trained network back to a graph. SPDX-License-Identifier: Apache-2.0
 *
 * Nothing that training believed about its weights is taken over: codes go into the graph as integers,
 * and the prover looks at those.
 */
#include <string.h>

#include "api/train_flow.h"
#include "base/intops.h"

/* Weights that layers compute with, before they are saved: masks are in them. */
static brim_status refresh(struct brim_train_flow *f, size_t i, float *w)
{
    if (f->net.inputs[i] != NULL) {
        brim_inputs_refresh(f->net.inputs[i]);
    }
    return brim_weights_forward(f->net.weights[i], w);
}

static brim_status refresh_all(struct brim_train_flow *f)
{
    size_t largest = 1;

    for (size_t i = 0; i < f->net.count; i++) {
        largest = brim_max_size(largest, f->net.view->dot[i].n * f->net.view->dot[i].k);
    }
    float *w = brim_alloc(f->ctx, largest, sizeof *w);
    brim_status s = w == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
    for (size_t i = 0; s == BRIM_OK && i < f->net.count; i++) {
        s = refresh(f, i, w);
    }
    brim_free(f->ctx, w);
    return s;
}

brim_status brim_train_take_float(struct brim_train_flow *f)
{
    struct brim_graph *learned = NULL;

    BRIM_TRY(refresh_all(f));
    BRIM_TRY(brim_graph_clone(f->net.graph, &learned));
    brim_status s = brim_network_export(f->net.net, learned);
    if (s == BRIM_OK && f->p->fold_batchnorm && f->p->method == BRIM_TRAIN_FLOAT) {
        s = brim_graph_fold_batchnorm(learned);
    }
    if (s == BRIM_OK) {
        s = brim_graph_prune_dead(learned);
    }
    if (s == BRIM_OK) {
        s = brim_graph_infer(learned);
    }
    if (s != BRIM_OK) {
        brim_graph_free(learned);
        return s;
    }
    brim_graph_free(f->graph);
    f->graph = learned;
    return BRIM_OK;
}

/* ---- quantized ---- */

/* The layer's learned integers as the solution that the flow settles. */
static brim_status fill_best(struct brim_train_flow *f, size_t i)
{
    struct brim_flow_layer *l = &f->q.layer[i];
    const struct brim_dot *d = l->dot;
    const float *bias = brim_network_bias(f->net.net, i);
    struct brim_flow_best best = {
        .codes = brim_arena_alloc(&f->q.arena, d->n * d->k, sizeof *best.codes),
        .scale = brim_arena_alloc(&f->q.arena, d->n, sizeof *best.scale),
        .bias = brim_arena_alloc(&f->q.arena, d->n, sizeof *best.bias),
        .bias_q = brim_arena_alloc(&f->q.arena, d->n, sizeof *best.bias_q),
    };

    if (best.codes == NULL || best.scale == NULL || best.bias == NULL || best.bias_q == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_weights_codes(f->net.weights[i], best.codes, best.scale);
    l->grid[0] = f->net.inputs[i]->grid;
    l->n_grids = 1;
    for (size_t row = 0; row < d->n; row++) {
        BRIM_TRY(brim_flow_set_bias(&f->q, l, &best, row, bias == NULL ? 0.0 : (double)bias[row]));
    }
    l->best = best;
    return BRIM_OK;
}

static brim_status settle(struct brim_train_flow *f, size_t i)
{
    brim_quantize_layer record;

    BRIM_TRY(fill_best(f, i));
    BRIM_TRY(brim_flow_settle(&f->q, &f->q.layer[i], &record));
    brim_train_layer *l = &f->layer[f->n_result_layers++];
    *l = (brim_train_layer){.name = record.name,
                            .k = record.k,
                            .n = record.n,
                            .wbits = record.wbits,
                            .abits = record.abits,
                            .sparsity = record.sparsity,
                            .n_stages = record.n_stages};
    memcpy(l->need, record.need, sizeof l->need);
    return BRIM_OK;
}

brim_status brim_train_take_quantized(struct brim_train_flow *f)
{
    f->layer = brim_arena_zalloc(&f->arena, f->n_layers + 1, sizeof *f->layer);
    if (f->layer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(refresh_all(f));
    BRIM_TRY(brim_network_export(f->net.net, f->q.prefix)); /* layers that stay float */
    for (size_t i = 0; i < f->n_layers; i++) {
        if (!f->q.layer[i].keep_float) {
            BRIM_TRY(settle(f, i));
        }
    }
    const brim_status s = brim_flow_certify(&f->q);
    if (s == BRIM_ERR_INFEASIBLE) { /* these weights were made to fit */
        return brim_fail_at(f->ctx, BRIM_ERR_INTERNAL, "training gave weights that are refuted");
    }
    BRIM_TRY(s);
    f->result = f->q.prefix;
    f->q.prefix = NULL;
    return BRIM_OK;
}
