/* dot_choice.c - how a datapath is computed, in words. SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>

#include "kernels/choice.h"
#include "kernels/dot_kernel.h"

/* Paths that compute totals, of which the register keeps what it can at the end. */
static const char *total_why(const struct brim_dot_kernel *kernel)
{
    return kernel->plan.total ? "no declared register can overflow"
                              : "registers may overflow, but the total alone decides their end";
}

void brim_dot_kernel_choice(const struct brim_dot_kernel *kernel, struct brim_choice *choice)
{
    const char *why = total_why(kernel), *then = "";
    struct brim_choice inner = {0};

    choice->family = "simulate";
    choice->variant = "scalar";
    switch (kernel->plan.path) {
    case BRIM_DOT_GEMM8:
        brim_gemm_choice(kernel->gemm[0], SIZE_MAX, &inner);
        choice->family = inner.family;
        choice->variant = inner.variant;
        then = inner.why;
        break;
    case BRIM_DOT_GEMM_F32:
        choice->family = "exact";
        choice->variant = "float32";
        then = "totals below 2^24 are exact";
        break;
    case BRIM_DOT_GEMM_F64:
        choice->family = "exact";
        choice->variant = "float64";
        then = "totals below 2^53 are exact";
        break;
    case BRIM_DOT_VECTORS:
        brim_gemm_choice(kernel->gemm[0], SIZE_MAX, &inner);
        choice->family = inner.family;
        choice->variant = inner.variant;
        why = "no vector's register can overflow";
        then = "a product and a multiply for every vector";
        break;
    case BRIM_DOT_SIMULATE:
        choice->variant = kernel->simulate->name;
        why = "registers may overflow";
        then = "simulated addition by addition, in vectors";
        break;
    case BRIM_DOT_LANES32:
    case BRIM_DOT_LANES64:
        choice->variant =
            kernel->plan.path == BRIM_DOT_LANES32 ? "lanes of 32 bits" : "lanes of 64 bits";
        why = "registers may overflow";
        then = "simulated addition by addition, a vector of outputs at a time";
        break;
    case BRIM_DOT_ORDERED:
        choice->variant = "ordered lanes";
        why = "registers may overflow";
        then = "simulated in the mode's order, 32 outputs at a time";
        break;
    case BRIM_DOT_SCALAR:
        why = "registers may overflow";
        then = "this mode has no vector form";
        break;
    }
    (void)snprintf(choice->why, sizeof choice->why, "%s; %.170s", why, then);
}
