/* testing.h - what every test program includes: cmocka, and a context that prints its errors.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_TESTING_H
#define BRIM_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "brim/base.h"

static inline brim_ctx *testing_ctx(int threads)
{
    brim_ctx_params p;
    brim_ctx *ctx;

    brim_ctx_params_init(&p);
    p.threads = threads;
    assert_int_equal(brim_ctx_create(&p, &ctx), BRIM_OK);
    return ctx;
}

/* Assert BRIM_OK, printing the context's sentence otherwise. */
#define ASSERT_OK(ctx, expr)                                                                       \
    do {                                                                                           \
        const brim_status assert_ok = (expr);                                                      \
        if (assert_ok != BRIM_OK) {                                                                \
            fail_msg("%s: %s (%s)", #expr, brim_error(ctx), brim_status_text(assert_ok));          \
        }                                                                                          \
    } while (0)

/* Assert a failure with this status whose sentence contains `text`; then clear it. */
#define ASSERT_FAILS(ctx, want, text, expr)                                                        \
    do {                                                                                           \
        assert_int_equal((expr), (want));                                                          \
        if (strstr(brim_error(ctx), (text)) == NULL) {                                             \
            fail_msg("%s: said \"%s\", expected \"%s\" in it", #expr, brim_error(ctx), (text));    \
        }                                                                                          \
        brim_clear_error(ctx);                                                                     \
    } while (0)

/* A file of the shared data folder, or a clear line and a skip when it is missing. */
#define REQUIRE_DATA(path)                                                                         \
    do {                                                                                           \
        if (access(BRIM_DATA_DIR "/" path, R_OK) != 0) {                                           \
            print_message("skipped: needs %s\n", BRIM_DATA_DIR "/" path);                          \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

#endif
