/* gemv_row.h - gemv's loop of 8-bit weights as gemm's tile of one row: the same packed panels, and no
 * second copy of them. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_KERNELS_X86_GEMV_ROW_H
#define BRIM_KERNELS_X86_GEMV_ROW_H

#include "kernels/gemm_variant.h"
#include "kernels/gemv_variant.h"

#define BRIM_GEMV_ROW_PANELS 8 /* between two epilogues: their totals stay in L1 */

static inline void brim_gemv_row(const struct brim_gemm_tile *t, brim_gemv_run_tile *run)
{
    for (size_t panel = 0; panel < t->panels; panel++) {
        const int8_t *w = t->w + panel * t->w_stride;
        int32_t *const y = t->y + panel * BRIM_GEMM_PANEL;

        for (size_t s = 0; s < t->spans; s++) {
            static const int32_t zero;
            const size_t quads = t->span[s].quads;
            const bool add = t->add || s > 0;
            int32_t total[BRIM_GEMM_PANEL];

            run(&(struct brim_gemv_tile){.rows = 1,
                                         .panels = 1,
                                         .k = 4 * quads,
                                         .x = t->x + t->span[s].x,
                                         .w = (const uint8_t *)w,
                                         .start = &zero,
                                         .y = add ? total : y});
            for (size_t j = 0; add && j < BRIM_GEMM_PANEL; j++) {
                y[j] = (int32_t)((uint32_t)y[j] + (uint32_t)total[j]);
            }
            w += quads * 4 * BRIM_GEMM_PANEL;
        }
    }
}

#endif
