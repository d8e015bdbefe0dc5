/* lookup_neon.c - lookups with tbl: 16 outputs and 2 weights each. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A lookup is tbl and add: two instructions for 32 products, where smlal needs two for 8 each. One
 * byte of indices serves two lookups of every row. 4 rows of 64 outputs are 16 sums, all in
 * registers.
 *
 * State of a row: its 64 sums, in order.
 */
#include <arm_neon.h>

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

static void build(const struct brim_lookup_build *b)
{
    static const int8_t low[16] = {0, 1, -2, -1, 0, 1, -2, -1, 0, 1, -2, -1, 0, 1, -2, -1};
    static const int8_t high[16] = {0, 0, 0, 0, 1, 1, 1, 1, -2, -2, -2, -2, -1, -1, -1, -1};
    const uint8x16_t v0 = vreinterpretq_u8_s8(vld1q_s8(low));
    const uint8x16_t v1 = vreinterpretq_u8_s8(vld1q_s8(high));

    for (unsigned i = 0; i < b->rows; i++) {
        const uint8_t *x = b->x + i * b->x_stride;
        uint8_t *table = b->table + 16 * i;

        for (size_t s = 0; s < b->steps; s++, table += 16 * b->rows) {
            const uint8_t x0 = (uint8_t)((x[2 * s] ^ b->flip) + b->add);
            const uint8_t x1 = (uint8_t)((x[2 * s + 1] ^ b->flip) + b->add);

            vst1q_u8(table, vmlaq_u8(vmulq_u8(v0, vdupq_n_u8(x0)), v1, vdupq_n_u8(x1)));
        }
    }
}

/* ---- lookups ---- */

static inline void widen(uint16_t *state, int8x16_t sums)
{
    int16_t *to = (int16_t *)state;

    vst1q_s16(to, vaddw_s8(vld1q_s16(to), vget_low_s8(sums)));
    vst1q_s16(to + 8, vaddw_high_s8(vld1q_s16(to + 8), sums));
}

#define CLEAR(i, ...)                                                                              \
    uint8x16_t s##i##0 = vdupq_n_u8(0), s##i##1 = s##i##0, s##i##2 = s##i##0, s##i##3 = s##i##0
#define LOOK(i, e0, e1, e2, e3)                                                                    \
    {                                                                                              \
        const uint8x16_t entries = vld1q_u8(table + 16 * (i));                                     \
        s##i##0 = vaddq_u8(s##i##0, vqtbl1q_u8(entries, e0));                                      \
        s##i##1 = vaddq_u8(s##i##1, vqtbl1q_u8(entries, e1));                                      \
        s##i##2 = vaddq_u8(s##i##2, vqtbl1q_u8(entries, e2));                                      \
        s##i##3 = vaddq_u8(s##i##3, vqtbl1q_u8(entries, e3));                                      \
    }
#define WIDEN(i, ...)                                                                              \
    widen(t->state + 64 * (i), vreinterpretq_s8_u8(s##i##0));                                      \
    widen(t->state + 64 * (i) + 16, vreinterpretq_s8_u8(s##i##1));                                 \
    widen(t->state + 64 * (i) + 32, vreinterpretq_s8_u8(s##i##2));                                 \
    widen(t->state + 64 * (i) + 48, vreinterpretq_s8_u8(s##i##3))

#define TILE(R)                                                                                    \
    static void tile##R(const struct brim_lookup_tile *t)                                          \
    {                                                                                              \
        const uint8_t *table = t->table, *index = t->index;                                        \
        const uint8x16_t nibble = vdupq_n_u8(15);                                                  \
                                                                                                   \
        for (size_t left = t->steps; left != 0;) {                                                 \
            size_t steps = left < t->tile ? left : t->tile;                                        \
                                                                                                   \
            left -= steps;                                                                         \
            ROWS##R(CLEAR, );                                                                      \
            for (; steps != 0; steps -= 2, index += 64) {                                          \
                const uint8x16_t i0 = vld1q_u8(index), i1 = vld1q_u8(index + 16);                  \
                const uint8x16_t i2 = vld1q_u8(index + 32), i3 = vld1q_u8(index + 48);             \
                {                                                                                  \
                    const uint8x16_t e0 = vandq_u8(i0, nibble), e1 = vandq_u8(i1, nibble);         \
                    const uint8x16_t e2 = vandq_u8(i2, nibble), e3 = vandq_u8(i3, nibble);         \
                    ROWS##R(LOOK, e0, e1, e2, e3);                                                 \
                    table += 16 * (R);                                                             \
                }                                                                                  \
                {                                                                                  \
                    const uint8x16_t e0 = vshrq_n_u8(i0, 4), e1 = vshrq_n_u8(i1, 4);               \
                    const uint8x16_t e2 = vshrq_n_u8(i2, 4), e3 = vshrq_n_u8(i3, 4);               \
                    ROWS##R(LOOK, e0, e1, e2, e3);                                                 \
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
    static void (*const tiles[])(const struct brim_lookup_tile *) = {tile1, tile2, tile3, tile4};

    if (t->first) {
        for (size_t i = 0; i < (size_t)64 * t->rows; i += 8) {
            vst1q_u16(t->state + i, vdupq_n_u16(0));
        }
    }
    tiles[t->rows - 1](t);
}

/* ---- totals ---- */

static void finish(const struct brim_lookup_finish *f)
{
    for (unsigned i = 0; i < f->rows; i++) {
        const int16_t *state = (const int16_t *)f->state + (size_t)64 * i;
        int32_t *y = f->y + i * f->y_stride;

        for (size_t j = 0; j < 64; j += 4) {
            const int32x4_t sums = vmovl_s16(vld1_s16(state + j));
            vst1q_s32(y + j, f->add ? vaddq_s32(vld1q_s32(y + j), sums) : sums);
        }
    }
}

const struct brim_lookup_variant brim_lookup_neon = {
    .name = "neon",
    .isa = BRIM_ISA_NEON,
    .weights = 2,
    .rows = 4,
    .panels = 1,
    .block = 128,
    .rank = 10,
    .build = build,
    .run = run,
    .finish = finish,
};
