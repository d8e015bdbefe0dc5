/* profile_predict.c - how many predictions change on a register of every width, in every order.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Where the exact run shows no overflow that an order feels, the model's values are the exact ones by
 * induction over the layers, and nothing changes. Everything else is a run of its own.
 */
#include "api/profile_parts.h"

struct comparison {
    const size_t *best;
    size_t changed;
};

size_t brim_profile_best(const float *y, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++) {
        best = y[i] > y[best] ? i : best;
    }
    return best;
}

static void compare(void *user, size_t sample, const float *y, size_t n)
{
    struct comparison *c = user;

    c->changed += brim_profile_best(y, n) != c->best[sample];
}

/* Bits that the whole model's data needed. */
struct needs {
    unsigned prefix, total, product;
    unsigned any_product, any; /* certified: of products, of sums in any order */
};

static struct needs find_needs(const brim_profile_report *r)
{
    struct needs n = {2, 2, 2, 2, 2};

    for (size_t i = 0; i < r->n_layers; i++) {
        const brim_profile_layer *l = &r->layers[i];
        for (unsigned b = 2; b < BITS; b++) {
            n.prefix = l->prefix_bits[b] > 0 && b > n.prefix ? b : n.prefix;
            n.total = l->total_bits[b] > 0 && b > n.total ? b : n.total;
            n.product = l->product_bits[b] > 0 && b > n.product ? b : n.product;
        }
        n.any_product = l->product_need > n.any_product ? l->product_need : n.any_product;
        n.any = l->need > n.any ? l->need : n.any;
    }
    return n;
}

static bool is_clip(const brim_profile_order *order)
{
    return order->rounds == 0 &&
           (order->mode == BRIM_MODE_SORTED || order->mode == BRIM_MODE_GREEDY);
}

/* Nothing that this order feels overflowed. */
static bool is_exact(const struct brim_profile_job *j, const struct needs *n,
                     const brim_profile_order *order, unsigned width)
{
    if (j->partial) {
        return false;
    }
    return order->mode == BRIM_MODE_WRAP ? width >= n->total
           : is_clip(order)              ? width >= n->total && width >= n->product
           : order->rounds == 0          ? width >= n->prefix
                                         : width >= n->any;
}

/* Not one output after another by the reference: hours. */
static bool is_fast(const struct brim_profile_job *j, const struct needs *n,
                    const brim_profile_order *order, unsigned width)
{
    const bool lanes = n->any_product <= 16 && !j->partial; /* kernels/dot_ordered.h */

    return lanes || (order->rounds == 0 && (!is_clip(order) || width >= n->product));
}

static brim_status run(const struct brim_profile_job *j, const brim_profile_order *order,
                       unsigned width, brim_profile_prediction *to)
{
    const brim_datapath dp = {
        .n_stages = 1,
        .stage = {{.width = (uint8_t)width, .mode = order->mode, .rounds = order->rounds}}};
    struct comparison c = {.best = j->best};
    brim_run_params p;
    brim_run_report *report;

    brim_run_params_init(&p);
    p.datapath = &dp;
    p.count = false;
    p.output = compare;
    p.user = &c;
    BRIM_TRY(brim_run(j->ctx, j->g, j->data, &p, &report));
    *to = (brim_profile_prediction){.known = true, .changed = c.changed, .top1 = report->top1};
    brim_run_report_free(report);
    return BRIM_OK;
}

/* An earlier order of this width that gives the same integers for every input: q and g while all
 * products fit. */
static const brim_profile_prediction *same_as(const struct brim_profile_job *j,
                                              const struct needs *n,
                                              const brim_profile_prediction *row, size_t o,
                                              unsigned width)
{
    for (size_t i = 0; i < o && is_clip(&j->p->order[o]) && width >= n->any_product; i++) {
        if (is_clip(&j->p->order[i])) {
            return &row[i];
        }
    }
    return NULL;
}

brim_status brim_profile_predict(struct brim_profile_job *j, struct brim_arena *arena,
                                 brim_profile_report *r)
{
    const size_t orders = j->p->n_orders;
    const struct needs n = find_needs(r);
    brim_profile_prediction *to = brim_arena_zalloc(arena, j->widths * orders, sizeof *to);

    if (to == NULL) {
        return BRIM_ERR_NOMEM;
    }
    r->predictions = to;
    for (size_t i = 0; i < j->widths * orders && !j->vectors; i++) {
        const brim_profile_order *order = &j->p->order[i % orders];
        const unsigned width = j->p->first_width + (unsigned)(i / orders);
        const brim_profile_prediction *same =
            same_as(j, &n, to + i / orders * orders, i % orders, width);
        if (is_exact(j, &n, order, width)) {
            to[i] = (brim_profile_prediction){.known = true, .top1 = r->top1};
        } else if (same != NULL) {
            to[i] = *same;
        } else if (is_fast(j, &n, order, width)) {
            BRIM_TRY(run(j, order, width, &to[i]));
        }
    }
    return BRIM_OK;
}
