/* gemv_simd128.c - gemv on WebAssembly SIMD. SPDX-License-Identifier: Apache-2.0
 *
 * As gemm_simd128.c: within a quad the even and the odd k become 16-bit lanes by shifts and masks,
 * which unpack narrower codes on the way, and i32x4.dot_i16x8_s adds them into 32 bits.
 */
#include <wasm_simd128.h>

#include "base/cpu.h"
#include "kernels/gemv_variant.h"

struct quad {
    v128_t even, odd; /* bytes 0 and 2; 1 and 3 */
};

static inline struct quad splat(const uint8_t *x)
{
    const v128_t v = wasm_v128_load32_splat(x);

    return (struct quad){wasm_v128_and(v, wasm_i16x8_const_splat(255)), wasm_u16x8_shr(v, 8)};
}

static inline v128_t dot(v128_t sum, v128_t even, v128_t odd, struct quad x)
{
    sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(even, x.even));
    return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(odd, x.odd));
}

/* Unsigned codes of `bits` bits, `shift` up in their bytes. */
#define CODES(sum, w, shift, bits, x)                                                              \
    dot(sum, wasm_v128_and(wasm_u16x8_shr(w, shift), wasm_i16x8_const_splat((1 << (bits)) - 1)),   \
        wasm_v128_and(wasm_u16x8_shr(w, 8 + (shift)), wasm_i16x8_const_splat((1 << (bits)) - 1)),  \
        x)

/* The 64 bytes of a group belong to 8 / bits quads. */
static inline v128_t group2(v128_t sum, const uint8_t *w, const struct quad *x)
{
    const v128_t codes = wasm_v128_load(w);

    sum = CODES(sum, codes, 0, 2, x[0]);
    sum = CODES(sum, codes, 2, 2, x[1]);
    sum = CODES(sum, codes, 4, 2, x[2]);
    return CODES(sum, codes, 6, 2, x[3]);
}

static inline v128_t group4(v128_t sum, const uint8_t *w, const struct quad *x)
{
    const v128_t codes = wasm_v128_load(w);

    sum = CODES(sum, codes, 0, 4, x[0]);
    return CODES(sum, codes, 4, 4, x[1]);
}

static inline v128_t group8(v128_t sum, const uint8_t *w, const struct quad *x)
{
    const v128_t codes = wasm_v128_load(w);

    return dot(sum, wasm_i16x8_shr(wasm_i16x8_shl(codes, 8), 8), wasm_i16x8_shr(codes, 8), x[0]);
}

#define RUN(bits)                                                                                  \
    static void run##bits(const struct brim_gemv_tile *t)                                          \
    {                                                                                              \
        const uint8_t *w = t->w;                                                                   \
                                                                                                   \
        for (size_t panel = 0; panel < t->panels; panel++) {                                       \
            v128_t s0 = wasm_i32x4_splat(t->start[0]), s1 = s0, s2 = s0, s3 = s0;                  \
            int32_t *y = t->y + panel * BRIM_GEMV_PANEL;                                           \
                                                                                                   \
            for (size_t k = 0; k < t->k; k += 32 / (bits), w += 64) {                              \
                struct quad x[8 / (bits)];                                                         \
                for (size_t q = 0; q < 8 / (bits); q++) {                                          \
                    x[q] = splat(t->x + k + 4 * q);                                                \
                }                                                                                  \
                s0 = group##bits(s0, w, x);                                                        \
                s1 = group##bits(s1, w + 16, x);                                                   \
                s2 = group##bits(s2, w + 32, x);                                                   \
                s3 = group##bits(s3, w + 48, x);                                                   \
            }                                                                                      \
            wasm_v128_store(y, s0);                                                                \
            wasm_v128_store(y + 4, s1);                                                            \
            wasm_v128_store(y + 8, s2);                                                            \
            wasm_v128_store(y + 12, s3);                                                           \
        }                                                                                          \
    }

RUN(2)
RUN(4)
RUN(8)

const struct brim_gemv_variant brim_gemv_simd128 = {
    .name = "simd128", .isa = BRIM_ISA_SIMD128, .rows = 1, .run = {run2, run4, run8}};
