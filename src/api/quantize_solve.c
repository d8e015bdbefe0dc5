/* quantize_solve.c - one layer of brim_quantize(): solve, choose the grid, correct the bias,
 * rewrite.
 *
 * Choice between activation grids (abits auto). The error of a candidate against the float layer is
 *
 *     |W X - s q X~|^2 = |W X|^2 - 2 <W X, s q X~> + |s q X~|^2
 *
 * and the first term is the same for all, so the candidates are ranked by
 *
 *     J = sum over outputs of  s^2 q h q^T - 2 s q (g w^T + e^T)                                (1)
 *
 * which needs nothing but the moments: h = X~ X~^T, g = X~ X^T, and e = R X~^T where the output is
 * added to a branch whose error R it can make up for. A tie goes to the wider grid.
 *
 * Bias correction: after rounding, the mean of each output moves; W mean(x) - s q mean(x~) is what
 * has to be added to the bias. It changes no weight, so no guarantee depends on it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>
#include <time.h>

#include "api/quantize_flow.h"
#include "base/intops.h"
#include "graph/rewrite.h"

/* The weight that code i of a row stands for. */
static double value_of(const struct brim_flow_layer *l, const struct brim_flow_best *c, size_t row,
                       size_t i)
{
    const double q = (double)c->codes[row * l->dot->k + i];
    const size_t length = l->vector == 0 ? l->dot->k : l->vector;
    const size_t g = row * ((l->dot->k + length - 1) / length) + i / length;

    if (c->vector_scale != NULL) {
        return (double)c->vector_scale[g] * q;
    }
    return c->vector_code != NULL ? (double)c->scale[row] * (double)c->vector_code[g] * q
                                  : (double)c->scale[row] * q;
}

/* J of (1) for one output row. */
static double row_j(const struct brim_flow_layer *l, const struct brim_flow_best *c,
                    const struct brim_moments *m, size_t row)
{
    const struct brim_dot *d = l->dot;
    const size_t k = d->k;
    const size_t group = row / (d->n / d->groups);
    const double *h = m->h + group * k * k;
    const double *g = m->g + group * k * k;
    const int16_t *q = c->codes + row * k;
    const float *w = d->w_f32 + row * k;
    double sum = 0.0;

    for (size_t i = 0; i < k; i++) {
        double hq = 0.0, gw = m->e != NULL ? m->e[row * k + i] : 0.0;
        if (q[i] == 0) {
            continue;
        }
        for (size_t j = 0; j < k; j++) {
            hq += q[j] == 0 ? 0.0 : h[i * k + j] * value_of(l, c, row, j);
            gw += g[i * k + j] * (double)w[j];
        }
        sum += value_of(l, c, row, i) * (hq - 2.0 * gw);
    }
    return sum;
}

static bool prunes(const struct brim_flow *f, const struct brim_flow_layer *l)
{
    return f->params->prune.group > 0 && !l->keep_dense;
}

/* Which weights to keep: [n][k] in the wave's arena. */
static brim_status choose_mask(struct brim_flow *f, const struct brim_flow_layer *l,
                               const struct brim_moments *m, uint8_t **keep)
{
    const struct brim_dot *d = l->dot;
    const size_t n = d->n / d->groups;

    *keep = brim_arena_alloc(&f->wave, d->n * d->k, sizeof **keep);
    if (*keep == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t group = 0; group < d->groups; group++) {
        const brim_status s = brim_prune_layer(f->ctx, n, d->k, d->w_f32 + group * n * d->k,
                                               m->h + group * d->k * d->k, &f->params->prune,
                                               *keep + group * n * d->k);
        if (s != BRIM_OK) {
            return brim_fail_at(f->ctx, s, "layer '%s'", d->name);
        }
    }
    return BRIM_OK;
}

/* Quantize, then prune: the codes of least magnitude go, and nothing makes up for them. Registers
 * that held still hold. */
static brim_status prune_codes(struct brim_flow *f, const struct brim_flow_layer *l,
                               struct brim_flow_best *c)
{
    const struct brim_dot *d = l->dot;
    brim_prune_params p = f->params->prune;
    float *w = brim_arena_alloc(&f->wave, d->n * d->k, sizeof *w);
    uint8_t *keep = brim_arena_alloc(&f->wave, d->n * d->k, sizeof *keep);

    if (w == NULL || keep == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t row = 0; row < d->n; row++) {
        for (size_t i = 0; i < d->k; i++) {
            w[row * d->k + i] = (float)value_of(l, c, row, i);
        }
    }
    p.saliency = BRIM_SALIENCY_MAGNITUDE;
    BRIM_TRY(brim_prune_layer(f->ctx, d->n, d->k, w, NULL, &p, keep));
    for (size_t i = 0; i < d->n * d->k; i++) {
        c->codes[i] = keep[i] != 0 ? c->codes[i] : 0;
    }
    return BRIM_OK;
}

/* Solve every group of the layer with the moments of one grid. */
static brim_status solve_groups(struct brim_flow *f, const struct brim_flow_layer *l,
                                const struct brim_moments *m, struct brim_flow_best *c)
{
    const struct brim_dot *d = l->dot;
    const size_t n = d->n / d->groups;
    const struct brim_grid *grid = &l->grid[c->grid];
    brim_solve_params params = f->params->solve;

    params.wbits = l->wbits;
    params.vector.length = l->vector;
    const size_t per = l->vector == 0 ? 0 : (d->k + l->vector - 1) / l->vector;
    uint8_t *keep = NULL;
    if (prunes(f, l) && !f->params->prune_last) {
        BRIM_TRY(choose_mask(f, l, m, &keep));
    }
    for (size_t group = 0; group < d->groups; group++) {
        const brim_layer_problem problem = {
            .n = n,
            .k = d->k,
            .w = d->w_f32 + group * n * d->k,
            .h = m->h + group * d->k * d->k,
            .g = m->g + group * d->k * d->k,
            .e = m->e,
            .x_min = brim_min_i64(grid->lo, 0),
            .x_max = brim_max_i64(grid->hi, 0),
            .datapath = &l->datapath,
            .keep = keep == NULL ? NULL : keep + group * n * d->k,
        };
        brim_layer_solution solution = {
            .codes = c->codes + group * n * d->k,
            .scale = c->scale + group * n,
            .vector_scale = c->vector_scale == NULL ? NULL : c->vector_scale + group * n * per,
            .vector_code = c->vector_code == NULL ? NULL : c->vector_code + group * n * per};
        const brim_status s = brim_solve_layer(f->ctx, &problem, &params, &solution);
        if (s != BRIM_OK) {
            return brim_fail_at(f->ctx, s, "layer '%s'", d->name);
        }
        c->error += solution.error;
        c->norm += solution.norm;
    }
    if (prunes(f, l) && f->params->prune_last) {
        BRIM_TRY(prune_codes(f, l, c));
    }
    for (size_t row = 0; l->n_grids > 1 && row < d->n; row++) {
        c->j += row_j(l, c, m, row);
    }
    return BRIM_OK;
}

/* Bits of the product of a weight's and an input's integer scale that rounding drops. */
static unsigned product_shift(const struct brim_flow *f, const struct brim_flow_layer *l,
                              const struct brim_grid *grid)
{
    const unsigned kept = f->params->scale_product, each = f->params->solve.vector.scale_bits;
    const unsigned bits = l->vector == 0 ? 0 : each + grid->scale_bits;

    return kept == 0 || kept >= bits ? 0 : bits - kept;
}

brim_status brim_flow_set_bias(const struct brim_flow *f, const struct brim_flow_layer *l,
                               const struct brim_flow_best *c, size_t row, double b)
{
    const struct brim_grid *grid = &l->grid[c->grid];
    const float unit = grid->scale * ldexpf(c->scale[row], (int)product_shift(f, l, grid));
    const double q = unit > 0.0F ? brim_rint(b / (double)unit) : 0.0;

    if (!(fabs(q) < 0x1p31)) {
        return brim_fail(f->ctx, BRIM_ERR_INFEASIBLE,
                         "layer '%s': channel %zu: bias %g does not fit 32 bits", l->dot->name, row,
                         b);
    }
    c->bias[row] = (float)b;
    c->bias_q[row] = (int32_t)q;
    return BRIM_OK;
}

/* The bias of every output, corrected: as float, and in units of x_scale * w_scale. */
static brim_status solve_bias(const struct brim_flow *f, const struct brim_flow_layer *l,
                              const struct brim_moments *m, const struct brim_flow_best *c)
{
    const struct brim_dot *d = l->dot;

    for (size_t row = 0; row < d->n; row++) {
        const size_t group = row / (d->n / d->groups);
        const double *mean_f = m->mean_f + group * d->k;
        const double *mean_q = m->mean_q + group * d->k;
        double b = d->bias != NULL ? (double)d->bias[row] : 0.0;
        b += f->params->bias_correction && m->mean_e != NULL ? m->mean_e[row] : 0.0;
        for (size_t i = 0; f->params->bias_correction && i < d->k; i++) {
            b += (double)d->w_f32[row * d->k + i] * mean_f[i] - value_of(l, c, row, i) * mean_q[i];
        }
        BRIM_TRY(brim_flow_set_bias(f, l, c, row, b));
    }
    return BRIM_OK;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

brim_status brim_flow_try(struct brim_flow *f, struct brim_flow_layer *l, size_t grid,
                          const struct brim_moments *moments)
{
    const size_t n = l->dot->n;
    const double start = now();
    struct brim_flow_best c = {
        .grid = grid,
        .codes = brim_arena_alloc(&f->wave, n * l->dot->k, sizeof *c.codes),
        .scale = brim_arena_alloc(&f->wave, n, sizeof *c.scale),
        .bias = brim_arena_alloc(&f->wave, n, sizeof *c.bias),
        .bias_q = brim_arena_alloc(&f->wave, n, sizeof *c.bias_q),
    };

    if (c.codes == NULL || c.scale == NULL || c.bias == NULL || c.bias_q == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (l->vector > 0) {
        const size_t scales = n * ((l->dot->k + l->vector - 1) / l->vector);
        const bool two_level = f->params->solve.vector.scale_bits > 0;
        c.vector_code =
            two_level ? brim_arena_alloc(&f->wave, scales, sizeof *c.vector_code) : NULL;
        c.vector_scale =
            two_level ? NULL : brim_arena_alloc(&f->wave, scales, sizeof *c.vector_scale);
        if (c.vector_code == NULL && c.vector_scale == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    BRIM_TRY(solve_groups(f, l, moments, &c));
    BRIM_TRY(solve_bias(f, l, moments, &c));
    if (l->best.codes == NULL || c.j < l->best.j) {
        l->best = c;
    }
    brim_log(f->ctx, BRIM_LOG_DEBUG, "layer '%s': %lld activation codes: error %.6f", l->dot->name,
             (long long)l->grid[grid].hi - l->grid[grid].lo + 1,
             c.norm > 0.0 ? c.error / c.norm : 0.0);
    l->seconds += now() - start;
    return BRIM_OK;
}

/* Integer scales of one row as factors; the stages beyond vectors with float scales need nothing. */
static brim_status row_need(struct brim_flow *f, const struct brim_flow_layer *l, size_t row,
                            const int32_t *w, unsigned need[BRIM_MAX_STAGES])
{
    const struct brim_grid *grid = &l->grid[l->best.grid];
    const size_t per = l->vector == 0 ? 0 : (l->dot->k + l->vector - 1) / l->vector;
    const bool two_level = l->best.vector_code != NULL;
    uint32_t *factor = two_level ? brim_arena_alloc(&f->wave, per, sizeof *factor) : NULL;

    if (two_level && factor == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t g = 0; two_level && g < per; g++) {
        factor[g] = brim_dot_product(l->best.vector_code[row * per + g],
                                     brim_grid_vector_scale(grid, l->dot, row, g),
                                     product_shift(f, l, grid));
    }
    const brim_factors factors = {l->vector, factor};
    BRIM_TRY(brim_datapath_need_scaled(f->ctx, &l->datapath, two_level ? &factors : NULL, w,
                                       l->dot->k, grid->lo, grid->hi, need, NULL));
    bool beyond = false;
    for (size_t i = 0; i < l->datapath.n_stages && l->vector > 0 && !two_level; i++) {
        need[i] = beyond ? 0 : need[i];
        beyond = beyond || l->datapath.stage[i].tile == l->vector;
    }
    return BRIM_OK;
}

/* Bits of a weight and of its share of the integer or float scales. */
static double weight_bits(const struct brim_flow *f, const struct brim_flow_layer *l,
                          unsigned wbits)
{
    const unsigned scale_bits = f->params->solve.vector.scale_bits;

    return l->vector == 0 ? wbits
                          : wbits + (double)(scale_bits == 0 ? 32 : scale_bits) / (double)l->vector;
}

/* Widths that the codes need over all outputs, the bits that hold them, and the share of zeros. */
static brim_status measure(struct brim_flow *f, const struct brim_flow_layer *l,
                           brim_quantize_layer *record)
{
    const struct brim_dot *d = l->dot;
    int32_t *w = brim_arena_alloc(&f->wave, d->k, sizeof *w);
    size_t zeros = 0;
    int64_t largest = 0;

    if (w == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t row = 0; row < d->n; row++) {
        unsigned need[BRIM_MAX_STAGES] = {0};
        for (size_t i = 0; i < d->k; i++) {
            w[i] = l->best.codes[row * d->k + i];
            zeros += w[i] == 0 ? 1 : 0;
            largest = brim_max_i64(largest, w[i] < 0 ? -(int64_t)w[i] : w[i]);
        }
        BRIM_TRY(row_need(f, l, row, w, need));
        for (size_t i = 0; i < l->datapath.n_stages; i++) {
            record->need[i] = need[i] > record->need[i] ? need[i] : record->need[i];
        }
    }
    record->wbits = brim_width_of(-largest, largest);
    record->weight_bits = weight_bits(f, l, record->wbits);
    record->n_stages = l->datapath.n_stages;
    record->sparsity = (double)zeros / (double)(d->n * d->k);
    return BRIM_OK;
}

/* The layer as the prefix has it: the same values, but its node has moved. */
static brim_status find_in_prefix(const struct brim_flow *f, struct brim_dot *d)
{
    const struct brim_graph *g = f->prefix;

    for (d->node = 0; d->node < g->n_nodes; d->node++) {
        if (strcmp(g->nodes[d->node].name, d->name) == 0) {
            return BRIM_OK;
        }
    }
    return brim_fail(f->ctx, BRIM_ERR_INTERNAL, "layer '%s': lost while rewriting", d->name);
}

brim_status brim_flow_settle(struct brim_flow *f, const struct brim_flow_layer *l,
                             brim_quantize_layer *record)
{
    const struct brim_flow_best *best = &l->best;
    const struct brim_grid *grid = &l->grid[best->grid];
    struct brim_dot d = *l->dot;

    *record = (brim_quantize_layer){
        .name = d.name,
        .k = d.k,
        .n = d.n,
        .abits = l->abits != 0 ? l->abits : brim_width_of(0, grid->hi - grid->lo) - 1,
        .levels = (unsigned)(grid->hi - grid->lo + 1),
        .rel_error = best->norm > 0.0 ? best->error / best->norm : 0.0,
        .vector = l->vector,
        .seconds = l->seconds,
    };
    BRIM_TRY(measure(f, l, record));
    brim_log(f->ctx, BRIM_LOG_INFO, "layer '%s': %u-bit weights, %u activation codes, error %.6f",
             d.name, record->wbits, record->levels, record->rel_error);
    BRIM_TRY(find_in_prefix(f, &d));
    const bool has_bias =
        strcmp(f->prefix->nodes[d.node].op_type, "MatMul") != 0 && best->vector_scale == NULL;
    struct brim_rewrite_dot r = {
        .grid = *grid,
        .codes = best->codes,
        .w_scale = best->scale,
        .vector = l->vector,
        .vector_scale = best->vector_scale,
        .vector_code = best->vector_code,
        .product_shift = product_shift(f, l, grid),
        .bias_q = has_bias ? best->bias_q : NULL,
        .bias = has_bias ? NULL : best->bias,
        .datapath = &l->datapath,
    };
    memcpy(r.need, record->need, sizeof r.need);
    return brim_rewrite_quantize_dot(f->prefix, &d, &r);
}
