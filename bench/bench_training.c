/* bench_training.c - images per second of training steps. SPDX-License-Identifier: Apache-2.0
 *
 *   bench_training MODEL.onnx THREADS BATCH float|qat WBITS/ABITS
 *
 * A line on standard input asks for that many steps of forward and backward, without optimizer, on
 * random samples; the answer is a line: milliseconds of each. End of input ends the program, and
 * bench/training.py takes turns between it and PyTorch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "brim/onnx.h"
#include "train/network.h"

struct bench {
    brim_ctx *ctx;
    struct brim_graph *g;
    struct brim_dots dots;
    struct brim_params params;
    struct brim_weights **weights;
    struct brim_inputs *inputs, **input;
    struct brim_network *net;
    int threads;
    size_t batch;
    float *x;
    int64_t *label;
};

/* Inputs of `abits` bits from 0 to 4, weights of `wbits`, both with learned scales. */
static brim_status quantize(struct bench *b, const char *method, unsigned wbits, unsigned abits)
{
    const bool qat = strcmp(method, "qat") == 0;

    for (size_t i = 0; i < b->dots.count; i++) {
        const struct brim_dot *d = &b->dots.dot[i];
        const struct brim_grid grid = {
            .dtype = BRIM_UINT8, .hi = (1 << abits) - 1, .scale = 4.0f / (float)((1 << abits) - 1)};
        const struct brim_weights_spec spec = {
            .name = d->name,
            .n = d->n,
            .k = d->k,
            .method = qat ? BRIM_TRAIN_QAT : BRIM_TRAIN_FLOAT,
            .bits = wbits,
            .x_max = grid.hi,
            .datapath = {.n_stages = 1, .stage = {{.width = 32}}},
            .w = d->w_f32};
        BRIM_TRY(brim_weights_create(&b->params, &spec, &b->weights[i]));
        if (qat) {
            b->input[i] = &b->inputs[i];
            BRIM_TRY(brim_inputs_init(b->input[i], &b->params, d->name, &grid, false));
        }
    }
    return BRIM_OK;
}

static brim_status fill(struct bench *b)
{
    const struct brim_shape *s = &b->g->values[b->g->inputs[0]].type.shape;
    size_t size = 1;
    struct brim_rng rng;

    for (int i = 1; i < s->rank; i++) {
        size *= (size_t)s->dim[i];
    }
    b->x = brim_alloc(b->ctx, b->batch * size, sizeof *b->x);
    b->label = brim_alloc(b->ctx, b->batch, sizeof *b->label);
    if (b->x == NULL || b->label == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_rng_init(&rng, 1, 1);
    for (size_t i = 0; i < b->batch * size; i++) {
        b->x[i] = (float)brim_rng_uniform(&rng);
    }
    for (size_t i = 0; i < b->batch; i++) {
        b->label[i] = (int64_t)brim_rng_below(&rng, brim_network_output_size(b->net));
    }
    return BRIM_OK;
}

static brim_status prepare(struct bench *b, const char *path, const char *method, const char *bits)
{
    char *end = NULL;
    const unsigned long wbits = strtoul(bits, &end, 10);
    const unsigned long abits = *end == '/' ? strtoul(end + 1, &end, 10) : 0;

    if (*end != '\0' || wbits < 2 || wbits > 8 || abits < 2 || abits > 8) {
        return brim_fail(b->ctx, BRIM_ERR_ARG, "bits: '%s', expected such as 4/4", bits);
    }
    brim_params_init(&b->params, b->ctx);
    BRIM_TRY(brim_onnx_load(b->ctx, path, &b->g));
    BRIM_TRY(brim_graph_canonicalise(b->g));
    BRIM_TRY(brim_graph_fold_bias(b->g));
    BRIM_TRY(brim_graph_infer(b->g));
    BRIM_TRY(brim_dots_find(b->ctx, b->g, &b->dots));
    b->weights = brim_zalloc(b->ctx, b->dots.count + 1, sizeof(void *));
    b->inputs = brim_zalloc(b->ctx, b->dots.count + 1, sizeof *b->inputs);
    b->input = brim_zalloc(b->ctx, b->dots.count + 1, sizeof(void *));
    if (b->weights == NULL || b->inputs == NULL || b->input == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(quantize(b, method, (unsigned)wbits, (unsigned)abits));
    const struct brim_network_spec spec = {.graph = b->g,
                                           .dots = &b->dots,
                                           .weights = b->weights,
                                           .inputs = b->input,
                                           .params = &b->params,
                                           .batch = b->batch};
    BRIM_TRY(brim_network_create(b->ctx, &spec, &b->net));
    return fill(b);
}

/* One thread's own time where there is one, so that a busy machine does not count. */
static double seconds(const struct bench *b)
{
    struct timespec t;

    (void)clock_gettime(b->threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static brim_status serve(struct bench *b)
{
    const struct brim_targets targets = {.label = b->label};
    char line[64];
    uint64_t step = 0;

    while (fgets(line, sizeof line, stdin) != NULL) {
        for (long n = strtol(line, NULL, 10); n > 0; n--) {
            double loss;
            const char *layer;
            const double start = seconds(b);
            BRIM_TRY(brim_network_train(b->net, b->x, b->batch, &targets, step++, &loss, &layer));
            printf("%.4f ", 1e3 * (seconds(b) - start));
        }
        printf("\n");
        (void)fflush(stdout);
    }
    return BRIM_OK;
}

static void release(struct bench *b)
{
    brim_network_free(b->net);
    for (size_t i = 0; b->weights != NULL && i < b->dots.count; i++) {
        brim_weights_free(b->weights[i]);
    }
    brim_free(b->ctx, b->weights);
    brim_free(b->ctx, b->inputs);
    brim_free(b->ctx, b->input);
    brim_free(b->ctx, b->x);
    brim_free(b->ctx, b->label);
    brim_dots_free(&b->dots);
    brim_params_free(&b->params);
    brim_graph_free(b->g);
    brim_ctx_free(b->ctx);
}

int main(int argc, char **argv)
{
    brim_ctx_params params;
    struct bench b = {0};

    if (argc != 6) {
        fprintf(stderr, "usage: %s MODEL.onnx THREADS BATCH float|qat WBITS/ABITS\n", argv[0]);
        return 2;
    }
    brim_ctx_params_init(&params);
    params.threads = b.threads = (int)strtol(argv[2], NULL, 10);
    b.batch = (size_t)strtoul(argv[3], NULL, 10);
    if (brim_ctx_create(&params, &b.ctx) != BRIM_OK) {
        fprintf(stderr, "%s: bad number of threads\n", argv[0]);
        return 2;
    }
    brim_status s = prepare(&b, argv[1], argv[4], argv[5]);
    s = s == BRIM_OK ? serve(&b) : s;
    if (s != BRIM_OK) {
        fprintf(stderr, "%s: %s\n", argv[0], brim_error(b.ctx));
    }
    release(&b);
    return s == BRIM_OK ? 0 : 1;
}
