/* model.h - a .tflite file as records. SPDX-License-Identifier: Apache-2.0
 *
 * What the builder needs of TensorFlow Lite's schema, version 3, with everything checked that can be
 * without knowing the operators: numbers of tensors, shapes, quantization parameters, and that a
 * constant has as many bytes as its shape says.
 */
#ifndef BRIM_TFLITE_MODEL_H
#define BRIM_TFLITE_MODEL_H

#include "graph/graph.h"
#include "tflite/flat.h"

/* Numbers of schema.fbs: BuiltinOperator. */
enum brim_tflite_code {
    TFLITE_ADD = 0,
    TFLITE_AVERAGE_POOL_2D = 1,
    TFLITE_CONCATENATION = 2,
    TFLITE_CONV_2D = 3,
    TFLITE_DEPTHWISE_CONV_2D = 4,
    TFLITE_DEQUANTIZE = 6,
    TFLITE_FULLY_CONNECTED = 9,
    TFLITE_LOGISTIC = 14,
    TFLITE_MAX_POOL_2D = 17,
    TFLITE_MUL = 18,
    TFLITE_RELU = 19,
    TFLITE_RELU6 = 21,
    TFLITE_RESHAPE = 22,
    TFLITE_SOFTMAX = 25,
    TFLITE_TANH = 28,
    TFLITE_PAD = 34,
    TFLITE_MEAN = 40,
    TFLITE_SUB = 41,
    TFLITE_SQUEEZE = 43,
    TFLITE_LEAKY_RELU = 98,
    TFLITE_QUANTIZE = 114
};

struct brim_tflite_tensor {
    const char *name;
    struct brim_type type; /* shape in the file's order, NHWC; all dimensions known */
    const uint8_t *data;   /* constant: little-endian, in the file's bytes; NULL = not constant */
    size_t n_scales;       /* 0 = not quantized, 1, or one for every element of `axis` */
    float *scale;
    int64_t *zero; /* [n_scales] */
    int axis;
};

struct brim_tflite_operator {
    int code;
    size_t n_in, n_out;
    int32_t *in, *out; /* numbers of tensors; -1 = omitted (inputs only) */
    brim_flat_table options;
};

struct brim_tflite_model {
    brim_ctx *ctx;
    struct brim_arena *arena; /* of the records */
    struct brim_flat flat;
    size_t n_tensors, n_operators, n_inputs, n_outputs;
    struct brim_tflite_tensor *tensor;
    struct brim_tflite_operator *op;
    int32_t *input, *output; /* numbers of tensors */
};

/* ctx, arena, flat.data and flat.size are given; the rest is filled. The bytes are borrowed. */
BRIM_NODISCARD brim_status brim_tflite_read(struct brim_tflite_model *m);

#endif
