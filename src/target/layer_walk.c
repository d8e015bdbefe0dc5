/* layer_walk.c - a dot layer as a target's kernels walk it. SPDX-License-Identifier: Apache-2.0 */
#include "target/layer_walk.h"

#include <string.h>

#include "base/intops.h"

static bool is_signed(enum brim_dtype t)
{
    return t == BRIM_INT4 || t == BRIM_INT8 || t == BRIM_INT16;
}

static bool is_wide_type(enum brim_dtype t)
{
    return t == BRIM_INT16 || t == BRIM_UINT16;
}

/* A type of the other signedness than the operand. */
static bool is_other(enum brim_dtype t, const brim_operand *o)
{
    return is_signed(t) != (o->min < 0);
}

/* What is added to raw codes of type t, the least of which is `least`. */
static int64_t shift_of(const brim_operand *o, enum brim_dtype t, int64_t least)
{
    const int64_t half = is_wide_type(t) ? 32768 : 128; /* 4 bits are unpacked to 8 */

    if (o->fit == BRIM_FIT_RANGE) {
        return o->min - least;
    }
    if (o->fit == BRIM_FIT_TYPE && is_other(t, o)) {
        return is_signed(t) ? half : -half;
    }
    return 0;
}

/* "QLinearConv", or "QLinearConv:int8" for inputs of int8. */
static bool is_operator(const char *text, const struct brim_dot *d)
{
    const size_t n = strlen(d->op_type);

    return strncmp(text, d->op_type, n) == 0 &&
           (text[n] == '\0' ||
            (text[n] == ':' && strcmp(text + n + 1, brim_dtype_name(d->x_dtype)) == 0));
}

static bool has_wide_operator(const brim_target *t, const struct brim_dot *d)
{
    for (size_t i = 0; d->op_type != NULL && i < t->n_wide_operators; i++) {
        if (is_operator(t->wide_operators[i], d)) {
            return true;
        }
    }
    return false;
}

static const brim_walk *walk_of(const brim_target *t, const struct brim_dot *d)
{
    if (d->kind == BRIM_DOT_MATMUL) {
        return &t->matrix;
    }
    return d->groups > 1 && d->groups == d->n && d->conv.c_in == d->conv.groups ? &t->depthwise
                                                                                : &t->convolution;
}

static size_t round_up(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* The codes of one output, in two nested runs: brim's K order is outer = kernel position. */
struct runs {
    size_t outer, inner;               /* lengths */
    size_t outer_stride, inner_stride; /* in brim's K order */
    size_t inner_padded, total;
};

static struct runs runs_of(const brim_walk *w, const struct brim_dot *d, size_t tile)
{
    const size_t positions =
        d->kind == BRIM_DOT_CONV && d->k > 0 ? (size_t)(d->conv.kh * d->conv.kw) : 1;
    const size_t channels = d->k / positions;
    struct runs r = {positions, channels, channels, 1, 0, 0};

    if (w->order == BRIM_WALK_CHANNEL_KERNEL) {
        r = (struct runs){channels, positions, 1, channels, 0, 0};
    }
    r.inner_padded = round_up(r.inner, w->pad_run);
    r.total = round_up(r.outer * r.inner_padded, w->pad_end);
    if (w->lanes > 1) {
        r.total = round_up(r.total, w->lanes * tile);
    }
    return r;
}

/* The K index at position i of the walk. */
static int32_t index_at(const struct runs *r, size_t i)
{
    const size_t outer = i / r->inner_padded, inner = i % r->inner_padded;

    return outer < r->outer && inner < r->inner
               ? (int32_t)(outer * r->outer_stride + inner * r->inner_stride)
               : -1;
}

static brim_status lay_out(struct brim_arena *arena, const brim_walk *w,
                           struct brim_layer_walk *walk)
{
    const uint64_t tile = walk->target->datapath.stage[0].tile;
    const struct runs r = runs_of(w, walk->dot, (size_t)tile);
    int32_t *k = brim_arena_alloc(arena, r.total, sizeof *k);
    const size_t block = w->lanes > 1 ? w->lanes * (size_t)tile : r.total;

    if (k == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < r.total; i++) {
        size_t at = i;
        if (w->lanes > 1) { /* lane l of a block takes its every lanes-th position */
            const size_t lane = i % block / tile, nth = i % tile;
            at = i / block * block + nth * w->lanes + lane;
        }
        k[i] = index_at(&r, at);
    }
    walk->k = k;
    walk->slots = r.total;
    walk->tile = tile == 0 || tile > r.total ? r.total : (size_t)tile;
    return BRIM_OK;
}

static void weight_operands(struct brim_layer_walk *walk)
{
    const struct brim_dot *d = walk->dot;
    const brim_operand *o = &walk->target->weight;
    int64_t least = INT64_MAX, greatest = INT64_MIN;

    walk->w_raw = o->fit != BRIM_FIT_ZERO;
    for (size_t c = 0; c < d->n; c++) {
        const int64_t zero = brim_walk_weight_shift(walk, c);
        for (size_t i = 0; i < d->k; i++) {
            least = brim_min_i64(least, d->w[c * d->k + i] + zero);
            greatest = brim_max_i64(greatest, d->w[c * d->k + i] + zero);
        }
    }
    walk->w_type_shift = o->fit == BRIM_FIT_ZERO ? 0 : shift_of(o, d->w_dtype, least);
    walk->w_min = least + walk->w_type_shift;
    walk->w_max = greatest + walk->w_type_shift;
}

brim_status brim_layer_walk_check(brim_ctx *ctx, const struct brim_dot *dot)
{
    if (dot->vector > 0 || dot->x_code != NULL || dot->x_scale_bits > 0) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                         "layer '%s': has scales for vectors of products, which no target adds up",
                         dot->name);
    }
    return BRIM_OK;
}

brim_status brim_layer_walk(struct brim_arena *arena, const brim_target *target,
                            const struct brim_dot *dot, struct brim_layer_walk *walk)
{
    const brim_walk *w = walk_of(target, dot);
    const brim_operand *x = &target->input;

    BRIM_TRY(brim_layer_walk_check(arena->ctx, dot));
    *walk = (struct brim_layer_walk){.target = target, .dot = dot};
    walk->wide = w->wide || has_wide_operator(target, dot) ||
                 (x->fit == BRIM_FIT_WIDE && is_other(dot->x_dtype, x)) ||
                 (target->weight.fit == BRIM_FIT_WIDE && is_other(dot->w_dtype, &target->weight));
    if (walk->wide) {
        walk->fits = true;
        return BRIM_OK;
    }
    if (x->fit == BRIM_FIT_ZERO && dot->x_zero_any) {
        return brim_fail(arena->ctx, BRIM_ERR_UNSUPPORTED,
                         "layer '%s': finds its zero point at run time, and target '%s' takes zero "
                         "points off before it multiplies",
                         dot->name, target->name);
    }
    walk->x_shift = x->fit == BRIM_FIT_ZERO ? -dot->x_zero : shift_of(x, dot->x_dtype, dot->x_min);
    walk->x_min = dot->x_min + walk->x_shift;
    walk->x_max = dot->x_max + walk->x_shift;
    weight_operands(walk);
    walk->fits = walk->x_min >= x->min && walk->x_max <= x->max &&
                 walk->w_min >= target->weight.min && walk->w_max <= target->weight.max;
    return lay_out(arena, w, walk);
}

void brim_walk_weights(const struct brim_layer_walk *walk, size_t c, int32_t *w)
{
    const int32_t *from = walk->dot->w + c * walk->dot->k;
    const int32_t shift = (int32_t)brim_walk_weight_shift(walk, c);

    for (size_t i = 0; i < walk->slots; i++) {
        w[i] = walk->k[i] < 0 ? 0 : from[walk->k[i]] + shift;
    }
}

void brim_walk_inputs(const struct brim_layer_walk *walk, const int32_t *x, int32_t *slot)
{
    const int32_t shift = (int32_t)walk->x_shift, padding = (int32_t)walk->x_min;

    for (size_t i = 0; i < walk->slots; i++) {
        slot[i] = walk->k[i] < 0 ? padding : x[walk->k[i]] + shift;
    }
}

int64_t brim_walk_correction(const struct brim_layer_walk *walk, size_t c, const int32_t *x)
{
    const struct brim_dot *d = walk->dot;
    const int32_t *w = d->w + c * d->k;
    int64_t weights = 0, inputs = 0;

    for (size_t i = 0; i < d->k; i++) {
        weights += w[i];
        inputs += x[i];
    }
    return walk->x_shift * weights +
           brim_walk_weight_shift(walk, c) * (inputs + (int64_t)d->k * walk->x_shift);
}
