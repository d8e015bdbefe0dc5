/* test_scaled.c - vectors with integer scales: values, needs and witnesses.
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/rng.h"
#include "brim/datapath.h"
#include "oracle/datapath_oracle.h"

#define MAX_K 48

struct layer {
    char text[BRIM_DATAPATH_TEXT];
    brim_datapath dp;
    size_t k;
    int32_t w[MAX_K], x[MAX_K];
    uint32_t factor[MAX_K];
    brim_factors factors;
};

/* Inner tiles, the vectors, perhaps a stage between them and the last. */
static void random_layer(brim_ctx *ctx, struct brim_rng *rng, struct layer *l)
{
    static const char *const mode[] = {"", "s", "q", "g", "q1", "p"};
    const unsigned vector = 1 + (unsigned)brim_rng_below(rng, 8);
    const char *inner = mode[brim_rng_below(rng, 6)], *outer = mode[brim_rng_below(rng, 5)];
    const unsigned width = (unsigned)brim_rng_range(rng, 4, 12);

    if (brim_rng_below(rng, 2) == 0) {
        (void)snprintf(l->text, sizeof l->text, "%u/%u%s,%u%s", width, vector, inner, width + 6,
                       outer);
    } else {
        (void)snprintf(l->text, sizeof l->text, "%u/%u%s,%u/%us,%u%s", width, vector, inner,
                       width + 5, 3 * vector, width + 7, outer);
    }
    ASSERT_OK(ctx, brim_datapath_parse(ctx, l->text, &l->dp));
    l->k = (size_t)brim_rng_below(rng, MAX_K + 1);
    for (size_t i = 0; i < MAX_K; i++) {
        l->w[i] = (int32_t)brim_rng_range(rng, -7, 7);
        l->x[i] = (int32_t)brim_rng_range(rng, -8, 7);
        l->factor[i] = (uint32_t)brim_rng_below(rng, 16);
    }
    l->factors = (brim_factors){vector, l->factor};
}

static void agrees_with_the_oracle(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    int64_t scratch[2 * MAX_K];

    (void)state;
    brim_rng_init(&rng, 31, 0);
    for (int round = 0; round < 20000; round++) {
        struct layer l;
        struct oracle_events want;
        brim_events ev;

        random_layer(ctx, &rng, &l);
        const int64_t value =
            oracle_dot_scaled(l.text, l.factors.vector, l.factor, l.w, l.x, l.k, &want);
        const int64_t got =
            brim_datapath_dot_scaled(&l.dp, &l.factors, l.w, l.x, l.k, scratch, &ev);
        if (got != value || ev.transient != want.transient || ev.persistent != want.persistent ||
            ev.product != want.product || ev.min_width != want.min_width) {
            fail_msg("%s, k = %zu: got %lld, the oracle says %lld", l.text, l.k, (long long)got,
                     (long long)value);
        }
    }
    brim_ctx_free(ctx);
}

/* The exact total of a register of the last stage, summed by hand. */
static int64_t total(const struct layer *l, const int32_t *x)
{
    int64_t sum = 0;

    for (size_t i = 0; i < l->k; i++) {
        sum += (int64_t)l->w[i] * x[i] * l->factor[i / l->factors.vector];
    }
    return sum;
}

/* Oracle 18: the witness attains the outer register's need, no input exceeds it, and with the need
 * as width nothing overflows, while one bit less does. */
static void witness_attains_the_need(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    int64_t scratch[2 * MAX_K];

    (void)state;
    brim_rng_init(&rng, 32, 0);
    for (int round = 0; round < 3000; round++) {
        struct layer l;
        unsigned need[BRIM_MAX_STAGES];
        brim_range range;
        brim_events ev;
        int32_t x[MAX_K] = {0};

        random_layer(ctx, &rng, &l);
        const size_t last = l.dp.n_stages - 1;
        ASSERT_OK(ctx,
                  brim_datapath_need_scaled(ctx, &l.dp, &l.factors, l.w, l.k, -8, 7, need, &range));
        const int64_t seen = total(&l, l.x);
        assert_true(seen >= range.lo && seen <= range.hi);
        const int64_t reached =
            brim_datapath_witness_scaled(&l.dp, &l.factors, last, l.w, l.k, -8, 7, x);
        assert_int_equal(reached, total(&l, x));
        assert_true(reached == range.lo || reached == range.hi);
        assert_int_equal(brim_width_of(reached, reached), need[last]);
        for (size_t i = 0; i <= last; i++) {
            l.dp.stage[i].width = (uint8_t)need[i];
        }
        assert_int_equal(brim_datapath_dot_scaled(&l.dp, &l.factors, l.w, x, l.k, scratch, &ev),
                         reached);
        assert_false(ev.transient || ev.persistent);
        if (need[last] > 2) {
            l.dp.stage[last].width--;
            (void)brim_datapath_dot_scaled(&l.dp, &l.factors, l.w, x, l.k, scratch, &ev);
            assert_true(ev.persistent);
        }
    }
    brim_ctx_free(ctx);
}

/* Factors of one are no factors. */
static void ones_change_nothing(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    int64_t scratch[2 * MAX_K];

    (void)state;
    brim_rng_init(&rng, 33, 0);
    for (int round = 0; round < 1000; round++) {
        struct layer l;

        random_layer(ctx, &rng, &l);
        for (size_t i = 0; i < MAX_K; i++) {
            l.factor[i] = 1;
        }
        assert_int_equal(brim_datapath_dot_scaled(&l.dp, &l.factors, l.w, l.x, l.k, scratch, NULL),
                         brim_datapath_dot(&l.dp, l.w, l.x, l.k, scratch, NULL));
    }
    brim_ctx_free(ctx);
}

/* Oracle 20, and that rounding never loses more than half of the last bit kept. */
static void products_of_scales(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < 64; a++) {
        for (uint32_t b = 0; b < 64; b++) {
            assert_int_equal(brim_scale_product(a, b, 12, 12), a * b);
            assert_int_equal(brim_scale_product(a, b, 12, 0), a * b);
            for (unsigned kept = 1; kept < 12; kept++) {
                const int64_t back = (int64_t)brim_scale_product(a, b, 12, kept) << (12 - kept);
                const int64_t off = back - (int64_t)a * b, half = INT64_C(1) << (11 - kept);
                assert_true(off > -half && off <= half);
            }
        }
    }
}

static void refuses_with_a_reason(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const int32_t w[4] = {1, 2, 3, 4};
    uint32_t factor[2] = {1, BRIM_MAX_FACTOR + 1};
    unsigned need[BRIM_MAX_STAGES];
    brim_datapath dp;

    (void)state;
    ASSERT_OK(ctx, brim_datapath_parse(ctx, "8/2,16", &dp));
    const brim_factors wrong = {4, factor}, large = {2, factor};
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "no stage but the last has tiles of 4 products",
                 brim_datapath_need_scaled(ctx, &dp, &wrong, w, 4, 0, 1, need, NULL));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "factor of vector 1 is 1048577",
                 brim_datapath_need_scaled(ctx, &dp, &large, w, 4, 0, 1, need, NULL));
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_oracle), cmocka_unit_test(witness_attains_the_need),
        cmocka_unit_test(ones_change_nothing),    cmocka_unit_test(products_of_scales),
        cmocka_unit_test(refuses_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
