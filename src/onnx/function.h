/* function.h - brim's own operators as functions of ONNX operators. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef BRIM_ONNX_FUNCTION_H
#define BRIM_ONNX_FUNCTION_H

#include "graph/graph.h"
#include "onnx/tensor.h"

/* The function for VectorQuantize when the graph has such a node, so that any runtime can run the
 * file; *n is 0 or 1. */
BRIM_NODISCARD brim_status brim_onnx_functions(const struct brim_graph *g, struct brim_arena *arena,
                                               pb_function ***functions, size_t *n);

#endif
