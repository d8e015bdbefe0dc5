/* infer_graph.c - walks the graph in order and calls each operator's shape rule.
 * SPDX-License-Identifier: Apache-2.0 */
#include "graph/op.h"

struct walk {
    struct brim_graph *g;
    struct brim_type *in, *out;
    const struct brim_tensor **value;
};

static brim_status check_count(const struct brim_graph *g, const struct brim_node *n,
                               const char *what, size_t have, const int bound[2])
{
    if (have >= (size_t)bound[0] && (bound[1] < 0 || have <= (size_t)bound[1])) {
        return BRIM_OK;
    }
    if (bound[1] < 0) {
        return brim_fail(g->ctx, BRIM_ERR_FILE, "node '%s' (%s): has %zu %s, expected at least %d",
                         n->name, n->op_type, have, what, bound[0]);
    }
    if (bound[0] == bound[1]) {
        return brim_fail(g->ctx, BRIM_ERR_FILE, "node '%s' (%s): has %zu %s, expected %d", n->name,
                         n->op_type, have, what, bound[0]);
    }
    return brim_fail(g->ctx, BRIM_ERR_FILE, "node '%s' (%s): has %zu %s, expected %d to %d",
                     n->name, n->op_type, have, what, bound[0], bound[1]);
}

static brim_status check_arity(const struct brim_graph *g, const struct brim_node *n)
{
    const struct brim_op *op = n->op;

    BRIM_TRY(check_count(g, n, "inputs", n->n_in, (const int[2]){op->min_in, op->max_in}));
    BRIM_TRY(check_count(g, n, "outputs", n->n_out, (const int[2]){op->min_out, op->max_out}));
    for (size_t i = 0; i < (size_t)op->min_in; i++) {
        if (n->in[i] < 0) {
            return brim_fail(g->ctx, BRIM_ERR_FILE, "node '%s' (%s): input %zu is missing", n->name,
                             n->op_type, i);
        }
    }
    return BRIM_OK;
}

/* Keep what was declared where the rule could not tell. */
static void record(struct brim_type *known, const struct brim_type *inferred)
{
    if (inferred->dtype != BRIM_UNDEFINED) {
        known->dtype = inferred->dtype;
    }
    if (inferred->shape.rank >= 0) {
        known->shape = inferred->shape;
    }
}

static brim_status infer_node(struct walk *w, const struct brim_node *n)
{
    struct brim_graph *g = w->g;

    BRIM_TRY(check_arity(g, n));
    for (size_t i = 0; i < n->n_in; i++) {
        const int32_t v = n->in[i];
        w->in[i] = v >= 0 ? g->values[v].type : (struct brim_type){.shape.rank = -1};
        w->value[i] = v >= 0 ? g->values[v].constant : NULL;
    }
    for (size_t i = 0; i < n->n_out; i++) {
        w->out[i] = (struct brim_type){.shape.rank = -1};
    }
    struct brim_infer c = {
        .ctx = g->ctx,
        .node = n,
        .opset = brim_graph_opset(g, n->domain),
        .in = w->in,
        .value = w->value,
        .out = w->out,
    };
    BRIM_TRY(n->op->infer(&c));
    for (size_t i = 0; i < n->n_out; i++) {
        if (n->out[i] >= 0) {
            record(&g->values[n->out[i]].type, &w->out[i]);
        }
    }
    return BRIM_OK;
}

brim_status brim_graph_infer(struct brim_graph *g)
{
    struct brim_arena scratch;
    size_t most = 1;
    brim_status status = BRIM_OK;

    for (size_t i = 0; i < g->n_nodes; i++) {
        most = g->nodes[i].n_in > most ? g->nodes[i].n_in : most;
        most = g->nodes[i].n_out > most ? g->nodes[i].n_out : most;
    }
    brim_arena_init(&scratch, g->ctx);
    struct walk w = {
        .g = g,
        .in = brim_arena_alloc(&scratch, most, sizeof *w.in),
        .out = brim_arena_alloc(&scratch, most, sizeof *w.out),
        .value = brim_arena_alloc(&scratch, most, sizeof(void *)),
    };
    if (w.in == NULL || w.out == NULL || w.value == NULL) {
        status = BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; status == BRIM_OK && i < g->n_nodes; i++) {
        status = infer_node(&w, &g->nodes[i]);
    }
    brim_arena_free(&scratch);
    return status;
}
