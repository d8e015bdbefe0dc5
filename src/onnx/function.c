/* function.c - brim's own operators as functions of ONNX operators. SPDX-License-Identifier:
 * Apache-2.0
 *
 * VectorQuantize(x, scale, low, high, top, split) of docs/semantics.md section 11, one ONNX operator
 * for each float operation, so that the bits are the same. x [N, C, ...] becomes [N, C/V, V, rest] by
 * split = (0, C/V, V, -1). A vector of zeros has sign 0: its scale becomes 0, and it is divided by 1.
 */
#include "onnx/function.h"

#include <string.h>

#include "graph/dot.h"

static const struct {
    const char *op, *in[2], *out;
} body[] = {
    {"Reshape", {"x", "split"}, "v"},
    {"Abs", {"v"}, "magnitude"},
    {"ReduceMax", {"magnitude", "two"}, "a"},
    {"Mul", {"high", "scale"}, "unit"},
    {"Div", {"a", "unit"}, "t"},
    {"Min", {"t", "top"}, "t_top"},
    {"Ceil", {"t_top"}, "t_up"},
    {"Max", {"t_up", "one"}, "t_one"},
    {"Sign", {"a"}, "sign"},
    {"Mul", {"t_one", "sign"}, "sx"},
    {"Mul", {"sx", "scale"}, "s"},
    {"Sub", {"one", "sign"}, "none"},
    {"Add", {"s", "none"}, "divisor"},
    {"Div", {"v", "divisor"}, "q"},
    {"Max", {"q", "low"}, "q_low"},
    {"Min", {"q_low", "high"}, "q_high"},
    {"Round", {"q_high"}, "code"},
    {"Mul", {"code", "s"}, "real"},
    {"Shape", {"x"}, "shape"},
    {"Reshape", {"real", "shape"}, "y"},
};
#define N_BODY (sizeof body / sizeof *body)

static const char *const inputs[] = {"x", "scale", "low", "high", "top", "split"};
#define N_INPUTS (sizeof inputs / sizeof *inputs)

/* Text that the message only reads. */
static char *borrow(const char *s)
{
    union {
        const char *in;
        char *out;
    } u = {s};
    return u.out;
}

static void *list(struct brim_arena *a, size_t n, size_t size)
{
    void **pointer = brim_arena_alloc(a, n, sizeof *pointer);

    for (size_t i = 0; pointer != NULL && i < n; i++) {
        pointer[i] = brim_arena_zalloc(a, 1, size);
        pointer = pointer[i] == NULL ? NULL : pointer;
    }
    return pointer;
}

static brim_status plain_node(struct brim_arena *a, size_t i, pb_node *n)
{
    brim__onnx__node__init(n);
    n->op_type = borrow(body[i].op);
    n->n_input = body[i].in[1] == NULL ? 1 : 2;
    n->n_output = 1;
    n->input = brim_arena_alloc(a, 2, sizeof *n->input);
    n->output = brim_arena_alloc(a, 1, sizeof *n->output);
    if (n->input == NULL || n->output == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t j = 0; j < n->n_input; j++) {
        n->input[j] = borrow(body[i].in[j]);
    }
    n->output[0] = borrow(body[i].out);
    return BRIM_OK;
}

/* A Constant of one element. */
static brim_status constant_node(struct brim_arena *a, const char *name,
                                 const struct brim_tensor *t, pb_node *n)
{
    brim__onnx__node__init(n);
    n->op_type = borrow("Constant");
    n->n_output = n->n_attribute = 1;
    n->output = brim_arena_alloc(a, 1, sizeof *n->output);
    n->attribute = list(a, 1, sizeof **n->attribute);
    if (n->output == NULL || n->attribute == NULL) {
        return BRIM_ERR_NOMEM;
    }
    n->output[0] = borrow(name);
    pb_attr *attr = n->attribute[0];
    brim__onnx__attribute__init(attr);
    attr->name = borrow("value");
    attr->has_type = 1;
    attr->type = BRIM_ATTR_TENSOR;
    attr->t = brim_arena_zalloc(a, 1, sizeof *attr->t);
    if (attr->t == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim__onnx__tensor__init(attr->t);
    return brim_onnx_tensor_write(a, t, attr->t);
}

static brim_status fill(struct brim_arena *a, int64_t opset, pb_function *f)
{
    static float one = 1.0f; /* the message points to them until it is packed */
    static int64_t two = 2;
    const struct brim_tensor t_one = {{BRIM_FLOAT, {.rank = 0}}, &one};
    const struct brim_tensor t_two = {{BRIM_INT64, {1, {1}}}, &two};

    brim__onnx__function__init(f);
    f->name = borrow("VectorQuantize");
    f->domain = borrow(BRIM_DOMAIN);
    f->n_input = N_INPUTS;
    f->n_output = f->n_opset_import = 1;
    f->n_node = N_BODY + 2;
    f->input = brim_arena_alloc(a, N_INPUTS, sizeof *f->input);
    f->output = brim_arena_alloc(a, 1, sizeof *f->output);
    f->opset_import = list(a, 1, sizeof **f->opset_import);
    f->node = list(a, f->n_node, sizeof **f->node);
    if (f->input == NULL || f->output == NULL || f->opset_import == NULL || f->node == NULL) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < N_INPUTS; i++) {
        f->input[i] = borrow(inputs[i]);
    }
    f->output[0] = borrow("y");
    brim__onnx__operator_set__init(f->opset_import[0]);
    f->opset_import[0]->domain = borrow("");
    f->opset_import[0]->has_version = 1;
    f->opset_import[0]->version = opset;
    BRIM_TRY(constant_node(a, "one", &t_one, f->node[0]));
    BRIM_TRY(constant_node(a, "two", &t_two, f->node[1]));
    for (size_t i = 0; i < N_BODY; i++) {
        BRIM_TRY(plain_node(a, i, f->node[2 + i]));
    }
    return BRIM_OK;
}

brim_status brim_onnx_functions(const struct brim_graph *g, struct brim_arena *arena,
                                pb_function ***functions, size_t *n)
{
    *n = 0;
    *functions = NULL;
    for (size_t i = 0; i < g->n_nodes && *n == 0; i++) {
        *n = strcmp(g->nodes[i].domain, BRIM_DOMAIN) == 0;
    }
    if (*n == 0) {
        return BRIM_OK;
    }
    *functions = list(arena, 1, sizeof ***functions);
    return *functions == NULL ? BRIM_ERR_NOMEM
                              : fill(arena, brim_graph_opset(g, ""), (*functions)[0]);
}
