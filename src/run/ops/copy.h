/* copy.h - copying elements of any type in a strided order. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_RUN_OPS_COPY_H
#define BRIM_RUN_OPS_COPY_H

#include "graph/graph.h"

/* out[i0][i1]... = in[i0*stride[0] + i1*stride[1] + ...], `out` contiguous. Strides are in elements
 * of `size` bytes (1, 2, 4 or 8), may be 0 or negative. */
struct brim_copy {
    int rank;
    size_t dim[BRIM_MAX_RANK];
    ptrdiff_t stride[BRIM_MAX_RANK];
};
void brim_copy_strided(const struct brim_copy *c, size_t size, void *out, const void *in);

/* Row-major strides of a shape, in elements. */
void brim_shape_strides(const struct brim_shape *s, ptrdiff_t stride[BRIM_MAX_RANK]);

/* `n` elements of `size` bytes, each the one at `value`. */
void brim_fill(void *out, const void *value, size_t size, size_t n);

#endif
