/* operand.c - which integers can an input hold? SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check/products.h"

/* Operators that hand on codes they were given: only moved, dropped or repeated. */
static bool only_moves(const struct node *n)
{
    static const char *const ops[] = {"Identity",  "Reshape",   "Flatten", "Squeeze",
                                      "Unsqueeze", "Transpose", "MaxPool"};

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (node_is(n, ops[i])) {
            return true;
        }
    }
    return false;
}

bool operand_dequantized(const struct model *m, const char *name, struct operand *o)
{
    const struct node *n = model_producer(m, name);

    for (size_t hops = 0; n != NULL && only_moves(n) && hops < m->n_nodes; hops++) {
        n = model_producer(m, node_input(n, 0));
    }
    if (n != NULL && strcmp(n->op, "VectorQuantize") == 0 && strcmp(n->domain, "brim") == 0) {
        *o = (struct operand){.codes = node_input(n, 0), .vectors = n};
        return true;
    }
    if (n == NULL || !node_is(n, "DequantizeLinear")) {
        return false;
    }
    *o = (struct operand){.codes = node_input(n, 0),
                          .zero = model_constant(m, node_input(n, 2)),
                          .dq = n,
                          .channels = model_producer(m, node_input(n, 1)) != NULL};
    return true;
}

bool operand_zero(struct check *c, const struct operand *o, int64_t *zero)
{
    *zero = 0;
    if (o->zero == NULL) {
        return true;
    }
    const int32_t *v = tensor_ints(c, o->zero);
    if (v == NULL) {
        return false;
    }
    for (size_t i = 0; i < o->zero->count; i++) { /* of channels: zeros */
        if (o->zero->count > 1 && (v[i] != 0 || !o->channels)) {
            return check_broken(c, "the input's zero point has %zu elements, expected 1",
                                o->zero->count);
        }
    }
    *zero = o->zero->count == 1 ? v[0] : 0;
    return true;
}

/* Element type that a node gives its output; 0 when this program does not know. */
static uint64_t produced_type(const struct model *m, const struct node *n)
{
    static const struct {
        const char *op;
        size_t zero_point; /* the input that has the output's type */
    } typed[] = {{"QuantizeLinear", 2}, {"QLinearConv", 7}, {"QLinearMatMul", 7}};

    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
        const struct tensor *t =
            node_is(n, typed[i].op) ? model_constant(m, node_input(n, typed[i].zero_point)) : NULL;
        if (t != NULL) {
            return t->type;
        }
    }
    if (node_is(n, "QuantizeLinear")) {
        return (uint64_t)node_int(n, "output_dtype", TYPE_UINT8);
    }
    return node_is(n, "DynamicQuantizeLinear") ? TYPE_UINT8 : 0;
}

static uint64_t input_type(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->n_inputs; i++) {
        if (strcmp(m->input[i].name, name) == 0) {
            return m->input[i].type;
        }
    }
    return 0;
}

/* A bound of a Clip: a constant integer, or absent. */
static bool clip_bound(struct check *c, const struct model *m, const struct node *n, size_t i,
                       int64_t *bound)
{
    const char *name = node_input(n, i);
    const struct tensor *t = model_constant(m, name);

    if (name[0] == '\0') {
        return true;
    }
    const int32_t *v = t != NULL && t->count == 1 ? tensor_ints(c, t) : NULL;
    if (v == NULL) {
        return check_broken(c, "node '%s' (Clip): bounds of codes must be constant integers",
                            n->name);
    }
    *bound = v[0];
    return true;
}

bool operand_range(struct check *c, const struct model *m, const struct operand *o, int64_t zero,
                   int64_t range[2])
{
    if (o->vectors != NULL) {
        return vectors_range(c, m, o->vectors, range);
    }
    const char *name = o->codes;
    int64_t low = INT64_MIN, high = INT64_MAX;
    uint64_t type = o->zero != NULL ? o->zero->type : 0;

    for (size_t hops = 0; hops <= m->n_nodes; hops++) {
        const struct node *n = model_producer(m, name);
        if (n == NULL) {
            type = type != 0 ? type : input_type(m, name);
            break;
        }
        if (node_is(n, "Clip")) {
            int64_t l = INT64_MIN, h = INT64_MAX;
            if (!clip_bound(c, m, n, 1, &l) || !clip_bound(c, m, n, 2, &h)) {
                return false;
            }
            low = l > low ? l : low;
            high = h < high ? h : high;
        } else if (!only_moves(n)) {
            type = type != 0 ? type : produced_type(m, n);
            break;
        }
        name = node_input(n, 0);
    }
    if (!type_range(type, &range[0], &range[1]) || type == TYPE_INT32) {
        return check_broken(c, "the input '%s' has no integer type of at most 16 bits", o->codes);
    }
    if (zero < range[0] || zero > range[1]) {
        return check_broken(c, "the zero point lies outside the input's type");
    }
    low = low > range[0] ? low : range[0];
    high = high < range[1] ? high : range[1];
    low = low < zero ? low : zero; /* padding feeds the zero point */
    high = high > zero ? high : zero;
    range[0] = low < 0 ? low : 0;
    range[1] = high > 0 ? high : 0;
    return true;
}
