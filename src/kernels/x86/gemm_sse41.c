/* gemm_sse41.c - gemm on SSE4.1. SPDX-License-Identifier: Apache-2.0
 *
 * As gemm_avx2.c, with vectors half as long: a panel is 4 of them, and a tile 2 rows. Its 8 sums, 4
 * vectors of weights, a broadcast, a product and ones fit 16 registers.
 */
#include "base/cpu.h"
#include "kernels/gemm_variant.h"
#include "kernels/x86/load32.h"

#include <smmintrin.h>

#define VECTOR        __m128i
#define ZERO()        _mm_setzero_si128()
#define LOAD(p)       _mm_loadu_si128((const __m128i *)(const void *)(p))
#define STORE(p, v)   _mm_storeu_si128((__m128i *)(void *)(p), v)
#define ADD(a, b)     _mm_add_epi32(a, b)
#define BROADCAST(p)  _mm_set1_epi32(brim_load32(p))
#define VECTORS       4
#define UNROLL        2
#define PANEL_VECTORS 4

/* Steps in assembly, so that sums stay in their registers. */
static inline __m128i step_lane(__m128i sum, __m128i x, __m128i w)
{
    __m128i product = x;

    __asm__ volatile("pmaddubsw %2, %1\n\t"
                     "paddw %1, %0"
                     : "+x"(sum), "+&x"(product)
                     : "x"(w));
    return sum;
}

/* The ones are made here every time: kept, they would take a sum's register. */
static inline __m128i widen(__m128i sum)
{
    __m128i ones = _mm_set1_epi16(1);

    __asm__ volatile("" : "+x"(ones));
    return _mm_madd_epi16(sum, ones);
}

static inline __m128i step_pair(__m128i sum, __m128i x, __m128i w)
{
    __m128i product = x;

    __asm__ volatile("pmaddubsw %2, %1\n\t"
                     "pmaddwd %3, %1\n\t"
                     "paddd %1, %0"
                     : "+x"(sum), "+&x"(product)
                     : "x"(w), "x"(_mm_set1_epi16(1)));
    return sum;
}

static inline __m128i step_wide(__m128i sum, __m128i x, __m128i w)
{
    __m128i product = x;

    __asm__ volatile("pmaddwd %2, %1\n\t"
                     "paddd %1, %0"
                     : "+x"(sum), "+&x"(product)
                     : "x"(w));
    return sum;
}

#define TILE            lane_tile
#define ROWS            2
#define STEP(sum, x, w) step_lane(sum, x, w)
#define WIDEN(sum)      widen(sum)
#include "kernels/x86/gemm_tile.h"
#undef ROWS

#define TILE            pair_tile
#define ROWS            2
#define STEP(sum, x, w) step_pair(sum, x, w)
#include "kernels/x86/gemm_tile.h"
#undef ROWS

#define TILE            wide_tile
#define ROWS            2
#define STEP(sum, x, w) step_wide(sum, x, w)
#define EVEN(w)         _mm_srai_epi16(_mm_slli_epi16(w, 8), 8)
#define ODD(w)          _mm_srai_epi16(w, 8)
#include "kernels/x86/gemm_tile.h"

const struct brim_gemm_variant brim_gemm_sse41_16 = {.name = "sse41-16",
                                                     .isa = BRIM_ISA_SSE41,
                                                     .need = BRIM_GEMM_LANE,
                                                     .rows = 48,
                                                     .panels = 1,
                                                     .unit = 1,
                                                     .rank = 14,
                                                     .run = lane_tile};

const struct brim_gemm_variant brim_gemm_sse41_pair = {.name = "sse41-pair",
                                                       .isa = BRIM_ISA_SSE41,
                                                       .need = BRIM_GEMM_PAIR,
                                                       .rows = 48,
                                                       .panels = 1,
                                                       .unit = 1,
                                                       .rank = 12,
                                                       .run = pair_tile};

const struct brim_gemm_variant brim_gemm_sse41_32 = {.name = "sse41-32",
                                                     .isa = BRIM_ISA_SSE41,
                                                     .need = BRIM_GEMM_ANY,
                                                     .rows = 48,
                                                     .panels = 1,
                                                     .unit = 1,
                                                     .rank = 10,
                                                     .run = wide_tile};
