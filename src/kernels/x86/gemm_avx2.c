/* gemm_avx2.c - gemm on AVX2. SPDX-License-Identifier: Apache-2.0
 *
 * Products a cycle, where multiplications have ports 0 and 1, additions 0, 1 and 5:
 *
 *     avx2-16      48    vpmaddubsw, and a plain vpaddw: 32 products in 2 instructions     LANE
 *     avx2-pair    32    vpmaddubsw, vpmaddwd with ones, vpaddd: 32 in 3                   PAIR
 *     avx2-32      24    vpmaddwd of codes in 16 bits, vpaddd: 16 in 2                     ANY
 *
 * A tile is one panel wide. Of 6 rows it has 12 sums, which 2 vectors of weights, a broadcast and a
 * product make 16 registers; avx2-pair, which has its ones in another, has 5 rows.
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

/* Steps in assembly, so that sums stay in their registers: gcc 12 adds the products of two quads
 * first, or lets sums wander, and runs out of registers. */
static inline __m256i step_lane(__m256i sum, __m256i x, __m256i w)
{
    __m256i product;

    __asm__ volatile("vpmaddubsw %3, %2, %1\n\t"
                     "vpaddw %1, %0, %0"
                     : "+x"(sum), "=&x"(product)
                     : "x"(x), "x"(w));
    return sum;
}

static inline __m256i first_lane(__m256i x, __m256i w)
{
    __m256i sum;

    __asm__ volatile("vpmaddubsw %2, %1, %0" : "=x"(sum) : "x"(x), "x"(w));
    return sum;
}

/* The ones are in memory: in a register, they would take a sum's. */
static inline __m256i widen(__m256i sum)
{
    static const int16_t ones[16]
        __attribute__((aligned(32))) = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

    __asm__ volatile("vpmaddwd %1, %0, %0" : "+x"(sum) : "m"(ones));
    return sum;
}

static inline __m256i step_pair(__m256i sum, __m256i x, __m256i w)
{
    __m256i product;

    __asm__ volatile("vpmaddubsw %3, %2, %1\n\t"
                     "vpmaddwd %4, %1, %1\n\t"
                     "vpaddd %1, %0, %0"
                     : "+x"(sum), "=&x"(product)
                     : "x"(x), "x"(w), "x"(_mm256_set1_epi16(1)));
    return sum;
}

static inline __m256i first_pair(__m256i x, __m256i w)
{
    __m256i sum;

    __asm__ volatile("vpmaddubsw %2, %1, %0\n\t"
                     "vpmaddwd %3, %0, %0"
                     : "=&x"(sum)
                     : "x"(x), "x"(w), "x"(_mm256_set1_epi16(1)));
    return sum;
}

static inline __m256i step_wide(__m256i sum, __m256i x, __m256i w)
{
    __m256i product;

    __asm__ volatile("vpmaddwd %3, %2, %1\n\t"
                     "vpaddd %1, %0, %0"
                     : "+x"(sum), "=&x"(product)
                     : "x"(x), "x"(w));
    return sum;
}

#define TILE            lane_tile
#define ROWS            6
#define STEP(sum, x, w) step_lane(sum, x, w)
#define FIRST(x, w)     first_lane(x, w)
#define WIDEN(sum)      widen(sum)
#include "kernels/x86/gemm_tile.h"
#undef ROWS

#define TILE            pair_tile
#define ROWS            5
#define STEP(sum, x, w) step_pair(sum, x, w)
#define FIRST(x, w)     first_pair(x, w)
#include "kernels/x86/gemm_tile.h"
#undef ROWS

#define TILE            wide_tile
#define ROWS            6
#define STEP(sum, x, w) step_wide(sum, x, w)
#define EVEN(w)         _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8)
#define ODD(w)          _mm256_srai_epi16(w, 8)
#include "kernels/x86/gemm_tile.h"

const struct brim_gemm_variant brim_gemm_avx2_16 = {.name = "avx2-16",
                                                    .isa = BRIM_ISA_AVX2,
                                                    .need = BRIM_GEMM_LANE,
                                                    .rows = 48,
                                                    .panels = 1,
                                                    .unit = 1,
                                                    .rank = 24,
                                                    .run = lane_tile};

const struct brim_gemm_variant brim_gemm_avx2_pair = {.name = "avx2-pair",
                                                      .isa = BRIM_ISA_AVX2,
                                                      .need = BRIM_GEMM_PAIR,
                                                      .rows = 40,
                                                      .panels = 1,
                                                      .unit = 1,
                                                      .rank = 22,
                                                      .run = pair_tile};

const struct brim_gemm_variant brim_gemm_avx2_32 = {.name = "avx2-32",
                                                    .isa = BRIM_ISA_AVX2,
                                                    .need = BRIM_GEMM_ANY,
                                                    .rows = 48,
                                                    .panels = 1,
                                                    .unit = 1,
                                                    .rank = 20,
                                                    .run = wide_tile};
