/* agree.c - does a certificate say what is true of the model? SPDX-License-Identifier: Apache-2.0
 *
 * Everything is recomputed from the model; the certificate is only compared. The one thing taken
 * from it is the datapath that the proof is about, and that is held against the model's own.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "check/bound.h"

static bool expect_number(struct check *c, const json_t *o, const char *key, int64_t have)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_integer(v)) {
        return check_broken(c, "\"%s\" is missing or no whole number", key);
    }
    if (json_integer_value(v) != have) {
        return check_refuse(c, "the model's %s is %lld, the certificate says %lld", key,
                            (long long)have, (long long)json_integer_value(v));
    }
    return true;
}

static bool expect_text(struct check *c, const json_t *o, const char *key, const char *have)
{
    const char *v = json_string_value(json_object_get(o, key));

    if (v == NULL) {
        return check_broken(c, "\"%s\" is missing or no text", key);
    }
    if (strcmp(v, have) != 0) {
        return check_refuse(c, "the model's %s is '%.80s', the certificate says '%.80s'", key, have,
                            v);
    }
    return true;
}

static bool expect_need(struct check *c, const json_t *o, const struct datapath *dp,
                        const struct bounds *b)
{
    const json_t *need = json_object_get(o, "need");

    if (!json_is_array(need) || json_array_size(need) != dp->n_stages) {
        return check_refuse(c, "\"need\" is not one width for each of %zu stages", dp->n_stages);
    }
    for (size_t i = 0; i < dp->n_stages; i++) {
        const json_t *v = json_array_get(need, i);
        if (!json_is_integer(v) || json_integer_value(v) != (json_int_t)b->need[i]) {
            return check_refuse(c, "stage %zu needs %u bits, the certificate says %lld", i + 1,
                                b->need[i], (long long)json_integer_value(v));
        }
    }
    return true;
}

/* The model's own statement about a layer must be about these codes. */
static bool check_own_statement(struct check *c, const struct model *m, const struct layer *l,
                                const char *stated)
{
    const char *text = layer_metadata(m, l->name);

    if (text == NULL) {
        return true;
    }
    json_t *own = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *datapath = json_string_value(json_object_get(own, "datapath"));
    const char *codes = json_string_value(json_object_get(own, "codes"));
    bool good = true;
    if (datapath == NULL || codes == NULL) {
        good = check_broken(c, "the model's metadata is malformed");
    } else if (strcmp(codes, l->hash) != 0) {
        good = check_refuse(c, "codes or ranges changed after quantization: the model's metadata "
                               "has another hash");
    } else if (strcmp(datapath, stated) != 0 && c->note[0] == '\0') {
        snprintf(
            c->note, sizeof c->note,
            "layer '%.100s': the certificate is about datapath %.80s, the model declares %.80s",
            l->name, stated, datapath);
    }
    json_decref(own);
    return good;
}

/* Exact sum of the products under the register that holds product `first`. */
static wide register_sum(const struct layer *l, size_t ch, const int32_t *x, uint64_t tile,
                         size_t first, bool beyond)
{
    wide sum = 0;

    for (size_t i = first; i < l->k && (tile == 0 || i < first + tile); i++) {
        sum += (wide)(beyond ? layer_counted(l, ch, i) : l->w[ch * l->k + i]) * x[i];
    }
    return sum;
}

static bool replay(struct check *c, const struct layer *l, const struct datapath *dp,
                   const int32_t *x, const json_t *o)
{
    const int64_t channel = json_integer_value(json_object_get(o, "channel"));
    const int64_t stage = json_integer_value(json_object_get(o, "stage"));
    const int64_t value = json_integer_value(json_object_get(o, "value"));

    if (channel < 0 || (uint64_t)channel >= l->n || stage < 0 || (uint64_t)stage > dp->n_stages) {
        return check_refuse(c, "the witness names no channel or stage of this layer");
    }
    const json_t *stated = json_object_get(o, "x_zero");
    const int64_t zero = l->zero_any ? json_integer_value(stated) : l->x_zero;
    if (l->zero_any && (!json_is_integer(stated) || zero < l->x_min || zero > l->x_max)) {
        return check_refuse(c, "the witness names no zero point within %lld..%lld",
                            (long long)l->x_min, (long long)l->x_max);
    }
    const size_t ch = (size_t)channel;
    const bool outside = (size_t)stage == dp->n_stages;
    const unsigned width = outside ? OUTSIDE_BITS : dp->stage[stage].width;
    const uint64_t tile = outside ? 0 : dp->stage[stage].tile;
    bool reached = false;
    for (size_t first = 0; first < l->k && !reached; first += tile != 0 ? tile : l->k) {
        wide sum =
            register_sum(l, ch, x, tile, first, outside || beyond_vectors(l, dp, (size_t)stage));
        for (size_t i = 0; i < l->k && outside; i++) {
            sum -= (wide)zero * layer_counted(l, ch, i);
        }
        sum += outside && l->bias != NULL ? l->bias[channel] : 0;
        reached = sum == value;
    }
    if (!reached || bits_for(value < 0 ? value : 0, value > 0 ? value : 0) <= width) {
        return check_refuse(c, "the witness does not overflow the register");
    }
    return true;
}

/* A refutation must show an input, within range, that overflows. */
static bool check_witness(struct check *c, const struct layer *l, const struct datapath *dp,
                          const json_t *o)
{
    const json_t *list = json_object_get(o, "x");
    int32_t *x = check_alloc(c, l->k, sizeof *x);

    if (x == NULL || !json_is_array(list) || json_array_size(list) != l->k) {
        return check_refuse(c, "refuted without a witness of %zu inputs", l->k);
    }
    for (size_t i = 0; i < l->k; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < l->x_min ||
            json_integer_value(v) > l->x_max) {
            return check_refuse(c, "input %zu of the witness is outside %lld..%lld", i,
                                (long long)l->x_min, (long long)l->x_max);
        }
        x[i] = (int32_t)json_integer_value(v);
    }
    return replay(c, l, dp, x, o);
}

static bool check_layer(struct check *c, const struct model *m, const struct layer *l,
                        const json_t *o, bool *proven)
{
    const char *stated = json_string_value(json_object_get(o, "datapath"));
    const json_t *worst = json_object_get(o, "worst");
    struct datapath dp;
    struct bounds b;

    if (stated == NULL) {
        return check_broken(c, "\"datapath\" is missing or no text");
    }
    if (!datapath_parse(c, stated, &dp) || !layer_bounds(c, l, &dp, &b)) {
        return false;
    }
    const bool agrees =
        expect_text(c, o, "codes", l->hash) && expect_number(c, o, "k", (int64_t)l->k) &&
        expect_number(c, o, "n", (int64_t)l->n) &&
        expect_number(c, o, "groups", (int64_t)l->groups) &&
        expect_number(c, o, "x_min", l->x_min) && expect_number(c, o, "x_max", l->x_max) &&
        (l->zero_any ? expect_text(c, o, "x_zero", "any")
                     : expect_number(c, o, "x_zero", l->x_zero)) &&
        expect_need(c, o, &dp, &b) &&
        expect_number(c, worst, "channel", (int64_t)b.worst_channel) &&
        expect_number(c, worst, "sum_min", b.sum_min) &&
        expect_number(c, worst, "sum_max", b.sum_max) &&
        expect_number(c, o, "outside_bits", (int64_t)b.outside_bits) &&
        (l->product_shift == 0 || expect_number(c, o, "product_shift", l->product_shift)) &&
        expect_text(c, o, "verdict", b.proven ? "proven" : "refuted") &&
        check_own_statement(c, m, l, stated);
    *proven = b.proven;
    return agrees && (b.proven || check_witness(c, l, &dp, json_object_get(o, "witness")));
}

/* The model may not speak about integer layers that it does not have. */
static bool check_orphans(struct check *c, const struct model *m, const struct layers *layers)
{
    for (size_t i = 0; i < m->n_metadata; i++) {
        const char *key = m->metadata[i].key;
        bool found = strncmp(key, LAYER_METADATA, sizeof LAYER_METADATA - 1) != 0;
        for (size_t j = 0; j < layers->count && !found; j++) {
            found = strcmp(layers->layer[j].name, key + sizeof LAYER_METADATA - 1) == 0;
        }
        if (!found) {
            return check_refuse(c, "metadata '%s': the model has no such integer layer", key);
        }
    }
    return true;
}

/* Layer by layer, in the file's order. A node without a name takes the certificate's. */
static bool check_layers(struct check *c, const struct model *m, const struct layers *layers,
                         const json_t *list, bool *proven)
{
    const size_t said = json_array_size(list);

    for (size_t i = 0; i < layers->count || i < said; i++) {
        const json_t *o = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(o, "name"));
        bool one = false;
        if (i < said && name == NULL) {
            return check_broken(c, "layer %zu: \"name\" is missing or no text", i);
        }
        if (i >= layers->count) {
            return check_refuse(c, "layer '%s': the model has no such integer layer", name);
        }
        struct layer *l = &layers->layer[i];
        if (i >= said) {
            return check_refuse(c, "layer '%s': the certificate leaves it out", l->name);
        }
        if (l->name[0] != '\0' && strcmp(l->name, name) != 0) {
            return check_refuse(c, "layer '%s': the certificate has '%s' in its place", l->name,
                                name);
        }
        l->name = name;
        if (!check_layer(c, m, l, o, &one)) {
            return check_at(c, "layer '%s'", name);
        }
        *proven = *proven && one;
    }
    return true;
}

static bool check_document(struct check *c, const struct model *m, const struct layers *layers,
                           const json_t *root)
{
    bool proven = true;

    if (json_integer_value(json_object_get(root, "brim_certificate")) != 1 ||
        !json_is_array(json_object_get(root, "layers"))) {
        return check_broken(c, "not a brim certificate of format 1");
    }
    if (!check_orphans(c, m, layers) ||
        !check_layers(c, m, layers, json_object_get(root, "layers"), &proven)) {
        return false;
    }
    if (layers->count == 0) {
        return check_refuse(c, "the model has no integer dot layer, so nothing is proven");
    }
    if (layers->n_float > 0 && c->note[0] == '\0') {
        snprintf(c->note, sizeof c->note,
                 "%zu Conv, Gemm or MatMul nodes are not integer and not part of the proof",
                 layers->n_float);
    }
    if (!expect_text(c, root, "verdict", proven ? "proven" : "refuted")) {
        return false;
    }
    return proven || check_refuse(c, "refuted, as the certificate says");
}

bool check_certificate(struct check *c, const uint8_t *model, size_t model_size, const char *cert,
                       size_t cert_size)
{
    struct model m;
    struct layers layers;
    json_error_t error;

    if (!model_read(c, model, model_size, &m) || !layers_find(c, &m, &layers)) {
        return false;
    }
    json_t *root = json_loadb(cert, cert_size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return check_broken(c, "the certificate is not JSON (line %d: %s)", error.line, error.text);
    }
    const bool good = check_document(c, &m, &layers, root);
    json_decref(root);
    return good;
}
