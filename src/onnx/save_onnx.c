/* save_onnx.c - a graph becomes a standard ONNX file. SPDX-License-Identifier: Apache-2.0
 *
 * Deterministic: nodes in graph order, initializers in value order, nothing of the clock or the
 * machine.
 */
#include <string.h>

#include "base/file.h"
#include "base/intops.h"
#include "brim/onnx.h"
#include "onnx/function.h"

struct saver {
    const struct brim_graph *g;
    struct brim_arena *arena;
};

/* Strings of the graph outlive the message, which only reads them. */
static char *borrow(const char *s)
{
    union {
        const char *in;
        char *out;
    } u = {s};
    return u.out;
}

/* An array of `n` pointers to zeroed elements of `size` bytes each. */
static void *pointers(struct brim_arena *a, size_t n, size_t size)
{
    const size_t stride = (size + 15) / 16 * 16;
    void **list = brim_arena_zalloc(a, n + 1, sizeof *list);
    uint8_t *block = list == NULL ? NULL : brim_arena_zalloc(a, n + 1, stride);

    for (size_t i = 0; block != NULL && i < n; i++) {
        list[i] = block + i * stride;
    }
    return block == NULL ? NULL : list;
}

static brim_status save_type(const struct saver *s, const struct brim_value *v, pb_value_info *info)
{
    const struct brim_shape *shape = &v->type.shape;
    pb_type *type = brim_arena_zalloc(s->arena, 1, sizeof *type);
    pb_tensor_type *tensor = brim_arena_zalloc(s->arena, 1, sizeof *tensor);

    brim__onnx__value_info__init(info);
    info->name = borrow(v->name);
    if (type == NULL || tensor == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim__onnx__type__init(type);
    brim__onnx__tensor_type__init(tensor);
    info->type = type;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = (int32_t)v->type.dtype;
    if (shape->rank < 0) {
        return BRIM_OK;
    }
    pb_shape *p = brim_arena_zalloc(s->arena, 1, sizeof *p);
    pb_dim **dims = pointers(s->arena, (size_t)shape->rank, sizeof **dims);
    if (p == NULL || dims == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim__onnx__shape__init(p);
    tensor->shape = p;
    p->n_dim = (size_t)shape->rank;
    p->dim = dims;
    for (int i = 0; i < shape->rank; i++) {
        brim__onnx__dimension__init(dims[i]);
        if (shape->dim[i] >= 0) {
            dims[i]->value_case = BRIM__ONNX__DIMENSION__VALUE_DIM_VALUE;
            dims[i]->dim_value = shape->dim[i];
        } else if (i ==
                   0) { /* the batch; other unknown ones stay unnamed, they need not be equal */
            dims[i]->value_case = BRIM__ONNX__DIMENSION__VALUE_DIM_PARAM;
            dims[i]->dim_param = borrow("N");
        }
    }
    return BRIM_OK;
}

static brim_status save_values(const struct saver *s, const int32_t *values, size_t n,
                               pb_value_info ***out)
{
    pb_value_info **list = pointers(s->arena, n, sizeof **list);

    if (list == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        BRIM_TRY(save_type(s, &s->g->values[values[i]], list[i]));
    }
    *out = list;
    return BRIM_OK;
}

static brim_status save_strings(const struct saver *s, const struct brim_attr *a, pb_attr *p)
{
    p->n_strings = a->count;
    p->strings = brim_arena_alloc(s->arena, a->count + 1, sizeof *p->strings);
    if (p->strings == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < a->count; i++) {
        p->strings[i].len = strlen(a->strings[i]);
        p->strings[i].data = (uint8_t *)borrow(a->strings[i]);
    }
    return BRIM_OK;
}

static brim_status save_floats(const struct saver *s, const struct brim_attr *a, pb_attr *p)
{
    p->n_floats = a->count;
    p->floats = brim_arena_alloc(s->arena, a->count + 1, sizeof *p->floats);
    if (p->floats != NULL) {
        memcpy(p->floats, a->floats, a->count * sizeof *p->floats);
    }
    return p->floats == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

static brim_status save_ints(const struct saver *s, const struct brim_attr *a, pb_attr *p)
{
    p->n_ints = a->count;
    p->ints = brim_arena_alloc(s->arena, a->count + 1, sizeof *p->ints);
    if (p->ints != NULL) {
        memcpy(p->ints, a->ints, a->count * sizeof *p->ints);
    }
    return p->ints == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

static brim_status save_attr(const struct saver *s, const struct brim_attr *a, pb_attr *p)
{
    brim__onnx__attribute__init(p);
    p->name = borrow(a->name);
    p->has_type = 1;
    p->type = (int32_t)a->type;
    switch (a->type) {
    case BRIM_ATTR_FLOAT:
        p->has_f = 1;
        p->f = a->f;
        return BRIM_OK;
    case BRIM_ATTR_INT:
        p->has_i = 1;
        p->i = a->i;
        return BRIM_OK;
    case BRIM_ATTR_STRING:
        p->has_s = 1;
        p->s.len = strlen(a->s);
        p->s.data = (uint8_t *)borrow(a->s);
        return BRIM_OK;
    case BRIM_ATTR_TENSOR:
        p->t = brim_arena_zalloc(s->arena, 1, sizeof *p->t);
        if (p->t == NULL) {
            return BRIM_ERR_NOMEM;
        }
        brim__onnx__tensor__init(p->t);
        return brim_onnx_tensor_write(s->arena, a->t, p->t);
    case BRIM_ATTR_FLOATS:
        return save_floats(s, a, p);
    case BRIM_ATTR_INTS:
        return save_ints(s, a, p);
    case BRIM_ATTR_STRINGS:
        return save_strings(s, a, p);
    }
    return BRIM_ERR_INTERNAL;
}

static brim_status save_names(const struct saver *s, const int32_t *values, size_t n, char ***out)
{
    char **names = brim_arena_alloc(s->arena, n + 1, sizeof *names);

    if (names == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        names[i] = borrow(values[i] < 0 ? "" : s->g->values[values[i]].name);
    }
    *out = names;
    return BRIM_OK;
}

static brim_status save_node(const struct saver *s, const struct brim_node *n, pb_node *p)
{
    brim__onnx__node__init(p);
    p->name = borrow(n->name);
    p->op_type = borrow(n->op_type);
    p->domain = n->domain[0] == '\0' ? NULL : borrow(n->domain);
    p->n_input = n->n_in;
    p->n_output = n->n_out;
    p->n_attribute = n->n_attr;
    BRIM_TRY(save_names(s, n->in, n->n_in, &p->input));
    BRIM_TRY(save_names(s, n->out, n->n_out, &p->output));
    p->attribute = pointers(s->arena, n->n_attr, sizeof **p->attribute);
    if (p->attribute == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n->n_attr; i++) {
        BRIM_TRY(save_attr(s, &n->attr[i], p->attribute[i]));
    }
    return BRIM_OK;
}

static brim_status save_nodes(const struct saver *s, pb_graph *graph)
{
    graph->n_node = s->g->n_nodes;
    graph->node = pointers(s->arena, s->g->n_nodes, sizeof **graph->node);
    if (graph->node == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < s->g->n_nodes; i++) {
        BRIM_TRY(save_node(s, &s->g->nodes[i], graph->node[i]));
    }
    return BRIM_OK;
}

/* Constants that a node or an output uses. */
static brim_status save_constants(const struct saver *s, pb_graph *graph)
{
    const struct brim_graph *g = s->g;
    bool *used = brim_arena_zalloc(s->arena, g->n_values + 1, sizeof *used);

    graph->initializer = pointers(s->arena, g->n_values, sizeof **graph->initializer);
    if (used == NULL || graph->initializer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t j = 0; j < g->nodes[i].n_in; j++) {
            if (g->nodes[i].in[j] >= 0) {
                used[g->nodes[i].in[j]] = true;
            }
        }
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        used[g->outputs[i]] = true;
    }
    for (size_t i = 0; i < g->n_values; i++) {
        if (used[i] && g->values[i].constant != NULL) {
            pb_tensor *t = graph->initializer[graph->n_initializer++];
            brim__onnx__tensor__init(t);
            t->name = borrow(g->values[i].name);
            BRIM_TRY(brim_onnx_tensor_write(s->arena, g->values[i].constant, t));
        }
    }
    return BRIM_OK;
}

static brim_status save_graph(const struct saver *s, pb_graph *graph)
{
    const struct brim_graph *g = s->g;

    graph->name = borrow(g->name[0] == '\0' ? "graph" : g->name);
    graph->n_input = g->n_inputs;
    graph->n_output = g->n_outputs;
    BRIM_TRY(save_values(s, g->inputs, g->n_inputs, &graph->input));
    BRIM_TRY(save_values(s, g->outputs, g->n_outputs, &graph->output));
    BRIM_TRY(save_nodes(s, graph));
    return save_constants(s, graph);
}

static brim_status save_head(const struct saver *s, pb_model *m)
{
    const struct brim_graph *g = s->g;

    m->has_ir_version = 1;
    /* 8: initializers need not be inputs; 10: 4-bit types and opset 21. */
    m->ir_version = brim_max_i64(g->ir_version, brim_graph_opset(g, "") >= 21 ? 10 : 8);
    m->producer_name = borrow("brim");
    m->producer_version = borrow(brim_version());
    m->n_opset_import = g->n_opsets;
    m->opset_import = pointers(s->arena, g->n_opsets, sizeof **m->opset_import);
    m->n_metadata_props = g->n_metadata;
    m->metadata_props = pointers(s->arena, g->n_metadata, sizeof **m->metadata_props);
    if (m->opset_import == NULL || m->metadata_props == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_opsets; i++) {
        brim__onnx__operator_set__init(m->opset_import[i]);
        m->opset_import[i]->domain = borrow(g->opsets[i].domain);
        m->opset_import[i]->has_version = 1;
        m->opset_import[i]->version = g->opsets[i].version;
    }
    for (size_t i = 0; i < g->n_metadata; i++) {
        brim__onnx__entry__init(m->metadata_props[i]);
        m->metadata_props[i]->key = borrow(g->metadata[i].key);
        m->metadata_props[i]->value = borrow(g->metadata[i].value);
    }
    return BRIM_OK;
}

static brim_status save_model(const struct saver *s, const char *path)
{
    pb_model model;
    pb_graph graph;
    uint8_t *bytes = NULL;
    size_t n = 0;

    brim__onnx__model__init(&model);
    brim__onnx__graph__init(&graph);
    model.graph = &graph;
    BRIM_TRY(save_head(s, &model));
    BRIM_TRY(save_graph(s, &graph));
    BRIM_TRY(brim_onnx_functions(s->g, s->arena, &model.functions, &model.n_functions));
    BRIM_TRY(brim_wire_pack(s->arena, &model, &bytes, &n));
    return brim_file_write(s->arena->ctx, path, bytes, n);
}

brim_status brim_onnx_save(brim_ctx *ctx, const brim_graph *graph, const char *path)
{
    struct brim_arena arena;

    brim_clear_error(ctx);
    brim_arena_init(&arena, ctx);
    const brim_status status = save_model(&(const struct saver){graph, &arena}, path);
    brim_arena_free(&arena);
    return status;
}
