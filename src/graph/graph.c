/* graph.c - looking at a graph and building one. SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.h"

#include <string.h>

#include "graph/op.h"

/* ---- looking ---- */

int64_t brim_graph_opset(const struct brim_graph *g, const char *domain)
{
    for (size_t i = 0; i < g->n_opsets; i++) {
        if (strcmp(g->opsets[i].domain, domain) == 0) {
            return g->opsets[i].version;
        }
    }
    return 0;
}

int32_t brim_graph_find_value(const struct brim_graph *g, const char *name)
{
    const struct brim_name *e = brim_names_find(&g->value_names, name);
    return e == NULL ? -1 : e->value;
}

int32_t brim_graph_producer(const struct brim_graph *g, int32_t value)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t j = 0; j < g->nodes[i].n_out; j++) {
            if (value >= 0 && g->nodes[i].out[j] == value) {
                return (int32_t)i;
            }
        }
    }
    return -1;
}

int32_t *brim_graph_producers(const struct brim_graph *g, struct brim_arena *arena)
{
    int32_t *producer = brim_arena_alloc(arena, g->n_values + 1, sizeof *producer);

    if (producer == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < g->n_values; i++) {
        producer[i] = -1;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t j = 0; j < g->nodes[i].n_out; j++) {
            if (g->nodes[i].out[j] >= 0) {
                producer[g->nodes[i].out[j]] = (int32_t)i;
            }
        }
    }
    return producer;
}

size_t brim_graph_count_uses(const struct brim_graph *g, int32_t value)
{
    size_t uses = 0;

    if (value < 0) {
        return 0;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t j = 0; j < g->nodes[i].n_in; j++) {
            uses += g->nodes[i].in[j] == value;
        }
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        uses += g->outputs[i] == value;
    }
    return uses;
}

const char *brim_graph_metadata(const struct brim_graph *g, const char *key)
{
    for (size_t i = 0; i < g->n_metadata; i++) {
        if (strcmp(g->metadata[i].key, key) == 0) {
            return g->metadata[i].value;
        }
    }
    return NULL;
}

size_t brim_graph_input_count(const brim_graph *graph)
{
    return graph->n_inputs;
}

size_t brim_graph_output_count(const brim_graph *graph)
{
    return graph->n_outputs;
}

const char *brim_graph_input_name(const brim_graph *graph, size_t i)
{
    return i < graph->n_inputs ? graph->values[graph->inputs[i]].name : "";
}

const char *brim_graph_output_name(const brim_graph *graph, size_t i)
{
    return i < graph->n_outputs ? graph->values[graph->outputs[i]].name : "";
}

int brim_graph_input_shape(const brim_graph *graph, size_t i, int64_t dim[8])
{
    if (i >= graph->n_inputs) {
        return -1;
    }
    const struct brim_shape *s = &graph->values[graph->inputs[i]].type.shape;
    for (int d = 0; d < s->rank; d++) {
        dim[d] = s->dim[d];
    }
    return s->rank;
}

/* ---- building ---- */

brim_status brim_graph_create(brim_ctx *ctx, struct brim_graph **g)
{
    struct brim_graph *made = brim_zalloc(ctx, 1, sizeof *made);

    if (made == NULL) {
        return BRIM_ERR_NOMEM;
    }
    made->ctx = ctx;
    brim_arena_init(&made->arena, ctx);
    made->name = made->path = "";
    made->ir_version = 10;
    made->value_names.arena = made->node_names.arena = &made->arena;
    const brim_status status = brim_graph_set_opset(made, "", 21);
    if (status != BRIM_OK) {
        brim_graph_free(made);
        return status;
    }
    *g = made;
    return BRIM_OK;
}

void brim_graph_free(brim_graph *graph)
{
    if (graph != NULL) {
        brim_arena_free(&graph->arena);
        brim_free(graph->ctx, graph);
    }
}

/* Room for one more element: the array, moved into a larger one when full; NULL on out of memory.
 */
static void *reserve(struct brim_graph *g, void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return array;
    }
    const size_t larger = *cap == 0 ? 8 : 2 * *cap;
    void *moved = brim_arena_zalloc(&g->arena, larger, size);
    if (moved != NULL) {
        if (count > 0) {
            memcpy(moved, array, count * size);
        }
        *cap = larger;
    }
    return moved;
}

int32_t brim_graph_add_value(struct brim_graph *g, const char *name, const struct brim_type *type)
{
    if (g->n_values >= INT32_MAX) {
        return -1;
    }
    void *moved = reserve(g, g->values, g->n_values, &g->cap_values, sizeof *g->values);
    const char *unique = brim_names_unique(&g->value_names, name);
    if (moved == NULL || unique == NULL ||
        brim_names_insert(&g->value_names, unique, (int32_t)g->n_values) == NULL) {
        return -1;
    }
    g->values = moved;
    struct brim_value *v = &g->values[g->n_values];
    *v = (struct brim_value){.name = unique, .type.shape.rank = -1};
    if (type != NULL) {
        v->type = *type;
    }
    return (int32_t)g->n_values++;
}

static struct brim_tensor *copy_tensor(struct brim_arena *a, const struct brim_type *type,
                                       const void *data)
{
    size_t bytes = 0;
    const int64_t count = brim_shape_count(&type->shape);
    struct brim_tensor *t = brim_arena_alloc(a, 1, sizeof *t);

    if (t == NULL || count < 0 ||
        !brim_mul_size((size_t)count, brim_dtype_size(type->dtype), &bytes)) {
        return NULL;
    }
    t->type = *type;
    t->data = brim_arena_alloc(a, bytes > 0 ? bytes : 1, 1);
    if (t->data != NULL && bytes > 0) {
        memcpy(t->data, data, bytes);
    }
    return t->data == NULL ? NULL : t;
}

int32_t brim_graph_add_constant(struct brim_graph *g, const char *name,
                                const struct brim_type *type, const void *data)
{
    const struct brim_tensor *t = copy_tensor(&g->arena, type, data);
    const int32_t v = t == NULL ? -1 : brim_graph_add_value(g, name, type);

    if (v >= 0) {
        g->values[v].constant = t;
    }
    return v;
}

brim_status brim_graph_add_input(struct brim_graph *g, int32_t value)
{
    void *moved = reserve(g, g->inputs, g->n_inputs, &g->cap_inputs, sizeof *g->inputs);

    if (moved == NULL) {
        return BRIM_ERR_NOMEM;
    }
    g->inputs = moved;
    g->inputs[g->n_inputs++] = value;
    return BRIM_OK;
}

brim_status brim_graph_add_output(struct brim_graph *g, int32_t value)
{
    void *moved = reserve(g, g->outputs, g->n_outputs, &g->cap_outputs, sizeof *g->outputs);

    if (moved == NULL) {
        return BRIM_ERR_NOMEM;
    }
    g->outputs = moved;
    g->outputs[g->n_outputs++] = value;
    return BRIM_OK;
}

brim_status brim_graph_set_opset(struct brim_graph *g, const char *domain, int64_t version)
{
    for (size_t i = 0; i < g->n_opsets; i++) {
        if (strcmp(g->opsets[i].domain, domain) == 0) {
            g->opsets[i].version = version;
            return BRIM_OK;
        }
    }
    void *moved = reserve(g, g->opsets, g->n_opsets, &g->cap_opsets, sizeof *g->opsets);
    const char *copy = brim_arena_strdup(&g->arena, domain);
    if (moved == NULL || copy == NULL) {
        return BRIM_ERR_NOMEM;
    }
    g->opsets = moved;
    g->opsets[g->n_opsets++] = (struct brim_opset){copy, version};
    return BRIM_OK;
}

brim_status brim_graph_set_metadata(struct brim_graph *g, const char *key, const char *value)
{
    const char *copy = brim_arena_strdup(&g->arena, value);

    if (copy == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_metadata; i++) {
        if (strcmp(g->metadata[i].key, key) == 0) {
            g->metadata[i].value = copy;
            return BRIM_OK;
        }
    }
    void *moved = reserve(g, g->metadata, g->n_metadata, &g->cap_metadata, sizeof *g->metadata);
    const char *key_copy = brim_arena_strdup(&g->arena, key);
    if (moved == NULL || key_copy == NULL) {
        return BRIM_ERR_NOMEM;
    }
    g->metadata = moved;
    g->metadata[g->n_metadata++] = (struct brim_metadata){key_copy, copy};
    return BRIM_OK;
}

static int32_t *copy_numbers(struct brim_arena *a, const int32_t *from, size_t n)
{
    int32_t *copy = brim_arena_alloc(a, n + 1, sizeof *copy);

    if (copy != NULL && n > 0) {
        memcpy(copy, from, n * sizeof *copy);
    }
    return copy;
}

struct brim_node *brim_graph_add_node_of(struct brim_graph *g, const char *name,
                                         const struct brim_op *op, const int32_t *in, size_t n_in,
                                         const int32_t *out, size_t n_out)
{
    void *moved = reserve(g, g->nodes, g->n_nodes, &g->cap_nodes, sizeof *g->nodes);

    if (moved == NULL || g->n_nodes >= INT32_MAX) {
        return NULL;
    }
    g->nodes = moved;
    struct brim_node n = {.op = op, .domain = op->domain, .op_type = op->name};
    if (name == NULL || name[0] == '\0') {
        name = brim_arena_printf(&g->arena, "%s_%zu", op->name, g->n_nodes);
    }
    n.name = name == NULL ? NULL : brim_names_unique(&g->node_names, name);
    n.in = copy_numbers(&g->arena, in, n_in);
    n.out = copy_numbers(&g->arena, out, n_out);
    n.n_in = n_in;
    n.n_out = n_out;
    if (n.name == NULL || n.in == NULL || n.out == NULL ||
        brim_names_insert(&g->node_names, n.name, 0) == NULL) {
        return NULL;
    }
    g->nodes[g->n_nodes] = n;
    return &g->nodes[g->n_nodes++];
}

struct brim_node *brim_graph_add_node(struct brim_graph *g, const char *name, const char *op_type,
                                      const int32_t *in, size_t n_in, const int32_t *out,
                                      size_t n_out)
{
    const struct brim_op *op = brim_op_find("", op_type);

    if (op == NULL) {
        brim_fail(g->ctx, BRIM_ERR_UNSUPPORTED, "node '%s' (%s): unknown operator", name, op_type);
        return NULL;
    }
    return brim_graph_add_node_of(g, name, op, in, n_in, out, n_out);
}

/* ---- rewriting ---- */

brim_status brim_node_set_input(struct brim_graph *g, struct brim_node *n, size_t i, int32_t value)
{
    if (i >= n->n_in) {
        int32_t *in = brim_arena_alloc(&g->arena, i + 1, sizeof *in);
        if (in == NULL) {
            return BRIM_ERR_NOMEM;
        }
        for (size_t j = 0; j < i; j++) {
            in[j] = j < n->n_in ? n->in[j] : -1;
        }
        n->in = in;
        n->n_in = i + 1;
    }
    n->in[i] = value;
    return BRIM_OK;
}

/* ---- copying ---- */

static brim_status clone_values(const struct brim_graph *g, struct brim_graph *c)
{
    for (size_t i = 0; i < g->n_values; i++) {
        const struct brim_value *v = &g->values[i];
        if (brim_graph_add_value(c, v->name, &v->type) < 0) {
            return BRIM_ERR_NOMEM;
        }
        if (v->constant != NULL) {
            c->values[i].constant = copy_tensor(&c->arena, &v->constant->type, v->constant->data);
            if (c->values[i].constant == NULL) {
                return BRIM_ERR_NOMEM;
            }
        }
    }
    for (size_t i = 0; i < g->n_inputs; i++) {
        BRIM_TRY(brim_graph_add_input(c, g->inputs[i]));
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        BRIM_TRY(brim_graph_add_output(c, g->outputs[i]));
    }
    return BRIM_OK;
}

static brim_status clone_nodes(const struct brim_graph *g, struct brim_graph *c)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        struct brim_node *made =
            brim_graph_add_node_of(c, n->name, n->op, n->in, n->n_in, n->out, n->n_out);
        if (made == NULL) {
            return BRIM_ERR_NOMEM;
        }
        for (size_t a = 0; a < n->n_attr; a++) {
            BRIM_TRY(brim_node_set_attr(c, made, &n->attr[a]));
        }
    }
    return BRIM_OK;
}

static brim_status clone_all(const struct brim_graph *g, struct brim_graph *c)
{
    c->ir_version = g->ir_version;
    c->name = brim_arena_strdup(&c->arena, g->name);
    c->path = brim_arena_strdup(&c->arena, g->path);
    if (c->name == NULL || c->path == NULL) {
        return BRIM_ERR_NOMEM;
    }
    c->n_opsets = 0;
    for (size_t i = 0; i < g->n_opsets; i++) {
        BRIM_TRY(brim_graph_set_opset(c, g->opsets[i].domain, g->opsets[i].version));
    }
    for (size_t i = 0; i < g->n_metadata; i++) {
        BRIM_TRY(brim_graph_set_metadata(c, g->metadata[i].key, g->metadata[i].value));
    }
    BRIM_TRY(clone_values(g, c));
    return clone_nodes(g, c);
}

brim_status brim_graph_clone(const struct brim_graph *g, struct brim_graph **copy)
{
    struct brim_graph *c = NULL;

    BRIM_TRY(brim_graph_create(g->ctx, &c));
    const brim_status status = clone_all(g, c);
    if (status != BRIM_OK) {
        brim_graph_free(c);
        return status;
    }
    *copy = c;
    return BRIM_OK;
}
