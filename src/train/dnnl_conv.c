/* dnnl_conv.c - see dnnl_conv.h. SPDX-License-Identifier: Apache-2.0
 *
 * With run/ops/conv_dnnl.c the files that know oneDNN; builds against the C API of 2.x and of 3.x,
 * which differ in what a memory descriptor is (a struct, a pointer) and in how a convolution is
 * described.
 */
#include "train/dnnl_conv.h"

#include <dnnl.h>

#include "base/parallel.h"

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t desc_ref;
#    define REF(desc) (desc)
#else
typedef const dnnl_memory_desc_t *desc_ref;
#    define REF(desc) (&(desc))
#endif

enum kind { FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT, KINDS };
enum operand { X, W, Y, BIAS, SCRATCH, OPERANDS };

struct worker {
    dnnl_stream_t stream;
    void *scratch;
    size_t scratch_size;
};

struct brim_dnnl {
    brim_ctx *ctx;
    dnnl_engine_t engine;
    size_t n_workers;
    struct worker *worker;
};

/* One direction of a convolution. Memory objects are views: a call sets what they point to. */
struct direction {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    dnnl_memory_t (*memory)[OPERANDS]; /* [workers] */
    dnnl_memory_t w_user, w_used;      /* weights in K order, and as the primitive has them */
    dnnl_primitive_t reorder;          /* K order -> primitive; back for WEIGHT_GRADIENT */
    float *w;                          /* behind w_used (not WEIGHT_GRADIENT) */
    size_t w_size;                     /* floats */
};

struct brim_dnnl_conv {
    struct brim_dnnl *d;
    struct brim_dnnl_spec spec;
    struct direction direction[KINDS];
};

/* x, y, bias in the caller's layouts; w in K order, and of any layout. */
struct shapes {
    dnnl_memory_desc_t x, w, any_w, y, bias;
    dnnl_dims_t stride, dilation, before, after;
};

static bool ok(dnnl_status_t s)
{
    return s == dnnl_success;
}

/* ---- descriptions ---- */

static bool describe(dnnl_memory_desc_t *desc, const dnnl_dims_t dims, int rank,
                     dnnl_format_tag_t tag)
{
#if DNNL_VERSION_MAJOR >= 3
    return ok(dnnl_memory_desc_create_with_tag(desc, rank, dims, dnnl_f32, tag));
#else
    return ok(dnnl_memory_desc_init_by_tag(desc, rank, dims, dnnl_f32, tag));
#endif
}

static void shapes_free(struct shapes *s)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_destroy(s->x);
    dnnl_memory_desc_destroy(s->w);
    dnnl_memory_desc_destroy(s->any_w);
    dnnl_memory_desc_destroy(s->y);
    dnnl_memory_desc_destroy(s->bias);
#else
    (void)s;
#endif
}

static bool shapes_create(struct shapes *s, const struct brim_conv *conv)
{
    const struct brim_window *win = &conv->window;
    const int one = win->rank == 1 ? 1 : 0; /* an axis of height 1 in front */
    const int grouped = conv->groups > 1 ? 1 : 0;
    dnnl_dims_t x = {conv->samples, conv->groups * conv->group_in, 1, 1};
    dnnl_dims_t y = {conv->samples, conv->groups * conv->group_out, 1, 1};
    const dnnl_dims_t bias = {conv->groups * conv->group_out};
    dnnl_dims_t w = {conv->groups, conv->group_out, 1, 1, 1};

    *s = (struct shapes){.stride = {1, 1}};
    w[grouped] = conv->group_out;
    w[grouped + 1] = conv->group_in;
    w[grouped + 2] = 1;
    for (int i = 0; i < win->rank; i++) {
        x[2 + one + i] = win->in[i];
        y[2 + one + i] = win->out[i];
        w[2 + grouped + one + i] = win->kernel[i];
        s->stride[one + i] = win->stride[i];
        s->dilation[one + i] = win->dilation[i] - 1;
        s->before[one + i] = win->before[i];
        /* What the last windows do not reach is not padding to oneDNN. */
        s->after[one + i] = (win->out[i] - 1) * win->stride[i] +
                            (win->kernel[i] - 1) * win->dilation[i] + 1 - win->in[i] -
                            win->before[i];
    }
    const int rank = 4 + grouped;
    return describe(&s->x, x, 4, dnnl_nhwc) && describe(&s->y, y, 4, dnnl_nhwc) &&
           describe(&s->bias, bias, 1, dnnl_a) &&
           describe(&s->w, w, rank, grouped ? dnnl_abdec : dnnl_acdb) &&
           describe(&s->any_w, w, rank, dnnl_format_tag_any);
}

#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t describe_conv(enum kind kind, dnnl_engine_t engine, const struct shapes *s,
                                   desc_ref bias, const_dnnl_primitive_desc_t hint,
                                   const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    const dnnl_alg_kind_t direct = dnnl_convolution_direct;

    switch (kind) {
    case INPUT_GRADIENT:
        return dnnl_convolution_backward_data_primitive_desc_create(
            pd, engine, direct, s->x, s->any_w, s->y, s->stride, s->dilation, s->before, s->after,
            hint, attr);
    case WEIGHT_GRADIENT:
        return dnnl_convolution_backward_weights_primitive_desc_create(
            pd, engine, direct, s->x, s->any_w, bias, s->y, s->stride, s->dilation, s->before,
            s->after, hint, attr);
    case FORWARD:
    case KINDS:
        break;
    }
    return dnnl_convolution_forward_primitive_desc_create(pd, engine, dnnl_forward_training, direct,
                                                          s->x, s->any_w, bias, s->y, s->stride,
                                                          s->dilation, s->before, s->after, attr);
}
#else
static dnnl_status_t describe_conv(enum kind kind, dnnl_engine_t engine, const struct shapes *s,
                                   desc_ref bias, const_dnnl_primitive_desc_t hint,
                                   const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    const dnnl_alg_kind_t direct = dnnl_convolution_direct;
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_success;

    switch (kind) {
    case INPUT_GRADIENT:
        status = dnnl_dilated_convolution_backward_data_desc_init(
            &desc, direct, &s->x, &s->any_w, &s->y, s->stride, s->dilation, s->before, s->after);
        break;
    case WEIGHT_GRADIENT:
        status = dnnl_dilated_convolution_backward_weights_desc_init(
            &desc, direct, &s->x, &s->any_w, bias, &s->y, s->stride, s->dilation, s->before,
            s->after);
        break;
    case FORWARD:
    case KINDS:
        status = dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_training, direct, &s->x, &s->any_w, bias, &s->y, s->stride,
            s->dilation, s->before, s->after);
        break;
    }
    return ok(status) ? dnnl_primitive_desc_create(pd, &desc, attr, engine, hint) : status;
}
#endif

/* Scratch memory is ours; products in float32, whatever the environment says. */
static bool attributes(dnnl_primitive_attr_t *attr)
{
    return ok(dnnl_primitive_attr_create(attr)) &&
           ok(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user))
#if DNNL_VERSION_MAJOR >= 3 || DNNL_VERSION_MINOR >= 5
           && ok(dnnl_primitive_attr_set_fpmath_mode(*attr, dnnl_fpmath_mode_strict))
#endif
        ;
}

/* ---- one direction ---- */

static desc_ref queried(const struct direction *r, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(r->pd, what, 0);
}

/* A worker's scratch is as large as the greediest primitive wants it. */
static bool scratch_reserve(struct brim_dnnl *d, size_t size)
{
    for (size_t i = 0; i < d->n_workers; i++) {
        struct worker *w = &d->worker[i];
        if (w->scratch_size >= size) {
            continue;
        }
        brim_free(d->ctx, w->scratch);
        w->scratch = brim_alloc(d->ctx, size, 1);
        w->scratch_size = w->scratch != NULL ? size : 0;
        if (w->scratch == NULL) {
            return false;
        }
    }
    return true;
}

static bool memories_create(struct brim_dnnl *d, struct direction *r, const struct shapes *s)
{
    const desc_ref w =
        queried(r, r->w == NULL ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
    const desc_ref scratch = queried(r, dnnl_query_scratchpad_md);
    const desc_ref desc[OPERANDS] = {REF(s->x), w, REF(s->y), REF(s->bias), scratch};

    r->memory = brim_zalloc(d->ctx, d->n_workers, sizeof *r->memory);
    if (r->memory == NULL || !scratch_reserve(d, dnnl_memory_desc_get_size(scratch))) {
        return false;
    }
    for (size_t i = 0; i < d->n_workers; i++) {
        for (int o = 0; o < OPERANDS; o++) {
            if (!ok(dnnl_memory_create(&r->memory[i][o], desc[o], d->engine, DNNL_MEMORY_NONE))) {
                return false;
            }
        }
    }
    return true;
}

static bool reorder_create(struct brim_dnnl *d, struct direction *r, const struct shapes *s,
                           bool gradient)
{
    const desc_ref used = queried(r, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
    const desc_ref user = REF(s->w);
    dnnl_primitive_desc_t pd = NULL;

    r->w_size = dnnl_memory_desc_get_size(used) / sizeof(float);
    if (!gradient) {
        r->w = brim_zalloc(d->ctx, r->w_size, sizeof *r->w);
        if (r->w == NULL) {
            return false;
        }
    }
    const bool done =
        ok(dnnl_memory_create(&r->w_user, user, d->engine, DNNL_MEMORY_NONE)) &&
        ok(dnnl_memory_create(&r->w_used, used, d->engine, DNNL_MEMORY_NONE)) &&
        ok(dnnl_reorder_primitive_desc_create(&pd, gradient ? used : user, d->engine,
                                              gradient ? user : used, d->engine, NULL)) &&
        ok(dnnl_primitive_create(&r->reorder, pd));
    dnnl_primitive_desc_destroy(pd);
    return done;
}

static bool direction_create(struct brim_dnnl_conv *c, enum kind kind, const struct shapes *s)
{
    struct direction *r = &c->direction[kind];
    const desc_ref bias = c->spec.bias && kind != INPUT_GRADIENT ? REF(s->bias) : NULL;
    dnnl_primitive_attr_t attr = NULL;

    const bool described =
        attributes(&attr) &&
        ok(describe_conv(kind, c->d->engine, s, bias, c->direction[FORWARD].pd, attr, &r->pd));
    dnnl_primitive_attr_destroy(attr);
    return described && ok(dnnl_primitive_create(&r->primitive, r->pd)) &&
           reorder_create(c->d, r, s, kind == WEIGHT_GRADIENT) && memories_create(c->d, r, s);
}

static void direction_free(struct brim_dnnl *d, struct direction *r)
{
    for (size_t i = 0; r->memory != NULL && i < d->n_workers; i++) {
        for (int o = 0; o < OPERANDS; o++) {
            dnnl_memory_destroy(r->memory[i][o]);
        }
    }
    brim_free(d->ctx, r->memory);
    dnnl_memory_destroy(r->w_user);
    dnnl_memory_destroy(r->w_used);
    dnnl_primitive_destroy(r->reorder);
    dnnl_primitive_destroy(r->primitive);
    dnnl_primitive_desc_destroy(r->pd);
    brim_free(d->ctx, r->w);
}

/* ---- life ---- */

static bool build(struct brim_dnnl_conv *c)
{
    struct shapes s = {0};

    const bool done = shapes_create(&s, &c->spec.conv) && direction_create(c, FORWARD, &s) &&
                      (!c->spec.input_gradient || direction_create(c, INPUT_GRADIENT, &s)) &&
                      direction_create(c, WEIGHT_GRADIENT, &s);
    shapes_free(&s);
    return done;
}

brim_status brim_dnnl_conv_create(struct brim_dnnl *d, const struct brim_dnnl_spec *spec,
                                  struct brim_dnnl_conv **out)
{
    struct brim_dnnl_conv *c = brim_zalloc(d->ctx, 1, sizeof *c);

    *out = NULL;
    if (c == NULL) {
        return BRIM_ERR_NOMEM;
    }
    c->d = d;
    c->spec = *spec;
    const int setting = brim_serial_begin();
    const bool done = build(c);
    brim_serial_end(setting);
    if (!done) {
        brim_dnnl_conv_free(c);
        return d->ctx->error[0] != '\0' ? BRIM_ERR_NOMEM
                                        : brim_fail(d->ctx, BRIM_ERR_UNSUPPORTED,
                                                    "oneDNN has no convolution of this geometry");
    }
    *out = c;
    return BRIM_OK;
}

void brim_dnnl_conv_free(struct brim_dnnl_conv *c)
{
    if (c == NULL) {
        return;
    }
    brim_ctx *ctx = c->d->ctx;
    for (int i = 0; i < KINDS; i++) {
        direction_free(c->d, &c->direction[i]);
    }
    brim_free(ctx, c);
}

static bool start(struct brim_dnnl *d)
{
    if (!ok(dnnl_engine_create(&d->engine, dnnl_cpu, 0))) {
        return false;
    }
    for (size_t i = 0; i < d->n_workers; i++) {
        if (!ok(dnnl_stream_create(&d->worker[i].stream, d->engine, dnnl_stream_default_flags))) {
            return false;
        }
    }
    return true;
}

brim_status brim_dnnl_create(brim_ctx *ctx, struct brim_dnnl **out)
{
    struct brim_dnnl *d = brim_zalloc(ctx, 1, sizeof *d);

    *out = NULL;
    if (d == NULL) {
        return BRIM_ERR_NOMEM;
    }
    d->ctx = ctx;
    d->worker = brim_zalloc(ctx, (size_t)ctx->threads, sizeof *d->worker);
    if (d->worker == NULL) {
        brim_free(ctx, d);
        return BRIM_ERR_NOMEM;
    }
    d->n_workers = (size_t)ctx->threads;
    if (!start(d)) {
        brim_dnnl_free(d);
        return brim_fail(ctx, BRIM_ERR_INTERNAL, "oneDNN does not start");
    }
    *out = d;
    return BRIM_OK;
}

void brim_dnnl_free(struct brim_dnnl *d)
{
    if (d == NULL) {
        return;
    }
    for (size_t i = 0; i < d->n_workers; i++) {
        dnnl_stream_destroy(d->worker[i].stream);
        brim_free(d->ctx, d->worker[i].scratch);
    }
    dnnl_engine_destroy(d->engine);
    brim_free(d->ctx, d->worker);
    brim_free(d->ctx, d);
}

/* ---- work ---- */

/* oneDNN takes every handle as writable; it only reads sources. */
static bool bind(dnnl_memory_t memory, const float *data)
{
    return ok(dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)data));
}

static bool run(struct brim_dnnl *d, const struct direction *r, int worker,
                const dnnl_exec_arg_t *args, int n_args)
{
    const int setting = brim_serial_begin();
    const dnnl_stream_t stream = d->worker[worker].stream;
    const bool done = ok(dnnl_primitive_execute(r->primitive, stream, n_args, args)) &&
                      ok(dnnl_stream_wait(stream));

    brim_serial_end(setting);
    return done;
}

static bool reorder(struct brim_dnnl *d, const struct direction *r, const float *user,
                    const float *used, bool gradient)
{
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, gradient ? r->w_used : r->w_user},
                                    {DNNL_ARG_TO, gradient ? r->w_user : r->w_used}};
    const int setting = brim_serial_begin();
    const dnnl_stream_t stream = d->worker[0].stream;
    const bool done = bind(r->w_user, user) && bind(r->w_used, used) &&
                      ok(dnnl_primitive_execute(r->reorder, stream, 2, args)) &&
                      ok(dnnl_stream_wait(stream));

    brim_serial_end(setting);
    return done;
}

bool brim_dnnl_conv_weights(struct brim_dnnl_conv *c, const float *w, bool training)
{
    const struct direction *f = &c->direction[FORWARD], *g = &c->direction[INPUT_GRADIENT];

    return reorder(c->d, f, w, f->w, false) &&
           (!training || !c->spec.input_gradient || reorder(c->d, g, w, g->w, false));
}

bool brim_dnnl_conv_forward(struct brim_dnnl_conv *c, int worker, const float *x, const float *bias,
                            float *y)
{
    const struct direction *r = &c->direction[FORWARD];
    dnnl_memory_t *m = r->memory[worker];
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, m[X]},
                                    {DNNL_ARG_WEIGHTS, m[W]},
                                    {DNNL_ARG_DST, m[Y]},
                                    {DNNL_ARG_SCRATCHPAD, m[SCRATCH]},
                                    {DNNL_ARG_BIAS, m[BIAS]}};

    return bind(m[X], x) && bind(m[W], r->w) && bind(m[Y], y) && bind(m[BIAS], bias) &&
           bind(m[SCRATCH], c->d->worker[worker].scratch) &&
           run(c->d, r, worker, args, bias != NULL ? 5 : 4);
}

bool brim_dnnl_conv_input_gradient(struct brim_dnnl_conv *c, int worker, const float *dy, float *dx)
{
    const struct direction *r = &c->direction[INPUT_GRADIENT];
    dnnl_memory_t *m = r->memory[worker];
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_DIFF_SRC, m[X]},
                                    {DNNL_ARG_WEIGHTS, m[W]},
                                    {DNNL_ARG_DIFF_DST, m[Y]},
                                    {DNNL_ARG_SCRATCHPAD, m[SCRATCH]}};

    return bind(m[X], dx) && bind(m[W], r->w) && bind(m[Y], dy) &&
           bind(m[SCRATCH], c->d->worker[worker].scratch) && run(c->d, r, worker, args, 4);
}

size_t brim_dnnl_conv_gradient_size(const struct brim_dnnl_conv *c)
{
    return c->direction[WEIGHT_GRADIENT].w_size;
}

bool brim_dnnl_conv_weight_gradient(struct brim_dnnl_conv *c, int worker, const float *x,
                                    const float *dy, float *dw, float *db)
{
    const struct direction *r = &c->direction[WEIGHT_GRADIENT];
    dnnl_memory_t *m = r->memory[worker];
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, m[X]},
                                    {DNNL_ARG_DIFF_WEIGHTS, m[W]},
                                    {DNNL_ARG_DIFF_DST, m[Y]},
                                    {DNNL_ARG_SCRATCHPAD, m[SCRATCH]},
                                    {DNNL_ARG_DIFF_BIAS, m[BIAS]}};

    return bind(m[X], x) && bind(m[W], dw) && bind(m[Y], dy) && bind(m[BIAS], db) &&
           bind(m[SCRATCH], c->d->worker[worker].scratch) &&
           run(c->d, r, worker, args, c->spec.bias ? 5 : 4);
}

bool brim_dnnl_conv_gradient(struct brim_dnnl_conv *c, const float *dw, float *k_order)
{
    return reorder(c->d, &c->direction[WEIGHT_GRADIENT], k_order, dw, true);
}
