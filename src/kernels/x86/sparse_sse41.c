/* sparse_sse41.c - gathers with pshufb. SPDX-License-Identifier: Apache-2.0
 *
 * pshufb gives 0 where the top bit of an index is set, which is what BRIM_SPARSE_NOT is, so steps are
 * joined by or. A vector's first two steps are loaded once for all rows: 2:4 has no more.
 */
#include "base/cpu.h"
#include "kernels/sparse_gather.h"

#include <smmintrin.h>
#include <string.h>

#define WIDTH 16

static inline __m128i load(const uint8_t *p)
{
    return _mm_loadu_si128((const void *)p);
}

static inline __m128i step(const uint8_t *x, const uint32_t *at, const uint8_t *take, size_t i)
{
    return _mm_shuffle_epi8(load(x + at[i]), load(take + i * WIDTH));
}

/* All steps of one vector, for rows of at least WIDTH bytes. */
static void run_vector(const struct brim_sparse_pick *p, size_t steps, const uint32_t *at,
                       const uint8_t *take, uint8_t *y)
{
    const __m128i flip = _mm_set1_epi8((char)p->flip), none = _mm_set1_epi8((char)BRIM_SPARSE_NOT);
    const __m128i take0 = steps > 0 ? load(take) : none,
                  take1 = steps > 1 ? load(take + WIDTH) : none;
    const size_t at0 = steps > 0 ? at[0] : 0, at1 = steps > 1 ? at[1] : 0;
    const uint8_t *x = p->x;

    for (size_t i = 0; i < p->rows; i++, x += p->x_stride, y += p->y_stride) {
        const __m128i first = _mm_shuffle_epi8(load(x + at0), take0);
        __m128i codes = _mm_or_si128(first, _mm_shuffle_epi8(load(x + at1), take1));
        for (size_t s = 2; s < steps; s++) {
            codes = _mm_or_si128(codes, step(x, at, take, s));
        }
        _mm_storeu_si128((void *)y, _mm_xor_si128(codes, flip));
    }
}

static void run_vectors(const struct brim_sparse_pick *p)
{
    for (size_t v = 0, done = 0; v < p->vectors; done += p->steps[v++]) {
        run_vector(p, p->steps[v], p->at + done, p->take + done * WIDTH, p->y + v * WIDTH);
    }
}

static void run(const struct brim_sparse_pick *p)
{
    struct brim_sparse_pick row = *p;
    uint8_t bytes[WIDTH] = {0};

    if (p->k >= WIDTH) {
        run_vectors(p);
        return;
    }
    row.rows = 1; /* from a copy, since a load would go beyond the row */
    row.x = bytes;
    for (size_t i = 0; i < p->rows; i++, row.y += p->y_stride) {
        memcpy(bytes, p->x + i * p->x_stride, p->k);
        run_vectors(&row);
    }
}

const struct brim_sparse_gather brim_sparse_gather_sse41 = {
    .name = "sse41", .isa = BRIM_ISA_SSE41, .width = WIDTH, .run = run};
