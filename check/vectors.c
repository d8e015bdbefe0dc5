/* vectors.c - weights with a scale for every vector: which integers multiply a vector's sum.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A DequantizeLinear with a block_size along k. When its scales come out of a DequantizeLinear of
 * unsigned integers, these are the factors and the outer scale belongs to the output. */
#include "check/products.h"

/* The scale tensor has the weights' shape with one axis divided by the block. */
static bool shape_fits(const struct tensor *w, const struct tensor *s, size_t axis, int64_t block)
{
    bool fits = s->rank == w->rank;

    for (size_t d = 0; d < w->rank && fits; d++) {
        const int64_t dim = w->dim[d];
        fits = s->dim[d] == (d != axis ? dim : dim / block + (dim % block != 0));
    }
    return fits;
}

/* Integer scales of all vectors, [n][vectors] in K order: vectors of a convolution are numbered
 * kernel row, kernel column, block of channels. */
static bool read_factors(struct check *c, const struct tensor *s, bool conv, bool transposed,
                         struct layer *l)
{
    const int32_t *file = tensor_ints(c, s);
    const size_t per = (l->k + l->vector - 1) / l->vector;
    const size_t channels = conv ? (size_t)s->dim[1] : per, taps = per / channels;
    uint32_t *factor = check_alloc(c, l->n * per, sizeof *factor);

    if (file == NULL || factor == NULL) {
        return false;
    }
    for (size_t n = 0; n < l->n; n++) {
        for (size_t g = 0; g < per; g++) {
            const size_t at = conv         ? (n * channels + g % channels) * taps + g / channels
                              : transposed ? n * per + g
                                           : g * l->n + n;
            factor[n * per + g] = (uint32_t)file[at];
        }
    }
    l->factor = factor;
    return true;
}

bool layer_vectors(struct check *c, const struct model *m, const struct operand *w, bool conv,
                   bool transposed, struct layer *l)
{
    const struct tensor *t = model_constant(m, w->codes);
    const struct tensor *s = model_constant(m, node_input(w->dq, 1));
    const struct node *outer = model_producer(m, node_input(w->dq, 1));
    const int64_t block = node_int(w->dq, "block_size", 0), stated = node_int(w->dq, "axis", 1);
    const int64_t axis = stated + (stated < 0 ? (int64_t)t->rank : 0);
    const bool two_level = outer != NULL && node_is(outer, "DequantizeLinear");

    if (block <= 0 || (s != NULL && s->count == 1)) {
        return true;
    }
    if (two_level) {
        s = model_constant(m, node_input(outer, 0));
        l->scale = model_constant(m, node_input(outer, 1));
        const int64_t a = node_int(outer, "axis", 1);
        if (node_input(outer, 2)[0] != '\0' || s == NULL || l->scale == NULL ||
            (s->type != TYPE_UINT8 && s->type != TYPE_UINT16) ||
            a + (a < 0 ? (int64_t)s->rank : 0) != (conv || transposed ? 0 : 1)) {
            return check_broken(c, "the weights' integer scales are not constant unsigned integers "
                                   "with one scale an output");
        }
    }
    if (s == NULL || model_producer(m, node_input(l->node, 1)) != w->dq ||
        axis != (conv || transposed ? 1 : 0) || !shape_fits(t, s, (size_t)axis, block) ||
        (conv && t->dim[1] % block != 0)) {
        return check_broken(c,
                            "a scale for every %lld weights, expected along k, whole in the "
                            "channels",
                            (long long)block);
    }
    l->vector = (size_t)block;
    return !two_level || read_factors(c, s, conv, transposed, l);
}
