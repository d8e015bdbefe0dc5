/* pass.c - canonical form: Constant nodes become constants, Identity and inference-mode Dropout go.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nodes are visited in order and uses of a removed node's output are redirected to its input, whose
 * own redirection is known by then, so one walk does all. A node whose output is a graph output
 * stays: the output's name must.
 */
#include <string.h>

#include "graph/graph.h"

struct canon {
    struct brim_graph *g;
    int32_t *alias; /* per value: what stands for it */
    bool *is_output;
    bool *used; /* per value: some node reads it */
    bool keep_dropout;
};

static bool is_onnx(const struct brim_node *n, const char *op_type)
{
    return n->domain[0] == '\0' && strcmp(n->op_type, op_type) == 0;
}

/* The tensor of a Constant node; false when it is of a kind that stays a node. */
static bool constant_of(const struct brim_node *n, struct brim_tensor *t)
{
    const struct brim_attr *a = n->n_attr == 1 ? &n->attr[0] : NULL;
    const char *name = a == NULL ? "" : a->name;
    union {
        const void *in;
        void *out;
    } data = {NULL};

    *t = (struct brim_tensor){.type.shape.rank = 0};
    if (strcmp(name, "value") == 0 && a->type == BRIM_ATTR_TENSOR) {
        *t = *a->t;
        return true;
    }
    if (strcmp(name, "value_float") == 0 && a->type == BRIM_ATTR_FLOAT) {
        t->type.dtype = BRIM_FLOAT;
        data.in = &a->f;
    } else if (strcmp(name, "value_int") == 0 && a->type == BRIM_ATTR_INT) {
        t->type.dtype = BRIM_INT64;
        data.in = &a->i;
    } else if (strcmp(name, "value_floats") == 0 && a->type == BRIM_ATTR_FLOATS) {
        t->type = (struct brim_type){BRIM_FLOAT, {1, {(int64_t)a->count}}};
        data.in = a->floats;
    } else if (strcmp(name, "value_ints") == 0 && a->type == BRIM_ATTR_INTS) {
        t->type = (struct brim_type){BRIM_INT64, {1, {(int64_t)a->count}}};
        data.in = a->ints;
    }
    t->data = data.out;
    return data.in != NULL;
}

static brim_status fold_constant(struct brim_graph *g, const struct brim_node *n, bool *gone)
{
    struct brim_tensor from;

    *gone = n->n_out == 1 && n->out[0] >= 0 && constant_of(n, &from);
    if (!*gone) {
        return BRIM_OK;
    }
    struct brim_tensor *t = brim_arena_alloc(&g->arena, 1, sizeof *t);
    if (t == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *t = from; /* its data belongs to the graph already: the node's attribute */
    g->values[n->out[0]].constant = t;
    g->values[n->out[0]].type = t->type;
    return BRIM_OK;
}

/* Dropout passes its input on unless training was asked for or the mask is wanted. */
static bool dropout_is_identity(const struct canon *c, const struct brim_node *n)
{
    if (n->n_out > 1 && n->out[1] >= 0 && (c->used[n->out[1]] || c->is_output[n->out[1]])) {
        return false;
    }
    if (n->n_in < 3 || n->in[2] < 0) {
        return true;
    }
    const struct brim_tensor *training = c->g->values[c->alias[n->in[2]]].constant;
    return training != NULL && training->type.dtype == BRIM_BOOL &&
           brim_shape_count(&training->type.shape) == 1 && *(const uint8_t *)training->data == 0;
}

static brim_status canonicalise_node(struct canon *c, struct brim_node *n, bool *gone)
{
    *gone = false;
    for (size_t i = 0; i < n->n_in; i++) {
        n->in[i] = n->in[i] < 0 ? -1 : c->alias[n->in[i]];
    }
    if (n->n_out == 0 || n->out[0] < 0 || c->is_output[n->out[0]]) {
        return BRIM_OK;
    }
    if (is_onnx(n, "Constant")) {
        return fold_constant(c->g, n, gone);
    }
    *gone = n->n_in > 0 && n->in[0] >= 0 &&
            (is_onnx(n, "Identity") ||
             (!c->keep_dropout && is_onnx(n, "Dropout") && dropout_is_identity(c, n)));
    if (*gone) {
        c->alias[n->out[0]] = n->in[0];
    }
    return BRIM_OK;
}

static brim_status canonicalise_all(struct canon *c, struct brim_arena *scratch)
{
    struct brim_graph *g = c->g;
    size_t kept = 0;

    c->alias = brim_arena_alloc(scratch, g->n_values + 1, sizeof *c->alias);
    c->is_output = brim_arena_zalloc(scratch, g->n_values + 1, sizeof *c->is_output);
    c->used = brim_arena_zalloc(scratch, g->n_values + 1, sizeof *c->used);
    if (c->alias == NULL || c->is_output == NULL || c->used == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_values; i++) {
        c->alias[i] = (int32_t)i;
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        c->is_output[g->outputs[i]] = true;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t j = 0; j < g->nodes[i].n_in; j++) {
            if (g->nodes[i].in[j] >= 0) {
                c->used[g->nodes[i].in[j]] = true;
            }
        }
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        bool gone = false;
        BRIM_TRY(canonicalise_node(c, &g->nodes[i], &gone));
        if (gone) {
            brim_names_remove(&g->node_names, g->nodes[i].name);
        } else {
            g->nodes[kept++] = g->nodes[i];
        }
    }
    g->n_nodes = kept;
    return BRIM_OK;
}

static brim_status canonicalise(struct brim_graph *g, bool keep_dropout)
{
    struct brim_arena scratch;
    struct canon c = {.g = g, .keep_dropout = keep_dropout};

    BRIM_TRY(brim_graph_sort(g));
    brim_arena_init(&scratch, g->ctx);
    const brim_status status = canonicalise_all(&c, &scratch);
    brim_arena_free(&scratch);
    return status;
}

brim_status brim_graph_canonicalise(struct brim_graph *g)
{
    return canonicalise(g, false);
}

brim_status brim_graph_canonicalise_for_training(struct brim_graph *g)
{
    return canonicalise(g, true);
}
