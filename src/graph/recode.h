/* recode.h - an integer dot layer with other numbers: the same nodes, new constants.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What fixing a model does to the file. QDQ stays QDQ, an integer operator stays one; constants that
 * other nodes read too stay as they are for those.
 */
#ifndef BRIM_GRAPH_RECODE_H
#define BRIM_GRAPH_RECODE_H

#include "graph/dot.h"

struct brim_recode {
    const int32_t *w;      /* [n][k] K order, zero point not in them */
    const int32_t *zero;   /* [n] weight zero points; NULL = all 0 */
    const float *w_scale;  /* [n]; where the layer has no scale of its own it must be 1 */
    const int32_t *bias_q; /* [n] in units of x_scale * w_scale, where d->bias_q is, else NULL */
    const float *bias;     /* [n] where d->bias is, else NULL */
};

/* Can the numbers of this CODES layer be replaced? Not where its scales are those of vectors, where
 * another layer reads the same dequantized weights, or a Gemm multiplies by alpha or beta. */
bool brim_recode_can(const struct brim_graph *g, const struct brim_dot *d);
/* Does the layer have a weight scale of its own, which may be another for every output? The products of
 * ConvInteger and MatMulInteger are scaled by whatever node comes behind them. */
bool brim_recode_scales(const struct brim_graph *g, const struct brim_dot *d);

/* Replace them. Codes must fit the type that stores them. What the metadata declares of this layer is
 * removed: it is about the codes that were. Numbers of nodes and values stay good. */
BRIM_NODISCARD brim_status brim_recode_dot(struct brim_graph *g, const struct brim_dot *d,
                                           const struct brim_recode *r);

#endif
