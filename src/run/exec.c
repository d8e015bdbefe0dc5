/* exec.c - running a plan. SPDX-License-Identifier: Apache-2.0
 *
 * A workspace owns a pool of buffers. A value takes one when it is computed and gives it back after
 * the step that reads it last, so the pool holds as many buffers as values are alive at once:
 *
 *     step     conv1   relu1   conv2   add
 *     buffer 0 [conv1 ........]        [add]
 *     buffer 1         [relu1 ........]           relu1 is added to conv2
 *     buffer 2                 [conv2 ]
 */
#include <string.h>

#include "run/step.h"

struct buffer {
    void *data;
    size_t capacity;
    bool busy;
};

struct place {
    struct brim_type type;
    int32_t buffer; /* -1 = none */
};

struct brim_workspace {
    const struct brim_plan *plan;
    struct brim_arena arena, scratch; /* the workspace's own; one step's */
    struct brim_tensor *value;        /* [n_values] data NULL = not there */
    int32_t *buffer_of;               /* [n_values] -1 = none */
    struct buffer *buffer;            /* [n_values] slots, of which n_buffers are used */
    size_t n_buffers;
    void **state; /* [n_steps] */
    struct brim_work work;
    const struct brim_tensor **in;  /* [max_in] of the step being run */
    struct brim_tensor *out;        /* [max_out] */
    struct brim_type *type;         /* [max_out] */
    struct brim_dot_counts *counts; /* [dots.count] */
    brim_dot_observer *observer;
    void *user; /* the observer's */

    /* Of the last run, when `settled`: types and places that the next one may keep. */
    bool settled;
    struct brim_type *input; /* [n_inputs] */
    struct place *place;     /* [n_values] */
};

brim_status brim_tensor_bytes(brim_ctx *ctx, const struct brim_type *type, size_t *bytes)
{
    size_t n = brim_dtype_size(type->dtype);
    char text[128];
    bool ok = n > 0 && type->shape.rank >= 0, empty = false;

    for (int i = 0; ok && i < type->shape.rank; i++) {
        ok = type->shape.dim[i] >= 0;
        empty = empty || type->shape.dim[i] == 0;
    }
    if (!ok) {
        return brim_fail(ctx, BRIM_ERR_INTERNAL, "a tensor of type %s%s has no known size",
                         brim_dtype_name(type->dtype),
                         brim_shape_text(&type->shape, text, sizeof text));
    }
    for (int i = 0; ok && !empty && i < type->shape.rank; i++) {
        ok = brim_mul_size(n, (size_t)type->shape.dim[i], &n);
    }
    if (!ok || (!empty && n > ctx->params.max_tensor_bytes)) {
        return brim_fail(
            ctx, BRIM_ERR_UNSUPPORTED, "a tensor of type %s%s exceeds the limit of %zu bytes",
            brim_dtype_name(type->dtype), brim_shape_text(&type->shape, text, sizeof text),
            ctx->params.max_tensor_bytes);
    }
    *bytes = empty ? 0 : n;
    return BRIM_OK;
}

brim_status brim_exec_types(const struct brim_plan *plan, const struct brim_node *node,
                            const struct brim_tensor *const *in, struct brim_type *out,
                            struct brim_arena *scratch)
{
    struct brim_type *types = brim_arena_alloc(scratch, node->n_in + 1, sizeof *types);
    const struct brim_tensor **value =
        brim_arena_alloc(scratch, node->n_in + 1, sizeof(struct brim_tensor *));
    struct brim_infer c = {.ctx = plan->ctx,
                           .node = node,
                           .opset = brim_graph_opset(plan->g, node->domain),
                           .in = types,
                           .value = value,
                           .out = out};
    size_t bytes;

    if (types == NULL || value == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < node->n_in; i++) {
        types[i] = (struct brim_type){.dtype = BRIM_UNDEFINED, .shape.rank = -1};
        value[i] = NULL;
        if (in[i] != NULL) {
            types[i] = in[i]->type;
            value[i] = in[i]->data != NULL ? in[i] : NULL;
        }
    }
    for (size_t i = 0; i < node->n_out; i++) {
        out[i] = (struct brim_type){.dtype = BRIM_UNDEFINED, .shape.rank = -1};
    }
    BRIM_TRY(node->op->infer(&c));
    for (size_t i = 0; i < node->n_out; i++) {
        const brim_status s =
            node->out[i] < 0 ? BRIM_OK : brim_tensor_bytes(plan->ctx, &out[i], &bytes);
        if (s != BRIM_OK) {
            return brim_fail_at(plan->ctx, s, "node '%s' (%s)", node->name, node->op_type);
        }
    }
    return BRIM_OK;
}

/* ---- buffers ---- */

/* The smallest free buffer that is large enough; else the largest free one, made larger; else a new
 * one. So there are never more buffers than values alive at once. */
static brim_status take_buffer(struct brim_workspace *ws, size_t bytes, int32_t *slot)
{
    struct buffer *best = NULL;

    for (size_t i = 0; i < ws->n_buffers; i++) {
        struct buffer *b = &ws->buffer[i];
        if (b->busy) {
            continue;
        }
        const bool enough = b->capacity >= bytes;
        if (best == NULL || (enough && (best->capacity < bytes || b->capacity < best->capacity)) ||
            (!enough && best->capacity < bytes && b->capacity > best->capacity)) {
            best = b;
        }
    }
    if (best == NULL) {
        best = &ws->buffer[ws->n_buffers++];
        *best = (struct buffer){.data = NULL};
    }
    if (best->data == NULL || best->capacity < bytes) {
        brim_free(ws->plan->ctx, best->data);
        best->capacity = bytes > 0 ? bytes : 1;
        best->data = brim_alloc(ws->plan->ctx, best->capacity, 1);
        if (best->data == NULL) {
            best->capacity = 0;
            return BRIM_ERR_NOMEM;
        }
    }
    best->busy = true;
    *slot = (int32_t)(best - ws->buffer);
    return BRIM_OK;
}

/* Give `value` storage for a tensor of this type. */
static brim_status place(struct brim_workspace *ws, int32_t value, const struct brim_type *type)
{
    size_t bytes = 0;

    BRIM_TRY(brim_tensor_bytes(ws->plan->ctx, type, &bytes));
    BRIM_TRY(take_buffer(ws, bytes, &ws->buffer_of[value]));
    ws->value[value] = (struct brim_tensor){*type, ws->buffer[ws->buffer_of[value]].data};
    ws->place[value] = (struct place){*type, ws->buffer_of[value]};
    return BRIM_OK;
}

static void release(struct brim_workspace *ws, const struct brim_step *s)
{
    for (size_t i = 0; i < s->n_release; i++) {
        const int32_t v = s->release[i];
        if (ws->buffer_of[v] >= 0) {
            ws->buffer[ws->buffer_of[v]].busy = false;
            ws->buffer_of[v] = -1;
        }
        ws->value[v].data = NULL;
    }
}

void *brim_work_get(struct brim_work *work, size_t bytes)
{
    if (work->data == NULL || work->capacity < bytes) {
        brim_free(work->ctx, work->data);
        work->capacity = bytes + 1;
        work->data = brim_alloc(work->ctx, work->capacity, 1);
        if (work->data == NULL) {
            work->capacity = 0;
        }
    }
    return work->data;
}

/* ---- inputs ---- */

static brim_status check_input(const struct brim_plan *plan, int32_t value,
                               const struct brim_tensor *t)
{
    const struct brim_value *v = &plan->g->values[value];
    char got[128], want[128];
    size_t bytes;

    if (t->data == NULL) {
        return brim_fail(plan->ctx, BRIM_ERR_ARG, "input '%s': no data given", v->name);
    }
    if (v->type.dtype != BRIM_UNDEFINED && t->type.dtype != v->type.dtype) {
        return brim_fail(plan->ctx, BRIM_ERR_ARG, "input '%s': got %s, expected %s", v->name,
                         brim_dtype_name(t->type.dtype), brim_dtype_name(v->type.dtype));
    }
    bool same = v->type.shape.rank < 0 || v->type.shape.rank == t->type.shape.rank;
    for (int i = 0; same && i < v->type.shape.rank; i++) {
        same = v->type.shape.dim[i] < 0 || v->type.shape.dim[i] == t->type.shape.dim[i];
    }
    if (!same) {
        return brim_fail(plan->ctx, BRIM_ERR_ARG, "input '%s': got shape %s, expected %s", v->name,
                         brim_shape_text(&t->type.shape, got, sizeof got),
                         brim_shape_text(&v->type.shape, want, sizeof want));
    }
    return brim_tensor_bytes(plan->ctx, &t->type, &bytes);
}

static brim_status bind_inputs(struct brim_workspace *ws, const struct brim_tensor *inputs,
                               size_t n_inputs)
{
    const struct brim_plan *plan = ws->plan;

    if (n_inputs != plan->g->n_inputs) {
        return brim_fail(plan->ctx, BRIM_ERR_ARG, "got %zu inputs, expected %zu", n_inputs,
                         plan->g->n_inputs);
    }
    for (size_t i = 0; i < n_inputs; i++) {
        const int32_t v = plan->g->inputs[i];
        ws->input[i] = inputs[i].type;
        if (!plan->needed[v]) {
            continue;
        }
        BRIM_TRY(check_input(plan, v, &inputs[i]));
        if (plan->wanted[v]) { /* outlives the call */
            size_t bytes = 0;
            BRIM_TRY(brim_tensor_bytes(plan->ctx, &inputs[i].type, &bytes));
            BRIM_TRY(place(ws, v, &inputs[i].type));
            memcpy(ws->value[v].data, inputs[i].data, bytes);
        } else {
            ws->value[v] = inputs[i];
        }
    }
    return BRIM_OK;
}

static bool same_type(const struct brim_type *a, const struct brim_type *b)
{
    bool same = a->dtype == b->dtype && a->shape.rank == b->shape.rank;

    for (int i = 0; same && i < a->shape.rank; i++) {
        same = a->shape.dim[i] == b->shape.dim[i];
    }
    return same;
}

/* Inputs of the same types as in the run that everything is in place from. */
static bool rebind_inputs(struct brim_workspace *ws, const struct brim_tensor *inputs,
                          size_t n_inputs)
{
    const struct brim_plan *plan = ws->plan;

    for (size_t i = 0; i < plan->g->n_inputs; i++) {
        if (i >= n_inputs || !same_type(&ws->input[i], &inputs[i].type) ||
            (plan->needed[plan->g->inputs[i]] &&
             (inputs[i].data == NULL || plan->wanted[plan->g->inputs[i]]))) {
            return false;
        }
    }
    for (size_t i = 0; i < n_inputs; i++) {
        if (plan->needed[plan->g->inputs[i]]) {
            ws->value[plan->g->inputs[i]] = inputs[i];
        }
    }
    return n_inputs == plan->g->n_inputs;
}

/* ---- steps ---- */

static void gather_op(struct brim_workspace *ws, const struct brim_node *n)
{
    for (size_t i = 0; i < n->n_in; i++) {
        ws->in[i] = n->in[i] < 0 ? NULL : &ws->value[n->in[i]];
    }
}

static brim_status place_op(struct brim_workspace *ws, const struct brim_node *n)
{
    gather_op(ws, n);
    BRIM_TRY(brim_exec_types(ws->plan, n, ws->in, ws->type, &ws->scratch));
    for (size_t i = 0; i < n->n_out; i++) {
        if (n->out[i] >= 0) {
            BRIM_TRY(place(ws, n->out[i], &ws->type[i]));
        }
    }
    return BRIM_OK;
}

static brim_status run_op(struct brim_workspace *ws, size_t step)
{
    const struct brim_plan *plan = ws->plan;
    const struct brim_step *s = &plan->steps[step];
    const struct brim_node *n = &plan->g->nodes[s->node];
    uint64_t constant = 0;

    gather_op(ws, n);
    for (size_t i = 0; i < n->n_in && i < 64; i++) {
        if (n->in[i] >= 0 && plan->constant[n->in[i]] != NULL) {
            constant |= (uint64_t)1 << i;
        }
    }
    for (size_t i = 0; i < n->n_out; i++) {
        ws->out[i] =
            n->out[i] >= 0 ? ws->value[n->out[i]] : (struct brim_tensor){.type = ws->type[i]};
    }
    struct brim_op_call call = {.ctx = plan->ctx,
                                .node = n,
                                .opset = brim_graph_opset(plan->g, n->domain),
                                .n_in = n->n_in,
                                .n_out = n->n_out,
                                .in = ws->in,
                                .out = ws->out,
                                .scratch = &ws->scratch,
                                .constant = constant,
                                .state = &ws->state[step]};
    return s->kernel->run(&call);
}

/* The output of a fused layer has the shape that its own node's rule gives for the input's shape;
 * every other input is constant, so its inferred type is exact. */
static brim_status place_dot(struct brim_workspace *ws, const struct brim_dot_step *s)
{
    const struct brim_plan *plan = ws->plan;
    const struct brim_graph *g = plan->g;
    const struct brim_node *n = &g->nodes[s->dot->node];
    struct brim_tensor *t = brim_arena_alloc(&ws->scratch, n->n_in, sizeof *t);
    const struct brim_tensor *x = &ws->value[s->dot->x];

    if (t == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n->n_in; i++) {
        ws->in[i] = n->in[i] < 0 ? NULL : &t[i];
        if (n->in[i] >= 0) {
            const struct brim_value *v = &g->values[n->in[i]];
            t[i] = v->constant != NULL ? *v->constant : (struct brim_tensor){.type = v->type};
        }
    }
    t[0] = (struct brim_tensor){.type = {g->values[n->in[0]].type.dtype, x->type.shape}};
    if (n->in[0] == s->dot->x) {
        t[0].type.dtype = x->type.dtype;
    }
    BRIM_TRY(brim_exec_types(plan, n, ws->in, ws->type, &ws->scratch));
    const struct brim_type type = {s->y.dtype, ws->type[0].shape};
    return place(ws, s->out, &type);
}

static brim_status run_dot(struct brim_workspace *ws, const struct brim_dot_step *s)
{
    const struct brim_dot *d = s->dot;
    const struct brim_dot_call call = {
        .x = &ws->value[d->x],
        .x_zero = d->x_zero_any ? brim_tensor_int(&ws->value[d->x_zero_value], 0) : d->x_zero,
        .y = &ws->value[s->out],
        .counts = ws->plan->count ? &ws->counts[s->index] : NULL,
        .observer = ws->observer,
        .user = ws->user,
        .scratch = &ws->scratch,
        .work = &ws->work};
    return brim_dot_step_run(s, &call);
}

static void gather_code(const struct brim_workspace *ws, const struct brim_code_step *s,
                        const struct brim_tensor *x[2])
{
    for (size_t i = 0; i < s->n_in; i++) {
        x[i] = &ws->value[s->in[i]];
    }
}

static brim_status place_code(struct brim_workspace *ws, const struct brim_code_step *s)
{
    const struct brim_tensor *x[2];
    struct brim_type type;

    gather_code(ws, s, x);
    BRIM_TRY(brim_code_step_type(ws->plan->ctx, s, x, &type));
    return place(ws, s->out, &type);
}

static brim_status run_code(struct brim_workspace *ws, const struct brim_code_step *s)
{
    const struct brim_tensor *x[2];

    gather_code(ws, s, x);
    return brim_code_step_run(s, x, &ws->value[s->out], &ws->work);
}

static brim_status run_step(struct brim_workspace *ws, size_t step)
{
    const struct brim_step *s = &ws->plan->steps[step];

    if (s->dot != NULL) {
        BRIM_TRY(ws->settled ? BRIM_OK : place_dot(ws, s->dot));
        return run_dot(ws, s->dot);
    }
    if (s->code != NULL) {
        BRIM_TRY(ws->settled ? BRIM_OK : place_code(ws, s->code));
        return run_code(ws, s->code);
    }
    BRIM_TRY(ws->settled ? BRIM_OK : place_op(ws, &ws->plan->g->nodes[s->node]));
    return run_op(ws, step);
}

/* Everything may stay where it was: buffers have grown to what their last value needs, and values
 * that are alive at once have different ones. */
static void settle(struct brim_workspace *ws)
{
    for (size_t v = 0; v < ws->plan->g->n_values; v++) {
        const struct place *p = &ws->place[v];
        if (p->buffer >= 0) {
            ws->value[v] = (struct brim_tensor){p->type, ws->buffer[p->buffer].data};
        }
    }
    ws->settled = true;
}

static void reset(struct brim_workspace *ws)
{
    const struct brim_plan *plan = ws->plan;

    for (size_t i = 0; i < ws->n_buffers; i++) {
        ws->buffer[i].busy = false;
    }
    for (size_t v = 0; v < plan->g->n_values; v++) {
        ws->buffer_of[v] = ws->place[v].buffer = -1;
        ws->value[v] = (struct brim_tensor){.data = NULL};
        if (plan->constant[v] != NULL) {
            ws->value[v] = *plan->constant[v];
        }
    }
}

brim_status brim_plan_run(const struct brim_plan *plan, struct brim_workspace *ws,
                          const struct brim_tensor *inputs, size_t n_inputs)
{
    ws->settled = ws->settled && rebind_inputs(ws, inputs, n_inputs);
    if (!ws->settled) {
        reset(ws);
        BRIM_TRY(bind_inputs(ws, inputs, n_inputs));
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        const brim_status status = run_step(ws, i);
        brim_arena_free(&ws->scratch);
        if (status != BRIM_OK) {
            ws->settled = false;
            return status;
        }
        if (!ws->settled) {
            release(ws, &plan->steps[i]);
        }
    }
    if (!ws->settled && plan->is_static) {
        settle(ws);
    }
    return BRIM_OK;
}

/* ---- the workspace itself ---- */

brim_status brim_workspace_create(brim_ctx *ctx, const struct brim_plan *plan,
                                  struct brim_workspace **out)
{
    const size_t n_values = plan->g->n_values;
    struct brim_workspace *ws = brim_zalloc(ctx, 1, sizeof *ws);

    if (ws == NULL) {
        return BRIM_ERR_NOMEM;
    }
    ws->plan = plan;
    brim_arena_init(&ws->arena, ctx);
    brim_arena_init(&ws->scratch, ctx);
    ws->value = brim_arena_zalloc(&ws->arena, n_values, sizeof *ws->value);
    ws->buffer_of = brim_arena_zalloc(&ws->arena, n_values, sizeof *ws->buffer_of);
    ws->buffer = brim_arena_zalloc(&ws->arena, n_values, sizeof *ws->buffer);
    ws->state = brim_arena_zalloc(&ws->arena, plan->n_steps, sizeof *ws->state);
    ws->work.ctx = ctx;
    ws->input = brim_arena_zalloc(&ws->arena, plan->g->n_inputs, sizeof *ws->input);
    ws->place = brim_arena_zalloc(&ws->arena, n_values, sizeof *ws->place);
    ws->in = brim_arena_zalloc(&ws->arena, plan->max_in, sizeof(struct brim_tensor *));
    ws->out = brim_arena_zalloc(&ws->arena, plan->max_out, sizeof *ws->out);
    ws->type = brim_arena_zalloc(&ws->arena, plan->max_out, sizeof *ws->type);
    ws->counts = brim_arena_zalloc(&ws->arena, plan->dots.count, sizeof *ws->counts);
    if (ws->value == NULL || ws->buffer_of == NULL || ws->buffer == NULL || ws->state == NULL ||
        ws->input == NULL || ws->place == NULL || ws->in == NULL || ws->out == NULL ||
        ws->type == NULL || ws->counts == NULL) {
        brim_workspace_free(ws);
        return BRIM_ERR_NOMEM;
    }
    *out = ws;
    return BRIM_OK;
}

void brim_workspace_free(struct brim_workspace *ws)
{
    if (ws == NULL) {
        return;
    }
    brim_ctx *ctx = ws->arena.ctx;

    for (size_t i = 0; ws->state != NULL && i < ws->plan->n_steps; i++) {
        const struct brim_op_kernel *k = ws->plan->steps[i].kernel;
        if (ws->state[i] != NULL && k != NULL && k->free_state != NULL) {
            k->free_state(ctx, ws->state[i]);
        }
    }
    brim_free(ctx, ws->work.data);
    for (size_t i = 0; ws->buffer != NULL && i < ws->n_buffers; i++) {
        brim_free(ctx, ws->buffer[i].data);
    }
    brim_arena_free(&ws->scratch);
    brim_arena_free(&ws->arena);
    brim_free(ctx, ws);
}

void brim_workspace_observe(struct brim_workspace *ws, brim_dot_observer *observer, void *user)
{
    ws->observer = observer;
    ws->user = user;
}

const struct brim_tensor *brim_workspace_value(const struct brim_workspace *ws, int32_t value)
{
    return &ws->value[value];
}

const struct brim_dot_counts *brim_workspace_counts(const struct brim_workspace *ws, size_t *n_dots)
{
    *n_dots = ws->plan->dots.count;
    return ws->plan->count ? ws->counts : NULL;
}
