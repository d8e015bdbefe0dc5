/* network.h - what of an ONNX file matters to dot layers: nodes, constants, metadata.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CHECK_NETWORK_H
#define BRIM_CHECK_NETWORK_H

#include "check/proto.h"

/* Numbers of TensorProto.DataType. */
enum {
    TYPE_FLOAT = 1,
    TYPE_UINT8 = 2,
    TYPE_INT8 = 3,
    TYPE_UINT16 = 4,
    TYPE_INT16 = 5,
    TYPE_INT32 = 6,
    TYPE_INT64 = 7,
    TYPE_UINT4 = 21,
    TYPE_INT4 = 22
};

#define MAX_RANK 8

struct tensor {
    const char *name;
    uint64_t type;
    size_t rank;
    int64_t dim[MAX_RANK];
    size_t count;     /* elements */
    struct wire body; /* the TensorProto, decoded on demand */
};

struct node {
    const char *name, *op, *domain;
    size_t n_in, n_out;
    const char **in, **out;
    struct wire body; /* the NodeProto: attributes are read on demand */
};

struct pair {
    const char *key, *value;
};

struct graph_input {
    const char *name;
    uint64_t type; /* element type, 0 when not stated */
};

struct entry { /* sorted by name */
    const char *name;
    size_t i;
};

struct model {
    size_t n_nodes, n_tensors, n_metadata, n_inputs;
    struct node *node;
    struct tensor *tensor;
    struct pair *metadata;
    struct graph_input *input;
    size_t n_outputs; /* of all nodes */
    struct entry *by_tensor, *by_output;
};

bool model_read(struct check *c, const uint8_t *data, size_t n, struct model *m);

/* The constant of this name, the node that makes it; NULL when there is none. */
const struct tensor *model_constant(const struct model *m, const char *name);
const struct node *model_producer(const struct model *m, const char *name);

/* Attributes; `missing` when there is none of this name. A malformed one is broken. */
int64_t node_int(const struct node *n, const char *name, int64_t missing);
double node_float(const struct node *n, const char *name, double missing);
/* Its integers, at most `most`; how many there are, 0 when there is no such attribute. */
size_t node_ints(const struct node *n, const char *name, int64_t *v, size_t most);
/* Is its text this one, whatever the case? An absent attribute is `missing`. */
bool node_says(const struct node *n, const char *name, const char *text, const char *missing);
const char *node_input(const struct node *n, size_t i);       /* "" when omitted */
bool node_is(const struct node *n, const char *op);           /* an operator of the ONNX domain */
bool node_is_microsoft(const struct node *n, const char *op); /* of com.microsoft */
bool node_is_qonnx(const struct node *n, const char *op);     /* of QONNX, whatever it was called */
/* QuantizeLinear or DequantizeLinear, of ONNX or of com.microsoft, which had it first. */
bool node_is_codes(const struct node *n, const char *op);

/* Smallest and largest value of an integer type; false for other types. */
bool type_range(uint64_t type, int64_t *lo, int64_t *hi);
/* All elements of an integer or float tensor; NULL with a reason when it is neither, is stored in
 * another file, or holds another number of elements than its shape says. */
const int32_t *tensor_ints(struct check *c, const struct tensor *t);
const float *tensor_floats(struct check *c, const struct tensor *t);
const int64_t *tensor_longs(struct check *c, const struct tensor *t); /* INT64, as raw data */

#endif
