/* test_session.c - brim_run() on the real models: accuracies, reference logits, any number of
 * threads, bad input. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "brim/brim.h"
#include "run/plan.h"
#include "testing.h"

#define MODELS BRIM_DATA_DIR "/mlperf-tiny/models/"
#define CIFAR  "cifar:" BRIM_DATA_DIR "/cifar10/test_first1000.bin.gz"
#define KWS                                                                                        \
    "idx:" BRIM_DATA_DIR "/mlperf-tiny/kws01-mfcc-idx3-int8.gz:" BRIM_DATA_DIR                     \
    "/mlperf-tiny/kws01-labels-idx1-ubyte.gz?scale=0.5847029089927673&zero=83"

/* Outputs of a whole run, in sample order. */
struct outputs {
    float *y;
    size_t samples, n, room;
};

static void keep(void *user, size_t sample, const float *y, size_t n)
{
    struct outputs *o = user;

    assert_int_equal(sample, o->samples);
    assert_true((sample + 1) * n <= o->room);
    memcpy(o->y + sample * n, y, n * sizeof *y);
    o->samples++;
    o->n = n;
}

static void outputs_init(struct outputs *o, size_t room)
{
    *o = (struct outputs){.y = malloc(room * sizeof(float)), .room = room};
    assert_non_null(o->y);
}

struct setup {
    const char *model, *data, *datapath;
    int threads;
    size_t batch;
    bool no_count;
};

static brim_run_report *run(const struct setup *s, struct outputs *o, brim_ctx **ctx)
{
    brim_run_params p;
    brim_run_report *report;
    brim_graph *g;
    brim_data *data;
    brim_datapath dp;

    *ctx = testing_ctx(s->threads > 0 ? s->threads : 2);
    brim_run_params_init(&p);
    p.batch = s->batch > 0 ? s->batch : p.batch;
    p.count = !s->no_count;
    if (s->datapath != NULL) {
        ASSERT_OK(*ctx, brim_datapath_parse(*ctx, s->datapath, &dp));
        p.datapath = &dp;
    }
    if (o != NULL) {
        p.output = keep;
        p.user = o;
    }
    ASSERT_OK(*ctx, brim_onnx_load(*ctx, s->model, &g));
    ASSERT_OK(*ctx, brim_data_open(*ctx, s->data, &data));
    ASSERT_OK(*ctx, brim_run(*ctx, g, data, &p, &report));
    print_message("%s: %zu samples, top1 %zu, %zu layers, %.2f s\n", strrchr(s->model, '/') + 1,
                  report->samples, report->top1, report->n_layers, report->seconds);
    brim_data_free(data);
    brim_graph_free(g);
    return report;
}

/* Largest difference from a float32 .npy of the same size. */
static double worst(brim_ctx *ctx, const struct outputs *o, const char *npy)
{
    struct brim_buffer b;
    double d = 0.0;

    ASSERT_OK(ctx, brim_file_read(ctx, npy, &b));
    const size_t start = 10u + b.data[8] + 256u * b.data[9], n = o->samples * o->n;
    assert_int_equal(b.size, start + 4 * n);
    for (size_t i = 0; i < n; i++) {
        float v;
        memcpy(&v, b.data + start + 4 * i, sizeof v);
        d = fmax(d, fabs((double)v - (double)o->y[i]));
    }
    brim_buffer_free(&b);
    return d;
}

struct golden {
    const char *model, *data, *npy;
    size_t classes, top1;
};

static void check_golden(const struct golden *gold)
{
    struct outputs o;
    brim_ctx *ctx;
    const struct setup s = {.model = gold->model, .data = gold->data};

    outputs_init(&o, 1000 * gold->classes);
    brim_run_report *r = run(&s, &o, &ctx);
    assert_int_equal(r->samples, 1000);
    assert_true(r->labelled);
    assert_int_equal(r->top1, gold->top1);
    assert_true(r->top5 >= r->top1);
    assert_int_equal(r->n_layers, 0); /* nothing runs in integers */
    const double d = worst(ctx, &o, gold->npy);
    print_message("  largest difference from the reference: %g\n", d);
    assert_true(d < 1e-4);
    free(o.y);
    brim_run_report_free(r);
    brim_ctx_free(ctx);
}

static void test_float_resnet8_agrees_with_the_reference(void **state)
{
    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-float.onnx");
    check_golden(&(struct golden){
        MODELS "resnet8-cifar10-float.onnx", CIFAR,
        BRIM_DATA_DIR "/mlperf-tiny/golden/resnet8-cifar10-test1000-logits-float32.npy", 10, 881});
}

static void test_float_dscnn_agrees_with_the_reference(void **state)
{
    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/dscnn-kws-float.onnx");
    check_golden(&(struct golden){
        MODELS "dscnn-kws-float.onnx", KWS,
        BRIM_DATA_DIR "/mlperf-tiny/golden/dscnn-kws01-logits-float32.npy", 12, 913});
    check_golden(&(struct golden){
        MODELS "dscnn-kws-float-parent.onnx", KWS,
        BRIM_DATA_DIR "/mlperf-tiny/golden/dscnn-kws01-parent-logits-float32.npy", 12, 901});
}

static void test_int8_models_keep_their_accuracy(void **state)
{
    static const struct {
        const char *model, *data;
        size_t layers, least, most;
    } t[] = {{MODELS "resnet8-cifar10-int8-qdq.onnx", CIFAR, 10, 874, 882},
             {MODELS "dscnn-kws-int8-qdq.onnx", KWS, 10, 899, 904}};

    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-int8-qdq.onnx");
    for (size_t i = 0; i < 2; i++) {
        brim_ctx *ctx;
        const struct setup s = {.model = t[i].model, .data = t[i].data};
        brim_run_report *r = run(&s, NULL, &ctx);
        assert_int_equal(r->n_layers, t[i].layers);
        assert_in_range(r->top1, t[i].least, t[i].most);
        for (size_t l = 0; l < r->n_layers; l++) {
            assert_string_equal(r->layers[l].datapath, "exact");
            assert_true(r->layers[l].outputs > 0);
            assert_int_equal(r->layers[l].transient + r->layers[l].persistent, 0);
            assert_in_range(r->layers[l].min_width, 10, 26);
        }
        brim_run_report_free(r);
        brim_ctx_free(ctx);
    }
}

/* A register wide enough for every sum changes nothing; one too narrow is counted. */
static void test_a_datapath_is_obeyed_and_counted(void **state)
{
    struct outputs exact, wide, narrow;
    brim_ctx *ctx[3];
    struct setup s = {.model = MODELS "dscnn-kws-int8-qdq.onnx", .data = KWS "&limit=20"};

    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/dscnn-kws-int8-qdq.onnx");
    outputs_init(&exact, 240);
    outputs_init(&wide, 240);
    outputs_init(&narrow, 240);
    brim_run_report *a = run(&s, &exact, &ctx[0]);
    s.datapath = "26s";
    brim_run_report *b = run(&s, &wide, &ctx[1]);
    s.datapath = "12s";
    brim_run_report *c = run(&s, &narrow, &ctx[2]);
    assert_memory_equal(exact.y, wide.y, 240 * sizeof(float));
    assert_memory_not_equal(exact.y, narrow.y, 240 * sizeof(float));
    uint64_t overflows = 0;
    for (size_t l = 0; l < c->n_layers; l++) {
        assert_string_equal(b->layers[l].datapath, "26s");
        assert_string_equal(c->layers[l].datapath, "12s");
        assert_int_equal(b->layers[l].persistent + b->layers[l].transient, 0);
        assert_int_equal(a->layers[l].min_width, b->layers[l].min_width);
        overflows += c->layers[l].persistent + c->layers[l].transient;
    }
    assert_true(overflows > 1000);
    brim_run_report *r[] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        brim_run_report_free(r[i]);
        brim_ctx_free(ctx[i]);
    }
    free(exact.y);
    free(wide.y);
    free(narrow.y);
}

static void same_layers(const brim_run_report *a, const brim_run_report *b)
{
    assert_int_equal(a->n_layers, b->n_layers);
    for (size_t i = 0; i < a->n_layers; i++) {
        const brim_run_layer *x = &a->layers[i], *y = &b->layers[i];
        assert_string_equal(x->name, y->name);
        assert_true(x->outputs == y->outputs && x->transient == y->transient &&
                    x->persistent == y->persistent && x->product == y->product &&
                    x->min_width == y->min_width);
    }
}

static void test_threads_and_batches_do_not_change_a_bit(void **state)
{
    static const struct {
        int threads;
        size_t batch;
    } t[] = {{1, 1}, {2, 3}, {3, 64}, {7, 8}, {1, 4096}};
    static const char *const models[] = {MODELS "resnet8-cifar10-float.onnx",
                                         MODELS "resnet8-cifar10-int8-qdq.onnx"};

    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-float.onnx");
    for (int m = 0; m < 2; m++) {
        struct outputs first, other;
        brim_ctx *ctx, *ctx2;
        struct setup s = {
            .model = models[m], .data = CIFAR "?limit=41", .datapath = "16s", .threads = 1};
        outputs_init(&first, 410);
        outputs_init(&other, 410);
        brim_run_report *r = run(&s, &first, &ctx);
        for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
            s.threads = t[i].threads;
            s.batch = t[i].batch;
            other.samples = 0;
            brim_run_report *r2 = run(&s, &other, &ctx2);
            assert_int_equal(other.samples, 41);
            assert_memory_equal(first.y, other.y, 410 * sizeof(float));
            assert_int_equal(r->top1, r2->top1);
            same_layers(r, r2);
            brim_run_report_free(r2);
            brim_ctx_free(ctx2);
        }
        free(first.y);
        free(other.y);
        brim_run_report_free(r);
        brim_ctx_free(ctx);
    }
}

/* A model whose batch dimension is fixed at 1. */
static void test_mnist8_runs_at_its_own_batch(void **state)
{
    brim_ctx *ctx;
    const struct setup s = {.model = BRIM_DATA_DIR "/models-mnist/mnist-8.onnx",
                            .data = "idx:" BRIM_DATA_DIR
                                    "/mnist/t10k-images-idx3-ubyte.gz:" BRIM_DATA_DIR
                                    "/mnist/t10k-labels-idx1-ubyte.gz?limit=2000"};

    (void)state;
    REQUIRE_DATA("models-mnist/mnist-8.onnx");
    brim_run_report *r = run(&s, NULL, &ctx);
    assert_in_range(r->top1, 1960, 1990);
    brim_run_report_free(r);
    brim_ctx_free(ctx);
}

/* The payload of a TensorProto: its field 9, raw_data. Fields before it are integers or strings. */
static float *raw_data(const struct brim_buffer *b, size_t n)
{
    size_t i = 0;

    while (i + 2 < b->size) {
        const uint8_t tag = b->data[i++];
        uint64_t v = 0;
        for (unsigned shift = 0; i < b->size; shift += 7) {
            v |= (uint64_t)(b->data[i] & 0x7fu) << shift;
            if ((b->data[i++] & 0x80u) == 0) {
                break;
            }
        }
        if (tag == (9 << 3 | 2)) {
            assert_int_equal(v, n * sizeof(float));
            assert_true(i + v <= b->size);
            float *copy = malloc(v);
            assert_non_null(copy);
            return memcpy(copy, b->data + i, v);
        }
        i += (tag & 7) == 2 ? v : 0;
    }
    fail_msg("no raw_data");
    return NULL;
}

static void test_mnist8_agrees_with_its_recorded_pair(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_buffer file[2];
    struct brim_plan *plan;
    struct brim_workspace *ws;
    brim_graph *g;

    (void)state;
    REQUIRE_DATA("models-mnist/mnist-8.onnx");
    ASSERT_OK(ctx, brim_onnx_load(ctx, BRIM_DATA_DIR "/models-mnist/mnist-8.onnx", &g));
    ASSERT_OK(ctx, brim_file_read(ctx, BRIM_DATA_DIR "/models-mnist/mnist-8.input_0.pb", &file[0]));
    ASSERT_OK(ctx,
              brim_file_read(ctx, BRIM_DATA_DIR "/models-mnist/mnist-8.output_0.pb", &file[1]));
    float *x = raw_data(&file[0], 784), *want = raw_data(&file[1], 10);
    float image[784];
    memcpy(image, x, sizeof image);
    const struct brim_tensor in = {{BRIM_FLOAT, {4, {1, 1, 28, 28}}}, image};
    ASSERT_OK(ctx, brim_plan_create(ctx, g, &(struct brim_plan_params){0}, &plan));
    ASSERT_OK(ctx, brim_workspace_create(ctx, plan, &ws));
    ASSERT_OK(ctx, brim_plan_run(plan, ws, &in, 1));
    const float *y = brim_workspace_value(ws, g->outputs[0])->data;
    for (int i = 0; i < 10; i++) {
        assert_true(fabs((double)y[i] - (double)want[i]) < 4e-3); /* of values up to 6574 */
    }
    free(x);
    free(want);
    brim_buffer_free(&file[0]);
    brim_buffer_free(&file[1]);
    brim_workspace_free(ws);
    brim_plan_free(plan);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* y = -x for x of this shape. */
static brim_graph *negate(brim_ctx *ctx, const struct brim_shape *shape, enum brim_dtype dtype)
{
    const struct brim_type type = {dtype, *shape};
    struct brim_graph *g;

    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = brim_graph_add_value(g, "x", &type), y = brim_graph_add_value(g, "y", &type);
    assert_non_null(brim_graph_add_node(g, "neg", "Neg", &x, 1, &y, 1));
    ASSERT_OK(ctx, brim_graph_add_input(g, x));
    ASSERT_OK(ctx, brim_graph_add_output(g, y));
    ASSERT_OK(ctx, brim_graph_infer(g));
    return g;
}

/* Samples of twelve numbers are read as the model's input wants them. */
static void test_samples_are_reshaped_to_the_models_input(void **state)
{
    static const struct {
        struct brim_shape shape;
        const char *data, *says; /* NULL = it runs */
    } t[] = {{{2, {-1, 12}}, "synth:noise?shape=12&limit=9", NULL},
             {{4, {-1, 1, 3, 4}}, "synth:noise?shape=3x4&limit=9", NULL},
             {{3, {-1, 4, -1}}, "synth:noise?shape=3x4&limit=9", NULL},
             {{3, {-1, -1, -1}}, "synth:noise?shape=3x4&limit=9", NULL},
             {{2, {3, 4}}, "synth:noise?shape=12&limit=9", NULL}, /* no batch at all */
             {{2, {3, 12}}, "synth:noise?shape=12&limit=9", NULL},
             {{.rank = -1}, "synth:noise?shape=12&limit=9", NULL},
             {{2, {3, 12}}, "synth:noise?shape=12&limit=8", "multiple of the model's batch of 3"},
             {{2, {-1, 11}}, "synth:noise?shape=12&limit=8", "11]"},
             {{3, {-1, 5, -1}}, "synth:noise?shape=12&limit=8", "[12]"},
             {{1, {5}}, "synth:noise?shape=12&limit=8", "[12]"},
             {{.rank = 0}, "synth:noise?shape=12&limit=8", "[12]"}};
    brim_ctx *ctx = testing_ctx(2);

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        brim_graph *g = negate(ctx, &t[i].shape, BRIM_FLOAT);
        brim_data *data;
        brim_run_params p;
        brim_run_report *r;
        struct outputs o;
        float x[9 * 12];
        outputs_init(&o, 9 * 12);
        brim_run_params_init(&p);
        p.batch = 2;
        p.output = keep;
        p.user = &o;
        ASSERT_OK(ctx, brim_data_open(ctx, t[i].data, &data));
        if (t[i].says != NULL) {
            ASSERT_FAILS(ctx, BRIM_ERR_ARG, t[i].says, brim_run(ctx, g, data, &p, &r));
        } else {
            ASSERT_OK(ctx, brim_data_read(ctx, data, 0, 9, x, NULL));
            ASSERT_OK(ctx, brim_run(ctx, g, data, &p, &r));
            assert_int_equal(o.samples, 9);
            for (size_t k = 0; k < 9 * 12; k++) {
                assert_true(o.y[k] == -x[k]);
            }
            brim_run_report_free(r);
        }
        free(o.y);
        brim_data_free(data);
        brim_graph_free(g);
    }
    brim_ctx_free(ctx);
}

static void test_a_model_with_integer_input_takes_integers_only(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *g = negate(ctx, &(struct brim_shape){2, {-1, 3072}}, BRIM_INT8);
    brim_data *data;
    brim_run_report *r;

    (void)state;
    REQUIRE_DATA("cifar10/test_first1000.bin.gz");
    ASSERT_OK(ctx, brim_data_open(ctx, CIFAR "?limit=5&zero=128", &data));
    ASSERT_OK(ctx, brim_run(ctx, g, data, NULL, &r));
    assert_int_equal(r->samples, 5);
    brim_run_report_free(r);
    brim_data_free(data);
    ASSERT_OK(ctx, brim_data_open(ctx, CIFAR "?limit=5", &data));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "expected integers in [-128, 127]",
                 brim_run(ctx, g, data, NULL, &r));
    brim_data_free(data);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void test_an_autoencoder_reports_its_error(void **state)
{
    struct outputs o[2];
    brim_ctx *ctx[2];
    brim_run_report *r[2];
    static const char *const models[] = {MODELS "ad-autoencoder-float.onnx",
                                         MODELS "ad-autoencoder-int8-qdq.onnx"};

    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/ad-autoencoder-float.onnx");
    for (int i = 0; i < 2; i++) {
        const struct setup s = {.model = models[i], .data = "synth:noise?shape=640&limit=30"};
        outputs_init(&o[i], 30 * 640);
        r[i] = run(&s, &o[i], &ctx[i]);
        assert_false(r[i]->labelled);
        assert_true(r[i]->mse > 0.0 && isfinite(r[i]->mse));
    }
    assert_int_equal(r[1]->n_layers, 10);
    /* the int8 file is the float file quantized: outputs differ by a step or so */
    double sum = 0.0, size = 0.0;
    for (size_t i = 0; i < 30 * 640; i++) {
        sum += fabs((double)o[0].y[i] - (double)o[1].y[i]);
        size += fabs((double)o[0].y[i]);
    }
    print_message("  int8 against float: relative difference %g\n", sum / size);
    assert_true(sum < 0.2 * size);
    for (int i = 0; i < 2; i++) {
        free(o[i].y);
        brim_run_report_free(r[i]);
        brim_ctx_free(ctx[i]);
    }
}

static bool stop(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)user;
    (void)stage;
    (void)total;
    return done == 0;
}

static void write_npy(brim_ctx *ctx, const char *path, const char *descr, const char *shape,
                      const void *data, size_t bytes)
{
    struct brim_buffer b;
    char head[119];

    snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr,
             shape);
    const size_t used = strlen(head);
    memset(head + used, ' ', sizeof head - used);
    head[117] = '\n';
    brim_buffer_init(&b, ctx, 1u << 20);
    ASSERT_OK(ctx, brim_buffer_append(&b, "\x93NUMPY\1\0\x76\0", 10));
    ASSERT_OK(ctx, brim_buffer_append(&b, head, 118));
    ASSERT_OK(ctx, brim_buffer_append(&b, data, bytes));
    ASSERT_OK(ctx, brim_file_write(ctx, path, b.data, b.size));
    brim_buffer_free(&b);
}

static void test_bad_requests_are_refused_in_one_sentence(void **state)
{
    brim_ctx *ctx = testing_ctx(2);
    brim_run_params p;
    brim_run_report *r = NULL;
    brim_graph *g;
    brim_data *kws, *noise, *labels;
    static const float zeros[2 * 3072];
    static const int64_t ten[] = {3, 10};

    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-float.onnx");
    ASSERT_OK(ctx, brim_onnx_load(ctx, MODELS "resnet8-cifar10-float.onnx", &g));
    ASSERT_OK(ctx, brim_data_open(ctx, KWS, &kws));
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:noise?shape=3x32x32&limit=50", &noise));
    brim_run_params_init(&p);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "[49,10]", brim_run(ctx, g, kws, &p, &r));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "3,32,32]", brim_run(ctx, g, kws, &p, &r));
    p.batch = 0;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "batch is 0", brim_run(ctx, g, noise, &p, &r));
    p.batch = 5000;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "batch is 5000", brim_run(ctx, g, noise, &p, &r));
    brim_data_free(kws);
    p.batch = 8;
    write_npy(ctx, "test_session_x.npy", "<f4", "(2, 3, 32, 32)", zeros, sizeof zeros);
    write_npy(ctx, "test_session_y.npy", "<i8", "(2,)", ten, sizeof ten);
    ASSERT_OK(ctx, brim_data_open(ctx, "npy:test_session_x.npy:test_session_y.npy", &labels));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "sample 1 has label 10", brim_run(ctx, g, labels, &p, &r));
    brim_data_free(labels);
    brim_graph_free(g);
    brim_data_free(noise);
    brim_ctx_free(ctx);
    assert_null(r);
}

static void test_the_progress_callback_can_stop_a_run(void **state)
{
    brim_ctx_params cp;
    brim_ctx *ctx;
    brim_run_report *r = NULL;
    brim_graph *g;
    brim_data *data;

    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/dscnn-kws-float.onnx");
    brim_ctx_params_init(&cp);
    cp.progress = stop;
    ASSERT_OK(NULL, brim_ctx_create(&cp, &ctx));
    ASSERT_OK(ctx, brim_onnx_load(ctx, MODELS "dscnn-kws-float.onnx", &g));
    ASSERT_OK(ctx, brim_data_open(ctx, KWS, &data));
    assert_int_equal(brim_run(ctx, g, data, NULL, &r), BRIM_ERR_CANCELLED);
    assert_null(r);
    brim_data_free(data);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float_resnet8_agrees_with_the_reference),
        cmocka_unit_test(test_float_dscnn_agrees_with_the_reference),
        cmocka_unit_test(test_int8_models_keep_their_accuracy),
        cmocka_unit_test(test_a_datapath_is_obeyed_and_counted),
        cmocka_unit_test(test_threads_and_batches_do_not_change_a_bit),
        cmocka_unit_test(test_mnist8_runs_at_its_own_batch),
        cmocka_unit_test(test_mnist8_agrees_with_its_recorded_pair),
        cmocka_unit_test(test_samples_are_reshaped_to_the_models_input),
        cmocka_unit_test(test_a_model_with_integer_input_takes_integers_only),
        cmocka_unit_test(test_an_autoencoder_reports_its_error),
        cmocka_unit_test(test_bad_requests_are_refused_in_one_sentence),
        cmocka_unit_test(test_the_progress_callback_can_stop_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
