/* walk.h - broadcasting as runs of the innermost axis. SPDX-License-Identifier: Apache-2.0
 *
 * Axes that all operands cross in the same way are joined, so equal shapes are one run. Within a
 * run an operand advances by `step` elements: 1, or 0 where it is repeated.
 *
 *     for (bool more = brim_walk_init(&w, ...); more; more = brim_walk_next(&w))
 *         body(w.n, out + w.out, a + w.at[0], w.step[0], ...)
 */
#ifndef BRIM_RUN_OPS_WALK_H
#define BRIM_RUN_OPS_WALK_H

#include "run/op.h"

enum { BRIM_WALK_MAX = 3 };

struct brim_walk {
    size_t n;                   /* elements of a run */
    size_t step[BRIM_WALK_MAX]; /* of each operand within a run */
    size_t out;                 /* where the run begins in the output */
    size_t at[BRIM_WALK_MAX];   /* and in each operand */
    int rank, operands;         /* outer axes, outermost first */
    size_t size[BRIM_MAX_RANK], index[BRIM_MAX_RANK], stride[BRIM_WALK_MAX][BRIM_MAX_RANK];
};

/* The first run of `out`, which the shapes in[0..operands) broadcast to; false when it is empty. */
bool brim_walk_init(struct brim_walk *w, const struct brim_shape *out,
                    const struct brim_shape *const *in, int operands);
bool brim_walk_next(struct brim_walk *w);

/* The shape of a binary operator's second input. Before opset 7 it lies along the first from the
 * attribute `axis` on; since, and without it, shapes are aligned at the end. */
struct brim_shape brim_op_second_shape(const struct brim_op_call *c);

#endif
