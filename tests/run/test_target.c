/* test_target.c - layers run as a target's kernels do it, against the instruction itself where this
 * processor has it. SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/intops.h"
#include "base/rng.h"
#include "brim/onnx.h"
#include "check/onnx_builder.h"
#include "run/plan.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__, -1})
#define SCALAR    ((const int64_t[]){-1})
#define ROWS      3
#define MOST_K    40
#define MOST_N    5

/* ---- vpmaddubsw ---- */

#if defined(__x86_64__) && defined(__GNUC__)
#    include <immintrin.h>
/* Eight pairs of bytes, by the instruction. */
__attribute__((target("ssse3"))) static void add_pairs(const uint8_t *x, const int8_t *w,
                                                       int16_t *y)
{
    const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)x);
    const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)w);

    _mm_storeu_si128((__m128i *)(void *)y, _mm_maddubs_epi16(a, b));
}
static bool has_instruction(void)
{
    return __builtin_cpu_supports("ssse3");
}
#else
static void add_pairs(const uint8_t *x, const int8_t *w, int16_t *y)
{
    for (int i = 0; i < 8; i++) {
        const int32_t sum = x[2 * i] * w[2 * i] + x[2 * i + 1] * w[2 * i + 1];
        y[i] = (int16_t)brim_clip_i64(sum, INT16_MIN, INT16_MAX);
    }
}
static bool has_instruction(void)
{
    return true;
}
#endif

struct product {
    size_t k, n;
    uint8_t x[ROWS][MOST_K];
    int8_t w[MOST_K][MOST_N]; /* as the file has it */
    uint8_t x_zero;
    int8_t w_zero[MOST_N];
};

/* What a kernel does behind its sums of raw codes. */
static int32_t corrected(const struct product *p, size_t row, size_t c, int64_t sum)
{
    int64_t weights = 0, inputs = 0;

    for (size_t i = 0; i < p->k; i++) {
        weights += p->w[i][c];
        inputs += p->x[row][i];
    }
    return (int32_t)(sum - p->x_zero * weights - p->w_zero[c] * inputs +
                     (int64_t)p->k * p->x_zero * p->w_zero[c]);
}

/* onnxruntime's way: pairs of neighbours in 16 bits, which saturate; 32 bits. */
static int32_t by_maddubs(const struct product *p, size_t row, size_t c)
{
    uint8_t x[MOST_K + 16] = {0};
    int8_t w[MOST_K + 16] = {0};
    int16_t pair[8];
    int64_t sum = 0;

    for (size_t i = 0; i < p->k; i++) {
        x[i] = p->x[row][i];
        w[i] = p->w[i][c];
    }
    for (size_t i = 0; i < p->k; i += 16) {
        add_pairs(x + i, w + i, pair);
        for (size_t j = 0; j < 8; j++) {
            sum += pair[j];
        }
    }
    return corrected(p, row, c, sum);
}

/* smull, smlal: inputs 128 lower, products 8 apart in 16 bits, which wrap. */
static int32_t by_mlal(const struct product *p, size_t row, size_t c)
{
    int64_t sum = 0, weights = 0;

    for (size_t first = 0; first < p->k; first += 16) {
        for (size_t i = first; i < first + 8 && i < p->k; i++) {
            int32_t two = p->w[i][c] * (p->x[row][i] - 128);
            two += i + 8 < p->k ? p->w[i + 8][c] * (p->x[row][i + 8] - 128) : 0;
            sum += two > INT16_MAX ? two - 65536 : two; /* the least sum fits */
        }
    }
    for (size_t i = 0; i < p->k; i++) {
        weights += p->w[i][c];
    }
    return corrected(p, row, c, sum + 128 * weights);
}

/* ---- the layer ---- */

static void build(const struct product *p, struct ob *model)
{
    struct ob g = {0};
    int8_t w[MOST_K * MOST_N];

    for (size_t i = 0; i < p->k * p->n; i++) {
        w[i] = p->w[i / p->n][i % p->n];
    }
    model->n = 0;
    ob_text(&g, 2, "product");
    ob_constant(&g, "x_zero", 2, SCALAR, &p->x_zero, 1);
    ob_constant(&g, "w", 3, DIMS((int64_t)p->k, (int64_t)p->n), w, p->k * p->n);
    ob_constant(&g, "w_zero", 3, DIMS((int64_t)p->n), p->w_zero, p->n);
    ob_value(&g, 11, "x", 2, DIMS(ROWS, (int64_t)p->k));
    ob_value(&g, 12, "y", 6, DIMS(ROWS, (int64_t)p->n));
    ob_plain(&g, "layer", "MatMulInteger", "x,w,x_zero,w_zero", "y");
    ob_model(model, &g);
}

static void run(brim_ctx *ctx, const struct product *p, const brim_target *target, bool count,
                int32_t *y, struct brim_dot_counts *counts)
{
    const struct brim_plan_params params = {.target = target, .count = count};
    uint8_t codes[ROWS * MOST_K];
    struct ob model;
    brim_graph *g;
    struct brim_plan *plan;
    struct brim_workspace *ws;
    size_t n;

    build(p, &model);
    for (size_t i = 0; i < ROWS * p->k; i++) {
        codes[i] = p->x[i / p->k][i % p->k];
    }
    const struct brim_tensor x = {
        .type = {BRIM_UINT8, {2, {ROWS, (int64_t)p->k}}},
        .data = codes,
    };
    ASSERT_OK(ctx, brim_onnx_load_memory(ctx, model.data, model.n, &g));
    ASSERT_OK(ctx, brim_plan_create(ctx, g, &params, &plan));
    ASSERT_OK(ctx, brim_workspace_create(ctx, plan, &ws));
    ASSERT_OK(ctx, brim_plan_run(plan, ws, &x, 1));
    memcpy(y, brim_workspace_value(ws, g->outputs[0])->data, ROWS * p->n * sizeof *y);
    if (count) {
        *counts = brim_workspace_counts(ws, &n)[0];
    }
    brim_workspace_free(ws);
    brim_plan_free(plan);
    brim_graph_free(g);
}

static void random_product(struct brim_rng *r, struct product *p, bool extreme)
{
    p->k = 1 + (size_t)brim_rng_below(r, MOST_K);
    p->n = 1 + (size_t)brim_rng_below(r, MOST_N);
    p->x_zero = (uint8_t)brim_rng_below(r, 256);
    for (size_t i = 0; i < p->k; i++) {
        for (size_t c = 0; c < p->n; c++) {
            p->w[i][c] = (int8_t)(extreme ? -128 : (int)brim_rng_below(r, 256) - 128);
            p->w_zero[c] = (int8_t)((int)brim_rng_below(r, 5) - 2);
        }
        for (size_t row = 0; row < ROWS; row++) {
            p->x[row][i] = (uint8_t)(extreme ? brim_rng_below(r, 2) : brim_rng_below(r, 256));
        }
    }
}

typedef int32_t kernel_fn(const struct product *p, size_t row, size_t c);

static void compare(const char *name, kernel_fn *kernel, bool extreme)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *table;
    brim_target plain;
    const brim_target *t;
    struct brim_rng r;
    struct product p = {0};
    size_t wrong = 0;

    ASSERT_OK(ctx, brim_targets_load(ctx, NULL, &table));
    ASSERT_OK(ctx, brim_targets_find(ctx, table, name, &plain, &t));
    brim_rng_init(&r, 3, 0);
    for (int round = 0; round < 100; round++) {
        int32_t y[ROWS * MOST_N], exact[ROWS * MOST_N];
        struct brim_dot_counts counts = {0};
        uint64_t differ = 0;
        random_product(&r, &p, extreme);
        run(ctx, &p, t, round % 2 == 1, y, &counts);
        run(ctx, &p, NULL, false, exact, NULL);
        for (size_t i = 0; i < ROWS * p.n; i++) {
            assert_int_equal(y[i], kernel(&p, i / p.n, i % p.n));
            differ += y[i] != exact[i];
        }
        wrong += differ;
        if (round % 2 == 1) {
            assert_int_equal(counts.outputs, ROWS * p.n);
            assert_true(counts.transient + counts.persistent >= differ);
            assert_true((differ == 0) == (counts.persistent == 0) || counts.persistent > 1);
        }
    }
    assert_true(wrong > 50); /* of about 900 */
    brim_targets_free(table);
    brim_ctx_free(ctx);
}

static void pairs_are_added_as_the_instruction_does(void **state)
{
    (void)state;
    if (!has_instruction()) {
        skip();
    }
    compare("x86-maddubs", by_maddubs, false);
}

static void products_apart_are_added_as_smlal_does(void **state)
{
    (void)state;
    compare("neon-mlal16", by_mlal, true);
}

static void what_a_target_cannot_do_is_refused(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_targets *table;
    brim_target plain;
    const brim_target *t;
    struct product p = {.k = 2, .n = 1};
    struct ob model;
    brim_graph *g;
    struct brim_plan *plan;

    (void)state;
    build(&p, &model);
    ASSERT_OK(ctx, brim_onnx_load_memory(ctx, model.data, model.n, &g));
    ASSERT_OK(ctx, brim_targets_load(ctx, NULL, &table));
    ASSERT_OK(ctx, brim_targets_find(ctx, table, "wasm-relaxed", &plain, &t));
    const struct brim_plan_params params = {.target = t};
    ASSERT_FAILS(ctx, BRIM_ERR_ARG,
                 "layer 'layer': inputs 0..255 and weights 0..0 do not fit the operands of target "
                 "'wasm-relaxed'",
                 brim_plan_create(ctx, g, &params, &plan));
    brim_targets_free(table);
    brim_graph_free(g);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_added_as_the_instruction_does),
        cmocka_unit_test(products_apart_are_added_as_smlal_does),
        cmocka_unit_test(what_a_target_cannot_do_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
