/* test_optimizer.c - steps downhill and their rates. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "starving.h"
#include "train/optimizer.h"
#include "train/schedule.h"

static void schedules(void **state)
{
    static const double warm[] = {0.5, 1.0, 1.0, 0.5};
    static const double cosine[] = {1.0, 0.85355, 0.5, 0.14645}, step[] = {1.0, 1.0, 0.1, 0.01};

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        assert_float_equal(brim_schedule_rate(BRIM_SCHEDULE_COSINE, 1.0, i, 4, 0), cosine[i], 1e-5);
        assert_float_equal(brim_schedule_rate(BRIM_SCHEDULE_STEP, 1.0, i, 4, 0), step[i], 1e-12);
        assert_float_equal(brim_schedule_rate(BRIM_SCHEDULE_COSINE, 1.0, i, 4, 2), warm[i], 1e-5);
    }
    assert_float_equal(brim_schedule_rate(BRIM_SCHEDULE_COSINE, 0.3, 0, 1, 0), 0.3, 1e-12);
    assert_float_equal(brim_schedule_rate(BRIM_SCHEDULE_STEP, 0.3, 0, 1, 0), 0.3, 1e-12);
}

static void one_step(brim_ctx *ctx, brim_train_optimizer kind, double decay, const float want[2])
{
    struct brim_params p;
    struct brim_optimizer o;

    brim_params_init(&p, ctx);
    struct brim_param *w = brim_params_add(&p, "layer", "weight", 3);
    struct brim_param *fixed = brim_params_add(&p, "layer", "mean", 1);
    struct brim_param *slow = brim_params_add(&p, "layer", "scale", 1);
    w->decay = true;
    fixed->learned = false;
    slow->rate = 0.5f;
    for (size_t i = 0; i < 3; i++) {
        w->value[i] = 1;
        w->grad[i] = 0.5f;
    }
    fixed->value[0] = slow->value[0] = 1;
    fixed->grad[0] = slow->grad[0] = 0.5f;
    ASSERT_OK(ctx, brim_optimizer_init(&o, ctx, &p, kind, decay));
    for (size_t i = 0; i < 2; i++) {
        ASSERT_OK(ctx, brim_optimizer_step(&o, 0.1));
        assert_float_equal(w->value[0], want[i], 1e-6);
        assert_float_equal(w->value[2], want[i], 1e-6);
    }
    assert_float_equal(fixed->value[0], 1, 0);
    if (decay == 0.0) { /* half the rate: half the way, with SGD a quarter of it */
        const float share = kind == BRIM_OPTIMIZER_SGD ? 0.25f : 0.5f;
        assert_float_equal(slow->value[0], 1 - share * (1 - want[1]), 1e-6);
    }
    assert_int_equal(o.step, 2);
    brim_optimizer_reset(&o);
    w->value[0] = 1;
    ASSERT_OK(ctx, brim_optimizer_step(&o, 0.1));
    assert_float_equal(w->value[0], want[0], 1e-6);
    brim_optimizer_free(&o);
    brim_params_free(&p);
}

static void worked_example(void **state)
{
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    one_step(ctx, BRIM_OPTIMIZER_SGD, 0.0, (const float[]){0.95f, 0.855f});
    one_step(ctx, BRIM_OPTIMIZER_ADAMW, 0.0, (const float[]){0.9f, 0.8f});
    /* 1 - 0.1 (0.5 + 0.1); the momentum 0.6 becomes 0.54 + 0.5 + 0.094 */
    one_step(ctx, BRIM_OPTIMIZER_SGD, 0.1, (const float[]){0.94f, 0.8266f});
    one_step(ctx, BRIM_OPTIMIZER_ADAMW, 0.1, (const float[]){0.89f, 0.7811f});
    brim_ctx_free(ctx);
}

/* More elements than a thread takes at a time. */
static void threads_change_no_bit(void **state)
{
    static const int threads[] = {1, 2, 3};
    static float first[40000];
    const size_t n = 40000;

    (void)state;
    for (size_t t = 0; t < 3; t++) {
        brim_ctx *ctx = testing_ctx(threads[t]);
        struct brim_params p;
        struct brim_optimizer o;
        brim_params_init(&p, ctx);
        struct brim_param *w = brim_params_add(&p, "layer", "weight", n);
        ASSERT_OK(ctx, brim_optimizer_init(&o, ctx, &p, BRIM_OPTIMIZER_ADAMW, 0.01));
        for (size_t k = 0; k < 5; k++) {
            for (size_t i = 0; i < n; i++) {
                w->grad[i] = w->value[i] - (float)(i % 97) / 97.0f;
            }
            ASSERT_OK(ctx, brim_optimizer_step(&o, 0.01));
        }
        assert_true(w->value[n - 1] != 0.0f && fabsf(w->value[n - 1]) < 0.06f);
        if (t == 0) {
            memcpy(first, w->value, sizeof first);
        }
        assert_memory_equal(first, w->value, sizeof first);
        brim_optimizer_free(&o);
        brim_params_free(&p);
        brim_ctx_free(ctx);
    }
}

static brim_status starved(brim_ctx *ctx, void *arg)
{
    struct brim_params p;
    struct brim_optimizer o = {0};
    brim_status s = BRIM_ERR_NOMEM;

    (void)arg;
    brim_params_init(&p, ctx);
    if (brim_params_add(&p, "layer", "weight", 20000) != NULL) {
        s = brim_optimizer_init(&o, ctx, &p, BRIM_OPTIMIZER_ADAMW, 0.0);
        brim_optimizer_free(&o);
    }
    brim_params_free(&p);
    return s;
}

static void memory_runs_out(void **state)
{
    (void)state;
    assert_true(starving_try(starved, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules),
        cmocka_unit_test(worked_example),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
