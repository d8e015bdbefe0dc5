/* step.h - what a plan is made of; shared by plan.c, fuse.c, plan_layout.c, exec.c and the steps.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Between steps that can take it, a value of four dimensions and 8-bit codes lies in memory channel
 * fastest, [sample][height][width][channel], and as bytes 0..255: codes of a signed type are stored
 * 128 higher. Its type still says [sample][channel][height][width]. plan->bytes tells which.
 */
#ifndef BRIM_RUN_STEP_H
#define BRIM_RUN_STEP_H

#include "kernels/conv.h"
#include "kernels/total.h"
#include "run/op.h"
#include "run/plan.h"
#include "target/layer_walk.h"

/* A dot layer run in integers, up to and including its requantization. */
struct brim_dot_step {
    const struct brim_dot *dot;
    size_t index;                  /* in brim_dots order */
    size_t tail;                   /* the last node of the chain that the step stands for */
    int32_t out;                   /* the value it computes */
    const brim_datapath *datapath; /* NULL = exact */
    struct brim_dot_kernel *kernel;
    struct brim_dot_kernel *counter; /* counts instead of the kernel; NULL: the kernel does */
    bool observed;                   /* the kernel has extremes for an observer */
    bool total;                      /* dot is the layer with its vectors' scales multiplied in */
    enum brim_emit emit;
    struct brim_grid y;        /* of `out`; all but the type for CODES only */
    const int64_t *offset;     /* [n] bias_q - x_zero * sum(w) */
    const uint32_t *w_sum;     /* [n] sum(w) modulo 2^32 where the zero point is found at
                                           run time */
    const float *multiplier;   /* [n]; FLOAT and CODES */
    const float *bias;         /* [n] or NULL; FLOAT */
    const double *real_offset; /* [n] vectors with float scales: -x_zero * sum of scale * sum(w) */
    bool x_bytes, y_bytes;     /* how `dot->x` and `out` lie in memory */
    const struct brim_layer_walk *walk; /* of a target: the kernel takes its slots; NULL = codes */
    const int64_t *walk_excess;         /* [n] of a walk: what does not depend on the input in the
                                           sum of slots over that of codes */

    /* One of them where only the totals matter and 32 bits hold them, else neither. */
    struct brim_conv_kernel *conv;
    struct brim_total *product;
};

/* Codes in, codes out, by way of floats, but in one pass: exactly the operations of the nodes it
 * stands for, element by element. */
enum brim_code_kind {
    BRIM_CODE_QUANTIZE, /* QuantizeLinear of a float value */
    BRIM_CODE_ADD,      /* two DequantizeLinear, Add, [Relu or Clip], QuantizeLinear */
    BRIM_CODE_MEAN      /* DequantizeLinear, GlobalAveragePool, [Relu or Clip], QuantizeLinear */
};

struct brim_code_step {
    enum brim_code_kind kind;
    size_t tail; /* the last node of those that the step stands for */
    int32_t in[2], out;
    size_t n_in;
    struct brim_grid x[2], y; /* x: not for QUANTIZE */
    bool x_bytes, y_bytes;
};

struct brim_step {
    size_t node;
    const struct brim_op_kernel *kernel; /* NULL for a dot step */
    struct brim_dot_step *dot;           /* NULL for the others */
    struct brim_code_step *code;         /* NULL for the others */
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
    size_t n_code_steps;
    struct brim_code_step *code_step; /* [n_code_steps] */
    size_t n_steps;
    struct brim_step *steps;
    bool *bytes;                         /* [n_values] lies channel fastest, as bytes */
    bool is_static;                      /* types of the inputs decide those of all values */
    const struct brim_tensor **constant; /* [n_values]: known before any run, else NULL */
    bool *wanted, *needed;               /* [n_values] */
    size_t max_in, max_out;              /* largest arity of a node */
    bool has_override, count, observe;
    const brim_target *target; /* borrowed; NULL = none */
    brim_datapath override;
};

/* ---- fuse.c ---- */
/* Decide what each CODES dot layer becomes, and what lies between: fills plan->dot_step and
 * plan->code_step. */
BRIM_NODISCARD brim_status brim_plan_fuse(struct brim_plan *plan);

/* ---- plan_layout.c ---- */
/* Decide which values lie as bytes: fills plan->bytes and the steps' flags. */
BRIM_NODISCARD brim_status brim_plan_layout(struct brim_plan *plan);
/* rows x columns bytes, each with `flip` toggled, into columns x rows. */
void brim_transpose_bytes(const uint8_t *x, size_t rows, size_t columns, uint8_t flip, uint8_t *y);

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

/* ---- steps ---- */
/* A workspace's memory for one step at a time. */
struct brim_work {
    brim_ctx *ctx;
    void *data;
    size_t capacity;
};
/* At least `bytes` bytes, 64-byte aligned, until the next call; NULL when out of memory. */
void *brim_work_get(struct brim_work *work, size_t bytes);

/* ---- vector_step.c ---- */
/* What the kernel is told of the vectors' scales. */
struct brim_dot_vectors brim_dot_step_scales(const struct brim_dot_step *s);
/* Vectors with float scales: sums are real, and so is what the zero point adds to them. */
BRIM_NODISCARD brim_status brim_dot_step_reals(struct brim_plan *plan, struct brim_dot_step *s);
/* A layer with integer scales for its vectors becomes one without, where that gives the same. */
BRIM_NODISCARD brim_status brim_dot_step_vectors(struct brim_plan *plan, struct brim_dot_step *s);

/* ---- walk_step.c: dot layers as a target's kernels walk them ---- */
/* Every integer layer is one that a target can walk. */
BRIM_NODISCARD brim_status brim_plan_check_target(const struct brim_plan *plan);
/* The layer's walk, and in *p weights, range and datapath of its kernel, which `w` keeps until that
 * is made. Where the target's kernels hold every sum, s->walk stays NULL and the datapath exact. */
BRIM_NODISCARD brim_status brim_dot_step_walk(struct brim_plan *plan, struct brim_dot_step *s,
                                              struct brim_arena *w,
                                              struct brim_dot_kernel_params *p);
/* Codes that the kernel is given for m rows of codes of the layer: [m][slots]. */
void brim_walk_rows(const struct brim_dot_step *s, const struct brim_dot_rows *codes,
                    int32_t *slots);
/* The sums over slots of rows->y become sums over the codes of those rows. */
void brim_walk_totals(const struct brim_dot_step *s, const struct brim_dot_rows *codes,
                      const struct brim_dot_rows *rows);

/* ---- dot_step.c ---- */
/* Offsets, multipliers and the kernel's weights. */
BRIM_NODISCARD brim_status brim_dot_step_prepare(struct brim_plan *plan, struct brim_dot_step *s);
void brim_dot_step_free(brim_ctx *ctx, struct brim_dot_step *s); /* its kernels */

struct brim_dot_call {
    const struct brim_tensor *x; /* integer codes; floats where vectors' scales are found here */
    int64_t x_zero;              /* their zero point */
    struct brim_tensor *y;       /* allocated, of the shape of the layer's output */
    struct brim_dot_counts *counts;
    brim_dot_observer *observer; /* NULL = none; called for steps that are observed */
    void *user;
    struct brim_arena *scratch;
    struct brim_work *work;
};
BRIM_NODISCARD brim_status brim_dot_step_run(const struct brim_dot_step *s,
                                             const struct brim_dot_call *call);

/* The images of a convolution, whose shapes have been checked; what its padding makes of them must
 * stay within the limit of a tensor. */
BRIM_NODISCARD brim_status brim_dot_images(brim_ctx *ctx, const struct brim_dot *d,
                                           const struct brim_shape *x, const struct brim_shape *y,
                                           struct brim_conv_images *images);

/* ---- dot_total.c: dot layers of which only the totals matter ---- */
/* Make s->conv or s->gemm where 32 bits hold the totals. */
BRIM_NODISCARD brim_status brim_dot_total_prepare(struct brim_plan *plan, struct brim_dot_step *s);
BRIM_NODISCARD brim_status brim_dot_total_run(const struct brim_dot_step *s,
                                              const struct brim_dot_call *call);

/* ---- code_step.c ---- */
/* The output's type for these inputs. */
BRIM_NODISCARD brim_status brim_code_step_type(brim_ctx *ctx, const struct brim_code_step *s,
                                               const struct brim_tensor *const *x,
                                               struct brim_type *type);
BRIM_NODISCARD brim_status brim_code_step_run(const struct brim_code_step *s,
                                              const struct brim_tensor *const *x,
                                              struct brim_tensor *y, struct brim_work *work);

#endif
