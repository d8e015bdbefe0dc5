/* gemm_neon.c - gemm on NEON without dot products. SPDX-License-Identifier: Apache-2.0
 *
 * NEON multiplies bytes of one signedness only, so x is centred. 8 products are 8 lanes: 2 outputs x
 * 4 k.
 *
 *     neon-16     lanes of 16 bits: smlal, smlal2. A lane holds one k of every quad and may wrap
 *                 around; the sum of two lanes is that of the even or of the odd pairs, which is
 *                 proven to fit, and sums modulo 2^16 are right. 2 instructions for 16 products.
 *     neon-pair   products of two quads in 16 bits, then added into 32: smull, smlal, sadalp. 3.
 *     neon-32     every product added into 32 bits: smull, sadalp. 4; exact also for -128 * -128
 *                 twice.
 *
 * Tile: 3 rows of one panel in 16 bits, 2 rows in 32: 24 and 16 sums of the 32 registers.
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

/* Signed bytes: of 4 quads; of one, for every output. */
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

#define QUAD(x4, i) vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(x4), i))

/* Adds to y, or to `start` what becomes y. */
static inline void store(int32_t *y, const int32_t *start, int32x4_t total)
{
    vst1q_s32(y, vaddq_s32(vld1q_s32(start), total));
}

/* ---- 16 bits ---- */

/* s<row><quarter panel><its half> */
#define CLEAR16(i, ...)                                                                            \
    int16x8_t s##i##0l = vdupq_n_s16(0), s##i##0h = s##i##0l, s##i##1l = s##i##0l,                 \
              s##i##1h = s##i##0l, s##i##2l = s##i##0l, s##i##2h = s##i##0l, s##i##3l = s##i##0l,  \
              s##i##3h = s##i##0l
#define START(i, base) const uint8_t *x##i = (base) + (i)*t->x_stride
#define LOAD4(i, q)    const int8x16_t b##i = load4(x##i + 4 * (q), zero)
#define LOAD1(i, q)    const int8x16_t v##i = load1(x##i + 4 * (q), zero)
#define SPLAT(i, n)    const int8x16_t v##i = QUAD(b##i, n)
#define DOT16(i, j)                                                                                \
    s##i##j##l = vmlal_s8(s##i##j##l, vget_low_s8(wj), vget_low_s8(v##i));                         \
    s##i##j##h = vmlal_high_s8(s##i##j##h, wj, v##i)
#define STORE16(i, j)                                                                              \
    store(t->y + (i)*t->y_stride + 4 * (j), from + (i)*stride + 4 * (j),                           \
          vpaddlq_s16(vpaddq_s16(s##i##j##l, s##i##j##h)));                                        \
    s##i##j##l = s##i##j##h = vdupq_n_s16(0)
#define END16(i, ...)                                                                              \
    STORE16(i, 0);                                                                                 \
    STORE16(i, 1);                                                                                 \
    STORE16(i, 2);                                                                                 \
    STORE16(i, 3)
#define COLUMN16(R, j)                                                                             \
    {                                                                                              \
        const int8x16_t wj = vld1q_s8(w + 16 * (j));                                               \
        ROWS##R(DOT16, j);                                                                         \
    }
#define QUAD16(R, LOAD, n)                                                                         \
    {                                                                                              \
        ROWS##R(LOAD, n);                                                                          \
        COLUMN16(R, 0);                                                                            \
        COLUMN16(R, 1);                                                                            \
        COLUMN16(R, 2);                                                                            \
        COLUMN16(R, 3);                                                                            \
        w += 64;                                                                                   \
    }

#define TILE16(R)                                                                                  \
    static void tile16_##R(const struct brim_gemm_tile *t)                                         \
    {                                                                                              \
        const int8_t *w = t->w;                                                                    \
        const uint8x16_t zero = vdupq_n_u8(t->zero);                                               \
        const int32_t *from = t->add ? t->y : t->start;                                            \
        size_t stride = t->add ? t->y_stride : 0;                                                  \
                                                                                                   \
        ROWS##R(CLEAR16, );                                                                        \
        for (size_t s = 0; s < t->spans; s++) {                                                    \
            const size_t quads = t->span[s].quads;                                                 \
            size_t q = 0;                                                                          \
                                                                                                   \
            ROWS##R(START, t->x + t->span[s].x);                                                   \
            for (; q + 4 <= quads; q += 4) {                                                       \
                ROWS##R(LOAD4, q);                                                                 \
                QUAD16(R, SPLAT, 0);                                                               \
                QUAD16(R, SPLAT, 1);                                                               \
                QUAD16(R, SPLAT, 2);                                                               \
                QUAD16(R, SPLAT, 3);                                                               \
            }                                                                                      \
            for (; q < quads; q++) {                                                               \
                QUAD16(R, LOAD1, q);                                                               \
            }                                                                                      \
            if (t->span[s].widen) {                                                                \
                ROWS##R(END16, );                                                                  \
                from = t->y;                                                                       \
                stride = t->y_stride;                                                              \
            }                                                                                      \
        }                                                                                          \
    }

TILE16(1)
TILE16(2)
TILE16(3)

static void run16(const struct brim_gemm_tile *t)
{
    static void (*const tiles[])(const struct brim_gemm_tile *) = {tile16_1, tile16_2, tile16_3};

    tiles[t->rows - 1](t);
}

/* ---- 32 bits ---- */

#define CLEAR32(i, ...)                                                                            \
    int32x4_t s##i##0l = vdupq_n_s32(0), s##i##0h = s##i##0l, s##i##1l = s##i##0l,                 \
              s##i##1h = s##i##0l, s##i##2l = s##i##0l, s##i##2h = s##i##0l, s##i##3l = s##i##0l,  \
              s##i##3h = s##i##0l
#define DOT32(i, j)                                                                                \
    s##i##j##l = vpadalq_s16(s##i##j##l, vmull_s8(vget_low_s8(wj), vget_low_s8(v##i)));            \
    s##i##j##h = vpadalq_s16(s##i##j##h, vmull_high_s8(wj, v##i))
#define COLUMN32(R, j)                                                                             \
    {                                                                                              \
        const int8x16_t wj = vld1q_s8(w + 16 * (j));                                               \
        ROWS##R(DOT32, j);                                                                         \
    }
#define QUAD32(R, LOAD, n)                                                                         \
    {                                                                                              \
        ROWS##R(LOAD, n);                                                                          \
        COLUMN32(R, 0);                                                                            \
        COLUMN32(R, 1);                                                                            \
        COLUMN32(R, 2);                                                                            \
        COLUMN32(R, 3);                                                                            \
        w += 64;                                                                                   \
    }

/* Two quads: x in v<row> and u<row>, weights 64 bytes apart. */
#define SPLAT2(i, n) const int8x16_t v##i = QUAD(b##i, n), u##i = QUAD(b##i, (n) + 1)
#define DOT32P(i, j)                                                                               \
    s##i##j##l = vpadalq_s16(s##i##j##l, vmlal_s8(vmull_s8(vget_low_s8(wj), vget_low_s8(v##i)),    \
                                                  vget_low_s8(zj), vget_low_s8(u##i)));            \
    s##i##j##h = vpadalq_s16(s##i##j##h, vmlal_high_s8(vmull_high_s8(wj, v##i), zj, u##i))
#define COLUMN32P(R, j)                                                                            \
    {                                                                                              \
        const int8x16_t wj = vld1q_s8(w + 16 * (j)), zj = vld1q_s8(w + 64 + 16 * (j));             \
        ROWS##R(DOT32P, j);                                                                        \
    }
#define QUADS32P(R, n)                                                                             \
    {                                                                                              \
        ROWS##R(SPLAT2, n);                                                                        \
        COLUMN32P(R, 0);                                                                           \
        COLUMN32P(R, 1);                                                                           \
        COLUMN32P(R, 2);                                                                           \
        COLUMN32P(R, 3);                                                                           \
        w += 128;                                                                                  \
    }

#define STORE32(i, j)                                                                              \
    store(t->y + (i)*t->y_stride + 4 * (j), from + (i)*stride + 4 * (j),                           \
          vpaddq_s32(s##i##j##l, s##i##j##h))
#define END32(i, ...)                                                                              \
    STORE32(i, 0);                                                                                 \
    STORE32(i, 1);                                                                                 \
    STORE32(i, 2);                                                                                 \
    STORE32(i, 3)

#define PLAIN(R)                                                                                   \
    QUAD32(R, SPLAT, 0);                                                                           \
    QUAD32(R, SPLAT, 1);                                                                           \
    QUAD32(R, SPLAT, 2);                                                                           \
    QUAD32(R, SPLAT, 3)
#define PAIRS(R)                                                                                   \
    QUADS32P(R, 0);                                                                                \
    QUADS32P(R, 2)

#define TILE32(R, name, QUADS)                                                                     \
    static void name##_##R(const struct brim_gemm_tile *t)                                         \
    {                                                                                              \
        const int8_t *w = t->w;                                                                    \
        const int32_t *from = t->add ? t->y : t->start;                                            \
        const size_t stride = t->add ? t->y_stride : 0;                                            \
        const uint8x16_t zero = vdupq_n_u8(t->zero);                                               \
                                                                                                   \
        ROWS##R(CLEAR32, );                                                                        \
        for (size_t s = 0; s < t->spans; s++) {                                                    \
            const size_t quads = t->span[s].quads;                                                 \
            size_t q = 0;                                                                          \
                                                                                                   \
            ROWS##R(START, t->x + t->span[s].x);                                                   \
            for (; q + 4 <= quads; q += 4) {                                                       \
                ROWS##R(LOAD4, q);                                                                 \
                QUADS(R);                                                                          \
            }                                                                                      \
            for (; q < quads; q++) {                                                               \
                QUAD32(R, LOAD1, q);                                                               \
            }                                                                                      \
        }                                                                                          \
        ROWS##R(END32, );                                                                          \
    }

TILE32(1, tile32, PLAIN)
TILE32(2, tile32, PLAIN)
TILE32(1, pair, PAIRS)
TILE32(2, pair, PAIRS)

static void run32(const struct brim_gemm_tile *t)
{
    (t->rows == 1 ? tile32_1 : tile32_2)(t);
}

static void run_pair(const struct brim_gemm_tile *t)
{
    (t->rows == 1 ? pair_1 : pair_2)(t);
}

const struct brim_gemm_variant brim_gemm_neon32 = {.name = "neon-32",
                                                   .isa = BRIM_ISA_NEON,
                                                   .need = BRIM_GEMM_ANY,
                                                   .rows = 2,
                                                   .panels = 1,
                                                   .unit = 1,
                                                   .rank = 10,
                                                   .centred = true,
                                                   .run = run32};

const struct brim_gemm_variant brim_gemm_neon_pair = {.name = "neon-pair",
                                                      .isa = BRIM_ISA_NEON,
                                                      .need = BRIM_GEMM_ANY,
                                                      .bounds = BRIM_GEMM_PRODUCT,
                                                      .rows = 2,
                                                      .panels = 1,
                                                      .unit = 1,
                                                      .rank = 20,
                                                      .centred = true,
                                                      .run = run_pair};

const struct brim_gemm_variant brim_gemm_neon16 = {.name = "neon-16",
                                                   .isa = BRIM_ISA_NEON,
                                                   .need = BRIM_GEMM_LANE,
                                                   .rows = 3,
                                                   .panels = 1,
                                                   .unit = 1,
                                                   .rank = 30,
                                                   .centred = true,
                                                   .run = run16};
