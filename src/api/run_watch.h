/* run_watch.h - a run of a model whose dot layers are watched. SPDX-License-Identifier: Apache-2.0
 *
 * As brim_run(), but layers without vectors add up exactly whatever is declared, nothing is counted,
 * and the watcher is shown every output of every layer for which brim_plan_dot_observed().
 */
#ifndef BRIM_API_RUN_WATCH_H
#define BRIM_API_RUN_WATCH_H

#include "brim/run.h"
#include "run/plan.h"

struct brim_run_watch {
    void *user;
    /* Before the run, once. */
    brim_status (*open)(void *user, const struct brim_plan *plan);
    /* Rows of a run of samples first..first+samples-1; concurrently, by worker in [0, threads). */
    void (*see)(void *user, int worker, size_t first, size_t samples,
                const struct brim_dot_seen *seen);
};

/* watch NULL: brim_run() itself. */
BRIM_NODISCARD brim_status brim_run_watched(brim_ctx *ctx, const struct brim_graph *g,
                                            const brim_data *data, const brim_run_params *params,
                                            const struct brim_run_watch *watch,
                                            brim_run_report **report);

#endif
