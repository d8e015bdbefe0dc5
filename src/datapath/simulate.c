/* simulate.c - one dot product, added up exactly as a datapath does. docs/semantics.md is normative.
 *
 * Sources     sorted rounds: PQS (arXiv 2504.09064); spill: MGS (arXiv 2504.09072); sign-greedy:
 * any order that keeps the running sum near zero while both signs are left. Input       k codes w
 * and x; products are exact and never clamped before they are added. Structure   stage i has one
 * live register. A product enters stage 0; where a tile of stage i ends (or the reduction does),
 * its register is added to stage i+1 and starts again at 0. Tiles are multiples of one another, so
 * tiles end from the products outward. Modes that need all terms at once (q, g) keep them on one
 * stack. Only the innermost open list is at the top, because a term enters stage i+1 only after the
 * list of stage i was popped; each entry stands for disjoint products, so k entries are enough.
 * Invariant   q and g return clip(total) when every term fits the register: pairing opposite signs
 *             gives |a - b| <= max(a, b); terms of one sign move the sum monotonically to the
 * total. Events      the same machine runs a second time with 64-bit registers, so that every value
 * is the exact one, and watches which intermediate values leave the declared widths. Cost O(k);
 * sorted: O(k log k) a round and at most k rounds. Example     products (100, 100, -100), 8 bits:
 * wrap 100; saturate 27; q and g 100; with 8/3p,16 the first 100 is spilled and the total is 100.
 * In K order the second sum, 200, leaves the register and the total fits: transient; 9 bits were
 * needed
 *             -> docs/semantics.md, tests/datapath/test_semantics.c.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "datapath/adder.h"

struct reg {
    int64_t value;  /* modes without a list */
    size_t terms;   /* q, g: how many it has; they end at the top while it is innermost */
    uint64_t left;  /* products until the tile ends */
    int64_t lo, hi; /* extremes of the intermediate values; lo <= 0 <= hi */
    bool spilled;
};

struct machine {
    const brim_datapath *dp;
    bool exact; /* registers of 64 bits: nothing wraps or clips, spills stay where they are */
    struct reg reg[BRIM_MAX_STAGES];
    const brim_factors *factors; /* NULL: registers hand on what they hold */
    size_t scaled;               /* the stage whose registers are multiplied on the way out */
    size_t vector;               /* the vector that is being added up */
    int64_t *stack, *temp;
    size_t top;
    bool transient, persistent;
};

static void watch(struct reg *r, int64_t v)
{
    r->lo = brim_min_i64(r->lo, v);
    r->hi = brim_max_i64(r->hi, v);
}

static void sift_down(int64_t *a, size_t root, size_t n)
{
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && a[child + 1] > a[child]) {
            child++;
        }
        if (a[root] >= a[child]) {
            return;
        }
        const int64_t t = a[root];
        a[root] = a[child];
        a[child] = t;
    }
}

/* Heapsort, ascending: in place, no worst case, no recursion. */
static void sort_ascending(int64_t *a, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) {
        sift_down(a, i, n);
    }
    for (size_t end = n; end-- > 1;) {
        const int64_t t = a[0];
        a[0] = a[end];
        a[end] = t;
        sift_down(a, 0, end);
    }
}

/* One round: the i-th largest positive meets the i-th most negative; zero sums vanish; what is left
 * of the longer list follows, largest magnitude first. Returns the new length, or n unchanged with
 * *done when one sign was left already. */
static size_t pair_round(int64_t *a, size_t n, int64_t *temp, unsigned width, struct reg *r,
                         bool *done)
{
    size_t p = 0, q = 0, out = 0;

    for (size_t i = 0; i < n; i++) {
        if (a[i] > 0) {
            temp[p++] = a[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (a[i] < 0) {
            temp[p + q++] = a[i];
        }
    }
    *done = p == 0 || q == 0;
    if (*done) {
        return n;
    }
    sort_ascending(temp, p);
    sort_ascending(temp + p, q);
    const size_t pairs = brim_min_size(p, q);
    for (size_t i = 0; i < pairs; i++) {
        const int64_t sum = brim_add_clip(temp[p - 1 - i], temp[p + i], width);

        watch(r, sum);
        if (sum != 0) {
            a[out++] = sum;
        }
    }
    for (size_t i = pairs; i < p; i++) {
        a[out++] = temp[p - 1 - i];
    }
    for (size_t i = pairs; i < q; i++) {
        a[out++] = temp[p + i];
    }
    return out;
}

static int64_t add_sorted(int64_t *a, size_t n, int64_t *temp, const brim_stage *s, unsigned width,
                          struct reg *r)
{
    bool done = false;
    int64_t sum = 0;

    for (uint32_t round = 0; !done && (s->rounds == 0 || round < s->rounds); round++) {
        n = pair_round(a, n, temp, width, r, &done);
    }
    for (size_t i = 0; i < n; i++) {
        sum = brim_add_clip(sum, a[i], width);
        watch(r, sum);
    }
    return sum;
}

/* Two cursors over one list: the next positive while the sum is <= 0, else the next negative; when
 * one kind runs out, the other. */
static int64_t add_greedy(const int64_t *a, size_t n, unsigned width, struct reg *r)
{
    size_t pos = 0, neg = 0;
    int64_t sum = 0;

    for (;;) {
        while (pos < n && a[pos] < 0) {
            pos++;
        }
        while (neg < n && a[neg] > 0) {
            neg++;
        }
        if (pos == n && neg == n) {
            return sum;
        }
        const bool up = (sum <= 0 && pos < n) || neg == n;
        sum = brim_add_clip(sum, up ? a[pos++] : a[neg++], width);
        watch(r, sum);
    }
}

static void add_term(struct machine *m, size_t i, int64_t t);

/* A register of stage i gives v to the next stage, times the vector's factor where vectors end. */
static void hand_on(struct machine *m, size_t i, int64_t v)
{
    int64_t scaled = v;

    if (m->factors != NULL && i == m->scaled &&
        __builtin_mul_overflow(v, (int64_t)m->factors->factor[m->vector], &scaled)) {
        scaled = v < 0 ? INT64_MIN : INT64_MAX; /* beyond what brim_datapath_need() accepts */
    }
    add_term(m, i + 1, scaled);
}

/* Spill: what the register held goes to the next stage, then the term takes its place; a term that
 * the register cannot hold goes to the next stage itself. */
static void add_spilling(struct machine *m, size_t i, int64_t t)
{
    const unsigned width = m->dp->stage[i].width;
    struct reg *r = &m->reg[i];
    const int64_t held = r->value;
    int64_t sum;

    if (!__builtin_add_overflow(held, t, &sum) && brim_register_holds(width, sum)) {
        r->value = sum;
        return;
    }
    r->spilled = true;
    r->value = 0;
    hand_on(m, i, held);
    if (brim_register_holds(width, t)) {
        r->value = t;
    } else {
        hand_on(m, i, t);
    }
}

/* Adding 0 is nothing in every mode. Depth is at most BRIM_MAX_STAGES: the last stage never spills.
 */
static void add_term(struct machine *m, size_t i, int64_t t)
{
    const brim_stage *s = &m->dp->stage[i];
    const unsigned width = m->exact ? 64 : s->width;
    struct reg *r = &m->reg[i];

    if (t == 0) {
        return;
    }
    switch (s->mode) {
    case BRIM_MODE_WRAP:
        r->value = m->exact ? brim_add_clip(r->value, t, width) : brim_add_wrap(r->value, t, width);
        break;
    case BRIM_MODE_SATURATE:
        r->value = brim_add_clip(r->value, t, width);
        break;
    case BRIM_MODE_SORTED:
    case BRIM_MODE_GREEDY:
        m->stack[m->top++] = t;
        r->terms++;
        break;
    case BRIM_MODE_SPILL:
        add_spilling(m, i, t);
        break;
    }
    watch(r, r->value);
}

static void judge(struct machine *m, size_t i, int64_t total)
{
    const brim_stage *s = &m->dp->stage[i];
    const struct reg *r = &m->reg[i];

    if (s->mode == BRIM_MODE_SPILL) {
        m->transient |= r->spilled;
    } else if (!brim_register_holds(s->width, total)) {
        m->persistent = true;
    } else if (!brim_register_holds(s->width, r->lo) || !brim_register_holds(s->width, r->hi)) {
        m->transient = true;
    }
}

static void open_register(struct machine *m, size_t i)
{
    m->reg[i] = (struct reg){.left = m->dp->stage[i].tile};
}

/* The register's final value; it starts again. */
static int64_t close_register(struct machine *m, size_t i)
{
    const brim_stage *s = &m->dp->stage[i];
    const unsigned width = m->exact ? 64 : s->width;
    struct reg *r = &m->reg[i];
    int64_t value = r->value;

    m->top -= r->terms;
    if (s->mode == BRIM_MODE_SORTED) {
        value = add_sorted(m->stack + m->top, r->terms, m->temp, s, width, r);
    } else if (s->mode == BRIM_MODE_GREEDY) {
        value = add_greedy(m->stack + m->top, r->terms, width, r);
    }
    judge(m, i, value);
    open_register(m, i);
    return value;
}

/* A product was added: close the tiles that end here. */
static void end_tiles(struct machine *m, bool last)
{
    for (size_t i = 0; i + 1 < m->dp->n_stages; i++) {
        m->reg[i].left--;
    }
    for (size_t i = 0; i + 1 < m->dp->n_stages && (last || m->reg[i].left == 0); i++) {
        const int64_t value = close_register(m, i);

        hand_on(m, i, value);
        m->vector += m->factors != NULL && i == m->scaled;
    }
}

static int64_t run(struct machine *m, const int32_t *w, const int32_t *x, size_t k)
{
    for (size_t i = 0; i < m->dp->n_stages; i++) {
        open_register(m, i);
    }
    for (size_t i = 0; i < k; i++) {
        add_term(m, 0, (int64_t)w[i] * x[i]);
        end_tiles(m, i + 1 == k);
    }
    return close_register(m, m->dp->n_stages - 1);
}

/* Products and prefixes in K order, whatever the mode: they say what the first stage needs. */
static void watch_products(const brim_stage *s, const int32_t *w, const int32_t *x, size_t k,
                           brim_events *ev)
{
    struct reg r = {0};
    uint64_t left = s->tile; /* 0, the whole reduction, never comes round again */

    for (size_t i = 0; i < k; i++) {
        const int64_t p = (int64_t)w[i] * x[i];

        if (left-- == 0) {
            r.value = 0;
            left = s->tile - 1;
        }
        r.value = brim_add_clip(r.value, p, 64);
        watch(&r, r.value);
        ev->product |= !brim_register_holds(s->width, p);
    }
    ev->min_width = (uint8_t)brim_width_of(r.lo, r.hi);
}

int64_t brim_datapath_dot(const brim_datapath *dp, const int32_t *w, const int32_t *x, size_t k,
                          int64_t *scratch, brim_events *ev)
{
    return brim_datapath_dot_scaled(dp, NULL, w, x, k, scratch, ev);
}

int64_t brim_datapath_dot_scaled(const brim_datapath *dp, const brim_factors *factors,
                                 const int32_t *w, const int32_t *x, size_t k, int64_t *scratch,
                                 brim_events *ev)
{
    const size_t scaled = factors != NULL ? brim_factors_stage(dp, factors) : 0;

    if (k == 0) {
        if (ev != NULL) {
            *ev = (brim_events){.min_width = (uint8_t)brim_width_of(0, 0)};
        }
        return 0;
    }
    struct machine m = {
        .dp = dp, .factors = factors, .scaled = scaled, .stack = scratch, .temp = scratch + k};

    if (ev == NULL) {
        return run(&m, w, x, k);
    }
    struct machine exact = m;
    exact.exact = true;
    const int64_t total = run(&exact, w, x, k);
    *ev = (brim_events){.persistent = exact.persistent,
                        .transient = exact.transient && !exact.persistent};
    watch_products(&dp->stage[0], w, x, k, ev);
    /* Where no value left its register, the two machines do the same. */
    return exact.persistent || exact.transient ? run(&m, w, x, k) : total;
}
