/* cmd_fix.c - brim fix MODEL -o OUT --target NAME. SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"

struct options {
    const char *output, *target, *targets, *calib, *origin;
    bool keep_order, reduce_range;
};

#define FIELD(name) offsetof(struct options, name)

static const struct cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .value = "OUT.onnx",
     .offset = FIELD(output),
     .help = "the model to write (required)"},
    {.name = "target",
     .letter = 't',
     .kind = CLI_STRING,
     .value = "NAME",
     .offset = FIELD(target),
     .help = "the processor's kernels: x86-maddubs, neon-mlal16, acc16, ... (required)"},
    {.name = "targets",
     .kind = CLI_STRING,
     .value = "FILE",
     .offset = FIELD(targets),
     .help = "a file of targets of your own (docs/targets.md has the format)"},
    {.name = "calib",
     .letter = 'c',
     .kind = CLI_STRING,
     .value = "DATA",
     .offset = FIELD(calib),
     .help = "inputs to keep the outputs on (docs/data.md); without them only weights count"},
    {.name = "origin",
     .kind = CLI_STRING,
     .value = "FLOAT",
     .offset = FIELD(origin),
     .help = "the float model that was quantized: its weights are rounded anew, not their codes"},
    {.name = "keep-order",
     .kind = CLI_FLAG,
     .offset = FIELD(keep_order),
     .help = "leave the channels in their order"},
    {.name = "reduce-range",
     .kind = CLI_FLAG,
     .offset = FIELD(reduce_range),
     .help = "one bit less for the weights of every layer at risk, to compare with"},
};

const struct cli_verb verb_fix = {
    .name = "fix",
    .operands = "MODEL -o OUT.onnx --target NAME",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "make an int8 model safe for a processor, whoever quantized it",
    .details =
        "Change an integer model so that no input overflows a register of the target, at the least\n"
        "cost in precision: input channels get an order in which neighbours do not overflow\n"
        "together, then the codes and scales of outputs that are still at risk are searched anew.\n"
        "QDQ stays QDQ, integer operators stay. The result is certified before it is written.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

static json_t *layer_json(const brim_fix_layer *l)
{
    return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:b,s:I,s:I,s:f,s:f}", "name", l->name, "k",
                     (json_int_t)l->k, "n", (json_int_t)l->n, "registers", (json_int_t)l->registers,
                     "at_risk", (json_int_t)l->at_risk, "channels_at_risk",
                     (json_int_t)l->channels_at_risk, "permuted", (int)l->permuted, "codes_changed",
                     (json_int_t)l->codes_changed, "scales_changed", (json_int_t)l->scales_changed,
                     "bits_lost", l->bits_lost, "bits_reduce_range", l->bits_reduce_range);
}

static int print_json(struct cli *cli, const brim_fix_report *r, const struct options *o)
{
    json_t *layers = json_array();

    for (size_t i = 0; i < r->n_layers; i++) {
        json_array_append_new(layers, layer_json(&r->layers[i]));
    }
    return cli_print_json(cli,
                          json_pack("{s:s,s:s,s:f,s:f,s:f,s:o}", "output", o->output, "target",
                                    o->target, "bits_lost", r->bits_lost, "bits_reduce_range",
                                    r->bits_reduce_range, "seconds", r->seconds, "layers", layers),
                          CLI_OK);
}

static void print_text(const brim_fix_report *r, const struct options *o)
{
    static const char *const headings[] = {
        "layer",         "K",      "N",         "at risk",     "channels", "order",
        "codes changed", "scales", "bits lost", "reduce_range"};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_fix_layer *l = &r->layers[i];
        cli_cell(&t, "%s", l->name);
        cli_cell(&t, "%zu", l->k);
        cli_cell(&t, "%zu", l->n);
        cli_cell(&t, "%llu of %llu", (unsigned long long)l->at_risk,
                 (unsigned long long)l->registers);
        cli_cell(&t, "%zu", l->channels_at_risk);
        cli_cell(&t, "%s", l->permuted ? "new" : "-");
        cli_cell(&t, "%.1f %%", 100.0 * (double)l->codes_changed / (double)(l->n * l->k));
        cli_cell(&t, "%zu", l->scales_changed);
        cli_cell(&t, "%.2f", l->bits_lost);
        cli_cell(&t, l->at_risk > 0 ? "%.2f" : "-", l->bits_reduce_range);
    }
    cli_table_print(&t);
    printf("%.2f bits lost on average (one bit less everywhere: %.2f); %s is safe for %s\n",
           r->bits_lost, r->bits_reduce_range, o->output, o->target);
}

/* What the verb opens. */
struct inputs {
    struct cli_target target;
    brim_graph *graph, *origin;
    brim_data *calib;
};

static int open_inputs(struct cli *cli, const struct options *o, struct inputs *in)
{
    int code = cli_find_target(cli, o->target, o->targets, &in->target);

    code = code == CLI_OK ? cli_check_output(cli, o->output) : code;
    code = code == CLI_OK ? cli_load(cli, cli->operand[0], &in->graph) : code;
    if (code == CLI_OK && o->origin != NULL) {
        code = cli_load(cli, o->origin, &in->origin);
    }
    if (code == CLI_OK && o->calib != NULL) {
        code = cli_open_data(cli, o->calib, &in->calib);
    }
    return code;
}

static int run(struct cli *cli, const struct options *o, const struct inputs *in)
{
    brim_fix_params p;
    brim_graph *out = NULL;
    brim_fix_report *report = NULL;
    int code = CLI_OK;

    brim_fix_params_init(&p);
    p.target = in->target.target;
    p.calib = in->calib;
    p.origin = in->origin;
    p.permute = !o->keep_order;
    p.method = o->reduce_range ? BRIM_FIX_REDUCE_RANGE : BRIM_FIX_SEARCH;
    brim_status s = brim_fix(cli->ctx, in->graph, &p, &out, &report);
    s = s == BRIM_OK ? brim_onnx_save(cli->ctx, out, o->output) : s;
    if (s != BRIM_OK) {
        code = cli_fail_status(cli, s);
    } else if (cli->json) {
        code = print_json(cli, report, o);
    } else if (!cli->quiet) {
        print_text(report, o);
    }
    brim_fix_report_free(report);
    brim_graph_free(out);
    return code;
}

int cmd_fix(struct cli *cli, char **argv)
{
    struct options o = {.output = NULL};
    struct inputs in = {.graph = NULL};
    int code;

    if (!cli_start(cli, &verb_fix, &o, argv, &code)) {
        return code;
    }
    if (o.output == NULL || o.target == NULL) {
        return cli_usage(&verb_fix, "expected --output OUT.onnx and --target NAME");
    }
    code = open_inputs(cli, &o, &in);
    code = code == CLI_OK ? run(cli, &o, &in) : code;
    cli_target_free(&in.target);
    brim_graph_free(in.graph);
    brim_graph_free(in.origin);
    brim_data_free(in.calib);
    return code;
}
