/* test_weights.c - quantizers of weights: codes, budgets, starts. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "starving.h"
#include "train/weights.h"
#include "train/weights_parts.h"

#define MOST 4096

struct fixture {
    brim_ctx *ctx;
    struct brim_params params;
    struct brim_weights_spec spec;
    struct brim_weights *w;
    float start[MOST];
};

static void open_fixture(struct fixture *f, enum brim_train_method method,
                         enum brim_train_norm norm, const char *datapath)
{
    f->ctx = testing_ctx(2);
    brim_params_init(&f->params, f->ctx);
    f->w = NULL;
    f->spec = (struct brim_weights_spec){.name = "fc",
                                         .n = 1,
                                         .method = method,
                                         .norm = norm,
                                         .bits = 4,
                                         .x_max = 15,
                                         .w = f->start};
    ASSERT_OK(f->ctx, brim_datapath_parse(f->ctx, datapath, &f->spec.datapath));
}

static void create(struct fixture *f)
{
    ASSERT_OK(f->ctx, brim_weights_create(&f->params, &f->spec, &f->w));
}

static void close_fixture(struct fixture *f)
{
    brim_weights_free(f->w);
    brim_params_free(&f->params);
    brim_ctx_free(f->ctx);
}

static void fill_normal(struct brim_rng *r, float *x, size_t n, double scale)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(brim_rng_normal(r) * scale);
    }
}

/* The codes fit the datapath, by the prover's own arithmetic; and are what forward gives. */
static void check_codes(struct fixture *f, bool fit)
{
    static int16_t codes[MOST];
    static int32_t wide[MOST];
    static float scale[MOST], out[MOST];
    const struct brim_weights_spec *s = &f->spec;
    unsigned need[BRIM_MAX_STAGES];

    ASSERT_OK(f->ctx, brim_weights_forward(f->w, out));
    brim_weights_codes(f->w, codes, scale);
    for (size_t i = 0; i < s->n * s->k; i++) {
        assert_true(out[i] == scale[i / s->k] * (float)codes[i]);
        assert_true(abs(codes[i]) < 1 << (s->bits - 1));
        wide[i] = codes[i];
    }
    for (size_t c = 0; fit && c < s->n; c++) {
        ASSERT_OK(f->ctx, brim_datapath_need(f->ctx, &s->datapath, wide + c * s->k, s->k, s->x_min,
                                             s->x_max, need, NULL));
        assert_true(brim_datapath_fits(&s->datapath, need));
    }
}

/* The example of weights_latent.c. */
static void per_sign_worked_example(void **state)
{
    const float v[4] = {1.0F, 0.6F, 0.2F, -0.4F};
    const float scale = 0.2F;
    const int16_t want[4] = {3, 0, 0, -2};
    int16_t codes[4];
    float got;
    struct fixture f;

    (void)state;
    open_fixture(&f, BRIM_TRAIN_A2Q_PLUS, BRIM_NORM_PER_SIGN, "3");
    f.spec.k = 4;
    f.spec.x_max = 1;
    f.spec.scale = &scale;
    memcpy(f.start, v, sizeof v);
    create(&f);
    check_codes(&f, true);
    brim_weights_codes(f.w, codes, &got);
    assert_memory_equal(codes, want, sizeof want);
    assert_true(fabsf(got - scale) < 1e-6F);
    close_fixture(&f);
}

/* The examples of weights_norm.c. */
static void norm_worked_examples(void **state)
{
    const float v[3] = {3.0F, -1.0F, 0.0F};
    const float scale = 0.25F;
    const int16_t want[2][3] = {{5, -1, 0}, {4, -2, -1}};

    (void)state;
    for (int centred = 0; centred < 2; centred++) {
        int16_t codes[3];
        float got;
        struct fixture f;
        open_fixture(&f, BRIM_TRAIN_A2Q, centred ? BRIM_NORM_ZERO_CENTRED : BRIM_NORM_L1, "4");
        f.spec.k = 3;
        f.spec.x_max = 1;
        f.spec.scale = &scale;
        memcpy(f.start, v, sizeof v);
        create(&f);
        f.params.param[2]->value[0] = 1.0F; /* g = 2 */
        check_codes(&f, true);
        brim_weights_codes(f.w, codes, &got);
        assert_memory_equal(codes, want[centred], sizeof codes);
        close_fixture(&f);
    }
}

/* Budgets of the literature's table, inputs of N bits: what one sign may hold, and A2Q's norm, which
 * takes inputs as 2^N. */
static void budgets_of_the_table(void **state)
{
    static const struct {
        unsigned p, n;
        int16_t sign;
        double norm;
    } row[8] = {{12, 4, 136, 127.9}, {14, 4, 546, 511.9}, {16, 4, 2184, 2047.9},
                {12, 8, 8, 8.0},     {14, 8, 32, 32.0},   {16, 8, 128, 128.0},
                {12, 3, 292, 255.9}, {14, 6, 130, 128.0}};

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        struct fixture f;
        char text[4];
        int64_t sum[2] = {0, 0};
        int16_t codes[MOST];
        float scale = 1.0F;
        (void)snprintf(text, sizeof text, "%u", row[i].p);
        open_fixture(&f, BRIM_TRAIN_A2Q_PLUS, BRIM_NORM_PER_SIGN, text);
        f.spec.k = MOST;
        f.spec.x_max = (1 << row[i].n) - 1;
        f.spec.scale = &scale;
        for (size_t k = 0; k < MOST; k++) {
            f.start[k] = k % 2 == 0 ? 5.0F : -5.0F;
        }
        create(&f);
        check_codes(&f, true);
        brim_weights_codes(f.w, codes, &scale);
        for (size_t k = 0; k < MOST; k++) {
            sum[k % 2] += abs(codes[k]);
        }
        assert_int_equal(sum[0], row[i].sign);
        assert_in_range(sum[1], row[i].sign, row[i].sign + 1); /* the other rail is one further */
        close_fixture(&f);

        open_fixture(&f, BRIM_TRAIN_A2Q, BRIM_NORM_L1, text);
        f.spec.k = MOST;
        f.spec.x_max = 1 << row[i].n;
        create(&f);
        assert_true(fabs(brim_normed_cap(f.w, &f.w->plan.limit[0]) - row[i].norm) < 0.06);
        close_fixture(&f);
    }
}

/* Inputs 0..15, 8 bits: A2Q+'s bound, 16.93, lets the l1 norm of (8, 8) pass, whose sum reaches 240.
 * Rows that nothing centres any more must still fit. */
static void counter_example_is_settled(void **state)
{
    const float scale = 1.0F;
    int16_t codes[2];
    float got;
    struct fixture f;

    (void)state;
    open_fixture(&f, BRIM_TRAIN_A2Q_PLUS, BRIM_NORM_ZERO_CENTRED, "8");
    f.spec.k = 2;
    f.spec.bits = 5;
    f.spec.scale = &scale;
    f.start[0] = f.start[1] = 8.0F;
    create(&f);
    assert_true(fabs(brim_normed_cap(f.w, &f.w->plan.limit[0]) - 254.0 / 15) < 1e-12);
    check_codes(&f, true);
    /* float rounding can leave a mean behind; here all of it */
    f.w->mean[0] = 0.0;
    f.w->norm[0] = 16.0;
    struct brim_weights_scratch *s = &f.w->scratch[0];
    const int32_t u[2] = {8 * BRIM_NEAREST_ONE, 8 * BRIM_NEAREST_ONE};
    int32_t q[2] = {8, 8};
    brim_nearest_row(&s->nearest, u, q, NULL);
    assert_true(q[0] + q[1] == 8); /* 127 / 15 */
    brim_weights_codes(f.w, codes, &got);
    assert_true(codes[0] == 0 && codes[1] == 0); /* what centring leaves of equal weights */
    close_fixture(&f);
}

/* A random layer: shape, inputs, datapath, method. False when the datapath holds nothing. */
static bool random_layer(struct fixture *f, struct brim_rng *r, enum brim_train_norm norm)
{
    static const char *const path[6] = {"12",       "9",           "10/4,12",
                                        "16/2s,32", "9/3,10/9,12", "11/7g,13"};

    open_fixture(f, BRIM_TRAIN_A2Q, norm, path[brim_rng_below(r, 6)]);
    f->spec.n = (size_t)brim_rng_range(r, 1, 6);
    f->spec.k = (size_t)brim_rng_range(r, 1, 200);
    f->spec.bits = (unsigned)brim_rng_range(r, 2, 8);
    f->spec.x_max = brim_rng_range(r, 1, 31);
    f->spec.x_min = brim_rng_below(r, 2) == 0 ? 0 : -brim_rng_range(r, 0, 32);
    f->spec.project = brim_rng_below(r, 2) == 0;
    fill_normal(r, f->start, f->spec.n * f->spec.k, exp2((double)brim_rng_range(r, -12, 4)));
    if (brim_rng_below(r, 4) == 0) { /* a row of zeros */
        memset(f->start, 0, f->spec.k * sizeof(float));
    }
    return brim_weights_create(&f->params, &f->spec, &f->w) == BRIM_OK;
}

/* Whatever the optimizer does to the parameters, the codes fit. */
static void adversarial_parameters_fit(void **state)
{
    struct brim_rng r;
    unsigned tried = 0;

    (void)state;
    brim_rng_init(&r, 11, 0);
    for (int round = 0; round < 400; round++) {
        struct fixture f;
        if (random_layer(&f, &r, (enum brim_train_norm)(round % 3))) {
            check_codes(&f, true);
            for (int step = 0; step < 6; step++) {
                for (size_t i = 0; i < f.params.count; i++) {
                    struct brim_param *p = f.params.param[i];
                    for (size_t j = 0; j < p->count; j++) {
                        const uint64_t what = brim_rng_below(&r, 12);
                        p->value[j] += (float)(brim_rng_normal(&r) * exp2(step - 4));
                        p->value[j] = what == 0 ? 0.0F : what == 1 ? 300.0F : p->value[j];
                        p->value[j] = what == 2 ? p->value[0] : p->value[j];
                        p->value[j] = what == 3 && step == 5 ? NAN : p->value[j];
                    }
                }
                if (step < 5) {
                    brim_weights_settle(f.w);
                    check_codes(&f, true);
                }
            }
            static float out[MOST];
            static int16_t codes[MOST];
            static float scale[MOST];
            ASSERT_OK(f.ctx, brim_weights_forward(f.w, out)); /* with NaN: no fault, and fits */
            brim_weights_codes(f.w, codes, scale);
            tried++;
        }
        close_fixture(&f);
    }
    assert_true(tried > 300);
}

/* Random codes that fit and fill some register, as a solver leaves them. */
static void codes_to_start_from(struct fixture *f, struct brim_rng *r, int16_t *codes)
{
    const int64_t range[2] = {f->spec.x_min, f->spec.x_max};
    const int32_t qmax = (1 << (f->spec.bits - 1)) - 1;
    struct brim_budget_plan plan;
    struct brim_arena arena;
    struct brim_nearest fit;

    ASSERT_OK(f->ctx,
              brim_budget_compile(f->ctx, &f->spec.datapath, f->spec.k, qmax, range, &plan));
    brim_arena_init(&arena, f->ctx);
    ASSERT_OK(f->ctx, brim_nearest_init(&fit, &arena, &plan, f->spec.k, qmax));
    for (size_t c = 0; c < f->spec.n; c++) {
        int32_t u[256], q[256];
        for (size_t k = 0; k < f->spec.k; k++) {
            u[k] = (int32_t)(brim_rng_normal(r) * (double)qmax * BRIM_NEAREST_ONE / 3);
            q[k] = (int32_t)brim_clip_i64((u[k] + BRIM_NEAREST_HALF) >> BRIM_NEAREST_BITS, -qmax,
                                          qmax);
            q[k] = u[k] > 0 && q[k] < 0 ? 0 : u[k] < 0 && q[k] > 0 ? 0 : q[k];
        }
        brim_nearest_row(&fit, u, q, NULL);
        for (size_t k = 0; k < f->spec.k; k++) {
            codes[c * f->spec.k + k] = (int16_t)q[k];
        }
    }
    brim_arena_free(&arena);
}

/* Rows whose start differs from the codes given. */
static size_t rows_lost(struct fixture *f, enum brim_train_norm norm, const char *datapath,
                        const int16_t *codes, const float *scale)
{
    static int16_t got[MOST];
    static float got_scale[MOST];
    size_t lost = 0;

    f->spec.method = BRIM_TRAIN_A2Q;
    f->spec.norm = norm;
    ASSERT_OK(f->ctx, brim_datapath_parse(f->ctx, datapath, &f->spec.datapath));
    f->spec.codes = codes;
    f->spec.scale = scale;
    create(f);
    check_codes(f, true);
    brim_weights_codes(f->w, got, got_scale);
    for (size_t c = 0; c < f->spec.n; c++) {
        const size_t at = c * f->spec.k;
        assert_true(fabsf(got_scale[c] - scale[c]) < 2e-6F * scale[c]);
        lost += memcmp(got + at, codes + at, f->spec.k * sizeof *codes) != 0;
    }
    brim_weights_free(f->w);
    f->w = NULL;
    f->params.count = 0;
    return lost;
}

/* Training takes up where a solver stopped: the same codes at step 0. */
static void codes_are_where_training_starts(void **state)
{
    struct brim_rng r;

    (void)state;
    brim_rng_init(&r, 12, 0);
    for (int round = 0; round < 60; round++) {
        static const char *const path[3] = {"12", "10/16,12", "9"};
        static int16_t codes[MOST];
        float scale[16];
        struct fixture f;
        open_fixture(&f, BRIM_TRAIN_A2Q, BRIM_NORM_PER_SIGN, path[round % 3]);
        f.spec.n = 16;
        f.spec.k = 144;
        f.spec.bits = (unsigned)brim_rng_range(&r, 3, 8);
        fill_normal(&r, f.start, f.spec.n * f.spec.k, 0.1);
        for (size_t c = 0; c < f.spec.n; c++) {
            scale[c] = (float)(0.01 + brim_rng_uniform(&r));
        }
        codes_to_start_from(&f, &r, codes);
        assert_int_equal(rows_lost(&f, BRIM_NORM_PER_SIGN, path[round % 3], codes, scale), 0);
        const size_t lost = rows_lost(&f, BRIM_NORM_ZERO_CENTRED, path[round % 3], codes, scale);
        if (round % 3 != 1) {
            assert_int_equal(lost, 0); /* short tiles may lack the zeros that make up for a sum */
        }
        /* A2Q's own bound, once it holds: the same codes under twice the register */
        assert_int_equal(rows_lost(&f, BRIM_NORM_L1, "19", codes, scale), 0);
        close_fixture(&f);
    }
}

/* Codes that a solver rounded away from the weights do not flip back at the first small step. */
static void codes_given_stand_firm(void **state)
{
    static int16_t codes[4 * 60], got[4 * 60];
    float scale[4], got_scale[4];
    static float out[4 * 60];
    struct brim_rng r;
    struct fixture f;

    (void)state;
    brim_rng_init(&r, 15, 0);
    open_fixture(&f, BRIM_TRAIN_QAT, BRIM_NORM_L1, "32");
    f.spec.n = 4;
    f.spec.k = 60;
    f.spec.bits = 5;
    fill_normal(&r, f.start, 4 * 60, 0.1);
    for (size_t i = 0; i < 4 * 60; i++) {
        const long down = lrintf(floorf(f.start[i] / 0.03F)), up = down + 1;
        const bool up_is_near = f.start[i] / 0.03F - (float)down > 0.5F;
        codes[i] = (int16_t)brim_clip_i64(up_is_near ? down : up, -15, 15);
        scale[i / 60] = 0.03F;
    }
    f.spec.codes = codes;
    f.spec.scale = scale;
    create(&f);
    for (size_t i = 0; i < 4 * 60; i++) {
        f.params.param[0]->value[i] += (i % 2 == 0 ? 0.4F : -0.4F) * 0.03F;
    }
    ASSERT_OK(f.ctx, brim_weights_forward(f.w, out));
    brim_weights_codes(f.w, got, got_scale);
    assert_memory_equal(got, codes, sizeof codes);
    close_fixture(&f);
}

static double error_of(struct fixture *f)
{
    static float out[MOST];
    double sum = 0.0;

    create(f);
    check_codes(f, f->spec.method == BRIM_TRAIN_A2Q);
    ASSERT_OK(f->ctx, brim_weights_forward(f->w, out));
    for (size_t i = 0; i < f->spec.n * f->spec.k; i++) {
        sum += ((double)out[i] - (double)f->start[i]) * ((double)out[i] - (double)f->start[i]);
    }
    brim_weights_free(f->w);
    f->params.count = 0;
    return sum;
}

/* A start's scale is worth its search; projection is worth more than shrinking the whole row. */
static void starts_are_good(void **state)
{
    struct brim_rng r;
    struct fixture f;
    float scale[4];

    (void)state;
    brim_rng_init(&r, 13, 0);
    open_fixture(&f, BRIM_TRAIN_A2Q, BRIM_NORM_L1, "10");
    f.spec.n = 4;
    f.spec.k = 288;
    fill_normal(&r, f.start, 4 * 288, 0.1);
    const double naive = error_of(&f);
    f.spec.project = true;
    const double projected = error_of(&f);
    f.spec.norm = BRIM_NORM_ZERO_CENTRED;
    const double centred = error_of(&f);
    f.spec.norm = BRIM_NORM_PER_SIGN;
    const double per_sign = error_of(&f);
    for (size_t c = 0; c < 4; c++) {
        scale[c] = 0.45F / 7;
    }
    f.spec.scale = scale;
    const double as_given = error_of(&f);
    f.spec.method = BRIM_TRAIN_QAT;
    f.spec.scale = NULL;
    const double free_error = error_of(&f);
    assert_true(free_error < per_sign && per_sign < centred && centred < naive);
    assert_true(projected < naive);
    assert_true(per_sign < 0.9 * as_given);
    f.w = NULL;
    close_fixture(&f);
}

/* What is pruned is 0, learns nothing, and leaves its budget to the others. */
static void pruned_weights_stay_zero(void **state)
{
    static const enum brim_train_method method[5] = {
        BRIM_TRAIN_FLOAT, BRIM_TRAIN_QAT, BRIM_TRAIN_A2Q, BRIM_TRAIN_A2Q, BRIM_TRAIN_A2Q};
    struct brim_rng r;

    (void)state;
    brim_rng_init(&r, 14, 0);
    for (int i = 0; i < 5; i++) {
        static float out[MOST], dw[MOST];
        static uint8_t keep[MOST];
        struct fixture f;
        open_fixture(&f, method[i], (enum brim_train_norm)(i < 2 ? 0 : i - 2), "9/24,11");
        f.spec.n = 3;
        f.spec.k = 72;
        fill_normal(&r, f.start, 3 * 72, 0.1);
        fill_normal(&r, dw, 3 * 72, 1.0);
        create(&f);
        for (size_t j = 0; j < 3 * 72; j++) {
            keep[j] = (uint8_t)(brim_rng_below(&r, 2) == 0 ? 2 : 0);
        }
        ASSERT_OK(f.ctx, brim_weights_prune(f.w, keep));
        for (int step = 0; step < 3; step++) {
            brim_params_zero_grad(&f.params);
            ASSERT_OK(f.ctx, brim_weights_forward(f.w, out));
            ASSERT_OK(f.ctx, brim_weights_backward(f.w, dw));
            size_t alive = 0;
            for (size_t j = 0; j < 3 * 72; j++) {
                assert_true(keep[j] != 0 || out[j] == 0.0F);
                assert_true(keep[j] != 0 || f.params.param[0]->grad[j] == 0.0F);
                alive += out[j] != 0.0F;
            }
            assert_true(alive > 10);
            for (size_t j = 0; j < 3 * 72; j++) { /* an optimizer's momentum */
                f.params.param[0]->value[j] += 0.01F;
            }
            brim_weights_settle(f.w);
        }
        if (method[i] == BRIM_TRAIN_A2Q) {
            check_codes(&f, true);
        }
        ASSERT_OK(f.ctx, brim_weights_prune(f.w, NULL));
        close_fixture(&f);
    }
}

/* The example of weights.c, with a second row in the pattern of a block. */
static void regrown_worked_example(void **state)
{
    static const float start[8] = {3.0F, -1.0F, 2.0F, 0.5F, 0.0F, 4.0F, 1.0F, 0.0F};
    static const float first[8] = {3.0F, 0.0F, 2.0F, 0.0F, 0.0F, 4.0F, 1.0F, 0.0F};
    static const float second[8] = {3.0F, -3.0F, 0.0F, 0.0F, 0.0F, 4.0F, 1.0F, 0.0F};
    static const float dw[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    brim_prune_params p;
    struct fixture f;
    float out[8];

    (void)state;
    brim_prune_params_init(&p);
    p.keep = 2;
    p.group = 4;
    open_fixture(&f, BRIM_TRAIN_FLOAT, BRIM_NORM_L1, "32");
    f.spec.n = 2;
    f.spec.k = 4;
    memcpy(f.start, start, sizeof start);
    create(&f);
    float *v = f.params.param[0]->value;
    ASSERT_OK(f.ctx, brim_weights_regrow(f.w, &p));
    ASSERT_OK(f.ctx, brim_weights_forward(f.w, out));
    assert_memory_equal(out, first, sizeof out);
    brim_params_zero_grad(&f.params);
    ASSERT_OK(f.ctx, brim_weights_backward(f.w, dw));
    assert_memory_equal(f.params.param[0]->grad, dw, sizeof dw);
    v[1] -= 2.0F;
    brim_weights_settle(f.w);
    assert_float_equal(v[1], -3.0F + 3.0F * 0x1p-12F, 1e-6F); /* not in the pattern yet */
    assert_float_equal(v[3], 0.5F - 0.5F * 0x1p-12F, 1e-6F);
    assert_true(v[0] == 3.0F && v[2] == 2.0F);
    v[1] = -3.0F;
    ASSERT_OK(f.ctx, brim_weights_forward(f.w, out));
    assert_memory_equal(out, second, sizeof out);

    p.block = 2; /* sums 3, 7, 3, 0.5: ties go to the first */
    ASSERT_OK(f.ctx, brim_weights_regrow(f.w, &p));
    ASSERT_OK(f.ctx, brim_weights_forward(f.w, out));
    assert_true(out[0] == 3.0F && out[1] == -3.0F && out[2] == 0.0F && out[5] == 4.0F);
    assert_true(out[6] == 0.0F && v[6] == 1.0F);
    p.group = 0;
    ASSERT_OK(f.ctx, brim_weights_regrow(f.w, &p));
    ASSERT_OK(f.ctx, brim_weights_forward(f.w, out));
    assert_memory_equal(out, v, sizeof out);
    close_fixture(&f);
}

static void infeasible_datapath_is_named(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(&f, BRIM_TRAIN_A2Q_PLUS, BRIM_NORM_ZERO_CENTRED, "16/8,4");
    f.spec.k = 64;
    ASSERT_FAILS(f.ctx, BRIM_ERR_INFEASIBLE, "layer 'fc': stage 2 has 4 bits",
                 brim_weights_create(&f.params, &f.spec, &f.w));
    f.spec.method = BRIM_TRAIN_QAT; /* which does not ask */
    create(&f);
    close_fixture(&f);
}

static brim_status make(brim_ctx *ctx, void *arg)
{
    static float start[6 * 40], out[6 * 40];
    struct brim_params params;
    struct brim_weights_spec spec = *(const struct brim_weights_spec *)arg;
    struct brim_weights *w;
    static uint8_t keep[6 * 40];

    spec.w = start;
    brim_params_init(&params, ctx);
    brim_status status = brim_weights_create(&params, &spec, &w);
    if (status == BRIM_OK) {
        status = brim_weights_prune(w, keep);
    }
    if (status == BRIM_OK) {
        status = brim_weights_forward(w, out);
    }
    if (status == BRIM_OK) {
        status = brim_weights_backward(w, out);
    }
    brim_weights_free(w);
    brim_params_free(&params);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    for (int norm = 0; norm < 3; norm++) {
        struct fixture f;
        open_fixture(&f, BRIM_TRAIN_A2Q, (enum brim_train_norm)norm, "9/8,11");
        f.spec.n = 6;
        f.spec.k = 40;
        f.spec.x_min = -16;
        assert_true(starving_try(make, &f.spec) > 1);
        close_fixture(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(per_sign_worked_example),
        cmocka_unit_test(norm_worked_examples),
        cmocka_unit_test(budgets_of_the_table),
        cmocka_unit_test(counter_example_is_settled),
        cmocka_unit_test(adversarial_parameters_fit),
        cmocka_unit_test(codes_are_where_training_starts),
        cmocka_unit_test(codes_given_stand_firm),
        cmocka_unit_test(starts_are_good),
        cmocka_unit_test(pruned_weights_stay_zero),
        cmocka_unit_test(regrown_worked_example),
        cmocka_unit_test(infeasible_datapath_is_named),
        cmocka_unit_test(survives_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
