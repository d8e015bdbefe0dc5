/* test_synth.c - the made-up sets are the same everywhere and in any order.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "brim/data.h"
#include "data/synth.h"
#include "testing.h"

static void glyph_bytes_are_pinned(void **state)
{
    static uint8_t pixel[64][BRIM_GLYPH_PIXELS];
    char hex[BRIM_HASH_CHARS];
    (void)state;

    for (uint64_t i = 0; i < 64; i++) {
        (void)brim_synth_glyph(1, i, pixel[i]);
    }
    brim_hash_hex(pixel, sizeof pixel, hex);
    assert_string_equal(hex, "a224d00e3803ef2d88a0c912d998d36b42f76ee85cc3fa9558ae6a3ee68344e3");
}

static void a_sample_does_not_depend_on_its_neighbours(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *all, *tail, *other;
    float a[BRIM_GLYPH_PIXELS], b[BRIM_GLYPH_PIXELS];
    int64_t la, lb, dim[8];
    (void)state;

    ASSERT_OK(ctx, brim_data_open(ctx, "synth:glyphs", &all));
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:glyphs?offset=1990&limit=20", &tail));
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:glyphs?seed=2&limit=2000", &other));
    assert_int_equal(brim_data_count(all), 2000);
    assert_int_equal(brim_data_count(tail), 20);
    assert_int_equal(brim_data_shape(all, dim), 3);
    assert_true(dim[0] == 1 && dim[1] == 28 && dim[2] == 28);
    ASSERT_OK(ctx, brim_data_read(ctx, all, 1995, 1, a, &la));
    ASSERT_OK(ctx, brim_data_read(ctx, tail, 5, 1, b, &lb));
    assert_int_equal(la, lb);
    assert_memory_equal(a, b, sizeof a);
    ASSERT_OK(ctx, brim_data_read(ctx, other, 1995, 1, b, &lb));
    assert_memory_not_equal(a, b, sizeof a);
    brim_data_free(all);
    brim_data_free(tail);
    brim_data_free(other);
    brim_ctx_free(ctx);
}

static void every_class_appears_about_as_often(void **state)
{
    uint8_t pixel[BRIM_GLYPH_PIXELS];
    int seen[BRIM_GLYPH_CLASSES] = {0};
    (void)state;

    for (uint64_t i = 0; i < 2000; i++) {
        seen[brim_synth_glyph(1, i, pixel)]++;
    }
    for (int c = 0; c < BRIM_GLYPH_CLASSES; c++) {
        assert_in_range(seen[c], 140, 260); /* 200 +- 4.5 standard deviations */
    }
}

static void glyphs_are_dark_paper_with_brighter_ink(void **state)
{
    uint8_t pixel[BRIM_GLYPH_PIXELS];
    (void)state;

    for (uint64_t i = 0; i < 200; i++) {
        long sum = 0;
        int brightest = 0;
        (void)brim_synth_glyph(3, i, pixel);
        for (int p = 0; p < BRIM_GLYPH_PIXELS; p++) {
            sum += pixel[p];
            brightest = pixel[p] > brightest ? pixel[p] : brightest;
        }
        assert_true(brightest >= 60 && sum / BRIM_GLYPH_PIXELS + 30 < brightest);
    }
}

static void noise_has_the_shape_asked_and_unit_variance(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data;
    static float x[100 * 60];
    int64_t dim[8];
    double sum = 0.0, square = 0.0;
    (void)state;

    ASSERT_OK(ctx, brim_data_open(ctx, "synth:noise?shape=3x4x5&limit=100&seed=9", &data));
    assert_int_equal(brim_data_shape(data, dim), 3);
    assert_false(brim_data_has_labels(data));
    ASSERT_OK(ctx, brim_data_read(ctx, data, 0, 100, x, NULL));
    for (size_t i = 0; i < 6000; i++) {
        sum += (double)x[i];
        square += (double)x[i] * (double)x[i];
    }
    assert_true(sum / 6000 > -0.06 && sum / 6000 < 0.06);
    assert_true(square / 6000 > 0.9 && square / 6000 < 1.1);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(glyph_bytes_are_pinned),
        cmocka_unit_test(a_sample_does_not_depend_on_its_neighbours),
        cmocka_unit_test(every_class_appears_about_as_often),
        cmocka_unit_test(glyphs_are_dark_paper_with_brighter_ink),
        cmocka_unit_test(noise_has_the_shape_asked_and_unit_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
