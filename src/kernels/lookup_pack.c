/* lookup_pack.c - packs weights into indices, and proves tiles. SPDX-License-Identifier: Apache-2.0
 *
 * The proof: lookup.h. A block of the reduction has tiles of one length, the longest even number of
 * steps for which every tile of every output of the group fits 8 bits; found by trying all from long
 * to short, with sums of the bounds up to each step.
 */
#include "kernels/lookup_pack.h"

#include <string.h>

struct bound {
    int32_t lo, hi; /* of all partial sums */
};

/* The packed weight: 0 beyond the ends. */
static int32_t weight(const struct brim_lookup *l, const int32_t *w, size_t c, size_t k)
{
    const int32_t v = c < l->n && k < l->k ? w[c * l->k + k] : 0;

    return l->negated ? -v : v;
}

static void extend(struct bound *bound, const struct brim_lookup *l, int32_t w)
{
    bound->lo += w > 0 ? w * l->a : w * l->b;
    bound->hi += w > 0 ? w * l->b : w * l->a;
}

static void pack_panel(const struct brim_lookup *l, const int32_t *w, size_t first, size_t steps,
                       size_t channel, uint8_t *index)
{
    const unsigned weights = l->variant->weights;

    for (size_t s = 0; s < steps; s++) {
        uint8_t *to = index + BRIM_LOOKUP_PANEL * (weights == 2 ? s / 2 : s);

        for (size_t j = 0; j < BRIM_LOOKUP_PANEL; j++) {
            unsigned code = 0;

            for (unsigned i = 0; i < weights; i++) {
                const int32_t v = weight(l, w, channel + j, (first + s) * weights + i);

                code |= ((unsigned)v & 3u) << 2 * i;
            }
            to[j] = (uint8_t)(weights == 2 && s % 2 == 1 ? to[j] | code << 4 : code);
        }
    }
}

/* Bounds of the sums up to each step, sums[0] being empty. */
static void sum_bounds(const struct brim_lookup *l, const int32_t *w, size_t first, size_t steps,
                       size_t c, struct bound *sums)
{
    const unsigned weights = l->variant->weights;
    struct bound bound = {0};

    sums[0] = bound;
    for (size_t s = 0; s < steps; s++) {
        for (unsigned i = 0; i < weights; i++) {
            extend(&bound, l, weight(l, w, c, (first + s) * weights + i));
        }
        sums[s + 1] = bound;
    }
}

static bool tile_fits(const struct bound *sums, size_t outputs, size_t steps, size_t tile)
{
    for (size_t j = 0; j < outputs; j++, sums += steps + 1) {
        for (size_t s = 0; s < steps; s += tile) {
            const struct bound *end = &sums[s + tile < steps ? s + tile : steps];

            if (end->hi - sums[s].hi > INT8_MAX || end->lo - sums[s].lo < INT8_MIN) {
                return false;
            }
        }
    }
    return true;
}

static bool run_fits(const struct brim_lookup *l, const struct bound *blocks, size_t begin,
                     size_t end)
{
    for (size_t c = 0; c < l->n; c++) {
        int64_t lo = 0, hi = 0;

        for (size_t b = begin; b < end; b++) {
            lo += blocks[b * l->n + c].lo;
            hi += blocks[b * l->n + c].hi;
        }
        if (lo < INT16_MIN || hi > INT16_MAX) {
            return false;
        }
    }
    return true;
}

/* Runs as long as 16 bits take every output's sums; a block alone fits: 254 tiles of 8 bits. */
static void find_runs(struct brim_lookup *l, const struct bound *blocks)
{
    size_t begin = 0;

    l->run[0] = 0;
    for (size_t b = 1; b < l->blocks; b++) {
        const bool fits = run_fits(l, blocks, begin, b + 1);

        begin = fits ? begin : b;
        l->run[b] = l->run[b - 1] + !fits;
    }
    l->run[l->blocks] = l->run[l->blocks - 1] + 1;
}

static void count_tiles(struct brim_lookup *l)
{
    double tiles = 0;

    for (size_t b = 0; b < l->blocks; b++) {
        for (size_t p = 0; p < l->panels; p++) {
            const size_t i = b * l->panels + p,
                         tile = l->tile[b * l->groups + p / l->variant->panels];
            const size_t count = (brim_lookup_block_steps(l, b) + tile - 1) / tile;
            const bool begins = b == 0 || l->run[b] != l->run[b - 1];

            l->tiles[i] = (uint32_t)count + (begins ? 0 : l->tiles[i - l->panels]);
            tiles += (double)count;
        }
    }
    l->products = (double)(l->k * l->panels) / tiles;
}

static brim_status prove_block(brim_ctx *ctx, struct brim_lookup *l, const int32_t *w, size_t b,
                               struct bound *sums, struct bound *totals)
{
    const size_t first = b * l->block, steps = brim_lookup_block_steps(l, b);
    const size_t outputs = (size_t)BRIM_LOOKUP_PANEL * l->variant->panels;

    for (size_t g = 0; g < l->groups; g++) {
        const size_t from = g * outputs;
        const size_t count = l->n - from < outputs ? l->n - from : outputs;
        size_t tile = steps;

        for (size_t j = 0; j < count; j++) {
            sum_bounds(l, w, first, steps, from + j, &sums[j * (steps + 1)]);
            totals[b * l->n + from + j] = sums[j * (steps + 1) + steps];
        }
        while (tile != 0 && !tile_fits(sums, count, steps, tile)) {
            tile -= 2;
        }
        if (tile == 0) {
            return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                             "lookup: two lookups of channels %zu..%zu do not fit 8 bits", from,
                             from + count - 1);
        }
        l->tile[b * l->groups + g] = (uint8_t)tile;
    }
    return BRIM_OK;
}

static brim_status prove(brim_ctx *ctx, struct brim_lookup *l, const int32_t *w)
{
    const size_t outputs = (size_t)BRIM_LOOKUP_PANEL * l->variant->panels;
    struct bound *sums = brim_alloc(ctx, outputs * (l->block + 1), sizeof *sums);
    struct bound *totals = brim_alloc(ctx, l->blocks * l->n, sizeof *totals);
    brim_status status = sums != NULL && totals != NULL ? BRIM_OK : BRIM_ERR_NOMEM;

    for (size_t b = 0; b < l->blocks && status == BRIM_OK; b++) {
        status = prove_block(ctx, l, w, b, sums, totals);
    }
    if (status == BRIM_OK) {
        find_runs(l, totals);
        count_tiles(l);
    }
    brim_free(ctx, sums);
    brim_free(ctx, totals);
    return status;
}

/* Blocks of equal length, as few as fit the variant. */
static void divide(struct brim_lookup *l)
{
    const size_t weights = l->variant->weights;

    l->steps = (l->k + 2 * weights - 1) / (2 * weights) * 2;
    const size_t least = (l->steps + l->variant->block - 1) / l->variant->block;
    const size_t share = (l->steps + least - 1) / least;
    l->block = (share + BRIM_LOOKUP_ALIGN - 1) / BRIM_LOOKUP_ALIGN * BRIM_LOOKUP_ALIGN;
    l->blocks = (l->steps + l->block - 1) / l->block;
    l->block = l->blocks == 1 ? l->steps : l->block;
    l->panels = (l->n + BRIM_LOOKUP_PANEL - 1) / BRIM_LOOKUP_PANEL;
    l->groups = (l->panels + l->variant->panels - 1) / l->variant->panels;
}

brim_status brim_lookup_pack(brim_ctx *ctx, struct brim_lookup *l, const int32_t *w)
{
    divide(l);
    l->tile = brim_alloc(ctx, l->blocks * l->groups, sizeof *l->tile);
    l->tiles = brim_alloc(ctx, l->blocks * l->panels, sizeof *l->tiles);
    l->run = brim_alloc(ctx, l->blocks + 1, sizeof *l->run);
    l->index = brim_alloc(ctx, l->panels, brim_lookup_index_bytes(l, l->steps));
    if (l->tile == NULL || l->tiles == NULL || l->run == NULL || l->index == NULL) {
        return BRIM_ERR_NOMEM;
    }
    uint8_t *to = l->index;
    for (size_t b = 0; b < l->blocks; b++) {
        const size_t steps = brim_lookup_block_steps(l, b);

        for (size_t p = 0; p < l->panels; p++, to += brim_lookup_index_bytes(l, steps)) {
            pack_panel(l, w, b * l->block, steps, p * BRIM_LOOKUP_PANEL, to);
        }
    }
    return prove(ctx, l, w);
}
