/* type.c - element types and shapes. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "graph/graph.h"

struct dtype_facts {
    const char *name;
    uint8_t size;
    bool integer;
    int64_t lo, hi;
};

static const struct dtype_facts FACTS[] = {
    [BRIM_UNDEFINED] = {"undefined", 0, false, 0, 0},
    [BRIM_FLOAT] = {"float", 4, false, 0, 0},
    [BRIM_UINT8] = {"uint8", 1, true, 0, UINT8_MAX},
    [BRIM_INT8] = {"int8", 1, true, INT8_MIN, INT8_MAX},
    [BRIM_UINT16] = {"uint16", 2, true, 0, UINT16_MAX},
    [BRIM_INT16] = {"int16", 2, true, INT16_MIN, INT16_MAX},
    [BRIM_INT32] = {"int32", 4, true, INT32_MIN, INT32_MAX},
    [BRIM_INT64] = {"int64", 8, true, INT64_MIN, INT64_MAX},
    [BRIM_STRING] = {"string", 0, false, 0, 0},
    [BRIM_BOOL] = {"bool", 1, false, 0, 0},
    [BRIM_FLOAT16] = {"float16", 2, false, 0, 0},
    [BRIM_DOUBLE] = {"double", 8, false, 0, 0},
    [BRIM_UINT32] = {"uint32", 4, true, 0, UINT32_MAX},
    [BRIM_UINT64] = {"uint64", 8, true, 0, INT64_MAX},
    [BRIM_BFLOAT16] = {"bfloat16", 2, false, 0, 0},
    [BRIM_UINT4] = {"uint4", 1, true, 0, 15},
    [BRIM_INT4] = {"int4", 1, true, -8, 7},
};

static const struct dtype_facts *facts(enum brim_dtype t)
{
    const size_t i = (size_t)t;
    const bool known = i < sizeof FACTS / sizeof FACTS[0] && FACTS[i].name != NULL;

    return &FACTS[known ? i : 0];
}

size_t brim_dtype_size(enum brim_dtype t)
{
    return facts(t)->size;
}

const char *brim_dtype_name(enum brim_dtype t)
{
    return facts(t)->name;
}

bool brim_dtype_is_integer(enum brim_dtype t)
{
    return facts(t)->integer;
}

void brim_dtype_range(enum brim_dtype t, int64_t *lo, int64_t *hi)
{
    *lo = facts(t)->lo;
    *hi = facts(t)->hi;
}

int64_t brim_shape_count(const struct brim_shape *s)
{
    int64_t count = 1;

    if (s->rank < 0) {
        return -1;
    }
    for (int i = 0; i < s->rank; i++) { /* so that the order of huge sizes and 0 does not matter */
        if (s->dim[i] == 0) {
            count = 0;
        }
    }
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] < 0 || __builtin_mul_overflow(count, s->dim[i], &count)) {
            return -1;
        }
    }
    return count;
}

bool brim_shape_equal(const struct brim_shape *a, const struct brim_shape *b)
{
    if (a->rank != b->rank) {
        return false;
    }
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] != b->dim[i]) {
            return false;
        }
    }
    return true;
}

const char *brim_shape_text(const struct brim_shape *s, char *buf, size_t n)
{
    size_t used = 0;

    if (s->rank < 0) {
        snprintf(buf, n, "[...]");
        return buf;
    }
    snprintf(buf, n, s->rank == 0 ? "[]" : "[");
    for (int i = 0; i < s->rank; i++) {
        used = used == 0 ? 1 : used;
        if (used >= n) {
            break;
        }
        const char *end = i + 1 == s->rank ? "]" : ",";
        const int w = s->dim[i] < 0
                          ? snprintf(buf + used, n - used, "?%s", end)
                          : snprintf(buf + used, n - used, "%lld%s", (long long)s->dim[i], end);
        used += w < 0 ? 0 : (size_t)w;
    }
    return buf;
}

int64_t brim_tensor_int(const struct brim_tensor *t, size_t i)
{
    switch (t->type.dtype) {
    case BRIM_UINT8:
    case BRIM_UINT4:
    case BRIM_BOOL:
        return ((const uint8_t *)t->data)[i];
    case BRIM_INT8:
    case BRIM_INT4:
        return ((const int8_t *)t->data)[i];
    case BRIM_UINT16:
        return ((const uint16_t *)t->data)[i];
    case BRIM_INT16:
        return ((const int16_t *)t->data)[i];
    case BRIM_UINT32:
        return ((const uint32_t *)t->data)[i];
    case BRIM_INT32:
        return ((const int32_t *)t->data)[i];
    case BRIM_INT64:
        return ((const int64_t *)t->data)[i];
    case BRIM_UINT64: {
        const uint64_t v = ((const uint64_t *)t->data)[i];
        return v > INT64_MAX ? INT64_MAX : (int64_t)v;
    }
    case BRIM_UNDEFINED:
    case BRIM_FLOAT:
    case BRIM_STRING:
    case BRIM_FLOAT16:
    case BRIM_DOUBLE:
    case BRIM_BFLOAT16:
        return 0;
    }
    return 0;
}
