/* test_dot_kernel.c - every path equals brim_datapath_dot(), values and counts.
 * SPDX-License-Identifier: Apache-2.0 */
#include "dot_layer.h"

/* A datapath as text, as wide as the layer's sums make interesting. */
static void random_datapath(struct brim_rng *rng, char text[BRIM_DATAPATH_TEXT])
{
    static const char *const mode[] = {"", "s", "q", "g", "q1", "p"};
    const size_t stages = 1 + (size_t)brim_rng_below(rng, 4);
    const int64_t middle = brim_rng_range(rng, 4, 34);
    uint64_t tile = 1;
    int at = 0;

    for (size_t i = 0; i < stages; i++) {
        const bool last = i + 1 == stages;
        const int64_t width = brim_clip_i64(middle + brim_rng_range(rng, -3, 3), 2, 64);

        at += snprintf(text + at, BRIM_DATAPATH_TEXT - (size_t)at, "%s%d", i > 0 ? "," : "",
                       (int)width);
        if (!last) {
            tile *= 1 + brim_rng_below(rng, 5);
            at += snprintf(text + at, BRIM_DATAPATH_TEXT - (size_t)at, "/%u", (unsigned)tile);
        }
        at += snprintf(text + at, BRIM_DATAPATH_TEXT - (size_t)at, "%s",
                       mode[brim_rng_below(rng, last ? 5 : 6)]);
    }
}

static void equals_the_reference_anywhere(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    struct brim_dot_counts counts;

    (void)state;
    brim_rng_init(&rng, 31, 0);
    for (int round = 0; round < 1000; round++) {
        char text[BRIM_DATAPATH_TEXT];
        const int64_t x_top = INT64_C(1) << brim_rng_below(&rng, 17);
        struct layer l = {.groups = 1 + (size_t)brim_rng_below(&rng, 3),
                          .k = (size_t)brim_rng_below(&rng, 60),
                          .m = (size_t)brim_rng_below(&rng, 40),
                          .w_max = INT64_C(1) << brim_rng_below(&rng, 16),
                          .x_min = round % 2 == 0 ? 0 : -x_top,
                          .x_max = x_top - 1,
                          .corners = brim_rng_below(&rng, 4) == 0,
                          .datapath = text};

        l.n = l.groups * (1 + (size_t)brim_rng_below(&rng, 40));
        random_datapath(&rng, text);
        check_layer(ctx, &rng, &l, &counts);
    }
    brim_ctx_free(ctx);
}

/* Layers as they occur, and the named targets' datapaths. */
static void equals_the_reference_on_real_shapes(void **state)
{
    static const char *const text[] = {
        "16s",       "16",       "16q",        "16g",       "16/2s,32",
        "16/2s,16s", "16/64,32", "14/64s,18s", "12/64p,32", "12/16,16/64,24",
        "20",        "64"};
    static const struct layer shape[] = {
        {.n = 16, .k = 27, .groups = 1, .m = 70, .w_max = 127, .x_max = 255},
        {.n = 64, .k = 576, .groups = 1, .m = 9, .w_max = 7, .x_max = 255},
        {.n = 64, .k = 9, .groups = 64, .m = 125, .w_max = 127, .x_min = -128, .x_max = 127},
        {.n = 10, .k = 64, .groups = 1, .m = 1, .w_max = 127, .x_max = 255},
        {.n = 128, .k = 640, .groups = 1, .m = 2, .w_max = 127, .x_min = -128, .x_max = 127},
        {.n = 12, .k = 33, .groups = 2, .m = 33, .w_max = 127, .x_max = 65535},
    };
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    struct brim_dot_counts counts;

    (void)state;
    brim_rng_init(&rng, 32, 0);
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        for (size_t t = 0; t < sizeof text / sizeof *text; t++) {
            struct layer l = shape[s];

            l.datapath = text[t];
            check_layer(ctx, &rng, &l, &counts);
        }
    }
    brim_ctx_free(ctx);
}

/* Registers that most products fit and some do not: both kinds of output in one layer. */
static void equals_the_reference_where_few_products_fit(void **state)
{
    static const char *const text[] = {"14q", "14g", "14/8g,16s", "13/4q,15g", "12/8g,16"};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    struct brim_dot_counts counts;

    (void)state;
    brim_rng_init(&rng, 34, 0);
    for (size_t t = 0; t < sizeof text / sizeof *text; t++) {
        for (size_t n = 1; n <= 64; n += 21) {
            const struct layer l = {.n = n,
                                    .k = 12,
                                    .groups = 1,
                                    .m = 50,
                                    .w_max = 80,
                                    .x_min = -128,
                                    .x_max = 127,
                                    .datapath = text[t]};

            check_layer(ctx, &rng, &l, &counts);
        }
    }
    brim_ctx_free(ctx);
}

/* One round, some, until done; products that fit, that sometimes do, that hardly do; every length of
 * list around powers of two; batches of one row, of parts of rows, of several. */
static void orders_equal_the_reference(void **state)
{
    static const char *const text[] = {"18q1", "16q1", "16q3", "14q1", "12q2", "11q", "9q1",
                                       "8q50", "2q1",  "40q1", "13g",  "9g",   "2g"};
    static const size_t k[] = {1, 2, 3, 7, 8, 9, 31, 33, 64, 100, 129};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    struct brim_dot_counts counts;
    uint64_t transient = 0;

    (void)state;
    brim_rng_init(&rng, 35, 0);
    for (size_t t = 0; t < sizeof text / sizeof *text; t++) {
        for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
            const struct layer l = {.n = 1 + 5 * ((t + i) % 9),
                                    .k = k[i],
                                    .groups = 1,
                                    .m = 1 + (t * 7 + i * 5) % 37,
                                    .w_max = 127,
                                    .x_min = i % 3 == 0 ? -128 : 0,
                                    .x_max = i % 3 == 0 ? 127 : 255,
                                    .datapath = text[t]};

            check_layer(ctx, &rng, &l, &counts);
            transient += counts.transient;
        }
    }
    assert_true(transient > 100);
    brim_ctx_free(ctx);
}

static void equals_the_reference_at_the_extremes(void **state)
{
    static const char *const text[] = {"32s", "33s",      "31",        "64g", "40/7s,44s",
                                       "2s",  "32/3,36s", "33/5p,41s", "2q",  "33q"};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    struct brim_dot_counts counts;

    (void)state;
    brim_rng_init(&rng, 33, 0);
    for (size_t t = 0; t < sizeof text / sizeof *text; t++) {
        const struct layer l = {.n = 40,
                                .k = 70,
                                .groups = 1,
                                .m = 5,
                                .w_max = 32768,
                                .x_min = -65536,
                                .x_max = 65535,
                                .corners = true,
                                .datapath = text[t]};
        const struct layer few = {.n = 3,
                                  .k = 70,
                                  .groups = 3,
                                  .m = 66,
                                  .w_max = 32768,
                                  .x_min = -65536,
                                  .x_max = 65535,
                                  .corners = true,
                                  .datapath = text[t]};

        check_layer(ctx, &rng, &l, &counts);
        check_layer(ctx, &rng, &few, &counts);
    }
    brim_ctx_free(ctx);
}

/* The plan for one output of weights 1..k: the faster paths must really be taken. */
static enum brim_dot_path path_of(brim_ctx *ctx, const char *text, int32_t weight, int64_t x_max,
                                  bool count)
{
    int32_t w[8 * 64];
    brim_datapath dp;
    struct brim_dot_plan plan;

    for (size_t i = 0; i < (size_t)8 * 64; i++) {
        w[i] = i % 2 == 0 ? weight : -weight;
    }
    const struct brim_dot_kernel_params p = {
        .w = w, .n = 8, .k = 64, .groups = 1, .x_max = x_max, .count = count};
    ASSERT_OK(ctx, brim_datapath_parse(ctx, text, &dp));
    ASSERT_OK(ctx, brim_dot_plan_make(ctx, &p, &dp, &plan, NULL));
    return plan.path;
}

static void chooses_the_fast_path(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const enum brim_dot_path simulated =
        brim_simulate_choose(ctx->isa)->isa != 0 ? BRIM_DOT_SIMULATE : BRIM_DOT_LANES32;

    (void)state;
    /* 32 weights of 16 a sign and 8-bit inputs: 130560, 18 bits */
    assert_int_equal(path_of(ctx, "18s", 16, 255, false), BRIM_DOT_GEMM8);
    assert_int_equal(path_of(ctx, "17", 16, 255, false), BRIM_DOT_GEMM8);
    assert_int_equal(path_of(ctx, "17g", 16, 255, false), BRIM_DOT_GEMM8);
    assert_int_equal(path_of(ctx, "17q", 16, 255, false), BRIM_DOT_GEMM8);
    assert_int_equal(path_of(ctx, "15/16,18", 16, 255, false), simulated);
    assert_int_equal(path_of(ctx, "14/64p,18", 16, 255, false), BRIM_DOT_GEMM8);
    assert_int_equal(path_of(ctx, "14/16p,16s", 16, 255, false), BRIM_DOT_SCALAR);
    assert_int_equal(path_of(ctx, "17s", 16, 255, false), simulated);
    assert_int_equal(path_of(ctx, "17q1", 16, 255, false), BRIM_DOT_ORDERED);
    assert_int_equal(path_of(ctx, "10q2", 16, 255, true), BRIM_DOT_ORDERED);
    assert_int_equal(path_of(ctx, "17q1", 16, 65535, true),
                     BRIM_DOT_SCALAR); /* products of 21 bits */
    assert_int_equal(path_of(ctx, "13/8q1,20", 16, 255, true), BRIM_DOT_SCALAR);
    assert_int_equal(path_of(ctx, "18s", 16, 255, true), simulated);
    assert_int_equal(path_of(ctx, "17g", 16, 255, true), simulated);
    /* 4080 does not fit: the outputs where it occurs are computed anew */
    assert_int_equal(path_of(ctx, "12g", 16, 255, true), simulated);
    assert_int_equal(path_of(ctx, "12q", 16, 255, false), simulated);
    assert_int_equal(path_of(ctx, "10q", 16, 255, false), BRIM_DOT_ORDERED);
    assert_int_equal(path_of(ctx, "10g", 16, 255, true), BRIM_DOT_ORDERED);
    /* 32 weights of 127 and 16-bit inputs: 2^28 a sign; of 32767: beyond 2^30 */
    assert_int_equal(path_of(ctx, "64", 127, 65535, false), BRIM_DOT_GEMM_F64);
    assert_int_equal(path_of(ctx, "24s", 127, 65535, false), BRIM_DOT_LANES32);
    assert_int_equal(path_of(ctx, "24s", 32767, 65535, false), BRIM_DOT_LANES64);
    brim_ctx_free(ctx);
}

/* sgemm is exact up to 2^24 in magnitude and not one further. */
static void float_is_left_in_time(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    int32_t w[8 * 3];
    const brim_datapath dp = {1, {{.width = 64}}};
    struct brim_dot_plan plan;

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        w[3 * i] = 256; /* 256 * 65535 + 256 * 1 = 2^24 */
        w[3 * i + 1] = 0;
        w[3 * i + 2] = 0;
    }
    struct brim_dot_kernel_params p = {.w = w, .n = 8, .k = 3, .groups = 1, .x_max = 65535};
    ASSERT_OK(ctx, brim_dot_plan_make(ctx, &p, &dp, &plan, NULL));
    assert_int_equal(plan.path, BRIM_DOT_GEMM_F32);
    w[1] = 1;
    ASSERT_OK(ctx, brim_dot_plan_make(ctx, &p, &dp, &plan, NULL));
    assert_int_equal(plan.path, BRIM_DOT_GEMM_F64);
    p.x_min = -65536;
    p.x_max = 0;
    w[1] = 0;
    ASSERT_OK(ctx, brim_dot_plan_make(ctx, &p, &dp, &plan, NULL));
    assert_int_equal(plan.path, BRIM_DOT_GEMM_F32); /* -2^24 itself is exact */
    brim_ctx_free(ctx);
}

static void refuses_what_is_out_of_range(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    int32_t w[6] = {1, 2, 3, 4, 5, 32768};
    const brim_datapath broken = {1, {{.width = 1}}};
    struct brim_dot_kernel *kernel = NULL;
    struct brim_dot_kernel_params p = {.w = w, .n = 3, .k = 2, .groups = 2, .x_max = 255};

    (void)state;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "3 outputs in 2 groups",
                 brim_dot_kernel_create(ctx, &p, &kernel));
    p.groups = 0;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "in 0 groups", brim_dot_kernel_create(ctx, &p, &kernel));
    p.groups = 1;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "weight code 32768", brim_dot_kernel_create(ctx, &p, &kernel));
    w[5] = -32768;
    p.x_max = 65536;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input codes 0..65536",
                 brim_dot_kernel_create(ctx, &p, &kernel));
    p.x_max = -1;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input codes 0..-1", brim_dot_kernel_create(ctx, &p, &kernel));
    p.x_max = 255;
    p.datapath = &broken;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "width 1", brim_dot_kernel_create(ctx, &p, &kernel));
    p.datapath = NULL;
    p.n = SIZE_MAX / 2;
    p.k = 3;
    ASSERT_FAILS(ctx, BRIM_ERR_NOMEM, "too large", brim_dot_kernel_create(ctx, &p, &kernel));
    assert_null(kernel);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_reference_anywhere),
        cmocka_unit_test(equals_the_reference_on_real_shapes),
        cmocka_unit_test(equals_the_reference_where_few_products_fit),
        cmocka_unit_test(orders_equal_the_reference),
        cmocka_unit_test(equals_the_reference_at_the_extremes),
        cmocka_unit_test(chooses_the_fast_path),
        cmocka_unit_test(float_is_left_in_time),
        cmocka_unit_test(refuses_what_is_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
