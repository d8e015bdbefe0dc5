/* building.h - small graphs for tests. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_GRAPH_BUILDING_H
#define BRIM_TESTS_GRAPH_BUILDING_H

#include "testing.h"

#include "base/rng.h"
#include "graph/graph.h"

static inline struct brim_type shaped(enum brim_dtype dtype, int rank, const int64_t *dim)
{
    struct brim_type t = {dtype, {rank, {0}}};

    for (int i = 0; i < rank; i++) {
        t.shape.dim[i] = dim[i];
    }
    return t;
}
#define SHAPED(dtype, ...)                                                                         \
    shaped((dtype), (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),               \
           (const int64_t[]){__VA_ARGS__})

static inline int32_t graph_input(struct brim_graph *g, const char *name, struct brim_type type)
{
    const int32_t v = brim_graph_add_value(g, name, &type);

    assert_true(v >= 0);
    assert_int_equal(brim_graph_add_input(g, v), BRIM_OK);
    return v;
}

static inline int32_t graph_constant(struct brim_graph *g, const char *name, struct brim_type type,
                                     const void *data)
{
    const int32_t v = brim_graph_add_constant(g, name, &type, data);

    assert_true(v >= 0);
    return v;
}

/* Floats from -1 to 1. */
static inline int32_t graph_weights(struct brim_graph *g, const char *name, struct brim_type type)
{
    float data[4096];
    struct brim_rng rng;
    const size_t n = (size_t)brim_shape_count(&type.shape);

    assert_true(n <= sizeof data / sizeof data[0]);
    brim_rng_init(&rng, 7, (uint64_t)n);
    for (size_t i = 0; i < n; i++) {
        data[i] = (float)(2.0 * brim_rng_uniform(&rng) - 1.0);
    }
    return graph_constant(g, name, type, data);
}

/* A node with one output; negative inputs at the end are left out. The output value. */
static inline int32_t graph_node(struct brim_graph *g, const char *name, const char *op_type,
                                 const int32_t in[5])
{
    size_t n_in = 5;
    char output[64];

    while (n_in > 0 && in[n_in - 1] < 0) {
        n_in--;
    }
    snprintf(output, sizeof output, "%s_out", name);
    const int32_t out = brim_graph_add_value(g, output, NULL);
    assert_true(out >= 0);
    assert_non_null(brim_graph_add_node(g, name, op_type, in, n_in, &out, 1));
    return out;
}
#define NODE(g, name, op, ...) graph_node((g), (name), (op), (const int32_t[5]){__VA_ARGS__})

static inline struct brim_node *last_node(struct brim_graph *g)
{
    return &g->nodes[g->n_nodes - 1];
}

#endif
