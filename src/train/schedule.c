/* schedule.c - the learning rate of a step. SPDX-License-Identifier: Apache-2.0
 *
 * Cosine: Loshchilov and Hutter, arXiv 1608.03983, without restarts.
 * Warm-up: Goyal et al., arXiv 1706.02677; the schedule proper has the steps behind it.
 * Example     rate 1, 4 steps: cosine 1, 0.854, 0.5, 0.146; step 1, 1, 0.1, 0.01. Two steps of warm-up before
 *             two of cosine: 0.5, 1, 1, 0.5. -> tests/train/test_optimizer.c: schedules. */
#include "train/schedule.h"

#include <math.h>

double brim_schedule_rate(brim_train_schedule schedule, double rate, uint64_t step, uint64_t total,
                          uint64_t warm)
{
    const double pi = 3.14159265358979323846;

    if (step < warm) {
        return rate * (double)(step + 1) / (double)warm;
    }
    const uint64_t done = step - warm, all = total > warm ? total - warm : 1;
    if (schedule == BRIM_SCHEDULE_STEP) {
        return done >= all - all / 4 ? rate * 0.01 : done >= all - all / 2 ? rate * 0.1 : rate;
    }
    return rate * 0.5 * (1.0 + cos(pi * (double)done / (double)all));
}
