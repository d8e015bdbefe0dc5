/* writer.h - small flatbuffers for tests, written front to back. SPDX-License-Identifier: Apache-2.0
 *
 * A table is written with all its fields in place, then its children, whose places are patched into
 * it: forward distances are all that the format asks for.
 */
#ifndef BRIM_TESTS_TFLITE_WRITER_H
#define BRIM_TESTS_TFLITE_WRITER_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

struct writer {
    uint8_t data[8192];
    size_t size;
};

static inline void put(struct writer *w, const void *bytes, size_t n)
{
    assert(n <= sizeof w->data - w->size);
    memcpy(w->data + w->size, bytes, n);
    w->size += n;
}

static inline void put_int(struct writer *w, int32_t v)
{
    put(w, &v, sizeof v);
}

/* The four bytes at `at` lead to `to`. */
static inline void point(struct writer *w, size_t at, size_t to)
{
    const uint32_t distance = (uint32_t)(to - at);

    memcpy(w->data + at, &distance, sizeof distance);
}

/* A table of n fields of four bytes each, all zero. */
static inline size_t put_table(struct writer *w, unsigned n)
{
    const uint16_t sizes[2] = {(uint16_t)(4 + 2 * n), (uint16_t)(4 + 4 * n)};
    const size_t vtable = w->size;

    put(w, sizes, sizeof sizes);
    for (unsigned i = 0; i < n; i++) {
        const uint16_t offset = (uint16_t)(4 + 4 * i);
        put(w, &offset, sizeof offset);
    }
    const size_t table = w->size;
    put_int(w, (int32_t)(table - vtable));
    for (unsigned i = 0; i < n; i++) {
        put_int(w, 0);
    }
    return table;
}

/* Where a field is. */
static inline size_t field(size_t table, unsigned n)
{
    return table + 4 + 4 * (size_t)n;
}

/* The field is absent. */
static inline void forget(struct writer *w, size_t table, unsigned n)
{
    int32_t back;

    memcpy(&back, w->data + table, sizeof back);
    memset(w->data + table - (size_t)back + 4 + 2 * (size_t)n, 0, 2);
}

static inline void set_int(struct writer *w, size_t table, unsigned n, int32_t v)
{
    memcpy(w->data + field(table, n), &v, sizeof v);
}

/* A table with n fields as the child of what is at `at`. */
static inline size_t put_child(struct writer *w, size_t at, unsigned n)
{
    const size_t table = put_table(w, n);

    point(w, at, table);
    return table;
}

/* A vector as the child of a table's field; where its elements begin. NULL: room for n tables. */
static inline size_t put_vector(struct writer *w, size_t table, unsigned n_field, const void *v,
                                size_t n, size_t element)
{
    point(w, field(table, n_field), w->size);
    put_int(w, (int32_t)n);
    const size_t first = w->size;
    for (size_t i = 0; v == NULL && i < n; i++) {
        put_int(w, 0);
    }
    if (v != NULL) {
        put(w, v, n * element);
    }
    return first;
}

#endif
