/* gemv_avxvnni.c - gemv on vpdpbusd with 32-byte vectors. SPDX-License-Identifier: Apache-2.0
 *
 * A quad is two vectors, outputs 0..7 and 8..15; the halves of a panel go side by side through the
 * same broadcast bytes of x. Two quads a step into an accumulator each, for up to two rows: with
 * the weights of a step that is all of the 16 registers.
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

/* Codes `shift` bits up in their bytes. */
static inline struct pair field(struct pair w, int shift, char mask)
{
    const __m256i bits = _mm256_set1_epi8(mask);

    return (struct pair){_mm256_and_si256(_mm256_srli_epi16(w.low, shift), bits),
                         _mm256_and_si256(_mm256_srli_epi16(w.high, shift), bits)};
}

static inline struct pair add(struct pair s, const uint8_t *x, struct pair w)
{
    int32_t bytes;

    __builtin_memcpy(&bytes, x, sizeof bytes);
    const __m256i quad = _mm256_set1_epi32(bytes);
    return (struct pair){_mm256_dpbusd_avx_epi32(s.low, quad, w.low),
                         _mm256_dpbusd_avx_epi32(s.high, quad, w.high)};
}

static inline void store(int32_t *y, struct pair a, struct pair b)
{
    _mm256_storeu_si256((void *)y, _mm256_add_epi32(a.low, b.low));
    _mm256_storeu_si256((void *)(y + 8), _mm256_add_epi32(a.high, b.high));
}

/* `bits` and `rows` are constants where this is called: no branch on them remains. */
__attribute__((always_inline)) static inline void panels(const struct brim_gemv_tile *t,
                                                         unsigned bits, unsigned rows)
{
    const size_t quads = bits == 8 ? 2 : 8 / bits; /* of a step */
    const char mask = (char)((1 << bits) - 1);
    const __m256i zero = _mm256_setzero_si256();
    const uint8_t *w = t->w;

    for (size_t p = 0; p < t->panels; p++) {
        const __m256i start0 = _mm256_set1_epi32(t->start[0]);
        const __m256i start1 = _mm256_set1_epi32(t->start[rows - 1]);
        struct pair a0 = {start0, start0}, a1 = {start1, start1};
        struct pair b0 = {zero, zero}, b1 = b0;

        for (size_t k = 0; k < t->k; k += 4 * quads, w += quads * bits * 8) {
            const struct pair codes = load(w);
            const uint8_t *x0 = t->x + k, *x1 = x0 + t->x_stride;

            _mm_prefetch((const char *)(w + PREFETCH), _MM_HINT_T0);
            if (bits == 8) {
                _mm_prefetch((const char *)(w + PREFETCH + 64), _MM_HINT_T0);
            }
#define TWO_QUADS(first, c, d)                                                                     \
    {                                                                                              \
        const struct pair even = c, odd = d;                                                       \
        a0 = add(a0, x0 + 4 * (size_t)(first), even);                                              \
        b0 = add(b0, x0 + 4 * (size_t)(first) + 4, odd);                                           \
        if (rows > 1) {                                                                            \
            a1 = add(a1, x1 + 4 * (size_t)(first), even);                                          \
            b1 = add(b1, x1 + 4 * (size_t)(first) + 4, odd);                                       \
        }                                                                                          \
    }
            if (bits == 8) {
                TWO_QUADS(0, codes, load(w + 64))
            } else {
                TWO_QUADS(0, field(codes, 0, mask), field(codes, (int)bits, mask))
            }
            if (bits == 2) {
                TWO_QUADS(2, field(codes, 4, mask), field(codes, 6, mask))
            }
#undef TWO_QUADS
        }
        store(t->y + p * BRIM_GEMV_PANEL, a0, b0);
        if (rows > 1) {
            store(t->y + p * BRIM_GEMV_PANEL + t->y_stride, a1, b1);
        }
    }
}

__attribute__((always_inline)) static inline void run(const struct brim_gemv_tile *t, unsigned bits)
{
    if (t->rows == 1) {
        panels(t, bits, 1);
    } else {
        panels(t, bits, 2);
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

const struct brim_gemv_variant brim_gemv_avxvnni = {
    .name = "avxvnni",
    .isa = BRIM_ISA_AVX2 | BRIM_ISA_AVXVNNI,
    .rows = 2,
    .run = {run2, run4, run8},
};

static void row(const struct brim_gemm_tile *t)
{
    brim_gemv_row(t, run8);
}

const struct brim_gemm_variant brim_gemm_avxvnni_row = {
    .name = "avxvnni-row",
    .isa = BRIM_ISA_AVX2 | BRIM_ISA_AVXVNNI,
    .need = BRIM_GEMM_ANY,
    .rows = 1,
    .panels = BRIM_GEMV_ROW_PANELS,
    .unit = BRIM_GEMV_K / 4,
    .few = 45,
    .run = row,
};
