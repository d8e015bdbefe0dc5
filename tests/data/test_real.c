/* test_real.c - the real data sets, where they are at hand. SPDX-License-Identifier: Apache-2.0 */
#include "brim/data.h"
#include "testing.h"

#define D BRIM_DATA_DIR "/"

static brim_data *open_set(brim_ctx *ctx, const char *spec, size_t count, size_t size)
{
    brim_data *data = NULL;

    ASSERT_OK(ctx, brim_data_open(ctx, spec, &data));
    assert_int_equal(brim_data_count(data), count);
    assert_int_equal(brim_data_sample_size(data), size);
    return data;
}

static void mnist_has_its_published_first_labels(void **state)
{
    static const int64_t first[] = {7, 2, 1, 0, 4, 1, 4, 9, 5, 9};
    float x[10 * 784];
    int64_t label[10];
    (void)state;

    REQUIRE_DATA("mnist/t10k-images-idx3-ubyte.gz");
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data = open_set(
        ctx, "idx:" D "mnist/t10k-images-idx3-ubyte.gz:" D "mnist/t10k-labels-idx1-ubyte.gz", 10000,
        784);
    ASSERT_OK(ctx, brim_data_read(ctx, data, 0, 10, x, label));
    assert_memory_equal(label, first, sizeof first);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static void cifar_test_labels_are_the_official_ones(void **state)
{
    static const int64_t first[] = {3, 8, 8, 0, 6, 6, 1, 6, 3, 1};
    static float x[10 * 3072];
    int64_t label[10];
    (void)state;

    REQUIRE_DATA("cifar10/test_first1000.bin.gz");
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data = open_set(ctx, "cifar:" D "cifar10/test_first1000.bin.gz", 1000, 3072);
    ASSERT_OK(ctx, brim_data_read(ctx, data, 0, 10, x, label));
    assert_memory_equal(label, first, sizeof first);
    assert_true(x[0] == 158.0f);
    brim_data_free(data);
    data = open_set(ctx,
                    "cifar:" D "cifar10/data_batch_1.bin.gz," D
                    "cifar10/data_batch_2.bin.gz?offset=9999&limit=2",
                    2, 3072);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static void kws_codes_become_real_values(void **state)
{
    float raw[490], real[490];
    int64_t label, dim[8];
    (void)state;

    REQUIRE_DATA("mlperf-tiny/kws01-mfcc-idx3-int8.gz");
    brim_ctx *ctx = testing_ctx(1);
    brim_data *codes = open_set(ctx, "idx:" D "mlperf-tiny/kws01-mfcc-idx3-int8.gz", 1000, 490);
    brim_data *data = open_set(ctx,
                               "idx:" D "mlperf-tiny/kws01-mfcc-idx3-int8.gz:" D
                               "mlperf-tiny/kws01-labels-idx1-ubyte.gz"
                               "?scale=0.5847029089927673&zero=83&offset=500",
                               500, 490);
    assert_int_equal(brim_data_shape(data, dim), 2);
    assert_int_equal(dim[0] * 100 + dim[1], 4910);
    ASSERT_OK(ctx, brim_data_read(ctx, codes, 500, 1, raw, NULL));
    ASSERT_OK(ctx, brim_data_read(ctx, data, 0, 1, real, &label));
    assert_in_range(label, 0, 11);
    for (int i = 0; i < 490; i++) {
        assert_true(real[i] == (float)(0.5847029089927673 * ((double)raw[i] - 83.0)));
    }
    brim_data_free(codes);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mnist_has_its_published_first_labels),
        cmocka_unit_test(cifar_test_labels_are_the_official_ones),
        cmocka_unit_test(kws_codes_become_real_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
