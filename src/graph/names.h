/* names.h - a set of names with a number each: values and nodes by name. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef BRIM_GRAPH_NAMES_H
#define BRIM_GRAPH_NAMES_H

#include "base/alloc.h"

struct brim_name {
    const char *name;
    uint64_t hash;
    int32_t value;   /* the caller's number */
    uint32_t suffix; /* the next number to try when this name is wanted once more */
    struct brim_name *next;
};

/* Entries and names live in `arena`. Zero-initialise and set the arena. */
struct brim_names {
    struct brim_arena *arena;
    struct brim_name **bucket;
    size_t n_buckets, count;
};

/* The entry, or NULL. */
struct brim_name *brim_names_find(const struct brim_names *s, const char *name);
/* Enter `name` (borrowed: it must live as long as the arena), which is not there yet. NULL on out
 * of memory. */
struct brim_name *brim_names_insert(struct brim_names *s, const char *name, int32_t value);
void brim_names_remove(struct brim_names *s, const char *name);
/* A copy of `name` that is not in the set: itself, or with "_1", "_2", ... NULL on out of memory.
 */
const char *brim_names_unique(struct brim_names *s, const char *name);

#endif
