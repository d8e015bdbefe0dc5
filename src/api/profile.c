/* profile.c - the microscope: one exact run, judged for all widths and orders.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The run adds up exactly, so every layer sees the inputs of the exact network and is judged on its
 * own; profile_see.c keeps what goes by, profile_report.c reads all widths from it.
 */
#include "brim/profile.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/profile_parts.h"

#define MOST_ROUNDS 1000
#define MOST_TOP    1000

struct report {
    brim_profile_report base; /* first: the public pointer is this one */
    struct brim_arena arena;
};

void brim_profile_params_init(brim_profile_params *p)
{
    *p = (brim_profile_params){.first_width = 8,
                               .last_width = 24,
                               .n_orders = 4,
                               .order = {{.mode = BRIM_MODE_SATURATE},
                                         {.mode = BRIM_MODE_WRAP},
                                         {.mode = BRIM_MODE_SORTED},
                                         {.mode = BRIM_MODE_GREEDY}},
                               .sampled = 1000,
                               .top = 20,
                               .seed = 1};
}

/* ---- orders ---- */

/* A number of rounds, without leading zeros; 0 when it is none. */
static uint32_t parse_rounds(const char *text)
{
    uint32_t rounds = 0;

    if (text[0] == '0' || strlen(text) > 4) {
        return 0;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        rounds = rounds * 10 + (uint32_t)(*text - '0');
    }
    return *text == '\0' && rounds <= MOST_ROUNDS ? rounds : 0;
}

brim_status brim_profile_order_parse(brim_ctx *ctx, const char *text, brim_profile_order *order)
{
    static const struct {
        const char *name;
        brim_mode mode;
    } known[] = {{"natural", BRIM_MODE_SATURATE},
                 {"wrap", BRIM_MODE_WRAP},
                 {"q", BRIM_MODE_SORTED},
                 {"g", BRIM_MODE_GREEDY}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, text) == 0) {
            *order = (brim_profile_order){.mode = known[i].mode};
            return BRIM_OK;
        }
    }
    const uint32_t rounds = text[0] == 'q' ? parse_rounds(text + 1) : 0;
    if (rounds == 0) {
        return brim_fail(ctx, BRIM_ERR_ARG, "order '%s', expected natural, wrap, q, q1..q%d or g",
                         text, MOST_ROUNDS);
    }
    *order = (brim_profile_order){.mode = BRIM_MODE_SORTED, .rounds = rounds};
    return BRIM_OK;
}

void brim_profile_order_print(const brim_profile_order *order, char text[BRIM_PROFILE_ORDER_TEXT])
{
    if (order->mode == BRIM_MODE_SORTED && order->rounds > 0) {
        (void)snprintf(text, BRIM_PROFILE_ORDER_TEXT, "q%u", (unsigned)order->rounds);
    } else {
        (void)snprintf(text, BRIM_PROFILE_ORDER_TEXT, "%s",
                       order->mode == BRIM_MODE_SATURATE ? "natural"
                       : order->mode == BRIM_MODE_WRAP   ? "wrap"
                       : order->mode == BRIM_MODE_SORTED ? "q"
                                                         : "g");
    }
}

/* ---- the run ---- */

static brim_status check_width(brim_ctx *ctx, const char *what, unsigned width)
{
    if (width < 2 || width > BRIM_PROFILE_MAX_WIDTH) {
        return brim_fail(ctx, BRIM_ERR_ARG, "%s %u, expected 2..%d bits", what, width,
                         BRIM_PROFILE_MAX_WIDTH);
    }
    return BRIM_OK;
}

static brim_status check_params(brim_ctx *ctx, const brim_profile_params *p)
{
    BRIM_TRY(check_width(ctx, "first width", p->first_width));
    BRIM_TRY(check_width(ctx, "last width", p->last_width));
    if (p->first_width > p->last_width) {
        return brim_fail(ctx, BRIM_ERR_ARG, "widths %u..%u are an empty range", p->first_width,
                         p->last_width);
    }
    if (p->at != 0) {
        BRIM_TRY(check_width(ctx, "width of first overflows", p->at));
    }
    if (p->n_orders < 1 || p->n_orders > BRIM_PROFILE_MAX_ORDERS || p->top > MOST_TOP ||
        p->sampled > UINT32_MAX) {
        return brim_fail(ctx, BRIM_ERR_ARG, "%zu orders, expected 1..%d; top %zu, expected 0..%d",
                         p->n_orders, BRIM_PROFILE_MAX_ORDERS, p->top, MOST_TOP);
    }
    for (size_t i = 0; i < p->n_orders; i++) {
        if (p->order[i].mode > BRIM_MODE_GREEDY ||
            (p->order[i].rounds > 0 && p->order[i].mode != BRIM_MODE_SORTED)) {
            return brim_fail(ctx, BRIM_ERR_ARG, "order %zu is none that a profile knows", i);
        }
    }
    return BRIM_OK;
}

/* Which layers are seen, and memory for them. */
static brim_status open_job(void *user, const struct brim_plan *plan)
{
    struct brim_profile_job *j = user;
    const char *reason = NULL;
    size_t seen = 0;

    j->left_out = brim_arena_zalloc(&j->arena, j->dots.count, sizeof(char *));
    if (j->left_out == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < j->dots.count; i++) {
        const brim_datapath *dp;
        const bool runs = brim_plan_dot_runs(plan, i, &dp);
        if (brim_plan_dot_observed(plan, i)) {
            seen++;
            continue;
        }
        j->left_out[i] = j->dots.dot[i].vector > 0 ? "its vectors have scales of their own"
                         : runs                    ? "its partial sums may exceed 32 bits"
                                                   : "runs in float";
        j->partial |= runs;
        j->vectors |= j->dots.dot[i].vector > 0;
        reason = runs || j->vectors ? j->left_out[i] : reason;
    }
    if (seen == 0 && reason == NULL) {
        return brim_fail(j->ctx, BRIM_ERR_ARG,
                         "the model has no integer dot layer to profile: quantize it first");
    }
    if (seen == 0) {
        return brim_fail(j->ctx, BRIM_ERR_UNSUPPORTED, "no layer can be profiled: %s", reason);
    }
    return brim_profile_open_workers(j);
}

static void keep_best(void *user, size_t sample, const float *y, size_t n)
{
    const struct brim_profile_job *j = user;

    j->best[sample] = brim_profile_best(y, n);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static brim_status run(struct brim_profile_job *j, struct brim_arena *arena, brim_profile_report *r)
{
    const struct brim_run_watch watch = {.user = j, .open = open_job, .see = brim_profile_see};
    const double start = now();
    brim_run_params p;
    brim_run_report *report;

    j->samples = brim_data_count(j->data);
    BRIM_TRY(brim_dots_find(j->ctx, j->g, &j->dots));
    brim_run_params_init(&p);
    if (j->p->predictions) {
        j->best = brim_arena_zalloc(&j->arena, j->samples, sizeof *j->best);
        if (j->best == NULL) {
            return BRIM_ERR_NOMEM;
        }
        p.output = keep_best;
        p.user = j;
    }
    BRIM_TRY(brim_run_watched(j->ctx, j->g, j->data, &p, &watch, &report));
    r->samples = report->samples;
    r->labelled = report->labelled;
    r->top1 = report->top1;
    brim_run_report_free(report);
    BRIM_TRY(brim_profile_report_layers(j, arena, r));
    r->seconds = now() - start;
    if (j->p->predictions) {
        BRIM_TRY(brim_profile_predict(j, arena, r));
        r->prediction_seconds = now() - start - r->seconds;
    }
    return BRIM_OK;
}

brim_status brim_profile(brim_ctx *ctx, const brim_graph *graph, const brim_data *data,
                         const brim_profile_params *params, brim_profile_report **report)
{
    brim_profile_params defaults;

    brim_clear_error(ctx);
    brim_profile_params_init(&defaults);
    struct brim_profile_job j = {
        .ctx = ctx, .g = graph, .data = data, .p = params != NULL ? params : &defaults};
    BRIM_TRY(check_params(ctx, j.p));
    struct report *r = brim_zalloc(ctx, 1, sizeof *r);
    if (r == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&r->arena, ctx);
    brim_arena_init(&j.arena, ctx);
    brim_arena_init(&j.dots.arena, ctx);
    j.widths = j.p->last_width - j.p->first_width + 1;
    r->base.first_width = j.p->first_width;
    r->base.last_width = j.p->last_width;
    r->base.n_orders = j.p->n_orders;
    memcpy(r->base.order, j.p->order, sizeof r->base.order);
    const brim_status status = run(&j, &r->arena, &r->base);
    brim_dots_free(&j.dots);
    brim_arena_free(&j.arena);
    if (status != BRIM_OK) {
        brim_profile_report_free(&r->base);
        return status;
    }
    *report = &r->base;
    return BRIM_OK;
}

void brim_profile_report_free(brim_profile_report *report)
{
    if (report == NULL) {
        return;
    }
    struct report *r = (struct report *)report;
    brim_ctx *ctx = r->arena.ctx;

    brim_arena_free(&r->arena);
    brim_free(ctx, r);
}
