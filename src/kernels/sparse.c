/* sparse.c - packing, choice and driver of sparse. SPDX-License-Identifier: Apache-2.0
 *
 * Every block of outputs is a gemm of its own over the kept k, so the proofs about pairs and tiles
 * are those of the weights as they meet. Rows go in strips, through all blocks: a strip of x stays in
 * L1, since a gather is nothing but loads and stores, while a block's weights come from L2 behind the
 * products.
 *
 * Where a group has fewer weights than it may keep, nothing is gathered: a pattern has only what is
 * not zero somewhere in the block.
 */
#include "kernels/sparse.h"
#include "base/cpu.h"
#include "kernels/gemm.h"
#include "kernels/gemm_variant.h"
#include "kernels/sparse_gather.h"

#include <assert.h>
#include <string.h>

#define STRIP_BYTES                                                                                \
    ((size_t)24 * 1024) /* of x, which stays in L1 beside what is gathered and weights */
#define STRIP_TILES 4   /* where it does not, or tile registers are shaped in every strip */

struct block {
    struct brim_gemm *gemm;
    size_t first, outputs, kept, filled; /* kept k, and with zeros behind to whole tiles */
    size_t vectors;                      /* the pattern, see sparse_gather.h */
    uint8_t *steps, *take;
    uint32_t *at;
};

struct brim_sparse {
    const struct brim_sparse_gather *gather;
    size_t n, k, blocks, element_size;
    size_t stride; /* of gathered rows */
    uint8_t flip;  /* 0x80 makes int8_t a byte 0..255 */
    struct brim_arena arena;
    struct block *block;
    int32_t *offset;
};

/* ---- creation ---- */

static brim_status check_params(brim_ctx *ctx, const struct brim_sparse_params *p)
{
    const int32_t least = p->x_signed ? -128 : 0;

    if (p->n == 0 || p->k == 0 || p->k > INT32_MAX) {
        return brim_fail(ctx, BRIM_ERR_ARG, "sparse: %zu outputs of %zu inputs, expected 1 or more",
                         p->n, p->k);
    }
    if (p->keep == 0 || p->keep >= p->group || p->group > 64) {
        return brim_fail(ctx, BRIM_ERR_ARG, "sparse: %u of %u kept, expected N:M with N < M <= 64",
                         p->keep, p->group);
    }
    if (p->block == 0 || p->block % BRIM_GEMM_PANEL != 0) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "sparse: blocks of %u outputs, expected a multiple of %d", p->block,
                         BRIM_GEMM_PANEL);
    }
    if (p->x_min < least || p->x_max > least + 255 || p->x_min > p->x_max) {
        return brim_fail(ctx, BRIM_ERR_ARG, "sparse: input codes %d..%d, expected %d..%d", p->x_min,
                         p->x_max, least, least + 255);
    }
    return BRIM_OK;
}

static brim_status choose_gather(brim_ctx *ctx, const char *name, struct brim_sparse *s)
{
    for (size_t i = 0; i < brim_sparse_gather_count; i++) {
        const struct brim_sparse_gather *v = brim_sparse_gathers[i];
        if ((v->isa & ~ctx->isa) == 0 && (!name || strcmp(name, v->name) == 0)) {
            s->gather = v;
        }
    }
    if (s->gather == NULL) {
        return brim_fail(ctx, BRIM_ERR_ARG, "sparse: no gather '%s' on this processor", name);
    }
    return BRIM_OK;
}

static bool is_kept(const struct brim_sparse_params *p, const struct block *b, size_t k)
{
    for (size_t c = 0; c < b->outputs; c++) {
        if (p->w[(b->first + c) * p->k + k] != 0) {
            return true;
        }
    }
    return false;
}

/* Its kept k in order, in `index`; and how many places its weights are filled up to. */
static brim_status find_kept(brim_ctx *ctx, const struct brim_sparse_params *p, struct block *b,
                             size_t *index)
{
    assert(p->group > 0);
    for (size_t k = 0, in_group = 0; k < p->k; k++) {
        in_group = k % p->group == 0 ? 0 : in_group;
        if (!is_kept(p, b, k)) {
            continue;
        }
        if (++in_group > p->keep) {
            return brim_fail(ctx, BRIM_ERR_ARG,
                             "sparse: outputs %zu..%zu share more than %u of inputs %zu..%zu, "
                             "expected %u:%u",
                             b->first, b->first + b->outputs - 1, p->keep, k - k % p->group,
                             k - k % p->group + p->group - 1, p->keep, p->group);
        }
        index[b->kept++] = k;
    }
    const size_t unit = ctx->isa & BRIM_ISA_AMX ? 64 : 4; /* or gemm copies rows for tiles */
    b->filled = (b->kept + unit - 1) / unit * unit;
    b->filled = b->filled == 0 ? unit : b->filled;
    return BRIM_OK;
}

/* Cut the kept k into vectors, and those into what one load of x reaches. */
static brim_status make_pattern(const struct brim_sparse_params *p, struct brim_sparse *s,
                                struct block *b, const size_t *index)
{
    const size_t width = s->gather->width, last = p->k > width ? p->k - width : 0;
    size_t step = 0;

    assert(width > 0);
    b->vectors = (b->filled + width - 1) / width;
    b->steps = brim_arena_zalloc(&s->arena, b->vectors, sizeof *b->steps);
    b->at = brim_arena_alloc(&s->arena, b->kept, sizeof *b->at);
    b->take = brim_arena_alloc(&s->arena, b->kept, width);
    if (b->steps == NULL || b->at == NULL || b->take == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memset(b->take, BRIM_SPARSE_NOT, b->kept * width);
    for (size_t j = 0; j < b->kept; j++) {
        uint8_t *const steps = &b->steps[j / width];
        if (*steps == 0 || index[j] - b->at[step - 1] >= width) {
            b->at[step++] = (uint32_t)(index[j] < last ? index[j] : last);
            ++*steps;
        }
        b->take[(step - 1) * width + j % width] = (uint8_t)(index[j] - b->at[step - 1]);
    }
    return BRIM_OK;
}

/* `w` has room for the block's kept weights. */
static brim_status create_gemm(brim_ctx *ctx, const struct brim_sparse_params *p,
                               const struct brim_sparse *s, struct block *b, const size_t *index,
                               int32_t *w)
{
    memset(w, 0, b->outputs * b->filled * sizeof *w);
    for (size_t c = 0; c < b->outputs; c++) {
        for (size_t j = 0; j < b->kept; j++) {
            w[c * b->filled + j] = p->w[(b->first + c) * p->k + index[j]];
        }
    }
    struct brim_epilogue e = p->epilogue;
    e.offset = s->offset ? s->offset + b->first : NULL;
    e.multiplier = e.multiplier ? e.multiplier + b->first : NULL;
    e.bias = e.bias ? e.bias + b->first : NULL;
    return brim_gemm_create(ctx,
                            &(struct brim_gemm_params){
                                .w = w,
                                .n = b->outputs,
                                .k = b->filled,
                                .segments = 1,
                                .x_min = p->x_min + s->flip,
                                .x_max = p->x_max + s->flip,
                                .epilogue = e,
                                .variant = p->variant,
                            },
                            &b->gemm);
}

/* What the flipped bytes add to the totals of int8_t codes comes off the offsets. */
static brim_status fill_offsets(brim_ctx *ctx, const struct brim_sparse_params *p,
                                struct brim_sparse *s)
{
    if (!p->x_signed && p->epilogue.offset == NULL) {
        return BRIM_OK;
    }
    s->offset = brim_arena_alloc(&s->arena, p->n, sizeof *s->offset);
    if (s->offset == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < p->n; c++) {
        int64_t offset = p->epilogue.offset ? p->epilogue.offset[c] : 0;
        for (size_t k = 0; k < p->k; k++) {
            offset -= (int64_t)s->flip * p->w[c * p->k + k];
        }
        if (offset <= INT32_MIN || offset > INT32_MAX) {
            return brim_fail(ctx, BRIM_ERR_ARG,
                             "sparse: offset of output %zu is %lld, expected 32 "
                             "bits",
                             c, (long long)offset);
        }
        s->offset[c] = (int32_t)offset;
    }
    return BRIM_OK;
}

static brim_status fill_blocks(brim_ctx *ctx, const struct brim_sparse_params *p,
                               struct brim_sparse *s, struct brim_arena *scratch)
{
    size_t *index = brim_arena_alloc(scratch, p->k, sizeof *index);
    size_t most = 0, weights;

    if (!brim_mul_size(p->k + 64, p->block, &weights)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "sparse: blocks of %u outputs are too large", p->block);
    }
    int32_t *w = brim_arena_alloc(scratch, weights, sizeof *w);
    if (index == NULL || w == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < s->blocks; i++) {
        struct block *b = &s->block[i];
        b->first = i * p->block;
        b->outputs = p->n - b->first < p->block ? p->n - b->first : p->block;
        BRIM_TRY(find_kept(ctx, p, b, index));
        BRIM_TRY(make_pattern(p, s, b, index));
        BRIM_TRY(create_gemm(ctx, p, s, b, index, w));
        most = b->filled > most ? b->filled : most;
    }
    s->stride = (most + 63) / 64 * 64;
    s->stride += s->stride % 2048 == 0 ? 64 : 0; /* rows in different sets of L1 */
    return BRIM_OK;
}

static brim_status fill(brim_ctx *ctx, const struct brim_sparse_params *p, struct brim_sparse *s)
{
    BRIM_TRY(check_params(ctx, p));
    BRIM_TRY(choose_gather(ctx, p->gather, s));
    s->n = p->n;
    s->k = p->k;
    s->blocks = (p->n + p->block - 1) / p->block;
    s->element_size = p->epilogue.emit == BRIM_EMIT_CODES ? 1 : 4;
    s->flip = p->x_signed ? 0x80 : 0;
    BRIM_TRY(fill_offsets(ctx, p, s));
    s->block = brim_arena_zalloc(&s->arena, s->blocks, sizeof *s->block);
    if (s->block == NULL) {
        return BRIM_ERR_NOMEM;
    }
    struct brim_arena scratch;
    brim_arena_init(&scratch, ctx);
    const brim_status status = fill_blocks(ctx, p, s, &scratch);
    brim_arena_free(&scratch);
    return status;
}

brim_status brim_sparse_create(brim_ctx *ctx, const struct brim_sparse_params *p,
                               struct brim_sparse **sparse)
{
    struct brim_sparse *s = brim_zalloc(ctx, 1, sizeof *s);

    *sparse = NULL;
    if (s == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&s->arena, ctx);
    const brim_status status = fill(ctx, p, s);
    if (status != BRIM_OK) {
        brim_sparse_free(ctx, s);
        return status;
    }
    *sparse = s;
    return BRIM_OK;
}

void brim_sparse_free(brim_ctx *ctx, struct brim_sparse *sparse)
{
    if (sparse == NULL) {
        return;
    }
    for (size_t i = 0; sparse->block != NULL && i < sparse->blocks; i++) {
        brim_gemm_free(ctx, sparse->block[i].gemm);
    }
    brim_arena_free(&sparse->arena);
    brim_free(ctx, sparse);
}

const struct brim_gemm_variant *brim_sparse_chosen(const struct brim_sparse *sparse, size_t m)
{
    return brim_gemm_chosen(sparse->block[0].gemm, m);
}

const struct brim_sparse_gather *brim_sparse_gather_chosen(const struct brim_sparse *sparse)
{
    return sparse->gather;
}

/* ---- runs ---- */

/* Rows that are gathered at a time: whole tiles. */
static size_t strip_rows(const struct brim_sparse *s, size_t m)
{
    const struct brim_gemm_variant *v = brim_sparse_chosen(s, m);
    const size_t tiles = STRIP_BYTES / (s->k * v->rows);
    const size_t rows = v->rows * (tiles == 0 || v->begin != NULL ? STRIP_TILES : tiles);

    return rows < m || m == 0 ? rows : m;
}

static size_t round64(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

size_t brim_sparse_scratch(const struct brim_sparse *sparse, size_t m)
{
    const size_t rows = strip_rows(sparse, m);
    size_t gemm = 0;

    for (size_t i = 0; i < sparse->blocks; i++) {
        const size_t whole = brim_gemm_scratch(sparse->block[i].gemm, rows);
        const size_t last = brim_gemm_scratch(sparse->block[i].gemm, m % rows ? m % rows : rows);
        gemm = whole > gemm ? whole : gemm;
        gemm = last > gemm ? last : gemm;
    }
    return round64(rows * sparse->stride) + gemm;
}

/* Rows of a strip for one block. */
struct gathering {
    const struct brim_sparse *s;
    const struct block *b;
    const uint8_t *x;
    size_t x_stride;
    uint8_t *gathered;
};

static void gather_rows(void *state, size_t first, size_t m)
{
    const struct gathering *g = state;

    g->s->gather->run(&(struct brim_sparse_pick){
        .rows = m,
        .k = g->s->k,
        .x = g->x + first * g->x_stride,
        .x_stride = g->x_stride,
        .vectors = g->b->vectors,
        .steps = g->b->steps,
        .at = g->b->at,
        .take = g->b->take,
        .flip = g->s->flip,
        .y = g->gathered + first * g->s->stride,
        .y_stride = g->s->stride,
    });
}

/* Rows [first, first + m) through one block; scratch has room for `strip` of them. */
static void run_block(const struct brim_sparse *s, const struct block *b,
                      const struct brim_sparse_rows *r, size_t first, size_t m, size_t strip)
{
    struct gathering g = {.s = s,
                          .b = b,
                          .x = (const uint8_t *)r->x + first * r->x_stride,
                          .x_stride = r->x_stride,
                          .gathered = r->scratch};
    const struct brim_gemm_source source = {
        .make = gather_rows, .state = &g, .x = g.x, .x_stride = g.x_stride};

    brim_gemm_run(b->gemm,
                  &(struct brim_gemm_rows){
                      .m = m,
                      .x = g.gathered,
                      .x_stride = s->stride,
                      .y = (uint8_t *)r->y + (first * r->y_stride + b->first) * s->element_size,
                      .y_stride = r->y_stride,
                      .scratch = g.gathered + round64(strip * s->stride),
                      .source = &source,
                  });
}

void brim_sparse_run(const struct brim_sparse *sparse, const struct brim_sparse_rows *rows)
{
    const size_t strip = strip_rows(sparse, rows->m);

    for (size_t i = 0; i < rows->m; i += strip) {
        const size_t m = rows->m - i < strip ? rows->m - i : strip;
        for (size_t b = 0; b < sparse->blocks; b++) {
            run_block(sparse, &sparse->block[b], rows, i, m, strip);
        }
    }
}
