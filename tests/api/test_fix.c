/* test_fix.c - integer models made safe for a target. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "graph/building.h"

#include "brim/certify.h"
#include "brim/fix.h"
#include "brim/onnx.h"
#include "brim/run.h"
#include "graph/dot.h"

/* ---- a small residual network with the channels of one value in three layers ---- */

enum { SIDE = 6, IN = 3, MID = 8, OUT = 5, SAMPLES = 24 };

static int32_t number(struct brim_graph *g, float v)
{
    return graph_constant(g, "s", (struct brim_type){BRIM_FLOAT, {.rank = 0}}, &v);
}

static int32_t byte(struct brim_graph *g, enum brim_dtype t, int v)
{
    const uint8_t b = (uint8_t)v;

    return graph_constant(g, "z", (struct brim_type){t, {.rank = 0}}, &b);
}

static int32_t node(struct brim_graph *g, const char *name, const char *op, const int32_t *in,
                    size_t n)
{
    const int32_t out = brim_graph_add_value(g, name, NULL);

    assert_true(out >= 0 && brim_graph_add_node(g, name, op, in, n, &out, 1) != NULL);
    return out;
}

/* v on unsigned codes of this scale. */
static int32_t coded(struct brim_graph *g, int32_t v, float scale)
{
    const int32_t q[3] = {v, number(g, scale), byte(g, BRIM_UINT8, 0)};
    const int32_t dq[3] = {node(g, "q", "QuantizeLinear", q, 3), q[1], q[2]};

    return node(g, "dq", "DequantizeLinear", dq, 3);
}

/* Codes that often overflow in pairs, and the DequantizeLinear behind them; a scale per output. */
static int32_t weights(struct brim_graph *g, const char *name, struct brim_type type, uint32_t seed)
{
    const size_t count = (size_t)brim_shape_count(&type.shape), n = (size_t)type.shape.dim[0];
    int8_t *w = malloc(count);
    float *s = malloc(n * sizeof *s);
    int8_t *z = calloc(n, 1);

    assert_true(w != NULL && s != NULL && z != NULL);
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        w[i] = (int8_t)((int)(seed >> 24) - 128);
    }
    for (size_t i = 0; i < n; i++) {
        s[i] = 0.001f * (float)(i + 1);
    }
    const int32_t in[3] = {graph_constant(g, name, type, w),
                           graph_constant(g, "ws", SHAPED(BRIM_FLOAT, (int64_t)n), s),
                           graph_constant(g, "wz", SHAPED(BRIM_INT8, (int64_t)n), z)};
    const int32_t out = node(g, "wdq", "DequantizeLinear", in, 3);
    assert_int_equal(brim_node_set_int(g, &g->nodes[g->n_nodes - 1], "axis", 0), BRIM_OK);
    free(w);
    free(s);
    free(z);
    return out;
}

static int32_t conv(struct brim_graph *g, const char *name, int32_t x, struct brim_type w,
                    uint32_t seed, int64_t groups)
{
    static const int64_t pads[4] = {1, 1, 1, 1};
    float bias[MID];

    for (int i = 0; i < MID; i++) {
        bias[i] = 0.1f * (float)(i - 2);
    }
    const int32_t in[3] = {x, weights(g, "w", w, seed),
                           graph_constant(g, "b", SHAPED(BRIM_FLOAT, w.shape.dim[0]), bias)};
    const int32_t y = node(g, name, "Conv", in, 3);
    struct brim_node *n = &g->nodes[g->n_nodes - 1];

    assert_int_equal(brim_node_set_ints(g, n, "pads", pads, 4), BRIM_OK);
    assert_int_equal(brim_node_set_int(g, n, "group", groups), BRIM_OK);
    return node(g, "relu", "Relu", &y, 1);
}

/* a = conv(x); b = depthwise(a); c = a + b; y = fc(mean(conv(c))) */
static struct brim_graph *network(brim_ctx *ctx)
{
    struct brim_graph *g;

    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, IN, SIDE, SIDE));
    const int32_t a =
        coded(g, conv(g, "a", coded(g, x, 1.0f), SHAPED(BRIM_INT8, MID, IN, 3, 3), 1, 1), 2.0f);
    const int32_t b = coded(g, conv(g, "b", a, SHAPED(BRIM_INT8, MID, 1, 3, 3), 2, MID), 2.0f);
    const int32_t sum[2] = {a, b};
    const int32_t c = coded(g, node(g, "c", "Add", sum, 2), 4.0f);
    const int32_t d = coded(g, conv(g, "d", c, SHAPED(BRIM_INT8, MID, MID, 3, 3), 3, 1), 8.0f);
    const int32_t mean = node(g, "mean", "GlobalAveragePool", &d, 1);
    const int32_t flat[2] = {coded(g, mean, 4.0f), graph_constant(g, "shape", SHAPED(BRIM_INT64, 2),
                                                                  (const int64_t[]){0, MID})};
    const int32_t fc[2] = {node(g, "flat", "Reshape", flat, 2),
                           weights(g, "w", SHAPED(BRIM_INT8, OUT, MID), 4)};
    const int32_t y = node(g, "fc", "Gemm", fc, 2);
    assert_int_equal(brim_node_set_int(g, &g->nodes[g->n_nodes - 1], "transB", 1), BRIM_OK);
    ASSERT_OK(ctx, brim_graph_add_output(g, y));
    ASSERT_OK(ctx, brim_graph_sort(g));
    ASSERT_OK(ctx, brim_graph_infer(g));
    ASSERT_OK(ctx, brim_graph_fold_moves(g));
    return g;
}

/* ---- running and fixing ---- */

struct answers {
    size_t n, each;
    float *y;
};

static void keep(void *user, size_t sample, const float *y, size_t n)
{
    struct answers *a = user;

    memcpy(a->y + sample * n, y, n * sizeof *y);
    a->n = sample + 1;
    a->each = n;
}

static size_t run(brim_ctx *ctx, const brim_graph *g, const brim_data *data, const char *datapath,
                  float *y)
{
    struct answers a = {.y = y};
    brim_datapath dp;
    brim_run_params p;
    brim_run_report *report;

    brim_run_params_init(&p);
    p.output = keep;
    p.user = &a;
    if (datapath != NULL) {
        ASSERT_OK(ctx, brim_datapath_parse(ctx, datapath, &dp));
        p.datapath = &dp;
    }
    ASSERT_OK(ctx, brim_run(ctx, g, data, &p, &report));
    const size_t correct = report->top1;
    brim_run_report_free(report);
    return correct;
}

struct job {
    brim_ctx *ctx;
    brim_targets *targets;
    brim_target plain;
    brim_fix_params p;
    struct brim_graph *g;
    brim_graph *fixed;
    brim_fix_report *report;
    brim_data *data;
};

static void open_job(struct job *j, const char *target)
{
    *j = (struct job){.ctx = testing_ctx(2)};
    ASSERT_OK(j->ctx, brim_targets_load(j->ctx, NULL, &j->targets));
    brim_fix_params_init(&j->p);
    ASSERT_OK(j->ctx, brim_targets_find(j->ctx, j->targets, target, &j->plain, &j->p.target));
    ASSERT_OK(j->ctx,
              brim_data_open(j->ctx, "synth:noise?shape=3,6,6&limit=24&scale=60", &j->data));
}

static void close_job(struct job *j)
{
    brim_fix_report_free(j->report);
    brim_graph_free(j->fixed);
    brim_graph_free(j->g);
    brim_data_free(j->data);
    brim_targets_free(j->targets);
    brim_ctx_free(j->ctx);
}

static void proven(struct job *j)
{
    brim_target_report *r;

    ASSERT_OK(j->ctx, brim_certify_target(j->ctx, j->fixed, j->p.target, &r));
    assert_true(r->proven);
    brim_target_report_free(r);
}

static double distance(const float *a, const float *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
    }
    return sum;
}

/* Every way of fixing is proven; what is known of the data and a free order make it nearer. */
static void safe_and_near(void **state)
{
    enum { RANGE, WEIGHTS, ORDER, DATA, N };
    struct job j;
    float was[SAMPLES * OUT], y[SAMPLES * OUT];
    double off[N], bits[N];

    (void)state;
    open_job(&j, "x86-maddubs");
    j.g = network(j.ctx);
    run(j.ctx, j.g, j.data, NULL, was);
    for (int way = 0; way < N; way++) {
        j.p.method = way == RANGE ? BRIM_FIX_REDUCE_RANGE : BRIM_FIX_SEARCH;
        j.p.permute = way >= ORDER;
        j.p.calib = way == DATA ? j.data : NULL;
        ASSERT_OK(j.ctx, brim_fix(j.ctx, j.g, &j.p, &j.fixed, &j.report));
        proven(&j);
        run(j.ctx, j.fixed, j.data, NULL, y);
        off[way] = distance(was, y, SAMPLES * OUT);
        bits[way] = j.report->bits_lost;
        assert_int_equal(j.report->n_layers, 4);
        assert_int_equal(j.report->layers[1].at_risk, 0); /* depthwise is wide there */
        assert_true(j.report->layers[2].at_risk > 0);
        assert_true(j.report->layers[2].permuted == (way >= ORDER));
        brim_fix_report_free(j.report);
        brim_graph_free(j.fixed);
        j.report = NULL;
        j.fixed = NULL;
    }
    assert_true(bits[WEIGHTS] < bits[RANGE] && bits[ORDER] < bits[WEIGHTS]);
    assert_true(bits[DATA] < bits[ORDER] && off[DATA] < off[RANGE]);
    close_job(&j);
}

/* Where the order is not known no channel's neighbours are: every code gets half of the register. */
static void any_order(void **state)
{
    struct job j;
    struct brim_dots dots;

    (void)state;
    open_job(&j, "x86-maddubs-any");
    j.g = network(j.ctx);
    ASSERT_OK(j.ctx, brim_fix(j.ctx, j.g, &j.p, &j.fixed, &j.report));
    proven(&j);
    ASSERT_OK(j.ctx, brim_dots_find(j.ctx, j.fixed, &dots));
    for (size_t i = 0; i < dots.count; i++) {
        assert_true(!j.report->layers[i].permuted && j.report->layers[i].bits_reduce_range < 2.0);
        for (size_t k = 0; k < dots.dot[i].n * dots.dot[i].k; k++) {
            assert_true(abs(dots.dot[i].w[k]) <= 64 || j.report->layers[i].at_risk == 0);
        }
    }
    brim_dots_free(&dots);
    close_job(&j);
}

/* Four channels in pairs of one sign: another order is all that it takes, and no integer changes. */
static void an_order_alone_changes_nothing(void **state)
{
    static const int8_t first[4 * 4] = {90, 0, 0, 0, 0, 80, 0, 0, 0, 0, 100, 0, 0, 0, 0, 70};
    static const int8_t second[2 * 4] = {100, 90, -80, -70, -60, -90, 100, 50};
    struct job j;
    float was[SAMPLES * 2], y[SAMPLES * 2];

    (void)state;
    open_job(&j, "x86-maddubs");
    brim_data_free(j.data);
    ASSERT_OK(j.ctx, brim_data_open(j.ctx, "synth:noise?shape=4&limit=24&scale=60", &j.data));
    ASSERT_OK(j.ctx, brim_graph_create(j.ctx, &j.g));
    struct brim_graph *g = j.g;
    const int32_t x = coded(g, graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, 4)), 1.0f);
    const int32_t w1[3] = {graph_constant(g, "w1", SHAPED(BRIM_INT8, 4, 4), first),
                           number(g, 0.01f), byte(g, BRIM_INT8, 0)};
    const int32_t a[2] = {x, node(g, "w1dq", "DequantizeLinear", w1, 3)};
    const int32_t h = node(g, "one", "MatMul", a, 2), r = node(g, "r", "Relu", &h, 1);
    const int32_t w2[3] = {graph_constant(g, "w2", SHAPED(BRIM_INT8, 2, 4), second),
                           number(g, 0.01f), byte(g, BRIM_INT8, 0)};
    const int32_t b[2] = {coded(g, r, 1.0f), node(g, "w2dq", "DequantizeLinear", w2, 3)};
    ASSERT_OK(j.ctx, brim_graph_add_output(g, node(g, "two", "Gemm", b, 2)));
    assert_int_equal(brim_node_set_int(g, &g->nodes[g->n_nodes - 1], "transB", 1), BRIM_OK);
    ASSERT_OK(j.ctx, brim_graph_sort(g));
    ASSERT_OK(j.ctx, brim_graph_infer(g));
    run(j.ctx, j.g, j.data, NULL, was);
    ASSERT_OK(j.ctx, brim_fix(j.ctx, j.g, &j.p, &j.fixed, &j.report));
    proven(&j);
    assert_true(j.report->layers[1].at_risk > 0 && j.report->layers[1].permuted);
    assert_int_equal(j.report->layers[0].codes_changed + j.report->layers[1].codes_changed, 0);
    assert_true(j.report->bits_lost == 0.0);
    run(j.ctx, j.fixed, j.data, NULL, y);
    assert_memory_equal(was, y, sizeof y);
    close_job(&j);
}

/* ---- a model that a saturating datapath ruins ---- */

enum { PIXELS = 64, PEOPLE = 200 };

/* Class 0 has bright pixels 0..31, class 1 bright pixels 32..63; the other half is dimmer. */
static void write_patterns(const char *path)
{
    FILE *f = fopen(path, "w");
    uint32_t seed = 7;

    assert_non_null(f);
    for (int i = 0; i < PEOPLE; i++) {
        for (int k = 0; k < PIXELS; k++) {
            seed = seed * 1664525u + 1013904223u;
            fprintf(f, "%d,", (k / 32 == i % 2 ? 200 : 140) + (int)(seed >> 28));
        }
        fprintf(f, "%d\n", i % 2);
    }
    fclose(f);
}

/* Weights 127 side by side for class 0; every other one, twice as large, for class 1. */
static struct brim_graph *matcher(brim_ctx *ctx)
{
    int8_t w[2 * PIXELS] = {0};
    const float scale[2] = {0.001f, 0.002f};
    const int8_t zero[2] = {0, 0};
    struct brim_graph *g;

    for (int k = 0; k < 32; k++) {
        w[k] = 127;
        w[PIXELS + 32 + k] = k % 2 == 0 ? 127 : 0;
    }
    ASSERT_OK(ctx, brim_graph_create(ctx, &g));
    const int32_t x = coded(g, graph_input(g, "x", SHAPED(BRIM_FLOAT, -1, PIXELS)), 1.0f);
    const int32_t in[3] = {graph_constant(g, "w", SHAPED(BRIM_INT8, 2, PIXELS), w),
                           graph_constant(g, "ws", SHAPED(BRIM_FLOAT, 2), scale),
                           graph_constant(g, "wz", SHAPED(BRIM_INT8, 2), zero)};
    const int32_t v = node(g, "wdq", "DequantizeLinear", in, 3);
    assert_int_equal(brim_node_set_int(g, &g->nodes[g->n_nodes - 1], "axis", 0), BRIM_OK);
    const int32_t fc[2] = {x, v};
    ASSERT_OK(ctx, brim_graph_add_output(g, node(g, "fc", "Gemm", fc, 2)));
    assert_int_equal(brim_node_set_int(g, &g->nodes[g->n_nodes - 1], "transB", 1), BRIM_OK);
    ASSERT_OK(ctx, brim_graph_sort(g));
    ASSERT_OK(ctx, brim_graph_infer(g));
    return g;
}

static void a_ruined_model_is_whole_again(void **state)
{
    char path[] = "/tmp/brim-fix-XXXXXX", spec[64];
    struct job j;
    float y[PEOPLE * 2];

    (void)state;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_patterns(path);
    snprintf(spec, sizeof spec, "csv:%s?label=%d", path, PIXELS);
    open_job(&j, "x86-maddubs");
    brim_data_free(j.data);
    ASSERT_OK(j.ctx, brim_data_open(j.ctx, spec, &j.data));
    j.g = matcher(j.ctx);
    assert_int_equal(run(j.ctx, j.g, j.data, NULL, y), PEOPLE);
    assert_true(run(j.ctx, j.g, j.data, "16/2s,32", y) <= PEOPLE - PEOPLE / 10);
    ASSERT_OK(j.ctx, brim_fix(j.ctx, j.g, &j.p, &j.fixed, &j.report));
    proven(&j);
    assert_int_equal(run(j.ctx, j.fixed, j.data, NULL, y), PEOPLE);
    assert_int_equal(run(j.ctx, j.fixed, j.data, "16/2s,32", y), PEOPLE);
    unlink(path);
    close_job(&j);
}

/* ---- refusals and determinism ---- */

static void refusals(void **state)
{
    struct job j;

    (void)state;
    open_job(&j, "wasm-relaxed"); /* inputs of 7 bits: no weights help */
    j.g = network(j.ctx);
    ASSERT_FAILS(j.ctx, BRIM_ERR_UNSUPPORTED, "its codes do not fit the target's operands",
                 brim_fix(j.ctx, j.g, &j.p, &j.fixed, &j.report));
    ASSERT_OK(j.ctx, brim_targets_find(j.ctx, j.targets, "x86-maddubs", &j.plain, &j.p.target));
    j.p.origin = j.g;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "origin: its layer 'a' is not the float layer of 'a'",
                 brim_fix(j.ctx, j.g, &j.p, &j.fixed, &j.report));
    close_job(&j);
}

#define RESNET "mlperf-tiny/models/resnet8-cifar10-"

/* Codes of all layers, for comparisons. */
static void hashes(brim_ctx *ctx, const brim_graph *g, char *text)
{
    struct brim_dots dots;

    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    for (size_t i = 0; i < dots.count; i++) {
        ASSERT_OK(ctx, brim_dot_hash(ctx, &dots.dot[i], text + 64 * i));
    }
    brim_dots_free(&dots);
}

/* The figures of docs/fix.md, and the same bits for any number of threads. */
static void resnet8(void **state)
{
    struct job j;
    char text[2][64 * 10 + 1];

    (void)state;
    REQUIRE_DATA(RESNET "int8-qdq.onnx");
    for (int threads = 1; threads <= 2; threads++) {
        open_job(&j, "x86-maddubs");
        j.ctx->threads = threads;
        ASSERT_OK(j.ctx, brim_onnx_load(j.ctx, BRIM_DATA_DIR "/" RESNET "int8-qdq.onnx", &j.g));
        brim_data_free(j.data);
        ASSERT_OK(j.ctx, brim_data_open(
                             j.ctx, "cifar:" BRIM_DATA_DIR "/cifar10/data_batch_1.bin.gz?limit=100",
                             &j.data));
        j.p.calib = j.data;
        ASSERT_OK(j.ctx, brim_fix(j.ctx, j.g, &j.p, &j.fixed, &j.report));
        proven(&j);
        assert_true(j.report->bits_lost < 0.2 && j.report->bits_reduce_range > 1.0);
        hashes(j.ctx, j.fixed, text[threads - 1]);
        close_job(&j);
    }
    assert_string_equal(text[0], text[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(safe_and_near),
                                       cmocka_unit_test(any_order),
                                       cmocka_unit_test(an_order_alone_changes_nothing),
                                       cmocka_unit_test(a_ruined_model_is_whole_again),
                                       cmocka_unit_test(refusals),
                                       cmocka_unit_test(resnet8)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
