/* products.c - see products.h. SPDX-License-Identifier: Apache-2.0 */
#include "check/products.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include <sha2.h>

/* A weight tensor as it lies in the file: output o, kernel row r, column s, input channel i is
 * element o*stride_o + r*stride_r + s*stride_s + i*stride_i. */
struct layout {
    size_t n, rows, columns, channels;
    size_t stride_o, stride_r, stride_s, stride_i;
};

static bool conv_layout(struct check *c, const struct tensor *t, struct layout *l)
{
    if (t->rank != 3 && t->rank != 4) {
        return check_broken(c, "weight has rank %zu, expected 3 or 4", t->rank);
    }
    const bool two = t->rank == 4;
    *l = (struct layout){.n = (size_t)t->dim[0],
                         .channels = (size_t)t->dim[1],
                         .rows = two ? (size_t)t->dim[2] : 1,
                         .columns = (size_t)t->dim[two ? 3 : 2]};
    l->stride_s = 1;
    l->stride_r = l->columns;
    l->stride_i = l->rows * l->columns;
    l->stride_o = l->channels * l->stride_i;
    return true;
}

static bool matrix_layout(struct check *c, const struct tensor *t, bool transposed,
                          struct layout *l)
{
    if (t->rank != 2) {
        return check_broken(c, "weight has rank %zu, expected 2", t->rank);
    }
    *l = (struct layout){.n = (size_t)t->dim[transposed ? 0 : 1],
                         .channels = (size_t)t->dim[transposed ? 1 : 0],
                         .rows = 1,
                         .columns = 1};
    l->stride_o = transposed ? l->channels : 1;
    l->stride_i = transposed ? 1 : l->n;
    return true;
}

/* The zero point of element `e` of the weights: one for all, or one per index of an axis. */
struct zeros {
    const int32_t *v;
    size_t axis;
    const struct tensor *w, *z;
};

static size_t zero_index(const struct zeros *z, size_t e)
{
    if (z->z->count == 1) {
        return 0;
    }
    for (size_t d = z->w->rank; --d > z->axis;) {
        e /= (size_t)z->w->dim[d];
    }
    return e % (size_t)z->w->dim[z->axis];
}

/* Does every element of the weights have a zero point? */
static bool check_zeros(struct check *c, const struct operand *o, int64_t default_axis,
                        struct zeros *z)
{
    const int64_t stated = o->dq != NULL ? node_int(o->dq, "axis", 1) : default_axis;
    const int64_t axis = stated + (stated < 0 ? (int64_t)z->w->rank : 0);

    if (z->z->count == 1) {
        return true;
    }
    if (axis < 0 || axis >= (int64_t)z->w->rank) {
        return check_broken(c, "axis %lld of the weights' zero point is not one of theirs",
                            (long long)stated);
    }
    z->axis = (size_t)axis;
    return (z->z->rank == 1 && z->z->dim[0] == z->w->dim[z->axis]) ||
           check_broken(c, "the weights' zero point does not fit their shape");
}

static bool read_weights(struct check *c, const struct operand *o, const struct tensor *t,
                         const struct layout *l, struct layer *out)
{
    struct zeros z = {.w = t, .z = o->zero};
    const int32_t *file = tensor_ints(c, t);
    /* of QLinear operators: per output channel */
    const int64_t axis = node_is(out->node, "QLinearConv") || node_is(out->node, "ConvInteger")
                             ? 0
                             : (int64_t)t->rank - 1;

    if (file == NULL) {
        return false;
    }
    if (t->type == TYPE_INT32) {
        return check_broken(c, "weights are 32-bit, expected at most 16 bits");
    }
    if (o->zero != NULL && o->zero->type != t->type) {
        return check_broken(c, "weights and their zero point differ in type");
    }
    if (o->zero != NULL &&
        (!check_zeros(c, o, axis, &z) || (z.v = tensor_ints(c, o->zero)) == NULL)) {
        return false;
    }
    out->n = l->n;
    out->k = l->rows * l->columns * l->channels;
    int32_t *w = check_alloc(c, t->count, sizeof *w);
    if (w == NULL) {
        return false;
    }
    for (size_t i = 0; i < t->count; i++) {
        const size_t ch = i % l->channels, s = i / l->channels % l->columns;
        const size_t r = i / l->channels / l->columns % l->rows, n = i / out->k;
        const size_t e = n * l->stride_o + r * l->stride_r + s * l->stride_s + ch * l->stride_i;
        w[i] = file[e] - (z.v != NULL ? z.v[zero_index(&z, e)] : 0);
        if (w[i] < INT16_MIN || w[i] > INT16_MAX) {
            return check_broken(c, "a weight less its zero point exceeds 16 bits");
        }
    }
    out->w = w;
    return true;
}

/* Is the bias counted in the sum's own units: is its scale, as float32, x_scale * w_scale? */
static bool same_units(struct check *c, const struct model *m, const struct node *bias,
                       const struct operand *x, const struct operand *w, const struct layer *l)
{
    const struct tensor *t[3] = {
        model_constant(m, node_input(bias, 1)),
        l->x_scale != NULL ? l->x_scale : model_constant(m, node_input(x->dq, 1)),
        l->scale != NULL ? l->scale : model_constant(m, node_input(w->dq, 1))};
    const bool one_vector = l->vector >= l->k && l->factor != NULL;
    const bool gemm = node_is(l->node, "Gemm");
    const float alpha = (float)(gemm ? node_float(l->node, "alpha", 1) : 1);
    const float *v[3];

    if (gemm && node_float(l->node, "beta", 1) != 1) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (t[i] == NULL || t[i]->type != TYPE_FLOAT || (t[i]->count != 1 && t[i]->count != l->n) ||
            (v[i] = tensor_floats(c, t[i])) == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < l->n; i++) {
        const float stated = v[2][t[2]->count == 1 ? 0 : i] * alpha;
        const float scale = one_vector ? stated * (float)l->factor[i] : stated;
        const float product = v[1][0] * scale;
        if (v[0][t[0]->count == 1 ? 0 : i] != product) {
            return false;
        }
    }
    return t[1]->count == 1 && (l->vector == 0 || l->vector >= l->k || l->factor != NULL);
}

/* An integer bias is part of the 32-bit sum; a float bias comes after it. */
static bool read_bias(struct check *c, const struct tensor *t, struct layer *out)
{
    if (t == NULL || t->type != TYPE_INT32) {
        return true;
    }
    if (t->count != 1 && t->count != out->n) {
        return check_broken(c, "bias has %zu elements, expected %zu", t->count, out->n);
    }
    const int32_t *v = tensor_ints(c, t);
    int32_t *bias = check_alloc(c, out->n, sizeof *bias);
    for (size_t i = 0; v != NULL && bias != NULL && i < out->n; i++) {
        bias[i] = v[t->count == 1 ? 0 : i];
    }
    out->bias = bias;
    return v != NULL && bias != NULL;
}

static bool read_dequantized_bias(struct check *c, const struct model *m, const struct operand *x,
                                  const struct operand *w, struct layer *out)
{
    struct operand b;

    if (!operand_dequantized(m, node_input(out->node, 2), &b) ||
        !same_units(c, m, b.dq, x, w, out)) {
        return c->reason[0] == '\0';
    }
    const int32_t *zero = b.zero != NULL ? tensor_ints(c, b.zero) : NULL;
    for (size_t i = 0; b.zero != NULL && i < b.zero->count; i++) {
        if (zero == NULL || zero[i] != 0) {
            return check_broken(c, "the bias has a zero point, expected 0");
        }
    }
    return read_bias(c, model_constant(m, b.codes), out);
}

/* SHA-256 of "brim-dot-1 n k groups x_min x_max x_zero\n" and the codes as little-endian int16; with
 * vectors "brim-dot-2 ... vector\n", and behind the codes the factors as little-endian uint32. */
static void hash_layer(struct layer *l)
{
    const size_t factors = l->factor == NULL ? 0 : l->n * ((l->k + l->vector - 1) / l->vector);
    char line[160], vector[32] = "";
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA2_CTX sha;

    if (l->vector > 0) {
        snprintf(vector, sizeof vector, " %zu", l->vector);
    }
    const int n = snprintf(line, sizeof line, "brim-dot-%d %zu %zu %zu %lld %lld %lld%s\n",
                           l->vector > 0 ? 2 : 1, l->n, l->k, l->groups, (long long)l->x_min,
                           (long long)l->x_max, (long long)l->x_zero, vector);

    SHA256Init(&sha);
    SHA256Update(&sha, (const uint8_t *)line, (size_t)n);
    for (size_t i = 0; i < l->n * l->k; i++) {
        const uint32_t code = (uint32_t)l->w[i];
        const uint8_t bytes[2] = {(uint8_t)code, (uint8_t)(code >> 8)};
        SHA256Update(&sha, bytes, 2);
    }
    for (size_t i = 0; i < factors; i++) {
        const uint32_t v = l->factor[i];
        const uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
                                  (uint8_t)(v >> 24)};
        SHA256Update(&sha, bytes, 4);
    }
    SHA256Final(digest, &sha);
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(l->hash + 2 * i, 3, "%02x", digest[i]);
    }
}

/* Where an operator keeps its operands. */
struct shape_of_op {
    const char *op;
    bool conv;
    int x, x_zero, w, w_zero, bias; /* inputs of the integer operators, -1 = none */
};

static const struct shape_of_op integer_ops[] = {
    {"QLinearConv", true, 0, 2, 3, 5, 8},
    {"QLinearMatMul", false, 0, 2, 3, 5, -1},
    {"ConvInteger", true, 0, 2, 1, 3, -1},
    {"MatMulInteger", false, 0, 2, 1, 3, -1},
};

/* Both operands of `n`, if it is an integer dot layer with constant weights. */
static bool find_operands(const struct model *m, const struct node *n, struct operand *x,
                          struct operand *w, const struct shape_of_op **integer)
{
    *integer = NULL;
    for (size_t i = 0; i < sizeof integer_ops / sizeof *integer_ops; i++) {
        const struct shape_of_op *s = &integer_ops[i];
        if (node_is(n, s->op)) {
            *integer = s;
            *x = (struct operand){.codes = node_input(n, (size_t)s->x),
                                  .zero = model_constant(m, node_input(n, (size_t)s->x_zero))};
            *w = (struct operand){.codes = node_input(n, (size_t)s->w),
                                  .zero = model_constant(m, node_input(n, (size_t)s->w_zero))};
        }
    }
    if (*integer == NULL && (!operand_dequantized(m, node_input(n, 0), x) ||
                             !operand_dequantized(m, node_input(n, 1), w))) {
        return false;
    }
    return model_constant(m, w->codes) != NULL && model_constant(m, x->codes) == NULL;
}

static bool read_layer(struct check *c, const struct model *m, const struct operand *x,
                       const struct operand *w, const struct shape_of_op *integer, struct layer *l)
{
    const struct node *n = l->node;
    const struct tensor *t = model_constant(m, w->codes);
    const bool conv = integer != NULL ? integer->conv : node_is(n, "Conv");
    const bool transposed = node_is(n, "Gemm") && node_int(n, "transB", 0) != 0;
    struct layout layout = {.n = 0};

    if (node_is(n, "Gemm") && node_int(n, "transA", 0) != 0) {
        return check_broken(c, "a transposed input is not supported");
    }
    if (t->count == 0 ||
        !(conv ? conv_layout(c, t, &layout) : matrix_layout(c, t, transposed, &layout))) {
        return check_broken(c, "weights are empty");
    }
    const int64_t groups = conv ? node_int(n, "group", 1) : 1;
    if (groups < 1 || (uint64_t)groups > layout.n || layout.n % (size_t)groups != 0) {
        return check_broken(c, "%lld groups do not divide %zu outputs", (long long)groups,
                            layout.n);
    }
    l->groups = (size_t)groups;
    int64_t range[2];
    if (!read_weights(c, w, t, &layout, l) || !operand_zero(c, x, &l->x_zero) ||
        !operand_range(c, m, x, l->x_zero, range)) {
        return false;
    }
    l->x_min = range[0];
    l->x_max = range[1];
    if (integer == NULL &&
        (!layer_vectors(c, m, w, conv, transposed, l) || !input_vectors(c, m, x, l))) {
        return false;
    }
    const bool bias =
        integer == NULL ? read_dequantized_bias(c, m, x, w, l)
        : integer->bias < 0
            ? true
            : read_bias(c, model_constant(m, node_input(n, (size_t)integer->bias)), l);
    if (l->vector >= l->k) { /* one vector: a scale per output */
        l->vector = 0;
        l->factor = NULL;
    }
    if (bias) {
        hash_layer(l);
    }
    return bias;
}

static bool is_product(const struct node *n)
{
    bool product = node_is(n, "Conv") || node_is(n, "Gemm") || node_is(n, "MatMul");

    for (size_t i = 0; i < sizeof integer_ops / sizeof *integer_ops; i++) {
        product = product || node_is(n, integer_ops[i].op);
    }
    return product;
}

bool layers_find(struct check *c, const struct model *m, struct layers *out)
{
    *out = (struct layers){.count = 0};
    out->layer = check_alloc(c, m->n_nodes, sizeof *out->layer);
    if (out->layer == NULL) {
        return false;
    }
    for (size_t i = 0; i < m->n_nodes; i++) {
        const struct node *n = &m->node[i];
        const struct shape_of_op *integer;
        struct operand x, w;
        if (!is_product(n)) {
            continue;
        }
        if (!find_operands(m, n, &x, &w, &integer)) {
            out->n_float++;
            continue;
        }
        struct layer *l = &out->layer[out->count++];
        l->name = n->name;
        l->node = n;
        if (!read_layer(c, m, &x, &w, integer, l)) {
            return check_at(c, "node '%s' (%s)", n->name, n->op);
        }
    }
    return true;
}
