/* brim/inspect.h - what is in a model: layers, sizes, and the accumulator each would need. */
#ifndef BRIM_INSPECT_H
#define BRIM_INSPECT_H

#include <brim/datapath.h>
#include <brim/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct brim_inspect_layer {
    const char *name, *op_type;
    size_t k, n, groups;
    uint64_t macs;        /**< per sample; 0 when the output size is not known */
    bool codes;           /**< integer weights and input */
    int64_t x_min, x_max; /**< CODES: input code range */
    unsigned w_bits;      /**< CODES: bits that hold every weight code */
    unsigned type_width; /**< data-type bound: any weights and inputs of these bits (8x8 for a float
                            layer). A2Q eq. (2.1) */
    unsigned need;       /**< CODES: weight-aware minimum width of one register, exact */
    /** Vectors with scales of their own: products of one, 0 = none; bits of a weight's scale (32: a
     *  float), of an input's (0: it has none of its own), and of a weight with its share of scales, in
     *  all layers of CODES. `need` is then of a register that holds no more than a vector, and
     *  `need_outer` of the one behind it, 0 where float scales leave no integer there. */
    size_t vector;
    unsigned scale_bits, x_scale_bits, product_shift, need_outer;
    double weight_bits;
    bool has_datapath;
    brim_datapath datapath;
} brim_inspect_layer;

typedef struct brim_inspect_report {
    size_t n_layers;
    const brim_inspect_layer *layers;
    size_t nodes, parameters;
} brim_inspect_report;

BRIM_API BRIM_NODISCARD brim_status brim_inspect(brim_ctx *ctx, const brim_graph *graph,
                                                 brim_inspect_report **report);
BRIM_API void brim_inspect_report_free(brim_inspect_report *report);

#ifdef __cplusplus
}
#endif
#endif
