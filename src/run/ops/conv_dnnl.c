/* conv_dnnl.c - see conv_dnnl.h. SPDX-License-Identifier: Apache-2.0
 *
 * The one file that knows oneDNN; it builds against the C API of 2.x and of 3.x, which differ in
 * what a memory descriptor is (a struct, a pointer) and in how a convolution is described.
 */
#include "run/ops/conv_dnnl.h"

#include <dnnl.h>

#include "base/parallel.h"

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t desc_ref;
#    define REF(desc) (desc)
#else
typedef const dnnl_memory_desc_t *desc_ref;
#    define REF(desc) (&(desc))
#endif

/* A tensor as the caller lays it out and as the primitive wants it; the same when both agree. */
struct operand {
    dnnl_memory_t user, used;
    dnnl_primitive_t reorder; /* between the two, NULL when they are one */
    void *buffer;             /* behind `used` */
};

struct brim_conv_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t conv;
    struct operand x, w, y;
    dnnl_memory_t bias, scratchpad;
    void *scratchpad_buffer;
};

/* Shapes in the caller's layouts, and with the layouts left to the primitive. */
struct shapes {
    dnnl_memory_desc_t x, w, y, bias;
    bool has_bias;
};

static bool ok(dnnl_status_t s)
{
    return s == dnnl_success;
}

/* A row-major float tensor, or one of any layout. */
static bool desc_create(dnnl_memory_desc_t *desc, const struct brim_shape *s, bool any)
{
    static const dnnl_format_tag_t rows[] = {dnnl_a,    dnnl_ab,    dnnl_abc,
                                             dnnl_abcd, dnnl_abcde, dnnl_abcdef};
    dnnl_dims_t dims;

    if (s->rank < 1 || s->rank > (int)(sizeof rows / sizeof rows[0])) {
        return false;
    }
    const dnnl_format_tag_t tag = any ? dnnl_format_tag_any : rows[s->rank - 1];
    for (int i = 0; i < s->rank; i++) {
        dims[i] = s->dim[i];
    }
#if DNNL_VERSION_MAJOR >= 3
    return ok(dnnl_memory_desc_create_with_tag(desc, s->rank, dims, dnnl_f32, tag));
#else
    return ok(dnnl_memory_desc_init_by_tag(desc, s->rank, dims, dnnl_f32, tag));
#endif
}

static void shapes_free(struct shapes *s)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_destroy(s->x);
    dnnl_memory_desc_destroy(s->w);
    dnnl_memory_desc_destroy(s->y);
    dnnl_memory_desc_destroy(s->bias);
#else
    (void)s;
#endif
}

static bool shapes_create(struct shapes *s, const struct brim_conv *conv, bool bias, bool any)
{
    const struct brim_window *win = &conv->window;
    const int groups = conv->groups > 1 ? 1 : 0;
    struct brim_shape x = {.rank = win->rank + 2}, w = {.rank = win->rank + 2 + groups};
    struct brim_shape y = {.rank = win->rank + 2}, b = {.rank = 1};

    *s = (struct shapes){.has_bias = bias};
    x.dim[0] = y.dim[0] = 1;
    x.dim[1] = conv->groups * conv->group_in;
    y.dim[1] = b.dim[0] = conv->groups * conv->group_out;
    w.dim[0] = conv->groups;
    w.dim[groups] = conv->group_out;
    w.dim[groups + 1] = conv->group_in;
    for (int i = 0; i < win->rank; i++) {
        x.dim[i + 2] = win->in[i];
        y.dim[i + 2] = win->out[i];
        w.dim[i + 2 + groups] = win->kernel[i];
    }
    return desc_create(&s->x, &x, any) && desc_create(&s->w, &w, any) &&
           desc_create(&s->y, &y, any) && desc_create(&s->bias, &b, false);
}

/* Products in float32, whatever the environment says. */
static bool full_precision(dnnl_primitive_attr_t attr)
{
#if DNNL_VERSION_MAJOR >= 3 || DNNL_VERSION_MINOR >= 5
    return ok(dnnl_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict));
#else
    (void)attr;
    return true;
#endif
}

/* The primitive's description, with its scratch memory left to us. */
static bool describe(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const struct shapes *s,
                     const struct brim_window *w)
{
    dnnl_dims_t stride, dilation, before, after;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status;

    for (int i = 0; i < w->rank; i++) {
        stride[i] = w->stride[i];
        dilation[i] = w->dilation[i] - 1;
        before[i] = w->before[i];
        after[i] = w->after[i];
    }
    if (!ok(dnnl_primitive_attr_create(&attr)) ||
        !ok(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user)) ||
        !full_precision(attr)) {
        dnnl_primitive_attr_destroy(attr);
        return false;
    }
    const desc_ref bias = s->has_bias ? REF(s->bias) : NULL;
#if DNNL_VERSION_MAJOR >= 3
    status = dnnl_convolution_forward_primitive_desc_create(
        pd, engine, dnnl_forward_inference, dnnl_convolution_direct, s->x, s->w, bias, s->y, stride,
        dilation, before, after, attr);
#else
    dnnl_convolution_desc_t desc;
    status = dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_inference,
                                                        dnnl_convolution_direct, &s->x, &s->w, bias,
                                                        &s->y, stride, dilation, before, after);
    if (ok(status)) {
        status = dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL);
    }
#endif
    dnnl_primitive_attr_destroy(attr);
    return ok(status);
}

static bool reorder_create(dnnl_primitive_t *reorder, dnnl_engine_t engine, desc_ref from,
                           desc_ref to)
{
    dnnl_primitive_desc_t pd = NULL;

    if (!ok(dnnl_reorder_primitive_desc_create(&pd, from, engine, to, engine, NULL))) {
        return false;
    }
    const dnnl_status_t s = dnnl_primitive_create(reorder, pd);
    dnnl_primitive_desc_destroy(pd);
    return ok(s);
}

/* NULL with the context's error set when out of memory. */
static bool buffer_create(brim_ctx *ctx, desc_ref desc, void **buffer)
{
    const size_t n = dnnl_memory_desc_get_size(desc);

    *buffer = brim_alloc(ctx, n > 0 ? n : 1, 1);
    return *buffer != NULL;
}

/* user: the caller's layout; used: the primitive's; out: data flows from used to user. */
static bool operand_create(brim_ctx *ctx, struct brim_conv_dnnl *d, struct operand *o,
                           const desc_ref layout[2], bool out)
{
    const desc_ref user = layout[0], used = layout[1];

    if (!ok(dnnl_memory_create(&o->user, user, d->engine, DNNL_MEMORY_NONE))) {
        return false;
    }
    if (dnnl_memory_desc_equal(user, used)) {
        return true;
    }
    return buffer_create(ctx, used, &o->buffer) &&
           ok(dnnl_memory_create(&o->used, used, d->engine, o->buffer)) &&
           reorder_create(&o->reorder, d->engine, out ? used : user, out ? user : used);
}

static void operand_free(brim_ctx *ctx, struct operand *o)
{
    dnnl_memory_destroy(o->user);
    dnnl_memory_destroy(o->used);
    dnnl_primitive_destroy(o->reorder);
    brim_free(ctx, o->buffer);
}

static bool build_with(brim_ctx *ctx, struct brim_conv_dnnl *d, const struct shapes *user,
                       dnnl_primitive_desc_t pd)
{
    const desc_ref x[] = {REF(user->x), dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0)};
    const desc_ref w[] = {REF(user->w), dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0)};
    const desc_ref y[] = {REF(user->y), dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0)};
    const desc_ref scratchpad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);

    if (!ok(dnnl_primitive_create(&d->conv, pd)) || !operand_create(ctx, d, &d->x, x, false) ||
        !operand_create(ctx, d, &d->w, w, false) || !operand_create(ctx, d, &d->y, y, true)) {
        return false;
    }
    if (user->has_bias &&
        !ok(dnnl_memory_create(&d->bias, REF(user->bias), d->engine, DNNL_MEMORY_NONE))) {
        return false;
    }
    return buffer_create(ctx, scratchpad, &d->scratchpad_buffer) &&
           ok(dnnl_memory_create(&d->scratchpad, scratchpad, d->engine, d->scratchpad_buffer));
}

static bool build(brim_ctx *ctx, struct brim_conv_dnnl *d, const struct brim_conv *conv, bool bias)
{
    struct shapes user = {0}, any = {0};
    dnnl_primitive_desc_t pd = NULL;

    const bool done =
        ok(dnnl_engine_create(&d->engine, dnnl_cpu, 0)) &&
        ok(dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags)) &&
        shapes_create(&user, conv, bias, false) && shapes_create(&any, conv, bias, true) &&
        describe(&pd, d->engine, &any, &conv->window) && build_with(ctx, d, &user, pd);
    dnnl_primitive_desc_destroy(pd);
    shapes_free(&user);
    shapes_free(&any);
    return done;
}

brim_status brim_conv_dnnl_create(brim_ctx *ctx, const struct brim_conv *conv, bool bias,
                                  struct brim_conv_dnnl **out)
{
    struct brim_conv_dnnl *d = brim_zalloc(ctx, 1, sizeof *d);

    *out = NULL;
    if (d == NULL) {
        return BRIM_ERR_NOMEM;
    }
    const int setting = brim_serial_begin();
    const bool done = build(ctx, d, conv, bias);
    brim_serial_end(setting);
    if (!done) {
        brim_conv_dnnl_free(ctx, d);
        return ctx->error[0] != '\0' ? BRIM_ERR_NOMEM : BRIM_OK;
    }
    *out = d;
    return BRIM_OK;
}

void brim_conv_dnnl_free(brim_ctx *ctx, struct brim_conv_dnnl *d)
{
    if (d == NULL) {
        return;
    }
    dnnl_primitive_destroy(d->conv);
    operand_free(ctx, &d->x);
    operand_free(ctx, &d->w);
    operand_free(ctx, &d->y);
    dnnl_memory_destroy(d->bias);
    dnnl_memory_destroy(d->scratchpad);
    brim_free(ctx, d->scratchpad_buffer);
    dnnl_stream_destroy(d->stream);
    dnnl_engine_destroy(d->engine);
    brim_free(ctx, d);
}

/* oneDNN takes every handle as writable; it only reads sources. */
static bool bind(dnnl_memory_t memory, const float *data)
{
    return ok(dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)data));
}

static bool reorder(struct brim_conv_dnnl *d, const struct operand *o, bool out)
{
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, out ? o->used : o->user},
                                    {DNNL_ARG_TO, out ? o->user : o->used}};

    return o->reorder == NULL || ok(dnnl_primitive_execute(o->reorder, d->stream, 2, args));
}

static dnnl_memory_t used(const struct operand *o)
{
    return o->reorder != NULL ? o->used : o->user;
}

bool brim_conv_dnnl_weights(struct brim_conv_dnnl *d, const float *w, const float *bias)
{
    const int setting = brim_serial_begin();
    const bool done = bind(d->w.user, w) && (d->bias == NULL || bind(d->bias, bias)) &&
                      reorder(d, &d->w, false) && ok(dnnl_stream_wait(d->stream));

    brim_serial_end(setting);
    return done;
}

bool brim_conv_dnnl_run(struct brim_conv_dnnl *d, const float *x, float *y)
{
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, used(&d->x)}, {DNNL_ARG_WEIGHTS, used(&d->w)},
        {DNNL_ARG_DST, used(&d->y)}, {DNNL_ARG_SCRATCHPAD, d->scratchpad},
        {DNNL_ARG_BIAS, d->bias},
    };
    const int n_args = d->bias != NULL ? 5 : 4;
    const int setting = brim_serial_begin();
    const bool done = bind(d->x.user, x) && bind(d->y.user, y) && reorder(d, &d->x, false) &&
                      ok(dnnl_primitive_execute(d->conv, d->stream, n_args, args)) &&
                      reorder(d, &d->y, true) && ok(dnnl_stream_wait(d->stream));

    brim_serial_end(setting);
    return done;
}
