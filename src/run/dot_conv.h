/* dot_conv.h - integer convolutions by a float convolution. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_RUN_DOT_CONV_H
#define BRIM_RUN_DOT_CONV_H

#include "run/step.h"

/* May the layer's totals be computed in float32, and its accumulators kept in 32 bits? */
bool brim_dot_conv_is_exact(const struct brim_dot *d);

/* A workspace's primitive and buffers for one layer and one image size. */
struct brim_dot_conv;

/* Make *state fit these shapes of the layer's input and output. */
BRIM_NODISCARD brim_status brim_dot_conv_get(brim_ctx *ctx, const struct brim_dot *d,
                                             const struct brim_shape *x, const struct brim_shape *y,
                                             struct brim_dot_conv **state);
/* False: oneDNN does not do this geometry. */
bool brim_dot_conv_can(const struct brim_dot_conv *c);
void brim_dot_conv_free(brim_ctx *ctx, struct brim_dot_conv *c);

/* False when oneDNN fails, or x holds no codes; y is then undefined. */
bool brim_dot_conv_run(struct brim_dot_conv *c, const struct brim_dot_step *s,
                       const struct brim_tensor *x, struct brim_tensor *y);

#endif
