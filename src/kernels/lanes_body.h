/* lanes_body.h - the lane simulator for one integer type; lanes32.c and lanes64.c define LANE (the
 * type), LANE_U (unsigned), LANE_RUN (the function), LANE_CLONED (its variants) and include it. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Each loop over l is one vector operation per line: fixed length, no branch on data, so compilers
 * vectorise it. `saturate`, `count` and `products` are constants in every call, which leaves one
 * tight loop over j for each combination.
 */
#include "base/intops.h"
#include "kernels/lanes.h"

#if defined(__GNUC__)
#    define LANE_INLINE static inline __attribute__((always_inline))
#else
#    define LANE_INLINE static inline
#endif
#define FOR_LANES for (size_t l = 0; l < BRIM_LANES; l++)

/* One register of each lane: what it holds, what it would hold exactly, the exact extremes. */
struct lane_register {
    LANE value[BRIM_LANES], exact[BRIM_LANES], lo[BRIM_LANES], hi[BRIM_LANES];
};

struct lane_state {
    struct lane_register reg[BRIM_MAX_STAGES];
    LANE exit[BRIM_LANES], persistent[BRIM_LANES], odd[BRIM_LANES]; /* 0 or 1 */
    LANE p_lo[BRIM_LANES], p_hi[BRIM_LANES];                        /* extremes of products */
    LANE all_lo[BRIM_LANES], all_hi[BRIM_LANES]; /* of the first stage's prefixes */
};

LANE_INLINE LANE lane_min(LANE a, LANE b)
{
    return a < b ? a : b;
}

LANE_INLINE LANE lane_max(LANE a, LANE b)
{
    return a > b ? a : b;
}

struct lane_span {
    const int32_t *panel, *shared;
    size_t n;
};

/* The products of one tile into the first register. */
LANE_INLINE void lane_products(struct lane_state *s, const struct brim_lane_stage *stage,
                               struct lane_span t, bool saturate, bool count, bool products)
{
    struct lane_register *r = &s->reg[0];
    LANE value[BRIM_LANES], exact[BRIM_LANES], lo[BRIM_LANES], hi[BRIM_LANES];
    const LANE rail_lo = (LANE)stage->lo, rail_hi = (LANE)stage->hi;

    FOR_LANES
    {
        value[l] = 0;
        exact[l] = 0;
        lo[l] = 0;
        hi[l] = 0;
    }
    for (size_t j = 0; j < t.n; j++) {
        const int32_t *a = t.panel + j * BRIM_LANES;
        const LANE b = t.shared[j];

        FOR_LANES
        {
            const LANE p = (LANE)a[l] * b;

            if (saturate) {
                value[l] = lane_min(lane_max(value[l] + p, rail_lo), rail_hi);
            }
            if (count || !saturate) {
                exact[l] += p;
            }
            if (count) {
                lo[l] = lane_min(lo[l], exact[l]);
                hi[l] = lane_max(hi[l], exact[l]);
            }
            if (products) {
                s->p_lo[l] = lane_min(s->p_lo[l], p);
                s->p_hi[l] = lane_max(s->p_hi[l], p);
            }
        }
    }
    FOR_LANES
    {
        r->value[l] = saturate ? value[l] : exact[l];
        r->exact[l] = exact[l];
        r->lo[l] = lo[l];
        r->hi[l] = hi[l];
    }
}

LANE_INLINE void lane_first_stage(struct lane_state *s, const struct brim_lane_plan *plan,
                                  struct lane_span t)
{
    const struct brim_lane_stage *stage = &plan->stage[0];

    if (stage->value == BRIM_LANE_SATURATE) {
        if (plan->products) {
            lane_products(s, stage, t, true, true, true);
        } else if (plan->count) {
            lane_products(s, stage, t, true, true, false);
        } else {
            lane_products(s, stage, t, true, false, false);
        }
    } else if (plan->products) {
        lane_products(s, stage, t, false, true, true);
    } else if (plan->count) {
        lane_products(s, stage, t, false, true, false);
    } else {
        lane_products(s, stage, t, false, false, false);
    }
    if (plan->count) {
        FOR_LANES
        {
            s->all_lo[l] = lane_min(s->all_lo[l], s->reg[0].lo[l]);
            s->all_hi[l] = lane_max(s->all_hi[l], s->reg[0].hi[l]);
        }
    }
}

/* A register is complete: what it hands on. */
LANE_INLINE void lane_finish(const struct brim_lane_stage *stage, struct lane_register *r)
{
    const LANE lo = (LANE)stage->lo, hi = (LANE)stage->hi;

    if (stage->value == BRIM_LANE_CLIP) {
        FOR_LANES
        {
            r->value[l] = lane_min(lane_max(r->value[l], lo), hi);
        }
    } else if (stage->value == BRIM_LANE_WRAP) {
        const LANE_U mask = (LANE_U)hi * 2 + 1;

        FOR_LANES
        {
            r->value[l] = (LANE)(((LANE_U)r->value[l] - (LANE_U)lo) & mask) + lo;
        }
    }
}

LANE_INLINE void lane_judge(struct lane_state *s, const struct brim_lane_stage *stage,
                            const struct lane_register *r)
{
    const LANE lo = (LANE)stage->lo, hi = (LANE)stage->hi;

    if (stage->event == BRIM_LANE_PREFIX || stage->event == BRIM_LANE_TOTAL) {
        FOR_LANES
        {
            s->persistent[l] |= (LANE)((r->exact[l] < lo) | (r->exact[l] > hi));
        }
    }
    if (stage->event == BRIM_LANE_PREFIX || stage->event == BRIM_LANE_SPILLS) {
        FOR_LANES
        {
            s->exit[l] |= (LANE)((r->lo[l] < lo) | (r->hi[l] > hi));
        }
    }
}

/* Add a complete register to the next stage's. */
LANE_INLINE void lane_carry(const struct lane_register *from, struct lane_register *to,
                            const struct brim_lane_stage *stage, bool count)
{
    FOR_LANES
    {
        to->value[l] += from->value[l];
    }
    if (stage->value == BRIM_LANE_SATURATE) {
        const LANE lo = (LANE)stage->lo, hi = (LANE)stage->hi;

        FOR_LANES
        {
            to->value[l] = lane_min(lane_max(to->value[l], lo), hi);
        }
    }
    if (count) {
        FOR_LANES
        {
            to->exact[l] += from->exact[l];
            to->lo[l] = lane_min(to->lo[l], to->exact[l]);
            to->hi[l] = lane_max(to->hi[l], to->exact[l]);
        }
    }
}

/* A register ends with a vector: what it holds counts for the vector's factor. */
LANE_INLINE void lane_scale(struct lane_register *r, const struct brim_lane_plan *plan,
                            const struct brim_lane_scales *scales, size_t vector)
{
    const uint32_t half = (uint32_t)1 << plan->shift >> 1;
    const uint32_t shared = scales->shared != NULL ? scales->shared[vector] : 1;

    if (scales->sum != NULL) {
        FOR_LANES
        {
            const float s = scales->real_panel != NULL ? scales->real_panel[vector * BRIM_LANES + l]
                                                       : scales->real_shared[vector];
            scales->sum[l] += (double)s * (double)r->value[l];
        }
        return;
    }
    FOR_LANES
    {
        const uint32_t own = scales->panel != NULL ? scales->panel[vector * BRIM_LANES + l] : 1;
        const LANE factor = (LANE)((own * shared + half) >> plan->shift);

        r->value[l] *= factor;
        r->exact[l] *= factor;
    }
}

LANE_INLINE void lane_clear(struct lane_register *r)
{
    FOR_LANES
    {
        r->value[l] = 0;
        r->exact[l] = 0;
        r->lo[l] = 0;
        r->hi[l] = 0;
    }
}

/* Lanes in which some product does not fit the first register. */
LANE_INLINE void lane_find_odd(struct lane_state *s, const struct brim_lane_stage *first)
{
    const LANE lo = (LANE)first->lo, hi = (LANE)first->hi;

    FOR_LANES
    {
        s->odd[l] = (LANE)((s->p_lo[l] < lo) | (s->p_hi[l] > hi));
    }
}

LANE_INLINE void lane_tally(const struct lane_state *s, const struct brim_lane_plan *plan,
                            struct brim_lane_tally *tally)
{
    LANE transient = 0, persistent = 0, product = 0, lo = 0, hi = 0;

    FOR_LANES
    {
        const LANE skip = plan->recheck ? s->odd[l] : 0;

        transient += s->exit[l] & ~s->persistent[l] & ~skip;
        persistent += s->persistent[l] & ~skip;
        product += s->odd[l] & ~skip;
        lo = lane_min(lo, s->all_lo[l]);
        hi = lane_max(hi, s->all_hi[l]);
    }
    tally->transient += (uint64_t)transient;
    tally->persistent += (uint64_t)persistent;
    tally->product += (uint64_t)product;
    tally->lo = brim_min_i64(tally->lo, lo);
    tally->hi = brim_max_i64(tally->hi, hi);
}

/* A tile of the first stage ended at product `end`: complete it, and every tile that ends there. */
LANE_INLINE void lane_end_tiles(struct lane_state *s, const struct brim_lane_plan *plan,
                                const struct brim_lane_scales *scales, size_t end)
{
    for (size_t i = 0; i < plan->n_stages; i++) {
        const struct brim_lane_stage *stage = &plan->stage[i];

        if (end != plan->k && end % stage->tile != 0) {
            return;
        }
        lane_finish(stage, &s->reg[i]);
        if (plan->count) {
            lane_judge(s, stage, &s->reg[i]);
        }
        if (plan->vector > 0 && i == plan->scaled) {
            lane_scale(&s->reg[i], plan, scales, (end - 1) / plan->vector);
        }
        if (i + 1 < plan->n_stages) {
            lane_carry(&s->reg[i], &s->reg[i + 1], &plan->stage[i + 1], plan->count);
        }
        if (i > 0 && (i + 1 < plan->n_stages || end != plan->k)) {
            lane_clear(&s->reg[i]);
        }
    }
}

BRIM_CLONES
static void LANE_CLONED(const struct brim_lane_plan *plan, const int32_t *panel,
                        const int32_t *shared, const struct brim_lane_scales *scales, int64_t *y,
                        struct brim_lane_tally *tally)
{
    struct lane_state s;

    FOR_LANES
    {
        s.exit[l] = 0;
        s.persistent[l] = 0;
        s.odd[l] = 0;
        s.p_lo[l] = 0;
        s.p_hi[l] = 0;
        s.all_lo[l] = 0;
        s.all_hi[l] = 0;
    }
    for (size_t i = 0; i < plan->n_stages; i++) {
        lane_clear(&s.reg[i]);
    }
    for (size_t at = 0; at < plan->k;) {
        const size_t n = brim_min_size(plan->stage[0].tile, plan->k - at);
        const struct lane_span t = {panel + at * BRIM_LANES, shared + at, n};

        lane_first_stage(&s, plan, t);
        at += n;
        lane_end_tiles(&s, plan, scales, at);
    }
    const struct lane_register *last = &s.reg[plan->n_stages - 1];
    FOR_LANES
    {
        y[l] = last->value[l];
    }
    if (plan->products) {
        lane_find_odd(&s, &plan->stage[0]);
    }
    if (plan->count) {
        lane_tally(&s, plan, tally);
    }
    if (plan->recheck) {
        FOR_LANES
        {
            tally->odd[l] = s.odd[l] != 0;
        }
    }
}

/* An ordinary function for the other files: compilers differ in what a cloned name means there. */
void LANE_RUN(const struct brim_lane_plan *plan, const int32_t *panel, const int32_t *shared,
              const struct brim_lane_scales *scales, int64_t *y, struct brim_lane_tally *tally)
{
    for (size_t l = 0; scales != NULL && scales->sum != NULL && l < BRIM_LANES; l++) {
        scales->sum[l] = 0.0;
    }
    LANE_CLONED(plan, panel, shared, scales, y, tally);
}
