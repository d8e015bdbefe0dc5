/* check_sparse.c - patterns shared by blocks of outputs: every gather, before any product.
 * SPDX-License-Identifier: Apache-2.0 */
#include "checkasm.h"
#include "formulas.h"

#include <string.h>

#include "kernels/gemm_variant.h"
#include "kernels/sparse.h"
#include "kernels/sparse_gather.h"

static size_t count(void)
{
    return brim_sparse_gather_count;
}

static struct check_variant variant(size_t i)
{
    return (struct check_variant){brim_sparse_gathers[i]->name, brim_sparse_gathers[i]->isa};
}

/* One of gemm's that this CPU has and that takes all codes, or NULL: the fastest. */
static const char *any_product(struct check *c)
{
    const struct brim_gemm_variant *v =
        brim_gemm_variants[brim_rng_below(&c->rng, brim_gemm_variant_count)];

    return (v->isa & ~c->ctx->isa) == 0 && v->bounds == 0 ? v->name : NULL;
}

/* Small weights are within every variant's proofs. */
static void draw(struct check *c, struct brim_sparse_params *p, int32_t **w)
{
    const bool long_k = check_once_in(c, 20);

    p->n = check_length(c, 16, check_once_in(c, 8) ? 200 : 70);
    p->k = long_k ? (size_t)check_range(c, 600, 3000) : check_length(c, 64, 300);
    p->group = (unsigned)check_range(c, 2, check_once_in(c, 2) ? 8 : 64);
    p->keep = (unsigned)check_range(c, 1, p->group - 1);
    p->block = 16 * (unsigned)check_range(c, 1, 3);
    p->x_signed = check_once_in(c, 2);
    p->x_min = p->x_signed ? -128 : 0;
    p->x_max = p->x_min + (int32_t)check_range(c, 1, 255);
    *w = check_buffer(c, "weights", p->n * p->k * sizeof **w, sizeof **w);
    check_fill(c, check_any_pattern(c), *w, p->n * p->k, p->variant ? -1 : -128,
               p->variant ? 1 : 127);
    p->w = *w;
    check_make_epilogue(c, &p->epilogue, p->n, (int64_t)p->k * 255 * 128 + 1);
}

/* Keep at most `keep` random places of every group, the same for a block. */
static void prune(struct check *c, const struct brim_sparse_params *p, int32_t *w)
{
    for (size_t first = 0; first < p->n; first += p->block) {
        const size_t end = first + p->block < p->n ? first + p->block : p->n;
        size_t left = 0, room = 0;
        for (size_t k = 0; k < p->k; k++) {
            if (k % p->group == 0) {
                left = p->group;
                room = p->keep;
            }
            const bool keep = brim_rng_below(&c->rng, left--) < room;
            room -= keep ? 1 : 0;
            for (size_t i = first; i < end && !keep; i++) {
                w[i * p->k + k] = 0;
            }
        }
    }
}

static int64_t total(const struct brim_sparse_params *p, const uint8_t *x, size_t output)
{
    int64_t sum = 0;

    for (size_t k = 0; k < p->k; k++) {
        sum += p->w[output * p->k + k] * (p->x_signed && x[k] > 127 ? x[k] - 256 : x[k]);
    }
    return sum;
}

static void run(struct check *c, size_t i)
{
    struct brim_sparse_params p = {.gather = brim_sparse_gathers[i]->name,
                                   .variant = any_product(c)};
    struct brim_sparse_rows rows = {.m = check_length(c, 12, check_once_in(c, 10) ? 300 : 40)};
    struct brim_sparse *sparse;
    int32_t *w, codes[64];

    rows.m = check_once_in(c, 50) ? 0 : rows.m;
    draw(c, &p, &w);
    prune(c, &p, w);
    rows.x_stride = p.k + (size_t)check_range(c, 0, 70);
    rows.y_stride = p.n + (size_t)check_range(c, 0, 20);
    check_describe(c, "m %zu n %zu k %zu, %u of %u kept, blocks of %u, x %d..%d, gemm %s", rows.m,
                   p.n, p.k, p.keep, p.group, p.block, p.x_min, p.x_max,
                   p.variant ? p.variant : "fastest");
    const size_t size = check_emit_size(p.epilogue.emit),
                 bytes = rows.m == 0 ? 0 : (rows.m - 1) * rows.x_stride + p.k;
    const size_t outputs = rows.m == 0 ? 0 : (rows.m - 1) * rows.y_stride + p.n;
    uint8_t *x = check_buffer(c, "x", bytes, 1);
    const enum check_pattern pattern = check_any_pattern(c);
    for (size_t at = 0; at < bytes; at++) {
        if (at % 64 == 0) {
            check_fill(c, pattern, codes, 64, p.x_min, p.x_max);
        }
        x[at] = (uint8_t)codes[at % 64];
    }
    check_seal(c, x);
    uint8_t *got = check_buffer(c, "y", outputs * size, size);
    uint8_t *want = check_buffer(c, "expected y", outputs * size, size);
    memcpy(want, got, outputs * size);
    for (size_t r = 0; r < rows.m; r++) {
        for (size_t n = 0; n < p.n; n++) {
            check_emit(&p.epilogue, total(&p, x + r * rows.x_stride, n), n,
                       want + (r * rows.y_stride + n) * size);
        }
    }
    const brim_status status = brim_sparse_create(c->ctx, &p, &sparse);
    memset(w, 0x55, p.n * p.k * sizeof *w); /* the product has its own */
    if (status != BRIM_OK) {
        check_fail(c, "refused: %s", brim_error(c->ctx));
    }
    rows.x = x;
    rows.y = got;
    rows.scratch = check_buffer(c, "scratch", brim_sparse_scratch(sparse, rows.m), 64);
    brim_sparse_run(sparse, &rows);
    check_same(c, got, want, size, rows.y_stride);
    brim_sparse_free(c->ctx, sparse);
}

const struct check_family check_sparse = {"sparse", count, variant, 200, run};
