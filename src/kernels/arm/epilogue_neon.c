/* epilogue_neon.c - epilogues on NEON. SPDX-License-Identifier: Apache-2.0
 *
 * fcvtns rounds half to even whatever the rounding mode; fmaxnm takes lo where the product is not a
 * number. The last columns of a row are done one by
 * one, in a vector of equal lanes.
 */
#include <arm_neon.h>

#include "base/cpu.h"
#include "kernels/epilogue.h"

static inline float32x4_t scale(int32x4_t acc, float32x4_t multiplier)
{
    return vmulq_f32(vcvtq_f32_s32(acc), multiplier);
}

static inline int32x4_t code(const struct brim_epilogue *e, float32x4_t v)
{
    v = vminq_f32(vmaxnmq_f32(v, vdupq_n_f32(e->lo)), vdupq_n_f32(e->hi));
    return vaddq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(e->zero));
}

/* acc of 4 columns from j; of column j, in every lane. */
static inline int32x4_t acc4(const int32_t *total, const int32_t *offset, size_t j)
{
    const int32x4_t v = vld1q_s32(total + j);

    return offset != NULL ? vaddq_s32(v, vld1q_s32(offset + j)) : v;
}

static inline int32x4_t acc1(const int32_t *total, const int32_t *offset, size_t j)
{
    const int32x4_t v = vld1q_dup_s32(total + j);

    return offset != NULL ? vaddq_s32(v, vld1q_dup_s32(offset + j)) : v;
}

static inline int32x4_t on_register(const struct brim_epilogue *e, int32x4_t acc)
{
    const int32x4_t least = vdupq_n_s32(e->least), most = vdupq_n_s32(e->most);

    if (e->emit == BRIM_EMIT_CLIPPED) {
        return vminq_s32(vmaxq_s32(acc, least), most);
    }
    if (e->emit == BRIM_EMIT_WRAPPED) {
        return vaddq_s32(vandq_s32(vsubq_s32(acc, least), vsubq_s32(most, least)), least);
    }
    return acc;
}

static void accs(const struct brim_epilogue *e, const int32_t *total, const int32_t *offset,
                 size_t n, int32_t *y)
{
    size_t j = 0;

    for (; j + 4 <= n; j += 4) {
        vst1q_s32(y + j, on_register(e, acc4(total, offset, j)));
    }
    for (; j < n; j++) {
        vst1q_lane_s32(y + j, on_register(e, acc1(total, offset, j)), 0);
    }
}

static void floats(const int32_t *total, const int32_t *offset, const float *multiplier,
                   const float *bias, size_t n, float *y)
{
    size_t j = 0;

    for (; j + 4 <= n; j += 4) {
        const float32x4_t v = scale(acc4(total, offset, j), vld1q_f32(multiplier + j));
        vst1q_f32(y + j, bias != NULL ? vaddq_f32(v, vld1q_f32(bias + j)) : v);
    }
    for (; j < n; j++) {
        const float32x4_t v = scale(acc1(total, offset, j), vld1q_dup_f32(multiplier + j));
        vst1q_lane_f32(y + j, bias != NULL ? vaddq_f32(v, vld1q_dup_f32(bias + j)) : v, 0);
    }
}

static inline int16x4_t code4(const struct brim_epilogue *e, const int32_t *total,
                              const int32_t *offset, const float *multiplier, size_t j)
{
    return vmovn_s32(code(e, scale(acc4(total, offset, j), vld1q_f32(multiplier + j))));
}

static void codes(const struct brim_epilogue *e, const int32_t *total, const int32_t *offset,
                  const float *multiplier, size_t n, uint8_t *y)
{
    size_t j = 0;

    for (; j + 8 <= n; j += 8) {
        const int16x8_t v = vcombine_s16(code4(e, total, offset, multiplier, j),
                                         code4(e, total, offset, multiplier, j + 4));
        vst1_u8(y + j, vreinterpret_u8_s8(vmovn_s16(v)));
    }
    for (; j < n; j++) {
        const int32x4_t v = code(e, scale(acc1(total, offset, j), vld1q_dup_f32(multiplier + j)));
        vst1q_lane_u8(y + j, vreinterpretq_u8_s32(v), 0);
    }
}

void brim_epilogue_neon(const struct brim_epilogue *e, const struct brim_epilogue_block *b)
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
