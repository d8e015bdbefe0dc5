/* weights_latent.c - codes nearest to latent weights: QAT and the per-sign budget.
 * SPDX-License-Identifier: Apache-2.0
 *
 * [1] Esser et al., "Learned Step Size Quantization", arXiv 1902.08153.
 *
 * Symbols     v       latent weight; s = 2^d scale; Q largest code
 *             u       v / s; sigma its sign
 *             lambda  price of the register that the code is in, 0 where its budget does not bind
 *             p       |u| - lambda; the code is sigma round(p), 0 <= p <= Q   (weights_nearest.c)
 *             A       the codes of one sign that pay the same price: p > 0
 * Gradient    QAT, and wherever no budget binds, is [1]: straight through to v inside the range,
 *             dw/ds = q - u inside, +-Q beyond. Where one binds, A moves together: a real
 *             projection onto a sum of codes has dp_i/d|u|_j = [i = j] - 1/|A|, so v's gradient
 *             loses its mean over A, and dw/ds = (|q| - p + mean of p over A) sigma. A code that is
 *             held at 0 competes for the same budget: it gets its own gradient less A's mean, and
 *             so returns when it would earn more than the others do.
 * Differs     from [1]: the scale's logarithm is learned; halves are rounded away from 0.
 * Cost        forward see weights_nearest.c; backward O(k).
 * Example     v = (1, 0.6, 0.2, -0.4), s = 0.2, Q = 7, inputs 0..1, a register of 2^(P-1)-1 = 3:
 *             u = (5, 3, 1, -2), codes (5, 3, 1, -2), positive ones 9 of 3: lambda = 2.5, p = (2.5,
 *             0.5, -1.5), codes (3, 0, 0, -2) as round(2.5) = 3: tests/train/test_weights.c:
 *             per_sign_worked_example. */
#include <math.h>
#include <string.h>

#include "base/clones.h"
#include "train/weights_parts.h"

#define LN2   0.69314718055994530942
#define LANES 16
#define CHUNK 256

void brim_latent_forward(struct brim_weights *w, size_t c, struct brim_weights_scratch *s)
{
    const float factor = (float)BRIM_NEAREST_ONE / w->scale[c];

    brim_weights_fixed(w->v->value + c * w->k, w->k, factor, brim_weights_keep(w, c), s->u);
    brim_weights_round(s->u, w->k, BRIM_NEAREST_HALF, w->qmax, s->q);
    brim_nearest_row(&s->nearest, s->u, s->q, w->price + 2 * c * w->plan.n_registers);
}

/* Of the codes of one sign that pay the same price. */
struct price {
    float lambda; /* in codes; 0: the budget does not bind, and the others are 0 too */
    float mean;   /* of sigma dw over A */
    float level;  /* of p over A */
};

/* x[0] for sigma = 1, x[1] for sigma = -1: no branch, so that loops do many at a time. */
static inline float of_sign(float sigma, float plus, float minus)
{
    return 0.5F * (plus + minus) + sigma * (0.5F * (plus - minus));
}

/* At most CHUNK codes under given prices (0: positive, 1: negative codes). Adds to dv; flow[n]:
 * dw/ds of each times dw. Loops of one choice each, because gcc turns two into branches. */
BRIM_CLONES static void pass_latent(const float *restrict v, const int16_t *restrict q,
                                    const float *restrict dw, size_t n, float inverse, float qmax,
                                    const struct price price[2], float *restrict dv,
                                    float *restrict flow)
{
    const struct price plus = price[0], minus = price[1];
    float p[CHUNK], passed[CHUNK];

    for (size_t i = 0; i < n; i++) {
        const float u = v[i] * inverse;
        const float sigma = copysignf(1.0F, u);
        p[i] = fabsf(u) - of_sign(sigma, plus.lambda, minus.lambda);
        flow[i] = (float)q[i] + sigma * (of_sign(sigma, plus.level, minus.level) - p[i]);
        passed[i] = dw[i] - sigma * of_sign(sigma, plus.mean, minus.mean);
    }
    for (size_t i = 0; i < n; i++) {
        flow[i] = p[i] < 0.0F ? 0.0F : flow[i];
    }
    for (size_t i = 0; i < n; i++) {
        const float code = (float)q[i];
        flow[i] = dw[i] * (p[i] > qmax ? code : flow[i]);
    }
    for (size_t i = 0; i < n; i++) {
        dv[i] += p[i] > qmax ? 0.0F : passed[i];
    }
}

/* A run of codes under the same prices; dw/ds summed over it. */
static double pass_run(const struct brim_weights *w, size_t c, size_t at, size_t n, const float *dw,
                       const struct price price[2])
{
    const float inverse = 1.0F / w->scale[c];
    double sum = 0.0;

    for (size_t i = at; i < at + n; i += CHUNK) {
        const size_t first = c * w->k + i;
        const size_t m = brim_min_size(CHUNK, at + n - i);
        float flow[CHUNK + LANES] = {0}, lane[LANES] = {0};
        pass_latent(w->v->value + first, w->codes + first, dw + i, m, inverse, (float)w->qmax,
                    price, w->v->grad + first, flow);
        for (size_t j = 0; j < m; j += LANES) { /* behind the last of them are zeros */
            for (size_t l = 0; l < LANES; l++) {
                lane[l] += flow[j + l];
            }
        }
        for (size_t l = 0; l < LANES; l++) {
            sum += (double)lane[l];
        }
    }
    return sum;
}

/* The register whose price the codes of one sign pay from position `at` on: the dearest. Its number,
 * sign included; the price in 1/ONE. */
static size_t dearest(const struct brim_weights *w, size_t c, size_t at, size_t sign,
                      int32_t *lambda)
{
    const int32_t *price = w->price + 2 * c * w->plan.n_registers;
    size_t found = 0;

    *lambda = 0;
    for (size_t i = 0; i < w->plan.n_limits; i++) {
        const struct brim_limit *l = &w->plan.limit[i];
        const size_t number = 2 * (l->first + at / l->tile) + sign;
        if (price[number] > *lambda) {
            *lambda = price[number];
            found = number;
        }
    }
    return found;
}

/* Sums over A of one segment, added to those of the registers whose prices it pays. */
static void meet(const struct brim_weights *w, size_t c, size_t at, size_t n, const float *dw,
                 const size_t paid[2], const int32_t lambda[2], struct brim_weights_group *group)
{
    const float *v = w->v->value + c * w->k;
    const uint8_t *keep = brim_weights_keep(w, c);
    const float inverse = 1.0F / w->scale[c];

    for (size_t i = at; i < at + n; i++) {
        const int sign = v[i] < 0.0F;
        const float u = v[i] * inverse;
        const float p = (sign ? -u : u) - (float)lambda[sign] / (float)BRIM_NEAREST_ONE;
        struct brim_weights_group *g = &group[paid[sign]];
        if (lambda[sign] > 0 && p > 0.0F && p <= (float)w->qmax && (keep == NULL || keep[i])) {
            g->gradient += (double)(sign ? -dw[i] : dw[i]);
            g->level += (double)p;
            g->count++;
        }
    }
}

static struct price price_of(const struct brim_weights_group *g, int32_t lambda)
{
    if (lambda == 0) {
        return (struct price){0};
    }
    const double count = g->count == 0 ? 1.0 : (double)g->count;
    return (struct price){.lambda = (float)lambda / (float)BRIM_NEAREST_ONE,
                          .mean = (float)(g->gradient / count),
                          .level = (float)(g->level / count)};
}

void brim_latent_backward(struct brim_weights *w, size_t c, const float *dw,
                          struct brim_weights_scratch *s)
{
    const size_t tile = w->plan.n_limits == 0 ? w->k : w->plan.limit[0].tile;
    double ds = 0.0;

    memset(s->group, 0, 2 * w->plan.n_registers * sizeof *s->group);
    for (size_t pass = w->plan.n_limits == 0; pass < 2; pass++) {
        for (size_t at = 0; at < w->k; at += tile) {
            const size_t n = brim_min_size(tile, w->k - at);
            int32_t lambda[2];
            const size_t paid[2] = {dearest(w, c, at, 0, &lambda[0]),
                                    dearest(w, c, at, 1, &lambda[1])};
            if (pass == 0 && (lambda[0] > 0 || lambda[1] > 0)) {
                meet(w, c, at, n, dw, paid, lambda, s->group);
            } else if (pass == 1) {
                const struct price price[2] = {price_of(&s->group[paid[0]], lambda[0]),
                                               price_of(&s->group[paid[1]], lambda[1])};
                ds += pass_run(w, c, at, n, dw, price);
            }
        }
    }
    w->d->grad[c] += (float)(ds * (double)w->scale[c] * LN2 / sqrt((double)w->k * w->qmax));
}
