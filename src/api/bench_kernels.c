/* bench_kernels.c - every kernel against this machine's limits and against others' kernels.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "api/bench_measure.h"

const struct brim_bench_family brim_bench_families[] = {
    {"conv", brim_bench_conv},         {"depthwise", brim_bench_depthwise},
    {"gemm", brim_bench_gemm},         {"gemv", brim_bench_gemv},
    {"lookup", brim_bench_lookup},     {"sparse", brim_bench_sparse},
    {"simulate", brim_bench_simulate},
};
const size_t brim_bench_family_count = sizeof brim_bench_families / sizeof *brim_bench_families;

struct report {
    brim_bench_report pub; /* first: freed by this address */
    struct brim_arena arena;
};

void brim_bench_params_init(brim_bench_params *p)
{
    *p = (brim_bench_params){.repeat = 11};
}

static brim_status check_params(brim_ctx *ctx, const brim_bench_params *p)
{
    bool known = p->family == NULL;

    if (p->repeat < 1 || p->repeat > BRIM_BENCH_MAX_REPEAT) {
        return brim_fail(ctx, BRIM_ERR_ARG, "bench of %u rounds, expected 1..%d", p->repeat,
                         BRIM_BENCH_MAX_REPEAT);
    }
    for (size_t i = 0; i < brim_bench_family_count && !known; i++) {
        known = strcmp(brim_bench_families[i].name, p->family) == 0;
    }
    if (!known) {
        char names[128] = "";
        for (size_t i = 0; i < brim_bench_family_count; i++) {
            const size_t used = strlen(names);
            (void)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "",
                           brim_bench_families[i].name);
        }
        return brim_fail(ctx, BRIM_ERR_ARG, "no family '%s', expected one of %s", p->family, names);
    }
    return BRIM_OK;
}

static brim_status run_families(struct brim_bench *b)
{
    for (size_t i = 0; i < brim_bench_family_count; i++) {
        if (brim_bench_wants_family(b, brim_bench_families[i].name)) {
            const brim_status status = brim_bench_families[i].run(b);
            if (status != BRIM_OK) {
                brim_bench_drop(b);
                return status;
            }
        }
    }
    if (b->n_cases == 0 && b->params->shape != NULL) {
        return brim_fail(b->ctx, BRIM_ERR_ARG, "no shape '%s'%s%s", b->params->shape,
                         b->params->family != NULL ? " in family " : "",
                         b->params->family != NULL ? b->params->family : "");
    }
    return BRIM_OK;
}

static brim_status make_lines(const struct brim_bench *b, struct report *r)
{
    const size_t n = b->params->repeat;
    brim_bench_line *line = brim_arena_zalloc(&r->arena, b->n_cases + 1, sizeof *line);

    if (line == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < b->n_cases; i++) {
        const struct brim_bench_case *c = &b->cases[i];
        line[i] = (brim_bench_line){
            .family = c->family,
            .shape = c->shape,
            .kind = c->kind,
            .name = c->name,
            .peer = c->peer,
            .cold = 1e-9 * c->macs / brim_bench_median(c->cold, n),
            .warm = 1e-9 * c->macs / brim_bench_median(c->warm, n),
            .limit = c->least != NULL ? c->limit : NULL,
            .cold_share = c->least != NULL ? brim_bench_ratio(c->least, c->cold, n) : 0,
            .warm_share = c->least != NULL ? brim_bench_ratio(c->least, c->warm, n) : 0,
            .per_cycle = c->macs * brim_bench_ratio(c->cycle, c->warm, n)};
    }
    r->pub.lines = line;
    r->pub.n_lines = b->n_cases;
    return BRIM_OK;
}

static brim_status measure_all(struct brim_bench *b, struct report *r)
{
    b->cases = brim_arena_zalloc(&r->arena, BRIM_BENCH_MAX_CASES, sizeof *b->cases);
    if (b->cases == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_bench_limits(b, &r->pub));
    BRIM_TRY(run_families(b));
    BRIM_TRY(make_lines(b, r));
    return brim_bench_goals(b, &r->pub);
}

brim_status brim_bench_kernels(brim_ctx *ctx, const brim_bench_params *params,
                               brim_bench_report **report)
{
    brim_bench_params defaults;
    struct brim_bench_affinity affinity;
    struct brim_bench b = {.ctx = ctx, .params = params};

    brim_clear_error(ctx);
    if (params == NULL) {
        brim_bench_params_init(&defaults);
        b.params = &defaults;
    }
    BRIM_TRY(check_params(ctx, b.params));
    struct report *r = brim_zalloc(ctx, 1, sizeof *r);
    if (r == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&r->arena, ctx);
    brim_arena_init(&b.set, ctx);
    b.arena = &r->arena;
    brim_bench_pin(&affinity);
    r->pub.cpu = affinity.cpu;
    const brim_status status = measure_all(&b, r);
    brim_bench_unpin(&affinity);
    brim_arena_free(&b.set);
    if (status != BRIM_OK) {
        brim_bench_report_free(&r->pub);
        return status;
    }
    *report = &r->pub;
    return BRIM_OK;
}

void brim_bench_report_free(brim_bench_report *report)
{
    if (report == NULL) {
        return;
    }
    struct report *r = (struct report *)report; /* pub is its first member */
    brim_ctx *ctx = r->arena.ctx;

    brim_arena_free(&r->arena);
    brim_free(ctx, r);
}
