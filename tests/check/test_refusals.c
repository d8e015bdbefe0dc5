/* test_refusals.c - what brim-check does not understand it refuses, in one sentence; what it does
 * understand it reads as brim does. SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "brim/certify.h"
#include "brim/onnx.h"
#include "check/check.h"
#include "check/networks.h"

static const char no_layers[] = "{\"brim_certificate\":1,\"verdict\":\"proven\",\"layers\":[]}";

/* The model alone is reason enough: this verdict and sentence, whatever the certificate. */
static void refused(const struct ob *model, const char *text)
{
    struct check c = {0};

    assert_false(check_certificate(&c, model->data, model->n, no_layers, sizeof no_layers - 1));
    if (c.verdict != VERDICT_ERROR || strstr(c.reason, text) == NULL) {
        fail_msg("verdict %d, \"%s\"; expected \"%s\"", (int)c.verdict, c.reason, text);
    }
    check_free(&c);
}

/* What brim says about a model of one layer, to be released with brim_json_free(). */
static char *certificate_of(const struct ob *model)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g = NULL;
    brim_certificate *cert = NULL;
    brim_datapath dp;
    char *json = NULL;

    ASSERT_OK(ctx, brim_datapath_parse(ctx, "32", &dp));
    ASSERT_OK(ctx, brim_onnx_load_memory(ctx, model->data, model->n, &g));
    ASSERT_OK(ctx, brim_certify(ctx, g, &dp, &cert));
    assert_int_equal(cert->n_layers, 1);
    ASSERT_OK(ctx, brim_certificate_json(ctx, cert, &json));
    brim_certificate_free(cert);
    brim_graph_free(g);
    brim_ctx_free(ctx);
    return json;
}

/* brim-check finds every number of the certificate that brim wrote for `twin`. */
static void same_layer(const struct ob *model, const struct ob *twin)
{
    struct check c = {0};
    char *json = certificate_of(twin);

    check_certificate(&c, model->data, model->n, json, strlen(json));
    assert_string_equal(c.reason, "");
    check_free(&c);
    brim_json_free(json);
}

static void agreed(const struct ob *model)
{
    same_layer(model, model);
}

static const float one = 1.0f;
static const int8_t eight[8] = {1, -2, 3, -4, 5, -6, 7, -8};
static const uint8_t zeros8[8] = {0};

/* x uint8 [1,4] -> DequantizeLinear -> xd; the rest of the network is the test's. */
static void begin(struct ob *g)
{
    g->n = 0;
    ob_text(g, 2, "small");
    ob_constant(g, "s", 1, SCALAR, &one, 4);
    ob_value(g, 11, "x", 2, DIMS(1, 4));
    ob_value(g, 12, "y", 1, DIMS(1, 2));
    ob_plain(g, "x_DQ", "DequantizeLinear", "x,s", "xd");
}

static void finish(const struct ob *g, struct ob *model)
{
    model->n = 0;
    ob_model(model, g);
}

/* xd times "w_q" [4,2] int8 with an optional zero point. */
static void product(struct ob *g, const char *op, const char *inputs, const char *zero)
{
    char in[64];

    snprintf(in, sizeof in, "w_q,s%s%s", zero[0] != '\0' ? "," : "", zero);
    ob_plain(g, "w_DQ", "DequantizeLinear", in, "w");
    ob_plain(g, "fc", op, inputs, "y");
}

static void what_a_model_may_not_have(void **state)
{
    (void)state;
    struct ob g, model, sub = {0}, outer = {0};

    begin(&g);
    finish(&g, &model);
    ob_bytes(&model, 25, "", 0);
    refused(&model, "the model has functions of its own, not supported");
    finish(&g, &model);
    ob_message(&model, 7, &g);
    refused(&model, "the model has more than one graph");
    finish(&g, &model);
    ob_metadata(&model, "k", "1");
    ob_metadata(&model, "k", "2");
    refused(&model, "metadata key 'k' is there twice");
    finish(&g, &model);
    ob_bytes(&model, 14, "\x0a\x05k", 3);
    refused(&model, "malformed metadata");

    ob_bytes(&g, 15, "", 0);
    finish(&g, &model);
    refused(&model, "the model has sparse constants, not supported");

    begin(&g);
    struct ob branch = ob_node("if", "If", "x", "z");
    ob_text(&outer, 1, "then_branch");
    ob_bytes(&outer, 6, sub.data, sub.n);
    ob_message(&branch, 5, &outer);
    ob_message(&g, 1, &branch);
    finish(&g, &model);
    refused(&model, "node 'if' (If): holds a graph of its own, not supported");
}

static void one_name_is_one_thing(void **state)
{
    (void)state;
    struct ob g, model;

    begin(&g);
    ob_constant(&g, "s", 1, SCALAR, &one, 4);
    finish(&g, &model);
    refused(&model, "constant 's' is there twice");
    begin(&g);
    ob_plain(&g, "again", "Identity", "x", "xd");
    finish(&g, &model);
    refused(&model, "value 'xd' is there twice");
    begin(&g);
    ob_plain(&g, "maker", "Identity", "x", "s");
    finish(&g, &model);
    refused(&model, "constant 's' is also made by node 'maker'");
    begin(&g);
    ob_bytes(&g, 1,
             "\x1a\x03"
             "a\0b",
             5);
    finish(&g, &model);
    refused(&model, "a name holds a NUL byte");
}

static void malformed_parts_are_named(void **state)
{
    (void)state;
    struct ob g, model;
    const struct {
        unsigned field;
        const char *bytes, *text;
    } parts[] = {
        {1, "\x0a\x09x", "malformed node"},
        {5, "\x42\x01t\x4a\x09", "malformed tensor 't'"},
        {5, "\x42\x01t\x0a\x01\x80", "tensor 't': malformed shape"},
        {11, "\x0a\x09x", "malformed graph input"},
    };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        begin(&g);
        ob_text(&g, parts[i].field, parts[i].bytes);
        finish(&g, &model);
        refused(&model, parts[i].text);
    }
    begin(&g);
    ob_constant(&g, "deep", 3, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1), eight, 1);
    finish(&g, &model);
    refused(&model, "impossible shape");
    begin(&g);
    ob_constant(&g, "huge", 3, DIMS(INT64_MAX, 4), eight, 1);
    finish(&g, &model);
    refused(&model, "impossible shape");
    begin(&g);
    ob_text(&g, 1, "");
    g.data[g.n++] = 0x0a; /* a node without its length */
    finish(&g, &model);
    refused(&model, "malformed graph");
}

/* A weight that is stored in `t`, read as int8 [4,2] unless dims and type say otherwise. */
static void weight(struct ob *model, int type, const int64_t *dims, const struct ob *elements)
{
    struct ob g, t = {0};

    begin(&g);
    for (; *dims >= 0; dims++) {
        ob_int(&t, 1, *dims);
    }
    ob_int(&t, 2, type);
    ob_text(&t, 8, "w_q");
    memcpy(t.data + t.n, elements->data, elements->n);
    t.n += elements->n;
    ob_message(&g, 5, &t);
    product(&g, "MatMul", "xd,w", "");
    finish(&g, model);
}

static void elements_as_every_file_may_store_them(void **state)
{
    (void)state;
    static const uint8_t nibbles[4] = {0x21, 0xf3, 0x87, 0x70};
    struct ob model, e = {0}, packed = {0};

    ob_bytes(&e, 9, eight, 8);
    weight(&model, 3, DIMS(4, 2), &e);
    agreed(&model);
    e.n = 0;
    ob_bytes(&e, 9, nibbles, 4);
    weight(&model, 22, DIMS(4, 2), &e);
    agreed(&model);
    e.n = 0; /* int32_data, packed and one by one */
    for (int i = 0; i < 8; i++) {
        ob_varint(&packed, (uint64_t)(int64_t)eight[i]);
    }
    ob_message(&e, 5, &packed);
    weight(&model, 3, DIMS(4, 2), &e);
    agreed(&model);
    e.n = 0;
    for (int i = 0; i < 8; i++) {
        ob_int(&e, 5, eight[i]);
    }
    weight(&model, 3, DIMS(4, 2), &e);
    agreed(&model);
    e.n = packed.n = 0;
    for (int i = 0; i < 4; i++) {
        ob_varint(&packed, nibbles[i]);
    }
    ob_message(&e, 5, &packed);
    weight(&model, 22, DIMS(4, 2), &e);
    agreed(&model);
}

static void elements_that_are_not_there(void **state)
{
    (void)state;
    struct ob model, e = {0};

    ob_bytes(&e, 13, "", 0);
    weight(&model, 3, DIMS(4, 2), &e);
    refused(&model, "constant 'w_q': is stored in another file, not supported");
    e.n = 0;
    ob_int(&e, 14, 1);
    weight(&model, 3, DIMS(4, 2), &e);
    refused(&model, "constant 'w_q': is stored in another file, not supported");
    e.n = 0;
    ob_bytes(&e, 9, eight, 7);
    weight(&model, 3, DIMS(4, 2), &e);
    refused(&model, "constant 'w_q': holds another number of elements than its shape says");
    weight(&model, 3, DIMS(4, 200), &e);
    refused(&model, "constant 'w_q': holds less than its shape says");
    weight(&model, 3, DIMS(7), &e);
    refused(&model, "node 'fc' (MatMul): weight has rank 1, expected 2");
    weight(&model, 11, DIMS(4, 2), &e);
    refused(&model, "constant 'w_q': type 11, expected an integer of at most 32 bits");
    weight(&model, 3, DIMS(4, 0), &e);
    refused(&model, "node 'fc' (MatMul): constant 'w_q' is empty");
    e.n = 0;
    ob_bytes(&e, 9, (const uint8_t[32]){0}, 32);
    weight(&model, 6, DIMS(4, 2), &e);
    refused(&model, "weights are 32-bit, expected at most 16 bits");
}

static void a_constant_node_is_a_constant(void **state)
{
    (void)state;
    struct ob g, model, t = {0}, a = {0};
    struct ob n = ob_node("c", "Constant", "", "w_q");

    n.n = 0;
    ob_text(&n, 2, "w_q");
    ob_text(&n, 3, "c");
    ob_text(&n, 4, "Constant");
    ob_int(&t, 1, 4);
    ob_int(&t, 1, 2);
    ob_int(&t, 2, 3);
    ob_bytes(&t, 9, eight, 8);
    ob_text(&a, 1, "value");
    ob_message(&a, 5, &t);
    ob_int(&a, 20, 4);
    ob_message(&n, 5, &a);
    begin(&g);
    ob_message(&g, 1, &n);
    product(&g, "MatMul", "xd,w", "");
    finish(&g, &model);
    agreed(&model);
    ob_constant(&g, "w_q", 3, DIMS(4, 2), eight, 8);
    finish(&g, &model);
    refused(&model, "constant 'w_q' is there twice");
}

/* Weights [4,2] with this zero point. */
static void with_zero(struct ob *model, const int64_t *dims, int64_t axis, int64_t block)
{
    struct ob g, dq = ob_node("w_DQ", "DequantizeLinear", "w_q,w_s,w_z", "w");
    size_t n = 1;

    for (const int64_t *d = dims; *d >= 0; d++) {
        n *= (size_t)*d;
    }
    begin(&g);
    ob_constant(&g, "w_q", 3, DIMS(4, 2), eight, 8);
    ob_constant(&g, "w_z", 3, dims, eight, n);
    ob_constant(&g, "w_s", 1, dims, (const float[8]){1, 1, 1, 1, 1, 1, 1, 1}, 4 * n);
    ob_attribute(&dq, "axis", axis);
    if (block > 0) {
        ob_attribute(&dq, "block_size", block);
    }
    ob_message(&g, 1, &dq);
    ob_plain(&g, "fc", "MatMul", "xd,w", "y");
    finish(&g, model);
}

static void zero_points_of_weights(void **state)
{
    (void)state;
    struct ob g, model;

    with_zero(&model, DIMS(2), 1, 0);
    agreed(&model);
    with_zero(&model, DIMS(2), -1, 0);
    agreed(&model);
    with_zero(&model, DIMS(2), 2, 0);
    refused(&model, "axis 2 of the weights' zero point is not one of theirs");
    with_zero(&model, DIMS(2), -3, 0);
    refused(&model, "axis -3 of the weights' zero point is not one of theirs");
    with_zero(&model, DIMS(3), 0, 0);
    refused(&model, "the weights' zero point does not fit their shape");
    with_zero(&model, DIMS(2, 1), 0, 2);
    refused(&model, "the weights' zero point does not fit their shape");
    with_zero(&model, DIMS(2, 2), 0, 0);
    refused(&model, "the weights' zero point does not fit their shape");
    begin(&g);
    ob_constant(&g, "w_q", 3, DIMS(4, 2), eight, 8);
    ob_constant(&g, "w_z", 2, SCALAR, zeros8, 1);
    product(&g, "MatMul", "xd,w", "w_z");
    finish(&g, &model);
    refused(&model, "weights and their zero point differ in type");
    begin(&g);
    ob_constant(&g, "w_q", 4, DIMS(4, 2), (const uint16_t[8]){65535}, 16);
    product(&g, "MatMul", "xd,w", "");
    finish(&g, &model);
    refused(&model, "a weight less its zero point exceeds 16 bits");
}

/* Vectors have scales of their own, and no zero points. */
static void zero_points_of_blocks(void **state)
{
    struct ob model;

    (void)state;
    with_zero(&model, DIMS(2, 2), 0, 2);
    refused(&model, "the weights' zero point does not fit their shape");
}

/* Integer scales for vectors of two weights, and n of them for the channels of the input. */
static void with_input_scales(struct ob *model, int64_t n)
{
    static const uint8_t scales[8] = {1, 1, 2, 2, 3, 3, 4, 4};
    struct ob g, dq = ob_node("w_DQ", "DequantizeLinear", "w_q,w_s", "w");

    begin(&g);
    ob_constant(&g, "w_q", 3, DIMS(4, 2), eight, 8);
    ob_constant(&g, "w_sq", 2, DIMS(2, 2), scales, 4);
    ob_constant(&g, "x_sq", 2, DIMS(n), scales, (size_t)n);
    ob_plain(&g, "w_s_DQ", "DequantizeLinear", "w_sq,s", "w_s");
    ob_plain(&g, "x_s_DQ", "DequantizeLinear", "x_sq,s", "x_s");
    ob_plain(&g, "v_DQ", "DequantizeLinear", "x,x_s", "v");
    ob_attribute(&dq, "axis", 0);
    ob_attribute(&dq, "block_size", 2);
    ob_message(&g, 1, &dq);
    ob_plain(&g, "fc", "MatMul", "v,w", "y");
    finish(&g, model);
}

static void scales_of_inputs(void **state)
{
    struct ob model;

    (void)state;
    with_input_scales(&model, 0);
    refused(&model, "the inputs' integer scales are not one for every channel");
    with_input_scales(&model, 3);
    refused(&model, "the inputs' integer scales are not one for every channel");
}

/* ConvInteger or MatMulInteger, whose input has no node that tells its type. */
static void integer_product(struct ob *model, int x_type, const char *x, size_t n_zero)
{
    struct ob g = {0};

    ob_text(&g, 2, "integer");
    ob_constant(&g, "w", 3, DIMS(4, 2), eight, 8);
    ob_constant(&g, "z", 2, DIMS((int64_t)n_zero), zeros8, n_zero);
    ob_constant(&g, "s", 1, SCALAR, &one, 4);
    ob_value(&g, 11, "x", x_type, DIMS(1, 4));
    ob_value(&g, 12, "y", 6, DIMS(1, 2));
    ob_plain(&g, "abs", "Abs", "x", "ax");
    struct ob q = ob_node("q", "QuantizeLinear", "x,s", "qx");
    ob_attribute(&q, "output_dtype", 3);
    ob_message(&g, 1, &q);
    ob_plain(&g, "clip", "Clip", "x,s", "cx");
    ob_plain(&g, "half", "Clip", "x,,x", "hx");
    ob_plain(&g, "fc", "MatMulInteger", x, "y");
    finish(&g, model);
}

static void types_of_inputs(void **state)
{
    (void)state;
    struct check c = {0};
    struct ob model;

    integer_product(&model, 1, "x,w", 1);
    refused(&model, "node 'fc' (MatMulInteger): the input 'x' has no integer type of at most 16");
    integer_product(&model, 6, "x,w", 1);
    refused(&model, "the input 'x' has no integer type of at most 16 bits");
    integer_product(&model, 2, "ax,w", 1);
    refused(&model, "the input 'ax' has no integer type of at most 16 bits");
    integer_product(&model, 2, "x,w,z", 3);
    refused(&model, "the input's zero point has 3 elements, expected 1");
    integer_product(&model, 2, "cx,w", 1);
    refused(&model, "constant 's': type 1, expected an integer of at most 32 bits");
    integer_product(&model, 2, "hx,w", 1);
    refused(&model, "node 'half' (Clip): bounds of codes must be constant integers");
    integer_product(&model, 1, "qx,w", 1); /* output_dtype says int8 */
    assert_false(check_certificate(&c, model.data, model.n, no_layers, sizeof no_layers - 1));
    assert_string_equal(c.reason, "layer 'fc': the certificate leaves it out");
    check_free(&c);
}

static void shapes_of_products(void **state)
{
    (void)state;
    struct ob g, model;

    begin(&g);
    ob_constant(&g, "w_q", 3, DIMS(8), eight, 8);
    product(&g, "Conv", "xd,w", "");
    finish(&g, &model);
    refused(&model, "node 'fc' (Conv): weight has rank 1, expected 3 or 4");
    for (int64_t group = -1; group <= 5; group += 3) { /* -1, 2 and 5 for 3 outputs */
        begin(&g);
        ob_constant(&g, "w_q", 3, DIMS(3, 2, 1), eight, 6);
        ob_plain(&g, "w_DQ", "DequantizeLinear", "w_q,s", "w");
        struct ob conv = ob_node("conv", "Conv", "xd,w", "y");
        ob_attribute(&conv, "group", group);
        ob_message(&g, 1, &conv);
        finish(&g, &model);
        refused(&model, "groups do not divide 3 outputs");
    }
    begin(&g);
    ob_constant(&g, "w_q", 3, DIMS(4, 2), eight, 8);
    ob_plain(&g, "w_DQ", "DequantizeLinear", "w_q,s", "w");
    struct ob gemm = ob_node("gemm", "Gemm", "xd,w", "y");
    ob_attribute(&gemm, "transA", 1);
    ob_message(&g, 1, &gemm);
    finish(&g, &model);
    refused(&model, "node 'gemm' (Gemm): a transposed input is not supported");
}

/* Gemm with an integer bias of `n` elements and zero point `zero`. */
static void biased(struct ob *model, size_t n, int32_t zero)
{
    static const int32_t bias[3] = {70000, -70000, 1};
    struct ob g;

    begin(&g);
    ob_constant(&g, "w_q", 3, DIMS(4, 2), eight, 8);
    ob_constant(&g, "b_q", 6, DIMS((int64_t)n), bias, 4 * n);
    ob_constant(&g, "b_z", 6, SCALAR, &zero, 4);
    ob_plain(&g, "b_DQ", "DequantizeLinear", "b_q,s,b_z", "b");
    product(&g, "Gemm", "xd,w,b", "");
    finish(&g, model);
}

static void biases(void **state)
{
    (void)state;
    struct ob model;

    biased(&model, 2, 0);
    agreed(&model);
    biased(&model, 1, 0);
    agreed(&model);
    biased(&model, 3, 0);
    refused(&model, "node 'fc' (Gemm): bias has 3 elements, expected 2");
    biased(&model, 2, 1);
    refused(&model, "node 'fc' (Gemm): the bias has a zero point, expected 0");
}

/* However long a layer's name is, what the model says about it is held against it. */
static void long_names_hide_no_statement(void **state)
{
    (void)state;
    char name[701] = "", key[800];
    struct check c = {0};
    struct ob g, model;

    memset(name, 'n', sizeof name - 1);
    snprintf(key, sizeof key, "brim.layer.%s", name);
    begin(&g);
    ob_constant(&g, "w_q", 3, DIMS(4, 2), eight, 8);
    ob_plain(&g, "w_DQ", "DequantizeLinear", "w_q,s", "w");
    ob_plain(&g, name, "MatMul", "xd,w", "y");
    finish(&g, &model);
    agreed(&model);
    char *json = certificate_of(&model);
    ob_metadata(&model, key, "{\"datapath\":\"32\",\"codes\":\"00\"}");
    assert_false(check_certificate(&c, model.data, model.n, json, strlen(json)));
    assert_int_equal(c.verdict, VERDICT_REFUSED);
    check_free(&c);
    brim_json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_model_may_not_have),
        cmocka_unit_test(one_name_is_one_thing),
        cmocka_unit_test(malformed_parts_are_named),
        cmocka_unit_test(elements_as_every_file_may_store_them),
        cmocka_unit_test(elements_that_are_not_there),
        cmocka_unit_test(a_constant_node_is_a_constant),
        cmocka_unit_test(zero_points_of_weights),
        cmocka_unit_test(zero_points_of_blocks),
        cmocka_unit_test(scales_of_inputs),
        cmocka_unit_test(types_of_inputs),
        cmocka_unit_test(shapes_of_products),
        cmocka_unit_test(biases),
        cmocka_unit_test(long_names_hide_no_statement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
