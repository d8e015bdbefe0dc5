/* constant.c - integers that follow from constants alone. SPDX-License-Identifier: Apache-2.0
 *
 * From the constant upwards: moved (Transpose, Reshape), quantized (QuantizeLinear, QONNX's), clipped,
 * and dequantized, which here only means that zero points are subtracted. */
#include <math.h>
#include <string.h>

#include "check/products.h"

#define MAX_STEPS 16 /* nodes between a constant and its use */

/* Keeps what it is given, in another shape that no caller asks for. */
static bool only_reshapes(const struct node *n)
{
    return node_is(n, "Identity") || node_is(n, "Flatten") || node_is(n, "Squeeze") ||
           node_is(n, "Unsqueeze");
}

static bool is_step(const struct node *n)
{
    return only_reshapes(n) || node_is(n, "Transpose") || node_is(n, "Reshape") ||
           node_is(n, "Clip") || node_is_codes(n, "QuantizeLinear") ||
           node_is_codes(n, "DequantizeLinear") || (qonnx_is(n) && !node_is_qonnx(n, "Trunc"));
}

/* The nodes from `name` down to its constant, NULL when it comes from elsewhere. */
static const struct tensor *descend(const struct model *m, const char *name,
                                    const struct node *step[MAX_STEPS], size_t *n)
{
    for (*n = 0; *n <= MAX_STEPS; ++*n) {
        const struct tensor *t = model_constant(m, name);
        const struct node *made = model_producer(m, name);
        if (t != NULL) {
            return t;
        }
        if (*n == MAX_STEPS || made == NULL || !is_step(made)) {
            return NULL;
        }
        step[*n] = made;
        name = node_input(made, 0);
    }
    return NULL;
}

bool codes_are_constant(const struct model *m, const char *name)
{
    const struct node *step[MAX_STEPS];
    size_t n;

    return descend(m, name, step, &n) != NULL;
}

/* Elements on their way: floats, or integers once quantized. */
struct elements {
    struct tensor shape;
    const float *f;
    const int32_t *v;
};

static bool transpose(struct check *c, const struct node *n, struct elements *e)
{
    const struct tensor from = e->shape;
    const uint8_t *source = e->f != NULL ? (const void *)e->f : (const void *)e->v;
    uint32_t *to = check_alloc(c, from.count, sizeof *to); /* floats and integers are as wide */
    int64_t perm[MAX_RANK];
    size_t stride[MAX_RANK], step = 1;
    unsigned seen = 0;
    const size_t given = node_ints(n, "perm", perm, MAX_RANK);

    for (size_t i = 0; i < from.rank; i++) {
        perm[i] = given == 0 ? (int64_t)(from.rank - 1 - i) : perm[i];
        if ((given != 0 && given != from.rank) || perm[i] < 0 || perm[i] >= (int64_t)from.rank) {
            return check_broken(c, "node '%s' (%s): its perm is no permutation", n->name, n->op);
        }
        seen |= 1u << perm[i];
        e->shape.dim[i] = from.dim[perm[i]];
    }
    if (to == NULL || seen != (1u << from.rank) - 1) {
        return check_broken(c, "node '%s' (%s): its perm is no permutation", n->name, n->op);
    }
    for (size_t i = from.rank; i-- > 0;) {
        stride[i] = step;
        step *= (size_t)from.dim[i];
    }
    for (size_t at = 0; at < from.count; at++) {
        size_t rest = at, source_at = 0;
        for (size_t i = from.rank; i-- > 0;) {
            source_at += rest % (size_t)e->shape.dim[i] * stride[perm[i]];
            rest /= (size_t)e->shape.dim[i];
        }
        memcpy(&to[at], source + 4 * source_at, 4);
    }
    if (e->f != NULL) {
        e->f = (const float *)(const void *)to;
    } else {
        e->v = (const int32_t *)(const void *)to;
    }
    return true;
}

static bool reshape(struct check *c, const struct model *m, const struct node *n,
                    struct elements *e)
{
    const struct tensor *t = model_constant(m, node_input(n, 1));
    const int64_t *dim = t == NULL || t->count > MAX_RANK ? NULL : tensor_longs(c, t);
    size_t known = 1, open = MAX_RANK;
    struct tensor to = e->shape;

    if (dim == NULL) {
        return check_broken(c, "node '%s' (%s): its shape is not constant", n->name, n->op);
    }
    to.rank = t->count;
    for (size_t i = 0; i < to.rank; i++) {
        to.dim[i] = dim[i] == 0 && i < e->shape.rank ? e->shape.dim[i] : dim[i];
        open = to.dim[i] == -1 ? i : open;
        if (to.dim[i] < -1 ||
            (to.dim[i] >= 0 && __builtin_mul_overflow(known, (size_t)to.dim[i], &known))) {
            return check_broken(c, "node '%s' (%s): impossible shape", n->name, n->op);
        }
    }
    if (open < MAX_RANK && known != 0) {
        to.dim[open] = (int64_t)(to.count / known);
        known *= to.count / known;
    }
    e->shape = to;
    return known == to.count || check_broken(c, "node '%s' (%s): impossible shape", n->name, n->op);
}

/* Which of a constant's elements belongs to element e: they lie along `axis`, or there is one. */
static size_t along(const struct tensor *shape, size_t axis, size_t count, size_t e)
{
    if (count == 1) {
        return 0;
    }
    for (size_t d = shape->rank; --d > axis;) {
        e /= (size_t)shape->dim[d];
    }
    return e % (size_t)shape->dim[axis];
}

/* The axis counted from the front, -1 when there is none such. */
static int64_t axis_of(const struct tensor *shape, int64_t stated)
{
    const int64_t at = stated + (stated < 0 ? (int64_t)shape->rank : 0);

    return at < 0 || at >= (int64_t)shape->rank ? -1 : at;
}

/* The axis along which `t` has its elements, when it has several. */
static bool axis_fits(const struct tensor *t, const struct tensor *shape, int64_t stated,
                      size_t *axis)
{
    const int64_t at = axis_of(shape, stated);

    *axis = at < 0 ? 0 : (size_t)at;
    return t->count == 1 || (at >= 0 && t->rank == 1 && t->dim[0] == shape->dim[at]);
}

bool codes_subtract(struct check *c, struct codes *codes, const struct tensor *zero, int64_t axis)
{
    size_t at;

    if (zero == NULL) {
        return true;
    }
    if (zero->type != codes->shape.type) {
        return check_broken(c, "weights and their zero point differ in type");
    }
    const int32_t *z = tensor_ints(c, zero);
    int32_t *v = check_alloc(c, codes->shape.count, sizeof *v);
    if (z == NULL || v == NULL) {
        return false;
    }
    if (zero->count != 1 && axis_of(&codes->shape, axis) < 0) {
        return check_broken(c, "axis %lld of the weights' zero point is not one of theirs",
                            (long long)axis);
    }
    if (!axis_fits(zero, &codes->shape, axis, &at)) {
        return check_broken(c, "the weights' zero point does not fit their shape");
    }
    for (size_t i = 0; i < codes->shape.count; i++) {
        const int64_t code = (int64_t)codes->v[i] - z[along(&codes->shape, at, zero->count, i)];
        if (code < INT32_MIN || code > INT32_MAX) {
            return check_broken(c, "a weight less its zero point exceeds 32 bits");
        }
        v[i] = (int32_t)code;
    }
    codes->v = v;
    return true;
}

static bool quantize(struct check *c, const struct model *m, const struct node *n,
                     struct elements *e)
{
    const struct tensor *s = model_constant(m, node_input(n, 1));
    const struct tensor *z = model_constant(m, node_input(n, 2));
    const float *scale = s == NULL || s->count == 0 ? NULL : tensor_floats(c, s);
    const int32_t *zero = z == NULL ? NULL : tensor_ints(c, z);
    const uint64_t type = z != NULL ? z->type : (uint64_t)node_int(n, "output_dtype", TYPE_UINT8);
    int32_t *v = check_alloc(c, e->shape.count, sizeof *v);
    int64_t lo, hi;
    size_t axis;

    if (e->f == NULL || scale == NULL || v == NULL || !type_range(type, &lo, &hi) ||
        (z == NULL && node_input(n, 2)[0] != '\0') || node_int(n, "block_size", 0) != 0 ||
        (z != NULL && (zero == NULL || z->count != s->count)) ||
        !axis_fits(s, &e->shape, node_int(n, "axis", 1), &axis)) {
        return check_broken(c, "node '%s' (%s): a constant is quantized in a way that is not known",
                            n->name, n->op);
    }
    for (size_t i = 0; i < e->shape.count; i++) {
        const size_t at = along(&e->shape, axis, s->count, i);
        const float q = e->f[i] / scale[at];
        const double code = rint((double)q) + (zero != NULL ? zero[at] : 0);
        v[i] = (int32_t)(!(code > (double)lo) ? lo : code > (double)hi ? hi : (int64_t)code);
    }
    e->v = v;
    e->f = NULL;
    e->shape.type = type;
    return true;
}

static bool clip(struct check *c, const struct model *m, const struct node *n, struct elements *e)
{
    int32_t *v = check_alloc(c, e->shape.count, sizeof *v);
    int32_t bound[2] = {INT32_MIN, INT32_MAX};

    for (size_t i = 0; i < 2; i++) {
        const struct tensor *t = model_constant(m, node_input(n, i + 1));
        const int32_t *k = t == NULL || t->count != 1 ? NULL : tensor_ints(c, t);
        if (node_input(n, i + 1)[0] != '\0' && k == NULL) {
            return check_broken(c, "node '%s' (Clip): its bounds are not constant", n->name);
        }
        bound[i] = k != NULL ? k[0] : bound[i];
    }
    if (e->f != NULL || v == NULL) {
        return check_broken(c, "node '%s' (Clip): clips a constant that is not quantized", n->name);
    }
    for (size_t i = 0; i < e->shape.count; i++) {
        const int32_t low = e->v[i] > bound[0] ? e->v[i] : bound[0];
        v[i] = low < bound[1] ? low : bound[1];
    }
    e->v = v;
    return true;
}

static bool round_qonnx(struct check *c, const struct model *m, const struct node *n,
                        struct elements *e)
{
    int32_t *v = check_alloc(c, e->shape.count, sizeof *v);

    if (e->f == NULL || v == NULL || !qonnx_codes(c, m, n, &e->shape, e->f, v)) {
        return check_broken(c, "node '%s' (%s): rounds no float constant", n->name, n->op);
    }
    e->v = v;
    e->f = NULL;
    e->shape.type = 0;
    return true;
}

static bool dequantize(struct check *c, const struct model *m, const struct node *n,
                       struct elements *e)
{
    struct codes codes = {e->shape, e->v};
    const struct tensor *zero = model_constant(m, node_input(n, 2));

    if (e->v == NULL || (zero == NULL && node_input(n, 2)[0] != '\0')) {
        return check_broken(c, "node '%s' (%s): not constant integers", n->name, n->op);
    }
    if (!codes_subtract(c, &codes, zero, node_int(n, "axis", 1))) {
        return false;
    }
    e->v = codes.v;
    return true;
}

static bool apply(struct check *c, const struct model *m, const struct node *n, struct elements *e)
{
    if (node_is(n, "Transpose")) {
        return transpose(c, n, e);
    }
    if (node_is(n, "Reshape")) {
        return reshape(c, m, n, e);
    }
    if (node_is(n, "Clip")) {
        return clip(c, m, n, e);
    }
    if (node_is_codes(n, "QuantizeLinear")) {
        return quantize(c, m, n, e);
    }
    if (node_is_codes(n, "DequantizeLinear")) {
        return dequantize(c, m, n, e);
    }
    return qonnx_is(n) ? round_qonnx(c, m, n, e) : true;
}

bool codes_read(struct check *c, const struct model *m, const char *name, struct codes *out)
{
    const struct node *step[MAX_STEPS];
    size_t n;
    const struct tensor *t = descend(m, name, step, &n);

    if (t == NULL) {
        return check_broken(c, "'%s' is not constant", name);
    }
    if (t->count == 0) {
        return check_broken(c, "constant '%s' is empty", t->name);
    }
    struct elements e = {.shape = *t};
    if (t->type == TYPE_FLOAT) {
        e.f = tensor_floats(c, t);
    } else {
        e.v = tensor_ints(c, t);
    }
    if (e.f == NULL && e.v == NULL) {
        return false;
    }
    while (n > 0) {
        if (!apply(c, m, step[--n], &e)) {
            return false;
        }
    }
    if (e.v == NULL) {
        return check_broken(c, "'%s' holds floats, expected integers", name);
    }
    *out = (struct codes){e.shape, e.v};
    return true;
}
