/* bench_simulate.c - registers of P bits, simulated, against a plain loop and the exact product.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "api/bench_product.h"
#include "kernels/dot.h"

/* Codes are as wide as single products of P bits allow, at most 8 bits; every sum may overflow. */
static const struct {
    unsigned width;
    int x_max, w_max;
} registers[] = {{12, 15, 127}, {16, 127, 127}, {8, 15, 7}, {17, 127, 127}, {20, 127, 127}};
#define N_REGISTERS (sizeof registers / sizeof *registers)

/* What is simulated, besides the exact product. */
static const struct {
    const char *name, *mode; /* of the only stage */
    bool count;
} methods[] = {
    {"saturate", "s", false}, {"saturate, counted", "s", true}, {"wrap", "", false},
    {"sorted", "q", false},   {"sign-greedy", "g", false},
};
#define N_METHODS (sizeof methods / sizeof *methods)

struct simulation {
    struct brim_dot_kernel *kernel;
    struct brim_dot_rows rows;
    struct brim_dot_counts counts;
};

struct loop {
    const struct brim_bench_job *job;
    int32_t lo, hi;
};

static void run_simulation(void *state)
{
    const struct simulation *s = state;

    brim_dot_kernel_run(s->kernel, &s->rows);
}

static void free_simulation(brim_ctx *ctx, void *state)
{
    brim_dot_kernel_free(ctx, ((struct simulation *)state)->kernel);
}

/* Every addition clamped: what anyone would write. */
static void run_loop(void *state)
{
    const struct loop *l = state;
    const struct brim_bench_job *job = l->job;
    int32_t *y = job->y;

    for (size_t i = 0; i < job->m; i++) {
        for (size_t c = 0; c < job->n; c++) {
            const uint8_t *x = job->x + i * job->k;
            const int8_t *w = job->w8 + c * job->k;
            int32_t sum = 0;
            for (size_t k = 0; k < job->k; k++) {
                sum += x[k] * w[k];
                sum = sum < l->lo ? l->lo : sum;
                sum = sum > l->hi ? l->hi : sum;
            }
            y[i * job->n + c] = sum;
        }
    }
}

static brim_status add_loop(struct brim_bench_job *job, unsigned width)
{
    struct loop *l = brim_arena_zalloc(&job->b->set, 1, sizeof *l);

    if (l == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *l = (struct loop){.job = job, .lo = -(1 << (width - 1)), .hi = (1 << (width - 1)) - 1};
    const struct brim_bench_case c = {
        .kind = "saturate", .name = "scalar loop", .run = run_loop, .state = l};
    return brim_bench_job_add(job, &c, true);
}

static brim_status add_simulation(struct brim_bench_job *job, const char *text, const char *name,
                                  bool count)
{
    struct brim_bench *b = job->b;
    struct simulation *s = brim_arena_zalloc(&b->set, 1, sizeof *s);
    int64_t *y = brim_arena_alloc(&b->set, job->m * job->n, sizeof *y);
    brim_datapath dp;

    if (s == NULL || y == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_datapath_parse(b->ctx, text, &dp));
    const struct brim_dot_kernel_params p = {.w = job->w,
                                             .n = job->n,
                                             .k = job->k,
                                             .groups = 1,
                                             .x_max = job->x_max,
                                             .datapath = &dp,
                                             .count = count};
    BRIM_TRY(brim_dot_kernel_create(b->ctx, &p, &s->kernel));
    void *scratch = brim_arena_alloc(&b->set, brim_dot_kernel_scratch(s->kernel) + 1, 1);
    if (scratch == NULL) {
        brim_dot_kernel_free(b->ctx, s->kernel);
        return BRIM_ERR_NOMEM;
    }
    s->rows = (struct brim_dot_rows){.m = job->m,
                                     .x = job->x,
                                     .codes = BRIM_DOT_UINT8,
                                     .x_stride = job->k,
                                     .y = y,
                                     .y32 = brim_dot_kernel_fits32(s->kernel) ? job->y : NULL,
                                     .y_stride = job->n,
                                     .counts = count ? &s->counts : NULL,
                                     .scratch = scratch};
    const struct brim_bench_case c = {
        .kind = name, .name = name, .run = run_simulation, .state = s, .destroy = free_simulation};
    return brim_bench_job_add(job, &c, s->rows.y32 != NULL);
}

/* Loop and simulator must agree, and so must the exact product and a register that is proven wide
 * enough; what others compute is for tests to check. */
static brim_status add_all(struct brim_bench_job *job, unsigned width, int w_max)
{
    char text[16];

    brim_bench_random_weights(job, -w_max, w_max);
    BRIM_TRY(add_loop(job, width));
    for (size_t i = 0; i < N_METHODS; i++) {
        (void)snprintf(text, sizeof text, "%u%s", width, methods[i].mode);
        if (methods[i].mode[0] != 's') {
            job->checked = false;
        }
        BRIM_TRY(add_simulation(job, text, methods[i].name, methods[i].count));
    }
    job->checked = false;
    BRIM_TRY(add_simulation(job, "32s", "proven", false));
    return brim_bench_add_gemm(job, NULL, "exact gemm", "exact gemm", BRIM_EMIT_ACC);
}

brim_status brim_bench_simulate(struct brim_bench *b)
{
    for (size_t i = 0; i < (b->params->quick ? 1 : N_REGISTERS); i++) {
        struct brim_bench_job job = {
            .b = b, .family = "simulate", .m = 32, .n = 256, .k = 768, .x_max = registers[i].x_max};
        bool wanted;
        job.label = brim_arena_printf(b->arena, "P=%u", registers[i].width);
        if (job.label == NULL) {
            return BRIM_ERR_NOMEM;
        }
        BRIM_TRY(brim_bench_job_create(&job, &wanted));
        if (wanted) {
            BRIM_TRY(add_all(&job, registers[i].width, registers[i].w_max));
            BRIM_TRY(brim_bench_measure(b));
        }
    }
    return BRIM_OK;
}
