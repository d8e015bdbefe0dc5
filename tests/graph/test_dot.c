/* test_dot.c - the dot-layer view: K order, codes, scales, biases, ranges. SPDX-License-Identifier:
 * Apache-2.0 */
#include "testing.h"

#include "brim/onnx.h"
#include "graph/dot.h"

static void real_models_have_their_layers(void **state)
{
    static const struct {
        const char *path;
        size_t layers;
        bool codes;
    } models[] = {
        {"mlperf-tiny/models/resnet8-cifar10-float.onnx", 10, false},
        {"mlperf-tiny/models/resnet8-cifar10-int8-qdq.onnx", 10, true},
        {"mlperf-tiny/models/dscnn-kws-float.onnx", 10, false},
        {"mlperf-tiny/models/dscnn-kws-int8-qdq.onnx", 10, true},
        {"mlperf-tiny/models/ad-autoencoder-float.onnx", 10, false},
        {"mlperf-tiny/models/ad-autoencoder-int8-qdq.onnx", 10, true},
    };
    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-float.onnx");
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        brim_ctx *ctx = testing_ctx(1);
        brim_graph *g = NULL;
        struct brim_dots dots;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", BRIM_DATA_DIR, models[m].path);
        ASSERT_OK(ctx, brim_onnx_load(ctx, path, &g));
        ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
        assert_int_equal(dots.count, models[m].layers);
        for (size_t i = 0; i < dots.count; i++) {
            const struct brim_dot *d = &dots.dot[i];
            print_message("%s %s n=%zu k=%zu g=%zu codes=%d x=[%lld,%lld] zero=%lld bias_q=%d\n",
                          models[m].path, d->name, d->n, d->k, d->groups, d->codes,
                          (long long)d->x_min, (long long)d->x_max, (long long)d->x_zero,
                          d->bias_q != NULL);
            assert_int_equal(d->codes, models[m].codes);
            assert_true(d->bias != NULL || d->bias_q != NULL);
        }
        brim_dots_free(&dots);
        brim_graph_free(g);
        brim_ctx_free(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_models_have_their_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
