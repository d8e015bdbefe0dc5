/* table.c - which operators can be computed: lookup over the families. SPDX-License-Identifier:
 * Apache-2.0 */
#include "run/ops/table.h"

#include <string.h>

static const struct {
    const struct brim_op_kernel *kernels;
    const size_t *count;
} families[] = {
    {brim_kernels_binary, &brim_kernels_binary_count},
    {brim_kernels_cast, &brim_kernels_cast_count},
    {brim_kernels_dropout, &brim_kernels_dropout_count},
    {brim_kernels_move, &brim_kernels_move_count},
    {brim_kernels_pad, &brim_kernels_pad_count},
    {brim_kernels_pow, &brim_kernels_pow_count},
    {brim_kernels_reduce, &brim_kernels_reduce_count},
    {brim_kernels_nn, &brim_kernels_nn_count},
    {brim_kernels_qlinear, &brim_kernels_qlinear_count},
    {brim_kernels_quant, &brim_kernels_quant_count},
    {brim_kernels_shape, &brim_kernels_shape_count},
    {brim_kernels_unary, &brim_kernels_unary_count},
    {brim_kernels_vector, &brim_kernels_vector_count},
};

const struct brim_op_kernel *brim_op_kernel_find(const char *domain, const char *name)
{
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        for (size_t i = 0; i < *families[f].count; i++) {
            const struct brim_op_kernel *k = &families[f].kernels[i];
            if (strcmp(k->name, name) == 0 && strcmp(k->domain, domain) == 0) {
                return k;
            }
        }
    }
    return NULL;
}
