/* test_base.c - status, arena, checked sizes, rng, files. SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/intops.h"
#include "base/rng.h"

static void first_error_wins(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    assert_int_equal(brim_fail(ctx, BRIM_ERR_FILE, "node '%s': first", "a"), BRIM_ERR_FILE);
    assert_int_equal(brim_fail(ctx, BRIM_ERR_IO, "second"), BRIM_ERR_IO);
    assert_string_equal(brim_error(ctx), "node 'a': first");
    brim_fail_at(ctx, BRIM_ERR_FILE, "m.onnx");
    assert_string_equal(brim_error(ctx), "m.onnx: node 'a': first");
    brim_clear_error(ctx);
    assert_string_equal(brim_error(ctx), "");
    brim_ctx_free(ctx);
}

static void every_status_has_a_name(void **state)
{
    (void)state;
    for (int i = BRIM_OK; i <= BRIM_ERR_INTERNAL; i++) {
        assert_string_not_equal(brim_status_text((brim_status)i), "unknown status");
        for (int k = BRIM_OK; k < i; k++) {
            assert_string_not_equal(brim_status_text((brim_status)i),
                                    brim_status_text((brim_status)k));
        }
    }
    assert_string_equal(brim_status_text((brim_status)99), "unknown status");
}

static void *no_memory(void *user, size_t bytes)
{
    (void)user;
    (void)bytes;
    return NULL;
}

static void contexts_refuse_what_is_meaningless(void **state)
{
    (void)state;
    static const int bad[] = {-1, 257, INT32_MAX};
    brim_ctx_params p;
    brim_ctx *ctx = NULL;

    brim_ctx_params_init(&p);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        p.threads = bad[i];
        assert_int_equal(brim_ctx_create(&p, &ctx), BRIM_ERR_ARG);
        assert_null(ctx);
    }
    p.threads = 1;
    p.alloc = no_memory;
    assert_int_equal(brim_ctx_create(&p, &ctx), BRIM_ERR_NOMEM);
    assert_null(ctx);
    brim_ctx_free(NULL);
    assert_int_equal(brim_ctx_create(NULL, &ctx), BRIM_OK);
    assert_int_equal(ctx->threads, 1);
    brim_ctx_free(ctx);
    ctx = testing_ctx(0); /* one per core */
    assert_true(ctx->threads >= 1 && ctx->threads <= 256);
    brim_ctx_free(ctx);
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_arena a;
    brim_arena_init(&a, ctx);
    assert_null(brim_arena_alloc(&a, SIZE_MAX / 2, 3));
    assert_null(brim_alloc(ctx, SIZE_MAX, SIZE_MAX));
    for (size_t n = 1; n < 100000; n = n * 3 + 1) {
        uint8_t *p = brim_arena_zalloc(&a, n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 0xa5, n);
    }
    brim_arena_free(&a);
    brim_ctx_free(ctx);
}

static void files_are_written_whole_or_not_at_all(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    char path[64];
    snprintf(path, sizeof path, "/tmp/brim-test-%ld", (long)getpid());
    ASSERT_OK(ctx, brim_file_write(ctx, path, "hello", 5));
    struct brim_buffer b;
    ASSERT_OK(ctx, brim_file_read(ctx, path, &b));
    assert_int_equal(b.size, 5);
    assert_memory_equal(b.data, "hello", 5);
    brim_buffer_free(&b);
    unlink(path);
    ASSERT_FAILS(ctx, BRIM_ERR_IO, "/nowhere/x: cannot write",
                 brim_file_write(ctx, "/nowhere/x", "hello", 5));
    ASSERT_FAILS(ctx, BRIM_ERR_IO, "No such file", brim_file_read(ctx, "/nowhere/x", &b));
    brim_buffer_free(&b);
    brim_ctx_free(ctx);
}

static void files_that_cannot_be_say_why(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_buffer b;
    char path[64], tmp[96];

    ASSERT_FAILS(ctx, BRIM_ERR_IO, "/tmp: cannot write (is a folder)",
                 brim_file_write(ctx, "/tmp", "hello", 5));
    ASSERT_FAILS(ctx, BRIM_ERR_IO, "/tmp: is a folder", brim_file_read(ctx, "/tmp", &b));
    brim_buffer_free(&b);
    ASSERT_OK(ctx, brim_file_write(ctx, "/dev/null", "hello", 5));
    if (access("/dev/full", W_OK) == 0) {
        ASSERT_FAILS(ctx, BRIM_ERR_IO, "/dev/full: cannot write (No space",
                     brim_file_write(ctx, "/dev/full", "hello", 5));
    }
    /* A damaged gzip file, and one that inflates beyond the limit. */
    static const uint8_t damaged[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff};
    snprintf(path, sizeof path, "/tmp/brim-test-%ld", (long)getpid());
    ASSERT_OK(ctx, brim_file_write(ctx, path, damaged, sizeof damaged));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "damaged gzip data", brim_file_read(ctx, path, &b));
    brim_buffer_free(&b);
    ctx->params.max_file_bytes = 4;
    ASSERT_OK(ctx, brim_file_write(ctx, path, "hello", 5));
    ASSERT_FAILS(ctx, BRIM_ERR_NOMEM, "limit of 4 bytes", brim_file_read(ctx, path, &b));
    brim_buffer_free(&b);
    unlink(path);
    snprintf(tmp, sizeof tmp, "%s.%ld.tmp", path, (long)getpid());
    assert_int_not_equal(access(tmp, F_OK), 0);
    brim_ctx_free(ctx);
}

static void hash_is_sha256(void **state)
{
    (void)state;
    char hex[BRIM_HASH_CHARS];
    brim_hash_hex("abc", 3, hex); /* FIPS 180-2 example */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void rint_rounds_half_to_even(void **state)
{
    (void)state;
    const double in[] = {0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 2.4999999, 1e300, -7.0};
    const double out[] = {0.0, 2.0, 2.0, 0.0, -2.0, -2.0, 2.0, 1e300, -7.0};
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
        assert_true(brim_rint(in[i]) == out[i]);
    }
}

static void rng_streams_are_repeatable_and_differ(void **state)
{
    (void)state;
    struct brim_rng a, b, c;
    brim_rng_init(&a, 1, 0);
    brim_rng_init(&b, 1, 0);
    brim_rng_init(&c, 1, 1);
    const uint64_t x = brim_rng_u64(&a);
    assert_true(x == brim_rng_u64(&b));
    assert_true(x != brim_rng_u64(&c));
    for (int i = 0; i < 1000; i++) {
        const int64_t v = brim_rng_range(&a, -3, 5);
        assert_true(v >= -3 && v <= 5);
        const double u = brim_rng_uniform(&a);
        assert_true(u >= 0 && u < 1);
    }
    brim_rng_range(&a, INT64_MIN, INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_error_wins),
        cmocka_unit_test(every_status_has_a_name),
        cmocka_unit_test(contexts_refuse_what_is_meaningless),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(files_are_written_whole_or_not_at_all),
        cmocka_unit_test(files_that_cannot_be_say_why),
        cmocka_unit_test(hash_is_sha256),
        cmocka_unit_test(rint_rounds_half_to_even),
        cmocka_unit_test(rng_streams_are_repeatable_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
