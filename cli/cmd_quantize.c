/* cmd_quantize.c - brim quantize MODEL -o OUT --calib DATA. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"
#include "cli/override.h"

struct options {
    const char *output, *calib, *datapath;
    int64_t wbits, abits, input_bits, edge_bits, solver, budget, range, act, effort;
    int64_t vector, scale_bits, scale_product, vector_range, vector_inputs, prune_block, saliency;
    double percentile, damping, vector_percentile;
    bool no_bias_correction, published_order, prune_last;
    const char *prune;
    struct cli_list layers;
};

#define FIELD(name) offsetof(struct options, name)

static const struct cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .value = "OUT.onnx",
     .offset = FIELD(output),
     .help = "the quantized model (required)"},
    {.name = "calib",
     .kind = CLI_STRING,
     .value = "DATA",
     .offset = FIELD(calib),
     .help = "calibration data (required; see brim data --help)"},
    {.name = "wbits",
     .letter = 'w',
     .kind = CLI_BITS,
     .value = "2..8|auto",
     .offset = FIELD(wbits),
     .lo = 2,
     .hi = 8,
     .help = "weight bits, an upper limit with the budget `exact` (default 8)"},
    {.name = "abits",
     .letter = 'a',
     .kind = CLI_BITS,
     .value = "2..8|16|auto",
     .offset = FIELD(abits),
     .lo = 2,
     .hi = 8,
     .also = 16,
     .help = "activation bits (default 8)"},
    {.name = "input-bits",
     .kind = CLI_BITS,
     .value = "2..8|16|auto",
     .offset = FIELD(input_bits),
     .lo = 2,
     .hi = 8,
     .also = 16,
     .help = "bits of the model's own inputs (default 8); auto = as --abits"},
    {.name = "edge-bits",
     .kind = CLI_INT,
     .value = "2..8",
     .offset = FIELD(edge_bits),
     .lo = 2,
     .hi = 8,
     .help = "bits of weights and inputs in the first and last layers (default: as the rest)"},
    {.name = "datapath",
     .kind = CLI_STRING,
     .value = "D",
     .offset = FIELD(datapath),
     .help = "registers of every dot product: 16, 16/64,32, 16/2s,32 ... (default 32)"},
    {.name = "solver",
     .kind = CLI_CHOICE,
     .value = "rtn|gpfq|optq|qronos",
     .offset = FIELD(solver),
     .help = "how weights are rounded (default optq)"},
    {.name = "budget",
     .kind = CLI_CHOICE,
     .value = "none|project|axe|exact",
     .offset = FIELD(budget),
     .help = "how they are kept under the datapath (default exact)"},
    {.name = "range",
     .kind = CLI_CHOICE,
     .value = "auto|max|percentile|mse",
     .offset = FIELD(range),
     .help = "how activation ranges are chosen (default auto: mse below 7 bits, else max)"},
    {.name = "percentile",
     .kind = CLI_REAL,
     .value = "P",
     .offset = FIELD(percentile),
     .lo = 50,
     .hi = 100,
     .help = "for --range percentile (default 99.999)"},
    {.name = "act",
     .kind = CLI_CHOICE,
     .value = "asymmetric|symmetric",
     .offset = FIELD(act),
     .help = "codes of inputs that can be negative (default asymmetric)"},
    {.name = "no-bias-correction",
     .kind = CLI_FLAG,
     .offset = FIELD(no_bias_correction),
     .help = "leave the biases as they are"},
    {.name = "damping",
     .kind = CLI_REAL,
     .value = "D",
     .offset = FIELD(damping),
     .lo = 0,
     .hi = 1,
     .help = "share of the mean diagonal added to the second moments (default 0.01)"},
    {.name = "effort",
     .kind = CLI_INT,
     .value = "0..2",
     .offset = FIELD(effort),
     .lo = 0,
     .hi = 2,
     .help = "how long the budget `exact` searches (default 1)"},
    {.name = "vector",
     .kind = CLI_INT,
     .value = "V",
     .offset = FIELD(vector),
     .lo = 8,
     .hi = 128,
     .help = "a weight scale for every V products (default: one per output); a datapath P stands\n"
             "for P/V,32"},
    {.name = "scale-bits",
     .kind = CLI_INT,
     .value = "0|3..10",
     .offset = FIELD(scale_bits),
     .lo = 0,
     .hi = 10,
     .help = "bits of the vectors' integer scales; 0 = float scales (default 4)"},
    {.name = "scale-product",
     .kind = CLI_INT,
     .value = "R",
     .offset = FIELD(scale_product),
     .lo = 1,
     .hi = 20,
     .help =
         "keep the upper R bits of products of two integer scales, rounded half up (default all)"},
    {.name = "vector-range",
     .kind = CLI_CHOICE,
     .value = "max|percentile|mse",
     .offset = FIELD(vector_range),
     .help = "how far a vector's codes reach (default max)"},
    {.name = "vector-percentile",
     .kind = CLI_REAL,
     .value = "P",
     .offset = FIELD(vector_percentile),
     .lo = 50,
     .hi = 100,
     .help = "for --vector-range percentile (default 99)"},
    {.name = "vector-inputs",
     .kind = CLI_CHOICE,
     .value = "none|static|dynamic",
     .offset = FIELD(vector_inputs),
     .help = "integer scales for the vectors of inputs too: calibrated, or found at run time\n"
             "(default none)"},
    {.name = "published-order",
     .kind = CLI_FLAG,
     .offset = FIELD(published_order),
     .help = "round codes at the float scale, then the scale to nearest; may clip"},
    {.name = "prune",
     .kind = CLI_STRING,
     .value = "KEEP:GROUP",
     .offset = FIELD(prune),
     .help = "keep KEEP of every GROUP inputs, in layers that do not read the model's input"},
    {.name = "prune-block",
     .kind = CLI_INT,
     .value = "B",
     .offset = FIELD(prune_block),
     .lo = 1,
     .hi = 4096,
     .help = "outputs that share a pattern (default 1)"},
    {.name = "saliency",
     .kind = CLI_CHOICE,
     .value = "magnitude|moments",
     .offset = FIELD(saliency),
     .help = "what is kept (default magnitude)"},
    {.name = "prune-last",
     .kind = CLI_FLAG,
     .offset = FIELD(prune_last),
     .help = "prune the codes after quantizing, for comparison"},
    {.name = "layer",
     .kind = CLI_LIST,
     .value = "'PATTERN:KEY=V,...'",
     .offset = FIELD(layers),
     .help = "override for layers of this name: wbits= abits= datapath= dense or float\n"
             "(repeatable)"},
};

const struct cli_verb verb_quantize = {
    .name = "quantize",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "float ONNX in, certified narrow-accumulator ONNX out",
    .details =
        "Quantize a float model layer by layer so that every dot product provably fits its datapath.\n"
        "The model written is standard ONNX (QuantizeLinear, DequantizeLinear, integer weights) and\n"
        "has been certified; when a layer cannot fit, nothing is written, the layer is named, exit 3.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

static json_t *report_json(const brim_quantize_report *r)
{
    json_t *layers = json_array();

    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_quantize_layer *l = &r->layers[i];
        json_array_append_new(
            layers, json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:o,s:f}", "name", l->name,
                              "k", (json_int_t)l->k, "n", (json_int_t)l->n, "wbits",
                              (json_int_t)l->wbits, "abits", (json_int_t)l->abits, "levels",
                              (json_int_t)l->levels, "vector", (json_int_t)l->vector, "weight_bits",
                              l->weight_bits, "rel_error", l->rel_error, "sparsity", l->sparsity,
                              "need", cli_need_json(l->need, l->n_stages), "seconds", l->seconds));
    }
    return json_pack("{s:o,s:f,s:f}", "layers", layers, "seconds", r->seconds, "peak_rss_mb",
                     r->peak_rss_mb);
}

static void print_text(const brim_quantize_report *r, const char *path)
{
    static const char *const headings[] = {"layer", "K",         "N",     "weights", "inputs",
                                           "need",  "rel error", "zeros", "seconds"};
    struct cli_table t;

    cli_table_init(&t, sizeof headings / sizeof *headings, headings);
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_quantize_layer *l = &r->layers[i];
        char need[64];
        cli_need_text(l->need, l->n_stages, need, sizeof need);
        cli_cell(&t, "%s", l->name);
        cli_cell(&t, "%zu", l->k);
        cli_cell(&t, "%zu", l->n);
        cli_cell(&t, "%u", l->wbits);
        cli_cell(&t, "%u", l->abits);
        cli_cell(&t, "%s", need);
        cli_cell(&t, "%.6f", l->rel_error);
        cli_cell(&t, "%.3f", l->sparsity);
        cli_cell(&t, "%.2f", l->seconds);
    }
    cli_table_print(&t);
    printf("%s: %zu layers certified, %.1f s, %.0f MB\n", path, r->n_layers, r->seconds,
           r->peak_rss_mb);
}

/* --vector and --prune, with everything that only makes sense beside them. */
static int fill_vectors(struct cli *cli, const struct options *o, brim_quantize_params *p)
{
    if (o->vector == 0 && (o->scale_bits >= 0 || o->published_order || o->vector_range != 0 ||
                           o->vector_inputs != 0 || o->scale_product != 0)) {
        return cli_usage(cli->verb,
                         "--scale-bits, --scale-product, --vector-range, --vector-inputs "
                         "and --published-order need --vector");
    }
    if (o->scale_bits == 1 || o->scale_bits == 2) {
        return cli_usage(cli->verb, "scale-bits: '%d', expected 0 or 3..10", (int)o->scale_bits);
    }
    if (o->vector_inputs != 0 && o->scale_bits == 0) {
        return cli_usage(cli->verb, "--vector-inputs needs integer scales, --scale-bits 3..10");
    }
    if (o->scale_product != 0 && o->scale_bits == 0) {
        return cli_usage(cli->verb, "--scale-product needs integer scales, --scale-bits 3..10");
    }
    p->scale_product = (unsigned)o->scale_product;
    p->vector_inputs = (brim_vector_inputs)o->vector_inputs;
    p->solve.vector =
        (brim_vector_params){.length = (size_t)o->vector,
                             .scale_bits = o->scale_bits < 0 ? 4 : (unsigned)o->scale_bits,
                             .range = (brim_range_method)o->vector_range,
                             .percentile = o->vector_percentile,
                             .published_order = o->published_order};
    if (o->prune == NULL) {
        return o->prune_block > 1 || o->saliency != 0 || o->prune_last
                   ? cli_usage(cli->verb, "--prune-block, --saliency and --prune-last need --prune")
                   : CLI_OK;
    }
    char keep[8];
    const size_t n = strcspn(o->prune, ":");
    int64_t kept, group;
    if (n >= sizeof keep || o->prune[n] != ':') {
        return cli_usage(cli->verb, "prune: '%s', expected KEEP:GROUP", o->prune);
    }
    memcpy(keep, o->prune, n);
    keep[n] = '\0';
    if (!cli_parse_int(keep, 1, 63, &kept) || !cli_parse_int(o->prune + n + 1, 2, 64, &group) ||
        kept >= group) {
        return cli_usage(cli->verb, "prune: '%s', expected KEEP:GROUP with 1 <= KEEP < GROUP <= 64",
                         o->prune);
    }
    p->prune.keep = (unsigned)kept;
    p->prune.group = (unsigned)group;
    p->prune.block = (unsigned)o->prune_block;
    p->prune.saliency = (brim_saliency)o->saliency;
    p->prune_last = o->prune_last;
    return CLI_OK;
}

static int fill_params(struct cli *cli, const struct options *o, struct cli_overrides *overrides,
                       brim_quantize_params *p)
{
    brim_quantize_params_init(p);
    p->solve.solver = (brim_solver)o->solver;
    p->solve.budget = (brim_budget)o->budget;
    p->solve.wbits = o->wbits == 0 ? 8 : (unsigned)o->wbits;
    p->wbits_auto = o->wbits == 0;
    p->abits = (unsigned)o->abits;
    p->input_bits = (unsigned)o->input_bits;
    p->edge_bits = (unsigned)o->edge_bits;
    p->act_symmetric = o->act == 1;
    p->range_auto = o->range == 0;
    p->range = o->range == 0 ? BRIM_RANGE_MAX : (brim_range_method)(o->range - 1);
    p->bias_correction = !o->no_bias_correction;
    p->solve.effort = (unsigned)o->effort;
    p->percentile = o->percentile;
    p->solve.damping = o->damping;
    if (o->datapath != NULL) {
        const int code = cli_parse_datapath(cli, "datapath", o->datapath, &p->datapath);
        if (code != CLI_OK) {
            return code;
        }
    }
    int code = fill_vectors(cli, o, p);
    if (code != CLI_OK) {
        return code;
    }
    code = cli_parse_overrides(cli, &o->layers, overrides);
    p->overrides = overrides->item;
    p->n_overrides = overrides->n;
    return code;
}

static int quantize(struct cli *cli, const struct options *o, const brim_quantize_params *p,
                    const brim_graph *graph, const brim_data *calib)
{
    brim_graph *out = NULL;
    brim_quantize_report *report = NULL;
    int code = CLI_OK;

    brim_status s = brim_quantize(cli->ctx, graph, calib, p, &out, &report);
    if (s == BRIM_OK && cli_interrupted()) {
        s = BRIM_ERR_CANCELLED;
    }
    if (s == BRIM_OK) {
        s = brim_onnx_save(cli->ctx, out, o->output);
    }
    if (s != BRIM_OK) {
        code = cli_fail_status(cli, s);
    } else if (cli->json) {
        code = cli_print_json(cli, report_json(report), CLI_OK);
    } else {
        cli_end_progress(cli);
        print_text(report, o->output);
    }
    brim_quantize_report_free(report);
    brim_graph_free(out);
    return code;
}

/* Options that are wrong before any file is opened. */
static int check_options(struct cli *cli, const struct options *o, struct cli_overrides *overrides,
                         brim_quantize_params *p)
{
    if (o->output == NULL) {
        return cli_usage(&verb_quantize, "expected --output OUT.onnx");
    }
    if (o->calib == NULL) {
        return cli_usage(&verb_quantize, "expected --calib DATA");
    }
    const int code = fill_params(cli, o, overrides, p);
    return code != CLI_OK ? code : cli_check_output(cli, o->output);
}

int cmd_quantize(struct cli *cli, char **argv)
{
    struct options o = {.wbits = 8,
                        .abits = 8,
                        .input_bits = 8,
                        .solver = BRIM_SOLVER_OPTQ,
                        .budget = BRIM_BUDGET_EXACT,
                        .effort = 1,
                        .scale_bits = -1,
                        .prune_block = 1,
                        .vector_percentile = 99,
                        .percentile = 99.999,
                        .damping = 0.01};
    struct cli_overrides overrides = {0};
    brim_quantize_params p;
    brim_graph *graph = NULL;
    brim_data *calib = NULL;
    int code;

    if (!cli_start(cli, &verb_quantize, &o, argv, &code)) {
        return code;
    }
    code = check_options(cli, &o, &overrides, &p);
    if (code == CLI_OK) {
        code = cli_load(cli, cli->operand[0], &graph);
    }
    if (code == CLI_OK) {
        code = cli_open_data(cli, o.calib, &calib);
    }
    if (code == CLI_OK) {
        code = quantize(cli, &o, &p, graph, calib);
    }
    brim_data_free(calib);
    brim_graph_free(graph);
    return code;
}
