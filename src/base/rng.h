/* rng.h - seeded random numbers: xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_BASE_RNG_H
#define BRIM_BASE_RNG_H

#include <stdint.h>

struct brim_rng {
    uint64_t s[4];
};

/* `stream` gives independent sequences of one seed (one per sample, so order does not matter). */
void brim_rng_init(struct brim_rng *r, uint64_t seed, uint64_t stream);
uint64_t brim_rng_u64(struct brim_rng *r);
/* Uniform in [0, n), without bias; n > 0. */
uint64_t brim_rng_below(struct brim_rng *r, uint64_t n);
/* Uniform in [lo, hi], both included. */
int64_t brim_rng_range(struct brim_rng *r, int64_t lo, int64_t hi);
/* Uniform in [0, 1), 53 bits. */
double brim_rng_uniform(struct brim_rng *r);
/* Approximately standard normal: sum of twelve uniforms minus six. No libm, so the same everywhere.
 */
double brim_rng_normal(struct brim_rng *r);

#endif
