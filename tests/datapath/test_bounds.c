/* test_bounds.c - certificates against brute force, witnesses, tiles. The oracles named are those
 * of the design notes' list. SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/intops.h"
#include "base/rng.h"
#include "brim/datapath.h"
#include "oracle/datapath_oracle.h"

#define MAX_K 96

static brim_datapath parsed(brim_ctx *ctx, const char *text)
{
    brim_datapath dp;

    ASSERT_OK(ctx, brim_datapath_parse(ctx, text, &dp));
    return dp;
}

static unsigned need_one(brim_ctx *ctx, const int32_t *w, size_t k, int64_t x_min, int64_t x_max,
                         brim_range *range)
{
    const brim_datapath dp = {1, {{.width = 64}}};
    unsigned need;

    ASSERT_OK(ctx, brim_datapath_need(ctx, &dp, w, k, x_min, x_max, &need, range));
    return need;
}

static void widths_and_registers(void **state)
{
    (void)state;
    assert_int_equal(brim_register_max(2), 1);
    assert_int_equal(brim_register_min(2), -2);
    assert_int_equal(brim_register_max(16), 32767);
    assert_int_equal(brim_register_min(16), -32768);
    assert_true(brim_register_max(64) == INT64_MAX && brim_register_min(64) == INT64_MIN);
    assert_int_equal(brim_width_of(0, 0), 2);
    assert_int_equal(brim_width_of(INT64_MIN, 0), 64);
    assert_int_equal(brim_width_of(0, INT64_MAX), 64);
    for (unsigned width = 2; width < 64; width++) {
        const int64_t hi = brim_register_max(width), lo = brim_register_min(width);

        assert_int_equal(brim_width_of(lo, hi), width);
        assert_int_equal(brim_width_of(0, hi), width);
        assert_int_equal(brim_width_of(lo, 0), width);
        assert_int_equal(brim_width_of(lo, hi + 1), width + 1);
        assert_int_equal(brim_width_of(lo - 1, hi), width + 1);
    }
    for (int64_t lo = -300; lo <= 0; lo++) {
        assert_int_equal(brim_width_of(lo, 129), oracle_width(lo, 129));
    }
}

/* Extremes over every subset of products and every corner input: each product is w*mu, w*nu or
 * absent, so 3^k sums. */
static brim_range brute_range(const int32_t *w, size_t k, int64_t x_min, int64_t x_max)
{
    brim_range r = {0, 0};
    size_t combinations = 1;

    for (size_t i = 0; i < k; i++) {
        combinations *= 3;
    }
    for (size_t c = 0; c < combinations; c++) {
        const int64_t corner[3] = {0, x_min, x_max};
        int64_t sum = 0;

        for (size_t i = 0, rest = c; i < k; i++, rest /= 3) {
            sum += w[i] * corner[rest % 3];
        }
        r.lo = brim_min_i64(r.lo, sum);
        r.hi = brim_max_i64(r.hi, sum);
    }
    return r;
}

/* Oracle 1: all non-decreasing rows (the range ignores order) of k <= 5 four-bit codes, for every
 * input range of up to three bits that contains 0. */
static void range_equals_brute_force(void **state)
{
    static const int64_t inputs[][2] = {{0, 1}, {0, 3}, {0, 7}, {-4, 3}, {-2, 1}, {-7, 0}, {-1, 6}};
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    for (size_t r = 0; r < sizeof inputs / sizeof *inputs; r++) {
        for (size_t k = 1; k <= 5; k++) {
            int32_t w[5] = {-7, -7, -7, -7, -7};

            for (bool more = true; more;) {
                const brim_range want = brute_range(w, k, inputs[r][0], inputs[r][1]);
                brim_range got;
                const unsigned need = need_one(ctx, w, k, inputs[r][0], inputs[r][1], &got);
                size_t at = k;

                assert_true(got.lo == want.lo && got.hi == want.hi);
                assert_int_equal(need, oracle_width(want.lo, want.hi));
                while (at > 0 && w[at - 1] == 7) {
                    at--;
                }
                more = at > 0;
                for (size_t i = at; more && i <= k; i++) {
                    w[i - 1] = i == at ? w[i - 1] + 1 : w[at - 1];
                }
            }
        }
    }
    brim_ctx_free(ctx);
}

/* An input range off zero is widened: a prefix may use fewer products than the total. */
static void range_off_zero_is_widened(void **state)
{
    const int32_t w[2] = {5, -5};
    brim_ctx *ctx = testing_ctx(1);
    brim_range r;

    (void)state;
    assert_int_equal(need_one(ctx, w, 2, 3, 12, &r), 7);
    assert_true(r.lo == -60 && r.hi == 60);
    assert_int_equal(need_one(ctx, w, 2, -12, -3, &r), 7);
    assert_true(r.lo == -60 && r.hi == 60);
    brim_ctx_free(ctx);
}

static void random_row(struct brim_rng *rng, int32_t *w, size_t k, int64_t limit)
{
    for (size_t i = 0; i < k; i++) {
        w[i] = (int32_t)brim_rng_range(rng, -limit, limit);
    }
}

/* Replay the witness of a stage with that stage's width replaced: it must overflow at need-1 and
 * not at need. */
static void check_witness(brim_ctx *ctx, const brim_datapath *dp, size_t stage, const int32_t *w,
                          size_t k, const int64_t x_range[2])
{
    unsigned need[BRIM_MAX_STAGES];
    int32_t x[MAX_K];
    int64_t scratch[2 * MAX_K];
    brim_datapath wide = *dp;
    brim_events ev;

    ASSERT_OK(ctx, brim_datapath_need(ctx, dp, w, k, x_range[0], x_range[1], need, NULL));
    const int64_t reached = brim_datapath_witness(dp, stage, w, k, x_range[0], x_range[1], x);
    assert_int_equal(brim_width_of(brim_min_i64(reached, 0), brim_max_i64(reached, 0)),
                     need[stage]);
    for (size_t i = 0; i < dp->n_stages; i++) {
        wide.stage[i].width = (uint8_t)need[i];
    }
    assert_true(brim_datapath_fits(&wide, need));
    (void)brim_datapath_dot(&wide, w, x, k, scratch, &ev);
    assert_false(ev.transient || ev.persistent || ev.product);
    if (need[stage] > 2) {
        wide.stage[stage].width = (uint8_t)(need[stage] - 1);
        assert_false(brim_datapath_fits(&wide, need));
        (void)brim_datapath_dot(&wide, w, x, k, scratch, &ev);
        assert_true(dp->stage[stage].mode == BRIM_MODE_SPILL ? ev.transient : ev.persistent);
    }
}

/* Oracles 2 and 18: the witness of every stage. */
static void witness_overflows_one_bit_below(void **state)
{
    static const char *const text[] = {"9",      "9s",       "9q",           "9g",
                                       "9/8,12", "9/8s,12g", "9/2,10/8q,12", "9/1,10/3s,11/12,12",
                                       "9/8p,12"};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 21, 0);
    for (int round = 0; round < 400; round++) {
        static const int64_t x_range[][2] = {{0, 255}, {-128, 127}, {-3, 0}, {0, 1}, {3, 9}};
        int32_t w[MAX_K];
        const size_t k = (size_t)brim_rng_below(&rng, MAX_K + 1);

        random_row(&rng, w, k, INT64_C(1) << brim_rng_below(&rng, 8));
        for (size_t t = 0; t < sizeof text / sizeof *text; t++) {
            const brim_datapath dp = parsed(ctx, text[t]);

            for (size_t stage = 0; stage < dp.n_stages; stage++) {
                check_witness(ctx, &dp, stage, w, k, x_range[round % 5]);
            }
        }
    }
    brim_ctx_free(ctx);
}

/* Oracle 2, second half: the extreme is the register's total. Oracle 24: signed inputs at
 * their lowest code, which also makes the negative end the further one. */
static void witness_uses_the_corners(void **state)
{
    const int32_t w[5] = {3, -2, 0, 4, -1};
    const int32_t want[5] = {-128, 127, 0, -128, 127};
    brim_ctx *ctx = testing_ctx(1);
    const brim_datapath one = parsed(ctx, "16"), tiled = parsed(ctx, "16/2,16");
    int32_t x[5];

    (void)state;
    assert_int_equal(brim_datapath_witness(&one, 0, w, 5, -128, 127, x), -7 * 128 - 3 * 127);
    assert_memory_equal(x, want, sizeof x);
    /* tiles (3,-2) (0,4) (-1): the first reaches 3*127 + 2*128, or -638 as wide */
    assert_int_equal(brim_datapath_witness(&tiled, 0, w, 5, -128, 127, x), 3 * 127 + 2 * 128);
    assert_true(x[0] == 127 && x[1] == -128 && x[2] == 0 && x[3] == 0 && x[4] == 0);
    brim_ctx_free(ctx);
}

static void shuffle(struct brim_rng *rng, int32_t *w, int32_t *x, size_t k)
{
    for (size_t i = k; i > 1; i--) {
        const size_t j = (size_t)brim_rng_below(rng, i);
        const int32_t tw = w[i - 1], tx = x[i - 1];

        w[i - 1] = w[j];
        w[j] = tw;
        x[i - 1] = x[j];
        x[j] = tx;
    }
}

/* Add terms pairwise in random order until one is left: any binary tree. False when a node leaves
 * the register. */
static bool tree_fits(struct brim_rng *rng, const int32_t *w, const int32_t *x, size_t k,
                      unsigned width, int64_t *total)
{
    int64_t node[MAX_K];
    size_t n = k;

    for (size_t i = 0; i < k; i++) {
        node[i] = (int64_t)w[i] * x[i];
    }
    for (; n > 1; n--) {
        const size_t i = (size_t)brim_rng_below(rng, n);
        const int64_t a = node[i];

        node[i] = node[n - 1];
        const size_t j = (size_t)brim_rng_below(rng, n - 1);
        node[j] += a;
        if (node[j] < brim_register_min(width) || node[j] > brim_register_max(width)) {
            return false;
        }
    }
    *total = node[0];
    return true;
}

/* Oracle 3: under a certified width every order, tree and mode gives the exact sum. */
static void certified_means_any_order(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 22, 0);
    for (int round = 0; round < 300; round++) {
        int32_t w[MAX_K], x[MAX_K];
        const size_t k = 1 + (size_t)brim_rng_below(&rng, MAX_K);
        int64_t scratch[2 * MAX_K], total = 0, tree;

        random_row(&rng, w, k, 7);
        const unsigned need = need_one(ctx, w, k, -8, 15, NULL);
        for (size_t i = 0; i < k; i++) {
            x[i] = (int32_t)brim_rng_range(&rng, -8, 15);
            if (round % 3 == 0) {
                x[i] = w[i] > 0 ? 15 : -8;
            }
            total += (int64_t)w[i] * x[i];
        }
        for (int order = 0; order < 100; order++) {
            const brim_mode mode = (brim_mode)(order % 4);
            const brim_datapath dp = {1, {{.width = (uint8_t)need, .mode = mode}}};
            brim_events ev;

            shuffle(&rng, w, x, k);
            assert_int_equal(brim_datapath_dot(&dp, w, x, k, scratch, &ev), total);
            assert_false(ev.transient || ev.persistent || ev.product);
            assert_true(ev.min_width <= need);
            assert_true(tree_fits(&rng, w, x, k, need, &tree) && tree == total);
        }
    }
    brim_ctx_free(ctx);
}

/* Oracle 8: an l1 norm of 16 passes A2Q+'s (2^8 - 2)/15, yet 240 needs 9 bits. */
static void refuses_the_a2q_plus_trap(void **state)
{
    const int32_t w[2] = {8, 8};
    brim_ctx *ctx = testing_ctx(1);
    const brim_datapath dp = parsed(ctx, "8");
    brim_range r;
    unsigned need;
    int32_t x[2];

    (void)state;
    ASSERT_OK(ctx, brim_datapath_need(ctx, &dp, w, 2, 0, 15, &need, &r));
    assert_int_equal(need, 9);
    assert_true(r.lo == 0 && r.hi == 240);
    assert_false(brim_datapath_fits(&dp, &need));
    assert_int_equal(brim_datapath_witness(&dp, 0, w, 2, 0, 15, x), 240);
    brim_ctx_free(ctx);
}

/* Oracle 7: 7 bits and inputs 0..15 allow an l1 norm of 63/15 = 4.2 of real weights. Eight of 0.52
 * (l1 4.16) keep to it; rounded to nearest they are eight codes of 1 and reach 120; rounded toward
 * zero their norm cannot grow. */
static void rounding_to_nearest_breaks_the_budget(void **state)
{
    int32_t nearest[8], toward_zero[8];
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        const double y = i % 2 == 0 ? 0.52 : 0.525;

        nearest[i] = (int32_t)brim_rint(y);
        toward_zero[i] = (int32_t)y;
    }
    assert_int_equal(need_one(ctx, nearest, 8, 0, 15, NULL), 8);
    assert_int_equal(need_one(ctx, toward_zero, 8, 0, 15, NULL), 2);
    brim_ctx_free(ctx);
}

/* The lemma itself: per sign and in all, truncation never adds to the norm. */
static void truncation_never_adds_to_the_norm(void **state)
{
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 25, 0);
    for (int round = 0; round < 1000; round++) {
        double beta = 0.0, alpha = 0.0;
        int64_t beta_q = 0, alpha_q = 0;

        for (int i = 0; i < 64; i++) {
            const double y = brim_rng_normal(&rng) * 3.0;
            const int64_t q = (int64_t)y;

            beta += y > 0.0 ? y : 0.0;
            alpha -= y < 0.0 ? y : 0.0;
            beta_q += q > 0 ? q : 0;
            alpha_q -= q < 0 ? q : 0;
        }
        assert_true((double)beta_q <= beta && (double)alpha_q <= alpha);
    }
}

/* Oracle 9: A2Q eq. (2.2), P >= ceil(b + log2(1 + 2^-b) + 1), b = log2(L1) + N - sgn, is the least
 * P with L1 * 2^(N - sgn) <= 2^(P-1) - 1. Never below the exact need. */
static void a2q_bound_is_never_smaller(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    int slack[8] = {0};

    (void)state;
    brim_rng_init(&rng, 23, 0);
    for (int round = 0; round < 5000; round++) {
        int32_t w[MAX_K];
        const size_t k = 1 + (size_t)brim_rng_below(&rng, MAX_K);
        const unsigned bits = (unsigned)brim_rng_range(&rng, 2, 8);
        const bool sign = round % 2 == 0;
        const int64_t top = INT64_C(1) << (sign ? bits - 1 : bits);
        int64_t l1 = 0;

        random_row(&rng, w, k, 127);
        for (size_t i = 0; i < k; i++) {
            l1 += w[i] < 0 ? -w[i] : w[i];
        }
        const unsigned need = need_one(ctx, w, k, sign ? -top : 0, top - 1, NULL);
        const unsigned bound = brim_width_of(0, l1 * top);
        assert_true(bound >= need && bound - need < 8);
        slack[bound - need]++;
    }
    assert_true(slack[0] > 0 && slack[1] > 0); /* neither always equal nor always loose */
    brim_ctx_free(ctx);
}

/* Oracle 16: what is certified at T is certified at every divisor of T, on the first stage. */
static void refinement_never_needs_more(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    bool merging_needed_more = false;

    (void)state;
    brim_rng_init(&rng, 24, 0);
    for (int round = 0; round < 500; round++) {
        static const unsigned tiles[] = {1, 2, 4, 12, 24, 48, 96};
        int32_t w[MAX_K];
        const size_t k = 1 + (size_t)brim_rng_below(&rng, MAX_K);
        unsigned before = 0;

        random_row(&rng, w, k, 127);
        for (size_t t = 0; t < sizeof tiles / sizeof *tiles; t++) {
            const brim_datapath dp = {2, {{.width = 9, .tile = tiles[t]}, {.width = 32}}};
            unsigned need[BRIM_MAX_STAGES];

            ASSERT_OK(ctx, brim_datapath_need(ctx, &dp, w, k, 0, 255, need, NULL));
            assert_true(need[0] >= before);
            merging_needed_more |= before != 0 && need[0] > before;
            before = need[0];
            assert_int_equal(need[1], need_one(ctx, w, k, 0, 255, NULL));
        }
        assert_int_equal(before, need_one(ctx, w, k, 0, 255, NULL));
    }
    assert_true(merging_needed_more);
    brim_ctx_free(ctx);
}

/* Oracle 17: a last tile of one product, a tile beyond the reduction, tiles of one. */
static void ragged_tiles(void **state)
{
    const int32_t w[5] = {1, 1, 1, 1, 100};
    brim_ctx *ctx = testing_ctx(1);
    unsigned need[BRIM_MAX_STAGES];
    brim_datapath dp = parsed(ctx, "16/4,16");

    (void)state;
    ASSERT_OK(ctx, brim_datapath_need(ctx, &dp, w, 5, 0, 15, need, NULL));
    assert_int_equal(need[0], oracle_width(0, 1500)); /* the short tile decides */
    assert_int_equal(need[1], oracle_width(0, 1560));
    dp = parsed(ctx, "16/64,16");
    ASSERT_OK(ctx, brim_datapath_need(ctx, &dp, w, 5, 0, 15, need, NULL));
    assert_int_equal(need[0], oracle_width(0, 1560));
    assert_int_equal(need[1], need[0]);
    dp = parsed(ctx, "16/1,16");
    ASSERT_OK(ctx, brim_datapath_need(ctx, &dp, w, 5, 0, 15, need, NULL));
    assert_int_equal(need[0], oracle_width(0, 1500)); /* |w|*x alone */
    ASSERT_OK(ctx, brim_datapath_need(ctx, &dp, w, 0, 0, 15, need, NULL));
    assert_true(need[0] == 2 && need[1] == 2);
    brim_ctx_free(ctx);
}

/* Oracle 23: the negative end holds one more. */
static void negative_end_holds_one_more(void **state)
{
    const int32_t w[1] = {128};
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    for (unsigned width = 9; width <= 20; width++) {
        const int64_t x = INT64_C(1) << (width - 8); /* 128 * x = 2^(width-1) */

        assert_int_equal(need_one(ctx, w, 1, -x, 0, NULL), width);
        assert_int_equal(need_one(ctx, w, 1, 0, x, NULL), width + 1);
    }
    brim_ctx_free(ctx);
}

static void refuses_sums_beyond_63_bits(void **state)
{
    const int32_t w[2] = {INT32_MAX, INT32_MAX};
    brim_ctx *ctx = testing_ctx(1);
    const brim_datapath dp = parsed(ctx, "64");
    brim_datapath broken = dp;
    brim_range r = {5, 5};
    unsigned need = 77;

    (void)state;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "exceed 63 bits",
                 brim_datapath_need(ctx, &dp, w, 2, 0, INT64_MAX, &need, &r));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "exceed 63 bits",
                 brim_datapath_need(ctx, &dp, w, 2, INT64_MIN, 0, &need, &r));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input range is empty",
                 brim_datapath_need(ctx, &dp, w, 2, 1, 0, &need, &r));
    broken.stage[0].width = 1;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "width 1",
                 brim_datapath_need(ctx, &broken, w, 2, 0, 1, &need, &r));
    assert_true(need == 77 && r.lo == 5 && r.hi == 5);
    ASSERT_OK(ctx, brim_datapath_need(ctx, &dp, w, 1, 0, INT32_MAX, &need, &r));
    assert_int_equal(need, 63);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widths_and_registers),
        cmocka_unit_test(range_equals_brute_force),
        cmocka_unit_test(range_off_zero_is_widened),
        cmocka_unit_test(witness_overflows_one_bit_below),
        cmocka_unit_test(witness_uses_the_corners),
        cmocka_unit_test(certified_means_any_order),
        cmocka_unit_test(refuses_the_a2q_plus_trap),
        cmocka_unit_test(rounding_to_nearest_breaks_the_budget),
        cmocka_unit_test(truncation_never_adds_to_the_norm),
        cmocka_unit_test(a2q_bound_is_never_smaller),
        cmocka_unit_test(refinement_never_needs_more),
        cmocka_unit_test(ragged_tiles),
        cmocka_unit_test(negative_end_holds_one_more),
        cmocka_unit_test(refuses_sums_beyond_63_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
