/* gemv_variant.h - the table of gemv's inner loops, which packer, selector, tests and benchmarks
 * read. SPDX-License-Identifier: Apache-2.0
 *
 * Packed weights: gemm's panels of 16 outputs, quads of 4 consecutive k (gemm_variant.h), at the
 * weights' own width. 64 bytes are a group of 8 / bits quads: byte j of the group holds byte j of
 * each quad, the first quad's in its lowest bits.
 *
 *     8 bits   [group][16 outputs][4 k]           gemm's panels
 *     4 bits   quad 0 in bits 0..3, 1 in 4..7     codes + 8
 *     2 bits   quads 0..3 in bits 0..1, ..6..7    codes + 2
 *
 * The codes below 8 bits are stored without a sign, so that unpacking is a mask and a shift; what
 * that adds, (8 or 2) * sum(x), the accumulators start below. k is filled up to BRIM_GEMV_K with
 * zero bytes of x.
 */
#ifndef BRIM_KERNELS_GEMV_VARIANT_H
#define BRIM_KERNELS_GEMV_VARIANT_H

#include <stddef.h>
#include <stdint.h>

#define BRIM_GEMV_PANEL 16 /* outputs */
#define BRIM_GEMV_K     64 /* a panel's k are a multiple */

enum brim_gemv_width { BRIM_GEMV_2, BRIM_GEMV_4, BRIM_GEMV_8, BRIM_GEMV_WIDTHS };

/* Totals of `rows` rows and `panels` panels, one after another in w. */
struct brim_gemv_tile {
    unsigned rows; /* 1..variant's */
    size_t panels, k;
    const uint8_t *x; /* k bytes a row */
    size_t x_stride;
    const uint8_t *w;
    const int32_t *start; /* [rows] */
    int32_t *y;           /* [rows][16 * panels], row i at y + i * y_stride */
    size_t y_stride;
};

typedef void brim_gemv_run_tile(const struct brim_gemv_tile *tile);

struct brim_gemv_variant {
    const char *name;
    uint32_t isa;  /* enum brim_isa */
    unsigned rows; /* most in a tile */
    brim_gemv_run_tile *run[BRIM_GEMV_WIDTHS];
};

/* Slowest first; the first is the scalar reference. */
extern const struct brim_gemv_variant *const brim_gemv_variants[];
extern const size_t brim_gemv_variant_count;

extern const struct brim_gemv_variant brim_gemv_scalar;
extern const struct brim_gemv_variant brim_gemv_avx2;
extern const struct brim_gemv_variant brim_gemv_avxvnni;
extern const struct brim_gemv_variant brim_gemv_avx512vnni;
extern const struct brim_gemv_variant brim_gemv_neon;
extern const struct brim_gemv_variant brim_gemv_dotprod;
extern const struct brim_gemv_variant brim_gemv_simd128;

#endif
