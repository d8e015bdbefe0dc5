/* test_moments.c - second moments against double loops written from the definition.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "calibrate/accumulate.h"
#include "calibrate/calibrate.h"
#include "calibrate/nets.h"
#include "starving.h"

/* One convolution on noise. */
struct conv_case {
    const char *data; /* synth:noise of c x h x w, or c x w */
    int64_t c, h, w;  /* h = 0: 1-D */
    int64_t n, groups, kh, kw, sh, sw, dh, dw;
    int64_t top, left, bottom, right;
    const char *auto_pad;
};

static const struct brim_grid grid = {
    .dtype = BRIM_UINT8, .lo = 0, .hi = 15, .zero = 6, .scale = 0.25f};

static double code_minus_zero(float v, const struct brim_grid *g)
{
    const double scaled = (double)(v / g->scale);
    int64_t code = (int64_t)scaled;

    for (int64_t c = code - 2; c <= code + 2; c++) { /* nearest, even on a tie */
        const double now = scaled - (double)code, then = scaled - (double)c;
        const double a = now < 0 ? -now : now, b = then < 0 ? -then : then;
        code = b < a || (b == a && c % 2 == 0) ? c : code;
    }
    code += g->zero;
    code = code < g->lo ? g->lo : code > g->hi ? g->hi : code;
    return (double)(code - g->zero);
}

static struct brim_graph *conv_net(brim_ctx *ctx, const struct conv_case *t)
{
    const int rank = t->h > 0 ? 2 : 1;
    const int64_t x2[] = {-1, t->c, t->h, t->w}, x1[] = {-1, t->c, t->w};
    const int64_t w2[] = {t->n, t->c / t->groups, t->kh, t->kw};
    const int64_t w1[] = {t->n, t->c / t->groups, t->kw};
    const int64_t pads2[] = {t->top, t->left, t->bottom, t->right}, pads1[] = {t->left, t->right};
    const int64_t strides[] = {t->sh, t->sw}, dilations[] = {t->dh, t->dw};
    int32_t in[2], y;

    struct brim_graph *g = nets_graph(ctx, rank + 2, rank == 2 ? x2 : x1, &in[0]);
    in[1] = nets_weights(g, rank + 2, rank == 2 ? w2 : w1);
    struct brim_node *n = nets_node(g, "Conv", in, 2, &y);
    ASSERT_OK(ctx, brim_node_set_int(g, n, "group", t->groups));
    ASSERT_OK(ctx, brim_node_set_ints(g, n, "strides", strides + 2 - rank, (size_t)rank));
    ASSERT_OK(ctx, brim_node_set_ints(g, n, "dilations", dilations + 2 - rank, (size_t)rank));
    if (t->auto_pad != NULL) {
        ASSERT_OK(ctx, brim_node_set_string(g, n, "auto_pad", t->auto_pad));
    } else {
        ASSERT_OK(ctx,
                  brim_node_set_ints(g, n, "pads", rank == 2 ? pads2 : pads1, 2 * (size_t)rank));
    }
    nets_finish(ctx, g, y);
    return g;
}

static struct brim_moments_request request(const struct brim_dot *dot, int32_t x,
                                           const struct brim_grid *with)
{
    return (struct brim_moments_request){.dot = dot, .float_x = x, .prefix_x = x, .grid = with};
}

static struct brim_moments moments_of(brim_ctx *ctx, const struct brim_graph *g,
                                      const brim_data *data, const struct brim_grid *with)
{
    struct brim_dots dots;
    struct brim_moments m;

    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    assert_int_equal(dots.count, 1);
    const struct brim_moments_request r = request(&dots.dot[0], dots.dot[0].x, with);
    ASSERT_OK(ctx, brim_calibrate_moments(ctx, g, g, data, &r, 1, &m));
    brim_dots_free(&dots);
    return m;
}

static void close_to(const char *what, double have, double want, double size)
{
    if (!(have - want < 1e-5 * size && want - have < 1e-5 * size)) {
        fail_msg("%s is %.9g, expected %.9g", what, have, want);
    }
}

/* Element (row, column of group) of the definition; zero when in the padding. */
static float patch(const struct conv_case *t, const float *x, int64_t oy, int64_t ox, int64_t group,
                   int64_t i)
{
    const int64_t per = t->c / t->groups, h = t->h > 0 ? t->h : 1;
    const int64_t c = group * per + i % per, kx = i / per % t->kw, ky = i / per / t->kw;
    const int64_t y = oy * t->sh - t->top + ky * t->dh, xx = ox * t->sw - t->left + kx * t->dw;

    return y < 0 || y >= h || xx < 0 || xx >= t->w ? 0.0f : x[(c * h + y) * t->w + xx];
}

static void check_conv(const struct conv_case *t, int64_t out_h, int64_t out_w)
{
    brim_ctx *ctx = testing_ctx(2);
    brim_data *data = nets_data(ctx, t->data);
    struct brim_graph *g = conv_net(ctx, t);
    struct brim_moments m = moments_of(ctx, g, data, &grid);
    const size_t k = m.k, size = brim_data_sample_size(data), count = brim_data_count(data);
    float *x = malloc(count * size * sizeof *x);

    assert_non_null(x);
    ASSERT_OK(ctx, brim_data_read(ctx, data, 0, count, x, NULL));
    assert_int_equal(k, t->c / t->groups * t->kh * t->kw);
    assert_int_equal(m.groups, t->groups);
    assert_int_equal(m.rows, count * (size_t)(out_h * out_w));
    for (int64_t group = 0; group < t->groups; group++) {
        double *h = calloc(k * k, sizeof *h), *cross = calloc(k * k, sizeof *cross);
        double *q = calloc(k, sizeof *q), *f = calloc(k, sizeof *f);
        double *sum_q = calloc(k, sizeof *q), *sum_f = calloc(k, sizeof *f);
        assert_true(h && cross && q && f && sum_q && sum_f);
        for (size_t row = 0; row < m.rows; row++) {
            const size_t s = row / (size_t)(out_h * out_w);
            const int64_t p = (int64_t)(row % (size_t)(out_h * out_w));
            for (size_t i = 0; i < k; i++) {
                const float v = patch(t, x + s * size, p / out_w, p % out_w, group, (int64_t)i);
                f[i] = (double)v;
                q[i] = (double)grid.scale * code_minus_zero(v, &grid);
                sum_q[i] += q[i] / (double)m.rows;
                sum_f[i] += f[i] / (double)m.rows;
            }
            for (size_t i = 0; i < k * k; i++) {
                h[i] += q[i / k] * q[i % k];
                cross[i] += q[i / k] * f[i % k];
            }
        }
        for (size_t i = 0; i < k * k; i++) {
            close_to("h", m.h[(size_t)group * k * k + i], h[i], (double)m.rows);
            close_to("g", m.g[(size_t)group * k * k + i], cross[i], (double)m.rows);
        }
        for (size_t i = 0; i < k; i++) {
            close_to("mean of X~", m.mean_q[(size_t)group * k + i], sum_q[i], 1.0);
            close_to("mean of X", m.mean_f[(size_t)group * k + i], sum_f[i], 1.0);
        }
        free(h), free(cross), free(q), free(f), free(sum_q), free(sum_f);
    }
    free(x);
    brim_moments_free(ctx, &m, 1);
    brim_graph_free(g);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static void convolution_with_everything(void **state)
{
    const struct conv_case t = {
        "synth:noise?shape=4x9x8&limit=37", 4, 9, 8, 6, 1, 3, 2, 2, 1, 1, 2, 1, 2, 0, 1, NULL};
    (void)state;
    check_conv(&t, 4, 9);
}

static void grouped_and_depthwise_convolution(void **state)
{
    struct conv_case t = {
        "synth:noise?shape=4x6x5&limit=21", 4, 6, 5, 8, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, NULL};
    (void)state;
    check_conv(&t, 6, 5);
    t.groups = 4;
    t.n = 4;
    check_conv(&t, 6, 5);
    t.n = 12; /* three outputs a channel */
    t.kh = 2; /* fewer than eight taps */
    check_conv(&t, 7, 5);
    t.data = "synth:noise?shape=19x6x5&limit=21"; /* more channels than a vector holds */
    t.c = t.n = t.groups = 19;
    t.kh = 3;
    check_conv(&t, 6, 5);
}

static void pointwise_convolution(void **state)
{
    struct conv_case t = {
        "synth:noise?shape=21x5x7&limit=21", 21, 5, 7, 3, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, NULL};
    (void)state;
    check_conv(&t, 5, 7);
    t.sw = 2;
    check_conv(&t, 5, 4);
    t.sw = 1;
    t.right = 1;
    check_conv(&t, 5, 8);
}

static void one_dimensional_convolution(void **state)
{
    const struct conv_case t = {
        "synth:noise?shape=3x20&limit=30", 3, 0, 20, 5, 1, 1, 4, 1, 3, 1, 1, 0, 2, 0, 1, NULL};
    (void)state;
    check_conv(&t, 1, 7);
}

static void same_padding_goes_to_its_side(void **state)
{
    /* 7 wide, stride 2, kernel 4: 4 outputs need 10, so 3 are added, 1 before and 2 after */
    struct conv_case t = {"synth:noise?shape=2x7x7&limit=9",
                          2,
                          7,
                          7,
                          3,
                          1,
                          4,
                          4,
                          2,
                          2,
                          1,
                          1,
                          1,
                          1,
                          2,
                          2,
                          "SAME_UPPER"};
    (void)state;
    check_conv(&t, 4, 4);
    t.auto_pad = "SAME_LOWER";
    t.top = t.left = 2;
    check_conv(&t, 4, 4);
}

/* A 1x1 convolution over a row is a MatMul, and a MatMul with leading axes has more rows. */
static void matmul_rows_are_all_leading_positions(void **state)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data = nets_data(ctx, "synth:noise?shape=5x11&limit=40");
    float x[55];
    double want_h = 0.0, want_g = 0.0;
    int32_t in[2], y;
    (void)state;

    struct brim_graph *g = nets_graph(ctx, 3, (int64_t[]){-1, 5, 11}, &in[0]);
    in[1] = nets_weights(g, 2, (int64_t[]){11, 7});
    (void)nets_node(g, "MatMul", in, 2, &y);
    nets_finish(ctx, g, y);
    struct brim_moments m = moments_of(ctx, g, data, &grid);
    assert_true(m.k == 11 && m.groups == 1 && m.rows == 200);
    for (size_t s = 0; s < 40; s++) {
        ASSERT_OK(ctx, brim_data_read(ctx, data, s, 1, x, NULL));
        for (size_t r = 0; r < 5; r++) {
            const double q = 0.25 * code_minus_zero(x[11 * r + 10], &grid);
            want_h += q * 0.25 * code_minus_zero(x[11 * r + 3], &grid);
            want_g += q * (double)x[11 * r + 3];
        }
    }
    close_to("h", m.h[10 * 11 + 3], want_h, 200);
    close_to("h", m.h[3 * 11 + 10], want_h, 200);
    close_to("g", m.g[10 * 11 + 3], want_g, 200);
    brim_moments_free(ctx, &m, 1);
    brim_graph_free(g);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

/* 30 x 30 outputs and 72 columns: several blocks and two panels. */
static void threads_do_not_change_a_bit(void **state)
{
    const struct conv_case t = {
        "synth:noise?shape=8x30x30&limit=21", 8, 30, 30, 4, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, NULL};
    struct brim_moments first = {0};
    brim_ctx *ctx1 = testing_ctx(1);
    (void)state;

    for (int threads = 1; threads <= 3; threads++) {
        brim_ctx *ctx = threads == 1 ? ctx1 : testing_ctx(threads);
        brim_data *data = nets_data(ctx, t.data);
        struct brim_graph *g = conv_net(ctx, &t);
        struct brim_moments m = moments_of(ctx, g, data, &grid);
        assert_true(m.rows == 21 * 900 && m.k == 72);
        if (threads == 1) {
            first = m;
        } else {
            assert_memory_equal(m.h, first.h, 72 * 72 * sizeof(double));
            assert_memory_equal(m.g, first.g, 72 * 72 * sizeof(double));
            assert_memory_equal(m.mean_q, first.mean_q, 72 * sizeof(double));
            assert_memory_equal(m.mean_f, first.mean_f, 72 * sizeof(double));
            brim_moments_free(ctx, &m, 1);
        }
        brim_graph_free(g);
        brim_data_free(data);
        if (threads > 1) {
            brim_ctx_free(ctx);
        }
    }
    brim_moments_free(ctx1, &first, 1);
    brim_ctx_free(ctx1);
}

static void company_does_not_change_a_bit(void **state)
{
    const struct conv_case t = {
        "synth:noise?shape=3x16x16&limit=19", 3, 16, 16, 4, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, NULL};
    struct brim_grid other = grid;
    brim_ctx *ctx = testing_ctx(2);
    brim_data *data = nets_data(ctx, t.data);
    struct brim_graph *g = conv_net(ctx, &t);
    struct brim_dots dots;
    struct brim_moments both[2];
    (void)state;

    other.scale = 0.5f;
    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    const struct brim_moments_request r[2] = {
        request(&dots.dot[0], dots.dot[0].x, &other),
        request(&dots.dot[0], dots.dot[0].x, &grid),
    };
    ASSERT_OK(ctx, brim_calibrate_moments(ctx, g, g, data, r, 2, both));
    struct brim_moments alone = moments_of(ctx, g, data, &grid);
    assert_memory_equal(both[1].h, alone.h, alone.k * alone.k * sizeof(double));
    assert_memory_equal(both[1].g, alone.g, alone.k * alone.k * sizeof(double));
    assert_memory_not_equal(both[0].h, alone.h, alone.k * alone.k * sizeof(double));
    brim_moments_free(ctx, both, 2);
    brim_moments_free(ctx, &alone, 1);
    brim_dots_free(&dots);
    brim_graph_free(g);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

static bool stop_at_once(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)user, (void)stage, (void)done, (void)total;
    return false;
}

static void a_cancelled_pass_leaves_nothing(void **state)
{
    const struct conv_case t = {
        "synth:noise?shape=3x16x16&limit=19", 3, 16, 16, 4, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, NULL};
    struct brim_dots dots;
    struct brim_moments m;
    brim_ctx_params p;
    brim_ctx *ctx;
    (void)state;

    brim_ctx_params_init(&p);
    p.progress = stop_at_once;
    assert_int_equal(brim_ctx_create(&p, &ctx), BRIM_OK);
    brim_data *data = nets_data(ctx, t.data);
    struct brim_graph *g = conv_net(ctx, &t);
    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    const struct brim_moments_request r = request(&dots.dot[0], dots.dot[0].x, &grid);
    ASSERT_FAILS(ctx, BRIM_ERR_CANCELLED, "cancelled",
                 brim_calibrate_moments(ctx, g, g, data, &r, 1, &m));
    assert_null(m.h);
    brim_dots_free(&dots);
    brim_graph_free(g);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

struct starved {
    const struct brim_graph *g;
    const struct brim_dots *dots;
    const brim_data *data;
};

static brim_status calibrate_all(brim_ctx *ctx, void *arg)
{
    const struct starved *s = arg;
    const int32_t x = s->dots->dot[0].x;
    const struct brim_moments_request r = request(&s->dots->dot[0], x, &grid);
    const int32_t watched[] = {x, s->dots->dot[0].y};
    struct brim_activation a[2] = {{0}};
    struct brim_moments m = {0};

    brim_status status = brim_calibrate_activations(ctx, s->g, s->data, watched, 2, a);
    if (status == BRIM_OK) {
        status = brim_calibrate_moments(ctx, s->g, s->g, s->data, &r, 1, &m);
    }
    brim_activations_free(ctx, a, 2);
    brim_moments_free(ctx, &m, 1);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    const struct conv_case t = {
        "synth:noise?shape=3x8x8&limit=3", 3, 8, 8, 4, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, NULL};
    brim_ctx *ctx = testing_ctx(1);
    brim_data *data = nets_data(ctx, t.data);
    struct brim_graph *g = conv_net(ctx, &t);
    struct brim_dots dots;
    (void)state;

    ASSERT_OK(ctx, brim_dots_find(ctx, g, &dots));
    struct starved s = {g, &dots, data};
    assert_true(starving_try(calibrate_all, &s) > 10);
    brim_dots_free(&dots);
    brim_graph_free(g);
    brim_data_free(data);
    brim_ctx_free(ctx);
}

/* Every size of panel, odd ones too, in integers that single precision holds exactly. */
static void panels_cover_every_element_once(void **state)
{
    static const size_t sizes[] = {1, 2, 9, 95, 96, 97, 200, 259, 1023, 1025};
    enum { ROWS = 40 };
    (void)state;

    for (size_t c = 0; c < sizeof sizes / sizeof sizes[0]; c++) {
        const size_t k = sizes[c];
        float *q = malloc(ROWS * k * sizeof *q), *f = malloc(ROWS * k * sizeof *f);
        float *scratch = malloc(brim_block_scratch(k) * sizeof *scratch);
        double *h = calloc(k * k, sizeof *h), *g = calloc(k * k, sizeof *g);
        double *sum = calloc(2 * k, sizeof *sum);
        assert_true(q && f && scratch && h && g && sum);
        for (size_t i = 0; i < ROWS * k; i++) {
            q[i] = (float)(int)(i * 7 % 23) - 11.0f;
            f[i] = (float)(int)(i * 5 % 19) - 9.0f;
        }
        const struct brim_block b = {q, f, ROWS, k, k, h, g, sum, sum + k};
        for (size_t p = 0; p < brim_block_panels(k); p++) {
            brim_block_add(&b, p, scratch);
        }
        brim_block_mirror(h, k);
        for (size_t i = 0; i < k * k; i++) {
            double want_h = 0.0, want_g = 0.0;
            for (size_t r = 0; r < ROWS; r++) {
                want_h += (double)(q[r * k + i / k] * q[r * k + i % k]);
                want_g += (double)(q[r * k + i / k] * f[r * k + i % k]);
            }
            assert_true(h[i] == want_h && g[i] == want_g);
        }
        for (size_t i = 0; i < k; i++) {
            double want_q = 0.0, want_f = 0.0;
            for (size_t r = 0; r < ROWS; r++) {
                want_q += (double)q[r * k + i];
                want_f += (double)f[r * k + i];
            }
            assert_true(sum[i] == want_q && sum[k + i] == want_f);
        }
        free(q), free(f), free(scratch), free(h), free(g), free(sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(panels_cover_every_element_once),
        cmocka_unit_test(convolution_with_everything),
        cmocka_unit_test(grouped_and_depthwise_convolution),
        cmocka_unit_test(pointwise_convolution),
        cmocka_unit_test(one_dimensional_convolution),
        cmocka_unit_test(same_padding_goes_to_its_side),
        cmocka_unit_test(matmul_rows_are_all_leading_positions),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(company_does_not_change_a_bit),
        cmocka_unit_test(a_cancelled_pass_leaves_nothing),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
