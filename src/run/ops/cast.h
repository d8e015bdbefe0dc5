/* cast.h - between all element types. SPDX-License-Identifier: Apache-2.0
 *
 * Floats become integers by truncation toward zero (4-bit ones by rounding half to even, as ONNX's
 * reference does), and saturate where they do not fit; NaN becomes 0. Integers become narrower
 * integers by dropping high bits. Anything but zero becomes true.
 */
#ifndef BRIM_RUN_OPS_CAST_H
#define BRIM_RUN_OPS_CAST_H

#include "graph/graph.h"

void brim_cast(enum brim_dtype from, const void *x, enum brim_dtype to, void *y, size_t n);

#endif
