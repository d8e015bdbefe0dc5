/* augment.h - images varied at random while training. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TRAIN_AUGMENT_H
#define BRIM_TRAIN_AUGMENT_H

#include "base/ctx.h"
#include "base/rng.h"

struct brim_augment {
    bool flip;
    bool edges;           /* what moves in from outside repeats the image's edge, else 0 */
    size_t reach, cutout; /* pixels, 0 = none */
};

/* "flip,crop4,cutout8"; "shift4": crop4 with edges. NULL or "" = nothing. BRIM_ERR_ARG names the part that is none. */
BRIM_NODISCARD brim_status brim_augment_parse(brim_ctx *ctx, const char *text,
                                              struct brim_augment *a);
static inline bool brim_augment_any(const struct brim_augment *a)
{
    return a->flip || a->reach > 0 || a->cutout > 0;
}
/* One image [channels][height][width], in place; scratch: as many floats. */
void brim_augment_apply(const struct brim_augment *a, struct brim_rng *rng, size_t channels,
                        size_t height, size_t width, float *x, float *scratch);

#endif
