/* file.h - files read with a limit, written whole or not at all. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef BRIM_BASE_FILE_H
#define BRIM_BASE_FILE_H

#include "base/alloc.h"

/* Read all of `path`, transparently inflating gzip (recognised by its magic bytes). Appends to
 * `out`, which is initialised here with ctx->params.max_file_bytes as its limit; free it in any
 * case. */
BRIM_NODISCARD brim_status brim_file_read(brim_ctx *ctx, const char *path, struct brim_buffer *out);

/* Write `n` bytes to a temporary file beside `path`, flush, then rename over it. On any failure or
 * cancellation nothing of `path` has changed and the temporary file is gone. */
BRIM_NODISCARD brim_status brim_file_write(brim_ctx *ctx, const char *path, const void *data,
                                           size_t n);

#endif
