/* simulate_avx512_body.h - zmm operations for simulate_body.h. SPDX-License-Identifier: Apache-2.0
 *
 * vpaddsw, vpminsw and vpmaxsw of zmm run on one port, vpmullw and vpaddw on two: a saturating step
 * costs a cycle for 32 products, one with its extremes three.
 */
#include <immintrin.h>

#include "base/cpu.h"

/* One register in and out, which compilers would not keep to by themselves. */
#define IN_PLACE(name, v, a) __asm__(name " %1, %0, %0" : "+v"(v) : "v"(a))

#define VEC          __m512i
#define VEC_WORDS    16
#define ROWS_SUM16   8
#define ROWS_RANGE16 8
#define ROWS_SUM32   8
#define ROWS_RANGE32 4

#define SIMULATE_APART    __attribute__((noinline))
#define vec_load(p)       _mm512_loadu_si512(p)
#define vec_spread(p)     _mm512_set1_epi32((int32_t) * (p))
#define vec_zero()        _mm512_setzero_si512()
#define vec_set16(v)      _mm512_set1_epi16((int16_t)(v))
#define vec_set32(v)      _mm512_set1_epi32(v)
#define vec_store(p, v)   _mm512_storeu_si512(p, v)
#define vec_mul16         _mm512_mullo_epi16
#define vec_keep(v)       __asm__ volatile("" : : "v"(v))
#define vec_add16(v, a)   IN_PLACE("vpaddw", v, a)
#define vec_adds16(v, a)  IN_PLACE("vpaddsw", v, a)
#define vec_min16(v, a)   IN_PLACE("vpminsw", v, a)
#define vec_max16(v, a)   IN_PLACE("vpmaxsw", v, a)
#define vec_dot           _mm512_madd_epi16
#define vec_add32(v, a)   IN_PLACE("vpaddd", v, a)
#define vec_min32(v, a)   IN_PLACE("vpminsd", v, a)
#define vec_max32(v, a)   IN_PLACE("vpmaxsd", v, a)
#define vec_half(v)       _mm512_maskz_mov_epi16(0x55555555u, v)
#define vec_xor           _mm512_xor_si512
#define vec_low(v, s)     _mm512_sra_epi32(_mm512_slli_epi32(v, 16), _mm_cvtsi32_si128((int)(s) + 16))
#define vec_high(v, s)    _mm512_sra_epi32(v, _mm_cvtsi32_si128((int)(s) + 16))
#define vec_shift32(v, s) _mm512_sra_epi32(v, _mm_cvtsi32_si128((int)(s)))

/* A 16 x 16 transpose of words: pairs of rows, of pairs, then 128-bit blocks. */
static void interleave_block(const uint32_t *const x[16], size_t j, __mmask16 mask, __m512i y[16])
{
    __m512i a[16], b[16];

    for (size_t d = 0; d < 16; d++) {
        a[d] = x[d] != NULL ? _mm512_maskz_loadu_epi32(mask, x[d] + j) : _mm512_setzero_si512();
    }
    for (size_t d = 0; d < 16; d += 2) {
        b[d] = _mm512_unpacklo_epi32(a[d], a[d + 1]);
        b[d + 1] = _mm512_unpackhi_epi32(a[d], a[d + 1]);
    }
    for (size_t d = 0; d < 16; d += 4) {
        a[d] = _mm512_unpacklo_epi64(b[d], b[d + 2]);
        a[d + 1] = _mm512_unpackhi_epi64(b[d], b[d + 2]);
        a[d + 2] = _mm512_unpacklo_epi64(b[d + 1], b[d + 3]);
        a[d + 3] = _mm512_unpackhi_epi64(b[d + 1], b[d + 3]);
    }
    /* a[4*q + c]: column c + 4*i of rows 4*q..4*q+3 in block i */
    for (size_t c = 0; c < 4; c++) {
        b[c] = _mm512_shuffle_i32x4(a[c], a[4 + c], 0x88);
        b[4 + c] = _mm512_shuffle_i32x4(a[c], a[4 + c], 0xdd);
        b[8 + c] = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0x88);
        b[12 + c] = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0xdd);
    }
    for (size_t c = 0; c < 4; c++) {
        y[c] = _mm512_shuffle_i32x4(b[c], b[8 + c], 0x88);
        y[8 + c] = _mm512_shuffle_i32x4(b[c], b[8 + c], 0xdd);
        y[4 + c] = _mm512_shuffle_i32x4(b[4 + c], b[12 + c], 0x88);
        y[12 + c] = _mm512_shuffle_i32x4(b[4 + c], b[12 + c], 0xdd);
    }
}

static void interleave(const uint32_t *const x[BRIM_SIMULATE_WORDS], size_t count, uint32_t *panel)
{
    for (size_t j = 0; j < count; j += 16) {
        const size_t n = count - j < 16 ? count - j : 16;
        __m512i y[16];

        interleave_block(x, j, (__mmask16)((1u << n) - 1), y);
        for (size_t c = 0; c < n; c++) {
            _mm512_storeu_si512(panel + (j + c) * 16, y[c]);
        }
    }
}
