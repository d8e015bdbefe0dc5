/* train_start.c - where quantized training begins: an input grid for every layer, and, with `init
 * quantize`, codes, scales and biases of the post-training solution under the same datapath.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/train_flow.h"
#include "base/intops.h"

/* The candidate grid that the solver chose: calibration is repeatable, so it is one of ours. */
static bool adopt_grid(struct brim_flow_layer *l, const struct brim_dot *d)
{
    for (size_t i = 0; i < l->n_grids; i++) {
        const struct brim_grid *g = &l->grid[i];
        if (g->scale == d->x_scale && g->zero == d->x_zero &&
            brim_max_i64(g->hi, brim_max_i64(0, g->zero)) == d->x_max &&
            brim_min_i64(g->lo, brim_min_i64(0, g->zero)) == d->x_min) {
            l->grid[0] = *g;
            l->n_grids = 1;
            l->abits = l->abits != 0 ? l->abits : brim_width_of(0, g->hi - g->lo) - 1;
            return true;
        }
    }
    return false;
}

static brim_status adopt_weights(struct brim_train_flow *f, const struct brim_dot *d,
                                 struct brim_train_start *s)
{
    s->codes = brim_arena_alloc(&f->arena, d->n * d->k, sizeof *s->codes);
    s->scale = brim_arena_alloc(&f->arena, d->n, sizeof *s->scale);
    if (s->codes == NULL || s->scale == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(s->scale, d->w_scale, d->n * sizeof *s->scale);
    for (size_t i = 0; i < d->n * d->k; i++) {
        s->codes[i] = (int16_t)d->w[i];
    }
    if (d->bias_q == NULL && d->bias == NULL) {
        return BRIM_OK;
    }
    s->bias = brim_arena_alloc(&f->arena, d->n, sizeof *s->bias);
    if (s->bias == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < d->n; i++) {
        const double unit = (double)d->x_scale * (double)d->w_scale[i];
        s->bias[i] = d->bias_q != NULL ? (float)(unit * (double)d->bias_q[i]) : d->bias[i];
    }
    return BRIM_OK;
}

static brim_status adopt(struct brim_train_flow *f, const struct brim_dots *solved,
                         struct brim_train_start *starts)
{
    for (size_t i = 0; i < f->n_layers; i++) {
        struct brim_flow_layer *l = &f->q.layer[i];
        size_t j = 0;
        if (l->keep_float) {
            continue;
        }
        while (j < solved->count && strcmp(solved->dot[j].name, l->dot->name) != 0) {
            j++;
        }
        const struct brim_dot *d = j < solved->count ? &solved->dot[j] : NULL;
        if (d == NULL || !d->codes || d->n != l->dot->n || d->k != l->dot->k || !adopt_grid(l, d)) {
            return brim_fail(f->ctx, BRIM_ERR_INTERNAL,
                             "layer '%s': the post-training solution has no such layer",
                             l->dot->name);
        }
        if (f->p->init == BRIM_INIT_QUANTIZE) {
            BRIM_TRY(adopt_weights(f, d, &starts[i]));
        }
    }
    return BRIM_OK;
}

/* The post-training solution of the float graph so far. */
static brim_status solve(struct brim_train_flow *f, struct brim_train_start *starts)
{
    brim_quantize_params qp = f->qp;
    brim_graph *solved = NULL;
    struct brim_dots dots = {.count = 0};

    if (f->p->prune_last || f->p->method != BRIM_TRAIN_PQS) {
        brim_prune_params_init(&qp.prune);
    }
    BRIM_TRY(brim_quantize(f->ctx, f->graph, f->calib, &qp, &solved, NULL));
    brim_status s = brim_dots_find(f->ctx, solved, &dots);
    if (s == BRIM_OK) {
        s = adopt(f, &dots, starts);
    }
    brim_dots_free(&dots);
    brim_graph_free(solved);
    return s;
}

brim_status brim_train_start(struct brim_train_flow *f, struct brim_train_start **starts)
{
    bool choose = f->p->init == BRIM_INIT_QUANTIZE;

    *starts = brim_arena_zalloc(&f->arena, f->n_layers + 1, sizeof **starts);
    if (*starts == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < f->n_layers; i++) {
        choose = choose || f->q.layer[i].n_grids > 1; /* the solver knows which is best */
    }
    return choose ? solve(f, *starts) : BRIM_OK;
}
