/* test_activations.c - histograms of what a network does. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "calibrate/calibrate.h"
#include "calibrate/nets.h"

static char folder[] = "/tmp/brim-test-XXXXXX";
static char path[64], spec[80];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    snprintf(path, sizeof path, "%s/v.csv", folder);
    snprintf(spec, sizeof spec, "csv:%s", path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path) == 0 && rmdir(folder) == 0 ? 0 : 1;
}

static void write_csv(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* x -> Relu -> Sqrt, two elements a sample. */
static struct brim_graph *net(brim_ctx *ctx, bool relu, int32_t value[3])
{
    struct brim_graph *g = nets_graph(ctx, 2, (int64_t[]){-1, 2}, &value[0]);

    (void)nets_node(g, "Relu", &value[0], 1, &value[1]);
    (void)nets_node(g, "Sqrt", &value[relu ? 1 : 0], 1, &value[2]);
    nets_finish(ctx, g, value[2]);
    return g;
}

/* The example in activations.c, and more of its kind. */
static void counts_land_in_their_bins(void **state)
{
    struct brim_activation a[3];
    brim_ctx *ctx = testing_ctx(1);
    int32_t value[3];
    (void)state;

    write_csv("1.5,3.5\n0,0\n-0.25,0\n5,0.001\n");
    brim_data *data = nets_data(ctx, spec);
    struct brim_graph *g = net(ctx, true, value);
    ASSERT_OK(ctx, brim_calibrate_activations(ctx, g, data, value, 3, a));
    assert_true(a[0].min == -0.25 && a[0].max == 5.0 && !a[0].integer);
    assert_true(a[0].limit == 8.0 && a[0].n_bins == 8192); /* 1024 bins per unit */
    assert_int_equal(a[0].bin[0], 3);
    assert_int_equal(a[0].bin[1], 1); /* 0.001 */
    assert_int_equal(a[0].bin[1536], 1);
    assert_int_equal(a[0].bin[3584], 1);
    assert_int_equal(a[0].bin[5120], 1);
    assert_int_equal(a[0].bin[8192 + 256], 1); /* -0.25 */
    assert_true(a[1].min == 0.0 && a[1].max == 5.0 && a[1].limit == 8.0);
    assert_int_equal(a[1].bin[0], 4);
    assert_int_equal(a[1].bin[8192 + 256], 0);
    assert_true(a[2].limit == 4.0 && a[2].max < 2.2361 && a[2].max > 2.236);
    brim_activations_free(ctx, a, 3);
    brim_graph_free(g);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static void eight_bit_data_is_recognised(void **state)
{
    static const char *const text[] = {"0,255\n7,1\n", "0,256\n", "0,-1\n", "0.5,1\n", "0,0\n"};
    static const bool integer[] = {true, false, false, false, true};
    (void)state;

    for (int i = 0; i < 5; i++) {
        struct brim_activation a[1];
        brim_ctx *ctx = testing_ctx(1);
        int32_t value[3];
        write_csv(text[i]);
        brim_data *data = nets_data(ctx, spec);
        struct brim_graph *g = net(ctx, true, value);
        ASSERT_OK(ctx, brim_calibrate_activations(ctx, g, data, value, 1, a));
        assert_int_equal(a[0].integer, integer[i]);
        assert_true(i != 4 || (a[0].limit == 0.0 && a[0].bin[0] == 2));
        brim_activations_free(ctx, a, 1);
        brim_graph_free(g);
        brim_data_free(data);
        brim_ctx_free(ctx);
    }
}

static void threads_do_not_change_a_count(void **state)
{
    static uint64_t first[2][16384];
    double limit[2] = {0, 0};
    (void)state;

    for (int threads = 1; threads <= 3; threads++) {
        struct brim_activation a[2];
        brim_ctx *ctx = testing_ctx(threads);
        int32_t value[3];
        brim_data *data = nets_data(ctx, "synth:noise?shape=2&limit=1001&scale=3");
        struct brim_graph *g = net(ctx, true, value);
        ASSERT_OK(ctx, brim_calibrate_activations(ctx, g, data, value, 2, a));
        for (int v = 0; v < 2; v++) {
            uint64_t total = 0;
            for (int i = 0; i < 16384; i++) {
                total += a[v].bin[i];
            }
            assert_int_equal(total, 2002);
            if (threads == 1) {
                memcpy(first[v], a[v].bin, sizeof first[v]);
                limit[v] = a[v].limit;
            }
            assert_memory_equal(first[v], a[v].bin, sizeof first[v]);
            assert_true(limit[v] == a[v].limit);
        }
        brim_activations_free(ctx, a, 2);
        brim_graph_free(g);
        brim_data_free(data);
        brim_ctx_free(ctx);
    }
}

static void a_nan_names_the_value(void **state)
{
    struct brim_activation a[3] = {{0}};
    brim_ctx *ctx = testing_ctx(1);
    int32_t value[3];
    (void)state;

    write_csv("1,2\n3,-4\n");
    brim_data *data = nets_data(ctx, spec);
    struct brim_graph *g = net(ctx, false, value);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "value 'Sqrt': samples 0 to 1 give a NaN",
                 brim_calibrate_activations(ctx, g, data, value, 3, a));
    brim_data_free(data);
    write_csv("1,nan\n");
    data = nets_data(ctx, spec);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "sample 0 holds a NaN",
                 brim_calibrate_activations(ctx, g, data, value, 3, a));
    brim_data_free(data);
    write_csv("1,2,3\n");
    data = nets_data(ctx, spec);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input 'x': samples of shape [3] do not fit [",
                 brim_calibrate_activations(ctx, g, data, value, 3, a));
    brim_data_free(data);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_land_in_their_bins),
        cmocka_unit_test(eight_bit_data_is_recognised),
        cmocka_unit_test(threads_do_not_change_a_count),
        cmocka_unit_test(a_nan_names_the_value),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
