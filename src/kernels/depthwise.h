/* depthwise.h - convolutions of every channel by itself. SPDX-License-Identifier: Apache-2.0
 *
 *     y[r][p][c] = epilogue(sum over i, j of x[r * stride_h + i * dilation_h]
 *                                             [p * stride_w + j * dilation_w][c] * w[c][i][j])
 *
 * The input is a plane [height][width][channel] with its padding in place, as the code that stands
 * for zero. Every variant gives the same bits.
 */
#ifndef BRIM_KERNELS_DEPTHWISE_H
#define BRIM_KERNELS_DEPTHWISE_H

#include "base/alloc.h"
#include "kernels/epilogue.h"

struct brim_depthwise_params {
    const int32_t *w; /* [channels][kh][kw] codes, each in -128..127; copied */
    size_t channels, kh, kw;
    size_t stride_h, stride_w, dilation_h, dilation_w;
    int32_t x_min, x_max;          /* of the codes of x: within 0..255, or within -128..127 */
    bool x_signed;                 /* the bytes of x are int8_t */
    struct brim_epilogue epilogue; /* its arrays must outlive the kernel */
    const char *variant;           /* by name, for tests and benchmarks; NULL = the fastest */
};

struct brim_depthwise; /* immutable once created, so it may be shared between threads */

/* BRIM_ERR_ARG: codes out of range, |total + offset| may reach 2^31, or the named variant is
 * unknown or not on this CPU. */
BRIM_NODISCARD brim_status brim_depthwise_create(brim_ctx *ctx,
                                                 const struct brim_depthwise_params *p,
                                                 struct brim_depthwise **depthwise);
void brim_depthwise_free(brim_ctx *ctx, struct brim_depthwise *depthwise); /* NULL is fine */

struct brim_depthwise_variant;
const struct brim_depthwise_variant *brim_depthwise_chosen(const struct brim_depthwise *depthwise);

/* Bytes of scratch that a run needs, 64-byte aligned; the same for every size of plane. */
size_t brim_depthwise_scratch(const struct brim_depthwise *depthwise);

struct brim_depthwise_plane {
    const void *x;
    size_t row; /* bytes between rows of x; pixels lie `channels` bytes apart */
    size_t h_out, w_out;
    void *y; /* [h_out][w_out][channels] float, uint8_t or int32_t */
    void *scratch;
};

void brim_depthwise_run(const struct brim_depthwise *depthwise,
                        const struct brim_depthwise_plane *plane);

#endif
