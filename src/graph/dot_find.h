/* dot_find.h - what dot_find.c and dot_vectors.c share. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_GRAPH_DOT_FIND_H
#define BRIM_GRAPH_DOT_FIND_H

#include <string.h>

#include "graph/dot.h"
#include "graph/layout.h"
#include "graph/op.h"

struct finder {
    const struct brim_graph *g;
    struct brim_arena *arena;
    const int32_t *producer;
};

/* Values of one candidate; -1 = absent. */
struct candidate {
    const struct brim_node *node;
    int32_t x, x_scale, x_zero;
    bool zero_any; /* x_zero is computed */
    int32_t w, w_scale, w_zero;
    int32_t w_code; /* two-level: integer scales of blocks, and w_scale then belongs to outputs */
    int code_axis;  /* of those outputs, in w_code */
    int32_t bias, bias_scale; /* bias_scale -1: a float bias, or int32 in the product's units */
    int32_t x_code;           /* inputs with vectors: integer scales of the channels */
    bool dynamic;             /* or a grid whose integer scales are found at run time */
    struct brim_grid grid;
    int axis;          /* of w_scale and w_zero when there are several */
    int64_t block;     /* elements of a weight scale along `axis`; 0 = not blocked */
    bool bias_product; /* an int32 bias is in units of x_scale*w_scale by definition */
};

static inline bool is_onnx(const struct brim_node *n, const char *op_type)
{
    return n->domain[0] == '\0' && strcmp(n->op_type, op_type) == 0;
}

static inline bool is_microsoft(const struct brim_node *n, const char *op_type)
{
    return strcmp(n->domain, BRIM_DOMAIN_MICROSOFT) == 0 && strcmp(n->op_type, op_type) == 0;
}

static inline int32_t input(const struct brim_node *n, size_t i)
{
    return i < n->n_in ? n->in[i] : -1;
}

static inline const struct brim_tensor *constant(const struct finder *f, int32_t v)
{
    return v < 0 ? NULL : f->g->values[v].constant;
}

static inline const struct brim_node *producer(const struct finder *f, int32_t v)
{
    return v < 0 || f->producer[v] < 0 ? NULL : &f->g->nodes[f->producer[v]];
}

static inline size_t count(const struct brim_tensor *t)
{
    const int64_t n = brim_shape_count(&t->type.shape);
    return n < 0 ? 0 : (size_t)n;
}

/* Scale i of a constant with one element, or n; a scale of 1 when there is none. */
static inline float scale_at(const struct brim_tensor *t, size_t i)
{
    return t == NULL ? 1.0f : ((const float *)t->data)[count(t) == 1 ? 0 : i];
}

static inline int64_t zero_at(const struct brim_tensor *t, size_t i)
{
    return t == NULL ? 0 : brim_tensor_int(t, count(t) == 1 ? 0 : i);
}

/* A given input must be constant, of the right kind, with 1 or n elements. */
static inline bool usable(const struct finder *f, int32_t v, size_t n, bool integer)
{
    const struct brim_tensor *t = constant(f, v);

    if (v < 0) {
        return true;
    }
    return t != NULL && (count(t) == 1 || count(t) == n) &&
           (integer ? brim_dtype_is_integer(t->type.dtype) : t->type.dtype == BRIM_FLOAT);
}

/* ---- dot_vectors.c ---- */

/* Scales of blocks along k fit the weights: fills d->vector. */
bool brim_dot_blocks_fit(const struct finder *f, const struct candidate *c, struct brim_dot *d);
/* The factors of two-level vectors, inputs' scales included: fills d->factor. */
BRIM_NODISCARD brim_status brim_dot_copy_factors(const struct finder *f, const struct candidate *c,
                                                 struct brim_dot *d);
/* The input behind node x, a DequantizeLinear with integer scales per channel or a VectorQuantize:
 * fills what the candidate says of x. False: neither. */
bool brim_dot_match_vectors(const struct finder *f, const struct brim_node *x, struct candidate *c);
/* Both have vectors, the same ones, or the inputs have none: fills d->x_code and the like. */
BRIM_NODISCARD brim_status brim_dot_copy_inputs(const struct finder *f, const struct candidate *c,
                                                struct brim_dot *d, bool *fits);

#endif
