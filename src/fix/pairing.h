/* pairing.h - an order of channels in which fewer products meet that overflow together.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_FIX_PAIRING_H
#define BRIM_FIX_PAIRING_H

#include "target/layer_walk.h"

/* One layer that reads the channels: groups 1, weights as the target has them, operands that fit. */
struct brim_pairing_layer {
    const struct brim_layer_walk *walk;
    const int32_t *w; /* [n][k] K order, as in the operand of the multiplier */
};

/* order[i]: which of the channels that are comes to be channel i. Starts from what is (order need not
 * be filled), ends where no exchange of two channels makes the loss less, or after some rounds. The
 * loss is what the first-stage registers of all layers go beyond their range by, squared. `gain` is
 * the part of the loss that is gone, 0 when there was none or none could be undone. Same input, same
 * order. */
BRIM_NODISCARD brim_status brim_pairing_find(brim_ctx *ctx, const struct brim_pairing_layer *layer,
                                             size_t n, size_t channels, size_t *order,
                                             double *gain);

#endif
