/* batchnorm.c - BatchNormalization over the whole batch. SPDX-License-Identifier: Apache-2.0
 *
 * Paper: Ioffe and Szegedy, arXiv 1502.03167.
 *
 * Symbols     N rows (samples times pixels), m mean, v variance of a channel, r = 1/sqrt(v + e),
 *             s scale, b bias; running statistics as ONNX defines them: momentum * running +
 *             (1 - momentum) * batch, v divided by N
 * Forward     y = s r (x - m) + b, then a clip behind it
 * Backward    g = dy where the clip let y pass; ds = r sum g (x - m), db = sum g,
 *             dx = s r (g - db / N - (x - m) r^2 sum g (x - m) / N)
 * Order       a shard adds blocks of BLOCK rows in float, blocks in double, and shards are added in
 *             double in their order. A shard's sums are taken around a pivot p, the mean of its first
 *             rows, so that a mean that is large beside the deviation does not cost the variance its
 *             digits: sum (x - m)^2 = sum (x - p)^2 - 2 (m - p) sum (x - p) + rows (m - p)^2.
 * Cost        four passes over x: two forward, two backward; a clip costs none. */
#include <math.h>
#include <string.h>

#include "base/clones.h"
#include "train/engine.h"

#define LANES ((size_t)16)
#define BLOCK ((size_t)64)   /* rows added in float, at most */
#define COLS  ((size_t)256)  /* floats of such a row, at most; multiple of LANES */
#define ROOM  ((size_t)4096) /* rows * floats of a row, at most */
#define TILE  ((size_t)256)  /* per-channel factors are repeated up to so many, for long loops */

typedef float lanes __attribute__((vector_size(64)));

struct batchnorm {
    size_t c, tile; /* channels; floats of `repeated` rows */
    size_t fold;    /* rows that make a whole number of vectors */
    float epsilon, momentum;
    struct brim_net_clip clip;
    struct brim_param *scale, *bias, *mean, *var;
    float *m;                 /* [c] mean of the batch, or the running one */
    float *pivot;             /* [shards][c] */
    double *first, *second;   /* [shards][c] sums of a shard */
    float *by, *plus, *shift; /* [tile] forward: y = by * x + plus; backward: factors, see finish */
    float *back;              /* [tile] */
    float *inverse;           /* [c] r */
};

/* ---- loops ---- */

/* Sums of x - m and its square over rows that lie `step` floats apart. */
BRIM_CLONES
static void norm_sums(const float *from, size_t step, size_t rows, const float *mean, float *sum,
                      float *product)
{
    lanes m, s = {0}, p = {0};

    memcpy(&m, mean, sizeof m);
    for (size_t r = 0; r < rows; r++) {
        lanes x;
        memcpy(&x, from + r * step, sizeof x);
        x -= m;
        s += x;
        p += x * x;
    }
    memcpy(sum, &s, sizeof s);
    memcpy(product, &p, sizeof p);
}

/* Sums of g and g * (x - m); rows of g lie `g_step` floats apart. */
struct norm_rows {
    const float *x, *g;
    size_t step, g_step, rows;
};

BRIM_CLONES
static void norm_gradient_sums(const struct norm_rows *b, const float *mean, float *sum,
                               float *product)
{
    lanes m, s = {0}, p = {0};

    memcpy(&m, mean, sizeof m);
    for (size_t r = 0; r < b->rows; r++) {
        lanes x, g;
        memcpy(&x, b->x + r * b->step, sizeof x);
        memcpy(&g, b->g + r * b->g_step, sizeof g);
        s += g;
        p += g * (x - m);
    }
    memcpy(sum, &s, sizeof s);
    memcpy(product, &p, sizeof p);
}

BRIM_CLONES
static void norm_apply(const float *restrict x, const float *restrict by,
                       const float *restrict plus, size_t n, const struct brim_net_clip *clip,
                       float *restrict y)
{
    const float lo = clip->lo, hi = clip->hi;

    for (size_t i = 0; i < n; i++) {
        const float v = x[i] * by[i] + plus[i];
        const float w = v < lo ? lo : v;
        y[i] = w > hi ? hi : w;
    }
}

/* g * by + (x - shift) * back + plus */
struct norm_tile {
    const float *x, *y, *dy, *by, *plus, *shift, *back;
    float lo, hi;
};

BRIM_CLONES
static void norm_gradient(const struct norm_tile *t, size_t n, float *restrict dx)
{
    const float *restrict x = t->x, *restrict y = t->y, *restrict dy = t->dy;
    const float *restrict by = t->by, *restrict plus = t->plus, *restrict shift = t->shift;
    const float *restrict back = t->back;
    const float lo = t->lo, hi = t->hi;

    for (size_t i = 0; i < n; i++) {
        const float g = y[i] > lo && y[i] < hi ? dy[i] : 0.0f;
        dx[i] = g * by[i] + (x[i] - shift[i]) * back[i] + plus[i];
    }
}

/* ---- sums of a shard ---- */

/* Rows to be added up; dy NULL: x - m and its square, else g and g * (x - m). */
struct norm_block {
    const float *x, *y, *dy;
    const struct brim_net_clip *clip;
    size_t rows, col, cols; /* floats col..col+cols-1 of each row */
};

/* g of some rows, `cols` floats of each, side by side. */
static void mask_rows(const struct norm_block *b, size_t step, size_t rows, size_t cols, float *g)
{
    const size_t n = cols == step ? rows * cols : cols;

    for (size_t r = 0; r < rows && (r == 0 || n == cols); r++) {
        brim_net_clip_backward(b->clip, b->y + r * step, b->dy + r * step, n, false, g + r * cols);
    }
}

/* A block of rows and columns, vector by vector: lane l of column v is channel (v + l) mod c. */
static void add_block(const struct batchnorm *s, const float *m, const struct norm_block *b,
                      double *first, double *second)
{
    const size_t step = s->fold * s->c, rows = b->rows, col = b->col, cols = b->cols;
    float mean[LANES], sum[LANES], product[LANES], g[ROOM];

    if (b->dy != NULL) {
        mask_rows(b, step, rows, cols, g);
    }
    for (size_t v = 0; v < cols; v += LANES) {
        const struct norm_rows part = {b->x + v, g + v, step, cols, rows};
        size_t channel = (col + v) % s->c;
        for (size_t l = 0; l < LANES; l++) {
            mean[l] = m[(channel + l) % s->c];
        }
        if (b->dy != NULL) {
            norm_gradient_sums(&part, mean, sum, product);
        } else {
            norm_sums(part.x, step, rows, mean, sum, product);
        }
        for (size_t l = 0; l < LANES; l++) {
            first[channel] += (double)sum[l];
            second[channel] += (double)product[l];
            channel = channel + 1 == s->c ? 0 : channel + 1;
        }
    }
}

/* Rows are folded: `fold` rows lie side by side and make whole vectors. What is left over goes one
 * by one. */
static void add_rows(const struct batchnorm *s, const float *m, const struct norm_block *b,
                     size_t rows, double *first, double *second)
{
    const size_t width = s->fold * s->c, folded = rows / s->fold;
    const size_t most = ROOM / (width < COLS ? width : COLS);
    const size_t block = most < BLOCK ? most : BLOCK;

    memset(first, 0, s->c * sizeof *first);
    memset(second, 0, s->c * sizeof *second);
    for (size_t r = 0; r < folded; r += block) {
        for (size_t v = 0; v < width; v += COLS) {
            const size_t first_float = r * width + v;
            const struct norm_block part = {
                .x = b->x + first_float,
                .y = b->dy == NULL ? NULL : b->y + first_float,
                .dy = b->dy == NULL ? NULL : b->dy + first_float,
                .clip = b->clip,
                .rows = folded - r < block ? folded - r : block,
                .col = v,
                .cols = width - v < COLS ? width - v : COLS,
            };
            add_block(s, m, &part, first, second);
        }
    }
    for (size_t i = folded * width; i < rows * s->c; i++) {
        const float x = b->x[i] - m[i % s->c];
        float g = x;
        if (b->dy != NULL) {
            brim_net_clip_backward(b->clip, b->y + i, b->dy + i, 1, false, &g);
        }
        first[i % s->c] += (double)g;
        second[i % s->c] += (double)(g * x);
    }
}

/* The mean of the first rows. */
static void choose_pivot(const struct batchnorm *s, const float *x, size_t rows, float *pivot)
{
    const size_t n = rows < BLOCK ? rows : BLOCK;

    memset(pivot, 0, s->c * sizeof *pivot);
    for (size_t r = 0; r < n; r++) {
        brim_net_add(pivot, x + r * s->c, s->c);
    }
    for (size_t i = 0; i < s->c; i++) {
        pivot[i] /= (float)n;
    }
}

/* ---- the operator ---- */

void brim_net_batchnorm_clip(struct brim_net_op *op, const struct brim_net_clip *clip)
{
    struct batchnorm *s = op->state;

    s->clip = *clip;
}

static brim_status add_param(struct brim_network *net, const struct brim_net_op *op, size_t input,
                             const char *part, struct brim_param **out)
{
    const struct brim_tensor *t = brim_net_constant(net, op->node, input);
    const size_t c = op->in[0]->channels;

    if (t == NULL || t->type.dtype != BRIM_FLOAT ||
        brim_shape_count(&t->type.shape) != (int64_t)c) {
        return brim_net_refuse(net, op->node,
                               "a parameter is no constant of one float per channel");
    }
    *out = brim_params_add(net->spec.params, op->name, part, c);
    if (*out == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy((*out)->value, t->data, c * sizeof(float));
    return BRIM_OK;
}

static brim_status make_room(struct brim_network *net, struct batchnorm *s)
{
    struct brim_arena *a = &net->arena;

    s->fold = 1;
    while (s->fold * s->c % LANES != 0) {
        s->fold++;
    }
    s->tile = s->c * ((TILE + s->c - 1) / s->c);
    s->m = brim_arena_zalloc(a, s->c, sizeof *s->m);
    s->pivot = brim_arena_zalloc(a, net->shards * s->c, sizeof *s->pivot);
    s->inverse = brim_arena_zalloc(a, s->c, sizeof *s->inverse);
    s->first = brim_arena_zalloc(a, net->shards * s->c, sizeof *s->first);
    s->second = brim_arena_zalloc(a, net->shards * s->c, sizeof *s->second);
    s->by = brim_arena_zalloc(a, s->tile, sizeof *s->by);
    s->plus = brim_arena_zalloc(a, s->tile, sizeof *s->plus);
    s->shift = brim_arena_zalloc(a, s->tile, sizeof *s->shift);
    s->back = brim_arena_zalloc(a, s->tile, sizeof *s->back);
    return s->m != NULL && s->pivot != NULL && s->inverse != NULL && s->first != NULL &&
                   s->second != NULL && s->by != NULL && s->plus != NULL && s->shift != NULL &&
                   s->back != NULL
               ? BRIM_OK
               : BRIM_ERR_NOMEM;
}

static brim_status create(struct brim_network *net, struct brim_net_op *op)
{
    struct batchnorm *s = brim_arena_zalloc(&net->arena, 1, sizeof *s);

    op->state = s;
    BRIM_TRY(brim_net_value_of(net, op->node, op->node->out[0], &op->out));
    if (s == NULL) {
        return BRIM_ERR_NOMEM;
    }
    if (op->n_in != 1 || op->out->rank > 3) {
        return brim_net_refuse(net, op->node, "it has more than two space axes");
    }
    op->out->wanted = true;
    s->c = op->in[0]->channels;
    s->epsilon = brim_node_float(op->node, "epsilon", 1e-5f);
    s->momentum = brim_node_float(op->node, "momentum", 0.9f);
    s->clip = (struct brim_net_clip){.lo = -INFINITY, .hi = INFINITY};
    BRIM_TRY(add_param(net, op, 1, "scale", &s->scale));
    BRIM_TRY(add_param(net, op, 2, "bias", &s->bias));
    BRIM_TRY(add_param(net, op, 3, "mean", &s->mean));
    BRIM_TRY(add_param(net, op, 4, "var", &s->var));
    s->mean->learned = s->var->learned = false;
    return make_room(net, s);
}

static void repeat(float *tile, size_t n, size_t c)
{
    for (size_t i = c; i < n; i++) {
        tile[i] = tile[i - c];
    }
}

/* y = by * x + plus of mean s->m and 1 / deviation s->inverse. */
static void set_forward(struct batchnorm *s)
{
    for (size_t i = 0; i < s->c; i++) {
        s->by[i] = s->scale->value[i] * s->inverse[i];
        s->plus[i] = s->bias->value[i] - s->m[i] * s->by[i];
    }
    repeat(s->by, s->tile, s->c);
    repeat(s->plus, s->tile, s->c);
}

static brim_status prepare(struct brim_network *net, struct brim_net_op *op, bool training)
{
    struct batchnorm *s = op->state;

    (void)net;
    if (!training) {
        memcpy(s->m, s->mean->value, s->c * sizeof *s->m);
        for (size_t i = 0; i < s->c; i++) {
            s->inverse[i] = (float)(1 / sqrt((double)s->var->value[i] + (double)s->epsilon));
        }
        set_forward(s);
    }
    return BRIM_OK;
}

static brim_status forward(struct brim_network *net, struct brim_net_op *op,
                           const struct brim_net_call *call)
{
    const struct batchnorm *s = op->state;
    const size_t rows = call->count * op->out->height * op->out->width, at = call->shard * s->c;

    (void)net;
    if (call->training) {
        const struct norm_block b = {.x = brim_net_at(op->in[0]->data, op->in[0], call)};
        choose_pivot(s, b.x, rows, s->pivot + at);
        add_rows(s, s->pivot + at, &b, rows, s->first + at, s->second + at);
    }
    return BRIM_OK;
}

/* Mean and variance of a channel over all shards. */
static void moments(const struct brim_network *net, const struct brim_net_op *op, size_t n,
                    size_t channel, double *mean, double *var)
{
    const struct batchnorm *s = op->state;
    const double pixels = (double)(op->out->height * op->out->width);
    double sum = 0, square = 0;

    for (size_t i = 0; i * net->shard < n; i++) {
        const size_t left = n - i * net->shard, at = i * s->c + channel;
        const double rows = (double)(left < net->shard ? left : net->shard) * pixels;
        sum += s->first[at] + rows * (double)s->pivot[at];
    }
    *mean = sum / ((double)n * pixels);
    for (size_t i = 0; i * net->shard < n; i++) {
        const size_t left = n - i * net->shard, at = i * s->c + channel;
        const double rows = (double)(left < net->shard ? left : net->shard) * pixels;
        const double off = *mean - (double)s->pivot[at];
        square += s->second[at] - 2 * off * s->first[at] + rows * off * off;
    }
    *var = square > 0 ? square / ((double)n * pixels) : 0;
}

static void join(struct brim_network *net, struct brim_net_op *op, size_t n)
{
    struct batchnorm *s = op->state;
    const double keep = (double)s->momentum;

    for (size_t i = 0; i < s->c; i++) {
        double mean, var;
        moments(net, op, n, i, &mean, &var);
        s->inverse[i] = (float)(1 / sqrt(var + (double)s->epsilon));
        s->m[i] = (float)mean;
        s->mean->value[i] = (float)(keep * (double)s->mean->value[i] + (1 - keep) * mean);
        s->var->value[i] = (float)(keep * (double)s->var->value[i] + (1 - keep) * var);
    }
    set_forward(s);
}

static brim_status finish(struct brim_network *net, struct brim_net_op *op,
                          const struct brim_net_call *call)
{
    const struct batchnorm *s = op->state;
    const float *x = brim_net_at(op->in[0]->data, op->in[0], call);
    float *y = brim_net_at(op->out->data, op->out, call);
    const size_t n = call->count * op->out->size;

    (void)net;
    for (size_t i = 0; i < n; i += s->tile) {
        norm_apply(x + i, s->by, s->plus, n - i < s->tile ? n - i : s->tile, &s->clip, y + i);
    }
    return BRIM_OK;
}

static brim_status backward(struct brim_network *net, struct brim_net_op *op,
                            const struct brim_net_call *call)
{
    const struct batchnorm *s = op->state;
    const size_t rows = call->count * op->out->height * op->out->width, at = call->shard * s->c;
    const struct norm_block b = {
        .x = brim_net_at(op->in[0]->data, op->in[0], call),
        .dy = brim_net_at(op->out->grad, op->out, call),
        .y = brim_net_at(op->out->data, op->out, call),
        .clip = &s->clip,
    };

    (void)net;
    add_rows(s, s->m, &b, rows, s->first + at, s->second + at);
    return BRIM_OK;
}

/* Sum over shards, in order. */
static double total(const struct brim_network *net, const struct batchnorm *s, const double *part,
                    size_t n, size_t channel)
{
    double sum = 0;

    for (size_t i = 0; i * net->shard < n; i++) {
        sum += part[i * s->c + channel];
    }
    return sum;
}

static void join_backward(struct brim_network *net, struct brim_net_op *op, size_t n)
{
    struct batchnorm *s = op->state;
    const double rows = (double)(n * op->out->height * op->out->width);

    for (size_t i = 0; i < s->c; i++) {
        const double g = total(net, s, s->first, n, i), gx = total(net, s, s->second, n, i);
        const double r = (double)s->inverse[i], by = (double)s->scale->value[i] * r;
        s->scale->grad[i] += (float)(r * gx);
        s->bias->grad[i] += (float)g;
        s->by[i] = (float)by;
        s->plus[i] = (float)(-by * g / rows);
        s->back[i] = (float)(-by * r * r * gx / rows);
        s->shift[i] = s->m[i];
    }
    repeat(s->by, s->tile, s->c);
    repeat(s->plus, s->tile, s->c);
    repeat(s->back, s->tile, s->c);
    repeat(s->shift, s->tile, s->c);
}

static brim_status finish_backward(struct brim_network *net, struct brim_net_op *op,
                                   const struct brim_net_call *call)
{
    const struct batchnorm *s = op->state;
    const size_t n = call->count * op->out->size;
    const float *x = brim_net_at(op->in[0]->data, op->in[0], call);
    const float *y = brim_net_at(op->out->data, op->out, call);
    const float *dy = brim_net_at(op->out->grad, op->out, call);
    float sum[2 * 256];

    (void)net;
    if (!op->in[0]->wanted) {
        return BRIM_OK;
    }
    float *dx = brim_net_at(op->in[0]->grad, op->in[0], call);
    const size_t tile = op->add[0] && s->tile > 512 ? 512 : s->tile;
    for (size_t i = 0; i < n;) {
        const size_t from = i % s->tile, left = s->tile - from;
        size_t count = n - i < left ? n - i : left;
        count = count < tile ? count : tile;
        const struct norm_tile t = {x + i,          y + i,          dy + i,
                                    s->by + from,   s->plus + from, s->shift + from,
                                    s->back + from, s->clip.lo,     s->clip.hi};
        norm_gradient(&t, count, op->add[0] ? sum : dx + i);
        if (op->add[0]) {
            brim_net_add(dx + i, sum, count);
        }
        i += count;
    }
    return BRIM_OK;
}

static brim_status save(const struct brim_network *net, const struct brim_net_op *op,
                        struct brim_graph *g, struct brim_node *node)
{
    const struct batchnorm *s = op->state;
    const struct brim_param *param[] = {s->scale, s->bias, s->mean, s->var};
    const struct brim_shape shape = {.rank = 1, .dim = {(int64_t)s->c}};

    (void)net;
    for (size_t i = 0; i < 4; i++) {
        BRIM_TRY(brim_net_put(g, node, i + 1, &shape, param[i]->value));
    }
    return BRIM_OK;
}

const struct brim_net_class brim_net_batchnorm = {
    .op_type = "BatchNormalization",
    .create = create,
    .prepare = prepare,
    .forward = forward,
    .join = join,
    .finish = finish,
    .backward = backward,
    .join_backward = join_backward,
    .finish_backward = finish_backward,
    .save = save,
};
