/* schedule.h - the learning rate of a step. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TRAIN_SCHEDULE_H
#define BRIM_TRAIN_SCHEDULE_H

#include "brim/train.h"

/* Of step 0 <= step < total, of which the first `warm` rise in a straight line. */
double brim_schedule_rate(brim_train_schedule schedule, double rate, uint64_t step, uint64_t total,
                          uint64_t warm);

#endif
