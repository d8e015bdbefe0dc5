/* build.c - a graph becomes values and operators. SPDX-License-Identifier: Apache-2.0
 *
 * Nodes are visited in order; each makes its output and its state (create). Then it is known which
 * values want a gradient, who writes it first, and values get storage. An operator may do its
 * work in its input's storage (a Relu behind a convolution, a Reshape that moves nothing) and hand
 * its gradient on as it is (an addition): shares_data, shares_grad.
 */
#include <string.h>

#include "base/intops.h"
#include "train/engine.h"

static const struct {
    const char *op_type;
    const struct brim_net_class *cls;
} table[] = {
    {"Add", &brim_net_sum},
    {"AveragePool", &brim_net_pooling},
    {"BatchNormalization", &brim_net_batchnorm},
    {"Clip", &brim_net_activation},
    {"Concat", &brim_net_concat},
    {"Conv", &brim_net_convolution},
    {"Dropout", &brim_net_dropout},
    {"Flatten", &brim_net_permute},
    {"Gemm", &brim_net_dense},
    {"GlobalAveragePool", &brim_net_pooling},
    {"LeakyRelu", &brim_net_activation},
    {"MatMul", &brim_net_dense},
    {"MaxPool", &brim_net_pooling},
    {"ReduceMean", &brim_net_pooling},
    {"Relu", &brim_net_activation},
    {"Reshape", &brim_net_permute},
    {"Squeeze", &brim_net_permute},
    {"Transpose", &brim_net_permute},
    {"Unsqueeze", &brim_net_permute},
};

brim_status brim_net_refuse(struct brim_network *net, const struct brim_node *node, const char *why)
{
    return brim_fail(net->ctx, BRIM_ERR_UNSUPPORTED, "node '%s' (%s): cannot be trained: %s",
                     node->name, node->op_type, why);
}

/* ---- looking at the graph ---- */

const struct brim_tensor *brim_net_constant(const struct brim_network *net,
                                            const struct brim_node *node, size_t i)
{
    return i < node->n_in && node->in[i] >= 0 ? net->graph->values[node->in[i]].constant : NULL;
}

void brim_net_view(const struct brim_network *net, const struct brim_node *node,
                   struct brim_net_view *view)
{
    const struct brim_graph *g = net->graph;

    for (size_t i = 0; i < BRIM_NET_OPERANDS; i++) {
        const int32_t v = i < node->n_in ? node->in[i] : -1;
        view->type[i] = v >= 0 ? g->values[v].type : (struct brim_type){.shape.rank = -1};
        view->value[i] = v >= 0 ? g->values[v].constant : NULL;
    }
    view->infer = (struct brim_infer){
        .ctx = net->ctx,
        .node = node,
        .opset = brim_graph_opset(g, node->domain),
        .in = view->type,
        .value = view->value,
        .out = view->type + BRIM_NET_OPERANDS,
    };
}

brim_status brim_net_put(struct brim_graph *g, struct brim_node *node, size_t i,
                         const struct brim_shape *shape, const float *data)
{
    const struct brim_type type = {BRIM_FLOAT, *shape};
    const int32_t v = node->in[i];
    const int32_t made = brim_graph_add_constant(g, g->values[v].name, &type, data);

    if (made < 0) {
        return BRIM_ERR_NOMEM;
    }
    if (brim_graph_count_uses(g, v) > 1) {
        node->in[i] = made;
    } else { /* keeps its name */
        g->values[v].constant = g->values[made].constant;
        g->values[v].type = type;
    }
    return BRIM_OK;
}

/* ---- values ---- */

/* NULL: out of memory. */
static struct brim_net_value *add_value(struct brim_network *net, const int64_t *dim, int rank)
{
    struct brim_net_value *v = brim_arena_zalloc(&net->arena, 1, sizeof *v);
    size_t bytes = 0;

    if (v == NULL) {
        return NULL;
    }
    *v = (struct brim_net_value){.rank = rank, .channels = 1, .height = 1, .width = 1, .size = 1};
    for (int i = 0; i < rank; i++) {
        v->dim[i] = dim[i];
        if (!brim_mul_size(v->size, (size_t)dim[i], &v->size)) {
            v->size = SIZE_MAX;
        }
    }
    if (!brim_mul_size(v->size, net->shard * net->shards * sizeof(float), &bytes)) {
        brim_fail(net->ctx, BRIM_ERR_NOMEM, "out of memory: a value of %zu samples",
                  net->spec.batch);
        return NULL;
    }
    if (rank == 2 || rank == 3) {
        v->channels = (size_t)dim[0];
        v->height = rank == 3 ? (size_t)dim[1] : 1;
        v->width = (size_t)dim[rank - 1];
    } else {
        v->channels = v->size;
    }
    return v;
}

brim_status brim_net_value_of(struct brim_network *net, const struct brim_node *node, int32_t value,
                              struct brim_net_value **out)
{
    const struct brim_value *v = &net->graph->values[value];
    const struct brim_shape *s = &v->type.shape;

    *out = NULL;
    if (v->type.dtype != BRIM_FLOAT || s->rank < 1 || brim_shape_count(s) < 1) {
        return brim_fail(net->ctx, BRIM_ERR_UNSUPPORTED,
                         "node '%s' (%s): cannot be trained: '%s' is not float of a known shape",
                         node->name, node->op_type, v->name);
    }
    const struct brim_value *x = &net->graph->values[net->graph->inputs[0]];
    if (s->rank < 2 || s->dim[0] != x->type.shape.dim[0]) {
        return brim_fail(
            net->ctx, BRIM_ERR_UNSUPPORTED,
            "node '%s' (%s): cannot be trained: the first axis of '%s' is not the batch",
            node->name, node->op_type, v->name);
    }
    *out = add_value(net, s->dim + 1, s->rank - 1);
    if (*out == NULL) {
        return BRIM_ERR_NOMEM;
    }
    (*out)->uses = net->uses[value];
    return BRIM_OK;
}

/* ---- nodes ---- */

static const struct brim_net_class *class_of(const struct brim_node *node)
{
    for (size_t i = 0; node->domain[0] == '\0' && i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].op_type, node->op_type) == 0) {
            return table[i].cls;
        }
    }
    return NULL;
}

/* Inputs that are computed, in order; constants are the operator's business. */
static brim_status gather_inputs(struct brim_network *net, struct brim_net_op *op)
{
    const struct brim_node *node = op->node;

    op->in = brim_arena_zalloc(&net->arena, node->n_in + 1, sizeof(void *));
    op->add = brim_arena_zalloc(&net->arena, node->n_in + 1, sizeof(bool));
    if (op->in == NULL || op->add == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < node->n_in; i++) {
        struct brim_net_value *v = node->in[i] < 0 ? NULL : net->value[node->in[i]];
        if (v != NULL) {
            op->in[op->n_in++] = v;
        }
    }
    if (op->n_in == 0 && node->n_in > 0) {
        return brim_net_refuse(net, node, "nothing that it reads is computed from the input");
    }
    for (size_t i = 1; i < node->n_out; i++) {
        if (node->out[i] >= 0 && brim_graph_count_uses(net->graph, node->out[i]) > 0) {
            return brim_net_refuse(net, node, "its second output is used");
        }
    }
    return BRIM_OK;
}

/* Identity, and a Softmax that is the graph's output: the loss has it. */
static bool hands_on(const struct brim_network *net, const struct brim_node *node)
{
    const struct brim_graph *g = net->graph;
    int32_t y = node->out[0];

    if (node->domain[0] != '\0' || strcmp(node->op_type, "Softmax") != 0) {
        return node->domain[0] == '\0' && strcmp(node->op_type, "Identity") == 0;
    }
    for (size_t i = (size_t)(node - g->nodes) + 1; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        y = strcmp(n->op_type, "Identity") == 0 && n->in[0] == y ? n->out[0] : y;
    }
    return g->outputs[0] == y && g->values[y].type.shape.rank == 2;
}

static brim_status add_node(struct brim_network *net, const struct brim_node *node)
{
    const struct brim_net_class *cls = class_of(node);

    if (cls == NULL) {
        return brim_net_refuse(net, node, "the operator has no gradient");
    }
    struct brim_net_op *op = &net->op[net->n_ops++];
    *op = (struct brim_net_op){.cls = cls, .node = node, .name = node->name};
    BRIM_TRY(gather_inputs(net, op));
    BRIM_TRY(cls->create(net, op));
    op->out->producer = op;
    net->value[node->out[0]] = op->out;
    return BRIM_OK;
}

/* The graph's input as values have it, channel fastest, or its output as the caller has it. */
static brim_status add_border(struct brim_network *net, const struct brim_node *border, int32_t v)
{
    struct brim_net_op *op = &net->op[net->n_ops++];

    *op = (struct brim_net_op){.cls = &brim_net_permute, .node = border, .name = border->name};
    BRIM_TRY(gather_inputs(net, op));
    BRIM_TRY(brim_net_value_of(net, border, v, &op->out));
    BRIM_TRY(op->cls->create(net, op));
    op->out->producer = op;
    return BRIM_OK;
}

/* Count uses through Identity, and through a Softmax that is the output: it belongs to the loss. */
static brim_status count_uses(struct brim_network *net)
{
    const struct brim_graph *g = net->graph;
    int32_t *root = brim_arena_alloc(&net->arena, g->n_values + 1, sizeof *root);

    if (root == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_values; i++) {
        root[i] = (int32_t)i;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        if (hands_on(net, n)) {
            root[n->out[0]] = root[n->in[0]];
            continue;
        }
        for (size_t j = 0; j < n->n_in; j++) {
            if (n->in[j] >= 0) {
                net->uses[root[n->in[j]]]++;
            }
        }
    }
    net->uses[root[g->outputs[0]]]++;
    return BRIM_OK;
}

static brim_status add_nodes(struct brim_network *net)
{
    static const struct brim_node in = {.name = "input", .op_type = "Input", .domain = ""};
    int32_t behind = -1;
    const struct brim_graph *g = net->graph;
    const struct brim_node out = {
        .name = "output", .op_type = "Output", .domain = "", .n_in = 1, .in = &behind};

    BRIM_TRY(count_uses(net));
    BRIM_TRY(add_border(net, &in, g->inputs[0]));
    net->value[g->inputs[0]] = net->op[0].out;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *node = &g->nodes[i];
        if (hands_on(net, node)) {
            net->value[node->out[0]] = net->value[node->in[0]];
        } else {
            BRIM_TRY(add_node(net, node));
        }
    }
    net->output = net->value[g->outputs[0]];
    if (net->output == NULL || net->n_ops < 2) {
        return brim_fail(net->ctx, BRIM_ERR_UNSUPPORTED,
                         "output '%s' is not computed from the input",
                         g->values[g->outputs[0]].name);
    }
    if (net->output->rank > 1) {
        behind = g->outputs[0];
        BRIM_TRY(add_border(net, &out, behind));
        net->op[net->n_ops - 1].node = &in; /* `out` goes */
        net->output = net->op[net->n_ops - 1].out;
    }
    return BRIM_OK;
}

/* ---- storage ---- */

/* From the loss: the first to write a value's gradient overwrites it, the others add. */
static void order_gradients(struct brim_network *net)
{
    for (size_t i = net->n_ops; i-- > 0;) {
        struct brim_net_op *op = &net->op[i];
        op->backward = op->out->wanted && (op->out == net->output || op->out->written);
        for (size_t j = 0; op->backward && j < op->n_in; j++) {
            op->add[j] = op->in[j]->written || op->in[j] == net->output;
            op->in[j]->written = op->in[j]->written || op->in[j]->wanted;
        }
    }
}

static brim_status give_data(struct brim_network *net, struct brim_net_op *op)
{
    struct brim_net_value *v = op->out;

    if (op->shares_data) {
        v->data = op->in[0]->data;
        return BRIM_OK;
    }
    v->data = brim_arena_zalloc(&net->arena, net->shard * net->shards * v->size, sizeof(float));
    return v->data != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
}

/* From the loss: whoever shares its gradient has one already. */
static brim_status give_gradient(struct brim_network *net, struct brim_net_op *op)
{
    struct brim_net_value *v = op->out;

    if (v->wanted && v->grad == NULL) {
        v->grad = brim_arena_zalloc(&net->arena, net->shard * net->shards * v->size, sizeof(float));
        if (v->grad == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    for (size_t i = 0; op->shares_grad && i < op->n_in; i++) {
        if (op->in[i]->wanted && op->in[i]->uses == 1) {
            op->in[i]->grad = v->grad;
        }
    }
    return BRIM_OK;
}

static brim_status give_storage(struct brim_network *net)
{
    for (size_t i = 0; i < net->n_ops; i++) {
        BRIM_TRY(give_data(net, &net->op[i]));
    }
    for (size_t i = net->n_ops; i-- > 0;) {
        BRIM_TRY(give_gradient(net, &net->op[i]));
    }
    for (size_t i = 0; i < net->n_ops; i++) {
        if (net->op[i].cls->ready != NULL) {
            BRIM_TRY(net->op[i].cls->ready(net, &net->op[i]));
        }
    }
    return BRIM_OK;
}

static brim_status check_graph(const struct brim_network *net)
{
    const struct brim_graph *g = net->spec.graph;

    if (g->n_inputs != 1 || g->n_outputs != 1) {
        return brim_fail(net->ctx, BRIM_ERR_UNSUPPORTED,
                         "the graph has %zu inputs and %zu outputs, expected one of each to train",
                         g->n_inputs, g->n_outputs);
    }
    const struct brim_type *x = &g->values[g->inputs[0]].type;
    if (x->dtype != BRIM_FLOAT || x->shape.rank < 2) {
        return brim_fail(net->ctx, BRIM_ERR_UNSUPPORTED,
                         "input '%s' is no batch of float samples, expected to train",
                         g->values[g->inputs[0]].name);
    }
    return BRIM_OK;
}

brim_status brim_net_build(struct brim_network *net)
{
    BRIM_TRY(check_graph(net));
    BRIM_TRY(brim_graph_clone(net->spec.graph, &net->graph));
    struct brim_graph *g = net->graph;
    struct brim_type *x = &g->values[g->inputs[0]].type;
    x->shape.dim[0] = x->shape.dim[0] < 1 ? 1 : x->shape.dim[0];
    BRIM_TRY(brim_graph_infer(g));
    net->value = brim_arena_zalloc(&net->arena, g->n_values + 1, sizeof(void *));
    net->uses = brim_arena_zalloc(&net->arena, g->n_values + 1, sizeof *net->uses);
    net->op = brim_arena_zalloc(&net->arena, g->n_nodes + 2, sizeof *net->op);
    net->dot = brim_arena_zalloc(&net->arena, net->spec.dots->count + 1, sizeof(void *));
    if (net->value == NULL || net->uses == NULL || net->op == NULL || net->dot == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(add_nodes(net));
    order_gradients(net);
    return give_storage(net);
}
