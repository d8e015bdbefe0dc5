/* op_quant.c - shape rules of the quantization operators. SPDX-License-Identifier: Apache-2.0 */
#include "graph/dot.h"
#include "graph/infer.h"
#include "graph/op_families.h"
#include "graph/scales.h"
#include "graph/window.h"

enum {
    CODES_8 = BRIM_T(BRIM_INT8) | BRIM_T(BRIM_UINT8),
    CODES =
        CODES_8 | BRIM_T(BRIM_INT4) | BRIM_T(BRIM_UINT4) | BRIM_T(BRIM_INT16) | BRIM_T(BRIM_UINT16),
    SCALES = BRIM_T(BRIM_FLOAT) | BRIM_T(BRIM_FLOAT16) | BRIM_T(BRIM_BFLOAT16),
    INT32_ONLY = BRIM_T(BRIM_INT32)
};

/* Zero point i has the shape of scale s, where both are known; one element is one element. */
static brim_status check_zero_shape(const struct brim_infer *c, size_t s, size_t i)
{
    const struct brim_shape *a = &c->in[s].shape, *b = &c->in[i].shape;

    if (!brim_infer_has(c, i)) {
        return BRIM_OK;
    }
    const int64_t na = brim_shape_count(a), nb = brim_shape_count(b);
    if (na >= 0 && nb >= 0 && !brim_shape_equal(a, b) && (na != 1 || nb != 1)) {
        char want[96], got[96];
        return brim_infer_fail(c, "zero point has shape %s, expected the scale's, %s",
                               brim_shape_text(b, got, sizeof got),
                               brim_shape_text(a, want, sizeof want));
    }
    return BRIM_OK;
}

static brim_status infer_quantize(struct brim_infer *c)
{
    const int64_t stated = brim_node_int(c->node, "output_dtype", BRIM_UNDEFINED);
    const enum brim_dtype zero = brim_infer_has(c, 2) ? c->in[2].dtype : BRIM_UNDEFINED;
    struct brim_scales s;
    bool known;

    BRIM_TRY(brim_infer_check(c, 0, SCALES | INT32_ONLY));
    BRIM_TRY(brim_infer_check(c, 1, SCALES | INT32_ONLY));
    BRIM_TRY(brim_infer_check(c, 2, CODES));
    if (stated < 0 || stated > BRIM_INT4 || (stated != 0 && (CODES >> stated & 1u) == 0)) {
        return brim_infer_fail(c,
                               "output_dtype is %lld, expected an integer type of 4, 8 or 16 "
                               "bits",
                               (long long)stated);
    }
    if (stated != BRIM_UNDEFINED && zero != BRIM_UNDEFINED && stated != (int64_t)zero) {
        return brim_infer_fail(c, "output_dtype is %s, expected the zero point's type, %s",
                               brim_dtype_name((enum brim_dtype)stated), brim_dtype_name(zero));
    }
    BRIM_TRY(check_zero_shape(c, 1, 2));
    BRIM_TRY(brim_scales_resolve(c, &c->in[0].shape, &c->in[1].shape, &s, &known));
    c->out[0].shape = c->in[0].shape;
    if (!brim_infer_has(c, 2)) {
        c->out[0].dtype = stated != BRIM_UNDEFINED ? (enum brim_dtype)stated : BRIM_UINT8;
    } else {
        c->out[0].dtype = zero;
    }
    return BRIM_OK;
}

static brim_status infer_dequantize(struct brim_infer *c)
{
    const int64_t stated = brim_node_int(c->node, "output_dtype", BRIM_UNDEFINED);
    struct brim_scales s;
    bool known;

    BRIM_TRY(brim_infer_check(c, 0, CODES | INT32_ONLY));
    BRIM_TRY(brim_infer_check(c, 1, SCALES));
    BRIM_TRY(brim_infer_same(c, 0, 2));
    if (stated < 0 || stated > BRIM_INT4 || (stated != 0 && (SCALES >> stated & 1u) == 0)) {
        return brim_infer_fail(c, "output_dtype is %lld, expected a float type", (long long)stated);
    }
    BRIM_TRY(check_zero_shape(c, 1, 2));
    BRIM_TRY(brim_scales_resolve(c, &c->in[0].shape, &c->in[1].shape, &s, &known));
    c->out[0].shape = c->in[0].shape;
    c->out[0].dtype = stated != BRIM_UNDEFINED ? (enum brim_dtype)stated : c->in[1].dtype;
    return BRIM_OK;
}

static brim_status infer_dynamic(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T(BRIM_FLOAT)));
    c->out[0] = (struct brim_type){BRIM_UINT8, c->in[0].shape};
    if (c->node->n_out > 1) {
        c->out[1] = (struct brim_type){BRIM_FLOAT, {.rank = 0}};
    }
    if (c->node->n_out > 2) {
        c->out[2] = (struct brim_type){BRIM_UINT8, {.rank = 0}};
    }
    return BRIM_OK;
}

/* Input i holds one element, or, when `many` is not negative, also `many` in one axis. */
static brim_status check_param(const struct brim_infer *c, size_t i, int64_t many)
{
    const int64_t n = brim_infer_has(c, i) ? brim_shape_count(&c->in[i].shape) : -1;

    if (n < 0 || n == 1 || (many >= 0 && n == many && c->in[i].shape.rank == 1)) {
        return BRIM_OK;
    }
    if (many >= 0) {
        return brim_infer_fail(c, "input %zu has %lld elements, expected 1 or %lld", i,
                               (long long)n, (long long)many);
    }
    return brim_infer_fail(c, "input %zu has %lld elements, expected 1", i, (long long)n);
}

/* The convolution of inputs x and w, bias -1 for none. */
static brim_status conv_output(struct brim_infer *c, size_t x, size_t w, int bias)
{
    struct brim_conv conv;

    if (c->in[x].shape.rank < 0 || c->in[w].shape.rank < 0) {
        return BRIM_OK;
    }
    const struct brim_shape *b =
        bias >= 0 && brim_infer_has(c, (size_t)bias) ? &c->in[bias].shape : NULL;
    BRIM_TRY(brim_conv_resolve(c, &c->in[x].shape, &c->in[w].shape, b, &conv));
    brim_conv_output(&conv, &c->out[0].shape);
    return BRIM_OK;
}

static brim_status infer_qlinearconv(struct brim_infer *c)
{
    const int64_t outputs = c->in[3].shape.rank > 0 ? c->in[3].shape.dim[0] : -1;

    for (size_t i = 0; i < 8; i++) {
        const bool scale = i == 1 || i == 4 || i == 6;
        BRIM_TRY(brim_infer_check(c, i, scale ? BRIM_T(BRIM_FLOAT) : CODES));
    }
    BRIM_TRY(brim_infer_check(c, 8, INT32_ONLY));
    BRIM_TRY(brim_infer_same(c, 0, 2));
    BRIM_TRY(brim_infer_same(c, 3, 5));
    for (size_t i = 1; i < 8; i++) {
        if (i != 3 && (outputs >= 0 || (i != 4 && i != 5))) {
            BRIM_TRY(check_param(c, i, i == 4 || i == 5 ? outputs : -1));
        }
    }
    c->out[0].dtype = c->in[7].dtype;
    return conv_output(c, 0, 3, 8);
}

static brim_status infer_convinteger(struct brim_infer *c)
{
    const int64_t outputs = c->in[1].shape.rank > 0 ? c->in[1].shape.dim[0] : -1;

    for (size_t i = 0; i < 4; i++) {
        BRIM_TRY(brim_infer_check(c, i, CODES_8));
    }
    BRIM_TRY(brim_infer_same(c, 0, 2));
    BRIM_TRY(brim_infer_same(c, 1, 3));
    BRIM_TRY(check_param(c, 2, -1));
    if (outputs >= 0) {
        BRIM_TRY(check_param(c, 3, outputs));
    }
    c->out[0].dtype = BRIM_INT32;
    return conv_output(c, 0, 1, -1);
}

static brim_status infer_matmulinteger(struct brim_infer *c)
{
    for (size_t i = 0; i < 4; i++) {
        BRIM_TRY(brim_infer_check(c, i, CODES_8));
    }
    BRIM_TRY(brim_infer_same(c, 0, 2));
    BRIM_TRY(brim_infer_same(c, 1, 3));
    c->out[0].dtype = BRIM_INT32;
    return brim_infer_matmul_shape(c, &c->in[0].shape, &c->in[1].shape, &c->out[0].shape);
}

static brim_status infer_qlinearmatmul(struct brim_infer *c)
{
    for (size_t i = 0; i < 8; i++) {
        const bool scale = i == 1 || i == 4 || i == 6;
        BRIM_TRY(brim_infer_check(c, i, scale ? SCALES : CODES));
    }
    BRIM_TRY(brim_infer_same(c, 0, 2));
    BRIM_TRY(brim_infer_same(c, 3, 5));
    c->out[0].dtype = c->in[7].dtype;
    return brim_infer_matmul_shape(c, &c->in[0].shape, &c->in[3].shape, &c->out[0].shape);
}

/* brim's own: x, then the grid as constants; split = (0, C/V, V, -1). */
static brim_status infer_vector_quantize(struct brim_infer *c)
{
    const struct brim_shape *x = &c->in[0].shape;
    struct brim_grid grid;

    for (size_t i = 0; i < 5; i++) {
        BRIM_TRY(brim_infer_check(c, i, BRIM_T(BRIM_FLOAT)));
    }
    BRIM_TRY(brim_infer_check(c, 5, BRIM_T(BRIM_INT64)));
    c->out[0] = c->in[0];
    if (!brim_vector_grid(c->value, &grid)) {
        return brim_infer_unsupported(c, "a grid that is not constant, or none");
    }
    if (x->rank >= 0 &&
        (x->rank < 2 || (x->dim[1] >= 0 && x->dim[1] % (int64_t)grid.vector != 0))) {
        return brim_infer_fail(c, "vectors of %zu do not divide the channels", grid.vector);
    }
    return BRIM_OK;
}

/* domain, name, inputs min..max, outputs min..max, rule */
const struct brim_op brim_ops_quant[] = {
    {"", "ConvInteger", 2, 4, 1, 1, infer_convinteger},
    {"", "DequantizeLinear", 2, 3, 1, 1, infer_dequantize},
    {"", "DynamicQuantizeLinear", 1, 1, 3, 3, infer_dynamic},
    {"", "MatMulInteger", 2, 4, 1, 1, infer_matmulinteger},
    {"", "QLinearConv", 8, 9, 1, 1, infer_qlinearconv},
    {"", "QLinearMatMul", 8, 8, 1, 1, infer_qlinearmatmul},
    {"", "QuantizeLinear", 2, 3, 1, 1, infer_quantize},
    {BRIM_DOMAIN, "VectorQuantize", 6, 6, 1, 1, infer_vector_quantize},
};

const size_t brim_ops_quant_count = sizeof brim_ops_quant / sizeof brim_ops_quant[0];
