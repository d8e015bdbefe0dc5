/* lookup_scalar.c - lookups in plain C, what every variant has to equal. SPDX-License-Identifier:
 * Apache-2.0
 *
 * The state of a row is its 64 sums, in order. */
#include "kernels/lookup_variant.h"

/* The values of codes 0..3. */
static const int value[4] = {0, 1, -2, -1};

static void build(const struct brim_lookup_build *b)
{
    for (unsigned i = 0; i < b->rows; i++) {
        const uint8_t *x = b->x + i * b->x_stride;

        for (size_t s = 0; s < b->steps; s++) {
            const int x0 = (x[2 * s] ^ b->flip) + b->add, x1 = (x[2 * s + 1] ^ b->flip) + b->add;
            uint8_t *table = b->table + 16 * (s * b->rows + i);

            for (int e = 0; e < 16; e++) {
                table[e] = (uint8_t)(value[e & 3] * x0 + value[e >> 2] * x1);
            }
        }
    }
}

/* The sum of `steps` lookups of output j, mod 256: as an int8_t, the true sum. */
static int8_t add_tile(const uint8_t *table, size_t stride, const uint8_t *index, size_t steps)
{
    uint8_t sum = 0;

    for (size_t s = 0; s < steps; s += 2) {
        const uint8_t pair = index[s / 2 * BRIM_LOOKUP_PANEL];

        sum = (uint8_t)(sum + table[s * stride + (pair & 15u)]);
        sum = (uint8_t)(sum + table[(s + 1) * stride + (pair >> 4)]);
    }
    return (int8_t)sum;
}

static void run(const struct brim_lookup_tile *t)
{
    const size_t stride = (size_t)16 * t->rows;

    for (size_t i = 0; i < t->rows; i++) {
        for (size_t j = 0; j < BRIM_LOOKUP_PANEL; j++) {
            uint16_t *state = &t->state[i * BRIM_LOOKUP_PANEL + j];

            *state = t->first ? 0 : *state;
            for (size_t s = 0; s < t->steps; s += t->tile) {
                const size_t left = t->steps - s;
                const uint8_t *index = t->index + s / 2 * BRIM_LOOKUP_PANEL + j;

                *state = (uint16_t)(*state + add_tile(t->table + s * stride + 16 * i, stride, index,
                                                      left < t->tile ? left : t->tile));
            }
        }
    }
}

static void finish(const struct brim_lookup_finish *f)
{
    for (size_t i = 0; i < f->rows; i++) {
        for (size_t j = 0; j < BRIM_LOOKUP_PANEL; j++) {
            int32_t *y = &f->y[i * f->y_stride + j];

            *y = (f->add ? *y : 0) + (int16_t)f->state[i * BRIM_LOOKUP_PANEL + j];
        }
    }
}

const struct brim_lookup_variant brim_lookup_scalar = {
    .name = "scalar",
    .isa = 0,
    .weights = 2,
    .rows = 4,
    .panels = 1,
    .block = 128,
    .rank = 0,
    .build = build,
    .run = run,
    .finish = finish,
};
