/* test_checkpoint.c - files that hold the state of a run. SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "data/files.h"
#include "starving.h"
#include "train/checkpoint.h"

static const uint64_t numbers[] = {1, UINT64_C(0xfedcba9876543210)};
static const float values[] = {0.5f, -1.25f, 3.0e38f};
static const double reals[] = {1.0 / 3.0};

static brim_status save(brim_ctx *ctx, const char *path)
{
    struct brim_checkpoint_writer w;
    brim_status s = brim_checkpoint_begin(&w, ctx);

    if (s == BRIM_OK) {
        s = brim_checkpoint_add(&w, "numbers", BRIM_RECORD_U64, numbers, 2);
    }
    if (s == BRIM_OK) {
        s = brim_checkpoint_add(&w, "conv1.weight", BRIM_RECORD_F32, values, 3);
    }
    if (s == BRIM_OK) {
        s = brim_checkpoint_add(&w, "loss", BRIM_RECORD_F64, reals, 1);
    }
    if (s == BRIM_OK) {
        s = brim_checkpoint_add(&w, "none", BRIM_RECORD_BYTES, "", 0);
    }
    if (s == BRIM_OK) {
        s = brim_checkpoint_save(&w, path);
    }
    brim_checkpoint_discard(&w);
    return s;
}

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", files_folder(), name);
    return path;
}

static void what_is_saved_is_loaded(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_checkpoint c;
    uint64_t n[2];
    float v[3];
    double r;

    (void)state;
    ASSERT_OK(ctx, save(ctx, path_of("a")));
    ASSERT_OK(ctx, brim_checkpoint_load(ctx, path_of("a"), &c));
    assert_int_equal(c.count, 4);
    ASSERT_OK(ctx, brim_checkpoint_get(&c, "numbers", BRIM_RECORD_U64, n, 2));
    ASSERT_OK(ctx, brim_checkpoint_get(&c, "conv1.weight", BRIM_RECORD_F32, v, 3));
    ASSERT_OK(ctx, brim_checkpoint_get(&c, "loss", BRIM_RECORD_F64, &r, 1));
    ASSERT_OK(ctx, brim_checkpoint_get(&c, "none", BRIM_RECORD_BYTES, NULL, 0));
    assert_memory_equal(n, numbers, sizeof n);
    assert_memory_equal(v, values, sizeof v);
    assert_memory_equal(&r, reals, sizeof r);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "no 'conv2.weight' of 3 elements",
                 brim_checkpoint_get(&c, "conv2.weight", BRIM_RECORD_F32, v, 3));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "of another run",
                 brim_checkpoint_get(&c, "conv1.weight", BRIM_RECORD_F32, v, 2));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "of another run",
                 brim_checkpoint_get(&c, "loss", BRIM_RECORD_U64, n, 1));
    brim_checkpoint_free(&c);
    brim_ctx_free(ctx);
}

/* Every byte changed, every shorter length: a refusal each time, and nothing read outside. */
static void damage_is_found(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_buffer whole;

    (void)state;
    ASSERT_OK(ctx, save(ctx, path_of("b")));
    ASSERT_OK(ctx, brim_file_read(ctx, path_of("b"), &whole));
    for (size_t i = 0; i < 2 * whole.size; i++) {
        struct brim_checkpoint c;
        const bool cut = i >= whole.size;
        if (!cut) {
            whole.data[i] ^= 0x40;
        }
        files_write("c", whole.data, cut ? i - whole.size : whole.size);
        assert_int_equal(brim_checkpoint_load(ctx, path_of("c"), &c), BRIM_ERR_FILE);
        assert_non_null(strstr(brim_error(ctx), "checkpoint"));
        brim_clear_error(ctx);
        brim_checkpoint_free(&c);
        if (!cut) {
            whole.data[i] ^= 0x40;
        }
    }
    brim_buffer_free(&whole);
    struct brim_checkpoint c;
    ASSERT_FAILS(ctx, BRIM_ERR_IO, "No such file", brim_checkpoint_load(ctx, path_of("d"), &c));
    brim_checkpoint_free(&c);
    brim_ctx_free(ctx);
}

static void records_that_lie_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"\x01\0\0\0", 4},                                             /* no name */
        {"\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0", 16},                    /* an empty one */
        {"\x01\0\0\0a\x05\0\0\0\0\0\0\0\0\0\0\0", 17},                 /* an unknown kind */
        {"\x01\0\0\0a\x02\0\0\0\x01\0\0\0\0\0\0\0", 17},               /* elements missing */
        {"\x01\0\0\0a\x02\0\0\0\xff\xff\xff\xff\xff\xff\xff\x3f", 17}, /* too many to count */
        {"\xff\xff\xff\xff"
         "a",
         5},
        {"\x01\0\0\0a\x01\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0a\x01\0\0\0\0\0\0\0\0\0\0\0",
         34}, /* twice */
    };
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct brim_checkpoint c;
        ASSERT_FAILS(ctx, BRIM_ERR_FILE, "is damaged",
                     brim_checkpoint_parse(ctx, (const uint8_t *)bad[i].bytes, bad[i].n, &c));
        brim_checkpoint_free(&c);
    }
    brim_ctx_free(ctx);
}

static brim_status starved_save(brim_ctx *ctx, void *arg)
{
    return save(ctx, arg);
}

static brim_status starved_load(brim_ctx *ctx, void *arg)
{
    struct brim_checkpoint c;
    const brim_status s = brim_checkpoint_load(ctx, arg, &c);

    brim_checkpoint_free(&c);
    return s;
}

static void memory_runs_out(void **state)
{
    char path[128];

    (void)state;
    snprintf(path, sizeof path, "%s", path_of("e"));
    assert_true(starving_try(starved_save, path) > 0);
    assert_true(starving_try(starved_load, path) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(records_that_lie_are_refused),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, files_teardown);
}
