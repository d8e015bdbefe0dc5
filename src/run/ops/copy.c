/* copy.c - copying elements of any type in a strided order. SPDX-License-Identifier: Apache-2.0 */
#include "run/ops/copy.h"

#include <string.h>

#define DEFINE_ROW(T)                                                                              \
    static void row_##T(size_t n, void *out, const void *in, ptrdiff_t stride)                     \
    {                                                                                              \
        const T *x = in;                                                                           \
        T *y = out;                                                                                \
        for (size_t i = 0; i < n; i++) {                                                           \
            y[i] = x[(ptrdiff_t)i * stride];                                                       \
        }                                                                                          \
    }
DEFINE_ROW(uint8_t)
DEFINE_ROW(uint16_t)
DEFINE_ROW(uint32_t)
DEFINE_ROW(uint64_t)

static void copy_row(size_t n, size_t size, void *out, const void *in, ptrdiff_t stride)
{
    if (stride == 1) {
        memcpy(out, in, n * size);
    } else if (size == 1) {
        row_uint8_t(n, out, in, stride);
    } else if (size == 2) {
        row_uint16_t(n, out, in, stride);
    } else if (size == 4) {
        row_uint32_t(n, out, in, stride);
    } else {
        row_uint64_t(n, out, in, stride);
    }
}

/* The same copy with as few axes as possible, at least one. False when there is nothing to copy. */
static bool simplify(const struct brim_copy *c, struct brim_copy *s)
{
    *s = (struct brim_copy){.rank = 0};
    for (int i = 0; i < c->rank; i++) {
        if (c->dim[i] == 0) {
            return false;
        }
    }
    for (int i = 0; i < c->rank; i++) {
        if (c->dim[i] == 1) {
            continue;
        }
        const int last = s->rank - 1;
        if (last >= 0 && s->stride[last] == c->stride[i] * (ptrdiff_t)c->dim[i]) {
            s->dim[last] *= c->dim[i];
            s->stride[last] = c->stride[i];
        } else {
            s->dim[s->rank] = c->dim[i];
            s->stride[s->rank++] = c->stride[i];
        }
    }
    if (s->rank == 0) {
        s->rank = 1;
        s->dim[0] = 1;
        s->stride[0] = 1;
    }
    return true;
}

void brim_copy_strided(const struct brim_copy *c, size_t size, void *out, const void *in)
{
    size_t index[BRIM_MAX_RANK] = {0};
    struct brim_copy s;
    char *y = out;
    ptrdiff_t at = 0;

    if (!simplify(c, &s)) {
        return;
    }
    const int row = s.rank - 1;
    for (;;) {
        copy_row(s.dim[row], size, y, (const char *)in + at * (ptrdiff_t)size, s.stride[row]);
        y += s.dim[row] * size;
        int i = row - 1;
        for (; i >= 0; i--) {
            at += s.stride[i];
            if (++index[i] < s.dim[i]) {
                break;
            }
            at -= s.stride[i] * (ptrdiff_t)s.dim[i];
            index[i] = 0;
        }
        if (i < 0) {
            return;
        }
    }
}

void brim_shape_strides(const struct brim_shape *s, ptrdiff_t stride[BRIM_MAX_RANK])
{
    size_t step = 1; /* of a tensor without elements it may wrap; then nobody uses it */

    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = (ptrdiff_t)step;
        step *= (size_t)s->dim[i];
    }
}

void brim_fill(void *out, const void *value, size_t size, size_t n)
{
    const struct brim_copy c = {.rank = 1, .dim = {n}, .stride = {0}};

    brim_copy_strided(&c, size, out, value);
}
