/* brim/graph.h - the model in memory: an ONNX graph, float or quantized. */
#ifndef BRIM_GRAPH_H
#define BRIM_GRAPH_H

#include <brim/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An ONNX graph. Immutable once loaded, so it may be shared by sessions. */
typedef struct brim_graph brim_graph;

/** Release a graph and everything in it. NULL is fine. */
BRIM_API void brim_graph_free(brim_graph *graph);

/** Number of graph inputs / outputs (initializers are not inputs). */
BRIM_API size_t brim_graph_input_count(const brim_graph *graph);
BRIM_API size_t brim_graph_output_count(const brim_graph *graph);
/** Name of input / output `i`. Borrowed until the graph is freed. */
BRIM_API const char *brim_graph_input_name(const brim_graph *graph, size_t i);
BRIM_API const char *brim_graph_output_name(const brim_graph *graph, size_t i);
/** Rank of input `i`; fills at most 8 dims, -1 for a symbolic one. */
BRIM_API int brim_graph_input_shape(const brim_graph *graph, size_t i, int64_t dim[8]);

#ifdef __cplusplus
}
#endif
#endif
