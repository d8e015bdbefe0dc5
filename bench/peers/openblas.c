/* openblas.c - sgemm of the same size: what the product costs in float. SPDX-License-Identifier:
 * Apache-2.0 */
#include <cblas.h>
#include <stdlib.h>

#include "peers.h"

struct state {
    const brim_bench_product *p;
    float *x, *w;
};

static void destroy(void *state)
{
    struct state *s = state;

    if (s != NULL) {
        free(s->x);
        free(s->w);
        free(s);
    }
}

static void *create(const brim_bench_product *p)
{
    struct state *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return NULL;
    }
    s->p = p;
    s->x = malloc(p->m * p->k * sizeof *s->x);
    s->w = malloc(p->n * p->k * sizeof *s->w);
    if (s->x == NULL || s->w == NULL) {
        destroy(s);
        return NULL;
    }
    for (size_t i = 0; i < p->m * p->k; i++) {
        s->x[i] = p->x[i];
    }
    for (size_t i = 0; i < p->n * p->k; i++) {
        s->w[i] = p->w[i];
    }
    openblas_set_num_threads(1);
    return s;
}

static void run(void *state)
{
    const struct state *s = state;
    const brim_bench_product *p = s->p;

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)p->m, (blasint)p->n,
                (blasint)p->k, 1.0F, s->x, (blasint)p->k, s->w, (blasint)p->k, 0.0F, p->y,
                (blasint)p->n);
}

const brim_bench_peer peer_openblas = {
    .name = "OpenBLAS sgemm", .create = create, .run = run, .destroy = destroy};
