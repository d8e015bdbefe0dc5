/* walk_step.c - dot layers as a target's kernels walk them. SPDX-License-Identifier: Apache-2.0
 *
 * The kernel simulates the target's datapath over slots: codes moved by constants, in the order of the
 * walk, padding included. What the constants add to a sum is taken off in 64 bits, where real kernels
 * do it in their last registers, which wrap and therefore give the same.
 */
#include "base/intops.h"
#include "run/step.h"

brim_status brim_plan_check_target(const struct brim_plan *plan)
{
    for (size_t i = 0; plan->target != NULL && i < plan->dots.count; i++) {
        if (plan->dots.dot[i].codes) {
            BRIM_TRY(brim_layer_walk_check(plan->ctx, &plan->dots.dot[i]));
        }
    }
    return BRIM_OK;
}

/* Operand weights of all outputs, [n][slots]. */
static int32_t *slot_weights(struct brim_arena *arena, const struct brim_layer_walk *walk)
{
    size_t count;
    int32_t *w = NULL;

    if (brim_mul_size(walk->dot->n, walk->slots, &count)) {
        w = brim_arena_alloc(arena, count, sizeof *w);
    } else {
        (void)brim_fail(arena->ctx, BRIM_ERR_NOMEM, "out of memory: too many weights");
    }
    for (size_t c = 0; w != NULL && c < walk->dot->n; c++) {
        brim_walk_weights(walk, c, w + c * walk->slots);
    }
    return w;
}

static const int64_t *excess_of(struct brim_arena *arena, const struct brim_layer_walk *walk)
{
    const struct brim_dot *d = walk->dot;
    int64_t *excess = brim_arena_alloc(arena, d->n, sizeof *excess);

    for (size_t c = 0; excess != NULL && c < d->n; c++) {
        int64_t sum = brim_walk_weight_shift(walk, c) * (int64_t)d->k;
        for (size_t i = 0; i < d->k; i++) {
            sum += d->w[c * d->k + i];
        }
        excess[c] = walk->x_shift * sum;
    }
    return excess;
}

brim_status brim_dot_step_walk(struct brim_plan *plan, struct brim_dot_step *s,
                               struct brim_arena *w, struct brim_dot_kernel_params *p)
{
    struct brim_layer_walk *walk = brim_arena_alloc(&plan->arena, 1, sizeof *walk);

    if (walk == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_layer_walk(&plan->arena, plan->target, s->dot, walk));
    s->datapath = walk->wide ? NULL : &plan->target->datapath;
    p->datapath = s->datapath;
    if (walk->wide) {
        return BRIM_OK;
    }
    if (!walk->fits) {
        return brim_fail(
            plan->ctx, BRIM_ERR_ARG,
            "inputs %lld..%lld and weights %lld..%lld do not fit the operands of target "
            "'%s'",
            (long long)walk->x_min, (long long)walk->x_max, (long long)walk->w_min,
            (long long)walk->w_max, plan->target->name);
    }
    p->w = slot_weights(w, walk);
    s->walk_excess = excess_of(&plan->arena, walk);
    if (p->w == NULL || s->walk_excess == NULL) {
        return BRIM_ERR_NOMEM;
    }
    p->k = walk->slots;
    p->x_min = walk->x_min;
    p->x_max = walk->x_max;
    s->walk = walk;
    return BRIM_OK;
}

static int32_t code_at(const struct brim_dot_rows *rows, size_t i)
{
    return rows->codes == BRIM_DOT_UINT8  ? ((const uint8_t *)rows->x)[i]
           : rows->codes == BRIM_DOT_INT8 ? ((const int8_t *)rows->x)[i]
                                          : ((const int32_t *)rows->x)[i];
}

void brim_walk_rows(const struct brim_dot_step *s, const struct brim_dot_rows *codes,
                    int32_t *slots)
{
    const struct brim_layer_walk *walk = s->walk;
    const int32_t shift = (int32_t)walk->x_shift, padding = (int32_t)walk->x_min;

    for (size_t r = 0; r < codes->m; r++) {
        int32_t *to = slots + r * walk->slots;
        for (size_t i = 0; i < walk->slots; i++) {
            const int32_t k = walk->k[i];
            to[i] = k < 0 ? padding : code_at(codes, r * codes->x_stride + (size_t)k) + shift;
        }
    }
}

void brim_walk_totals(const struct brim_dot_step *s, const struct brim_dot_rows *codes,
                      const struct brim_dot_rows *rows)
{
    const struct brim_layer_walk *walk = s->walk;
    const size_t n = walk->dot->n / walk->dot->groups, first = codes->group * n;

    for (size_t r = 0; r < codes->m; r++) {
        int64_t inputs = 0;
        for (size_t i = 0; i < walk->dot->k; i++) {
            inputs += code_at(codes, r * codes->x_stride + i);
        }
        for (size_t c = 0; c < n; c++) {
            rows->y[r * rows->y_stride + c] -=
                s->walk_excess[first + c] + brim_walk_weight_shift(walk, first + c) * inputs;
        }
    }
}
