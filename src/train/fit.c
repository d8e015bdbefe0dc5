/* fit.c - epochs of training. SPDX-License-Identifier: Apache-2.0
 *
 * Whatever a step depends on is in the checkpoint: values, the optimizer's past, and which epoch and
 * batch is next (order of samples, augmentation and Dropout follow from the seed and those numbers). A
 * run that stops after any batch and goes on ends in the same bits.
 */
#include "train/fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/intops.h"
#include "train/schedule.h"

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- opening ---- */

static brim_status allocate(struct brim_fit *f)
{
    const size_t out = brim_network_output_size(f->net), batch = f->batches->batch;
    size_t x = 0, y = 0;

    if (!brim_mul_size(batch, f->batches->sample, &x) || !brim_mul_size(batch, out, &y)) {
        return brim_fail(f->ctx, BRIM_ERR_NOMEM, "out of memory: a batch has too many elements");
    }
    if (!brim_data_has_labels(f->batches->data) && out != f->batches->sample) {
        return brim_fail(f->ctx, BRIM_ERR_ARG,
                         "data: has no labels, and the model's output of %zu elements cannot be "
                         "compared with its input of %zu",
                         out, f->batches->sample);
    }
    f->x = brim_arena_alloc(&f->arena, x, sizeof *f->x);
    f->label = brim_arena_alloc(&f->arena, batch, sizeof *f->label);
    f->y = brim_arena_alloc(&f->arena, y, sizeof *f->y);
    f->teaching = brim_arena_alloc(&f->arena, f->teacher != NULL ? y : 1, sizeof *f->teaching);
    f->best = brim_arena_zalloc(&f->arena, f->params->count + 1, sizeof *f->best);
    if (f->x == NULL || f->label == NULL || f->y == NULL || f->teaching == NULL ||
        f->best == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < f->params->count; i++) {
        f->best[i] = brim_arena_zalloc(&f->arena, f->params->param[i]->count, sizeof **f->best);
        if (f->best[i] == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    return BRIM_OK;
}

brim_status brim_fit_open(struct brim_fit *f)
{
    brim_arena_init(&f->arena, f->ctx);
    f->score = -HUGE_VAL;
    f->epoch = f->batch = 0;
    f->loss = 0.0;
    BRIM_TRY(
        brim_optimizer_init(&f->optimizer, f->ctx, f->params, f->p->optimizer, f->p->weight_decay));
    return allocate(f);
}

void brim_fit_close(struct brim_fit *f)
{
    if (f->arena.ctx != NULL) {
        brim_arena_free(&f->arena);
    }
    if (f->optimizer.arena.ctx != NULL) {
        brim_optimizer_free(&f->optimizer);
    }
}

void brim_fit_begin(struct brim_fit *f, uint64_t stint)
{
    f->stint = stint;
    f->epoch = f->batch = 0;
    f->loss = 0.0;
    f->score = -HUGE_VAL;
    brim_optimizer_reset(&f->optimizer);
}

static void keep_best(struct brim_fit *f)
{
    for (size_t i = 0; i < f->params->count; i++) {
        memcpy(f->best[i], f->params->param[i]->value, f->params->param[i]->count * sizeof(float));
    }
}

void brim_fit_restore_best(struct brim_fit *f)
{
    for (size_t i = 0; i < f->params->count && f->score > -HUGE_VAL; i++) {
        memcpy(f->params->param[i]->value, f->best[i], f->params->param[i]->count * sizeof(float));
    }
}

/* ---- validation ---- */

static brim_status check_label(const struct brim_fit *f, const char *which, size_t sample,
                               int64_t label)
{
    const size_t classes = brim_network_output_size(f->net);

    if (label < 0 || (uint64_t)label >= classes) {
        return brim_fail(f->ctx, BRIM_ERR_ARG,
                         "%s: sample %zu has label %lld, but the model has %zu classes", which,
                         sample, (long long)label, classes);
    }
    return BRIM_OK;
}

/* Correct answers among n samples, a tie going to the lowest index; or their squared error. */
static brim_status score_samples(const struct brim_fit *f, size_t first, size_t n, size_t *correct,
                                 double *error)
{
    const size_t out = brim_network_output_size(f->net);

    for (size_t i = 0; i < n; i++) {
        const float *y = f->y + i * out;
        size_t top = 0;
        if (!brim_data_has_labels(f->val)) {
            for (size_t k = 0; k < out; k++) {
                const double d = (double)y[k] - (double)f->x[i * out + k];
                *error += d * d / (double)out;
            }
            continue;
        }
        BRIM_TRY(check_label(f, "validation data", first + i, f->label[i]));
        for (size_t k = 1; k < out; k++) {
            top = y[k] > y[top] ? k : top;
        }
        *correct += top == (size_t)f->label[i];
    }
    return BRIM_OK;
}

static brim_status validate(struct brim_fit *f, brim_train_epoch *e)
{
    const size_t count = brim_data_count(f->val), batch = f->batches->batch;
    size_t correct = 0;
    double error = 0.0;

    for (size_t first = 0; first < count; first += batch) {
        const size_t n = brim_min_size(batch, count - first);
        BRIM_TRY(brim_data_read(f->ctx, f->val, first, n, f->x, f->label));
        BRIM_TRY(brim_network_predict(f->net, f->x, n, f->y));
        BRIM_TRY(score_samples(f, first, n, &correct, &error));
    }
    const bool labelled = brim_data_has_labels(f->val);
    e->accuracy = labelled ? (double)correct / (double)count : -1.0;
    e->mse = labelled ? -1.0 : error / (double)count;
    return BRIM_OK;
}

/* Validate, and enter the epoch into the history; a tie goes to the one that trained longer. */
static brim_status finish_epoch(struct brim_fit *f, brim_train_epoch *e)
{
    BRIM_TRY(validate(f, e));
    const double score = e->accuracy >= 0.0 ? e->accuracy : -e->mse;
    e->best = score >= f->score;
    if (e->best) {
        f->score = score;
        f->best_at = f->history->count;
        keep_best(f);
    }
    return brim_history_add(f->history, e);
}

brim_status brim_fit_look(struct brim_fit *f, const char *phase)
{
    const double start = now();
    brim_train_epoch e = {.phase = phase, .epoch = f->history->trained};

    BRIM_TRY(finish_epoch(f, &e));
    f->history->epoch[f->history->count - 1].seconds = now() - start;
    if (f->p->on_epoch != NULL) {
        f->p->on_epoch(f->p->user, &f->history->epoch[f->history->count - 1]);
    }
    return BRIM_OK;
}

/* ---- steps ---- */

static brim_status load_batch(struct brim_fit *f, struct brim_targets *t)
{
    struct brim_batches *b = f->batches;
    const bool labelled = brim_data_has_labels(b->data);

    BRIM_TRY(brim_batches_load(b, (size_t)f->batch));
    for (size_t i = 0; labelled && i < b->batch; i++) {
        BRIM_TRY(check_label(f, "data", b->order[(size_t)f->batch * b->batch + i], b->label[i]));
    }
    *t = (struct brim_targets){.label = labelled ? b->label : NULL,
                               .value = labelled ? NULL : b->x,
                               .smoothing = f->p->smoothing};
    if (f->teacher != NULL) {
        BRIM_TRY(brim_network_predict(f->teacher, b->x, b->batch, f->teaching));
        t->teacher = f->teaching;
        t->share = f->p->distill;
        t->temperature = f->p->temperature;
    }
    return BRIM_OK;
}

static brim_status diverged(const struct brim_fit *f, const char *layer, uint64_t step)
{
    const bool kept = f->p->checkpoint != NULL && f->history->trained > 0;

    return brim_fail(
        f->ctx, BRIM_ERR_ARG,
        "%s%s%sthe loss is not a number at step %llu (epoch %zu), try a smaller learning "
        "rate%s%s%s",
        layer == NULL ? "" : "layer '", layer == NULL ? "" : layer,
        layer == NULL ? "" : "': ", (unsigned long long)step, f->history->trained + 1,
        kept ? "; " : "", kept ? f->p->checkpoint : "", kept ? " holds the epochs before" : "");
}

/* One batch forward, backward and a step downhill. */
static brim_status train_batch(struct brim_fit *f, size_t epochs, double *rate)
{
    const uint64_t per_epoch = f->batches->count;
    const uint64_t step = (uint64_t)f->history->trained * per_epoch + f->batch; /* of the run */
    struct brim_targets targets;
    const char *layer = NULL;
    double loss;

    BRIM_TRY(load_batch(f, &targets));
    BRIM_TRY(brim_network_train(f->net, f->batches->x, f->batches->batch, &targets, step, &loss,
                                &layer));
    if (!isfinite(loss)) {
        return diverged(f, layer, step);
    }
    for (size_t i = 0; i < f->n_weights && f->p->penalty > 0.0; i++) {
        (void)brim_weights_penalty(f->weights[i], f->p->penalty);
    }
    *rate = brim_schedule_rate(f->p->schedule, f->rate, f->epoch * per_epoch + f->batch,
                               (uint64_t)epochs * per_epoch,
                               (uint64_t)(f->p->warmup * (double)per_epoch));
    BRIM_TRY(brim_optimizer_step(&f->optimizer, *rate));
    for (size_t i = 0; i < f->n_weights; i++) {
        brim_weights_settle(f->weights[i]);
    }
    f->loss += loss;
    f->batch++;
    return BRIM_OK;
}

static void tell_step(const struct brim_fit *f, const char *phase, double seconds, size_t here)
{
    const struct brim_history *h = f->history;
    const double rate = seconds > 0.0 ? (double)here / seconds : 0.0;
    const uint64_t done = (uint64_t)h->trained * f->batches->count + f->batch;
    const uint64_t all = f->epochs_in_all * f->batches->count;
    const brim_train_step step = {
        .phase = phase,
        .epoch = h->trained + 1,
        .epochs = (size_t)f->epochs_in_all,
        .batch = (size_t)f->batch,
        .batches = f->batches->count,
        .loss = f->loss / (double)f->batch,
        .accuracy = h->count > 0 ? h->epoch[h->count - 1].accuracy : -1.0,
        .images_per_second = rate * (double)f->batches->batch,
        .seconds_left = rate > 0.0 ? (double)(all - done) / rate : 0.0,
    };

    if (f->p->on_step != NULL) {
        f->p->on_step(f->p->user, &step);
    }
}

/* ---- checkpoints ---- */

static brim_status add_values(const struct brim_fit *f, struct brim_checkpoint_writer *w,
                              const char *what, float *const *value)
{
    char name[512];

    for (size_t i = 0; i < f->params->count; i++) {
        const struct brim_param *p = f->params->param[i];
        const float *v = value == NULL ? p->value : value[i];
        if (v != NULL) {
            (void)snprintf(name, sizeof name, "%s.%.480s", what, p->name);
            BRIM_TRY(brim_checkpoint_add(w, name, BRIM_RECORD_F32, v, p->count));
        }
    }
    return BRIM_OK;
}

#define HISTORY_NUMBERS 9

static brim_status add_history(const struct brim_fit *f, struct brim_checkpoint_writer *w)
{
    double row[HISTORY_NUMBERS];
    char name[48];

    for (size_t i = 0; i < f->history->count; i++) {
        const brim_train_epoch *e = &f->history->epoch[i];
        double phase = 0.0;
        for (size_t k = 0; k < 3; k++) {
            phase = strcmp(e->phase, brim_phase_names[k]) == 0 ? (double)k : phase;
        }
        row[0] = phase;
        row[1] = (double)e->epoch;
        row[2] = e->rate;
        row[3] = e->loss;
        row[4] = e->accuracy;
        row[5] = e->mse;
        row[6] = e->images_per_second;
        row[7] = e->seconds;
        row[8] = e->best ? 1.0 : 0.0;
        (void)snprintf(name, sizeof name, "history.%zu", i);
        BRIM_TRY(brim_checkpoint_add(w, name, BRIM_RECORD_F64, row, HISTORY_NUMBERS));
    }
    return BRIM_OK;
}

static brim_status add_state(const struct brim_fit *f, struct brim_checkpoint_writer *w)
{
    const uint64_t numbers[] = {f->stint,          f->epoch,          f->batch,
                                f->optimizer.step, f->history->count, f->best_at};
    const double reals[] = {f->loss, f->score};

    BRIM_TRY(brim_checkpoint_add(w, "numbers", BRIM_RECORD_U64, numbers, 6));
    BRIM_TRY(brim_checkpoint_add(w, "reals", BRIM_RECORD_F64, reals, 2));
    BRIM_TRY(add_history(f, w));
    for (size_t i = 0; i < f->n_extra; i++) {
        const struct brim_fit_extra *e = &f->extra[i];
        BRIM_TRY(brim_checkpoint_add(w, e->name, e->kind, e->data, e->count));
    }
    BRIM_TRY(add_values(f, w, "value", NULL));
    BRIM_TRY(add_values(f, w, "best", f->best));
    BRIM_TRY(add_values(f, w, "first", f->optimizer.first));
    return add_values(f, w, "second", f->optimizer.second);
}

static brim_status save_checkpoint(const struct brim_fit *f)
{
    struct brim_checkpoint_writer w;

    if (f->p->checkpoint == NULL) {
        return BRIM_OK;
    }
    brim_status s = brim_checkpoint_begin(&w, f->ctx);
    if (s == BRIM_OK) {
        s = add_state(f, &w);
    }
    if (s == BRIM_OK) {
        s = brim_checkpoint_save(&w, f->p->checkpoint);
    }
    brim_checkpoint_discard(&w);
    return s;
}

static brim_status get_values(const struct brim_fit *f, const struct brim_checkpoint *c,
                              const char *what, float *const *value)
{
    char name[512];

    for (size_t i = 0; i < f->params->count; i++) {
        const struct brim_param *p = f->params->param[i];
        float *v = value == NULL ? p->value : value[i];
        if (v != NULL) {
            (void)snprintf(name, sizeof name, "%s.%.480s", what, p->name);
            BRIM_TRY(brim_checkpoint_get(c, name, BRIM_RECORD_F32, v, p->count));
        }
    }
    return BRIM_OK;
}

brim_status brim_history_load(struct brim_history *h, const struct brim_checkpoint *c)
{
    uint64_t numbers[6];
    double row[HISTORY_NUMBERS];
    char name[48];

    BRIM_TRY(brim_checkpoint_get(c, "numbers", BRIM_RECORD_U64, numbers, 6));
    for (uint64_t i = 0; i < numbers[4]; i++) {
        (void)snprintf(name, sizeof name, "history.%llu", (unsigned long long)i);
        BRIM_TRY(brim_checkpoint_get(c, name, BRIM_RECORD_F64, row, HISTORY_NUMBERS));
        if (!(row[0] >= 0.0 && row[0] <= 2.0) || !(row[1] >= 0.0 && row[1] < 0x1p53)) {
            return brim_fail(c->ctx, BRIM_ERR_FILE, "%s: the checkpoint's history is damaged",
                             c->path);
        }
        BRIM_TRY(brim_history_add(h, &(brim_train_epoch){.phase = brim_phase_names[(size_t)row[0]],
                                                         .epoch = (size_t)row[1],
                                                         .rate = row[2],
                                                         .loss = row[3],
                                                         .accuracy = row[4],
                                                         .mse = row[5],
                                                         .images_per_second = row[6],
                                                         .seconds = row[7],
                                                         .best = row[8] != 0.0}));
    }
    return BRIM_OK;
}

brim_status brim_fit_resume(struct brim_fit *f, const struct brim_checkpoint *c)
{
    uint64_t numbers[6];
    double reals[2];

    BRIM_TRY(brim_checkpoint_get(c, "numbers", BRIM_RECORD_U64, numbers, 6));
    BRIM_TRY(brim_checkpoint_get(c, "reals", BRIM_RECORD_F64, reals, 2));
    BRIM_TRY(get_values(f, c, "value", NULL));
    BRIM_TRY(get_values(f, c, "best", f->best));
    BRIM_TRY(get_values(f, c, "first", f->optimizer.first));
    BRIM_TRY(get_values(f, c, "second", f->optimizer.second));
    if (numbers[2] > f->batches->count || numbers[5] >= numbers[4] + 1) {
        return brim_fail(f->ctx, BRIM_ERR_FILE, "%s: the checkpoint is of another run", c->path);
    }
    f->stint = numbers[0];
    f->epoch = numbers[1];
    f->batch = numbers[2];
    f->optimizer.step = numbers[3];
    f->best_at = (size_t)numbers[5];
    f->loss = reals[0];
    f->score = reals[1];
    return BRIM_OK;
}

/* ---- epochs ---- */

/* The batches of one epoch that are not done yet. *e: what the epoch was like. */
static brim_status run_batches(struct brim_fit *f, const char *phase, size_t epochs,
                               brim_train_epoch *e)
{
    const double start = now();
    const uint64_t first = f->batch, done = (uint64_t)f->history->trained * f->batches->count;
    const uint64_t all = f->epochs_in_all * f->batches->count;

    brim_batches_shuffle(f->batches, f->history->trained);
    while (f->batch < f->batches->count) {
        BRIM_TRY(train_batch(f, epochs, &e->rate));
        tell_step(f, phase, now() - start, (size_t)(f->batch - first));
        const brim_status s = brim_progress(f->ctx, "train", done + f->batch, all);
        if (s != BRIM_OK) {
            BRIM_TRY(save_checkpoint(f));
            return s;
        }
    }
    e->seconds = now() - start;
    e->loss = f->loss / (double)f->batches->count;
    e->images_per_second =
        e->seconds > 0.0 ? (double)((f->batch - first) * f->batches->batch) / e->seconds : 0.0;
    return BRIM_OK;
}

brim_status brim_fit_run(struct brim_fit *f, const char *phase, size_t epochs)
{
    while (f->epoch < epochs) {
        brim_train_epoch e = {.phase = phase, .epoch = f->history->trained + 1};
        BRIM_TRY(run_batches(f, phase, epochs, &e));
        BRIM_TRY(finish_epoch(f, &e));
        f->epoch++;
        f->batch = 0;
        f->loss = 0.0;
        BRIM_TRY(save_checkpoint(f));
        if (f->p->on_epoch != NULL) {
            f->p->on_epoch(f->p->user, &f->history->epoch[f->history->count - 1]);
        }
    }
    return BRIM_OK;
}
