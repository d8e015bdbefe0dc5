/* checkasm.h - every variant of every kernel family against the family's formula, in guarded memory.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A family lists its variants from its own table and checks one of them on one case, which is
 * whatever its 64-bit seed says: shape, pattern, placement, data. Buffers end at a page that may not
 * be touched, or begin behind one, or lie unaligned between bytes that must not change.
 *
 * Needs libc, base/ and the kernels alone, so that it runs under an emulator and in a module, too.
 */
#ifndef BRIM_TESTS_KERNELS_CHECKASM_H
#define BRIM_TESTS_KERNELS_CHECKASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/rng.h"

#if defined(__GNUC__)
#    define CHECK_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#    define CHECK_PRINTF(f, a)
#endif

struct check {
    brim_ctx *ctx;
    struct brim_rng rng; /* of this case */
};

struct check_variant {
    const char *name;
    uint32_t isa;
};

struct check_family {
    const char *name;
    size_t (*count)(void);
    struct check_variant (*variant)(size_t i);
    unsigned cases; /* of each variant, unless the user asks for another number */
    void (*run)(struct check *c, size_t i);
};

/* Every family; check_NAME is defined in check_NAME.c, which checkasm.cmake lists. */
// clang-format off
#define CHECK_FAMILIES(family) \
    family(conv) \
    family(depthwise) \
    family(epilogue) \
    family(gemm) \
    family(gemv) \
    family(lookup) \
    family(sparse) \
    family(simulate)
// clang-format on

#define CHECK_DECLARE(name) extern const struct check_family check_##name;
CHECK_FAMILIES(CHECK_DECLARE)

/* What the case is, printed when it fails. Each call replaces the text. */
void check_describe(struct check *c, const char *fmt, ...) CHECK_PRINTF(2, 3);

/* The case failed: say so, with the command that runs it again, and leave. */
_Noreturn void check_fail(struct check *c, const char *fmt, ...) CHECK_PRINTF(2, 3);

/* `bytes` bytes of noise for this case, at a multiple of `align` (a power of two): at the end of
 * readable memory, at its beginning, or anywhere. The name is borrowed. */
void *check_buffer(struct check *c, const char *name, size_t bytes, size_t align);

/* From here on the buffer may only be read. */
void check_seal(struct check *c, const void *buffer);

/* Two buffers of this case hold the same bytes, padding included; said in elements of `size` bytes,
 * `stride` of them to a row. */
void check_same(struct check *c, const void *got, const void *want, size_t size, size_t stride);

/* Uniform in lo..hi, both included. */
int64_t check_range(struct check *c, int64_t lo, int64_t hi);
/* True once in n. */
bool check_once_in(struct check *c, uint64_t n);
/* A length that kernels stumble over: around a multiple of `unit`, at most `max`; at least 1. */
size_t check_length(struct check *c, size_t unit, size_t max);

/* Integer inputs within lo..hi. */
enum check_pattern {
    CHECK_RANDOM,
    CHECK_LEAST,
    CHECK_GREATEST,
    CHECK_ALTERNATING, /* least and greatest, in runs of 1, 2, 4 or 64 */
    CHECK_CORNERS,     /* least or greatest by chance */
    CHECK_FEW,         /* mostly 0, or what is nearest to it */
    CHECK_PATTERNS
};
extern const char *const check_pattern_name[CHECK_PATTERNS];
enum check_pattern check_any_pattern(struct check *c);
void check_fill(struct check *c, enum check_pattern p, int32_t *x, size_t n, int32_t lo,
                int32_t hi);

#endif
