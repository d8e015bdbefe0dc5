/* qonnx.c - QONNX's quantizers become ONNX's. SPDX-License-Identifier: Apache-2.0
 *
 * Source      QONNX, qonnx.custom_op.general: IntQuant (once Quant) version 1, BipolarQuant 1, Trunc 1
 *             and 2; also under the names that Brevitas and FINN gave the domain.
 * Formulas    Quant     (clip(round(x / s + z)) - z) * s
 *             Bipolar   (x >= 0 ? 1 : -1) * s
 *             Trunc     (round_mode(round(x / s + z) / 2^t) - z') * s', t = in - out bits and s' = s
 *                       in version 1, 2^t = s' / s and z' = z / 2^t in version 2
 *             all in float32, one rounding per operation.
 * Rewriting   of a constant: its codes, and a DequantizeLinear of them. Of anything else:
 *
 *     x -> QuantizeLinear(s, 0) -> [Clip] -> DequantizeLinear(s, 0)            z = 0, ROUND
 *     x -> Div(s) -> [Add(z)] -> [Floor | Ceil] -> QuantizeLinear(1, 0) -> [Clip]
 *                                                  -> DequantizeLinear(s, z)   otherwise
 *     x -> GreaterOrEqual(0) -> Where(1, -1) -> DequantizeLinear(s, 0)         Bipolar
 *
 *             The zero point is added before the rounding, as QONNX says: with an odd one the ties
 *             go the other way than QuantizeLinear's, which adds it afterwards.
 * Deviation   Version 1 of Trunc does not say whether its codes are signed: the quantizer before it
 *             does, behind pooling. Codes are held to the width it states; where no quantizer is
 *             found it stays float arithmetic.
 * Example     x = 0.6, s = 0.5, 2 bits, signed, narrow: 1.2 rounds to 1, within -1..1: y = 0.5.
 */
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/intops.h"
#include "graph/op.h"
#include "graph/rewrite.h"
#include "onnx/loader.h"

enum { OPSET_CODES = 13, OPSET_CODES_16 = 21 };

/* The codes of a quantizer. */
struct codes {
    enum brim_dtype dtype;
    int64_t lo, hi;
};

struct quantizer {
    struct brim_graph *g;
    struct brim_node node; /* a copy: the graph's array moves as nodes are added */
    int32_t x;
    const struct brim_tensor *scale, *zero; /* float32, one element or one along an axis */
    int axis;                               /* -1: one scale and zero point for all */
    size_t count;                           /* of scales and zero points */
    float *s, *z;                           /* [count] */
};

static brim_status refuse(const struct quantizer *q, const char *fmt, ...) BRIM_PRINTF(2, 3);

static brim_status refuse(const struct quantizer *q, const char *fmt, ...)
{
    char text[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)brim_fail(q->g->ctx, BRIM_ERR_UNSUPPORTED, "node '%s' (%s): %s", q->node.name,
                    q->node.op_type, text);
    return BRIM_ERR_UNSUPPORTED;
}

/* ---- what a node says ---- */

static double number_at(const struct brim_tensor *t, size_t i)
{
    if (t->type.dtype == BRIM_FLOAT) {
        return (double)((const float *)t->data)[i];
    }
    if (t->type.dtype == BRIM_DOUBLE) {
        return ((const double *)t->data)[i];
    }
    return (double)brim_tensor_int(t, i);
}

/* Input i, or NULL after saying that it is no constant number. */
static const struct brim_tensor *constant_input(const struct quantizer *q, size_t i,
                                                const char *what)
{
    const int32_t v = i < q->node.n_in ? q->node.in[i] : -1;
    const struct brim_tensor *t = v < 0 ? NULL : q->g->values[v].constant;

    if (t == NULL || brim_shape_count(&t->type.shape) < 1 || t->type.dtype == BRIM_FLOAT16 ||
        t->type.dtype == BRIM_BFLOAT16) {
        (void)refuse(q, "its %s is computed or no number, expected a constant", what);
        return NULL;
    }
    return t;
}

/* One whole number of [1, most] in input i. */
static brim_status read_bits(const struct quantizer *q, size_t i, const char *what, int most,
                             int *bits)
{
    const struct brim_tensor *t = constant_input(q, i, what);

    if (t == NULL) {
        return BRIM_ERR_UNSUPPORTED;
    }
    const double v = number_at(t, 0);
    if (brim_shape_count(&t->type.shape) != 1 || !(v >= 1.0 && v <= (double)most) ||
        v != floor(v)) {
        return refuse(q, "its %s is %g, expected one whole number of 1..%d", what, v, most);
    }
    *bits = (int)v;
    return BRIM_OK;
}

/* The axis of x along which a constant varies, -1 for none; aligned at the end as numpy does. */
static brim_status find_axis(const struct quantizer *q, const struct brim_tensor *t,
                             const char *what, int *axis)
{
    const struct brim_shape *x = &q->g->values[q->x].type.shape, *s = &t->type.shape;
    char text[128];
    bool good = true;

    *axis = -1;
    for (int i = 0; i < s->rank && good; i++) {
        const int at = x->rank - s->rank + i;
        if (s->dim[i] != 1) {
            good = *axis < 0 && at >= 0 && (x->dim[at] < 0 || x->dim[at] == s->dim[i]);
            *axis = at;
        }
    }
    return good ? BRIM_OK
                : refuse(q,
                         "its %s has shape %s, expected one number or one for each index of one "
                         "axis",
                         what, brim_shape_text(s, text, sizeof text));
}

/* Scales and zero points, [count] of both, the zero points whole numbers. */
static brim_status read_grid(struct quantizer *q, bool has_zero)
{
    int s_axis = -1, z_axis = -1;
    const struct brim_tensor *zero = NULL;

    q->scale = constant_input(q, 1, "scale");
    zero = q->scale != NULL && has_zero ? constant_input(q, 2, "zero point") : NULL;
    if (q->scale == NULL || (has_zero && zero == NULL)) {
        return BRIM_ERR_UNSUPPORTED;
    }
    BRIM_TRY(find_axis(q, q->scale, "scale", &s_axis));
    BRIM_TRY(zero == NULL ? BRIM_OK : find_axis(q, zero, "zero point", &z_axis));
    if (s_axis >= 0 && z_axis >= 0 && s_axis != z_axis) {
        return refuse(q, "its scale and its zero point vary along different axes");
    }
    q->zero = zero;
    q->axis = s_axis >= 0 ? s_axis : z_axis;
    const size_t n_s = (size_t)brim_shape_count(&q->scale->type.shape);
    const size_t n_z = zero == NULL ? 1 : (size_t)brim_shape_count(&zero->type.shape);
    q->count = brim_max_size(n_s, n_z);
    q->s = brim_arena_alloc(&q->g->arena, q->count, sizeof *q->s);
    q->z = brim_arena_alloc(&q->g->arena, q->count, sizeof *q->z);
    if (q->s == NULL || q->z == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < q->count; i++) {
        q->s[i] = (float)number_at(q->scale, n_s == 1 ? 0 : i);
        q->z[i] = zero == NULL ? 0.0f : (float)number_at(zero, n_z == 1 ? 0 : i);
        if (!(q->s[i] > 0.0f) || isinf(q->s[i])) {
            return refuse(q, "its scale is %g, expected a positive number", (double)q->s[i]);
        }
        if (q->z[i] != floorf(q->z[i]) || fabsf(q->z[i]) > 65535.0f) {
            return refuse(q, "its zero point is %g, expected a whole number of 16 bits",
                          (double)q->z[i]);
        }
    }
    return BRIM_OK;
}

static bool any_zero_point(const struct quantizer *q)
{
    for (size_t i = 0; i < q->count; i++) {
        if (q->z[i] != 0.0f) {
            return true;
        }
    }
    return false;
}

enum rounding { HALF_EVEN, FLOOR, CEIL, UP, DOWN, HALF_UP, HALF_DOWN };

static brim_status read_rounding(const struct quantizer *q, const char *fallback,
                                 enum rounding *mode)
{
    static const struct {
        const char *name;
        enum rounding mode;
    } known[] = {{"ROUND", HALF_EVEN}, {"HALF_EVEN", HALF_EVEN},
                 {"FLOOR", FLOOR},     {"CEIL", CEIL},
                 {"UP", UP},           {"DOWN", DOWN},
                 {"HALF_UP", HALF_UP}, {"HALF_DOWN", HALF_DOWN}};
    const char *name = brim_node_string(&q->node, "rounding_mode", fallback);
    char upper[16] = "";

    for (size_t i = 0; name[i] != '\0' && i + 1 < sizeof upper; i++) {
        upper[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 'a' + 'A' : name[i]);
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(upper, known[i].name) == 0 && strlen(name) == strlen(upper)) {
            *mode = known[i].mode;
            return BRIM_OK;
        }
    }
    return refuse(q, "its rounding_mode is '%.40s', which is not known", name);
}

static float round_by(enum rounding mode, float v)
{
    const float magnitude = fabsf(v);

    switch (mode) {
    case HALF_EVEN:
        return rintf(v);
    case FLOOR:
        return floorf(v);
    case CEIL:
        return ceilf(v);
    case UP:
        return copysignf(ceilf(magnitude), v);
    case DOWN:
        return copysignf(floorf(magnitude), v);
    case HALF_UP:
        return copysignf(floorf(magnitude + 0.5f), v);
    case HALF_DOWN:
        return copysignf(ceilf(magnitude - 0.5f), v);
    }
    return v;
}

/* lo and hi of `bits` bits, and the type that stores them. */
static struct codes codes_of(const struct quantizer *q, int bits, bool is_signed)
{
    const bool narrow = brim_node_int(&q->node, "narrow", 0) != 0;
    struct codes c;

    if (is_signed) {
        c.hi = (INT64_C(1) << (bits - 1)) - 1;
        c.lo = narrow ? -c.hi : -c.hi - 1;
        c.dtype = bits <= 8 ? BRIM_INT8 : bits <= 16 ? BRIM_INT16 : BRIM_INT32;
    } else {
        c.lo = 0;
        c.hi = (INT64_C(1) << bits) - 1 - narrow;
        c.dtype = bits <= 8 ? BRIM_UINT8 : bits <= 16 ? BRIM_UINT16 : BRIM_INT32;
    }
    return c;
}

/* ---- building ---- */

static int32_t add_constant(const struct quantizer *q, const char *what,
                            const struct brim_type *type, const void *data)
{
    const char *name = brim_arena_printf(&q->g->arena, "%s_%s", q->node.name, what);

    return name == NULL ? -1 : brim_graph_add_constant(q->g, name, type, data);
}

static int32_t add_float(const struct quantizer *q, const char *what, float v)
{
    const struct brim_type type = {BRIM_FLOAT, {.rank = 0}};

    return add_constant(q, what, &type, &v);
}

static void put_code(struct brim_tensor *t, size_t i, int64_t v)
{
    const uint32_t bits = (uint32_t)(uint64_t)v;

    if (brim_dtype_size(t->type.dtype) == 1) {
        ((uint8_t *)t->data)[i] = (uint8_t)bits;
    } else if (brim_dtype_size(t->type.dtype) == 2) {
        ((uint16_t *)t->data)[i] = (uint16_t)bits;
    } else {
        ((uint32_t *)t->data)[i] = bits;
    }
}

/* One integer of a type. */
static int32_t add_code(const struct quantizer *q, const char *what, enum brim_dtype dtype,
                        int64_t v)
{
    uint32_t data = 0;
    struct brim_tensor t = {{dtype, {.rank = 0}}, &data};

    put_code(&t, 0, v);
    return add_constant(q, what, &t.type, &data);
}

/* `what`(a, b, c) -> a new value, or `out` when that is not negative; -1 when out of memory. */
static int32_t add_node(const struct quantizer *q, const char *op, const int32_t in[3], int32_t out)
{
    const char *name = brim_arena_printf(&q->g->arena, "%s_%s", q->node.name, op);
    const size_t n_in = in[2] >= 0 ? 3 : in[1] >= 0 ? 2 : 1;

    if (out < 0) {
        out = name == NULL ? -1 : brim_graph_add_value(q->g, name, NULL);
    }
    return out < 0 || brim_graph_add_node(q->g, name, op, in, n_in, &out, 1) == NULL ? -1 : out;
}
#define ADD_NODE(q, op, out, ...) add_node((q), (op), (const int32_t[3]){__VA_ARGS__}, (out))

/* The scales as QuantizeLinear takes them: one number, or one along the axis. */
static int32_t add_scales(const struct quantizer *q, const float *s)
{
    struct brim_type type = {BRIM_FLOAT, {.rank = q->axis < 0 ? 0 : 1}};

    type.shape.dim[0] = (int64_t)q->count;
    return add_constant(q, "scale", &type, s);
}

/* The zero points, of the codes' type; none for zeros of 32 bits. */
static brim_status add_zeros(const struct quantizer *q, enum brim_dtype dtype, int32_t *v)
{
    struct brim_tensor t = {{dtype, {.rank = q->axis < 0 ? 0 : 1}}, NULL};
    int64_t lo, hi;

    *v = -1;
    if (dtype == BRIM_INT32) {
        return BRIM_OK;
    }
    brim_dtype_range(dtype, &lo, &hi);
    t.type.shape.dim[0] = (int64_t)q->count;
    t.data = brim_arena_alloc(&q->g->arena, q->count, sizeof(uint32_t));
    if (t.data == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < q->count; i++) {
        if (q->z[i] < (float)lo || q->z[i] > (float)hi) {
            return refuse(q, "its zero point is %g, expected %lld..%lld", (double)q->z[i],
                          (long long)lo, (long long)hi);
        }
        put_code(&t, i, (int64_t)q->z[i]);
    }
    *v = add_constant(q, "zero", &t.type, t.data);
    return *v < 0 ? BRIM_ERR_NOMEM : BRIM_OK;
}

static brim_status set_axis(const struct quantizer *q, int32_t made)
{
    struct brim_node *n = &q->g->nodes[q->g->n_nodes - 1];

    if (made < 0) {
        return BRIM_ERR_NOMEM;
    }
    return q->axis < 0 ? BRIM_OK : brim_node_set_int(q->g, n, "axis", q->axis);
}

/* codes -> DequantizeLinear -> what the quantizer gave. */
static brim_status dequantize(const struct quantizer *q, int32_t codes, enum brim_dtype dtype,
                              const float *scales)
{
    const int32_t out = q->node.out[0], s = add_scales(q, scales);
    int32_t zero;

    BRIM_TRY(add_zeros(q, dtype, &zero));
    if (codes < 0 || s < 0) {
        return BRIM_ERR_NOMEM;
    }
    return set_axis(q, ADD_NODE(q, "DequantizeLinear", out, codes, s, zero));
}

/* Whole numbers of v (or v / scale) -> codes within lo..hi. */
static int32_t quantize(const struct quantizer *q, int32_t v, int32_t scale, int32_t zero,
                        const struct codes *c)
{
    int32_t made = ADD_NODE(q, "QuantizeLinear", -1, v, scale, zero);
    int64_t lo, hi;

    if (set_axis(q, made) != BRIM_OK) {
        return -1;
    }
    brim_dtype_range(c->dtype, &lo, &hi);
    if (c->lo > lo || c->hi < hi) {
        const int32_t low = add_code(q, "low", c->dtype, c->lo);
        const int32_t high = add_code(q, "high", c->dtype, c->hi);
        made = low < 0 || high < 0 ? -1 : ADD_NODE(q, "Clip", -1, made, low, high);
    }
    return made;
}

/* ---- constants ---- */

/* Which scale belongs to element i. */
static size_t scale_of(const struct quantizer *q, const struct brim_shape *x, size_t i)
{
    if (q->axis < 0) {
        return 0;
    }
    for (int d = x->rank - 1; d > q->axis; d--) {
        i /= (size_t)x->dim[d];
    }
    return i % q->count;
}

static float clip_float(float v, const struct codes *c)
{
    v = v > (float)c->hi ? (float)c->hi : v;
    return v < (float)c->lo ? (float)c->lo : v;
}

/* Codes of 32 bits have no zero point: it is subtracted. */
static brim_status quantize_constant(const struct quantizer *q, const struct codes *c,
                                     enum rounding mode, bool bipolar)
{
    const struct brim_tensor *x = q->g->values[q->x].constant;
    const size_t n = (size_t)brim_shape_count(&x->type.shape);
    struct brim_tensor t = {{c->dtype, x->type.shape}, NULL};

    t.data = brim_arena_alloc(&q->g->arena, n + 1, brim_dtype_size(c->dtype));
    if (t.data == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t at = scale_of(q, &x->type.shape, i);
        const float v = ((const float *)x->data)[i] / q->s[at] + q->z[at];
        double code = bipolar ? (v >= 0.0f ? 1.0 : -1.0) : (double)round_by(mode, clip_float(v, c));
        code -= c->dtype == BRIM_INT32 ? (double)q->z[at] : 0.0;
        if (code < (double)INT32_MIN || code > (double)INT32_MAX) {
            return refuse(q, "code %.0f of its constant exceeds 32 bits", code);
        }
        put_code(&t, i, (int64_t)code);
    }
    const int32_t v = add_constant(q, "codes", &t.type, t.data);
    return dequantize(q, v, c->dtype, q->s);
}

/* ---- the operators ---- */

static brim_status lower_bipolar(const struct quantizer *q)
{
    static const struct codes codes = {BRIM_INT8, -1, 1};

    if (any_zero_point(q)) {
        return refuse(q, "its codes are -1 and 1 and its zero point is not 0");
    }
    if (q->g->values[q->x].constant != NULL) {
        return quantize_constant(q, &codes, HALF_EVEN, true);
    }
    const int32_t zero = add_float(q, "threshold", 0.0f);
    const int32_t high = add_code(q, "high", BRIM_INT8, 1);
    const int32_t low = add_code(q, "low", BRIM_INT8, -1);
    if (zero < 0 || high < 0 || low < 0) {
        return BRIM_ERR_NOMEM;
    }
    const int32_t positive = ADD_NODE(q, "GreaterOrEqual", -1, q->x, zero, -1);
    const int32_t sign = positive < 0 ? -1 : ADD_NODE(q, "Where", -1, positive, high, low);
    return dequantize(q, sign, BRIM_INT8, q->s);
}

/* v -> mode(v); rounding half to even is left to QuantizeLinear. */
static brim_status round_value(const struct quantizer *q, enum rounding mode, int32_t *v)
{
    if (mode == FLOOR || mode == CEIL) {
        *v = ADD_NODE(q, mode == FLOOR ? "Floor" : "Ceil", -1, *v, -1, -1);
    } else if (mode != HALF_EVEN) {
        return refuse(
            q,
            "its rounding_mode is '%s', expected ROUND, FLOOR or CEIL for values that are "
            "not constant",
            brim_node_string(&q->node, "rounding_mode", ""));
    }
    return *v < 0 ? BRIM_ERR_NOMEM : BRIM_OK;
}

static brim_status check_width(const struct quantizer *q, const struct codes *c, int bits)
{
    if (c->dtype == BRIM_INT32) {
        return refuse(
            q, "its bit width is %d, expected at most 16 for values that are not constant", bits);
    }
    return brim_dtype_size(c->dtype) == 1 ? BRIM_OK : brim_graph_upgrade(q->g, OPSET_CODES_16);
}

/* x / s + z */
static int32_t divide(const struct quantizer *q)
{
    const int32_t v = ADD_NODE(q, "Div", -1, q->x, q->node.in[1], -1);
    struct brim_type type = {BRIM_FLOAT, q->zero->type.shape};

    if (v < 0 || !any_zero_point(q)) {
        return v;
    }
    const int32_t z = add_constant(q, "offset", &type, q->z);
    return z < 0 ? -1 : ADD_NODE(q, "Add", -1, v, z, -1);
}

static brim_status lower_quant(struct quantizer *q)
{
    const bool is_signed = brim_node_int(&q->node, "signed", 1) != 0;
    const bool is_constant = q->g->values[q->x].constant != NULL;
    enum rounding mode;
    int bits = 0;

    BRIM_TRY(read_grid(q, true));
    BRIM_TRY(read_bits(q, 3, "bit width", 32, &bits));
    BRIM_TRY(read_rounding(q, "ROUND", &mode));
    if (bits == 1 && is_signed) {
        return lower_bipolar(q);
    }
    const struct codes c = codes_of(q, bits, is_signed);
    if (is_constant) {
        return quantize_constant(q, &c, mode, false);
    }
    BRIM_TRY(check_width(q, &c, bits));
    int32_t v = q->x, scale, zero;
    if (!any_zero_point(q) && mode == HALF_EVEN) {
        BRIM_TRY(add_zeros(q, c.dtype, &zero));
        scale = add_scales(q, q->s);
        v = scale < 0 ? -1 : quantize(q, v, scale, zero, &c);
        return dequantize(q, v, c.dtype, q->s);
    }
    const struct quantizer whole = {.g = q->g, .node = q->node, .axis = -1, .count = 1};
    v = divide(q);
    BRIM_TRY(v < 0 ? BRIM_ERR_NOMEM : round_value(q, mode, &v));
    scale = add_float(&whole, "one", 1.0f);
    zero = add_code(&whole, "origin", c.dtype, 0);
    v = scale < 0 || zero < 0 ? -1 : quantize(&whole, v, scale, zero, &c);
    return dequantize(q, v, c.dtype, q->s);
}

/* Are the codes behind this value, which pooling may have summed up, signed? -1: not known. */
static int signed_before(const struct brim_graph *g, int32_t value)
{
    static const char *const through[] = {
        "AveragePool", "Flatten",   "GlobalAveragePool", "Identity", "MaxPool",   "Mul",
        "ReduceMean",  "ReduceSum", "Reshape",           "Squeeze",  "Transpose", "Unsqueeze"};

    for (size_t hops = 0; hops < g->n_nodes; hops++) {
        const int32_t at = brim_graph_producer(g, value);
        const struct brim_node *n = at < 0 ? NULL : &g->nodes[at];
        bool passes = false;
        if (n == NULL || n->domain[0] != '\0' || n->n_in == 0 || n->in[0] < 0) {
            return -1;
        }
        if (strcmp(n->op_type, "DequantizeLinear") == 0) {
            const int32_t zero = n->n_in > 2 ? n->in[2] : -1;
            const struct brim_tensor *t = zero < 0 ? NULL : g->values[zero].constant;
            return t == NULL ? -1 : t->type.dtype == BRIM_INT8 || t->type.dtype == BRIM_INT16;
        }
        for (size_t i = 0; i < sizeof through / sizeof through[0]; i++) {
            passes = passes || strcmp(n->op_type, through[i]) == 0;
        }
        if (strcmp(n->op_type, "Mul") == 0) { /* by a positive number */
            const struct brim_tensor *t = n->in[1] < 0 ? NULL : g->values[n->in[1]].constant;
            passes = t != NULL && t->type.dtype == BRIM_FLOAT &&
                     brim_shape_count(&t->type.shape) == 1 && *(const float *)t->data > 0.0f;
        }
        if (!passes) {
            return -1;
        }
        value = n->in[0];
    }
    return -1;
}

/* What the two versions of Trunc say in their own ways. */
struct trunc {
    int in_bits, out_bits, sign; /* sign -1: not known */
    float shift, scale;          /* 2^t and s' */
};

static brim_status read_trunc(struct quantizer *q, struct trunc *t)
{
    const bool second = q->node.n_in == 6;

    BRIM_TRY(read_grid(q, true));
    if (q->count != 1) {
        return refuse(q, "its scale or zero point has %zu elements, expected 1", q->count);
    }
    BRIM_TRY(read_bits(q, 3, "input bit width", 32, &t->in_bits));
    BRIM_TRY(read_bits(q, second ? 5 : 4, "output bit width", 32, &t->out_bits));
    if (!second) {
        t->sign = signed_before(q->g, q->x);
        t->shift = ldexpf(1.0f, t->in_bits - t->out_bits);
        t->scale = q->s[0];
        return BRIM_OK;
    }
    const struct brim_tensor *out_scale = constant_input(q, 4, "output scale");
    if (out_scale == NULL) {
        return BRIM_ERR_UNSUPPORTED;
    }
    t->scale = (float)number_at(out_scale, 0);
    if (brim_shape_count(&out_scale->type.shape) != 1 || !(t->scale > 0.0f) || isinf(t->scale)) {
        return refuse(q, "its output scale is %g, expected one positive number", (double)t->scale);
    }
    const double exponent = rint(log2((double)(t->scale / q->s[0])));
    if (!(fabs(exponent) <= 64.0)) {
        return refuse(q, "its output scale is 2^%g of its scale, expected at most 2^64", exponent);
    }
    t->sign = brim_node_int(&q->node, "signed", 1) != 0;
    t->shift = ldexpf(1.0f, (int)exponent);
    return BRIM_OK;
}

static brim_status lower_trunc(struct quantizer *q)
{
    struct trunc t = {.sign = -1};
    enum rounding mode;

    BRIM_TRY(read_trunc(q, &t));
    BRIM_TRY(read_rounding(q, "FLOOR", &mode));
    assert(q->z != NULL && t.out_bits > 0);
    const float zero_out = q->node.n_in == 6 ? q->z[0] / t.shift : q->z[0];
    const struct codes c = codes_of(q, t.out_bits, t.sign != 0);
    BRIM_TRY(t.sign < 0 ? BRIM_OK : check_width(q, &c, t.out_bits));
    int32_t v = divide(q);
    v = v < 0 ? -1 : ADD_NODE(q, "Round", -1, v, -1, -1);
    const int32_t factor = add_float(q, "shift", 1.0f / t.shift); /* a power of two: exact */
    v = v < 0 || factor < 0 ? -1 : ADD_NODE(q, "Mul", -1, v, factor, -1);
    if (v < 0) {
        return BRIM_ERR_NOMEM;
    }
    if (mode != HALF_EVEN || t.sign >= 0) {
        BRIM_TRY(round_value(q, mode, &v));
    } else {
        v = ADD_NODE(q, "Round", -1, v, -1, -1);
    }
    if (t.sign < 0) {
        const int32_t zero = add_float(q, "zero", zero_out), scale = add_float(q, "scale", t.scale);
        v = v < 0 || zero < 0 || scale < 0 ? -1 : ADD_NODE(q, "Sub", -1, v, zero, -1);
        return v < 0 || ADD_NODE(q, "Mul", q->node.out[0], v, scale, -1) < 0 ? BRIM_ERR_NOMEM
                                                                             : BRIM_OK;
    }
    if (zero_out != floorf(zero_out)) {
        return refuse(q, "its zero point becomes %g, expected a whole number", (double)zero_out);
    }
    const int32_t one = add_float(q, "one", 1.0f), origin = add_code(q, "origin", c.dtype, 0);
    v = one < 0 || origin < 0 ? -1 : quantize(q, v, one, origin, &c);
    q->z[0] = zero_out;
    return dequantize(q, v, c.dtype, &t.scale);
}

/* ---- all of them ---- */

static bool is_qonnx(const struct brim_node *n)
{
    return strcmp(n->domain, BRIM_DOMAIN_QONNX) == 0;
}

static brim_status lower(struct brim_graph *g, size_t i)
{
    struct quantizer q = {.g = g, .node = g->nodes[i], .x = g->nodes[i].in[0], .axis = -1};

    if (q.node.out[0] < 0) {
        return BRIM_OK;
    }
    if (strcmp(q.node.op_type, "BipolarQuant") == 0) {
        BRIM_TRY(read_grid(&q, false));
        return lower_bipolar(&q);
    }
    return strcmp(q.node.op_type, "Trunc") == 0 ? lower_trunc(&q) : lower_quant(&q);
}

/* The nodes that were lowered, and constants that only they read, go. */
static brim_status clear_away(struct brim_graph *g, struct brim_arena *scratch)
{
    bool *before = brim_arena_zalloc(scratch, g->n_values + 1, sizeof *before);
    bool *after = brim_arena_zalloc(scratch, g->n_values + 1, sizeof *after);
    size_t kept = 0;

    if (before == NULL || after == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        after[g->outputs[i]] = true;
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct brim_node *n = &g->nodes[i];
        for (size_t j = 0; j < n->n_in; j++) {
            if (n->in[j] >= 0) {
                *(is_qonnx(n) ? &before[n->in[j]] : &after[n->in[j]]) = true;
            }
        }
        if (is_qonnx(n)) {
            brim_names_remove(&g->node_names, n->name);
        } else {
            g->nodes[kept++] = *n;
        }
    }
    g->n_nodes = kept;
    for (size_t v = 0; v < g->n_values; v++) {
        if (before[v] && !after[v]) {
            g->values[v].constant = NULL;
        }
    }
    kept = 0;
    for (size_t i = 0; i < g->n_opsets; i++) {
        if (strcmp(g->opsets[i].domain, BRIM_DOMAIN_QONNX) != 0) {
            g->opsets[kept++] = g->opsets[i];
        }
    }
    g->n_opsets = kept;
    return BRIM_OK;
}

brim_status brim_onnx_lower_qonnx(struct brim_graph *g)
{
    const size_t n_nodes = g->n_nodes;
    struct brim_arena scratch;
    bool any = false;

    for (size_t i = 0; i < n_nodes; i++) {
        any = any || is_qonnx(&g->nodes[i]);
    }
    if (!any) {
        return BRIM_OK;
    }
    BRIM_TRY(brim_graph_fold_moves(g));
    BRIM_TRY(brim_graph_upgrade(g, OPSET_CODES));
    const size_t n_before = g->n_nodes;
    for (size_t i = 0; i < n_before; i++) {
        if (is_qonnx(&g->nodes[i])) {
            BRIM_TRY(lower(g, i));
            g->nodes[i].n_out = 0; /* its output has another producer now */
        }
    }
    brim_arena_init(&scratch, g->ctx);
    const brim_status status = clear_away(g, &scratch);
    brim_arena_free(&scratch);
    BRIM_TRY(status);
    BRIM_TRY(brim_graph_sort(g));
    return brim_graph_infer(g);
}
