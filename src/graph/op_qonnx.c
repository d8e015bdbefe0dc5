/* op_qonnx.c - shape rules of QONNX's operators, which the loader turns into ONNX's.
 * SPDX-License-Identifier: Apache-2.0 */
#include "graph/infer.h"
#include "graph/op_families.h"

/* A float tensor, rounded to a grid that the other inputs describe. */
static brim_status infer_grid(struct brim_infer *c)
{
    static const unsigned number = BRIM_T_FLOATS | BRIM_T_SIGNED | BRIM_T_UNSIGNED;

    BRIM_TRY(brim_infer_check(c, 0, BRIM_T(BRIM_FLOAT)));
    BRIM_TRY(brim_infer_check(c, 1, BRIM_T(BRIM_FLOAT)));
    for (size_t i = 2; i < c->node->n_in; i++) {
        BRIM_TRY(brim_infer_check(c, i, number));
    }
    return brim_infer_unary(c);
}

/* domain, name, inputs min..max, outputs min..max, rule */
const struct brim_op brim_ops_qonnx[] = {
    {BRIM_DOMAIN_QONNX, "BipolarQuant", 2, 2, 1, 1, infer_grid},
    {BRIM_DOMAIN_QONNX, "IntQuant", 4, 4, 1, 1, infer_grid},
    {BRIM_DOMAIN_QONNX, "Quant", 4, 4, 1, 1, infer_grid},
    {BRIM_DOMAIN_QONNX, "Trunc", 5, 6, 1, 1, infer_grid}, /* six since version 2 */
};

const size_t brim_ops_qonnx_count = sizeof brim_ops_qonnx / sizeof brim_ops_qonnx[0];
