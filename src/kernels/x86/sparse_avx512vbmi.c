/* sparse_avx512vbmi.c - gathers with vpermb. SPDX-License-Identifier: Apache-2.0
 *
 * A step is a load and a masked permutation. What the first two of a vector move is loaded once for
 * four rows, and 2:4 has no more: 3 cycles for 128 codes in L1, 4 from L2, where vpdpbusd needs 16
 * for what 32 outputs do with the half of them. (Down all rows at once: 5 from L2. Overlapping
 * stores, one for each 64 codes of x, took 7 in L1.)
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
static inline struct step load_step(const uint8_t *x, size_t steps, const uint32_t *at,
                                    const uint8_t *take, size_t i)
{
    if (i >= steps) {
        return (struct step){.x = x, .take = _mm512_setzero_si512(), .moved = 0};
    }
    const __m512i bytes = _mm512_loadu_si512(take + i * WIDTH);
    return (struct step){.x = x + at[i], .take = bytes, .moved = ~_mm512_movepi8_mask(bytes)};
}

static inline __m512i move(__m512i codes, struct step s, size_t row)
{
    return _mm512_mask_permutexvar_epi8(codes, s.moved, s.take, _mm512_loadu_si512(s.x + row));
}

/* All vectors of `rows` rows, a constant where this is called, of at least WIDTH bytes. */
static inline __attribute__((always_inline)) void
run_rows(const struct brim_sparse_pick *p, const uint8_t *x, uint8_t *y, unsigned rows)
{
    const __m512i flip = _mm512_set1_epi8((char)p->flip);
    const uint32_t *at = p->at;
    const uint8_t *take = p->take;

    for (size_t v = 0; v < p->vectors; v++, y += WIDTH) {
        const size_t steps = p->steps[v];
        const struct step first = load_step(x, steps, at, take, 0);
        const struct step second = load_step(x, steps, at, take, 1);

        for (size_t i = 0; i < rows; i++) {
            const size_t row = i * p->x_stride;
            __m512i codes = move(move(_mm512_setzero_si512(), first, row), second, row);
            for (size_t s = 2; s < steps; s++) {
                codes = move(codes, load_step(x, steps, at, take, s), row);
            }
            _mm512_storeu_si512(y + i * p->y_stride, _mm512_xor_si512(codes, flip));
        }
        at += steps;
        take += steps * WIDTH;
    }
}

static void run(const struct brim_sparse_pick *p)
{
    const uint8_t *x = p->x;
    uint8_t *y = p->y;
    size_t i = 0;

    for (; p->k >= WIDTH && i + 4 <= p->rows; i += 4) {
        run_rows(p, x, y, 4);
        x += 4 * p->x_stride;
        y += 4 * p->y_stride;
    }
    for (; i < p->rows; i++, x += p->x_stride, y += p->y_stride) {
        uint8_t bytes[WIDTH] = {0};

        if (p->k < WIDTH) { /* from a copy, since a load would go beyond the row */
            memcpy(bytes, x, p->k);
        }
        run_rows(p, p->k < WIDTH ? bytes : x, y, 1);
    }
}

const struct brim_sparse_gather brim_sparse_gather_avx512vbmi = {
    .name = "avx512vbmi",
    .isa = BRIM_ISA_AVX512 | BRIM_ISA_AVX512VBMI,
    .width = WIDTH,
    .run = run,
};
