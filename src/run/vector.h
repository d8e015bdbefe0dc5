/* vector.h - codes of inputs whose vectors have scales of their own. SPDX-License-Identifier:
 * Apache-2.0
 *
 * docs/semantics.md section 11. A vector is `grid.vector` neighbouring channels at one position (or
 * inputs of a matrix product, where a position is a row); its scale is an integer times grid.scale:
 * the grid's own, or found from the vector's largest magnitude.
 */
#ifndef BRIM_RUN_VECTOR_H
#define BRIM_RUN_VECTOR_H

#include "graph/dot.h"

/* What to write for a code. */
enum brim_vector_out {
    BRIM_VECTOR_REAL,   /* (float)code * ((float)sx * scale) */
    BRIM_VECTOR_SCALED, /* code * sx, an integer */
};

/* Where codes and integer scales go: position p, channel c, vector g at elements
 * p * position + c * channel of `code` (uint8_t or int8_t, as the grid says), p * vectors + g of
 * `scale`. */
struct brim_vector_codes {
    uint8_t *code;
    size_t position, channel;
    uint16_t *scale;
    size_t vectors;
};

/* Codes of `positions` positions; channel c of position p at x[c * stride + p]. For grids whose scales
 * are found at run time. */
void brim_vector_codes(const struct brim_grid *grid, size_t channels, size_t positions,
                       const float *x, size_t stride, const struct brim_vector_codes *to);

/* x and out are [channels][plane]; out may be x. The last vector may be short. */
void brim_vector_quantize(const struct brim_grid *grid, size_t channels, size_t plane,
                          const float *x, enum brim_vector_out what, float *out);

#endif
