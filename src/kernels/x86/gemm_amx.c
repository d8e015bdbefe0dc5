/* gemm_amx.c - totals on AMX tiles. SPDX-License-Identifier: Apache-2.0
 *
 * Two tiles of 16 rows of x against two panels of weights: four accumulators, four loads for four
 * products, which keeps the multiplier busy while operands come from L1.
 *
 *     tile 0 1    x rows  0..15 (tile 4)  *  panels 0, 1 (tiles 6, 7)
 *          2 3    x rows 16..31 (tile 5)
 *
 * 16 quads of a panel are a tile as they lie; where segments of x are no multiple of 64 bytes, fewer
 * quads and shorter rows of x, so that they need not be copied.
 *
 * What passes by is loaded with the streaming hint, so that the rest stays in L1: x, once for each
 * pair of panels (6 % over plain loads on 784 x 128 x 1152); or, if few rows share them, the weights
 * (20 % on 32 x 256 x 768).
 *
 * Shaping the tile registers drains the multiplier, hence begin(): once for all tiles of a call.
 */
#include "base/cpu.h"
#include "kernels/gemm_variant.h"

#include <assert.h>
#include <immintrin.h>

/* What ldtilecfg reads. */
struct shape {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct shape) == 64, "as the processor reads it");

/* Shapes for tiles of `rows` rows. Unused tiles have one row, since none is not allowed. */
static void begin(unsigned rows, unsigned step)
{
    assert(rows >= 1 && rows <= 32 && step >= 1 && step <= 16);
    const uint8_t upper = (uint8_t)(rows < 16 ? rows : 16);
    const uint8_t lower = (uint8_t)(rows > 17 ? rows - 16 : 1);
    const struct shape shape = {
        .palette = 1,
        .row_bytes = {64, 64, 64, 64, (uint16_t)(4 * step), (uint16_t)(4 * step), 64, 64},
        .rows = {upper, upper, lower, lower, upper, lower, (uint8_t)step, (uint8_t)step},
    };

    __asm__ volatile("" ::"m"(shape)); /* gcc's intrinsic says that it reads 8 bytes */
    _tile_loadconfig(&shape);
}

static void end(void)
{
    _tile_release();
}

/* clang-format off */
#define STEP_2x2(LOAD_X, LOAD_W)                                                                   \
    LOAD_X(4, x, x_stride);                                                                        \
    LOAD_W(6, w, 64);                                                                              \
    _tile_dpbusd(0, 4, 6);                                                                         \
    LOAD_W(7, w + t->w_stride, 64);                                                                \
    _tile_dpbusd(1, 4, 7);                                                                         \
    LOAD_X(5, x + 16 * x_stride, x_stride);                                                        \
    _tile_dpbusd(2, 5, 6);                                                                         \
    _tile_dpbusd(3, 5, 7);
#define STEP_2x1(LOAD_X, LOAD_W)                                                                   \
    LOAD_W(6, w, 64);                                                                              \
    LOAD_X(4, x, x_stride);                                                                        \
    _tile_dpbusd(0, 4, 6);                                                                         \
    LOAD_X(5, x + 16 * x_stride, x_stride);                                                        \
    _tile_dpbusd(2, 5, 6);
#define STEP_1x2(LOAD_X, LOAD_W)                                                                   \
    LOAD_X(4, x, x_stride);                                                                        \
    LOAD_W(6, w, 64);                                                                              \
    _tile_dpbusd(0, 4, 6);                                                                         \
    LOAD_W(7, w + t->w_stride, 64);                                                                \
    _tile_dpbusd(1, 4, 7);
#define STEP_1x1(LOAD_X, LOAD_W)                                                                   \
    LOAD_X(4, x, x_stride);                                                                        \
    LOAD_W(6, w, 64);                                                                              \
    _tile_dpbusd(0, 4, 6);
/* clang-format on */

/* All spans, up to 64 k a step. */
#define REDUCE(STEP, LOAD_X, LOAD_W)                                                               \
    for (size_t s = 0; s < t->spans; s++) {                                                        \
        const uint8_t *x = t->x + t->span[s].x;                                                    \
        for (uint32_t q = t->span[s].quads; q != 0; q -= t->step, x += x_step, w += w_step) {      \
            STEP(LOAD_X, LOAD_W)                                                                   \
        }                                                                                          \
    }

#define REDUCE_ALL(LOAD_X, LOAD_W)                                                                 \
    if (two_rows && two_panels) {                                                                  \
        REDUCE(STEP_2x2, LOAD_X, LOAD_W)                                                           \
    } else if (two_rows) {                                                                         \
        REDUCE(STEP_2x1, LOAD_X, LOAD_W)                                                           \
    } else if (two_panels) {                                                                       \
        REDUCE(STEP_1x2, LOAD_X, LOAD_W)                                                           \
    } else {                                                                                       \
        REDUCE(STEP_1x1, LOAD_X, LOAD_W)                                                           \
    }

static void run(const struct brim_gemm_tile *t)
{
    const size_t x_step = (size_t)4 * t->step, w_step = (size_t)64 * t->step;
    const size_t x_stride = t->x_stride, y_stride = t->y_stride * sizeof *t->y;
    int32_t *const lower = t->y + 16 * t->y_stride;
    const int8_t *w = t->w;
    const bool two_rows = t->rows > 16, two_panels = t->panels > 1;

    if (t->add) {
        _tile_loadd(0, t->y, y_stride);
        if (two_panels) {
            _tile_loadd(1, t->y + 16, y_stride);
        }
        if (two_rows) {
            _tile_loadd(2, lower, y_stride);
        }
        if (two_rows && two_panels) {
            _tile_loadd(3, lower + 16, y_stride);
        }
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    if (t->pass) {
        REDUCE_ALL(_tile_loadd, _tile_stream_loadd)
    } else {
        REDUCE_ALL(_tile_stream_loadd, _tile_loadd)
    }
    _tile_stored(0, t->y, y_stride);
    if (two_panels) {
        _tile_stored(1, t->y + 16, y_stride);
    }
    if (two_rows) {
        _tile_stored(2, lower, y_stride);
    }
    if (two_rows && two_panels) {
        _tile_stored(3, lower + 16, y_stride);
    }
}

const struct brim_gemm_variant brim_gemm_amx = {
    .name = "amx",
    .isa = BRIM_ISA_AMX,
    .need = BRIM_GEMM_ANY,
    .rows = 32,
    .panels = 2,
    .unit = 16,
    .rank = 90,
    .few = 55, /* gemv's row is as fast, and has nothing to shape */
    .run = run,
    .begin = begin,
    .end = end,
};
