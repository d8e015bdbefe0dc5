/* builder.h - records of a .tflite file become ONNX operators. SPDX-License-Identifier: Apache-2.0
 *
 * Every tensor that operators make becomes a float value, behind a QuantizeLinear and a
 * DequantizeLinear of its own where the file quantizes it: the representation of every integer model
 * here. The file's order is NHWC; values of rank 4 are NCHW, others as they are.
 */
#ifndef BRIM_TFLITE_BUILDER_H
#define BRIM_TFLITE_BUILDER_H

#include "tflite/model.h"

/* Numbers of schema.fbs: ActivationFunctionType. */
enum brim_tflite_activation {
    TFLITE_NONE = 0,
    TFLITE_FUSED_RELU = 1,
    TFLITE_FUSED_RELU_N1_TO_1 = 2,
    TFLITE_FUSED_RELU6 = 3
};

struct brim_tflite_builder {
    brim_ctx *ctx;
    struct brim_tflite_model *m;
    struct brim_graph *g;
    int32_t *value;                        /* [n_tensors] float value; -1 = nothing made it yet */
    size_t constants;                      /* bytes of constants made so far */
    const struct brim_tflite_operator *op; /* being built */
    const char *name;                      /* its node's: that of what it makes */
};

/* Makes the nodes of b->op and ends with brim_tflite_made(). */
typedef brim_status brim_tflite_build(struct brim_tflite_builder *b);
brim_tflite_build brim_tflite_conv, brim_tflite_depthwise, brim_tflite_fully_connected;
brim_tflite_build brim_tflite_pool, brim_tflite_mean, brim_tflite_concatenation,
    brim_tflite_reshape;
brim_tflite_build brim_tflite_pad, brim_tflite_softmax, brim_tflite_leaky_relu, brim_tflite_binary;
brim_tflite_build brim_tflite_unary;

/* ---- what builders are made of ---- */

/* The record of input i, or NULL when it is omitted. */
const struct brim_tflite_tensor *brim_tflite_input(const struct brim_tflite_builder *b, size_t i);
const struct brim_tflite_tensor *brim_tflite_output(const struct brim_tflite_builder *b);
/* Input i as a float value: what made it, or the (dequantized) constant, in our order. */
BRIM_NODISCARD brim_status brim_tflite_value(struct brim_tflite_builder *b, size_t i,
                                             int32_t *value);
/* A new node and its one output; the node is good until the next one. A dot layer's has b->name. */
BRIM_NODISCARD brim_status brim_tflite_node(struct brim_tflite_builder *b, const char *op_type,
                                            const int32_t *in, size_t n_in, struct brim_node **node,
                                            int32_t *out);
/* A constant "<name>_<part>" of b->name. */
BRIM_NODISCARD brim_status brim_tflite_constant(struct brim_tflite_builder *b, const char *part,
                                                const struct brim_type *type, const void *data,
                                                int32_t *value);
/* A constant of 64-bit integers, one axis. */
BRIM_NODISCARD brim_status brim_tflite_longs(struct brim_tflite_builder *b, const char *part,
                                             const int64_t *v, size_t n, int32_t *value);
/* Input i, constant, its axes permuted: axis j is axis perm[j] of the file's. As codes behind a
 * DequantizeLinear where it is quantized and `codes` is true, else as floats. */
BRIM_NODISCARD brim_status brim_tflite_weights(struct brim_tflite_builder *b, size_t i,
                                               const int *perm, bool codes, int32_t *value);
/* Bias, input 2: in units of input scale times weight scale where those are quantized; -1 when
 * omitted. */
BRIM_NODISCARD brim_status brim_tflite_bias(struct brim_tflite_builder *b, int32_t *value);
/* Elements of a constant input of integers; NULL, without an error, when it is not that. */
BRIM_NODISCARD brim_status brim_tflite_ints(struct brim_tflite_builder *b, size_t i,
                                            const int64_t **v, size_t *n);
/* What b->op makes is `value`, through its fused activation and its quantization. `moves`: the value
 * only moves elements, so that nothing is done when it has the scale of input 0. */
BRIM_NODISCARD brim_status brim_tflite_made(struct brim_tflite_builder *b, int32_t value,
                                            int activation, bool moves);

/* Axis of a tensor of this rank in our order. */
int64_t brim_tflite_axis(int64_t axis, int rank);

/* The whole graph; b->g is empty. */
BRIM_NODISCARD brim_status brim_tflite_build_graph(struct brim_tflite_builder *b);

#endif
