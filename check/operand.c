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
    if (n != NULL && qonnx_is(n)) {
        *o = (struct operand){.codes = node_input(n, 0), .dq = n, .qonnx = true};
        return true;
    }
    if (n == NULL || !node_is_codes(n, "DequantizeLinear")) {
        return false;
    }
    const char *zero = node_input(n, 2);
    *o = (struct operand){.codes = node_input(n, 0),
                          .zero = model_constant(m, zero),
                          .dq = n,
                          .channels = model_constant(m, node_input(n, 1)) == NULL};
    o->zero_any = zero[0] != '\0' && o->zero == NULL;
    return true;
}

bool operand_zero(struct check *c, const struct model *m, const struct operand *o, int64_t *zero)
{
    *zero = 0;
    if (o->qonnx) {
        return qonnx_zero(c, m, o->dq, zero);
    }
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
    } typed[] = {{"QuantizeLinear", 2},     {"QLinearConv", 7},
                 {"QLinearMatMul", 7},      {"QGemm", 8},
                 {"QLinearAdd", 7},         {"QLinearMul", 7},
                 {"QLinearAveragePool", 4}, {"QLinearGlobalAveragePool", 4},
                 {"QLinearConcat", 1},      {"QLinearLeakyRelu", 4},
                 {"QLinearSigmoid", 4},     {"QLinearSoftmax", 4}};

    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
        const bool known = node_is(n, typed[i].op) || node_is_microsoft(n, typed[i].op);
        const struct tensor *t =
            known ? model_constant(m, node_input(n, typed[i].zero_point)) : NULL;
        if (t != NULL) {
            return t->type;
        }
    }
    if (node_is_codes(n, "QuantizeLinear")) {
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

/* The codes that a Where chooses between: constants of one type. 0: they are not. */
static uint64_t chosen(struct check *c, const struct model *m, const struct node *n, int64_t *low,
                       int64_t *high)
{
    const struct tensor *t[2] = {model_constant(m, node_input(n, 1)),
                                 model_constant(m, node_input(n, 2))};
    int64_t range[2], l = INT64_MAX, h = INT64_MIN;

    if (t[0] == NULL || t[1] == NULL || t[0]->type != t[1]->type || t[0]->count == 0 ||
        t[1]->count == 0 || !type_range(t[0]->type, &range[0], &range[1])) {
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        const int32_t *v = tensor_ints(c, t[i]);
        for (size_t k = 0; v != NULL && k < t[i]->count; k++) {
            l = v[k] < l ? v[k] : l;
            h = v[k] > h ? v[k] : h;
        }
        if (v == NULL) {
            return 0;
        }
    }
    *low = l > *low ? l : *low;
    *high = h < *high ? h : *high;
    return t[0]->type;
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

    if (o->qonnx) {
        if (!qonnx_range(c, m, o->dq, range)) {
            return false;
        }
        range[0] = range[0] < zero ? range[0] : zero;
        range[1] = range[1] > zero ? range[1] : zero;
        range[0] = range[0] < 0 ? range[0] : 0;
        range[1] = range[1] > 0 ? range[1] : 0;
        return true;
    }

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
        } else if (node_is(n, "Where")) {
            const uint64_t t = chosen(c, m, n, &low, &high);
            type = type != 0 ? type : t;
            break;
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
    if (o->zero_any) { /* padding feeds a zero point that may be any code */
        low = INT64_MIN;
        high = INT64_MAX;
    }
    low = low > range[0] ? low : range[0];
    high = high < range[1] ? high : range[1];
    low = low < zero ? low : zero; /* padding feeds the zero point */
    high = high > zero ? high : zero;
    range[0] = low < 0 ? low : 0;
    range[1] = high > 0 ? high : 0;
    return true;
}
