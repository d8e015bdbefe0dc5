/* brim/tflite.h - TensorFlow Lite files in. */
#ifndef BRIM_TFLITE_H
#define BRIM_TFLITE_H

#include <brim/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Load a TensorFlow Lite model (schema version 3, one subgraph) as the ONNX graph that computes the
 * same: float or 8-bit integer, convolutions, dense layers, pooling and what stands between them
 * (docs/tflite.md). Integer tensors become QuantizeLinear and DequantizeLinear with the file's
 * scales and codes. Inputs and outputs are real numbers (float), images NCHW; a batch of one becomes
 * any batch.
 *
 * @param[out] graph  Owned by the caller, release with brim_graph_free(). `ctx` must outlive it.
 * @retval BRIM_ERR_IO           cannot be read
 * @retval BRIM_ERR_FILE         malformed; brim_error() names file and operator
 * @retval BRIM_ERR_UNSUPPORTED  an operator or type that brim does not do
 */
BRIM_API BRIM_NODISCARD brim_status brim_tflite_load(brim_ctx *ctx, const char *path,
                                                     brim_graph **graph);

/** The same from memory. */
BRIM_API BRIM_NODISCARD brim_status brim_tflite_load_memory(brim_ctx *ctx, const void *data,
                                                            size_t n, brim_graph **graph);

#ifdef __cplusplus
}
#endif
#endif
