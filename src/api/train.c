/* train.c - brim_train(): float stints, quantized stints, a certified graph. SPDX-License-Identifier: Apache-2.0 */
#include "brim/train.h"

#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "api/train_flow.h"
#include "base/intops.h"
#include "brim/run.h"

void brim_train_params_init(brim_train_params *p)
{
    *p = (brim_train_params){
        .epochs = 10,
        .batch = 64,
        .rate = 0.001,
        .optimizer = BRIM_OPTIMIZER_ADAMW,
        .weight_decay = 0.0001,
        .temperature = 2.0,
        .norm_auto = true,
        .wbits = 8,
        .abits = 8,
        .input_bits = 8,
        .edge_bits = 8,
        .datapath = {.n_stages = 1, .stage = {{.width = 32}}},
        .penalty = 0.001,
        .calib = 1024,
        .prune_stages = 3,
        .prune_epochs = 2,
    };
    brim_prune_params_init(&p->prune);
}

/* ---- parameters ---- */

static brim_status check_numbers(brim_ctx *ctx, const brim_train_params *p)
{
    if (p->epochs < 1 || p->epochs > 100000 || p->float_epochs > 100000) {
        return brim_fail(ctx, BRIM_ERR_ARG, "epochs: %zu and %zu, expected 1..100000", p->epochs,
                         p->float_epochs);
    }
    if (p->batch < 1 || p->batch > 65536) {
        return brim_fail(ctx, BRIM_ERR_ARG, "batch: %zu, expected 1..65536", p->batch);
    }
    if (!(p->float_rate >= 0.0 && p->float_rate <= 1e3)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "float rate: %g, expected 0 or above", p->float_rate);
    }
    if (!(p->rate > 0.0 && p->rate <= 1e3) || !(p->weight_decay >= 0.0 && p->weight_decay <= 1e3) ||
        !(p->warmup >= 0.0 && p->warmup <= 1e5) || !(p->penalty >= 0.0 && p->penalty <= 1e6)) {
        return brim_fail(
            ctx, BRIM_ERR_ARG,
            "rate %g, warm-up %g, weight decay %g, penalty %g: expected a rate above 0, the others "
            "not below",
            p->rate, p->warmup, p->weight_decay, p->penalty);
    }
    if (!(p->smoothing >= 0.0 && p->smoothing < 1.0) || !(p->distill >= 0.0 && p->distill <= 1.0) ||
        !(p->temperature > 0.0 && p->temperature <= 1e3)) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "smoothing %g, distill %g, temperature %g: expected 0..1, 0..1, above 0",
                         p->smoothing, p->distill, p->temperature);
    }
    if (p->calib < 1) {
        return brim_fail(ctx, BRIM_ERR_ARG, "calib: 0 samples, expected at least 1");
    }
    return BRIM_OK;
}

static brim_status check_choices(brim_ctx *ctx, const brim_train_params *p)
{
    if ((int)p->method < 0 || p->method > BRIM_TRAIN_PQS || (int)p->norm < 0 ||
        p->norm > BRIM_NORM_PER_SIGN || (int)p->init < 0 || p->init > BRIM_INIT_PROJECT ||
        (int)p->optimizer < 0 || p->optimizer > BRIM_OPTIMIZER_ADAMW || (int)p->schedule < 0 ||
        p->schedule > BRIM_SCHEDULE_STEP) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "method %d, norm %d, init %d, optimizer %d or schedule %d is unknown",
                         (int)p->method, (int)p->norm, (int)p->init, (int)p->optimizer,
                         (int)p->schedule);
    }
    if (p->method == BRIM_TRAIN_FLOAT && (p->float_epochs > 0 || p->float_rate > 0.0)) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "float epochs and their rate: are for quantized methods, expected 0");
    }
    if (p->method == BRIM_TRAIN_PQS &&
        (p->prune.keep < 1 || p->prune.keep >= p->prune.group || p->prune.group > 64 ||
         p->prune_stages < 1 || p->prune_stages > 64 || p->prune_epochs < 1)) {
        return brim_fail(
            ctx, BRIM_ERR_ARG,
            "prune: keep %u of %u in %zu stages of %zu epochs, expected 1 <= keep < group "
            "<= 64, 1..64 stages, at least 1 epoch",
            p->prune.keep, p->prune.group, p->prune_stages, p->prune_epochs);
    }
    if (p->prune_last && p->prune_regrow) {
        return brim_fail(ctx, BRIM_ERR_ARG, "prune: float weights regrow, quantized ones do not");
    }
    if (p->method != BRIM_TRAIN_PQS && p->prune.group > 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "prune: is for the method pqs");
    }
    if (p->resume && p->checkpoint == NULL) {
        return brim_fail(ctx, BRIM_ERR_ARG, "resume: no checkpoint is named");
    }
    return BRIM_OK;
}

static brim_quantize_params quantize_params(const brim_train_params *p)
{
    brim_quantize_params qp;

    brim_quantize_params_init(&qp);
    qp.solve.wbits = p->wbits;
    qp.abits = p->abits;
    qp.input_bits = p->input_bits;
    qp.edge_bits = p->edge_bits;
    qp.datapath = p->datapath;
    qp.prune = p->prune;
    qp.overrides = p->overrides;
    qp.n_overrides = p->n_overrides;
    return qp;
}

/* ---- what the data and the model have to do with each other ---- */

static brim_status check_sizes(struct brim_train_flow *f, const char *which, const brim_data *data)
{
    const struct brim_graph *g = f->graph;
    const struct brim_shape *s = &g->values[g->inputs[0]].type.shape;
    int64_t sample = 1;
    char text[128];

    for (int i = 1; i < s->rank; i++) {
        sample = s->dim[i] < 0 || sample > INT32_MAX ? -1 : sample * s->dim[i];
    }
    if (s->rank < 2 || sample < 0 || (size_t)sample != brim_data_sample_size(data)) {
        return brim_fail(
            f->ctx, BRIM_ERR_ARG,
            "%s: samples have %zu elements, which does not fit the model's input '%s' of "
            "shape %s",
            which, brim_data_sample_size(data), g->values[g->inputs[0]].name,
            brim_shape_text(s, text, sizeof text));
    }
    if (brim_data_has_labels(data) != brim_data_has_labels(f->data)) {
        return brim_fail(f->ctx, BRIM_ERR_ARG, "%s: %s labels, the training data %s", which,
                         brim_data_has_labels(data) ? "has" : "has no",
                         brim_data_has_labels(f->data) ? "has" : "has none");
    }
    return BRIM_OK;
}

static brim_status open_graph(struct brim_train_flow *f, const struct brim_graph *graph)
{
    BRIM_TRY(brim_graph_clone(graph, &f->graph));
    if (graph->n_inputs != 1 || graph->n_outputs != 1) {
        return brim_fail(f->ctx, BRIM_ERR_ARG,
                         "the model has %zu inputs and %zu outputs, expected one "
                         "of each",
                         graph->n_inputs, graph->n_outputs);
    }
    BRIM_TRY(brim_graph_canonicalise_for_training(f->graph));
    BRIM_TRY(brim_graph_fold_bias(f->graph));
    BRIM_TRY(brim_graph_infer(f->graph));
    BRIM_TRY(check_sizes(f, "data", f->data));
    return check_sizes(f, "validation data", f->val);
}

static brim_status open_data(struct brim_train_flow *f)
{
    struct brim_augment augment;
    const size_t n = brim_min_size(f->p->calib, brim_data_count(f->data));

    BRIM_TRY(brim_augment_parse(f->ctx, f->p->augment, &augment));
    BRIM_TRY(brim_data_slice(f->ctx, f->data, 0, n, &f->calib));
    return brim_batches_init(&f->batches, f->ctx, f->data, f->p->batch, f->ctx->params.seed,
                             &augment);
}

/* Methods that do not look at the datapath need one that holds whatever they come to. */
static brim_status check_datapath(struct brim_train_flow *f, const struct brim_flow_layer *l)
{
    const struct brim_dot *d = l->dot;
    const int64_t x_max = ((int64_t)1 << (l->abits == 0 ? 8 : l->abits)) - 1;
    int32_t *w = brim_alloc(f->ctx, d->k, sizeof *w);
    unsigned need[BRIM_MAX_STAGES];

    if (w == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < d->k; i++) {
        w[i] = (1 << (l->wbits - 1)) - 1;
    }
    const brim_status s =
        brim_datapath_need(f->ctx, &l->datapath, w, d->k, -x_max, x_max, need, NULL);
    brim_free(f->ctx, w);
    BRIM_TRY(s);
    for (size_t i = 0; i < l->datapath.n_stages; i++) {
        if (need[i] > l->datapath.stage[i].width) {
            return brim_fail(
                f->ctx, BRIM_ERR_INFEASIBLE,
                "layer '%s': a register of %u bits cannot hold any %u-bit weights (%u bits "
                "can), and only a2q and a2q+ keep to less",
                d->name, l->datapath.stage[i].width, l->wbits, need[i]);
        }
    }
    return BRIM_OK;
}

/* Layers of the quantized network, as far as they are known before it is trained in float. */
static brim_status open_layers(struct brim_train_flow *f)
{
    const bool bound = f->p->method == BRIM_TRAIN_A2Q || f->p->method == BRIM_TRAIN_A2Q_PLUS;

    f->q = (struct brim_flow){.ctx = f->ctx, .params = &f->qp, .calib = f->calib};
    brim_flow_init(&f->q);
    BRIM_TRY(brim_flow_prepare(&f->q, f->graph));
    f->n_layers = f->q.dots.count;
    for (size_t i = 0; i < f->n_layers && !bound; i++) {
        if (!f->q.layer[i].keep_float) {
            BRIM_TRY(check_datapath(f, &f->q.layer[i]));
        }
    }
    return BRIM_OK;
}

static brim_status open_all(struct brim_train_flow *f, const struct brim_graph *graph)
{
    f->qp = quantize_params(f->p);
    BRIM_TRY(check_numbers(f->ctx, f->p));
    BRIM_TRY(check_choices(f->ctx, f->p));
    BRIM_TRY(brim_flow_check(f->ctx, &f->qp));
    BRIM_TRY(open_graph(f, graph));
    BRIM_TRY(open_data(f));
    BRIM_TRY(brim_train_make_stints(f));
    if (f->p->method != BRIM_TRAIN_FLOAT) {
        BRIM_TRY(open_layers(f));
    }
    BRIM_TRY(brim_train_identify(f, f->graph));
    BRIM_TRY(brim_train_prune_open(f));
    BRIM_TRY(brim_train_load(f));
    return f->p->distill > 0.0 ? brim_train_net_float(f, f->graph, false, &f->teacher) : BRIM_OK;
}

/* ---- the stages in turn ---- */

static brim_status train_float(struct brim_train_flow *f)
{
    BRIM_TRY(brim_train_net_float(f, f->graph, true, &f->net));
    BRIM_TRY(brim_train_run_stints(f, false));
    BRIM_TRY(brim_train_take_patterns(f));
    BRIM_TRY(brim_train_take_float(f));
    brim_train_net_close(&f->net);
    return BRIM_OK;
}

static brim_status train_quantized(struct brim_train_flow *f)
{
    if (!f->stint[0].quantized) { /* the graph has changed */
        brim_flow_close(&f->q);
        f->q = (struct brim_flow){.ctx = f->ctx, .params = &f->qp, .calib = f->calib};
        brim_flow_init(&f->q);
        BRIM_TRY(brim_flow_prepare(&f->q, f->graph));
    }
    BRIM_TRY(brim_flow_find_grids(&f->q));
    BRIM_TRY(brim_train_net_quantized(f, &f->net));
    BRIM_TRY(brim_train_apply_patterns(f, &f->stint[f->n_stints - 1]));
    BRIM_TRY(brim_train_run_stints(f, true));
    return brim_train_take_quantized(f);
}

static brim_status run_flow(struct brim_train_flow *f, const struct brim_graph *graph)
{
    BRIM_TRY(open_all(f, graph));
    if (!f->stint[0].quantized) {
        BRIM_TRY(train_float(f));
    }
    if (f->p->method == BRIM_TRAIN_FLOAT) {
        f->result = f->graph;
        f->graph = NULL;
        return brim_graph_set_metadata(f->result, "brim.version", brim_version());
    }
    return train_quantized(f);
}

/* ---- report ---- */

struct report {
    brim_train_report pub; /* first: the caller's pointer is ours */
    struct brim_arena arena;
};

static brim_status copy_history(const struct brim_train_flow *f, struct report *r)
{
    brim_train_epoch *epochs = brim_arena_alloc(&r->arena, f->history.count + 1, sizeof *epochs);
    brim_train_layer *layers = brim_arena_alloc(&r->arena, f->n_result_layers + 1, sizeof *layers);

    if (epochs == NULL || layers == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(epochs, f->history.epoch, f->history.count * sizeof *epochs);
    for (size_t i = 0; i < f->n_result_layers; i++) {
        layers[i] = f->layer[i];
        layers[i].name = brim_arena_strdup(&r->arena, f->layer[i].name);
        if (layers[i].name == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    r->pub.n_epochs = f->history.count;
    r->pub.epochs = epochs;
    r->pub.best = f->fit.best_at;
    r->pub.n_layers = f->n_result_layers;
    r->pub.layers = layers;
    return BRIM_OK;
}

/* What the graph itself does, not the network that it came from. */
static brim_status measure(const struct brim_train_flow *f, brim_train_report *pub)
{
    brim_run_params p;
    brim_run_report *run;

    brim_run_params_init(&p);
    p.count = false;
    BRIM_TRY(brim_run(f->ctx, f->result, f->val, &p, &run));
    pub->accuracy = run->labelled ? (double)run->top1 / (double)run->samples : -1.0;
    pub->mse = run->mse;
    brim_run_report_free(run);
    return BRIM_OK;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static brim_status make_report(const struct brim_train_flow *f, double start,
                               brim_train_report **out)
{
    struct report *r = brim_zalloc(f->ctx, 1, sizeof *r);
    struct rusage usage;

    if (r == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&r->arena, f->ctx);
    brim_status s = copy_history(f, r);
    if (s == BRIM_OK) {
        s = measure(f, &r->pub);
    }
    if (s != BRIM_OK) {
        brim_train_report_free(&r->pub);
        return s;
    }
    getrusage(RUSAGE_SELF, &usage);
    r->pub.seconds = now() - start;
    r->pub.peak_rss_mb = (double)usage.ru_maxrss / 1024.0;
    *out = &r->pub;
    return BRIM_OK;
}

void brim_train_report_free(brim_train_report *report)
{
    struct report *r = (struct report *)(void *)report;

    if (r != NULL) {
        brim_ctx *ctx = r->arena.ctx;
        brim_arena_free(&r->arena);
        brim_free(ctx, r);
    }
}

static void close_flow(struct brim_train_flow *f)
{
    brim_train_net_close(&f->teacher);
    brim_train_net_close(&f->net);
    if (f->batches.ctx != NULL) {
        brim_batches_free(&f->batches);
    }
    if (f->q.ctx != NULL) {
        brim_flow_close(&f->q);
    }
    if (f->resumed) {
        brim_checkpoint_free(&f->resume);
    }
    brim_data_free(f->calib);
    brim_graph_free(f->graph);
    brim_graph_free(f->result);
    brim_arena_free(&f->history.arena);
    brim_arena_free(&f->arena);
}

brim_status brim_train(brim_ctx *ctx, const brim_graph *graph, const brim_data *data,
                       const brim_data *val, const brim_train_params *params, brim_graph **out,
                       brim_train_report **report)
{
    brim_train_params defaults;
    const double start = now();

    brim_clear_error(ctx);
    *out = NULL;
    brim_train_params_init(&defaults);
    struct brim_train_flow f = {
        .ctx = ctx, .p = params != NULL ? params : &defaults, .data = data, .val = val};
    brim_arena_init(&f.arena, ctx);
    brim_arena_init(&f.history.arena, ctx);
    f.fit.ctx = ctx;
    f.fit.p = f.p;
    f.fit.val = val;
    brim_status s = run_flow(&f, graph);
    if (s == BRIM_OK && report != NULL) {
        s = make_report(&f, start, report);
    }
    if (s == BRIM_OK) {
        *out = f.result;
        f.result = NULL;
    }
    close_flow(&f);
    return s;
}
