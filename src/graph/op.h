/* op.h - the operator table: what exists, its arity, its shape rule. SPDX-License-Identifier:
 * Apache-2.0
 *
 * One table for every room: the loader refuses what is not in it, inference and the executor call
 * the same shape rule (the executor with every dimension and value known). How to compute an
 * operator is the executor's business (run/ops/).
 */
#ifndef BRIM_GRAPH_OP_H
#define BRIM_GRAPH_OP_H

#include "graph/graph.h"

/* What a shape rule sees and fills. */
struct brim_infer {
    brim_ctx *ctx;
    const struct brim_node *node;
    int64_t opset;                          /* version of the node's domain */
    const struct brim_type *in;             /* n_in types; an omitted input has dtype UNDEFINED */
    const struct brim_tensor *const *value; /* n_in known values, or NULL where not known */
    struct brim_type *out;                  /* n_out types to fill; preset to unknown */
};

typedef brim_status brim_infer_fn(struct brim_infer *c);

/* Domains besides ONNX's own, the empty one. Other names of QONNX's are this one once loaded. */
#define BRIM_DOMAIN_QONNX     "qonnx.custom_op.general"
#define BRIM_DOMAIN_MICROSOFT "com.microsoft"

struct brim_op {
    const char *domain; /* "" = ONNX */
    const char *name;
    int min_in, max_in; /* max_in -1 = any number */
    int min_out, max_out;
    brim_infer_fn *infer;
};

/* The operator, or NULL. */
const struct brim_op *brim_op_find(const char *domain, const char *name);

/* "node 'conv1' (Conv): " + message. */
brim_status brim_infer_fail(const struct brim_infer *c, const char *fmt, ...) BRIM_PRINTF(2, 3);

#endif
