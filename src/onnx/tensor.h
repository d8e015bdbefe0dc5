/* tensor.h - TensorProto to tensor and back. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_ONNX_TENSOR_H
#define BRIM_ONNX_TENSOR_H

#include "graph/graph.h"
#include "onnx/wire.h"

/* Where a tensor comes from: for messages, and for data kept beside the model. */
struct brim_onnx_source {
    struct brim_arena *arena;   /* receives the data */
    struct brim_arena *scratch; /* for the call */
    const char *folder;         /* external data is looked for here; NULL = refuse it */
    const char *where;          /* "initializer 'w'" */
};

/* Element type by its number; UNDEFINED when brim has no such type. */
enum brim_dtype brim_onnx_dtype(int32_t number);

/* Check and convert; the result and its data are in source->arena. */
BRIM_NODISCARD brim_status brim_onnx_tensor_read(const struct brim_onnx_source *source,
                                                 const pb_tensor *t, struct brim_tensor **out);

/* Fill `t` (initialised) with raw data in the arena. */
BRIM_NODISCARD brim_status brim_onnx_tensor_write(struct brim_arena *arena,
                                                  const struct brim_tensor *tensor, pb_tensor *t);

/* The bytes of a tensor stored beside the model: exactly `want` of them, in the scratch arena. */
BRIM_NODISCARD brim_status brim_onnx_external_read(const struct brim_onnx_source *source,
                                                   const pb_tensor *t, size_t want,
                                                   const uint8_t **bytes);

#endif
