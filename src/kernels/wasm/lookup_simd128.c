/* lookup_simd128.c - lookups with i8x16.swizzle. SPDX-License-Identifier: Apache-2.0 */
#define LOOKUP(table, indices) wasm_i8x16_swizzle(table, indices)
#include "kernels/wasm/lookup_body.h"

const struct brim_lookup_variant brim_lookup_simd128 = {
    .name = "simd128",
    .isa = BRIM_ISA_SIMD128,
    .weights = 2,
    .rows = 4,
    .panels = 1,
    .block = 128,
    .rank = 10,
    .build = build,
    .run = run,
    .finish = finish,
};
