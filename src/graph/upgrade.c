/* upgrade.c - an older model says the same in a newer opset. SPDX-License-Identifier: Apache-2.0
 *
 * One rule per operator and version at which its form or meaning changed: attributes that became
 * inputs are moved, defaults that changed are written out, and what cannot be said any more is
 * refused by name. Operators without a rule kept their meaning between 6 and 21.
 */
#include <string.h>

#include "graph/rewrite.h"

struct upgrade {
    struct brim_graph *g;
    int64_t from;
};

/* A rule for models older than `since`. Rules may add constants, never nodes, so numbers stay. */
typedef brim_status rule_fn(const struct upgrade *u, struct brim_node *n);

struct rule {
    const char *op_type;
    int64_t since;
    rule_fn *apply;
};

static brim_status refuse(const struct upgrade *u, const struct brim_node *n, const char *why)
{
    return brim_fail(u->g->ctx, BRIM_ERR_UNSUPPORTED,
                     "node '%s' (%s): cannot be raised from opset %lld: %s", n->name, n->op_type,
                     (long long)u->from, why);
}

/* ---- attributes that became inputs ---- */

static brim_status add_input(const struct upgrade *u, struct brim_node *n, size_t i,
                             const struct brim_tensor *t)
{
    const char *name = brim_arena_printf(&u->g->arena, "%s_input%zu", n->name, i);
    const int32_t v = name == NULL ? -1 : brim_graph_add_constant(u->g, name, &t->type, t->data);

    return v < 0 ? BRIM_ERR_NOMEM : brim_node_set_input(u->g, n, i, v);
}

static brim_status ints_to_input(const struct upgrade *u, struct brim_node *n, const char *name,
                                 size_t i)
{
    const struct brim_attr *a = brim_node_attr(n, name);

    if (a == NULL || a->type != BRIM_ATTR_INTS) {
        return BRIM_OK;
    }
    int64_t *copy = brim_arena_alloc(&u->g->arena, a->count + 1, sizeof *copy);
    if (copy == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(copy, a->ints, a->count * sizeof *copy);
    const struct brim_tensor t = {{BRIM_INT64, {1, {(int64_t)a->count}}}, copy};
    brim_node_remove_attr(n, name);
    return add_input(u, n, i, &t);
}

static brim_status float_to_input(const struct upgrade *u, struct brim_node *n, const char *name,
                                  size_t i)
{
    const struct brim_attr *a = brim_node_attr(n, name);

    if (a == NULL || a->type != BRIM_ATTR_FLOAT) {
        return BRIM_OK;
    }
    float value = a->f;
    const struct brim_tensor t = {{BRIM_FLOAT, {.rank = 0}}, &value};
    brim_node_remove_attr(n, name);
    return add_input(u, n, i, &t);
}

static brim_status axes_to_input(const struct upgrade *u, struct brim_node *n)
{
    return ints_to_input(u, n, "axes", 1);
}

static brim_status split_to_input(const struct upgrade *u, struct brim_node *n)
{
    return ints_to_input(u, n, "split", 1);
}

static brim_status clip_bounds(const struct upgrade *u, struct brim_node *n)
{
    BRIM_TRY(float_to_input(u, n, "min", 1));
    return float_to_input(u, n, "max", 2);
}

static brim_status pad_amounts(const struct upgrade *u, struct brim_node *n)
{
    BRIM_TRY(ints_to_input(u, n, "pads", 1));
    return float_to_input(u, n, "value", 2);
}

static brim_status slice_bounds(const struct upgrade *u, struct brim_node *n)
{
    BRIM_TRY(ints_to_input(u, n, "starts", 1));
    BRIM_TRY(ints_to_input(u, n, "ends", 2));
    return ints_to_input(u, n, "axes", 3);
}

/* ---- meanings and defaults that changed ---- */

/* Before 7, operands of unlike shape were matched only when asked to, optionally at an axis. */
static brim_status broadcast(const struct upgrade *u, struct brim_node *n)
{
    if (brim_node_attr(n, "axis") != NULL) {
        return refuse(u, n, "it broadcasts at an axis");
    }
    brim_node_remove_attr(n, "broadcast");
    return BRIM_OK;
}

/* Before 9, statistics could be kept per element; before 14 more outputs meant training. */
static brim_status batchnorm(const struct upgrade *u, struct brim_node *n)
{
    if (brim_node_int(n, "spatial", 1) != 1) {
        return refuse(u, n, "its statistics are per element");
    }
    brim_node_remove_attr(n, "spatial");
    brim_node_remove_attr(n, "is_test");
    brim_node_remove_attr(n, "consumed_inputs");
    for (size_t i = 1; i < n->n_out; i++) {
        if (n->out[i] >= 0) {
            return refuse(u, n, "it is in training mode");
        }
    }
    n->n_out = 1;
    return BRIM_OK;
}

static brim_status dropout(const struct upgrade *u, struct brim_node *n)
{
    (void)u; /* inference: the ratio has no effect */
    brim_node_remove_attr(n, "ratio");
    brim_node_remove_attr(n, "is_test");
    return BRIM_OK;
}

/* Before 13, Softmax ran over all axes from `axis` (default 1) on; now over that axis alone
 * (default: the last). The same where every later axis has length 1. */
static brim_status softmax(const struct upgrade *u, struct brim_node *n)
{
    const struct brim_shape *s = &u->g->values[n->in[0]].type.shape;
    int64_t axis = brim_node_int(n, "axis", 1);

    axis = axis < 0 ? axis + s->rank : axis;
    if (s->rank < 0 || axis < 0 || axis >= s->rank) {
        return refuse(u, n, "the rank of its input is not known");
    }
    for (int64_t i = axis + 1; i < s->rank; i++) {
        if (s->dim[i] != 1) {
            return refuse(u, n, "it runs over several axes");
        }
    }
    return brim_node_set_int(u->g, n, "axis", axis);
}

/* Since 18, a Split without sizes says how many parts. */
static brim_status split_count(const struct upgrade *u, struct brim_node *n)
{
    if (n->n_in > 1 && n->in[1] >= 0) {
        return BRIM_OK;
    }
    return brim_node_set_int(u->g, n, "num_outputs", (int64_t)n->n_out);
}

static brim_status changed(const struct upgrade *u, struct brim_node *n)
{
    return refuse(u, n, "its meaning changed");
}

static const struct rule RULES[] = {
    {"Add", 7, broadcast},
    {"Sub", 7, broadcast},
    {"Mul", 7, broadcast},
    {"Div", 7, broadcast},
    {"Pow", 7, broadcast},
    {"Equal", 7, broadcast},
    {"Less", 7, broadcast},
    {"Greater", 7, broadcast},
    {"Gemm", 7, broadcast},
    {"PRelu", 7, changed},
    {"Upsample", 21, changed},
    {"Resize", 11, changed},
    {"TopK", 11, changed},
    {"BatchNormalization", 9, batchnorm},
    {"BatchNormalization", 14, batchnorm},
    {"Slice", 10, slice_bounds},
    {"Clip", 11, clip_bounds},
    {"Pad", 11, pad_amounts},
    {"Dropout", 12, dropout},
    {"Softmax", 13, softmax},
    {"LogSoftmax", 13, softmax},
    {"Squeeze", 13, axes_to_input},
    {"Unsqueeze", 13, axes_to_input},
    {"ReduceSum", 13, axes_to_input},
    {"Split", 13, split_to_input},
    {"ReduceMean", 18, axes_to_input},
    {"ReduceMax", 18, axes_to_input},
    {"ReduceMin", 18, axes_to_input},
    {"ReduceProd", 18, axes_to_input},
    {"ReduceL1", 18, axes_to_input},
    {"ReduceL2", 18, axes_to_input},
    {"ReduceSumSquare", 18, axes_to_input},
    {"ReduceLogSum", 18, axes_to_input},
    {"ReduceLogSumExp", 18, axes_to_input},
    {"Split", 18, split_count},
    {"GroupNormalization", 21, changed},
};

brim_status brim_graph_upgrade(struct brim_graph *g, int64_t version)
{
    const struct upgrade u = {g, brim_graph_opset(g, "")};

    if (u.from >= version) {
        return BRIM_OK;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct brim_node *n = &g->nodes[i];
        for (size_t r = 0; n->domain[0] == '\0' && r < sizeof RULES / sizeof RULES[0]; r++) {
            const struct rule *rule = &RULES[r];
            if (u.from < rule->since && version >= rule->since &&
                strcmp(n->op_type, rule->op_type) == 0) {
                BRIM_TRY(rule->apply(&u, n));
            }
        }
    }
    return brim_graph_set_opset(g, "", version);
}
