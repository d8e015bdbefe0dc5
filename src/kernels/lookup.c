/* lookup.c - see lookup.h. SPDX-License-Identifier: Apache-2.0
 *
 * For a tile of rows, block by block of the reduction: gather the rows' codes, build their tables
 * (into the first-level cache), and let every panel look them up, while its indices stream past at 2
 * bits a weight. Each row's 16-bit state stays behind, until the block after which it might not fit.
 */
#include "kernels/lookup.h"

#include "base/cpu.h"
#include "kernels/lookup_pack.h"

#include <string.h>

#define STRIP_ROWS 16 /* rows x panels of totals: 4 KiB */
#define SHORTEST   12 /* products of a tile: multiply-add in 16 bits is as fast below */

/* ---- create ---- */

static brim_status check_range(brim_ctx *ctx, const struct brim_lookup_params *p)
{
    const int32_t least = p->x_signed ? -128 : 0, greatest = p->x_signed ? 127 : 255;

    if (p->n == 0 || p->k == 0 || p->segments == 0 || p->k % p->segments != 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "lookup: %zu x %zu weights in %zu segments", p->n, p->k,
                         p->segments);
    }
    if (p->x_min > p->x_max || p->x_min < least || p->x_max > greatest) {
        return brim_fail(ctx, BRIM_ERR_ARG, "lookup: codes %d..%d, expected within %d..%d",
                         p->x_min, p->x_max, least, greatest);
    }
    return BRIM_OK;
}

/* Weights of 2 bits, and whether they are packed negated. */
static brim_status check_weights(brim_ctx *ctx, const struct brim_lookup_params *p, bool *negated)
{
    int32_t lo = 0, hi = 0;

    for (size_t i = 0; i < p->n * p->k; i++) {
        lo = p->w[i] < lo ? p->w[i] : lo;
        hi = p->w[i] > hi ? p->w[i] : hi;
    }
    *negated = hi == 2;
    if (lo < -2 || hi > 2 || hi - lo > 3) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                         "lookup: weights %d..%d, expected within -2..1 or -1..2", lo, hi);
    }
    return BRIM_OK;
}

/* What centring took off the totals goes back with the offset. */
static brim_status set_offsets(brim_ctx *ctx, struct brim_lookup *l,
                               const struct brim_lookup_params *p)
{
    l->offset = brim_alloc(ctx, l->n, sizeof *l->offset);
    if (l->offset == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < l->n; c++) {
        const int64_t given = p->epilogue.offset != NULL ? p->epilogue.offset[c] : 0;
        int64_t lo = given, hi = given, offset = given;

        for (size_t k = 0; k < l->k; k++) {
            const int64_t w = p->w[c * l->k + k];

            lo += w * (w > 0 ? p->x_min : p->x_max);
            hi += w * (w > 0 ? p->x_max : p->x_min);
            offset += w * l->centre;
        }
        if (lo < -INT32_MAX || hi > INT32_MAX || offset < -INT32_MAX || offset > INT32_MAX ||
            lo - offset < -INT32_MAX || hi - offset > INT32_MAX) {
            return brim_fail(ctx, BRIM_ERR_ARG, "lookup: totals of channel %zu do not fit 32 bits",
                             c);
        }
        l->offset[c] = (int32_t)offset;
    }
    l->epilogue.offset = l->offset;
    return BRIM_OK;
}

static void free_packed(brim_ctx *ctx, struct brim_lookup *l)
{
    brim_free(ctx, l->index);
    brim_free(ctx, l->tile);
    brim_free(ctx, l->tiles);
    brim_free(ctx, l->run);
    l->index = l->tile = NULL;
    l->tiles = NULL;
    l->run = NULL;
}

static brim_status pack_with(brim_ctx *ctx, struct brim_lookup *l,
                             const struct brim_lookup_params *p,
                             const struct brim_lookup_variant *variant)
{
    l->variant = variant;
    BRIM_TRY(brim_lookup_pack(ctx, l, p->w));
    if (p->variant == NULL && l->products < SHORTEST && l->products < (double)l->k) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                         "lookup: only %.1f products fit 8 bits, expected at least %d", l->products,
                         SHORTEST);
    }
    return BRIM_OK;
}

/* The fastest that the weights allow: tables of 2 weights take some that those of 3 do not. */
static brim_status pack(brim_ctx *ctx, struct brim_lookup *l, const struct brim_lookup_params *p)
{
    if (p->variant != NULL) {
        const struct brim_lookup_variant *v = brim_lookup_find(p->variant);

        return v != NULL && (v->isa & ~ctx->isa) == 0
                   ? pack_with(ctx, l, p, v)
                   : brim_fail(ctx, BRIM_ERR_ARG, "lookup: no kernel \"%s\" on this CPU",
                               p->variant);
    }
    const struct brim_lookup_variant *first = brim_lookup_choose(ctx->isa, p->n, 3);
    const brim_status status = pack_with(ctx, l, p, first);

    if (status != BRIM_ERR_UNSUPPORTED || first->weights == 2) {
        return status;
    }
    brim_clear_error(ctx);
    free_packed(ctx, l);
    return pack_with(ctx, l, p, brim_lookup_choose(ctx->isa, p->n, 2));
}

brim_status brim_lookup_create(brim_ctx *ctx, const struct brim_lookup_params *p,
                               struct brim_lookup **lookup)
{
    bool negated;

    *lookup = NULL;
    BRIM_TRY(check_range(ctx, p));
    BRIM_TRY(check_weights(ctx, p, &negated));
    struct brim_lookup *l = brim_zalloc(ctx, 1, sizeof *l);
    if (l == NULL) {
        return BRIM_ERR_NOMEM;
    }
    l->isa = ctx->isa;
    l->n = p->n;
    l->k = p->k;
    l->segments = p->segments;
    l->negated = negated;
    l->centre = p->x_min + (p->x_max - p->x_min + 1) / 2;
    l->a = negated ? l->centre - p->x_max : p->x_min - l->centre;
    l->b = negated ? l->centre - p->x_min : p->x_max - l->centre;
    l->epilogue = p->epilogue;
    l->finish = brim_epilogue_choose(ctx->isa);
    brim_status status = set_offsets(ctx, l, p);
    status = status == BRIM_OK ? pack(ctx, l, p) : status;
    if (status != BRIM_OK) {
        brim_lookup_free(ctx, l);
        return status;
    }
    *lookup = l;
    return BRIM_OK;
}

void brim_lookup_free(brim_ctx *ctx, struct brim_lookup *lookup)
{
    if (lookup != NULL) {
        free_packed(ctx, lookup);
        brim_free(ctx, lookup->offset);
        brim_free(ctx, lookup);
    }
}

const struct brim_lookup_variant *brim_lookup_chosen(const struct brim_lookup *lookup)
{
    return lookup->variant;
}

double brim_lookup_tile(const struct brim_lookup *lookup)
{
    return lookup->products;
}

/* ---- run ---- */

struct workspace {
    uint8_t *x, *table;
    uint16_t *state; /* [panels][rows][64] */
    int32_t *totals; /* [rows][strip] */
    size_t x_stride;
    size_t strip;  /* columns */
    size_t extent; /* of the rows of x, which may be read from one into the next */
};

/* Bytes of the parts of a workspace, each a multiple of 64. */
struct sizes {
    size_t x, table, state, totals;
};

static size_t lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Panels whose totals wait for one call of the epilogue: few, so that they stay in the cache, or all
 * where runs add up. */
static size_t strip_panels(const struct brim_lookup *l, size_t rows)
{
    const size_t few = rows == 0 || rows > STRIP_ROWS ? 1 : STRIP_ROWS / rows;

    return l->run[l->blocks] == 1 && few < l->panels ? few : l->panels;
}

static struct sizes workspace_sizes(const struct brim_lookup *l, size_t m)
{
    const size_t rows = m < l->variant->rows ? m : l->variant->rows;
    const size_t room = (l->block + BRIM_LOOKUP_ALIGN - 1) / BRIM_LOOKUP_ALIGN * BRIM_LOOKUP_ALIGN;
    const size_t entries = (size_t)1 << 2 * l->variant->weights;

    return (struct sizes){
        .x = lines(rows * (l->block * l->variant->weights + 64)),
        .table = lines(room * rows * entries),
        .state = lines(l->panels * BRIM_LOOKUP_PANEL * rows * sizeof(uint16_t)),
        .totals = lines(rows * strip_panels(l, rows) * BRIM_LOOKUP_PANEL * sizeof(int32_t)),
    };
}

size_t brim_lookup_scratch(const struct brim_lookup *lookup, size_t m)
{
    const struct sizes sizes = workspace_sizes(lookup, m);

    return sizes.x + sizes.table + sizes.state + sizes.totals;
}

/* Bytes from x to the end of the last row. */
static size_t extent(const struct brim_lookup *l, const struct brim_gemm_rows *r)
{
    const size_t length = l->k / l->segments;
    size_t end = l->k;

    for (size_t i = 0; r->segment != NULL && i < l->segments; i++) {
        end = i == 0 || r->segment[i] + length > end ? r->segment[i] + length : end;
    }
    return (r->m - 1) * r->x_stride + end;
}

static struct workspace divide_scratch(const struct brim_lookup *l, const struct brim_gemm_rows *r)
{
    const struct sizes sizes = workspace_sizes(l, r->m);
    const size_t rows = r->m < l->variant->rows ? r->m : l->variant->rows;
    uint8_t *scratch = r->scratch, *table = scratch + sizes.x, *state = table + sizes.table;

    return (struct workspace){
        .x = scratch,
        .table = table,
        .state = (uint16_t *)(void *)state,
        .totals = (int32_t *)(void *)(state + sizes.state),
        .x_stride = l->block * l->variant->weights + 64,
        .strip = BRIM_LOOKUP_PANEL * strip_panels(l, rows),
        .extent = extent(l, r),
    };
}

/* Codes first .. first + count - 1 of a row, in one piece. */
static void gather(const struct brim_lookup *l, const struct brim_gemm_rows *r, const uint8_t *row,
                   size_t first, size_t count, uint8_t *to)
{
    const size_t length = l->k / l->segments;

    while (count != 0) {
        const size_t segment = first / length, within = first % length;
        const size_t run = count < length - within ? count : length - within;

        memcpy(to, row + (r->segment != NULL ? r->segment[segment] : segment * length) + within,
               run);
        to += run;
        first += run;
        count -= run;
    }
    memset(to, 0, 64);
}

/* Where codes first .. first + count - 1 of a row lie in one piece: bytes from its start. */
static bool in_one_piece(const struct brim_lookup *l, const struct brim_gemm_rows *r, size_t first,
                         size_t count, size_t *at)
{
    const size_t length = l->k / l->segments, segment = first / length;

    *at = r->segment == NULL ? first : r->segment[segment] + first % length;
    return r->segment == NULL || (first + count - 1) / length == segment;
}

static void build_tables(const struct brim_lookup *l, const struct brim_gemm_rows *r, size_t row,
                         unsigned rows, size_t b, const struct workspace *ws)
{
    const size_t steps = brim_lookup_block_steps(l, b);
    const size_t first = b * l->block * l->variant->weights;
    const size_t room = steps * l->variant->weights;
    const size_t count = l->k - first < room ? l->k - first : room;
    const uint8_t *x = (const uint8_t *)r->x + row * r->x_stride;
    struct brim_lookup_build build = {
        .rows = rows,
        .x = ws->x,
        .x_stride = ws->x_stride,
        .steps = steps,
        .flip = l->negated ? 255 : 0,
        .add = (uint8_t)(l->negated ? l->centre + 1 : -l->centre),
        .table = ws->table,
    };
    size_t at;

    if (in_one_piece(l, r, first, count, &at) &&
        (row + rows - 1) * r->x_stride + at + room + 64 <= ws->extent) {
        build.x = x + at;
        build.x_stride = r->x_stride;
    } else {
        for (size_t i = 0; i < rows; i++) {
            gather(l, r, x + i * r->x_stride, first, count, ws->x + i * ws->x_stride);
        }
    }
    l->variant->build(&build);
}

static void look_up(const struct brim_lookup *l, unsigned rows, size_t b,
                    const struct workspace *ws)
{
    const size_t steps = brim_lookup_block_steps(l, b), panels = l->variant->panels;
    const uint8_t *index = l->index + l->panels * brim_lookup_index_bytes(l, b * l->block);

    for (size_t g = 0; g < l->groups; g++) {
        const size_t p = g * panels;

        l->variant->run(&(struct brim_lookup_tile){
            .rows = rows,
            .panels = (unsigned)(l->panels - p < panels ? l->panels - p : panels),
            .table = ws->table,
            .index = index + p * brim_lookup_index_bytes(l, steps),
            .steps = steps,
            .tile = l->tile[b * l->groups + g],
            .state = ws->state + p * BRIM_LOOKUP_PANEL * rows,
            .first = b == 0 || l->run[b] != l->run[b - 1],
        });
    }
}

/* Totals of panels p .. end - 1 from the run that ends with block b. */
static void add_up(const struct brim_lookup *l, unsigned rows, size_t b, size_t p, size_t end,
                   const struct workspace *ws)
{
    for (int32_t *y = ws->totals; p < end; p++, y += BRIM_LOOKUP_PANEL) {
        l->variant->finish(&(struct brim_lookup_finish){
            .rows = rows,
            .state = ws->state + p * BRIM_LOOKUP_PANEL * rows,
            .tiles = l->tiles[b * l->panels + p],
            .y = y,
            .y_stride = ws->strip,
            .add = l->run[b] != 0,
        });
    }
}

/* What becomes of the run that ends with block b: totals and, after the last, outputs. */
static void finish(const struct brim_lookup *l, const struct brim_gemm_rows *r, size_t row,
                   unsigned rows, size_t b, const struct workspace *ws)
{
    const size_t size = l->epilogue.emit == BRIM_EMIT_CODES ? 1 : 4;
    const size_t panels = ws->strip / BRIM_LOOKUP_PANEL;

    for (size_t p = 0; p < l->panels; p += panels) {
        const size_t c = p * BRIM_LOOKUP_PANEL;

        add_up(l, rows, b, p, p + panels < l->panels ? p + panels : l->panels, ws);
        if (b + 1 == l->blocks) {
            l->finish->run(&l->epilogue, &(struct brim_epilogue_block){
                                             .total = ws->totals,
                                             .stride = ws->strip,
                                             .rows = rows,
                                             .columns = l->n - c < ws->strip ? l->n - c : ws->strip,
                                             .first = c,
                                             .y = (uint8_t *)r->y + (row * r->y_stride + c) * size,
                                             .y_stride = r->y_stride,
                                         });
        }
    }
}

void brim_lookup_run(const struct brim_lookup *lookup, const struct brim_gemm_rows *rows)
{
    const struct workspace ws = divide_scratch(lookup, rows);
    const size_t most = lookup->variant->rows, tiles = (rows->m + most - 1) / most;
    size_t row = 0;

    for (size_t i = 0; i < tiles; i++) { /* rows / tiles each, the first ones one more */
        const unsigned count = (unsigned)(rows->m / tiles + (i < rows->m % tiles));

        for (size_t b = 0; b < lookup->blocks; b++) {
            build_tables(lookup, rows, row, count, b, &ws);
            look_up(lookup, count, b, &ws);
            if (lookup->run[b + 1] != lookup->run[b]) {
                finish(lookup, rows, row, count, b, &ws);
            }
        }
        row += count;
    }
}
