/* budget.c - see budget.h. SPDX-License-Identifier: Apache-2.0 */
#include "quantize/budget.h"

static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Narrowest two's complement register that holds both x_max and x_min times +1, or times -1. */
static unsigned width_of_one(int64_t x_min, int64_t x_max)
{
    const int64_t plus = largest(x_max, -x_min - 1);
    const int64_t minus = largest(-x_min, x_max - 1);
    const int64_t need = brim_min_i64(plus, minus);
    unsigned width = 2;

    while (width < 64 && (INT64_MAX >> (64 - width)) < need) {
        width++;
    }
    return width;
}

static brim_status check_stage(brim_ctx *ctx, const brim_datapath *dp, size_t i)
{
    const brim_stage *s = &dp->stage[i];
    const uint64_t inner = i > 0 ? dp->stage[i - 1].tile : 1;

    if (s->width < 2 || s->width > 64) {
        return brim_fail(ctx, BRIM_ERR_ARG, "datapath: stage %zu has %u bits, expected 2 to 64", i,
                         (unsigned)s->width);
    }
    if (i + 1 == dp->n_stages ? s->tile != 0 : (s->tile == 0 || s->tile % inner != 0)) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "datapath: stage %zu has tiles of %llu products, expected a multiple of "
                         "the stage before, and the last stage whole",
                         i, (unsigned long long)s->tile);
    }
    return BRIM_OK;
}

/* True when no code but 0 fits the stage's register. */
static bool holds_only_zero(const struct brim_limit *l, const int64_t x[2])
{
    const bool plus = x[1] <= l->hi && x[0] >= l->lo;
    const bool minus = -x[0] <= l->hi && -x[1] >= l->lo;

    return !plus && !minus;
}

brim_status brim_budget_compile(brim_ctx *ctx, const brim_datapath *dp, size_t k, int64_t qmax,
                                const int64_t x_range[2], struct brim_budget_plan *plan)
{
    const int64_t x_abs = largest(x_range[1], -x_range[0]);

    *plan = (struct brim_budget_plan){.x_min = x_range[0], .x_max = x_range[1]};
    if (dp->n_stages < 1 || dp->n_stages > BRIM_MAX_STAGES) {
        return brim_fail(ctx, BRIM_ERR_ARG, "datapath: %zu stages, expected 1 to %d", dp->n_stages,
                         BRIM_MAX_STAGES);
    }
    for (size_t i = 0; i < dp->n_stages; i++) {
        const brim_stage *s = &dp->stage[i];
        struct brim_limit l = {.stage = i, .first = plan->n_registers};

        BRIM_TRY(check_stage(ctx, dp, i));
        if (s->mode == BRIM_MODE_SPILL && i + 1 < dp->n_stages) {
            continue;
        }
        l.hi = INT64_MAX >> (64 - s->width);
        l.lo = -l.hi - 1;
        l.tile = s->tile == 0 || s->tile > k ? brim_max_size(k, 1) : (size_t)s->tile;
        l.count = (k + l.tile - 1) / l.tile;
        if (holds_only_zero(&l, x_range)) {
            return brim_fail(ctx, BRIM_ERR_INFEASIBLE,
                             "stage %zu has %u bits: no code but 0 fits for inputs of %lld to "
                             "%lld, expected at least %u bits",
                             i, (unsigned)s->width, (long long)x_range[0], (long long)x_range[1],
                             width_of_one(x_range[0], x_range[1]));
        }
        if ((int64_t)l.tile * qmax * x_abs <= l.hi) {
            continue;
        }
        plan->limit[plan->n_limits++] = l;
        plan->n_registers += l.count;
    }
    return BRIM_OK;
}

void brim_room_reset(const struct brim_budget_plan *plan, struct brim_room *room)
{
    for (size_t i = 0; i < plan->n_limits; i++) {
        const struct brim_limit *l = &plan->limit[i];
        for (size_t t = 0; t < l->count; t++) {
            room[l->first + t] = (struct brim_room){.hi = l->hi, .lo = -l->lo};
        }
    }
}

bool brim_budget_holds(const struct brim_budget_plan *plan, const int16_t *codes, size_t k,
                       struct brim_room *room)
{
    brim_room_reset(plan, room);
    for (size_t i = 0; i < k; i++) {
        brim_room_take(plan, room, i, codes[i], 1);
    }
    for (size_t i = 0; i < plan->n_registers; i++) {
        if (room[i].hi < 0 || room[i].lo < 0) {
            return false;
        }
    }
    return true;
}
