/* gemm_scalar.c - the scalar reference of gemm. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm_variant.h"

/* One row, one output of a panel: w points at its first 4 weights. Unsigned, since only the total
 * with its offset is known to fit. */
static uint32_t total(const struct brim_gemm_tile *t, const uint8_t *x, const int8_t *w)
{
    uint32_t sum = 0;

    for (size_t s = 0; s < t->spans; s++) {
        const uint8_t *from = x + t->span[s].x;

        for (size_t q = 0; q < t->span[s].quads; q++) {
            for (size_t i = 0; i < 4; i++) {
                sum += (uint32_t)(from[4 * q + i] * w[i]);
            }
            w += 4 * (size_t)BRIM_GEMM_PANEL;
        }
    }
    return sum;
}

static void run(const struct brim_gemm_tile *t)
{
    for (size_t i = 0; i < t->rows; i++) {
        int32_t *y = t->y + i * t->y_stride;

        for (size_t c = 0; c < t->panels * (size_t)BRIM_GEMM_PANEL; c++) {
            const int8_t *w = t->w + c / BRIM_GEMM_PANEL * t->w_stride + 4 * (c % BRIM_GEMM_PANEL);
            const uint32_t sum = total(t, t->x + i * t->x_stride, w);

            y[c] = (int32_t)(t->add ? (uint32_t)y[c] + sum : sum);
        }
    }
}

const struct brim_gemm_variant brim_gemm_scalar = {.name = "scalar",
                                                   .need = BRIM_GEMM_ANY,
                                                   .rows = 4,
                                                   .panels = 1,
                                                   .unit = 1,
                                                   .rank = 1,
                                                   .run = run};
