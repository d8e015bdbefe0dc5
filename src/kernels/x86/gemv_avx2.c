/* gemv_avx2.c - gemv on vpmaddubsw. SPDX-License-Identifier: Apache-2.0
 *
 * vpmaddubsw adds pairs of products with saturation at 16 bits. Why it never saturates here, for any
 * weights:
 *
 *     2 bits   pairs reach 2 * 255 * 3 = 1530: 16 quads (BRIM_GEMV_K) are added in 16 bits, 24480
 *     4 bits   2 * 255 * 15 = 7650: 4 quads, 30600
 *     8 bits   x is split into its low 7 bits and its top bit: 2 * 127 * 128 = 32512, alone in 16
 *              bits; and the top bits' pairs reach 256: 16 quads, 4096, worth 128 times as much
 *
 * One row at a time: a second would share no more than the unpacking, for which registers run out.
 */
#include "base/cpu.h"
#include "kernels/gemv_variant.h"
#include "kernels/x86/gemv_row.h"

#include <immintrin.h>

#define PREFETCH 2048 /* bytes ahead */

struct pair { /* outputs 0..7 and 8..15 */
    __m256i low, high;
};

static inline struct pair load(const uint8_t *w)
{
    return (struct pair){_mm256_loadu_si256((const void *)w),
                         _mm256_loadu_si256((const void *)(w + 32))};
}

static inline __m256i quad(const uint8_t *x)
{
    int32_t bytes;

    __builtin_memcpy(&bytes, x, sizeof bytes);
    return _mm256_set1_epi32(bytes);
}

/* Codes that lie `shift` bits up in their bytes. */
static inline struct pair field(struct pair w, int shift, char mask)
{
    const __m256i bits = _mm256_set1_epi8(mask);

    return (struct pair){_mm256_and_si256(_mm256_srli_epi16(w.low, shift), bits),
                         _mm256_and_si256(_mm256_srli_epi16(w.high, shift), bits)};
}

/* Products of a quad, as 16-bit sums of its two pairs of k. */
static inline struct pair add16(struct pair s, __m256i x, struct pair w)
{
    return (struct pair){_mm256_add_epi16(s.low, _mm256_maddubs_epi16(x, w.low)),
                         _mm256_add_epi16(s.high, _mm256_maddubs_epi16(x, w.high))};
}

/* sum += scale * (even + odd pairs) */
static inline struct pair widen(struct pair sum, struct pair s, int16_t scale)
{
    const __m256i scales = _mm256_set1_epi16(scale);

    return (struct pair){_mm256_add_epi32(sum.low, _mm256_madd_epi16(s.low, scales)),
                         _mm256_add_epi32(sum.high, _mm256_madd_epi16(s.high, scales))};
}

/* A loop whose length the compiler knows it would unroll, and then keep more codes than there are
 * registers. */
static inline size_t unknown(size_t steps)
{
    __asm__("" : "+r"(steps));
    return steps;
}

/* 64 k, 16 quads. */
static inline struct pair block2(struct pair sum, const uint8_t *x, const uint8_t *w)
{
    const __m256i zero = _mm256_setzero_si256();
    struct pair s = {zero, zero};

    for (size_t step = unknown(4); step != 0; step--, w += 64, x += 16) {
        const struct pair codes = load(w);
        s = add16(s, quad(x), field(codes, 0, 3));
        s = add16(s, quad(x + 4), field(codes, 2, 3));
        s = add16(s, quad(x + 8), field(codes, 4, 3));
        s = add16(s, quad(x + 12), field(codes, 6, 3));
    }
    return widen(sum, s, 1);
}

static inline struct pair block4(struct pair sum, const uint8_t *x, const uint8_t *w)
{
    const __m256i zero = _mm256_setzero_si256();

    for (size_t step = unknown(4); step != 0; step--, w += 128, x += 16) {
        const struct pair even = load(w), odd = load(w + 64);
        struct pair s = {zero, zero};
        s = add16(s, quad(x), field(even, 0, 15));
        s = add16(s, quad(x + 4), field(even, 4, 15));
        s = add16(s, quad(x + 8), field(odd, 0, 15));
        s = add16(s, quad(x + 12), field(odd, 4, 15));
        sum = widen(sum, s, 1);
    }
    return sum;
}

static inline struct pair block8(struct pair sum, const uint8_t *x, const uint8_t *w)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i seven = _mm256_set1_epi8(127), one = _mm256_set1_epi8(1);
    struct pair top = {zero, zero};

    for (size_t step = unknown(16); step != 0; step--, w += 64, x += 4) {
        const struct pair codes = load(w);
        const __m256i bytes = quad(x), low = _mm256_and_si256(bytes, seven);
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 7), one);
        sum = widen(sum, add16((struct pair){zero, zero}, low, codes), 1);
        top = add16(top, high, codes);
    }
    return widen(sum, top, 128);
}

/* `bits` is a constant where this is called. */
__attribute__((always_inline)) static inline void run(const struct brim_gemv_tile *t, unsigned bits)
{
    const size_t block_bytes = BRIM_GEMV_K * BRIM_GEMV_PANEL * bits / 8;
    const __m256i start = _mm256_set1_epi32(t->start[0]);
    const uint8_t *w = t->w;
    int32_t *y = t->y;

    for (size_t p = 0; p < t->panels; p++, y += BRIM_GEMV_PANEL) {
        struct pair sum = {start, start};

        for (size_t k = 0; k < t->k; k += BRIM_GEMV_K, w += block_bytes) {
            for (size_t line = 0; line < block_bytes; line += 64) {
                _mm_prefetch((const char *)(w + PREFETCH + line), _MM_HINT_T0);
            }
            sum = bits == 2   ? block2(sum, t->x + k, w)
                  : bits == 4 ? block4(sum, t->x + k, w)
                              : block8(sum, t->x + k, w);
        }
        _mm256_storeu_si256((void *)y, sum.low);
        _mm256_storeu_si256((void *)(y + 8), sum.high);
    }
}

static void run2(const struct brim_gemv_tile *t)
{
    run(t, 2);
}

static void run4(const struct brim_gemv_tile *t)
{
    run(t, 4);
}

static void run8(const struct brim_gemv_tile *t)
{
    run(t, 8);
}

const struct brim_gemv_variant brim_gemv_avx2 = {
    .name = "avx2",
    .isa = BRIM_ISA_AVX2,
    .rows = 1,
    .run = {run2, run4, run8},
};

static void row(const struct brim_gemm_tile *t)
{
    brim_gemv_row(t, run8);
}

const struct brim_gemm_variant brim_gemm_avx2_row = {
    .name = "avx2-row",
    .isa = BRIM_ISA_AVX2,
    .need = BRIM_GEMM_ANY,
    .rows = 1,
    .panels = BRIM_GEMV_ROW_PANELS,
    .unit = BRIM_GEMV_K / 4,
    .few = 21,
    .run = row,
};
