/* op_math.c - shape rules of the elementwise operators. SPDX-License-Identifier: Apache-2.0 */
#include "graph/infer.h"
#include "graph/op_families.h"

/* domain, name, inputs min..max, outputs min..max, rule */
const struct brim_op brim_ops_math[] = {
    {"", "Sigmoid", 1, 1, 1, 1, brim_infer_unary_float},
};

const size_t brim_ops_math_count = sizeof brim_ops_math / sizeof brim_ops_math[0];
