/* test_lookup.c - every variant of lookup against a loop written here. SPDX-License-Identifier:
 * Apache-2.0 */
#include "testing.h"

#include "base/cpu.h"
#include "base/rng.h"
#include "kernels/lookup.h"
#include "kernels/lookup_variant.h"

#include <math.h>
#include <stdlib.h>

struct problem {
    size_t m, n, k, segments;
    int32_t w_min, w_max, x_min, x_max;
    int zeros; /* of 4 weights, on average, besides those drawn */
    bool x_signed, corners;
    enum brim_emit emit;
    uint64_t seed;
};

struct data {
    int32_t *w, *offset;
    float *multiplier, *bias;
    uint8_t *x;
    size_t x_stride, *segment;
    struct brim_epilogue epilogue;
};

static void *must(void *p)
{
    assert_non_null(p);
    return p;
}

static int32_t draw(struct brim_rng *rng, int32_t lo, int32_t hi)
{
    return lo + (int32_t)brim_rng_below(rng, (uint64_t)(hi - lo) + 1);
}

/* Segments lie 3 bytes apart, last one first. */
static struct data make_data(const struct problem *p)
{
    struct brim_rng rng;
    struct data d = {.x_stride = p->k + 3 * p->segments};
    const size_t length = p->k / p->segments;

    brim_rng_init(&rng, p->seed, 0);
    d.w = must(malloc(p->n * p->k * sizeof *d.w));
    for (size_t i = 0; i < p->n * p->k; i++) {
        d.w[i] = draw(&rng, 0, 3) < p->zeros ? 0 : draw(&rng, p->w_min, p->w_max);
    }
    d.x = must(malloc(p->m * d.x_stride));
    for (size_t i = 0; i < p->m * d.x_stride; i++) {
        d.x[i] = (uint8_t)(!p->corners             ? draw(&rng, p->x_min, p->x_max)
                           : draw(&rng, 0, 1) == 0 ? p->x_min
                                                   : p->x_max);
    }
    d.segment = must(malloc(p->segments * sizeof *d.segment));
    for (size_t s = 0; s < p->segments; s++) {
        d.segment[s] = (p->segments - 1 - s) * (length + 3);
    }
    d.offset = must(malloc(p->n * sizeof *d.offset));
    d.multiplier = must(malloc(p->n * sizeof *d.multiplier));
    d.bias = must(malloc(p->n * sizeof *d.bias));
    for (size_t c = 0; c < p->n; c++) {
        d.offset[c] = draw(&rng, -1000, 1000);
        d.multiplier[c] = (float)draw(&rng, 1, 1000) * 0x1p-14F;
        d.bias[c] = (float)draw(&rng, -1000, 1000) * 0x1p-8F;
    }
    d.epilogue = (struct brim_epilogue){.emit = p->emit,
                                        .offset = d.offset,
                                        .multiplier = d.multiplier,
                                        .bias = d.bias,
                                        .lo = -3,
                                        .hi = 252,
                                        .zero = 3};
    return d;
}

static void free_data(struct data *d)
{
    free(d->w);
    free(d->x);
    free(d->segment);
    free(d->offset);
    free(d->multiplier);
    free(d->bias);
}

static int32_t total(const struct problem *p, const struct data *d, size_t i, size_t c)
{
    const size_t length = p->k / p->segments;
    int32_t sum = 0;

    for (size_t k = 0; k < p->k; k++) {
        const uint8_t byte = d->x[i * d->x_stride + d->segment[k / length] + k % length];

        sum += d->w[c * p->k + k] * (p->x_signed ? (int8_t)byte : byte);
    }
    return sum;
}

static void check_output(const struct problem *p, const struct data *d, const void *y, size_t i,
                         size_t c)
{
    const size_t at = i * (p->n + 5) + c;
    const int32_t acc = total(p, d, i, c) + d->offset[c];
    const float scaled = (float)acc * d->multiplier[c];

    if (p->emit == BRIM_EMIT_ACC) {
        assert_int_equal(((const int32_t *)y)[at], acc);
    } else if (p->emit == BRIM_EMIT_FLOAT) {
        const float want = scaled + d->bias[c];
        assert_memory_equal(&((const float *)y)[at], &want, sizeof want);
    } else {
        const float clipped = scaled < -3 ? -3 : scaled > 252 ? 252 : scaled;
        assert_int_equal(((const uint8_t *)y)[at], (int)rintf(clipped) + 3);
    }
}

static struct brim_lookup_params make_params(const struct problem *p, const struct data *d,
                                             const char *variant)
{
    return (struct brim_lookup_params){.w = d->w,
                                       .n = p->n,
                                       .k = p->k,
                                       .segments = p->segments,
                                       .x_min = p->x_min,
                                       .x_max = p->x_max,
                                       .x_signed = p->x_signed,
                                       .epilogue = d->epilogue,
                                       .variant = variant};
}

/* All outputs, and nothing between the rows. Gives the mean tile. */
static double run_variant(brim_ctx *ctx, const struct problem *p, const struct data *d,
                          const char *variant)
{
    const struct brim_lookup_params params = make_params(p, d, variant);
    const size_t y_stride = p->n + 5, size = p->emit == BRIM_EMIT_CODES ? 1 : 4;
    uint8_t *y = must(malloc(p->m * y_stride * size));
    struct brim_lookup *lookup;

    ASSERT_OK(ctx, brim_lookup_create(ctx, &params, &lookup));
    memset(y, 0xa5, p->m * y_stride * size);
    void *scratch = must(brim_alloc(ctx, brim_lookup_scratch(lookup, p->m), 1));
    brim_lookup_run(lookup, &(struct brim_gemm_rows){.m = p->m,
                                                     .x = d->x,
                                                     .x_stride = d->x_stride,
                                                     .segment = d->segment,
                                                     .y = y,
                                                     .y_stride = y_stride,
                                                     .scratch = scratch});
    for (size_t i = 0; i < p->m; i++) {
        for (size_t c = 0; c < p->n; c++) {
            check_output(p, d, y, i, c);
        }
        for (size_t j = (i * y_stride + p->n) * size; j < (i + 1) * y_stride * size; j++) {
            assert_int_equal(y[j], 0xa5);
        }
    }
    const double tile = brim_lookup_tile(lookup);
    brim_free(ctx, scratch);
    brim_lookup_free(ctx, lookup);
    free(y);
    return tile;
}

static bool on_this_cpu(const struct brim_lookup_variant *v)
{
    return (v->isa & ~brim_cpu_detect()) == 0;
}

static void check_problem(brim_ctx *ctx, const struct problem *p)
{
    struct data d = make_data(p);

    for (size_t v = 0; v < brim_lookup_variant_count; v++) {
        if (on_this_cpu(brim_lookup_variants[v])) {
            (void)run_variant(ctx, p, &d, brim_lookup_variants[v]->name);
        }
    }
    free_data(&d);
}

static void ragged_shapes_equal_the_loop(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 7, 0);
    for (uint64_t i = 0; i < 150; i++) {
        const int32_t least = draw(&rng, -2, 0);
        struct problem p = {.m = (size_t)draw(&rng, 1, 27),
                            .n = (size_t)draw(&rng, 1, 300),
                            .segments = (size_t)draw(&rng, 1, 4),
                            .w_min = least == 0 ? -1 : least,
                            .w_max = least == 0 ? 2 : 1,
                            .zeros = draw(&rng, 0, 3),
                            .x_signed = i % 3 == 0,
                            .corners = i % 4 == 0,
                            .emit = (enum brim_emit)(i % 3),
                            .seed = i};

        p.k = p.segments * (size_t)draw(&rng, 1, i % 10 == 0 ? 700 : 90);
        p.x_min = p.x_signed ? draw(&rng, -128, 100) : draw(&rng, 0, 200);
        p.x_max = p.x_min + draw(&rng, 0, 20);
        check_problem(ctx, &p);
    }
    brim_ctx_free(ctx);
}

/* Every number of rows and of panels has code of its own. */
static void all_tiles_equal_the_loop(void **state)
{
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    for (size_t m = 1; m <= 13; m++) {
        for (size_t n = 64; n <= 320; n += 64) {
            check_problem(ctx, &(struct problem){.m = m,
                                                 .n = n,
                                                 .k = 70,
                                                 .segments = 1,
                                                 .w_min = -1,
                                                 .w_max = 1,
                                                 .x_max = 15,
                                                 .emit = BRIM_EMIT_ACC,
                                                 .seed = m});
        }
    }
    brim_ctx_free(ctx);
}

/* The example of lookup.h. */
static void worked_example(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const int32_t w[] = {1, -1, 0, 1};
    const uint8_t x[] = {3, 9, 5, 2};
    const struct brim_lookup_params params = {
        .w = w, .n = 1, .k = 4, .segments = 1, .x_max = 15, .epilogue = {.emit = BRIM_EMIT_ACC}};
    struct brim_lookup *lookup;
    int32_t y = 0;

    (void)state;
    ASSERT_OK(ctx, brim_lookup_create(ctx, &params, &lookup));
    void *scratch = must(brim_alloc(ctx, brim_lookup_scratch(lookup, 1), 1));
    brim_lookup_run(lookup, &(struct brim_gemm_rows){
                                .m = 1, .x = x, .x_stride = 4, .y = &y, .scratch = scratch});
    assert_int_equal(y, -4);
    brim_free(ctx, scratch);
    brim_lookup_free(ctx, lookup);
    brim_ctx_free(ctx);
}

/* Sixteen weights of 1 reach -128 with centred inputs -8..7, a byte's end; sixteen of -1 would reach
 * 128. With inputs at the ends, one product more in a tile would give another total. */
static void tiles_end_at_the_edge(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct problem p = {.m = 5, .n = 65, .k = 16, .segments = 1, .x_max = 15, .corners = true};

    (void)state;
    for (int32_t sign = -1; sign <= 1; sign += 2) {
        p.w_min = p.w_max = sign;
        for (int ends = 0; ends < 2; ends++) {
            struct data d = make_data(&p);

            memset(d.x, ends == 0 ? p.x_min : p.x_max, p.m * d.x_stride);
            for (size_t v = 0; v < brim_lookup_variant_count; v++) {
                if (on_this_cpu(brim_lookup_variants[v])) {
                    const double tile = run_variant(ctx, &p, &d, brim_lookup_variants[v]->name);

                    assert_true(brim_lookup_variants[v]->weights != 2 ||
                                tile == (sign == 1 ? 16 : 8)); /* 12 and 4 */
                }
            }
            free_data(&d);
        }
    }
    brim_ctx_free(ctx);
}

/* 8 weights of 1 and 8 of -1 in every 64: certified for 8 bits over tiles of 64. */
static void certified_tiles_are_used_whole(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct problem p = {.m = 7, .n = 130, .k = 768, .segments = 1, .x_max = 15, .corners = true};

    (void)state;
    struct data d = make_data(&p);
    for (size_t i = 0; i < p.n * p.k; i++) {
        const size_t place = i % 64 * 29 % 64; /* any order within 64 */

        d.w[i] = place < 8 ? 1 : place < 16 ? -1 : 0;
    }
    for (size_t v = 0; v < brim_lookup_variant_count; v++) {
        if (on_this_cpu(brim_lookup_variants[v])) {
            const double tile = run_variant(ctx, &p, &d, brim_lookup_variants[v]->name);

            assert_true(tile >= (brim_lookup_variants[v]->weights == 2 ? 64 : 30));
        }
    }
    free_data(&d);
    brim_ctx_free(ctx);
}

/* All weights and inputs at one end: 16 bits hold 4096 products. */
static void long_sums_leave_16_bits_in_time(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct problem p = {.m = 3, .n = 66, .k = 9001, .segments = 1, .x_max = 15, .corners = true};

    (void)state;
    for (int32_t w = -2; w <= 2; w++) {
        p.w_min = p.w_max = w;
        for (int ends = 0; ends < 2; ends++) {
            struct data d = make_data(&p);

            memset(d.x, ends == 0 ? p.x_min : p.x_max, p.m * d.x_stride);
            for (size_t v = 0; v < brim_lookup_variant_count; v++) {
                if (on_this_cpu(brim_lookup_variants[v])) {
                    (void)run_variant(ctx, &p, &d, brim_lookup_variants[v]->name);
                }
            }
            free_data(&d);
        }
    }
    brim_ctx_free(ctx);
}

static void says_what_it_refuses(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const struct problem p = {
        .m = 1, .n = 2, .k = 8, .segments = 1, .w_min = -1, .w_max = 1, .x_max = 15};
    struct data d = make_data(&p);
    struct brim_lookup_params params = make_params(&p, &d, NULL);
    struct brim_lookup *lookup;

    (void)state;
    params.variant = "abacus";
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "abacus", brim_lookup_create(ctx, &params, &lookup));
    assert_null(lookup);
    params.variant = NULL;
    params.segments = 3;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "3 segments", brim_lookup_create(ctx, &params, &lookup));
    params.segments = 1;
    params.x_max = 256;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "0..256", brim_lookup_create(ctx, &params, &lookup));
    for (size_t i = 0; i < 16; i++) {
        d.w[i] = 1;
    }
    params.x_max = 255; /* one product of 255 does not fit */
    params.variant = "scalar";
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED, "two lookups of channels 0..1",
                 brim_lookup_create(ctx, &params, &lookup));
    params.x_max = 33; /* 4 of them fit, which is no gain */
    ASSERT_OK(ctx, brim_lookup_create(ctx, &params, &lookup));
    brim_lookup_free(ctx, lookup);
    params.variant = NULL;
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED, "products fit 8 bits",
                 brim_lookup_create(ctx, &params, &lookup));
    params.x_max = 15;
    d.w[3] = 2;
    d.w[9] = -2;
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED, "weights -2..2",
                 brim_lookup_create(ctx, &params, &lookup));
    d.w[3] = d.w[9] = 1;
    d.offset[1] = INT32_MAX - 8 * 15 + 1;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "channel 1", brim_lookup_create(ctx, &params, &lookup));
    free_data(&d);
    brim_ctx_free(ctx);
}

/* A lookup of `n` outputs under a level of the CPU: 8 weights of 1 and 8 of -1 in every 64. */
static bool pays(const char *level, size_t m, size_t n, size_t k)
{
    brim_ctx_params ctx_params;
    brim_ctx *ctx;
    struct brim_lookup *lookup;
    int32_t *w = must(calloc(n * k, sizeof *w));

    brim_ctx_params_init(&ctx_params);
    ctx_params.cpu = level;
    assert_int_equal(brim_ctx_create(&ctx_params, &ctx), BRIM_OK);
    for (size_t i = 0; i < n * k; i++) {
        w[i] = i % 8 == 0 ? 1 : i % 8 == 1 ? -1 : 0;
    }
    ASSERT_OK(ctx,
              brim_lookup_create(ctx,
                                 &(struct brim_lookup_params){.w = w,
                                                              .n = n,
                                                              .k = k,
                                                              .segments = 1,
                                                              .x_max = 15,
                                                              .epilogue = {.emit = BRIM_EMIT_ACC}},
                                 &lookup));
    const bool answer = brim_lookup_pays(lookup, m);
    brim_lookup_free(ctx, lookup);
    brim_ctx_free(ctx);
    free(w);
    return answer;
}

static void knows_when_it_pays(void **state)
{
    (void)state;
    assert_false(pays("scalar", 128, 768, 768));
    if ((brim_cpu_detect() & BRIM_ISA_AVX2) != 0) {
        assert_true(pays("avx2", 1, 768, 768));
        assert_true(pays("avx2", 128, 768, 768));
        assert_true(pays("avx2", 784, 128, 1152));
        assert_false(pays("avx2", 784, 16, 144)); /* 48 of 64 lanes idle */
    }
    if ((brim_cpu_detect() & BRIM_ISA_AMX) != 0) {
        assert_false(pays(NULL, 128, 768, 768));
        assert_true(pays(NULL, 1, 768, 768));
    }
}

static void chooses_by_cost(void **state)
{
#if defined(__x86_64__)
    const uint32_t avx512 = BRIM_ISA_AVX2 | BRIM_ISA_AVX512, vbmi = avx512 | BRIM_ISA_AVX512VBMI;

    assert_string_equal(brim_lookup_choose(0, 768, 3)->name, "scalar");
    assert_string_equal(brim_lookup_choose(BRIM_ISA_AVX2, 768, 3)->name, "avx2");
    assert_string_equal(brim_lookup_choose(avx512, 768, 3)->name, "avx512");
    assert_string_equal(brim_lookup_choose(vbmi, 768, 3)->name, "avx512vbmi");
    assert_string_equal(brim_lookup_choose(vbmi, 64, 3)->name, "avx512"); /* tables cost more */
    assert_string_equal(brim_lookup_choose(vbmi, 768, 2)->name, "avx512");
#endif
    (void)state;
}

/* Weights of 1: 8 lookups of 2 fit 8 bits, of 3 only 4, which leaves 11 products a tile of 64. */
static void falls_back_to_tables_of_two(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const struct problem p = {
        .m = 2, .n = 768, .k = 64, .segments = 1, .w_min = 1, .w_max = 1, .x_max = 15};
    struct data d = make_data(&p);

    (void)state;
    assert_true(run_variant(ctx, &p, &d, NULL) == 16);
    assert_string_equal(brim_error(ctx), "");
    free_data(&d);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example),
        cmocka_unit_test(ragged_shapes_equal_the_loop),
        cmocka_unit_test(all_tiles_equal_the_loop),
        cmocka_unit_test(tiles_end_at_the_edge),
        cmocka_unit_test(certified_tiles_are_used_whole),
        cmocka_unit_test(long_sums_leave_16_bits_in_time),
        cmocka_unit_test(says_what_it_refuses),
        cmocka_unit_test(knows_when_it_pays),
        cmocka_unit_test(chooses_by_cost),
        cmocka_unit_test(falls_back_to_tables_of_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
