/* prove_target.c - bounds and witnesses of one dot layer on a target. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Symbols     w' weight operands in slot order, x' in [x_min, x_max], which need not contain 0;
 *             hi_i = max(w'_i x_min, w'_i x_max), lo_i likewise the least product
 * Bound       A register that adds slots f, f+1, ... holds, after slot p, at most hi_f + ... + hi_p,
 *             and some input makes it so. A stage sees its register whenever one of the stage
 *             below it is handed on; the first stage after every product.
 * Any order   What is greatest over all orders is greatest in the order of falling hi: a register of
 *             T products then takes the T greatest, its prefixes are the greatest sums of 1..T
 *             products, and those of the next stage the greatest of T, 2T, ... So one more pass
 *             over sorted weights is all it takes; and one in the order of rising lo for the least.
 *             Weights are integers of few values: sorted by counting.
 * Invariant   A stage fits its width P exactly when no input (and, with any order, no order) makes a
 *             register leave P bits; the same that the simulator calls an event. An instruction that
 *             adds two products at once has no sum after the first; for operands of 8 bits and
 *             registers of 16 that is no difference, a single product fits.
 * Cost        O(n * slots * stages) time, O(slots) memory. Sums stay below 2^63: operands are below
 *             2^18, products below 2^35, and weights of 2^28 slots are 2^30 bytes.
 * Example     w' = (127, 2), x' in [0, 255]: 255 * 129 = 32895 needs 17 bits, so vpmaddubsw's 16
 *             saturate; (127, 1) reaches 32640, which fits. tests/certify/test_target.c
 */
#include "certify/prove_target.h"

#include <stdlib.h>

#include "base/intops.h"
#include "certify/prove.h"

/* A register of a stage on its way: `end` is behind the last slot that it has added. */
struct moment {
    size_t channel, first, end;
    bool high;
    int64_t value;
};

/* The widest moment of a stage, and what else the outputs have shown. */
struct stage_seen {
    brim_range range;
    struct moment worst;
    bool overflows;
};

struct search {
    const struct brim_layer_walk *walk;
    brim_target_layer *out;
    struct stage_seen stage[BRIM_MAX_STAGES];
    int32_t *w;         /* [slots] of one output, in the order that is looked at */
    int32_t *natural;   /* [slots] in slot order */
    bool high, low;     /* which ends that order is for */
    int32_t base;       /* least value below */
    size_t values;      /* any order: of weight operands, padding's 0 among them */
    int32_t *by_high;   /* [values] in falling order of hi */
    int32_t *by_low;    /* [values] in rising order of lo */
    size_t *times;      /* [values] that each is there */
    brim_range outside; /* of outside_channel */
    size_t outside_channel;
};

static int64_t extent(int64_t v)
{
    return v < 0 ? -(v + 1) : v;
}

static int64_t product_hi(const struct brim_layer_walk *k, int64_t w)
{
    return brim_max_i64(w * k->x_min, w * k->x_max);
}

static int64_t product_lo(const struct brim_layer_walk *k, int64_t w)
{
    return brim_min_i64(w * k->x_min, w * k->x_max);
}

/* ---- any order ---- */

struct ranked {
    int64_t key;
    int32_t w;
};

static int by_key(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return x->key != y->key ? (x->key < y->key ? -1 : 1) : (x->w > y->w) - (x->w < y->w);
}

/* The order in which values of weights are added, for the highest or the lowest sums. */
static int32_t *rank_values(struct brim_arena *arena, const struct search *s, bool high)
{
    struct ranked *r = brim_arena_alloc(arena, s->values, sizeof *r);
    int32_t *order = brim_arena_alloc(arena, s->values, sizeof *order);

    if (r == NULL || order == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < s->values; i++) {
        const int32_t w = s->base + (int32_t)i;
        r[i] = (struct ranked){high ? -product_hi(s->walk, w) : product_lo(s->walk, w), w};
    }
    qsort(r, s->values, sizeof *r, by_key);
    for (size_t i = 0; i < s->values; i++) {
        order[i] = r[i].w;
    }
    return order;
}

/* s->w = the weights of an output in the order of their ranks. */
static void sort_weights(struct search *s, const int32_t *order)
{
    size_t at = 0;

    for (size_t i = 0; i < s->values; i++) {
        s->times[i] = 0;
    }
    for (size_t i = 0; i < s->walk->slots; i++) {
        s->times[s->natural[i] - s->base]++;
    }
    for (size_t i = 0; i < s->values; i++) {
        for (size_t n = s->times[order[i] - s->base]; n > 0; n--) {
            s->w[at++] = order[i];
        }
    }
}

/* ---- bounds ---- */

static bool leaves(const brim_stage *reg, const brim_range *r)
{
    return r->hi > brim_register_max(reg->width) || r->lo < brim_register_min(reg->width);
}

static void keep_worst(struct stage_seen *seen, const struct moment *m)
{
    if (extent(m->value) > extent(seen->worst.value)) {
        seen->worst = *m;
    }
}

/* One register: slots [first, end), seen after every `step` slots. What it can hold. */
static brim_range follow(const struct search *s, struct stage_seen *seen, struct moment m,
                         size_t step)
{
    const struct brim_layer_walk *walk = s->walk;
    const size_t first = m.first, end = m.end;
    brim_range sum = {0, 0}, most = {0, 0};
    size_t high_end = first, low_end = first;

    for (size_t i = first; i < end;) {
        const size_t next = brim_min_size(i + step, end);
        for (; i < next; i++) {
            const int64_t a = s->w[i] * walk->x_min, b = s->w[i] * walk->x_max;
            sum.hi += brim_max_i64(a, b);
            sum.lo += brim_min_i64(a, b);
        }
        if (s->high && sum.hi > most.hi) {
            most.hi = sum.hi;
            high_end = i;
        }
        if (s->low && sum.lo < most.lo) {
            most.lo = sum.lo;
            low_end = i;
        }
    }
    keep_worst(seen, &(struct moment){m.channel, first, high_end, true, most.hi});
    keep_worst(seen, &(struct moment){m.channel, first, low_end, false, most.lo});
    return most;
}

/* Products that are no padding among slots [first, end). */
static size_t real_products(const struct brim_layer_walk *walk, size_t first, size_t end)
{
    size_t n = 0;

    for (size_t i = first; i < end; i++) {
        n += walk->k[i] >= 0;
    }
    return n;
}

/* All registers of one stage of one output. Returns whether one leaves its width. */
static bool follow_stage(struct search *s, size_t channel, size_t stage, bool count)
{
    const brim_datapath *dp = &s->walk->target->datapath;
    const brim_stage *reg = &dp->stage[stage];
    const size_t slots = s->walk->slots;
    const size_t step = stage == 0 ? 1 : (size_t)dp->stage[stage - 1].tile;
    const size_t tile = reg->tile == 0 || reg->tile > slots ? slots : (size_t)reg->tile;
    struct stage_seen *seen = &s->stage[stage];
    bool any = false;

    for (size_t first = 0; first < slots; first += tile) {
        const size_t end = brim_min_size(first + tile, slots);
        const brim_range r =
            follow(s, seen, (struct moment){.channel = channel, .first = first, .end = end}, step);
        const bool bad = leaves(reg, &r);
        seen->range.lo = brim_min_i64(seen->range.lo, r.lo);
        seen->range.hi = brim_max_i64(seen->range.hi, r.hi);
        any = any || bad;
        if (count && stage == 0) {
            const bool meets = real_products(s->walk, first, end) >= brim_min_size(2, tile);
            s->out->registers += meets || bad;
            s->out->at_risk += bad;
        }
    }
    seen->overflows = seen->overflows || any;
    return any;
}

static void bound_any_order(struct search *s, size_t channel, bool *at_risk)
{
    const size_t stages = s->walk->target->datapath.n_stages;
    bool first = false;

    for (int high = 0; high < 2; high++) {
        sort_weights(s, high ? s->by_high : s->by_low);
        s->high = high == 1;
        s->low = high == 0;
        for (size_t i = 0; i < stages; i++) {
            const bool bad = follow_stage(s, channel, i, false);
            *at_risk = *at_risk || bad;
            first = first || (bad && i == 0);
        }
    }
    s->out->registers++;
    s->out->at_risk += first;
}

static brim_status bound_outside(brim_ctx *ctx, struct search *s, size_t channel)
{
    const struct brim_dot *d = s->walk->dot;
    const brim_datapath whole = {1, {{.width = 64}}};
    unsigned need[BRIM_MAX_STAGES];
    brim_range sum, outside = {0, 0};

    BRIM_TRY(brim_datapath_need(ctx, &whole, d->w + channel * d->k, d->k, d->x_min, d->x_max, need,
                                &sum));
    BRIM_TRY(brim_outside_range(ctx, d, channel, &sum, &outside));
    const unsigned bits = brim_width_of(outside.lo, outside.hi);
    if (bits > s->out->outside_bits) {
        s->out->outside_bits = bits;
        s->outside = outside;
        s->outside_channel = channel;
    }
    return BRIM_OK;
}

static brim_status bound_channel(brim_ctx *ctx, struct search *s, size_t channel)
{
    const struct brim_layer_walk *walk = s->walk;
    bool at_risk = false;

    BRIM_TRY(bound_outside(ctx, s, channel));
    if (walk->wide) {
        return BRIM_OK;
    }
    brim_walk_weights(walk, channel, s->natural);
    if (walk->target->any_order) {
        bound_any_order(s, channel, &at_risk);
    } else {
        for (size_t i = 0; i < walk->target->datapath.n_stages; i++) {
            at_risk = follow_stage(s, channel, i, true) || at_risk;
        }
    }
    s->out->channels_at_risk += at_risk;
    return BRIM_OK;
}

/* ---- witnesses ---- */

/* The slots in the order that makes a moment. */
static const int32_t *order_of(struct brim_arena *arena, const struct search *s,
                               const struct moment *m)
{
    const struct brim_layer_walk *walk = s->walk;
    int32_t *order = brim_arena_alloc(arena, walk->slots, sizeof *order);
    struct ranked *r = brim_arena_alloc(arena, walk->slots, sizeof *r);

    if (order == NULL || r == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < walk->slots; i++) {
        const int64_t w = s->natural[i];
        r[i] = (struct ranked){m->high ? -product_hi(walk, w) : product_lo(walk, w), (int32_t)i};
    }
    if (walk->target->any_order) {
        qsort(r, walk->slots, sizeof *r, by_key);
    }
    for (size_t i = 0; i < walk->slots; i++) {
        order[i] = r[i].w;
    }
    return order;
}

/* Replay in the simulator: w and x in the given order of slots. */
static bool overflows(const struct search *s, const int32_t *w, const int32_t *x, int64_t *scratch)
{
    brim_events seen;

    brim_datapath_dot(&s->walk->target->datapath, w, x, s->walk->slots, scratch, &seen);
    return seen.persistent || seen.transient;
}

/* Codes that bring about the moment, and which products meet in it. */
static brim_status find_witness(struct brim_arena *arena, const struct search *s, size_t stage)
{
    const struct brim_layer_walk *walk = s->walk;
    const struct brim_dot *d = walk->dot;
    const struct moment *m = &s->stage[stage].worst;
    brim_witness *witness = brim_arena_zalloc(arena, 1, sizeof *witness);
    int32_t *x = brim_arena_alloc(arena, d->k, sizeof *x);
    int32_t *slot = brim_arena_alloc(arena, walk->slots, 2 * sizeof *slot);
    size_t *meet = brim_arena_alloc(arena, m->end - m->first, sizeof *meet);
    int64_t *scratch = brim_arena_alloc(arena, walk->slots, 2 * sizeof *scratch);
    int64_t value = 0;

    if (witness == NULL || x == NULL || slot == NULL || meet == NULL || scratch == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_walk_weights(walk, m->channel, s->natural);
    const int32_t *order = order_of(arena, s, m);
    if (order == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < d->k; i++) {
        x[i] = (int32_t)d->x_zero;
    }
    for (size_t i = m->first; i < m->end; i++) {
        const int32_t k = walk->k[order[i]];
        const int64_t w = s->natural[order[i]];
        if (k >= 0 && w != 0) {
            x[k] = (int32_t)(((w > 0) == m->high ? walk->x_max : walk->x_min) - walk->x_shift);
            value += w * (x[k] + walk->x_shift);
        }
        if (k >= 0) {
            meet[s->out->n_meet++] = (size_t)k;
        }
    }
    brim_walk_inputs(walk, x, slot);
    for (size_t i = 0; i < walk->slots; i++) { /* a copy behind the first, in the order found */
        slot[walk->slots + i] = slot[order[i]];
        s->w[i] = s->natural[order[i]];
    }
    const unsigned width = walk->target->datapath.stage[stage].width;
    if (value != m->value || brim_width_of(value, value) <= width ||
        !overflows(s, s->w, slot + walk->slots, scratch)) {
        return brim_fail(arena->ctx, BRIM_ERR_INTERNAL,
                         "channel %zu, stage %zu: the witness does not overflow in the simulator",
                         m->channel, stage);
    }
    *witness =
        (brim_witness){.channel = m->channel, .stage = stage, .value = value, .k = d->k, .x = x};
    s->out->witness = witness;
    s->out->meet = meet;
    return BRIM_OK;
}

static brim_status find_outside_witness(struct brim_arena *arena, const struct search *s)
{
    const struct brim_dot *d = s->walk->dot;
    const bool high = s->outside.hi > brim_register_max(s->walk->target->outside);
    brim_witness *witness = brim_arena_zalloc(arena, 1, sizeof *witness);
    int32_t *x = brim_arena_alloc(arena, d->k, sizeof *x);

    if (witness == NULL || x == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const int64_t y = brim_outside_input(d, s->outside_channel, high, x);
    if (y != (high ? s->outside.hi : s->outside.lo)) {
        return brim_fail(arena->ctx, BRIM_ERR_INTERNAL,
                         "channel %zu: the witness does not reach its bound", s->outside_channel);
    }
    *witness = (brim_witness){.channel = s->outside_channel,
                              .stage = s->walk->target->datapath.n_stages,
                              .value = y,
                              .k = d->k,
                              .x = x,
                              .x_zero = brim_outside_zero(d, s->outside_channel, high)};
    s->out->witness = witness;
    return BRIM_OK;
}

/* ---- the whole ---- */

static brim_status start(struct brim_arena *arena, struct search *s)
{
    const struct brim_layer_walk *walk = s->walk;
    const size_t slots = walk->wide ? 1 : walk->slots;

    s->w = brim_arena_alloc(arena, slots, sizeof *s->w);
    s->natural = brim_arena_alloc(arena, slots, sizeof *s->natural);
    if (s->w == NULL || s->natural == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (walk->wide || !walk->target->any_order) {
        s->w = s->natural; /* looked at as they lie */
        s->high = s->low = true;
        return BRIM_OK;
    }
    s->base = (int32_t)brim_min_i64(walk->w_min, 0);
    s->values = (size_t)(brim_max_i64(walk->w_max, 0) - s->base) + 1;
    s->by_high = rank_values(arena, s, true);
    s->by_low = rank_values(arena, s, false);
    s->times = brim_arena_alloc(arena, s->values, sizeof *s->times);
    return s->by_high == NULL || s->by_low == NULL || s->times == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

/* The stage that the report speaks of: the first that overflows, else the first. */
static size_t telling_stage(const struct search *s)
{
    for (size_t i = 0; i < s->walk->target->datapath.n_stages; i++) {
        if (s->stage[i].overflows) {
            return i;
        }
    }
    return 0;
}

static brim_status conclude(struct brim_arena *arena, struct search *s)
{
    brim_target_layer *out = s->out;
    const size_t stage = telling_stage(s);

    out->worst_stage = stage;
    out->worst_channel = s->stage[stage].worst.channel;
    out->worst_value = s->stage[stage].worst.value;
    for (size_t i = 0; !s->walk->wide && i < s->walk->target->datapath.n_stages; i++) {
        out->need[i] = brim_width_of(s->stage[i].range.lo, s->stage[i].range.hi);
    }
    if (s->stage[stage].overflows) {
        int32_t *w = brim_arena_alloc(arena, s->walk->slots, sizeof *w); /* apart from natural */
        if (w == NULL) {
            return BRIM_ERR_NOMEM;
        }
        s->w = w;
        return find_witness(arena, s, stage);
    }
    if (out->outside_bits > s->walk->target->outside) {
        return find_outside_witness(arena, s);
    }
    out->proven = true;
    return BRIM_OK;
}

brim_status brim_prove_target(struct brim_arena *arena, const struct brim_layer_walk *walk,
                              brim_target_layer *out)
{
    const struct brim_dot *d = walk->dot;
    struct search s = {.walk = walk, .out = out};
    struct brim_arena scratch;

    *out = (brim_target_layer){.k = d->k,
                               .n = d->n,
                               .groups = d->groups,
                               .wide = walk->wide,
                               .fits = walk->fits,
                               .x_min = walk->x_min,
                               .x_max = walk->x_max,
                               .w_min = walk->w_min,
                               .w_max = walk->w_max};
    out->name = brim_arena_strdup(arena, d->name);
    if (out->name == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (!walk->fits) {
        return BRIM_OK;
    }
    brim_arena_init(&scratch, arena->ctx);
    brim_status status = start(&scratch, &s);
    for (size_t c = 0; status == BRIM_OK && c < d->n; c++) {
        status = bound_channel(arena->ctx, &s, c);
    }
    if (status == BRIM_OK) {
        status = conclude(arena, &s);
    }
    brim_arena_free(&scratch);
    return status;
}
