/* test_gemm.c - every variant of gemm and of the epilogues against loops written here.
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/cpu.h"
#include "base/rng.h"
#include "kernels/gemm.h"
#include "kernels/gemm_pack.h"

#include <math.h>
#include <stdlib.h>

struct problem {
    size_t m, n, k, segments;
    int32_t x_min, x_max;
    bool x_signed, scattered, slack, offsets;
    enum brim_emit emit;
    enum brim_gemm_need need; /* what the weights allow */
    uint64_t seed;
};

struct data {
    int32_t *w, *offset;
    float *multiplier, *bias;
    uint8_t *x;
    size_t x_stride, x_bytes;
    size_t *segment;
    struct brim_epilogue epilogue;
};

/* Weights that allow `need` for bytes 0..255 and tiles of 64 k at least, the greatest there are. */
static int32_t weight_limit(enum brim_gemm_need need)
{
    return need == BRIM_GEMM_ANY ? 128 : need == BRIM_GEMM_PAIR ? 64 : 4;
}

static int32_t draw(struct brim_rng *rng, int32_t lo, int32_t hi)
{
    return lo + (int32_t)brim_rng_below(rng, (uint64_t)(hi - lo) + 1);
}

static void *must(void *p)
{
    assert_non_null(p);
    return p;
}

static struct data make_data(const struct problem *p)
{
    struct brim_rng rng;
    struct data d = {0};
    const size_t length = p->k / p->segments, gap = p->scattered ? 5 : 0;
    const int32_t limit = weight_limit(p->need), top = limit < 127 ? limit : 127;

    brim_rng_init(&rng, p->seed, 0);
    d.w = must(malloc(p->n * p->k * sizeof *d.w));
    for (size_t i = 0; i < p->n * p->k; i++) {
        d.w[i] = draw(&rng, -limit, top);
        if (draw(&rng, 0, 3) == 0) {
            d.w[i] = draw(&rng, 0, 1) != 0 ? top : -top;
        }
    }
    d.offset = must(malloc(p->n * sizeof *d.offset));
    d.multiplier = must(malloc(p->n * sizeof *d.multiplier));
    d.bias = must(malloc(p->n * sizeof *d.bias));
    for (size_t c = 0; c < p->n; c++) {
        d.offset[c] = draw(&rng, -100000, 100000);
        d.multiplier[c] = (float)draw(&rng, 1, 1000) / (float)(1000 * (p->k + 10));
        d.bias[c] = (float)draw(&rng, -1000, 1000) / 128.0f;
    }
    d.x_stride = p->k + gap * p->segments + 3;
    d.x_bytes = (p->m - 1) * d.x_stride + p->k + gap * (p->segments - 1) + (p->slack ? 3 : 0);
    d.x = must(malloc(d.x_bytes));
    for (size_t i = 0; i < d.x_bytes; i++) {
        d.x[i] = (uint8_t)draw(&rng, 0, 255); /* what is between segments is not a code */
    }
    d.segment = must(malloc(p->segments * sizeof *d.segment));
    for (size_t s = 0; s < p->segments; s++) {
        d.segment[s] = s * (length + gap);
        for (size_t i = 0; i < p->m; i++) {
            for (size_t j = 0; j < length; j++) {
                const int32_t code =
                    draw(&rng, 0, 3) == 0 ? p->x_max : draw(&rng, p->x_min, p->x_max);
                d.x[i * d.x_stride + d.segment[s] + j] = (uint8_t)code;
            }
        }
    }
    d.epilogue = (struct brim_epilogue){.emit = p->emit,
                                        .offset = p->offsets ? d.offset : NULL,
                                        .multiplier = d.multiplier,
                                        .bias = p->offsets ? d.bias : NULL,
                                        .lo = -128 - 3,
                                        .hi = 127 - 3,
                                        .zero = 3};
    return d;
}

static void free_data(struct data *d)
{
    free(d->w);
    free(d->offset);
    free(d->multiplier);
    free(d->bias);
    free(d->x);
    free(d->segment);
}

static int64_t naive(const struct problem *p, const struct data *d, size_t i, size_t c)
{
    const size_t length = p->k / p->segments;
    int64_t total = p->offsets ? d->offset[c] : 0;

    for (size_t j = 0; j < p->k; j++) {
        const uint8_t byte = d->x[i * d->x_stride + d->segment[j / length] + j % length];
        const int64_t x = p->x_signed ? (int8_t)byte : byte;

        total += x * d->w[c * p->k + j];
    }
    return total;
}

/* The bytes of one output, as epilogue.h says it. */
static void expected(const struct data *d, int64_t acc, size_t c, uint8_t *to)
{
    const struct brim_epilogue *e = &d->epilogue;
    const float y = (float)acc * e->multiplier[c];

    if (e->emit == BRIM_EMIT_ACC) {
        const int32_t v = (int32_t)acc;
        memcpy(to, &v, sizeof v);
    } else if (e->emit == BRIM_EMIT_FLOAT) {
        const float v = e->bias != NULL ? y + e->bias[c] : y;
        memcpy(to, &v, sizeof v);
    } else {
        *to = (uint8_t)(int)(rintf(fminf(fmaxf(y, e->lo), e->hi)) + (float)e->zero);
    }
}

static void check_output(const struct problem *p, const struct data *d, const uint8_t *y,
                         size_t y_stride, const char *name)
{
    const size_t size = p->emit == BRIM_EMIT_CODES ? 1 : 4;

    for (size_t i = 0; i < p->m; i++) {
        for (size_t c = 0; c < y_stride; c++) {
            const uint8_t *at = y + (i * y_stride + c) * size;
            uint8_t want[4] = {0xa5, 0xa5, 0xa5, 0xa5}; /* nobody's: untouched */

            if (c < p->n) {
                expected(d, naive(p, d, i, c), c, want);
            }
            if (memcmp(at, want, size) != 0) {
                fail_msg("%s: row %zu output %zu of %zux%zux%zu, %zu segments, x %d..%d, emit %d, "
                         "need %d, seed %llu: first byte %u, expected %u",
                         name, i, c, p->m, p->n, p->k, p->segments, (int)p->x_min, (int)p->x_max,
                         (int)p->emit, (int)p->need, (unsigned long long)p->seed, at[0], want[0]);
            }
        }
    }
}

/* Run one variant by name (NULL: the chosen ones) and check every byte. */
static void check_variant(brim_ctx *ctx, const struct problem *p, const struct data *d,
                          const char *name)
{
    const struct brim_gemm_params params = {.w = d->w,
                                            .n = p->n,
                                            .k = p->k,
                                            .segments = p->segments,
                                            .x_min = p->x_min,
                                            .x_max = p->x_max,
                                            .x_signed = p->x_signed,
                                            .epilogue = d->epilogue,
                                            .variant = name};
    const size_t size = p->emit == BRIM_EMIT_CODES ? 1 : 4, y_stride = p->n + 3;
    struct brim_gemm *g;

    ASSERT_OK(ctx, brim_gemm_create(ctx, &params, &g));
    uint8_t *y = must(malloc(p->m * y_stride * size));
    void *scratch = must(brim_alloc(ctx, brim_gemm_scratch(g, p->m), 1));
    memset(y, 0xa5, p->m * y_stride * size);
    const struct brim_gemm_rows rows = {.m = p->m,
                                        .x = d->x,
                                        .x_stride = d->x_stride,
                                        .segment = p->scattered ? d->segment : NULL,
                                        .slack = p->slack,
                                        .y = y,
                                        .y_stride = y_stride,
                                        .scratch = scratch};
    brim_gemm_run(g, &rows);
    check_output(p, d, y, y_stride, name != NULL ? name : brim_gemm_chosen(g, p->m)->name);
    brim_free(ctx, scratch);
    free(y);
    brim_gemm_free(ctx, g);
}

static void check_problem(brim_ctx *ctx, const struct problem *p)
{
    struct data d = make_data(p);

    for (size_t i = 0; i < brim_gemm_variant_count; i++) {
        const struct brim_gemm_variant *v = brim_gemm_variants[i];

        if ((v->isa & ~ctx->isa) == 0 && v->need <= p->need) {
            check_variant(ctx, p, &d, v->name);
        }
    }
    check_variant(ctx, p, &d, NULL);
    free_data(&d);
}

static void exact_over_ragged_shapes(void **state)
{
    static const size_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 31, 33, 100};
    static const size_t outputs[] = {1, 15, 16, 17, 32, 33, 48, 70};
    static const size_t lengths[] = {1, 3, 4, 64, 65, 130, 259, 576};
    brim_ctx *ctx = *state;
    uint64_t seed = 1;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t j = 0; j < sizeof outputs / sizeof *outputs; j++) {
            const struct problem p = {.m = rows[i],
                                      .n = outputs[j],
                                      .k = lengths[(i + 3 * j) % 8],
                                      .segments = 1,
                                      .x_max = 255,
                                      .slack = (i + j) % 3 == 0,
                                      .offsets = (i + j) % 2 == 0,
                                      .emit = (enum brim_emit)((i + 2 * j) % 3),
                                      .need = (enum brim_gemm_need)((i + j) % 3),
                                      .seed = seed++};
            check_problem(ctx, &p);
        }
    }
}

static void exact_over_long_reductions(void **state)
{
    static const size_t lengths[] = {2304, 2308, 3072, 4096, 4101};
    brim_ctx *ctx = *state;

    for (size_t i = 0; i < 5; i++) {
        for (unsigned emit = 0; emit < 3; emit++) {
            const struct problem p = {.m = 17 + 300 * (i == 2),
                                      .n = 40,
                                      .k = lengths[i],
                                      .segments = 1,
                                      .x_max = 255,
                                      .offsets = i % 2 == 0,
                                      .emit = (enum brim_emit)emit,
                                      .need = BRIM_GEMM_LANE,
                                      .seed = 100 + i};
            check_problem(ctx, &p);
        }
    }
}

static void exact_over_segments(void **state)
{
    static const size_t lengths[] = {1, 3, 9, 48, 64, 192};
    brim_ctx *ctx = *state;

    for (size_t i = 0; i < 6; i++) {
        for (unsigned variant = 0; variant < 8; variant++) {
            const struct problem p = {.m = 25,
                                      .n = 33,
                                      .k = 3 * lengths[i],
                                      .segments = 3,
                                      .x_max = 255,
                                      .scattered = variant & 1,
                                      .slack = variant & 2,
                                      .offsets = true,
                                      .emit = BRIM_EMIT_CODES,
                                      .need = variant & 4 ? BRIM_GEMM_LANE : BRIM_GEMM_ANY,
                                      .seed = 200 + i};
            check_problem(ctx, &p);
        }
    }
}

static void exact_for_signed_and_narrow_codes(void **state)
{
    static const int32_t ranges[][2] = {{-128, 127}, {-8, 7}, {0, 127}, {3, 90}, {-128, -128}};
    brim_ctx *ctx = *state;

    for (size_t i = 0; i < 5; i++) {
        for (unsigned offsets = 0; offsets < 2; offsets++) {
            const struct problem p = {.m = 29,
                                      .n = 34,
                                      .k = 150,
                                      .segments = 2,
                                      .x_min = ranges[i][0],
                                      .x_max = ranges[i][1],
                                      .x_signed = true,
                                      .scattered = true,
                                      .offsets = offsets,
                                      .emit = BRIM_EMIT_ACC,
                                      .need = BRIM_GEMM_LANE,
                                      .seed = 300 + i};
            check_problem(ctx, &p);
        }
    }
}

/* ---- what is proved ---- */

static struct brim_gemm_proof proof_of(brim_ctx *ctx, const int32_t *w, size_t k, int32_t x_min,
                                       int32_t x_max)
{
    struct brim_gemm_packed packed = {0};
    const struct brim_gemm_params params = {.w = w,
                                            .n = 1,
                                            .k = k,
                                            .segments = 1,
                                            .x_min = x_min,
                                            .x_max = x_max,
                                            .x_signed = x_min < 0,
                                            .epilogue = {.emit = BRIM_EMIT_ACC}};

    ASSERT_OK(ctx, brim_gemm_pack(ctx, &params, &packed));
    const struct brim_gemm_proof proof = packed.proof[0];
    brim_gemm_packed_free(ctx, &packed);
    return proof;
}

/* 32767 = 255 * 128 + 127: a lane's positive weights may sum to 128, its negative ones to -128. */
static void proofs_are_exact(void **state)
{
    brim_ctx *ctx = *state;
    int32_t w[512] = {100, 28}; /* a pair at the edge */

    assert_int_equal(proof_of(ctx, w, 512, 0, 255).tiles, 0xf);
    w[1] = 29;
    assert_false(proof_of(ctx, w, 512, 0, 255).pair);
    assert_int_equal(proof_of(ctx, w, 512, 0, 255).tiles, 0);
    w[1] = -29; /* of opposite signs: no sum beyond 100 * 255 */
    assert_int_equal(proof_of(ctx, w, 512, 0, 255).tiles, 0xf);
    w[1] = 28;
    w[2] = 100; /* the other lane */
    assert_int_equal(proof_of(ctx, w, 512, 0, 255).tiles, 0xf);
    w[260] = 1; /* the first lane again, in the second tile of 256 */
    assert_int_equal(proof_of(ctx, w, 512, 0, 255).tiles, 0xe);
    w[260] = 0;
    w[132] = 1;
    assert_int_equal(proof_of(ctx, w, 512, 0, 255).tiles, 0xc);
    w[132] = 0;
    w[68] = 1;
    assert_int_equal(proof_of(ctx, w, 512, 0, 255).tiles, 0x8);
    w[68] = 0;
    w[4] = 1;
    assert_true(proof_of(ctx, w, 512, 0, 255).pair);
    assert_int_equal(proof_of(ctx, w, 512, 0, 255).tiles, 0);
    w[4] = 0;
    w[4] = -1; /* another sign goes the other way */
    assert_int_equal(proof_of(ctx, w, 512, 0, 255).tiles, 0xf);
}

/* Bytes 100..101: a sum over 128 k cancels what its halves do not. */
static void longer_tiles_may_fit_where_shorter_do_not(void **state)
{
    brim_ctx *ctx = *state;
    int32_t w[128];

    for (size_t i = 0; i < 128; i++) {
        w[i] = i < 64 ? 20 : -20;
    }
    assert_int_equal(proof_of(ctx, w, 128, 100, 101).tiles, 0x7);
}

/* Panels whose proofs differ run on different variants, side by side. */
static void panels_choose_for_themselves(void **state)
{
    brim_ctx *ctx = *state;
    const struct problem p = {.m = 50,
                              .n = 96,
                              .k = 512,
                              .segments = 1,
                              .x_max = 255,
                              .emit = BRIM_EMIT_ACC,
                              .need = BRIM_GEMM_ANY,
                              .seed = 7};
    struct data d = make_data(&p);

    for (size_t i = 0; i < p.n * p.k; i++) {
        static const int32_t divisor[6] = {1, 2, 100, 100, 32, 100};
        d.w[i] /= divisor[i / p.k / 16];
    }
    check_variant(ctx, &p, &d, NULL);
    free_data(&d);
}

/* ---- refusals ---- */

static void refuses_what_it_cannot_do(void **state)
{
    brim_ctx *ctx = *state;
    static int32_t w[70000];
    const struct brim_gemm_params good = {.w = w,
                                          .n = 1,
                                          .k = 70000,
                                          .segments = 1,
                                          .x_max = 255,
                                          .epilogue = {.emit = BRIM_EMIT_ACC}};
    struct brim_gemm_params bad = good;
    struct brim_gemm *g;

    w[5] = 128;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "weight code 128", brim_gemm_create(ctx, &bad, &g));
    for (size_t i = 0; i < 70000; i++) {
        w[i] = 127;
    }
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "2^31", brim_gemm_create(ctx, &bad, &g));
    const int32_t offset = INT32_MIN + 1;
    bad.epilogue.offset = &offset; /* 0..2266950000 from there on fits */
    ASSERT_OK(ctx, brim_gemm_create(ctx, &bad, &g));
    brim_gemm_free(ctx, g);
    bad = good;
    bad.x_max = 256;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "input codes 0..256", brim_gemm_create(ctx, &bad, &g));
    bad = good;
    bad.segments = 3;
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "whole segments", brim_gemm_create(ctx, &bad, &g));
    bad = good;
    bad.k = 100;
    bad.variant = "avx9";
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "no gemm variant is named avx9",
                 brim_gemm_create(ctx, &bad, &g));
    for (size_t i = 0; i < brim_gemm_variant_count; i++) {
        const struct brim_gemm_variant *v = brim_gemm_variants[i];
        const uint32_t isa = ctx->isa;

        bad.variant = v->name;
        if ((v->isa & ~isa) == 0 && v->need > BRIM_GEMM_ANY) { /* 2 * 127 * 255 > 32767 */
            ASSERT_FAILS(ctx, BRIM_ERR_ARG, "may overflow", brim_gemm_create(ctx, &bad, &g));
        }
        ctx->isa = 0;
        if (v->isa != 0) {
            ASSERT_FAILS(ctx, BRIM_ERR_ARG, "not on this processor",
                         brim_gemm_create(ctx, &bad, &g));
        }
        ctx->isa = isa;
    }
}

/* ---- epilogues ---- */

/* Halves, huge and infinite products, and what is not a number. */
static void epilogues_equal_the_reference(void **state)
{
    enum { ROWS = 5, N = 61, STRIDE = 64 };
    const size_t totals = (size_t)ROWS * STRIDE;
    static const float multipliers[] = {0.5f,     0.25f,     1.0f, 1.5f,      0x1p-20f, 0x1p100f,
                                        INFINITY, -INFINITY, NAN,  0x1p-149f, -0.5f};
    brim_ctx *ctx = *state;
    int32_t total[ROWS * STRIDE], offset[N];
    float multiplier[N], bias[N];
    struct brim_rng rng;

    brim_rng_init(&rng, 5, 0);
    for (size_t i = 0; i < totals; i++) {
        total[i] = draw(&rng, 0, 9) == 0 ? draw(&rng, INT32_MIN / 2, INT32_MAX / 2)
                                         : draw(&rng, -300, 300);
    }
    for (size_t c = 0; c < N; c++) {
        offset[c] = draw(&rng, -5, 5);
        multiplier[c] = multipliers[c % 11];
        bias[c] = (float)draw(&rng, -9, 9);
    }
    for (size_t v = 1; v < brim_epilogue_variant_count; v++) {
        if ((brim_epilogue_variants[v].isa & ~ctx->isa) != 0) {
            continue;
        }
        for (unsigned kind = 0; kind < 12; kind++) {
            const struct brim_epilogue e = {.emit = (enum brim_emit)(kind % 3),
                                            .offset = kind & 4 ? offset : NULL,
                                            .multiplier = multiplier,
                                            .bias = kind & 4 ? bias : NULL,
                                            .lo = kind < 6 ? -131 : -3,
                                            .hi = kind < 6 ? 124 : 252,
                                            .zero = 3};

            for (size_t columns = 1; columns <= N; columns++) {
                static uint8_t a[ROWS * STRIDE * 4], b[ROWS * STRIDE * 4];
                struct brim_epilogue_block block = {.total = total,
                                                    .stride = STRIDE,
                                                    .rows = ROWS,
                                                    .columns = columns,
                                                    .first = N - columns,
                                                    .y = a,
                                                    .y_stride = STRIDE};

                memset(a, 7, sizeof a);
                memset(b, 7, sizeof b);
                brim_epilogue_scalar(&e, &block);
                block.y = b;
                brim_epilogue_variants[v].run(&e, &block);
                for (size_t i = 0; i < sizeof a; i++) {
                    /* a NaN's bytes are the machine's affair */
                    const bool nan =
                        e.emit == BRIM_EMIT_FLOAT && isnan(((float *)(void *)a)[i / 4]);
                    if (nan ? !isnan(((float *)(void *)b)[i / 4]) : a[i] != b[i]) {
                        fail_msg("%s: emit %d, %zu columns, byte %zu: %u, expected %u",
                                 brim_epilogue_variants[v].name, (int)e.emit, columns, i, b[i],
                                 a[i]);
                    }
                }
            }
        }
    }
}

static int setup(void **state)
{
    *state = testing_ctx(1);
    return 0;
}

static int teardown(void **state)
{
    brim_ctx_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_over_ragged_shapes),
        cmocka_unit_test(exact_over_long_reductions),
        cmocka_unit_test(exact_over_segments),
        cmocka_unit_test(exact_for_signed_and_narrow_codes),
        cmocka_unit_test(proofs_are_exact),
        cmocka_unit_test(longer_tiles_may_fit_where_shorter_do_not),
        cmocka_unit_test(panels_choose_for_themselves),
        cmocka_unit_test(refuses_what_it_cannot_do),
        cmocka_unit_test(epilogues_equal_the_reference),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
