/* Which products of a layer meet in which register. SPDX-License-Identifier: Apache-2.0 */
#include "starving.h"

#include "base/rng.h"
#include "target/layer_walk.h"

#define WALK                                                                                       \
    {                                                                                              \
        .pad_run = 1, .pad_end = 1, .lanes = 1                                                     \
    }

/* u8 inputs, s8 weights, pairs; the test changes what it is about. */
static brim_target pairs(void)
{
    return (brim_target){
        .name = "pairs",
        .datapath = {2, {{.width = 16, .mode = BRIM_MODE_SATURATE, .tile = 2}, {.width = 32}}},
        .input = {0, 255, BRIM_FIT_TYPE},
        .weight = {-128, 127, BRIM_FIT_RAW},
        .convolution = WALK,
        .depthwise = {.wide = true},
        .matrix = WALK,
        .outside = 32};
}

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

static struct brim_dot conv(size_t n, int64_t side, int64_t channels, int64_t groups,
                            const int32_t *w)
{
    struct brim_dot d = matrix(n, (size_t)(side * side * channels), w);

    d.name = "conv";
    d.kind = BRIM_DOT_CONV;
    d.groups = (size_t)groups;
    d.conv = (struct brim_conv_geometry){.c_in = channels * groups,
                                         .c_out = (int64_t)n,
                                         .groups = groups,
                                         .kh = side,
                                         .kw = side,
                                         .rank = 2};
    return d;
}

static const int32_t ones[1024] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static void assert_slots(const struct brim_layer_walk *walk, const int32_t *want, size_t n)
{
    assert_int_equal(walk->slots, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(walk->k[i], want[i]);
    }
}

static void a_convolution_is_filled_up_at_its_end(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_target t = pairs();
    const struct brim_dot d = conv(1, 3, 3, 1, ones);
    struct brim_arena arena;
    struct brim_layer_walk walk;

    (void)state;
    brim_arena_init(&arena, ctx);
    t.convolution.pad_end = 4;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_false(walk.wide);
    assert_true(walk.fits);
    assert_int_equal(walk.slots, 28);
    assert_int_equal(walk.tile, 2);
    assert_int_equal(walk.k[2], 2); /* (2, 3): channel 2 of position 0, channel 0 of position 1 */
    assert_int_equal(walk.k[3], 3);
    assert_int_equal(walk.k[26], 26);
    assert_int_equal(walk.k[27], -1);
    t.convolution.order = BRIM_WALK_CHANNEL_KERNEL;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_int_equal(walk.k[1], 3); /* kernel position 1 of channel 0 */
    assert_int_equal(walk.k[9], 1); /* position 0 of channel 1 */
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

static void runs_are_filled_up_and_lanes_take_turns(void **state)
{
    static const int32_t run[] = {0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1};
    static const int32_t lanes[] = {0, 4, 1, 5, 2, 6, 3, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    brim_ctx *ctx = testing_ctx(1);
    brim_target t = pairs();
    const struct brim_dot c = conv(1, 2, 3, 1, ones), m = matrix(1, 7, ones);
    struct brim_arena arena;
    struct brim_layer_walk walk;

    (void)state;
    brim_arena_init(&arena, ctx);
    t.convolution.pad_run = 4;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &c, &walk));
    assert_slots(&walk, run, 16);
    t.matrix.lanes = 4; /* a block of 8: register l takes l and l + 4 */
    t.matrix.pad_end = 16;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &m, &walk));
    assert_slots(&walk, lanes, 16);
    t.datapath = (brim_datapath){1, {{.width = 16}}};
    t.matrix.lanes = t.matrix.pad_end = 1;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &m, &walk));
    assert_int_equal(walk.tile, 7); /* all of them */
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

static void operands_are_codes_moved_as_the_target_says(void **state)
{
    static const int32_t w[] = {-3, 5};
    static const int32_t zero[] = {7};
    brim_ctx *ctx = testing_ctx(1);
    brim_target t = pairs();
    struct brim_dot d = matrix(1, 2, w);
    struct brim_arena arena;
    struct brim_layer_walk walk;

    (void)state;
    brim_arena_init(&arena, ctx);
    d.x_dtype = BRIM_INT8;
    d.x_min = -64;
    d.x_max = 63;
    d.x_zero = 3;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_int_equal(walk.x_shift, 128); /* as a kernel for int8 does, whatever is clipped */
    assert_int_equal(walk.x_min, 64);
    assert_int_equal(walk.x_max, 191);
    t.input.fit = BRIM_FIT_RANGE;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_int_equal(walk.x_max, 127);
    t.input.fit = BRIM_FIT_RAW;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_false(walk.fits);
    t.input = (brim_operand){-32768, 32767, BRIM_FIT_ZERO};
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_int_equal(walk.x_min, -67);
    assert_true(walk.fits);
    t.input.fit = BRIM_FIT_WIDE; /* int8 is what the operand takes */
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_false(walk.wide);
    d.w_zero = zero; /* in the file the codes are 4 and 12 */
    d.w_dtype = BRIM_UINT8;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_int_equal(walk.w_min, 4);
    assert_int_equal(walk.w_max, 12);
    t.weight.fit = BRIM_FIT_TYPE;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_int_equal(walk.w_min, -124);
    t.weight.fit = BRIM_FIT_ZERO;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_int_equal(walk.w_min, -3);
    t.weight.fit = BRIM_FIT_WIDE;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
    assert_true(walk.wide);
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

static void depthwise_layers_have_their_own_walk(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const brim_target t = pairs();
    const struct brim_dot depthwise = conv(4, 3, 1, 4, ones), grouped = conv(4, 3, 2, 2, ones),
                          multiplied = conv(8, 3, 1, 4, ones), one = conv(1, 3, 1, 1, ones);
    struct brim_arena arena;
    struct brim_layer_walk walk;

    (void)state;
    brim_arena_init(&arena, ctx);
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &depthwise, &walk));
    assert_true(walk.wide);
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &grouped, &walk));
    assert_false(walk.wide);
    assert_int_equal(walk.slots, 18); /* one group's */
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &multiplied, &walk));
    assert_false(walk.wide);
    ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &one, &walk));
    assert_false(walk.wide);
    brim_target exact = t;
    struct brim_dot named = one;
    const char *const wide[] = {"ConvInteger", "QLinearConv:int8"};
    exact.wide_operators = wide;
    exact.n_wide_operators = 2;
    named.op_type = "QLinearConv";
    ASSERT_OK(ctx, brim_layer_walk(&arena, &exact, &named, &walk));
    assert_false(walk.wide);
    named.x_dtype = BRIM_INT8;
    ASSERT_OK(ctx, brim_layer_walk(&arena, &exact, &named, &walk));
    assert_true(walk.wide);
    named.op_type = "Conv";
    ASSERT_OK(ctx, brim_layer_walk(&arena, &exact, &named, &walk));
    assert_false(walk.wide);
    named.op_type = "ConvInteger";
    ASSERT_OK(ctx, brim_layer_walk(&arena, &exact, &named, &walk));
    assert_true(walk.wide);
    struct brim_dot vectors = one;
    vectors.vector = 3;
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED, "layer 'conv': has scales for vectors",
                 brim_layer_walk(&arena, &t, &vectors, &walk));
    brim_arena_free(&arena);
    brim_ctx_free(ctx);
}

/* Every walk is a rearrangement, and the sum over operands less the correction is the sum over
 * codes, for random layers, targets and inputs. */
static void every_walk_keeps_the_sum(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    int32_t w[96], x[48], zero[2], wide_w[512], wide_x[512];

    (void)state;
    brim_rng_init(&rng, 1, 0);
    for (int round = 0; round < 500; round++) {
#define PICK(n) ((int64_t)brim_rng_below(&rng, (uint64_t)(n)))
        brim_target t = pairs();
        struct brim_arena arena;
        struct brim_layer_walk walk;
        const brim_walk how = {.order = (brim_walk_order)PICK(2),
                               .pad_run = 1 + (uint32_t)PICK(5),
                               .pad_end = 1 + (uint32_t)PICK(9),
                               .lanes = 1 + (uint32_t)PICK(4)};
        struct brim_dot d = conv(2, 1 + PICK(3), 1 + PICK(5), 1, w);
        t.convolution = how;
        t.input = (brim_operand){PICK(2) ? 0 : -512, 1023, (brim_operand_fit)PICK(4)};
        t.weight = (brim_operand){PICK(2) ? 0 : -512, 1023, (brim_operand_fit)PICK(4)};
        d.x_dtype = PICK(2) ? BRIM_INT8 : BRIM_UINT8;
        d.w_dtype = PICK(2) ? BRIM_INT8 : BRIM_UINT8;
        d.x_min = d.x_dtype == BRIM_INT8 ? -128 : 0;
        d.x_max = d.x_min + 255;
        d.x_zero = d.x_min + PICK(256);
        d.w_zero = PICK(2) ? zero : NULL;
        for (size_t i = 0; i < 96; i++) {
            w[i] = (int32_t)PICK(256) - 128;
            x[i / 2] = (int32_t)(d.x_min + PICK(256));
            zero[i % 2] = (int32_t)PICK(9) - 4;
        }
        brim_arena_init(&arena, ctx);
        ASSERT_OK(ctx, brim_layer_walk(&arena, &t, &d, &walk));
        assert_true(walk.slots <= 512);
        brim_walk_inputs(&walk, x, wide_x);
        for (size_t c = 0; c < 2; c++) {
            int seen[48] = {0};
            int64_t sum = 0, moved = 0;
            brim_walk_weights(&walk, c, wide_w);
            for (size_t i = 0; i < walk.slots; i++) {
                seen[walk.k[i] < 0 ? 47 : walk.k[i]]++;
                moved += (int64_t)wide_w[i] * wide_x[i];
            }
            for (size_t i = 0; i < d.k; i++) {
                assert_int_equal(seen[i], 1);
                sum += (int64_t)w[c * d.k + i] * x[i];
            }
            assert_int_equal(moved - brim_walk_correction(&walk, c, x), sum);
        }
        brim_arena_free(&arena);
#undef PICK
    }
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_convolution_is_filled_up_at_its_end),
        cmocka_unit_test(runs_are_filled_up_and_lanes_take_turns),
        cmocka_unit_test(operands_are_codes_moved_as_the_target_says),
        cmocka_unit_test(depthwise_layers_have_their_own_walk),
        cmocka_unit_test(every_walk_keeps_the_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
