/* products.h - the integer dot layers of a model, found and read from the file alone.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A dot layer is a Conv, Gemm or MatMul whose weights and input both come out of a DequantizeLinear
 * (the weights' from a constant), or a QLinearConv, QLinearMatMul, ConvInteger or MatMulInteger
 * with constant weights. K order: kernel row, kernel column, input channel, channel fastest.
 */
#ifndef BRIM_CHECK_PRODUCTS_H
#define BRIM_CHECK_PRODUCTS_H

#include "check/network.h"

struct layer {
    const char *name;
    const struct node *node;
    size_t n, k, groups;
    const int32_t *w;             /* [n][k] in K order, weight zero point subtracted */
    int64_t x_min, x_max, x_zero; /* input codes, widened to contain 0; their zero point */
    const int32_t *bias;          /* [n] in units of the sum, or NULL */
    char hash[65];                /* SHA-256 of the statement about codes and ranges */
};

struct layers {
    size_t count;
    struct layer *layer; /* in the file's order */
    size_t n_float;      /* Conv, Gemm and MatMul nodes that are not integer dot layers */
};

bool layers_find(struct check *c, const struct model *m, struct layers *out);

/* operand.c: the integer tensor behind an input, and what is known about its codes. */
struct operand {
    const char *codes;         /* name of the integer tensor */
    const struct tensor *zero; /* zero point, NULL when absent (0) */
    const struct node *dq;     /* the DequantizeLinear, NULL for the integer operators */
};
/* The DequantizeLinear behind `name`, seen through operators that only move elements, or false. */
bool operand_dequantized(const struct model *m, const char *name, struct operand *o);
/* Range of the codes of an input: its type, narrowed by integer Clips before it, widened to contain
 * 0 and the zero point. */
bool operand_range(struct check *c, const struct model *m, const struct operand *o, int64_t zero,
                   int64_t range[2]);
/* A zero point that must be one number. */
bool operand_zero(struct check *c, const struct operand *o, int64_t *zero);

#endif
