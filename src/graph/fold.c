/* fold.c - BatchNormalization and constant Adds become part of the dot layer before them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inference-mode BatchNormalization is y = a*(x - mean) + beta per channel, a = gamma/sqrt(var +
 * epsilon). After a layer x = W.u + b that is y = (a*W).u + (a*(b - mean) + beta), computed in
 * double and rounded once. The layer's output must feed nothing else.
 *
 * Worked example: W = 2, b = 1, gamma = 3, var + epsilon = 4, mean = 5, beta = 7: a = 1.5, so
 * W' = 3 and b' = 1.5*(1 - 5) + 7 = 1.
 */
#include <math.h>
#include <string.h>

#include "graph/layout.h"
#include "graph/op.h"

/* A layer that something is to be folded into. */
struct layer {
    struct brim_node *node;
    struct brim_layout layout;
    const struct brim_tensor *w;
    const struct brim_tensor *bias; /* NULL = none */
    float beta;                     /* of a Gemm: multiplies the bias */
    int rank;                       /* of its output */
};

struct folder {
    struct brim_graph *g;
    struct brim_arena scratch;
    int32_t *producer;
    size_t *uses; /* per value */
};

static bool is_onnx(const struct brim_node *n, const char *op_type)
{
    return n->domain[0] == '\0' && strcmp(n->op_type, op_type) == 0;
}

static const struct brim_tensor *float_constant(const struct brim_graph *g,
                                                const struct brim_node *n, size_t i)
{
    const struct brim_tensor *t =
        i < n->n_in && n->in[i] >= 0 ? g->values[n->in[i]].constant : NULL;
    return t != NULL && t->type.dtype == BRIM_FLOAT ? t : NULL;
}

static size_t count(const struct brim_tensor *t)
{
    return (size_t)brim_shape_count(&t->type.shape);
}

static brim_status start(struct folder *f, struct brim_graph *g)
{
    f->g = g;
    BRIM_TRY(brim_graph_sort(g));
    f->producer = brim_graph_producers(g, &f->scratch);
    f->uses = brim_arena_zalloc(&f->scratch, g->n_values + 1, sizeof *f->uses);
    if (f->producer == NULL || f->uses == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t j = 0; j < g->nodes[i].n_in; j++) {
            if (g->nodes[i].in[j] >= 0) {
                f->uses[g->nodes[i].in[j]]++;
            }
        }
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        f->uses[g->outputs[i]]++;
    }
    return BRIM_OK;
}

/* The float dot layer that produces `value` for one reader only, with a bias of n numbers or none;
 * false when there is none such. */
static bool layer_before(const struct folder *f, int32_t value, struct layer *l)
{
    if (value < 0 || f->producer[value] < 0 || f->uses[value] != 1) {
        return false;
    }
    struct brim_node *n = &f->g->nodes[f->producer[value]];
    const bool gemm = is_onnx(n, "Gemm");
    if (!is_onnx(n, "Conv") && !gemm && !is_onnx(n, "MatMul")) {
        return false;
    }
    *l = (struct layer){.node = n, .w = float_constant(f->g, n, 1), .beta = 1.0f};
    l->rank = f->g->values[value].type.shape.rank;
    l->bias = float_constant(f->g, n, 2);
    if (l->w == NULL || !brim_layout_of(n, &l->w->type.shape, &l->layout) ||
        (n->n_in > 2 && n->in[2] >= 0 && l->bias == NULL) ||
        (l->layout.kind != BRIM_LAYOUT_CONV && l->rank != 2)) {
        return false;
    }
    if (gemm) {
        l->beta = brim_node_float(n, "beta", 1.0f);
    }
    /* A bias that differs from row to row cannot be one number per output. */
    const struct brim_shape *s = l->bias == NULL ? NULL : &l->bias->type.shape;
    return s == NULL || count(l->bias) == 1 ||
           (count(l->bias) == l->layout.n && (size_t)s->dim[s->rank - 1] == l->layout.n);
}

/* beta times the bias of output c: what the layer adds. */
static double bias_at(const struct layer *l, size_t c)
{
    if (l->bias == NULL) {
        return 0.0;
    }
    return (double)l->beta * (double)((const float *)l->bias->data)[count(l->bias) == 1 ? 0 : c];
}

/* Give the layer this bias; a MatMul of a matrix becomes a Gemm, which has one. */
static brim_status set_bias(struct brim_graph *g, const struct layer *l, const float *bias)
{
    const struct brim_type type = {BRIM_FLOAT, {1, {(int64_t)l->layout.n}}};
    const char *name = brim_arena_printf(&g->arena, "%s_bias", l->node->name);
    const int32_t v = name == NULL ? -1 : brim_graph_add_constant(g, name, &type, bias);

    if (v < 0) {
        return BRIM_ERR_NOMEM;
    }
    if (is_onnx(l->node, "MatMul")) {
        const struct brim_op *gemm = brim_op_find("", "Gemm");
        l->node->op = gemm;
        l->node->op_type = gemm->name;
    }
    if (l->beta != 1.0f) {
        brim_node_remove_attr(l->node, "beta");
    }
    return brim_node_set_input(g, l->node, 2, v);
}

/* Node `gone` of the graph is no longer needed: the layer makes its output. */
static void take_over(struct folder *f, const struct layer *l, struct brim_node *gone)
{
    const int32_t out = gone->out[0];

    f->producer[out] = (int32_t)(l->node - f->g->nodes);
    l->node->out[0] = out;
    gone->out[0] = -1; /* removed by finish() */
}

static brim_status finish(struct folder *f)
{
    struct brim_graph *g = f->g;
    size_t kept = 0;

    for (size_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].out[0] < 0 && g->nodes[i].n_out == 1) {
            brim_names_remove(&g->node_names, g->nodes[i].name);
        } else {
            g->nodes[kept++] = g->nodes[i];
        }
    }
    g->n_nodes = kept;
    return brim_graph_sort(g);
}

/* ---- BatchNormalization ---- */

static bool is_inference(const struct brim_node *n)
{
    for (size_t i = 1; i < n->n_out; i++) {
        if (n->out[i] >= 0) {
            return false;
        }
    }
    return is_onnx(n, "BatchNormalization") && brim_node_int(n, "training_mode", 0) == 0 &&
           brim_node_int(n, "spatial", 1) == 1;
}

static brim_status scale_weights(struct folder *f, const struct layer *l, const double *a)
{
    const struct brim_layout *y = &l->layout;
    float *w = brim_arena_alloc(&f->scratch, y->n * y->k, sizeof *w);
    const char *name = brim_arena_printf(&f->g->arena, "%s_folded", l->node->name);

    if (w == NULL || name == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t n = 0; n < y->n; n++) {
        for (size_t k = 0; k < y->k; k++) {
            const size_t at = brim_layout_index(y, n, k);
            w[at] = (float)((double)((const float *)l->w->data)[at] * a[n]);
        }
    }
    const int32_t v = brim_graph_add_constant(f->g, name, &l->w->type, w);
    return v < 0 ? BRIM_ERR_NOMEM : brim_node_set_input(f->g, l->node, 1, v);
}

static brim_status fold_one_batchnorm(struct folder *f, struct brim_node *bn)
{
    struct layer l;
    const struct brim_tensor *p[4]; /* gamma, beta, mean, var */

    if (!is_inference(bn) || !layer_before(f, bn->in[0], &l)) {
        return BRIM_OK;
    }
    const size_t n = l.layout.n;
    for (size_t i = 0; i < 4; i++) {
        p[i] = float_constant(f->g, bn, i + 1);
        if (p[i] == NULL || count(p[i]) != n) {
            return BRIM_OK;
        }
    }
    double *a = brim_arena_alloc(&f->scratch, n, sizeof *a);
    float *bias = brim_arena_alloc(&f->scratch, n, sizeof *bias);
    if (a == NULL || bias == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const double epsilon = (double)brim_node_float(bn, "epsilon", 1e-5f);
    for (size_t c = 0; c < n; c++) {
        const double gamma = (double)((const float *)p[0]->data)[c];
        const double beta = (double)((const float *)p[1]->data)[c];
        const double mean = (double)((const float *)p[2]->data)[c];
        const double var = (double)((const float *)p[3]->data)[c];
        if (!(var + epsilon > 0.0)) {
            return brim_fail(f->g->ctx, BRIM_ERR_FILE,
                             "node '%s' (%s): variance of channel %zu is %g, expected positive",
                             bn->name, bn->op_type, c, var);
        }
        a[c] = gamma / sqrt(var + epsilon);
        bias[c] = (float)(a[c] * (bias_at(&l, c) - mean) + beta);
    }
    BRIM_TRY(scale_weights(f, &l, a));
    BRIM_TRY(set_bias(f->g, &l, bias));
    take_over(f, &l, bn);
    return BRIM_OK;
}

/* ---- Add of a constant ---- */

/* One number per output, broadcast over the rest: [n] after a matrix, [n,1,..] after a Conv. */
static bool adds_per_output(const struct layer *l, const struct brim_shape *s)
{
    const int from_end = l->layout.kind == BRIM_LAYOUT_CONV ? l->rank - 1 : 1;

    if (brim_shape_count(s) == 1) {
        return s->rank <= l->rank;
    }
    return l->rank > 0 && s->rank <= l->rank && s->rank >= from_end &&
           brim_shape_count(s) == (int64_t)l->layout.n &&
           s->dim[s->rank - from_end] == (int64_t)l->layout.n;
}

static brim_status fold_one_bias(struct folder *f, struct brim_node *add)
{
    struct layer l;

    if (!is_onnx(add, "Add") || brim_node_attr(add, "axis") != NULL) {
        return BRIM_OK;
    }
    const size_t other = float_constant(f->g, add, 1) != NULL ? 1 : 0;
    const struct brim_tensor *t = float_constant(f->g, add, other);
    if (t == NULL || !layer_before(f, add->in[1 - other], &l) ||
        !adds_per_output(&l, &t->type.shape)) {
        return BRIM_OK;
    }
    float *bias = brim_arena_alloc(&f->scratch, l.layout.n, sizeof *bias);
    if (bias == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < l.layout.n; c++) {
        const float v = ((const float *)t->data)[count(t) == 1 ? 0 : c];
        bias[c] = (float)(bias_at(&l, c) + (double)v);
    }
    BRIM_TRY(set_bias(f->g, &l, bias));
    take_over(f, &l, add);
    return BRIM_OK;
}

/* ---- the passes ---- */

typedef brim_status fold_fn(struct folder *f, struct brim_node *n);

static brim_status fold_all(struct brim_graph *g, fold_fn *fold)
{
    struct folder f;

    brim_arena_init(&f.scratch, g->ctx);
    brim_status status = start(&f, g);
    for (size_t i = 0; status == BRIM_OK && i < g->n_nodes; i++) {
        status = fold(&f, &g->nodes[i]);
    }
    if (status == BRIM_OK) {
        status = finish(&f);
    }
    brim_arena_free(&f.scratch);
    return status;
}

brim_status brim_graph_fold_batchnorm(struct brim_graph *g)
{
    return fold_all(g, fold_one_batchnorm);
}

brim_status brim_graph_fold_bias(struct brim_graph *g)
{
    return fold_all(g, fold_one_bias);
}
