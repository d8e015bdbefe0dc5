/* check_simulate.c - the simulator's passes, one register at a time. SPDX-License-Identifier:
 * Apache-2.0 */
#include "checkasm.h"

#include <string.h>

#include "kernels/simulate_variant.h"

#define LANES      BRIM_SIMULATE_LANES
#define WORDS      BRIM_SIMULATE_WORDS
#define MOST_COUNT 3000
#define CANARY     0x5a5a5a5a

static const char *const pass_name[BRIM_SIMULATE_PASSES] = {[BRIM_SATURATE16] = "saturate16",
                                                            [BRIM_SATURATE32] = "saturate32",
                                                            [BRIM_CLAMP16] = "clamp16",
                                                            [BRIM_CLAMP32] = "clamp32",
                                                            [BRIM_SUM16] = "sum16",
                                                            [BRIM_SUM32] = "sum32",
                                                            [BRIM_RANGE16] = "range16",
                                                            [BRIM_RANGE32] = "range32",
                                                            [BRIM_PRODUCTS16] = "products16",
                                                            [BRIM_PRODUCTS32] = "products32",
                                                            [BRIM_TILES_SATURATE16] =
                                                                "tiles_saturate16",
                                                            [BRIM_TILES_SUM16] = "tiles_sum16",
                                                            [BRIM_TILES_RANGE32] = "tiles_range32"};

static size_t count(void)
{
    return brim_simulate_variant_count;
}

static struct check_variant variant(size_t i)
{
    return (struct check_variant){brim_simulate_variants[i]->name, brim_simulate_variants[i]->isa};
}

static bool narrow(enum brim_simulate_pass pass)
{
    return pass == BRIM_SATURATE16 || pass == BRIM_CLAMP16 || pass == BRIM_SUM16 ||
           pass == BRIM_RANGE16 || pass == BRIM_PRODUCTS16 || pass == BRIM_TILES_SATURATE16 ||
           pass == BRIM_TILES_SUM16;
}

static bool tiled(enum brim_simulate_pass pass)
{
    return pass == BRIM_TILES_SATURATE16 || pass == BRIM_TILES_SUM16 || pass == BRIM_TILES_RANGE32;
}

static bool saturates(enum brim_simulate_pass pass)
{
    return pass == BRIM_SATURATE16 || pass == BRIM_SATURATE32 || pass == BRIM_TILES_SATURATE16;
}

static bool scales(enum brim_simulate_pass pass)
{
    return saturates(pass) || pass == BRIM_TILES_SUM16;
}

static bool has_value(enum brim_simulate_pass pass)
{
    return pass != BRIM_PRODUCTS16 && pass != BRIM_PRODUCTS32 && pass != BRIM_TILES_RANGE32;
}

static bool has_extremes(enum brim_simulate_pass pass)
{
    return pass == BRIM_RANGE16 || pass == BRIM_RANGE32 || pass == BRIM_TILES_RANGE32 ||
           pass == BRIM_PRODUCTS16 || pass == BRIM_PRODUCTS32;
}

static int64_t clip(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static int64_t wrap(int64_t v, bool to16)
{
    return to16 ? (int16_t)(uint16_t)v : (int32_t)(uint32_t)v;
}

static int64_t product(const struct brim_simulate_tile *t, size_t row, size_t lane, size_t j)
{
    const size_t half = lane / WORDS, word = lane % WORDS;

    return (int64_t)t->panel[j * LANES + 2 * word + half] *
           (int16_t)(uint16_t)(t->shared[row][j] >> (half * 16));
}

struct register_state {
    int64_t value, least, most;
    int64_t tile_least, tile_most;
};

/* What the lanes see: 16-bit products are those modulo 2^16, as scaled weights are. */
static int64_t seen(enum brim_simulate_pass pass, int64_t p)
{
    return scales(pass) && narrow(pass) ? wrap(p, true) : p;
}

static int64_t rounded_down(int64_t v, unsigned shift)
{
    const int64_t unit = INT64_C(1) << shift;

    return (v - (v % unit + unit) % unit) / unit;
}

static int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static struct register_state add_up_tiles(enum brim_simulate_pass pass,
                                          const struct brim_simulate_tile *t, size_t row,
                                          size_t lane)
{
    struct register_state s = {0};
    int64_t v = 0;

    for (size_t j = 0; j < t->count; j++) {
        v += seen(pass, product(t, row, lane, j));
        v = saturates(pass)            ? clip(v, INT16_MIN, INT16_MAX)
            : pass == BRIM_TILES_SUM16 ? wrap(v, true)
                                       : v;
        s.least = least_of(s.least, v);
        s.most = most_of(s.most, v);
        if (j % t->tile == t->tile - 1 || j == t->count - 1) {
            s.tile_least = least_of(s.tile_least, v);
            s.tile_most = most_of(s.tile_most, v);
            s.value = wrap(s.value + rounded_down(v, t->shift), false);
            v = 0;
        }
    }
    return s;
}

static struct register_state add_up(enum brim_simulate_pass pass,
                                    const struct brim_simulate_tile *t, size_t row, size_t lane)
{
    struct register_state s = {0};
    const int64_t rail = INT64_C(1) << (narrow(pass) ? 15 : 31);

    for (size_t j = 0; j < t->count; j++) {
        const int64_t p = seen(pass, product(t, row, lane, j));

        s.value = !has_value(pass)     ? p
                  : saturates(pass)    ? clip(s.value + p, -rail, rail - 1)
                  : has_extremes(pass) ? s.value + p
                  : pass == BRIM_SUM16 ? wrap(s.value + p, true)
                  : pass == BRIM_SUM32 ? wrap(s.value + p, false)
                                       : clip(s.value + p, t->lo, t->hi);
        s.least = s.value < s.least ? s.value : s.least;
        s.most = s.value > s.most ? s.value : s.most;
    }
    s.value = rounded_down(s.value, t->shift);
    return s;
}

/* Magnitudes such that products, scaled, fit 16 bits in narrow passes, and `count` of them 32 bits
 * in wide ones that may not leave them. Sums are modular, so theirs are free. */
static void draw_magnitudes(struct check *c, enum brim_simulate_pass pass, size_t terms,
                            unsigned shift, int32_t *w, int32_t *x)
{
    const bool modular = pass == BRIM_SUM16 || pass == BRIM_SUM32;
    const unsigned room = modular || pass == BRIM_SATURATE32 ? 30 : narrow(pass) ? 15 - shift : 0;
    unsigned bits = room;

    if (room == 0) {
        for (bits = 30; terms >> (30 - bits) > 0; bits--) {
        }
    }
    const unsigned most = bits < 15 ? bits : 15, least = bits - most;
    const unsigned a = (unsigned)check_range(c, least, most);
    *w = INT32_C(1) << a;
    *x = INT32_C(1) << (check_once_in(c, 2) ? bits - a
                                            : (unsigned)check_range(c, 0, (int64_t)(bits - a)));
}

static void draw_operands(struct check *c, int16_t *to, size_t n, int32_t magnitude, bool top)
{
    const enum check_pattern p = check_any_pattern(c);
    int32_t codes[64];

    for (size_t i = 0; i < n; i++) {
        if (i % 64 == 0) {
            check_fill(c, p, codes, 64, -magnitude + (top ? 0 : 1), magnitude - 1);
        }
        to[i] = (int16_t)codes[i % 64];
    }
}

/* An extreme at a rail says that a prefix may have left 16 bits. */
static bool meaningless(enum brim_simulate_pass pass, const struct register_state *s)
{
    return pass == BRIM_RANGE16 && (s->least <= INT16_MIN || s->most >= INT16_MAX);
}

static void check_lane(struct check *c, enum brim_simulate_pass pass,
                       const struct brim_simulate_tile *t, size_t i)
{
    const struct register_state s = tiled(pass) ? add_up_tiles(pass, t, i / LANES, i % LANES)
                                                : add_up(pass, t, i / LANES, i % LANES);

    if (meaningless(pass, &s)) {
        if (t->least[i] != INT16_MIN && t->most[i] != INT16_MAX) {
            check_fail(c, "row %zu lane %zu does not say that it left 16 bits", i / LANES,
                       i % LANES);
        }
        return;
    }
    const int32_t value = t->value[i / LANES * t->stride + i % LANES];
    if (has_value(pass) && value != s.value) {
        check_fail(c, "row %zu lane %zu holds %d, expected %lld", i / LANES, i % LANES, (int)value,
                   (long long)s.value);
    }
    if (pass == BRIM_TILES_RANGE32 &&
        (t->tile_least[i] != s.tile_least || t->tile_most[i] != s.tile_most)) {
        check_fail(c, "row %zu lane %zu: tiles end from %d to %d, expected %lld to %lld", i / LANES,
                   i % LANES, (int)t->tile_least[i], (int)t->tile_most[i], (long long)s.tile_least,
                   (long long)s.tile_most);
    }
    if (has_extremes(pass) && (t->least[i] != s.least || t->most[i] != s.most)) {
        check_fail(c, "row %zu lane %zu went from %d to %d, expected %lld to %lld", i / LANES,
                   i % LANES, (int)t->least[i], (int)t->most[i], (long long)s.least,
                   (long long)s.most);
    }
}

/* Values of rows that may lie apart. */
static void make_values(struct check *c, struct brim_simulate_tile *t)
{
    t->stride = LANES + (check_once_in(c, 2) ? (size_t)check_range(c, 1, (int64_t)2 * LANES) : 0);
    const size_t n = (t->rows - 1) * t->stride + LANES;

    t->value = check_buffer(c, "values", n * sizeof *t->value, sizeof *t->value);
    for (size_t i = 0; i < n; i++) {
        t->value[i] = CANARY;
    }
}

static void check_between_rows(struct check *c, const struct brim_simulate_tile *t)
{
    for (size_t i = 0; i < (t->rows - 1) * t->stride; i++) {
        if (i % t->stride >= LANES && t->value[i] != CANARY) {
            check_fail(c, "values of row %zu: wrote beyond them, at %zu", i / t->stride,
                       i % t->stride);
        }
    }
}

static void check_pass(struct check *c, const struct brim_simulate_variant *v,
                       enum brim_simulate_pass pass)
{
    const uint32_t *shared[BRIM_SIMULATE_ROWS];
    struct brim_simulate_tile t = {.shared = shared,
                                   .rows = (unsigned)check_range(c, 1, BRIM_SIMULATE_ROWS),
                                   .count =
                                       check_length(c, 8, check_once_in(c, 20) ? MOST_COUNT : 100)};
    const size_t n = (size_t)t.rows * LANES;
    int32_t w_most, x_most;

    t.tile = (size_t)check_range(c, 1, 20);
    t.shift = scales(pass) ? (unsigned)check_range(c, 0, narrow(pass) ? 13 : 15) : 0;
    draw_magnitudes(c, pass, t.count, t.shift, &w_most, &x_most);
    const int64_t rails = narrow(pass) ? INT16_MAX : (INT64_C(1) << 30);
    const int64_t span = check_range(c, 1, check_once_in(c, 2) ? rails : 4 * (int64_t)w_most);
    t.hi = (int32_t)clip(span, 0, rails);
    t.lo = -t.hi - (check_once_in(c, 2) ? 1 : 0);
    check_describe(c, "%s, %u rows of %zu products, %d times %d, shift %u, rails %d %d",
                   pass_name[pass], t.rows, t.count, w_most, x_most, t.shift, t.lo, t.hi);
    int16_t *panel = check_buffer(c, "panel", t.count * LANES * sizeof *panel, sizeof *panel);
    draw_operands(c, panel, t.count * LANES, w_most, narrow(pass) || w_most < 32768);
    for (size_t j = 0; scales(pass) && narrow(pass) && j < t.count * LANES; j++) {
        panel[j] = (int16_t)(uint16_t)((uint32_t)panel[j] << t.shift); /* high bits fall off */
    }
    check_seal(c, panel);
    t.panel = panel;
    for (size_t r = 0; r < t.rows; r++) {
        uint32_t *row = check_buffer(c, "shared row", t.count * sizeof *row, sizeof *row);
        static int16_t halves[2][MOST_COUNT];

        draw_operands(c, halves[0], t.count, x_most, false);
        draw_operands(c, halves[1], t.count, x_most, false);
        for (size_t j = 0; j < t.count; j++) {
            row[j] = (uint16_t)halves[0][j] | (uint32_t)(uint16_t)halves[1][j] << 16;
        }
        check_seal(c, row);
        shared[r] = row;
    }
    make_values(c, &t);
    t.least = check_buffer(c, "least", n * sizeof *t.least, sizeof *t.least);
    t.most = check_buffer(c, "most", n * sizeof *t.most, sizeof *t.most);
    t.tile_least = check_buffer(c, "tile_least", n * sizeof *t.tile_least, sizeof *t.tile_least);
    t.tile_most = check_buffer(c, "tile_most", n * sizeof *t.tile_most, sizeof *t.tile_most);
    if (pass != BRIM_TILES_RANGE32) {
        check_seal(c, t.tile_least);
        check_seal(c, t.tile_most);
    }
    if (!has_value(pass)) {
        check_seal(c, t.value);
    }
    if (!has_extremes(pass)) {
        check_seal(c, t.least);
        check_seal(c, t.most);
    }
    v->pass[pass](&t);
    for (size_t i = 0; i < n; i++) {
        check_lane(c, pass, &t, i);
    }
    check_between_rows(c, &t);
}

static void check_interleave(struct check *c, const struct brim_simulate_variant *v)
{
    const size_t n = check_length(c, 16, 100);
    const uint32_t *x[WORDS];

    check_describe(c, "interleave, %zu words", n);
    for (size_t d = 0; d < WORDS; d++) {
        x[d] = check_once_in(c, 4) ? NULL : check_buffer(c, "row", n * 4, 4);
        if (x[d] != NULL) {
            check_seal(c, x[d]);
        }
    }
    uint32_t *got = check_buffer(c, "panel", n * WORDS * 4, 4);
    uint32_t *want = check_buffer(c, "expected panel", n * WORDS * 4, 4);
    for (size_t j = 0; j < n * WORDS; j++) {
        want[j] = x[j % WORDS] != NULL ? x[j % WORDS][j / WORDS] : 0;
    }
    v->interleave(x, n, got);
    check_same(c, got, want, 4, WORDS);
}

static void run(struct check *c, size_t i)
{
    const struct brim_simulate_variant *v = brim_simulate_variants[i];
    const enum brim_simulate_pass pass =
        (enum brim_simulate_pass)brim_rng_below(&c->rng, BRIM_SIMULATE_PASSES);

    if (check_once_in(c, 10) || v->pass[pass] == NULL) {
        check_interleave(c, v);
    } else {
        check_pass(c, v, pass);
    }
}

const struct check_family check_simulate = {"simulate", count, variant, 1500, run};
