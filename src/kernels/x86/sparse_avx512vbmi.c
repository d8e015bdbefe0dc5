/* sparse_avx512vbmi.c - gathers with vpermb. SPDX-License-Identifier: Apache-2.0
 *
 * A step is a load and a masked permutation. A vector's first two are loaded once for all rows: 2:4
 * has no more, and costs 16 cycles for 768 codes where vpdpbusd needs 96 for what 32 outputs do with
 * the half of them. (Stores that overlap, one for each 64 codes of x, took 42.)
 */
#include "base/cpu.h"
#include "kernels/sparse_gather.h"

#include <immintrin.h>
#include <string.h>

#define WIDTH 64

struct step {
    const uint8_t *x; /* of the first row */
    __m512i take;
    __mmask64 moved;
};

/* Step i of a vector; one that moves nothing behind the last. */
static inline struct step load_step(const struct brim_sparse_pick *p, size_t steps,
                                    const uint32_t *at, const uint8_t *take, size_t i)
{
    if (i >= steps) {
        return (struct step){.x = p->x, .take = _mm512_setzero_si512(), .moved = 0};
    }
    const __m512i bytes = _mm512_loadu_si512(take + i * WIDTH);
    return (struct step){.x = p->x + at[i], .take = bytes, .moved = ~_mm512_movepi8_mask(bytes)};
}

static inline __m512i move(__m512i codes, struct step s, size_t row)
{
    return _mm512_mask_permutexvar_epi8(codes, s.moved, s.take, _mm512_loadu_si512(s.x + row));
}

/* All steps of one vector, for rows of at least WIDTH bytes. */
static void run_vector(const struct brim_sparse_pick *p, size_t steps, const uint32_t *at,
                       const uint8_t *take, uint8_t *y)
{
    const __m512i flip = _mm512_set1_epi8((char)p->flip), zero = _mm512_setzero_si512();
    const struct step first = load_step(p, steps, at, take, 0);
    const struct step second = load_step(p, steps, at, take, 1);

    for (size_t i = 0, row = 0; i < p->rows; i++, row += p->x_stride, y += p->y_stride) {
        __m512i codes = move(move(zero, first, row), second, row);
        for (size_t s = 2; s < steps; s++) {
            codes = move(codes, load_step(p, steps, at, take, s), row);
        }
        _mm512_storeu_si512(y, _mm512_xor_si512(codes, flip));
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

const struct brim_sparse_gather brim_sparse_gather_avx512vbmi = {
    .name = "avx512vbmi",
    .isa = BRIM_ISA_AVX512 | BRIM_ISA_AVX512VBMI,
    .width = WIDTH,
    .run = run,
};
