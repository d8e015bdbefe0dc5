/* rng.c - see rng.h. SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

void brim_rng_init(struct brim_rng *r, uint64_t seed, uint64_t stream)
{
    uint64_t x = seed;
    uint64_t y = stream ^ UINT64_C(0xd1b54a32d192ed03);

    x ^= splitmix64(&y);
    for (int i = 0; i < 4; i++) {
        r->s[i] = splitmix64(&x);
    }
}

uint64_t brim_rng_u64(struct brim_rng *r)
{
    const uint64_t result = rotl(r->s[1] * 5, 7) * 9;
    const uint64_t t = r->s[1] << 17;

    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

uint64_t brim_rng_below(struct brim_rng *r, uint64_t n)
{
    const uint64_t limit = UINT64_MAX - UINT64_MAX % n; /* a multiple of n */
    uint64_t x;

    do {
        x = brim_rng_u64(r);
    } while (x >= limit);
    return x % n;
}

int64_t brim_rng_range(struct brim_rng *r, int64_t lo, int64_t hi)
{
    const uint64_t span = (uint64_t)hi - (uint64_t)lo;
    const uint64_t x = span == UINT64_MAX ? brim_rng_u64(r) : brim_rng_below(r, span + 1);

    return (int64_t)((uint64_t)lo + x);
}

double brim_rng_uniform(struct brim_rng *r)
{
    return (double)(brim_rng_u64(r) >> 11) * 0x1p-53;
}

double brim_rng_normal(struct brim_rng *r)
{
    double sum = -6.0;

    for (int i = 0; i < 12; i++) {
        sum += brim_rng_uniform(r);
    }
    return sum;
}
