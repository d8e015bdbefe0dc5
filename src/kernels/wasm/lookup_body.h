/* lookup_body.h - lookups on WebAssembly: 16 outputs and 2 weights each. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A lookup is a swizzle and an addition. Who includes this defines LOOKUP(table, indices below 16):
 * a swizzle of the base set has to give 0 beyond 15, for which SSE's shuffle needs one instruction
 * more; a relaxed one may do as it likes there.
 *
 * 4 rows of half a panel are 8 sums; with the indices, the table and a product all in the 15
 * registers that an engine has left of SSE's 16. State of a row: its 64 sums, in order.
 */
#include <wasm_simd128.h>

#include "base/cpu.h"
#include "kernels/lookup_variant.h"

#define ROWS1(op, ...) op(0, __VA_ARGS__)
#define ROWS2(op, ...)                                                                             \
    ROWS1(op, __VA_ARGS__);                                                                        \
    op(1, __VA_ARGS__)
#define ROWS3(op, ...)                                                                             \
    ROWS2(op, __VA_ARGS__);                                                                        \
    op(2, __VA_ARGS__)
#define ROWS4(op, ...)                                                                             \
    ROWS3(op, __VA_ARGS__);                                                                        \
    op(3, __VA_ARGS__)

/* ---- tables ---- */

/* 4 bytes of v from a, 4 times over, plus each of 4 bytes from b, 4 times. */
#define SPREAD(v, a, b)                                                                            \
    wasm_i8x16_add(                                                                                \
        wasm_i8x16_shuffle(v, v, a, (a) + 1, (a) + 2, (a) + 3, a, (a) + 1, (a) + 2, (a) + 3, a,    \
                           (a) + 1, (a) + 2, (a) + 3, a, (a) + 1, (a) + 2, (a) + 3),               \
        wasm_i8x16_shuffle(v, v, b, b, b, b, (b) + 1, (b) + 1, (b) + 1, (b) + 1, (b) + 2, (b) + 2, \
                           (b) + 2, (b) + 2, (b) + 3, (b) + 3, (b) + 3, (b) + 3))

static void build(const struct brim_lookup_build *b)
{
    const v128_t flip = wasm_i8x16_splat((int8_t)b->flip), add = wasm_i8x16_splat((int8_t)b->add);
    const size_t stride = (size_t)16 * b->rows;

    for (unsigned i = 0; i < b->rows; i++) {
        const uint8_t *x = b->x + i * b->x_stride;
        uint8_t *table = b->table + (size_t)16 * i;

        for (size_t s = 0; s < b->steps; s += 2, x += 4, table += 2 * stride) {
            const v128_t one = wasm_i8x16_add(wasm_v128_xor(wasm_v128_load32_zero(x), flip), add);
            const v128_t minus = wasm_i8x16_neg(one), minus2 = wasm_i8x16_add(minus, minus);
            const v128_t none = wasm_i8x16_const_splat(0);
            /* 0, x, -2x, -x of 4 inputs */
            const v128_t lo = wasm_i8x16_shuffle(none, one, 0, 16, 0, 17, 0, 18, 0, 19, 0, 16, 0,
                                                 17, 0, 18, 0, 19);
            const v128_t hi = wasm_i8x16_shuffle(minus2, minus, 0, 16, 1, 17, 2, 18, 3, 19, 0, 16,
                                                 1, 17, 2, 18, 3, 19);
            const v128_t v = wasm_i16x8_shuffle(lo, hi, 0, 8, 1, 9, 2, 10, 3, 11);

            wasm_v128_store(table, SPREAD(v, 0, 4));
            wasm_v128_store(table + stride, SPREAD(v, 8, 12));
        }
    }
}

/* ---- lookups ---- */

static inline void widen(uint16_t *state, v128_t sums)
{
    wasm_v128_store(state,
                    wasm_i16x8_add(wasm_v128_load(state), wasm_i16x8_extend_low_i8x16(sums)));
    wasm_v128_store(state + 8,
                    wasm_i16x8_add(wasm_v128_load(state + 8), wasm_i16x8_extend_high_i8x16(sums)));
}

#define CLEAR(i, ...) v128_t s##i##0 = wasm_i8x16_const_splat(0), s##i##1 = s##i##0
/* The empty assembly keeps the two lookups of a pair from being added to each other first, which
 * would take registers for sums of their own. */
#define LOOK(i, e0, e1)                                                                            \
    {                                                                                              \
        const v128_t entries = wasm_v128_load(table + 16 * (i));                                   \
        s##i##0 = wasm_i8x16_add(s##i##0, LOOKUP(entries, e0));                                    \
        s##i##1 = wasm_i8x16_add(s##i##1, LOOKUP(entries, e1));                                    \
        __asm__("" : "+r"(s##i##0), "+r"(s##i##1));                                                \
    }
#define WIDEN(i, ...)                                                                              \
    widen(state + 64 * (i), s##i##0);                                                              \
    widen(state + 64 * (i) + 16, s##i##1)

#define TILE(R)                                                                                    \
    static void tile##R(const struct brim_lookup_tile *t, size_t first)                            \
    {                                                                                              \
        const uint8_t *table = t->table, *index = t->index + first;                                \
        uint16_t *state = t->state + first;                                                        \
        const v128_t nibble = wasm_i8x16_const_splat(15);                                          \
                                                                                                   \
        for (size_t left = t->steps; left != 0;) {                                                 \
            size_t steps = left < t->tile ? left : t->tile;                                        \
                                                                                                   \
            left -= steps;                                                                         \
            ROWS##R(CLEAR, );                                                                      \
            for (; steps != 0; steps -= 2, index += 64) {                                          \
                const v128_t i0 = wasm_v128_load(index), i1 = wasm_v128_load(index + 16);          \
                {                                                                                  \
                    const v128_t e0 = wasm_v128_and(i0, nibble), e1 = wasm_v128_and(i1, nibble);   \
                    ROWS##R(LOOK, e0, e1);                                                         \
                    table += 16 * (R);                                                             \
                }                                                                                  \
                {                                                                                  \
                    const v128_t e0 = wasm_v128_and(wasm_u16x8_shr(i0, 4), nibble);                \
                    const v128_t e1 = wasm_v128_and(wasm_u16x8_shr(i1, 4), nibble);                \
                    ROWS##R(LOOK, e0, e1);                                                         \
                    table += 16 * (R);                                                             \
                }                                                                                  \
            }                                                                                      \
            ROWS##R(WIDEN, );                                                                      \
        }                                                                                          \
    }

TILE(1)
TILE(2)
TILE(3)
TILE(4)

static void run(const struct brim_lookup_tile *t)
{
    static void (*const tiles[])(const struct brim_lookup_tile *, size_t) = {tile1, tile2, tile3,
                                                                             tile4};

    if (t->first) {
        for (size_t i = 0; i < (size_t)64 * t->rows; i += 8) {
            wasm_v128_store(t->state + i, wasm_i16x8_const_splat(0));
        }
    }
    tiles[t->rows - 1](t, 0);
    tiles[t->rows - 1](t, 32);
}

/* ---- totals ---- */

static void finish(const struct brim_lookup_finish *f)
{
    for (unsigned i = 0; i < f->rows; i++) {
        const uint16_t *state = f->state + (size_t)64 * i;
        int32_t *y = f->y + i * f->y_stride;

        for (size_t j = 0; j < 64; j += 4) {
            const v128_t sums = wasm_i32x4_load16x4(state + j);
            wasm_v128_store(y + j, f->add ? wasm_i32x4_add(wasm_v128_load(y + j), sums) : sums);
        }
    }
}
