/* npz.c - NumPy's zip of npy files. SPDX-License-Identifier: Apache-2.0
 *
 * Reads the central directory at the end (its sizes are right even where local headers leave them
 * to 64-bit extras, as NumPy's do), stored and deflated members. No 64-bit archives, no encryption.
 */
#include <string.h>
#include <zlib.h>

#include "base/intops.h"
#include "data/readers.h"

#define END_BYTES     22u
#define CENTRAL_BYTES 46u
#define LOCAL_BYTES   30u
#define MAX_COMMENT   65535u

struct member {
    const char *name; /* not terminated */
    size_t name_size;
    unsigned method, flags;
    uint32_t crc, packed, size, local; /* local: offset of the local header */
};

struct zip {
    struct brim_arena *arena;
    const char *name;
    const uint8_t *p;
    size_t n;
    size_t directory, entries;
};

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static brim_status damaged(const struct zip *z, const char *what)
{
    return brim_fail(z->arena->ctx, BRIM_ERR_FILE, "%s: damaged npz file (%s)", z->name, what);
}

static brim_status find_directory(struct zip *z)
{
    if (z->n < END_BYTES) {
        return brim_fail(z->arena->ctx, BRIM_ERR_FILE, "%s: not an npz file", z->name);
    }
    const size_t stop = brim_min_size(z->n, END_BYTES + MAX_COMMENT);
    for (size_t back = END_BYTES; back <= stop; back++) {
        const uint8_t *e = z->p + (z->n - back);
        if (u32(e) == 0x06054b50 && u16(e + 20) == back - END_BYTES) {
            z->entries = u16(e + 10);
            z->directory = u32(e + 16);
            if (z->entries == 0xffff || z->directory == 0xffffffff) {
                return brim_fail(z->arena->ctx, BRIM_ERR_UNSUPPORTED,
                                 "%s: a 64-bit zip archive, expected one below 4 GiB", z->name);
            }
            return z->directory <= z->n - back ? BRIM_OK : damaged(z, "its directory is outside");
        }
    }
    return brim_fail(z->arena->ctx, BRIM_ERR_FILE, "%s: not an npz file", z->name);
}

/* Member at `*at` of the directory; moves `*at` on. */
static brim_status next_member(const struct zip *z, size_t *at, struct member *m)
{
    if (z->n - *at < CENTRAL_BYTES || u32(z->p + *at) != 0x02014b50) {
        return damaged(z, "its directory is broken");
    }
    const uint8_t *e = z->p + *at;
    *m = (struct member){
        .name = (const char *)e + CENTRAL_BYTES,
        .name_size = u16(e + 28),
        .method = u16(e + 10),
        .flags = u16(e + 8),
        .crc = u32(e + 16),
        .packed = u32(e + 20),
        .size = u32(e + 24),
        .local = u32(e + 42),
    };
    const size_t length = CENTRAL_BYTES + m->name_size + u16(e + 30) + u16(e + 32);
    if (length > z->n - *at) {
        return damaged(z, "its directory is broken");
    }
    *at += length;
    return BRIM_OK;
}

static bool inflate_raw(const uint8_t *p, size_t n, uint8_t *out, size_t size)
{
    z_stream s = {0};

    if (inflateInit2(&s, -MAX_WBITS) != Z_OK) {
        return false;
    }
    union { /* zlib's next_in is const only when built so */
        const uint8_t *from;
        Bytef *to;
    } in = {.from = p};
    s.next_in = in.to;
    s.avail_in = (uInt)n;
    s.next_out = out;
    s.avail_out = (uInt)size;
    const int r = inflate(&s, Z_FINISH);
    const bool good = r == Z_STREAM_END && s.avail_out == 0;
    inflateEnd(&s);
    return good;
}

static brim_status unpack(const struct zip *z, const struct member *m, const uint8_t **out)
{
    brim_ctx *ctx = z->arena->ctx;

    if ((m->flags & 1) != 0 || (m->method != 0 && m->method != 8)) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                         "%s: member %.*s is encrypted or packed by method %u, expected stored or "
                         "deflated",
                         z->name, (int)m->name_size, m->name, m->method);
    }
    if (z->n < LOCAL_BYTES || m->local > z->n - LOCAL_BYTES || u32(z->p + m->local) != 0x04034b50) {
        return damaged(z, "a member is outside");
    }
    const uint8_t *l = z->p + m->local;
    const size_t start = (size_t)m->local + LOCAL_BYTES + u16(l + 26) + u16(l + 28);
    if (start > z->n || m->packed > z->n - start) {
        return damaged(z, "a member is truncated");
    }
    *out = z->p + start;
    if (m->method == 0 && m->packed != m->size) {
        return damaged(z, "a stored member has two sizes");
    }
    if (m->method == 8) {
        /* Deflate cannot do better than 1032:1, so a lying size is refused before allocating. */
        if (m->size > ctx->params.max_tensor_bytes || m->size / 1032 > m->packed) {
            return damaged(z, "a member's size is impossible or above the limit");
        }
        uint8_t *data = brim_arena_alloc(z->arena, (size_t)m->size + 1, 1);
        if (data == NULL) {
            return BRIM_ERR_NOMEM;
        }
        if (!inflate_raw(z->p + start, m->packed, data, m->size)) {
            return damaged(z, "a member does not inflate");
        }
        *out = data;
    }
    if (crc32(crc32(0, NULL, 0), *out, m->size) != m->crc) {
        return damaged(z, "a member's checksum is wrong");
    }
    return BRIM_OK;
}

/* Position of a member's name in a list that ends with NULL; the list's length if absent. */
static size_t rank_of(const struct member *m, const char *const *list)
{
    size_t i = 0;

    while (list[i] != NULL &&
           (strlen(list[i]) != m->name_size || memcmp(list[i], m->name, m->name_size) != 0)) {
        i++;
    }
    return i;
}

static brim_status read_member(const struct zip *z, const struct member *m, struct brim_array *a)
{
    const uint8_t *bytes = NULL;

    a->name = brim_arena_printf(z->arena, "%s: %.*s", z->name, (int)m->name_size, m->name);
    if (a->name == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(unpack(z, m, &bytes));
    return brim_npy_parse(z->arena->ctx, bytes, m->size, a);
}

brim_status brim_npz_parse(struct brim_arena *arena, const uint8_t *p, size_t n,
                           struct brim_array *x, struct brim_array *y)
{
    static const char *const x_names[] = {"x.npy", "X.npy", "images.npy", "arr_0.npy", NULL};
    static const char *const y_names[] = {"y.npy", "Y.npy", "labels.npy", "arr_1.npy", NULL};
    struct zip z = {.arena = arena, .name = x->name, .p = p, .n = n};
    struct member m = {0}, best_x = {0}, best_y = {0};
    size_t rank_x = 4, rank_y = 4;

    BRIM_TRY(find_directory(&z));
    size_t at = z.directory;
    for (size_t i = 0; i < z.entries; i++) {
        BRIM_TRY(next_member(&z, &at, &m));
        if (rank_of(&m, x_names) < rank_x) {
            rank_x = rank_of(&m, x_names);
            best_x = m;
        }
        if (rank_of(&m, y_names) < rank_y) {
            rank_y = rank_of(&m, y_names);
            best_y = m;
        }
    }
    if (x_names[rank_x] == NULL) {
        return brim_fail(arena->ctx, BRIM_ERR_FILE, "%s: has no array named x, X, images or arr_0",
                         z.name);
    }
    y->rank = 0;
    BRIM_TRY(read_member(&z, &best_x, x));
    return y_names[rank_y] != NULL ? read_member(&z, &best_y, y) : BRIM_OK;
}
