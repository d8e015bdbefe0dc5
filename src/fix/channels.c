/* channels.c - which values of a graph count the same channels. SPDX-License-Identifier: Apache-2.0
 *
 * Union-find over values, node by node. Cost: linear in the graph. */
#include "fix/channels.h"

#include <string.h>

#include "base/intops.h"

struct finder {
    const struct brim_graph *g;
    struct brim_channels *c;
};

static size_t root(const struct brim_channels *c, size_t v)
{
    while (c->of[v] != v) {
        v = c->of[v];
    }
    return v;
}

static void fix(const struct finder *f, int32_t v)
{
    if (v >= 0) {
        f->c->fixed[root(f->c, (size_t)v)] = true;
    }
}

static void join(const struct finder *f, int32_t a, int32_t b)
{
    const size_t x = root(f->c, (size_t)a), y = root(f->c, (size_t)b);
    const size_t low = x < y ? x : y, high = x < y ? y : x;

    f->c->of[high] = low;
    f->c->fixed[low] = f->c->fixed[low] || f->c->fixed[high];
}

static bool is_constant(const struct finder *f, int32_t v)
{
    return f->g->values[v].constant != NULL;
}

static bool is_number(const struct finder *f, int32_t v)
{
    return is_constant(f, v) && brim_shape_count(&f->g->values[v].type.shape) == 1;
}

static void fix_all(const struct finder *f, const struct brim_node *n)
{
    for (size_t i = 0; i < n->n_in; i++) {
        fix(f, n->in[i]);
    }
    for (size_t i = 0; i < n->n_out; i++) {
        fix(f, n->out[i]);
    }
}

/* Operators that treat every channel alike, given that all their constants are single numbers. */
static bool is_elementwise(const char *op)
{
    static const char *const ops[] = {"Add",
                                      "Sub",
                                      "Mul",
                                      "Div",
                                      "Max",
                                      "Min",
                                      "Relu",
                                      "Clip",
                                      "Abs",
                                      "Neg",
                                      "LeakyRelu",
                                      "Sigmoid",
                                      "Tanh",
                                      "Exp",
                                      "Sqrt",
                                      "Erf",
                                      "Gelu",
                                      "Dropout",
                                      "HardSigmoid",
                                      "HardSwish",
                                      "Cast",
                                      "Pow",
                                      "Identity",
                                      "QuantizeLinear",
                                      "DequantizeLinear",
                                      "MaxPool",
                                      "AveragePool",
                                      "GlobalAveragePool",
                                      "GlobalMaxPool",
                                      "QLinearAdd",
                                      "QLinearMul",
                                      "QLinearGlobalAveragePool",
                                      "QLinearAveragePool",
                                      "QLinearLeakyRelu",
                                      "QLinearSigmoid"};

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (strcmp(op, ops[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* All inputs that are no single numbers have the output's number of channels: one class. */
static bool join_elementwise(const struct finder *f, const struct brim_node *n)
{
    const struct brim_shape *y = &f->g->values[n->out[0]].type.shape;

    if (!is_elementwise(n->op_type) || n->n_out != 1 || y->rank < 2) {
        return false;
    }
    for (size_t i = 0; i < n->n_in; i++) {
        const struct brim_shape *x = n->in[i] < 0 ? NULL : &f->g->values[n->in[i]].type.shape;
        if (x != NULL && !is_number(f, n->in[i]) &&
            (is_constant(f, n->in[i]) || x->rank != y->rank || x->dim[1] < 1 ||
             x->dim[1] != y->dim[1])) {
            return false;
        }
    }
    for (size_t i = 0; i < n->n_in; i++) {
        if (n->in[i] >= 0 && !is_constant(f, n->in[i])) {
            join(f, n->in[i], n->out[0]);
        }
    }
    return true;
}

/* A mean over all axes behind the channels. */
static bool is_mean_of_channels(const struct finder *f, const struct brim_node *n, int rank)
{
    const struct brim_attr *attr = brim_node_attr(n, "axes");
    const struct brim_tensor *t =
        n->n_in > 1 && n->in[1] >= 0 ? f->g->values[n->in[1]].constant : NULL;
    const size_t count = attr != NULL ? attr->count
                         : t != NULL  ? (size_t)brim_shape_count(&t->type.shape)
                                      : 0;

    for (size_t i = 0; i < count; i++) {
        const int64_t axis = attr != NULL ? attr->ints[i] : brim_tensor_int(t, i);
        if ((axis < 0 ? axis + rank : axis) < 2) {
            return false;
        }
    }
    return strcmp(n->op_type, "ReduceMean") == 0 && count + 2 == (size_t)rank;
}

/* [N, C, 1, 1] and [N, C] hold the channels in one order, whatever makes one of the other. */
static bool join_flattened(const struct finder *f, const struct brim_node *n)
{
    static const char *const ops[] = {"Reshape", "Flatten", "Squeeze"};

    if (n->n_in < 1 || n->n_out != 1 || n->in[0] < 0 || is_constant(f, n->in[0])) {
        return false;
    }
    const struct brim_shape *x = &f->g->values[n->in[0]].type.shape;
    const struct brim_shape *y = &f->g->values[n->out[0]].type.shape;
    const bool mean = is_mean_of_channels(f, n, x->rank);
    bool known = mean;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        known = known || strcmp(n->op_type, ops[i]) == 0;
    }
    bool same = known && x->rank >= 2 && y->rank >= 2 && x->dim[1] > 0 && x->dim[1] == y->dim[1];
    for (int i = 2; i < x->rank; i++) {
        same = same && (mean || x->dim[i] == 1);
    }
    for (int i = 2; i < y->rank; i++) {
        same = same && y->dim[i] == 1;
    }
    if (same) {
        join(f, n->in[0], n->out[0]);
    }
    return same;
}

/* A dot layer whose numbers may change. */
static void end_and_begin(const struct finder *f, const struct brim_dot *d)
{
    const struct brim_shape *x = &f->g->values[d->x].type.shape;

    if (brim_channels_depthwise(d)) {
        join(f, d->x, d->y);
    } else if (d->groups > 1 || x->rank < 2 ||
               x->dim[1] != (int64_t)(d->kind == BRIM_DOT_CONV ? (size_t)d->conv.c_in : d->k) ||
               (d->kind == BRIM_DOT_MATMUL && x->rank != 2)) {
        fix(f, d->x);
        fix(f, d->y);
    }
}

static void visit(const struct finder *f, const struct brim_node *n, const struct brim_dot *d,
                  bool can)
{
    bool dynamic = false;

    for (size_t i = 0; i < n->n_in; i++) {
        dynamic = dynamic || (n->in[i] >= 0 && !is_constant(f, n->in[i]));
    }
    if (d != NULL && d->codes && can) {
        end_and_begin(f, d);
    } else if (dynamic && (d != NULL || !(join_elementwise(f, n) || join_flattened(f, n)))) {
        fix_all(f, n);
    }
}

brim_status brim_channels_find(const struct brim_graph *g, const struct brim_dots *dots,
                               const bool *can, struct brim_arena *arena, struct brim_channels *c)
{
    const struct finder f = {g, c};
    size_t next = 0;

    c->of = brim_arena_alloc(arena, g->n_values, sizeof *c->of);
    c->fixed = brim_arena_zalloc(arena, g->n_values, sizeof *c->fixed);
    if (c->of == NULL || c->fixed == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_values; i++) {
        c->of[i] = i;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const bool layer = next < dots->count && dots->dot[next].node == i;
        visit(&f, &g->nodes[i], layer ? &dots->dot[next] : NULL, layer && can[next]);
        next += layer ? 1 : 0;
    }
    for (size_t i = 0; i < g->n_inputs; i++) {
        fix(&f, g->inputs[i]);
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        fix(&f, g->outputs[i]);
    }
    for (size_t i = 0; i < g->n_values; i++) {
        c->of[i] = root(c, i);
    }
    return BRIM_OK;
}

size_t brim_channels_in(const struct brim_channels *c, const struct brim_dot *d)
{
    return c->of[d->x];
}

size_t brim_channels_out(const struct brim_channels *c, const struct brim_dot *d)
{
    return c->of[d->y];
}
