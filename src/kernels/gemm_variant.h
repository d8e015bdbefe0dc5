/* gemm_variant.h - the table of gemm's inner loops, which packer, selector, tests and benchmarks
 * read. SPDX-License-Identifier: Apache-2.0
 *
 * Packed weights, one format for every instruction set: panels of 16 outputs; a panel is a run of
 * quads, a quad is 4 consecutive k of 16 outputs:
 *
 *     panel [quad][16 outputs][4 k]       64 bytes a quad: one zmm, two ymm, one tile row
 *
 * Each segment of the reduction is filled up to whole quads with zero weights, a panel to a multiple
 * of BRIM_GEMM_QUADS quads, n to whole panels.
 *
 * x reaches the inner loops as bytes 0..255: codes of a layer with negative ones have -x_min added,
 * and the packer takes -x_min * sum(w) off the offsets; proofs are about the bytes.
 *
 * Where signed bytes cannot be multiplied by unsigned ones, a variant centres x: it takes off `zero`,
 * the least that leaves no byte above 127, and begins its totals at zero * sum(w). If bytes in lo..hi
 * keep a sum in 16 bits, so do the centred ones: with P and -N the sums of the positive and of the
 * negative weights,
 *
 *     P >= N    the greatest centred sum is the greatest sum less zero * (P - N)
 *     P < N     it is minus the least sum, less (N - P) * (127 + lo)
 *
 * and the least alike.
 */
#ifndef BRIM_KERNELS_GEMM_VARIANT_H
#define BRIM_KERNELS_GEMM_VARIANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRIM_GEMM_PANEL 16 /* outputs */
#define BRIM_GEMM_QUADS 16 /* a panel's quads are a multiple: 64 k, one AMX tile */
#define BRIM_GEMM_FEW   1  /* up to so many rows, variants are ranked by `few` */

/* What a variant's plain additions ask of weights and inputs; each includes the ones before. */
enum brim_gemm_need {
    BRIM_GEMM_ANY,  /* exact for all codes */
    BRIM_GEMM_PAIR, /* x0*w0 + x1*w1 of every even pair of k fits 16 bits: vpmaddubsw is exact */
    BRIM_GEMM_LANE  /* sums of even, and of odd, pairs over every tile fit 16 bits: vpaddw is */
};

/* Bits: what else a variant may ask for. */
enum brim_gemm_bound {
    BRIM_GEMM_X7 = 1 << 0,     /* no byte of x is above 127 */
    BRIM_GEMM_PRODUCT = 1 << 1 /* no centred product is 2^14, -128 * -128: any two fit 16 bits */
};

/* Part of a row's reduction: consecutive quads at one place of x. */
struct brim_gemm_span {
    size_t x;       /* bytes from the row's start */
    uint32_t quads; /* at least 1 */
    bool widen;     /* LANE: a tile ends here, add the 16-bit lanes into 32 bits */
};

/* Totals of `rows` rows and `panels` panels, modulo 2^32. Spans follow one another in the panel. */
struct brim_gemm_tile {
    unsigned rows, panels; /* 1..variant's */
    const uint8_t *x;
    size_t x_stride;
    const uint8_t *source; /* bytes that are wanted next, `rows` times source_stride; NULL = what */
    size_t source_stride;  /* lies behind x */
    const struct brim_gemm_span *span;
    size_t spans; /* at least 1; the last widens */
    const int8_t *w;
    size_t w_stride;    /* bytes between panels */
    const int8_t *next; /* weights of as many panels that are wanted soon; NULL = none */
    int32_t *y;         /* [rows][16 * panels], row i at y + i * y_stride */
    size_t y_stride;
    bool add;      /* to what y holds */
    bool pass;     /* tile registers: weights pass by, rows of x stay in L1; or the reverse */
    unsigned step; /* tile registers: quads that they take at a time */
    uint8_t zero;  /* centred variants: taken off x; */
    const int32_t *start; /* [16 * panels], what is added to without `add` */
};

struct brim_gemm_variant {
    const char *name; /* "avx2-16" */
    uint32_t isa;     /* enum brim_isa */
    enum brim_gemm_need need;
    unsigned bounds; /* enum brim_gemm_bound */
    bool centred;
    unsigned rows, panels; /* largest tile */
    unsigned unit;         /* spans are multiples of this many quads, or of a tile's `step` */
    unsigned rank;         /* the allowed variant of highest rank runs; 0 = never by itself */
    unsigned few;          /* the rank for up to BRIM_GEMM_FEW rows; 0 = as `rank` */
    void (*run)(const struct brim_gemm_tile *tile);

    /* NULL, or for tile registers: begin() before the first tile and before tiles of another `step`,
     * 1..unit, or number of rows (after 32 also 16), end() after the last, all in one thread. Either costs as
     * much as a small tile, so whole K in a tile, long runs of equal rows, and last rows joined to
     * some that are done already. */
    void (*begin)(unsigned rows, unsigned step);
    void (*end)(void);
};

/* The first is the scalar reference. */
extern const struct brim_gemm_variant *const brim_gemm_variants[];
extern const size_t brim_gemm_variant_count;

/* The one of highest rank that `isa` has and a proof of `need` and `bounds` allows. */
const struct brim_gemm_variant *brim_gemm_choose(uint32_t isa, enum brim_gemm_need need,
                                                 unsigned bounds, bool few);

/* NULL: no variant has this name. */
const struct brim_gemm_variant *brim_gemm_find(const char *name);

/* What the table lists. */
extern const struct brim_gemm_variant brim_gemm_scalar;
extern const struct brim_gemm_variant brim_gemm_amx;
extern const struct brim_gemm_variant brim_gemm_dotprod;
extern const struct brim_gemm_variant brim_gemm_neon16;
extern const struct brim_gemm_variant brim_gemm_neon32;
extern const struct brim_gemm_variant brim_gemm_neon_pair;
extern const struct brim_gemm_variant brim_gemm_relaxed16;
extern const struct brim_gemm_variant brim_gemm_relaxed32;
extern const struct brim_gemm_variant brim_gemm_simd128;
extern const struct brim_gemm_variant brim_gemm_sse41_32, brim_gemm_sse41_pair, brim_gemm_sse41_16;
extern const struct brim_gemm_variant brim_gemm_avx2_32, brim_gemm_avx2_pair, brim_gemm_avx2_16;
extern const struct brim_gemm_variant brim_gemm_avx512_32, brim_gemm_avx512_pair;
extern const struct brim_gemm_variant brim_gemm_avx512_16;
extern const struct brim_gemm_variant brim_gemm_avxvnni, brim_gemm_avx512vnni;
extern const struct brim_gemm_variant brim_gemm_avx2_row, brim_gemm_avxvnni_row;
extern const struct brim_gemm_variant brim_gemm_avx512vnni_row;

#endif
