/* feed.c - samples through a graph, some values watched. SPDX-License-Identifier: Apache-2.0 */
#include "calibrate/feed.h"

#include <string.h>

static brim_status does_not_fit(const struct brim_feed *f, const struct brim_value *v)
{
    struct brim_shape sample = {0};
    char want[96], have[96];

    sample.rank = brim_data_shape(f->data, sample.dim);
    return brim_fail(f->ctx, BRIM_ERR_ARG, "input '%s': samples of shape %s do not fit %s", v->name,
                     brim_shape_text(&sample, have, sizeof have),
                     brim_shape_text(&v->type.shape, want, sizeof want));
}

/* The input's shape with per_run samples: its own sizes where it has them, else the data's. */
static brim_status resolve_shape(struct brim_feed *f, const struct brim_value *v)
{
    int64_t dim[8];
    const int rank = brim_data_shape(f->data, dim);
    struct brim_shape *s = &f->input.shape;
    size_t known = 1, unknown = 0;

    *s = v->type.shape;
    if (brim_shape_count(s) == (int64_t)brim_data_sample_size(f->data)) { /* no batch, or of one */
        f->fixed = true;
        f->per_run = 1;
        return BRIM_OK;
    }
    if (s->rank < 0 || s->rank == rank + 1) {
        for (int i = 0; i < rank; i++) {
            if (s->rank < 0 || s->dim[i + 1] < 0) {
                s->dim[i + 1] = dim[i];
            }
        }
        s->dim[0] = s->rank < 0 ? -1 : s->dim[0];
        s->rank = rank + 1;
    }
    if (s->rank < 1) {
        return does_not_fit(f, v);
    }
    for (int i = 1; i < s->rank; i++) {
        unknown += s->dim[i] < 0;
        if (s->dim[i] >= 0 && !brim_mul_size(known, (size_t)s->dim[i], &known)) {
            return does_not_fit(f, v);
        }
    }
    const size_t size = brim_data_sample_size(f->data);
    if (unknown > 1 || known == 0 || size % known != 0 || (unknown == 0 && known != size)) {
        return does_not_fit(f, v);
    }
    for (int i = 1; i < s->rank; i++) {
        s->dim[i] = s->dim[i] < 0 ? (int64_t)(size / known) : s->dim[i];
    }
    f->fixed = s->dim[0] > 0;
    f->per_run = f->fixed ? (size_t)s->dim[0] : f->per_run;
    s->dim[0] = (int64_t)f->per_run;
    return BRIM_OK;
}

brim_status brim_feed_open(struct brim_feed *f, brim_ctx *ctx, const struct brim_graph *g,
                           const brim_data *data, size_t per_run)
{
    size_t elements;

    *f = (struct brim_feed){.ctx = ctx, .g = g, .data = data, .per_run = per_run};
    if (g->n_inputs != 1) {
        return brim_fail(ctx, BRIM_ERR_ARG,
                         "the model has %zu inputs, expected one to feed data to", g->n_inputs);
    }
    const struct brim_value *v = &g->values[g->inputs[0]];
    f->input.dtype = BRIM_FLOAT;
    if (v->type.dtype != BRIM_FLOAT) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED, "input '%s' has type %s, expected float",
                         v->name, brim_dtype_name(v->type.dtype));
    }
    BRIM_TRY(resolve_shape(f, v));
    if (!brim_mul_size(brim_data_sample_size(data), f->per_run, &elements) ||
        elements > ctx->params.max_tensor_bytes / sizeof(float)) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED,
                         "input '%s': %zu samples exceed the limit of %zu bytes", v->name,
                         f->per_run, ctx->params.max_tensor_bytes);
    }
    f->worker = brim_zalloc(ctx, (size_t)ctx->threads, sizeof *f->worker);
    if (f->worker == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (int i = 0; i < ctx->threads; i++) {
        f->worker[i].x = brim_zalloc(ctx, elements, sizeof(float));
        if (f->worker[i].x == NULL) {
            return BRIM_ERR_NOMEM;
        }
        f->worker[i].input = (struct brim_tensor){f->input, f->worker[i].x};
    }
    return BRIM_OK;
}

brim_status brim_feed_watch(struct brim_feed *f, const int32_t *value, size_t n)
{
    int32_t *wanted = brim_alloc(f->ctx, n + 1, sizeof *wanted);
    size_t n_wanted = 0;

    if (wanted == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) { /* each once, and not the input itself */
        bool seen = value[i] == f->g->inputs[0];
        for (size_t j = 0; j < n_wanted; j++) {
            seen = seen || wanted[j] == value[i];
        }
        if (!seen) {
            wanted[n_wanted++] = value[i];
        }
    }
    const struct brim_plan_params p = {.wanted = wanted, .n_wanted = n_wanted};
    brim_status status = n_wanted > 0 ? brim_plan_create(f->ctx, f->g, &p, &f->plan) : BRIM_OK;
    brim_free(f->ctx, wanted);
    for (int i = 0; status == BRIM_OK && n_wanted > 0 && i < f->ctx->threads; i++) {
        status = brim_workspace_create(f->ctx, f->plan, &f->worker[i].ws);
    }
    return status;
}

void brim_feed_close(struct brim_feed *f)
{
    for (int i = 0; f->worker != NULL && i < f->ctx->threads; i++) {
        brim_workspace_free(f->worker[i].ws);
        brim_free(f->ctx, f->worker[i].x);
    }
    if (f->ctx != NULL) {
        brim_plan_free(f->plan);
        brim_free(f->ctx, f->worker);
    }
    *f = (struct brim_feed){0};
}

brim_status brim_feed_run(struct brim_feed *f, int worker, size_t first, size_t n)
{
    struct brim_feed_worker *w = &f->worker[worker];
    const size_t size = brim_data_sample_size(f->data);

    BRIM_TRY(brim_data_read(f->ctx, f->data, first, n, w->x, NULL));
    if (f->fixed) { /* the rest of a short last batch is zeros */
        memset(w->x + n * size, 0, (f->per_run - n) * size * sizeof *w->x);
    } else {
        w->input.type.shape.dim[0] = (int64_t)n;
    }
    return w->ws != NULL ? brim_plan_run(f->plan, w->ws, &w->input, 1) : BRIM_OK;
}

brim_status brim_feed_value(const struct brim_feed *f, int worker, int32_t value,
                            const struct brim_tensor **t)
{
    const struct brim_feed_worker *w = &f->worker[worker];

    *t = value == f->g->inputs[0] ? &w->input : brim_workspace_value(w->ws, value);
    if (*t == NULL || (*t)->data == NULL) {
        return brim_fail(f->ctx, BRIM_ERR_INTERNAL, "value '%s' was not computed",
                         f->g->values[value].name);
    }
    if ((*t)->type.dtype != BRIM_FLOAT) {
        return brim_fail(f->ctx, BRIM_ERR_UNSUPPORTED, "value '%s' has type %s, expected float",
                         f->g->values[value].name, brim_dtype_name((*t)->type.dtype));
    }
    return BRIM_OK;
}
