/* fuse.c - which nodes an integer step stands for. SPDX-License-Identifier: Apache-2.0
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
 *
 * What lies between dot layers is fused by the same rules: QuantizeLinear of a float value, the sum
 * of two dequantized values, the mean of one. A DequantizeLinear that only such steps read is never
 * run.
 */
#include <math.h>
#include <string.h>

#include "base/intops.h"
#include "run/step.h"

struct fusion {
    struct brim_plan *plan;
    size_t *uses;    /* [n_values] node inputs and graph outputs */
    int32_t *reader; /* [n_values] a node that reads it */
    int32_t *writer; /* [n_values] the node that computes it, -1 = none */
    bool clipped;    /* a Relu or Clip was met: */
    float clip_lo, clip_hi;
};

static brim_status count_uses(struct fusion *f, struct brim_arena *scratch)
{
    const struct brim_graph *g = f->plan->g;

    f->uses = brim_arena_zalloc(scratch, g->n_values, sizeof *f->uses);
    f->reader = brim_arena_zalloc(scratch, g->n_values, sizeof *f->reader);
    f->writer = brim_arena_alloc(scratch, g->n_values + 1, sizeof *f->writer);
    if (f->uses == NULL || f->reader == NULL || f->writer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t v = 0; v < g->n_values; v++) {
        f->writer[v] = -1;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (size_t k = 0; k < g->nodes[i].n_in; k++) {
            if (g->nodes[i].in[k] >= 0) {
                f->uses[g->nodes[i].in[k]]++;
                f->reader[g->nodes[i].in[k]] = (int32_t)i;
            }
        }
        for (size_t k = 0; k < g->nodes[i].n_out; k++) {
            if (g->nodes[i].out[k] >= 0) {
                f->writer[g->nodes[i].out[k]] = (int32_t)i;
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
static int64_t bound_code(float v, const struct brim_grid *s)
{
    const float r = v / s->scale;

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
                      struct brim_grid *s)
{
    const struct brim_graph *g = f->plan->g;
    const enum brim_dtype type = g->values[n->out[0]].type.dtype;

    s->zero = 0;
    if (!code_type(type) || !scalar_float(g, n, i, &s->scale) || !(s->scale > 0.0f) ||
        isinf(s->scale) || (given(n, i + 1) && !scalar_code(g, n, i + 1, &s->zero))) {
        return false;
    }
    s->dtype = type;
    brim_dtype_range(type, &s->lo, &s->hi);
    if (f->clipped) {
        const int64_t lo = bound_code(f->clip_lo, s), hi = bound_code(f->clip_hi, s);
        s->lo = lo;
        s->hi = hi;
    }
    return true;
}

/* Where a chain of nodes has come to. */
struct chain {
    int32_t value;
    size_t tail;
    struct brim_grid grid;
};

/* A Clip of codes behind the quantization: codes narrower than their type. */
static void take_code_clip(const struct fusion *f, struct chain *c)
{
    const struct brim_graph *g = f->plan->g;
    const struct brim_node *n = only_reader(f, c->value);
    int64_t lo = INT64_MIN, hi = INT64_MAX;

    if (n == NULL || !is_op(n, "Clip") || brim_graph_opset(g, "") < 11 || n->in[0] != c->value ||
        (given(n, 1) && !scalar_code(g, n, 1, &lo)) ||
        (given(n, 2) && !scalar_code(g, n, 2, &hi)) || lo > hi) {
        return;
    }
    c->grid.lo = brim_clip_i64(c->grid.lo, lo, hi);
    c->grid.hi = brim_clip_i64(c->grid.hi, lo, hi);
    c->value = n->out[0];
    c->tail = (size_t)(n - g->nodes);
}

/* The QuantizeLinear n; false when it is not one that a step may stand for. */
static bool take_quantize(const struct fusion *f, const struct brim_node *n, struct chain *c)
{
    if (!is_op(n, "QuantizeLinear") || brim_node_int(n, "block_size", 0) != 0 ||
        !take_grid(f, n, 1, &c->grid)) {
        return false;
    }
    c->value = n->out[0];
    c->tail = (size_t)(n - f->plan->g->nodes);
    take_code_clip(f, c);
    return true;
}

/* From a float value on to its codes; false when the chain does not end in codes. */
static bool follow_float(struct fusion *f, int32_t value, struct chain *c)
{
    f->clipped = false;
    f->clip_lo = -INFINITY;
    f->clip_hi = INFINITY;
    for (;;) {
        const struct brim_node *n = only_reader(f, value);
        if (n == NULL || n->in[0] != value) {
            return false;
        }
        if (take_quantize(f, n, c)) {
            return true;
        }
        if (!take_clip(f, n)) {
            return false;
        }
        value = n->out[0];
    }
}

static void end_in_codes(struct brim_dot_step *s, const struct chain *c)
{
    s->emit = BRIM_EMIT_CODES;
    s->y = c->grid;
    s->out = c->value;
    s->tail = c->tail;
}

/* Vectors with float scales: no integer is left to requantize. */
static bool single_level(const struct brim_dot *d)
{
    return d->vector > 0 && d->factor == NULL;
}

/* Fill s; false when the layer cannot be run in integers here. */
static bool fuse_one(struct fusion *f, struct brim_dot_step *s)
{
    const struct brim_graph *g = f->plan->g;
    const struct brim_node *n = &g->nodes[s->dot->node];

    struct chain c = {.value = s->dot->y, .tail = s->dot->node};

    s->tail = c.tail;
    s->out = c.value;
    if (is_op(n, "ConvInteger") || is_op(n, "MatMulInteger")) {
        s->emit = BRIM_EMIT_ACC;
        s->y.dtype = BRIM_INT32;
        return s->dot->bias == NULL;
    }
    const bool gemm = strcmp(n->op_type, "QGemm") == 0;
    if (is_op(n, "QLinearConv") || is_op(n, "QLinearMatMul") || (gemm && given(n, 7))) {
        f->clipped = false;
        if (s->dot->bias != NULL || !take_grid(f, n, gemm ? 7 : 6, &c.grid)) {
            return false;
        }
        take_code_clip(f, &c);
        end_in_codes(s, &c);
        return true;
    }
    s->emit = BRIM_EMIT_FLOAT;
    s->y.dtype = BRIM_FLOAT;
    if (s->dot->bias == NULL && !single_level(s->dot) && follow_float(f, s->dot->y, &c)) {
        end_in_codes(s, &c);
    }
    return true;
}

/* ---- between dot layers ---- */

static bool is_byte(enum brim_dtype t)
{
    return t == BRIM_UINT8 || t == BRIM_INT8;
}

/* `value` is the DequantizeLinear of codes of 8 bits on one grid. */
static bool dequantized(const struct fusion *f, int32_t value, int32_t *codes,
                        struct brim_grid *grid)
{
    const struct brim_graph *g = f->plan->g;
    const struct brim_node *n =
        value < 0 || f->writer[value] < 0 ? NULL : &g->nodes[f->writer[value]];

    if (n == NULL || !is_op(n, "DequantizeLinear") || brim_node_int(n, "block_size", 0) != 0 ||
        g->values[value].type.dtype != BRIM_FLOAT || !is_byte(g->values[n->in[0]].type.dtype) ||
        g->values[n->in[0]].constant != NULL) {
        return false;
    }
    *codes = n->in[0];
    grid->dtype = g->values[n->in[0]].type.dtype;
    grid->zero = 0;
    return scalar_float(g, n, 1, &grid->scale) && grid->scale > 0.0f && !isinf(grid->scale) &&
           (!given(n, 2) || scalar_code(g, n, 2, &grid->zero));
}

/* Four dimensions, all but the first known, and the same. */
static bool same_images(const struct brim_graph *g, int32_t a, int32_t b)
{
    const struct brim_shape *s = &g->values[a].type.shape, *t = &g->values[b].type.shape;

    if (s->rank != 4 || t->rank != 4 || s->dim[0] != t->dim[0]) {
        return false;
    }
    for (int i = 1; i < 4; i++) {
        if (s->dim[i] < 1 || s->dim[i] != t->dim[i]) {
            return false;
        }
    }
    return true;
}

static bool fuse_add(struct fusion *f, const struct brim_node *n, struct brim_code_step *s,
                     struct chain *c)
{
    if (!is_op(n, "Add") || !dequantized(f, n->in[0], &s->in[0], &s->x[0]) ||
        !dequantized(f, n->in[1], &s->in[1], &s->x[1]) || s->x[0].dtype != s->x[1].dtype ||
        !same_images(f->plan->g, s->in[0], s->in[1])) {
        return false;
    }
    s->kind = BRIM_CODE_ADD;
    s->n_in = 2;
    return follow_float(f, n->out[0], c);
}

static bool fuse_mean(struct fusion *f, const struct brim_node *n, struct brim_code_step *s,
                      struct chain *c)
{
    if (!is_op(n, "GlobalAveragePool") || !dequantized(f, n->in[0], &s->in[0], &s->x[0]) ||
        !same_images(f->plan->g, s->in[0], s->in[0])) {
        return false;
    }
    s->kind = BRIM_CODE_MEAN;
    s->n_in = 1;
    return follow_float(f, n->out[0], c);
}

static bool fuse_quantize(struct fusion *f, const struct brim_node *n, struct brim_code_step *s,
                          struct chain *c)
{
    const struct brim_graph *g = f->plan->g;

    if (!is_op(n, "QuantizeLinear") || g->values[n->in[0]].type.dtype != BRIM_FLOAT ||
        g->values[n->in[0]].constant != NULL || brim_node_int(n, "precision", 0) != 0) {
        return false;
    }
    s->kind = BRIM_CODE_QUANTIZE;
    s->n_in = 1;
    s->in[0] = n->in[0];
    f->clipped = false;
    return take_quantize(f, n, c);
}

static brim_status fuse_codes(struct fusion *f)
{
    struct brim_plan *plan = f->plan;
    const struct brim_graph *g = plan->g;

    plan->code_step = brim_arena_zalloc(&plan->arena, g->n_nodes + 1, sizeof *plan->code_step);
    if (plan->code_step == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct brim_code_step s = {0};
        struct chain c = {.value = -1};
        if ((fuse_quantize(f, &g->nodes[i], &s, &c) || fuse_add(f, &g->nodes[i], &s, &c) ||
             fuse_mean(f, &g->nodes[i], &s, &c)) &&
            is_byte(c.grid.dtype)) {
            s.out = c.value;
            s.tail = c.tail;
            s.y = c.grid;
            plan->code_step[plan->n_code_steps++] = s;
        }
    }
    return BRIM_OK;
}

static const brim_datapath *datapath_of(const struct brim_plan *plan, const struct brim_dot *d)
{
    if (plan->observe && d->vector == 0) {
        return NULL;
    }
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
        if (d->codes && fuse_one(&f, s)) {
            plan->dot_step[i] = s;
        }
    }
    if (status == BRIM_OK) {
        status = fuse_codes(&f);
    }
    brim_arena_free(&scratch);
    return status;
}
