/* bench_ports.c - GMAC/s of gemm's variants where `brim bench` cannot run: in node, on a board.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     cmake --build --preset wasm-relaxed --target bench_ports_run
 *
 * Inputs of 7 bits and weights of few ones, so that every variant is allowed. Variants take turns;
 * figures are medians.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cpu.h"
#include "base/rng.h"
#include "kernels/gemm.h"
#include "kernels/gemm_variant.h"

#define TURNS    15
#define TURN     0.01 /* seconds, at least */
#define VARIANTS 16

static const struct shape {
    size_t m, n, k;
} shapes[] = {{16, 256, 768}, {128, 768, 768}, {196, 256, 2304}, {784, 128, 1152}};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Seconds of a run, of as many as take TURN seconds: asking for the time may cost as much as a run. */
static double one_turn(const struct brim_gemm *gemm, const struct brim_gemm_rows *rows, int *runs)
{
    for (;; *runs *= 2) {
        const double begin = now();
        for (int i = 0; i < *runs; i++) {
            brim_gemm_run(gemm, rows);
        }
        const double seconds = now() - begin;
        if (seconds >= TURN) {
            return seconds / *runs;
        }
    }
}

static void bench(brim_ctx *ctx, const struct shape *s)
{
    struct brim_rng rng;
    struct brim_gemm *gemm[VARIANTS];
    double turn[VARIANTS][TURNS];
    int runs[VARIANTS];
    size_t scratch = 1;
    int32_t *w = brim_alloc(ctx, s->n * s->k, sizeof *w),
            *y = brim_alloc(ctx, s->m * s->n, sizeof *y);
    uint8_t *x = brim_alloc(ctx, s->m * s->k, 1);

    brim_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < s->n * s->k; i++) {
        const uint64_t die = brim_rng_below(&rng, 8);
        w[i] = die == 0 ? 1 : die == 1 ? -1 : 0;
    }
    for (size_t i = 0; i < s->m * s->k; i++) {
        x[i] = (uint8_t)brim_rng_below(&rng, 128);
    }
    for (size_t v = 0; v < brim_gemm_variant_count && v < VARIANTS; v++) {
        const struct brim_gemm_params p = {.w = w,
                                           .n = s->n,
                                           .k = s->k,
                                           .segments = 1,
                                           .x_min = 0,
                                           .x_max = 127,
                                           .epilogue = {.emit = BRIM_EMIT_ACC},
                                           .variant = brim_gemm_variants[v]->name};
        runs[v] = 1;
        if (brim_gemm_create(ctx, &p, &gemm[v]) != BRIM_OK) {
            gemm[v] = NULL;
            brim_clear_error(ctx);
        } else if (brim_gemm_scratch(gemm[v], s->m) > scratch) {
            scratch = brim_gemm_scratch(gemm[v], s->m);
        }
    }
    void *space = brim_alloc(ctx, scratch, 1);
    const struct brim_gemm_rows rows = {
        .m = s->m, .x = x, .x_stride = s->k, .y = y, .y_stride = s->n, .scratch = space};
    for (int t = 0; t < TURNS; t++) {
        for (size_t v = 0; v < brim_gemm_variant_count && v < VARIANTS; v++) {
            turn[v][t] = gemm[v] != NULL ? one_turn(gemm[v], &rows, &runs[v]) : 0;
        }
    }
    printf("%zux%zux%zu:", s->m, s->n, s->k);
    for (size_t v = 0; v < brim_gemm_variant_count && v < VARIANTS; v++) {
        if (gemm[v] != NULL) {
            qsort(turn[v], TURNS, sizeof turn[v][0], ascending);
            printf("  %s %.1f", brim_gemm_variants[v]->name,
                   1e-9 * (double)(s->m * s->n * s->k) / turn[v][TURNS / 2]);
        }
        brim_gemm_free(ctx, gemm[v]);
    }
    printf("  GMAC/s\n");
    brim_free(ctx, space);
    brim_free(ctx, w);
    brim_free(ctx, x);
    brim_free(ctx, y);
}

int main(void)
{
    brim_ctx *ctx;

    if (brim_ctx_create(NULL, &ctx) != BRIM_OK) {
        return 1;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        bench(ctx, &shapes[i]);
    }
    brim_ctx_free(ctx);
    return 0;
}
