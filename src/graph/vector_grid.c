/* vector_grid.c - the grid that a node VectorQuantize speaks of. SPDX-License-Identifier: Apache-2.0 */
#include "base/intops.h"
#include "graph/dot.h"

/* Input i as one float. */
static bool number(const struct brim_tensor *const *value, size_t i, float *out)
{
    const struct brim_tensor *t = value[i];

    if (t == NULL || t->data == NULL || t->type.dtype != BRIM_FLOAT ||
        brim_shape_count(&t->type.shape) != 1) {
        return false;
    }
    *out = *(const float *)t->data;
    return true;
}

bool brim_vector_grid(const struct brim_tensor *const *value, struct brim_grid *grid)
{
    const struct brim_tensor *split = value[5];
    float scale, low, high, top;

    if (!number(value, 1, &scale) || !number(value, 2, &low) || !number(value, 3, &high) ||
        !number(value, 4, &top) || split == NULL || split->data == NULL ||
        split->type.dtype != BRIM_INT64 || brim_shape_count(&split->type.shape) != 4) {
        return false;
    }
    const int64_t *s = split->data;
    if (!(scale > 0.0f && scale <= 1e30f) || !(low >= -127.0f && low <= 0.0f) ||
        !(high >= 1.0f && high <= 255.0f) || !(top >= 7.0f && top <= 1023.0f) || s[0] != 0 ||
        s[1] < 1 || s[2] < 1 || s[3] != -1) {
        return false;
    }
    const int64_t lo = (int64_t)low, hi = (int64_t)high, most = (int64_t)top;
    *grid = (struct brim_grid){.dtype = lo < 0 ? BRIM_INT8 : BRIM_UINT8,
                               .lo = lo,
                               .hi = hi,
                               .scale = scale,
                               .vector = (size_t)s[2],
                               .scale_bits = brim_width_of(0, most) - 1};
    return (float)lo == low && (float)hi == high && (float)most == top &&
           most == (INT64_C(1) << grid->scale_bits) - 1 && (lo == 0 || (hi <= 127 && lo == -hi));
}

uint32_t brim_grid_vector_scale(const struct brim_grid *grid, const struct brim_dot *d, size_t n,
                                size_t g)
{
    if (grid->vector == 0) {
        return 1;
    }
    if (grid->code == NULL) {
        return (1u << grid->scale_bits) - 1;
    }
    const size_t channels = d->kind == BRIM_DOT_CONV ? (size_t)d->conv.c_in / d->groups : d->k;
    const size_t per_group = channels / grid->vector; /* kernel positions are alike */

    return grid->code[n / (d->n / d->groups) * per_group + g % per_group];
}
