/* moments.c - second moments of dot layers over the data. SPDX-License-Identifier: Apache-2.0
 *
 * One pass serves all requests. Samples go through both graphs in batches whose size depends on the
 * layers only; each run writes its rows at their place, so nothing depends on which worker made
 * them:
 *
 *     request   rows waiting                       when a block is full
 *     0         [sample 0 | sample 1 | ... ]       panels of h and g, one item each
 *     1         [s0|s1|...]
 *
 * X~ is kept as code - zero, an integer, and scaled once at the end, which loses no digit.
 * Memory: per request a block of rows twice, and 2*k*k doubles per group.
 */
#include <string.h>

#include "base/clones.h"
#include "base/intops.h"
#include "base/parallel.h"
#include "calibrate/accumulate.h"
#include "calibrate/calibrate.h"
#include "calibrate/feed.h"
#include "calibrate/im2col.h"
#include "calibrate/residual.h"
#include "run/vector.h"

#define MAX_BATCH   64u
#define RUNS        8u /* that share a batch */
#define BATCH_BYTES ((size_t)16 << 20)

struct job {
    const struct brim_moments_request *request;
    struct brim_rows rows;
    size_t block, filled; /* rows */
    float *q, *f;         /* [block + batch * rows.per_sample][columns] */
    float *r;             /* [block + batch * rows.per_sample][n]: residual, NULL without */
    struct brim_moments *out;
    size_t first_item; /* of this flush */
};

struct pass {
    brim_ctx *ctx;
    struct brim_feed floats, prefix;
    struct job *job;
    size_t n, batch, per_run;
    size_t first, count; /* samples of the batch in flight */
    float **scratch;     /* [threads] */
    float **vectors;     /* [threads] one sample */
    size_t scratch_size;
};

/* The values that the requests need of one graph. */
static brim_status watch(struct pass *p, struct brim_feed *feed, bool prefix, int32_t *value)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        const struct brim_moments_request *r = p->job[i].request;
        value[n++] = prefix ? r->prefix_x : r->float_x;
        if (r->has_residual) {
            value[n++] = prefix ? r->prefix_residual : r->float_residual;
        }
    }
    return brim_feed_watch(feed, value, n);
}

static brim_status open_feeds(struct pass *p, const struct brim_graph *float_graph,
                              const struct brim_graph *prefix, const brim_data *data)
{
    int32_t *value = brim_alloc(p->ctx, 2 * p->n, sizeof *value);
    brim_status status = value != NULL ? BRIM_OK : BRIM_ERR_NOMEM;

    if (status == BRIM_OK) {
        status = brim_feed_open(&p->floats, p->ctx, float_graph, data, MAX_BATCH / RUNS);
    }
    if (status == BRIM_OK) {
        status = brim_feed_open(&p->prefix, p->ctx, prefix, data, MAX_BATCH / RUNS);
    }
    if (status == BRIM_OK) {
        status = watch(p, &p->floats, false, value);
    }
    if (status == BRIM_OK) {
        status = watch(p, &p->prefix, true, value);
    }
    brim_free(p->ctx, value);
    return status;
}

/* Both inputs of a job, after this worker's runs; they have one shape. */
static brim_status inputs(const struct pass *p, const struct job *j, int worker,
                          const struct brim_tensor **f, const struct brim_tensor **q)
{
    BRIM_TRY(brim_feed_value(&p->floats, worker, j->request->float_x, f));
    BRIM_TRY(brim_feed_value(&p->prefix, worker, j->request->prefix_x, q));
    if (!brim_shape_equal(&(*f)->type.shape, &(*q)->type.shape)) {
        return brim_fail(p->ctx, BRIM_ERR_INTERNAL,
                         "node '%s': its input has another shape in the quantized prefix",
                         j->request->dot->name);
    }
    return BRIM_OK;
}

/* Run a first time to learn the shapes, then choose the batch. */
static brim_status learn_shapes(struct pass *p)
{
    const struct brim_tensor *f, *q;
    const size_t count = brim_data_count(p->floats.data);
    size_t n = brim_min_size(p->floats.per_run, count), largest = 1;

    BRIM_TRY(brim_feed_run(&p->floats, 0, 0, n));
    BRIM_TRY(brim_feed_run(&p->prefix, 0, 0, n));
    n = p->floats.fixed ? p->floats.per_run : n;
    for (size_t i = 0; i < p->n; i++) {
        struct job *j = &p->job[i];
        BRIM_TRY(inputs(p, j, 0, &f, &q));
        BRIM_TRY(brim_rows_plan(p->ctx, j->request->dot, &f->type.shape, n, &j->rows));
        p->scratch_size = brim_max_size(p->scratch_size, j->rows.sample);
        p->scratch_size = brim_max_size(p->scratch_size, brim_block_scratch(j->request->dot->k));
        if (j->request->has_residual) {
            p->scratch_size = brim_max_size(
                p->scratch_size, brim_residual_scratch(j->request->dot->n, j->request->dot->k));
        }
        largest = brim_max_size(largest, j->rows.per_sample * j->rows.columns * sizeof(float));
    }
    p->batch = MAX_BATCH;
    while (p->batch > 1 && p->batch > BATCH_BYTES / largest) {
        p->batch /= 2;
    }
    p->per_run = brim_max_size(p->batch / RUNS, 1);
    if (p->floats.fixed) { /* whole runs only */
        p->per_run = p->floats.per_run;
        p->batch = brim_max_size(p->batch / p->per_run, 1) * p->per_run;
    }
    return BRIM_OK;
}

/* What a job with a residual holds besides. */
static brim_status allocate_residual(struct pass *p, struct job *j)
{
    struct brim_moments *m = j->out;
    size_t floats;

    m->n = j->request->dot->n;
    if (!j->request->has_residual) {
        return BRIM_OK;
    }
    if (!brim_mul_size(j->block + p->batch * j->rows.per_sample, m->n, &floats)) {
        return BRIM_ERR_NOMEM;
    }
    j->r = brim_alloc(p->ctx, floats, sizeof(float));
    m->e = brim_zalloc(p->ctx, m->n * m->k, sizeof(double));
    m->mean_e = brim_zalloc(p->ctx, m->n, sizeof(double));
    return j->r == NULL || m->e == NULL || m->mean_e == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

static brim_status allocate(struct pass *p)
{
    brim_ctx *ctx = p->ctx;

    p->scratch = brim_zalloc(ctx, (size_t)ctx->threads, sizeof *p->scratch);
    p->vectors = brim_zalloc(ctx, (size_t)ctx->threads, sizeof *p->vectors);
    if (p->scratch == NULL || p->vectors == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (int i = 0; i < ctx->threads; i++) {
        p->scratch[i] = brim_alloc(ctx, p->scratch_size, sizeof(float));
        p->vectors[i] = brim_alloc(ctx, p->scratch_size, sizeof(float));
        if (p->scratch[i] == NULL || p->vectors[i] == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    for (size_t i = 0; i < p->n; i++) {
        struct job *j = &p->job[i];
        struct brim_moments *m = j->out;
        const size_t k = j->request->dot->k, columns = j->rows.columns;
        size_t floats, square;
        j->block = brim_block_rows(columns);
        if (!brim_mul_size(j->block + p->batch * j->rows.per_sample, columns, &floats) ||
            !brim_mul_size(j->request->dot->groups * k, k, &square) ||
            square > ctx->params.max_tensor_bytes / sizeof(double)) {
            return brim_fail(ctx, BRIM_ERR_NOMEM, "node '%s': %zu x %zu moments exceed the limit",
                             j->request->dot->name, k, k);
        }
        m->k = k;
        m->groups = j->request->dot->groups;
        j->q = brim_alloc(ctx, floats, sizeof(float));
        j->f = brim_alloc(ctx, floats, sizeof(float));
        m->h = brim_zalloc(ctx, square, sizeof(double));
        m->g = brim_zalloc(ctx, square, sizeof(double));
        m->mean_q = brim_zalloc(ctx, m->groups * k, sizeof(double));
        m->mean_f = brim_zalloc(ctx, m->groups * k, sizeof(double));
        if (j->q == NULL || j->f == NULL || m->h == NULL || m->g == NULL || m->mean_q == NULL ||
            m->mean_f == NULL) {
            return BRIM_ERR_NOMEM;
        }
        BRIM_TRY(allocate_residual(p, j));
    }
    return BRIM_OK;
}

BRIM_CLONES
static bool all_finite(const float *x, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++) { /* as integers, in any order */
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return bad == 0;
}

/* The residual's rows of one sample, beside write_rows(). */
static brim_status write_residual(const struct pass *p, struct job *j, int worker, size_t in_run,
                                  size_t in_batch)
{
    const size_t count = j->rows.per_sample * j->out->n;
    const struct brim_tensor *f, *q;

    BRIM_TRY(brim_feed_value(&p->floats, worker, j->request->float_residual, &f));
    BRIM_TRY(brim_feed_value(&p->prefix, worker, j->request->prefix_residual, &q));
    if (brim_shape_count(&f->type.shape) < (int64_t)((in_run + 1) * count) ||
        !brim_shape_equal(&f->type.shape, &q->type.shape)) {
        return brim_fail(p->ctx, BRIM_ERR_INTERNAL, "node '%s': its residual has another shape",
                         j->request->dot->name);
    }
    brim_residual_fill(&j->rows, (const float *)f->data + in_run * count,
                       (const float *)q->data + in_run * count,
                       j->r + (j->filled + in_batch * j->rows.per_sample) * j->out->n);
    return BRIM_OK;
}

/* Rows of sample s of the run for job j, to their place behind what waits already. */
static brim_status write_rows(const struct pass *p, struct job *j, int worker, size_t in_run,
                              size_t in_batch)
{
    const struct brim_tensor *f, *q;
    const struct brim_rows *r = &j->rows;

    BRIM_TRY(inputs(p, j, worker, &f, &q));
    const float *xf = (const float *)f->data + in_run * r->sample;
    const float *xq = (const float *)q->data + in_run * r->sample;
    if (!all_finite(xf, r->sample) || !all_finite(xq, r->sample)) {
        return brim_fail(p->ctx, BRIM_ERR_FILE, "node '%s': sample %zu gives a NaN or an infinity",
                         j->request->dot->name, p->first + in_batch);
    }
    const size_t at = (j->filled + in_batch * r->per_sample) * r->columns;
    brim_rows_fill(r, xf, NULL, p->scratch[worker], j->f + at);
    const struct brim_grid *grid = j->request->grid;
    if (grid->vector > 0) { /* codes times their integer scales, then rows as of any floats */
        const size_t channels = (size_t)q->type.shape.dim[1];
        brim_vector_quantize(grid, channels, r->sample / channels, xq, BRIM_VECTOR_SCALED,
                             p->vectors[worker]);
        xq = p->vectors[worker];
        grid = NULL;
    }
    brim_rows_fill(r, xq, grid, p->scratch[worker], j->q + at);
    return j->r != NULL ? write_residual(p, j, worker, in_run, in_batch) : BRIM_OK;
}

static brim_status run_samples(void *arg, size_t item, int worker)
{
    struct pass *p = arg;
    const size_t begin = item * p->per_run;
    const size_t n = brim_min_size(p->per_run, p->count - begin);

    BRIM_TRY(brim_feed_run(&p->floats, worker, p->first + begin, n));
    BRIM_TRY(brim_feed_run(&p->prefix, worker, p->first + begin, n));
    for (size_t i = 0; i < p->n; i++) {
        for (size_t s = 0; s < n; s++) {
            BRIM_TRY(write_rows(p, &p->job[i], worker, s, begin + s));
        }
    }
    return BRIM_OK;
}

/* Rows of a job that are due: whole blocks, or all of them at the end. */
static size_t due(const struct job *j, bool last)
{
    return last ? j->filled : j->filled / j->block * j->block;
}

struct flush {
    struct pass *pass;
    bool last;
};

/* Parts of h and g that can be added independently. */
static size_t square_parts(const struct job *j)
{
    return j->rows.lanes > 0 ? j->rows.lanes / BRIM_ROW_LANES
                             : j->request->dot->groups * brim_block_panels(j->request->dot->k);
}

/* All parts of a job: those, then the residual. */
static size_t parts(const struct job *j)
{
    return square_parts(j) + (j->r != NULL ? 1 : 0);
}

/* Rows [at, at + rows) of BRIM_ROW_LANES groups. */
static void add_lanes(const struct job *j, size_t part, size_t at, size_t rows)
{
    const size_t k = j->request->dot->k, group = part * BRIM_ROW_LANES;
    const struct brim_lane_block b = {
        .q = j->q + at * j->rows.columns + group * k,
        .f = j->f + at * j->rows.columns + group * k,
        .rows = rows,
        .stride = j->rows.columns,
        .k = k,
        .n = brim_min_size(BRIM_ROW_LANES, j->request->dot->groups - group),
        .h = j->out->h + group * k * k,
        .g = j->out->g + group * k * k,
        .sum_q = j->out->mean_q + group * k,
        .sum_f = j->out->mean_f + group * k,
    };
    brim_lane_block_add(&b);
}

/* Rows [at, at + rows), one panel of one group. */
static void add_panel(const struct job *j, size_t part, size_t at, size_t rows, float *scratch)
{
    const size_t k = j->request->dot->k, panels = brim_block_panels(k), group = part / panels;
    const struct brim_block b = {
        .q = j->q + at * j->rows.columns + group * k,
        .f = j->f + at * j->rows.columns + group * k,
        .rows = rows,
        .stride = j->rows.columns,
        .k = k,
        .h = j->out->h + group * k * k,
        .g = j->out->g + group * k * k,
        .sum_q = j->out->mean_q + group * k,
        .sum_f = j->out->mean_f + group * k,
    };
    brim_block_add(&b, part % panels, scratch);
}

static brim_status add_part(void *arg, size_t item, int worker)
{
    const struct flush *f = arg;
    size_t i = f->pass->n - 1;

    while (f->pass->job[i].first_item > item) {
        i--;
    }
    const struct job *j = &f->pass->job[i];
    const size_t end = due(j, f->last);
    const size_t part = item - j->first_item;
    for (size_t at = 0; at < end; at += j->block) {
        const size_t rows = brim_min_size(j->block, end - at);
        if (part == square_parts(j)) {
            brim_residual_add(j->out, j->r + at * j->out->n, j->q + at * j->rows.columns, rows,
                              f->pass->scratch[worker]);
        } else if (j->rows.lanes > 0) {
            add_lanes(j, part, at, rows);
        } else {
            add_panel(j, part, at, rows, f->pass->scratch[worker]);
        }
    }
    return BRIM_OK;
}

static brim_status flush(struct pass *p, bool last)
{
    struct flush f = {p, last};
    size_t items = 0;

    for (size_t i = 0; i < p->n; i++) {
        struct job *j = &p->job[i];
        j->first_item = items;
        items += due(j, last) > 0 ? parts(j) : 0;
    }
    if (items == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_parallel_for(p->ctx, items, add_part, &f));
    for (size_t i = 0; i < p->n; i++) {
        struct job *j = &p->job[i];
        const size_t done = due(j, last);
        j->filled -= done;
        j->out->rows += done;
        if (done > 0) {
            memmove(j->q, j->q + done * j->rows.columns,
                    j->filled * j->rows.columns * sizeof *j->q);
            memmove(j->f, j->f + done * j->rows.columns,
                    j->filled * j->rows.columns * sizeof *j->f);
        }
        if (done > 0 && j->r != NULL) {
            memmove(j->r, j->r + done * j->out->n, j->filled * j->out->n * sizeof *j->r);
        }
    }
    return BRIM_OK;
}

/* Integers to real units, sums to means, triangle to square. */
static void finish(struct job *j)
{
    struct brim_moments *m = j->out;
    const double s = (double)j->request->grid->scale;
    const size_t square = m->k * m->k;

    for (size_t g = 0; g < m->groups; g++) {
        brim_block_mirror(m->h + g * square, m->k);
    }
    for (size_t i = 0; i < m->groups * square; i++) {
        m->h[i] *= s * s;
        m->g[i] *= s;
    }
    for (size_t i = 0; i < m->groups * m->k; i++) {
        m->mean_q[i] *= s / (double)m->rows;
        m->mean_f[i] /= (double)m->rows;
    }
    for (size_t i = 0; j->r != NULL && i < m->n * m->k; i++) {
        m->e[i] *= s;
    }
    for (size_t i = 0; j->r != NULL && i < m->n; i++) {
        m->mean_e[i] /= (double)m->rows;
    }
}

static brim_status run_all(struct pass *p)
{
    const size_t total = brim_data_count(p->floats.data);

    for (p->first = 0; p->first < total; p->first += p->batch) {
        p->count = brim_min_size(p->batch, total - p->first);
        BRIM_TRY(brim_progress(p->ctx, "moments", p->first, total));
        BRIM_TRY(
            brim_parallel_for(p->ctx, (p->count + p->per_run - 1) / p->per_run, run_samples, p));
        for (size_t i = 0; i < p->n; i++) {
            p->job[i].filled += p->count * p->job[i].rows.per_sample;
        }
        BRIM_TRY(flush(p, false));
    }
    BRIM_TRY(flush(p, true));
    for (size_t i = 0; i < p->n; i++) {
        finish(&p->job[i]);
    }
    return brim_progress(p->ctx, "moments", total, total);
}

static void release(struct pass *p)
{
    brim_feed_close(&p->floats);
    brim_feed_close(&p->prefix);
    for (size_t i = 0; p->job != NULL && i < p->n; i++) {
        brim_free(p->ctx, p->job[i].q);
        brim_free(p->ctx, p->job[i].f);
        brim_free(p->ctx, p->job[i].r);
    }
    for (int i = 0; p->scratch != NULL && i < p->ctx->threads; i++) {
        brim_free(p->ctx, p->scratch[i]);
    }
    for (int i = 0; p->vectors != NULL && i < p->ctx->threads; i++) {
        brim_free(p->ctx, p->vectors[i]);
    }
    brim_free(p->ctx, p->vectors);
    brim_free(p->ctx, p->scratch);
    brim_free(p->ctx, p->job);
}

brim_status brim_calibrate_moments(brim_ctx *ctx, const struct brim_graph *float_graph,
                                   const struct brim_graph *prefix, const brim_data *data,
                                   const struct brim_moments_request *request, size_t n,
                                   struct brim_moments *out)
{
    struct pass p = {.ctx = ctx, .n = n};

    memset(out, 0, n * sizeof *out);
    p.job = brim_zalloc(ctx, n + 1, sizeof *p.job);
    brim_status status = p.job != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
    for (size_t i = 0; status == BRIM_OK && i < n; i++) {
        p.job[i].request = &request[i];
        p.job[i].out = &out[i];
        status = request[i].prefix_x >= 0
                     ? BRIM_OK
                     : brim_fail(ctx, BRIM_ERR_INTERNAL,
                                 "node '%s': its input is not in the prefix", request[i].dot->name);
    }
    if (status == BRIM_OK) {
        status = open_feeds(&p, float_graph, prefix, data);
    }
    if (status == BRIM_OK) {
        status = learn_shapes(&p);
    }
    if (status == BRIM_OK) {
        status = allocate(&p);
    }
    if (status == BRIM_OK) {
        status = run_all(&p);
    }
    release(&p);
    if (status != BRIM_OK) {
        brim_moments_free(ctx, out, n);
    }
    return status;
}

void brim_moments_free(brim_ctx *ctx, struct brim_moments *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        brim_free(ctx, m[i].h);
        brim_free(ctx, m[i].g);
        brim_free(ctx, m[i].mean_q);
        brim_free(ctx, m[i].mean_f);
        brim_free(ctx, m[i].e);
        brim_free(ctx, m[i].mean_e);
        m[i] = (struct brim_moments){0};
    }
}
