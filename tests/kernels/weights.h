/* weights.h - weights that fit narrow registers exactly, or just not. SPDX-License-Identifier:
 * Apache-2.0
 *
 * One output's weights lie in quads of 4. A group of weights shares a register: a pair (k % 4 = 0, 1
 * or 2, 3 of one quad), or a lane (the same pairs of all quads of one tile). Inputs are bytes.
 */
#ifndef BRIM_TESTS_KERNELS_WEIGHTS_H
#define BRIM_TESTS_KERNELS_WEIGHTS_H

#include "checkasm.h"

enum check_group { CHECK_FREE, CHECK_PAIRS, CHECK_LANES };

enum check_fit {
    CHECK_AS_DRAWN, /* whether they fit is left to chance */
    CHECK_FITS,
    CHECK_FULL,  /* positive and negative weights of every group fill the register if they can */
    CHECK_BEYOND /* full, then one weight too many by 1 */
};
extern const char *const check_fit_name[];

struct check_weights {
    size_t quads;
    const bool *real;     /* [4 * quads]: false = padding, weight 0 */
    const uint32_t *tile; /* [quads] number of each quad's tile, ascending */
    enum check_group group;
    enum check_fit fit;
    enum check_pattern pattern;
    int32_t w_min, w_max;     /* within -128..127 */
    int32_t x_max;            /* greatest byte */
    int32_t sum_min, sum_max; /* of a register */
};

/* Fill w[4 * quads]. */
void check_draw_weights(struct check *c, const struct check_weights *d, int8_t *w);

/* A greatest byte; for full registers mostly one of whose multiples is a register's end, or the first
 * number beyond. */
int32_t check_some_x_max(struct check *c, enum check_fit fit);

/* No input within 0..x_max takes a group of this kind out of its register. */
bool check_weights_fit(const struct check_weights *d, const int8_t *w, enum check_group group);

#endif
