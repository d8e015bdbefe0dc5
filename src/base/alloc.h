/* alloc.h - memory through the context. SPDX-License-Identifier: Apache-2.0
 *
 * Three lifetimes only: an object's arena (freed with the object), a call's scratch (an arena that
 * the call frees), and plain blocks for things that grow. Blocks are 64-byte aligned. Sizes are
 * products of untrusted numbers, so every one goes through the checked helpers.
 */
#ifndef BRIM_BASE_ALLOC_H
#define BRIM_BASE_ALLOC_H

#include "base/ctx.h"

/* a*b and a+b; false when the result does not fit size_t. */
static inline bool brim_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool brim_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* count*size bytes, 64-byte aligned, uninitialised / zeroed. NULL and an error text when it fails.
 */
void *brim_alloc(brim_ctx *ctx, size_t count, size_t size);
void *brim_zalloc(brim_ctx *ctx, size_t count, size_t size);
void brim_free(brim_ctx *ctx, void *p);

/* Arena: everything allocated from it is freed at once. Zero-initialise and set ctx, or use init.
 */
struct brim_arena {
    brim_ctx *ctx;
    struct brim_arena_block *head;
};
void brim_arena_init(struct brim_arena *a, brim_ctx *ctx);
void *brim_arena_alloc(struct brim_arena *a, size_t count, size_t size);  /* uninitialised */
void *brim_arena_zalloc(struct brim_arena *a, size_t count, size_t size); /* zeroed */
char *brim_arena_strdup(struct brim_arena *a, const char *s);
char *brim_arena_strndup(struct brim_arena *a, const char *s, size_t n);
char *brim_arena_printf(struct brim_arena *a, const char *fmt, ...) BRIM_PRINTF(2, 3);
void brim_arena_free(struct brim_arena *a);

/* Growable byte buffer with a mandatory maximum. */
struct brim_buffer {
    brim_ctx *ctx;
    uint8_t *data;
    size_t size, capacity, max;
};
void brim_buffer_init(struct brim_buffer *b, brim_ctx *ctx, size_t max);
BRIM_NODISCARD brim_status brim_buffer_append(struct brim_buffer *b, const void *data, size_t n);
BRIM_NODISCARD brim_status brim_buffer_printf(struct brim_buffer *b, const char *fmt, ...)
    BRIM_PRINTF(2, 3);
void brim_buffer_free(struct brim_buffer *b);

#endif
