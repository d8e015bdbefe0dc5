/* open.c - what several verbs do. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"

int cli_load(struct cli *cli, const char *path, brim_graph **graph)
{
    const char *dot = strrchr(path, '.');
    const bool tflite = dot != NULL && strcmp(dot, ".tflite") == 0;
    const brim_status s =
        tflite ? brim_tflite_load(cli->ctx, path, graph) : brim_onnx_load(cli->ctx, path, graph);

    return s == BRIM_OK ? CLI_OK : cli_fail_status(cli, s);
}

int cli_open_data(struct cli *cli, const char *spec, brim_data **data)
{
    const brim_status s = brim_data_open(cli->ctx, spec, data);

    if (s == BRIM_ERR_ARG) {
        return cli_usage(cli->verb, "%s", brim_error(cli->ctx));
    }
    return s == BRIM_OK ? CLI_OK : cli_fail_status(cli, s);
}

int cli_parse_datapath(struct cli *cli, const char *option, const char *text, brim_datapath *dp)
{
    if (brim_datapath_parse(cli->ctx, text, dp) != BRIM_OK) {
        return cli_usage(cli->verb, "--%s: %s", option, brim_error(cli->ctx));
    }
    return CLI_OK;
}

json_t *cli_need_json(const unsigned *need, size_t n)
{
    json_t *a = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(a, json_integer((json_int_t)need[i]));
    }
    return a;
}

void cli_need_text(const unsigned *need, size_t n, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < n && used < size; i++) {
        const int w = snprintf(text + used, size - used, "%s%u", i > 0 ? "," : "", need[i]);
        used += w > 0 ? (size_t)w : 0;
    }
}
