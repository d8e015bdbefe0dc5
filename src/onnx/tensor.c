/* tensor.c - TensorProto to tensor and back. SPDX-License-Identifier: Apache-2.0
 *
 * A file keeps a tensor as raw little-endian bytes, as a typed list (small types widened to int32),
 * or in another file. 4-bit types are two to a byte there, the first in the low half, and one to a
 * byte in memory.
 */
#include "onnx/tensor.h"

#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "raw tensor data is little-endian: this file needs byte swaps on such a machine"
#endif

enum { LOCATION_EXTERNAL = 1 };

enum brim_dtype brim_onnx_dtype(int32_t number)
{
    const bool known =
        number >= BRIM_FLOAT && number <= BRIM_INT4 && brim_dtype_size((enum brim_dtype)number) > 0;

    return known ? (enum brim_dtype)number : BRIM_UNDEFINED;
}

static bool is_4bit(enum brim_dtype t)
{
    return t == BRIM_UINT4 || t == BRIM_INT4;
}

static brim_status fail(const struct brim_onnx_source *s, const char *text)
{
    return brim_fail(s->arena->ctx, BRIM_ERR_FILE, "%s: %s", s->where, text);
}

static brim_status read_type(const struct brim_onnx_source *s, const pb_tensor *t,
                             struct brim_type *type)
{
    brim_ctx *ctx = s->arena->ctx;

    type->dtype = brim_onnx_dtype(t->data_type);
    if (type->dtype == BRIM_UNDEFINED) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED, "%s: element type %d is not supported",
                         s->where, (int)t->data_type);
    }
    if (t->n_dims > BRIM_MAX_RANK) {
        return brim_fail(ctx, BRIM_ERR_UNSUPPORTED, "%s: has rank %zu, expected at most %d",
                         s->where, t->n_dims, BRIM_MAX_RANK);
    }
    type->shape.rank = (int)t->n_dims;
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0) {
            return brim_fail(ctx, BRIM_ERR_FILE, "%s: dimension %zu is %lld, expected 0 or more",
                             s->where, i, (long long)t->dims[i]);
        }
        type->shape.dim[i] = t->dims[i];
    }
    return BRIM_OK;
}

/* Elements, and bytes in memory, within the limits. */
static brim_status measure(const struct brim_onnx_source *s, const struct brim_type *type,
                           size_t *count, size_t *bytes)
{
    const int64_t n = brim_shape_count(&type->shape);
    brim_ctx *ctx = s->arena->ctx;

    if (n < 0 || !brim_mul_size((size_t)n, brim_dtype_size(type->dtype), bytes) ||
        *bytes > ctx->params.max_tensor_bytes) {
        return brim_fail(ctx, BRIM_ERR_FILE, "%s: is larger than the limit of %zu bytes", s->where,
                         ctx->params.max_tensor_bytes);
    }
    *count = (size_t)n;
    return BRIM_OK;
}

static void unpack_4bit(uint8_t *to, const uint8_t *packed, size_t count, bool is_signed)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned v = i % 2 == 0 ? packed[i / 2] & 15u : (unsigned)packed[i / 2] >> 4;
        to[i] = (uint8_t)(is_signed && v >= 8 ? v | 0xf0u : v);
    }
}

/* Data held as bytes, inline or in another file: as many as the type asks for. */
static brim_status raw_bytes(const struct brim_onnx_source *s, const pb_tensor *t, size_t want,
                             const uint8_t **bytes)
{
    if (t->data_location == LOCATION_EXTERNAL) {
        return brim_onnx_external_read(s, t, want, bytes);
    }
    if (t->raw_data.len != want) {
        return brim_fail(s->arena->ctx, BRIM_ERR_FILE, "%s: has %zu bytes of data, expected %zu",
                         s->where, t->raw_data.len, want);
    }
    *bytes = t->raw_data.data;
    return BRIM_OK;
}

static void from_raw(const uint8_t *bytes, size_t count, struct brim_tensor *out)
{
    const enum brim_dtype dtype = out->type.dtype;

    if (is_4bit(dtype)) {
        unpack_4bit(out->data, bytes, count, dtype == BRIM_INT4);
    } else if (count > 0) {
        memcpy(out->data, bytes, count * brim_dtype_size(dtype));
    }
}

static brim_status check_count(const struct brim_onnx_source *s, size_t have, size_t want)
{
    return have == want
               ? BRIM_OK
               : brim_fail(s->arena->ctx, BRIM_ERR_FILE,
                           "%s: has %zu elements of data, expected %zu", s->where, have, want);
}

/* Types of at most 16 bits travel as int32, floating ones by their bits, 4-bit ones in pairs. */
static brim_status from_int32(const struct brim_onnx_source *s, const pb_tensor *t, size_t count,
                              struct brim_tensor *out)
{
    const enum brim_dtype dtype = out->type.dtype;
    int64_t lo = 0, hi = UINT8_MAX;

    BRIM_TRY(check_count(s, t->n_int32_data, is_4bit(dtype) ? count / 2 + count % 2 : count));
    if (dtype == BRIM_FLOAT16 || dtype == BRIM_BFLOAT16) {
        hi = UINT16_MAX;
    } else if (!is_4bit(dtype) && dtype != BRIM_BOOL) {
        brim_dtype_range(dtype, &lo, &hi);
    }
    for (size_t i = 0; i < t->n_int32_data; i++) {
        const int32_t v = t->int32_data[i];
        if (v < lo || v > hi) {
            return brim_fail(s->arena->ctx, BRIM_ERR_FILE, "%s: element %zu is %d, outside %s",
                             s->where, i, (int)v, brim_dtype_name(dtype));
        }
        const uint8_t byte = (uint8_t)((uint32_t)v & 0xffu);
        const uint16_t half = (uint16_t)((uint32_t)v & 0xffffu);
        if (is_4bit(dtype)) {
            unpack_4bit((uint8_t *)out->data + 2 * i, &byte, i * 2 + 1 < count ? 2 : 1,
                        dtype == BRIM_INT4);
        } else if (brim_dtype_size(dtype) == 1) {
            ((uint8_t *)out->data)[i] = byte;
        } else if (brim_dtype_size(dtype) == 2) {
            ((uint16_t *)out->data)[i] = half;
        } else {
            ((int32_t *)out->data)[i] = v;
        }
    }
    return BRIM_OK;
}

static brim_status from_typed(const struct brim_onnx_source *s, const pb_tensor *t, size_t count,
                              struct brim_tensor *out)
{
    const void *data = NULL;
    size_t have = 0;

    switch (out->type.dtype) {
    case BRIM_FLOAT:
        data = t->float_data;
        have = t->n_float_data;
        break;
    case BRIM_DOUBLE:
        data = t->double_data;
        have = t->n_double_data;
        break;
    case BRIM_INT64:
        data = t->int64_data;
        have = t->n_int64_data;
        break;
    case BRIM_UINT64:
        data = t->uint64_data;
        have = t->n_uint64_data;
        break;
    case BRIM_UINT32:
        BRIM_TRY(check_count(s, t->n_uint64_data, count));
        for (size_t i = 0; i < count; i++) {
            if (t->uint64_data[i] > UINT32_MAX) {
                return fail(s, "an element is outside uint32");
            }
            ((uint32_t *)out->data)[i] = (uint32_t)t->uint64_data[i];
        }
        return BRIM_OK;
    case BRIM_UNDEFINED:
    case BRIM_STRING:
    case BRIM_UINT8:
    case BRIM_INT8:
    case BRIM_UINT16:
    case BRIM_INT16:
    case BRIM_INT32:
    case BRIM_BOOL:
    case BRIM_FLOAT16:
    case BRIM_BFLOAT16:
    case BRIM_UINT4:
    case BRIM_INT4:
        return from_int32(s, t, count, out);
    }
    BRIM_TRY(check_count(s, have, count));
    if (count > 0) {
        memcpy(out->data, data, count * brim_dtype_size(out->type.dtype));
    }
    return BRIM_OK;
}

static size_t typed_elements(const pb_tensor *t)
{
    return t->n_float_data + t->n_int32_data + t->n_int64_data + t->n_double_data +
           t->n_uint64_data;
}

brim_status brim_onnx_tensor_read(const struct brim_onnx_source *source, const pb_tensor *t,
                                  struct brim_tensor **out)
{
    size_t count = 0, bytes = 0;
    struct brim_type type = {0};

    if (t->segment != NULL) {
        return fail(source, "is stored in segments, which no version of ONNX uses");
    }
    BRIM_TRY(read_type(source, t, &type));
    BRIM_TRY(measure(source, &type, &count, &bytes));
    const bool raw = t->has_raw_data || t->data_location == LOCATION_EXTERNAL;
    const uint8_t *from = (const uint8_t *)"";
    if (raw) {
        const size_t want = is_4bit(type.dtype) ? count / 2 + count % 2 : bytes;
        BRIM_TRY(raw_bytes(source, t, want, &from));
    } else if (typed_elements(t) < count / 2) { /* before allocating what the file does not hold */
        return check_count(source, typed_elements(t), count);
    }
    struct brim_tensor *made = brim_arena_zalloc(source->arena, 1, sizeof *made);
    void *data = made == NULL ? NULL : brim_arena_alloc(source->arena, bytes > 0 ? bytes : 1, 1);
    if (data == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *made = (struct brim_tensor){type, data};
    if (raw) {
        from_raw(from, count, made);
    } else {
        BRIM_TRY(from_typed(source, t, count, made));
    }
    for (size_t i = 0; type.dtype == BRIM_BOOL && i < count; i++) {
        ((uint8_t *)data)[i] = ((uint8_t *)data)[i] != 0;
    }
    *out = made;
    return BRIM_OK;
}

brim_status brim_onnx_tensor_write(struct brim_arena *arena, const struct brim_tensor *tensor,
                                   pb_tensor *t)
{
    const size_t count = (size_t)brim_shape_count(&tensor->type.shape);
    const bool packed = is_4bit(tensor->type.dtype);

    t->has_data_type = t->has_raw_data = 1;
    t->data_type = (int32_t)tensor->type.dtype;
    t->n_dims = (size_t)tensor->type.shape.rank;
    t->dims = brim_arena_alloc(arena, t->n_dims + 1, sizeof *t->dims);
    t->raw_data.len = packed ? count / 2 + count % 2 : count * brim_dtype_size(tensor->type.dtype);
    if (t->dims == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(t->dims, tensor->type.shape.dim, t->n_dims * sizeof *t->dims);
    if (!packed) {
        t->raw_data.data = tensor->data;
        return BRIM_OK;
    }
    t->raw_data.data = brim_arena_zalloc(arena, t->raw_data.len + 1, 1);
    if (t->raw_data.data == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const unsigned v = ((const uint8_t *)tensor->data)[i] & 15u;
        t->raw_data.data[i / 2] = (uint8_t)(t->raw_data.data[i / 2] | (v << (i % 2 * 4)));
    }
    return BRIM_OK;
}
