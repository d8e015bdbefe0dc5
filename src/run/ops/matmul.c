/* matmul.c - Gemm and MatMul. SPDX-License-Identifier: Apache-2.0
 *
 * Floating point: every element is added up in double, in the order of the reduction, and rounded
 * to the tensor's type once, so a sample's result does not depend on its batch. (BLAS would not do:
 * the bits of a row of its products depend on how many rows there are.) The right operand of a
 * float32 product is brought into panels, once when it is constant; see product.h. Other types are
 * rare and take plain loops. Integers: plain loops modulo the type's range.
 */
#include "run/ops/matmul.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/intops.h"
#include "run/ops/elem.h"
#include "run/ops/nn.h"
#include "run/ops/product.h"

#define ROW_BLOCK 16

/* Matrices of one product and where they come from. */
struct gemm {
    const struct brim_tensor *a, *b;
    struct brim_tensor *y;
    size_t a_at, b_at, y_at; /* first elements */
    size_t m, n, k;
    bool trans_a, trans_b;
    double alpha, beta;    /* beta 0: no C */
    const double *c;       /* [m][n] */
    const uint64_t *c_int; /* the same of an integer type */
};

/* Rows [row, row + rows) of the left operand, [rows][k]. */
static void load_rows(const struct gemm *g, size_t row, size_t rows, double *out)
{
    if (!g->trans_a) {
        brim_elem_load(g->a, g->a_at + row * g->k, rows * g->k, out);
        return;
    }
    for (size_t p = 0; p < g->k; p++) {
        double column[ROW_BLOCK];
        brim_elem_load(g->a, g->a_at + p * g->m + row, rows, column);
        for (size_t r = 0; r < rows; r++) {
            out[r * g->k + p] = column[r];
        }
    }
}

static void finish_rows(const struct gemm *g, size_t row, size_t rows, double *y)
{
    for (size_t i = 0; i < rows * g->n; i++) {
        y[i] *= g->alpha;
        if (g->c != NULL) {
            y[i] += g->beta * g->c[row * g->n + i];
        }
    }
    brim_elem_store(g->y, g->y_at + row * g->n, rows * g->n, y);
}

/* The right operand of a float product: of every other type in double, as stored. Matrices of a
 * batch follow one another in `room`. */
struct right {
    const float *packed;
    const double *plain;
    void *room;
};

static void multiply_plain(const struct gemm *g, const double *b, const struct brim_product *p)
{
    assert(b != NULL);
    memset(p->y, 0, p->m * p->n * sizeof *p->y);
    for (size_t i = 0; i < p->m; i++) {
        for (size_t q = 0; q < p->k; q++) {
            const double x = p->a[i * p->k + q];
            for (size_t j = 0; j < p->n; j++) {
                p->y[i * p->n + j] += x * (g->trans_b ? b[j * p->k + q] : b[q * p->n + j]);
            }
        }
    }
}

static brim_status gemm_float(const struct brim_op_call *call, const struct gemm *g,
                              const struct right *b)
{
    const size_t most = brim_min_size(ROW_BLOCK, g->m);
    double *rows = brim_arena_alloc(call->scratch, most * (g->k + 1), sizeof *rows);
    double *y = brim_arena_alloc(call->scratch, most * (g->n + 1), sizeof *y);

    if (rows == NULL || y == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t row = 0; row < g->m; row += ROW_BLOCK) {
        const size_t count = brim_min_size(ROW_BLOCK, g->m - row);
        const struct brim_product p = {
            .a = rows, .packed = b->packed, .m = count, .n = g->n, .k = g->k, .y = y};
        load_rows(g, row, count, rows);
        if (b->packed != NULL) {
            brim_product_run(&p);
        } else {
            multiply_plain(g, b->plain, &p);
        }
        finish_rows(g, row, count, y);
    }
    return BRIM_OK;
}

/* The right operand from element `at` on, ready for gemm_float(). Where it is one constant matrix,
 * the node's state keeps its panels. */
static brim_status prepare_right(const struct brim_op_call *call, const struct gemm *g, size_t at,
                                 struct right *b)
{
    const bool whole = brim_tensor_count(g->b) == g->k * g->n;
    const bool keep = whole && (call->constant & 2) != 0;
    size_t size;

    if (g->b->type.dtype != BRIM_FLOAT) {
        if (b->room == NULL) {
            b->room = brim_arena_alloc(call->scratch, g->k * g->n + 1, sizeof(double));
        }
        if (b->room == NULL) {
            return BRIM_ERR_NOMEM;
        }
        brim_elem_load(g->b, at, g->k * g->n, b->room);
        b->plain = b->room;
        return BRIM_OK;
    }
    if (keep && *call->state != NULL) {
        b->packed = *call->state;
        return BRIM_OK;
    }
    if (!brim_mul_size(brim_product_panels(g->n) * BRIM_PRODUCT_LANES, g->k, &size)) {
        return brim_op_fail(call, BRIM_ERR_UNSUPPORTED, "the right operand is too large");
    }
    if (keep) {
        *call->state = b->room = brim_alloc(call->ctx, size + 1, sizeof(float));
    } else if (b->room == NULL) {
        b->room = brim_arena_alloc(call->scratch, size + 1, sizeof(float));
    }
    if (b->room == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_product_pack((const float *)g->b->data + at, g->k, g->n, g->trans_b, b->room);
    b->packed = b->room;
    return BRIM_OK;
}

void brim_matmul_free_state(brim_ctx *ctx, void *state)
{
    brim_free(ctx, state);
}

/* alpha and beta are truncated to integers, as the type demands. */
static brim_status gemm_integer(const struct brim_op_call *call, const struct gemm *g)
{
    const size_t sizes[] = {g->m * g->k, g->k * g->n, g->n};
    uint64_t *v[3];

    for (int i = 0; i < 3; i++) {
        v[i] = brim_arena_alloc(call->scratch, sizes[i] + 1, sizeof *v[i]);
        if (v[i] == NULL) {
            return BRIM_ERR_NOMEM;
        }
    }
    uint64_t *a = v[0], *b = v[1], *y = v[2];
    brim_elem_load_u64(g->a, g->a_at, sizes[0], a);
    brim_elem_load_u64(g->b, g->b_at, sizes[1], b);
    for (size_t i = 0; i < g->m; i++) {
        memset(y, 0, g->n * sizeof *y);
        for (size_t p = 0; p < g->k; p++) {
            const uint64_t w = g->trans_a ? a[p * g->m + i] : a[i * g->k + p];
            for (size_t j = 0; j < g->n; j++) {
                y[j] += w * (g->trans_b ? b[j * g->k + p] : b[p * g->n + j]);
            }
        }
        for (size_t j = 0; j < g->n; j++) {
            const uint64_t c = g->c_int != NULL ? g->c_int[i * g->n + j] : 0;
            y[j] = y[j] * (uint64_t)(int64_t)g->alpha + c * (uint64_t)(int64_t)g->beta;
        }
        brim_elem_store_u64(g->y, g->y_at + i * g->n, g->n, y);
    }
    return BRIM_OK;
}

/* Counts of rows are multiplied below. */
static brim_status check_sizes(const struct brim_op_call *c, const struct gemm *g)
{
    if (g->m > INT32_MAX || g->n > INT32_MAX || g->k > INT32_MAX) {
        return brim_op_fail(c, BRIM_ERR_UNSUPPORTED, "a dimension is 2^31 or more");
    }
    return BRIM_OK;
}

/* Element of C, of any shape that broadcasts to [m, n], that belongs to [i][j]. */
static size_t c_index(const struct brim_shape *s, size_t i, size_t j)
{
    const size_t rows = s->rank == 2 ? (size_t)s->dim[0] : 1;
    const size_t columns = s->rank >= 1 ? (size_t)s->dim[s->rank - 1] : 1;

    return (rows == 1 ? 0 : i) * columns + (columns == 1 ? 0 : j);
}

/* Spread C over [m][n]. */
static brim_status expand_c(const struct brim_op_call *call, const struct brim_tensor *t,
                            struct gemm *g)
{
    const bool integer = brim_dtype_is_integer(t->type.dtype);
    const size_t n = brim_tensor_count(t);
    void *from = brim_arena_alloc(call->scratch, n + 1, sizeof(double));
    void *to = brim_arena_alloc(call->scratch, g->m * g->n + 1, sizeof(double));

    if (from == NULL || to == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (integer) {
        brim_elem_load_u64(t, 0, n, from);
        g->c_int = to;
    } else {
        brim_elem_load(t, 0, n, from);
        g->c = to;
    }
    for (size_t i = 0; i < g->m; i++) {
        for (size_t j = 0; j < g->n; j++) { /* both types are 8 bytes */
            memcpy((char *)to + 8 * (i * g->n + j),
                   (const char *)from + 8 * c_index(&t->type.shape, i, j), 8);
        }
    }
    return BRIM_OK;
}

brim_status brim_run_gemm(struct brim_op_call *c)
{
    const bool ta = brim_node_int(c->node, "transA", 0) != 0;
    const bool tb = brim_node_int(c->node, "transB", 0) != 0;
    const struct brim_shape *a = &c->in[0]->type.shape, *y = &c->out[0].type.shape;
    struct gemm g = {.a = c->in[0],
                     .b = c->in[1],
                     .y = &c->out[0],
                     .m = (size_t)y->dim[0],
                     .n = (size_t)y->dim[1],
                     .k = (size_t)a->dim[ta ? 0 : 1],
                     .trans_a = ta,
                     .trans_b = tb,
                     .alpha = (double)brim_node_float(c->node, "alpha", 1.0f),
                     .beta = (double)brim_node_float(c->node, "beta", 1.0f)};

    BRIM_TRY(check_sizes(c, &g));
    if (brim_tensor_count(&c->out[0]) == 0) {
        return BRIM_OK;
    }
    if (brim_op_has(c, 2)) {
        BRIM_TRY(expand_c(c, c->in[2], &g));
    }
    if (brim_dtype_is_integer(c->in[0]->type.dtype)) {
        if (!(fabs(g.alpha) < 0x1p62 && fabs(g.beta) < 0x1p62)) {
            return brim_op_fail(c, BRIM_ERR_FILE, "alpha or beta is no integer of 63 bits");
        }
        return gemm_integer(c, &g);
    }
    struct right b = {.packed = NULL};

    BRIM_TRY(prepare_right(c, &g, 0, &b));
    return gemm_float(c, &g, &b);
}

/* Offset of batch element `t` of the output in an operand whose batch axes broadcast. */
static size_t batch_offset(const struct brim_shape *s, const struct brim_shape *batch, size_t t,
                           size_t matrix)
{
    const int own = s->rank > 2 ? s->rank - 2 : 0;
    size_t at = 0, step = matrix;

    for (int i = batch->rank - 1; i >= 0; i--) {
        const size_t index = t % (size_t)batch->dim[i];
        const int k = i - (batch->rank - own);
        t /= (size_t)batch->dim[i];
        if (k >= 0) {
            at += s->dim[k] == 1 ? 0 : index * step;
            step *= (size_t)s->dim[k];
        }
    }
    return at;
}

brim_status brim_products_resolve(const struct brim_op_call *c, const struct brim_shape *a,
                                  const struct brim_shape *b, struct brim_products *p)
{
    struct brim_shape batch = {.rank = 0};
    const int longer = a->rank > b->rank ? a->rank : b->rank;
    int64_t count;

    p->m = a->rank == 1 ? 1 : (size_t)a->dim[a->rank - 2];
    p->k = (size_t)a->dim[a->rank - 1];
    p->n = b->rank == 1 ? 1 : (size_t)b->dim[b->rank - 1];
    batch.rank = longer > 2 ? longer - 2 : 0;
    for (int i = 0; i < batch.rank; i++) {
        batch.dim[i] = c->out[0].type.shape.dim[i];
    }
    count = brim_shape_count(&batch);
    p->count = (size_t)count;
    p->a_at = brim_arena_alloc(c->scratch, p->count + 1, sizeof *p->a_at);
    p->b_at = brim_arena_alloc(c->scratch, p->count + 1, sizeof *p->b_at);
    if (p->a_at == NULL || p->b_at == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t t = 0; t < p->count; t++) {
        p->a_at[t] = batch_offset(a, &batch, t, p->m * p->k);
        p->b_at[t] = batch_offset(b, &batch, t, p->k * p->n);
    }
    return BRIM_OK;
}

brim_status brim_run_matmul(struct brim_op_call *c)
{
    struct brim_products p;
    struct right b = {.packed = NULL};

    if (brim_tensor_count(&c->out[0]) == 0) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_products_resolve(c, &c->in[0]->type.shape, &c->in[1]->type.shape, &p));
    struct gemm g = {
        .a = c->in[0], .b = c->in[1], .y = &c->out[0], .m = p.m, .n = p.n, .k = p.k, .alpha = 1};
    const bool integer = brim_dtype_is_integer(c->in[0]->type.dtype);
    BRIM_TRY(check_sizes(c, &g));
    bool one_right = true; /* the right operand does not vary: one tall product */
    for (size_t t = 0; t < p.count; t++) {
        one_right = one_right && p.b_at[t] == 0 && p.a_at[t] == t * p.m * p.k;
    }
    if (one_right && p.count > 1 && p.m * p.count <= INT32_MAX) {
        g.m *= p.count;
        p.count = 1;
    }
    for (size_t t = 0; t < p.count; t++) {
        g.a_at = p.a_at[t];
        g.b_at = p.b_at[t];
        g.y_at = t * p.m * p.n;
        if (!integer && (t == 0 || g.b_at != p.b_at[t - 1])) {
            BRIM_TRY(prepare_right(c, &g, g.b_at, &b));
        }
        BRIM_TRY(integer ? gemm_integer(c, &g) : gemm_float(c, &g, &b));
    }
    return BRIM_OK;
}

void brim_matmul_i32(const int32_t *a, const int32_t *b, int32_t *y, const struct brim_products *p)
{
    memset(y, 0, p->m * p->n * sizeof *y);
    for (size_t i = 0; i < p->m; i++) {
        for (size_t q = 0; q < p->k; q++) {
            const uint32_t w = (uint32_t)a[i * p->k + q];
            for (size_t j = 0; j < p->n; j++) {
                const size_t at = i * p->n + j;
                y[at] = (int32_t)((uint32_t)y[at] + w * (uint32_t)b[q * p->n + j]);
            }
        }
    }
}
