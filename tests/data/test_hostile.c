/* test_hostile.c - truncated, mutated and absurd files: a sentence, never a crash.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "data/files.h"
#include "data/readers.h"
#include "starving.h"

static void expect(brim_ctx *ctx, const char *spec, brim_status want, const char *text)
{
    brim_data *data;
    const brim_status status = files_open(ctx, spec, &data);

    if (status != want || strstr(brim_error(ctx), text) == NULL) {
        fail_msg("%s: status %d, \"%s\", expected %d, \"%s\"", spec, status, brim_error(ctx), want,
                 text);
    }
    assert_null(data);
    brim_clear_error(ctx);
}

static void npy_headers_that_lie_are_refused(void **state)
{
    static const struct {
        const char *dictionary, *text;
        brim_status status;
    } t[] = {
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", "Fortran order",
         BRIM_ERR_UNSUPPORTED},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "holds records",
         BRIM_ERR_UNSUPPORTED},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "'<c8' is not supported",
         BRIM_ERR_UNSUPPORTED},
        {"{'descr': '', 'fortran_order': False, 'shape': (1,), }", "'' is not supported",
         BRIM_ERR_UNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "rank 0", BRIM_ERR_FILE},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }", "is empty", BRIM_ERR_FILE},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "truncated", BRIM_ERR_FILE},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", "1 bytes follow",
         BRIM_ERR_FILE},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
         "truncated", BRIM_ERR_FILE},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4), }",
         "truncated", BRIM_ERR_FILE},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
         "malformed", BRIM_ERR_FILE},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "malformed", BRIM_ERR_FILE},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,4), }", "malformed",
         BRIM_ERR_FILE},
        {"{'descr': '<f4', 'fortran_order': False, }", "malformed", BRIM_ERR_FILE},
        {"{'descr': '<f4', 'shape': (1,), }", "malformed", BRIM_ERR_FILE},
        {"{'shape': (1,), 'fortran_order': False}", "malformed", BRIM_ERR_FILE},
        {"{'descr': 'a very long type name indeed', 'shape': (1,)}", "malformed", BRIM_ERR_FILE},
        {"{'descr': '<f4", "malformed", BRIM_ERR_FILE},
        {"", "malformed", BRIM_ERR_FILE},
    };
    brim_ctx *ctx = testing_ctx(1);
    uint8_t file[256];
    (void)state;

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        files_write("bad.npy", file, files_npy(file, t[i].dictionary, "\0\0\0\0", 4));
        expect(ctx, "npy:@bad.npy", t[i].status, t[i].text);
    }
    files_write("bad.npy", "\x93NUMPY\x04\x00\x00\x00", 10);
    expect(ctx, "npy:@bad.npy", BRIM_ERR_UNSUPPORTED, "version 4");
    files_write("bad.npy", "\x93NUMPY\x02\x00\xff\xff\xff\xff", 12);
    expect(ctx, "npy:@bad.npy", BRIM_ERR_FILE, "truncated npy header");
    files_write("bad.npy", "", 0);
    expect(ctx, "npy:@bad.npy", BRIM_ERR_FILE, "not an npy file");
    brim_ctx_free(ctx);
}

static void idx_headers_that_lie_are_refused(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    (void)state;

    files_write("b.idx", "\0\0\x08", 3);
    expect(ctx, "idx:@b.idx", BRIM_ERR_FILE, "not an idx file");
    files_write("b.idx", "\1\0\x08\1\0\0\0\1\0", 9);
    expect(ctx, "idx:@b.idx", BRIM_ERR_FILE, "not an idx file");
    files_write("b.idx", "\0\0\x0a\1\0\0\0\1\0", 9);
    expect(ctx, "idx:@b.idx", BRIM_ERR_FILE, "type 0x0a is unknown");
    files_write("b.idx", "\0\0\x08\0\0", 5);
    expect(ctx, "idx:@b.idx", BRIM_ERR_FILE, "rank 0");
    files_write("b.idx", "\0\0\x08\xff\0\0\0\1", 8);
    expect(ctx, "idx:@b.idx", BRIM_ERR_FILE, "rank 255");
    files_write("b.idx", "\0\0\x08\2\0\0\0\1", 8);
    expect(ctx, "idx:@b.idx", BRIM_ERR_FILE, "truncated idx header");
    files_write("b.idx", "\0\0\x0e\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
    expect(ctx, "idx:@b.idx", BRIM_ERR_FILE, "truncated");
    files_write("b.idx", "\0\0\x08\2\0\0\0\0\0\0\0\2", 12);
    expect(ctx, "idx:@b.idx", BRIM_ERR_FILE, "is empty");
    brim_ctx_free(ctx);
}

static void labels_must_fit_the_images(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const double fraction[2] = {1.0, 1.5};
    const double infinite[2] = {1.0, 1e300};
    (void)state;

    files_write_npy("x.npy", "|u1", "(2, 2)", "\1\2\3\4", 4);
    files_write_npy("y.npy", "|u1", "(3,)", "\1\2\3", 3);
    expect(ctx, "npy:@x.npy:@y.npy", BRIM_ERR_FILE, "3 labels for the 2 samples");
    files_write_npy("y.npy", "|u1", "(2, 2)", "\1\2\3\4", 4);
    expect(ctx, "npy:@x.npy:@y.npy", BRIM_ERR_FILE, "2 elements each");
    files_write_npy("y.npy", "|i1", "(2,)", "\1\xff", 2);
    expect(ctx, "npy:@x.npy:@y.npy", BRIM_ERR_FILE, "label of sample 1");
    files_write_npy("y.npy", "<u8", "(2,)", "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80", 16);
    expect(ctx, "npy:@x.npy:@y.npy", BRIM_ERR_FILE, "label of sample 1");
    files_write_npy("y.npy", "<f8", "(2,)", fraction, 16);
    expect(ctx, "npy:@x.npy:@y.npy", BRIM_ERR_FILE, "label of sample 1");
    files_write_npy("y.npy", "<f8", "(2,)", infinite, 16);
    expect(ctx, "npy:@x.npy:@y.npy", BRIM_ERR_FILE, "label of sample 1");
    brim_ctx_free(ctx);
}

static void a_nan_names_its_sample(void **state)
{
    static const uint8_t nan_at_2[] = {0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0x7f};
    static const uint8_t huge[] = {0, 0, 0, 0, 0, 0, 0xf0, 0x7e};
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;
    float x[3];
    (void)state;

    files_write_npy("n.npy", "<f4", "(3, 1)", nan_at_2, sizeof nan_at_2);
    ASSERT_OK(ctx, files_open(ctx, "npy:@n.npy", &data));
    ASSERT_OK(ctx, brim_data_read(ctx, data, 0, 2, x, NULL));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "sample 2 holds a NaN",
                 brim_data_read(ctx, data, 0, 3, x, NULL));
    brim_data_free(data);
    files_write_npy("n.npy", "<f8", "(1, 1)", huge, sizeof huge); /* beyond float */
    ASSERT_OK(ctx, files_open(ctx, "npy:@n.npy", &data));
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "infinity", brim_data_read(ctx, data, 0, 1, x, NULL));
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static void csv_and_cifar_say_what_is_wrong(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    uint8_t record[3073] = {10};
    (void)state;

    files_text("c.csv", "");
    expect(ctx, "csv:@c.csv", BRIM_ERR_FILE, "no samples");
    files_text("c.csv", "\n  \n\n");
    expect(ctx, "csv:@c.csv", BRIM_ERR_FILE, "no samples");
    files_text("c.csv", "a,b\n");
    expect(ctx, "csv:@c.csv", BRIM_ERR_FILE, "no samples");
    files_text("c.csv", "1,2\n\n3,x\n");
    expect(ctx, "csv:@c.csv", BRIM_ERR_FILE, "line 3, column 1: 'x' is not a number");
    files_text("c.csv", "1,2\n3,\n");
    expect(ctx, "csv:@c.csv", BRIM_ERR_FILE, "line 2, column 1: '' is not a number");
    files_text("c.csv", "1,2\n3\n");
    expect(ctx, "csv:@c.csv", BRIM_ERR_FILE, "line 2 has 1 columns, expected 2");
    files_text("c.csv", "1,2\n3,4,5\n");
    expect(ctx, "csv:@c.csv", BRIM_ERR_FILE, "line 2 has 3 columns, expected 2");
    files_text("c.csv", "1,2\n3,4\n");
    expect(ctx, "csv:@c.csv?label=2", BRIM_ERR_ARG, "label=2 names no column, expected 0 to 1");
    expect(ctx, "csv:@c.csv?label=a", BRIM_ERR_ARG, "label=a names no column");
    files_text("c.csv", "1\n2\n");
    expect(ctx, "csv:@c.csv?label=0", BRIM_ERR_FILE, "label is the only column");
    files_write("c.csv", "1,2\n\0", 5);
    expect(ctx, "csv:@c.csv", BRIM_ERR_FILE, "zero byte");
    files_write("c.bin", record, sizeof record);
    expect(ctx, "cifar:@c.bin", BRIM_ERR_FILE, "record 0 has label 10");
    files_write("c.bin", record, sizeof record - 1);
    expect(ctx, "cifar:@c.bin", BRIM_ERR_FILE, "multiple of 3073");
    files_write("c.bin", "", 0);
    expect(ctx, "cifar:@c.bin", BRIM_ERR_FILE, "0 bytes");
    files_write("g.bin.gz", "\x1f\x8b\x08\0\0\0\0\0\0\3damage", 16);
    expect(ctx, "cifar:@g.bin.gz", BRIM_ERR_FILE, "damaged gzip");
    files_text("z.npz", "PK");
    expect(ctx, "npz:@z.npz", BRIM_ERR_FILE, "not an npz file");
    brim_ctx_free(ctx);
}

/* ---- mutations: any outcome is fine, as long as reading all of it touches nothing foreign ---- */

enum format { NPY, IDX, NPZ, CSV };

static void touch(brim_ctx *ctx, const struct brim_array *a)
{
    const size_t size = brim_array_sample_size(a);
    double v[256];
    int64_t label;

    for (size_t i = 0; i < (size_t)a->dim[0]; i++) {
        for (size_t at = 0; at < size; at += 256) {
            brim_array_convert(a, a->bytes + i * a->stride + at * brim_element_size(a->element),
                               size - at < 256 ? size - at : 256, v);
        }
        (void)brim_array_integer(a, i, &label);
    }
    brim_clear_error(ctx);
}

static bool parse(brim_ctx *ctx, enum format format, const uint8_t *p, size_t n)
{
    struct brim_array x = {.name = "mutant"}, y = {.name = "mutant"};
    struct brim_arena arena;
    brim_status status = BRIM_ERR_INTERNAL;

    brim_arena_init(&arena, ctx);
    switch (format) {
    case NPY:
        status = brim_npy_parse(ctx, p, n, &x);
        break;
    case IDX:
        status = brim_idx_parse(ctx, p, n, &x);
        break;
    case NPZ:
        status = brim_npz_parse(&arena, p, n, &x, &y);
        break;
    case CSV:
        status = brim_csv_parse(&arena, (const char *)p, n, "1", &x, &y);
        break;
    }
    if (status == BRIM_OK) {
        touch(ctx, &x);
        if (y.rank > 0) {
            touch(ctx, &y);
        }
    } else {
        assert_true(brim_error(ctx)[0] != '\0');
    }
    brim_clear_error(ctx);
    brim_arena_free(&arena);
    return status == BRIM_OK;
}

/* An exact copy per mutant, so that a sanitizer sees the first byte too many. */
static void mutate(brim_ctx *ctx, enum format format, const uint8_t *good, size_t n)
{
    struct brim_rng r;
    size_t refused = 0;

    assert_true(parse(ctx, format, good, n));
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *p = calloc(cut + 1, 1);
        assert_non_null(p);
        memcpy(p, good, cut);
        refused += !parse(ctx, format, p, cut);
        free(p);
    }
    brim_rng_init(&r, 7, (uint64_t)format);
    for (int i = 0; i < 20000; i++) {
        const size_t keep = brim_rng_below(&r, 8) == 0 ? (size_t)brim_rng_below(&r, n) : n;
        uint8_t *p = calloc(keep + 1, 1);
        assert_non_null(p);
        memcpy(p, good, keep);
        for (uint64_t k = brim_rng_below(&r, 4) + 1; k > 0 && keep > 0; k--) {
            p[brim_rng_below(&r, keep)] = (uint8_t)brim_rng_u64(&r);
        }
        refused += !parse(ctx, format, p, keep);
        free(p);
    }
    assert_true(refused > 1000);
}

static void mutants_never_crash_a_reader(void **state)
{
    static const char csv[] = "a,b,c\n1,2,3\n4,5,6\n-7e3,8,9\n";
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;
    uint8_t file[4096];
    char path[128];
    (void)state;

    mutate(ctx, NPY, file,
           files_npy(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
                     "abcdefghijklmnopqrstuvwx", 24));
    memcpy(file, "\0\0\x0b\2\0\0\0\3\0\0\0\2abcdefghijkl", 24);
    mutate(ctx, IDX, file, 24);
    memcpy(file, csv, sizeof csv);
    mutate(ctx, CSV, file, sizeof csv - 1);
    snprintf(path, sizeof path, "%s/m.npz", files_folder());
    files_text("m.csv", csv);
    ASSERT_OK(ctx, files_open(ctx, "csv:@m.csv?label=1", &data));
    ASSERT_OK(ctx, brim_data_save_npz(ctx, data, path));
    brim_data_free(data);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t n = fread(file, 1, sizeof file, f);
    fclose(f);
    mutate(ctx, NPZ, file, n);
    brim_ctx_free(ctx);
}

static brim_status open_and_save(brim_ctx *ctx, void *spec)
{
    brim_data *data;
    char path[128];

    snprintf(path, sizeof path, "%s/starved.npz", files_folder());
    brim_status status = files_open(ctx, spec, &data);
    if (status == BRIM_OK) {
        status = brim_data_save_npz(ctx, data, path);
        brim_data_free(data);
    }
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    static char specs[][64] = {
        "npy:@s.npy:@l.npy?mean=1,2&std=3",
        "csv:@s.csv?label=1&shape=1x2",
        "npz:@s.npz",
        "synth:glyphs?limit=2",
        "synth:noise?shape=3&limit=2",
        "idx:@s.idx",
    };
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;
    char path[128];
    (void)state;

    files_write_npy("s.npy", "|u1", "(2, 2)", "\1\2\3\4", 4);
    files_write_npy("l.npy", "|u1", "(2,)", "\1\2", 2);
    files_text("s.csv", "1,2,3\n4,5,6\n");
    files_write("s.idx", "\0\0\x08\2\0\0\0\1\0\0\0\2\5\6", 14);
    snprintf(path, sizeof path, "%s/s.npz", files_folder());
    ASSERT_OK(ctx, files_open(ctx, "npy:@s.npy:@l.npy", &data));
    ASSERT_OK(ctx, brim_data_save_npz(ctx, data, path));
    brim_data_free(data);
    brim_ctx_free(ctx);
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        assert_true(starving_try(open_and_save, specs[i]) > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_headers_that_lie_are_refused),
        cmocka_unit_test(idx_headers_that_lie_are_refused),
        cmocka_unit_test(labels_must_fit_the_images),
        cmocka_unit_test(a_nan_names_its_sample),
        cmocka_unit_test(csv_and_cifar_say_what_is_wrong),
        cmocka_unit_test(mutants_never_crash_a_reader),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, files_teardown);
}
