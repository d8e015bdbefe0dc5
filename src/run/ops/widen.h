/* widen.h - 16-bit floats are computed in float. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_RUN_OPS_WIDEN_H
#define BRIM_RUN_OPS_WIDEN_H

#include "run/op.h"

/* `wide` is the call with every float16 and bfloat16 tensor replaced by a float one (in scratch);
 * the others are shared. */
BRIM_NODISCARD brim_status brim_widen(const struct brim_op_call *c, struct brim_op_call *wide);

/* Round the outputs of `wide` back into those of `c`. */
void brim_narrow(const struct brim_op_call *c, const struct brim_op_call *wide);

#endif
