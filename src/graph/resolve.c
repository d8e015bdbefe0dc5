/* resolve.c - an operator's parameters, wherever its opset keeps them. SPDX-License-Identifier:
 * Apache-2.0 */
#include "graph/resolve.h"

#include <string.h>

#include "base/intops.h"

#define LIST_MAX ((size_t)2 * BRIM_MAX_RANK) /* pads: two for each axis */

/* A list of integers that is input i, or in older opsets the attribute. */
struct list {
    int64_t v[LIST_MAX];
    size_t n;
    bool given, known;
};

static brim_status read_list(const struct brim_infer *c, size_t i, const char *attr, struct list *l)
{
    *l = (struct list){.n = 0};
    if (brim_infer_has(c, i)) {
        l->given = true;
        return brim_infer_ints(c, i, l->v, LIST_MAX, &l->n, &l->known);
    }
    BRIM_TRY(brim_infer_attr_ints(c, attr, l->v, LIST_MAX, &l->n, &l->known));
    l->given = l->known;
    return BRIM_OK;
}

/* Axes as a list of distinct non-negative numbers; the default is 0, 1, ... n-1. */
static brim_status normalise_axes(const struct brim_infer *c, struct list *axes, int rank, size_t n)
{
    bool seen[BRIM_MAX_RANK] = {false};

    if (!axes->given) {
        axes->n = n;
        axes->known = true;
        for (size_t i = 0; i < n; i++) {
            axes->v[i] = (int64_t)i;
        }
    }
    if (axes->n != n) {
        return brim_infer_fail(c, "axes has %zu elements, expected %zu", axes->n, n);
    }
    for (size_t i = 0; i < n; i++) {
        int axis = 0;
        BRIM_TRY(brim_infer_axis(c, axes->v[i], rank, &axis));
        if (seen[axis]) {
            return brim_infer_fail(c, "axis %d is given twice", axis);
        }
        seen[axis] = true;
        axes->v[i] = axis;
    }
    return BRIM_OK;
}

/* The elements of [start, end) by `step` in an axis of `dim`. As numpy slices, except that a start
 * before the first element is the first also when the step is negative (ONNX says so). */
static void slice_axis(struct brim_slice *s, int axis, int64_t dim, const int64_t range[3])
{
    const int64_t step = brim_max_i64(range[2], -INT64_MAX);
    int64_t start = range[0] < 0 ? range[0] + dim : range[0];
    int64_t end = range[1] < 0 ? range[1] + dim : range[1];

    s->step[axis] = step;
    if (step > 0) {
        start = brim_clip_i64(start, 0, dim);
        end = brim_clip_i64(end, 0, dim);
        s->count[axis] = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
        start = brim_max_i64(brim_min_i64(start, dim - 1), 0);
        end = brim_max_i64(brim_min_i64(end, dim - 1), -1);
        s->count[axis] = dim > 0 && start > end ? (start - end - 1) / -step + 1 : 0;
    }
    s->start[axis] = start;
}

static void slice_all(const struct brim_infer *c, bool known, struct brim_slice *s)
{
    const struct brim_shape *shape = &c->in[0].shape;

    s->known = known;
    for (int i = 0; i < shape->rank; i++) {
        s->start[i] = 0;
        s->step[i] = 1;
        s->count[i] = known ? shape->dim[i] : -1;
        s->axis_known[i] = known && shape->dim[i] >= 0;
        s->known = s->known && shape->dim[i] >= 0;
    }
}

brim_status brim_resolve_slice(const struct brim_infer *c, struct brim_slice *s)
{
    const int rank = c->in[0].shape.rank;
    struct list starts, ends, axes, steps;

    BRIM_TRY(read_list(c, 1, "starts", &starts));
    BRIM_TRY(read_list(c, 2, "ends", &ends));
    BRIM_TRY(read_list(c, 3, "axes", &axes));
    BRIM_TRY(read_list(c, 4, "steps", &steps));
    if (!starts.given || !ends.given) {
        return brim_infer_fail(c, "starts and ends are missing");
    }
    if (rank < 0 || (axes.given && !axes.known) || (!axes.given && !starts.known)) {
        slice_all(c, false, s);
        return BRIM_OK;
    }
    slice_all(c, true, s);
    const size_t n = axes.given ? axes.n : starts.n;
    BRIM_TRY(normalise_axes(c, &axes, rank, n));
    const bool known = starts.known && ends.known && (steps.known || !steps.given);
    if (known && (starts.n != n || ends.n != n || (steps.given && steps.n != n))) {
        return brim_infer_fail(c, "starts, ends, axes and steps differ in length");
    }
    for (size_t i = 0; i < n; i++) {
        const int axis = (int)axes.v[i];
        const int64_t dim = c->in[0].shape.dim[axis];
        const int64_t range[3] = {starts.v[i], ends.v[i], steps.given ? steps.v[i] : 1};
        if (known && range[2] == 0) {
            return brim_infer_fail(c, "the step of axis %d is 0", axis);
        }
        s->axis_known[axis] = known && dim >= 0;
        s->count[axis] = -1;
        if (s->axis_known[axis]) {
            slice_axis(s, axis, dim, range);
        }
        s->known = s->known && s->axis_known[axis];
    }
    return BRIM_OK;
}

static brim_status pad_mode(const struct brim_infer *c, enum brim_pad_mode *mode)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *name = brim_node_string(c->node, "mode", "constant");

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *mode = (enum brim_pad_mode)i;
            return BRIM_OK;
        }
    }
    return brim_infer_fail(c, "mode is '%s', expected 'constant', 'reflect', 'edge' or 'wrap'",
                           name);
}

/* Is there something to pad axis `axis` from, and no more removed than there is? */
static brim_status check_pad(const struct brim_infer *c, const struct brim_pads *p, int axis)
{
    const int64_t dim = c->in[0].shape.dim[axis], before = p->before[axis], after = p->after[axis];
    const int64_t limit = (int64_t)1 << 48;

    if (before > limit || before < -limit || after > limit || after < -limit) {
        return brim_infer_fail(c, "the pads of axis %d are out of all proportion", axis);
    }
    if (dim < 0) {
        return BRIM_OK;
    }
    const int64_t kept = dim + brim_min_i64(before, 0) + brim_min_i64(after, 0);
    if (kept < 0 || dim > limit) {
        return brim_infer_fail(c, "the pads remove more than the %lld elements of axis %d",
                               (long long)dim, axis);
    }
    if (kept == 0 && p->mode != BRIM_PAD_CONSTANT && (before > 0 || after > 0)) {
        return brim_infer_fail(c, "axis %d is empty, so there is nothing to pad it from", axis);
    }
    return BRIM_OK;
}

brim_status brim_resolve_pads(const struct brim_infer *c, struct brim_pads *p)
{
    const int rank = c->in[0].shape.rank;
    struct list pads, axes;

    *p = (struct brim_pads){.known = false};
    BRIM_TRY(pad_mode(c, &p->mode));
    BRIM_TRY(read_list(c, 1, "pads", &pads));
    BRIM_TRY(read_list(c, 3, "axes", &axes));
    if (!pads.given) {
        return brim_infer_fail(c, "pads are missing");
    }
    if (rank < 0 || !pads.known || (axes.given && !axes.known)) {
        return BRIM_OK;
    }
    const size_t n = axes.given ? axes.n : (size_t)rank;
    if (pads.n != 2 * n) {
        return brim_infer_fail(c, "pads has %zu elements, expected %zu", pads.n, 2 * n);
    }
    BRIM_TRY(normalise_axes(c, &axes, rank, n));
    p->known = true;
    for (size_t i = 0; i < n; i++) {
        const int axis = (int)axes.v[i];
        p->before[axis] = pads.v[i];
        p->after[axis] = pads.v[n + i];
        BRIM_TRY(check_pad(c, p, axis));
    }
    return BRIM_OK;
}

brim_status brim_resolve_reduction(const struct brim_infer *c, struct brim_reduction *r)
{
    const int rank = c->in[0].shape.rank;
    struct list axes;

    *r = (struct brim_reduction){.keepdims = brim_node_int(c->node, "keepdims", 1) != 0};
    BRIM_TRY(read_list(c, 1, "axes", &axes));
    if (rank < 0 || (axes.given && !axes.known)) {
        return BRIM_OK;
    }
    r->known = true;
    if (axes.n == 0) {
        const bool all = brim_node_int(c->node, "noop_with_empty_axes", 0) == 0;
        for (int i = 0; i < rank; i++) {
            r->reduced[i] = all;
        }
        return BRIM_OK;
    }
    BRIM_TRY(normalise_axes(c, &axes, rank, axes.n));
    for (size_t i = 0; i < axes.n; i++) {
        r->reduced[axes.v[i]] = true;
    }
    return BRIM_OK;
}

brim_status brim_resolve_perm(const struct brim_infer *c, int rank, int perm[BRIM_MAX_RANK])
{
    struct list l;

    l = (struct list){.n = 0};
    BRIM_TRY(brim_infer_attr_ints(c, "perm", l.v, LIST_MAX, &l.n, &l.known));
    if (!l.known) {
        for (int i = 0; i < rank; i++) {
            perm[i] = rank - 1 - i;
        }
        return BRIM_OK;
    }
    l.given = true;
    BRIM_TRY(normalise_axes(c, &l, rank, (size_t)rank));
    for (int i = 0; i < rank; i++) {
        perm[i] = (int)l.v[i];
    }
    return BRIM_OK;
}

/* The attribute if it is there and of the type that its name promises. */
static const struct brim_attr *typed_attr(const struct brim_node *n, const char *name,
                                          enum brim_attr_type type)
{
    const struct brim_attr *a = brim_node_attr(n, name);

    return a != NULL && a->type == type ? a : NULL;
}

brim_status brim_resolve_constant(const struct brim_infer *c, struct brim_constant *value)
{
    const struct brim_node *n = c->node;
    const struct brim_attr *a;

    *value = (struct brim_constant){.type.shape.rank = 0};
    if ((a = typed_attr(n, "value", BRIM_ATTR_TENSOR)) != NULL && a->t != NULL) {
        if ((BRIM_T_ALL >> a->t->type.dtype & 1u) == 0) {
            return brim_infer_unsupported(c, "a constant of type %s",
                                          brim_dtype_name(a->t->type.dtype));
        }
        *value = (struct brim_constant){a->t->type, a->t->data};
    } else if ((a = typed_attr(n, "value_float", BRIM_ATTR_FLOAT)) != NULL) {
        *value = (struct brim_constant){{BRIM_FLOAT, {.rank = 0}}, &a->f};
    } else if ((a = typed_attr(n, "value_floats", BRIM_ATTR_FLOATS)) != NULL) {
        *value = (struct brim_constant){{BRIM_FLOAT, {1, {(int64_t)a->count}}}, a->floats};
    } else if ((a = typed_attr(n, "value_int", BRIM_ATTR_INT)) != NULL) {
        *value = (struct brim_constant){{BRIM_INT64, {.rank = 0}}, &a->i};
    } else if ((a = typed_attr(n, "value_ints", BRIM_ATTR_INTS)) != NULL) {
        *value = (struct brim_constant){{BRIM_INT64, {1, {(int64_t)a->count}}}, a->ints};
    } else if (brim_node_attr(n, "value_string") != NULL ||
               brim_node_attr(n, "value_strings") != NULL ||
               brim_node_attr(n, "sparse_value") != NULL) {
        return brim_infer_unsupported(c, "a constant of strings or a sparse one");
    } else {
        return brim_infer_fail(c, "has no value, expected an attribute 'value' or 'value_*'");
    }
    return BRIM_OK;
}
