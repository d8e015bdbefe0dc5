/* test_train.c - training end to end on small images: what is promised holds. SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "brim/brim.h"
#include "data/files.h"
#include "graph/dot.h"

#define SIDE ((size_t)12)

/* Images of four kinds: a row, a column, a diagonal or a block is brighter than the noise. */
static void draw(uint8_t *x, size_t kind, struct brim_rng *rng)
{
    const size_t a = (size_t)brim_rng_below(rng, SIDE - 4);

    for (size_t i = 0; i < SIDE * SIDE; i++) {
        x[i] = (uint8_t)brim_rng_below(rng, 120);
    }
    for (size_t i = 0; i < SIDE; i++) {
        const size_t at = kind == 0   ? a * SIDE + i
                          : kind == 1 ? i * SIDE + a
                          : kind == 2 ? i * SIDE + (i + a) % SIDE
                                      : (a + i / 4) * SIDE + a + i % 4;
        x[at] = (uint8_t)(150 + brim_rng_below(rng, 100));
    }
}

static void write_idx(const char *images, const char *labels, uint32_t n, uint64_t seed)
{
    static uint8_t x[16 + 1024 * SIDE * SIDE], y[8 + 1024];
    struct brim_rng rng;

    memcpy(x, "\0\0\x08\x03\0\0\0\0\0\0\0\x0c\0\0\0\x0c", 16);
    memcpy(y, "\0\0\x08\x01\0\0\0\0", 8);
    x[6] = y[6] = (uint8_t)(n >> 8);
    x[7] = y[7] = (uint8_t)n;
    brim_rng_init(&rng, seed, 0);
    for (size_t i = 0; i < n; i++) {
        y[8 + i] = (uint8_t)brim_rng_below(&rng, 4);
        draw(x + 16 + i * SIDE * SIDE, y[8 + i], &rng);
    }
    files_write(images, x, 16 + n * SIDE * SIDE);
    files_write(labels, y, 8 + n);
}

struct job {
    brim_ctx *ctx;
    brim_graph *model, *out;
    brim_data *data, *val;
    brim_train_params p;
    brim_train_report *report;
    long stop_after, steps; /* cancels after so many batches; 0 = never */
};

static bool count_steps(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct job *j = user;

    (void)done;
    (void)total;
    return strcmp(stage, "train") != 0 || ++j->steps != j->stop_after;
}

static void open_job(struct job *j, const char *arch, int threads)
{
    brim_ctx_params cp;

    *j = (struct job){.ctx = NULL};
    brim_ctx_params_init(&cp);
    cp.threads = threads;
    cp.progress = count_steps;
    cp.user = j;
    assert_int_equal(brim_ctx_create(&cp, &j->ctx), BRIM_OK);
    ASSERT_OK(j->ctx, brim_train_arch(j->ctx, arch, &j->model));
    write_idx("x", "y", 640, 1);
    write_idx("vx", "vy", 200, 2);
    ASSERT_OK(j->ctx, files_open(j->ctx, "idx:@x:@y?scale=0.00392156862745098", &j->data));
    ASSERT_OK(j->ctx, files_open(j->ctx, "idx:@vx:@vy?scale=0.00392156862745098", &j->val));
    brim_train_params_init(&j->p);
    j->p.epochs = 4;
    j->p.batch = 32;
    j->p.rate = 0.003;
    j->p.calib = 128;
}

static void release_result(struct job *j)
{
    brim_graph_free(j->out);
    brim_train_report_free(j->report);
    j->out = NULL;
    j->report = NULL;
}

static void close_job(struct job *j)
{
    release_result(j);
    brim_data_free(j->val);
    brim_data_free(j->data);
    brim_graph_free(j->model);
    brim_ctx_free(j->ctx);
}

static brim_status try_train(struct job *j)
{
    release_result(j);
    j->steps = 0;
    return brim_train(j->ctx, j->model, j->data, j->val, &j->p, &j->out, &j->report);
}

static void train(struct job *j)
{
    ASSERT_OK(j->ctx, try_train(j));
}

static void set_datapath(struct job *j, const char *text)
{
    ASSERT_OK(j->ctx, brim_datapath_parse(j->ctx, text, &j->p.datapath));
}

/* The file that the result is. */
static struct brim_buffer bytes_of(struct job *j)
{
    struct brim_buffer b;
    char path[128];

    snprintf(path, sizeof path, "%s/result.onnx", files_folder());
    ASSERT_OK(j->ctx, brim_onnx_save(j->ctx, j->out, path));
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    brim_buffer_init(&b, j->ctx, 1 << 24);
    static uint8_t chunk[1 << 16];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;) {
        ASSERT_OK(j->ctx, brim_buffer_append(&b, chunk, n));
    }
    fclose(f);
    return b;
}

static void same_bytes(const struct brim_buffer *a, const struct brim_buffer *b)
{
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->data, b->data, a->size);
}

/* ---- what is learned ---- */

static void float_training_learns(void **state)
{
    struct job j;

    (void)state;
    open_job(&j, "mlp:144-32-4", 2);
    train(&j);
    assert_int_equal(j.report->n_epochs, 5); /* and the one before */
    assert_int_equal(j.report->n_layers, 0);
    assert_true(j.report->epochs[0].accuracy < 0.45);
    assert_true(j.report->epochs[4].loss < j.report->epochs[1].loss);
    assert_true(j.report->accuracy > 0.5);
    assert_float_equal((float)j.report->accuracy, (float)j.report->epochs[j.report->best].accuracy,
                       0.011f);
    for (size_t i = 0; i < j.report->n_epochs; i++) {
        assert_true(j.report->epochs[i].accuracy <= j.report->epochs[j.report->best].accuracy);
    }
    close_job(&j);
}

static void convolutions_learn_with_batchnorm(void **state)
{
    struct job j;
    static const bool fold[] = {false, true};
    double accuracy[2];

    (void)state;
    open_job(&j, "cnn:1x12x12-c6-p-r8-a-4", 2);
    j.p.augment = "flip,crop2";
    for (size_t i = 0; i < 2; i++) {
        size_t norms = 0;
        j.p.fold_batchnorm = fold[i];
        train(&j);
        accuracy[i] = j.report->accuracy;
        for (size_t k = 0; k < j.out->n_nodes; k++) {
            norms += strcmp(j.out->nodes[k].op_type, "BatchNormalization") == 0;
        }
        assert_int_equal(norms, fold[i] ? 0 : 4);
    }
    assert_true(accuracy[0] > 0.3);
    assert_float_equal((float)accuracy[0], (float)accuracy[1], 0.011f);
    close_job(&j);
}

static void autoencoders_learn_their_input(void **state)
{
    struct job j;

    (void)state;
    open_job(&j, "mlp:36-8-36", 2);
    brim_data_free(j.data);
    brim_data_free(j.val);
    ASSERT_OK(j.ctx, brim_data_open(j.ctx, "synth:noise?shape=36&limit=320", &j.data));
    ASSERT_OK(j.ctx, brim_data_open(j.ctx, "synth:noise?shape=36&limit=100&seed=2", &j.val));
    train(&j);
    assert_float_equal((float)j.report->accuracy, -1.0f, 0);
    assert_true(j.report->mse < j.report->epochs[0].mse);
    assert_float_equal((float)j.report->mse, (float)j.report->epochs[j.report->best].mse, 1e-4f);
    /* what is written computes what was validated: codes, scales, and biases in units of both */
    j.p.method = BRIM_TRAIN_QAT;
    j.p.wbits = j.p.abits = 3;
    j.p.edge_bits = 0;
    train(&j);
    assert_float_equal((float)j.report->mse, (float)j.report->epochs[j.report->best].mse, 1e-7f);
    close_job(&j);
}

/* Dropout is there while training, is in the float file, and does nothing when that runs. */
static void dropout_stays_in_float_models(void **state)
{
    static const char *const arch[] = {"mlp:144-12-4", "cnn:1x12x12-o50-f12-4"};
    double loss[2];
    struct job j;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t dropouts = 0;
        open_job(&j, arch[i], 2);
        train(&j);
        for (size_t k = 0; k < j.out->n_nodes; k++) {
            dropouts += strcmp(j.out->nodes[k].op_type, "Dropout") == 0;
        }
        assert_int_equal(dropouts, i);
        loss[i] = j.report->epochs[4].loss;
        assert_float_equal((float)j.report->accuracy,
                           (float)j.report->epochs[j.report->best].accuracy, 0.011f);
        close_job(&j);
    }
    assert_true(loss[1] > loss[0] + 0.05); /* half of the pixels are missing */
}

/* ---- quantized methods ---- */

/* Certified as declared, every need within the register, and as accurate as the report says. */
static void check_certified(struct job *j)
{
    brim_certificate *cert;

    ASSERT_OK(j->ctx, brim_certify(j->ctx, j->out, NULL, &cert));
    assert_true(cert->proven);
    assert_int_equal(cert->n_layers, j->report->n_layers);
    for (size_t i = 0; i < cert->n_layers; i++) {
        assert_string_equal(cert->layers[i].name, j->report->layers[i].name);
        for (size_t k = 0; k < cert->layers[i].datapath.n_stages; k++) {
            assert_int_equal(cert->layers[i].need[k], j->report->layers[i].need[k]);
            assert_true(cert->layers[i].need[k] <= cert->layers[i].datapath.stage[k].width);
        }
    }
    brim_certificate_free(cert);
}

static void every_method_gives_a_certified_graph(void **state)
{
    static const struct {
        brim_train_method method;
        const char *datapath;
        double accuracy;
    } run[] = {
        {BRIM_TRAIN_QAT, "32", 0.7},
        {BRIM_TRAIN_A2Q, "16", 0.5},
        {BRIM_TRAIN_A2Q_PLUS, "16", 0.6},
        {BRIM_TRAIN_A2Q_PLUS, "12/16,16", 0.6},
    };
    struct job j;

    (void)state;
    open_job(&j, "mlp:144-32-4", 2);
    train(&j); /* a float model to begin with */
    brim_graph_free(j.model);
    j.model = j.out;
    j.out = NULL;
    for (size_t i = 0; i < sizeof run / sizeof *run; i++) {
        j.p.method = run[i].method;
        j.p.wbits = j.p.abits = 5;
        j.p.edge_bits = 0;
        j.p.input_bits = 5;
        set_datapath(&j, run[i].datapath);
        train(&j);
        check_certified(&j);
        assert_true(j.report->layers[0].wbits <= 5);
        print_message("method %d, datapath %s: %.3f\n", (int)run[i].method, run[i].datapath,
                      j.report->accuracy);
        assert_true(j.report->accuracy > run[i].accuracy);
        assert_float_equal((float)j.report->accuracy,
                           (float)j.report->epochs[j.report->best].accuracy, 0.011f);
    }
    close_job(&j);
}

/* Epoch 0 is the post-training solution itself, and what is returned is not worse. */
static void quantize_is_where_training_begins(void **state)
{
    brim_quantize_params qp;
    brim_run_report *run;
    brim_graph *solved;
    brim_data *calib;
    struct job j;

    (void)state;
    open_job(&j, "mlp:144-32-4", 2);
    train(&j);
    brim_graph_free(j.model);
    j.model = j.out;
    j.out = NULL;
    j.p.method = BRIM_TRAIN_A2Q_PLUS;
    j.p.norm_auto = false;
    j.p.norm = BRIM_NORM_PER_SIGN;
    j.p.init = BRIM_INIT_QUANTIZE;
    set_datapath(&j, "14");
    train(&j);
    check_certified(&j);

    brim_quantize_params_init(&qp);
    qp.edge_bits = 8;
    qp.datapath = j.p.datapath;
    ASSERT_OK(j.ctx, brim_data_slice(j.ctx, j.data, 0, 128, &calib));
    ASSERT_OK(j.ctx, brim_quantize(j.ctx, j.model, calib, &qp, &solved, NULL));
    ASSERT_OK(j.ctx, brim_run(j.ctx, solved, j.val, NULL, &run));
    const double before = (double)run->top1 / (double)run->samples;
    print_message("before %.3f, epoch 0 %.3f, after %.3f\n", before, j.report->epochs[0].accuracy,
                  j.report->accuracy);
    assert_float_equal((float)before, (float)j.report->epochs[0].accuracy, 0.021f);
    assert_true(j.report->accuracy >= j.report->epochs[0].accuracy - 0.011);
    brim_run_report_free(run);
    brim_graph_free(solved);
    brim_data_free(calib);
    close_job(&j);
}

static void pruned_groups_stay_pruned(void **state)
{
    struct brim_dots dots;
    struct job j;

    (void)state;
    open_job(&j, "cnn:1x12x12-c8-c12s2-p-4", 2);
    j.p.method = BRIM_TRAIN_PQS;
    j.p.float_epochs = 2;
    j.p.float_rate = 3 * j.p.rate;
    j.p.epochs = 2;
    j.p.prune.keep = 2;
    j.p.prune.group = 8;
    j.p.prune_epochs = 1;
    for (size_t i = 0; i < 3; i++) {
        j.p.prune_regrow = i == 1;
        j.p.prune_last = i == 2;
        train(&j);
        check_certified(&j);
        assert_true(j.report->accuracy > 0.3);
        ASSERT_OK(j.ctx, brim_dots_find(j.ctx, j.out, &dots));
        for (size_t l = 1; l < dots.count; l++) { /* the first reads the input */
            const struct brim_dot *d = &dots.dot[l];
            size_t kept = 0;
            for (size_t row = 0; row < d->n; row++) {
                for (size_t g = 0; g < d->k; g += 8) {
                    size_t nonzero = 0;
                    for (size_t k = g; k < d->k && k < g + 8; k++) {
                        nonzero += d->w[row * d->k + k] != 0;
                    }
                    assert_true(nonzero <= 2);
                    kept += nonzero;
                }
            }
            assert_true(kept > d->n * d->k / 8);
        }
        brim_dots_free(&dots);
    }
    assert_string_equal(j.report->epochs[0].phase, "float");
    assert_true(j.report->epochs[1].rate > j.p.rate); /* halfway down from three times that */
    assert_true(j.report->epochs[j.report->n_epochs - 2].rate < j.p.rate);
    assert_string_equal(j.report->epochs[3].phase, "prune");
    close_job(&j);
}

static void teachers_float_layers_and_chosen_widths(void **state)
{
    struct job j;

    (void)state;
    open_job(&j, "mlp:144-24-24-4", 2);
    train(&j);
    brim_graph_free(j.model);
    j.model = j.out;
    j.out = NULL;
    j.p.method = BRIM_TRAIN_A2Q_PLUS;
    j.p.distill = 0.5;
    j.p.abits = 0;
    j.p.overrides = &(brim_quantize_override){.pattern = "fc2", .keep_float = true};
    j.p.n_overrides = 1;
    set_datapath(&j, "16");
    train(&j);
    check_certified(&j);
    assert_int_equal(j.report->n_layers, 2);
    assert_true(j.report->accuracy > 0.6);
    close_job(&j);
}

/* ---- the same bits ---- */

static void recipe(struct job *j, size_t which)
{
    j->p.epochs = 2;
    j->p.augment = "crop2";
    if (which == 1) {
        j->p.method = BRIM_TRAIN_A2Q_PLUS;
        j->p.float_epochs = 1;
        j->p.float_rate = 0.003;
        j->p.init = BRIM_INIT_QUANTIZE;
        set_datapath(j, "16");
    } else if (which >= 2) {
        j->p.method = BRIM_TRAIN_PQS;
        j->p.prune_regrow = which == 3;
        j->p.prune.keep = 1;
        j->p.prune.group = 2;
        j->p.prune_stages = 2;
        j->p.prune_epochs = 1;
        j->p.optimizer = BRIM_OPTIMIZER_SGD;
        j->p.rate = 0.01;
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    for (size_t which = 0; which < 4; which++) {
        struct brim_buffer first = {.size = 0};
        struct job kept;
        for (int threads = 1; threads <= 3; threads++) {
            struct job j;
            open_job(&j, "cnn:1x12x12-c6-p-o20-f12-4", threads);
            recipe(&j, which);
            train(&j);
            struct brim_buffer b = bytes_of(&j);
            if (threads == 1) {
                kept = j;
                first = b;
                continue;
            }
            same_bytes(&first, &b);
            brim_buffer_free(&b);
            close_job(&j);
        }
        brim_buffer_free(&first);
        close_job(&kept);
    }
}

/* Stopped after any batch and resumed: the same bits as at once. */
static void resumed_runs_end_in_the_same_bits(void **state)
{
    static const long stops[4][2] = {{7, 20}, {20, 45}, {13, 61}, {13, 61}};
    char path[128];

    (void)state;
    for (size_t which = 0; which < 4; which++) {
        struct job j;
        open_job(&j, "cnn:1x12x12-c6-p-o20-f12-4", 2);
        recipe(&j, which);
        train(&j);
        struct brim_buffer whole = bytes_of(&j);
        snprintf(path, sizeof path, "%s/run.%zu", files_folder(), which);
        j.p.checkpoint = path;
        for (size_t i = 0; i < 2; i++) {
            j.stop_after = stops[which][i] - (i > 0 ? stops[which][0] : 0);
            assert_int_equal(try_train(&j), BRIM_ERR_CANCELLED);
            brim_clear_error(j.ctx);
            j.p.resume = true;
        }
        j.stop_after = 0;
        train(&j);
        struct brim_buffer parts = bytes_of(&j);
        same_bytes(&whole, &parts);
        brim_buffer_free(&parts);
        brim_buffer_free(&whole);
        close_job(&j);
    }
}

/* ---- bad input ---- */

static void bad_input_is_one_sentence(void **state)
{
    struct job j;
    brim_data *flat;

    (void)state;
    open_job(&j, "mlp:144-8-3", 1);
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "but the model has 3 classes", try_train(&j));
    j.p.batch = 641;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "data: 640 samples, expected at least a batch of 641",
                 try_train(&j));
    j.p.batch = 32;
    j.p.augment = "spin";
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "augment: 'spin'", try_train(&j));
    j.p.augment = NULL;
    ASSERT_OK(j.ctx, brim_data_open(j.ctx, "synth:noise?shape=12", &flat));
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "validation data: samples have 12 elements",
                 brim_train(j.ctx, j.model, j.data, flat, &j.p, &j.out, NULL));
    brim_data_free(flat);
    ASSERT_OK(j.ctx, brim_data_open(j.ctx, "synth:noise?shape=144", &flat));
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "validation data: has no labels",
                 brim_train(j.ctx, j.model, j.data, flat, &j.p, &j.out, NULL));
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "the model's output of 3 elements",
                 brim_train(j.ctx, j.model, flat, flat, &j.p, &j.out, NULL));
    brim_data_free(flat);
    close_job(&j);
}

static void hopeless_runs_are_named(void **state)
{
    char path[128];
    struct job j;

    (void)state;
    open_job(&j, "mlp:144-8-4", 1);
    snprintf(path, sizeof path, "%s/good", files_folder());
    j.p.checkpoint = path;
    j.p.optimizer = BRIM_OPTIMIZER_SGD;
    j.p.rate = j.p.weight_decay = 1000; /* weights grow a million times larger in every step */
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "the loss is not a number at step", try_train(&j));
    j.p.checkpoint = NULL;
    j.p.optimizer = BRIM_OPTIMIZER_ADAMW;
    j.p.rate = j.p.weight_decay = 0.001;
    j.p.method = BRIM_TRAIN_QAT;
    set_datapath(&j, "16");
    ASSERT_FAILS(j.ctx, BRIM_ERR_INFEASIBLE, "layer 'fc1': a register of 16 bits cannot hold any",
                 try_train(&j));
    j.p.method = BRIM_TRAIN_A2Q;
    set_datapath(&j, "8");
    ASSERT_FAILS(j.ctx, BRIM_ERR_INFEASIBLE, "layer 'fc1'", try_train(&j));
    j.p.method = BRIM_TRAIN_PQS;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "prune: keep 0 of 0", try_train(&j));
    j.p.method = BRIM_TRAIN_FLOAT;
    j.p.resume = true;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "resume: no checkpoint", try_train(&j));
    close_job(&j);
}

static void operators_without_a_gradient_are_named(void **state)
{
    const struct brim_type type = {BRIM_UNDEFINED, {.rank = -1}};
    struct job j;

    (void)state;
    open_job(&j, "mlp:144-8-4", 1);
    const int32_t y = brim_graph_add_value(j.model, "curve", &type);
    assert_non_null(brim_graph_add_node(j.model, "wave", "Sigmoid", j.model->outputs, 1, &y, 1));
    j.model->outputs[0] = y;
    ASSERT_OK(j.ctx, brim_graph_infer(j.model));
    ASSERT_FAILS(j.ctx, BRIM_ERR_UNSUPPORTED, "'wave' (Sigmoid)", try_train(&j));
    close_job(&j);
}

static void checkpoints_of_other_runs_are_refused(void **state)
{
    char path[128];
    struct job j;

    (void)state;
    open_job(&j, "mlp:144-8-4", 1);
    snprintf(path, sizeof path, "%s/other", files_folder());
    j.p.checkpoint = path;
    j.p.epochs = 1;
    train(&j);
    j.p.resume = true;
    j.p.rate *= 2;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "is the checkpoint of another run", try_train(&j));
    j.p.rate /= 2;
    train(&j); /* all done already */
    assert_int_equal(j.steps, 0);
    files_text("other", "brimtrain\nbut no more");
    ASSERT_FAILS(j.ctx, BRIM_ERR_FILE, "checkpoint", try_train(&j));
    j.p.checkpoint = "/no/such/place";
    ASSERT_FAILS(j.ctx, BRIM_ERR_IO, "/no/such/place", try_train(&j));
    close_job(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_training_learns),
        cmocka_unit_test(convolutions_learn_with_batchnorm),
        cmocka_unit_test(autoencoders_learn_their_input),
        cmocka_unit_test(dropout_stays_in_float_models),
        cmocka_unit_test(every_method_gives_a_certified_graph),
        cmocka_unit_test(quantize_is_where_training_begins),
        cmocka_unit_test(pruned_groups_stay_pruned),
        cmocka_unit_test(teachers_float_layers_and_chosen_widths),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(resumed_runs_end_in_the_same_bits),
        cmocka_unit_test(bad_input_is_one_sentence),
        cmocka_unit_test(hopeless_runs_are_named),
        cmocka_unit_test(operators_without_a_gradient_are_named),
        cmocka_unit_test(checkpoints_of_other_runs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, files_teardown);
}
