/* bench_conv.c - convolutions, against a matrix of patches; depthwise ones, every variant.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Layers of ResNet-8 and of ResNet-18, of DS-CNN and of MobileNet: 3 x 3, stride 1, padding 1. The
 * reduction's order is that of a patch, so both ways have the same weights.
 */
#include <string.h>

#include "api/bench_product.h"
#include "base/rng.h"
#include "kernels/conv.h"
#include "kernels/depthwise.h"
#include "kernels/depthwise_variant.h"

#define SIDE ((size_t)3) /* of the kernel */

struct layer {
    size_t h, w, channels, n;
};

static const struct layer convolutions[] = {
    {16, 16, 32, 32}, {32, 32, 16, 16}, {8, 8, 64, 64}, {56, 56, 64, 64}, {14, 14, 256, 256}};
#define N_CONVOLUTIONS (sizeof convolutions / sizeof *convolutions)

static const struct layer depthwise[] = {
    {25, 5, 64, 64}, {112, 112, 32, 32}, {56, 56, 128, 128}, {14, 14, 512, 512}};
#define N_DEPTHWISE (sizeof depthwise / sizeof *depthwise)

/* ---- patches ---- */

struct patches {
    const struct layer *layer;
    const uint8_t *image; /* [h][w][channels] */
    uint8_t *x;           /* [h * w][3][3][channels] */
    const struct brim_bench_case *product;
};

static void make_patches(const struct patches *p)
{
    const struct layer *l = p->layer;
    uint8_t *x = p->x;

    for (size_t i = 0; i < l->h * l->w; i++) {
        for (size_t tap = 0; tap < SIDE * SIDE; tap++, x += l->channels) {
            const size_t row = i / l->w + tap / SIDE, column = i % l->w + tap % SIDE;
            if (row == 0 || row > l->h || column == 0 || column > l->w) {
                memset(x, 0, l->channels);
            } else {
                memcpy(x, p->image + ((row - 1) * l->w + column - 1) * l->channels, l->channels);
            }
        }
    }
}

static void run_patches(void *state)
{
    const struct patches *p = state;

    make_patches(p);
    p->product->run(p->product->state);
}

/* ---- convolutions ---- */

struct conv {
    struct brim_conv_kernel *kernel;
    struct brim_conv_images images;
    const uint8_t *image;
    void *y, *scratch;
};

static void run_conv(void *state)
{
    const struct conv *c = state;

    brim_conv_kernel_run(c->kernel, &c->images, c->image, c->y, c->scratch);
}

static void free_conv(brim_ctx *ctx, void *state)
{
    brim_conv_kernel_free(ctx, ((struct conv *)state)->kernel);
}

static brim_status add_conv(struct brim_bench_job *job, const struct layer *l, const uint8_t *image)
{
    struct brim_bench *b = job->b;
    struct conv *c = brim_arena_zalloc(&b->set, 1, sizeof *c);
    const struct brim_conv_kernel_params p = {.w = job->w,
                                              .n = l->n,
                                              .channels = l->channels,
                                              .groups = 1,
                                              .kh = SIDE,
                                              .kw = SIDE,
                                              .stride_h = 1,
                                              .stride_w = 1,
                                              .dilation_h = 1,
                                              .dilation_w = 1,
                                              .x_max = job->x_max,
                                              .epilogue = brim_bench_epilogue(job, BRIM_EMIT_ACC)};
    size_t bytes;

    if (c == NULL) {
        return BRIM_ERR_NOMEM;
    }
    *c = (struct conv){
        .image = image,
        .y = job->y,
        .images = {
            .count = 1, .h = l->h, .w = l->w, .top = 1, .left = 1, .h_out = l->h, .w_out = l->w}};
    BRIM_TRY(brim_conv_kernel_create(b->ctx, &p, &c->kernel));
    c->scratch = brim_conv_kernel_scratch(c->kernel, &c->images, &bytes)
                     ? brim_arena_alloc(&b->set, bytes + 1, 1)
                     : NULL;
    if (c->scratch == NULL) {
        brim_conv_kernel_free(b->ctx, c->kernel);
        return BRIM_ERR_NOMEM;
    }
    const struct brim_bench_case line = {
        .kind = "3x3", .name = "conv", .run = run_conv, .state = c, .destroy = free_conv};
    return brim_bench_job_add(job, &line, true);
}

/* The product over patches that lie ready, the same with making them, the convolution. */
static brim_status add_convolutions(struct brim_bench_job *job, const struct layer *l)
{
    struct brim_arena *a = &job->b->set;
    struct patches *p = brim_arena_zalloc(a, 1, sizeof *p);
    uint8_t *image = brim_arena_alloc(a, l->h * l->w * l->channels + 64, 1);

    if (p == NULL || image == NULL) {
        return BRIM_ERR_NOMEM;
    }
    memcpy(image, job->x, l->h * l->w * l->channels + 64);
    *p = (struct patches){.layer = l, .image = image, .x = job->x};
    make_patches(p);
    brim_bench_random_weights(job, -127, 127);
    BRIM_TRY(brim_bench_add_gemm(job, NULL, "gemm, patches ready", "3x3", BRIM_EMIT_ACC));
    p->product = &job->b->cases[job->b->n_cases - 1];
    const struct brim_bench_case c = {
        .kind = "3x3", .name = "patches, gemm", .run = run_patches, .state = p};
    BRIM_TRY(brim_bench_job_add(job, &c, true));
    return add_conv(job, l, image);
}

brim_status brim_bench_conv(struct brim_bench *b)
{
    for (size_t i = 0; i < (b->params->quick ? 1 : N_CONVOLUTIONS); i++) {
        const struct layer *l = &convolutions[i];
        struct brim_bench_job job = {.b = b,
                                     .family = "conv",
                                     .m = l->h * l->w,
                                     .n = l->n,
                                     .k = SIDE * SIDE * l->channels,
                                     .x_max = 127};
        bool wanted;
        BRIM_TRY(brim_bench_job_create(&job, &wanted));
        if (wanted) {
            BRIM_TRY(add_convolutions(&job, l));
            BRIM_TRY(brim_bench_measure(b));
        }
    }
    return BRIM_OK;
}

/* ---- depthwise ---- */

struct depth {
    struct brim_depthwise *depthwise;
    struct brim_depthwise_plane plane;
};

static void run_depth(void *state)
{
    const struct depth *d = state;

    brim_depthwise_run(d->depthwise, &d->plane);
}

static void free_depth(brim_ctx *ctx, void *state)
{
    brim_depthwise_free(ctx, ((struct depth *)state)->depthwise);
}

static brim_status add_depth(struct brim_bench_job *job, const struct layer *l,
                             const struct brim_depthwise_variant *v, const uint8_t *plane)
{
    struct brim_bench *b = job->b;
    struct depth *d = brim_arena_zalloc(&b->set, 1, sizeof *d);
    const struct brim_depthwise_params p = {.w = job->w,
                                            .channels = l->channels,
                                            .kh = SIDE,
                                            .kw = SIDE,
                                            .stride_h = 1,
                                            .stride_w = 1,
                                            .dilation_h = 1,
                                            .dilation_w = 1,
                                            .x_max = job->x_max,
                                            .epilogue = brim_bench_epilogue(job, BRIM_EMIT_ACC),
                                            .variant = v->name};

    if (d == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(brim_depthwise_create(b->ctx, &p, &d->depthwise));
    d->plane = (struct brim_depthwise_plane){
        .x = plane,
        .row = (l->w + SIDE - 1) * l->channels,
        .h_out = l->h,
        .w_out = l->w,
        .y = job->y,
        .scratch = brim_arena_alloc(&b->set, brim_depthwise_scratch(d->depthwise) + 1, 1)};
    if (d->plane.scratch == NULL) {
        brim_depthwise_free(b->ctx, d->depthwise);
        return BRIM_ERR_NOMEM;
    }
    const struct brim_bench_case c = {
        .kind = "3x3", .name = v->name, .run = run_depth, .state = d, .destroy = free_depth};
    return brim_bench_job_add(job, &c, true);
}

static brim_status add_depthwise(struct brim_bench_job *job, const struct layer *l)
{
    const size_t bytes = (l->h + SIDE - 1) * (l->w + SIDE - 1) * l->channels + 64;
    uint8_t *plane = brim_arena_alloc(&job->b->set, bytes, 1);
    struct brim_rng r;

    if (plane == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_rng_init(&r, job->b->ctx->params.seed, 2);
    for (size_t i = 0; i < bytes; i++) {
        plane[i] = (uint8_t)brim_rng_below(&r, (uint64_t)job->x_max + 1);
    }
    brim_bench_random_weights(job, -127, 127);
    for (size_t i = 0; i < brim_depthwise_variant_count; i++) {
        const struct brim_depthwise_variant *v = brim_depthwise_variants[i];
        if ((v->isa & ~job->b->ctx->isa) == 0) {
            BRIM_TRY(add_depth(job, l, v, plane));
        }
    }
    return BRIM_OK;
}

brim_status brim_bench_depthwise(struct brim_bench *b)
{
    for (size_t i = 0; i < (b->params->quick ? 1 : N_DEPTHWISE); i++) {
        const struct layer *l = &depthwise[i];
        struct brim_bench_job job = {.b = b,
                                     .family = "depthwise",
                                     .m = l->h * l->w,
                                     .n = l->channels,
                                     .k = SIDE * SIDE,
                                     .x_max = 127};
        bool wanted;
        BRIM_TRY(brim_bench_job_create(&job, &wanted));
        if (wanted) {
            BRIM_TRY(add_depthwise(&job, l));
            BRIM_TRY(brim_bench_measure(b));
        }
    }
    return BRIM_OK;
}
