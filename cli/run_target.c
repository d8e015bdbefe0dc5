/* run_target.c - what brim certify --target prints, and what real inputs do. SPDX-License-Identifier:
 * Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli/target.h"

/* What a run on data showed. */
struct seen {
    size_t samples;
    size_t *exact;  /* [samples] the largest output of every sample, computed exactly */
    size_t changed; /* samples whose largest output is another one on the target */
    brim_run_report *target_run, *exact_run;
};

/* ---- running ---- */

static size_t largest(const float *y, size_t n)
{
    size_t at = 0;

    for (size_t i = 1; i < n; i++) {
        at = y[i] > y[at] ? i : at;
    }
    return at;
}

static void keep_exact(void *user, size_t sample, const float *y, size_t n)
{
    ((struct seen *)user)->exact[sample] = largest(y, n);
}

static void compare(void *user, size_t sample, const float *y, size_t n)
{
    struct seen *s = user;

    s->changed += largest(y, n) != s->exact[sample];
}

static int run_both(struct cli *cli, const brim_graph *graph, const brim_target *target,
                    const brim_data *data, struct seen *seen)
{
    const brim_datapath wide = {1, {{.width = 64}}};
    brim_run_params p;

    seen->samples = brim_data_count(data);
    seen->exact = calloc(seen->samples + 1, sizeof *seen->exact);
    if (seen->exact == NULL) {
        return cli_fail(cli, CLI_ERROR, "out of memory: %zu samples", seen->samples);
    }
    brim_run_params_init(&p);
    p.datapath = &wide;
    p.count = false;
    p.output = keep_exact;
    p.user = seen;
    brim_status s = brim_run(cli->ctx, graph, data, &p, &seen->exact_run);
    if (s == BRIM_OK) {
        p.target = target;
        p.count = true;
        p.output = compare;
        s = brim_run(cli->ctx, graph, data, &p, &seen->target_run);
    }
    return s == BRIM_OK ? CLI_OK : cli_fail_status(cli, s);
}

/* The run's record of a layer, NULL when it was not run in integers. */
static const brim_run_layer *run_layer(const struct seen *seen, const char *name)
{
    for (size_t i = 0; seen != NULL && i < seen->target_run->n_layers; i++) {
        const brim_run_layer *l = &seen->target_run->layers[i];
        if (strcmp(l->name, name) == 0) {
            return l;
        }
    }
    return NULL;
}

static uint64_t overflowed(const brim_run_layer *l)
{
    return l->transient + l->persistent;
}

/* ---- text ---- */

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100 * (double)part / (double)whole;
}

static void add_row(struct cli_table *t, const brim_target_report *r, const brim_target_layer *l,
                    const struct seen *seen)
{
    const brim_run_layer *run = run_layer(seen, l->name);
    char need[64];

    cli_need_text(l->need, r->target->datapath.n_stages, need, sizeof need);
    cli_cell(t, "%s", l->name);
    cli_cell(t, "%zu", l->k);
    cli_cell(t, l->variable ? "-" : "%zu", l->n);
    if (l->wide || !l->fits) {
        for (int i = 0; i < 5; i++) {
            cli_cell(t, "-");
        }
    } else {
        cli_cell(t, "%llu", (unsigned long long)l->registers);
        cli_cell(t, "%llu", (unsigned long long)l->at_risk);
        cli_cell(t, "%zu", l->channels_at_risk);
        cli_cell(t, "%s", need);
        cli_cell(t, "%lld", (long long)l->worst_value);
    }
    if (seen != NULL && run != NULL) {
        cli_cell(t, "%llu", (unsigned long long)run->outputs);
        cli_cell(t, "%llu", (unsigned long long)overflowed(run));
    } else if (seen != NULL) {
        cli_cell(t, "-");
        cli_cell(t, "-");
    }
    cli_cell(t, "%s",
             !l->fits     ? "refuted: codes do not fit the operands"
             : !l->proven ? "refuted"
             : l->wide    ? "proven: wide sums"
                          : "proven");
}

static void print_totals(const brim_target_report *r)
{
    uint64_t registers = 0, at_risk = 0;
    size_t channels = 0, channels_at_risk = 0;

    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_target_layer *l = &r->layers[i];
        registers += l->registers;
        at_risk += l->at_risk;
        channels += l->wide ? 0 : l->n;
        channels_at_risk += l->variable ? 0 : l->channels_at_risk;
    }
    printf("at risk  %llu of %llu registers (%.2f %%), %zu of %zu channels (%.0f %%)\n",
           (unsigned long long)at_risk, (unsigned long long)registers, share(at_risk, registers),
           channels_at_risk, channels, share(channels_at_risk, channels));
}

static void print_seen(const struct seen *seen)
{
    uint64_t outputs = 0, over = 0;
    const brim_run_report *r = seen->target_run;

    for (size_t i = 0; i < r->n_layers; i++) {
        outputs += r->layers[i].outputs;
        over += overflowed(&r->layers[i]);
    }
    printf("data     %zu samples: %llu of %llu sums overflowed (%.4f %%), %zu predictions changed "
           "(%.2f %%)\n",
           seen->samples, (unsigned long long)over, (unsigned long long)outputs,
           share(over, outputs), seen->changed, share(seen->changed, seen->samples));
    if (r->labelled) {
        printf("top-1    %.2f %% on the target, %.2f %% computed exactly\n",
               share(r->top1, r->samples), share(seen->exact_run->top1, r->samples));
    }
}

static void print_text(const brim_target_report *r, const struct seen *seen)
{
    static const char *const headings[] = {"layer",    "K",    "N",         "registers", "at risk",
                                           "channels", "need", "worst sum", "verdict"};
    static const char *const with_data[] = {"layer",   "K",          "N",      "registers",
                                            "at risk", "channels",   "need",   "worst sum",
                                            "outputs", "overflowed", "verdict"};
    struct cli_table t;
    char datapath[BRIM_DATAPATH_TEXT];

    brim_datapath_print(&r->target->datapath, datapath);
    printf("target   %s, %s\n", r->target->name, datapath);
    cli_table_init(&t, seen == NULL ? 9 : 11, seen == NULL ? headings : with_data);
    for (size_t i = 0; i < r->n_layers; i++) {
        add_row(&t, r, &r->layers[i], seen);
    }
    cli_table_print(&t);
    print_totals(r);
    if (seen != NULL) {
        print_seen(seen);
    }
    printf("%s\n", r->proven ? "proven: no input can overflow any register" : "refuted");
}

/* ---- JSON ---- */

static json_t *witness_json(const brim_target_layer *l)
{
    json_t *x = json_array(), *meet = json_array();

    for (size_t i = 0; i < l->witness->k; i++) {
        json_array_append_new(x, json_integer(l->witness->x[i]));
    }
    for (size_t i = 0; i < l->n_meet; i++) {
        json_array_append_new(meet, json_integer((json_int_t)l->meet[i]));
    }
    return json_pack("{s:I,s:I,s:I,s:o,s:o}", "channel", (json_int_t)l->witness->channel, "stage",
                     (json_int_t)l->witness->stage, "value", (json_int_t)l->witness->value, "meet",
                     meet, "x", x);
}

static json_t *layer_json(const brim_target_report *r, const brim_target_layer *l,
                          const struct seen *seen)
{
    const brim_run_layer *run = run_layer(seen, l->name);
    json_t *o = json_pack("{s:s,s:I,s:I,s:I,s:b,s:b,s:b,s:I,s:I,s:I,s:I}", "name", l->name, "k",
                          (json_int_t)l->k, "n", (json_int_t)l->n, "groups", (json_int_t)l->groups,
                          "variable", (int)l->variable, "wide", (int)l->wide, "fits", (int)l->fits,
                          "x_min", (json_int_t)l->x_min, "x_max", (json_int_t)l->x_max, "w_min",
                          (json_int_t)l->w_min, "w_max", (json_int_t)l->w_max);

    json_object_set_new(o, "registers", json_integer((json_int_t)l->registers));
    json_object_set_new(o, "at_risk", json_integer((json_int_t)l->at_risk));
    json_object_set_new(o, "channels_at_risk", json_integer((json_int_t)l->channels_at_risk));
    json_object_set_new(o, "need", cli_need_json(l->need, r->target->datapath.n_stages));
    json_object_set_new(o, "worst",
                        json_pack("{s:I,s:I,s:I}", "channel", (json_int_t)l->worst_channel, "stage",
                                  (json_int_t)l->worst_stage, "value", (json_int_t)l->worst_value));
    json_object_set_new(o, "outside_bits", json_integer((json_int_t)l->outside_bits));
    json_object_set_new(o, "verdict", json_string(l->proven ? "proven" : "refuted"));
    if (l->witness != NULL) {
        json_object_set_new(o, "witness", witness_json(l));
    }
    if (run != NULL) {
        json_object_set_new(o, "outputs", json_integer((json_int_t)run->outputs));
        json_object_set_new(o, "overflowed", json_integer((json_int_t)overflowed(run)));
    }
    return o;
}

static json_t *seen_json(const struct seen *seen)
{
    const brim_run_report *t = seen->target_run, *e = seen->exact_run;
    const double n = (double)seen->samples;

    return json_pack("{s:I,s:I,s:o,s:o}", "samples", (json_int_t)seen->samples, "changed",
                     (json_int_t)seen->changed, "top1",
                     t->labelled ? json_real((double)t->top1 / n) : json_null(), "top1_exact",
                     t->labelled ? json_real((double)e->top1 / n) : json_null());
}

static int print_json(struct cli *cli, const brim_target_report *r, const struct seen *seen,
                      int code)
{
    char datapath[BRIM_DATAPATH_TEXT];
    json_t *layers = json_array();

    brim_datapath_print(&r->target->datapath, datapath);
    for (size_t i = 0; i < r->n_layers; i++) {
        json_array_append_new(layers, layer_json(r, &r->layers[i], seen));
    }
    json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "target", r->target->name, "datapath", datapath,
                          "order", r->target->any_order ? "any" : "exact", "verdict",
                          r->proven ? "proven" : "refuted");
    if (seen != NULL) {
        json_object_set_new(o, "data", seen_json(seen));
    }
    json_object_set_new(o, "layers", layers);
    return cli_print_json(cli, o, code);
}

/* ---- the verb ---- */

/* Layers that the target cannot compute have no integers to compare. */
static bool computable(const brim_target_report *r)
{
    for (size_t i = 0; i < r->n_layers; i++) {
        if (!r->layers[i].fits) {
            return false;
        }
    }
    return true;
}

static int print(struct cli *cli, const brim_target_report *r, const struct seen *seen, int code)
{
    if (cli->json) {
        return print_json(cli, r, seen, code);
    }
    print_text(r, seen);
    return code;
}

static int with_data(struct cli *cli, const brim_graph *graph, const brim_target_report *r,
                     const brim_data *data, int code)
{
    struct seen seen = {0};
    int status = run_both(cli, graph, r->target, data, &seen);

    if (status == CLI_OK && seen.exact_run != NULL && seen.target_run != NULL) {
        status = print(cli, r, &seen, code);
    }
    brim_run_report_free(seen.exact_run);
    brim_run_report_free(seen.target_run);
    free(seen.exact);
    return status;
}

int cli_certify_target(struct cli *cli, const brim_graph *graph, const brim_target *target,
                       const brim_data *data)
{
    brim_target_report *r = NULL;
    const brim_status s = brim_certify_target(cli->ctx, graph, target, &r);
    int code;

    if (r == NULL) {
        return cli_fail_status(cli, s);
    }
    code = s == BRIM_OK ? CLI_OK : cli_fail_status(cli, s);
    if (data != NULL && computable(r)) {
        code = with_data(cli, graph, r, data, code);
    } else {
        code = print(cli, r, NULL, code);
    }
    brim_target_report_free(r);
    return code;
}
