/* intops.h - small typed helpers, exact by definition. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_BASE_INTOPS_H
#define BRIM_BASE_INTOPS_H

#include <stddef.h>
#include <stdint.h>

static inline int64_t brim_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t brim_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static inline int64_t brim_clip_i64(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}
static inline size_t brim_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}
static inline size_t brim_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Round half to even, independent of the rounding mode; |x| < 2^51, otherwise x is an integer
 * already. */
static inline double brim_rint(double x)
{
    const double magic = 0x1.8p52;

    if (!(x > -0x1p51 && x < 0x1p51)) {
        return x;
    }
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ == 0
    const double r = x + magic;
#else
    const volatile double r = x + magic; /* volatile: the addition must round to double */
#endif
    return r - magic;
}

/* The same for |x| < 2^22, in a form that loops can do many at a time. */
static inline int32_t brim_rint_small(float x)
{
    const float magic = 0x1.8p23f;

#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ == 0
    const float r = x + magic;
#else
    const volatile float r = x + magic;
#endif
    return (int32_t)(r - magic);
}

#endif
