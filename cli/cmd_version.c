/* cmd_version.c - brim version. SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

const struct cli_verb verb_version = {
    .name = "version",
    .operands = "",
    .summary = "the version",
    .details = "Print the version.",
};

int cmd_version(struct cli *cli, char **argv)
{
    int code;

    if (!cli_start(cli, &verb_version, NULL, argv, &code)) {
        return code;
    }
    if (cli->json) {
        return cli_print_json(cli, json_pack("{s:s}", "version", brim_version()), CLI_OK);
    }
    printf("brim %s\n", brim_version());
    return CLI_OK;
}
