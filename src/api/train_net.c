/* train_net.c - networks of brim_train(): weights, inputs and engine of every layer.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "api/train_flow.h"
#include "base/intops.h"

static brim_status allocate(struct brim_train_flow *f, struct brim_train_net *n)
{
    n->count = n->view->count;
    n->weights = brim_arena_zalloc(&f->arena, n->count + 1, sizeof(void *));
    n->inputs = brim_arena_zalloc(&f->arena, n->count + 1, sizeof(void *));
    return n->weights != NULL && n->inputs != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
}

static brim_status create(struct brim_train_flow *f, const struct brim_graph *graph,
                          struct brim_train_net *n)
{
    const struct brim_network_spec spec = {
        .graph = graph,
        .dots = n->view,
        .weights = n->weights,
        .inputs = n->inputs,
        .params = &n->params,
        .batch = f->p->batch,
        .seed = f->ctx->params.seed,
    };

    return brim_network_create(f->ctx, &spec, &n->net);
}

/* The parameter "<layer>.<part>", or NULL. */
static struct brim_param *find_param(const struct brim_train_net *n, const char *layer,
                                     const char *part)
{
    const size_t length = strlen(layer);

    for (size_t i = 0; i < n->params.count; i++) {
        struct brim_param *p = n->params.param[i];
        if (strncmp(p->name, layer, length) == 0 && p->name[length] == '.' &&
            strcmp(p->name + length + 1, part) == 0) {
            return p;
        }
    }
    return NULL;
}

#define MUCH_SMALLER 0.5

/* Weights much smaller than those of a fresh network (the input's scale is in them: pixels of 0..255)
 * take steps that are smaller as much. Quantized weights see to that themselves. */
static void fit_rates(struct brim_train_net *n)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct brim_dot *d = &n->view->dot[i];
        struct brim_param *p = find_param(n, d->name, "weight");
        double sum = 0.0;
        for (size_t k = 0; k < d->n * d->k; k++) {
            sum += (double)d->w_f32[k] * (double)d->w_f32[k];
        }
        const double relative =
            sqrt(sum / (2.0 * (double)d->n)); /* root mean square, over sqrt(2 / k) */
        if (p != NULL && relative > 0.0 && relative < MUCH_SMALLER) {
            p->rate = (float)relative;
        }
    }
}

static brim_status float_weights(struct brim_train_net *n, size_t i)
{
    const struct brim_dot *d = &n->view->dot[i];
    const struct brim_weights_spec spec = {
        .name = d->name, .n = d->n, .k = d->k, .method = BRIM_TRAIN_FLOAT, .w = d->w_f32};

    return brim_weights_create(&n->params, &spec, &n->weights[i]);
}

brim_status brim_train_net_float(struct brim_train_flow *f, const struct brim_graph *graph,
                                 bool learns, struct brim_train_net *n)
{
    brim_params_init(&n->params, f->ctx);
    BRIM_TRY(brim_graph_clone(graph, &n->graph));
    BRIM_TRY(brim_graph_infer(n->graph));
    BRIM_TRY(brim_dots_find(f->ctx, n->graph, &n->dots));
    n->view = &n->dots;
    BRIM_TRY(allocate(f, n));
    for (size_t i = 0; i < n->count; i++) {
        if (n->view->dot[i].codes) {
            return brim_fail(f->ctx, BRIM_ERR_ARG,
                             "layer '%s': is quantized already, expected a float model",
                             n->view->dot[i].name);
        }
        BRIM_TRY(float_weights(n, i));
    }
    BRIM_TRY(create(f, n->graph, n));
    fit_rates(n);
    for (size_t i = 0; i < n->params.count && !learns; i++) {
        n->params.param[i]->learned = false;
    }
    return BRIM_OK;
}

/* ---- quantized ---- */

static bool is_depthwise(const struct brim_dot *d)
{
    return d->kind == BRIM_DOT_CONV && d->groups > 1 && d->conv.c_in == d->conv.groups;
}

static brim_train_norm norm_of(const brim_train_params *p, const struct brim_dot *d)
{
    if (!p->norm_auto) {
        return p->norm;
    }
    return p->method == BRIM_TRAIN_A2Q || is_depthwise(d) ? BRIM_NORM_L1 : BRIM_NORM_ZERO_CENTRED;
}

static brim_status quantized_weights(struct brim_train_flow *f, struct brim_train_net *n, size_t i,
                                     const struct brim_train_start *start)
{
    const struct brim_flow_layer *l = &f->q.layer[i];
    const struct brim_grid *grid = &l->grid[0];
    const struct brim_dot *d = l->dot;
    const struct brim_weights_spec spec = {
        .name = d->name,
        .n = d->n,
        .k = d->k,
        .method = f->p->method == BRIM_TRAIN_PQS ? BRIM_TRAIN_QAT : f->p->method,
        .norm = norm_of(f->p, d),
        .bits = l->wbits,
        .x_min = brim_min_i64(grid->lo, 0),
        .x_max = brim_max_i64(grid->hi, 0),
        .datapath = l->datapath,
        .w = d->w_f32,
        .scale = start->scale,
        .codes = start->codes,
        .project = f->p->init == BRIM_INIT_PROJECT,
    };

    return brim_weights_create(&n->params, &spec, &n->weights[i]);
}

static bool same_grid(const struct brim_grid *a, const struct brim_grid *b)
{
    return a->dtype == b->dtype && a->lo == b->lo && a->hi == b->hi && a->zero == b->zero &&
           a->scale == b->scale;
}

/* Layers that read the same value on the same grid share it, and its scale. The model's own input is
 * data, whose range does not move. */
static brim_status quantized_input(struct brim_train_flow *f, struct brim_train_net *n, size_t i)
{
    const struct brim_flow_layer *l = &f->q.layer[i];

    for (size_t j = 0; j < i; j++) {
        if (n->inputs[j] != NULL && f->q.layer[j].dot->x == l->dot->x &&
            same_grid(&f->q.layer[j].grid[0], &l->grid[0])) {
            n->inputs[i] = n->inputs[j];
            return BRIM_OK;
        }
    }
    n->inputs[i] = brim_arena_zalloc(&f->arena, 1, sizeof **n->inputs);
    if (n->inputs[i] == NULL) {
        return BRIM_ERR_NOMEM;
    }
    return brim_inputs_init(n->inputs[i], &n->params, l->dot->name, &l->grid[0], l->input);
}

/* The bias that the solver corrected, where the network learns one. */
static void start_bias(struct brim_train_net *n, const struct brim_dot *d, const float *bias)
{
    struct brim_param *p = bias == NULL ? NULL : find_param(n, d->name, "bias");

    if (p != NULL && p->count == d->n) {
        memcpy(p->value, bias, d->n * sizeof *bias);
    }
}

brim_status brim_train_net_quantized(struct brim_train_flow *f, struct brim_train_net *n)
{
    struct brim_train_start *start = NULL;

    brim_params_init(&n->params, f->ctx);
    n->view = &f->q.dots;
    BRIM_TRY(allocate(f, n));
    BRIM_TRY(brim_train_start(f, &start));
    for (size_t i = 0; i < n->count; i++) {
        if (f->q.layer[i].keep_float) {
            BRIM_TRY(float_weights(n, i));
        } else {
            BRIM_TRY(quantized_weights(f, n, i, &start[i]));
            BRIM_TRY(quantized_input(f, n, i));
        }
    }
    BRIM_TRY(create(f, f->q.source, n));
    for (size_t i = 0; i < n->count; i++) {
        start_bias(n, n->view->dot + i, start[i].bias);
    }
    return BRIM_OK;
}

void brim_train_net_close(struct brim_train_net *n)
{
    brim_network_free(n->net);
    for (size_t i = 0; n->weights != NULL && i < n->count; i++) {
        brim_weights_free(n->weights[i]);
    }
    if (n->params.arena.ctx != NULL) {
        brim_params_free(&n->params);
    }
    brim_dots_free(&n->dots);
    brim_graph_free(n->graph);
    *n = (struct brim_train_net){.net = NULL};
}
