/* lookup_avx2.c - lookups with vpshufb: 32 outputs and 2 weights each. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A lookup is vpshufb and vpaddb: two instructions for 64 products, where multiply-add in 16 bits needs
 * two for 32, and in 32 bits three. A table is broadcast from memory, which costs a load alone. One
 * byte of indices serves two lookups of every row, so that unpacking (and, shift, and) is cheap
 * beside 12 rows, and half of the work for one.
 *
 * 8-bit sums begin at 128 and are unsigned: sum = byte - 128. Widening then takes three
 * instructions. With a word w = 256 * odd + even of two neighbouring outputs,
 *
 *     all  += w               mod 2^16
 *     odds += w >> 8
 *
 * and once, at the end, evens = all - 256 * odds mod 2^16.
 * State of a row: all of 32 words, then odds of 32 words; word i is of outputs 2*i and 2*i + 1.
 */
#include "base/cpu.h"
#include "kernels/lookup_variant.h"

#include <immintrin.h>

/* ---- tables ---- */

static inline __m256i spread(__m256i bytes, int first)
{
    const int a = first, b = first + 1;
    const char none = -128; /* code 0: the weight is 0 */
    const __m256i low = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        none, (char)a, (char)(a + 4), (char)(a + 8), none, (char)a, (char)(a + 4), (char)(a + 8),
        none, (char)a, (char)(a + 4), (char)(a + 8), none, (char)a, (char)(a + 4), (char)(a + 8)));
    const __m256i high = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        none, none, none, none, (char)b, (char)b, (char)b, (char)b, (char)(b + 4), (char)(b + 4),
        (char)(b + 4), (char)(b + 4), (char)(b + 8), (char)(b + 8), (char)(b + 8), (char)(b + 8)));

    return _mm256_add_epi8(_mm256_shuffle_epi8(bytes, low), _mm256_shuffle_epi8(bytes, high));
}

/* Lane i of `fours` holds x, -2x, -x of the 4 inputs of steps s + 8*i and s + 8*i + 1. */
static inline void store_tables(uint8_t *table, size_t stride, __m256i fours)
{
    const __m256i even = spread(fours, 0), odd = spread(fours, 2);

    _mm_storeu_si128((__m128i *)(void *)table, _mm256_castsi256_si128(even));
    _mm_storeu_si128((__m128i *)(void *)(table + stride), _mm256_castsi256_si128(odd));
    _mm_storeu_si128((__m128i *)(void *)(table + 8 * stride), _mm256_extracti128_si256(even, 1));
    _mm_storeu_si128((__m128i *)(void *)(table + 9 * stride), _mm256_extracti128_si256(odd, 1));
}

void brim_lookup_build_avx2(const struct brim_lookup_build *b)
{
    const __m256i flip = _mm256_set1_epi8((char)b->flip), add = _mm256_set1_epi8((char)b->add);
    const __m256i zero = _mm256_setzero_si256();
    const size_t stride = (size_t)16 * b->rows;

    for (unsigned i = 0; i < b->rows; i++) {
        const uint8_t *x = b->x + i * b->x_stride;
        uint8_t *table = b->table + (size_t)16 * i;

        for (size_t s = 0; s < b->steps; s += 16, x += 32, table += 16 * stride) {
            const __m256i raw = _mm256_loadu_si256((const __m256i *)(const void *)x);
            const __m256i one = _mm256_add_epi8(_mm256_xor_si256(raw, flip), add);
            const __m256i minus = _mm256_sub_epi8(zero, one);
            const __m256i minus2 = _mm256_add_epi8(minus, minus);
            const __m256i lo = _mm256_unpacklo_epi32(one, minus2);
            const __m256i hi = _mm256_unpackhi_epi32(one, minus2);
            const __m256i lo1 = _mm256_unpacklo_epi32(minus, zero);
            const __m256i hi1 = _mm256_unpackhi_epi32(minus, zero);

            store_tables(table, stride, _mm256_unpacklo_epi64(lo, lo1));
            store_tables(table + 2 * stride, stride, _mm256_unpackhi_epi64(lo, lo1));
            store_tables(table + 4 * stride, stride, _mm256_unpacklo_epi64(hi, hi1));
            store_tables(table + 6 * stride, stride, _mm256_unpackhi_epi64(hi, hi1));
        }
    }
}

/* ---- lookups ---- */

#define INLINE static inline __attribute__((always_inline))

INLINE __m256i look(const uint8_t *table, unsigned row, __m256i index)
{
    const __m128i entries =
        _mm_load_si128((const __m128i *)(const void *)(table + (size_t)16 * row));

    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), index);
}

/* state points at 16 words of "all"; those of "odds" are 32 words on. */
INLINE void widen(uint16_t *state, __m256i sum)
{
    __m256i *all = (__m256i *)(void *)state, *odds = (__m256i *)(void *)(state + 32);

    _mm256_store_si256(all, _mm256_add_epi16(_mm256_load_si256(all), sum));
    _mm256_store_si256(odds, _mm256_add_epi16(_mm256_load_si256(odds), _mm256_srli_epi16(sum, 8)));
}

/* In place, and in the order written: gcc would add the two lookups of a pair first, those of all rows,
 * and spill them. */
INLINE __m256i plus(__m256i sum, __m256i entries)
{
    __asm__("vpaddb %1, %0, %0" : "+x"(sum) : "x"(entries));
    return sum;
}

/* Accumulator i is of row i / vectors, outputs 32 * (i % vectors). Names, not an array: gcc 12 would
 * keep an array in memory. */
#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11)
#define BEGIN(i) __m256i sum##i = middle;
#define LOOK(i)                                                                                    \
    if ((i) < rows * vectors) {                                                                    \
        sum##i = plus(sum##i, look(table, (i) / vectors, (i) % vectors == 0 ? index0 : index1));   \
    }
#define WIDEN(i)                                                                                   \
    if ((i) < rows * vectors) {                                                                    \
        widen(state + (size_t)64 * ((i) / vectors) + (size_t)16 * ((i) % vectors), sum##i);        \
    }

/* The two lookups of a byte. Loaded once: gcc would fold the loads into "and", and repeat them. */
#define LOOK_PAIR(looks, at)                                                                       \
    {                                                                                              \
        const __m256i *pairs = (const __m256i *)(const void *)(index + (size_t)64 * (at));         \
        __m256i pair0 = _mm256_load_si256(pairs);                                                  \
        __m256i pair1 = vectors == 2 ? _mm256_load_si256(pairs + 1) : pair0;                       \
        if (vectors == 2) {                                                                        \
            __asm__("" : "+x"(pair0), "+x"(pair1));                                                \
        }                                                                                          \
        __m256i index0 = _mm256_and_si256(pair0, nibble);                                          \
        __m256i index1 = _mm256_and_si256(pair1, nibble);                                          \
        looks;                                                                                     \
        table += (size_t)16 * rows;                                                                \
        index0 = _mm256_and_si256(_mm256_srli_epi16(pair0, 4), nibble);                            \
        index1 = _mm256_and_si256(_mm256_srli_epi16(pair1, 4), nibble);                            \
        looks;                                                                                     \
        table += (size_t)16 * rows;                                                                \
    }

INLINE void run_rows(const struct brim_lookup_tile *t, size_t half, const unsigned rows,
                     const unsigned vectors)
{
    const __m256i nibble = _mm256_set1_epi8(15), middle = _mm256_set1_epi8(-128);
    const uint8_t *index = t->index + 32 * half, *table = t->table;
    uint16_t *state = t->state + 16 * half;

    for (size_t left = t->steps; left != 0;) {
        const size_t steps = left < t->tile ? left : t->tile;
        size_t s = steps;

        left -= steps;
        EACH(BEGIN)
        do {
            LOOK_PAIR(EACH(LOOK), 0)
            index += 64;
            s -= 2;
        } while (s != 0);
        EACH(WIDEN)
        __asm__ volatile("" ::: "memory"); /* or gcc keeps the state in "registers": on the stack */
    }
}

/* One row, which the rest of the loop would slow down: its state stays in registers, and it counts by
 * four bytes. */
static void run_one(const struct brim_lookup_tile *t)
{
    enum { rows = 1, vectors = 2 };
    const __m256i nibble = _mm256_set1_epi8(15), middle = _mm256_set1_epi8(-128);
    const uint8_t *index = t->index, *table = t->table;
    __m256i *state = (__m256i *)(void *)t->state;
    __m256i all0 = _mm256_setzero_si256(), all1 = all0, odds0 = all0, odds1 = all0;

    if (!t->first) {
        all0 = _mm256_load_si256(state);
        all1 = _mm256_load_si256(state + 1);
        odds0 = _mm256_load_si256(state + 2);
        odds1 = _mm256_load_si256(state + 3);
    }
    for (size_t left = t->steps; left != 0;) {
        const size_t steps = left < t->tile ? left : t->tile;
        __m256i sum0 = middle, sum1 = middle;

        left -= steps;
        for (size_t s = steps / 8; s != 0; s--) {
            LOOK_PAIR(LOOK(0) LOOK(1), 0)
            LOOK_PAIR(LOOK(0) LOOK(1), 1)
            LOOK_PAIR(LOOK(0) LOOK(1), 2)
            LOOK_PAIR(LOOK(0) LOOK(1), 3)
            index += 256;
        }
        for (size_t s = steps % 8; s != 0; s -= 2) {
            LOOK_PAIR(LOOK(0) LOOK(1), 0)
            index += 64;
        }
        all0 = _mm256_add_epi16(all0, sum0);
        all1 = _mm256_add_epi16(all1, sum1);
        odds0 = _mm256_add_epi16(odds0, _mm256_srli_epi16(sum0, 8));
        odds1 = _mm256_add_epi16(odds1, _mm256_srli_epi16(sum1, 8));
    }
    _mm256_store_si256(state, all0);
    _mm256_store_si256(state + 1, all1);
    _mm256_store_si256(state + 2, odds0);
    _mm256_store_si256(state + 3, odds1);
}

static void begin(const struct brim_lookup_tile *t)
{
    for (size_t i = 0; i < (size_t)64 * t->rows; i += 16) {
        _mm256_store_si256((__m256i *)(void *)(t->state + i), _mm256_setzero_si256());
    }
}

#define FEW(n)                                                                                     \
    case n:                                                                                        \
        run_rows(t, 0, n, 2);                                                                      \
        break;
#define MANY(n)                                                                                    \
    case n:                                                                                        \
        run_rows(t, 0, n, 1);                                                                      \
        run_rows(t, 1, n, 1);                                                                      \
        break;

static void run(const struct brim_lookup_tile *t)
{
    if (t->first && t->rows != 1) {
        begin(t);
    }
    switch (t->rows) {
    case 1:
        run_one(t);
        break;
        FEW(2)
        FEW(3)
        FEW(4)
        MANY(5) MANY(6) MANY(7) MANY(8) MANY(9) MANY(10) MANY(11) default : run_rows(t, 0, 12, 1);
        run_rows(t, 1, 12, 1);
        break;
    }
}

/* ---- totals ---- */

INLINE void put(int32_t *y, __m256i totals, bool add)
{
    __m256i *to = (__m256i *)(void *)y;

    _mm256_storeu_si256(to, add ? _mm256_add_epi32(_mm256_loadu_si256(to), totals) : totals);
}

void brim_lookup_finish_avx2(const struct brim_lookup_finish *f)
{
    const __m256i bias = _mm256_set1_epi16((int16_t)(uint16_t)(128 * f->tiles));

    for (unsigned i = 0; i < f->rows; i++) {
        const uint16_t *state = f->state + (size_t)64 * i;
        int32_t *y = f->y + i * f->y_stride;

        for (size_t j = 0; j < 32; j += 8) { /* words of outputs 2*j .. 2*j + 15 */
            const __m128i all = _mm_load_si128((const __m128i *)(const void *)(state + j));
            const __m128i odds = _mm_load_si128((const __m128i *)(const void *)(state + 32 + j));
            const __m128i evens = _mm_sub_epi16(all, _mm_slli_epi16(odds, 8));
            const __m256i sums = _mm256_sub_epi16(
                _mm256_set_m128i(_mm_unpackhi_epi16(evens, odds), _mm_unpacklo_epi16(evens, odds)),
                bias);

            put(y + 2 * j, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sums)), f->add);
            put(y + 2 * j + 8, _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sums, 1)), f->add);
        }
    }
}

const struct brim_lookup_variant brim_lookup_avx2 = {
    .name = "avx2",
    .isa = BRIM_ISA_AVX2,
    .weights = 2,
    .rows = 12,
    .panels = 1,
    .block = 128,
    .rank = 10,
    .cost = {.panel = 0.68, .single = 0.55, .widen = 2.9, .table = 0.47},
    .build = brim_lookup_build_avx2,
    .run = run,
    .finish = brim_lookup_finish_avx2,
};
