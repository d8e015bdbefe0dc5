/* list_bench.c - brim bench kernels --list: what this machine has, and what a model's layers get.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/bench.h"

/* ---- JSON ---- */

static json_t *levels_json(void)
{
    json_t *a = json_array();

    for (size_t i = 0; i < brim_cpu_level_count(); i++) {
        const brim_cpu_level l = brim_cpu_level_at(i);
        json_array_append_new(
            a, json_pack("{s:s,s:s,s:b}", "name", l.name, "what", l.what, "present", l.present));
    }
    return a;
}

static json_t *kernels_json(const brim_bench_list *l)
{
    json_t *a = json_array();

    for (size_t i = 0; i < l->n_kernels; i++) {
        const brim_bench_kernel *k = &l->kernels[i];
        json_array_append_new(a, json_pack("{s:s,s:s,s:s,s:s,s:b}", "family", k->family, "name",
                                           k->name, "cpu", k->cpu, "asks", k->asks, "present",
                                           k->present));
    }
    return a;
}

static json_t *layers_json(const brim_bench_list *l)
{
    json_t *a = json_array();

    for (size_t i = 0; i < l->n_layers; i++) {
        const brim_bench_layer *y = &l->layers[i];
        json_array_append_new(a, json_pack("{s:s,s:I,s:I,s:s,s:s,s:s,s:s}", "name", y->name, "k",
                                           (json_int_t)y->k, "n", (json_int_t)y->n, "datapath",
                                           y->datapath, "family", y->family, "kernel", y->kernel,
                                           "why", y->why));
    }
    return a;
}

/* ---- text ---- */

static void print_levels(void)
{
    static const char *const headings[] = {"level", "here", "what"};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < brim_cpu_level_count(); i++) {
        const brim_cpu_level l = brim_cpu_level_at(i);
        cli_cell(&t, "%s", l.name);
        cli_cell(&t, "%s", l.present ? "yes" : "no");
        cli_cell(&t, "%s", l.what);
    }
    cli_table_print(&t);
}

static void print_kernels(const brim_bench_list *l)
{
    static const char *const headings[] = {"family", "kernel", "usable", "processor", "asks for"};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < l->n_kernels; i++) {
        const brim_bench_kernel *k = &l->kernels[i];
        cli_cell(&t, "%s", k->family);
        cli_cell(&t, "%s", k->name);
        cli_cell(&t, "%s", k->present ? "yes" : "no");
        cli_cell(&t, "%s", k->cpu);
        cli_cell(&t, "%s", k->asks);
    }
    cli_table_print(&t);
}

static void print_layers(const brim_bench_list *l)
{
    static const char *const headings[] = {"layer", "K", "N", "datapath", "kernel", "why"};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < l->n_layers; i++) {
        const brim_bench_layer *y = &l->layers[i];
        cli_cell(&t, "%s", y->name);
        cli_cell(&t, "%zu", y->k);
        cli_cell(&t, "%zu", y->n);
        cli_cell(&t, "%s", y->datapath);
        cli_cell(&t, "%s %s", y->family, y->kernel);
        cli_cell(&t, "%s", y->why);
    }
    cli_table_print(&t);
}

static int print(struct cli *cli, const brim_bench_list *l, bool layers)
{
    if (cli->json) {
        json_t *o = json_pack("{s:o,s:o}", "levels", levels_json(), "kernels", kernels_json(l));
        if (layers) {
            json_object_set_new(o, "layers", layers_json(l));
        }
        return cli_print_json(cli, o, CLI_OK);
    }
    print_levels();
    printf("\n");
    print_kernels(l);
    if (layers) {
        printf("\n");
        print_layers(l);
    }
    return CLI_OK;
}

int cli_list_kernels(struct cli *cli)
{
    const bool layers = cli->n_operands > 0;
    brim_graph *graph = NULL;
    brim_bench_list *list = NULL;
    int code = layers ? cli_load(cli, cli->operand[0], &graph) : CLI_OK;

    if (code == CLI_OK) {
        const brim_status s = brim_bench_list_create(cli->ctx, graph, &list);
        code = s == BRIM_OK ? print(cli, list, layers) : cli_fail_status(cli, s);
    }
    brim_bench_list_free(list);
    brim_graph_free(graph);
    return code;
}
