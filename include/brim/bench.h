/* brim/bench.h - how near brim comes to this machine's own limits. */
#ifndef BRIM_BENCH_H
#define BRIM_BENCH_H

#include <brim/base.h>
#include <brim/data.h>
#include <brim/graph.h>

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

/* ---- models ---- */

typedef struct brim_bench_model_params {
    unsigned repeat;       /**< 1..99 rounds, of which the median counts; default 11 */
    const brim_data *data; /**< images to run; NULL (default) = random ones from the seed */
    /** The same work elsewhere: `count` runs of one batch x[batch][elements], which stays the same
     *  until `batch` changes. Its processor time in seconds, or below 0 to end with
     *  BRIM_ERR_CANCELLED. NULL (default) = there is nobody to compare with. */
    double (*peer)(void *user, const float *x, size_t batch, size_t elements, unsigned count);
    void *user;
} brim_bench_model_params;

typedef struct brim_bench_model_report {
    size_t batch;
    unsigned count;     /**< runs of a batch in one round */
    double images;      /**< a second, median */
    double peer_images; /**< 0 without a peer */
    double ratio;       /**< of ours to the peer's, median over rounds */
    double least, most; /**< over rounds */
} brim_bench_model_report;

BRIM_API void brim_bench_model_params_init(brim_bench_model_params *p);

/**
 * Run a model's one input again and again, in turns with the peer: images per second of one core.
 * @param batch  images a run takes: a multiple of the model's own batch where that is fixed
 * @retval BRIM_ERR_ARG  `batch` or `repeat` is outside its limits, the model has another number of
 *                       inputs, or its input has unknown dimensions besides the first
 * @par Threads  Runs on the calling thread alone, pinned to one processor meanwhile.
 */
BRIM_API BRIM_NODISCARD brim_status brim_bench_model(brim_ctx *ctx, const brim_graph *graph,
                                                     const brim_bench_model_params *params,
                                                     size_t batch, brim_bench_model_report *report);

#ifdef __cplusplus
}
#endif
#endif
