/* brim/onnx.h - ONNX files in and out. */
#ifndef BRIM_ONNX_H
#define BRIM_ONNX_H

#include <brim/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Load an ONNX model: opset 7 to 22 (and newer where the operators' meaning did not change),
 * initializers inline or as external data beside the file. The graph is checked: topology,
 * operators, types and shapes as far as they are known.
 *
 * @param[out] graph  Owned by the caller, release with brim_graph_free(). `ctx` must outlive it.
 * @retval BRIM_ERR_IO           cannot be read
 * @retval BRIM_ERR_FILE         malformed; brim_error() names file and node
 * @retval BRIM_ERR_UNSUPPORTED  an operator, type or opset that brim does not do
 */
BRIM_API BRIM_NODISCARD brim_status brim_onnx_load(brim_ctx *ctx, const char *path,
                                                   brim_graph **graph);

/** The same from memory. External data is refused. */
BRIM_API BRIM_NODISCARD brim_status brim_onnx_load_memory(brim_ctx *ctx, const void *data, size_t n,
                                                          brim_graph **graph);

/** Write a standard ONNX file, whole or not at all. Same graph, same bytes. */
BRIM_API BRIM_NODISCARD brim_status brim_onnx_save(brim_ctx *ctx, const brim_graph *graph,
                                                   const char *path);

#ifdef __cplusplus
}
#endif
#endif
