/* brim/datapath.h - how a dot product is added up: registers, tiles, overflow modes.
 *
 * Text form: stage[,stage]...   stage = width[/tile][mode]
 *
 *     16          one 16-bit register for the whole sum, two's complement wrap
 *     16/64,32    16 bits over tiles of 64 products, then 32 bits over the tiles
 *     16/2s,32    x86 vpmaddubsw: pairs with saturation, then 32 bits
 *     12/16,16/64,24   tiles of 16, tiles of 64 (counted in products), whole reduction
 *
 * mode: (none) wrap | s saturate | q[R] sorted pairing rounds on a saturating adder, R rounds or
 * until done | g sign-greedy on a saturating adder | p spill to the next stage on overflow.
 * docs/semantics.md is normative.
 */
#ifndef BRIM_DATAPATH_H
#define BRIM_DATAPATH_H

#include <brim/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BRIM_MAX_STAGES    4
#define BRIM_DATAPATH_TEXT 128 /**< bytes that hold any printed datapath, NUL included */

typedef enum brim_mode {
    BRIM_MODE_WRAP = 0,     /**< two's complement */
    BRIM_MODE_SATURATE = 1, /**< clamp after every addition */
    BRIM_MODE_SORTED = 2,   /**< PQS (arXiv 2504.09064): sorted pairing rounds, then saturating */
    BRIM_MODE_GREEDY = 3,   /**< sign-greedy order on a saturating adder */
    BRIM_MODE_SPILL = 4     /**< MGS (arXiv 2504.09072): spill to the next stage before overflow */
} brim_mode;

typedef struct brim_stage {
    uint8_t width;   /**< register bits, sign included: 2..64 */
    brim_mode mode;  /**< what an addition does at the rails */
    uint32_t rounds; /**< SORTED only: pairing rounds, 0 = until one sign is left */
    uint64_t tile; /**< products under one register, counted in K order; 0 = the whole reduction */
} brim_stage;

/** A datapath: stages from the products outward. Tiles grow by whole multiples; the last is whole.
 */
typedef struct brim_datapath {
    size_t n_stages; /**< 1..BRIM_MAX_STAGES */
    brim_stage stage[BRIM_MAX_STAGES];
} brim_datapath;

#define BRIM_MAX_FACTOR (1 << 20)

/**
 * Integer scales of the vectors of a dot product (VS-Quant, arXiv 2102.04503): where a tile of
 * `vector` products ends, what its register hands on is multiplied by the vector's factor, the
 * product of weight scale and activation scale, before it enters the next stage.
 */
typedef struct brim_factors {
    uint64_t vector;        /**< products per factor: the tile of a stage other than the last */
    const uint32_t *factor; /**< [ceil(k / vector)], each 0..BRIM_MAX_FACTOR */
} brim_factors;

/** Product of two integer scales of `bits` bits together, rounded to its upper `kept` bits, half
 * up: (a*b + 2^(d-1)) >> d, d = bits - kept. kept 0 or >= bits: a*b. The layer's float scale is then
 * 2^d times greater. */
BRIM_API uint32_t brim_scale_product(uint32_t a, uint32_t b, unsigned bits, unsigned kept);

/**
 * What happened while one dot product was added up. Every register is judged on exact terms, as if
 * nothing below it had overflowed, in the order in which its mode adds them.
 */
typedef struct brim_events {
    bool transient;    /**< some intermediate value left a register whose total fits, or a spill
                          register spilled; never with persistent */
    bool persistent;   /**< the exact total of some register (other than spill) does not fit it */
    bool product;      /**< some single product does not fit the first register */
    uint8_t min_width; /**< narrowest first stage that holds every prefix in K order, 2..64 */
} brim_events;

/** Exact range of every partial sum, in any order, of one register. */
typedef struct brim_range {
    int64_t lo, hi; /**< lo <= 0 <= hi */
} brim_range;

/**
 * Parse the text form.
 * @param[out] dp  Written only on BRIM_OK.
 * @retval BRIM_ERR_ARG  brim_error(ctx) says which stage is wrong and what was expected.
 */
BRIM_API BRIM_NODISCARD brim_status brim_datapath_parse(brim_ctx *ctx, const char *text,
                                                        brim_datapath *dp);

/** Whether a datapath built by hand is well formed; what brim_datapath_parse() returns always is.
 * @retval BRIM_ERR_ARG  brim_error(ctx) names the stage.
 */
BRIM_API BRIM_NODISCARD brim_status brim_datapath_check(brim_ctx *ctx, const brim_datapath *dp);

/** Print the canonical text form. parse(print(dp)) == dp. */
BRIM_API void brim_datapath_print(const brim_datapath *dp, char text[BRIM_DATAPATH_TEXT]);

/** Largest and smallest value of a register of `width` bits (2..64): 2^(width-1)-1, -2^(width-1).
 */
BRIM_API int64_t brim_register_max(unsigned width);
BRIM_API int64_t brim_register_min(unsigned width);

/** Narrowest register, 2..64, that holds [lo, hi]. */
BRIM_API unsigned brim_width_of(int64_t lo, int64_t hi);

/**
 * Add up one dot product exactly as the datapath does.
 *
 * @param dp      The datapath.
 * @param w       k weight codes in K order, each in [-2^15, 2^15).
 * @param x       k input codes in K order, each in [-2^16, 2^16).
 * @param scratch k int64 values (2*k with SORTED), owned by the caller.
 * @param[out] ev What overflowed; may be NULL.
 * @return the last register's final value.
 * @par Complexity O(k); SORTED O(k log k) a round.
 */
BRIM_API int64_t brim_datapath_dot(const brim_datapath *dp, const int32_t *w, const int32_t *x,
                                   size_t k, int64_t *scratch, brim_events *ev);

/** The same with a factor at the end of every vector; factors NULL = brim_datapath_dot(). The first
 * stage whose tile is the vector is the one that is scaled. */
BRIM_API int64_t brim_datapath_dot_scaled(const brim_datapath *dp, const brim_factors *factors,
                                          const int32_t *w, const int32_t *x, size_t k,
                                          int64_t *scratch, brim_events *ev);

/**
 * Worst-case bits of every stage over all inputs in [x_min, x_max] (widened to contain 0) and all
 * orders: need[i] is the narrowest width of stage i that no partial sum can leave.
 * Stage i > 0 sums exact tile totals of stage i-1. Source: algorithms eq. (0.1), (0.2).
 *
 * @param[out] need   n_stages widths.
 * @param[out] range  Range of the whole sum (last stage); may be NULL.
 * @retval BRIM_ERR_ARG  the sums could exceed 63 bits.
 */
BRIM_API BRIM_NODISCARD brim_status brim_datapath_need(brim_ctx *ctx, const brim_datapath *dp,
                                                       const int32_t *w, size_t k, int64_t x_min,
                                                       int64_t x_max, unsigned *need,
                                                       brim_range *range);

/**
 * The same with factors: a stage beyond the vectors sums factor * total of each vector. Because a
 * factor that shrinks only shrinks the ranges, the need at the greatest factors of an input-dependent
 * scale is the need of them all.
 * @retval BRIM_ERR_ARG  also: no stage but the last has tiles of `vector` products, or a factor is
 *                       out of range
 */
BRIM_API BRIM_NODISCARD brim_status brim_datapath_need_scaled(
    brim_ctx *ctx, const brim_datapath *dp, const brim_factors *factors, const int32_t *w, size_t k,
    int64_t x_min, int64_t x_max, unsigned *need, brim_range *range);

/** True when need[i] <= stage[i].width for every stage. */
BRIM_API bool brim_datapath_fits(const brim_datapath *dp, const unsigned *need);

/**
 * An input that drives the worst register of `stage` to its extreme: codes in {x_min, 0, x_max}.
 * Inputs outside the register's tile are 0. When need[stage] > width, replaying it overflows.
 * @param[out] x  k codes.
 * @return the extreme value reached.
 */
BRIM_API int64_t brim_datapath_witness(const brim_datapath *dp, size_t stage, const int32_t *w,
                                       size_t k, int64_t x_min, int64_t x_max, int32_t *x);

/** The same with factors; NULL = brim_datapath_witness(). */
BRIM_API int64_t brim_datapath_witness_scaled(const brim_datapath *dp, const brim_factors *factors,
                                              size_t stage, const int32_t *w, size_t k,
                                              int64_t x_min, int64_t x_max, int32_t *x);

#ifdef __cplusplus
}
#endif
#endif
