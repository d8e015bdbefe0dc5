/* gemm_simd128.c - gemm on WebAssembly SIMD, exact. SPDX-License-Identifier: Apache-2.0
 *
 * i32x4.dot_i16x8_s multiplies 16-bit lanes and adds neighbours. Bytes become such lanes without a
 * shuffle: within every quad the even k (0, 2) by a shift left and right, the odd (1, 3) by a shift
 * right, for weights and x alike; so a quad of 4 outputs is two dot products into the same 4 sums.
 *
 * Tile: 3 rows of one panel, 12 sums. Weights are widened once for all rows.
 */
#include <wasm_simd128.h>

#include "base/cpu.h"
#include "kernels/gemm_variant.h"

#define ROWS1(op, ...) op(0, __VA_ARGS__)
#define ROWS2(op, ...)                                                                             \
    ROWS1(op, __VA_ARGS__);                                                                        \
    op(1, __VA_ARGS__)
#define ROWS3(op, ...)                                                                             \
    ROWS2(op, __VA_ARGS__);                                                                        \
    op(2, __VA_ARGS__)

static inline void store(int32_t *y, bool add, v128_t total)
{
    wasm_v128_store(y, add ? wasm_i32x4_add(wasm_v128_load(y), total) : total);
}

#define CLEAR(i, ...)                                                                              \
    v128_t s##i##0 = wasm_i32x4_const_splat(0), s##i##1 = s##i##0, s##i##2 = s##i##0,              \
           s##i##3 = s##i##0
#define START(i, base) const uint8_t *x##i = (base) + (i)*t->x_stride
#define SPLAT(i, ...)                                                                              \
    const v128_t v##i = wasm_v128_load32_splat(x##i + 4 * q);                                      \
    const v128_t e##i = wasm_v128_and(v##i, wasm_i16x8_const_splat(255));                          \
    const v128_t o##i = wasm_u16x8_shr(v##i, 8)
#define DOT(i, j)                                                                                  \
    s##i##j = wasm_i32x4_add(s##i##j, wasm_i32x4_dot_i16x8(even, e##i));                           \
    s##i##j = wasm_i32x4_add(s##i##j, wasm_i32x4_dot_i16x8(odd, o##i))
#define STORE(i, ...)                                                                              \
    store(t->y + (i)*t->y_stride, t->add, s##i##0);                                                \
    store(t->y + (i)*t->y_stride + 4, t->add, s##i##1);                                            \
    store(t->y + (i)*t->y_stride + 8, t->add, s##i##2);                                            \
    store(t->y + (i)*t->y_stride + 12, t->add, s##i##3)
#define COLUMN(R, j)                                                                               \
    {                                                                                              \
        const v128_t quads = wasm_v128_load(w + 16 * (j));                                         \
        const v128_t even = wasm_i16x8_shr(wasm_i16x8_shl(quads, 8), 8);                           \
        const v128_t odd = wasm_i16x8_shr(quads, 8);                                               \
        ROWS##R(DOT, j);                                                                           \
    }

#define TILE(R)                                                                                    \
    static void tile##R(const struct brim_gemm_tile *t)                                            \
    {                                                                                              \
        const int8_t *w = t->w;                                                                    \
                                                                                                   \
        ROWS##R(CLEAR, );                                                                          \
        for (size_t s = 0; s < t->spans; s++) {                                                    \
            ROWS##R(START, t->x + t->span[s].x);                                                   \
            for (size_t q = 0; q < t->span[s].quads; q++, w += 64) {                               \
                ROWS##R(SPLAT, );                                                                  \
                COLUMN(R, 0);                                                                      \
                COLUMN(R, 1);                                                                      \
                COLUMN(R, 2);                                                                      \
                COLUMN(R, 3);                                                                      \
            }                                                                                      \
        }                                                                                          \
        ROWS##R(STORE, );                                                                          \
    }

TILE(1)
TILE(2)
TILE(3)

static void run(const struct brim_gemm_tile *t)
{
    static void (*const tiles[])(const struct brim_gemm_tile *) = {tile1, tile2, tile3};

    tiles[t->rows - 1](t);
}

const struct brim_gemm_variant brim_gemm_simd128 = {.name = "simd128-32",
                                                    .isa = BRIM_ISA_SIMD128,
                                                    .need = BRIM_GEMM_ANY,
                                                    .rows = 3,
                                                    .panels = 1,
                                                    .unit = 1,
                                                    .rank = 10,
                                                    .run = run};
