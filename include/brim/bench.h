/* brim/bench.h - how near brim comes to this machine's own limits. */
#ifndef BRIM_BENCH_H
#define BRIM_BENCH_H

#include <brim/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Second moments of one layer on one core, beside the matrix products that they are made of. */
typedef struct brim_bench_moments_report {
    size_t k, rows; /**< inputs of the layer, samples */
    double seconds; /**< X~ X~^T and X~ X^T as calibration adds them up, median */
    double gflops;  /**< rows*k*(k+1) + 2*rows*k^2 operations over `seconds`, in 1e9/s */
    double ssyrk;   /**< 1e9 operations/s of one plain ssyrk of that size, median */
    double sgemm;   /**< the same of one plain sgemm */
    double share;   /**< seconds that ssyrk and sgemm need, over `seconds`; the bar is 0.8 */
} brim_bench_moments_report;

/**
 * Measure the accumulation of second moments on random samples.
 * @param k       1..16384
 * @param rows    1..2^20; k * rows floats are held twice
 * @param repeat  1..99 runs, of which the median counts
 * @retval BRIM_ERR_ARG  outside these limits
 * @par Threads  Runs on the calling thread alone.
 */
BRIM_API BRIM_NODISCARD brim_status brim_bench_moments(brim_ctx *ctx, size_t k, size_t rows,
                                                       unsigned repeat,
                                                       brim_bench_moments_report *report);

#ifdef __cplusplus
}
#endif
#endif
