/* loops.h - one inner loop per element type, and a table of them. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A family defines op_float, op_double, op_int8_t, ... with DEFINE_x and lists them with a table
 * that is indexed by enum brim_dtype; a type without a loop is NULL there. Integer arithmetic is
 * done in uint64_t and cut to the type, which is two's complement wrapping for all of them.
 */
#ifndef BRIM_RUN_OPS_LOOPS_H
#define BRIM_RUN_OPS_LOOPS_H

#include "graph/graph.h"

enum { BRIM_LOOPS = BRIM_UINT64 + 1 };

#define BRIM_FOR_SIGNED(M, op, expr)                                                               \
    M(op, int8_t, expr) M(op, int16_t, expr) M(op, int32_t, expr) M(op, int64_t, expr)
#define BRIM_FOR_UNSIGNED(M, op, expr)                                                             \
    M(op, uint8_t, expr) M(op, uint16_t, expr) M(op, uint32_t, expr) M(op, uint64_t, expr)
#define BRIM_FOR_FLOATS(M, op, expr) M(op, float, expr) M(op, double, expr)

#define BRIM_LOOPS_FLOATS(op) [BRIM_FLOAT] = op##_float, [BRIM_DOUBLE] = op##_double
#define BRIM_LOOPS_SIGNED(op)                                                                      \
    [BRIM_INT8] = op##_int8_t, [BRIM_INT16] = op##_int16_t, [BRIM_INT32] = op##_int32_t,           \
    [BRIM_INT64] = op##_int64_t
#define BRIM_LOOPS_UNSIGNED(op)                                                                    \
    [BRIM_UINT8] = op##_uint8_t, [BRIM_UINT16] = op##_uint16_t, [BRIM_UINT32] = op##_uint32_t,     \
    [BRIM_UINT64] = op##_uint64_t
#define BRIM_LOOPS_NUMBERS(op) BRIM_LOOPS_FLOATS(op), BRIM_LOOPS_SIGNED(op), BRIM_LOOPS_UNSIGNED(op)

#endif
