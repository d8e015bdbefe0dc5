/* gemv_avx512vnni.c - gemv on vpdpbusd with 64-byte vectors. SPDX-License-Identifier: Apache-2.0
 *
 * One panel at a time, so that the weights are one stream for the prefetchers; four quads a step
 * into four accumulators for each row, since vpdpbusd takes 5 cycles. A step of 2-bit codes takes 9
 * operations of the two vector ports, not 11: the odd quads are not shifted down, so their
 * accumulators count in fours.
 */
#include "base/cpu.h"
#include "kernels/gemv_variant.h"
#include "kernels/x86/gemv_row.h"

#include <immintrin.h>

#define PREFETCH 2048 /* bytes ahead */

struct sums { /* of the four quads of a step */
    __m512i a, b, c, d;
};

static inline struct sums start_at(int32_t start)
{
    const __m512i zero = _mm512_setzero_si512();

    return (struct sums){.a = _mm512_set1_epi32(start), .b = zero, .c = zero, .d = zero};
}

/* 4 codes of x in every lane. */
static inline __m512i quad(const uint8_t *x)
{
    int32_t bytes;

    __builtin_memcpy(&bytes, x, sizeof bytes);
    return _mm512_set1_epi32(bytes);
}

static inline struct sums add(struct sums s, const uint8_t *x, struct sums w)
{
    s.a = _mm512_dpbusd_epi32(s.a, quad(x), w.a);
    s.b = _mm512_dpbusd_epi32(s.b, quad(x + 4), w.b);
    s.c = _mm512_dpbusd_epi32(s.c, quad(x + 8), w.c);
    s.d = _mm512_dpbusd_epi32(s.d, quad(x + 12), w.d);
    return s;
}

/* The weights of a step; b and d four times too large if `bits` is 2. */
static inline struct sums unpack(const uint8_t *w, unsigned bits)
{
    const __m512i first = _mm512_loadu_si512(w);

    if (bits == 2) {
        const __m512i low = _mm512_set1_epi8(0x03), high = _mm512_set1_epi8(0x0c);
        const __m512i last = _mm512_srli_epi16(first, 4);
        return (struct sums){_mm512_and_si512(first, low), _mm512_and_si512(first, high),
                             _mm512_and_si512(last, low), _mm512_and_si512(last, high)};
    }
    if (bits == 4) {
        const __m512i mask = _mm512_set1_epi8(0x0f), second = _mm512_loadu_si512(w + 64);
        return (struct sums){
            _mm512_and_si512(first, mask), _mm512_and_si512(_mm512_srli_epi16(first, 4), mask),
            _mm512_and_si512(second, mask), _mm512_and_si512(_mm512_srli_epi16(second, 4), mask)};
    }
    return (struct sums){first, _mm512_loadu_si512(w + 64), _mm512_loadu_si512(w + 128),
                         _mm512_loadu_si512(w + 192)};
}

static inline void store(int32_t *y, struct sums s, unsigned bits)
{
    __m512i odd = _mm512_add_epi32(s.b, s.d);

    if (bits == 2) {
        odd = _mm512_srai_epi32(odd, 2);
    }
    _mm512_storeu_si512(y, _mm512_add_epi32(_mm512_add_epi32(s.a, s.c), odd));
}

/* `bits` and `rows` are constants where this is called: no branch on them remains. */
__attribute__((always_inline)) static inline void panels(const struct brim_gemv_tile *t,
                                                         unsigned bits, unsigned rows)
{
    const size_t step = (size_t)32 * bits; /* bytes of four quads */
    const uint8_t *w = t->w;

    for (size_t p = 0; p < t->panels; p++) {
        struct sums s0 = start_at(t->start[0]), s1 = start_at(rows > 1 ? t->start[1] : 0);
        struct sums s2 = start_at(rows > 2 ? t->start[2] : 0);
        struct sums s3 = start_at(rows > 3 ? t->start[3] : 0);
        const uint8_t *x0 = t->x, *x1 = x0 + t->x_stride, *x2 = x1 + t->x_stride;
        const uint8_t *x3 = x2 + t->x_stride;

        for (size_t k = 0; k < t->k; k += 16, w += step) {
            for (size_t line = 0; line < step; line += 64) {
                _mm_prefetch((const char *)(w + PREFETCH + line), _MM_HINT_T0);
            }
            const struct sums codes = unpack(w, bits);
            s0 = add(s0, x0 + k, codes);
            s1 = rows > 1 ? add(s1, x1 + k, codes) : s1;
            s2 = rows > 2 ? add(s2, x2 + k, codes) : s2;
            s3 = rows > 3 ? add(s3, x3 + k, codes) : s3;
        }
        int32_t *y = t->y + p * BRIM_GEMV_PANEL;
        store(y, s0, bits);
        if (rows > 1) {
            store(y + t->y_stride, s1, bits);
        }
        if (rows > 2) {
            store(y + 2 * t->y_stride, s2, bits);
        }
        if (rows > 3) {
            store(y + 3 * t->y_stride, s3, bits);
        }
    }
}

__attribute__((always_inline)) static inline void run(const struct brim_gemv_tile *t, unsigned bits)
{
    switch (t->rows) {
    case 1:
        panels(t, bits, 1);
        break;
    case 2:
        panels(t, bits, 2);
        break;
    case 3:
        panels(t, bits, 3);
        break;
    default:
        panels(t, bits, 4);
        break;
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

const struct brim_gemv_variant brim_gemv_avx512vnni = {
    .name = "avx512vnni",
    .isa = BRIM_ISA_AVX512 | BRIM_ISA_AVX512VNNI,
    .rows = 4,
    .run = {run2, run4, run8},
};

static void row(const struct brim_gemm_tile *t)
{
    brim_gemv_row(t, run8);
}

const struct brim_gemm_variant brim_gemm_avx512vnni_row = {
    .name = "avx512vnni-row",
    .isa = BRIM_ISA_AVX512 | BRIM_ISA_AVX512VNNI,
    .need = BRIM_GEMM_ANY,
    .rows = 1,
    .panels = BRIM_GEMV_ROW_PANELS,
    .unit = BRIM_GEMV_K / 4,
    .few = 60,
    .run = row,
};
