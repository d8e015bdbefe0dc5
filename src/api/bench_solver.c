/* bench_solver.c - the speed of second moments against plain ssyrk and sgemm.
 * SPDX-License-Identifier: Apache-2.0 */
#include <cblas.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/intops.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "brim/bench.h"
#include "calibrate/accumulate.h"

#define MAX_K      16384
#define MAX_ROWS   ((size_t)1 << 20)
#define MAX_REPEAT 99

/* Samples [rows][k] and room for the results. */
struct bench {
    size_t k, rows;
    float *q, *f, *product; /* product: [k][k] or a panel's scratch */
    double *h, *g, *sum;    /* sum: [2][k] */
};

typedef void bench_fn(const struct bench *b);

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_syrk(const struct bench *b)
{
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (blasint)b->k, (blasint)b->rows, 1.0F, b->q,
                (blasint)b->k, 0.0F, b->product, (blasint)b->k);
}

static void run_gemm(const struct bench *b)
{
    const blasint k = (blasint)b->k;

    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, k, (blasint)b->rows, 1.0F, b->q, k,
                b->f, k, 0.0F, b->product, k);
}

static void run_moments(const struct bench *b)
{
    const size_t step = brim_block_rows(b->k);

    for (size_t r = 0; r < b->rows; r += step) {
        const struct brim_block block = {.q = b->q + r * b->k,
                                         .f = b->f + r * b->k,
                                         .rows = brim_min_size(step, b->rows - r),
                                         .stride = b->k,
                                         .k = b->k,
                                         .h = b->h,
                                         .g = b->g,
                                         .sum_q = b->sum,
                                         .sum_f = b->sum + b->k};
        for (size_t p = 0; p < brim_block_panels(b->k); p++) {
            brim_block_add(&block, p, b->product);
        }
    }
}

static int ascending(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return *x < *y ? -1 : *x > *y;
}

static double median(const struct bench *b, unsigned repeat, bench_fn *run)
{
    double seconds[MAX_REPEAT];

    run(b); /* the first touches memory */
    for (unsigned i = 0; i < repeat; i++) {
        const double start = now();
        run(b);
        seconds[i] = now() - start;
    }
    qsort(seconds, repeat, sizeof *seconds, ascending);
    return seconds[repeat / 2] > 1e-9 ? seconds[repeat / 2] : 1e-9;
}

static brim_status create(brim_ctx *ctx, struct brim_arena *a, struct bench *b)
{
    struct brim_rng r;

    b->q = brim_arena_alloc(a, b->k * b->rows, sizeof(float));
    b->f = brim_arena_alloc(a, b->k * b->rows, sizeof(float));
    b->product =
        brim_arena_alloc(a, brim_max_size(b->k * b->k, brim_block_scratch(b->k)), sizeof(float));
    b->sum = brim_arena_zalloc(a, 2 * b->k, sizeof(double));
    b->h = brim_arena_zalloc(a, b->k * b->k, sizeof(double));
    b->g = brim_arena_zalloc(a, b->k * b->k, sizeof(double));
    if (b->q == NULL || b->f == NULL || b->product == NULL || b->sum == NULL || b->h == NULL ||
        b->g == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_rng_init(&r, ctx->params.seed, 0);
    for (size_t i = 0; i < b->k * b->rows; i++) {
        b->q[i] = (float)brim_rng_uniform(&r);
        b->f[i] = b->q[i] + 0.01F;
    }
    return BRIM_OK;
}

brim_status brim_bench_moments(brim_ctx *ctx, size_t k, size_t rows, unsigned repeat,
                               brim_bench_moments_report *report)
{
    const double h_ops = (double)rows * (double)k * (double)(k + 1);
    const double g_ops = 2.0 * (double)rows * (double)k * (double)k;
    struct bench b = {.k = k, .rows = rows};
    struct brim_arena arena;
    brim_status status;

    if (k < 1 || k > MAX_K || rows < 1 || rows > MAX_ROWS || repeat < 1 || repeat > MAX_REPEAT) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "bench of %zu inputs, %zu rows, %u runs, expected at most %d, %zu, %d", k,
                         rows, repeat, MAX_K, MAX_ROWS, MAX_REPEAT);
    }
    brim_parallel_init();
    brim_arena_init(&arena, ctx);
    status = create(ctx, &arena, &b);
    if (status == BRIM_OK) {
        const double syrk = median(&b, repeat, run_syrk);
        const double gemm = median(&b, repeat, run_gemm);
        const double both = median(&b, repeat, run_moments);
        *report = (brim_bench_moments_report){.k = k,
                                              .rows = rows,
                                              .seconds = both,
                                              .gflops = 1e-9 * (h_ops + g_ops) / both,
                                              .ssyrk = 1e-9 * h_ops / syrk,
                                              .sgemm = 1e-9 * g_ops / gemm,
                                              .share = (syrk + gemm) / both};
    }
    brim_arena_free(&arena);
    return status;
}
