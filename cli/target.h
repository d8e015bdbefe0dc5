/* target.h - named targets on the command line. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CLI_TARGET_H
#define BRIM_CLI_TARGET_H

#include "cli/cli.h"

/* A target that a verb was asked for. */
struct cli_target {
    brim_targets *table;
    brim_target plain;
    const brim_target *target;
};

/* Look `name` up in the built-in table and the file `path` (or NULL). CLI_OK, or an exit code after
 * the sentence. Release with cli_target_free() in any case. */
int cli_find_target(struct cli *cli, const char *name, const char *path, struct cli_target *t);
void cli_target_free(struct cli_target *t);

/* brim certify MODEL --target NAME, with `data` = NULL or what to run it on. */
int cli_certify_target(struct cli *cli, const brim_graph *graph, const brim_target *target,
                       const brim_data *data);

#endif
