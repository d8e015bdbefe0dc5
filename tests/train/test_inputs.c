/* test_inputs.c - fake quantization with a learned scale. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/rng.h"
#include "starving.h"
#include "train/inputs.h"

static struct brim_grid codes(float scale, int64_t lo, int64_t hi, int64_t zero)
{
    return (struct brim_grid){
        .dtype = BRIM_UINT8, .lo = lo, .hi = hi, .zero = zero, .scale = scale};
}

/* The example of inputs.c. */
static void worked_example(void **state)
{
    const float x[4] = {-1.0F, 0.25F, 0.3F, 9.0F};
    const float dy[4] = {1.0F, 1.0F, 1.0F, 1.0F};
    const float want_y[4] = {0.0F, 0.0F, 0.5F, 1.5F};
    const float want_dx[4] = {0.0F, 1.0F, 1.0F, 0.0F};
    const struct brim_inputs q = {.grid = codes(0.5F, 0, 3, 0)};
    float y[4], dx[4];

    (void)state;
    brim_inputs_forward(&q, x, 4, y);
    const double dd = brim_inputs_backward(&q, x, dy, 4, dx);
    for (size_t i = 0; i < 4; i++) {
        assert_true(y[i] == want_y[i]);
        assert_true(dx[i] == want_dx[i]);
    }
    assert_true(fabs(dd - 0.5 * log(2.0) * (0.0 - 0.5 + 0.4 + 3.0)) < 1e-6);
}

/* What QuantizeLinear, Clip and DequantizeLinear give, from the definition. */
static float by_definition(const struct brim_grid *g, float x)
{
    const float t = x / g->scale;
    double code = rint((double)t) + (double)g->zero;

    code = code < (double)g->lo ? (double)g->lo : code;
    code = code > (double)g->hi ? (double)g->hi : code;
    return ((float)code - (float)g->zero) * g->scale;
}

static void is_quantize_linear(void **state)
{
    struct brim_rng r;

    (void)state;
    brim_rng_init(&r, 5, 0);
    for (int round = 0; round < 200; round++) {
        const int64_t span = brim_rng_range(&r, 1, 255);
        const int64_t lo = brim_rng_below(&r, 2) == 0 ? 0 : -brim_rng_range(&r, 0, span);
        const struct brim_inputs q = {.grid = codes((float)exp2(brim_rng_uniform(&r) * 12 - 10), lo,
                                                    lo + span, brim_rng_range(&r, lo, lo + span))};
        const size_t n = (size_t)brim_rng_range(&r, 0, 1200);
        float x[1200], y[1200];
        for (size_t i = 0; i < n; i++) {
            x[i] = (float)brim_rng_normal(&r) * q.grid.scale * (float)span;
            if (brim_rng_below(&r, 4) == 0) { /* halves, which go to the even code */
                x[i] = q.grid.scale * ((float)brim_rng_range(&r, -300, 300) + 0.5F);
            }
        }
        brim_inputs_forward(&q, x, n, y);
        for (size_t i = 0; i < n; i++) {
            assert_true(y[i] == by_definition(&q.grid, x[i]));
        }
        brim_inputs_forward(&q, x, n, x); /* in place */
        for (size_t i = 0; i < n; i++) {
            assert_true(x[i] == y[i]);
        }
    }
}

static void extremes_stay_what_they_are(void **state)
{
    const struct brim_inputs q = {.grid = codes(1e-3F, 0, 255, 3)};
    float x[4] = {INFINITY, -INFINITY, 1e30F, NAN};
    const float dy[4] = {1.0F, 1.0F, 1.0F, 0.0F};
    float dx[4];

    (void)state;
    (void)brim_inputs_backward(&q, x, dy, 4, dx);
    assert_true(dx[0] == 0.0F && dx[1] == 0.0F && dx[2] == 0.0F);
    brim_inputs_forward(&q, x, 4, x);
    assert_true(x[0] == 252.0F * 1e-3F && x[1] == -3.0F * 1e-3F && x[2] == x[0]);
    assert_true(isnan(x[3])); /* and not a silent code */
}

/* Straight-through: the gradient of the sum with rounding's own step left out, at each element. */
static void gradient_is_its_definition(void **state)
{
    struct brim_rng r;

    (void)state;
    brim_rng_init(&r, 6, 0);
    for (int round = 0; round < 100; round++) {
        const struct brim_inputs q = {.grid = codes(0.037F, -8, 7, brim_rng_range(&r, -8, 7))};
        const size_t n = (size_t)brim_rng_range(&r, 1, 1500);
        float x[1500], dy[1500], dx[1500];
        double want = 0.0, size = 0.0;
        for (size_t i = 0; i < n; i++) {
            x[i] = (float)brim_rng_normal(&r) * 0.4F;
            dy[i] = (float)brim_rng_normal(&r);
        }
        const double got = brim_inputs_backward(&q, x, dy, n, dx);
        for (size_t i = 0; i < n; i++) {
            const double t = (double)(x[i] / q.grid.scale);
            const double lo = (double)(q.grid.lo - q.grid.zero);
            const double hi = (double)(q.grid.hi - q.grid.zero);
            const bool inside = lo <= t && t <= hi;
            const double ds = inside ? rint(t) - t : t < lo ? lo : hi;
            assert_true(dx[i] == (inside ? dy[i] : 0.0F));
            want += ds * (double)dy[i];
            size += fabs(ds * (double)dy[i]);
        }
        want *= (double)q.grid.scale * log(2.0);
        size *= (double)q.grid.scale * log(2.0);
        assert_true(fabs(got - want) <= 1e-6 * size + 1e-12);
        (void)brim_inputs_backward(&q, x, dy, n, dy); /* in place */
        assert_memory_equal(dx, dy, n * sizeof(float));
    }
}

static void scale_is_learned(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const struct brim_grid grid = codes(0.25F, 0, 15, 0);
    struct brim_params params;
    struct brim_inputs q, fixed;

    (void)state;
    brim_params_init(&params, ctx);
    ASSERT_OK(ctx, brim_inputs_init(&q, &params, "conv1", &grid, false));
    ASSERT_OK(ctx, brim_inputs_init(&fixed, &params, "conv2", &grid, true));
    assert_int_equal(params.count, 1);
    assert_string_equal(params.param[0]->name, "conv1.input_scale");
    assert_true(q.scale->value[0] == -2.0F && q.grid.scale == 0.25F && fixed.grid.scale == 0.25F);
    brim_inputs_learn(&q, 6.0, 60);
    brim_inputs_learn(&fixed, 6.0, 60);
    assert_true(fabsf(q.scale->grad[0] - 0.2F) < 1e-6F); /* 6 / sqrt(60 * 15) */
    q.scale->value[0] = -3.0F;
    brim_inputs_refresh(&q);
    brim_inputs_refresh(&fixed);
    assert_true(q.grid.scale == 0.125F && fixed.grid.scale == 0.25F);
    brim_params_free(&params);
    brim_ctx_free(ctx);
}

static void refuses_what_it_cannot_learn(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_grid grid = codes(0.25F, 0, 15, 0);
    struct brim_params params;
    struct brim_inputs q;

    (void)state;
    brim_params_init(&params, ctx);
    grid.vector = 16;
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED, "layer 'fc'",
                 brim_inputs_init(&q, &params, "fc", &grid, false));
    grid = codes(0.0F, 0, 15, 0);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "layer 'fc': the inputs' scale is 0",
                 brim_inputs_init(&q, &params, "fc", &grid, false));
    brim_params_free(&params);
    brim_ctx_free(ctx);
}

static brim_status make(brim_ctx *ctx, void *arg)
{
    const struct brim_grid grid = codes(0.25F, 0, 15, 0);
    struct brim_params params;
    struct brim_inputs q;

    (void)arg;
    brim_params_init(&params, ctx);
    const brim_status status = brim_inputs_init(&q, &params, "conv1", &grid, false);
    brim_params_free(&params);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    assert_true(starving_try(make, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),
        cmocka_unit_test(is_quantize_linear),
        cmocka_unit_test(extremes_stay_what_they_are),
        cmocka_unit_test(gradient_is_its_definition),
        cmocka_unit_test(scale_is_learned),
        cmocka_unit_test(refuses_what_it_cannot_learn),
        cmocka_unit_test(survives_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
