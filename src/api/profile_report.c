/* profile_report.c - counts of all widths and orders from what the workers saw.
 * SPDX-License-Identifier: Apache-2.0
 *
 * With c[p][t] outputs whose prefixes need p bits and whose totals need t, a register of P bits in
 * natural order has
 *
 *     persistent(P) = sum of c[p][t], t > P          transient(P) = sum of c[p][t], p > P >= t
 *
 * Where every product fits, q until done and g have no transient overflow (docs/semantics.md).
 */
#include "api/profile_parts.h"
#include "base/intops.h"

static void merge(struct brim_profile_job *j, size_t layer)
{
    struct brim_profile_tally *to = &j->sum[layer];
    const size_t cells = j->widths * j->p->n_orders;

    *to = j->worker[0].tally[layer];
    for (int i = 1; i < j->ctx->threads; i++) {
        const struct brim_profile_tally *from = &j->worker[i].tally[layer];
        for (size_t p = 0; p < BITS; p++) {
            for (size_t t = 0; t < BITS; t++) {
                to->need[p][t] += from->need[p][t];
            }
            to->product[p] += from->product[p];
        }
        to->least = from->least < to->least ? from->least : to->least;
        to->most = from->most > to->most ? from->most : to->most;
        to->low = from->low < to->low ? from->low : to->low;
        to->high = from->high > to->high ? from->high : to->high;
        to->examined += from->examined;
        for (size_t c = 0; c < cells; c++) {
            to->transient[c] += from->transient[c];
        }
    }
}

/* ---- cells ---- */

static void natural_cell(const struct brim_profile_tally *t, unsigned width,
                         brim_profile_cell *cell)
{
    for (unsigned p = 2; p < BITS; p++) {
        for (unsigned total = 2; total < BITS; total++) {
            cell->persistent += total > width ? t->need[p][total] : 0;
            cell->transient += p > width && total <= width ? t->need[p][total] : 0;
        }
        cell->product += p > width ? t->product[p] : 0;
    }
}

static void fill_cell(const struct brim_profile_tally *t, const brim_profile_layer *l,
                      const brim_profile_order *order, unsigned width, uint64_t sampled,
                      brim_profile_cell *cell)
{
    *cell = (brim_profile_cell){.examined = l->outputs};
    natural_cell(t, width, cell);
    if (order->mode == BRIM_MODE_SATURATE) {
        return;
    }
    const bool none = order->mode == BRIM_MODE_WRAP || l->need <= width ||
                      (order->rounds == 0 && cell->product == 0);
    cell->transient = none ? 0 : sampled;
    cell->examined = none ? l->outputs : t->examined;
}

static brim_status fill_cells(const struct brim_profile_job *j, size_t layer,
                              struct brim_arena *arena, brim_profile_layer *l)
{
    const size_t orders = j->p->n_orders;
    brim_profile_cell *cell = brim_arena_zalloc(arena, j->widths * orders, sizeof *cell);

    if (cell == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < j->widths * orders; i++) {
        fill_cell(&j->sum[layer], l, &j->p->order[i % orders],
                  j->p->first_width + (unsigned)(i / orders), j->sum[layer].transient[i], &cell[i]);
    }
    l->cells = cell;
    return BRIM_OK;
}

/* ---- layers ---- */

static brim_status find_bounds(brim_ctx *ctx, const struct brim_dot *d, brim_profile_layer *l)
{
    const brim_datapath whole = {.n_stages = 1, .stage = {{.width = 64}}};
    const int64_t x_min = brim_min_i64(d->x_min, d->x_zero);
    const int64_t x_max = brim_max_i64(d->x_max, d->x_zero);

    for (size_t c = 0; c < d->n; c++) {
        unsigned need[BRIM_MAX_STAGES];
        brim_range r;
        BRIM_TRY(brim_datapath_need(ctx, &whole, d->w + c * d->k, d->k, x_min, x_max, need, &r));
        l->need = need[0] > l->need ? need[0] : l->need;
        l->range.lo = brim_min_i64(l->range.lo, r.lo);
        l->range.hi = brim_max_i64(l->range.hi, r.hi);
    }
    for (size_t i = 0; i < d->n * d->k; i++) {
        const int64_t a = d->w[i] * brim_min_i64(x_min, 0), b = d->w[i] * brim_max_i64(x_max, 0);
        const unsigned need = brim_width_of(brim_min_i64(a, b), brim_max_i64(a, b));
        l->product_need = need > l->product_need ? need : l->product_need;
    }
    return BRIM_OK;
}

static brim_status report_layer(struct brim_profile_job *j, size_t i, struct brim_arena *arena,
                                brim_profile_layer *l)
{
    const struct brim_dot *d = &j->dots.dot[i];
    const struct brim_profile_tally *t = &j->sum[i];

    *l = (brim_profile_layer){.name = brim_arena_strdup(arena, d->name),
                              .left_out = j->left_out[i],
                              .k = d->k,
                              .n = d->n};
    if (l->name == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (l->left_out != NULL) {
        return BRIM_OK;
    }
    merge(j, i);
    for (size_t p = 2; p < BITS; p++) {
        for (size_t total = 2; total < BITS; total++) {
            l->prefix_bits[p] += t->need[p][total];
            l->total_bits[total] += t->need[p][total];
        }
        l->product_bits[p] = t->product[p];
        l->outputs += l->prefix_bits[p];
    }
    l->prefix = (brim_range){t->least, t->most};
    l->total = l->outputs > 0 ? (brim_range){t->low, t->high} : (brim_range){0, 0};
    BRIM_TRY(find_bounds(j->ctx, d, l));
    return fill_cells(j, i, arena, l);
}

/* ---- first overflows ---- */

/* The furthest of all workers: each has them in order. taken: [threads] zeroes. */
static const struct brim_profile_reach *take_next(const struct brim_profile_job *j, size_t *taken)
{
    const struct brim_profile_reach *next = NULL;
    int from = 0;

    for (int i = 0; i < j->ctx->threads; i++) {
        const struct brim_profile_worker *w = &j->worker[i];
        const struct brim_profile_reach *r = taken[i] < w->n_top ? &w->top[taken[i]] : NULL;
        if (r != NULL && (next == NULL || brim_profile_goes_before(r, next))) {
            next = r;
            from = i;
        }
    }
    taken[from] += next != NULL;
    return next;
}

/* Where the register is left. */
static void find_step(const struct brim_dot *d, const int32_t *code, unsigned width,
                      brim_profile_overflow *o)
{
    const int32_t *w = d->w + o->channel * d->k;

    for (size_t k = 0; k < d->k; k++) {
        o->prefix += (int64_t)w[k] * code[k];
        if (o->prefix > brim_register_max(width) || o->prefix < brim_register_min(width)) {
            o->step = k;
            return;
        }
    }
}

/* The narrowest declared register that is left, else the widest profiled one. `bits`: what the
 * output that reaches furthest needs. */
static unsigned choose_width(const struct brim_profile_job *j, unsigned bits)
{
    unsigned declared = 0;

    for (size_t i = 0; i < j->dots.count; i++) {
        const struct brim_dot *d = &j->dots.dot[i];
        const unsigned width = d->datapath.stage[0].width;
        if (d->has_datapath && d->datapath.n_stages == 1 && width < bits &&
            (declared == 0 || width < declared)) {
            declared = width;
        }
    }
    if (j->p->at > 0 || declared > 0) {
        return j->p->at > 0 ? j->p->at : declared;
    }
    return bits > j->p->first_width && bits <= j->p->last_width ? bits - 1
           : bits > j->p->last_width                            ? j->p->last_width
                                                                : j->p->first_width;
}

static brim_status report_first(const struct brim_profile_job *j, struct brim_arena *arena,
                                brim_profile_report *r)
{
    brim_profile_overflow *first = brim_arena_zalloc(arena, j->p->top, sizeof *first);
    size_t *taken = brim_arena_zalloc(arena, (size_t)j->ctx->threads, sizeof *taken);
    unsigned bits = 2;

    if (first == NULL || taken == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < r->n_layers; i++) {
        for (unsigned b = 2; b < BITS; b++) {
            bits = r->layers[i].prefix_bits[b] > 0 && b > bits ? b : bits;
        }
    }
    r->at = choose_width(j, bits);
    r->first = first;
    while (r->n_first < j->p->top) {
        const struct brim_profile_reach *next = take_next(j, taken);
        if (next == NULL || next->where.bits <= r->at) {
            break;
        }
        brim_profile_overflow *o = &first[r->n_first++];
        *o = next->where;
        find_step(&j->dots.dot[o->layer], next->code, r->at, o);
    }
    return BRIM_OK;
}

brim_status brim_profile_report_layers(struct brim_profile_job *j, struct brim_arena *arena,
                                       brim_profile_report *r)
{
    brim_profile_layer *layer = brim_arena_zalloc(arena, j->dots.count, sizeof *layer);

    j->sum = brim_arena_zalloc(&j->arena, j->dots.count, sizeof *j->sum);
    if (layer == NULL || j->sum == NULL) {
        return BRIM_ERR_NOMEM;
    }
    r->n_layers = j->dots.count;
    r->layers = layer;
    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_status s = report_layer(j, i, arena, &layer[i]);
        if (s != BRIM_OK) {
            return brim_fail_at(j->ctx, s, "layer '%s'", j->dots.dot[i].name);
        }
    }
    return report_first(j, arena, r);
}
