/* nets.h - small graphs for the calibration tests. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_CALIBRATE_NETS_H
#define BRIM_TESTS_CALIBRATE_NETS_H

#include "brim/data.h"
#include "graph/graph.h"
#include "testing.h"

static inline struct brim_type nets_type(int rank, const int64_t *dim)
{
    struct brim_type t = {.dtype = BRIM_FLOAT, .shape = {.rank = rank}};

    for (int i = 0; i < rank; i++) {
        t.shape.dim[i] = dim[i];
    }
    return t;
}

/* A graph with one float input "x". */
static inline struct brim_graph *nets_graph(brim_ctx *ctx, int rank, const int64_t *dim, int32_t *x)
{
    const struct brim_type type = nets_type(rank, dim);
    struct brim_graph *g;

    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    *x = brim_graph_add_value(g, "x", &type);
    assert_true(*x >= 0);
    ASSERT_OK(ctx, brim_graph_add_input(g, *x));
    return g;
}

/* y = op(x, constants...); the node may get attributes before the next one is added. */
static inline struct brim_node *nets_node(struct brim_graph *g, const char *op, const int32_t *in,
                                          size_t n_in, int32_t *y)
{
    const struct brim_type type = {.dtype = BRIM_UNDEFINED, .shape = {.rank = -1}};

    *y = brim_graph_add_value(g, op, &type);
    struct brim_node *n = brim_graph_add_node(g, op, op, in, n_in, y, 1);
    assert_non_null(n);
    return n;
}

/* A constant of small multiples of 1/8 that differ. */
static inline int32_t nets_weights(struct brim_graph *g, int rank, const int64_t *dim)
{
    const struct brim_type type = nets_type(rank, dim);
    const size_t n = (size_t)brim_shape_count(&type.shape);
    static float v[4096];

    assert_true(n <= 4096);
    for (size_t i = 0; i < n; i++) {
        v[i] = (float)((int)(i * 37 % 17) - 8) / 8.0f;
    }
    const int32_t w = brim_graph_add_constant(g, "w", &type, v);
    assert_true(w >= 0);
    return w;
}

static inline void nets_finish(brim_ctx *ctx, struct brim_graph *g, int32_t y)
{
    ASSERT_OK(ctx, brim_graph_add_output(g, y));
    ASSERT_OK(ctx, brim_graph_sort(g));
    ASSERT_OK(ctx, brim_graph_infer(g));
}

static inline brim_data *nets_data(brim_ctx *ctx, const char *spec)
{
    brim_data *data;

    ASSERT_OK(ctx, brim_data_open(ctx, spec, &data));
    return data;
}

#endif
