/* batch.c - see batch.h. SPDX-License-Identifier: Apache-2.0 */
#include "train/batch.h"

#include "base/intops.h"
#include "base/parallel.h"

/* Streams of one seed: orders, and samples of an epoch. */
#define ORDER_STREAM   UINT64_C(0x6f72646572000000)
#define SAMPLE_STREAM  UINT64_C(0x73616d706c650000)
#define EPOCH_MULTIPLE UINT64_C(0x9e3779b97f4a7c15)

static brim_status fit_images(struct brim_batches *b)
{
    int64_t dim[8];
    const int rank = brim_data_shape(b->data, dim);

    if (!brim_augment_any(&b->augment)) {
        return BRIM_OK;
    }
    if (rank != 2 && rank != 3) {
        return brim_fail(b->ctx, BRIM_ERR_ARG,
                         "augment: samples have rank %d, expected images [channels,height,width]",
                         rank);
    }
    b->channels = rank == 3 ? (size_t)dim[0] : 1;
    b->height = (size_t)dim[rank - 2];
    b->width = (size_t)dim[rank - 1];
    if (b->augment.reach >= b->height || b->augment.reach >= b->width) {
        return brim_fail(b->ctx, BRIM_ERR_ARG, "augment: %s%zu, but images have %zux%zu pixels",
                         b->augment.edges ? "shift" : "crop", b->augment.reach, b->height,
                         b->width);
    }
    return BRIM_OK;
}

static brim_status allocate(struct brim_batches *b, size_t samples)
{
    const size_t threads = (size_t)b->ctx->threads;
    size_t n;

    if (!brim_mul_size(b->batch, b->sample, &n)) {
        return brim_fail(b->ctx, BRIM_ERR_NOMEM, "out of memory: a batch has too many elements");
    }
    b->order = brim_arena_alloc(&b->arena, samples, sizeof *b->order);
    b->x = brim_arena_alloc(&b->arena, n, sizeof *b->x);
    b->label = brim_arena_alloc(&b->arena, b->batch, sizeof *b->label);
    b->scratch = brim_arena_zalloc(&b->arena, threads, sizeof *b->scratch);
    if (b->order == NULL || b->x == NULL || b->label == NULL || b->scratch == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < threads; i++) {
        b->scratch[i] = brim_arena_alloc(&b->arena, b->sample, sizeof **b->scratch);
        if (b->scratch[i] == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    return BRIM_OK;
}

brim_status brim_batches_init(struct brim_batches *b, brim_ctx *ctx, const brim_data *data,
                              size_t batch, uint64_t seed, const struct brim_augment *augment)
{
    const size_t samples = brim_data_count(data);

    *b = (struct brim_batches){.ctx = ctx,
                               .data = data,
                               .augment = *augment,
                               .seed = seed,
                               .batch = batch,
                               .count = samples / batch,
                               .sample = brim_data_sample_size(data)};
    brim_arena_init(&b->arena, ctx);
    if (b->count == 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "data: %zu samples, expected at least a batch of %zu",
                         samples, batch);
    }
    BRIM_TRY(fit_images(b));
    BRIM_TRY(allocate(b, samples));
    brim_batches_shuffle(b, 0);
    return BRIM_OK;
}

void brim_batches_free(struct brim_batches *b)
{
    brim_arena_free(&b->arena);
}

void brim_batches_shuffle(struct brim_batches *b, uint64_t epoch)
{
    const size_t n = brim_data_count(b->data);
    struct brim_rng rng;

    b->epoch = epoch;
    brim_rng_init(&rng, b->seed, ORDER_STREAM + epoch);
    for (size_t i = 0; i < n; i++) { /* Fisher and Yates, from the inside out */
        const size_t j = (size_t)brim_rng_below(&rng, i + 1);
        b->order[i] = b->order[j];
        b->order[j] = i;
    }
}

struct load {
    struct brim_batches *b;
    size_t first;
};

static brim_status load_sample(void *arg, size_t i, int worker)
{
    const struct load *l = arg;
    struct brim_batches *b = l->b;
    const size_t sample = b->order[l->first + i];
    float *x = b->x + i * b->sample;

    BRIM_TRY(brim_data_read(b->ctx, b->data, sample, 1, x, &b->label[i]));
    if (brim_augment_any(&b->augment)) {
        struct brim_rng rng;
        brim_rng_init(&rng, b->seed ^ (SAMPLE_STREAM + b->epoch * EPOCH_MULTIPLE), sample);
        brim_augment_apply(&b->augment, &rng, b->channels, b->height, b->width, x,
                           b->scratch[worker]);
    }
    return BRIM_OK;
}

brim_status brim_batches_load(struct brim_batches *b, size_t i)
{
    struct load l = {b, i * b->batch};

    return brim_parallel_for(b->ctx, b->batch, load_sample, &l);
}
