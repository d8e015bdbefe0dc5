/* sparse_gather.h - the table of loops that collect the codes a block's weights meet, which packer,
 * selector, tests and benchmarks read. SPDX-License-Identifier: Apache-2.0
 *
 * x is taken in chunks of 16 or 64 bytes, one shuffle each. A chunk's pattern is `count`, how many
 * of its bytes are kept, and `take`, which ones in order, filled up with zeros; whole vectors are
 * stored, each over the end of the one before.
 */
#ifndef BRIM_KERNELS_SPARSE_GATHER_H
#define BRIM_KERNELS_SPARSE_GATHER_H

#include <stddef.h>
#include <stdint.h>

#define BRIM_SPARSE_CHUNK 64 /* largest */

struct brim_sparse_pick {
    size_t rows, k;
    const uint8_t *x; /* k bytes a row */
    size_t x_stride;
    const uint8_t *take;  /* [chunks][chunk] */
    const uint8_t *count; /* [chunks] */
    uint8_t flip;         /* added without carry to every byte */
    uint8_t *y;           /* the kept bytes of a row, then up to BRIM_SPARSE_CHUNK of any value */
    size_t y_stride;
};

struct brim_sparse_gather {
    const char *name;
    uint32_t isa;   /* enum brim_isa */
    unsigned chunk; /* 16 or 64 */
    void (*run)(const struct brim_sparse_pick *pick);
};

/* Slowest first; the first is the scalar reference. */
extern const struct brim_sparse_gather *const brim_sparse_gathers[];
extern const size_t brim_sparse_gather_count;

extern const struct brim_sparse_gather brim_sparse_gather_scalar;
extern const struct brim_sparse_gather brim_sparse_gather_sse41;
extern const struct brim_sparse_gather brim_sparse_gather_avx512vbmi;

#endif
