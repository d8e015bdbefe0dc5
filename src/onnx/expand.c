/* expand.c - nodes and their attributes into the graph, functions of the model inlined.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A node whose operator brim does not have, but the model defines as a function, is replaced by the
 * function's body: inner values and nodes are named "<call>/<inner>", attributes that refer to the
 * function's own are filled in from the call. Calls may nest, so a stack of frames is walked; its
 * depth and the number of nodes made are limited, because a few functions that call one another
 * twice each would otherwise grow without bound.
 */
#include <string.h>

#include "graph/op.h"
#include "onnx/loader.h"

#define MAX_DEPTH      32
#define MAX_NODES      ((size_t)1 << 20) /* of the file */
#define MAX_EXPANDED   ((size_t)1 << 16) /* made by functions, which a small file can multiply */
#define MAX_ATTRIBUTES ((size_t)1 << 16)

struct frame {
    const pb_function *function; /* NULL = the main graph */
    pb_node **nodes;
    size_t n_nodes, next;
    const char *prefix;           /* the call's name; "" in the main graph */
    struct brim_names values;     /* inner name -> value; unused in the main graph */
    const struct brim_attr *attr; /* what ref_attr_name finds */
    size_t n_attr;
};

struct expander {
    struct brim_onnx_loader *l;
    struct frame frame[MAX_DEPTH];
    size_t depth;
    size_t expanded;         /* nodes of functions so far, calls included */
    struct brim_names given; /* names of the main graph's named nodes */
};

/* One node on its way into the graph. */
struct incoming {
    const char *name, *domain, *op_type;
    int32_t *in, *out;
    size_t n_in, n_out, n_attr;
    struct brim_attr *attr;
};

static const char *text(const char *s)
{
    return s == NULL ? "" : s;
}

const char *brim_onnx_domain(const char *domain)
{
    static const char *const qonnx[] = {"brevitas.onnx", "finn.custom_op.general", "onnx.brevitas"};

    for (size_t i = 0; domain != NULL && i < sizeof qonnx / sizeof qonnx[0]; i++) {
        if (strcmp(domain, qonnx[i]) == 0) {
            return BRIM_DOMAIN_QONNX;
        }
    }
    return domain == NULL || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

/* The value of a name in this frame, created when new; -1 for the empty name. */
static brim_status resolve(struct expander *x, struct frame *f, const char *name, int32_t *value)
{
    struct brim_graph *g = x->l->g;
    const char *full = name;

    *value = -1;
    if (text(name)[0] == '\0') {
        return BRIM_OK;
    }
    if (f->function == NULL) {
        *value = brim_graph_find_value(g, name);
        if (*value >= 0) {
            return BRIM_OK;
        }
    } else {
        const struct brim_name *known = brim_names_find(&f->values, name);
        if (known != NULL) {
            *value = known->value;
            return BRIM_OK;
        }
        full = brim_arena_printf(x->l->scratch, "%s/%s", f->prefix, name);
    }
    *value = full == NULL ? -1 : brim_graph_add_value(g, full, NULL);
    if (*value < 0 ||
        (f->function != NULL && brim_names_insert(&f->values, name, *value) == NULL)) {
        return BRIM_ERR_NOMEM;
    }
    return BRIM_OK;
}

static brim_status resolve_all(struct expander *x, struct frame *f, char **names, size_t *n,
                               int32_t **values)
{
    *values = brim_arena_alloc(x->l->scratch, *n + 1, sizeof **values);
    if (*values == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < *n; i++) {
        BRIM_TRY(resolve(x, f, names[i], &(*values)[i]));
    }
    while (*n > 0 && (*values)[*n - 1] < 0) { /* trailing omitted ones say nothing */
        --*n;
    }
    return BRIM_OK;
}

/* ---- attributes ---- */

static char *bytes_text(struct brim_arena *a, const ProtobufCBinaryData *b)
{
    return brim_arena_strndup(a, b->len > 0 ? (const char *)b->data : "", b->len);
}

/* Old files leave the kind out: it is what is there. */
static int32_t attr_kind(const pb_attr *p)
{
    if (p->has_type && p->type != 0) {
        return p->type;
    }
    return p->has_f           ? BRIM_ATTR_FLOAT
           : p->has_i         ? BRIM_ATTR_INT
           : p->has_s         ? BRIM_ATTR_STRING
           : p->t != NULL     ? BRIM_ATTR_TENSOR
           : p->n_floats > 0  ? BRIM_ATTR_FLOATS
           : p->n_strings > 0 ? BRIM_ATTR_STRINGS
                              : BRIM_ATTR_INTS;
}

static brim_status attr_tensor(struct expander *x, const char *where, const pb_attr *p,
                               struct brim_attr *a)
{
    struct brim_tensor *t = NULL;

    if (p->t == NULL) {
        return brim_fail(x->l->ctx, BRIM_ERR_FILE, "%s: has no tensor", where);
    }
    const struct brim_onnx_source source = {x->l->scratch, x->l->scratch, x->l->folder, where};
    BRIM_TRY(brim_onnx_tensor_read(&source, p->t, &t));
    a->t = t;
    return BRIM_OK;
}

static brim_status attr_strings(struct expander *x, const pb_attr *p, struct brim_attr *a)
{
    const char **list = brim_arena_alloc(x->l->scratch, p->n_strings + 1, sizeof *list);

    for (size_t i = 0; list != NULL && i < p->n_strings; i++) {
        list[i] = bytes_text(x->l->scratch, &p->strings[i]);
        if (list[i] == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    a->strings = list;
    a->count = p->n_strings;
    return list == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

static brim_status read_attr(struct expander *x, const char *where, const pb_attr *p,
                             struct brim_attr *a)
{
    const int32_t kind = attr_kind(p);

    *a = (struct brim_attr){.name = p->name, .type = (enum brim_attr_type)kind};
    switch (kind) {
    case BRIM_ATTR_FLOAT:
        a->f = p->f;
        return BRIM_OK;
    case BRIM_ATTR_INT:
        a->i = p->i;
        return BRIM_OK;
    case BRIM_ATTR_STRING:
        a->s = bytes_text(x->l->scratch, &p->s);
        return a->s == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
    case BRIM_ATTR_TENSOR:
        return attr_tensor(x, where, p, a);
    case BRIM_ATTR_FLOATS:
        a->floats = p->floats;
        a->count = p->n_floats;
        return BRIM_OK;
    case BRIM_ATTR_INTS:
        a->ints = p->ints;
        a->count = p->n_ints;
        return BRIM_OK;
    case BRIM_ATTR_STRINGS:
        return attr_strings(x, p, a);
    case 5:
    case 10:
        return brim_fail(x->l->ctx, BRIM_ERR_UNSUPPORTED,
                         "%s: is a subgraph, which brim does not run", where);
    default:
        return brim_fail(x->l->ctx, BRIM_ERR_UNSUPPORTED, "%s: kind %d is not supported", where,
                         (int)kind);
    }
}

static const struct brim_attr *find_attr(const struct brim_attr *attr, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(attr[i].name, name) == 0) {
            return &attr[i];
        }
    }
    return NULL;
}

/* Append the attributes of a list, those that refer to the call's replaced by them. */
static brim_status read_attrs(struct expander *x, const struct frame *f, pb_attr **list, size_t n,
                              struct incoming *to)
{
    for (size_t i = 0; i < n; i++) {
        const pb_attr *p = list[i];
        const char *name = text(p->name);
        const char *where = brim_arena_printf(x->l->scratch, "node '%s' (%s): attribute '%s'",
                                              to->name, to->op_type, name);
        if (where == NULL) {
            return BRIM_ERR_NOMEM;
        }
        if (name[0] == '\0') {
            return brim_fail(x->l->ctx, BRIM_ERR_FILE, "%s: has no name", where);
        }
        if (find_attr(to->attr, to->n_attr, name) != NULL) {
            return brim_fail(x->l->ctx, BRIM_ERR_FILE, "%s: is given twice", where);
        }
        if (text(p->ref_attr_name)[0] == '\0') {
            BRIM_TRY(read_attr(x, where, p, &to->attr[to->n_attr++]));
            continue;
        }
        const struct brim_attr *given = find_attr(f->attr, f->n_attr, p->ref_attr_name);
        if (given != NULL) { /* else it is absent in the body too */
            to->attr[to->n_attr] = *given;
            to->attr[to->n_attr++].name = p->name;
        }
    }
    return BRIM_OK;
}

/* ---- nodes ---- */

static brim_status name_node(struct expander *x, const struct frame *f, const pb_node *p,
                             struct incoming *to)
{
    const char *name = text(p->name);

    if (name[0] == '\0') {
        name = brim_arena_printf(x->l->scratch, "%s_%zu", to->op_type, f->next - 1);
        while (name != NULL && f->function == NULL && brim_names_find(&x->given, name) != NULL) {
            name = brim_arena_printf(x->l->scratch, "%s_", name);
        }
    }
    if (name != NULL && f->function != NULL) {
        name = brim_arena_printf(x->l->scratch, "%s/%s", f->prefix, name);
    }
    to->name = name;
    return name == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

/* onnxruntime had quantization to 16 bits before ONNX did; the operators are the same now. */
static bool is_microsoft_codes(const char *domain, const char *op_type)
{
    return strcmp(domain, BRIM_DOMAIN_MICROSOFT) == 0 &&
           (strcmp(op_type, "QuantizeLinear") == 0 || strcmp(op_type, "DequantizeLinear") == 0);
}

static brim_status read_node(struct expander *x, struct frame *f, const pb_node *p,
                             struct incoming *to)
{
    *to = (struct incoming){.domain = brim_onnx_domain(p->domain), .op_type = text(p->op_type)};
    if (is_microsoft_codes(to->domain, to->op_type)) {
        to->domain = "";
        x->l->microsoft_codes = true;
    }
    BRIM_TRY(name_node(x, f, p, to));
    if (p->n_attribute > MAX_ATTRIBUTES) {
        return brim_fail(x->l->ctx, BRIM_ERR_FILE, "node '%s' (%s): has %zu attributes", to->name,
                         to->op_type, p->n_attribute);
    }
    to->n_in = p->n_input;
    to->n_out = p->n_output;
    BRIM_TRY(resolve_all(x, f, p->input, &to->n_in, &to->in));
    BRIM_TRY(resolve_all(x, f, p->output, &to->n_out, &to->out));
    to->attr = brim_arena_zalloc(x->l->scratch, p->n_attribute + 1, sizeof *to->attr);
    return to->attr == NULL ? BRIM_ERR_NOMEM : read_attrs(x, f, p->attribute, p->n_attribute, to);
}

static const pb_function *find_function(const pb_model *m, const char *domain, const char *name)
{
    for (size_t i = 0; i < m->n_functions; i++) {
        const pb_function *f = m->functions[i];
        if (strcmp(text(f->name), name) == 0 && strcmp(brim_onnx_domain(f->domain), domain) == 0) {
            return f;
        }
    }
    return NULL;
}

static brim_status check_function_opset(struct expander *x, const struct incoming *call,
                                        const pb_function *fn)
{
    for (size_t i = 0; i < fn->n_opset_import; i++) {
        const pb_opset *o = fn->opset_import[i];
        const char *domain = brim_onnx_domain(o->domain);
        const int64_t have = brim_graph_opset(x->l->g, domain);
        if (have != 0 && have != o->version) {
            return brim_fail(x->l->ctx, BRIM_ERR_UNSUPPORTED,
                             "node '%s' (%s): its function is of opset %lld, the model of %lld",
                             call->name, call->op_type, (long long)o->version, (long long)have);
        }
        if (have == 0) {
            BRIM_TRY(brim_graph_set_opset(x->l->g, domain, o->version));
        }
    }
    return BRIM_OK;
}

/* Bind the function's inputs and outputs to the call's values. */
static brim_status bind(struct expander *x, struct frame *f, const struct incoming *call)
{
    const pb_function *fn = f->function;

    for (size_t i = 0; i < fn->n_input; i++) {
        if (brim_names_find(&f->values, fn->input[i]) != NULL ||
            brim_names_insert(&f->values, fn->input[i], i < call->n_in ? call->in[i] : -1) ==
                NULL) {
            return brim_fail(x->l->ctx, BRIM_ERR_FILE, "function '%s': input '%s' is given twice",
                             text(fn->name), fn->input[i]);
        }
    }
    for (size_t i = 0; i < fn->n_output && i < call->n_out; i++) {
        if (call->out[i] < 0) {
            continue;
        }
        if (brim_names_find(&f->values, fn->output[i]) != NULL ||
            brim_names_insert(&f->values, fn->output[i], call->out[i]) == NULL) {
            return brim_fail(x->l->ctx, BRIM_ERR_UNSUPPORTED,
                             "function '%s': output '%s' is also an input or given twice",
                             text(fn->name), fn->output[i]);
        }
    }
    return BRIM_OK;
}

static brim_status enter(struct expander *x, const struct frame *caller, struct incoming *call,
                         const pb_function *fn)
{
    if (x->depth == MAX_DEPTH) {
        return brim_fail(x->l->ctx, BRIM_ERR_FILE,
                         "node '%s' (%s): functions call one another more than %d deep", call->name,
                         call->op_type, MAX_DEPTH);
    }
    if (call->n_in > fn->n_input || call->n_out > fn->n_output) {
        return brim_fail(x->l->ctx, BRIM_ERR_FILE,
                         "node '%s' (%s): has %zu inputs and %zu outputs, its function %zu and %zu",
                         call->name, call->op_type, call->n_in, call->n_out, fn->n_input,
                         fn->n_output);
    }
    BRIM_TRY(check_function_opset(x, call, fn));
    /* The call's attributes, then the function's defaults for those not given. */
    struct brim_attr *attr =
        brim_arena_zalloc(x->l->scratch, call->n_attr + fn->n_attribute_proto + 1, sizeof *attr);
    if (attr == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (call->attr != NULL) {
        memcpy(attr, call->attr, call->n_attr * sizeof *attr);
    }
    call->attr = attr;
    for (size_t i = 0; i < fn->n_attribute_proto; i++) {
        pb_attr *p = fn->attribute_proto[i];
        if (find_attr(call->attr, call->n_attr, text(p->name)) == NULL) {
            BRIM_TRY(read_attrs(x, caller, &p, 1, call));
        }
    }
    struct frame *f = &x->frame[x->depth++];
    *f = (struct frame){
        .function = fn,
        .nodes = fn->node,
        .n_nodes = fn->n_node,
        .prefix = call->name,
        .values.arena = x->l->scratch,
        .attr = call->attr,
        .n_attr = call->n_attr,
    };
    return bind(x, f, call);
}

static brim_status add_node(struct expander *x, const struct incoming *n, const struct brim_op *op)
{
    struct brim_graph *g = x->l->g;

    struct brim_node *made =
        brim_graph_add_node_of(g, n->name, op, n->in, n->n_in, n->out, n->n_out);
    if (made == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n->n_attr; i++) {
        BRIM_TRY(brim_node_set_attr(g, made, &n->attr[i]));
    }
    return BRIM_OK;
}

static brim_status step(struct expander *x)
{
    struct frame *f = &x->frame[x->depth - 1];
    struct incoming n;

    if (f->n_nodes > MAX_NODES) {
        return brim_fail(x->l->ctx, BRIM_ERR_FILE, "the graph has more than %zu nodes", MAX_NODES);
    }
    if (f->function != NULL && ++x->expanded > MAX_EXPANDED) {
        return brim_fail(x->l->ctx, BRIM_ERR_FILE, "the functions expand to more than %zu nodes",
                         MAX_EXPANDED);
    }
    BRIM_TRY(read_node(x, f, f->nodes[f->next++], &n));
    const struct brim_op *op = brim_op_find(n.domain, n.op_type);
    if (op != NULL) {
        return add_node(x, &n, op);
    }
    const pb_function *fn = find_function(x->l->model, n.domain, n.op_type);
    if (fn != NULL) {
        return enter(x, f, &n, fn);
    }
    return brim_fail(x->l->ctx, BRIM_ERR_UNSUPPORTED, "node '%s' (%s): unknown operator '%s%s%s'",
                     n.name, n.op_type, n.domain, n.domain[0] == '\0' ? "" : ".", n.op_type);
}

/* Names of the main graph are taken first, so that no expanded function can claim one. */
static brim_status reserve_names(struct expander *x)
{
    const pb_graph *p = x->l->model->graph;
    int32_t value;

    for (size_t i = 0; i < p->n_node; i++) {
        const pb_node *n = p->node[i];
        for (size_t j = 0; j < n->n_input; j++) {
            BRIM_TRY(resolve(x, &x->frame[0], n->input[j], &value));
        }
        for (size_t j = 0; j < n->n_output; j++) {
            BRIM_TRY(resolve(x, &x->frame[0], n->output[j], &value));
        }
        if (text(n->name)[0] != '\0' && brim_names_find(&x->given, n->name) == NULL &&
            brim_names_insert(&x->given, n->name, 0) == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    return BRIM_OK;
}

brim_status brim_onnx_add_nodes(struct brim_onnx_loader *l)
{
    struct expander *x = brim_arena_zalloc(l->scratch, 1, sizeof *x);

    if (x == NULL) {
        return BRIM_ERR_NOMEM;
    }
    x->l = l;
    x->given.arena = l->scratch;
    x->depth = 1;
    x->frame[0] = (struct frame){
        .nodes = l->model->graph->node, .n_nodes = l->model->graph->n_node, .prefix = ""};
    BRIM_TRY(reserve_names(x));
    while (x->depth > 0) {
        const struct frame *f = &x->frame[x->depth - 1];
        if (f->next == f->n_nodes) {
            x->depth--;
        } else {
            BRIM_TRY(step(x));
        }
    }
    return BRIM_OK;
}
