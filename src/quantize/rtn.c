/* rtn.c - round to nearest: columns do not speak to one another. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Invariant   q[t] = round(w[t] / s), half to even, clipped to the largest code.
 * Cost        O(k n). */
#include "quantize/sweep.h"

void brim_rtn_setup(const struct brim_layer *layer, struct brim_sweep *s)
{
    (void)layer;
    s->pull = NULL;
    s->has_ref = true;
}

void brim_solver_setup(const struct brim_layer *layer, struct brim_sweep *s)
{
    s->plan = &layer->plan;
    s->order = layer->order;
    s->k = layer->k;
    s->block = BRIM_SWEEP_BLOCK;
    switch (layer->par.solver) {
    case BRIM_SOLVER_RTN:
        brim_rtn_setup(layer, s);
        break;
    case BRIM_SOLVER_GPFQ:
        brim_gpfq_setup(layer, s);
        break;
    case BRIM_SOLVER_OPTQ:
        brim_optq_setup(layer, s);
        break;
    case BRIM_SOLVER_QRONOS:
        brim_qronos_setup(layer, s);
        break;
    }
}
