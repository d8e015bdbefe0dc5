/* dnnl_conv.h - convolution of a shard through oneDNN, forward and backward.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Activations are channel fastest (nhwc), weights in K order [n][kh][kw][c/groups]; oneDNN's own
 * layout of the weights is behind these calls. Every call works in its thread alone; different
 * workers may call at once.
 */
#ifndef BRIM_TRAIN_DNNL_CONV_H
#define BRIM_TRAIN_DNNL_CONV_H

#include "base/alloc.h"
#include "graph/window.h"

struct brim_dnnl; /* engine, and for every worker a stream and scratch memory */
struct brim_dnnl_conv;

BRIM_NODISCARD brim_status brim_dnnl_create(brim_ctx *ctx, struct brim_dnnl **out);
void brim_dnnl_free(struct brim_dnnl *d);

struct brim_dnnl_spec {
    struct brim_conv conv; /* samples: those of a shard */
    bool bias;
    bool input_gradient;
};

BRIM_NODISCARD brim_status brim_dnnl_conv_create(struct brim_dnnl *d,
                                                 const struct brim_dnnl_spec *spec,
                                                 struct brim_dnnl_conv **out);
void brim_dnnl_conv_free(struct brim_dnnl_conv *c);

/* Bring w [n][k] into oneDNN's layouts, for forward and (training) backward calls. */
bool brim_dnnl_conv_weights(struct brim_dnnl_conv *c, const float *w, bool training);
bool brim_dnnl_conv_forward(struct brim_dnnl_conv *c, int worker, const float *x, const float *bias,
                            float *y);
bool brim_dnnl_conv_input_gradient(struct brim_dnnl_conv *c, int worker, const float *dy,
                                   float *dx);
/* dw: brim_dnnl_conv_gradient_size() floats in oneDNN's layout, db [n] where there is a bias. */
size_t brim_dnnl_conv_gradient_size(const struct brim_dnnl_conv *c);
bool brim_dnnl_conv_weight_gradient(struct brim_dnnl_conv *c, int worker, const float *x,
                                    const float *dy, float *dw, float *db);
/* Such a gradient in K order. */
bool brim_dnnl_conv_gradient(struct brim_dnnl_conv *c, const float *dw, float *k_order);

#endif
