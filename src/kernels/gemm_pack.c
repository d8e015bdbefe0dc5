/* gemm_pack.c - pack gemm's weights, and prove what narrow additions they allow.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An x86 multiply-add (vpmaddubsw) gives x0*w0 + x1*w1 of a pair of k in 16 bits, saturated. Where
 * no input makes any pair leave 16 bits, it is exact: PAIR. Of every quad, the first pair goes into
 * one 16-bit lane of an output and the second into another. These wrap, so what they hold on the
 * way does not matter: where the two sums over a whole tile fit 16 bits for every input, the tile is
 * exact: LANE. Both are decided from the weights and the range of the bytes of x:
 *
 *     [lo, hi] of a sum = [sum of min(w*x_min, w*x_max), sum of max(w*x_min, w*x_max)]
 *
 * which some input attains, so a refusal is never too careful. A tile that fits does not say that
 * its halves do (0 need not be among the bytes), so each length is proved on its own.
 *
 * Time and memory are linear in the weights.
 */
#include "kernels/gemm_pack.h"
#include "base/intops.h"

#include <string.h>

#define QUAD_BYTES (4 * (size_t)BRIM_GEMM_PANEL)

/* A reduction of up to LONGEST quads is one block; longer ones are divided into equal blocks of
 * about BLOCK quads: 16 KiB of weights a panel. Multiples of the longest tile. */
#define LONGEST 384
#define BLOCK   256
#define TILE    64

size_t brim_gemm_tile_quads(const struct brim_gemm_packed *packed, unsigned tile)
{
    return tile == 0 ? packed->block : (size_t)128 >> tile;
}

enum brim_gemm_need brim_gemm_proven(struct brim_gemm_proof proof)
{
    return proof.tiles != 0 ? BRIM_GEMM_LANE : proof.pair ? BRIM_GEMM_PAIR : BRIM_GEMM_ANY;
}

static size_t round_up(size_t v, size_t unit)
{
    return (v + unit - 1) / unit * unit;
}

/* ---- what is asked ---- */

static brim_status check_codes(brim_ctx *ctx, const struct brim_gemm_params *p)
{
    const int32_t x_min = p->x_signed ? -128 : 0, x_max = p->x_signed ? 127 : 255;

    if (p->n == 0 || p->k == 0 || p->segments == 0 || p->k % p->segments != 0) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "%zu outputs of %zu weights in %zu segments, expected at least 1 of each, "
                         "and whole segments",
                         p->n, p->k, p->segments);
    }
    if (p->x_min < x_min || p->x_max > x_max || p->x_min > p->x_max) {
        return brim_fail(ctx, BRIM_ERR_ARG, "input codes %ld..%ld, expected within %ld..%ld",
                         (long)p->x_min, (long)p->x_max, (long)x_min, (long)x_max);
    }
    return BRIM_OK;
}

/* One output: its weights are codes, its total with its offset stays in 32 bits. */
static brim_status check_output(brim_ctx *ctx, const struct brim_gemm_params *p, size_t c)
{
    int64_t lo = p->epilogue.offset != NULL ? p->epilogue.offset[c] : 0, hi = lo;

    for (size_t j = 0; j < p->k; j++) {
        const int64_t w = p->w[c * p->k + j];

        if (w < -128 || w > 127) {
            return brim_fail(ctx, BRIM_ERR_ARG, "output %zu: weight code %lld, expected -128..127",
                             c, (long long)w);
        }
        lo += brim_min_i64(w * p->x_min, w * p->x_max);
        hi += brim_max_i64(w * p->x_min, w * p->x_max);
    }
    if (lo <= -(INT64_C(1) << 31) || hi >= INT64_C(1) << 31) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "output %zu: totals %lld..%lld, expected less than 2^31 in magnitude", c,
                         (long long)lo, (long long)hi);
    }
    return BRIM_OK;
}

/* ---- packing ---- */

static void pack_output(const struct brim_gemm_packed *g, const int32_t *w, size_t c)
{
    const size_t length = g->k / g->segments;
    int8_t *panel = g->w + c / BRIM_GEMM_PANEL * g->panel_quads * QUAD_BYTES;

    for (size_t s = 0; s < g->segments; s++) {
        int8_t *to = panel + s * g->segment_quads * QUAD_BYTES + 4 * (c % BRIM_GEMM_PANEL);

        for (size_t j = 0; j < length; j++) {
            to[j / 4 * QUAD_BYTES + j % 4] = (int8_t)w[s * length + j];
        }
    }
}

/* Modulo 2^32, as the totals are. */
static void fill_offsets(const struct brim_gemm_packed *g, const struct brim_gemm_params *p)
{
    for (size_t c = 0; c < g->n; c++) {
        uint32_t sum = 0;

        for (size_t j = 0; j < g->k; j++) {
            sum += (uint32_t)p->w[c * g->k + j];
        }
        const uint32_t offset = p->epilogue.offset != NULL ? (uint32_t)p->epilogue.offset[c] : 0;
        g->offset[c] = (int32_t)(offset - g->shift * sum);
    }
}

brim_status brim_gemm_pack_start(brim_ctx *ctx, struct brim_gemm_packed *packed)
{
    int32_t *start = brim_zalloc(ctx, packed->panels, BRIM_GEMM_PANEL * sizeof *start);

    if (start == NULL) {
        return BRIM_ERR_NOMEM;
    }
    packed->start = start;
    for (size_t i = 0; i < packed->panels; i++, start += BRIM_GEMM_PANEL) {
        const int8_t *panel = packed->w + i * packed->panel_quads * QUAD_BYTES;

        for (size_t j = 0; j < packed->quads * QUAD_BYTES; j++) {
            uint32_t *to = (uint32_t *)&start[j / 4 % BRIM_GEMM_PANEL];
            *to += packed->zero * (uint32_t)panel[j];
        }
    }
    return BRIM_OK;
}

/* ---- proofs ---- */

struct range {
    int32_t lo, hi;
};

static bool fits16(struct range r)
{
    return r.lo >= INT16_MIN && r.hi <= INT16_MAX;
}

/* The sum of a pair, for bytes within x. */
static struct range pair_range(const int8_t *w, struct range x)
{
    const int32_t a = w[0] * x.lo, b = w[0] * x.hi, c = w[1] * x.lo, d = w[1] * x.hi;

    return (struct range){(a < b ? a : b) + (c < d ? c : d), (a > b ? a : b) + (c > d ? c : d)};
}

static bool pairs_fit(const struct brim_gemm_packed *g, const int8_t *panel, struct range x)
{
    for (size_t i = 0; i < g->quads * QUAD_BYTES; i += 2) {
        if (!fits16(pair_range(panel + i, x))) {
            return false;
        }
    }
    return true;
}

/* Both lanes of every output over `count` quads, at most a block or LONGEST: far from 2^31. */
static bool tile_fits(const int8_t *w, size_t count, struct range x)
{
    struct range lane[2 * BRIM_GEMM_PANEL] = {{0, 0}};

    for (size_t q = 0; q < count; q++, w += QUAD_BYTES) {
        for (size_t i = 0; i < 2 * (size_t)BRIM_GEMM_PANEL; i++) {
            const struct range pair = pair_range(w + 2 * i, x);

            lane[i].lo += pair.lo;
            lane[i].hi += pair.hi;
        }
    }
    for (size_t i = 0; i < 2 * (size_t)BRIM_GEMM_PANEL; i++) {
        if (!fits16(lane[i])) {
            return false;
        }
    }
    return true;
}

static bool tiles_fit(const struct brim_gemm_packed *g, const int8_t *panel, size_t length,
                      struct range x)
{
    for (size_t q = 0; q < g->quads; q += length) {
        if (!tile_fits(panel + q * QUAD_BYTES, brim_min_size(length, g->quads - q), x)) {
            return false;
        }
    }
    return true;
}

static uint8_t bounds(const struct brim_gemm_packed *g, const int8_t *panel, struct range x)
{
    int8_t least = 0;

    for (size_t i = 0; i < g->quads * QUAD_BYTES; i++) {
        least = panel[i] < least ? panel[i] : least;
    }
    return (uint8_t)((x.hi <= 127 ? BRIM_GEMM_X7 : 0) |
                     (least > -128 || x.lo - g->zero > -128 ? BRIM_GEMM_PRODUCT : 0));
}

static struct brim_gemm_proof prove(const struct brim_gemm_packed *g, const int8_t *panel,
                                    struct range x)
{
    struct brim_gemm_proof proof = {.pair = pairs_fit(g, panel, x), .bounds = bounds(g, panel, x)};

    for (unsigned tile = 0; proof.pair && tile < BRIM_GEMM_TILES; tile++) {
        if (tiles_fit(g, panel, brim_gemm_tile_quads(g, tile), x)) {
            proof.tiles |= (uint8_t)(1u << tile);
        }
    }
    return proof;
}

/* ---- all of it ---- */

static brim_status measure(brim_ctx *ctx, const struct brim_gemm_params *p,
                           struct brim_gemm_packed *g)
{
    size_t bytes;

    g->n = p->n;
    g->k = p->k;
    g->segments = p->segments;
    g->segment_quads = (p->k / p->segments + 3) / 4;
    g->quads = g->segments * g->segment_quads; /* at most k */
    g->panel_quads = round_up(g->quads, BRIM_GEMM_QUADS);
    g->panels = (p->n + BRIM_GEMM_PANEL - 1) / BRIM_GEMM_PANEL;
    g->block = g->panel_quads;
    if (g->quads > LONGEST) {
        const size_t blocks = (g->quads + BLOCK - 1) / BLOCK;

        g->block = round_up((g->quads + blocks - 1) / blocks, TILE);
    }
    g->shift = (uint8_t)(p->x_min < 0 ? -p->x_min : 0);
    g->zero = (uint8_t)brim_max_i64(p->x_max + g->shift - 127, 0);
    if (!brim_mul_size(g->panels, g->panel_quads, &bytes) ||
        !brim_mul_size(bytes, QUAD_BYTES, &bytes)) {
        return brim_fail(ctx, BRIM_ERR_NOMEM, "%zu outputs of %zu weights: too large", p->n, p->k);
    }
    return BRIM_OK;
}

brim_status brim_gemm_pack(brim_ctx *ctx, const struct brim_gemm_params *p,
                           struct brim_gemm_packed *out)
{
    BRIM_TRY(check_codes(ctx, p));
    BRIM_TRY(measure(ctx, p, out));
    const struct range x = {p->x_min + out->shift, p->x_max + out->shift};
    const size_t panel_bytes = out->panel_quads * QUAD_BYTES;

    out->w = brim_zalloc(ctx, out->panels, panel_bytes);
    out->proof = brim_zalloc(ctx, out->panels, sizeof *out->proof);
    if (out->w == NULL || out->proof == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < p->n; c++) {
        BRIM_TRY(check_output(ctx, p, c));
        pack_output(out, p->w + c * p->k, c);
    }
    for (size_t i = 0; i < out->panels; i++) {
        out->proof[i] = prove(out, out->w + i * panel_bytes, x);
    }
    if (out->shift != 0 || p->epilogue.offset != NULL) {
        out->offset = brim_alloc(ctx, p->n, sizeof *out->offset);
        if (out->offset == NULL) {
            return BRIM_ERR_NOMEM;
        }
        fill_offsets(out, p);
    }
    return BRIM_OK;
}

void brim_gemm_packed_free(brim_ctx *ctx, struct brim_gemm_packed *packed)
{
    brim_free(ctx, packed->w);
    brim_free(ctx, packed->proof);
    brim_free(ctx, packed->offset);
    brim_free(ctx, packed->start);
}
