/* checkpoint.c - see checkpoint.h. SPDX-License-Identifier: Apache-2.0 */
#include "train/checkpoint.h"

#include <string.h>

#include "base/file.h"
#include "base/hash.h"

#define MAGIC       "brimtrain\n"
#define MAGIC_BYTES 10
#define VERSION     1u
#define HEAD_BYTES  (MAGIC_BYTES + 4 + 8)
#define HASH_BYTES  (BRIM_HASH_CHARS - 1)

static size_t element_size(enum brim_record_kind kind)
{
    switch (kind) {
    case BRIM_RECORD_BYTES:
        return 1;
    case BRIM_RECORD_F32:
        return 4;
    case BRIM_RECORD_U64:
    case BRIM_RECORD_F64:
        return 8;
    }
    return 0;
}

static bool host_is_little(void)
{
    const uint16_t one = 1;
    uint8_t first;

    memcpy(&first, &one, 1);
    return first == 1;
}

static void swap_elements(uint8_t *p, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < size / 2; k++) {
            const uint8_t t = p[i * size + k];
            p[i * size + k] = p[i * size + size - 1 - k];
            p[i * size + size - 1 - k] = t;
        }
    }
}

/* ---- writing ---- */

static void put_number(uint8_t *at, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(v >> (8 * i));
    }
}

static brim_status append_number(struct brim_buffer *b, uint64_t v, size_t bytes)
{
    uint8_t raw[8];

    put_number(raw, v, bytes);
    return brim_buffer_append(b, raw, bytes);
}

brim_status brim_checkpoint_begin(struct brim_checkpoint_writer *w, brim_ctx *ctx)
{
    brim_buffer_init(&w->b, ctx, ctx->params.max_file_bytes);
    BRIM_TRY(brim_buffer_append(&w->b, MAGIC, MAGIC_BYTES));
    BRIM_TRY(append_number(&w->b, VERSION, 4));
    return append_number(&w->b, 0, 8); /* the length, known when sealed */
}

brim_status brim_checkpoint_add(struct brim_checkpoint_writer *w, const char *name,
                                enum brim_record_kind kind, const void *data, size_t count)
{
    const size_t size = element_size(kind), n = strlen(name);

    BRIM_TRY(append_number(&w->b, n, 4));
    BRIM_TRY(brim_buffer_append(&w->b, name, n));
    BRIM_TRY(append_number(&w->b, (uint64_t)kind, 4));
    BRIM_TRY(append_number(&w->b, count, 8));
    const size_t at = w->b.size;
    if (count > 0) {
        BRIM_TRY(brim_buffer_append(&w->b, data, count * size));
    }
    if (!host_is_little()) {
        swap_elements(w->b.data + at, count, size);
    }
    return BRIM_OK;
}

brim_status brim_checkpoint_save(struct brim_checkpoint_writer *w, const char *path)
{
    char hex[BRIM_HASH_CHARS];

    put_number(w->b.data + MAGIC_BYTES + 4, w->b.size - HEAD_BYTES, 8);
    brim_hash_hex(w->b.data, w->b.size, hex);
    BRIM_TRY(brim_buffer_append(&w->b, hex, HASH_BYTES));
    return brim_file_write(w->b.ctx, path, w->b.data, w->b.size);
}

void brim_checkpoint_discard(struct brim_checkpoint_writer *w)
{
    brim_buffer_free(&w->b);
}

/* ---- reading ---- */

struct cursor {
    const uint8_t *at, *end;
};

static bool take_number(struct cursor *c, size_t bytes, uint64_t *v)
{
    *v = 0;
    if ((size_t)(c->end - c->at) < bytes) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        *v |= (uint64_t)c->at[i] << (8 * i);
    }
    c->at += bytes;
    return true;
}

/* The next record; its name is copied. *good false: the bytes end too early, or make no sense. */
static brim_status take_record(struct brim_checkpoint *c, struct cursor *at, struct brim_record *r,
                               bool *good)
{
    uint64_t length, kind, count;

    *good = false;
    if (!take_number(at, 4, &length) || length == 0 || length > (uint64_t)(at->end - at->at) ||
        memchr(at->at, 0, (size_t)length) != NULL) {
        return BRIM_OK;
    }
    r->name = brim_arena_strndup(&c->arena, (const char *)at->at, (size_t)length);
    if (r->name == NULL) {
        return BRIM_ERR_NOMEM;
    }
    at->at += length;
    if (!take_number(at, 4, &kind) || kind < BRIM_RECORD_BYTES || kind > BRIM_RECORD_F64 ||
        !take_number(at, 8, &count)) {
        return BRIM_OK;
    }
    r->kind = (enum brim_record_kind)kind;
    const size_t size = element_size(r->kind);
    if (count > (uint64_t)(at->end - at->at) / size) {
        return BRIM_OK;
    }
    r->count = (size_t)count;
    r->data = at->at;
    at->at += (size_t)count * size;
    *good = brim_checkpoint_find(c, r->name) == NULL;
    return BRIM_OK;
}

/* Bytes of the shortest record. */
#define LEAST_RECORD 17

static brim_status take_records(struct brim_checkpoint *c, const uint8_t *data, size_t n)
{
    struct cursor at = {data, data + n};

    c->record = brim_arena_alloc(&c->arena, n / LEAST_RECORD + 1, sizeof *c->record);
    if (c->record == NULL) {
        return BRIM_ERR_NOMEM;
    }
    while (at.at < at.end) {
        bool good;
        BRIM_TRY(take_record(c, &at, &c->record[c->count], &good));
        if (!good) {
            return brim_fail(c->ctx, BRIM_ERR_FILE, "checkpoint: record %zu is damaged", c->count);
        }
        c->count++;
    }
    return BRIM_OK;
}

brim_status brim_checkpoint_parse(brim_ctx *ctx, const uint8_t *data, size_t n,
                                  struct brim_checkpoint *c)
{
    *c = (struct brim_checkpoint){.ctx = ctx, .path = "checkpoint"};
    brim_arena_init(&c->arena, ctx);
    return take_records(c, data, n);
}

static brim_status check_file(const struct brim_checkpoint *c)
{
    const struct brim_buffer *f = &c->file;
    struct cursor at = {f->data, f->data + f->size};
    char hex[BRIM_HASH_CHARS];
    uint64_t version = 0, length = 0;

    if (f->size < MAGIC_BYTES || memcmp(f->data, MAGIC, MAGIC_BYTES) != 0) {
        return brim_fail(c->ctx, BRIM_ERR_FILE, "%s: is no checkpoint of brim train", c->path);
    }
    at.at += MAGIC_BYTES;
    if (take_number(&at, 4, &version) && version != VERSION) {
        return brim_fail(c->ctx, BRIM_ERR_FILE, "%s: checkpoint version %llu, expected %u", c->path,
                         (unsigned long long)version, VERSION);
    }
    if (!take_number(&at, 8, &length) || f->size < HEAD_BYTES + HASH_BYTES ||
        length != f->size - HEAD_BYTES - HASH_BYTES) {
        return brim_fail(c->ctx, BRIM_ERR_FILE, "%s: the checkpoint is cut short", c->path);
    }
    brim_hash_hex(f->data, f->size - HASH_BYTES, hex);
    if (memcmp(f->data + f->size - HASH_BYTES, hex, HASH_BYTES) != 0) {
        return brim_fail(c->ctx, BRIM_ERR_FILE, "%s: the checkpoint is damaged (its hash differs)",
                         c->path);
    }
    return BRIM_OK;
}

brim_status brim_checkpoint_load(brim_ctx *ctx, const char *path, struct brim_checkpoint *c)
{
    *c = (struct brim_checkpoint){.ctx = ctx, .path = path};
    brim_arena_init(&c->arena, ctx);
    BRIM_TRY(brim_file_read(ctx, path, &c->file));
    BRIM_TRY(check_file(c));
    return take_records(c, c->file.data + HEAD_BYTES, c->file.size - HEAD_BYTES - HASH_BYTES);
}

void brim_checkpoint_free(struct brim_checkpoint *c)
{
    if (c->file.ctx != NULL) {
        brim_buffer_free(&c->file);
    }
    brim_arena_free(&c->arena);
}

const struct brim_record *brim_checkpoint_find(const struct brim_checkpoint *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->record[i].name, name) == 0) {
            return &c->record[i];
        }
    }
    return NULL;
}

brim_status brim_checkpoint_get(const struct brim_checkpoint *c, const char *name,
                                enum brim_record_kind kind, void *out, size_t count)
{
    const struct brim_record *r = brim_checkpoint_find(c, name);
    const size_t size = element_size(kind);

    if (r == NULL || r->kind != kind || r->count != count) {
        return brim_fail(c->ctx, BRIM_ERR_FILE,
                         "%s: the checkpoint has no '%s' of %zu elements: it is of another run",
                         c->path, name, count);
    }
    if (count > 0) {
        memcpy(out, r->data, count * size);
    }
    if (!host_is_little()) {
        swap_elements(out, count, size);
    }
    return BRIM_OK;
}
