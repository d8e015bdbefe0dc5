/* plan.c - choose the steps that compute the wanted values. SPDX-License-Identifier: Apache-2.0
 *
 * Nodes are in topological order, so one walk backwards finds what is needed and one walk forwards
 * makes the steps: a fused dot step at the last node of its chain, an operator otherwise. What
 * depends on constants only (dequantized weights of a layer that runs in float, say) is computed
 * here, once, with the same kernels.
 */
#include "run/step.h"

struct builder {
    struct brim_plan *plan;
    struct brim_arena scratch;
    struct brim_dot_step **tail;  /* [n_nodes] the dot step that ends at this node */
    struct brim_code_step **code; /* [n_nodes] or the step of codes */
    bool *known;                  /* [n_values] depends on constants only */
    size_t *last_use;             /* [n_values] step */
};

static bool all_inputs_known(const struct builder *b, const struct brim_node *n)
{
    for (size_t i = 0; i < n->n_in; i++) {
        if (n->in[i] >= 0 && !b->known[n->in[i]]) {
            return false;
        }
    }
    return true;
}

static bool any_output_needed(const struct builder *b, const struct brim_node *n)
{
    for (size_t i = 0; i < n->n_out; i++) {
        if (n->out[i] >= 0 && b->plan->needed[n->out[i]]) {
            return true;
        }
    }
    return false;
}

static void find_known(struct builder *b)
{
    const struct brim_graph *g = b->plan->g;

    for (size_t v = 0; v < g->n_values; v++) {
        b->known[v] = g->values[v].constant != NULL;
        b->plan->constant[v] = g->values[v].constant;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        if (b->tail[i] != NULL || !all_inputs_known(b, n)) {
            continue;
        }
        b->code[i] = NULL; /* the nodes themselves are folded */
        for (size_t k = 0; k < n->n_out; k++) {
            if (n->out[k] >= 0) {
                b->known[n->out[k]] = true;
            }
        }
    }
}

static void find_needed(struct builder *b)
{
    const struct brim_graph *g = b->plan->g;
    bool *needed = b->plan->needed;

    for (size_t i = g->n_nodes; i-- > 0;) {
        const struct brim_node *n = &g->nodes[i];
        if (!any_output_needed(b, n)) {
            continue;
        }
        if (b->tail[i] != NULL) {
            needed[b->tail[i]->dot->x] = true;
            if (b->tail[i]->dot->x_zero_any) {
                needed[b->tail[i]->dot->x_zero_value] = true;
            }
            continue;
        }
        for (size_t k = 0; b->code[i] != NULL && k < b->code[i]->n_in; k++) {
            needed[b->code[i]->in[k]] = true;
        }
        if (b->code[i] != NULL) {
            continue;
        }
        for (size_t k = 0; k < n->n_in; k++) {
            if (n->in[k] >= 0) {
                needed[n->in[k]] = true;
            }
        }
    }
}

static brim_status find_kernel(const struct builder *b, const struct brim_node *n,
                               const struct brim_op_kernel **kernel)
{
    *kernel = brim_op_kernel_find(n->domain, n->op_type);
    if (*kernel == NULL) {
        return brim_fail(b->plan->ctx, BRIM_ERR_UNSUPPORTED, "node '%s' (%s): cannot be run",
                         n->name, n->op_type);
    }
    return BRIM_OK;
}

/* Allocate outputs from the plan's arena and run the node. */
static brim_status fold(struct builder *b, const struct brim_node *n)
{
    struct brim_plan *plan = b->plan;
    const struct brim_tensor **in =
        brim_arena_zalloc(&b->scratch, n->n_in + 1, sizeof(struct brim_tensor *));
    struct brim_type *type = brim_arena_zalloc(&b->scratch, n->n_out + 1, sizeof *type);
    struct brim_tensor *out = brim_arena_zalloc(&plan->arena, n->n_out + 1, sizeof *out);
    const struct brim_op_kernel *kernel;
    void *state = NULL;

    if (in == NULL || type == NULL || out == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(find_kernel(b, n, &kernel));
    for (size_t i = 0; i < n->n_in; i++) {
        in[i] = n->in[i] < 0 ? NULL : plan->constant[n->in[i]];
    }
    BRIM_TRY(brim_exec_types(plan, n, in, type, &b->scratch));
    for (size_t i = 0; i < n->n_out; i++) {
        size_t bytes = 0;
        out[i].type = type[i];
        if (n->out[i] < 0) {
            continue;
        }
        BRIM_TRY(brim_tensor_bytes(plan->ctx, &type[i], &bytes));
        out[i].data = brim_arena_alloc(&plan->arena, bytes + 1, 1);
        if (out[i].data == NULL) {
            return BRIM_ERR_NOMEM;
        }
        plan->constant[n->out[i]] = &out[i];
    }
    struct brim_op_call call = {.ctx = plan->ctx,
                                .node = n,
                                .opset = brim_graph_opset(plan->g, n->domain),
                                .n_in = n->n_in,
                                .n_out = n->n_out,
                                .in = in,
                                .out = out,
                                .scratch = &b->scratch,
                                .state = &state};
    const brim_status status = kernel->run(&call);
    if (state != NULL && kernel->free_state != NULL) {
        kernel->free_state(plan->ctx, state);
    }
    return status;
}

static brim_status add_steps(struct builder *b)
{
    struct brim_plan *plan = b->plan;
    const struct brim_graph *g = plan->g;

    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        struct brim_step s = {.node = i, .dot = b->tail[i], .code = b->code[i]};
        if (!any_output_needed(b, n)) {
            continue;
        }
        if (s.dot == NULL && s.code == NULL && all_inputs_known(b, n)) {
            BRIM_TRY(fold(b, n));
            continue;
        }
        if (s.dot == NULL && s.code == NULL) {
            BRIM_TRY(find_kernel(b, n, &s.kernel));
        }
        plan->max_in = n->n_in > plan->max_in ? n->n_in : plan->max_in;
        plan->max_out = n->n_out > plan->max_out ? n->n_out : plan->max_out;
        if (s.dot != NULL) { /* its types come from the layer's own node */
            const struct brim_node *d = &g->nodes[s.dot->dot->node];
            plan->max_in = d->n_in > plan->max_in ? d->n_in : plan->max_in;
        }
        plan->steps[plan->n_steps++] = s;
    }
    return BRIM_OK;
}

/* The kernels of dot layers, once it is known how their values lie. */
static brim_status prepare_dots(struct brim_plan *plan)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        struct brim_dot_step *s = plan->steps[i].dot;
        const brim_status status = s != NULL ? brim_dot_step_prepare(plan, s) : BRIM_OK;
        if (status != BRIM_OK) {
            return brim_fail_at(plan->ctx, status, "layer '%s'", s->dot->name);
        }
    }
    return BRIM_OK;
}

/* Shape rules look at the values of integers only, so without integers that a run computes, the
 * types of the inputs decide all others. */
static void find_static(struct brim_plan *plan)
{
    plan->is_static = true;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const struct brim_step *s = &plan->steps[i];
        const struct brim_node *n = &plan->g->nodes[s->node];
        for (size_t k = 0; s->kernel != NULL && k < n->n_in; k++) {
            const enum brim_dtype t =
                n->in[k] < 0 ? BRIM_FLOAT : plan->g->values[n->in[k]].type.dtype;
            plan->is_static &= n->in[k] < 0 || plan->constant[n->in[k]] != NULL ||
                               (t != BRIM_INT32 && t != BRIM_INT64 && t != BRIM_UNDEFINED);
        }
        for (size_t k = 0; s->kernel != NULL && k < n->n_out; k++) {
            plan->is_static &= n->out[k] >= 0;
        }
    }
}

/* The step uses the values it reads and writes. */
static void mark_uses(struct builder *b, size_t step)
{
    const struct brim_step *s = &b->plan->steps[step];
    const struct brim_node *n = &b->plan->g->nodes[s->node];

    if (s->dot != NULL) {
        b->last_use[s->dot->dot->x] = step;
        if (s->dot->dot->x_zero_any) {
            b->last_use[s->dot->dot->x_zero_value] = step;
        }
        b->last_use[s->dot->out] = step;
        return;
    }
    if (s->code != NULL) {
        for (size_t k = 0; k < s->code->n_in; k++) {
            b->last_use[s->code->in[k]] = step;
        }
        b->last_use[s->code->out] = step;
        return;
    }
    for (size_t k = 0; k < n->n_in; k++) {
        if (n->in[k] >= 0) {
            b->last_use[n->in[k]] = step;
        }
    }
    for (size_t k = 0; k < n->n_out; k++) {
        if (n->out[k] >= 0) {
            b->last_use[n->out[k]] = step;
        }
    }
}

static brim_status find_releases(struct builder *b)
{
    struct brim_plan *plan = b->plan;
    const size_t n_values = plan->g->n_values;
    int32_t *list = brim_arena_alloc(&plan->arena, n_values, sizeof *list);
    size_t *first = brim_arena_zalloc(&b->scratch, plan->n_steps + 1, sizeof *first);

    b->last_use = brim_arena_alloc(&b->scratch, n_values, sizeof *b->last_use);
    if (list == NULL || first == NULL || b->last_use == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t v = 0; v < n_values; v++) {
        b->last_use[v] = SIZE_MAX;
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        mark_uses(b, i);
    }
    for (size_t v = 0; v < n_values; v++) {
        if (plan->wanted[v] || plan->constant[v] != NULL) {
            b->last_use[v] = SIZE_MAX;
        } else if (b->last_use[v] != SIZE_MAX) {
            first[b->last_use[v] + 1]++;
        }
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        first[i + 1] += first[i];
        plan->steps[i].release = list + first[i];
    }
    for (size_t v = 0; v < n_values; v++) {
        if (b->last_use[v] != SIZE_MAX) {
            struct brim_step *s = &plan->steps[b->last_use[v]];
            list[first[b->last_use[v]] + s->n_release++] = (int32_t)v;
        }
    }
    return BRIM_OK;
}

static brim_status build(struct builder *b)
{
    struct brim_plan *plan = b->plan;
    const struct brim_graph *g = plan->g;

    BRIM_TRY(brim_dots_find(plan->ctx, g, &plan->dots));
    BRIM_TRY(brim_plan_fuse(plan));
    for (size_t i = 0; i < plan->dots.count; i++) {
        if (plan->dot_step[i] != NULL) {
            b->tail[plan->dot_step[i]->tail] = plan->dot_step[i];
        }
    }
    for (size_t i = 0; i < plan->n_code_steps; i++) {
        struct brim_code_step *s = &plan->code_step[i];
        if (b->tail[s->tail] == NULL && b->code[s->tail] == NULL) {
            b->code[s->tail] = s;
        }
    }
    find_known(b);
    find_needed(b);
    BRIM_TRY(add_steps(b));
    BRIM_TRY(brim_plan_layout(plan));
    BRIM_TRY(prepare_dots(plan));
    find_static(plan);
    return find_releases(b);
}

static brim_status mark_wanted(struct brim_plan *plan, const struct brim_plan_params *p)
{
    const struct brim_graph *g = plan->g;
    const int32_t *wanted = p->wanted != NULL ? p->wanted : g->outputs;
    const size_t n = p->wanted != NULL ? p->n_wanted : g->n_outputs;

    for (size_t i = 0; i < n; i++) {
        if (wanted[i] < 0 || (size_t)wanted[i] >= g->n_values) {
            return brim_fail(plan->ctx, BRIM_ERR_ARG, "value %d is not in the graph",
                             (int)wanted[i]);
        }
        plan->wanted[wanted[i]] = plan->needed[wanted[i]] = true;
    }
    return BRIM_OK;
}

static brim_status fill(struct brim_plan *plan, const struct brim_plan_params *p)
{
    const struct brim_graph *g = plan->g;
    struct builder b = {.plan = plan};
    brim_status status;

    if (p->datapath != NULL) {
        plan->has_override = true;
        plan->override = *p->datapath;
    }
    plan->count = p->count;
    plan->observe = p->observe;
    plan->target = p->target;
    BRIM_TRY(brim_plan_check_target(plan));
    plan->max_in = plan->max_out = 1;
    plan->wanted = brim_arena_zalloc(&plan->arena, g->n_values + 1, sizeof *plan->wanted);
    plan->needed = brim_arena_zalloc(&plan->arena, g->n_values + 1, sizeof *plan->needed);
    plan->constant = brim_arena_zalloc(&plan->arena, g->n_values + 1, sizeof(struct brim_tensor *));
    plan->steps = brim_arena_zalloc(&plan->arena, g->n_nodes + 1, sizeof *plan->steps);
    if (plan->wanted == NULL || plan->needed == NULL || plan->constant == NULL ||
        plan->steps == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(mark_wanted(plan, p));
    brim_arena_init(&b.scratch, plan->ctx);
    b.tail = brim_arena_zalloc(&b.scratch, g->n_nodes + 1, sizeof(struct brim_dot_step *));
    b.code = brim_arena_zalloc(&b.scratch, g->n_nodes + 1, sizeof(struct brim_code_step *));
    b.known = brim_arena_zalloc(&b.scratch, g->n_values + 1, sizeof *b.known);
    status = b.tail == NULL || b.code == NULL || b.known == NULL ? BRIM_ERR_NOMEM : build(&b);
    brim_arena_free(&b.scratch);
    return status;
}

brim_status brim_plan_create(brim_ctx *ctx, const struct brim_graph *g,
                             const struct brim_plan_params *p, struct brim_plan **out)
{
    struct brim_plan *plan = brim_zalloc(ctx, 1, sizeof *plan);

    if (plan == NULL) {
        return BRIM_ERR_NOMEM;
    }
    plan->ctx = ctx;
    plan->g = g;
    brim_arena_init(&plan->arena, ctx);
    brim_arena_init(&plan->dots.arena, ctx);
    const brim_status status = fill(plan, p);
    if (status != BRIM_OK) {
        brim_plan_free(plan);
        return status;
    }
    *out = plan;
    return BRIM_OK;
}

void brim_plan_free(struct brim_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    brim_ctx *ctx = plan->ctx;

    for (size_t i = 0; plan->dot_step != NULL && i < plan->dots.count; i++) {
        if (plan->dot_step[i] != NULL) {
            brim_dot_step_free(ctx, plan->dot_step[i]);
        }
    }
    brim_dots_free(&plan->dots);
    brim_arena_free(&plan->arena);
    brim_free(ctx, plan);
}

const struct brim_dots *brim_plan_dots(const struct brim_plan *plan)
{
    return &plan->dots;
}

bool brim_plan_dot_runs(const struct brim_plan *plan, size_t i, const brim_datapath **dp)
{
    const struct brim_dot_step *s = plan->dot_step[i];

    if (s == NULL || s->kernel == NULL) {
        return false;
    }
    *dp = s->datapath;
    return true;
}

bool brim_plan_dot_observed(const struct brim_plan *plan, size_t i)
{
    const struct brim_dot_step *s = plan->dot_step[i];

    return s != NULL && s->kernel != NULL && s->observed;
}
