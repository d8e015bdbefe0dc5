/* walk.c - broadcasting as runs of the innermost axis. SPDX-License-Identifier: Apache-2.0 */
#include "run/ops/walk.h"

/* Strides of `in` along the axes of an output of `rank`; 0 where it is repeated. */
static void strides_of(const struct brim_shape *in, int rank, size_t stride[BRIM_MAX_RANK])
{
    size_t step = 1;

    for (int i = 1; i <= rank; i++) {
        const size_t size = i <= in->rank ? (size_t)in->dim[in->rank - i] : 1;
        stride[rank - i] = size == 1 ? 0 : step;
        step *= size;
    }
}

/* Does every operand cross axis `a`, whose size is `size`, right after axis `b` outside it? */
static bool joins(const struct brim_walk *w, int b, size_t size, const size_t inner[BRIM_WALK_MAX])
{
    for (int k = 0; k < w->operands; k++) {
        if (w->stride[k][b] != inner[k] * size) {
            return false;
        }
    }
    return true;
}

bool brim_walk_init(struct brim_walk *w, const struct brim_shape *out,
                    const struct brim_shape *const *in, int operands)
{
    size_t full[BRIM_WALK_MAX][BRIM_MAX_RANK];

    *w = (struct brim_walk){.operands = operands};
    for (int k = 0; k < operands; k++) {
        strides_of(in[k], out->rank, full[k]);
    }
    for (int i = 0; i < out->rank; i++) {
        const size_t size = (size_t)out->dim[i];
        size_t inner[BRIM_WALK_MAX] = {0};
        if (size == 0) {
            return false;
        }
        if (size == 1) {
            continue;
        }
        for (int k = 0; k < operands; k++) {
            inner[k] = full[k][i];
        }
        const bool join = w->rank > 0 && joins(w, w->rank - 1, size, inner);
        const int at = join ? w->rank - 1 : w->rank++;
        w->size[at] = join ? w->size[at] * size : size;
        for (int k = 0; k < operands; k++) {
            w->stride[k][at] = inner[k];
        }
    }
    w->n = 1;
    if (w->rank > 0) { /* the innermost axis is the run; its strides are 0 or 1 */
        w->rank--;
        w->n = w->size[w->rank];
        for (int k = 0; k < operands; k++) {
            w->step[k] = w->stride[k][w->rank];
        }
    }
    return true;
}

bool brim_walk_next(struct brim_walk *w)
{
    w->out += w->n;
    for (int i = w->rank - 1; i >= 0; i--) {
        for (int k = 0; k < w->operands; k++) {
            w->at[k] += w->stride[k][i];
        }
        if (++w->index[i] < w->size[i]) {
            return true;
        }
        for (int k = 0; k < w->operands; k++) {
            w->at[k] -= w->stride[k][i] * w->size[i];
        }
        w->index[i] = 0;
    }
    return false;
}

struct brim_shape brim_op_second_shape(const struct brim_op_call *c)
{
    const int rank = c->in[0]->type.shape.rank;
    struct brim_shape b = c->in[1]->type.shape;

    if (c->opset < 7 && brim_node_int(c->node, "broadcast", 0) != 0 &&
        brim_node_attr(c->node, "axis") != NULL) {
        const int64_t axis = brim_node_int(c->node, "axis", 0);
        while (b.rank < rank - (axis < 0 ? axis + rank : axis)) {
            b.dim[b.rank++] = 1;
        }
    }
    return b;
}
