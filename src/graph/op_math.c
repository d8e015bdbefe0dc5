/* op_math.c - shape rules of the elementwise operators. SPDX-License-Identifier: Apache-2.0
 *
 * Before opset 7 a binary operator broadcast only with the attribute broadcast=1, its second input
 * laid along the first from `axis` on (default: aligned at the end).
 */
#include <string.h>

#include "graph/infer.h"
#include "graph/op_families.h"

static const unsigned any_number = BRIM_T_NUMERIC;

static brim_status infer_number(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, any_number));
    return brim_infer_unary(c);
}

static brim_status infer_signed(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_FLOATS | BRIM_T_SIGNED));
    return brim_infer_unary(c);
}

static brim_status infer_round(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_FLOATS));
    return brim_infer_unary(c);
}

static brim_status infer_clip(struct brim_infer *c)
{
    for (size_t i = 1; i < c->node->n_in; i++) {
        BRIM_TRY(brim_infer_same(c, 0, i));
        BRIM_TRY(brim_infer_scalar(c, i));
    }
    return infer_number(c);
}

/* Lay the second shape along the first from `axis` on: ones follow it. */
static brim_status place_old(const struct brim_infer *c, const struct brim_shape *a,
                             struct brim_shape *b)
{
    if (c->opset >= 7 || brim_node_int(c->node, "broadcast", 0) == 0 || a->rank < 0 ||
        b->rank < 0 || brim_node_attr(c->node, "axis") == NULL) {
        return BRIM_OK;
    }
    int axis = 0;
    BRIM_TRY(brim_infer_axis(c, brim_node_int(c->node, "axis", 0), a->rank, &axis));
    if (axis + b->rank > a->rank) {
        return brim_infer_fail(c, "axis %d leaves no room for the %d of the second input", axis,
                               b->rank);
    }
    while (b->rank < a->rank - axis) {
        b->dim[b->rank++] = 1;
    }
    return BRIM_OK;
}

static brim_status broadcast_two(struct brim_infer *c, size_t i, size_t j)
{
    struct brim_shape b = c->in[j].shape;

    BRIM_TRY(place_old(c, &c->in[i].shape, &b));
    c->out[0].shape = c->in[i].shape;
    return brim_infer_broadcast(c, &c->out[0].shape, &b);
}

static brim_status infer_arithmetic(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, any_number));
    BRIM_TRY(brim_infer_check(c, 1, any_number));
    BRIM_TRY(brim_infer_same(c, 0, 1));
    c->out[0].dtype = c->in[0].dtype != BRIM_UNDEFINED ? c->in[0].dtype : c->in[1].dtype;
    return broadcast_two(c, 0, 1);
}

static brim_status infer_pow(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_FLOATS | BRIM_T_INDEX));
    BRIM_TRY(brim_infer_check(c, 1, any_number));
    c->out[0].dtype = c->in[0].dtype;
    return broadcast_two(c, 0, 1);
}

static brim_status infer_compare(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, any_number));
    BRIM_TRY(brim_infer_same(c, 0, 1));
    c->out[0].dtype = BRIM_BOOL;
    return broadcast_two(c, 0, 1);
}

static brim_status infer_equal(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, any_number | BRIM_T(BRIM_BOOL)));
    BRIM_TRY(brim_infer_same(c, 0, 1));
    c->out[0].dtype = BRIM_BOOL;
    return broadcast_two(c, 0, 1);
}

static brim_status infer_variadic(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_all_given(c));
    c->out[0] = c->in[0];
    for (size_t i = 0; i < c->node->n_in; i++) {
        BRIM_TRY(brim_infer_check(c, i, any_number));
        BRIM_TRY(brim_infer_same(c, 0, i));
        BRIM_TRY(brim_infer_broadcast(c, &c->out[0].shape, &c->in[i].shape));
    }
    return BRIM_OK;
}

static brim_status infer_where(struct brim_infer *c)
{
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T(BRIM_BOOL)));
    BRIM_TRY(brim_infer_check(c, 1, BRIM_T_ALL));
    BRIM_TRY(brim_infer_same(c, 1, 2));
    c->out[0].dtype = c->in[1].dtype != BRIM_UNDEFINED ? c->in[1].dtype : c->in[2].dtype;
    c->out[0].shape = c->in[0].shape;
    BRIM_TRY(brim_infer_broadcast(c, &c->out[0].shape, &c->in[1].shape));
    return brim_infer_broadcast(c, &c->out[0].shape, &c->in[2].shape);
}

static brim_status infer_cast(struct brim_infer *c)
{
    const int64_t to = brim_node_int(c->node, "to", 0);

    if (to <= 0 || to > BRIM_INT4 || (BRIM_T_ALL >> to & 1u) == 0) {
        return brim_infer_unsupported(c, "a cast to data type %lld", (long long)to);
    }
    BRIM_TRY(brim_infer_check(c, 0, BRIM_T_ALL));
    c->out[0].dtype = (enum brim_dtype)to;
    c->out[0].shape = c->in[0].shape;
    return BRIM_OK;
}

static brim_status infer_gelu(struct brim_infer *c)
{
    const char *approximate = brim_node_string(c->node, "approximate", "none");

    if (strcmp(approximate, "none") != 0 && strcmp(approximate, "tanh") != 0) {
        return brim_infer_fail(c, "approximate is '%s', expected 'none' or 'tanh'", approximate);
    }
    return brim_infer_unary_float(c);
}

/* domain, name, inputs min..max, outputs min..max, rule */
const struct brim_op brim_ops_math[] = {
    {"", "Abs", 1, 1, 1, 1, infer_number},
    {"", "Add", 2, 2, 1, 1, infer_arithmetic},
    {"", "Cast", 1, 1, 1, 1, infer_cast},
    {"", "Ceil", 1, 1, 1, 1, infer_round},
    {"", "Clip", 1, 3, 1, 1, infer_clip},
    {"", "Div", 2, 2, 1, 1, infer_arithmetic},
    {"", "Equal", 2, 2, 1, 1, infer_equal},
    {"", "Erf", 1, 1, 1, 1, infer_number},
    {"", "Exp", 1, 1, 1, 1, brim_infer_unary_float},
    {"", "Gelu", 1, 1, 1, 1, infer_gelu},
    {"", "Floor", 1, 1, 1, 1, infer_round},
    {"", "Greater", 2, 2, 1, 1, infer_compare},
    {"", "GreaterOrEqual", 2, 2, 1, 1, infer_compare},
    {"", "HardSigmoid", 1, 1, 1, 1, brim_infer_unary_float},
    {"", "HardSwish", 1, 1, 1, 1, brim_infer_unary_float},
    {"", "LeakyRelu", 1, 1, 1, 1, brim_infer_unary_float},
    {"", "Less", 2, 2, 1, 1, infer_compare},
    {"", "LessOrEqual", 2, 2, 1, 1, infer_compare},
    {"", "Max", 1, -1, 1, 1, infer_variadic},
    {"", "Min", 1, -1, 1, 1, infer_variadic},
    {"", "Mul", 2, 2, 1, 1, infer_arithmetic},
    {"", "Neg", 1, 1, 1, 1, infer_signed},
    {"", "Pow", 2, 2, 1, 1, infer_pow},
    {"", "Reciprocal", 1, 1, 1, 1, brim_infer_unary_float},
    {"", "Relu", 1, 1, 1, 1, infer_signed},
    {"", "Round", 1, 1, 1, 1, infer_round},
    {"", "Sigmoid", 1, 1, 1, 1, brim_infer_unary_float},
    {"", "Sign", 1, 1, 1, 1, infer_number},
    {"", "Sqrt", 1, 1, 1, 1, brim_infer_unary_float},
    {"", "Sub", 2, 2, 1, 1, infer_arithmetic},
    {"", "Tanh", 1, 1, 1, 1, brim_infer_unary_float},
    {"", "Where", 3, 3, 1, 1, infer_where},
};

const size_t brim_ops_math_count = sizeof brim_ops_math / sizeof brim_ops_math[0];
