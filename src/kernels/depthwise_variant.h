/* depthwise_variant.h - the table of depthwise's inner loops. SPDX-License-Identifier: Apache-2.0
 *
 * Channels are lanes, `block` of them at a time. A kernel's rows are taken `taps` at once: the
 * pixels of a column are interleaved, tap fastest, so that one multiply-add instruction sums
 * `taps` products of each channel, and the kw outputs that see a column share the interleaving:
 *
 *     row 0   c0 c1 c2 ...                         one column of 4 taps:
 *     row 1   c0 c1 c2 ...       interleaved       c0 c0 c0 c0 c1 c1 c1 c1 ...
 *     row 2   c0 c1 c2 ...    ---------------->    rows 0, 1, 2, 3
 *     row 3   c0 c1 c2 ...
 *
 * Vector instructions interleave within pieces of 128 bits, so the channels of a block come in the
 * order that a variant's `lanes` (pieces in a vector) gives: position p is channel
 *     (p / 4) % lanes * (block / lanes) + p / (4 * lanes) * 4 + p % 4.
 *
 * Packed weights: [block of channels][kw][ceil(kh / taps)][position][taps] of int8_t, or of int16_t
 * where `wide`; zero beyond the kernel's rows and the last channel.
 */
#ifndef BRIM_KERNELS_DEPTHWISE_VARIANT_H
#define BRIM_KERNELS_DEPTHWISE_VARIANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRIM_DEPTHWISE_OUTPUTS 32 /* of a row, computed at a time */

/* Totals of up to BRIM_DEPTHWISE_OUTPUTS neighbours in a row of outputs, modulo 2^32. */
struct brim_depthwise_run {
    const uint8_t *x;  /* the first output's first pixel, at the block's first channel */
    size_t row, pixel; /* bytes between rows of the kernel (dilation included), between pixels */
    size_t channels;   /* 1..block */
    size_t kh, kw, stride, dilation; /* the last two along the row */
    size_t outputs, columns; /* columns = (outputs - 1) * stride + (kw - 1) * dilation + 1 */
    uint8_t flip;            /* 0x80 makes bytes of codes that are signed, 0 leaves them */
    const void *w;           /* of the block */
    void *column;            /* scratch: [columns][ceil(kh / taps)][block][taps] like weights */
    int32_t *total;          /* [outputs][block], channels in their own order */
};

struct brim_depthwise_variant {
    const char *name;
    uint32_t isa; /* enum brim_isa */
    unsigned block, lanes, taps;
    bool wide;
    void (*run)(const struct brim_depthwise_run *r);
};

/* Oldest first; the first is the scalar reference. */
extern const struct brim_depthwise_variant *const brim_depthwise_variants[];
extern const size_t brim_depthwise_variant_count;

/* What the table lists. */
extern const struct brim_depthwise_variant brim_depthwise_scalar, brim_depthwise_avx2,
    brim_depthwise_avx512, brim_depthwise_avx512vnni, brim_depthwise_neon, brim_depthwise_dotprod,
    brim_depthwise_simd128;

#endif
