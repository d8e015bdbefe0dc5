/* bench_clock.c - see bench_clock.h. SPDX-License-Identifier: Apache-2.0 */
#if defined(__linux__)
#    define _GNU_SOURCE 1 /* sched_setaffinity */
#    include <sched.h>
#endif

#include "api/bench_clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

double brim_bench_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return *x < *y ? -1 : *x > *y;
}

double brim_bench_median(const double *x, size_t n)
{
    double sorted[BRIM_BENCH_MAX_REPEAT];

    memcpy(sorted, x, n * sizeof *x);
    qsort(sorted, n, sizeof *sorted, ascending);
    return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double brim_bench_ratio(const double *a, const double *b, size_t n)
{
    double ratio[BRIM_BENCH_MAX_REPEAT];

    for (size_t i = 0; i < n; i++) {
        ratio[i] = a[i] / b[i];
    }
    return brim_bench_median(ratio, n);
}

/* ---- pinning ---- */

#if defined(__linux__)

_Static_assert(sizeof(cpu_set_t) <= sizeof((struct brim_bench_affinity){0}.was), "room for a set");

void brim_bench_pin(struct brim_bench_affinity *a)
{
    cpu_set_t was, one;

    *a = (struct brim_bench_affinity){.cpu = -1};
    if (sched_getaffinity(0, sizeof was, &was) != 0) {
        return;
    }
    memcpy(a->was, &was, sizeof was);
    for (size_t cpu = CPU_SETSIZE; cpu-- > 0;) { /* the last: interrupts prefer the first */
        if (CPU_ISSET(cpu, &was)) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            a->cpu = sched_setaffinity(0, sizeof one, &one) == 0 ? (int)cpu : -1;
            return;
        }
    }
}

void brim_bench_unpin(const struct brim_bench_affinity *a)
{
    cpu_set_t was;

    if (a->cpu >= 0) {
        memcpy(&was, a->was, sizeof was);
        (void)sched_setaffinity(0, sizeof was, &was);
    }
}

#else

void brim_bench_pin(struct brim_bench_affinity *a)
{
    *a = (struct brim_bench_affinity){.cpu = -1};
}

void brim_bench_unpin(const struct brim_bench_affinity *a)
{
    (void)a;
}

#endif
