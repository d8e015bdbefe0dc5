/* prove_target.h - the proof of one dot layer on a target. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CERTIFY_PROVE_TARGET_H
#define BRIM_CERTIFY_PROVE_TARGET_H

#include "brim/certify.h"
#include "target/layer_walk.h"

/* Bound every register of the walked layer; fill `out` from `arena`, with a witness when refuted.
 * BRIM_OK whether proven or not; errors are those of the statement itself. */
BRIM_NODISCARD brim_status brim_prove_target(struct brim_arena *arena,
                                             const struct brim_layer_walk *walk,
                                             brim_target_layer *out);

#endif
