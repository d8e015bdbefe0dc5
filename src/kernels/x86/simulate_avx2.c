/* simulate_avx2.c - the simulator's passes in AVX2. SPDX-License-Identifier: Apache-2.0
 *
 * Half a panel at a time. vpmullw, vpaddsw, vpminsw and vpmaxsw of ymm run on two ports: 16 products
 * a cycle saturated, 8 with their extremes. */
#include <immintrin.h>

#include "base/cpu.h"
#include "kernels/simulate_variant.h"

/* One register in and out, which compilers would not keep to by themselves. */
#define IN_PLACE(name, v, a) __asm__(name " %1, %0, %0" : "+x"(v) : "x"(a))

#define VEC          __m256i
#define VEC_WORDS    8
#define ROWS_SUM16   8
#define ROWS_RANGE16 4
#define ROWS_SUM32   4
#define ROWS_RANGE32 1

#define SIMULATE_APART    __attribute__((noinline))
#define vec_load(p)       _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define vec_spread(p)     _mm256_set1_epi32((int32_t) * (p))
#define vec_zero()        _mm256_setzero_si256()
#define vec_set16(v)      _mm256_set1_epi16((int16_t)(v))
#define vec_set32(v)      _mm256_set1_epi32(v)
#define vec_store(p, v)   _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define vec_mul16         _mm256_mullo_epi16
#define vec_keep(v)       __asm__ volatile("" : : "x"(v))
#define vec_add16(v, a)   IN_PLACE("vpaddw", v, a)
#define vec_adds16(v, a)  IN_PLACE("vpaddsw", v, a)
#define vec_min16(v, a)   IN_PLACE("vpminsw", v, a)
#define vec_max16(v, a)   IN_PLACE("vpmaxsw", v, a)
#define vec_dot           _mm256_madd_epi16
#define vec_add32(v, a)   IN_PLACE("vpaddd", v, a)
#define vec_min32(v, a)   IN_PLACE("vpminsd", v, a)
#define vec_max32(v, a)   IN_PLACE("vpmaxsd", v, a)
#define vec_half(v)       _mm256_and_si256(v, _mm256_set1_epi32(0xffff))
#define vec_xor           _mm256_xor_si256
#define vec_low(v, s)     _mm256_sra_epi32(_mm256_slli_epi32(v, 16), _mm_cvtsi32_si128((int)(s) + 16))
#define vec_high(v, s)    _mm256_sra_epi32(v, _mm_cvtsi32_si128((int)(s) + 16))
#define vec_shift32(v, s) _mm256_sra_epi32(v, _mm_cvtsi32_si128((int)(s)))

#include "kernels/simulate_body.h"

/* An 8 x 8 transpose of words. */
static void interleave_block(const uint32_t *const x[8], size_t j, __m256i y[8])
{
    __m256i a[8], b[8];

    for (size_t d = 0; d < 8; d++) {
        a[d] = x[d] != NULL ? vec_load(x[d] + j) : _mm256_setzero_si256();
    }
    for (size_t d = 0; d < 8; d += 2) {
        b[d] = _mm256_unpacklo_epi32(a[d], a[d + 1]);
        b[d + 1] = _mm256_unpackhi_epi32(a[d], a[d + 1]);
    }
    for (size_t d = 0; d < 8; d += 4) {
        a[d] = _mm256_unpacklo_epi64(b[d], b[d + 2]);
        a[d + 1] = _mm256_unpackhi_epi64(b[d], b[d + 2]);
        a[d + 2] = _mm256_unpacklo_epi64(b[d + 1], b[d + 3]);
        a[d + 3] = _mm256_unpackhi_epi64(b[d + 1], b[d + 3]);
    }
    for (size_t c = 0; c < 4; c++) {
        y[c] = _mm256_permute2x128_si256(a[c], a[4 + c], 0x20);
        y[4 + c] = _mm256_permute2x128_si256(a[c], a[4 + c], 0x31);
    }
}

static void interleave(const uint32_t *const x[BRIM_SIMULATE_WORDS], size_t count, uint32_t *panel)
{
    size_t j = 0;

    for (; j + 8 <= count; j += 8) {
        for (size_t half = 0; half < 16; half += 8) {
            __m256i y[8];

            interleave_block(x + half, j, y);
            for (size_t c = 0; c < 8; c++) {
                vec_store(panel + (j + c) * 16 + half, y[c]);
            }
        }
    }
    for (; j < count; j++) {
        for (size_t d = 0; d < 16; d++) {
            panel[j * 16 + d] = x[d] != NULL ? x[d][j] : 0;
        }
    }
}

extern const struct brim_simulate_variant brim_simulate_avx2;
const struct brim_simulate_variant brim_simulate_avx2 = {
    .name = "avx2", .isa = BRIM_ISA_AVX2, .pass = {SIMULATE_PASSES}, .interleave = interleave};
