/* gemm_avx512.c - gemm on AVX-512 without VNNI. SPDX-License-Identifier: Apache-2.0
 *
 * As gemm_avx2.c, with vectors on ports 0 and 5 alone: 64, 42.7 and 32 products a cycle. A tile of 12
 * rows and 2 panels has 24 sums, 2 vectors of weights, a broadcast, a product and ones in 32
 * registers.
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

/* Steps in assembly, so that sums stay in their registers: gcc 12 adds the products of two quads
 * first, or lets sums wander, and runs out of registers. */
static inline __m512i step_lane(__m512i sum, __m512i x, __m512i w)
{
    __m512i product;

    __asm__ volatile("vpmaddubsw %3, %2, %1\n\t"
                     "vpaddw %1, %0, %0"
                     : "+v"(sum), "=&v"(product)
                     : "v"(x), "v"(w));
    return sum;
}

/* The ones are made here every time: kept, they would take a sum's register. */
static inline __m512i widen(__m512i sum)
{
    __m512i ones = _mm512_set1_epi16(1);

    __asm__ volatile("" : "+v"(ones));
    return _mm512_madd_epi16(sum, ones);
}

static inline __m512i step_pair(__m512i sum, __m512i x, __m512i w)
{
    __m512i product;

    __asm__ volatile("vpmaddubsw %3, %2, %1\n\t"
                     "vpmaddwd %4, %1, %1\n\t"
                     "vpaddd %1, %0, %0"
                     : "+v"(sum), "=&v"(product)
                     : "v"(x), "v"(w), "v"(_mm512_set1_epi16(1)));
    return sum;
}

static inline __m512i step_wide(__m512i sum, __m512i x, __m512i w)
{
    __m512i product;

    __asm__ volatile("vpmaddwd %3, %2, %1\n\t"
                     "vpaddd %1, %0, %0"
                     : "+v"(sum), "=&v"(product)
                     : "v"(x), "v"(w));
    return sum;
}

#define TILE            lane_tile
#define ROWS            12
#define STEP(sum, x, w) step_lane(sum, x, w)
#define WIDEN(sum)      widen(sum)
#include "kernels/x86/gemm_tile.h"
#undef ROWS

#define TILE            pair_tile
#define ROWS            12
#define STEP(sum, x, w) step_pair(sum, x, w)
#include "kernels/x86/gemm_tile.h"
#undef ROWS

#define TILE            wide_tile
#define ROWS            12
#define STEP(sum, x, w) step_wide(sum, x, w)
#define EVEN(w)         _mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8)
#define ODD(w)          _mm512_srai_epi16(w, 8)
#include "kernels/x86/gemm_tile.h"

const struct brim_gemm_variant brim_gemm_avx512_16 = {.name = "avx512-16",
                                                      .isa = BRIM_ISA_AVX512,
                                                      .need = BRIM_GEMM_LANE,
                                                      .rows = 48,
                                                      .panels = 2,
                                                      .unit = 1,
                                                      .rank = 34,
                                                      .run = lane_tile};

const struct brim_gemm_variant brim_gemm_avx512_pair = {.name = "avx512-pair",
                                                        .isa = BRIM_ISA_AVX512,
                                                        .need = BRIM_GEMM_PAIR,
                                                        .rows = 48,
                                                        .panels = 2,
                                                        .unit = 1,
                                                        .rank = 32,
                                                        .run = pair_tile};

const struct brim_gemm_variant brim_gemm_avx512_32 = {.name = "avx512-32",
                                                      .isa = BRIM_ISA_AVX512,
                                                      .need = BRIM_GEMM_ANY,
                                                      .rows = 48,
                                                      .panels = 2,
                                                      .unit = 1,
                                                      .rank = 30,
                                                      .run = wide_tile};
