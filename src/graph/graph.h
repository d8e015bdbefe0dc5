/* graph.h - the one representation: ONNX operators, tensors, attributes. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A float model and a quantized model are the same kind of thing. Nodes are kept in topological
 * order. Everything hangs off the graph's arena; freeing the graph frees all. Values (edges) are
 * numbered; a node's input -1 is an omitted optional input.
 */
#ifndef BRIM_GRAPH_GRAPH_H
#define BRIM_GRAPH_GRAPH_H

#include "base/alloc.h"
#include "brim/graph.h"
#include "graph/names.h"

#define BRIM_MAX_RANK 8

/* Numbers are those of TensorProto.DataType. */
enum brim_dtype {
    BRIM_UNDEFINED = 0,
    BRIM_FLOAT = 1,
    BRIM_UINT8 = 2,
    BRIM_INT8 = 3,
    BRIM_UINT16 = 4,
    BRIM_INT16 = 5,
    BRIM_INT32 = 6,
    BRIM_INT64 = 7,
    BRIM_STRING = 8,
    BRIM_BOOL = 9,
    BRIM_FLOAT16 = 10,
    BRIM_DOUBLE = 11,
    BRIM_UINT32 = 12,
    BRIM_UINT64 = 13,
    BRIM_BFLOAT16 = 16,
    BRIM_UINT4 = 21,
    BRIM_INT4 = 22
};

/* Bytes of one element in memory (4-bit types are kept one per byte); 0 for STRING and UNDEFINED.
 */
size_t brim_dtype_size(enum brim_dtype t);
const char *brim_dtype_name(enum brim_dtype t); /* "float", "uint8", ... */
bool brim_dtype_is_integer(enum brim_dtype t);  /* [u]int4..64, not bool */
/* Range of an integer type (uint64 is reported as int64's). */
void brim_dtype_range(enum brim_dtype t, int64_t *lo, int64_t *hi);

struct brim_shape {
    int rank;                   /* -1 = not known */
    int64_t dim[BRIM_MAX_RANK]; /* -1 = not known (symbolic) */
};

struct brim_type {
    enum brim_dtype dtype;
    struct brim_shape shape;
};

/* Row-major, contiguous. data is NULL when only the type is known. */
struct brim_tensor {
    struct brim_type type;
    void *data;
};

enum brim_attr_type { /* numbers of AttributeProto.AttributeType */
                      BRIM_ATTR_FLOAT = 1,
                      BRIM_ATTR_INT = 2,
                      BRIM_ATTR_STRING = 3,
                      BRIM_ATTR_TENSOR = 4,
                      BRIM_ATTR_FLOATS = 6,
                      BRIM_ATTR_INTS = 7,
                      BRIM_ATTR_STRINGS = 8
};

struct brim_attr {
    const char *name;
    enum brim_attr_type type;
    float f;
    int64_t i;
    const char *s; /* NUL-terminated copy */
    const struct brim_tensor *t;
    size_t count; /* of floats, ints or strings */
    const float *floats;
    const int64_t *ints;
    const char *const *strings;
};

struct brim_value {
    const char *name;                   /* unique, never NULL; fixed once added */
    struct brim_type type;              /* what inference knows */
    const struct brim_tensor *constant; /* initializer or folded constant, else NULL */
};

struct brim_op; /* graph/op.h */

struct brim_node {
    const char *name; /* unique, never NULL or empty */
    const struct brim_op *op;
    const char *domain; /* "" for the ONNX domain */
    const char *op_type;
    size_t n_in, n_out, n_attr;
    int32_t *in, *out; /* value numbers; -1 = omitted */
    struct brim_attr *attr;
};

struct brim_metadata {
    const char *key, *value;
};

struct brim_opset {
    const char *domain;
    int64_t version;
};

struct brim_graph {
    brim_ctx *ctx; /* borrowed; outlives the graph */
    struct brim_arena arena;
    const char *name;
    const char *path; /* file it came from, or "" */
    int64_t ir_version;
    size_t n_opsets, n_nodes, n_values, n_inputs, n_outputs, n_metadata;
    struct brim_opset *opsets;
    struct brim_node *nodes;
    struct brim_value *values;
    int32_t *inputs, *outputs; /* value numbers; inputs exclude initializers */
    struct brim_metadata *metadata;
    size_t cap_nodes, cap_values, cap_metadata, cap_inputs, cap_outputs, cap_opsets;
    struct brim_names value_names, node_names;
};

/* ---- looking ---- */
int64_t brim_graph_opset(const struct brim_graph *g, const char *domain); /* 0 when not imported */
int32_t brim_graph_find_value(const struct brim_graph *g, const char *name); /* -1 */
int32_t brim_graph_producer(const struct brim_graph *g,
                            int32_t value); /* node number or -1. O(nodes) */
size_t brim_graph_count_uses(const struct brim_graph *g,
                             int32_t value); /* node inputs + graph outputs */
const struct brim_attr *brim_node_attr(const struct brim_node *n, const char *name); /* NULL */
int64_t brim_node_int(const struct brim_node *n, const char *name, int64_t fallback);
float brim_node_float(const struct brim_node *n, const char *name, float fallback);
const char *brim_node_string(const struct brim_node *n, const char *name, const char *fallback);
const char *brim_graph_metadata(const struct brim_graph *g, const char *key); /* NULL */
int64_t brim_shape_count(const struct brim_shape *s); /* elements; -1 when any dim is unknown */
bool brim_shape_equal(const struct brim_shape *a, const struct brim_shape *b);
const char *brim_shape_text(const struct brim_shape *s, char *buf,
                            size_t n); /* "[N,3,32,32]", ? for unknown */

/* Element i of a tensor of an integer type (or bool); uint64 above INT64_MAX is INT64_MAX. */
int64_t brim_tensor_int(const struct brim_tensor *t, size_t i);
/* Producer of every value (node number or -1), n_values numbers in `arena`; NULL on out of memory.
 */
int32_t *brim_graph_producers(const struct brim_graph *g, struct brim_arena *arena);

/* ---- building and rewriting (all copy their arguments into the arena) ---- */
/* An empty graph of opset 21. */
BRIM_NODISCARD brim_status brim_graph_create(brim_ctx *ctx, struct brim_graph **g);
BRIM_NODISCARD brim_status brim_graph_clone(const struct brim_graph *g, struct brim_graph **copy);
/* A new value; `name` is made unique by a suffix when taken. Returns -1 on out of memory. */
int32_t brim_graph_add_value(struct brim_graph *g, const char *name, const struct brim_type *type);
int32_t brim_graph_add_constant(struct brim_graph *g, const char *name,
                                const struct brim_type *type, const void *data);
/* Declare an existing value a graph input / output. */
BRIM_NODISCARD brim_status brim_graph_add_input(struct brim_graph *g, int32_t value);
BRIM_NODISCARD brim_status brim_graph_add_output(struct brim_graph *g, int32_t value);
/* Import `version` of `domain`, replacing what was imported of it. */
BRIM_NODISCARD brim_status brim_graph_set_opset(struct brim_graph *g, const char *domain,
                                                int64_t version);
/* A node of the ONNX domain appended at the end (call brim_graph_sort afterwards); NULL on out of
 * memory or an unknown op. An empty name becomes "<op_type>_<number>", a taken one gets a suffix.
 * The pointer is good until the next node is added. */
struct brim_node *brim_graph_add_node(struct brim_graph *g, const char *name, const char *op_type,
                                      const int32_t *in, size_t n_in, const int32_t *out,
                                      size_t n_out);
/* The same for an operator of any domain, already looked up. */
struct brim_node *brim_graph_add_node_of(struct brim_graph *g, const char *name,
                                         const struct brim_op *op, const int32_t *in, size_t n_in,
                                         const int32_t *out, size_t n_out);
/* Set an attribute (a deep copy; replaces one of the same name), or remove one. */
BRIM_NODISCARD brim_status brim_node_set_attr(struct brim_graph *g, struct brim_node *n,
                                              const struct brim_attr *attr);
/* Input i becomes `value`; inputs before it that did not exist are omitted. */
BRIM_NODISCARD brim_status brim_node_set_input(struct brim_graph *g, struct brim_node *n, size_t i,
                                               int32_t value);
void brim_node_remove_attr(struct brim_node *n, const char *name);
BRIM_NODISCARD brim_status brim_node_set_int(struct brim_graph *g, struct brim_node *n,
                                             const char *name, int64_t v);
BRIM_NODISCARD brim_status brim_node_set_ints(struct brim_graph *g, struct brim_node *n,
                                              const char *name, const int64_t *v, size_t count);
BRIM_NODISCARD brim_status brim_node_set_float(struct brim_graph *g, struct brim_node *n,
                                               const char *name, float v);
BRIM_NODISCARD brim_status brim_node_set_string(struct brim_graph *g, struct brim_node *n,
                                                const char *name, const char *v);
BRIM_NODISCARD brim_status brim_graph_set_metadata(struct brim_graph *g, const char *key,
                                                   const char *value);
/* Topological order (stable: keeps the given order where it can). A cycle or a missing input is
 * BRIM_ERR_FILE. */
BRIM_NODISCARD brim_status brim_graph_sort(struct brim_graph *g);
/* Drop nodes and constants that no output needs; keep graph inputs. */
BRIM_NODISCARD brim_status brim_graph_prune_dead(struct brim_graph *g);

/* Infer every value's type in order; wrong arity, types or shapes fail naming the node. */
BRIM_NODISCARD brim_status brim_graph_infer(struct brim_graph *g);

/* ---- passes (graph/pass.c, graph/fold.c, graph/fold_codes.c, graph/sink.c) ---- */
/* Fold BatchNormalization into the Conv, Gemm or MatMul (with constant weights) before it. */
BRIM_NODISCARD brim_status brim_graph_fold_batchnorm(struct brim_graph *g);
/* A constant Add after a Conv or Gemm, or after a MatMul of a matrix (which becomes a Gemm), becomes
 * its bias. */
BRIM_NODISCARD brim_status brim_graph_fold_bias(struct brim_graph *g);
/* Reshapes and transposes of constants are done; those of a dequantized value are moved before its
 * DequantizeLinear. After inference. */
BRIM_NODISCARD brim_status brim_graph_fold_moves(struct brim_graph *g);
/* QuantizeLinear and Clip of constants are done: the codes are constants. After inference. */
BRIM_NODISCARD brim_status brim_graph_fold_codes(struct brim_graph *g);
/* Identity and inference-mode Dropout removed, Constant nodes turned into constants. */
BRIM_NODISCARD brim_status brim_graph_canonicalise(struct brim_graph *g);
/* The same, but Dropout stays: it does something while training. */
BRIM_NODISCARD brim_status brim_graph_canonicalise_for_training(struct brim_graph *g);

#endif
