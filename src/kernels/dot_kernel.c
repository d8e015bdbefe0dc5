/* dot_kernel.c - pack weights, run rows. SPDX-License-Identifier: Apache-2.0
 *
 * Lanes run over outputs, BRIM_LANES weights of one k side by side in panels padded with zero
 * weights, which overflow nothing and are not counted. Where that takes more runs (few outputs, as
 * in a depthwise layer), BRIM_LANES rows are packed side by side and share one output's weights.
 */
#include "base/intops.h"
#include "kernels/dot_plan.h"

#include <cblas.h>
#include <string.h>

struct brim_dot_kernel {
    size_t n, k, groups, outputs; /* outputs: n / groups */
    brim_datapath datapath;
    struct brim_dot_plan plan;
    size_t panels;  /* of one group */
    int32_t *w;     /* [n][k] */
    int32_t *panel; /* [groups][panels][k][BRIM_LANES] */
    void *real;     /* GEMM: [n][k] as float or double */
    size_t block;   /* GEMM: rows at a time */
    size_t scratch;
};

static bool gemm(const struct brim_dot_kernel *d)
{
    return d->plan.path == BRIM_DOT_GEMM_F32 || d->plan.path == BRIM_DOT_GEMM_F64;
}

static bool lanes(const struct brim_dot_kernel *d)
{
    return d->plan.path == BRIM_DOT_LANES32 || d->plan.path == BRIM_DOT_LANES64;
}

static brim_status check_params(brim_ctx *ctx, const struct brim_dot_kernel_params *p)
{
    const int64_t x_limit = INT64_C(1) << 16, w_limit = INT64_C(1) << 15;

    if (p->groups == 0 || p->n % p->groups != 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "%zu outputs in %zu groups, expected a multiple", p->n,
                         p->groups);
    }
    if (p->x_min < -x_limit || p->x_max >= x_limit || p->x_min > p->x_max) {
        return brim_fail(ctx, BRIM_ERR_ARG, "input codes %lld..%lld, expected within 17 bits",
                         (long long)p->x_min, (long long)p->x_max);
    }
    for (size_t i = 0; i < p->n * p->k; i++) {
        if (p->w[i] < -w_limit || p->w[i] >= w_limit) {
            return brim_fail(ctx, BRIM_ERR_ARG, "weight code %ld, expected within 16 bits",
                             (long)p->w[i]);
        }
    }
    return BRIM_OK;
}

static brim_status pack_panels(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    size_t panels, rows;

    d->panels = (d->outputs + BRIM_LANES - 1) / BRIM_LANES;
    if (!brim_mul_size(d->groups, d->panels, &panels) || !brim_mul_size(panels, d->k, &rows)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu outputs of %zu weights: too large", d->n, d->k);
    }
    d->panel = brim_zalloc(ctx, rows, BRIM_LANES * sizeof *d->panel);
    if (d->panel == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < d->n; c++) {
        const size_t g = c / d->outputs, o = c % d->outputs;
        int32_t *to = d->panel + (g * d->panels + o / BRIM_LANES) * d->k * BRIM_LANES;

        for (size_t j = 0; j < d->k; j++) {
            to[j * BRIM_LANES + o % BRIM_LANES] = d->w[c * d->k + j];
        }
    }
    return BRIM_OK;
}

static brim_status pack_real(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    const bool f32 = d->plan.path == BRIM_DOT_GEMM_F32;
    const size_t count = d->n * d->k;

    d->real = brim_alloc(ctx, count, f32 ? sizeof(float) : sizeof(double));
    if (d->real == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (f32) {
            ((float *)d->real)[i] = (float)d->w[i];
        } else {
            ((double *)d->real)[i] = (double)d->w[i];
        }
    }
    return BRIM_OK;
}

/* Scratch: GEMM [block][k] inputs and [block][outputs] totals; lanes one packed panel of rows, and
 * as scalar the lists of brim_datapath_dot(). A mebibyte of inputs at a time stays in the caches. */
static brim_status size_scratch(brim_ctx *ctx, struct brim_dot_kernel *d)
{
    const size_t real = d->plan.path == BRIM_DOT_GEMM_F32 ? sizeof(float) : sizeof(double);
    size_t count = 0, size = 1;

    d->block = 1;
    if (gemm(d)) {
        const size_t target = ((size_t)1 << 20) / real / (d->k + d->outputs);
        size_t width;

        d->block = brim_min_size(brim_max_size(target, 16), 1024);
        if (!brim_add_size(d->k, d->outputs, &width) || !brim_mul_size(width, real, &size)) {
            return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu weights: too large", d->k);
        }
        count = d->block;
    } else if (lanes(d)) {
        count = d->k;
        size = BRIM_LANES * sizeof(int32_t) + 2 * sizeof(int64_t);
    } else {
        count = d->k;
        size = 2 * sizeof(int64_t);
    }
    if (!brim_mul_size(count, size, &d->scratch)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu weights: too large", d->k);
    }
    return BRIM_OK;
}

static brim_status fill_kernel(brim_ctx *ctx, const struct brim_dot_kernel_params *p,
                               struct brim_dot_kernel *d)
{
    static const brim_datapath exact = {1, {{.width = 64}}};
    size_t count;

    d->n = p->n;
    d->k = p->k;
    d->groups = p->groups;
    d->datapath = p->datapath != NULL ? *p->datapath : exact;
    if (!brim_mul_size(p->n, p->k, &count)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu outputs of %zu weights: too large", p->n, p->k);
    }
    BRIM_TRY(check_params(ctx, p));
    d->outputs = p->n / p->groups;
    BRIM_TRY(brim_dot_plan_make(ctx, p, &d->datapath, &d->plan));
    d->w = brim_alloc(ctx, count, sizeof *d->w);
    if (d->w == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (count > 0) {
        memcpy(d->w, p->w, count * sizeof *d->w);
    }
    BRIM_TRY(size_scratch(ctx, d));
    if (lanes(d)) {
        return pack_panels(ctx, d);
    }
    return gemm(d) ? pack_real(ctx, d) : BRIM_OK;
}

brim_status brim_dot_kernel_create(brim_ctx *ctx, const struct brim_dot_kernel_params *p,
                                   struct brim_dot_kernel **kernel)
{
    struct brim_dot_kernel *d = brim_zalloc(ctx, 1, sizeof *d);

    if (d == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const brim_status s = fill_kernel(ctx, p, d);
    if (s != BRIM_OK) {
        brim_dot_kernel_free(ctx, d);
        return s;
    }
    *kernel = d;
    return BRIM_OK;
}

void brim_dot_kernel_free(brim_ctx *ctx, struct brim_dot_kernel *kernel)
{
    if (kernel != NULL) {
        brim_free(ctx, kernel->w);
        brim_free(ctx, kernel->panel);
        brim_free(ctx, kernel->real);
        brim_free(ctx, kernel);
    }
}

bool brim_dot_kernel_is_total(const struct brim_dot_kernel *kernel)
{
    return kernel->plan.total;
}

size_t brim_dot_kernel_scratch(const struct brim_dot_kernel *kernel)
{
    return kernel->scratch;
}

void brim_dot_counts_add(struct brim_dot_counts *to, const struct brim_dot_counts *from)
{
    to->outputs += from->outputs;
    to->transient += from->transient;
    to->persistent += from->persistent;
    to->product += from->product;
    to->min_width = from->min_width > to->min_width ? from->min_width : to->min_width;
}

/* An exact total on the last register. */
static int64_t finish_total(const struct brim_lane_stage *s, int64_t total)
{
    if (s->value == BRIM_LANE_CLIP) {
        return brim_clip_i64(total, s->lo, s->hi);
    }
    if (s->value == BRIM_LANE_WRAP) {
        const uint64_t mask = 2 * (uint64_t)s->hi + 1;

        return (int64_t)(((uint64_t)total - (uint64_t)s->lo) & mask) + s->lo;
    }
    return total;
}

static void gemm_f32(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t first,
                     size_t m)
{
    float *x = r->scratch, *y = x + d->block * d->k;
    const float *w = (const float *)d->real + r->group * d->outputs * d->k;

    for (size_t i = 0; i < m; i++) {
        const int32_t *from = r->x + (first + i) * r->x_stride;

        for (size_t j = 0; j < d->k; j++) {
            x[i * d->k + j] = (float)from[j];
        }
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)d->outputs,
                (blasint)d->k, 1.0f, x, (blasint)d->k, w, (blasint)d->k, 0.0f, y,
                (blasint)d->outputs);
    for (size_t i = 0; i < m; i++) {
        int64_t *to = r->y + (first + i) * r->y_stride;

        for (size_t c = 0; c < d->outputs; c++) {
            to[c] = finish_total(&d->plan.lanes.stage[0], (int64_t)y[i * d->outputs + c]);
        }
    }
}

static void gemm_f64(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t first,
                     size_t m)
{
    double *x = r->scratch, *y = x + d->block * d->k;
    const double *w = (const double *)d->real + r->group * d->outputs * d->k;

    for (size_t i = 0; i < m; i++) {
        const int32_t *from = r->x + (first + i) * r->x_stride;

        for (size_t j = 0; j < d->k; j++) {
            x[i * d->k + j] = (double)from[j];
        }
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)d->outputs,
                (blasint)d->k, 1.0, x, (blasint)d->k, w, (blasint)d->k, 0.0, y,
                (blasint)d->outputs);
    for (size_t i = 0; i < m; i++) {
        int64_t *to = r->y + (first + i) * r->y_stride;

        for (size_t c = 0; c < d->outputs; c++) {
            to[c] = finish_total(&d->plan.lanes.stage[0], (int64_t)y[i * d->outputs + c]);
        }
    }
}

static void run_gemm(const struct brim_dot_kernel *d, const struct brim_dot_rows *r)
{
    for (size_t first = 0; first < r->m; first += d->block) {
        const size_t m = brim_min_size(d->block, r->m - first);

        if (d->plan.path == BRIM_DOT_GEMM_F32) {
            gemm_f32(d, r, first, m);
        } else {
            gemm_f64(d, r, first, m);
        }
    }
}

/* One output by the reference. `lists` holds 2*k values. */
static int64_t run_one(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t i,
                       size_t c, int64_t *lists, struct brim_dot_counts *counts)
{
    const int32_t *w = d->w + (r->group * d->outputs + c) * d->k;
    const int32_t *x = r->x + i * r->x_stride;
    brim_events ev;

    if (!d->plan.lanes.count) {
        return brim_datapath_dot(&d->datapath, w, x, d->k, lists, NULL);
    }
    const int64_t y = brim_datapath_dot(&d->datapath, w, x, d->k, lists, &ev);
    const struct brim_dot_counts one = {0, ev.transient, ev.persistent, ev.product, ev.min_width};
    brim_dot_counts_add(counts, &one);
    return y;
}

static void run_scalar(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                       struct brim_dot_counts *counts)
{
    for (size_t i = 0; i < r->m; i++) {
        for (size_t c = 0; c < d->outputs; c++) {
            r->y[i * r->y_stride + c] = run_one(d, r, i, c, r->scratch, counts);
        }
    }
}

static void run_panel(const struct brim_dot_kernel *d, const int32_t *panel, const int32_t *shared,
                      int64_t *y, struct brim_lane_tally *tally)
{
    if (d->plan.path == BRIM_DOT_LANES32) {
        brim_lanes32_run(&d->plan.lanes, panel, shared, y, tally);
    } else {
        brim_lanes64_run(&d->plan.lanes, panel, shared, y, tally);
    }
}

/* The lists of run_one() lie behind the packed rows. */
static int64_t run_odd(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t i,
                       size_t c, struct brim_dot_counts *counts)
{
    int64_t *lists = (int64_t *)r->scratch + d->k * BRIM_LANES / 2;

    return run_one(d, r, i, c, lists, counts);
}

static void lanes_over_outputs(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                               struct brim_lane_tally *tally, struct brim_dot_counts *counts)
{
    const int32_t *panel = d->panel + r->group * d->panels * d->k * BRIM_LANES;

    for (size_t p = 0; p < d->panels; p++, panel += d->k * BRIM_LANES) {
        const size_t first = p * BRIM_LANES, n = brim_min_size(BRIM_LANES, d->outputs - first);

        for (size_t i = 0; i < r->m; i++) {
            int64_t y[BRIM_LANES];

            run_panel(d, panel, r->x + i * r->x_stride, y, tally);
            for (size_t l = 0; l < n; l++) {
                const bool odd = d->plan.lanes.recheck && tally->odd[l];

                r->y[i * r->y_stride + first + l] =
                    odd ? run_odd(d, r, i, first + l, counts) : y[l];
            }
        }
    }
}

/* Rows first..first+m side by side, padded with zero rows. */
static void pack_rows(const struct brim_dot_kernel *d, const struct brim_dot_rows *r, size_t first,
                      size_t m, int32_t *panel)
{
    for (size_t l = 0; l < BRIM_LANES; l++) {
        const int32_t *x = r->x + (l < m ? first + l : first) * r->x_stride;

        for (size_t j = 0; j < d->k; j++) {
            panel[j * BRIM_LANES + l] = l < m ? x[j] : 0;
        }
    }
}

static void lanes_over_rows(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                            struct brim_lane_tally *tally, struct brim_dot_counts *counts)
{
    for (size_t first = 0; first < r->m; first += BRIM_LANES) {
        const size_t m = brim_min_size(BRIM_LANES, r->m - first);

        pack_rows(d, r, first, m, r->scratch);
        for (size_t c = 0; c < d->outputs; c++) {
            int64_t y[BRIM_LANES];

            run_panel(d, r->scratch, d->w + (r->group * d->outputs + c) * d->k, y, tally);
            for (size_t l = 0; l < m; l++) {
                const bool odd = d->plan.lanes.recheck && tally->odd[l];

                r->y[(first + l) * r->y_stride + c] =
                    odd ? run_odd(d, r, first + l, c, counts) : y[l];
            }
        }
    }
}

static void run_lanes(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                      struct brim_dot_counts *counts)
{
    struct brim_lane_tally tally = {0};

    if (r->m == 0 || d->outputs == 0) {
        return;
    }
    /* Runs of a panel; packing rows costs about two. */
    if ((r->m + BRIM_LANES - 1) / BRIM_LANES * (d->outputs + 2) < r->m * d->panels) {
        lanes_over_rows(d, r, &tally, counts);
    } else {
        lanes_over_outputs(d, r, &tally, counts);
    }
    const struct brim_dot_counts all = {0, tally.transient, tally.persistent, tally.product,
                                        (uint8_t)brim_width_of(tally.lo, tally.hi)};
    brim_dot_counts_add(counts, &all);
}

void brim_dot_kernel_run(const struct brim_dot_kernel *kernel, const struct brim_dot_rows *rows)
{
    struct brim_dot_counts counts = {.outputs = rows->m * kernel->outputs};

    if (gemm(kernel)) {
        run_gemm(kernel, rows);
    } else if (lanes(kernel)) {
        run_lanes(kernel, rows, &counts);
    } else {
        run_scalar(kernel, rows, &counts);
    }
    if (kernel->plan.lanes.count && rows->counts != NULL) {
        brim_dot_counts_add(rows->counts, &counts);
    }
}
