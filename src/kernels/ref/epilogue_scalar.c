/* epilogue_scalar.c - the scalar reference of the epilogues. SPDX-License-Identifier: Apache-2.0 */
#include "base/intops.h"
#include "kernels/epilogue.h"

static int32_t finish(const struct brim_epilogue *e, int32_t total, size_t c)
{
    return e->offset != NULL ? (int32_t)((uint32_t)total + (uint32_t)e->offset[c]) : total;
}

static int32_t on_register(const struct brim_epilogue *e, int32_t acc)
{
    const uint32_t least = (uint32_t)e->least, mask = (uint32_t)e->most - least;

    if (e->emit == BRIM_EMIT_WRAPPED) {
        return (int32_t)((((uint32_t)acc - least) & mask) + least);
    }
    return e->emit == BRIM_EMIT_ACC ? acc
           : acc < e->least         ? e->least
           : acc > e->most          ? e->most
                                    : acc;
}

static float to_float(const struct brim_epilogue *e, int32_t acc, size_t c)
{
    const float y = (float)acc * e->multiplier[c];

    return e->bias != NULL ? y + e->bias[c] : y;
}

/* Comparisons as vector instructions make them: what is not a number becomes lo. */
static uint8_t to_code(const struct brim_epilogue *e, int32_t acc, size_t c)
{
    const float y = (float)acc * e->multiplier[c];
    const float above = y > e->lo ? y : e->lo;
    const float clipped = above < e->hi ? above : e->hi;

    return (uint8_t)(brim_rint_small(clipped) + e->zero);
}

void brim_epilogue_scalar(const struct brim_epilogue *e, const struct brim_epilogue_block *b)
{
    for (size_t i = 0; i < b->rows; i++) {
        const int32_t *total = b->total + i * b->stride;

        for (size_t j = 0; j < b->columns; j++) {
            const size_t c = b->first + j, at = i * b->y_stride + j;
            const int32_t acc = finish(e, total[j], c);

            if (brim_emits_acc(e->emit)) {
                ((int32_t *)b->y)[at] = on_register(e, acc);
            } else if (e->emit == BRIM_EMIT_FLOAT) {
                ((float *)b->y)[at] = to_float(e, acc, c);
            } else {
                ((uint8_t *)b->y)[at] = to_code(e, acc, c);
            }
        }
    }
}
