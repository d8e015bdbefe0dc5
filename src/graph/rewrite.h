/* rewrite.h - a float dot layer becomes an integer one: the graph-to-graph step of quantizing.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   x -> QuantizeLinear(scale, zero) -> [Clip(lo, hi)] -> DequantizeLinear -> Conv/Gemm/MatMul
 *   integer weights -> DequantizeLinear(axis = output channel, scale[n], zero 0) -^
 *   int32 bias -> DequantizeLinear(scale = x_scale * w_scale[n]) ----------------^
 *
 * With vectors the weights' DequantizeLinear has a block_size along k, and a scale tensor of the
 * weights' shape with k divided; two-level scales come from a DequantizeLinear of their own:
 *
 *   integer scales -> DequantizeLinear(axis = output channel, scale[n]) -> scale of the weights
 *
 * The Clip is there when the grid uses fewer codes than its type has. A QuantizeLinear of the same
 * value on the same grid is shared by the layers that it feeds.
 */
#ifndef BRIM_GRAPH_REWRITE_H
#define BRIM_GRAPH_REWRITE_H

#include "graph/dot.h"

struct brim_rewrite_dot {
    struct brim_grid grid;       /* of the layer's input */
    const int16_t *codes;        /* [n][k] in K order; stored as int8 when they fit, else int16 */
    const float *w_scale;        /* [n] */
    size_t vector;               /* products that share a scale of their own, 0 = none; along a
                              convolution's channels, whose number it divides */
    const float *vector_scale;   /* [n][ceil(k/vector)] single-level; w_scale is then not used */
    const uint16_t *vector_code; /* the same shape, two-level: times w_scale */
    unsigned product_shift; /* low bits that products of two integer scales lose; two-level only */
    /* At most one of the two; both NULL leaves the layer's bias as it is. A layer without a bias
     * gets one (behind a MatMul, which has no bias input, as an Add of a float constant). */
    const int32_t *bias_q;          /* [n] in units of x_scale*w_scale*2^product_shift; not for
                              MatMul */
    const float *bias;              /* [n] */
    const brim_datapath *datapath;  /* NULL = none is declared, and no metadata written */
    unsigned need[BRIM_MAX_STAGES]; /* bits of each stage, for the metadata */
};

/* Rewrite layer `d` (FLOAT, of this graph g) in place and record "brim.layer.<name>". Node numbers
 * and value numbers of other layers stay good until brim_rewrite_finish(): call that once after the
 * last layer. The graph's opset is raised first where it is lower: to 13, or to 21 for 16-bit codes and vectors.
 * BRIM_ERR_UNSUPPORTED: the model cannot be raised, naming the node. */
BRIM_NODISCARD brim_status brim_rewrite_quantize_dot(struct brim_graph *g, const struct brim_dot *d,
                                                     const struct brim_rewrite_dot *r);
/* Sort, drop what is not needed any more, infer. */
BRIM_NODISCARD brim_status brim_rewrite_finish(struct brim_graph *g);

/* Raise the ONNX opset to `version` (at most 21), changing nodes whose meaning changed
 * on the way (graph/upgrade.c). Nothing to do when it is that high already. Node and value numbers
 * that exist stay good. */
BRIM_NODISCARD brim_status brim_graph_upgrade(struct brim_graph *g, int64_t version);

#endif
