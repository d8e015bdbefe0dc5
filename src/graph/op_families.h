/* op_families.h - the operator table is the concatenation of these. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Each family is one file, graph/op_<family>.c, that defines its operators with their shape rules.
 * An operator is added there, and its computation in run/ops/.
 */
#ifndef BRIM_GRAPH_OP_FAMILIES_H
#define BRIM_GRAPH_OP_FAMILIES_H

#include "graph/op.h"

extern const struct brim_op brim_ops_math[];
extern const size_t brim_ops_math_count;
extern const struct brim_op brim_ops_microsoft[];
extern const size_t brim_ops_microsoft_count;
extern const struct brim_op brim_ops_move[];
extern const size_t brim_ops_move_count;
extern const struct brim_op brim_ops_nn[];
extern const size_t brim_ops_nn_count;
extern const struct brim_op brim_ops_quant[];
extern const size_t brim_ops_quant_count;
extern const struct brim_op brim_ops_qonnx[];
extern const size_t brim_ops_qonnx_count;
extern const struct brim_op brim_ops_shape[];
extern const size_t brim_ops_shape_count;

#endif
