/* quantizer.c - the codes that QONNX's quantizers give. SPDX-License-Identifier: Apache-2.0
 *
 *     Quant, IntQuant   clip(round(x / scale + zero)) of `bits` bits, signed or not, narrow or not;
 *                       one signed bit, and BipolarQuant: 1 where x >= 0, else -1
 *     Trunc             codes of `output bits`, of six inputs signed as it says, of five as the
 *                       quantizer before it, which pooling may have summed up
 */
#include <math.h>
#include <string.h>

#include "check/products.h"

bool qonnx_is(const struct node *n)
{
    return node_is_qonnx(n, "Quant") || node_is_qonnx(n, "IntQuant") ||
           node_is_qonnx(n, "BipolarQuant") || node_is_qonnx(n, "Trunc");
}

/* Element i of a constant number of any type that this program reads. */
static bool number(struct check *c, const struct model *m, const struct node *n, size_t input,
                   size_t i, float *v)
{
    const struct tensor *t = model_constant(m, node_input(n, input));

    if (t == NULL || t->count == 0) {
        return check_broken(c, "node '%s' (%s): input %zu is not constant", n->name, n->op, input);
    }
    i = t->count == 1 ? 0 : i;
    if (t->type == TYPE_FLOAT) {
        const float *f = tensor_floats(c, t);
        *v = f != NULL ? f[i] : 0.0f;
        return f != NULL;
    }
    if (t->type == TYPE_INT64) {
        const int64_t *l = tensor_longs(c, t);
        *v = l != NULL ? (float)l[i] : 0.0f;
        return l != NULL;
    }
    const int32_t *k = tensor_ints(c, t);
    *v = k != NULL ? (float)k[i] : 0.0f;
    return k != NULL;
}

unsigned qonnx_bits(struct check *c, const struct model *m, const struct node *n)
{
    const size_t at = !node_is_qonnx(n, "Trunc") ? 3 : n->n_in == 6 ? 5 : 4;
    float v = 0.0f;

    if (node_is_qonnx(n, "BipolarQuant")) {
        return 1;
    }
    if (!number(c, m, n, at, 0, &v) || !(v >= 1.0f && v <= 32.0f) || v != floorf(v)) {
        check_broken(c, "node '%s' (%s): no whole number of 1..32 bits", n->name, n->op);
        return 0;
    }
    return (unsigned)v;
}

/* Are the codes before a Trunc of five inputs signed? -1: not known. */
static int signed_before(const struct model *m, const struct node *n)
{
    static const char *const through[] = {
        "AveragePool", "Flatten", "GlobalAveragePool", "Identity",  "MaxPool",  "ReduceMean",
        "ReduceSum",   "Reshape", "Squeeze",           "Transpose", "Unsqueeze"};

    for (size_t hops = 0; hops < m->n_nodes; hops++) {
        n = model_producer(m, node_input(n, 0));
        if (n == NULL) {
            return -1;
        }
        if (qonnx_is(n)) {
            if (node_is_qonnx(n, "Trunc") && n->n_in == 5) {
                continue;
            }
            return node_is_qonnx(n, "BipolarQuant") || node_int(n, "signed", 1) != 0;
        }
        bool passes = false;
        for (size_t i = 0; i < sizeof through / sizeof *through; i++) {
            passes = passes || node_is(n, through[i]);
        }
        const struct tensor *by = node_is(n, "Mul") ? model_constant(m, node_input(n, 1)) : NULL;
        if (!passes && (by == NULL || by->type != TYPE_FLOAT || by->count != 1)) {
            return -1;
        }
    }
    return -1;
}

static bool is_bipolar(const struct node *n, unsigned bits)
{
    return node_is_qonnx(n, "BipolarQuant") ||
           (!node_is_qonnx(n, "Trunc") && bits == 1 && node_int(n, "signed", 1) != 0);
}

bool qonnx_range(struct check *c, const struct model *m, const struct node *n, int64_t range[2])
{
    const unsigned bits = qonnx_bits(c, m, n);
    const bool old_trunc = node_is_qonnx(n, "Trunc") && n->n_in == 5;
    const int is_signed = old_trunc ? signed_before(m, n) : node_int(n, "signed", 1) != 0;
    const int64_t narrow = node_int(n, "narrow", 0) != 0;

    if (bits == 0) {
        return false;
    }
    if (is_bipolar(n, bits)) {
        range[0] = -1;
        range[1] = 1;
        return true;
    }
    range[0] = is_signed != 0 ? narrow - (INT64_C(1) << (bits - 1)) : 0;
    range[1] = is_signed != 0 ? (INT64_C(1) << (bits - 1)) - 1 : (INT64_C(1) << bits) - 1 - narrow;
    return is_signed >= 0 ||
           check_broken(c, "node '%s' (%s): no quantizer before it says whether it is signed",
                        n->name, n->op);
}

/* 2^t by which a Trunc of six inputs divides. */
static bool shift_of(struct check *c, const struct model *m, const struct node *n, float *shift)
{
    float in, out;

    if (!number(c, m, n, 1, 0, &in) || !number(c, m, n, 4, 0, &out)) {
        return false;
    }
    const double exponent = rint(log2((double)(out / in)));
    if (!(fabs(exponent) <= 64.0)) {
        return check_broken(c, "node '%s' (%s): impossible scales", n->name, n->op);
    }
    *shift = ldexpf(1.0f, (int)exponent);
    return true;
}

bool qonnx_zero(struct check *c, const struct model *m, const struct node *n, int64_t *zero)
{
    float v = 0.0f, shift = 1.0f;

    *zero = 0;
    if (node_is_qonnx(n, "BipolarQuant")) {
        return true;
    }
    if (!number(c, m, n, 2, 0, &v) ||
        (node_is_qonnx(n, "Trunc") && n->n_in == 6 && !shift_of(c, m, n, &shift))) {
        return false;
    }
    v /= shift;
    if (!(fabsf(v) <= 65535.0f) || v != floorf(v)) {
        return check_broken(c, "node '%s' (%s): its zero point is no whole number", n->name, n->op);
    }
    *zero = (int64_t)v;
    return true;
}

/* ---- constants ---- */

static float rounded(const struct node *n, float v)
{
    const float magnitude = fabsf(v);

    if (node_says(n, "rounding_mode", "FLOOR", "ROUND")) {
        return floorf(v);
    }
    if (node_says(n, "rounding_mode", "CEIL", "ROUND")) {
        return ceilf(v);
    }
    if (node_says(n, "rounding_mode", "UP", "ROUND")) {
        return copysignf(ceilf(magnitude), v);
    }
    if (node_says(n, "rounding_mode", "DOWN", "ROUND")) {
        return truncf(v);
    }
    if (node_says(n, "rounding_mode", "HALF_UP", "ROUND")) {
        return copysignf(floorf(magnitude + 0.5f), v);
    }
    if (node_says(n, "rounding_mode", "HALF_DOWN", "ROUND")) {
        return copysignf(ceilf(magnitude - 0.5f), v);
    }
    return rintf(v);
}

/* The index of element e along the one axis in which a scale or zero point varies. */
static bool index_of(struct check *c, const struct tensor *t, const struct tensor *shape, size_t e,
                     size_t *index)
{
    size_t after = 1;

    *index = 0;
    if (t->count == 1) {
        return true;
    }
    for (size_t i = 1; i <= t->rank && i <= shape->rank; i++) {
        const size_t along = (size_t)shape->dim[shape->rank - i];
        const size_t have = (size_t)t->dim[t->rank - i];
        if (have == t->count && have == along) {
            *index = e / after % along;
            return true;
        }
        after *= along;
    }
    return check_broken(c, "constant '%s' does not vary along one axis", t->name);
}

bool qonnx_codes(struct check *c, const struct model *m, const struct node *n,
                 const struct tensor *shape, const float *x, int32_t *codes)
{
    const bool plain = node_is_qonnx(n, "BipolarQuant");
    const struct tensor *scale = model_constant(m, node_input(n, 1));
    const struct tensor *zero = plain ? NULL : model_constant(m, node_input(n, 2));
    const float *s = scale == NULL ? NULL : tensor_floats(c, scale);
    const unsigned bits = qonnx_bits(c, m, n);
    int64_t range[2];

    if (s == NULL || (!plain && zero == NULL) || !qonnx_range(c, m, n, range)) {
        return check_broken(c, "node '%s' (%s): its grid is not constant", n->name, n->op);
    }
    const float *zf = zero != NULL && zero->type == TYPE_FLOAT ? tensor_floats(c, zero) : NULL;
    for (size_t i = 0; i < shape->count; i++) {
        size_t at_s, at_z = 0;
        float z = 0.0f;
        if (!index_of(c, scale, shape, i, &at_s) ||
            (zero != NULL && !index_of(c, zero, shape, i, &at_z)) ||
            (zero != NULL && zf == NULL && !number(c, m, n, 2, at_z, &z))) {
            return false;
        }
        z = zf != NULL ? zf[at_z] : z;
        float v = x[i] / s[at_s] + z;
        if (is_bipolar(n, bits)) {
            v = v >= 0.0f ? 1.0f : -1.0f;
        } else {
            v = v > (float)range[1] ? (float)range[1] : v;
            v = rounded(n, v < (float)range[0] ? (float)range[0] : v);
        }
        const double code = (double)v - (double)z;
        if (!(code >= (double)INT32_MIN && code <= (double)INT32_MAX) || code != floor(code)) {
            return check_broken(c, "node '%s' (%s): a code is no 32-bit integer", n->name, n->op);
        }
        codes[i] = (int32_t)code;
    }
    return true;
}
