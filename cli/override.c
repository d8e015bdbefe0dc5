/* override.c - see override.h. SPDX-License-Identifier: Apache-2.0 */
#include "cli/override.h"

#include <string.h>

static bool parse_bits(const char *text, int64_t also, unsigned *out)
{
    int64_t v;

    if (!cli_parse_int(text, 2, 8, &v) && !cli_parse_int(text, also, also, &v)) {
        return false;
    }
    *out = (unsigned)v;
    return true;
}

/* The end of a part: a comma, but a datapath's own commas are followed by a digit. */
static char *part_end(char *part)
{
    char *end = part + strcspn(part, ",");

    while (*end == ',' && end[1] >= '0' && end[1] <= '9') {
        end += 1 + strcspn(end + 1, ",");
    }
    return end;
}

static int parse_part(struct cli *cli, const char *part, brim_quantize_override *o,
                      brim_datapath *dp)
{
    if (strcmp(part, "float") == 0) {
        o->keep_float = true;
        return CLI_OK;
    }
    if (strcmp(part, "dense") == 0) {
        o->keep_dense = true;
        return CLI_OK;
    }
    if (strncmp(part, "datapath=", 9) == 0) {
        o->datapath = dp;
        return cli_parse_datapath(cli, "layer", part + 9, dp);
    }
    if (strncmp(part, "wbits=", 6) == 0 && parse_bits(part + 6, 8, &o->wbits)) {
        return CLI_OK;
    }
    if (strncmp(part, "abits=", 6) == 0 && parse_bits(part + 6, 16, &o->abits)) {
        return CLI_OK;
    }
    return cli_usage(
        cli->verb, "--layer: '%s', expected wbits=2..8, abits=2..8|16, datapath=D, dense or float",
        part);
}

static int parse_one(struct cli *cli, const char *spec, char text[256], brim_quantize_override *o,
                     brim_datapath *dp)
{
    if (strlen(spec) >= 256) {
        return cli_usage(cli->verb, "--layer: longer than 255 characters");
    }
    memcpy(text, spec, strlen(spec) + 1);
    char *colon = strrchr(text, ':'); /* node names may hold colons, values do not */
    if (colon == NULL || colon == text) {
        return cli_usage(cli->verb, "--layer: '%s', expected PATTERN:KEY=VALUE,...", spec);
    }
    *colon = '\0';
    o->pattern = text;
    for (char *part = colon + 1;;) {
        char *end = part_end(part);
        const bool last = *end == '\0';
        *end = '\0';
        const int code = parse_part(cli, part, o, dp);
        if (code != CLI_OK || last) {
            return code;
        }
        part = end + 1;
    }
}

int cli_parse_overrides(struct cli *cli, const struct cli_list *list, struct cli_overrides *out)
{
    out->n = list->n;
    for (size_t i = 0; i < list->n; i++) {
        const int code =
            parse_one(cli, list->item[i], out->text[i], &out->item[i], &out->datapath[i]);
        if (code != CLI_OK) {
            return code;
        }
    }
    return CLI_OK;
}
