/* matmul.h - which matrices a batched product multiplies. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_RUN_OPS_MATMUL_H
#define BRIM_RUN_OPS_MATMUL_H

#include "run/op.h"

/* y[t] (m x n) = a[a_at[t]] (m x k) * b[b_at[t]] (k x n), t < count; offsets in elements. */
struct brim_products {
    size_t m, n, k, count;
    size_t *a_at, *b_at; /* in the call's scratch */
};

/* As numpy.matmul; 1-D operands are a row and a column. */
BRIM_NODISCARD brim_status brim_products_resolve(const struct brim_op_call *c,
                                                 const struct brim_shape *a,
                                                 const struct brim_shape *b,
                                                 struct brim_products *p);

/* y = a * b modulo 2^32, row-major. */
void brim_matmul_i32(const int32_t *a, const int32_t *b, int32_t *y, const struct brim_products *p);

#endif
