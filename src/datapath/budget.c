/* budget.c - see budget.h. SPDX-License-Identifier: Apache-2.0 */
#include "datapath/budget.h"

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
    BRIM_TRY(brim_datapath_check(ctx, dp));
    for (size_t i = 0; i < dp->n_stages; i++) {
        const brim_stage *s = &dp->stage[i];
        struct brim_limit l = {.stage = i, .first = plan->n_registers};

        if (s->mode == BRIM_MODE_SPILL) {
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
                             i + 1, (unsigned)s->width, (long long)x_range[0],
                             (long long)x_range[1], width_of_one(x_range[0], x_range[1]));
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

double brim_l1_threshold(double *a, size_t n, double radius)
{
    double theta = 0.0;
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        sum += a[i];
    }
    if (sum <= radius) {
        return 0.0;
    }
    /* the active set is {a > theta}; dropping what is not only raises theta */
    for (size_t left = 0; n != left && n > 0;) {
        theta = (sum - radius) / (double)n;
        left = n;
        n = 0;
        sum = 0.0;
        for (size_t i = 0; i < left; i++) {
            if (a[i] > theta) {
                sum += a[i];
                a[n++] = a[i];
            }
        }
    }
    return theta > 0.0 ? theta : 0.0;
}
