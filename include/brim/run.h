/* brim/run.h - execute a model over a dataset: predictions, accuracy, overflow counts. */
#ifndef BRIM_RUN_H
#define BRIM_RUN_H

#include <brim/data.h>
#include <brim/datapath.h>
#include <brim/graph.h>
#include <brim/target.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct brim_run_params {
    const brim_datapath
        *datapath; /**< override every dot layer's datapath; NULL = as declared, else exact */
    /** Run every dot layer as this target's kernels do, `datapath` notwithstanding; borrowed for the
     *  call. Where its order is "any", products are added in K order. NULL = no target. */
    const brim_target *target;
    bool count; /**< count overflows and minimal widths; default true */
    size_t
        batch; /**< samples a worker takes at a time, 1..4096; default 8. No effect on results. */
    /** Called in sample order with the model's first output for each sample; NULL = not wanted. */
    void (*output)(void *user, size_t sample, const float *y, size_t n);
    void *user;
} brim_run_params;

/** The record of one dot layer that ran in integers; layers that run in float have none. */
typedef struct brim_run_layer {
    const char *name; /**< borrowed until the report is freed */
    size_t k, n;
    char datapath[BRIM_DATAPATH_TEXT]; /**< as text; "exact" where none is declared */
    uint64_t outputs;                  /**< dot products computed */
    uint64_t transient;                /**< a prefix left a register, the total fits */
    uint64_t persistent;               /**< the total of a register does not fit */
    uint64_t product;                  /**< a single product does not fit */
    unsigned
        min_width; /**< narrowest first stage that was enough for this data; 0 without counting */
} brim_run_layer;

typedef struct brim_run_report {
    size_t samples;
    bool labelled;
    size_t top1, top5; /**< correct samples */
    double mse;        /**< mean squared difference of output and input where their sizes agree
                          (autoencoders), else -1 */
    size_t n_layers;
    const brim_run_layer *layers;
    double seconds;
} brim_run_report;

BRIM_API void brim_run_params_init(brim_run_params *p);

/**
 * Run `graph` over `data`. Dot layers with integer codes run on their datapath bit for bit; the
 * rest in float32. Samples run one by one (or by the model's own fixed batch, of which their number
 * must be a multiple). A sample is reshaped to the model's input when it has as many elements.
 * Accuracy is that of the first output, ties going to the lowest index.
 * @param[out] report  Owned by the caller, release with brim_run_report_free().
 * @retval BRIM_ERR_ARG  the data's shape does not fit the model's input, or a layer's codes do not
 * fit the target's operands
 * @par Determinism  The same bits for any number of threads and any batch.
 */
BRIM_API BRIM_NODISCARD brim_status brim_run(brim_ctx *ctx, const brim_graph *graph,
                                             const brim_data *data, const brim_run_params *params,
                                             brim_run_report **report);
BRIM_API void brim_run_report_free(brim_run_report *report);

#ifdef __cplusplus
}
#endif
#endif
