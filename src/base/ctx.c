/* ctx.c - the context: defaults, first-error text, log, progress. SPDX-License-Identifier:
 * Apache-2.0 */
#include "base/ctx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/parallel.h"

#define STRINGIFY_(x) #x
#define STRINGIFY(x)  STRINGIFY_(x)

void brim_ctx_params_init(brim_ctx_params *p)
{
    *p = (brim_ctx_params){
        .threads = 1,
        .seed = 1,
        .max_tensor_bytes = (size_t)2 << 30,
        .max_file_bytes = (size_t)4 << 30,
    };
}

brim_status brim_ctx_create(const brim_ctx_params *params, brim_ctx **ctx)
{
    brim_ctx_params p;

    *ctx = NULL;
    brim_ctx_params_init(&p);
    if (params != NULL) {
        p = *params;
    }
    uint32_t isa;
    if (p.threads < 0 || p.threads > 256 ||
        !brim_cpu_mask(p.cpu != NULL ? p.cpu : getenv("BRIM_CPU"), &isa)) {
        return BRIM_ERR_ARG;
    }
    brim_ctx *c = p.alloc != NULL ? p.alloc(p.user, sizeof *c) : malloc(sizeof *c);
    if (c == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memset(c, 0, sizeof *c);
    brim_parallel_init();
    c->params = p;
    c->params.cpu = NULL; /* the caller's text may not live as long */
    c->isa = isa;
    c->threads = p.threads;
    if (c->threads == 0) {
        const long n = sysconf(_SC_NPROCESSORS_ONLN);
        c->threads = n < 1 ? 1 : n > 256 ? 256 : (int)n;
    }
    *ctx = c;
    return BRIM_OK;
}

void brim_ctx_free(brim_ctx *ctx)
{
    if (ctx == NULL) {
        return;
    }
    if (ctx->params.free != NULL) {
        ctx->params.free(ctx->params.user, ctx);
    } else {
        free(ctx);
    }
}

const char *brim_error(const brim_ctx *ctx)
{
    return ctx->error;
}

void brim_clear_error(brim_ctx *ctx)
{
    ctx->error[0] = '\0';
}

const char *brim_status_text(brim_status status)
{
    switch (status) {
    case BRIM_OK:
        return "ok";
    case BRIM_ERR_NOMEM:
        return "out of memory";
    case BRIM_ERR_ARG:
        return "invalid argument";
    case BRIM_ERR_IO:
        return "input/output error";
    case BRIM_ERR_FILE:
        return "malformed file";
    case BRIM_ERR_UNSUPPORTED:
        return "unsupported";
    case BRIM_ERR_INFEASIBLE:
        return "infeasible";
    case BRIM_ERR_REFUTED:
        return "refuted";
    case BRIM_ERR_CANCELLED:
        return "cancelled";
    case BRIM_ERR_INTERNAL:
        return "internal error";
    }
    return "unknown status";
}

const char *brim_version(void)
{
    return STRINGIFY(BRIM_VERSION_MAJOR) "." STRINGIFY(BRIM_VERSION_MINOR) "." STRINGIFY(
        BRIM_VERSION_PATCH);
}

brim_status brim_fail(brim_ctx *ctx, brim_status status, const char *fmt, ...)
{
    char text[sizeof ctx->error];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
#pragma omp critical(brim_error_text) /* bodies of brim_parallel_for() fail too */
    if (ctx->error[0] == '\0') {
        memcpy(ctx->error, text, sizeof text);
    }
    return status;
}

brim_status brim_fail_at(brim_ctx *ctx, brim_status status, const char *fmt, ...)
{
    char text[2 * sizeof ctx->error];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof ctx->error, fmt, ap);
    va_end(ap);
    n = n < 0 ? 0 : n < (int)sizeof ctx->error ? n : (int)sizeof ctx->error - 1;
    snprintf(text + n, sizeof text - (size_t)n, ": %s",
             ctx->error[0] != '\0' ? ctx->error : brim_status_text(status));
    memcpy(ctx->error, text, sizeof ctx->error - 1);
    ctx->error[sizeof ctx->error - 1] = '\0';
    return status;
}

void brim_log(brim_ctx *ctx, brim_log_level level, const char *fmt, ...)
{
    char line[512];
    va_list ap;

    if (ctx->params.log == NULL) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    ctx->params.log(ctx->params.user, level, line);
}

brim_status brim_progress(brim_ctx *ctx, const char *stage, uint64_t done, uint64_t total)
{
    if (ctx->params.progress != NULL &&
        !ctx->params.progress(ctx->params.user, stage, done, total)) {
        return brim_fail(ctx, BRIM_ERR_CANCELLED, "cancelled");
    }
    return BRIM_OK;
}
