/* test_gradients.c - every operator forward against its definition in double, and every gradient
 * against central differences of it. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "graph/building.h"
#include "reference.h"
#include "training.h"

#define SAMPLES 11 /* more than a shard of a convolution, and not a whole number of them */

/* A network in the making: a value that grows node by node. */
struct sketch {
    brim_ctx *ctx;
    struct brim_graph *g;
    int32_t x;
    size_t layers;
};

static struct sketch begin(int rank, const int64_t *dim)
{
    struct sketch s = {.ctx = testing_ctx(2)};

    ASSERT_OK(s.ctx, brim_graph_create(s.ctx, &s.g));
    s.x = graph_input(s.g, "x", shaped(BRIM_FLOAT, rank, dim));
    return s;
}
#define BEGIN(...)                                                                                 \
    begin((int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                         \
          (const int64_t[]){__VA_ARGS__})

static struct brim_node *add(struct sketch *s, const char *op_type, int32_t second, int32_t third)
{
    char name[32];

    (void)snprintf(name, sizeof name, "n%zu", s->layers++);
    s->x = NODE(s->g, name, op_type, s->x, second, third, -1, -1);
    return last_node(s->g);
}

static void ints(struct sketch *s, const char *name, const int64_t *v, size_t n)
{
    ASSERT_OK(s->ctx, brim_node_set_ints(s->g, last_node(s->g), name, v, n));
}
#define INTS(s, name, ...)                                                                         \
    ints((s), (name), (const int64_t[]){__VA_ARGS__},                                              \
         sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* Convolution to `out` channels, 3x3 (or 3) with the padding that keeps the size. */
static void conv(struct sketch *s, int64_t in, int64_t out, int64_t groups)
{
    const int32_t w = graph_weights(s->g, "w", SHAPED(BRIM_FLOAT, out, in / groups, 3, 3));
    const int32_t b = graph_weights(s->g, "b", SHAPED(BRIM_FLOAT, out));

    add(s, "Conv", w, b);
    INTS(s, "kernel_shape", 3, 3);
    INTS(s, "pads", 1, 1, 1, 1);
    ASSERT_OK(s->ctx, brim_node_set_int(s->g, last_node(s->g), "group", groups));
}

static void dense(struct sketch *s, int64_t in, int64_t out)
{
    const int32_t w = graph_weights(s->g, "w", SHAPED(BRIM_FLOAT, out, in));
    const int32_t b = graph_weights(s->g, "b", SHAPED(BRIM_FLOAT, out));

    ASSERT_OK(s->ctx, brim_node_set_int(s->g, add(s, "Gemm", w, b), "transB", 1));
}

static void norm(struct sketch *s, int64_t channels)
{
    float positive[64];
    const struct brim_type type = SHAPED(BRIM_FLOAT, channels);
    char name[32];

    for (int64_t i = 0; i < channels; i++) {
        positive[i] = 0.5f + 0.03f * (float)i;
    }
    const int32_t in[5] = {s->x, graph_weights(s->g, "scale", type),
                           graph_weights(s->g, "bias", type), graph_weights(s->g, "mean", type),
                           graph_constant(s->g, "var", type, positive)};
    (void)snprintf(name, sizeof name, "n%zu", s->layers++);
    s->x = graph_node(s->g, name, "BatchNormalization", in);
}

static void end(struct sketch *s)
{
    ASSERT_OK(s->ctx, brim_graph_add_output(s->g, s->x));
    ASSERT_OK(s->ctx, brim_graph_infer(s->g));
}

static void release(struct sketch *s)
{
    brim_graph_free(s->g);
    brim_ctx_free(s->ctx);
}

/* ---- checking ---- */

static double tolerance = 2e-5; /* of the largest */

static void assert_near(double got, double want, double scale, const char *what, size_t i)
{
    if (!(fabs(got - want) <= tolerance * scale + 1e-7)) {
        fail_msg("%s[%zu] is %.9g, expected %.9g (of at most %.3g)", what, i, got, want, scale);
    }
}

static double largest(const double *v, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs(v[i]));
    }
    return most;
}

static void check_output(const struct training *t, const float *x, size_t n)
{
    const size_t size = brim_network_output_size(t->net);
    struct reference r;
    float *y = malloc(n * size * sizeof *y);

    assert_non_null(y);
    reference_open(&r, t->net->graph, &t->params, n, false);
    double *want = reference_output(&r, x);
    ASSERT_OK(t->ctx, brim_network_predict(t->net, x, n, y));
    for (size_t i = 0; i < n * size; i++) {
        assert_near((double)y[i], want[i], largest(want, n * size), "output", i);
    }
    free(want);
    free(y);
    reference_close(&r);
}

static double steepest(const struct brim_param *param)
{
    double most = 0;

    for (size_t i = 0; i < param->count; i++) {
        most = fmax(most, fabs((double)param->grad[i]));
    }
    return most;
}

/* About 40 elements of every parameter; `overall` is the largest element of all gradients. */
static void check_param(const struct reference *r, size_t p, const float *x,
                        const struct brim_targets *targets, double overall)
{
    const struct brim_param *param = r->params->param[p];
    const size_t every = 1 + param->count / 40;
    const double step = 1e-5;

    for (size_t i = 0; i < param->count; i += every) {
        const double old = r->param[p][i];
        r->param[p][i] = old + step;
        const double more = reference_loss(r, x, targets);
        r->param[p][i] = old - step;
        const double less = reference_loss(r, x, targets);
        r->param[p][i] = old;
        assert_near((double)param->grad[i], (more - less) / (2 * step),
                    fmax(steepest(param), 0.02 * overall), param->name, i);
    }
}

static void check_quantized(struct sketch *s, const struct brim_targets *targets, size_t n,
                            const struct brim_grid *grid)
{
    struct training t;
    struct reference r;
    double loss = 0;
    const char *layer = "";

    const brim_status made = training_try_quantized(&t, s->ctx, s->g, n, grid);
    ASSERT_OK(s->ctx, made);
    float *x = training_noise(1, n * t.net->op[0].out->size);
    check_output(&t, x, n);
    reference_open(&r, t.net->graph, &t.params, n, true);
    ASSERT_OK(s->ctx, brim_network_train(t.net, x, n, targets, 0, &loss, &layer));
    const double want = reference_loss(&r, x, targets);
    assert_near(loss, want, fabs(want), "loss", 0);
    assert_null(layer);
    double overall = 0;
    for (size_t p = 0; p < t.params.count; p++) {
        overall = fmax(overall, steepest(t.params.param[p]));
    }
    for (size_t p = 0; p < t.params.count; p++) {
        if (t.params.param[p]->learned) {
            check_param(&r, p, x, targets, overall);
        }
    }
    reference_close(&r);
    free(x);
    training_close(&t);
}

static void check_with(struct sketch *s, const struct brim_targets *targets, size_t n)
{
    /* So fine that quantized inputs are nearly what they were: straight-through gradients then are
     * nearly gradients, and all that lies between quantizer and parameters shows. */
    const struct brim_grid fine = {
        .dtype = BRIM_INT16, .lo = -32767, .hi = 32767, .scale = 64.0f / 32767};

    tolerance = 2e-5;
    check_quantized(s, targets, n, NULL);
    tolerance = 1e-2;
    check_quantized(s, targets, n, &fine);
}

/* Squared error from noise: every output has a gradient of its own. */
static void check(struct sketch *s)
{
    float *value = training_noise(2, SAMPLES * (size_t)4096);
    const struct brim_targets targets = {.value = value};

    end(s);
    check_with(s, &targets, SAMPLES);
    free(value);
    release(s);
}

/* ---- operators ---- */

static void convolution(void **state)
{
    struct sketch s = BEGIN(-1, 3, 6, 7);

    (void)state;
    conv(&s, 3, 5, 1);
    conv(&s, 5, 4, 1);
    check(&s);
}

static void convolution_grouped_and_depthwise(void **state)
{
    struct sketch s = BEGIN(-1, 4, 5, 5);

    (void)state;
    conv(&s, 4, 8, 2);
    conv(&s, 8, 8, 8);
    conv(&s, 8, 2, 1);
    check(&s);
}

static void convolution_strides_dilations_pads(void **state)
{
    struct sketch s = BEGIN(-1, 2, 9, 8);

    (void)state;
    add(&s, "Conv", graph_weights(s.g, "w", SHAPED(BRIM_FLOAT, 16, 2, 3, 2)), -1);
    INTS(&s, "strides", 2, 1);
    INTS(&s, "dilations", 1, 2);
    INTS(&s, "pads", 0, 2, 1, 0);
    add(&s, "Conv", graph_weights(s.g, "w", SHAPED(BRIM_FLOAT, 3, 16, 2, 2)), -1);
    INTS(&s, "strides", 2, 2);
    ASSERT_OK(s.ctx, brim_node_set_string(s.g, last_node(s.g), "auto_pad", "SAME_LOWER"));
    add(&s, "Conv", graph_weights(s.g, "w", SHAPED(BRIM_FLOAT, 3, 3, 1, 1)), -1);
    INTS(&s, "strides", 2, 2);
    check(&s);
}

static void convolution_of_one_axis(void **state)
{
    struct sketch s = BEGIN(-1, 3, 12);

    (void)state;
    add(&s, "Conv", graph_weights(s.g, "w", SHAPED(BRIM_FLOAT, 4, 3, 5)),
        graph_weights(s.g, "b", SHAPED(BRIM_FLOAT, 4)));
    INTS(&s, "pads", 2, 1);
    INTS(&s, "strides", 2);
    norm(&s, 4);
    add(&s, "MaxPool", -1, -1);
    INTS(&s, "kernel_shape", 2);
    INTS(&s, "strides", 2);
    add(&s, "Flatten", -1, -1);
    dense(&s, 12, 3);
    check(&s);
}

static void gemm_and_matmul(void **state)
{
    struct sketch s = BEGIN(-1, 9);

    (void)state;
    dense(&s, 9, 70); /* more than one block of outputs */
    add(&s, "MatMul", graph_weights(s.g, "w", SHAPED(BRIM_FLOAT, 70, 6)), -1);
    add(&s, "Gemm", graph_weights(s.g, "w", SHAPED(BRIM_FLOAT, 6, 4)),
        graph_weights(s.g, "b", SHAPED(BRIM_FLOAT, 4)));
    ASSERT_OK(s.ctx, brim_node_set_float(s.g, last_node(s.g), "alpha", 0.5f));
    ASSERT_OK(s.ctx, brim_node_set_float(s.g, last_node(s.g), "beta", 2.0f));
    check(&s);
}

static void batchnorm(void **state)
{
    (void)state;
    for (int64_t channels = 3; channels <= 33; channels += 10) { /* not whole vectors */
        struct sketch s = BEGIN(-1, 2, 5, 5);
        conv(&s, 2, channels, 1);
        norm(&s, channels);
        conv(&s, channels, 2, 1);
        check(&s);
    }
}

static void batchnorm_with_a_clip_and_two_readers(void **state)
{
    struct sketch s = BEGIN(-1, 2, 4, 4);

    (void)state;
    conv(&s, 2, 16, 1);
    const int32_t before = s.x;
    norm(&s, 16);
    add(&s, "Relu", -1, -1);
    const int32_t a = s.x;
    s.x = before; /* read twice: by this one as well */
    norm(&s, 16);
    add(&s, "Add", a, -1);
    add(&s, "Relu", -1, -1);
    add(&s, "Flatten", -1, -1);
    dense(&s, 256, 10);
    norm(&s, 10);
    check(&s);
}

static void activations(void **state)
{
    struct sketch s = BEGIN(-1, 8);
    const float lo = -0.5f, hi = 0.75f;
    const struct brim_type scalar = {.dtype = BRIM_FLOAT, .shape = {.rank = 0}};

    (void)state;
    dense(&s, 8, 12);
    add(&s, "Relu", -1, -1);
    dense(&s, 12, 12);
    add(&s, "Clip", graph_constant(s.g, "lo", scalar, &lo), graph_constant(s.g, "hi", scalar, &hi));
    dense(&s, 12, 12);
    add(&s, "LeakyRelu", -1, -1);
    dense(&s, 12, 12);
    norm(&s, 12);
    add(&s, "Clip", graph_constant(s.g, "lo", scalar, &lo), -1);
    dense(&s, 12, 5);
    check(&s);
}

static void additions_and_their_readers(void **state)
{
    struct sketch s = BEGIN(-1, 2, 4, 4);

    (void)state;
    conv(&s, 2, 4, 1);
    add(&s, "Relu", -1, -1);
    const int32_t a = s.x;
    conv(&s, 4, 4, 1);
    add(&s, "Add", a, -1);
    add(&s, "Add", s.x, -1); /* itself twice */
    const int32_t b = s.x;
    add(&s, "Relu", -1, -1);
    conv(&s, 4, 4, 1);
    add(&s, "Add", b, -1);
    add(&s, "Relu", -1, -1);
    const int32_t c = s.x;
    add(&s, "Add", a, -1);
    add(&s, "Concat", c, a);
    ASSERT_OK(s.ctx, brim_node_set_int(s.g, last_node(s.g), "axis", 1));
    conv(&s, 12, 2, 1);
    check(&s);
}

static void pools(void **state)
{
    struct sketch s = BEGIN(-1, 2, 9, 9);

    (void)state;
    conv(&s, 2, 6, 1);
    add(&s, "MaxPool", -1, -1);
    INTS(&s, "kernel_shape", 3, 2);
    INTS(&s, "strides", 2, 1);
    INTS(&s, "pads", 1, 0, 1, 1);
    conv(&s, 6, 4, 1);
    const int32_t before = s.x;
    add(&s, "AveragePool", -1, -1);
    INTS(&s, "kernel_shape", 2, 3);
    INTS(&s, "strides", 2, 2);
    INTS(&s, "pads", 1, 1, 0, 1);
    const int32_t a = s.x;
    s.x = before;
    add(&s, "AveragePool", -1, -1);
    INTS(&s, "kernel_shape", 2, 3);
    INTS(&s, "strides", 2, 2);
    INTS(&s, "pads", 1, 1, 0, 1);
    ASSERT_OK(s.ctx, brim_node_set_int(s.g, last_node(s.g), "count_include_pad", 1));
    add(&s, "Add", a, -1);
    conv(&s, 4, 5, 1);
    add(&s, "GlobalAveragePool", -1, -1);
    add(&s, "Flatten", -1, -1);
    dense(&s, 5, 3);
    check(&s);
}

static void mean_over_space(void **state)
{
    struct sketch s = BEGIN(-1, 2, 4, 3);
    const int64_t axes[] = {2, 3};

    (void)state;
    conv(&s, 2, 6, 1);
    add(&s, "Relu", -1, -1);
    add(&s, "ReduceMean", graph_constant(s.g, "axes", SHAPED(BRIM_INT64, 2), axes), -1);
    ASSERT_OK(s.ctx, brim_node_set_int(s.g, last_node(s.g), "keepdims", 0));
    dense(&s, 6, 3);
    check(&s);
}

static void moves(void **state)
{
    struct sketch s = BEGIN(-1, 3, 4, 5);
    const int64_t to[] = {-1, 4, 15}, flat[] = {-1, 60};

    (void)state;
    conv(&s, 3, 3, 1);
    add(&s, "Transpose", -1, -1);
    INTS(&s, "perm", 0, 2, 3, 1);
    add(&s, "Reshape", graph_constant(s.g, "to", SHAPED(BRIM_INT64, 3), to), -1);
    const int32_t before = s.x;
    add(&s, "Relu", -1, -1);
    add(&s, "Add", before, -1);
    add(&s, "Reshape", graph_constant(s.g, "flat", SHAPED(BRIM_INT64, 2), flat), -1);
    dense(&s, 60, 4);
    check(&s);
}

static void an_output_with_space_axes(void **state)
{
    struct sketch s = BEGIN(-1, 2, 3, 4);

    (void)state;
    conv(&s, 2, 5, 1);
    add(&s, "Relu", -1, -1);
    add(&s, "Identity", -1, -1);
    check(&s);
}

/* ---- losses ---- */

static void cross_entropy(void **state)
{
    static const int64_t label[SAMPLES] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2};
    float *teacher = training_noise(3, (size_t)SAMPLES * 4);
    const struct brim_targets targets[] = {
        {.label = label},
        {.label = label, .smoothing = 0.1},
        {.label = label, .teacher = teacher, .share = 0.7, .temperature = 3, .smoothing = 0.2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct sketch s = BEGIN(-1, 6);
        dense(&s, 6, 9);
        add(&s, "Relu", -1, -1);
        dense(&s, 9, 4);
        if (i == 1) {
            add(&s, "Softmax", -1, -1);
        }
        end(&s);
        check_with(&s, &targets[i], SAMPLES);
        release(&s);
    }
    free(teacher);
}

static void dropout_drops_a_share_and_hands_back_what_it_kept(void **state)
{
    struct sketch s = BEGIN(-1, 50);
    const float ratio = 0.25f;
    const struct brim_type scalar = {.dtype = BRIM_FLOAT, .shape = {.rank = 0}};
    struct training t;
    double loss;
    const char *layer;
    size_t dropped = 0;

    (void)state;
    dense(&s, 50, 50);
    add(&s, "Dropout", graph_constant(s.g, "ratio", scalar, &ratio), -1);
    end(&s);
    const brim_status made = training_try(&t, s.ctx, s.g, 40);
    ASSERT_OK(s.ctx, made);
    float *x = training_noise(1, 2000), *value = training_noise(2, 2000);
    const struct brim_targets targets = {.value = value};
    ASSERT_OK(s.ctx, brim_network_train(t.net, x, 40, &targets, 7, &loss, &layer));
    const struct brim_net_value *in = t.net->output->producer->in[0], *out = t.net->output;
    for (size_t i = 0; i < 2000; i++) {
        const bool zero = out->data[i] == 0;
        dropped += zero;
        assert_float_equal(out->data[i], zero ? 0 : in->data[i] / 0.75f, 1e-6f);
        assert_float_equal(in->grad[i], zero ? 0 : out->grad[i] / 0.75f, 1e-6f);
    }
    assert_in_range(dropped, 425, 575); /* 500 +- 4 deviations */
    float *y = malloc(2000 * sizeof *y);
    assert_non_null(y);
    ASSERT_OK(s.ctx, brim_network_predict(t.net, x, 40, y));
    assert_memory_equal(y, in->data, 2000 * sizeof *y);
    free(x);
    free(y);
    free(value);
    training_close(&t);
    release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution),
        cmocka_unit_test(convolution_grouped_and_depthwise),
        cmocka_unit_test(convolution_strides_dilations_pads),
        cmocka_unit_test(convolution_of_one_axis),
        cmocka_unit_test(gemm_and_matmul),
        cmocka_unit_test(batchnorm),
        cmocka_unit_test(batchnorm_with_a_clip_and_two_readers),
        cmocka_unit_test(activations),
        cmocka_unit_test(additions_and_their_readers),
        cmocka_unit_test(pools),
        cmocka_unit_test(mean_over_space),
        cmocka_unit_test(moves),
        cmocka_unit_test(an_output_with_space_axes),
        cmocka_unit_test(cross_entropy),
        cmocka_unit_test(dropout_drops_a_share_and_hands_back_what_it_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
