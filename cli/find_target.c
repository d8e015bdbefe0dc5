/* find_target.c - a target by its name. SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"

int cli_find_target(struct cli *cli, const char *name, const char *path, struct cli_target *t)
{
    *t = (struct cli_target){0};
    const brim_status s = brim_targets_load(cli->ctx, path, &t->table);

    if (s != BRIM_OK) {
        return cli_fail_status(cli, s);
    }
    if (brim_targets_find(cli->ctx, t->table, name, &t->plain, &t->target) != BRIM_OK) {
        return cli_usage(cli->verb, "--target: %s", brim_error(cli->ctx));
    }
    return CLI_OK;
}

void cli_target_free(struct cli_target *t)
{
    brim_targets_free(t->table);
}
