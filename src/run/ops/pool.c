/* pool.c - MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool. SPDX-License-Identifier:
 * Apache-2.0
 *
 * Plane by plane (one channel of one sample) in double, which holds every element type exactly.
 * A divisor that includes padding counts the stated padding only, not what lies beyond it where
 * ceil_mode lets the last window reach further.
 */
#include <math.h>
#include <string.h>

#include "base/intops.h"
#include "graph/window.h"
#include "run/ops/elem.h"
#include "run/ops/nn.h"
#include "run/ops/resolve.h"

struct pool {
    struct brim_window w; /* three axes */
    size_t in_plane, out_plane, planes;
    double *x, *y;
    double least;      /* below or equal to every element; what an empty window gives */
    bool include_pad;  /* average */
    bool column_major; /* indices count the first spatial axis fastest */
    int64_t *index;    /* of all outputs, or NULL */
};

/* Taps [first, last) of axis i that output o sees inside the input; position of tap 0. */
struct span {
    int64_t first[3], last[3], start[3];
};

static void span_axis(const struct brim_window *w, int i, int64_t o, struct span *s)
{
    const int64_t start = o * w->stride[i] - w->before[i], d = w->dilation[i];

    s->start[i] = start;
    s->first[i] = start >= 0 ? 0 : (-start + d - 1) / d;
    s->last[i] = start >= w->in[i] ? 0 : brim_min_i64(w->kernel[i], (w->in[i] - start + d - 1) / d);
}

static brim_status pool_begin(struct brim_op_call *c, struct pool *p)
{
    struct brim_infer view;
    const struct brim_shape *x = &c->in[0]->type.shape;

    *p = (struct pool){.planes = (size_t)x->dim[0] * (size_t)x->dim[1]};
    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_window_pool(&view, x, &p->w));
    brim_window_widen(&p->w);
    p->in_plane = (size_t)p->w.in[0] * (size_t)p->w.in[1] * (size_t)p->w.in[2];
    p->out_plane = (size_t)p->w.out[0] * (size_t)p->w.out[1] * (size_t)p->w.out[2];
    p->x = brim_arena_alloc(c->scratch, p->in_plane + 1, sizeof *p->x);
    p->y = brim_arena_alloc(c->scratch, p->out_plane + 1, sizeof *p->y);
    return p->x == NULL || p->y == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

/* One output from its window; `at` is the output's number in its plane. */
typedef void window_fn(const struct pool *p, const struct span *s, size_t plane, size_t at);

static void each_window(const struct pool *p, size_t plane, window_fn *f)
{
    struct span s;
    size_t at = 0;

    for (int64_t d = 0; d < p->w.out[0]; d++) {
        span_axis(&p->w, 0, d, &s);
        for (int64_t h = 0; h < p->w.out[1]; h++) {
            span_axis(&p->w, 1, h, &s);
            for (int64_t w = 0; w < p->w.out[2]; w++) {
                span_axis(&p->w, 2, w, &s);
                f(p, &s, plane, at++);
            }
        }
    }
}

static void max_window(const struct pool *p, const struct span *s, size_t plane, size_t at)
{
    const struct brim_window *w = &p->w;
    double best = p->least;
    int64_t where[3] = {-1, 0, 0};

    for (int64_t a = s->first[0]; a < s->last[0]; a++) {
        const int64_t d = s->start[0] + a * w->dilation[0];
        for (int64_t b = s->first[1]; b < s->last[1]; b++) {
            const int64_t h = s->start[1] + b * w->dilation[1];
            const double *row = p->x + (d * w->in[1] + h) * w->in[2];
            for (int64_t e = s->first[2]; e < s->last[2]; e++) {
                const int64_t v = s->start[2] + e * w->dilation[2];
                if (where[0] < 0 || row[v] > best) {
                    best = row[v];
                    where[0] = d;
                    where[1] = h;
                    where[2] = v;
                }
            }
        }
    }
    p->y[at] = best;
    if (p->index != NULL) {
        const int64_t row_major = (where[0] * w->in[1] + where[1]) * w->in[2] + where[2];
        const int64_t column_major = where[0] + w->in[0] * (where[1] + w->in[1] * where[2]);
        p->index[plane * p->out_plane + at] =
            where[0] < 0
                ? -1
                : (int64_t)(plane * p->in_plane) + (p->column_major ? column_major : row_major);
    }
}

static void average_window(const struct pool *p, const struct span *s, size_t plane, size_t at)
{
    const struct brim_window *w = &p->w;
    double sum = 0, count = 1;

    (void)plane;
    for (int64_t a = s->first[0]; a < s->last[0]; a++) {
        const int64_t d = s->start[0] + a * w->dilation[0];
        for (int64_t b = s->first[1]; b < s->last[1]; b++) {
            const int64_t h = s->start[1] + b * w->dilation[1];
            const double *row = p->x + (d * w->in[1] + h) * w->in[2];
            for (int64_t e = s->first[2]; e < s->last[2]; e++) {
                sum += row[s->start[2] + e * w->dilation[2]];
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        const int64_t beyond = w->in[i] + w->after[i] - s->start[i]; /* > 0 by the output's size */
        const int64_t d = w->dilation[i], padded = brim_min_i64(w->kernel[i], (beyond + d - 1) / d);
        const int64_t seen = brim_max_i64(0, s->last[i] - s->first[i]);
        count *= (double)(p->include_pad ? padded : seen);
    }
    p->y[at] = count > 0 ? sum / count : 0;
}

static void each_plane(struct brim_op_call *c, const struct pool *p, window_fn *f)
{
    for (size_t i = 0; i < p->planes; i++) {
        brim_elem_load(c->in[0], i * p->in_plane, p->in_plane, p->x);
        each_window(p, i, f);
        brim_elem_store(&c->out[0], i * p->out_plane, p->out_plane, p->y);
    }
}

brim_status brim_run_maxpool(struct brim_op_call *c)
{
    struct pool p;
    int64_t lo, hi;

    if (brim_tensor_count(&c->out[0]) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(pool_begin(c, &p));
    brim_dtype_range(c->in[0]->type.dtype, &lo, &hi);
    p.least = brim_dtype_is_integer(c->in[0]->type.dtype) ? (double)lo : -(double)INFINITY;
    p.column_major = brim_node_int(c->node, "storage_order", 0) != 0;
    p.index = c->n_out > 1 ? c->out[1].data : NULL;
    each_plane(c, &p, max_window);
    return BRIM_OK;
}

brim_status brim_run_averagepool(struct brim_op_call *c)
{
    struct pool p;

    if (brim_tensor_count(&c->out[0]) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(pool_begin(c, &p));
    p.include_pad = brim_node_int(c->node, "count_include_pad", 0) != 0;
    each_plane(c, &p, average_window);
    return BRIM_OK;
}

brim_status brim_run_globalpool(struct brim_op_call *c)
{
    const struct brim_shape *s = &c->in[0]->type.shape;
    const bool average = strcmp(c->node->op_type, "GlobalAveragePool") == 0;
    const size_t planes = (size_t)s->dim[0] * (size_t)s->dim[1];
    size_t n = 1;

    for (int i = 2; i < s->rank; i++) {
        n *= (size_t)s->dim[i];
    }
    if (planes == 0) {
        return BRIM_OK;
    }
    if (n == 0) {
        return brim_op_fail(c, BRIM_ERR_FILE, "a spatial axis is empty");
    }
    double *x = brim_arena_alloc(c->scratch, n, sizeof *x);
    if (x == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t p = 0; p < planes; p++) {
        brim_elem_load(c->in[0], p * n, n, x);
        double v = x[0];
        for (size_t i = 1; i < n; i++) {
            v = average ? v + x[i] : x[i] > v ? x[i] : v;
        }
        v = average ? v / (double)n : v;
        brim_elem_store(&c->out[0], p, 1, &v);
    }
    return BRIM_OK;
}
