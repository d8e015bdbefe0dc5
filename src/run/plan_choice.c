/* plan_choice.c - how a plan computes each dot layer, in words. SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "run/step.h"

bool brim_plan_dot_choice(const struct brim_plan *plan, size_t i, struct brim_choice *choice)
{
    const struct brim_dot_step *s = plan->dot_step[i];
    struct brim_choice total;

    if (s == NULL || s->kernel == NULL) {
        return false;
    }
    if (s->conv == NULL && s->product == NULL) {
        brim_dot_kernel_choice(s->kernel, choice);
        return true;
    }
    if (s->conv != NULL) {
        brim_conv_kernel_choice(s->conv, &total);
    } else {
        brim_total_choice(s->product, 1, &total);
    }
    *choice = total;
    (void)snprintf(choice->why, sizeof choice->why, "no declared register can overflow; %.200s",
                   total.why);
    return true;
}
