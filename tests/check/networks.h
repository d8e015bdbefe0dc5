/* networks.h - two small integer networks as .onnx bytes, with everything a test wants to change.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_CHECK_NETWORKS_H
#define BRIM_TESTS_CHECK_NETWORKS_H

#include "check/onnx_builder.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__, -1})
#define SCALAR    ((const int64_t[]){-1})

/* QuantizeLinear/DequantizeLinear network:
 *   x [N,2,4,4] -> uint8, zero point 3 -> Conv "conv" [4,1,2,2], 2 groups, integer bias -> Relu
 *   -> mean -> uint8 in 0..x_clip -> Gemm "fc" [3,4] transposed -> y [N,3] */
struct qdq_network {
    int8_t conv_w[16]; /* [4][1][2][2] */
    int32_t conv_b[4];
    int8_t fc_w[12]; /* [3][4] */
    uint8_t x_zero, x_clip;
    const char *conv_metadata, *fc_metadata; /* NULL = none */
};

static inline struct qdq_network qdq_network_default(void)
{
    return (struct qdq_network){
        .conv_w = {5, -3, 0, 7, -1, -1, -1, -1, 127, -128, 1, 2, 0, 0, 0, 9},
        .conv_b = {100, -100, 0, 7},
        .fc_w = {1, 2, 3, 4, -5, -6, -7, -8, 100, -100, 50, 0},
        .x_zero = 3,
        .x_clip = 15,
    };
}

static inline void qdq_network_constants(struct ob *g, const struct qdq_network *q)
{
    static const float one = 1.0f, half = 0.5f, quarter = 0.25f;
    static const uint8_t zero8 = 0;
    static const int8_t zero_w = 0;
    static const int32_t zero_b = 0;

    ob_constant(g, "x_scale", 1, SCALAR, &half, 4);
    ob_constant(g, "x_zero", 2, SCALAR, &q->x_zero, 1);
    ob_constant(g, "w_scale", 1, SCALAR, &half, 4);
    ob_constant(g, "w_zero", 3, SCALAR, &zero_w, 1);
    ob_constant(g, "b_scale", 1, SCALAR, &quarter, 4);
    ob_constant(g, "b_zero", 6, SCALAR, &zero_b, 4);
    ob_constant(g, "m_scale", 1, SCALAR, &one, 4);
    ob_constant(g, "m_zero", 2, SCALAR, &zero8, 1);
    ob_constant(g, "clip_lo", 2, SCALAR, &zero8, 1);
    ob_constant(g, "clip_hi", 2, SCALAR, &q->x_clip, 1);
    ob_constant(g, "conv_q", 3, DIMS(4, 1, 2, 2), q->conv_w, 16);
    ob_constant(g, "conv_bq", 6, DIMS(4), q->conv_b, 16);
    ob_constant(g, "fc_q", 3, DIMS(3, 4), q->fc_w, 12);
}

static inline void qdq_network_build(const struct qdq_network *q, struct ob *model)
{
    struct ob g = {0};

    model->n = 0;
    ob_text(&g, 2, "qdq");
    qdq_network_constants(&g, q);
    ob_value(&g, 11, "x", 1, DIMS(0, 2, 4, 4));
    ob_value(&g, 12, "y", 1, DIMS(0, 3));
    ob_plain(&g, "x_Q", "QuantizeLinear", "x,x_scale,x_zero", "xq");
    ob_plain(&g, "x_DQ", "DequantizeLinear", "xq,x_scale,x_zero", "xd");
    ob_plain(&g, "conv_w_DQ", "DequantizeLinear", "conv_q,w_scale,w_zero", "conv_w");
    ob_plain(&g, "conv_b_DQ", "DequantizeLinear", "conv_bq,b_scale,b_zero", "conv_b");
    struct ob conv = ob_node("conv", "Conv", "xd,conv_w,conv_b", "c");
    ob_attribute(&conv, "group", 2);
    ob_message(&g, 1, &conv);
    ob_plain(&g, "relu", "Relu", "c", "r");
    ob_plain(&g, "mean", "GlobalAveragePool", "r", "m4");
    ob_plain(&g, "flat", "Flatten", "m4", "m");
    ob_plain(&g, "m_Q", "QuantizeLinear", "m,m_scale,m_zero", "mq");
    ob_plain(&g, "m_clip", "Clip", "mq,clip_lo,clip_hi", "mc");
    ob_plain(&g, "m_DQ", "DequantizeLinear", "mc,m_scale,m_zero", "md");
    ob_plain(&g, "fc_w_DQ", "DequantizeLinear", "fc_q,w_scale,w_zero", "fc_w");
    struct ob fc = ob_node("fc", "Gemm", "md,fc_w", "y");
    ob_attribute(&fc, "transB", 1);
    ob_message(&g, 1, &fc);
    ob_model(model, &g);
    if (q->conv_metadata != NULL) {
        ob_metadata(model, "brim.layer.conv", q->conv_metadata);
    }
    if (q->fc_metadata != NULL) {
        ob_metadata(model, "brim.layer.fc", q->fc_metadata);
    }
}

/* Integer operators: x uint8 [N,2,4,4] -> QLinearConv "qconv" [2,2,3,3], per-channel weight zero
 * points -> Flatten -> MatMulInteger "qfc" [8,3] with weight zero point 1 -> y [N,3] int32 */
static inline void integer_network_build(struct ob *model)
{
    static const float one = 1.0f;
    static const uint8_t x_zero = 128;
    static const int8_t w_zero[2] = {1, -2}, fc_zero = 1;
    static const int32_t bias[2] = {1000, -1000};
    struct ob g = {0};
    int8_t w[36], fc[24];

    for (int i = 0; i < 36; i++) {
        w[i] = (int8_t)(i * 7 % 40 - 20);
    }
    for (int i = 0; i < 24; i++) {
        fc[i] = (int8_t)(i * 5 % 23 - 11);
    }
    model->n = 0;
    ob_text(&g, 2, "integer");
    ob_constant(&g, "one", 1, SCALAR, &one, 4);
    ob_constant(&g, "x_zero", 2, SCALAR, &x_zero, 1);
    ob_constant(&g, "w", 3, DIMS(2, 2, 3, 3), w, sizeof w);
    ob_constant(&g, "w_zero", 3, DIMS(2), w_zero, 2);
    ob_constant(&g, "bias", 6, DIMS(2), bias, 8);
    ob_constant(&g, "fc", 3, DIMS(8, 3), fc, sizeof fc);
    ob_constant(&g, "fc_zero", 3, SCALAR, &fc_zero, 1);
    ob_value(&g, 11, "x", 2, DIMS(0, 2, 4, 4));
    ob_value(&g, 12, "y", 6, DIMS(0, 3));
    ob_plain(&g, "qconv", "QLinearConv", "x,one,x_zero,w,one,w_zero,one,x_zero,bias", "c");
    ob_plain(&g, "flat", "Flatten", "c", "f");
    ob_plain(&g, "qfc", "MatMulInteger", "f,fc,x_zero,fc_zero", "y");
    ob_model(model, &g);
}

#endif
