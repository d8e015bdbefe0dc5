/* vectors.c - weights with a scale for every vector: which integers multiply a vector's sum.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A DequantizeLinear with a block_size along k. When its scales come out of a DequantizeLinear of
 * unsigned integers, these are the factors and the outer scale belongs to the output. */
#include <jansson.h>
#include <string.h>

#include "check/products.h"

#define MAX_SHIFT 20

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
    const int64_t block = w->qonnx ? 0 : node_int(w->dq, "block_size", 0);

    if (block <= 0 || (s != NULL && s->count == 1)) {
        return true;
    }
    if (t == NULL) {
        return check_broken(c, "weights with a scale for every %lld of them are not constant",
                            (long long)block);
    }
    const int64_t stated = node_int(w->dq, "axis", 1);
    const int64_t axis = stated + (stated < 0 ? (int64_t)t->rank : 0);
    const bool two_level = outer != NULL && node_is(outer, "DequantizeLinear");
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

/* Input i of a VectorQuantize, a constant whole number in lo..hi. */
static bool whole(struct check *c, const struct model *m, const struct node *n, size_t i,
                  const int64_t limits[2], int64_t *v)
{
    const struct tensor *t = model_constant(m, node_input(n, i));
    const float *f =
        t == NULL || t->type != TYPE_FLOAT || t->count != 1 ? NULL : tensor_floats(c, t);

    if (f == NULL || !(f[0] >= (float)limits[0] && f[0] <= (float)limits[1]) ||
        f[0] != (float)(int64_t)f[0]) {
        return check_broken(c, "input %zu of '%s' is no whole number in %lld..%lld", i, n->name,
                            (long long)limits[0], (long long)limits[1]);
    }
    *v = (int64_t)f[0];
    return true;
}

bool vectors_range(struct check *c, const struct model *m, const struct node *n, int64_t range[2])
{
    return whole(c, m, n, 2, (const int64_t[]){-127, 0}, &range[0]) &&
           whole(c, m, n, 3, (const int64_t[]){1, 255}, &range[1]);
}

/* Scales found at run time are at most `top`: the greatest factors, for vectors of the weights'. */
static bool greatest_factors(struct check *c, const struct model *m, const struct node *n,
                             struct layer *l, uint32_t *factor)
{
    const struct tensor *t = model_constant(m, node_input(n, 5));
    const size_t vectors = (l->k + l->vector - 1) / l->vector;
    const int64_t *split = t == NULL || t->count != 4 ? NULL : tensor_longs(c, t);
    int64_t top = 0;

    if (!whole(c, m, n, 4, (const int64_t[]){1, 1023}, &top)) {
        return false;
    }
    if (split == NULL || split[2] != (int64_t)l->vector) {
        return check_broken(c, "'%s' has other vectors than the weights", n->name);
    }
    l->x_scale = model_constant(m, node_input(n, 1));
    for (size_t i = 0; i < l->n * vectors; i++) {
        factor[i] = l->factor[i] * (uint32_t)top;
    }
    return true;
}

/* Known scales: one integer for every channel, the same in a vector. */
static bool known_factors(struct check *c, const struct model *m, const struct node *dq,
                          const struct node *outer, struct layer *l, uint32_t *factor)
{
    const struct tensor *t = model_constant(m, node_input(outer, 0));
    const size_t vectors = (l->k + l->vector - 1) / l->vector;
    const int32_t *code =
        t == NULL || (t->type != TYPE_UINT8 && t->type != TYPE_UINT16) ? NULL : tensor_ints(c, t);

    if (code == NULL || node_input(outer, 2)[0] != '\0' || node_int(dq, "axis", 1) != 1 ||
        node_int(dq, "block_size", 0) != 0 || t->count == 0 || t->count % l->groups != 0 ||
        t->count / l->groups % l->vector != 0 || l->k % (t->count / l->groups) != 0) {
        return check_broken(c, "the inputs' integer scales are not one for every channel");
    }
    const size_t channels = t->count / l->groups, per_group = l->n / l->groups;
    for (size_t i = 0; i < t->count; i++) {
        if (code[i] != code[i / l->vector * l->vector]) {
            return check_broken(c, "the inputs' integer scales differ within a vector");
        }
    }
    l->x_scale = model_constant(m, node_input(outer, 1));
    for (size_t i = 0; i < l->n * vectors; i++) {
        const size_t group = i / vectors / per_group, at = i % vectors * l->vector % channels;
        factor[i] = l->factor[i] * (uint32_t)code[group * channels + at];
    }
    return true;
}

bool input_vectors(struct check *c, const struct model *m, const struct operand *x, struct layer *l)
{
    const struct node *outer = x->dq == NULL ? NULL : model_producer(m, node_input(x->dq, 1));
    const bool known = outer != NULL && node_is(outer, "DequantizeLinear");

    if (x->vectors == NULL && !known) {
        return true;
    }
    if (l->factor == NULL || l->vector >= l->k) {
        return check_broken(c, "the inputs have integer scales for vectors, the weights none");
    }
    uint32_t *factor = check_alloc(c, l->n * ((l->k + l->vector - 1) / l->vector), sizeof *factor);
    if (factor == NULL || !(known ? known_factors(c, m, x->dq, outer, l, factor)
                                  : greatest_factors(c, m, x->vectors, l, factor))) {
        return false;
    }
    l->factor = factor;
    return true;
}

const char *layer_metadata(const struct model *m, const char *name)
{
    const char *text = NULL;

    for (size_t i = 0; i < m->n_metadata; i++) {
        const char *key = m->metadata[i].key;
        if (strncmp(key, LAYER_METADATA, sizeof LAYER_METADATA - 1) == 0 &&
            strcmp(key + sizeof LAYER_METADATA - 1, name) == 0) {
            text = m->metadata[i].value;
        }
    }
    return text;
}

bool round_products(struct check *c, const struct model *m, struct layer *l)
{
    const char *text = layer_metadata(m, l->name);
    json_t *own = text == NULL ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *said = json_object_get(own, "product_shift");
    const json_int_t shift = json_integer_value(said);
    const bool given = said != NULL;

    json_decref(own);
    if (!given) {
        return true;
    }
    if (shift < 1 || shift > MAX_SHIFT || l->factor == NULL || l->vector >= l->k) {
        return check_broken(c,
                            "metadata '" LAYER_METADATA
                            "%s': product_shift is no whole number in 1..%d, "
                            "or nothing to round",
                            l->name, MAX_SHIFT);
    }
    const size_t count = l->n * ((l->k + l->vector - 1) / l->vector);
    uint32_t *factor = check_alloc(c, count, sizeof *factor);
    for (size_t i = 0; factor != NULL && i < count; i++) {
        factor[i] = (uint32_t)((l->factor[i] + (UINT64_C(1) << (shift - 1))) >> shift);
    }
    l->factor = factor;
    l->product_shift = (unsigned)shift;
    return factor != NULL;
}
