/* weights_parts.h - the pieces of weights.h: one row (output) at a time. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Every quantizer turns a row of latent weights v into real codes u, those into integer codes, and
 * the codes into weights scale * code. They differ in u and in how it becomes a code:
 *
 *     LATENT  u = v / s, to nearest            QAT: no budget. Per-sign: nearest within the budget
 *     NORMED  u = g (v - m) / (||v - m||_1 s), toward zero      A2Q (m = 0), A2Q+ (m = mean)
 */
#ifndef BRIM_TRAIN_WEIGHTS_PARTS_H
#define BRIM_TRAIN_WEIGHTS_PARTS_H

#include "train/weights.h"
#include "train/weights_nearest.h"

enum brim_weights_kind { BRIM_WEIGHTS_FREE, BRIM_WEIGHTS_LATENT, BRIM_WEIGHTS_NORMED };

/* Sums over the codes of one sign that pay the price of one register. */
struct brim_weights_group {
    double gradient, level;
    size_t count;
};

/* Of one thread. */
struct brim_weights_scratch {
    struct brim_nearest nearest;
    int32_t *u, *q;                   /* [k] */
    float *row;                       /* [k] */
    float *masked;                    /* [k] gradient of what is not pruned */
    double *real;                     /* [k] */
    double *level;                    /* [(limits + 2) * leaves]: norms after each stage, NORMED */
    struct brim_weights_group *group; /* [registers][2], LATENT */
};

struct brim_weights {
    brim_ctx *ctx;
    struct brim_arena arena;
    enum brim_weights_kind kind;
    bool centred;
    const char *name;
    size_t n, k;
    int32_t qmax;
    float largest;                /* |w| of all that training starts from */
    struct brim_budget_plan plan; /* no limits: QAT */
    struct brim_param *v;         /* [n][k] latent weights */
    struct brim_param *d;         /* [n] log2 of the scale */
    struct brim_param *t;         /* [n][leaves] log2 of the norm, NORMED */
    const uint8_t *keep;          /* [n][k] or NULL */
    uint8_t *keep_storage;
    brim_prune_params regrow; /* group 0: `keep` is given, and what is outside stays 0 */

    /* Of the last forward. */
    int16_t *codes; /* [n][k] */
    float *scale;   /* [n] */
    int32_t *price; /* [n][registers][2] LATENT, see brim_nearest_row() */

    /* NORMED: a leaf is a register of the innermost stage that can overflow, or the whole row. */
    size_t leaf, leaves; /* products of one; how many */
    double *norm;        /* [n][leaves] ||v - m||_1 */
    double *mean;        /* [n][leaves] m */

    struct brim_weights_scratch *scratch; /* [threads] */
};

static inline size_t brim_weights_leaf_end(const struct brim_weights *w, size_t leaf)
{
    return brim_min_size((leaf + 1) * w->leaf, w->k);
}

/* Nothing where weights are not pruned. */
static inline const uint8_t *brim_weights_keep(const struct brim_weights *w, size_t c)
{
    return w->keep == NULL ? NULL : w->keep + c * w->k;
}

/* u = x * factor in fixed point, 0 where pruned; |u| <= BRIM_NEAREST_MAX. */
void brim_weights_fixed(const float *x, size_t n, float factor, const uint8_t *keep, int32_t *u);
/* q = u rounded, up from `offset` below the next code in magnitude, at most qmax. */
void brim_weights_round(const int32_t *u, size_t n, int32_t offset, int32_t qmax, int32_t *q);

/* Row c from its parameters and its scale: u and q into the scratch, what the backward needs into
 * w. */
void brim_latent_forward(struct brim_weights *w, size_t c, struct brim_weights_scratch *s);
void brim_normed_forward(struct brim_weights *w, size_t c, struct brim_weights_scratch *s);
/* Adds to the gradients of row c; dw [k], 0 where pruned. */
void brim_latent_backward(struct brim_weights *w, size_t c, const float *dw,
                          struct brim_weights_scratch *s);
void brim_normed_backward(struct brim_weights *w, size_t c, const float *dw,
                          struct brim_weights_scratch *s);
double brim_normed_penalty(struct brim_weights *w, size_t c, double strength,
                           struct brim_weights_scratch *s);

/* T: the largest ||u||_1 of a register. */
double brim_normed_cap(const struct brim_weights *w, const struct brim_limit *l);

/* Row c: scale[c] from d. */
void brim_weights_scale(struct brim_weights *w, size_t c);
/* Row c as weights.h's forward has it, codes too. */
void brim_weights_row(struct brim_weights *w, size_t c, struct brim_weights_scratch *s);
/* All parameters of row c to start from. */
void brim_weights_start(struct brim_weights *w, size_t c, const struct brim_weights_spec *spec,
                        struct brim_weights_scratch *s);

#endif
