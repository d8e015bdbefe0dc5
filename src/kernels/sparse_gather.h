/* sparse_gather.h - the table of loops that collect the codes a block's weights meet, which packer,
 * selector, tests and benchmarks read. SPDX-License-Identifier: Apache-2.0
 *
 * Gathered rows are whole vectors of 16 or 64 bytes, each made in steps: a step loads as many bytes
 * of x as a vector has, at `at`, and moves byte take[j] to place j, unless take[j] is BRIM_SPARSE_NOT.
 */
#ifndef BRIM_KERNELS_SPARSE_GATHER_H
#define BRIM_KERNELS_SPARSE_GATHER_H

#include <stddef.h>
#include <stdint.h>

#define BRIM_SPARSE_NOT 0x80

struct brim_sparse_pick {
    size_t rows, k;
    const uint8_t *x; /* k bytes a row, of which no others are read */
    size_t x_stride;
    size_t vectors;
    const uint8_t *steps; /* [vectors] how many */
    const uint32_t *at;   /* [all steps] */
    const uint8_t *take;  /* [all steps][width] */
    uint8_t flip;         /* every byte of y is changed in these bits */
    uint8_t *y;           /* vectors * width bytes a row; 0 where no step moves anything */
    size_t y_stride;
};

struct brim_sparse_gather {
    const char *name;
    uint32_t isa;   /* enum brim_isa */
    unsigned width; /* of a vector: 16 or 64 bytes */
    void (*run)(const struct brim_sparse_pick *pick);
};

/* Slowest first; the first is the scalar reference. */
extern const struct brim_sparse_gather *const brim_sparse_gathers[];
extern const size_t brim_sparse_gather_count;

extern const struct brim_sparse_gather brim_sparse_gather_scalar;
extern const struct brim_sparse_gather brim_sparse_gather_sse41;
extern const struct brim_sparse_gather brim_sparse_gather_avx512vbmi;
extern const struct brim_sparse_gather brim_sparse_gather_neon;
extern const struct brim_sparse_gather brim_sparse_gather_simd128;

#endif
