/* test_foreign.c - networks as other tools write them: run, certified, and the certificate checked.
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "brim/certify.h"
#include "brim/onnx.h"
#include "check/check.h"
#include "check/foreign.h"
#include "run/plan.h"

/* A loaded model and what is proven of it. */
struct subject {
    brim_ctx *ctx;
    brim_graph *g;
    brim_certificate *cert;
    char *json;
};

static struct subject subject_of(const struct ob *model, const char *datapath)
{
    struct subject s = {.ctx = testing_ctx(1)};
    brim_datapath dp;

    ASSERT_OK(s.ctx, brim_datapath_parse(s.ctx, datapath, &dp));
    ASSERT_OK(s.ctx, brim_onnx_load_memory(s.ctx, model->data, model->n, &s.g));
    const brim_status status = brim_certify(s.ctx, s.g, &dp, &s.cert);
    if (status != BRIM_ERR_REFUTED) {
        ASSERT_OK(s.ctx, status);
    }
    ASSERT_OK(s.ctx, brim_certificate_json(s.ctx, s.cert, &s.json));
    return s;
}

static void subject_free(struct subject *s)
{
    brim_json_free(s->json);
    brim_certificate_free(s->cert);
    brim_graph_free(s->g);
    brim_ctx_free(s->ctx);
}

static void expect(const struct ob *model, const char *json, enum verdict verdict, const char *text)
{
    struct check c = {0};

    check_certificate(&c, model->data, model->n, json, strlen(json));
    if (c.verdict != verdict || strstr(c.reason, text) == NULL) {
        fail_msg("verdict %d, \"%s\"; expected %d, \"%s\"", (int)c.verdict, c.reason, (int)verdict,
                 text);
    }
    check_free(&c);
}

/* Every layer's range, need and hash as stated, by brim and by brim-check, at a width that fits and
 * at one that does not. */
struct layer_fact {
    const char *name;
    int64_t x_min, x_max;
    unsigned need;
};

static void proven_alike(const struct ob *model, const struct layer_fact *fact, size_t n)
{
    struct subject s = subject_of(model, "32");
    char width[8];

    assert_int_equal(s.cert->n_layers, n);
    for (size_t i = 0; i < n; i++) {
        const brim_certificate_layer *l = &s.cert->layers[i];
        assert_string_equal(l->name, fact[i].name);
        assert_int_equal(l->x_min, fact[i].x_min);
        assert_int_equal(l->x_max, fact[i].x_max);
        assert_int_equal(l->need[0], fact[i].need);
    }
    expect(model, s.json, VERDICT_PROVEN, "");
    subject_free(&s);
    for (size_t i = 0; i < n; i++) { /* one bit less is refuted, and the checker replays it */
        snprintf(width, sizeof width, "%u", fact[i].need - 1);
        s = subject_of(model, width);
        assert_false(s.cert->layers[i].proven);
        expect(model, s.json, VERDICT_REFUSED, "refuted, as the certificate says");
        subject_free(&s);
    }
}

/* Another constant: the certificate is not true of it. */
static void changed_model_is_refused(struct ob *model, const void *from, const void *to, size_t n)
{
    struct subject s = subject_of(model, "32");
    uint8_t *at = model->data;

    while (memcmp(at, from, n) != 0) {
        at++;
        assert_true((size_t)(at - model->data) + n <= model->n);
    }
    memcpy(at, to, n);
    expect(model, s.json, VERDICT_REFUSED, "the model's");
    subject_free(&s);
}

/* The float inputs through the model; `y` gets `n` elements of the output. */
static void run(const struct ob *model, const struct brim_type *type, const float *x, void *y,
                size_t bytes, const char *datapath)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_workspace *ws = NULL;
    struct brim_plan *plan = NULL;
    brim_graph *g = NULL;
    brim_datapath dp;
    struct brim_plan_params p = {.datapath = datapath != NULL ? &dp : NULL};
    union {
        const float *in;
        void *out;
    } data = {x};
    const struct brim_tensor in = {*type, data.out};

    if (datapath != NULL) {
        ASSERT_OK(ctx, brim_datapath_parse(ctx, datapath, &dp));
    }
    ASSERT_OK(ctx, brim_onnx_load_memory(ctx, model->data, model->n, &g));
    ASSERT_OK(ctx, brim_plan_create(ctx, g, &p, &plan));
    ASSERT_OK(ctx, brim_workspace_create(ctx, plan, &ws));
    for (int again = 0; again < 2; again++) { /* what a workspace keeps changes nothing */
        ASSERT_OK(ctx, brim_plan_run(plan, ws, &in, 1));
        const struct brim_tensor *t = brim_workspace_value(ws, g->outputs[0]);
        assert_int_equal(brim_shape_count(&t->type.shape) * (int64_t)brim_dtype_size(t->type.dtype),
                         bytes);
        memcpy(y, t->data, bytes);
    }
    brim_workspace_free(ws);
    brim_plan_free(plan);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

static struct brim_type matrix(int64_t rows, int64_t columns)
{
    return (struct brim_type){BRIM_FLOAT, {2, {rows, columns}}};
}

static struct brim_type images(int64_t n, int64_t size)
{
    return (struct brim_type){BRIM_FLOAT, {4, {n, 1, size, size}}};
}

/* ---- Brevitas ---- */

/* By hand. x1: codes -1 2 3 -3 (1.6/0.5 = 3.2; -9 clips), w1 rows + - + -, + + - +, - + - +(-0 is
 * positive): h1 = 0.5 * (-1-2+3+3, -1+2-3-3, 1+2-3-3) = 1.5, -2.5, -1.5. x2 = 1 -1 -1.
 * w2 codes: row 0 (/0.25) 1 -2 3, row 1 (/0.5) 4 -8 7; bias codes 0 (a tie) and -2: h2 = 0.25 *
 * (1+2-3+0) = 0, 0.5 * (4+8-7-2) = 1.5. Trunc: codes 0 and 3, /4 and down: 0 0, so y = 0 0. */
static void brevitas(void **state)
{
    (void)state;
    static const struct layer_fact facts[] = {
        {"fc1", -3, 3, 5}, {"fc2", -1, 1, 6}, {"fc3", -4, 3, 5}};
    const float x[8] = {-0.5f, 1.0f, 1.6f, -9.0f, 9.0f, 9.0f, -9.0f, 9.0f};
    const struct brim_type type = matrix(2, 4);
    const float from = 9, to = -9; /* the last weight of fc2 */
    struct ob model;
    float y[4];

    brevitas_network_build(&model);
    proven_alike(&model, facts, 3);
    run(&model, &type, x, y, sizeof y, NULL);
    assert_true(y[0] == 0.0f && y[1] == 0.0f);
    /* Second row: codes 3 3 -3 3: h1 = -1.5 6 1.5 (x 1), x2 = -1 1 1: h2 = 0.25 * (-1-2+3) = 0 and
     * 0.5 * (-4-8+7-2) = -3.5; codes 0 and -7, /4 and down -2: x3 = 0 -4. w3: 1 -2 / 0 1. */
    assert_true(y[2] == 0.0f && y[3] == -4.0f);
    run(&model, &type, x, y, sizeof y, "6"); /* nothing overflows six bits: the same */
    assert_true(y[2] == 0.0f && y[3] == -4.0f);
    changed_model_is_refused(&model, &from, &to, sizeof from);
}

static void older_trunc(void **state)
{
    (void)state;
    static const struct layer_fact facts[] = {{"fc", 0, 15, 8}};
    const float x[8] = {1, 2, 3, 5.4f, 99, 15, 15, 14};
    const struct brim_type type = images(2, 2);
    struct ob model;
    float y[4];

    trunc_network_build(&model);
    proven_alike(&model, facts, 1);
    run(&model, &type, x, y, sizeof y, NULL);
    assert_true(y[0] == 6.0f && y[1] == -14.0f);  /* (1+2+3+5) / 4 = 2.75, down to 2 */
    assert_true(y[2] == 42.0f && y[3] == -98.0f); /* (15+15+15+14) / 4 = 14.75 */
}

/* ---- PyTorch ---- */

static void torch(void **state)
{
    (void)state;
    static const struct layer_fact facts[] = {{"fc", 0, 127, 16}};
    const float x[3] = {1.0f, -100.0f, 100.0f}, other[2] = {0.01f, 0.25f};
    const struct brim_type type = matrix(1, 3);
    struct ob model;
    float y[2];

    torch_network_build(&model);
    proven_alike(&model, facts, 1); /* codes 100 -100 30 and 20 10 -127 (Clip) */
    run(&model, &type, x, y, sizeof y, NULL);
    /* input codes 9, 0, 127 less 5: 4 -5 122 */
    assert_true(y[0] == (float)(400 + 500 + 3660) * (0.25f * 0.01f));
    assert_true(y[1] == (float)(80 - 50 - 15494) * (0.25f * 0.5f));
    const float scales[2] = {0.01f, 0.5f};
    changed_model_is_refused(&model, scales, other, sizeof scales);
}

/* ---- dynamic quantization ---- */

/* codes, and the zero point, of n floats. */
static int dynamic(const float *x, size_t n, uint8_t *codes)
{
    float lo = 0, hi = 0;

    for (size_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    const float scale = (hi - lo) / 255.0f;
    const int zero = (int)lrintf(0.0f - lo / scale);
    for (size_t i = 0; i < n; i++) {
        const long v = lrintf(x[i] / scale) + zero;
        codes[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    return zero;
}

static void dynamic_by_hand(const float *x, int32_t *y)
{
    static const int w[2][4] = {{7, -23, 27, 124}, {-127, 6, 1, 8}}; /* zero points 3, -1 */
    uint8_t q[9], f[32];
    float c[32];
    const int zero = dynamic(x, 9, q);

    for (int o = 0; o < 2; o++) {
        for (int i = 0; i < 16; i++) {
            int sum = 0;
            for (int k = 0; k < 4; k++) {
                const int r = i / 4 - 1 + k / 2, s = i % 4 - 1 + k % 2;
                const bool inside = r >= 0 && r < 3 && s >= 0 && s < 3;
                sum += w[o][k] * (inside ? q[r * 3 + s] - zero : 0);
            }
            c[o * 16 + i] = (float)sum;
        }
    }
    const int f_zero = dynamic(c, 32, f);
    y[0] = y[1] = 0;
    for (int i = 0; i < 64; i++) {
        y[i % 2] += (i * 37 % 201 - 100) * (f[i / 2] - f_zero);
    }
}

static void dynamic_zero_points(void **state)
{
    (void)state;
    static const struct layer_fact facts[] = {{"conv", 0, 255, 17}, {"fc", 0, 255, 19}};
    const struct brim_type type = images(1, 3);
    struct ob model;
    int32_t y[2], want[2];
    float x[9];

    dynamic_network_build(&model);
    proven_alike(&model, facts, 2);
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 9; k++) {
            x[k] = (float)((i * 31 + k * 17) % 23) - (float)i; /* all signs of ranges */
        }
        dynamic_by_hand(x, want);
        run(&model, &type, x, y, sizeof y, NULL);
        assert_int_equal(y[0], want[0]);
        assert_int_equal(y[1], want[1]);
        run(&model, &type, x, y, sizeof y, "20"); /* its zero point stays outside the register */
        assert_int_equal(y[0], want[0]);
        assert_int_equal(y[1], want[1]);
    }
}

/* The statement holds for whatever zero point: one of 32 bits outside cannot be claimed for another. */
static void any_zero_point_is_said(void **state)
{
    (void)state;
    struct ob model;

    dynamic_network_build(&model);
    struct subject s = subject_of(&model, "32");
    assert_true(s.cert->layers[0].x_zero_any);
    assert_non_null(strstr(s.json, "\"x_zero\":\"any\""));
    json_t *root = json_loads(s.json, 0, NULL);
    json_object_set_new(json_array_get(json_object_get(root, "layers"), 0), "x_zero",
                        json_integer(0));
    char *text = json_dumps(root, JSON_COMPACT);
    expect(&model, text, VERDICT_ERROR, "\"x_zero\" is missing or no text");
    free(text);
    json_decref(root);
    subject_free(&s);
}

/* ---- onnxruntime's operators ---- */

/* By hand, x = 0.5 -0.3 1 0: codes 153 113 178 128, less 128: 25 -15 50 0. conv: M = 0.02, times 100:
 * 50 -30 100 0, + 128 = 178 98 228 128; times -50: -25 15 -50 0 -> 103 143 78 128.
 * add: (v + v) / 0.04 * 0.02 = v: 50 -30(0) 100 0 and -25(0) 15 -50(0) 0, clipped at 0. pool: means 37.5
 * and 3.75 of scale 0.04, in 0.02: 75, 7.5 -> 8 (even). concat: 75, 8, and 90 in 0.04: 180. */
static void qoperators(void **state)
{
    (void)state;
    static const struct layer_fact facts[] = {{"conv", 0, 255, 16}, {"fc", 0, 255, 16}};
    const float x[4] = {0.5f, -0.3f, 1.0f, 0.0f};
    const struct brim_type type = images(1, 2);
    struct ob model;
    uint8_t y[2];

    qoperator_network_build(&model);
    proven_alike(&model, facts, 2);
    run(&model, &type, x, y, sizeof y, NULL);
    /* 127 * 75 - 127 * 8 + 180 + 100 = 8789, * 0.01 = 87.9 -> 88; 150 + 24 - 720 - 3 = -549 * 0.02 = -11 */
    assert_int_equal(y[0], 128 + 88);
    assert_int_equal(y[1], 128 - 11);
    run(&model, &type, x, y, sizeof y, "17");
    assert_int_equal(y[0], 128 + 88);
    assert_int_equal(y[1], 128 - 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brevitas),
        cmocka_unit_test(older_trunc),
        cmocka_unit_test(torch),
        cmocka_unit_test(dynamic_zero_points),
        cmocka_unit_test(any_zero_point_is_said),
        cmocka_unit_test(qoperators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
