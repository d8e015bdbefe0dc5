/* norm.c - BatchNormalization, LayerNormalization, RMSNormalization. In double, rounded to the
 * output's type once. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "graph/infer.h"
#include "run/ops/elem.h"
#include "run/ops/nn.h"
#include "run/ops/resolve.h"

/* ---- BatchNormalization ---- */

/* x is [samples][channels][plane]. */
struct batchnorm {
    size_t samples, channels, plane;
    const double *scale, *bias, *mean, *variance;
    double epsilon;
    double *buffer; /* [plane] */
};

static void normalize_channel(const struct brim_op_call *c, const struct batchnorm *b, size_t ch)
{
    const double scale = b->scale[ch] / sqrt(b->variance[ch] + b->epsilon);

    for (size_t n = 0; n < b->samples; n++) {
        const size_t at = (n * b->channels + ch) * b->plane;
        brim_elem_load(c->in[0], at, b->plane, b->buffer);
        for (size_t i = 0; i < b->plane; i++) {
            b->buffer[i] = (b->buffer[i] - b->mean[ch]) * scale + b->bias[ch];
        }
        brim_elem_store(&c->out[0], at, b->plane, b->buffer);
    }
}

/* Mean and population variance of one channel over the batch. */
static void channel_moments(const struct brim_op_call *c, const struct batchnorm *b, size_t ch,
                            double *mean, double *variance)
{
    const double count = (double)b->samples * (double)b->plane;

    *mean = *variance = 0;
    for (int pass = 0; pass < 2; pass++) {
        double sum = 0;
        for (size_t n = 0; n < b->samples; n++) {
            brim_elem_load(c->in[0], (n * b->channels + ch) * b->plane, b->plane, b->buffer);
            for (size_t i = 0; i < b->plane; i++) {
                const double d = b->buffer[i] - *mean;
                sum += pass == 0 ? d : d * d;
            }
        }
        *(pass == 0 ? mean : variance) = sum / count;
    }
}

/* running = running * momentum + current * (1 - momentum); then normalize by the current ones. */
static brim_status train(struct brim_op_call *c, struct batchnorm *b)
{
    const double momentum = (double)brim_node_float(c->node, "momentum", 0.9f);
    double *current[2];

    for (size_t i = 0; i < 2; i++) {
        current[i] = brim_arena_alloc(c->scratch, b->channels + 1, sizeof(double));
        if (current[i] == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    for (size_t ch = 0; ch < b->channels; ch++) {
        channel_moments(c, b, ch, &current[0][ch], &current[1][ch]);
        const double running[] = {b->mean[ch] * momentum + current[0][ch] * (1 - momentum),
                                  b->variance[ch] * momentum + current[1][ch] * (1 - momentum)};
        for (size_t i = 0; i < 2; i++) {
            if (c->n_out > i + 1 && c->out[i + 1].data != NULL) {
                brim_elem_store(&c->out[i + 1], ch, 1, &running[i]);
            }
        }
    }
    b->mean = current[0];
    b->variance = current[1];
    return BRIM_OK;
}

brim_status brim_run_batchnorm(struct brim_op_call *c)
{
    const struct brim_shape *x = &c->in[0]->type.shape;
    struct batchnorm b = {.samples = (size_t)x->dim[0],
                          .channels = x->rank > 1 ? (size_t)x->dim[1] : 1,
                          .plane = 1,
                          .epsilon = (double)brim_node_float(c->node, "epsilon", 1e-5f)};

    for (int i = 2; i < x->rank; i++) {
        b.plane *= (size_t)x->dim[i];
    }
    if (brim_tensor_count(c->in[0]) == 0) {
        return BRIM_OK;
    }
    b.scale = brim_elem_all(c, c->in[1]);
    b.bias = brim_elem_all(c, c->in[2]);
    b.mean = brim_elem_all(c, c->in[3]);
    b.variance = brim_elem_all(c, c->in[4]);
    b.buffer = brim_arena_alloc(c->scratch, b.plane, sizeof *b.buffer);
    if (b.scale == NULL || b.bias == NULL || b.mean == NULL || b.variance == NULL ||
        b.buffer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (c->opset >= 14 && brim_node_int(c->node, "training_mode", 0) != 0) {
        BRIM_TRY(train(c, &b));
    } else if (c->n_out > 1) {
        return brim_op_fail(c, BRIM_ERR_UNSUPPORTED, "has %zu outputs in inference, expected 1",
                            c->n_out);
    }
    for (size_t ch = 0; ch < b.channels; ch++) {
        normalize_channel(c, &b, ch);
    }
    return BRIM_OK;
}

/* ---- LayerNormalization, RMSNormalization ---- */

/* x is [rows][n]; each row is normalized. */
struct rows {
    size_t rows, n;
    double epsilon;
    int axis;                   /* rows are over the axes before it */
    bool center;                /* subtract the mean */
    const double *scale, *bias; /* whole tensors */
    double *buffer;
};

/* Element of `t` that broadcasts to element `at` of a tensor of shape x. */
static size_t broadcast_index(const struct brim_shape *t, const struct brim_shape *x, size_t at)
{
    size_t index = 0, step = 1;

    for (int i = 1; i <= x->rank; i++) {
        const size_t d = (size_t)x->dim[x->rank - i], k = at % d;
        at /= d;
        if (i <= t->rank) {
            index += t->dim[t->rank - i] == 1 ? 0 : k * step;
            step *= (size_t)t->dim[t->rank - i];
        }
    }
    return index;
}

/* Does `t` hold one element per column of a row (the usual case)? */
static bool one_per_column(const struct brim_tensor *t, const struct brim_shape *x, int axis)
{
    const struct brim_shape *s = &t->type.shape;

    if (s->rank < x->rank - axis) {
        return false;
    }
    for (int i = 1; i <= s->rank; i++) {
        if (s->dim[s->rank - i] != (i <= x->rank - axis ? x->dim[x->rank - i] : 1)) {
            return false;
        }
    }
    return true;
}

static void scale_row(const struct brim_op_call *c, const struct rows *r, size_t row)
{
    const struct brim_shape *x = &c->in[0]->type.shape;
    const bool whole = one_per_column(c->in[1], x, r->axis);
    const bool whole_bias = r->bias != NULL && one_per_column(c->in[2], x, r->axis);

    for (size_t i = 0; i < r->n; i++) {
        const size_t at = row * r->n + i;
        const size_t s = whole ? i : broadcast_index(&c->in[1]->type.shape, x, at);
        r->buffer[i] *= r->scale[s];
        if (r->bias != NULL) {
            r->buffer[i] += r->bias[whole_bias ? i : broadcast_index(&c->in[2]->type.shape, x, at)];
        }
    }
}

static void normalize_row(const struct brim_op_call *c, const struct rows *r, size_t row)
{
    double mean = 0, square = 0;

    brim_elem_load(c->in[0], row * r->n, r->n, r->buffer);
    for (size_t i = 0; r->center && i < r->n; i++) {
        mean += r->buffer[i];
    }
    mean /= (double)r->n;
    for (size_t i = 0; i < r->n; i++) {
        r->buffer[i] -= mean;
        square += r->buffer[i] * r->buffer[i];
    }
    const double inverse = 1 / sqrt(square / (double)r->n + r->epsilon);
    for (size_t i = 0; i < r->n; i++) {
        r->buffer[i] *= inverse;
    }
    scale_row(c, r, row);
    brim_elem_store(&c->out[0], row * r->n, r->n, r->buffer);
    const double *stash[] = {&mean, &inverse};
    for (size_t i = 1; i < 3 && i < c->n_out; i++) {
        if (c->out[i].data != NULL) {
            brim_elem_store(&c->out[i], row, 1, stash[i - 1]);
        }
    }
}

static brim_status normalize_rows(struct brim_op_call *c, bool center)
{
    const struct brim_shape *x = &c->in[0]->type.shape;
    struct brim_infer view;
    struct rows r = {.rows = 1,
                     .n = 1,
                     .center = center,
                     .epsilon = (double)brim_node_float(c->node, "epsilon", 1e-5f)};
    int axis;

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_infer_axis(&view, brim_node_int(c->node, "axis", -1), x->rank, &axis));
    r.axis = axis;
    for (int i = 0; i < x->rank; i++) {
        *(i < axis ? &r.rows : &r.n) *= (size_t)x->dim[i];
    }
    if (r.rows == 0 || r.n == 0) {
        return BRIM_OK;
    }
    r.scale = brim_elem_all(c, c->in[1]);
    r.buffer = brim_arena_alloc(c->scratch, r.n, sizeof *r.buffer);
    if (r.scale == NULL || r.buffer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (brim_op_has(c, 2)) {
        r.bias = brim_elem_all(c, c->in[2]);
        if (r.bias == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    for (size_t row = 0; row < r.rows; row++) {
        normalize_row(c, &r, row);
    }
    return BRIM_OK;
}

brim_status brim_run_layernorm(struct brim_op_call *c)
{
    return normalize_rows(c, true);
}

brim_status brim_run_rmsnorm(struct brim_op_call *c)
{
    return normalize_rows(c, false);
}
