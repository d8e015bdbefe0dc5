/* attr.c - attributes of a node. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "graph/graph.h"

const struct brim_attr *brim_node_attr(const struct brim_node *n, const char *name)
{
    for (size_t i = 0; i < n->n_attr; i++) {
        if (strcmp(n->attr[i].name, name) == 0) {
            return &n->attr[i];
        }
    }
    return NULL;
}

int64_t brim_node_int(const struct brim_node *n, const char *name, int64_t fallback)
{
    const struct brim_attr *a = brim_node_attr(n, name);
    return a != NULL && a->type == BRIM_ATTR_INT ? a->i : fallback;
}

float brim_node_float(const struct brim_node *n, const char *name, float fallback)
{
    const struct brim_attr *a = brim_node_attr(n, name);
    return a != NULL && a->type == BRIM_ATTR_FLOAT ? a->f : fallback;
}

const char *brim_node_string(const struct brim_node *n, const char *name, const char *fallback)
{
    const struct brim_attr *a = brim_node_attr(n, name);
    return a != NULL && a->type == BRIM_ATTR_STRING ? a->s : fallback;
}

/* A copy of `count` elements, never NULL unless out of memory. */
static void *copy_array(struct brim_arena *a, const void *from, size_t count, size_t size)
{
    void *copy = brim_arena_alloc(a, count > 0 ? count : 1, size);

    if (copy != NULL && count > 0) {
        memcpy(copy, from, count * size);
    }
    return copy;
}

static bool copy_strings(struct brim_arena *a, struct brim_attr *d)
{
    const char **list = copy_array(a, d->strings, d->count, sizeof *list);

    for (size_t i = 0; list != NULL && i < d->count; i++) {
        list[i] = brim_arena_strdup(a, list[i]);
        if (list[i] == NULL) {
            return false;
        }
    }
    d->strings = list;
    return list != NULL;
}

static bool copy_attr_tensor(struct brim_arena *a, struct brim_attr *d)
{
    struct brim_tensor *t = copy_array(a, d->t, 1, sizeof *t);

    if (t == NULL) {
        return false;
    }
    const int64_t count = brim_shape_count(&t->type.shape);
    const size_t n = count < 0 || t->data == NULL ? 0 : (size_t)count;
    const size_t size = brim_dtype_size(t->type.dtype);
    t->data = copy_array(a, t->data, n, size > 0 ? size : 1);
    d->t = t;
    return t->data != NULL;
}

/* Replace what `d` points at by copies in the arena. */
static bool copy_payload(struct brim_arena *a, struct brim_attr *d)
{
    switch (d->type) {
    case BRIM_ATTR_FLOAT:
    case BRIM_ATTR_INT:
        return true;
    case BRIM_ATTR_STRING:
        d->s = brim_arena_strdup(a, d->s);
        return d->s != NULL;
    case BRIM_ATTR_TENSOR:
        return copy_attr_tensor(a, d);
    case BRIM_ATTR_FLOATS:
        d->floats = copy_array(a, d->floats, d->count, sizeof *d->floats);
        return d->floats != NULL;
    case BRIM_ATTR_INTS:
        d->ints = copy_array(a, d->ints, d->count, sizeof *d->ints);
        return d->ints != NULL;
    case BRIM_ATTR_STRINGS:
        return copy_strings(a, d);
    }
    return false;
}

brim_status brim_node_set_attr(struct brim_graph *g, struct brim_node *n,
                               const struct brim_attr *attr)
{
    struct brim_attr copy = *attr;

    copy.name = brim_arena_strdup(&g->arena, attr->name);
    if (copy.name == NULL || !copy_payload(&g->arena, &copy)) {
        return BRIM_ERR_NOMEM;
    }
    for (size_t i = 0; i < n->n_attr; i++) {
        if (strcmp(n->attr[i].name, attr->name) == 0) {
            n->attr[i] = copy;
            return BRIM_OK;
        }
    }
    struct brim_attr *list = brim_arena_alloc(&g->arena, n->n_attr + 1, sizeof *list);
    if (list == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (n->n_attr > 0) {
        memcpy(list, n->attr, n->n_attr * sizeof *list);
    }
    list[n->n_attr++] = copy;
    n->attr = list;
    return BRIM_OK;
}

void brim_node_remove_attr(struct brim_node *n, const char *name)
{
    for (size_t i = 0; i < n->n_attr; i++) {
        if (strcmp(n->attr[i].name, name) == 0) {
            memmove(&n->attr[i], &n->attr[i + 1], (n->n_attr - i - 1) * sizeof *n->attr);
            n->n_attr--;
            return;
        }
    }
}

brim_status brim_node_set_int(struct brim_graph *g, struct brim_node *n, const char *name,
                              int64_t v)
{
    return brim_node_set_attr(
        g, n, &(const struct brim_attr){.name = name, .type = BRIM_ATTR_INT, .i = v});
}

brim_status brim_node_set_ints(struct brim_graph *g, struct brim_node *n, const char *name,
                               const int64_t *v, size_t count)
{
    return brim_node_set_attr(
        g, n,
        &(const struct brim_attr){.name = name, .type = BRIM_ATTR_INTS, .ints = v, .count = count});
}

brim_status brim_node_set_float(struct brim_graph *g, struct brim_node *n, const char *name,
                                float v)
{
    return brim_node_set_attr(
        g, n, &(const struct brim_attr){.name = name, .type = BRIM_ATTR_FLOAT, .f = v});
}

brim_status brim_node_set_string(struct brim_graph *g, struct brim_node *n, const char *name,
                                 const char *v)
{
    return brim_node_set_attr(
        g, n, &(const struct brim_attr){.name = name, .type = BRIM_ATTR_STRING, .s = v});
}
