/* scales.h - which scale belongs to which element. SPDX-License-Identifier: Apache-2.0
 *
 * QuantizeLinear and DequantizeLinear, per tensor, per axis and blocked, are one picture: the
 * tensor is [outer][length][inner], the scales are [outer'][blocks][inner'].
 *
 *     per tensor   one scale for all               length = 1, block = 1, blocks = 1
 *     per axis     scale[a]                        block = 1
 *     blocked      scale[o][a / block][i]          block = block_size, the last may be short
 */
#ifndef BRIM_GRAPH_SCALES_H
#define BRIM_GRAPH_SCALES_H

#include "graph/infer.h"

struct brim_scales {
    size_t outer, length, inner;
    size_t block, blocks;
    bool blocked; /* scales differ along outer and inner too */
};

/* Number of the scale of element [o][a][i]; i only matters when blocked. */
static inline size_t brim_scales_index(const struct brim_scales *s, size_t o, size_t a, size_t i)
{
    return s->blocked ? (o * s->blocks + a / s->block) * s->inner + i : a / s->block;
}

/* By the attributes axis and block_size and the two shapes. *known is false, and `s` not to be
 * used, while a dimension is not known; what is known is checked all the same. */
BRIM_NODISCARD brim_status brim_scales_resolve(const struct brim_infer *c,
                                               const struct brim_shape *x,
                                               const struct brim_shape *scale,
                                               struct brim_scales *s, bool *known);

#endif
