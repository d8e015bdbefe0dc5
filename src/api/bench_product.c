/* bench_product.c - see bench_product.h. SPDX-License-Identifier: Apache-2.0 */
#include "api/bench_product.h"

#include <string.h>

#include "base/cpu.h"
#include "base/intops.h"
#include "base/rng.h"
#include "kernels/gemm.h"
#include "kernels/gemm_variant.h"

/* ---- inputs ---- */

brim_status brim_bench_job_create(struct brim_bench_job *job, bool *wanted)
{
    struct brim_bench *b = job->b;
    struct brim_arena *a = &b->set;
    struct brim_rng r;

    job->macs = (double)job->m * (double)job->n * (double)job->k;
    job->shape =
        brim_arena_printf(b->arena, "%zux%zux%zu%s%s", job->m, job->n, job->k,
                          job->label != NULL ? " " : "", job->label != NULL ? job->label : "");
    if (job->shape == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *wanted = brim_bench_wants_shape(b, job->shape);
    if (!*wanted) {
        return BRIM_OK;
    }
    job->w = brim_arena_alloc(a, job->n * job->k, sizeof *job->w);
    job->w8 = brim_arena_alloc(a, job->n * job->k, 1);
    job->x = brim_arena_alloc(a, job->m * job->k + 64, 1);
    job->first = brim_arena_alloc(a, job->m * job->n, sizeof *job->first);
    job->y = brim_arena_alloc(a, job->m * job->n, sizeof *job->first);
    job->multiplier = brim_arena_alloc(a, job->n, sizeof *job->multiplier);
    if (job->w == NULL || job->w8 == NULL || job->x == NULL || job->first == NULL ||
        job->y == NULL || job->multiplier == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_rng_init(&r, b->ctx->params.seed, 0);
    for (size_t i = 0; i < job->m * job->k + 64; i++) {
        job->x[i] = (uint8_t)brim_rng_below(&r, (uint64_t)job->x_max + 1);
    }
    for (size_t c = 0; c < job->n; c++) {
        job->multiplier[c] = 1.0F / 256.0F;
    }
    job->asked = (brim_bench_product){
        .m = job->m, .n = job->n, .k = job->k, .x = job->x, .w = job->w8, .y = job->y};
    return BRIM_OK;
}

void brim_bench_job_weights_ready(struct brim_bench_job *job)
{
    for (size_t i = 0; i < job->n * job->k; i++) {
        job->w8[i] = (int8_t)job->w[i];
    }
    job->checked = false;
}

void brim_bench_certified_weights(struct brim_bench_job *job, size_t tile)
{
    const int64_t lane = INT16_MAX / job->x_max; /* of one sign, in a lane */
    const int64_t fill = 8 * lane * 4 / 5 / (int64_t)tile;
    const int64_t most = brim_max_i64(2, brim_min_i64(127, fill));
    struct brim_rng r;

    brim_rng_init(&r, job->b->ctx->params.seed, tile);
    for (size_t c = 0; c < job->n; c++) {
        int64_t left[2][2] = {{0}}; /* [lane][sign] */
        for (size_t i = 0; i < job->k; i++) {
            if (i % tile == 0) {
                left[0][0] = left[0][1] = left[1][0] = left[1][1] = lane;
            }
            int64_t *room = left[i / 2 % 2];
            const int64_t code = brim_rng_range(&r, -most, most);
            const int64_t size = brim_min_i64(code < 0 ? -code : code, room[code < 0]);
            room[code < 0] -= size;
            job->w[c * job->k + i] = (int32_t)(code < 0 ? -size : size);
        }
    }
    brim_bench_job_weights_ready(job);
}

void brim_bench_random_weights(struct brim_bench_job *job, int lo, int hi)
{
    struct brim_rng r;

    brim_rng_init(&r, job->b->ctx->params.seed, 1);
    for (size_t i = 0; i < job->n * job->k; i++) {
        job->w[i] = (int32_t)brim_rng_range(&r, lo, hi);
    }
    brim_bench_job_weights_ready(job);
}

struct brim_epilogue brim_bench_epilogue(const struct brim_bench_job *job, enum brim_emit emit)
{
    return (struct brim_epilogue){
        .emit = emit, .multiplier = job->multiplier, .lo = -128, .hi = 127, .zero = 128};
}

/* ---- cases ---- */

/* The totals must be those of the first that ran on these weights. */
static brim_status check_totals(struct brim_bench_job *job, const char *name)
{
    const size_t bytes = job->m * job->n * sizeof(int32_t);

    if (job->checked && memcmp(job->y, job->first, bytes) != 0) {
        return brim_fail(job->b->ctx, BRIM_ERR_INTERNAL,
                         "bench: %s on %s: totals differ from those of %s", name, job->shape,
                         job->checked_by);
    }
    if (!job->checked) {
        memcpy(job->first, job->y, bytes);
        job->checked = true;
        job->checked_by = name;
    }
    return BRIM_OK;
}

brim_status brim_bench_job_add(struct brim_bench_job *job, const struct brim_bench_case *c,
                               bool totals)
{
    struct brim_bench_case full = *c;

    full.family = job->family;
    full.shape = job->shape;
    full.macs = job->macs;
    full.y = job->y;
    full.y_bytes = job->m * job->n * sizeof(int32_t);
    if (brim_bench_add(job->b, &full) == NULL) {
        if (c->destroy != NULL) {
            c->destroy(job->b->ctx, c->state);
        }
        return BRIM_ERR_INTERNAL;
    }
    c->run(c->state);
    return totals ? check_totals(job, c->name) : BRIM_OK;
}

/* ---- gemm ---- */

struct gemm {
    struct brim_gemm *gemm;
    struct brim_gemm_rows rows;
};

static void run_gemm(void *state)
{
    const struct gemm *g = state;

    brim_gemm_run(g->gemm, &g->rows);
}

static void free_gemm(brim_ctx *ctx, void *state)
{
    brim_gemm_free(ctx, ((struct gemm *)state)->gemm);
}

/* The probe of a variant: its instruction set's, for the additions that it needs. */
static const char *limit_of(const struct brim_gemm_variant *v)
{
    static const struct {
        uint32_t isa;
        const char *name[3]; /* by need */
    } limits[] = {
        {BRIM_ISA_AMX, {"amx", NULL, NULL}},
        {BRIM_ISA_AVX512VNNI, {"avx512vnni", NULL, NULL}},
        {BRIM_ISA_AVXVNNI, {"avxvnni", NULL, NULL}},
        {BRIM_ISA_AVX512, {"avx512-32", "avx512-pair", "avx512-16"}},
        {BRIM_ISA_AVX2, {"avx2-32", "avx2-pair", "avx2-16"}},
        {BRIM_ISA_SSE41, {"sse41-32", "sse41-pair", "sse41-16"}},
    };

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if ((v->isa & limits[i].isa) != 0) {
            return limits[i].name[v->need];
        }
    }
    return NULL;
}

brim_status brim_bench_add_gemm(struct brim_bench_job *job, const struct brim_gemm_variant *v,
                                const char *name, const char *kind, enum brim_emit emit)
{
    struct brim_bench *b = job->b;
    struct gemm *g = brim_arena_zalloc(&b->set, 1, sizeof *g);
    const struct brim_gemm_params p = {.w = job->w,
                                       .n = job->n,
                                       .k = job->k,
                                       .segments = 1,
                                       .x_max = job->x_max,
                                       .epilogue = brim_bench_epilogue(job, emit),
                                       .variant = v != NULL ? v->name : NULL};

    if (v != NULL && (v->isa & ~b->ctx->isa) != 0) {
        return BRIM_OK;
    }
    if (g == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_gemm_create(b->ctx, &p, &g->gemm));
    void *scratch = brim_arena_alloc(&b->set, brim_gemm_scratch(g->gemm, job->m) + 1, 1);
    if (scratch == NULL) {
        brim_gemm_free(b->ctx, g->gemm);
        return BRIM_ERR_NOMEM;
    }
    g->rows = (struct brim_gemm_rows){.m = job->m,
                                      .x = job->x,
                                      .x_stride = job->k,
                                      .slack = true,
                                      .y = job->y,
                                      .y_stride = job->n,
                                      .scratch = scratch};
    const struct brim_bench_case c = {
        .kind = kind,
        .name = name,
        .limit = limit_of(v != NULL ? v : brim_gemm_chosen(g->gemm, job->m)),
        .run = run_gemm,
        .state = g,
        .destroy = free_gemm};
    return brim_bench_job_add(job, &c, emit == BRIM_EMIT_ACC);
}

/* ---- peers ---- */

struct peer {
    const brim_bench_peer *peer;
    void *state;
};

static void run_peer(void *state)
{
    const struct peer *p = state;

    p->peer->run(p->state);
}

static void free_peer(brim_ctx *ctx, void *state)
{
    const struct peer *p = state;

    (void)ctx;
    p->peer->destroy(p->state);
}

brim_status brim_bench_add_peers(struct brim_bench_job *job)
{
    const brim_bench_params *params = job->b->params;

    for (size_t i = 0; i < params->n_peers; i++) {
        const brim_bench_peer *peer = &params->peers[i];
        struct peer *p = brim_arena_zalloc(&job->b->set, 1, sizeof *p);
        if (p == NULL) {
            return BRIM_ERR_NOMEM;
        }
        *p = (struct peer){.peer = peer, .state = peer->create(&job->asked)};
        if (p->state == NULL) {
            continue; /* it cannot */
        }
        const struct brim_bench_case c = {.kind = peer->totals ? "totals" : "own result",
                                          .name = peer->name,
                                          .peer = true,
                                          .run = run_peer,
                                          .state = p,
                                          .destroy = free_peer};
        BRIM_TRY(brim_bench_job_add(job, &c, peer->totals));
    }
    return BRIM_OK;
}
