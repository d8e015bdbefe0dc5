/* resolve.h - an operator call as its shape rule sees it. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_RUN_OPS_RESOLVE_H
#define BRIM_RUN_OPS_RESOLVE_H

#include "graph/resolve.h"
#include "run/op.h"

/* A view for the brim_resolve_* functions, with everything known; lives in the call's scratch. */
BRIM_NODISCARD brim_status brim_op_view(const struct brim_op_call *c, struct brim_infer *view);

#endif
