/* sparse_table.c - see sparse_gather.h. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/sparse_gather.h"

const struct brim_sparse_gather *const brim_sparse_gathers[] = {
    &brim_sparse_gather_scalar,
#if defined(__x86_64__)
    &brim_sparse_gather_sse41,
    &brim_sparse_gather_avx512vbmi,
#elif defined(__aarch64__)
    &brim_sparse_gather_neon,
#elif defined(__wasm_simd128__)
    &brim_sparse_gather_simd128,
#endif
};
const size_t brim_sparse_gather_count = sizeof brim_sparse_gathers / sizeof brim_sparse_gathers[0];
