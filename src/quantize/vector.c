/* vector.c - a scale for every vector of weights, and what pruning leaves of a layer.
 * SPDX-License-Identifier: Apache-2.0
 *
 * [1] Dai et al., arXiv:2102.04503 (VS-Quant), two-level scales.
 *
 * Symbols     [1]      here
 *             s_j      reach of vector j over the largest code Q: what a float scale would be
 *             gamma    the output's float scale, layer solution's `scale`
 *             sq_j     unit: integer scale of vector j, 1..2^Ms-1, 0 for a vector of zeros
 * Idea        A weight is gamma * unit * code, so solvers and budgets see one scale per output as
 *             ever, and every code its unit. Single-level vectors have units that are not integers.
 *             A pruned weight has unit 0.
 * Differs     from [1]: the integer scale is found first, rounded upward, and the codes are rounded
 *             at the scale that they will have; nothing clips. `published_order` rounds codes at s_j
 *             and s_j / gamma to nearest. Under the exact budget a vector whose codes would overflow
 *             their register takes the larger unit with the least error.
 * Cost        O(n k) times the candidates.
 * Example     w = (7, 1, 3, -2), vectors of 2, Q = 7, Ms = 3: s = (1, 3/7), gamma = 1/7, units
 *             (7, 3): codes (7, 1, 7, -5) stand for (7, 1, 3, -15/7)
 *             -> tests/quantize/test_vectors.c: two_level_worked_example. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quantize/layer.h"
#include "quantize/sweep.h"

#define SHRINKS 9  /* reaches tried for the least squared error: 1, 0.95, ... of the largest */
#define GROWTHS 12 /* larger scales tried when codes would overflow */

/* One vector of one output. */
struct vector {
    const struct brim_layer *layer;
    size_t n;
    const double *w, *h; /* [n] target and its weight, 0 where pruned */
    double *scratch;     /* [n] */
    double radius;       /* most that |codes| may sum to, 0 = no limit */
};

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double largest(const struct vector *v)
{
    double most = 0.0;

    for (size_t i = 0; i < v->n; i++) {
        most = fabs(v->w[i]) > most ? fabs(v->w[i]) : most;
    }
    return most;
}

/* Squared error of codes at scale s, shrunk onto the budget first. */
static double error_at(const struct vector *v, double s)
{
    const double q = (double)v->layer->qmax;
    double theta = 0.0, sum = 0.0;

    if (v->radius > 0.0) {
        for (size_t i = 0; i < v->n; i++) {
            v->scratch[i] = fabs(v->w[i]) / s;
        }
        theta = brim_l1_threshold(v->scratch, v->n, v->radius);
    }
    for (size_t i = 0; i < v->n; i++) {
        const double y = fabs(v->w[i]) / s - theta;
        const double code = y <= 0.0 ? 0.0 : y < q ? brim_rint(y) : q;
        const double e = fabs(v->w[i]) - s * code;
        sum += v->h[i] * e * e;
    }
    return sum;
}

/* How far the vector's codes reach. */
static double reach(const struct vector *v)
{
    const brim_vector_params *p = &v->layer->par.vector;
    const double most = largest(v);

    if (p->range == BRIM_RANGE_PERCENTILE) {
        for (size_t i = 0; i < v->n; i++) {
            v->scratch[i] = fabs(v->w[i]);
        }
        qsort(v->scratch, v->n, sizeof *v->scratch, ascending);
        const double at = p->percentile / 100.0 * (double)(v->n - 1);
        const double found = v->scratch[(size_t)ceil(at)];
        return found > 0.0 ? found : most;
    }
    if (p->range == BRIM_RANGE_MSE && most > 0.0) {
        double best = most, least = HUGE_VAL;
        for (int i = 0; i < SHRINKS; i++) {
            const double r = most * (1.0 - 0.05 * i);
            const double e = error_at(v, r / (double)v->layer->qmax);
            if (e < least) {
                least = e;
                best = r;
            }
        }
        return best;
    }
    return most;
}

/* The unit, in scales of `gamma`, for a float scale s: an integer when there are scale bits. */
static double unit_of(const struct brim_layer *l, double s, double gamma)
{
    const brim_vector_params *p = &l->par.vector;
    const double top = (double)((1U << p->scale_bits) - 1U);

    if (!(s > 0.0) || p->scale_bits == 0) {
        return s / gamma;
    }
    const double u = p->published_order ? brim_rint(s / gamma) : ceil(s / gamma * (1.0 - 1e-12));
    return u < 1.0 && !p->published_order ? 1.0 : u > top ? top : u;
}

/* A larger unit where that loses less than dropping codes for the register's sake. */
static double grow(const struct vector *v, double unit, double gamma)
{
    const brim_vector_params *p = &v->layer->par.vector;
    const double top = p->scale_bits == 0 ? HUGE_VAL : (double)((1U << p->scale_bits) - 1U);
    double best = unit, least = error_at(v, unit * gamma), u = unit;

    if (!(v->radius > 0.0)) {
        return unit;
    }
    for (int i = 0; i < GROWTHS; i++) {
        u = p->scale_bits == 0 ? u * 1.12 : ceil(u * 1.06 + 0.5);
        if (u > top) {
            break;
        }
        const double e = error_at(v, u * gamma);
        if (e < least) {
            least = e;
            best = u;
        }
    }
    return best;
}

/* Registers no longer than a vector hold this sum of |codes| of one sign. */
static double radius_of(const struct brim_layer *l, size_t length)
{
    const int64_t x = brim_max_i64(l->plan.x_max, -l->plan.x_min);

    for (size_t i = 0; i < l->plan.n_limits; i++) {
        if (l->plan.limit[i].tile == length) {
            const int64_t units = l->plan.limit[i].hi / x;
            return 2.0 * (double)units;
        }
    }
    return 0.0;
}

struct bench {
    double *w, *h, *scratch, *s; /* [k] each; s: float scale of every vector */
};

static void load_output(const struct brim_layer *l, size_t c, const struct bench *b)
{
    for (size_t t = 0; t < l->k; t++) {
        const size_t i = l->order[t];
        const bool kept = l->p->keep == NULL || l->p->keep[c * l->k + i] != 0;
        b->w[i] = kept ? l->target[t * l->n + c] : 0.0;
        b->h[i] = kept ? l->p->h[i * l->k + i] : 0.0;
    }
}

static void fill_output(struct brim_layer *l, size_t c, const struct bench *b, bool growing)
{
    const brim_vector_params *p = &l->par.vector;
    const size_t length = p->length == 0 || p->length > l->k ? l->k : p->length;
    struct vector v = {.layer = l, .scratch = b->scratch, .radius = 0.0};
    double top = 0.0;

    load_output(l, c, b);
    for (size_t g = 0, at = 0; at < l->k; g++, at += length) {
        v.n = brim_min_size(length, l->k - at);
        v.w = b->w + at;
        v.h = b->h + at;
        b->s[g] = reach(&v) / (double)l->qmax;
        top = b->s[g] > top ? b->s[g] : top;
    }
    v.radius = growing ? radius_of(l, length) : 0.0;
    const double gamma = p->scale_bits == 0 ? top : top / (double)((1U << p->scale_bits) - 1U);
    for (size_t g = 0, at = 0; at < l->k; g++, at += length) {
        v.n = brim_min_size(length, l->k - at);
        v.w = b->w + at;
        v.h = b->h + at;
        const double exact = gamma > 0.0 ? b->s[g] / gamma : 0.0;
        double unit = gamma > 0.0 ? unit_of(l, b->s[g], gamma) : 0.0;
        if (unit > 0.0 && p->length > 0) {
            unit = grow(&v, unit, gamma);
        }
        for (size_t i = at; i < at + v.n; i++) {
            const bool kept = l->p->keep == NULL || l->p->keep[c * l->k + i] != 0;
            l->unit[c * l->k + i] = kept ? (p->length > 0 ? unit : 1.0) : 0.0;
            if (l->round != NULL) {
                l->round[c * l->k + i] = exact;
            }
        }
    }
}

brim_status brim_layer_units(struct brim_layer *l, bool growing)
{
    const bool published = l->par.vector.length > 0 && l->par.vector.published_order;
    struct bench b;

    if (l->par.vector.length == 0 && l->p->keep == NULL) {
        brim_layer_reach(l);
        return BRIM_OK;
    }
    l->unit = brim_arena_alloc(&l->arena, l->n * l->k, sizeof(double));
    l->round = published ? brim_arena_alloc(&l->arena, l->n * l->k, sizeof(double)) : NULL;
    b.w = brim_arena_alloc(&l->arena, l->k, 4 * sizeof(double));
    if (l->unit == NULL || b.w == NULL || (published && l->round == NULL)) {
        return BRIM_ERR_NOMEM;
    }
    b.h = b.w + l->k;
    b.scratch = b.w + 2 * l->k;
    b.s = b.w + 3 * l->k;
    for (size_t c = 0; c < l->n; c++) {
        fill_output(l, c, &b, growing);
    }
    brim_layer_reach(l);
    return BRIM_OK;
}

/* Output c of `from`, which was solved with `unit`, into `to` and into the layer. */
static void take_output(struct brim_layer *l, size_t c, const brim_layer_solution *from,
                        const double *unit, brim_layer_solution *to)
{
    to->scale[c] = from->scale[c];
    for (size_t i = c * l->k; i < (c + 1) * l->k; i++) {
        to->codes[i] = from->codes[i];
        l->unit[i] = unit[i];
    }
}

brim_status brim_solve_exact_vectors(struct brim_layer *l, brim_layer_solution *out)
{
    brim_layer_solution axe = *out;
    double *err = brim_arena_alloc(&l->arena, l->n, 2 * sizeof *err);
    const double *unit = l->unit;

    axe.codes = brim_arena_alloc(&l->arena, l->n * l->k, sizeof *axe.codes);
    axe.scale = brim_arena_alloc(&l->arena, l->n, sizeof *axe.scale);
    if (err == NULL || axe.codes == NULL || axe.scale == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(axe.scale, out->scale, l->n * sizeof *axe.scale);
    BRIM_TRY(brim_solve_plain(l, BRIM_BUDGET_AXE, &axe));
    BRIM_TRY(brim_solution_errors(l, &axe, err));
    BRIM_TRY(brim_layer_units(l, true));
    for (size_t c = 0; c < l->n; c++) {
        out->scale[c] = brim_layer_scale(l->w_max[c], l->qmax);
    }
    BRIM_TRY(brim_solve_exact(l, out));
    BRIM_TRY(brim_solution_errors(l, out, err + l->n));
    for (size_t c = 0; c < l->n; c++) {
        if (err[c] < err[l->n + c]) {
            take_output(l, c, &axe, unit, out);
        }
    }
    return BRIM_OK;
}

void brim_layer_vector_scales(const struct brim_layer *l, brim_layer_solution *out)
{
    const size_t length = l->par.vector.length,
                 per = length == 0 ? 0 : (l->k + length - 1) / length;

    for (size_t c = 0; c < l->n && length > 0; c++) {
        for (size_t g = 0; g < per; g++) {
            double unit = 0.0; /* of the kept weights, which all have the vector's */
            for (size_t i = g * length; i < brim_min_size((g + 1) * length, l->k); i++) {
                unit = l->unit[c * l->k + i] > unit ? l->unit[c * l->k + i] : unit;
            }
            if (l->par.vector.scale_bits == 0) {
                out->vector_scale[c * per + g] =
                    unit > 0.0 ? brim_layer_scale((double)out->scale[c] * unit, 1) : 0.0F;
            } else {
                out->vector_code[c * per + g] = (uint16_t)unit;
            }
        }
    }
    for (size_t c = 0; c < l->n && length > 0 && l->par.vector.scale_bits == 0; c++) {
        out->scale[c] = 1.0F;
    }
}
