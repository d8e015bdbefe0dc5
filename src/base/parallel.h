/* parallel.h - the one place that makes threads (OpenMP). SPDX-License-Identifier: Apache-2.0
 *
 * Work is split over independent outputs only, never over a reduction, so results do not depend on
 * the number of threads. OpenBLAS and oneDNN run single-threaded inside bodies.
 */
#ifndef BRIM_BASE_PARALLEL_H
#define BRIM_BASE_PARALLEL_H

#include "base/ctx.h"

/* Equivalent to: for (i = 0; i < n; i++) status |= body(arg, i, worker); with worker in [0,
 * threads). Bodies run concurrently, in any order; brim_fail() may be called from them. The status
 * of the lowest failing i is returned. Items are handed out one at a time. Not nestable. */
typedef brim_status brim_parallel_body(void *arg, size_t i, int worker);
BRIM_NODISCARD brim_status brim_parallel_for(brim_ctx *ctx, size_t n, brim_parallel_body *body,
                                             void *arg);

/* Pin OpenBLAS to one thread for the life of the process: its results depend on how it splits a
 * product, and brim's own threads keep the cores busy. Called by brim_ctx_create(); any number of
 * times, from any thread. */
void brim_parallel_init(void);

/* Between the two, OpenMP code of other libraries (oneDNN) called from this thread runs in this
 * thread alone. Gives the setting to restore. */
int brim_serial_begin(void);
void brim_serial_end(int setting);

#endif
