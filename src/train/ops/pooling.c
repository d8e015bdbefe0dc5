/* pooling.c - MaxPool, AveragePool, GlobalAveragePool, and the ReduceMean that is the same.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A window's elements are visited row by row; of equal ones the first is the greatest, and has the
 * whole gradient.
 */
#include <string.h>

#include "base/clones.h"
#include "base/intops.h"
#include "graph/resolve.h"
#include "graph/window.h"
#include "train/engine.h"

struct pooling {
    struct brim_window window; /* three axes, the first of size 1 */
    bool max, pad_counts;
    uint16_t *chosen; /* [samples][out pixels][channels] MaxPool: number in the window */
};

/* ---- loops: one pixel of the input against one of the output ---- */

BRIM_CLONES
static void pool_max(const float *restrict x, size_t c, uint16_t number, float *restrict y,
                     uint16_t *restrict chosen)
{
    for (size_t i = 0; i < c; i++) {
        const bool more = x[i] > y[i];
        y[i] = more ? x[i] : y[i];
        chosen[i] = more ? number : chosen[i];
    }
}

BRIM_CLONES
static void pool_max_gradient(const float *restrict dy, const uint16_t *restrict chosen, size_t c,
                              uint16_t number, float *restrict dx)
{
    for (size_t i = 0; i < c; i++) {
        dx[i] += chosen[i] == number ? dy[i] : 0.0f;
    }
}

BRIM_CLONES
static void pool_add(const float *restrict x, size_t c, float by, float *restrict y)
{
    for (size_t i = 0; i < c; i++) {
        y[i] += by * x[i];
    }
}

/* ---- windows ---- */

/* The part of a window along one axis that lies in the input, and in the padded input. */
struct span {
    int64_t first, last, start; /* taps first..last-1; tap t is at start + t * dilation */
    int64_t padded;             /* taps that lie in input or padding */
};

static struct span span_at(const struct brim_window *w, int axis, int64_t out)
{
    struct span s = {.start = out * w->stride[axis] - w->before[axis]};
    const int64_t end = w->in[axis] + w->after[axis];

    s.last = 0;
    s.first = w->kernel[axis];
    for (int64_t t = 0; t < w->kernel[axis]; t++) {
        const int64_t at = s.start + t * w->dilation[axis];
        s.padded += at < end;
        if (at >= 0 && at < w->in[axis]) {
            s.first = s.first < t ? s.first : t;
            s.last = t + 1;
        }
    }
    return s;
}

/* Averages: one over the number of elements that count. */
static float weight_of(const struct pooling *s, const struct span *v, const struct span *h)
{
    const int64_t n =
        s->pad_counts ? v->padded * h->padded
                      : brim_max_i64(0, v->last - v->first) * brim_max_i64(0, h->last - h->first);

    return n > 0 ? 1.0f / (float)n : 0;
}

struct pixel {
    const struct pooling *s;
    bool backward;
    size_t c;
    const float *x;
    float *y, *dx;
    const float *dy;
    uint16_t *chosen;
};

/* One pixel of the output, channels at once. */
static void do_pixel(const struct pixel *p, const struct span *v, const struct span *h)
{
    const struct brim_window *w = &p->s->window;
    const float by = weight_of(p->s, v, h);
    bool none = true;

    for (int64_t i = v->first; i < v->last; i++) {
        for (int64_t j = h->first; j < h->last; j++, none = false) {
            const size_t at = (size_t)((v->start + i * w->dilation[1]) * w->in[2] + h->start +
                                       j * w->dilation[2]) *
                              p->c;
            const uint16_t number = (uint16_t)(i * w->kernel[2] + j);
            if (p->backward && p->s->max) {
                pool_max_gradient(p->dy, p->chosen, p->c, number, p->dx + at);
            } else if (p->backward) {
                pool_add(p->dy, p->c, by, p->dx + at);
            } else if (!p->s->max) {
                pool_add(p->x + at, p->c, by, p->y);
            } else if (none) {
                memcpy(p->y, p->x + at, p->c * sizeof *p->y);
                for (size_t k = 0; k < p->c; k++) {
                    p->chosen[k] = number;
                }
            } else {
                pool_max(p->x + at, p->c, number, p->y, p->chosen);
            }
        }
    }
}

static void do_sample(struct pixel p)
{
    const struct brim_window *w = &p.s->window;

    for (int64_t i = 0; i < w->out[1]; i++) {
        const struct span v = span_at(w, 1, i);
        for (int64_t j = 0; j < w->out[2]; j++) {
            const struct span h = span_at(w, 2, j);
            do_pixel(&p, &v, &h);
            p.y += p.backward ? 0 : p.c;
            p.dy += p.backward ? p.c : 0;
            p.chosen += p.s->max ? p.c : 0;
        }
    }
}

/* ---- the operator ---- */

/* One window over all space axes. */
static void all_of_it(const struct brim_net_value *x, struct brim_window *w)
{
    *w = (struct brim_window){.rank = x->rank - 1};
    for (int i = 0; i < w->rank; i++) {
        w->in[i] = w->kernel[i] = x->dim[i + 1];
        w->out[i] = w->stride[i] = w->dilation[i] = 1;
    }
}

static brim_status read_window(struct brim_network *net, const struct brim_net_op *op,
                               struct brim_window *w)
{
    struct brim_net_view view;
    struct brim_reduction reduction;

    brim_net_view(net, op->node, &view);
    if (strcmp(op->node->op_type, "GlobalAveragePool") == 0) {
        all_of_it(op->in[0], w);
        return BRIM_OK;
    }
    if (strcmp(op->node->op_type, "ReduceMean") != 0) {
        return brim_window_pool(&view.infer, &view.type[0].shape, w);
    }
    BRIM_TRY(brim_resolve_reduction(&view.infer, &reduction));
    for (int i = 0; i <= op->in[0]->rank; i++) {
        if (!reduction.known || reduction.reduced[i] != (i >= 2)) {
            return brim_net_refuse(net, op->node, "it is no mean over all space axes");
        }
    }
    all_of_it(op->in[0], w);
    return BRIM_OK;
}

static brim_status create(struct brim_network *net, struct brim_net_op *op)
{
    struct pooling *s = brim_arena_zalloc(&net->arena, 1, sizeof *s);
    const struct brim_net_value *x = op->in[0];

    op->state = s;
    BRIM_TRY(brim_net_value_of(net, op->node, op->node->out[0], &op->out));
    if (s == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (x->rank != 2 && x->rank != 3) {
        return brim_net_refuse(net, op->node, "it has not one or two space axes");
    }
    s->max = strcmp(op->node->op_type, "MaxPool") == 0;
    s->pad_counts = brim_node_int(op->node, "count_include_pad", 0) != 0;
    BRIM_TRY(read_window(net, op, &s->window));
    brim_window_widen(&s->window);
    op->out->wanted = x->wanted;
    if (s->max) {
        if (s->window.kernel[1] * s->window.kernel[2] > UINT16_MAX) {
            return brim_net_refuse(net, op->node, "its window is too large");
        }
        s->chosen = brim_arena_zalloc(&net->arena, net->shard * net->shards * op->out->size,
                                      sizeof *s->chosen);
    }
    return s->max && s->chosen == NULL ? BRIM_ERR_NOMEM : BRIM_OK;
}

static brim_status forward(struct brim_network *net, struct brim_net_op *op,
                           const struct brim_net_call *call)
{
    const struct pooling *s = op->state;
    const struct brim_net_value *x = op->in[0], *y = op->out;

    (void)net;
    memset(brim_net_at(y->data, y, call), 0, call->count * y->size * sizeof(float));
    for (size_t i = call->first; i < call->first + call->count; i++) {
        do_sample((struct pixel){
            .s = s,
            .c = y->channels,
            .x = x->data + i * x->size,
            .y = y->data + i * y->size,
            .chosen = s->max ? s->chosen + i * y->size : NULL,
        });
    }
    return BRIM_OK;
}

static brim_status backward(struct brim_network *net, struct brim_net_op *op,
                            const struct brim_net_call *call)
{
    const struct pooling *s = op->state;
    const struct brim_net_value *x = op->in[0], *y = op->out;

    (void)net;
    if (!op->add[0]) {
        memset(brim_net_at(x->grad, x, call), 0, call->count * x->size * sizeof(float));
    }
    for (size_t i = call->first; i < call->first + call->count; i++) {
        do_sample((struct pixel){
            .s = s,
            .backward = true,
            .c = y->channels,
            .dx = x->grad + i * x->size,
            .dy = y->grad + i * y->size,
            .chosen = s->max ? s->chosen + i * y->size : NULL,
        });
    }
    return BRIM_OK;
}

const struct brim_net_class brim_net_pooling = {
    .op_type = "MaxPool",
    .create = create,
    .forward = forward,
    .backward = backward,
};
