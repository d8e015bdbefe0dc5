/* bench_list.c - every kernel there is, and the ones that a model's layers get.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "brim/bench.h"
#include "brim/datapath.h"
#include "kernels/depthwise_variant.h"
#include "kernels/epilogue.h"
#include "kernels/gemm_variant.h"
#include "kernels/gemv_variant.h"
#include "kernels/lookup_variant.h"
#include "kernels/simulate_variant.h"
#include "kernels/sparse_gather.h"
#include "run/plan.h"

#define MAX_KERNELS 128

struct list {
    brim_bench_list pub; /* first: freed by this address */
    struct brim_arena arena;
    brim_bench_kernel kernel[MAX_KERNELS];
};

/* ---- kernels ---- */

static const struct {
    uint32_t bit;
    const char *name;
} sets[] = {
    {BRIM_ISA_SSE41, "SSE4.1"},
    {BRIM_ISA_AVX2, "AVX2"},
    {BRIM_ISA_AVXVNNI, "AVX-VNNI"},
    {BRIM_ISA_AVX512, "AVX-512"},
    {BRIM_ISA_AVX512VNNI, "AVX-512 VNNI"},
    {BRIM_ISA_AVX512VBMI, "AVX-512 VBMI"},
    {BRIM_ISA_AMX, "AMX"},
    {BRIM_ISA_NEON, "NEON"},
    {BRIM_ISA_DOTPROD, "NEON dot products"},
    {BRIM_ISA_SIMD128, "WASM SIMD"},
    {BRIM_ISA_RELAXED, "WASM relaxed SIMD"},
};

/* NULL when out of memory. */
static const char *cpu_text(struct brim_arena *a, uint32_t isa)
{
    const char *text = isa == 0 ? "any" : "";

    for (size_t i = 0; i < sizeof sets / sizeof *sets && text != NULL; i++) {
        if ((isa & sets[i].bit) != 0) {
            text = brim_arena_printf(a, "%s%s%s", text, text[0] != '\0' ? ", " : "", sets[i].name);
        }
    }
    return text;
}

static brim_status add(struct list *l, const char *family, const char *name, uint32_t isa,
                       const char *asks)
{
    brim_ctx *ctx = l->arena.ctx;
    const char *cpu = cpu_text(&l->arena, isa);

    if (cpu == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (l->pub.n_kernels == MAX_KERNELS) {
        return brim_fail(ctx, BRIM_ERR_INTERNAL, "more than %d kernels", MAX_KERNELS);
    }
    l->kernel[l->pub.n_kernels++] = (brim_bench_kernel){.family = family,
                                                        .name = name,
                                                        .cpu = cpu,
                                                        .asks = asks,
                                                        .present = (isa & ~ctx->isa) == 0};
    return BRIM_OK;
}

static const char *gemm_asks(enum brim_gemm_need need)
{
    switch (need) {
    case BRIM_GEMM_PAIR:
        return "sums of two products fit 16 bits";
    case BRIM_GEMM_LANE:
        return "sums over a tile fit 16 bits";
    case BRIM_GEMM_ANY:
        break;
    }
    return "";
}

static brim_status add_products(struct list *l)
{
    for (size_t i = 0; i < brim_gemm_variant_count; i++) {
        const struct brim_gemm_variant *v = brim_gemm_variants[i];
        BRIM_TRY(add(l, "gemm", v->name, v->isa, gemm_asks(v->need)));
    }
    for (size_t i = 0; i < brim_gemv_variant_count; i++) {
        const struct brim_gemv_variant *v = brim_gemv_variants[i];
        BRIM_TRY(add(l, "gemv", v->name, v->isa, "at most 4 rows"));
    }
    for (size_t i = 0; i < brim_lookup_variant_count; i++) {
        const struct brim_lookup_variant *v = brim_lookup_variants[i];
        BRIM_TRY(
            add(l, "lookup", v->name, v->isa, "weights of 2 bits, sums over a tile fit 8 bits"));
    }
    for (size_t i = 0; i < brim_depthwise_variant_count; i++) {
        const struct brim_depthwise_variant *v = brim_depthwise_variants[i];
        BRIM_TRY(add(l, "depthwise", v->name, v->isa, "as many groups as channels"));
    }
    for (size_t i = 0; i < brim_sparse_gather_count; i++) {
        const struct brim_sparse_gather *v = brim_sparse_gathers[i];
        BRIM_TRY(add(l, "sparse", v->name, v->isa, "zeros at the same places of many outputs"));
    }
    return BRIM_OK;
}

static brim_status add_kernels(struct list *l)
{
    BRIM_TRY(add_products(l));
    for (size_t i = 0; i < brim_simulate_variant_count; i++) {
        const struct brim_simulate_variant *v = brim_simulate_variants[i];
        BRIM_TRY(add(l, "simulate", v->name, v->isa, ""));
    }
    for (size_t i = 0; i < brim_epilogue_variant_count; i++) {
        const struct brim_epilogue_variant *v = &brim_epilogue_variants[i];
        BRIM_TRY(add(l, "epilogue", v->name, v->isa, ""));
    }
    l->pub.kernels = l->kernel;
    return BRIM_OK;
}

/* ---- layers ---- */

static brim_status add_layer(struct list *l, const struct brim_plan *plan, size_t i,
                             brim_bench_layer *layer)
{
    const struct brim_dot *d = &brim_plan_dots(plan)->dot[i];
    char text[BRIM_DATAPATH_TEXT] = "exact";
    const brim_datapath *dp = NULL;
    struct brim_choice choice = {.family = "float", .variant = "-", .why = "no integer codes"};

    if (brim_plan_dot_choice(plan, i, &choice) && brim_plan_dot_runs(plan, i, &dp) && dp != NULL) {
        brim_datapath_print(dp, text);
    }
    *layer = (brim_bench_layer){.name = brim_arena_strdup(&l->arena, d->name),
                                .k = d->k,
                                .n = d->n,
                                .datapath = brim_arena_strdup(&l->arena, text),
                                .family = choice.family,
                                .kernel = choice.variant,
                                .why = brim_arena_strdup(&l->arena, choice.why)};
    return layer->name == NULL || layer->datapath == NULL || layer->why == NULL ? BRIM_ERR_NOMEM
                                                                                : BRIM_OK;
}

static brim_status add_layers(struct list *l, const struct brim_plan *plan)
{
    const size_t n = brim_plan_dots(plan)->count;
    brim_bench_layer *layer = brim_arena_zalloc(&l->arena, n + 1, sizeof *layer);

    if (layer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        BRIM_TRY(add_layer(l, plan, i, &layer[i]));
    }
    l->pub.layers = layer;
    l->pub.n_layers = n;
    return BRIM_OK;
}

/* ---- the whole ---- */

static brim_status fill(struct list *l, const brim_graph *graph)
{
    const struct brim_plan_params p = {.count = false};
    struct brim_plan *plan;

    BRIM_TRY(add_kernels(l));
    if (graph == NULL) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_plan_create(l->arena.ctx, graph, &p, &plan));
    const brim_status status = add_layers(l, plan);
    brim_plan_free(plan);
    return status;
}

brim_status brim_bench_list_create(brim_ctx *ctx, const brim_graph *graph, brim_bench_list **list)
{
    brim_clear_error(ctx);
    struct list *l = brim_zalloc(ctx, 1, sizeof *l);
    if (l == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&l->arena, ctx);
    const brim_status status = fill(l, graph);
    if (status != BRIM_OK) {
        brim_bench_list_free(&l->pub);
        return status;
    }
    *list = &l->pub;
    return BRIM_OK;
}

void brim_bench_list_free(brim_bench_list *list)
{
    if (list == NULL) {
        return;
    }
    struct list *l = (struct list *)list; /* pub is its first member */
    brim_ctx *ctx = l->arena.ctx;

    brim_arena_free(&l->arena);
    brim_free(ctx, l);
}
