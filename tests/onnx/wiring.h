/* wiring.h - ONNX bytes written by hand, right or wrong, without the library's own writer.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The base model is  x[1,2,4,4] -> Conv(w[3,2,3,3], b[3]) -> Relu -> y, opset 13.
 */
#ifndef BRIM_TESTS_ONNX_WIRING_H
#define BRIM_TESTS_ONNX_WIRING_H

#include "testing.h"

struct wire {
    uint8_t data[6000];
    size_t n;
};

static inline void wire_byte(struct wire *w, unsigned b)
{
    assert_true(w->n < sizeof w->data);
    w->data[w->n++] = (uint8_t)b;
}

static inline void wire_varint(struct wire *w, uint64_t v)
{
    while (v >= 128) {
        wire_byte(w, (unsigned)(v & 127u) | 128u);
        v >>= 7;
    }
    wire_byte(w, (unsigned)v);
}

static inline void wire_int(struct wire *w, unsigned field, int64_t v)
{
    wire_varint(w, field << 3);
    wire_varint(w, (uint64_t)v);
}

static inline void wire_float(struct wire *w, unsigned field, float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    wire_varint(w, field << 3 | 5u);
    for (unsigned i = 0; i < 4; i++) {
        wire_byte(w, bits >> (8 * i) & 255u);
    }
}

static inline void wire_bytes(struct wire *w, unsigned field, const void *data, size_t n)
{
    wire_varint(w, field << 3 | 2u);
    wire_varint(w, n);
    assert_true(n <= sizeof w->data - w->n);
    memcpy(w->data + w->n, data, n);
    w->n += n;
}

static inline void wire_text(struct wire *w, unsigned field, const char *s)
{
    wire_bytes(w, field, s, strlen(s));
}

static inline void wire_sub(struct wire *w, unsigned field, const struct wire *sub)
{
    wire_bytes(w, field, sub->data, sub->n);
}

/* Comma-separated names, each one a field. */
static inline void wire_list(struct wire *w, unsigned field, const char *names)
{
    while (names[0] != '\0') {
        const size_t n = strcspn(names, ",");
        wire_bytes(w, field, names, n);
        names += n + (names[n] == ',');
    }
}

static inline struct wire wire_tensor_head(const char *name, int64_t dtype, size_t rank,
                                           const int64_t *dim)
{
    struct wire w = {.n = 0};

    for (size_t i = 0; i < rank; i++) {
        wire_int(&w, 1, dim[i]);
    }
    wire_int(&w, 2, dtype);
    wire_text(&w, 8, name);
    return w;
}

static inline struct wire wire_tensor(const char *name, int64_t dtype, size_t rank,
                                      const int64_t *dim, const void *raw, size_t n)
{
    struct wire w = wire_tensor_head(name, dtype, rank, dim);

    wire_bytes(&w, 9, raw, n);
    return w;
}

static inline struct wire wire_node(const char *op_type, const char *name, const char *in,
                                    const char *out)
{
    struct wire w = {.n = 0};

    wire_list(&w, 1, in);
    wire_list(&w, 2, out);
    wire_text(&w, 3, name);
    wire_text(&w, 4, op_type);
    return w;
}

/* A tensor-typed input or output; rank 0 and dim NULL = no shape. */
static inline struct wire wire_value(const char *name, int64_t dtype, size_t rank,
                                     const int64_t *dim)
{
    struct wire w = {.n = 0}, type = {.n = 0}, tensor = {.n = 0}, shape = {.n = 0};

    for (size_t i = 0; i < rank; i++) {
        struct wire d = {.n = 0};
        wire_int(&d, 1, dim[i]);
        wire_sub(&shape, 1, &d);
    }
    wire_int(&tensor, 1, dtype);
    if (dim != NULL) {
        wire_sub(&tensor, 2, &shape);
    }
    wire_sub(&type, 1, &tensor);
    wire_text(&w, 1, name);
    wire_sub(&w, 2, &type);
    return w;
}

/* The parts of a model, to be changed one at a time. */
struct parts {
    struct wire init[4], node[6], input[2], output[2], function[3];
    size_t n_init, n_node, n_input, n_output, n_function;
    int64_t opset;
};

static inline void parts_base(struct parts *p)
{
    static const int64_t w[] = {3, 2, 3, 3}, b[] = {3}, x[] = {1, 2, 4, 4};
    float weights[54], bias[3] = {1.0f, 2.0f, 3.0f};

    for (int i = 0; i < 54; i++) {
        weights[i] = (float)(i - 27) / 8.0f;
    }
    memset(p, 0, sizeof *p);
    p->opset = 13;
    p->init[0] = wire_tensor("w", 1, 4, w, weights, sizeof weights);
    p->init[1] = wire_tensor("b", 1, 1, b, bias, sizeof bias);
    p->node[0] = wire_node("Conv", "conv", "x,w,b", "h");
    p->node[1] = wire_node("Relu", "relu", "h", "y");
    p->input[0] = wire_value("x", 1, 4, x);
    p->output[0] = wire_value("y", 1, 0, NULL);
    p->n_init = p->n_node = 2;
    p->n_input = p->n_output = 1;
}

static inline struct wire parts_model(const struct parts *p)
{
    struct wire g = {.n = 0}, m = {.n = 0}, opset = {.n = 0};

    for (size_t i = 0; i < p->n_node; i++) {
        wire_sub(&g, 1, &p->node[i]);
    }
    wire_text(&g, 2, "g");
    for (size_t i = 0; i < p->n_init; i++) {
        wire_sub(&g, 5, &p->init[i]);
    }
    for (size_t i = 0; i < p->n_input; i++) {
        wire_sub(&g, 11, &p->input[i]);
    }
    for (size_t i = 0; i < p->n_output; i++) {
        wire_sub(&g, 12, &p->output[i]);
    }
    wire_int(&m, 1, 8);
    wire_int(&opset, 2, p->opset);
    wire_sub(&m, 8, &opset);
    wire_sub(&m, 7, &g);
    for (size_t i = 0; i < p->n_function; i++) {
        wire_sub(&m, 25, &p->function[i]);
    }
    return m;
}

#endif
