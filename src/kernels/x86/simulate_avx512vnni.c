/* simulate_avx512vnni.c - the simulator's passes in AVX-512 with VNNI. SPDX-License-Identifier:
 * Apache-2.0
 *
 * vpdpwssds clamps the exact sum of its three terms to 32 bits: with operands scaled by 2^(32-P)
 * together, and one of the two products 0, that is the addition of a saturating register of P bits,
 * in one instruction for 16 lanes.
 */
#include "kernels/simulate_variant.h"
#include "kernels/x86/simulate_avx512_body.h"

#define VEC_DOTS
#define vec_dots(sum, a, b) __asm__("vpdpwssds %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))
#include "kernels/simulate_body.h"

extern const struct brim_simulate_variant brim_simulate_avx512vnni;
const struct brim_simulate_variant brim_simulate_avx512vnni = {
    .name = "avx512vnni",
    .isa = BRIM_ISA_AVX512 | BRIM_ISA_AVX512VNNI,
    .pass = {SIMULATE_PASSES, [BRIM_SATURATE32] = saturate32},
    .interleave = interleave};
