/* nn.h - the computations of families nn and quant. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_RUN_OPS_NN_H
#define BRIM_RUN_OPS_NN_H

#include "run/op.h"

/* conv.c */
brim_op_run_fn brim_run_conv;
void brim_conv_free_state(brim_ctx *ctx, void *state);
/* matmul.c */
brim_op_run_fn brim_run_gemm, brim_run_matmul;
void brim_matmul_free_state(brim_ctx *ctx, void *state);
/* norm.c */
brim_op_run_fn brim_run_batchnorm, brim_run_layernorm, brim_run_rmsnorm;
/* softmax.c */
brim_op_run_fn brim_run_softmax;
/* pool.c */
brim_op_run_fn brim_run_maxpool, brim_run_averagepool, brim_run_globalpool;
/* quantize.c */
brim_op_run_fn brim_run_quantize, brim_run_dequantize, brim_run_dynamic_quantize;
/* integer.c */
brim_op_run_fn brim_run_convinteger, brim_run_qlinearconv;
brim_op_run_fn brim_run_matmulinteger, brim_run_qlinearmatmul;

/* Is input i given (not omitted)? */
static inline bool brim_op_has(const struct brim_op_call *c, size_t i)
{
    return i < c->n_in && c->in[i] != NULL;
}

#endif
