/* sparse_neon.c - gathers with tbl. SPDX-License-Identifier: Apache-2.0
 *
 * tbl gives 0 for an index beyond 15, which BRIM_SPARSE_NOT is, so steps are joined by or. A vector's
 * first two steps are loaded once for all rows: 2:4 has no more.
 */
#include <arm_neon.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/sparse_gather.h"

#define WIDTH 16

/* All steps of one vector, for rows of at least WIDTH bytes. */
static void run_vector(const struct brim_sparse_pick *p, size_t steps, const uint32_t *at,
                       const uint8_t *take, uint8_t *y)
{
    const uint8x16_t flip = vdupq_n_u8(p->flip), none = vdupq_n_u8(BRIM_SPARSE_NOT);
    const uint8x16_t take0 = steps > 0 ? vld1q_u8(take) : none;
    const uint8x16_t take1 = steps > 1 ? vld1q_u8(take + WIDTH) : none;
    const size_t at0 = steps > 0 ? at[0] : 0, at1 = steps > 1 ? at[1] : 0;
    const uint8_t *x = p->x;

    for (size_t i = 0; i < p->rows; i++, x += p->x_stride, y += p->y_stride) {
        uint8x16_t codes =
            vorrq_u8(vqtbl1q_u8(vld1q_u8(x + at0), take0), vqtbl1q_u8(vld1q_u8(x + at1), take1));

        for (size_t s = 2; s < steps; s++) {
            codes = vorrq_u8(codes, vqtbl1q_u8(vld1q_u8(x + at[s]), vld1q_u8(take + s * WIDTH)));
        }
        vst1q_u8(y, veorq_u8(codes, flip));
    }
}

static void run_vectors(const struct brim_sparse_pick *p)
{
    for (size_t v = 0, done = 0; v < p->vectors; done += p->steps[v++]) {
        run_vector(p, p->steps[v], p->at + done, p->take + done * WIDTH, p->y + v * WIDTH);
    }
}

static void run(const struct brim_sparse_pick *p)
{
    struct brim_sparse_pick row = *p;
    uint8_t bytes[WIDTH] = {0};

    if (p->k >= WIDTH) {
        run_vectors(p);
        return;
    }
    row.rows = 1; /* from a copy, since a load would go beyond the row */
    row.x = bytes;
    for (size_t i = 0; i < p->rows; i++, row.y += p->y_stride) {
        memcpy(bytes, p->x + i * p->x_stride, p->k);
        run_vectors(&row);
    }
}

const struct brim_sparse_gather brim_sparse_gather_neon = {
    .name = "neon", .isa = BRIM_ISA_NEON, .width = WIDTH, .run = run};
