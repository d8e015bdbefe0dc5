/* epilogue_sse41.c - the epilogues on SSE4.1. SPDX-License-Identifier: Apache-2.0
 *
 * 4 columns at a time, down all rows; the reference has the last ones. The conversion rounds as the
 * reference does, half to even.
 */
#include "kernels/epilogue.h"

#include <smmintrin.h>
#include <string.h>

/* What belongs to 4 columns. */
struct columns {
    __m128i offset;
    __m128 multiplier, bias;
};

static inline __m128i load_ints(const int32_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline struct columns load_columns(const struct brim_epilogue *e, size_t c)
{
    struct columns v = {_mm_setzero_si128(), _mm_setzero_ps(), _mm_setzero_ps()};

    if (e->offset != NULL) {
        v.offset = load_ints(e->offset + c);
    }
    if (!brim_emits_acc(e->emit)) {
        v.multiplier = _mm_loadu_ps(e->multiplier + c);
    }
    if (e->emit == BRIM_EMIT_FLOAT && e->bias != NULL) {
        v.bias = _mm_loadu_ps(e->bias + c);
    }
    return v;
}

static inline void put_codes(const struct brim_epilogue *e, const struct columns *v, __m128i acc,
                             uint8_t *to)
{
    const __m128 y = _mm_mul_ps(_mm_cvtepi32_ps(acc), v->multiplier);
    const __m128 clipped = _mm_min_ps(_mm_max_ps(y, _mm_set1_ps(e->lo)), _mm_set1_ps(e->hi));
    const __m128i code = _mm_add_epi32(_mm_cvtps_epi32(clipped), _mm_set1_epi32(e->zero));
    const __m128i gather =
        _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const int32_t four = _mm_cvtsi128_si32(_mm_shuffle_epi8(code, gather));

    memcpy(to, &four, sizeof four);
}

static inline void put_floats(const struct brim_epilogue *e, const struct columns *v, __m128i acc,
                              float *to)
{
    const __m128 y = _mm_mul_ps(_mm_cvtepi32_ps(acc), v->multiplier);

    _mm_storeu_ps(to, e->bias != NULL ? _mm_add_ps(y, v->bias) : y);
}

static inline __m128i on_register(const struct brim_epilogue *e, __m128i acc)
{
    const __m128i least = _mm_set1_epi32(e->least), most = _mm_set1_epi32(e->most);

    if (e->emit == BRIM_EMIT_CLIPPED) {
        return _mm_min_epi32(_mm_max_epi32(acc, least), most);
    }
    if (e->emit == BRIM_EMIT_WRAPPED) {
        const __m128i above = _mm_and_si128(_mm_sub_epi32(acc, least), _mm_sub_epi32(most, least));

        return _mm_add_epi32(above, least);
    }
    return acc;
}

void brim_epilogue_sse41(const struct brim_epilogue *e, const struct brim_epilogue_block *b)
{
    const size_t whole = b->columns / 4 * 4, size = e->emit == BRIM_EMIT_CODES ? 1 : 4;

    for (size_t j = 0; j < whole; j += 4) {
        const struct columns v = load_columns(e, b->first + j);

        for (size_t i = 0; i < b->rows; i++) {
            const __m128i total = load_ints(b->total + i * b->stride + j);
            const __m128i acc = _mm_add_epi32(total, v.offset);
            const size_t at = i * b->y_stride + j;

            if (e->emit == BRIM_EMIT_CODES) {
                put_codes(e, &v, acc, (uint8_t *)b->y + at);
            } else if (e->emit == BRIM_EMIT_FLOAT) {
                put_floats(e, &v, acc, (float *)b->y + at);
            } else {
                _mm_storeu_si128((__m128i *)(void *)((int32_t *)b->y + at), on_register(e, acc));
            }
        }
    }
    if (whole < b->columns) {
        struct brim_epilogue_block rest = *b;

        rest.total += whole;
        rest.columns -= whole;
        rest.first += whole;
        rest.y = (uint8_t *)b->y + whole * size;
        brim_epilogue_scalar(e, &rest);
    }
}
