/* onnx_builder.h - small ONNX files, byte by byte, so that tests need no writer of ours.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Field numbers are those of onnx.proto3. A message under construction is a struct ob; put the
 * finished one into its parent with ob_message().
 */
#ifndef BRIM_TESTS_CHECK_ONNX_BUILDER_H
#define BRIM_TESTS_CHECK_ONNX_BUILDER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ob {
    size_t n;
    uint8_t data[1 << 14];
};

static inline void ob_varint(struct ob *b, uint64_t v)
{
    while (v >= 0x80) {
        b->data[b->n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    b->data[b->n++] = (uint8_t)v;
}

static inline void ob_int(struct ob *b, unsigned field, int64_t v)
{
    ob_varint(b, field << 3);
    ob_varint(b, (uint64_t)v);
}

static inline void ob_bytes(struct ob *b, unsigned field, const void *data, size_t n)
{
    ob_varint(b, field << 3 | 2);
    ob_varint(b, n);
    if (n > 0) {
        memcpy(b->data + b->n, data, n);
    }
    b->n += n;
}

static inline void ob_text(struct ob *b, unsigned field, const char *s)
{
    ob_bytes(b, field, s, strlen(s));
}

static inline void ob_message(struct ob *b, unsigned field, const struct ob *sub)
{
    ob_bytes(b, field, sub->data, sub->n);
}

/* An initializer of a graph; `dims` ends with -1. */
static inline void ob_constant(struct ob *graph, const char *name, int type, const int64_t *dims,
                               const void *raw, size_t n)
{
    struct ob t = {0};

    for (; *dims >= 0; dims++) {
        ob_int(&t, 1, *dims);
    }
    ob_int(&t, 2, type);
    ob_text(&t, 8, name);
    ob_bytes(&t, 9, raw, n);
    ob_message(graph, 5, &t);
}

static inline void ob_names(struct ob *node, unsigned field, const char *list)
{
    while (list != NULL) {
        const char *comma = strchr(list, ',');
        ob_bytes(node, field, list, comma != NULL ? (size_t)(comma - list) : strlen(list));
        list = comma != NULL ? comma + 1 : NULL;
    }
}

/* A node with comma-separated inputs and outputs; add attributes before ob_message(graph, 1, ..).
 */
static inline struct ob ob_node(const char *name, const char *op, const char *in, const char *out)
{
    struct ob n = {0};

    ob_names(&n, 1, in);
    ob_names(&n, 2, out);
    ob_text(&n, 3, name);
    ob_text(&n, 4, op);
    return n;
}

static inline void ob_attribute(struct ob *node, const char *name, int64_t value)
{
    struct ob a = {0};

    ob_text(&a, 1, name);
    ob_int(&a, 3, value);
    ob_int(&a, 20, 2);
    ob_message(node, 5, &a);
}

static inline void ob_ints(struct ob *node, const char *name, const int64_t *v, size_t n)
{
    struct ob a = {0};

    ob_text(&a, 1, name);
    for (size_t i = 0; i < n; i++) {
        ob_int(&a, 8, v[i]);
    }
    ob_int(&a, 20, 7);
    ob_message(node, 5, &a);
}

static inline void ob_string(struct ob *node, const char *name, const char *text)
{
    struct ob a = {0};

    ob_text(&a, 1, name);
    ob_text(&a, 4, text);
    ob_int(&a, 20, 3);
    ob_message(node, 5, &a);
}

/* A node of a domain of its own. */
static inline struct ob ob_foreign(const char *domain, const char *name, const char *op,
                                   const char *in, const char *out)
{
    struct ob n = ob_node(name, op, in, out);

    ob_text(&n, 7, domain);
    return n;
}

static inline void ob_plain(struct ob *graph, const char *name, const char *op, const char *in,
                            const char *out)
{
    const struct ob n = ob_node(name, op, in, out);

    ob_message(graph, 1, &n);
}

/* A graph input (field 11) or output (field 12); a dimension 0 is symbolic. */
static inline void ob_value(struct ob *graph, unsigned field, const char *name, int type,
                            const int64_t *dims)
{
    struct ob v = {0}, t = {0}, tensor = {0}, shape = {0};

    for (; *dims >= 0; dims++) {
        struct ob d = {0};
        if (*dims > 0) {
            ob_int(&d, 1, *dims);
        } else {
            ob_text(&d, 2, "N");
        }
        ob_message(&shape, 1, &d);
    }
    ob_int(&tensor, 1, type);
    ob_message(&tensor, 2, &shape);
    ob_message(&t, 1, &tensor);
    ob_text(&v, 1, name);
    ob_message(&v, 2, &t);
    ob_message(graph, field, &v);
}

static inline void ob_model_of(struct ob *model, const struct ob *graph, int64_t version)
{
    struct ob opset = {0};

    ob_int(&opset, 2, version);
    ob_int(model, 1, 10);
    ob_message(model, 7, graph);
    ob_message(model, 8, &opset);
}

static inline void ob_model(struct ob *model, const struct ob *graph)
{
    ob_model_of(model, graph, 21);
}

static inline void ob_metadata(struct ob *model, const char *key, const char *value)
{
    struct ob p = {0};

    ob_text(&p, 1, key);
    ob_text(&p, 2, value);
    ob_message(model, 14, &p);
}

#endif
