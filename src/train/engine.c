/* engine.c - see network.h. SPDX-License-Identifier: Apache-2.0 */
#include "train/network.h"

#include <math.h>
#include <string.h>

#include "train/dnnl_conv.h"
#include "train/ops/weighted.h"

/* Samples of a shard: few, so that what a convolution writes stays in the cache; products of
 * matrices are worth their while with more rows. At most MOST_SHARDS, as gradients of convolutions
 * are kept per shard. */
#define CONV_SHARD  8
#define DENSE_SHARD 32
#define MOST_SHARDS 16

static void choose_shards(struct brim_network *net)
{
    size_t least = DENSE_SHARD;

    for (size_t i = 0; i < net->spec.dots->count; i++) {
        if (net->spec.dots->dot[i].kind == BRIM_DOT_CONV) {
            least = CONV_SHARD;
        }
    }
    const size_t share = (net->spec.batch + MOST_SHARDS - 1) / MOST_SHARDS;
    net->shard = share > least ? share : least;
    net->shards = (net->spec.batch + net->shard - 1) / net->shard;
}

static brim_status make_scratch(struct brim_network *net)
{
    const size_t workers = (size_t)net->ctx->threads;

    net->loss = brim_arena_zalloc(&net->arena, net->shards, sizeof *net->loss);
    net->scratch = brim_arena_zalloc(&net->arena, workers, sizeof(void *));
    if (net->loss == NULL || net->scratch == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < workers; i++) {
        net->scratch[i] = brim_arena_alloc(&net->arena, net->scratch_size, sizeof(float));
        if (net->scratch[i] == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    return BRIM_OK;
}

static brim_status build_all(struct brim_network *net)
{
    choose_shards(net);
    BRIM_TRY(brim_dnnl_create(net->ctx, &net->dnnl));
    BRIM_TRY(brim_net_build(net));
    BRIM_TRY(make_scratch(net));
    return brim_net_program_build(net);
}

brim_status brim_network_create(brim_ctx *ctx, const struct brim_network_spec *spec,
                                struct brim_network **out)
{
    *out = NULL;
    if (spec->batch < 1) {
        return brim_fail(ctx, BRIM_ERR_ARG, "batch: 0 samples, expected at least 1");
    }
    struct brim_network *net = brim_zalloc(ctx, 1, sizeof *net);
    if (net == NULL) {
        return BRIM_ERR_NOMEM;
    }
    net->ctx = ctx;
    net->spec = *spec;
    brim_arena_init(&net->arena, ctx);
    const brim_status status = build_all(net);
    if (status != BRIM_OK) {
        brim_network_free(net);
        return status;
    }
    *out = net;
    return BRIM_OK;
}

void brim_network_free(struct brim_network *net)
{
    if (net == NULL) {
        return;
    }
    for (size_t i = 0; i < net->n_ops; i++) {
        if (net->op[i].cls->free != NULL) {
            net->op[i].cls->free(net, &net->op[i]);
        }
    }
    brim_dnnl_free(net->dnnl);
    brim_graph_free(net->graph);
    brim_arena_free(&net->arena);
    brim_free(net->ctx, net);
}

size_t brim_network_output_size(const struct brim_network *net)
{
    return net->output->size;
}

/* ---- passes ---- */

/* The first dot layer, in order, with an output that is not finite. */
static const char *find_broken(const struct brim_network *net, size_t n)
{
    for (size_t i = 0; i < net->n_ops; i++) {
        const struct brim_net_op *op = &net->op[i];
        if (op->cls != &brim_net_convolution && op->cls != &brim_net_dense) {
            continue;
        }
        for (size_t j = 0; j < n * op->out->size; j++) {
            if (!isfinite(op->out->data[j])) {
                return op->name;
            }
        }
    }
    return NULL;
}

brim_status brim_network_train(struct brim_network *net, const float *x, size_t n,
                               const struct brim_targets *targets, uint64_t step, double *loss,
                               const char **layer)
{
    const struct brim_net_call call = {
        .x = x, .targets = targets, .training = true, .step = step, .n = n};

    if (n < 1 || n > net->spec.batch) {
        return brim_fail(net->ctx, BRIM_ERR_ARG, "batch: %zu samples, expected 1..%zu", n,
                         net->spec.batch);
    }
    BRIM_TRY(brim_net_check_targets(net, n, targets));
    brim_params_zero_grad(net->spec.params);
    BRIM_TRY(brim_net_program_run(net, &net->train, &call));
    BRIM_TRY(brim_net_collect(net, n));
    *loss = 0;
    for (size_t i = 0; i * net->shard < n; i++) {
        *loss += net->loss[i];
    }
    *loss /= (double)n;
    *layer = isfinite(*loss) ? NULL : find_broken(net, n);
    return BRIM_OK;
}

brim_status brim_network_predict(struct brim_network *net, const float *x, size_t n, float *y)
{
    const size_t size = net->output->size;
    const struct brim_net_call call = {.x = x, .n = n};

    if (n < 1 || n > net->spec.batch) {
        return brim_fail(net->ctx, BRIM_ERR_ARG, "batch: %zu samples, expected 1..%zu", n,
                         net->spec.batch);
    }
    BRIM_TRY(brim_net_program_run(net, &net->predict, &call));
    memcpy(y, net->output->data, n * size * sizeof *y);
    return BRIM_OK;
}

/* ---- out again ---- */

brim_status brim_network_export(const struct brim_network *net, struct brim_graph *g)
{
    for (size_t i = 0; i < net->n_ops; i++) {
        const struct brim_net_op *op = &net->op[i];
        if (op->cls->save != NULL) {
            BRIM_TRY(op->cls->save(net, op, g, &g->nodes[op->node - net->graph->nodes]));
        }
    }
    return BRIM_OK;
}

const float *brim_network_bias(const struct brim_network *net, size_t i)
{
    const struct brim_net_op *op = net->dot[i];
    /* A convolution's state begins with what it shares with a product. */
    const struct brim_weighted *w = op != NULL ? op->state : NULL;

    return w != NULL && w->bias != NULL ? w->bias->value : NULL;
}
