/* gemm_table.c - every variant of gemm, and which one runs. SPDX-License-Identifier: Apache-2.0
 *
 * Chosen by speed, not by narrowness: where an instruction multiplies and adds four products in 32
 * bits at once, 16-bit additions lose; where there is none, they win, if the weights allow them.
 */
#include "base/cpu.h"
#include "kernels/gemm_variant.h"

#include <string.h>

const struct brim_gemm_variant *const brim_gemm_variants[] = {
    &brim_gemm_scalar,
#if defined(__x86_64__)
    &brim_gemm_sse41_32,  &brim_gemm_sse41_pair,  &brim_gemm_sse41_16,       &brim_gemm_avx2_32,
    &brim_gemm_avx2_pair, &brim_gemm_avx2_16,     &brim_gemm_avx512_32,      &brim_gemm_avx512_pair,
    &brim_gemm_avx512_16, &brim_gemm_avxvnni,     &brim_gemm_avx512vnni,     &brim_gemm_amx,
    &brim_gemm_avx2_row,  &brim_gemm_avxvnni_row, &brim_gemm_avx512vnni_row,
#elif defined(__aarch64__)
    &brim_gemm_neon32, &brim_gemm_neon_pair, &brim_gemm_neon16, &brim_gemm_dotprod,
#elif defined(__wasm_simd128__)
    &brim_gemm_simd128,
#    if defined(__wasm_relaxed_simd__)
    &brim_gemm_relaxed32,
    &brim_gemm_relaxed16,
#    endif
#endif
};

const size_t brim_gemm_variant_count = sizeof brim_gemm_variants / sizeof brim_gemm_variants[0];

static unsigned rank(const struct brim_gemm_variant *v, bool few)
{
    return few && v->few != 0 ? v->few : v->rank;
}

const struct brim_gemm_variant *brim_gemm_choose(uint32_t isa, enum brim_gemm_need need,
                                                 unsigned bounds, bool few)
{
    const struct brim_gemm_variant *best = &brim_gemm_scalar;

    for (size_t i = 1; i < brim_gemm_variant_count; i++) {
        const struct brim_gemm_variant *v = brim_gemm_variants[i];

        if ((v->isa & ~isa) == 0 && v->need <= need && (v->bounds & ~bounds) == 0 &&
            rank(v, few) > rank(best, few)) {
            best = v;
        }
    }
    return best;
}

const struct brim_gemm_variant *brim_gemm_find(const char *name)
{
    for (size_t i = 0; i < brim_gemm_variant_count; i++) {
        if (strcmp(brim_gemm_variants[i]->name, name) == 0) {
            return brim_gemm_variants[i];
        }
    }
    return NULL;
}
