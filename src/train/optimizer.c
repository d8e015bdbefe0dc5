/* optimizer.c - stochastic gradient descent with momentum, and AdamW. SPDX-License-Identifier: Apache-2.0
 *
 * [1] Loshchilov and Hutter, arXiv 1711.05101.
 *
 * Symbols     g gradient, w value, r the step's rate, with the parameter's own in it, d weight decay,
 *             t steps taken, this one included
 * SGD         m = 0.9 m + g + d w;  w -= r m
 * ADAMW [1]   m = 0.9 m + 0.1 g;  v = 0.999 v + 0.001 g^2
 *             w -= r (m / (1 - 0.9^t) / (sqrt(v / (1 - 0.999^t)) + 1e-8) + d w)
 * Own rate    of a parameter, o: what a natural step of it is, as of weights o times the usual size. Written
 *             as w = o u, u steps by r g_u = r o g, so w by r o^2 g: SGD's r has o^2 in it, ADAMW's, whose
 *             direction does not know the size of g, o.
 * Invariant   elements do not see one another: the same bits for any number of threads.
 * Differs     from [1]: decay only where a parameter asks for it (weights, not biases or scales).
 * Example     w = 1, g = 0.5, r = 0.1, d = 0: SGD 0.95, then 0.855; ADAMW 0.9, then 0.8.
 *             -> tests/train/test_optimizer.c: worked_example. */
#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/intops.h"
#include "base/parallel.h"

#define CHUNK    ((size_t)1 << 14)
#define MOMENTUM 0.9f
#define SQUARES  0.999f
#define EPSILON  1e-8f

struct brim_optimizer_chunk {
    size_t param, first, count;
};

struct stride { /* of one step */
    struct brim_optimizer *o;
    double rate;
    float first_correction, second_correction;
};

static brim_status make_chunks(struct brim_optimizer *o)
{
    const struct brim_params *p = o->params;
    size_t n = 0;

    for (size_t i = 0; i < p->count; i++) {
        n += p->param[i]->learned ? (p->param[i]->count + CHUNK - 1) / CHUNK : 0;
    }
    o->chunk = brim_arena_alloc(&o->arena, n + 1, sizeof *o->chunk);
    if (o->chunk == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < p->count; i++) {
        const size_t count = p->param[i]->count;
        for (size_t at = 0; p->param[i]->learned && at < count; at += CHUNK) {
            o->chunk[o->n_chunks++] =
                (struct brim_optimizer_chunk){i, at, brim_min_size(CHUNK, count - at)};
        }
    }
    return BRIM_OK;
}

static brim_status make_state(struct brim_optimizer *o)
{
    const struct brim_params *p = o->params;

    o->first = brim_arena_zalloc(&o->arena, p->count + 1, sizeof *o->first);
    o->second = brim_arena_zalloc(&o->arena, p->count + 1, sizeof *o->second);
    if (o->first == NULL || o->second == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < p->count; i++) {
        const bool adam = o->kind == BRIM_OPTIMIZER_ADAMW;
        if (!p->param[i]->learned) {
            continue;
        }
        o->first[i] = brim_arena_zalloc(&o->arena, p->param[i]->count, sizeof(float));
        o->second[i] =
            adam ? brim_arena_zalloc(&o->arena, p->param[i]->count, sizeof(float)) : NULL;
        if (o->first[i] == NULL || (adam && o->second[i] == NULL)) {
            return BRIM_ERR_NOMEM;
        }
    }
    return make_chunks(o);
}

brim_status brim_optimizer_init(struct brim_optimizer *o, brim_ctx *ctx, struct brim_params *params,
                                brim_train_optimizer kind, double weight_decay)
{
    *o = (struct brim_optimizer){.params = params, .kind = kind, .weight_decay = weight_decay};
    brim_arena_init(&o->arena, ctx);
    return make_state(o);
}

void brim_optimizer_free(struct brim_optimizer *o)
{
    brim_arena_free(&o->arena);
}

void brim_optimizer_reset(struct brim_optimizer *o)
{
    o->step = 0;
    for (size_t i = 0; i < o->params->count; i++) {
        const size_t bytes = o->params->param[i]->count * sizeof(float);
        if (o->first[i] != NULL) {
            memset(o->first[i], 0, bytes);
        }
        if (o->second[i] != NULL) {
            memset(o->second[i], 0, bytes);
        }
    }
}

static brim_status step_chunk(void *arg, size_t i, int worker)
{
    const struct stride *s = arg;
    const struct brim_optimizer_chunk *c = &s->o->chunk[i];
    const struct brim_param *p = s->o->params->param[c->param];
    const double own = (double)p->rate;
    const float rate = (float)(s->rate * (s->o->kind == BRIM_OPTIMIZER_SGD ? own * own : own));
    const float decay = p->decay ? (float)s->o->weight_decay : 0.0f;
    const float *g = p->grad + c->first;
    float *w = p->value + c->first, *m = s->o->first[c->param] + c->first;

    (void)worker;
    if (s->o->kind == BRIM_OPTIMIZER_SGD) {
        for (size_t k = 0; k < c->count; k++) {
            m[k] = MOMENTUM * m[k] + (g[k] + decay * w[k]);
            w[k] -= rate * m[k];
        }
        return BRIM_OK;
    }
    float *v = s->o->second[c->param] + c->first;
    for (size_t k = 0; k < c->count; k++) {
        m[k] = MOMENTUM * m[k] + (1.0f - MOMENTUM) * g[k];
        v[k] = SQUARES * v[k] + (1.0f - SQUARES) * (g[k] * g[k]);
        const float direction =
            m[k] * s->first_correction / (sqrtf(v[k] * s->second_correction) + EPSILON);
        w[k] -= rate * (direction + decay * w[k]);
    }
    return BRIM_OK;
}

brim_status brim_optimizer_step(struct brim_optimizer *o, double rate)
{
    struct stride s = {.o = o, .rate = rate};
    const double t = (double)++o->step;

    s.first_correction = (float)(1.0 / (1.0 - pow((double)MOMENTUM, t)));
    s.second_correction = (float)(1.0 / (1.0 - pow((double)SQUARES, t)));
    return brim_parallel_for(o->arena.ctx, o->n_chunks, step_chunk, &s);
}
