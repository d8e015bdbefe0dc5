/* inputs.h - fake quantization of a dot layer's input with a learned scale.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Paper: Esser et al., "Learned Step Size Quantization" (arXiv 1902.08153), with the scale learned as
 * its logarithm. y = scale * (clip(round_half_even(x / scale) + zero, lo, hi) - zero), exactly what
 * QuantizeLinear, Clip and DequantizeLinear give. Zero point and code range stay as calibrated.
 */
#ifndef BRIM_TRAIN_INPUTS_H
#define BRIM_TRAIN_INPUTS_H

#include "graph/dot.h"
#include "train/param.h"

struct brim_inputs {
    struct brim_grid grid;    /* as calibrated; `scale` follows the parameter */
    struct brim_param *scale; /* one: log2 of the scale; NULL: not learned (8-bit data as it is) */
};

/* The parameter "<name>.input_scale", unless `fixed`. */
BRIM_NODISCARD brim_status brim_inputs_init(struct brim_inputs *q, struct brim_params *params,
                                            const char *name, const struct brim_grid *grid,
                                            bool fixed);
/* Before every forward pass: grid.scale from the parameter. */
void brim_inputs_refresh(struct brim_inputs *q);
/* Elementwise, any thread, y may be x. */
void brim_inputs_forward(const struct brim_inputs *q, const float *x, size_t count, float *y);
/* dx = dy where x was inside the range, else 0 (dx may be dy); returns this part's
 * d loss / d log2(scale), to be added in a fixed order with brim_inputs_learn(). */
double brim_inputs_backward(const struct brim_inputs *q, const float *x, const float *dy,
                            size_t count, float *dx);
/* Adds the whole batch's gradient, times LSQ's factor 1/sqrt(elements * largest code). */
void brim_inputs_learn(struct brim_inputs *q, double gradient, size_t elements);

#endif
