/* lookup_table.c - the variants of lookup. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/lookup_variant.h"

const struct brim_lookup_variant *const brim_lookup_variants[] = {
    &brim_lookup_scalar,
#if defined(__x86_64__)
    &brim_lookup_avx2,
    &brim_lookup_avx512,
    &brim_lookup_avx512vbmi,
#endif
};

const size_t brim_lookup_variant_count = sizeof brim_lookup_variants / sizeof *brim_lookup_variants;
