/* gemm_dotprod.c - gemm on NEON with dot products: a quad of 4 outputs in one instruction.
 * SPDX-License-Identifier: Apache-2.0
 *
 * sdot multiplies signed bytes only, so x is centred. It adds into 32 bits: no narrower register is
 * faster.
 *
 * Tile: 5 rows of one panel, 20 sums of the 32 registers; one load brings 4 quads of a row, which
 * sdot takes by number. A sixth row does not fit: 24 sums, 6 vectors of x, what centres them, and
 * two of weights.
 */
#include <arm_neon.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/gemm_variant.h"

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
#define ROWS5(op, ...)                                                                             \
    ROWS4(op, __VA_ARGS__);                                                                        \
    op(4, __VA_ARGS__)

/* Signed bytes of 4 quads; of one. */
static inline int8x16_t load4(const uint8_t *x, uint8x16_t zero)
{
    return vreinterpretq_s8_u8(vsubq_u8(vld1q_u8(x), zero));
}

static inline int8x16_t load1(const uint8_t *x, uint8x16_t zero)
{
    uint32_t quad;

    memcpy(&quad, x, sizeof quad);
    return vreinterpretq_s8_u8(vsubq_u8(vreinterpretq_u8_u32(vdupq_n_u32(quad)), zero));
}

/* Adds to y, or to `start` what becomes y. */
static inline void store(int32_t *y, const int32_t *start, int32x4_t total)
{
    vst1q_s32(y, vaddq_s32(vld1q_s32(start), total));
}

#define CLEAR(i, ...)                                                                              \
    int32x4_t s##i##0 = vdupq_n_s32(0), s##i##1 = s##i##0, s##i##2 = s##i##0, s##i##3 = s##i##0
#define START(i, base) const uint8_t *x##i = (base) + (i)*t->x_stride
#define LOAD(i, load)  const int8x16_t v##i = load(x##i + 4 * q, zero)
#define DOT(i, j, n)   s##i##j = vdotq_laneq_s32(s##i##j, wj, v##i, n)
#define STORE(i, j)    store(t->y + (i)*t->y_stride + 4 * (j), from + (i)*stride + 4 * (j), s##i##j)
#define END(i, ...)                                                                                \
    STORE(i, 0);                                                                                   \
    STORE(i, 1);                                                                                   \
    STORE(i, 2);                                                                                   \
    STORE(i, 3)
#define COLUMN(R, j, n)                                                                            \
    {                                                                                              \
        const int8x16_t wj = vld1q_s8(w + 16 * (j));                                               \
        ROWS##R(DOT, j, n);                                                                        \
    }
#define QUAD(R, n)                                                                                 \
    {                                                                                              \
        COLUMN(R, 0, n);                                                                           \
        COLUMN(R, 1, n);                                                                           \
        COLUMN(R, 2, n);                                                                           \
        COLUMN(R, 3, n);                                                                           \
        w += 64;                                                                                   \
    }

#define TILE(R)                                                                                    \
    static void tile##R(const struct brim_gemm_tile *t)                                            \
    {                                                                                              \
        const int8_t *w = t->w;                                                                    \
        const int32_t *from = t->add ? t->y : t->start;                                            \
        const size_t stride = t->add ? t->y_stride : 0;                                            \
        const uint8x16_t zero = vdupq_n_u8(t->zero);                                               \
                                                                                                   \
        ROWS##R(CLEAR, );                                                                          \
        for (size_t s = 0; s < t->spans; s++) {                                                    \
            const size_t quads = t->span[s].quads;                                                 \
            size_t q = 0;                                                                          \
                                                                                                   \
            ROWS##R(START, t->x + t->span[s].x);                                                   \
            for (; q + 4 <= quads; q += 4) {                                                       \
                ROWS##R(LOAD, load4);                                                              \
                QUAD(R, 0);                                                                        \
                QUAD(R, 1);                                                                        \
                QUAD(R, 2);                                                                        \
                QUAD(R, 3);                                                                        \
            }                                                                                      \
            for (; q < quads; q++) {                                                               \
                ROWS##R(LOAD, load1);                                                              \
                QUAD(R, 0);                                                                        \
            }                                                                                      \
        }                                                                                          \
        ROWS##R(END, );                                                                            \
    }

TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)

static void run(const struct brim_gemm_tile *t)
{
    static void (*const tiles[])(const struct brim_gemm_tile *) = {tile1, tile2, tile3, tile4,
                                                                   tile5};

    tiles[t->rows - 1](t);
}

const struct brim_gemm_variant brim_gemm_dotprod = {.name = "dotprod",
                                                    .isa = BRIM_ISA_NEON | BRIM_ISA_DOTPROD,
                                                    .need = BRIM_GEMM_ANY,
                                                    .rows = 5,
                                                    .panels = 1,
                                                    .unit = 1,
                                                    .rank = 40,
                                                    .centred = true,
                                                    .run = run};
