/* fix_order.c - channels in an order that fits the target's registers. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A class of channels (fix/channels.h) that layers at risk read gets an order that is good for all of
 * them (fix/pairing.h); who makes the channels makes them in that order. */
#include <string.h>

#include "api/fix_flow.h"
#include "fix/channels.h"
#include "fix/pairing.h"

struct order {
    struct brim_fix_flow *f;
    struct brim_channels channels;
    struct brim_arena arena; /* of one class */
};

/* Layers that a new order of their input channels would help. */
static bool reads(const struct order *o, const struct brim_fix_work *w, size_t class)
{
    return brim_channels_in(&o->channels, w->dot) == class && w->dot->groups == 1 && w->can &&
           !w->walk.wide && w->walk.fits;
}

static size_t channels_of(const struct brim_dot *d)
{
    return d->kind == BRIM_DOT_CONV ? (size_t)d->conv.c_in : d->k;
}

/* Columns of a layer that reads the channels. */
static brim_status order_inputs(struct order *o, struct brim_fix_work *w, const size_t *order)
{
    const size_t k = w->dot->k, channels = channels_of(w->dot);
    int32_t *row = brim_arena_alloc(&o->arena, k, sizeof *row);
    float *real = brim_arena_alloc(&o->arena, k, sizeof *real);

    if (row == NULL || real == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t c = 0; c < w->dot->n; c++) {
        int32_t *to = w->w + c * k;
        memcpy(row, to, k * sizeof *row);
        for (size_t i = 0; i < k; i++) {
            to[i] = row[i / channels * channels + order[i % channels]];
        }
        if (w->origin != NULL) {
            memcpy(real, w->origin + c * k, k * sizeof *real);
            for (size_t i = 0; i < k; i++) {
                w->origin[c * k + i] = real[i / channels * channels + order[i % channels]];
            }
        }
    }
    w->touched = true;
    return BRIM_OK;
}

/* Elements [n] of `size` bytes in a new order; NULL stays NULL. */
static brim_status order_rows(struct order *o, void *rows, size_t n, size_t size,
                              const size_t *order)
{
    uint8_t *was = rows == NULL ? NULL : brim_arena_alloc(&o->arena, n, size);

    if (rows == NULL) {
        return BRIM_OK;
    }
    if (was == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(was, rows, n * size);
    for (size_t i = 0; i < n; i++) {
        memcpy((uint8_t *)rows + i * size, was + order[i] * size, size);
    }
    return BRIM_OK;
}

/* Rows of a layer that makes the channels, or filters them one by one. */
static brim_status order_outputs(struct order *o, struct brim_fix_work *w, const size_t *order)
{
    const size_t n = w->dot->n, k = w->dot->k;

    BRIM_TRY(order_rows(o, w->w, n, k * sizeof *w->w, order));
    BRIM_TRY(order_rows(o, w->origin, n, k * sizeof *w->origin, order));
    BRIM_TRY(order_rows(o, w->zero, n, sizeof *w->zero, order));
    BRIM_TRY(order_rows(o, w->scale, n, sizeof *w->scale, order));
    BRIM_TRY(order_rows(o, w->bias_q, n, sizeof *w->bias_q, order));
    BRIM_TRY(order_rows(o, w->bias, n, sizeof *w->bias, order));
    w->touched = true;
    return BRIM_OK;
}

static brim_status apply(struct order *o, size_t class, const size_t *order)
{
    for (size_t i = 0; i < o->f->dots.count; i++) {
        struct brim_fix_work *w = &o->f->work[i];
        const struct brim_dot *d = w->dot;
        if (brim_channels_out(&o->channels, d) == class) {
            BRIM_TRY(order_outputs(o, w, order));
        }
        if (brim_channels_in(&o->channels, d) == class && d->groups == 1) {
            BRIM_TRY(order_inputs(o, w, order));
            w->report.permuted = true;
        }
    }
    return BRIM_OK;
}

/* Operand codes of a layer: what is paired. */
static const int32_t *operand(struct order *o, const struct brim_fix_work *w)
{
    const size_t n = w->dot->n, k = w->dot->k;
    int32_t *to = brim_arena_alloc(&o->arena, n * k, sizeof *to);

    for (size_t i = 0; to != NULL && i < n * k; i++) {
        to[i] = w->w[i] + (int32_t)brim_walk_weight_shift(&w->walk, i / k);
    }
    return to;
}

static brim_status order_class(struct order *o, size_t class)
{
    struct brim_fix_flow *f = o->f;
    struct brim_pairing_layer *layer = brim_arena_alloc(&o->arena, f->dots.count, sizeof *layer);
    size_t n = 0, channels = 0;
    bool risk = false;
    double gain;

    if (layer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < f->dots.count; i++) {
        if (reads(o, &f->work[i], class)) {
            layer[n] = (struct brim_pairing_layer){&f->work[i].walk, operand(o, &f->work[i])};
            if (layer[n++].w == NULL) {
                return BRIM_ERR_NOMEM;
            }
            channels = channels_of(f->work[i].dot);
            risk = risk || f->work[i].report.at_risk > 0;
        }
    }
    size_t *order = brim_arena_alloc(&o->arena, channels + 1, sizeof *order);
    if (order == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (!risk) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_pairing_find(f->ctx, layer, n, channels, order, &gain));
    return gain > 0.0 ? apply(o, class, order) : BRIM_OK;
}

brim_status brim_fix_reorder(struct brim_fix_flow *f)
{
    struct order o = {.f = f};
    bool *can = brim_arena_alloc(&f->arena, f->dots.count + 1, sizeof *can);
    brim_status status = can == NULL ? BRIM_ERR_NOMEM : BRIM_OK;

    for (size_t i = 0; status == BRIM_OK && i < f->dots.count; i++) {
        can[i] = f->work[i].can;
    }
    if (status == BRIM_OK) {
        status = brim_channels_find(f->g, &f->dots, can, &f->arena, &o.channels);
    }
    for (size_t v = 0; status == BRIM_OK && v < f->g->n_values; v++) {
        if (o.channels.of[v] == v && !o.channels.fixed[v]) {
            brim_arena_init(&o.arena, f->ctx);
            status = order_class(&o, v);
            brim_arena_free(&o.arena);
        }
    }
    return status;
}
