/* optq.c - OPTQ (GPTQ) without an inverse. SPDX-License-Identifier: Apache-2.0
 *
 * [1] Frantar et al., arXiv:2210.17323. Columns in descending order of diag(H); each is rounded,
 * and the error is spread over the columns that are left so that the output changes least.
 *
 * Symbols     [1]      here
 *             H        H + d I          d = damping times the mean diagonal
 *             U        S^-T             upper Cholesky factor of the inverse; never formed
 *             w - q    e
 * Invariant   v[t] = w[t] + sum_{i<t} A[t][i] (w[i] - s q[i])  is what [1]'s repeated update of the
 *             remaining columns leaves in column t: with e (H + d I) e^T = |e S^T|^2 and S lower,
 *             v[t] is the value of column t that makes term t of the sum zero, given the past. What
 *             is lost by rounding it is (r[t] (v[t] - s q[t]))^2, and these losses add up to the
 *             whole error.
 * Differs     from [1]: no inverse, one Cholesky factorization; the target is W* when the inputs of
 *             the quantized prefix differ from the float network's.
 * Cost        k^3/3 + k^2 n multiply-adds.
 * Example     H = [[2,1],[1,2]], w = (1.4, 0.6), s = 1, no damping: order 0, 1. S = [[sqrt(3/2),0],
 *             [1/sqrt 2, sqrt 2]], A[1][0] = 1/2. q[0] = 1, e = 0.4, v[1] = 0.6 + 0.2 = 0.8, q[1] =
 * 1: tests/quantize/test_solvers.c: optq_worked_example. */
#include "quantize/sweep.h"

void brim_optq_setup(const struct brim_layer *layer, struct brim_sweep *s)
{
    s->pull = layer->pull;
    s->has_ref = true;
    s->r = layer->r;
    s->damp = layer->damp;
}
