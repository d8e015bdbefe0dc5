/* train_history.h - what brim train says about epochs and results. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CLI_TRAIN_HISTORY_H
#define BRIM_CLI_TRAIN_HISTORY_H

#include "cli/cli.h"

/* The note behind the progress of a terminal. */
void cli_train_note(struct cli *cli, const brim_train_step *s);
/* One line: JSON, or words where a person reads. */
void cli_train_epoch(struct cli *cli, const brim_train_epoch *e);
json_t *cli_train_json(const brim_train_report *r);
void cli_train_text(const brim_train_report *r, const char *path);
/* Model and history, both or neither. */
int cli_train_save(struct cli *cli, const brim_graph *graph, const brim_train_report *r,
                   const char *model, const char *history);

#endif
