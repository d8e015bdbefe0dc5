/* problem.h - random layers for the tests of the solvers. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_QUANTIZE_PROBLEM_H
#define BRIM_TESTS_QUANTIZE_PROBLEM_H

#include <stdlib.h>

#include "base/rng.h"
#include "brim/quantize.h"
#include "testing.h"

/* A layer with d samples of correlated inputs: X [k][d] float, Xq [k][d] as codes times a step. */
struct layer {
    size_t n, k, d;
    float *w;
    double *x, *xq, *h, *g;
    int16_t *codes;
    float *scale;
    brim_layer_problem p;
    brim_layer_solution s;
    brim_datapath dp;
};

static inline double *layer_moments(size_t k, size_t d, const double *a, const double *b)
{
    double *m = calloc(k * k, sizeof(double));

    assert_non_null(m);
    for (size_t i = 0; i < k; i++) {
        for (size_t j = 0; j < k; j++) {
            for (size_t t = 0; t < d; t++) {
                m[i * k + j] += a[i * d + t] * b[j * d + t];
            }
        }
    }
    return m;
}

static inline void layer_inputs(struct layer *l, struct brim_rng *r, int64_t x_min, int64_t x_max)
{
    const double span = (double)(x_max - x_min);
    double *common = calloc(l->d, sizeof(double));

    assert_non_null(common);
    for (size_t i = 0; i < l->k; i++) {
        const double own = 0.2 + brim_rng_uniform(r);
        for (size_t t = 0; t < l->d; t++) {
            double v;
            if (i == 0) {
                common[t] = brim_rng_normal(r);
            }
            v = (common[t] + own * brim_rng_normal(r)) * 0.2 * span * (0.3 + 0.7 * own);
            v = x_min == 0 && v < 0.0 ? 0.0 : v;
            v = v > (double)x_max ? (double)x_max : v < (double)x_min ? (double)x_min : v;
            l->x[i * l->d + t] = v;
            l->xq[i * l->d + t] = (double)(int64_t)v;
        }
    }
    free(common);
}

static inline void layer_make(struct layer *l, const size_t shape[3], uint64_t seed, int64_t x_min,
                              int64_t x_max)
{
    struct brim_rng r;

    brim_rng_init(&r, seed, 0);
    memset(l, 0, sizeof *l);
    l->n = shape[0];
    l->k = shape[1];
    l->d = shape[2];
    l->w = calloc(l->n * l->k, sizeof(float));
    l->x = calloc(l->k * l->d, sizeof(double));
    l->xq = calloc(l->k * l->d, sizeof(double));
    l->codes = calloc(l->n * l->k, sizeof(int16_t));
    l->scale = calloc(l->n, sizeof(float));
    assert_true(l->w != NULL && l->x != NULL && l->xq != NULL && l->codes != NULL &&
                l->scale != NULL);
    for (size_t i = 0; i < l->n * l->k; i++) {
        l->w[i] = (float)brim_rng_normal(&r);
    }
    layer_inputs(l, &r, x_min, x_max);
    l->h = layer_moments(l->k, l->d, l->xq, l->xq);
    l->g = layer_moments(l->k, l->d, l->xq, l->x);
    l->p = (brim_layer_problem){.n = l->n,
                                .k = l->k,
                                .w = l->w,
                                .h = l->h,
                                .x_min = x_min,
                                .x_max = x_max,
                                .datapath = &l->dp};
    l->s = (brim_layer_solution){.codes = l->codes, .scale = l->scale};
    l->dp = (brim_datapath){.n_stages = 1, .stage = {{.width = 32}}};
}

static inline void layer_free(struct layer *l)
{
    free(l->w);
    free(l->x);
    free(l->xq);
    free(l->h);
    free(l->g);
    free(l->codes);
    free(l->scale);
}

static inline brim_solve_params layer_params(brim_solver solver, brim_budget budget, unsigned wbits)
{
    brim_solve_params p;

    brim_solve_params_init(&p);
    p.solver = solver;
    p.budget = budget;
    p.wbits = wbits;
    return p;
}

/* Every register of every stage by plain enumeration of tiles: the test's own bound. */
static inline bool layer_certified(const struct layer *l)
{
    for (size_t c = 0; c < l->n; c++) {
        for (size_t i = 0; i < l->dp.n_stages; i++) {
            const brim_stage *st = &l->dp.stage[i];
            const size_t tile = st->tile == 0 ? l->k : (size_t)st->tile;
            const int64_t top = INT64_MAX >> (64 - st->width);
            for (size_t t = 0; t < l->k; t += tile) {
                int64_t hi = 0;
                int64_t lo = 0;
                for (size_t j = t; j < t + tile && j < l->k; j++) {
                    const int64_t q = l->codes[c * l->k + j];
                    const int64_t a = q * l->p.x_min;
                    const int64_t b = q * l->p.x_max;
                    hi += a > b ? a : b;
                    lo += a > b ? b : a;
                }
                if ((hi > top || lo < -top - 1) &&
                    !(st->mode == BRIM_MODE_SPILL && i + 1 < l->dp.n_stages)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* The library's own bound agrees (a datapath without spilling stages). */
static inline bool layer_needs_fit(brim_ctx *ctx, const struct layer *l)
{
    for (size_t c = 0; c < l->n; c++) {
        int32_t w[64];
        unsigned need[BRIM_MAX_STAGES];
        for (size_t i = 0; i < l->k; i++) {
            w[i] = l->codes[c * l->k + i];
        }
        ASSERT_OK(ctx,
                  brim_datapath_need(ctx, &l->dp, w, l->k, l->p.x_min, l->p.x_max, need, NULL));
        if (!brim_datapath_fits(&l->dp, need)) {
            return false;
        }
    }
    return true;
}

/* (s q - w) H (s q - w) of one channel, naively. */
static inline double layer_error(const struct layer *l, size_t c, const int16_t *q, double s)
{
    double e = 0.0;

    for (size_t i = 0; i < l->k; i++) {
        for (size_t j = 0; j < l->k; j++) {
            e += (s * q[i] - (double)l->w[c * l->k + i]) * l->h[i * l->k + j] *
                 (s * q[j] - (double)l->w[c * l->k + j]);
        }
    }
    return e;
}

#endif
