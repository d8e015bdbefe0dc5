/* wire.h - bytes to protobuf messages and back, in an arena. SPDX-License-Identifier: Apache-2.0
 *
 * onnx.proto declares nothing that nests without end, so unpacking recurses at most six deep
 * whatever the bytes are.
 */
#ifndef BRIM_ONNX_WIRE_H
#define BRIM_ONNX_WIRE_H

#include "base/alloc.h"
#include "onnx/onnx.pb-c.h"

typedef Brim__Onnx__Model pb_model;
typedef Brim__Onnx__Graph pb_graph;
typedef Brim__Onnx__Node pb_node;
typedef Brim__Onnx__Attribute pb_attr;
typedef Brim__Onnx__Tensor pb_tensor;
typedef Brim__Onnx__ValueInfo pb_value_info;
typedef Brim__Onnx__Type pb_type;
typedef Brim__Onnx__TensorType pb_tensor_type;
typedef Brim__Onnx__Shape pb_shape;
typedef Brim__Onnx__Dimension pb_dim;
typedef Brim__Onnx__OperatorSet pb_opset;
typedef Brim__Onnx__Entry pb_entry;
typedef Brim__Onnx__Function pb_function;

/* The model lives in `arena`; there is nothing else to free. */
BRIM_NODISCARD brim_status brim_wire_unpack(struct brim_arena *arena, const void *data, size_t n,
                                            pb_model **model);
BRIM_NODISCARD brim_status brim_wire_pack(struct brim_arena *arena, const pb_model *model,
                                          uint8_t **data, size_t *n);

#endif
