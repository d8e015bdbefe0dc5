/* test_graph.c - names, order, pruning, cloning, inference, types. SPDX-License-Identifier:
 * Apache-2.0 */
#include "graph/building.h"

#include <stdlib.h>

static void names_stay_unique(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t a = graph_input(g, "v", SHAPED(BRIM_FLOAT, 2));
    for (int i = 1; i < 300; i++) {
        char want[16];
        const int32_t b = brim_graph_add_value(g, "v", NULL);
        snprintf(want, sizeof want, "v_%d", i);
        assert_string_equal(g->values[b].name, want);
        assert_int_equal(brim_graph_find_value(g, want), b);
    }
    assert_int_equal(brim_graph_find_value(g, "v"), a);
    assert_int_equal(brim_graph_find_value(g, "w"), -1);
    NODE(g, "n", "Relu", a, -1, -1, -1, -1);
    NODE(g, "n", "Relu", a, -1, -1, -1, -1);
    NODE(g, "", "Relu", a, -1, -1, -1, -1);
    assert_string_equal(g->nodes[1].name, "n_1");
    assert_string_equal(g->nodes[2].name, "Relu_2");
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void order_is_topological_and_stable(void **state)
{
    static const char *const want[] = {"first", "late", "early", "last"};
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, 2));
    const int32_t p = brim_graph_add_value(g, "p", NULL), q = brim_graph_add_value(g, "q", NULL);
    const int32_t first = NODE(g, "first", "Relu", x, -1, -1, -1, -1);
    assert_non_null(brim_graph_add_node(g, "early", "Neg", &p, 1, &q, 1)); /* before its input */
    assert_non_null(brim_graph_add_node(g, "late", "Abs", &first, 1, &p, 1));
    const int32_t y = NODE(g, "last", "Relu", q, -1, -1, -1, -1);
    ASSERT_OK(ctx, brim_graph_add_output(g, y));
    for (int twice = 0; twice < 2; twice++) {
        ASSERT_OK(ctx, brim_graph_sort(g));
        for (size_t i = 0; i < 4; i++) {
            assert_string_equal(g->nodes[i].name, want[i]);
        }
    }
    g->nodes[0].in[0] = y;
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "the graph has a cycle", brim_graph_sort(g));
    g->nodes[0].in[0] = brim_graph_add_value(g, "lost", NULL);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'first' (Relu): input 'lost' is produced by no node",
                 brim_graph_sort(g));
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* A chain far longer than any stack of calls could follow. */
static void long_chains_do_not_recurse(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    enum { LENGTH = 100000 };
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, 2));
    int32_t *v = malloc((LENGTH + 1) * sizeof *v);
    assert_non_null(v);
    v[0] = x;
    for (int i = 1; i <= LENGTH; i++) {
        v[i] = brim_graph_add_value(g, "v", NULL);
    }
    for (int i = LENGTH; i > 0; i--) { /* backwards: the worst case */
        assert_non_null(brim_graph_add_node(g, "", "Identity", &v[i - 1], 1, &v[i], 1));
    }
    ASSERT_OK(ctx, brim_graph_add_output(g, v[LENGTH]));
    ASSERT_OK(ctx, brim_graph_canonicalise(g));
    assert_int_equal(g->n_nodes, 1); /* the one that makes the output */
    assert_int_equal(g->nodes[0].in[0], x);
    free(v);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void dead_nodes_go(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL, *c = NULL;
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 12));
    const int32_t w = graph_weights(g, "w", SHAPED(BRIM_FLOAT, 12, 7));
    NODE(g, "dead", "MatMul", x, w, -1, -1, -1);
    const int32_t y = NODE(g, "alive", "Relu", x, -1, -1, -1, -1);
    ASSERT_OK(ctx, brim_graph_add_output(g, y));
    ASSERT_OK(ctx, brim_graph_set_metadata(g, "k", "v"));
    assert_int_equal(brim_graph_count_uses(g, x), 2);
    assert_int_equal(brim_graph_producer(g, y), 1);
    ASSERT_OK(ctx, brim_graph_clone(g, &c));
    ASSERT_OK(ctx, brim_graph_prune_dead(g));
    assert_int_equal(g->n_nodes, 1);
    assert_null(g->values[w].constant);
    assert_int_equal(c->n_nodes, 2); /* the copy is its own */
    assert_non_null(c->values[w].constant);
    assert_string_equal(brim_graph_metadata(c, "k"), "v");
    assert_null(brim_graph_metadata(c, "other"));
    brim_graph_free(g);
    brim_graph_free(c);
    brim_ctx_free(ctx);
}

static void attributes_are_set_and_replaced(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, 2));
    NODE(g, "n", "Relu", x, -1, -1, -1, -1);
    struct brim_node *n = last_node(g);
    ASSERT_OK(ctx, brim_node_set_int(g, n, "i", 3));
    ASSERT_OK(ctx, brim_node_set_string(g, n, "s", "text"));
    ASSERT_OK(ctx, brim_node_set_float(g, n, "f", 0.5f));
    ASSERT_OK(ctx, brim_node_set_int(g, n, "i", 4));
    assert_int_equal(n->n_attr, 3);
    assert_int_equal(brim_node_int(n, "i", 0), 4);
    assert_int_equal(brim_node_int(n, "s", 9), 9); /* of another kind */
    assert_string_equal(brim_node_string(n, "s", ""), "text");
    brim_node_remove_attr(n, "i");
    assert_null(brim_node_attr(n, "i"));
    assert_true(brim_node_float(n, "f", 0.0f) == 0.5f);
    ASSERT_OK(ctx, brim_node_set_input(g, n, 2, x));
    assert_int_equal(n->n_in, 3);
    assert_int_equal(n->in[0], x);
    assert_int_equal(n->in[1], -1);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n' (Relu): has 3 inputs, expected 1",
                 brim_graph_infer(g));
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void types_and_shapes(void **state)
{
    char text[32];
    int64_t lo, hi;
    (void)state;
    assert_int_equal(brim_dtype_size(BRIM_INT4), 1);
    assert_int_equal(brim_dtype_size(BRIM_STRING), 0);
    assert_string_equal(brim_dtype_name((enum brim_dtype)99), "undefined");
    brim_dtype_range(BRIM_UINT16, &lo, &hi);
    assert_true(lo == 0 && hi == 65535 && brim_dtype_is_integer(BRIM_UINT4));
    assert_false(brim_dtype_is_integer(BRIM_BOOL));
    const struct brim_type t = SHAPED(BRIM_FLOAT, -1, 3, 32);
    assert_string_equal(brim_shape_text(&t.shape, text, sizeof text), "[?,3,32]");
    assert_string_equal(brim_shape_text(&t.shape, text, 6), "[?,3,");
    assert_string_equal(brim_shape_text(&(struct brim_shape){.rank = 0}, text, 9), "[]");
    assert_string_equal(brim_shape_text(&(struct brim_shape){.rank = -1}, text, 9), "[...]");
    assert_int_equal(brim_shape_count(&t.shape), -1);
    const struct brim_type big = SHAPED(BRIM_FLOAT, (int64_t)1 << 40, (int64_t)1 << 40);
    assert_int_equal(brim_shape_count(&big.shape), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_stay_unique),
        cmocka_unit_test(order_is_topological_and_stable),
        cmocka_unit_test(long_chains_do_not_recurse),
        cmocka_unit_test(dead_nodes_go),
        cmocka_unit_test(attributes_are_set_and_replaced),
        cmocka_unit_test(types_and_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
