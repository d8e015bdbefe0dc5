/* run.c - execute a model over a dataset. SPDX-License-Identifier: Apache-2.0
 *
 * Each run of the graph takes one sample (or as many as the model's own fixed batch dimension
 * asks for), so neither the number of threads nor `batch` can change a bit: float summation orders,
 * and operators that look at a whole tensor, never see another sample. Workers take chunks of
 * `batch` samples; chunks are handed out in rounds, and between rounds the calling thread scores
 * the outputs in sample order, reports progress and may be cancelled.
 */
#include <assert.h>
#include <string.h>
#include <time.h>

#include "api/run_watch.h"
#include "base/intops.h"
#include "base/parallel.h"

#define CHUNKS_PER_WORKER 4
#define MAX_BATCH         4096

struct session {
    brim_ctx *ctx;
    const struct brim_graph *g;
    const brim_data *data;
    const brim_run_params *params;
    const struct brim_run_watch *watch; /* NULL = nobody */
    struct brim_plan *plan;
    struct brim_workspace **ws; /* [ctx->threads] */
    struct brim_type input;     /* of one run */
    size_t per_run;             /* samples in one run */
    size_t chunk;               /* samples in one item of work: a multiple of per_run */
    size_t sample, out;         /* elements of one sample, of its output (0 until known) */
    size_t count, round;        /* samples in all, in one round */
    size_t first;               /* of the round being run */
    bool labelled;
    float *x;        /* [round][sample] */
    int64_t *label;  /* [round] */
    void *raw;       /* [round][sample] of the model's input type when it is not float */
    float *y;        /* [round][out] */
    size_t y_count;  /* elements allocated in y */
    double error;    /* sum of the samples' mean squared differences */
    size_t compared; /* samples in it */
};

struct report {
    brim_run_report pub;
    struct brim_arena arena;
};

void brim_run_params_init(brim_run_params *p)
{
    *p = (brim_run_params){.count = true, .batch = 8};
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the model's input for a sample ---- */

static brim_status shape_fails(const struct session *s, const struct brim_shape *model)
{
    struct brim_shape sample = {.rank = 0};
    int64_t dim[8];
    char want[128], got[128];

    const int rank = brim_data_shape(s->data, dim);
    sample.rank = rank;
    memcpy(sample.dim, dim, sizeof dim);
    return brim_fail(s->ctx, BRIM_ERR_ARG,
                     "data: samples have shape %s, which does not fit the model's input '%s' of "
                     "shape %s",
                     brim_shape_text(&sample, got, sizeof got), s->g->values[s->g->inputs[0]].name,
                     brim_shape_text(model, want, sizeof want));
}

/* Unknown dims behind the batch: what is left when there is one, else the sample's own where the
 * ranks agree. */
static void fill_unknown(const struct session *s, struct brim_shape *shape)
{
    int64_t dim[8], known = 1;
    int unknown = 0, where = 0;
    const int rank = brim_data_shape(s->data, dim);

    for (int i = 1; i < shape->rank; i++) {
        if (shape->dim[i] < 0) {
            unknown++;
            where = i;
        } else if (shape->dim[i] > 0 && known <= INT64_MAX / shape->dim[i]) {
            known *= shape->dim[i];
        }
    }
    if (unknown == 1 && (int64_t)s->sample % known == 0) {
        shape->dim[where] = (int64_t)s->sample / known;
    }
    for (int i = 1; i < shape->rank && rank == shape->rank - 1; i++) {
        shape->dim[i] = shape->dim[i] < 0 ? dim[i - 1] : shape->dim[i];
    }
}

/* Decide s->input and s->per_run. */
static brim_status fit_input(struct session *s)
{
    const struct brim_type *model = &s->g->values[s->g->inputs[0]].type;
    struct brim_shape shape = model->shape;

    if (shape.rank < 0) { /* anything goes: a batch of one sample as it is */
        int64_t dim[8];
        shape.rank = brim_data_shape(s->data, dim) + 1;
        shape.dim[0] = -1;
        memcpy(&shape.dim[1], dim, 7 * sizeof dim[0]);
    }
    if (brim_shape_count(&shape) == (int64_t)s->sample) { /* no batch, or a batch of one */
        s->per_run = 1;
    } else {
        if (shape.rank == 0) {
            return shape_fails(s, &model->shape);
        }
        fill_unknown(s, &shape);
        const int64_t batch = shape.dim[0];
        shape.dim[0] = 1;
        if (brim_shape_count(&shape) != (int64_t)s->sample || batch == 0) {
            return shape_fails(s, &model->shape);
        }
        s->per_run = batch < 0 ? 1 : (size_t)batch;
        shape.dim[0] = (int64_t)s->per_run;
    }
    if (s->count % s->per_run != 0) {
        return brim_fail(s->ctx, BRIM_ERR_ARG,
                         "data: %zu samples, expected a multiple of the model's batch of %zu",
                         s->count, s->per_run);
    }
    s->input.dtype = model->dtype == BRIM_UNDEFINED ? BRIM_FLOAT : model->dtype;
    s->input.shape = shape;
    if (s->input.dtype != BRIM_FLOAT &&
        (!brim_dtype_is_integer(s->input.dtype) || brim_dtype_size(s->input.dtype) > 4)) {
        return brim_fail(s->ctx, BRIM_ERR_UNSUPPORTED,
                         "input '%s' has type %s, expected float or integers of at most 32 bits",
                         s->g->values[s->g->inputs[0]].name, brim_dtype_name(s->input.dtype));
    }
    return BRIM_OK;
}

/* Samples that are integers, as the integer type that the model takes. */
static brim_status to_integers(const struct session *s, size_t sample, const float *x, void *raw)
{
    const enum brim_dtype t = s->input.dtype;
    int64_t lo, hi;

    brim_dtype_range(t, &lo, &hi);
    for (size_t i = 0; i < s->sample; i++) {
        const double v = (double)x[i];
        if (!(v >= (double)lo && v <= (double)hi) || v != brim_rint(v)) {
            return brim_fail(s->ctx, BRIM_ERR_ARG,
                             "data: sample %zu holds %g, expected integers in [%lld, %lld]", sample,
                             v, (long long)lo, (long long)hi);
        }
        const uint64_t q = (uint64_t)(int64_t)v;
        if (brim_dtype_size(t) == 1) {
            ((uint8_t *)raw)[i] = (uint8_t)q;
        } else if (brim_dtype_size(t) == 2) {
            ((uint16_t *)raw)[i] = (uint16_t)q;
        } else {
            ((uint32_t *)raw)[i] = (uint32_t)q;
        }
    }
    return BRIM_OK;
}

/* ---- the model's output ---- */

static brim_status to_floats(brim_ctx *ctx, const struct brim_tensor *t, size_t n, float *y)
{
#define CONVERT(type)                                                                              \
    for (size_t i = 0; i < n; i++) {                                                               \
        y[i] = (float)((const type *)t->data)[i];                                                  \
    }                                                                                              \
    return BRIM_OK;
    const enum brim_dtype d = t->type.dtype;

    if (d == BRIM_FLOAT) {
        memcpy(y, t->data, n * sizeof *y);
        return BRIM_OK;
    }
    if (d == BRIM_UINT8 || d == BRIM_UINT4 || d == BRIM_BOOL) {
        CONVERT(uint8_t)
    }
    if (d == BRIM_INT8 || d == BRIM_INT4) {
        CONVERT(int8_t)
    }
    if (d == BRIM_UINT16) {
        CONVERT(uint16_t)
    }
    if (d == BRIM_INT16) {
        CONVERT(int16_t)
    }
    if (d == BRIM_INT32) {
        CONVERT(int32_t)
    }
    if (d == BRIM_INT64) {
        CONVERT(int64_t)
    }
    if (d == BRIM_DOUBLE) {
        CONVERT(double)
    }
#undef CONVERT
    return brim_fail(ctx, BRIM_ERR_UNSUPPORTED, "the first output has type %s, expected numbers",
                     brim_dtype_name(d));
}

/* Elements of the first output per sample, from the workspace's last run. */
static brim_status output_size(const struct session *s, const struct brim_tensor *t, size_t *out)
{
    const int64_t n = brim_shape_count(&t->type.shape);
    char text[128];

    if (n <= 0 || n % (int64_t)s->per_run != 0) {
        return brim_fail(s->ctx, BRIM_ERR_UNSUPPORTED,
                         "the first output has shape %s, which does not divide into %zu samples",
                         brim_shape_text(&t->type.shape, text, sizeof text), s->per_run);
    }
    *out = (size_t)(n / (int64_t)s->per_run);
    return BRIM_OK;
}

/* ---- work ---- */

/* Run `per_run` samples, the i-th of the round onwards; *t is the first output. */
static brim_status run_samples(const struct session *s, size_t i, int worker,
                               const struct brim_tensor **t)
{
    struct brim_tensor in = {.type = s->input, .data = s->x + i * s->sample};

    if (s->raw != NULL) {
        const size_t bytes = s->sample * brim_dtype_size(s->input.dtype);
        for (size_t k = i; k < i + s->per_run; k++) {
            BRIM_TRY(
                to_integers(s, s->first + k, s->x + k * s->sample, (uint8_t *)s->raw + k * bytes));
        }
        in.data = (uint8_t *)s->raw + i * bytes;
    }
    BRIM_TRY(brim_plan_run(s->plan, s->ws[worker], &in, 1));
    *t = brim_workspace_value(s->ws[worker], s->g->outputs[0]);
    return BRIM_OK;
}

/* A run that is watched. */
struct watched {
    const struct brim_run_watch *watch;
    size_t first, samples;
    int worker;
};

static void show(void *user, const struct brim_dot_seen *seen)
{
    const struct watched *w = user;

    w->watch->see(w->watch->user, w->worker, w->first, w->samples, seen);
}

static brim_status run_watched(const struct session *s, size_t i, int worker,
                               const struct brim_tensor **t)
{
    struct watched w = {s->watch, s->first + i, s->per_run, worker};

    if (s->watch == NULL) {
        return run_samples(s, i, worker, t);
    }
    brim_workspace_observe(s->ws[worker], show, &w);
    const brim_status status = run_samples(s, i, worker, t);
    brim_workspace_observe(s->ws[worker], NULL, NULL);
    return status;
}

static brim_status run_chunk(void *arg, size_t item, int worker)
{
    const struct session *s = arg;
    const size_t end =
        brim_min_size(brim_min_size(s->count - s->first, s->round), (item + 1) * s->chunk);

    for (size_t i = item * s->chunk; i < end; i += s->per_run) {
        const struct brim_tensor *t;
        size_t out = 0;
        BRIM_TRY(run_watched(s, i, worker, &t));
        BRIM_TRY(output_size(s, t, &out));
        if (out != s->out) {
            return brim_fail(s->ctx, BRIM_ERR_UNSUPPORTED,
                             "sample %zu has %zu outputs, expected %zu as sample 0", s->first + i,
                             out, s->out);
        }
        BRIM_TRY(to_floats(s->ctx, t, s->out * s->per_run, s->y + i * s->out));
    }
    return BRIM_OK;
}

/* ---- scores ---- */

/* How many outputs come before y[label] when sorted from the largest, ties by lowest index. */
static size_t rank_of(const float *y, size_t n, size_t label)
{
    size_t before = 0;

    for (size_t i = 0; i < n; i++) {
        before += y[i] > y[label] || (y[i] == y[label] && i < label);
    }
    return before;
}

static double difference(const float *a, const float *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sum / (double)n;
}

static brim_status score(struct session *s, size_t n, brim_run_report *r)
{
    for (size_t i = 0; i < n; i++) {
        const float *y = s->y + i * s->out;
        if (s->labelled && s->label[i] >= 0) {
            if ((uint64_t)s->label[i] >= s->out) {
                return brim_fail(s->ctx, BRIM_ERR_ARG,
                                 "data: sample %zu has label %lld, but the model has %zu classes",
                                 s->first + i, (long long)s->label[i], s->out);
            }
            const size_t rank = rank_of(y, s->out, (size_t)s->label[i]);
            r->top1 += rank < 1;
            r->top5 += rank < 5;
        }
        if (!s->labelled && s->out == s->sample) {
            s->error += difference(y, s->x + i * s->sample, s->out);
            s->compared++;
        }
        if (s->params->output != NULL) {
            s->params->output(s->params->user, s->first + i, y, s->out);
        }
    }
    return BRIM_OK;
}

/* ---- the whole ---- */

static brim_status check_params(brim_ctx *ctx, const struct brim_graph *g, const brim_data *data,
                                const brim_run_params *p)
{
    if (p->batch < 1 || p->batch > MAX_BATCH) {
        return brim_fail(ctx, BRIM_ERR_ARG, "batch is %zu, expected 1..%d", p->batch, MAX_BATCH);
    }
    if (g->n_inputs != 1 || g->n_outputs < 1) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "the model has %zu inputs and %zu outputs, expected one input and at "
                         "least one output",
                         g->n_inputs, g->n_outputs);
    }
    if (brim_data_count(data) == 0 || brim_data_sample_size(data) == 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "data: no samples");
    }
    return BRIM_OK;
}

static brim_status open_session(struct session *s, struct brim_arena *arena)
{
    const struct brim_plan_params p = {.wanted = s->g->outputs,
                                       .n_wanted = 1,
                                       .datapath = s->params->datapath,
                                       .target = s->params->target,
                                       .count = s->params->count && s->watch == NULL,
                                       .observe = s->watch != NULL};
    const size_t threads = (size_t)s->ctx->threads;
    size_t n;

    s->count = brim_data_count(s->data);
    s->sample = brim_data_sample_size(s->data);
    s->labelled = brim_data_has_labels(s->data);
    BRIM_TRY(fit_input(s));
    assert(s->per_run > 0);
    s->chunk = (s->params->batch + s->per_run - 1) / s->per_run * s->per_run;
    s->round = brim_min_size(s->count, s->chunk * threads * CHUNKS_PER_WORKER);
    if (!brim_mul_size(s->round, s->sample, &n)) {
        return brim_fail(s->ctx, BRIM_ERR_NOMEM, "out of memory: a sample has too many elements");
    }
    BRIM_TRY(brim_plan_create(s->ctx, s->g, &p, &s->plan));
    if (s->watch != NULL) {
        BRIM_TRY(s->watch->open(s->watch->user, s->plan));
    }
    s->x = brim_arena_alloc(arena, n, sizeof *s->x);
    s->label = brim_arena_alloc(arena, s->round, sizeof *s->label);
    s->ws = brim_arena_zalloc(arena, threads, sizeof(struct brim_workspace *));
    if (s->x == NULL || s->label == NULL || s->ws == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (s->input.dtype != BRIM_FLOAT) {
        s->raw = brim_arena_alloc(arena, n, brim_dtype_size(s->input.dtype));
        if (s->raw == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    for (size_t i = 0; i < threads; i++) {
        BRIM_TRY(brim_workspace_create(s->ctx, s->plan, &s->ws[i]));
    }
    return BRIM_OK;
}

/* The size of the output is known once the first samples have run: they run twice, uncounted the
 * first time, in a workspace of their own. */
static brim_status probe_output(struct session *s, struct brim_arena *arena)
{
    const struct brim_tensor *t;
    struct brim_workspace *probe = NULL;
    size_t n;

    assert(s->ws != NULL);
    struct brim_workspace *worker = s->ws[0];
    BRIM_TRY(brim_data_read(s->ctx, s->data, 0, s->per_run, s->x, NULL));
    BRIM_TRY(brim_workspace_create(s->ctx, s->plan, &probe));
    s->ws[0] = probe;
    brim_status status = run_samples(s, 0, 0, &t);
    s->ws[0] = worker;
    if (status == BRIM_OK) {
        status = output_size(s, t, &s->out);
    }
    brim_workspace_free(probe);
    BRIM_TRY(status);
    if (!brim_mul_size(s->round, s->out, &n)) {
        return brim_fail(s->ctx, BRIM_ERR_NOMEM, "out of memory: the output is too large");
    }
    s->y = brim_arena_alloc(arena, n, sizeof *s->y);
    return s->y == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

static brim_status run_rounds(struct session *s, brim_run_report *r)
{
    for (s->first = 0; s->first < s->count; s->first += s->round) {
        const size_t n = brim_min_size(s->round, s->count - s->first);
        BRIM_TRY(brim_progress(s->ctx, "run", s->first, s->count));
        BRIM_TRY(brim_data_read(s->ctx, s->data, s->first, n, s->x, s->label));
        BRIM_TRY(brim_parallel_for(s->ctx, (n + s->chunk - 1) / s->chunk, run_chunk, s));
        BRIM_TRY(score(s, n, r));
    }
    r->samples = s->count;
    r->labelled = s->labelled;
    r->mse = s->compared > 0 ? s->error / (double)s->compared : -1.0;
    return brim_progress(s->ctx, "run", s->count, s->count);
}

static brim_status report_layers(const struct session *s, struct report *r)
{
    const struct brim_dots *dots = brim_plan_dots(s->plan);
    brim_run_layer *layer = brim_arena_zalloc(&r->arena, dots->count + 1, sizeof *layer);

    if (layer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    r->pub.layers = layer;
    for (size_t i = 0; i < dots->count; i++) {
        const brim_datapath *dp;
        struct brim_dot_counts sum = {0};
        if (!brim_plan_dot_runs(s->plan, i, &dp)) {
            continue;
        }
        for (int w = 0; w < s->ctx->threads; w++) {
            size_t n_dots;
            const struct brim_dot_counts *c = brim_workspace_counts(s->ws[w], &n_dots);
            if (c != NULL) {
                brim_dot_counts_add(&sum, &c[i]);
            }
        }
        brim_run_layer *l = &layer[r->pub.n_layers++];
        *l = (brim_run_layer){.name = brim_arena_strdup(&r->arena, dots->dot[i].name),
                              .k = dots->dot[i].k,
                              .n = dots->dot[i].n,
                              .outputs = sum.outputs,
                              .transient = sum.transient,
                              .persistent = sum.persistent,
                              .product = sum.product,
                              .min_width = sum.min_width};
        if (l->name == NULL) {
            return BRIM_ERR_NOMEM;
        }
        if (dp != NULL) {
            brim_datapath_print(dp, l->datapath);
        } else {
            memcpy(l->datapath, "exact", sizeof "exact");
        }
    }
    return BRIM_OK;
}

brim_status brim_run(brim_ctx *ctx, const brim_graph *graph, const brim_data *data,
                     const brim_run_params *params, brim_run_report **report)
{
    return brim_run_watched(ctx, graph, data, params, NULL, report);
}

brim_status brim_run_watched(brim_ctx *ctx, const struct brim_graph *graph, const brim_data *data,
                             const brim_run_params *params, const struct brim_run_watch *watch,
                             brim_run_report **report)
{
    brim_run_params defaults;
    struct session s = {.ctx = ctx, .g = graph, .data = data, .params = params, .watch = watch};
    struct brim_arena scratch;
    const double start = now();

    brim_clear_error(ctx);
    if (params == NULL) {
        brim_run_params_init(&defaults);
        s.params = &defaults;
    }
    BRIM_TRY(check_params(ctx, graph, data, s.params));
    struct report *r = brim_zalloc(ctx, 1, sizeof *r);
    if (r == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&r->arena, ctx);
    brim_arena_init(&scratch, ctx);
    brim_status status = open_session(&s, &scratch);
    if (status == BRIM_OK) {
        status = probe_output(&s, &scratch);
    }
    if (status == BRIM_OK) {
        status = run_rounds(&s, &r->pub);
    }
    if (status == BRIM_OK) {
        status = report_layers(&s, r);
    }
    for (int i = 0; s.ws != NULL && i < ctx->threads; i++) {
        brim_workspace_free(s.ws[i]);
    }
    brim_plan_free(s.plan);
    brim_arena_free(&scratch);
    if (status != BRIM_OK) {
        brim_run_report_free(&r->pub);
        return status;
    }
    r->pub.seconds = now() - start;
    *report = &r->pub;
    return BRIM_OK;
}

void brim_run_report_free(brim_run_report *report)
{
    if (report == NULL) {
        return;
    }
    struct report *r = (struct report *)report; /* pub is its first member */
    brim_ctx *ctx = r->arena.ctx;

    brim_arena_free(&r->arena);
    brim_free(ctx, r);
}
