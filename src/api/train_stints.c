/* train_stints.c - what is trained when, and how a run goes on from its checkpoint.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pruning targets: of a group's z zeros, stage i of R has round(z (1 - (1 - i/R)^3)), the cubic schedule
 * of Zhu and Gupta (arXiv 1710.01878): many at first, while there are many to choose from. Stages that
 * add no zero are one with the stage before, as long as all of them: what is best of it is kept.
 */
#include <string.h>

#include "api/train_flow.h"
#include "base/intops.h"

static void add_stint(struct brim_train_flow *f, const char *phase, bool quantized, size_t epochs,
                      unsigned zeros)
{
    f->stint[f->n_stints++] = (struct brim_train_stint){phase, quantized, epochs, zeros};
    f->fit.epochs_in_all += epochs;
}

static void add_stage(struct brim_train_flow *f, unsigned zeros)
{
    const brim_train_params *p = f->p;
    struct brim_train_stint *before = f->n_stints > 0 ? &f->stint[f->n_stints - 1] : NULL;

    if (before != NULL && before->zeros == zeros && zeros > 0) {
        before->epochs += p->prune_epochs;
        f->fit.epochs_in_all += p->prune_epochs;
        return;
    }
    add_stint(f, brim_phase_names[1], p->prune_last, p->prune_epochs, zeros);
}

brim_status brim_train_make_stints(struct brim_train_flow *f)
{
    const brim_train_params *p = f->p;
    const double stages = (double)p->prune_stages;

    if (p->method == BRIM_TRAIN_FLOAT) {
        add_stint(f, brim_phase_names[0], false, p->epochs, 0);
        return BRIM_OK;
    }
    if (p->float_epochs > 0) {
        add_stint(f, brim_phase_names[0], false, p->float_epochs, 0);
    }
    for (size_t i = 1; p->method == BRIM_TRAIN_PQS && i <= p->prune_stages; i++) {
        const double left = 1.0 - (double)i / stages;
        const double z = (double)(p->prune.group - p->prune.keep) * (1.0 - left * left * left);
        add_stage(f, (unsigned)brim_rint(z));
    }
    add_stint(f, brim_phase_names[2], true, p->epochs, 0);
    return BRIM_OK;
}

/* ---- checkpoints ---- */

static brim_status describe(struct brim_train_flow *f, const struct brim_graph *g,
                            struct brim_buffer *b)
{
    const brim_train_params *p = f->p;
    char datapath[BRIM_DATAPATH_TEXT];

    brim_datapath_print(&p->datapath, datapath);
    BRIM_TRY(brim_buffer_printf(
        b,
        "%d %zu %zu %zu %a %a %a %d %d %a %a %s %a %a|%d %d %d %u %u %u %u %s %a %zu|%u %u %u %zu %zu %d %d|",
        (int)p->method, p->epochs, p->float_epochs, p->batch, p->rate, p->float_rate, p->warmup,
        (int)p->schedule, (int)p->optimizer, p->weight_decay, p->smoothing,
        p->augment == NULL ? "" : p->augment, p->distill, p->temperature, (int)p->norm,
        (int)p->norm_auto, (int)p->init, p->wbits, p->abits, p->input_bits, p->edge_bits, datapath,
        p->penalty, p->calib, p->prune.keep, p->prune.group, p->prune.block, p->prune_stages,
        p->prune_epochs, (int)p->prune_last, (int)p->prune_regrow));
    BRIM_TRY(brim_buffer_printf(b, "%llu %zu %zu|", (unsigned long long)f->ctx->params.seed,
                                brim_data_count(f->data), brim_data_count(f->val)));
    for (size_t i = 0; i < p->n_overrides; i++) {
        const brim_quantize_override *o = &p->overrides[i];
        datapath[0] = '\0';
        if (o->datapath != NULL) {
            brim_datapath_print(o->datapath, datapath);
        }
        BRIM_TRY(brim_buffer_printf(b, "%s %u %u %s %d %d|", o->pattern, o->wbits, o->abits,
                                    datapath, (int)o->keep_float, (int)o->keep_dense));
    }
    for (size_t i = 0; i < g->n_values; i++) {
        const struct brim_tensor *t = g->values[i].constant;
        if (t != NULL && brim_shape_count(&t->type.shape) > 0) {
            BRIM_TRY(brim_buffer_append(b, t->data,
                                        (size_t)brim_shape_count(&t->type.shape) *
                                            brim_dtype_size(t->type.dtype)));
        }
    }
    return BRIM_OK;
}

brim_status brim_train_identify(struct brim_train_flow *f, const struct brim_graph *graph)
{
    struct brim_buffer b;

    brim_buffer_init(&b, f->ctx, f->ctx->params.max_file_bytes);
    const brim_status s = describe(f, graph, &b);
    if (s == BRIM_OK) {
        brim_hash_hex(b.data, b.size, f->identity);
    }
    brim_buffer_free(&b);
    BRIM_TRY(s);
    f->extra = brim_arena_zalloc(&f->arena, f->n_layers + 1, sizeof *f->extra);
    if (f->extra == NULL) {
        return BRIM_ERR_NOMEM;
    }
    f->extra[f->n_extra++] =
        (struct brim_fit_extra){"identity", BRIM_RECORD_BYTES, f->identity, BRIM_HASH_CHARS - 1};
    return BRIM_OK;
}

brim_status brim_train_load(struct brim_train_flow *f)
{
    char identity[BRIM_HASH_CHARS] = "";
    uint64_t numbers[6];

    if (!f->p->resume) {
        return BRIM_OK;
    }
    f->resumed = true; /* from here on there is something to free */
    BRIM_TRY(brim_checkpoint_load(f->ctx, f->p->checkpoint, &f->resume));
    BRIM_TRY(brim_checkpoint_get(&f->resume, "identity", BRIM_RECORD_BYTES, identity,
                                 BRIM_HASH_CHARS - 1));
    BRIM_TRY(brim_checkpoint_get(&f->resume, "numbers", BRIM_RECORD_U64, numbers, 6));
    if (strcmp(identity, f->identity) != 0 || numbers[0] >= f->n_stints) {
        return brim_fail(
            f->ctx, BRIM_ERR_ARG,
            "%s: is the checkpoint of another run: model, data and options have to be the "
            "same",
            f->p->checkpoint);
    }
    f->resume_stint = numbers[0];
    for (size_t i = 0; i < f->n_layers; i++) {
        const char *name = brim_arena_printf(&f->arena, "keep.%zu", i);
        if (name == NULL) {
            return BRIM_ERR_NOMEM;
        }
        if (f->keep[i] != NULL) {
            const struct brim_dot *d = &f->q.dots.dot[i];
            BRIM_TRY(
                brim_checkpoint_get(&f->resume, name, BRIM_RECORD_BYTES, f->keep[i], d->n * d->k));
        }
    }
    return brim_history_load(&f->history, &f->resume);
}

/* The float network as it was when its last stint ended: later checkpoints keep its values. */
static brim_status add_done(struct brim_train_flow *f)
{
    const struct brim_params *p = &f->net.params;
    struct brim_fit_extra *extra =
        brim_arena_zalloc(&f->arena, f->n_extra + p->count + 1, sizeof *extra);

    if (extra == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(extra, f->extra, f->n_extra * sizeof *extra);
    f->extra = extra;
    for (size_t i = 0; i < p->count; i++) {
        const struct brim_param *from = p->param[i];
        float *v = brim_arena_alloc(&f->arena, from->count, sizeof *v);
        const char *name = brim_arena_printf(&f->arena, "done.%s", from->name);
        if (v == NULL || name == NULL) {
            return BRIM_ERR_NOMEM;
        }
        memcpy(v, from->value, from->count * sizeof *v);
        f->extra[f->n_extra++] = (struct brim_fit_extra){name, BRIM_RECORD_F32, v, from->count};
    }
    return BRIM_OK;
}

static brim_status load_done(struct brim_train_flow *f)
{
    for (size_t i = 0; i < f->net.params.count; i++) {
        const struct brim_param *p = f->net.params.param[i];
        const char *name = brim_arena_printf(&f->arena, "done.%s", p->name);
        if (name == NULL) {
            return BRIM_ERR_NOMEM;
        }
        BRIM_TRY(brim_checkpoint_get(&f->resume, name, BRIM_RECORD_F32, p->value, p->count));
    }
    return BRIM_OK;
}

/* ---- running ---- */

static void attach(struct brim_train_flow *f)
{
    f->fit.net = f->net.net;
    f->fit.teacher = f->teacher.net;
    f->fit.params = &f->net.params;
    f->fit.n_weights = f->net.count;
    f->fit.weights = f->net.weights;
    f->fit.batches = &f->batches;
    f->fit.history = &f->history;
    f->fit.extra = f->extra;
    f->fit.n_extra = f->n_extra;
}

static brim_status run_all(struct brim_train_flow *f, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++) {
        const struct brim_train_stint *s = &f->stint[i];
        const bool goes_on = f->resumed && f->resume_stint == i;
        if (f->resumed && f->resume_stint > i) {
            continue;
        }
        if (goes_on) {
            BRIM_TRY(brim_train_apply_patterns(f, s));
            BRIM_TRY(brim_fit_resume(&f->fit, &f->resume));
        } else {
            brim_fit_begin(&f->fit, i);
            BRIM_TRY(brim_train_prune(f, s));
            BRIM_TRY(brim_fit_look(&f->fit, s->phase));
        }
        f->fit.rate = s->quantized || f->p->float_rate <= 0.0 ? f->p->rate : f->p->float_rate;
        BRIM_TRY(brim_fit_run(&f->fit, s->phase, s->epochs));
    }
    return BRIM_OK;
}

brim_status brim_train_run_stints(struct brim_train_flow *f, bool quantized)
{
    size_t first = 0, last;

    while (first < f->n_stints && f->stint[first].quantized != quantized) {
        first++;
    }
    for (last = first; last < f->n_stints && f->stint[last].quantized == quantized;) {
        last++;
    }
    if (f->resumed && f->resume_stint >= last) { /* all done in a run before */
        BRIM_TRY(load_done(f));
        BRIM_TRY(brim_train_apply_patterns(f, &f->stint[last - 1]));
    } else {
        attach(f);
        brim_status s = brim_fit_open(&f->fit);
        if (s == BRIM_OK) {
            s = run_all(f, first, last);
        }
        if (s == BRIM_OK) {
            brim_fit_restore_best(&f->fit);
        }
        brim_fit_close(&f->fit);
        f->fit.arena.ctx = f->fit.optimizer.arena.ctx = NULL;
        BRIM_TRY(s);
    }
    return quantized ? BRIM_OK : add_done(f);
}
