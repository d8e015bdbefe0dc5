/* check.c - memory and reasons. SPDX-License-Identifier: Apache-2.0 */
#include "check/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES ((size_t)8 << 30) /* a hostile file must not ask for more */

struct check_block {
    struct check_block *next;
    max_align_t data[];
};

void *check_alloc(struct check *c, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > MAX_BYTES - c->allocated) {
        check_broken(c, "out of memory: %zu x %zu bytes", count, size);
        return NULL;
    }
    struct check_block *b = calloc(1, sizeof *b + bytes);
    if (b == NULL) {
        check_broken(c, "out of memory: %zu bytes", bytes);
        return NULL;
    }
    c->allocated += bytes;
    b->next = c->blocks;
    c->blocks = b;
    return b->data;
}

void check_free(struct check *c)
{
    while (c->blocks != NULL) {
        struct check_block *next = c->blocks->next;
        free(c->blocks);
        c->blocks = next;
    }
    c->allocated = 0;
}

static void __attribute__((format(printf, 3, 0)))
record(struct check *c, enum verdict verdict, const char *fmt, va_list ap)
{
    if (c->reason[0] == '\0') {
        vsnprintf(c->reason, sizeof c->reason, fmt, ap);
        c->verdict = verdict;
    }
}

bool check_broken(struct check *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    record(c, VERDICT_ERROR, fmt, ap);
    va_end(ap);
    return false;
}

bool check_refuse(struct check *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    record(c, VERDICT_REFUSED, fmt, ap);
    va_end(ap);
    return false;
}

bool check_at(struct check *c, const char *fmt, ...)
{
    char text[sizeof c->reason];
    char whole[2 * sizeof c->reason + 2];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(whole, sizeof whole, "%s: %s", text, c->reason);
    memcpy(c->reason, whole, sizeof c->reason - 1);
    c->reason[sizeof c->reason - 1] = '\0';
    return false;
}
