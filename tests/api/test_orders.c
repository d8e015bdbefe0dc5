/* test_orders.c - what orders of addition promise, on every overflow of real layers.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Layers of 5-bit weights and inputs, whose products fit 10 bits: every dot product that a saturating
 * adder in K order spoils on the way (transient) has its exact total when it is fully sorted, added
 * sign-greedily, or wraps.
 */
#include "testing.h"

#include "api/run_watch.h"
#include "brim/brim.h"
#include "graph/dot.h"

#define FIRST  10
#define LAST   14
#define MAX_K  1024
#define STRIDE 97 /* of those that do not overflow, one in so many */

enum { SATURATE, WRAP, SORTED, GREEDY, ONE_ROUND, N_ORDERS };

static const struct {
    brim_mode mode;
    uint32_t rounds;
} orders[N_ORDERS] = {{BRIM_MODE_SATURATE, 0},
                      {BRIM_MODE_WRAP, 0},
                      {BRIM_MODE_SORTED, 0},
                      {BRIM_MODE_GREEDY, 0},
                      {BRIM_MODE_SORTED, 1}};

struct watcher {
    struct brim_dots dots;
    size_t transient, persistent, others; /* dot products that were added up */
    size_t wrong[N_ORDERS];               /* of transient ones: not the total */
    size_t seen[16];                      /* layers with transient overflow */
};

static brim_status no_open(void *user, const struct brim_plan *plan)
{
    (void)user;
    return plan == NULL ? BRIM_ERR_INTERNAL : BRIM_OK;
}

static void widen(const struct brim_dot_seen *seen, size_t row, size_t k, int32_t *x)
{
    const size_t at = row * seen->x_stride;

    for (size_t i = 0; i < k; i++) {
        x[i] = seen->codes == BRIM_DOT_UINT8  ? ((const uint8_t *)seen->x)[at + i]
               : seen->codes == BRIM_DOT_INT8 ? ((const int8_t *)seen->x)[at + i]
                                              : ((const int32_t *)seen->x)[at + i];
    }
}

/* One dot product in every order on a register of `width` bits. */
static void add_up(struct watcher *a, const int32_t *w, const int32_t *x, size_t k, unsigned width,
                   int64_t total, bool transient)
{
    const bool fits = total >= brim_register_min(width) && total <= brim_register_max(width);
    int64_t scratch[2 * MAX_K];

    for (size_t o = 0; o < N_ORDERS; o++) {
        const brim_datapath dp = {
            .n_stages = 1,
            .stage = {
                {.width = (uint8_t)width, .mode = orders[o].mode, .rounds = orders[o].rounds}}};
        brim_events ev;
        const int64_t y = brim_datapath_dot(&dp, w, x, k, scratch, &ev);

        assert_false(ev.product);
        assert_int_equal(ev.persistent, !fits);
        a->wrong[o] += transient && y != total;
        if (o == SORTED || o == GREEDY) {
            assert_false(ev.transient);
            assert_int_equal(y, fits        ? total
                                : total > 0 ? brim_register_max(width)
                                            : brim_register_min(width));
        } else if (o == WRAP && fits) {
            assert_int_equal(y, total);
        } else if (o == SATURATE) {
            assert_int_equal(ev.transient, transient);
        }
    }
}

static void see(void *user, int worker, size_t first, size_t samples,
                const struct brim_dot_seen *seen)
{
    struct watcher *a = user;
    const struct brim_dot *d = &a->dots.dot[seen->layer];
    const size_t n = d->n / d->groups;
    int32_t x[MAX_K];
    (void)worker;
    (void)first;
    (void)samples;

    assert_true(d->k <= MAX_K && seen->layer < 16);
    for (size_t i = 0; i < seen->m * n; i++) {
        const int64_t total = seen->total[i], least = seen->least[i], most = seen->most[i];
        const int32_t *w = d->w + (seen->group * n + i % n) * d->k;

        for (unsigned width = FIRST; width <= LAST; width++) {
            const bool persistent =
                brim_width_of(total < 0 ? total : 0, total > 0 ? total : 0) > width;
            const bool transient = !persistent && brim_width_of(least, most) > width;

            if (transient || i % STRIDE == 0) {
                widen(seen, i / n, d->k, x);
                add_up(a, w, x, d->k, width, total, transient);
            }
            a->transient += transient;
            a->seen[seen->layer] += transient;
            a->persistent += !transient && i % STRIDE == 0 && persistent;
            a->others += !transient && i % STRIDE == 0 && !persistent;
        }
    }
}

static void check_model(const char *model, const char *calib, const char *test, size_t layers)
{
    brim_ctx *ctx = testing_ctx(1);
    brim_graph *net, *quantized;
    brim_data *data;
    brim_quantize_params p;
    brim_run_report *r;
    struct watcher a = {0};
    const struct brim_run_watch watch = {.user = &a, .open = no_open, .see = see};

    ASSERT_OK(ctx, brim_onnx_load(ctx, model, &net));
    ASSERT_OK(ctx, brim_data_open(ctx, calib, &data));
    brim_quantize_params_init(&p);
    p.solve.solver = BRIM_SOLVER_RTN;
    p.solve.budget = BRIM_BUDGET_NONE;
    p.solve.wbits = p.abits = p.input_bits = 5;
    ASSERT_OK(ctx, brim_quantize(ctx, net, data, &p, &quantized, NULL));
    brim_data_free(data);
    brim_graph_free(net);
    ASSERT_OK(ctx, brim_data_open(ctx, test, &data));
    ASSERT_OK(ctx, brim_dots_find(ctx, quantized, &a.dots));
    assert_int_equal(a.dots.count, layers);
    ASSERT_OK(ctx, brim_run_watched(ctx, quantized, data, NULL, &watch, &r));
    print_message("%zu transient overflows; wrong of them: natural %zu, one round %zu\n",
                  a.transient, a.wrong[SATURATE], a.wrong[ONE_ROUND]);
    for (size_t i = 0; i + 1 < layers; i++) {
        assert_true(a.seen[i] > 0);
    }
    assert_true(a.persistent > 0 && a.others > 0 && a.wrong[SATURATE] > a.transient / 2);
    assert_int_equal(a.wrong[WRAP], 0);
    assert_int_equal(a.wrong[SORTED], 0);
    assert_int_equal(a.wrong[GREEDY], 0);
    assert_true(a.wrong[ONE_ROUND] < a.wrong[SATURATE]);
    brim_run_report_free(r);
    brim_dots_free(&a.dots);
    brim_data_free(data);
    brim_graph_free(quantized);
    brim_ctx_free(ctx);
}

#define D BRIM_DATA_DIR "/"

static void resnet8(void **state)
{
    (void)state;
    REQUIRE_DATA("mlperf-tiny/models/resnet8-cifar10-float.onnx");
    REQUIRE_DATA("cifar10/data_batch_1.bin.gz");
    REQUIRE_DATA("cifar10/test_first1000.bin.gz");
    check_model(D "mlperf-tiny/models/resnet8-cifar10-float.onnx",
                "cifar:" D "cifar10/data_batch_1.bin.gz?limit=32",
                "cifar:" D "cifar10/test_first1000.bin.gz?limit=2", 10);
}

static void mnist8(void **state)
{
    (void)state;
    REQUIRE_DATA("models-mnist/mnist-8.onnx");
    REQUIRE_DATA("mnist/train-images-idx3-ubyte.gz");
    REQUIRE_DATA("mnist/t10k-images-idx3-ubyte.gz");
    check_model(
        D "models-mnist/mnist-8.onnx",
        "idx:" D "mnist/train-images-idx3-ubyte.gz:" D "mnist/train-labels-idx1-ubyte.gz?limit=32",
        "idx:" D "mnist/t10k-images-idx3-ubyte.gz:" D "mnist/t10k-labels-idx1-ubyte.gz?limit=8", 3);
}

static void glyphs(void **state)
{
    (void)state;
    check_model(BRIM_SOURCE_DIR "/examples/glyphs/glyphs.onnx", "synth:glyphs?limit=64&seed=1",
                "synth:glyphs?limit=24&seed=3", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(glyphs),
        cmocka_unit_test(resnet8),
        cmocka_unit_test(mnist8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
