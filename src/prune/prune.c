/* prune.c - N:M patterns, one-shot. SPDX-License-Identifier: Apache-2.0
 *
 * [1] Natesh and Kung, arXiv:2504.09064 (PQS); [2] Hassibi and Stork, 1993 (optimal brain surgeon).
 *
 * Symbols     score    what dropping a weight costs: |w|, or w^2 / [H^-1]_kk: the rise of
 *                      (w - v) H (w - v) when v_k = 0 and the other v are the best there are [2]
 * Invariant   exactly `keep` of every whole group of a block of outputs are kept.
 * Differs     from [1]: the two numbers are what is kept and of how many; scores of a block of
 *             outputs are added up, so that they share a pattern.
 * Cost        O(n k group); MOMENTS: k^3 multiply-adds for the diagonal of the inverse.
 * Example     w = (3, -1, 2, 0.5), 2 of 4: 3 and 2 are kept. With the block (3, -1, 2, 0.5),
 *             (0, 4, 1, 0): sums (3, 5, 3, 0.5), so the first two are.
 *             -> tests/prune/test_prune.c: worked_example. */
#include <lapacke.h>
#include <math.h>

#include "base/alloc.h"
#include "base/intops.h"
#include "base/parallel.h"
#include "brim/prune.h"

void brim_prune_params_init(brim_prune_params *p)
{
    *p = (brim_prune_params){.block = 1, .damping = 0.01};
}

static brim_status check(brim_ctx *ctx, const brim_prune_params *p, const double *h)
{
    if (p->keep < 1 || p->keep >= p->group || p->group > 64) {
        return brim_fail(ctx, BRIM_ERR_ARG, "keep %u of %u, expected 1 <= keep < group <= 64",
                         p->keep, p->group);
    }
    if (p->block < 1) {
        return brim_fail(ctx, BRIM_ERR_ARG, "blocks of 0 outputs, expected at least 1");
    }
    if ((int)p->saliency < 0 || p->saliency > BRIM_SALIENCY_MOMENTS ||
        !(p->damping >= 0.0 && p->damping <= 1.0)) {
        return brim_fail(ctx, BRIM_ERR_ARG, "saliency %d or damping %g is unknown",
                         (int)p->saliency, p->damping);
    }
    if (p->saliency == BRIM_SALIENCY_MOMENTS && h == NULL) {
        return brim_fail(ctx, BRIM_ERR_ARG, "second moments are missing");
    }
    return BRIM_OK;
}

/* cost[i] = 1 / [(H + d I)^-1]_ii; an input that never moves costs nothing. */
static brim_status moment_costs(brim_ctx *ctx, size_t k, const double *h, double damping,
                                double *cost)
{
    double *a = brim_alloc(ctx, k * k, sizeof *a);
    double mean = 0.0;
    brim_status status = BRIM_OK;

    if (a == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < k; i++) {
        mean += h[i * k + i] / (double)k;
    }
    for (size_t i = 0; i < k * k; i++) {
        a[i] = h[i];
    }
    for (size_t i = 0; i < k; i++) {
        a[i * k + i] = h[i * k + i] > 0.0 ? h[i * k + i] + damping * mean : 1.0;
    }
    brim_parallel_init();
    const lapack_int n = (lapack_int)k;
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', n, a, n) != 0 ||
        LAPACKE_dpotri_work(LAPACK_COL_MAJOR, 'L', n, a, n) != 0) {
        status = brim_fail(ctx, BRIM_ERR_ARG,
                           "second moments are not positive semidefinite, expected more damping");
    }
    for (size_t i = 0; i < k && status == BRIM_OK; i++) {
        cost[i] = h[i * k + i] > 0.0 ? 1.0 / a[i * k + i] : 0.0;
    }
    brim_free(ctx, a);
    return status;
}

/* Mark the `keep` highest scores of one group in mask[0..n). */
static void choose(const double *score, size_t n, unsigned keep, uint8_t *mask)
{
    for (size_t i = 0; i < n; i++) {
        size_t above = 0;
        for (size_t j = 0; j < n; j++) {
            above += score[j] > score[i] || (score[j] == score[i] && j < i);
        }
        mask[i] = above < keep;
    }
}

/* Of `rows` outputs that share a pattern; cost NULL: by magnitude. */
static void prune_block(const brim_prune_params *p, const float *w, size_t rows, size_t k,
                        const double *cost, uint8_t *mask)
{
    double score[64];

    for (size_t at = 0; at < k; at += p->group) {
        const size_t n = brim_min_size(p->group, k - at);
        for (size_t i = 0; i < n; i++) {
            score[i] = 0.0;
            for (size_t r = 0; r < rows; r++) {
                const double v = (double)w[r * k + at + i];
                score[i] += cost != NULL ? v * v * cost[at + i] : fabs(v);
            }
        }
        choose(score, n, p->keep, mask + at);
        for (size_t r = 1; r < rows; r++) {
            for (size_t i = 0; i < n; i++) {
                mask[r * k + at + i] = mask[at + i];
            }
        }
    }
}

struct layer {
    const brim_prune_params *p;
    size_t n, k;
    const float *w;
    const double *cost;
    uint8_t *mask;
};

static brim_status prune_one(void *arg, size_t i, int worker)
{
    const struct layer *l = arg;
    const size_t c = i * l->p->block;

    (void)worker;
    prune_block(l->p, l->w + c * l->k, brim_min_size(l->p->block, l->n - c), l->k, l->cost,
                l->mask + c * l->k);
    return BRIM_OK;
}

brim_status brim_prune_layer(brim_ctx *ctx, size_t n, size_t k, const float *w, const double *h,
                             const brim_prune_params *params, uint8_t *mask)
{
    double *cost = NULL;

    BRIM_TRY(check(ctx, params, h));
    if (n == 0 || k == 0) {
        return BRIM_OK;
    }
    if (params->saliency == BRIM_SALIENCY_MOMENTS) {
        cost = brim_alloc(ctx, k, sizeof *cost);
        const brim_status status =
            cost == NULL ? BRIM_ERR_NOMEM : moment_costs(ctx, k, h, params->damping, cost);
        if (status != BRIM_OK) {
            brim_free(ctx, cost);
            return status;
        }
    }
    struct layer l = {params, n, k, w, cost, mask};
    const brim_status status = brim_parallel_for(ctx, (n - 1) / params->block + 1, prune_one, &l);
    brim_free(ctx, cost);
    return status;
}
