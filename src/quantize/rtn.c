/* rtn.c - round to nearest: columns do not speak to one another. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Invariant   q[t] = round(w[t] / s), half to even, clipped to the largest code.
 * Scale       Rounding that makes up for nothing leaves one thing to choose: each output's scale.
 *             Of SCALES from the least that clips nothing to a fifth above it is the one with the
 *             least error of the output, e H e^T (layer.h). Scales of vectors move along. ResNet-8,
 *             W4A4, 4-bit scales for 16 weights and, at run time, for 16 inputs: divergence from
 *             the float network 0.066 with the least scales, 0.051 with these.
 * Example     w = (1, 0.5), H of ones, largest code 7: the least scale, 1/7, rounds to (7, 4), whose
 *             sum is 11/7; 0.15 rounds to (7, 3), whose sum is 1.5 as it should be
 *             -> tests/quantize/test_solvers.c: nearest_chooses_its_scale.
 * Cost        O(k n), and the k^2 n of the error, for every scale. */
#include <float.h>

#include "quantize/sweep.h"

#define SCALES 17

void brim_rtn_setup(const struct brim_layer *layer, struct brim_sweep *s)
{
    (void)layer;
    s->pull = NULL;
    s->has_ref = true;
}

void brim_solver_setup(const struct brim_layer *layer, struct brim_sweep *s)
{
    s->plan = &layer->plan;
    s->order = layer->order;
    s->k = layer->k;
    s->block = BRIM_SWEEP_BLOCK;
    switch (layer->par.solver) {
    case BRIM_SOLVER_RTN:
        brim_rtn_setup(layer, s);
        break;
    case BRIM_SOLVER_GPFQ:
        brim_gpfq_setup(layer, s);
        break;
    case BRIM_SOLVER_OPTQ:
        brim_optq_setup(layer, s);
        break;
    case BRIM_SOLVER_QRONOS:
        brim_qronos_setup(layer, s);
        break;
    }
}

brim_status brim_solve_nearest(const struct brim_layer *l, brim_budget budget,
                               brim_layer_solution *out)
{
    double *least = brim_alloc(l->ctx, l->n, 2 * sizeof *least);
    float *start = brim_alloc(l->ctx, l->n, 2 * sizeof *start);
    brim_status status = least == NULL || start == NULL ? BRIM_ERR_NOMEM : BRIM_OK;

    for (size_t c = 0; status == BRIM_OK && c < l->n; c++) {
        start[c] = out->scale[c];
    }
    for (int i = 0; status == BRIM_OK && i < SCALES; i++) {
        for (size_t c = 0; c < l->n; c++) {
            const double up = (double)start[c] * (1.0 + 0.2 * i / (SCALES - 1));
            out->scale[c] = up < (double)FLT_MAX ? (float)up : start[c];
        }
        status = brim_solve_at_scale(l, budget, out);
        if (status == BRIM_OK) {
            status = brim_solution_errors(l, out, least + l->n);
        }
        for (size_t c = 0; status == BRIM_OK && c < l->n; c++) {
            if (i == 0 || least[l->n + c] < least[c]) {
                least[c] = least[l->n + c];
                start[l->n + c] = out->scale[c];
            }
        }
    }
    for (size_t c = 0; status == BRIM_OK && c < l->n; c++) {
        out->scale[c] = start[l->n + c];
    }
    brim_free(l->ctx, least);
    brim_free(l->ctx, start);
    return status == BRIM_OK ? brim_solve_at_scale(l, budget, out) : status;
}
