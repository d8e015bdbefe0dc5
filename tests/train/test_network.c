/* test_network.c - whole networks: real models, threads, refusals, what comes out again.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "brim/onnx.h"
#include "brim/train.h"
#include "graph/building.h"
#include "reference.h"
#include "starving.h"
#include "training.h"

static struct brim_graph *load(brim_ctx *ctx, const char *path)
{
    struct brim_graph *g = NULL;

    ASSERT_OK(ctx, brim_onnx_load(ctx, path, &g));
    ASSERT_OK(ctx, brim_graph_canonicalise(g));
    ASSERT_OK(ctx, brim_graph_fold_moves(g));
    ASSERT_OK(ctx, brim_graph_fold_bias(g));
    ASSERT_OK(ctx, brim_graph_prune_dead(g));
    ASSERT_OK(ctx, brim_graph_infer(g));
    return g;
}

static int64_t *some_labels(size_t n, size_t classes)
{
    int64_t *label = malloc(n * sizeof *label);

    assert_non_null(label);
    for (size_t i = 0; i < n; i++) {
        label[i] = (int64_t)(i * 7 % classes);
    }
    return label;
}

/* ---- real models ---- */

/* The parameters `by` times their gradients further, in double; what the loss then is. */
static double loss_along(struct reference *r, double by, const float *x,
                         const struct brim_targets *targets)
{
    for (size_t p = 0; p < r->params->count; p++) {
        const struct brim_param *param = r->params->param[p];
        for (size_t i = 0; i < param->count && param->learned; i++) {
            r->param[p][i] = (double)param->value[i] + by * (double)param->grad[i];
        }
    }
    return reference_loss(r, x, targets);
}

static double squared_gradient(const struct brim_params *params)
{
    double sum = 0;

    for (size_t p = 0; p < params->count; p++) {
        for (size_t i = 0; i < params->param[p]->count; i++) {
            sum += pow((double)params->param[p]->grad[i], 2);
        }
    }
    return sum;
}

static void check_forward(struct training *t, const float *x, size_t n)
{
    const size_t size = brim_network_output_size(t->net);
    struct reference r;
    float *y = malloc(n * size * sizeof *y);

    assert_non_null(y);
    reference_open(&r, t->net->graph, &t->params, n, false);
    double *want = reference_output(&r, x);
    ASSERT_OK(t->ctx, brim_network_predict(t->net, x, n, y));
    for (size_t i = 0; i < n * size; i++) {
        assert_float_equal(y[i], (float)want[i], 1e-4f * (1 + fabsf((float)want[i])));
    }
    free(want);
    free(y);
    reference_close(&r);
}

/* Forward as the definition says; and along the gradient the loss rises by the gradient's square. */
static void run_model(const char *path, size_t n, bool labels)
{
    brim_ctx *ctx = testing_ctx(2);
    struct brim_graph *g = load(ctx, path);
    struct training t;
    struct reference r;
    double loss;
    const char *layer;

    const brim_status made = training_try(&t, ctx, g, n);
    ASSERT_OK(ctx, made);
    const size_t size = brim_network_output_size(t.net);
    float *x = training_noise(1, n * t.net->op[0].out->size), *value = training_noise(2, n * size);
    int64_t *label = some_labels(n, size);
    const struct brim_targets targets = {.label = labels ? label : NULL,
                                         .value = labels ? NULL : value};
    check_forward(&t, x, n);
    reference_open(&r, t.net->graph, &t.params, n, true);
    ASSERT_OK(ctx, brim_network_train(t.net, x, n, &targets, 0, &loss, &layer));
    const double want = loss_along(&r, 0, x, &targets), square = squared_gradient(&t.params);
    assert_float_equal((float)(loss / want), 1, 1e-4f);
    const double step = 1e-7 * want / square;
    const double rise = loss_along(&r, step, x, &targets) - loss_along(&r, -step, x, &targets);
    print_message("loss %.6f, |gradient|^2 %.6g, rise / expected %.6f\n", loss, square,
                  rise / (2 * step * square));
    assert_float_equal((float)(rise / (2 * step * square)), 1, 1e-3f);
    free(x);
    free(value);
    free(label);
    reference_close(&r);
    training_close(&t);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

#define MODEL(name, file, n, labels)                                                               \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        REQUIRE_DATA(file);                                                                        \
        run_model(BRIM_DATA_DIR "/" file, n, labels);                                              \
    }

MODEL(resnet8, "mlperf-tiny/models/resnet8-cifar10-float.onnx", 4, true)
MODEL(resnet8_with_batchnorm, "mlperf-tiny/models/resnet8-cifar10-float-bn.onnx", 4, true)
MODEL(dscnn, "mlperf-tiny/models/dscnn-kws-float-bn.onnx", 4, true)
MODEL(autoencoder, "mlperf-tiny/models/ad-autoencoder-float-bn.onnx", 64, false)
MODEL(mnist8, "models-mnist/mnist-8.onnx", 4, true)

/* ---- a small network that needs no file ---- */

static struct brim_graph *small_net(brim_ctx *ctx)
{
    struct brim_graph *g = NULL;
    const float ratio = 0.1f, one[8] = {1, 1, 1, 1, 1, 1, 1, 1};

    if (brim_graph_create(ctx, &g) != BRIM_OK) {
        return NULL;
    }
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 3, 12, 12));
    const struct brim_type c = SHAPED(BRIM_FLOAT, 8);
    int32_t y = NODE(g, "conv1", "Conv", x, graph_weights(g, "w", SHAPED(BRIM_FLOAT, 8, 3, 3, 3)),
                     graph_weights(g, "b", c), -1, -1);
    y = NODE(g, "bn1", "BatchNormalization", y, graph_constant(g, "s", c, one),
             graph_weights(g, "bb", c), graph_weights(g, "m", c), graph_constant(g, "v", c, one));
    y = NODE(g, "relu1", "Relu", y, -1, -1, -1, -1);
    y = NODE(g, "drop1", "Dropout", y,
             graph_constant(g, "r", (struct brim_type){.dtype = BRIM_FLOAT}, &ratio), -1, -1, -1);
    y = NODE(g, "pool1", "GlobalAveragePool", y, -1, -1, -1, -1);
    y = NODE(g, "flat1", "Flatten", y, -1, -1, -1, -1);
    y = NODE(g, "fc1", "Gemm", y, graph_weights(g, "w2", SHAPED(BRIM_FLOAT, 8, 5)), -1, -1, -1);
    assert_int_equal(brim_graph_add_output(g, y), BRIM_OK);
    assert_int_equal(brim_graph_infer(g), BRIM_OK);
    return g;
}

static const struct brim_grid coarse = {.dtype = BRIM_UINT8, .hi = 15, .scale = 0.05f};

/* Ten steps of plain descent; all parameters at the end, free() them. */
static float *ten_steps(int threads, const struct brim_grid *grid, size_t *count)
{
    const size_t n = 37; /* not whole shards */
    brim_ctx *ctx = testing_ctx(threads);
    struct brim_graph *g = small_net(ctx);
    struct training t;
    double loss;
    const char *layer;

    const brim_status made = training_try_quantized(&t, ctx, g, 40, grid);
    ASSERT_OK(ctx, made);
    float *x = training_noise(1, n * 432);
    int64_t *label = some_labels(n, 5);
    const struct brim_targets targets = {.label = label};
    for (uint64_t step = 0; step < 10; step++) {
        ASSERT_OK(ctx, brim_network_train(t.net, x, n, &targets, step, &loss, &layer));
        for (size_t p = 0; p < t.params.count; p++) {
            for (size_t i = 0; i < t.params.param[p]->count; i++) {
                t.params.param[p]->value[i] -= 0.1f * t.params.param[p]->grad[i];
            }
        }
    }
    *count = 0;
    float *all = malloc(100000 * sizeof *all);
    assert_non_null(all);
    for (size_t p = 0; p < t.params.count; p++) {
        memcpy(all + *count, t.params.param[p]->value, t.params.param[p]->count * sizeof *all);
        *count += t.params.param[p]->count;
    }
    free(x);
    free(label);
    training_close(&t);
    brim_graph_free(g);
    brim_ctx_free(ctx);
    return all;
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    const struct brim_grid *const grids[] = {NULL, &coarse};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t n, m;
        float *one = ten_steps(1, grids[i], &n);
        for (int threads = 2; threads <= 5; threads++) {
            float *more = ten_steps(threads, grids[i], &m);
            assert_int_equal(n, m);
            assert_memory_equal(one, more, n * sizeof *one);
            free(more);
        }
        free(one);
    }
}

/* What the network does with quantized inputs is what it does with inputs that were quantized. */
static void quantized_inputs_are_what_the_layer_reads(void **state)
{
    const size_t n = 40;
    brim_ctx *ctx = testing_ctx(2);
    struct brim_graph *g = small_net(ctx);
    struct training with, without;
    double loss[2];
    const char *layer;
    float *x = training_noise(1, n * 432), *rounded = training_noise(1, n * 432);
    int64_t *label = some_labels(n, 5);
    const struct brim_targets targets = {.label = label};

    (void)state;
    brim_status made = training_try_quantized(&with, ctx, g, n, &coarse);
    ASSERT_OK(ctx, made);
    made = training_try(&without, ctx, g, n);
    ASSERT_OK(ctx, made);
    with.inputs[1]->grid.scale = 1e-6f; /* the second layer's is learned as well, but very fine */
    with.inputs[1]->grid.hi = 65535;
    with.inputs[1]->grid.dtype = BRIM_UINT16;
    with.inputs[1]->scale->value[0] = -12;
    brim_inputs_forward(with.inputs[0], x, n * 432, rounded);
    ASSERT_OK(ctx, brim_network_train(with.net, x, n, &targets, 0, &loss[0], &layer));
    ASSERT_OK(ctx, brim_network_train(without.net, rounded, n, &targets, 0, &loss[1], &layer));
    assert_float_equal((float)loss[0], (float)loss[1], 1e-3f);
    for (size_t p = 0; p < without.params.count; p++) {
        const struct brim_param *want = without.params.param[p], *got = NULL;
        for (size_t i = 0; i < with.params.count; i++) {
            got = strcmp(with.params.param[i]->name, want->name) == 0 ? with.params.param[i] : got;
        }
        assert_non_null(got);
        for (size_t i = 0; got != NULL && i < want->count; i++) {
            assert_float_equal(got->grad[i], want->grad[i], 2e-3f);
        }
    }
    free(x);
    free(rounded);
    free(label);
    training_close(&with);
    training_close(&without);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* Where every input is outside the range, the loss is smooth in the scale. */
static void the_scale_of_clipped_inputs_has_a_true_gradient(void **state)
{
    const size_t n = 70; /* three shards */
    brim_ctx *ctx = testing_ctx(2);
    struct brim_graph *g = NULL;
    struct training t;
    double loss, more, less;
    const char *layer;

    (void)state;
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x_value = graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 6));
    const int32_t w = graph_weights(g, "w", SHAPED(BRIM_FLOAT, 6, 4));
    ASSERT_OK(ctx, brim_graph_add_output(g, NODE(g, "fc1", "Gemm", x_value, w, -1, -1, -1)));
    ASSERT_OK(ctx, brim_graph_infer(g));
    const brim_status made = training_try_quantized(&t, ctx, g, n, &coarse);
    ASSERT_OK(ctx, made);
    float *x = training_noise(1, n * 6), *value = training_noise(2, n * 4);
    const struct brim_targets targets = {.value = value};
    for (size_t i = 0; i < n * 6; i++) {
        x[i] += x[i] < 0 ? -2.0f : 2.0f;
    }
    float *scale = t.inputs[0]->scale->value;
    const float start = *scale, step = 1.0f / 64;
    ASSERT_OK(ctx, brim_network_train(t.net, x, n, &targets, 0, &loss, &layer));
    const double got = (double)t.inputs[0]->scale->grad[0] * sqrt((double)(n * 6) * 15);
    *scale = start + step;
    ASSERT_OK(ctx, brim_network_train(t.net, x, n, &targets, 0, &more, &layer));
    *scale = start - step;
    ASSERT_OK(ctx, brim_network_train(t.net, x, n, &targets, 0, &less, &layer));
    const double want = (more - less) / (2 * (double)step);
    assert_float_equal((float)(got / want), 1, 1e-3f);
    free(x);
    free(value);
    training_close(&t);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static brim_status make_and_train(brim_ctx *ctx, void *arg)
{
    struct training t;
    double loss;
    const char *layer;
    static const float x[4 * 432] = {0};
    static const int64_t label[4] = {0, 1, 2, 3};

    brim_status s = training_try(&t, ctx, arg, 4);
    if (s == BRIM_OK) {
        s = brim_network_train(t.net, x, 4, &(struct brim_targets){.label = label}, 0, &loss,
                               &layer);
    }
    training_close(&t);
    return s;
}

static void running_out_of_memory_is_refused(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = small_net(ctx);

    (void)state;
    assert_true(starving_try(make_and_train, g) > 20);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void learned_values_go_into_a_clone(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = small_net(ctx), *learned = NULL;
    struct training t, again;
    float y[2][2 * 5];

    (void)state;
    brim_status made = training_try(&t, ctx, g, 2);
    ASSERT_OK(ctx, made);
    float *x = training_noise(1, (size_t)864);
    for (size_t p = 0; p < t.params.count; p++) {
        for (size_t i = 0; i < t.params.param[p]->count; i++) {
            t.params.param[p]->value[i] += 0.01f * (float)(i % 7);
        }
    }
    ASSERT_OK(ctx, brim_network_predict(t.net, x, 2, y[0]));
    ASSERT_OK(ctx, brim_graph_clone(g, &learned));
    ASSERT_OK(ctx, brim_network_export(t.net, learned));
    made = training_try(&again, ctx, learned, 2);
    ASSERT_OK(ctx, made);
    ASSERT_OK(ctx, brim_network_predict(again.net, x, 2, y[1]));
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_float_equal(brim_network_bias(t.net, 0)[3], t.dots.dot[0].bias[3] + 0.03f, 1e-6f);
    assert_null(brim_network_bias(t.net, 1));
    free(x);
    training_close(&t);
    training_close(&again);
    brim_graph_free(g);
    brim_graph_free(learned);
    brim_ctx_free(ctx);
}

/* ---- refusals ---- */

static void operators_without_a_gradient_are_named(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = NULL;
    struct training t;

    (void)state;
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 4));
    int32_t y =
        NODE(g, "fc1", "Gemm", x, graph_weights(g, "w", SHAPED(BRIM_FLOAT, 4, 4)), -1, -1, -1);
    y = NODE(g, "act1", "Erf", y, -1, -1, -1, -1);
    ASSERT_OK(ctx, brim_graph_add_output(g, y));
    ASSERT_OK(ctx, brim_graph_infer(g));
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED, "node 'act1' (Erf)", training_try(&t, ctx, g, 4));
    training_close(&t);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void labels_outside_the_classes_are_named(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = small_net(ctx);
    struct training t;
    const int64_t label[2] = {4, 5};
    double loss;
    const char *layer;

    (void)state;
    const brim_status made = training_try(&t, ctx, g, 2);
    ASSERT_OK(ctx, made);
    float *x = training_noise(1, (size_t)864);
    ASSERT_FAILS(
        ctx, BRIM_ERR_ARG, "sample 1 of the batch: label 5, expected 0..4",
        brim_network_train(t.net, x, 2, &(struct brim_targets){.label = label}, 0, &loss, &layer));
    free(x);
    training_close(&t);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static void a_loss_that_is_not_finite_names_its_layer(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = small_net(ctx);
    struct training t;
    const int64_t label[2] = {4, 3};
    double loss;
    const char *layer = NULL;

    (void)state;
    const brim_status made = training_try(&t, ctx, g, 2);
    ASSERT_OK(ctx, made);
    float *x = training_noise(1, (size_t)864);
    for (size_t p = 0; p < t.params.count; p++) {
        if (strcmp(t.params.param[p]->name, "fc1.weight") == 0) {
            t.params.param[p]->value[0] = NAN;
        }
    }
    ASSERT_OK(ctx, brim_network_train(t.net, x, 2, &(struct brim_targets){.label = label}, 0, &loss,
                                      &layer));
    assert_false(loss < 1e300);
    assert_string_equal(layer, "fc1");
    free(x);
    training_close(&t);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet8),
        cmocka_unit_test(resnet8_with_batchnorm),
        cmocka_unit_test(dscnn),
        cmocka_unit_test(autoencoder),
        cmocka_unit_test(mnist8),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(quantized_inputs_are_what_the_layer_reads),
        cmocka_unit_test(the_scale_of_clipped_inputs_has_a_true_gradient),
        cmocka_unit_test(running_out_of_memory_is_refused),
        cmocka_unit_test(learned_values_go_into_a_clone),
        cmocka_unit_test(operators_without_a_gradient_are_named),
        cmocka_unit_test(labels_outside_the_classes_are_named),
        cmocka_unit_test(a_loss_that_is_not_finite_names_its_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
