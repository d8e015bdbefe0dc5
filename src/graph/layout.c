/* layout.c - where the K order finds its weights in the file's tensor. SPDX-License-Identifier:
 * Apache-2.0 */
#include "graph/layout.h"

#include <string.h>

static bool is_conv(const char *op_type)
{
    return strcmp(op_type, "Conv") == 0 || strcmp(op_type, "QLinearConv") == 0 ||
           strcmp(op_type, "ConvInteger") == 0;
}

bool brim_layout_of(const struct brim_node *node, const struct brim_shape *weight,
                    struct brim_layout *l)
{
    if (brim_shape_count(weight) <= 0) {
        return false;
    }
    const int64_t *d = weight->dim;
    if (is_conv(node->op_type)) {
        if (weight->rank != 3 && weight->rank != 4) {
            return false;
        }
        const int64_t taps = weight->rank == 3 ? d[2] : d[2] * d[3];
        *l = (struct brim_layout){BRIM_LAYOUT_CONV, (size_t)d[0], (size_t)(d[1] * taps),
                                  (size_t)d[1], (size_t)taps};
        return true;
    }
    const bool gemm = strcmp(node->op_type, "Gemm") == 0 || strcmp(node->op_type, "QGemm") == 0;
    const bool transposed = gemm && brim_node_int(node, "transB", 0) != 0;
    if (weight->rank != 2) {
        return false;
    }
    *l = transposed
             ? (struct brim_layout){.kind = BRIM_LAYOUT_NK, .n = (size_t)d[0], .k = (size_t)d[1]}
             : (struct brim_layout){.kind = BRIM_LAYOUT_KN, .n = (size_t)d[1], .k = (size_t)d[0]};
    return true;
}

int brim_layout_output_axis(const struct brim_layout *l)
{
    return l->kind == BRIM_LAYOUT_KN ? 1 : 0;
}
