/* depthwise_scalar.c - the scalar reference of depthwise. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/depthwise_variant.h"

#define BLOCK 16

/* Output `o`, channel c. Unsigned, since only the total with its offset is known to fit. */
static uint32_t total(const struct brim_depthwise_run *r, size_t o, size_t c)
{
    const int8_t *w = r->w;
    uint32_t sum = 0;

    for (size_t j = 0; j < r->kw; j++) {
        for (size_t i = 0; i < r->kh; i++) {
            const size_t column = o * r->stride + j * r->dilation;
            const uint8_t x = r->x[i * r->row + column * r->pixel + c] ^ r->flip;
            sum += (uint32_t)(x * w[(j * r->kh + i) * BLOCK + c]);
        }
    }
    return sum;
}

static void run(const struct brim_depthwise_run *r)
{
    for (size_t o = 0; o < r->outputs; o++) {
        for (size_t c = 0; c < r->channels; c++) {
            r->total[o * BLOCK + c] = (int32_t)total(r, o, c);
        }
    }
}

const struct brim_depthwise_variant brim_depthwise_scalar = {
    .name = "scalar", .block = BLOCK, .lanes = 1, .taps = 1, .run = run};
