/* test_pairing.c - an order of channels in which fewer products overflow together.
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/rng.h"
#include "fix/pairing.h"

static const brim_target maddubs = {
    .name = "pairs",
    .datapath = {.n_stages = 2,
                 .stage = {{.width = 16, .tile = 2, .mode = BRIM_MODE_SATURATE}, {.width = 32}}},
    .input = {.max = 255},
    .weight = {.min = -128, .max = 127},
    .convolution = {.pad_run = 1, .pad_end = 1, .lanes = 1},
    .matrix = {.pad_run = 1, .pad_end = 1, .lanes = 1},
    .outside = 32};

static struct brim_dot matrix(size_t n, size_t k, const int32_t *w)
{
    return (struct brim_dot){.name = "fc",
                             .kind = BRIM_DOT_MATMUL,
                             .codes = true,
                             .n = n,
                             .k = k,
                             .groups = 1,
                             .w = w,
                             .w_dtype = BRIM_INT8,
                             .x_dtype = BRIM_UINT8,
                             .x_max = 255};
}

/* Pairs of positions (0, 1), (2, 3), ... of one output that some input overflows. */
static size_t at_risk(const int32_t *w, const size_t *order, size_t k)
{
    size_t n = 0;

    for (size_t i = 0; i + 1 < k; i += 2) {
        const int64_t a = w[order[i]], b = w[order[i + 1]];
        const int64_t plus = (a > 0 ? a : 0) + (b > 0 ? b : 0);
        const int64_t minus = (a < 0 ? -a : 0) + (b < 0 ? -b : 0);
        n += plus * 255 > 32767 || minus * 255 > 32768 ? 1 : 0;
    }
    return n;
}

/* The example of pairing.c. */
static void worked_example(void **state)
{
    static const int32_t w[] = {100, 90, -80, -70};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_arena arena;
    struct brim_layer_walk walk;
    const struct brim_dot d = matrix(1, 4, w);
    const struct brim_pairing_layer layer = {&walk, w};
    size_t order[4];
    double gain;

    (void)state;
    brim_arena_init(&arena, ctx);
    ASSERT_OK(ctx, brim_layer_walk(&arena, &maddubs, &d, &walk));
    ASSERT_OK(ctx, brim_pairing_find(ctx, &layer, 1, 4, order, &gain));
    assert_true(gain == 1.0);
    assert_int_equal(at_risk(w, order, 4), 0);
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

/* Two layers read the same channels: one order serves both, and it is an order. */
static void one_order_for_all_readers(void **state)
{
    enum { CHANNELS = 32, N = 3, TAPS = 9 };
    int32_t w[2][N * CHANNELS * TAPS];
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    struct brim_arena arena;
    struct brim_layer_walk walk[2];
    bool seen[CHANNELS] = {false};
    size_t order[CHANNELS], identity[CHANNELS], before = 0, after = 0;
    double gain;

    (void)state;
    brim_rng_init(&rng, 9, 0);
    for (size_t i = 0; i < sizeof w[0] / sizeof w[0][0]; i++) {
        for (int l = 0; l < 2; l++) {
            w[l][i] = (int32_t)(brim_rng_normal(&rng) * 45.0);
            w[l][i] = w[l][i] > 127 ? 127 : w[l][i] < -127 ? -127 : w[l][i];
        }
    }
    struct brim_dot dot[2] = {matrix(N, CHANNELS, w[0]), matrix(N, CHANNELS * TAPS, w[1])};
    dot[1].kind = BRIM_DOT_CONV;
    dot[1].conv = (struct brim_conv_geometry){
        .c_in = CHANNELS, .c_out = N, .groups = 1, .kh = 3, .kw = 3, .rank = 2};
    brim_arena_init(&arena, ctx);
    ASSERT_OK(ctx, brim_layer_walk(&arena, &maddubs, &dot[0], &walk[0]));
    ASSERT_OK(ctx, brim_layer_walk(&arena, &maddubs, &dot[1], &walk[1]));
    const struct brim_pairing_layer layer[2] = {{&walk[0], w[0]}, {&walk[1], w[1]}};
    ASSERT_OK(ctx, brim_pairing_find(ctx, layer, 2, CHANNELS, order, &gain));
    for (size_t i = 0; i < CHANNELS; i++) {
        assert_true(order[i] < CHANNELS && !seen[order[i]]);
        seen[order[i]] = true;
        identity[i] = i;
    }
    for (size_t l = 0; l < 2; l++) {
        for (size_t row = 0; row < (l == 0 ? N : N * TAPS); row++) {
            before += at_risk(w[l] + row * CHANNELS, identity, CHANNELS);
            after += at_risk(w[l] + row * CHANNELS, order, CHANNELS);
        }
    }
    assert_true(gain > 0.3 && gain <= 1.0);
    assert_true(before > 20 && after < before);
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

/* Nothing at risk: the order that is. */
static void nothing_to_gain(void **state)
{
    static const int32_t w[] = {64, 64, -64, 10, -1, 127};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_arena arena;
    struct brim_layer_walk walk;
    const struct brim_dot d = matrix(1, 6, w);
    const struct brim_pairing_layer layer = {&walk, w};
    size_t order[6];
    double gain;

    (void)state;
    brim_arena_init(&arena, ctx);
    ASSERT_OK(ctx, brim_layer_walk(&arena, &maddubs, &d, &walk));
    ASSERT_OK(ctx, brim_pairing_find(ctx, &layer, 1, 6, order, &gain));
    assert_true(gain == 0.0);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(order[i], i);
    }
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),
        cmocka_unit_test(one_order_for_all_readers),
        cmocka_unit_test(nothing_to_gain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
