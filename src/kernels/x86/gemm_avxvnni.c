/* gemm_avxvnni.c - gemm on AVX-VNNI. SPDX-License-Identifier: Apache-2.0
 *
 * vpdpbusd multiplies and adds a quad in 32 bits, 64 products a cycle on two ports: more than
 * AVX2's 16-bit additions. 12 sums hide an instruction of 5 cycles on two ports.
 */
#include "base/cpu.h"
#include "kernels/gemm_variant.h"
#include "kernels/x86/load32.h"

#include <immintrin.h>

#define VECTOR        __m256i
#define ZERO()        _mm256_setzero_si256()
#define LOAD(p)       _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, v)   _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define ADD(a, b)     _mm256_add_epi32(a, b)
#define BROADCAST(p)  _mm256_set1_epi32(brim_load32(p))
#define VECTORS       2
#define UNROLL        4
#define PANEL_VECTORS 2

/* In assembly, so that sums stay in their registers. */
static inline __m256i step(__m256i sum, __m256i x, __m256i w)
{
    __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w));
    return sum;
}

#define TILE            tile
#define ROWS            6
#define STEP(sum, x, w) step(sum, x, w)
#include "kernels/x86/gemm_tile.h"

const struct brim_gemm_variant brim_gemm_avxvnni = {.name = "avxvnni",
                                                    .isa = BRIM_ISA_AVX2 | BRIM_ISA_AVXVNNI,
                                                    .need = BRIM_GEMM_ANY,
                                                    .rows = 48,
                                                    .panels = 1,
                                                    .unit = 1,
                                                    .rank = 40,
                                                    .run = tile};
