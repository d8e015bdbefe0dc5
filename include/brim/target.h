/* brim/target.h - named targets: how a processor's kernels add up a dot product, as data.
 *
 * A target is a datapath and how a layer comes to it: what the operands of its multiplier hold, in
 * which order the kernels walk k, and so which products meet in one register. The table is
 * share/brim/targets.json, built into the library; users add files of their own. docs/targets.md
 * has the format and where every entry was read.
 */
#ifndef BRIM_TARGET_H
#define BRIM_TARGET_H

#include <brim/datapath.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How codes become what an operand holds. What that adds to a sum is taken off outside the
 * registers, exactly. */
typedef enum brim_operand_fit {
    BRIM_FIT_RAW = 0,  /**< codes as the file has them, zero point not subtracted */
    BRIM_FIT_TYPE = 1, /**< a type of the other signedness is moved by half its range: int8 + 128 */
    BRIM_FIT_RANGE = 2, /**< moved until the least code is the operand's least value */
    BRIM_FIT_ZERO = 3,  /**< the zero point is subtracted first */
    BRIM_FIT_WIDE = 4   /**< a type of the other signedness takes other kernels, which are exact */
} brim_operand_fit;

typedef struct brim_operand {
    int64_t min, max; /**< what it can hold; min >= 0: unsigned */
    brim_operand_fit fit;
} brim_operand;

typedef enum brim_walk_order {
    BRIM_WALK_KERNEL_CHANNEL = 0, /**< kernel position, then input channel: brim's K order */
    BRIM_WALK_CHANNEL_KERNEL = 1  /**< input channel, then kernel position */
} brim_walk_order;

/** How the kernels for one kind of layer walk k. */
typedef struct brim_walk {
    bool wide; /**< these layers are added in registers that hold every sum: nothing can overflow,
                  and the other fields are unused */
    brim_walk_order order;
    uint32_t pad_run; /**< the inner run (channels, or kernel positions) is filled up with zero
                         weights to a multiple of this; 1 = not at all */
    uint32_t pad_end; /**< and the whole walk to a multiple of this */
    uint32_t lanes;   /**< neighbours go to this many first-stage registers in turn; 1 = a register
                       takes neighbours */
} brim_walk;

typedef struct brim_target {
    const char *name, *what; /**< what: one line for people */
    brim_datapath datapath;
    bool any_order; /**< the kernels' walk is not known: any products may meet */
    brim_operand input, weight;
    brim_walk convolution; /**< also grouped ones, each group by itself */
    brim_walk depthwise;   /**< groups of one input and one output channel */
    brim_walk matrix;      /**< Gemm and MatMul */
    /** Operators that take other kernels, which are exact: "ConvInteger", or "QLinearConv:int8" where
     *  only inputs of that type do. */
    const char *const *wide_operators;
    size_t n_wide_operators;
    unsigned outside; /**< bits that hold sum, zero-point correction and bias together, 2..64 */
    const char *project, *file; /**< where this was read */
} brim_target;

/** The built-in table and at most one file of the user's. Immutable; may be shared by threads. */
typedef struct brim_targets brim_targets;

/**
 * @param path        A file of more targets in the format of share/brim/targets.json; NULL = none.
 * @param[out] targets  Owned by the caller, release with brim_targets_free().
 * @retval BRIM_ERR_IO    the file cannot be read
 * @retval BRIM_ERR_FILE  brim_error() names the file, the target and the field that is wrong
 */
BRIM_API BRIM_NODISCARD brim_status brim_targets_load(brim_ctx *ctx, const char *path,
                                                      brim_targets **targets);
BRIM_API void brim_targets_free(brim_targets *targets);

BRIM_API size_t brim_targets_count(const brim_targets *targets);
/** Target `i`, in the order of the files. Borrowed until brim_targets_free(). */
BRIM_API const brim_target *brim_targets_at(const brim_targets *targets, size_t i);

/**
 * The target of this name. accN, N = 2..64, is one register of N bits in any order, whether the
 * table has it or not; then `*target` is written into `plain`.
 * @param name         Borrowed as the name of such a target.
 * @param plain        Storage of the caller's; must outlive the use of `*target`.
 * @retval BRIM_ERR_ARG  no such target: brim_error() lists the known ones
 */
BRIM_API BRIM_NODISCARD brim_status brim_targets_find(brim_ctx *ctx, const brim_targets *targets,
                                                      const char *name, brim_target *plain,
                                                      const brim_target **target);

#ifdef __cplusplus
}
#endif
#endif
