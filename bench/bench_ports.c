/* bench_ports.c - GMAC/s of gemm's and lookup's variants where `brim bench` cannot run: in node, on a
 * board. SPDX-License-Identifier: Apache-2.0
 *
 *     cmake --build --preset wasm-relaxed --target bench_ports_run
 *
 * Ternary weights of few ones, so that every variant is allowed; gemm is told of 7-bit inputs, lookup
 * of 4-bit ones, and all get those. Variants take turns; figures are medians of processor time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cpu.h"
#include "base/rng.h"
#include "kernels/gemm.h"
#include "kernels/gemm_variant.h"
#include "kernels/lookup.h"
#include "kernels/lookup_variant.h"

#define TURNS    15
#define TURN     0.01 /* seconds, at least */
#define VARIANTS 24

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

/* One variant of either family. */
struct entry {
    const char *name;
    struct brim_gemm *gemm;
    struct brim_lookup *lookup;
    size_t scratch;
    int runs; /* of a turn: asking for the time may cost as much as a run */
    double turn[TURNS];
};

static struct entry entries[VARIANTS];
static size_t count;

static void add_gemm(brim_ctx *ctx, const struct shape *s, const int32_t *w, const char *name)
{
    const struct brim_gemm_params p = {.w = w,
                                       .n = s->n,
                                       .k = s->k,
                                       .segments = 1,
                                       .x_max = 127,
                                       .epilogue = {.emit = BRIM_EMIT_ACC},
                                       .variant = name};
    struct brim_gemm *gemm;

    if (count < VARIANTS && brim_gemm_create(ctx, &p, &gemm) == BRIM_OK) {
        entries[count++] = (struct entry){
            .name = name, .gemm = gemm, .scratch = brim_gemm_scratch(gemm, s->m), .runs = 1};
    }
    brim_clear_error(ctx);
}

static void add_lookup(brim_ctx *ctx, const struct shape *s, const int32_t *w, const char *name)
{
    const struct brim_lookup_params p = {.w = w,
                                         .n = s->n,
                                         .k = s->k,
                                         .segments = 1,
                                         .x_max = 15,
                                         .epilogue = {.emit = BRIM_EMIT_ACC},
                                         .variant = name};
    struct brim_lookup *lookup;

    if (count < VARIANTS && brim_lookup_create(ctx, &p, &lookup) == BRIM_OK) {
        entries[count++] = (struct entry){.name = name,
                                          .lookup = lookup,
                                          .scratch = brim_lookup_scratch(lookup, s->m),
                                          .runs = 1};
    }
    brim_clear_error(ctx);
}

/* Seconds of a run. */
static double one_turn(struct entry *e, const struct brim_gemm_rows *rows)
{
    for (;; e->runs *= 2) {
        const double begin = now();
        for (int i = 0; i < e->runs; i++) {
            if (e->gemm != NULL) {
                brim_gemm_run(e->gemm, rows);
            } else {
                brim_lookup_run(e->lookup, rows);
            }
        }
        const double seconds = now() - begin;
        if (seconds >= TURN) {
            return seconds / e->runs;
        }
    }
}

static void take_turns(const struct brim_gemm_rows *rows)
{
    for (int t = 0; t < TURNS; t++) {
        for (size_t i = 0; i < count; i++) {
            entries[i].turn[t] = one_turn(&entries[i], rows);
        }
    }
}

static void print(const struct shape *s)
{
    printf("%zux%zux%zu:", s->m, s->n, s->k);
    for (size_t i = 0; i < count; i++) {
        struct entry *e = &entries[i];
        qsort(e->turn, TURNS, sizeof e->turn[0], ascending);
        printf("  %s%s %.1f", e->lookup != NULL ? "lookup-" : "", e->name,
               1e-9 * (double)(s->m * s->n * s->k) / e->turn[TURNS / 2]);
    }
    printf("  GMAC/s\n");
}

static void bench(brim_ctx *ctx, const struct shape *s)
{
    struct brim_rng rng;
    size_t scratch = 1;
    int32_t *w = brim_alloc(ctx, s->n * s->k, sizeof *w);
    int32_t *y = brim_alloc(ctx, s->m * s->n, sizeof *y);
    uint8_t *x = brim_alloc(ctx, s->m * s->k, 1);

    brim_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < s->n * s->k; i++) {
        const uint64_t die = brim_rng_below(&rng, 8);
        w[i] = die == 0 ? 1 : die == 1 ? -1 : 0;
    }
    for (size_t i = 0; i < s->m * s->k; i++) {
        x[i] = (uint8_t)brim_rng_below(&rng, 16);
    }
    count = 0;
    for (size_t i = 0; i < brim_gemm_variant_count; i++) {
        add_gemm(ctx, s, w, brim_gemm_variants[i]->name);
    }
    for (size_t i = 0; i < brim_lookup_variant_count; i++) {
        add_lookup(ctx, s, w, brim_lookup_variants[i]->name);
    }
    for (size_t i = 0; i < count; i++) {
        scratch = entries[i].scratch > scratch ? entries[i].scratch : scratch;
    }
    void *space = brim_alloc(ctx, scratch, 1);
    take_turns(&(struct brim_gemm_rows){
        .m = s->m, .x = x, .x_stride = s->k, .y = y, .y_stride = s->n, .scratch = space});
    print(s);
    for (size_t i = 0; i < count; i++) {
        brim_gemm_free(ctx, entries[i].gemm);
        brim_lookup_free(ctx, entries[i].lookup);
    }
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
