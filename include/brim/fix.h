/* brim/fix.h - an int8 model made safe for a target, whoever quantized it. */
#ifndef BRIM_FIX_H
#define BRIM_FIX_H

#include <brim/data.h>
#include <brim/graph.h>
#include <brim/target.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum brim_fix_method {
    BRIM_FIX_SEARCH = 0,       /**< channels reordered, codes and scales searched (default) */
    BRIM_FIX_REDUCE_RANGE = 1, /**< weights of one bit less in every layer at risk, as other tools
                                  do it: to compare with */
} brim_fix_method;

typedef struct brim_fix_params {
    const brim_target *target;
    const brim_data *calib; /**< inputs to keep the outputs on; NULL: only the weights are known */
    const brim_graph
        *origin;  /**< the float model that was quantized, with the same dot layers in the
                                 same order; NULL: the codes are all that is known of the weights */
    bool permute; /**< reorder channels where all who make and read them can; default true */
    brim_fix_method method;
} brim_fix_params;

typedef struct brim_fix_layer {
    const char *name;
    size_t k, n;
    uint64_t registers, at_risk; /**< first-stage registers before, and how many could overflow */
    size_t channels_at_risk;     /**< outputs with one */
    bool permuted;               /**< its input channels have another order */
    size_t codes_changed;        /**< of n*k, after the reordering */
    size_t scales_changed;       /**< of n */
    double bits_lost; /**< 0.5 log2 of the rounding error's growth: without `origin` the codes
                                    that were count as exact, and rounding as having cost 1/12; the error
                                    is weighted by the inputs' second moments with `calib` */
    double bits_reduce_range; /**< the same for weights of one bit less */
} brim_fix_layer;

typedef struct brim_fix_report {
    size_t n_layers;
    const brim_fix_layer *layers;        /**< every integer dot layer, in node order */
    double bits_lost, bits_reduce_range; /**< means over the layers */
    double seconds;
} brim_fix_report;

BRIM_API void brim_fix_params_init(brim_fix_params *p);

/**
 * Change an integer model so that no input overflows a register on the target: the order of channels
 * (no integer changes), then codes and scales of the outputs that are still at risk, so that the
 * outputs stay as near as they can, then biases. Kinds of nodes stay what they were. The result is
 * certified.
 *
 * @param[out] out     Owned by the caller.
 * @param[out] report  Owned by the caller, release with brim_fix_report_free(); may be NULL.
 * @retval BRIM_ERR_ARG          a float model; an origin with other layers
 * @retval BRIM_ERR_UNSUPPORTED  a layer at risk whose numbers cannot be changed, named
 * @retval BRIM_ERR_INFEASIBLE   a layer that no weights but zero make safe
 * @par Determinism  The same bits for any number of threads.
 */
BRIM_API BRIM_NODISCARD brim_status brim_fix(brim_ctx *ctx, const brim_graph *graph,
                                             const brim_fix_params *params, brim_graph **out,
                                             brim_fix_report **report);
BRIM_API void brim_fix_report_free(brim_fix_report *report);

#ifdef __cplusplus
}
#endif
#endif
