/* test_prune.c - N:M patterns. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/rng.h"
#include "brim/prune.h"
#include "testing.h"

#define N 7
#define K 50

static brim_prune_params params(unsigned keep, unsigned group, unsigned block)
{
    brim_prune_params p;

    brim_prune_params_init(&p);
    p.keep = keep;
    p.group = group;
    p.block = block;
    return p;
}

static void worked_example(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const float w[8] = {3, -1, 2, 0.5F, 0, 4, 1, 0};
    brim_prune_params p = params(2, 4, 1);
    uint8_t mask[8];

    (void)state;
    ASSERT_OK(ctx, brim_prune_layer(ctx, 2, 4, w, NULL, &p, mask));
    assert_memory_equal(mask, ((uint8_t[]){1, 0, 1, 0, 0, 1, 1, 0}), sizeof mask);
    p.block = 2;
    ASSERT_OK(ctx, brim_prune_layer(ctx, 2, 4, w, NULL, &p, mask));
    assert_memory_equal(mask, ((uint8_t[]){1, 1, 0, 0, 1, 1, 0, 0}), sizeof mask);
    brim_ctx_free(ctx);
}

/* Oracle 22: exactly `keep` of every whole group, at most `keep` of a ragged one, and nothing that
 * was dropped is larger than anything that was kept beside it. */
static void every_group_keeps_its_share(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;
    float w[N * K];
    uint8_t mask[N * K];

    (void)state;
    brim_rng_init(&rng, 3, 0);
    for (unsigned group = 2; group <= 64; group += group < 20 ? 1 : 11) {
        for (unsigned keep = 1; keep < group; keep++) {
            const brim_prune_params p = params(keep, group, 1 + keep % 3);
            for (size_t i = 0; i < N * K; i++) {
                w[i] = (float)brim_rng_normal(&rng);
            }
            ASSERT_OK(ctx, brim_prune_layer(ctx, N, K, w, NULL, &p, mask));
            for (size_t c = 0; c < N; c++) {
                for (size_t at = 0; at < K; at += group) {
                    const size_t n = K - at < group ? K - at : group;
                    size_t kept = 0;
                    float least = INFINITY, most = 0;
                    for (size_t i = at; i < at + n; i++) {
                        const float a = fabsf(w[c * K + i]);
                        kept += mask[c * K + i];
                        least = mask[c * K + i] != 0 && a < least ? a : least;
                        most = mask[c * K + i] == 0 && a > most ? a : most;
                    }
                    assert_int_equal(kept, n < keep ? n : keep);
                    assert_true(p.block > 1 || least >= most);
                    assert_memory_equal(mask + c * K + at, mask + c / p.block * p.block * K + at,
                                        n);
                }
            }
        }
    }
    brim_ctx_free(ctx);
}

/* Two inputs that always move together can stand in for one another: the moments see it. With
 * H = [[1, r], [r, 1]] the inverse's diagonal is 1 / (1 - r^2). */
static void moments_know_what_others_can_do(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const float w[4] = {1.0F, 1.0F, 0.5F, 0.4F};
    const double h[16] = {1, 0.99, 0, 0, 0.99, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    brim_prune_params p = params(2, 4, 1);
    uint8_t mask[4];

    (void)state;
    ASSERT_OK(ctx, brim_prune_layer(ctx, 1, 4, w, h, &p, mask));
    assert_memory_equal(mask, ((uint8_t[]){1, 1, 0, 0}), sizeof mask);
    p.saliency = BRIM_SALIENCY_MOMENTS; /* scores 0.02, 0.02, 0.25, 0.16 (undamped) */
    p.damping = 0.0;
    ASSERT_OK(ctx, brim_prune_layer(ctx, 1, 4, w, h, &p, mask));
    assert_memory_equal(mask, ((uint8_t[]){0, 0, 1, 1}), sizeof mask);
    brim_ctx_free(ctx);
}

static void refuses_with_a_reason(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const float w[4] = {1, 2, 3, 4};
    const double h[16] = {1, 2, 0, 0, 2, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    uint8_t mask[4];
    brim_prune_params p = params(4, 4, 1);

    (void)state;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "keep 4 of 4, expected 1 <= keep < group <= 64",
                 brim_prune_layer(ctx, 1, 4, w, NULL, &p, mask));
    p = params(2, 65, 1);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "keep 2 of 65", brim_prune_layer(ctx, 1, 4, w, NULL, &p, mask));
    p = params(2, 4, 0);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "blocks of 0 outputs",
                 brim_prune_layer(ctx, 1, 4, w, NULL, &p, mask));
    p = params(2, 4, 1);
    p.saliency = BRIM_SALIENCY_MOMENTS;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "second moments are missing",
                 brim_prune_layer(ctx, 1, 4, w, NULL, &p, mask));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "not positive semidefinite",
                 brim_prune_layer(ctx, 1, 4, w, h, &p, mask));
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),
        cmocka_unit_test(every_group_keeps_its_share),
        cmocka_unit_test(moments_know_what_others_can_do),
        cmocka_unit_test(refuses_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
