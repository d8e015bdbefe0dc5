/* simulate_body.h - the simulator's passes for one vector unit. SPDX-License-Identifier: Apache-2.0
 *
 * x86/, arm/ and wasm/ define a vector and a few operations on it, and include this:
 *
 *     VEC, VEC_WORDS                        the vector; its 32-bit words: 4, 8 or 16
 *     vec_load(const void *), vec_spread(const uint32_t *)           one word to all words
 *     vec_zero(), vec_set16(int32_t), vec_set32(int32_t), vec_store(int32_t *, VEC)
 *     vec_mul16(a, b), vec_xor(a, b)        low halves of 16-bit products
 *     vec_dot(a, b)                         32-bit: a0*b0 + a1*b1 of each word's halves
 *     vec_add16 vec_adds16 vec_min16 vec_max16 vec_add32 vec_min32 vec_max32
 *                                           of (v, a): v = v op a, a statement without `;`
 *     vec_half(v)                           half 0 of each word, half 1 cleared
 *     vec_low(v, s), vec_high(v, s)         half 0, half 1 of each word, >> s, sign-extended
 *     vec_shift32(v, s)                     32-bit lanes >> s, arithmetic
 *     vec_dots(sum, a, b)                   optional, with VEC_DOTS: sum = saturating sum + vec_dot
 *                           a statement: v is in a register here
 *     vec_keep(v)                           optional: v is in a register here
 *     SIMULATE_APART                        attribute of functions that must not be merged
 *     ROWS_SUM16 ROWS_RANGE16 ROWS_SUM32 ROWS_RANGE32   rows at a time, 2, 4 or 8: what registers
 *                                           allow (accumulators a row: 1, 3, 2, 6)
 *
 * A pass is one loop over products with a vector of the panel and 1 to 8 shared rows; 32-bit passes
 * take the panel's halves apart, so that each product is a dot product whose other half is 0. Named
 * accumulators, made by macros: gcc 12 keeps arrays of vectors in memory, and gives an accumulator
 * two registers where its value after a loop may come from before it: hence.
 */
#include "kernels/simulate_variant.h"

/* clang-format off */
#define EACH_1(DO) DO(0)
#define EACH_2(DO) DO(0) DO(1)
#define EACH_4(DO) EACH_2(DO) DO(2) DO(3)
#define EACH_8(DO) EACH_4(DO) DO(4) DO(5) DO(6) DO(7)
/* clang-format on */
#define EACH__(n, DO) EACH_##n(DO)
#define EACH(n, DO)   EACH__(n, DO)

/* Where results of row r, half 0, of this part of the panel go; half 1 is 16 lanes on. */
#define AT(r)    ((first + (r)) * BRIM_SIMULATE_LANES + part * VEC_WORDS)
#define VALUE(r) (t->value + (first + (r)) * t->stride + part * VEC_WORDS)

/* NAME_few and NAME_one: n rows and one row of a part of the panel. A pass is three macros of a row number, and one that names what it needs of the panel's vector `w`. */
#define PASS_ROWS(NAME, SUFFIX, n)                                                                 \
    SIMULATE_APART static void NAME##SUFFIX(const struct brim_simulate_tile *t, size_t first,      \
                                            size_t part)                                           \
    {                                                                                              \
        const int16_t *panel = t->panel + part * 2 * VEC_WORDS;                                    \
        const size_t count = t->count;                                                             \
        const VEC zero = vec_zero();                                                               \
        size_t j = 0;                                                                              \
        NAME##_CONSTANTS EACH(n, NAME##_OPEN) do                                                   \
        {                                                                                          \
            const VEC w = vec_load(panel + j * BRIM_SIMULATE_LANES);                               \
            NAME##_PANEL EACH(n, NAME##_STEP)                                                      \
        }                                                                                          \
        while (++j < count)                                                                        \
            ;                                                                                      \
        EACH(n, NAME##_CLOSE)                                                                      \
    }
/* NAME: all rows and parts of a tile. */
#define ALL_ROWS(NAME, n)                                                                          \
    static void NAME(const struct brim_simulate_tile *t)                                           \
    {                                                                                              \
        for (size_t part = 0; part < BRIM_SIMULATE_WORDS / VEC_WORDS; part++) {                    \
            size_t first = 0;                                                                      \
                                                                                                   \
            for (; first + (n) <= t->rows; first += (n)) {                                         \
                NAME##_few(t, first, part);                                                        \
            }                                                                                      \
            for (; first < t->rows; first++) {                                                     \
                NAME##_one(t, first, part);                                                        \
            }                                                                                      \
        }                                                                                          \
    }
#define PASS(NAME, n) PASS_ROWS(NAME, _few, n) PASS_ROWS(NAME, _one, 1) ALL_ROWS(NAME, n)

static inline void store16(int32_t *at, VEC v, unsigned shift)
{
    vec_store(at, vec_low(v, shift));
    vec_store(at + BRIM_SIMULATE_WORDS, vec_high(v, shift));
}

static inline void store32(int32_t *at, VEC low, VEC high)
{
    vec_store(at, low);
    vec_store(at + BRIM_SIMULATE_WORDS, high);
}

#define SHARED(r) vec_spread(x##r + j)

/* gcc 12 gives the register of a product that ends in a sum to the sum, and moves it back. */
#ifndef vec_keep
#    define vec_keep(v) ((void)0)
#endif

/* ---- values, 16-bit lanes ---- */

#define saturate16_CONSTANTS
#define saturate16_PANEL
#define saturate16_OPEN(r)                                                                         \
    const uint32_t *x##r = t->shared[first + (r)];                                                 \
    VEC v##r = zero;
#define saturate16_STEP(r)                                                                         \
    {                                                                                              \
        VEC p = vec_mul16(w, SHARED(r));                                                           \
        vec_adds16(v##r, p);                                                                       \
        vec_keep(p);                                                                               \
    }
#define saturate16_CLOSE(r) store16(VALUE(r), v##r, t->shift);
PASS(saturate16, ROWS_SUM16)

#define clamp16_CONSTANTS const VEC lo = vec_set16(t->lo), hi = vec_set16(t->hi);
#define clamp16_PANEL
#define clamp16_OPEN(r) saturate16_OPEN(r)
#define clamp16_STEP(r)                                                                            \
    vec_adds16(v##r, vec_mul16(w, SHARED(r)));                                                     \
    vec_max16(v##r, lo);                                                                           \
    vec_min16(v##r, hi);
#define clamp16_CLOSE(r) store16(VALUE(r), v##r, 0);
PASS(clamp16, ROWS_SUM16)

#define sum16_CONSTANTS
#define sum16_PANEL
#define sum16_OPEN(r) saturate16_OPEN(r)
#define sum16_STEP(r)                                                                              \
    {                                                                                              \
        VEC p = vec_mul16(w, SHARED(r));                                                           \
        vec_add16(v##r, p);                                                                        \
        vec_keep(p);                                                                               \
    }
#define sum16_CLOSE(r) store16(VALUE(r), v##r, 0);
PASS(sum16, ROWS_SUM16)

/* ---- values, 32-bit lanes ---- */

#define HALVES const VEC w0 = vec_half(w), w1 = vec_xor(w, w0);

#define clamp32_CONSTANTS const VEC lo = vec_set32(t->lo), hi = vec_set32(t->hi);
#define clamp32_PANEL     HALVES
#define clamp32_OPEN(r)                                                                            \
    const uint32_t *x##r = t->shared[first + (r)];                                                 \
    VEC v##r = zero, u##r = zero;
#define clamp32_STEP(r)                                                                            \
    {                                                                                              \
        const VEC x = SHARED(r);                                                                   \
        vec_add32(v##r, vec_dot(w0, x));                                                           \
        vec_max32(v##r, lo);                                                                       \
        vec_min32(v##r, hi);                                                                       \
        vec_add32(u##r, vec_dot(w1, x));                                                           \
        vec_max32(u##r, lo);                                                                       \
        vec_min32(u##r, hi);                                                                       \
    }
#define clamp32_CLOSE(r) store32(VALUE(r), v##r, u##r);
PASS(clamp32, ROWS_SUM32)

#define sum32_CONSTANTS
#define sum32_PANEL   HALVES
#define sum32_OPEN(r) clamp32_OPEN(r)
#define sum32_STEP(r)                                                                              \
    {                                                                                              \
        const VEC x = SHARED(r);                                                                   \
        vec_add32(v##r, vec_dot(w0, x));                                                           \
        vec_add32(u##r, vec_dot(w1, x));                                                           \
    }
#define sum32_CLOSE(r) clamp32_CLOSE(r)
PASS(sum32, ROWS_SUM32)

#ifdef VEC_DOTS
#    define saturate32_CONSTANTS
#    define saturate32_PANEL   HALVES
#    define saturate32_OPEN(r) clamp32_OPEN(r)
#    define saturate32_STEP(r)                                                                     \
        {                                                                                          \
            const VEC x = SHARED(r);                                                               \
            vec_dots(v##r, w0, x);                                                                 \
            vec_dots(u##r, w1, x);                                                                 \
        }
#    define saturate32_CLOSE(r)                                                                    \
        store32(VALUE(r), vec_shift32(v##r, t->shift), vec_shift32(u##r, t->shift));
PASS(saturate32, ROWS_SUM32)
#endif

/* ---- prefixes ---- */

#define range16_CONSTANTS
#define range16_PANEL
#define range16_OPEN(r)                                                                            \
    const uint32_t *x##r = t->shared[first + (r)];                                                 \
    VEC v##r = zero, least##r = zero, most##r = zero;
#define range16_STEP(r)                                                                            \
    vec_adds16(v##r, vec_mul16(w, SHARED(r)));                                                     \
    vec_min16(least##r, v##r);                                                                     \
    vec_max16(most##r, v##r);
#define range16_CLOSE(r)                                                                           \
    store16(VALUE(r), v##r, 0);                                                                    \
    store16(t->least + AT(r), least##r, 0);                                                        \
    store16(t->most + AT(r), most##r, 0);
PASS(range16, ROWS_RANGE16)

#define range32_CONSTANTS
#define range32_PANEL HALVES
#define range32_OPEN(r)                                                                            \
    const uint32_t *x##r = t->shared[first + (r)];                                                 \
    VEC v##r = zero, u##r = zero, least##r = zero, most##r = zero, lesst##r = zero, morst##r = zero;
#define range32_STEP(r)                                                                            \
    {                                                                                              \
        const VEC x = SHARED(r);                                                                   \
        vec_add32(v##r, vec_dot(w0, x));                                                           \
        vec_min32(least##r, v##r);                                                                 \
        vec_max32(most##r, v##r);                                                                  \
        vec_add32(u##r, vec_dot(w1, x));                                                           \
        vec_min32(lesst##r, u##r);                                                                 \
        vec_max32(morst##r, u##r);                                                                 \
    }
#define range32_CLOSE(r)                                                                           \
    store32(VALUE(r), v##r, u##r);                                                                 \
    store32(t->least + AT(r), least##r, lesst##r);                                                 \
    store32(t->most + AT(r), most##r, morst##r);
PASS(range32, ROWS_RANGE32)

/* ---- products ---- */

#define products16_CONSTANTS
#define products16_PANEL
#define products16_OPEN(r)                                                                         \
    const uint32_t *x##r = t->shared[first + (r)];                                                 \
    VEC least##r = zero, most##r = zero;
#define products16_STEP(r)                                                                         \
    {                                                                                              \
        const VEC p = vec_mul16(w, SHARED(r));                                                     \
        vec_min16(least##r, p);                                                                    \
        vec_max16(most##r, p);                                                                     \
    }
#define products16_CLOSE(r)                                                                        \
    store16(t->least + AT(r), least##r, 0);                                                        \
    store16(t->most + AT(r), most##r, 0);
PASS(products16, ROWS_RANGE16)

#define products32_CONSTANTS
#define products32_PANEL HALVES
#define products32_OPEN(r)                                                                         \
    const uint32_t *x##r = t->shared[first + (r)];                                                 \
    VEC least##r = zero, most##r = zero, lesst##r = zero, morst##r = zero;
#define products32_STEP(r)                                                                         \
    {                                                                                              \
        const VEC x = SHARED(r), p = vec_dot(w0, x), q = vec_dot(w1, x);                           \
        vec_min32(least##r, p);                                                                    \
        vec_max32(most##r, p);                                                                     \
        vec_min32(lesst##r, q);                                                                    \
        vec_max32(morst##r, q);                                                                    \
    }
#define products32_CLOSE(r)                                                                        \
    store32(t->least + AT(r), least##r, lesst##r);                                                 \
    store32(t->most + AT(r), most##r, morst##r);
PASS(products32, ROWS_RANGE32)

/* ---- tiles ---- */

/* As PASS, with BEGIN and END around the products of a tile. */
#define TILES_ROWS(NAME, SUFFIX, n)                                                                \
    SIMULATE_APART static void NAME##SUFFIX(const struct brim_simulate_tile *t, size_t first,      \
                                            size_t part)                                           \
    {                                                                                              \
        const int16_t *panel = t->panel + part * 2 * VEC_WORDS;                                    \
        const size_t count = t->count, tile = t->tile;                                             \
        const VEC zero = vec_zero();                                                               \
        size_t j = 0;                                                                              \
        EACH(n, NAME##_OPEN) do                                                                    \
        {                                                                                          \
            const size_t end = count - j < tile ? count : j + tile;                                \
            EACH(n, NAME##_BEGIN) do                                                               \
            {                                                                                      \
                const VEC w = vec_load(panel + j * BRIM_SIMULATE_LANES);                           \
                NAME##_PANEL EACH(n, NAME##_STEP)                                                  \
            }                                                                                      \
            while (++j < end)                                                                      \
                ;                                                                                  \
            EACH(n, NAME##_END)                                                                    \
        }                                                                                          \
        while (j < count)                                                                          \
            ;                                                                                      \
        EACH(n, NAME##_CLOSE)                                                                      \
    }
#define TILES(NAME, n) TILES_ROWS(NAME, _few, n) TILES_ROWS(NAME, _one, 1) ALL_ROWS(NAME, n)

#define tiles_saturate16_PANEL
#define tiles_saturate16_OPEN(r)                                                                   \
    const uint32_t *x##r = t->shared[first + (r)];                                                 \
    VEC v##r, sum##r = zero, som##r = zero;
#define tiles_saturate16_BEGIN(r) v##r = zero;
#define tiles_saturate16_STEP(r)  saturate16_STEP(r)
#define tiles_saturate16_END(r)                                                                    \
    vec_add32(sum##r, vec_low(v##r, t->shift));                                                    \
    vec_add32(som##r, vec_high(v##r, t->shift));
#define tiles_saturate16_CLOSE(r) store32(VALUE(r), sum##r, som##r);
TILES(tiles_saturate16, ROWS_RANGE16)

#define tiles_sum16_PANEL
#define tiles_sum16_OPEN(r)  tiles_saturate16_OPEN(r)
#define tiles_sum16_BEGIN(r) tiles_saturate16_BEGIN(r)
#define tiles_sum16_STEP(r)  sum16_STEP(r)
#define tiles_sum16_END(r)   tiles_saturate16_END(r)
#define tiles_sum16_CLOSE(r) tiles_saturate16_CLOSE(r)
TILES(tiles_sum16, ROWS_RANGE16)

#define tiles_range32_PANEL HALVES
#define tiles_range32_OPEN(r)                                                                      \
    const uint32_t *x##r = t->shared[first + (r)];                                                 \
    VEC v##r, u##r, least##r = zero, most##r = zero, lesst##r = zero, morst##r = zero;             \
    VEC end_least##r = zero, end_most##r = zero, end_lesst##r = zero, end_morst##r = zero;
#define tiles_range32_BEGIN(r)                                                                     \
    v##r = zero;                                                                                   \
    u##r = zero;
#define tiles_range32_STEP(r) range32_STEP(r)
#define tiles_range32_END(r)                                                                       \
    vec_min32(end_least##r, v##r);                                                                 \
    vec_max32(end_most##r, v##r);                                                                  \
    vec_min32(end_lesst##r, u##r);                                                                 \
    vec_max32(end_morst##r, u##r);
#define tiles_range32_CLOSE(r)                                                                     \
    store32(t->least + AT(r), least##r, lesst##r);                                                 \
    store32(t->most + AT(r), most##r, morst##r);                                                   \
    store32(t->tile_least + AT(r), end_least##r, end_lesst##r);                                    \
    store32(t->tile_most + AT(r), end_most##r, end_morst##r);
TILES(tiles_range32, 1)

/* clang-format off */
#define SIMULATE_PASSES                                                                            \
    [BRIM_SATURATE16] = saturate16, [BRIM_CLAMP16] = clamp16, [BRIM_CLAMP32] = clamp32,            \
    [BRIM_SUM16] = sum16, [BRIM_SUM32] = sum32, [BRIM_RANGE16] = range16,                          \
    [BRIM_RANGE32] = range32, [BRIM_PRODUCTS16] = products16, [BRIM_PRODUCTS32] = products32,                            \
    [BRIM_TILES_SATURATE16] = tiles_saturate16, [BRIM_TILES_SUM16] = tiles_sum16,                  \
    [BRIM_TILES_RANGE32] = tiles_range32
/* clang-format on */
