/* reference.c - see reference.h. SPDX-License-Identifier: Apache-2.0 */
#include "reference.h"

#include <math.h>
#include <stdlib.h>

#include "testing.h"

#define AXES 4 /* a value as [n][channels][height][width] */

struct tensor {
    size_t dim[AXES];
    int rank;
    double *v;
};

struct state {
    const struct reference *r;
    const float *x;
    struct tensor *value; /* of every value of the graph */
};

static double *numbers(size_t n)
{
    double *v = calloc(n + 1, sizeof *v);

    assert_non_null(v);
    return v;
}

static size_t count(const struct tensor *t)
{
    return t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3];
}

static double *element(const struct tensor *t, size_t n, size_t c, size_t h, size_t w)
{
    return &t->v[((n * t->dim[1] + c) * t->dim[2] + h) * t->dim[3] + w];
}

/* With the batch that the reference has. A 1-D image has height 1. */
static struct tensor shaped_as(const struct reference *r, int32_t value)
{
    const struct brim_shape *s = &r->g->values[value].type.shape;
    struct tensor t = {.dim = {r->n, 1, 1, 1}, .rank = s->rank};

    assert_true(s->rank >= 2 && s->rank <= AXES);
    for (int i = 1; i < s->rank; i++) {
        t.dim[s->rank == 3 && i == 2 ? 3 : i] = (size_t)s->dim[i];
    }
    return t;
}

static bool is(const struct brim_node *n, const char *op_type)
{
    return strcmp(n->op_type, op_type) == 0;
}

static const double *param(const struct reference *r, const char *node, const char *part)
{
    char name[128];

    (void)snprintf(name, sizeof name, "%s.%s", node, part);
    for (size_t i = 0; i < r->params->count; i++) {
        if (strcmp(r->params->param[i]->name, name) == 0) {
            return r->param[i];
        }
    }
    return NULL;
}

static int64_t attribute(const struct brim_node *n, const char *name, size_t i, int64_t fallback)
{
    const struct brim_attr *a = brim_node_attr(n, name);

    return a != NULL && i < a->count ? a->ints[i] : fallback;
}

/* ---- windows ---- */

struct window {
    int64_t kernel[2], stride[2], dilation[2], before[2], after[2];
};

static void read_window(const struct brim_node *n, const struct tensor *x, const struct tensor *y,
                        struct window *w)
{
    const char *auto_pad = brim_node_string(n, "auto_pad", "NOTSET");
    const size_t space = x->rank == 4 ? 2 : 1;

    for (size_t a = 0; a < 2; a++) {
        const size_t i = space == 2 ? a : 0;
        const bool real = space == 2 || a == 1;
        w->stride[a] = real ? attribute(n, "strides", i, 1) : 1;
        w->dilation[a] = real ? attribute(n, "dilations", i, 1) : 1;
        w->before[a] = real ? attribute(n, "pads", i, 0) : 0;
        w->after[a] = real ? attribute(n, "pads", i + space, 0) : 0;
        w->kernel[a] = real ? attribute(n, "kernel_shape", i, w->kernel[a]) : 1;
        if (strncmp(auto_pad, "SAME", 4) == 0) {
            int64_t total = ((int64_t)y->dim[2 + a] - 1) * w->stride[a] +
                            (w->kernel[a] - 1) * w->dilation[a] + 1 - (int64_t)x->dim[2 + a];
            total = total > 0 ? total : 0;
            w->before[a] = strcmp(auto_pad, "SAME_UPPER") == 0 ? total / 2 : total - total / 2;
            w->after[a] = total - w->before[a];
        }
    }
}

/* ---- operators ---- */

static void do_conv(const struct state *s, const struct brim_node *n, const struct tensor *x,
                    struct tensor *y)
{
    const struct brim_shape *ws = &s->r->g->values[n->in[1]].type.shape;
    const size_t groups = (size_t)brim_node_int(n, "group", 1), per = (size_t)ws->dim[1];
    const double *weight = param(s->r, n->name, "weight"), *bias = param(s->r, n->name, "bias");
    if (weight == NULL) {
        fail_msg("no weights of %s", n->name);
        return;
    }
    struct window w = {.kernel = {ws->rank == 4 ? ws->dim[2] : 1, ws->dim[ws->rank - 1]}};

    read_window(n, x, y, &w);
    for (size_t i = 0; i < count(y); i++) {
        const size_t ow = i % y->dim[3], oh = i / y->dim[3] % y->dim[2];
        const size_t o = i / y->dim[3] / y->dim[2] % y->dim[1];
        const size_t b = i / y->dim[3] / y->dim[2] / y->dim[1];
        const size_t group = o / (y->dim[1] / groups);
        double sum = bias != NULL ? bias[o] : 0;
        for (int64_t t = 0; t < w.kernel[0] * w.kernel[1]; t++) {
            const int64_t ih =
                (int64_t)oh * w.stride[0] - w.before[0] + t / w.kernel[1] * w.dilation[0];
            const int64_t iw =
                (int64_t)ow * w.stride[1] - w.before[1] + t % w.kernel[1] * w.dilation[1];
            if (ih < 0 || ih >= (int64_t)x->dim[2] || iw < 0 || iw >= (int64_t)x->dim[3]) {
                continue;
            }
            for (size_t c = 0; c < per; c++) { /* weights are in K order */
                sum += weight[(o * (size_t)(w.kernel[0] * w.kernel[1]) + (size_t)t) * per + c] *
                       *element(x, b, group * per + c, (size_t)ih, (size_t)iw);
            }
        }
        y->v[i] = sum;
    }
}

static void do_product(const struct state *s, const struct brim_node *n, const struct tensor *x,
                       struct tensor *y)
{
    const double *weight = param(s->r, n->name, "weight"), *bias = param(s->r, n->name, "bias");
    const size_t k = x->dim[1], outputs = y->dim[1];

    if (weight == NULL) {
        fail_msg("no weights of %s", n->name);
        return;
    }
    for (size_t b = 0; b < s->r->n; b++) {
        for (size_t o = 0; o < outputs; o++) {
            double sum = bias != NULL ? bias[o] : 0;
            for (size_t i = 0; i < k; i++) {
                sum += weight[o * k + i] * x->v[b * k + i];
            }
            y->v[b * outputs + o] = sum;
        }
    }
}

static void do_norm(const struct state *s, const struct brim_node *n, const struct tensor *x,
                    struct tensor *y)
{
    const double *scale = param(s->r, n->name, "scale"), *bias = param(s->r, n->name, "bias");
    const size_t space = x->dim[2] * x->dim[3], rows = x->dim[0] * space;

    for (size_t c = 0; c < x->dim[1]; c++) {
        double mean = param(s->r, n->name, "mean")[c], var = param(s->r, n->name, "var")[c];
        if (s->r->training) {
            double sum = 0, square = 0;
            for (size_t i = 0; i < rows; i++) {
                sum += x->v[(i / space * x->dim[1] + c) * space + i % space];
            }
            mean = sum / (double)rows;
            for (size_t i = 0; i < rows; i++) {
                const double d = x->v[(i / space * x->dim[1] + c) * space + i % space] - mean;
                square += d * d;
            }
            var = square / (double)rows;
        }
        for (size_t i = 0; i < rows; i++) {
            const size_t at = (i / space * x->dim[1] + c) * space + i % space;
            y->v[at] = scale[c] * (x->v[at] - mean) /
                           sqrt(var + (double)brim_node_float(n, "epsilon", 1e-5f)) +
                       bias[c];
        }
    }
}

static void do_pool(const struct brim_node *n, const struct tensor *x, struct tensor *y)
{
    const bool max = is(n, "MaxPool"), all = brim_node_int(n, "count_include_pad", 0) != 0;
    struct window w = {.kernel = {(int64_t)x->dim[2], (int64_t)x->dim[3]}};

    read_window(n, x, y, &w);
    for (size_t i = 0; i < count(y); i++) {
        const size_t ow = i % y->dim[3], oh = i / y->dim[3] % y->dim[2];
        const size_t c = i / y->dim[3] / y->dim[2] % y->dim[1];
        const size_t b = i / y->dim[3] / y->dim[2] / y->dim[1];
        double best = -HUGE_VAL, sum = 0, elements = 0;
        for (int64_t t = 0; t < w.kernel[0] * w.kernel[1]; t++) {
            const int64_t ih =
                (int64_t)oh * w.stride[0] - w.before[0] + t / w.kernel[1] * w.dilation[0];
            const int64_t iw =
                (int64_t)ow * w.stride[1] - w.before[1] + t % w.kernel[1] * w.dilation[1];
            const bool in =
                ih >= 0 && ih < (int64_t)x->dim[2] && iw >= 0 && iw < (int64_t)x->dim[3];
            const bool padded =
                ih < (int64_t)x->dim[2] + w.after[0] && iw < (int64_t)x->dim[3] + w.after[1];
            if (in) {
                best = fmax(best, *element(x, b, c, (size_t)ih, (size_t)iw));
                sum += *element(x, b, c, (size_t)ih, (size_t)iw);
            }
            elements += in || (all && padded);
        }
        y->v[i] = max ? best : sum / elements;
    }
}

static void do_concat(const struct state *s, const struct brim_node *n, struct tensor *y)
{
    const size_t space = y->dim[2] * y->dim[3];
    size_t first = 0;

    for (size_t i = 0; i < n->n_in; i++) {
        const struct tensor *x = &s->value[n->in[i]];
        for (size_t b = 0; b < s->r->n; b++) {
            memcpy(y->v + (b * y->dim[1] + first) * space, x->v + b * x->dim[1] * space,
                   x->dim[1] * space * sizeof(double));
        }
        first += x->dim[1];
    }
}

/* Axes as the graph has them: no height is put in. */
static void do_transpose(const struct state *s, const struct brim_node *n, const struct tensor *x,
                         struct tensor *y)
{
    const struct brim_shape *from = &s->r->g->values[n->in[0]].type.shape;
    const size_t size = count(x) / s->r->n;

    for (size_t i = 0; i < count(y); i++) {
        size_t rest = i % size, at = 0;
        for (int a = from->rank; a-- > 1;) { /* axis a of y is axis perm[a] of x */
            const int axis = (int)attribute(n, "perm", (size_t)a, from->rank - 1 - a);
            size_t step = 1;
            for (int b = axis + 1; b < from->rank; b++) {
                step *= (size_t)from->dim[b];
            }
            at += rest % (size_t)from->dim[axis] * step;
            rest /= (size_t)from->dim[axis];
        }
        y->v[i] = x->v[i / size * size + at];
    }
}

static double limit(const struct state *s, const struct brim_node *n, size_t i, double none)
{
    if (i >= n->n_in || n->in[i] < 0) {
        return none;
    }
    return (double)*(const float *)s->r->g->values[n->in[i]].constant->data;
}

static void do_elementwise(const struct state *s, const struct brim_node *n, const struct tensor *x,
                           struct tensor *y)
{
    const double alpha = (double)brim_node_float(n, "alpha", 0.01f);
    const double lo = limit(s, n, 1, -HUGE_VAL), hi = limit(s, n, 2, HUGE_VAL);

    for (size_t i = 0; i < count(x); i++) {
        const double v = x->v[i];
        y->v[i] = is(n, "Relu")        ? fmax(v, 0)
                  : is(n, "Clip")      ? fmin(fmax(v, lo), hi)
                  : is(n, "LeakyRelu") ? (v < 0 ? alpha * v : v)
                                       : v; /* Reshape, Flatten, Identity, a final Softmax */
    }
}

static void do_node(const struct state *s, const struct brim_node *n)
{
    const struct tensor *x = &s->value[n->in[0]];
    struct tensor *y = &s->value[n->out[0]];

    *y = shaped_as(s->r, n->out[0]);
    y->v = numbers(count(y));
    if (is(n, "Conv")) {
        do_conv(s, n, x, y);
    } else if (is(n, "Gemm") || is(n, "MatMul")) {
        do_product(s, n, x, y);
    } else if (is(n, "BatchNormalization")) {
        do_norm(s, n, x, y);
    } else if (is(n, "MaxPool") || is(n, "AveragePool") || is(n, "GlobalAveragePool") ||
               is(n, "ReduceMean")) {
        do_pool(n, x, y);
    } else if (is(n, "Concat")) {
        do_concat(s, n, y);
    } else if (is(n, "Transpose")) {
        do_transpose(s, n, x, y);
    } else if (is(n, "Add")) {
        for (size_t i = 0; i < count(x); i++) {
            y->v[i] = x->v[i] + s->value[n->in[1]].v[i];
        }
    } else {
        do_elementwise(s, n, x, y);
    }
}

/* ---- all of it ---- */

void reference_open(struct reference *r, const struct brim_graph *g,
                    const struct brim_params *params, size_t n, bool training)
{
    *r = (struct reference){.g = g, .params = params, .n = n, .training = training};
    r->param = calloc(params->count + 1, sizeof *r->param);
    assert_non_null(r->param);
    for (size_t i = 0; i < params->count; i++) {
        r->param[i] = numbers(params->param[i]->count);
        for (size_t j = 0; j < params->param[i]->count; j++) {
            r->param[i][j] = (double)params->param[i]->value[j];
        }
    }
}

void reference_close(struct reference *r)
{
    for (size_t i = 0; i < r->params->count; i++) {
        free(r->param[i]);
    }
    free(r->param);
}

double *reference_output(const struct reference *r, const float *x)
{
    struct state s = {r, x, calloc(r->g->n_values + 1, sizeof(struct tensor))};
    struct tensor *in = &s.value[r->g->inputs[0]];

    assert_non_null(s.value);
    *in = shaped_as(r, r->g->inputs[0]);
    in->v = numbers(count(in));
    for (size_t i = 0; i < count(in); i++) {
        in->v[i] = (double)x[i];
    }
    for (size_t i = 0; i < r->g->n_nodes; i++) {
        do_node(&s, &r->g->nodes[i]);
    }
    double *y = s.value[r->g->outputs[0]].v;
    for (size_t i = 0; i < r->g->n_values; i++) {
        if (s.value[i].v != y) {
            free(s.value[i].v);
        }
    }
    free(s.value);
    return y;
}

static void soften(const double *z, size_t n, double heat, double *p)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += p[i] = exp(z[i] / heat);
    }
    for (size_t i = 0; i < n; i++) {
        p[i] /= sum;
    }
}

static double sample_loss(const double *z, size_t n, const struct brim_targets *t, size_t sample)
{
    double *p = numbers(n), *q = numbers(n), loss = 0;

    soften(z, n, 1, p);
    for (size_t i = 0; i < n; i++) {
        const double target =
            (i == (size_t)t->label[sample] ? 1 - t->smoothing : 0) + t->smoothing / (double)n;
        loss -= target * log(p[i]);
    }
    if (t->teacher != NULL) {
        loss *= 1 - t->share;
        for (size_t i = 0; i < n; i++) {
            q[i] = (double)t->teacher[sample * n + i];
        }
        soften(q, n, t->temperature, q);
        soften(z, n, t->temperature, p);
        for (size_t i = 0; i < n; i++) {
            loss += t->share * t->temperature * t->temperature * q[i] * log(q[i] / p[i]);
        }
    }
    free(p);
    free(q);
    return loss;
}

double reference_loss(const struct reference *r, const float *x, const struct brim_targets *t)
{
    double *y = reference_output(r, x), loss = 0;
    const struct tensor shape = shaped_as(r, r->g->outputs[0]);
    const size_t n = count(&shape) / r->n;

    for (size_t i = 0; i < r->n; i++) {
        for (size_t j = 0; t->value != NULL && j < n; j++) {
            const double d = y[i * n + j] - (double)t->value[i * n + j];
            loss += d * d / (double)n;
        }
        loss += t->value == NULL ? sample_loss(y + i * n, n, t, i) : 0;
    }
    free(y);
    return loss / (double)r->n;
}
