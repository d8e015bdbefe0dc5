/* bench_gemv.c - one row, weights of 8, 4 and 2 bits. SPDX-License-Identifier: Apache-2.0
 *
 * Every weight is used once, so that what counts is how fast weights arrive: from the second-level
 * cache in the first two shapes, from beyond it in the third.
 */
#include "api/bench_product.h"
#include "kernels/gemm_variant.h"
#include "kernels/gemv.h"
#include "kernels/gemv_variant.h"

static const struct {
    size_t n, k;
} shapes[] = {{768, 3072}, {3072, 768}, {4096, 4096}};
#define N_SHAPES (sizeof shapes / sizeof *shapes)

struct gemv {
    struct brim_gemv *gemv;
    struct brim_gemv_rows rows;
};

static void run_gemv(void *state)
{
    const struct gemv *g = state;

    brim_gemv_run(g->gemv, &g->rows);
}

static void free_gemv(brim_ctx *ctx, void *state)
{
    brim_gemv_free(ctx, ((struct gemv *)state)->gemv);
}

brim_status brim_bench_add_gemv(struct brim_bench_job *job, const struct brim_gemv_variant *v,
                                unsigned bits, const char *name, const char *kind)
{
    struct brim_bench *b = job->b;
    struct gemv *g = brim_arena_zalloc(&b->set, 1, sizeof *g);
    const struct brim_gemv_params p = {.w = job->w,
                                       .n = job->n,
                                       .k = job->k,
                                       .bits = bits,
                                       .x_max = job->x_max,
                                       .epilogue = brim_bench_epilogue(job, BRIM_EMIT_ACC),
                                       .variant = v->name};

    if ((v->isa & ~b->ctx->isa) != 0) {
        return BRIM_OK;
    }
    if (g == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_gemv_create(b->ctx, &p, &g->gemv));
    void *scratch = brim_arena_alloc(&b->set, brim_gemv_scratch(g->gemv) + 1, 1);
    if (scratch == NULL) {
        brim_gemv_free(b->ctx, g->gemv);
        return BRIM_ERR_NOMEM;
    }
    g->rows = (struct brim_gemv_rows){.m = job->m,
                                      .x = job->x,
                                      .x_stride = job->k,
                                      .y = job->y,
                                      .y_stride = job->n,
                                      .scratch = scratch};
    const struct brim_bench_case c = {
        .kind = kind, .name = name, .run = run_gemv, .state = g, .destroy = free_gemv};
    return brim_bench_job_add(job, &c, true);
}

static brim_status add_width(struct brim_bench_job *job, unsigned bits, const char *kind)
{
    brim_bench_random_weights(job, -(1 << (bits - 1)), (1 << (bits - 1)) - 1);
    for (size_t i = 0; i < brim_gemv_variant_count; i++) {
        const struct brim_gemv_variant *v = brim_gemv_variants[i];
        BRIM_TRY(brim_bench_add_gemv(job, v, bits, v->name, kind));
    }
    return BRIM_OK;
}

static brim_status add_all(struct brim_bench_job *job)
{
    BRIM_TRY(add_width(job, 8, "8 bits"));
    BRIM_TRY(brim_bench_add_gemm(job, NULL, "gemm", "8 bits", BRIM_EMIT_ACC));
    BRIM_TRY(brim_bench_add_peers(job));
    BRIM_TRY(add_width(job, 4, "4 bits"));
    return add_width(job, 2, "2 bits");
}

brim_status brim_bench_gemv(struct brim_bench *b)
{
    for (size_t i = 0; i < (b->params->quick ? 1 : N_SHAPES); i++) {
        struct brim_bench_job job = {
            .b = b, .family = "gemv", .m = 1, .n = shapes[i].n, .k = shapes[i].k, .x_max = 127};
        bool wanted;
        BRIM_TRY(brim_bench_job_create(&job, &wanted));
        if (wanted) {
            BRIM_TRY(add_all(&job));
            BRIM_TRY(brim_bench_measure(b));
        }
    }
    return BRIM_OK;
}
