/* loader.h - what the steps of loading share. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_ONNX_LOADER_H
#define BRIM_ONNX_LOADER_H

#include "graph/graph.h"
#include "onnx/tensor.h"

struct brim_onnx_loader {
    brim_ctx *ctx;
    struct brim_arena *scratch; /* lives for the call */
    struct brim_graph *g;
    const pb_model *model;
    const char *folder;   /* of the model file; NULL = in memory */
    bool microsoft_codes; /* a QuantizeLinear or DequantizeLinear was com.microsoft's */
};

/* Add the model's nodes, functions of the model expanded. Every value that the main graph names
 * exists afterwards, whether anything produces it or not. */
BRIM_NODISCARD brim_status brim_onnx_add_nodes(struct brim_onnx_loader *l);

/* QONNX's quantizers become QuantizeLinear, Clip, DequantizeLinear and integer constants; the opset
 * is raised to 13 or 21. After inference, which is done again. */
BRIM_NODISCARD brim_status brim_onnx_lower_qonnx(struct brim_graph *g);

/* The domain as the operator table writes it: "ai.onnx" is "", and QONNX's has one name. */
const char *brim_onnx_domain(const char *domain);

#endif
