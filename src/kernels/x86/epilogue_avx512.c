/* epilogue_avx512.c - the epilogues on AVX-512. SPDX-License-Identifier: Apache-2.0
 *
 * 16 columns at a time, down all rows, the last ones under a mask: what belongs to a column is
 * loaded once. The conversion rounds as the reference does, half to even.
 */
#include "kernels/epilogue.h"

#include <immintrin.h>

/* What belongs to up to 16 columns. */
struct columns {
    __mmask16 mask;
    __m512i offset;
    __m512 multiplier, bias;
};

static inline struct columns load_columns(const struct brim_epilogue *e, size_t c, size_t count)
{
    const __mmask16 mask = (__mmask16)(count < 16 ? (1u << count) - 1 : 0xffff);
    struct columns v = {mask, _mm512_setzero_si512(), _mm512_setzero_ps(), _mm512_setzero_ps()};

    if (e->offset != NULL) {
        v.offset = _mm512_maskz_loadu_epi32(mask, e->offset + c);
    }
    if (!brim_emits_acc(e->emit)) {
        v.multiplier = _mm512_maskz_loadu_ps(mask, e->multiplier + c);
    }
    if (e->emit == BRIM_EMIT_FLOAT && e->bias != NULL) {
        v.bias = _mm512_maskz_loadu_ps(mask, e->bias + c);
    }
    return v;
}

static inline __m512i load_acc(const struct columns *v, const int32_t *total)
{
    return _mm512_add_epi32(_mm512_maskz_loadu_epi32(v->mask, total), v->offset);
}

/* ---- codes of 32 columns, two rows at a time ---- */

struct codes { /* what belongs to 32 columns, and to all */
    __m512i offset0, offset1;
    __m512 multiplier0, multiplier1, hi;
    __m512i lo, zero;
};

/* Words; hi is where it is so that what is not a number stays so, converts to the least integer, and
 * becomes lo. */
static inline __m512i row_words(const struct codes *v, const int32_t *total)
{
    const __m512i acc0 = _mm512_add_epi32(_mm512_loadu_si512(total), v->offset0);
    const __m512i acc1 = _mm512_add_epi32(_mm512_loadu_si512(total + 16), v->offset1);
    const __m512 y0 = _mm512_mul_ps(_mm512_cvtepi32_ps(acc0), v->multiplier0);
    const __m512 y1 = _mm512_mul_ps(_mm512_cvtepi32_ps(acc1), v->multiplier1);
    const __m512i words = _mm512_packs_epi32(_mm512_cvtps_epi32(_mm512_min_ps(v->hi, y0)),
                                             _mm512_cvtps_epi32(_mm512_min_ps(v->hi, y1)));

    return _mm512_and_si512(_mm512_max_epi16(words, v->lo), _mm512_set1_epi16(0xff));
}

/* Packing goes by 16 bytes: 4 columns of each half of the first row, then of the second. */
static void emit_codes_32(const struct brim_epilogue *e, const struct brim_epilogue_block *b,
                          size_t j)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const struct columns c0 = load_columns(e, b->first + j, 16);
    const struct columns c1 = load_columns(e, b->first + j + 16, 16);
    const struct codes v = {.offset0 = c0.offset,
                            .offset1 = c1.offset,
                            .multiplier0 = c0.multiplier,
                            .multiplier1 = c1.multiplier,
                            .hi = _mm512_set1_ps(e->hi),
                            .lo = _mm512_set1_epi16((short)e->lo),
                            .zero = _mm512_set1_epi8((char)e->zero)};

    for (size_t i = 0; i < b->rows; i += 2) {
        const size_t next = i + 1 < b->rows ? 1 : 0; /* a last row goes twice */
        const int32_t *total = b->total + i * b->stride + j;
        uint8_t *y = (uint8_t *)b->y + i * b->y_stride + j;
        const __m512i words = row_words(&v, total),
                      words1 = row_words(&v, total + next * b->stride);
        const __m512i bytes = _mm512_add_epi8(_mm512_packus_epi16(words, words1), v.zero);
        const __m512i rows = _mm512_permutexvar_epi32(order, bytes);

        _mm256_storeu_si256((void *)y, _mm512_castsi512_si256(rows));
        _mm256_storeu_si256((void *)(y + next * b->y_stride), _mm512_extracti64x4_epi64(rows, 1));
    }
}

static void emit_codes(const struct brim_epilogue *e, const struct brim_epilogue_block *b)
{
    const __m512 lo = _mm512_set1_ps(e->lo), hi = _mm512_set1_ps(e->hi);
    const __m512i zero = _mm512_set1_epi32(e->zero);

    size_t j = 0;

    for (; j + 32 <= b->columns; j += 32) {
        emit_codes_32(e, b, j);
    }
    for (; j < b->columns; j += 16) {
        const struct columns v = load_columns(e, b->first + j, b->columns - j);

        for (size_t i = 0; i < b->rows; i++) {
            const __m512i acc = load_acc(&v, b->total + i * b->stride + j);
            const __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), v.multiplier);
            const __m512 clipped = _mm512_min_ps(_mm512_max_ps(y, lo), hi);
            const __m512i code = _mm512_add_epi32(_mm512_cvtps_epi32(clipped), zero);

            _mm512_mask_cvtepi32_storeu_epi8((uint8_t *)b->y + i * b->y_stride + j, v.mask, code);
        }
    }
}

static void emit_floats(const struct brim_epilogue *e, const struct brim_epilogue_block *b)
{
    for (size_t j = 0; j < b->columns; j += 16) {
        const struct columns v = load_columns(e, b->first + j, b->columns - j);

        for (size_t i = 0; i < b->rows; i++) {
            const __m512i acc = load_acc(&v, b->total + i * b->stride + j);
            __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), v.multiplier);

            y = e->bias != NULL ? _mm512_add_ps(y, v.bias) : y;
            _mm512_mask_storeu_ps((float *)b->y + i * b->y_stride + j, v.mask, y);
        }
    }
}

static inline __m512i on_register(const enum brim_emit emit, __m512i acc, __m512i least,
                                  __m512i most)
{
    if (emit == BRIM_EMIT_CLIPPED) {
        return _mm512_min_epi32(_mm512_max_epi32(acc, least), most);
    }
    if (emit == BRIM_EMIT_WRAPPED) {
        const __m512i above =
            _mm512_and_si512(_mm512_sub_epi32(acc, least), _mm512_sub_epi32(most, least));

        return _mm512_add_epi32(above, least);
    }
    return acc;
}

static inline __attribute__((always_inline)) void emit_acc(const struct brim_epilogue *e,
                                                           const struct brim_epilogue_block *b,
                                                           const enum brim_emit emit)
{
    const __m512i least = _mm512_set1_epi32(e->least), most = _mm512_set1_epi32(e->most);
    size_t j = 0;

    for (; j + 32 <= b->columns; j += 32) { /* masks delay who reads what was stored just now */
        const struct columns v0 = load_columns(e, b->first + j, 16);
        const struct columns v1 = load_columns(e, b->first + j + 16, 16);
        const int32_t *total = b->total + j;
        int32_t *y = (int32_t *)b->y + j;

        for (size_t i = 0; i < b->rows; i++, total += b->stride, y += b->y_stride) {
            const __m512i acc0 = _mm512_add_epi32(_mm512_loadu_si512(total), v0.offset);
            const __m512i acc1 = _mm512_add_epi32(_mm512_loadu_si512(total + 16), v1.offset);

            _mm512_storeu_si512(y, on_register(emit, acc0, least, most));
            _mm512_storeu_si512(y + 16, on_register(emit, acc1, least, most));
        }
    }
    for (; j < b->columns; j += 16) {
        const struct columns v = load_columns(e, b->first + j, b->columns - j);

        for (size_t i = 0; i < b->rows; i++) {
            const __m512i acc = load_acc(&v, b->total + i * b->stride + j);

            _mm512_mask_storeu_epi32((int32_t *)b->y + i * b->y_stride + j, v.mask,
                                     on_register(emit, acc, least, most));
        }
    }
}

void brim_epilogue_avx512(const struct brim_epilogue *e, const struct brim_epilogue_block *b)
{
    if (e->emit == BRIM_EMIT_CODES) {
        emit_codes(e, b);
    } else if (e->emit == BRIM_EMIT_FLOAT) {
        emit_floats(e, b);
    } else if (e->emit == BRIM_EMIT_CLIPPED) {
        emit_acc(e, b, BRIM_EMIT_CLIPPED);
    } else if (e->emit == BRIM_EMIT_WRAPPED) {
        emit_acc(e, b, BRIM_EMIT_WRAPPED);
    } else {
        emit_acc(e, b, BRIM_EMIT_ACC);
    }
}
