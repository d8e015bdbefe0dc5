/* brim/train.h - training by back-propagation: float, quantization-aware, accumulator-aware. */
#ifndef BRIM_TRAIN_H
#define BRIM_TRAIN_H

#include <brim/data.h>
#include <brim/datapath.h>
#include <brim/graph.h>
#include <brim/prune.h>
#include <brim/quantize.h>

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

/** Where the quantized weights begin. */
typedef enum brim_train_init {
    BRIM_INIT_WEIGHTS = 0,  /**< the float weights */
    BRIM_INIT_QUANTIZE = 1, /**< what brim_quantize() gives under the same datapath */
    BRIM_INIT_PROJECT =
        2 /**< their Euclidean projection onto the budget: arXiv 2401.10432, eq. 10 */
} brim_train_init;

typedef enum brim_train_optimizer {
    BRIM_OPTIMIZER_SGD = 0,  /**< with momentum 0.9 */
    BRIM_OPTIMIZER_ADAMW = 1 /**< arXiv 1711.05101 */
} brim_train_optimizer;

typedef enum brim_train_schedule {
    BRIM_SCHEDULE_COSINE = 0, /**< half a cosine, from the rate to 0 */
    BRIM_SCHEDULE_STEP = 1    /**< a tenth after half of the steps, a hundredth after 3/4 */
} brim_train_schedule;

/** What is known after an epoch. Epoch 0 is the network before training. */
typedef struct brim_train_epoch {
    const char *phase;        /**< "float", "prune" or "quantized": what was trained */
    size_t epoch;             /**< 1.. over all phases */
    double rate;              /**< learning rate of its last step */
    double loss;              /**< mean over its batches; 0 in epoch 0 */
    double accuracy;          /**< share of correct validation samples; -1 without labels */
    double mse;               /**< without labels: mean squared error on validation; else -1 */
    double images_per_second; /**< trained; 0 in epoch 0 */
    double seconds;
    bool best; /**< the best of the last phase so far */
} brim_train_epoch;

/** A batch has been trained. */
typedef struct brim_train_step {
    const char *phase;
    size_t epoch, epochs; /**< this one, counted from 1; all there will be */
    size_t batch, batches;
    double loss;     /**< mean of the epoch so far */
    double accuracy; /**< of the last epoch, as there; -1 before the first */
    double images_per_second;
    double seconds_left; /**< an estimate */
} brim_train_step;

typedef struct brim_train_params {
    brim_train_method method; /**< default FLOAT */
    size_t epochs;            /**< of the last phase, 1..100000; default 10 */
    size_t float_epochs; /**< quantized methods: in float before that (BatchNormalization is then
                                 trained, and folded afterwards); default 0 */
    size_t batch;        /**< samples of a step, 1..65536; default 64. The last, shorter batch of an
                                 epoch is left out; the next epoch has another order */
    double rate;         /**< learning rate; default 0.001 */
    double float_rate;   /**< of what quantized methods train in float; default 0: as `rate` */
    brim_train_schedule schedule; /**< default COSINE; begins anew with each phase and stage */
    double warmup; /**< epochs, or a share of one, in which the rate rises to it; in each phase and
                        stage; default 0 */
    brim_train_optimizer optimizer; /**< default ADAMW */
    double weight_decay;            /**< default 0.0001 */
    double smoothing;               /**< of labels, 0..1; default 0 */
    /** Comma-separated, or NULL: "flip" (left and right, one in two), "cropN" (shifted by up to N pixels
     *  each way, zeros outside) or "shiftN" (the same, the image's edge repeated outside), "cutoutN" (a
     *  square of N pixels set to 0). Images only. */
    const char *augment;
    double distill;      /**< share of the loss that compares with the given model's outputs, 0..1;
                         default 0 */
    double temperature;  /**< of both softmaxes there, above 0; default 2 */
    bool fold_batchnorm; /**< FLOAT: the graph returned has none; default false */

    /* quantized methods */
    brim_train_norm norm; /**< of A2Q and A2Q+ */
    bool norm_auto; /**< default true: L1 for A2Q and for depthwise layers, else ZERO_CENTRED */
    brim_train_init init; /**< default WEIGHTS; QUANTIZE also takes over grids, biases and scales */
    unsigned wbits;       /**< 2..8; default 8 */
    unsigned abits;       /**< 2..8 or 16; 0 = as brim_quantize() chooses them; default 8 */
    unsigned input_bits;  /**< of the model's own inputs; default 8 */
    unsigned edge_bits; /**< of weights and inputs of layers that read the model's input or give its
                             output; 0 = as the rest; default 8 */
    brim_datapath
        datapath;   /**< default "32". QAT and PQS do not keep to it: it has to hold any weights */
    double penalty; /**< strength of A2Q's regularizer; default 0.001 */
    size_t calib;   /**< training samples that input ranges are taken from; default 1024 */
    const brim_quantize_override *overrides; /**< as there; keep_float layers train in float */
    size_t n_overrides;

    /* PQS; group 0 = nothing is pruned, which only PQS refuses */
    brim_prune_params prune;
    size_t prune_stages; /**< pruning target of stage i of R: z(1-(1-i/R)^3) zeros; default 3.
                                 Stages that add no zero are one with the stage before */
    size_t prune_epochs; /**< of each stage; default 2 */
    /** In the stages, every step chooses the pattern anew, of weights that learn whether they are in it
     *  or not (arXiv 2102.04010); default false. */
    bool prune_regrow;
    bool prune_last; /**< prune the quantized weights instead of the float ones; default false */

    const char *checkpoint; /**< file, written after every epoch and when cancelled; NULL = none */
    bool resume;            /**< go on from it; the other parameters must be the same */

    void (*on_step)(void *user, const brim_train_step *step);    /**< or NULL */
    void (*on_epoch)(void *user, const brim_train_epoch *epoch); /**< or NULL */
    void *user;
} brim_train_params;

/** A quantized layer of the result. */
typedef struct brim_train_layer {
    const char *name;
    size_t k, n;
    unsigned wbits, abits; /**< bits that hold the codes in use */
    double sparsity;       /**< share of zero codes */
    unsigned need[BRIM_MAX_STAGES];
    size_t n_stages;
} brim_train_layer;

typedef struct brim_train_report {
    size_t n_epochs;
    const brim_train_epoch *epochs; /**< of all phases, also of the runs that this one resumed */
    size_t best;                    /**< index there: the one returned */
    double accuracy, mse; /**< of the graph returned, by brim_run() on the validation data */
    size_t n_layers;      /**< 0 with FLOAT */
    const brim_train_layer *layers;
    double seconds;
    double peak_rss_mb;
} brim_train_report;

BRIM_API void brim_train_params_init(brim_train_params *p);

/**
 * Train `graph` on `data`; keep the epoch of the last phase that does best on `val`.
 *
 * The loss is cross-entropy where the data has labels, else the mean squared difference between output
 * and input (autoencoders). Quantized methods fold BatchNormalization and biases as brim_quantize()
 * does, and certify what they return.
 *
 * @param[out] out     owned by the caller
 * @param[out] report  owned by the caller, release with brim_train_report_free(); may be NULL
 * @retval BRIM_ERR_ARG          a parameter, a label outside the classes, fewer samples than a batch, a
 *                               checkpoint of another run; or the loss is not a number any more, naming
 *                               layer and step
 * @retval BRIM_ERR_FILE         a damaged checkpoint
 * @retval BRIM_ERR_UNSUPPORTED  an operator without a gradient, naming the node
 * @retval BRIM_ERR_INFEASIBLE   a layer that cannot fit its datapath, naming it
 * @retval BRIM_ERR_CANCELLED    by the context's progress callback; the checkpoint holds the last batch
 * @par Determinism  The same bits for any number of threads, and for a run that was interrupted.
 */
BRIM_API BRIM_NODISCARD brim_status brim_train(brim_ctx *ctx, const brim_graph *graph,
                                               const brim_data *data, const brim_data *val,
                                               const brim_train_params *params, brim_graph **out,
                                               brim_train_report **report);
BRIM_API void brim_train_report_free(brim_train_report *report);

/**
 * A float network with random weights (He et al., arXiv 1502.01852), seeded by the context.
 *
 *   mlp:784-256-256-10          fully connected; ReLU between layers
 *   cnn:1x28x28-c8-p-c16-p-10   input channels x height x width, then layers, then classes
 *
 * Layers of a cnn: cN = 3x3 convolution to N channels, BatchNormalization, ReLU (cNk5: 5x5; cNs2: stride
 * 2); d = the same per channel (depthwise; ds2); rN = residual block of two 3x3 convolutions (rNs2; a 1x1
 * convolution beside it where the shape changes); p = 2x2 maximum; a = mean of each channel; fN = fully
 * connected, ReLU; o50 = dropout of 50 %.
 *
 * @retval BRIM_ERR_ARG  the text is none of this, naming the part
 */
BRIM_API BRIM_NODISCARD brim_status brim_train_arch(brim_ctx *ctx, const char *text,
                                                    brim_graph **graph);

#ifdef __cplusplus
}
#endif
#endif
