/* brim/train.h - training by back-propagation: float, quantization-aware, accumulator-aware. */
#ifndef BRIM_TRAIN_H
#define BRIM_TRAIN_H

#include <brim/data.h>
#include <brim/datapath.h>
#include <brim/graph.h>
#include <brim/prune.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum brim_train_method {
    BRIM_TRAIN_FLOAT = 0,
    BRIM_TRAIN_QAT = 1,      /**< learned scales, no regard for the datapath while training */
    BRIM_TRAIN_A2Q = 2,      /**< weights that cannot overflow: arXiv 2301.13376, 2308.13504 */
    BRIM_TRAIN_A2Q_PLUS = 3, /**< zero-centred, looser bound: arXiv 2401.10432 */
    BRIM_TRAIN_PQS = 4 /**< iterative N:M in float, then QAT with the pattern frozen: 2504.09064 */
} brim_train_method;

/** How A2Q's kin keep the budget of a register. */
typedef enum brim_train_norm {
    BRIM_NORM_L1 = 0,           /**< ||w||_1 <= T (A2Q's) */
    BRIM_NORM_ZERO_CENTRED = 1, /**< mean removed, twice the norm (A2Q+'s) */
    BRIM_NORM_PER_SIGN = 2      /**< positive and negative codes each within the exact budget */
} brim_train_norm;

#ifdef __cplusplus
}
#endif
#endif
