/* bench_clock.h - what measurements share: one processor, its time, medians. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef BRIM_API_BENCH_CLOCK_H
#define BRIM_API_BENCH_CLOCK_H

#include <stddef.h>

#define BRIM_BENCH_MAX_REPEAT 99

/* Processor time of this thread, in seconds. */
double brim_bench_now(void);

/* n is at most BRIM_BENCH_MAX_REPEAT. */
double brim_bench_median(const double *x, size_t n);
/* Median over rounds of a[i] / b[i]. */
double brim_bench_ratio(const double *a, const double *b, size_t n);

/* Keep the thread on one processor; what brim_bench_unpin() needs to undo it is kept in `was`. */
struct brim_bench_affinity {
    int cpu; /* -1 = not pinned */
    unsigned char was[128];
};
void brim_bench_pin(struct brim_bench_affinity *a);
void brim_bench_unpin(const struct brim_bench_affinity *a);

#endif
