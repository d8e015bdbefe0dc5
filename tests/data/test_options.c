/* test_options.c - the ?key=value part, and the numbers it changes. SPDX-License-Identifier:
 * Apache-2.0 */
#include "data/files.h"

/* Two samples of 2 x 2 pixels x 3 channels (nhwc): 0 .. 23. */
static int setup(void **state)
{
    uint8_t v[24];

    (void)state;
    for (uint8_t i = 0; i < 24; i++) {
        v[i] = i;
    }
    files_write_npy("x.npy", "|u1", "(2, 2, 2, 3)", v, sizeof v);
    files_write_npy("y.npy", "|u1", "(2,)", "\3\4", 2);
    return 0;
}

static void read_one(const char *spec, size_t sample, float *x, int64_t dim[8], int *rank)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;

    ASSERT_OK(ctx, files_open(ctx, spec, &data));
    *rank = brim_data_shape(data, dim);
    ASSERT_OK(ctx, brim_data_read(ctx, data, sample, 1, x, NULL));
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static void scale_and_zero_then_mean_and_std(void **state)
{
    float x[12];
    int64_t dim[8];
    int rank;
    (void)state;

    read_one("npy:@x.npy?scale=0.5&zero=2&mean=1&std=4", 0, x, dim, &rank);
    assert_int_equal(rank, 3);
    for (int i = 0; i < 12; i++) {
        assert_true(x[i] == (float)((0.5 * (i - 2) - 1) / 4));
    }
}

static void nhwc_becomes_nchw_and_channels_get_their_own_mean(void **state)
{
    float x[12];
    int64_t dim[8];
    int rank;
    (void)state;

    read_one("npy:@x.npy?layout=nhwc&mean=100,200,300&std=1,2,4", 1, x, dim, &rank);
    assert_int_equal(rank, 3);
    assert_int_equal(dim[0], 3);
    assert_int_equal(dim[1], 2);
    assert_int_equal(dim[2], 2);
    for (int c = 0; c < 3; c++) {
        for (int p = 0; p < 4; p++) {
            const double raw = 12 + 3 * p + c;
            assert_true(x[4 * c + p] == (float)((raw - 100 * (c + 1)) / (1 << c)));
        }
    }
}

static void shape_gives_samples_another_one(void **state)
{
    float x[12];
    int64_t dim[8];
    int rank;
    (void)state;

    read_one("npy:@x.npy?shape=3x4", 0, x, dim, &rank);
    assert_int_equal(rank, 2);
    assert_int_equal(dim[0] * 10 + dim[1], 34);
    read_one("npy:@x.npy?shape=1,12,1&layout=nchw", 0, x, dim, &rank);
    assert_int_equal(rank, 3);
    assert_true(x[11] == 11.0f);
}

static void offset_and_limit_choose_samples(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;
    float x[24];
    int64_t label;
    (void)state;

    ASSERT_OK(ctx, files_open(ctx, "npy:@x.npy:@y.npy?offset=1&limit=7", &data));
    assert_int_equal(brim_data_count(data), 1);
    ASSERT_OK(ctx, brim_data_read(ctx, data, 0, 1, x, &label));
    assert_true(x[0] == 12.0f && label == 4);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "asked of 1", brim_data_read(ctx, data, 0, 2, x, NULL));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "asked of 1", brim_data_read(ctx, data, 2, 0, x, NULL));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "asked of 1", brim_data_read(ctx, data, 1, SIZE_MAX, x, NULL));
    ASSERT_OK(ctx, brim_data_read(ctx, data, 1, 0, x, NULL));
    brim_data_free(data);
    ASSERT_OK(ctx, files_open(ctx, "npy:@x.npy:@y.npy?limit=1", &data));
    assert_int_equal(brim_data_count(data), 1);
    ASSERT_OK(ctx, brim_data_read(ctx, data, 0, 1, x, &label));
    assert_true(x[0] == 0.0f && label == 3);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

/* A part of a dataset, after offset and limit, and a part of that. */
static void slices_are_datasets(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *whole, *part, *last;
    static float a[784], b[784];
    int64_t x, y;

    (void)state;
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:glyphs?limit=20&offset=5", &whole));
    ASSERT_OK(ctx, brim_data_slice(ctx, whole, 4, 10, &part));
    ASSERT_OK(ctx, brim_data_slice(ctx, part, 9, 1, &last));
    assert_int_equal(brim_data_count(part), 10);
    assert_int_equal(brim_data_count(last), 1);
    ASSERT_OK(ctx, brim_data_read(ctx, whole, 13, 1, a, &x));
    ASSERT_OK(ctx, brim_data_read(ctx, last, 0, 1, b, &y));
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(x, y);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "samples 10 to 11 asked of 10",
                 brim_data_read(ctx, part, 10, 1, b, &y));
    brim_data_free(last);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "asked of 10", brim_data_slice(ctx, part, 5, 6, &last));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "asked of 10", brim_data_slice(ctx, part, 5, 0, &last));
    brim_data_free(part);
    brim_data_free(whole);
    brim_ctx_free(ctx);
}

static void each_wrong_description_gets_its_sentence(void **state)
{
    static const struct {
        const char *spec, *text;
    } t[] = {
        {"", "names no kind"},
        {"x.npy", "names no kind"},
        {"mnist:@x.npy", "unknown kind 'mnist'"},
        {"synth:dragons", "unknown set 'synth:dragons'"},
        {"synth:noise", "needs the shape"},
        {"npy:", "path is empty"},
        {"npy:@x.npy:", "path is empty"},
        {"npy:@x.npy:@y.npy:@y.npy", "has 3 paths"},
        {"cifar:@x.npy,,@x.npy", "path is empty"},
        {"npy:@x.npy?speed=3", "unknown option 'speed'"},
        {"npy:@x.npy?seed=3", "unknown option 'seed'"},
        {"npy:@x.npy?label=3", "unknown option 'label'"},
        {"npy:@x.npy?limit", "option 'limit' has no value"},
        {"npy:@x.npy?limit=0", "limit=0 is not valid, expected a positive integer"},
        {"npy:@x.npy?limit=-1", "limit=-1"},
        {"npy:@x.npy?limit=99999999999999999999", "limit="},
        {"npy:@x.npy?offset=1.5", "offset=1.5"},
        {"npy:@x.npy?offset=2", "only 2 samples"},
        {"npy:@x.npy?scale=0", "scale=0"},
        {"npy:@x.npy?scale=nan", "scale=nan"},
        {"npy:@x.npy?scale=1e999", "scale=1e999"},
        {"npy:@x.npy?zero=inf", "zero=inf"},
        {"npy:@x.npy?zero=", "zero="},
        {"npy:@x.npy?mean=1,,2", "mean=1,,2"},
        {"npy:@x.npy?mean=1,2,", "mean=1,2,"},
        {"npy:@x.npy?mean=1,2,3", "expected one or one per channel (2)"},
        {"npy:@x.npy?std=0", "expected positive numbers"},
        {"npy:@x.npy?std=-1", "expected positive numbers"},
        {"npy:@x.npy?layout=hwc", "expected nchw or nhwc"},
        {"npy:@x.npy?shape=3x", "shape=3x"},
        {"npy:@x.npy?shape=13", "does not fit samples of 12 elements"},
        {"npy:@x.npy?shape=2147483647x2147483647x2147483647", "does not fit"},
        {"npy:@x.npy?shape=1x1x1x1x1x1x1x12", "1 to 7 positive sizes"},
        {"npy:@y.npy?layout=nhwc", "needs samples of rank 2"},
        {"synth:glyphs?limit=999999999999999", "exceed"},
        {"synth:glyphs?seed=-1", "seed=-1"},
    };
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;
    (void)state;

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        const brim_status status = files_open(ctx, t[i].spec, &data);
        if (status != BRIM_ERR_ARG || strstr(brim_error(ctx), t[i].text) == NULL) {
            fail_msg("%s: status %d, \"%s\", expected \"%s\"", t[i].spec, status, brim_error(ctx),
                     t[i].text);
        }
        assert_null(data);
        brim_clear_error(ctx);
    }
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "no description", brim_data_open(ctx, NULL, &data));
    ASSERT_FAILS(ctx, BRIM_ERR_IO, "missing.npy", files_open(ctx, "npy:@missing.npy", &data));
    ASSERT_FAILS(ctx, BRIM_ERR_IO, "is a folder", files_open(ctx, "npy:@", &data));
    brim_ctx_free(ctx);
}

static void a_colon_is_part_of_a_lone_path(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;
    (void)state;

    files_text("a:b?.csv", "1,2\n");
    ASSERT_OK(ctx, files_open(ctx, "csv:@a:b?.csv?limit=1", &data));
    assert_int_equal(brim_data_sample_size(data), 2);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scale_and_zero_then_mean_and_std),
        cmocka_unit_test(nhwc_becomes_nchw_and_channels_get_their_own_mean),
        cmocka_unit_test(shape_gives_samples_another_one),
        cmocka_unit_test(offset_and_limit_choose_samples),
        cmocka_unit_test(slices_are_datasets),
        cmocka_unit_test(each_wrong_description_gets_its_sentence),
        cmocka_unit_test(a_colon_is_part_of_a_lone_path),
    };
    return cmocka_run_group_tests(tests, setup, files_teardown);
}
