/* check_gemm.c - exact products: inner loops by themselves, and whole products by name.
 * SPDX-License-Identifier: Apache-2.0 */
#include "checkasm.h"
#include "formulas.h"
#include "products.h"
#include "weights.h"

#include <string.h>

#include "kernels/gemm.h"
#include "kernels/gemm_variant.h"

#define MAX_QUADS 1280
#define MAX_SPANS 24

static size_t count(void)
{
    return brim_gemm_variant_count;
}

static struct check_variant variant(size_t i)
{
    return (struct check_variant){brim_gemm_variants[i]->name, brim_gemm_variants[i]->isa};
}

static enum check_group group_of(enum brim_gemm_need need)
{
    return need == BRIM_GEMM_LANE ? CHECK_LANES : need == BRIM_GEMM_PAIR ? CHECK_PAIRS : CHECK_FREE;
}

/* ---- inner loops ---- */

struct spans {
    struct brim_gemm_span at[MAX_SPANS];
    size_t count, quads, row; /* row: bytes from x to the end of what a row may read */
    uint32_t tile[MAX_QUADS];
    bool real[4 * MAX_QUADS];
};

static void draw_spans(struct check *c, unsigned unit, struct spans *s)
{
    uint32_t tile = 0;

    s->count = (size_t)check_range(c, 1, check_once_in(c, 3) ? MAX_SPANS : 2);
    s->quads = s->row = 0;
    for (size_t i = 0; i < s->count; i++) {
        const size_t most = (MAX_QUADS / MAX_SPANS) / unit;
        const uint32_t quads = (uint32_t)(check_length(c, 1, most) * unit);
        const size_t x = check_once_in(c, 2) ? s->row : (size_t)check_range(c, 0, 300);

        s->at[i] = (struct brim_gemm_span){x, quads, i + 1 == s->count || check_once_in(c, 2)};
        for (size_t q = 0; q < quads; q++) {
            s->tile[s->quads + q] = tile;
        }
        tile += s->at[i].widen ? 1 : 0;
        s->quads += quads;
        s->row = x + 4 * quads > s->row ? x + 4 * quads : s->row;
    }
    memset(s->real, true, sizeof s->real);
}

/* Rows of bytes: patterns, or for every row what drives one output's registers furthest. */
static void draw_tile_x(struct check *c, const struct spans *s, const struct brim_gemm_tile *t,
                        uint8_t *x, int32_t x_max)
{
    const bool drive = check_once_in(c, 2);
    const enum check_pattern p = check_any_pattern(c);

    for (size_t r = 0; r < t->rows; r++) {
        const size_t output = (size_t)brim_rng_below(&c->rng, 16 * t->panels);
        const int direction = check_once_in(c, 2) ? 1 : -1;
        int32_t codes[64];

        for (size_t k = 0; k < s->row; k++) {
            if (k % 64 == 0) {
                check_fill(c, p, codes, 64, 0, x_max);
            }
            x[r * t->x_stride + k] = (uint8_t)codes[k % 64];
        }
        const int8_t *w = t->w + output / 16 * t->w_stride + output % 16 * 4;
        for (size_t i = 0; drive && i < s->count; i++) {
            for (size_t j = 0; j < 4 * s->at[i].quads; j++) {
                x[r * t->x_stride + s->at[i].x + j] =
                    (uint8_t)check_driving_code(c, w[j / 4 * 64 + j % 4], direction, 0, x_max);
            }
            w += (size_t)s->at[i].quads * 64;
        }
    }
}

static int32_t tile_total(const struct brim_gemm_tile *t, size_t row, size_t output)
{
    const int8_t *w = t->w + output / 16 * t->w_stride + output % 16 * 4;
    int64_t total = 0;

    for (size_t i = 0; i < t->spans; i++) {
        const uint8_t *x = t->x + row * t->x_stride + t->span[i].x;

        for (size_t j = 0; j < 4 * t->span[i].quads; j++) {
            total += (int32_t)w[j / 4 * 64 + j % 4] * x[j];
        }
        w += (size_t)t->span[i].quads * 64;
    }
    return (int32_t)total;
}

/* What centred variants begin with. */
static void set_start(struct check *c, const struct brim_gemm_variant *v, struct brim_gemm_tile *t)
{
    const size_t n = 16 * t->panels;

    if (!v->centred) {
        return;
    }
    int32_t *start = check_buffer(c, "start", n * sizeof *start, sizeof *start);
    for (size_t j = 0; j < n; j++) {
        const int8_t *w = t->w + j / 16 * t->w_stride + j % 16 * 4;

        start[j] = 0;
        for (size_t i = 0; i < t->spans; i++) {
            for (size_t k = 0; k < 4 * t->span[i].quads; k++) {
                start[j] += t->zero * w[k / 4 * 64 + k % 4];
            }
            w += (size_t)t->span[i].quads * 64;
        }
    }
    check_seal(c, start);
    t->start = start;
}

/* One call against the formula; y's padding must stay. */
static void check_tile(struct check *c, const struct brim_gemm_variant *v, struct brim_gemm_tile *t)
{
    const size_t columns = 16 * t->panels, n = (t->rows - 1) * t->y_stride + columns;
    int32_t *got = check_buffer(c, "y", n * sizeof *got, 64);
    int32_t *want = check_buffer(c, "expected y", n * sizeof *want, 64);

    check_fill(c, CHECK_RANDOM, got, n, -(1 << 20), 1 << 20);
    memcpy(want, got, n * sizeof *got);
    set_start(c, v, t);
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t j = 0; j < columns; j++) {
            int32_t *y = want + r * t->y_stride + j;
            *y = !t->add                              ? tile_total(t, r, j)
                 : v->centred /* which begins once */ ? *y + tile_total(t, r, j) - t->start[j]
                                                      : *y + tile_total(t, r, j);
        }
    }
    t->y = got;
    if (v->begin != NULL) {
        v->begin(t->rows == 16 && check_once_in(c, 2) ? 32 : t->rows, t->step);
    }
    v->run(t);
    if (v->end != NULL) {
        v->end();
    }
    check_same(c, got, want, sizeof *got, t->y_stride);
}

static void draw_panels(struct check *c, const struct brim_gemm_variant *v, const struct spans *s,
                        const struct brim_gemm_tile *t, int8_t *w, struct check_weights *d)
{
    static int8_t row[4 * MAX_QUADS];

    d->quads = s->quads;
    d->real = s->real;
    d->tile = s->tile;
    d->group = group_of(v->need);
    for (size_t output = 0; output < 16 * t->panels; output++) {
        check_draw_weights(c, d, row);
        for (size_t q = 0; q < s->quads; q++) {
            memcpy(w + output / 16 * t->w_stride + q * 64 + output % 16 * 4, row + q * 4, 4);
        }
    }
}

static void check_tiles(struct check *c, const struct brim_gemm_variant *v)
{
    static struct spans s;
    struct brim_gemm_tile t = {.rows = (unsigned)check_range(c, 1, v->rows),
                               .panels = (unsigned)check_range(c, 1, v->panels),
                               .add = check_once_in(c, 2)};
    const enum check_fit fit = check_once_in(c, 2) ? CHECK_FITS : CHECK_FULL;
    struct check_weights d = {.fit = fit,
                              .pattern = check_any_pattern(c),
                              .w_min = -128,
                              .w_max = 127,
                              .x_max = check_some_x_max(c, fit),
                              .sum_min = INT16_MIN,
                              .sum_max = INT16_MAX};

    if ((v->bounds & BRIM_GEMM_X7) != 0 && d.x_max > 127) {
        d.x_max = 127;
    }
    t.zero = (uint8_t)(d.x_max > 127 ? d.x_max - 127 : 0);
    if ((v->bounds & BRIM_GEMM_PRODUCT) != 0 && t.zero == 128) {
        d.w_min = -127;
    }
    t.step = v->begin != NULL ? (unsigned)check_range(c, 1, v->unit) : v->unit;
    draw_spans(c, t.step, &s);
    t.span = s.at;
    t.spans = s.count;
    t.x_stride =
        check_once_in(c, 4) ? (s.row + 63) / 64 * 64 : s.row + (size_t)check_range(c, 0, 70);
    t.w_stride = (s.quads + (size_t)check_range(c, 0, 2)) * 64;
    t.y_stride = 16 * t.panels + 16 * (size_t)check_range(c, 0, 2);
    check_describe(c,
                   "tile of %u rows, %u panels, %zu spans of %zu quads, add %d, strides %zu %zu "
                   "%zu, weights %s %s, x up to %d",
                   t.rows, t.panels, s.count, s.quads, t.add, t.x_stride, t.w_stride, t.y_stride,
                   check_pattern_name[d.pattern], check_fit_name[d.fit], d.x_max);
    int8_t *w = check_buffer(c, "weights", (t.panels - 1) * t.w_stride + s.quads * 64, 64);
    draw_panels(c, v, &s, &t, w, &d);
    check_seal(c, w);
    t.w = w;
    uint8_t *x = check_buffer(c, "x", (t.rows - 1) * t.x_stride + s.row, 1);
    draw_tile_x(c, &s, &t, x, d.x_max);
    check_seal(c, x);
    t.x = x;
    check_tile(c, v, &t);
}

/* ---- whole products ---- */

struct product {
    struct brim_gemm_params p;
    struct check_weights d;
    size_t m, length; /* rows; codes of a segment */
    int32_t bias;     /* bytes less codes: 128 when signed */
    int32_t *w;
};

/* Totals of bytes beyond 32 bits, totals of int8 codes within. */
#define LONG_K 131000

/* Quads of one output, and which of their weights there are. */
static struct {
    uint32_t tile[LONG_K / 4 + 1];
    bool real[LONG_K + 4];
    int8_t w[LONG_K + 4];
} layout;

static void draw_shape(struct check *c, const struct brim_gemm_variant *v, struct product *g)
{
    const bool long_k = check_once_in(c, 24), wide = check_once_in(c, 40),
               tall = check_once_in(c, 24);

    g->p.segments = check_once_in(c, 2) ? 1 : (size_t)check_range(c, 1, 7);
    g->length = check_length(c, 4, long_k ? 4 * MAX_QUADS / 8 : 200);
    if (g->p.segments == 1 && long_k) {
        g->length = (size_t)check_range(c, 1000, 4 * MAX_QUADS);
    }
    g->p.k = g->p.segments * g->length;
    g->p.n = wide && !long_k ? (size_t)check_range(c, 1, 700) : check_length(c, 16, 100);
    g->m = tall && !long_k && !wide ? (size_t)check_range(c, 1, 600) : check_length(c, v->rows, 40);
    if (check_once_in(c, 50)) {
        g->m = 0;
    }
    if (long_k) {
        g->m = 1 + g->m % 9;
    }
    if (check_once_in(c, 300)) {
        g->p.segments = 1;
        g->p.k = g->length = (size_t)check_range(c, LONG_K / 2, LONG_K);
        g->p.n = (size_t)check_range(c, 1, 18);
        g->m = (size_t)check_range(c, 1, 3);
    }
}

static void draw_codes(struct check *c, struct product *g, enum check_fit fit)
{
    g->p.x_signed = check_once_in(c, 2);
    g->bias = g->p.x_signed ? 128 : 0;
    if (fit < CHECK_FULL && check_once_in(c, 3)) {
        const int32_t a = (int32_t)check_range(c, 0, 255), b = (int32_t)check_range(c, 0, 255);
        g->p.x_min = (a < b ? a : b) - g->bias;
        g->p.x_max = (a < b ? b : a) - g->bias;
    } else {
        g->p.x_min = -g->bias;
        g->p.x_max = check_some_x_max(c, fit) - g->bias;
    }
}

/* Quads as the packer lays them out; tiles of `tile` quads, 0 = one for all. */
static void lay_out(struct product *g, size_t tile)
{
    const size_t quads = (g->length + 3) / 4;

    g->d.quads = quads * g->p.segments;
    g->d.real = layout.real;
    g->d.tile = layout.tile;
    for (size_t q = 0; q < g->d.quads; q++) {
        layout.tile[q] = tile > 0 ? (uint32_t)(q / tile) : 0;
        for (size_t j = 0; j < 4; j++) {
            layout.real[4 * q + j] = q % quads * 4 + j < g->length;
        }
    }
}

/* Whether brim_gemm_create must, or must not, accept the variant for these weights. */
struct verdict {
    bool surely, never;
};

static void judge(struct product *g, enum brim_gemm_need need, struct verdict *verdict)
{
    /* the bound is reached by some input */
    const bool exact = g->p.x_min + g->bias == 0 && g->p.x_max + g->bias == g->d.x_max;

    verdict->never |=
        need >= BRIM_GEMM_PAIR && exact && !check_weights_fit(&g->d, layout.w, CHECK_PAIRS);
    if (need == BRIM_GEMM_LANE && g->p.segments == 1) {
        lay_out(g, 16);
        const bool fits = check_weights_fit(&g->d, layout.w, CHECK_LANES);
        verdict->never |= !fits && exact;
        verdict->surely &= fits;
    } else if (need == BRIM_GEMM_LANE) {
        lay_out(g, 0);
        verdict->surely &= check_weights_fit(&g->d, layout.w, CHECK_LANES);
    } else if (need == BRIM_GEMM_PAIR) {
        verdict->surely &= check_weights_fit(&g->d, layout.w, CHECK_PAIRS);
    }
}

/* The codes are within what the variant is for. */
static bool bounded(const struct product *g, unsigned bounds)
{
    const int32_t shift = g->p.x_min < 0 ? -g->p.x_min : 0;
    int32_t least = 0;

    for (size_t i = 0; i < g->p.n * g->p.k; i++) {
        least = g->w[i] < least ? g->w[i] : least;
    }
    return ((bounds & BRIM_GEMM_X7) == 0 || g->p.x_max + shift <= 127) &&
           ((bounds & BRIM_GEMM_PRODUCT) == 0 || least > -128 || g->p.x_min + shift > 0 ||
            g->p.x_max + shift < 255);
}

static void draw_product_weights(struct check *c, const struct brim_gemm_variant *v,
                                 struct product *g, struct verdict *verdict)
{
    static const size_t tiles[] = {16, 16, 32, 64, 0};
    const size_t tile = tiles[brim_rng_below(&c->rng, 5)];
    const enum check_fit fit = g->d.fit;
    const size_t beyond = (size_t)brim_rng_below(&c->rng, g->p.n);

    g->w = check_buffer(c, "weights", g->p.n * g->p.k * sizeof *g->w, sizeof *g->w);
    for (size_t i = 0; i < g->p.n; i++) {
        lay_out(g, tile);
        g->d.fit = fit == CHECK_BEYOND && i != beyond ? CHECK_FULL : fit;
        check_draw_weights(c, &g->d, layout.w);
        judge(g, v->need, verdict);
        int32_t *to = g->w + i * g->p.k;
        for (size_t at = 0; at < 4 * g->d.quads; at++) {
            if (layout.real[at]) {
                *to++ = layout.w[at];
            }
        }
    }
    g->d.fit = fit;
    if (!bounded(g, v->bounds)) {
        *verdict = (struct verdict){.never = true};
    }
}

static void run_product(const void *product, const struct brim_gemm_rows *rows)
{
    brim_gemm_run(product, rows);
}

/* Create with the variant, or see it refused; NULL then. */
static struct brim_gemm *create(struct check *c, const struct brim_gemm_variant *v,
                                struct product *g, struct verdict verdict)
{
    const size_t bytes = g->p.n * g->p.k * sizeof *g->w;
    int32_t *const borrowed = check_buffer(c, "borrowed weights", bytes, sizeof *g->w);
    struct brim_gemm *gemm = NULL;

    memcpy(borrowed, g->w, bytes);
    g->p.w = borrowed;
    const brim_status status = brim_gemm_create(c->ctx, &g->p, &gemm);
    memset(borrowed, 0x55, bytes); /* the product has its own */
    brim_clear_error(c->ctx);
    if (status == BRIM_OK && verdict.never) {
        check_fail(c, "weights that can overflow were accepted");
    }
    if (status != BRIM_OK && verdict.surely) {
        check_fail(c, "weights that cannot overflow were refused");
    }
    if (status == BRIM_OK && g->p.variant != NULL && brim_gemm_chosen(gemm, g->m) != v) {
        check_fail(c, "another variant was chosen: %s", brim_gemm_chosen(gemm, g->m)->name);
    }
    return gemm;
}

static void check_product(struct check *c, const struct brim_gemm_variant *v)
{
    static const enum check_fit fits[] = {CHECK_AS_DRAWN, CHECK_FITS, CHECK_FITS,
                                          CHECK_FITS,     CHECK_FULL, CHECK_BEYOND};
    const enum check_fit fit = fits[brim_rng_below(&c->rng, 6)];
    const int32_t small = check_once_in(c, 2) ? 0 : 1 << brim_rng_below(&c->rng, 7);
    const bool fastest = check_once_in(c, 8);
    struct product g = {.p.variant = fastest ? NULL : v->name};
    struct brim_gemm_rows rows = {0};
    struct verdict verdict = {.surely = true};

    draw_shape(c, v, &g);
    draw_codes(c, &g, fit);
    g.d = (struct check_weights){.group = group_of(v->need),
                                 .fit = fit,
                                 .pattern = check_any_pattern(c),
                                 .w_min = small > 0 ? -small : -128,
                                 .w_max = small > 0 ? small : 127,
                                 .x_max = g.p.x_max + g.bias > 0 ? g.p.x_max + g.bias : 1,
                                 .sum_min = INT16_MIN,
                                 .sum_max = INT16_MAX};
    struct check_product q = {.m = g.m,
                              .n = g.p.n,
                              .k = g.p.k,
                              .segments = g.p.segments,
                              .x_min = g.p.x_min,
                              .x_max = g.p.x_max,
                              .x_signed = g.p.x_signed};
    check_draw_places(c, &q, &rows);
    check_describe(c,
                   "product m %zu n %zu k %zu segments %zu, x %d..%d %s, stride %zu%s, weights "
                   "%s %s%s",
                   q.m, q.n, q.k, q.segments, q.x_min, q.x_max, q.x_signed ? "signed" : "unsigned",
                   rows.x_stride, rows.slack ? " with slack" : "", check_pattern_name[g.d.pattern],
                   check_fit_name[fit], fastest ? ", by the fastest variant" : "");
    draw_product_weights(c, v, &g, &verdict);
    q.w = g.w;
    const int64_t reach = check_reach(&q);
    if (fastest) {
        verdict = (struct verdict){.surely = true};
    }
    if (reach > INT32_MAX) {
        verdict = (struct verdict){.never = true};
    }
    check_make_epilogue(c, &g.p.epilogue, q.n, reach > INT32_MAX ? INT32_MAX : reach);
    q.epilogue = g.p.epilogue;
    check_draw_rows(c, &q, &rows);
    struct brim_gemm *gemm = create(c, v, &g, verdict);
    if (gemm != NULL) {
        check_run_product(c, &q, &rows, brim_gemm_scratch(gemm, q.m), run_product, gemm);
        brim_gemm_free(c->ctx, gemm);
    }
}

static void run(struct check *c, size_t i)
{
    if (check_once_in(c, 2)) {
        check_tiles(c, brim_gemm_variants[i]);
    } else {
        check_product(c, brim_gemm_variants[i]);
    }
}

const struct check_family check_gemm = {"gemm", count, variant, 1000, run};
