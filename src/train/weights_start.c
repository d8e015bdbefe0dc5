/* weights_start.c - parameters to start from: a network's weights, their projection, or codes.
 * SPDX-License-Identifier: Apache-2.0
 *
 * [1] Colbert et al., arXiv 2401.10432 (A2Q+), eq. (10)-(15): EP-init.
 *
 * Scale       as given, or the one of a geometric grid around max|w|/Q whose weights, as the quantizer
 *             makes them under its budget, are nearest to w. A tight budget wants a larger scale
 *             (fewer units a code), a loose one a smaller (clip the largest).
 * From w      v = w; normed: g = ||w||_1 of each leaf, which the caps then scale down.
 * Projection  v = argmin ||v - w|| within the budget. LATENT: integer prices taken off; NORMED: [1]'s
 *             threshold, leaf by leaf, then stage by stage, g = ||v||_1. A2Q+ as in [1]: the
 *             projection is of the uncentred weights.
 * From codes  LATENT: the codes, not real ones near w that round to them. A solver rounds many weights
 *             away from w, each to make up for others; at the boundary they would flip back at
 *             the first step, all at once.
 *             NORMED: real codes that are cut to them, beyond the codes by up to 1/2 where the caps
 *             leave room. Centred, their sum must be 0: what it is over is spread over the zeros and the sign that falls short,
 *             less than 1 each; then ||u||_1 = 2 max(beta, A), within the cap exactly when both
 *             signs keep to H / (nu + |mu|). Where that cannot be, the codes are projected like
 *             weights.
 * Cost        O(48 k) for the search. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/weights_parts.h"

#define CANDIDATES 48
#define PER_OCTAVE 8
#define BELOW      16 /* candidates below max|w|/Q */

/* Prices of the last forward taken off v. */
static void project_latent(struct brim_weights *w, size_t c)
{
    const int32_t *price = w->price + 2 * c * w->plan.n_registers;
    float *v = w->v->value + c * w->k;

    for (size_t k = 0; k < w->k; k++) {
        int32_t dear = 0;
        for (size_t i = 0; i < w->plan.n_limits; i++) {
            const struct brim_limit *l = &w->plan.limit[i];
            const int32_t paid = price[2 * (l->first + k / l->tile) + (v[k] < 0.0F)];
            dear = paid > dear ? paid : dear;
        }
        const float off = w->scale[c] * (float)dear / (float)BRIM_NEAREST_ONE;
        const float left = fabsf(v[k]) > off ? fabsf(v[k]) - off : 0.0F;
        v[k] = v[k] < 0.0F ? -left : left;
    }
}

/* v of the row onto the caps; [1]. */
static void project_normed(struct brim_weights *w, size_t c, struct brim_weights_scratch *s)
{
    float *v = w->v->value + c * w->k;

    for (size_t j = 0; j < w->plan.n_limits; j++) {
        const struct brim_limit *l = &w->plan.limit[j];
        const double radius = (double)w->scale[c] * brim_normed_cap(w, l);
        for (size_t at = 0; at < w->k; at += l->tile) {
            const size_t n = brim_min_size(l->tile, w->k - at);
            for (size_t i = 0; i < n; i++) {
                s->real[i] = fabs((double)v[at + i]);
            }
            const double theta = brim_l1_threshold(s->real, n, radius);
            for (size_t i = 0; i < n; i++) {
                const double left = fabs((double)v[at + i]) - theta;
                v[at + i] = left <= 0.0 ? 0.0F : (float)(v[at + i] < 0.0F ? -left : left);
            }
        }
    }
}

/* t from v: the norm of each leaf as it is. */
static void norms_of(struct brim_weights *w, size_t c)
{
    for (size_t i = 0; i < w->leaves; i++) {
        const float *v = w->v->value + c * w->k;
        const size_t at = i * w->leaf, end = brim_weights_leaf_end(w, i);
        double sum = 0.0, norm = 0.0;
        for (size_t k = at; k < end; k++) {
            sum += (double)v[k];
        }
        const double mean = w->centred ? sum / (double)(end - at) : 0.0;
        for (size_t k = at; k < end; k++) {
            norm += fabs((double)v[k] - mean);
        }
        w->t->value[c * w->leaves + i] =
            norm > 0.0 ? (float)log2(norm) : w->d->value[c]; /* one code, once there is one */
    }
}

/* v and t from w at the scale 2^d. */
static void from_weights(struct brim_weights *w, size_t c, const float *weights, bool project,
                         struct brim_weights_scratch *s)
{
    memcpy(w->v->value + c * w->k, weights, w->k * sizeof(float));
    brim_weights_scale(w, c);
    if (w->kind == BRIM_WEIGHTS_LATENT) {
        if (project) {
            brim_weights_row(w, c, s);
            project_latent(w, c);
        }
        return;
    }
    if (project) {
        project_normed(w, c, s);
    }
    norms_of(w, c);
}

/* (w - scale code)^2 of the row. */
static double error_of(const struct brim_weights *w, size_t c, const float *weights)
{
    double sum = 0.0;

    for (size_t k = 0; k < w->k; k++) {
        const double e = (double)weights[k] - (double)w->scale[c] * (double)w->codes[c * w->k + k];
        sum += e * e;
    }
    return sum;
}

static void search_scale(struct brim_weights *w, size_t c, const float *weights, bool project,
                         struct brim_weights_scratch *s)
{
    double largest = 0.0, best = HUGE_VAL;
    float found = 0.0F;

    for (size_t k = 0; k < w->k; k++) {
        largest = fabs((double)weights[k]) > largest ? fabs((double)weights[k]) : largest;
    }
    if (!(largest > 0.0)) { /* a row of zeros: as large as the others could be */
        largest = w->largest > 0.0F ? (double)w->largest : 1.0;
    }
    const double middle = log2(largest / (double)w->qmax);
    for (int i = 0; i < CANDIDATES; i++) {
        w->d->value[c] = (float)(middle + (double)(i - BELOW) / PER_OCTAVE);
        from_weights(w, c, weights, project, s);
        brim_weights_row(w, c, s);
        const double error = error_of(w, c, weights);
        if (error < best) {
            best = error;
            found = w->d->value[c];
        }
    }
    w->d->value[c] = found;
}

static void latent_from_codes(struct brim_weights *w, size_t c, const int16_t *codes)
{
    for (size_t k = 0; k < w->k; k++) {
        w->v->value[c * w->k + k] = w->scale[c] * (float)codes[k];
    }
}

/* How far beyond their codes, away from 0, the real codes of a row can all lie: at most 1/2. Negative
 * when even the codes themselves exceed a cap. */
static double room_of(const struct brim_weights *w, const int16_t *codes)
{
    double room = 0.5;

    for (size_t j = 0; j < w->plan.n_limits; j++) {
        const struct brim_limit *l = &w->plan.limit[j];
        const double cap = brim_normed_cap(w, l);
        for (size_t at = 0; at < w->k; at += l->tile) {
            int64_t sum[2] = {0}, count[2] = {0};
            for (size_t k = at; k < brim_min_size(at + l->tile, w->k); k++) {
                sum[codes[k] < 0] += codes[k] < 0 ? -codes[k] : codes[k];
                count[codes[k] < 0] += codes[k] != 0;
            }
            for (int sign = 0; w->centred && sign < 2; sign++) {
                const double each = (double)brim_max_i64(count[sign], 1);
                room = fmin(room, (cap / 2.0 - (double)sum[sign]) / each);
            }
            if (!w->centred) {
                const double each = (double)brim_max_i64(count[0] + count[1], 1);
                room = fmin(room, (cap - (double)(sum[0] + sum[1])) / each);
            }
        }
    }
    return room;
}

/* Real codes of a leaf in `real`: beyond the codes by `room`; where their sum must be 0, what it is
 * over is spread over the zeros and the sign that falls short. False when those are too few. */
static bool place_leaf(const struct brim_weights *w, size_t at, size_t end, const int16_t *codes,
                       double room, double *real)
{
    double over = 0.0;
    size_t takers = 0;

    for (size_t k = at; k < end; k++) {
        real[k] = (double)codes[k] + (codes[k] > 0 ? room : codes[k] < 0 ? -room : 0.0);
        over += real[k];
    }
    if (!w->centred) {
        return true;
    }
    for (size_t k = at; k < end; k++) {
        takers += (over > 0.0 && codes[k] <= 0) || (over < 0.0 && codes[k] >= 0);
    }
    const double share = takers > 0 ? over / (double)takers : over;
    for (size_t k = at; k < end; k++) {
        const bool takes = (over > 0.0 && codes[k] <= 0) || (over < 0.0 && codes[k] >= 0);
        real[k] -= takes ? share : 0.0;
    }
    return fabs(share) + room < 0.99 && (takers > 0 || over == 0.0);
}

/* v and t whose real codes are cut to these codes. */
static bool normed_from_codes(struct brim_weights *w, size_t c, const int16_t *codes,
                              struct brim_weights_scratch *s)
{
    const double scale = (double)w->scale[c];
    const double most = room_of(w, codes);
    bool placed = false;

    /* less room leaves the short side more to take */
    for (int quarter = 4; most >= 0.0 && !placed && quarter > 0; quarter--) {
        placed = true;
        for (size_t i = 0; placed && i < w->leaves; i++) {
            placed = place_leaf(w, i * w->leaf, brim_weights_leaf_end(w, i), codes,
                                most * quarter / 4.0, s->real);
        }
    }
    for (size_t k = 0; placed && k < w->k; k++) {
        w->v->value[c * w->k + k] = (float)(scale * s->real[k]);
    }
    if (placed) {
        norms_of(w, c);
    }
    return placed;
}

void brim_weights_start(struct brim_weights *w, size_t c, const struct brim_weights_spec *spec,
                        struct brim_weights_scratch *s)
{
    const float *weights = spec->w + c * w->k;
    const int16_t *codes = spec->codes == NULL ? NULL : spec->codes + c * w->k;

    if (spec->scale != NULL && spec->scale[c] > 0.0F) {
        w->d->value[c] = log2f(spec->scale[c]);
    } else {
        search_scale(w, c, weights, spec->project, s);
    }
    brim_weights_scale(w, c);
    if (codes == NULL) {
        from_weights(w, c, weights, spec->project, s);
    } else if (w->kind == BRIM_WEIGHTS_LATENT) {
        latent_from_codes(w, c, codes);
    } else if (!normed_from_codes(w, c, codes, s)) {
        for (size_t k = 0; k < w->k; k++) {
            s->row[k] = w->scale[c] * (float)codes[k];
        }
        from_weights(w, c, s->row, true, s);
    }
}
