/* op_shape.c - shape rules of the operators that move data. SPDX-License-Identifier: Apache-2.0 */
#include "graph/infer.h"
#include "graph/op_families.h"

/* domain, name, inputs min..max, outputs min..max, rule */
const struct brim_op brim_ops_shape[] = {
    {"", "Identity", 1, 1, 1, 1, brim_infer_unary},
};

const size_t brim_ops_shape_count = sizeof brim_ops_shape / sizeof brim_ops_shape[0];
