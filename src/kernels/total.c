/* total.c - see total.h. SPDX-License-Identifier: Apache-2.0
 *
 * What is tried, in this order, and when (docs/performance.md has the figures behind it):
 *
 *     gemv    up to BRIM_GEMV_ROWS rows, weights of at most 4 bits   half the bytes to read, or less
 *     lookup  as brim_lookup_pays() says
 *     sparse  a pattern that blocks of 16 or 32 outputs share and that keeps at most half, from
 *             SPARSE_ROWS rows on: below, gathering costs what it saves
 *     gemm
 */
#include "kernels/total.h"

#include <stdio.h>

#include "base/cpu.h"
#include "base/intops.h"
#include "kernels/gemm_variant.h"
#include "kernels/gemv.h"
#include "kernels/gemv_variant.h"
#include "kernels/lookup.h"
#include "kernels/lookup_variant.h"
#include "kernels/sparse.h"

#define SPARSE_ROWS  16
#define SPARSE_LEAST 64 /* inputs: shorter rows are gathered for nothing */

struct brim_total {
    size_t k;
    unsigned bits; /* of the widest weight */
    struct brim_gemm *gemm;
    struct brim_gemv *gemv; /* these: NULL where they do not apply */
    struct brim_lookup *lookup;
    struct brim_sparse *sparse;
    unsigned keep, group, block; /* of sparse */
};

/* ---- what the weights are ---- */

static unsigned weight_bits(const struct brim_gemm_params *p)
{
    int64_t lo = 0, hi = 0;

    for (size_t i = 0; i < p->n * p->k; i++) {
        lo = brim_min_i64(lo, p->w[i]);
        hi = brim_max_i64(hi, p->w[i]);
    }
    unsigned bits = 2;
    while (lo < -(INT64_C(1) << (bits - 1)) || hi >= INT64_C(1) << (bits - 1)) {
        bits++;
    }
    return bits;
}

/* The most positions of a group that some block of outputs keeps. */
static unsigned kept(const struct brim_gemm_params *p, unsigned group, unsigned block)
{
    unsigned most = 0;

    for (size_t c = 0; c < p->n; c += block) {
        for (size_t at = 0; at < p->k; at += group) {
            unsigned count = 0;
            for (size_t i = at; i < brim_min_size(at + group, p->k); i++) {
                bool any = false;
                for (size_t r = c; r < brim_min_size(c + block, p->n) && !any; r++) {
                    any = p->w[r * p->k + i] != 0;
                }
                count += any;
            }
            most = count > most ? count : most;
        }
    }
    return most;
}

/* ---- creation ---- */

/* A family may refuse weights that gemm takes; that is no failure here. */
static brim_status optional(brim_ctx *ctx, brim_status s)
{
    if (s == BRIM_ERR_ARG || s == BRIM_ERR_UNSUPPORTED) {
        brim_clear_error(ctx);
        return BRIM_OK;
    }
    return s;
}

static brim_status try_gemv(brim_ctx *ctx, const struct brim_gemm_params *p, struct brim_total *t)
{
    const struct brim_gemv_params g = {.w = p->w,
                                       .n = p->n,
                                       .k = p->k,
                                       .bits = t->bits <= 2 ? 2 : 4,
                                       .x_min = p->x_min,
                                       .x_max = p->x_max,
                                       .x_signed = p->x_signed,
                                       .epilogue = p->epilogue};

    return t->bits > 4 ? BRIM_OK : optional(ctx, brim_gemv_create(ctx, &g, &t->gemv));
}

static brim_status try_lookup(brim_ctx *ctx, const struct brim_gemm_params *p, struct brim_total *t)
{
    const struct brim_lookup_params l = {.w = p->w,
                                         .n = p->n,
                                         .k = p->k,
                                         .segments = 1,
                                         .x_min = p->x_min,
                                         .x_max = p->x_max,
                                         .x_signed = p->x_signed,
                                         .epilogue = p->epilogue};

    return t->bits > 2 ? BRIM_OK : optional(ctx, brim_lookup_create(ctx, &l, &t->lookup));
}

static brim_status try_sparse(brim_ctx *ctx, const struct brim_gemm_params *p, struct brim_total *t)
{
    static const struct {
        unsigned group, block;
    } shapes[] = {{4, 32}, {4, 16}, {16, 32}, {16, 16}};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && p->k >= SPARSE_LEAST; i++) {
        const unsigned keep = kept(p, shapes[i].group, shapes[i].block);
        if (keep == 0 || 2 * keep > shapes[i].group) {
            continue;
        }
        t->keep = keep;
        t->group = shapes[i].group;
        t->block = shapes[i].block;
        const struct brim_sparse_params s = {.w = p->w,
                                             .n = p->n,
                                             .k = p->k,
                                             .keep = keep,
                                             .group = t->group,
                                             .block = t->block,
                                             .x_min = p->x_min,
                                             .x_max = p->x_max,
                                             .x_signed = p->x_signed,
                                             .epilogue = p->epilogue};
        return optional(ctx, brim_sparse_create(ctx, &s, &t->sparse));
    }
    return BRIM_OK;
}

static brim_status fill(brim_ctx *ctx, const struct brim_gemm_params *p, struct brim_total *t)
{
    struct brim_gemm_params g = *p;

    g.variant = NULL;
    BRIM_TRY(brim_gemm_create(ctx, &g, &t->gemm));
    t->k = p->k;
    t->bits = weight_bits(p);
    BRIM_TRY(try_gemv(ctx, p, t));
    BRIM_TRY(try_lookup(ctx, p, t));
    return try_sparse(ctx, p, t);
}

brim_status brim_total_create(brim_ctx *ctx, const struct brim_gemm_params *p,
                              struct brim_total **total)
{
    struct brim_total *t = brim_zalloc(ctx, 1, sizeof *t);

    if (t == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const brim_status s = fill(ctx, p, t);
    if (s != BRIM_OK) {
        brim_total_free(ctx, t);
        return s;
    }
    *total = t;
    return BRIM_OK;
}

void brim_total_free(brim_ctx *ctx, struct brim_total *total)
{
    if (total != NULL) {
        brim_gemm_free(ctx, total->gemm);
        brim_gemv_free(ctx, total->gemv);
        brim_lookup_free(ctx, total->lookup);
        brim_sparse_free(ctx, total->sparse);
        brim_free(ctx, total);
    }
}

/* ---- the choice ---- */

enum family { GEMM, GEMV, LOOKUP, SPARSE };

static enum family family_for(const struct brim_total *t, size_t m)
{
    if (t->lookup != NULL && brim_lookup_pays(t->lookup, m)) {
        return LOOKUP;
    }
    if (t->gemv != NULL && m >= 1 && m <= BRIM_GEMV_ROWS) {
        return GEMV;
    }
    return t->sparse != NULL && m >= SPARSE_ROWS ? SPARSE : GEMM;
}

void brim_total_choice(const struct brim_total *t, size_t m, struct brim_choice *choice)
{
    switch (family_for(t, m)) {
    case GEMM:
        brim_gemm_choice(t->gemm, m, choice);
        break;
    case GEMV:
        choice->family = "gemv";
        choice->variant = brim_gemv_chosen(t->gemv)->name;
        (void)snprintf(choice->why, sizeof choice->why,
                       "few rows, weights of %u bits: fewer bytes to read", t->bits);
        break;
    case LOOKUP:
        choice->family = "lookup";
        choice->variant = brim_lookup_chosen(t->lookup)->name;
        (void)snprintf(choice->why, sizeof choice->why,
                       "weights of 2 bits: sums from tables, certified for 8-bit sums of %.0f "
                       "products",
                       brim_lookup_tile(t->lookup));
        break;
    case SPARSE:
        choice->family = "sparse";
        choice->variant = brim_sparse_chosen(t->sparse, m)->name;
        (void)snprintf(choice->why, sizeof choice->why,
                       "%u outputs share a pattern that keeps %u of %u inputs", t->block, t->keep,
                       t->group);
        break;
    }
}

/* ---- run ---- */

size_t brim_total_scratch(const struct brim_total *t, size_t m)
{
    switch (family_for(t, m)) {
    case GEMV:
        return brim_gemv_scratch(t->gemv);
    case LOOKUP:
        return brim_lookup_scratch(t->lookup, m);
    case SPARSE:
        return brim_sparse_scratch(t->sparse, m);
    case GEMM:
        break;
    }
    return brim_gemm_scratch(t->gemm, m);
}

void brim_total_run(const struct brim_total *t, const struct brim_gemm_rows *r)
{
    const struct brim_gemv_rows few = {.m = r->m,
                                       .x = r->x,
                                       .x_stride = r->x_stride,
                                       .y = r->y,
                                       .y_stride = r->y_stride,
                                       .scratch = r->scratch};
    const struct brim_sparse_rows gathered = {.m = r->m,
                                              .x = r->x,
                                              .x_stride = r->x_stride,
                                              .y = r->y,
                                              .y_stride = r->y_stride,
                                              .scratch = r->scratch};

    switch (family_for(t, r->m)) {
    case GEMM:
        brim_gemm_run(t->gemm, r);
        break;
    case GEMV:
        brim_gemv_run(t->gemv, &few);
        break;
    case LOOKUP:
        brim_lookup_run(t->lookup, r);
        break;
    case SPARSE:
        brim_sparse_run(t->sparse, &gathered);
        break;
    }
}
