/* foreign.h - small networks as other tools write them, as .onnx bytes. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef BRIM_TESTS_CHECK_FOREIGN_H
#define BRIM_TESTS_CHECK_FOREIGN_H

#include "check/networks.h"

#define QONNX     "qonnx.custom_op.general"
#define MICROSOFT "com.microsoft"

static inline void foreign_float(struct ob *g, const char *name, float v)
{
    ob_constant(g, name, 1, SCALAR, &v, 4);
}

/* QONNX's Quant by the names of its inputs. */
static inline void foreign_quant(struct ob *g, const char *domain, const char *op, const char *in,
                                 const char *out, int is_signed, int narrow)
{
    struct ob n = ob_foreign(domain, out, op, in, out);

    ob_attribute(&n, "signed", is_signed);
    ob_attribute(&n, "narrow", narrow);
    ob_string(&n, "rounding_mode", "ROUND");
    ob_message(g, 1, &n);
}

static inline void foreign_bipolar(struct ob *g, const char *domain, const char *in,
                                   const char *out)
{
    const struct ob n = ob_foreign(domain, out, "BipolarQuant", in, out);

    ob_message(g, 1, &n);
}

static inline void foreign_transpose(struct ob *g, const char *in, const char *out)
{
    static const int64_t perm[] = {1, 0};
    struct ob n = ob_node(out, "Transpose", in, out);

    ob_ints(&n, "perm", perm, 2);
    ob_message(g, 1, &n);
}

/* What Brevitas exports of three linear layers:
 *   x [N,4] -> Quant, 3 bits, narrow -> MatMul "fc1" [3,4]^T, weights 1 or -1 -> BipolarQuant
 *   -> Gemm "fc2" [2,3], weights of 4 bits with scales per output, bias of 32 bits -> Trunc to
 *   `trunc_inputs` == 6: 3 bits -> MatMul "fc3" [2,2] of 2 bits -> y */
static inline void brevitas_network_build(struct ob *model)
{
    static const float w1[12] = {0.5f, -0.5f, 2, -2, 1, 1, -1, 0, -3, 4, -5, -0.0f};
    static const float w2[6] = {0.25f, -0.5f, 0.74f, 2, -4, 9}, s2[2] = {0.25f, 0.5f};
    static const float b2[2] = {0.125f, -1.0f}, sb[2] = {0.25f, 0.5f}, w3[4] = {1, -2, 0, 1};
    struct ob g = {0};

    model->n = 0;
    ob_text(&g, 2, "brevitas");
    foreign_float(&g, "half", 0.5f);
    foreign_float(&g, "one", 1.0f);
    foreign_float(&g, "two", 2.0f);
    foreign_float(&g, "zero", 0.0f);
    foreign_float(&g, "bits2", 2.0f);
    foreign_float(&g, "bits3", 3.0f);
    foreign_float(&g, "bits4", 4.0f);
    foreign_float(&g, "bits6", 6.0f);
    foreign_float(&g, "bits32", 32.0f);
    ob_constant(&g, "w1", 1, DIMS(3, 4), w1, sizeof w1);
    ob_constant(&g, "w2", 1, DIMS(2, 3), w2, sizeof w2);
    ob_constant(&g, "s2", 1, DIMS(2, 1), s2, sizeof s2);
    ob_constant(&g, "b2", 1, DIMS(2), b2, sizeof b2);
    ob_constant(&g, "sb", 1, DIMS(2), sb, sizeof sb);
    ob_constant(&g, "w3", 1, DIMS(2, 2), w3, sizeof w3);
    ob_value(&g, 11, "x", 1, DIMS(0, 4));
    ob_value(&g, 12, "y", 1, DIMS(0, 2));
    foreign_quant(&g, "onnx.brevitas", "Quant", "x,half,zero,bits3", "x1", 1, 1);
    foreign_bipolar(&g, "onnx.brevitas", "w1,one", "w1q");
    foreign_transpose(&g, "w1q", "w1t");
    ob_plain(&g, "fc1", "MatMul", "x1,w1t", "h1");
    foreign_bipolar(&g, "brevitas.onnx", "h1,one", "x2");
    foreign_quant(&g, QONNX, "IntQuant", "w2,s2,zero,bits4", "w2q", 1, 0);
    foreign_quant(&g, QONNX, "IntQuant", "b2,sb,zero,bits32", "b2q", 1, 0);
    struct ob fc = ob_node("fc2", "Gemm", "x2,w2q,b2q", "h2");
    ob_attribute(&fc, "transB", 1);
    ob_message(&g, 1, &fc);
    struct ob trunc = ob_foreign(QONNX, "trunc", "Trunc", "h2,half,zero,bits6,two,bits3", "x3");
    ob_attribute(&trunc, "signed", 1);
    ob_string(&trunc, "rounding_mode", "floor");
    ob_message(&g, 1, &trunc);
    foreign_quant(&g, QONNX, "IntQuant", "w3,one,zero,bits2", "w3q", 1, 0);
    ob_plain(&g, "fc3", "MatMul", "x3,w3q", "y");
    ob_model_of(model, &g, 11);
}

/* The older Trunc, behind a pool that adds up: x [N,1,2,2] -> Quant, 4 bits unsigned -> AveragePool
 * -> Mul 4 -> Trunc 6 bits to 4 -> Flatten -> MatMul "fc" [1,2] -> y */
static inline void trunc_network_build(struct ob *model)
{
    static const int64_t kernel[] = {2, 2};
    static const float w[2] = {3, -7};
    struct ob g = {0};

    model->n = 0;
    ob_text(&g, 2, "trunc");
    foreign_float(&g, "one", 1.0f);
    foreign_float(&g, "zero", 0.0f);
    foreign_float(&g, "four", 4.0f);
    foreign_float(&g, "bits4", 4.0f);
    foreign_float(&g, "bits6", 6.0f);
    ob_constant(&g, "w", 1, DIMS(1, 2), w, sizeof w);
    ob_value(&g, 11, "x", 1, DIMS(0, 1, 2, 2));
    ob_value(&g, 12, "y", 1, DIMS(0, 2));
    foreign_quant(&g, QONNX, "Quant", "x,one,zero,bits4", "q", 0, 0);
    struct ob pool = ob_node("pool", "AveragePool", "q", "p");
    ob_ints(&pool, "kernel_shape", kernel, 2);
    ob_message(&g, 1, &pool);
    ob_plain(&g, "sum", "Mul", "p,four", "s");
    const struct ob trunc = ob_foreign(QONNX, "trunc", "Trunc", "s,one,zero,bits6,bits4", "t");
    ob_message(&g, 1, &trunc);
    ob_plain(&g, "flat", "Flatten", "t", "f");
    foreign_quant(&g, QONNX, "Quant", "w,one,zero,bits4", "wq", 1, 0);
    ob_plain(&g, "fc", "MatMul", "f,wq", "y");
    ob_model_of(model, &g, 13);
}

/* What PyTorch exports of fake quantization: float weights with their quantizer, per channel, and a
 * Clip to 7 bits behind the input's. x [N,3] -> 0..127 -> MatMul "fc" [2,3]^T -> y */
static inline void torch_network_build(struct ob *model)
{
    static const float w[6] = {1, -1, 0.3f, 10, 5, -70}, ws[2] = {0.01f, 0.5f};
    static const int8_t wz[2] = {0, 0}, low = -127, high = 127;
    static const uint8_t xz = 5, x_low = 0, x_high = 127;
    struct ob g = {0};

    model->n = 0;
    ob_text(&g, 2, "torch");
    foreign_float(&g, "xs", 0.25f);
    ob_constant(&g, "xz", 2, SCALAR, &xz, 1);
    ob_constant(&g, "x_low", 2, SCALAR, &x_low, 1);
    ob_constant(&g, "x_high", 2, SCALAR, &x_high, 1);
    ob_constant(&g, "w", 1, DIMS(2, 3), w, sizeof w);
    ob_constant(&g, "ws", 1, DIMS(2), ws, sizeof ws);
    ob_constant(&g, "wz", 3, DIMS(2), wz, sizeof wz);
    ob_constant(&g, "low", 3, SCALAR, &low, 1);
    ob_constant(&g, "high", 3, SCALAR, &high, 1);
    ob_value(&g, 11, "x", 1, DIMS(0, 3));
    ob_value(&g, 12, "y", 1, DIMS(0, 2));
    ob_plain(&g, "x_Q", "QuantizeLinear", "x,xs,xz", "xq");
    ob_plain(&g, "x_C", "Clip", "xq,x_low,x_high", "xc");
    ob_plain(&g, "x_DQ", "DequantizeLinear", "xc,xs,xz", "xd");
    struct ob q = ob_node("w_Q", "QuantizeLinear", "w,ws,wz", "wq");
    ob_attribute(&q, "axis", 0);
    ob_message(&g, 1, &q);
    ob_plain(&g, "w_C", "Clip", "wq,low,high", "wc");
    struct ob dq = ob_node("w_DQ", "DequantizeLinear", "wc,ws,wz", "wd");
    ob_attribute(&dq, "axis", 0);
    ob_message(&g, 1, &dq);
    foreign_transpose(&g, "wd", "wt");
    ob_plain(&g, "fc", "MatMul", "xd,wt", "y");
    ob_model_of(model, &g, 17);
}

/* Dynamic quantization: x [N,1,3,3] -> ConvInteger "conv" [2,1,2,2] padded -> float -> Flatten
 * -> MatMulInteger "fc" [32,2] -> y, a zero point found for each tensor */
static inline void dynamic_network_build(struct ob *model)
{
    static const int64_t pads[] = {1, 1, 1, 1};
    static const int8_t w[8] = {10, -20, 30, 127, -128, 5, 0, 7}, w_zero[2] = {3, -1};
    int8_t fc[64];
    struct ob g = {0};

    for (int i = 0; i < 64; i++) {
        fc[i] = (int8_t)(i * 37 % 201 - 100);
    }
    model->n = 0;
    ob_text(&g, 2, "dynamic");
    ob_constant(&g, "w", 3, DIMS(2, 1, 2, 2), w, sizeof w);
    ob_constant(&g, "w_zero", 3, DIMS(2), w_zero, sizeof w_zero);
    ob_constant(&g, "fc_w", 3, DIMS(32, 2), fc, sizeof fc);
    ob_value(&g, 11, "x", 1, DIMS(0, 1, 3, 3));
    ob_value(&g, 12, "y", 6, DIMS(0, 2));
    ob_plain(&g, "x_Q", "DynamicQuantizeLinear", "x", "xq,xs,xz");
    struct ob conv = ob_node("conv", "ConvInteger", "xq,w,xz,w_zero", "c");
    ob_ints(&conv, "pads", pads, 4);
    ob_message(&g, 1, &conv);
    struct ob cast = ob_node("cast", "Cast", "c", "cf");
    ob_attribute(&cast, "to", 1);
    ob_message(&g, 1, &cast);
    ob_plain(&g, "flat", "Flatten", "cf", "f");
    ob_plain(&g, "f_Q", "DynamicQuantizeLinear", "f", "fq,fs,fz");
    ob_plain(&g, "fc", "MatMulInteger", "fq,fc_w,fz", "y");
    ob_model_of(model, &g, 13);
}

/* onnxruntime's operators: x [N,1,2,2] -> uint8 -> QLinearConv "conv" [2,1,1,1] -> QLinearAdd to
 * itself -> QLinearGlobalAveragePool -> QLinearConcat -> QGemm "fc" [2,3]^T, bias -> y uint8 */
static inline void qoperator_network_build(struct ob *model)
{
    static const int8_t w[2] = {100, -50}, wz = 0, fc[6] = {127, -127, 1, 2, 3, -4};
    static const int8_t fcz[2] = {0, 0};
    static const float fcs[2] = {0.01f, 0.02f};
    static const int32_t bias[2] = {100, -3};
    static const uint8_t z = 128, z0 = 0;
    struct ob g = {0};

    model->n = 0;
    ob_text(&g, 2, "qoperator");
    foreign_float(&g, "s", 0.02f);
    foreign_float(&g, "s2", 0.04f);
    ob_constant(&g, "z", 2, SCALAR, &z, 1);
    ob_constant(&g, "z0", 2, SCALAR, &z0, 1);
    ob_constant(&g, "w", 3, DIMS(2, 1, 1, 1), w, sizeof w);
    ob_constant(&g, "wz", 3, SCALAR, &wz, 1);
    ob_constant(&g, "fc_w", 3, DIMS(2, 3), fc, sizeof fc);
    ob_constant(&g, "fc_s", 1, DIMS(2), fcs, sizeof fcs);
    ob_constant(&g, "fc_z", 3, DIMS(2), fcz, sizeof fcz);
    ob_constant(&g, "bias", 6, DIMS(2), bias, sizeof bias);
    ob_value(&g, 11, "x", 1, DIMS(0, 1, 2, 2));
    ob_value(&g, 12, "y", 2, DIMS(0, 2));
    ob_plain(&g, "x_Q", "QuantizeLinear", "x,s,z", "xq");
    ob_plain(&g, "conv", "QLinearConv", "xq,s,z,w,s,wz,s,z", "c");
    struct ob n = ob_foreign(MICROSOFT, "add", "QLinearAdd", "c,s,z,c,s,z,s2,z0", "a");
    ob_message(&g, 1, &n);
    n = ob_foreign(MICROSOFT, "gap", "QLinearGlobalAveragePool", "a,s2,z0,s,z0", "p");
    ob_message(&g, 1, &n);
    ob_plain(&g, "flat", "Flatten", "p", "f");
    static const uint8_t ninety = 90;
    ob_constant(&g, "more", 2, DIMS(1, 1), &ninety, 1);
    n = ob_foreign(MICROSOFT, "concat", "QLinearConcat", "s,z0,f,s,z0,more,s2,z0", "j");
    ob_attribute(&n, "axis", 1);
    ob_message(&g, 1, &n);
    n = ob_foreign(MICROSOFT, "fc", "QGemm", "j,s,z0,fc_w,fc_s,fc_z,bias,s,z", "y");
    ob_attribute(&n, "transB", 1);
    ob_message(&g, 1, &n);
    ob_model_of(model, &g, 13);
}

#endif
