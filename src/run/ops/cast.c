/* cast.c - Cast between all element types. SPDX-License-Identifier: Apache-2.0
 *
 * In two steps over short blocks: an element type is loaded into the smallest of int64, uint64,
 * float and double that holds all of it, and stored from there. So there are 4 ways to store each
 * type rather than one for every pair, and none rounds twice.
 */
#include "run/ops/cast.h"

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/intops.h"
#include "run/ops/table.h"

enum { BLOCK = 256 };
enum kind { SIGNED, UNSIGNED, SINGLE, DOUBLE };

union block {
    int64_t i[BLOCK];
    uint64_t u[BLOCK];
    float f[BLOCK];
    double d[BLOCK];
};

#define LOAD(T, field)                                                                             \
    for (size_t k = 0; k < n; k++) {                                                               \
        b->field[k] = ((const T *)x)[k];                                                           \
    }

static enum kind load_integers(enum brim_dtype t, const void *x, size_t n, union block *b)
{
    if (t == BRIM_UINT64) {
        LOAD(uint64_t, u)
        return UNSIGNED;
    }
    if (t == BRIM_INT64) {
        LOAD(int64_t, i)
    } else if (t == BRIM_INT32) {
        LOAD(int32_t, i)
    } else if (t == BRIM_UINT32) {
        LOAD(uint32_t, i)
    } else if (t == BRIM_INT16) {
        LOAD(int16_t, i)
    } else if (t == BRIM_UINT16) {
        LOAD(uint16_t, i)
    } else if (t == BRIM_INT8 || t == BRIM_INT4) {
        for (size_t k = 0; k < n; k++) { /* sign extension */
            b->i[k] = (int64_t)(((const uint8_t *)x)[k] ^ 0x80u) - 0x80;
        }
    } else {
        LOAD(uint8_t, i)
    }
    return SIGNED;
}

static enum kind load(enum brim_dtype t, const void *x, size_t n, union block *b)
{
    if (t == BRIM_FLOAT) {
        LOAD(float, f)
        return SINGLE;
    }
    if (t == BRIM_DOUBLE) {
        LOAD(double, d)
        return DOUBLE;
    }
    if (t == BRIM_FLOAT16) {
        for (size_t k = 0; k < n; k++) {
            b->f[k] = brim_half_to_float(((const uint16_t *)x)[k]);
        }
        return SINGLE;
    }
    if (t == BRIM_BFLOAT16) {
        for (size_t k = 0; k < n; k++) {
            b->f[k] = brim_bfloat_to_float(((const uint16_t *)x)[k]);
        }
        return SINGLE;
    }
    return load_integers(t, x, n, b);
}

/* Element k of the block as a double / as a float: rounded once. */
static double as_double(const union block *b, enum kind kind, size_t k)
{
    return kind == SIGNED     ? (double)b->i[k]
           : kind == UNSIGNED ? (double)b->u[k]
           : kind == SINGLE   ? (double)b->f[k]
                              : b->d[k];
}

static float as_float(const union block *b, enum kind kind, size_t k)
{
    return kind == SIGNED     ? (float)b->i[k]
           : kind == UNSIGNED ? (float)b->u[k]
           : kind == SINGLE   ? b->f[k]
                              : (float)b->d[k];
}

/* As a float that rounds to 16 bits as the element itself would. */
static float as_odd_float(const union block *b, enum kind kind, size_t k)
{
    if (kind == SINGLE) {
        return b->f[k];
    }
    if (kind == DOUBLE) {
        return brim_float_to_odd(b->d[k]);
    }
    /* Integers beyond 2^53 are far outside float16; for bfloat16 the sticky bit keeps the tie. */
    const uint64_t magnitude = kind == SIGNED && b->i[k] < 0 ? 0 - (uint64_t)b->i[k] : b->u[k];
    const uint64_t kept = magnitude >> 53 != 0 ? (magnitude & ~(uint64_t)0x7ff) |
                                                     ((magnitude & 0x7ff) != 0 ? 0x800u : 0)
                                               : magnitude;
    const float f = brim_float_to_odd((double)kept);
    return kind == SIGNED && b->i[k] < 0 ? -f : f;
}

/* The integer type's value of element k, as bits to be cut to the type. */
static uint64_t as_integer(const union block *b, enum kind kind, size_t k, enum brim_dtype to)
{
    int64_t lo, hi;

    if (kind == SIGNED || kind == UNSIGNED) {
        return b->u[k];
    }
    brim_dtype_range(to, &lo, &hi);
    double v = as_double(b, kind, k);
    if (isnan(v)) {
        return 0;
    }
    v = to == BRIM_INT4 || to == BRIM_UINT4 ? brim_rint(v) : trunc(v);
    if (to == BRIM_UINT64) {
        return v <= 0 ? 0 : v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
    }
    /* hi + 1 is a power of two, so exact, also for int64. */
    return v <= (double)lo                   ? (uint64_t)lo
           : v >= (double)((uint64_t)hi + 1) ? (uint64_t)hi
                                             : (uint64_t)(int64_t)v;
}

#define STORE(T, value)                                                                            \
    for (size_t k = 0; k < n; k++) {                                                               \
        ((T *)y)[k] = (T)(value);                                                                  \
    }

static void store_integers(const union block *b, enum kind kind, enum brim_dtype to, void *y,
                           size_t n)
{
    const size_t size = brim_dtype_size(to);

    if (to == BRIM_INT4) { /* sign extension of the low four bits */
        STORE(int8_t, (int8_t)((as_integer(b, kind, k, to) & 15u) ^ 8u) - 8)
    } else if (to == BRIM_UINT4) {
        STORE(uint8_t, as_integer(b, kind, k, to) & 15u)
    } else if (size == 1) {
        STORE(uint8_t, as_integer(b, kind, k, to))
    } else if (size == 2) {
        STORE(uint16_t, as_integer(b, kind, k, to))
    } else if (size == 4) {
        STORE(uint32_t, as_integer(b, kind, k, to))
    } else {
        STORE(uint64_t, as_integer(b, kind, k, to))
    }
}

static void store(const union block *b, enum kind kind, enum brim_dtype to, void *y, size_t n)
{
    if (to == BRIM_FLOAT) {
        STORE(float, as_float(b, kind, k))
    } else if (to == BRIM_DOUBLE) {
        STORE(double, as_double(b, kind, k))
    } else if (to == BRIM_FLOAT16) {
        STORE(uint16_t, brim_half_from_float(as_odd_float(b, kind, k)))
    } else if (to == BRIM_BFLOAT16) {
        STORE(uint16_t, brim_bfloat_from_float(as_odd_float(b, kind, k)))
    } else if (to == BRIM_BOOL) {
        STORE(uint8_t, kind == SINGLE ? b->f[k] != 0 : kind == DOUBLE ? b->d[k] != 0 : b->u[k] != 0)
    } else {
        store_integers(b, kind, to, y, n);
    }
}

void brim_cast(enum brim_dtype from, const void *x, enum brim_dtype to, void *y, size_t n)
{
    const size_t in = brim_dtype_size(from), out = brim_dtype_size(to);
    union block b;

    if (from == to) {
        if (n > 0) {
            memcpy(y, x, n * in);
        }
        return;
    }
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t m = brim_min_size(n - i, BLOCK);
        const enum kind kind = load(from, (const char *)x + i * in, m, &b);
        store(&b, kind, to, (char *)y + i * out, m);
    }
}

static brim_status run_cast(struct brim_op_call *c)
{
    brim_cast(c->in[0]->type.dtype, c->in[0]->data, c->out[0].type.dtype, c->out[0].data,
              (size_t)brim_shape_count(&c->in[0]->type.shape));
    return BRIM_OK;
}

const struct brim_op_kernel brim_kernels_cast[] = {{"", "Cast", run_cast, NULL}};

const size_t brim_kernels_cast_count = sizeof brim_kernels_cast / sizeof brim_kernels_cast[0];
