/* conv.c - Conv: float through oneDNN, every other type by plain loops in double.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "run/ops/conv_dnnl.h"
#include "run/ops/conv_loop.h"
#include "run/ops/elem.h"
#include "run/ops/nn.h"
#include "run/ops/resolve.h"

struct conv_state {
    struct brim_conv conv; /* what `dnnl` was made for */
    bool bias;
    bool ready; /* the weights are in place and constant */
    struct brim_conv_dnnl *dnnl;
};

static bool same_geometry(const struct brim_conv *a, const struct brim_conv *b)
{
    const struct brim_window *v = &a->window, *w = &b->window;
    bool same = a->groups == b->groups && a->group_in == b->group_in &&
                a->group_out == b->group_out && v->rank == w->rank;

    for (int i = 0; same && i < v->rank; i++) {
        same = v->in[i] == w->in[i] && v->out[i] == w->out[i] && v->kernel[i] == w->kernel[i] &&
               v->stride[i] == w->stride[i] && v->dilation[i] == w->dilation[i] &&
               v->before[i] == w->before[i] && v->after[i] == w->after[i];
    }
    return same;
}

void brim_conv_free_state(brim_ctx *ctx, void *state)
{
    struct conv_state *s = state;

    if (s != NULL) {
        brim_conv_dnnl_free(ctx, s->dnnl);
        brim_free(ctx, s);
    }
}

/* The node's state, for this geometry. */
static brim_status get_state(struct brim_op_call *c, const struct brim_conv *conv, bool bias,
                             struct conv_state **out)
{
    struct conv_state *s = *c->state;

    if (s != NULL && same_geometry(&s->conv, conv) && s->bias == bias) {
        *out = s;
        return BRIM_OK;
    }
    brim_conv_free_state(c->ctx, s);
    *c->state = s = brim_zalloc(c->ctx, 1, sizeof *s);
    if (s == NULL) {
        return BRIM_ERR_NOMEM;
    }
    s->conv = *conv;
    s->bias = bias;
    *out = s;
    return brim_conv_dnnl_create(c->ctx, conv, bias, &s->dnnl);
}

static size_t plane(const int64_t dim[BRIM_MAX_SPATIAL], int rank)
{
    size_t n = 1;

    for (int i = 0; i < rank; i++) {
        n *= (size_t)dim[i];
    }
    return n;
}

static size_t sample_in(const struct brim_conv *conv)
{
    return (size_t)(conv->groups * conv->group_in) * plane(conv->window.in, conv->window.rank);
}

static size_t sample_out(const struct brim_conv *conv)
{
    return (size_t)(conv->groups * conv->group_out) * plane(conv->window.out, conv->window.rank);
}

static brim_status run_loop(struct brim_op_call *c, const struct brim_conv *conv)
{
    const size_t nx = sample_in(conv), ny = sample_out(conv);
    const size_t channels = (size_t)(conv->groups * conv->group_out);
    const double *w = brim_elem_all(c, c->in[1]);
    double *x = brim_arena_alloc(c->scratch, nx, sizeof *x);
    double *y = brim_arena_alloc(c->scratch, ny, sizeof *y);

    if (w == NULL || x == NULL || y == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t n = 0; n < (size_t)conv->samples; n++) {
        brim_elem_load(c->in[0], n * nx, nx, x);
        for (size_t o = 0; o < channels; o++) {
            const double b = brim_op_has(c, 2) ? brim_elem_get(c->in[2], o) : 0;
            for (size_t i = 0; i < ny / channels; i++) {
                y[o * (ny / channels) + i] = b;
            }
        }
        brim_conv_loop_f64(conv, x, w, y);
        brim_elem_store(&c->out[0], n * ny, ny, y);
    }
    return BRIM_OK;
}

/* False when oneDNN fails on the way. */
static bool run_dnnl(struct brim_op_call *c, struct conv_state *s)
{
    const uint64_t fixed = s->bias ? 6 : 2; /* weights, bias */
    const size_t nx = sample_in(&s->conv), ny = sample_out(&s->conv);
    const float *x = c->in[0]->data;
    float *y = c->out[0].data;

    if (!s->ready) {
        if (!brim_conv_dnnl_weights(s->dnnl, c->in[1]->data, s->bias ? c->in[2]->data : NULL)) {
            return false;
        }
        s->ready = (c->constant & fixed) == fixed;
    }
    for (size_t n = 0; n < (size_t)c->in[0]->type.shape.dim[0]; n++) {
        if (!brim_conv_dnnl_run(s->dnnl, x + n * nx, y + n * ny)) {
            return false;
        }
    }
    return true;
}

brim_status brim_run_conv(struct brim_op_call *c)
{
    struct brim_infer view;
    struct brim_conv conv;
    struct conv_state *s;

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_conv_resolve(&view, &c->in[0]->type.shape, &c->in[1]->type.shape, NULL, &conv));
    if (brim_tensor_count(&c->out[0]) == 0) {
        return BRIM_OK;
    }
    if (c->in[0]->type.dtype != BRIM_FLOAT || sample_in(&conv) == 0) {
        return run_loop(c, &conv);
    }
    BRIM_TRY(get_state(c, &conv, brim_op_has(c, 2), &s));
    return s->dnnl != NULL && run_dnnl(c, s) ? BRIM_OK : run_loop(c, &conv);
}
