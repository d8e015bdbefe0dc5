/* network.c - see network.h. Field numbers are those of onnx.proto3. SPDX-License-Identifier: Apache-2.0
 */
#include "check/network.h"

#include <stdlib.h>
#include <string.h>

/* How many fields of this number a message has. */
static size_t count_fields(struct wire w, uint64_t number)
{
    struct wire_field f;
    size_t n = 0;

    while (wire_next(&w, &f)) {
        n += f.number == number && f.type == WIRE_BYTES;
    }
    return n;
}

static bool read_dims(struct check *c, const struct wire_field *f, struct tensor *t)
{
    struct wire packed = f->bytes;
    uint64_t value = f->value;
    bool more = f->type == WIRE_VARINT || wire_varint(&packed, &value);

    while (more) {
        if (t->rank == MAX_RANK || value > INT64_MAX ||
            __builtin_mul_overflow(t->count, (size_t)value, &t->count)) {
            return check_broken(c, "tensor '%s': impossible shape", t->name);
        }
        t->dim[t->rank++] = (int64_t)value;
        more = f->type == WIRE_BYTES && wire_varint(&packed, &value);
    }
    return !packed.bad || check_broken(c, "tensor '%s': malformed shape", t->name);
}

static bool read_tensor(struct check *c, struct wire body, struct tensor *t)
{
    struct wire_field f;

    *t = (struct tensor){.name = "", .count = 1, .body = body};
    while (wire_next(&body, &f)) {
        if (f.number == 1 && !read_dims(c, &f, t)) {
            return false;
        }
        if (f.number == 2 && f.type == WIRE_VARINT) {
            t->type = f.value;
        }
        if (f.number == 8 && f.type == WIRE_BYTES && (t->name = wire_text(c, &f.bytes)) == NULL) {
            return false;
        }
    }
    return !body.bad || check_broken(c, "malformed tensor '%s'", t->name);
}

static bool read_names(struct check *c, struct node *n)
{
    struct wire body = n->body;
    struct wire_field f;
    size_t in = 0, out = 0;

    while (wire_next(&body, &f)) {
        if (f.type != WIRE_BYTES || f.number > 7) {
            continue;
        }
        const char *text = f.number == 5 ? "" : wire_text(c, &f.bytes);
        if (text == NULL) {
            return false;
        }
        switch (f.number) {
        case 1:
            n->in[in++] = text;
            break;
        case 2:
            n->out[out++] = text;
            break;
        case 3:
            n->name = text;
            break;
        case 4:
            n->op = text;
            break;
        case 7:
            n->domain = text;
            break;
        default:
            break;
        }
    }
    return true;
}

/* Graph attributes hide layers, so a node that has one is not understood. */
static bool refuse_subgraphs(struct check *c, const struct node *n)
{
    struct wire body = n->body;
    struct wire_field f;

    while (wire_next(&body, &f)) {
        if (f.number == 5 && f.type == WIRE_BYTES &&
            count_fields(f.bytes, 6) + count_fields(f.bytes, 11) > 0) {
            return check_broken(c, "node '%s' (%s): holds a graph of its own, not supported",
                                n->name, n->op);
        }
    }
    return true;
}

static bool read_node(struct check *c, struct wire body, struct node *n)
{
    *n = (struct node){.name = "", .op = "", .domain = "", .body = body};
    n->n_in = count_fields(body, 1);
    n->n_out = count_fields(body, 2);
    n->in = check_alloc(c, n->n_in, sizeof *n->in);
    n->out = check_alloc(c, n->n_out, sizeof *n->out);
    struct wire_field f;
    while (wire_next(&body, &f)) {
    }
    if (body.bad) {
        return check_broken(c, "malformed node");
    }
    return n->in != NULL && n->out != NULL && read_names(c, n) && refuse_subgraphs(c, n);
}

static bool read_pair(struct check *c, struct wire body, struct pair *p)
{
    struct wire_field f;

    *p = (struct pair){"", ""};
    while (wire_next(&body, &f)) {
        if (f.type == WIRE_BYTES && (f.number == 1 || f.number == 2)) {
            const char *text = wire_text(c, &f.bytes);
            if (text == NULL) {
                return false;
            }
            *(f.number == 1 ? &p->key : &p->value) = text;
        }
    }
    return !body.bad || check_broken(c, "malformed metadata");
}

/* ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1 } }. */
static bool read_input(struct check *c, struct wire body, struct graph_input *in)
{
    struct wire_field f, g, h;

    *in = (struct graph_input){"", 0};
    while (wire_next(&body, &f)) {
        if (f.number == 1 && f.type == WIRE_BYTES && (in->name = wire_text(c, &f.bytes)) == NULL) {
            return false;
        }
        while (f.number == 2 && f.type == WIRE_BYTES && wire_next(&f.bytes, &g)) {
            while (g.number == 1 && g.type == WIRE_BYTES && wire_next(&g.bytes, &h)) {
                in->type = h.number == 1 && h.type == WIRE_VARINT ? h.value : in->type;
            }
        }
    }
    return !body.bad || check_broken(c, "malformed graph input");
}

/* GraphProto: node 1, initializer 5, input 11, sparse_initializer 15. A Constant node's tensor is
 * one more constant. */
static bool read_constant_node(struct check *c, const struct node *n, struct model *m)
{
    struct wire body = n->body;
    struct wire_field f, g;

    while (wire_next(&body, &f)) {
        if (f.number != 5 || f.type != WIRE_BYTES) {
            continue;
        }
        struct wire attribute = f.bytes;
        while (wire_next(&attribute, &g)) {
            if (g.number == 5 && g.type == WIRE_BYTES && n->n_out == 1) {
                struct tensor *t = &m->tensor[m->n_tensors++];
                if (!read_tensor(c, g.bytes, t)) {
                    return false;
                }
                t->name = n->out[0];
                return true;
            }
        }
    }
    return true;
}

static bool read_graph(struct check *c, struct wire body, struct model *m)
{
    const size_t nodes = count_fields(body, 1), constants = count_fields(body, 5);
    struct wire_field f;

    m->node = check_alloc(c, nodes, sizeof *m->node);
    m->tensor = check_alloc(c, nodes + constants, sizeof *m->tensor);
    m->input = check_alloc(c, count_fields(body, 11), sizeof *m->input);
    if (m->node == NULL || m->tensor == NULL || m->input == NULL) {
        return false;
    }
    while (wire_next(&body, &f)) {
        bool good = true;
        if (f.number == 1 && f.type == WIRE_BYTES) {
            struct node *n = &m->node[m->n_nodes++];
            good = read_node(c, f.bytes, n);
            good = good && (!node_is(n, "Constant") || read_constant_node(c, n, m));
        } else if (f.number == 5 && f.type == WIRE_BYTES) {
            good = read_tensor(c, f.bytes, &m->tensor[m->n_tensors++]);
        } else if (f.number == 15) {
            good = check_broken(c, "the model has sparse constants, not supported");
        } else if (f.number == 11 && f.type == WIRE_BYTES) {
            good = read_input(c, f.bytes, &m->input[m->n_inputs++]);
        }
        if (!good) {
            return false;
        }
    }
    return !body.bad || check_broken(c, "malformed graph");
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Two things of one name would let one hide the other. */
static bool sort_unique(struct check *c, struct entry *e, size_t n, const char *what)
{
    qsort(e, n, sizeof *e, compare);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(e[i - 1].name, e[i].name) == 0) {
            return check_broken(c, "%s '%s' is there twice", what, e[i].name);
        }
    }
    return true;
}

/* A constant that a node overwrites is none. */
static bool check_constants(struct check *c, const struct model *m)
{
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct node *n = model_producer(m, m->tensor[i].name);
        if (n != NULL && !node_is(n, "Constant")) {
            return check_broken(c, "constant '%s' is also made by node '%s'", m->tensor[i].name,
                                n->name);
        }
    }
    return true;
}

static bool build_index(struct check *c, struct model *m)
{
    size_t total = 0;

    for (size_t i = 0; i < m->n_nodes; i++) {
        total += m->node[i].n_out;
    }
    m->by_tensor = check_alloc(c, m->n_tensors, sizeof *m->by_tensor);
    m->by_output = check_alloc(c, total, sizeof *m->by_output);
    if (m->by_tensor == NULL || m->by_output == NULL) {
        return false;
    }
    for (size_t i = 0; i < m->n_tensors; i++) {
        m->by_tensor[i] = (struct entry){m->tensor[i].name, i};
    }
    for (size_t i = 0; i < m->n_nodes; i++) {
        for (size_t j = 0; j < m->node[i].n_out; j++) {
            if (m->node[i].out[j][0] != '\0') {
                m->by_output[m->n_outputs++] = (struct entry){m->node[i].out[j], i};
            }
        }
    }
    return sort_unique(c, m->by_tensor, m->n_tensors, "constant") &&
           sort_unique(c, m->by_output, m->n_outputs, "value") && check_constants(c, m);
}

static bool check_metadata(struct check *c, const struct model *m)
{
    struct entry *e = check_alloc(c, m->n_metadata, sizeof *e);

    for (size_t i = 0; e != NULL && i < m->n_metadata; i++) {
        e[i] = (struct entry){m->metadata[i].key, i};
    }
    return e != NULL && sort_unique(c, e, m->n_metadata, "metadata key");
}

/* ModelProto: graph 7, metadata_props 14, functions 25. */
/* The one function that is taken as known: brim's VectorQuantize. Its body only says how other
 * runtimes compute it; what is proven is about the integers that its inputs describe. */
static bool read_function(struct check *c, struct wire w)
{
    const char *name = "", *domain = "", *text;
    struct wire_field f;

    while (wire_next(&w, &f)) {
        if (f.type == WIRE_BYTES && (f.number == 1 || f.number == 10)) {
            text = wire_text(c, &f.bytes);
            if (text == NULL) {
                return false;
            }
            *(f.number == 1 ? &name : &domain) = text;
        }
    }
    return (strcmp(name, "VectorQuantize") == 0 && strcmp(domain, "brim") == 0) ||
           check_broken(c, "the model has functions of its own, not supported");
}

bool model_read(struct check *c, const uint8_t *data, size_t n, struct model *m)
{
    struct wire w = {data, data + n, false};
    struct wire_field f;
    size_t graphs = 0;

    *m = (struct model){.n_nodes = 0};
    m->metadata = check_alloc(c, count_fields(w, 14), sizeof *m->metadata);
    if (m->metadata == NULL) {
        return false;
    }
    while (wire_next(&w, &f)) {
        if (f.type != WIRE_BYTES) {
            continue;
        }
        if (f.number == 25 && !read_function(c, f.bytes)) {
            return false;
        }
        if (f.number == 7 && (++graphs > 1 || !read_graph(c, f.bytes, m))) {
            return check_broken(c, "the model has more than one graph");
        }
        if (f.number == 14 && !read_pair(c, f.bytes, &m->metadata[m->n_metadata++])) {
            return false;
        }
    }
    if (w.bad || graphs == 0) {
        return check_broken(c, "not an ONNX model (truncated, or no graph in it)");
    }
    return build_index(c, m) && check_metadata(c, m);
}

static const struct entry *find(const struct entry *e, size_t n, const char *name)
{
    const struct entry key = {name, 0};

    return n == 0 || name[0] == '\0' ? NULL : bsearch(&key, e, n, sizeof *e, compare);
}

const struct tensor *model_constant(const struct model *m, const char *name)
{
    const struct entry *e = find(m->by_tensor, m->n_tensors, name);

    return e != NULL ? &m->tensor[e->i] : NULL;
}

const struct node *model_producer(const struct model *m, const char *name)
{
    const struct entry *e = find(m->by_output, m->n_outputs, name);

    return e != NULL ? &m->node[e->i] : NULL;
}

const char *node_input(const struct node *n, size_t i)
{
    return i < n->n_in ? n->in[i] : "";
}

bool node_is(const struct node *n, const char *op)
{
    return strcmp(n->op, op) == 0 && (n->domain[0] == '\0' || strcmp(n->domain, "ai.onnx") == 0);
}

static bool one_of(const char *text, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool node_is_microsoft(const struct node *n, const char *op)
{
    return strcmp(n->op, op) == 0 && strcmp(n->domain, "com.microsoft") == 0;
}

bool node_is_qonnx(const struct node *n, const char *op)
{
    static const char *const domains[] = {"qonnx.custom_op.general", "onnx.brevitas",
                                          "brevitas.onnx", "finn.custom_op.general"};

    return strcmp(n->op, op) == 0 && one_of(n->domain, domains, sizeof domains / sizeof *domains);
}

bool node_is_codes(const struct node *n, const char *op)
{
    return node_is(n, op) || node_is_microsoft(n, op);
}

/* AttributeProto: name 1, f 2 (fixed32), i 3, s 4, ints 8. The first attribute of this name. */
static bool find_named(const struct node *n, const char *name, struct wire *found)
{
    struct wire body = n->body;
    struct wire_field f, g;

    while (wire_next(&body, &f)) {
        struct wire attribute = f.bytes;
        if (f.number != 5 || f.type != WIRE_BYTES) {
            continue;
        }
        while (wire_next(&attribute, &g)) {
            const size_t length = (size_t)(g.bytes.end - g.bytes.at);
            if (g.number == 1 && g.type == WIRE_BYTES && length == strlen(name) &&
                memcmp(g.bytes.at, name, length) == 0) {
                *found = f.bytes;
                return true;
            }
        }
    }
    return false;
}

/* The value's raw bits; false when there is none. */
static bool find_attribute(const struct node *n, const char *name, uint64_t number, uint64_t *bits)
{
    struct wire attribute;
    struct wire_field g;

    if (!find_named(n, name, &attribute)) {
        return false;
    }
    while (wire_next(&attribute, &g)) {
        if (g.number == number && g.type != WIRE_BYTES) {
            *bits = g.value;
            return true;
        }
    }
    return false;
}

size_t node_ints(const struct node *n, const char *name, int64_t *v, size_t most)
{
    struct wire attribute;
    struct wire_field g;
    size_t count = 0;

    if (!find_named(n, name, &attribute)) {
        return 0;
    }
    while (wire_next(&attribute, &g)) {
        struct wire packed = g.bytes;
        uint64_t value = g.value;
        if (g.number != 8) {
            continue;
        }
        bool more = g.type == WIRE_VARINT || wire_varint(&packed, &value);
        while (more && count < most) {
            v[count++] = (int64_t)value;
            more = g.type == WIRE_BYTES && wire_varint(&packed, &value);
        }
    }
    return count;
}

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool node_says(const struct node *n, const char *name, const char *text, const char *missing)
{
    const uint8_t *s = (const uint8_t *)missing;
    size_t length = strlen(missing);
    struct wire attribute;
    struct wire_field g;

    if (find_named(n, name, &attribute)) {
        while (wire_next(&attribute, &g)) {
            if (g.number == 4 && g.type == WIRE_BYTES) {
                s = g.bytes.at;
                length = (size_t)(g.bytes.end - g.bytes.at);
            }
        }
    }
    bool same = length == strlen(text);
    for (size_t i = 0; i < length && same; i++) {
        same = lower(s[i]) == lower((unsigned char)text[i]);
    }
    return same;
}

int64_t node_int(const struct node *n, const char *name, int64_t missing)
{
    uint64_t bits;

    return find_attribute(n, name, 3, &bits) ? (int64_t)bits : missing;
}

double node_float(const struct node *n, const char *name, double missing)
{
    uint64_t bits;
    float value;

    if (!find_attribute(n, name, 2, &bits)) {
        return missing;
    }
    const uint32_t low = (uint32_t)bits;
    memcpy(&value, &low, sizeof value);
    return (double)value;
}
