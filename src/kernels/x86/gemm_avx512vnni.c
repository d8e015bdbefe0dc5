/* gemm_avx512vnni.c - gemm on AVX-512 with VNNI. SPDX-License-Identifier: Apache-2.0
 *
 * vpdpbusd multiplies and adds a quad in 32 bits, 128 products a cycle on two ports. A tile of 12
 * rows and 2 panels has 24 sums: more than the 10 that hide an instruction of 5 cycles on two ports,
 * and 14 loads for 24 products.
 */
#include "base/cpu.h"
#include "kernels/gemm_variant.h"
#include "kernels/x86/load32.h"

#include <immintrin.h>

#define VECTOR        __m512i
#define ZERO()        _mm512_setzero_si512()
#define LOAD(p)       _mm512_loadu_si512(p)
#define STORE(p, v)   _mm512_storeu_si512(p, v)
#define ADD(a, b)     _mm512_add_epi32(a, b)
#define BROADCAST(p)  _mm512_set1_epi32(brim_load32(p))
#define VECTORS       2
#define UNROLL        2
#define PANEL_VECTORS 1
#define ROWS          12

/* In assembly, so that sums stay in their registers. */
static inline __m512i step(__m512i sum, __m512i x, __m512i w)
{
    __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
}

#define TILE            tile
#define STEP(sum, x, w) step(sum, x, w)
#include "kernels/x86/gemm_tile.h"

const struct brim_gemm_variant brim_gemm_avx512vnni = {.name = "avx512vnni",
                                                       .isa = BRIM_ISA_AVX512 | BRIM_ISA_AVX512VNNI,
                                                       .need = BRIM_GEMM_ANY,
                                                       .rows = 48,
                                                       .panels = VECTORS / PANEL_VECTORS,
                                                       .unit = 1,
                                                       .rank = 50,
                                                       .run = tile};
