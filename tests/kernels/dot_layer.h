/* dot_layer.h - random dot layers, held against brim_datapath_dot(), values and counts.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_DOT_LAYER_H
#define BRIM_TESTS_DOT_LAYER_H

#include "testing.h"

#include "base/intops.h"
#include "base/rng.h"
#include "kernels/dot_plan.h"

struct layer {
    size_t n, k, groups, m;
    int64_t w_max, x_min, x_max;
    bool corners; /* inputs only at the ends of their range */
    bool climbs;  /* the first three fifths of the weights are positive, the rest negative */
    bool full;    /* inputs of the first half of the rows are x_max */
    const char *datapath;
};

struct problem {
    brim_datapath dp;
    int32_t *w, *x; /* [n][k], [m][groups][k] with a stride of one more */
    int64_t *y;     /* [m][n] */
    struct brim_dot_counts counts;
};

static void make_problem(brim_ctx *ctx, struct brim_rng *rng, const struct layer *l,
                         struct problem *p)
{
    ASSERT_OK(ctx, brim_datapath_parse(ctx, l->datapath, &p->dp));
    p->w = brim_alloc(ctx, l->n * l->k + 1, sizeof *p->w);
    p->x = brim_alloc(ctx, l->m * l->groups * (l->k + 1) + 1, sizeof *p->x);
    p->y = brim_alloc(ctx, l->m * l->n + 1, sizeof *p->y);
    for (size_t i = 0; i < l->n * l->k; i++) {
        const int32_t w = (int32_t)brim_rng_range(rng, -l->w_max, l->w_max - (l->w_max == 32768));
        const bool up = i % l->k < l->k * 3 / 5;

        p->w[i] = !l->climbs || (w >= 0) == up ? w : -w;
    }
    for (size_t i = 0; i < l->m * l->groups * (l->k + 1); i++) {
        p->x[i] = (int32_t)(!l->corners              ? brim_rng_range(rng, l->x_min, l->x_max)
                            : brim_rng_below(rng, 2) ? l->x_min
                                                     : l->x_max);
        if (l->full && i / (l->groups * (l->k + 1)) < l->m / 2) {
            p->x[i] = (int32_t)l->x_max;
        }
    }
}

static void free_problem(brim_ctx *ctx, struct problem *p)
{
    brim_free(ctx, p->w);
    brim_free(ctx, p->x);
    brim_free(ctx, p->y);
}

/* How inputs and results are handed over. */
enum form { WIDE, BYTES };

/* p->x as bytes, where the range is a byte's. */
static void *bytes_of(brim_ctx *ctx, const struct layer *l, const struct problem *p)
{
    const size_t n = l->m * l->groups * (l->k + 1);
    uint8_t *x = brim_alloc(ctx, n + 1, 1);

    for (size_t i = 0; i < n; i++) {
        x[i] = (uint8_t)p->x[i];
    }
    return x;
}

static bool takes(const struct layer *l, enum form form)
{
    const bool u8 = l->x_min >= 0 && l->x_max <= 255, s8 = l->x_min >= -128 && l->x_max <= 127;

    return form == WIDE || u8 || s8;
}

static void run_kernel(brim_ctx *ctx, const struct layer *l, struct problem *p, bool count,
                       enum form form)
{
    const enum brim_dot_codes byte = l->x_min < 0 ? BRIM_DOT_INT8 : BRIM_DOT_UINT8;
    const size_t size = form == BYTES ? 1 : sizeof *p->x, results = l->m * l->n;
    const struct brim_dot_kernel_params params = {.w = p->w,
                                                  .n = l->n,
                                                  .k = l->k,
                                                  .groups = l->groups,
                                                  .x_min = l->x_min,
                                                  .x_max = l->x_max,
                                                  .datapath = &p->dp,
                                                  .count = count};
    struct brim_dot_kernel *kernel;

    ASSERT_OK(ctx, brim_dot_kernel_create(ctx, &params, &kernel));
    void *scratch = brim_alloc(ctx, brim_dot_kernel_scratch(kernel) + 1, 1);
    int32_t *y32 = form == BYTES && brim_dot_kernel_fits32(kernel)
                       ? brim_alloc(ctx, results + 1, sizeof *y32)
                       : NULL;
    void *bytes = form == BYTES ? bytes_of(ctx, l, p) : NULL;
    const char *x = bytes != NULL ? bytes : (const void *)p->x;
    /* In two calls: what the first has counted may spare the second some work. */
    for (size_t i = 0; i < 2 * l->groups; i++) {
        const size_t g = i % l->groups, first = i < l->groups ? 0 : l->m / 2;
        const size_t y = first * l->n + g * (l->n / l->groups);
        const struct brim_dot_rows rows = {.group = g,
                                           .m = i < l->groups ? l->m / 2 : l->m - l->m / 2,
                                           .x = x + (first * l->groups + g) * (l->k + 1) * size,
                                           .codes = form == BYTES ? byte : BRIM_DOT_INT32,
                                           .x_stride = l->groups * (l->k + 1),
                                           .y = p->y + y,
                                           .y32 = y32 != NULL ? y32 + y : NULL,
                                           .y_stride = l->n,
                                           .counts = &p->counts,
                                           .scratch = scratch};

        brim_dot_kernel_run(kernel, &rows);
    }
    for (size_t i = 0; y32 != NULL && i < results; i++) {
        p->y[i] = y32[i];
    }
    brim_free(ctx, y32);
    brim_free(ctx, bytes);
    brim_free(ctx, scratch);
    brim_dot_kernel_free(ctx, kernel);
}

/* One output at a time by the reference; checks y and sums the events. */
static void check_values(brim_ctx *ctx, const struct layer *l, const struct problem *p,
                         struct brim_dot_counts *want)
{
    int64_t *scratch = brim_alloc(ctx, 2 * l->k + 1, sizeof *scratch);

    for (size_t i = 0; i < l->m; i++) {
        for (size_t c = 0; c < l->n; c++) {
            const size_t g = c / (l->n / l->groups);
            const int32_t *x = p->x + (i * l->groups + g) * (l->k + 1);
            brim_events ev;
            const int64_t y = brim_datapath_dot(&p->dp, p->w + c * l->k, x, l->k, scratch, &ev);
            const struct brim_dot_counts one = {1, ev.transient, ev.persistent, ev.product,
                                                ev.min_width};

            if (p->y[i * l->n + c] != y) {
                fail_msg("%s n=%zu k=%zu m=%zu: row %zu output %zu is %lld, expected %lld",
                         l->datapath, l->n, l->k, l->m, i, c, (long long)p->y[i * l->n + c],
                         (long long)y);
            }
            brim_dot_counts_add(want, &one);
        }
    }
    brim_free(ctx, scratch);
}

static void check_counts(const struct layer *l, const struct brim_dot_counts *got,
                         const struct brim_dot_counts *want)
{
    if (want->outputs != got->outputs || want->transient != got->transient ||
        want->persistent != got->persistent || want->product != got->product ||
        want->min_width != got->min_width) {
        fail_msg("%s n=%zu k=%zu m=%zu: counts %d %d %d %d %d, expected %d %d %d %d %d",
                 l->datapath, l->n, l->k, l->m, (int)got->outputs, (int)got->transient,
                 (int)got->persistent, (int)got->product, got->min_width, (int)want->outputs,
                 (int)want->transient, (int)want->persistent, (int)want->product, want->min_width);
    }
}

/* Values and counts in every form; *want: what the reference counted. */
static void check_layer(brim_ctx *ctx, struct brim_rng *rng, const struct layer *l,
                        struct brim_dot_counts *want)
{
    struct problem p = {0};

    make_problem(ctx, rng, l, &p);
    for (enum form form = WIDE; form <= BYTES; form++) {
        if (!takes(l, form)) {
            continue;
        }
        p.counts = (struct brim_dot_counts){0};
        memset(p.y, 0x55, l->m * l->n * sizeof *p.y);
        run_kernel(ctx, l, &p, false, form);
        assert_int_equal(p.counts.outputs, 0);
        *want = (struct brim_dot_counts){0};
        check_values(ctx, l, &p, want);
        memset(p.y, 0x55, l->m * l->n * sizeof *p.y);
        run_kernel(ctx, l, &p, true, form);
        *want = (struct brim_dot_counts){0};
        check_values(ctx, l, &p, want);
        check_counts(l, &p.counts, want);
    }
    free_problem(ctx, &p);
}

#endif
