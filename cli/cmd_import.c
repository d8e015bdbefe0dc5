/* cmd_import.c - brim import MODEL -o OUT.onnx. SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "cli/cli.h"

struct import {
    const char *output;
};

static const struct cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .value = "FILE",
     .offset = offsetof(struct import, output),
     .help = "the ONNX file to write (required)"},
};

const struct cli_verb verb_import = {
    .name = "import",
    .operands = "MODEL -o OUT.onnx",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "another tool's model as a standard ONNX file",
    .details =
        "Read a TensorFlow Lite model (.tflite), or an ONNX model in another tool's words, and\n"
        "write what brim makes of it: the same codes and scales as QuantizeLinear,\n"
        "DequantizeLinear and integer constants. Every verb reads these models by itself; the\n"
        "file is for tools that do not, brim-check among them.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
};

int cmd_import(struct cli *cli, char **argv)
{
    struct import o = {.output = NULL};
    brim_graph *graph = NULL;
    int code;

    if (!cli_start(cli, &verb_import, &o, argv, &code)) {
        return code;
    }
    if (o.output == NULL) {
        return cli_usage(&verb_import, "expected --output OUT.onnx");
    }
    if ((code = cli_check_output(cli, o.output)) != CLI_OK ||
        (code = cli_load(cli, cli->operand[0], &graph)) != CLI_OK) {
        return code;
    }
    const brim_status s = brim_onnx_save(cli->ctx, graph, o.output);
    brim_graph_free(graph);
    if (s != BRIM_OK) {
        return cli_fail_status(cli, s);
    }
    return cli->json ? cli_print_json(cli, json_pack("{s:s}", "output", o.output), CLI_OK) : CLI_OK;
}
