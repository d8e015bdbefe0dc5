/* test_tensor_ops.c - operators that move, cut, join, pad and reduce, against their definition.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/rng.h"
#include "graph/resolve.h"
#include "run/op_harness.h"

/* 0, 1, 2, ... in the given shape. */
static struct brim_tensor *counting(struct harness *h, int rank, const int64_t *dim)
{
    struct brim_tensor *t = harness_tensor(h, BRIM_INT32, rank, dim, NULL);
    const int64_t n = brim_shape_count(&t->type.shape);

    for (int64_t i = 0; i < n; i++) {
        ((int32_t *)t->data)[i] = (int32_t)i;
    }
    return t;
}

static void random_dims(struct brim_rng *rng, int rank, int64_t lo, int64_t *dim)
{
    for (int i = 0; i < rank; i++) {
        dim[i] = brim_rng_range(rng, lo, 5);
    }
}

/* The index along each axis of element i. */
static void unravel(const struct brim_shape *s, int64_t i, int64_t *index)
{
    for (int d = s->rank - 1; d >= 0; d--) {
        index[d] = i % s->dim[d];
        i /= s->dim[d];
    }
}

static int64_t ravel(const struct brim_shape *s, const int64_t *index)
{
    int64_t at = 0;

    for (int d = 0; d < s->rank; d++) {
        at = at * s->dim[d] + index[d];
    }
    return at;
}

/* Elements start, start+step, ... before end, as Python writes them for a list of n; except that
 * ONNX moves a start before the list to its first element when the step is negative, too. */
static int64_t python_slice(int64_t n, const int64_t range[3], int64_t *picked)
{
    const int64_t step = range[2];
    int64_t count = 0, start = range[0], end = range[1];

    start = start < 0 ? start + n : start;
    end = end < 0 ? end + n : end;
    if (step > 0) {
        start = start < 0 ? 0 : start;
        end = end > n ? n : end;
    } else {
        start = start > n - 1 ? n - 1 : start < 0 && n > 0 ? 0 : start;
        end = end < -1 ? -1 : end;
    }
    for (int64_t i = start; (step > 0 ? i < end : i > end) && i >= 0 && i < n; i += step) {
        picked[count++] = i;
    }
    return count;
}

static void test_slice(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    brim_rng_init(&rng, 3, 0);
    for (int round = 0; round < 500; round++) {
        int64_t dim[2], v[4][2], picked[2][16], count[2];
        struct harness h;
        harness_begin(&h, ctx, 13);
        random_dims(&rng, 2, 0, dim);
        harness_in(&h, counting(&h, 2, dim));
        for (int a = 0; a < 2; a++) {
            int64_t range[3] = {brim_rng_range(&rng, -7, 7), brim_rng_range(&rng, -7, 7),
                                brim_rng_range(&rng, -3, 3)};
            range[2] = range[2] == 0 ? INT64_MAX : range[2];
            v[0][a] = range[0];
            v[1][a] = range[1];
            v[2][a] = a - 2;
            v[3][a] = range[2];
            if (range[2] == INT64_MAX) {
                range[2] = 100; /* the same, without overflow */
            }
            count[a] = python_slice(dim[a], range, picked[a]);
        }
        for (int i = 0; i < 4; i++) {
            harness_in_ints(&h, v[i], 2);
        }
        ASSERT_OK(ctx, harness_run(&h, "Slice"));
        assert_int_equal(h.out[0].type.shape.dim[0], count[0]);
        assert_int_equal(h.out[0].type.shape.dim[1], count[1]);
        for (int64_t i = 0; i < count[0] * count[1]; i++) {
            const int64_t want = picked[0][i / count[1]] * dim[1] + picked[1][i % count[1]];
            assert_int_equal(((int32_t *)h.out[0].data)[i], want);
        }
        harness_end(&h);
    }
    brim_ctx_free(ctx);
}

static void test_slice_extremes(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t dim = 4, start = INT64_MAX, end = INT64_MIN, axis = 0, step = -1;
    const int32_t want[4] = {3, 2, 1, 0};
    const int64_t zero = 0;
    struct harness h;

    harness_begin(&h, ctx, 13);
    harness_in(&h, counting(&h, 1, &dim));
    harness_in_ints(&h, &start, 1);
    harness_in_ints(&h, &end, 1);
    harness_in_ints(&h, &axis, 1);
    harness_in_ints(&h, &step, 1);
    ASSERT_OK(ctx, harness_run(&h, "Slice"));
    assert_int_equal(h.out[0].type.shape.dim[0], 4);
    assert_memory_equal(h.out[0].data, want, sizeof want);
    h.in[4] = harness_tensor(&h, BRIM_INT64, 1, (const int64_t[]){1}, &end);
    ASSERT_OK(ctx, harness_run(&h, "Slice"));
    assert_int_equal(h.out[0].type.shape.dim[0], 1);
    h.in[4] = harness_tensor(&h, BRIM_INT64, 1, (const int64_t[]){1}, &zero);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n' (Slice): the step of axis 0 is 0",
                 harness_run(&h, "Slice"));
    harness_end(&h);
    brim_ctx_free(ctx);
}

static void test_transpose_and_expand(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    brim_rng_init(&rng, 4, 0);
    for (int round = 0; round < 200; round++) {
        int64_t dim[4], perm[4] = {0, 1, 2, 3}, index[4], from[4];
        struct harness h;
        for (int i = 3; i > 0; i--) {
            const int k = (int)brim_rng_below(&rng, (uint64_t)i + 1);
            const int64_t t = perm[i];
            perm[i] = perm[k];
            perm[k] = t;
        }
        harness_begin(&h, ctx, 13);
        random_dims(&rng, 4, 0, dim);
        harness_in(&h, counting(&h, 4, dim));
        harness_ints(&h, "perm", perm, 4);
        ASSERT_OK(ctx, harness_run(&h, "Transpose"));
        const struct brim_shape *out = &h.out[0].type.shape;
        for (int64_t i = 0; i < brim_shape_count(out); i++) {
            unravel(out, i, index);
            for (int d = 0; d < 4; d++) {
                from[perm[d]] = index[d];
            }
            assert_int_equal(((int32_t *)h.out[0].data)[i], ravel(&h.in[0]->type.shape, from));
        }
        harness_end(&h);
    }
    const int64_t column[2] = {3, 1}, to[3] = {2, 1, 4};
    struct harness h;
    harness_begin(&h, ctx, 13);
    harness_in(&h, counting(&h, 2, column));
    harness_in_ints(&h, to, 3);
    ASSERT_OK(ctx, harness_run(&h, "Expand"));
    assert_int_equal(brim_shape_count(&h.out[0].type.shape), 24);
    for (int i = 0; i < 24; i++) {
        assert_int_equal(((int32_t *)h.out[0].data)[i], i / 4 % 3);
    }
    harness_end(&h);
    brim_ctx_free(ctx);
}

static void test_split_undoes_concat(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t a[3] = {2, 1, 3}, b[3] = {2, 4, 3}, sizes[2] = {1, 4};
    struct harness h, k;

    harness_begin(&h, ctx, 13);
    harness_begin(&k, ctx, 13);
    harness_in(&h, counting(&h, 3, a));
    harness_in(&h, counting(&h, 3, b));
    harness_int(&h, "axis", -2);
    ASSERT_OK(ctx, harness_run(&h, "Concat"));
    harness_in(&k, &h.out[0]);
    harness_in_ints(&k, sizes, 2);
    harness_int(&k, "axis", 1);
    k.n_out = 2;
    ASSERT_OK(ctx, harness_run(&k, "Split"));
    assert_memory_equal(k.out[0].data, h.in[0]->data, 6 * sizeof(int32_t));
    assert_memory_equal(k.out[1].data, h.in[1]->data, 24 * sizeof(int32_t));
    k.n_in = 1;
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "axis 1 of size 5 does not split into 2 equal parts",
                 harness_run(&k, "Split"));
    k.opset = 18; /* now the last may be smaller */
    ASSERT_OK(ctx, harness_run(&k, "Split"));
    assert_int_equal(k.out[0].type.shape.dim[1], 3);
    assert_int_equal(k.out[1].type.shape.dim[1], 2);
    harness_end(&k);
    const int64_t odd[3] = {2, 1, 4};
    h.in[1] = counting(&h, 3, odd);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n' (Concat): input 1 has size 4 at axis 2, expected 3",
                 harness_run(&h, "Concat"));
    harness_end(&h);
    brim_ctx_free(ctx);
}

static void test_gather(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t dim[2] = {2, 3}, idim[2] = {1, 2};
    const int32_t indices[2] = {-1, 0}, far[2] = {0, 3}, want[4] = {2, 0, 5, 3};
    struct harness h;

    harness_begin(&h, ctx, 13);
    harness_in(&h, counting(&h, 2, dim));
    harness_in(&h, harness_tensor(&h, BRIM_INT32, 2, idim, indices));
    harness_int(&h, "axis", 1);
    ASSERT_OK(ctx, harness_run(&h, "Gather"));
    assert_int_equal(h.out[0].type.shape.rank, 3);
    assert_memory_equal(h.out[0].data, want, sizeof want);
    h.in[1] = harness_tensor(&h, BRIM_INT32, 2, idim, far);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "node 'n' (Gather): index 3 is outside axis 1 of size 3",
                 harness_run(&h, "Gather"));
    harness_end(&h);
    brim_ctx_free(ctx);
}

/* The element that position i of a padded axis shows, walking there one step at a time. */
static int64_t walk_to(int64_t i, int64_t n, const char *mode)
{
    int64_t at = 0, direction = i < 0 ? -1 : 1;

    if (strcmp(mode, "edge") == 0) {
        return i < 0 ? 0 : i >= n ? n - 1 : i;
    }
    if (strcmp(mode, "constant") == 0) {
        return i < 0 || i >= n ? -1 : i;
    }
    for (int64_t k = 0; k != i; k += i < 0 ? -1 : 1) {
        at += direction;
        if (strcmp(mode, "wrap") == 0) {
            at = at < 0 ? n - 1 : at == n ? 0 : at;
        } else if (at < 0 || at >= n) {
            direction = -direction;
            at = n == 1 ? 0 : at + 2 * direction;
        }
    }
    return at;
}

static void check_pad(brim_ctx *ctx, struct brim_rng *rng, const char *mode)
{
    int64_t dim[2], pads[4];
    const int32_t filler = -77;
    struct harness h;

    harness_begin(&h, ctx, 19);
    random_dims(rng, 2, 1, dim);
    for (int i = 0; i < 4; i++) {
        pads[i] = brim_rng_range(rng, -(dim[i % 2] - 1) / 2, 7);
    }
    harness_in(&h, counting(&h, 2, dim));
    harness_in_ints(&h, pads, 4);
    harness_in(&h, harness_tensor(&h, BRIM_INT32, 0, NULL, &filler));
    harness_string(&h, "mode", mode);
    ASSERT_OK(ctx, harness_run(&h, "Pad"));
    const struct brim_shape *out = &h.out[0].type.shape;
    for (int64_t i = 0; i < brim_shape_count(out); i++) {
        int64_t index[2], from[2];
        unravel(out, i, index);
        for (int d = 0; d < 2; d++) {
            const int64_t cut = pads[d] < 0 ? -pads[d] : 0;
            const int64_t kept = dim[d] - cut + (pads[2 + d] < 0 ? pads[2 + d] : 0);
            from[d] = walk_to(index[d] - (pads[d] > 0 ? pads[d] : 0), kept, mode);
            from[d] += from[d] >= 0 ? cut : 0;
        }
        const bool outside = from[0] < 0 || from[1] < 0;
        assert_int_equal(((int32_t *)h.out[0].data)[i],
                         outside ? filler : from[0] * dim[1] + from[1]);
    }
    harness_end(&h);
}

static void test_pad(void **state)
{
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    brim_rng_init(&rng, 5, 0);
    for (int i = 0; i < 400; i++) {
        check_pad(ctx, &rng, modes[i % 4]);
    }
    brim_ctx_free(ctx);
}

static void test_pad_errors(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t dim = 3, empty = 0, pads[2] = {-2, -2}, more[2] = {1, 1};
    struct harness h;

    harness_begin(&h, ctx, 19);
    harness_in(&h, counting(&h, 1, &dim));
    harness_in_ints(&h, pads, 2);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "the pads remove more than the 3 elements of axis 0",
                 harness_run(&h, "Pad"));
    h.in[0] = counting(&h, 1, &empty);
    h.in[1] = harness_tensor(&h, BRIM_INT64, 1, (const int64_t[]){2}, more);
    harness_string(&h, "mode", "edge");
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "axis 0 is empty, so there is nothing to pad it from",
                 harness_run(&h, "Pad"));
    harness_end(&h);
    brim_ctx_free(ctx);
}

/* Every set of axes, by adding every element to the output it belongs to. */
static void check_reduction(brim_ctx *ctx, struct brim_rng *rng, unsigned set, bool keep)
{
    int64_t dim[3], axes[3], index[3], n_axes = 0, sum[125] = {0}, most[125];
    struct harness h;

    harness_begin(&h, ctx, 18);
    random_dims(rng, 3, 1, dim);
    for (int d = 0; d < 3; d++) {
        if ((set >> d & 1u) != 0) {
            axes[n_axes++] = (d & 1) != 0 ? d - 3 : d;
        }
    }
    struct brim_tensor *x = counting(&h, 3, dim);
    struct brim_shape kept = x->type.shape;
    for (int d = 0; d < 3; d++) {
        kept.dim[d] = n_axes == 0 || (set >> d & 1u) != 0 ? 1 : kept.dim[d];
    }
    for (int64_t i = 0; i < 125; i++) {
        most[i] = INT64_MIN;
    }
    for (int64_t i = 0; i < brim_shape_count(&x->type.shape); i++) {
        int32_t *v = &((int32_t *)x->data)[i];
        *v = (int32_t)brim_rng_range(rng, -99, 99);
        unravel(&x->type.shape, i, index);
        for (int d = 0; d < 3; d++) {
            index[d] = kept.dim[d] == 1 ? 0 : index[d];
        }
        const int64_t at = ravel(&kept, index);
        sum[at] += *v;
        most[at] = *v > most[at] ? *v : most[at];
    }
    harness_in(&h, x);
    harness_in_ints(&h, axes, n_axes);
    harness_int(&h, "keepdims", keep);
    const int64_t n = brim_shape_count(&kept), of = brim_shape_count(&x->type.shape) / n;
    ASSERT_OK(ctx, harness_run(&h, "ReduceSum"));
    assert_int_equal(h.out[0].type.shape.rank, keep ? 3 : n_axes == 0 ? 0 : 3 - n_axes);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(((int32_t *)h.out[0].data)[i], sum[i]);
    }
    ASSERT_OK(ctx, harness_run(&h, "ReduceMax"));
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(((int32_t *)h.out[0].data)[i], most[i]);
    }
    ASSERT_OK(ctx, harness_run(&h, "ReduceMean"));
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(((int32_t *)h.out[0].data)[i], sum[i] / of);
    }
    harness_end(&h);
}

static void test_reductions(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct brim_rng rng;

    brim_rng_init(&rng, 6, 0);
    for (unsigned i = 0; i < 160; i++) {
        check_reduction(ctx, &rng, i & 7u, (i & 8u) != 0);
    }
    brim_ctx_free(ctx);
}

static void test_reductions_of_nothing(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t dim[2] = {2, 0};
    const int64_t axis = 1;
    struct harness h;

    harness_begin(&h, ctx, 18);
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 2, dim, NULL));
    harness_in_ints(&h, &axis, 1);
    ASSERT_OK(ctx, harness_run(&h, "ReduceSum"));
    assert_true(((float *)h.out[0].data)[1] == 0);
    ASSERT_OK(ctx, harness_run(&h, "ReduceMax"));
    assert_true(((float *)h.out[0].data)[1] == -INFINITY);
    ASSERT_OK(ctx, harness_run(&h, "ReduceMean"));
    assert_true(isnan(((float *)h.out[0].data)[1]));
    h.in[0] = harness_tensor(&h, BRIM_INT8, 2, dim, NULL);
    ASSERT_OK(ctx, harness_run(&h, "ReduceMax"));
    assert_int_equal(((int8_t *)h.out[0].data)[0], INT8_MIN);
    /* No axes at all: everything, unless noop_with_empty_axes. */
    const float v[2] = {1, NAN};
    h.n_in = 1;
    h.in[0] = harness_tensor(&h, BRIM_FLOAT, 1, (const int64_t[]){2}, v);
    ASSERT_OK(ctx, harness_run(&h, "ReduceMax"));
    assert_int_equal(brim_shape_count(&h.out[0].type.shape), 1);
    assert_true(isnan(((float *)h.out[0].data)[0]));
    harness_int(&h, "noop_with_empty_axes", 1);
    ASSERT_OK(ctx, harness_run(&h, "ReduceMax"));
    assert_int_equal(brim_shape_count(&h.out[0].type.shape), 2);
    assert_true(((float *)h.out[0].data)[0] == 1);
    harness_end(&h);
    brim_ctx_free(ctx);
}

static void test_arg_max(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t dim[2] = {5, 2};
    const float x[10] = {1, 3, 4, 3, NAN, 2, 4, 3, NAN, 0};
    struct harness h;

    harness_begin(&h, ctx, 13);
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 2, dim, x));
    ASSERT_OK(ctx, harness_run(&h, "ArgMax"));
    assert_int_equal(((int64_t *)h.out[0].data)[0], 2);
    assert_int_equal(((int64_t *)h.out[0].data)[1], 0);
    harness_int(&h, "select_last_index", 1);
    ASSERT_OK(ctx, harness_run(&h, "ArgMax"));
    assert_int_equal(((int64_t *)h.out[0].data)[0], 4);
    assert_int_equal(((int64_t *)h.out[0].data)[1], 3);
    harness_end(&h);
    brim_ctx_free(ctx);
}

/* Reshape of [2,3,4] (or an unknown batch) by this shape, expecting these sizes. */
static void check_reshape(brim_ctx *ctx, const int64_t *to, int64_t n, const int64_t *want)
{
    const int64_t dim[3] = {2, 3, 4};
    struct harness h;

    harness_begin(&h, ctx, 14);
    harness_in(&h, counting(&h, 3, dim));
    harness_in_ints(&h, to, n);
    ASSERT_OK(ctx, harness_run(&h, "Reshape"));
    assert_int_equal(h.out[0].type.shape.rank, n);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(h.out[0].type.shape.dim[i], want[i]);
    }
    assert_memory_equal(h.out[0].data, h.in[0]->data, 24 * sizeof(int32_t));
    harness_end(&h);
}

static void test_reshape(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    struct harness h;

    check_reshape(ctx, (const int64_t[]){0, -1}, 2, (const int64_t[]){2, 12});
    check_reshape(ctx, (const int64_t[]){-1}, 1, (const int64_t[]){24});
    check_reshape(ctx, (const int64_t[]){4, 0, 2}, 3, (const int64_t[]){4, 3, 2});
    const int64_t dim[3] = {2, 3, 4}, bad[2] = {5, -1}, more[2] = {5, 5};
    harness_begin(&h, ctx, 14);
    harness_in(&h, counting(&h, 3, dim));
    harness_in_ints(&h, bad, 2);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "24 elements do not divide by the 5 of the other axes",
                 harness_run(&h, "Reshape"));
    h.in[1] = harness_tensor(&h, BRIM_INT64, 1, (const int64_t[]){2}, more);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "shape [2,3,4] cannot be reshaped to [5,5]",
                 harness_run(&h, "Reshape"));
    harness_end(&h);
    brim_ctx_free(ctx);
}

/* With the batch unknown, the other sizes are still found. */
static void test_reshape_keeps_unknown_batch(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t to[2] = {0, -1}, dim[3] = {2, 3, 4};
    struct harness h;
    struct brim_type out;

    harness_begin(&h, ctx, 14);
    struct brim_tensor *x = counting(&h, 3, dim);
    x->type.shape.dim[0] = -1;
    harness_in(&h, x);
    harness_in_ints(&h, to, 2);
    ASSERT_OK(ctx, harness_infer(&h, "Reshape", 2, &out));
    assert_int_equal(out.shape.rank, 2);
    assert_int_equal(out.shape.dim[0], -1);
    assert_int_equal(out.shape.dim[1], 12);
    ASSERT_OK(ctx, harness_infer(&h, "Reshape", 1, &out)); /* the shape's length alone */
    assert_int_equal(out.shape.rank, 2);
    assert_int_equal(out.shape.dim[1], -1);
    harness_end(&h);
    brim_ctx_free(ctx);
}

static void test_squeeze_and_unsqueeze(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t dim[4] = {1, 3, 1, 2}, axes[2] = {-1, 0}, wrong = 1;
    struct harness h;
    struct brim_type out;

    harness_begin(&h, ctx, 13);
    harness_in(&h, counting(&h, 4, dim));
    ASSERT_OK(ctx, harness_run(&h, "Squeeze"));
    assert_int_equal(h.out[0].type.shape.rank, 2);
    harness_in_ints(&h, axes, 2);
    ASSERT_OK(ctx, harness_run(&h, "Unsqueeze"));
    assert_int_equal(h.out[0].type.shape.rank, 6);
    assert_int_equal(h.out[0].type.shape.dim[5], 1);
    assert_int_equal(h.out[0].type.shape.dim[2], 3);
    h.in[1] = harness_tensor(&h, BRIM_INT64, 1, (const int64_t[]){1}, &wrong);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n' (Squeeze): axis 1 has size 3, expected 1",
                 harness_run(&h, "Squeeze"));
    h.n_in = 1;
    h.opset = 11; /* axes were an attribute */
    harness_ints(&h, "axes", axes + 1, 1);
    ASSERT_OK(ctx, harness_infer(&h, "Squeeze", 2, &out));
    assert_int_equal(out.shape.rank, 3);
    harness_end(&h);
    brim_ctx_free(ctx);
}

static void test_shape_of_zero_and_huge(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t dim[3] = {INT64_MAX / 2, INT64_MAX / 2, 0}, negative = -1;
    struct harness h;

    harness_begin(&h, ctx, 13);
    harness_in_ints(&h, dim, 3);
    ASSERT_OK(ctx, harness_run(&h, "ConstantOfShape"));
    assert_int_equal(brim_shape_count(&h.out[0].type.shape), 0);
    h.in[0] = harness_tensor(&h, BRIM_FLOAT, 3, dim, NULL); /* nothing to move, without overflow */
    static const char *const ops[] = {"Transpose", "Relu", "ReduceSum", "Shape", "Identity"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(ops[i], "ReduceSum") != 0) {
            ASSERT_OK(ctx, harness_run(&h, ops[i]));
        } else {
            ASSERT_OK(ctx, harness_run(&h, ops[i]));
            assert_true(((float *)h.out[0].data)[0] == 0);
        }
    }
    h.in[0] = harness_tensor(&h, BRIM_INT64, 1, (const int64_t[]){1}, &negative);
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "the shape has the negative size -1",
                 harness_run(&h, "ConstantOfShape"));
    harness_end(&h);
    brim_ctx_free(ctx);
}

static void test_dropout(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    enum { N = 4000 };
    const int64_t n = N;
    const float ratio = 0.25F, none = 0, all = 1;
    const uint8_t training = 1;
    struct harness h;

    harness_begin(&h, ctx, 13);
    h.n_out = 2;
    struct brim_tensor *x = harness_tensor(&h, BRIM_FLOAT, 1, &n, NULL);
    for (int i = 0; i < N; i++) {
        ((float *)x->data)[i] = 3;
    }
    harness_in(&h, x);
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 0, NULL, &ratio));
    harness_in(&h, harness_tensor(&h, BRIM_BOOL, 0, NULL, &training));
    harness_int(&h, "seed", 0);
    ASSERT_OK(ctx, harness_run(&h, "Dropout"));
    const float *y = h.out[0].data;
    const uint8_t *mask = h.out[1].data;
    int kept = 0;
    for (int i = 0; i < N; i++) {
        assert_true(y[i] == (mask[i] != 0 ? 4.0F : 0.0F));
        kept += mask[i];
    }
    assert_in_range(kept, N * 3 / 4 - 120, N * 3 / 4 + 120);
    h.in[1] = harness_tensor(&h, BRIM_FLOAT, 0, NULL, &none);
    ASSERT_OK(ctx, harness_run(&h, "Dropout"));
    assert_memory_equal(h.out[0].data, x->data, N * sizeof(float));
    assert_int_equal(((uint8_t *)h.out[1].data)[N - 1], 1);
    h.in[1] = harness_tensor(&h, BRIM_FLOAT, 0, NULL, &all);
    ASSERT_FAILS(ctx, BRIM_ERR_ARG, "node 'n' (Dropout): the ratio is 1",
                 harness_run(&h, "Dropout"));
    harness_end(&h);
    brim_ctx_free(ctx);
}

static void test_constant_forms(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    const int64_t ints[3] = {5, -6, 7};
    const float floats[2] = {1, 2};
    struct harness h;

    harness_begin(&h, ctx, 13);
    harness_ints(&h, "value_ints", ints, 3);
    ASSERT_OK(ctx, harness_run(&h, "Constant"));
    assert_int_equal(h.out[0].type.dtype, BRIM_INT64);
    assert_memory_equal(h.out[0].data, ints, sizeof ints);
    /* A second attribute of a type that its name does not promise is not the value. */
    h.attr[h.n_attr++] =
        (struct brim_attr){.name = "value", .type = BRIM_ATTR_FLOATS, .floats = floats, .count = 2};
    ASSERT_OK(ctx, harness_run(&h, "Constant"));
    assert_memory_equal(h.out[0].data, ints, sizeof ints);
    h.n_attr = 0;
    harness_int(&h, "value_int", -9);
    ASSERT_OK(ctx, harness_run(&h, "Constant"));
    assert_int_equal(h.out[0].type.shape.rank, 0);
    assert_int_equal(((int64_t *)h.out[0].data)[0], -9);
    h.n_attr = 0;
    ASSERT_FAILS(ctx, BRIM_ERR_FILE, "node 'n' (Constant): has no value",
                 harness_run(&h, "Constant"));
    harness_string(&h, "value_string", "x");
    ASSERT_FAILS(ctx, BRIM_ERR_UNSUPPORTED, "a constant of strings", harness_run(&h, "Constant"));
    harness_end(&h);
    brim_ctx_free(ctx);
}

/* The reference draws .5488 .7152 .6028 .5449 .4237 .6459 .4376 .8918 .9637 .3834 with seed 0. */
static void test_dropout_draws(void **state)
{
    (void)state;
    brim_ctx *ctx = testing_ctx(1);
    static const uint8_t want[10] = {0, 1, 1, 0, 0, 1, 0, 1, 1, 0};
    const int64_t n = 10;
    const float ratio = 0.55F;
    const uint8_t training = 1;
    struct harness h;

    harness_begin(&h, ctx, 13);
    h.n_out = 2;
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 1, &n, NULL));
    harness_in(&h, harness_tensor(&h, BRIM_FLOAT, 0, NULL, &ratio));
    harness_in(&h, harness_tensor(&h, BRIM_BOOL, 0, NULL, &training));
    harness_int(&h, "seed", 0);
    ASSERT_OK(ctx, harness_run(&h, "Dropout"));
    assert_memory_equal(h.out[1].data, want, sizeof want);
    harness_end(&h);
    brim_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slice),
        cmocka_unit_test(test_slice_extremes),
        cmocka_unit_test(test_transpose_and_expand),
        cmocka_unit_test(test_split_undoes_concat),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_pad),
        cmocka_unit_test(test_pad_errors),
        cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_reductions_of_nothing),
        cmocka_unit_test(test_arg_max),
        cmocka_unit_test(test_reshape),
        cmocka_unit_test(test_reshape_keeps_unknown_batch),
        cmocka_unit_test(test_squeeze_and_unsqueeze),
        cmocka_unit_test(test_shape_of_zero_and_huge),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_dropout_draws),
        cmocka_unit_test(test_constant_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
