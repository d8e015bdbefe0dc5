/* layout.h - where the K order finds its weights in the file's tensor. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Convolution weights are [n][channel][row][column] in a file, matrices [n][k] or [k][n]; brim's
 * own order is [n][row][column][channel], [n][k].
 */
#ifndef BRIM_GRAPH_LAYOUT_H
#define BRIM_GRAPH_LAYOUT_H

#include "graph/dot.h"

enum brim_layout_kind { BRIM_LAYOUT_CONV, BRIM_LAYOUT_NK, BRIM_LAYOUT_KN };

struct brim_layout {
    enum brim_layout_kind kind;
    size_t n, k;
    size_t channels, taps; /* CONV: input channels of a group, kernel rows x columns */
};

/* Element of the file's tensor that is weight k of output n. */
static inline size_t brim_layout_index(const struct brim_layout *l, size_t n, size_t k)
{
    switch (l->kind) {
    case BRIM_LAYOUT_CONV:
        if (l->channels == 0) {
            return 0;
        }
        return (n * l->channels + k % l->channels) * l->taps + k / l->channels;
    case BRIM_LAYOUT_NK:
        return n * l->k + k;
    case BRIM_LAYOUT_KN:
        return k * l->n + n;
    }
    return 0;
}

/* The layout of a node's weights with this shape; false when it is not that of a dot layer (a rank
 * brim does not do, an empty dimension). */
bool brim_layout_of(const struct brim_node *node, const struct brim_shape *weight,
                    struct brim_layout *l);

/* The axis of the weight tensor that counts outputs. */
int brim_layout_output_axis(const struct brim_layout *l);

#endif
