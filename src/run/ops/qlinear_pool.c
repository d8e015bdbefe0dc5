/* qlinear_pool.c - pooling of codes, domain com.microsoft. SPDX-License-Identifier: Apache-2.0
 *
 * As onnxruntime computes them, in float32 with one rounding per operation:
 *
 *     global    y = clip(round((float)(sum x - n * x_zero) * (x_scale / (y_scale * n)))) + y_zero
 *     average   y = clip(round(mean / y_scale + y_zero)), mean = (sum of x_scale * (x - x_zero)) / n,
 *               added up in the order row, column
 */
#include <math.h>

#include "base/intops.h"
#include "graph/window.h"
#include "run/ops/elem.h"
#include "run/ops/nn.h"
#include "run/ops/qlinear.h"
#include "run/ops/resolve.h"

brim_status brim_run_qlinear_globalpool(struct brim_op_call *c)
{
    const struct brim_shape *s = &c->in[0]->type.shape;
    const struct brim_code_grid x = brim_code_grid_of(c, 1), y = brim_code_grid_of(c, 3);
    const size_t planes = (size_t)s->dim[0] * (size_t)s->dim[1];
    const size_t n = planes == 0 ? 0 : brim_tensor_count(c->in[0]) / planes;
    int64_t lo, hi;

    if (planes == 0) {
        return BRIM_OK;
    }
    if (n == 0) {
        return brim_op_fail(c, BRIM_ERR_FILE, "a spatial axis is empty");
    }
    int32_t *v = brim_arena_alloc(c->scratch, n, sizeof *v);
    if (v == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const struct brim_code_grid whole = {1.0f, y.zero};
    const float by = x.scale / (y.scale * (float)n);
    brim_dtype_range(c->out[0].type.dtype, &lo, &hi);
    for (size_t p = 0; p < planes; p++) {
        int64_t sum = -(int64_t)n * x.zero;
        brim_elem_load_i32(c->in[0], p * n, n, v);
        for (size_t i = 0; i < n; i++) {
            sum += v[i];
        }
        const int32_t code = brim_code_of((float)sum * by, &whole, lo, hi);
        brim_elem_store_i32(&c->out[0], p, 1, &code);
    }
    return BRIM_OK;
}

struct pool {
    struct brim_window w; /* three axes */
    struct brim_code_grid x, y;
    int64_t lo, hi;
    bool include_pad;
    int32_t *in, *out; /* one plane */
};

/* Positions [first, last) of one axis that output o sees inside the input. */
struct span {
    int64_t first, last;
};

static struct span span_of(const struct brim_window *w, int axis, int64_t o)
{
    const int64_t start = o * w->stride[axis] - w->before[axis];
    const int64_t end = start + w->kernel[axis];

    return (struct span){brim_max_i64(start, 0), brim_min_i64(end, w->in[axis])};
}

static int32_t average(const struct pool *p, const struct span s[3])
{
    const struct brim_window *w = &p->w;
    float sum = 0.0f;
    int64_t count = 1;

    for (int64_t d = s[0].first; d < s[0].last; d++) {
        for (int64_t h = s[1].first; h < s[1].last; h++) {
            for (int64_t v = s[2].first; v < s[2].last; v++) {
                const int32_t code = p->in[(d * w->in[1] + h) * w->in[2] + v];
                sum += p->x.scale * (float)(code - p->x.zero);
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        count *= p->include_pad ? w->kernel[i] : brim_max_i64(0, s[i].last - s[i].first);
    }
    const struct brim_code_grid whole = {1.0f, 0};
    const float mean = count > 0 ? sum / (float)count : 0.0f;
    return brim_code_of(mean / p->y.scale + (float)p->y.zero, &whole, p->lo, p->hi);
}

static void run_plane(const struct pool *p)
{
    struct span s[3];
    size_t at = 0;

    for (int64_t d = 0; d < p->w.out[0]; d++) {
        s[0] = span_of(&p->w, 0, d);
        for (int64_t h = 0; h < p->w.out[1]; h++) {
            s[1] = span_of(&p->w, 1, h);
            for (int64_t v = 0; v < p->w.out[2]; v++) {
                s[2] = span_of(&p->w, 2, v);
                p->out[at++] = average(p, s);
            }
        }
    }
}

brim_status brim_run_qlinear_averagepool(struct brim_op_call *c)
{
    const struct brim_shape *s = &c->in[0]->type.shape;
    const size_t planes = (size_t)s->dim[0] * (size_t)s->dim[1];
    struct pool p = {.x = brim_code_grid_of(c, 1),
                     .y = brim_code_grid_of(c, 3),
                     .include_pad = brim_node_int(c->node, "count_include_pad", 0) != 0};
    struct brim_infer view;

    if (brim_tensor_count(&c->out[0]) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_window_pool(&view, s, &p.w));
    brim_window_widen(&p.w);
    for (int i = 0; i < 3; i++) {
        if (p.w.dilation[i] != 1) {
            return brim_op_fail(c, BRIM_ERR_UNSUPPORTED, "a dilated window is not supported");
        }
    }
    brim_dtype_range(c->out[0].type.dtype, &p.lo, &p.hi);
    const size_t in = brim_tensor_count(c->in[0]) / planes;
    const size_t out = brim_tensor_count(&c->out[0]) / planes;
    p.in = brim_arena_alloc(c->scratch, in + 1, sizeof *p.in);
    p.out = brim_arena_alloc(c->scratch, out, sizeof *p.out);
    if (p.in == NULL || p.out == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < planes; i++) {
        brim_elem_load_i32(c->in[0], i * in, in, p.in);
        run_plane(&p);
        brim_elem_store_i32(&c->out[0], i * out, out, p.out);
    }
    return BRIM_OK;
}
