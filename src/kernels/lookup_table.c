/* lookup_table.c - the variants of lookup, and when they pay. SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/gemv.h"
#include "kernels/lookup_pack.h"

const struct brim_lookup_variant *const brim_lookup_variants[] = {
    &brim_lookup_scalar,
#if defined(__x86_64__)
    &brim_lookup_avx2,
    &brim_lookup_avx512,
    &brim_lookup_avx512vbmi,
#elif defined(__aarch64__)
    &brim_lookup_neon,
#elif defined(__wasm_simd128__)
    &brim_lookup_simd128,
#    if defined(__wasm_relaxed_simd__)
    &brim_lookup_relaxed,
#    endif
#endif
};

const size_t brim_lookup_variant_count =
    sizeof brim_lookup_variants / sizeof brim_lookup_variants[0];

/* ---- costs ---- */

#define CACHE  ((size_t)1 << 20) /* bytes of weights that stay in the second-level cache */
#define STREAM 7.0               /* bytes in a cycle from the third */

/* Products in a cycle of what multiplies instead: gemv with weights of 2 bits approaches `few` as rows
 * become many, beginning at few / (1 + `loss`); gemm does `many`. Newest first; measured. */
static const struct {
    uint32_t isa;
    double few, loss, many;
} multiply[] = {
    {BRIM_ISA_AMX | BRIM_ISA_AVX512VNNI, 120, 1.7, 400},
    {BRIM_ISA_AVX512VNNI, 120, 1.7, 122},
    {BRIM_ISA_AVXVNNI, 65, 1.3, 71},
    {BRIM_ISA_AVX512, 24.5, 0, 70},
    {BRIM_ISA_AVX2, 24.5, 0, 51.5},
};

#define GEMV_ROW 0.3 /* cycles for each k of a row: sums of x */

static double longer(double a, double b)
{
    return a > b ? a : b;
}

/* Cycles for each k to read weights of `bytes` bytes for each k once for `rows` rows. */
static double stream(const struct brim_lookup *l, double bytes, double rows)
{
    return bytes * (double)l->k > (double)CACHE ? bytes / STREAM / rows : 0;
}

static double multiply_cycles(const struct brim_lookup *l, size_t m)
{
    const size_t padded = (l->n + 15) / 16 * 16;
    const double n = (double)padded, rows = (double)m;
    size_t i = 0;

    while (i + 1 < sizeof multiply / sizeof multiply[0] && (multiply[i].isa & ~l->isa) != 0) {
        i++;
    }
    if (m > BRIM_GEMV_ROWS) {
        return n / multiply[i].many;
    }
    return longer(n * (rows + multiply[i].loss) / (rows * multiply[i].few) + GEMV_ROW,
                  stream(l, n / 4, rows));
}

bool brim_lookup_pays(const struct brim_lookup *lookup, size_t m)
{
    const struct brim_lookup_variant *v = lookup->variant;
    const struct brim_lookup_cost *cost = &v->cost;
    const double rows = (double)(m < v->rows ? m : v->rows), panels = (double)lookup->panels;
    const double bytes = panels * BRIM_LOOKUP_PANEL / (v->weights == 2 ? 4 : 3);
    const double look =
        panels * (cost->panel + cost->single / rows + cost->widen / lookup->products);

    return m != 0 && cost->panel > 0 &&
           longer(look, stream(lookup, bytes, rows)) + cost->table < multiply_cycles(lookup, m);
}
