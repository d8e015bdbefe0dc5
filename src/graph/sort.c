/* sort.c - topological order, and dropping what no output needs. SPDX-License-Identifier:
 * Apache-2.0 */
#include <string.h>

#include "graph/graph.h"

enum visit { NEW, OPEN, DONE };

struct frame {
    int32_t node;
    size_t next_in; /* the input to look at next */
};

struct sorter {
    struct brim_graph *g;
    const int32_t *producer;
    const bool *is_input; /* per value */
    uint8_t *state;       /* per node: enum visit */
    struct frame *stack;
    size_t depth;
    struct brim_node *sorted;
    size_t n_sorted;
};

static brim_status missing_input(const struct sorter *s, const struct brim_node *n, int32_t v)
{
    return brim_fail(s->g->ctx, BRIM_ERR_FILE,
                     "node '%s' (%s): input '%s' is produced by no node, and is neither a graph "
                     "input nor an initializer",
                     n->name, n->op_type, s->g->values[v].name);
}

/* Depth first from `root`, with an explicit stack: a node is placed after all that it needs. */
static brim_status visit_from(struct sorter *s, int32_t root)
{
    s->stack[s->depth++] = (struct frame){root, 0};
    s->state[root] = OPEN;
    while (s->depth > 0) {
        struct frame *f = &s->stack[s->depth - 1];
        const struct brim_node *n = &s->g->nodes[f->node];
        if (f->next_in == n->n_in) {
            s->state[f->node] = DONE;
            s->sorted[s->n_sorted++] = *n;
            s->depth--;
            continue;
        }
        const int32_t v = n->in[f->next_in++];
        if (v < 0 || s->is_input[v] || s->g->values[v].constant != NULL) {
            continue;
        }
        const int32_t p = s->producer[v];
        if (p < 0) {
            return missing_input(s, n, v);
        }
        if (s->state[p] == OPEN) {
            return brim_fail(s->g->ctx, BRIM_ERR_FILE,
                             "node '%s' (%s): the graph has a cycle through its input '%s'",
                             n->name, n->op_type, s->g->values[v].name);
        }
        if (s->state[p] == NEW) {
            s->state[p] = OPEN;
            s->stack[s->depth++] = (struct frame){p, 0};
        }
    }
    return BRIM_OK;
}

static bool *input_flags(const struct brim_graph *g, struct brim_arena *a)
{
    bool *is_input = brim_arena_zalloc(a, g->n_values + 1, sizeof *is_input);

    for (size_t i = 0; is_input != NULL && i < g->n_inputs; i++) {
        is_input[g->inputs[i]] = true;
    }
    return is_input;
}

static brim_status check_outputs(const struct sorter *s)
{
    for (size_t i = 0; i < s->g->n_outputs; i++) {
        const int32_t v = s->g->outputs[i];
        if (!s->is_input[v] && s->producer[v] < 0 && s->g->values[v].constant == NULL) {
            return brim_fail(s->g->ctx, BRIM_ERR_FILE, "graph output '%s' is produced by no node",
                             s->g->values[v].name);
        }
    }
    return BRIM_OK;
}

static brim_status sort_with(struct brim_graph *g, struct brim_arena *scratch)
{
    struct sorter s = {
        .g = g,
        .producer = brim_graph_producers(g, scratch),
        .is_input = input_flags(g, scratch),
        .state = brim_arena_zalloc(scratch, g->n_nodes + 1, sizeof *s.state),
        .stack = brim_arena_alloc(scratch, g->n_nodes + 1, sizeof *s.stack),
        .sorted = brim_arena_alloc(scratch, g->n_nodes + 1, sizeof *s.sorted),
    };

    if (s.producer == NULL || s.is_input == NULL || s.state == NULL || s.stack == NULL ||
        s.sorted == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (s.state[i] == NEW) {
            BRIM_TRY(visit_from(&s, (int32_t)i));
        }
    }
    if (g->n_nodes > 0) {
        memcpy(g->nodes, s.sorted, g->n_nodes * sizeof *g->nodes);
    }
    return check_outputs(&s);
}

brim_status brim_graph_sort(struct brim_graph *g)
{
    struct brim_arena scratch;

    brim_arena_init(&scratch, g->ctx);
    const brim_status status = sort_with(g, &scratch);
    brim_arena_free(&scratch);
    return status;
}

static void mark(bool *needed, const int32_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i] >= 0) {
            needed[v[i]] = true;
        }
    }
}

static bool any_needed(const bool *needed, const struct brim_node *n)
{
    for (size_t i = 0; i < n->n_out; i++) {
        if (n->out[i] >= 0 && needed[n->out[i]]) {
            return true;
        }
    }
    return false;
}

brim_status brim_graph_prune_dead(struct brim_graph *g)
{
    struct brim_arena scratch;

    BRIM_TRY(brim_graph_sort(g));
    brim_arena_init(&scratch, g->ctx);
    bool *needed = brim_arena_zalloc(&scratch, g->n_values + 1, sizeof *needed);
    bool *keep = brim_arena_zalloc(&scratch, g->n_nodes + 1, sizeof *keep);
    if (needed == NULL || keep == NULL) {
        brim_arena_free(&scratch);
        return BRIM_ERR_NOMEM;
    }
    mark(needed, g->outputs, g->n_outputs);
    for (size_t i = g->n_nodes; i-- > 0;) {
        keep[i] = any_needed(needed, &g->nodes[i]);
        if (keep[i]) {
            mark(needed, g->nodes[i].in, g->nodes[i].n_in);
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (keep[i]) {
            g->nodes[kept++] = g->nodes[i];
        } else {
            brim_names_remove(&g->node_names, g->nodes[i].name);
        }
    }
    g->n_nodes = kept;
    for (size_t i = 0; i < g->n_values; i++) {
        if (!needed[i]) {
            g->values[i].constant = NULL;
        }
    }
    brim_arena_free(&scratch);
    return BRIM_OK;
}
