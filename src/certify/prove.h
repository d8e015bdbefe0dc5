/* prove.h - the proof of one dot layer. SPDX-License-Identifier: Apache-2.0
 *
 * Sees integers only: codes, ranges, a datapath. How the codes were made is none of its business.
 */
#ifndef BRIM_CERTIFY_PROVE_H
#define BRIM_CERTIFY_PROVE_H

#include "brim/certify.h"
#include "graph/dot.h"

/* Registers outside the datapath: zero-point correction and bias are added in 32 bits. */
#define BRIM_OUTSIDE_BITS 32u

/* Bound every register of `d` under `dp`; fill `out`, with a witness from `arena` when refuted.
 * BRIM_OK whether proven or not; errors are those of the statement itself. */
BRIM_NODISCARD brim_status brim_certify_layer(struct brim_arena *arena, const struct brim_dot *d,
                                              const brim_datapath *dp, brim_certificate_layer *out);

/* Range of sum - x_zero * sum(w) + bias of output c, where `sum` is the range of the sum. */
BRIM_NODISCARD brim_status brim_outside_range(brim_ctx *ctx, const struct brim_dot *d, size_t c,
                                              const brim_range *sum, brim_range *outside);

/* The zero point that takes it furthest: the layer's, or of those that a run may find. */
int64_t brim_outside_zero(const struct brim_dot *d, size_t c, bool high);

/* The input that takes it, at that zero point, to its greatest (high) or least value, which is returned. x: [k]. */
int64_t brim_outside_input(const struct brim_dot *d, size_t c, bool high, int32_t *x);

#endif
