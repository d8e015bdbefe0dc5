/* channels.h - which values of a graph count the same channels. SPDX-License-Identifier: Apache-2.0
 *
 * The channels of a value (its axis 1) may be put in another order when whoever makes it makes them in
 * that order and whoever reads it reads them so. Values that one order must serve are a class:
 * elementwise operators, pooling, residual sums and depthwise convolutions join their inputs' and
 * outputs' classes, a dot layer ends one and begins another. A class is fixed where an order would show
 * outside (inputs and outputs of the graph) or at an operator that this file does not know.
 */
#ifndef BRIM_FIX_CHANNELS_H
#define BRIM_FIX_CHANNELS_H

#include "graph/dot.h"

struct brim_channels {
    size_t *of;  /* [n_values] a value that stands for the class, itself at the least */
    bool *fixed; /* [n_values] of the values that stand for one */
};

/* Shapes must have been inferred. `can[i]`: dot layer i may get other numbers (recode.h). */
BRIM_NODISCARD brim_status brim_channels_find(const struct brim_graph *g,
                                              const struct brim_dots *dots, const bool *can,
                                              struct brim_arena *arena, struct brim_channels *c);

/* The class of a dot layer's inputs and of its outputs; of a depthwise convolution they are the same. */
size_t brim_channels_in(const struct brim_channels *c, const struct brim_dot *d);
size_t brim_channels_out(const struct brim_channels *c, const struct brim_dot *d);

static inline bool brim_channels_depthwise(const struct brim_dot *d)
{
    return d->groups > 1 && d->groups == d->n && d->kind == BRIM_DOT_CONV &&
           d->conv.c_in == d->conv.groups;
}

#endif
