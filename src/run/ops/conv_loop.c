/* conv_loop.c - see conv_loop.h. SPDX-License-Identifier: Apache-2.0
 *
 * For every weight, the outputs whose window puts that weight on an input element form a box; each
 * row of the box is one "row += weight * strided row".
 */
#include "run/ops/conv_loop.h"

#include "base/intops.h"

/* Element offsets of one such row. */
struct row {
    size_t y, x, w, n, stride;
};

typedef void add_row_fn(void *user, const struct row *r);

/* Outputs [first, last) of axis i at which tap k sees an input element. */
static void tap_range(const struct brim_window *w, int i, int64_t k, int64_t *first, int64_t *last)
{
    const int64_t at = k * w->dilation[i] - w->before[i]; /* position at output 0 */
    const int64_t s = w->stride[i];

    *first = at >= 0 ? 0 : (-at + s - 1) / s;
    *last = at >= w->in[i] ? 0 : brim_min_i64(w->out[i], (w->in[i] - at + s - 1) / s);
}

/* Rows of one tap (kernel position k[3]) for planes at y0 and x0. */
static void tap_rows(const struct brim_window *w, const int64_t k[3], struct row r, void *user,
                     add_row_fn *add)
{
    int64_t first[3], last[3];
    const size_t y0 = r.y, x0 = r.x;

    for (int i = 0; i < 3; i++) {
        tap_range(w, i, k[i], &first[i], &last[i]);
    }
    if (first[2] >= last[2]) {
        return;
    }
    r.n = (size_t)(last[2] - first[2]);
    r.stride = (size_t)w->stride[2];
    const int64_t iw = first[2] * w->stride[2] - w->before[2] + k[2] * w->dilation[2];
    for (int64_t d = first[0]; d < last[0]; d++) {
        const int64_t id = d * w->stride[0] - w->before[0] + k[0] * w->dilation[0];
        for (int64_t h = first[1]; h < last[1]; h++) {
            const int64_t ih = h * w->stride[1] - w->before[1] + k[1] * w->dilation[1];
            r.y = y0 + (size_t)((d * w->out[1] + h) * w->out[2] + first[2]);
            r.x = x0 + (size_t)((id * w->in[1] + ih) * w->in[2] + iw);
            add(user, &r);
        }
    }
}

static void plane_taps(const struct brim_window *w, struct row r, void *user, add_row_fn *add)
{
    int64_t k[3];

    for (k[0] = 0; k[0] < w->kernel[0]; k[0]++) {
        for (k[1] = 0; k[1] < w->kernel[1]; k[1]++) {
            for (k[2] = 0; k[2] < w->kernel[2]; k[2]++) {
                tap_rows(w, k, r, user, add);
                r.w++;
            }
        }
    }
}

static void walk(const struct brim_conv *conv, void *user, add_row_fn *add)
{
    struct brim_window w = conv->window;

    brim_window_widen(&w);
    const size_t in_plane = (size_t)w.in[0] * (size_t)w.in[1] * (size_t)w.in[2];
    const size_t out_plane = (size_t)w.out[0] * (size_t)w.out[1] * (size_t)w.out[2];
    const size_t taps = (size_t)w.kernel[0] * (size_t)w.kernel[1] * (size_t)w.kernel[2];
    const size_t group_in = (size_t)conv->group_in, group_out = (size_t)conv->group_out;
    for (size_t o = 0; o < (size_t)conv->groups * group_out; o++) {
        for (size_t i = 0; i < group_in; i++) {
            const struct row r = {.y = o * out_plane,
                                  .x = (o / group_out * group_in + i) * in_plane,
                                  .w = (o * group_in + i) * taps};
            plane_taps(&w, r, user, add);
        }
    }
}

struct f64_planes {
    const double *x, *w;
    double *y;
};

static void add_row_f64(void *user, const struct row *r)
{
    const struct f64_planes *p = user;
    const double *x = p->x + r->x;
    double *y = p->y + r->y;
    const double w = p->w[r->w];

    for (size_t i = 0; i < r->n; i++) {
        y[i] += w * x[i * r->stride];
    }
}

struct i32_planes {
    const int32_t *x, *w;
    int32_t *y;
};

static void add_row_i32(void *user, const struct row *r)
{
    const struct i32_planes *p = user;
    const int32_t *x = p->x + r->x;
    int32_t *y = p->y + r->y;
    const uint32_t w = (uint32_t)p->w[r->w];

    for (size_t i = 0; i < r->n; i++) {
        y[i] = (int32_t)((uint32_t)y[i] + w * (uint32_t)x[i * r->stride]);
    }
}

void brim_conv_loop_f64(const struct brim_conv *conv, const double *x, const double *w, double *y)
{
    walk(conv, &(struct f64_planes){x, w, y}, add_row_f64);
}

void brim_conv_loop_i32(const struct brim_conv *conv, const int32_t *x, const int32_t *w,
                        int32_t *y)
{
    walk(conv, &(struct i32_planes){x, w, y}, add_row_i32);
}
