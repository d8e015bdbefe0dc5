/* geometry.h - random convolution and pooling geometries, and oracles that compute them by index
 * arithmetic alone. SPDX-License-Identifier: Apache-2.0 */
#ifndef BRIM_TESTS_RUN_GEOMETRY_H
#define BRIM_TESTS_RUN_GEOMETRY_H

#include "op_call.h"

/* Always three spatial axes in the arrays; the last `rank` of them are real. */
struct geometry {
    int rank;
    int64_t n, groups, ic, oc; /* channels per group */
    int64_t in[3], kernel[3], stride[3], dilation[3], before[3], after[3], out[3];
};

static inline int64_t pick(struct brim_rng *r, int64_t lo, int64_t hi)
{
    return brim_rng_range(r, lo, hi);
}

/* A geometry with at least one output. pool: padding below the kernel's size. */
static inline struct geometry random_geometry(struct brim_rng *r, bool pool)
{
    struct geometry g = {.rank = (int)pick(r, 1, 3),
                         .n = pick(r, 1, 3),
                         .groups = pool ? 1 : pick(r, 1, 3),
                         .ic = pick(r, 1, 4),
                         .oc = pick(r, 1, 5)};

    for (int i = 0; i < 3; i++) {
        const bool real = i >= 3 - g.rank;
        g.kernel[i] = real ? pick(r, 1, 4) : 1;
        g.stride[i] = real ? pick(r, 1, 3) : 1;
        g.dilation[i] = real ? pick(r, 1, 3) : 1;
        const int64_t most = pool ? g.kernel[i] - 1 : 3;
        g.before[i] = real ? pick(r, 0, most) : 0;
        g.after[i] = real ? pick(r, 0, most) : 0;
        const int64_t span = (g.kernel[i] - 1) * g.dilation[i] + 1;
        g.in[i] = real ? pick(r, 1, 6) : 1;
        while (g.in[i] + g.before[i] + g.after[i] < span) {
            g.in[i]++;
        }
        g.out[i] = (g.in[i] + g.before[i] + g.after[i] - span) / g.stride[i] + 1;
    }
    return g;
}

static inline struct brim_shape geometry_shape(const struct geometry *g, int64_t a, int64_t b,
                                               const int64_t spatial[3])
{
    struct brim_shape s = {.rank = g->rank + 2, .dim = {a, b}};

    for (int i = 0; i < g->rank; i++) {
        s.dim[i + 2] = spatial[3 - g->rank + i];
    }
    return s;
}

static inline void geometry_attrs(struct call *c, const struct geometry *g, bool pool)
{
    const int skip = 3 - g->rank;
    int64_t pads[6];

    for (int i = 0; i < g->rank; i++) {
        pads[i] = g->before[skip + i];
        pads[i + g->rank] = g->after[skip + i];
    }
    call_ints(c, "strides", g->stride + skip, (size_t)g->rank);
    call_ints(c, "dilations", g->dilation + skip, (size_t)g->rank);
    call_ints(c, "pads", pads, 2 * (size_t)g->rank);
    if (pool) {
        call_ints(c, "kernel_shape", g->kernel + skip, (size_t)g->rank);
    } else {
        call_int(c, "group", g->groups);
    }
}

/* Offset in a plane of tap t (0 .. kernel volume) of output o (0 .. output volume), or -1. */
static inline int64_t tap_offset(const struct geometry *g, int64_t o, int64_t t)
{
    int64_t at = 0, step = 1;

    for (int i = 2; i >= 0; i--) {
        const int64_t p =
            o % g->out[i] * g->stride[i] - g->before[i] + t % g->kernel[i] * g->dilation[i];
        if (p < 0 || p >= g->in[i]) {
            return -1;
        }
        at += p * step;
        step *= g->in[i];
        o /= g->out[i];
        t /= g->kernel[i];
    }
    return at;
}

static inline int64_t volume(const int64_t d[3])
{
    return d[0] * d[1] * d[2];
}

/* Convolution in double: y[n][groups*oc][out]; each operand read through a function, so that codes
 * and floats share it. */
typedef double read_fn(const void *data, int64_t i);

static inline double oracle_conv(const struct geometry *g, const void *x, const void *w,
                                 read_fn *read_x, int64_t at, read_fn *read_w)
{
    const int64_t out = volume(g->out), in = volume(g->in), k = volume(g->kernel);
    const int64_t o = at % out, c = at / out % (g->groups * g->oc);
    const int64_t n = at / out / (g->groups * g->oc), group = c / g->oc;
    double sum = 0;

    for (int64_t i = 0; i < g->ic; i++) {
        for (int64_t t = 0; t < k; t++) {
            const int64_t p = tap_offset(g, o, t);
            if (p >= 0) {
                sum += read_x(x, ((n * g->groups + group) * g->ic + i) * in + p) *
                       read_w(w, (c * g->ic + i) * k + t);
            }
        }
    }
    return sum;
}

#endif
