/* sparse_avx512vbmi.c - gathers with vpermb. SPDX-License-Identifier: Apache-2.0
 *
 * A chunk's pattern is loaded once for all rows; each row is then a load, a permutation, a store:
 * 64 codes a cycle, where vpdpbusd needs 16 cycles for what 32 outputs do with them.
 */
#include "base/cpu.h"
#include "kernels/sparse_gather.h"

#include <immintrin.h>

#define CHUNK 64

static void run(const struct brim_sparse_pick *p)
{
    const __m512i flip = _mm512_set1_epi8((char)p->flip);
    size_t at = 0;

    for (size_t k = 0; k < p->k; k += CHUNK) {
        const __m512i take = _mm512_loadu_si512(p->take + k);
        const __mmask64 inside = p->k - k < CHUNK ? (UINT64_C(1) << (p->k - k)) - 1 : UINT64_MAX;
        const uint8_t *x = p->x + k;
        uint8_t *y = p->y + at;
        for (size_t i = 0; i < p->rows; i++, x += p->x_stride, y += p->y_stride) {
            const __m512i codes = _mm512_xor_si512(_mm512_maskz_loadu_epi8(inside, x), flip);
            _mm512_storeu_si512(y, _mm512_permutexvar_epi8(take, codes));
        }
        at += p->count[k / CHUNK];
    }
}

const struct brim_sparse_gather brim_sparse_gather_avx512vbmi = {
    .name = "avx512vbmi",
    .isa = BRIM_ISA_AVX512 | BRIM_ISA_AVX512VBMI,
    .chunk = CHUNK,
    .run = run,
};
