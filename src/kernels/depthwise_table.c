/* depthwise_table.c - every variant of depthwise. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/depthwise_variant.h"

const struct brim_depthwise_variant *const brim_depthwise_variants[] = {
    &brim_depthwise_scalar,
#if defined(__x86_64__)
    &brim_depthwise_avx2,
    &brim_depthwise_avx512,
    &brim_depthwise_avx512vnni,
#elif defined(__aarch64__)
    &brim_depthwise_neon,
    &brim_depthwise_dotprod,
#elif defined(__wasm_simd128__)
    &brim_depthwise_simd128,
#endif
};

const size_t brim_depthwise_variant_count =
    sizeof brim_depthwise_variants / sizeof brim_depthwise_variants[0];
