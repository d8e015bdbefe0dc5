/* gemv_table.c - see gemv_variant.h. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemv_variant.h"

const struct brim_gemv_variant *const brim_gemv_variants[] = {
    &brim_gemv_scalar,
#if defined(__x86_64__)
    &brim_gemv_avx2,
    &brim_gemv_avxvnni,
    &brim_gemv_avx512vnni,
#elif defined(__aarch64__)
    &brim_gemv_neon,
    &brim_gemv_dotprod,
#elif defined(__wasm_simd128__)
    &brim_gemv_simd128,
#endif
};
const size_t brim_gemv_variant_count = sizeof brim_gemv_variants / sizeof brim_gemv_variants[0];
