/* brim/prune.h - which weights to drop so that dot products get shorter: N:M patterns. */
#ifndef BRIM_PRUNE_H
#define BRIM_PRUNE_H

#include <brim/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum brim_saliency {
    BRIM_SALIENCY_MAGNITUDE = 0, /**< |w| */
    BRIM_SALIENCY_MOMENTS = 1    /**< w^2 / [H^-1]_kk, what dropping w costs when the others make up
                                    for it (optimal brain surgeon), H the inputs' second moments */
} brim_saliency;

/** Keep `keep` of every `group` consecutive inputs, in K order. */
typedef struct brim_prune_params {
    unsigned keep, group;   /**< 1 <= keep < group <= 64; group 0 = nothing is pruned (default) */
    unsigned block;         /**< neighbouring outputs that share a pattern; default 1 */
    brim_saliency saliency; /**< default MAGNITUDE */
    double damping;         /**< MOMENTS: share of the mean diagonal added to it; default 0.01 */
} brim_prune_params;

BRIM_API void brim_prune_params_init(brim_prune_params *p);

/**
 * Choose the weights to keep.
 * @param w          [n][k] weights in K order
 * @param h          [k][k] second moments, symmetric; MOMENTS only, may else be NULL
 * @param[out] mask  [n][k] 1 = kept, 0 = pruned, caller's storage. A last group shorter than `group`
 *                   keeps at most `keep`; a last block shorter than `block` shares among fewer. Ties
 *                   go to the lower index.
 * @retval BRIM_ERR_ARG  keep, group, block or damping out of range; moments missing or not positive
 *                       semidefinite
 * @par Source  N:M of PQS (arXiv 2504.09064); score: Hassibi and Stork, 1993.
 */
BRIM_API BRIM_NODISCARD brim_status brim_prune_layer(brim_ctx *ctx, size_t n, size_t k,
                                                     const float *w, const double *h,
                                                     const brim_prune_params *params,
                                                     uint8_t *mask);

#ifdef __cplusplus
}
#endif
#endif
