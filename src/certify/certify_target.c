/* certify_target.c - prove every dot layer of a graph on a named target. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Products of two computed integer tensors (attention) are no dot layers, but a target's kernels
 * add them up all the same. Nothing is known of them but their types: they are judged as a layer
 * of two outputs, one with all weights the greatest value of their type and one with the least.
 */
#include <string.h>

#include "certify/prove_target.h"

struct report {
    brim_target_report base;
    struct brim_arena arena;
};

static bool is_any(const struct brim_node *n, const char *const *ops, size_t count)
{
    for (size_t i = 0; i < count && n->domain[0] == '\0'; i++) {
        if (strcmp(n->op_type, ops[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- products of two computed tensors ---- */

/* The integer values that a node multiplies: -1, -1 when it multiplies no two computed ones. */
struct factors {
    int32_t x, w;
    bool conv;
};

static int32_t behind_dequantize(const struct brim_graph *g, const int32_t *producer, int32_t v)
{
    static const char *const dequantize[] = {"DequantizeLinear"};
    const struct brim_node *n = v < 0 || producer[v] < 0 ? NULL : &g->nodes[producer[v]];

    return n != NULL && is_any(n, dequantize, 1) ? n->in[0] : -1;
}

static struct factors factors_of(const struct brim_graph *g, const int32_t *producer,
                                 const struct brim_node *n)
{
    static const char *const qlinear[] = {"QLinearConv", "QLinearMatMul"};
    static const char *const integer[] = {"ConvInteger", "MatMulInteger"};
    static const char *const qdq[] = {"Conv", "MatMul", "Gemm"};
    struct factors f = {-1, -1, strstr(n->op_type, "Conv") != NULL};

    if (is_any(n, qlinear, 2) && n->n_in > 3) {
        f.x = n->in[0];
        f.w = n->in[3];
    } else if (is_any(n, integer, 2) && n->n_in > 1) {
        f.x = n->in[0];
        f.w = n->in[1];
    } else if (is_any(n, qdq, 3) && n->n_in > 1) {
        f.x = behind_dequantize(g, producer, n->in[0]);
        f.w = behind_dequantize(g, producer, n->in[1]);
    }
    if (f.x < 0 || f.w < 0 || g->values[f.x].constant != NULL || g->values[f.w].constant != NULL) {
        return (struct factors){-1, -1, false};
    }
    return f;
}

static brim_status unknown_length(const struct brim_graph *g, const struct brim_node *n, int32_t v,
                                  int axis)
{
    return brim_fail(g->ctx, BRIM_ERR_ARG,
                     "node '%s' (%s): dimension %d of '%s' is not known, so neither is the length "
                     "of its sums, expected a model with that dimension fixed",
                     n->name, n->op_type, axis, g->values[v].name);
}

/* How many products are in a sum. */
static brim_status length_of(const struct brim_graph *g, const struct brim_node *n,
                             const struct factors *f, size_t *k)
{
    const struct brim_shape *s = &g->values[f->conv ? f->w : f->x].type.shape;
    const int32_t v = f->conv ? f->w : f->x;
    int first = 1, last = s->rank - 1; /* a filter: all but its outputs */

    if (!f->conv) {
        const bool transposed = strcmp(n->op_type, "Gemm") == 0 && brim_node_int(n, "transA", 0);
        first = last = transposed ? 0 : s->rank - 1;
    }
    if (s->rank < 1) {
        return unknown_length(g, n, v, 0);
    }
    *k = 1;
    for (int i = first; i <= last; i++) {
        if (s->dim[i] < 0) {
            return unknown_length(g, n, v, i);
        }
        if (!brim_mul_size(*k, (size_t)s->dim[i], k) || *k > INT32_MAX / 8) {
            return brim_fail(g->ctx, BRIM_ERR_UNSUPPORTED, "node '%s' (%s): its sums are too long",
                             n->name, n->op_type);
        }
    }
    return BRIM_OK;
}

static bool is_code(enum brim_dtype t)
{
    return t == BRIM_INT4 || t == BRIM_UINT4 || t == BRIM_INT8 || t == BRIM_UINT8 ||
           t == BRIM_INT16 || t == BRIM_UINT16;
}

/* A layer with the extremes of the weights' type; *found is false for other types. */
static brim_status extreme_layer(const struct brim_graph *g, const struct brim_node *n,
                                 const struct factors *f, struct brim_arena *arena,
                                 struct brim_dot *d, bool *found)
{
    const enum brim_dtype x = g->values[f->x].type.dtype, w = g->values[f->w].type.dtype;
    int64_t lo, hi;

    *found = is_code(x) && is_code(w);
    if (!*found) {
        return BRIM_OK;
    }
    *d = (struct brim_dot){.name = n->name,
                           .op_type = n->op_type,
                           .kind = BRIM_DOT_MATMUL,
                           .codes = true,
                           .n = 2,
                           .groups = 1,
                           .x_dtype = x,
                           .w_dtype = w};
    BRIM_TRY(length_of(g, n, f, &d->k));
    brim_dtype_range(x, &d->x_min, &d->x_max);
    brim_dtype_range(w, &lo, &hi);
    int32_t *code = brim_arena_alloc(arena, 2 * d->k + 1, sizeof *code);
    if (code == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < d->k; i++) {
        code[i] = (int32_t)hi;
        code[d->k + i] = (int32_t)lo;
    }
    d->w = code;
    return BRIM_OK;
}

/* ---- the whole ---- */

static brim_status prove(struct report *r, const struct brim_dot *d, bool variable,
                         brim_target_layer *out)
{
    struct brim_layer_walk walk;
    struct brim_arena scratch;

    brim_arena_init(&scratch, r->arena.ctx);
    brim_status s = brim_layer_walk(&scratch, r->base.target, d, &walk);
    if (s == BRIM_OK) {
        s = brim_prove_target(&r->arena, &walk, out);
        if (s != BRIM_OK) {
            s = brim_fail_at(r->arena.ctx, s, "layer '%s'", d->name);
        }
    }
    brim_arena_free(&scratch);
    if (s == BRIM_OK && variable) {
        out->variable = true;
        out->n = 0;
    }
    return s;
}

static brim_status add_layer(struct report *r, brim_target_layer *layer, const struct brim_dot *d,
                             bool variable)
{
    brim_target_layer *out = &layer[r->base.n_layers];

    BRIM_TRY(prove(r, d, variable, out));
    r->base.n_layers++;
    r->base.proven = r->base.proven && out->proven;
    return BRIM_OK;
}

/* In the order of the nodes: dot layers of integers, and products of two computed tensors. */
static brim_status prove_all(const struct brim_graph *g, const struct brim_dots *dots,
                             struct brim_arena *scratch, struct report *r)
{
    const int32_t *producer = brim_graph_producers(g, scratch);
    brim_target_layer *layer = brim_arena_zalloc(&r->arena, g->n_nodes + 1, sizeof *layer);
    size_t next = 0;

    if (producer == NULL || layer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    r->base.layers = layer;
    r->base.proven = true;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct factors f = factors_of(g, producer, &g->nodes[i]);
        struct brim_dot extremes;
        bool found = false;
        BRIM_TRY(brim_progress(g->ctx, "certify", i, g->n_nodes));
        if (next < dots->count && dots->dot[next].node == i) {
            const struct brim_dot *d = &dots->dot[next++];
            if (d->codes) {
                BRIM_TRY(add_layer(r, layer, d, false));
            }
            continue;
        }
        if (f.x >= 0) {
            BRIM_TRY(extreme_layer(g, &g->nodes[i], &f, scratch, &extremes, &found));
        }
        if (found) {
            BRIM_TRY(add_layer(r, layer, &extremes, true));
        }
    }
    return brim_progress(g->ctx, "certify", g->n_nodes, g->n_nodes);
}

static brim_status check_any(brim_ctx *ctx, const struct brim_dots *dots, const struct report *r)
{
    if (r->base.n_layers > 0) {
        return BRIM_OK;
    }
    return brim_fail(ctx, BRIM_ERR_ARG,
                     dots->count > 0 ? "the model is float, expected integer dot layers: quantize "
                                       "it first (brim quantize)"
                                     : "the model has no integer dot layer to certify");
}

/* The first layer that is refuted, in one sentence. */
static brim_status say_refuted(brim_ctx *ctx, const brim_target_report *r)
{
    const brim_target_layer *l = r->layers;

    while (l->proven) {
        l++;
    }
    const brim_target *t = r->target;
    const brim_witness *w = l->witness;
    if (!l->fits) {
        return brim_fail(ctx, BRIM_ERR_REFUTED,
                         "layer '%s': inputs %lld..%lld and weights %lld..%lld, target '%s' takes "
                         "%lld..%lld and %lld..%lld",
                         l->name, (long long)l->x_min, (long long)l->x_max, (long long)l->w_min,
                         (long long)l->w_max, t->name, (long long)t->input.min,
                         (long long)t->input.max, (long long)t->weight.min,
                         (long long)t->weight.max);
    }
    if (w->stage == t->datapath.n_stages) {
        return brim_fail(ctx, BRIM_ERR_REFUTED,
                         "layer '%s', channel %zu: sum, zero-point correction and bias reach %lld, "
                         "which needs %u bits, target '%s' has %u outside the datapath",
                         l->name, w->channel, (long long)w->value, l->outside_bits, t->name,
                         t->outside);
    }
    return brim_fail(ctx, BRIM_ERR_REFUTED,
                     "layer '%s', channel %zu, stage %zu: a sum reaches %lld, which needs %u bits, "
                     "the register of target '%s' has %u",
                     l->name, w->channel, w->stage + 1, (long long)w->value,
                     brim_width_of(w->value, w->value), t->name, t->datapath.stage[w->stage].width);
}

static brim_status certify_graph(const struct brim_graph *g, struct report *r)
{
    struct brim_dots dots;
    struct brim_arena scratch;

    BRIM_TRY(brim_dots_find(g->ctx, g, &dots));
    brim_arena_init(&scratch, g->ctx);
    brim_status s = prove_all(g, &dots, &scratch, r);
    if (s == BRIM_OK) {
        s = check_any(g->ctx, &dots, r);
    }
    brim_arena_free(&scratch);
    brim_dots_free(&dots);
    return s;
}

brim_status brim_certify_target(brim_ctx *ctx, const brim_graph *graph, const brim_target *target,
                                brim_target_report **report)
{
    *report = NULL;
    brim_clear_error(ctx);
    struct report *r = brim_zalloc(ctx, 1, sizeof *r);
    if (r == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&r->arena, ctx);
    r->base.target = target;
    const brim_status s = certify_graph(graph, r);
    if (s != BRIM_OK) {
        brim_target_report_free(&r->base);
        return s;
    }
    *report = &r->base;
    return r->base.proven ? BRIM_OK : say_refuted(ctx, &r->base);
}

void brim_target_report_free(brim_target_report *report)
{
    struct report *r = (struct report *)report; /* base is its first member */

    if (r != NULL) {
        brim_ctx *ctx = r->arena.ctx;
        brim_arena_free(&r->arena);
        brim_free(ctx, r);
    }
}
