/* test_profile.c - one exact run tells what runs on every width would: counts, predictions, places.
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>

#include "api/run_watch.h"
#include "brim/brim.h"
#include "graph/dot.h"

enum { NATURAL, WRAP, SORTED, ONE_ROUND, GREEDY, N_ORDERS };

struct job {
    brim_ctx *ctx;
    brim_graph *model;
    brim_data *data;
    brim_profile_params p;
    brim_profile_report *r;
};

static void open_job(struct job *j, int threads)
{
    brim_graph *net;
    brim_data *calib;
    brim_quantize_params q;
    brim_quantize_report *report;

    *j = (struct job){.ctx = testing_ctx(threads)};
    ASSERT_OK(j->ctx, brim_onnx_load(j->ctx, BRIM_SOURCE_DIR "/examples/glyphs/glyphs.onnx", &net));
    ASSERT_OK(j->ctx, brim_data_open(j->ctx, "synth:glyphs?limit=64&seed=1", &calib));
    ASSERT_OK(j->ctx, brim_data_open(j->ctx, "synth:glyphs?limit=24&seed=3", &j->data));
    brim_quantize_params_init(&q);
    ASSERT_OK(j->ctx, brim_datapath_parse(j->ctx, "24", &q.datapath));
    ASSERT_OK(j->ctx, brim_quantize(j->ctx, net, calib, &q, &j->model, &report));
    brim_quantize_report_free(report);
    brim_data_free(calib);
    brim_graph_free(net);
    brim_profile_params_init(&j->p);
    j->p.n_orders = N_ORDERS;
    j->p.order[ONE_ROUND] = (brim_profile_order){.mode = BRIM_MODE_SORTED, .rounds = 1};
    j->p.order[GREEDY] = (brim_profile_order){.mode = BRIM_MODE_GREEDY};
    j->p.sampled = 200;
}

static void profile(struct job *j)
{
    ASSERT_OK(j->ctx, brim_profile(j->ctx, j->model, j->data, &j->p, &j->r));
    assert_int_equal(j->r->samples, 24);
    assert_int_equal(j->r->n_layers, 4);
}

static void close_job(struct job *j)
{
    brim_profile_report_free(j->r);
    brim_data_free(j->data);
    brim_graph_free(j->model);
    brim_ctx_free(j->ctx);
}

static const brim_profile_cell *cell(const struct job *j, size_t layer, unsigned width,
                                     size_t order)
{
    return &j->r->layers[layer].cells[(width - j->r->first_width) * j->r->n_orders + order];
}

static unsigned most(const uint64_t *bits)
{
    unsigned m = 0;

    for (unsigned i = 2; i <= BRIM_PROFILE_MAX_WIDTH; i++) {
        m = bits[i] > 0 ? i : m;
    }
    return m;
}

/* ---- counts ---- */

static void histograms_hold_every_output(void **state)
{
    struct job j;
    (void)state;

    open_job(&j, 2);
    profile(&j);
    for (size_t i = 0; i < 4; i++) {
        const brim_profile_layer *l = &j.r->layers[i];
        uint64_t prefix = 0, total = 0, product = 0;
        for (unsigned b = 2; b <= BRIM_PROFILE_MAX_WIDTH; b++) {
            prefix += l->prefix_bits[b];
            total += l->total_bits[b];
            product += l->product_bits[b];
        }
        assert_null(l->left_out);
        assert_true(l->outputs > 0);
        assert_int_equal(prefix, l->outputs);
        assert_int_equal(total, l->outputs);
        assert_int_equal(product, l->outputs);
        assert_int_equal(most(l->prefix_bits), brim_width_of(l->prefix.lo, l->prefix.hi));
        assert_true(l->range.lo <= l->prefix.lo && l->prefix.hi <= l->range.hi);
        assert_true(l->prefix.lo <= l->total.lo && l->total.hi <= l->prefix.hi);
        assert_int_equal(l->need, brim_width_of(l->range.lo, l->range.hi));
        assert_true(most(l->product_bits) <= l->product_need);
    }
    close_job(&j);
}

/* brim_run() on a register of `width` bits; layers whose inputs are still exact must have the
 * profile's counts. `harmless`: what earlier layers may have had without a change of values. */
static void compare_run(const struct job *j, unsigned width, brim_mode mode, size_t order,
                        size_t *compared)
{
    const brim_datapath dp = {.n_stages = 1, .stage = {{.width = (uint8_t)width, .mode = mode}}};
    brim_run_params p;
    brim_run_report *r;
    bool exact = true;

    brim_run_params_init(&p);
    p.datapath = &dp;
    ASSERT_OK(j->ctx, brim_run(j->ctx, j->model, j->data, &p, &r));
    assert_int_equal(r->n_layers, 4);
    for (size_t i = 0; i < 4 && exact; i++) {
        const brim_profile_cell *c = cell(j, i, width, order);
        const brim_profile_cell *natural = cell(j, i, width, NATURAL);
        const bool sorts = mode == BRIM_MODE_SORTED || mode == BRIM_MODE_GREEDY;
        assert_int_equal(r->layers[i].outputs, j->r->layers[i].outputs);
        assert_int_equal(r->layers[i].persistent, c->persistent);
        assert_int_equal(r->layers[i].product, c->product);
        assert_int_equal(r->layers[i].min_width, most(j->r->layers[i].prefix_bits));
        if (!sorts) {
            assert_int_equal(r->layers[i].transient, natural->transient);
        } else if (c->product == 0) {
            assert_int_equal(r->layers[i].transient, 0);
            assert_int_equal(c->transient, 0);
            assert_int_equal(c->examined, r->layers[i].outputs);
        }
        *compared += i > 0;
        exact = c->persistent == 0 && (mode != BRIM_MODE_SATURATE || c->transient == 0) &&
                (!sorts || c->product == 0);
    }
    brim_run_report_free(r);
}

static void counts_are_those_of_runs(void **state)
{
    struct job j;
    size_t deep[N_ORDERS] = {0};
    (void)state;

    open_job(&j, 2);
    profile(&j);
    for (unsigned width = 8; width <= 24; width++) {
        compare_run(&j, width, BRIM_MODE_SATURATE, NATURAL, &deep[NATURAL]);
        compare_run(&j, width, BRIM_MODE_WRAP, WRAP, &deep[WRAP]);
        if (width >= 13) { /* narrower, every product is a case for the reference */
            compare_run(&j, width, BRIM_MODE_SORTED, SORTED, &deep[SORTED]);
            compare_run(&j, width, BRIM_MODE_GREEDY, GREEDY, &deep[GREEDY]);
        }
        assert_int_equal(cell(&j, 0, width, WRAP)->transient, 0);
    }
    assert_true(cell(&j, 0, 16, NATURAL)->transient > 0);
    assert_true(cell(&j, 0, 10, NATURAL)->product > 0);
    assert_true(deep[NATURAL] > 0 && deep[WRAP] > 0 && deep[SORTED] > 0 && deep[GREEDY] > 0);
    close_job(&j);
}

static void sampled_orders_say_how_many(void **state)
{
    struct job j;
    uint64_t one_round = 0, natural = 0;
    (void)state;

    open_job(&j, 2);
    profile(&j);
    for (size_t i = 0; i < 4; i++) {
        for (unsigned width = 8; width <= 24; width++) {
            const brim_profile_cell *c = cell(&j, i, width, ONE_ROUND);
            const bool certified = width >= j.r->layers[i].need;
            assert_int_equal(c->examined, certified ? j.r->layers[i].outputs : 200);
            assert_true(c->transient <= c->examined && (!certified || c->transient == 0));
            one_round += c->transient;
            natural += cell(&j, i, width, NATURAL)->transient;
        }
    }
    assert_true(one_round > 0 && natural > 0);
    close_job(&j);
}

/* ---- places ---- */

struct replay {
    const struct job *j;
    const struct brim_dots *dots;
    size_t found;
    uint64_t transient[3], persistent[3]; /* of the last layer at 12, 14, 16 bits */
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
        x[i] = seen->codes == BRIM_DOT_UINT8 ? ((const uint8_t *)seen->x)[at + i]
                                             : ((const int8_t *)seen->x)[at + i];
    }
}

/* From the codes alone, the sum after `step` is the first outside. */
static void replay_one(struct replay *a, const struct brim_profile_overflow *o, const int32_t *w,
                       const int32_t *x, size_t k)
{
    const int64_t lo = brim_register_min(a->j->r->at), hi = brim_register_max(a->j->r->at);
    int64_t sum = 0, least = 0, most_sum = 0;

    for (size_t i = 0; i < k; i++) {
        sum += (int64_t)w[i] * x[i];
        least = sum < least ? sum : least;
        most_sum = sum > most_sum ? sum : most_sum;
        if (i < o->step) {
            assert_true(sum >= lo && sum <= hi);
        } else if (i == o->step) {
            assert_true(sum < lo || sum > hi);
            assert_int_equal(sum, o->prefix);
        }
    }
    assert_int_equal(sum, o->total);
    assert_int_equal(least, o->least);
    assert_int_equal(most_sum, o->most);
    assert_int_equal(brim_width_of(least, most_sum), o->bits);
    a->found++;
}

static void replay(void *user, int worker, size_t first, size_t samples,
                   const struct brim_dot_seen *seen)
{
    struct replay *a = user;
    const struct brim_dot *d = &a->dots->dot[seen->layer];
    const size_t positions = seen->rows / samples, n = d->n / d->groups;
    int32_t x[1024];
    int64_t scratch[2048];
    (void)worker;

    assert_true(d->k <= 1024);
    for (size_t i = 0; i < seen->m; i++) {
        widen(seen, i, d->k, x);
        for (size_t f = 0; f < a->j->r->n_first; f++) {
            const brim_profile_overflow *o = &a->j->r->first[f];
            if (o->layer == seen->layer && o->channel / n == seen->group &&
                o->sample == first + (seen->row + i) / positions &&
                o->position == (seen->row + i) % positions) {
                replay_one(a, o, d->w + o->channel * d->k, x, d->k);
            }
        }
        for (size_t c = 0; seen->layer == 3 && c < n; c++) {
            for (unsigned v = 0; v < 3; v++) {
                const brim_datapath dp = {
                    .n_stages = 1,
                    .stage = {{.width = (uint8_t)(12 + 2 * v), .mode = BRIM_MODE_SATURATE}}};
                brim_events ev;
                (void)brim_datapath_dot(&dp, d->w + c * d->k, x, d->k, scratch, &ev);
                a->transient[v] += ev.transient;
                a->persistent[v] += ev.persistent;
            }
        }
    }
}

static void first_overflows_can_be_reproduced(void **state)
{
    struct job j;
    struct brim_dots dots;
    brim_run_report *r;
    (void)state;

    open_job(&j, 1);
    j.p.at = 15;
    j.p.top = 30;
    profile(&j);
    ASSERT_OK(j.ctx, brim_dots_find(j.ctx, j.model, &dots));
    struct replay a = {.j = &j, .dots = &dots};
    const struct brim_run_watch watch = {.user = &a, .open = no_open, .see = replay};
    assert_int_equal(j.r->n_first, 30);
    assert_int_equal(j.r->at, 15);
    ASSERT_OK(j.ctx, brim_run_watched(j.ctx, j.model, j.data, NULL, &watch, &r));
    assert_int_equal(a.found, 30);
    for (unsigned v = 0; v < 3; v++) {
        assert_int_equal(a.transient[v], cell(&j, 3, 12 + 2 * v, NATURAL)->transient);
        assert_int_equal(a.persistent[v], cell(&j, 3, 12 + 2 * v, NATURAL)->persistent);
    }
    assert_true(a.transient[1] > 0 && a.persistent[1] > 0);
    brim_run_report_free(r);
    brim_dots_free(&dots);
    close_job(&j);
}

/* ---- predictions ---- */

static size_t *best;
static size_t changed;

static void keep_or_compare(void *user, size_t sample, const float *y, size_t n)
{
    size_t b = 0;

    for (size_t i = 1; i < n; i++) {
        b = y[i] > y[b] ? i : b;
    }
    if (user != NULL) {
        best[sample] = b;
    } else {
        changed += best[sample] != b;
    }
}

static size_t run_and_compare(const struct job *j, const brim_datapath *dp, bool keep)
{
    brim_run_params p;
    brim_run_report *r;

    brim_run_params_init(&p);
    p.datapath = dp;
    p.count = false;
    p.output = keep_or_compare;
    p.user = keep ? (void *)&p : NULL;
    changed = 0;
    ASSERT_OK(j->ctx, brim_run(j->ctx, j->model, j->data, &p, &r));
    const size_t top1 = r->top1;
    brim_run_report_free(r);
    return top1;
}

/* Also those that the absence of overflow tells without a run. */
static void predictions_are_those_of_runs(void **state)
{
    static const brim_mode mode[] = {BRIM_MODE_SATURATE, BRIM_MODE_WRAP, BRIM_MODE_SORTED,
                                     BRIM_MODE_SORTED, BRIM_MODE_GREEDY};
    struct job j;
    size_t lost = 0;
    (void)state;

    open_job(&j, 2);
    j.p.first_width = 11;
    j.p.last_width = 19;
    j.p.predictions = true;
    profile(&j);
    best = calloc(j.r->samples, sizeof *best);
    assert_non_null(best);
    assert_int_equal(run_and_compare(&j, NULL, true), j.r->top1);
    for (size_t i = 0; i < (size_t)9 * N_ORDERS; i++) {
        const brim_profile_prediction *p = &j.r->predictions[i];
        const brim_datapath dp = {.n_stages = 1,
                                  .stage = {{.width = (uint8_t)(11 + i / N_ORDERS),
                                             .mode = mode[i % N_ORDERS],
                                             .rounds = i % N_ORDERS == ONE_ROUND}}};
        assert_true(p->known);
        assert_int_equal(run_and_compare(&j, &dp, false), p->top1);
        assert_int_equal(changed, p->changed);
        lost += p->changed;
    }
    assert_true(cell(&j, 0, 11, SORTED)->product > 0 && lost > 0);
    free(best);
    close_job(&j);
}

/* ---- the rest ---- */

static void threads_change_nothing(void **state)
{
    struct job a, b;
    (void)state;

    open_job(&a, 1);
    open_job(&b, 3);
    a.p.at = b.p.at = 16;
    profile(&a);
    profile(&b);
    assert_int_equal(a.r->at, b.r->at);
    assert_int_equal(a.r->n_first, 20);
    assert_int_equal(b.r->n_first, 20);
    for (size_t i = 0; i < 20; i++) {
        const brim_profile_overflow *p = &a.r->first[i], *q = &b.r->first[i];
        assert_true(p->sample == q->sample && p->layer == q->layer && p->channel == q->channel &&
                    p->position == q->position && p->step == q->step && p->prefix == q->prefix);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_memory_equal(a.r->layers[i].cells, b.r->layers[i].cells,
                            sizeof(brim_profile_cell) * 17 * N_ORDERS);
    }
    close_job(&a);
    close_job(&b);
}

static void bad_input_is_refused(void **state)
{
    struct job j;
    brim_profile_order order;
    brim_graph *net;
    (void)state;

    open_job(&j, 1);
    j.p.first_width = 12;
    j.p.last_width = 10;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "widths 12..10 are an empty range",
                 brim_profile(j.ctx, j.model, j.data, &j.p, &j.r));
    j.p.first_width = 1;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "first width 1, expected 2..32",
                 brim_profile(j.ctx, j.model, j.data, &j.p, &j.r));
    j.p.first_width = 8;
    j.p.last_width = 33;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "last width 33",
                 brim_profile(j.ctx, j.model, j.data, &j.p, &j.r));
    j.p.last_width = 9;
    j.p.order[0].mode = BRIM_MODE_SPILL;
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "order 0", brim_profile(j.ctx, j.model, j.data, &j.p, &j.r));
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "order 'q0', expected natural",
                 brim_profile_order_parse(j.ctx, "q0", &order));
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "order ''", brim_profile_order_parse(j.ctx, "", &order));
    ASSERT_OK(j.ctx, brim_onnx_load(j.ctx, BRIM_SOURCE_DIR "/examples/glyphs/glyphs.onnx", &net));
    ASSERT_FAILS(j.ctx, BRIM_ERR_ARG, "quantize it first",
                 brim_profile(j.ctx, net, j.data, NULL, &j.r));
    brim_graph_free(net);
    close_job(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histograms_hold_every_output),
        cmocka_unit_test(counts_are_those_of_runs),
        cmocka_unit_test(sampled_orders_say_how_many),
        cmocka_unit_test(first_overflows_can_be_reproduced),
        cmocka_unit_test(predictions_are_those_of_runs),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(bad_input_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
