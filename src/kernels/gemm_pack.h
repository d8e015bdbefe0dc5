/* gemm_pack.h - gemm's weights as packed, and what is proved about them. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef BRIM_KERNELS_GEMM_PACK_H
#define BRIM_KERNELS_GEMM_PACK_H

#include "kernels/gemm.h"
#include "kernels/gemm_variant.h"

/* Tiles of 16-bit sums, longest first: a whole block of the reduction, 256, 128 or 64 k. */
#define BRIM_GEMM_TILES 4

struct brim_gemm_proof {
    bool pair;      /* every even pair fits 16 bits */
    uint8_t tiles;  /* bit i: and so do all lanes over tiles of length i */
    uint8_t bounds; /* enum brim_gemm_bound */
};

struct brim_gemm_packed {
    size_t n, k, segments;
    size_t segment_quads; /* of one segment */
    size_t quads;         /* of all segments */
    size_t panel_quads;   /* a multiple of BRIM_GEMM_QUADS */
    size_t panels;
    size_t block;                  /* quads whose weights stay in L1; tiles end at block ends */
    uint8_t shift;                 /* added to the bytes of x */
    uint8_t zero;                  /* taken off them by centred variants */
    int8_t *w;                     /* [panels][panel_quads][16][4] */
    struct brim_gemm_proof *proof; /* [panels] */
    int32_t *offset;               /* [n], shift and epilogue's; NULL = 0 */
    int32_t *start;                /* [panels][16], of centred variants; NULL until asked for */
};

/* The caller frees what was packed, after errors too. `out` starts zeroed. */
BRIM_NODISCARD brim_status brim_gemm_pack(brim_ctx *ctx, const struct brim_gemm_params *p,
                                          struct brim_gemm_packed *out);
void brim_gemm_packed_free(brim_ctx *ctx, struct brim_gemm_packed *packed);

/* Fill `start`. */
BRIM_NODISCARD brim_status brim_gemm_pack_start(brim_ctx *ctx, struct brim_gemm_packed *packed);

/* Quads of a tile. */
size_t brim_gemm_tile_quads(const struct brim_gemm_packed *packed, unsigned tile);

/* What a proof allows. */
enum brim_gemm_need brim_gemm_proven(struct brim_gemm_proof proof);

#endif
