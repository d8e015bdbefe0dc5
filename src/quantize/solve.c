/* solve.c - one layer: checks, preparation, choice of solver and budget. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Objective. With inputs X~ from the quantized prefix, X from the float network and codes q at step
 * s, |W X - s q X~|^2 = (W* - s q) H (W* - s q)^T + a constant, where W* = W G^T H^-1 is the least-
 * squares weight; damped, W* = W (G^T + d I)(H + d I)^-1, which leans toward W. Only the part that
 * depends on q is known from H and G, so that is what is minimised and reported:
 *     rel_error = sum_c (W* - s q) H (W* - s q)^T / sum_c W* H W*^T. */
#include "quantize/layer.h"

#include <float.h>

#include "base/parallel.h"
#include "quantize/sweep.h"

#define MAX_K       65536
#define MAX_X       65536
#define PLAIN_LANES 128 /* channels of one task: a constant, because products depend on it */

void brim_solve_params_init(brim_solve_params *p)
{
    *p = (brim_solve_params){.solver = BRIM_SOLVER_OPTQ,
                             .budget = BRIM_BUDGET_EXACT,
                             .wbits = 8,
                             .damping = 0.01,
                             .effort = 1,
                             .vector = {.percentile = 99.0}};
}

/* ---- checks ---- */

static bool finite_f32(const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(v[i] >= -FLT_MAX && v[i] <= FLT_MAX)) {
            return false;
        }
    }
    return true;
}

static bool finite_f64(const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!(v[i] >= -DBL_MAX && v[i] <= DBL_MAX)) {
            return false;
        }
    }
    return true;
}

static brim_status check_vector(brim_ctx *ctx, const brim_vector_params *v)
{
    if (v->length == 0) {
        return BRIM_OK;
    }
    if (v->scale_bits != 0 && (v->scale_bits < 3 || v->scale_bits > 10)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "vector scales of %u bits, expected 0 or 3 to 10",
                         v->scale_bits);
    }
    if ((int)v->range < 0 || v->range > BRIM_RANGE_MSE ||
        !(v->percentile > 0.0 && v->percentile <= 100.0)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "range %d or percentile %g of vectors is unknown",
                         (int)v->range, v->percentile);
    }
    return BRIM_OK;
}

static brim_status check_params(brim_ctx *ctx, const brim_solve_params *s)
{
    if ((int)s->solver < 0 || s->solver > BRIM_SOLVER_QRONOS || (int)s->budget < 0 ||
        s->budget > BRIM_BUDGET_EXACT) {
        return brim_fail(ctx, BRIM_ERR_ARG, "solver %d or budget %d is unknown", (int)s->solver,
                         (int)s->budget);
    }
    if (s->wbits < 2 || s->wbits > 8) {
        return brim_fail(ctx, BRIM_ERR_ARG, "weights of %u bits, expected 2 to 8", s->wbits);
    }
    if (!(s->damping >= 0.0 && s->damping <= 1.0)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "damping %g, expected 0 to 1", s->damping);
    }
    return check_vector(ctx, &s->vector);
}

static brim_status check_problem(brim_ctx *ctx, const brim_layer_problem *p)
{
    size_t count;

    if (p->k > MAX_K || !brim_mul_size(p->n, p->k, &count) || p->n > INT32_MAX) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "layer of %zu outputs and %zu inputs, expected at most "
                         "%d inputs",
                         p->n, p->k, MAX_K);
    }
    if (p->x_min > 0 || p->x_max < 0 || p->x_min < -MAX_X || p->x_max > MAX_X) {
        return brim_fail(
            ctx, BRIM_ERR_ARG,
            "input codes %lld to %lld, expected a range that contains 0 within %d bits",
            (long long)p->x_min, (long long)p->x_max, 17);
    }
    if (count == 0) {
        return BRIM_OK;
    }
    if (p->w == NULL || p->h == NULL) {
        return brim_fail(ctx, BRIM_ERR_ARG, "weights or second moments are missing");
    }
    for (size_t c = 0; c < p->n; c++) {
        if (!finite_f32(p->w + c * p->k, p->k)) {
            return brim_fail(ctx, BRIM_ERR_ARG, "weight of channel %zu is not a finite number", c);
        }
    }
    if (!finite_f64(p->h, p->k * p->k) || (p->g != NULL && !finite_f64(p->g, p->k * p->k))) {
        return brim_fail(ctx, BRIM_ERR_ARG, "a second moment is not a finite number");
    }
    if (p->e != NULL && (p->g == NULL || !finite_f64(p->e, p->n * p->k))) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "residual moments: without cross moments or not finite numbers");
    }
    for (size_t i = 0; i < p->k; i++) {
        if (p->h[i * p->k + i] < 0.0) {
            return brim_fail(ctx, BRIM_ERR_ARG, "second moment of input %zu is negative", i);
        }
    }
    return BRIM_OK;
}

/* ---- the plain budgets: one scale a channel ---- */

struct plain_task {
    const struct brim_layer *layer;
    brim_budget budget;
    brim_layer_solution *out;
};

static brim_status plain_chunk(void *arg, size_t chunk, int worker)
{
    const struct plain_task *task = arg;
    const struct brim_layer *l = task->layer;
    const size_t first = chunk * PLAIN_LANES;
    struct brim_lane lane[PLAIN_LANES];
    const size_t m = brim_min_size(PLAIN_LANES, l->n - first);
    struct brim_sweep s;
    struct brim_arena a;
    brim_status status;

    (void)worker;
    brim_arena_init(&a, l->ctx);
    status = brim_sweep_create(l, &a, m, task->budget, &s);
    if (status == BRIM_OK) {
        for (size_t j = 0; j < m; j++) {
            lane[j] =
                (struct brim_lane){first + j, (double)task->out->scale[first + j], (double)l->qmax};
        }
        status = brim_sweep_load(l, &s, lane, m);
    }
    if (status == BRIM_OK) {
        brim_sweep_run(&s);
        for (size_t j = 0; j < m; j++) {
            brim_sweep_codes(&s, j, task->out->codes + (first + j) * l->k);
        }
    }
    brim_arena_free(&a);
    return status;
}

brim_status brim_solve_at_scale(const struct brim_layer *layer, brim_budget budget,
                                brim_layer_solution *out)
{
    struct plain_task task = {layer, budget, out};

    return brim_parallel_for(layer->ctx, (layer->n + PLAIN_LANES - 1) / PLAIN_LANES, plain_chunk,
                             &task);
}

brim_status brim_solve_plain(const struct brim_layer *layer, brim_budget budget,
                             brim_layer_solution *out)
{
    return layer->par.solver == BRIM_SOLVER_RTN && !layer->par.vector.published_order
               ? brim_solve_nearest(layer, budget, out)
               : brim_solve_at_scale(layer, budget, out);
}

float brim_layer_scale(double largest, int64_t code)
{
    const double s = largest / (double)code;

    return s >= (double)FLT_MIN ? (float)s : largest > 0.0 ? FLT_MIN : 1.0F;
}

/* ---- the error of a solution ---- */

struct error_task {
    const struct brim_layer *layer;
    const brim_layer_solution *s;
    double *err;
};

static brim_status error_chunk(void *arg, size_t chunk, int worker)
{
    const struct error_task *task = arg;
    const struct brim_layer *l = task->layer;
    const size_t first = chunk * PLAIN_LANES;
    const size_t m = brim_min_size(PLAIN_LANES, l->n - first);
    double *e = brim_alloc(l->ctx, l->k * m, sizeof(double));

    (void)worker;
    if (e == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t t = 0; t < l->k; t++) {
        for (size_t j = 0; j < m; j++) {
            const size_t c = first + j;
            e[t * m + j] = l->target[t * l->n + c] -
                           (double)task->s->scale[c] * brim_layer_unit(l, c, l->order[t]) *
                               (double)task->s->codes[c * l->k + l->order[t]];
        }
    }
    brim_layer_errors(l, e, m, task->err + first);
    brim_free(l->ctx, e);
    return BRIM_OK;
}

brim_status brim_solution_errors(const struct brim_layer *layer, const brim_layer_solution *s,
                                 double *err)
{
    struct error_task task = {layer, s, err};

    return brim_parallel_for(layer->ctx, (layer->n + PLAIN_LANES - 1) / PLAIN_LANES, error_chunk,
                             &task);
}

/* ---- the entry ---- */

static brim_status relative_error(const struct brim_layer *l, brim_layer_solution *out)
{
    double *err = brim_alloc(l->ctx, l->n, sizeof(double));
    brim_status status;
    double sum = 0.0;
    double norm = 0.0;

    if (err == NULL) {
        return BRIM_ERR_NOMEM;
    }
    status = brim_solution_errors(l, out, err);
    for (size_t c = 0; status == BRIM_OK && c < l->n; c++) {
        sum += err[c];
        norm += l->norm[c];
    }
    out->error = sum;
    out->norm = norm;
    out->rel_error = norm > 0.0 ? sum / norm : 0.0;
    brim_free(l->ctx, err);
    return status;
}

static brim_status solve_budget(struct brim_layer *l, brim_layer_solution *out)
{
    for (size_t c = 0; c < l->n; c++) {
        out->scale[c] = brim_layer_scale(l->w_max[c], l->qmax);
    }
    switch (l->par.budget) {
    case BRIM_BUDGET_NONE:
    case BRIM_BUDGET_AXE:
        return brim_solve_plain(l, l->par.budget, out);
    case BRIM_BUDGET_PROJECT:
        return brim_solve_project(l, out);
    case BRIM_BUDGET_EXACT:
        return l->par.vector.length > 0 ? brim_solve_exact_vectors(l, out)
                                        : brim_solve_exact(l, out);
    }
    return BRIM_ERR_INTERNAL;
}

/* Never ship what was not checked: every register of every channel, in integers. */
static brim_status check_solution(const struct brim_layer *l, const brim_layer_solution *out)
{
    struct brim_room *room = brim_alloc(l->ctx, l->plan.n_registers + 1, sizeof *room);
    brim_status status = BRIM_OK;

    if (room == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < l->n && status == BRIM_OK; c++) {
        if (!brim_budget_holds(&l->plan, out->codes + c * l->k, l->k, room)) {
            status =
                brim_fail(l->ctx, BRIM_ERR_INTERNAL, "channel %zu: codes leave their register", c);
        }
    }
    brim_free(l->ctx, room);
    return status;
}

static brim_status solve_prepared(struct brim_layer *l, brim_layer_solution *out)
{
    BRIM_TRY(brim_layer_prepare(l));
    BRIM_TRY(solve_budget(l, out));
    BRIM_TRY(check_solution(l, out));
    BRIM_TRY(relative_error(l, out));
    brim_layer_vector_scales(l, out);
    return BRIM_OK;
}

/* What binds the codes: every stage, but with vectors only those up to them. What lies beyond sums
 * totals times factors and is wide; the caller certifies it. */
static brim_status compile_budget(struct brim_layer *l)
{
    const brim_datapath *dp = l->p->datapath;
    const int64_t x_range[2] = {l->p->x_min, l->p->x_max};
    const size_t length = l->par.vector.length;
    struct brim_budget_plan *plan = &l->plan;

    if (dp == NULL) {
        return brim_fail(l->ctx, BRIM_ERR_ARG, "a budget needs a datapath");
    }
    BRIM_TRY(brim_budget_compile(l->ctx, dp, l->k, l->qmax, x_range, plan));
    if (length == 0 || length >= l->k) {
        return BRIM_OK;
    }
    size_t last = 0;
    while (last + 1 < dp->n_stages && dp->stage[last].tile != length) {
        last++;
    }
    if (last + 1 == dp->n_stages) {
        return brim_fail(l->ctx, BRIM_ERR_ARG,
                         "no stage of the datapath but the last has tiles of %zu products, the "
                         "vectors",
                         length);
    }
    while (plan->n_limits > 0 && plan->limit[plan->n_limits - 1].stage > last) {
        plan->n_registers = plan->limit[--plan->n_limits].first;
    }
    return BRIM_OK;
}

brim_status brim_solve_layer(brim_ctx *ctx, const brim_layer_problem *problem,
                             const brim_solve_params *params, brim_layer_solution *solution)
{
    struct brim_layer l = {.ctx = ctx, .p = problem, .par = *params};
    brim_status status;

    BRIM_TRY(check_params(ctx, params));
    BRIM_TRY(check_problem(ctx, problem));
    l.n = problem->n;
    l.k = problem->k;
    l.qmax = (int64_t)(1U << (params->wbits - 1)) - 1;
    if (params->budget != BRIM_BUDGET_NONE) {
        BRIM_TRY(compile_budget(&l));
    }
    solution->error = solution->norm = solution->rel_error = 0.0;
    if (l.n == 0) {
        return BRIM_OK;
    }
    if (l.k == 0) {
        for (size_t c = 0; c < l.n; c++) {
            solution->scale[c] = 1.0F;
        }
        return BRIM_OK;
    }
    brim_parallel_init();
    brim_arena_init(&l.arena, ctx);
    status = solve_prepared(&l, solution);
    brim_layer_free(&l);
    return status;
}
