/* conv.h - convolutions of integer codes, channel fastest. SPDX-License-Identifier: Apache-2.0
 *
 *     y[r][p][c] = epilogue(sum over i, j, d of x[r * stride_h + i * dilation_h - top]
 *                                                [p * stride_w + j * dilation_w - left][d]
 *                                                * w[c][i][j][d])
 *
 * d runs over the channels of c's group; outside the image x is x_zero. There is no matrix of
 * patches in memory: see conv_kernel.c.
 */
#ifndef BRIM_KERNELS_CONV_H
#define BRIM_KERNELS_CONV_H

#include "base/alloc.h"
#include "kernels/epilogue.h"

struct brim_conv_kernel_params {
    const int32_t *w;           /* [n][kh][kw][channels / groups] codes, -128..127; copied */
    size_t n, channels, groups; /* groups divides both */
    size_t kh, kw;
    size_t stride_h, stride_w, dilation_h, dilation_w;
    int32_t x_min, x_max, x_zero;  /* of the codes of x, within 0..255; x_zero within the range */
    struct brim_epilogue epilogue; /* its arrays must outlive the kernel */
};

struct brim_conv_kernel; /* immutable once created, so it may be shared between threads */

/* BRIM_ERR_ARG: codes out of range, or |total + offset| may reach 2^31. */
BRIM_NODISCARD brim_status brim_conv_kernel_create(brim_ctx *ctx,
                                                   const struct brim_conv_kernel_params *p,
                                                   struct brim_conv_kernel **kernel);
void brim_conv_kernel_free(brim_ctx *ctx, struct brim_conv_kernel *kernel); /* NULL is fine */

struct brim_conv_images {
    size_t count, h, w;
    size_t top, left; /* padding in front; behind, as much as the outputs ask for */
    size_t h_out, w_out;
};

/* Bytes of scratch that a run needs, 64-byte aligned. False: they do not fit size_t. */
BRIM_NODISCARD bool brim_conv_kernel_scratch(const struct brim_conv_kernel *kernel,
                                             const struct brim_conv_images *images, size_t *bytes);

/* x: [count][h][w][channels] bytes; y: [count][h_out][w_out][n] float, uint8_t or int32_t. */
void brim_conv_kernel_run(const struct brim_conv_kernel *kernel,
                          const struct brim_conv_images *images, const uint8_t *x, void *y,
                          void *scratch);

#endif
