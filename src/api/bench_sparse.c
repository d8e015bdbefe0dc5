/* bench_sparse.c - 2 of every 4 weights, the same for 32 outputs, against all of them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Rates count the products of the dense matrix, so that they compare.
 */
#include "api/bench_product.h"
#include "base/cpu.h"
#include "kernels/gemm_variant.h"
#include "kernels/sparse.h"

#define KEEP  2
#define GROUP 4
#define BLOCK 32

static const struct {
    size_t m, n, k;
} shapes[] = {{128, 768, 768}, {128, 3072, 768}, {128, 768, 3072}};
#define N_SHAPES (sizeof shapes / sizeof *shapes)

struct sparse {
    struct brim_sparse *sparse;
    struct brim_sparse_rows rows;
};

static void run_sparse(void *state)
{
    const struct sparse *s = state;

    brim_sparse_run(s->sparse, &s->rows);
}

static void free_sparse(brim_ctx *ctx, void *state)
{
    brim_sparse_free(ctx, ((struct sparse *)state)->sparse);
}

/* Zero two of every four, other ones in each block. */
static void make_weights(struct brim_bench_job *job)
{
    brim_bench_random_weights(job, -127, 127);
    for (size_t c = 0; c < job->n; c++) {
        for (size_t i = 0; i < job->k; i++) {
            const size_t pattern = (c / BLOCK + i / GROUP) % 3; /* 0 1, 0 2 or 0 3 are kept */
            if (i % GROUP != 0 && i % GROUP != pattern + 1) {
                job->w[c * job->k + i] = 0;
            }
        }
    }
    brim_bench_job_weights_ready(job);
}

static brim_status add_sparse(struct brim_bench_job *job, const struct brim_gemm_variant *v)
{
    struct brim_bench *b = job->b;
    struct sparse *s = brim_arena_zalloc(&b->set, 1, sizeof *s);
    const struct brim_sparse_params p = {.w = job->w,
                                         .n = job->n,
                                         .k = job->k,
                                         .keep = KEEP,
                                         .group = GROUP,
                                         .block = BLOCK,
                                         .x_max = job->x_max,
                                         .epilogue = brim_bench_epilogue(job, BRIM_EMIT_ACC),
                                         .variant = v->name};

    if (s == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_sparse_create(b->ctx, &p, &s->sparse));
    void *scratch = brim_arena_alloc(&b->set, brim_sparse_scratch(s->sparse, job->m) + 1, 1);
    if (scratch == NULL) {
        brim_sparse_free(b->ctx, s->sparse);
        return BRIM_ERR_NOMEM;
    }
    s->rows = (struct brim_sparse_rows){.m = job->m,
                                        .x = job->x,
                                        .x_stride = job->k,
                                        .y = job->y,
                                        .y_stride = job->n,
                                        .scratch = scratch};
    const struct brim_bench_case c = {.kind = "2:4 shared by 32",
                                      .name = v->name,
                                      .run = run_sparse,
                                      .state = s,
                                      .destroy = free_sparse};
    return brim_bench_job_add(job, &c, true);
}

static brim_status add_all(struct brim_bench_job *job)
{
    make_weights(job);
    for (size_t i = 0; i < brim_gemm_variant_count; i++) {
        const struct brim_gemm_variant *v = brim_gemm_variants[i];
        if (v->isa == 0 || v->need != BRIM_GEMM_ANY || (v->isa & ~job->b->ctx->isa) != 0) {
            continue;
        }
        BRIM_TRY(brim_bench_add_gemm(job, v, v->name, "dense", BRIM_EMIT_ACC));
        BRIM_TRY(add_sparse(job, v));
    }
    return BRIM_OK;
}

brim_status brim_bench_sparse(struct brim_bench *b)
{
    for (size_t i = 0; i < (b->params->quick ? 1 : N_SHAPES); i++) {
        struct brim_bench_job job = {.b = b,
                                     .family = "sparse",
                                     .m = shapes[i].m,
                                     .n = shapes[i].n,
                                     .k = shapes[i].k,
                                     .x_max = 127};
        bool wanted;
        BRIM_TRY(brim_bench_job_create(&job, &wanted));
        if (wanted) {
            BRIM_TRY(add_all(&job));
            BRIM_TRY(brim_bench_measure(b));
        }
    }
    return BRIM_OK;
}
