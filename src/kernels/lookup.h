/* lookup.h - exact totals of dot products with ternary or 2-bit weights, by table lookup.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     y[i][c] = epilogue(sum over k of x[i][k] * w[c][k])
 *
 * A group of 2 (or 3) weights of 2 bits is an index of 4 (or 6) bits. All sums that a group can
 * give with the inputs it meets are written into a table of 16 (or 64) bytes, once for all outputs;
 * a vector shuffle then looks up a whole register of outputs, 2 (or 3) products in each lane, and
 * one 8-bit add, neither widening nor saturating, takes them into the totals.
 *
 *     x = 3 9 | 5 2, w = 1 -1 | 0 1     entry(1, -1) = 3 - 9 = -6, entry(0, 1) = 2: total -4
 *
 * Bytes wrap, so the adds are exact only within tiles that a proof allows. The packer finds it from
 * the weights: inputs are centred first (x - c, c in the middle of their range; c * sum(w) goes into
 * the offset), so that for x in [a, b], a <= 0 <= b, all partial sums of a run of weights lie in
 *
 *     [a * P - b * M, b * P - a * M],   P = sum of its weights > 0, M = sum of -w of those < 0
 *
 * in any order, and each panel of outputs takes the longest run for which this is within
 * -128..127 in each of its tiles. Twelve ternary weights always fit inputs of 4 bits, sixteen unless
 * all are -1; and all weights whose own sums, of inputs from 0, are certified for 8 bits.
 *
 * Cost of m rows: m * n * k / (products of a lookup * lanes) lookups of two instructions, m * k
 * table bytes of 4^g / g; tables therefore pay where n is large (brim_lookup_pays()).
 */
#ifndef BRIM_KERNELS_LOOKUP_H
#define BRIM_KERNELS_LOOKUP_H

#include "base/alloc.h"
#include "kernels/epilogue.h"
#include "kernels/gemm.h"

struct brim_lookup_params {
    const int32_t *w; /* [n][k] codes, all in -2..1 or all in -1..2; copied */
    size_t n, k;
    size_t segments;               /* divides k; 1 = rows lie in one piece */
    int32_t x_min, x_max;          /* of the codes of x: within 0..255, or within -128..127 */
    bool x_signed;                 /* the bytes of x are int8_t */
    struct brim_epilogue epilogue; /* its arrays must outlive the product */
    const char *variant;           /* by name, for tests and benchmarks; NULL = the fastest */
};

struct brim_lookup; /* immutable once created, so it may be shared between threads */

/* BRIM_ERR_ARG: x's range is no range of bytes, |total + offset| may reach 2^31, or the named
 * variant is unknown or not on this CPU. BRIM_ERR_UNSUPPORTED: the weights do not fit 2 bits, or
 * tiles are too short to be worth it (a named variant takes any tile of two lookups). */
BRIM_NODISCARD brim_status brim_lookup_create(brim_ctx *ctx, const struct brim_lookup_params *p,
                                              struct brim_lookup **lookup);
void brim_lookup_free(brim_ctx *ctx, struct brim_lookup *lookup); /* NULL is fine */

struct brim_lookup_variant;
const struct brim_lookup_variant *brim_lookup_chosen(const struct brim_lookup *lookup);

/* Mean number of products that 8 bits add up: what the proof found. */
double brim_lookup_tile(const struct brim_lookup *lookup);

/* Whether products of m rows are expected to be faster than brim_gemm_run()'s and brim_gemv_run()'s of
 * the same codes: from costs measured in cache, and from the bytes that come from beyond it. */
bool brim_lookup_pays(const struct brim_lookup *lookup, size_t m);

/* Bytes of scratch that a run of m rows needs, 64-byte aligned. */
size_t brim_lookup_scratch(const struct brim_lookup *lookup, size_t m);

/* Rows as for brim_gemm_run(); bytes between them may be read, too. */
void brim_lookup_run(const struct brim_lookup *lookup, const struct brim_gemm_rows *rows);

#endif
