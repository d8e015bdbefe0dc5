/* step.h - what a plan is made of; shared by plan.c, fuse.c, exec.c and dot_step.c.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_RUN_STEP_H
#define BRIM_RUN_STEP_H

#include "kernels/epilogue.h"
#include "run/op.h"
#include "run/plan.h"

/* A dot layer run in integers, up to and including its requantization. */
struct brim_dot_step {
    const struct brim_dot *dot;
    size_t index;                  /* in brim_dots order */
    size_t tail;                   /* the last node of the chain that the step stands for */
    int32_t out;                   /* the value it computes */
    const brim_datapath *datapath; /* NULL = exact */
    struct brim_dot_kernel *kernel;
    enum brim_emit emit;
    enum brim_dtype y_type;  /* of `out` */
    float y_scale;           /* CODES */
    int64_t zero, lo, hi;    /* CODES */
    const int64_t *offset;   /* [n] bias_q - x_zero * sum(w) */
    const float *multiplier; /* [n]; FLOAT and CODES */
    const float *bias;       /* [n] or NULL; FLOAT */
    bool as_float;           /* a convolution whose totals float32 holds: see dot_conv.c */
};

struct brim_step {
    size_t node;
    const struct brim_op_kernel *kernel; /* NULL for a dot step */
    struct brim_dot_step *dot;           /* NULL for an operator */
    const int32_t *release;              /* values that nothing reads after this step */
    size_t n_release;
};

struct brim_plan {
    brim_ctx *ctx;
    struct brim_arena arena;
    const struct brim_graph *g; /* borrowed */
    struct brim_dots dots;
    struct brim_dot_step *
        *dot_step; /* [dots.count]: how each layer is run, NULL = not in integers */
    size_t n_steps;
    struct brim_step *steps;
    const struct brim_tensor **constant; /* [n_values]: known before any run, else NULL */
    bool *wanted, *needed;               /* [n_values] */
    size_t max_in, max_out;              /* largest arity of a node */
    bool has_override, count;
    brim_datapath override;
};

/* ---- fuse.c ---- */
/* Decide what each CODES dot layer becomes: fills plan->dot_step. */
BRIM_NODISCARD brim_status brim_plan_fuse(struct brim_plan *plan);

/* ---- exec.c ---- */
/* Bytes of a tensor of this type; fails when a dimension is unknown or the limit is exceeded. */
BRIM_NODISCARD brim_status brim_tensor_bytes(brim_ctx *ctx, const struct brim_type *type,
                                             size_t *bytes);
/* Call the shape rule of `node` with in[i] (type; data where known; NULL when omitted) and check
 * that it leaves nothing open. out: n_out types. */
BRIM_NODISCARD brim_status brim_exec_types(const struct brim_plan *plan,
                                           const struct brim_node *node,
                                           const struct brim_tensor *const *in,
                                           struct brim_type *out, struct brim_arena *scratch);

/* ---- dot_step.c ---- */
/* Offsets, multipliers and the kernel's weights. */
BRIM_NODISCARD brim_status brim_dot_step_prepare(struct brim_plan *plan, struct brim_dot_step *s);
struct brim_dot_conv;

struct brim_dot_call {
    const struct brim_tensor *x; /* integer codes */
    struct brim_tensor *y;       /* allocated, of the shape of the layer's output */
    struct brim_dot_counts *counts;
    struct brim_arena *scratch;
    struct brim_dot_conv **state; /* of the workspace, NULL at first; brim_dot_conv_free() */
};
BRIM_NODISCARD brim_status brim_dot_step_run(const struct brim_dot_step *s,
                                             const struct brim_dot_call *call);

#endif
