/* test_models.c - real models load, and come back the same after saving. SPDX-License-Identifier:
 * Apache-2.0 */
#include "testing.h"

#include "base/file.h"
#include "brim/onnx.h"
#include "graph/graph.h"

static bool same_tensor(const struct brim_tensor *a, const struct brim_tensor *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    const int64_t n = brim_shape_count(&a->type.shape);
    return a->type.dtype == b->type.dtype && brim_shape_equal(&a->type.shape, &b->type.shape) &&
           memcmp(a->data, b->data, (size_t)n * brim_dtype_size(a->type.dtype)) == 0;
}

static const struct brim_value *value_of(const struct brim_graph *g, int32_t v)
{
    return v < 0 ? NULL : &g->values[v];
}

static void assert_same_values(const struct brim_graph *a, const int32_t *va,
                               const struct brim_graph *b, const int32_t *vb, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct brim_value *x = value_of(a, va[i]), *y = value_of(b, vb[i]);
        if (x == NULL || y == NULL) {
            assert_true(x == NULL && y == NULL);
            continue;
        }
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->type.dtype, y->type.dtype);
        assert_true(brim_shape_equal(&x->type.shape, &y->type.shape));
        assert_true(same_tensor(x->constant, y->constant));
    }
}

static void assert_same_attr(const struct brim_attr *x, const struct brim_attr *y)
{
    assert_string_equal(x->name, y->name);
    assert_int_equal(x->type, y->type);
    assert_int_equal(x->count, y->count);
    assert_int_equal(x->i, y->i);
    assert_memory_equal(&x->f, &y->f, sizeof x->f);
    if (x->type == BRIM_ATTR_STRING) {
        assert_string_equal(x->s, y->s);
    }
    for (size_t i = 0; x->type == BRIM_ATTR_INTS && i < x->count; i++) {
        assert_int_equal(x->ints[i], y->ints[i]);
    }
    assert_true(x->type != BRIM_ATTR_TENSOR || same_tensor(x->t, y->t));
}

static void assert_same_graph(const struct brim_graph *a, const struct brim_graph *b)
{
    assert_int_equal(a->n_nodes, b->n_nodes);
    assert_int_equal(a->n_inputs, b->n_inputs);
    assert_int_equal(a->n_outputs, b->n_outputs);
    assert_int_equal(a->n_metadata, b->n_metadata);
    assert_int_equal(brim_graph_opset(a, ""), brim_graph_opset(b, ""));
    for (size_t i = 0; i < a->n_metadata; i++) {
        assert_string_equal(a->metadata[i].key, b->metadata[i].key);
        assert_string_equal(a->metadata[i].value, b->metadata[i].value);
    }
    assert_same_values(a, a->inputs, b, b->inputs, a->n_inputs);
    assert_same_values(a, a->outputs, b, b->outputs, a->n_outputs);
    for (size_t i = 0; i < a->n_nodes; i++) {
        const struct brim_node *x = &a->nodes[i], *y = &b->nodes[i];
        assert_string_equal(x->name, y->name);
        assert_string_equal(x->op_type, y->op_type);
        assert_string_equal(x->domain, y->domain);
        assert_int_equal(x->n_in, y->n_in);
        assert_int_equal(x->n_out, y->n_out);
        assert_int_equal(x->n_attr, y->n_attr);
        assert_same_values(a, x->in, b, y->in, x->n_in);
        assert_same_values(a, x->out, b, y->out, x->n_out);
        for (size_t j = 0; j < x->n_attr; j++) {
            assert_same_attr(&x->attr[j], &y->attr[j]);
        }
    }
}

static void assert_same_file(brim_ctx *ctx, const char *a, const char *b)
{
    struct brim_buffer x, y;

    ASSERT_OK(ctx, brim_file_read(ctx, a, &x));
    ASSERT_OK(ctx, brim_file_read(ctx, b, &y));
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    brim_buffer_free(&x);
    brim_buffer_free(&y);
}

/* load, save, load: the same graph; save again: the same bytes; a clone saves to them too. */
static void round_trip(const char *path)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *a = NULL, *b = NULL, *c = NULL;
    char one[64], two[64];

    snprintf(one, sizeof one, "/tmp/brim-one-%ld.onnx", (long)getpid());
    snprintf(two, sizeof two, "/tmp/brim-two-%ld.onnx", (long)getpid());
    ASSERT_OK(ctx, brim_onnx_load(ctx, path, &a));
    ASSERT_OK(ctx, brim_onnx_save(ctx, a, one));
    ASSERT_OK(ctx, brim_onnx_load(ctx, one, &b));
    assert_same_graph(a, b);
    ASSERT_OK(ctx, brim_onnx_save(ctx, b, two));
    assert_same_file(ctx, one, two);
    ASSERT_OK(ctx, brim_graph_clone(a, &c));
    ASSERT_OK(ctx, brim_onnx_save(ctx, c, two));
    assert_same_file(ctx, one, two);
    for (size_t i = 0; i < a->n_nodes; i++) { /* every shape of these models is inferred */
        assert_int_not_equal(a->values[a->nodes[i].out[0]].type.dtype, BRIM_UNDEFINED);
        assert_true(a->values[a->nodes[i].out[0]].type.shape.rank >= 0);
    }
    unlink(one);
    unlink(two);
    brim_graph_free(a);
    brim_graph_free(b);
    brim_graph_free(c);
    brim_ctx_free(ctx);
}

#define ROUND_TRIP(name, path)                                                                     \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        REQUIRE_DATA(path);                                                                        \
        round_trip(BRIM_DATA_DIR "/" path);                                                        \
    }

ROUND_TRIP(resnet8_float, "mlperf-tiny/models/resnet8-cifar10-float.onnx")
ROUND_TRIP(resnet8_float_bn, "mlperf-tiny/models/resnet8-cifar10-float-bn.onnx")
ROUND_TRIP(resnet8_qdq, "mlperf-tiny/models/resnet8-cifar10-int8-qdq.onnx")
ROUND_TRIP(dscnn_float, "mlperf-tiny/models/dscnn-kws-float.onnx")
ROUND_TRIP(dscnn_float_bn, "mlperf-tiny/models/dscnn-kws-float-bn.onnx")
ROUND_TRIP(dscnn_float_parent, "mlperf-tiny/models/dscnn-kws-float-parent.onnx")
ROUND_TRIP(dscnn_qdq, "mlperf-tiny/models/dscnn-kws-int8-qdq.onnx")
ROUND_TRIP(autoencoder_float, "mlperf-tiny/models/ad-autoencoder-float.onnx")
ROUND_TRIP(autoencoder_float_bn, "mlperf-tiny/models/ad-autoencoder-float-bn.onnx")
ROUND_TRIP(autoencoder_qdq, "mlperf-tiny/models/ad-autoencoder-int8-qdq.onnx")
ROUND_TRIP(mnist_8, "models-mnist/mnist-8.onnx")
ROUND_TRIP(tfc_1w1a, "models-mnist/TFC_1W1A.onnx")
ROUND_TRIP(tfc_1w2a, "models-mnist/TFC_1W2A.onnx")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet8_float),
        cmocka_unit_test(resnet8_float_bn),
        cmocka_unit_test(resnet8_qdq),
        cmocka_unit_test(dscnn_float),
        cmocka_unit_test(dscnn_float_bn),
        cmocka_unit_test(dscnn_float_parent),
        cmocka_unit_test(dscnn_qdq),
        cmocka_unit_test(autoencoder_float),
        cmocka_unit_test(autoencoder_float_bn),
        cmocka_unit_test(autoencoder_qdq),
        cmocka_unit_test(mnist_8),
        cmocka_unit_test(tfc_1w1a),
        cmocka_unit_test(tfc_1w2a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
