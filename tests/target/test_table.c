/* The table of named targets, and a user's file of them. SPDX-License-Identifier: Apache-2.0 */
#include "starving.h"

#include "brim/target.h"

static char path[64];

/* A user's file with this text. */
static const char *user_file(const char *text)
{
    (void)snprintf(path, sizeof path, "/tmp/brim_targets_%ld.json", (long)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    return path;
}

/* A file of one good target, some text of which is replaced. */
static const char *changed(const char *from, const char *to)
{
    static const char good[] =
        "{\"brim_targets\": 1, \"targets\": [{\"name\": \"npu\", \"what\": \"mine\", "
        "\"datapath\": \"20/16,32\", \"order\": \"exact\", "
        "\"input\": {\"min\": 0, \"max\": 255, \"fit\": \"type\"}, "
        "\"weight\": {\"min\": -8, \"max\": 7}, "
        "\"convolution\": {\"walk\": \"channel-kernel\", \"pad_run\": 4, \"lanes\": 2}, "
        "\"depthwise\": \"wide\", \"matrix\": {}, \"outside\": 24, "
        "\"wide_operators\": [\"ConvInteger\"], "
        "\"source\": {\"project\": \"p\", \"file\": \"f\"}}]}";
    static char text[1024];
    const char *at = strstr(good, from);

    assert_non_null(at);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
    return user_file(text);
}

static void the_built_in_table_has_its_targets(void **state)
{
    static const char *const names[] = {"x86-maddubs", "x86-maddubs-any", "x86-maddubs-acc16",
                                        "neon-mlal16", "wasm-relaxed",    "wasm-i16",
                                        "cmsis-smlad", "tfhe16",          "acc16",
                                        "acc32"};
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *t;
    brim_target plain;
    const brim_target *one;
    char text[BRIM_DATAPATH_TEXT];

    (void)state;
    ASSERT_OK(ctx, brim_targets_load(ctx, NULL, &t));
    assert_int_equal(brim_targets_count(t), sizeof names / sizeof *names);
    for (size_t i = 0; i < brim_targets_count(t); i++) {
        assert_string_equal(brim_targets_at(t, i)->name, names[i]);
        assert_true(strlen(brim_targets_at(t, i)->what) > 10);
        assert_non_null(brim_targets_at(t, i)->file);
    }
    ASSERT_OK(ctx, brim_targets_find(ctx, t, "x86-maddubs", &plain, &one));
    brim_datapath_print(&one->datapath, text);
    assert_string_equal(text, "16/2s,32");
    assert_false(one->any_order);
    assert_int_equal(one->input.min, 0);
    assert_int_equal(one->input.max, 255);
    assert_int_equal(one->input.fit, BRIM_FIT_TYPE);
    assert_int_equal(one->weight.fit, BRIM_FIT_WIDE);
    assert_int_equal(one->convolution.order, BRIM_WALK_KERNEL_CHANNEL);
    assert_int_equal(one->convolution.pad_end, 4);
    assert_int_equal(one->convolution.pad_run, 1);
    assert_true(one->depthwise.wide);
    assert_int_equal(one->outside, 32);
    brim_targets_free(t);
    brim_ctx_free(ctx);
}

static void plain_widths_need_no_entry(void **state)
{
    static const char *const bad[] = {"acc1", "acc65", "acc", "acc016", "acc1x", "acc999", "Acc16"};
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *t;
    brim_target plain;
    const brim_target *one;

    (void)state;
    ASSERT_OK(ctx, brim_targets_load(ctx, NULL, &t));
    ASSERT_OK(ctx, brim_targets_find(ctx, t, "acc14", &plain, &one));
    assert_ptr_equal(one, &plain);
    assert_string_equal(one->name, "acc14");
    assert_int_equal(one->datapath.stage[0].width, 14);
    assert_int_equal(one->outside, 32);
    ASSERT_OK(ctx, brim_targets_find(ctx, t, "acc64", &plain, &one));
    assert_int_equal(one->outside, 64);
    ASSERT_OK(ctx, brim_targets_find(ctx, t, "acc16", &plain, &one));
    assert_ptr_not_equal(one, &plain);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ASSERT_FAILS(ctx, BRIM_ERR_ARG, bad[i], brim_targets_find(ctx, t, bad[i], &plain, &one));
    }
    ASSERT_FAILS(
        ctx, BRIM_ERR_ARG,
        "target 'x87' is not known, expected one of x86-maddubs, x86-maddubs-any, "
        "x86-maddubs-acc16, neon-mlal16, wasm-relaxed, wasm-i16, cmsis-smlad, tfhe16, acc16, "
        "acc32",
        brim_targets_find(ctx, t, "x87", &plain, &one));
    brim_targets_free(t);
    brim_ctx_free(ctx);
}

static void a_users_file_adds_targets(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *t;
    brim_target plain;
    const brim_target *one;

    (void)state;
    ASSERT_OK(ctx, brim_targets_load(ctx, changed("npu", "npu"), &t));
    ASSERT_OK(ctx, brim_targets_find(ctx, t, "npu", &plain, &one));
    assert_int_equal(one->weight.min, -8);
    assert_int_equal(one->weight.fit, BRIM_FIT_RAW);
    assert_int_equal(one->convolution.order, BRIM_WALK_CHANNEL_KERNEL);
    assert_int_equal(one->convolution.pad_run, 4);
    assert_int_equal(one->convolution.lanes, 2);
    assert_int_equal(one->matrix.lanes, 1);
    assert_int_equal(one->outside, 24);
    assert_int_equal(one->n_wide_operators, 1);
    assert_string_equal(one->wide_operators[0], "ConvInteger");
    assert_string_equal(one->project, "p");
    ASSERT_OK(ctx, brim_targets_find(ctx, t, "x86-maddubs", &plain, &one));
    brim_targets_free(t);
    (void)unlink(path);
    brim_ctx_free(ctx);
}

static void a_wrong_field_is_named(void **state)
{
    static const struct {
        const char *from, *to, *said;
    } bad[] = {
        {"\"brim_targets\": 1", "\"brim_targets\": 2", "field 'brim_targets': expected 1"},
        {"\"targets\": [", "\"targets\": 1, \"x\": [", "field 'targets': expected a list"},
        {"\"name\": \"npu\"", "\"name\": 7", "field 'name': expected text"},
        {"\"npu\"", "\"acc16\"", "target 'acc16': field 'name': is taken"},
        {"\"what\": \"mine\", ", "", "target 'npu': field 'what': expected text"},
        {"20/16,32", "20/16",
         "target 'npu': field 'datapath': datapath '20/16': stage 1: the last"},
        {"\"exact\"", "\"any order\"", "target 'npu': field 'order': expected exact or any"},
        {"\"order\": \"exact\", ", "", "field 'order': expected exact or any"},
        {"\"min\": 0", "\"min\": 1", "field 'input.min': expected -65536..0"},
        {"\"max\": 255", "\"max\": 1e3", "field 'input.max': expected 1..65535"},
        {"\"type\"", "\"tight\"", "field 'input.fit': expected raw, type, range, zero or wide"},
        {"\"min\": -8", "\"low\": -8", "field 'weight.low': is not known"},
        {"\"max\": 7", "\"max\": 40000", "field 'weight.max': expected 1..32767"},
        {"channel-kernel", "random", "field 'convolution.walk': expected kernel-channel or"},
        {"\"pad_run\": 4", "\"pad_run\": 0", "field 'convolution.pad_run': expected 1..4096"},
        {"\"lanes\": 2", "\"lanes\": 2.5", "field 'convolution.lanes': expected 1..256"},
        {"\"wide\"", "\"narrow\"", "field 'depthwise': expected \"wide\" or an object"},
        {"\"matrix\": {}, ", "", "field 'matrix': expected \"wide\" or an object"},
        {"[\"ConvInteger\"]", "{}", "field 'wide_operators': expected a list of operators"},
        {"[\"ConvInteger\"]", "[1]", "field 'wide_operators': expected text"},
        {"\"outside\": 24", "\"outside\": 65", "field 'outside': expected 2..64"},
        {"\"outside\": 24", "\"inside\": 24", "target 'npu': field 'inside': is not known"},
        {"\"file\": \"f\"", "\"file\": \"\"", "field 'source.file': expected text"},
        {"20/16,32", "32", "field 'lanes': expected 1, the datapath has one register for all"},
        {"20/16,32", "20/40000,32",
         "field 'lanes': 2 registers of 40000 products, expected at most"},
        {"20/16,32", "20/16p,32", "field 'datapath': stage 1: expected a register that wraps or"},
        {"}]}", "}]", "line 1: "},
        {"\"matrix\": {}", "\"matrix\": {}, \"matrix\": {}", "duplicate object key"},
    };
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *t;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ASSERT_FAILS(ctx, BRIM_ERR_FILE, bad[i].said,
                     brim_targets_load(ctx, changed(bad[i].from, bad[i].to), &t));
        assert_null(t);
        assert_int_equal(brim_targets_load(ctx, path, &t), BRIM_ERR_FILE);
        assert_non_null(strstr(brim_error(ctx), path)); /* and so is the file */
    }
    (void)unlink(path);
    ASSERT_FAILS(ctx, BRIM_ERR_IO, "/tmp/no/such/file",
                 brim_targets_load(ctx, "/tmp/no/such/file", &t));
    brim_ctx_free(ctx);
}

static brim_status load(brim_ctx *ctx, void *arg)
{
    brim_targets *t;
    const brim_status s = brim_targets_load(ctx, arg, &t);

    brim_targets_free(t);
    return s;
}

static void every_allocation_may_fail(void **state)
{
    char copy[64];

    (void)state;
    (void)snprintf(copy, sizeof copy, "%s", changed("npu", "npu"));
    assert_true(starving_try(load, copy) >= 3);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_table_has_its_targets),
        cmocka_unit_test(plain_widths_need_no_entry),
        cmocka_unit_test(a_users_file_adds_targets),
        cmocka_unit_test(a_wrong_field_is_named),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
