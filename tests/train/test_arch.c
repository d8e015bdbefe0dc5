/* test_arch.c - networks from a line of text. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "brim/run.h"
#include "brim/train.h"
#include "graph/dot.h"
#include "starving.h"

static struct brim_graph *build(brim_ctx *ctx, const char *text)
{
    struct brim_graph *g;

    ASSERT_OK(ctx, brim_train_arch(ctx, text, &g));
    return g;
}

static void worked_example(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = build(ctx, "mlp:4-3-2");
    struct brim_dots dots;

    (void)state;
    assert_int_equal(g->n_nodes, 3);
    assert_string_equal(g->nodes[0].op_type, "Gemm");
    assert_string_equal(g->nodes[0].name, "fc1");
    assert_string_equal(g->nodes[1].op_type, "Relu");
    assert_string_equal(g->nodes[2].name, "fc2");
    assert_string_equal(g->values[g->outputs[0]].name, "output");
    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    assert_int_equal(dots.count, 2);
    assert_int_equal(dots.dot[0].n, 3);
    assert_int_equal(dots.dot[0].k, 4);
    assert_int_equal(dots.dot[1].n, 2);
    assert_int_equal(dots.dot[1].k, 3);
    brim_dots_free(&dots);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* Shapes as inference finds them, and a run of it. */
static void a_convolutional_network(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g = build(ctx, "cnn:3x9x9-c8k5-ds2-r8-r12s2-o25-p-a-f6-4");
    static const struct {
        const char *name;
        size_t n, k;
    } want[] = {{"conv1", 8, 75},    {"depthwise1", 8, 9}, {"res1.a", 8, 72},
                {"res1.b", 8, 72},   {"res2.a", 12, 72},   {"res2.shortcut", 12, 8},
                {"res2.b", 12, 108}, {"fc1", 6, 12},       {"fc2", 4, 6}};
    struct brim_dots dots;
    brim_data *data;
    brim_run_report *report;

    (void)state;
    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    assert_int_equal(dots.count, sizeof want / sizeof *want);
    for (size_t i = 0; i < dots.count; i++) {
        size_t j = 0;
        while (j < dots.count && strcmp(want[i].name, dots.dot[j].name) != 0) {
            j++;
        }
        assert_true(j < dots.count);
        assert_int_equal(dots.dot[j].n, want[i].n);
        assert_int_equal(dots.dot[j].k, want[i].k);
    }
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:noise?shape=3x9x9&limit=3", &data));
    ASSERT_OK(ctx, brim_run(ctx, g, data, NULL, &report));
    assert_int_equal(report->samples, 3);
    brim_run_report_free(report);
    brim_data_free(data);
    brim_dots_free(&dots);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

/* He et al.: variance 2 / fan_in, 1 / fan_in in the last layer; the seed decides all. */
static void weights_have_the_right_size(void **state)
{
    brim_ctx *ctx = testing_ctx(1), *other;
    brim_ctx_params p;
    struct brim_graph *a = build(ctx, "mlp:400-100-100"), *b = build(ctx, "mlp:400-100-100"), *c;
    struct brim_dots da, db, dc;

    (void)state;
    brim_ctx_params_init(&p);
    p.seed = 2;
    assert_int_equal(brim_ctx_create(&p, &other), BRIM_OK);
    c = build(other, "mlp:400-100-100");
    ASSERT_OK(ctx, brim_dots_find(ctx, a, &da));
    ASSERT_OK(ctx, brim_dots_find(ctx, b, &db));
    ASSERT_OK(other, brim_dots_find(other, c, &dc));
    for (size_t i = 0; i < 2; i++) {
        const struct brim_dot *d = &da.dot[i];
        double sum = 0.0;
        for (size_t k = 0; k < d->n * d->k; k++) {
            sum += (double)d->w_f32[k] * (double)d->w_f32[k];
        }
        assert_float_equal((float)(sum / (double)d->n), i == 0 ? 2.0f : 1.0f, 0.05f);
        assert_memory_equal(d->w_f32, db.dot[i].w_f32, d->n * d->k * sizeof *d->w_f32);
        assert_true(memcmp(d->w_f32, dc.dot[i].w_f32, d->n * d->k * sizeof *d->w_f32) != 0);
    }
    brim_dots_free(&da);
    brim_dots_free(&db);
    brim_dots_free(&dc);
    brim_graph_free(a);
    brim_graph_free(b);
    brim_graph_free(c);
    brim_ctx_free(other);
    brim_ctx_free(ctx);
}

static void bad_texts_are_one_sentence(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "expected mlp:... or cnn:..."},
        {"rnn:3-4", "expected mlp:... or cnn:..."},
        {"mlp:", "expected mlp:INPUTS-UNITS-...-CLASSES"},
        {"mlp:784", "expected mlp:INPUTS-UNITS-...-CLASSES"},
        {"mlp:784-", "arch: '' in 'mlp:784-', expected a number of units"},
        {"mlp:784-c8-10", "'c8' in"},
        {"mlp:784-0-10", "'0' in"},
        {"mlp:784-70000", "'70000' in"},
        {"mlp:784-10k3", "'10k3' in"},
        {"cnn:28x28-c8-10", "expected cnn:CHANNELSxHEIGHTxWIDTH"},
        {"cnn:1x28x28x1-c8-10", "expected cnn:CHANNELSxHEIGHTxWIDTH"},
        {"cnn:1x28x28-c8", "'c8' in"},
        {"cnn:1x28x28-10-10", "'10' in"},
        {"cnn:1x28x28-c8k4-10", "'c8k4' in"},
        {"cnn:1x28x28-c8s2s2-10", "'c8s2s2' in"},
        {"cnn:1x28x28-z-10", "'z' in"},
        {"cnn:1x28x28-f8-c4-10", "'c4' in"},
        {"cnn:1x2x2-p-p-10", "'p' in"},
        {"cnn:1x28x28-o100-10", "'o100' in"},
    };
    brim_ctx *ctx = testing_ctx(1);
    struct brim_graph *g;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ASSERT_FAILS(ctx, BRIM_ERR_ARG, bad[i].says, brim_train_arch(ctx, bad[i].text, &g));
        assert_null(g);
    }
    brim_ctx_free(ctx);
}

static brim_status starved(brim_ctx *ctx, void *arg)
{
    struct brim_graph *g;
    const brim_status s = brim_train_arch(ctx, arg, &g);

    brim_graph_free(g);
    return s;
}

static void memory_runs_out(void **state)
{
    (void)state;
    assert_true(starving_try(starved, "cnn:1x4x4-c2-r3s2-f3-2") > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),
        cmocka_unit_test(a_convolutional_network),
        cmocka_unit_test(weights_have_the_right_size),
        cmocka_unit_test(bad_texts_are_one_sentence),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
