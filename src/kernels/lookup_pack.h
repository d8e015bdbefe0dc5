/* lookup_pack.h - packed weights of a lookup, and what is proven about them. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef BRIM_KERNELS_LOOKUP_PACK_H
#define BRIM_KERNELS_LOOKUP_PACK_H

#include "kernels/lookup.h"
#include "kernels/lookup_variant.h"

/* Groups are the panels that one call of a variant takes. */
struct brim_lookup {
    const struct brim_lookup_variant *variant;
    const struct brim_epilogue_variant *finish;
    uint32_t isa;                  /* of the context that made it */
    struct brim_epilogue epilogue; /* its offset is the one below */
    size_t n, k, segments;
    size_t panels, groups, blocks;
    size_t steps, block; /* all steps, and those of each block but the last; even */
    bool negated;        /* the packed weights are -w, the centred inputs centre - x */
    int32_t centre;
    int32_t a, b;    /* of centred inputs: a <= 0 <= b */
    double products; /* of a tile, on average */
    int32_t *offset; /* [n] */
    uint8_t *index;  /* lookup_variant.h */
    uint8_t *tile;   /* [blocks][groups] */
    uint32_t *tiles; /* [blocks][panels] since the run began */
    size_t *run; /* [blocks + 1] number of the run of blocks that 16 bits add up; the last: runs */
};

static inline size_t brim_lookup_block_steps(const struct brim_lookup *l, size_t block)
{
    return block + 1 < l->blocks ? l->block : l->steps - block * l->block;
}

/* Bytes of indices of one panel. */
static inline size_t brim_lookup_index_bytes(const struct brim_lookup *l, size_t steps)
{
    return BRIM_LOOKUP_PANEL * (l->variant->weights == 2 ? steps / 2 : steps);
}

/* Pack for l->variant: every other member that depends on it. `w` fits 2 bits. */
BRIM_NODISCARD brim_status brim_lookup_pack(brim_ctx *ctx, struct brim_lookup *l, const int32_t *w);

#endif
