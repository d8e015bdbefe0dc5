/* op.c - the operator table: lookup over the families. SPDX-License-Identifier: Apache-2.0 */
#include "graph/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/op_families.h"

static const struct {
    const struct brim_op *ops;
    const size_t *count;
} families[] = {
    {brim_ops_math, &brim_ops_math_count},
    {brim_ops_move, &brim_ops_move_count},
    {brim_ops_nn, &brim_ops_nn_count},
    {brim_ops_quant, &brim_ops_quant_count},
    {brim_ops_microsoft, &brim_ops_microsoft_count},
    {brim_ops_qonnx, &brim_ops_qonnx_count},
    {brim_ops_shape, &brim_ops_shape_count},
};

#define FAMILY_COUNT (sizeof families / sizeof families[0])

const struct brim_op *brim_op_find(const char *domain, const char *name)
{
    for (size_t f = 0; f < FAMILY_COUNT; f++) {
        for (size_t i = 0; i < *families[f].count; i++) {
            const struct brim_op *op = &families[f].ops[i];
            if (strcmp(op->name, name) == 0 && strcmp(op->domain, domain) == 0) {
                return op;
            }
        }
    }
    return NULL;
}

brim_status brim_infer_fail(const struct brim_infer *c, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return brim_fail(c->ctx, BRIM_ERR_FILE, "node '%s' (%s): %s", c->node->name, c->node->op_type,
                     text);
}
