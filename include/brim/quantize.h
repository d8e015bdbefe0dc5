/* brim/quantize.h - weights that keep the network's function and provably fit a datapath. */
#ifndef BRIM_QUANTIZE_H
#define BRIM_QUANTIZE_H

#include <brim/data.h>
#include <brim/datapath.h>
#include <brim/graph.h>
#include <brim/prune.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum brim_solver {
    BRIM_SOLVER_RTN = 0,   /**< round to nearest */
    BRIM_SOLVER_GPFQ = 1,  /**< greedy path following, covariance form */
    BRIM_SOLVER_OPTQ = 2,  /**< OPTQ/GPTQ */
    BRIM_SOLVER_QRONOS = 3 /**< arXiv 2505.11695 */
} brim_solver;

typedef enum brim_budget {
    BRIM_BUDGET_NONE = 0, /**< ignore the datapath while rounding (certification may then fail) */
    BRIM_BUDGET_PROJECT =
        1, /**< Euclidean projection and round toward zero: EP-init, arXiv 2401.10432 */
    BRIM_BUDGET_AXE = 2, /**< arXiv 2409.17092: soft threshold, strict greedy bound with slack */
    BRIM_BUDGET_EXACT =
        3 /**< integer clamp, full error diffusion, scale search, polish; never worse than AXE */
} brim_budget;

typedef enum brim_range_method {
    BRIM_RANGE_MAX = 0,
    BRIM_RANGE_PERCENTILE = 1,
    BRIM_RANGE_MSE = 2
} brim_range_method;

/** One layer's matrices: the solver without a network around it (bench solver, users with their own
 * loop). */
typedef struct brim_layer_problem {
    size_t n, k;
    const float *w;       /**< [n][k] weights in K order */
    const double *h;      /**< [k][k] second moments of the quantized inputs, X~ X~^T, symmetric */
    const double *g;      /**< [k][k] cross moments, g[i][j] = sum x~_i x_j; NULL = h */
    const double *e;      /**< [n][k] sum r_c x~_i, r what the outputs should be besides W X: the
                                error of a branch they are added to; NULL = none. Needs g; GPFQ and
                                Qronos ignore it */
    int64_t x_min, x_max; /**< input code range, contains 0 */
    const brim_datapath *datapath;
    const uint8_t *keep; /**< [n][k] 0 = pruned: the code stays 0; NULL = nothing is */
} brim_layer_problem;

/** A weight scale for every vector of consecutive k (VS-Quant, arXiv 2102.04503). */
typedef struct brim_vector_params {
    size_t length;       /**< elements per scale, 0 = one scale per output (default) */
    unsigned scale_bits; /**< 0 = a float per vector (single-level); 3..10 = an unsigned integer per
                            vector times a float per output (two-level) */
    brim_range_method range; /**< how far a vector's codes reach: its largest weight (MAX), a
                                percentile of its magnitudes, or the least squared error */
    double percentile;       /**< of PERCENTILE; default 99 */
    bool published_order;    /**< round codes at the float scale and the scale to nearest, as
                                published; default: the scale first and upward, so that nothing clips */
} brim_vector_params;

typedef struct brim_solve_params {
    brim_solver solver; /**< default OPTQ */
    brim_budget budget; /**< default EXACT */
    unsigned wbits; /**< largest code is 2^(wbits-1)-1; 2..8, default 8. EXACT treats it as an upper
                       limit */
    double damping; /**< share of the mean diagonal added to it; default 0.01 */
    unsigned effort; /**< EXACT: 0 = one scale, 1 = the usual search (default), 2 = wider search */
    bool full_error; /**< AXE on OPTQ: diffuse clip and shrink error too; default false, as in the
                        reference */
    brim_vector_params vector; /**< default: one scale per output */
} brim_solve_params;

typedef struct brim_layer_solution {
    int16_t *codes;        /**< [n][k], caller's storage */
    float *scale;          /**< [n], caller's storage */
    float *vector_scale;   /**< [n][ceil(k/length)] single-level: each vector's scale, `scale` is 1;
                                caller's storage, NULL without vectors */
    uint16_t *vector_code; /**< the same shape, two-level: integer scales 0..2^bits-1, a weight is
                                scale * vector_code * code; caller's storage */
    double error;          /**< out: squared error (W* - s q) H (W* - s q)^T, summed over outputs */
    double norm;      /**< out: W* H W*^T, W* the least-squares target (W G^T + d W)(H + d I)^-1 */
    double rel_error; /**< out: error / norm; 0 where norm is 0 */
} brim_layer_solution;

BRIM_API void brim_solve_params_init(brim_solve_params *p);

/**
 * Quantize one layer under its datapath's budget.
 * @retval BRIM_ERR_INFEASIBLE  no weights but zero fit (names the stage)
 * @retval BRIM_ERR_ARG         sizes, ranges, a NaN
 * @par Determinism  The same bits for any number of threads.
 */
BRIM_API BRIM_NODISCARD brim_status brim_solve_layer(brim_ctx *ctx,
                                                     const brim_layer_problem *problem,
                                                     const brim_solve_params *params,
                                                     brim_layer_solution *solution);

/** Where inputs' scales come from in layers whose weights have vectors. */
typedef enum brim_vector_inputs {
    BRIM_VECTOR_INPUTS_NONE = 0,   /**< one scale for the whole input (default) */
    BRIM_VECTOR_INPUTS_STATIC = 1, /**< of every vector of channels, calibrated */
    BRIM_VECTOR_INPUTS_DYNAMIC = 2 /**< of every vector, from its largest value at run time */
} brim_vector_inputs;

/** A per-layer override: the first whose pattern (shell wildcards) matches the node name wins,
 * field by field. */
typedef struct brim_quantize_override {
    const char *pattern;
    unsigned wbits, abits;         /**< 0 = as the rest */
    const brim_datapath *datapath; /**< NULL = as the rest */
    bool keep_float;               /**< leave this layer in float */
    bool keep_dense;               /**< do not prune this layer */
} brim_quantize_override;

typedef struct brim_quantize_params {
    /** With solve.vector.length V, a convolution's vectors run along its channels: the longest divisor
     *  of their number that is at most V and at least 8; layers without one keep a scale per output. A
     *  single-stage datapath P then stands for P/V,32. */
    brim_solve_params solve;
    brim_datapath datapath; /**< default "32" */
    unsigned abits;         /**< 2..8 or 16, 0 = choose per layer; default 8 */
    bool wbits_auto;        /**< choose weight bits per layer, at most 8 */
    unsigned input_bits;    /**< bits of the model's own inputs, default 8 (they are data, at 8 bits
                               already); 0 = abits */
    unsigned edge_bits; /**< of weights and, but for the model's own, inputs in layers that read the
                              model's input or give its output; 2..8, 0 = as the rest (default) */
    bool act_symmetric; /**< signed codes with zero point 0 for inputs that can be negative; default
                           asymmetric */
    /** With `range_auto` MSE below 7 bits and for scales found at run time, else MAX. */
    brim_range_method range;
    bool range_auto;      /**< default true */
    double percentile;    /**< for PERCENTILE, default 99.999 */
    bool bias_correction; /**< default true */
    /** Default: nothing is pruned. Layers that read the model's own input, and those with fewer than
     *  two groups of inputs, are never pruned. */
    brim_prune_params prune;
    /** Input scales of their own for the layers' vectors too, integers of solve.vector.scale_bits. */
    brim_vector_inputs vector_inputs;
    /** Bits kept of the product of a weight's and an input's integer scale, rounded half up as
     *  hardware does (docs/semantics.md section 11); 0 = all. Needs solve.vector.scale_bits. */
    unsigned scale_product;
    bool prune_last; /**< prune the codes after quantizing, for comparison; default false */
    const brim_quantize_override *overrides;
    size_t n_overrides;
} brim_quantize_params;

typedef struct brim_quantize_layer {
    const char *name;
    size_t k, n;
    unsigned wbits, abits;          /**< bits that hold the codes in use */
    unsigned levels;                /**< activation codes in use, at most 2^abits */
    double rel_error;               /**< as brim_layer_solution, on the calibration data */
    double sparsity;                /**< share of zero codes */
    size_t vector;                  /**< weights per scale, 0 = one scale per output */
    double weight_bits;             /**< bits of a weight with its share of the vectors' scales */
    unsigned need[BRIM_MAX_STAGES]; /**< 0 where float scales leave no integer register */
    size_t n_stages;
    double seconds;
} brim_quantize_layer;

typedef struct brim_quantize_report {
    size_t n_layers;
    const brim_quantize_layer *layers;
    double seconds;
    double peak_rss_mb;
} brim_quantize_report;

BRIM_API void brim_quantize_params_init(brim_quantize_params *p);

/**
 * Quantize a float model layer by layer, each with inputs from the already quantized prefix,
 * certify it, and return it as a graph with QuantizeLinear/DequantizeLinear, integer weights and
 * brim's metadata.
 *
 * @param[out] out     The quantized graph; owned by the caller.
 * @param[out] report  Owned by the caller, release with brim_quantize_report_free(); may be NULL.
 * @retval BRIM_ERR_INFEASIBLE  names the layer that cannot fit
 */
BRIM_API BRIM_NODISCARD brim_status brim_quantize(brim_ctx *ctx, const brim_graph *graph,
                                                  const brim_data *calib,
                                                  const brim_quantize_params *params,
                                                  brim_graph **out, brim_quantize_report **report);
BRIM_API void brim_quantize_report_free(brim_quantize_report *report);

#ifdef __cplusplus
}
#endif
#endif
