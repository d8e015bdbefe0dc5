/* quantize_prepare.c - what every way to a quantized graph begins and ends with: the canonical float
 * graph, each layer's wishes and candidate grids; the certificate. SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <fnmatch.h>
#include <string.h>

#include "api/quantize_flow.h"
#include "base/intops.h"
#include "brim/certify.h"
#include "graph/rewrite.h"

brim_status brim_flow_check(brim_ctx *ctx, const brim_quantize_params *p)
{
    const unsigned a = p->abits;
    const unsigned i = p->input_bits;

    if (a != 0 && (a < 2 || a > 8) && a != 16) {
        return brim_fail(ctx, BRIM_ERR_ARG, "activation bits: %u, expected 2..8 or 16", a);
    }
    if (i != 0 && (i < 2 || i > 8) && i != 16) {
        return brim_fail(ctx, BRIM_ERR_ARG, "input bits: %u, expected 2..8 or 16", i);
    }
    if (p->edge_bits != 0 && (p->edge_bits < 2 || p->edge_bits > 8)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "edge bits: %u, expected 2..8", p->edge_bits);
    }
    if (p->solve.wbits < 2 || p->solve.wbits > 8) {
        return brim_fail(ctx, BRIM_ERR_ARG, "weight bits: %u, expected 2..8", p->solve.wbits);
    }
    if (p->scale_product > 20 || (p->scale_product > 0 && (p->solve.vector.length == 0 ||
                                                           p->solve.vector.scale_bits == 0))) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "scale product: %u bits, expected 1..20 and vectors with integer scales",
                         p->scale_product);
    }
    if (!(p->percentile > 50.0 && p->percentile <= 100.0)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "percentile: %g, expected above 50 and at most 100",
                         p->percentile);
    }
    return BRIM_OK;
}

/* True when `value` is the model's own input, seen through operators that only move data. */
static bool is_model_input(const struct brim_graph *g, int32_t value)
{
    static const char *const moves[] = {"Reshape", "Flatten",   "Transpose",
                                        "Squeeze", "Unsqueeze", "Identity"};

    for (size_t hops = 0; hops <= g->n_nodes; hops++) {
        for (size_t i = 0; i < g->n_inputs; i++) {
            if (g->inputs[i] == value) {
                return true;
            }
        }
        const int32_t p = brim_graph_producer(g, value);
        bool moved = false;
        for (size_t i = 0; p >= 0 && i < sizeof moves / sizeof *moves; i++) {
            moved = moved || strcmp(g->nodes[p].op_type, moves[i]) == 0;
        }
        if (!moved) {
            return false;
        }
        value = g->nodes[p].in[0];
    }
    return false;
}

#define SHORTEST_VECTOR 8

/* Vectors of a convolution divide its channels, so that none straddles two kernel positions. */
static size_t vector_length(const struct brim_dot *d, size_t wanted)
{
    if (d->kind == BRIM_DOT_MATMUL) {
        return wanted < d->k ? wanted : 0;
    }
    const size_t channels = (size_t)(d->conv.c_in / d->conv.groups);
    size_t v = wanted < channels ? wanted : channels;
    while (v >= SHORTEST_VECTOR && channels % v != 0) {
        v--;
    }
    return v >= SHORTEST_VECTOR && v < d->k ? v : 0;
}

/* The layer's vectors, and its datapath with the tiles that they are. */
static void layer_vectors(const struct brim_flow *f, struct brim_flow_layer *l)
{
    const size_t wanted = f->params->solve.vector.length;
    brim_datapath *dp = &l->datapath;

    l->vector = wanted == 0 ? 0 : vector_length(l->dot, wanted);
    if (l->vector == 0) {
        return;
    }
    if (dp->n_stages == 1) {
        dp->stage[1] = (brim_stage){.width = 32};
        dp->stage[0].tile = wanted;
        dp->n_stages = 2;
    }
    for (size_t i = 0; i + 1 < dp->n_stages; i++) {
        dp->stage[i].tile = dp->stage[i].tile == wanted ? l->vector : dp->stage[i].tile;
    }
}

/* Wishes of one layer: the first matching override of each field, then the params. */
static void layer_wishes(const struct brim_flow *f, struct brim_flow_layer *l)
{
    const brim_quantize_params *p = f->params;
    const unsigned edge = l->edge ? p->edge_bits : 0;
    bool datapath_set = false;

    for (size_t i = 0; i < p->n_overrides; i++) {
        const brim_quantize_override *o = &p->overrides[i];
        if (fnmatch(o->pattern, l->dot->name, 0) != 0) {
            continue;
        }
        l->wbits = l->wbits != 0 ? l->wbits : o->wbits;
        l->abits = l->abits != 0 ? l->abits : o->abits;
        l->keep_float = l->keep_float || o->keep_float;
        l->keep_dense = l->keep_dense || o->keep_dense;
        if (o->datapath != NULL && !datapath_set) {
            l->datapath = *o->datapath;
            datapath_set = true;
        }
    }
    if (l->wbits == 0) {
        l->wbits = edge != 0 ? edge : p->wbits_auto ? 8 : p->solve.wbits;
    }
    if (l->abits == 0) {
        l->abits = l->input && p->input_bits != 0 ? p->input_bits : edge != 0 ? edge : p->abits;
    }
    if (!datapath_set) {
        l->datapath = p->datapath;
    }
    l->keep_dense = l->keep_dense || l->input || l->dot->k < 2 * (size_t)p->prune.group;
    layer_vectors(f, l);
}

/* What the layer's output goes into an Add with, when the Add is its only reader. */
static int32_t find_addend(const struct brim_graph *g, int32_t y)
{
    if (brim_graph_count_uses(g, y) != 1) {
        return -1;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        if (strcmp(n->op_type, "Add") == 0 && (n->in[0] == y || n->in[1] == y)) {
            return n->in[0] == y ? n->in[1] : n->in[0];
        }
    }
    return -1;
}

/* A layer can make up for the error of its addend if that depends on earlier waves only. */
static void find_residual(const struct brim_flow *f, struct brim_flow_layer *l, const size_t *level)
{
    const struct brim_graph *g = f->source;
    const int32_t r = find_addend(g, l->dot->y);

    l->residual = -1;
    if (r >= 0 && l->dot->groups == 1 && level[r] > 0 && level[r] <= l->level &&
        g->values[r].constant == NULL && g->values[r].type.shape.rank >= 2 &&
        brim_shape_equal(&g->values[r].type.shape, &g->values[l->dot->y].type.shape)) {
        l->residual = r;
    }
}

/* Level of every layer: how many quantized dot layers the longest path to its input crosses. */
static brim_status find_levels(struct brim_flow *f)
{
    const struct brim_graph *g = f->source;
    size_t *level = brim_arena_zalloc(&f->arena, g->n_values, sizeof *level);
    size_t next = 0;

    if (level == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        size_t deepest = 0;
        for (size_t j = 0; j < n->n_in; j++) {
            if (n->in[j] >= 0) {
                deepest = brim_max_size(deepest, level[n->in[j]]);
            }
        }
        if (next < f->dots.count && f->dots.dot[next].node == i) {
            struct brim_flow_layer *l = &f->layer[next++];
            l->level = deepest;
            f->n_levels = brim_max_size(f->n_levels, deepest + 1);
            deepest += l->keep_float ? 0 : 1;
        }
        for (size_t j = 0; j < n->n_out; j++) {
            if (n->out[j] >= 0) {
                level[n->out[j]] = deepest;
            }
        }
    }
    for (size_t i = 0; i < f->dots.count; i++) {
        find_residual(f, &f->layer[i], level);
    }
    return BRIM_OK;
}

/* Layers that read the model's input, and those behind which no other layer lies. */
static brim_status find_edges(struct brim_flow *f)
{
    const struct brim_graph *g = f->source;
    bool *last = brim_arena_zalloc(&f->arena, g->n_values + 1, sizeof *last);
    size_t next = f->dots.count;

    if (last == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        last[g->outputs[i]] = true;
    }
    for (size_t i = g->n_nodes; i-- > 0;) {
        const struct brim_node *n = &g->nodes[i];
        bool reached = false;
        for (size_t j = 0; j < n->n_out; j++) {
            reached = reached || (n->out[j] >= 0 && last[n->out[j]]);
        }
        if (next > 0 && f->dots.dot[next - 1].node == i) {
            struct brim_flow_layer *l = &f->layer[--next];
            l->input = is_model_input(g, l->dot->x);
            l->edge = l->input || reached;
            continue;
        }
        for (size_t j = 0; reached && j < n->n_in; j++) {
            if (n->in[j] >= 0) {
                last[n->in[j]] = true;
            }
        }
    }
    return BRIM_OK;
}

/* A canonical float graph, its clone to be quantized, and one flow layer per dot layer. */
brim_status brim_flow_prepare(struct brim_flow *f, const brim_graph *graph)
{
    size_t quantized = 0;

    BRIM_TRY(brim_graph_clone(graph, &f->source));
    BRIM_TRY(brim_graph_canonicalise(f->source));
    BRIM_TRY(brim_graph_fold_batchnorm(f->source));
    BRIM_TRY(brim_graph_fold_bias(f->source));
    BRIM_TRY(brim_graph_upgrade(f->source, 13));
    BRIM_TRY(brim_graph_infer(f->source));
    BRIM_TRY(brim_dots_find(f->ctx, f->source, &f->dots));
    f->layer = brim_arena_zalloc(&f->arena, f->dots.count + 1, sizeof *f->layer);
    f->record = brim_arena_zalloc(&f->arena, f->dots.count + 1, sizeof *f->record);
    if (f->layer == NULL || f->record == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < f->dots.count; i++) {
        const struct brim_dot *d = &f->dots.dot[i];
        if (d->codes) {
            return brim_fail(f->ctx, BRIM_ERR_ARG,
                             "layer '%s': is quantized already, expected a float model", d->name);
        }
        f->layer[i].dot = d;
    }
    BRIM_TRY(find_edges(f));
    for (size_t i = 0; i < f->dots.count; i++) {
        layer_wishes(f, &f->layer[i]);
        quantized += f->layer[i].keep_float ? 0 : 1;
    }
    if (quantized == 0) {
        return brim_fail(f->ctx, BRIM_ERR_ARG,
                         "model: has no Conv, Gemm or MatMul with constant weights to quantize");
    }
    BRIM_TRY(find_levels(f));
    return brim_graph_clone(f->source, &f->prefix);
}

/* Does the layer get input scales for its vectors? They need whole vectors of channels. */
static bool vector_inputs(const struct brim_flow *f, const struct brim_flow_layer *l,
                          const struct brim_activation *a)
{
    const struct brim_dot *d = l->dot;
    const size_t channels = d->kind == BRIM_DOT_CONV ? (size_t)d->conv.c_in : d->k;

    return f->params->vector_inputs != BRIM_VECTOR_INPUTS_NONE && l->vector > 0 &&
           f->params->solve.vector.scale_bits > 0 && l->abits <= 8 && a->channels == channels &&
           channels % l->vector == 0;
}

/* Candidate grids of one layer's input from what calibration saw of it. At one accumulator width fewer
 * activation codes leave the weights a larger budget, so `choose` tries half bits too: any number of
 * codes is as good as a power of two when the bound uses the range that the Clip leaves. */
static brim_status choose_grids(struct brim_flow *f, struct brim_flow_layer *l,
                                const struct brim_activation *a)
{
    static const unsigned choices[] = {256, 181, 128, 91, 64, 45, 32, 23, 16, 11, 8};
    const brim_quantize_params *p = f->params;
    const size_t n = l->abits != 0 ? 1 : sizeof choices / sizeof *choices;

    static_assert(sizeof choices / sizeof *choices <= BRIM_MAX_GRIDS, "every choice has a place");
    for (size_t i = 0; i < n; i++) {
        const unsigned codes = l->abits != 0 ? 1U << l->abits : choices[i];
        brim_range_method method = p->range;
        const bool at_run_time =
            vector_inputs(f, l, a) && p->vector_inputs == BRIM_VECTOR_INPUTS_DYNAMIC;
        if (p->range_auto) {
            method = codes < 128 || at_run_time ? BRIM_RANGE_MSE : BRIM_RANGE_MAX;
        }
        const brim_status s = brim_calibrate_grid(f->ctx, a, codes, method, p->percentile,
                                                  p->act_symmetric, &l->grid[l->n_grids++]);
        if (s != BRIM_OK) {
            return brim_fail_at(f->ctx, s, "layer '%s'", l->dot->name);
        }
        if (vector_inputs(f, l, a)) {
            BRIM_TRY(brim_calibrate_vectors(&f->arena, a, l->vector, p->solve.vector.scale_bits,
                                            at_run_time, method, &l->grid[i]));
        }
    }
    return BRIM_OK;
}

/* Ranges of every layer input in one pass over the float network. */
brim_status brim_flow_find_grids(struct brim_flow *f)
{
    const size_t n = f->dots.count;
    int32_t *value = brim_arena_alloc(&f->arena, n, sizeof *value);
    size_t *slot = brim_arena_alloc(&f->arena, n, sizeof *slot);
    struct brim_activation *a = brim_arena_zalloc(&f->arena, n, sizeof *a);
    size_t n_values = 0;

    if (value == NULL || slot == NULL || a == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) { /* layers that share an input share its ranges */
        size_t j = 0;
        while (j < n_values && value[j] != f->layer[i].dot->x) {
            j++;
        }
        value[j] = f->layer[i].dot->x;
        slot[i] = j;
        n_values += j == n_values ? 1 : 0;
    }
    brim_status s = brim_calibrate_activations(f->ctx, f->source, f->calib, value, n_values, a);
    for (size_t i = 0; s == BRIM_OK && i < n; i++) {
        if (!f->layer[i].keep_float) {
            s = choose_grids(f, &f->layer[i], &a[slot[i]]);
        }
    }
    brim_activations_free(f->ctx, a, n_values);
    return s;
}

/* The prover has the last word: what it does not believe is not returned. */
brim_status brim_flow_certify(struct brim_flow *f)
{
    brim_certificate *cert = NULL;

    BRIM_TRY(brim_rewrite_finish(f->prefix));
    BRIM_TRY(brim_graph_set_metadata(f->prefix, "brim.version", brim_version()));
    const brim_status s = brim_certify(f->ctx, f->prefix, NULL, &cert);
    brim_certificate_free(cert);
    return s == BRIM_ERR_REFUTED ? BRIM_ERR_INFEASIBLE : s;
}

void brim_flow_init(struct brim_flow *f)
{
    brim_arena_init(&f->arena, f->ctx);
    brim_arena_init(&f->wave, f->ctx);
}

void brim_flow_close(struct brim_flow *f)
{
    brim_dots_free(&f->dots);
    brim_graph_free(f->prefix);
    brim_graph_free(f->source);
    brim_arena_free(&f->wave);
    brim_arena_free(&f->arena);
}
