/* brim/base.h - status codes, the context that carries errors, threads and limits.
 *
 * Every fallible function of brim returns a brim_status and, on failure, leaves one sentence in the
 * context: `brim_error(ctx)`. Results come through out-parameters, written only on BRIM_OK.
 */
#ifndef BRIM_BASE_H
#define BRIM_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(BRIM_BUILD_SHARED) && defined(__GNUC__)
#    define BRIM_API __attribute__((visibility("default")))
#else
#    define BRIM_API
#endif
#if defined(__GNUC__)
#    define BRIM_NODISCARD __attribute__((warn_unused_result))
#else
#    define BRIM_NODISCARD
#endif

#define BRIM_VERSION_MAJOR 0
#define BRIM_VERSION_MINOR 1
#define BRIM_VERSION_PATCH 0

/** What the calling program can do about a failure; the text of brim_error() says what happened. */
typedef enum brim_status {
    BRIM_OK = 0,              /**< done */
    BRIM_ERR_NOMEM = 1,       /**< an allocation failed; nothing was changed */
    BRIM_ERR_ARG = 2,         /**< the caller passed something meaningless */
    BRIM_ERR_IO = 3,          /**< the operating system refused to read or write */
    BRIM_ERR_FILE = 4,        /**< a file's contents are malformed */
    BRIM_ERR_UNSUPPORTED = 5, /**< well-formed, but outside what brim does */
    BRIM_ERR_INFEASIBLE = 6,  /**< no weights satisfy the datapath: a negative answer */
    BRIM_ERR_REFUTED = 7,     /**< a proof does not hold: a negative answer */
    BRIM_ERR_CANCELLED = 8,   /**< the progress callback asked to stop */
    BRIM_ERR_INTERNAL = 9     /**< an invariant of brim itself broke; please report it */
} brim_status;

typedef enum brim_log_level {
    BRIM_LOG_ERROR = 0,
    BRIM_LOG_WARN = 1,
    BRIM_LOG_INFO = 2,
    BRIM_LOG_DEBUG = 3
} brim_log_level;

/** One context per thread of control: options in, first error out. Not shared between threads. */
typedef struct brim_ctx brim_ctx;

/** How a context behaves; start from brim_ctx_params_init(). */
typedef struct brim_ctx_params {
    int threads;             /**< 1..256 worker threads, 0 = one per core; default 1 */
    uint64_t seed;           /**< seeds whatever is random; default 1 */
    size_t max_tensor_bytes; /**< largest single tensor a file may ask for; default 2 GiB */
    size_t max_file_bytes;   /**< largest file read into memory; default 4 GiB */
    /** Finished line without newline, or NULL for silence (default). */
    void (*log)(void *user, brim_log_level level, const char *line);
    /** Called now and then from the calling thread; false cancels. NULL = never (default). */
    bool (*progress)(void *user, const char *stage, uint64_t done, uint64_t total);
    /** Replaces malloc/free when not NULL (64-byte alignment is added on top). */
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *p);
    void *user; /**< passed to all of the above */
    /** Use no instruction set beyond this level of brim_cpu_level_at(); NULL (default) = the
     *  environment's BRIM_CPU if set, else all that the machine has. Never changes a result. */
    const char *cpu;
} brim_ctx_params;

/** Fill `p` with the defaults named beside each field. */
BRIM_API void brim_ctx_params_init(brim_ctx_params *p);

/**
 * Create a context.
 *
 * @param      params  NULL for defaults. Copied.
 * @param[out] ctx     Owned by the caller, release with brim_ctx_free().
 * @retval BRIM_ERR_ARG    `threads` is outside 0..256, or `cpu` is not a level that this machine has.
 * @retval BRIM_ERR_NOMEM  out of memory.
 */
BRIM_API BRIM_NODISCARD brim_status brim_ctx_create(const brim_ctx_params *params, brim_ctx **ctx);
BRIM_API void brim_ctx_free(brim_ctx *ctx);

/** The sentence of the first error since the last successful public call; "" if none.
 *  Borrowed until the next call that takes `ctx`. */
BRIM_API const char *brim_error(const brim_ctx *ctx);

/** Forget the current error. */
BRIM_API void brim_clear_error(brim_ctx *ctx);

/** Short name of a status: "out of memory", "bad file", ... Never NULL. */
BRIM_API const char *brim_status_text(brim_status status);

/** A set of instruction sets that kernels are written for, from oldest to newest. */
typedef struct brim_cpu_level {
    const char *name; /**< "avx2" */
    const char *what; /**< for people */
    bool present;     /**< on this machine */
} brim_cpu_level;

/** Levels of this architecture; the first, "scalar", is always present. `i` counts from 0. */
BRIM_API size_t brim_cpu_level_count(void);
BRIM_API brim_cpu_level brim_cpu_level_at(size_t i);

/** "0.1.0". */
BRIM_API const char *brim_version(void);

#ifdef __cplusplus
}
#endif
#endif
