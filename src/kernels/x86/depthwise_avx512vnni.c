/* depthwise_avx512vnni.c - four taps of 64 channels at a time: vpdpbusd sums the four in 32 bits.
 * SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "base/cpu.h"
#include "kernels/depthwise_variant.h"

#define BLOCK 64
#define TAPS  4

/* One column of four taps: bytes, then pairs of bytes, are interleaved. */
static inline void interleave(const uint8_t *const x[TAPS], __mmask64 mask, __m512i flip,
                              __m512i *to)
{
    const __m512i a = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, x[0]), flip);
    const __m512i b = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, x[1]), flip);
    const __m512i c = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, x[2]), flip);
    const __m512i d = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, x[3]), flip);
    const __m512i ab_lo = _mm512_unpacklo_epi8(a, b), ab_hi = _mm512_unpackhi_epi8(a, b);
    const __m512i cd_lo = _mm512_unpacklo_epi8(c, d), cd_hi = _mm512_unpackhi_epi8(c, d);

    _mm512_store_si512(to + 0, _mm512_unpacklo_epi16(ab_lo, cd_lo));
    _mm512_store_si512(to + 1, _mm512_unpackhi_epi16(ab_lo, cd_lo));
    _mm512_store_si512(to + 2, _mm512_unpacklo_epi16(ab_hi, cd_hi));
    _mm512_store_si512(to + 3, _mm512_unpackhi_epi16(ab_hi, cd_hi));
}

static void fill_columns(const struct brim_depthwise_run *r, size_t groups)
{
    const __mmask64 mask = ~(__mmask64)0 >> (BLOCK - r->channels);
    const __m512i flip = _mm512_set1_epi8((char)r->flip);
    __m512i *to = r->column;

    for (size_t i = 0; i < r->columns; i++) {
        for (size_t g = 0; g < groups; g++, to += 4) {
            const uint8_t *x[TAPS];
            for (size_t t = 0; t < TAPS; t++) { /* beyond the kernel: any row, its weights are 0 */
                const size_t row = g * TAPS + t < r->kh ? g * TAPS + t : 0;
                x[t] = r->x + row * r->row + i * r->pixel;
            }
            interleave(x, mask, flip, to);
        }
    }
}

/* 16 channels of each lie in every vector, four of them in each piece: into their own order. */
static inline void store(__m512i a, __m512i b, __m512i c, __m512i d, int32_t *total)
{
    const __m512i ab_even = _mm512_shuffle_i32x4(a, b, 0x88);
    const __m512i ab_odd = _mm512_shuffle_i32x4(a, b, 0xdd);
    const __m512i cd_even = _mm512_shuffle_i32x4(c, d, 0x88);
    const __m512i cd_odd = _mm512_shuffle_i32x4(c, d, 0xdd);

    _mm512_store_si512(total + 0, _mm512_shuffle_i32x4(ab_even, cd_even, 0x88));
    _mm512_store_si512(total + 16, _mm512_shuffle_i32x4(ab_odd, cd_odd, 0x88));
    _mm512_store_si512(total + 32, _mm512_shuffle_i32x4(ab_even, cd_even, 0xdd));
    _mm512_store_si512(total + 48, _mm512_shuffle_i32x4(ab_odd, cd_odd, 0xdd));
}

static void run(const struct brim_depthwise_run *r)
{
    const size_t groups = (r->kh + TAPS - 1) / TAPS, vectors = 4 * groups;
    const __m512i *w = r->w, *column = r->column;

    fill_columns(r, groups);
    for (size_t o = 0; o < r->outputs; o += 2) { /* the last of an odd number is computed twice */
        const size_t next = o + 1 < r->outputs ? r->stride * vectors : 0;
        __m512i a0 = _mm512_setzero_si512(), a1 = a0, a2 = a0, a3 = a0;
        __m512i b0 = a0, b1 = a0, b2 = a0, b3 = a0;
        for (size_t j = 0; j < r->kw; j++) {
            const __m512i *x = column + (o * r->stride + j * r->dilation) * vectors;
            for (size_t g = 0; g < vectors; g += 4) {
                const __m512i *v = w + j * vectors + g;
                a0 = _mm512_dpbusd_epi32(a0, x[g], v[0]);
                b0 = _mm512_dpbusd_epi32(b0, x[g + next], v[0]);
                a1 = _mm512_dpbusd_epi32(a1, x[g + 1], v[1]);
                b1 = _mm512_dpbusd_epi32(b1, x[g + 1 + next], v[1]);
                a2 = _mm512_dpbusd_epi32(a2, x[g + 2], v[2]);
                b2 = _mm512_dpbusd_epi32(b2, x[g + 2 + next], v[2]);
                a3 = _mm512_dpbusd_epi32(a3, x[g + 3], v[3]);
                b3 = _mm512_dpbusd_epi32(b3, x[g + 3 + next], v[3]);
            }
        }
        store(a0, a1, a2, a3, r->total + o * BLOCK);
        if (next != 0) {
            store(b0, b1, b2, b3, r->total + (o + 1) * BLOCK);
        }
    }
}

const struct brim_depthwise_variant brim_depthwise_avx512vnni = {.name = "avx512vnni",
                                                                 .isa = BRIM_ISA_AVX512 |
                                                                        BRIM_ISA_AVX512VNNI,
                                                                 .block = BLOCK,
                                                                 .lanes = 4,
                                                                 .taps = TAPS,
                                                                 .run = run};
