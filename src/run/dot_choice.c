/* dot_choice.c - how a plan computes each dot layer. SPDX-License-Identifier: Apache-2.0 */
#include "run/step.h"

bool brim_plan_dot_choice(const struct brim_plan *plan, size_t i, struct brim_choice *choice)
{
    const struct brim_dot_step *s = plan->dot_step[i];

    if (s == NULL || s->kernel == NULL) {
        return false;
    }
    brim_dot_kernel_choice(s->kernel, choice);
    return true;
}
