/* epilogue_simd128.c - epilogues on WebAssembly SIMD. SPDX-License-Identifier: Apache-2.0
 *
 * f32x4.nearest rounds half to even; pmax takes its first operand, lo, where the product is not a
 * number. The last columns of a row are done one by
 * one, in a vector of equal lanes.
 */
#include <wasm_simd128.h>

#include "base/cpu.h"
#include "kernels/epilogue.h"

static inline v128_t scale(v128_t acc, v128_t multiplier)
{
    return wasm_f32x4_mul(wasm_f32x4_convert_i32x4(acc), multiplier);
}

static inline v128_t code(const struct brim_epilogue *e, v128_t v)
{
    v = wasm_f32x4_pmin(wasm_f32x4_pmax(wasm_f32x4_splat(e->lo), v), wasm_f32x4_splat(e->hi));
    return wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(v)),
                          wasm_i32x4_splat(e->zero));
}

/* acc of 4 columns from j; of column j, in every lane. */
static inline v128_t acc4(const int32_t *total, const int32_t *offset, size_t j)
{
    const v128_t v = wasm_v128_load(total + j);

    return offset != NULL ? wasm_i32x4_add(v, wasm_v128_load(offset + j)) : v;
}

static inline v128_t acc1(const int32_t *total, const int32_t *offset, size_t j)
{
    const v128_t v = wasm_v128_load32_splat(total + j);

    return offset != NULL ? wasm_i32x4_add(v, wasm_v128_load32_splat(offset + j)) : v;
}

static inline v128_t on_register(const struct brim_epilogue *e, v128_t acc)
{
    const v128_t least = wasm_i32x4_splat(e->least), most = wasm_i32x4_splat(e->most);

    if (e->emit == BRIM_EMIT_CLIPPED) {
        return wasm_i32x4_min(wasm_i32x4_max(acc, least), most);
    }
    if (e->emit == BRIM_EMIT_WRAPPED) {
        const v128_t above = wasm_v128_and(wasm_i32x4_sub(acc, least), wasm_i32x4_sub(most, least));

        return wasm_i32x4_add(above, least);
    }
    return acc;
}

static void accs(const struct brim_epilogue *e, const int32_t *total, const int32_t *offset,
                 size_t n, int32_t *y)
{
    size_t j = 0;

    for (; j + 4 <= n; j += 4) {
        wasm_v128_store(y + j, on_register(e, acc4(total, offset, j)));
    }
    for (; j < n; j++) {
        wasm_v128_store32_lane(y + j, on_register(e, acc1(total, offset, j)), 0);
    }
}

static void floats(const int32_t *total, const int32_t *offset, const float *multiplier,
                   const float *bias, size_t n, float *y)
{
    size_t j = 0;

    for (; j + 4 <= n; j += 4) {
        const v128_t v = scale(acc4(total, offset, j), wasm_v128_load(multiplier + j));
        wasm_v128_store(y + j, bias != NULL ? wasm_f32x4_add(v, wasm_v128_load(bias + j)) : v);
    }
    for (; j < n; j++) {
        const v128_t v = scale(acc1(total, offset, j), wasm_v128_load32_splat(multiplier + j));
        wasm_v128_store32_lane(
            y + j, bias != NULL ? wasm_f32x4_add(v, wasm_v128_load32_splat(bias + j)) : v, 0);
    }
}

static inline v128_t code4(const struct brim_epilogue *e, const int32_t *total,
                           const int32_t *offset, const float *multiplier, size_t j)
{
    const v128_t v = code(e, scale(acc4(total, offset, j), wasm_v128_load(multiplier + j)));

    return wasm_v128_and(v, wasm_i32x4_const_splat(255)); /* narrowing saturates */
}

static void codes(const struct brim_epilogue *e, const int32_t *total, const int32_t *offset,
                  const float *multiplier, size_t n, uint8_t *y)
{
    size_t j = 0;

    for (; j + 8 <= n; j += 8) {
        const v128_t v = wasm_i16x8_narrow_i32x4(code4(e, total, offset, multiplier, j),
                                                 code4(e, total, offset, multiplier, j + 4));
        wasm_v128_store64_lane(y + j, wasm_u8x16_narrow_i16x8(v, v), 0);
    }
    for (; j < n; j++) {
        const v128_t v =
            code(e, scale(acc1(total, offset, j), wasm_v128_load32_splat(multiplier + j)));
        wasm_v128_store8_lane(y + j, v, 0);
    }
}

void brim_epilogue_simd128(const struct brim_epilogue *e, const struct brim_epilogue_block *b)
{
    const int32_t *offset = e->offset != NULL ? e->offset + b->first : NULL;

    for (size_t i = 0; i < b->rows; i++) {
        const int32_t *total = b->total + i * b->stride;
        const size_t y = i * b->y_stride;
        switch (e->emit) {
        case BRIM_EMIT_ACC:
        case BRIM_EMIT_CLIPPED:
        case BRIM_EMIT_WRAPPED:
            accs(e, total, offset, b->columns, (int32_t *)b->y + y);
            break;
        case BRIM_EMIT_FLOAT:
            floats(total, offset, e->multiplier + b->first,
                   e->bias != NULL ? e->bias + b->first : NULL, b->columns, (float *)b->y + y);
            break;
        case BRIM_EMIT_CODES:
            codes(e, total, offset, e->multiplier + b->first, b->columns, (uint8_t *)b->y + y);
            break;
        }
    }
}
