/* products.h - the integer dot layers of a model, found and read from the file alone.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A dot layer is a Conv, Gemm or MatMul whose weights and input both come out of a DequantizeLinear
 * or a quantizer of QONNX (the weights' from a constant), or a QLinearConv, QLinearMatMul, QGemm,
 * ConvInteger or MatMulInteger with constant weights. K order: kernel row, kernel column, input channel, channel fastest.
 */
#ifndef BRIM_CHECK_PRODUCTS_H
#define BRIM_CHECK_PRODUCTS_H

#include "check/network.h"

#define LAYER_METADATA "brim.layer." /* keys of the metadata that speak about a layer begin so */

struct layer {
    const char *name;
    const struct node *node;
    size_t n, k, groups;
    const int32_t *w;             /* [n][k] in K order, weight zero point subtracted */
    int64_t x_min, x_max, x_zero; /* input codes, widened to contain 0; their zero point */
    bool zero_any;                /* found at run time: any of x_min..x_max; x_zero is 0 */
    const int32_t *bias;          /* [n] in units of the sum, or NULL */
    size_t vector;                /* products that share a scale of their own, 0 = none */
    const uint32_t *factor;       /* [n][ceil(k/vector)] integer scales; NULL: floats, or none */
    unsigned product_shift;       /* low bits that products of scales lost, rounded half up */
    const struct tensor *scale;   /* of the outputs behind integer scales, else NULL */
    const struct tensor *x_scale; /* of the inputs behind theirs, else NULL */
    char hash[65];                /* SHA-256 of the statement about codes and ranges */
};

struct layers {
    size_t count;
    struct layer *layer; /* in the file's order */
    size_t n_float;      /* Conv, Gemm and MatMul nodes that are not integer dot layers */
};

/* What product i of channel ch counts for in sums of whole vectors: its code, times the factor. */
static inline int64_t layer_counted(const struct layer *l, size_t ch, size_t i)
{
    const int64_t w = l->w[ch * l->k + i];

    if (l->factor == NULL || l->vector == 0) {
        return w;
    }
    return w * l->factor[ch * ((l->k + l->vector - 1) / l->vector) + i / l->vector];
}

bool layers_find(struct check *c, const struct model *m, struct layers *out);

/* operand.c: the integer tensor behind an input, and what is known about its codes. */
struct operand {
    const char *codes;          /* name of the integer tensor */
    const struct tensor *zero;  /* zero point, NULL when absent (0) */
    const struct node *dq;      /* the DequantizeLinear, or QONNX's quantizer, in which input 1 is
                                   the scale as well; NULL for the integer operators */
    bool qonnx;                 /* it is one of QONNX's; `codes` is then what it rounds, a float */
    bool zero_any;              /* the zero point is computed */
    bool channels;              /* the DequantizeLinear's scales are computed: one for a channel */
    const struct node *vectors; /* or the VectorQuantize that finds its scales at run time */
};
/* The DequantizeLinear behind `name`, seen through operators that only move elements, or false. */
bool operand_dequantized(const struct model *m, const char *name, struct operand *o);
/* Range of the codes of an input: its type, narrowed by integer Clips before it, widened to contain
 * 0 and the zero point. */
bool operand_range(struct check *c, const struct model *m, const struct operand *o, int64_t zero,
                   int64_t range[2]);
/* quantizer.c: the codes that a quantizer of QONNX gives; a constant is rounded by it, its zero points
 * subtracted: n elements from x, whose shape is that of `shape`. */
bool qonnx_is(const struct node *n);
bool qonnx_range(struct check *c, const struct model *m, const struct node *n, int64_t range[2]);
bool qonnx_zero(struct check *c, const struct model *m, const struct node *n, int64_t *zero);
bool qonnx_codes(struct check *c, const struct model *m, const struct node *n,
                 const struct tensor *shape, const float *x, int32_t *codes);
/* Bits of its codes, 0 when that is not one constant. */
unsigned qonnx_bits(struct check *c, const struct model *m, const struct node *n);

/* constant.c: integers that follow from constants alone, through operators that move them or quantize
 * them; zero points of a DequantizeLinear or QONNX quantizer on the way are subtracted. */
struct codes {
    struct tensor shape; /* type: of the integers in the file, 0 for QONNX's */
    const int32_t *v;
};
bool codes_are_constant(const struct model *m, const char *name);
bool codes_read(struct check *c, const struct model *m, const char *name, struct codes *out);
/* Subtract the zero points: one for all, or one for each index of the axis. */
bool codes_subtract(struct check *c, struct codes *codes, const struct tensor *zero, int64_t axis);

/* vectors.c: scales of blocks of the weights: fills l->vector, factor and scale. */
bool layer_vectors(struct check *c, const struct model *m, const struct operand *w, bool conv,
                   bool transposed, struct layer *l);
/* Integer scales of the inputs' vectors, multiplied into l->factor: fills l->x_scale. */
bool input_vectors(struct check *c, const struct model *m, const struct operand *x,
                   struct layer *l);
/* Rounds l->factor as the model's metadata says: fills l->product_shift. */
bool round_products(struct check *c, const struct model *m, struct layer *l);
/* What the model's metadata says about a layer, or NULL. */
const char *layer_metadata(const struct model *m, const char *name);
/* The range of codes that a VectorQuantize makes. */
bool vectors_range(struct check *c, const struct model *m, const struct node *n, int64_t range[2]);
/* A zero point that must be one number, or zeros. */
bool operand_zero(struct check *c, const struct model *m, const struct operand *o, int64_t *zero);

#endif
