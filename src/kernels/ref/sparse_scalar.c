/* sparse_scalar.c - by definition: the variant that all others equal in the bytes that count.
 * SPDX-License-Identifier: Apache-2.0 */
#include "kernels/sparse_gather.h"

#define CHUNK 64

static void run(const struct brim_sparse_pick *p)
{
    for (size_t i = 0; i < p->rows; i++) {
        uint8_t *y = p->y + i * p->y_stride;
        for (size_t k = 0; k < p->k; k += CHUNK) {
            for (size_t j = 0; j < p->count[k / CHUNK]; j++) {
                *y++ = p->x[i * p->x_stride + k + p->take[k + j]] ^ p->flip;
            }
        }
    }
}

const struct brim_sparse_gather brim_sparse_gather_scalar = {
    .name = "scalar", .isa = 0, .chunk = CHUNK, .run = run};
