/* depthwise_simd128.c - two taps of 16 channels at a time: widened to 16 bits, i32x4.dot_i16x8_s sums
 * the two in 32. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <wasm_simd128.h>

#include "base/cpu.h"
#include "kernels/depthwise_variant.h"

#define BLOCK 16
#define TAPS  2
#define GROUP (BLOCK * TAPS) /* numbers of 16 bits */

/* n bytes of a pixel. */
static inline v128_t load(const uint8_t *x, size_t n, v128_t flip)
{
    uint8_t few[BLOCK] = {0};

    if (n < BLOCK) {
        memcpy(few, x, n);
        x = few;
    }
    return wasm_v128_xor(wasm_v128_load(x), flip);
}

static void fill_columns(const struct brim_depthwise_run *r, size_t groups)
{
    const v128_t flip = wasm_i8x16_splat((int8_t)r->flip);
    int16_t *to = r->column;

    for (size_t i = 0; i < r->columns; i++) {
        for (size_t g = 0; g < groups; g++, to += GROUP) {
            const uint8_t *x = r->x + g * TAPS * r->row + i * r->pixel;
            const v128_t a = load(x, r->channels, flip);
            const v128_t b = g * TAPS + 1 < r->kh /* beyond: its weight is 0 */
                                 ? load(x + r->row, r->channels, flip)
                                 : a;
            const v128_t lo =
                wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            const v128_t hi = wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29,
                                                 14, 30, 15, 31);

            wasm_v128_store(to, wasm_u16x8_extend_low_u8x16(lo));
            wasm_v128_store(to + 8, wasm_u16x8_extend_high_u8x16(lo));
            wasm_v128_store(to + 16, wasm_u16x8_extend_low_u8x16(hi));
            wasm_v128_store(to + 24, wasm_u16x8_extend_high_u8x16(hi));
        }
    }
}

/* Totals of 16 channels. */
struct sums {
    v128_t s0, s1, s2, s3;
};

static inline v128_t dot(v128_t sum, const int16_t *x, const int16_t *w)
{
    return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(wasm_v128_load(x), wasm_v128_load(w)));
}

static inline struct sums add(struct sums s, const int16_t *x, const int16_t *w)
{
    return (struct sums){dot(s.s0, x, w), dot(s.s1, x + 8, w + 8), dot(s.s2, x + 16, w + 16),
                         dot(s.s3, x + 24, w + 24)};
}

static inline void store(struct sums s, int32_t *total)
{
    wasm_v128_store(total, s.s0);
    wasm_v128_store(total + 4, s.s1);
    wasm_v128_store(total + 8, s.s2);
    wasm_v128_store(total + 12, s.s3);
}

static void run(const struct brim_depthwise_run *r)
{
    const size_t groups = (r->kh + TAPS - 1) / TAPS, column = groups * GROUP;
    const v128_t none = wasm_i32x4_const_splat(0);

    fill_columns(r, groups);
    for (size_t o = 0; o < r->outputs; o += 2) { /* the last of an odd number is computed twice */
        const size_t next = o + 1 < r->outputs ? r->stride * column : 0;
        const int16_t *w = r->w;
        struct sums a = {none, none, none, none}, b = a;

        for (size_t j = 0; j < r->kw; j++) {
            const int16_t *x =
                (const int16_t *)r->column + (o * r->stride + j * r->dilation) * column;

            for (size_t g = 0; g < groups; g++, x += GROUP, w += GROUP) {
                a = add(a, x, w);
                b = add(b, x + next, w);
            }
        }
        store(b, r->total + (o + (next != 0)) * BLOCK);
        store(a, r->total + o * BLOCK);
    }
}

const struct brim_depthwise_variant brim_depthwise_simd128 = {.name = "simd128",
                                                              .isa = BRIM_ISA_SIMD128,
                                                              .block = BLOCK,
                                                              .lanes = 1,
                                                              .taps = TAPS,
                                                              .wide = true,
                                                              .run = run};
