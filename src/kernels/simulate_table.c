/* simulate_table.c - the simulator's variants. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/simulate_variant.h"

extern const struct brim_simulate_variant brim_simulate_scalar;
#if defined(__x86_64__)
extern const struct brim_simulate_variant brim_simulate_avx2, brim_simulate_avx512,
    brim_simulate_avx512vnni;
#endif

const struct brim_simulate_variant *const brim_simulate_variants[] = {
    &brim_simulate_scalar,
#if defined(__x86_64__)
    &brim_simulate_avx2,
    &brim_simulate_avx512,
    &brim_simulate_avx512vnni,
#endif
};
const size_t brim_simulate_variant_count =
    sizeof brim_simulate_variants / sizeof brim_simulate_variants[0];

const struct brim_simulate_variant *brim_simulate_choose(uint32_t isa)
{
    size_t i = brim_simulate_variant_count - 1;

    while ((brim_simulate_variants[i]->isa & ~isa) != 0) {
        i--;
    }
    return brim_simulate_variants[i];
}
