/* brim/profile.h - what every register width and every order of addition would do to a model: the
 * microscope for overflow. One exact run over the data answers for all widths at once. */
#ifndef BRIM_PROFILE_H
#define BRIM_PROFILE_H

#include <brim/data.h>
#include <brim/datapath.h>
#include <brim/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BRIM_PROFILE_MAX_WIDTH  32
#define BRIM_PROFILE_MAX_ORDERS 8
#define BRIM_PROFILE_ORDER_TEXT 16

/** How one register adds up a whole reduction. */
typedef struct brim_profile_order {
    brim_mode mode;  /**< SATURATE: natural order, WRAP, SORTED or GREEDY */
    uint32_t rounds; /**< SORTED: pairing rounds, 0 = until done */
} brim_profile_order;

typedef struct brim_profile_params {
    unsigned first_width, last_width; /**< 2..32; default 8..24 */
    size_t n_orders; /**< 1..BRIM_PROFILE_MAX_ORDERS; default natural, wrap, q, g */
    brim_profile_order order[BRIM_PROFILE_MAX_ORDERS];
    bool predictions; /**< also run the model on every width and order; default false */
    size_t sampled;   /**< outputs a layer that are really sorted, where events of an order cannot
                         be told from extremes; default 1000 */
    size_t top;       /**< length of the list of first overflows, 0..1000; default 20 */
    unsigned at;      /**< the width of that list, 2..32; 0 = the widest declared first register,
                         else the widest profiled one that overflows */
    uint64_t seed;    /**< of the choice of sampled outputs; default 1 */
} brim_profile_params;

/** One layer on one register of one width, adding in one order. */
typedef struct brim_profile_cell {
    uint64_t transient; /**< of `examined` outputs: the total fits, a sum on the way does not. Under
                            WRAP always 0: it does no harm there */
    uint64_t persistent; /**< of all outputs: the total does not fit */
    uint64_t product;    /**< of all outputs: a single product does not fit */
    uint64_t examined;   /**< all outputs, or the sampled ones */
} brim_profile_cell;

typedef struct brim_profile_layer {
    const char *name; /**< borrowed until the report is freed */
    const char
        *left_out; /**< why the layer is not profiled, NULL when it is; then all below is 0 */
    size_t k, n;
    uint64_t outputs;      /**< dot products computed */
    unsigned need;         /**< certified: any input, any order */
    unsigned product_need; /**< certified: any single product */
    brim_range range;      /**< certified: of partial sums */
    brim_range prefix;     /**< seen: of prefixes in K order, 0 included */
    brim_range total;      /**< seen */
    /** Outputs by the narrowest register that holds every prefix, the total, every product: indices
     * 2..32. */
    uint64_t prefix_bits[BRIM_PROFILE_MAX_WIDTH + 1], total_bits[BRIM_PROFILE_MAX_WIDTH + 1],
        product_bits[BRIM_PROFILE_MAX_WIDTH + 1];
    const brim_profile_cell *cells; /**< [widths][n_orders] */
} brim_profile_layer;

/** The whole model on one register of one width in every integer dot layer. */
typedef struct brim_profile_prediction {
    bool known;     /**< run, or implied by the absence of overflow */
    size_t changed; /**< samples whose largest output is another one than in the exact run */
    size_t top1;    /**< correct samples */
} brim_profile_prediction;

/** An output that leaves `at` bits. Those that reach furthest come first: as a register narrows,
 * they are the first to overflow. */
typedef struct brim_profile_overflow {
    size_t sample, layer;     /**< layer: index into layers */
    size_t channel, position; /**< position: row-major over the layer's output map, 0 for one */
    size_t step;    /**< index in K order of the product whose addition leaves the register */
    int64_t prefix; /**< the exact sum of products 0..step */
    int64_t least, most, total; /**< of the prefixes; of all products */
    unsigned bits;              /**< narrowest register that holds every prefix */
} brim_profile_overflow;

typedef struct brim_profile_report {
    size_t samples;
    bool labelled;
    size_t top1; /**< correct samples of the exact run */
    unsigned first_width, last_width;
    size_t n_orders;
    brim_profile_order order[BRIM_PROFILE_MAX_ORDERS];
    size_t n_layers;
    const brim_profile_layer *layers;
    const brim_profile_prediction *predictions; /**< [widths][n_orders]; NULL when not asked for */
    unsigned at;
    size_t n_first;
    const brim_profile_overflow *first;
    double seconds; /**< of the exact run and its evaluation */
    double prediction_seconds;
} brim_profile_report;

BRIM_API void brim_profile_params_init(brim_profile_params *p);

/** natural | wrap | q | qR | g
 * @retval BRIM_ERR_ARG  the sentence says what was expected; *order is not written
 */
BRIM_API BRIM_NODISCARD brim_status brim_profile_order_parse(brim_ctx *ctx, const char *text,
                                                             brim_profile_order *order);
BRIM_API void brim_profile_order_print(const brim_profile_order *order,
                                       char text[BRIM_PROFILE_ORDER_TEXT]);

/**
 * Profile the integer dot layers of `graph` over `data`. Layers see the inputs of the exact network:
 * every layer is judged on its own, as if those before it were wide enough.
 * @param params  NULL = the defaults.
 * @param[out] report  Owned by the caller, release with brim_profile_report_free().
 * @retval BRIM_ERR_ARG  no widths, widths out of range, or a model without integer dot layers
 * @par Determinism  The same numbers for any number of threads.
 * @par Memory  In proportion to layers and threads, not to the data (but one word a sample for
 * predictions).
 */
BRIM_API BRIM_NODISCARD brim_status brim_profile(brim_ctx *ctx, const brim_graph *graph,
                                                 const brim_data *data,
                                                 const brim_profile_params *params,
                                                 brim_profile_report **report);
BRIM_API void brim_profile_report_free(brim_profile_report *report);

#ifdef __cplusplus
}
#endif
#endif
