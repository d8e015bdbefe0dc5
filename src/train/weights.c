/* weights.c - see weights.h. SPDX-License-Identifier: Apache-2.0
 *
 * Regrowth    Zhou et al., "Learning N:M fine-grained structured sparse neural networks from scratch",
 *             arXiv 2102.04010 (SR-STE): the forward pass sees the largest weights of each group, the
 *             gradient of what it saw goes to all, and those that it did not see are pulled to 0, so
 *             that the pattern settles.
 * Differs     the pull is a share of the weight at each step, whatever the rate, not a term of the
 *             gradient: it goes on when the rate has fallen.
 * Example     v = (3, -1, 2, 0.5), 2 of 4: w = (3, 0, 2, 0). A step adds -2 to v[1]: v = (3, -3, 2,
 *             0.4999), w = (3, -3, 0, 0). -> tests/train/test_weights.c: regrown_worked_example. */
#include "train/weights.h"

#include <math.h>
#include <string.h>

#include "base/clones.h"
#include "base/parallel.h"
#include "train/weights_parts.h"

#define USUAL_SIZE 0.05     /* root mean square of weights that learn at the rate as it is */
#define FADING     0x1p-12F /* share that a weight outside the pattern loses at each step, REGROW */
#define REACH      60.0F    /* learned logarithms stay within +-REACH: scales a float can hold */

BRIM_CLONES static void fix_row(const float *restrict x, size_t n, float factor,
                                int32_t *restrict u)
{
    const float most = (float)BRIM_NEAREST_MAX;

    for (size_t i = 0; i < n; i++) {
        float y = x[i] * factor;
        y = y > -most ? y : -most; /* so that NaN is a number, too */
        y = y < most ? y : most;
        u[i] = (int32_t)(y + (y < 0.0F ? -0.5F : 0.5F));
    }
}

void brim_weights_fixed(const float *x, size_t n, float factor, const uint8_t *keep, int32_t *u)
{
    fix_row(x, n, factor, u);
    for (size_t i = 0; keep != NULL && i < n; i++) {
        u[i] = keep[i] != 0 ? u[i] : 0;
    }
}

BRIM_CLONES static void round_row(const int32_t *restrict u, size_t n, int32_t offset, int32_t qmax,
                                  int32_t *restrict q)
{
    for (size_t i = 0; i < n; i++) {
        const int32_t magnitude = u[i] < 0 ? -u[i] : u[i];
        const int32_t code = (magnitude + offset) >> BRIM_NEAREST_BITS;
        const int32_t most = code < qmax ? code : qmax;
        q[i] = u[i] < 0 ? -most : most;
    }
}

void brim_weights_round(const int32_t *u, size_t n, int32_t offset, int32_t qmax, int32_t *q)
{
    round_row(u, n, offset, qmax, q);
}

BRIM_CLONES static void narrow_row(const int32_t *restrict q, size_t n, int16_t *restrict codes)
{
    for (size_t i = 0; i < n; i++) {
        codes[i] = (int16_t)q[i];
    }
}

BRIM_CLONES static void real_row(const int16_t *restrict codes, size_t n, float scale,
                                 float *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = scale * (float)codes[i];
    }
}

void brim_weights_scale(struct brim_weights *w, size_t c)
{
    w->scale[c] = exp2f(w->d->value[c]);
}

void brim_weights_row(struct brim_weights *w, size_t c, struct brim_weights_scratch *s)
{
    brim_weights_scale(w, c);
    if (w->kind == BRIM_WEIGHTS_NORMED) {
        brim_normed_forward(w, c, s);
    } else {
        brim_latent_forward(w, c, s);
    }
    narrow_row(s->q, w->k, w->codes + c * w->k);
}

/* One job of brim_parallel_for() over the rows. */
struct job {
    struct brim_weights *w;
    const struct brim_weights_spec *spec;
    const float *dw;
    float *out;
};

static brim_status start_row(void *arg, size_t c, int worker)
{
    struct job *job = arg;
    struct brim_weights_scratch *s = &job->w->scratch[worker];

    brim_weights_start(job->w, c, job->spec, s);
    brim_weights_row(job->w, c, s);
    return BRIM_OK;
}

static brim_status forward_row(void *arg, size_t c, int worker)
{
    struct job *job = arg;
    struct brim_weights *w = job->w;

    brim_weights_row(w, c, &w->scratch[worker]);
    real_row(w->codes + c * w->k, w->k, w->scale[c], job->out + c * w->k);
    return BRIM_OK;
}

static brim_status backward_row(void *arg, size_t c, int worker)
{
    struct job *job = arg;
    struct brim_weights *w = job->w;
    struct brim_weights_scratch *s = &w->scratch[worker];
    const uint8_t *keep = brim_weights_keep(w, c);
    const float *dw = job->dw + c * w->k;

    if (keep != NULL) {
        for (size_t k = 0; k < w->k; k++) {
            s->masked[k] = keep[k] != 0 ? dw[k] : 0.0F;
        }
        dw = s->masked;
    }
    if (w->kind == BRIM_WEIGHTS_NORMED) {
        brim_normed_backward(w, c, dw, s);
    } else {
        brim_latent_backward(w, c, dw, s);
    }
    for (size_t k = 0; keep != NULL && k < w->k; k++) {
        w->v->grad[c * w->k + k] *= (float)(keep[k] != 0);
    }
    return BRIM_OK;
}

static brim_status make_scratch(struct brim_weights *w, struct brim_weights_scratch *s)
{
    struct brim_arena *a = &w->arena;

    s->u = brim_arena_alloc(a, w->k, sizeof(int32_t));
    s->q = brim_arena_alloc(a, w->k, sizeof(int32_t));
    s->row = brim_arena_alloc(a, w->k, sizeof(float));
    s->masked = brim_arena_alloc(a, w->k, sizeof(float));
    s->real = brim_arena_alloc(a, w->k, sizeof(double));
    s->level = brim_arena_alloc(a, (w->plan.n_limits + 2) * w->leaves, sizeof(double));
    s->group = brim_arena_alloc(a, 2 * w->plan.n_registers + 1, sizeof *s->group);
    if (s->u == NULL || s->q == NULL || s->row == NULL || s->masked == NULL || s->real == NULL ||
        s->level == NULL || s->group == NULL) {
        return BRIM_ERR_NOMEM;
    }
    return brim_nearest_init(&s->nearest, a, &w->plan, w->k, w->qmax);
}

/* Everything but the parameters. */
static brim_status make_storage(struct brim_weights *w)
{
    const size_t threads = (size_t)w->ctx->threads;
    struct brim_arena *a = &w->arena;

    w->codes = brim_arena_zalloc(a, w->n * w->k, sizeof(int16_t));
    w->scale = brim_arena_zalloc(a, w->n, sizeof(float));
    w->price = brim_arena_zalloc(a, 2 * w->n * w->plan.n_registers + 1, sizeof(int32_t));
    w->norm = brim_arena_zalloc(a, w->n * w->leaves, sizeof(double));
    w->mean = brim_arena_zalloc(a, w->n * w->leaves, sizeof(double));
    w->scratch = brim_arena_zalloc(a, threads, sizeof *w->scratch);
    if (w->codes == NULL || w->scale == NULL || w->price == NULL || w->norm == NULL ||
        w->mean == NULL || w->scratch == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < threads; i++) {
        BRIM_TRY(make_scratch(w, &w->scratch[i]));
    }
    return BRIM_OK;
}

static brim_status add_parameters(struct brim_weights *w, struct brim_params *params)
{
    w->v = brim_params_add(params, w->name, "weight", w->n * w->k);
    if (w->v == NULL) {
        return BRIM_ERR_NOMEM;
    }
    w->v->decay = true;
    if (w->kind == BRIM_WEIGHTS_FREE) {
        return BRIM_OK;
    }
    w->d = brim_params_add(params, w->name, "weight_scale", w->n);
    if (w->kind == BRIM_WEIGHTS_NORMED) {
        w->t = brim_params_add(params, w->name, "weight_norm", w->n * w->leaves);
    }
    return w->d == NULL || (w->kind == BRIM_WEIGHTS_NORMED && w->t == NULL) ? BRIM_ERR_NOMEM
                                                                            : BRIM_OK;
}

/* How the method quantizes, and the registers it keeps to. */
static brim_status choose_kind(struct brim_weights *w, const struct brim_weights_spec *spec)
{
    const int64_t range[2] = {spec->x_min, spec->x_max};

    w->qmax = spec->method == BRIM_TRAIN_FLOAT ? 0 : (int32_t)((1U << (spec->bits - 1)) - 1U);
    w->leaf = brim_max_size(w->k, 1);
    w->leaves = 1;
    switch (spec->method) {
    case BRIM_TRAIN_FLOAT:
        w->kind = BRIM_WEIGHTS_FREE;
        return BRIM_OK;
    case BRIM_TRAIN_QAT:
    case BRIM_TRAIN_PQS:
        w->kind = BRIM_WEIGHTS_LATENT;
        return BRIM_OK;
    case BRIM_TRAIN_A2Q:
    case BRIM_TRAIN_A2Q_PLUS:
        break;
    }
    if (brim_budget_compile(w->ctx, &spec->datapath, w->k, w->qmax, range, &w->plan) != BRIM_OK) {
        return brim_fail_at(w->ctx, BRIM_ERR_INFEASIBLE, "layer '%s'", w->name);
    }
    w->kind = spec->norm == BRIM_NORM_PER_SIGN ? BRIM_WEIGHTS_LATENT : BRIM_WEIGHTS_NORMED;
    w->centred = spec->norm == BRIM_NORM_ZERO_CENTRED;
    if (w->kind == BRIM_WEIGHTS_NORMED && w->plan.n_limits > 0) {
        w->leaf = w->plan.limit[0].tile;
        w->leaves = w->plan.limit[0].count;
    }
    return BRIM_OK;
}

/* The largest weight, and how fast weights of this size learn: an optimizer whose steps do not know
 * the size of what they move (Adam) would wreck a layer whose inputs are large, 0..255 say, and whose
 * weights are small therefore. */
static void measure(struct brim_weights *w, const float *weights)
{
    const size_t count = w->n * w->k;
    double sum = 0.0;

    for (size_t i = 0; i < count; i++) {
        w->largest = fabsf(weights[i]) > w->largest ? fabsf(weights[i]) : w->largest;
        sum += (double)weights[i] * (double)weights[i];
    }
    if (sum > 0.0) {
        w->v->rate = (float)(sqrt(sum / (double)count) / USUAL_SIZE);
    }
}

static brim_status fill(struct brim_weights *w, struct brim_params *params,
                        const struct brim_weights_spec *spec)
{
    struct job job = {.w = w, .spec = spec};

    w->name = brim_arena_strdup(&w->arena, spec->name);
    if (w->name == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(choose_kind(w, spec));
    BRIM_TRY(add_parameters(w, params));
    memcpy(w->v->value, spec->w, w->n * w->k * sizeof(float));
    if (w->kind == BRIM_WEIGHTS_FREE) {
        return BRIM_OK;
    }
    BRIM_TRY(make_storage(w));
    measure(w, spec->w);
    return brim_parallel_for(w->ctx, w->n, start_row, &job);
}

brim_status brim_weights_create(struct brim_params *params, const struct brim_weights_spec *spec,
                                struct brim_weights **out)
{
    brim_ctx *ctx = params->arena.ctx;
    struct brim_weights *w = brim_zalloc(ctx, 1, sizeof *w);

    *out = NULL;
    if (w == NULL) {
        return BRIM_ERR_NOMEM;
    }
    w->ctx = ctx;
    w->n = spec->n;
    w->k = spec->k;
    brim_arena_init(&w->arena, ctx);
    const brim_status status = fill(w, params, spec);
    if (status != BRIM_OK) {
        brim_weights_free(w);
        return status;
    }
    *out = w;
    return BRIM_OK;
}

void brim_weights_free(struct brim_weights *w)
{
    if (w != NULL) {
        brim_arena_free(&w->arena);
        brim_free(w->ctx, w);
    }
}

/* What is pruned is 0, or `share` of what it was. */
static void shrink_pruned(struct brim_weights *w, float share)
{
    for (size_t i = 0; w->keep != NULL && i < w->n * w->k; i++) {
        const float v = w->v->value[i];
        w->v->value[i] = w->keep[i] != 0 ? v : share > 0.0F ? share * v : 0.0F;
    }
}

static brim_status make_pattern(struct brim_weights *w)
{
    if (w->keep_storage == NULL) {
        w->keep_storage = brim_arena_alloc(&w->arena, w->n * w->k, 1);
    }
    return w->keep_storage == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

brim_status brim_weights_prune(struct brim_weights *w, const uint8_t *keep)
{
    w->regrow.group = 0;
    w->keep = NULL;
    if (keep != NULL) {
        BRIM_TRY(make_pattern(w));
        memcpy(w->keep_storage, keep, w->n * w->k);
        w->keep = w->keep_storage;
    }
    shrink_pruned(w, 0.0F);
    return BRIM_OK;
}

brim_status brim_weights_regrow(struct brim_weights *w, const brim_prune_params *pattern)
{
    w->regrow = *pattern;
    w->keep = NULL;
    if (pattern->group > 0) {
        BRIM_TRY(make_pattern(w));
    }
    return BRIM_OK;
}

static brim_status forward_free(struct brim_weights *w, float *w_out)
{
    if (w->regrow.group > 0) {
        BRIM_TRY(
            brim_prune_layer(w->ctx, w->n, w->k, w->v->value, NULL, &w->regrow, w->keep_storage));
        w->keep = w->keep_storage;
    }
    for (size_t i = 0; i < w->n * w->k; i++) {
        w_out[i] = w->keep == NULL || w->keep[i] != 0 ? w->v->value[i] : 0.0F;
    }
    return BRIM_OK;
}

/* Regrowing weights learn whether the forward pass saw them or not. */
static void backward_free(struct brim_weights *w, const float *dw)
{
    const uint8_t *keep = w->regrow.group > 0 ? NULL : w->keep;

    for (size_t i = 0; i < w->n * w->k; i++) {
        w->v->grad[i] += keep == NULL || keep[i] != 0 ? dw[i] : 0.0F;
    }
}

brim_status brim_weights_forward(struct brim_weights *w, float *w_out)
{
    struct job job = {.w = w, .out = w_out};

    if (w->kind == BRIM_WEIGHTS_FREE) {
        return forward_free(w, w_out);
    }
    return brim_parallel_for(w->ctx, w->n, forward_row, &job);
}

brim_status brim_weights_backward(struct brim_weights *w, const float *dw)
{
    struct job job = {.w = w, .dw = dw};

    if (w->kind == BRIM_WEIGHTS_FREE) {
        backward_free(w, dw);
        return BRIM_OK;
    }
    return brim_parallel_for(w->ctx, w->n, backward_row, &job);
}

double brim_weights_penalty(struct brim_weights *w, double strength)
{
    double penalty = 0.0;

    for (size_t c = 0; w->kind == BRIM_WEIGHTS_NORMED && c < w->n; c++) {
        penalty += brim_normed_penalty(w, c, strength, &w->scratch[0]);
    }
    return penalty;
}

static void hold(struct brim_param *p)
{
    for (size_t i = 0; p != NULL && i < p->count; i++) {
        p->value[i] = p->value[i] > REACH ? REACH : p->value[i] < -REACH ? -REACH : p->value[i];
    }
}

void brim_weights_settle(struct brim_weights *w)
{
    hold(w->d);
    hold(w->t);
    shrink_pruned(w, w->regrow.group > 0 ? 1.0F - FADING : 0.0F);
}

void brim_weights_codes(const struct brim_weights *w, int16_t *codes, float *scale)
{
    if (w->kind != BRIM_WEIGHTS_FREE) {
        memcpy(codes, w->codes, w->n * w->k * sizeof *codes);
        memcpy(scale, w->scale, w->n * sizeof *scale);
    }
}

const float *brim_weights_scales(const struct brim_weights *w)
{
    return w->kind != BRIM_WEIGHTS_FREE ? w->scale : NULL;
}

const float *brim_weights_latent(const struct brim_weights *w)
{
    return w->v->value;
}
