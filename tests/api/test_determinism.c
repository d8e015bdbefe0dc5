/* test_determinism.c - the same bytes for any number of threads, and when done again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "brim/certify.h"
#include "brim/onnx.h"
#include "brim/quantize.h"
#include "data/files.h"

struct result {
    uint8_t *file;
    size_t n;
    char *certificate;
};

struct recipe {
    const char *datapath;
    brim_solver solver;
    brim_budget budget;
    unsigned wbits;
};

static void read_file(const char *path, struct result *r)
{
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    r->n = (size_t)ftell(f);
    rewind(f);
    r->file = malloc(r->n);
    assert_non_null(r->file);
    assert_int_equal(fread(r->file, 1, r->n, f), r->n);
    fclose(f);
}

static struct result quantize(const struct recipe *recipe, int threads)
{
    brim_ctx *ctx = testing_ctx(threads);
    brim_quantize_params p;
    brim_graph *model, *quantized;
    brim_data *calib;
    brim_certificate *cert;
    struct result r;
    char path[128];

    snprintf(path, sizeof path, "%s/out.onnx", files_folder());
    brim_quantize_params_init(&p);
    p.solve.solver = recipe->solver;
    p.solve.budget = recipe->budget;
    p.solve.wbits = recipe->wbits;
    ASSERT_OK(ctx, brim_datapath_parse(ctx, recipe->datapath, &p.datapath));
    ASSERT_OK(ctx, brim_onnx_load(ctx, BRIM_SOURCE_DIR "/examples/glyphs/glyphs.onnx", &model));
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:glyphs?limit=48", &calib));
    ASSERT_OK(ctx, brim_quantize(ctx, model, calib, &p, &quantized, NULL));
    ASSERT_OK(ctx, brim_onnx_save(ctx, quantized, path));
    read_file(path, &r);
    ASSERT_OK(ctx, brim_certify(ctx, quantized, NULL, &cert));
    ASSERT_OK(ctx, brim_certificate_json(ctx, cert, &r.certificate));
    brim_certificate_free(cert);
    brim_data_free(calib);
    brim_graph_free(quantized);
    brim_graph_free(model);
    brim_ctx_free(ctx);
    return r;
}

static void release(struct result *r)
{
    brim_json_free(r->certificate);
    free(r->file);
}

static void same_for_any_threads(const struct recipe *recipe)
{
    static const int threads[] = {1, 2, 3};
    struct result first = quantize(recipe, 1);

    assert_true(first.n > 4000);
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        struct result r = quantize(recipe, threads[i]);
        assert_int_equal(r.n, first.n);
        assert_memory_equal(r.file, first.file, r.n);
        assert_string_equal(r.certificate, first.certificate);
        release(&r);
    }
    release(&first);
}

static void default_recipe_gives_the_same_bytes(void **state)
{
    (void)state;
    same_for_any_threads(&(struct recipe){"16", BRIM_SOLVER_OPTQ, BRIM_BUDGET_EXACT, 8});
}

static void tiles_and_axe_give_the_same_bytes(void **state)
{
    (void)state;
    same_for_any_threads(&(struct recipe){"16/64,20", BRIM_SOLVER_GPFQ, BRIM_BUDGET_AXE, 6});
}

static void another_recipe_gives_other_bytes(void **state)
{
    struct result a = quantize(&(struct recipe){"16", BRIM_SOLVER_RTN, BRIM_BUDGET_PROJECT, 8}, 2);
    struct result b = quantize(&(struct recipe){"14", BRIM_SOLVER_RTN, BRIM_BUDGET_PROJECT, 8}, 2);

    (void)state;
    assert_true(a.n != b.n || memcmp(a.file, b.file, a.n) != 0);
    release(&a);
    release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_recipe_gives_the_same_bytes),
        cmocka_unit_test(tiles_and_axe_give_the_same_bytes),
        cmocka_unit_test(another_recipe_gives_other_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, files_teardown);
}
