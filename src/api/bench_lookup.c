/* bench_lookup.c - ternary weights by table lookup, against multiplying them. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Inputs of 4 bits. "certified" weights fit 8 bits over tiles of 64, "ternary" ones are any: their
 * tiles are of 16 or so. One row against the 2-bit weights of gemv, many rows against gemm, whose
 * 16-bit additions both allow over the whole reduction.
 */
#include "api/bench_product.h"
#include "base/cpu.h"
#include "base/rng.h"
#include "kernels/gemm_variant.h"
#include "kernels/gemv_variant.h"
#include "kernels/lookup.h"
#include "kernels/lookup_variant.h"

#include <string.h>

static const struct {
    size_t m, n, k;
} shapes[] = {
    {1, 768, 768},    {1, 768, 3072},   {1, 3072, 768},    {1, 4096, 4096},
    {128, 768, 768},  {3136, 64, 576},  {784, 128, 1152},  {196, 256, 2304},
    {128, 3072, 768}, {128, 768, 3072}, {512, 4096, 4096},
};
#define N_SHAPES (sizeof shapes / sizeof *shapes)

struct lookup {
    struct brim_lookup *lookup;
    struct brim_gemm_rows rows;
};

static void run_lookup(void *state)
{
    const struct lookup *l = state;

    brim_lookup_run(l->lookup, &l->rows);
}

static void free_lookup(brim_ctx *ctx, void *state)
{
    brim_lookup_free(ctx, ((struct lookup *)state)->lookup);
}

static const char *limit_of(const struct brim_lookup_variant *v)
{
    return (v->isa & BRIM_ISA_AVX512VBMI) != 0 ? "avx512vbmi-lookup"
           : (v->isa & BRIM_ISA_AVX512) != 0   ? "avx512-lookup"
           : (v->isa & BRIM_ISA_AVX2) != 0     ? "avx2-lookup"
                                               : NULL;
}

/* 8 weights of 1 and 8 of -1 in every 64. */
static void certified_weights(struct brim_bench_job *job)
{
    struct brim_rng r;

    brim_rng_init(&r, job->b->ctx->params.seed, 64);
    memset(job->w, 0, job->n * job->k * sizeof *job->w);
    for (size_t i = 0; i + 64 <= job->n * job->k; i += 64) { /* k is a multiple of 64 */
        for (unsigned j = 0; j < 16;) {
            int32_t *w = &job->w[i + brim_rng_below(&r, 64)];

            if (*w == 0) {
                *w = j++ % 2 == 0 ? 1 : -1;
            }
        }
    }
    brim_bench_job_weights_ready(job);
}

static brim_status add_lookup(struct brim_bench_job *job, const struct brim_lookup_variant *v,
                              const char *kind)
{
    struct brim_bench *b = job->b;
    struct lookup *l = brim_arena_zalloc(&b->set, 1, sizeof *l);
    const struct brim_lookup_params p = {.w = job->w,
                                         .n = job->n,
                                         .k = job->k,
                                         .segments = 1,
                                         .x_max = job->x_max,
                                         .epilogue = brim_bench_epilogue(job, BRIM_EMIT_ACC),
                                         .variant = v->name};

    if (l == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_lookup_create(b->ctx, &p, &l->lookup));
    void *scratch = brim_arena_alloc(&b->set, brim_lookup_scratch(l->lookup, job->m) + 1, 1);
    if (scratch == NULL) {
        brim_lookup_free(b->ctx, l->lookup);
        return BRIM_ERR_NOMEM;
    }
    l->rows = (struct brim_gemm_rows){.m = job->m,
                                      .x = job->x,
                                      .x_stride = job->k,
                                      .slack = true,
                                      .y = job->y,
                                      .y_stride = job->n,
                                      .scratch = scratch};
    const struct brim_bench_case c = {.kind = kind,
                                      .name = v->name,
                                      .limit = limit_of(v),
                                      .limit_scale = v->weights,
                                      .run = run_lookup,
                                      .state = l,
                                      .destroy = free_lookup};
    return brim_bench_job_add(job, &c, true);
}

/* What multiplies instead: 2-bit weights for a row, else every gemm that these weights allow. */
static brim_status add_others(struct brim_bench_job *job)
{
    for (size_t i = 0; job->m == 1 && i < brim_gemv_variant_count; i++) {
        const struct brim_gemv_variant *v = brim_gemv_variants[i];
        const char *name = brim_arena_printf(job->b->arena, "gemv %s", v->name);
        if (name == NULL) {
            return BRIM_ERR_NOMEM;
        }
        if (v->isa != 0) {
            BRIM_TRY(brim_bench_add_gemv(job, v, 2, name, "certified"));
        }
    }
    for (size_t i = 0; job->m > 1 && i < brim_gemm_variant_count; i++) {
        const struct brim_gemm_variant *v = brim_gemm_variants[i];
        const char *name = brim_arena_printf(job->b->arena, "gemm %s", v->name);
        if (name == NULL) {
            return BRIM_ERR_NOMEM;
        }
        if ((v->isa & ~(uint32_t)BRIM_ISA_SSE41) != 0) { /* what lookups compete with */
            BRIM_TRY(brim_bench_add_gemm(job, v, name, "certified", BRIM_EMIT_ACC));
        }
    }
    return BRIM_OK;
}

static brim_status add_lookups(struct brim_bench_job *job, const char *kind)
{
    for (size_t i = 0; i < brim_lookup_variant_count; i++) {
        const struct brim_lookup_variant *v = brim_lookup_variants[i];
        if (v->isa != 0 && (v->isa & ~job->b->ctx->isa) == 0) {
            BRIM_TRY(add_lookup(job, v, kind));
        }
    }
    return BRIM_OK;
}

static brim_status add_all(struct brim_bench_job *job)
{
    certified_weights(job);
    BRIM_TRY(add_lookups(job, "certified"));
    BRIM_TRY(add_others(job));
    brim_bench_random_weights(job, -1, 1);
    return add_lookups(job, "ternary");
}

brim_status brim_bench_lookup(struct brim_bench *b)
{
    for (size_t i = 0; i < (b->params->quick ? 1 : N_SHAPES); i++) {
        struct brim_bench_job job = {.b = b,
                                     .family = "lookup",
                                     .m = shapes[i].m,
                                     .n = shapes[i].n,
                                     .k = shapes[i].k,
                                     .x_max = 15};
        bool wanted;
        BRIM_TRY(brim_bench_job_create(&job, &wanted));
        if (wanted) {
            BRIM_TRY(add_all(&job));
            BRIM_TRY(brim_bench_measure(b));
        }
    }
    return BRIM_OK;
}
