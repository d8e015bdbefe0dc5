/* gemv_scalar.c - gemv by definition: the variant that all others equal. SPDX-License-Identifier:
 * Apache-2.0 */
#include "kernels/gemv_variant.h"

/* The code at k of output c in a panel, as it is stored. */
static int32_t stored(const uint8_t *panel, unsigned bits, size_t c, size_t k)
{
    const size_t quad = k / 4, per_byte = 8 / bits;
    const uint8_t byte = panel[(quad / per_byte) * 64 + c * 4 + k % 4];

    if (bits == 8) {
        return (int8_t)byte;
    }
    return (byte >> (quad % per_byte * bits)) & ((1 << bits) - 1);
}

static void run(const struct brim_gemv_tile *t, unsigned bits)
{
    const size_t panel_bytes = t->k * BRIM_GEMV_PANEL * bits / 8;

    for (size_t i = 0; i < t->rows; i++) {
        for (size_t c = 0; c < t->panels * BRIM_GEMV_PANEL; c++) {
            const uint8_t *panel = t->w + c / BRIM_GEMV_PANEL * panel_bytes;
            uint32_t total = (uint32_t)t->start[i];
            for (size_t k = 0; k < t->k; k++) {
                total += (uint32_t)(t->x[i * t->x_stride + k] *
                                    stored(panel, bits, c % BRIM_GEMV_PANEL, k));
            }
            t->y[i * t->y_stride + c] = (int32_t)total;
        }
    }
}

static void run2(const struct brim_gemv_tile *t)
{
    run(t, 2);
}

static void run4(const struct brim_gemv_tile *t)
{
    run(t, 4);
}

static void run8(const struct brim_gemv_tile *t)
{
    run(t, 8);
}

const struct brim_gemv_variant brim_gemv_scalar = {
    .name = "scalar", .isa = 0, .rows = 4, .run = {run2, run4, run8}};
