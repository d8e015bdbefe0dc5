/* lookup_relaxed.c - lookups with i8x16.relaxed_swizzle. SPDX-License-Identifier: Apache-2.0 */
#define LOOKUP(table, indices)                                                                     \
    (v128_t) __builtin_wasm_relaxed_swizzle_i8x16((__i8x16)(table), (__i8x16)(indices))
#include "kernels/wasm/lookup_body.h"

const struct brim_lookup_variant brim_lookup_relaxed = {
    .name = "relaxed",
    .isa = BRIM_ISA_SIMD128 | BRIM_ISA_RELAXED,
    .weights = 2,
    .rows = 4,
    .panels = 1,
    .block = 128,
    .rank = 20,
    .build = build,
    .run = run,
    .finish = finish,
};
