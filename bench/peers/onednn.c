/* onednn.c - u8 by s8 to s32: matmul and inner product with weights packed as they like, and
 * dnnl_gemm_u8s8s32, which packs in every call. SPDX-License-Identifier: Apache-2.0
 *
 * Builds against the C API of 2.x and of 3.x.
 */
#include <dnnl.h>
#include <stdlib.h>

#include "peers.h"

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t desc_ref;
#    define REF(desc) (desc)
#else
typedef const dnnl_memory_desc_t *desc_ref;
#    define REF(desc) (&(desc))
#endif

struct state {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_memory_t x, w, y;
};

static bool ok(dnnl_status_t s)
{
    return s == dnnl_success;
}

static void destroy(void *state)
{
    struct state *s = state;

    (void)dnnl_primitive_destroy(s->primitive);
    (void)dnnl_memory_destroy(s->x);
    (void)dnnl_memory_destroy(s->w);
    (void)dnnl_memory_destroy(s->y);
    (void)dnnl_stream_destroy(s->stream);
    (void)dnnl_engine_destroy(s->engine);
    free(s);
}

static bool desc(dnnl_memory_desc_t *d, size_t rows, size_t columns, dnnl_data_type_t type,
                 dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};

#if DNNL_VERSION_MAJOR >= 3
    return ok(dnnl_memory_desc_create_with_tag(d, 2, dims, type, tag));
#else
    return ok(dnnl_memory_desc_init_by_tag(d, 2, dims, type, tag));
#endif
}

static bool describe(const struct state *s, bool inner, const dnnl_memory_desc_t *x,
                     const dnnl_memory_desc_t *w, const dnnl_memory_desc_t *y,
                     dnnl_primitive_desc_t *pd)
{
#if DNNL_VERSION_MAJOR >= 3
    return ok(inner ? dnnl_inner_product_forward_primitive_desc_create(
                          pd, s->engine, dnnl_forward_inference, *x, *w, NULL, *y, NULL)
                    : dnnl_matmul_primitive_desc_create(pd, s->engine, *x, *w, NULL, *y, NULL));
#else
    dnnl_inner_product_desc_t inner_desc;
    dnnl_matmul_desc_t matmul_desc;

    if (inner) {
        return ok(dnnl_inner_product_forward_desc_init(&inner_desc, dnnl_forward_inference, x, w,
                                                       NULL, y)) &&
               ok(dnnl_primitive_desc_create(pd, &inner_desc, NULL, s->engine, NULL));
    }
    return ok(dnnl_matmul_desc_init(&matmul_desc, x, w, NULL, y)) &&
           ok(dnnl_primitive_desc_create(pd, &matmul_desc, NULL, s->engine, NULL));
#endif
}

/* The weights in the primitive's own layout. */
static bool pack(struct state *s, const int8_t *w, const dnnl_memory_desc_t *user, desc_ref packed)
{
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    union { /* oneDNN takes a void * also for what it only reads */
        const int8_t *from;
        void *to;
    } data = {.from = w};
    const bool done = ok(dnnl_memory_create(&s->w, packed, s->engine, DNNL_MEMORY_ALLOCATE)) &&
                      ok(dnnl_memory_create(&from, REF(*user), s->engine, data.to)) &&
                      ok(dnnl_reorder_primitive_desc_create(&pd, REF(*user), s->engine, packed,
                                                            s->engine, NULL)) &&
                      ok(dnnl_primitive_create(&reorder, pd)) &&
                      ok(dnnl_primitive_execute(
                          reorder, s->stream, 2,
                          (const dnnl_exec_arg_t[]){{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, s->w}})) &&
                      ok(dnnl_stream_wait(s->stream));

    (void)dnnl_primitive_destroy(reorder);
    (void)dnnl_primitive_desc_destroy(pd);
    (void)dnnl_memory_destroy(from);
    return done;
}

static bool build(struct state *s, const brim_bench_product *p, bool inner)
{
    dnnl_memory_desc_t x, y, any, user;
    dnnl_primitive_desc_t pd = NULL;
    const size_t rows = inner ? p->n : p->k, columns = inner ? p->k : p->n;
    union {
        const uint8_t *from;
        void *to;
    } data = {.from = p->x};

    if (!desc(&x, p->m, p->k, dnnl_u8, dnnl_ab) || !desc(&y, p->m, p->n, dnnl_s32, dnnl_ab) ||
        !desc(&any, rows, columns, dnnl_s8, dnnl_format_tag_any) ||
        !desc(&user, rows, columns, dnnl_s8, inner ? dnnl_ab : dnnl_ba) ||
        !ok(dnnl_engine_create(&s->engine, dnnl_cpu, 0)) ||
        !ok(dnnl_stream_create(&s->stream, s->engine, dnnl_stream_default_flags)) ||
        !describe(s, inner, &x, &any, &y, &pd)) {
        return false;
    }
    const bool done =
        pack(s, p->w, &user, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0)) &&
        ok(dnnl_memory_create(&s->x, REF(x), s->engine, data.to)) &&
        ok(dnnl_memory_create(&s->y, REF(y), s->engine, p->y)) &&
        ok(dnnl_primitive_create(&s->primitive, pd));
    (void)dnnl_primitive_desc_destroy(pd);
    return done;
}

static void *create(const brim_bench_product *p, bool inner)
{
    struct state *s = calloc(1, sizeof *s);

    if (s != NULL && !build(s, p, inner)) {
        destroy(s);
        return NULL;
    }
    return s;
}

static void *create_matmul(const brim_bench_product *p)
{
    return create(p, false);
}

static void *create_inner(const brim_bench_product *p)
{
    return create(p, true);
}

static void run(void *state)
{
    const struct state *s = state;
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, s->x}, {DNNL_ARG_WEIGHTS, s->w}, {DNNL_ARG_DST, s->y}};

    (void)dnnl_primitive_execute(s->primitive, s->stream, 3, args);
    (void)dnnl_stream_wait(s->stream);
}

const brim_bench_peer peer_onednn_matmul = {.name = "oneDNN matmul",
                                            .totals = true,
                                            .create = create_matmul,
                                            .run = run,
                                            .destroy = destroy};
const brim_bench_peer peer_onednn_inner = {.name = "oneDNN inner product",
                                           .totals = true,
                                           .create = create_inner,
                                           .run = run,
                                           .destroy = destroy};

/* ---- gemm ---- */

static void *create_gemm(const brim_bench_product *p)
{
    const brim_bench_product **s = malloc(sizeof *s);

    if (s != NULL) {
        *s = p;
    }
    return s;
}

static void run_gemm(void *state)
{
    const brim_bench_product *p = *(const brim_bench_product **)state;
    const dnnl_dim_t m = (dnnl_dim_t)p->m, n = (dnnl_dim_t)p->n, k = (dnnl_dim_t)p->k;
    const int32_t zero = 0;

    (void)dnnl_gemm_u8s8s32('N', 'T', 'F', m, n, k, 1.0F, p->x, k, 0, p->w, k, 0, 0.0F, p->y, n,
                            &zero);
}

const brim_bench_peer peer_onednn_gemm = {
    .name = "oneDNN gemm", .totals = true, .create = create_gemm, .run = run_gemm, .destroy = free};
