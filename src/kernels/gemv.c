/* gemv.c - packing, choice and driver of gemv. SPDX-License-Identifier: Apache-2.0
 *
 * A run copies its rows, as bytes 0..255 filled up to whole blocks, adds them up, and goes through
 * the panels once. Cost of the copy: m * k bytes beside n * k * bits / 8 of weights.
 */
#include "kernels/gemv.h"
#include "base/intops.h"
#include "kernels/gemv_variant.h"

#include <assert.h>
#include <string.h>

#define K_MAX (1 << 19)   /* 2-bit totals may be held times 4: 255 * 3 * 4 * 2^19 < 2^31 */
#define CHUNK ((size_t)8) /* panels between two epilogues: their totals stay in L1 */

struct brim_gemv {
    const struct brim_gemv_variant *variant;
    brim_gemv_run_tile *run;
    const struct brim_epilogue_variant *finish;
    struct brim_epilogue epilogue;
    size_t n, k, k_filled, panels, panel_bytes;
    int32_t unsign; /* what packing adds to a code */
    uint8_t flip;   /* 0x80 makes int8_t a byte 0..255 */
    struct brim_arena arena;
    int32_t *offset;
    uint8_t *w;
};

/* ---- creation ---- */

static brim_status check_params(brim_ctx *ctx, const struct brim_gemv_params *p)
{
    const int32_t least = p->x_signed ? -128 : 0;

    if (p->n == 0 || p->k == 0 || p->k > K_MAX) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "gemv: %zu outputs of %zu inputs, expected 1..%d inputs", p->n, p->k,
                         K_MAX);
    }
    if (p->bits != 2 && p->bits != 4 && p->bits != 8) {
        return brim_fail(ctx, BRIM_ERR_ARG, "gemv: weights of %u bits, expected 2, 4 or 8",
                         p->bits);
    }
    if (p->x_min < least || p->x_max > least + 255 || p->x_min > p->x_max) {
        return brim_fail(ctx, BRIM_ERR_ARG, "gemv: input codes %d..%d, expected %d..%d", p->x_min,
                         p->x_max, least, least + 255);
    }
    return BRIM_OK;
}

/* One output: its weights are codes, its total with its offset stays in 32 bits. Gives the offset
 * that goes with bytes of x, modulo 2^32 as totals are on the way. */
static brim_status check_output(brim_ctx *ctx, const struct brim_gemv_params *p, size_t c,
                                int32_t *offset)
{
    const int32_t half = 1 << (p->bits - 1);
    int64_t sum = 0, lo = p->epilogue.offset != NULL ? p->epilogue.offset[c] : 0, hi = lo;

    *offset = (int32_t)lo;
    for (size_t k = 0; k < p->k; k++) {
        const int64_t w = p->w[c * p->k + k];
        if (w < -half || w >= half) {
            return brim_fail(ctx, BRIM_ERR_ARG, "gemv: weight %lld of output %zu, expected %d..%d",
                             (long long)w, c, -half, half - 1);
        }
        sum += w;
        lo += w < 0 ? w * p->x_max : w * p->x_min;
        hi += w < 0 ? w * p->x_min : w * p->x_max;
    }
    if (lo <= INT32_MIN || hi > INT32_MAX) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "gemv: totals of output %zu may reach %lld..%lld, expected 32 bits", c,
                         (long long)lo, (long long)hi);
    }
    *offset = (int32_t)((uint32_t)*offset - (p->x_signed ? 128 : 0) * (uint32_t)sum);
    return BRIM_OK;
}

static void pack(struct brim_gemv *g, const struct brim_gemv_params *p)
{
    const size_t per_byte = 8 / p->bits;

    for (size_t c = 0; c < g->n; c++) {
        uint8_t *panel = g->w + c / BRIM_GEMV_PANEL * g->panel_bytes + c % BRIM_GEMV_PANEL * 4;
        for (size_t k = 0; k < g->k; k++) {
            const size_t quad = k / 4;
            const uint32_t code = (uint32_t)(p->w[c * g->k + k] + g->unsign) & 0xff;
            panel[quad / per_byte * 64 + k % 4] |= (uint8_t)(code << quad % per_byte * p->bits);
        }
    }
}

static brim_status choose(brim_ctx *ctx, const struct brim_gemv_params *p, struct brim_gemv *g)
{
    for (size_t i = 0; i < brim_gemv_variant_count; i++) {
        const struct brim_gemv_variant *v = brim_gemv_variants[i];
        if ((v->isa & ~ctx->isa) == 0 && (!p->variant || strcmp(p->variant, v->name) == 0)) {
            g->variant = v;
        }
    }
    if (g->variant == NULL) {
        return brim_fail(ctx, BRIM_ERR_ARG, "gemv: no variant '%s' on this processor", p->variant);
    }
    g->run = g->variant->run[p->bits == 2 ? BRIM_GEMV_2 : p->bits == 4 ? BRIM_GEMV_4 : BRIM_GEMV_8];
    return BRIM_OK;
}

static brim_status fill(brim_ctx *ctx, const struct brim_gemv_params *p, struct brim_gemv *g)
{
    BRIM_TRY(check_params(ctx, p));
    BRIM_TRY(choose(ctx, p, g));
    g->n = p->n;
    g->k = p->k;
    g->k_filled = (p->k + BRIM_GEMV_K - 1) / BRIM_GEMV_K * BRIM_GEMV_K;
    g->panels = (p->n + BRIM_GEMV_PANEL - 1) / BRIM_GEMV_PANEL;
    g->panel_bytes = g->k_filled * BRIM_GEMV_PANEL * p->bits / 8;
    g->unsign = p->bits < 8 ? 1 << (p->bits - 1) : 0;
    g->flip = p->x_signed ? 0x80 : 0;
    g->offset = brim_arena_alloc(&g->arena, g->n, sizeof *g->offset);
    g->w = brim_arena_zalloc(&g->arena, g->panels, g->panel_bytes);
    if (g->offset == NULL || g->w == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < g->n; c++) {
        BRIM_TRY(check_output(ctx, p, c, &g->offset[c]));
    }
    pack(g, p);
    g->epilogue = p->epilogue;
    g->epilogue.offset = g->offset;
    g->finish = brim_epilogue_choose(ctx->isa);
    return BRIM_OK;
}

brim_status brim_gemv_create(brim_ctx *ctx, const struct brim_gemv_params *p,
                             struct brim_gemv **gemv)
{
    struct brim_gemv *g = brim_zalloc(ctx, 1, sizeof *g);

    *gemv = NULL;
    if (g == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&g->arena, ctx);
    const brim_status status = fill(ctx, p, g);
    if (status != BRIM_OK) {
        brim_gemv_free(ctx, g);
        return status;
    }
    *gemv = g;
    return BRIM_OK;
}

void brim_gemv_free(brim_ctx *ctx, struct brim_gemv *gemv)
{
    if (gemv != NULL) {
        brim_arena_free(&gemv->arena);
        brim_free(ctx, gemv);
    }
}

const struct brim_gemv_variant *brim_gemv_chosen(const struct brim_gemv *gemv)
{
    return gemv->variant;
}

/* ---- runs ---- */

size_t brim_gemv_scratch(const struct brim_gemv *gemv)
{
    return BRIM_GEMV_ROWS * gemv->k_filled;
}

#define EVEN_BYTES UINT64_C(0x00ff00ff00ff00ff)

/* The sum of `k` bytes, a multiple of 8: four 16-bit sums side by side take 128 words. */
static int32_t sum_bytes(const uint8_t *x, size_t k)
{
    uint64_t sum = 0;

    for (size_t at = 0; at < k;) {
        const size_t end = brim_min_size(k, at + 1024);
        uint64_t four = 0, word;
        for (; at < end; at += sizeof word) {
            memcpy(&word, x + at, sizeof word);
            four += (word & EVEN_BYTES) + (word >> 8 & EVEN_BYTES);
        }
        sum += (four & 0xffff) + (four >> 16 & 0xffff) + (four >> 32 & 0xffff) + (four >> 48);
    }
    return (int32_t)sum;
}

static void copy_row(const struct brim_gemv *g, const uint8_t *restrict x, uint8_t *restrict bytes)
{
    for (size_t k = 0; k < g->k; k++) {
        bytes[k] = x[k] ^ g->flip;
    }
    memset(bytes + g->k, 0, g->k_filled - g->k);
}

static size_t element_size(enum brim_emit emit)
{
    return emit == BRIM_EMIT_CODES ? 1 : 4;
}

void brim_gemv_run(const struct brim_gemv *gemv, const struct brim_gemv_rows *rows)
{
    uint8_t *const bytes = rows->scratch, *const y = rows->y;
    int32_t start[BRIM_GEMV_ROWS];
    int32_t total[BRIM_GEMV_ROWS * CHUNK * BRIM_GEMV_PANEL];
    const size_t stride = CHUNK * BRIM_GEMV_PANEL, most = gemv->variant->rows;

    assert(rows->m >= 1 && rows->m <= BRIM_GEMV_ROWS);
    for (size_t i = 0; i < rows->m; i++) {
        uint8_t *const row = bytes + i * gemv->k_filled;
        copy_row(gemv, (const uint8_t *)rows->x + i * rows->x_stride, row);
        start[i] = gemv->unsign == 0 ? 0 : -gemv->unsign * sum_bytes(row, gemv->k_filled);
    }
    for (size_t panel = 0; panel < gemv->panels; panel += CHUNK) {
        const size_t panels = gemv->panels - panel < CHUNK ? gemv->panels - panel : CHUNK;
        const size_t first = panel * BRIM_GEMV_PANEL, left = gemv->n - first;

        for (size_t i = 0; i < rows->m; i += most) {
            gemv->run(&(struct brim_gemv_tile){
                .rows = (unsigned)(rows->m - i < most ? rows->m - i : most),
                .panels = panels,
                .k = gemv->k_filled,
                .x = bytes + i * gemv->k_filled,
                .x_stride = gemv->k_filled,
                .w = gemv->w + panel * gemv->panel_bytes,
                .start = start + i,
                .y = total + i * stride,
                .y_stride = stride,
            });
        }
        gemv->finish->run(&gemv->epilogue, &(struct brim_epilogue_block){
                                               .total = total,
                                               .stride = stride,
                                               .rows = rows->m,
                                               .columns = left < stride ? left : stride,
                                               .first = first,
                                               .y = y + first * element_size(gemv->epilogue.emit),
                                               .y_stride = rows->y_stride,
                                           });
    }
}
