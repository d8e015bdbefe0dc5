/* targets.h - targets from text. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TARGET_TARGETS_H
#define BRIM_TARGET_TARGETS_H

#include "brim/target.h"

/* The built-in table and the n bytes of `text`, a file of targets; NULL = none. */
BRIM_NODISCARD brim_status brim_targets_parse(brim_ctx *ctx, const void *text, size_t n,
                                              brim_targets **targets);

#endif
