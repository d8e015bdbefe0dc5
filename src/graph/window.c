/* window.c - see window.h. SPDX-License-Identifier: Apache-2.0 */
#include "graph/window.h"

#include <string.h>

#include "base/intops.h"

enum auto_pad { AUTO_NOTSET, AUTO_SAME_UPPER, AUTO_SAME_LOWER, AUTO_VALID };

static brim_status read_auto_pad(const struct brim_infer *c, enum auto_pad *out)
{
    static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    const char *s = brim_node_string(c->node, "auto_pad", "NOTSET");

    for (int i = 0; i < 4; i++) {
        if (strcmp(s, names[i]) == 0) {
            *out = (enum auto_pad)i;
            return BRIM_OK;
        }
    }
    return brim_infer_fail(c, "auto_pad is '%s', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
                           s);
}

/* `count` integers in [least, 2^31); all `fallback` when the attribute is missing. */
struct ints_rule {
    const char *name;
    size_t count;
    int64_t least, fallback;
};

static brim_status read_ints(const struct brim_infer *c, const struct ints_rule *r, int64_t *v)
{
    size_t n = 0;
    bool known;

    BRIM_TRY(brim_infer_attr_ints(c, r->name, v, r->count, &n, &known));
    if (!known) {
        for (size_t i = 0; i < r->count; i++) {
            v[i] = r->fallback;
        }
        return BRIM_OK;
    }
    if (n != r->count) {
        return brim_infer_fail(c, "attribute '%s' has %zu elements, expected %zu", r->name, n,
                               r->count);
    }
    for (size_t i = 0; i < n; i++) {
        if (v[i] < r->least || v[i] > INT32_MAX) {
            return brim_infer_fail(c, "attribute '%s' holds %lld, expected %lld or more", r->name,
                                   (long long)v[i], (long long)r->least);
        }
    }
    return BRIM_OK;
}

static brim_status resolve_axis(const struct brim_infer *c, struct brim_window *w, int i,
                                enum auto_pad pad, bool ceil)
{
    const int64_t in = w->in[i], stride = w->stride[i];
    const int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1;

    if (in < 0) {
        w->out[i] = -1;
        return BRIM_OK;
    }
    if (in > INT32_MAX || w->kernel[i] < 1 || w->kernel[i] > INT32_MAX) {
        return brim_infer_fail(c, "spatial axis %d has %lld elements and a kernel of %lld", i,
                               (long long)in, (long long)w->kernel[i]);
    }
    if (pad == AUTO_SAME_UPPER || pad == AUTO_SAME_LOWER) {
        w->out[i] = (in + stride - 1) / stride;
        const int64_t total = brim_max_i64(0, (w->out[i] - 1) * stride + span - in);
        w->before[i] = pad == AUTO_SAME_UPPER ? total / 2 : total - total / 2;
        w->after[i] = total - w->before[i];
        return BRIM_OK;
    }
    const int64_t padded = in + w->before[i] + w->after[i], room = padded - span;
    if (room < 0) {
        return brim_infer_fail(c, "the kernel spans %lld on spatial axis %d, the padded input %lld",
                               (long long)span, i, (long long)padded);
    }
    w->out[i] = room / stride + 1;
    if (ceil) {
        w->out[i] += room % stride != 0 ? 1 : 0;
        w->out[i] -= (w->out[i] - 1) * stride >= in + w->before[i] ? 1 : 0;
    }
    return BRIM_OK;
}

/* Everything but the kernel, which the caller has set. */
static brim_status resolve(const struct brim_infer *c, const struct brim_shape *x, bool ceil,
                           struct brim_window *w)
{
    const size_t n = (size_t)w->rank;
    int64_t pads[2 * BRIM_MAX_SPATIAL];
    enum auto_pad pad = AUTO_NOTSET;

    BRIM_TRY(read_auto_pad(c, &pad));
    BRIM_TRY(read_ints(c, &(struct ints_rule){"strides", n, 1, 1}, w->stride));
    BRIM_TRY(read_ints(c, &(struct ints_rule){"dilations", n, 1, 1}, w->dilation));
    BRIM_TRY(read_ints(c, &(struct ints_rule){"pads", 2 * n, 0, 0}, pads));
    for (int i = 0; i < w->rank; i++) {
        w->in[i] = x->dim[i + 2];
        w->before[i] = pad == AUTO_NOTSET ? pads[i] : 0;
        w->after[i] = pad == AUTO_NOTSET ? pads[i + w->rank] : 0;
        BRIM_TRY(resolve_axis(c, w, i, pad, ceil));
    }
    return BRIM_OK;
}

static brim_status check_rank(const struct brim_infer *c, const struct brim_shape *x)
{
    if (x->rank < 3 || x->rank > 2 + BRIM_MAX_SPATIAL) {
        return brim_infer_fail(c, "input has rank %d, expected 3, 4 or 5", x->rank);
    }
    return BRIM_OK;
}

brim_status brim_window_pool(const struct brim_infer *c, const struct brim_shape *x,
                             struct brim_window *w)
{
    BRIM_TRY(check_rank(c, x));
    *w = (struct brim_window){.rank = x->rank - 2};
    if (brim_node_attr(c->node, "kernel_shape") == NULL) {
        return brim_infer_fail(c, "attribute 'kernel_shape' is missing");
    }
    BRIM_TRY(read_ints(c, &(struct ints_rule){"kernel_shape", (size_t)w->rank, 1, 1}, w->kernel));
    return resolve(c, x, brim_node_int(c->node, "ceil_mode", 0) != 0, w);
}

void brim_window_widen(struct brim_window *w)
{
    const int shift = BRIM_MAX_SPATIAL - w->rank;
    const struct brim_window narrow = *w;

    for (int i = 0; i < BRIM_MAX_SPATIAL; i++) {
        const bool own = i >= shift;
        const int k = own ? i - shift : 0;
        w->in[i] = own ? narrow.in[k] : 1;
        w->out[i] = own ? narrow.out[k] : 1;
        w->kernel[i] = own ? narrow.kernel[k] : 1;
        w->stride[i] = own ? narrow.stride[k] : 1;
        w->dilation[i] = own ? narrow.dilation[k] : 1;
        w->before[i] = own ? narrow.before[k] : 0;
        w->after[i] = own ? narrow.after[k] : 0;
    }
    w->rank = BRIM_MAX_SPATIAL;
}

static brim_status check_channels(const struct brim_infer *c, const struct brim_shape *x,
                                  const struct brim_shape *weight, const struct brim_conv *conv)
{
    const int64_t c_in = x->dim[1], c_out = weight->dim[0];

    if (conv->groups < 1 || conv->groups > INT32_MAX) {
        return brim_infer_fail(c, "group is %lld, expected 1 or more", (long long)conv->groups);
    }
    if (c_out >= 0 && c_out % conv->groups != 0) {
        return brim_infer_fail(c, "weight has %lld outputs, which %lld groups do not divide",
                               (long long)c_out, (long long)conv->groups);
    }
    if (c_in < 0 || conv->group_in < 0) {
        return BRIM_OK;
    }
    if (c_in % conv->groups != 0 || c_in / conv->groups != conv->group_in) {
        return brim_infer_fail(c,
                               "input has %lld channels, expected %lld (weight) times %lld groups",
                               (long long)c_in, (long long)conv->group_in, (long long)conv->groups);
    }
    return BRIM_OK;
}

static brim_status read_kernel(const struct brim_infer *c, const struct brim_shape *weight,
                               struct brim_window *w)
{
    int64_t stated[BRIM_MAX_SPATIAL];
    const bool has = brim_node_attr(c->node, "kernel_shape") != NULL;

    BRIM_TRY(read_ints(c, &(struct ints_rule){"kernel_shape", (size_t)w->rank, 1, 1}, stated));
    for (int i = 0; i < w->rank; i++) {
        w->kernel[i] = weight->dim[i + 2] < 0 ? stated[i] : weight->dim[i + 2];
        if (has && stated[i] != w->kernel[i]) {
            return brim_infer_fail(c,
                                   "weight has kernel size %lld on spatial axis %d, "
                                   "expected kernel_shape's %lld",
                                   (long long)w->kernel[i], i, (long long)stated[i]);
        }
    }
    return BRIM_OK;
}

brim_status brim_conv_resolve(const struct brim_infer *c, const struct brim_shape *x,
                              const struct brim_shape *weight, const struct brim_shape *bias,
                              struct brim_conv *conv)
{
    BRIM_TRY(check_rank(c, x));
    if (weight->rank != x->rank) {
        return brim_infer_fail(c, "weight has rank %d, expected %d", weight->rank, x->rank);
    }
    *conv = (struct brim_conv){.window.rank = x->rank - 2,
                               .samples = x->dim[0],
                               .groups = brim_node_int(c->node, "group", 1),
                               .group_in = weight->dim[1]};
    BRIM_TRY(check_channels(c, x, weight, conv));
    conv->group_out = weight->dim[0] < 0 ? -1 : weight->dim[0] / conv->groups;
    if (bias != NULL && bias->rank >= 0) {
        if (bias->rank != 1 ||
            (bias->dim[0] >= 0 && weight->dim[0] >= 0 && bias->dim[0] != weight->dim[0])) {
            char text[96];
            return brim_infer_fail(c,
                                   "bias has shape %s, expected one element for each of %lld "
                                   "outputs",
                                   brim_shape_text(bias, text, sizeof text),
                                   (long long)weight->dim[0]);
        }
    }
    BRIM_TRY(read_kernel(c, weight, &conv->window));
    return resolve(c, x, false, &conv->window);
}

void brim_conv_output(const struct brim_conv *conv, struct brim_shape *y)
{
    y->rank = conv->window.rank + 2;
    y->dim[0] = conv->samples;
    y->dim[1] = conv->group_out < 0 ? -1 : conv->groups * conv->group_out;
    for (int i = 0; i < conv->window.rank; i++) {
        y->dim[i + 2] = conv->window.out[i];
    }
}
