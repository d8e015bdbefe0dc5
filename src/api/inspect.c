/* inspect.c - what is in a model, and the accumulator each layer would need.
 * SPDX-License-Identifier: Apache-2.0 */
#include "brim/inspect.h"

#include "base/intops.h"
#include "graph/dot.h"

struct report {
    brim_inspect_report base; /* first: the public pointer is this one */
    struct brim_arena arena;
};

/* Bits of the narrowest type that holds [lo, hi]: unsigned when lo >= 0. */
static unsigned type_bits(int64_t lo, int64_t hi)
{
    const unsigned bits = brim_width_of(lo, hi);

    return lo >= 0 && bits > 1 ? bits - 1 : bits;
}

/* Data-type bound, A2Q (arXiv 2308.13504) eq. (2.1) of docs/algorithms.md, in integers: the
 * narrowest register for k products of any w_bits-bit weight and x_bits-bit input. 64 when wider.
 */
static unsigned data_type_bound(size_t k, unsigned w_bits, unsigned x_bits, bool x_signed)
{
    const unsigned shift = w_bits - 1 + (x_signed ? x_bits - 1 : x_bits);

    if (k > ((uint64_t)INT64_MAX >> shift)) {
        return 64;
    }
    const int64_t sum = (int64_t)((uint64_t)k << shift);
    return brim_width_of(-sum, sum);
}

/* Multiply-accumulates of one sample; 0 when the output's size is not known. */
static uint64_t count_macs(const struct brim_graph *g, const struct brim_dot *d)
{
    const struct brim_shape *s = &g->values[d->y].type.shape;
    uint64_t macs = d->k;

    if (s->rank < 0) {
        return 0;
    }
    for (int i = s->rank > 1 ? 1 : 0; i < s->rank; i++) {
        if (s->dim[i] < 0 || __builtin_mul_overflow(macs, (uint64_t)s->dim[i], &macs)) {
            return 0;
        }
    }
    return macs;
}

/* Bits of the greatest of n integer scales. */
static unsigned bits_of(const uint16_t *code, size_t n)
{
    int64_t most = 0;

    for (size_t i = 0; i < n; i++) {
        most = brim_max_i64(most, code[i]);
    }
    return brim_width_of(0, most) - 1;
}

/* What scales cost, where vectors have their own. */
static void count_scales(const struct brim_dot *d, brim_inspect_layer *l)
{
    const size_t vectors = brim_dot_vectors(d);

    l->weight_bits = l->w_bits;
    l->vector = d->vector;
    if (d->vector == 0) {
        return;
    }
    l->scale_bits = d->w_code != NULL ? bits_of(d->w_code, d->n * vectors) : 32;
    l->x_scale_bits =
        d->x_code == NULL
            ? d->x_scale_bits
            : bits_of(d->x_code, d->kind == BRIM_DOT_CONV ? (size_t)d->conv.c_in : d->k);
    l->product_shift = d->product_shift;
    l->weight_bits += (double)(vectors * l->scale_bits) / (double)d->k;
}

static brim_status bound_codes(brim_ctx *ctx, const struct brim_dot *d, brim_inspect_layer *l)
{
    const brim_datapath whole = {.n_stages = 1, .stage = {{.width = 64}}};
    const brim_datapath vectors = {.n_stages = 2,
                                   .stage = {{.width = 64, .tile = d->vector}, {.width = 64}}};
    int64_t lo = 0, hi = 0;

    for (size_t i = 0; i < d->n * d->k; i++) {
        lo = brim_min_i64(lo, d->w[i]);
        hi = brim_max_i64(hi, d->w[i]);
    }
    for (size_t c = 0; c < d->n; c++) {
        unsigned need[BRIM_MAX_STAGES] = {0};
        brim_factors factors;
        BRIM_TRY(brim_datapath_need_scaled(ctx, d->vector > 0 ? &vectors : &whole,
                                           brim_dot_factors(d, c, &factors), d->w + c * d->k, d->k,
                                           d->x_min, d->x_max, need, NULL));
        l->need = need[0] > l->need ? need[0] : l->need;
        l->need_outer = d->factor != NULL && need[1] > l->need_outer ? need[1] : l->need_outer;
    }
    l->x_min = d->x_min;
    l->x_max = d->x_max;
    l->w_bits = brim_width_of(lo, hi);
    l->type_width = data_type_bound(d->vector > 0 ? d->vector : d->k, l->w_bits,
                                    type_bits(d->x_min, d->x_max), d->x_min < 0);
    count_scales(d, l);
    return BRIM_OK;
}

static brim_status inspect_layer(const struct brim_graph *g, const struct brim_dot *d,
                                 struct brim_arena *arena, brim_inspect_layer *l)
{
    *l = (brim_inspect_layer){
        .k = d->k,
        .n = d->n,
        .groups = d->groups,
        .macs = count_macs(g, d),
        .codes = d->codes,
        .type_width = data_type_bound(d->k, 8, 8, false),
        .has_datapath = d->has_datapath,
        .datapath = d->datapath,
    };
    l->name = brim_arena_strdup(arena, d->name);
    l->op_type = brim_arena_strdup(arena, g->nodes[d->node].op_type);
    if (l->name == NULL || l->op_type == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (d->codes) {
        const brim_status s = bound_codes(g->ctx, d, l);
        return s == BRIM_OK ? s : brim_fail_at(g->ctx, s, "layer '%s'", d->name);
    }
    return BRIM_OK;
}

static size_t count_parameters(const struct brim_graph *g)
{
    size_t total = 0;

    for (size_t i = 0; i < g->n_values; i++) {
        const int64_t n = g->values[i].constant != NULL
                              ? brim_shape_count(&g->values[i].constant->type.shape)
                              : 0;
        total += n > 0 ? (size_t)n : 0;
    }
    return total;
}

static brim_status inspect_all(const struct brim_graph *g, const struct brim_dots *dots,
                               struct report *r)
{
    brim_inspect_layer *layer = brim_arena_zalloc(&r->arena, dots->count, sizeof *layer);

    if (layer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < dots->count; i++) {
        BRIM_TRY(inspect_layer(g, &dots->dot[i], &r->arena, &layer[i]));
    }
    r->base = (brim_inspect_report){.n_layers = dots->count,
                                    .layers = layer,
                                    .nodes = g->n_nodes,
                                    .parameters = count_parameters(g)};
    return BRIM_OK;
}

brim_status brim_inspect(brim_ctx *ctx, const brim_graph *graph, brim_inspect_report **report)
{
    struct brim_dots dots;

    *report = NULL;
    brim_clear_error(ctx);
    struct report *r = brim_zalloc(ctx, 1, sizeof *r);
    if (r == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&r->arena, ctx);
    brim_status s = brim_dots_find(ctx, graph, &dots);
    if (s == BRIM_OK) {
        s = inspect_all(graph, &dots, r);
        brim_dots_free(&dots);
    }
    if (s != BRIM_OK) {
        brim_inspect_report_free(&r->base);
        return s;
    }
    *report = &r->base;
    return BRIM_OK;
}

void brim_inspect_report_free(brim_inspect_report *report)
{
    struct report *r = (struct report *)report;

    if (r != NULL) {
        brim_ctx *ctx = r->arena.ctx;
        brim_arena_free(&r->arena);
        brim_free(ctx, r);
    }
}
