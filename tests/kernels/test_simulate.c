/* test_simulate.c - every variant of the simulator: its passes equal the scalar reference's, layers
 * on it equal brim_datapath_dot(). SPDX-License-Identifier: Apache-2.0 */
#include "dot_layer.h"

#include "base/cpu.h"

enum { LANES = BRIM_SIMULATE_LANES, ROWS = BRIM_SIMULATE_ROWS, APART = 5, CANARY = 0x5a5a5a5a };

/* Operands that a pass's contract allows: |panel| <= w, |shared| <= x, multiples of unit. */
struct operands {
    const char *name;
    int32_t w, x, w_unit, x_unit, rail;
    unsigned shift;
};

static const struct operands operands[BRIM_SIMULATE_PASSES] = {
    [BRIM_SATURATE16] = {"saturate16", 127 * 16, 15, 16, 1, 0, 4},
    [BRIM_SATURATE32] = {"saturate32", 127 * 256, 255 * 16, 256, 16, 0, 12},
    [BRIM_CLAMP16] = {"clamp16", 128, 255, 1, 1, 9000, 0},
    [BRIM_CLAMP32] = {"clamp32", 32767, 32767, 1, 1, 1 << 29, 0},
    [BRIM_SUM16] = {"sum16", 32767, 32767, 1, 1, 0, 0},
    [BRIM_SUM32] = {"sum32", 32767, 32767, 1, 1, 0, 0},
    [BRIM_RANGE16] = {"range16", 128, 255, 1, 1, 0, 0},
    [BRIM_RANGE32] = {"range32", 2047, 2047, 1, 1, 0, 0},
    [BRIM_PRODUCTS16] = {"products16", 128, 255, 1, 1, 0, 0},
    [BRIM_PRODUCTS32] = {"products32", 32767, 32767, 1, 1, 0, 0},
    [BRIM_TILES_SATURATE16] = {"tiles_saturate16", 127 * 16, 15, 16, 1, 0, 4},
    [BRIM_TILES_SUM16] = {"tiles_sum16", 127 * 16, 255, 16, 1, 0, 4},
    [BRIM_TILES_RANGE32] = {"tiles_range32", 2047, 2047, 1, 1, 0, 0},
};

/* Random, or at the ends of the range in runs of random length and alternating. */
static int32_t draw(struct brim_rng *rng, int32_t most, int32_t unit, unsigned pattern, size_t j)
{
    if (pattern == 0) {
        return (int32_t)brim_rng_range(rng, -most / unit, most / unit) * unit;
    }
    if (pattern == 1) {
        return most / unit * unit * (j % 2 == 0 ? 1 : -1);
    }
    return most / unit * unit * (brim_rng_below(rng, 8) == 0 ? -1 : 1);
}

/* One tile with exactly sized operands, and results that end in canaries. */
struct case_ {
    int16_t *panel;
    uint32_t *x[ROWS];
    const uint32_t *shared[ROWS];
    /* value, least, most, of tiles' totals least and most; of reference and variant */
    int32_t result[5][2][(ROWS + 2) * LANES];
};

static void fill_case(brim_ctx *ctx, struct brim_rng *rng, const struct operands *o, size_t count,
                      unsigned pattern, struct case_ *c)
{
    c->panel = brim_alloc(ctx, count * LANES, sizeof *c->panel);
    for (size_t i = 0; i < count * LANES; i++) {
        c->panel[i] = (int16_t)draw(rng, o->w, o->w_unit, pattern, i / LANES / 7);
    }
    for (size_t r = 0; r < ROWS; r++) {
        c->x[r] = brim_alloc(ctx, count, sizeof *c->x[r]);
        c->shared[r] = c->x[r];
        for (size_t j = 0; j < count; j++) {
            const uint32_t low = (uint32_t)draw(rng, o->x, o->x_unit, pattern, j / 3);
            const uint32_t high = (uint32_t)draw(rng, o->x, o->x_unit, pattern, j / 2);

            c->x[r][j] = (low & 0xffff) | high << 16;
        }
    }
    for (size_t i = 0; i < sizeof c->result / sizeof ***c->result; i++) {
        (&c->result[0][0][0])[i] = CANARY;
    }
}

static void run_case(const struct brim_simulate_variant *v, enum brim_simulate_pass pass,
                     const struct operands *o, struct case_ *c, size_t count, unsigned rows,
                     size_t side)
{
    const struct brim_simulate_tile t = {.panel = c->panel,
                                         .shared = c->shared,
                                         .rows = rows,
                                         .count = count,
                                         .tile = 1 + count % 5,
                                         .shift = o->shift,
                                         .lo = -o->rail,
                                         .hi = o->rail - 1,
                                         .value = c->result[0][side],
                                         .stride = LANES + count % 2 * APART,
                                         .least = c->result[1][side],
                                         .most = c->result[2][side],
                                         .tile_least = c->result[3][side],
                                         .tile_most = c->result[4][side]};

    v->pass[pass](&t);
}

static void check_pass(brim_ctx *ctx, struct brim_rng *rng, const struct brim_simulate_variant *v,
                       enum brim_simulate_pass pass)
{
    static const size_t counts[] = {1, 2, 3, 17, 64, 211};

    for (size_t i = 0; i < 3 * sizeof counts / sizeof *counts; i++) {
        const size_t count = counts[i / 3];

        for (unsigned rows = 1; rows <= ROWS; rows++) {
            struct case_ c;

            fill_case(ctx, rng, &operands[pass], count, (unsigned)(i % 3), &c);
            run_case(brim_simulate_variants[0], pass, &operands[pass], &c, count, rows, 0);
            run_case(v, pass, &operands[pass], &c, count, rows, 1);
            for (size_t part = 0; part < 5; part++) {
                if (memcmp(c.result[part][0], c.result[part][1], sizeof c.result[part][0]) != 0) {
                    fail_msg("%s %s: %u rows of %zu products, pattern %zu: result %zu differs",
                             v->name, operands[pass].name, rows, count, i % 3, part);
                }
            }
            brim_free(ctx, c.panel);
            for (size_t r = 0; r < ROWS; r++) {
                brim_free(ctx, c.x[r]);
            }
        }
    }
}

static void check_interleave(brim_ctx *ctx, struct brim_rng *rng,
                             const struct brim_simulate_variant *v, size_t count, size_t rows)
{
    uint32_t *x[16] = {NULL};
    const uint32_t *row[16] = {NULL};
    uint32_t *panel = brim_alloc(ctx, count * 16, sizeof *panel);

    for (size_t d = 0; d < rows; d++) {
        x[d] = brim_alloc(ctx, count, sizeof *x[d]);
        row[d] = x[d];
        for (size_t j = 0; j < count; j++) {
            x[d][j] = (uint32_t)brim_rng_below(rng, UINT64_C(1) << 32);
        }
    }
    v->interleave(row, count, panel);
    for (size_t i = 0; i < count * 16; i++) {
        assert_int_equal(panel[i], i % 16 < rows ? x[i % 16][i / 16] : 0);
    }
    for (size_t d = 0; d < rows; d++) {
        brim_free(ctx, x[d]);
    }
    brim_free(ctx, panel);
}

static void passes_equal_the_reference(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 35, 0);
    for (size_t i = 0; i < brim_simulate_variant_count; i++) {
        const struct brim_simulate_variant *v = brim_simulate_variants[i];

        if ((v->isa & ~brim_cpu_detect()) != 0) {
            print_message("%s: not on this processor\n", v->name);
            continue;
        }
        for (enum brim_simulate_pass pass = 0; pass < BRIM_SIMULATE_PASSES; pass++) {
            if (v->pass[pass] == NULL) {
                assert_int_equal(pass, BRIM_SATURATE32); /* the only one that may be missing */
                continue;
            }
            check_pass(ctx, &rng, v, pass);
        }
        for (size_t count = 1; count < 50; count += 5) {
            check_interleave(ctx, &rng, v, count, 16);
            check_interleave(ctx, &rng, v, count, count % 16);
        }
    }
    brim_ctx_free(ctx);
}

/* Every width, on layers whose sums it cuts off and layers that it holds. */
static void check_widths(brim_ctx *ctx, struct brim_rng *rng, const char *mode)
{
    static const struct layer shape[] = {
        {.n = 35, .k = 48, .groups = 1, .m = 13, .w_max = 127, .x_max = 255},
        {.n = 10, .k = 75, .groups = 2, .m = 21, .w_max = 7, .x_min = -8, .x_max = 7},
        {.n = 33,
         .k = 700,
         .groups = 1,
         .m = 3,
         .w_max = 127,
         .x_max = 255,
         .corners = true,
         .climbs = true},
    };
    struct brim_dot_counts all = {0};

    for (int width = 2; width <= 32; width++) {
        for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
            char text[BRIM_DATAPATH_TEXT];
            struct layer l = shape[s];
            struct brim_dot_counts counts;

            (void)snprintf(text, sizeof text, "%d%s", width, mode);
            l.datapath = text;
            check_layer(ctx, rng, &l, &counts);
            brim_dot_counts_add(&all, &counts);
            if (s == 2 && width < 22) {
                /* half of every output's prefixes lie beyond: a test of nothing otherwise */
                assert_true((counts.transient + counts.persistent) * 2 >= counts.outputs ||
                            mode[0] == 'g');
            }
        }
    }
    assert_true(all.persistent * 5 > all.outputs && all.persistent * 2 < all.outputs);
}

/* Contexts that may use no more than each variant asks for. */
static void layers_equal_the_datapath(void **state)
{
    static const char *const mode[] = {"s", "", "g"};
    static const char *const staged[] = {"16/2s,32",   "16/2s,16s",    "16/64,24s",
                                         "12/16s,16s", "9/7,14/21,18", "17/50s,20/100,24s",
                                         "8/4g,12s"};
    brim_ctx *ctx = testing_ctx(1);
    const uint32_t isa = ctx->isa;
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 36, 0);
    for (size_t i = 0; i < brim_simulate_variant_count; i++) {
        const struct brim_simulate_variant *v = brim_simulate_variants[i];

        if ((v->isa & ~isa) != 0) {
            continue;
        }
        ctx->isa = v->isa;
        assert_ptr_equal(brim_simulate_choose(ctx->isa), v);
        for (size_t t = 0; t < sizeof mode / sizeof *mode; t++) {
            check_widths(ctx, &rng, mode[t]);
        }
        for (size_t t = 0; t < sizeof staged / sizeof *staged; t++) {
            const struct layer l = {.n = 40,
                                    .k = 203,
                                    .groups = 1,
                                    .m = 19,
                                    .w_max = 127,
                                    .x_max = 255,
                                    .datapath = staged[t]};
            struct brim_dot_counts counts;

            check_layer(ctx, &rng, &l, &counts);
            assert_true(counts.transient + counts.persistent > 0);
        }
    }
    ctx->isa = isa;
    brim_ctx_free(ctx);
}

/* A safe layer: nothing to count once a prefix has reached its bound, which the first row does. */
static void safe_layers_are_counted_as_well(void **state)
{
    static const char *const text[] = {"24s", "24", "20/64,30s", "12/3s,26q"};
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 37, 0);
    for (size_t t = 0; t < sizeof text / sizeof *text; t++) {
        for (size_t n = 5; n <= 70; n += 13) {
            const struct layer l = {.n = n,
                                    .k = 90,
                                    .groups = 1,
                                    .m = 12,
                                    .w_max = 5,
                                    .x_max = 3,
                                    .corners = n % 2 == 0,
                                    .climbs = true,
                                    .full = true,
                                    .datapath = text[t]};
            struct brim_dot_counts counts;

            check_layer(ctx, &rng, &l, &counts);
            assert_int_equal(counts.transient + counts.persistent, 0);
        }
    }
    brim_ctx_free(ctx);
}

static void check_extremes(brim_ctx *ctx, struct brim_rng *rng, const struct layer *l)
{
    struct problem p = {0};
    struct brim_dot_kernel *kernel;

    make_problem(ctx, rng, l, &p);
    const struct brim_dot_kernel_params params = {.w = p.w,
                                                  .n = l->n,
                                                  .k = l->k,
                                                  .groups = l->groups,
                                                  .x_min = l->x_min,
                                                  .x_max = l->x_max,
                                                  .datapath = &p.dp,
                                                  .count = true};
    ASSERT_OK(ctx, brim_dot_kernel_create(ctx, &params, &kernel));
    assert_true(brim_dot_kernel_has_extremes(kernel));
    int32_t *y = brim_alloc(ctx, 3 * l->m * l->n + 1, sizeof *y);
    int32_t *total = y, *least = y + l->m * l->n, *most = y + 2 * l->m * l->n;
    void *scratch = brim_alloc(ctx, brim_dot_kernel_scratch(kernel) + 1, 1);
    for (size_t g = 0; g < l->groups; g++) {
        const size_t first = g * (l->n / l->groups);
        const struct brim_dot_extremes rows = {.group = g,
                                               .m = l->m,
                                               .x = p.x + g * (l->k + 1),
                                               .x_stride = l->groups * (l->k + 1),
                                               .total = total + first,
                                               .least = least + first,
                                               .most = most + first,
                                               .y_stride = l->n,
                                               .scratch = scratch};

        brim_dot_kernel_extremes(kernel, &rows);
    }
    for (size_t i = 0; i < l->m * l->n; i++) {
        const size_t row = i / l->n, c = i % l->n, g = c / (l->n / l->groups);
        int64_t sum = 0, lo = 0, hi = 0;

        for (size_t j = 0; j < l->k; j++) {
            sum += (int64_t)p.w[c * l->k + j] * p.x[(row * l->groups + g) * (l->k + 1) + j];
            lo = brim_min_i64(lo, sum);
            hi = brim_max_i64(hi, sum);
        }
        assert_int_equal(total[i], sum);
        assert_int_equal(least[i], lo);
        assert_int_equal(most[i], hi);
    }
    brim_free(ctx, scratch);
    brim_free(ctx, y);
    brim_dot_kernel_free(ctx, kernel);
    free_problem(ctx, &p);
}

static void extremes_are_those_of_the_prefixes(void **state)
{
    static const char *const text[] = {"64", "16s", "9/16,20", "12q1"};
    static const struct layer shape[] = {
        {.n = 40, .k = 150, .groups = 1, .m = 11, .w_max = 127, .x_max = 255},
        {.n = 40, .k = 150, .groups = 1, .m = 11, .w_max = 3, .x_min = -8, .x_max = 7},
        {.n = 12, .k = 27, .groups = 4, .m = 37, .w_max = 127, .x_max = 255, .climbs = true},
        {.n = 5, .k = 20, .groups = 1, .m = 3, .w_max = 900, .x_max = 65535},
    };
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    (void)state;
    brim_rng_init(&rng, 38, 0);
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        for (size_t t = 0; t < sizeof text / sizeof *text; t++) {
            struct layer l = shape[s];

            l.datapath = text[t];
            check_extremes(ctx, &rng, &l);
        }
    }
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_equal_the_reference),
        cmocka_unit_test(layers_equal_the_datapath),
        cmocka_unit_test(safe_layers_are_counted_as_well),
        cmocka_unit_test(extremes_are_those_of_the_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
