/* kernels_bench.c - brim bench kernels: limits, kernels, peers, and the ratios to reach.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/bench.h"

struct options {
    int64_t repeat;
    const char *family, *shape, *peers;
    bool quick, list;
};

static const struct cli_option options[] = {
    {.name = "repeat",
     .kind = CLI_INT,
     .value = "N",
     .offset = offsetof(struct options, repeat),
     .lo = 1,
     .hi = 99,
     .help = "rounds, of which the median counts (default 11)"},
    {.name = "family",
     .kind = CLI_STRING,
     .value = "NAME",
     .offset = offsetof(struct options, family),
     .help = "only this family: conv, depthwise, gemm, gemv, lookup, sparse, simulate"},
    {.name = "shape",
     .kind = CLI_STRING,
     .value = "MxNxK",
     .offset = offsetof(struct options, shape),
     .help = "only this shape, as the table shows it"},
    {.name = "quick",
     .kind = CLI_FLAG,
     .offset = offsetof(struct options, quick),
     .help = "one small shape of each family"},
    {.name = "peers",
     .kind = CLI_STRING,
     .value = "FILE.so|none",
     .offset = offsetof(struct options, peers),
     .help = "module of other libraries' kernels (default: brim-peers.so beside the program)"},
    {.name = "list",
     .kind = CLI_FLAG,
     .offset = offsetof(struct options, list),
     .help = "measure nothing: show what this machine has, and what each layer of MODEL gets"},
};

static const struct cli_verb verb = {
    .name = "bench kernels",
    .operands = "[MODEL]",
    .max_operands = 1,
    .summary = "kernels against the machine's limits and other libraries",
    .details =
        "Measure every kernel that this CPU can run, on one pinned core, in turns with loops of the\n"
        "same instructions without memory (the limit) and with other libraries' kernels. Cold: result\n"
        "just overwritten, caches full of another's data; warm: again and again. The last table has\n"
        "the ratios that brim is held to.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

/* ---- JSON ---- */

static json_t *limits_json(const brim_bench_report *r)
{
    json_t *a = json_array();

    for (size_t i = 0; i < r->n_limits; i++) {
        const brim_bench_limit *l = &r->limits[i];
        json_array_append_new(a, json_pack("{s:s,s:s,s:f,s:f}", "name", l->name, "what", l->what,
                                           "gmacs", l->gmacs, "per_cycle", l->per_cycle));
    }
    return a;
}

static json_t *lines_json(const brim_bench_report *r)
{
    json_t *a = json_array();

    for (size_t i = 0; i < r->n_lines; i++) {
        const brim_bench_line *l = &r->lines[i];
        json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:b,s:f,s:f,s:f}", "family", l->family, "shape",
                              l->shape, "kind", l->kind, "name", l->name, "peer", l->peer, "cold",
                              l->cold, "warm", l->warm, "per_cycle", l->per_cycle);
        if (l->limit != NULL) {
            json_object_set_new(o, "limit", json_string(l->limit));
            json_object_set_new(o, "cold_share", json_real(l->cold_share));
            json_object_set_new(o, "warm_share", json_real(l->warm_share));
        }
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *goals_json(const brim_bench_report *r)
{
    json_t *a = json_array();

    for (size_t i = 0; i < r->n_goals; i++) {
        const brim_bench_goal *g = &r->goals[i];
        json_t *o = json_pack("{s:s,s:f,s:b,s:I}", "what", g->what, "bar", g->bar, "each", g->each,
                              "shapes", (json_int_t)g->shapes);
        if (g->shapes > 0) {
            json_object_set_new(o, "mean", json_real(g->mean));
            json_object_set_new(o, "least", json_real(g->least));
            json_object_set_new(o, "most", json_real(g->most));
            json_object_set_new(o, "reached", json_boolean(g->reached));
        }
        json_array_append_new(a, o);
    }
    return a;
}

static int print_json(struct cli *cli, const struct options *o, const brim_bench_report *r)
{
    return cli_print_json(cli,
                          json_pack("{s:I,s:i,s:f,s:o,s:o,s:o}", "repeat", (json_int_t)o->repeat,
                                    "cpu", r->cpu, "ghz", r->ghz, "limits", limits_json(r), "lines",
                                    lines_json(r), "goals", goals_json(r)),
                          CLI_OK);
}

/* ---- text ---- */

static void print_limits(const brim_bench_report *r)
{
    static const char *const headings[] = {"limit", "GMAC/s", "per cycle", "instructions"};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < r->n_limits; i++) {
        cli_cell(&t, "%s", r->limits[i].name);
        cli_cell(&t, "%.1f", r->limits[i].gmacs);
        cli_cell(&t, "%.1f", r->limits[i].per_cycle);
        cli_cell(&t, "%s", r->limits[i].what);
    }
    cli_table_print(&t);
}

static void print_lines(const brim_bench_report *r)
{
    static const char *const headings[] = {"family", "shape", "kind",  "name",     "cold",
                                           "warm",   "limit", "share", "per cycle"};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < r->n_lines; i++) {
        const brim_bench_line *l = &r->lines[i];
        cli_cell(&t, "%s", l->family);
        cli_cell(&t, "%s", l->shape);
        cli_cell(&t, "%s", l->kind);
        cli_cell(&t, "%s", l->name);
        cli_cell(&t, "%.1f", l->cold);
        cli_cell(&t, "%.1f", l->warm);
        cli_cell(&t, "%s", l->limit != NULL ? l->limit : "-");
        cli_cell(&t, l->limit != NULL ? "%.0f %%" : "-", 100 * l->warm_share);
        cli_cell(&t, "%.1f", l->per_cycle);
    }
    cli_table_print(&t);
}

static void print_goals(const brim_bench_report *r)
{
    static const char *const headings[] = {"ratio", "measured", "least", "most",
                                           "bar",   "shapes",   ""};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < r->n_goals; i++) {
        const brim_bench_goal *g = &r->goals[i];
        const bool seen = g->shapes > 0;
        cli_cell(&t, "%s", g->what);
        cli_cell(&t, seen ? "%.2f" : "-", g->mean);
        cli_cell(&t, seen ? "%.2f" : "-", g->least);
        cli_cell(&t, seen ? "%.2f" : "-", g->most);
        cli_cell(&t, "%.2f%s", g->bar, g->each ? " each" : "");
        cli_cell(&t, "%zu", g->shapes);
        cli_cell(&t, "%s", !seen ? "not measured" : g->reached ? "reached" : "short");
    }
    cli_table_print(&t);
}

static void print_text(const struct options *o, const brim_bench_report *r)
{
    printf("one core%s, %.2f GHz by a chain of additions, medians of %lld rounds, 1e9 "
           "multiply-accumulates a second\n\n",
           r->cpu >= 0 ? ", pinned" : "", r->ghz, (long long)o->repeat);
    print_limits(r);
    printf("\n");
    print_lines(r);
    printf("\n");
    print_goals(r);
}

/* ---- the whole ---- */

int cli_bench_kernels(struct cli *cli, char **argv)
{
    struct options o = {.repeat = 11};
    brim_bench_report *report = NULL;
    brim_bench_params p;
    int code;

    if (!cli_start(cli, &verb, &o, argv, &code)) {
        return code;
    }
    if (o.list) {
        return cli_list_kernels(cli);
    }
    if (cli->n_operands > 0) {
        return cli_usage(&verb, "MODEL goes with --list");
    }
    brim_bench_params_init(&p);
    p.repeat = (unsigned)o.repeat;
    p.family = o.family;
    p.shape = o.shape;
    p.quick = o.quick;
    code = cli_load_peers(cli, o.peers, &p.peers, &p.n_peers);
    if (code != CLI_OK) {
        return code;
    }
    const brim_status s = brim_bench_kernels(cli->ctx, &p, &report);
    if (s == BRIM_ERR_ARG) {
        return cli_usage(&verb, "%s", brim_error(cli->ctx));
    }
    if (s != BRIM_OK) {
        return cli_fail_status(cli, s);
    }
    cli_end_progress(cli);
    if (cli->json) {
        code = print_json(cli, &o, report);
    } else {
        print_text(&o, report);
    }
    brim_bench_report_free(report);
    return code;
}
