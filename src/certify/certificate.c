/* certificate.c - a certificate as JSON: one line a layer, keys in a fixed order, so that two
 * certificates can be compared line by line. SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "brim/certify.h"

static json_t *need_json(const brim_certificate_layer *l)
{
    json_t *need = json_array();

    for (size_t i = 0; i < l->datapath.n_stages; i++) {
        json_array_append_new(need, json_integer((json_int_t)l->need[i]));
    }
    return need;
}

static json_t *witness_json(const brim_certificate_layer *l)
{
    const brim_witness *w = l->witness;
    json_t *x = json_array();

    for (size_t i = 0; i < w->k; i++) {
        json_array_append_new(x, json_integer(w->x[i]));
    }
    json_t *o = json_pack("{s:I,s:I,s:I,s:o}", "channel", (json_int_t)w->channel, "stage",
                          (json_int_t)w->stage, "value", (json_int_t)w->value, "x", x);
    if (o != NULL && l->x_zero_any) {
        json_object_set_new(o, "x_zero", json_integer((json_int_t)w->x_zero));
    }
    return o;
}

static json_t *layer_json(const brim_certificate_layer *l)
{
    char datapath[BRIM_DATAPATH_TEXT];
    json_t *zero = l->x_zero_any ? json_string("any") : json_integer((json_int_t)l->x_zero);

    brim_datapath_print(&l->datapath, datapath);
    json_t *o = json_pack(
        "{s:s,s:I,s:I,s:I,s:I,s:I,s:o,s:s,s:o,s:s,s:{s:I,s:I,s:I},s:I,s:s}", "name", l->name, "k",
        (json_int_t)l->k, "n", (json_int_t)l->n, "groups", (json_int_t)l->groups, "x_min",
        (json_int_t)l->x_min, "x_max", (json_int_t)l->x_max, "x_zero", zero, "datapath", datapath,
        "need", need_json(l), "verdict", l->proven ? "proven" : "refuted", "worst", "channel",
        (json_int_t)l->worst_channel, "sum_min", (json_int_t)l->sum_min, "sum_max",
        (json_int_t)l->sum_max, "outside_bits", (json_int_t)l->outside_bits, "codes", l->hash);
    if (o != NULL && l->product_shift > 0) {
        json_object_set_new(o, "product_shift", json_integer((json_int_t)l->product_shift));
    }
    if (o != NULL && l->witness != NULL) {
        json_object_set_new(o, "witness", witness_json(l));
    }
    return o;
}

static int append(const char *text, size_t n, void *out)
{
    return brim_buffer_append(out, text, n) == BRIM_OK ? 0 : -1;
}

static brim_status append_layer(struct brim_buffer *out, const brim_certificate_layer *l)
{
    json_t *o = layer_json(l);
    const int bad = o == NULL || json_dump_callback(o, append, out, JSON_COMPACT) != 0;

    json_decref(o);
    if (bad) {
        return brim_fail(out->ctx, BRIM_ERR_NOMEM,
                         "layer '%s': cannot be written as JSON (out of memory, or not UTF-8)",
                         l->name);
    }
    return BRIM_OK;
}

static brim_status write_json(const brim_certificate *cert, struct brim_buffer *out)
{
    BRIM_TRY(brim_buffer_printf(out,
                                "{\"brim_certificate\":1,\"brim\":\"%s\",\"verdict\":\"%s\","
                                "\"layers\":[\n",
                                brim_version(), cert->proven ? "proven" : "refuted"));
    for (size_t i = 0; i < cert->n_layers; i++) {
        BRIM_TRY(append_layer(out, &cert->layers[i]));
        BRIM_TRY(brim_buffer_printf(out, i + 1 < cert->n_layers ? ",\n" : "\n"));
    }
    return brim_buffer_printf(out, "]}\n");
}

brim_status brim_certificate_json(brim_ctx *ctx, const brim_certificate *cert, char **json)
{
    struct brim_buffer text;
    json_malloc_t allocate;

    *json = NULL;
    brim_clear_error(ctx);
    brim_buffer_init(&text, ctx, ctx->params.max_file_bytes);
    brim_status s = write_json(cert, &text);
    if (s == BRIM_OK) {
        json_get_alloc_funcs(&allocate, NULL); /* brim_json_free() knows no context */
        char *copy = allocate(text.size + 1);
        if (copy != NULL) {
            memcpy(copy, text.data, text.size);
            copy[text.size] = '\0';
            *json = copy;
        } else {
            s = brim_fail(ctx, BRIM_ERR_NOMEM, "out of memory: %zu bytes", text.size + 1);
        }
    }
    brim_buffer_free(&text);
    return s;
}

void brim_json_free(char *json)
{
    json_free_t release;

    json_get_alloc_funcs(NULL, &release);
    release(json);
}

brim_status brim_certificate_save(brim_ctx *ctx, const brim_certificate *cert, const char *path)
{
    struct brim_buffer text;

    brim_clear_error(ctx);
    brim_buffer_init(&text, ctx, ctx->params.max_file_bytes);
    brim_status s = write_json(cert, &text);
    if (s == BRIM_OK) {
        s = brim_file_write(ctx, path, text.data, text.size);
    }
    brim_buffer_free(&text);
    return s;
}
