/* nn.c - the kernels of families nn and quant. SPDX-License-Identifier: Apache-2.0 */
#include "run/ops/nn.h"

#include "run/ops/table.h"

const struct brim_op_kernel brim_kernels_nn[] = {
    {"", "AveragePool", brim_run_averagepool, NULL},
    {"", "BatchNormalization", brim_run_batchnorm, NULL},
    {"", "Conv", brim_run_conv, brim_conv_free_state},
    {"", "Gemm", brim_run_gemm, brim_matmul_free_state},
    {"", "GlobalAveragePool", brim_run_globalpool, NULL},
    {"", "GlobalMaxPool", brim_run_globalpool, NULL},
    {"", "LayerNormalization", brim_run_layernorm, NULL},
    {"", "MatMul", brim_run_matmul, brim_matmul_free_state},
    {"", "MaxPool", brim_run_maxpool, NULL},
    {"", "RMSNormalization", brim_run_rmsnorm, NULL},
    {"", "Softmax", brim_run_softmax, NULL},
};

const size_t brim_kernels_nn_count = sizeof brim_kernels_nn / sizeof brim_kernels_nn[0];

const struct brim_op_kernel brim_kernels_quant[] = {
    {"", "ConvInteger", brim_run_convinteger, NULL},
    {"", "DequantizeLinear", brim_run_dequantize, NULL},
    {"", "DynamicQuantizeLinear", brim_run_dynamic_quantize, NULL},
    {"", "MatMulInteger", brim_run_matmulinteger, NULL},
    {"", "QLinearConv", brim_run_qlinearconv, NULL},
    {"", "QLinearMatMul", brim_run_qlinearmatmul, NULL},
    {"", "QuantizeLinear", brim_run_quantize, NULL},
};

const size_t brim_kernels_quant_count = sizeof brim_kernels_quant / sizeof brim_kernels_quant[0];
