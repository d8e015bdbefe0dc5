/* dot_kernel.h - what the files of dot.h share: a layer's packed weights and how each path runs.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_KERNELS_DOT_KERNEL_H
#define BRIM_KERNELS_DOT_KERNEL_H

#include <assert.h>

#include "kernels/dot_plan.h"
#include "kernels/gemm.h"

/* Weights for the simulator's passes, either way round (simulate_variant.h). */
struct brim_dot_pack {
    int16_t *panel; /* [groups][panels][k][32]: lanes are outputs; ORDERED: [groups][k][outputs] */
    uint32_t *word; /* [groups][pairs][k]: of two outputs, lanes are rows */
};

struct brim_dot_kernel {
    size_t n, k, groups, outputs; /* outputs: n / groups */
    brim_datapath datapath;
    struct brim_dot_plan plan;
    const struct brim_simulate_variant *simulate;
    int32_t *w; /* [n][k] */
    struct brim_dot_vectors vectors;
    size_t n_vectors; /* of one output; 0 = none */
    size_t stage;     /* whose registers are multiplied */
    void *scales;     /* LANES, VECTORS: of panels of outputs, or of outputs side by side */
    uint8_t *bound;   /* [n] as brim_dot_plan_make() fills it */
    bool safe;        /* no output is BRIM_DOT_UNSAFE */
    size_t panels;    /* of one group */
    size_t pairs;     /* SIMULATE: of one group's outputs */
    int32_t *panel;   /* LANES: [groups][panels][k][BRIM_LANES] */
    struct brim_dot_pack plain, scaled; /* SIMULATE: scaled by w_shift, where the plan scales */
    void *real;                         /* GEMM: [n][k] as float or double */
    size_t block;                       /* GEMM: rows at a time */
    struct brim_gemm *
        *gemm; /* GEMM8, and SIMULATE where counting may find nothing to count: [groups];
                      VECTORS: [groups][n_vectors] */
    size_t n_gemm;
    size_t block8;
    size_t scratch, widened; /* bytes of a run; where rows of bytes are widened within */
};

static inline const int32_t *brim_dot_row(const struct brim_dot_rows *r, size_t row)
{
    return (const int32_t *)r->x + row * r->x_stride;
}

/* The n codes of a row. */
void brim_dot_widen(const struct brim_dot_rows *r, size_t row, size_t n, int32_t *to);

/* An exact total on a register. */
int64_t brim_dot_finish(const struct brim_lane_stage *s, int64_t total);

static inline void brim_dot_write(const struct brim_dot_rows *r, size_t row, size_t c, int64_t v)
{
    if (r->y32 != NULL) {
        r->y32[row * r->y_stride + c] = (int32_t)v;
    } else {
        assert(r->y != NULL);
        r->y[row * r->y_stride + c] = v;
    }
}

/* Where a result goes. */
static inline void brim_dot_write_real(const struct brim_dot_rows *r, size_t row, size_t c,
                                       double v)
{
    assert(r->real != NULL);
    r->real[row * r->y_stride + c] = v;
}

/* What brim_dot_one() needs: 2*k values, and the factors of one output. */
#define BRIM_DOT_LISTS(k) (5 * ((k) / 2 + 1))
/* One output by the reference: its weights, a row of codes, and of integer scales where rows bring
 * them; lists: BRIM_DOT_LISTS(k) values. Counts are added to. */
int64_t brim_dot_one(const struct brim_dot_kernel *d, const int32_t *w, const int32_t *x,
                     const uint16_t *x_code, int64_t *lists, struct brim_dot_counts *counts);
/* The same with float scales. */
double brim_dot_one_real(const struct brim_dot_kernel *d, const int32_t *w, const int32_t *x,
                         int64_t *lists, struct brim_dot_counts *counts);

static inline const uint16_t *brim_dot_row_codes(const struct brim_dot_rows *r, size_t row)
{
    return r->x_code == NULL ? NULL : r->x_code + row * r->x_code_stride;
}

/* n totals on a register, in place. */
void brim_dot_finish32(const struct brim_lane_stage *s, int32_t *v, size_t n);

brim_status brim_dot_gemm8_pack(brim_ctx *ctx, struct brim_dot_kernel *d, int64_t x_min,
                                int64_t x_max);
void brim_dot_gemm8_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r);

brim_status brim_dot_vectors_pack(brim_ctx *ctx, struct brim_dot_kernel *d, int64_t x_min,
                                  int64_t x_max);
void brim_dot_vectors_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r);

brim_status brim_dot_gemm_pack(brim_ctx *ctx, struct brim_dot_kernel *d);
void brim_dot_gemm_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r);

brim_status brim_dot_lanes_pack(brim_ctx *ctx, struct brim_dot_kernel *d);
void brim_dot_lanes_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                        struct brim_dot_counts *counts);

brim_status brim_dot_ordered_pack(brim_ctx *ctx, struct brim_dot_kernel *d);
void brim_dot_ordered_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                          struct brim_dot_counts *counts);

brim_status brim_dot_simulate_pack(brim_ctx *ctx, struct brim_dot_kernel *d);
void brim_dot_simulate_run(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                           struct brim_dot_counts *counts);
void brim_dot_simulate_extremes(const struct brim_dot_kernel *d, const struct brim_dot_rows *r,
                                const struct brim_dot_extremes *e);

#endif
