/* gpfq.c - greedy path following quantization, covariance form. SPDX-License-Identifier: Apache-2.0
 *
 * [1] Lybrand, Saab, "A greedy algorithm for quantizing neural networks", JMLR 2021; covariance
 * form as in Brevitas (algorithms note 4.1): memory k^2 instead of k times samples.
 *
 * Symbols     H = X~ X~^T, G = X~ X^T, w the float weights (the algorithm follows the float path;
 * it needs no W*). Invariant   v[t] = <sum_{j<=t} w[j] x_j - sum_{j<t} s q[j] x~_j, x~_t> / <x~_t,
 * x~_t>: the best real value of column t given the residual so far. v[t] = sum_{j<=t}
 * G[t][j]/H[t][t] w[j] - sum_{j<t} H[t][j]/H[t][t] s q[j]. Differs     from [1]: columns in
 * descending order of diag(H); a dead input gets code 0. Cost        2 k^2 n multiply-adds in
 * matrix products (k^2 n when G = H). Example     H = G = [[4,2],[2,4]], w = (0.6, 0.6), s = 1:
 * q[0] = 1, v[1] = 0.6 + (2/4)(0.6 - 1) = 0.4, q[1] = 0: tests/quantize/test_solvers.c:
 * gpfq_worked_example. */
#include <cblas.h>

#include "quantize/sweep.h"

/* out[t][j] = m[order t][order j] / H[order t][order t] for j < t (and j = t when `diagonal`). */
static void gather(const struct brim_layer *layer, const double *m, bool diagonal, double *out)
{
    const size_t k = layer->k;

    for (size_t t = 0; t < k; t++) {
        const size_t row = layer->order[t];
        const double h = layer->p->h[row * k + row];
        const double inv = h > 0.0 ? 1.0 / h : 0.0;
        for (size_t j = 0; j < t; j++) {
            out[t * k + j] = m[row * k + layer->order[j]] * inv;
        }
        out[t * k + t] = diagonal ? m[row * k + row] * inv : 0.0;
    }
}

brim_status brim_gpfq_prepare(struct brim_layer *layer)
{
    const size_t k = layer->k;
    const size_t n = layer->n;

    layer->greedy = brim_arena_alloc(&layer->arena, k * k, sizeof(double));
    if (layer->greedy == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (layer->p->g != NULL) {
        size_t count;
        if (!brim_mul_size(k, n, &count)) {
            return brim_fail(layer->ctx, BRIM_ERR_NOMEM, "layer: too large");
        }
        layer->start = brim_arena_alloc(&layer->arena, count, sizeof(double));
        if (layer->start == NULL) {
            return BRIM_ERR_NOMEM;
        }
        for (size_t t = 0; t < k; t++) {
            for (size_t c = 0; c < n; c++) {
                layer->start[t * n + c] = (double)layer->p->w[c * k + layer->order[t]];
            }
        }
        gather(layer, layer->p->g, true, layer->greedy);
        cblas_dtrmm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (blasint)k,
                    (blasint)n, 1.0, layer->greedy, (blasint)k, layer->start, (blasint)n);
    }
    gather(layer, layer->p->h, false, layer->greedy);
    return BRIM_OK;
}

void brim_gpfq_setup(const struct brim_layer *layer, struct brim_sweep *s)
{
    s->pull = layer->greedy;
    s->has_ref = layer->start == NULL;
    s->full_error = true;
}
