/* flat.h - tables of a flatbuffer, read with every position checked. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A flatbuffer is little-endian. A table begins with the signed distance back to its vtable: two
 * bytes of the vtable's size, two of the table's, then for each field two bytes that tell where in
 * the table it is, 0 when it has its default. Vectors, strings and sub-tables are unsigned forward
 * distances. Bytes come from anybody, so nothing is read without a check; what leaves the buffer is
 * remembered in `bad` and reads as absent, and who is done with a table asks once.
 *
 * Cost: a few comparisons for a field.
 */
#ifndef BRIM_TFLITE_FLAT_H
#define BRIM_TFLITE_FLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct brim_flat {
    const uint8_t *data;
    size_t size;
    bool bad; /* something pointed outside */
};

/* Position of a table; 0 = absent. */
typedef size_t brim_flat_table;

struct brim_flat_vector {
    size_t at;    /* of element 0 */
    size_t count; /* 0 = absent or empty */
};

brim_flat_table brim_flat_root(struct brim_flat *f);
/* Scalars of a table, or `fallback` where the field is absent. */
uint8_t brim_flat_byte(struct brim_flat *f, brim_flat_table t, unsigned field, uint8_t fallback);
int32_t brim_flat_int(struct brim_flat *f, brim_flat_table t, unsigned field, int32_t fallback);
float brim_flat_float(struct brim_flat *f, brim_flat_table t, unsigned field, float fallback);
brim_flat_table brim_flat_child(struct brim_flat *f, brim_flat_table t, unsigned field);
/* A vector of elements of so many bytes, all of it inside the buffer. */
struct brim_flat_vector brim_flat_vector_of(struct brim_flat *f, brim_flat_table t, unsigned field,
                                            size_t element);

/* Element i < count of a vector. */
int32_t brim_flat_int_at(const struct brim_flat *f, struct brim_flat_vector v, size_t i);
int64_t brim_flat_long_at(const struct brim_flat *f, struct brim_flat_vector v, size_t i);
float brim_flat_float_at(const struct brim_flat *f, struct brim_flat_vector v, size_t i);
brim_flat_table brim_flat_table_at(struct brim_flat *f, struct brim_flat_vector v, size_t i);

#endif
