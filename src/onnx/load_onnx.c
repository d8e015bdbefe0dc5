/* load_onnx.c - an ONNX file becomes a checked graph. SPDX-License-Identifier: Apache-2.0
 *
 * Steps: unpack the bytes; opsets and metadata; initializers, then inputs (one that is also an
 * initializer is a constant); nodes with functions expanded; outputs; who produces what; order;
 * constants without NaN; types and shapes. Whatever is wrong is one sentence that names the place.
 */
#include <string.h>

#include "base/file.h"
#include "brim/onnx.h"
#include "graph/rewrite.h"
#include "onnx/loader.h"

enum { OLDEST_OPSET = 6 };

static const char *text(const char *s)
{
    return s == NULL ? "" : s;
}

static brim_status load_opsets(struct brim_onnx_loader *l)
{
    const pb_model *m = l->model;

    l->g->n_opsets = 0;
    for (size_t i = 0; i < m->n_opset_import; i++) {
        BRIM_TRY(brim_graph_set_opset(l->g, brim_onnx_domain(m->opset_import[i]->domain),
                                      m->opset_import[i]->version));
    }
    const int64_t opset = brim_graph_opset(l->g, "");
    if (opset < OLDEST_OPSET) {
        return brim_fail(l->ctx, BRIM_ERR_UNSUPPORTED,
                         "opset %lld is older than %d, the oldest read", (long long)opset,
                         OLDEST_OPSET);
    }
    return BRIM_OK;
}

static brim_status load_metadata(struct brim_onnx_loader *l)
{
    const pb_model *m = l->model;

    l->g->ir_version = m->ir_version;
    l->g->name = brim_arena_strdup(&l->g->arena, text(m->graph->name));
    if (l->g->name == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < m->n_metadata_props; i++) {
        const pb_entry *e = m->metadata_props[i];
        BRIM_TRY(brim_graph_set_metadata(l->g, text(e->key), text(e->value)));
    }
    return BRIM_OK;
}

static brim_status load_initializers(struct brim_onnx_loader *l)
{
    const pb_graph *p = l->model->graph;

    if (p->n_sparse_initializer > 0) {
        return brim_fail(l->ctx, BRIM_ERR_UNSUPPORTED, "sparse initializers are not supported");
    }
    for (size_t i = 0; i < p->n_initializer; i++) {
        const char *name = text(p->initializer[i]->name);
        const char *where = brim_arena_printf(l->scratch, "initializer '%s'", name);
        if (where == NULL) {
            return BRIM_ERR_NOMEM;
        }
        if (name[0] == '\0' || brim_graph_find_value(l->g, name) >= 0) {
            return brim_fail(l->ctx, BRIM_ERR_FILE, "%s: %s", where,
                             name[0] == '\0' ? "has no name" : "is given twice");
        }
        const struct brim_onnx_source source = {&l->g->arena, l->scratch, l->folder, where};
        struct brim_tensor *t = NULL;
        BRIM_TRY(brim_onnx_tensor_read(&source, p->initializer[i], &t));
        const int32_t v = brim_graph_add_value(l->g, name, &t->type);
        if (v < 0) {
            return BRIM_ERR_NOMEM;
        }
        l->g->values[v].constant = t;
    }
    return BRIM_OK;
}

/* The declared type of an input or output; unknown where the file does not say. */
static brim_status load_type(struct brim_onnx_loader *l, const char *what, const pb_value_info *v,
                             struct brim_type *type)
{
    const pb_tensor_type *t = v->type == NULL ? NULL : v->type->tensor_type;

    *type = (struct brim_type){.shape.rank = -1};
    if (t == NULL) {
        return v->type == NULL ? BRIM_OK
                               : brim_fail(l->ctx, BRIM_ERR_UNSUPPORTED, "%s '%s': is not a tensor",
                                           what, text(v->name));
    }
    type->dtype = t->elem_type == BRIM_STRING ? BRIM_STRING : brim_onnx_dtype(t->elem_type);
    if (type->dtype == BRIM_UNDEFINED && t->elem_type != 0) {
        return brim_fail(l->ctx, BRIM_ERR_UNSUPPORTED, "%s '%s': element type %d is not supported",
                         what, text(v->name), (int)t->elem_type);
    }
    if (t->shape == NULL) {
        return BRIM_OK;
    }
    if (t->shape->n_dim > BRIM_MAX_RANK) {
        return brim_fail(l->ctx, BRIM_ERR_UNSUPPORTED, "%s '%s': has rank %zu, expected at most %d",
                         what, text(v->name), t->shape->n_dim, BRIM_MAX_RANK);
    }
    type->shape.rank = (int)t->shape->n_dim;
    for (size_t i = 0; i < t->shape->n_dim; i++) {
        const pb_dim *d = t->shape->dim[i];
        const bool known = d->value_case == BRIM__ONNX__DIMENSION__VALUE_DIM_VALUE;
        if (known && d->dim_value < -1) {
            return brim_fail(l->ctx, BRIM_ERR_FILE, "%s '%s': dimension %zu is %lld", what,
                             text(v->name), i, (long long)d->dim_value);
        }
        type->shape.dim[i] = known ? d->dim_value : -1;
    }
    return BRIM_OK;
}

static brim_status load_inputs(struct brim_onnx_loader *l)
{
    const pb_graph *p = l->model->graph;

    for (size_t i = 0; i < p->n_input; i++) {
        const char *name = text(p->input[i]->name);
        const int32_t known = brim_graph_find_value(l->g, name);
        struct brim_type type;
        if (known >= 0 && l->g->values[known].constant != NULL) {
            continue; /* a default that brim never overrides */
        }
        if (name[0] == '\0' || known >= 0) {
            return brim_fail(l->ctx, BRIM_ERR_FILE, "graph input %zu: %s", i,
                             name[0] == '\0' ? "has no name" : "has the name of another");
        }
        BRIM_TRY(load_type(l, "graph input", p->input[i], &type));
        if (type.dtype == BRIM_UNDEFINED) {
            return brim_fail(l->ctx, BRIM_ERR_FILE, "graph input '%s': has no element type", name);
        }
        const int32_t v = brim_graph_add_value(l->g, name, &type);
        if (v < 0) {
            return BRIM_ERR_NOMEM;
        }
        BRIM_TRY(brim_graph_add_input(l->g, v));
    }
    return BRIM_OK;
}

static brim_status load_outputs(struct brim_onnx_loader *l, struct brim_type **declared)
{
    const pb_graph *p = l->model->graph;

    if (p->n_output == 0) {
        return brim_fail(l->ctx, BRIM_ERR_FILE, "the graph has no outputs");
    }
    *declared = brim_arena_alloc(l->scratch, p->n_output, sizeof **declared);
    if (*declared == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < p->n_output; i++) {
        const char *name = text(p->output[i]->name);
        const int32_t v = brim_graph_find_value(l->g, name);
        if (v < 0) {
            return brim_fail(l->ctx, BRIM_ERR_FILE, "graph output '%s' is produced by no node",
                             name);
        }
        BRIM_TRY(load_type(l, "graph output", p->output[i], &(*declared)[i]));
        BRIM_TRY(brim_graph_add_output(l->g, v));
        if (l->g->values[v].type.dtype == BRIM_UNDEFINED) {
            l->g->values[v].type = (*declared)[i];
        }
    }
    return BRIM_OK;
}

/* Every value has at most one source: a node's output, an initializer or a graph input. */
static brim_status check_producers(struct brim_onnx_loader *l)
{
    const struct brim_graph *g = l->g;
    const char **source = brim_arena_zalloc(l->scratch, g->n_values + 1, sizeof *source);

    if (source == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_values; i++) {
        source[i] = g->values[i].constant != NULL ? "an initializer" : NULL;
    }
    for (size_t i = 0; i < g->n_inputs; i++) {
        source[g->inputs[i]] = "a graph input";
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        for (size_t j = 0; j < n->n_out; j++) {
            if (n->out[j] < 0) {
                continue;
            }
            if (source[n->out[j]] != NULL) {
                return brim_fail(l->ctx, BRIM_ERR_FILE,
                                 "node '%s' (%s): its output '%s' is already %s", n->name,
                                 n->op_type, g->values[n->out[j]].name, source[n->out[j]]);
            }
            source[n->out[j]] = "the output of another node";
        }
    }
    return BRIM_OK;
}

/* The bits after the exponent, of every floating type, tell NaN from infinity. */
static int classify_float(const struct brim_tensor *t, size_t i)
{
    uint64_t bits, exponent, fraction;

    switch (t->type.dtype) {
    case BRIM_FLOAT:
        bits = ((const uint32_t *)t->data)[i];
        exponent = 0x7f800000u;
        fraction = 0x7fffffu;
        break;
    case BRIM_DOUBLE:
        bits = ((const uint64_t *)t->data)[i];
        exponent = 0x7ff0000000000000u;
        fraction = 0xfffffffffffffu;
        break;
    case BRIM_FLOAT16:
        bits = ((const uint16_t *)t->data)[i];
        exponent = 0x7c00u;
        fraction = 0x3ffu;
        break;
    default: /* bfloat16 */
        bits = ((const uint16_t *)t->data)[i];
        exponent = 0x7f80u;
        fraction = 0x7fu;
        break;
    }
    return (bits & exponent) != exponent ? 0 : (bits & fraction) != 0 ? 2 : 1;
}

static brim_status check_finite(struct brim_onnx_loader *l, const struct brim_value *v,
                                bool infinity_too)
{
    const struct brim_tensor *t = v->constant;
    const enum brim_dtype d = t->type.dtype;
    const size_t count = (size_t)brim_shape_count(&t->type.shape);

    if (d != BRIM_FLOAT && d != BRIM_DOUBLE && d != BRIM_FLOAT16 && d != BRIM_BFLOAT16) {
        return BRIM_OK;
    }
    for (size_t i = 0; i < count; i++) {
        const int kind = classify_float(t, i);
        if (kind == 2 || (kind == 1 && infinity_too)) {
            return brim_fail(l->ctx, BRIM_ERR_FILE, "initializer '%s': element %zu is %s", v->name,
                             i, kind == 2 ? "NaN" : "infinite");
        }
    }
    return BRIM_OK;
}

/* No constant may hold a NaN, and no weight an infinity (an attention mask may). */
static brim_status check_constants(struct brim_onnx_loader *l)
{
    static const char *const weighted[] = {"Conv",           "Gemm",
                                           "MatMul",         "BatchNormalization",
                                           "QuantizeLinear", "DequantizeLinear",
                                           "BipolarQuant",   "Quant",
                                           "IntQuant",       "Trunc"};
    const struct brim_graph *g = l->g;
    bool *weight = brim_arena_zalloc(l->scratch, g->n_values + 1, sizeof *weight);

    if (weight == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        for (size_t w = 0; w < sizeof weighted / sizeof weighted[0]; w++) {
            for (size_t j = 0; strcmp(n->op_type, weighted[w]) == 0 && j < n->n_in; j++) {
                if (n->in[j] >= 0) {
                    weight[n->in[j]] = true;
                }
            }
        }
    }
    for (size_t i = 0; i < g->n_values; i++) {
        if (g->values[i].constant != NULL) {
            BRIM_TRY(check_finite(l, &g->values[i], weight[i]));
        }
    }
    return BRIM_OK;
}

static brim_status check_outputs(struct brim_onnx_loader *l, const struct brim_type *declared)
{
    for (size_t i = 0; i < l->g->n_outputs; i++) {
        const struct brim_value *v = &l->g->values[l->g->outputs[i]];
        if (declared[i].dtype != BRIM_UNDEFINED && declared[i].dtype != v->type.dtype) {
            return brim_fail(l->ctx, BRIM_ERR_FILE, "graph output '%s': is declared %s, but is %s",
                             v->name, brim_dtype_name(declared[i].dtype),
                             brim_dtype_name(v->type.dtype));
        }
    }
    return BRIM_OK;
}

static brim_status load_model(struct brim_onnx_loader *l)
{
    struct brim_type *declared = NULL;

    if (l->model->graph == NULL) {
        return brim_fail(l->ctx, BRIM_ERR_FILE, "has no graph: not an ONNX model");
    }
    BRIM_TRY(load_opsets(l));
    BRIM_TRY(load_metadata(l));
    BRIM_TRY(load_initializers(l));
    BRIM_TRY(load_inputs(l));
    BRIM_TRY(brim_onnx_add_nodes(l));
    BRIM_TRY(load_outputs(l, &declared));
    BRIM_TRY(check_producers(l));
    BRIM_TRY(brim_graph_canonicalise(l->g));
    BRIM_TRY(check_constants(l));
    BRIM_TRY(brim_graph_infer(l->g));
    BRIM_TRY(l->microsoft_codes ? brim_graph_upgrade(l->g, 21) : BRIM_OK); /* for 16 bits */
    BRIM_TRY(brim_onnx_lower_qonnx(l->g));
    BRIM_TRY(brim_graph_fold_moves(l->g));
    BRIM_TRY(brim_graph_fold_codes(l->g));
    BRIM_TRY(brim_graph_fold_moves(l->g)); /* moves of those */
    return check_outputs(l, declared);
}

/* `n` bytes at `data`; `path` is "" for memory. */
static brim_status load_bytes(brim_ctx *ctx, struct brim_arena *scratch, struct brim_buffer *file,
                              const char *path, brim_graph **graph)
{
    struct brim_onnx_loader l = {.ctx = ctx, .scratch = scratch};
    pb_model *model = NULL;

    BRIM_TRY(brim_wire_unpack(scratch, file->data, file->size, &model));
    brim_buffer_free(file);
    l.model = model;
    if (path[0] != '\0') {
        const char *slash = strrchr(path, '/');
        l.folder = slash == NULL   ? "."
                   : slash == path ? "/"
                                   : brim_arena_strndup(scratch, path, (size_t)(slash - path));
        if (l.folder == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    BRIM_TRY(brim_graph_create(ctx, &l.g));
    l.g->path = brim_arena_strdup(&l.g->arena, path);
    const brim_status status = l.g->path == NULL ? BRIM_ERR_NOMEM : load_model(&l);
    if (status != BRIM_OK) {
        brim_graph_free(l.g);
        return status;
    }
    *graph = l.g;
    return BRIM_OK;
}

brim_status brim_onnx_load(brim_ctx *ctx, const char *path, brim_graph **graph)
{
    struct brim_arena scratch;
    struct brim_buffer file;

    brim_clear_error(ctx);
    brim_arena_init(&scratch, ctx);
    brim_status status = brim_file_read(ctx, path, &file);
    if (status == BRIM_OK) {
        status = load_bytes(ctx, &scratch, &file, path, graph);
        if (status != BRIM_OK) {
            status = brim_fail_at(ctx, status, "%s", path);
        }
    }
    brim_buffer_free(&file);
    brim_arena_free(&scratch);
    return status;
}

brim_status brim_onnx_load_memory(brim_ctx *ctx, const void *data, size_t n, brim_graph **graph)
{
    struct brim_arena scratch;
    struct brim_buffer file;

    brim_clear_error(ctx);
    brim_arena_init(&scratch, ctx);
    brim_buffer_init(&file, ctx, ctx->params.max_file_bytes);
    brim_status status = brim_buffer_append(&file, data, n);
    if (status == BRIM_OK) {
        status = load_bytes(ctx, &scratch, &file, "", graph);
    }
    brim_buffer_free(&file);
    brim_arena_free(&scratch);
    return status;
}
