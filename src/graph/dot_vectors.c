/* dot_vectors.c - dot layers whose vectors have scales of their own. SPDX-License-Identifier:
 * Apache-2.0 */
#include "graph/dot_find.h"

#include "base/intops.h"

/* Scales of blocks along k: the shape of the weights with k divided, so that block b of output n lies
 * where weight b of such a tensor would. Blocks of a convolution run along its channels and must
 * divide them. */
bool brim_dot_blocks_fit(const struct finder *f, const struct candidate *c, struct brim_dot *d)
{
    const struct brim_tensor *w = constant(f, c->w), *z = constant(f, c->w_zero);
    const struct brim_tensor *s = constant(f, c->w_code >= 0 ? c->w_code : c->w_scale);
    const int axis = c->axis < 0 ? c->axis + w->type.shape.rank : c->axis;
    const size_t block = (size_t)c->block;
    struct brim_layout whole, parts;

    if (s == NULL || !brim_layout_of(c->node, &w->type.shape, &whole) ||
        !brim_layout_of(c->node, &s->type.shape, &parts)) {
        return false;
    }
    const bool conv = whole.kind == BRIM_LAYOUT_CONV;
    d->vector = block;
    if (axis != (conv ? 1 : 1 - brim_layout_output_axis(&whole)) || parts.n != d->n ||
        parts.k != (d->k + block - 1) / block ||
        (conv && (whole.channels % block != 0 || parts.taps != whole.taps)) ||
        (z != NULL && !usable(f, c->w_zero, 1, true))) {
        return false;
    }
    if (c->w_code < 0) {
        return s->type.dtype == BRIM_FLOAT;
    }
    return (s->type.dtype == BRIM_UINT8 || s->type.dtype == BRIM_UINT16) &&
           c->code_axis == brim_layout_output_axis(&whole) && usable(f, c->w_scale, d->n, false);
}

/* A constant of zeros, or nothing. */
static bool zeros(const struct finder *f, int32_t v)
{
    const struct brim_tensor *t = constant(f, v);
    bool all = v < 0 || (t != NULL && brim_dtype_is_integer(t->type.dtype));

    for (size_t i = 0; t != NULL && all && i < count(t); i++) {
        all = brim_tensor_int(t, i) == 0;
    }
    return all;
}

bool brim_dot_match_vectors(const struct finder *f, const struct brim_node *x, struct candidate *c)
{
    const struct brim_tensor *value[6] = {NULL};
    const struct brim_node *s = producer(f, input(x, 1));

    c->x = x->in[0];
    c->x_zero = -1;
    if (strcmp(x->domain, BRIM_DOMAIN) == 0 && strcmp(x->op_type, "VectorQuantize") == 0) {
        for (size_t i = 1; i < 6; i++) {
            value[i] = constant(f, input(x, i));
        }
        c->x_scale = input(x, 1);
        c->dynamic = true;
        return brim_vector_grid(value, &c->grid);
    }
    if (!is_onnx(x, "DequantizeLinear") || s == NULL || !is_onnx(s, "DequantizeLinear") ||
        input(s, 2) >= 0 || brim_node_int(x, "axis", 1) != 1 ||
        brim_node_int(x, "block_size", 0) != 0 || !zeros(f, input(x, 2))) {
        return false;
    }
    const struct brim_tensor *codes = constant(f, s->in[0]);
    c->x_scale = input(s, 1);
    c->x_code = s->in[0];
    return codes != NULL && (codes->type.dtype == BRIM_UINT8 || codes->type.dtype == BRIM_UINT16);
}

/* The greatest integer scale of vector g of output n's inputs: channels of its group, kernel
 * positions being alike. */
static uint32_t input_scale(const struct candidate *c, const struct brim_dot *d,
                            const uint16_t *code, size_t n, size_t g)
{
    if (c->dynamic) {
        return (1u << c->grid.scale_bits) - 1;
    }
    const size_t channels = d->kind == BRIM_DOT_CONV ? (size_t)d->conv.c_in / d->groups : d->k;
    const size_t per_group = brim_max_size(d->n / d->groups, 1);
    const size_t group = n / per_group;

    return code[group * channels + g * d->vector % brim_max_size(channels, 1)];
}

brim_status brim_dot_copy_inputs(const struct finder *f, const struct candidate *c,
                                 struct brim_dot *d, bool *fits)
{
    const struct brim_tensor *t = constant(f, c->x_code);
    const size_t channels = d->kind == BRIM_DOT_CONV ? (size_t)d->conv.c_in : d->k;
    const size_t vectors = brim_dot_vectors(d);

    *fits = !c->dynamic && c->x_code < 0;
    const struct brim_type *x = &f->g->values[d->x].type;
    if (*fits || d->factor == NULL || channels % d->vector != 0 ||
        (d->kind == BRIM_DOT_MATMUL && x->shape.rank != 2) || /* vectors lie along axis 1 */
        (c->dynamic && x->dtype != BRIM_FLOAT) ||
        (c->dynamic ? c->grid.vector != d->vector : count(t) != channels)) {
        return BRIM_OK;
    }
    uint16_t *code = brim_arena_alloc(f->arena, channels, sizeof *code);
    uint32_t *factor = brim_arena_alloc(f->arena, d->n * vectors, sizeof *factor);
    if (code == NULL || factor == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *fits = true;
    for (size_t i = 0; i < channels && !c->dynamic; i++) {
        code[i] = (uint16_t)brim_tensor_int(t, i);
        *fits = *fits && code[i] == code[i / d->vector * d->vector];
    }
    for (size_t i = 0; i < d->n * vectors; i++) {
        factor[i] = brim_dot_product(
            d->w_code[i], input_scale(c, d, code, i / vectors, i % vectors), d->product_shift);
    }
    d->factor = factor;
    d->x_code = c->dynamic ? NULL : code;
    d->x_scale_bits = c->dynamic ? c->grid.scale_bits : 0;
    return BRIM_OK;
}

/* Two-level vectors: what each vector's sum counts for. */
brim_status brim_dot_copy_factors(const struct finder *f, const struct candidate *c,
                                  struct brim_dot *d)
{
    const struct brim_tensor *t = constant(f, c->w_code);
    const size_t blocks = d->vector == 0 ? 0 : (d->k + d->vector - 1) / d->vector;
    struct brim_layout l;

    if (t == NULL || blocks == 0 || !brim_layout_of(c->node, &t->type.shape, &l)) {
        return BRIM_OK;
    }
    uint32_t *factor = brim_arena_alloc(f->arena, d->n * blocks, sizeof *factor);
    uint16_t *code = brim_arena_alloc(f->arena, d->n * blocks, sizeof *code);
    if (factor == NULL || code == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t n = 0; n < d->n; n++) {
        for (size_t b = 0; b < blocks; b++) {
            code[n * blocks + b] = (uint16_t)brim_tensor_int(t, brim_layout_index(&l, n, b));
            factor[n * blocks + b] = brim_dot_product(code[n * blocks + b], 1, d->product_shift);
        }
    }
    d->w_code = code;
    d->factor = factor;
    return BRIM_OK;
}
