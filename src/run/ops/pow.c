/* pow.c - Pow: a base of one type to an exponent of another. SPDX-License-Identifier: Apache-2.0
 *
 * The result has the base's type. Integers to integers are exact (wrapping); everything else is
 * computed in double and cast, except squares and floats to float exponents.
 */
#include <math.h>

#include "run/ops/cast.h"
#include "run/ops/table.h"
#include "run/ops/walk.h"
#include "run/ops/widen.h"

enum { BLOCK = 256 };

/* One run's operands. */
struct run {
    size_t n;
    void *out;
    const void *base, *exponent;
    size_t step[2];
    enum brim_dtype base_type, exponent_type;
};

/* By squaring, modulo 2^64; 0 to a negative power is 0, as 1/0 has no integer. */
static int64_t int_power(int64_t base, int64_t exponent)
{
    uint64_t b = (uint64_t)base, y = 1;

    if (exponent < 0) {
        return base == 1 ? 1 : base == -1 ? ((uint64_t)exponent & 1u) != 0 ? -1 : 1 : 0;
    }
    for (uint64_t e = (uint64_t)exponent; e > 0; e >>= 1) {
        if ((e & 1u) != 0) {
            y *= b;
        }
        b *= b;
    }
    return (int64_t)y;
}

static void float_run(const struct run *r)
{
    const float *b = r->base, *e = r->exponent;
    float *y = r->out;

    if (r->step[1] == 0 && e[0] == 2.0F) {
        for (size_t i = 0; i < r->n; i++) {
            y[i] = b[i * r->step[0]] * b[i * r->step[0]];
        }
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        y[i] = powf(b[i * r->step[0]], e[i * r->step[1]]);
    }
}

/* Elements i.. of an operand as doubles or int64s. */
static void gather(enum brim_dtype from, const void *x, size_t step, enum brim_dtype to, void *y,
                   size_t i, size_t m)
{
    const size_t size = brim_dtype_size(from), out = brim_dtype_size(to);

    if (step == 1) {
        brim_cast(from, (const char *)x + i * size, to, y, m);
        return;
    }
    for (size_t k = 0; k < m; k++) {
        brim_cast(from, x, to, (char *)y + k * out, 1);
    }
}

static void general_run(const struct run *r)
{
    const bool exact =
        brim_dtype_is_integer(r->base_type) && brim_dtype_is_integer(r->exponent_type);
    const enum brim_dtype via = exact ? BRIM_INT64 : BRIM_DOUBLE;
    union {
        int64_t i[BLOCK];
        double d[BLOCK];
    } b, e;

    for (size_t i = 0; i < r->n; i += BLOCK) {
        const size_t m = r->n - i < BLOCK ? r->n - i : BLOCK;
        gather(r->base_type, r->base, r->step[0], via, &b, i, m);
        gather(r->exponent_type, r->exponent, r->step[1], via, &e, i, m);
        for (size_t k = 0; k < m; k++) {
            if (exact) {
                b.i[k] = int_power(b.i[k], e.i[k]);
            } else {
                b.d[k] = pow(b.d[k], e.d[k]);
            }
        }
        brim_cast(via, &b, r->base_type, (char *)r->out + i * brim_dtype_size(r->base_type), m);
    }
}

static brim_status run_pow(struct brim_op_call *c)
{
    struct brim_op_call wide;
    struct brim_walk w;

    BRIM_TRY(brim_widen(c, &wide));
    const struct brim_tensor *a = wide.in[0], *b = wide.in[1];
    const struct brim_shape second = brim_op_second_shape(c);
    const struct brim_shape *const shapes[] = {&a->type.shape, &second};
    const size_t size = brim_dtype_size(a->type.dtype);
    const bool floats = a->type.dtype == BRIM_FLOAT && b->type.dtype == BRIM_FLOAT;
    for (bool more = brim_walk_init(&w, &wide.out[0].type.shape, shapes, 2); more;
         more = brim_walk_next(&w)) {
        const struct run r = {
            .n = w.n,
            .out = (char *)wide.out[0].data + w.out * size,
            .base = (const char *)a->data + w.at[0] * size,
            .exponent = (const char *)b->data + w.at[1] * brim_dtype_size(b->type.dtype),
            .step = {w.step[0], w.step[1]},
            .base_type = a->type.dtype,
            .exponent_type = b->type.dtype,
        };
        if (floats) {
            float_run(&r);
        } else {
            general_run(&r);
        }
    }
    brim_narrow(c, &wide);
    return BRIM_OK;
}

const struct brim_op_kernel brim_kernels_pow[] = {{"", "Pow", run_pow, NULL}};

const size_t brim_kernels_pow_count = sizeof brim_kernels_pow / sizeof brim_kernels_pow[0];
