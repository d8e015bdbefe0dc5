/* test_hostile.c - every kind of bad model gets its sentence, and no bytes crash the loader.
 * SPDX-License-Identifier: Apache-2.0 */
#include "onnx/wiring.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/rng.h"
#include "brim/onnx.h"
#include "graph/dot.h"

static const int64_t W[] = {3, 2, 3, 3};

static void assert_refused(const struct parts *p, brim_status status, const char *sentence)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g = NULL;
    const struct wire m = parts_model(p);

    ASSERT_FAILS(ctx, status, sentence, brim_onnx_load_memory(ctx, m.data, m.n, &g));
    assert_null(g);
    brim_ctx_free(ctx);
}

static brim_graph *load(brim_ctx *ctx, const struct parts *p)
{
    brim_graph *g = NULL;
    const struct wire m = parts_model(p);

    ASSERT_OK(ctx, brim_onnx_load_memory(ctx, m.data, m.n, &g));
    return g;
}

/* ---- the graph ---- */

static void base_model_loads(void **state)
{
    (void)state;
    struct parts p;
    brim_ctx *ctx = testing_ctx(1);
    parts_base(&p);
    brim_graph *g = load(ctx, &p);
    assert_int_equal(g->n_nodes, 2);
    assert_int_equal(g->values[g->outputs[0]].type.shape.rank, 4);
    assert_int_equal(g->values[g->outputs[0]].type.shape.dim[1], 3);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void not_a_model(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g = NULL;
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "is not an ONNX file",
                 brim_onnx_load_memory(ctx, "hello, world", 12, &g));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "has no graph", brim_onnx_load_memory(ctx, "", 0, &g));
    ASSERT_FAILS(ctx, BRIM_ERR_IO, "/nowhere/m.onnx: No such file",
                 brim_onnx_load(ctx, "/nowhere/m.onnx", &g));
    brim_ctx_free(ctx);
}

static void broken_topology(void **state)
{
    (void)state;
    struct parts p;
    parts_base(&p);
    p.node[0] = wire_node("Conv", "conv", "y,w,b", "h");
    assert_refused(&p, BRIM_ERR_FILE, "the graph has a cycle through its input");
    parts_base(&p);
    p.node[1] = wire_node("Relu", "relu", "nothing", "y");
    assert_refused(&p, BRIM_ERR_FILE, "node 'relu' (Relu): input 'nothing' is produced by no node");
    parts_base(&p);
    p.node[p.n_node++] = wire_node("Relu", "again", "x", "y");
    assert_refused(&p, BRIM_ERR_FILE,
                   "node 'again' (Relu): its output 'y' is already the output of another node");
    parts_base(&p);
    p.node[1] = wire_node("Relu", "relu", "h", "w");
    p.output[0] = wire_value("w", 1, 0, NULL);
    assert_refused(&p, BRIM_ERR_FILE, "its output 'w' is already an initializer");
    parts_base(&p);
    p.output[0] = wire_value("z", 1, 0, NULL);
    assert_refused(&p, BRIM_ERR_FILE, "graph output 'z' is produced by no node");
    p.n_output = 0;
    assert_refused(&p, BRIM_ERR_FILE, "the graph has no outputs");
    parts_base(&p);
    p.input[p.n_input++] = wire_value("x", 1, 0, NULL);
    assert_refused(&p, BRIM_ERR_FILE, "graph input 1: has the name of another");
    parts_base(&p);
    p.init[p.n_init++] = p.init[0];
    assert_refused(&p, BRIM_ERR_FILE, "initializer 'w': is given twice");
}

static void wrong_operators(void **state)
{
    (void)state;
    struct parts p;
    parts_base(&p);
    p.node[1] = wire_node("Frobnicate", "f", "h", "y");
    assert_refused(&p, BRIM_ERR_UNSUPPORTED, "node 'f' (Frobnicate): unknown operator");
    parts_base(&p);
    p.node[1] = wire_node("Relu", "relu", "h,x", "y");
    assert_refused(&p, BRIM_ERR_FILE, "node 'relu' (Relu): has 2 inputs, expected 1");
    parts_base(&p);
    p.node[0] = wire_node("Conv", "conv", "x", "h");
    assert_refused(&p, BRIM_ERR_FILE, "node 'conv' (Conv): has 1 inputs, expected 2 to 3");
    parts_base(&p);
    p.opset = 5;
    assert_refused(&p, BRIM_ERR_UNSUPPORTED, "opset 5 is older than 6");
    parts_base(&p);
    p.init[0] = wire_tensor("w", 1, 1, (const int64_t[]){1}, "\0\0\0\0", 4);
    assert_refused(&p, BRIM_ERR_FILE, "node 'conv' (Conv): ");
    parts_base(&p);
    p.output[0] = wire_value("y", 7, 0, NULL);
    assert_refused(&p, BRIM_ERR_FILE, "graph output 'y': is declared int64, but is float");
    parts_base(&p);
    p.output[0] = wire_value("y", 17, 0, NULL);
    assert_refused(&p, BRIM_ERR_UNSUPPORTED, "graph output 'y': element type 17");
}

static void wrong_attributes(void **state)
{
    (void)state;
    struct parts p;
    struct wire a = {.n = 0};
    parts_base(&p);
    wire_text(&a, 1, "body");
    wire_text(&a, 6, "a graph");
    wire_int(&a, 20, 5);
    wire_sub(&p.node[1], 5, &a);
    assert_refused(&p, BRIM_ERR_UNSUPPORTED, "node 'relu' (Relu): attribute 'body': is a subgraph");
    parts_base(&p);
    a.n = 0;
    wire_text(&a, 1, "group");
    wire_int(&a, 3, 1);
    wire_int(&a, 20, 2);
    wire_sub(&p.node[0], 5, &a);
    wire_sub(&p.node[0], 5, &a);
    assert_refused(&p, BRIM_ERR_FILE, "attribute 'group': is given twice");
    parts_base(&p);
    a.n = 0;
    wire_int(&a, 3, 1);
    wire_sub(&p.node[0], 5, &a);
    assert_refused(&p, BRIM_ERR_FILE, "has no name");
    parts_base(&p);
    a.n = 0;
    wire_text(&a, 1, "t");
    wire_int(&a, 20, 4);
    wire_sub(&p.node[0], 5, &a);
    assert_refused(&p, BRIM_ERR_FILE, "attribute 't': has no tensor");
}

/* ---- tensors ---- */

static void wrong_tensors(void **state)
{
    (void)state;
    static const int64_t nine[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const int64_t negative[] = {3, -2, 3, 3};
    static const int64_t huge[] = {(int64_t)1 << 40, (int64_t)1 << 40};
    uint8_t raw[216] = {0};
    struct parts p;
    parts_base(&p);
    p.init[0] = wire_tensor("w", 1, 4, W, raw, 215);
    assert_refused(&p, BRIM_ERR_FILE, "initializer 'w': has 215 bytes of data, expected 216");
    p.init[0] = wire_tensor("w", 1, 4, negative, raw, 216);
    assert_refused(&p, BRIM_ERR_FILE, "initializer 'w': dimension 1 is -2, expected 0 or more");
    p.init[0] = wire_tensor("w", 1, 2, huge, raw, 216);
    assert_refused(&p, BRIM_ERR_FILE, "initializer 'w': is larger than the limit");
    p.init[0] = wire_tensor("w", 1, 9, nine, raw, 4);
    assert_refused(&p, BRIM_ERR_UNSUPPORTED, "initializer 'w': has rank 9, expected at most 8");
    p.init[0] = wire_tensor("w", 17, 4, W, raw, 54);
    assert_refused(&p, BRIM_ERR_UNSUPPORTED, "initializer 'w': element type 17 is not supported");
    p.init[0] = wire_tensor_head("w", 1, 4, W);
    assert_refused(&p, BRIM_ERR_FILE, "initializer 'w': has 0 elements of data, expected 54");
    p.init[0] = wire_tensor("", 1, 4, W, raw, 216);
    assert_refused(&p, BRIM_ERR_FILE, "has no name");
}

static void weights_that_are_no_numbers(void **state)
{
    (void)state;
    float w[54] = {0}, one[1] = {-INFINITY};
    struct parts p;
    parts_base(&p);
    w[3] = NAN;
    p.init[0] = wire_tensor("w", 1, 4, W, w, sizeof w);
    assert_refused(&p, BRIM_ERR_FILE, "initializer 'w': element 3 is NaN");
    w[3] = INFINITY;
    p.init[0] = wire_tensor("w", 1, 4, W, w, sizeof w);
    assert_refused(&p, BRIM_ERR_FILE, "initializer 'w': element 3 is infinite");
    /* The mask of an attention may be minus infinity. */
    parts_base(&p);
    p.node[1] = wire_node("Max", "max", "h,m", "y");
    p.init[p.n_init++] = wire_tensor("m", 1, 1, (const int64_t[]){1}, one, sizeof one);
    brim_ctx *ctx = testing_ctx(1);
    brim_graph_free(load(ctx, &p));
    brim_ctx_free(ctx);
}

static void limits_are_honoured(void **state)
{
    (void)state;
    brim_ctx_params params;
    brim_ctx *ctx;
    brim_graph *g = NULL;
    struct parts p;
    parts_base(&p);
    const struct wire m = parts_model(&p);
    brim_ctx_params_init(&params);
    params.max_tensor_bytes = 100;
    assert_int_equal(brim_ctx_create(&params, &ctx), BRIM_OK);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "initializer 'w': is larger than the limit of 100 bytes",
                 brim_onnx_load_memory(ctx, m.data, m.n, &g));
    brim_ctx_free(ctx);
    params.max_file_bytes = 50;
    assert_int_equal(brim_ctx_create(&params, &ctx), BRIM_OK);
    ASSERT_FAILS(ctx, BRIM_ERR_NOMEM, "limit of 50 bytes",
                 brim_onnx_load_memory(ctx, m.data, m.n, &g));
    brim_ctx_free(ctx);
}

/* ---- functions ---- */

/* domain "my", name, inputs, outputs, one node. */
static struct wire function(const char *name, const char *in, const char *out,
                            const struct wire *node, size_t copies)
{
    struct wire f = {.n = 0};

    wire_text(&f, 1, name);
    wire_list(&f, 4, in);
    wire_list(&f, 5, out);
    for (size_t i = 0; i < copies; i++) {
        wire_sub(&f, 7, node);
    }
    wire_text(&f, 10, "my");
    return f;
}

static struct wire call(const char *op_type, const char *name, const char *in, const char *out)
{
    struct wire w = wire_node(op_type, name, in, out);

    wire_text(&w, 7, "my");
    return w;
}

static void functions_are_inlined(void **state)
{
    (void)state;
    struct parts p;
    parts_base(&p);
    struct wire leaky = wire_node("LeakyRelu", "l", "a", "b"), ref = {.n = 0}, given = {.n = 0};
    wire_text(&ref, 1, "alpha");
    wire_text(&ref, 21, "slope");
    wire_int(&ref, 20, 1);
    wire_sub(&leaky, 5, &ref);
    p.function[p.n_function++] = function("Inner", "a", "b", &leaky, 1);
    struct wire inner = call("Inner", "i", "a", "b"), pass = {.n = 0};
    wire_text(&pass, 1, "slope");
    wire_text(&pass, 21, "slope");
    wire_int(&pass, 20, 1);
    wire_sub(&inner, 5, &pass);
    p.function[p.n_function++] = function("Outer", "a", "b", &inner, 1);
    p.node[1] = call("Outer", "o", "h", "y");
    wire_text(&given, 1, "slope");
    wire_float(&given, 2, 0.25f);
    wire_int(&given, 20, 1);
    wire_sub(&p.node[1], 5, &given);
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g = load(ctx, &p);
    assert_int_equal(g->n_nodes, 2);
    assert_string_equal(g->nodes[1].name, "o/i/l");
    assert_string_equal(g->nodes[1].op_type, "LeakyRelu");
    assert_true(brim_node_float(&g->nodes[1], "alpha", 0.0f) == 0.25f);
    assert_string_equal(g->values[g->nodes[1].out[0]].name, "y");
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void runaway_functions_are_refused(void **state)
{
    (void)state;
    struct parts p;
    parts_base(&p);
    struct wire self = call("F", "f", "a", "b");
    p.function[p.n_function++] = function("F", "a", "b", &self, 1);
    p.node[1] = call("F", "f", "h", "y");
    assert_refused(&p, BRIM_ERR_FILE, "functions call one another more than 32 deep");
    parts_base(&p);
    struct wire node = wire_node("Relu", "", "a", "");
    p.function[p.n_function++] = function("A", "a", "b", &node, 60);
    node = call("A", "", "a", "");
    p.function[p.n_function++] = function("B", "a", "b", &node, 60);
    node = call("B", "", "a", "");
    p.function[p.n_function++] = function("C", "a", "b", &node, 60);
    p.node[1] = call("C", "c", "h", "y");
    assert_refused(&p, BRIM_ERR_FILE, "the functions expand to more than 65536 nodes");
    p.node[1] = call("C", "c", "h,x", "y");
    assert_refused(&p, BRIM_ERR_FILE, "has 2 inputs and 1 outputs, its function 1 and 1");
}

/* ---- names ---- */

static void names_are_made_and_kept(void **state)
{
    (void)state;
    struct parts p;
    parts_base(&p);
    p.node[0] = wire_node("Conv", "", "x,w,b", "h");
    p.node[1] = wire_node("Relu", "Conv_0", "h", "i");
    p.node[2] = wire_node("Relu", "Conv_0", "i", "y");
    p.n_node = 3;
    p.input[p.n_input++] = wire_value("w", 1, 4, W); /* an initializer all the same */
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g = load(ctx, &p);
    assert_string_equal(g->nodes[0].name, "Conv_0_");
    assert_string_equal(g->nodes[1].name, "Conv_0");
    assert_string_equal(g->nodes[2].name, "Conv_0_1");
    assert_int_equal(brim_graph_input_count(g), 1);
    assert_string_equal(brim_graph_input_name(g, 0), "x");
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* ---- data kept in typed fields ---- */

static void typed_data_is_read(void **state)
{
    (void)state;
    static const int64_t five[] = {5};
    struct parts p;
    parts_base(&p);
    struct wire list = {.n = 0};
    wire_varint(&list, 0x21);
    wire_varint(&list, 0xf8);
    wire_varint(&list, 0x07);
    p.init[2] = wire_tensor_head("q", 22, 1, five); /* int4: 1, 2, -8, -1, 7 */
    wire_sub(&p.init[2], 5, &list);
    p.node[2] = wire_node("Identity", "id", "q", "r");
    p.output[1] = wire_value("r", 22, 1, five);
    p.n_init = p.n_node = 3;
    p.n_output = 2;
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g = load(ctx, &p);
    const struct brim_tensor *t = g->values[brim_graph_find_value(g, "q")].constant;
    static const int8_t want[] = {1, 2, -8, -1, 7};
    assert_memory_equal(t->data, want, sizeof want);
    brim_graph_free(g);
    brim_ctx_free(ctx);
    list.n = 0;
    for (unsigned i = 0; i < 5; i++) {
        wire_varint(&list, i * 50);
    }
    p.init[2] = wire_tensor_head("q", 3, 1, five);
    wire_sub(&p.init[2], 5, &list);
    p.output[1] = wire_value("r", 3, 1, five);
    assert_refused(&p, BRIM_ERR_FILE, "initializer 'q': element 3 is 150, outside int8");
    p.init[2] = wire_tensor_head("q", 3, 1, (const int64_t[]){6});
    wire_sub(&p.init[2], 5, &list);
    assert_refused(&p, BRIM_ERR_FILE, "initializer 'q': has 5 elements of data, expected 6");
}

/* ---- external data ---- */

static struct wire external(const char *location, const char *offset, const char *length)
{
    struct wire w = wire_tensor_head("w", 1, 4, W);
    const char *const entries[3][2] = {
        {"location", location}, {"offset", offset}, {"length", length}};

    for (size_t i = 0; i < 3; i++) {
        struct wire e = {.n = 0};
        wire_text(&e, 1, entries[i][0]);
        wire_text(&e, 2, entries[i][1]);
        if (entries[i][1][0] != '\0') {
            wire_sub(&w, 13, &e);
        }
    }
    wire_int(&w, 14, 1);
    return w;
}

static void write_model(brim_ctx *ctx, const char *folder, const struct parts *p, char path[128])
{
    const struct wire m = parts_model(p);

    snprintf(path, 128, "%s/m.onnx", folder);
    ASSERT_OK(ctx, brim_file_write(ctx, path, m.data, m.n));
}

static void external_data(void **state)
{
    (void)state;
    static const struct {
        const char *location, *offset, *length, *sentence;
        brim_status status;
    } bad[] = {
        {"", "", "", "external data has no location", BRIM_ERR_FILE},
        {"../w.bin", "", "", "'../w.bin' is outside the model's folder", BRIM_ERR_FILE},
        {"/etc/passwd", "", "", "'/etc/passwd' is outside the model's folder", BRIM_ERR_FILE},
        {"link", "", "", "'link' is outside the model's folder", BRIM_ERR_FILE},
        {"none.bin", "", "", "external data 'none.bin': No such file", BRIM_ERR_IO},
        {"w.bin", "8", "", "has 220 bytes, expected 216 from offset 8", BRIM_ERR_FILE},
        {"w.bin", "18446744073709551615", "", "has 220 bytes", BRIM_ERR_FILE},
        {"w.bin", "-4", "", "external data entry 'offset' is '-4'", BRIM_ERR_FILE},
        {"w.bin", "4", "99", "has 99 bytes of external data, expected 216", BRIM_ERR_FILE},
    };
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g = NULL;
    struct parts p;
    uint8_t data[220] = {0};
    char folder[] = "/tmp/brim-external-XXXXXX", file[64], link[64], path[128];
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/w.bin", folder);
    snprintf(link, sizeof link, "%s/link", folder);
    data[7] = 0x40; /* element 0 at offset 4 is 2.0 */
    ASSERT_OK(ctx, brim_file_write(ctx, file, data, sizeof data));
    assert_int_equal(symlink("/etc/passwd", link), 0);
    parts_base(&p);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        p.init[0] = external(bad[i].location, bad[i].offset, bad[i].length);
        write_model(ctx, folder, &p, path);
        ASSERT_FAILS(ctx, bad[i].status, bad[i].sentence, brim_onnx_load(ctx, path, &g));
        assert_null(g);
    }
    p.init[0] = external("w.bin", "4", "216");
    assert_refused(&p, BRIM_ERR_FILE, "is external data, which a model in memory cannot have");
    write_model(ctx, folder, &p, path);
    ASSERT_OK(ctx, brim_onnx_load(ctx, path, &g));
    const struct brim_tensor *w = g->values[brim_graph_find_value(g, "w")].constant;
    assert_true(((const float *)w->data)[0] == 2.0f && ((const float *)w->data)[1] == 0.0f);
    brim_graph_free(g);
    unlink(file);
    unlink(link);
    unlink(path);
    rmdir(folder);
    brim_ctx_free(ctx);
}

/* ---- arbitrary bytes ---- */

/* Whatever the bytes are: a graph that the dot view accepts or refuses, or one sentence. */
static void try_bytes(brim_ctx *ctx, const uint8_t *data, size_t n)
{
    brim_graph *g = NULL;
    struct brim_dots dots;

    const brim_status status = brim_onnx_load_memory(ctx, data, n, &g);
    assert_int_equal(status == BRIM_OK, g != NULL);
    assert_int_equal(status == BRIM_OK, brim_error(ctx)[0] == '\0');
    if (g != NULL && brim_dots_find(ctx, g, &dots) == BRIM_OK) {
        brim_dots_free(&dots);
    }
    brim_graph_free(g);
    brim_clear_error(ctx);
}

/* x -> QuantizeLinear -> DequantizeLinear -> Conv of dequantized int8 weights. */
static struct wire quantized_model(void)
{
    struct parts p;
    struct wire w = {.n = 0};
    float scale = 0.5f;
    uint8_t codes[54];

    parts_base(&p);
    memset(codes, 3, sizeof codes);
    p.init[0] = wire_tensor("w", 3, 4, W, codes, sizeof codes);
    p.init[1] = wire_tensor("s", 1, 0, NULL, &scale, 4);
    p.init[2] = wire_tensor("z", 3, 0, NULL, "\0", 1);
    p.node[0] = wire_node("QuantizeLinear", "q", "x,s,z", "xq");
    p.node[1] = wire_node("DequantizeLinear", "d", "xq,s,z", "xd");
    p.node[2] = wire_node("DequantizeLinear", "e", "w,s,z", "wd");
    p.node[3] = wire_node("Conv", "conv", "xd,wd", "y");
    p.n_init = 3;
    p.n_node = 4;
    w = parts_model(&p);
    return w;
}

static void truncated_models(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const struct wire m = quantized_model();
    for (size_t n = 0; n < m.n; n++) {
        uint8_t *exact = malloc(n > 0 ? n : 1); /* so that a read past the end is seen */
        assert_non_null(exact);
        memcpy(exact, m.data, n);
        try_bytes(ctx, exact, n);
        free(exact);
    }
    brim_ctx_free(ctx);
}

static void mutated_models(void **state)
{
    (void)state;
    brim_ctx_params params;
    brim_ctx *ctx;
    struct parts p;
    struct brim_rng rng;
    parts_base(&p);
    const struct wire seeds[] = {parts_model(&p), quantized_model()};
    brim_ctx_params_init(&params);
    params.max_tensor_bytes = (size_t)1 << 20;
    assert_int_equal(brim_ctx_create(&params, &ctx), BRIM_OK);
    brim_rng_init(&rng, 11, 0);
    for (int i = 0; i < 20000; i++) {
        struct wire m = seeds[i % 2];
        const uint64_t changes = 1 + brim_rng_below(&rng, 4);
        for (uint64_t c = 0; c < changes; c++) {
            const size_t at = (size_t)brim_rng_below(&rng, m.n);
            if (brim_rng_below(&rng, 4) == 0) { /* drop a byte: lengths go wrong */
                memmove(m.data + at, m.data + at + 1, m.n - at - 1);
                m.n--;
            } else {
                m.data[at] = (uint8_t)(m.data[at] ^ 1u << brim_rng_below(&rng, 8));
            }
        }
        try_bytes(ctx, m.data, m.n);
    }
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_model_loads),
        cmocka_unit_test(not_a_model),
        cmocka_unit_test(broken_topology),
        cmocka_unit_test(wrong_operators),
        cmocka_unit_test(wrong_attributes),
        cmocka_unit_test(wrong_tensors),
        cmocka_unit_test(weights_that_are_no_numbers),
        cmocka_unit_test(limits_are_honoured),
        cmocka_unit_test(functions_are_inlined),
        cmocka_unit_test(runaway_functions_are_refused),
        cmocka_unit_test(names_are_made_and_kept),
        cmocka_unit_test(typed_data_is_read),
        cmocka_unit_test(external_data),
        cmocka_unit_test(truncated_models),
        cmocka_unit_test(mutated_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
