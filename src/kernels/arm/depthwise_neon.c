/* depthwise_neon.c - one tap of 16 channels at a time: bytes widened to 16 bits, smlal adds products
 * into 32. SPDX-License-Identifier: Apache-2.0 */
#include <arm_neon.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/depthwise_variant.h"

#define BLOCK 16

/* n bytes, widened. */
static inline void widen(const uint8_t *x, size_t n, uint8x16_t flip, int16_t *to)
{
    uint8_t few[BLOCK] = {0};

    if (n < BLOCK) {
        memcpy(few, x, n);
        x = few;
    }
    const uint8x16_t v = veorq_u8(vld1q_u8(x), flip);
    vst1q_s16(to, vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(v))));
    vst1q_s16(to + 8, vreinterpretq_s16_u16(vmovl_high_u8(v)));
}

static void fill_columns(const struct brim_depthwise_run *r)
{
    const uint8x16_t flip = vdupq_n_u8(r->flip);
    int16_t *to = r->column;

    for (size_t i = 0; i < r->columns; i++) {
        for (size_t j = 0; j < r->kh; j++, to += BLOCK) {
            widen(r->x + j * r->row + i * r->pixel, r->channels, flip, to);
        }
    }
}

/* Totals of 16 channels. */
struct sums {
    int32x4_t s0, s1, s2, s3;
};

static inline struct sums add(struct sums s, const int16_t *x, int16x8_t w0, int16x8_t w1)
{
    const int16x8_t x0 = vld1q_s16(x), x1 = vld1q_s16(x + 8);

    return (struct sums){
        vmlal_s16(s.s0, vget_low_s16(x0), vget_low_s16(w0)), vmlal_high_s16(s.s1, x0, w0),
        vmlal_s16(s.s2, vget_low_s16(x1), vget_low_s16(w1)), vmlal_high_s16(s.s3, x1, w1)};
}

static inline void store(struct sums s, int32_t *total)
{
    vst1q_s32(total, s.s0);
    vst1q_s32(total + 4, s.s1);
    vst1q_s32(total + 8, s.s2);
    vst1q_s32(total + 12, s.s3);
}

static void run(const struct brim_depthwise_run *r)
{
    const size_t column = r->kh * BLOCK;
    const int32x4_t none = vdupq_n_s32(0);

    fill_columns(r);
    for (size_t o = 0; o < r->outputs; o += 2) { /* the last of an odd number is computed twice */
        const size_t next = o + 1 < r->outputs ? r->stride * column : 0;
        const int16_t *w = r->w;
        struct sums a = {none, none, none, none}, b = a;

        for (size_t j = 0; j < r->kw; j++) {
            const int16_t *x =
                (const int16_t *)r->column + (o * r->stride + j * r->dilation) * column;

            for (size_t i = 0; i < r->kh; i++, x += BLOCK, w += BLOCK) {
                const int16x8_t w0 = vld1q_s16(w), w1 = vld1q_s16(w + 8);

                a = add(a, x, w0, w1);
                b = add(b, x + next, w0, w1);
            }
        }
        store(b, r->total + (o + (next != 0)) * BLOCK);
        store(a, r->total + o * BLOCK);
    }
}

const struct brim_depthwise_variant brim_depthwise_neon = {.name = "neon",
                                                           .isa = BRIM_ISA_NEON,
                                                           .block = BLOCK,
                                                           .lanes = 1,
                                                           .taps = 1,
                                                           .wide = true,
                                                           .run = run};
