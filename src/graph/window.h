/* window.h - how a kernel slides over an input: convolution and pooling geometry.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The shape rules and the computations both read the attributes here, so they cannot disagree.
 *
 *     axis i:  before[i] | in[i] elements | after[i]
 *              output o sees positions  o * stride - before + j * dilation,  j < kernel
 *
 * With ceil_mode the last windows may reach beyond `after`; they never start there.
 */
#ifndef BRIM_GRAPH_WINDOW_H
#define BRIM_GRAPH_WINDOW_H

#include "graph/infer.h"

#define BRIM_MAX_SPATIAL 3

/* Sizes, paddings and steps are below 2^31, so that products of two of them fit int64. */
struct brim_window {
    int rank;                      /* 1..3 spatial axes */
    int64_t in[BRIM_MAX_SPATIAL];  /* -1 = not known */
    int64_t out[BRIM_MAX_SPATIAL]; /* -1 = not known */
    int64_t kernel[BRIM_MAX_SPATIAL], stride[BRIM_MAX_SPATIAL], dilation[BRIM_MAX_SPATIAL];
    int64_t before[BRIM_MAX_SPATIAL], after[BRIM_MAX_SPATIAL]; /* resolved, also for SAME_* */
};

/* Pooling of x [N, C, spatial...] (rank known) by attributes kernel_shape, strides, pads,
 * dilations, auto_pad, ceil_mode. */
BRIM_NODISCARD brim_status brim_window_pool(const struct brim_infer *c, const struct brim_shape *x,
                                            struct brim_window *w);

/* The same geometry with three axes: leading axes of size 1 added. */
void brim_window_widen(struct brim_window *w);

/* A convolution of x [N, groups * group_in, spatial...] by weights [groups * group_out, group_in,
 * kernel...]. Counts are -1 where not known. */
struct brim_conv {
    struct brim_window window;
    int64_t samples, groups, group_in, group_out;
};

/* Both ranks known. `bias` (or NULL) must hold one element per output channel. */
BRIM_NODISCARD brim_status brim_conv_resolve(const struct brim_infer *c, const struct brim_shape *x,
                                             const struct brim_shape *weight,
                                             const struct brim_shape *bias, struct brim_conv *conv);

/* [samples, groups * group_out, spatial...] */
void brim_conv_output(const struct brim_conv *conv, struct brim_shape *y);

#endif
