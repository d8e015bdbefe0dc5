/* half.h - IEEE binary16 and bfloat16 to and from float, by bits. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Narrowing rounds to nearest, ties to even; overflow gives infinity; a NaN stays a (quiet) NaN.
 */
#ifndef BRIM_BASE_HALF_H
#define BRIM_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t brim_float_bits(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float brim_bits_float(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

static inline float brim_half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 0x1fu;
    const uint32_t fraction = h & 0x3ffu;

    if (exponent == 31) {
        return brim_bits_float(sign | 0x7f800000u | fraction << 13);
    }
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24, exact in float */
        const float magnitude = (float)fraction * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return brim_bits_float(sign | (exponent + 112) << 23 | fraction << 13);
}

static inline uint16_t brim_half_from_float(float f)
{
    const uint32_t bits = brim_float_bits(f), sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;

    if (magnitude > 0x7f800000u) {
        return (uint16_t)(sign | 0x7e00u);
    }
    if (magnitude >= 0x47800000u) { /* 2^16 and above, infinity */
        return (uint16_t)(sign | 0x7c00u);
    }
    const uint32_t exponent = magnitude >> 23;
    if (exponent < 102) { /* below 2^-25: at most half of the smallest subnormal */
        return (uint16_t)sign;
    }
    /* Drop 13 bits of the significand, more of a subnormal's; rounding may carry into the exponent,
     * which is then the right one. */
    const uint32_t drop = exponent < 113 ? 126 - exponent : 13;
    const uint32_t significand =
        exponent < 113 ? (magnitude & 0x7fffffu) | 0x800000u : magnitude - (112u << 23);
    const uint32_t kept = significand >> drop, rest = significand & ((1u << drop) - 1);
    const uint32_t half = 1u << (drop - 1);
    return (uint16_t)(sign | (kept + (rest > half || (rest == half && (kept & 1u) != 0))));
}

static inline float brim_bfloat_to_float(uint16_t b)
{
    return brim_bits_float((uint32_t)b << 16);
}

static inline uint16_t brim_bfloat_from_float(float f)
{
    const uint32_t bits = brim_float_bits(f);

    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)(bits >> 16 | 0x40u);
    }
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* The float nearest to d in the sense of rounding to odd, so that narrowing it again, to fewer
 * bits, rounds as d itself would. */
static inline float brim_float_to_odd(double d)
{
    float f = (float)d;
    uint32_t bits = brim_float_bits(f);

    if ((double)f == d || d != d || (bits & 0x7fffffffu) >= 0x7f800000u) {
        return f;
    }
    if ((bits & 1u) == 0) { /* inexact and even: the odd neighbour on d's side */
        bits = ((double)f < d) == (d > 0) ? bits + 1 : bits - 1;
        f = brim_bits_float(bits);
    }
    return f;
}

#endif
