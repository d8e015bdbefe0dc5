/* depthwise_avx512.c - two taps of 32 channels at a time: widened to 16 bits, vpmaddwd sums the two
 * in 32. SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "base/cpu.h"
#include "kernels/depthwise_variant.h"

#define BLOCK 32
#define TAPS  2

static void fill_columns(const struct brim_depthwise_run *r, size_t groups)
{
    const __mmask32 mask = ~(__mmask32)0 >> (BLOCK - r->channels);
    const __m256i flip = _mm256_set1_epi8((char)r->flip);
    __m512i *to = r->column;

    for (size_t i = 0; i < r->columns; i++) {
        for (size_t g = 0; g < groups; g++, to += 2) {
            const uint8_t *x = r->x + g * TAPS * r->row + i * r->pixel;
            const uint8_t *y = g * TAPS + 1 < r->kh ? x + r->row : x; /* beyond: its weight is 0 */
            const __m512i a =
                _mm512_cvtepu8_epi16(_mm256_xor_si256(_mm256_maskz_loadu_epi8(mask, x), flip));
            const __m512i b =
                _mm512_cvtepu8_epi16(_mm256_xor_si256(_mm256_maskz_loadu_epi8(mask, y), flip));
            _mm512_store_si512(to + 0, _mm512_unpacklo_epi16(a, b));
            _mm512_store_si512(to + 1, _mm512_unpackhi_epi16(a, b));
        }
    }
}

/* Four channels of each lie in every piece of the two: into their own order. */
static inline void store(__m512i lo, __m512i hi, int32_t *total)
{
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);

    _mm512_store_si512(total, _mm512_permutex2var_epi64(lo, first, hi));
    _mm512_store_si512(total + 16, _mm512_permutex2var_epi64(lo, second, hi));
}

static inline __m512i add_products(__m512i sum, __m512i x, __m512i w)
{
    return _mm512_add_epi32(sum, _mm512_madd_epi16(x, w));
}

static void run(const struct brim_depthwise_run *r)
{
    const size_t groups = (r->kh + TAPS - 1) / TAPS, vectors = 2 * groups;
    const __m512i *w = r->w, *column = r->column;

    fill_columns(r, groups);
    for (size_t o = 0; o < r->outputs; o += 2) { /* the last of an odd number is computed twice */
        const size_t next = o + 1 < r->outputs ? r->stride * vectors : 0;
        __m512i a0 = _mm512_setzero_si512(), a1 = a0, b0 = a0, b1 = a0;
        for (size_t j = 0; j < r->kw; j++) {
            const __m512i *x = column + (o * r->stride + j * r->dilation) * vectors;
            for (size_t g = 0; g < vectors; g += 2) {
                const __m512i *v = w + j * vectors + g;
                a0 = add_products(a0, x[g], v[0]);
                b0 = add_products(b0, x[g + next], v[0]);
                a1 = add_products(a1, x[g + 1], v[1]);
                b1 = add_products(b1, x[g + 1 + next], v[1]);
            }
        }
        store(a0, a1, r->total + o * BLOCK);
        if (next != 0) {
            store(b0, b1, r->total + (o + 1) * BLOCK);
        }
    }
}

const struct brim_depthwise_variant brim_depthwise_avx512 = {.name = "avx512",
                                                             .isa = BRIM_ISA_AVX512,
                                                             .block = BLOCK,
                                                             .lanes = 4,
                                                             .taps = TAPS,
                                                             .wide = true,
                                                             .run = run};
