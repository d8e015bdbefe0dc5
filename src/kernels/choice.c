/* choice.c - see choice.h. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/choice.h"

#include <stdio.h>

#include "kernels/gemm.h"
#include "kernels/gemm_variant.h"

void brim_gemm_choice(const struct brim_gemm *gemm, size_t m, struct brim_choice *choice)
{
    const struct brim_gemm_variant *v = brim_gemm_chosen(gemm, m);
    const size_t certified = brim_gemm_certified(gemm);
    const char *then = "32-bit sums are faster here and give the same integers";
    char what[80] = "not certified for 16-bit sums";

    if (certified > 2) {
        (void)snprintf(what, sizeof what, "certified for 16-bit sums of %zu products", certified);
    } else if (certified == 2) {
        (void)snprintf(what, sizeof what, "certified for 16-bit sums of two products");
    }
    switch (v->need) {
    case BRIM_GEMM_LANE:
        then = "plain 16-bit additions, widened after them";
        break;
    case BRIM_GEMM_PAIR:
        then = "pairs are added in 16 bits, the rest in 32";
        break;
    case BRIM_GEMM_ANY:
        then = certified == 0 ? "32-bit sums are exact" : then;
        break;
    }
    choice->family = "gemm";
    choice->variant = v->name;
    (void)snprintf(choice->why, sizeof choice->why, "%s: %s", what, then);
}
