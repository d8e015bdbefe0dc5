/* dot_cells.c - see dot_cells.h. SPDX-License-Identifier: Apache-2.0
 *
 * The first stage, where the work is, runs in a variant's passes, tile by tile; the stages behind it
 * see one term a tile and run here, in 32-bit lanes, as loops that compilers vectorise. The plan
 * promises that magnitudes stay below 2^30, so no addition overflows and rails are within int32.
 */
#include "kernels/dot_cells.h"

#include "base/intops.h"
#include "kernels/dot_kernel.h"

#include <string.h>

static inline int32_t least_of(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t most_of(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* ---- prefixes ---- */

/* One register of each cell on exact terms. */
struct exact {
    int32_t sum[BRIM_CELLS], least[BRIM_CELLS], most[BRIM_CELLS];
};

static struct brim_simulate_tile tile_at(const struct brim_cell_operands *o, unsigned rows,
                                         size_t first, size_t count, const uint32_t **shared)
{
    for (unsigned r = 0; r < rows; r++) {
        shared[r] = o->shared[r] + first;
    }
    return (struct brim_simulate_tile){.panel = o->panel + first * BRIM_SIMULATE_LANES,
                                       .shared = shared,
                                       .rows = rows,
                                       .count = count,
                                       .stride = BRIM_SIMULATE_LANES};
}

BRIM_CLONES
static bool touches(const int32_t *least, const int32_t *most)
{
    int32_t hit = 0;

    for (size_t l = 0; l < BRIM_SIMULATE_LANES; l++) {
        hit |= (least[l] == INT16_MIN) | (most[l] == INT16_MAX);
    }
    return hit != 0;
}

/* The rows of a RANGE16 tile that touched the rails, in 32 bits, several at a time. */
static void repeat(const struct brim_simulate_variant *v, const struct brim_simulate_tile *tile,
                   struct exact *e, struct brim_cell_luck *luck)
{
    const uint32_t *shared[BRIM_SIMULATE_ROWS];
    struct brim_simulate_tile t = *tile;
    unsigned row[BRIM_SIMULATE_ROWS] = {0};
    struct exact again;

    t.shared = shared;
    t.rows = 0;
    for (unsigned r = 0; r < tile->rows; r++) {
        const size_t at = (size_t)r * BRIM_SIMULATE_LANES;

        if (touches(e->least + at, e->most + at)) {
            row[t.rows] = r;
            shared[t.rows++] = tile->shared[r];
        }
    }
    if (t.rows == 0) {
        return;
    }
    luck->failed += t.rows;
    t.value = again.sum;
    t.least = again.least;
    t.most = again.most;
    v->pass[BRIM_RANGE32](&t);
    for (unsigned i = 0; i < t.rows; i++) {
        const size_t from = (size_t)i * BRIM_SIMULATE_LANES,
                     to = (size_t)row[i] * BRIM_SIMULATE_LANES, n = BRIM_SIMULATE_LANES;

        memcpy(e->sum + to, again.sum + from, n * sizeof *e->sum);
        memcpy(e->least + to, again.least + from, n * sizeof *e->least);
        memcpy(e->most + to, again.most + from, n * sizeof *e->most);
    }
}

/* Sums and extremes of products first..first+count-1. In 16 bits where they fit; rows that touched
 * the rails are repeated in 32. */
static void range(const struct brim_dot_passes *p, const struct brim_simulate_variant *v,
                  const struct brim_cell_operands *o, unsigned rows, size_t first, size_t count,
                  struct exact *e, struct brim_cell_luck *luck)
{
    const uint32_t *shared[BRIM_SIMULATE_ROWS];
    struct brim_simulate_tile t = tile_at(o, rows, first, count, shared);

    t.value = e->sum;
    t.least = e->least;
    t.most = e->most;
    /* A repeated row costs about four thirds of one that ran in 32 bits at once. */
    if (!p->range16 || (!p->prefixes16 && luck->tried >= 32 && luck->failed * 2 > luck->tried)) {
        v->pass[BRIM_RANGE32](&t);
        return;
    }
    v->pass[BRIM_RANGE16](&t);
    if (p->prefixes16) {
        return;
    }
    luck->tried += rows;
    repeat(v, &t, e, luck);
}

BRIM_CLONES
static void widen_extremes(const struct exact *e, size_t n, struct brim_cells *c)
{
    for (size_t i = 0; i < n; i++) {
        c->least[i] = least_of(c->least[i], e->least[i]);
        c->most[i] = most_of(c->most[i], e->most[i]);
    }
}

BRIM_CLONES
static void judge_prefixes(const struct brim_lane_stage *s, const struct exact *e, size_t n,
                           int32_t *exit)
{
    const int32_t lo = (int32_t)s->lo, hi = (int32_t)s->hi;

    for (size_t i = 0; i < n; i++) {
        exit[i] |= (e->least[i] < lo) | (e->most[i] > hi);
    }
}

BRIM_CLONES
static void judge_totals(const struct brim_lane_stage *s, const struct exact *e, size_t n,
                         int32_t *persistent)
{
    const int32_t lo = (int32_t)s->lo, hi = (int32_t)s->hi;

    for (size_t i = 0; i < n; i++) {
        persistent[i] |= (e->sum[i] < lo) | (e->sum[i] > hi);
    }
}

static void judge(const struct brim_lane_stage *s, const struct exact *e, size_t n,
                  struct brim_cells *c)
{
    if (s->event == BRIM_LANE_PREFIX || s->event == BRIM_LANE_TOTAL) {
        judge_totals(s, e, n, c->persistent);
    }
    if (s->event == BRIM_LANE_PREFIX || s->event == BRIM_LANE_SPILLS) {
        judge_prefixes(s, e, n, c->exit);
    }
}

BRIM_CLONES
static void add_exact(const struct exact *from, size_t n, struct exact *to)
{
    for (size_t i = 0; i < n; i++) {
        to->sum[i] += from->sum[i];
        to->least[i] = least_of(to->least[i], to->sum[i]);
        to->most[i] = most_of(to->most[i], to->sum[i]);
    }
}

static void clear_exact(struct exact *e, size_t n)
{
    memset(e->sum, 0, n * sizeof *e->sum);
    memset(e->least, 0, n * sizeof *e->least);
    memset(e->most, 0, n * sizeof *e->most);
}

/* A tile of the first stage ended before product `end`: so may tiles of later stages. */
static void end_exact_tiles(const struct brim_lane_plan *lanes, size_t end, struct exact *reg,
                            size_t n, struct brim_cells *c)
{
    for (size_t i = 0; i < lanes->n_stages; i++) {
        if (end != lanes->k && end % lanes->stage[i].tile != 0) {
            return;
        }
        judge(&lanes->stage[i], &reg[i], n, c);
        if (i + 1 < lanes->n_stages) {
            add_exact(&reg[i], n, &reg[i + 1]);
            if (i > 0) {
                clear_exact(&reg[i], n);
            }
        }
    }
}

void brim_cells_products(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                         const struct brim_cell_operands *o, struct brim_cells *c)
{
    const struct brim_lane_stage *s = &plan->lanes.stage[0];
    const size_t n = (size_t)c->rows * BRIM_SIMULATE_LANES;
    const uint32_t *shared[BRIM_SIMULATE_ROWS];
    struct brim_simulate_tile t = tile_at(o, c->rows, 0, plan->lanes.k, shared);
    int32_t least[BRIM_CELLS], most[BRIM_CELLS];

    t.least = least;
    t.most = most;
    v->pass[plan->passes.range16 ? BRIM_PRODUCTS16 : BRIM_PRODUCTS32](&t);
    for (size_t i = 0; i < n; i++) {
        c->odd[i] = (least[i] < s->lo) | (most[i] > s->hi);
    }
}

BRIM_CLONES
static void find_eventful(struct brim_cells *c)
{
    for (unsigned r = 0; r < c->rows; r++) {
        const size_t at = (size_t)r * BRIM_SIMULATE_LANES;
        int32_t any = 0;

        for (size_t l = 0; l < BRIM_SIMULATE_LANES; l++) {
            any |= c->exit[at + l] | c->persistent[at + l] | c->odd[at + l];
        }
        c->eventful[r] = any != 0;
    }
}

/* One register behind short tiles, without events: the extremes of all tiles, and of all totals of
 * tiles, tell whether any of them had one. */
static void tile_prefixes(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                          const struct brim_cell_operands *o, struct brim_cells *c)
{
    const struct brim_lane_stage *s = &plan->lanes.stage[0];
    const size_t n = (size_t)c->rows * BRIM_SIMULATE_LANES;
    const uint32_t *shared[BRIM_SIMULATE_ROWS];
    struct brim_simulate_tile t = tile_at(o, c->rows, 0, plan->lanes.k, shared);
    struct exact within, ends;

    t.tile = s->tile;
    t.value = c->total;
    t.least = within.least;
    t.most = within.most;
    t.tile_least = ends.least;
    t.tile_most = ends.most;
    v->pass[BRIM_SUM32](&t);
    v->pass[BRIM_TILES_RANGE32](&t);
    widen_extremes(&within, n, c);
    if (s->event == BRIM_LANE_PREFIX || s->event == BRIM_LANE_TOTAL) {
        judge_prefixes(s, &ends, n, c->persistent);
    }
    if (s->event == BRIM_LANE_PREFIX || s->event == BRIM_LANE_SPILLS) {
        judge_prefixes(s, &within, n, c->exit);
    }
}

static void all_prefixes(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                         const struct brim_cell_operands *o, struct brim_cells *c,
                         struct brim_cell_luck *luck)
{
    const struct brim_lane_plan *lanes = &plan->lanes;
    const size_t n = (size_t)c->rows * BRIM_SIMULATE_LANES;
    struct exact reg[BRIM_MAX_STAGES];

    for (size_t i = 1; i < lanes->n_stages; i++) {
        clear_exact(&reg[i], n);
    }
    for (size_t at = 0; at < lanes->k;) {
        const size_t count = brim_min_size(lanes->stage[0].tile, lanes->k - at);

        range(&plan->passes, v, o, c->rows, at, count, &reg[0], luck);
        widen_extremes(&reg[0], n, c);
        at += count;
        end_exact_tiles(lanes, at, reg, n, c);
    }
    memcpy(c->total, reg[lanes->n_stages - 1].sum, n * sizeof *c->total);
}

void brim_cells_prefixes(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                         const struct brim_cell_operands *o, struct brim_cells *c,
                         struct brim_cell_luck *luck)
{
    const size_t n = (size_t)c->rows * BRIM_SIMULATE_LANES;

    memset(c->least, 0, n * sizeof *c->least);
    memset(c->most, 0, n * sizeof *c->most);
    memset(c->exit, 0, n * sizeof *c->exit);
    memset(c->persistent, 0, n * sizeof *c->persistent);
    memset(c->odd, 0, n * sizeof *c->odd);
    if (plan->passes.tiles_range) {
        tile_prefixes(plan, v, o, c);
    } else {
        all_prefixes(plan, v, o, c, luck);
    }
    if (plan->lanes.products) {
        brim_cells_products(plan, v, o, c);
    }
    find_eventful(c);
}

void brim_cells_extremes(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                         const struct brim_cell_operands *o, struct brim_cells *c,
                         struct brim_cell_luck *luck)
{
    const size_t n = (size_t)c->rows * BRIM_SIMULATE_LANES;
    struct brim_dot_passes p = plan->passes;
    struct exact whole;

    p.prefixes16 = p.prefixes16 && plan->lanes.n_stages == 1; /* of tiles, not of the reduction */
    range(&p, v, o, c->rows, 0, plan->lanes.k, &whole, luck);
    memcpy(c->total, whole.sum, n * sizeof *c->total);
    memcpy(c->least, whole.least, n * sizeof *c->least);
    memcpy(c->most, whole.most, n * sizeof *c->most);
}

/* ---- values ---- */

void brim_cells_totals(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                       const struct brim_cell_operands *o, struct brim_cells *c)
{
    const bool fits16 = plan->lanes.n_stages == 1 && plan->passes.prefixes16;
    const uint32_t *shared[BRIM_SIMULATE_ROWS];
    struct brim_simulate_tile t = tile_at(o, c->rows, 0, plan->lanes.k, shared);

    t.value = c->value;
    v->pass[fits16 ? BRIM_SUM16 : BRIM_SUM32](&t);
}

BRIM_CLONES
static void clip(int32_t *v, size_t n, int32_t lo, int32_t hi)
{
    for (size_t i = 0; i < n; i++) {
        v[i] = least_of(most_of(v[i], lo), hi);
    }
}

BRIM_CLONES
static void add(const int32_t *from, int32_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] += from[i];
    }
}

static void end_tiles(const struct brim_lane_plan *lanes, size_t end, int32_t (*reg)[BRIM_CELLS],
                      size_t n)
{
    for (size_t i = 0; i < lanes->n_stages; i++) {
        const struct brim_lane_stage *next = &lanes->stage[i + 1];

        if (end != lanes->k && end % lanes->stage[i].tile != 0) {
            return;
        }
        brim_dot_finish32(&lanes->stage[i], reg[i], n);
        if (i + 1 < lanes->n_stages) {
            add(reg[i], reg[i + 1], n);
            if (next->value == BRIM_LANE_SATURATE) {
                clip(reg[i + 1], n, (int32_t)next->lo, (int32_t)next->hi);
            }
            if (i > 0) {
                memset(reg[i], 0, n * sizeof **reg);
            }
        }
    }
}

static void set_register(const struct brim_dot_plan *plan, struct brim_simulate_tile *t)
{
    t->shift = plan->passes.w_shift + plan->passes.x_shift;
    t->lo = (int32_t)plan->lanes.stage[0].lo;
    t->hi = (int32_t)plan->lanes.stage[0].hi;
}

/* Values of the rows of o, `stride` apart, by way of one pass: one stage, or short tiles and one
 * more. */
static void one_pass(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                     const struct brim_cell_operands *o, unsigned rows, int32_t *value,
                     size_t stride)
{
    const struct brim_lane_plan *lanes = &plan->lanes;
    const uint32_t *shared[BRIM_SIMULATE_ROWS];
    struct brim_simulate_tile t = tile_at(o, rows, 0, lanes->k, shared);

    t.tile = lanes->stage[0].tile;
    t.value = value;
    t.stride = stride;
    set_register(plan, &t);
    v->pass[plan->passes.value](&t);
    for (unsigned r = 0; r < rows; r++) {
        brim_dot_finish32(&lanes->stage[lanes->n_stages - 1], value + r * stride,
                          BRIM_SIMULATE_LANES);
    }
}

/* The same tile by tile. */
static void many_passes(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                        const struct brim_cell_operands *o, unsigned rows, int32_t *value,
                        size_t stride)
{
    const struct brim_lane_plan *lanes = &plan->lanes;
    const size_t n = (size_t)rows * BRIM_SIMULATE_LANES;
    int32_t reg[BRIM_MAX_STAGES][BRIM_CELLS];

    for (size_t i = 1; i < lanes->n_stages; i++) {
        memset(reg[i], 0, n * sizeof **reg);
    }
    for (size_t at = 0; at < lanes->k;) {
        const size_t count = brim_min_size(lanes->stage[0].tile, lanes->k - at);
        const uint32_t *shared[BRIM_SIMULATE_ROWS];
        struct brim_simulate_tile t = tile_at(o, rows, at, count, shared);

        t.value = reg[0];
        set_register(plan, &t);
        v->pass[plan->passes.value](&t);
        at += count;
        end_tiles(lanes, at, reg, n);
    }
    for (unsigned r = 0; r < rows; r++) {
        memcpy(value + r * stride, reg[lanes->n_stages - 1] + (size_t)r * BRIM_SIMULATE_LANES,
               BRIM_SIMULATE_LANES * sizeof *value);
    }
}

void brim_cells_values_to(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                          const struct brim_cell_operands *o, unsigned rows, int32_t *value,
                          size_t stride)
{
    if (plan->lanes.n_stages == 1 || plan->passes.tiles_value) {
        one_pass(plan, v, o, rows, value, stride);
    } else {
        many_passes(plan, v, o, rows, value, stride);
    }
}

void brim_cells_values(const struct brim_dot_plan *plan, const struct brim_simulate_variant *v,
                       const struct brim_cell_operands *o, const bool *wanted, struct brim_cells *c)
{
    struct brim_cell_operands some = {.panel = o->panel};
    unsigned row[BRIM_SIMULATE_ROWS] = {0}, rows = 0;
    int32_t few[BRIM_CELLS];

    for (unsigned r = 0; r < c->rows; r++) {
        if (wanted[r]) {
            row[rows] = r;
            some.shared[rows++] = o->shared[r];
        }
    }
    if (rows == 0) {
        return;
    }
    int32_t *value = rows == c->rows ? c->value : few;
    brim_cells_values_to(plan, v, &some, rows, value, BRIM_SIMULATE_LANES);
    for (unsigned r = 0; value == few && r < rows; r++) {
        memcpy(c->value + (size_t)row[r] * BRIM_SIMULATE_LANES,
               few + (size_t)r * BRIM_SIMULATE_LANES, BRIM_SIMULATE_LANES * sizeof *few);
    }
}

void brim_cells_finish(const struct brim_lane_stage *stage, struct brim_cells *c, size_t row)
{
    int32_t *value = c->value + row * BRIM_SIMULATE_LANES;

    memcpy(value, c->total + row * BRIM_SIMULATE_LANES, BRIM_SIMULATE_LANES * sizeof *value);
    brim_dot_finish32(stage, value, BRIM_SIMULATE_LANES);
}
