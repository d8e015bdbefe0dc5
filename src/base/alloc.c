/* alloc.c - the only caller of malloc. SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64u

/* A block is [pad][header][payload]: the header sits just before the aligned payload. */
struct header {
    void *base;
};

static void *raw_alloc(brim_ctx *ctx, size_t bytes)
{
    return ctx->params.alloc != NULL ? ctx->params.alloc(ctx->params.user, bytes) : malloc(bytes);
}

void *brim_alloc(brim_ctx *ctx, size_t count, size_t size)
{
    size_t bytes, total;

    if (!brim_mul_size(count, size, &bytes) ||
        !brim_add_size(bytes, ALIGNMENT + sizeof(struct header), &total)) {
        brim_fail(ctx, BRIM_ERR_NOMEM, "out of memory: %zu x %zu bytes", count, size);
        return NULL;
    }
    uint8_t *base = raw_alloc(ctx, total);
    if (base == NULL) {
        brim_fail(ctx, BRIM_ERR_NOMEM, "out of memory: %zu bytes", bytes);
        return NULL;
    }
    const uintptr_t first = (uintptr_t)base + sizeof(struct header);
    const size_t pad = (ALIGNMENT - first % ALIGNMENT) % ALIGNMENT;
    uint8_t *payload = base + sizeof(struct header) + pad;
    const struct header h = {base};
    memcpy(payload - sizeof h, &h, sizeof h);
    return payload;
}

void *brim_zalloc(brim_ctx *ctx, size_t count, size_t size)
{
    void *p = brim_alloc(ctx, count, size);

    if (p != NULL) {
        memset(p, 0, count * size);
    }
    return p;
}

void brim_free(brim_ctx *ctx, void *p)
{
    struct header h;

    if (p == NULL) {
        return;
    }
    memcpy(&h, (uint8_t *)p - sizeof h, sizeof h);
    if (ctx->params.free != NULL) {
        ctx->params.free(ctx->params.user, h.base);
    } else {
        free(h.base);
    }
}

/* Arena blocks are chained newest first; small requests share a block of BLOCK_BYTES. */
#define BLOCK_BYTES ((size_t)64 << 10)

struct brim_arena_block {
    struct brim_arena_block *next;
    size_t used, size;
    uint8_t pad[ALIGNMENT - (2 * sizeof(size_t) + sizeof(void *)) % ALIGNMENT];
    uint8_t data[];
};

void brim_arena_init(struct brim_arena *a, brim_ctx *ctx)
{
    a->ctx = ctx;
    a->head = NULL;
}

void *brim_arena_alloc(struct brim_arena *a, size_t count, size_t size)
{
    size_t bytes;

    if (!brim_mul_size(count, size, &bytes) || bytes > SIZE_MAX - 2 * BLOCK_BYTES) {
        brim_fail(a->ctx, BRIM_ERR_NOMEM, "out of memory: %zu x %zu bytes", count, size);
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (a->head == NULL || a->head->size - a->head->used < bytes) {
        const size_t payload = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
        struct brim_arena_block *b = brim_alloc(a->ctx, 1, sizeof *b + payload);
        if (b == NULL) {
            return NULL;
        }
        b->used = 0;
        b->size = payload;
        if (payload == bytes && a->head != NULL) { /* a big one: keep filling the current block */
            b->next = a->head->next;
            a->head->next = b;
            b->used = bytes;
            return b->data;
        }
        b->next = a->head;
        a->head = b;
    }
    void *p = a->head->data + a->head->used;
    a->head->used += bytes;
    return p;
}

void *brim_arena_zalloc(struct brim_arena *a, size_t count, size_t size)
{
    void *p = brim_arena_alloc(a, count, size);

    if (p != NULL) {
        memset(p, 0, count * size);
    }
    return p;
}

char *brim_arena_strndup(struct brim_arena *a, const char *s, size_t n)
{
    char *p = n < SIZE_MAX ? brim_arena_alloc(a, n + 1, 1) : NULL;

    if (p != NULL) {
        memcpy(p, s, n);
        p[n] = '\0';
    }
    return p;
}

char *brim_arena_strdup(struct brim_arena *a, const char *s)
{
    return brim_arena_strndup(a, s, strlen(s));
}

char *brim_arena_printf(struct brim_arena *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : brim_arena_alloc(a, (size_t)n + 1, 1);
    if (p != NULL) {
        va_start(ap, fmt);
        vsnprintf(p, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    return p;
}

void brim_arena_free(struct brim_arena *a)
{
    struct brim_arena_block *b = a->head;

    while (b != NULL) {
        struct brim_arena_block *next = b->next;
        brim_free(a->ctx, b);
        b = next;
    }
    a->head = NULL;
}

void brim_buffer_init(struct brim_buffer *b, brim_ctx *ctx, size_t max)
{
    *b = (struct brim_buffer){.ctx = ctx, .max = max};
}

static brim_status reserve(struct brim_buffer *b, size_t extra)
{
    size_t need;

    if (!brim_add_size(b->size, extra, &need) || need > b->max) {
        return brim_fail(b->ctx, BRIM_ERR_NOMEM, "buffer would exceed its limit of %zu bytes",
                         b->max);
    }
    if (need <= b->capacity) {
        return BRIM_OK;
    }
    size_t capacity = b->capacity < 4096 ? 4096 : b->capacity;
    while (capacity < need) {
        capacity = capacity > b->max / 2 ? b->max : capacity * 2;
    }
    uint8_t *data = brim_alloc(b->ctx, capacity, 1);
    if (data == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (b->size > 0) {
        memcpy(data, b->data, b->size);
    }
    brim_free(b->ctx, b->data);
    b->data = data;
    b->capacity = capacity;
    return BRIM_OK;
}

brim_status brim_buffer_append(struct brim_buffer *b, const void *data, size_t n)
{
    BRIM_TRY(reserve(b, n));
    if (n > 0) {
        memcpy(b->data + b->size, data, n);
    }
    b->size += n;
    return BRIM_OK;
}

brim_status brim_buffer_printf(struct brim_buffer *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return brim_fail(b->ctx, BRIM_ERR_INTERNAL, "bad format");
    }
    BRIM_TRY(reserve(b, (size_t)n + 1));
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->size, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->size += (size_t)n;
    return BRIM_OK;
}

void brim_buffer_free(struct brim_buffer *b)
{
    brim_free(b->ctx, b->data);
    b->data = NULL;
    b->size = b->capacity = 0;
}
