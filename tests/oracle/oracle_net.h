/* oracle_net.h - quantized layers computed naively, from docs/semantics.md alone. Shares nothing
 * with the library. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_ORACLE_NET_H
#define BRIM_TESTS_ORACLE_NET_H

#include <stdint.h>

/* A convolution; a matrix product is one with h = w = kh = kw = 1. */
struct oracle_conv {
    int batch, c_in, h, w, c_out, groups, kh, kw;
    int stride_h, stride_w, dilation_h, dilation_w, top, left, bottom, right;
    const int32_t *x;       /* [batch][c_in][h][w] codes */
    const int32_t *weights; /* [c_out][c_in / groups][kh][kw] codes, as a file stores them */
    int32_t x_zero;
    const int32_t *w_zero; /* [c_out] or NULL */
    const int32_t *bias;   /* [c_out] or NULL */
    const char *datapath;  /* as text; "64" = exact */
};

struct oracle_counts {
    uint64_t outputs, transient, persistent, product;
    int min_width;
};

int oracle_out(int in, int before, int after, int kernel, int dilation, int stride);

/* acc[batch][c_out][oh][ow] = register result + zero-point correction + bias; what happened on the
 * way is added to *counts. */
void oracle_conv_run(const struct oracle_conv *c, int64_t *acc, struct oracle_counts *counts);

/* clip(round half even((float)acc * ((xs * ws) / ys)) + zero, lo, hi), the bracket in float32. */
int64_t oracle_requantize(int64_t acc, float xs, float ws, float ys, int64_t zero, int64_t lo,
                          int64_t hi);

/* Round half to even, by comparison. */
double oracle_round(double v);

#endif
