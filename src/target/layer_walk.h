/* layer_walk.h - a dot layer as a target's kernels walk it. SPDX-License-Identifier: Apache-2.0
 *
 * The one definition of which products of a layer meet in which register; certify, fix and run use
 * it. A layer has `slots` products in the target's order, zero weights of padding included; the
 * registers of the first stage take consecutive runs of `tile` slots (lanes are already undone),
 * those of a later stage the runs of its tile. With any_order every choice of `tile` products is a
 * register.
 *
 * Operands are codes moved by constants: x' = x + x_shift, and of output c w' = w + w_shift(c), w being
 * the dot layer's code (zero point subtracted). So, over the k codes of an output,
 *
 *     sum w*x = sum w'*x' - x_shift * sum w - w_shift * (sum x + k * x_shift)
 *
 * Example     a 3x3 convolution of 3 channels on x86-maddubs: 27 codes in brim's K order and one slot
 *             of padding; (26, padding) is the last pair, (2, 3) crosses from one kernel position to
 *             the next. With walk "channel-kernel" slot 1 is kernel position 1 of channel 0: code 3.
 *             tests/target/test_layer_walk.c
 */
#ifndef BRIM_TARGET_LAYER_WALK_H
#define BRIM_TARGET_LAYER_WALK_H

#include "brim/target.h"
#include "graph/dot.h"

struct brim_layer_walk {
    const brim_target *target;
    const struct brim_dot *dot;
    bool wide; /* added in registers that hold every sum; nothing below is filled in */
    bool fits; /* the operands hold every code; if not the target cannot compute this layer */
    size_t slots;
    const int32_t *k;     /* [slots] index in brim's K order, -1 = padding: a weight of 0 */
    size_t tile;          /* slots of a first-stage register; slots when it takes them all */
    int64_t x_shift;      /* x' = x + x_shift */
    int64_t x_min, x_max; /* range of x'; need not contain 0 */
    int64_t w_min, w_max; /* least and greatest w' of the layer */
    int64_t w_type_shift; /* part of w_shift that all outputs share */
    bool w_raw;           /* w' has its zero point in it */
};

/* BRIM_ERR_UNSUPPORTED: the layer has scales for vectors of products, which no target has. */
BRIM_NODISCARD brim_status brim_layer_walk_check(brim_ctx *ctx, const struct brim_dot *dot);

/* How `target` walks the CODES layer `dot`, which both must outlive `walk`; arrays from `arena`.
 * Fails as brim_layer_walk_check() does. */
BRIM_NODISCARD brim_status brim_layer_walk(struct brim_arena *arena, const brim_target *target,
                                           const struct brim_dot *dot,
                                           struct brim_layer_walk *walk);

/* w' - w of output c. */
static inline int64_t brim_walk_weight_shift(const struct brim_layer_walk *walk, size_t c)
{
    const int32_t *zero = walk->dot->w_zero;

    return walk->w_type_shift + (walk->w_raw && zero != NULL ? zero[c] : 0);
}

/* w' of output c in slot order; 0 in padding. `w`: [slots]. */
void brim_walk_weights(const struct brim_layer_walk *walk, size_t c, int32_t *w);

/* x' of k input codes in slot order; padding repeats a value within range. `slot`: [slots]. */
void brim_walk_inputs(const struct brim_layer_walk *walk, const int32_t *x, int32_t *slot);

/* What sum w'*x' has over sum w*x for output c and k input codes. */
int64_t brim_walk_correction(const struct brim_layer_walk *walk, size_t c, const int32_t *x);

#endif
