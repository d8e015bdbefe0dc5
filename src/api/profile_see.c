/* profile_see.c - what is kept of every output that goes by. SPDX-License-Identifier: Apache-2.0
 *
 * A register of P bits overflows on the way when the prefixes need more than P bits, and in the end
 * when the total does. So one output is two numbers, and a layer a table of 31 x 31 counts, for all
 * widths at once. What products need is the bit length of the OR of their magnitudes.
 *
 * Orders that sort have no such numbers; a few outputs, chosen by a generator seeded by layer and
 * sample, are really added up.
 */
#include <string.h>

#include "api/profile_parts.h"
#include "base/clones.h"
#include "base/intops.h"
#include "base/rng.h"

/* ---- memory ---- */

static brim_status open_worker(struct brim_profile_job *j, struct brim_profile_worker *w,
                               size_t longest)
{
    const size_t cells = j->widths * j->p->n_orders;

    w->tally = brim_arena_zalloc(&j->arena, j->dots.count, sizeof *w->tally);
    w->top = brim_arena_zalloc(&j->arena, j->p->top, sizeof *w->top);
    w->row = brim_arena_alloc(&j->arena, longest, sizeof *w->row);
    w->scratch = brim_arena_alloc(&j->arena, longest, 2 * sizeof *w->scratch);
    if (w->tally == NULL || w->top == NULL || w->row == NULL || w->scratch == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < j->dots.count; i++) {
        w->tally[i].transient = brim_arena_zalloc(&j->arena, cells, sizeof(uint64_t));
        if (w->tally[i].transient == NULL) {
            return BRIM_ERR_NOMEM;
        }
        w->tally[i].low = INT32_MAX;
        w->tally[i].high = INT32_MIN;
    }
    for (size_t i = 0; i < j->p->top; i++) {
        w->top[i].code = brim_arena_alloc(&j->arena, longest, sizeof(int32_t));
        if (w->top[i].code == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    return BRIM_OK;
}

brim_status brim_profile_open_workers(struct brim_profile_job *j)
{
    const size_t threads = (size_t)j->ctx->threads;
    size_t longest = 1;

    for (size_t i = 0; i < j->dots.count; i++) {
        longest = j->left_out[i] == NULL ? brim_max_size(longest, j->dots.dot[i].k) : longest;
    }
    j->worker = brim_arena_zalloc(&j->arena, threads, sizeof *j->worker);
    if (j->worker == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < threads; i++) {
        BRIM_TRY(open_worker(j, &j->worker[i], longest));
    }
    return BRIM_OK;
}

/* ---- one output ---- */

/* Bits of two's complement that hold -1-magnitude..magnitude, at least 2. */
static unsigned bits_of(uint32_t magnitude)
{
    return magnitude < 2 ? 2 : 33u - (unsigned)__builtin_clz(magnitude);
}

static uint32_t magnitude_of(int32_t v)
{
    return (uint32_t)(v < 0 ? ~v : v);
}

/* The OR of the products' magnitudes: its top bit is that of the greatest. */
static BRIM_CLONES uint32_t products(const int32_t *w, const int32_t *x, size_t k)
{
    uint32_t all = 0;

    for (size_t i = 0; i < k; i++) {
        const int32_t p = w[i] * x[i];
        all |= (uint32_t)(p ^ (p >> 31));
    }
    return all;
}

static void widen(const struct brim_dot_seen *seen, size_t row, size_t k, int32_t *to)
{
    const size_t first = row * seen->x_stride;

    for (size_t i = 0; i < k; i++) {
        to[i] = seen->codes == BRIM_DOT_UINT8  ? ((const uint8_t *)seen->x)[first + i]
                : seen->codes == BRIM_DOT_INT8 ? ((const int8_t *)seen->x)[first + i]
                                               : ((const int32_t *)seen->x)[first + i];
    }
}

/* ---- the furthest ---- */

bool brim_profile_goes_before(const struct brim_profile_reach *a,
                              const struct brim_profile_reach *b)
{
    const brim_profile_overflow *p = &a->where, *q = &b->where;

    return a->reach != b->reach         ? a->reach > b->reach
           : p->sample != q->sample     ? p->sample < q->sample
           : p->layer != q->layer       ? p->layer < q->layer
           : p->position != q->position ? p->position < q->position
                                        : p->channel < q->channel;
}

static void keep(struct brim_profile_worker *w, size_t top, const struct brim_profile_reach *r,
                 size_t k)
{
    size_t at = w->n_top;

    if (w->n_top == top) {
        if (top == 0 || !brim_profile_goes_before(r, &w->top[top - 1])) {
            return;
        }
        at--;
    } else {
        w->n_top++;
    }
    int32_t *code = w->top[at].code; /* of the one that is dropped, if any */
    for (; at > 0 && brim_profile_goes_before(r, &w->top[at - 1]); at--) {
        w->top[at] = w->top[at - 1];
    }
    w->top[at] = *r;
    w->top[at].code = code;
    memcpy(code, w->row, k * sizeof *code);
}

/* ---- sampled outputs ---- */

/* Add up one output in every order that sorts, on every width that some order might leave. */
static void examine(const struct brim_profile_job *j, struct brim_profile_worker *w,
                    struct brim_profile_tally *t, const int32_t *weight, size_t k)
{
    const unsigned product = bits_of(products(weight, w->row, k));
    int64_t low = 0, high = 0;

    for (size_t i = 0; i < k; i++) {
        const int64_t v = (int64_t)weight[i] * w->row[i];
        low += brim_min_i64(v, 0);
        high += brim_max_i64(v, 0);
    }
    const unsigned any = brim_width_of(low, high);
    for (size_t o = 0; o < j->p->n_orders; o++) {
        const brim_profile_order *order = &j->p->order[o];
        const bool sorts = order->mode == BRIM_MODE_SORTED || order->mode == BRIM_MODE_GREEDY;
        const unsigned clean = order->rounds > 0 ? any : product < any ? product : any;
        for (size_t i = 0; sorts && i < j->widths; i++) {
            const unsigned width = j->p->first_width + (unsigned)i;
            const brim_datapath dp = {
                .n_stages = 1,
                .stage = {{.width = (uint8_t)width, .mode = order->mode, .rounds = order->rounds}}};
            brim_events ev;
            if (width >= clean) {
                break;
            }
            (void)brim_datapath_dot(&dp, weight, w->row, k, w->scratch, &ev);
            t->transient[i * j->p->n_orders + o] += ev.transient;
        }
    }
    t->examined++;
}

/* Those of the sample's chosen outputs that are among the rows. base: the sample's first row. */
static void examine_chosen(const struct brim_profile_job *j, struct brim_profile_worker *w,
                           const struct brim_dot_seen *seen, size_t sample, size_t base,
                           size_t positions)
{
    const struct brim_dot *d = &j->dots.dot[seen->layer];
    const size_t per_group = d->n / d->groups;
    const uint64_t first = (uint64_t)sample * j->p->sampled / j->samples;
    const uint64_t end = ((uint64_t)sample + 1) * j->p->sampled / j->samples;
    struct brim_rng rng;

    brim_rng_init(&rng, j->p->seed, (uint64_t)sample * j->dots.count + seen->layer);
    for (uint64_t i = first; i < end; i++) {
        const size_t row = base + (size_t)brim_rng_below(&rng, positions);
        const size_t channel = (size_t)brim_rng_below(&rng, d->n);
        if (row >= seen->row && row < seen->row + seen->m && channel / per_group == seen->group) {
            widen(seen, row - seen->row, d->k, w->row);
            examine(j, w, &w->tally[seen->layer], d->w + channel * d->k, d->k);
        }
    }
}

/* ---- rows ---- */

static void tally_row(const struct brim_profile_job *j, struct brim_profile_worker *w,
                      const struct brim_dot_seen *seen, size_t i, size_t sample, size_t position)
{
    const struct brim_dot *d = &j->dots.dot[seen->layer];
    const size_t per_group = d->n / d->groups;
    struct brim_profile_tally *t = &w->tally[seen->layer];

    widen(seen, i, d->k, w->row);
    for (size_t c = 0; c < per_group; c++) {
        const size_t at = i * per_group + c, channel = seen->group * per_group + c;
        const int32_t least = seen->least[at], most = seen->most[at], total = seen->total[at];
        const int32_t reach = most > ~least ? most : ~least;
        const unsigned bits = bits_of((uint32_t)reach);

        t->need[bits][bits_of(magnitude_of(total))]++;
        t->product[bits_of(products(d->w + channel * d->k, w->row, d->k))]++;
        t->least = least < t->least ? least : t->least;
        t->most = most > t->most ? most : t->most;
        t->low = total < t->low ? total : t->low;
        t->high = total > t->high ? total : t->high;
        if (w->n_top < j->p->top || (w->n_top > 0 && reach >= w->top[w->n_top - 1].reach)) {
            const struct brim_profile_reach r = {.where = {.sample = sample,
                                                           .layer = seen->layer,
                                                           .channel = channel,
                                                           .position = position,
                                                           .least = least,
                                                           .most = most,
                                                           .total = total,
                                                           .bits = bits},
                                                 .reach = reach};
            keep(w, j->p->top, &r, d->k);
        }
    }
}

void brim_profile_see(void *user, int worker, size_t first, size_t samples,
                      const struct brim_dot_seen *seen)
{
    const struct brim_profile_job *j = user;
    struct brim_profile_worker *w = &j->worker[worker];
    const size_t positions = brim_max_size(1, seen->rows / samples);

    for (size_t i = 0; i < seen->m; i++) {
        const size_t row = seen->row + i;
        tally_row(j, w, seen, i, first + row / positions, row % positions);
    }
    for (size_t s = seen->row / positions; s * positions < seen->row + seen->m; s++) {
        examine_chosen(j, w, seen, first + s, s * positions, positions);
    }
}
