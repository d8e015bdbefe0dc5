/* qronos.c - Qronos: the first column by the mismatched residual, then OPTQ.
 * SPDX-License-Identifier: Apache-2.0
 *
 * [1] Zhang et al., arXiv:2505.11695.
 *
 * Invariant   v[0] = (w G[:,0] - sum_{j>0} w[j] H[0][j]) / H[0][0]: the best first column when all
 *             others stay as they are. The others then become the least-squares weights given q[0];
 *             since W* is the least-squares solution for all of them, that is W* plus OPTQ's own
 *             update for the error W*[0] - s q[0], so the recurrence of optq.c goes on unchanged.
 * Differs     from [1]: damping as in optq.c instead of 1e-6 of the largest eigenvalue.
 * Cost        as optq.c. */
#include "quantize/sweep.h"

brim_status brim_qronos_prepare(struct brim_layer *layer)
{
    const size_t k = layer->k;
    const size_t first = layer->order[0];
    const double *h = layer->p->h + first * k;
    const double *g = layer->p->g != NULL ? layer->p->g + first * k : h;

    layer->start = brim_arena_alloc(&layer->arena, layer->n, sizeof(double));
    if (layer->start == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < layer->n; c++) {
        const float *w = layer->p->w + c * k;
        double sum = (double)w[first] * g[first];
        for (size_t j = 0; j < k; j++) {
            if (j != first) {
                sum += (double)w[j] * (g[j] - h[j]);
            }
        }
        layer->start[c] = h[first] > 0.0 ? sum / h[first] : 0.0;
    }
    return BRIM_OK;
}

void brim_qronos_setup(const struct brim_layer *layer, struct brim_sweep *s)
{
    s->pull = layer->pull;
    s->has_ref = true;
    s->has_first = true;
}
