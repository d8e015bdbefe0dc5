/* profile_parts.h - what the files of brim_profile() share. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_API_PROFILE_PARTS_H
#define BRIM_API_PROFILE_PARTS_H

#include "api/run_watch.h"
#include "brim/profile.h"
#include "graph/dot.h"

#define BITS (BRIM_PROFILE_MAX_WIDTH + 1)

/* What one worker saw of one layer. */
struct brim_profile_tally {
    uint64_t need[BITS][BITS]; /* outputs by bits of [prefix][total] */
    uint64_t product[BITS];    /* by bits of the products */
    int32_t least, most;       /* of prefixes */
    int32_t low, high;         /* of totals */
    uint64_t examined;         /* outputs that were sorted */
    uint64_t *transient;       /* [widths][orders] among them */
};

struct brim_profile_reach {
    brim_profile_overflow where; /* all but step and prefix */
    int32_t reach;               /* the greater of `most` and -1 - `least` */
    int32_t *code;               /* [k of the layer] */
};

struct brim_profile_worker {
    struct brim_profile_tally *tally; /* [layers] */
    size_t n_top;
    struct brim_profile_reach *top; /* [params.top], the furthest first */
    int32_t *row;                   /* [greatest k] */
    int64_t *scratch;               /* [2 * greatest k] */
};

struct brim_profile_job {
    brim_ctx *ctx;
    const struct brim_graph *g;
    const brim_data *data;
    const brim_profile_params *p;
    struct brim_arena arena; /* of the call */
    struct brim_dots dots;
    const char **left_out; /* [layers] NULL = profiled */
    size_t samples, widths;
    struct brim_profile_worker *worker; /* [threads] */
    struct brim_profile_tally *sum;     /* [layers] of all workers */
    size_t *best;                       /* [samples] of the exact run, for predictions */
    bool vectors;                       /* some layer has scales of its own for its vectors */
    bool partial;                       /* some layer runs in integers, unseen */
};

/* ---- profile_see.c ---- */
/* Memory for what the workers will see; left_out is filled. */
BRIM_NODISCARD brim_status brim_profile_open_workers(struct brim_profile_job *j);
/* The watcher's `see`. */
void brim_profile_see(void *user, int worker, size_t first, size_t samples,
                      const struct brim_dot_seen *seen);
/* Whose overflow is named first. A strict order: no two outputs have the same place. */
bool brim_profile_goes_before(const struct brim_profile_reach *a,
                              const struct brim_profile_reach *b);

/* ---- profile_report.c ---- */
/* Merge the workers and fill layers and first overflows. */
BRIM_NODISCARD brim_status brim_profile_report_layers(struct brim_profile_job *j,
                                                      struct brim_arena *arena,
                                                      brim_profile_report *r);

/* ---- profile_predict.c ---- */
/* Index of the largest, the first of equals. */
size_t brim_profile_best(const float *y, size_t n);
BRIM_NODISCARD brim_status brim_profile_predict(struct brim_profile_job *j,
                                                struct brim_arena *arena, brim_profile_report *r);

#endif
