/* test_conformance.c - the ONNX node tests, through the loader and the executor.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The archive is read as it is. Each case is a model, inputs and expected outputs. A case passes,
 * fails, or is unsupported: then it uses an operator that brim does not have or an element type
 * that it does not have, and the reason is printed. With an argument, only the cases whose name
 * contains it are run, and passing ones are printed too.
 */
#include <math.h>
#include <stdlib.h>

#include "testing.h"

#include "base/file.h"
#include "base/half.h"
#include "brim/onnx.h"
#include "graph/graph.h"
#include "onnx/tensor.h"
#include "run/plan.h"

#define ARCHIVE "onnx-conformance/onnx-1.18.0-node-tests.tar.gz"

enum { MAX_TENSORS = 32, MAX_FILES = 16384 };

static const char *const operators[] = {"Abs",
                                        "Add",
                                        "ArgMax",
                                        "AveragePool",
                                        "BatchNormalization",
                                        "Cast",
                                        "Clip",
                                        "Concat",
                                        "Constant",
                                        "ConstantOfShape",
                                        "Conv",
                                        "ConvInteger",
                                        "DequantizeLinear",
                                        "Div",
                                        "Dropout",
                                        "DynamicQuantizeLinear",
                                        "Equal",
                                        "Erf",
                                        "Exp",
                                        "Expand",
                                        "Flatten",
                                        "Gather",
                                        "Gelu",
                                        "Gemm",
                                        "GlobalAveragePool",
                                        "GlobalMaxPool",
                                        "Greater",
                                        "HardSigmoid",
                                        "HardSwish",
                                        "Identity",
                                        "LayerNormalization",
                                        "LeakyRelu",
                                        "Less",
                                        "MatMul",
                                        "MatMulInteger",
                                        "Max",
                                        "MaxPool",
                                        "Min",
                                        "Mul",
                                        "Neg",
                                        "Pad",
                                        "Pow",
                                        "QLinearConv",
                                        "QLinearMatMul",
                                        "QuantizeLinear",
                                        "RMSNormalization",
                                        "Reciprocal",
                                        "ReduceMax",
                                        "ReduceMean",
                                        "ReduceSum",
                                        "Relu",
                                        "Reshape",
                                        "Shape",
                                        "Sigmoid",
                                        "Slice",
                                        "Softmax",
                                        "Split",
                                        "Sqrt",
                                        "Squeeze",
                                        "Sub",
                                        "Tanh",
                                        "Transpose",
                                        "Unsqueeze",
                                        "Where"};

/* Cases that contradict ONNX's own text: its QLinearMatMul saturates, and so do brim and
 * onnxruntime, but the expected int8 outputs were made by wrapping. */
static const char *const errata[] = {
    "test_qlinearmatmul_2D_int8_float16", "test_qlinearmatmul_2D_int8_float32",
    "test_qlinearmatmul_3D_int8_float16", "test_qlinearmatmul_3D_int8_float32"};

static const char *filter = ""; /* from the command line */

/* ---- the archive ---- */

struct file {
    char name[256];
    const uint8_t *data;
    size_t size;
};

static size_t octal(const uint8_t *p, size_t n)
{
    size_t v = 0;

    for (size_t i = 0; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        v = v * 8 + (size_t)(p[i] - '0');
    }
    return v;
}

/* The path in an extended header: records of "LENGTH KEY=VALUE\n". */
static void extended_path(const uint8_t *p, size_t n, char name[256])
{
    for (size_t at = 0; at < n;) {
        char *end;
        const size_t length = strtoul((const char *)p + at, &end, 10);
        const char *key = end + 1, *stop = (const char *)p + at + length;
        if (length == 0 || length > n - at) {
            return;
        }
        if (strncmp(key, "path=", 5) == 0) {
            snprintf(name, 256, "%.*s", (int)(stop - key - 6), key + 5);
        }
        at += length;
    }
}

static size_t list_files(const struct brim_buffer *tar, struct file *files)
{
    char longer[256] = "";
    size_t n = 0;

    for (size_t at = 0; at + 512 <= tar->size && tar->data[at] != 0;) {
        const uint8_t *h = tar->data + at;
        const size_t size = octal(h + 124, 12);
        const uint8_t *data = h + 512;
        assert_true(size <= tar->size - at - 512);
        if (h[156] == 'x') {
            extended_path(data, size, longer);
        } else if (h[156] == 'L') {
            snprintf(longer, sizeof longer, "%.*s", (int)size, (const char *)data);
        } else if (h[156] == '0' || h[156] == 0) {
            assert_true(n < MAX_FILES);
            struct file *f = &files[n++];
            snprintf(f->name, sizeof f->name, "%.150s%s%.100s", (const char *)h + 345,
                     h[345] != 0 ? "/" : "", (const char *)h);
            if (longer[0] != '\0') {
                memcpy(f->name, longer, sizeof longer);
            }
            f->data = data;
            f->size = size;
            longer[0] = '\0';
        }
        at += 512 + (size + 511) / 512 * 512;
    }
    return n;
}

/* ---- what a case asks for ---- */

static bool in_list(const char *op)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (strcmp(op, operators[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool type_exists(int64_t t)
{
    return t == 0 || (t >= BRIM_FLOAT && t <= BRIM_UINT64 && t != BRIM_STRING) ||
           t == BRIM_BFLOAT16 || t == BRIM_UINT4 || t == BRIM_INT4;
}

static bool infos_exist(pb_value_info *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i]->type == NULL || v[i]->type->tensor_type == NULL ||
            !type_exists(v[i]->type->tensor_type->elem_type)) {
            return false;
        }
    }
    return true;
}

static bool attributes_exist(const pb_node *n)
{
    for (size_t i = 0; i < n->n_attribute; i++) {
        const pb_attr *a = n->attribute[i];
        const bool named = strcmp(a->name, "to") == 0 || strcmp(a->name, "output_dtype") == 0;
        if ((a->t != NULL && !type_exists(a->t->data_type)) || (named && !type_exists(a->i)) ||
            strcmp(a->name, "value_string") == 0 || strcmp(a->name, "value_strings") == 0) {
            return false;
        }
    }
    return true;
}

/* Is an operator of these nodes not in the list? Those of the model's functions are looked at where
 * the functions are. */
static bool nodes_outside(const pb_model *m, pb_node *const *node, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool function = false;
        for (size_t f = 0; f < m->n_functions; f++) {
            function = function || strcmp(m->functions[f]->name, node[i]->op_type) == 0;
        }
        if ((!function && !in_list(node[i]->op_type)) || !attributes_exist(node[i])) {
            return true;
        }
    }
    return false;
}

static bool is_erratum(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof errata / sizeof errata[0]; i++) {
        const size_t n = strlen(errata[i]);
        if (length >= n && strncmp(name + length - n, errata[i], n) == 0) {
            return true;
        }
    }
    return false;
}

/* May brim say that it does not support this model? */
static bool outside(const pb_model *m)
{
    bool any = !infos_exist(m->graph->input, m->graph->n_input) ||
               !infos_exist(m->graph->output, m->graph->n_output) ||
               nodes_outside(m, m->graph->node, m->graph->n_node);

    for (size_t i = 0; i < m->graph->n_initializer; i++) {
        any = any || !type_exists(m->graph->initializer[i]->data_type);
    }
    for (size_t i = 0; i < m->n_functions; i++) {
        any = any || nodes_outside(m, m->functions[i]->node, m->functions[i]->n_node);
    }
    return any;
}

/* ---- running one ---- */

struct test_case {
    const char *name; /* up to its '/model.onnx' */
    size_t length;
    const struct file *files; /* the model first */
    size_t n_files;
};

static bool read_tensor(brim_ctx *ctx, struct brim_arena *arena, const struct file *f,
                        struct brim_tensor *out)
{
    const struct brim_onnx_source source = {arena, arena, NULL, "test data"};
    struct brim_tensor *t = NULL;
    pb_tensor *pb = brim__onnx__tensor__unpack(NULL, f->size, f->data);
    brim_status s = BRIM_ERR_FILE;

    if (pb != NULL) {
        s = brim_onnx_tensor_read(&source, pb, &t);
        brim__onnx__tensor__free_unpacked(pb, NULL);
    } else {
        s = brim_fail(ctx, BRIM_ERR_FILE, "%s is not a tensor", f->name);
    }
    if (s == BRIM_OK) {
        *out = *t;
    }
    return s == BRIM_OK;
}

/* input_0.pb, input_1.pb, ... or output_0.pb, ...; -1 after an error. */
static int read_tensors(brim_ctx *ctx, struct brim_arena *arena, const struct test_case *t,
                        const char *kind, struct brim_tensor *out)
{
    int n = 0;

    for (size_t i = 0; i < t->n_files; i++) {
        const char *base = strrchr(t->files[i].name, '/') + 1;
        if (strncmp(base, kind, strlen(kind)) != 0) {
            continue;
        }
        const int at = atoi(base + strlen(kind) + 1);
        assert_in_range(at, 0, MAX_TENSORS - 1);
        if (!read_tensor(ctx, arena, &t->files[i], &out[at])) {
            return -1;
        }
        n = at + 1 > n ? at + 1 : n;
    }
    return n;
}

static double as_double(const struct brim_tensor *t, size_t i)
{
    switch ((int)t->type.dtype) {
    case BRIM_FLOAT:
        return (double)((const float *)t->data)[i];
    case BRIM_FLOAT16:
        return (double)brim_half_to_float(((const uint16_t *)t->data)[i]);
    case BRIM_BFLOAT16:
        return (double)brim_bfloat_to_float(((const uint16_t *)t->data)[i]);
    default:
        return ((const double *)t->data)[i];
    }
}

static bool near(double got, double want)
{
    return (isnan(got) && isnan(want)) || got == want ||
           fabs(got - want) <= 1e-7 + 1e-3 * fabs(want);
}

/* Is this difference the one that the errata are about: a saturated element? */
static bool saturated(const struct brim_tensor *got, size_t i)
{
    const int8_t v = ((const int8_t *)got->data)[i];

    return got->type.dtype == BRIM_INT8 && (v == INT8_MIN || v == INT8_MAX);
}

static brim_status compare(brim_ctx *ctx, const struct brim_tensor *got,
                           const struct brim_tensor *want)
{
    const size_t size = brim_dtype_size(want->type.dtype);
    char a[128], b[128];

    if (got->type.dtype != want->type.dtype ||
        !brim_shape_equal(&got->type.shape, &want->type.shape)) {
        return brim_fail(
            ctx, BRIM_ERR_INTERNAL, "got %s%s, expected %s%s", brim_dtype_name(got->type.dtype),
            brim_shape_text(&got->type.shape, a, sizeof a), brim_dtype_name(want->type.dtype),
            brim_shape_text(&want->type.shape, b, sizeof b));
    }
    const size_t n = (size_t)brim_shape_count(&want->type.shape);
    const bool exact = brim_dtype_is_integer(want->type.dtype) || want->type.dtype == BRIM_BOOL;
    for (size_t i = 0; i < n; i++) {
        const size_t at = i * size;
        if (exact && memcmp((char *)got->data + at, (char *)want->data + at, size) != 0) {
            if (saturated(got, i)) {
                return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                                 "element %zu of %zu saturates, expected it to wrap", i, n);
            }
            return brim_fail(ctx, BRIM_ERR_INTERNAL, "element %zu of %zu is wrong", i, n);
        }
        if (!exact && !near(as_double(got, i), as_double(want, i))) {
            return brim_fail(ctx, BRIM_ERR_INTERNAL, "element %zu of %zu is %.9g, expected %.9g", i,
                             n, as_double(got, i), as_double(want, i));
        }
    }
    return BRIM_OK;
}

static brim_status run_graph(brim_ctx *ctx, struct brim_arena *arena, const brim_graph *g,
                             const struct test_case *t)
{
    struct brim_tensor in[MAX_TENSORS] = {{.data = NULL}}, want[MAX_TENSORS] = {{.data = NULL}};
    const int n_in = read_tensors(ctx, arena, t, "input", in);
    const int n_want = n_in < 0 ? -1 : read_tensors(ctx, arena, t, "output", want);
    const struct brim_plan_params params = {.wanted = NULL};
    struct brim_plan *plan = NULL;
    struct brim_workspace *ws = NULL;

    if (n_want < 0) {
        return BRIM_ERR_FILE;
    }
    brim_status s = brim_plan_create(ctx, g, &params, &plan);
    if (s == BRIM_OK) {
        s = brim_workspace_create(ctx, plan, &ws);
    }
    if (s == BRIM_OK) {
        s = brim_plan_run(plan, ws, in, (size_t)n_in);
    }
    for (int i = 0; s == BRIM_OK && i < n_want; i++) {
        const struct brim_tensor *got = brim_workspace_value(ws, g->outputs[i]);
        s = got == NULL ? brim_fail(ctx, BRIM_ERR_INTERNAL, "output %d is missing", i)
                        : compare(ctx, got, &want[i]);
    }
    brim_workspace_free(ws);
    brim_plan_free(plan);
    return s;
}

enum outcome { PASSED, FAILED, UNSUPPORTED };

static enum outcome run_case(brim_ctx *ctx, const struct test_case *t)
{
    struct brim_arena arena;
    brim_graph *g = NULL;
    pb_model *m = NULL;

    brim_clear_error(ctx);
    brim_arena_init(&arena, ctx);
    ASSERT_OK(ctx, brim_wire_unpack(&arena, t->files[0].data, t->files[0].size, &m));
    bool allowed = outside(m);
    brim_status s = brim_onnx_load_memory(ctx, t->files[0].data, t->files[0].size, &g);
    if (s == BRIM_OK) {
        s = run_graph(ctx, &arena, g, t);
    }
    allowed = allowed || (s == BRIM_ERR_UNSUPPORTED && is_erratum(t->name, t->length));
    const enum outcome o = s == BRIM_OK ? PASSED : allowed ? UNSUPPORTED : FAILED;
    if (o != PASSED) {
        print_message("%s %.*s: %s\n", o == FAILED ? "FAILED" : "unsupported", (int)t->length,
                      t->name, brim_error(ctx));
    } else if (filter[0] != '\0') {
        print_message("passed %.*s\n", (int)t->length, t->name);
    }
    brim_graph_free(g);
    brim_arena_free(&arena);
    return o;
}

/* ---- all of them ---- */

/* The files that share the directory of files[at], a model. */
static struct test_case case_at(const struct file *files, size_t n, size_t at)
{
    struct test_case t = {.name = files[at].name, .files = &files[at]};

    t.length = (size_t)(strrchr(t.name, '/') - t.name);
    while (at + t.n_files < n && strncmp(files[at + t.n_files].name, t.name, t.length + 1) == 0) {
        t.n_files++;
    }
    return t;
}

static void test_conformance(void **state)
{
    (void)state;
    REQUIRE_DATA(ARCHIVE);
    brim_ctx *ctx = testing_ctx(1);
    struct file *files = calloc(MAX_FILES, sizeof *files);
    struct brim_buffer tar;
    size_t count[3] = {0};

    assert_non_null(files);
    ASSERT_OK(ctx, brim_file_read(ctx, BRIM_DATA_DIR "/" ARCHIVE, &tar));
    const size_t n = list_files(&tar, files);
    for (size_t i = 0; i < n; i++) {
        const char *slash = strrchr(files[i].name, '/');
        if (slash == NULL || strcmp(slash, "/model.onnx") != 0) {
            continue;
        }
        const struct test_case t = case_at(files, n, i);
        if (strstr(t.name, filter) != NULL) {
            count[run_case(ctx, &t)]++;
        }
    }
    print_message("%zu passed, %zu failed, %zu unsupported\n", count[PASSED], count[FAILED],
                  count[UNSUPPORTED]);
    brim_buffer_free(&tar);
    free(files);
    brim_ctx_free(ctx);
    assert_int_equal(count[FAILED], 0);
    assert_true(count[PASSED] > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_conformance)};

    filter = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
