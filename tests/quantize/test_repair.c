/* test_repair.c - codes brought within a budget. SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/rng.h"
#include "quantize/repair.h"

enum { MOST_K = 24 };

static const brim_datapath pairs = {
    .n_stages = 2, .stage = {{.width = 16, .tile = 2, .mode = BRIM_MODE_SATURATE}, {.width = 32}}};

static const int64_t bytes[2] = {0, 255};

/* Room for one output of up to MOST_K codes. */
struct output {
    struct brim_repair_layer layer;
    struct brim_repair r;
    uint8_t padding[MOST_K];
    int32_t was[MOST_K];
    double w[MOST_K], h[MOST_K * MOST_K];
    int16_t q[MOST_K];
};

static void start(brim_ctx *ctx, struct output *o, size_t k, const brim_datapath *dp,
                  const int64_t x[2])
{
    memset(o, 0, sizeof *o);
    o->layer = (struct brim_repair_layer){
        .k = k, .padding = o->padding, .least = -128, .qmax = 127, .half = 64};
    o->r = (struct brim_repair){.w = o->w, .was = o->was, .q = o->q};
    ASSERT_OK(ctx, brim_budget_compile(ctx, dp, k, 128, x, &o->layer.plan));
}

static void set(struct output *o, const int32_t *codes)
{
    for (size_t i = 0; i < o->layer.k; i++) {
        o->was[i] = codes[i];
        o->w[i] = codes[i];
    }
}

/* The example of repair.h. */
static void worked_example(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct output o;

    (void)state;
    start(ctx, &o, 2, &pairs, bytes);
    set(&o, (const int32_t[]){100, 90});
    ASSERT_OK(ctx, brim_repair_run(ctx, &o.layer, &o.r));
    assert_int_equal(o.q[0], 69);
    assert_int_equal(o.q[1], 59);
    assert_true(o.r.scale == 1.0 && o.r.error == 2 * 31.0 * 31.0);
    assert_true(o.r.expected == 2.0 / 12.0);
    assert_true(o.r.halved == 0.0); /* both codes are even */
    o.layer.rescale = true;
    ASSERT_OK(ctx, brim_repair_run(ctx, &o.layer, &o.r));
    assert_int_equal(o.q[0], 50);
    assert_int_equal(o.q[1], 45);
    assert_true(o.r.scale == 2.0 && o.r.error == 0.0);
    brim_ctx_free(ctx);
}

/* What fits stays as it is, to the bit. */
static void what_fits_stays(void **state)
{
    static const int32_t codes[] = {127, -128, 100, 28, -64, -64};
    brim_ctx *ctx = testing_ctx(1);
    struct output o;

    (void)state;
    start(ctx, &o, 6, &pairs, bytes);
    o.layer.rescale = true;
    set(&o, codes);
    ASSERT_OK(ctx, brim_repair_run(ctx, &o.layer, &o.r));
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(o.q[i], codes[i]);
    }
    assert_true(o.r.scale == 1.0 && o.r.error == 0.0);
    brim_ctx_free(ctx);
}

/* Codes beyond the largest are not left as they are because sums fit: the limit is one of its own. */
static void the_largest_code_counts(void **state)
{
    static const int32_t codes[] = {100, -30, -65, 64};
    brim_ctx *ctx = testing_ctx(1);
    struct output o;

    (void)state;
    start(ctx, &o, 4, &pairs, bytes);
    o.layer.least = -64;
    o.layer.qmax = 64;
    set(&o, codes);
    ASSERT_OK(ctx, brim_repair_run(ctx, &o.layer, &o.r));
    assert_true(o.r.halved == 1.0); /* of 65 alone: the limit is not that of one bit less */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(o.q[i], codes[i] > 64 ? 64 : codes[i] < -64 ? -64 : codes[i]);
    }
    brim_ctx_free(ctx);
}

/* The nearest point of a small budget is found: all points are tried. With inputs of both signs a
 * unit frees room on both rails, and they are settled one by one: near, and never better. */
static void nearest_of_all(void **state)
{
    const brim_datapath whole = {.n_stages = 1, .stage = {{.width = 6}}};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 5, 0);
    for (int round = 0; round < 200; round++) {
        const int64_t x[2] = {-(round % 2), 3};
        struct output o;
        struct brim_room room[4];
        double best = 1e9;
        start(ctx, &o, 3, &whole, x);
        o.layer.least = -10;
        o.layer.qmax = 10;
        for (size_t i = 0; i < 3; i++) {
            o.was[i] = (int32_t)brim_rng_range(&rng, -10, 10);
            o.w[i] = o.was[i];
        }
        ASSERT_OK(ctx, brim_repair_run(ctx, &o.layer, &o.r));
        for (int p = 0; p < 21 * 21 * 21; p++) {
            const int16_t q[3] = {(int16_t)(p % 21 - 10), (int16_t)(p / 21 % 21 - 10),
                                  (int16_t)(p / 441 - 10)};
            double e = 0.0;
            for (size_t i = 0; i < 3; i++) {
                e += (q[i] - o.w[i]) * (q[i] - o.w[i]);
            }
            if (e < best && brim_budget_holds(&o.layer.plan, q, 3, room)) {
                best = e;
            }
        }
        assert_true(o.r.error >= best &&
                    o.r.error <= best + (round % 2 == 0 ? 0.0 : 0.2 * best + 2.0));
    }
    brim_ctx_free(ctx);
}

/* With second moments the error that counts is never above the projection's, and codes still fit. */
static void moments_help(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    double with = 0.0, without = 0.0;

    (void)state;
    brim_rng_init(&rng, 6, 0);
    for (int round = 0; round < 40; round++) {
        struct output o;
        double a[MOST_K][MOST_K];
        start(ctx, &o, MOST_K, &pairs, bytes);
        o.layer.rescale = true;
        for (size_t i = 0; i < MOST_K; i++) {
            o.padding[i] = i == 3 || i == 20;
            o.was[i] = o.padding[i] ? 0 : (int32_t)brim_rng_range(&rng, -128, 127);
            o.w[i] = o.was[i];
            for (size_t j = 0; j < MOST_K; j++) {
                a[i][j] = o.padding[i] ? 0.0 : brim_rng_normal(&rng) + 1.0;
            }
        }
        for (size_t i = 0; i < MOST_K * MOST_K; i++) {
            for (size_t j = 0; j < MOST_K; j++) {
                o.h[i] += a[i / MOST_K][j] * a[i % MOST_K][j];
            }
        }
        ASSERT_OK(ctx, brim_repair_run(ctx, &o.layer, &o.r));
        double e = 0.0;
        for (size_t i = 0; i < MOST_K * MOST_K; i++) {
            e += (o.r.scale * o.q[i / MOST_K] - o.w[i / MOST_K]) * o.h[i] *
                 (o.r.scale * o.q[i % MOST_K] - o.w[i % MOST_K]);
        }
        without += e;
        o.layer.h = o.h;
        ASSERT_OK(ctx, brim_repair_run(ctx, &o.layer, &o.r));
        assert_int_equal(o.q[3], 0);
        assert_int_equal(o.q[20], 0);
        with += o.r.error;
    }
    assert_true(with < 0.5 * without);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),
        cmocka_unit_test(what_fits_stays),
        cmocka_unit_test(the_largest_code_counts),
        cmocka_unit_test(nearest_of_all),
        cmocka_unit_test(moments_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
