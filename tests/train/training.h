/* training.h - a network around a graph, for tests. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_TRAIN_TRAINING_H
#define BRIM_TESTS_TRAIN_TRAINING_H

#include <stdlib.h>

#include "testing.h"

#include "base/rng.h"
#include "train/engine.h"

struct training {
    brim_ctx *ctx;
    struct brim_graph *g;
    struct brim_dots dots;
    struct brim_params params;
    struct brim_weights **weights;
    struct brim_inputs *input, **inputs;
    struct brim_network *net;
};

/* Float weights and, with a grid, quantized inputs for an inferred graph, which stays the caller's. */
static inline brim_status training_try_quantized(struct training *t, brim_ctx *ctx,
                                                 struct brim_graph *g, size_t batch,
                                                 const struct brim_grid *grid)
{
    *t = (struct training){.ctx = ctx, .g = g};
    brim_params_init(&t->params, ctx);
    BRIM_TRY(brim_dots_find(ctx, g, &t->dots));
    t->weights = brim_zalloc(ctx, t->dots.count + 1, sizeof(void *));
    t->inputs = brim_zalloc(ctx, t->dots.count + 1, sizeof(void *));
    t->input = brim_zalloc(ctx, t->dots.count + 1, sizeof *t->input);
    if (t->weights == NULL || t->inputs == NULL || t->input == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < t->dots.count; i++) {
        const struct brim_dot *d = &t->dots.dot[i];
        BRIM_TRY(brim_weights_create(
            &t->params,
            &(struct brim_weights_spec){
                .name = d->name, .n = d->n, .k = d->k, .method = BRIM_TRAIN_FLOAT, .w = d->w_f32},
            &t->weights[i]));
        if (grid != NULL) {
            t->inputs[i] = &t->input[i];
            BRIM_TRY(brim_inputs_init(t->inputs[i], &t->params, d->name, grid, false));
        }
    }
    const struct brim_network_spec spec = {.graph = g,
                                           .dots = &t->dots,
                                           .weights = t->weights,
                                           .inputs = t->inputs,
                                           .params = &t->params,
                                           .batch = batch,
                                           .seed = 5};
    return brim_network_create(ctx, &spec, &t->net);
}

static inline brim_status training_try(struct training *t, brim_ctx *ctx, struct brim_graph *g,
                                       size_t batch)
{
    return training_try_quantized(t, ctx, g, batch, NULL);
}

static inline void training_close(struct training *t)
{
    brim_network_free(t->net);
    for (size_t i = 0; t->weights != NULL && i < t->dots.count; i++) {
        brim_weights_free(t->weights[i]);
    }
    brim_free(t->ctx, t->weights);
    brim_free(t->ctx, t->inputs);
    brim_free(t->ctx, t->input);
    brim_dots_free(&t->dots);
    brim_params_free(&t->params);
}

/* Floats from -1 to 1; free() them. */
static inline float *training_noise(uint64_t stream, size_t n)
{
    float *x = malloc(n * sizeof *x);
    struct brim_rng rng;

    assert_non_null(x);
    brim_rng_init(&rng, 11, stream);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(2 * brim_rng_uniform(&rng) - 1);
    }
    return x;
}

#endif
