/* infer.c - what shape rules share. SPDX-License-Identifier: Apache-2.0 */
#include "graph/infer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool brim_infer_has(const struct brim_infer *c, size_t i)
{
    return i < c->node->n_in && c->node->in[i] >= 0;
}

brim_status brim_infer_check(const struct brim_infer *c, size_t i, unsigned set)
{
    if (!brim_infer_has(c, i) || c->in[i].dtype == BRIM_UNDEFINED) {
        return BRIM_OK;
    }
    if ((set >> c->in[i].dtype & 1u) == 0) {
        return brim_infer_fail(c, "input %zu has type %s, which the operator does not take", i,
                               brim_dtype_name(c->in[i].dtype));
    }
    return BRIM_OK;
}

brim_status brim_infer_unsupported(const struct brim_infer *c, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return brim_fail(c->ctx, BRIM_ERR_UNSUPPORTED, "node '%s' (%s): %s is not supported",
                     c->node->name, c->node->op_type, text);
}

brim_status brim_infer_same(const struct brim_infer *c, size_t i, size_t j)
{
    if (!brim_infer_has(c, i) || !brim_infer_has(c, j)) {
        return BRIM_OK;
    }
    const enum brim_dtype a = c->in[i].dtype, b = c->in[j].dtype;
    if (a != b && a != BRIM_UNDEFINED && b != BRIM_UNDEFINED) {
        return brim_infer_fail(c, "input %zu has type %s, expected that of input %zu, %s", j,
                               brim_dtype_name(b), i, brim_dtype_name(a));
    }
    return BRIM_OK;
}

brim_status brim_infer_scalar(const struct brim_infer *c, size_t i)
{
    if (!brim_infer_has(c, i)) {
        return BRIM_OK;
    }
    const int64_t count = brim_shape_count(&c->in[i].shape);
    if (c->in[i].shape.rank > 1 || count == 0 || count > 1) {
        return brim_infer_fail(c, "input %zu is not a scalar", i);
    }
    return BRIM_OK;
}

brim_status brim_infer_all_given(const struct brim_infer *c)
{
    for (size_t i = 0; i < c->node->n_in; i++) {
        if (!brim_infer_has(c, i)) {
            return brim_infer_fail(c, "input %zu is missing", i);
        }
    }
    return BRIM_OK;
}

brim_status brim_infer_axis(const struct brim_infer *c, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank) {
        return brim_infer_fail(c, "axis %lld is outside a tensor of rank %d", (long long)axis,
                               rank);
    }
    *out = (int)(axis < 0 ? axis + rank : axis);
    return BRIM_OK;
}

static brim_status broadcast_dim(const struct brim_infer *c, int64_t a, int64_t b, int64_t *out)
{
    if (a == b || b == 1) {
        *out = a;
    } else if (a == 1) {
        *out = b;
    } else if (a < 0 || b < 0) {
        *out = a < 0 ? b : a; /* the unknown one is 1 or the same */
    } else {
        return brim_infer_fail(c, "sizes %lld and %lld do not broadcast", (long long)a,
                               (long long)b);
    }
    return BRIM_OK;
}

brim_status brim_infer_broadcast(const struct brim_infer *c, struct brim_shape *a,
                                 const struct brim_shape *b)
{
    struct brim_shape r;

    if (a->rank < 0 || b->rank < 0) {
        a->rank = -1;
        return BRIM_OK;
    }
    r.rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 1; i <= r.rank; i++) {
        const int64_t da = i <= a->rank ? a->dim[a->rank - i] : 1;
        const int64_t db = i <= b->rank ? b->dim[b->rank - i] : 1;
        BRIM_TRY(broadcast_dim(c, da, db, &r.dim[r.rank - i]));
    }
    *a = r;
    return BRIM_OK;
}

brim_status brim_infer_ints(const struct brim_infer *c, size_t i, int64_t *v, size_t max, size_t *n,
                            bool *known)
{
    *known = false;
    if (!brim_infer_has(c, i)) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_infer_check(c, i, BRIM_T_INDEX));
    if (c->in[i].shape.rank > 1) {
        return brim_infer_fail(c, "input %zu has rank %d, expected 1", i, c->in[i].shape.rank);
    }
    const struct brim_tensor *t = c->value[i];
    if (brim_shape_count(&c->in[i].shape) == 0) { /* no value is needed to know it */
        *n = 0;
        *known = true;
        return BRIM_OK;
    }
    if (t == NULL || t->data == NULL) {
        return BRIM_OK;
    }
    const int64_t count = brim_shape_count(&t->type.shape);
    if (count < 0 || (uint64_t)count > max) {
        return brim_infer_fail(c, "input %zu has %lld elements, expected at most %zu", i,
                               (long long)count, max);
    }
    for (int64_t k = 0; k < count; k++) {
        v[k] = t->type.dtype == BRIM_INT64 ? ((const int64_t *)t->data)[k]
                                           : ((const int32_t *)t->data)[k];
    }
    *n = (size_t)count;
    *known = true;
    return BRIM_OK;
}

brim_status brim_infer_attr_ints(const struct brim_infer *c, const char *name, int64_t *v,
                                 size_t max, size_t *n, bool *known)
{
    const struct brim_attr *a = brim_node_attr(c->node, name);

    *known = false;
    if (a == NULL) {
        return BRIM_OK;
    }
    if (a->type != BRIM_ATTR_INTS || a->count > max) {
        return brim_infer_fail(c, "attribute '%s' is not a list of at most %zu integers", name,
                               max);
    }
    if (a->count > 0) {
        memcpy(v, a->ints, a->count * sizeof *v);
    }
    *n = a->count;
    *known = true;
    return BRIM_OK;
}

brim_status brim_infer_product(const struct brim_infer *c, const struct brim_shape *s, int from,
                               int to, int64_t *out)
{
    int64_t p = 1;
    bool unknown = false;

    for (int i = from; i < to; i++) {
        if (s->dim[i] < 0) {
            unknown = true;
        } else if (__builtin_mul_overflow(p, s->dim[i], &p)) {
            return brim_infer_fail(c, "the shape has too many elements");
        }
    }
    *out = unknown ? -1 : p;
    return BRIM_OK;
}

brim_status brim_infer_unary(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    c->out[0] = c->in[0];
    return BRIM_OK;
}

brim_status brim_infer_unary_float(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_FLOATS));
    return brim_infer_unary(c);
}
