/* op_fail.c - what operators share when they run. SPDX-License-Identifier: Apache-2.0 */
#include "run/op.h"

#include <stdarg.h>
#include <stdio.h>

brim_status brim_op_fail(const struct brim_op_call *c, brim_status s, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return brim_fail(c->ctx, s, "node '%s' (%s): %s", c->node->name, c->node->op_type, text);
}
