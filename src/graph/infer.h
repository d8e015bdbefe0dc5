/* infer.h - what shape rules share. SPDX-License-Identifier: Apache-2.0
 *
 * A rule leaves what it cannot know unknown (dtype UNDEFINED, rank -1, dim -1, value NULL), and is
 * exact when everything is known: the executor allocates the outputs from it.
 */
#ifndef BRIM_GRAPH_INFER_H
#define BRIM_GRAPH_INFER_H

#include "graph/op.h"

/* Sets of dtypes, one bit per number of enum brim_dtype. */
#define BRIM_T(t) (1u << (t))
enum {
    BRIM_T_SIGNED =
        BRIM_T(BRIM_INT8) | BRIM_T(BRIM_INT16) | BRIM_T(BRIM_INT32) | BRIM_T(BRIM_INT64),
    BRIM_T_UNSIGNED =
        BRIM_T(BRIM_UINT8) | BRIM_T(BRIM_UINT16) | BRIM_T(BRIM_UINT32) | BRIM_T(BRIM_UINT64),
    BRIM_T_FLOATS =
        BRIM_T(BRIM_FLOAT) | BRIM_T(BRIM_FLOAT16) | BRIM_T(BRIM_DOUBLE) | BRIM_T(BRIM_BFLOAT16),
    BRIM_T_NUMERIC = BRIM_T_SIGNED | BRIM_T_UNSIGNED | BRIM_T_FLOATS,
    BRIM_T_ALL = BRIM_T_NUMERIC | BRIM_T(BRIM_BOOL) | BRIM_T(BRIM_UINT4) | BRIM_T(BRIM_INT4),
    BRIM_T_INDEX = BRIM_T(BRIM_INT32) | BRIM_T(BRIM_INT64)
};

/* Is input i given (not omitted)? */
bool brim_infer_has(const struct brim_infer *c, size_t i);

/* Fail unless the dtype of input i is in `set`; unknown and omitted pass. */
BRIM_NODISCARD brim_status brim_infer_check(const struct brim_infer *c, size_t i, unsigned set);

/* As brim_infer_fail, for what is well-formed but outside what brim does: "... is not supported".
 */
brim_status brim_infer_unsupported(const struct brim_infer *c, const char *fmt, ...)
    BRIM_PRINTF(2, 3);

/* Fail unless inputs i and j have the same dtype (where both are known). */
BRIM_NODISCARD brim_status brim_infer_same(const struct brim_infer *c, size_t i, size_t j);

/* Fail unless input i is one element of rank 0 or 1; unknown and omitted pass. */
BRIM_NODISCARD brim_status brim_infer_scalar(const struct brim_infer *c, size_t i);

/* Fail when any input is omitted: for operators with any number of them. */
BRIM_NODISCARD brim_status brim_infer_all_given(const struct brim_infer *c);

/* `axis` counted from the front, or a failure when it is outside [-rank, rank). */
BRIM_NODISCARD brim_status brim_infer_axis(const struct brim_infer *c, int64_t axis, int rank,
                                           int *out);

/* Multidirectional broadcast of `b` into `*a`. */
BRIM_NODISCARD brim_status brim_infer_broadcast(const struct brim_infer *c, struct brim_shape *a,
                                                const struct brim_shape *b);

/* The integers of input i, which is a 1-D (or scalar) int32 or int64 tensor of at most `max`.
 * *known is false, and nothing else written, when the value is not known. */
BRIM_NODISCARD brim_status brim_infer_ints(const struct brim_infer *c, size_t i, int64_t *v,
                                           size_t max, size_t *n, bool *known);

/* As brim_infer_ints, from the attribute; *known is false when there is none. */
BRIM_NODISCARD brim_status brim_infer_attr_ints(const struct brim_infer *c, const char *name,
                                                int64_t *v, size_t max, size_t *n, bool *known);

/* The product of dims [from, to), -1 when one is unknown; fails when it overflows. */
BRIM_NODISCARD brim_status brim_infer_product(const struct brim_infer *c,
                                              const struct brim_shape *s, int from, int to,
                                              int64_t *out);

/* Rules that several operators are: output 0 has input 0's type; and additionally a float type. */
brim_status brim_infer_unary(struct brim_infer *c);
brim_status brim_infer_unary_float(struct brim_infer *c);

/* The shape of the (batched) product of a and b, as numpy.matmul; left alone when a rank is not
 * known. */
BRIM_NODISCARD brim_status brim_infer_matmul_shape(const struct brim_infer *c,
                                                   const struct brim_shape *a,
                                                   const struct brim_shape *b,
                                                   struct brim_shape *y);

#endif
