/* test_quantize.c - the main job on the glyph network and on ResNet-8: what is promised holds.
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "brim/brim.h"

struct job {
    brim_ctx *ctx;
    brim_graph *model, *quantized;
    brim_data *calib, *fresh;
    brim_quantize_params p;
    brim_quantize_report *report;
};

static void open_files(struct job *j, const char *model, const char *calib, const char *fresh)
{
    *j = (struct job){.ctx = testing_ctx(2)};
    brim_quantize_params_init(&j->p);
    ASSERT_OK(j->ctx, brim_onnx_load(j->ctx, model, &j->model));
    ASSERT_OK(j->ctx, brim_data_open(j->ctx, calib, &j->calib));
    ASSERT_OK(j->ctx, brim_data_open(j->ctx, fresh, &j->fresh));
}

static void open_glyphs(struct job *j)
{
    open_files(j, BRIM_SOURCE_DIR "/examples/glyphs/glyphs.onnx", "synth:glyphs?limit=128&seed=1",
               "synth:glyphs?limit=300&seed=3");
}

static void release_result(struct job *j)
{
    brim_graph_free(j->quantized);
    brim_quantize_report_free(j->report);
    j->quantized = NULL;
    j->report = NULL;
}

static void close_job(struct job *j)
{
    release_result(j);
    brim_data_free(j->fresh);
    brim_data_free(j->calib);
    brim_graph_free(j->model);
    brim_ctx_free(j->ctx);
}

static void quantize(struct job *j, const char *datapath)
{
    release_result(j);
    ASSERT_OK(j->ctx, brim_datapath_parse(j->ctx, datapath, &j->p.datapath));
    ASSERT_OK(j->ctx, brim_quantize(j->ctx, j->model, j->calib, &j->p, &j->quantized, &j->report));
}

/* Top-1 of the quantized model on fresh data, counting; no register may have left its range. */
static double run_clean(struct job *j, const brim_datapath *as)
{
    brim_run_params p;
    brim_run_report *r;

    brim_run_params_init(&p);
    p.datapath = as;
    ASSERT_OK(j->ctx, brim_run(j->ctx, j->quantized, j->fresh, &p, &r));
    for (size_t i = 0; i < r->n_layers; i++) {
        assert_true(r->layers[i].outputs > 0);
        assert_int_equal(r->layers[i].transient + r->layers[i].persistent + r->layers[i].product,
                         0);
        assert_true(r->layers[i].min_width <= j->report->layers[i].need[0]);
    }
    const double top1 = (double)r->top1 / (double)r->samples;
    brim_run_report_free(r);
    return top1;
}

/* Every solver under every budget that promises one, on one and two stages: certified, every need
 * within the register, and clean when the certified model runs on a saturating adder. */
static void every_budget_keeps_its_promise(void **state)
{
    static const char *const datapaths[] = {"18", "14", "13/16,17"};
    struct job j;
    (void)state;

    open_glyphs(&j);
    for (int solver = BRIM_SOLVER_RTN; solver <= BRIM_SOLVER_QRONOS; solver++) {
        for (int budget = BRIM_BUDGET_PROJECT; budget <= BRIM_BUDGET_AXE; budget++) {
            j.p.solve.solver = (brim_solver)solver;
            j.p.solve.budget = (brim_budget)budget;
            for (size_t d = 0; d < 3; d++) {
                quantize(&j, datapaths[d]);
                assert_int_equal(j.report->n_layers, 4);
                for (size_t i = 0; i < 4; i++) {
                    assert_true(brim_datapath_fits(&j.p.datapath, j.report->layers[i].need));
                }
                brim_datapath saturating = j.p.datapath;
                saturating.stage[0].mode = BRIM_MODE_SATURATE;
                run_clean(&j, &saturating);
            }
        }
    }
    close_job(&j);
}

static void exact_keeps_the_accuracy_where_axe_cannot(void **state)
{
    struct job j;
    (void)state;

    open_glyphs(&j);
    quantize(&j, "16");
    assert_true(run_clean(&j, NULL) > 0.97);
    j.p.solve.budget = BRIM_BUDGET_AXE;
    quantize(&j, "16");
    assert_true(run_clean(&j, NULL) < 0.9);
    close_job(&j);
}

/* At 12 bits, 8-bit activations leave 8 code units per sign; fewer codes leave more. */
static void chosen_widths_beat_fixed_ones(void **state)
{
    struct job j;
    (void)state;

    open_glyphs(&j);
    quantize(&j, "12");
    const double fixed = run_clean(&j, NULL);
    j.p.abits = 0;
    j.p.input_bits = 0;
    quantize(&j, "12");
    const double chosen = run_clean(&j, NULL);
    for (size_t i = 0; i < j.report->n_layers; i++) {
        assert_in_range(j.report->layers[i].abits, 3, 8);
        assert_in_range(j.report->layers[i].levels, 8, 256);
    }
    assert_true(chosen > fixed);
    assert_true(chosen > 0.95);
    close_job(&j);
}

static void overrides_win_field_by_field(void **state)
{
    brim_datapath wide;
    struct job j;
    (void)state;

    open_glyphs(&j);
    ASSERT_OK(j.ctx, brim_datapath_parse(j.ctx, "24", &wide));
    const brim_quantize_override o[] = {
        {.pattern = "conv1", .keep_float = true},
        {.pattern = "conv2", .abits = 5},
        {.pattern = "conv*", .wbits = 3, .abits = 6},
        {.pattern = "f?1", .datapath = &wide},
    };
    j.p.overrides = o;
    j.p.n_overrides = sizeof o / sizeof *o;
    quantize(&j, "18");
    assert_int_equal(j.report->n_layers, 3);
    assert_string_equal(j.report->layers[0].name, "conv2");
    assert_int_equal(j.report->layers[0].abits, 5);
    assert_true(j.report->layers[0].wbits <= 3);
    assert_int_equal(j.report->layers[1].abits, 6);
    assert_true(j.report->layers[2].need[0] > 18); /* fc1: 8x8 bits with room to spend */
    assert_true(run_clean(&j, NULL) > 0.9);
    close_job(&j);
}

/* First and last layer at their own bits: the input's stay 8, an override still wins. */
static void edges_have_bits_of_their_own(void **state)
{
    struct job j;

    (void)state;
    open_glyphs(&j);
    j.p.solve.wbits = 4;
    j.p.abits = 4;
    j.p.edge_bits = 6;
    quantize(&j, "32");
    assert_int_equal(j.report->n_layers, 4);
    static const unsigned wbits[] = {6, 4, 4, 6}, abits[] = {8, 4, 4, 6};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(j.report->layers[i].wbits, wbits[i]);
        assert_int_equal(j.report->layers[i].abits, abits[i]);
    }
    j.p.overrides = &(brim_quantize_override){.pattern = "fc1", .wbits = 3};
    j.p.n_overrides = 1;
    quantize(&j, "32");
    assert_int_equal(j.report->layers[3].wbits, 3);
    assert_int_equal(j.report->layers[3].abits, 6);
    close_job(&j);
}

static void symmetric_codes_are_signed(void **state)
{
    struct job j;
    brim_certificate *cert;
    (void)state;

    open_glyphs(&j);
    brim_data_free(j.calib); /* inputs of both signs */
    ASSERT_OK(j.ctx, brim_data_open(j.ctx, "synth:glyphs?limit=64&mean=100&std=1", &j.calib));
    j.p.act_symmetric = true;
    quantize(&j, "18");
    ASSERT_OK(j.ctx, brim_certify(j.ctx, j.quantized, NULL, &cert));
    assert_int_equal(cert->layers[0].x_min, -128);
    assert_int_equal(cert->layers[0].x_max, 127);
    brim_certificate_free(cert);
    j.p.act_symmetric = false;
    quantize(&j, "18");
    ASSERT_OK(j.ctx, brim_certify(j.ctx, j.quantized, NULL, &cert));
    assert_int_equal(cert->layers[0].x_min, 0);
    assert_int_equal(cert->layers[0].x_max, 255);
    assert_true(cert->layers[0].x_zero > 0);
    brim_certificate_free(cert);
    close_job(&j);
}

static double top1(struct job *j)
{
    brim_run_params p;
    brim_run_report *r;

    brim_run_params_init(&p);
    ASSERT_OK(j->ctx, brim_run(j->ctx, j->quantized, j->fresh, &p, &r));
    const double share = (double)r->top1 / (double)r->samples;
    brim_run_report_free(r);
    return share;
}

/* Float and integer scales for every vector, every budget: the register of the vectors holds, also
 * where it is narrower than the codes alone would need. Convolutions take a divisor of their channels;
 * the first, of one channel, keeps a scale per output. */
static void vectors_fit_their_register(void **state)
{
    struct job j;
    brim_certificate *cert;

    (void)state;
    open_glyphs(&j);
    j.p.solve.wbits = 4;
    for (unsigned i = 0; i < 8; i++) {
        const unsigned bits = i % 2 == 0 ? 4 : 0, width = i / 2 == 0 ? 16 : 11;
        j.p.solve.vector = (brim_vector_params){.length = 16, .scale_bits = bits, .percentile = 99};
        j.p.solve.budget = (brim_budget)(i / 2);
        j.p.abits = j.p.input_bits = width == 16 ? 8 : 6;
        quantize(&j, width == 16 ? "16/16,32" : "11");
        assert_int_equal(j.report->layers[0].vector, 0);
        assert_int_equal(j.report->layers[1].vector, 8);
        assert_int_equal(j.report->layers[3].vector, 16);
        assert_true(j.report->layers[3].weight_bits ==
                    j.report->layers[3].wbits + (bits == 0 ? 2.0 : 0.25));
        for (size_t l = 1; l < 4; l++) {
            assert_in_range(j.report->layers[l].need[0], 2, width);
            assert_true((j.report->layers[l].need[1] == 0) == (bits == 0));
        }
        ASSERT_OK(j.ctx, brim_certify(j.ctx, j.quantized, NULL, &cert));
        brim_certificate_free(cert);
        assert_true(top1(&j) > (width == 16 ? 0.97 : i / 2 == BRIM_BUDGET_EXACT ? 0.95 : 0.5));
    }
    close_job(&j);
}

struct outputs {
    size_t n;
    float y[1024];
};

static void keep_output(void *user, size_t sample, const float *y, size_t n)
{
    struct outputs *o = user;

    (void)sample;
    assert_true(o->n + n <= sizeof o->y / sizeof *o->y);
    memcpy(o->y + o->n, y, n * sizeof *y);
    o->n += n;
}

static uint64_t events_on(struct job *j, const char *datapath, struct outputs *out)
{
    brim_datapath dp;
    brim_run_params p;
    brim_run_report *r;
    uint64_t events = 0;

    brim_run_params_init(&p);
    if (datapath != NULL) {
        ASSERT_OK(j->ctx, brim_datapath_parse(j->ctx, datapath, &dp));
        p.datapath = &dp;
    }
    out->n = 0;
    p.output = keep_output;
    p.user = out;
    ASSERT_OK(j->ctx, brim_run(j->ctx, j->quantized, j->fresh, &p, &r));
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_run_layer *l = &r->layers[i];
        assert_true(l->min_width >= 2 && l->outputs > 0);
        events += l->transient + l->persistent + l->product;
    }
    brim_run_report_free(r);
    return events;
}

/* A certified layer runs as one product of codes times scales, or as one of each vector; where nothing
 * is certified register after register is simulated. Both give the same as long as nothing overflows,
 * and something else when it does. Scale bits 0: floats, sums behind the vectors are no integers. */
static void vectors_run_as_they_add_up(void **state)
{
    static const struct {
        brim_vector_inputs inputs;
        unsigned scale_bits, product;
    } cases[] = {{BRIM_VECTOR_INPUTS_NONE, 4, 0},    {BRIM_VECTOR_INPUTS_STATIC, 4, 0},
                 {BRIM_VECTOR_INPUTS_STATIC, 7, 5},  {BRIM_VECTOR_INPUTS_DYNAMIC, 7, 0},
                 {BRIM_VECTOR_INPUTS_DYNAMIC, 4, 5}, {BRIM_VECTOR_INPUTS_NONE, 0, 0}};
    struct job j;
    struct outputs fast, slow;

    (void)state;
    open_glyphs(&j);
    brim_data_free(j.fresh);
    ASSERT_OK(j.ctx, brim_data_open(j.ctx, "synth:glyphs?limit=6&seed=3", &j.fresh));
    j.p.solve.wbits = 4;
    j.p.solve.vector = (brim_vector_params){.length = 8, .scale_bits = 4, .percentile = 99};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        j.p.vector_inputs = cases[i].inputs;
        j.p.solve.vector.scale_bits = cases[i].scale_bits;
        j.p.scale_product = cases[i].product;
        quantize(&j, "32/8,40");
        assert_int_equal(events_on(&j, NULL, &fast), 0);
        assert_int_equal(events_on(&j, "14/8,64", &slow), 0); /* 15 bits are needed, not used */
        assert_int_equal(fast.n, 60);
        assert_memory_equal(fast.y, slow.y, fast.n * sizeof *fast.y);
        assert_true(events_on(&j, "9/8s,64", &slow) > 0);
        assert_true(memcmp(fast.y, slow.y, fast.n * sizeof *fast.y) != 0);
    }
    /* Every layer with vectors needs a stage of their length. */
    brim_datapath whole;
    brim_run_params p;
    brim_run_report *r;
    ASSERT_OK(j.ctx, brim_datapath_parse(j.ctx, "32", &whole));
    brim_run_params_init(&p);
    p.datapath = &whole;
    for (unsigned bits = 0; bits <= 10; bits += 10) {
        j.p.solve.vector.scale_bits = bits;
        quantize(&j, "32/8,48");
        ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "no stage but the last has tiles of 8 products",
                     brim_run(j.ctx, j.quantized, j.fresh, &p, &r));
    }
    close_job(&j);
}

/* The product of two scales of 4 bits, kept to R: what the last register needs shrinks with it, all of
 * it is certified, and from 8 on nothing is rounded. */
static void products_of_scales_are_rounded(void **state)
{
    static const unsigned kept[] = {0, 8, 20, 5, 3};
    struct outputs all, some;
    unsigned need[5] = {0};
    struct job j;
    brim_certificate *cert;

    (void)state;
    open_glyphs(&j);
    brim_data_free(j.fresh);
    ASSERT_OK(j.ctx, brim_data_open(j.ctx, "synth:glyphs?limit=6&seed=3", &j.fresh));
    j.p.solve.wbits = 4;
    j.p.solve.vector = (brim_vector_params){.length = 8, .scale_bits = 4, .percentile = 99};
    for (int inputs = BRIM_VECTOR_INPUTS_STATIC; inputs <= BRIM_VECTOR_INPUTS_DYNAMIC; inputs++) {
        for (size_t i = 0; i < 5; i++) {
            j.p.vector_inputs = (brim_vector_inputs)inputs;
            j.p.scale_product = kept[i];
            quantize(&j, "32/8,32");
            need[i] = j.report->layers[1].need[1];
            assert_int_equal(events_on(&j, NULL, i == 0 ? &all : &some), 0);
            ASSERT_OK(j.ctx, brim_certify(j.ctx, j.quantized, NULL, &cert));
            assert_int_equal(cert->layers[0].product_shift, 0); /* it has no vectors */
            assert_int_equal(cert->layers[1].product_shift, i < 3 ? 0 : 8 - kept[i]);
            brim_certificate_free(cert);
            assert_true(i == 0 || (memcmp(all.y, some.y, all.n * sizeof *all.y) == 0) == (i < 3));
        }
        assert_true(need[1] == need[0] && need[2] == need[0]);
        assert_in_range(need[3], need[0] - 4, need[0] - 2);
        assert_in_range(need[4], need[0] - 6, need[0] - 4);
    }
    close_job(&j);
}

/* Kept weights carry what the pruned ones lose; pruning codes afterwards has nothing to make up. */
static void pruned_networks_keep_their_function(void **state)
{
    struct job j;
    double error[2];

    (void)state;
    open_glyphs(&j);
    j.p.prune = (brim_prune_params){.keep = 2, .group = 4, .block = 1, .damping = 0.01};
    for (int last = 0; last < 2; last++) {
        j.p.prune_last = last == 1;
        quantize(&j, "18");
        assert_true(j.report->layers[0].sparsity < 0.4); /* it reads the model's input */
        error[last] = 0;
        for (size_t l = 1; l < 4; l++) {
            assert_true(j.report->layers[l].sparsity >= 0.5);
            error[last] += j.report->layers[l].rel_error;
        }
        assert_true(run_clean(&j, NULL) > (last == 0 ? 0.9 : 0.2));
    }
    j.p.prune_last = false;
    j.p.prune.saliency = BRIM_SALIENCY_MOMENTS;
    quantize(&j, "18");
    assert_true(run_clean(&j, NULL) > 0.9);
    close_job(&j);
}

static void nonsense_is_refused(void **state)
{
    brim_graph *again;
    struct job j;
    (void)state;

    open_glyphs(&j);
    ASSERT_OK(j.ctx, brim_datapath_parse(j.ctx, "3", &j.p.datapath));
    ASSERT_FAILS(j.ctx, BRIM_ERR_INFEASIBLE, "layer 'conv1'",
                 brim_quantize(j.ctx, j.model, j.calib, &j.p, &again, NULL));
    assert_null(again);
    quantize(&j, "20");
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "quantized already",
                 brim_quantize(j.ctx, j.quantized, j.calib, &j.p, &again, NULL));
    j.p.abits = 9;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "activation bits: 9",
                 brim_quantize(j.ctx, j.model, j.calib, &j.p, &again, NULL));
    j.p.abits = 8;
    j.p.solve.wbits = 1;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "weight bits: 1",
                 brim_quantize(j.ctx, j.model, j.calib, &j.p, &again, NULL));
    j.p.solve.wbits = 4;
    j.p.scale_product = 4;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "scale product: 4 bits, expected 1..20 and vectors",
                 brim_quantize(j.ctx, j.model, j.calib, &j.p, &again, NULL));
    close_job(&j);
}

#define MLPERF BRIM_DATA_DIR "/mlperf-tiny/models/"
#define CIFAR  "cifar:" BRIM_DATA_DIR "/cifar10/"

/* Two rows of docs/results.md, with fewer calibration images. */
static void resnet8_stays_accurate(void **state)
{
    struct job j;
    (void)state;

    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-float.onnx");
    REQUIRE_DATA("cifar10/data_batch_1.bin.gz");
    REQUIRE_DATA("cifar10/test_first1000.bin.gz");
    open_files(&j, MLPERF "resnet8-cifar10-float.onnx", CIFAR "data_batch_1.bin.gz?limit=300",
               CIFAR "test_first1000.bin.gz");
    j.p.solve.wbits = 4;
    quantize(&j, "16/64,32");
    assert_true(run_clean(&j, NULL) > 0.85);
    quantize(&j, "16");
    assert_true(run_clean(&j, NULL) > 0.84);
    close_job(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_budget_keeps_its_promise),
        cmocka_unit_test(exact_keeps_the_accuracy_where_axe_cannot),
        cmocka_unit_test(chosen_widths_beat_fixed_ones),
        cmocka_unit_test(overrides_win_field_by_field),
        cmocka_unit_test(edges_have_bits_of_their_own),
        cmocka_unit_test(symmetric_codes_are_signed),
        cmocka_unit_test(vectors_fit_their_register),
        cmocka_unit_test(vectors_run_as_they_add_up),
        cmocka_unit_test(products_of_scales_are_rounded),
        cmocka_unit_test(pruned_networks_keep_their_function),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(resnet8_stays_accurate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
