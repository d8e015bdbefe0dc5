/* lookup_avx512vbmi.c - lookups with vpermb: 64 outputs and 3 weights each. SPDX-License-Identifier:
 * Apache-2.0
 *
 * vpermb looks up 64 entries, chosen by the low 6 bits of each byte: an index needs no unpacking.
 * 64 * 3 products in a cycle at best, half again as many as VNNI; tables cost more, so that this
 * is worth it for many outputs. 6 rows by 4 panels: a table is loaded for 4 lookups, an index for 6.
 * The state is that of lookup_avx2.c.
 */
#include "base/cpu.h"
#include "kernels/lookup_variant.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

/* ---- tables ---- */

/* A table is a table of the first two weights, once for each code of the third, plus what the third
 * adds. Byte i of vectors named "bytes" is made of i % 16 and lane i / 16 by a line of these. */
struct patterns {
    __m512i group;       /* 48 inputs -> dword d of lane l: the 3 of step 4 * d + l, and any byte */
    __m512i first, next; /* in a lane: codes of the first weight, of the second */
    __m512i third;       /* in all lanes: codes of the third, from the first lane */
};

static struct patterns make_patterns(void)
{
    uint8_t group[64], first[64], next[64], third[64];

    for (unsigned i = 0; i < 64; i++) {
        const unsigned lane = i / 16, byte = i % 16, step = 4 * (byte / 4) + lane;

        group[i] = (uint8_t)(byte % 4 == 3 ? 0 : 3 * step + byte % 4);
        /* A lane of 16 holds x, -2x and -x of 3 inputs and one more, and 4 zeros. */
        first[i] = (uint8_t)(byte % 4 == 0 ? 12 : byte % 4 * 4 - 4);
        next[i] = (uint8_t)(byte / 4 == 0 ? 12 : byte / 4 * 4 - 4 + 1);
        third[i] = (uint8_t)(lane == 0 ? 12 : lane * 4 - 4 + 2);
    }
    return (struct patterns){_mm512_loadu_si512(group), _mm512_loadu_si512(first),
                             _mm512_loadu_si512(next), _mm512_loadu_si512(third)};
}

/* Tables of the 4 steps whose groups are the lanes of `lanes`. */
INLINE void store_tables(uint8_t *table, size_t stride, const struct patterns *p, __m512i lanes)
{
    const __m512i twos =
        _mm512_add_epi8(_mm512_shuffle_epi8(lanes, p->first), _mm512_shuffle_epi8(lanes, p->next));
    const __m512i lane = _mm512_set1_epi8(16);
    uint8_t *last = table + 3 * stride; /* holds them until it is built */
    __m512i third = p->third;

    _mm512_store_si512(last, twos); /* a broadcast from memory costs a load, not a shuffle */
    __asm__ volatile("" ::: "memory");
    for (unsigned i = 0; i < 4; i++) {
        const __m128i two = _mm_load_si128((const __m128i *)(const void *)(last + (size_t)16 * i));
        const __m512i entries =
            _mm512_add_epi8(_mm512_broadcast_i32x4(two), _mm512_permutexvar_epi8(third, lanes));

        _mm512_store_si512(table + i * stride, entries);
        third = _mm512_add_epi8(third, lane);
    }
}

static void build(const struct brim_lookup_build *b)
{
    const __m512i flip = _mm512_set1_epi8((char)b->flip), add = _mm512_set1_epi8((char)b->add);
    const __m512i zero = _mm512_setzero_si512();
    const size_t stride = (size_t)64 * b->rows;
    const struct patterns p = make_patterns();

    for (unsigned i = 0; i < b->rows; i++) {
        const uint8_t *x = b->x + i * b->x_stride;
        uint8_t *table = b->table + (size_t)64 * i;

        for (size_t s = 0; s < b->steps; s += 16, x += 48, table += 16 * stride) {
            const __m512i raw = _mm512_permutexvar_epi8(p.group, _mm512_loadu_si512(x));
            const __m512i one = _mm512_add_epi8(_mm512_xor_si512(raw, flip), add);
            const __m512i minus = _mm512_sub_epi8(zero, one);
            const __m512i minus2 = _mm512_add_epi8(minus, minus);
            const __m512i lo = _mm512_unpacklo_epi32(one, minus2);
            const __m512i hi = _mm512_unpackhi_epi32(one, minus2);
            const __m512i lo1 = _mm512_unpacklo_epi32(minus, zero);
            const __m512i hi1 = _mm512_unpackhi_epi32(minus, zero);

            store_tables(table, stride, &p, _mm512_unpacklo_epi64(lo, lo1));
            store_tables(table + 4 * stride, stride, &p, _mm512_unpackhi_epi64(lo, lo1));
            store_tables(table + 8 * stride, stride, &p, _mm512_unpacklo_epi64(hi, hi1));
            store_tables(table + 12 * stride, stride, &p, _mm512_unpackhi_epi64(hi, hi1));
        }
    }
}

/* ---- lookups ---- */

INLINE void widen(uint16_t *state, __m512i sum)
{
    _mm512_store_si512(state, _mm512_add_epi16(_mm512_load_si512(state), sum));
    state += 32;
    _mm512_store_si512(state,
                       _mm512_add_epi16(_mm512_load_si512(state), _mm512_srli_epi16(sum, 8)));
}

/* In place: see lookup_avx2.c. */
INLINE __m512i plus(__m512i sum, __m512i entries)
{
    __asm__("vpaddb %1, %0, %0" : "+v"(sum) : "v"(entries));
    return sum;
}

/* Accumulator "row, panel". */
#define EACH(op)                                                                                   \
    EACH_PANEL(op, 0)                                                                              \
    EACH_PANEL(op, 1) EACH_PANEL(op, 2) EACH_PANEL(op, 3) EACH_PANEL(op, 4) EACH_PANEL(op, 5)
#define EACH_PANEL(op, r) op(r, 0) op(r, 1) op(r, 2) op(r, 3)
#define BEGIN(r, p)       __m512i sum##r##p = middle;
#define LOOK(r, p)                                                                                 \
    if ((r) < rows && (p) < panels) {                                                              \
        sum##r##p =                                                                                \
            plus(sum##r##p,                                                                        \
                 _mm512_permutexvar_epi8(index##p, _mm512_load_si512(table + (size_t)64 * (r))));  \
    }
#define WIDEN(r, p)                                                                                \
    if ((r) < rows && (p) < panels) {                                                              \
        widen(t->state + (size_t)64 * ((p)*rows + (r)), sum##r##p);                                \
    }

INLINE void run_rows(const struct brim_lookup_tile *t, const unsigned rows, const unsigned panels)
{
    const __m512i middle = _mm512_set1_epi8(-128);
    const size_t stride = t->steps * 64;
    const uint8_t *index = t->index, *table = t->table;

    for (size_t left = t->steps; left != 0;) {
        const size_t steps = left < t->tile ? left : t->tile;

        left -= steps;
        EACH(BEGIN)
        size_t s = steps;
        do {
            const __m512i index0 = _mm512_load_si512(index);
            const __m512i index1 =
                panels > 1 ? _mm512_load_si512(index + stride) : _mm512_setzero_si512();
            const __m512i index2 =
                panels > 2 ? _mm512_load_si512(index + 2 * stride) : _mm512_setzero_si512();
            const __m512i index3 =
                panels > 3 ? _mm512_load_si512(index + 3 * stride) : _mm512_setzero_si512();

            EACH(LOOK)
            table += (size_t)64 * rows;
            index += 64;
            s--;
        } while (s != 0);
        EACH(WIDEN)
        __asm__ volatile("" ::: "memory"); /* or gcc keeps the state in "registers": on the stack */
    }
}

#define PANELS(r, p)                                                                               \
    case 8 * (r + 1) + (p) + 1:                                                                    \
        run_rows(t, r + 1, p + 1);                                                                 \
        break;

static void run(const struct brim_lookup_tile *t)
{
    if (t->first) {
        for (size_t i = 0; i < (size_t)64 * t->rows * t->panels; i += 32) {
            _mm512_store_si512(t->state + i, _mm512_setzero_si512());
        }
    }
    switch (8 * t->rows + t->panels) {
        EACH(PANELS)
    default:
        break;
    }
}

const struct brim_lookup_variant brim_lookup_avx512vbmi = {
    .name = "avx512vbmi",
    .isa = BRIM_ISA_AVX2 | BRIM_ISA_AVX512 | BRIM_ISA_AVX512VBMI,
    .weights = 3,
    .rows = 6,
    .panels = 4,
    .block = 64,
    .rank = 30,
    .cost = {.panel = 0.38, .single = 0.28, .widen = 1.6, .table = 0.9},
    .build = build,
    .run = run,
    .finish = brim_lookup_finish_avx2,
};
