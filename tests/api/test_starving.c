/* test_starving.c - load, quantize, certify, save and run with every allocation failing once.
 * SPDX-License-Identifier: Apache-2.0 */
#include "brim/certify.h"
#include "brim/inspect.h"
#include "brim/onnx.h"
#include "brim/profile.h"
#include "brim/quantize.h"
#include "brim/run.h"
#include "brim/train.h"
#include "calibrate/nets.h"
#include "data/files.h"
#include "starving.h"

/* x[N,2,4,4] -> Conv 3 of 2x2 -> Relu -> Flatten -> Gemm 4; written to a file once. */
static char *tiny_model(void)
{
    static char path[128];
    brim_ctx *ctx;
    struct brim_graph *g;
    struct brim_node *gemm;
    int32_t in[2], y;

    if (path[0] != '\0') {
        return path;
    }
    ctx = testing_ctx(1);
    snprintf(path, sizeof path, "%s/tiny.onnx", files_folder());
    g = nets_graph(ctx, 4, (const int64_t[]){-1, 2, 4, 4}, &in[0]);
    in[1] = nets_weights(g, 4, (const int64_t[]){3, 2, 2, 2});
    nets_node(g, "Conv", in, 2, &y);
    in[0] = y;
    nets_node(g, "Relu", in, 1, &y);
    in[0] = y;
    nets_node(g, "Flatten", in, 1, &y);
    in[0] = y;
    in[1] = nets_weights(g, 2, (const int64_t[]){4, 27});
    gemm = nets_node(g, "Gemm", in, 2, &y);
    ASSERT_OK(ctx, brim_node_set_int(g, gemm, "transB", 1));
    nets_finish(ctx, g, y);
    ASSERT_OK(ctx, brim_onnx_save(ctx, g, path));
    brim_graph_free(g);
    brim_ctx_free(ctx);
    return path;
}

static brim_status load(brim_ctx *ctx, void *arg)
{
    brim_graph *g = NULL;
    const brim_status status = brim_onnx_load(ctx, arg, &g);

    assert_int_equal(g != NULL, status == BRIM_OK);
    brim_graph_free(g);
    return status;
}

static void loading_survives(void **state)
{
    static char glyphs[] = BRIM_SOURCE_DIR "/examples/glyphs/glyphs.onnx";

    (void)state;
    assert_true(starving_try(load, tiny_model()) > 5);
    assert_true(starving_try(load, glyphs) > 5);
}

struct job {
    const char *model;
    const brim_data *data;
    brim_solver solver;
    brim_budget budget;
    brim_train_method method;
    const char *datapath;
};

static brim_status quantize(brim_ctx *ctx, void *arg)
{
    const struct job *job = arg;
    brim_quantize_params p;
    brim_graph *g, *out = NULL;
    brim_quantize_report *report = NULL;

    brim_quantize_params_init(&p);
    p.solve.solver = job->solver;
    p.solve.budget = job->budget;
    BRIM_TRY(brim_datapath_parse(ctx, job->datapath, &p.datapath));
    BRIM_TRY(brim_onnx_load(ctx, job->model, &g));
    const brim_status status = brim_quantize(ctx, g, job->data, &p, &out, &report);
    assert_int_equal(out != NULL && report != NULL, status == BRIM_OK);
    brim_quantize_report_free(report);
    brim_graph_free(out);
    brim_graph_free(g);
    return status;
}

static void quantizing_survives(void **state)
{
    static const struct job jobs[] = {
        {.solver = BRIM_SOLVER_OPTQ, .budget = BRIM_BUDGET_EXACT, .datapath = "16"},
        {.solver = BRIM_SOLVER_QRONOS, .budget = BRIM_BUDGET_AXE, .datapath = "14/4,18"},
        {.solver = BRIM_SOLVER_GPFQ, .budget = BRIM_BUDGET_PROJECT, .datapath = "18"},
    };
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data = nets_data(ctx, "synth:noise?shape=2x4x4&limit=6");

    (void)state;
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        struct job job = jobs[i];
        job.model = tiny_model();
        job.data = data;
        assert_true(starving_try(quantize, &job) > 50);
    }
    brim_data_free(data);
    brim_ctx_free(ctx);
}

/* Training with a checkpoint, resumed: float, A2Q+ from the post-training solution, PQS. */
static brim_status train_and_resume(brim_ctx *ctx, void *arg)
{
    const struct job *job = arg;
    char checkpoint[128];
    brim_train_params p;
    brim_graph *g = NULL, *out = NULL;
    brim_train_report *report = NULL;

    snprintf(checkpoint, sizeof checkpoint, "%s/run", files_folder());
    brim_train_params_init(&p);
    p.method = job->method;
    p.float_epochs = p.method == BRIM_TRAIN_FLOAT ? 0 : 1;
    p.epochs = 1;
    p.batch = 4;
    p.init = p.method == BRIM_TRAIN_A2Q_PLUS ? BRIM_INIT_QUANTIZE : BRIM_INIT_WEIGHTS;
    p.prune_stages = p.prune_epochs = 1;
    p.prune.keep = 1;
    p.prune.group = p.method == BRIM_TRAIN_PQS ? 2 : 0;
    p.checkpoint = checkpoint;
    BRIM_TRY(brim_datapath_parse(ctx, job->datapath, &p.datapath));
    BRIM_TRY(brim_onnx_load(ctx, tiny_model(), &g));
    brim_status status = brim_train(ctx, g, job->data, job->data, &p, &out, &report);
    assert_int_equal(out != NULL && report != NULL, status == BRIM_OK);
    if (status == BRIM_OK) {
        brim_graph_free(out);
        brim_train_report_free(report);
        out = NULL;
        report = NULL;
        p.resume = true;
        status = brim_train(ctx, g, job->data, job->data, &p, &out, &report);
    }
    brim_train_report_free(report);
    brim_graph_free(out);
    brim_graph_free(g);
    return status;
}

static void training_survives(void **state)
{
    static const struct job jobs[] = {
        {.method = BRIM_TRAIN_FLOAT, .datapath = "32"},
        {.method = BRIM_TRAIN_A2Q_PLUS, .datapath = "16"},
        {.method = BRIM_TRAIN_PQS, .datapath = "32"},
    };
    brim_ctx *ctx = testing_ctx(1);
    float x[12 * 32];
    int64_t y[12];

    (void)state;
    for (size_t i = 0; i < 12 * 32; i++) {
        x[i] = (float)(i * 37 % 19) / 8.0f - 1.0f;
        y[i / 32] = (int64_t)(i / 32 % 4);
    }
    files_write_npy("x.npy", "<f4", "(12, 2, 4, 4)", x, sizeof x);
    files_write_npy("y.npy", "<i8", "(12,)", y, sizeof y);
    brim_data *data;
    ASSERT_OK(ctx, files_open(ctx, "npy:@x.npy:@y.npy", &data));
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        struct job job = jobs[i];
        job.data = data;
        assert_true(starving_try(train_and_resume, &job) > 50);
    }
    brim_data_free(data);
    brim_ctx_free(ctx);
}

struct use {
    const char *model, *output;
    const brim_data *data;
    brim_datapath datapath;
};

/* Everything that one does with a quantized model. */
static brim_status use_model(brim_ctx *ctx, void *arg)
{
    const struct use *u = arg;
    brim_graph *g = NULL;
    brim_certificate *cert = NULL;
    brim_inspect_report *layers = NULL;
    brim_run_report *report = NULL;
    char *json = NULL;

    brim_status status = brim_onnx_load(ctx, u->model, &g);
    if (status == BRIM_OK) {
        status = brim_inspect(ctx, g, &layers);
    }
    if (status == BRIM_OK) {
        status = brim_certify(ctx, g, &u->datapath, &cert);
        if (status == BRIM_ERR_REFUTED) {
            assert_non_null(cert);
            brim_clear_error(ctx);
            status = BRIM_OK;
        }
    }
    if (status == BRIM_OK) {
        status = brim_certificate_json(ctx, cert, &json);
    }
    if (status == BRIM_OK) {
        status = brim_certificate_save(ctx, cert, u->output);
    }
    if (status == BRIM_OK) {
        status = brim_onnx_save(ctx, g, u->output);
    }
    if (status == BRIM_OK) {
        status = brim_run(ctx, g, u->data, NULL, &report);
    }
    brim_run_report_free(report);
    brim_json_free(json);
    brim_inspect_report_free(layers);
    brim_certificate_free(cert);
    brim_graph_free(g);
    return status;
}

static brim_status profile(brim_ctx *ctx, void *arg)
{
    const struct use *u = arg;
    brim_graph *g = NULL;
    brim_profile_params p;
    brim_profile_report *report = NULL;

    brim_profile_params_init(&p);
    p.predictions = true;
    p.first_width = p.last_width = 14;
    p.n_orders = 1;
    p.top = 2;
    BRIM_TRY(brim_onnx_load(ctx, u->model, &g));
    const brim_status status = brim_profile(ctx, g, u->data, &p, &report);
    assert_int_equal(report != NULL, status == BRIM_OK);
    brim_profile_report_free(report);
    brim_graph_free(g);
    return status;
}

static void using_survives(void **state)
{
    static const char *const datapaths[] = {"16", "9"}; /* proven; refuted, with witnesses */
    brim_ctx *ctx = testing_ctx(1);
    brim_quantize_params p;
    brim_graph *g, *quantized;
    char model[128], output[128];
    struct use u = {.model = model, .output = output};

    (void)state;
    snprintf(model, sizeof model, "%s/quantized.onnx", files_folder());
    snprintf(output, sizeof output, "%s/output", files_folder());
    brim_data *data = nets_data(ctx, "synth:noise?shape=2x4x4&limit=6");
    ASSERT_OK(ctx, brim_onnx_load(ctx, tiny_model(), &g));
    brim_quantize_params_init(&p);
    ASSERT_OK(ctx, brim_datapath_parse(ctx, "16", &p.datapath));
    ASSERT_OK(ctx, brim_quantize(ctx, g, data, &p, &quantized, NULL));
    ASSERT_OK(ctx, brim_onnx_save(ctx, quantized, model));
    u.data = data;
    for (size_t i = 0; i < sizeof datapaths / sizeof datapaths[0]; i++) {
        ASSERT_OK(ctx, brim_datapath_parse(ctx, datapaths[i], &u.datapath));
        assert_true(starving_try(use_model, &u) > 20);
    }
    assert_true(starving_try(profile, &u) > 20);
    brim_data_free(data);
    brim_graph_free(quantized);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_survives),
        cmocka_unit_test(quantizing_survives),
        cmocka_unit_test(training_survives),
        cmocka_unit_test(using_survives),
    };
    return cmocka_run_group_tests(tests, NULL, files_teardown);
}
