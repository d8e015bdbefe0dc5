/* read_target.h - one target from its JSON object. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TARGET_READ_TARGET_H
#define BRIM_TARGET_READ_TARGET_H

#include <jansson.h>

#include "base/alloc.h"
#include "brim/target.h"

/* Fill `out`, strings from `arena`. BRIM_ERR_FILE: the error names target and field. */
BRIM_NODISCARD brim_status brim_target_read(struct brim_arena *arena, json_t *object,
                                            brim_target *out);

#endif
