/* pad.c - Pad: constant, reflect, edge, wrap. SPDX-License-Identifier: Apache-2.0
 *
 * Negative pads remove first; the other modes then see what is kept. Each axis gets a table: which
 * input element an output element is, or -1 for the constant.
 */
#include <string.h>

#include "base/intops.h"
#include "run/ops/cast.h"
#include "run/ops/copy.h"
#include "run/ops/resolve.h"
#include "run/ops/table.h"

/* Element `i` (may be outside) of a sequence of `n` > 0 that continues as `mode` says. */
static int64_t continued(int64_t i, int64_t n, enum brim_pad_mode mode)
{
    if (i >= 0 && i < n) {
        return i;
    }
    if (mode == BRIM_PAD_CONSTANT) {
        return -1;
    }
    if (mode == BRIM_PAD_EDGE || n == 1) {
        return brim_clip_i64(i, 0, n - 1);
    }
    const int64_t period = mode == BRIM_PAD_WRAP ? n : 2 * (n - 1);
    const int64_t k = (i % period + period) % period;
    return k < n ? k : period - k;
}

/* The tables of all axes, one after the other. */
struct tables {
    int64_t *all;
    size_t first[BRIM_MAX_RANK];
};

static void fill_table(const struct brim_op_call *c, const struct brim_pads *p, int axis,
                       int64_t *table)
{
    const size_t out = (size_t)c->out[0].type.shape.dim[axis];
    const int64_t dim = c->in[0]->type.shape.dim[axis];
    const int64_t first = brim_max_i64(-p->before[axis], 0);
    const int64_t kept = dim - first + brim_min_i64(p->after[axis], 0);

    for (size_t i = 0; i < out; i++) {
        const int64_t k = (int64_t)i - brim_max_i64(p->before[axis], 0);
        const int64_t from = kept > 0 ? continued(k, kept, p->mode) : -1;
        table[i] = from < 0 ? -1 : first + from;
    }
}

static brim_status make_tables(const struct brim_op_call *c, const struct brim_pads *p,
                               struct tables *t)
{
    const struct brim_shape *out = &c->out[0].type.shape;
    size_t n = 0;

    for (int i = 0; i < out->rank; i++) {
        t->first[i] = n;
        n += (size_t)out->dim[i];
    }
    t->all = brim_arena_alloc(c->scratch, n + 1, sizeof *t->all);
    if (t->all == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (int i = 0; i < out->rank; i++) {
        fill_table(c, p, i, t->all + t->first[i]);
    }
    return BRIM_OK;
}

/* One row of the output; `in` is the input row, or NULL when all of it is the constant. */
static void pad_row(const int64_t *table, size_t n, size_t size, char *out, const char *in,
                    const void *constant)
{
    for (size_t i = 0; i < n;) {
        size_t run = 1;
        const bool copied = in != NULL && table[i] >= 0;
        if (copied) {
            while (i + run < n && table[i + run] == table[i] + (int64_t)run) {
                run++;
            }
            memcpy(out + i * size, in + (size_t)table[i] * size, run * size);
        } else {
            while (i + run < n && (in == NULL || table[i + run] < 0)) {
                run++;
            }
            brim_fill(out + i * size, constant, size, run);
        }
        i += run;
    }
}

/* Where input row `index` begins (in elements), or -1. */
static ptrdiff_t input_row(const struct brim_shape *in, const struct tables *t,
                           const size_t index[BRIM_MAX_RANK])
{
    ptrdiff_t stride[BRIM_MAX_RANK];
    size_t at = 0;

    brim_shape_strides(in, stride);
    for (int i = 0; i < in->rank - 1; i++) {
        const int64_t k = t->all[t->first[i] + index[i]];
        if (k < 0) {
            return -1;
        }
        at += (size_t)stride[i] * (size_t)k;
    }
    return (ptrdiff_t)at;
}

static brim_status pad_all(struct brim_op_call *c, const struct brim_pads *p, const void *constant)
{
    const struct brim_shape *in = &c->in[0]->type.shape, *out = &c->out[0].type.shape;
    const size_t size = brim_dtype_size(c->in[0]->type.dtype);
    struct tables t = {0};
    size_t index[BRIM_MAX_RANK] = {0};
    const int last = in->rank - 1;

    if (brim_shape_count(out) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(make_tables(c, p, &t));
    const size_t width = (size_t)out->dim[last];
    const size_t rows = (size_t)brim_shape_count(out) / width;
    char *y = c->out[0].data;
    for (size_t r = 0; r < rows; r++, y += width * size) {
        const ptrdiff_t at = input_row(in, &t, index);
        pad_row(t.all + t.first[last], width, size, y,
                at < 0 ? NULL : (const char *)c->in[0]->data + at * (ptrdiff_t)size, constant);
        for (int i = last - 1; i >= 0 && ++index[i] == (size_t)out->dim[i]; i--) {
            index[i] = 0;
        }
    }
    return BRIM_OK;
}

/* The value to pad with, as one element: an input since opset 11, a float attribute before. */
static void pad_value(const struct brim_op_call *c, uint64_t *value)
{
    const enum brim_dtype t = c->in[0]->type.dtype;
    const float f = brim_node_float(c->node, "value", 0);

    *value = 0;
    if (c->n_in > 2 && c->in[2] != NULL) {
        memcpy(value, c->in[2]->data, brim_dtype_size(t));
    } else {
        brim_cast(BRIM_FLOAT, &f, t, value, 1);
    }
}

static brim_status run_pad(struct brim_op_call *c)
{
    struct brim_infer view;
    struct brim_pads p;
    uint64_t value;

    BRIM_TRY(brim_op_view(c, &view));
    BRIM_TRY(brim_resolve_pads(&view, &p));
    pad_value(c, &value);
    if (c->in[0]->type.shape.rank == 0) {
        memcpy(c->out[0].data, c->in[0]->data, brim_dtype_size(c->in[0]->type.dtype));
        return BRIM_OK;
    }
    return pad_all(c, &p, &value);
}

const struct brim_op_kernel brim_kernels_pad[] = {{"", "Pad", run_pad, NULL}};

const size_t brim_kernels_pad_count = sizeof brim_kernels_pad / sizeof brim_kernels_pad[0];
