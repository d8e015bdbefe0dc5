/* resolve.h - an operator's parameters, wherever its opset keeps them. SPDX-License-Identifier:
 * Apache-2.0
 *
 * The same parameter was an attribute in one opset and is an input in another. The shape rules and
 * the computations both read them here, so they cannot disagree. `known` comes out false when a
 * value or a shape that is needed is not known yet.
 */
#ifndef BRIM_GRAPH_RESOLVE_H
#define BRIM_GRAPH_RESOLVE_H

#include "graph/infer.h"

/* Per axis of input 0: output element i is input element start + i * step, i < count. */
struct brim_slice {
    bool known;
    bool axis_known[BRIM_MAX_RANK]; /* valid even when not all is known */
    int64_t start[BRIM_MAX_RANK], step[BRIM_MAX_RANK], count[BRIM_MAX_RANK];
};
BRIM_NODISCARD brim_status brim_resolve_slice(const struct brim_infer *c, struct brim_slice *s);

enum brim_pad_mode { BRIM_PAD_CONSTANT, BRIM_PAD_REFLECT, BRIM_PAD_EDGE, BRIM_PAD_WRAP };

/* Elements added before and after each axis (negative: removed). */
struct brim_pads {
    bool known;
    enum brim_pad_mode mode;
    int64_t before[BRIM_MAX_RANK], after[BRIM_MAX_RANK];
};
BRIM_NODISCARD brim_status brim_resolve_pads(const struct brim_infer *c, struct brim_pads *p);

/* Which axes a Reduce* operator reduces; none at all means copy. */
struct brim_reduction {
    bool known;
    bool keepdims;
    bool reduced[BRIM_MAX_RANK];
};
BRIM_NODISCARD brim_status brim_resolve_reduction(const struct brim_infer *c,
                                                  struct brim_reduction *r);

/* The permutation of Transpose for a tensor of this rank. */
BRIM_NODISCARD brim_status brim_resolve_perm(const struct brim_infer *c, int rank,
                                             int perm[BRIM_MAX_RANK]);

/* What a Constant node says: its value's type, and its elements (the node's attribute). */
struct brim_constant {
    struct brim_type type;
    const void *data;
};
BRIM_NODISCARD brim_status brim_resolve_constant(const struct brim_infer *c,
                                                 struct brim_constant *value);

#endif
