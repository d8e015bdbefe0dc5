/* test_qonnx.c - QONNX's quantizers: what they compute, and what is refused. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Values are compared with the formulas of QONNX's own pages, written out once more here, in float32
 * and one rounding per operation.
 */
#include "testing.h"

#include <math.h>

#include "base/rng.h"
#include "brim/onnx.h"
#include "check/foreign.h"
#include "run/plan.h"
#include "starving.h"

/* One quantizer between x and y. */
struct quantizer {
    const char *op, *domain;
    float scale[3], zero, bits, out_scale, out_bits;
    int n_scales; /* along axis 1 of x; 0 = one */
    int is_signed, narrow;
    const char *mode;
    bool constant; /* x is one */
    int trunc;     /* version */
};

enum { COUNT = 96 }; /* elements of x, [32,3] */

static void build(const struct quantizer *q, const float *x, struct ob *model)
{
    const bool bipolar = strcmp(q->op, "BipolarQuant") == 0;
    struct ob g = {0};

    model->n = 0;
    ob_text(&g, 2, "g");
    ob_constant(&g, "s", 1, q->n_scales > 0 ? DIMS(1, q->n_scales) : SCALAR, q->scale,
                4 * (size_t)(q->n_scales > 0 ? q->n_scales : 1));
    foreign_float(&g, "z", q->zero);
    foreign_float(&g, "b", q->bits);
    foreign_float(&g, "os", q->out_scale);
    foreign_float(&g, "ob", q->out_bits);
    ob_value(&g, 11, "x", 1, DIMS(32, 3));
    ob_value(&g, 12, "y", 1, DIMS(32, 3));
    if (q->constant) {
        ob_constant(&g, "c", 1, DIMS(32, 3), x, 4 * COUNT);
    }
    const char *in = bipolar         ? q->constant ? "c,s" : "x,s"
                     : q->trunc == 1 ? "x,s,z,b,ob"
                     : q->trunc == 2 ? "x,s,z,b,os,ob"
                     : q->constant   ? "c,s,z,b"
                                     : "x,s,z,b";
    struct ob n = ob_foreign(q->domain, "q", q->op, in, "y");
    if (!bipolar && q->trunc != 1) {
        ob_attribute(&n, "signed", q->is_signed);
        ob_attribute(&n, "narrow", q->narrow);
    }
    if (q->mode != NULL) {
        ob_string(&n, "rounding_mode", q->mode);
    }
    ob_message(&g, 1, &n);
    ob_model_of(model, &g, 11);
}

/* y of the model, or the error when it is refused. */
static brim_status evaluate(brim_ctx *ctx, const struct ob *model, const float *x, float *y)
{
    struct brim_plan_params p = {.n_wanted = 0};
    struct brim_workspace *ws = NULL;
    struct brim_plan *plan = NULL;
    brim_graph *g = NULL;
    union {
        const float *in;
        void *out;
    } data = {x};
    const struct brim_tensor in = {{BRIM_FLOAT, {2, {32, 3}}}, data.out};

    BRIM_TRY(brim_onnx_load_memory(ctx, model->data, model->n, &g));
    for (size_t i = 0; i < g->n_nodes; i++) { /* nothing of QONNX is left */
        assert_string_equal(g->nodes[i].domain, "");
    }
    for (size_t i = 0; i < g->n_opsets; i++) {
        assert_string_equal(g->opsets[i].domain, "");
    }
    ASSERT_OK(ctx, brim_plan_create(ctx, g, &p, &plan));
    ASSERT_OK(ctx, brim_workspace_create(ctx, plan, &ws));
    ASSERT_OK(ctx, brim_plan_run(plan, ws, &in, 1));
    memcpy(y, brim_workspace_value(ws, g->outputs[0])->data, 4 * COUNT);
    brim_workspace_free(ws);
    brim_plan_free(plan);
    brim_graph_free(g);
    return BRIM_OK;
}

/* ---- the formulas ---- */

static float round_mode(const char *mode, float v)
{
    const float sign = v < 0 ? -1.0f : 1.0f, m = fabsf(v);

    switch (mode == NULL ? 'R' : mode[0] == 'H' ? mode[5] : mode[0]) {
    case 'F':
    case 'f':
        return floorf(v);
    case 'C':
        return ceilf(v);
    case 'U':
        return mode[0] == 'H' ? sign * floorf(m + 0.5f) : sign * ceilf(m);
    case 'D':
        return mode[0] == 'H' ? sign * ceilf(m - 0.5f) : sign * floorf(m);
    default:
        return rintf(v);
    }
}

static float clamp(const struct quantizer *q, float bits, float v)
{
    const float half = exp2f(bits - 1.0f);
    const float lo = q->is_signed ? (float)q->narrow - half : 0.0f;
    const float hi = q->is_signed ? half - 1.0f : 2.0f * half - 1.0f - (float)q->narrow;

    return v > hi ? hi : v < lo ? lo : v;
}

static float formula(const struct quantizer *q, float x, int channel)
{
    const float s = q->scale[q->n_scales > 0 ? channel : 0], z = q->zero;
    float v = x / s + z;

    if (strcmp(q->op, "BipolarQuant") == 0) {
        return (x >= 0 ? 1.0f : -1.0f) * s;
    }
    if (q->trunc == 0 && q->bits == 1.0f && q->is_signed) {
        return (v >= 0 ? 1.0f : -1.0f) * s;
    }
    if (q->trunc == 0) {
        return (round_mode(q->mode, clamp(q, q->bits, v)) - z) * s;
    }
    v = rintf(v);
    const char *mode = q->mode == NULL ? "FLOOR" : q->mode;
    if (q->trunc == 1) {
        return (round_mode(mode, v / exp2f(q->bits - q->out_bits)) - z) * s;
    }
    const float by = exp2f(rintf(log2f(q->out_scale / s)));
    return (round_mode(mode, clamp(q, q->out_bits, v / by)) - z / by) * q->out_scale;
}

static void check_one(const struct quantizer *q)
{
    brim_ctx *ctx = testing_ctx(1);
    static struct ob model;
    float x[COUNT], y[COUNT];
    struct brim_rng rng;

    brim_rng_init(&rng, 3, 1);
    for (int i = 0; i < COUNT; i++) { /* ties, their neighbours, both zeros, and what clips */
        const float s = q->scale[q->n_scales > 0 ? i % 3 : 0];
        x[i] =
            i < 40 ? (float)(i - 20) * 0.5f * s : (float)(brim_rng_uniform(&rng) * 40.0 - 20.0) * s;
        x[i] = i == 90   ? nextafterf(2.5f * s, 0.0f)
               : i == 91 ? -0.0f
               : i == 92 ? 1e30f
               : i == 93 ? -1e30f
               : i == 94 ? 1e-30f
               : i == 95 ? -1e-30f
                         : x[i];
    }
    build(q, x, &model);
    ASSERT_OK(ctx, evaluate(ctx, &model, x, y));
    for (int i = 0; i < COUNT; i++) {
        const float want = formula(q, x[i], i % 3);
        if (y[i] != want) {
            fail_msg("%s %s: x = %.9g gives %.9g, expected %.9g", q->op,
                     q->mode == NULL ? "" : q->mode, (double)x[i], (double)y[i], (double)want);
        }
    }
    brim_ctx_free(ctx);
}

#define QUANT .op = "Quant", .domain = "onnx.brevitas"

static void quantizers_follow_their_formulas(void **state)
{
    (void)state;
    static const struct quantizer q[] = {
        {QUANT, .scale = {0.25f}, .bits = 4, .is_signed = 1},
        {QUANT, .scale = {0.25f}, .bits = 4, .is_signed = 1, .narrow = 1},
        {QUANT, .scale = {0.3f}, .bits = 8, .mode = "ROUND"},
        {QUANT, .scale = {0.3f}, .bits = 3, .narrow = 1, .mode = "round"},
        {QUANT, .scale = {0.5f}, .bits = 8, .is_signed = 1, .zero = 3},
        {QUANT, .scale = {0.5f}, .bits = 5, .zero = 9},
        {QUANT, .scale = {0.5f}, .bits = 8, .is_signed = 1, .mode = "FLOOR"},
        {QUANT, .scale = {0.5f}, .bits = 8, .is_signed = 1, .zero = -5, .mode = "CEIL"},
        {QUANT, .scale = {1e-3f}, .bits = 12, .is_signed = 1},
        {QUANT, .scale = {1e-3f}, .bits = 16},
        {QUANT, .scale = {0.5f}, .bits = 1},
        {QUANT, .scale = {0.5f}, .bits = 1, .is_signed = 1},
        {QUANT, .scale = {0.5f, 0.25f, 1.5f}, .n_scales = 3, .bits = 4, .is_signed = 1},
        {QUANT, .scale = {0.5f, 0.25f, 1.5f}, .n_scales = 3, .bits = 4, .zero = 7},
        {.op = "IntQuant", .domain = "qonnx.custom_op.general", .scale = {2}, .bits = 2},
        {.op = "IntQuant", .domain = "finn.custom_op.general", .scale = {2}, .bits = 7},
        {.op = "BipolarQuant", .domain = "brevitas.onnx", .scale = {0.75f}},
        {.op = "BipolarQuant",
         .domain = "qonnx.custom_op.general",
         .scale = {1, 2, 3},
         .n_scales = 3},
    };

    for (size_t i = 0; i < sizeof q / sizeof q[0]; i++) {
        struct quantizer constant = q[i];
        constant.constant = true;
        check_one(&q[i]);
        check_one(&constant);
    }
}

/* A constant is rounded while loading, in whatever way. */
static void constants_take_every_rounding(void **state)
{
    (void)state;
    static const char *const modes[] = {"ROUND", "HALF_EVEN", "CEIL",    "FLOOR",
                                        "UP",    "DOWN",      "HALF_UP", "HALF_DOWN"};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        const struct quantizer q = {QUANT,          .scale = {0.5f},  .bits = 6,
                                    .is_signed = 1, .mode = modes[i], .constant = true};
        check_one(&q);
    }
}

#define TRUNC .op = "Trunc", .domain = "qonnx.custom_op.general"

static void both_truncs(void **state)
{
    (void)state;
    static const struct quantizer q[] = {
        {TRUNC, .trunc = 1, .scale = {0.5f}, .bits = 8, .out_bits = 6},
        {TRUNC, .trunc = 1, .scale = {0.5f}, .bits = 8, .out_bits = 7, .zero = 2, .mode = "ROUND"},
        {TRUNC, .trunc = 2, .scale = {0.5f}, .bits = 8, .out_scale = 2, .out_bits = 4,
         .is_signed = 1},
        {TRUNC, .trunc = 2, .scale = {0.5f}, .bits = 8, .out_scale = 2, .out_bits = 4, .zero = 4,
         .mode = "CEIL"},
        {TRUNC, .trunc = 2, .scale = {0.5f}, .bits = 8, .out_scale = 1.01f, .out_bits = 3,
         .is_signed = 1, .narrow = 1, .mode = "ROUND"},
    };

    for (size_t i = 0; i < sizeof q / sizeof q[0]; i++) {
        check_one(&q[i]);
    }
}

/* ---- refusals ---- */

static void refused(const struct quantizer *q, const char *text)
{
    brim_ctx *ctx = testing_ctx(1);
    static struct ob model;
    float x[COUNT] = {0}, y[COUNT];

    build(q, x, &model);
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED, text, evaluate(ctx, &model, x, y));
    brim_ctx_free(ctx);
}

static void what_cannot_be_said_is_named(void **state)
{
    (void)state;
    struct quantizer q = {QUANT, .scale = {0.5f}, .bits = 4, .is_signed = 1};

    q.mode = "HALF_UP";
    refused(&q, "node 'q' (Quant): its rounding_mode is 'HALF_UP', expected ROUND, FLOOR or CEIL");
    q.mode = "SIDEWAYS";
    refused(&q, "node 'q' (Quant): its rounding_mode is 'SIDEWAYS', which is not known");
    q.mode = "HALF_DOWN_AND_MORE_OF_THIS";
    refused(&q, "which is not known");
    q.mode = NULL;
    q.scale[0] = 0;
    refused(&q, "node 'q' (Quant): its scale is 0, expected a positive number");
    q.scale[0] = 0.5f;
    q.zero = 0.5f;
    refused(&q, "node 'q' (Quant): its zero point is 0.5, expected a whole number");
    q.zero = 200;
    refused(&q, "node 'q' (Quant): its zero point is 200, expected -128..127");
    q.bits = 1;
    refused(&q, "node 'q' (Quant): its codes are -1 and 1 and its zero point is not 0");
    q.zero = 0;
    q.bits = 2.5f;
    refused(&q, "node 'q' (Quant): its bit width is 2.5, expected one whole number of 1..32");
    q.bits = 17;
    refused(&q,
            "node 'q' (Quant): its bit width is 17, expected at most 16 for values that are not");
    q.bits = 4;
    q.n_scales = 2; /* of an axis of 3 */
    refused(&q, "node 'q' (Quant): its scale has shape [1,2], expected one number or one for each");
    q = (struct quantizer){TRUNC,          .trunc = 2,    .scale = {0.5f}, .bits = 8,
                           .out_scale = 2, .out_bits = 4, .zero = 2,       .is_signed = 1};
    refused(&q, "node 'q' (Trunc): its zero point becomes 0.5, expected a whole number");
    q.out_scale = -1;
    refused(&q, "node 'q' (Trunc): its output scale is -1, expected one positive number");
}

static void computed_scales_are_refused(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct ob g = {0}, model = {0};
    brim_graph *graph = NULL;

    ob_text(&g, 2, "g");
    foreign_float(&g, "z", 0);
    foreign_float(&g, "b", 4);
    ob_value(&g, 11, "x", 1, DIMS(2, 2));
    ob_value(&g, 12, "y", 1, DIMS(2, 2));
    ob_plain(&g, "find", "ReduceMax", "x", "s");
    foreign_quant(&g, QONNX, "Quant", "x,s,z,b", "y", 1, 0);
    ob_model_of(&model, &g, 13);
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED,
                 "node 'y' (Quant): its scale is computed or no number, expected a constant",
                 brim_onnx_load_memory(ctx, model.data, model.n, &graph));
    model.n = g.n = 0;
    ob_text(&g, 2, "g");
    foreign_float(&g, "s", 1);
    ob_value(&g, 11, "x", 1, DIMS(2, 2));
    ob_value(&g, 12, "y", 1, DIMS(2, 2));
    const struct ob n = ob_foreign(QONNX, "m", "MultiThreshold", "x,s", "y");
    ob_message(&g, 1, &n);
    ob_model_of(&model, &g, 13);
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED, "unknown operator",
                 brim_onnx_load_memory(ctx, model.data, model.n, &graph));
    brim_ctx_free(ctx);
}

/* ---- memory ---- */

static brim_status load_network(brim_ctx *ctx, void *arg)
{
    const struct ob *model = arg;
    brim_graph *g = NULL;

    BRIM_TRY(brim_onnx_load_memory(ctx, model->data, model->n, &g));
    brim_graph_free(g);
    return BRIM_OK;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    static struct ob model;

    brevitas_network_build(&model);
    assert_true(starving_try(load_network, &model) > 10);
    torch_network_build(&model);
    assert_true(starving_try(load_network, &model) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantizers_follow_their_formulas),
        cmocka_unit_test(constants_take_every_rounding),
        cmocka_unit_test(both_truncs),
        cmocka_unit_test(what_cannot_be_said_is_named),
        cmocka_unit_test(computed_scales_are_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
