/* softmax.c - Softmax, in double, rounded to the output's type once. SPDX-License-Identifier:
 * Apache-2.0 */
#include <math.h>

#include "graph/infer.h"
#include "run/ops/elem.h"
#include "run/ops/nn.h"
#include "run/ops/resolve.h"

/* exp(v - max) / sum, in place. */
static void softmax(double *v, size_t n)
{
    double max = v[0], sum = 0;

    for (size_t i = 1; i < n; i++) {
        max = v[i] > max ? v[i] : max;
    }
    for (size_t i = 0; i < n; i++) {
        v[i] = exp(v[i] - max);
        sum += v[i];
    }
    for (size_t i = 0; i < n; i++) {
        v[i] /= sum;
    }
}

/* Elements at, at + inner, ... ; a contiguous run when inner is 1. */
static void run_line(struct brim_op_call *c, size_t at, size_t n, size_t inner, double *buffer)
{
    if (inner == 1) {
        brim_elem_load(c->in[0], at, n, buffer);
        softmax(buffer, n);
        brim_elem_store(&c->out[0], at, n, buffer);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        brim_elem_load(c->in[0], at + i * inner, 1, buffer + i);
    }
    softmax(buffer, n);
    for (size_t i = 0; i < n; i++) {
        brim_elem_store(&c->out[0], at + i * inner, 1, buffer + i);
    }
}

brim_status brim_run_softmax(struct brim_op_call *c)
{
    const struct brim_shape *x = &c->in[0]->type.shape;
    struct brim_infer view;
    const bool flatten = c->opset < 13; /* all axes from `axis` on are one */
    size_t outer = 1, n = 1, inner = 1;
    int axis;

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(
        brim_infer_axis(&view, brim_node_int(c->node, "axis", flatten ? 1 : -1), x->rank, &axis));
    for (int i = 0; i < x->rank; i++) {
        *(i < axis ? &outer : i == axis || flatten ? &n : &inner) *= (size_t)x->dim[i];
    }
    if (outer == 0 || n == 0 || inner == 0) {
        return BRIM_OK;
    }
    double *buffer = brim_arena_alloc(c->scratch, n, sizeof *buffer);
    if (buffer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < inner; i++) {
            run_line(c, o * n * inner + i, n, inner, buffer);
        }
    }
    return BRIM_OK;
}
