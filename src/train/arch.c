/* arch.c - a float network from a line of text: include/brim/train.h has the grammar.
 * SPDX-License-Identifier: Apache-2.0
 *
 * [1] He et al., arXiv 1502.01852: weights ~ N(0, 2 / fan_in) in front of a ReLU; the last layer, which
 *     has none, N(0, 1 / fan_in). Biases 0, BatchNormalization the identity.
 * Convolutions in front of a BatchNormalization have no bias. Layers are called by their kind and how
 * many there have been of it, "conv1", "conv2", "fc1", so that overrides can name them.
 * Example     mlp:4-3-2: Gemm fc1 of 3 x 4, Relu, Gemm fc2 of 2 x 3. -> tests/train/test_arch.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brim/train.h"
#include "graph/graph.h"

enum { MOST_CHANNELS = 65536, MOST_SIDE = 4096, MOST_LAYERS = 1000 };

struct builder {
    brim_ctx *ctx;
    struct brim_graph *g;
    struct brim_arena scratch;
    struct brim_rng rng;
    const char *text;
    int32_t x; /* what has been built so far ends in this value */
    int64_t c, h, w;
    bool flat;           /* x is [N,c] */
    size_t layers;       /* so far */
    size_t of_kind[128]; /* of them by letter */
    const char *out;     /* name of the last layer's output, or NULL */
};

/* One part of the text, taken apart: a letter, numbers behind letters. */
struct part {
    const char *text;
    size_t n;
    char kind;
    int64_t size, kernel, stride; /* 0 where not given */
};

static brim_status bad_part(const struct builder *b, const struct part *p)
{
    return brim_fail(
        b->ctx, BRIM_ERR_ARG, "arch: '%.*s' in '%.200s', expected %s", (int)p->n, p->text, b->text,
        b->text[0] == 'm'
            ? "a number of units, 1..65536"
            : "cN, dN... as in c16, c16k5s2, d, ds2, r32s2, p, a, f64, o50, or classes last");
}

/* The number at *at, before `end`. */
static bool take_number(const char **at, const char *end, int64_t most, int64_t *out)
{
    const char *from = *at;
    int64_t v = 0;

    while (*at < end && **at >= '0' && **at <= '9' && v <= most) {
        v = 10 * v + (**at - '0');
        ++*at;
    }
    *out = v;
    return *at > from && v >= 1 && v <= most;
}

/* "c16k5s2": a letter (none: the number of units), its size, options. */
static brim_status take_part(const struct builder *b, const char *text, struct part *p)
{
    *p = (struct part){.text = text, .n = strcspn(text, "-")};
    const char *at = text, *end = text + p->n;
    const bool digits = *at >= '0' && *at <= '9';

    p->kind = digits || at == end ? 'n' : *at++;
    if (at < end && *at >= '0' && *at <= '9') {
        if (!take_number(&at, end, MOST_CHANNELS, &p->size)) {
            return bad_part(b, p);
        }
    }
    while (at < end) {
        const char option = *at++;
        int64_t *field = option == 'k' ? &p->kernel : option == 's' ? &p->stride : NULL;
        if (field == NULL || *field != 0 || !take_number(&at, end, 15, field)) {
            return bad_part(b, p);
        }
    }
    return p->n > 0 ? BRIM_OK : bad_part(b, p);
}

/* ---- graph ---- */

/* "conv2" or "res1.a": the layer of this letter that is being added. */
static const char *layer_name(struct builder *b, const char *kind, char letter, const char *what)
{
    return brim_arena_printf(&b->scratch, "%s%zu%s", kind, b->of_kind[(unsigned char)letter], what);
}

/* name + what; NULL when the name is. */
static const char *named(struct builder *b, const char *name, const char *what)
{
    return name == NULL ? NULL : brim_arena_printf(&b->scratch, "%s%s", name, what);
}

static int32_t add_constant(struct builder *b, const char *name, int rank, const int64_t *dim,
                            const float *v)
{
    struct brim_type type = {BRIM_FLOAT, {.rank = rank}};

    for (int i = 0; i < rank; i++) { /* a scalar has no dim */
        type.shape.dim[i] = dim[i];
    }
    return name == NULL ? -1 : brim_graph_add_constant(b->g, name, &type, v);
}

/* count floats of one value. */
static int32_t add_filled(struct builder *b, const char *name, int64_t count, float value)
{
    float *v = brim_arena_alloc(&b->scratch, (size_t)count, sizeof *v);

    for (int64_t i = 0; v != NULL && i < count; i++) {
        v[i] = value;
    }
    return v == NULL ? -1 : add_constant(b, name, 1, &count, v);
}

static int32_t add_random(struct builder *b, const char *name, int rank, const int64_t *dim,
                          double variance)
{
    size_t n = 1;

    for (int i = 0; i < rank; i++) {
        if (!brim_mul_size(n, (size_t)dim[i], &n)) {
            n = SIZE_MAX;
        }
    }
    float *v = brim_arena_alloc(&b->scratch, n, sizeof *v);
    for (size_t i = 0; v != NULL && i < n; i++) {
        v[i] = (float)(brim_rng_normal(&b->rng) * sqrt(variance));
    }
    return v == NULL ? -1 : add_constant(b, name, rank, dim, v);
}

/* A node that reads b->x and `n_more` constants; b->x becomes its output. NULL on out of memory. */
static struct brim_node *add_node(struct builder *b, const char *op, const char *name,
                                  const int32_t *more, size_t n_more)
{
    const struct brim_type unknown = {BRIM_UNDEFINED, {.rank = -1}};
    int32_t in[5] = {b->x};

    for (size_t i = 0; i < n_more; i++) {
        in[i + 1] = more[i];
        if (more[i] < 0) {
            return NULL;
        }
    }
    const char *out =
        b->out != NULL || name == NULL ? b->out : brim_arena_printf(&b->scratch, "%s.out", name);
    b->x = out == NULL ? -1 : brim_graph_add_value(b->g, out, &unknown);
    return b->x < 0 ? NULL : brim_graph_add_node(b->g, name, op, in, n_more + 1, &b->x, 1);
}

static brim_status add_batchnorm(struct builder *b, const char *name)
{
    const int32_t constants[] = {add_filled(b, named(b, name, ".bn.scale"), b->c, 1.0f),
                                 add_filled(b, named(b, name, ".bn.shift"), b->c, 0.0f),
                                 add_filled(b, named(b, name, ".bn.mean"), b->c, 0.0f),
                                 add_filled(b, named(b, name, ".bn.var"), b->c, 1.0f)};

    return add_node(b, "BatchNormalization", named(b, name, ".bn"), constants, 4) != NULL
               ? BRIM_OK
               : BRIM_ERR_NOMEM;
}

static brim_status add_relu(struct builder *b, const char *name)
{
    return add_node(b, "Relu", named(b, name, ".relu"), NULL, 0) != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
}

/* Convolution "same" with BatchNormalization; groups 1, or one per channel. */
static brim_status add_conv(struct builder *b, const char *name, int64_t channels, int64_t kernel,
                            int64_t stride, bool depthwise)
{
    const int64_t dim[] = {channels, depthwise ? 1 : b->c, kernel, kernel};
    const int64_t pads[] = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    const int64_t kernels[] = {kernel, kernel}, strides[] = {stride, stride};
    const int32_t weight =
        add_random(b, named(b, name, ".weight"), 4, dim, 2.0 / (double)(dim[1] * kernel * kernel));
    struct brim_node *n = add_node(b, "Conv", name, &weight, 1);

    if (n == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_node_set_ints(b->g, n, "kernel_shape", kernels, 2));
    BRIM_TRY(brim_node_set_ints(b->g, n, "pads", pads, 4));
    BRIM_TRY(brim_node_set_ints(b->g, n, "strides", strides, 2));
    BRIM_TRY(brim_node_set_int(b->g, n, "group", depthwise ? b->c : 1));
    b->c = channels;
    b->h = (b->h - 1) / stride + 1;
    b->w = (b->w - 1) / stride + 1;
    return add_batchnorm(b, name);
}

static brim_status add_residual(struct builder *b, int64_t channels, int64_t stride)
{
    const char *first = layer_name(b, "res", 'r', ".a"), *second = layer_name(b, "res", 'r', ".b");
    const char *sum = layer_name(b, "res", 'r', "");
    const int32_t x = b->x;
    const int64_t c = b->c, h = b->h, w = b->w;
    int32_t beside = x;

    if (channels != c || stride != 1) {
        BRIM_TRY(add_conv(b, layer_name(b, "res", 'r', ".shortcut"), channels, 1, stride, false));
        beside = b->x;
    }
    b->x = x;
    b->c = c;
    b->h = h;
    b->w = w;
    BRIM_TRY(add_conv(b, first, channels, 3, stride, false));
    BRIM_TRY(add_relu(b, first));
    BRIM_TRY(add_conv(b, second, channels, 3, 1, false));
    if (add_node(b, "Add", sum, &beside, 1) == NULL) {
        return BRIM_ERR_NOMEM;
    }
    return add_relu(b, sum);
}

static brim_status flatten(struct builder *b)
{
    if (b->flat) {
        return BRIM_OK;
    }
    struct brim_node *n = add_node(b, "Flatten", "flatten", NULL, 0);
    if (n == NULL) {
        return BRIM_ERR_NOMEM;
    }
    b->c = b->c * b->h * b->w;
    b->flat = true;
    return brim_node_set_int(b->g, n, "axis", 1);
}

static brim_status add_full(struct builder *b, int64_t units, bool last)
{
    BRIM_TRY(flatten(b));
    const char *name = layer_name(b, "fc", 'f', "");
    const int64_t dim[] = {units, b->c};
    const int32_t constants[] = {
        add_random(b, named(b, name, ".weight"), 2, dim, (last ? 1.0 : 2.0) / (double)b->c),
        add_filled(b, named(b, name, ".bias"), units, 0.0f)};

    b->out = last ? "output" : NULL;
    struct brim_node *n = add_node(b, "Gemm", name, constants, 2);
    if (n == NULL) {
        return BRIM_ERR_NOMEM;
    }
    b->c = units;
    BRIM_TRY(brim_node_set_int(b->g, n, "transB", 1));
    return last ? BRIM_OK : add_relu(b, name);
}

static brim_status add_pool(struct builder *b)
{
    const int64_t two[] = {2, 2};
    struct brim_node *n = add_node(b, "MaxPool", layer_name(b, "pool", 'p', ""), NULL, 0);

    if (n == NULL) {
        return BRIM_ERR_NOMEM;
    }
    b->h /= 2;
    b->w /= 2;
    BRIM_TRY(brim_node_set_ints(b->g, n, "kernel_shape", two, 2));
    return brim_node_set_ints(b->g, n, "strides", two, 2);
}

static brim_status add_mean(struct builder *b)
{
    b->h = b->w = 1;
    return add_node(b, "GlobalAveragePool", layer_name(b, "mean", 'a', ""), NULL, 0) != NULL
               ? BRIM_OK
               : BRIM_ERR_NOMEM;
}

static brim_status add_dropout(struct builder *b, int64_t percent)
{
    const float ratio = (float)percent / 100.0f;
    const int32_t constant =
        add_constant(b, layer_name(b, "dropout", 'o', ".ratio"), 0, NULL, &ratio);

    return add_node(b, "Dropout", layer_name(b, "dropout", 'o', ""), &constant, 1) != NULL
               ? BRIM_OK
               : BRIM_ERR_NOMEM;
}

/* ---- parts ---- */

/* Layers of images; those of [N,c] are add_full() and dropout. */
static brim_status add_part(struct builder *b, const struct part *p)
{
    const bool sized = p->size > 0, image = !b->flat, plain = p->kernel == 0 && p->stride == 0;
    const int64_t kernel = p->kernel == 0 ? 3 : p->kernel, stride = p->stride == 0 ? 1 : p->stride;

    const char *name = layer_name(b, p->kind == 'c' ? "conv" : "depthwise", p->kind, "");

    if (p->kind == 'c' && image && sized && kernel % 2 == 1) {
        BRIM_TRY(add_conv(b, name, p->size, kernel, stride, false));
        return add_relu(b, name);
    }
    if (p->kind == 'd' && image && !sized && kernel % 2 == 1) {
        BRIM_TRY(add_conv(b, name, b->c, kernel, stride, true));
        return add_relu(b, name);
    }
    if (p->kind == 'r' && image && sized && p->kernel == 0) {
        return add_residual(b, p->size, stride);
    }
    if (p->kind == 'p' && image && !sized && plain && b->h >= 2 && b->w >= 2) {
        return add_pool(b);
    }
    if (p->kind == 'a' && image && !sized && plain) {
        return add_mean(b);
    }
    if (p->kind == 'f' && sized && plain) {
        return add_full(b, p->size, false);
    }
    if (p->kind == 'o' && sized && plain && p->size < 100) {
        return add_dropout(b, p->size);
    }
    return bad_part(b, p);
}

/* Every part behind the input; the last is the number of classes. */
static brim_status add_parts(struct builder *b, const char *at)
{
    const bool mlp = b->text[0] == 'm';

    for (bool last = false; !last;) {
        struct part p;
        BRIM_TRY(take_part(b, at, &p));
        last = at[p.n] == '\0';
        at += p.n + 1;
        b->of_kind[p.kind == 'n' ? 'f' : (unsigned char)p.kind & 127]++;
        if (++b->layers > MOST_LAYERS) {
            return brim_fail(b->ctx, BRIM_ERR_ARG, "arch: more than %d layers", MOST_LAYERS);
        }
        const bool number = p.kind == 'n' && p.kernel == 0 && p.stride == 0;
        if (number && (mlp || last)) {
            BRIM_TRY(add_full(b, p.size, last));
        } else if (mlp || last) {
            return bad_part(b, &p);
        } else {
            BRIM_TRY(add_part(b, &p));
        }
    }
    return BRIM_OK;
}

/* The text up to its first '-': 784, or 1x28x28. */
static brim_status add_input(struct builder *b, const char **at)
{
    const char *from = *at, *end = from + strcspn(from, "-");
    struct brim_type type = {BRIM_FLOAT, {.rank = 2, .dim = {-1}}};
    bool good = take_number(at, end, MOST_CHANNELS, &b->c);

    b->flat = b->text[0] == 'm';
    if (!b->flat) {
        good = good && *at < end && *(*at)++ == 'x' && take_number(at, end, MOST_SIDE, &b->h) &&
               *at < end && *(*at)++ == 'x' && take_number(at, end, MOST_SIDE, &b->w);
        type.shape = (struct brim_shape){4, {-1, b->c, b->h, b->w}};
    }
    if (!good || *at != end || *end != '-') {
        return brim_fail(b->ctx, BRIM_ERR_ARG, "arch: '%.200s', expected %s", b->text,
                         b->flat ? "mlp:INPUTS-UNITS-...-CLASSES"
                                 : "cnn:CHANNELSxHEIGHTxWIDTH-LAYER-...-CLASSES");
    }
    ++*at;
    type.shape.dim[1] = b->c;
    b->x = brim_graph_add_value(b->g, "input", &type);
    return b->x < 0 ? BRIM_ERR_NOMEM : brim_graph_add_input(b->g, b->x);
}

static brim_status build(struct builder *b)
{
    const char *at = b->text + 4;

    if (strncmp(b->text, "mlp:", 4) != 0 && strncmp(b->text, "cnn:", 4) != 0) {
        return brim_fail(b->ctx, BRIM_ERR_ARG, "arch: '%.200s', expected mlp:... or cnn:...",
                         b->text);
    }
    BRIM_TRY(brim_graph_create(b->ctx, &b->g));
    BRIM_TRY(add_input(b, &at));
    BRIM_TRY(add_parts(b, at));
    BRIM_TRY(brim_graph_add_output(b->g, b->x));
    BRIM_TRY(brim_graph_sort(b->g));
    return brim_graph_infer(b->g);
}

brim_status brim_train_arch(brim_ctx *ctx, const char *text, brim_graph **graph)
{
    struct builder b = {.ctx = ctx, .text = text, .h = 1, .w = 1};

    brim_clear_error(ctx);
    *graph = NULL;
    brim_arena_init(&b.scratch, ctx);
    brim_rng_init(&b.rng, ctx->params.seed, UINT64_C(0x61726368)); /* a stream of its own */
    brim_status s = build(&b);
    brim_arena_free(&b.scratch);
    if (s != BRIM_OK) {
        brim_graph_free(b.g);
        return s;
    }
    *graph = b.g;
    return BRIM_OK;
}
