/* simulate_scalar.c - the simulator's passes as they read. SPDX-License-Identifier: Apache-2.0
 *
 * One lane of one row at a time, in 64 bits; what a lane's width does to a sum is written out. */
#include "base/intops.h"
#include "kernels/simulate_variant.h"

enum { WORDS = BRIM_SIMULATE_WORDS, LANES = BRIM_SIMULATE_LANES };

static int64_t product(const struct brim_simulate_tile *t, size_t row, size_t lane, size_t j)
{
    const size_t half = lane / WORDS, word = lane % WORDS;
    const int16_t shared = (int16_t)(uint16_t)(t->shared[row][j] >> (16 * half));

    return (int64_t)t->panel[j * LANES + 2 * word + half] * shared;
}

/* Of a row's lanes, one row after another, the i-th. */
static int32_t *value_of(const struct brim_simulate_tile *t, size_t i)
{
    return t->value + i / LANES * t->stride + i % LANES;
}

static int64_t modulo(int64_t v, unsigned width)
{
    const uint64_t half = UINT64_C(1) << (width - 1);

    return (int64_t)(((uint64_t)v + half) & (2 * half - 1)) - (int64_t)half;
}

/* Rounded down: the upper rail of the scaled sums is 2^shift - 1 above the scaled upper rail of the
 * register, and stays so as long as the sum does not meet the lower one. */
static int64_t scale_back(int64_t v, unsigned shift)
{
    const int64_t unit = (int64_t)1 << shift;

    return v >= 0 ? v / unit : -((unit - 1 - v) / unit);
}

/* width: of the products as the lanes see them; lo, hi: rails. */
static void clamp(const struct brim_simulate_tile *t, unsigned width, int64_t lo, int64_t hi)
{
    for (size_t i = 0; i < (size_t)t->rows * LANES; i++) {
        int64_t v = 0;

        for (size_t j = 0; j < t->count; j++) {
            v = brim_clip_i64(v + modulo(product(t, i / LANES, i % LANES, j), width), lo, hi);
        }
        *value_of(t, i) = (int32_t)scale_back(v, t->shift);
    }
}

static void saturate16(const struct brim_simulate_tile *t)
{
    clamp(t, 16, INT16_MIN, INT16_MAX);
}

static void saturate32(const struct brim_simulate_tile *t)
{
    clamp(t, 32, INT32_MIN, INT32_MAX);
}

static void clamp_rails(const struct brim_simulate_tile *t)
{
    clamp(t, 32, t->lo, t->hi);
}

static void sum(const struct brim_simulate_tile *t, unsigned width)
{
    for (size_t i = 0; i < (size_t)t->rows * LANES; i++) {
        int64_t v = 0;

        for (size_t j = 0; j < t->count; j++) {
            v += product(t, i / LANES, i % LANES, j);
        }
        *value_of(t, i) = (int32_t)modulo(v, width);
    }
}

static void sum16(const struct brim_simulate_tile *t)
{
    sum(t, 16);
}

static void sum32(const struct brim_simulate_tile *t)
{
    sum(t, 32);
}

static void range(const struct brim_simulate_tile *t, int64_t lo, int64_t hi)
{
    for (size_t i = 0; i < (size_t)t->rows * LANES; i++) {
        int64_t v = 0, least = 0, most = 0;

        for (size_t j = 0; j < t->count; j++) {
            v = brim_clip_i64(v + product(t, i / LANES, i % LANES, j), lo, hi);
            least = brim_min_i64(least, v);
            most = brim_max_i64(most, v);
        }
        *value_of(t, i) = (int32_t)v;
        t->least[i] = (int32_t)least;
        t->most[i] = (int32_t)most;
    }
}

static void range16(const struct brim_simulate_tile *t)
{
    range(t, INT16_MIN, INT16_MAX);
}

static void range32(const struct brim_simulate_tile *t)
{
    range(t, INT32_MIN, INT32_MAX);
}

static void products(const struct brim_simulate_tile *t)
{
    for (size_t i = 0; i < (size_t)t->rows * LANES; i++) {
        int64_t least = 0, most = 0;

        for (size_t j = 0; j < t->count; j++) {
            const int64_t p = product(t, i / LANES, i % LANES, j);

            least = brim_min_i64(least, p);
            most = brim_max_i64(most, p);
        }
        t->least[i] = (int32_t)least;
        t->most[i] = (int32_t)most;
    }
}

static void tiles(const struct brim_simulate_tile *t, bool saturate)
{
    for (size_t i = 0; i < (size_t)t->rows * LANES; i++) {
        int64_t sum = 0, v = 0;

        for (size_t j = 0; j < t->count; j++) {
            v += modulo(product(t, i / LANES, i % LANES, j), 16);
            v = saturate ? brim_clip_i64(v, INT16_MIN, INT16_MAX) : modulo(v, 16);
            if ((j + 1) % t->tile == 0 || j + 1 == t->count) {
                sum += scale_back(v, t->shift);
                v = 0;
            }
        }
        *value_of(t, i) = (int32_t)modulo(sum, 32);
    }
}

static void tiles_saturate16(const struct brim_simulate_tile *t)
{
    tiles(t, true);
}

static void tiles_sum16(const struct brim_simulate_tile *t)
{
    tiles(t, false);
}

static void tiles_range32(const struct brim_simulate_tile *t)
{
    for (size_t i = 0; i < (size_t)t->rows * LANES; i++) {
        int64_t v = 0, least = 0, most = 0, tile_least = 0, tile_most = 0;

        for (size_t j = 0; j < t->count; j++) {
            v += product(t, i / LANES, i % LANES, j);
            least = brim_min_i64(least, v);
            most = brim_max_i64(most, v);
            if ((j + 1) % t->tile == 0 || j + 1 == t->count) {
                tile_least = brim_min_i64(tile_least, v);
                tile_most = brim_max_i64(tile_most, v);
                v = 0;
            }
        }
        t->least[i] = (int32_t)least;
        t->most[i] = (int32_t)most;
        t->tile_least[i] = (int32_t)tile_least;
        t->tile_most[i] = (int32_t)tile_most;
    }
}

static void interleave(const uint32_t *const x[WORDS], size_t count, uint32_t *panel)
{
    for (size_t j = 0; j < count; j++) {
        for (size_t d = 0; d < WORDS; d++) {
            panel[j * WORDS + d] = x[d] != NULL ? x[d][j] : 0;
        }
    }
}

extern const struct brim_simulate_variant brim_simulate_scalar;
const struct brim_simulate_variant brim_simulate_scalar = {
    .name = "scalar",
    .pass = {[BRIM_SATURATE16] = saturate16,
             [BRIM_SATURATE32] = saturate32,
             [BRIM_CLAMP16] = clamp_rails,
             [BRIM_CLAMP32] = clamp_rails,
             [BRIM_SUM16] = sum16,
             [BRIM_SUM32] = sum32,
             [BRIM_RANGE16] = range16,
             [BRIM_RANGE32] = range32,
             [BRIM_PRODUCTS16] = products,
             [BRIM_PRODUCTS32] = products,
             [BRIM_TILES_SATURATE16] = tiles_saturate16,
             [BRIM_TILES_SUM16] = tiles_sum16,
             [BRIM_TILES_RANGE32] = tiles_range32},
    .interleave = interleave};
