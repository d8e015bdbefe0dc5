/* gemv_neon.c - gemv on NEON without dot products. SPDX-License-Identifier: Apache-2.0
 *
 * umull multiplies unsigned bytes: 8 products are 2 outputs x 4 k, in 16 bits. Why they fit there,
 * for any weights:
 *
 *     2 bits   a product reaches 255 * 3 = 765: 16 quads (BRIM_GEMV_K) are added, 12240
 *     4 bits   255 * 15 = 3825: 16 quads, 61200 of 65535
 *     8 bits   weights have 128 added, taken back as 128 * sum(x): 255 * 255 = 65025, alone
 */
#include <arm_neon.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/gemv_variant.h"

/* 16-bit sums of outputs 4 * i .. 4 * i + 3: two of them in the low, two in the high vector. */
struct sums16 {
    uint16x8_t low, high;
};

static inline struct sums16 add16(struct sums16 s, uint8x16_t codes, uint8x16_t x)
{
    return (struct sums16){vmlal_u8(s.low, vget_low_u8(codes), vget_low_u8(x)),
                           vmlal_high_u8(s.high, codes, x)};
}

/* Lanes of one output are neighbours. */
static inline uint32x4_t widen(uint32x4_t sum, struct sums16 s)
{
    return vaddq_u32(sum, vpaddq_u32(vpaddlq_u16(s.low), vpaddlq_u16(s.high)));
}

/* Quad i of 4, for every output. */
#define QUAD(x4, i) vreinterpretq_u8_u32(vdupq_laneq_u32(vreinterpretq_u32_u8(x4), i))

static inline struct sums16 add2(struct sums16 s, const uint8_t *w, uint8x16_t x0, uint8x16_t x1,
                                 uint8x16_t x2, uint8x16_t x3)
{
    const uint8x16_t codes = vld1q_u8(w), mask = vdupq_n_u8(3);

    s = add16(s, vandq_u8(codes, mask), x0);
    s = add16(s, vandq_u8(vshrq_n_u8(codes, 2), mask), x1);
    s = add16(s, vandq_u8(vshrq_n_u8(codes, 4), mask), x2);
    return add16(s, vshrq_n_u8(codes, 6), x3);
}

static inline struct sums16 add4(struct sums16 s, const uint8_t *w, uint8x16_t x0, uint8x16_t x1,
                                 uint8x16_t x2, uint8x16_t x3)
{
    const uint8x16_t first = vld1q_u8(w), second = vld1q_u8(w + 64), mask = vdupq_n_u8(15);

    s = add16(s, vandq_u8(first, mask), x0);
    s = add16(s, vshrq_n_u8(first, 4), x1);
    s = add16(s, vandq_u8(second, mask), x2);
    return add16(s, vshrq_n_u8(second, 4), x3);
}

/* Panels of 2 or 4 bits: `add` takes 4 quads, `bytes` of weights. */
#define NARROW(name, add, bytes)                                                                   \
    static void name(const struct brim_gemv_tile *t)                                               \
    {                                                                                              \
        const struct sums16 none = {vdupq_n_u16(0), vdupq_n_u16(0)};                               \
        const uint8_t *w = t->w;                                                                   \
                                                                                                   \
        for (size_t panel = 0; panel < t->panels; panel++) {                                       \
            uint32x4_t y0 = vdupq_n_u32((uint32_t)t->start[0]), y1 = y0, y2 = y0, y3 = y0;         \
            uint32_t *y = (uint32_t *)t->y + panel * BRIM_GEMV_PANEL;                              \
                                                                                                   \
            for (const uint8_t *x = t->x; x != t->x + t->k;) {                                     \
                struct sums16 s0 = none, s1 = none, s2 = none, s3 = none;                          \
                for (int quads = 0; quads < 16; quads += 4, x += 16, w += (bytes)) {               \
                    const uint8x16_t x4 = vld1q_u8(x);                                             \
                    const uint8x16_t q0 = QUAD(x4, 0), q1 = QUAD(x4, 1);                           \
                    const uint8x16_t q2 = QUAD(x4, 2), q3 = QUAD(x4, 3);                           \
                    s0 = add(s0, w, q0, q1, q2, q3);                                               \
                    s1 = add(s1, w + 16, q0, q1, q2, q3);                                          \
                    s2 = add(s2, w + 32, q0, q1, q2, q3);                                          \
                    s3 = add(s3, w + 48, q0, q1, q2, q3);                                          \
                }                                                                                  \
                y0 = widen(y0, s0);                                                                \
                y1 = widen(y1, s1);                                                                \
                y2 = widen(y2, s2);                                                                \
                y3 = widen(y3, s3);                                                                \
            }                                                                                      \
            vst1q_u32(y, y0);                                                                      \
            vst1q_u32(y + 4, y1);                                                                  \
            vst1q_u32(y + 8, y2);                                                                  \
            vst1q_u32(y + 12, y3);                                                                 \
        }                                                                                          \
    }

NARROW(run2, add2, 64)
NARROW(run4, add4, 128)

/* ---- 8 bits ---- */

/* 32-bit sums of 4 outputs, each in two lanes. */
struct sums32 {
    uint32x4_t low, high;
};

static inline struct sums32 add8(struct sums32 s, const uint8_t *w, uint8x16_t x)
{
    const uint8x16_t codes = veorq_u8(vld1q_u8(w), vdupq_n_u8(128));

    return (struct sums32){vpadalq_u16(s.low, vmull_u8(vget_low_u8(codes), vget_low_u8(x))),
                           vpadalq_u16(s.high, vmull_high_u8(codes, x))};
}

static inline void store(uint32_t *y, struct sums32 s, uint32_t start)
{
    vst1q_u32(y, vaddq_u32(vpaddq_u32(s.low, s.high), vdupq_n_u32(start)));
}

static void run8(const struct brim_gemv_tile *t)
{
    const struct sums32 none = {vdupq_n_u32(0), vdupq_n_u32(0)};
    const uint8_t *w = t->w;
    uint32_t start = (uint32_t)t->start[0];

    for (size_t k = 0; k < t->k; k += 16) {
        start -= 128u * vaddlvq_u8(vld1q_u8(t->x + k));
    }
    for (size_t panel = 0; panel < t->panels; panel++) {
        struct sums32 s0 = none, s1 = none, s2 = none, s3 = none;
        uint32_t *y = (uint32_t *)t->y + panel * BRIM_GEMV_PANEL;

        for (size_t k = 0; k < t->k; k += 4, w += 64) {
            uint32_t quad;

            memcpy(&quad, t->x + k, sizeof quad);
            const uint8x16_t x = vreinterpretq_u8_u32(vdupq_n_u32(quad));
            s0 = add8(s0, w, x);
            s1 = add8(s1, w + 16, x);
            s2 = add8(s2, w + 32, x);
            s3 = add8(s3, w + 48, x);
        }
        store(y, s0, start);
        store(y + 4, s1, start);
        store(y + 8, s2, start);
        store(y + 12, s3, start);
    }
}

const struct brim_gemv_variant brim_gemv_neon = {
    .name = "neon", .isa = BRIM_ISA_NEON, .rows = 1, .run = {run2, run4, run8}};
