/* op.h - how an operator is computed. SPDX-License-Identifier: Apache-2.0
 *
 * One file per operator or family in run/ops/, one line each in run/ops/table.c. The executor has
 * already called the operator's shape rule with everything known, and allocated the outputs.
 */
#ifndef BRIM_RUN_OP_H
#define BRIM_RUN_OP_H

#include "graph/op.h"

struct brim_op_call {
    brim_ctx *ctx;
    const struct brim_node *node;
    int64_t opset;
    size_t n_in, n_out;
    const struct brim_tensor *const *in; /* NULL for an omitted input */
    struct brim_tensor *out;             /* data allocated; an omitted output has data NULL */
    struct brim_arena *scratch;          /* freed after the call */
    uint64_t
        constant; /* bit i: in[i] holds the same bytes in every call with this state; 0 is safe */
    void **state; /* per node and workspace, NULL at first: cached primitives, packed weights */
};

typedef brim_status brim_op_run_fn(struct brim_op_call *c);

struct brim_op_kernel {
    const char *domain, *name;
    brim_op_run_fn *run;
    void (*free_state)(brim_ctx *ctx, void *state); /* NULL when there is none */
};

const struct brim_op_kernel *brim_op_kernel_find(const char *domain, const char *name);

/* "node 'conv1' (Conv): " + message. */
brim_status brim_op_fail(const struct brim_op_call *c, brim_status s, const char *fmt, ...)
    BRIM_PRINTF(3, 4);

#endif
