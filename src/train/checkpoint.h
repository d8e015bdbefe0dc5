/* checkpoint.h - the state of a training run in one file. SPDX-License-Identifier: Apache-2.0
 *
 *   "brimtrain" '\n' | version u32 | length u64 | records ... | SHA-256 of all before (32 bytes as 64 hex)
 *   record = name length u32 | name | kind u32 | count u64 | elements
 *
 * Numbers are little-endian; kinds are the enum below. Names are unique. Nothing is believed that the
 * file says about itself before its length and hash agree, and lengths are checked all the same.
 */
#ifndef BRIM_TRAIN_CHECKPOINT_H
#define BRIM_TRAIN_CHECKPOINT_H

#include "base/alloc.h"

enum brim_record_kind {
    BRIM_RECORD_BYTES = 1, /* 1 byte each */
    BRIM_RECORD_U64 = 2,
    BRIM_RECORD_F32 = 3,
    BRIM_RECORD_F64 = 4
};

/* ---- writing: records are added to a buffer ---- */
struct brim_checkpoint_writer {
    struct brim_buffer b;
};
BRIM_NODISCARD brim_status brim_checkpoint_begin(struct brim_checkpoint_writer *w, brim_ctx *ctx);
BRIM_NODISCARD brim_status brim_checkpoint_add(struct brim_checkpoint_writer *w, const char *name,
                                               enum brim_record_kind kind, const void *data,
                                               size_t count);
/* Seal, and write the file whole or not at all. */
BRIM_NODISCARD brim_status brim_checkpoint_save(struct brim_checkpoint_writer *w, const char *path);
void brim_checkpoint_discard(struct brim_checkpoint_writer *w);

/* ---- reading ---- */
struct brim_record {
    const char *name;
    enum brim_record_kind kind;
    size_t count;
    const uint8_t *data; /* little-endian, unaligned: see brim_checkpoint_get() */
};
struct brim_checkpoint {
    brim_ctx *ctx;
    const char *path; /* for messages, borrowed */
    struct brim_arena arena;
    struct brim_buffer file;
    size_t count;
    struct brim_record *record;
};
/* BRIM_ERR_IO, or BRIM_ERR_FILE: no checkpoint, another version, damaged. Free in any case. */
BRIM_NODISCARD brim_status brim_checkpoint_load(brim_ctx *ctx, const char *path,
                                                struct brim_checkpoint *c);
/* The records of n bytes, as they are between length and hash; they stay the caller's. */
BRIM_NODISCARD brim_status brim_checkpoint_parse(brim_ctx *ctx, const uint8_t *data, size_t n,
                                                 struct brim_checkpoint *c);
void brim_checkpoint_free(struct brim_checkpoint *c);

const struct brim_record *brim_checkpoint_find(const struct brim_checkpoint *c, const char *name);
/* Copy the record's `count` elements to `out`; BRIM_ERR_FILE when there is none of this name, kind and
 * count. */
BRIM_NODISCARD brim_status brim_checkpoint_get(const struct brim_checkpoint *c, const char *name,
                                               enum brim_record_kind kind, void *out, size_t count);

#endif
