/* formulas.h - what kernels compute, written once more from the headers' formulas.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_KERNELS_FORMULAS_H
#define BRIM_TESTS_KERNELS_FORMULAS_H

#include "checkasm.h"
#include "kernels/epilogue.h"

/* An epilogue of n channels, in sealed buffers of this case, for totals within +-reach. */
void check_make_epilogue(struct check *c, struct brim_epilogue *e, size_t n, int64_t reach);

extern const char *const check_emit_name[];
size_t check_emit_size(enum brim_emit emit);
/* One output. */
void check_emit(const struct brim_epilogue *e, int64_t total, size_t channel, void *y);

#endif
