/* bench_product.h - one product of matrices, that several kernels and peers compute in turns.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_API_BENCH_PRODUCT_H
#define BRIM_API_BENCH_PRODUCT_H

#include "api/bench_measure.h"
#include "kernels/epilogue.h"

/* What one set shares; everything is in b->set but the shape's text. */
struct brim_bench_job {
    struct brim_bench *b;
    const char *family, *shape;
    const char *label; /* told apart by more than its sizes; NULL = by these alone */
    size_t m, n, k;
    double macs;
    int32_t x_max;
    uint8_t *x;        /* [m][k] codes 0..x_max, and 64 more bytes */
    int32_t *w;        /* [n][k] */
    int8_t *w8;        /* the same, as brim_bench_job_weights_ready() found them */
    float *multiplier; /* [n] */
    void *y;           /* [m][n] of 4 bytes, of everyone */
    int32_t *first;    /* [m][n]: the totals of the first that ran on these weights */
    bool checked;
    const char *checked_by;
    brim_bench_product asked; /* of peers */
};

/* Buffers and inputs. `wanted` false: the filters skip this shape, nothing was made. */
BRIM_NODISCARD brim_status brim_bench_job_create(struct brim_bench_job *job, bool *wanted);
/* After w was filled (again): what the peers see, and forget the totals of other weights. */
void brim_bench_job_weights_ready(struct brim_bench_job *job);

/* Weights whose every tile of `tile` products is certified for 16-bit lanes and nearly fills them,
 * so that two tiles together are not. Even and odd pairs of k are added in lanes of their own. */
void brim_bench_certified_weights(struct brim_bench_job *job, size_t tile);
/* Uniform in lo..hi. */
void brim_bench_random_weights(struct brim_bench_job *job, int lo, int hi);

/* Add a case of which name, kind, limit, run, state and destroy are set, and run it once. With
 * `totals` it leaves int32 totals in y, which must be those of the first. On failure the state is
 * destroyed here. */
BRIM_NODISCARD brim_status brim_bench_job_add(struct brim_bench_job *job,
                                              const struct brim_bench_case *c, bool totals);

struct brim_epilogue brim_bench_epilogue(const struct brim_bench_job *job, enum brim_emit emit);

struct brim_gemm_variant;
/* A gemm variant by name; NULL = the fastest. Skipped when the CPU lacks it. */
BRIM_NODISCARD brim_status brim_bench_add_gemm(struct brim_bench_job *job,
                                               const struct brim_gemm_variant *v, const char *name,
                                               const char *kind, enum brim_emit emit);
struct brim_gemv_variant;
/* A gemv variant, weights of `bits` bits. Skipped when the CPU lacks it. */
BRIM_NODISCARD brim_status brim_bench_add_gemv(struct brim_bench_job *job,
                                               const struct brim_gemv_variant *v, unsigned bits,
                                               const char *name, const char *kind);
BRIM_NODISCARD brim_status brim_bench_add_peers(struct brim_bench_job *job);

#endif
