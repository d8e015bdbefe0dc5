/* override.h - --layer 'PATTERN:wbits=4,abits=8,datapath=16/64,32' or 'PATTERN:float'.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CLI_OVERRIDE_H
#define BRIM_CLI_OVERRIDE_H

#include "cli/cli.h"

struct cli_overrides {
    size_t n;
    brim_quantize_override item[CLI_LIST_MAX];
    brim_datapath datapath[CLI_LIST_MAX];
    char text[CLI_LIST_MAX][256]; /* what patterns point into */
};

/* CLI_OK, or CLI_USAGE with a sentence naming the part that is wrong. */
int cli_parse_overrides(struct cli *cli, const struct cli_list *list, struct cli_overrides *out);

#endif
