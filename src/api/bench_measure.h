/* bench_measure.h - times of many implementations, taken in turns. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A set is what is measured together: implementations of one shape. A round runs every one of them
 * cold and warm, then the probes that bound them, so that whatever slows the machine for a while
 * slows all of them, and ratios are taken within a round.
 */
#ifndef BRIM_API_BENCH_MEASURE_H
#define BRIM_API_BENCH_MEASURE_H

#include "api/bench_clock.h"
#include "base/alloc.h"
#include "brim/bench.h"

#define BRIM_BENCH_MAX_CASES 1024

typedef void brim_bench_run_fn(void *state);

struct brim_bench_case {
    const char *family, *shape, *kind, *name; /* borrowed for the report's life */
    bool peer;
    double macs;
    const char *limit;  /* a probe's name; NULL = none */
    double limit_scale; /* multiply-accumulates for each that the probe counts; 0 = 1 */
    brim_bench_run_fn *run;
    void *state;
    void (*destroy)(brim_ctx *ctx, void *state); /* when the set is over; NULL = nothing to do */
    void *y;                                     /* overwritten before a cold run */
    size_t y_bytes;
    /* filled by brim_bench_measure: seconds a call of each round; of what the limit would take; of
     * a cycle */
    double *cold, *warm, *least;
    const double *cycle;
};

struct brim_bench {
    brim_ctx *ctx;
    const brim_bench_params *params;
    struct brim_arena *arena; /* the report's */
    struct brim_arena set;    /* what the current set needs */
    struct brim_bench_case *cases;
    size_t n_cases, first; /* the current set begins at `first` */
};

/* Ask the filters. */
bool brim_bench_wants_family(const struct brim_bench *b, const char *family);
bool brim_bench_wants_shape(const struct brim_bench *b, const char *shape);

/* One more case in the current set; NULL when out of memory or room (the error is recorded). */
struct brim_bench_case *brim_bench_add(struct brim_bench *b, const struct brim_bench_case *c);

/* Measure the current set, then drop it. */
BRIM_NODISCARD brim_status brim_bench_measure(struct brim_bench *b);
/* Destroy the current set's states and free b->set; the next case begins a new set. */
void brim_bench_drop(struct brim_bench *b);

/* Limits and clock, over all sets measured. */
BRIM_NODISCARD brim_status brim_bench_limits(struct brim_bench *b, brim_bench_report *r);

/* ---- families: each adds its sets and measures them ---- */
typedef brim_status brim_bench_family_fn(struct brim_bench *b);
struct brim_bench_family {
    const char *name;
    brim_bench_family_fn *run;
};
extern const struct brim_bench_family brim_bench_families[];
extern const size_t brim_bench_family_count;
brim_bench_family_fn brim_bench_conv, brim_bench_depthwise, brim_bench_gemm, brim_bench_gemv,
    brim_bench_lookup, brim_bench_simulate, brim_bench_sparse;

/* ---- bench_goals.c ---- */
BRIM_NODISCARD brim_status brim_bench_goals(struct brim_bench *b, brim_bench_report *r);

#endif
