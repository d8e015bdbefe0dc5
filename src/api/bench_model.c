/* bench_model.c - images per second of a whole model on one core. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A round is `count` runs of a batch, long enough for the clock, by brim and then by the peer; the
 * ratio is taken within the round.
 */
#include "api/bench_clock.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "brim/bench.h"
#include "graph/graph.h"
#include "run/plan.h"

#define ROUND_TIME 0.02 /* seconds */
#define MAX_BATCH  4096
#define MAX_COUNT  100000

struct model {
    brim_ctx *ctx;
    const struct brim_graph *g;
    const brim_bench_model_params *params;
    struct brim_arena arena;
    struct brim_plan *plan;
    struct brim_workspace *ws;
    struct brim_tensor input; /* of one run of the plan */
    size_t batch, per_run;    /* images in all, in one run of the plan */
    size_t elements;          /* of one image */
    float *x;                 /* [batch][elements] */
    char *codes;              /* the same in the model's type, when that is not float */
};

void brim_bench_model_params_init(brim_bench_model_params *p)
{
    *p = (brim_bench_model_params){.repeat = 11};
}

/* ---- inputs ---- */

static brim_status fit_input(struct model *m)
{
    const struct brim_value *v = &m->g->values[m->g->inputs[0]];
    struct brim_shape *shape = &m->input.type.shape;

    m->input.type = v->type;
    if (shape->rank < 1) {
        return brim_fail(m->ctx, BRIM_ERR_ARG,
                         "input '%s': its shape is unknown, expected a batch of images", v->name);
    }
    m->per_run = shape->dim[0] < 0 ? 1 : (size_t)shape->dim[0];
    shape->dim[0] = (int64_t)m->per_run;
    m->elements = 1;
    for (int i = 1; i < shape->rank; i++) {
        if (shape->dim[i] < 1 || !brim_mul_size(m->elements, (size_t)shape->dim[i], &m->elements)) {
            return brim_fail(m->ctx, BRIM_ERR_ARG,
                             "input '%s': dimension %d is unknown, expected only the batch to be",
                             v->name, i);
        }
    }
    if (m->per_run == 0 || m->batch % m->per_run != 0) {
        return brim_fail(m->ctx, BRIM_ERR_ARG, "batch is %zu, the model's is fixed to %zu",
                         m->batch, m->per_run);
    }
    if (m->params->data != NULL && brim_data_sample_size(m->params->data) != m->elements) {
        return brim_fail(m->ctx, BRIM_ERR_ARG,
                         "data: samples have %zu elements, the model's input has %zu",
                         brim_data_sample_size(m->params->data), m->elements);
    }
    return BRIM_OK;
}

/* Whole numbers, so that they are codes for integer inputs too. */
static brim_status fill_images(struct model *m)
{
    const brim_data *data = m->params->data;
    const size_t n = m->batch * m->elements;
    struct brim_rng r;

    brim_rng_init(&r, m->ctx->params.seed, 0);
    for (size_t i = 0; data == NULL && i < n; i++) {
        m->x[i] = (float)brim_rng_below(&r, 128);
    }
    for (size_t i = 0; data != NULL && i < m->batch; i++) { /* again from the first when few */
        BRIM_TRY(brim_data_read(m->ctx, data, i % brim_data_count(data), 1, m->x + i * m->elements,
                                NULL));
    }
    for (size_t i = 0; m->codes != NULL && i < n; i++) {
        m->codes[i] = (char)(int32_t)m->x[i];
    }
    return BRIM_OK;
}

static brim_status make_images(struct model *m)
{
    const enum brim_dtype t = m->input.type.dtype;
    size_t n;

    if (t != BRIM_FLOAT && brim_dtype_size(t) != 1) {
        return brim_fail(m->ctx, BRIM_ERR_UNSUPPORTED, "input of type %s, expected float or 8 bits",
                         brim_dtype_name(t));
    }
    if (!brim_mul_size(m->batch, m->elements, &n)) {
        return brim_fail(m->ctx, BRIM_ERR_NOMEM, "out of memory: a batch has too many elements");
    }
    m->x = brim_arena_alloc(&m->arena, n, sizeof *m->x);
    m->codes = t != BRIM_FLOAT ? brim_arena_alloc(&m->arena, n, 1) : NULL;
    if (m->x == NULL || (t != BRIM_FLOAT && m->codes == NULL)) {
        return BRIM_ERR_NOMEM;
    }
    return fill_images(m);
}

/* ---- rounds ---- */

static brim_status run_batch(struct model *m)
{
    for (size_t i = 0; i < m->batch; i += m->per_run) {
        m->input.data = m->codes != NULL ? (void *)(m->codes + i * m->elements)
                                         : (void *)(m->x + i * m->elements);
        BRIM_TRY(brim_plan_run(m->plan, m->ws, &m->input, 1));
    }
    return BRIM_OK;
}

static brim_status run_round(struct model *m, unsigned count, double *seconds)
{
    const double start = brim_bench_now();

    for (unsigned i = 0; i < count; i++) {
        BRIM_TRY(run_batch(m));
    }
    const double taken = brim_bench_now() - start;
    *seconds = (taken > 1e-9 ? taken : 1e-9) / count;
    return BRIM_OK;
}

static brim_status run_peer(const struct model *m, unsigned count, double *seconds)
{
    const brim_bench_model_params *p = m->params;
    const double taken = p->peer(p->user, m->x, m->batch, m->elements, count);

    if (!(taken > 0)) {
        return brim_fail(m->ctx, BRIM_ERR_CANCELLED, "the peer gave up");
    }
    *seconds = taken / count;
    return BRIM_OK;
}

static brim_status measure(struct model *m, brim_bench_model_report *r)
{
    double own[BRIM_BENCH_MAX_REPEAT], other[BRIM_BENCH_MAX_REPEAT] = {0}, once;
    const unsigned repeat = m->params->repeat;

    BRIM_TRY(run_round(m, 1, &once)); /* touches memory */
    BRIM_TRY(run_round(m, 1, &once));
    const double count = ROUND_TIME / once + 1;
    r->count = count < MAX_COUNT ? (unsigned)count : MAX_COUNT;
    if (m->params->peer != NULL) {
        BRIM_TRY(run_peer(m, 2, &other[0]));
    }
    for (unsigned i = 0; i < repeat; i++) {
        BRIM_TRY(brim_progress(m->ctx, "model", i, repeat));
        BRIM_TRY(run_round(m, r->count, &own[i]));
        if (m->params->peer != NULL) {
            BRIM_TRY(run_peer(m, r->count, &other[i]));
            const double ratio = other[i] / own[i];
            r->least = i == 0 || ratio < r->least ? ratio : r->least;
            r->most = ratio > r->most ? ratio : r->most;
        }
    }
    r->images = (double)m->batch / brim_bench_median(own, repeat);
    if (m->params->peer != NULL) {
        r->peer_images = (double)m->batch / brim_bench_median(other, repeat);
        r->ratio = brim_bench_ratio(other, own, repeat);
    }
    return BRIM_OK;
}

/* ---- the whole ---- */

static brim_status run_model(struct model *m, brim_bench_model_report *r)
{
    const struct brim_plan_params p = {.count = false};
    struct brim_bench_affinity affinity;

    BRIM_TRY(fit_input(m));
    BRIM_TRY(make_images(m));
    BRIM_TRY(brim_plan_create(m->ctx, m->g, &p, &m->plan));
    BRIM_TRY(brim_workspace_create(m->ctx, m->plan, &m->ws));
    brim_bench_pin(&affinity);
    const brim_status status = measure(m, r);
    brim_bench_unpin(&affinity);
    return status;
}

brim_status brim_bench_model(brim_ctx *ctx, const brim_graph *graph,
                             const brim_bench_model_params *params, size_t batch,
                             brim_bench_model_report *report)
{
    brim_bench_model_params defaults;
    struct model m = {.ctx = ctx, .g = graph, .params = params, .batch = batch};
    brim_bench_model_report r = {.batch = batch};

    brim_clear_error(ctx);
    if (params == NULL) {
        brim_bench_model_params_init(&defaults);
        m.params = &defaults;
    }
    if (batch < 1 || batch > MAX_BATCH || m.params->repeat < 1 ||
        m.params->repeat > BRIM_BENCH_MAX_REPEAT) {
        return brim_fail(ctx, BRIM_ERR_ARG, "bench of batch %zu, %u rounds, expected 1..%d, 1..%d",
                         batch, m.params->repeat, MAX_BATCH, BRIM_BENCH_MAX_REPEAT);
    }
    if (graph->n_inputs != 1) {
        return brim_fail(ctx, BRIM_ERR_ARG, "the model has %zu inputs, expected one",
                         graph->n_inputs);
    }
    if (m.params->data != NULL && brim_data_count(m.params->data) == 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "data: no samples");
    }
    brim_arena_init(&m.arena, ctx);
    const brim_status status = run_model(&m, &r);
    brim_workspace_free(m.ws);
    brim_plan_free(m.plan);
    brim_arena_free(&m.arena);
    if (status == BRIM_OK) {
        *report = r;
    }
    return status;
}
