/* calibrate.h - activation ranges and second moments. SPDX-License-Identifier: Apache-2.0
 *
 * Runs the float graph and the already quantized prefix over the calibration data, batch by batch;
 * keeps histograms per layer input and k x k moments per dot layer. Memory is bounded by the
 * largest layer, not by the data: batches are recomputed rather than stored.
 */
#ifndef BRIM_CALIBRATE_CALIBRATE_H
#define BRIM_CALIBRATE_CALIBRATE_H

#include "brim/data.h"
#include "brim/quantize.h"
#include "graph/dot.h"

/* What the calibration data showed of one value (a dot layer's float input). */
struct brim_activation {
    double min, max;
    bool integer;  /* every element was an integer in [0, 255]: 8-bit data as it is */
    size_t n_bins; /* of |x| over [0, limit), limit a power of two (0 when all are zero) */
    double limit;
    uint64_t *bin;      /* [2][n_bins]: of x >= 0, of x < 0 */
    size_t channels;    /* axis 1 of the value; 0 when it has none */
    float *channel_max; /* [channels] largest magnitude */
};

/* Watch `values` of the float graph over all of the data. A NaN or an infinity fails, naming value
 * and sample. Release with brim_activations_free(), also after a failure when `out` was zeroed. */
BRIM_NODISCARD brim_status brim_calibrate_activations(brim_ctx *ctx,
                                                      const struct brim_graph *float_graph,
                                                      const brim_data *data, const int32_t *values,
                                                      size_t n_values, struct brim_activation *out);
void brim_activations_free(brim_ctx *ctx, struct brim_activation *a, size_t n);

/* Choose scale and zero point of a grid with so many codes (2^bits, or anything between: 4..65536)
 * from what was seen. 8-bit data as it is keeps its codes when there are 256 or more. Unsigned with zero point 0 when nothing negative was seen, else asymmetric
 * (unsigned) or symmetric (signed, zero point 0). */
BRIM_NODISCARD brim_status brim_calibrate_grid(brim_ctx *ctx, const struct brim_activation *a,
                                               unsigned codes, brim_range_method method,
                                               double percentile, bool symmetric,
                                               struct brim_grid *grid);

/* Integer scales for vectors of `vector` channels (dividing them) instead of one scale: their own,
 * covering what `grid`, filled by brim_calibrate_grid(), covers, in `arena`; or, `at_run_time`, a
 * scale for the greatest of them from the same, or with the least expected error where `method` is
 * MSE. Signed codes are symmetric. */
BRIM_NODISCARD brim_status brim_calibrate_vectors(struct brim_arena *arena,
                                                  const struct brim_activation *a, size_t vector,
                                                  unsigned scale_bits, bool at_run_time,
                                                  brim_range_method method, struct brim_grid *grid);

/* Second moments of one dot layer, per group, in K order: h = X~ X~^T, g[i][j] = sum x~_i x_j, with
 * X~ = scale * (code - zero) of the quantized prefix's input and X the float network's. */
struct brim_moments {
    size_t k, groups, n;
    uint64_t rows; /* im2col rows per group */
    double *h, *g; /* [groups][k][k] */
    double *e;     /* [n][k], e[c][i] = sum r_c x~_i, r the residual of the request; NULL without */
    double *mean_q, *mean_f; /* [groups][k] of X~ and X: first moments / rows */
    double *mean_e;          /* [n] of the residual; NULL without */
};

/* One set of moments: a layer of the float graph, its input there and in the prefix (the graph
 * quantized so far), both float, and the grid that turns the latter into codes exactly as
 * QuantizeLinear does. The same layer may be asked for with several grids. */
struct brim_moments_request {
    const struct brim_dot *dot; /* of float_graph */
    int32_t float_x;            /* value in float_graph */
    int32_t prefix_x;           /* value in prefix */
    const struct brim_grid *grid;
    bool has_residual;
    int32_t float_residual, prefix_residual;
};

/* All requests in one pass over the data, batch by batch. */
BRIM_NODISCARD brim_status brim_calibrate_moments(brim_ctx *ctx,
                                                  const struct brim_graph *float_graph,
                                                  const struct brim_graph *prefix,
                                                  const brim_data *data,
                                                  const struct brim_moments_request *request,
                                                  size_t n, struct brim_moments *out);
void brim_moments_free(brim_ctx *ctx, struct brim_moments *m, size_t n);

#endif
