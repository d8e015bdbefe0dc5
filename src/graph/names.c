/* names.c - chained hash table of names. SPDX-License-Identifier: Apache-2.0 */
#include "graph/names.h"

#include <string.h>

static uint64_t hash_name(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

    for (; *s != '\0'; s++) {
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    }
    return h;
}

struct brim_name *brim_names_find(const struct brim_names *s, const char *name)
{
    if (s->n_buckets == 0) {
        return NULL;
    }
    const uint64_t h = hash_name(name);
    for (struct brim_name *e = s->bucket[h % s->n_buckets]; e != NULL; e = e->next) {
        if (e->hash == h && strcmp(e->name, name) == 0) {
            return e;
        }
    }
    return NULL;
}

static bool grow(struct brim_names *s)
{
    const size_t n = s->n_buckets == 0 ? 64 : 2 * s->n_buckets;
    struct brim_name **bucket = brim_arena_zalloc(s->arena, n, sizeof(void *));

    if (bucket == NULL) {
        return false;
    }
    for (size_t i = 0; i < s->n_buckets; i++) {
        for (struct brim_name *e = s->bucket[i], *next; e != NULL; e = next) {
            next = e->next;
            e->next = bucket[e->hash % n];
            bucket[e->hash % n] = e;
        }
    }
    s->bucket = bucket;
    s->n_buckets = n;
    return true;
}

struct brim_name *brim_names_insert(struct brim_names *s, const char *name, int32_t value)
{
    if (s->count >= s->n_buckets && !grow(s)) {
        return NULL;
    }
    struct brim_name *e = brim_arena_alloc(s->arena, 1, sizeof *e);
    if (e == NULL) {
        return NULL;
    }
    const uint64_t h = hash_name(name);
    struct brim_name **slot = &s->bucket[h % s->n_buckets];
    *e = (struct brim_name){.name = name, .hash = h, .value = value, .suffix = 1, .next = *slot};
    *slot = e;
    s->count++;
    return e;
}

void brim_names_remove(struct brim_names *s, const char *name)
{
    struct brim_name *gone = brim_names_find(s, name);

    if (gone == NULL) {
        return;
    }
    struct brim_name **p = &s->bucket[gone->hash % s->n_buckets];
    while (*p != gone) {
        p = &(*p)->next;
    }
    *p = gone->next;
    s->count--;
}

const char *brim_names_unique(struct brim_names *s, const char *name)
{
    struct brim_name *taken = brim_names_find(s, name);

    if (taken == NULL) {
        return brim_arena_strdup(s->arena, name);
    }
    const char *unique;
    do {
        unique = brim_arena_printf(s->arena, "%s_%u", name, (unsigned)taken->suffix++);
    } while (unique != NULL && brim_names_find(s, unique) != NULL);
    return unique;
}
