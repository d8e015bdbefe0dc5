/* sparse_sse41.c - gathers with pshufb. SPDX-License-Identifier: Apache-2.0
 *
 * A chunk's pattern is loaded once for all rows; each row is then a load, a shuffle, a store.
 */
#include "base/cpu.h"
#include "kernels/sparse_gather.h"

#include <smmintrin.h>
#include <string.h>

#define CHUNK 16

static void run(const struct brim_sparse_pick *p)
{
    const __m128i flip = _mm_set1_epi8((char)p->flip);
    size_t chunk = 0, at = 0;

    for (; (chunk + 1) * CHUNK <= p->k; at += p->count[chunk++]) {
        const __m128i take = _mm_loadu_si128((const __m128i *)(p->take + chunk * CHUNK));
        const uint8_t *x = p->x + chunk * CHUNK;
        uint8_t *y = p->y + at;
        for (size_t i = 0; i < p->rows; i++, x += p->x_stride, y += p->y_stride) {
            const __m128i codes = _mm_xor_si128(_mm_loadu_si128((const __m128i *)x), flip);
            _mm_storeu_si128((__m128i *)y, _mm_shuffle_epi8(codes, take));
        }
    }
    if (chunk * CHUNK < p->k) { /* the end of a row: no byte behind it is read */
        const __m128i take = _mm_loadu_si128((const __m128i *)(p->take + chunk * CHUNK));
        for (size_t i = 0; i < p->rows; i++) {
            uint8_t last[CHUNK] = {0};
            memcpy(last, p->x + i * p->x_stride + chunk * CHUNK, p->k - chunk * CHUNK);
            const __m128i codes = _mm_xor_si128(_mm_loadu_si128((const __m128i *)last), flip);
            _mm_storeu_si128((__m128i *)(p->y + i * p->y_stride + at),
                             _mm_shuffle_epi8(codes, take));
        }
    }
}

const struct brim_sparse_gather brim_sparse_gather_sse41 = {
    .name = "sse41", .isa = BRIM_ISA_SSE41, .chunk = CHUNK, .run = run};
