/* table.h - the kernel table is the concatenation of these. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_RUN_OPS_TABLE_H
#define BRIM_RUN_OPS_TABLE_H

#include "run/op.h"

extern const struct brim_op_kernel brim_kernels_binary[];
extern const size_t brim_kernels_binary_count;
extern const struct brim_op_kernel brim_kernels_cast[];
extern const size_t brim_kernels_cast_count;
extern const struct brim_op_kernel brim_kernels_dropout[];
extern const size_t brim_kernels_dropout_count;
extern const struct brim_op_kernel brim_kernels_move[];
extern const size_t brim_kernels_move_count;
extern const struct brim_op_kernel brim_kernels_pad[];
extern const size_t brim_kernels_pad_count;
extern const struct brim_op_kernel brim_kernels_pow[];
extern const size_t brim_kernels_pow_count;
extern const struct brim_op_kernel brim_kernels_reduce[];
extern const size_t brim_kernels_reduce_count;
extern const struct brim_op_kernel brim_kernels_nn[];
extern const size_t brim_kernels_nn_count;
extern const struct brim_op_kernel brim_kernels_quant[];
extern const size_t brim_kernels_quant_count;
extern const struct brim_op_kernel brim_kernels_qlinear[];
extern const size_t brim_kernels_qlinear_count;
extern const struct brim_op_kernel brim_kernels_shape[];
extern const size_t brim_kernels_shape_count;
extern const struct brim_op_kernel brim_kernels_vector[];
extern const size_t brim_kernels_vector_count;
extern const struct brim_op_kernel brim_kernels_unary[];
extern const size_t brim_kernels_unary_count;

#endif
