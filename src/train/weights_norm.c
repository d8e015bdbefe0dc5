/* weights_norm.c - weights whose l1 norm cannot overflow: A2Q and A2Q+.
 * SPDX-License-Identifier: Apache-2.0
 *
 * [1] Colbert et al., arXiv 2308.13504 (A2Q); [2] Colbert et al., arXiv 2401.10432 (A2Q+), eq. (9),
 * (16)-(19).
 *
 * Symbols     v       latent weight; m its mean over the leaf (A2Q+), or 0 (A2Q)
 *             N       ||v - m||_1 of a leaf: a register of the innermost stage, or the row
 *             s, g    2^d, 2^t: learned scale of the row and norm of the leaf
 *             T       largest ||u||_1 of a register: H / max(nu, |mu|), [1]; centred
 *                     2 H / (nu + |mu|), [2] eq. (19)
 *             e       norm in use: min(g, s T) of the leaf, then times min(1, s T' / sum e) for every
 *                     outer register, T' its cap, the sum over its leaves
 *             u       e (v - m) / (N s); the code is u rounded toward zero, at most Q
 * Invariant   |trunc(u)| <= |u| and keeps its sign: no sum of codes exceeds that of u. What rounding
 *             of real sums leaves over is settled in integers (weights_nearest.c).
 * Gradient    straight through the rounding: du as if the code were u, dw/ds = code - u, both inside
 *             the range; smooth and exact from u to v, t and d.
 * Differs     from [1], [2]: registers of tiles have norms of their own; caps come from the input's
 *             real range instead of 2^N; pruned weights are outside the mean.
 * Cost        O(k), forward and backward.
 * Example     v = (3, -1, 0), g = 2, s = 0.25, T = 4: e = min(2, 1) = 1, u = (3, -1, 0), codes
 *             the same. Centred, T = 8: m = 2/3, N = 14/3, e = 2, u = (4, -2.86, -1.14), codes
 *             (4, -2, -1): tests/train/test_weights.c: norm_worked_examples. */
#include <math.h>
#include <string.h>

#include "train/weights_parts.h"

#define LN2       0.69314718055994530942
#define TOLERANCE (BRIM_NEAREST_ONE / 4096) /* below the next code that counts as it */

double brim_normed_cap(const struct brim_weights *w, const struct brim_limit *l)
{
    const double nu = (double)w->plan.x_max;
    const double mu = -(double)w->plan.x_min;

    return w->centred ? 2.0 * (double)l->hi / (nu + mu) : (double)l->hi / (nu > mu ? nu : mu);
}

/* Mean and norm of every leaf. */
static void measure(struct brim_weights *w, size_t c)
{
    const float *v = w->v->value + c * w->k;
    const uint8_t *keep = brim_weights_keep(w, c);

    for (size_t i = 0; i < w->leaves; i++) {
        const size_t end = brim_weights_leaf_end(w, i);
        double sum = 0.0, norm = 0.0;
        size_t count = 0;
        for (size_t k = i * w->leaf; k < end; k++) {
            const bool kept = keep == NULL || keep[k] != 0;
            sum += kept ? (double)v[k] : 0.0;
            count += kept;
        }
        const double mean = w->centred && count > 0 ? sum / (double)count : 0.0;
        for (size_t k = i * w->leaf; k < end; k++) {
            norm += keep == NULL || keep[k] != 0 ? fabs((double)v[k] - mean) : 0.0;
        }
        w->mean[c * w->leaves + i] = mean;
        w->norm[c * w->leaves + i] = norm;
    }
}

/* Leaves of register t of a stage: [from, to). */
static void leaves_of(const struct brim_weights *w, const struct brim_limit *l, size_t t,
                      size_t span[2])
{
    span[0] = t * l->tile / w->leaf;
    span[1] = brim_min_size((t + 1) * l->tile / w->leaf, w->leaves);
}

/* Norms in use: level[0] = g, level[i + 1] = after the i-th stage. */
static void cap_norms(const struct brim_weights *w, size_t c, double *level)
{
    for (size_t i = 0; i < w->leaves; i++) {
        level[i] = exp2((double)w->t->value[c * w->leaves + i]);
    }
    for (size_t j = 0; j < w->plan.n_limits; j++) {
        const struct brim_limit *l = &w->plan.limit[j];
        const double cap = (double)w->scale[c] * brim_normed_cap(w, l);
        const double *in = level + j * w->leaves;
        double *out = level + (j + 1) * w->leaves;
        for (size_t t = 0; t < l->count; t++) {
            size_t span[2];
            double sum = 0.0;
            leaves_of(w, l, t, span);
            for (size_t i = span[0]; i < span[1]; i++) {
                sum += in[i];
            }
            for (size_t i = span[0]; i < span[1]; i++) {
                out[i] = sum > cap ? in[i] * (cap / sum) : in[i];
            }
        }
    }
}

void brim_normed_forward(struct brim_weights *w, size_t c, struct brim_weights_scratch *s)
{
    const float *v = w->v->value + c * w->k;
    const uint8_t *keep = brim_weights_keep(w, c);
    const double *norm = w->norm + c * w->leaves;
    const double *used = s->level + w->plan.n_limits * w->leaves;

    measure(w, c);
    cap_norms(w, c, s->level);
    for (size_t i = 0; i < w->leaves; i++) {
        const size_t at = i * w->leaf;
        const size_t n = brim_weights_leaf_end(w, i) - at;
        const float mean = (float)w->mean[c * w->leaves + i];
        const double factor = norm[i] > 0.0 ? used[i] / (norm[i] * (double)w->scale[c]) : 0.0;
        for (size_t k = 0; k < n; k++) {
            s->row[k] = v[at + k] - mean;
        }
        brim_weights_fixed(s->row, n, (float)(factor * BRIM_NEAREST_ONE),
                           keep == NULL ? NULL : keep + at, s->u + at);
    }
    brim_weights_round(s->u, w->k, TOLERANCE, w->qmax, s->q);
    brim_nearest_row(&s->nearest, s->u, s->q, NULL);
}

/* d loss / d norms in use -> d loss / d t, and what flows to s; `slope` is overwritten. */
static double uncap(const struct brim_weights *w, size_t c, const double *level, double *slope)
{
    double ds = 0.0;

    for (size_t j = w->plan.n_limits; j-- > 0;) {
        const struct brim_limit *l = &w->plan.limit[j];
        const double cap = brim_normed_cap(w, l);
        const double *in = level + j * w->leaves;
        for (size_t t = 0; t < l->count; t++) {
            size_t span[2];
            double sum = 0.0, flow = 0.0;
            leaves_of(w, l, t, span);
            for (size_t i = span[0]; i < span[1]; i++) {
                sum += in[i];
                flow += slope[i] * in[i];
            }
            const double held = (double)w->scale[c] * cap;
            if (sum > held) {
                ds += cap * flow / sum;
                for (size_t i = span[0]; i < span[1]; i++) {
                    slope[i] = held / sum * (slope[i] - flow / sum);
                }
            }
        }
    }
    for (size_t i = 0; i < w->leaves; i++) {
        w->t->grad[c * w->leaves + i] += (float)(slope[i] * level[i] * LN2);
    }
    return ds;
}

/* One leaf: gradient of v; the slope of the norm in use; what flows to s through the rounding. */
static double leaf_backward(struct brim_weights *w, size_t c, size_t leaf, double used,
                            const float *dw, double *slope)
{
    const size_t end = brim_weights_leaf_end(w, leaf);
    const float *v = w->v->value + c * w->k;
    const int16_t *q = w->codes + c * w->k;
    float *dv = w->v->grad + c * w->k;
    const uint8_t *keep = brim_weights_keep(w, c);
    const double mean = w->mean[c * w->leaves + leaf];
    const double norm = w->norm[c * w->leaves + leaf];
    const double unit = norm > 0.0 ? used / (norm * (double)w->scale[c]) : 0.0;
    const double reach = (double)w->qmax + 1.0;
    double ds = 0.0, flow = 0.0, turn = 0.0;
    size_t count = 0;

    for (size_t k = leaf * w->leaf; k < end; k++) {
        if (keep == NULL || keep[k] != 0) {
            const double x = (double)v[k] - mean;
            const double u = x * unit;
            const bool inside = fabs(u) < reach;
            const double g = inside ? (double)dw[k] : 0.0;
            ds += (double)dw[k] * (inside ? q[k] - u : q[k]);
            flow += g * x;
            turn += g;
            count++;
        }
    }
    *slope = norm > 0.0 ? flow / norm : 0.0;
    /* the mean of dL/d(v - m) over the leaf, to be taken off where there is a mean */
    double signs = 0.0;
    for (size_t k = leaf * w->leaf; w->centred && k < end; k++) {
        const double x = (double)v[k] - mean;
        signs += (keep == NULL || keep[k] != 0) ? (double)((x > 0.0) - (x < 0.0)) : 0.0;
    }
    const double share = norm > 0.0 ? used / norm : 1.0;
    const double off = w->centred && count > 0 ? (turn - *slope * signs) / (double)count : 0.0;
    for (size_t k = leaf * w->leaf; k < end; k++) {
        if (keep == NULL || keep[k] != 0) {
            const double x = (double)v[k] - mean;
            const double g = fabs(x * unit) < reach ? (double)dw[k] : 0.0;
            const double sign = (double)((x > 0.0) - (x < 0.0));
            dv[k] += (float)(share * (g - *slope * sign - off));
        }
    }
    return ds;
}

void brim_normed_backward(struct brim_weights *w, size_t c, const float *dw,
                          struct brim_weights_scratch *s)
{
    const double *used = s->level + w->plan.n_limits * w->leaves;
    double *slope = s->level + (w->plan.n_limits + 1) * w->leaves;
    double ds = 0.0;

    cap_norms(w, c, s->level);
    for (size_t i = 0; i < w->leaves; i++) {
        ds += leaf_backward(w, c, i, used[i], dw, &slope[i]);
    }
    ds += uncap(w, c, s->level, slope);
    w->d->grad[c] += (float)(ds * (double)w->scale[c] * LN2);
}

/* sum over registers of max(0, log2 of the norms under it - log2(s T)). */
double brim_normed_penalty(struct brim_weights *w, size_t c, double strength,
                           struct brim_weights_scratch *s)
{
    const float *t = w->t->value + c * w->leaves;
    double penalty = 0.0;

    for (size_t j = 0; j < w->plan.n_limits; j++) {
        const struct brim_limit *l = &w->plan.limit[j];
        for (size_t r = 0; r < l->count; r++) {
            size_t span[2];
            double sum = 0.0;
            leaves_of(w, l, r, span);
            for (size_t i = span[0]; i < span[1]; i++) {
                s->level[i] = exp2((double)t[i]);
                sum += s->level[i];
            }
            const double excess = log2(sum) - (double)w->d->value[c] - log2(brim_normed_cap(w, l));
            if (excess > 0.0) {
                penalty += excess;
                w->d->grad[c] -= (float)strength;
                for (size_t i = span[0]; i < span[1]; i++) {
                    w->t->grad[c * w->leaves + i] += (float)(strength * s->level[i] / sum);
                }
            }
        }
    }
    return penalty;
}
