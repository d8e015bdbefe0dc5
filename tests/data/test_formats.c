/* test_formats.c - every format gives the numbers that were put in. SPDX-License-Identifier:
 * Apache-2.0 */
#include "data/files.h"

static void check(const char *spec, const float *want, size_t n_samples, size_t size,
                  const int64_t *label)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;
    float x[64];
    int64_t y[16];

    ASSERT_OK(ctx, files_open(ctx, spec, &data));
    assert_int_equal(brim_data_count(data), n_samples);
    assert_int_equal(brim_data_sample_size(data), size);
    assert_int_equal(brim_data_has_labels(data), label != NULL);
    ASSERT_OK(ctx, brim_data_read(ctx, data, 0, n_samples, x, y));
    for (size_t i = 0; i < n_samples * size; i++) {
        if (x[i] != want[i]) {
            fail_msg("%s: element %zu is %g, expected %g", spec, i, (double)x[i], (double)want[i]);
        }
    }
    for (size_t i = 0; i < n_samples; i++) {
        assert_int_equal(y[i], label != NULL ? label[i] : -1);
    }
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static void npy_reads_every_element_type_in_both_byte_orders(void **state)
{
    static const struct {
        const char *descr;
        uint8_t bytes[16]; /* 2 elements */
        size_t n;
        float want[2];
    } t[] = {
        {"|u1", {7, 255}, 2, {7, 255}},
        {"|i1", {0x80, 0x7f}, 2, {-128, 127}},
        {"|b1", {0, 1}, 2, {0, 1}},
        {"<u2", {1, 2, 0xff, 0xff}, 4, {513, 65535}},
        {">u2", {1, 2, 0xff, 0xff}, 4, {258, 65535}},
        {"<i2", {0, 0x80, 0xff, 0xff}, 4, {-32768, -1}},
        {">i2", {0x80, 0, 0, 1}, 4, {-32768, 1}},
        {"<u4", {0, 0, 0, 1, 5, 0, 0, 0}, 8, {16777216, 5}},
        {"<i4", {0xfe, 0xff, 0xff, 0xff, 5, 0, 0, 0}, 8, {-2, 5}},
        {">i4", {0xff, 0xff, 0xff, 0xfd, 0, 0, 1, 0}, 8, {-3, 256}},
        {"<i8", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 9}, 16, {-1, 9}},
        {">u8", {0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3}, 16, {256, 3}},
        {"<f2", {0x00, 0x3c, 0x01, 0x80}, 4, {1.0f, -0x1p-24f}},
        {">f2", {0x7b, 0xff, 0xc5, 0x00}, 4, {65504.0f, -5.0f}},
        {"<f4", {0, 0, 0xc0, 0x3f, 0, 0, 0, 0x80}, 8, {1.5f, -0.0f}},
        {">f4", {0x3f, 0xc0, 0, 0, 0xc0, 0x40, 0, 0}, 8, {1.5f, -3.0f}},
        {"<f8", {0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0}, 16, {1.5f, -2.0f}},
        {">f8", {0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0}, 16, {1.5f, -2.0f}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        files_write_npy("t.npy", t[i].descr, "(2, 1)", t[i].bytes, t[i].n);
        check("npy:@t.npy", t[i].want, 2, 1, NULL);
    }
}

static void npy_versions_two_and_three_and_labels(void **state)
{
    static const char dict[] = "{\"shape\": (2, 3), \"descr\": \"|u1\", \"fortran_order\": False}";
    static const uint8_t label[] = {4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
    static const float want[] = {1, 2, 3, 4, 5, 6};
    uint8_t file[128] = "\x93NUMPY";
    (void)state;

    files_write_npy("y.npy", "<i8", "(2,)", label, sizeof label);
    for (uint8_t version = 2; version <= 3; version++) {
        file[6] = version;
        file[8] = sizeof dict - 1;
        memcpy(file + 12, dict, sizeof dict - 1);
        memcpy(file + 12 + sizeof dict - 1, "\1\2\3\4\5\6", 6);
        files_write("x.npy", file, 12 + sizeof dict - 1 + 6);
        check("npy:@x.npy:@y.npy", want, 2, 3, (const int64_t[]){4, 2});
    }
}

static void npy_of_rank_one_has_samples_of_one_element(void **state)
{
    static const float want[] = {1, 2, 3};
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;
    int64_t dim[8];
    (void)state;

    files_write_npy("v.npy", "|u1", "(3L,)", "\1\2\3", 3);
    check("npy:@v.npy", want, 3, 1, NULL);
    ASSERT_OK(ctx, files_open(ctx, "npy:@v.npy", &data));
    assert_int_equal(brim_data_shape(data, dim), 1);
    assert_int_equal(dim[0], 1);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static void idx_reads_its_six_types_plain_and_gzipped(void **state)
{
    static const struct {
        uint8_t type;
        uint8_t bytes[16];
        size_t n;
        float want[2];
    } t[] = {
        {0x08, {7, 255}, 2, {7, 255}},
        {0x09, {0xff, 3}, 2, {-1, 3}},
        {0x0b, {0xff, 0, 0, 2}, 4, {-256, 2}},
        {0x0c, {0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0}, 8, {-1, 256}},
        {0x0d, {0x3f, 0xc0, 0, 0, 0xc0, 0x40, 0, 0}, 8, {1.5f, -3.0f}},
        {0x0e, {0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xc0}, 16, {1.5f, -2.0f}},
    };
    (void)state;

    files_write("l.idx", "\0\0\x08\1\0\0\0\1\5", 9);
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        uint8_t file[64] = {0, 0, t[i].type, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2};
        char path[128];
        memcpy(file + 16, t[i].bytes, t[i].n);
        files_write("i.idx", file, 16 + t[i].n);
        check("idx:@i.idx", t[i].want, 1, 2, NULL);
        snprintf(path, sizeof path, "%s/i.idx.gz", files_folder());
        gzFile f = gzopen(path, "wb");
        assert_int_equal(gzwrite(f, file, (unsigned)(16 + t[i].n)), 16 + t[i].n);
        assert_int_equal(gzclose(f), Z_OK);
        check("idx:@i.idx.gz:@l.idx", t[i].want, 1, 2, (const int64_t[]){5});
    }
}

static void cifar_reads_records_of_several_files(void **state)
{
    uint8_t *file = calloc(2, 3073);
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;
    int64_t dim[8], label[3];
    float *x = malloc(3 * 3072 * sizeof *x);
    (void)state;

    assert_true(file != NULL && x != NULL);
    for (size_t i = 0; i < 2 * 3073; i++) {
        file[i] = i % 3073 == 0 ? (uint8_t)(3 + i / 3073) : (uint8_t)(i * 7 % 251);
    }
    files_write("a.bin", file, 2 * 3073);
    files_write("b.bin", file, 3073);
    ASSERT_OK(ctx, files_open(ctx, "cifar:@a.bin,@b.bin", &data));
    assert_int_equal(brim_data_count(data), 3);
    assert_int_equal(brim_data_shape(data, dim), 3);
    assert_int_equal(dim[0], 3);
    assert_int_equal(dim[1] * dim[2], 1024);
    ASSERT_OK(ctx, brim_data_read(ctx, data, 0, 3, x, label));
    assert_int_equal(label[0] * 100 + label[1] * 10 + label[2], 343);
    for (size_t i = 0; i < 3072; i++) {
        assert_true(x[i] == (float)file[1 + i] && x[3072 + i] == (float)file[3074 + i]);
        assert_true(x[6144 + i] == x[i]);
    }
    brim_data_free(data);
    brim_ctx_free(ctx);
    free(file);
    free(x);
}

static void csv_finds_separator_header_and_label(void **state)
{
    static const float all[] = {1, 2.5f, 3, -4, 5e2f, 6};
    static const float rest[] = {1, 2.5f, -4, 500};
    static const float named[] = {2.5f, 3, 500, 6};
    static const int64_t third[] = {3, 6};
    (void)state;

    files_text("p.csv", "1,2.5,3\n-4,5e2,6\n");
    check("csv:@p.csv", all, 2, 3, NULL);
    check("csv:@p.csv?label=-1", all, 2, 3, NULL);
    check("csv:@p.csv?label=2", rest, 2, 2, third);
    files_text("h.csv", "a;class;c\r\n3;2.5;3\r\n\r\n6;5e2;6");
    check("csv:@h.csv?label=a", named, 2, 2, third);
    files_text("t.csv", "1\t2.5\t3\n-4\t5e2\t6\n\n");
    check("csv:@t.csv", all, 2, 3, NULL);
    files_text("b.csv", "  1  2.5 3 \n-4 5e2   6\n");
    check("csv:@b.csv", all, 2, 3, NULL);
}

/* ---- npz ---- */

static size_t put(uint8_t *p, size_t v, int n)
{
    for (int i = 0; i < n; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
    return (size_t)n;
}

/* A zip of the members, deflated or stored, local sizes left to the directory as streams do. */
static size_t make_zip(uint8_t *out, const char *const *name, uint8_t *const *body,
                       const size_t *size, int count, int method)
{
    size_t at = 0, local[4], packed[4];
    int i;

    for (i = 0; i < count; i++) {
        local[i] = at;
        memset(out + at, 0, 30);
        put(out + at, 0x04034b50, 4);
        put(out + at + 26, strlen(name[i]), 2);
        put(out + at + 28, 4, 2); /* an extra field of four bytes */
        at += 30;
        memcpy(out + at, name[i], strlen(name[i]));
        at += strlen(name[i]);
        at += put(out + at, 0, 4);
        packed[i] = size[i];
        if (method == 8) {
            z_stream s = {0};
            assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
            s.next_in = body[i];
            s.avail_in = (uInt)size[i];
            s.next_out = out + at;
            s.avail_out = 4096;
            assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
            packed[i] = s.total_out;
            deflateEnd(&s);
        } else {
            memcpy(out + at, body[i], size[i]);
        }
        at += packed[i];
    }
    const size_t directory = at;
    for (i = 0; i < count; i++) {
        memset(out + at, 0, 46);
        put(out + at, 0x02014b50, 4);
        put(out + at + 10, (size_t)method, 2);
        put(out + at + 16, crc32(0, body[i], (uInt)size[i]), 4);
        put(out + at + 20, packed[i], 4);
        put(out + at + 24, size[i], 4);
        put(out + at + 28, strlen(name[i]), 2);
        put(out + at + 42, local[i], 4);
        at += 46;
        memcpy(out + at, name[i], strlen(name[i]));
        at += strlen(name[i]);
    }
    const size_t end = at;
    memset(out + at, 0, 22);
    put(out + at, 0x06054b50, 4);
    put(out + at + 8, (size_t)count, 2);
    put(out + at + 10, (size_t)count, 2);
    put(out + at + 12, end - directory, 4);
    put(out + at + 16, directory, 4);
    put(out + at + 20, 3, 2); /* and a comment */
    memcpy(out + at + 22, "hey", 3);
    return at + 25;
}

static void npz_finds_its_arrays_under_the_usual_names(void **state)
{
    static const char *const names[][3] = {
        {"x.npy", "y.npy", "z.npy"},
        {"labels.npy", "images.npy", "a.npy"},
        {"arr_0.npy", "arr_1.npy", "arr_2.npy"},
        {"q.npy", "Y.npy", "X.npy"},
    };
    static const int x_at[] = {0, 1, 0, 2};
    static const int y_at[] = {1, 0, 1, 1};
    static const float want[] = {1, 2, 3, 4, 5, 6};
    static const int64_t label[] = {8, 9};
    uint8_t x[256], y[256], z[256], file[4096];
    (void)state;

    const size_t nx = files_npy(x, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }",
                                "\1\2\3\4\5\6", 6);
    const size_t ny =
        files_npy(y, "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 1), }", "\x8\x9", 2);
    const size_t nz =
        files_npy(z, "{'descr': '|i1', 'fortran_order': False, 'shape': (1,), }", "\0", 1);
    for (int i = 0; i < 4; i++) {
        uint8_t *body[3] = {z, z, z};
        size_t size[3] = {nz, nz, nz};
        body[x_at[i]] = x;
        size[x_at[i]] = nx;
        body[y_at[i]] = y;
        size[y_at[i]] = ny;
        for (int method = 0; method <= 8; method += 8) {
            files_write("a.npz", file, make_zip(file, names[i], body, size, 3, method));
            check("npz:@a.npz", want, 2, 3, label);
        }
    }
    uint8_t *only[1] = {x};
    files_write("a.npz", file, make_zip(file, names[0], only, &nx, 1, 8));
    check("npz:@a.npz", want, 2, 3, NULL);
}

static void saved_npz_reads_back_the_same(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data, *back;
    char path[128], spec[160];
    float a[784], b[784];
    int64_t la, lb, dim[8];
    (void)state;

    snprintf(path, sizeof path, "%s/save.npz", files_folder());
    snprintf(spec, sizeof spec, "npz:%s", path);
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:glyphs?limit=5&scale=0.1&mean=3", &data));
    ASSERT_OK(ctx, brim_data_save_npz(ctx, data, path));
    ASSERT_OK(ctx, brim_data_open(ctx, spec, &back));
    assert_int_equal(brim_data_count(back), 5);
    assert_int_equal(brim_data_shape(back, dim), 3);
    for (size_t i = 0; i < 5; i++) {
        ASSERT_OK(ctx, brim_data_read(ctx, data, i, 1, a, &la));
        ASSERT_OK(ctx, brim_data_read(ctx, back, i, 1, b, &lb));
        assert_int_equal(la, lb);
        assert_memory_equal(a, b, sizeof a);
    }
    brim_data_free(back);
    ASSERT_FAILS(ctx, BRIM_ERR_IO, "cannot write",
                 brim_data_save_npz(ctx, data, "/nonexistent/folder/x.npz"));
    brim_data_free(data);
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:noise?shape=4&limit=3", &data));
    ASSERT_OK(ctx, brim_data_save_npz(ctx, data, path));
    ASSERT_OK(ctx, brim_data_open(ctx, spec, &back));
    assert_false(brim_data_has_labels(back));
    brim_data_free(back);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_reads_every_element_type_in_both_byte_orders),
        cmocka_unit_test(npy_versions_two_and_three_and_labels),
        cmocka_unit_test(npy_of_rank_one_has_samples_of_one_element),
        cmocka_unit_test(idx_reads_its_six_types_plain_and_gzipped),
        cmocka_unit_test(cifar_reads_records_of_several_files),
        cmocka_unit_test(csv_finds_separator_header_and_label),
        cmocka_unit_test(npz_finds_its_arrays_under_the_usual_names),
        cmocka_unit_test(saved_npz_reads_back_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, files_teardown);
}
