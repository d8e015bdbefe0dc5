/* widen.c - 16-bit floats are computed in float. SPDX-License-Identifier: Apache-2.0 */
#include "run/ops/widen.h"

#include "base/half.h"

static bool is_half(const struct brim_tensor *t)
{
    return t != NULL && (t->type.dtype == BRIM_FLOAT16 || t->type.dtype == BRIM_BFLOAT16);
}

static void halves_to_floats(enum brim_dtype from, size_t n, const uint16_t *x, float *y)
{
    if (from == BRIM_FLOAT16) {
        for (size_t i = 0; i < n; i++) {
            y[i] = brim_half_to_float(x[i]);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            y[i] = brim_bfloat_to_float(x[i]);
        }
    }
}

static void floats_to_halves(enum brim_dtype to, size_t n, const float *x, uint16_t *y)
{
    if (to == BRIM_FLOAT16) {
        for (size_t i = 0; i < n; i++) {
            y[i] = brim_half_from_float(x[i]);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            y[i] = brim_bfloat_from_float(x[i]);
        }
    }
}

/* A float tensor of the same shape, in scratch. */
static brim_status float_like(const struct brim_op_call *c, const struct brim_tensor *t,
                              struct brim_tensor *wide)
{
    const size_t n = (size_t)brim_shape_count(&t->type.shape);

    *wide = *t;
    wide->type.dtype = BRIM_FLOAT;
    wide->data = brim_arena_alloc(c->scratch, n > 0 ? n : 1, sizeof(float));
    return wide->data != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
}

static brim_status widen_inputs(const struct brim_op_call *c, struct brim_op_call *wide)
{
    struct brim_tensor *tensors = brim_arena_alloc(c->scratch, c->n_in + 1, sizeof *tensors);
    const struct brim_tensor **in =
        brim_arena_alloc(c->scratch, c->n_in + 1, sizeof(struct brim_tensor *));

    if (tensors == NULL || in == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < c->n_in; i++) {
        in[i] = c->in[i];
        if (is_half(c->in[i])) {
            BRIM_TRY(float_like(c, c->in[i], &tensors[i]));
            halves_to_floats(c->in[i]->type.dtype, (size_t)brim_shape_count(&c->in[i]->type.shape),
                             c->in[i]->data, tensors[i].data);
            in[i] = &tensors[i];
        }
    }
    wide->in = in;
    return BRIM_OK;
}

brim_status brim_widen(const struct brim_op_call *c, struct brim_op_call *wide)
{
    bool any = false;

    *wide = *c;
    for (size_t i = 0; i < c->n_in; i++) {
        any = any || is_half(c->in[i]);
    }
    for (size_t i = 0; i < c->n_out; i++) {
        any = any || is_half(&c->out[i]);
    }
    if (!any) {
        return BRIM_OK;
    }
    BRIM_TRY(widen_inputs(c, wide));
    wide->out = brim_arena_alloc(c->scratch, c->n_out + 1, sizeof *wide->out);
    if (wide->out == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < c->n_out; i++) {
        wide->out[i] = c->out[i];
        if (is_half(&c->out[i]) && c->out[i].data != NULL) {
            BRIM_TRY(float_like(c, &c->out[i], &wide->out[i]));
        }
    }
    return BRIM_OK;
}

void brim_narrow(const struct brim_op_call *c, const struct brim_op_call *wide)
{
    for (size_t i = 0; i < c->n_out; i++) {
        if (wide->out[i].data != c->out[i].data) {
            floats_to_halves(c->out[i].type.dtype, (size_t)brim_shape_count(&c->out[i].type.shape),
                             wide->out[i].data, c->out[i].data);
        }
    }
}
