/* table.h - the kernel table is the concatenation of these. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_RUN_OPS_TABLE_H
#define BRIM_RUN_OPS_TABLE_H

#include "run/op.h"

extern const struct brim_op_kernel brim_kernels_shape[];
extern const size_t brim_kernels_shape_count;

#endif
