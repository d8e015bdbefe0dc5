/* synth.h - datasets made up from a seed. SPDX-License-Identifier: Apache-2.0
 *
 * Sample i of a seed is the same whatever was asked before it, on every machine.
 */
#ifndef BRIM_DATA_SYNTH_H
#define BRIM_DATA_SYNTH_H

#include "base/ctx.h"

#define BRIM_GLYPH_SIDE    28
#define BRIM_GLYPH_PIXELS  (BRIM_GLYPH_SIDE * BRIM_GLYPH_SIDE)
#define BRIM_GLYPH_CLASSES 10

/* Draw glyph `index` of `seed`; returns its class, 0..9. */
uint8_t brim_synth_glyph(uint64_t seed, uint64_t index, uint8_t pixel[BRIM_GLYPH_PIXELS]);

/* n values, standard normal to a good approximation. */
void brim_synth_noise(uint64_t seed, uint64_t index, float *x, size_t n);

#endif
