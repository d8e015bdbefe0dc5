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

/* ---- kernels ---- */

/** What peers are asked for: y[i][c] = sum over k of x[i][k] * w[c][k]. */
typedef struct brim_bench_product {
    size_t m, n, k;
    const uint8_t *x; /**< [m][k], each in 0..127: an int8_t has the same bytes */
    const int8_t *w;  /**< [n][k] */
    void *y;          /**< at least 4 * m * n bytes, 64-byte aligned */
} brim_bench_product;

/** Somebody else's implementation. It uses the calling thread alone. */
typedef struct brim_bench_peer {
    const char *name; /**< "oneDNN matmul" */
    bool totals;      /**< y becomes int32_t [m][n], which are compared with brim's */
    /** Pack the weights, outside of what is timed. NULL: it cannot. `product` lives as long. */
    void *(*create)(const brim_bench_product *product);
    void (*run)(void *state);
    void (*destroy)(void *state);
} brim_bench_peer;

/** A module of peers has one symbol of this name and type. */
#define BRIM_BENCH_PEERS "brim_bench_peers"
typedef const brim_bench_peer *brim_bench_peers_fn(size_t *count);

typedef struct brim_bench_params {
    unsigned repeat;    /**< 1..99 rounds, of which the median counts; default 11 */
    bool quick;         /**< one small shape a family */
    const char *family; /**< only this one; NULL = all */
    const char *shape;  /**< only this one, as in the report; NULL = all */
    const brim_bench_peer *peers;
    size_t n_peers;
} brim_bench_params;

/** One implementation on one shape. */
typedef struct brim_bench_line {
    const char *family, *shape; /**< "gemm", "128x768x768" (rows, outputs, reduction) */
    const char *kind;           /**< what the weights and the result are: "whole", "tile 128" */
    const char *name;           /**< the variant's, or the peer's */
    bool peer;
    double cold, warm;             /**< 1e9 multiply-accumulates a second, medians */
    const char *limit;             /**< the probe that bounds it; NULL = none is known */
    double cold_share, warm_share; /**< of that probe's rate, medians over rounds; 0 without */
    double per_cycle;              /**< warm, by the clock that a chain of additions gave */
} brim_bench_line;

/** What registers alone can do. */
typedef struct brim_bench_limit {
    const char *name, *what;
    double gmacs, per_cycle; /**< medians */
} brim_bench_limit;

/** A ratio that brim is held to. */
typedef struct brim_bench_goal {
    const char *what;
    double bar;
    size_t shapes; /**< measured; 0 = none, and the ratios mean nothing */
    double mean;   /**< geometric, over shapes, of the medians over rounds */
    double least, most;
    bool each; /**< the bar is for every shape, not for the mean */
    bool reached;
} brim_bench_goal;

typedef struct brim_bench_report {
    size_t n_lines, n_limits, n_goals;
    const brim_bench_line *lines;
    const brim_bench_limit *limits;
    const brim_bench_goal *goals;
    double ghz; /**< by the chain of additions */
    int cpu;    /**< that the thread was pinned to; -1 = it was not */
} brim_bench_report;

BRIM_API void brim_bench_params_init(brim_bench_params *p);

/**
 * Measure every kernel that `ctx` may use, peers interleaved with them. Each round runs each
 * implementation once cold (result just overwritten, caches full of the one before) and several
 * times warm, and the probes; times are the thread's processor time.
 * @param      params  NULL for defaults
 * @param[out] report  Owned by the caller, release with brim_bench_report_free().
 * @retval BRIM_ERR_ARG       no family or shape has that name, or `repeat` is outside 1..99
 * @retval BRIM_ERR_INTERNAL  two implementations disagree on a total
 * @par Threads  Runs on the calling thread alone, pinned to one processor meanwhile.
 */
BRIM_API BRIM_NODISCARD brim_status brim_bench_kernels(brim_ctx *ctx,
                                                       const brim_bench_params *params,
                                                       brim_bench_report **report);
BRIM_API void brim_bench_report_free(brim_bench_report *report);

/* ---- what there is, what is chosen ---- */

/** A kernel: one family on one instruction set. */
typedef struct brim_bench_kernel {
    const char *family, *name;
    const char *cpu;  /**< instruction sets it needs, for people */
    const char *asks; /**< of weights and inputs; "" = nothing */
    bool present;     /**< `ctx` may use it: the machine has them, and its level allows them */
} brim_bench_kernel;

/** How a model's dot layer is computed. */
typedef struct brim_bench_layer {
    const char *name;
    size_t k, n;          /**< reduction of one group, outputs of all groups */
    const char *datapath; /**< declared; "exact" where none is */
    const char *family, *kernel;
    const char *why;
} brim_bench_layer;

typedef struct brim_bench_list {
    size_t n_kernels, n_layers;
    const brim_bench_kernel *kernels;
    const brim_bench_layer *layers;
} brim_bench_list;

/**
 * Every kernel of this architecture, and with a model what `ctx` chooses for each of its dot layers.
 * @param      graph  NULL = no layers
 * @param[out] list   Owned by the caller, release with brim_bench_list_free().
 */
BRIM_API BRIM_NODISCARD brim_status brim_bench_list_create(brim_ctx *ctx, const brim_graph *graph,
                                                           brim_bench_list **list);
BRIM_API void brim_bench_list_free(brim_bench_list *list);

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
