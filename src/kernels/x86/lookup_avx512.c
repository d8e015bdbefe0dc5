/* lookup_avx512.c - lookups with vpshufb: 64 outputs and 2 weights each. SPDX-License-Identifier:
 * Apache-2.0
 *
 * lookup_avx2.c in registers of 512 bits, a whole panel; tables and state are the same. Shuffles and
 * adds have two ports: 64 * 2 products in a cycle at best, as many as VNNI, twice multiply-add in 16
 * bits.
 */
#include "base/cpu.h"
#include "kernels/lookup_variant.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

INLINE __m512i look(const uint8_t *table, unsigned row, __m512i index)
{
    const __m128i entries =
        _mm_load_si128((const __m128i *)(const void *)(table + (size_t)16 * row));

    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), index);
}

INLINE void widen(uint16_t *state, __m512i sum)
{
    _mm512_store_si512(state, _mm512_add_epi16(_mm512_load_si512(state), sum));
    state += 32;
    _mm512_store_si512(state,
                       _mm512_add_epi16(_mm512_load_si512(state), _mm512_srli_epi16(sum, 8)));
}

/* In place, and in the order written: see lookup_avx2.c. */
INLINE __m512i plus(__m512i sum, __m512i entries)
{
    __asm__("vpaddb %1, %0, %0" : "+v"(sum) : "v"(entries));
    return sum;
}

#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11)
#define BEGIN(i) __m512i sum##i = middle;
#define LOOK(i)                                                                                    \
    if ((i) < rows) {                                                                              \
        sum##i = plus(sum##i, look(table, i, index));                                              \
    }
#define WIDEN(i)                                                                                   \
    if ((i) < rows) {                                                                              \
        widen(t->state + (size_t)64 * (i), sum##i);                                                \
    }

INLINE void run_rows(const struct brim_lookup_tile *t, const unsigned rows)
{
    const __m512i nibble = _mm512_set1_epi8(15), middle = _mm512_set1_epi8(-128);
    const uint8_t *pair = t->index, *table = t->table;

    for (size_t left = t->steps; left != 0;) {
        const size_t steps = left < t->tile ? left : t->tile;

        left -= steps;
        EACH(BEGIN)
        size_t s = steps;
        do {
            __m512i both = _mm512_load_si512(pair);

            __asm__("" : "+v"(both)); /* loaded once */
            __m512i index = _mm512_and_si512(both, nibble);
            EACH(LOOK)
            table += (size_t)16 * rows;
            index = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
            EACH(LOOK)
            table += (size_t)16 * rows;
            pair += 64;
            s -= 2;
        } while (s != 0);
        EACH(WIDEN)
        __asm__ volatile("" ::: "memory"); /* or gcc keeps the state in "registers": on the stack */
    }
}

#define ROWS(n)                                                                                    \
    case n:                                                                                        \
        run_rows(t, n);                                                                            \
        break;

static void run(const struct brim_lookup_tile *t)
{
    if (t->first) {
        for (size_t i = 0; i < (size_t)64 * t->rows; i += 32) {
            _mm512_store_si512(t->state + i, _mm512_setzero_si512());
        }
    }
    switch (t->rows) {
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) default : run_rows(t, 12);
        break;
    }
}

const struct brim_lookup_variant brim_lookup_avx512 = {
    .name = "avx512",
    .isa = BRIM_ISA_AVX2 | BRIM_ISA_AVX512,
    .weights = 2,
    .rows = 12,
    .panels = 1,
    .block = 128,
    .rank = 20,
    .cost = {.panel = 0.54, .single = 0.5, .widen = 3.0, .table = 0.47},
    .build = brim_lookup_build_avx2,
    .run = run,
    .finish = brim_lookup_finish_avx2,
};
