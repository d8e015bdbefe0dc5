/* simulate_avx512.c - the simulator's passes in AVX-512 (F, BW, DQ, VL). SPDX-License-Identifier:
 * Apache-2.0 */
#include "kernels/simulate_variant.h"
#include "kernels/x86/simulate_avx512_body.h"

#include "kernels/simulate_body.h"

extern const struct brim_simulate_variant brim_simulate_avx512;
const struct brim_simulate_variant brim_simulate_avx512 = {
    .name = "avx512", .isa = BRIM_ISA_AVX512, .pass = {SIMULATE_PASSES}, .interleave = interleave};
