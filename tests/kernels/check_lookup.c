/* check_lookup.c - ternary and 2-bit products by table lookup. SPDX-License-Identifier: Apache-2.0 */
#include "checkasm.h"
#include "formulas.h"
#include "products.h"

#include <string.h>

#include "kernels/lookup.h"
#include "kernels/lookup_variant.h"

static size_t count(void)
{
    return brim_lookup_variant_count;
}

static struct check_variant variant(size_t i)
{
    return (struct check_variant){brim_lookup_variants[i]->name, brim_lookup_variants[i]->isa};
}

static void draw_shape(struct check *c, const struct brim_lookup_variant *v,
                       struct check_product *p)
{
    const bool long_k = check_once_in(c, 8), wide = check_once_in(c, 20);

    p->segments = check_once_in(c, 2) ? 1 : (size_t)check_range(c, 1, CHECK_SEGMENTS);
    p->k = p->segments * check_length(c, 2 * v->weights, 120);
    if (long_k) {
        p->segments = 1;
        p->k = (size_t)check_range(c, 500, 5000);
    }
    p->n = wide && !long_k ? (size_t)check_range(c, 1, 700) : check_length(c, 64, 130);
    p->m = check_once_in(c, 50) ? 0 : check_length(c, v->rows, long_k ? 9 : 40);
}

/* Few codes; or so many that `sum` weights of one sign reach the end of 8 bits, or one beyond. */
static void draw_codes(struct check *c, struct check_product *p, int32_t sum)
{
    int32_t codes = sum > 0               ? 2 * (128 / sum) + (int32_t)check_range(c, -1, 2)
                    : check_once_in(c, 3) ? (int32_t)check_range(c, 1, 256)
                                          : INT32_C(1) << brim_rng_below(&c->rng, 7);

    codes = codes > 256 ? 256 : codes;
    p->x_signed = check_once_in(c, 2);
    const int32_t least = p->x_signed ? -128 : 0;
    p->x_min = (int32_t)check_range(c, least, least + 256 - codes);
    p->x_max = p->x_min + codes - 1;
}

/* Weights of two lookups: at most `sum` of them in magnitude. */
static void limit(int32_t *w, size_t n, size_t tile, int32_t sum)
{
    int32_t left = sum;

    for (size_t k = 0; k < n; k++) {
        left = k % tile == 0 ? sum : left;
        const int32_t most = left < w[k] ? left : w[k];
        w[k] = most < -left ? -left : most;
        left -= w[k] < 0 ? -w[k] : w[k];
    }
}

/* Within -2..1, or all negated. */
static int32_t *draw_weights(struct check *c, const struct brim_lookup_variant *v,
                             const struct check_product *p, int32_t sum)
{
    const int32_t sign = check_once_in(c, 2) ? 1 : -1;
    const int32_t least = (int32_t)check_range(c, -2, 0);
    const int32_t greatest = sum == 0 ? (int32_t)check_range(c, 0, 1) : least == 0;
    const bool full = sum == 2 * (int32_t)v->weights && check_once_in(c, 2);
    int32_t *w = check_buffer(c, "weights", p->n * p->k * sizeof *w, sizeof *w);

    for (size_t i = 0; i < p->n; i++) {
        const enum check_pattern pattern = !full          ? check_any_pattern(c)
                                           : greatest > 0 ? CHECK_GREATEST
                                                          : CHECK_LEAST;
        check_fill(c, pattern, w + i * p->k, p->k, least, greatest);
        for (size_t k = 0; k < p->k; k++) {
            w[i * p->k + k] *= sign;
        }
        if (sum > 0) {
            limit(w + i * p->k, p->k, 2 * (size_t)v->weights, sum);
        }
    }
    return w;
}

/* Two lookups of every output fit 8 bits, inputs being centred as lookup.h says. */
static bool fits(const struct check_product *p, unsigned weights)
{
    const int32_t centre = p->x_min + (p->x_max - p->x_min + 1) / 2;
    const int32_t a = p->x_min - centre, b = p->x_max - centre;

    for (size_t i = 0; i < p->n; i++) {
        int32_t lo = 0, hi = 0, least = 0, greatest = 0;

        for (size_t k = 0; k < p->k; k++) {
            const int32_t w = p->w[i * p->k + k];

            if (k % (2 * (size_t)weights) == 0) {
                lo = hi = 0;
            }
            lo += w * (w > 0 ? a : b);
            hi += w * (w > 0 ? b : a);
            least = lo < least ? lo : least;
            greatest = hi > greatest ? hi : greatest;
        }
        if (least < INT8_MIN || greatest > INT8_MAX) {
            return false;
        }
    }
    return true;
}

static bool negated(const struct check_product *p)
{
    for (size_t i = 0; i < p->n * p->k; i++) {
        if (p->w[i] == 2) {
            return true;
        }
    }
    return false;
}

static struct brim_lookup *create(struct check *c, const struct brim_lookup_variant *v,
                                  const struct check_product *p)
{
    const size_t bytes = p->n * p->k * sizeof *p->w;
    int32_t *borrowed = check_buffer(c, "borrowed weights", bytes, sizeof *borrowed);
    struct brim_lookup *lookup = NULL;

    memcpy(borrowed, p->w, bytes);
    const struct brim_lookup_params params = {.w = borrowed,
                                              .n = p->n,
                                              .k = p->k,
                                              .segments = p->segments,
                                              .x_min = p->x_min,
                                              .x_max = p->x_max,
                                              .x_signed = p->x_signed,
                                              .epilogue = p->epilogue,
                                              .variant = v->name};
    const brim_status status = brim_lookup_create(c->ctx, &params, &lookup);
    memset(borrowed, 0x55, bytes); /* the product has its own */
    if ((status == BRIM_OK) != fits(p, v->weights)) {
        check_fail(c, "weights whose tiles %s 8 bits were %s: %s",
                   status == BRIM_OK ? "leave" : "fit", status == BRIM_OK ? "accepted" : "refused",
                   brim_error(c->ctx));
    }
    brim_clear_error(c->ctx);
    if (lookup != NULL && brim_lookup_chosen(lookup) != v) {
        check_fail(c, "another variant was chosen: %s", brim_lookup_chosen(lookup)->name);
    }
    return lookup;
}

static void run_product(const void *product, const struct brim_gemm_rows *rows)
{
    brim_lookup_run(product, rows);
}

static void run(struct check *c, size_t i)
{
    const struct brim_lookup_variant *v = brim_lookup_variants[i];
    struct check_product p = {0};
    struct brim_gemm_rows rows = {0};

    draw_shape(c, v, &p);
    const bool most = p.k > 500 && check_once_in(c, 2); /* then blocks leave 16 bits soonest */
    const int32_t sum = most                  ? 2 * (int32_t)v->weights
                        : check_once_in(c, 2) ? 0
                                              : (int32_t)check_range(c, 1, 2 * v->weights);
    draw_codes(c, &p, sum);
    check_draw_places(c, &p, &rows);
    p.w = draw_weights(c, v, &p, sum);
    check_seal(c, p.w);
    check_describe(c, "m %zu n %zu k %zu segments %zu, x %d..%d %s, stride %zu%s, weights %s", p.m,
                   p.n, p.k, p.segments, p.x_min, p.x_max, p.x_signed ? "signed" : "unsigned",
                   rows.x_stride, rows.slack ? " with slack" : "", negated(&p) ? "-1..2" : "-2..1");
    /* What centring takes off and puts back must fit, too. */
    check_make_epilogue(c, &p.epilogue, p.n, check_reach(&p) + (int64_t)p.k * 512);
    check_draw_rows(c, &p, &rows);
    struct brim_lookup *lookup = create(c, v, &p);
    if (lookup != NULL) {
        check_run_product(c, &p, &rows, brim_lookup_scratch(lookup, p.m), run_product, lookup);
        brim_lookup_free(c->ctx, lookup);
    }
}

const struct check_family check_lookup = {"lookup", count, variant, 600, run};
