/* test_dot_vectors.c - vectors with scales of their own: every path equals the reference, values and
 * counts. SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/intops.h"
#include "base/rng.h"
#include "kernels/dot_plan.h"

enum kind { FACTORS, ROWS, REALS }; /* integers of the weights; of the rows as well; floats */

struct layer {
    enum kind kind;
    size_t n, k, groups, m, vector;
    int64_t w_max, x_min, x_max;
    uint32_t w_top, x_top; /* greatest scales */
    unsigned shift;
    const char *datapath;
};

struct problem {
    const struct layer *l;
    brim_datapath dp;
    size_t vectors;
    int32_t *w, *x;   /* [n][k], [m][groups][k] */
    uint16_t *w_code; /* [n][vectors] */
    uint16_t *x_code; /* [m][groups][vectors], one more between rows */
    uint32_t *factor;
    float *scale;
    int64_t *y; /* [m][n] */
    double *real;
    struct brim_dot_counts counts;
};

static void make_problem(brim_ctx *ctx, struct brim_rng *rng, const struct layer *l,
                         struct problem *p)
{
    ASSERT_OK(ctx, brim_datapath_parse(ctx, l->datapath, &p->dp));
    p->l = l;
    p->vectors = (l->k + l->vector - 1) / l->vector;
    const size_t scales = l->n * p->vectors, rows = l->m * l->groups;
    p->w = brim_alloc(ctx, l->n * l->k + 1, sizeof *p->w);
    p->x = brim_alloc(ctx, rows * l->k + 1, sizeof *p->x);
    p->w_code = brim_alloc(ctx, scales + 1, sizeof *p->w_code);
    p->x_code = brim_alloc(ctx, rows * (p->vectors + 1) + 1, sizeof *p->x_code);
    p->factor = brim_alloc(ctx, scales + 1, sizeof *p->factor);
    p->scale = brim_alloc(ctx, scales + 1, sizeof *p->scale);
    p->y = brim_alloc(ctx, l->m * l->n + 1, sizeof *p->y);
    p->real = brim_alloc(ctx, l->m * l->n + 1, sizeof *p->real);
    for (size_t i = 0; i < l->n * l->k; i++) {
        p->w[i] = (int32_t)brim_rng_range(rng, -l->w_max, l->w_max);
    }
    for (size_t i = 0; i < rows * l->k; i++) {
        p->x[i] = (int32_t)brim_rng_range(rng, l->x_min, l->x_max);
    }
    for (size_t i = 0; i < scales; i++) {
        p->w_code[i] = (uint16_t)brim_rng_below(rng, l->w_top + 1);
        p->scale[i] = (float)brim_rng_below(rng, 1000) / 7.0f;
        p->factor[i] =
            brim_scale_product(p->w_code[i], l->kind == ROWS ? l->x_top : 1, 32, 32 - l->shift);
    }
    for (size_t i = 0; i < rows * (p->vectors + 1); i++) {
        p->x_code[i] = (uint16_t)brim_rng_below(rng, l->x_top + 1);
    }
}

static void free_problem(brim_ctx *ctx, struct problem *p)
{
    void *const all[] = {p->w, p->x, p->w_code, p->x_code, p->factor, p->scale, p->y, p->real};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        brim_free(ctx, all[i]);
    }
}

static void *codes_of(brim_ctx *ctx, const struct problem *p, bool bytes)
{
    const size_t n = p->l->m * p->l->groups * p->l->k;
    uint8_t *x = bytes ? brim_alloc(ctx, n + 1, 1) : NULL;

    for (size_t i = 0; bytes && i < n; i++) {
        x[i] = (uint8_t)p->x[i];
    }
    return x;
}

static void run_kernel(brim_ctx *ctx, struct problem *p, bool count, bool bytes)
{
    const struct layer *l = p->l;
    const struct brim_dot_kernel_params params = {
        .w = p->w,
        .n = l->n,
        .k = l->k,
        .groups = l->groups,
        .x_min = l->x_min,
        .x_max = l->x_max,
        .datapath = &p->dp,
        .vectors = {.length = l->vector,
                    .factor = l->kind == REALS ? NULL : p->factor,
                    .w_code = l->kind == ROWS ? p->w_code : NULL,
                    .shift = l->kind == ROWS ? l->shift : 0,
                    .scale = l->kind == REALS ? p->scale : NULL},
        .count = count};
    struct brim_dot_kernel *kernel;

    ASSERT_OK(ctx, brim_dot_kernel_create(ctx, &params, &kernel));
    void *scratch = brim_alloc(ctx, brim_dot_kernel_scratch(kernel) + 1, 1);
    uint8_t *narrow = codes_of(ctx, p, bytes);
    for (size_t g = 0; g < l->groups; g++) {
        const size_t first = g * l->n / l->groups;
        const struct brim_dot_rows rows = {
            .group = g,
            .m = l->m,
            .x = bytes ? (const void *)(narrow + g * l->k) : (const void *)(p->x + g * l->k),
            .codes = !bytes         ? BRIM_DOT_INT32
                     : l->x_min < 0 ? BRIM_DOT_INT8
                                    : BRIM_DOT_UINT8,
            .x_stride = l->groups * l->k,
            .y = l->kind == REALS ? NULL : p->y + first,
            .real = l->kind == REALS ? p->real + first : NULL,
            .y_stride = l->n,
            .x_code = l->kind == ROWS ? p->x_code + g * (p->vectors + 1) : NULL,
            .x_code_stride = l->groups * (p->vectors + 1),
            .counts = &p->counts,
            .scratch = scratch};

        brim_dot_kernel_run(kernel, &rows);
    }
    brim_free(ctx, narrow);
    brim_free(ctx, scratch);
    brim_dot_kernel_free(ctx, kernel);
}

/* Vector by vector on the registers up to the vectors': the sum in double, and what went on. */
static double add_reals(const struct problem *p, size_t c, const int32_t *x, int64_t *lists,
                        brim_events *all)
{
    const struct layer *l = p->l;
    brim_datapath dp = p->dp;
    double sum = 0.0;
    size_t last = 0;

    while (dp.stage[last].tile != l->vector) {
        last++;
    }
    dp.stage[last + 1] = (brim_stage){.width = 64};
    dp.n_stages = last + 2;
    *all = (brim_events){.min_width = 2};
    for (size_t at = 0, g = 0; at < l->k; at += l->vector, g++) {
        brim_events ev;
        const int64_t v = brim_datapath_dot(&dp, p->w + c * l->k + at, x + at,
                                            brim_min_size(l->vector, l->k - at), lists, &ev);
        sum += (double)p->scale[c * p->vectors + g] * (double)v;
        all->transient |= ev.transient;
        all->persistent |= ev.persistent;
        all->product |= ev.product;
        all->min_width = ev.min_width > all->min_width ? ev.min_width : all->min_width;
    }
    all->transient &= !all->persistent;
    return sum;
}

static void check_values(brim_ctx *ctx, const struct problem *p, struct brim_dot_counts *want)
{
    const struct layer *l = p->l;
    int64_t *lists = brim_alloc(ctx, 2 * l->k + 1, sizeof *lists);
    uint32_t *factor = brim_alloc(ctx, p->vectors + 1, sizeof *factor);

    for (size_t i = 0; i < l->m * l->n; i++) {
        const size_t row = i / l->n, c = i % l->n, in = row * l->groups + c / (l->n / l->groups);
        const int32_t *x = p->x + in * l->k;
        brim_events ev;

        for (size_t g = 0; g < p->vectors; g++) {
            factor[g] = brim_scale_product(
                p->w_code[c * p->vectors + g],
                l->kind == ROWS ? p->x_code[in * (p->vectors + 1) + g] : 1, 32, 32 - l->shift);
        }
        if (l->kind == REALS) {
            assert_true(add_reals(p, c, x, lists, &ev) == p->real[i]);
        } else {
            const brim_factors f = {l->vector, factor};
            const int64_t y =
                brim_datapath_dot_scaled(&p->dp, &f, p->w + c * l->k, x, l->k, lists, &ev);
            if (y != p->y[i]) {
                fail_msg("%s kind %d n=%zu k=%zu m=%zu v=%zu: output %zu is %lld, expected %lld",
                         l->datapath, (int)l->kind, l->n, l->k, l->m, l->vector, i,
                         (long long)p->y[i], (long long)y);
            }
        }
        const struct brim_dot_counts one = {1, ev.transient, ev.persistent, ev.product,
                                            ev.min_width};
        brim_dot_counts_add(want, &one);
    }
    brim_free(ctx, lists);
    brim_free(ctx, factor);
}

static void check_layer(brim_ctx *ctx, struct brim_rng *rng, const struct layer *l,
                        struct brim_dot_counts *all)
{
    const bool byte = (l->x_min >= 0 && l->x_max <= 255) || (l->x_min >= -128 && l->x_max <= 127);
    struct problem p = {0};

    make_problem(ctx, rng, l, &p);
    for (int form = 0; form < (byte ? 4 : 2); form++) {
        struct brim_dot_counts want = {0};

        p.counts = (struct brim_dot_counts){0};
        memset(p.y, 0x55, l->m * l->n * sizeof *p.y);
        memset(p.real, 0x55, l->m * l->n * sizeof *p.real);
        run_kernel(ctx, &p, form % 2 == 1, form / 2 == 1);
        check_values(ctx, &p, &want);
        assert_true(form % 2 == 1 || p.counts.outputs == 0);
        if (form % 2 == 1) {
            assert_memory_equal(&p.counts, &want, sizeof want);
            brim_dot_counts_add(all, &want);
        }
    }
    free_problem(ctx, &p);
}

/* Up to two stages within a vector, its own, and up to two behind. */
static void random_datapath(struct brim_rng *rng, size_t vector, char text[BRIM_DATAPATH_TEXT])
{
    static const char *const mode[] = {"", "", "", "s", "q", "g", "q1", "p"};
    const int64_t middle = brim_rng_range(rng, 5, 24);
    const size_t inner = vector % 2 == 0 ? (size_t)brim_rng_below(rng, 2) : 0;
    const size_t outer = 1 + (size_t)brim_rng_below(rng, 2);
    int at = 0;

    for (size_t i = 0; i < inner + 1 + outer; i++) {
        const bool last = i == inner + outer;
        const int64_t width =
            brim_clip_i64(middle + (int64_t)i * 3 + brim_rng_range(rng, -3, 3), 2, 64);
        at += snprintf(text + at, BRIM_DATAPATH_TEXT - (size_t)at, "%s%d", i > 0 ? "," : "",
                       (int)width);
        if (!last) {
            const size_t tile = i < inner ? vector / 2 : i == inner ? vector : 3 * vector;
            at += snprintf(text + at, BRIM_DATAPATH_TEXT - (size_t)at, "/%zu", tile);
        }
        at += snprintf(text + at, BRIM_DATAPATH_TEXT - (size_t)at, "%s",
                       mode[brim_rng_below(rng, last ? 7 : 8)]);
    }
}

static void equals_the_reference_anywhere(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_dot_counts counts = {0};
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 41, 0);
    for (int round = 0; round < 450; round++) {
        char text[BRIM_DATAPATH_TEXT];
        const int64_t x_top = INT64_C(1) << brim_rng_below(&rng, 10);
        struct layer l = {.kind = (enum kind)(round % 3),
                          .groups = 1 + (size_t)brim_rng_below(&rng, 2),
                          .k = (size_t)brim_rng_below(&rng, 60),
                          .m = (size_t)brim_rng_below(&rng, 40),
                          .vector = 1 + (size_t)brim_rng_below(&rng, 20),
                          .w_max = (INT64_C(1) << brim_rng_below(&rng, 9)) - 1,
                          .x_min = round % 2 == 0 ? 0 : -x_top,
                          .x_max = x_top - 1,
                          .w_top = (1U << brim_rng_below(&rng, 11)) - 1,
                          .x_top = (1U << brim_rng_below(&rng, 11)) - 1,
                          .datapath = text};

        l.shift = l.kind == ROWS ? (unsigned)brim_rng_below(&rng, 6) : 0;
        l.n = l.groups * (1 + (size_t)brim_rng_below(&rng, 40));
        random_datapath(&rng, l.vector, text);
        check_layer(ctx, &rng, &l, &counts);
    }
    assert_true(counts.transient > 0 && counts.persistent > 0 && counts.product > 0);
    brim_ctx_free(ctx);
}

/* Layers as they occur: registers that hold everything, the last one cut or not, and too narrow ones. */
static void equals_the_reference_on_real_shapes(void **state)
{
    static const char *const text[] = {"16/16,40", "16/16,20",     "16/16,20s", "12/16s,24",
                                       "9/16,16",  "8/4,16/16,32", "32/16,64"};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_dot_counts counts = {0};
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 42, 0);
    for (size_t t = 0; t < sizeof text / sizeof *text; t++) {
        for (int kind = FACTORS; kind <= REALS; kind++) {
            struct layer l = {.kind = (enum kind)kind,
                              .n = 16,
                              .k = 144,
                              .groups = 1,
                              .m = 70,
                              .vector = 16,
                              .w_max = 7,
                              .x_max = 255,
                              .w_top = 63,
                              .x_top = 63,
                              .shift = kind == ROWS ? 4 : 0,
                              .datapath = text[t]};

            check_layer(ctx, &rng, &l, &counts);
            l.k = 250; /* the last vector is short */
            l.n = 40;
            l.m = 90;
            l.x_min = -127;
            l.x_max = 127;
            check_layer(ctx, &rng, &l, &counts);
        }
    }
    brim_ctx_free(ctx);
}

static enum brim_dot_path path_of(brim_ctx *ctx, const char *datapath, unsigned factor, bool count)
{
    const uint32_t factors[16] = {factor, factor};
    const int32_t w[8 * 32] = {127, 127, 0, 127};
    const struct brim_dot_kernel_params p = {.w = w,
                                             .n = 8,
                                             .k = 32,
                                             .groups = 1,
                                             .x_max = 255,
                                             .vectors = {.length = 16, .factor = factors},
                                             .count = count};
    struct brim_dot_plan plan;
    brim_datapath dp;

    ASSERT_OK(ctx, brim_datapath_parse(ctx, datapath, &dp));
    ASSERT_OK(ctx, brim_dot_plan_make(ctx, &p, &dp, &plan, NULL));
    return plan.path;
}

static void chooses_the_fast_path(void **state)
{
    brim_ctx *ctx = testing_ctx(1);

    (void)state;
    assert_int_equal(path_of(ctx, "18/16,32", 15, false), BRIM_DOT_VECTORS);
    assert_int_equal(path_of(ctx, "18/16,20", 15, false), BRIM_DOT_VECTORS); /* wraps at the end */
    assert_int_equal(path_of(ctx, "17/16,32", 15, false), BRIM_DOT_LANES32);
    assert_int_equal(path_of(ctx, "18/16,20s", 15, false), BRIM_DOT_LANES32);
    assert_int_equal(path_of(ctx, "18/16,32", 15, true), BRIM_DOT_LANES32);
    assert_int_equal(path_of(ctx, "18/16,64", 1 << 20, true), BRIM_DOT_LANES64);
    assert_int_equal(path_of(ctx, "18/16q1,32", 15, true), BRIM_DOT_LANES32); /* it cannot leave */
    assert_int_equal(path_of(ctx, "15/16q1,32", 15, true), BRIM_DOT_SCALAR);
    brim_ctx_free(ctx);
}

static void refuses_datapaths_without_the_vectors(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    const int32_t w[4] = {1, 2, 3, 4};
    const uint32_t factor[2] = {3, 5};
    brim_datapath dp;
    struct brim_dot_kernel *kernel;
    const struct brim_dot_kernel_params p = {.w = w,
                                             .n = 1,
                                             .k = 4,
                                             .groups = 1,
                                             .x_max = 255,
                                             .datapath = &dp,
                                             .vectors = {.length = 2, .factor = factor}};

    (void)state;
    ASSERT_OK(ctx, brim_datapath_parse(ctx, "16/4,32", &dp));
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "no stage but the last has tiles of 2 products",
                 brim_dot_kernel_create(ctx, &p, &kernel));
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_reference_anywhere),
        cmocka_unit_test(equals_the_reference_on_real_shapes),
        cmocka_unit_test(chooses_the_fast_path),
        cmocka_unit_test(refuses_datapaths_without_the_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
