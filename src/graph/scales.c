/* scales.c - see scales.h. SPDX-License-Identifier: Apache-2.0 */
#include "graph/scales.h"

static brim_status scale_shape_fail(const struct brim_infer *c, const struct brim_shape *x,
                                    const struct brim_shape *scale)
{
    char a[96], b[96];

    return brim_infer_fail(c, "scale has shape %s, which does not fit an input of shape %s",
                           brim_shape_text(scale, a, sizeof a), brim_shape_text(x, b, sizeof b));
}

/* The whole tensor as [outer][length of `axis`][inner]; false while a dimension is not known. */
static brim_status split(const struct brim_infer *c, const struct brim_shape *x, int axis,
                         struct brim_scales *s, bool *known)
{
    int64_t outer, inner;

    BRIM_TRY(brim_infer_product(c, x, 0, axis, &outer));
    BRIM_TRY(brim_infer_product(c, x, axis + 1, x->rank, &inner));
    *known = outer >= 0 && inner >= 0 && x->dim[axis] >= 0;
    s->outer = (size_t)outer;
    s->length = (size_t)x->dim[axis];
    s->inner = (size_t)inner;
    return BRIM_OK;
}

static brim_status resolve_blocked(const struct brim_infer *c, const struct brim_shape *x,
                                   const struct brim_shape *scale, int axis, struct brim_scales *s)
{
    if (scale->rank != x->rank) {
        return scale_shape_fail(c, x, scale);
    }
    for (int i = 0; i < x->rank; i++) {
        const int64_t block = i == axis ? (int64_t)s->block : 1, d = x->dim[i];
        const int64_t want = d < 0 ? -1 : d / block + (d % block != 0 ? 1 : 0);
        if (want >= 0 && scale->dim[i] >= 0 && scale->dim[i] != want) {
            return scale_shape_fail(c, x, scale);
        }
    }
    s->blocked = true;
    s->blocks = (s->length + s->block - 1) / s->block;
    return BRIM_OK;
}

brim_status brim_scales_resolve(const struct brim_infer *c, const struct brim_shape *x,
                                const struct brim_shape *scale, struct brim_scales *s, bool *known)
{
    const int64_t block = brim_node_int(c->node, "block_size", 0);
    int axis;

    *s = (struct brim_scales){.block = 1};
    *known = false;
    if (block < 0) {
        return brim_infer_fail(c, "block_size is %lld, expected 0 or more", (long long)block);
    }
    if (x->rank < 0 || scale->rank < 0) {
        return BRIM_OK;
    }
    if (scale->rank == 0 || (scale->rank == 1 && scale->dim[0] == 1 && block == 0)) {
        int64_t count;
        BRIM_TRY(brim_infer_product(c, x, 0, x->rank, &count));
        *known = count >= 0;
        s->outer = s->length = s->blocks = 1;
        s->inner = (size_t)count;
        return BRIM_OK;
    }
    BRIM_TRY(brim_infer_axis(c, brim_node_int(c->node, "axis", 1), x->rank, &axis));
    BRIM_TRY(split(c, x, axis, s, known));
    if (block > 0) {
        s->block = (size_t)block;
        return resolve_blocked(c, x, scale, axis, s);
    }
    if (scale->rank != 1 ||
        (scale->dim[0] >= 0 && x->dim[axis] >= 0 && scale->dim[0] != x->dim[axis])) {
        return scale_shape_fail(c, x, scale);
    }
    s->blocks = s->length;
    return BRIM_OK;
}
