/* dot.h - many dot products over the same weights, on any datapath. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Prepare a layer's weights once, then run rows of input codes through them. Every result equals
 * brim_datapath_dot() bit for bit, and the counts equal its events summed; how fast depends on what
 * can be proved about the weights, the input range and the datapath.
 *
 * Layout: weights [n][k] in K order; output c belongs to group c / (n / groups). One run computes
 * one group over m rows: y[i][c] for the group's n / groups outputs.
 */
#ifndef BRIM_KERNELS_DOT_H
#define BRIM_KERNELS_DOT_H

#include "base/alloc.h"
#include "brim/datapath.h"

/* Counts of one dot layer, summed over outputs (samples x positions x channels). */
struct brim_dot_counts {
    uint64_t outputs, transient, persistent, product;
    uint8_t min_width; /* 0 until an output was seen */
};

/* Scales of vectors, `length` consecutive products each (docs/semantics.md section 11): what the
 * register that ends with a vector hands on is multiplied by. Borrowed for the kernel's life. */
struct brim_dot_vectors {
    size_t length; /* 0 = there are none */
    /* [n][ceil(k / length)] integers; with w_code the greatest that there can be. */
    const uint32_t *factor;
    /* Rows bring integer scales too: a factor is brim_scale_product(w_code, x_code, 32, 32 - shift). Else
     * NULL. */
    const uint16_t *w_code;
    unsigned shift; /* 0..20 */
    /* Floats instead of all of these: results are sums of scale * register in double, in K order, and
     * the datapath ends with the vectors' stage. */
    const float *scale;
};

struct brim_dot_kernel_params {
    const int32_t *w;              /* [n][k] weight codes, each in [-2^15, 2^15); copied */
    size_t n, k, groups;           /* n: all outputs, k: one group's reduction; groups divides n */
    int64_t x_min, x_max;          /* every input code lies here; both within [-2^16, 2^16) */
    const brim_datapath *datapath; /* NULL = exact: one 64-bit register */
    struct brim_dot_vectors vectors;
    bool count; /* runs fill counts */
};

/* Immutable once created, so it may be shared between threads. */
struct brim_dot_kernel;

BRIM_NODISCARD brim_status brim_dot_kernel_create(brim_ctx *ctx,
                                                  const struct brim_dot_kernel_params *p,
                                                  struct brim_dot_kernel **kernel);
void brim_dot_kernel_free(brim_ctx *ctx, struct brim_dot_kernel *kernel); /* NULL is fine */

/* Every result is the plain total sum(w*x), whatever the order of addition, and nothing is counted.
 */
bool brim_dot_kernel_is_total(const struct brim_dot_kernel *kernel);

/* Every result fits int32. */
bool brim_dot_kernel_fits32(const struct brim_dot_kernel *kernel);

/* Bytes of scratch that a run needs, 64-byte aligned (brim_alloc); independent of m. */
size_t brim_dot_kernel_scratch(const struct brim_dot_kernel *kernel);

enum brim_dot_codes { BRIM_DOT_INT32, BRIM_DOT_UINT8, BRIM_DOT_INT8 };

struct brim_dot_rows {
    size_t group, m;
    const void *x; /* row i at element i*x_stride: k codes in K order, each in [x_min, x_max] */
    enum brim_dot_codes codes; /* the type of x's elements */
    size_t x_stride;
    int64_t *y;   /* row i at y + i*y_stride: n / groups values of the last register */
    int32_t *y32; /* unless NULL, instead of y: brim_dot_kernel_fits32() */
    double *real; /* instead of y, where vectors have float scales */
    size_t y_stride;
    /* Vectors whose scales the rows bring: row i at i * x_code_stride, ceil(k / length) integers. */
    const uint16_t *x_code;
    size_t x_code_stride;
    /* Added to when the kernel counts, else ignored; may be NULL. Of this layer alone: where every
     * output's bound is within its min_width, extremes are not looked at again. */
    struct brim_dot_counts *counts;
    void *scratch;
};

void brim_dot_kernel_run(const struct brim_dot_kernel *kernel, const struct brim_dot_rows *rows);

/* What one register for the whole reduction would go through, at every width at once: it leaves P
 * bits on the way exactly when [least, most] does, and in the end when total does. */
struct brim_dot_extremes {
    size_t group, m;
    const void *x; /* as in brim_dot_rows */
    enum brim_dot_codes codes;
    size_t x_stride;
    int32_t *total, *least,
        *most; /* row i at i*y_stride: n / groups exact sums, and the extremes of
                                      their prefixes in K order, 0 included */
    size_t y_stride;
    void *scratch;
};

/* The kernel was made to count, and every partial sum fits int32. */
bool brim_dot_kernel_has_extremes(const struct brim_dot_kernel *kernel);

/* For such a kernel, whatever its datapath; fastest where that is NULL. */
void brim_dot_kernel_extremes(const struct brim_dot_kernel *kernel,
                              const struct brim_dot_extremes *rows);

/* Add `from` into `to`. */
void brim_dot_counts_add(struct brim_dot_counts *to, const struct brim_dot_counts *from);

#endif
