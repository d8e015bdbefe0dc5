/* polish.h - descent on one channel's integer codes. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_QUANTIZE_POLISH_H
#define BRIM_QUANTIZE_POLISH_H

#include "quantize/layer.h"

/* One channel, K order. */
struct brim_polish {
    const struct brim_budget_plan *plan;
    size_t k;
    int64_t qmax;
    const double *h;        /* [k][k] */
    const double *w;        /* [k] target */
    const double *hw;       /* [k] H w */
    const double *unit;     /* [k] code q stands for scale * unit * q; 0: it stays 0 */
    double norm;            /* w H w */
    unsigned sweeps;        /* at most so many rounds of single moves */
    unsigned pairs;         /* at most so many rounds of pair moves */
    double *g;              /* [k] in and out: H (s u q - w) */
    int16_t *q;             /* [k] in and out */
    float scale;            /* in and out */
    double err;             /* out: (s u q - w) H (s u q - w) */
    struct brim_room *room; /* [n_registers] scratch */
    double *scratch;        /* [4 k] */
};

void brim_polish_run(struct brim_polish *p);

#endif
