/* test_tflite.c - TensorFlow Lite files load as the graphs that compute the same; whatever is wrong
 * with one is a sentence. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "testing.h"

#include "brim/data.h"
#include "brim/onnx.h"
#include "brim/run.h"
#include "brim/tflite.h"
#include "graph/dot.h"
#include "starving.h"
#include "tflite/writer.h"

/* ---- a small integer network: 4 x 4 image, convolution with stride 2 and Relu, dense layer ---- */

enum { SIDE = 4, IN = 2, MID = 3, OUT = 2, HALF = SIDE / 2, FLAT = HALF * HALF * MID };
enum { X, W1, B1, Y, F, W2, B2, Z, SHAPE, N_TENSORS };

static int8_t w1[MID][3][3][IN], w2[OUT][FLAT];
static const int32_t b1[MID] = {40, -30, 5}, b2[OUT] = {100, -200};
static const float s_x = 0.5f, s_w1[MID] = {0.25f, 0.5f, 0.125f}, s_y = 2.0f, s_w2 = 0.0625f,
                   s_z = 4.0f;
static const int64_t zero_x = -3, zero_y = -128, zero_z = 7, none[MID] = {0, 0, 0};

struct tensor {
    const char *name;
    uint8_t type; /* 9 = int8, 2 = int32 */
    int32_t rank, dim[4];
    const void *data;
    size_t bytes;
    size_t n_scales;
    const float *scale;
    const int64_t *zero;
};

static const struct tensor tensors[N_TENSORS] = {
    [X] = {"x", 9, 4, {1, SIDE, SIDE, IN}, NULL, 0, 1, &s_x, &zero_x},
    [W1] = {"w1", 9, 4, {MID, 3, 3, IN}, w1, sizeof w1, MID, s_w1, none},
    [B1] = {"b1", 2, 1, {MID}, b1, sizeof b1, 0, NULL, NULL},
    [Y] = {"first;fused", 9, 4, {1, HALF, HALF, MID}, NULL, 0, 1, &s_y, &zero_y},
    [F] = {"flat", 9, 2, {1, FLAT}, NULL, 0, 1, &s_y, &zero_y},
    [W2] = {"w2", 9, 2, {OUT, FLAT}, w2, sizeof w2, 1, &s_w2, none},
    [B2] = {"b2", 2, 1, {OUT}, b2, sizeof b2, 0, NULL, NULL},
    [Z] = {"second", 9, 2, {1, OUT}, NULL, 0, 1, &s_z, &zero_z},
    [SHAPE] = {"shape", 2, 1, {2}, (const int32_t[]){1, FLAT}, 8, 0, NULL, NULL},
};

static void make_weights(void)
{
    int8_t *a = &w1[0][0][0][0], *b = &w2[0][0];

    for (size_t i = 0; i < sizeof w1; i++) {
        a[i] = (int8_t)((int)(i * 37 % 101) - 50);
    }
    for (size_t i = 0; i < sizeof w2; i++) {
        b[i] = (int8_t)((int)(i * 53 % 89) - 44);
    }
}

/* Buffer 0 is empty; tensor i's bytes are buffer i + 1. */
static void put_tensor(struct writer *w, size_t at, size_t i)
{
    const struct tensor *t = &tensors[i];
    const size_t table = put_child(w, at, 5);

    set_int(w, table, 1, t->type);
    set_int(w, table, 2, (int32_t)i + 1);
    put_vector(w, table, 0, t->dim, (size_t)t->rank, 4);
    put_vector(w, table, 3, t->name, strlen(t->name), 1);
    if (t->n_scales == 0) {
        forget(w, table, 4);
        return;
    }
    const size_t q = put_child(w, field(table, 4), 4);
    forget(w, q, 0);
    forget(w, q, 1);
    put_vector(w, q, 2, t->scale, t->n_scales, 4);
    put_vector(w, q, 3, t->zero, t->n_scales, 8);
}

struct operation {
    int32_t code, n_in, in[3], out, n_options, option[4];
};

static const struct operation operations[] = {
    {3, 3, {X, W1, B1}, Y, 4, {0, 2, 2, 1}}, /* CONV_2D: SAME, strides, RELU */
    {22, 2, {Y, SHAPE}, F, 0, {0}},          /* RESHAPE */
    {9, 3, {F, W2, B2}, Z, 1, {0}},          /* FULLY_CONNECTED */
};
enum { N_OPERATIONS = sizeof operations / sizeof operations[0] };

static void put_operation(struct writer *w, size_t at, size_t i)
{
    const struct operation *o = &operations[i];
    const size_t table = put_child(w, at, 5);

    set_int(w, table, 0, (int32_t)i);
    put_vector(w, table, 1, o->in, (size_t)o->n_in, 4);
    put_vector(w, table, 2, &o->out, 1, 4);
    forget(w, table, 3);
    const size_t options = put_child(w, field(table, 4), (unsigned)o->n_options);
    for (int32_t j = 0; j < o->n_options; j++) {
        set_int(w, options, (unsigned)j, o->option[j]);
    }
}

static void put_graph(struct writer *w, size_t at)
{
    const int32_t input = X, output = Z;
    const size_t graph = put_child(w, at, 4);
    const size_t tensor = put_vector(w, graph, 0, NULL, N_TENSORS, 4);

    put_vector(w, graph, 1, &input, 1, 4);
    put_vector(w, graph, 2, &output, 1, 4);
    for (size_t i = 0; i < N_TENSORS; i++) {
        put_tensor(w, tensor + 4 * i, i);
    }
    const size_t operation = put_vector(w, graph, 3, NULL, N_OPERATIONS, 4);
    for (size_t i = 0; i < N_OPERATIONS; i++) {
        put_operation(w, operation + 4 * i, i);
    }
}

static void write_model(struct writer *w)
{
    *w = (struct writer){.size = 0};
    make_weights();
    put_int(w, 0);
    put(w, "TFL3", 4);
    const size_t root = put_child(w, 0, 5);
    set_int(w, root, 0, 3);
    const size_t code = put_vector(w, root, 1, NULL, N_OPERATIONS, 4);
    for (size_t i = 0; i < N_OPERATIONS; i++) {
        const size_t table = put_child(w, code + 4 * i, 1);
        set_int(w, table, 0, operations[i].code);
    }
    put_graph(w, put_vector(w, root, 2, NULL, 1, 4));
    forget(w, root, 3);
    const size_t buffer = put_vector(w, root, 4, NULL, N_TENSORS + 1, 4);
    for (size_t i = 0; i <= N_TENSORS; i++) {
        const size_t table = put_child(w, buffer + 4 * i, 1);
        if (i > 0 && tensors[i - 1].bytes > 0) {
            put_vector(w, table, 0, tensors[i - 1].data, tensors[i - 1].bytes, 1);
        } else {
            forget(w, table, 0);
        }
    }
}

/* ---- what it computes, written out in the file's own order ---- */

static int to_code(double real, double scale, int64_t zero)
{
    const double c = nearbyint(real / scale) + (double)zero;

    return (int)fmin(127, fmax(-128, c));
}

/* The input's sample is NCHW. */
static void expected(const float *x, float z[OUT])
{
    int middle[FLAT];

    for (int p = 0; p < HALF * HALF; p++) {
        for (int m = 0; m < MID; m++) {
            int sum = b1[m];
            for (int t = 0; t < 9 * IN; t++) {
                const int row = p / HALF * 2 + t / IN / 3, column = p % HALF * 2 + t / IN % 3;
                if (row < SIDE && column < SIDE) { /* SAME: what is missing is behind */
                    const float v = x[(t % IN * SIDE + row) * SIDE + column];
                    sum += w1[m][t / IN / 3][t / IN % 3][t % IN] *
                           (to_code((double)v, (double)s_x, zero_x) - (int)zero_x);
                }
            }
            const double real = (double)sum * (double)(s_x * s_w1[m]);
            middle[p * MID + m] = to_code(fmax(real, 0), (double)s_y, zero_y);
        }
    }
    for (int o = 0; o < OUT; o++) {
        int sum = b2[o];
        for (int i = 0; i < FLAT; i++) {
            sum += w2[o][i] * (middle[i] - (int)zero_y);
        }
        const double real = (double)sum * (double)(s_y * s_w2);
        z[o] = (float)(to_code(real, (double)s_z, zero_z) - (int)zero_z) * s_z;
    }
}

struct answers {
    size_t n;
    float y[64][OUT];
};

static void keep(void *user, size_t sample, const float *y, size_t n)
{
    struct answers *a = user;

    assert_int_equal(n, OUT);
    memcpy(a->y[sample], y, sizeof a->y[sample]);
    a->n++;
}

static void computes_the_same(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct writer w;
    struct answers a = {.n = 0};
    brim_graph *g;
    brim_data *data;
    brim_run_params p;
    brim_run_report *report;
    float x[IN * SIDE * SIDE], z[OUT];

    (void)state;
    write_model(&w);
    ASSERT_OK(ctx, brim_tflite_load_memory(ctx, w.data, w.size, &g));
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:noise?shape=2,4,4&limit=64&std=0.1", &data));
    brim_run_params_init(&p);
    p.output = keep;
    p.user = &a;
    ASSERT_OK(ctx, brim_run(ctx, g, data, &p, &report));
    assert_int_equal(report->n_layers, 2);
    assert_string_equal(report->layers[0].name, "first");
    assert_int_equal(a.n, 64);
    for (size_t i = 0; i < a.n; i++) {
        ASSERT_OK(ctx, brim_data_read(ctx, data, i, 1, x, NULL));
        expected(x, z);
        assert_memory_equal(a.y[i], z, sizeof z);
    }
    brim_run_report_free(report);
    brim_data_free(data);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* ---- refusals ---- */

static void nothing_is_read_past_the_end(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct writer w;
    brim_graph *g;

    (void)state;
    write_model(&w);
    for (size_t n = 0; n < w.size; n++) {
        uint8_t *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, w.data, n);
        if (brim_tflite_load_memory(ctx, exact, n, &g) == BRIM_OK) {
            brim_graph_free(g); /* the last bytes are no more than padding of a constant */
            assert_true(n + 4 >= w.size);
        } else {
            assert_true(brim_error(ctx)[0] != '\0');
        }
        brim_clear_error(ctx);
        free(exact);
    }
    brim_ctx_free(ctx);
}

/* Any four bytes replaced by a large number: a sentence, or a graph. */
static void numbers_out_of_range(void **state)
{
    static const int32_t values[] = {-1, INT32_MAX, INT32_MIN, 65536, 0};
    brim_ctx *ctx = testing_ctx(1);
    struct writer w;
    brim_graph *g;

    (void)state;
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        write_model(&w);
        for (size_t at = 0; at + 4 <= w.size; at += 2) {
            uint8_t kept[4];
            memcpy(kept, w.data + at, 4);
            memcpy(w.data + at, &values[v], 4);
            if (brim_tflite_load_memory(ctx, w.data, w.size, &g) == BRIM_OK) {
                brim_graph_free(g);
            } else {
                assert_true(brim_error(ctx)[0] != '\0');
            }
            brim_clear_error(ctx);
            memcpy(w.data + at, kept, 4);
        }
    }
    brim_ctx_free(ctx);
}

static void says_what_is_wrong(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g;

    (void)state;
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "is not a TensorFlow Lite file of version 3",
                 brim_tflite_load_memory(ctx, "\x08\x07onnx and more", 15, &g));
    ASSERT_FAILS(ctx, BRIM_ERR_IO, "no-such.tflite", brim_tflite_load(ctx, "no-such.tflite", &g));
    brim_ctx_free(ctx);
}

static brim_status load_once(brim_ctx *ctx, void *arg)
{
    const struct writer *w = arg;
    brim_graph *g = NULL;
    const brim_status s = brim_tflite_load_memory(ctx, w->data, w->size, &g);

    brim_graph_free(g);
    return s;
}

static void starves(void **state)
{
    struct writer w;

    (void)state;
    write_model(&w);
    assert_true(starving_try(load_once, &w) > 3);
}

/* ---- real models ---- */

/* The same integers, layer by layer, as the QDQ file that was made from the same model by others.
 * Its inputs are signed or unsigned as it likes, so codes and scales are what is compared. */
static void same_layers(const char *tflite, const char *onnx)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *a, *b;
    struct brim_dots x, y;

    ASSERT_OK(ctx, brim_tflite_load(ctx, tflite, &a));
    ASSERT_OK(ctx, brim_onnx_load(ctx, onnx, &b));
    ASSERT_OK(ctx, brim_dots_find(ctx, a, &x));
    ASSERT_OK(ctx, brim_dots_find(ctx, b, &y));
    assert_int_equal(x.count, y.count);
    for (size_t i = 0; i < x.count; i++) {
        const struct brim_dot *p = &x.dot[i], *q = &y.dot[i];
        assert_true(p->codes && q->codes);
        assert_int_equal(p->n, q->n);
        assert_int_equal(p->k, q->k);
        assert_memory_equal(p->w, q->w, p->n * p->k * sizeof *p->w);
        assert_memory_equal(p->w_scale, q->w_scale, p->n * sizeof *p->w_scale);
        assert_true(p->x_scale == q->x_scale);
        assert_int_equal(p->x_max - p->x_min, q->x_max - q->x_min);
        assert_memory_equal(p->bias_q, q->bias_q, p->n * sizeof *p->bias_q);
    }
    brim_dots_free(&x);
    brim_dots_free(&y);
    brim_graph_free(a);
    brim_graph_free(b);
    brim_ctx_free(ctx);
}

#define MODELS "mlperf-tiny/models/"

static void resnet8(void **state)
{
    (void)state;
    REQUIRE_DATA(MODELS "resnet8-cifar10-int8.tflite");
    same_layers(BRIM_DATA_DIR "/" MODELS "resnet8-cifar10-int8.tflite",
                BRIM_DATA_DIR "/" MODELS "resnet8-cifar10-int8-qdq.onnx");
}

static void dscnn(void **state)
{
    (void)state;
    REQUIRE_DATA(MODELS "dscnn-kws-int8.tflite");
    same_layers(BRIM_DATA_DIR "/" MODELS "dscnn-kws-int8.tflite",
                BRIM_DATA_DIR "/" MODELS "dscnn-kws-int8-qdq.onnx");
}

static void autoencoder(void **state)
{
    (void)state;
    REQUIRE_DATA(MODELS "ad-autoencoder-int8.tflite");
    same_layers(BRIM_DATA_DIR "/" MODELS "ad-autoencoder-int8.tflite",
                BRIM_DATA_DIR "/" MODELS "ad-autoencoder-int8-qdq.onnx");
}

/* Float weights, and 8-bit weights of a float network, which are floats then: known accuracies. */
static void accuracy(const char *model, const char *spec, size_t correct)
{
    brim_ctx *ctx = testing_ctx(0);
    brim_graph *g;
    brim_data *data;
    brim_run_report *report;

    ASSERT_OK(ctx, brim_tflite_load(ctx, model, &g));
    ASSERT_OK(ctx, brim_data_open(ctx, spec, &data));
    ASSERT_OK(ctx, brim_run(ctx, g, data, NULL, &report));
    assert_int_equal(report->top1, correct);
    brim_run_report_free(report);
    brim_data_free(data);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void float_models(void **state)
{
    (void)state;
    REQUIRE_DATA(MODELS "resnet8-cifar10-float.tflite");
    accuracy(BRIM_DATA_DIR "/" MODELS "resnet8-cifar10-float.tflite",
             "cifar:" BRIM_DATA_DIR "/cifar10/test_first1000.bin.gz", 881);
    accuracy(BRIM_DATA_DIR "/" MODELS "dscnn-kws-hybrid-int8w.tflite",
             "idx:" BRIM_DATA_DIR "/mlperf-tiny/kws01-mfcc-idx3-int8.gz:" BRIM_DATA_DIR
             "/mlperf-tiny/kws01-labels-idx1-ubyte.gz?scale=0.5847029089927673&zero=83",
             901);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_the_same),
        cmocka_unit_test(nothing_is_read_past_the_end),
        cmocka_unit_test(numbers_out_of_range),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(starves),
        cmocka_unit_test(resnet8),
        cmocka_unit_test(dscnn),
        cmocka_unit_test(autoencoder),
        cmocka_unit_test(float_models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
