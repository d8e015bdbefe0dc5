/* conv_dnnl.h - float convolution through oneDNN, one sample at a time.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A primitive for exactly one sample: the result of a sample cannot depend on the batch around it.
 * Everything runs in the calling thread.
 */
#ifndef BRIM_RUN_OPS_CONV_DNNL_H
#define BRIM_RUN_OPS_CONV_DNNL_H

#include "base/alloc.h"
#include "graph/window.h"

struct brim_conv_dnnl;

/* *out is NULL, without an error, when oneDNN does not do this geometry. */
BRIM_NODISCARD brim_status brim_conv_dnnl_create(brim_ctx *ctx, const struct brim_conv *conv,
                                                 bool bias, struct brim_conv_dnnl **out);
void brim_conv_dnnl_free(brim_ctx *ctx, struct brim_conv_dnnl *d);

/* Bring the weights (in the file's layout) into the layout that the primitive wants. They and the
 * bias are borrowed until the next call. False when oneDNN fails. */
bool brim_conv_dnnl_weights(struct brim_conv_dnnl *d, const float *w, const float *bias);

/* One sample: x [channels][in...] to y [channels][out...]. False when oneDNN fails. */
bool brim_conv_dnnl_run(struct brim_conv_dnnl *d, const float *x, float *y);

#endif
