/* test_batch.c - order of samples, augmentation. SPDX-License-Identifier: Apache-2.0 */
#include "data/files.h"
#include "starving.h"
#include "train/batch.h"

static const struct brim_augment nothing;

static brim_data *open_glyphs(brim_ctx *ctx)
{
    brim_data *data;

    ASSERT_OK(ctx, brim_data_open(ctx, "synth:glyphs?limit=50", &data));
    return data;
}

static void an_epoch_sees_every_sample_once(void **state)
{
    brim_ctx *ctx = testing_ctx(2);
    brim_data *data = open_glyphs(ctx);
    struct brim_batches b;
    size_t order[50], same = 0;

    (void)state;
    ASSERT_OK(ctx, brim_batches_init(&b, ctx, data, 16, 7, &nothing));
    assert_int_equal(b.count, 3); /* two samples of 50 are left out */
    memcpy(order, b.order, sizeof order);
    for (uint64_t epoch = 0; epoch < 20; epoch++) {
        bool seen[50] = {false};
        brim_batches_shuffle(&b, epoch);
        for (size_t i = 0; i < 50; i++) {
            assert_true(b.order[i] < 50 && !seen[b.order[i]]);
            seen[b.order[i]] = true;
        }
        same += memcmp(order, b.order, sizeof order) == 0;
    }
    assert_int_equal(same, 1); /* epoch 0 alone has the order of epoch 0 */
    brim_batches_free(&b);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static void batches_hold_the_samples_of_the_order(void **state)
{
    brim_ctx *ctx = testing_ctx(2);
    brim_data *data = open_glyphs(ctx);
    struct brim_batches b;
    static float x[784];
    int64_t label;

    (void)state;
    ASSERT_OK(ctx, brim_batches_init(&b, ctx, data, 16, 7, &nothing));
    brim_batches_shuffle(&b, 3);
    ASSERT_OK(ctx, brim_batches_load(&b, 2));
    for (size_t i = 0; i < 16; i++) {
        ASSERT_OK(ctx, brim_data_read(ctx, data, b.order[32 + i], 1, x, &label));
        assert_memory_equal(b.x + i * 784, x, sizeof x);
        assert_int_equal(b.label[i], label);
    }
    brim_batches_free(&b);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

/* What a sample becomes depends on its number and the epoch, not on the batch or the threads. */
static void augmentation_belongs_to_the_sample(void **state)
{
    static const struct brim_augment all = {.flip = true, .reach = 3, .cutout = 5};
    static float kept[50][784], kept_later[784];
    static const int threads[] = {1, 3};
    static const size_t batch[] = {10, 25};
    size_t moved = 0;

    (void)state;
    for (size_t t = 0; t < 2; t++) {
        brim_ctx *ctx = testing_ctx(threads[t]);
        brim_data *data = open_glyphs(ctx);
        struct brim_batches b;
        ASSERT_OK(ctx, brim_batches_init(&b, ctx, data, batch[t], 7, &all));
        brim_batches_shuffle(&b, 4);
        for (size_t i = 0; i < b.count; i++) {
            ASSERT_OK(ctx, brim_batches_load(&b, i));
            for (size_t k = 0; k < b.batch; k++) {
                float *x = kept[b.order[i * b.batch + k]];
                if (t == 0) {
                    memcpy(x, b.x + k * 784, sizeof kept[0]);
                }
                assert_memory_equal(x, b.x + k * 784, sizeof kept[0]);
            }
        }
        brim_batches_shuffle(&b, 5);
        ASSERT_OK(ctx, brim_batches_load(&b, 0));
        for (size_t k = 0; k < b.batch; k++) {
            memcpy(kept_later, b.x + k * 784, sizeof kept_later);
            moved += memcmp(kept[b.order[k]], kept_later, sizeof kept_later) != 0;
        }
        brim_batches_free(&b);
        brim_data_free(data);
        brim_ctx_free(ctx);
    }
    assert_true(moved >= 30); /* of 35: another epoch, another image */
}

/* [1][2][3]: 1 2 3 / 4 5 6, under every draw of a few hundred seeds. */
static void crops_flips_and_cuts(void **state)
{
    size_t mirrored = 0, shifted = 0, edged = 0, cut = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        float x[6] = {1, 2, 3, 4, 5, 6}, scratch[6];
        struct brim_rng rng;
        brim_rng_init(&rng, seed, 0);
        brim_augment_apply(&(struct brim_augment){.flip = true}, &rng, 1, 2, 3, x, scratch);
        const float mirror[6] = {3, 2, 1, 6, 5, 4}, plain[6] = {1, 2, 3, 4, 5, 6};
        const bool is_mirror = memcmp(x, mirror, sizeof x) == 0;
        assert_true(is_mirror || memcmp(x, plain, sizeof x) == 0);
        mirrored += is_mirror;

        memcpy(x, plain, sizeof x);
        brim_rng_init(&rng, seed, 0);
        brim_augment_apply(&(struct brim_augment){.reach = 1}, &rng, 1, 2, 3, x, scratch);
        const float right_and_down[6] = {0, 0, 0, 0, 1, 2};
        shifted += memcmp(x, right_and_down, sizeof x) == 0;

        memcpy(x, plain, sizeof x);
        brim_rng_init(&rng, seed, 0);
        brim_augment_apply(&(struct brim_augment){.reach = 1, .edges = true}, &rng, 1, 2, 3, x,
                           scratch);
        const float repeated[6] = {1, 1, 2, 1, 1, 2};
        edged += memcmp(x, repeated, sizeof x) == 0;

        memcpy(x, plain, sizeof x);
        brim_rng_init(&rng, seed, 0);
        brim_augment_apply(&(struct brim_augment){.cutout = 2}, &rng, 1, 2, 3, x, scratch);
        const float corner[6] = {0, 2, 3, 4, 5, 6};
        cut += memcmp(x, corner, sizeof x) == 0;
    }
    assert_in_range(mirrored, 100, 200);
    assert_in_range(shifted, 10, 70); /* one in nine */
    assert_int_equal(edged, shifted);
    assert_in_range(cut, 20, 90); /* one in six */
}

static void bad_augmentations_and_small_data(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data = open_glyphs(ctx), *flat;
    struct brim_augment a;
    struct brim_batches b;

    (void)state;
    ASSERT_OK(ctx, brim_augment_parse(ctx, "flip,crop4,cutout12", &a));
    assert_true(a.flip && a.reach == 4 && !a.edges && a.cutout == 12);
    ASSERT_OK(ctx, brim_augment_parse(ctx, "shift3", &a));
    assert_true(!a.flip && a.reach == 3 && a.edges);
    ASSERT_OK(ctx, brim_augment_parse(ctx, "", &a));
    assert_false(brim_augment_any(&a));
    static const char *const bad[] = {"flop",  "crop",   "crop0", "crop1000",
                                      "flip,", "cropp4", "flip4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ASSERT_FAILS(ctx, BRIM_ERR_ARG, "expected flip, cropN, shiftN or cutoutN",
                     brim_augment_parse(ctx, bad[i], &a));
    }
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "expected one of cropN and shiftN",
                 brim_augment_parse(ctx, "crop4,shift4", &a));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "data: 50 samples, expected at least a batch of 51",
                 brim_batches_init(&b, ctx, data, 51, 1, &nothing));
    brim_batches_free(&b);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "crop28, but images have 28x28 pixels",
                 brim_batches_init(&b, ctx, data, 10, 1, &(struct brim_augment){.reach = 28}));
    brim_batches_free(&b);
    ASSERT_OK(ctx, brim_data_open(ctx, "synth:noise?shape=12&limit=20", &flat));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "samples have rank 1, expected images",
                 brim_batches_init(&b, ctx, flat, 10, 1, &(struct brim_augment){.flip = true}));
    brim_batches_free(&b);
    brim_data_free(flat);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static brim_status starved(brim_ctx *ctx, void *arg)
{
    struct brim_batches b;
    const brim_status s = brim_batches_init(&b, ctx, arg, 8, 1, &nothing);

    brim_batches_free(&b);
    return s;
}

static void memory_runs_out(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data = open_glyphs(ctx);

    (void)state;
    assert_true(starving_try(starved, data) > 0);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_sees_every_sample_once),
        cmocka_unit_test(batches_hold_the_samples_of_the_order),
        cmocka_unit_test(augmentation_belongs_to_the_sample),
        cmocka_unit_test(crops_flips_and_cuts),
        cmocka_unit_test(bad_augmentations_and_small_data),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
