/* fit.h - epochs of training: batches, steps, validation, the best so far, checkpoints.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A run is a row of stints: epochs with one schedule and one pattern of pruned weights. What happens
 * between stints (pruning, another network) is the caller's; so are the records of a checkpoint that
 * only the caller understands.
 */
#ifndef BRIM_TRAIN_FIT_H
#define BRIM_TRAIN_FIT_H

#include "train/batch.h"
#include "train/checkpoint.h"
#include "train/network.h"
#include "train/optimizer.h"

/* Epochs of a whole run, over all stints; what the report and the checkpoint have of the past. */
struct brim_history {
    struct brim_arena arena;
    size_t count, capacity, trained; /* trained: epochs but those that only validate */
    brim_train_epoch *epoch;         /* phase: one of brim_phase_names */
};
extern const char *const brim_phase_names[3]; /* "float", "prune", "quantized" */

/* Something of the caller's that a checkpoint keeps. */
struct brim_fit_extra {
    const char *name;
    enum brim_record_kind kind;
    const void *data;
    size_t count;
};

struct brim_fit {
    brim_ctx *ctx;
    const brim_train_params *p;
    const brim_data *val;
    struct brim_batches *batches;
    struct brim_history *history;
    uint64_t epochs_in_all; /* of all stints */
    size_t n_extra;
    const struct brim_fit_extra *extra;

    /* of the network that is trained now */
    struct brim_network *net, *teacher; /* teacher NULL = none */
    struct brim_params *params;
    size_t n_weights;
    struct brim_weights *const *weights;
    struct brim_optimizer optimizer;
    struct brim_arena arena;
    float **best;   /* [params->count] values of the best epoch of this stint */
    double score;   /* its accuracy, or minus its error; -HUGE_VAL = none yet */
    size_t best_at; /* its place in the history */
    float *y;       /* [batch][output size] of predictions */
    float *teaching;
    float *x; /* [batch][sample] of validation */
    int64_t *label;

    /* of the stint */
    uint64_t stint, epoch, batch; /* its number; epochs of it and batches of that epoch finished */
    double loss;                  /* sum over those batches */
    double rate;                  /* learning rate at its top */
};

/* A network to train: fills what depends on it. Everything above it in the struct, net, teacher, params
 * and weights are set. Release with brim_fit_close(), also after a failure. */
BRIM_NODISCARD brim_status brim_fit_open(struct brim_fit *f);
void brim_fit_close(struct brim_fit *f);

/* Validate as it is, and add that to the history as a candidate for the best. */
BRIM_NODISCARD brim_status brim_fit_look(struct brim_fit *f, const char *phase);
/* Train up to `epochs` epochs of stint f->stint at f->rate, of which f->epoch and f->batch are done already. */
BRIM_NODISCARD brim_status brim_fit_run(struct brim_fit *f, const char *phase, size_t epochs);
/* Another stint: nothing is done, nothing is best, the optimizer has no past. */
void brim_fit_begin(struct brim_fit *f, uint64_t stint);
/* Values of the best epoch of the stint. */
void brim_fit_restore_best(struct brim_fit *f);
/* The state that a checkpoint of this stint holds. */
BRIM_NODISCARD brim_status brim_fit_resume(struct brim_fit *f, const struct brim_checkpoint *c);

/* What the history of a checkpoint says; `h` is empty. */
BRIM_NODISCARD brim_status brim_history_load(struct brim_history *h,
                                             const struct brim_checkpoint *c);
BRIM_NODISCARD brim_status brim_history_add(struct brim_history *h, const brim_train_epoch *epoch);

#endif
