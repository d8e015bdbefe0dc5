/* brim/certify.h - prove that no input can overflow any register. */
#ifndef BRIM_CERTIFY_H
#define BRIM_CERTIFY_H

#include <brim/datapath.h>
#include <brim/graph.h>
#include <brim/target.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An input that overflows: replayed in the simulator before it is reported. */
typedef struct brim_witness {
    size_t channel; /**< output channel */
    size_t stage;   /**< stage whose register overflows; n_stages = the 32 bits outside the datapath
                     */
    int64_t value;  /**< the exact sum that does not fit */
    size_t k;
    const int32_t *x; /**< k input codes in K order; borrowed until the certificate is freed */
    int64_t x_zero;   /**< the input's zero point, also of a layer that finds it at run time */
} brim_witness;

typedef struct brim_certificate_layer {
    const char *name;
    size_t k, n, groups;
    int64_t x_min, x_max, x_zero; /**< input codes, widened to contain 0, and their zero point */
    bool x_zero_any; /**< the zero point is found at run time: any of x_min..x_max (x_zero is 0) */
    brim_datapath datapath;
    unsigned need[BRIM_MAX_STAGES]; /**< narrowest safe width of each stage over all channels */
    bool proven;
    size_t worst_channel;     /**< the channel with the widest sum */
    int64_t sum_min, sum_max; /**< its exact range over all inputs */
    unsigned outside_bits;    /**< bits that the sum, zero-point correction and bias together need,
                                 outside the register */
    unsigned product_shift;   /**< low bits that products of two integer scales lose, rounded */
    char hash[65];            /**< SHA-256 of the codes and ranges */
    const brim_witness *witness; /**< NULL when proven */
} brim_certificate_layer;

typedef struct brim_certificate {
    bool proven; /**< every layer */
    size_t n_layers;
    const brim_certificate_layer *layers;
} brim_certificate;

/**
 * Bound every partial sum of every dot layer, any order, all inputs. Integer arithmetic only; never
 * sees how the weights were made. Source: A2Q (arXiv 2308.13504) generalised to subsets,
 * docs/certify.md.
 *
 * @param datapath  NULL = each layer's declared one; else this one for all.
 * @param[out] cert Owned by the caller, release with brim_certificate_free(). Written for refuted
 * models too.
 * @retval BRIM_OK           every register is safe
 * @retval BRIM_ERR_REFUTED  brim_error() names layer, channel, stage; `cert` holds witnesses
 * @retval BRIM_ERR_ARG      the model has no integer dot layer, or a layer declares no datapath and
 * none is given
 * @retval BRIM_ERR_FILE     the model's metadata speaks about other codes (changed after
 * quantization)
 */
BRIM_API BRIM_NODISCARD brim_status brim_certify(brim_ctx *ctx, const brim_graph *graph,
                                                 const brim_datapath *datapath,
                                                 brim_certificate **cert);
BRIM_API void brim_certificate_free(brim_certificate *cert);

/** The certificate as JSON (docs/certify.md has the keys). Caller frees with brim_json_free(). */
BRIM_API BRIM_NODISCARD brim_status brim_certificate_json(brim_ctx *ctx,
                                                          const brim_certificate *cert,
                                                          char **json);
BRIM_API void brim_json_free(char *json);
/** Write it to a file, whole or not at all. */
BRIM_API BRIM_NODISCARD brim_status brim_certificate_save(brim_ctx *ctx,
                                                          const brim_certificate *cert,
                                                          const char *path);

/** One layer as a target's kernels would add it up. */
typedef struct brim_target_layer {
    const char *name;
    size_t k, n, groups; /**< n 0: both operands are computed, see `variable` */
    bool variable; /**< a product of two computed tensors: judged for any values of their types */
    bool wide;     /**< the kernels for this layer hold every sum; only `outside_bits` counts */
    bool fits;     /**< the operands hold every code; if not, the layer is refuted without a witness
                      and what follows is 0 */
    int64_t x_min, x_max; /**< inputs as the multiplier sees them */
    int64_t w_min, w_max; /**< weights likewise */
    uint64_t registers;   /**< first-stage registers in which products meet, over all outputs; where
                             any products may meet, the worst one of each output */
    uint64_t at_risk;     /**< of those, how many some input overflows */
    size_t channels_at_risk;           /**< outputs with such a register at any stage */
    unsigned need[BRIM_MAX_STAGES];    /**< narrowest safe width of each stage */
    size_t worst_stage, worst_channel; /**< the first stage that overflows, else the first one; its
                                          widest sum */
    int64_t worst_value;
    unsigned outside_bits; /**< bits that sum, zero-point correction and bias together need */
    bool proven;
    const brim_witness
        *witness; /**< refuted only: x are codes in K order; the register's sum on the
                                    way that does not fit is over the products `meet` */
    size_t n_meet;
    const size_t *meet; /**< their indices in K order */
} brim_target_layer;

typedef struct brim_target_report {
    bool proven;
    const brim_target *target; /**< borrowed from the caller */
    size_t n_layers;
    const brim_target_layer *layers;
} brim_target_report;

/**
 * Can any input overflow a register when `target` computes this model? For every integer dot layer
 * the registers in which its kernels let products meet, in their order, exactly; where the order is
 * not known, all orders. Every refuted register comes with an input that has been replayed.
 * Also judged are products of two computed integer tensors, for which nothing but the types is known.
 *
 * @param target       Borrowed until the report is freed.
 * @param[out] report  Owned by the caller, release with brim_target_report_free(). Written for
 * refuted models too.
 * @retval BRIM_ERR_REFUTED      brim_error() names layer, channel, stage and sum
 * @retval BRIM_ERR_ARG          the model is float, or has no integer dot layer; or the length of a
 * reduction is not known: the sentence names the dimension
 * @retval BRIM_ERR_UNSUPPORTED  a layer has scales for vectors of products
 */
BRIM_API BRIM_NODISCARD brim_status brim_certify_target(brim_ctx *ctx, const brim_graph *graph,
                                                        const brim_target *target,
                                                        brim_target_report **report);
BRIM_API void brim_target_report_free(brim_target_report *report);

#ifdef __cplusplus
}
#endif
#endif
