/* profile_text.c - a profile as tables. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/profile.h"

static unsigned most_bits(const uint64_t *bits)
{
    unsigned most = 0;

    for (unsigned i = 2; i <= BRIM_PROFILE_MAX_WIDTH; i++) {
        most = bits[i] > 0 ? i : most;
    }
    return most;
}

static void print_layers(const brim_profile_report *r)
{
    static const char *const headings[] = {"layer",     "K",      "N",     "outputs", "need",
                                           "certified", "prefix", "total", "product", "seen"};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_profile_layer *l = &r->layers[i];
        if (l->left_out != NULL) {
            continue;
        }
        cli_cell(&t, "%s", l->name);
        cli_cell(&t, "%zu", l->k);
        cli_cell(&t, "%zu", l->n);
        cli_cell(&t, "%llu", (unsigned long long)l->outputs);
        cli_cell(&t, "%u", l->need);
        cli_cell(&t, "%lld..%lld", (long long)l->range.lo, (long long)l->range.hi);
        cli_cell(&t, "%u", most_bits(l->prefix_bits));
        cli_cell(&t, "%u", most_bits(l->total_bits));
        cli_cell(&t, "%u", most_bits(l->product_bits));
        cli_cell(&t, "%lld..%lld", (long long)l->prefix.lo, (long long)l->prefix.hi);
    }
    cli_table_print(&t);
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_profile_layer *l = &r->layers[i];
        char name[CLI_ESCAPED(256)];
        if (l->left_out != NULL) {
            char head[256];
            (void)snprintf(head, sizeof head, "%s", l->name);
            cli_escape(head, name, sizeof name);
            printf("left out: %s, %s\n", name, l->left_out);
        }
    }
}

/* ---- one line per layer and width ---- */

static void share_cell(struct cli_table *t, uint64_t part, uint64_t whole)
{
    if (whole == 0) {
        cli_cell(t, "-");
    } else if (part == 0) {
        cli_cell(t, "0");
    } else {
        cli_cell(t, "%.4g%%", 100.0 * (double)part / (double)whole);
    }
}

static bool width_is_clean(const brim_profile_report *r, const brim_profile_layer *l, size_t width)
{
    for (size_t o = 0; o < r->n_orders; o++) {
        const brim_profile_cell *c = &l->cells[width * r->n_orders + o];
        if (c->transient + c->persistent + c->product > 0 || c->examined == 0) {
            return false;
        }
    }
    return true;
}

static void width_line(struct cli_table *t, const brim_profile_report *r,
                       const brim_profile_layer *l, size_t width)
{
    const brim_profile_cell *c = &l->cells[width * r->n_orders];

    cli_cell(t, "%s", l->name);
    cli_cell(t, "%u", r->first_width + (unsigned)width);
    share_cell(t, c->persistent, l->outputs);
    share_cell(t, c->product, l->outputs);
    for (size_t o = 0; o < r->n_orders; o++) {
        share_cell(t, c[o].transient, c[o].examined);
    }
}

static void print_widths(const brim_profile_report *r)
{
    const char *headings[4 + BRIM_PROFILE_MAX_ORDERS] = {"layer", "width", "persistent", "product"};
    char name[BRIM_PROFILE_MAX_ORDERS][BRIM_PROFILE_ORDER_TEXT];
    struct cli_table t;
    uint64_t sampled = UINT64_MAX;

    for (size_t o = 0; o < r->n_orders; o++) {
        brim_profile_order_print(&r->order[o], name[o]);
        headings[4 + o] = name[o];
    }
    cli_table_init(&t, 4 + r->n_orders, headings);
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_profile_layer *l = &r->layers[i];
        bool clean = l->left_out != NULL;
        for (size_t w = 0; !clean && w <= r->last_width - r->first_width; w++) {
            width_line(&t, r, l, w);
            for (size_t o = 0; o < r->n_orders; o++) {
                const uint64_t n = l->cells[w * r->n_orders + o].examined;
                sampled = n < l->outputs && n < sampled ? n : sampled;
            }
            clean = width_is_clean(r, l, w);
        }
    }
    printf(
        "\nshares of a layer's outputs; under the name of an order: transient overflow. Up to the "
        "first width without any.\n");
    cli_table_print(&t);
    if (sampled != UINT64_MAX) {
        printf("transient overflow under q and g where products do not fit, and under q1, q2, ...: "
               "of %llu sampled outputs a layer\n",
               (unsigned long long)sampled);
    }
}

/* ---- the whole model ---- */

static void print_predictions(const brim_profile_report *r)
{
    const char *headings[1 + BRIM_PROFILE_MAX_ORDERS] = {"width"};
    char name[BRIM_PROFILE_MAX_ORDERS][BRIM_PROFILE_ORDER_TEXT];
    struct cli_table t;

    for (size_t o = 0; o < r->n_orders; o++) {
        brim_profile_order_print(&r->order[o], name[o]);
        headings[1 + o] = name[o];
    }
    printf("\npredictions that change, of %zu%s; - not run\n", r->samples,
           r->labelled ? " (top-1)" : "");
    cli_table_init(&t, 1 + r->n_orders, headings);
    for (size_t i = 0; i <= r->last_width - r->first_width; i++) {
        cli_cell(&t, "%u", r->first_width + (unsigned)i);
        for (size_t o = 0; o < r->n_orders; o++) {
            const brim_profile_prediction *p = &r->predictions[i * r->n_orders + o];
            if (!p->known) {
                cli_cell(&t, "-");
            } else if (r->labelled) {
                cli_cell(&t, "%zu (%.1f%%)", p->changed,
                         100.0 * (double)p->top1 / (double)r->samples);
            } else {
                cli_cell(&t, "%zu", p->changed);
            }
        }
    }
    cli_table_print(&t);
}

static void width_cell(struct cli_table *t, const brim_profile_report *r, unsigned width)
{
    cli_cell(t, width > r->last_width ? "-" : "%u", width);
}

static void print_summary(const brim_profile_report *r)
{
    static const char *const headings[] = {"order", "no overflow from", "no prediction lost from"};
    struct cli_table t;

    printf("\n");
    cli_table_init(&t, r->predictions != NULL ? 3 : 2, headings);
    for (size_t o = 0; o < r->n_orders; o++) {
        char name[BRIM_PROFILE_ORDER_TEXT];
        brim_profile_order_print(&r->order[o], name);
        cli_cell(&t, "%s", name);
        width_cell(&t, r, cli_profile_no_overflow(r, o));
        if (r->predictions != NULL) {
            width_cell(&t, r, cli_profile_no_change(r, o));
        }
    }
    cli_table_print(&t);
}

static void print_first(const brim_profile_report *r)
{
    static const char *const headings[] = {"layer", "sample", "channel", "position", "step",
                                           "sum",   "least",  "most",    "total",    "bits"};
    struct cli_table t;

    if (r->n_first == 0) {
        printf("\nnothing leaves %u bits\n", r->at);
        return;
    }
    printf("\nfirst overflows of %u bits in natural order, the furthest first\n", r->at);
    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < r->n_first; i++) {
        const brim_profile_overflow *f = &r->first[i];
        cli_cell(&t, "%s", r->layers[f->layer].name);
        cli_cell(&t, "%zu", f->sample);
        cli_cell(&t, "%zu", f->channel);
        cli_cell(&t, "%zu", f->position);
        cli_cell(&t, "%zu", f->step);
        cli_cell(&t, "%lld", (long long)f->prefix);
        cli_cell(&t, "%lld", (long long)f->least);
        cli_cell(&t, "%lld", (long long)f->most);
        cli_cell(&t, "%lld", (long long)f->total);
        cli_cell(&t, "%u", f->bits);
    }
    cli_table_print(&t);
}

void cli_profile_text(const brim_profile_report *r)
{
    printf("samples  %zu in %.2f s", r->samples, r->seconds);
    if (r->predictions != NULL) {
        printf(", predictions in %.2f s", r->prediction_seconds);
    }
    if (r->labelled) {
        printf("\ntop-1    %.2f %%", 100 * (double)r->top1 / (double)r->samples);
    }
    printf("\n\n");
    print_layers(r);
    print_widths(r);
    if (r->predictions != NULL) {
        print_predictions(r);
    }
    print_summary(r);
    print_first(r);
}
