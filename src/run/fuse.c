/* fuse.c - which nodes a dot layer's integer step stands for. SPDX-License-Identifier: Apache-2.0
 *
 *     codes -> [DequantizeLinear] -> Conv -> Relu | Clip -> QuantizeLinear -> Clip (of codes)
 *              '------------------------- one step --------------------------------'
 *
 * The chain is followed from the layer's output for as long as each value has one reader and is not
 * itself asked for. It ends in codes when a per-tensor QuantizeLinear with constant parameters is
 * met; otherwise the step ends at the layer's own output, in float. Bounds of Relu and Clip become
 * bounds of the codes, which is exact because rounding is monotonic. A float bias is not an integer
 * that can be added to the accumulator, so such a layer is not requantized here: the nodes behind
 * it run as they stand.
 */
#include <math.h>
#include <string.h>

#include "base/intops.h"
#include "run/step.h"

struct fusion {
    struct brim_plan *plan;
    size_t *uses;    /* [n_values] node inputs and graph outputs */
    int32_t *reader; /* [n_values] a node that reads it */
    bool clipped;    /* a Relu or Clip was met: */
    float clip_lo, clip_hi;
};

static brim_status count_uses(struct fusion *f, struct brim_arena *scratch)
{
    const struct brim_graph *g = f->plan->g;

    f->uses = brim_arena_zalloc(scratch, g->n_values, sizeof *f->uses);
    f->reader = brim_arena_zalloc(scratch, g->n_values, sizeof *f->reader);
    if (f->uses == NULL || f->reader == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t k = 0; k < g->nodes[i].n_in; k++) {
            if (g->nodes[i].in[k] >= 0) {
                f->uses[g->nodes[i].in[k]]++;
                f->reader[g->nodes[i].in[k]] = (int32_t)i;
            }
        }
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        f->uses[g->outputs[i]]++;
    }
    return BRIM_OK;
}

static bool is_op(const struct brim_node *n, const char *op_type)
{
    return n->domain[0] == '\0' && strcmp(n->op_type, op_type) == 0;
}

/* The constant at input i when it has one element, else NULL. */
static const struct brim_tensor *scalar(const struct brim_graph *g, const struct brim_node *n,
                                        size_t i)
{
    if (i >= n->n_in || n->in[i] < 0) {
        return NULL;
    }
    const struct brim_tensor *t = g->values[n->in[i]].constant;
    return t != NULL && t->data != NULL && brim_shape_count(&t->type.shape) == 1 ? t : NULL;
}

static bool given(const struct brim_node *n, size_t i)
{
    return i < n->n_in && n->in[i] >= 0;
}

static bool scalar_float(const struct brim_graph *g, const struct brim_node *n, size_t i, float *v)
{
    const struct brim_tensor *t = scalar(g, n, i);

    if (t == NULL || t->type.dtype != BRIM_FLOAT) {
        return false;
    }
    memcpy(v, t->data, sizeof *v);
    return true;
}

static bool scalar_code(const struct brim_graph *g, const struct brim_node *n, size_t i, int64_t *v)
{
    const struct brim_tensor *t = scalar(g, n, i);

    if (t == NULL) {
        return false;
    }
    if (t->type.dtype == BRIM_UINT8 || t->type.dtype == BRIM_UINT4) {
        *v = *(const uint8_t *)t->data;
    } else if (t->type.dtype == BRIM_INT8 || t->type.dtype == BRIM_INT4) {
        *v = *(const int8_t *)t->data;
    } else if (t->type.dtype == BRIM_UINT16) {
        *v = *(const uint16_t *)t->data;
    } else if (t->type.dtype == BRIM_INT16) {
        *v = *(const int16_t *)t->data;
    } else {
        return false;
    }
    return true;
}

/* The only reader of `value`, or NULL when it has several or its value is wanted. */
static const struct brim_node *only_reader(const struct fusion *f, int32_t value)
{
    if (f->uses[value] != 1 || f->plan->wanted[value]) {
        return NULL;
    }
    return &f->plan->g->nodes[f->reader[value]];
}

/* Relu, or Clip with constant bounds: narrows f's range. */
static bool take_clip(struct fusion *f, const struct brim_node *n)
{
    const struct brim_graph *g = f->plan->g;
    float lo = -INFINITY, hi = INFINITY;

    if (is_op(n, "Relu")) {
        lo = 0.0f;
    } else if (is_op(n, "Clip")) {
        const bool old = brim_graph_opset(g, "") < 11;
        if (old) {
            lo = brim_node_float(n, "min", lo);
            hi = brim_node_float(n, "max", hi);
        } else if ((given(n, 1) && !scalar_float(g, n, 1, &lo)) ||
                   (given(n, 2) && !scalar_float(g, n, 2, &hi))) {
            return false;
        }
    } else {
        return false;
    }
    if (isnan(lo) || isnan(hi) || lo > hi) {
        return false;
    }
    f->clipped = true; /* clip(clip(v, a, b), lo, hi) has the bounds clip(a), clip(b) */
    f->clip_lo = fminf(fmaxf(f->clip_lo, lo), hi);
    f->clip_hi = fminf(fmaxf(f->clip_hi, lo), hi);
    return true;
}

/* The code of a bound, as QuantizeLinear would give it. */
static int64_t bound_code(float v, const struct brim_dot_step *s)
{
    const float r = v / s->y_scale;

    if (r < -1e6f || r > 1e6f) { /* beyond every code; also the infinities */
        return r < 0.0f ? s->lo : s->hi;
    }
    return brim_clip_i64((int64_t)brim_rint((double)r) + s->zero, s->lo, s->hi);
}

static bool code_type(enum brim_dtype t)
{
    return t == BRIM_UINT8 || t == BRIM_INT8 || t == BRIM_UINT16 || t == BRIM_INT16 ||
           t == BRIM_UINT4 || t == BRIM_INT4;
}

/* A per-tensor quantization with constant parameters at inputs i (scale) and i+1 (zero point). */
static bool take_grid(const struct fusion *f, const struct brim_node *n, size_t i,
                      struct brim_dot_step *s)
{
    const struct brim_graph *g = f->plan->g;
    const enum brim_dtype type = g->values[n->out[0]].type.dtype;

    s->zero = 0;
    if (!code_type(type) || !scalar_float(g, n, i, &s->y_scale) || !(s->y_scale > 0.0f) ||
        isinf(s->y_scale) || (given(n, i + 1) && !scalar_code(g, n, i + 1, &s->zero))) {
        return false;
    }
    s->y_type = type;
    brim_dtype_range(type, &s->lo, &s->hi);
    if (f->clipped) {
        const int64_t lo = bound_code(f->clip_lo, s), hi = bound_code(f->clip_hi, s);
        s->lo = lo;
        s->hi = hi;
    }
    s->emit = BRIM_EMIT_CODES;
    return true;
}

/* A Clip of codes behind the quantization: codes narrower than their type. */
static void take_code_clip(const struct fusion *f, struct brim_dot_step *s)
{
    const struct brim_graph *g = f->plan->g;
    const struct brim_node *n = only_reader(f, s->out);
    int64_t lo = INT64_MIN, hi = INT64_MAX;

    if (n == NULL || !is_op(n, "Clip") || brim_graph_opset(g, "") < 11 || n->in[0] != s->out ||
        (given(n, 1) && !scalar_code(g, n, 1, &lo)) ||
        (given(n, 2) && !scalar_code(g, n, 2, &hi)) || lo > hi) {
        return;
    }
    s->lo = brim_clip_i64(s->lo, lo, hi);
    s->hi = brim_clip_i64(s->hi, lo, hi);
    s->out = n->out[0];
    s->tail = (size_t)(n - g->nodes);
}

static void follow_float(struct fusion *f, struct brim_dot_step *s)
{
    const struct brim_graph *g = f->plan->g;
    int32_t value = s->dot->y;

    s->emit = BRIM_EMIT_FLOAT;
    s->y_type = BRIM_FLOAT;
    if (s->dot->bias != NULL) {
        return;
    }
    f->clipped = false;
    f->clip_lo = -INFINITY;
    f->clip_hi = INFINITY;
    for (;;) {
        const struct brim_node *n = only_reader(f, value);
        if (n == NULL || n->in[0] != value) {
            return;
        }
        if (is_op(n, "QuantizeLinear") && brim_node_int(n, "block_size", 0) == 0 &&
            take_grid(f, n, 1, s)) {
            s->out = n->out[0];
            s->tail = (size_t)(n - g->nodes);
            take_code_clip(f, s);
            return;
        }
        if (!take_clip(f, n)) {
            return;
        }
        value = n->out[0];
    }
}

/* Fill s; false when the layer cannot be run in integers here. */
static bool fuse_one(struct fusion *f, struct brim_dot_step *s)
{
    const struct brim_graph *g = f->plan->g;
    const struct brim_node *n = &g->nodes[s->dot->node];

    s->tail = s->dot->node;
    s->out = s->dot->y;
    if (is_op(n, "ConvInteger") || is_op(n, "MatMulInteger")) {
        s->emit = BRIM_EMIT_ACC;
        s->y_type = BRIM_INT32;
        return s->dot->bias == NULL;
    }
    if (is_op(n, "QLinearConv") || is_op(n, "QLinearMatMul")) {
        f->clipped = false;
        if (s->dot->bias != NULL || !take_grid(f, n, 6, s)) {
            return false;
        }
        take_code_clip(f, s);
        return true;
    }
    follow_float(f, s);
    return true;
}

static const brim_datapath *datapath_of(const struct brim_plan *plan, const struct brim_dot *d)
{
    if (plan->has_override) {
        return &plan->override;
    }
    return d->has_datapath ? &d->datapath : NULL;
}

brim_status brim_plan_fuse(struct brim_plan *plan)
{
    struct fusion f = {.plan = plan};
    struct brim_arena scratch;
    brim_status status;

    brim_arena_init(&scratch, plan->ctx);
    status = count_uses(&f, &scratch);
    plan->dot_step =
        brim_arena_zalloc(&plan->arena, plan->dots.count, sizeof(struct brim_dot_step *));
    if (plan->dot_step == NULL) {
        status = BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; status == BRIM_OK && i < plan->dots.count; i++) {
        const struct brim_dot *d = &plan->dots.dot[i];
        struct brim_dot_step *s = brim_arena_zalloc(&plan->arena, 1, sizeof *s);
        if (s == NULL) {
            status = BRIM_ERR_NOMEM;
            break;
        }
        s->dot = d;
        s->index = i;
        s->datapath = datapath_of(plan, d);
        if (d->codes && d->vector == 0 && fuse_one(&f, s)) {
            plan->dot_step[i] = s;
        }
    }
    brim_arena_free(&scratch);
    return status;
}
