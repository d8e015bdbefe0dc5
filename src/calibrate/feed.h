/* feed.h - samples through a graph, some values watched. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_CALIBRATE_FEED_H
#define BRIM_CALIBRATE_FEED_H

#include "brim/data.h"
#include "run/plan.h"

struct brim_feed_worker {
    struct brim_workspace *ws; /* NULL when only the input itself is watched */
    float *x;
    struct brim_tensor input;
};

/* One graph, its plan for the watched values, and a workspace per worker. */
struct brim_feed {
    brim_ctx *ctx;
    const struct brim_graph *g;
    const brim_data *data;
    struct brim_plan *plan;
    size_t per_run;                  /* samples that one run takes */
    bool fixed;                      /* the model says so: a run must not take fewer */
    struct brim_type input;          /* of per_run samples */
    struct brim_feed_worker *worker; /* [ctx->threads] */
};

/* Zeroed storage in, or something to close in any case out. `per_run` is a wish: a model with a
 * fixed batch has its own. The graph must have one float input that the samples fit. */
BRIM_NODISCARD brim_status brim_feed_open(struct brim_feed *f, brim_ctx *ctx,
                                          const struct brim_graph *g, const brim_data *data,
                                          size_t per_run);
/* The values that brim_feed_value() will be asked for. */
BRIM_NODISCARD brim_status brim_feed_watch(struct brim_feed *f, const int32_t *value, size_t n);
void brim_feed_close(struct brim_feed *f);

/* Run samples first..first+n-1, n <= per_run. */
BRIM_NODISCARD brim_status brim_feed_run(struct brim_feed *f, int worker, size_t first, size_t n);
/* A watched value of this worker's last run. Its batch axis may hold more than n samples. */
BRIM_NODISCARD brim_status brim_feed_value(const struct brim_feed *f, int worker, int32_t value,
                                           const struct brim_tensor **t);

#endif
