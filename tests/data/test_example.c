/* test_example.c - the demo's model on glyphs that it has never seen. SPDX-License-Identifier:
 * Apache-2.0 */
#include "brim/onnx.h"
#include "brim/run.h"
#include "testing.h"

static void the_example_model_knows_fresh_glyphs(void **state)
{
    brim_ctx *ctx = testing_ctx(2);
    brim_run_report *report;
    brim_run_params params;
    brim_graph *graph;
    brim_data *data;
    (void)state;

    ASSERT_OK(ctx, brim_onnx_load(ctx, BRIM_SOURCE_DIR "/examples/glyphs/glyphs.onnx", &graph));
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:glyphs?seed=3000&limit=1000", &data));
    brim_run_params_init(&params);
    ASSERT_OK(ctx, brim_run(ctx, graph, data, &params, &report));
    assert_int_equal(report->samples, 1000);
    assert_in_range(report->top1, 970, 998); /* hard enough to tell accumulators apart */
    brim_run_report_free(report);
    brim_data_free(data);
    brim_graph_free(graph);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_model_knows_fresh_glyphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
