/* gemm_relaxed.c - gemm on WebAssembly's relaxed SIMD, for inputs of 7 bits. SPDX-License-Identifier:
 * Apache-2.0
 *
 * i16x8.relaxed_dot_i8x16_i7x16_s multiplies signed by 7-bit bytes and adds neighbours: a quad of an
 * output becomes two 16-bit lanes, its even and its odd pair. Engines differ only where a byte of
 * the second operand is above 127, or where a pair leaves 16 bits, which two products of at most
 * 127 * 128 cannot. So with x below 128 every engine gives the same.
 *
 *     relaxed-16   lanes are added plainly, sums over a tile being proven to fit:
 *                  2 instructions for 16 products
 *     relaxed-32   the two lanes of an output are added into 32 bits: 3 instructions
 *
 * Tile: 2 rows of one panel. A third row's 4 sums still fit the 15 registers that an engine has left
 * of SSE's 16, but was measured 4 % (16 bits) and 15 % (32 bits) slower. One quad between jumps:
 * V8 puts all loads of a straight piece of code first, so that four quads spill, 19 % slower.
 */
#include <wasm_simd128.h>

#include "base/cpu.h"
#include "kernels/gemm_variant.h"

#define ROWS1(op, ...) op(0, __VA_ARGS__)
#define ROWS2(op, ...)                                                                             \
    ROWS1(op, __VA_ARGS__);                                                                        \
    op(1, __VA_ARGS__)

static inline v128_t pairs(v128_t w, v128_t x)
{
    return (v128_t)__builtin_wasm_relaxed_dot_i8x16_i7x16_s_i16x8((__i8x16)w, (__i8x16)x);
}

static inline v128_t add16(v128_t sums, v128_t w, v128_t x)
{
    return wasm_i16x8_add(sums, pairs(w, x));
}

static inline v128_t add32(v128_t sums, v128_t w, v128_t x)
{
    return wasm_i32x4_add(sums, wasm_i32x4_extadd_pairwise_i16x8(pairs(w, x)));
}

static inline void store32(int32_t *y, bool add, v128_t sums)
{
    wasm_v128_store(y, add ? wasm_i32x4_add(wasm_v128_load(y), sums) : sums);
}

static inline void store16(int32_t *y, bool add, v128_t sums)
{
    store32(y, add, wasm_i32x4_extadd_pairwise_i16x8(sums));
}

#define CLEAR(i, ...)                                                                              \
    v128_t s##i##0 = wasm_i32x4_const_splat(0), s##i##1 = s##i##0, s##i##2 = s##i##0,              \
           s##i##3 = s##i##0
#define START(i, base)    const uint8_t *x##i = (base) + (i)*t->x_stride
#define SPLAT(i, ...)     const v128_t v##i = wasm_v128_load32_splat(x##i + 4 * q)
#define DOT(i, bits, j)   s##i##j = add##bits(s##i##j, wj, v##i)
#define STORE(i, bits, j) store##bits(t->y + (i)*t->y_stride + 4 * (j), add, s##i##j)
#define END(i, bits)                                                                               \
    STORE(i, bits, 0);                                                                             \
    STORE(i, bits, 1);                                                                             \
    STORE(i, bits, 2);                                                                             \
    STORE(i, bits, 3);                                                                             \
    s##i##0 = s##i##1 = s##i##2 = s##i##3 = wasm_i32x4_const_splat(0)
#define COLUMN(R, bits, j)                                                                         \
    {                                                                                              \
        const v128_t wj = wasm_v128_load(w + 16 * (j));                                            \
        ROWS##R(DOT, bits, j);                                                                     \
    }

#define TILE(R, bits)                                                                              \
    static void tile##bits##_##R(const struct brim_gemm_tile *t)                                   \
    {                                                                                              \
        const int8_t *w = t->w;                                                                    \
        bool add = t->add;                                                                         \
                                                                                                   \
        ROWS##R(CLEAR, );                                                                          \
        for (size_t s = 0; s < t->spans; s++) {                                                    \
            ROWS##R(START, t->x + t->span[s].x);                                                   \
            for (size_t q = 0; q < t->span[s].quads; q++, w += 64) {                               \
                ROWS##R(SPLAT, );                                                                  \
                COLUMN(R, bits, 0);                                                                \
                COLUMN(R, bits, 1);                                                                \
                COLUMN(R, bits, 2);                                                                \
                COLUMN(R, bits, 3);                                                                \
            }                                                                                      \
            if (t->span[s].widen) {                                                                \
                ROWS##R(END, bits);                                                                \
                add = true;                                                                        \
            }                                                                                      \
        }                                                                                          \
    }

TILE(1, 16)
TILE(2, 16)
TILE(1, 32)
TILE(2, 32)

static void run16(const struct brim_gemm_tile *t)
{
    (t->rows == 1 ? tile16_1 : tile16_2)(t);
}

static void run32(const struct brim_gemm_tile *t)
{
    (t->rows == 1 ? tile32_1 : tile32_2)(t);
}

const struct brim_gemm_variant brim_gemm_relaxed16 = {.name = "relaxed-16",
                                                      .isa = BRIM_ISA_SIMD128 | BRIM_ISA_RELAXED,
                                                      .need = BRIM_GEMM_LANE,
                                                      .rows = 2,
                                                      .panels = 1,
                                                      .unit = 1,
                                                      .rank = 30,
                                                      .bounds = BRIM_GEMM_X7,
                                                      .run = run16};

const struct brim_gemm_variant brim_gemm_relaxed32 = {.name = "relaxed-32",
                                                      .isa = BRIM_ISA_SIMD128 | BRIM_ISA_RELAXED,
                                                      .need = BRIM_GEMM_ANY,
                                                      .rows = 2,
                                                      .panels = 1,
                                                      .unit = 1,
                                                      .rank = 20,
                                                      .bounds = BRIM_GEMM_X7,
                                                      .run = run32};
