/* epilogue.c - every variant of the epilogues, and which one runs. SPDX-License-Identifier:
 * Apache-2.0 */
#include "kernels/epilogue.h"
#include "base/cpu.h"

const struct brim_epilogue_variant brim_epilogue_variants[] = {
    {"scalar", 0, brim_epilogue_scalar},
#if defined(__x86_64__)
    {"sse41", BRIM_ISA_SSE41, brim_epilogue_sse41},
    {"avx2", BRIM_ISA_AVX2, brim_epilogue_avx2},
    {"avx512", BRIM_ISA_AVX512, brim_epilogue_avx512},
#elif defined(__aarch64__)
    {"neon", BRIM_ISA_NEON, brim_epilogue_neon},
#elif defined(__wasm_simd128__)
    {"simd128", BRIM_ISA_SIMD128, brim_epilogue_simd128},
#endif
};

const size_t brim_epilogue_variant_count =
    sizeof brim_epilogue_variants / sizeof brim_epilogue_variants[0];

const struct brim_epilogue_variant *brim_epilogue_choose(uint32_t isa)
{
    size_t i = brim_epilogue_variant_count - 1;

    while ((brim_epilogue_variants[i].isa & ~isa) != 0) {
        i--;
    }
    return &brim_epilogue_variants[i];
}
