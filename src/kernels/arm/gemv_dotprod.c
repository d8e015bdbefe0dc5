/* gemv_dotprod.c - gemv on udot: a quad of 4 outputs in one instruction. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Codes below 8 bits are stored without a sign, which is what udot multiplies; those of 8 bits have
 * 128 added by flipping their top bit, taken back as 128 * sum(x). Up to 4 rows share the unpacking.
 */
#include <arm_neon.h>

#include "base/cpu.h"
#include "kernels/gemv_variant.h"

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

/* s<row><quarter panel>; x<row>: 4 quads. */
#define BEGIN(i, bits)                                                                             \
    const uint32_t start##i = begin##bits(t, i);                                                   \
    uint32x4_t s##i##0, s##i##1, s##i##2, s##i##3
#define CLEAR(i, ...)   s##i##0 = s##i##1 = s##i##2 = s##i##3 = vdupq_n_u32(start##i)
#define LOAD(i, ...)    const uint8x16_t x##i = vld1q_u8(t->x + (i)*t->x_stride + k)
#define DOT(i, j, q, c) s##i##j = vdotq_laneq_u32(s##i##j, c, x##i, q)
#define STORE(i, ...)                                                                              \
    vst1q_u32(y + (i)*t->y_stride, s##i##0);                                                       \
    vst1q_u32(y + (i)*t->y_stride + 4, s##i##1);                                                   \
    vst1q_u32(y + (i)*t->y_stride + 8, s##i##2);                                                   \
    vst1q_u32(y + (i)*t->y_stride + 12, s##i##3)

/* 4 quads of 4 outputs. */
#define COLUMN2(R, j)                                                                              \
    {                                                                                              \
        const uint8x16_t codes = vld1q_u8(w + 16 * (j)), mask = vdupq_n_u8(3);                     \
        const uint8x16_t c0 = vandq_u8(codes, mask);                                               \
        const uint8x16_t c1 = vandq_u8(vshrq_n_u8(codes, 2), mask);                                \
        const uint8x16_t c2 = vandq_u8(vshrq_n_u8(codes, 4), mask);                                \
        const uint8x16_t c3 = vshrq_n_u8(codes, 6);                                                \
        ROWS##R(DOT, j, 0, c0);                                                                    \
        ROWS##R(DOT, j, 1, c1);                                                                    \
        ROWS##R(DOT, j, 2, c2);                                                                    \
        ROWS##R(DOT, j, 3, c3);                                                                    \
    }
#define COLUMN4(R, j)                                                                              \
    {                                                                                              \
        const uint8x16_t first = vld1q_u8(w + 16 * (j)), second = vld1q_u8(w + 64 + 16 * (j));     \
        const uint8x16_t c0 = vandq_u8(first, vdupq_n_u8(15)), c1 = vshrq_n_u8(first, 4);          \
        const uint8x16_t c2 = vandq_u8(second, vdupq_n_u8(15)), c3 = vshrq_n_u8(second, 4);        \
        ROWS##R(DOT, j, 0, c0);                                                                    \
        ROWS##R(DOT, j, 1, c1);                                                                    \
        ROWS##R(DOT, j, 2, c2);                                                                    \
        ROWS##R(DOT, j, 3, c3);                                                                    \
    }
#define COLUMN8(R, j)                                                                              \
    {                                                                                              \
        const uint8x16_t top = vdupq_n_u8(128);                                                    \
        const uint8x16_t c0 = veorq_u8(vld1q_u8(w + 16 * (j)), top);                               \
        const uint8x16_t c1 = veorq_u8(vld1q_u8(w + 64 + 16 * (j)), top);                          \
        const uint8x16_t c2 = veorq_u8(vld1q_u8(w + 128 + 16 * (j)), top);                         \
        const uint8x16_t c3 = veorq_u8(vld1q_u8(w + 192 + 16 * (j)), top);                         \
        ROWS##R(DOT, j, 0, c0);                                                                    \
        ROWS##R(DOT, j, 1, c1);                                                                    \
        ROWS##R(DOT, j, 2, c2);                                                                    \
        ROWS##R(DOT, j, 3, c3);                                                                    \
    }

static inline uint32_t begin8(const struct brim_gemv_tile *t, size_t row)
{
    uint32x4_t sum = vdupq_n_u32(0);

    for (size_t k = 0; k < t->k; k += 16) {
        sum = vdotq_u32(sum, vld1q_u8(t->x + row * t->x_stride + k), vdupq_n_u8(128));
    }
    return (uint32_t)t->start[row] - vaddvq_u32(sum);
}

static inline uint32_t begin2(const struct brim_gemv_tile *t, size_t row)
{
    return (uint32_t)t->start[row];
}
#define begin4 begin2

#define TILE(R, bits)                                                                              \
    static void tile##bits##_##R(const struct brim_gemv_tile *t)                                   \
    {                                                                                              \
        const uint8_t *w = t->w;                                                                   \
        uint32_t *y = (uint32_t *)t->y;                                                            \
                                                                                                   \
        ROWS##R(BEGIN, bits);                                                                      \
        for (size_t panel = 0; panel < t->panels; panel++, y += BRIM_GEMV_PANEL) {                 \
            ROWS##R(CLEAR, );                                                                      \
            for (size_t k = 0; k < t->k; k += 16, w += 32 * (bits)) {                              \
                ROWS##R(LOAD, );                                                                   \
                COLUMN##bits(R, 0);                                                                \
                COLUMN##bits(R, 1);                                                                \
                COLUMN##bits(R, 2);                                                                \
                COLUMN##bits(R, 3);                                                                \
            }                                                                                      \
            ROWS##R(STORE, );                                                                      \
        }                                                                                          \
    }
#define RUN(bits)                                                                                  \
    TILE(1, bits)                                                                                  \
    TILE(2, bits)                                                                                  \
    TILE(3, bits)                                                                                  \
    TILE(4, bits)                                                                                  \
    static void run##bits(const struct brim_gemv_tile *t)                                          \
    {                                                                                              \
        static brim_gemv_run_tile *const tiles[] = {tile##bits##_1, tile##bits##_2,                \
                                                    tile##bits##_3, tile##bits##_4};               \
                                                                                                   \
        tiles[t->rows - 1](t);                                                                     \
    }

RUN(2)
RUN(4)
RUN(8)

const struct brim_gemv_variant brim_gemv_dotprod = {.name = "dotprod",
                                                    .isa = BRIM_ISA_NEON | BRIM_ISA_DOTPROD,
                                                    .rows = 4,
                                                    .run = {run2, run4, run8}};
