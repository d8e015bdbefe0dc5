/* elem.c - see elem.h. SPDX-License-Identifier: Apache-2.0 */
#include "run/ops/elem.h"

#include "base/half.h"

/* One loop per type, written out by the preprocessor: EXPR reads p[i]. */
#define LOAD(type, to, expr)                                                                       \
    do {                                                                                           \
        const type *p = (const type *)t->data + at;                                                \
        for (size_t i = 0; i < n; i++) {                                                           \
            out[i] = (to)(expr);                                                                   \
        }                                                                                          \
    } while (0)

#define STORE(type, expr)                                                                          \
    do {                                                                                           \
        type *p = (type *)t->data + at;                                                            \
        for (size_t i = 0; i < n; i++) {                                                           \
            p[i] = (type)(expr);                                                                   \
        }                                                                                          \
    } while (0)

void brim_elem_load(const struct brim_tensor *t, size_t at, size_t n, double *out)
{
    switch (t->type.dtype) {
    case BRIM_FLOAT:
        LOAD(float, double, p[i]);
        break;
    case BRIM_DOUBLE:
        LOAD(double, double, p[i]);
        break;
    case BRIM_FLOAT16:
        LOAD(uint16_t, double, brim_half_to_float(p[i]));
        break;
    case BRIM_BFLOAT16:
        LOAD(uint16_t, double, brim_bfloat_to_float(p[i]));
        break;
    case BRIM_UINT4:
    case BRIM_UINT8:
    case BRIM_BOOL:
        LOAD(uint8_t, double, p[i]);
        break;
    case BRIM_INT4:
    case BRIM_INT8:
        LOAD(int8_t, double, p[i]);
        break;
    case BRIM_UINT16:
        LOAD(uint16_t, double, p[i]);
        break;
    case BRIM_INT16:
        LOAD(int16_t, double, p[i]);
        break;
    case BRIM_UINT32:
        LOAD(uint32_t, double, p[i]);
        break;
    case BRIM_INT32:
        LOAD(int32_t, double, p[i]);
        break;
    case BRIM_UINT64:
        LOAD(uint64_t, double, p[i]);
        break;
    case BRIM_INT64:
        LOAD(int64_t, double, p[i]);
        break;
    case BRIM_STRING:
    case BRIM_UNDEFINED:
        break;
    }
}

void brim_elem_store(const struct brim_tensor *t, size_t at, size_t n, const double *in)
{
    switch (t->type.dtype) {
    case BRIM_FLOAT:
        STORE(float, in[i]);
        break;
    case BRIM_DOUBLE:
        STORE(double, in[i]);
        break;
    case BRIM_FLOAT16:
        STORE(uint16_t, brim_half_from_float(brim_float_to_odd(in[i])));
        break;
    case BRIM_BFLOAT16:
        STORE(uint16_t, brim_bfloat_from_float(brim_float_to_odd(in[i])));
        break;
    case BRIM_UINT4:
    case BRIM_UINT8:
    case BRIM_BOOL:
        STORE(uint8_t, in[i]);
        break;
    case BRIM_INT4:
    case BRIM_INT8:
        STORE(int8_t, in[i]);
        break;
    case BRIM_UINT16:
        STORE(uint16_t, in[i]);
        break;
    case BRIM_INT16:
        STORE(int16_t, in[i]);
        break;
    case BRIM_UINT32:
        STORE(uint32_t, in[i]);
        break;
    case BRIM_INT32:
        STORE(int32_t, in[i]);
        break;
    case BRIM_UINT64:
        STORE(uint64_t, in[i]);
        break;
    case BRIM_INT64:
        STORE(int64_t, in[i]);
        break;
    case BRIM_STRING:
    case BRIM_UNDEFINED:
        break;
    }
}

void brim_elem_load_u64(const struct brim_tensor *t, size_t at, size_t n, uint64_t *out)
{
    switch (t->type.dtype) {
    case BRIM_UINT4:
    case BRIM_UINT8:
    case BRIM_BOOL:
        LOAD(uint8_t, uint64_t, p[i]);
        break;
    case BRIM_INT4:
    case BRIM_INT8:
        LOAD(int8_t, uint64_t, p[i]);
        break;
    case BRIM_UINT16:
        LOAD(uint16_t, uint64_t, p[i]);
        break;
    case BRIM_INT16:
        LOAD(int16_t, uint64_t, p[i]);
        break;
    case BRIM_UINT32:
        LOAD(uint32_t, uint64_t, p[i]);
        break;
    case BRIM_INT32:
        LOAD(int32_t, uint64_t, p[i]);
        break;
    case BRIM_UINT64:
    case BRIM_INT64:
        LOAD(uint64_t, uint64_t, p[i]);
        break;
    case BRIM_FLOAT:
    case BRIM_DOUBLE:
    case BRIM_FLOAT16:
    case BRIM_BFLOAT16:
    case BRIM_STRING:
    case BRIM_UNDEFINED:
        break;
    }
}

void brim_elem_store_u64(const struct brim_tensor *t, size_t at, size_t n, const uint64_t *in)
{
    switch (brim_dtype_size(t->type.dtype)) {
    case 1:
        STORE(uint8_t, in[i]);
        break;
    case 2:
        STORE(uint16_t, in[i]);
        break;
    case 4:
        STORE(uint32_t, in[i]);
        break;
    case 8:
        STORE(uint64_t, in[i]);
        break;
    }
}

void brim_elem_load_i32(const struct brim_tensor *t, size_t at, size_t n, int32_t *out)
{
    switch (t->type.dtype) {
    case BRIM_UINT4:
    case BRIM_UINT8:
    case BRIM_BOOL:
        LOAD(uint8_t, int32_t, p[i]);
        break;
    case BRIM_INT4:
    case BRIM_INT8:
        LOAD(int8_t, int32_t, p[i]);
        break;
    case BRIM_UINT16:
        LOAD(uint16_t, int32_t, p[i]);
        break;
    case BRIM_INT16:
        LOAD(int16_t, int32_t, p[i]);
        break;
    case BRIM_UINT32:
    case BRIM_INT32:
        LOAD(int32_t, int32_t, p[i]);
        break;
    case BRIM_UINT64:
    case BRIM_INT64:
    case BRIM_FLOAT:
    case BRIM_DOUBLE:
    case BRIM_FLOAT16:
    case BRIM_BFLOAT16:
    case BRIM_STRING:
    case BRIM_UNDEFINED:
        break;
    }
}

void brim_elem_store_i32(const struct brim_tensor *t, size_t at, size_t n, const int32_t *in)
{
    switch (brim_dtype_size(t->type.dtype)) {
    case 1:
        STORE(uint8_t, in[i]);
        break;
    case 2:
        STORE(uint16_t, in[i]);
        break;
    case 4:
        STORE(int32_t, in[i]);
        break;
    }
}

double *brim_elem_all(const struct brim_op_call *c, const struct brim_tensor *t)
{
    const size_t n = brim_tensor_count(t);
    double *v = brim_arena_alloc(c->scratch, n > 0 ? n : 1, sizeof *v);

    if (v != NULL) {
        brim_elem_load(t, 0, n, v);
    }
    return v;
}

int32_t *brim_elem_all_i32(const struct brim_op_call *c, const struct brim_tensor *t)
{
    const size_t n = brim_tensor_count(t);
    int32_t *v = brim_arena_alloc(c->scratch, n > 0 ? n : 1, sizeof *v);

    if (v != NULL) {
        brim_elem_load_i32(t, 0, n, v);
    }
    return v;
}

double brim_elem_get(const struct brim_tensor *t, size_t at)
{
    double v = 0;

    brim_elem_load(t, at, 1, &v);
    return v;
}
