/* sparse_scalar.c - gathers by definition: the variant that all others equal. SPDX-License-Identifier:
 * Apache-2.0 */
#include "kernels/sparse_gather.h"

#include <string.h>

#define WIDTH 64

static void run(const struct brim_sparse_pick *p)
{
    for (size_t i = 0; i < p->rows; i++) {
        const uint8_t *x = p->x + i * p->x_stride;
        uint8_t *y = p->y + i * p->y_stride;

        memset(y, p->flip, p->vectors * WIDTH);
        for (size_t v = 0, step = 0; v < p->vectors; v++) {
            for (size_t end = step + p->steps[v]; step < end; step++) {
                for (size_t j = 0; j < WIDTH; j++) {
                    const uint8_t take = p->take[step * WIDTH + j];
                    if (take != BRIM_SPARSE_NOT) {
                        y[v * WIDTH + j] = x[p->at[step] + take] ^ p->flip;
                    }
                }
            }
        }
    }
}

const struct brim_sparse_gather brim_sparse_gather_scalar = {
    .name = "scalar", .isa = 0, .width = WIDTH, .run = run};
