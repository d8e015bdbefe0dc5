/* profile_json.c - a profile as JSON and CSV. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cli/profile.h"

static size_t widths_of(const brim_profile_report *r)
{
    return r->last_width - r->first_width + 1;
}

bool cli_profile_is_clean(const brim_profile_report *r, unsigned width, size_t order)
{
    const brim_profile_order *o = &r->order[order];
    const bool sorts = o->mode == BRIM_MODE_SORTED || o->mode == BRIM_MODE_GREEDY;

    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_profile_layer *l = &r->layers[i];
        const brim_profile_cell *c =
            l->left_out != NULL ? NULL : &l->cells[(width - r->first_width) * r->n_orders + order];
        if (c != NULL && (c->transient > 0 || c->persistent > 0 || (sorts && c->product > 0) ||
                          (c->examined == 0 && l->outputs > 0))) {
            return false;
        }
    }
    return true;
}

unsigned cli_profile_no_overflow(const brim_profile_report *r, size_t order)
{
    unsigned width = r->last_width + 1;

    while (width > r->first_width && cli_profile_is_clean(r, width - 1, order)) {
        width--;
    }
    return width;
}

unsigned cli_profile_no_change(const brim_profile_report *r, size_t order)
{
    unsigned width = r->last_width + 1;

    for (; r->predictions != NULL && width > r->first_width; width--) {
        const brim_profile_prediction *p =
            &r->predictions[(width - 1 - r->first_width) * r->n_orders + order];
        if (!p->known || p->changed > 0) {
            break;
        }
    }
    return width;
}

/* ---- JSON ---- */

/* Of cell i. */
static json_int_t width_at(const brim_profile_report *r, size_t i)
{
    return (json_int_t)r->first_width + (json_int_t)(i / r->n_orders);
}

static json_t *order_json(const brim_profile_order *order)
{
    char text[BRIM_PROFILE_ORDER_TEXT];

    brim_profile_order_print(order, text);
    return json_string(text);
}

static json_t *range_json(brim_range r)
{
    return json_pack("[I,I]", (json_int_t)r.lo, (json_int_t)r.hi);
}

/* {"9": 12, ...} without the zeros */
static json_t *bits_json(const uint64_t *bits)
{
    json_t *o = json_object();

    for (unsigned i = 2; i <= BRIM_PROFILE_MAX_WIDTH; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%u", i);
        if (bits[i] > 0) {
            json_object_set_new(o, key, json_integer((json_int_t)bits[i]));
        }
    }
    return o;
}

static json_t *cells_json(const brim_profile_report *r, const brim_profile_layer *l)
{
    json_t *a = json_array();

    for (size_t i = 0; i < widths_of(r) * r->n_orders; i++) {
        const brim_profile_cell *c = &l->cells[i];
        json_array_append_new(
            a, json_pack("{s:I,s:o,s:I,s:I,s:I,s:I}", "width", width_at(r, i), "order",
                         order_json(&r->order[i % r->n_orders]), "transient",
                         (json_int_t)c->transient, "persistent", (json_int_t)c->persistent,
                         "product", (json_int_t)c->product, "examined", (json_int_t)c->examined));
    }
    return a;
}

static json_t *layer_json(const brim_profile_report *r, const brim_profile_layer *l)
{
    json_t *o = json_pack("{s:s,s:I,s:I,s:s?}", "name", l->name, "k", (json_int_t)l->k, "n",
                          (json_int_t)l->n, "left_out", l->left_out);

    if (l->left_out != NULL) {
        return o;
    }
    json_object_set_new(o, "outputs", json_integer((json_int_t)l->outputs));
    json_object_set_new(o, "need", json_integer((json_int_t)l->need));
    json_object_set_new(o, "product_need", json_integer((json_int_t)l->product_need));
    json_object_set_new(o, "range", range_json(l->range));
    json_object_set_new(o, "prefix", range_json(l->prefix));
    json_object_set_new(o, "total", range_json(l->total));
    json_object_set_new(o, "prefix_bits", bits_json(l->prefix_bits));
    json_object_set_new(o, "total_bits", bits_json(l->total_bits));
    json_object_set_new(o, "product_bits", bits_json(l->product_bits));
    json_object_set_new(o, "cells", cells_json(r, l));
    return o;
}

static json_t *predictions_json(const brim_profile_report *r)
{
    json_t *a = json_array();

    for (size_t i = 0; i < widths_of(r) * r->n_orders; i++) {
        const brim_profile_prediction *p = &r->predictions[i];
        json_array_append_new(
            a, json_pack("{s:I,s:o,s:o,s:o}", "width", width_at(r, i), "order",
                         order_json(&r->order[i % r->n_orders]), "changed",
                         p->known ? json_integer((json_int_t)p->changed) : json_null(), "top1",
                         p->known && r->labelled ? json_real((double)p->top1 / (double)r->samples)
                                                 : json_null()));
    }
    return a;
}

static json_t *first_json(const brim_profile_report *r)
{
    json_t *a = json_array();

    for (size_t i = 0; i < r->n_first; i++) {
        const brim_profile_overflow *f = &r->first[i];
        json_array_append_new(
            a, json_pack("{s:I,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "sample",
                         (json_int_t)f->sample, "layer", r->layers[f->layer].name, "channel",
                         (json_int_t)f->channel, "position", (json_int_t)f->position, "step",
                         (json_int_t)f->step, "prefix", (json_int_t)f->prefix, "least",
                         (json_int_t)f->least, "most", (json_int_t)f->most, "total",
                         (json_int_t)f->total, "bits", (json_int_t)f->bits));
    }
    return a;
}

static json_t *width_json(const brim_profile_report *r, unsigned width)
{
    return width > r->last_width ? json_null() : json_integer((json_int_t)width);
}

json_t *cli_profile_json(const brim_profile_report *r)
{
    json_t *orders = json_array(), *layers = json_array();
    json_t *o = json_pack(
        "{s:I,s:o,s:o,s:f}", "samples", (json_int_t)r->samples, "top1",
        r->labelled ? json_real((double)r->top1 / (double)r->samples) : json_null(), "widths",
        json_pack("[i,i]", (int)r->first_width, (int)r->last_width), "seconds", r->seconds);

    for (size_t i = 0; i < r->n_orders; i++) {
        json_array_append_new(
            orders, json_pack("{s:o,s:o,s:o}", "order", order_json(&r->order[i]), "no_overflow",
                              width_json(r, cli_profile_no_overflow(r, i)), "no_change",
                              r->predictions != NULL ? width_json(r, cli_profile_no_change(r, i))
                                                     : json_null()));
    }
    for (size_t i = 0; i < r->n_layers; i++) {
        json_array_append_new(layers, layer_json(r, &r->layers[i]));
    }
    json_object_set_new(o, "orders", orders);
    json_object_set_new(o, "layers", layers);
    json_object_set_new(o, "predictions",
                        r->predictions != NULL ? predictions_json(r) : json_null());
    json_object_set_new(o, "at", json_integer((json_int_t)r->at));
    json_object_set_new(o, "first", first_json(r));
    return o;
}

/* ---- CSV ---- */

/* A field; quoted where a reader could take it for more. */
static void csv_text(FILE *f, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (; *text != '\0'; text++) {
        fputs(*text == '"' ? "\"\"" : (const char[]){*text, '\0'}, f);
    }
    fputc('"', f);
}

static void csv_layer(FILE *f, const brim_profile_report *r, const brim_profile_layer *l)
{
    for (size_t i = 0; l->left_out == NULL && i < widths_of(r) * r->n_orders; i++) {
        const brim_profile_cell *c = &l->cells[i];
        char order[BRIM_PROFILE_ORDER_TEXT];
        brim_profile_order_print(&r->order[i % r->n_orders], order);
        csv_text(f, l->name);
        fprintf(f, ",%u,%s,%llu,%llu,%llu,%llu,%llu\n",
                r->first_width + (unsigned)(i / r->n_orders), order, (unsigned long long)l->outputs,
                (unsigned long long)c->transient, (unsigned long long)c->persistent,
                (unsigned long long)c->product, (unsigned long long)c->examined);
    }
}

static void write_csv(FILE *f, const void *what)
{
    const brim_profile_report *r = what;

    fputs("layer,width,order,outputs,transient,persistent,product,examined\n", f);
    for (size_t i = 0; i < r->n_layers; i++) {
        csv_layer(f, r, &r->layers[i]);
    }
}

int cli_profile_csv(struct cli *cli, const brim_profile_report *r, const char *path)
{
    return cli_write_file(cli, path, write_csv, r);
}

static void write_json(FILE *f, const void *what)
{
    json_t *document = cli_profile_json(what);

    if (document == NULL || json_dumpf(document, f, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0) {
        errno = errno != 0 ? errno : ENOMEM;
        (void)fputc('\n', f);
    }
    (void)fputc('\n', f);
    json_decref(document);
}

int cli_profile_save(struct cli *cli, const brim_profile_report *r, const char *path)
{
    return cli_write_file(cli, path, write_json, r);
}
