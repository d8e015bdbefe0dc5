/* dot_plan.c - which computation gives the datapath's integers fastest. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Symbols     need[i]   least width of stage i that no partial sum, in any order, of any output of
 *                       the layer can leave (brim_datapath_need, greatest over the outputs)
 *             magnitude greatest sum over k of max |w*x|: bounds every partial sum and, because
 *                       |wrap(v)|, |clip(v)| <= |v|, everything a register holds after an overflow
 *                       below it too
 * Argument    A stage with need <= width below which nothing overflows is EXACT whatever its mode.
 *             Wrapping once at the end equals wrapping at every addition. q (until done) and g
 * equal clip(total) when every term fits the register; where a product may not, the lanes in which
 *             one did not are left to the reference. A spill register loses nothing; what reaches
 * the next stage differs only in how the total is cut, which an EXACT or WRAP stage cannot tell.
 *             One register in an order that looks at its products: dot_ordered.c.
 * Everything else is left to brim_datapath_dot(). Events compare exact terms, so need[i] <= width
 * alone makes stage i SAFE. Cost        O(n k) for each stage.
 */
#include "kernels/dot_plan.h"

#include "base/intops.h"

#define SHORT_TILE 16 /* products */

struct facts {
    unsigned need[BRIM_MAX_STAGES];
    int64_t w_lo, w_hi;     /* codes, 0 included */
    int64_t x_lo, x_hi;     /* inputs, 0 included */
    int64_t p_lo, p_hi;     /* products */
    int64_t sum_lo, sum_hi; /* partial sums of whole dot products */
    int64_t magnitude;
    bool factors;  /* vectors have integers to multiply by: */
    size_t scaled; /* the stage whose registers are multiplied, or whose totals floats are */
};

/* What one output's vectors are multiplied by at most; NULL = nothing. */
static const brim_factors *factors_of(const struct brim_dot_kernel_params *p, size_t c,
                                      brim_factors *factors)
{
    const size_t length = p->vectors.length;

    if (length == 0 || p->vectors.factor == NULL) {
        return NULL;
    }
    *factors = (brim_factors){length, p->vectors.factor + c * ((p->k + length - 1) / length)};
    return factors;
}

/* One output's weights. The magnitudes cannot overflow: the needs have been found already, so both
 * ends of the range are below 2^63; a magnitude beyond int64 is held at its end. */
static void add_row_facts(struct facts *f, const struct brim_dot_kernel_params *p,
                          const brim_factors *factors, const int32_t *w)
{
    int64_t magnitude = 0;

    for (size_t i = 0; i < p->k; i++) {
        const int64_t by = factors == NULL ? 1 : factors->factor[i / factors->vector];
        const int64_t a = w[i] * brim_min_i64(p->x_min, 0);
        const int64_t b = w[i] * brim_max_i64(p->x_max, 0);
        const int64_t lo = brim_min_i64(a, b), hi = brim_max_i64(a, b);

        f->w_lo = brim_min_i64(f->w_lo, w[i]);
        f->w_hi = brim_max_i64(f->w_hi, w[i]);
        f->p_lo = brim_min_i64(f->p_lo, lo);
        f->p_hi = brim_max_i64(f->p_hi, hi);
        if (__builtin_add_overflow(magnitude, by * brim_max_i64(-lo, hi), &magnitude)) {
            magnitude = INT64_MAX;
        }
    }
    f->magnitude = brim_max_i64(f->magnitude, magnitude);
}

static brim_status find_facts(brim_ctx *ctx, const struct brim_dot_kernel_params *p,
                              const brim_datapath *dp, struct facts *f, uint8_t *bound)
{
    *f = (struct facts){.need = {2, 2, 2, 2},
                        .x_lo = brim_min_i64(p->x_min, 0),
                        .x_hi = brim_max_i64(p->x_max, 0),
                        .factors = p->vectors.length > 0 && p->vectors.factor != NULL};
    while (f->scaled + 1 < dp->n_stages && dp->stage[f->scaled].tile != p->vectors.length) {
        f->scaled++;
    }
    for (size_t c = 0; c < p->n; c++) {
        const int32_t *w = p->w + c * p->k;
        unsigned need[BRIM_MAX_STAGES];
        brim_range r;
        brim_factors buffer;
        const brim_factors *factors = factors_of(p, c, &buffer);

        BRIM_TRY(
            brim_datapath_need_scaled(ctx, dp, factors, w, p->k, p->x_min, p->x_max, need, &r));
        for (size_t i = 0; i < dp->n_stages; i++) {
            f->need[i] = need[i] > f->need[i] ? need[i] : f->need[i];
        }
        if (bound != NULL) {
            bound[c] = brim_datapath_fits(dp, need) ? (uint8_t)need[0] : BRIM_DOT_UNSAFE;
        }
        f->sum_lo = brim_min_i64(f->sum_lo, r.lo);
        f->sum_hi = brim_max_i64(f->sum_hi, r.hi);
        add_row_facts(f, p, factors, w);
    }
    if (f->magnitude >= INT64_C(1) << 62) {
        return brim_fail(ctx, BRIM_ERR_ARG, "partial sums of %zu products exceed 62 bits", p->k);
    }
    return BRIM_OK;
}

/* Whether every term of stage i fits its register. */
static bool terms_fit(const brim_datapath *dp, const struct facts *f, size_t i, bool exact_below)
{
    const unsigned width = dp->stage[i].width;

    if (i == 0) {
        return brim_width_of(f->p_lo, f->p_hi) <= width;
    }
    if (f->factors && i == f->scaled + 1) {
        return false; /* a register's width says nothing of what it is multiplied to */
    }
    if (dp->stage[i - 1].mode == BRIM_MODE_SPILL && f->need[i - 1] > dp->stage[i - 1].width) {
        return false;
    }
    return (exact_below && f->need[i - 1] <= width) || dp->stage[i - 1].width <= width;
}

/* The value kind of stage i; false when only the scalar reference will do. */
static bool value_kind(const brim_datapath *dp, const struct facts *f, size_t i, bool exact_below,
                       enum brim_lane_value *kind)
{
    const brim_stage *s = &dp->stage[i];

    *kind = BRIM_LANE_EXACT;
    if (exact_below && f->need[i] <= s->width) {
        return true;
    }
    switch (s->mode) {
    case BRIM_MODE_WRAP:
        *kind = BRIM_LANE_WRAP;
        return true;
    case BRIM_MODE_SATURATE:
        *kind = BRIM_LANE_SATURATE;
        return true;
    case BRIM_MODE_SORTED:
    case BRIM_MODE_GREEDY:
        *kind = BRIM_LANE_CLIP; /* stage 0: products are watched where they may not fit */
        return s->rounds == 0 && (i == 0 || terms_fit(dp, f, i, exact_below));
    case BRIM_MODE_SPILL:
        break; /* how the total is cut must not matter to the next stage */
    }
    const brim_mode next = dp->stage[i + 1].mode;
    return next == BRIM_MODE_WRAP || (exact_below && f->need[i + 1] <= dp->stage[i + 1].width);
}

/* The event kind of stage i; false when only the scalar reference will do. */
static bool event_kind(const brim_datapath *dp, const struct facts *f, size_t i,
                       enum brim_lane_event *kind)
{
    const brim_stage *s = &dp->stage[i];
    const bool cut = i > 0 && dp->stage[i - 1].mode == BRIM_MODE_SPILL &&
                     f->need[i - 1] > dp->stage[i - 1].width;

    *kind = BRIM_LANE_SAFE;
    if (f->need[i] <= s->width) {
        return true;
    }
    switch (s->mode) {
    case BRIM_MODE_WRAP:
    case BRIM_MODE_SATURATE:
        *kind = BRIM_LANE_PREFIX;
        break;
    case BRIM_MODE_SORTED:
    case BRIM_MODE_GREEDY:
        *kind = BRIM_LANE_TOTAL;
        return s->rounds == 0 && !cut &&
               (i == 0 || (f->need[i - 1] <= s->width && !(f->factors && i == f->scaled + 1)));
    case BRIM_MODE_SPILL:
        *kind = BRIM_LANE_SPILLS;
        break;
    }
    return !cut;
}

/* Fill the lane plan; false when only the scalar reference will do. `bits` is the lane type's. */
static bool plan_lanes(const brim_datapath *dp, const struct facts *f, unsigned bits,
                       struct brim_lane_plan *plan)
{
    bool exact = true;

    plan->n_stages = dp->n_stages;
    for (size_t i = 0; i < dp->n_stages; i++) {
        const brim_stage *s = &dp->stage[i];
        struct brim_lane_stage *to = &plan->stage[i];
        /* The magnitude is below 2^(bits-2): a register of bits-1 bits never overflows. */
        const unsigned width = s->width < bits ? s->width : bits - 1;

        if (!value_kind(dp, f, i, exact, &to->value) ||
            (plan->count && !event_kind(dp, f, i, &to->event))) {
            return false;
        }
        exact = exact && to->value == BRIM_LANE_EXACT;
        to->lo = brim_register_min(width);
        to->hi = brim_register_max(width);
        to->tile = s->tile == 0 || s->tile > plan->k ? plan->k : (size_t)s->tile;
    }
    const bool misfits = !terms_fit(dp, f, 0, true);
    plan->recheck = misfits && plan->stage[0].value == BRIM_LANE_CLIP;
    plan->products = misfits && (plan->count || plan->recheck);
    return true;
}

/* Totals of vectors by matrix products, when nothing below the last register can overflow. */
static bool plan_vectors(const struct facts *f, size_t outputs, struct brim_dot_plan *plan)
{
    struct brim_lane_plan *lanes = &plan->lanes;
    const bool reals = !f->factors;
    const size_t last = reals ? f->scaled : lanes->n_stages - 1;

    for (size_t i = 0; i < last + (reals ? 1 : 0); i++) {
        if (lanes->stage[i].value != BRIM_LANE_EXACT) {
            return false;
        }
    }
    if (lanes->count || lanes->recheck || !plan->codes8 || outputs < 8 || lanes->k == 0 ||
        outputs > INT32_MAX || (!reals && lanes->stage[last].value == BRIM_LANE_SATURATE)) {
        return false;
    }
    plan->path = BRIM_DOT_VECTORS;
    lanes->stage[0] = lanes->stage[last];
    lanes->n_stages = 1;
    return true;
}

/* Totals by a matrix product, when nothing but the last register's kind matters. */
static bool plan_gemm(const struct facts *f, size_t outputs, struct brim_dot_plan *plan)
{
    struct brim_lane_plan *lanes = &plan->lanes;
    const struct brim_lane_stage last = lanes->stage[lanes->n_stages - 1];
    const int64_t reach = brim_max_i64(-f->sum_lo, f->sum_hi);

    for (size_t i = 0; i + 1 < lanes->n_stages; i++) {
        if (lanes->stage[i].value != BRIM_LANE_EXACT) {
            return false;
        }
    }
    if (lanes->count || lanes->recheck || last.value == BRIM_LANE_SATURATE || outputs < 8 ||
        lanes->k == 0 || lanes->k > INT32_MAX || outputs > INT32_MAX || reach > INT64_C(1) << 53) {
        return false;
    }
    plan->path = plan->codes8                ? BRIM_DOT_GEMM8
                 : reach <= INT64_C(1) << 24 ? BRIM_DOT_GEMM_F32
                                             : BRIM_DOT_GEMM_F64;
    lanes->n_stages = 1;
    lanes->stage[0] = last;
    return true;
}

/* The largest shift, up to `most`, that keeps [lo, hi] within 16 bits. */
static unsigned room(int64_t lo, int64_t hi, unsigned most)
{
    const unsigned free = 16 - brim_width_of(lo, hi);

    return free < most ? free : most;
}

/* The pass that saturates at P bits. In 16-bit lanes the weights' products are scaled up to the
 * lane's rails, modulo 2^16, which is exact because products fit P bits; in 32-bit lanes both
 * operands are, within 16 bits. Else a clamp follows every addition. */
static void plan_saturate(const struct facts *f, unsigned width,
                          const struct brim_simulate_variant *v, struct brim_dot_passes *passes)
{
    const unsigned w_room = room(f->w_lo, f->w_hi, 32);

    if (width <= 16 && brim_width_of(f->p_lo, f->p_hi) <= width) {
        passes->value = BRIM_SATURATE16;
        passes->w_shift = 16 - width;
    } else if (width <= 16 && passes->range16) {
        passes->value = BRIM_CLAMP16;
    } else if (v->pass[BRIM_SATURATE32] != NULL && width <= 32 &&
               w_room + room(f->x_lo, f->x_hi, 32) >= 32 - width) {
        passes->value = BRIM_SATURATE32;
        passes->w_shift = w_room < 32 - width ? w_room : 32 - width;
        passes->x_shift = 32 - width - passes->w_shift;
    } else {
        passes->value = BRIM_CLAMP32;
    }
}

/* Tiles for which starting a pass would cost more than the pass. */
static void plan_tiles(const brim_datapath *dp, const struct brim_lane_plan *lanes,
                       struct brim_dot_passes *passes)
{
    const struct brim_lane_stage *first = &lanes->stage[0], *second = &lanes->stage[1];

    if (lanes->n_stages != 2 || first->tile > SHORT_TILE) {
        return;
    }
    passes->tiles_range = second->event == BRIM_LANE_SAFE;
    if (first->value == BRIM_LANE_CLIP || second->value == BRIM_LANE_SATURATE) {
        return;
    }
    if (passes->value == BRIM_SATURATE16) {
        passes->value = BRIM_TILES_SATURATE16;
        passes->tiles_value = true;
    } else if (passes->value == BRIM_SUM16) {
        passes->value = BRIM_TILES_SUM16;
        passes->tiles_value = true;
        passes->w_shift = first->value == BRIM_LANE_WRAP ? 16u - dp->stage[0].width : 0;
    }
}

/* Operands of 16 bits and sums below 2^30: the lane plan by the simulator's passes. Where the table has
 * no vectors for this processor, the lanes that compilers vectorise are faster. */
static bool plan_simulate(const brim_datapath *dp, const struct facts *f,
                          const struct brim_simulate_variant *v, struct brim_dot_plan *plan)
{
    const unsigned width = dp->stage[0].width;
    struct brim_dot_passes *passes = &plan->passes;

    if (v->isa == 0 || brim_width_of(f->w_lo, f->w_hi) > 16 ||
        brim_width_of(f->x_lo, f->x_hi) > 16 || f->magnitude >= INT64_C(1) << 30 ||
        plan->lanes.k == 0) {
        return false;
    }
    plan->path = BRIM_DOT_SIMULATE;
    passes->range16 = brim_width_of(f->p_lo, f->p_hi) <= 16;
    passes->prefixes16 = f->need[0] <= 16;
    if (plan->lanes.stage[0].value == BRIM_LANE_SATURATE) {
        plan_saturate(f, width, v, passes);
    } else if (passes->prefixes16 ||
               (plan->lanes.stage[0].value == BRIM_LANE_WRAP && width <= 16)) {
        passes->value = BRIM_SUM16;
    } else {
        passes->value = BRIM_SUM32;
    }
    plan_tiles(dp, &plan->lanes, passes);
    return true;
}

/* One register that sorts or is greedy, of products that fit 16 bits. */
static bool plan_ordered(const brim_datapath *dp, const struct facts *f, struct brim_dot_plan *plan)
{
    const brim_stage *s = &dp->stage[0];
    const unsigned width = s->width < 32 ? s->width : 31; /* as plan_lanes() */

    if (dp->n_stages != 1 || (s->mode != BRIM_MODE_SORTED && s->mode != BRIM_MODE_GREEDY) ||
        plan->lanes.k == 0 || brim_width_of(f->w_lo, f->w_hi) > 16 ||
        brim_width_of(f->p_lo, f->p_hi) > 16 || f->magnitude >= INT64_C(1) << 30) {
        return false;
    }
    plan->lanes.stage[0].lo = brim_register_min(width);
    plan->lanes.stage[0].hi = brim_register_max(width);
    return true;
}

/* No register can leave its range. */
static bool is_total(const brim_datapath *dp, const struct facts *f)
{
    bool fits = true;

    for (size_t i = 0; i < dp->n_stages && i < BRIM_MAX_STAGES; i++) {
        fits = fits && f->need[i] <= dp->stage[i].width;
    }
    return fits;
}

brim_status brim_dot_plan_make(brim_ctx *ctx, const struct brim_dot_kernel_params *p,
                               const brim_datapath *dp, struct brim_dot_plan *plan, uint8_t *bound)
{
    struct facts f;

    BRIM_TRY(find_facts(ctx, p, dp, &f, bound));
    const bool vectors = p->vectors.length > 0;
    *plan = (struct brim_dot_plan){.lanes = {.k = p->k,
                                             .vector = p->vectors.length,
                                             .scaled = f.scaled,
                                             .shift = p->vectors.shift,
                                             .count = p->count}};
    plan->total = !vectors && !p->count && is_total(dp, &f);
    plan->sums32 = !vectors && f.magnitude < INT64_C(1) << 31;
    plan->acc32 = f.magnitude < INT64_C(1) << 30;
    plan->fits32 = plan->sums32 || dp->stage[dp->n_stages - 1].width <= 32;
    plan->codes8 = f.w_lo >= -128 && f.w_hi <= 127 &&
                   (vectors ? p->k < INT64_C(1) << 15 : f.magnitude < INT64_C(1) << 30) &&
                   ((p->x_min >= 0 && p->x_max <= 255) || (p->x_min >= -128 && p->x_max <= 127));
    const bool narrow = f.magnitude < INT64_C(1) << 30;
    const bool lanes = plan_lanes(dp, &f, narrow ? 32 : 64, &plan->lanes);
    /* Of products one or two bits too wide few are: what they spoil is added up anew, one by one. */
    const bool misfits =
        plan->lanes.recheck && brim_width_of(f.p_lo, f.p_hi) > dp->stage[0].width + 2u;
    if ((!lanes || misfits) && plan_ordered(dp, &f, plan)) {
        plan->path = BRIM_DOT_ORDERED;
    } else if (!lanes) {
        plan->path = BRIM_DOT_SCALAR;
    } else if (vectors) {
        plan->path = narrow ? BRIM_DOT_LANES32 : BRIM_DOT_LANES64;
        if (!plan_vectors(&f, p->n / p->groups, plan) && !f.factors) {
            plan->lanes.n_stages = f.scaled + 1; /* floats behind it */
        }
    } else if (!plan_gemm(&f, p->n / p->groups, plan) &&
               !plan_simulate(dp, &f, brim_simulate_choose(ctx->isa), plan)) {
        plan->path = narrow ? BRIM_DOT_LANES32 : BRIM_DOT_LANES64;
    }
    return BRIM_OK;
}
