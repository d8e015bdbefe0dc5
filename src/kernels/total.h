/* total.h - exact totals by whichever family is fastest for the weights. SPDX-License-Identifier:
 * Apache-2.0
 *
 * gemm takes any bytes. Beside it, where the weights allow: lookup (ternary and 2-bit weights,
 * where it says that it pays), sparse (blocks of outputs that keep the same half of the inputs or
 * less), gemv (weights of 2 and 4 bits, for few rows). All give the same bits; which one runs
 * depends on the weights, the processor and the number of rows alone.
 */
#ifndef BRIM_KERNELS_TOTAL_H
#define BRIM_KERNELS_TOTAL_H

#include "kernels/choice.h"
#include "kernels/gemm.h"

struct brim_total; /* immutable once created, so it may be shared between threads */

/* As brim_gemm_create() for rows in one piece; the parameters' variant is not looked at. */
BRIM_NODISCARD brim_status brim_total_create(brim_ctx *ctx, const struct brim_gemm_params *p,
                                             struct brim_total **total);
void brim_total_free(brim_ctx *ctx, struct brim_total *total); /* NULL is fine */

/* Bytes of scratch that a run of m rows needs, 64-byte aligned. */
size_t brim_total_scratch(const struct brim_total *total, size_t m);

/* Rows as for brim_gemm_run(), without segments. */
void brim_total_run(const struct brim_total *total, const struct brim_gemm_rows *rows);

/* What runs m rows. */
void brim_total_choice(const struct brim_total *total, size_t m, struct brim_choice *choice);

#endif
