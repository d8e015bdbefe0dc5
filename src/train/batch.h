/* batch.h - training samples in a new order every epoch. SPDX-License-Identifier: Apache-2.0
 *
 * Sample order depends on (seed, epoch), what a sample becomes on (seed, epoch, sample): neither the
 * number of threads nor the batch it is in can be seen.
 */
#ifndef BRIM_TRAIN_BATCH_H
#define BRIM_TRAIN_BATCH_H

#include "base/alloc.h"
#include "brim/data.h"
#include "train/augment.h"

struct brim_batches {
    brim_ctx *ctx;
    struct brim_arena arena;
    const brim_data *data;
    struct brim_augment augment;
    uint64_t seed;
    size_t batch, count; /* samples of one, batches of an epoch: the rest is left out */
    size_t sample;       /* elements */
    size_t channels, height, width;
    size_t *order;   /* [samples] */
    uint64_t epoch;  /* that it is for */
    float **scratch; /* [threads][sample] */
    float *x;        /* [batch][sample], what brim_batches_load() filled */
    int64_t *label;  /* [batch] */
};

/* BRIM_ERR_ARG: fewer samples than a batch; images to be varied that are none. */
BRIM_NODISCARD brim_status brim_batches_init(struct brim_batches *b, brim_ctx *ctx,
                                             const brim_data *data, size_t batch, uint64_t seed,
                                             const struct brim_augment *augment);
void brim_batches_free(struct brim_batches *b);
/* The order of this epoch. */
void brim_batches_shuffle(struct brim_batches *b, uint64_t epoch);
/* Batch i of the epoch into x and label. */
BRIM_NODISCARD brim_status brim_batches_load(struct brim_batches *b, size_t i);

#endif
