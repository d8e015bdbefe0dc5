/* array.h - numbers as a file holds them. SPDX-License-Identifier: Apache-2.0
 *
 * A view of somebody else's bytes: element type, byte order, shape, distance between samples. The
 * readers (npy, idx, ...) fill it and have checked that every element lies inside the bytes.
 */
#ifndef BRIM_DATA_ARRAY_H
#define BRIM_DATA_ARRAY_H

#include "base/alloc.h"

#define BRIM_ARRAY_MAX_RANK 8

enum brim_element {
    BRIM_ELEMENT_U8,
    BRIM_ELEMENT_I8,
    BRIM_ELEMENT_BOOL,
    BRIM_ELEMENT_U16,
    BRIM_ELEMENT_I16,
    BRIM_ELEMENT_F16,
    BRIM_ELEMENT_U32,
    BRIM_ELEMENT_I32,
    BRIM_ELEMENT_F32,
    BRIM_ELEMENT_U64,
    BRIM_ELEMENT_I64,
    BRIM_ELEMENT_F64
};

struct brim_array {
    const char *name; /* for messages: a path, or "file.npz: x.npy" */
    enum brim_element element;
    bool big_endian;
    int rank;                         /* 1..BRIM_ARRAY_MAX_RANK */
    int64_t dim[BRIM_ARRAY_MAX_RANK]; /* all > 0 */
    const uint8_t *bytes;             /* of the first sample */
    size_t stride;                    /* bytes from one sample (dim[0]) to the next */
};

size_t brim_element_size(enum brim_element e);

bool brim_host_is_big_endian(void);

/* Check rank and dims, that exactly `available` bytes are what they need, and set stride. */
BRIM_NODISCARD brim_status brim_array_check(brim_ctx *ctx, struct brim_array *a, size_t available);

/* Elements of one sample: the product of dim[1..]. */
size_t brim_array_sample_size(const struct brim_array *a);

/* n consecutive elements at p, as the double that holds them (64-bit integers are rounded). */
void brim_array_convert(const struct brim_array *a, const uint8_t *p, size_t n, double *out);

/* Element 0 of sample i as an exact integer; false when it is not one or does not fit. */
bool brim_array_integer(const struct brim_array *a, size_t i, int64_t *out);

#endif
