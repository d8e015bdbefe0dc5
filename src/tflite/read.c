/* read.c - a .tflite file's tables become records. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "tflite/model.h"

/* Field numbers of schema.fbs. */
enum { MODEL_OPERATOR_CODES = 1, MODEL_SUBGRAPHS = 2, MODEL_BUFFERS = 4 };
enum { CODE_OLD = 0, CODE_BUILTIN = 3 };
enum { GRAPH_TENSORS = 0, GRAPH_INPUTS = 1, GRAPH_OUTPUTS = 2, GRAPH_OPERATORS = 3 };
enum {
    TENSOR_SHAPE = 0,
    TENSOR_TYPE = 1,
    TENSOR_BUFFER = 2,
    TENSOR_NAME = 3,
    TENSOR_QUANTIZATION = 4,
    TENSOR_SPARSITY = 6
};
enum { QUANTIZATION_SCALE = 2, QUANTIZATION_ZERO = 3, QUANTIZATION_AXIS = 6 };
enum { OPERATOR_CODE = 0, OPERATOR_INPUTS = 1, OPERATOR_OUTPUTS = 2, OPERATOR_OPTIONS = 4 };
enum { BUFFER_DATA = 0 };

static brim_status broken(const struct brim_tflite_model *m)
{
    return brim_fail(m->ctx, BRIM_ERR_FILE, "is cut short, or points outside of itself");
}

/* TensorType to ours; UNDEFINED for one that brim does not read. */
static enum brim_dtype dtype_of(uint8_t type)
{
    static const enum brim_dtype types[] = {
        [0] = BRIM_FLOAT, [1] = BRIM_FLOAT16, [2] = BRIM_INT32,
        [3] = BRIM_UINT8, [4] = BRIM_INT64,   [9] = BRIM_INT8,
    };

    return type < sizeof types / sizeof types[0] ? types[type] : BRIM_UNDEFINED;
}

static brim_status read_shape(struct brim_tflite_model *m, brim_flat_table t,
                              struct brim_tflite_tensor *to)
{
    struct brim_flat *f = &m->flat;
    const struct brim_flat_vector dims = brim_flat_vector_of(f, t, TENSOR_SHAPE, 4);

    if (dims.count > BRIM_MAX_RANK) {
        return brim_fail(m->ctx, BRIM_ERR_UNSUPPORTED,
                         "tensor '%s': has rank %zu, expected at most %d", to->name, dims.count,
                         BRIM_MAX_RANK);
    }
    to->type.shape.rank = (int)dims.count;
    for (size_t i = 0; i < dims.count; i++) {
        const int32_t d = brim_flat_int_at(f, dims, i);
        to->type.shape.dim[i] = d;
        if (d < 1) {
            return brim_fail(m->ctx, BRIM_ERR_UNSUPPORTED,
                             "tensor '%s': dimension %zu is %d, expected a known shape", to->name,
                             i, (int)d);
        }
    }
    if (brim_shape_count(&to->type.shape) < 0) {
        return brim_fail(m->ctx, BRIM_ERR_FILE, "tensor '%s': has too many elements", to->name);
    }
    return BRIM_OK;
}

/* One scale or one for every element of the axis, positive; zero points that the type holds. */
static brim_status check_scales(struct brim_tflite_model *m, const struct brim_tflite_tensor *t)
{
    int64_t lo, hi;

    if (t->n_scales > 1 && (t->axis < 0 || t->axis >= t->type.shape.rank ||
                            t->type.shape.dim[t->axis] != (int64_t)t->n_scales)) {
        return brim_fail(m->ctx, BRIM_ERR_FILE, "tensor '%s': has %zu scales along axis %d",
                         t->name, t->n_scales, t->axis);
    }
    if (!brim_dtype_is_integer(t->type.dtype)) {
        return brim_fail(m->ctx, BRIM_ERR_FILE, "tensor '%s': is %s and has scales", t->name,
                         brim_dtype_name(t->type.dtype));
    }
    brim_dtype_range(t->type.dtype, &lo, &hi);
    for (size_t i = 0; i < t->n_scales; i++) {
        if (!(t->scale[i] > 0.0f) || !isfinite(t->scale[i])) {
            return brim_fail(m->ctx, BRIM_ERR_FILE,
                             "tensor '%s': scale %zu is %g, expected above 0", t->name, i,
                             (double)t->scale[i]);
        }
        if (t->zero[i] < lo || t->zero[i] > hi) {
            return brim_fail(m->ctx, BRIM_ERR_FILE,
                             "tensor '%s': zero point %lld is outside of its type", t->name,
                             (long long)t->zero[i]);
        }
    }
    return BRIM_OK;
}

static brim_status read_scales(struct brim_tflite_model *m, brim_flat_table q,
                               struct brim_tflite_tensor *to)
{
    struct brim_flat *f = &m->flat;
    const struct brim_flat_vector scale = brim_flat_vector_of(f, q, QUANTIZATION_SCALE, 4);
    const struct brim_flat_vector zero = brim_flat_vector_of(f, q, QUANTIZATION_ZERO, 8);

    if (scale.count == 0) {
        return BRIM_OK;
    }
    if (zero.count != 0 && zero.count != scale.count) {
        return brim_fail(m->ctx, BRIM_ERR_FILE, "tensor '%s': has %zu scales and %zu zero points",
                         to->name, scale.count, zero.count);
    }
    to->n_scales = scale.count;
    to->axis = brim_flat_int(f, q, QUANTIZATION_AXIS, 0);
    to->scale = brim_arena_alloc(m->arena, scale.count, sizeof *to->scale);
    to->zero = brim_arena_zalloc(m->arena, scale.count, sizeof *to->zero);
    if (to->scale == NULL || to->zero == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < scale.count; i++) {
        to->scale[i] = brim_flat_float_at(f, scale, i);
        to->zero[i] = zero.count == 0 ? 0 : brim_flat_long_at(f, zero, i);
    }
    return check_scales(m, to);
}

/* Bytes of a constant: none means that operators make the tensor. */
static brim_status read_bytes(struct brim_tflite_model *m, struct brim_flat_vector buffers,
                              int32_t buffer, struct brim_tflite_tensor *to)
{
    struct brim_flat *f = &m->flat;

    if (buffer < 0 || (size_t)buffer >= buffers.count) {
        return brim_fail(m->ctx, BRIM_ERR_FILE, "tensor '%s': its buffer %d is none of %zu",
                         to->name, (int)buffer, buffers.count);
    }
    const brim_flat_table b = brim_flat_table_at(f, buffers, (size_t)buffer);
    const struct brim_flat_vector bytes = brim_flat_vector_of(f, b, BUFFER_DATA, 1);
    if (bytes.count == 0) {
        return BRIM_OK;
    }
    const size_t count = (size_t)brim_shape_count(&to->type.shape);
    const size_t size = brim_dtype_size(to->type.dtype);
    if (bytes.count / size != count || bytes.count % size != 0) {
        return brim_fail(m->ctx, BRIM_ERR_FILE,
                         "tensor '%s': has %zu bytes, expected %zu elements of %zu", to->name,
                         bytes.count, count, size);
    }
    to->data = f->data + bytes.at;
    return BRIM_OK;
}

/* Converters join the names of what they fused by semicolons: the first will do. */
static size_t name_length(const struct brim_flat *f, struct brim_flat_vector name)
{
    size_t n = 0;

    while (n < name.count && f->data[name.at + n] != ';' && f->data[name.at + n] != '\0') {
        n++;
    }
    return n;
}

static brim_status read_tensor(struct brim_tflite_model *m, struct brim_flat_vector tensors,
                               struct brim_flat_vector buffers, size_t i)
{
    struct brim_flat *f = &m->flat;
    struct brim_tflite_tensor *to = &m->tensor[i];
    const brim_flat_table t = brim_flat_table_at(f, tensors, i);
    const struct brim_flat_vector name = brim_flat_vector_of(f, t, TENSOR_NAME, 1);
    const uint8_t type = brim_flat_byte(f, t, TENSOR_TYPE, 0);

    const size_t length = name_length(f, name);
    to->name = length == 0 ? brim_arena_printf(m->arena, "tensor_%zu", i)
                           : brim_arena_strndup(m->arena, (const char *)f->data + name.at, length);
    if (to->name == NULL) {
        return BRIM_ERR_NOMEM;
    }
    to->type.dtype = dtype_of(type);
    if (to->type.dtype == BRIM_UNDEFINED) {
        return brim_fail(m->ctx, BRIM_ERR_UNSUPPORTED,
                         "tensor '%s': element type %u is not supported", to->name, type);
    }
    if (brim_flat_child(f, t, TENSOR_SPARSITY) != 0) {
        return brim_fail(m->ctx, BRIM_ERR_UNSUPPORTED, "tensor '%s': is stored sparse", to->name);
    }
    BRIM_TRY(read_shape(m, t, to));
    BRIM_TRY(read_bytes(m, buffers, brim_flat_int(f, t, TENSOR_BUFFER, 0), to));
    BRIM_TRY(read_scales(m, brim_flat_child(f, t, TENSOR_QUANTIZATION), to));
    return f->bad ? broken(m) : BRIM_OK;
}

/* A vector of tensors' numbers; -1 only where something may be omitted. */
static brim_status read_numbers(struct brim_tflite_model *m, brim_flat_table t, unsigned field,
                                bool omitted, int32_t **out, size_t *count)
{
    const struct brim_flat_vector v = brim_flat_vector_of(&m->flat, t, field, 4);

    *count = v.count;
    *out = brim_arena_alloc(m->arena, v.count + 1, sizeof **out);
    if (*out == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < v.count; i++) {
        const int32_t n = brim_flat_int_at(&m->flat, v, i);
        (*out)[i] = n;
        if (n < (omitted ? -1 : 0) || (n >= 0 && (size_t)n >= m->n_tensors)) {
            return brim_fail(m->ctx, BRIM_ERR_FILE, "there is no tensor %d", (int)n);
        }
    }
    return BRIM_OK;
}

static brim_status read_operator(struct brim_tflite_model *m, struct brim_flat_vector operators,
                                 struct brim_flat_vector codes, size_t i)
{
    struct brim_flat *f = &m->flat;
    struct brim_tflite_operator *to = &m->op[i];
    const brim_flat_table t = brim_flat_table_at(f, operators, i);
    const int32_t number = brim_flat_int(f, t, OPERATOR_CODE, 0);

    if (number < 0 || (size_t)number >= codes.count) {
        return brim_fail(m->ctx, BRIM_ERR_FILE, "there is no operator code %d", (int)number);
    }
    const brim_flat_table code = brim_flat_table_at(f, codes, (size_t)number);
    const uint8_t old = brim_flat_byte(f, code, CODE_OLD, 0);
    const int32_t wide = brim_flat_int(f, code, CODE_BUILTIN, 0);
    to->code = wide > old ? wide : old; /* the old field is a byte that stops at 127 */
    BRIM_TRY(read_numbers(m, t, OPERATOR_INPUTS, true, &to->in, &to->n_in));
    BRIM_TRY(read_numbers(m, t, OPERATOR_OUTPUTS, false, &to->out, &to->n_out));
    to->options = brim_flat_child(f, t, OPERATOR_OPTIONS);
    return f->bad ? broken(m) : BRIM_OK;
}

static brim_status read_graph(struct brim_tflite_model *m, brim_flat_table root, brim_flat_table g)
{
    struct brim_flat *f = &m->flat;
    const struct brim_flat_vector buffers = brim_flat_vector_of(f, root, MODEL_BUFFERS, 4);
    const struct brim_flat_vector codes = brim_flat_vector_of(f, root, MODEL_OPERATOR_CODES, 4);
    const struct brim_flat_vector tensors = brim_flat_vector_of(f, g, GRAPH_TENSORS, 4);
    const struct brim_flat_vector operators = brim_flat_vector_of(f, g, GRAPH_OPERATORS, 4);

    m->n_tensors = tensors.count;
    m->n_operators = operators.count;
    m->tensor = brim_arena_zalloc(m->arena, tensors.count + 1, sizeof *m->tensor);
    m->op = brim_arena_zalloc(m->arena, operators.count + 1, sizeof *m->op);
    if (m->tensor == NULL || m->op == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < tensors.count; i++) {
        BRIM_TRY(read_tensor(m, tensors, buffers, i));
    }
    BRIM_TRY(read_numbers(m, g, GRAPH_INPUTS, false, &m->input, &m->n_inputs));
    BRIM_TRY(read_numbers(m, g, GRAPH_OUTPUTS, false, &m->output, &m->n_outputs));
    for (size_t i = 0; i < operators.count; i++) {
        const brim_status s = read_operator(m, operators, codes, i);
        if (s != BRIM_OK) {
            return brim_fail_at(m->ctx, s, "operator %zu", i);
        }
    }
    return f->bad ? broken(m) : BRIM_OK;
}

brim_status brim_tflite_read(struct brim_tflite_model *m)
{
    struct brim_flat *f = &m->flat;

    if (f->size < 8 || memcmp(f->data + 4, "TFL3", 4) != 0) {
        return brim_fail(m->ctx, BRIM_ERR_FILE, "is not a TensorFlow Lite file of version 3");
    }
    const brim_flat_table root = brim_flat_root(f);
    const struct brim_flat_vector graphs = brim_flat_vector_of(f, root, MODEL_SUBGRAPHS, 4);
    if (f->bad) {
        return broken(m);
    }
    if (graphs.count != 1) {
        return brim_fail(m->ctx, BRIM_ERR_UNSUPPORTED, "has %zu subgraphs, expected one",
                         graphs.count);
    }
    return read_graph(m, root, brim_flat_table_at(f, graphs, 0));
}
