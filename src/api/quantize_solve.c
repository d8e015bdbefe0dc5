/* quantize_solve.c - one layer of brim_quantize(): solve, choose the grid, correct the bias,
 * rewrite.
 *
 * Choice between activation grids (abits auto). The error of a candidate against the float layer is
 *
 *     |W X - s q X~|^2 = |W X|^2 - 2 <W X, s q X~> + |s q X~|^2
 *
 * and the first term is the same for all, so the candidates are ranked by
 *
 *     J = sum over outputs of  s^2 q h q^T - 2 s q g w^T                                        (1)
 *
 * which needs nothing but the moments: h = X~ X~^T, g = X~ X^T. A tie goes to the wider grid.
 *
 * Bias correction: after rounding, the mean of each output moves; W mean(x) - s q mean(x~) is what
 * has to be added to the bias. It changes no weight, so no guarantee depends on it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "api/quantize_flow.h"
#include "base/intops.h"
#include "graph/rewrite.h"

/* One candidate solved. */
struct candidate {
    int16_t *codes; /* [n][k] */
    float *scale;   /* [n] */
    double error, norm, j;
    const struct brim_moments *moments;
    size_t grid;
};

/* J of (1) for one output row of one group. */
static double row_j(const struct brim_dot *d, const struct candidate *c, size_t row)
{
    const size_t k = d->k;
    const size_t group = row / (d->n / d->groups);
    const double *h = c->moments->h + group * k * k;
    const double *g = c->moments->g + group * k * k;
    const int16_t *q = c->codes + row * k;
    const float *w = d->w_f32 + row * k;
    const double s = (double)c->scale[row];
    double sum = 0.0;

    for (size_t i = 0; i < k; i++) {
        double hq = 0.0, gw = 0.0;
        if (q[i] == 0) {
            continue;
        }
        for (size_t j = 0; j < k; j++) {
            hq += h[i * k + j] * (double)q[j];
            gw += g[i * k + j] * (double)w[j];
        }
        sum += (double)q[i] * (s * s * hq - 2.0 * s * gw);
    }
    return sum;
}

/* Solve every group of the layer with the moments of one grid. */
static brim_status solve_candidate(struct brim_flow *f, const struct brim_flow_layer *l,
                                   struct candidate *c)
{
    const struct brim_dot *d = l->dot;
    const size_t n = d->n / d->groups;
    const struct brim_grid *grid = &l->grid[c->grid];
    brim_solve_params params = f->params->solve;

    params.wbits = l->wbits;
    c->error = c->norm = c->j = 0.0;
    for (size_t group = 0; group < d->groups; group++) {
        const brim_layer_problem problem = {
            .n = n,
            .k = d->k,
            .w = d->w_f32 + group * n * d->k,
            .h = c->moments->h + group * d->k * d->k,
            .g = c->moments->g + group * d->k * d->k,
            .x_min = brim_min_i64(grid->lo, 0),
            .x_max = brim_max_i64(grid->hi, 0),
            .datapath = &l->datapath,
        };
        brim_layer_solution solution = {.codes = c->codes + group * n * d->k,
                                        .scale = c->scale + group * n};
        const brim_status s = brim_solve_layer(f->ctx, &problem, &params, &solution);
        if (s != BRIM_OK) {
            return brim_fail_at(f->ctx, s, "layer '%s'", d->name);
        }
        c->error += solution.error;
        c->norm += solution.norm;
    }
    for (size_t row = 0; l->n_grids > 1 && row < d->n; row++) {
        c->j += row_j(d, c, row);
    }
    return BRIM_OK;
}

/* Solve all candidates; the best one's codes and scales end up in *best. */
static brim_status solve_all(struct brim_flow *f, const struct brim_flow_layer *l,
                             const struct brim_moments *moments, struct brim_arena *scratch,
                             struct candidate *best)
{
    const size_t count = l->dot->n * l->dot->k;

    for (size_t i = 0; i < l->n_grids; i++) {
        struct candidate c = {.moments = &moments[i], .grid = i};
        c.codes = brim_arena_alloc(scratch, count, sizeof *c.codes);
        c.scale = brim_arena_alloc(scratch, l->dot->n, sizeof *c.scale);
        if (c.codes == NULL || c.scale == NULL) {
            return BRIM_ERR_NOMEM;
        }
        BRIM_TRY(solve_candidate(f, l, &c));
        if (i == 0 || c.j < best->j) {
            *best = c;
        }
    }
    return BRIM_OK;
}

/* The bias of every output, corrected: as float, and in units of x_scale * w_scale. */
static brim_status solve_bias(const struct brim_flow *f, const struct brim_flow_layer *l,
                              const struct candidate *c, float *bias, int32_t *bias_q)
{
    const struct brim_dot *d = l->dot;

    for (size_t row = 0; row < d->n; row++) {
        const size_t group = row / (d->n / d->groups);
        const double *mean_f = c->moments->mean_f + group * d->k;
        const double *mean_q = c->moments->mean_q + group * d->k;
        double b = d->bias != NULL ? (double)d->bias[row] : 0.0;
        for (size_t i = 0; f->params->bias_correction && i < d->k; i++) {
            b += (double)d->w_f32[row * d->k + i] * mean_f[i] -
                 (double)c->scale[row] * (double)c->codes[row * d->k + i] * mean_q[i];
        }
        const float unit = l->grid[c->grid].scale * c->scale[row];
        const double q = unit > 0.0F ? brim_rint(b / (double)unit) : 0.0;
        if (!(fabs(q) < 0x1p31)) {
            return brim_fail(f->ctx, BRIM_ERR_INFEASIBLE,
                             "layer '%s': channel %zu: bias %g does not fit 32 bits", d->name, row,
                             b);
        }
        bias[row] = (float)b;
        bias_q[row] = (int32_t)q;
    }
    return BRIM_OK;
}

/* Widths that the codes need over all outputs, the bits that hold them, and the share of zeros. */
static brim_status measure(struct brim_flow *f, const struct brim_flow_layer *l,
                           const struct candidate *c, struct brim_arena *scratch,
                           brim_quantize_layer *record)
{
    const struct brim_dot *d = l->dot;
    const struct brim_grid *grid = &l->grid[c->grid];
    int32_t *w = brim_arena_alloc(scratch, d->k, sizeof *w);
    size_t zeros = 0;
    int64_t largest = 0;

    if (w == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t row = 0; row < d->n; row++) {
        unsigned need[BRIM_MAX_STAGES] = {0};
        for (size_t i = 0; i < d->k; i++) {
            w[i] = c->codes[row * d->k + i];
            zeros += w[i] == 0 ? 1 : 0;
            largest = brim_max_i64(largest, w[i] < 0 ? -(int64_t)w[i] : w[i]);
        }
        BRIM_TRY(brim_datapath_need(f->ctx, &l->datapath, w, d->k, grid->lo, grid->hi, need, NULL));
        for (size_t i = 0; i < l->datapath.n_stages; i++) {
            record->need[i] = need[i] > record->need[i] ? need[i] : record->need[i];
        }
    }
    record->wbits = brim_width_of(-largest, largest);
    record->n_stages = l->datapath.n_stages;
    record->sparsity = (double)zeros / (double)(d->n * d->k);
    return BRIM_OK;
}

/* Put the layer's codes into the prefix. */
static brim_status rewrite(struct brim_flow *f, const struct brim_flow_layer *l,
                           struct brim_rewrite_dot *r)
{
    struct brim_dot d = *l->dot; /* the prefix has the same values, its nodes have moved */
    const struct brim_graph *g = f->prefix;

    d.node = g->n_nodes;
    for (size_t i = 0; i < g->n_nodes; i++) {
        if (strcmp(g->nodes[i].name, d.name) == 0) {
            d.node = i;
        }
    }
    if (d.node == g->n_nodes) {
        return brim_fail(f->ctx, BRIM_ERR_INTERNAL, "layer '%s': lost while rewriting", d.name);
    }
    if (strcmp(g->nodes[d.node].op_type, "MatMul") == 0) {
        r->bias_q = NULL;
    } else {
        r->bias = NULL;
    }
    return brim_rewrite_quantize_dot(f->prefix, &d, r);
}

/* Everything but the clock. */
static brim_status solve_layer(struct brim_flow *f, const struct brim_flow_layer *l,
                               const struct brim_moments *moments, struct brim_arena *scratch,
                               brim_quantize_layer *record)
{
    int32_t *bias_q = brim_arena_alloc(scratch, l->dot->n, sizeof *bias_q);
    float *bias = brim_arena_alloc(scratch, l->dot->n, sizeof *bias);
    struct candidate best = {0};

    if (bias_q == NULL || bias == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(solve_all(f, l, moments, scratch, &best));
    BRIM_TRY(solve_bias(f, l, &best, bias, bias_q));
    *record = (brim_quantize_layer){
        .name = l->dot->name,
        .k = l->dot->k,
        .n = l->dot->n,
        .abits = l->grid_bits[best.grid],
        .rel_error = best.norm > 0.0 ? best.error / best.norm : 0.0,
    };
    BRIM_TRY(measure(f, l, &best, scratch, record));
    struct brim_rewrite_dot r = {
        .grid = l->grid[best.grid],
        .codes = best.codes,
        .w_scale = best.scale,
        .bias_q = bias_q,
        .bias = bias,
        .datapath = &l->datapath,
    };
    memcpy(r.need, record->need, sizeof r.need);
    return rewrite(f, l, &r);
}

brim_status brim_flow_solve(struct brim_flow *f, size_t layer, const struct brim_moments *moments)
{
    const double start = brim_flow_now();
    struct brim_arena scratch;

    brim_arena_init(&scratch, f->ctx);
    const brim_status s = solve_layer(f, &f->layer[layer], moments, &scratch, &f->record[layer]);
    f->record[layer].seconds = brim_flow_now() - start;
    brim_arena_free(&scratch);
    return s;
}
