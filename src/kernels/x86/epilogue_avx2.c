/* epilogue_avx2.c - the epilogues on AVX2. SPDX-License-Identifier: Apache-2.0
 *
 * 8 columns at a time, down all rows, the last ones by way of the stack: what belongs to a column is
 * loaded once. The conversion rounds as the reference does, half to even.
 */
#include "kernels/epilogue.h"

#include <immintrin.h>
#include <string.h>

/* What belongs to up to 8 columns. */
struct columns {
    size_t count;
    __m256i offset;
    __m256 multiplier, bias;
};

/* `count` numbers of 32 bits, and zeros. Not under a mask: qemu 7 reads what the mask leaves out. */
static inline __m256i load_some(const void *p, size_t count)
{
    int32_t some[8] = {0};

    if (count == 8) {
        return _mm256_loadu_si256((const __m256i *)p);
    }
    memcpy(some, p, 4 * count);
    return _mm256_loadu_si256((const __m256i *)(const void *)some);
}

static inline void store_some(void *p, __m256i v, size_t count)
{
    int32_t some[8];

    if (count == 8) {
        _mm256_storeu_si256((__m256i *)p, v);
    } else {
        _mm256_storeu_si256((__m256i *)(void *)some, v);
        memcpy(p, some, 4 * count);
    }
}

static inline struct columns load_columns(const struct brim_epilogue *e, size_t c, size_t count)
{
    struct columns v = {.count = count < 8 ? count : 8,
                        .offset = _mm256_setzero_si256(),
                        .multiplier = _mm256_setzero_ps(),
                        .bias = _mm256_setzero_ps()};

    if (e->offset != NULL) {
        v.offset = load_some(e->offset + c, v.count);
    }
    if (!brim_emits_acc(e->emit)) {
        v.multiplier = _mm256_castsi256_ps(load_some(e->multiplier + c, v.count));
    }
    if (e->emit == BRIM_EMIT_FLOAT && e->bias != NULL) {
        v.bias = _mm256_castsi256_ps(load_some(e->bias + c, v.count));
    }
    return v;
}

static inline __m256i load_acc(const struct columns *v, const int32_t *total)
{
    return _mm256_add_epi32(load_some(total, v->count), v->offset);
}

/* 8 bytes, each the lowest of its 32 bits. */
static inline uint64_t low_bytes(__m256i v)
{
    const __m256i gather = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    const __m256i fours = _mm256_shuffle_epi8(v, gather);
    const __m128i eight =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));

    return (uint64_t)_mm_cvtsi128_si64(eight);
}

static void emit_codes(const struct brim_epilogue *e, const struct brim_epilogue_block *b)
{
    const __m256 lo = _mm256_set1_ps(e->lo), hi = _mm256_set1_ps(e->hi);
    const __m256i zero = _mm256_set1_epi32(e->zero);

    for (size_t j = 0; j < b->columns; j += 8) {
        const struct columns v = load_columns(e, b->first + j, b->columns - j);

        for (size_t i = 0; i < b->rows; i++) {
            const __m256i acc = load_acc(&v, b->total + i * b->stride + j);
            const __m256 y = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), v.multiplier);
            const __m256 clipped = _mm256_min_ps(_mm256_max_ps(y, lo), hi);
            const uint64_t codes = low_bytes(_mm256_add_epi32(_mm256_cvtps_epi32(clipped), zero));
            uint8_t *to = (uint8_t *)b->y + i * b->y_stride + j;

            if (v.count == 8) {
                memcpy(to, &codes, 8);
            } else {
                memcpy(to, &codes, v.count);
            }
        }
    }
}

static void emit_floats(const struct brim_epilogue *e, const struct brim_epilogue_block *b)
{
    for (size_t j = 0; j < b->columns; j += 8) {
        const struct columns v = load_columns(e, b->first + j, b->columns - j);

        for (size_t i = 0; i < b->rows; i++) {
            const __m256i acc = load_acc(&v, b->total + i * b->stride + j);
            __m256 y = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), v.multiplier);

            y = e->bias != NULL ? _mm256_add_ps(y, v.bias) : y;
            store_some((float *)b->y + i * b->y_stride + j, _mm256_castps_si256(y), v.count);
        }
    }
}

static inline __m256i on_register(const enum brim_emit emit, __m256i acc, __m256i least,
                                  __m256i most)
{
    if (emit == BRIM_EMIT_CLIPPED) {
        return _mm256_min_epi32(_mm256_max_epi32(acc, least), most);
    }
    if (emit == BRIM_EMIT_WRAPPED) {
        const __m256i above =
            _mm256_and_si256(_mm256_sub_epi32(acc, least), _mm256_sub_epi32(most, least));

        return _mm256_add_epi32(above, least);
    }
    return acc;
}

static inline __attribute__((always_inline)) void emit_acc(const struct brim_epilogue *e,
                                                           const struct brim_epilogue_block *b,
                                                           const enum brim_emit emit)
{
    const __m256i least = _mm256_set1_epi32(e->least), most = _mm256_set1_epi32(e->most);

    for (size_t j = 0; j < b->columns; j += 8) {
        const struct columns v = load_columns(e, b->first + j, b->columns - j);

        for (size_t i = 0; i < b->rows; i++) {
            const __m256i acc = load_acc(&v, b->total + i * b->stride + j);

            store_some((int32_t *)b->y + i * b->y_stride + j, on_register(emit, acc, least, most),
                       v.count);
        }
    }
}

void brim_epilogue_avx2(const struct brim_epilogue *e, const struct brim_epilogue_block *b)
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
