/* lanes_block.c - sums of outer products of many small groups. SPDX-License-Identifier: Apache-2.0
 *
 * A depthwise layer has groups of k = 9 or so, far too small for a matrix product of their own. Here
 * sixteen groups go side by side: a vector holds one tap of each, and tap i is multiplied by PAIRS
 * taps j at a time, whose sums stay in registers over RUN rows and are then added to double.
 * Products of 8-bit codes are below 2^16, so the sums of h are exact.
 *
 * Rows hold the sixteen side by side, [k][16], so a run of them fills the nearest cache evenly.
 *
 * Cost  k*k/2 vector multiplications per row for h, k*k for g.
 */
#include <string.h>

#include "base/clones.h"
#include "base/intops.h"
#include "calibrate/accumulate.h"
#include "calibrate/im2col.h"

#define RUN   ((size_t)32)
#define PAIRS ((size_t)8)

typedef float vector __attribute__((vector_size(64)));

/* RUN rows or fewer: where the taps of x (one) and y (PAIRS) stand in the first. */
struct pair_run {
    const float *x, *y;
    size_t rows, stride;
};

/* sum[j][l] += x[l] * y[j][l] over the rows */
BRIM_CLONES
static void add_pairs(const struct pair_run *r, float (*sum)[BRIM_ROW_LANES])
{
    vector a[PAIRS] = {{0}};

    for (size_t i = 0; i < r->rows; i++) {
        vector x, y;
        memcpy(&x, r->x + i * r->stride, sizeof x);
        for (size_t j = 0; j < PAIRS; j++) {
            memcpy(&y, r->y + i * r->stride + j * BRIM_ROW_LANES, sizeof y);
            a[j] += x * y;
        }
    }
    memcpy(sum, a, sizeof a);
}

/* The same for one y. */
BRIM_CLONES
static void add_pair(const struct pair_run *r, float (*sum)[BRIM_ROW_LANES])
{
    vector a = {0};

    for (size_t i = 0; i < r->rows; i++) {
        vector x, y;
        memcpy(&x, r->x + i * r->stride, sizeof x);
        memcpy(&y, r->y + i * r->stride, sizeof y);
        a += x * y;
    }
    memcpy(sum, &a, sizeof a);
}

/* Row i of every group's [k][k] matrix: products with taps 0..count-1 of y. With PAIRS taps or more
 * there are always PAIRS to take, though some may be done already, or not wanted. */
static void add_row(const struct brim_lane_block *b, const struct pair_run *run, size_t i,
                    size_t count, double *matrix)
{
    float sum[PAIRS][BRIM_ROW_LANES];
    struct pair_run r = *run;

    for (size_t j = 0; j < count;) {
        const bool pairs = b->k >= PAIRS;
        const size_t first = pairs ? brim_min_size(j, b->k - PAIRS) : j;
        const size_t end = brim_min_size(count, first + (pairs ? PAIRS : 1));
        r.y = run->y + first * BRIM_ROW_LANES;
        if (pairs) {
            add_pairs(&r, sum);
        } else {
            add_pair(&r, sum);
        }
        for (; j < end; j++) {
            for (size_t l = 0; l < b->n; l++) {
                matrix[(l * b->k + i) * b->k + j] += (double)sum[j - first][l];
            }
        }
    }
}

static void add_sums(const struct brim_lane_block *b, const float *x, size_t rows, double *sum)
{
    for (size_t i = 0; i < b->k; i++) {
        float total[BRIM_ROW_LANES] = {0};
        for (size_t r = 0; r < rows; r++) {
            for (size_t l = 0; l < BRIM_ROW_LANES; l++) {
                total[l] += x[r * b->stride + i * BRIM_ROW_LANES + l];
            }
        }
        for (size_t l = 0; l < b->n; l++) {
            sum[l * b->k + i] += (double)total[l];
        }
    }
}

void brim_lane_block_add(const struct brim_lane_block *b)
{
    for (size_t at = 0; at < b->rows; at += RUN) {
        const float *q = b->q + at * b->stride, *f = b->f + at * b->stride;
        struct pair_run run = {.rows = brim_min_size(RUN, b->rows - at), .stride = b->stride};
        for (size_t i = 0; i < b->k; i++) {
            run.x = q + i * BRIM_ROW_LANES;
            run.y = q;
            add_row(b, &run, i, i + 1, b->h);
            run.y = f;
            add_row(b, &run, i, b->k, b->g);
        }
        add_sums(b, q, run.rows, b->sum_q);
        add_sums(b, f, run.rows, b->sum_f);
    }
}
