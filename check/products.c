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

/* Into K order. */
static bool read_weights(struct check *c, const struct codes *codes, const struct layout *l,
                         struct layer *out)
{
    out->n = l->n;
    out->k = l->rows * l->columns * l->channels;
    int32_t *w = check_alloc(c, codes->shape.count, sizeof *w);
    if (w == NULL) {
        return false;
    }
    for (size_t i = 0; i < codes->shape.count; i++) {
        const size_t ch = i % l->channels, s = i / l->channels % l->columns;
        const size_t r = i / l->channels / l->columns % l->rows, n = i / out->k;
        const size_t e = n * l->stride_o + r * l->stride_r + s * l->stride_s + ch * l->stride_i;
        w[i] = codes->v[e];
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
        const float scale =
            one_vector ? stated * (float)l->factor[i] : stated * (float)(1U << l->product_shift);
        const float product = v[1][0] * scale;
        if (v[0][t[0]->count == 1 ? 0 : i] != product) {
            return false;
        }
    }
    return t[1]->count == 1 && (l->vector == 0 || l->vector >= l->k || l->factor != NULL);
}

/* An integer bias is part of the 32-bit sum; a float bias comes after it. */
static bool set_bias(struct check *c, const int32_t *v, size_t count, struct layer *out)
{
    if (count != 1 && count != out->n) {
        return check_broken(c, "bias has %zu elements, expected %zu", count, out->n);
    }
    int32_t *bias = check_alloc(c, out->n, sizeof *bias);
    for (size_t i = 0; v != NULL && bias != NULL && i < out->n; i++) {
        bias[i] = v[count == 1 ? 0 : i];
    }
    out->bias = bias;
    return v != NULL && bias != NULL;
}

static bool read_bias(struct check *c, const struct tensor *t, struct layer *out)
{
    return t == NULL || t->type != TYPE_INT32 || set_bias(c, tensor_ints(c, t), t->count, out);
}

static bool read_dequantized_bias(struct check *c, const struct model *m, const struct operand *x,
                                  const struct operand *w, struct layer *out)
{
    const char *name = node_input(out->node, 2);
    struct operand b;
    struct codes codes;
    int64_t none = 0;

    if (!operand_dequantized(m, name, &b) || !codes_are_constant(m, name) ||
        !same_units(c, m, b.dq, x, w, out)) {
        return c->reason[0] == '\0';
    }
    const int32_t *zero = b.zero != NULL ? tensor_ints(c, b.zero) : NULL;
    for (size_t i = 0; b.zero != NULL && i < b.zero->count; i++) {
        if (zero == NULL || zero[i] != 0) {
            return check_broken(c, "the bias has a zero point, expected 0");
        }
    }
    if (b.qonnx && (!qonnx_zero(c, m, b.dq, &none) || none != 0)) {
        return check_broken(c, "the bias has a zero point, expected 0");
    }
    return codes_read(c, m, name, &codes) && set_bias(c, codes.v, codes.shape.count, out);
}

/* SHA-256 of "brim-dot-1 n k groups x_min x_max x_zero\n" and the codes as little-endian int16; with
 * vectors "brim-dot-2 ... vector\n", and behind the codes the factors as little-endian uint32. */
static void hash_layer(struct layer *l)
{
    const size_t factors = l->factor == NULL ? 0 : l->n * ((l->k + l->vector - 1) / l->vector);
    char line[192], vector[32] = "", zero[24] = "any";
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA2_CTX sha;

    if (l->vector > 0) {
        snprintf(vector, sizeof vector, " %zu", l->vector);
    }
    if (!l->zero_any) {
        snprintf(zero, sizeof zero, "%lld", (long long)l->x_zero);
    }
    const int n = snprintf(line, sizeof line, "brim-dot-%d %zu %zu %zu %lld %lld %s%s\n",
                           l->vector > 0 ? 2 : 1, l->n, l->k, l->groups, (long long)l->x_min,
                           (long long)l->x_max, zero, vector);

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
    {"QLinearConv", true, 0, 2, 3, 5, 8},     {"QLinearMatMul", false, 0, 2, 3, 5, -1},
    {"QGemm", false, 0, 2, 3, 5, 6},          {"ConvInteger", true, 0, 2, 1, 3, -1},
    {"MatMulInteger", false, 0, 2, 1, 3, -1},
};

static const struct shape_of_op *find_integer(const struct node *n)
{
    for (size_t i = 0; i < sizeof integer_ops / sizeof *integer_ops; i++) {
        const struct shape_of_op *s = &integer_ops[i];
        if (strcmp(s->op, "QGemm") == 0 ? node_is_microsoft(n, s->op) : node_is(n, s->op)) {
            return s;
        }
    }
    return NULL;
}

/* Zero points that are neither constant nor absent; only operators that hand on their sums leave it
 * to the caller what becomes of them. */
static bool zero_is_known(const struct node *n, const struct shape_of_op *s, struct operand *x,
                          const struct model *m)
{
    const char *zero = node_input(n, (size_t)s->x_zero), *w = node_input(n, (size_t)s->w_zero);

    x->zero_any = zero[0] != '\0' && x->zero == NULL;
    return (!x->zero_any || s->bias < 0) && (w[0] == '\0' || model_constant(m, w) != NULL) &&
           !(x->zero_any && strcmp(s->op, "QLinearMatMul") == 0);
}

/* One scale for all of the input, or integer ones for its channels. */
static bool one_scale(const struct model *m, const struct operand *x)
{
    const struct tensor *s = x->dq == NULL ? NULL : model_constant(m, node_input(x->dq, 1));

    return !x->zero_any && (s == NULL ? x->channels || x->vectors != NULL : s->count == 1);
}

/* Both operands of `n`, if it is an integer dot layer with constant weights. */
static bool find_operands(struct check *c, const struct model *m, const struct node *n,
                          struct operand *x, struct operand *w, const struct shape_of_op **integer)
{
    const struct shape_of_op *s = find_integer(n);

    *integer = s;
    if (s != NULL) {
        *x = (struct operand){.codes = node_input(n, (size_t)s->x),
                              .zero = model_constant(m, node_input(n, (size_t)s->x_zero))};
        *w = (struct operand){.codes = node_input(n, (size_t)s->w),
                              .zero = model_constant(m, node_input(n, (size_t)s->w_zero))};
        return codes_are_constant(m, w->codes) && !codes_are_constant(m, x->codes) &&
               zero_is_known(n, s, x, m);
    }
    return operand_dequantized(m, node_input(n, 0), x) &&
           operand_dequantized(m, node_input(n, 1), w) && codes_are_constant(m, w->codes) &&
           !codes_are_constant(m, x->codes) && one_scale(m, x) &&
           (!w->qonnx || qonnx_bits(c, m, w->dq) <= 16);
}

/* The weights, zero points subtracted, as they lie in the file. */
static bool find_codes(struct check *c, const struct model *m, const struct operand *w,
                       const struct shape_of_op *integer, const struct node *n, struct codes *codes)
{
    if (!codes_read(c, m, integer == NULL ? node_input(n, 1) : w->codes, codes)) {
        return false;
    }
    if (codes->shape.type == TYPE_INT32) {
        return check_broken(c, "weights are 32-bit, expected at most 16 bits");
    }
    if (integer == NULL) {
        return true;
    }
    const bool rows = integer->conv || node_int(n, "transB", 0) != 0; /* per output */
    return codes_subtract(c, codes, w->zero, rows ? 0 : (int64_t)codes->shape.rank - 1);
}

/* Where its bias lies, if it has one. */
static bool find_bias(struct check *c, const struct model *m, const struct operand *x,
                      const struct operand *w, const struct shape_of_op *integer, struct layer *l)
{
    if (integer == NULL) {
        return read_dequantized_bias(c, m, x, w, l);
    }
    return integer->bias < 0 ||
           read_bias(c, model_constant(m, node_input(l->node, (size_t)integer->bias)), l);
}

static bool read_layer(struct check *c, const struct model *m, const struct operand *x,
                       const struct operand *w, const struct shape_of_op *integer, struct layer *l)
{
    const struct node *n = l->node;
    const bool conv = integer != NULL ? integer->conv : node_is(n, "Conv");
    const bool gemm = node_is(n, "Gemm") || node_is_microsoft(n, "QGemm");
    const bool transposed = gemm && node_int(n, "transB", 0) != 0;
    struct layout layout = {.n = 0};
    struct codes codes;

    if (gemm && node_int(n, "transA", 0) != 0) {
        return check_broken(c, "a transposed input is not supported");
    }
    if (!find_codes(c, m, w, integer, n, &codes)) {
        return false;
    }
    const struct tensor *t = &codes.shape;
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
    l->zero_any = x->zero_any;
    if (!read_weights(c, &codes, &layout, l) || !operand_zero(c, m, x, &l->x_zero) ||
        !operand_range(c, m, x, l->x_zero, range)) {
        return false;
    }
    l->x_min = range[0];
    l->x_max = range[1];
    if (integer == NULL && (!layer_vectors(c, m, w, conv, transposed, l) ||
                            !input_vectors(c, m, x, l) || !round_products(c, m, l))) {
        return false;
    }
    const bool bias = find_bias(c, m, x, w, integer, l);
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
    return node_is(n, "Conv") || node_is(n, "Gemm") || node_is(n, "MatMul") ||
           find_integer(n) != NULL;
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
        if (!find_operands(c, m, n, &x, &w, &integer)) {
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
