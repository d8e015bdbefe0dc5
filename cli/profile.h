/* profile.h - a profile in words, JSON and CSV. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CLI_PROFILE_H
#define BRIM_CLI_PROFILE_H

#include "cli/cli.h"

/* In no layer can a result of this order have been wrong, of the outputs that were examined. */
bool cli_profile_is_clean(const brim_profile_report *r, unsigned width, size_t order);
/* The narrowest width from which on that is so; from which on no prediction changes. One more than
 * the last width when there is none. */
unsigned cli_profile_no_overflow(const brim_profile_report *r, size_t order);
unsigned cli_profile_no_change(const brim_profile_report *r, size_t order);

json_t *cli_profile_json(const brim_profile_report *r);
/* One line per layer, width and order. 0, or CLI_ERROR with a sentence. */
int cli_profile_csv(struct cli *cli, const brim_profile_report *r, const char *path);
/* The JSON document. 0, or CLI_ERROR with a sentence. */
int cli_profile_save(struct cli *cli, const brim_profile_report *r, const char *path);
void cli_profile_text(const brim_profile_report *r);

#endif
