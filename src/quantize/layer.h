/* layer.h - a layer made ready for the solvers. SPDX-License-Identifier: Apache-2.0
 *
 * Everything of length k is in processing order: descending diagonal of H, ties by index. Matrices
 * of weights are [k][channels], so that the inner loops run over channels (or over candidates of
 * channels, "lanes") and every lane does the same work.
 *
 * Factor. With the order's permutation applied, H + d I = S^T S, S lower triangular, S = diag(r) A
 * with A unit lower triangular ("pull"). It is the Cholesky factor of the matrix with its order
 * reversed, so one factorization serves everything: OPTQ's U (upper Cholesky of the inverse,
 * arXiv 2210.17323) is U = S^-T, r[t] = 1 / U[t][t], and for any row of errors e
 *     e (H + d I) e^T = sum_t (r[t] * (e[t] + sum_{i<t} A[t][i] e[i]))^2.                     (1)
 */
#ifndef BRIM_QUANTIZE_LAYER_H
#define BRIM_QUANTIZE_LAYER_H

#include "brim/quantize.h"
#include "datapath/budget.h"

/* Columns per block of the triangular recurrences; a constant, because it is part of the result. */
#define BRIM_SWEEP_BLOCK 64

struct brim_sweep;

struct brim_layer {
    brim_ctx *ctx;
    const brim_layer_problem *p;
    brim_solve_params par;
    struct brim_arena arena;
    struct brim_budget_plan plan; /* no limits with BRIM_BUDGET_NONE */
    size_t n, k;
    int64_t qmax;
    size_t *order;  /* [k] position in K order of the t-th processed */
    double damp;    /* d */
    double *pull;   /* A [k][k], strict lower part */
    double *r;      /* [k] */
    double *target; /* W* [k][n]; 0 where the input never moves */
    double *norm;   /* [n] W* H W*^T */
    double *w_max;  /* [n] largest |W*| / unit */
    double *unit;   /* [n][k] K order: code q is scale * unit * q; 0 = pruned; NULL: all 1 */
    double *round;  /* [n][k] codes are rounded at scale * round; NULL: at unit */
    double *greedy; /* GPFQ: its pull matrix [k][k] */
    double *start;  /* GPFQ: base [k][n]; QRONOS: first row [n] */
};

/* Factor, target and norms; `layer` is zeroed first and freed with brim_layer_free() in any case.
 */
BRIM_NODISCARD brim_status brim_layer_prepare(struct brim_layer *layer);
void brim_layer_free(struct brim_layer *layer);

static inline double brim_layer_unit(const struct brim_layer *layer, size_t channel, size_t k)
{
    return layer->unit != NULL ? layer->unit[channel * layer->k + k] : 1.0;
}

/* Units of vectors and of pruned weights from the target: fills layer->unit and ->round, and ->w_max
 * by them. grow: larger units where codes would otherwise overflow their register. */
BRIM_NODISCARD brim_status brim_layer_units(struct brim_layer *layer, bool grow);
void brim_layer_reach(struct brim_layer *layer); /* fills ->w_max */
/* The vectors' scales of a finished solution, from the units. */
void brim_layer_vector_scales(const struct brim_layer *layer, brim_layer_solution *out);

/* e[k][m] (processing order, overwritten): err[j] = e_j H e_j^T for each lane j. */
void brim_layer_errors(const struct brim_layer *layer, double *e, size_t m, double *err);

/* Solver preparation: fill layer->greedy and layer->start. */
BRIM_NODISCARD brim_status brim_gpfq_prepare(struct brim_layer *layer);
BRIM_NODISCARD brim_status brim_qronos_prepare(struct brim_layer *layer);

/* Which recurrence: pull, ref, first; sweep.h. */
void brim_rtn_setup(const struct brim_layer *layer, struct brim_sweep *s);
void brim_gpfq_setup(const struct brim_layer *layer, struct brim_sweep *s);
void brim_optq_setup(const struct brim_layer *layer, struct brim_sweep *s);
void brim_qronos_setup(const struct brim_layer *layer, struct brim_sweep *s);
void brim_solver_setup(const struct brim_layer *layer, struct brim_sweep *s);

/* Every channel rounded by the solver under NONE or AXE: at out->scale, */
BRIM_NODISCARD brim_status brim_solve_at_scale(const struct brim_layer *layer, brim_budget budget,
                                               brim_layer_solution *out);
/* RTN: at the scale from out->scale up that loses least, which replaces it, */
BRIM_NODISCARD brim_status brim_solve_nearest(const struct brim_layer *layer, brim_budget budget,
                                              brim_layer_solution *out);
/* the one or the other as the solver asks. */
BRIM_NODISCARD brim_status brim_solve_plain(const struct brim_layer *layer, brim_budget budget,
                                            brim_layer_solution *out);
/* Projection and truncation. */
BRIM_NODISCARD brim_status brim_solve_project(const struct brim_layer *layer,
                                              brim_layer_solution *out);
/* The search; starts from and is never worse than brim_solve_plain(AXE). */
BRIM_NODISCARD brim_status brim_solve_exact(const struct brim_layer *layer,
                                            brim_layer_solution *out);
/* The same for vectors, with larger units where they pay; out->scale as for AXE. */
BRIM_NODISCARD brim_status brim_solve_exact_vectors(struct brim_layer *layer,
                                                    brim_layer_solution *out);

/* largest / code as a float, never 0 or subnormal; 1 for a channel of zeros. */
float brim_layer_scale(double largest, int64_t code);

/* err[c] = (W* - s q) H (W* - s q)^T of every channel of a solution. */
BRIM_NODISCARD brim_status brim_solution_errors(const struct brim_layer *layer,
                                                const brim_layer_solution *s, double *err);

#endif
