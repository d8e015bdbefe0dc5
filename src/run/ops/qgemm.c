/* qgemm.c - QGemm, domain com.microsoft. SPDX-License-Identifier: Apache-2.0
 *
 *     acc = sum (a - a_zero) * (b - b_zero) + c, modulo 2^32       scale = alpha * a_scale * b_scale
 *     y = clip(round_half_even((float)acc * (scale / y_scale)) + y_zero), or acc * scale in float
 *
 * A layer with constant weights is run by the integer kernels (run/dot_step.c); this is the rest.
 */
#include "run/ops/elem.h"
#include "run/ops/nn.h"
#include "run/ops/qlinear.h"

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, BIAS, Y_SCALE };

struct gemm {
    size_t m, k, n;
    size_t a_row, a_step, b_row, b_step; /* strides of a[m][k] and b[k][n] */
    const int32_t *a, *b;
    int32_t a_zero;
};

static int32_t number_of(const struct brim_tensor *t, size_t column)
{
    return (int32_t)brim_tensor_int(t, brim_tensor_count(t) == 1 ? 0 : column);
}

static uint32_t product(const struct gemm *g, size_t i, size_t j, int32_t b_zero)
{
    uint32_t acc = 0;

    for (size_t q = 0; q < g->k; q++) {
        const int32_t a = g->a[i * g->a_row + q * g->a_step] - g->a_zero;
        const int32_t b = g->b[q * g->b_row + j * g->b_step] - b_zero;
        acc += (uint32_t)(a * b);
    }
    return acc;
}

/* Column j of the output. */
static void run_column(struct brim_op_call *c, const struct gemm *g, size_t j)
{
    const struct brim_tensor *scales = c->in[B_SCALE];
    const float b_scale = ((const float *)scales->data)[brim_tensor_count(scales) == 1 ? 0 : j];
    const float alpha = brim_node_float(c->node, "alpha", 1.0f);
    const float scale = alpha * *(const float *)c->in[A_SCALE]->data * b_scale;
    const int32_t b_zero = brim_op_has(c, B_ZERO) ? number_of(c->in[B_ZERO], j) : 0;
    const uint32_t bias = brim_op_has(c, BIAS) ? (uint32_t)number_of(c->in[BIAS], j) : 0;
    int64_t lo, hi;

    brim_dtype_range(c->out[0].type.dtype, &lo, &hi);
    for (size_t i = 0; i < g->m; i++) {
        const float acc = (float)(int32_t)(product(g, i, j, b_zero) + bias);
        if (!brim_op_has(c, Y_SCALE)) {
            ((float *)c->out[0].data)[i * g->n + j] = acc * scale;
            continue;
        }
        const struct brim_code_grid y = brim_code_grid_of(c, Y_SCALE), whole = {1.0f, y.zero};
        const int32_t code = brim_code_of(acc * (scale / y.scale), &whole, lo, hi);
        brim_elem_store_i32(&c->out[0], i * g->n + j, 1, &code);
    }
}

brim_status brim_run_qgemm(struct brim_op_call *c)
{
    const struct brim_shape *a = &c->in[A]->type.shape, *b = &c->in[B]->type.shape;
    const bool a_transposed = brim_node_int(c->node, "transA", 0) != 0;
    const bool b_transposed = brim_node_int(c->node, "transB", 0) != 0;
    const struct gemm g = {.m = (size_t)a->dim[a_transposed],
                           .k = (size_t)a->dim[!a_transposed],
                           .n = (size_t)b->dim[!b_transposed],
                           .a_row = a_transposed ? 1 : (size_t)a->dim[1],
                           .a_step = a_transposed ? (size_t)a->dim[1] : 1,
                           .b_row = b_transposed ? 1 : (size_t)b->dim[1],
                           .b_step = b_transposed ? (size_t)b->dim[1] : 1,
                           .a = brim_elem_all_i32(c, c->in[A]),
                           .b = brim_elem_all_i32(c, c->in[B]),
                           .a_zero = brim_op_has(c, A_ZERO) ? number_of(c->in[A_ZERO], 0) : 0};

    if (g.a == NULL || g.b == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t j = 0; j < g.n; j++) {
        run_column(c, &g, j);
    }
    return BRIM_OK;
}
