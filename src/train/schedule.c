/* schedule.c - the learning rate of a step. SPDX-License-Identifier: Apache-2.0
 *
 * Cosine: Loshchilov and Hutter, arXiv 1608.03983, without restarts.
 * Example     rate 1, 4 steps: cosine 1, 0.854, 0.5, 0.146; step 1, 1, 0.1, 0.01.
 *             -> tests/train/test_optimizer.c: schedules. */
#include "train/schedule.h"

#include <math.h>

double brim_schedule_rate(brim_train_schedule schedule, double rate, uint64_t step, uint64_t total)
{
    const double pi = 3.14159265358979323846;

    if (schedule == BRIM_SCHEDULE_STEP) {
        return step >= total - total / 4   ? rate * 0.01
               : step >= total - total / 2 ? rate * 0.1
                                           : rate;
    }
    return total == 0 ? rate : rate * 0.5 * (1.0 + cos(pi * (double)step / (double)total));
}
