/* train_prune.c - iterative N:M pruning: patterns of every layer, chosen anew between stints or, where
 * pruned weights regrow, at every step.
 * SPDX-License-Identifier: Apache-2.0
 *
 * PQS (arXiv 2504.09064) prunes in float and quantizes the rest; `prune_last` ranks the quantized
 * weights instead, many of which are equal. Layers left dense are those that brim quantize leaves dense.
 */
#include <stdio.h>
#include <string.h>

#include "api/train_flow.h"

brim_status brim_train_prune_open(struct brim_train_flow *f)
{
    f->keep = brim_arena_zalloc(&f->arena, f->n_layers + 1, sizeof *f->keep);
    if (f->keep == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; f->p->prune.group > 0 && i < f->n_layers; i++) {
        const size_t count = f->q.dots.dot[i].n * f->q.dots.dot[i].k;
        if (f->q.layer[i].keep_dense || f->q.layer[i].keep_float) {
            continue;
        }
        f->keep[i] = brim_arena_alloc(&f->arena, count, 1);
        if (f->keep[i] == NULL) {
            return BRIM_ERR_NOMEM;
        }
        memset(f->keep[i], 1, count);
        const char *name = brim_arena_printf(&f->arena, "keep.%zu", i);
        if (name == NULL) {
            return BRIM_ERR_NOMEM;
        }
        f->extra[f->n_extra++] =
            (struct brim_fit_extra){name, BRIM_RECORD_BYTES, f->keep[i], count};
    }
    return BRIM_OK;
}

static bool regrows(const struct brim_train_flow *f, const struct brim_train_stint *s)
{
    return f->p->prune_regrow && !s->quantized;
}

/* So many zeros in each group. */
static brim_prune_params pattern_of(const struct brim_train_flow *f, unsigned zeros)
{
    brim_prune_params p = f->p->prune;

    p.keep = p.group - zeros;
    p.saliency = BRIM_SALIENCY_MAGNITUDE;
    return p;
}

brim_status brim_train_apply_patterns(struct brim_train_flow *f, const struct brim_train_stint *s)
{
    const brim_prune_params p = pattern_of(f, s->zeros);

    for (size_t i = 0; i < f->n_layers; i++) {
        if (f->keep[i] == NULL || (regrows(f, s) && s->zeros == 0)) {
            continue;
        }
        BRIM_TRY(regrows(f, s) ? brim_weights_regrow(f->net.weights[i], &p)
                               : brim_weights_prune(f->net.weights[i], f->keep[i]));
    }
    return BRIM_OK;
}

static brim_status choose(struct brim_train_flow *f, size_t i, unsigned zeros)
{
    const struct brim_dot *d = &f->net.view->dot[i];
    const brim_prune_params p = pattern_of(f, zeros);
    float *w = brim_alloc(f->ctx, d->n * d->k, sizeof *w);
    brim_status s = w == NULL ? BRIM_ERR_NOMEM : brim_weights_forward(f->net.weights[i], w);

    if (s == BRIM_OK) {
        s = brim_prune_layer(f->ctx, d->n, d->k, w, NULL, &p, f->keep[i]);
    }
    brim_free(f->ctx, w);
    return s == BRIM_OK ? BRIM_OK : brim_fail_at(f->ctx, s, "layer '%s'", d->name);
}

brim_status brim_train_prune(struct brim_train_flow *f, const struct brim_train_stint *s)
{
    for (size_t i = 0; s->zeros > 0 && !regrows(f, s) && i < f->n_layers; i++) {
        if (f->keep[i] != NULL) {
            BRIM_TRY(choose(f, i, s->zeros));
        }
    }
    return brim_train_apply_patterns(f, s);
}

brim_status brim_train_take_patterns(struct brim_train_flow *f)
{
    for (size_t i = 0; f->p->prune_regrow && i < f->n_layers; i++) {
        if (f->keep[i] != NULL) {
            BRIM_TRY(choose(f, i, f->p->prune.group - f->p->prune.keep));
        }
    }
    return BRIM_OK;
}
