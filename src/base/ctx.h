/* ctx.h - what every room uses to fail, log and report progress. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Message grammar: "where: what is wrong, expected what"; lowercase, no full stop, no newline;
 * names file, node, layer, channel when known. The first error wins until brim_clear_error().
 */
#ifndef BRIM_BASE_CTX_H
#define BRIM_BASE_CTX_H

#include "brim/base.h"

struct brim_ctx {
    brim_ctx_params params;
    int threads;  /* resolved: >= 1 */
    uint32_t isa; /* enum brim_isa: what kernels may use */
    char error[512];
};

#if defined(__GNUC__)
#    define BRIM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#    define BRIM_PRINTF(f, a)
#endif

/* Record the first error's text and return `status`. */
brim_status brim_fail(brim_ctx *ctx, brim_status status, const char *fmt, ...) BRIM_PRINTF(3, 4);

/* Prepend "where: " to an error already recorded (a loader adds the file name, a stage the layer).
 */
brim_status brim_fail_at(brim_ctx *ctx, brim_status status, const char *fmt, ...) BRIM_PRINTF(3, 4);

void brim_log(brim_ctx *ctx, brim_log_level level, const char *fmt, ...) BRIM_PRINTF(3, 4);

/* Report progress; BRIM_ERR_CANCELLED when the user asks to stop. */
BRIM_NODISCARD brim_status brim_progress(brim_ctx *ctx, const char *stage, uint64_t done,
                                         uint64_t total);

/* Forward a failure: the only control-flow macro of the code base. */
#define BRIM_TRY(expr)                                                                             \
    do {                                                                                           \
        const brim_status try_status = (expr);                                                     \
        if (try_status != BRIM_OK) {                                                               \
            return try_status;                                                                     \
        }                                                                                          \
    } while (0)

#endif
