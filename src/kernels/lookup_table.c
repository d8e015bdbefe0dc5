/* lookup_table.c - the variants of lookup, and when they pay. SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/gemv.h"
#include "kernels/lookup_pack.h"

#include <string.h>

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

/* Cycles for each k of a row, without the weights' way into the cache, and then those of tables. */
static double look_cycles(const struct brim_lookup_variant *v, size_t n, size_t rows,
                          double products)
{
    const size_t panels = (n + BRIM_LOOKUP_PANEL - 1) / BRIM_LOOKUP_PANEL;
    const struct brim_lookup_cost *c = &v->cost;

    return (double)panels * (c->panel + c->single / (double)rows + c->widen / products);
}

bool brim_lookup_pays(const struct brim_lookup *lookup, size_t m)
{
    const struct brim_lookup_variant *v = lookup->variant;
    const size_t rows = m < v->rows ? m : v->rows;

    if (m == 0 || v->cost.panel <= 0) {
        return false;
    }
    const double look = look_cycles(v, lookup->n, rows, lookup->products);
    const double read = stream(lookup, (double)lookup->n / (v->weights == 2 ? 4 : 3), (double)rows);
    return longer(look, read) + v->cost.table < multiply_cycles(lookup, m);
}

/* Tiles of ternary weights are of 12 to 16 products, if nothing is known about them. */
static bool is_better(const struct brim_lookup_variant *a, const struct brim_lookup_variant *b,
                      size_t n)
{
    return b == NULL || b->cost.panel <= 0 || a->cost.panel <= 0
               ? b == NULL || a->rank > b->rank
               : look_cycles(a, n, a->rows, 14) + a->cost.table <
                     look_cycles(b, n, b->rows, 14) + b->cost.table;
}

const struct brim_lookup_variant *brim_lookup_choose(uint32_t isa, size_t n, unsigned weights)
{
    const struct brim_lookup_variant *best = NULL;

    for (size_t i = 0; i < brim_lookup_variant_count; i++) {
        const struct brim_lookup_variant *v = brim_lookup_variants[i];

        if ((v->isa & ~isa) == 0 && v->weights <= weights && is_better(v, best, n)) {
            best = v;
        }
    }
    return best;
}

const struct brim_lookup_variant *brim_lookup_find(const char *name)
{
    for (size_t i = 0; i < brim_lookup_variant_count; i++) {
        if (strcmp(brim_lookup_variants[i]->name, name) == 0) {
            return brim_lookup_variants[i];
        }
    }
    return NULL;
}
