/* make_models.c - the .onnx files that the command-line tests run on, good and bad.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Usage: make_models FOLDER. All networks take [N,1,28,28], the shape of synth:glyphs.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "check/networks.h"

enum flaw { NONE, CYCLE, MISSING_INPUT, BAD_SHAPE, NAN_WEIGHT, UNKNOWN_OP };

/* Conv [4,1,5,5] -> Relu -> mean -> Gemm [10,4], weights from a small generator. */
static void float_network(struct ob *model, enum flaw flaw)
{
    struct ob g = {0};
    float conv[100], fc[40], bias[10];
    uint32_t seed = 1;

    for (int i = 0; i < 150; i++) {
        seed = seed * 1664525u + 1013904223u;
        const float v = (float)(seed >> 8) / 16777216.0f - 0.5f;
        *(i < 100 ? &conv[i] : i < 140 ? &fc[i - 100] : &bias[i - 140]) = v;
    }
    if (flaw == NAN_WEIGHT) {
        conv[7] = NAN;
    }
    model->n = 0;
    ob_text(&g, 2, "small");
    ob_constant(&g, "conv_w", 1, DIMS(4, 1, 5, 5), conv, sizeof conv);
    ob_constant(&g, "fc_w", 1, flaw == BAD_SHAPE ? DIMS(8, 5) : DIMS(10, 4), fc, sizeof fc);
    ob_constant(&g, "fc_b", 1, DIMS(10), bias, sizeof bias);
    ob_value(&g, 11, "x", 1, DIMS(0, 1, 28, 28));
    ob_value(&g, 12, "y", 1, DIMS(0, 10));
    ob_plain(&g, "conv", flaw == UNKNOWN_OP ? "Convolve" : "Conv",
             flaw == CYCLE           ? "r,conv_w"
             : flaw == MISSING_INPUT ? "nowhere,conv_w"
                                     : "x,conv_w",
             "c");
    ob_plain(&g, "relu", "Relu", "c", "r");
    ob_plain(&g, "mean", "GlobalAveragePool", "r", "m");
    ob_plain(&g, "flat", "Flatten", "m", "f");
    struct ob fc_node = ob_node("fc", "Gemm", "f,fc_w,fc_b", "y");
    ob_attribute(&fc_node, "transB", 1);
    ob_message(&g, 1, &fc_node);
    ob_model(model, &g);
}

/* y = a x b, both computed: k products in a sum, 0 = nobody knows. */
static void product_network(struct ob *model, int64_t k)
{
    struct ob g = {0};

    model->n = 0;
    ob_text(&g, 2, "product");
    ob_value(&g, 11, "a", 2, DIMS(2, k));
    ob_value(&g, 11, "b", 3, DIMS(k, 3));
    ob_value(&g, 12, "y", 6, DIMS(2, 3));
    ob_plain(&g, "scores", "MatMulInteger", "a,b", "y");
    ob_model(model, &g);
}

static void save(const char *folder, const char *name, const void *data, size_t n)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, n, f) != n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

/* The same model with every "conv" in it renamed: ESC, "[2m", an order to a terminal. */
static void rename_conv(struct ob *model)
{
    for (size_t i = 0; i + 4 <= model->n; i++) {
        if (memcmp(model->data + i, "conv", 4) == 0) {
            memcpy(model->data + i, "\x1b[2m", 4);
        }
    }
}

/* float64-free .npy of float32 samples [3,1,28,28], one NaN in the last when wanted. */
static void save_npy(const char *folder, const char *name, int side, int with_nan)
{
    static float x[3 * 28 * 28];
    unsigned char header[128];
    const size_t n = (size_t)(3 * side * side);

    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    header[10 + snprintf((char *)header + 10, 118,
                         "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1, %d, %d), }",
                         side, side)] = ' ';
    header[127] = '\n';
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(i % 256);
    }
    if (with_nan) {
        x[n - 1] = NAN;
    }
    unsigned char *all = malloc(sizeof header + n * sizeof *x);
    if (all == NULL) {
        exit(1);
    }
    memcpy(all, header, sizeof header);
    memcpy(all + sizeof header, x, n * sizeof *x);
    save(folder, name, all, sizeof header + n * sizeof *x);
    free(all);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"float.onnx",     "cycle.onnx", "missing.onnx",
                                        "bad_shape.onnx", "nan.onnx",   "unknown.onnx"};
    const struct qdq_network qdq = qdq_network_default();
    struct ob model;

    if (argc != 2) {
        return 2;
    }
    for (int i = 0; i < 6; i++) {
        float_network(&model, (enum flaw)i);
        save(argv[1], names[i], model.data, model.n);
    }
    float_network(&model, NONE);
    save(argv[1], "truncated.onnx", model.data, model.n / 2);
    rename_conv(&model);
    save(argv[1], "control_float.onnx", model.data, model.n);
    save(argv[1], "empty.onnx", "", 0);
    save(argv[1], "junk.onnx", "this is not a model, it is a sentence", 37);
    qdq_network_build(&qdq, &model);
    save(argv[1], "qdq.onnx", model.data, model.n);
    rename_conv(&model);
    save(argv[1], "control.onnx", model.data, model.n);
    integer_network_build(&model);
    save(argv[1], "integer.onnx", model.data, model.n);
    product_network(&model, 6);
    save(argv[1], "product.onnx", model.data, model.n);
    product_network(&model, 0);
    save(argv[1], "dynamic.onnx", model.data, model.n);
    save_npy(argv[1], "good.npy", 28, 0);
    save_npy(argv[1], "small.npy", 14, 0);
    save_npy(argv[1], "nan.npy", 28, 1);
    return 0;
}
