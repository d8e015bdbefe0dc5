/* cmd_certify.c - brim certify MODEL. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/target.h"

struct options {
    const char *output, *datapath, *target, *targets, *data;
};

static const struct cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .value = "CERT.json",
     .offset = offsetof(struct options, output),
     .help = "write the certificate, for brim-check"},
    {.name = "datapath",
     .kind = CLI_STRING,
     .value = "D",
     .offset = offsetof(struct options, datapath),
     .help = "prove this datapath for every layer instead of the declared ones"},
    {.name = "target",
     .kind = CLI_STRING,
     .value = "NAME",
     .offset = offsetof(struct options, target),
     .help =
         "prove that this target's kernels overflow nothing: x86-maddubs, neon-mlal16, acc16, ..."},
    {.name = "targets",
     .kind = CLI_STRING,
     .value = "FILE",
     .offset = offsetof(struct options, targets),
     .help = "a file of targets of your own (docs/targets.md has the format)"},
    {.name = "data",
     .letter = 'd',
     .kind = CLI_STRING,
     .value = "DATA",
     .offset = offsetof(struct options, data),
     .help =
         "with --target: also how often these inputs overflow, and how many predictions change"},
};

const struct cli_verb verb_certify = {
    .name = "certify",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "prove that no input can overflow any register, or show one that does",
    .details =
        "Bound every partial sum of every integer dot layer over all inputs and all orders, in\n"
        "exact integers. Exit 0 when every register is safe; exit 3 when one is not, naming layer,\n"
        "channel and stage, with an input that overflows it in the certificate.\n"
        "With --target, in the order in which a processor's kernels add the products up.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

static void print_text(const brim_certificate *cert)
{
    static const char *const headings[] = {"layer",    "K",       "N",       "inputs",
                                           "datapath", "need",    "channel", "least sum",
                                           "largest",  "outside", "verdict"};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < cert->n_layers; i++) {
        const brim_certificate_layer *l = &cert->layers[i];
        char datapath[BRIM_DATAPATH_TEXT], need[64];
        brim_datapath_print(&l->datapath, datapath);
        cli_need_text(l->need, l->datapath.n_stages, need, sizeof need);
        cli_cell(&t, "%s", l->name);
        cli_cell(&t, "%zu", l->k);
        cli_cell(&t, "%zu", l->n);
        cli_cell(&t, "%lld..%lld", (long long)l->x_min, (long long)l->x_max);
        cli_cell(&t, "%s", datapath);
        cli_cell(&t, "%s", need);
        cli_cell(&t, "%zu", l->worst_channel);
        cli_cell(&t, "%lld", (long long)l->sum_min);
        cli_cell(&t, "%lld", (long long)l->sum_max);
        cli_cell(&t, "%u", l->outside_bits);
        cli_cell(&t, "%s", l->proven ? "proven" : "refuted");
    }
    cli_table_print(&t);
    printf("%s\n", cert->proven ? "proven: no input can overflow any register" : "refuted");
}

static int print_certificate(struct cli *cli, const brim_certificate *cert)
{
    char *json = NULL;

    if (!cli->json) {
        print_text(cert);
        return CLI_OK;
    }
    const brim_status s = brim_certificate_json(cli->ctx, cert, &json);
    if (s != BRIM_OK) {
        return cli_fail_status(cli, s);
    }
    fputs(json, stdout);
    brim_json_free(json);
    return CLI_OK;
}

/* Report, then save; a refuted model gets its certificate too. */
static int finish(struct cli *cli, const struct options *o, const brim_certificate *cert,
                  brim_status verdict)
{
    const int code = verdict == BRIM_OK ? CLI_OK : cli_fail_status(cli, verdict);
    const int printed = print_certificate(cli, cert);

    if (printed != CLI_OK) {
        return printed;
    }
    if (o->output != NULL) {
        const brim_status s = brim_certificate_save(cli->ctx, cert, o->output);
        if (s != BRIM_OK) {
            return cli_fail_status(cli, s);
        }
    }
    return code;
}

/* Options that do not go together; 0 when all do. */
static int check_options(const struct options *o)
{
    if (o->target == NULL && (o->targets != NULL || o->data != NULL)) {
        return cli_usage(&verb_certify, "--%s goes with --target",
                         o->targets != NULL ? "targets" : "data");
    }
    if (o->target != NULL && (o->datapath != NULL || o->output != NULL)) {
        return cli_usage(&verb_certify, "--%s does not go with --target",
                         o->datapath != NULL ? "datapath" : "output");
    }
    return 0;
}

static int on_target(struct cli *cli, const struct options *o)
{
    struct cli_target t;
    brim_graph *graph = NULL;
    brim_data *data = NULL;
    int code = cli_find_target(cli, o->target, o->targets, &t);

    if (code == CLI_OK) {
        code = cli_load(cli, cli->operand[0], &graph);
    }
    if (code == CLI_OK && o->data != NULL) {
        code = cli_open_data(cli, o->data, &data);
    }
    if (code == CLI_OK) {
        code = cli_certify_target(cli, graph, t.target, data);
    }
    brim_data_free(data);
    brim_graph_free(graph);
    cli_target_free(&t);
    return code;
}

int cmd_certify(struct cli *cli, char **argv)
{
    struct options o = {0};
    brim_graph *graph = NULL;
    brim_certificate *cert = NULL;
    brim_datapath dp;
    int code;

    if (!cli_start(cli, &verb_certify, &o, argv, &code)) {
        return code;
    }
    if ((code = check_options(&o)) != 0) {
        return code;
    }
    if (o.target != NULL) {
        return on_target(cli, &o);
    }
    if (o.datapath != NULL && (code = cli_parse_datapath(cli, "datapath", o.datapath, &dp)) != 0) {
        return code;
    }
    if (o.output != NULL && (code = cli_check_output(cli, o.output)) != CLI_OK) {
        return code;
    }
    if ((code = cli_load(cli, cli->operand[0], &graph)) != CLI_OK) {
        return code;
    }
    const brim_status s = brim_certify(cli->ctx, graph, o.datapath != NULL ? &dp : NULL, &cert);
    if (s == BRIM_OK || s == BRIM_ERR_REFUTED) {
        code = finish(cli, &o, cert, s);
    } else {
        code = cli_fail_status(cli, s);
    }
    brim_certificate_free(cert);
    brim_graph_free(graph);
    return code;
}
