/* depthwise_avx2.c - two taps of 16 channels at a time: widened to 16 bits, vpmaddwd sums the two in
 * 32. SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/depthwise_variant.h"

#define BLOCK 16
#define TAPS  2

/* n bytes, widened. */
static inline __m256i load(const uint8_t *x, size_t n, __m128i flip)
{
    uint8_t few[BLOCK] = {0};

    if (n < BLOCK) {
        memcpy(few, x, n);
        x = few;
    }
    return _mm256_cvtepu8_epi16(
        _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)x), flip));
}

static void fill_columns(const struct brim_depthwise_run *r, size_t groups)
{
    const __m128i flip = _mm_set1_epi8((char)r->flip);
    __m256i *to = r->column;

    for (size_t i = 0; i < r->columns; i++) {
        for (size_t g = 0; g < groups; g++, to += 2) {
            const uint8_t *x = r->x + g * TAPS * r->row + i * r->pixel;
            const uint8_t *y = g * TAPS + 1 < r->kh ? x + r->row : x; /* beyond: its weight is 0 */
            const __m256i a = load(x, r->channels, flip), b = load(y, r->channels, flip);
            _mm256_store_si256(to + 0, _mm256_unpacklo_epi16(a, b));
            _mm256_store_si256(to + 1, _mm256_unpackhi_epi16(a, b));
        }
    }
}

/* Four channels of each lie in every piece of the two: into their own order. */
static inline void store(__m256i lo, __m256i hi, int32_t *total)
{
    _mm256_store_si256((__m256i *)(void *)total, _mm256_permute2x128_si256(lo, hi, 0x20));
    _mm256_store_si256((__m256i *)(void *)(total + 8), _mm256_permute2x128_si256(lo, hi, 0x31));
}

static inline __m256i add_products(__m256i sum, __m256i x, __m256i w)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w));
}

static void run(const struct brim_depthwise_run *r)
{
    const size_t groups = (r->kh + TAPS - 1) / TAPS, vectors = 2 * groups;
    const __m256i *w = r->w, *column = r->column;

    fill_columns(r, groups);
    for (size_t o = 0; o < r->outputs; o += 2) { /* the last of an odd number is computed twice */
        const size_t next = o + 1 < r->outputs ? r->stride * vectors : 0;
        __m256i a0 = _mm256_setzero_si256(), a1 = a0, b0 = a0, b1 = a0;
        for (size_t j = 0; j < r->kw; j++) {
            const __m256i *x = column + (o * r->stride + j * r->dilation) * vectors;
            for (size_t g = 0; g < vectors; g += 2) {
                const __m256i *v = w + j * vectors + g;
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

const struct brim_depthwise_variant brim_depthwise_avx2 = {.name = "avx2",
                                                           .isa = BRIM_ISA_AVX2,
                                                           .block = BLOCK,
                                                           .lanes = 2,
                                                           .taps = TAPS,
                                                           .wide = true,
                                                           .run = run};
