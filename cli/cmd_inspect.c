/* cmd_inspect.c - brim inspect MODEL. SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

const struct cli_verb verb_inspect = {
    .name = "inspect",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "layers, sizes, and the accumulator each would need",
    .details =
        "List every dot layer of an ONNX model: reduction length K, outputs N, multiply-accumulates\n"
        "a sample, and how wide one accumulator must be: `type` for any weights and inputs of\n"
        "these bits (8x8 for a float layer), `need` for these very weights (integer layers only).\n"
        "Where vectors have scales of their own, `w bits` counts a weight's share of them, `type`\n"
        "is of one vector, and `need` of its register and the one behind it.",
};

static json_t *layer_json(const brim_inspect_layer *l)
{
    char datapath[BRIM_DATAPATH_TEXT];
    json_t *o = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:b,s:I}", "name", l->name, "op_type",
                          l->op_type, "k", (json_int_t)l->k, "n", (json_int_t)l->n, "groups",
                          (json_int_t)l->groups, "macs", (json_int_t)l->macs, "codes",
                          (int)l->codes, "type_width", (json_int_t)l->type_width);

    if (l->codes) {
        json_object_set_new(o, "w_bits", json_integer((json_int_t)l->w_bits));
        json_object_set_new(o, "x_min", json_integer(l->x_min));
        json_object_set_new(o, "x_max", json_integer(l->x_max));
        json_object_set_new(o, "need", json_integer((json_int_t)l->need));
        json_object_set_new(o, "weight_bits", json_real(l->weight_bits));
    }
    if (l->vector > 0) {
        json_object_set_new(o, "vector", json_integer((json_int_t)l->vector));
        json_object_set_new(o, "scale_bits", json_integer((json_int_t)l->scale_bits));
        json_object_set_new(o, "x_scale_bits", json_integer((json_int_t)l->x_scale_bits));
        json_object_set_new(o, "product_shift", json_integer((json_int_t)l->product_shift));
        json_object_set_new(o, "need_outer", json_integer((json_int_t)l->need_outer));
    }
    if (l->has_datapath) {
        brim_datapath_print(&l->datapath, datapath);
        json_object_set_new(o, "datapath", json_string(datapath));
    }
    return o;
}

static int print_json(struct cli *cli, const brim_inspect_report *r)
{
    json_t *layers = json_array();

    for (size_t i = 0; i < r->n_layers; i++) {
        json_array_append_new(layers, layer_json(&r->layers[i]));
    }
    return cli_print_json(cli,
                          json_pack("{s:I,s:I,s:o}", "nodes", (json_int_t)r->nodes, "parameters",
                                    (json_int_t)r->parameters, "layers", layers),
                          CLI_OK);
}

/* One register's width, or those of a vector's register and of the one behind it. */
static void need_text(const brim_inspect_layer *l, char *text, size_t size)
{
    if (!l->codes) {
        (void)snprintf(text, size, "-");
    } else if (l->vector == 0) {
        (void)snprintf(text, size, "%u", l->need);
    } else if (l->need_outer == 0) {
        (void)snprintf(text, size, "%u,float", l->need);
    } else {
        (void)snprintf(text, size, "%u,%u", l->need, l->need_outer);
    }
}

static void print_text(const brim_inspect_report *r)
{
    static const char *const headings[] = {"layer",  "operator", "K",      "N",
                                           "groups", "MACs",     "w bits", "vector",
                                           "inputs", "type",     "need",   "datapath"};
    struct cli_table t;

    printf("%zu nodes, %zu parameters, %zu dot layers\n", r->nodes, r->parameters, r->n_layers);
    if (r->n_layers == 0) {
        return;
    }
    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_inspect_layer *l = &r->layers[i];
        char datapath[BRIM_DATAPATH_TEXT] = "-", need[32];
        cli_cell(&t, "%s", l->name);
        cli_cell(&t, "%s", l->op_type);
        cli_cell(&t, "%zu", l->k);
        cli_cell(&t, "%zu", l->n);
        cli_cell(&t, "%zu", l->groups);
        cli_cell(&t, l->macs > 0 ? "%llu" : "-", (unsigned long long)l->macs);
        if (l->codes) {
            cli_cell(&t, "%.5g", l->weight_bits);
            cli_cell(&t, l->vector > 0 ? "%zu" : "-", l->vector);
            cli_cell(&t, "%lld..%lld", (long long)l->x_min, (long long)l->x_max);
        } else {
            cli_cell(&t, "-");
            cli_cell(&t, "-");
            cli_cell(&t, "float");
        }
        cli_cell(&t, "%u", l->type_width);
        need_text(l, need, sizeof need);
        cli_cell(&t, "%s", need);
        if (l->has_datapath) {
            brim_datapath_print(&l->datapath, datapath);
        }
        cli_cell(&t, "%s", datapath);
    }
    cli_table_print(&t);
}

int cmd_inspect(struct cli *cli, char **argv)
{
    brim_graph *graph = NULL;
    brim_inspect_report *report = NULL;
    int code;

    if (!cli_start(cli, &verb_inspect, NULL, argv, &code)) {
        return code;
    }
    if ((code = cli_load(cli, cli->operand[0], &graph)) != CLI_OK) {
        return code;
    }
    const brim_status s = brim_inspect(cli->ctx, graph, &report);
    if (s != BRIM_OK) {
        code = cli_fail_status(cli, s);
    } else if (cli->json) {
        code = print_json(cli, report);
    } else {
        print_text(report);
    }
    brim_inspect_report_free(report);
    brim_graph_free(graph);
    return code;
}
