/* adder.h - additions of a register of 2..64 bits, defined for every operand.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_DATAPATH_ADDER_H
#define BRIM_DATAPATH_ADDER_H

#include "base/intops.h"
#include "brim/datapath.h"

static inline bool brim_register_holds(unsigned width, int64_t v)
{
    return v >= brim_register_min(width) && v <= brim_register_max(width);
}

/* v mod 2^width, in two's complement. */
static inline int64_t brim_wrap(int64_t v, unsigned width)
{
    if (width >= 64) {
        return v;
    }
    const uint64_t half = UINT64_C(1) << (width - 1);

    return (int64_t)(((uint64_t)v + half) & (2 * half - 1)) - (int64_t)half;
}

/* a + b mod 2^width; the builtin stores the sum mod 2^64. */
static inline int64_t brim_add_wrap(int64_t a, int64_t b, unsigned width)
{
    int64_t sum;

    (void)__builtin_add_overflow(a, b, &sum);
    return brim_wrap(sum, width);
}

/* The nearest value to a + b that the register holds. */
static inline int64_t brim_add_clip(int64_t a, int64_t b, unsigned width)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum)) {
        sum = b > 0 ? INT64_MAX : INT64_MIN;
    }
    return brim_clip_i64(sum, brim_register_min(width), brim_register_max(width));
}

/* The stage whose registers the factors multiply; the last when no tile is as long as a vector. */
size_t brim_factors_stage(const brim_datapath *dp, const brim_factors *factors);

#endif
