/* bench_gemm.c - exact products, every variant, on the layers of real networks.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Three ResNet layers, a square one, the two halves of a transformer block, and one far larger than
 * any cache. Weights are made so that what a variant needs can be proven: "whole" lets 16-bit lanes
 * hold sums over the whole reduction, "tile 128" over no more than 128 products.
 */
#include <math.h>

#include "api/bench_product.h"
#include "base/cpu.h"
#include "kernels/gemm.h"
#include "kernels/gemm_variant.h"

#define X_MAX 31 /* five bits: tiles of 64 fill 16 bits with weights of seven */
/* Multiply-accumulates that are too many for scalar code, and for SSE4.1's. */
#define SLOW  2e8
#define SLOW4 1e9

static const struct {
    size_t m, n, k;
} shapes[] = {
    {128, 768, 768},  {3136, 64, 576},  {784, 128, 1152},  {196, 256, 2304},
    {128, 3072, 768}, {128, 768, 3072}, {512, 4096, 4096},
};
#define N_SHAPES (sizeof shapes / sizeof *shapes)

static bool is_slow(const struct brim_bench_job *job, const struct brim_gemm_variant *v)
{
    return job->macs > (v->isa == 0 ? SLOW : v->isa == BRIM_ISA_SSE41 ? SLOW4 : HUGE_VAL);
}

/* Weights that are certified for shorter tiles only. */
static brim_status add_tiled(struct brim_bench_job *job, size_t tile, const char *kind)
{
    brim_bench_certified_weights(job, tile);
    for (size_t i = 0; i < brim_gemm_variant_count; i++) {
        const struct brim_gemm_variant *v = brim_gemm_variants[i];
        if (v->need == BRIM_GEMM_LANE && !is_slow(job, v)) {
            BRIM_TRY(brim_bench_add_gemm(job, v, v->name, kind, BRIM_EMIT_ACC));
        }
    }
    return BRIM_OK;
}

static brim_status add_all(struct brim_bench_job *job)
{
    brim_bench_certified_weights(job, job->k);
    for (size_t i = 0; i < brim_gemm_variant_count; i++) {
        const struct brim_gemm_variant *v = brim_gemm_variants[i];
        if (!is_slow(job, v)) {
            BRIM_TRY(brim_bench_add_gemm(job, v, v->name, "whole", BRIM_EMIT_ACC));
        }
    }
    BRIM_TRY(brim_bench_add_peers(job));
    for (size_t i = 0; i < brim_gemm_variant_count; i++) {
        const struct brim_gemm_variant *v = brim_gemm_variants[i];
        if (v->isa != 0 && v->isa != BRIM_ISA_SSE41) {
            BRIM_TRY(brim_bench_add_gemm(job, v, v->name, "codes", BRIM_EMIT_CODES));
        }
    }
    BRIM_TRY(add_tiled(job, 128, "tile 128"));
    return add_tiled(job, 64, "tile 64");
}

brim_status brim_bench_gemm(struct brim_bench *b)
{
    for (size_t i = 0; i < (b->params->quick ? 1 : N_SHAPES); i++) {
        struct brim_bench_job job = {.b = b,
                                     .family = "gemm",
                                     .m = shapes[i].m,
                                     .n = shapes[i].n,
                                     .k = shapes[i].k,
                                     .x_max = X_MAX};
        bool wanted;
        BRIM_TRY(brim_bench_job_create(&job, &wanted));
        if (wanted) {
            BRIM_TRY(add_all(&job));
            BRIM_TRY(brim_bench_measure(b));
        }
    }
    return BRIM_OK;
}
