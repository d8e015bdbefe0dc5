/* depthwise_dotprod.c - four taps of 16 channels at a time, in one sdot for 4 channels.
 * SPDX-License-Identifier: Apache-2.0
 *
 * sdot multiplies signed bytes, so 128 is taken off x, and totals begin at 128 times the sum of the
 * weights: minus the weights' sdot with -128.
 */
#include <arm_neon.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/depthwise_variant.h"

#define BLOCK 16
#define TAPS  4
#define GROUP (BLOCK * TAPS) /* bytes */

/* n bytes of a pixel. */
static inline int8x16_t load(const uint8_t *x, size_t n, uint8x16_t flip)
{
    uint8_t few[BLOCK] = {0};

    if (n < BLOCK) {
        memcpy(few, x, n);
        x = few;
    }
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x), flip));
}

static void fill_columns(const struct brim_depthwise_run *r, size_t groups)
{
    const uint8x16_t flip = vdupq_n_u8(r->flip ^ 128);
    int8_t *to = r->column;

    for (size_t i = 0; i < r->columns; i++) {
        for (size_t g = 0; g < groups; g++, to += GROUP) {
            const uint8_t *x = r->x + g * TAPS * r->row + i * r->pixel;
            const size_t rows = r->kh - g * TAPS; /* beyond them weights are 0 */
            const int8x16_t a = load(x, r->channels, flip);
            const int8x16_t b = rows > 1 ? load(x + r->row, r->channels, flip) : a;
            const int8x16_t c = rows > 2 ? load(x + 2 * r->row, r->channels, flip) : a;
            const int8x16_t d = rows > 3 ? load(x + 3 * r->row, r->channels, flip) : a;

            vst4q_s8(to, ((int8x16x4_t){{a, b, c, d}}));
        }
    }
}

/* Totals of 16 channels. */
struct sums {
    int32x4_t s0, s1, s2, s3;
};

static inline struct sums add(struct sums s, const int8_t *x, const int8_t *w)
{
    return (struct sums){vdotq_s32(s.s0, vld1q_s8(x), vld1q_s8(w)),
                         vdotq_s32(s.s1, vld1q_s8(x + 16), vld1q_s8(w + 16)),
                         vdotq_s32(s.s2, vld1q_s8(x + 32), vld1q_s8(w + 32)),
                         vdotq_s32(s.s3, vld1q_s8(x + 48), vld1q_s8(w + 48))};
}

static inline void store(struct sums s, int32_t *total)
{
    vst1q_s32(total, s.s0);
    vst1q_s32(total + 4, s.s1);
    vst1q_s32(total + 8, s.s2);
    vst1q_s32(total + 12, s.s3);
}

static struct sums begin(const int8_t *w, size_t groups)
{
    const int8x16_t least = vdupq_n_s8(-128);
    const int32x4_t none = vdupq_n_s32(0);
    struct sums s = {none, none, none, none};

    for (size_t g = 0; g < groups; g++, w += GROUP) {
        s.s0 = vdotq_s32(s.s0, least, vld1q_s8(w));
        s.s1 = vdotq_s32(s.s1, least, vld1q_s8(w + 16));
        s.s2 = vdotq_s32(s.s2, least, vld1q_s8(w + 32));
        s.s3 = vdotq_s32(s.s3, least, vld1q_s8(w + 48));
    }
    return (struct sums){vnegq_s32(s.s0), vnegq_s32(s.s1), vnegq_s32(s.s2), vnegq_s32(s.s3)};
}

static void run(const struct brim_depthwise_run *r)
{
    const size_t groups = (r->kh + TAPS - 1) / TAPS, column = groups * GROUP;
    const struct sums start = begin(r->w, r->kw * groups);

    fill_columns(r, groups);
    for (size_t o = 0; o < r->outputs; o += 2) { /* the last of an odd number is computed twice */
        const size_t next = o + 1 < r->outputs ? r->stride * column : 0;
        const int8_t *w = r->w;
        struct sums a = start, b = start;

        for (size_t j = 0; j < r->kw; j++) {
            const int8_t *x =
                (const int8_t *)r->column + (o * r->stride + j * r->dilation) * column;

            for (size_t g = 0; g < groups; g++, x += GROUP, w += GROUP) {
                a = add(a, x, w);
                b = add(b, x + next, w);
            }
        }
        store(b, r->total + (o + (next != 0)) * BLOCK);
        store(a, r->total + o * BLOCK);
    }
}

const struct brim_depthwise_variant brim_depthwise_dotprod = {.name = "dotprod",
                                                              .isa =
                                                                  BRIM_ISA_NEON | BRIM_ISA_DOTPROD,
                                                              .block = BLOCK,
                                                              .lanes = 1,
                                                              .taps = TAPS,
                                                              .wide = false,
                                                              .run = run};
