/* starving.h - a context whose n-th allocation fails. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_STARVING_H
#define BRIM_TESTS_STARVING_H

#include <stdlib.h>

#include "testing.h"

struct starving {
    long left; /* allocations until one fails; negative = none fails */
    long alive;
    bool failed;
};

static inline void *starving_alloc(void *user, size_t bytes)
{
    struct starving *s = user;

    if (s->left-- == 0) {
        s->failed = true;
        return NULL;
    }
    s->alive++;
    return malloc(bytes);
}

static inline void starving_free(void *user, void *p)
{
    struct starving *s = user;

    s->alive -= p != NULL;
    free(p);
}

/* Run `body` again and again, each time with another allocation failing, until none does: a clean
 * refusal each time, and nothing left behind. Returns how many allocations there were. */
static inline long starving_try(brim_status (*body)(brim_ctx *ctx, void *arg), void *arg)
{
    for (long n = 1;; n++) { /* 0 is the context itself */
        struct starving s = {.left = n};
        brim_ctx_params p;
        brim_ctx *ctx;

        brim_ctx_params_init(&p);
        p.alloc = starving_alloc;
        p.free = starving_free;
        p.user = &s;
        assert_int_equal(brim_ctx_create(&p, &ctx), BRIM_OK);
        const brim_status status = body(ctx, arg);
        assert_int_equal(status, s.failed ? BRIM_ERR_NOMEM : BRIM_OK);
        assert_true(!s.failed || strstr(brim_error(ctx), "out of memory") != NULL);
        assert_int_equal(s.alive, 1);
        brim_ctx_free(ctx);
        if (!s.failed) {
            return n - 1;
        }
    }
}

#endif
