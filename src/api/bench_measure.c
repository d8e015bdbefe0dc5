/* bench_measure.c - see bench_measure.h. SPDX-License-Identifier: Apache-2.0 */
#include "api/bench_measure.h"

#include <string.h>

#include "kernels/probe.h"

#define MAX_PROBES  32
#define WARM_CALLS  4
#define WARM_LONG   0.02   /* seconds: caches have forgotten the beginning of such a call */
#define WARM_LEAST  200e-6 /* seconds of warm calls: far above the clock's own cost */
#define PROBE_TIME  200e-6
#define PROBE_FIRST 64 /* rounds, to find out how many fill PROBE_TIME */

/* ---- filters, cases ---- */

bool brim_bench_wants_family(const struct brim_bench *b, const char *family)
{
    return b->params->family == NULL || strcmp(b->params->family, family) == 0;
}

bool brim_bench_wants_shape(const struct brim_bench *b, const char *shape)
{
    return b->params->shape == NULL || strcmp(b->params->shape, shape) == 0;
}

struct brim_bench_case *brim_bench_add(struct brim_bench *b, const struct brim_bench_case *c)
{
    if (b->n_cases == BRIM_BENCH_MAX_CASES) {
        (void)brim_fail(b->ctx, BRIM_ERR_INTERNAL, "bench: more than %d lines",
                        BRIM_BENCH_MAX_CASES);
        return NULL;
    }
    b->cases[b->n_cases] = *c;
    return &b->cases[b->n_cases++];
}

/* ---- one set ---- */

struct probe_times {
    const struct brim_probe *probe; /* NULL = the chain */
    uint64_t rounds;
    double *seconds; /* of one multiply-accumulate, or of one cycle */
};

struct set {
    struct brim_bench *b;
    size_t repeat;
    size_t n_probes;
    struct probe_times probe[MAX_PROBES];
    unsigned *calls; /* of each case's warm part */
};

static double run_probe(const struct probe_times *t, uint64_t rounds)
{
    const double start = brim_bench_now();

    if (t->probe != NULL) {
        t->probe->run(rounds);
        return (brim_bench_now() - start) / ((double)rounds * t->probe->macs);
    }
    brim_probe_chain(rounds);
    return (brim_bench_now() - start) / ((double)rounds * BRIM_PROBE_CHAIN);
}

static brim_status add_probe(struct set *s, const struct brim_probe *probe)
{
    struct probe_times *t = &s->probe[s->n_probes];
    const double each = probe != NULL ? probe->macs : BRIM_PROBE_CHAIN;

    *t = (struct probe_times){.probe = probe};
    t->seconds = brim_arena_zalloc(s->b->arena, s->repeat, sizeof *t->seconds);
    if (t->seconds == NULL) {
        return BRIM_ERR_NOMEM;
    }
    (void)run_probe(t, PROBE_FIRST);
    const double one = run_probe(t, PROBE_FIRST) * each;
    t->rounds = (uint64_t)(PROBE_TIME / (one > 1e-9 ? one : 1e-9)) + 1;
    s->n_probes++;
    return BRIM_OK;
}

static const struct brim_probe *find_probe(const struct brim_bench *b, const char *name)
{
    for (size_t i = 0; name != NULL && i < brim_probe_count; i++) {
        if (strcmp(brim_probes[i].name, name) == 0 && (brim_probes[i].isa & ~b->ctx->isa) == 0) {
            return &brim_probes[i];
        }
    }
    return NULL;
}

static const struct probe_times *times_of(const struct set *s, const struct brim_probe *probe)
{
    for (size_t i = 0; i < s->n_probes; i++) {
        if (s->probe[i].probe == probe) {
            return &s->probe[i];
        }
    }
    return NULL;
}

/* The chain first, then each probe that bounds a case. */
static brim_status add_probes(struct set *s)
{
    BRIM_TRY(add_probe(s, NULL));
    for (size_t i = s->b->first; i < s->b->n_cases; i++) {
        const struct brim_probe *p = find_probe(s->b, s->b->cases[i].limit);
        if (p != NULL && times_of(s, p) == NULL && s->n_probes < MAX_PROBES) {
            BRIM_TRY(add_probe(s, p));
        }
    }
    return BRIM_OK;
}

static double run_cold(const struct brim_bench_case *c, size_t round)
{
    memset(c->y, (int)round, c->y_bytes);
    const double start = brim_bench_now();
    c->run(c->state);
    const double seconds = brim_bench_now() - start;
    return seconds > 1e-9 ? seconds : 1e-9;
}

static double run_warm(const struct brim_bench_case *c, unsigned calls)
{
    const double start = brim_bench_now();

    for (unsigned i = 0; i < calls; i++) {
        c->run(c->state);
    }
    const double seconds = brim_bench_now() - start;
    return (seconds > 1e-9 ? seconds : 1e-9) / calls;
}

/* Room for the times, and one run of everything that is not counted. */
static brim_status prepare(struct set *s)
{
    struct brim_bench *b = s->b;

    s->calls = brim_arena_alloc(&b->set, b->n_cases - b->first, sizeof *s->calls);
    if (s->calls == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(add_probes(s));
    for (size_t i = b->first; i < b->n_cases; i++) {
        struct brim_bench_case *c = &b->cases[i];
        double *times = brim_arena_zalloc(b->arena, 3 * s->repeat, sizeof *times);
        if (times == NULL) {
            return BRIM_ERR_NOMEM;
        }
        c->cold = times;
        c->warm = times + s->repeat;
        c->least = find_probe(b, c->limit) != NULL ? times + 2 * s->repeat : NULL;
        c->cycle = s->probe[0].seconds;
        BRIM_TRY(brim_progress(b->ctx, c->shape, 0, s->repeat));
        const double once = run_cold(c, 0);
        s->calls[i - b->first] = once > WARM_LONG ? 1 : (unsigned)(WARM_LEAST / once) + WARM_CALLS;
    }
    return BRIM_OK;
}

/* A case's probe runs right behind it: 64-byte multiplications lower the clock, by a seventh where
 * this was measured, and for some 10 milliseconds. */
static void run_round(struct set *s, size_t round)
{
    struct brim_bench *b = s->b;

    for (size_t i = b->first; i < b->n_cases; i++) {
        struct brim_bench_case *c = &b->cases[i];

        c->cold[round] = run_cold(c, round);
        c->warm[round] = run_warm(c, s->calls[i - b->first]);
        if (c->least != NULL) {
            const struct probe_times *t = times_of(s, find_probe(b, c->limit));
            const double scale = c->limit_scale > 0 ? c->limit_scale : 1;
            c->least[round] = c->macs / scale * run_probe(t, t->rounds);
        }
    }
    s->probe[0].seconds[round] = run_probe(&s->probe[0], s->probe[0].rounds);
}

brim_status brim_bench_measure(struct brim_bench *b)
{
    struct set s = {.b = b, .repeat = b->params->repeat};
    brim_status status = BRIM_OK;

    if (b->n_cases > b->first) {
        status = prepare(&s);
        for (size_t i = 0; status == BRIM_OK && i < s.repeat; i++) {
            status = brim_progress(b->ctx, b->cases[b->first].shape, i, s.repeat);
            if (status == BRIM_OK) {
                run_round(&s, i);
            }
        }
    }
    brim_bench_drop(b);
    return status;
}

void brim_bench_drop(struct brim_bench *b)
{
    for (; b->first < b->n_cases; b->first++) {
        const struct brim_bench_case *c = &b->cases[b->first];
        if (c->destroy != NULL) {
            c->destroy(b->ctx, c->state);
        }
    }
    brim_arena_free(&b->set);
}

/* ---- limits ---- */

brim_status brim_bench_limits(struct brim_bench *b, brim_bench_report *r)
{
    struct set s = {.b = b, .repeat = b->params->repeat};
    brim_bench_limit *limit = brim_arena_zalloc(b->arena, brim_probe_count + 1, sizeof *limit);

    if (limit == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(add_probe(&s, NULL));
    for (size_t i = 0; i < brim_probe_count && s.n_probes < MAX_PROBES; i++) {
        if ((brim_probes[i].isa & ~b->ctx->isa) == 0) {
            BRIM_TRY(add_probe(&s, &brim_probes[i]));
        }
    }
    for (size_t round = 0; round < s.repeat; round++) {
        BRIM_TRY(brim_progress(b->ctx, "limits", round, s.repeat));
        for (size_t i = 0; i < s.n_probes; i++) {
            s.probe[i].seconds[round] = run_probe(&s.probe[i], s.probe[i].rounds);
        }
    }
    const double *cycle = s.probe[0].seconds;
    r->ghz = 1e-9 / brim_bench_median(cycle, s.repeat);
    for (size_t i = 1; i < s.n_probes; i++) {
        const struct probe_times *t = &s.probe[i];
        limit[r->n_limits++] =
            (brim_bench_limit){.name = t->probe->name,
                               .what = t->probe->what,
                               .gmacs = 1e-9 / brim_bench_median(t->seconds, s.repeat),
                               .per_cycle = brim_bench_ratio(cycle, t->seconds, s.repeat)};
    }
    r->limits = limit;
    return BRIM_OK;
}
