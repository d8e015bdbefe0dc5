/* test_text.c - parse, print, refuse. SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/rng.h"
#include "brim/datapath.h"

static void prints_what_it_parsed(void **state)
{
    static const char *const text[] = {
        "16",
        "2",
        "64s",
        "16/64,32",
        "16/2s,32",
        "12/16,16/64,24",
        "8/1q,9/2q3,10/4g,11s",
        "5/16p,32",
        "16q",
        "16q1",
        "16q4294967295",
        "64/4294967295q4294967295,64/4294967295q4294967295,64/4294967295q4294967295,64q4294967295",
        "16/64,16/64,32",
    };
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        brim_datapath dp;
        char printed[BRIM_DATAPATH_TEXT];

        ASSERT_OK(ctx, brim_datapath_parse(ctx, text[i], &dp));
        brim_datapath_print(&dp, printed);
        assert_string_equal(printed, text[i]);
    }
    brim_ctx_free(ctx);
}

static void reads_every_field(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_datapath dp;

    (void)state;
    ASSERT_OK(ctx, brim_datapath_parse(ctx, "12/16q3,16/64p,24s", &dp));
    assert_int_equal(dp.n_stages, 3);
    assert_int_equal(dp.stage[0].width, 12);
    assert_int_equal(dp.stage[0].tile, 16);
    assert_int_equal(dp.stage[0].mode, BRIM_MODE_SORTED);
    assert_int_equal(dp.stage[0].rounds, 3);
    assert_int_equal(dp.stage[1].mode, BRIM_MODE_SPILL);
    assert_int_equal(dp.stage[1].tile, 64);
    assert_int_equal(dp.stage[2].width, 24);
    assert_int_equal(dp.stage[2].mode, BRIM_MODE_SATURATE);
    assert_int_equal(dp.stage[2].tile, 0);
    brim_ctx_free(ctx);
}

static void refuses_with_a_reason(void **state)
{
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"", "stage 1: no width"},
        {" 16", "stage 1: no width"},
        {"-16", "stage 1: no width"},
        {"016", "stage 1: no width"},
        {"0", "stage 1: no width"},
        {"1", "stage 1: width 1, expected 2..64"},
        {"65", "stage 1: no width"},
        {"99999999999999999999999", "stage 1: no width"},
        {"16x", "stage 1: unexpected text at byte 3"},
        {"16ss", "stage 1: unexpected text at byte 4"},
        {"16 ", "stage 1: unexpected text at byte 3"},
        {"16,", "stage 2: no width"},
        {",16", "stage 1: no width"},
        {"16/", "no tile length after '/'"},
        {"16/0,32", "no tile length after '/'"},
        {"16/4294967296,32", "no tile length after '/'"},
        {"16q0", "bad rounds after 'q'"},
        {"16q4294967296", "bad rounds after 'q'"},
        {"16s3", "unexpected text at byte 4"},
        {"16/64", "stage 1: the last stage sums the whole reduction"},
        {"16/64,32/128", "stage 2: the last stage sums the whole reduction"},
        {"16,32", "stage 1: no tile"},
        {"16/64,24/96,32", "stage 2: tile 96, expected a multiple of 64"},
        {"16/64,24/32,32", "stage 2: tile 32, expected a multiple of 64"},
        {"16p", "nowhere to spill"},
        {"16/64,32p", "stage 2: the last stage has nowhere to spill"},
        {"4/1,5/2,6/4,7/8,8", "more than 4 stages"},
    };
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        brim_datapath dp = {.n_stages = 77};

        ASSERT_FAILS(ctx, BRIM_ERR_ARG, bad[i].reason, brim_datapath_parse(ctx, bad[i].text, &dp));
        assert_int_equal(dp.n_stages, 77);
    }
    brim_ctx_free(ctx);
}

static void checks_what_was_built_by_hand(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_datapath dp = {.n_stages = 0};

    (void)state;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "0 stages", brim_datapath_check(ctx, &dp));
    dp.n_stages = 5;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "5 stages", brim_datapath_check(ctx, &dp));
    dp = (brim_datapath){1, {{.width = 8, .mode = (brim_mode)9}}};
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "unknown mode 9", brim_datapath_check(ctx, &dp));
    dp = (brim_datapath){1, {{.width = 8, .mode = BRIM_MODE_GREEDY, .rounds = 1}}};
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "rounds belong to mode q", brim_datapath_check(ctx, &dp));
    dp = (brim_datapath){1, {{.width = 65}}};
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "width 65", brim_datapath_check(ctx, &dp));
    brim_ctx_free(ctx);
}

/* Any bytes: either a clear refusal, or something that prints and parses back to itself. */
static void survives_noise(void **state)
{
    static const char alphabet[] = "0123456789/,sqgpx";
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 7, 0);
    for (int round = 0; round < 20000; round++) {
        char text[24], printed[BRIM_DATAPATH_TEXT];
        const size_t n = (size_t)brim_rng_below(&rng, sizeof text);
        brim_datapath dp, again;

        for (size_t i = 0; i < n; i++) {
            text[i] = alphabet[brim_rng_below(&rng, sizeof alphabet - 1)];
        }
        text[n] = '\0';
        if (brim_datapath_parse(ctx, text, &dp) != BRIM_OK) {
            assert_true(strncmp(brim_error(ctx), "datapath '", 10) == 0);
            brim_clear_error(ctx);
            continue;
        }
        brim_datapath_print(&dp, printed);
        ASSERT_OK(ctx, brim_datapath_parse(ctx, printed, &again));
        assert_memory_equal(&dp, &again, sizeof dp);
    }
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_what_it_parsed),         cmocka_unit_test(reads_every_field),
        cmocka_unit_test(refuses_with_a_reason),         cmocka_unit_test(survives_noise),
        cmocka_unit_test(checks_what_was_built_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
